"""What one running job has: its session and input, and the only ways to tell, write and read.

What it writes for people to watch is stored at once for the first piece, and then when the worker's pulse says so.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from dataclasses import replace
from datetime import datetime
from typing import Any

from . import errors
from .core.actor import WORKER
from .core.event import Event
from .core.kind import Command
from .core.session import Session
from .engine import Engine, Lease
from .store import journal, sessions
from .store.jobs import Job
from .store.transaction import Tx

FLUSH_SECONDS = 0.02


class Room:
    """What one running job has; `core.kind.Workroom` says what a kind may use."""

    def __init__(self, engine: Engine, job: Job, session: Session, *, models: Any, written: str) -> None:
        self.session = session
        self.job = job.id
        self.input: Mapping[str, Any] = job.input
        self.attempt = job.attempt
        self.models = models
        self.lease = Lease(job.session, job.id, job.lease)
        assert job.lease_until is not None, "it was just taken"
        self.lease_until = job.lease_until
        self.ended = False
        self.pace = FLUSH_SECONDS
        self._engine = engine
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._stored, self._length = [written], len(written)
        self._waiting: list[str] = []
        self._storing: Future[None] | None = None
        self._stored_at = -FLUSH_SECONDS

    @property
    def cancelled(self) -> bool:
        """True once the job was cancelled, its lease is lost, or the server is stopping."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ask the work to end soon."""
        self._stopped.set()

    def wait(self, seconds: float) -> bool:
        """Wait, or less when the job is cancelled; whether it is."""
        return self._stopped.wait(seconds)

    def renewed(self, held: bool, until: datetime) -> None:
        """Take note of how a renewal went."""
        if held:
            self.lease_until = until
        else:
            self.stop()

    def report(self, command: Command, *, last: bool = False) -> Session:
        """Tell the engine. Raises LeaseLost, and what the kind refuses with."""
        try:
            done = self._engine.report(self.lease, command, last=last).result()
        except errors.LeaseLost:
            self.stop()
            raise
        self.session = done.session
        self.ended = self.ended or last
        return done.session

    def write(self, text: str) -> None:
        """Text for people to watch. The first piece is stored at once; what follows, at the next beat of the pulse."""
        if text:
            with self._lock:
                self._waiting.append(text)
                first = self._storing is None
            if first:
                self.flush()

    def written(self) -> str:
        """The text so far, that of an earlier attempt included."""
        with self._lock:
            return "".join((*self._stored, *self._waiting))

    def events(self, types: Collection[str] = ()) -> Sequence[Event]:
        """The journal of this session, oldest first."""
        id = self.session.id
        found = self._engine.store.read(lambda tx: list(journal.every(tx, id, types=types))).result()
        return [journal.event(record) for record in found]

    def read(self, kind: str, id: str) -> Session | None:
        """Another session of the same space."""
        found = self._engine.store.read(lambda tx: present(tx, id, self._engine.epoch)).result()
        return found if found is not None and (found.kind, found.space) == (kind, self.session.space) else None

    def find(self, kind: str, key: str) -> Session | None:
        """The session of a kind that holds a key in this space."""
        scope = self._engine.kind(kind).scope_of(self.session.space)
        id = self._engine.store.read(lambda tx: sessions.find(tx, kind, key, scope=scope)).result()
        return None if id is None else self.read(kind, id)

    def open(self, kind: str, command: Command) -> Session:
        """Make a session in this space, as the worker. Not fenced by the lease: a key keeps it from being made twice.

        Raises NotAllowed (its kind lets no system create), KeyTaken, and what the kind refuses with.
        """
        return self._engine.open(kind, command, replace(WORKER, space=self.session.space)).result().session

    def about(self, kind: str) -> Sequence[str]:
        """The ids of the sessions of a kind whose subject is this session, oldest first."""
        return self._engine.store.read(lambda tx: sessions.about(tx, self.session.id, (kind,))).result()

    def tell(self, session: str, command: Command) -> Session:
        """Carry a command out, as the worker, in a session that is about this one.

        Not fenced by the lease: a job that is taken over may tell twice, so what it tells must bear that.
        Raises NotFound, and what the kind refuses with.
        """
        found = self._engine.store.read(lambda tx: present(tx, session, self._engine.epoch)).result()
        if found is None or found.subject != self.session.id:
            raise errors.NotFound()
        return self._engine.do(session, command, WORKER).result().session

    def flush(self) -> None:
        """Store what waits, unless a piece is being stored or was just now."""
        with self._lock:
            busy = self._storing is not None and not self._storing.done()
            if busy or self.ended or not self._waiting or time.monotonic() - self._stored_at < self.pace:
                return
            self._stored_at = time.monotonic()
            piece = "".join(self._waiting)
            self._waiting.clear()
            self._storing = self._engine.write_text(self.lease, off=self._length, text=piece)
            self._stored.append(piece)
            self._length += len(piece)
        self._storing.add_done_callback(self._check)

    def settle(self) -> None:
        """Wait until what is being stored is, or is not: behind the job's next attempt it would be refused."""
        with self._lock:
            storing = self._storing
        if storing is not None:
            wait_for([storing])

    def _check(self, stored: Future[None]) -> None:
        if stored.cancelled() or stored.exception() is not None:
            self.stop()


def present(tx: Tx, id: str, epoch: int) -> Session | None:
    """A session as stored, unless it was erased."""
    held = sessions.load(tx, id, epoch=epoch)
    return None if held is None or held.erased else held.session
