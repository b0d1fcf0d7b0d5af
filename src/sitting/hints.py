"""Wakes between processes: PostgreSQL's NOTIFY or NATS. A hint says "look", never what is there.

Hints are sent by a thread of their own, off the write path, and those that wait are sent together, each once. They may
be lost, doubled and late: every second somebody sweeps, so what they save is that second. A process does not hear its
own hints. While the carrier cannot be reached nobody waits, and after it came back everybody is told to look. Hints are
words: `session:<id>` (it has moved), `work` (a job or a deadline is new), `cancel:<job>`, and `look` (hints may have
been missed).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import structlog

from . import errors
from .config import Settings

LOOK = "look"
WORK = "work"
SESSION = "session:"
CANCEL = "cancel:"
CHANNEL = "sitting"
AGAIN_SECONDS = 1.0  # after a fault, and how long the end of a process may wait for its last hints
GLANCE_SECONDS = 0.25
PAUSE_SECONDS = 0.002  # between two sendings, for what comes meanwhile to go together
NOTIFY_SECONDS = 0.010  # the same on PostgreSQL, where each is a commit that all commits queue behind
_MAX_BYTES = 7500  # PostgreSQL takes 7999 in one notification

log = structlog.get_logger("sitting.hints")
Hear = Callable[[str], None]


class Hints(Protocol):
    """Carries hints to the other processes, at most once. Losing one is allowed, blocking the publisher is not."""

    def publish(self, hint: str) -> None:
        """Tell the other processes. From any thread."""

    def subscribe(self, hear: Hear) -> None:
        """Call `hear`, on any thread, with each hint of another process, and with `look` whenever it begins to hear."""

    def close(self) -> None:
        """Send what waits, and hear no more."""


class Silent:
    """One process alone: there is nobody to tell."""

    def publish(self, hint: str) -> None:
        """Nobody hears."""

    def subscribe(self, hear: Hear) -> None:
        """Nothing will be heard."""

    def close(self) -> None:
        """There is nothing to end."""


class _Carrier:
    """What both carriers share: hints that wait are a set, so a thousand wakes of one session are one."""

    def __init__(self) -> None:
        self.name = secrets.token_hex(8)
        self._hearing: list[Hear] = []
        self._waiting: dict[str, None] = {}
        self._news = threading.Condition()
        self._closed = False
        self._threads: list[threading.Thread] = []

    def publish(self, hint: str) -> None:
        with self._news:
            if self._closed:
                return
            fresh = not self._waiting
            self._waiting[hint] = None
            self._begin("hints-send", self._sends)
            if fresh:
                self._wake()

    def subscribe(self, hear: Hear) -> None:
        with self._news:
            self._hearing.append(hear)
            self._begin("hints-hear", self._hears)

    def close(self) -> None:
        with self._news:
            self._closed = True
            self._news.notify_all()
        for thread in self._threads:
            thread.join(2 * AGAIN_SECONDS)

    @property
    def closed(self) -> bool:
        """Whether this is over."""
        return self._closed

    def hear(self, payload: str) -> None:
        """Give on what came, unless it is our own: the sender's name, then hints, by lines."""
        sender, *hints = payload.split("\n")
        if sender != self.name:
            self.tell(hints)

    def tell(self, hints: Iterable[str]) -> None:
        """Give hints to everybody here who hears."""
        for hint in hints:
            for hear in self._hearing:
                hear(hint)

    def take(self) -> list[str]:
        """What waits to be sent, as payloads."""
        with self._news:
            hints, self._waiting = list(self._waiting), {}
        payloads, size = [[self.name]] if hints else [], 0
        for hint in hints:
            size += len(hint) + 1
            if size > _MAX_BYTES:
                payloads.append([self.name])
                size = len(hint) + 1
            payloads[-1].append(hint)
        return ["\n".join(payload) for payload in payloads]

    def wait(self, seconds: float, *, news: bool = False) -> None:
        """Wait, or less when this ends; with `news`, or until there is something to send."""
        with self._news:
            self._news.wait_for(lambda: self._closed or (news and bool(self._waiting)), seconds)

    def _wake(self) -> None:
        """There is something to send. Called under the lock."""
        self._news.notify_all()

    def _begin(self, name: str, run: Callable[[], None]) -> None:
        if all(thread.name != name for thread in self._threads):
            self._threads.append(threading.Thread(target=run, name=name, daemon=True))
            self._threads[-1].start()

    def _sends(self) -> None:
        raise NotImplementedError

    def _hears(self) -> None:
        raise NotImplementedError

    def _tried(self, what: str, run: Callable[[], None]) -> None:
        """Do something until this ends, again after each fault. The log hears of the first of several."""
        quiet = False
        while not self._closed:
            try:
                run()
                quiet = False
            except Exception as error:
                if not quiet and not self._closed:
                    log.warning(f"hints cannot be {what}; the sweep does without", error=type(error).__name__)
                quiet = True
                self.take()
                self.wait(AGAIN_SECONDS)


class Notify(_Carrier):
    """PostgreSQL's NOTIFY, over two connections of its own. Listening needs a session, so no transaction pooler."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def _sends(self) -> None:
        self._tried("sent", self._send)

    def _send(self) -> None:
        with self._connected() as connection:
            while (payloads := self.take()) or not self.closed:
                if payloads:
                    connection.execute("SELECT pg_notify(%s, p) FROM unnest(%s::text[]) p", (CHANNEL, payloads))
                    self.wait(NOTIFY_SECONDS)
                self.wait(GLANCE_SECONDS, news=True)

    def _hears(self) -> None:
        self._tried("heard", self._hear)

    def _hear(self) -> None:
        with self._connected() as connection:
            connection.execute(f"LISTEN {CHANNEL}")
            self.tell([LOOK])
            while not self.closed:
                for heard in connection.notifies(timeout=GLANCE_SECONDS):
                    self.hear(heard.payload)

    def _connected(self) -> Any:
        import psycopg

        return psycopg.connect(self._url, autocommit=True, connect_timeout=5, prepare_threshold=None)


class Nats(_Carrier):
    """Core NATS: one subject, no stream, nothing kept."""

    def __init__(self, url: str, *, subject: str = CHANNEL) -> None:
        super().__init__()
        self._url = url
        self._subject = subject
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fresh = asyncio.Event()

    def _wake(self) -> None:
        super()._wake()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._fresh.set)

    def _sends(self) -> None:
        self._tried("sent", lambda: asyncio.run(self._send()))

    async def _send(self) -> None:
        client = await self._connected()
        self._fresh = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        try:
            while (payloads := self.take()) or not self.closed:
                for payload in payloads:
                    await client.publish(self._subject, payload.encode())
                await asyncio.sleep(PAUSE_SECONDS if payloads else 0)
                if not payloads:
                    await self._news_or_glance()
            await client.flush(AGAIN_SECONDS)
        finally:
            with self._news:
                self._loop = None
            await client.close()

    async def _news_or_glance(self) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._fresh.wait(), GLANCE_SECONDS)
        self._fresh.clear()

    def _hears(self) -> None:
        self._tried("heard", lambda: asyncio.run(self._hear()))

    async def _hear(self) -> None:
        client = await self._connected()

        async def hear(message: Any) -> None:
            self.hear(message.data.decode(errors="replace"))

        try:
            await client.subscribe(self._subject, cb=hear)
            await client.flush(AGAIN_SECONDS)
            self.tell([LOOK])
            while not self.closed and client.is_connected:
                await asyncio.sleep(GLANCE_SECONDS)
        finally:
            await client.close()

    async def _connected(self) -> Any:
        """A connection that is not mended behind our back: whoever lost hints must be told."""
        import nats

        async def quiet(_error: Exception) -> None:
            return None

        return await nats.connect(self._url, allow_reconnect=False, connect_timeout=5, error_cb=quiet)


def connect(settings: Settings) -> Hints:
    """The carrier that the settings name; PostgreSQL's own where the database is PostgreSQL and nothing is said.

    Raises:
        Misuse: the address is of another kind, or NATS is named and its package is missing.
    """
    wanted = settings.hints or ("" if settings.database_url.startswith("sqlite") else settings.database)
    scheme = wanted.partition("://")[0]
    if wanted in ("", "none"):
        return Silent()
    if scheme in ("postgresql", "postgres"):
        return Notify(wanted)
    if scheme in ("nats", "tls"):
        from importlib.util import find_spec

        if find_spec("nats") is None:
            raise errors.Misuse("SITTING_HINTS names NATS; install Sitting with its extra `nats`.")
        return Nats(wanted)
    raise errors.Misuse("SITTING_HINTS must be empty, none, postgresql://... or nats://...")
