"""What a solve session refuses with: the documented codes. The nearest class of the house decides the status."""

from __future__ import annotations

from typing import Any

from ... import errors
from ...core.lifecycle import Move, wrong_state
from .terms import SessionStatus


class SessionCompleted(errors.Refusal):
    """This session is completed."""

    code = "SESSION_COMPLETED"


class SessionAbandoned(errors.Refusal):
    """This session was abandoned. Reopen it to go on."""

    code = "SESSION_ABANDONED"


class InvalidStatus(errors.Refusal):
    """The status cannot change like this."""

    code = "INVALID_STATUS"


class InvalidStep(errors.Refusal):
    """There is no such step."""

    code = "INVALID_STEP"


class InvalidStepTransition(errors.Refusal):
    """The step cannot change like this."""

    code = "INVALID_STEP_TRANSITION"


class NoAction(errors.Refusal):
    """This session has no first step yet."""

    code = "NO_ACTION"


class StepMismatch(errors.Conflict):
    """The session is in another step."""

    code = "STEP_MISMATCH"


class SessionBusy(errors.Conflict):
    """A reply is still being written."""

    code = "SESSION_BUSY"


class SessionFull(errors.Conflict):
    """This session has as many messages as it can hold. You can still commit to a first step."""

    code = "SESSION_FULL"


class TurnFinished(errors.Conflict):
    """This reply has already ended."""

    code = "TURN_FINISHED"


class StepMoved(errors.Conflict):
    """The step has moved since this reply."""

    code = "STEP_MOVED"


class NotLastTurn(errors.Conflict):
    """Only the last reply can be asked for again."""

    code = "NOT_LAST_TURN"


class NotACrisisTurn(errors.Conflict):
    """This reply does not answer a crisis."""

    code = "NOT_A_CRISIS_TURN"


class WrongStep(errors.Conflict):
    """This belongs to another step."""

    code = "WRONG_STEP"


class NothingToContest(errors.Conflict):
    """There is no move of the step that can be taken back."""

    code = "NOTHING_TO_CONTEST"


class TurnNotFound(errors.NotFound):
    """Turn not found"""

    code = "TURN_NOT_FOUND"


class OptionNotFound(errors.NotFound):
    """Option not found"""

    code = "OPTION_NOT_FOUND"


class SlotNotFound(errors.NotFound):
    """There is no such belief."""

    code = "SLOT_NOT_FOUND"


class NoReminder(errors.NotFound):
    """This session has no reminder."""

    code = "NO_REMINDER"


class QuotaExceeded(errors.NotAllowed):
    """The quota of sessions is used up."""

    code = "QUOTA_EXCEEDED"


def too_many(seconds: int) -> errors.RateLimited:
    """The rate is spent; it is free again in so many seconds."""
    return errors.RateLimited(f"Too many at once. Try again in {seconds} seconds.", retry_after=seconds)


def exhausted(**facts: Any) -> errors.BudgetExhausted:
    """What is left is too little for this prompt and its answer."""
    return errors.BudgetExhausted("The token budget of this session is used up. You can still commit by form.", **facts)


def no_model(why: str = "") -> errors.ModelNotConfigured:
    """Nobody could answer; everything else works."""
    opening = "No language model is configured."
    return errors.ModelNotConfigured(why if why.startswith(opening) else f"{opening} {why}".strip())


def refuse(state: str, move: Move) -> errors.Refusal:
    """The refusal of a move that the state does not allow."""
    if move.verb in ("complete_action", "uncomplete_action"):
        return NoAction(session_status=state)
    if move.verb in ("abandon", "reopen"):
        return InvalidStatus(session_status=state)
    if move.verb == "cancel_turn":
        return TurnFinished(session_status=state)
    match state:
        case SessionStatus.COMPLETED:
            return SessionCompleted(session_status=state)
        case SessionStatus.ABANDONED:
            return SessionAbandoned(session_status=state)
        case _:
            return wrong_state(state, move)
