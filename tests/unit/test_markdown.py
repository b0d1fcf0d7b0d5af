"""What a model writes becomes HTML that can do nothing but be read."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting.web.markdown import markdown

ALLOWED = re.compile(r'</?(?:[a-z][a-z0-9]*)(?: (?:href="https?://[^"]*"|rel="noopener nofollow"|start="\d+"))*>')
PIECES = (
    "<script>",
    "<img src=x onerror=y>",
    "![a](http://b/c)",
    "[a](javascript:b)",
    "[a](/sign-out)",
    "[a]: data:x",
    "**",
    "`",
    "\n\n",
    "> ",
    "- ",
    "<a href='x'>",
    "<http://a>",
    "|",
    "&lt;",
    "](",
    '"',
    "\\",
    "# ",
    "<!--",
    "&#106;avascript:",
)


def test_marks_become_html() -> None:
    text = "# Title\n\n**bold** `a < b` ~~no~~\n\n3. three\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = '<b>'\n```"
    html = markdown(text)
    for part in (
        "<h1>Title</h1>",
        "<strong>bold</strong>",
        "<code>a &lt; b</code>",
        "<s>no</s>",
        '<ol start="3">',
        "<td>1</td>",
    ):
        assert part in html
    assert "<pre><code>x = '&lt;b&gt;'\n</code></pre>" in html


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:a)",
        "[x](data:text/html,a)",
        "[x](//evil.example)",
        "[x](/sign-out)",
        '<img src="http://evil.example/x">',
        "<b onclick=a()>x</b>",
        "<javascript:a>",
    ],
)
def test_what_could_act_is_text(text: str) -> None:
    html = markdown(text)
    assert re.findall(r"<(?!/?p>)", html) == []


def test_a_link_leads_out_without_a_word_about_us() -> None:
    assert markdown("[x](https://a.example/b?c=d)") == (
        '<p><a href="https://a.example/b?c=d" rel="noopener nofollow">x</a></p>\n'
    )


def test_an_image_is_not_fetched() -> None:
    assert "<img" not in markdown("![x](http://evil.example/x.png)")


@pytest.mark.parametrize(
    "text",
    [
        "|" * 46 + "\n" + "|" + "-|" * 45 + "\n" + "|\n" * 45,
        ("|" * 11 + "\n" + "|" + "-|" * 10 + "\n" + "|\n" * 10 + "\n") * 40,
        "> " + "|a" * 300 + "|\n> " + "|-" * 300 + "|\n" + "> |\n" * 300,
        "[a]: http://b.example/" + "c" * 2000 + "\n\n" + "[a]" * 800,
        '[a]: http://b.example "' + "&" * 2000 + '"\n\n' + "[a]" * 800,
    ],
    ids=["one table", "many tables", "a table in a quotation", "an address", "a title"],
)
def test_a_short_text_becomes_no_large_page(text: str) -> None:
    html = markdown(text)
    assert "<td>" not in html and "href" not in html
    assert len(html) < 5 * len(text)


def test_tables_and_references_of_a_usual_size_stay() -> None:
    assert markdown("| a | b | c | d |\n|---|---|---|---|\n" + "| 1 | 2 | 3 | 4 |\n" * 300).count("<td>") == 1200
    sources = "\n".join(f"[{n}]: https://a.example/{'b' * 80}/{n}" for n in range(30))
    assert markdown("".join(f"As [{n}] says. " for n in range(30)) + "\n\n" + sources).count("<a href=") == 30


def test_an_erased_text_is_nothing() -> None:
    assert markdown(None) == ""


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=12).map("".join))
def test_no_tag_beyond_the_list_comes_out(text: str) -> None:
    assert "<" not in ALLOWED.sub("", markdown(text))
