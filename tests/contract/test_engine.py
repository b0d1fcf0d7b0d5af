"""Every command is one transaction: what the engine promises of it, on SQLite and on PostgreSQL."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sitting import errors
from sitting.bundle import verify
from sitting.core.actor import Actor
from sitting.core.kind import Command
from sitting.engine import Done, Once, Where
from sitting.store import Store, people, sessions
from sitting.writing import REPEAT_HOURS
from tests.support import workshop
from tests.support.clock import START
from tests.support.engines import ADA, BOB, EVE, SYSTEM, Bench, at_once, bench, of
from tests.support.workshop import WORDS, Create, Rename, Say


@pytest.fixture
def run(store: Store) -> Iterator[Bench]:
    with bench(store, colour="blue") as made:
        yield made


def once(key: str = "k", request: bytes = b"r", *, scope: str = "user:ada POST /x") -> Once:
    def render(done: Done) -> bytes:
        return f"{done.session.seq} {done.role} {[event.type for event in done.events]}".encode()

    return Once(scope, key, hashlib.sha256(request).digest(), render)


def sound(run: Bench, session: str) -> bool:
    verdict = run(verify(run.store, run.engine.kinds, session, epoch=3))
    assert verdict.ok, verdict
    return verdict.ok


def test_a_command_is_told_once_it_is_durable(run: Bench) -> None:
    done = run(run.engine.open("workshop", Create(name="Knots", id="knots", key="k"), ADA))
    assert (done.session.id, done.session.state, done.session.position) == ("knots", "open", "3.1")
    assert (done.role, done.audience, done.answer, done.repeated) == ("lead", "lead:user:ada", None, False)
    assert [(event.seq, event.type, event.actor, event.role, event.at) for event in done.events] == [
        (1, "created", "user:ada", "member", START)
    ]
    assert run.woken.wakes == [("knots", 1, 1)]
    said = run(run.engine.do("knots", Say(text="hello there", about="user:bob"), ADA, kind="workshop"))
    assert said.events[0].personal == {"user:ada": {"text": "hello there"}, "user:bob": {"mentioned": "hello there"}}
    assert run.woken.wakes[-1] == ("knots", 2, 2)
    assert sound(run, "knots")


def test_a_session_that_was_changed_by_another_engine_is_read_again(run: Bench, store: Store) -> None:
    """Two processes' worth of memory over one database."""
    session = run.workshop()
    with bench(store, clock=run.clock) as other:
        for turn in range(6):
            one, two = (run, other) if turn % 2 else (other, run)
            one.say(session, f"word {turn}")
            assert two(two.engine.view(session, ADA)).session.seq == turn + 2
        other(other.engine.do(session, workshop.Put(id="x", label="knot"), ADA))
        assert run(run.engine.view(session, ADA)).view["things"] == {"x": "knot"}
        run(run.engine.do(session, workshop.Put(id="x", label=None), ADA))
        assert other(other.engine.view(session, ADA)).view["things"] == {}
        results = at_once(8, lambda n: (run, other)[n % 2].say(session, "at once"))
        assert of(results, Exception) == []
    assert run(run.engine.view(session, ADA)).session.seq == 1 + 6 + 2 + 8
    assert sound(run, session)


# What is refused stores nothing


def test_refusals_come_in_order(run: Bench) -> None:
    session = run.workshop()
    do = run.engine.do
    refused: list[tuple[Any, type[Exception]]] = [
        (do(session, Say(text="x"), BOB, expect=9), errors.NotFound),
        (do(session, Say(text="x"), ADA, kind="team"), errors.NotFound),
        (do(session, workshop.Reopen(), ADA, expect=9), errors.Stale),
        (do(session, workshop.Reopen(), ADA, expect=1), errors.WrongState),
        (do(session, workshop.Beat(), ADA), errors.NotAllowed),
        (do(session, workshop.Join(grantee="user:bob", role="lead"), ADA), errors.NotFound),
        (do(session, Say(text="x " * (WORDS + 1)), ADA), errors.BudgetExhausted),
        (run.engine.open("workshop", Create(), SYSTEM), errors.NotAllowed),
        (run.engine.open("team", workshop.Found(), Actor("guest:1")), errors.NotAllowed),
        (run.engine.erase(session, BOB), errors.NotFound),
    ]
    for future, sort in refused:
        with pytest.raises(sort) as refusal:
            run(future)
        assert type(refusal.value) is sort
    with pytest.raises(errors.NotFound, match="There is no kind 'party' here"):
        run.engine.open("party", Create(), ADA)
    with pytest.raises(errors.Misuse, match="'say' does not open a session"):
        run.engine.open("workshop", Say(text="x"), ADA)
    assert run.types(session) == ["created"]
    assert [wake[1] for wake in run.woken.wakes] == [1]


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("state", "'wrong' may not lead to 'held'"),
        ("type", "Not an event type: 'not a type'"),
        ("owner", "Not an owner of personal content"),
        ("event", "larger than 262144 bytes"),
        ("data", "data is larger than 65536 bytes"),
        ("time", "An event 'said' holds what a journal cannot: Object of type datetime"),
        ("number", "An event 'said' holds what a journal cannot"),
        ("twice", "Kind workshop: two jobs with one key"),
        ("nowork", "Kind workshop: there is no work 'dance'"),
        ("takeover", "A job's `on_takeover` is 'resume' or 'interrupt', not 'resum'"),
        ("nothing", "Kind workshop: `decide` answered 'wrong' with no Decision"),
        ("one", "Kind workshop: `decide` answered 'wrong' with no Decision of several facts"),
    ],
)
def test_a_kind_that_is_wrong_is_told_so_and_stores_nothing(run: Bench, how: str, sentence: str) -> None:
    session = run.workshop()
    with pytest.raises(errors.Misuse, match=sentence):
        run(run.engine.do(session, workshop.Wrong(how=how), ADA))
    assert run.types(session) == ["created"]


def test_what_could_not_be_read_back_is_not_stored(run: Bench) -> None:
    session = run.workshop()
    with pytest.raises(errors.Misuse, match="exceeds safe integer domain"):
        run(run.engine.do(session, workshop.Wrong(how="number"), ADA))
    run(run.engine.do(session, workshop.Wrong(how="large"), ADA))
    assert sound(run, session)


def test_a_kind_that_creates_nothing_or_under_no_id(run: Bench) -> None:
    with pytest.raises(errors.Misuse, match="'create' may not lead to ''"):
        run(run.engine.open("workshop", Create(silent=True), ADA))
    with pytest.raises(errors.Misuse, match=r"not an id: '\.\./x'"):
        run(run.engine.open("workshop", Create(id="../x"), ADA))


# Keys


def test_a_key_belongs_to_one_session_of_its_scope(run: Bench) -> None:
    first, second = run.workshop(key="knots"), run.workshop(EVE, key="knots")
    with pytest.raises(errors.KeyTaken):
        run.workshop(key="knots")
    with pytest.raises(errors.KeyTaken, match="with this id exists"):
        run.workshop(id=first)
    with pytest.raises(errors.KeyTaken, match="with this id exists"):
        run.workshop(EVE, id=first)
    team = run.team(key="sailors")
    with pytest.raises(errors.KeyTaken):
        run.team(EVE, key="sailors")
    run(run.engine.do(first, Rename(name="Hitches", key="hitches"), ADA))
    third = run.workshop(key="knots")
    with pytest.raises(errors.KeyTaken):
        run(run.engine.do(third, Rename(name="Hitches", key="hitches"), ADA))
    run(run.engine.do(first, Rename(name="Hitches", key="hitches"), ADA))
    assert len({first, second, third, team}) == 4


def test_of_many_who_want_a_key_one_gets_it(run: Bench) -> None:
    results = at_once(12, lambda n: run.workshop(key="wanted"))
    assert [type(error) for error in of(results, Exception)] == [errors.KeyTaken] * 11


# Positions


def test_of_fifty_who_have_read_a_position_one_writes_the_next(run: Bench) -> None:
    session = run.workshop()
    for position in (1, 2):
        results = at_once(
            50,
            lambda n, position=position: run(run.engine.do(session, Say(text="x"), ADA, expect=position)),  # type: ignore[misc]
        )
        assert [type(error) for error in of(results, Exception)] == [errors.Stale] * 49
        assert of(results, errors.Stale)[0].facts == {"position": f"3.{position + 1}"}  # type: ignore[attr-defined]
    assert [event.seq for event in run.selected(session)] == [1, 2, 3]


def test_of_racing_moves_one_wins_and_the_others_learn(run: Bench) -> None:
    session = run.workshop()
    moves: list[Command] = [workshop.Hold(), workshop.Close()]
    results = at_once(20, lambda n: run(run.engine.do(session, moves[n % 2], ADA)))
    won = [result for result in results if not isinstance(result, Exception)]
    assert {type(error) for error in of(results, Exception)} == {errors.WrongState}
    assert run.types(session)[1:] in (["held"], ["closed"], ["held", "closed"])
    assert len(won) == len(run.types(session)) - 1


# Repeats


def test_a_repeat_gets_the_first_answer_and_writes_nothing(run: Bench) -> None:
    first = run(run.engine.open("workshop", Create(), ADA, once=once("open")))
    again = run(run.engine.open("workshop", Create(), ADA, once=once("open")))
    assert first.answer == again.answer == b"1 lead ['created']"
    assert (first.repeated, again.repeated, again.session.id) == (False, True, first.session.id)
    session = first.session.id
    said = run(run.engine.do(session, Say(text="x"), ADA, once=once()))
    run.say(session, "something else")
    repeated = run(run.engine.do(session, Say(text="x"), ADA, expect=99, once=once()))
    assert (repeated.answer, repeated.repeated, repeated.events) == (said.answer, True, ())
    assert run.types(session) == ["created", "said", "said"]


def test_a_key_with_another_body_is_refused_and_scopes_are_apart(run: Bench) -> None:
    session = run.workshop()
    run(run.engine.do(session, Say(text="x"), ADA, once=once()))
    with pytest.raises(errors.KeyReused):
        run(run.engine.do(session, Say(text="y"), ADA, once=once(request=b"other")))
    with pytest.raises(errors.KeyReused):
        run(run.engine.open("workshop", Create(), ADA, once=once(request=b"other")))
    run(run.engine.do(session, Say(text="y"), ADA, once=once(request=b"other", scope="user:ada POST /y")))
    assert run.types(session) == ["created", "said", "said"]


def test_a_refusal_is_not_stored(run: Bench) -> None:
    session = run.workshop()
    with pytest.raises(errors.WrongState):
        run(run.engine.do(session, workshop.Reopen(), ADA, once=once()))
    run(run.engine.do(session, workshop.Hold(), ADA))
    assert not run(run.engine.do(session, workshop.Reopen(), ADA, once=once())).repeated


def test_what_changes_nothing_keeps_no_answer(run: Bench, store: Store) -> None:
    session = run.workshop()
    for _ in range(2):
        done = run(run.engine.do(session, Say(text=""), ADA, once=once()))
        assert (done.events, done.answer, done.repeated) == ((), None, False)
    now = run.clock.now()
    assert run(store.read(lambda tx: sessions.answer(tx, once().scope, once().key, now=now))) is None
    assert run(run.engine.do(session, Say(text="x"), ADA, once=once())).answer is not None


def test_a_key_expires_by_the_clock(run: Bench) -> None:
    session = run.workshop()
    run(run.engine.do(session, Say(text="x"), ADA, once=once()))
    run.clock.advance(REPEAT_HOURS * 3600 - 0.001)
    assert run(run.engine.do(session, Say(text="x"), ADA, once=once())).repeated
    run.clock.advance(0.001)
    assert not run(run.engine.do(session, Say(text="y"), ADA, once=once(request=b"other"))).repeated
    assert run.types(session) == ["created", "said", "said"]


def test_the_same_key_thirty_times_at_once_is_one_event_and_one_answer(run: Bench) -> None:
    session = run.workshop()
    opened = at_once(30, lambda n: run(run.engine.open("workshop", Create(), ADA, once=once("open"))))
    done = at_once(30, lambda n: run(run.engine.do(session, Say(text="x"), ADA, once=once())))
    for results in (opened, done):
        answers = [result for result in results if isinstance(result, Done)]
        assert len(answers) == 30
        assert len({(answer.answer, answer.session.id) for answer in answers}) == 1
        assert sum(not answer.repeated for answer in answers) == 1
    assert run.types(session) == ["created", "said"]


# Limits


def test_no_more_is_charged_than_the_limit_however_many_ask(run: Bench) -> None:
    rooms = [run.workshop() for _ in range(3)]
    results = at_once(30, lambda n: run.say(rooms[n % 3], "five words in this one"))
    assert [type(error) for error in of(results, Exception)] == [errors.BudgetExhausted] * (30 - WORDS // 5)
    assert of(results, errors.BudgetExhausted)[0].facts == {"needed": 5}  # type: ignore[attr-defined]
    assert sum(run(run.engine.view(room, ADA)).view["said"] for room in rooms) == WORDS
    assert run(run.store.read(lambda tx: sessions.count(tx, "words:s1"))) == WORDS
    with pytest.raises(errors.BudgetExhausted):
        run.say(rooms[0], "one")
    other = run.workshop(EVE)
    run.say(other, "another space", actor=EVE)


def test_what_is_refused_is_not_charged(run: Bench) -> None:
    session = run.workshop()
    assert run(run.store.read(lambda tx: sessions.count(tx, "words:s1"))) == 0
    with pytest.raises(errors.Misuse):
        run(run.engine.do(session, Say(text="x", about='user:"bob"'), ADA))
    assert run(run.store.read(lambda tx: sessions.count(tx, "words:s1"))) == 0


# The clock


def test_what_is_due_happens_before_a_command_and_at_its_own_instant(run: Bench) -> None:
    session = run.workshop(beats=True, closes_in=150)
    run.clock.advance(130.5)
    run.say(session)
    run.clock.advance(3600)
    with pytest.raises(errors.WrongState):
        run.say(session)
    found = [
        (event.type, event.actor, event.role, (event.at - START).total_seconds()) for event in run.selected(session)
    ]
    assert found[1:] == [
        ("beaten", "system:clock", "system", 60),
        ("beaten", "system:clock", "system", 120),
        ("said", "user:ada", "lead", 130.5),
        ("closed", "system:clock", "system", 150),
    ]
    assert sound(run, session)


def test_a_session_nobody_asked_for_in_a_long_time_catches_up(run: Bench) -> None:
    session = run.workshop(beats=True)
    run.clock.advance(1100 * 60)
    assert run(run.engine.do(session, Say(text="x"), ADA)).session.data["beats"] == 1100
    assert sound(run, session)


@pytest.mark.parametrize("how", ["view", "events", "history", "journal", "list", "fire", "erase", "at"])
def test_what_is_due_happens_before_any_look(run: Bench, how: str) -> None:
    session = run.workshop(closes_in=60)
    run.clock.advance(60)
    looks: dict[str, Any] = {
        "view": lambda: run.engine.view(session, ADA),
        "events": lambda: run.engine.events(session, ADA),
        "history": lambda: run.engine.history(session, ADA),
        "journal": lambda: run.engine.journal(session, ADA),
        "list": lambda: run.engine.list("workshop", ADA, Where()),
        "fire": lambda: run.engine.fire(session),
        "erase": lambda: run.engine.erase(session, BOB),
        "at": lambda: run.engine.at(session, ADA, 1),
    }
    future = looks[how]()
    if how == "erase":
        with pytest.raises(errors.NotFound):
            run(future)
    else:
        run(future)
    head = run(run.store.read(lambda tx: sessions.heads(tx, [session])))
    assert head[session][0] == 2


def test_a_look_that_is_refused_leaves_what_the_clock_did(run: Bench) -> None:
    session = run.workshop(closes_in=60)
    run.clock.advance(61)
    with pytest.raises(errors.NotFound):
        run(run.engine.view(session, BOB))
    assert run(run.store.read(lambda tx: sessions.heads(tx, [session])))[session] == (2, 2)
    assert run.types(session) == ["created", "closed"]


def test_when_the_clock_is_refused_nothing_it_did_stays(run: Bench) -> None:
    session = run.workshop(beats=True)
    run(run.engine.do(session, workshop.Wrong(how="refusing"), ADA))
    run.clock.advance(60)
    asked: list[Callable[[], Future[Any]]] = [
        lambda: run.engine.do(session, Say(text="x"), ADA),
        lambda: run.engine.view(session, ADA),
    ]
    for ask in asked:
        with pytest.raises(errors.Misuse, match="its deadline 'reopen' was refused: Cannot reopen the workshop."):
            run(ask())
        assert run(run.store.read(lambda tx: sessions.heads(tx, [session])))[session][0] == 2


def test_one_millisecond_decides(run: Bench) -> None:
    session = run.workshop(closes_in=60)
    run.clock.advance(59.999)
    assert run(run.engine.view(session, ADA)).view["state"] == "open"
    run.clock.advance(0.0009)
    assert run(run.engine.view(session, ADA)).view["state"] == "open"
    run.clock.advance(0.0001)
    assert run(run.engine.view(session, ADA)).view["state"] == "closed"


def test_time_in_a_journal_never_goes_back(run: Bench) -> None:
    session = run.workshop(beats=True)
    run.clock.advance(30)
    run.say(session)
    run.clock.advance(-25)
    run.say(session)
    run.clock.advance(100)
    run.say(session)
    seconds = [(event.at - START).total_seconds() for event in run.selected(session)]
    assert seconds == [0, 30, 30, 60, 105]
    assert sound(run, session)


def test_a_clock_without_end_is_the_kinds_mistake(run: Bench) -> None:
    for how, sort in (("clock", errors.Misuse), ("crash", KeyError), ("refusing", errors.Misuse)):
        session = run.workshop()
        if how == "crash":
            with pytest.raises(sort):
                run(run.engine.do(session, workshop.Wrong(how=how), ADA))
            assert run.types(session) == ["created"]
            continue
        run(run.engine.do(session, workshop.Wrong(how=how), ADA))
        with pytest.raises(sort):
            run.say(session)
        with pytest.raises(sort):
            run(run.engine.fire(session))


# Facts and what stands around


def test_facts_are_read_in_the_transaction_of_the_command(run: Bench) -> None:
    session, other = run.workshop(), run.workshop(key="knots")
    foreign = run.workshop(EVE, key="foreign")
    run(run.store.write(lambda tx: people.set_roles(tx, ADA.space, ADA.id, ADA.roles)))
    run(run.store.write(lambda tx: people.set_roles(tx, EVE.space, EVE.id, EVE.roles)))
    for word in range(25):
        run.say(session, f"{word}")
    run(run.engine.do(session, workshop.Draft(prompt="p"), ADA))
    turn = run(run.engine.view(session, ADA)).session.data["job"]
    looked = run(run.engine.do(session, workshop.Look(other=other, key="knots", job=turn), ADA)).events[0].data
    assert (looked["other"], looked["found"]) == (other, other)
    assert looked["job"] == {"id": turn, "purpose": "draft", "key": "draft", "state": "queued"}
    assert (looked["written"], looked["who"], looked["installed"]) == ("", "user:ada", ["colour"])
    assert looked["said"] == list(range(26, 1, -1))
    assert looked["below"] == [2, 1]
    assert looked["mine"] == sorted([session, other]) and looked["held"] == []
    assert (looked["words"], looked["nothing"]) == (25, 0)
    assert looked["members"] == ["user:ada"], "those of this space alone"
    assert datetime.fromisoformat(looked["now"]) == START
    run(run.engine.do(session, workshop.Stop(), ADA))
    for wrong in (foreign, "no such id", "", "\x00"):
        looked = run(run.engine.do(session, workshop.Look(other=wrong, key="foreign", job=turn), ADA)).events[0].data
        assert (looked["other"], looked["found"], looked["job"]) == (None, None, None)


def test_a_file_written_around_a_command_goes_when_it_is_refused(run: Bench, tmp_path: Path) -> None:
    session, path = run.workshop(), tmp_path / "page"
    done = run(run.engine.do(session, workshop.Publish(path=str(path)), ADA))
    assert path.read_text() == f"user:ada, lead, {session}"
    assert done.events[0].data == {"size": path.stat().st_size}
    path.unlink()
    with pytest.raises(errors.Conflict):
        run(run.engine.do(session, workshop.Publish(path=str(path), refuse=True), ADA))
    assert not path.exists()


def test_nothing_is_done_around_a_command_that_is_not_allowed_or_was_answered(run: Bench, tmp_path: Path) -> None:
    session, path = run.workshop(), tmp_path / "page"
    command = workshop.Publish(path=str(path))
    run(run.engine.do(session, command, ADA, once=once()))
    assert path.exists()
    path = path.rename(tmp_path / "elsewhere")
    assert run(run.engine.do(session, command, ADA, once=once())).repeated
    run(run.engine.do(session, workshop.Let(grantee=BOB.id, role="member"), ADA))
    for actor, refused in ((EVE, errors.NotFound), (BOB, errors.NotAllowed)):
        with pytest.raises(refused):
            run(run.engine.do(session, command, actor))
    run(run.engine.do(session, workshop.Hold(), ADA))
    with pytest.raises(errors.WrongState):
        run(run.engine.do(session, command, ADA))
    assert [file.name for file in tmp_path.glob("*e*")] == ["elsewhere"]


def test_another_kind_does_nothing_around_the_same_verb(store: Store, tmp_path: Path) -> None:
    quiet = replace(workshop.KIND, name="quiet", around={})
    with bench(store, kinds={**workshop.KINDS, "quiet": quiet}) as run:
        session = run(run.engine.open("quiet", workshop.Create(), ADA)).session.id
        done = run(run.engine.do(session, workshop.Publish(path=str(tmp_path / "page")), ADA))
    assert done.events[0].data == {"size": None}


def test_work_is_announced_after_the_commit(run: Bench) -> None:
    told: list[str] = []
    run.engine.on_work(lambda: told.append("work"))
    run.engine.on_cancel(lambda job: told.append(job))
    session = run.workshop()
    assert told == []
    run(run.engine.do(session, workshop.Climb(), ADA))
    first = run(run.engine.view(session, ADA)).session.data["job"]
    assert told == ["work"]
    with pytest.raises(errors.Conflict, match="already under way"):
        run(run.engine.do(session, workshop.Climb(), ADA))
    run(run.engine.do(session, workshop.Climb(twice=True), ADA))
    assert told == ["work", first, "work"]
    second = run(run.engine.view(session, ADA)).session.data["job"]
    run(run.engine.do(session, workshop.Stop(), ADA))
    run(run.engine.do(session, workshop.Stop(), ADA))
    assert told == ["work", first, "work", second]
    run.workshop(closes_in=60)
    assert told[-1] == "work"
    last = run.workshop()
    run(run.engine.do(last, workshop.Climb(), ADA))
    job = run(run.engine.view(last, ADA)).session.data["job"]
    run(run.engine.erase(last, ADA))
    assert told[-1] == job


def test_a_turn_may_end_where_it_begins(run: Bench) -> None:
    session = run.workshop()
    run(run.engine.do(session, workshop.Draft(prompt="Why?", answer="Because."), ADA))
    turn = run(run.engine.view(session, ADA)).session.data["job"]
    seen, page = run(run.engine.turn(session, turn, ADA)), run(run.engine.text(session, turn, ADA, after=3))
    assert (seen.status, seen.seq, page.text, page.ended) == ("completed", 3, "ause.", True)
    assert run(run.engine.events(session, ADA)).turns == ()
    run(run.engine.do(session, workshop.Draft(prompt="And now?"), ADA))


def test_without_anybody_to_tell_nothing_is_missed(run: Bench) -> None:
    session = run.workshop(closes_in=60)
    run(run.engine.do(session, workshop.Climb(), ADA))
    run(run.engine.do(session, workshop.Stop(), ADA))
    assert run.types(session) == ["created", "climbing", "stopped"]


def test_a_store_that_is_closed_answers_through_the_future(run: Bench) -> None:
    session = run.workshop()
    run.store.close()
    futures: list[Future[Any]] = [
        run.engine.view(session, ADA),
        run.engine.do(session, Say(text="x"), ADA),
        run.engine.erase(session, ADA),
    ]
    for future in futures:
        with pytest.raises(errors.StoreUnavailable):
            run(future)


def test_grants_expire_to_the_millisecond_in_memory_and_in_the_store(run: Bench, store: Store) -> None:
    session = run.workshop()
    until = START + timedelta(seconds=10, microseconds=123_999)
    run(run.engine.do(session, workshop.Let(grantee="user:bob", role="member", until=until), ADA))
    run.clock.advance(10.123)
    with bench(store, clock=run.clock) as other:
        for engine in (run.engine, other.engine):
            with pytest.raises(errors.NotFound):
                run(engine.view(session, BOB))
