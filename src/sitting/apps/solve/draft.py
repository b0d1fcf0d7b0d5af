"""A decision in the making: each fact is folded at once, so the next one sees what the session has become."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...core.event import Event, Fact
from ...core.kind import Ask, Decision
from ...core.session import Session
from .fold import fold
from .terms import OWNER


class Draft:
    """The facts so far, and the session after them."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.session: Session = ask.session
        self._facts: list[Fact] = []

    def add(self, type: str, data: Mapping[str, Any] | None = None, personal: Mapping[str, Any] | None = None) -> None:
        """One more fact; what is personal is the owner's."""
        fact = Fact(str(type), dict(data or {}), {OWNER: dict(personal)} if personal else {})
        ask, seq = self.ask, self.session.seq + 1
        event = Event(seq, fact.type, ask.actor.id, ask.role, ask.now, fact.data, fact.personal)
        self._facts.append(fact)
        self.session = fold(self.session.after(event), event)

    def decision(self, **more: Any) -> Decision:
        """The decision these facts make."""
        return Decision(tuple(self._facts), **more)
