"""Who holds a job, which attempts count, and what a worker leaves behind when it cannot go on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text, update
from structlog.testing import capture_logs

from sitting import errors
from sitting.core.kind import Command, Workroom
from sitting.store import Store, jobs
from sitting.store.jobs import Job
from sitting.store.schema import sessions as rows
from sitting.worker import LEASE_SECONDS, TAKEOVERS, Worker
from tests.support import workshop
from tests.support.engines import SECONDS, opened
from tests.support.hall import Hall, until
from tests.support.workshop import Climb, Draft, Held, Step

CLIMB = workshop.climb
DRAFT = workshop.draft


@pytest.fixture
def hall(store: Store) -> Iterator[Hall]:
    made = Hall(store)
    yield made
    made.close()


def taken(hall: Hall) -> list[Job]:
    """What a worker takes that dies before it does anything."""
    now = hall.run.clock.now()
    end = now + timedelta(seconds=LEASE_SECONDS)
    return hall.run(hall.store.write(lambda tx: jobs.take(tx, now=now, until=end, limit=9)))


def lost(hall: Hall, worker: Worker, held: Held, to: Held) -> None:
    """A worker begins a job and is cut off for as long as a lease, so that another takes the job over."""
    worker.tick()
    assert held.entered.wait(SECONDS)
    hall.run.clock.advance(LEASE_SECONDS)
    hall.worker(climb=to).tick()
    assert to.entered.wait(SECONDS)


def change(hall: Hall, *statements: str) -> None:
    """Change the database's tables, as one in trouble seems to."""
    hall.run(hall.store.write(lambda tx: [tx.run(text(each)) for each in statements]))


# Who holds a job


@pytest.mark.parametrize("command", [Climb(steps=2), Draft(prompt="p")])
def test_a_worker_that_was_cut_off_for_longer_than_a_lease_keeps_its_jobs(hall: Hall, command: Command) -> None:
    """No pulse beats here, as when the database is away; the first round after it comes back must not take over."""
    held = hall.hold(lambda room, _: CLIMB(room) if isinstance(command, Climb) else DRAFT(room))
    worker = hall.worker(climb=held, draft=held)
    session = hall.asked(command)
    worker.tick()
    assert held.entered.wait(SECONDS)
    hall.run.clock.advance(LEASE_SECONDS + 1)
    worker.tick()
    job = hall.job(session)
    assert (job.lease, job.lease_until) == (1, hall.run.clock.now() + timedelta(seconds=LEASE_SECONDS))
    held.go.set()
    assert hall.ends(session).state == ("done" if isinstance(command, Climb) else "completed")
    assert len(held.rooms) == 1


def test_a_worker_that_was_cut_off_lets_go_of_what_another_has_taken(hall: Hall) -> None:
    dead, other = hall.hold(), hall.hold(lambda room, _: CLIMB(room))
    first = hall.worker(climb=dead)
    session = hall.asked(Climb(steps=1))
    lost(hall, first, dead, to=other)
    first.tick()
    assert dead.rooms[0].cancelled and not other.rooms[0].cancelled
    other.go.set()
    assert hall.ends(session).lease == 2


def test_an_attempt_that_has_lost_its_job_leaves_the_next_ones_room_alone(hall: Hall) -> None:
    old, elsewhere, new = hall.hold(), hall.hold(), hall.hold(lambda room, _: CLIMB(room))
    runs = iter((old, new))
    worker = hall.worker(climb=lambda room: next(runs)(room))
    session = hall.asked(Climb(steps=1))
    lost(hall, worker, old, to=elsewhere)
    hall.run.clock.advance(LEASE_SECONDS)
    worker.tick()
    assert new.entered.wait(SECONDS)
    assert [room.cancelled for room in (*old.rooms, *new.rooms)] == [True, False]
    old.go.set()
    until(lambda: old.rooms[0] not in worker._open_rooms())
    assert worker._open_rooms() == new.rooms and not worker.idle()
    worker._cancelled(hall.job(session).id)
    assert [room.cancelled for room in new.rooms] == [True]
    new.go.set()
    assert hall.ends(session).lease == 3
    until(worker.idle)


# Which attempts count


@pytest.mark.parametrize("retries", [0, 2])
def test_a_job_whose_workers_keep_dying_is_given_up(hall: Hall, retries: int) -> None:
    def said(job: str, text: str, why: str) -> Command:
        reasons.append(why)
        return Step(number=99)

    reasons: list[str] = []
    allowed = 1 + retries + TAKEOVERS
    lucky = hall.asked(Climb(steps=1, retries=retries))
    for _ in range(allowed - 1):
        taken(hall)
        hall.run.clock.advance(LEASE_SECONDS)
    hall.worker().tick()
    assert (hall.ends(lucky).attempt, hall.steps(lucky)) == (allowed, [1])
    unlucky = hall.asked(Climb(steps=1, retries=retries))
    for _ in range(allowed):
        taken(hall)
        hall.run.clock.advance(LEASE_SECONDS)
    worker = hall.worker()
    worker._engine.kinds["workshop"].interrupted["climb"] = said  # type: ignore[index]
    worker.tick()
    assert hall.ends(unlucky).state == "done"
    assert (hall.steps(unlucky), reasons) == ([99], ["interrupted"])


def test_a_job_handed_over_in_order_loses_no_attempt(hall: Hall) -> None:
    def gives_way(room: Workroom) -> None:
        entered.set()
        assert room.wait(SECONDS)

    def fails(room: Workroom) -> None:
        raise errors.Conflict()

    session = hall.asked(Climb(steps=1, retries=1))
    for handed_over in range(1, TAKEOVERS + 4):
        entered = threading.Event()
        worker = hall.worker(climb=gives_way)
        worker.tick()
        assert entered.wait(SECONDS)
        for _ in range(2):
            worker.stop()
        job = hall.job(session)
        assert (job.state, job.lease, job.attempt) == ("leased", handed_over, 0)
    worker = hall.worker(climb=fails)
    worker.tick()
    until(lambda: hall.job(session).state == "queued")
    assert hall.job(session).attempt == 1
    hall.run.clock.advance(60)
    hall.worker().tick()
    assert (hall.ends(session).attempt, hall.steps(session)) == (2, [1])


def test_what_is_given_back_is_as_it_was(hall: Hall) -> None:
    session = hall.asked(Draft(prompt="p"))
    queued, now = hall.job(session), hall.run.clock.now()
    fresh = taken(hall)[0]
    assert hall.run(hall.store.write(lambda tx: jobs.give_back(tx, fresh, at=now)))
    assert not hall.run(hall.store.write(lambda tx: jobs.give_back(tx, fresh, at=now)))
    job = hall.job(session)
    assert (job.state, job.attempt, job.run_at, job.lease_until) == (queued.state, 0, now, None)
    assert not taken(hall)[0].taken_over
    later = hall.run.clock.advance(LEASE_SECONDS)
    over = taken(hall)[0]
    assert over.taken_over and over.attempt == 2
    assert hall.run(hall.store.write(lambda tx: jobs.give_back(tx, over, at=later)))
    again = taken(hall)[0]
    assert again.taken_over and (again.attempt, again.lease) == (2, 4)


def test_letting_go_counts_back_once_and_only_for_who_holds(hall: Hall) -> None:
    def released(number: int) -> bool:
        now = hall.run.clock.now()
        return hall.run(hall.store.write(lambda tx: jobs.release(tx, job.session, job.id, lease=number, now=now)))

    session = hall.asked(Climb())
    job = taken(hall)[0]
    assert [released(2), released(1), released(1)] == [False, True, False]
    assert hall.job(session).attempt == 0
    assert taken(hall)[0].lease == 2
    hall.run.clock.advance(LEASE_SECONDS)
    assert not released(2)
    assert hall.job(session).attempt == 1


# What could not begin


def test_jobs_that_could_not_begin_are_given_back_at_once(tmp_path: Path) -> None:
    """What a turn has written cannot be read for a while; the jobs that were just taken were never begun."""
    store = opened(tmp_path)
    hall = Hall(store)
    worker = hall.worker()
    drafting = [hall.asked(Draft(prompt="p")) for _ in range(2)]
    change(hall, "ALTER TABLE texts RENAME TO away")
    with pytest.raises(errors.StoreUnavailable):
        worker.tick()
    found = [hall.job(session) for session in drafting]
    assert [(job.state, job.attempt, job.run_at) for job in found] == [("queued", 0, hall.run.clock.now())] * 2
    change(hall, "ALTER TABLE away RENAME TO texts")
    hall.run.clock.advance(LEASE_SECONDS)
    worker.tick()
    assert [hall.ends(session).state for session in drafting] == ["completed"] * 2
    hall.close()
    store.close()


def test_what_the_store_does_not_take_back_is_given_back_in_the_next_round(tmp_path: Path) -> None:
    store = opened(tmp_path)
    hall = Hall(store)
    worker = hall.worker()
    session = hall.asked(Draft(prompt="p"))
    refused = "BEFORE UPDATE ON jobs WHEN new.state = 'queued' BEGIN SELECT RAISE(ABORT, ''); END"
    change(hall, "ALTER TABLE texts RENAME TO away", f"CREATE TRIGGER refusal {refused}")
    with capture_logs() as logs, pytest.raises(errors.StoreUnavailable):
        worker.tick()
    assert any(line["event"].endswith("still to be given back") for line in logs)
    assert hall.job(session).state == "leased"
    change(hall, "ALTER TABLE away RENAME TO texts", "DROP TRIGGER refusal")
    hall.run.clock.advance(LEASE_SECONDS)
    worker.tick()
    assert hall.ends(session).state == "completed"
    hall.close()
    store.close()


def test_a_session_that_cannot_be_read_keeps_no_other_job_waiting(hall: Hall) -> None:
    broken, good = hall.asked(Climb(steps=1)), hall.asked(Climb(steps=1))
    id = hall.job(broken).id
    hall.run(hall.store.write(lambda tx: tx.run(update(rows).where(rows.c.id == broken).values(data="{"))))
    worker = hall.worker()
    worker.tick()
    assert hall.ends(good).state == "done"
    left = hall.job(broken, id)
    assert (left.state, left.attempt) == ("queued", 0)
    assert left.run_at == hall.run.clock.now() + timedelta(seconds=LEASE_SECONDS)


def test_a_job_taken_while_the_worker_stops_is_given_back(hall: Hall) -> None:
    session = hall.asked(Climb(steps=1))
    worker = hall.worker()
    worker.stop()
    worker.tick()
    job = hall.job(session)
    assert (job.state, job.attempt, job.lease, job.run_at) == ("queued", 0, 1, hall.run.clock.now())


# Stopping


def test_who_has_nothing_to_let_go_asks_nothing_of_the_store(hall: Hall) -> None:
    worker, go = hall.worker(), threading.Event()
    hanging = [hall.store.write(lambda tx: go.wait(SECONDS)) for _ in range(8)]  # all writers that there are
    with capture_logs() as logs:
        worker.stop(store_seconds=0)
    go.set()
    assert logs == [] and all(hall.run(each) for each in hanging)


def test_stopping_ends_though_the_store_does_not_answer(hall: Hall) -> None:
    held, go = hall.hold(), threading.Event()
    worker = hall.worker(start=True, climb=held)
    session = hall.asked(Climb())
    assert held.entered.wait(SECONDS)
    hanging = [hall.store.write(lambda tx: go.wait(SECONDS)) for _ in range(8)]  # all writers that there are
    worker._news.set()
    until(lambda: not worker._news.is_set())  # a round has begun, and nothing it writes is answered
    with capture_logs() as logs:
        worker.stop(seconds=0, store_seconds=0)
    told = {line["event"]: line for line in logs}
    assert told["leases could not be let go; they will run out"]["error"] == "TimeoutError"
    left = told["the worker stops with work left"]
    assert "worker" in left["threads"] and left["jobs"] == [held.rooms[0].job]
    go.set()
    assert all(hall.run(each) for each in hanging)
    until(lambda: not any(thread.is_alive() for thread in worker._running))
    until(lambda: hall.job(session).attempt == 0)  # let go after all; a renewal that hung too may come behind it
