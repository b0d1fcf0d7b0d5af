"""What an interview refuses with: its own codes and the exact sentences people read."""

from __future__ import annotations

from ... import errors
from ...core.lifecycle import Move, wrong_state

INTERVIEW_NOT_FOUND = "Interview not found"
CHALLENGE_NOT_FOUND = "Challenge not found"
TURN_NOT_FOUND = "Turn not found"
NOTE_NOT_FOUND = "Note not found"
INTERVIEWER_NOT_FOUND = "Nobody here has this account ID or e-mail address"
LINK_NOT_VALID = "This link is not valid."


class JoinRequired(errors.NotAuthenticated):
    """Join the interview first."""

    code = "JOIN_REQUIRED"


class NotStarted(errors.Conflict):
    """Session has not been started yet."""

    code = "NOT_STARTED"


class NotActive(errors.Conflict):
    """Session is paused. Cannot send messages."""

    code = "NOT_ACTIVE"


class TimeExpired(errors.Conflict):
    """Session time has expired."""

    code = "TIME_EXPIRED"


class WaitForInterviewer(errors.Conflict):
    """Please wait for the interviewer to start the session."""

    code = "WAIT_FOR_INTERVIEWER"


class WaitForCandidate(errors.Conflict):
    """Please wait for the candidate to start the session."""

    code = "WAIT_FOR_CANDIDATE"


class TurnActive(errors.Conflict):
    """A reply is still being written."""

    code = "TURN_ACTIVE"


class TurnOver(errors.Conflict):
    """This reply has already ended."""

    code = "TURN_OVER"


class BuiltIn(errors.Conflict):
    """Built-in challenges cannot be changed."""

    code = "BUILT_IN"


class BudgetInsufficient(errors.BudgetExhausted):
    """Insufficient token budget."""

    code = "BUDGET_INSUFFICIENT"


class MessageEmpty(errors.Invalid):
    """Message cannot be empty."""

    code = "MESSAGE_EMPTY"


class MessageTooLong(errors.Invalid):
    """Message too long. Maximum 5000 characters."""

    code = "MESSAGE_TOO_LONG"


class CitationRequired(errors.Invalid):
    """A score needs at least one citation."""

    code = "CITATION_REQUIRED"


class CitationMismatch(errors.Invalid):
    """A citation does not match the transcript."""

    code = "CITATION_MISMATCH"


class ScoreMissing(errors.Invalid):
    """A score is missing."""

    code = "SCORE_MISSING"


def exhausted() -> errors.BudgetExhausted:
    """Nothing is left to send with."""
    return errors.BudgetExhausted("Token budget exhausted. Cannot send more messages.")


def insufficient(needed: int, free: int) -> BudgetInsufficient:
    """What is left is too little for this prompt and the shortest answer."""
    message = f"Insufficient token budget. Need ~{needed} tokens, have {free}."
    return BudgetInsufficient(message, needed=needed, free=free)


def too_many(seconds: int) -> errors.RateLimited:
    """The rate is spent; it is free again in so many seconds."""
    return errors.RateLimited(f"Too many messages. Try again in {seconds} seconds.", retry_after=seconds)


def no_model(why: str = "") -> errors.ModelNotConfigured:
    """Nobody could answer; everything else works."""
    opening = "No language model is configured."
    return errors.ModelNotConfigured(why if why.startswith(opening) else f"{opening} {why}".strip())


def not_now(state: str) -> errors.Refusal | None:
    """Why nobody may send a message in this state, or None."""
    match state:
        case "active":
            return None
        case "created":
            return NotStarted(session_status=state)
        case "expired":
            return TimeExpired(session_status=state)
        case _:
            return NotActive(f"Session is {state}. Cannot send messages.", session_status=state)


def refuse(state: str, move: Move) -> errors.Refusal:
    """The refusal of a move that the state does not allow."""
    if move.verb in ("send_message", "retry_turn") and (reason := not_now(state)) is not None:
        return reason
    if move.verb == "cancel_turn":
        return errors.NotFound(TURN_NOT_FOUND) if state == "created" else TurnOver(session_status=state)
    return wrong_state(state, move)
