"""Leases jobs and fires deadlines. A job is a request from inside: it works outside any transaction and reports through
the engine like anybody else.

A lease lasts 10 s and is renewed every 3; its number fences the dead. A job taken over from a dead worker goes on after
the steps in the journal (`resume`) or ends with what was written (`interrupt`). What a job writes for people to watch
is stored at once for the first piece and then every 20 ms at most; the more jobs write at once, the larger the pieces,
so that what is stored and told in a second does not grow with them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from . import errors, tracing
from . import hints as carriers
from .core.actor import WORKER
from .core.event import Event
from .core.kind import Command, Kind
from .core.session import Session
from .engine import Engine, Lease
from .hints import Hints
from .store import jobs, journal, sessions, texts
from .store.jobs import Job

LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0
FLUSH_SECONDS = 0.02
PIECES_PER_SECOND = 2500  # of all running jobs of a process together, from 50 jobs on
POLL_SECONDS = 1.0
TIDY_SECONDS = 600.0
DEADLINES = 100
BACKOFF_SECONDS = (1.0, 4.0, 15.0, 60.0)
INTERRUPTED = "interrupted"

log = structlog.get_logger(__name__)


class Room:
    """What one running job has; `core.kind.Workroom` says what a kind may use."""

    def __init__(self, engine: Engine, job: Job, session: Session, *, models: Any, written: str) -> None:
        self.session = session
        self.job = job.id
        self.input: Mapping[str, Any] = job.input
        self.attempt = job.attempt
        self.models = models
        self.lease = Lease(job.session, job.id, job.lease)
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
        found = self._engine.store.read(lambda tx: list(journal.every(tx, id))).result()
        return [journal.event(record) for record in found if not types or record.type in types]

    def read(self, kind: str, id: str) -> Session | None:
        """Another session of the same space."""

        def read(tx: Any) -> Session | None:
            held = sessions.load(tx, id, epoch=self._engine.epoch)
            return None if held is None or held.erased else held.session

        found = self._engine.store.read(read).result()
        return found if found is not None and (found.kind, found.space) == (kind, self.session.space) else None

    def about(self, kind: str) -> Sequence[str]:
        """The ids of the sessions of a kind whose subject is this session, oldest first."""
        return self._engine.store.read(lambda tx: sessions.about(tx, self.session.id, (kind,))).result()

    def tell(self, session: str, command: Command) -> Session:
        """Carry a command out, as the worker, in a session that is about this one.

        Not fenced by the lease: a job that is taken over may tell twice, so what it tells must bear that.
        Raises NotFound, and what the kind refuses with.
        """

        def read(tx: Any) -> bool:
            held = sessions.load(tx, session, epoch=self._engine.epoch)
            return held is not None and held.session.subject == self.session.id

        if not self._engine.store.read(read).result():
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


class Worker:
    """Runs the jobs of one engine's kinds, a few at once, and the deadlines of all its sessions."""

    def __init__(
        self,
        engine: Engine,
        *,
        models: Any,
        hints: Hints | None = None,
        threads: int = 8,
        renew_seconds: float = RENEW_SECONDS,
    ) -> None:
        self._engine = engine
        self._hints = hints or carriers.Silent()
        self._renew_seconds = renew_seconds
        self._models = models
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="job")
        self._rooms: dict[str, Room] = {}
        self._lock = threading.Lock()
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._deferred: dict[str, datetime] = {}
        self._tidied_at = datetime.min.replace(tzinfo=UTC)
        self._running = [
            threading.Thread(target=self._loop, name="worker", daemon=True),
            threading.Thread(target=self._pulse, name="worker-pulse", daemon=True),
        ]

    def start(self) -> None:
        """Begin, and look at once for what was left behind. A worker that has begun goes on."""
        if self._running[0].ident is not None:
            return
        self._engine.on_work(self._news.set)
        self._engine.on_cancel(self._cancelled)
        self._hints.subscribe(self._hear)
        for thread in self._running:
            thread.start()

    def stop(self, *, seconds: float = 2.0) -> None:
        """Take no more jobs, ask the running ones to end, and let go of the leases of those that have not reported."""
        self._stopping.set()
        self._news.set()
        for thread in self._running:
            if thread.is_alive():
                thread.join()
        rooms = self._open_rooms()
        for room in rooms:
            room.stop()
        until = time.monotonic() + seconds
        while self._open_rooms() and time.monotonic() < until:
            self._news.clear()
            self._news.wait(0.05)
        self._release(room.lease for room in rooms if not room.ended)
        self._pool.shutdown(wait=False, cancel_futures=True)

    def tick(self) -> datetime | None:
        """One round: fire what is due, take what is ready. When the next deadline falls, if any is known."""
        now = self._engine.clock.now()
        next_at = self._fire(now)
        if now >= self._tidied_at + timedelta(seconds=TIDY_SECONDS):
            self._engine.store.write(lambda tx: sessions.forget_answers(tx, before=now)).result()
            self._tidied_at = now
        free = self._threads - len(self._open_rooms())
        if free > 0:
            until = now + timedelta(seconds=LEASE_SECONDS)
            for job in self._engine.store.write(lambda tx: jobs.take(tx, now=now, until=until, limit=free)).result():
                self._begin(job)
        return next_at

    def idle(self) -> bool:
        """Whether no job runs here."""
        return not self._open_rooms()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            self._news.clear()
            wait = POLL_SECONDS
            try:
                next_at = self.tick()
                if next_at is not None:
                    wait = min(wait, max(0.0, (next_at - self._engine.clock.now()).total_seconds()))
            except errors.Fault as fault:
                log.warning("worker waits for the store", code=fault.code)
            except Exception as error:
                # This thread is the only one that runs what nobody asks for; it outlives every single fault.
                log.error("a round of the worker failed", error=type(error).__name__)
            self._news.wait(wait)

    def _pulse(self) -> None:
        """Store what jobs wrote, and renew their leases."""
        renewed = time.monotonic()
        while not self._stopping.wait(FLUSH_SECONDS):
            rooms = self._open_rooms()
            pace = max(FLUSH_SECONDS, len(rooms) / PIECES_PER_SECOND)
            for room in rooms:
                room.pace = pace
                room.flush()
            if time.monotonic() - renewed >= self._renew_seconds:
                renewed = time.monotonic()
                until = self._engine.clock.now() + timedelta(seconds=LEASE_SECONDS)
                for room in rooms:
                    self._renew(room, until)

    def _renew(self, room: Room, until: datetime) -> None:
        lease = room.lease
        renewed = self._engine.store.write(
            lambda tx: jobs.renew(tx, lease.session, lease.job, lease=lease.number, until=until)
        )

        def check(future: Future[bool]) -> None:
            if future.exception() is None and not future.result():
                room.stop()

        renewed.add_done_callback(check)

    def _fire(self, now: datetime) -> datetime | None:
        """Fire what is due. When there is more to do, as far as a look at the first deadlines tells."""
        self._deferred = {id: at for id, at in self._deferred.items() if at > now}
        wanted = DEADLINES + len(self._deferred)
        found = self._engine.store.read(lambda tx: sessions.due(tx, limit=wanted)).result()
        for id, at in found:
            if at > now:
                return at
            if id in self._deferred:
                continue
            try:
                self._engine.fire(id).result()
            except errors.Fault:
                raise
            except Exception as error:
                # A kind whose deadline cannot be carried out must not keep the others waiting.
                self._deferred[id] = now + timedelta(seconds=BACKOFF_SECONDS[-1])
                log.error("a deadline failed", session=id, **_told(error))
        return now if len(found) == wanted else None

    def _begin(self, job: Job) -> None:
        def read(tx: Any) -> tuple[Session, str] | None:
            held = sessions.load(tx, job.session, epoch=self._engine.epoch)
            return None if held is None or held.erased else (held.session, texts.read(tx, job.session, job.id))

        found = self._engine.store.read(read).result()
        if found is None or found[0].kind not in self._engine.kinds:
            return
        room = Room(self._engine, job, found[0], models=self._models, written=found[1])
        with self._lock:
            self._rooms[job.id] = room
        self._pool.submit(self._run, job, room)

    def _run(self, job: Job, room: Room) -> None:
        kind = self._engine.kinds[room.session.kind]
        try:
            if job.taken_over and job.on_takeover == "interrupt":
                self._end(kind, job, room, INTERRUPTED)
            else:
                with tracing.span(
                    f"job {job.purpose}", parent=job.trace, kind=tracing.SpanKind.CONSUMER, job=job.id,
                    session=job.session, attempt=job.attempt,
                ):  # fmt: skip
                    kind.work[job.purpose](room)
                if not room.ended and not room.cancelled:
                    self._engine.finish(room.lease).result()
        except errors.LeaseLost:
            log.info("a job was cancelled or taken over", job=job.id, purpose=job.purpose)
        except Exception as error:
            self._failed(kind, job, room, error)
        finally:
            with self._lock:
                self._rooms.pop(job.id, None)
            self._news.set()

    def _failed(self, kind: Kind, job: Job, room: Room, error: Exception) -> None:
        code = error.code if isinstance(error, errors.SittingError) else "failed"
        log.warning("a job failed", job=job.id, purpose=job.purpose, attempt=job.attempt, **_told(error))
        try:
            if job.attempt <= job.retries:
                room.settle()
                wait = BACKOFF_SECONDS[min(job.attempt, len(BACKOFF_SECONDS)) - 1]
                at = self._engine.clock.now() + timedelta(seconds=wait)
                self._engine.store.write(
                    lambda tx: jobs.retry(tx, job.session, job.id, lease=job.lease, run_at=at)
                ).result()
            else:
                self._end(kind, job, room, code)
        except errors.LeaseLost:
            log.info("a job was cancelled or taken over", job=job.id, purpose=job.purpose)
        except Exception as problem:
            log.error("a job could not be ended; its lease will run out", job=job.id, **_told(problem))

    def _end(self, kind: Kind, job: Job, room: Room, reason: str) -> None:
        """End a job that cannot go on, by the kind's own command when it has one and the session still takes it."""
        if job.purpose in kind.interrupted:
            try:
                room.report(kind.interrupted[job.purpose](job.id, room.written(), reason), last=True)
                return
            except errors.LeaseLost:
                raise
            except errors.Refusal as refusal:
                log.warning("a session took no word of its job's end", job=job.id, **_told(refusal))
        self._engine.finish(room.lease).result()

    def _release(self, leases: Iterable[Lease]) -> None:
        """Have leases run out now, so that another worker need not wait for it."""
        held, now = list(leases), self._engine.clock.now()

        def write(tx: Any) -> None:
            for lease in held:
                jobs.release(tx, lease.session, lease.job, lease=lease.number, now=now)

        try:
            self._engine.store.write(write).result()
        except errors.Fault as fault:
            log.warning("leases could not be let go; they will run out", code=fault.code)

    def _cancelled(self, job: str) -> None:
        """A job was cancelled through this process; it may run in another."""
        if not self._stop(job):
            self._hints.publish(carriers.CANCEL + job)

    def _hear(self, hint: str) -> None:
        if hint in (carriers.WORK, carriers.LOOK):
            self._news.set()
        elif hint.startswith(carriers.CANCEL):
            self._stop(hint.removeprefix(carriers.CANCEL))

    def _stop(self, job: str) -> bool:
        """Ask a job to end soon; whether it runs here."""
        with self._lock:
            room = self._rooms.get(job)
        if room is not None:
            room.stop()
        return room is not None

    def _open_rooms(self) -> list[Room]:
        with self._lock:
            return list(self._rooms.values())


def _told(error: Exception) -> dict[str, str]:
    """What a log may say of an error: a message of our own holds no content, another's may."""
    if isinstance(error, errors.SittingError):
        return {"code": error.code, "reason": error.message}
    return {"error": type(error).__name__}
