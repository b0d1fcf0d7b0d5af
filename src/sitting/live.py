"""Wakes the followers of sessions; keeps no data but the last words of turns that are being written here.

A wake is a hint: it says "look", never what is there. Each followed session has a counter, `tick`, that goes up with
every hint. A follower notes the tick, reads, and waits until the tick is another one, so a hint that comes between
reading and waiting is not lost. Hints may be doubled, late or missing: one sweep a second asks the store for the heads
of all followed sessions, whoever follows them, and ticks what has moved. Losing a hint costs a second.

The one exception: text of a running turn that this process has just stored is at hand for its followers until anything
else happens in the session, so that they need not read it again (decision 15).

Everything but the thread-safe `wake*` functions runs on the one event loop that entered `serving`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import structlog

from . import hints as carriers
from .hints import Hints

log = structlog.get_logger("sitting.live")
HEADS_AT_ONCE = 1000
ASK_SECONDS = 1.0  # between two times that everybody is asked who they are: any sign-in may be a reason to
KEPT = 4096  # characters of a turn that a follower may be behind before it has to read


@dataclass(slots=True, eq=False)
class Topic:
    """One followed session. `seq` and `version` are the last ones seen here, only to notice that they moved.

    `tick` goes up with every hint, `moves` with all but those that bring the text of a turn along.
    """

    tick: int = 0
    moves: int = 0
    seq: int = -1
    version: int = -1
    followers: int = 0
    waiting: set[asyncio.Future[None]] = field(default_factory=set)
    online: Counter[str] = field(default_factory=Counter)
    texts: dict[str, tuple[int, str]] = field(default_factory=dict)

    def written(self, turn: str, after: int) -> str:
        """What was stored of a turn from an offset on, as far as it was seen here; perhaps nothing."""
        off, text = self.texts.get(turn, (0, ""))
        return text[after - off :] if off <= after else ""


class Live:
    """The wake hub of one process. `heads` gives `{session: (seq, version)}`, `epoch` a counter of revocations."""

    def __init__(
        self,
        heads: Callable[[Sequence[str]], Future[Mapping[str, tuple[int, int]]]],
        epoch: Callable[[], Future[int]] | None = None,
        *,
        hints: Hints | None = None,
        every: float = 1.0,
        apart: float = ASK_SECONDS,
    ) -> None:
        self._heads = heads
        self._epoch = epoch
        self._hints = hints or carriers.Silent()
        self._every = every
        self._apart = apart
        self._topics: dict[str, Topic] = {}
        self._lock = threading.Lock()
        self._hinted: dict[str, tuple[int, int]] = {}
        self._written: list[tuple[str, str, int, str]] = []
        self._everyone = False
        self._called = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._access = -1
        self._asked_at = float("-inf")
        self._next: asyncio.TimerHandle | None = None
        self.access = 0

    def wake(self, session: str, seq: int, version: int) -> None:
        """A session has moved, and that is committed. From any thread; never blocks."""
        self._hint(session, seq, version)
        self._hints.publish(carriers.SESSION + session)

    def wake_text(self, session: str, turn: str, off: int, text: str) -> None:
        """A turn of this session has written, and that is committed. From any thread; never blocks."""
        self._hint(session, -1, -1, written=(session, turn, off, text))
        self._hints.publish(carriers.SESSION + session)

    def wake_all(self) -> None:
        """Every follower here proves itself anew and looks, at once. From any thread; never blocks."""
        self._hint("", 0, 0)

    def access_taken(self) -> None:
        """Somebody's access was taken away: followers prove themselves anew, on every node. From any thread.

        At most once in a second, however often it happens: else one person could keep everybody's streams busy.
        """
        self._taken()
        self._hints.publish(carriers.LOOK)

    @contextmanager
    def follow(self, session: str, actor: str = "") -> Iterator[Topic]:
        """Attach to a session. Attach before the first read, and note `topic.tick` before each read."""
        topic = self._topics.setdefault(session, Topic())
        topic.followers += 1
        topic.online[actor] += 1
        try:
            yield topic
        finally:
            topic.followers -= 1
            topic.online[actor] -= 1
            if topic.followers == 0:
                del self._topics[session]

    async def wait(self, topic: Topic, known: int, timeout: float) -> bool:
        """Until the topic's tick is not `known`, or `timeout` seconds; whether it moved."""
        if topic.tick != known or timeout <= 0:
            return topic.tick != known
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        topic.waiting.add(woken)
        timer = woken.get_loop().call_later(timeout, _release, woken)
        try:
            await woken
        finally:
            timer.cancel()
            topic.waiting.discard(woken)
        return topic.tick != known

    def online(self, session: str) -> dict[str, int]:
        """The actors that follow a session in this process, with their number of streams."""
        topic = self._topics.get(session)
        return {actor: count for actor, count in topic.online.items() if count} if topic else {}

    @property
    def followers(self) -> int:
        """Open followers in this process."""
        return sum(topic.followers for topic in self._topics.values())

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Wakes arrive on the running loop, and the sweep runs, until this ends."""
        self._loop = asyncio.get_running_loop()
        self._hints.subscribe(self._foreign)
        sweeper = self._loop.create_task(self._sweeps())
        try:
            yield
        finally:
            with self._lock:
                self._loop = None
            sweeper.cancel()
            await asyncio.gather(sweeper, return_exceptions=True)
            if self._next is not None:  # perhaps from a call that was on its way
                self._next.cancel()
                self._next = None

    def _foreign(self, hint: str) -> None:
        """What another process says: a session has moved, or anything may have."""
        if hint == carriers.LOOK:
            self._taken()
        elif hint.startswith(carriers.SESSION):
            self._hint(hint.removeprefix(carriers.SESSION), -1, -1)

    def _taken(self) -> None:
        with self._lock:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._revoked)

    def _hint(self, session: str, seq: int, version: int, *, written: tuple[str, str, int, str] | None = None) -> None:
        # Whoever attaches after this look reads after the commit this hint is about.
        if session and session not in self._topics:
            return
        with self._lock:
            if self._loop is None:
                return
            if written is not None:
                self._written.append(written)
            elif session:
                before = self._hinted.get(session, (-1, -1))
                self._hinted[session] = (max(before[0], seq), max(before[1], version))
            else:
                self._everyone = True
            if self._called:
                return
            self._called = True
            self._loop.call_soon_threadsafe(self._deliver)

    def _deliver(self) -> None:
        """Runs once for all hints that came since the last time."""
        with self._lock:
            hinted, self._hinted = self._hinted, {}
            everyone, self._everyone = self._everyone, False
            written, self._written = self._written, []
            self._called = False
        for session, turn, off, text in written:
            if (topic := self._topics.get(session)) is not None:
                _keep(topic, turn, off, text)
                _tick(topic)
        if everyone:
            self._ask_all()
        for session, (seq, version) in hinted.items():
            if (topic := self._topics.get(session)) is not None:
                topic.seq, topic.version = max(topic.seq, seq), max(topic.version, version)
                _move(topic)

    def _revoked(self) -> None:
        """Ask all as soon as the last time is long enough ago; one that waits already is soon enough."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.call_at(max(loop.time(), self._asked_at + self._apart), self._ask_all)

    def _ask_all(self) -> None:
        if self._next is not None:
            self._next.cancel()
            self._next = None
        self._asked_at = asyncio.get_running_loop().time()
        self.access += 1
        for topic in self._topics.values():
            _move(topic)

    async def _sweeps(self) -> None:
        while True:
            await asyncio.sleep(self._every)
            if not self._topics:
                continue
            try:
                await self._sweep(list(self._topics))
            except Exception as error:  # whatever the store says, the next sweep asks again
                log.warning("sweep failed", error=type(error).__name__)

    async def _sweep(self, sessions: list[str]) -> None:
        if self._epoch is not None:
            epoch = await asyncio.shield(asyncio.wrap_future(self._epoch()))
            if epoch != self._access:
                self._access = epoch
                self._revoked()
        for start in range(0, len(sessions), HEADS_AT_ONCE):
            asked = {
                id: topic.tick for id in sessions[start : start + HEADS_AT_ONCE] if (topic := self._topics.get(id))
            }
            heads = await asyncio.shield(asyncio.wrap_future(self._heads(list(asked))))
            for session, tick in asked.items():
                topic, head = self._topics.get(session), heads.get(session, (0, 0))
                # A topic that ticked meanwhile was read after this answer, or is about to be; the next sweep compares.
                if topic is not None and topic.tick == tick and head != (topic.seq, topic.version):
                    topic.seq, topic.version = head
                    _move(topic)


def _keep(topic: Topic, turn: str, off: int, text: str) -> None:
    begin, known = topic.texts.get(turn, (off, ""))
    follows = begin + len(known) == off and len(known) < KEPT
    topic.texts[turn] = (begin, known + text) if follows else (off, text)


def _move(topic: Topic) -> None:
    topic.moves += 1
    topic.texts.clear()
    _tick(topic)


def _tick(topic: Topic) -> None:
    topic.tick += 1
    waiting, topic.waiting = topic.waiting, set()
    for woken in waiting:
        _release(woken)


def _release(woken: asyncio.Future[None]) -> None:
    if not woken.done():
        woken.set_result(None)
