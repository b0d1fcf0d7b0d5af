"""What people and models wrote, on paper: in Markdown it stays text, and in a table it is no formula.

Whoever shows such a file fetches nothing, and no line of somebody's poses as part of the document. A viewer that makes
links of bare addresses may still do so.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_MARKUP = re.compile(r"([\\`*_\[\]~|])")
_OPENING = re.compile(r"\s*+(?:[0-9]++(?=[.)])|(?=[#+=-]))")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Lines(list[str]):
    """What a table is written into."""

    write = list.append


def inline(text: Any) -> str:
    """The text on one line of Markdown; nothing for None, which is what an erased text is."""
    return "" if text is None else _marked(" ".join(str(text).split()))


def block(text: str | None) -> str:
    """The text as a quotation in Markdown, line by line."""
    return "\n".join(f"> {_marked(line)}" for line in (text or "").splitlines()) or ">"


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    lines = _Lines()
    writer = csv.writer(lines)
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return "".join(lines)


def _marked(line: str) -> str:
    """A line that Markdown shows as it stands."""
    plain = _MARKUP.sub(r"\\\1", line)
    if opening := _OPENING.match(plain):
        plain = f"{opening[0]}\\{plain[opening.end() :]}"
    return escape(plain, quote=False)


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value
