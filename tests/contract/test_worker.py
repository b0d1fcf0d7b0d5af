"""Jobs under a lease: real workers, real stores, a clock that a test moves, and jobs that a test holds by the hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from sitting import errors
from sitting.core.kind import Workroom
from sitting.store import Store
from sitting.store.schema import texts as pieces
from sitting.worker import LEASE_SECONDS
from tests.support import workshop
from tests.support.engines import ADA, SECONDS
from tests.support.hall import Hall, until
from tests.support.workshop import Climb, Draft, Drafted, Step


@pytest.fixture
def hall(store: Store) -> Iterator[Hall]:
    made = Hall(store)
    yield made
    made.close()


def test_a_job_is_taken_worked_and_ended_with_its_last_report(hall: Hall) -> None:
    session = hall.asked(Climb(steps=3))
    assert hall.job(session).state == "queued"
    worker = hall.worker()
    assert worker.tick() is None
    job = hall.ends(session)
    assert hall.steps(session) == [1, 2, 3]
    assert (job.state, job.input, job.end_seq, job.attempt) == ("done", {}, 5, 1)
    until(worker.idle)
    worker.tick()
    assert hall.steps(session) == [1, 2, 3]


def test_a_started_worker_is_told_of_work_and_of_a_cancel(hall: Hall) -> None:
    held = hall.hold()

    def wait(room: Workroom) -> None:
        held.entered.set()
        assert room.wait(SECONDS)
        held.left.set()

    hall.run.workshop(closes_in=3600)
    worker = hall.worker(start=True, climb=wait)
    own = hall._benches[-1]
    session = hall.asked(Climb())
    assert held.entered.wait(SECONDS)
    own(own.engine.do(session, workshop.Stop(), ADA))
    assert held.left.wait(SECONDS)
    until(worker.idle)
    assert hall.job(session).state == "cancelled"
    assert hall.steps(session) == []


def test_a_job_tells_the_sessions_about_its_own(hall: Hall) -> None:
    told: list[object] = []

    def tell(room: Workroom) -> None:
        for id in room.about("workshop"):
            told.append(room.tell(id, Step(number=7)).id)
        for refused in (elsewhere, "nowhere"):
            with pytest.raises(errors.NotFound):
                room.tell(refused, Step(number=7))
        told.append(room.about("team"))

    elsewhere = hall.run.workshop()
    worker = hall.worker(climb=tell)
    session = hall.asked(Climb())
    about = [hall.run.workshop(team=session) for _ in range(2)]
    worker.tick()
    assert hall.ends(session).state == "done"
    assert told == [*sorted(about, key=told.index), []]
    assert [hall.steps(id) for id in (*about, elsewhere, session)] == [[7], [7], [], []]


def test_a_job_makes_a_session_once_however_often_it_is_run(hall: Hall) -> None:
    made: list[str] = []

    def make(room: Workroom) -> None:
        assert room.find("team", "knots") is None
        made.append(room.open("team", workshop.Found(key="knots")).id)
        with pytest.raises(errors.KeyTaken):
            room.open("team", workshop.Found(key="knots"))
        with pytest.raises(errors.NotAllowed):
            room.open("workshop", workshop.Create())
        found = room.find("team", "knots")
        assert found is not None and (found.id, found.space) == (made[0], room.session.space)

    worker = hall.worker(climb=make)
    session = hall.asked(Climb())
    worker.tick()
    assert hall.ends(session).state == "done" and made


def test_a_cancel_from_elsewhere_is_noticed_when_the_lease_is_renewed(hall: Hall) -> None:
    cancelled: list[bool] = []
    entered = hall.hold()

    def wait(room: Workroom) -> None:
        entered.entered.set()
        cancelled.append(room.wait(SECONDS))

    worker = hall.worker(start=True, climb=wait)
    session = hall.asked(Climb())
    assert entered.entered.wait(SECONDS)
    hall.worker(start=True)
    elsewhere = hall._benches[-1]
    elsewhere(elsewhere.engine.do(session, workshop.Stop(), ADA))
    until(worker.idle)
    assert cancelled == [True]


def test_a_lease_is_renewed_while_the_job_runs(hall: Hall) -> None:
    held = hall.hold(lambda room, _: workshop.climb(room))
    hall.worker(start=True, climb=held)
    session = hall.asked(Climb())
    assert held.entered.wait(SECONDS)
    hall.run.clock.advance(LEASE_SECONDS - 1)
    renewed = hall.run.clock.now() + timedelta(seconds=LEASE_SECONDS)
    until(lambda: hall.job(session).lease_until == renewed)
    hall.run.clock.advance(LEASE_SECONDS - 1)
    hall.worker().tick()
    assert hall.job(session).lease == 1
    held.go.set()
    assert hall.ends(session).lease == 1


def test_a_job_that_resumes_goes_on_after_its_last_step(hall: Hall) -> None:
    def first(room: Workroom, _: int) -> None:
        room.report(Step(number=9))

    def dies_after_one(room: Workroom) -> None:
        room.report(Step(number=1))
        dead(room)

    dead = hall.hold(first)
    session = hall.asked(Climb(steps=4))
    hall.worker(climb=dies_after_one).tick()
    assert dead.entered.wait(SECONDS)
    other = hall.worker()
    other.tick()
    assert hall.steps(session) == [1]
    hall.run.clock.advance(LEASE_SECONDS)
    other.tick()
    assert hall.ends(session).attempt == 2
    assert hall.steps(session) == [1, 2, 3, 4]
    dead.go.set()
    assert dead.left.wait(SECONDS)
    assert hall.steps(session) == [1, 2, 3, 4]
    assert dead.rooms[0].cancelled


def test_the_word_of_one_who_lost_the_lease_is_refused(hall: Hall) -> None:
    said: list[type[Exception]] = []

    def late(room: Workroom, _: int) -> None:
        for number in (1, 2):
            try:
                room.report(Step(number=number), last=True)
            except errors.SittingError as error:
                said.append(type(error))

    dead = hall.hold(late)
    session = hall.asked(Climb(steps=2))
    hall.worker(climb=dead).tick()
    assert dead.entered.wait(SECONDS)
    hall.run.clock.advance(LEASE_SECONDS)
    waiting = hall.hold(lambda room, _: workshop.climb(room))
    hall.worker(climb=waiting).tick()
    assert waiting.entered.wait(SECONDS)
    dead.go.set()
    assert dead.left.wait(SECONDS)
    assert said == [errors.LeaseLost, errors.LeaseLost]
    waiting.go.set()
    hall.ends(session)
    assert hall.steps(session) == [1, 2]


def test_a_turn_that_was_watched_ends_with_what_was_written(hall: Hall) -> None:
    def half(room: Workroom) -> None:
        room.write("żółw 🐢")
        dead(room)

    def late(room: Workroom, _: int) -> None:
        room.write(" never")
        with pytest.raises(errors.LeaseLost):
            room.report(Drafted(turn=room.job, status="completed", text=room.written()), last=True)

    dead = hall.hold(late)
    session = hall.asked(Draft(prompt="p"))
    hall.worker(draft=half).tick()
    assert dead.entered.wait(SECONDS)
    until(lambda: hall.run(hall.run.engine.text(session, hall.job(session).id, ADA)).text == "żółw 🐢")
    hall.run.clock.advance(LEASE_SECONDS)
    hall.worker().tick()
    assert hall.ends(session).state == "interrupted"
    dead.go.set()
    assert dead.left.wait(SECONDS)
    page = hall.run(hall.run.engine.text(session, hall.job(session).id, ADA))
    assert (page.text, page.status, page.ended) == ("żółw 🐢", "interrupted", True)


def test_text_is_stored_in_pieces_that_join(hall: Hall) -> None:
    def write(room: Workroom, _: int) -> None:
        workshop.draft(room)

    def two(room: Workroom) -> None:
        for word in ("żółw ", "🐢", "", " and ", "more"):
            room.write(word)
        held(room)

    held = hall.hold(write)
    hall.worker(start=True, draft=two)
    session = hall.asked(Draft(prompt=" the end"))
    assert held.entered.wait(SECONDS)
    until(lambda: hall.run(hall.run.engine.text(session, hall.job(session).id, ADA)).text == "żółw 🐢 and more")
    stored = hall.run(hall.store.read(lambda tx: tx.all(select(pieces.c.off, pieces.c.text).order_by(pieces.c.off))))
    assert [off for off, _ in stored] == [sum(len(piece) for _, piece in stored[:n]) for n in range(len(stored))]
    assert 2 <= len(stored) <= 5
    held.go.set()
    hall.ends(session)
    page = hall.run(hall.run.engine.text(session, hall.job(session).id, ADA))
    assert (page.text, page.status) == ("żółw 🐢 and more the end", "completed")
    assert hall.run(hall.store.read(lambda tx: tx.all(select(pieces)))) == []


def test_text_that_is_not_taken_any_more_stops_its_job(hall: Hall) -> None:
    stopped: list[bool] = []

    def late(room: Workroom, _: int) -> None:
        room.write("too late")
        stopped.append(room.wait(SECONDS))

    dead = hall.hold(late)
    session = hall.asked(Draft(prompt="p"))
    hall.worker(draft=dead).tick()
    assert dead.entered.wait(SECONDS)
    hall.run.clock.advance(LEASE_SECONDS)
    hall.worker().tick()
    hall.ends(session)
    dead.go.set()
    assert dead.left.wait(SECONDS)
    assert stopped == [True]
    assert hall.run(hall.store.read(lambda tx: tx.all(select(pieces)))) == []
