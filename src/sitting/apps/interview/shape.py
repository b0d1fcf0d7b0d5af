"""What an event must be like for a list, a page, a prompt and an export to show what comes of it.

No engine writes another one; a forged bundle may. Any personal part may be missing, because it may have been erased;
what is there has its type.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from ...core.event import Event
from .commands import Checked
from .terms import CANDIDATES, SESSIONS, EventType

_LAST_MS = 253_402_300_799_999  # of the year 9999: no later instant can be told
Count = Annotated[int, Field(ge=0, le=_LAST_MS)]


class _Shape(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore")


class _Case(_Shape):
    input: str
    expected: str


class _Challenge(_Shape):
    title: str
    description: str
    category: str
    difficulty: str
    instructions: str
    starter_code: str
    test_cases: list[_Case]
    hints: list[str]
    tags: list[str]
    estimated_duration: Count


class _Created(_Shape):
    time_limit: Count
    token_budget: Count
    model: str
    link_expires_at: Count


class _Updated(_Shape):
    fields: list[str]
    time_limit: Count = 0
    token_budget: Count = 0
    model_name: str = ""


class _Candidate(_Shape):
    candidate_name: str | None = None
    candidate_email: str | None = None


class _Planned(_Shape):
    challenge_id: str | None = None
    challenge: _Challenge | None = None
    challenge_text: str | None = None
    config: Checked | None = None


class _TimeExtended(_Shape):
    seconds: Count
    time_limit: Count


class _TokensExtended(_Shape):
    tokens: Count
    token_budget: Count


class _Threshold(_Shape):
    threshold: Count
    remaining: Count


class _Reserved(_Shape):
    message: str
    turn: str
    prompt_tokens: Count
    reserved: Count


class _Sent(_Reserved):
    tokens: Count


class _Retried(_Reserved):
    of: str
    seq: Count


class _Ended(_Shape):
    turn: str
    message: str
    input_tokens: Count
    output_tokens: Count
    charged: Count
    first_token_ms: int | None = None
    duration_ms: int | None = None
    reason: str = ""


class _Said(_Shape):
    content: str = ""


class _Joined(_Shape):
    device: Count


class _Link(_Shape):
    version: Count
    expires_at: Count = 0


class _Person(_Shape):
    actor: str


class _Mark(_Shape):
    kind: Literal["paste", "focus_lost", "focus_back"]
    chars: Count
    away_ms: Count


class _OfNote(_Shape):
    note_id: str


class _Note(_OfNote):
    at_seq: Count | None


class _NoteMine(_Shape):
    text: str = ""


class _Citation(_Shape):
    seq: Count
    start: Count
    end: Count


class _Score(_Shape):
    criterion: str
    score: Count
    comment: str = ""
    citations: list[_Citation]


class _CardMine(_Shape):
    scores: list[_Score] = []
    summary: str = ""
    reason: str = ""


class _Quotes(_Shape):
    quotes: list[list[str]] = []


class _Search(_Shape):
    job: str
    whose: str = Field(alias="for")
    reason: str = ""


class _SearchMine(_Shape):
    criterion: str | None = None


class _Passage(_Citation):
    quote: str


class _Passages(_Shape):
    items: list[_Passage] = []


_DATA: Mapping[str, type[_Shape]] = {
    EventType.SESSION_CREATED: _Created,
    EventType.SESSION_UPDATED: _Updated,
    EventType.TIME_EXTENDED: _TimeExtended,
    EventType.TOKENS_EXTENDED: _TokensExtended,
    EventType.TIME_WARNING: _Threshold,
    EventType.TOKEN_WARNING: _Threshold,
    EventType.MESSAGE_SENT: _Sent,
    EventType.TURN_RETRIED: _Retried,
    EventType.MESSAGE_RECEIVED: _Ended,
    EventType.TURN_CANCELLED: _Ended,
    EventType.TURN_FAILED: _Ended,
    EventType.CANDIDATE_JOINED: _Joined,
    EventType.LINK_ROTATED: _Link,
    EventType.INTERVIEWER_ADDED: _Person,
    EventType.INTERVIEWER_REMOVED: _Person,
    EventType.INTEGRITY_MARKED: _Mark,
    EventType.NOTE_ADDED: _Note,
    EventType.NOTE_CHANGED: _Note,
    EventType.NOTE_REMOVED: _OfNote,
    EventType.EVIDENCE_REQUESTED: _Search,
    EventType.EVIDENCE_PROPOSED: _Search,
    EventType.EVIDENCE_FAILED: _Search,
}
_CANDIDATES: Mapping[str, type[_Shape]] = {
    EventType.SESSION_CREATED: _Candidate,
    EventType.SESSION_UPDATED: _Candidate,
    EventType.MESSAGE_SENT: _Said,
    EventType.MESSAGE_RECEIVED: _Said,
    EventType.TURN_CANCELLED: _Said,
    EventType.TURN_FAILED: _Said,
    EventType.SCORES_SAVED: _Quotes,
    EventType.SCORECARD_AMENDED: _Quotes,
    EventType.EVIDENCE_PROPOSED: _Passages,
}
_MINE: Mapping[str, type[_Shape]] = {
    EventType.NOTE_ADDED: _NoteMine,
    EventType.NOTE_CHANGED: _NoteMine,
    EventType.SCORES_SAVED: _CardMine,
    EventType.SCORECARD_AMENDED: _CardMine,
    EventType.EVIDENCE_REQUESTED: _SearchMine,
}


def check(event: Event) -> None:
    """Raises ValueError when nothing that can be shown comes of this event."""
    if (known := _DATA.get(event.type)) is not None:
        known.model_validate(event.data)
    if (known := _CANDIDATES.get(event.type)) is not None:
        known.model_validate(event.part(CANDIDATES))
    if (known := _MINE.get(event.type)) is not None:
        known.model_validate(event.part(event.data.get("for", event.actor)))
    if event.type in (EventType.SESSION_CREATED, EventType.SESSION_UPDATED):
        _Planned.model_validate(event.part(SESSIONS))
