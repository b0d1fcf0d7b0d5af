"""An engine over a store, as a test wants it: a clock that stands still, wakes that are remembered, results at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sitting.core.actor import Actor
from sitting.core.event import Event
from sitting.core.kind import Kind
from sitting.engine import Engine
from sitting.store import Store, migrate
from tests.support import workshop
from tests.support.clock import ManualClock

T = TypeVar("T")
SECONDS = 60
MEMBER = frozenset({"member"})
ADA = Actor("user:ada", "s1", MEMBER)
BOB = Actor("user:bob", "s1", MEMBER)
EVE = Actor("user:eve", "s2", MEMBER)
ADMIN = Actor("user:root", "s1", frozenset({"member", "admin"}))
SYSTEM = Actor("system:cli", "s1")


class Woken:
    """Remembers who was told what."""

    def __init__(self) -> None:
        self.wakes: list[tuple[str, int, int]] = []
        self.texts: list[tuple[str, str, int, str]] = []

    def wake(self, session: str, seq: int, version: int) -> None:
        self.wakes.append((session, seq, version))

    def wake_text(self, session: str, turn: str, off: int, text: str) -> None:
        self.texts.append((session, turn, off, text))


class Bench:
    """An engine and all that stands around it. Calling it waits for a future."""

    def __init__(
        self,
        store: Store,
        *,
        clock: ManualClock | None = None,
        kinds: Mapping[str, Kind] | None = None,
        **installed: Any,
    ) -> None:
        self.store = store
        self.clock = clock or ManualClock()
        self.woken = Woken()
        self.engine = Engine(
            store, kinds or workshop.KINDS, clock=self.clock, wakes=self.woken, epoch=3, installed=installed
        )

    def __call__(self, future: Future[T]) -> T:
        return future.result(SECONDS)

    def workshop(self, actor: Actor = ADA, **fields: Any) -> str:
        """The id of a new workshop."""
        return self(self.engine.open("workshop", workshop.Create(**fields), actor)).session.id

    def team(self, actor: Actor = ADA, **fields: Any) -> str:
        return self(self.engine.open("team", workshop.Found(**fields), actor)).session.id

    def say(self, session: str, text: str = "hello", *, actor: Actor = ADA, **fields: Any) -> None:
        self(self.engine.do(session, workshop.Say(text=text, **fields), actor))

    def types(self, session: str, actor: Actor = ADA) -> list[str]:
        """The types of all events, in order."""
        return [event.type for event in self.selected(session, actor=actor)]

    def selected(self, session: str, *types: str, actor: Actor = ADA) -> tuple[Event, ...]:
        return self(self.engine.selected(session, actor, types, limit=1000)).events


@contextmanager
def bench(store: Store, **options: Any) -> Iterator[Bench]:
    """An engine that is closed afterwards; the store is not."""
    made = Bench(store, **options)
    try:
        yield made
    finally:
        made.engine.close()


def opened(path: Path) -> Store:
    """A migrated SQLite store in a directory."""
    store = Store(f"sqlite:///{path / 'sitting.db'}")
    migrate.upgrade(store)
    return store


def at_once(count: int, do: Callable[[int], T]) -> list[T | Exception]:
    """What `do(n)` gives or raises for each n, all begun at the same instant."""
    barrier = threading.Barrier(count)

    def run(number: int) -> T | Exception:
        barrier.wait(SECONDS)
        try:
            return do(number)
        except Exception as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def of(results: Sequence[T | Exception], sort: type[Exception]) -> list[Exception]:
    """The results that are errors of a sort."""
    return [result for result in results if isinstance(result, sort)]
