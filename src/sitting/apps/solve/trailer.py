"""The line `---DATA---` and what a model writes after it, kept from the reader at whatever byte the pieces are cut."""

from __future__ import annotations

from ... import errors
from ...core import strict
from .commands import Trailer

MARK = "---DATA---"
_BREAKS = "\r\n"
_SURELY_BEGUN = 3  # characters of a mark at the very end of an answer that are taken for a cut mark


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
        """What came after the mark."""
        return "".join(self._data or ())

    def feed(self, piece: str) -> str:
        """The prose that is sure by now; it may be empty."""
        if self._data is not None:
            self._data.append(piece)
            return ""
        text = self._waiting + piece
        prose, mark, rest = text.partition(MARK)
        if mark:
            self._waiting, self._data = "", [rest]
            return prose.rstrip(_BREAKS)
        keep = _may_begin(text)
        self._waiting = text[keep:]
        return text[:keep]

    def end(self) -> str:
        """The prose that waited, once nothing more comes."""
        waiting, self._waiting = self._waiting, ""
        begun = waiting.lstrip(_BREAKS)
        return "" if len(begun) >= _SURELY_BEGUN else waiting


def _may_begin(text: str) -> int:
    """Where the end of a text begins that may be line breaks and a part of the mark."""
    begin = len(text)
    for length in range(min(len(MARK) - 1, len(text)), 0, -1):
        if text.endswith(MARK[:length]):
            begin -= length
            break
    while begin and text[begin - 1] in _BREAKS:
        begin -= 1
    return begin


def read(data: str) -> Trailer | None:
    """What the model said to the program; None when it said nothing, or nothing of use."""
    begin, end = data.find("{"), data.rfind("}")
    if begin < 0 or end < begin:
        return None
    try:
        return strict.read(Trailer, data[begin : end + 1].encode("utf-8", "replace"))
    except errors.Invalid:
        return None
