"""The line `---DATA---` and what a model writes after it, kept from the reader at whatever byte the pieces are cut."""

from __future__ import annotations

import re

from ... import errors
from ...core import strict
from .commands import Trailer

# A weak model spells it as it likes: two dashes or more on both sides, spaces between, small letters.
LINE = re.compile(r"(?<!-)-{2,}[ \t]*data[ \t]*-{2,}", re.IGNORECASE)
_BREAKS = "\r\n"
_MOST_WAITING = 400  # characters; a model that has lost its way writes dashes without end, and each piece looks at all
_BEGUN = re.compile(r"(?<![\r\n])[\r\n]*(?:(?<!-)(?:-|-{2,}[ \t]*(?:d(?:a(?:t(?:a[ \t]*-?)?)?)?)?))?\Z", re.IGNORECASE)
# What is taken for a mark that was cut where the answer ends; fewer dashes are dashes.
_CUT = re.compile(r"(?<!-)(?:-{3,}|-{2,}[ \t]*d(?:a(?:t(?:a[ \t]*-?)?)?)?)\Z", re.IGNORECASE)


class Splitter:
    """Lets the prose through and keeps the rest. What might become the mark waits for the next piece."""

    def __init__(self) -> None:
        self._waiting = ""
        self._data: list[str] | None = None

    @property
    def marked(self) -> bool:
        """Whether the mark has come, so that the prose is whole."""
        return self._data is not None

    @property
    def data(self) -> str:
        """What came after the mark, whose last dashes may have come late."""
        return "".join(self._data or ()).lstrip("-")

    def feed(self, piece: str) -> str:
        """The prose that is sure by now; it may be empty."""
        if self._data is not None:
            self._data.append(piece)
            return ""
        text = self._waiting + piece
        if (mark := LINE.search(text)) is not None:
            self._waiting, self._data = "", [text[mark.end() :]]
            return text[: mark.start()].rstrip(_BREAKS)
        keep = _may_begin(text)
        if len(text) - keep > _MOST_WAITING:
            keep = len(text)
        self._waiting = text[keep:]
        return text[:keep]

    def end(self) -> str:
        """The prose that waited, once nothing more comes."""
        waiting, self._waiting = self._waiting, ""
        return "" if _CUT.search(waiting) else waiting


def _may_begin(text: str) -> int:
    """Where the end of a text begins that may be line breaks and a part of the mark."""
    found = _BEGUN.search(text)
    return len(text) if found is None else found.start()


def read(data: str) -> Trailer | None:
    """What the model said to the program; None when it said nothing, or nothing of use."""
    begin, end = data.find("{"), data.rfind("}")
    if begin < 0 or end < begin:
        return None
    try:
        return strict.read(Trailer, data[begin : end + 1].encode("utf-8", "replace"))
    except errors.Invalid:
        return None
