"""The names and the limits of an interview, each in one place."""

from __future__ import annotations

from enum import StrEnum


class SessionStatus(StrEnum):
    """The states of an interview."""

    CREATED = "created"
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    EXPIRED = "expired"


class UserType(StrEnum):
    """Who takes part."""

    CANDIDATE = "candidate"
    INTERVIEWER = "interviewer"


class EventType(StrEnum):
    """What can happen; these names are the public `type`."""

    SESSION_CREATED = "SESSION_CREATED"
    SESSION_UPDATED = "SESSION_UPDATED"
    SESSION_STARTED = "SESSION_STARTED"
    SESSION_PAUSED = "SESSION_PAUSED"
    SESSION_RESUMED = "SESSION_RESUMED"
    SESSION_COMPLETED = "SESSION_COMPLETED"
    SESSION_EXPIRED = "SESSION_EXPIRED"
    TIME_EXTENDED = "TIME_EXTENDED"
    TOKENS_EXTENDED = "TOKENS_EXTENDED"
    TIME_WARNING = "TIME_WARNING"
    TOKEN_WARNING = "TOKEN_WARNING"  # noqa: S105 - a kind of event
    MESSAGE_SENT = "MESSAGE_SENT"
    MESSAGE_RECEIVED = "MESSAGE_RECEIVED"
    TURN_RETRIED = "TURN_RETRIED"
    TURN_CANCELLED = "TURN_CANCELLED"
    TURN_FAILED = "TURN_FAILED"
    CANDIDATE_JOINED = "CANDIDATE_JOINED"
    LINK_ROTATED = "LINK_ROTATED"
    LINK_REVOKED = "LINK_REVOKED"
    INTERVIEWER_ADDED = "INTERVIEWER_ADDED"
    INTERVIEWER_REMOVED = "INTERVIEWER_REMOVED"
    INTEGRITY_MARKED = "INTEGRITY_MARKED"
    NOTE_ADDED = "NOTE_ADDED"
    NOTE_CHANGED = "NOTE_CHANGED"
    NOTE_REMOVED = "NOTE_REMOVED"
    SCORES_SAVED = "SCORES_SAVED"
    SCORECARD_SUBMITTED = "SCORECARD_SUBMITTED"
    SCORECARD_AMENDED = "SCORECARD_AMENDED"
    EVIDENCE_REQUESTED = "EVIDENCE_REQUESTED"
    EVIDENCE_PROPOSED = "EVIDENCE_PROPOSED"
    EVIDENCE_FAILED = "EVIDENCE_FAILED"


LIVE = ("created", "active", "paused")
FINAL = ("completed", "expired")
EVERY = (*LIVE, *FINAL)

INTERVIEWER, CANDIDATE, VISITOR = "interviewer", "candidate", "visitor"
# Owners of personal content: the candidate's own and the conversation; what the interviewer prepared for the session.
# What an interviewer writes (reasons, notes, scores) is owned by that interviewer's actor id.
CANDIDATES, SESSIONS = "candidate", "session"

MODEL_NAMES = ("gpt-4", "gpt-4-turbo", "gpt-3.5-turbo")
CRITERIA = ("understanding", "approach", "use_of_ai", "checking", "communication")
HELPERS = ("explain", "hints", "full")
STARTERS = ("candidate", "interviewer", "either")
DEFAULTS = {
    "helper": "hints",
    "start_by": "either",
    "temperature": 0.7,
    "criteria": list(CRITERIA),
    "integrity_marks": False,
    "candidate_copy": True,
}

# The events that carry a part of the conversation, by who wrote it.
SAID = (EventType.MESSAGE_SENT, EventType.MESSAGE_RECEIVED, EventType.TURN_CANCELLED, EventType.TURN_FAILED)

MAX_NAME = 255
MAX_EMAIL = 254  # as the standards have it
MIN_SECONDS, MAX_SECONDS, TOTAL_SECONDS = 300, 10_800, 21_600
MIN_TOKENS, MAX_TOKENS, TOTAL_TOKENS = 1000, 200_000, 1_000_000
MAX_TEXT = 20_000
MAX_CONFIG_BYTES = 16 * 1024
# With 20,000 code points of challenge text at six bytes each, the configuration and the names, a creation stays below
# the 256 KiB of an event.
MAX_CHALLENGE_BYTES = 96 * 1024
MAX_CARD_BYTES = 192 * 1024
MAX_MESSAGE = 5000
MAX_REPLY = 32_000  # code points of a reply that are kept; 2,000 tokens are far fewer
MAX_OUTPUT_TOKENS = 2000
LEAST_OUTPUT_TOKENS = 64
MAX_DEVICES = 3
MAX_INTERVIEWERS = 50
MAX_NOTES = 500
MARKS_A_MINUTE = 120
JOINS_A_MINUTE = 60  # by one link
LINK_SECONDS, MIN_LINK_SECONDS, MAX_LINK_SECONDS = 7 * 86_400, 600, 30 * 86_400
PAUSE_LIMIT_MS = 24 * 3_600_000
THRESHOLDS = (25, 10, 5)
NOTICE_VERSION = 1  # of the notice a candidate agrees to by joining
