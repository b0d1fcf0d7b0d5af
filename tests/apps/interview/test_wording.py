"""An interview as Markdown: what people and models wrote is shown as they wrote it, and does nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from sitting.apps.interview import wording

ALIVE = (
    "![a](http://evil.example/a.png)",
    "![a][b]\n\n[b]: http://evil.example/b.png",
    "<img src=http://evil.example/c.png>",
    "<script>alert(1)</script>",
    "[go](javascript:alert(1)) <http://evil.example>",
    "`code` **bold** _soft_ ~~gone~~ \\*kept\\* &lt;b&gt; &amp;",
    "# Note\n\n## Scorecard\n+ a\n- b\n1. c\n2) d\n> e",
    "a\n===\nb\n---\n| a | b |\n|---|---|\n| 1 | 2 |",
    "```html\n<img src=x>\n```\nfour",
    "a\r# b\x0b# c\x85# d\u2028# e",
)
PIECES = (
    "!",
    "[a]",
    "(http://b/c)",
    "<img src=x>",
    "`",
    "*",
    "_",
    "~~",
    "\\",
    "&",
    "# ",
    "1. ",
    "- ",
    "\n",
    ":",
    "|",
    "=",
    "-",
)
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def document(said: str) -> dict[str, Any]:
    """An interview in which everything that somebody can write says the same."""
    score = {"criterion": said, "score": 4, "citations": [{"seq": 4, "quote": said}]}
    card = {"scores": [score], "summary": said}
    message = {"role": "user", "created_at": "2026-01-01", "mark": "", "content": said}
    return {
        "session": {"id": "a-b", "candidate_name": said, "status": "completed", "tokens_used": 7},
        "messages": [message, {**message, "role": "assistant", "mark": "cancelled"}],
        "notes": [{"text": said}],
        "scorecards": {"own": card, "others": [card]},
        "head": "00",
    }


def every(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from every(token.children or [])


def shown(said: str) -> tuple[list[str], list[str]]:
    """What a reader of the file is shown, line by line, and what stands in it besides the words."""
    found = list(every(READER.parse(wording.markdown(document(said)))))
    kinds = {token.type for token in found} - {"inline", "text", "softbreak", "text_special", "hardbreak"}
    ours = {
        f"{name}_{end}"
        for name in ("heading", "paragraph", "blockquote", "bullet_list", "list_item")
        for end in ("open", "close")
    }
    words: list[str] = [""]
    for token in found:
        words[-1] += token.content if token.type in ("text", "text_special") else ""
        if token.type in ("softbreak", "inline"):
            words.append("")
    return words, sorted(kinds - ours)


@pytest.mark.parametrize("said", ALIVE)
def test_nothing_that_was_written_is_alive(said: str) -> None:
    words, others = shown(said)
    assert others == []
    for line in filter(None, (" ".join(each.split()) for each in said.splitlines())):
        assert sum(line == " ".join(word.split()) for word in words) >= 5, line
    assert f"Candidate: {' '.join(said.split())}" in words


@given(st.lists(st.sampled_from(PIECES) | st.text(alphabet="ab 1", max_size=3), max_size=12).map("".join))
def test_nothing_becomes_more_than_words(said: str) -> None:
    assert set(shown(said)[1]) <= {"code_block"}, "what is far from the margin is shown as code"
    headings = [
        token for token in every(READER.parse(wording.markdown(document(said)))) if token.type == "heading_open"
    ]
    assert len(headings) == 7


def test_plain_words_stay_as_they_are() -> None:
    said = "First I sort, then I compare.\nIt takes n log n; 3.5 times as fast - or so!"
    text = wording.markdown(document(said))
    assert "> First I sort, then I compare.\n> It takes n log n; 3.5 times as fast - or so!" in text
