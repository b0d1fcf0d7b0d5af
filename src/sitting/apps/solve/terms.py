"""The names and the limits of a solve session, each in one place."""

from __future__ import annotations

from enum import StrEnum


class SessionStatus(StrEnum):
    """The states of a solve session."""

    ACTIVE = "active"
    COMPLETED = "completed"
    ABANDONED = "abandoned"


class SolveStep(StrEnum):
    """The five steps, in order."""

    RECEIVE = "receive"
    CLARIFY = "clarify"
    REFRAME = "reframe"
    OPTIONS = "options"
    COMMIT = "commit"


class EventType(StrEnum):
    """What can happen; these names are the public `type`."""

    CREATED = "created"
    MESSAGE_RECEIVED = "message_received"
    TURN_STARTED = "turn_started"
    TURN_COMPLETED = "turn_completed"
    TURN_CANCELLED = "turn_cancelled"
    TURN_FAILED = "turn_failed"
    TURN_INTERRUPTED = "turn_interrupted"
    CRISIS_DETECTED = "crisis_detected"
    CRISIS_DISMISSED = "crisis_dismissed"
    STEP_ADVANCED = "step_advanced"
    STEP_CONTESTED = "step_contested"
    BELIEF_FORMED = "belief_formed"
    BELIEF_CORRECTED = "belief_corrected"
    OPTIONS_OFFERED = "options_offered"
    OPTION_ADDED = "option_added"
    OPTION_CHOSEN = "option_chosen"
    COMMITTED = "committed"
    COMPLETED = "completed"
    ABANDONED = "abandoned"
    REOPENED = "reopened"
    UPDATED = "updated"
    EXPORTED = "exported"
    ACTION_COMPLETED = "action_completed"
    ACTION_UNCOMPLETED = "action_uncompleted"
    REMINDED = "reminded"
    DELETED = "deleted"


OWNER = "owner"  # the role, the audience, and the owner of all personal content: there is nobody else

STEPS = tuple(SolveStep)
LOCALES = ("en", "es", "zh")
SLOTS = ("goal", "stakes", "constraints", "tried", "feeling")
NEUTRAL = "neutral"
EMOTIONS = ("anxious", "frustrated", "sad", "confused", "hopeful", "calm", NEUTRAL)
EFFORTS = ("low", "medium", "high")
CARD_IDS = ("A", "B", "C")
OWN_CARD = "own"
CONCRETE, EXAMPLES, PAUSE = "concrete", "examples", "pause"
TACTICS = (CONCRETE, EXAMPLES, PAUSE)
MODEL, FIXED = "model", "fixed"  # where a reply comes from
BY_GATE, BY_CHOICE, BY_OWNER = "gate", "choice", "owner"
BY_MESSAGE, BY_FORM = "message", "form"

TURN = "turn"  # purpose and key of the job: one reply at a time
ENDS = {
    EventType.TURN_COMPLETED: "completed",
    EventType.TURN_CANCELLED: "cancelled",
    EventType.TURN_FAILED: "failed",
    EventType.TURN_INTERRUPTED: "interrupted",
}
RUNNING = "running"
MODEL_FAILED, MODEL_TIMEOUT = "MODEL_FAILED", "MODEL_TIMEOUT"
MODEL_OUTPUT_INVALID, BUDGET_EXHAUSTED = "MODEL_OUTPUT_INVALID", "BUDGET_EXHAUSTED"

NEW_TITLE = "New session"
MAX_TITLE, SHORT_TITLE = 120, 60
MAX_TAGS, MAX_TAG = 10, 30
MAX_MESSAGE = 4000
MAX_MESSAGES = 300  # of the owner, in one session
MAX_BELIEF, MIN_QUOTE, MAX_QUOTE = 200, 3, 300
MAX_SUGGESTIONS, MAX_SUGGESTION = 3, 80
MIN_CARDS, MAX_CARDS = 2, 3
MAX_CARD_TITLE, MAX_CARD_LINES, MAX_CARD_LINE = 80, 3, 160
MAX_FIRST_STEP = 300
MAX_OUTCOME = 500
MAX_REASON = 500
MAX_REPLY = 32_000  # code points of a reply that are kept; 1,024 tokens are far fewer
MAX_MOVES = 20  # moves that are shown; a move can be contested again and again
MAX_EVIDENCE = 10  # substantive messages of a step that are remembered, the latest
MAX_CARRIED = 3
OUTPUT_TOKENS = 1024
CARDS_TOKENS = 700  # what a data-only request may answer, where the reservation has room for it
LEAST_CARDS_TOKENS = 320
