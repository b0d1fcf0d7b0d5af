"""The bytes of a live stream, and the positions in it.

A frame is one `text/event-stream` block. Data is always one line of JSON, so nothing a person or a model wrote can
begin another field; ids and names are ours and are refused when they could. A journal position is `<epoch>.<seq>`, a
turn position `<turn>.<code points>` or `<turn>.end`; whatever the server has not given out is an InvalidCursor.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from starlette.requests import Request

from .. import errors
from ..core.event import TYPE
from ..engine import Page
from . import deps
from .answer import dumps

PROTOCOL = 1
HEARTBEAT = b":\n\n"
END = "end"
TYPES = 32
CHUNK_BYTES = 256 * 1024  # no frame is added beyond it; what a reader who stopped can hold here
_BREAKS = re.compile(r"[\r\n\0]")
# JSON leaves these as they are, and many readers of lines take them for the end of one.
_SEPARATORS = tuple((sign.encode(), b"\\u%04x" % ord(sign)) for sign in "\x85\u2028\u2029")
_JOURNAL = re.compile(r"([1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})", re.ASCII)
_OFFSET = re.compile(r"0|[1-9][0-9]{0,8}")
_TURN = re.compile(r"([A-Za-z0-9_-]{1,64})\.(end|0|[1-9][0-9]{0,15})", re.ASCII)
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store, no-transform",
    "X-Accel-Buffering": "no",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Position:
    """A place in a journal."""

    epoch: int
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}.{self.seq}"

    @classmethod
    def read(cls, text: str) -> Position:
        """Raises InvalidCursor."""
        found = _JOURNAL.fullmatch(text)
        if found is None:
            raise errors.InvalidCursor()
        return cls(int(found[1]), int(found[2]))


@dataclass(frozen=True)
class Chunk:
    """A page of events, or its beginning, encoded once for everybody who reads it: frames, and the position after them.

    `page` has no events any more: a reader who stopped would hold them.
    """

    page: Page
    data: bytes
    last: int


def frame(data: Any = None, *, event: str = "", id: str = "", retry: int | None = None) -> bytes:
    """One named block, in the order `event`, `retry`, `data`, `id`."""
    if _BREAKS.search(event) or _BREAKS.search(id):
        raise ValueError("a line break in a frame's name or id")
    lines = [b"event: " + event.encode()] if event else []
    if retry is not None:
        lines.append(b"retry: %d" % retry)
    if data is not None:
        lines.append(b"data: " + _line(data))
    if id:
        lines.append(b"id: " + id.encode())
    return b"\n".join(lines) + b"\n\n"


def journal_frame(position: str, told: Mapping[str, Any] | None) -> bytes:
    """One journal event. Without a name every `onmessage` sees it; without data only the position moves."""
    if told is None:
        return b"id: %b\n\n" % position.encode()
    return b"id: %b\ndata: %b\n\n" % (position.encode(), _line(told))


def _line(data: Any) -> bytes:
    """JSON that is one line to every reader."""
    made = dumps(data)
    for sign, escaped in _SEPARATORS:
        made = made.replace(sign, escaped)
    return made


def opening(id: str, comment: str) -> bytes:
    """The first block: how soon to come back, from where, and nothing to dispatch."""
    return f"retry: {spread(1000, 3000)}\nid: {id}\n: v={PROTOCOL} {comment}\n\n".encode()


def bye(reason: str, *, within_ms: int = 3000) -> bytes:
    """Come back: the stream ends, the session does not. The moment is spread so that not all come at once."""
    retry = spread(1000, max(3000, within_ms))
    return frame({"reason": reason, "retry": retry}, event="bye", retry=retry)


def spread(low: int, high: int) -> int:
    """A random number of milliseconds."""
    return random.randint(low, high)  # noqa: S311 - spreads load, keeps no secret


def chunk(page: Page, *, after: int) -> Chunk:
    """Encode a page that begins after a position, as far as a chunk goes.

    Raises:
        LookupError: the page has a gap; the reader must not move on.
    """
    for expected, (seq, _) in enumerate(page.events, start=after + 1):
        if seq != expected:
            raise LookupError(f"expected {expected}, read {seq}")
    data, count = encoded(page.session.epoch, page.events)
    return Chunk(replace(page, events=()), data, after + count)


def encoded(epoch: int, events: Sequence[tuple[int, Mapping[str, Any] | None]]) -> tuple[bytes, int]:
    """Frames of events in order, and of how many. Of a run that is not told here, only the last position is sent."""
    frames: list[bytes] = []
    size = 0
    for index, (seq, told) in enumerate(events):
        if size >= CHUNK_BYTES:
            return b"".join(frames), index
        if told is None and index + 1 < len(events) and events[index + 1][1] is None:
            continue
        frames.append(journal_frame(f"{epoch}.{seq}", told))
        size += len(frames[-1])
    return b"".join(frames), len(events)


def wanted(request: Request) -> frozenset[str]:
    """The types of event that `types` names, with commas between; empty without it: all of them. Raises Invalid."""
    text = deps.text(request, "types", limit=TYPES * 65)
    types = frozenset(text.split(",")) if "types" in request.query_params else frozenset()
    if len(types) > TYPES or not all(TYPE.fullmatch(type) for type in types):
        raise errors.Invalid.field("types", f"must be 1 to {TYPES} names of types of event, with commas between")
    return types


def only(page: Page, types: frozenset[str]) -> Page:
    """The page for a reader who wants events of some types: of the others only the position moves."""
    if not types:
        return page
    events = ((seq, told if told is not None and told.get("type") in types else None) for seq, told in page.events)
    return replace(page, events=tuple(events))


def cursor(request: Request) -> str:
    """What the reader has: `Last-Event-ID`, else `after`. A browser that reconnects repeats the old address."""
    header = request.headers.get("last-event-id")
    if header:
        return header
    values = request.query_params.getlist("after")
    if len(values) > 1:
        raise errors.InvalidCursor()
    return values[0] if values else "0"


def journal_cursor(request: Request) -> Position | None:
    """The position to go on after; epoch 0 is the beginning, None is now. Raises InvalidCursor."""
    match cursor(request):
        case "0":
            return Position(0, 0)
        case "now":
            return None
        case text:
            return Position.read(text)


def turn_cursor(request: Request, turn: str) -> int | None:
    """The offset to go on after, in code points, bare or behind the turn's id; None: the end. Raises InvalidCursor."""
    text = cursor(request)
    if _OFFSET.fullmatch(text):
        return int(text)
    found = _TURN.fullmatch(text)
    if found is None or found[1] != turn:
        raise errors.InvalidCursor()
    return None if found[2] == END else int(found[2])
