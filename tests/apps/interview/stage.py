"""An interview without a store: commands go through the kind's own table, facts, decisions and fold, in memory.

It does what the engine does with a decision, in the same order, and checks after every event what must always hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from sitting import errors
from sitting.apps.interview import clock
from sitting.apps.interview.commands import (
    AmendScorecard,
    Create,
    Join,
    RecordReply,
    SaveScores,
    SendMessage,
    SessionConfig,
    Start,
)
from sitting.apps.interview.kind import KIND
from sitting.config import Settings
from sitting.core.actor import CLOCK, WORKER, Actor
from sitting.core.event import MAX_EVENT_BYTES, Event
from sitting.core.kind import Ask, Command, Decision, JobRequest
from sitting.core.session import MAX_DATA_BYTES, Session

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ANN = Actor("user:ann", "space", frozenset({"member"}))
BEN = Actor("user:ben", "space", frozenset({"member"}))
GUEST = Actor("guest:" + "a" * 40)
FOREVER = timedelta(days=365)


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


class Stage:
    """One interview and a clock that stands still until it is moved."""

    def __init__(self, *, others: Mapping[str, Session] | None = None, **settings: Any) -> None:
        self.now = START
        self.session = Session("", KIND.name, "space")
        self.events: list[Event] = []
        self.grants: dict[str, tuple[str, datetime | None]] = {}
        self.jobs: dict[str, JobRequest] = {}
        self.texts: dict[str, str] = {}
        self.models = Models()
        self.charges: dict[str, int] = {}
        self.settings = Settings(**settings)
        self.others = dict(others or {})
        self._number = 0

    # What a test does

    def later(self, seconds: float = 0, *, ms: int = 0) -> Stage:
        self.now += timedelta(seconds=seconds, milliseconds=ms)
        return self

    def do(self, command: Command, actor: Actor = ANN, role: str = "interviewer") -> list[Event]:
        """Carry a command out after what is due; the events of both."""
        before = len(self.events)
        self.fire()
        self._carry_out(command, actor, role, self.now)
        return self.events[before:]

    def guest(self, command: Command) -> list[Event]:
        return self.do(command, GUEST, "candidate")

    def worker(self, command: Command) -> list[Event]:
        return self.do(command, WORKER, "system")

    def fire(self) -> None:
        for _ in range(100):
            due = KIND.due(self.session)
            if due is None or due.at > self.now:
                return
            last = self.events[-1].at
            self._carry_out(due.command, CLOCK, "system", max(due.at, last))
        raise AssertionError("the clock's commands do not come to an end")

    def created(self, command: SessionConfig | None = None, /, **fields: Any) -> Stage:
        self.do(command or Create(**{"candidate_name": "Carla Example", **fields}), role="member")
        return self

    def started(self, **fields: Any) -> Stage:
        self.created(**fields)
        self.do(Join(), GUEST, "visitor")
        self.do(Start())
        return self

    def say(self, content: str = "How?") -> str:
        """A message; the id of its turn."""
        self.guest(SendMessage(content=content))
        turn: str = self.session.data["turn"]["id"]
        return turn

    def answer(self, text: str = "So.", **usage: Any) -> list[Event]:
        """The running reply, complete."""
        turn = self.session.data["turn"]["id"]
        return self.worker(RecordReply(turn=turn, text=text, model="counting", **usage))

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def told(self, audience: str) -> list[dict[str, Any]]:
        return [told for event in self.events if (told := KIND.tell(event, audience)) is not None]

    def view(self, audience: str = "interviewer:user:ann") -> dict[str, Any]:
        return KIND.view(self.session, audience, self.now)

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
        for grant in decision.grants:
            if grant.role is None:
                self.grants.pop(grant.grantee, None)
            else:
                self.grants[grant.grantee] = (grant.role, grant.expires_at)
        for key in decision.cancel:
            self.jobs.pop(key, None)
        if any(KIND.final(event) for event in self.events[len(self.events) - len(decision.events) :]):
            self.jobs.pop("reply", None)
        for job in decision.jobs:
            assert job.key not in self.jobs
            self.jobs[job.key] = job

    def _append(self, decision: Decision, actor: Actor, role: str, now: datetime) -> None:
        if not self.session.seq:
            self.session = replace(self.session, id=decision.id or "", subject=decision.subject)
        for fact in decision.events:
            event = Event(self.session.seq + 1, fact.type, actor.id, role, now, fact.data, fact.personal)
            self.session = KIND.after(self.session, event)
            self.events.append(event)
            self._check(event)

    def _check(self, event: Event) -> None:
        held = clock.budget(self.session)
        assert held.used + held.reserved <= held.limit
        assert held.reserved >= 0
        assert size(dict(self.session.data)) <= MAX_DATA_BYTES
        assert size(dict(event.data)) + size(dict(event.personal)) <= MAX_EVENT_BYTES


class Facts:
    """What a kind's facts read of a stage, at an instant."""

    def __init__(self, stage: Stage, actor: Actor, now: datetime) -> None:
        self.session, self.actor, self.now = stage.session, actor, now
        self.installed: Mapping[str, Any] = {
            "settings": stage.settings,
            "models": stage.models,
            "link_key": b"k" * 32,
        }
        self._stage = stage

    def other(self, id: str) -> Session | None:
        return self._stage.others.get(id)

    def find(self, kind: str, key: str) -> Session | None:
        return None

    def journal(self, types: Collection[str] = (), *, before: int | None = None) -> Iterator[Event]:
        for event in reversed(self._stage.events):
            if (not types or event.type in types) and (before is None or event.seq < before):
                yield event

    def text(self, job: str) -> str:
        return self._stage.texts.get(job, "")

    def job(self, id: str) -> Mapping[str, Any] | None:
        return None

    def mine(self, kind: str, *, state: str = "", limit: int = 20) -> Sequence[Session]:
        return []

    def counted(self, account: str) -> int:
        return 0


def size(value: Any) -> int:
    """Bytes of a value as the journal keeps it."""
    from sitting.core.chain import canonical

    return len(canonical(value).encode())


def refolded(events: Sequence[Event], session: Session) -> Session:
    """The session as its journal says."""
    blank = Session(session.id, session.kind, session.space, subject=session.subject)
    for event in events:
        blank = KIND.after(blank, event)
    return blank


def cited(stage: Stage, seq: int, quote: str) -> dict[str, Any]:
    """An exact citation."""
    content = next(event.part("candidate")["content"] for event in stage.events if event.seq == seq)
    start = content.index(quote)
    return {"seq": seq, "start": start, "end": start + len(quote), "quote": quote}


def scores(stage: Stage, seq: int, quote: str, *criteria: str) -> list[dict[str, Any]]:
    """A score with one citation for each criterion."""
    return [{"criterion": name, "score": 4, "citations": [cited(stage, seq, quote)]} for name in criteria]


def card(*args: Any, **more: Any) -> SaveScores:
    return SaveScores(scores=scores(*args), **more)


def amended(reason: str, *args: Any) -> AmendScorecard:
    return AmendScorecard(scores=scores(*args), reason=reason)
