"""A feed spares its sleepers the work, and wakes whoever it cannot serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future

from sitting.core.session import Session
from sitting.live import Live, Topic
from sitting.reading import Page, Turn
from sitting.web import frames
from sitting.web.feed import Feed, Seat
from sitting.web.frames import Chunk


class Journal:
    """A journal that a test lets grow, and how often it was read."""

    def __init__(self) -> None:
        self.head = 3
        self.reads = 0
        self.closed = False
        self.turns: tuple[Turn, ...] = ()
        self.error: Exception | None = None

    async def read(self, after: int) -> Chunk:
        self.reads += 1
        if self.error is not None:
            raise self.error
        events = tuple((seq, {"seq": seq}) for seq in range(after + 1, self.head + 1))
        session = Session("s", "toy", "default", seq=self.head)
        return frames.chunk(Page(session, "owner", "owner", self.closed, events, self.turns), after=after)


class Socket:
    """What was pushed, while it can be."""

    def __init__(self) -> None:
        self.pushed: list[bytes] = []
        self.open = True

    def push(self, chunked: bytes) -> bool:
        if self.open:
            self.pushed.append(chunked)
        return self.open


class Scene:
    """A feed at position 3 whose seats a test fills."""

    def __init__(self, live: Live, topic: Topic) -> None:
        self.live, self.topic, self.journal = live, topic, Journal()
        self.feed = Feed(live, topic, self.journal.read, seq=3, tick=topic.tick, access=live.access)

    def sit(self, seq: int = 3) -> tuple[Seat, Socket, asyncio.Task[None]]:
        """A follower asleep."""
        socket = Socket()
        seat = Seat(socket, seq)
        self.feed.enter(seat)
        return seat, socket, asyncio.ensure_future(self.feed.rest(seat, 60, access=self.live.access))

    async def grow(self, count: int = 1) -> None:
        """Append, tell, and wait until the feed has looked."""
        self.journal.head += count
        await self.look()

    async def look(self) -> None:
        reads = self.journal.reads
        self.live.wake("s", self.journal.head, 1)
        while self.journal.reads == reads or (self.feed.seq != self.journal.head and self.journal.error is None):
            await asyncio.sleep(0)
        await asyncio.sleep(0)


def _heads(ids: Sequence[str]) -> Future[Mapping[str, tuple[int, int]]]:
    raise AssertionError("no sweep is due")


def play(script: Callable[[Scene], Coroutine[None, None, None]]) -> None:
    async def run() -> None:
        live = Live(_heads, every=60)
        async with live.serving(), asyncio.timeout(60):
            with live.follow("s") as topic:
                await script(Scene(live, topic))

    asyncio.run(run())


def test_one_read_serves_all_who_sleep_at_the_position() -> None:
    async def script(scene: Scene) -> None:
        seats = [scene.sit() for _ in range(200)]
        await asyncio.sleep(0)
        await scene.grow(2)
        while seats[-1][0].seq != 5:
            await asyncio.sleep(0)
        expected = (await scene.journal.read(3)).data
        assert scene.journal.reads == 2
        for seat, socket, task in seats:
            assert seat.seq == 5
            assert socket.pushed == [b"%x\r\n%b\r\n" % (len(expected), expected)]
            assert not task.done()
            task.cancel()

    play(script)


def test_whoever_cannot_be_served_is_woken() -> None:
    async def script(scene: Scene) -> None:
        behind, _, behind_task = scene.sit(3)
        behind.seq = 2
        _, full, full_task = scene.sit(3)
        full.open = False
        ahead, ahead_socket, ahead_task = scene.sit(4)
        await asyncio.sleep(0)
        await scene.grow()
        await asyncio.gather(behind_task, full_task)
        assert not ahead_task.done()
        assert (ahead.seq, ahead_socket.pushed) == (4, [])
        ahead_task.cancel()

    play(script)


def test_turns_and_ends_are_for_each_to_see() -> None:
    async def script(scene: Scene) -> None:
        _, socket, task = scene.sit()
        await asyncio.sleep(0)
        scene.journal.turns = (Turn("t", "echo"),)
        await scene.grow()
        await task
        scene.journal.turns, scene.journal.closed = (), True
        seat, other, task = scene.sit(4)
        await asyncio.sleep(0)
        await scene.grow()
        await task
        assert (seat.seq, socket.pushed, other.pushed) == (4, [], [])

    play(script)


def test_trouble_wakes_everybody_and_the_feed_goes_on() -> None:
    async def script(scene: Scene) -> None:
        _, _, task = scene.sit()
        await asyncio.sleep(0)
        scene.journal.error = OSError("down")
        await scene.look()
        await task
        scene.journal.error = None
        seat, socket, task = scene.sit()
        await asyncio.sleep(0)
        await scene.grow()
        assert seat.seq == 4
        assert len(socket.pushed) == 1
        task.cancel()

    play(script)


def test_nobody_sleeps_who_has_missed_something() -> None:
    async def script(scene: Scene) -> None:
        _, _, task = scene.sit()
        await asyncio.sleep(0)
        await scene.grow()
        late = Seat(Socket(), 3)
        scene.feed.enter(late)
        await scene.feed.rest(late, 60, access=scene.live.access)
        current = Seat(Socket(), 4)
        await scene.feed.rest(current, 60, access=scene.live.access - 1)
        await scene.feed.rest(current, 0.01, access=scene.live.access)
        task.cancel()

    play(script)


def test_a_revocation_wakes_everybody() -> None:
    async def script(scene: Scene) -> None:
        _, _, task = scene.sit()
        await asyncio.sleep(0)
        scene.live.wake_all()
        await task

    play(script)


def test_the_last_who_leaves_ends_it() -> None:
    async def script(scene: Scene) -> None:
        first, _, one = scene.sit()
        second, _, two = scene.sit()
        await asyncio.sleep(0)
        assert not scene.feed.leave(first)
        assert scene.feed.leave(second)
        for task in (one, two):
            task.cancel()
        await asyncio.sleep(0)
        reads = scene.journal.reads
        scene.live.wake("s", 9, 9)
        await scene.live.wait(scene.topic, 0, 1)
        assert scene.journal.reads == reads

    play(script)
