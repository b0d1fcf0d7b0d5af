"""A session without a store: commands go through a kind's own table, facts, decisions and fold, in memory.

It does what the engine does with a decision, in the same order, and checks after every event what must always hold.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, ClassVar, Self

from sitting import errors
from sitting.config import Settings
from sitting.core.actor import CLOCK, WORKER, Actor
from sitting.core.chain import canonical
from sitting.core.event import MAX_EVENT_BYTES, Event
from sitting.core.kind import Ask, Command, Decision, JobRequest, Kind
from sitting.core.session import MAX_DATA_BYTES, Session

START = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
ANN = Actor("user:ann", "space", frozenset({"member"}))


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


class Storeless:
    """One session of a kind and a clock that stands still until it is moved."""

    kind: ClassVar[Kind]

    def __init__(self, **settings: Any) -> None:
        self.now = START
        self.session = Session("", self.kind.name, "space")
        self.events: list[Event] = []
        self.grants: dict[str, tuple[str, datetime | None]] = {}
        self.jobs: dict[str, JobRequest] = {}
        self.texts: dict[str, str] = {}
        self.models = Models()
        self.charges: dict[str, int] = {}
        self.charged_until: dict[str, datetime | None] = {}
        self.settings = Settings(**settings)
        self.others: dict[str, Session] = {}
        self.mine: Sequence[Session] = ()
        self.members: set[str] = set()
        self._number = 0

    # What a test does

    def later(self, seconds: float = 0, *, ms: float = 0, **more: float) -> Self:
        self.now += timedelta(seconds=seconds, milliseconds=ms, **more)
        return self

    def carried(self, command: Command, actor: Actor, role: str) -> list[Event]:
        """Carry a command out after what is due; the events of both."""
        before = len(self.events)
        self.fire()
        self._carry_out(command, actor, role, self.now)
        return self.events[before:]

    def worker(self, command: Command) -> list[Event]:
        return self.carried(command, WORKER, "system")

    def fire(self) -> None:
        for _ in range(100):
            due = self.kind.due(self.session) if self.session.seq else None
            if due is None or due.at > self.now:
                return
            self._carry_out(due.command, CLOCK, "system", max(due.at, self.events[-1].at))
        raise AssertionError("the clock's commands do not come to an end")

    def types(self) -> list[str]:
        return [event.type for event in self.events]

    def holds(self) -> None:
        """What must hold after every event."""

    # What an engine does

    def _carry_out(self, command: Command, actor: Actor, role: str, now: datetime) -> None:
        move = self.kind.lifecycle.move(self.session.state, command.verb)
        if role not in move.roles:
            raise errors.NotAllowed
        facts = self.kind.facts.get(command.verb)
        known = facts(Facts(self, actor, now), command) if facts else {}
        self._number += 1
        random = sha256(str(self._number).encode()).digest()
        decision = self.kind.decide(Ask(self.session, command, actor, role, now, random, known))
        for charge in decision.charges:
            if self.charges.get(charge.account, 0) + charge.amount > charge.limit:
                raise charge.refusal
        for charge in decision.charges:
            self.charges[charge.account] = self.charges.get(charge.account, 0) + charge.amount
            self.charged_until[charge.account] = charge.until
        reached = move.reaches(self.session.state)
        ended = self._append(decision, actor, role, now)
        assert self.session.state in reached
        for grant in decision.grants:
            if grant.role is None:
                self.grants.pop(grant.grantee, None)
            else:
                self.grants[grant.grantee] = (grant.role, grant.expires_at)
        for key in decision.cancel:
            self.jobs.pop(key, None)
        self.jobs = {key: job for key, job in self.jobs.items() if job.id not in ended}
        for job in decision.jobs:
            if job.id not in ended:
                assert job.key not in self.jobs
                self.jobs[job.key] = job

    def _append(self, decision: Decision, actor: Actor, role: str, now: datetime) -> set[str]:
        """The replies that end with this decision."""
        if not self.session.seq:
            self.session = replace(self.session, id=decision.id or "", subject=decision.subject)
        ended = set[str]()
        for fact in decision.events:
            event = Event(self.session.seq + 1, fact.type, actor.id, role, now, fact.data, fact.personal)
            self.session = self.kind.after(self.session, event)
            self.events.append(event)
            assert size(dict(self.session.data)) <= MAX_DATA_BYTES
            assert size(dict(event.data)) + size(dict(event.personal)) <= MAX_EVENT_BYTES
            self.holds()
            if final := self.kind.final(event):
                ended.add(final.turn)
        return ended


class Facts:
    """What a kind's facts read of such a session, at an instant."""

    def __init__(self, stage: Storeless, actor: Actor, now: datetime) -> None:
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
        return [session for session in self._stage.mine if not state or session.state == state][:limit]

    def counted(self, account: str) -> int:
        return self._stage.charges.get(account, 0)

    def has_member(self, account: str) -> bool:
        return account in self._stage.members


def size(value: Any) -> int:
    """Bytes of a value as the journal keeps it."""
    return len(canonical(value).encode())


def refolded(kind: Kind, events: Sequence[Event], session: Session) -> Session:
    """The session as its journal says."""
    blank = Session(session.id, session.kind, session.space, subject=session.subject)
    for event in events:
        blank = kind.after(blank, event)
    return blank
