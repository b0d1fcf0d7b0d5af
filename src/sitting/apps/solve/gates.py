"""The step machine: what a message counts as in its step, and whether the step may be left. No model is asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.session import Session
from . import rules
from .fold import digest
from .terms import (
    CARD_IDS,
    CONCRETE,
    ENDS,
    EXAMPLES,
    MAX_FIRST_STEP,
    NEUTRAL,
    OWN_CARD,
    PAUSE,
    SLOTS,
    STEPS,
    EventType,
    SolveStep,
)

SUBSTANTIVE_MESSAGE, CHOSEN_OPTION, CURRENT_STEP = "substantive_message", "chosen_option", "current_step"
_ENOUGH_SAID, _SAID_WITH_BELIEFS, _BELIEFS, _LONG_TALK, _NEW_VIEW = 3, 2, 3, 5, 2


@dataclass(frozen=True)
class Assessment:
    """What a message is. `alone` says that the message by itself is the evidence of a closing turn."""

    crisis: str | None = None
    substantive: bool = False
    emotion: str = NEUTRAL
    tactic: str | None = None
    closing: bool = False
    alone: bool = False
    option_id: str | None = None

    def evidence(self, session: Session, message: str) -> list[str]:
        """The messages that satisfy the gate, this one (and only once) among them when it is substantive."""
        if not self.closing:
            return []
        earlier = [id for id in session.data["substance"] if id != message and not self.alone]
        return [*earlier, message] if self.alone or self.substantive else earlier


def assess(session: Session, content: str, *, emotions: bool, again: bool = False) -> Assessment:
    """What a message counts as where the session is now.

    `again` is a message that was taken for a crisis and is in the session already: it is no crisis now.
    """
    emotion = rules.emotion(content) if emotions else NEUTRAL
    if not again and (rule := rules.crisis(content)) is not None:
        return Assessment(crisis=rule, emotion=emotion)
    data = session.data
    option = rules.choice(content, cards(session)) if data["step"] == SolveStep.OPTIONS else None
    agrees = data["step"] == SolveStep.REFRAME and rules.agrees(content)
    repeated = not again and data["previous"] == digest(content)
    substantive = bool(option or agrees) or not (repeated or rules.low_effort(content))
    count = len(data["substance"]) + substantive
    heard = data["heard"] + (not again)
    closing, alone = _closes(session, content, substantive=substantive, count=count, heard=heard, agrees=agrees)
    tactic = None if substantive or closing else _tactic(data["low_run"] + 1)
    return Assessment(None, substantive, emotion, tactic, closing or option is not None, alone, option)


def _closes(
    session: Session, content: str, *, substantive: bool, count: int, heard: int, agrees: bool
) -> tuple[bool, bool]:
    """Whether the step closes with this message, and whether by this message alone."""
    match session.data["step"]:
        case SolveStep.RECEIVE:
            return count >= 1, substantive
        case SolveStep.CLARIFY:
            return clear(session, count, heard), False
        case SolveStep.REFRAME:
            return agrees or count >= _NEW_VIEW, agrees
        case SolveStep.COMMIT:
            promised = substantive and not rules.asks(content)
            return promised, promised
        case _:
            return False, True


def clear(session: Session, count: int, heard: int) -> bool:
    """The gate of clarify, from the substantive messages and all messages in the step."""
    if count >= _ENOUGH_SAID or (heard >= _LONG_TALK and count >= 1):
        return True
    return count >= _SAID_WITH_BELIEFS and len(session.collection("belief")) >= _BELIEFS


def _tactic(run: int) -> str:
    return {1: CONCRETE, 2: EXAMPLES}.get(run, PAUSE)


def met(session: Session) -> bool:
    """Whether the gate of the present step is met by what has been said so far."""
    data = session.data
    count = len(data["substance"])
    match data["step"]:
        case SolveStep.RECEIVE:
            return count >= 1
        case SolveStep.CLARIFY:
            return clear(session, count, data["heard"])
        case SolveStep.REFRAME:
            return count >= _NEW_VIEW
        case SolveStep.OPTIONS:
            return data["chosen_option"] is not None
        case _:
            return data["first_step_action"] is not None


def unmet(session: Session, *, model: bool = True) -> list[str]:
    """What stands between the owner and the next step.

    Where no model can answer, no message is taken either; there a point about the problem says as much as one.
    """
    data = session.data
    if data["step"] == SolveStep.COMMIT:
        return [CURRENT_STEP]
    if data["step"] == SolveStep.OPTIONS:
        return [] if data["chosen_option"] else [CHOSEN_OPTION]
    filled = not model and bool(session.collection("belief"))
    return [] if data["substance"] or filled or met(session) else [SUBSTANTIVE_MESSAGE]


def following(step: str) -> str | None:
    """The step after this one; None after the last."""
    place = STEPS.index(SolveStep(step)) + 1
    return STEPS[place].value if place < len(STEPS) else None


def first_step(content: str) -> str:
    """The first step that a message promises."""
    return content[:MAX_FIRST_STEP].rstrip()


def cards(session: Session) -> Sequence[Mapping[str, Any]]:
    """The cards, the own one last."""
    found = session.collection("card")
    return [found[id] for id in (*CARD_IDS, OWN_CARD) if id in found]


def own_card(session: Session, *, model: bool = True) -> bool:
    """Whether an own card may be added: beside others, and alone where no model gives any or the last reply failed."""
    last = session.collection("turn").get(session.data["last_turn"] or "") or {}
    return not model or bool(cards(session)) or last.get("status") == ENDS[EventType.TURN_FAILED]


def beliefs(session: Session) -> dict[str, Mapping[str, Any] | None]:
    """Every slot, filled or not."""
    found = session.collection("belief")
    return {slot: found.get(slot) for slot in SLOTS}
