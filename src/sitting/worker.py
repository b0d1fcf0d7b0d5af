"""Leases jobs and fires deadlines. A job is a request from inside: it works outside any transaction and reports through
the engine like anybody else.

A lease lasts 10 s and is renewed every 3; its number fences the dead. A job taken over from a dead worker goes on after
the steps in the journal (`resume`) or ends with what was written (`interrupt`). An attempt counts when it failed or
when its worker died, not when it was handed over; a job whose workers keep dying is given up. What a job writes for
people to watch is stored at once for the first piece and then every 20 ms at most; the more jobs write at once, the
larger the pieces, so that what is stored and told in a second does not grow with them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from . import errors, logs, tracing
from . import hints as carriers
from .core.kind import Kind
from .core.session import Session
from .engine import Engine, Lease
from .hints import Hints
from .store import jobs, sessions, texts
from .store.jobs import Job
from .store.transaction import Tx
from .workroom import FLUSH_SECONDS, Room, present

LEASE_SECONDS = 10.0
RENEW_SECONDS = 3.0
PIECES_PER_SECOND = 2500  # of all running jobs of a process together, from 50 jobs on
POLL_SECONDS = 1.0
LET_GO_SECONDS = 5.0  # for the store to take the leases back when the worker stops
TIDY_SECONDS = 600.0
DEADLINES = 100
BACKOFF_SECONDS = (1.0, 4.0, 15.0, 60.0)
TAKEOVERS = 5  # of a job, beyond its retries
INTERRUPTED = "interrupted"

log = structlog.get_logger(__name__)


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
        self._rooms: dict[Lease, Room] = {}  # by lease: an attempt that has lost its job may still run beside the next
        self._unbegun: list[tuple[Job, datetime]] = []  # to be given back, and from when on they may be taken again
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

    def stop(self, *, seconds: float = 2.0, store_seconds: float = LET_GO_SECONDS) -> None:
        """Take no more jobs, ask the running ones to end, and let go of the leases of those that have not reported.

        It comes to an end in bounded time, also when the store does not answer; the log says what was left then.
        """
        self._stopping.set()
        self._news.set()
        rooms = self._open_rooms()
        for room in rooms:
            room.stop()
        until = time.monotonic() + seconds
        for thread in self._running:
            if thread.is_alive():
                thread.join(max(0.0, until - time.monotonic()))
        while self._open_rooms() and time.monotonic() < until:
            self._news.clear()
            self._news.wait(0.05)
        self._release([room.lease for room in rooms if not room.ended], store_seconds)
        self._pool.shutdown(wait=False, cancel_futures=True)
        threads, left = [thread.name for thread in self._running if thread.is_alive()], self._open_rooms()
        if threads or left:
            log.warning("the worker stops with work left", threads=threads, jobs=[room.job for room in left])

    def tick(self) -> datetime | None:
        """One round: fire what is due, take what is ready. When the next deadline falls, if any is known."""
        now = self._engine.clock.now()
        self._give_back()
        next_at = self._fire(now)
        if now >= self._tidied_at + timedelta(seconds=TIDY_SECONDS):
            self._engine.tidy().result()
            self._tidied_at = now
        free = self._threads - len(self._open_rooms())
        if free > 0:
            self._begin(self._take(now, free), now)
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
                log.error("a round of the worker failed", **_told(error))
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
                until = self._until()
                for room in rooms:
                    self._renew(room, until)

    def _until(self) -> datetime:
        """When a lease that is taken or renewed now runs out."""
        return self._engine.clock.now() + timedelta(seconds=LEASE_SECONDS)

    def _renew(self, room: Room, until: datetime) -> None:
        lease = room.lease
        renewed = self._engine.store.write(
            lambda tx: jobs.renew(tx, lease.session, lease.job, lease=lease.number, until=until)
        )

        def check(future: Future[bool]) -> None:
            if future.exception() is None:
                room.renewed(future.result(), until)

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
            except Exception as error:
                # A kind whose deadline cannot be carried out, or one that is locked, must not keep others waiting.
                wait = BACKOFF_SECONDS[0] if isinstance(error, errors.Fault) else BACKOFF_SECONDS[-1]
                self._deferred[id] = now + timedelta(seconds=wait)
                log.error("a deadline failed", session=id, **_told(error))
        return now if len(found) == wanted else None

    def _take(self, now: datetime, limit: int) -> list[Job]:
        """Lease what is ready, behind the renewal of what runs here and is late.

        Whoever was cut off from the store for longer than a lease would otherwise take its own healthy jobs over.
        """
        soon = now + timedelta(seconds=RENEW_SECONDS)
        late = [room for room in self._open_rooms() if room.lease_until <= soon]
        late.sort(key=lambda room: room.job)  # so that two workers never wait for each other

        def write(tx: Tx) -> tuple[datetime, list[bool], list[Job]]:
            until = self._until()
            leases = [room.lease for room in late]
            held = [jobs.renew(tx, each.session, each.job, lease=each.number, until=until) for each in leases]
            return until, held, jobs.take(tx, now=now, until=until, limit=limit)

        until, held, taken = self._engine.store.write(write).result()
        for room, is_held in zip(late, held, strict=True):
            room.renewed(is_held, until)
        return taken

    def _begin(self, taken: Sequence[Job], now: datetime) -> None:
        """Begin what was taken. What cannot begin is given back, so that nobody takes it for a dead worker's."""
        later = now + timedelta(seconds=LEASE_SECONDS)
        for place, job in enumerate(taken):
            try:
                begun = self._begun(job)
            except errors.Fault:
                self._unbegun += [(each, now) for each in taken[place:]]
                self._give_back()
                raise
            except Exception as error:
                # A session that cannot be read must not keep the jobs of others waiting.
                log.error("a job could not begin", job=job.id, purpose=job.purpose, **_told(error))
                begun = False
            if not begun:
                self._unbegun.append((job, now if self._stopping.is_set() else later))
        self._give_back()

    def _begun(self, job: Job) -> bool:
        """Have a job run here; False when its session is gone, its kind is not known here, or the worker stops."""

        def read(tx: Tx) -> tuple[Session, str] | None:
            session = present(tx, job.session, self._engine.epoch)
            return None if session is None else (session, texts.read(tx, job.session, job.id))

        found = self._engine.store.read(read).result()
        if found is None or found[0].kind not in self._engine.kinds:
            return False
        room = Room(self._engine, job, found[0], models=self._models, written=found[1])
        with self._lock:
            if self._stopping.is_set():
                return False
            for old in self._rooms.values():
                if old.job == job.id:
                    old.stop()
            self._pool.submit(self._run, job, room)
            self._rooms[room.lease] = room
        return True

    def _give_back(self) -> None:
        """Give back what was taken and not begun; what the store does not take back now, in the next round."""
        back = list(self._unbegun)
        if not back:
            return
        try:
            self._engine.store.write(lambda tx: [jobs.give_back(tx, job, at=at) for job, at in back]).result()
        except Exception as error:
            log.warning("jobs that could not begin are still to be given back", **_told(error))
        else:
            self._unbegun.clear()

    def _run(self, job: Job, room: Room) -> None:
        kind = self._engine.kinds[room.session.kind]
        try:
            worn = job.attempt > 1 + job.retries + TAKEOVERS
            if job.taken_over and (worn or job.on_takeover == "interrupt"):
                if worn:
                    log.error("a job is given up: its workers died", job=job.id, purpose=job.purpose)
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
                self._rooms.pop(room.lease, None)
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

    def _release(self, leases: Sequence[Lease], seconds: float) -> None:
        """Have leases run out now, so that another worker need not wait for it."""
        unbegun, now = list(self._unbegun), self._engine.clock.now()
        if not (leases or unbegun):
            return

        def write(tx: Tx) -> None:
            for lease in leases:
                jobs.release(tx, lease.session, lease.job, lease=lease.number, now=now)
            for job, _ in unbegun:
                jobs.give_back(tx, job, at=now)

        try:
            self._engine.store.write(write).result(seconds)
        except (errors.Fault, TimeoutError) as error:
            log.warning("leases could not be let go; they will run out", **_told(error))

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
        found = [room for room in self._open_rooms() if room.job == job]
        for room in found:
            room.stop()
        return bool(found)

    def _open_rooms(self) -> list[Room]:
        with self._lock:
            return list(self._rooms.values())


def _told(error: Exception) -> dict[str, Any]:
    """What a log may say of an error: a message of our own holds no content, another's may."""
    if isinstance(error, errors.SittingError):
        return {"code": error.code, "reason": error.message}
    return {"error": type(error).__name__, "trail": logs.trail(error)}
