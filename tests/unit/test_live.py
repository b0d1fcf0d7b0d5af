"""The wake hub: hints may be lost, doubled or late, and a follower still looks in time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future

import pytest

from sitting.live import Live


class Heads:
    """What a store would say: heads that a test sets, and how often it was asked."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[int, int]] = {}
        self.epoch = 0
        self.asked: list[list[str]] = []
        self.fails = False

    def heads(self, sessions: Sequence[str]) -> Future[Mapping[str, tuple[int, int]]]:
        self.asked.append(list(sessions))
        future: Future[Mapping[str, tuple[int, int]]] = Future()
        if self.fails:
            future.set_exception(OSError("down"))
        else:
            future.set_result({id: self.known[id] for id in sessions if id in self.known})
        return future

    def epochs(self) -> Future[int]:
        future: Future[int] = Future()
        future.set_result(self.epoch)
        return future


def run(
    scene: Callable[[Live, Heads], Coroutine[None, None, None]], *, every: float = 60.0, apart: float = 60.0
) -> None:
    """Play a scene on a serving hub; a minute between sweeps, and revocations, unless the scene is about them."""

    async def play() -> None:
        heads = Heads()
        live = Live(heads.heads, heads.epochs, every=every, apart=apart)
        async with live.serving():
            async with asyncio.timeout(60):
                await scene(live, heads)

    asyncio.run(play())


def test_a_wake_between_reading_and_waiting_is_not_lost() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        with live.follow("s") as topic:
            tick = topic.tick
            live.wake("s", 1, 1)
            assert await live.wait(topic, tick, 30)

    run(scene)


def test_wakes_come_from_other_threads_and_are_gathered() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        with live.follow("s") as topic:

            def hint() -> None:
                for n in range(1, 1001):
                    live.wake("s", n, n)

            thread = threading.Thread(target=hint)
            tick = topic.tick
            thread.start()
            assert await live.wait(topic, tick, 30)
            await asyncio.to_thread(thread.join)
            while topic.seq < 1000:
                await live.wait(topic, topic.tick, 30)
            assert 1 <= topic.tick < 1000

    run(scene)


def test_only_the_followers_of_the_session_wake() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        with live.follow("a") as a, live.follow("b") as b:
            live.wake("a", 1, 1)
            assert await live.wait(a, 0, 30)
            assert not await live.wait(b, 0, 0.01)

    run(scene)


def test_waiting_ends_at_its_timeout_and_leaves_nothing() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        with live.follow("s") as topic:
            assert not await live.wait(topic, topic.tick, 0.01)
            assert not await live.wait(topic, topic.tick, 0)
            assert not topic.waiting

    run(scene)


def test_a_cancelled_follower_leaves_nothing() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        entered = asyncio.Event()

        async def follow() -> None:
            with live.follow("s", "user:a") as topic:
                entered.set()
                await live.wait(topic, topic.tick, 60)

        task = asyncio.create_task(follow())
        await entered.wait()
        assert live.followers == 1
        assert live.online("s") == {"user:a": 1}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert live.followers == 0
        assert live.online("s") == {}

    run(scene)


def test_the_last_follower_takes_the_topic_along() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        with live.follow("s", "user:a"):
            with live.follow("s", "user:a"), live.follow("s", "user:b"):
                assert live.online("s") == {"user:a": 2, "user:b": 1}
            assert live.online("s") == {"user:a": 1}
        live.wake("s", 1, 1)
        with live.follow("s") as topic:
            assert topic.seq == -1

    run(scene)


@pytest.mark.parametrize("head", [(7, 1), (1, 7)])
def test_a_lost_wake_costs_one_sweep(head: tuple[int, int]) -> None:
    async def scene(live: Live, heads: Heads) -> None:
        heads.known["s"] = (1, 1)
        with live.follow("s") as topic:
            while topic.seq != 1:
                await live.wait(topic, topic.tick, 30)
            heads.known["s"] = head
            assert await live.wait(topic, topic.tick, 30)
            assert (topic.seq, topic.version) == head

    run(scene, every=0.01)


def test_a_sweep_asks_once_for_all_and_says_nothing_when_nothing_moved() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        heads.known = {"a": (1, 1), "b": (1, 1)}
        with live.follow("a") as a, live.follow("b") as b, live.follow("b"):
            while a.seq != 1 or b.seq != 1:
                await live.wait(a, a.tick, 0.05)
            tick, asked = b.tick, len(heads.asked)
            while len(heads.asked) < asked + 3:
                await live.wait(a, a.tick, 0.01)
            assert b.tick == tick
            assert all(sorted(ids) == ["a", "b"] for ids in heads.asked)

    run(scene, every=0.01)


def test_a_failed_sweep_is_followed_by_another() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        heads.fails = True
        with live.follow("s") as topic:
            while len(heads.asked) < 2:
                await live.wait(topic, topic.tick, 0.01)
            heads.fails, heads.known["s"] = False, (3, 3)
            while topic.seq != 3:
                await live.wait(topic, topic.tick, 30)

    run(scene, every=0.01)


def test_a_revocation_anywhere_is_noticed_by_the_sweep() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        heads.known["s"] = (1, 1)
        with live.follow("s") as topic:
            while topic.seq != 1:
                await live.wait(topic, topic.tick, 30)
            access, heads.epoch = live.access, 5
            while live.access == access:
                await live.wait(topic, topic.tick, 30)

    run(scene, every=0.01, apart=0.01)


def test_a_revocation_here_wakes_everybody() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        with live.follow("a") as a, live.follow("b") as b:
            access = live.access
            live.wake_all()
            assert await live.wait(a, 0, 30)
            assert await live.wait(b, 0, 30)
            assert live.access == access + 1

    run(scene)


def test_all_are_asked_who_they_are_once_in_a_while_only() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        with live.follow("s") as topic:
            live.access_taken()
            assert await live.wait(topic, 0, 30)
            tick, access = topic.tick, live.access
            for _ in range(100):
                live.access_taken()
            live.wake("s", 1, 1)
            while topic.seq != 1:
                await live.wait(topic, topic.tick, 30)
            assert (topic.tick, live.access) == (tick + 1, access)
            live.wake_all()
            assert await live.wait(topic, topic.tick, 30)
            assert live.access == access + 1, "who leaves does not wait for that"

    run(scene)


def test_what_was_taken_meanwhile_is_asked_about_soon() -> None:
    async def scene(live: Live, heads: Heads) -> None:
        with live.follow("s") as topic:
            for access in range(live.access, live.access + 3):
                live.access_taken()
                live.access_taken()
                while live.access == access:
                    await live.wait(topic, topic.tick, 30)
                assert live.access == access + 1

    run(scene, apart=0.01)


def test_a_hub_that_serves_again_asks_again() -> None:
    async def play() -> None:
        live = Live(Heads().heads, every=60, apart=60)
        for _ in range(2):
            async with live.serving(), asyncio.timeout(60):
                with live.follow("s") as topic:
                    live.access_taken()
                    live.access_taken()
                    live.wake_all()
                    assert await live.wait(topic, topic.tick, 30)
                    live.access_taken()
                    live.wake("s", 1, 1)
                    while topic.seq != 1:
                        await live.wait(topic, topic.tick, 30)
                live.access_taken()  # and nobody waits for it
            assert live._next is None

    asyncio.run(play())


def test_hints_travel_both_ways() -> None:
    class Between:
        def __init__(self) -> None:
            self.published: list[str] = []
            self.callback: Callable[[str], None] = lambda session: None

        def publish(self, session: str) -> None:
            self.published.append(session)

        def subscribe(self, hear: Callable[[str], None]) -> None:
            self.callback = hear

        def close(self) -> None:
            self.published.append("closed")

    async def scene() -> None:
        heads, hints = Heads(), Between()
        live = Live(heads.heads, hints=hints, every=60)
        async with live.serving():
            with live.follow("s") as topic:
                hints.callback("session:s")
                assert await live.wait(topic, 0, 30)
                hints.callback("work")
                hints.callback("look")
                assert await live.wait(topic, 1, 30)
                assert topic.tick == 2
            live.wake("unfollowed", 1, 1)
            live.wake_text("unfollowed", "turn", 0, "text")
        assert hints.published == ["session:unfollowed", "session:unfollowed"]

    asyncio.run(scene())


def test_what_a_turn_writes_here_is_at_hand_until_something_else_happens() -> None:
    async def scene() -> None:
        live = Live(Heads().heads, every=60)
        async with live.serving():
            with live.follow("s") as topic:
                live.wake_text("s", "turn", 3, "four ")
                live.wake_text("s", "turn", 8, "five")
                assert await live.wait(topic, 0, 30)
                assert [topic.written("turn", after) for after in (2, 3, 7, 8, 12)] == [
                    "",
                    "four five",
                    " five",
                    "five",
                    "",
                ]
                assert (topic.written("another", 0), topic.moves) == ("", 0)
                tick = topic.tick
                live.wake_text("s", "turn", 20, "far")
                assert await live.wait(topic, tick, 30)
                assert (topic.written("turn", 8), topic.written("turn", 20)) == ("", "far")
                tick = topic.tick
                live.wake("s", 2, 2)
                assert await live.wait(topic, tick, 30)
                assert (topic.written("turn", 20), topic.moves) == ("", 1)

    asyncio.run(scene())


def test_nothing_happens_outside_serving() -> None:
    live = Live(Heads().heads)
    live.wake("s", 1, 1)
    live.wake_all()
    with live.follow("s") as topic:
        live.wake("s", 2, 2)
        assert topic.tick == 0
