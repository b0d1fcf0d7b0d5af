"""Several engines and workers over one store, as if each were a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sitting.core.kind import Command, Kind, Workroom
from sitting.store import Store, jobs
from sitting.store.jobs import Job
from sitting.worker import Worker
from tests.support import workshop
from tests.support.engines import ADA, SECONDS, Bench
from tests.support.workshop import Held


def until(holds: Callable[[], object]) -> None:
    """Ask again and again; the store is asked each time, so this gives way to those who write."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"


class Hall:
    """Engines and workers over one store, all closed at the end."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.run = Bench(store)
        self._benches = [self.run]
        self._held: list[Held] = []
        self._workers: list[Worker] = []

    def worker(self, *, start: bool = False, interrupts: bool = True, **work: Callable[[Workroom], None]) -> Worker:
        """A worker in a process of its own, as far as the store can tell."""
        kinds: dict[str, Kind] = {"team": workshop.TEAM, "workshop": workshop.kind(work=work, interrupts=interrupts)}
        own = Bench(self.store, clock=self.run.clock, kinds=kinds)
        self._benches.append(own)
        made = Worker(own.engine, models="models", threads=2, renew_seconds=0.06)
        self._workers.append(made)
        if start:
            made.start()
        return made

    def hold(self, do: Callable[[Workroom, int], None] = lambda room, _: None) -> Held:
        """A job that waits to be let go, at the latest when the test is over."""
        self._held.append(Held(do))
        return self._held[-1]

    def close(self) -> None:
        for held in self._held:
            held.go.set()
        for worker in self._workers:
            worker.stop(seconds=SECONDS)
        for made in self._benches:
            made.engine.close()

    def job(self, session: str, id: str = "") -> Job:
        id = id or str(self.run(self.run.engine.view(session, ADA)).session.data["job"])
        found = self.run(self.store.read(lambda tx: jobs.one(tx, session, id)))
        assert found is not None
        return found

    def asked(self, command: Command, **fields: Any) -> str:
        """A workshop in which a job was asked for."""
        session = self.run.workshop(**fields)
        self.run(self.run.engine.do(session, command, ADA))
        return session

    def steps(self, session: str) -> list[int]:
        """The numbers of the steps in a journal."""
        return [event.data["number"] for event in self.run.selected(session, "stepped")]

    def ends(self, session: str) -> Job:
        """Wait for the end of a session's job."""
        until(lambda: not self.job(session).is_active)
        return self.job(session)
