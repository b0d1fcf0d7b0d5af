"""A solve session without a store: commands go through the kind's own table, facts, decisions and fold, in memory.

It does what the engine does with a decision, in the same order, and checks after every event what must always hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sitting import errors
from sitting.apps.solve import views
from sitting.apps.solve.commands import Card, Create, ReportTurn, SendMessage, Trailer
from sitting.apps.solve.kind import KIND
from sitting.config import Settings
from sitting.core.actor import CLOCK, WORKER, Actor
from sitting.core.chain import canonical
from sitting.core.event import MAX_EVENT_BYTES, Event
from sitting.core.kind import Ask, Command, Decision, JobRequest
from sitting.core.session import MAX_DATA_BYTES, Session

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ANN = Actor("user:ann", "space", frozenset({"member"}))
OWNER = "owner"
WORRY = "My boss ignores everything I propose"
TALK = (
    WORRY,
    "It started after the last project was late",
    "I am afraid that my work is not seen",
    "I have tried to speak with him twice",
    "yes",
    "A",
    "I will write the mail tonight at eight",
)


class Model:
    """A model that only counts: a token is a character, so sums are easy to see."""

    name = "counting"
    window = 100_000

    def count(self, text: str) -> int:
        return len(text)


@dataclass
class Models:
    """What the installation could ask."""

    model: Any = field(default_factory=Model)

    def get(self, name: str | None = None) -> Any:
        if self.model is None:
            raise errors.ModelNotConfigured("Something is missing.")
        return self.model


def card(title: str = "Call", **changes: Any) -> Card:
    return Card(
        **{
            "title": title,
            "actions": [f"{title} today"],
            "pros": ["Quick"],
            "cons": ["Scary"],
            "effort": "low",
            **changes,
        }
    )


CARDS = Trailer(cards=[card("Call him"), card("Write it down")])


class Stage:
    """One session of Ann's and a clock that stands still until it is moved."""

    def __init__(
        self, *, mine: Sequence[Session] = (), counters: Mapping[str, int] | None = None, **settings: Any
    ) -> None:
        self.now = START
        self.session = Session("", KIND.name, "space")
        self.events: list[Event] = []
        self.jobs: dict[str, JobRequest] = {}
        self.texts: dict[str, str] = {}
        self.models = Models()
        self.charges: dict[str, int] = dict(counters or {})
        self.settings = Settings(**{"solve_token_budget": 1_000_000, **settings})
        self.mine = mine
        self._number = 0

    # What a test does

    def later(self, **duration: float) -> Stage:
        self.now += timedelta(**duration)
        return self

    def do(self, command: Command, role: str = OWNER, actor: Actor = ANN) -> list[Event]:
        """Carry a command out after what is due; the events of both."""
        before = len(self.events)
        self.fire()
        self._carry_out(command, actor, role, self.now)
        return self.events[before:]

    def worker(self, command: Command) -> list[Event]:
        return self.do(command, "system", WORKER)

    def fire(self) -> None:
        for _ in range(100):
            due = KIND.due(self.session) if self.session.seq else None
            if due is None or due.at > self.now:
                return
            self._carry_out(due.command, CLOCK, "system", max(due.at, self.events[-1].at))
        raise AssertionError("the clock's commands do not come to an end")

    def created(self, **fields: Any) -> Stage:
        self.do(Create(**fields), "member")
        return self

    def say(self, content: str = WORRY, **fields: Any) -> str:
        """A message; the id of its turn."""
        events = self.do(SendMessage(content=content, **fields))
        return next(str(event.data["turn"]) for event in events if event.type == "turn_started")

    def answer(self, text: str = "I see.", data: Trailer | None = None, **more: Any) -> list[Event]:
        """The running reply, complete; with cards where they are needed."""
        turn = self.session.data["active_turn"]
        needed = self.jobs["turn"].input["cards"]
        told = data or (CARDS if needed else Trailer())
        return self.worker(ReportTurn(turn=turn, text=text, data=told, **more))

    def talked(self, count: int) -> Stage:
        """So many messages of the usual talk, all answered."""
        if not self.session.seq:
            self.created()
        for content in TALK[:count]:
            self.say(content)
            self.answer()
        return self

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def told(self, type: str) -> dict[str, Any]:
        """The data of the last event of a type, as the owner is told it."""
        event = next(event for event in reversed(self.events) if event.type == type)
        told = KIND.tell(event, OWNER)
        assert told is not None
        data: dict[str, Any] = told["data"]
        return data

    def view(self) -> dict[str, Any]:
        return views.view(self.session, OWNER, self.now)

    def refolded(self, events: Sequence[Event] | None = None) -> Session:
        """The session as its journal says."""
        blank = Session(self.session.id, KIND.name, "space")
        for event in self.events if events is None else events:
            blank = KIND.after(blank, event)
        return blank

    # What an engine does

    def _carry_out(self, command: Command, actor: Actor, role: str, now: datetime) -> None:
        move = KIND.lifecycle.move(self.session.state, command.verb)
        if role not in move.roles:
            raise errors.NotAllowed
        facts = KIND.facts.get(command.verb)
        known = facts(Facts(self, actor, now), command) if facts else {}
        self._number += 1
        random = sha256(str(self._number).encode()).digest()
        decision = KIND.decide(Ask(self.session, command, actor, role, now, random, known))
        for charge in decision.charges:
            if self.charges.get(charge.account, 0) + charge.amount > charge.limit:
                raise charge.refusal
        for charge in decision.charges:
            self.charges[charge.account] = self.charges.get(charge.account, 0) + charge.amount
        reached = move.reaches(self.session.state)
        self._append(decision, actor, role, now)
        assert self.session.state in reached

    def _append(self, decision: Decision, actor: Actor, role: str, now: datetime) -> None:
        if not self.session.seq:
            self.session = replace(self.session, id=decision.id or "")
        ended = set()
        for fact in decision.events:
            event = Event(self.session.seq + 1, fact.type, actor.id, role, now, fact.data, fact.personal)
            self.session = KIND.after(self.session, event)
            self.events.append(event)
            self._check(event)
            if final := KIND.final(event):
                ended.add(final.turn)
        for key in decision.cancel:
            self.jobs.pop(key, None)
        self.jobs = {key: job for key, job in self.jobs.items() if job.id not in ended}
        for job in decision.jobs:
            if job.id not in ended:
                assert job.key not in self.jobs
                self.jobs[job.key] = job

    def _check(self, event: Event) -> None:
        data = self.session.data
        assert data["spent"] + data["reserved"] <= data["budget"]
        assert data["reserved"] >= 0
        assert size(dict(data)) <= MAX_DATA_BYTES
        assert size(dict(event.data)) + size(dict(event.personal)) <= MAX_EVENT_BYTES


class Facts:
    """What a kind's facts read of a stage, at an instant."""

    def __init__(self, stage: Stage, actor: Actor, now: datetime) -> None:
        self.session, self.actor, self.now = stage.session, actor, now
        self.installed: Mapping[str, Any] = {"settings": stage.settings, "models": stage.models}
        self._stage = stage

    def other(self, id: str) -> Session | None:
        return None

    def find(self, kind: str, key: str) -> Session | None:
        return None

    def journal(self, types: Collection[str] = (), *, before: int | None = None) -> Iterator[Event]:
        yield from reversed(self._stage.events)

    def text(self, job: str) -> str:
        return self._stage.texts.get(job, "")

    def job(self, id: str) -> Mapping[str, Any] | None:
        return None

    def mine(self, kind: str, *, state: str = "", limit: int = 20) -> Sequence[Session]:
        return [session for session in self._stage.mine if not state or session.state == state][:limit]

    def counted(self, account: str) -> int:
        return self._stage.charges.get(account, 0)


def size(value: Any) -> int:
    """Bytes of a value as the journal keeps it."""
    return len(canonical(value).encode())
