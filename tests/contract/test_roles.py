"""Who is who in a session, what a foreign one looks like, and which sessions a list shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

import pytest

from sitting import errors
from sitting.core.actor import Actor
from sitting.core.session import Session
from sitting.engine import Where
from sitting.holding import CACHED_SESSIONS, Holding
from sitting.store import Store
from sitting.store.sessions import Held
from sitting.store.transaction import Tx
from tests.support import workshop
from tests.support.clock import START
from tests.support.engines import ADA, ADMIN, BOB, EVE, MEMBER, SYSTEM, Bench, bench
from tests.support.workshop import Join, Rename

LINK = "link:" + "0" * 64
GUEST = Actor("guest:1", credentials=(LINK,))


@pytest.fixture
def run(store: Store) -> Iterator[Bench]:
    with bench(store) as made:
        yield made


def role(run: Bench, session: str, actor: Actor) -> str | None:
    try:
        return run(run.engine.view(session, actor)).role
    except errors.NotFound:
        return None


def let(run: Bench, session: str, grantee: str, role: str | None, until: datetime | None = None) -> None:
    run(run.engine.do(session, workshop.Let(grantee=grantee, role=role, until=until), ADA))


def listed(run: Bench, actor: Actor, **where: Any) -> list[str]:
    return [seen.session.id for seen in run(run.engine.list("workshop", actor, Where(**where))).items]


def test_a_grant_is_given_changed_and_taken_at_once(run: Bench) -> None:
    session = run.workshop()
    found = [role(run, session, BOB)]
    for given in ("member", "lead", None, "member"):
        let(run, session, "user:bob", given)
        found.append(role(run, session, BOB))
    assert found == [None, "member", "lead", None, "member"]
    people = run(run.engine.view(session, ADA)).people
    assert people == (("user:ada", "lead"), ("user:bob", "member"))


def test_who_gives_up_the_own_role_is_answered_and_then_outside(run: Bench) -> None:
    session = run.workshop()
    done = run(run.engine.do(session, workshop.Let(grantee="user:ada", role=None), ADA))
    assert (done.role, done.audience) == ("", "")
    assert role(run, session, ADA) is None


def test_a_grant_ends_when_it_says(run: Bench) -> None:
    session = run.workshop()
    let(run, session, "user:bob", "member", START + timedelta(seconds=60))
    assert role(run, session, BOB) == "member"
    assert listed(run, BOB) == [session]
    run.clock.advance(60)
    assert role(run, session, BOB) is None
    assert listed(run, BOB) == []
    assert run(run.engine.view(session, ADA)).people == (("user:ada", "lead"),)


def test_a_credential_carries_its_own_grant(run: Bench) -> None:
    session = run.workshop()
    assert run(run.engine.find(LINK)) is None
    run(run.engine.do(session, workshop.Mint(credential=LINK), ADA))
    assert run(run.engine.find(LINK)) == (session, "member")
    assert (role(run, session, GUEST), role(run, session, Actor("guest:1"))) == ("member", None)
    assert run(run.engine.view(session, ADA)).people == (("user:ada", "lead"),)
    let(run, session, "guest:1", "lead")
    assert role(run, session, GUEST) == "lead"
    let(run, session, LINK, "member", START + timedelta(seconds=1))
    run.clock.advance(1)
    assert run(run.engine.find(LINK)) is None


def test_a_guest_may_open_what_the_lifecycle_opens_to_guests(run: Bench) -> None:
    session = run.workshop(GUEST)
    assert role(run, session, Actor("guest:1")) == "lead"
    assert role(run, session, ADMIN) is None


def test_the_system_is_at_home_everywhere(run: Bench) -> None:
    session = run.workshop()
    assert role(run, session, SYSTEM) == "system"
    assert role(run, session, Actor("system:worker")) == "system"


def test_standing_in_a_space_counts_in_that_space_only(run: Bench) -> None:
    team = run.team()
    foreign = Actor("user:root", "s2", MEMBER | {"admin"})
    assert role(run, team, ADMIN) == "lead"
    assert [role(run, team, actor) for actor in (BOB, foreign, Actor("guest:root"))] == [None, None, None]
    run(run.engine.do(team, workshop.Join(grantee="user:root", role="member"), ADA))
    assert role(run, team, ADMIN) == "member"
    assert role(run, team, foreign) is None


def test_a_role_is_inherited_from_what_a_session_is_about(run: Bench) -> None:
    team = run.team()
    session = run.workshop(team=team)
    join = workshop.Join(grantee="user:bob", role="member", seconds=60)
    run(run.engine.do(team, join, ADA))
    assert (role(run, session, BOB), role(run, session, ADMIN), role(run, session, EVE)) == ("member", "lead", None)
    assert listed(run, BOB) == [session]
    run.clock.advance(60)
    assert role(run, session, BOB) is None
    assert listed(run, BOB) == []
    run(run.engine.erase(team, ADA))
    assert (role(run, session, ADMIN), role(run, session, ADA)) == (None, "lead")
    done = run(run.engine.do(session, workshop.Let(grantee="user:ada", role=None), ADA))
    assert done.role == ""


def test_what_a_standing_in_the_subject_opens_is_listed(run: Bench) -> None:
    team = run.team()
    session, alone = run.workshop(team=team), run.workshop()
    root = Actor("user:root", "s2", MEMBER | {"admin"})
    assert [role(run, id, ADMIN) for id in (session, alone)] == ["lead", None]
    assert (listed(run, ADMIN), listed(run, BOB), listed(run, root)) == ([session], [], [])
    assert run(run.engine.list("workshop", ADMIN, Where(mine=True))).total == 0
    run(run.engine.erase(team, ADA))
    assert (role(run, session, ADMIN), listed(run, ADMIN)) == (None, [])


def test_sessions_about_each_other_or_about_nothing(run: Bench) -> None:
    run.workshop(id="a", team="b")
    run.workshop(id="b", team="a")
    run.workshop(id="c", team="c")
    run.workshop(id="d", team="nowhere")
    run.workshop(EVE, id="e")
    run.workshop(id="f", team="e")
    assert [role(run, id, BOB) for id in "abcdf"] == [None] * 5
    assert role(run, "f", EVE) is None


UNKNOWN = (
    "5f0c2a9e-0000-4000-8000-000000000001",
    "",
    "..",
    "a/b",
    "\x00",
    "\ud800",
    "x" * 200,
    "%",
    "' OR 1=1 --",
    "é",
)


@pytest.mark.parametrize("malformed", UNKNOWN, ids=ascii)
def test_a_foreign_session_answers_like_one_that_does_not_exist(run: Bench, malformed: str) -> None:
    foreign, erased = run.workshop(), run.workshop()
    turn = run(run.engine.do(foreign, workshop.Draft(prompt="p"), ADA)).session.data["job"]
    run(run.engine.erase(erased, ADA))
    asks: list[Callable[[str], Future[Any]]] = [
        lambda id: run.engine.view(id, EVE),
        lambda id: run.engine.view(id, EVE, kind="workshop"),
        lambda id: run.engine.events(id, EVE, after=99),
        lambda id: run.engine.history(id, EVE),
        lambda id: run.engine.at(id, EVE, 1),
        lambda id: run.engine.journal(id, EVE),
        lambda id: run.engine.selected(id, EVE, ["said"]),
        lambda id: run.engine.turn(id, turn, EVE),
        lambda id: run.engine.text(id, turn, EVE),
        lambda id: run.engine.do(id, workshop.Say(text="x"), EVE),
        lambda id: run.engine.do(id, workshop.Found(), EVE, expect=5),
        lambda id: run.engine.erase(id, EVE),
    ]
    for ask in asks:
        answers = set()
        for id in (foreign, erased, malformed):
            with pytest.raises(errors.NotFound) as refused:
                run(ask(id))
            answers.add((type(refused.value), refused.value.message, str(refused.value.facts)))
        assert answers == {(errors.NotFound, "Session not found", "{}")}


def test_a_session_of_another_kind_is_not_found(run: Bench, store: Store) -> None:
    session = run.workshop()
    with pytest.raises(errors.NotFound):
        run(run.engine.view(session, ADA, kind="team"))
    assert run(run.engine.view(session, ADA, kind="workshop")).role == "lead"
    with bench(store, kinds={"team": workshop.TEAM}) as other, pytest.raises(errors.NotFound):
        other(other.engine.view(session, ADA))


def test_a_list_shows_the_newest_first_and_only_ones_own(run: Bench) -> None:
    ids = []
    for number in range(5):
        ids.append(run.workshop(name=f"Number {number}"))
        run.clock.advance(1)
    run.workshop(BOB)
    run.workshop(EVE)
    run.team()
    assert listed(run, ADA) == ids[::-1]
    assert listed(run, ADA, limit=2, offset=1) == [ids[3], ids[2]]
    page = run(run.engine.list("workshop", ADA, Where(limit=2)))
    assert (page.total, [seen.view["name"] for seen in page.items]) == (5, ["Number 4", "Number 3"])
    run(run.engine.do(ids[2], workshop.Hold(), ADA))
    assert listed(run, ADA, state="held") == [ids[2]]
    run(run.engine.erase(ids[4], ADA))
    assert listed(run, ADA) == ids[3::-1]
    with pytest.raises(errors.NotFound, match="no kind 'party'"):
        run.engine.list("party", ADA, Where())


def test_those_with_a_standing_see_all_and_can_ask_for_their_own(run: Bench) -> None:
    mine, other = run.team(ADMIN), run.team()
    run.team(EVE)

    def teams(actor: Actor, *, own: bool = False) -> set[str]:
        return {seen.session.id for seen in run(run.engine.list("team", actor, Where(mine=own))).items}

    assert teams(ADMIN) == teams(SYSTEM) == {mine, other}
    assert teams(ADMIN, own=True) == {mine}
    assert teams(ADA) == {other}


def test_a_list_is_asked_by_subject_and_by_words(run: Bench) -> None:
    team = run.team()
    about = run.workshop(team=team, name="Żółw 100% sure_thing")
    other = run.workshop(name="100 percent surething")
    assert listed(run, ADA, subject=team) == [about]
    found = {q: set(listed(run, ADA, q=q)) for q in ("żÓŁW", "100", "%", "_", "100%", "e_t", "\\", "'", "nothing")}
    assert found == {
        "żÓŁW": {about},
        "100": {about, other},
        "%": {about},
        "_": {about},
        "100%": {about},
        "e_t": {about},
        "\\": set(),
        "'": set(),
        "nothing": set(),
    }
    for wrong in ({"q": "\x00"}, {"state": "\ud800"}, {"subject": "a\x00"}):
        with pytest.raises(errors.Invalid):
            listed(run, ADA, **wrong)


def test_what_is_searched_follows_every_part_of_a_session(run: Bench) -> None:
    session = run.workshop(name="Knots")
    run(run.engine.do(session, workshop.Put(id="bowline", label="a loop"), ADA))
    assert listed(run, ADA, q="knots") == listed(run, ADA, q="bowline") == [session]
    run(run.engine.do(session, workshop.Put(id="bowline", label=None), ADA))
    run(run.engine.do(session, workshop.Hold(), ADA))
    assert (listed(run, ADA, q="knots"), listed(run, ADA, q="bowline")) == ([session], [])
    run(run.engine.do(session, workshop.Reopen(), ADA))
    run(run.engine.do(session, workshop.Rename(name="Hitches"), ADA))
    assert (listed(run, ADA, q="knots"), listed(run, ADA, q="hitches")) == ([], [session])


def test_a_list_fires_what_is_due_before_it_answers(run: Bench) -> None:
    closing, staying = run.workshop(closes_in=60), run.workshop()
    run.clock.advance(60)
    assert listed(run, ADA, state="open") == [staying]
    assert listed(run, ADA, state="closed") == [closing]


def test_memory_is_bounded() -> None:
    holding = Holding(workshop.KINDS, epoch=1)
    for number in range(CACHED_SESSIONS + 10):
        holding.remember(Held(Session(str(number), "team", ""), 2, b"", {}))
    holding.remember(Held(Session("500", "team", "older"), 1, b"", {}))
    assert len(holding._cache) == CACHED_SESSIONS
    assert "9" not in holding._cache
    assert holding._cache["500"].version == 2


def test_what_is_loaded_amid_unfinished_writes_is_not_remembered(run: Bench, store: Store) -> None:
    session, holding = run.workshop(), Holding(workshop.KINDS, epoch=run.engine.epoch)

    def amid(tx: Tx) -> None:
        tx.staged["another"] = object()
        assert holding.get(tx, session).session.id == session
        tx.staged.clear()

    store.write(amid).result()
    assert not holding._cache
    store.read(lambda tx: holding.get(tx, session)).result()
    assert list(holding._cache) == [session]


def test_a_session_may_come_to_be_about_another_or_about_none(run: Bench) -> None:
    team, other = run.team(), run.team()
    session = run.workshop(team=team)
    run(run.engine.do(team, Join(grantee=BOB.id, role="member"), ADA))
    assert role(run, session, BOB) == "member"
    for subject, seen in ((other, None), (team, "member"), ("", None)):
        run(run.engine.do(session, Rename(name="x", team=subject), ADA))
        assert role(run, session, BOB) == seen
        assert len(run(run.engine.list("workshop", ADA, Where(subject=team))).items) == (seen is not None)
