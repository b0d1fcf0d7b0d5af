"""Markdown that models and people wrote, as HTML that can do nothing but be read.

The text is data from outside. HTML in it is shown as text, images are not fetched, and a link leads to another http(s)
address or is no link. The parser already refuses all this; the allow-list behind it does not trust the parser.

A short text must not become a page of megabytes: each row of a table is as wide as its head, however little stands
in it, and an address is repeated wherever it is referred to. A text that goes too far is shown without either.
"""

from __future__ import annotations

from functools import lru_cache
from html import escape

import nh3
from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, table
from markdown_it.rules_core import StateCore
from markupsafe import Markup

MAX_CELLS = 2_000  # in all tables of a text
MAX_REPEATED = 100_000  # characters of addresses that a text refers to
REMEMBERED = 512  # a page is drawn again at every event, and a message never changes
_TAGS = frozenset(
    "p br hr em strong s code pre blockquote ul ol li a h1 h2 h3 h4 h5 h6 table thead tbody tr th td".split()
)
_SCHEMES = ("http://", "https://")


def _may_lead(url: str) -> bool:
    return url.lower().startswith(_SCHEMES)


def _parser() -> MarkdownIt:
    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"]).disable("image")
    made.validateLink = _may_lead  # type: ignore[method-assign]
    return made


class _TooMuch(Exception):
    """The text would become many times as much."""


def _bounded_table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    if silent or not table(state, start, end, True):
        return table(state, start, end, silent)
    last = next((line for line in range(start, end) if state.isEmpty(line)), end)
    columns = state.src.count("|", state.bMarks[start], state.eMarks[start]) + 1
    state.env["cells"] = state.env.get("cells", 0) + columns * (last - start)
    if state.env["cells"] > MAX_CELLS:
        raise _TooMuch
    return table(state, start, end, False)


def _bounded_references(state: StateCore) -> None:
    known = state.env.get("references", {}).values()
    longest = max((len(escape(each["href"] + each["title"])) for each in known), default=0)
    if longest * state.src.count("[") > MAX_REPEATED:
        raise _TooMuch


_PARSER, _PLAIN = _parser(), _parser().disable(["table", "reference"])
_PARSER.block.ruler.at("table", _bounded_table, {"alt": ["paragraph", "reference"]})
_PARSER.core.ruler.after("block", "bounded_references", _bounded_references)


def _attribute(_tag: str, name: str, value: str) -> str | None:
    return None if name == "href" and not _may_lead(value) else value


@lru_cache(REMEMBERED)
def markdown(text: str | None) -> Markup:
    """The text as harmless HTML; nothing for None, which is what an erased text is."""
    cleaned = nh3.clean(
        _rendered(text or ""),
        tags=set(_TAGS),
        attributes={"a": {"href"}, "ol": {"start"}},
        attribute_filter=_attribute,
        url_schemes={"http", "https"},
        link_rel="noopener nofollow",
    )
    return Markup(cleaned)  # noqa: S704 - the allow-list is the escaping


def _rendered(text: str) -> str:
    try:
        return str(_PARSER.render(text))
    except _TooMuch:
        return str(_PLAIN.render(text))
