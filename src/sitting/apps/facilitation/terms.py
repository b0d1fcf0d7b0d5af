"""The names and the limits of a facilitation and its team, each in one place."""

from __future__ import annotations

TEAM, FACILITATION = "team", "facilitation"
FACILITATOR, PARTICIPANT, VISITOR, PROJECTOR = "facilitator", "participant", "visitor", "projector"
# The audience a facilitator is while there is nothing to look into: before close, and again after a reopen.
PREPARING = "preparing"
CLAIM = "claim"
# What the audiences of an anonymous session end with: they are told the day of a submission while capture is open, so
# that pages follow, and nothing of it afterwards.
DATED, TIMELESS = ":dated", ":timeless"

DRAFT, CAPTURING, CLOSED, REVEALED = "draft", "capturing", "closed", "revealed"
STATES = (DRAFT, CAPTURING, CLOSED, REVEALED)
AFTER_CAPTURE = (CLOSED, REVEALED)
BADGES = {DRAFT: "Draft", CAPTURING: "Capturing", CLOSED: "Closed", REVEALED: "Revealed"}

PENDING, GENERATING, COMPLETE, FAILED, INSUFFICIENT = "pending", "generating", "complete", "failed", "insufficient"
SYNTHESIZE, FORGET = "synthesize", "forget_member"

# Owners of personal content: what the session or the team as a whole wrote, figures of the model, and one owner for
# each member (`member:3`) and for each piece of a synthesis (`synthesis.themes`).
WHOLE, USAGE, SYNTHESIS = "whole", "usage", "synthesis"
ERASED_NAME = "Erased member"


def member_owner(member: int) -> str:
    """Whose content a member's name and response are."""
    return f"member:{member}"


NAMED, FACILITATOR_ONLY, ANONYMOUS = LEVELS = ("named", "facilitator_only", "anonymous")
GAPS = ("Direction", "Alignment", "Commitment")
OPEN, DONE, DROPPED = ACTION_STATUSES = ("open", "done", "dropped")

IMAGE_PROMPT = "Pick the card that shows how we are carrying out our strategy right now."
BULLET_PROMPT = "Write 1 to 5 short points that explain your card."
INSUFFICIENT_TEXT = "Insufficient responses for synthesis (minimum 3 required)."
FAILED_TEXT = "Synthesis generation failed. Please try again."
NO_MODEL_TEXT = "No language model is configured. See /help/models."
ANALYZING_TEXT, READY_TEXT = "Analyzing Responses", "Synthesis ready"

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
CODE_CHARACTERS, MIN_CODE, MAX_CODE = 6, 4, 20
MAX_CODES_AN_HOUR, HOUR_SECONDS = 300, 3600  # codes that one person may choose
MAX_NAME = 255
MAX_STRATEGY, MAX_PROMPT = 2000, 500
MAX_ACTION, MAX_OUTCOME, MAX_OPEN_ACTIONS = 500, 500, 50
MAX_FACILITATORS = 100
MAX_CARD, MAX_BULLETS, MAX_BULLET = 55, 5, 500
MAX_REASON, MAX_NOTES, MAX_RECALIBRATION = 200, 10_000, 1000
MIN_TIMER, MAX_TIMER = 30, 2_592_000
LEAST_RESPONSES = 3
SALT_BYTES = 16
CLAIM_SECONDS = 60 * 86_400
CLAIMS_A_MINUTE = 60  # of one name
SUBMITS_A_MINUTE, SUBMITS_AN_HOUR = 60, 600  # under one name
AUTHORSHIPS_A_MINUTE = 60  # asked for under one name
ERASURE_TRIES = 10_000  # with a minute between them, about a week
# Names that stand in the event `started`; with 50 actions, the prompts and six bytes a character it stays below the
# 256 KiB of an event. Further members follow in events of their own.
MAX_STARTED_NAMES = 10_000

MAX_THEMES, MAX_STATEMENT, MAX_STATEMENT_NAME = 1200, 400, 40
MAX_REASONING, MAX_SUGGESTION = 800, 300
MAX_OUTPUT_TOKENS = 2048
MAX_WRITTEN = 24_000  # code points of a synthesis on its way that are kept for those who watch
