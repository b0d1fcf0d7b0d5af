"""Markdown that models and people wrote, as HTML that can do nothing but be read.

The text is data from outside. HTML in it is shown as text, images are not fetched, and a link leads to another http(s)
address or is no link. The parser already refuses all this; the allow-list behind it does not trust the parser.
"""

from __future__ import annotations

from functools import lru_cache

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

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


_PARSER = _parser()


def _attribute(_tag: str, name: str, value: str) -> str | None:
    return None if name == "href" and not _may_lead(value) else value


@lru_cache(REMEMBERED)
def markdown(text: str | None) -> Markup:
    """The text as harmless HTML; nothing for None, which is what an erased text is."""
    cleaned = nh3.clean(
        _PARSER.render(text or ""),
        tags=set(_TAGS),
        attributes={"a": {"href"}, "ol": {"start"}},
        attribute_filter=_attribute,
        url_schemes={"http", "https"},
        link_rel="noopener nofollow",
    )
    return Markup(cleaned)  # noqa: S704 - the allow-list is the escaping
