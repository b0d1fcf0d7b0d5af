"""An interview without a store, and what a test of it begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

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
from sitting.core.actor import Actor
from sitting.core.event import Event
from sitting.core.kind import Command
from sitting.core.session import Session
from tests.support import storeless
from tests.support.storeless import ANN as ANN
from tests.support.storeless import START as START
from tests.support.storeless import Model as Model
from tests.support.storeless import Models as Models

BEN = Actor("user:ben", "space", frozenset({"member"}))
GUEST = Actor("guest:" + "a" * 40)
FOREVER = timedelta(days=365)


class Stage(storeless.Storeless):
    """One interview and a clock that stands still until it is moved."""

    kind = KIND

    def __init__(self, *, others: Mapping[str, Session] | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.others = dict(others or {})
        self.members = {ANN.id, BEN.id}

    def do(self, command: Command, actor: Actor = ANN, role: str = "interviewer") -> list[Event]:
        return self.carried(command, actor, role)

    def guest(self, command: Command) -> list[Event]:
        return self.do(command, GUEST, "candidate")

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

    def told(self, audience: str) -> list[dict[str, Any]]:
        return [told for event in self.events if (told := KIND.tell(event, audience)) is not None]

    def view(self, audience: str = "interviewer:user:ann") -> dict[str, Any]:
        return KIND.view(self.session, audience, self.now)

    def holds(self) -> None:
        held = clock.budget(self.session)
        assert held.used + held.reserved <= held.limit
        assert held.reserved >= 0


def refolded(events: Sequence[Event], session: Session) -> Session:
    """The session as its journal says."""
    return storeless.refolded(KIND, events, session)


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
