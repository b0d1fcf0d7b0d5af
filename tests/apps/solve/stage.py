"""A solve session without a store, and what a test of it begins with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sitting.apps.solve import views
from sitting.apps.solve.commands import Card, Create, ReportTurn, SendMessage, Trailer
from sitting.apps.solve.kind import KIND
from sitting.core.actor import Actor
from sitting.core.event import Event
from sitting.core.kind import Command
from sitting.core.session import Session
from tests.support import storeless
from tests.support.storeless import ANN as ANN
from tests.support.storeless import START as START
from tests.support.storeless import Model as Model
from tests.support.storeless import Models as Models

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


class Stage(storeless.Storeless):
    """One session of Ann's and a clock that stands still until it is moved."""

    kind = KIND

    def __init__(
        self, *, mine: Sequence[Session] = (), counters: Mapping[str, int] | None = None, **settings: Any
    ) -> None:
        super().__init__(**{"solve_token_budget": 1_000_000, **settings})
        self.mine = mine
        self.charges.update(counters or {})

    def do(self, command: Command, role: str = OWNER, actor: Actor = ANN) -> list[Event]:
        return self.carried(command, actor, role)

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
        return storeless.refolded(KIND, self.events if events is None else events, self.session)

    def holds(self) -> None:
        data = self.session.data
        assert data["spent"] + data["reserved"] <= data["budget"]
        assert data["reserved"] >= 0
