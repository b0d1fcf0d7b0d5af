"""One read, one encoding and no waking for all who follow a session by the same right.

A follower that has everything takes a seat in the feed of its session and actor. When the session moves, the feed
reads once and writes the same bytes to every seat whose position is the one it read from; their tasks sleep on. Any
seat it cannot serve like this (another position, a reader that is behind, a turn, the end, trouble) is woken and helps
itself. So a feed is never needed for correctness: it only spares the many from doing what one has done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

import structlog

from ..live import Live, Topic
from . import metrics
from .frames import Chunk

log = structlog.get_logger("sitting.live")
SEATS_AT_ONCE = 64
_LONG = 3600.0


class Writes(Protocol):
    """Where a seat's bytes go."""

    def push(self, chunked: bytes) -> bool:
        """Write bytes in HTTP chunks at once; False when that is not possible now."""


class Seat:
    """A follower's place: its position, and whether it sleeps."""

    __slots__ = ("_out", "_woken", "seq")

    def __init__(self, out: Writes, seq: int) -> None:
        self.seq = seq
        self._out = out
        self._woken: asyncio.Future[None] | None = None

    @property
    def sleeps(self) -> bool:
        return self._woken is not None and not self._woken.done()

    def push(self, chunked: bytes) -> bool:
        """Write for the sleeper; False when only its own task can."""
        return self._out.push(chunked)

    def wake(self) -> None:
        """Let the follower look for itself."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def sleep(self, seconds: float) -> None:
        """Until somebody wakes the seat, or for `seconds`."""
        self._woken = asyncio.get_running_loop().create_future()
        timer = self._woken.get_loop().call_later(seconds, self.wake)
        try:
            await self._woken
        finally:
            timer.cancel()
            self._woken = None


class Feed:
    """What several followers of one session with one right share. It begins at what its first follower has heard of."""

    def __init__(
        self, live: Live, topic: Topic, read: Callable[[int], Awaitable[Chunk]], *, seq: int, tick: int, access: int
    ) -> None:
        self.seq = seq
        self._live, self._topic, self._read = live, topic, read
        self._tick, self._access = tick, access
        self._seats: dict[Seat, None] = {}
        self._task: asyncio.Task[None] | None = None

    def enter(self, seat: Seat) -> None:
        """Take a place; the first one sets the feed going."""
        self._seats[seat] = None
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())

    def leave(self, seat: Seat) -> bool:
        """Give the place up; True when the feed is empty and has ended."""
        del self._seats[seat]
        if self._seats or self._task is None:
            return False
        self._task.cancel()
        self._task = None  # a cancelled task remembers where it was, and so all that this feed and its maker hold
        return True

    async def rest(self, seat: Seat, seconds: float, *, access: int) -> None:
        """Sleep, unless the feed has heard of something this follower has not."""
        if seconds > 0 and self.seq <= seat.seq and access == self._live.access:
            await seat.sleep(seconds)

    async def _run(self) -> None:
        while True:
            await self._live.wait(self._topic, self._tick, _LONG)
            self._tick = self._topic.tick
            if self._access != self._live.access:
                self._access = self._live.access
                self._wake_all()
            try:
                await self._deliver(await self._read(self.seq))
            except Exception as error:  # each follower meets it again by itself, and says what follows from it
                log.debug("feed helped nobody", error=type(error).__name__)
                self._wake_all()

    async def _deliver(self, chunk: Chunk) -> None:
        before, self.seq = self.seq, chunk.last
        page = chunk.page
        plain = not page.turns and not page.closed and chunk.last == page.session.seq
        chunked = b"%x\r\n%b\r\n" % (len(chunk.data), chunk.data)
        for number, seat in enumerate(list(self._seats), 1):
            if not seat.sleeps or (plain and seat.seq == chunk.last):
                continue
            if plain and seat.seq == before and seat.push(chunked):
                metrics.EVENTS.inc(chunk.last - before)
                seat.seq = chunk.last
            else:
                seat.wake()
            if number % SEATS_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _wake_all(self) -> None:
        for seat in self._seats:
            seat.wake()
