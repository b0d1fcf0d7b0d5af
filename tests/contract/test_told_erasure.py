"""An erasure that the kind tells of: its event is the journal's last, whoever asked, a person or the clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar

import pytest

from sitting import errors
from sitting.bundle import verify
from sitting.core.event import Event, Fact
from sitting.core.kind import Ask, Command, Decision, Due, Erase, Grant, JobRequest, Kind
from sitting.core.lifecycle import GONE, Lifecycle, Move
from sitting.core.session import Session
from sitting.reading import Where
from sitting.store import Store, jobs, journal
from tests.support import workshop
from tests.support.engines import ADA, BOB, Bench, bench

MINUTE = timedelta(minutes=1)


class Create(Command):
    verb: ClassVar[str] = "create"
    key: str | None = None


class Vanish(Command):
    verb: ClassVar[str] = "vanish"


def decide(ask: Ask) -> Decision:
    match ask.command:
        case Create() as new:
            job = JobRequest("rest", "rest", ask.uuid("rest"))
            fact = Fact("created", {}, {ask.actor.id: {"name": "canary"}})
            return Decision((fact,), grants=(Grant(ask.actor.id, "lead"),), jobs=(job,), key=new.key)
        case Erase():
            return Decision((Fact("deleted", {"by": ask.actor.id}),))
        case _:
            return Decision((Fact("vanished"),))


def fold(session: Session, event: Event) -> Session:
    return session.to("here" if event.type == "created" else GONE)


def due(session: Session) -> Due:
    assert session.created_at is not None
    return Due(Vanish(), session.created_at + MINUTE)


FLEETING = Kind(
    "fleeting",
    Lifecycle(
        ("here",),
        [
            Move("create", (), ("member",), ("here",)),
            Move("vanish", ("here",), ("system", "lead"), (GONE,)),
            Move("erase", ("here",), ("lead",)),
        ],
    ),
    {command.verb: command for command in (Create, Vanish, Erase)},
    decide,
    fold,
    audience=lambda session, actor, role: role,
    view=lambda session, audience, now: {"state": session.state},
    tell=lambda event, audience: {"type": event.type},
    due=due,
    work={"rest": lambda room: None},
    search=lambda session: session.id,
)


@pytest.fixture
def run(store: Store) -> Iterator[Bench]:
    with bench(store, kinds={**workshop.KINDS, "fleeting": FLEETING}) as made:
        yield made


def opened(run: Bench, **fields: str) -> str:
    return run(run.engine.open("fleeting", Create(**fields), ADA)).session.id


def last(run: Bench, session: str) -> tuple[str, str, bool]:
    """The journal's last event and who made it, and whether the first one's words are gone. The chain stands."""
    verdict = run(verify(run.store, run.engine.kinds, session, epoch=3))
    records = run(run.store.read(lambda tx: list(journal.every(tx, session))))
    assert verdict.ok and verdict.checked == len(records)
    event = journal.event(records[-1])
    return event.type, event.actor, journal.event(records[0]).personal == {ADA.id: None}


def test_a_kind_tells_who_erased(run: Bench) -> None:
    session = opened(run, key="one")
    with pytest.raises(errors.NotFound):
        run(run.engine.erase(session, BOB))
    with pytest.raises(errors.Stale):
        run(run.engine.erase(session, ADA, expect=9))
    run(run.engine.erase(session, ADA, expect=1))
    assert last(run, session) == ("deleted", ADA.id, True)
    with pytest.raises(errors.NotFound):
        run(run.engine.view(session, ADA))
    with pytest.raises(errors.NotFound):
        run(run.engine.erase(session, ADA))
    assert run(run.store.read(lambda tx: jobs.active(tx, session))) == []
    assert opened(run, key="one") != session
    assert run.woken.wakes[-2][0] == session, "its followers are told that it is gone"


def test_another_command_may_lead_there_too(run: Bench) -> None:
    session = opened(run)
    done = run(run.engine.do(session, Vanish(), ADA))
    assert [event.type for event in done.events] == ["vanished"] and done.session.state == GONE
    assert last(run, session) == ("vanished", ADA.id, True)


@pytest.mark.parametrize("way", ["view", "do", "fire", "list"])
def test_the_clock_erases_once_whoever_comes_first(run: Bench, way: str) -> None:
    session = opened(run)
    run.clock.advance(60)
    if way == "list":
        assert run(run.engine.list("fleeting", ADA, Where())).total == 0
    elif way == "fire":
        run(run.engine.fire(session))
    elif way == "view":
        with pytest.raises(errors.NotFound):
            run(run.engine.view(session, ADA))
    else:
        with pytest.raises(errors.NotFound):
            run(run.engine.do(session, Vanish(), ADA))
    assert last(run, session) == ("vanished", "system:clock", True)


def test_a_word_that_leads_elsewhere_is_a_mistake(store: Store) -> None:
    stays = replace(FLEETING, fold=lambda session, event: session.to("here"), due=lambda session: None)
    with bench(store, kinds={"fleeting": stays}) as run:
        session = opened(run)
        with pytest.raises(errors.Misuse, match="'erase' may not lead to 'here'"):
            run(run.engine.erase(session, ADA))


def test_the_engines_own_state_stands_in_no_table() -> None:
    with pytest.raises(errors.Misuse, match="'gone' is the engine's own"):
        Lifecycle(("here", GONE), [Move("create", (), ("member",), ("here",))])
    with pytest.raises(errors.Misuse, match="unknown states: gone"):
        Lifecycle(("here",), [Move("create", (), ("member",), ("here",)), Move("back", (GONE,), ("lead",), ("here",))])
