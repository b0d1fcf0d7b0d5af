"""Followers of one journal, in every order of events that a seed can find: nothing lost, nothing twice, nothing left.

The streams, the feeds and the wake hub are the real ones; the journal behind them answers after as many turns of the
event loop as the dice say, hints are dropped and doubled, sockets fall behind, and streams are cut at any point where
they wait. No clock is involved, so a seed gives the same run again.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from sitting.core.actor import Actor
from sitting.core.session import Session
from sitting.live import Live
from sitting.reading import Page
from sitting.web.frames import Chunk, Position
from sitting.web.stream import FIRST_PAGE, EventStream, JournalStream
from sitting.web.streams import Streams

ADA = Actor("user:ada", "default", frozenset({"member"}))
EVENTS, FOLLOWERS = 60, 6
TOLD = re.compile(rb"id: 1\.(\d+)\ndata: \{[^\n]*\}\n\n")
POSITION = re.compile(rb"id: 1\.(\d+)\n(?:[^\n]+\n)*\n")


class Journal:
    """An engine's reading side over a journal that only has positions. Each third event is told to nobody."""

    epoch = 1

    def __init__(self, dice: random.Random) -> None:
        self.head = 1
        self.closed = False
        self.reads = self.under_way = self.most_under_way = 0
        self.held: asyncio.Event | None = None
        self._dice = dice

    def events(self, session: str, actor: Actor, *, after: int = 0, limit: int = 100) -> Future[Page]:
        upto = min(self.head, after + limit)
        events = tuple((seq, {"seq": seq} if seq % 3 else None) for seq in range(after + 1, upto + 1))
        page = Page(Session(session, "toy", "default", seq=self.head), "owner", "owner", self.closed, events, ())
        answer: Future[Page] = Future()
        self.reads += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        self._later(self._dice.randrange(6), lambda: self._answer(answer, page))
        return answer

    def _answer(self, answer: Future[Page], page: Page) -> None:
        if self.held is not None and not self.held.is_set():
            self._later(1, lambda: self._answer(answer, page))
            return
        self.under_way -= 1
        answer.set_result(page)

    def _later(self, turns: int, call: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(call) if not turns else loop.call_soon(self._later, turns - 1, call)


class House:
    """What streams share, and the journal they read."""

    def __init__(self, dice: random.Random, stream: type[JournalStream] = JournalStream) -> None:
        self.dice, self.stream = dice, stream
        self.journal = Journal(dice)
        self.live = Live(lambda ids: Future())
        self.streams = Streams(self.live)
        installation = SimpleNamespace(engine=self.journal, live=self.live)
        self.app = SimpleNamespace(state=SimpleNamespace(installation=installation, streams=self.streams))

    async def turns(self, most: int) -> None:
        for _ in range(self.dice.randrange(most)):
            await asyncio.sleep(0)

    def wake(self) -> None:
        self.live.wake("s", self.journal.head, self.journal.head)

    async def write(self) -> None:
        """Let the journal grow, and tell of it now and then, or twice."""
        while self.journal.head < EVENTS:
            self.journal.head += self.dice.randrange(1, 4)
            for _ in range(self.dice.choice((0, 1, 1, 2))):
                self.wake()
            await self.turns(12)
        self.journal.closed = True

    async def who(self, request: Request) -> Actor:
        await self.turns(3)
        return ADA

    def scope(self, push: Callable[[bytes], bool]) -> dict[str, Any]:
        """A request for the stream, over a connection that takes bytes by `push`."""
        server = {"sitting.stream": {"push": push, "abort": lambda: None}}
        return {"type": "http", "headers": [], "query_string": b"", "app": self.app, "extensions": server}

    async def read(self, after: int) -> bytes:
        """One connection, from a position until it ends by itself or is cut."""
        return await self.heard(lambda request: self.stream(request, "s", self.who, Position(1, after)))

    async def heard(self, stream: Callable[[Request], EventStream]) -> bytes:
        """What one connection brings until its stream ends by itself or is cut."""
        body = bytearray()
        gone = asyncio.Event()

        async def send(message: Any) -> None:
            body.extend(message.get("body", b""))
            await self.turns(3)

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        def push(chunked: bytes) -> bool:
            taken = self.dice.random() < 0.7
            if taken:
                size, _, rest = chunked.partition(b"\r\n")
                body.extend(rest[: int(size, 16)])
            return taken

        scope = self.scope(push)
        task = asyncio.create_task(stream(Request(scope))(scope, receive, send))
        leave = self.dice.choice((task.cancel, gone.set, None))
        await self.turns(150)
        while leave is None and not task.done():
            self.wake()  # as the sweep would within a second
            await asyncio.sleep(0)
        if leave is not None:
            leave()
        await asyncio.gather(task, return_exceptions=True)
        return bytes(body)

    async def follow(self) -> list[int]:
        """One follower's whole log, over as many connections as it takes."""
        log: list[int] = []
        at = 0
        while not self.journal.closed or at < self.journal.head:
            body = await self.read(at)
            body = body[: body.rfind(b"\n\n") + 2]
            log += [int(seq) for seq in TOLD.findall(body)]
            at = max([at, *(int(seq) for seq in POSITION.findall(body))])
        return log


def run(scene: Callable[[], Coroutine[Any, Any, None]], house: House) -> None:
    async def inside() -> None:
        async with house.live.serving():
            await asyncio.wait_for(scene(), 240)

    asyncio.run(inside())


def storm(house: House) -> None:
    """Everybody follows while the journal grows."""

    async def scene() -> None:
        writing = asyncio.create_task(house.write())
        logs = await asyncio.gather(*(house.follow() for _ in range(FOLLOWERS)))
        await writing
        whole = [seq for seq in range(1, house.journal.head + 1) if seq % 3]
        assert all(log == whole for log in logs), logs
        while house.journal.under_way:  # what others read together outlives who asked for it
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert (house.live.followers, house.streams._feeds, house.streams._reads) == (0, {}, {})

    run(scene, house)


def storms(count: int, dice: random.Random, stream: type[JournalStream] = JournalStream) -> None:
    for _ in range(count):
        storm(House(random.Random(dice.random()), stream))


def test_each_hears_everything_once_in_every_order(dice: random.Random, rounds: Callable[[int, int], int]) -> None:
    storms(rounds(50, 5000), dice)


class Repeating(JournalStream):
    """Forgets once that it has sent something."""

    forgetful = True

    def _taken(self, chunk: Chunk) -> bytes:
        data = super()._taken(chunk)
        if self.forgetful and data and self.seat.seq > 1:
            self.forgetful = False
            self.seat.seq -= 2
        return data


def test_an_event_that_comes_twice_is_noticed(dice: random.Random) -> None:
    with pytest.raises(AssertionError):
        storms(20, dice, Repeating)


def test_a_burst_is_read_by_one_for_all_who_sleep(dice: random.Random) -> None:
    house, heard = House(dice), [bytearray(b"") for _ in range(500)]
    journal, feeds = house.journal, house.streams._feeds

    async def sleepers() -> int:
        await asyncio.sleep(0)
        return sum(seat.sleeps for feed in feeds.values() for seat in feed._seats)

    async def scene() -> None:
        tasks = [asyncio.create_task(taken(house, body)) for body in heard]
        while await sleepers() < len(heard):
            continue
        journal.reads = journal.most_under_way = 0
        held = journal.held = asyncio.Event()
        journal.head += 1
        house.wake()
        while not journal.under_way:
            await asyncio.sleep(0)
        for _ in range(999):
            journal.head += 1
            house.wake()
            await house.turns(2)
        assert journal.reads == 1, "whatever comes meanwhile waits for the read under way"
        held.set()
        while not all(body.endswith(b'id: 1.%d\ndata: {"seq":%d}\n\n' % (1001, 1001)) for body in heard):
            await asyncio.sleep(0)
        assert journal.most_under_way <= 2, "the feed's, and one for all whom it has woken"
        assert journal.reads <= 2 * (1 + 1000 // FIRST_PAGE), "page by page"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(scene, house)


async def taken(house: House, body: bytearray) -> None:
    """A follower that takes everything at once."""

    async def send(message: Any) -> None:
        body.extend(message.get("body", b""))

    async def receive() -> Any:
        await asyncio.Event().wait()

    def push(chunked: bytes) -> bool:
        size, _, rest = chunked.partition(b"\r\n")
        body.extend(rest[: int(size, 16)])
        return True

    scope = house.scope(push)
    await house.stream(Request(scope), "s", house.who, Position(1, 1))(scope, receive, send)
