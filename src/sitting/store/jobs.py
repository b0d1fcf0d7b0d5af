"""Jobs under a lease. Its number goes up each time a job is taken, so that a dead holder's late word is refused.

`attempt` counts the attempts that were used up, with the one under way: those that failed and those whose holder died,
not those that were handed over or never begun.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, delete, insert, or_, select, text, update

from ..core.event import from_text, to_text
from ..core.kind import JobRequest
from . import schema
from .schema import jobs
from .transaction import Hot, Tx

QUEUED, LEASED, DONE, CANCELLED, FAILED = "queued", "leased", "done", "cancelled", "failed"
ACTIVE = (QUEUED, LEASED)
_COLUMNS = tuple(jobs.c)
# In the words of the partial indexes: otherwise every look would read the jobs that have ended, too.
_IS_ACTIVE = text(schema.ACTIVE)
_OF_SESSION = Hot(select(*_COLUMNS).where(jobs.c.session == bindparam("session_"), _IS_ACTIVE))
_IS_ONE = and_(jobs.c.session == bindparam("session_"), jobs.c.id == bindparam("id_"))
_ONE = Hot(select(*_COLUMNS).where(_IS_ONE))
_HELD = Hot(select(jobs.c.state, jobs.c.lease).where(_IS_ONE))
_HELD_LOCKED = Hot(select(jobs.c.state, jobs.c.lease).where(_IS_ONE).with_for_update())
_ADD = Hot(insert(jobs).values({column.name: bindparam(column.name) for column in _COLUMNS}))
_READY = Hot(
    select(*_COLUMNS)
    .where(
        _IS_ACTIVE,
        jobs.c.run_at <= bindparam("now_"),
        or_(jobs.c.state == QUEUED, jobs.c.lease_until <= bindparam("now_")),
    )
    .order_by(jobs.c.run_at)
    .limit(bindparam("limit_"))
    .with_for_update(skip_locked=True)
)
_TAKE = Hot(
    update(jobs)
    .where(_IS_ONE)
    .values(state=LEASED, lease=bindparam("lease_"), attempt=bindparam("attempt_"), lease_until=bindparam("until_"))
)
_IS_MINE = and_(_IS_ONE, jobs.c.state == LEASED, jobs.c.lease == bindparam("lease_"))
_RENEW = Hot(update(jobs).where(_IS_MINE).values(lease_until=bindparam("until_")))
_RETRY = Hot(update(jobs).where(_IS_MINE).values(state=QUEUED, run_at=bindparam("at_"), lease_until=None))
_RELEASE = Hot(
    update(jobs)
    .where(_IS_MINE, jobs.c.lease_until > bindparam("at_"))  # so that letting go twice counts back once
    .values(lease_until=bindparam("at_"), attempt=jobs.c.attempt - 1)
)
_GIVE_BACK = Hot(
    update(jobs)
    .where(_IS_MINE)
    .values(
        state=bindparam("to_"), run_at=bindparam("run_"), lease_until=bindparam("until_"), attempt=bindparam("attempt_")
    )
)
_END = Hot(
    update(jobs).where(_IS_ONE).values(state=bindparam("to_"), end_seq=bindparam("seq_"), lease_until=None, input="{}")
)


@dataclass(frozen=True)
class Job:
    """A job as stored. `taken_over` is true on the one just taken from a holder whose lease ran out."""

    session: str
    id: str
    key: str
    purpose: str
    state: str
    input: dict[str, Any]
    on_takeover: str
    audiences: tuple[str, ...]
    retries: int
    attempt: int
    lease: int
    lease_until: datetime | None
    run_at: datetime
    end_seq: int | None
    trace: str
    taken_over: bool = False

    @property
    def is_active(self) -> bool:
        return self.state in ACTIVE

    def heard_by(self, audience: str) -> bool:
        """Whether this audience may read what the job writes."""
        return audience.partition(":")[0] in self.audiences


def add(tx: Tx, session: str, request: JobRequest, *, now: datetime, trace: str = "") -> None:
    """Queue a job, to be run at once. `trace` is the `traceparent` of who asked for it."""
    tx.run(
        _ADD,
        session=session,
        id=request.id,
        key=request.key,
        purpose=request.purpose,
        state=QUEUED,
        input=json.dumps(dict(request.input)),
        on_takeover=request.on_takeover,
        audiences=json.dumps(request.audiences),
        retries=request.retries,
        attempt=0,
        lease=0,
        lease_until=None,
        run_at=to_text(now),
        created_at=to_text(now),
        end_seq=None,
        trace=trace,
    )


def active(tx: Tx, session: str) -> list[Job]:
    """The queued and leased jobs of a session."""
    return [_job(row) for row in tx.all(_OF_SESSION, session_=session)]


def one(tx: Tx, session: str, id: str) -> Job | None:
    """A job of a session in any state."""
    row = tx.one(_ONE, session_=session, id_=id)
    return None if row is None else _job(row)


def take(tx: Tx, *, now: datetime, until: datetime, limit: int) -> list[Job]:
    """Lease jobs that wait, or whose holder's lease has run out. On PostgreSQL, rows others are taking are skipped."""
    taken = []
    for row in tx.all(_READY, now_=to_text(now), limit_=limit):
        job = _job(row)
        tx.run(
            _TAKE,
            session_=job.session,
            id_=job.id,
            lease_=job.lease + 1,
            attempt_=job.attempt + 1,
            until_=to_text(until),
        )
        taken.append(
            replace(
                job,
                state=LEASED,
                lease=job.lease + 1,
                attempt=job.attempt + 1,
                lease_until=until,
                taken_over=job.state == LEASED,
            )
        )
    return taken


def renew(tx: Tx, session: str, id: str, *, lease: int, until: datetime) -> bool:
    """Hold on to a lease; False when it is lost."""
    return tx.run(_RENEW, session_=session, id_=id, lease_=lease, until_=to_text(until)) == 1


def holds(tx: Tx, session: str, id: str, *, lease: int) -> bool:
    """Whether this lease is in force, and stays so until the transaction ends."""
    row = tx.one(_HELD_LOCKED if tx.locks else _HELD, session_=session, id_=id)
    return row is not None and row == (LEASED, lease)


def end(tx: Tx, session: str, id: str, *, state: str, seq: int) -> None:
    """Close a job with the event that reported it; its input goes, because an ended job needs none."""
    tx.run(_END, session_=session, id_=id, to_=state, seq_=seq)


def retry(tx: Tx, session: str, id: str, *, lease: int, run_at: datetime) -> bool:
    """Give a job back to be run later; False when the lease is lost."""
    return tx.run(_RETRY, session_=session, id_=id, lease_=lease, at_=to_text(run_at)) == 1


def release(tx: Tx, session: str, id: str, *, lease: int, now: datetime) -> bool:
    """Let a lease run out at once, as at shutdown: another worker takes the job over, and the attempt does not count.

    False when the lease is lost, or has run out by itself.
    """
    return tx.run(_RELEASE, session_=session, id_=id, lease_=lease, at_=to_text(now)) == 1


def give_back(tx: Tx, job: Job, *, at: datetime) -> bool:
    """Undo a taking before anything was begun, to be taken again from `at` on; False when the lease is lost.

    One that was taken from a dead holder stays so: what that one wrote may have been seen.
    """
    left = tx.run(
        _GIVE_BACK,
        session_=job.session,
        id_=job.id,
        lease_=job.lease,
        to_=LEASED if job.taken_over else QUEUED,
        run_=to_text(job.run_at if job.taken_over else at),
        until_=to_text(at) if job.taken_over else None,
        attempt_=job.attempt - 1,
    )
    return left == 1


def forget_inputs(tx: Tx, session: str) -> None:
    """Empty the inputs of a session's jobs; one that runs has read its own already."""
    tx.run(update(jobs).where(jobs.c.session == session).values(input="{}"))


def forget(tx: Tx, session: str) -> None:
    """Drop every job of a session, with its input."""
    tx.run(delete(jobs).where(jobs.c.session == session))


def _job(row: tuple[Any, ...]) -> Job:
    known = dict(zip((column.name for column in _COLUMNS), row, strict=True))
    return Job(
        session=known["session"],
        id=known["id"],
        key=known["key"],
        purpose=known["purpose"],
        state=known["state"],
        input=json.loads(known["input"]),
        on_takeover=known["on_takeover"],
        audiences=tuple(json.loads(known["audiences"])),
        retries=known["retries"],
        attempt=known["attempt"],
        lease=known["lease"],
        lease_until=None if known["lease_until"] is None else from_text(known["lease_until"]),
        run_at=from_text(known["run_at"]),
        end_seq=known["end_seq"],
        trace=known["trace"],
    )
