"""Any commands, steps of the clock, erasures and restarts: the journal stands, and memory agrees with it.

After every step: each chain verifies, folding the journal gives the stored state, numbers are contiguous, times do not
go back, and what was charged never passes its limit. After a restart every audience sees what it saw before.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sitting import errors
from sitting.bundle import verify
from sitting.core.actor import Actor
from sitting.core.event import Event
from sitting.core.kind import Ask, Command, Decision, Kind
from sitting.core.session import Session
from sitting.engine import Lease, Once
from sitting.store import Store, jobs, journal, sessions
from tests.support import workshop
from tests.support.clock import ManualClock
from tests.support.engines import ADA, BOB, EVE, Bench, opened
from tests.support.workshop import LIFECYCLE, WORDS

PEOPLE = {actor.id: actor for actor in (ADA, BOB, EVE)}
OWNERS = ("user:ada", "user:bob", "user:eve", "user:nobody")
texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
commands = st.one_of(
    st.builds(workshop.Say, text=texts, about=st.none() | st.sampled_from(OWNERS), whispered=st.booleans()),
    st.builds(workshop.Put, id=st.sampled_from("abc"), label=st.none() | texts),
    st.builds(workshop.Rename, name=st.none() | texts, key=st.none() | st.sampled_from("xyz")),
    st.builds(workshop.Let, grantee=st.sampled_from(OWNERS[1:]), role=st.none() | st.sampled_from(["lead", "member"])),
    st.builds(workshop.Climb, steps=st.just(2), twice=st.booleans()),
    st.builds(workshop.Draft, prompt=texts),
    st.sampled_from([workshop.Hold(), workshop.Reopen(), workshop.Close(), workshop.Stop(), workshop.Beat()]),
    st.builds(workshop.Wrong, how=st.sampled_from(["state", "type", "data", "number"])),
)


@dataclass
class Known:
    """What the test itself knows of a session."""

    state: str = "open"
    said: int = 0
    gone: bool = False
    owners: set[str] = field(default_factory=set)


class JournalMachine(RuleBasedStateMachine):
    """One installation, two spaces."""

    ids = Bundle("ids")
    kind = workshop.KIND

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="journal-"))
        shutil.copytree(TEMPLATE, self.folder, dirs_exist_ok=True)
        self.clock = ManualClock()
        self.known: dict[str, Known] = {}
        self.count = 0
        self.open()

    def open(self) -> None:
        kinds = {"team": workshop.TEAM, "workshop": self.kind}
        self.run = Bench(Store(f"sqlite:///{self.folder / 'sitting.db'}"), clock=self.clock, kinds=kinds)

    def teardown(self) -> None:
        self.run.engine.close()
        self.run.store.close()
        shutil.rmtree(self.folder)

    @rule(target=ids, who=st.sampled_from([ADA, EVE]), beats=st.booleans(), closes_in=st.none() | st.integers(1, 500))
    def create(self, who: Actor, beats: bool, closes_in: int | None) -> Any:
        if len(self.known) == 5:
            return multiple()
        self.count += 1
        id = self.run.workshop(who, id=f"w{self.count}", beats=beats, closes_in=closes_in)
        self.known[id] = Known()
        return id

    @rule(id=ids, who=st.sampled_from([ADA, BOB, EVE]), command=commands, stale=st.booleans())
    def do(self, id: str, who: Actor, command: Command, stale: bool) -> None:
        known = self.known[id]
        seq = self.head(id)
        try:
            done = self.run(self.run.engine.do(id, command, who, expect=seq + 99 if stale else None))
        except errors.Misuse:
            assert isinstance(command, workshop.Wrong)
        except (errors.Refusal, ValueError) as refusal:
            self.explain(known, command, refusal, stale=stale)
        else:
            assert not stale
            assert not known.gone
            known.state = done.session.state
            known.said += sum(event.data.get("words", 0) for event in done.events)
        assert self.head(id) >= seq

    def explain(self, known: Known, command: Command, refusal: Exception, *, stale: bool) -> None:
        """A refusal is one the test could have foretold."""
        match refusal:
            case errors.NotFound() | errors.NotAllowed() | errors.KeyTaken():
                pass
            case errors.Stale():
                assert stale
            case errors.BudgetExhausted():
                assert isinstance(command, workshop.Say)
            case errors.WrongState():
                assert refusal.facts["session_status"] in LIFECYCLE.states
            case errors.Conflict():
                assert isinstance(command, workshop.Climb | workshop.Draft)
            case _:
                assert isinstance(command, workshop.Wrong)

    @rule(id=ids, who=st.sampled_from([ADA, BOB, EVE]), key=st.sampled_from("kl"), words=st.sampled_from(["a", "b"]))
    def repeat(self, id: str, who: Actor, key: str, words: str) -> None:
        once = Once(f"{who.id} {id}", key, words.encode(), lambda done: f"{done.session.seq}".encode())
        before = self.head(id)
        try:
            first = self.run(self.run.engine.do(id, workshop.Say(text=words), who, once=once))
        except errors.Refusal:
            return
        again = self.run(self.run.engine.do(id, workshop.Say(text=words), who, once=once))
        assert (again.answer, again.repeated, again.session.seq) == (first.answer, True, first.session.seq)
        self.known[id].said += 0 if first.repeated else 1
        assert first.repeated or self.head(id) > before

    @rule(last=st.booleans(), lost=st.booleans(), text=texts)
    def work(self, last: bool, lost: bool, text: str) -> None:
        """A worker takes a job, says something, and perhaps its lease was lost meanwhile."""
        now = self.clock.now()
        for job in self.run(self.run.store.write(lambda tx: jobs.take(tx, now=now, until=now, limit=1))):
            lease = Lease(job.session, job.id, job.lease - lost)
            command: Command = workshop.Step(number=1)
            if job.purpose == "draft":
                command = workshop.Drafted(turn=job.id, status="completed", text=text)
            try:
                if text and not last:
                    self.run(self.run.engine.write_text(lease, off=job.attempt * 100, text=text))
                self.run(self.run.engine.report(lease, command, last=last))
            except errors.LeaseLost:
                assert lost
            except errors.WrongState:
                self.run(self.run.engine.finish(lease))
            else:
                assert not lost

    @rule(seconds=st.sampled_from([0.001, 1, 59.999, 60, 400, -5, 3000]))
    def step_the_clock(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(id=ids, owners=st.sets(st.sampled_from(OWNERS)), who=st.sampled_from([ADA, EVE]))
    def forget(self, id: str, owners: set[str], who: Actor) -> None:
        for owner in sorted(owners):
            try:
                self.run(self.run.engine.do(id, workshop.Forget(owner=owner), who))
            except errors.Refusal:
                continue
            for event in self.run.selected(id, actor=who):
                assert event.personal.get(owner) is None

    @rule(id=ids, who=st.sampled_from([ADA, BOB, EVE]))
    def erase(self, id: str, who: Actor) -> None:
        try:
            self.run(self.run.engine.erase(id, who))
        except errors.Refusal:
            return
        self.known[id].gone = True

    @precondition(lambda self: self.known)
    @rule()
    def restart(self) -> None:
        before = self.seen()
        self.run.engine.close()
        self.run.store.close()
        self.open()
        assert self.seen() == before

    def seen(self) -> dict[tuple[str, str], Any]:
        """What everybody sees of every session."""
        found: dict[tuple[str, str], Any] = {}
        for id in self.known:
            for who in PEOPLE.values():
                try:
                    view, page = self.run(self.run.engine.view(id, who)), self.run(self.run.engine.events(id, who))
                except errors.NotFound:
                    continue
                found[id, who.id] = (view.view, view.role, view.people, view.allowed, page.events, page.turns)
        return found

    def head(self, id: str) -> int:
        return self.run(self.run.store.read(lambda tx: sessions.heads(tx, [id])))[id][0]

    @invariant()
    def every_journal_stands(self) -> None:
        for id, known in self.known.items():
            if not known.gone:
                self.run(self.run.engine.fire(id))
            verdict = self.run(verify(self.run.store, self.run.engine.kinds, id, epoch=3))
            assert verdict.ok, verdict
            records = self.run(self.run.store.read(lambda tx, id=id: list(journal.every(tx, id))))  # type: ignore[misc]
            assert [record.seq for record in records] == list(range(1, verdict.checked + 1))
            assert all(before.at <= after.at for before, after in pairwise(records))
            assert not known.gone or all(part.text is None for record in records for part in record.parts)

    @invariant()
    def nothing_is_charged_beyond_its_limit(self) -> None:
        for space in ("s1", "s2"):
            charged = self.run(self.run.store.read(lambda tx, space=space: sessions.count(tx, f"words:{space}")))  # type: ignore[misc]
            said = sum(known.said for id, known in self.known.items() if self.space(id) == space)
            assert charged == said <= WORDS

    def space(self, id: str) -> str:
        held = self.run(self.run.store.read(lambda tx: sessions.load(tx, id, epoch=3)))
        assert held is not None
        return held.session.space


TEMPLATE = Path()


@pytest.fixture(scope="module", autouse=True)
def _template(tmp_path_factory: pytest.TempPathFactory) -> None:
    """An empty database, made once."""
    global TEMPLATE
    TEMPLATE = tmp_path_factory.mktemp("template")
    opened(TEMPLATE).close()


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(stateful_step_count=40)


def remembering() -> Kind:
    """A kind whose fold knows more than the journal."""
    folded = count()

    def fold(session: Session, event: Event) -> Session:
        after = workshop.fold(session, event)
        return after.set(folded=next(folded)) if event.type == "said" else after

    return replace(workshop.KIND, fold=fold)


def generous() -> Kind:
    """A kind that lets words go by uncharged."""

    def decide(ask: Ask) -> Decision:
        decision = workshop.decide(ask)
        return replace(decision, charges=()) if ask.session.data.get("said") else decision

    return replace(workshop.KIND, decide=decide)


@pytest.mark.parametrize("plant", [remembering, generous])
def test_a_planted_fault_is_found(plant: Callable[[], Kind]) -> None:
    class Faulty(JournalMachine):
        kind = plant()

    quick = settings(
        max_examples=2000, stateful_step_count=20, phases=[Phase.generate], database=None, derandomize=True
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Faulty, settings=quick)
