"""What readers are given: events by position, the newest, the past, turns and their text."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from sitting import errors
from sitting.core.actor import WORKER, Actor
from sitting.core.event import Event
from sitting.engine import Lease
from sitting.store import Store, jobs
from tests.support import workshop
from tests.support.clock import START
from tests.support.engines import ADA, BOB, Bench, bench
from tests.support.workshop import Drafted, Say


@pytest.fixture
def run(store: Store) -> Iterator[Bench]:
    with bench(store) as made:
        yield made


@pytest.fixture
def talk(run: Bench) -> str:
    """A workshop with ten events; 4 and 7 are whispered; Bob is a member."""
    session = run.workshop()
    run(run.engine.do(session, workshop.Let(grantee="user:bob", role="member"), ADA))
    for seq in range(3, 11):
        run.clock.advance(1)
        run.say(session, f"word {seq}", whispered=seq in (4, 7))
    return session


def test_events_are_contiguous_for_everybody(run: Bench, talk: str) -> None:
    lead, member = (run(run.engine.events(talk, actor)) for actor in (ADA, BOB))
    assert [seq for seq, _ in lead.events] == [seq for seq, _ in member.events] == list(range(1, 11))
    assert all(told for _, told in lead.events)
    assert [seq for seq, told in member.events if told is None] == [4, 7]
    assert (member.role, member.audience, member.closed, member.turns) == ("member", "member", False, ())
    assert [seq for seq, _ in run(run.engine.events(talk, ADA, after=3, limit=2)).events] == [4, 5]
    assert run(run.engine.events(talk, ADA, after=10)).events == ()
    assert run(run.engine.events(talk, ADA)).session.position == "3.10"


def test_a_position_ahead_of_the_head_is_gone(run: Bench, talk: str) -> None:
    with pytest.raises(errors.Gone) as refused:
        run(run.engine.events(talk, ADA, after=11))
    assert refused.value.facts == {"oldest": "3.1", "head": "3.10"}


def test_the_newest_come_first(run: Bench, talk: str) -> None:
    assert [seq for seq, _ in run(run.engine.history(talk, ADA, limit=3)).events] == [10, 9, 8]
    assert [seq for seq, _ in run(run.engine.history(talk, BOB, before=8, limit=2)).events] == [7, 6]
    assert run(run.engine.history(talk, ADA, before=1)).events == ()


def test_some_types_between_two_positions(run: Bench, talk: str) -> None:
    def chosen(*types: str, **options: Any) -> list[int]:
        return [event.seq for event in run(run.engine.selected(talk, ADA, types, **options)).events]

    assert chosen("let", "created") == [1, 2]
    assert chosen("said", after=5, before=8) == [6, 7]
    assert chosen("said", limit=3) == [8, 9, 10]
    assert chosen("said", limit=3, newest=False) == [3, 4, 5]
    assert chosen("nothing") == []
    assert chosen()[0] == 1
    found = run(run.engine.selected(talk, BOB, ["said"], limit=1))
    assert found.seen.role == "member"
    assert found.events[0].personal == {"user:ada": {"text": "word 10"}}


def test_the_past_is_folded_again(run: Bench, talk: str) -> None:
    run(run.engine.do(talk, workshop.Close(), ADA))
    for seq in range(1, 12):
        then = run(run.engine.at(talk, ADA, seq))
        assert (then.view["as_of"], then.view["said"]) == (f"3.{seq}", 2 * min(max(seq - 2, 0), 8))
        assert (then.view["state"], then.closed) == (("open", False) if seq < 11 else ("closed", True))
    assert run(run.engine.at(talk, ADA, 3)).now == run(run.engine.at(talk, ADA, 3)).session.updated_at
    assert run(run.engine.at(talk, ADA, 1)).now == START
    for seq in (-1, 0, 12, 2**62):
        with pytest.raises(errors.Invalid) as refused:
            run(run.engine.at(talk, ADA, seq))
        assert refused.value.facts["fields"] == [{"field": "at", "message": "must be between 1 and 11"}]


def test_a_journal_goes_out_whole(run: Bench, talk: str) -> None:
    run(run.engine.do(talk, workshop.Forget(owner="user:bob"), ADA))
    run.say(talk, "about you", about="user:bob")
    run(run.engine.do(talk, workshop.Forget(owner="user:bob"), ADA))
    found = run(run.engine.journal(talk, BOB))
    assert [record.seq for record in found.records] == list(range(1, 14))
    assert [record.seq for record, told in zip(found.records, found.told, strict=True) if told is None] == [4, 7]
    assert found.erased == {12}
    assert found.seen.role == "member"


def test_a_journal_stays_with_those_whom_the_kind_lets_take_it(run: Bench, talk: str) -> None:
    run(run.engine.do(talk, workshop.Let(grantee="user:bob", role="watcher"), ADA))
    assert run(run.engine.view(talk, BOB)).role == "watcher"
    with pytest.raises(errors.NotFound, match="no copy"):
        run(run.engine.journal(talk, BOB))


def test_a_journal_longer_than_a_page(run: Bench) -> None:
    session = run.workshop()
    for number in range(1001):
        run(run.engine.do(session, workshop.Put(id=str(number % 3), label=str(number)), ADA))
    found = run(run.engine.journal(session, ADA))
    assert [record.seq for record in found.records] == list(range(1, 1003))
    assert run(run.engine.at(session, ADA, 600)).view["things"] == {"0": "597", "1": "598", "2": "596"}


def begun(run: Bench, session: str) -> Lease:
    """A turn that was asked for and taken by a worker."""
    run(run.engine.do(session, workshop.Draft(prompt="p"), ADA))
    now = run.clock.now()
    taken = run(run.store.write(lambda tx: jobs.take(tx, now=now, until=now, limit=1)))[0]
    return Lease(session, taken.id, taken.lease)


def test_a_turn_is_read_while_it_runs_and_when_it_has_ended(run: Bench, talk: str) -> None:
    lease = begun(run, talk)
    turn = lease.job
    pieces = ((0, "żółw"), (4, " 🐢 and"), (10, " more"))
    for off, text in pieces:
        run(run.engine.write_text(lease, off=off, text=text))
    assert run.woken.texts == [(talk, turn, *piece) for piece in pieces]
    page = run(run.engine.text(talk, turn, BOB, after=5))
    assert (page.off, page.text, page.ended, page.status, page.seq) == (5, "🐢 and more", False, "running", None)
    assert run(run.engine.text(talk, turn, BOB, after=15)).text == ""
    with pytest.raises(errors.InvalidCursor):
        run(run.engine.text(talk, turn, BOB, after=16))
    assert [(found.id, found.purpose) for found in run(run.engine.events(talk, BOB)).turns] == [(turn, "draft")]
    seen = run(run.engine.turn(talk, turn, ADA))
    assert (seen.id, seen.purpose, seen.status, seen.seq) == (turn, "draft", "running", None)
    whole = "żółw 🐢 and more"
    done = run(run.engine.report(lease, Drafted(turn=turn, status="completed", text=whole), last=True))
    assert [(event.type, event.actor, event.role) for event in done.events] == [("drafted", WORKER.id, "system")]
    seen = run(run.engine.turn(talk, turn, ADA))
    assert (seen.status, seen.seq) == ("completed", 12)
    page = run(run.engine.text(talk, turn, BOB, after=5))
    assert (page.text, page.ended, page.status, page.seq) == ("🐢 and more", True, "completed", 12)
    assert run(run.engine.text(talk, turn, BOB, after=len(whole))).text == ""
    with pytest.raises(errors.InvalidCursor):
        run(run.engine.text(talk, turn, BOB, after=len(whole) + 1))
    assert run(run.engine.events(talk, BOB)).turns == ()


def test_a_turn_is_for_those_it_names(run: Bench, talk: str) -> None:
    lease = begun(run, talk)
    run(run.engine.do(talk, workshop.Let(grantee="user:eve", role="reader"), ADA))
    reader = Actor("user:eve", "s1")
    assert run(run.engine.events(talk, reader)).turns == ()
    for turn in (lease.job, "5f0c2a9e-0000-4000-8000-000000000001", "", "\x00", "\ud800"):
        futures: list[Future[Any]] = [run.engine.turn(talk, turn, reader), run.engine.text(talk, turn, reader)]
        for future in futures:
            with pytest.raises(errors.NotFound, match="Turn not found"):
                run(future)


def test_a_job_without_a_final_event_has_an_empty_text(run: Bench, talk: str) -> None:
    lease = begun(run, talk)
    run(run.engine.write_text(lease, off=0, text="half"))
    run(run.engine.finish(lease))
    page = run(run.engine.text(talk, lease.job, ADA))
    assert (page.text, page.ended, page.status, page.seq) == ("", True, "done", 11)
    stopped = begun(run, talk)
    run(run.engine.do(talk, workshop.Stop(), ADA))
    assert run(run.engine.text(talk, stopped.job, ADA)).status == "cancelled"
    run(run.engine.do(talk, workshop.Draft(prompt="p"), ADA))
    never_taken = run(run.engine.view(talk, ADA)).session.data["job"]
    run(run.store.write(lambda tx: jobs.end(tx, talk, never_taken, state=jobs.FAILED, seq=99)))
    assert run(run.engine.text(talk, never_taken, ADA)).text == ""


def test_a_lost_lease_may_do_nothing(run: Bench, talk: str) -> None:
    lease = begun(run, talk)
    lost = Lease(lease.session, lease.job, lease.number - 1)
    unknown = Lease(lease.session, "another", 1)
    for wrong in (lost, unknown):
        futures: list[Future[Any]] = [
            run.engine.report(wrong, Drafted(turn="x", status="completed", text="")),
            run.engine.write_text(wrong, off=0, text="x"),
            run.engine.finish(wrong),
        ]
        for future in futures:
            with pytest.raises(errors.LeaseLost):
                run(future)
    with pytest.raises(errors.NotAllowed):
        run(run.engine.report(lease, Say(text="x")))
    with pytest.raises(errors.WrongState):
        run(run.engine.report(lease, workshop.Reopen()))
    assert run.types(talk)[-1] == "drafting"


def test_an_erased_turn_is_empty(run: Bench, talk: str) -> None:
    lease = begun(run, talk)
    run(run.engine.report(lease, Drafted(turn=lease.job, status="completed", text="words"), last=True))
    run(run.engine.do(talk, workshop.Forget(owner="user:ada"), ADA))
    assert run(run.engine.text(talk, lease.job, ADA)).text == ""
    told = run(run.engine.events(talk, ADA)).events[2][1]
    assert told is not None and told["personal"] == {"user:ada": None}
    assert isinstance(run.selected(talk)[0], Event)
