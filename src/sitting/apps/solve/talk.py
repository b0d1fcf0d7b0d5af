"""A conversation from its journal, as the pages show it: what was said, and why the steps moved.

Read from what the owner is told of each event and from nothing else, so that a page never knows more than a follower.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

ENDED = {"turn_cancelled": "cancelled", "turn_failed": "failed", "turn_interrupted": "interrupted"}
NOTED = ("committed", "abandoned", "reopened")


@dataclass
class Turn:
    """One reply: how it was asked for, how it ended, and what it led to."""

    id: str
    source: str = "model"
    tactic: str | None = None
    status: str = "running"
    code: str | None = None
    suggestions: list[str] = field(default_factory=list)
    crisis: bool = False
    dismissed: bool = False
    moved: bool = False
    retried: bool = False

    @property
    def again(self) -> bool:
        """Whether a model gave a whole answer, which may be asked for once more."""
        return self.source == "model" and self.status == "completed"


@dataclass
class Said:
    """A message of either side. `number` counts all that is shown, for links that name it."""

    id: str
    who: str
    text: str
    at: str
    number: int
    turn: Turn
    mood: str = "neutral"
    kind: str = "said"


@dataclass
class Moved:
    """The step moved, forward for a reason (`choice`: the option chosen) or back because the owner contested it."""

    seq: int
    from_: str
    to: str
    by: str
    evidence: list[Said]
    choice: str = ""
    contested: bool = False
    kind: str = "moved"


@dataclass(frozen=True)
class Noted:
    """Something else that happened between the messages: `what` names the sentence."""

    what: str
    kind: str = "noted"


@dataclass
class Talk:
    """All of it, in order."""

    entries: list[Said | Moved | Noted] = field(default_factory=list)
    turns: dict[str, Turn] = field(default_factory=dict)
    last: Turn | None = None
    last_event: str = ""
    _cards: dict[str, str] = field(default_factory=dict)
    _choice: str = ""

    @property
    def moves(self) -> list[Moved]:
        return [entry for entry in self.entries if isinstance(entry, Moved)]

    @property
    def said(self) -> list[Said]:
        return [entry for entry in self.entries if isinstance(entry, Said)]

    @property
    def shown(self) -> list[Said | Moved | Noted]:
        """Without replies that never had a word and were asked for again."""
        return [entry for entry in self.entries if not (isinstance(entry, Said) and _superseded(entry))]

    def turn(self, id: str) -> Turn:
        return self.turns.setdefault(id, Turn(id))

    def add(self, event: Mapping[str, Any]) -> None:
        """The next event."""
        type, data = event["type"], event["data"]
        self.last_event = type
        match type:
            case "message_received":
                said = self._say(data, event, "user", data["content"])
                said.mood = data.get("emotion_detected") or "neutral"
            case "turn_started":
                self._start(data)
            case "turn_completed":
                turn = self._end(data, "completed")
                turn.tactic = data.get("tactic") or turn.tactic
                turn.suggestions = list(data.get("suggestions") or ())
                self._say(data, event, "assistant", data["text"])
            case "turn_cancelled" | "turn_failed" | "turn_interrupted":
                turn = self._end(data, ENDED[type])
                turn.code = data.get("code")
                self._say(data, event, "assistant", data["text"])
            case "crisis_detected":
                self.turn(data["turn"]).crisis = True
            case "crisis_dismissed":
                self.turn(data["turn"]).dismissed = True
            case _:
                self._go(type, data, event["seq"])

    def _go(self, type: str, data: Mapping[str, Any], seq: int) -> None:
        match type:
            case "step_advanced":
                evidence = [said for said in self.said if said.id in data["evidence"]]
                choice = self._choice if data["to"] == "commit" else ""
                self.entries.append(Moved(seq, data["from"], data["to"], data["by"], evidence, choice))
                if data["by"] == "gate" and self.last is not None:
                    self.last.moved = True
            case "step_contested":
                if self.moves:
                    self.moves[-1].contested = True
                self.entries.append(Moved(seq, data["from"], data["to"], "contest", []))
            case "options_offered":
                if self._cards:
                    self.entries.append(Noted("new_cards"))
                self._cards = {card["id"]: card["title"] for card in data["cards"] or ()}
            case "option_added" if data["card"]:
                self._cards[data["card"]["id"]] = data["card"]["title"]
            case "option_chosen":
                self._choice = self._cards.get(data["option_id"], data["option_id"])
            case _ if type in NOTED:
                self.entries.append(Noted("idle" if data.get("reason") == "idle" else type))

    def _start(self, data: Mapping[str, Any]) -> None:
        turn = self.turn(data["turn"])
        turn.source, turn.tactic = data.get("source") or "model", data.get("tactic")
        if data.get("retry_of"):
            self.turn(data["retry_of"]).retried = True
        self.last = turn

    def _end(self, data: Mapping[str, Any], status: str) -> Turn:
        turn = self.turn(data["turn"])
        turn.status = status
        return turn

    def _say(self, data: Mapping[str, Any], event: Mapping[str, Any], who: str, text: str | None) -> Said:
        id = data.get("message_id") or data["turn"]
        said = Said(id, who, text or "", event["ts"], len(self.said) + 1, self.turn(data["turn"]))
        self.entries.append(said)
        return said


def talk(told: Iterable[Mapping[str, Any] | None]) -> Talk:
    """The conversation that these events tell, oldest first."""
    made = Talk()
    for event in told:
        if event is not None:
            made.add(event)
    return made


def _superseded(said: Said) -> bool:
    return said.who == "assistant" and not said.text.strip() and said.turn.retried
