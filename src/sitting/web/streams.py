"""What the streams of one process share, and how one of them writes.

Streams are counted, read together where their right is the same, and leave together when the process does.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from starlette.types import Receive, Scope, Send

from .. import errors
from ..core.actor import Actor
from ..live import Live
from . import frames, metrics
from .feed import Feed, Seat

T = TypeVar("T")
STREAMS_PER_ACTOR = 2_000


@dataclass(frozen=True)
class Pace:
    """The times of a stream, in seconds. Who reads is asked again after `proof`, when the proof itself ends, and
    whenever access changes.

    `heartbeat` and `age` are spread per stream, so that not all do the same at once; a heartbeat comes at most 15 %
    late. `text` is how late the text of a turn may be when its wake was lost.
    """

    stall: float = 30.0
    heartbeat: float = 15.0
    proof: float = 15.0
    age: float = 600.0
    text: float = 1.0


USUAL = Pace()


class Streams:
    """The open streams of one process: how many whose, what they read together, and whether they must leave."""

    def __init__(self, live: Live, *, drain_seconds: float = 5.0, pace: Pace = USUAL) -> None:
        self.live = live
        self.pace = pace
        self.draining = False
        self.drain_ms = int(drain_seconds * 1000)
        self._open: Counter[str] = Counter()
        self._feeds: dict[tuple[str, Actor], Feed] = {}
        self._reads: dict[Hashable, asyncio.Task[Any]] = {}

    @contextmanager
    def entered(self, actor: str) -> Iterator[None]:
        """Count one stream. Raises RateLimited when this actor has too many; never while draining."""
        if self._open[actor] >= STREAMS_PER_ACTOR and not self.draining:
            raise errors.RateLimited("Too many open streams.", retry_after=5)
        self._open[actor] += 1
        metrics.STREAMS.inc()
        try:
            yield
        finally:
            metrics.STREAMS.dec()
            self._open[actor] -= 1
            if not self._open[actor]:
                del self._open[actor]

    async def together(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """One read for all who ask the same at the same tick, and of the same right. One who leaves stops nobody."""
        task = self._reads.get(key)
        if task is None:
            task = self._reads[key] = asyncio.ensure_future(_run(read))
            task.add_done_callback(lambda done: self._read(key, done))
        result: T = await asyncio.shield(task)
        return result

    def seated(self, session: str, actor: Actor, seat: Seat, make: Callable[[], Feed]) -> Feed:
        """Take a seat in the feed of a session and actor, which is made for the first."""
        feed = self._feeds.get((session, actor)) or self._feeds.setdefault((session, actor), make())
        feed.enter(seat)
        return feed

    def unseated(self, session: str, actor: Actor, seat: Seat) -> None:
        """Give the seat up; the last one takes the feed along."""
        if self._feeds[session, actor].leave(seat):
            del self._feeds[session, actor]

    def drain(self) -> None:
        """Every stream says `bye` and ends."""
        self.draining = True
        self.live.wake_all()

    def _read(self, key: Hashable, task: asyncio.Task[Any]) -> None:
        del self._reads[key]
        if not task.cancelled():
            task.exception()


def whose(actor: Actor, session: str) -> str:
    """Whom a stream counts for. What the system reads for somebody, such as a big screen, counts for the session."""
    return session if actor.is_system else actor.id


class Left(Exception):
    """The reader has gone."""


@asynccontextmanager
async def while_there(receive: Receive) -> AsyncIterator[None]:
    """What is done in here ends when the reader goes; only `receive` ever tells. Raises Left then."""
    task = cast("asyncio.Task[None]", asyncio.current_task())
    watch = asyncio.ensure_future(_left(receive, task))
    try:
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
    except asyncio.CancelledError:
        if watch.cancelled() or not watch.done():
            raise
        task.uncancel()
        raise Left from None


async def _left(receive: Receive, task: asyncio.Task[None]) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
    task.cancel()


class Stalled(Exception):
    """The reader takes nothing any more."""


class Out:
    """Where a stream writes to. A reader that accepts nothing for long is cut off; its position lets it return."""

    def __init__(self, scope: Scope, send: Send, *, stall: float) -> None:
        self._send = send
        self._stall = stall
        server = scope.get("extensions", {}).get("sitting.stream", {})
        self._abort: Callable[[], None] = server.get("abort", lambda: None)
        self._push: Callable[[bytes], bool] = server.get("push", lambda chunked: False)
        self.started = self._begun = False
        self.wrote_at = time.monotonic()

    async def start(self, headers: Mapping[str, str]) -> None:
        """The status line and headers; they leave with the first block."""
        listed = [(b"content-type", b"text/event-stream; charset=utf-8")]
        listed += [
            (name.lower().encode(), value.encode("latin-1")) for name, value in {**frames.HEADERS, **headers}.items()
        ]
        self.started = True
        await self._send({"type": "http.response.start", "status": 200, "headers": listed})

    def push(self, chunked: bytes) -> bool:
        """Write at once what is in HTTP chunks already; False when the server cannot, or the reader is behind."""
        if not self._push(chunked):
            return False
        self.wrote_at = time.monotonic()
        return True

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """Raises Stalled."""
        # Past the first block no layer between here and the connection has anything to add.
        if self._begun and data and not last and self.push(b"%x\r\n%b\r\n" % (len(data), data)):
            return
        self._begun = True
        try:
            async with asyncio.timeout(self._stall):
                await self._send({"type": "http.response.body", "body": data, "more_body": not last})
        except TimeoutError:
            metrics.STALLED.inc()
            self._abort()
            raise Stalled from None
        self.wrote_at = time.monotonic()


async def _run(read: Callable[[], Awaitable[T]]) -> T:
    return await read()
