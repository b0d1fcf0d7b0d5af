"""What an event must be like for a list, a page, a prompt and an export to show what comes of it.

No engine writes another one; a forged bundle may, and one such session would spoil the lists of all others. What an
owner gave may be missing, because it may have been erased; what is there has its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ...core.event import COPIED, Event, from_text
from .terms import OWNER, EventType


def _moment(value: str) -> str:
    if from_text(value).tzinfo is None:
        raise ValueError("a time has its zone")
    return value


def _new(changes: Any) -> Any:
    """The new values of pairs of old and new."""
    if not isinstance(changes, dict) or not all(isinstance(pair, list) and len(pair) == 2 for pair in changes.values()):
        raise ValueError("changes are pairs")
    return {name: pair[1] for name, pair in changes.items()}


Step = Literal["receive", "clarify", "reframe", "options", "commit"]
Slot = Literal["goal", "stakes", "constraints", "tried", "feeling"]
Locale = Literal["en", "es", "zh"]
Emotion = Literal["anxious", "frustrated", "sad", "confused", "hopeful", "calm", "neutral"]
CardId = Literal["A", "B", "C", "own"]
Tactic = Literal["concrete", "examples", "pause"]
Moment = Annotated[str, AfterValidator(_moment)]
Count = Annotated[int, Field(ge=0)]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _OfTurn(_Shape):
    turn: str


class _Card(_Shape):
    id: CardId
    title: str
    actions: list[str]
    pros: list[str]
    cons: list[str]
    effort: Literal["low", "medium", "high"]


class _Changes(_Shape):
    model_config = ConfigDict(strict=True, extra="forbid")

    title: str = ""
    tags: list[str] = []
    reminder_time: Moment | None = None
    locale: Locale = "en"
    first_step_action: str | None = None


class _Created(_Shape):
    locale: Locale | None = None
    budget: Count
    idle_days: Count | None = None


class _CreatedMine(_Shape):
    title: str | None = None
    tags: list[str] | None = None


class _Carried(_Shape):
    place: Count
    first_step_action: str
    reminder_time: Moment | None = None


class _MessageReceived(_OfTurn):
    message_id: str
    step: Step
    substantive: bool


class _MessageReceivedMine(_Shape):
    content: str = ""
    emotion_detected: Emotion = "neutral"


class _TurnStarted(_OfTurn):
    step: Step
    source: Literal["model", "fixed"]
    closing: bool
    evidence: list[str]
    tactic: Tactic | None
    reserved_tokens: Count
    prompt_tokens: Count = 0
    retry_of: str | None = None
    option_id: CardId | None = None


class _TurnEnded(_OfTurn):
    message_id: str
    tactic: Tactic | None = None
    code: str | None = None
    input_tokens: Count
    output_tokens: Count


class _TurnEndedMine(_Shape):
    text: str = ""
    suggestions: list[str] = []
    first_step: str | None = None


class _Moved(_Shape):
    origin: Step = Field(alias="from")
    to: Step


class _Advanced(_Moved):
    by: Literal["gate", "choice", "owner"]
    evidence: list[str]
    turn: str | None = None


class _Reason(_Shape):
    reason: str = ""


class _OfSlot(_Shape):
    slot: Slot


class _BeliefFormed(_OfSlot):
    message_id: str


class _Belief(_Shape):
    text: str | None = None
    quote: str | None = None


class _Version(_Shape):
    version: Count


class _OfferedMine(_Shape):
    cards: list[_Card] = []


class _AddedMine(_Shape):
    card: _Card | None = None


class _Chosen(_Version):
    option_id: CardId


class _CommittedMine(_Shape):
    first_step_action: str | None = None
    reminder_time: Moment | None = None
    confidence: Annotated[int, Field(ge=1, le=10)] | None = None


class _UpdatedMine(_Shape):
    changes: Annotated[_Changes, BeforeValidator(_new)] = _Changes()


class _Outcome(_Shape):
    outcome: str | None = None


_DATA: Mapping[str, type[_Shape]] = {
    EventType.CREATED: _Created,
    EventType.MESSAGE_RECEIVED: _MessageReceived,
    EventType.TURN_STARTED: _TurnStarted,
    EventType.TURN_COMPLETED: _TurnEnded,
    EventType.TURN_CANCELLED: _TurnEnded,
    EventType.TURN_FAILED: _TurnEnded,
    EventType.TURN_INTERRUPTED: _TurnEnded,
    EventType.CRISIS_DETECTED: _OfTurn,
    EventType.CRISIS_DISMISSED: _OfTurn,
    EventType.STEP_ADVANCED: _Advanced,
    EventType.STEP_CONTESTED: _Moved,
    EventType.BELIEF_FORMED: _BeliefFormed,
    EventType.BELIEF_CORRECTED: _OfSlot,
    EventType.OPTIONS_OFFERED: _Version,
    EventType.OPTION_CHOSEN: _Chosen,
}
_MINE: Mapping[str, type[_Shape]] = {
    EventType.CREATED: _CreatedMine,
    EventType.MESSAGE_RECEIVED: _MessageReceivedMine,
    EventType.TURN_COMPLETED: _TurnEndedMine,
    EventType.TURN_CANCELLED: _TurnEndedMine,
    EventType.TURN_FAILED: _TurnEndedMine,
    EventType.TURN_INTERRUPTED: _TurnEndedMine,
    EventType.STEP_CONTESTED: _Reason,
    EventType.BELIEF_FORMED: _Belief,
    EventType.BELIEF_CORRECTED: _Belief,
    EventType.OPTIONS_OFFERED: _OfferedMine,
    EventType.OPTION_ADDED: _AddedMine,
    EventType.COMMITTED: _CommittedMine,
    EventType.UPDATED: _UpdatedMine,
    EventType.ACTION_COMPLETED: _Outcome,
}


def check(event: Event) -> None:
    """Raises ValueError when nothing that can be shown comes of this event."""
    if (known := _DATA.get(event.type)) is not None:
        known.model_validate(event.data)
    if (mine := _MINE.get(event.type)) is not None:
        mine.model_validate(event.part(OWNER))
    if event.type == EventType.CREATED:
        for owner, part in event.personal.items():
            if part and owner.startswith(COPIED):
                _Carried.model_validate(part)
