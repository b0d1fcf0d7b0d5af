"""Erasing a person or a session: the content is nowhere any more, and the chain stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import LargeBinary, Text, select

from sitting import errors
from sitting.bundle import Verdict, verify
from sitting.core.chain import Record
from sitting.engine import Lease
from sitting.store import Store, jobs, sessions
from sitting.store.schema import metadata
from sitting.store.transaction import Tx
from tests.contract.test_engine import once
from tests.support import toy, workshop
from tests.support.engines import ADA, ADMIN, BOB, Bench, bench
from tests.support.workshop import Say

CANARY = "canary-7f3a"


@pytest.fixture
def run(store: Store) -> Iterator[Bench]:
    with bench(store) as made:
        yield made


def found(run: Bench, word: str, folder: Path) -> list[str]:
    """Where a word still stands: every column of every table, and on SQLite every byte of every file."""

    def search(tx: Tx) -> list[str]:
        hits = []
        for table in metadata.sorted_tables:
            for column in table.c:
                values = (
                    [row[0] for row in tx.all(select(column))] if isinstance(column.type, Text | LargeBinary) else []
                )
                hits += [f"{table.name}.{column.name}" for value in values if word in _readable(value)]
        return hits

    hits = run(run.store.read(search))
    if run.store.is_sqlite:
        hits += [file.name for file in folder.rglob("sitting.db*") if word.encode() in file.read_bytes()]
    return hits


def _readable(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def checked(run: Bench, session: str) -> Verdict:
    verdict = run(verify(run.store, run.engine.kinds, session, epoch=3))
    assert verdict.ok, verdict
    return verdict


def settled(run: Bench) -> None:
    """Wait until the files have been scrubbed: what was asked for before comes before this."""
    run(run.store.scrub())


def filled(run: Bench) -> tuple[str, str]:
    """A workshop in which Bob's canary stands in every place there is; and the turn that is being written."""
    session = run.workshop(name=f"{CANARY} of Ada", key="knots")
    run(run.engine.do(session, workshop.Let(grantee="user:bob", role="member"), ADA))
    answer = once(scope="user:bob POST", request=b"x")
    answer = type(answer)(answer.scope, answer.key, answer.request, lambda done: str(done.events).encode())
    run(run.engine.do(session, Say(text=f"{CANARY} said"), BOB, once=answer))
    run.say(session, f"{CANARY} mentioned", about="user:bob")
    run(run.engine.do(session, workshop.Draft(prompt=f"{CANARY} asked"), BOB))
    now = run.clock.now()
    taken = run(run.store.write(lambda tx: jobs.take(tx, now=now, until=now, limit=1)))[0]
    run(run.engine.write_text(Lease(session, taken.id, taken.lease), off=0, text=f"{CANARY} written"))
    return session, taken.id


PLACES = {
    "answers.answer",
    "jobs.input",
    "parts.content",
    "texts.text",
    "items.value",
    "sessions.data",
    "sessions.search",
}


def test_the_search_finds_every_place(run: Bench, tmp_path: Path) -> None:
    filled(run)
    places = set(found(run, CANARY, tmp_path))
    assert places >= PLACES
    assert not run.store.is_sqlite or {"sitting.db-wal"} <= places


def test_a_person_is_erased_from_everywhere(run: Bench, tmp_path: Path) -> None:
    session, turn = filled(run)
    before = run(run.engine.journal(session, ADA))
    run(run.engine.do(session, workshop.Forget(owner="user:bob"), ADA))
    run(run.engine.do(session, workshop.Forget(owner="user:ada"), ADA))
    settled(run)
    assert found(run, CANARY, tmp_path) == []
    after = run(run.engine.journal(session, ADA))
    assert [record.hash for record in after.records[:5]] == [record.hash for record in before.records]
    assert after.erased == {1, 3, 4, 5}
    assert checked(run, session).checked == 7
    view = run(run.engine.view(session, ADA)).view
    assert (view["name"], view["said"]) == (None, 4)
    assert run(run.engine.text(session, turn, ADA)).text == ""
    assert run(run.engine.turn(session, turn, ADA)).status == "running", "it has read its input already"


def test_what_was_erased_stands_in_no_unused_part_of_a_page(store: Store, tmp_path: Path, dice: Random) -> None:
    """While several sessions are written to, pages fill up and are split again and again; that leaves copies."""
    with bench(store, kinds={"toy": toy.KIND}) as run:
        names = [f"{CANARY}-{number}-" for number in range(12)]
        ids = [run(run.engine.open("toy", toy.Create(name=name, words=1000), ADA)).session.id for name in names]
        for _ in range(300):
            number = dice.randrange(len(ids))
            text = f"{names[number]} {'x' * dice.choice((5, 100, 300, 600, 900))}"
            run(run.engine.do(ids[number], toy.Note(text=text), ADA))
        for name, id in zip(names, ids, strict=True):
            run(run.engine.do(id, toy.Pause(), ADA))
            run(run.engine.erase(id, ADA))
            assert found(run, name, tmp_path) == []


def test_a_scrub_that_was_prevented_is_made_up_for(run: Bench, tmp_path: Path) -> None:
    """As when the process ends between the commit of an erasure and the scrub; the worker tidies when it begins."""
    session, _ = filled(run)
    run(run.engine.do(session, workshop.Close(), ADA))

    def erase(tx: Tx) -> None:
        run.engine._writing._empty_one(tx, run.engine._holding.get(tx, session), run.clock.now())

    run(run.store.write(erase))
    assert not run.store.is_sqlite or found(run, CANARY, tmp_path)
    run(run.engine.tidy())
    settled(run)
    assert found(run, CANARY, tmp_path) == []


def test_a_job_asked_for_with_an_erasure_keeps_its_input(run: Bench) -> None:
    session = run.workshop()
    run(run.engine.do(session, workshop.Forget(owner="user:bob", then="a prompt"), ADA))
    now = run.clock.now()
    taken = run(run.store.write(lambda tx: jobs.take(tx, now=now, until=now, limit=1)))[0]
    assert taken.input == {"prompt": "a prompt"}


def test_only_that_person_is_erased(run: Bench) -> None:
    session, _ = filled(run)
    run(run.engine.do(session, workshop.Forget(owner="user:bob"), ADA))
    parts = [dict(event.personal) for event in run.selected(session)]
    assert parts[2:4] == [{"user:bob": None}, {"user:ada": {"text": f"{CANARY} mentioned"}, "user:bob": None}]
    run(run.engine.do(session, workshop.Forget(owner="user:nobody"), ADA))
    assert checked(run, session).checked == 7


def test_what_is_erased_stays_erased_for_every_engine(run: Bench, store: Store) -> None:
    session, _ = filled(run)
    with bench(store, clock=run.clock) as other:
        assert CANARY in str(other(other.engine.view(session, ADA)).session)
        run(run.engine.do(session, workshop.Forget(owner="user:ada"), ADA))
        run(run.engine.do(session, workshop.Forget(owner="user:bob"), ADA))
        assert CANARY not in str(other(other.engine.view(session, ADA)).session)
        assert not any(CANARY in str(held) for held in run.engine._holding._cache.values())


def test_a_session_is_erased_from_everywhere(run: Bench, tmp_path: Path) -> None:
    session, turn = filled(run)
    head = run(run.engine.journal(session, ADA)).records[-1].hash.hex()
    run(run.engine.erase(session, ADA))
    settled(run)
    assert found(run, CANARY, tmp_path) == []
    for gone in (session, turn):
        with pytest.raises(errors.NotFound):
            run(run.engine.turn(session, gone, ADA))
    verdict = checked(run, session)
    assert (verdict.checked, verdict.head) == (5, head)
    assert run.woken.wakes[-1][0] == session
    assert not any(held.session.data for held in run.engine._holding._cache.values())


def test_what_is_about_a_session_is_erased_with_it(store: Store, tmp_path: Path) -> None:
    with bench(store, kinds={**workshop.KINDS, "workshop": workshop.kind(follows=True)}) as run:
        erased_with_its_subject(run, tmp_path)


def erased_with_its_subject(run: Bench, tmp_path: Path) -> None:
    team = run.team()
    about, elsewhere = [run.workshop(team=team, name=CANARY) for _ in range(2)], run.workshop(name="stays")
    run(run.engine.do(about[0], workshop.Climb(), ADA))
    run(run.engine.erase(team, ADA))
    settled(run)
    assert found(run, CANARY, tmp_path) == []
    for gone in (team, *about):
        with pytest.raises(errors.NotFound):
            run(run.engine.view(gone, ADA))
    assert run(run.engine.view(elsewhere, ADA)).view["name"] == "stays"
    assert {wake[0] for wake in run.woken.wakes[-3:]} == {team, *about}


def test_what_was_copied_from_a_session_goes_with_it(run: Bench, tmp_path: Path) -> None:
    source, copy, other = (run.workshop() for _ in range(3))
    run.say(source, CANARY)
    for session in (copy, other):
        run(run.engine.do(session, Say(text=CANARY, about=f"session:{source}"), ADA))
        run(run.engine.do(session, workshop.Forget(owner=ADA.id), ADA))
    run.say(other, "stays", about=f"session:{copy}")
    assert "parts.content" in found(run, CANARY, tmp_path)
    run(run.engine.erase(source, ADA))
    settled(run)
    assert found(run, CANARY, tmp_path) == []
    for session in (copy, other):
        heard = run(run.engine.view(session, ADA)).session.collection("said")["2"]["heard"]
        assert heard == {ADA.id: False, f"session:{source}": False}
        assert run(verify(run.store, run.engine.kinds, session, epoch=3)).ok


def test_a_copy_that_nobody_here_can_fold_again_is_not_forgotten(run: Bench, store: Store) -> None:
    """Its application is not installed: what would be left of it nobody knows, so nothing goes."""
    copy = run.workshop()
    with bench(store, kinds={"team": workshop.KINDS["team"]}, clock=run.clock) as other:
        team = other.team()
        run.say(copy, CANARY, about=f"session:{team}")
        with pytest.raises(errors.Conflict, match="not installed here holds a copy"):
            other(other.engine.erase(team, ADA))
        assert other(other.engine.view(team, ADA)).session.state == "on"
    run(run.engine.erase(team, ADA))
    assert run.selected(copy)[-1].personal[f"session:{team}"] is None


def test_what_writes_while_a_copy_is_erased_goes_on(run: Bench) -> None:
    source, copy = run.workshop(), run.workshop()
    run.say(copy, CANARY, about=f"session:{source}")
    run(run.engine.do(copy, workshop.Draft(prompt="p"), ADA))
    now = run.clock.now()
    taken = run(run.store.write(lambda tx: jobs.take(tx, now=now, until=now, limit=1)))[0]
    lease = Lease(copy, taken.id, taken.lease)
    run(run.engine.write_text(lease, off=0, text="before, "))
    run(run.engine.erase(source, ADA))
    run(run.engine.write_text(lease, off=8, text="after"))
    assert run(run.engine.text(copy, taken.id, ADA)).text == "before, after"


def test_copies_of_copies_and_of_what_is_gone_already(run: Bench) -> None:
    source, copy, last = (run.workshop() for _ in range(3))
    run.say(copy, "one", about=f"session:{source}")
    run.say(last, "two", about=f"session:{copy}")
    for session in (copy, source, last):
        run(run.engine.erase(session, ADA))


def test_nothing_is_erased_when_the_session_itself_may_not_be(run: Bench) -> None:
    team = run.team()
    run(run.engine.do(team, workshop.Join(grantee=BOB.id, role="member"), ADA))
    about = run.workshop(team=team)
    with pytest.raises(errors.NotAllowed):
        run(run.engine.erase(team, BOB))
    assert run(run.engine.view(about, ADA)).view["state"] == "open"


def test_an_id_is_never_used_again_but_a_key_is_free(run: Bench) -> None:
    session = run.workshop(id="once", key="knots")
    run(run.engine.erase(session, ADA))
    with pytest.raises(errors.KeyTaken, match="exists here, or did"):
        run.workshop(id="once")
    with pytest.raises(errors.KeyTaken, match="exists here, or did"):
        run(run.engine.adopt("workshop", "once", [], ADA))
    assert run.workshop(key="knots") != session


def test_what_was_erased_is_still_counted(run: Bench) -> None:
    made = []
    for _ in range(3):
        made.append(run.workshop())
        run.clock.advance(1)
    run(run.engine.erase(made[0], ADA))
    assert run(run.store.read(sessions.every)) == made


def test_who_may_not_erase(run: Bench) -> None:
    session = run.workshop()
    run(run.engine.do(session, workshop.Let(grantee="user:bob", role="member"), ADA))
    with pytest.raises(errors.NotAllowed):
        run(run.engine.erase(session, BOB))
    assert run(run.engine.view(session, ADA)).role == "lead"


def test_a_repeat_after_erasing_finds_nothing_to_repeat(run: Bench) -> None:
    session = run(run.engine.open("workshop", workshop.Create(), ADA, once=once())).session.id
    run(run.engine.erase(session, ADA))
    again = run(run.engine.open("workshop", workshop.Create(), ADA, once=once()))
    assert not again.repeated
    assert again.session.id != session


def records(run: Bench, session: str) -> list[Record]:
    return list(run(run.engine.journal(session, ADA)).records)


def test_a_session_comes_back_from_its_records(run: Bench) -> None:
    with_two = filled(run)[0]
    taken_out = records(run, with_two)
    with pytest.raises(errors.KeyTaken):
        run(run.engine.adopt("workshop", with_two, taken_out, ADMIN))
    with pytest.raises(errors.NotFound, match="no kind 'party'"):
        run.engine.adopt("party", "x", taken_out, ADMIN)
    brought = run(run.engine.adopt("workshop", "elsewhere", taken_out, ADMIN))
    assert (brought.space, brought.seq, brought.key) == ("s1", 5, None)
    seen = run(run.engine.view("elsewhere", ADMIN))
    assert (seen.role, seen.people) == ("lead", (("user:root", "lead"),))
    with pytest.raises(errors.NotFound):
        run(run.engine.view("elsewhere", ADA))
    run.say("elsewhere", "going on", actor=ADMIN)


def test_a_kind_without_an_owner_is_brought_by_who_has_a_standing(run: Bench) -> None:
    team = run.team()
    with pytest.raises(errors.NotAllowed, match="no role"):
        run(run.engine.adopt("team", "elsewhere", records(run, team), BOB))
    run(run.engine.adopt("team", "elsewhere", records(run, team), ADMIN))
    assert run(run.engine.view("elsewhere", ADMIN)).people == ()


def test_records_of_another_kind_are_refused(run: Bench) -> None:
    team = run.team()
    with pytest.raises(errors.Invalid, match="not the journal of a session of the kind 'workshop'"):
        run(run.engine.adopt("workshop", "elsewhere", records(run, team), BOB))
    session = filled(run)[0]
    for part in (records(run, session)[2:], records(run, session)[1:2]):
        with pytest.raises(errors.Invalid):
            run(run.engine.adopt("workshop", "elsewhere", part, BOB))
