"""What goes wrong around jobs and deadlines, and how little comes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pysqlite3
import pytest
from sqlalchemy import select, text, update
from structlog.testing import capture_logs

from sitting import errors
from sitting.core.actor import Actor
from sitting.core.kind import Command, JobRequest, Workroom
from sitting.core.session import Session
from sitting.store import Store, jobs, sessions
from sitting.store.schema import answers
from sitting.store.schema import sessions as rows
from sitting.worker import BACKOFF_SECONDS, DEADLINES, LEASE_SECONDS, Worker
from tests.contract.test_engine import once
from tests.support import workshop
from tests.support.clock import START
from tests.support.engines import ADA, BOB, EVE, SECONDS, bench, opened
from tests.support.hall import Hall, until
from tests.support.workshop import Climb, Draft, Say, Step


@pytest.fixture
def hall(store: Store) -> Iterator[Hall]:
    made = Hall(store)
    yield made
    made.close()


def test_a_job_that_fails_is_tried_again_later_with_what_it_wrote(hall: Hall) -> None:
    attempts: list[tuple[int, str]] = []

    def flaky(room: Workroom) -> None:
        attempts.append((room.attempt, room.written()))
        room.write(f"<{room.attempt}>")
        if room.attempt < 3:
            raise KeyError("a fault of the job's own")
        workshop.draft(room)

    worker = hall.worker(draft=flaky)
    session = hall.asked(Draft(prompt="!", retries=2))
    for attempt, wait in ((1, BACKOFF_SECONDS[0]), (2, BACKOFF_SECONDS[1])):
        worker.tick()
        until(lambda: hall.job(session).state == "queued")
        until(worker.idle)
        assert hall.job(session).run_at == hall.run.clock.now() + timedelta(seconds=wait)
        hall.run.clock.advance(wait - 0.001)
        worker.tick()
        assert hall.job(session).attempt == attempt
        hall.run.clock.advance(0.001)
    worker.tick()
    assert hall.ends(session).state == "completed"
    assert [attempt for attempt, _ in attempts] == [1, 2, 3]
    assert attempts[2][1].startswith("<1>")


@pytest.mark.parametrize(
    ("fault", "reason"), [(errors.ModelTimeout(), "MODEL_TIMEOUT"), (ZeroDivisionError(), "failed")]
)
def test_after_the_last_attempt_the_session_is_told_why(hall: Hall, fault: Exception, reason: str) -> None:
    def fail(room: Workroom) -> None:
        room.write("half")
        raise fault

    reasons: list[str] = []

    def told(turn: str, text: str, why: str) -> Command:
        reasons.append(why)
        return workshop.interrupted(turn, text, why)

    worker = hall.worker(draft=fail)
    worker._engine.kinds["workshop"].interrupted["draft"] = told  # type: ignore[index]
    session = hall.asked(Draft(prompt="p"))
    worker.tick()
    assert hall.ends(session).state == "failed"
    assert reasons == [reason]
    assert hall.run(hall.run.engine.text(session, hall.job(session).id, ADA)).text == "half"


def test_a_job_without_a_word_for_its_end_just_ends(hall: Hall) -> None:
    def fail(room: Workroom) -> None:
        raise errors.Conflict()

    worker = hall.worker(climb=fail, draft=lambda room: None, interrupts=False)
    failing, silent = hall.asked(Climb()), hall.asked(Draft(prompt="p"))
    worker.tick()
    for session in (failing, silent):
        assert hall.ends(session).state == "done"
    assert hall.run.types(failing) == ["created", "climbing"]


def test_a_session_that_takes_no_word_any_more_keeps_no_job(hall: Hall) -> None:
    """The session was closed while the turn was being written, so neither its report nor its end is taken."""
    held = hall.hold(lambda room, _: workshop.draft(room))
    hall.worker(draft=held).tick()
    worker = hall.worker(draft=held)
    session = hall.asked(Draft(prompt="p"))
    worker.tick()
    assert held.entered.wait(SECONDS)
    hall.run(hall.run.engine.do(session, workshop.Close(), ADA))
    held.go.set()
    assert hall.ends(session).state == "done"
    assert hall.run.types(session) == ["created", "drafting", "closed"]


def test_a_word_that_cannot_be_made_leaves_the_lease_to_run_out(hall: Hall) -> None:
    def fail(room: Workroom) -> None:
        raise KeyError

    def broken(turn: str, text: str, why: str) -> Command:
        raise ZeroDivisionError

    worker = hall.worker(draft=fail)
    worker._engine.kinds["workshop"].interrupted["draft"] = broken  # type: ignore[index]
    session = hall.asked(Draft(prompt="p"))
    worker.tick()
    until(worker.idle)
    assert hall.job(session).state == "leased"
    hall.run.clock.advance(LEASE_SECONDS)
    hall.worker().tick()
    assert hall.ends(session).state == "interrupted"


def test_a_failure_after_the_lease_was_lost_changes_nothing(hall: Hall) -> None:
    def fail(room: Workroom, _: int) -> None:
        raise KeyError

    dead = hall.hold(fail)
    session = hall.asked(Draft(prompt="p"))
    first = hall.worker(draft=dead)
    first.tick()
    assert dead.entered.wait(SECONDS)
    hall.run(hall.run.engine.do(session, workshop.Stop(), ADA))
    dead.go.set()
    until(first.idle)
    assert hall.job(session).state == "cancelled"


def test_stopping_lets_go_of_what_is_not_done(hall: Hall) -> None:
    left: list[str] = []

    def gives_way(room: Workroom) -> None:
        entered.entered.set()
        assert room.wait(SECONDS)
        left.append(room.job)

    entered = hall.hold()
    stubborn = hall.hold(lambda room, _: left.append(room.job))
    worker = hall.worker(start=True, climb=gives_way, draft=stubborn)
    worker._renew_seconds = 3600  # a renewal that is under way could come behind the letting go
    climbing, drafting = hall.asked(Climb(steps=1)), hall.asked(Draft(prompt="p"))
    assert entered.entered.wait(SECONDS) and stubborn.entered.wait(SECONDS)
    worker.stop(seconds=0.1)
    until(lambda: left)
    assert left == [hall.job(climbing).id]
    now = hall.run.clock.now()
    assert [hall.job(session).lease_until for session in (climbing, drafting)] == [now, now]
    hall.worker().tick()
    assert hall.ends(climbing).state == "done"
    assert hall.ends(drafting).state == "interrupted"


def test_a_worker_takes_no_more_than_it_has_threads_for(hall: Hall) -> None:
    held = hall.hold(lambda room, _: workshop.climb(room))
    worker = hall.worker(climb=held)
    asked = [hall.asked(Climb(steps=1)) for _ in range(3)]
    worker.tick()
    until(lambda: len(held.rooms) == 2)
    worker.tick()
    assert sorted(hall.job(session).state for session in asked) == ["leased", "leased", "queued"]
    held.go.set()
    until(worker.idle)
    worker.tick()
    assert {hall.ends(session).state for session in asked} == {"done"}


def test_jobs_of_kinds_and_sessions_unknown_here_are_left_alone(hall: Hall) -> None:
    session = hall.asked(Climb())
    before = hall.job(session)
    hall.run(hall.store.write(lambda tx: jobs.add(tx, "ghost", JobRequest("climb", "k", "job"), now=START)))
    with bench(hall.store, clock=hall.run.clock, kinds={"team": workshop.TEAM}) as other:
        worker = Worker(other.engine, models=None)
        worker.tick()
        assert worker.idle()
        worker.stop()
    later = hall.run.clock.now() + timedelta(seconds=LEASE_SECONDS)
    assert hall.job(session) == replace(before, lease=1, run_at=later)
    assert hall.steps(session) == []


def test_what_a_job_may_read(hall: Hall) -> None:
    found: dict[str, object] = {}

    def look(room: Workroom) -> None:
        others = {"same": same, "foreign": foreign, "gone": gone, "team": team, "none": "none"}
        found.update({name: room.read("workshop", id) for name, id in others.items()})
        found["events"] = [event.type for event in room.events()]
        found["said"] = [event.seq for event in room.events(["said"])]
        found["models"] = room.models
        found["steps"] = room.report(Step(number=1), last=True).data["climbed"]

    same, foreign, gone, team = (hall.run.workshop(), hall.run.workshop(EVE), hall.run.workshop(), hall.run.team())
    hall.run(hall.run.engine.erase(gone, ADA))
    session = hall.run.workshop()
    hall.run.say(session)
    hall.run(hall.run.engine.do(session, Climb(), ADA))
    worker = hall.worker(climb=look)
    worker.tick()
    until(worker.idle)
    known = found.pop("same")
    assert isinstance(known, Session) and known.id == same
    assert found == {
        "foreign": None,
        "gone": None,
        "team": None,
        "none": None,
        "events": ["created", "said", "climbing"],
        "said": [2],
        "models": "models",
        "steps": 1,
    }


# Deadlines


def test_the_sessions_nobody_asks_for_fall_due(hall: Hall) -> None:
    worker = hall.worker()
    late = [hall.run.workshop(closes_in=seconds) for seconds in (30, 60)]
    assert worker.tick() == START + timedelta(seconds=30)
    hall.run.clock.advance(30)
    assert worker.tick() == START + timedelta(seconds=60)
    heads = hall.run(hall.store.read(lambda tx: sessions.heads(tx, late)))
    assert [heads[id][0] for id in late] == [2, 1]


def test_a_deadline_that_cannot_be_carried_out_keeps_no_other_waiting(hall: Hall) -> None:
    bad = hall.run.workshop()
    hall.run(hall.run.engine.do(bad, workshop.Wrong(how="refusing"), ADA))
    good = hall.run.workshop(closes_in=60)
    hall.run.clock.advance(60)
    worker = hall.worker()
    for _ in range(2):
        worker.tick()
    heads = hall.run(hall.store.read(lambda tx: sessions.heads(tx, [bad, good])))
    assert (heads[bad][0], heads[good][0]) == (2, 2)
    assert list(worker._deferred) == [bad]
    hall.run.clock.advance(BACKOFF_SECONDS[-1])
    worker.tick()
    assert worker._deferred[bad] == hall.run.clock.now() + timedelta(seconds=BACKOFF_SECONDS[-1])


def test_a_store_in_trouble_is_no_fault_of_the_deadline(tmp_path: Path) -> None:
    store = opened(tmp_path)
    hall = Hall(store)
    session = hall.run.workshop(closes_in=1)
    hall.run.clock.advance(1)
    hall.run(store.write(lambda tx: tx.one(text("PRAGMA busy_timeout=50"))))
    worker = hall.worker()
    other = pysqlite3.connect(tmp_path / "sitting.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.StoreUnavailable):
        worker.tick()
    other.close()
    worker.tick()
    assert hall.run.types(session) == ["created", "closed"]
    hall.close()
    store.close()


def test_more_deadlines_than_one_look_finds_are_gone_on_with_at_once(hall: Hall) -> None:
    late = [hall.run.workshop(closes_in=1) for _ in range(DEADLINES + 1)]
    now = hall.run.clock.advance(1)
    worker = hall.worker()
    assert worker.tick() == now
    assert worker.tick() is None
    heads = hall.run(hall.store.read(lambda tx: sessions.heads(tx, late)))
    assert {head[0] for head in heads.values()} == {2}


def test_answers_kept_for_a_repeat_go_when_their_time_is_over(hall: Hall) -> None:
    def kept() -> int:
        return len(hall.run(hall.store.read(lambda tx: tx.all(select(answers.c.key)))))

    session = hall.run.workshop()
    hall.run(hall.run.engine.do(session, Say(text="x"), ADA, once=once()))
    worker = hall.worker()
    worker.tick()
    assert kept() == 1
    hall.run.clock.advance(24 * 3600)
    worker.tick()
    assert kept() == 0


def test_a_started_worker_fires_and_outlives_what_goes_wrong(hall: Hall) -> None:
    broken = hall.run.workshop(closes_in=3600)
    hall.run(
        hall.store.write(lambda tx: tx.run(update(rows).where(rows.c.id == broken).values(due_at="0000-no-such-time")))
    )
    with capture_logs() as logs:
        worker = hall.worker(start=True)
        until(lambda: any(line["event"] == "a round of the worker failed" for line in logs))
        session = hall.asked(Climb(steps=1))
        hall.run(hall.store.write(lambda tx: tx.run(text("UPDATE sessions SET due_at = NULL"))))
        hall._benches[-1].workshop(closes_in=3600)
        assert hall.ends(session).state == "done"
    until(worker.idle)


def test_a_worker_waits_for_a_store_that_is_gone_and_stops_without_it(store: Store) -> None:
    hall = Hall(store)
    held = hall.hold()
    worker = hall.worker(start=True, climb=held)
    hall.asked(Climb())
    assert held.entered.wait(SECONDS)
    with capture_logs() as logs:
        store.close()
        worker._news.set()
        until(lambda: any(line["event"] == "worker waits for the store" for line in logs))
        worker.stop(seconds=0)
    assert any(line["event"].startswith("leases could not be let go") for line in logs)
    held.go.set()
    assert held.left.wait(SECONDS)
    hall.close()


def test_a_member_of_the_space_has_no_say_in_jobs(hall: Hall) -> None:
    session = hall.asked(Climb())
    with pytest.raises(errors.NotFound):
        hall.run(hall.run.engine.do(session, workshop.Stop(), BOB))
    with pytest.raises(errors.NotAllowed):
        hall.run(hall.run.engine.do(session, Step(number=9), ADA))
    hall.run(hall.run.engine.do(session, Step(number=9), Actor("system:cli")))
