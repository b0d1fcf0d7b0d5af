"""What a facilitation refuses with: the exact sentences people read.

Whatever the present state of things does not allow is a `WrongState`, whatever somebody else was first with a
`Conflict`; the edge tells the two apart by their codes.
"""

from __future__ import annotations

from ... import errors
from ...core.lifecycle import Move, wrong_state
from . import terms

SESSION_NOT_FOUND = "Session not found"
TEAM_NOT_FOUND = "Team not found"
MEMBER_NOT_FOUND = "Member not found"
RESPONSE_NOT_FOUND = "Response not found"
CLAIM_NOT_FOUND = "Claim not found"
ACTION_NOT_FOUND = "Action not found"
FACILITATOR_NOT_FOUND = "Facilitator not found"
LINK_NOT_VALID = "This link is not valid."

IMAGE_REQUIRED = "Image selection required"
BULLETS_FORMAT = "Invalid bullets format"
BULLETS_COUNT = "Must have 1-5 bullet points"
BULLETS_LENGTH = "Each bullet point must be 500 characters or less"
CARD_INVALID = "Invalid card"


class NotSignedIn(errors.NotAuthenticated):
    """Not authenticated"""

    # A code of its own inside: the house would lead every page to the sign-in, JSON routes included. Callers are told
    # NOT_AUTHENTICATED.
    code = "NOT_SIGNED_IN"


class MonthInvalid(errors.Invalid):
    """Invalid month format. Use YYYY-MM."""


class CodeInvalid(errors.Invalid):
    """Team code must be 4-20 letters or digits."""


class BadResponse(errors.Invalid):
    """This response cannot be taken."""


class NameTaken(errors.Conflict):
    """A member with this name already exists."""


class InUse(errors.Conflict):
    """This name is already in use on another device. Ask the facilitator to release it."""


class Late(errors.Conflict):
    """The session was closed before your response could be saved."""


class Submitted(errors.Conflict):
    """You have submitted a response. Ask the facilitator to clear it first."""


class JobOver(errors.Conflict):
    """This job is no longer running."""


class UseLink(errors.NotAllowed):
    """Use your personal link to join."""


class TeamFull(errors.WrongState):
    """This team has no room for another member."""


class LastFacilitator(errors.WrongState):
    """A team needs at least one facilitator."""


class AnonymityLowered(errors.WrongState):
    """Anonymity can only be raised."""


class NamesShown(errors.WrongState):
    """Names are shown beside the responses already."""


class Insufficient(errors.WrongState):
    """Insufficient responses for synthesis (minimum 3 required)."""


class MemberSubmitted(errors.WrongState):
    """Cannot remove a member who has submitted. Clear the response first."""


class TooManyActions(errors.WrongState):
    """This team already has 50 open actions."""


class TooManyFacilitators(errors.WrongState):
    """This team already has 100 facilitators."""


def month_taken(month: str) -> errors.Conflict:
    """The team has a session for this month."""
    return errors.Conflict(f"Session for {month} already exists.")


def code_taken(code: str) -> errors.Conflict:
    """Another team has this code."""
    return errors.Conflict(f"Team code '{code}' already exists. Please choose a different code.")


def full(members: int) -> TeamFull:
    """So many active members, and no more."""
    return TeamFull(f"This team already has {members} members.")


def too_many(seconds: int) -> errors.RateLimited:
    """It was tried too often; it may be tried again in so many seconds."""
    return errors.RateLimited("Too many attempts. Please wait and try again.", retry_after=seconds)


def holding(name: str) -> errors.Conflict:
    """This device has another name."""
    return errors.Conflict(f"You are {name} on this device. Leave first.")


def cannot_export(state: str) -> errors.WrongState:
    """Nothing goes out before the reveal."""
    return errors.WrongState(f"Cannot export. Session is in '{state}' state.", session_status=state)


def refuse(state: str, move: Move) -> errors.Refusal:
    """The refusal of a move that the state does not allow."""
    if move.verb == "submit" and state in terms.AFTER_CAPTURE:
        return Late(session_status=state)
    return wrong_state(state, move)
