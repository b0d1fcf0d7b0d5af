"""The documented Python shapes: what is sent, what is answered, and the two frames of a message's stream.

They carry the limits of the commands they stand for, and `frame` gives a stream's text to the letter: the routes write
their streams with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from . import commands
from .terms import SessionStatus, SolveStep

# JSON leaves these as they are, and many readers of lines take them for the end of one.
_SEPARATORS = {ord(sign): f"\\u{ord(sign):04x}" for sign in "\x85\u2028\u2029"}
_encode = json.JSONEncoder(ensure_ascii=False).encode  # made once: a stream has a frame for each word


class SessionCreate(commands.Create):
    """What opens a session. Nothing is needed."""


class MessageRequest(commands.SendMessage):
    """A message, and the step its writer believes to be in."""


class _Answer(BaseModel):
    """An answer, as read from JSON. Fields that a later version adds are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Usage(_Answer):
    """How many sessions a space has opened in the period of its quota; no limit is None."""

    sessions_used: int
    sessions_limit: int | None
    tier: str


class SessionResponse(_Answer):
    """The answer to a session's creation."""

    session_id: str
    id: str
    status: SessionStatus
    current_step: SolveStep
    created_at: datetime
    completed_at: datetime | None
    usage: Usage


class SessionSummary(_Answer):
    """A line of the list."""

    id: str
    session_id: str
    status: SessionStatus
    current_step: SolveStep
    created_at: datetime
    completed_at: datetime | None
    updated_at: datetime
    title: str
    tags: tuple[str, ...]
    first_step_action: str | None
    reminder_time: datetime | None
    action_completed: bool


class SessionListResponse(_Answer):
    """A page of the list; `total` counts what the same filters find on all pages."""

    sessions: tuple[SessionSummary, ...]
    total: int
    limit: int
    offset: int


class SolveSession(SessionSummary):
    """A session as it was when it was asked for."""

    locale: str
    beliefs: Mapping[str, Any]
    options: tuple[Mapping[str, Any], ...] | None
    chosen_option: str | None
    reminder_sent_at: datetime | None
    confidence: int | None
    action_completed_at: datetime | None
    outcome: str | None
    emotion_detected: str
    message_count: int
    active_turn: str | None
    tokens: Mapping[str, int]
    carried: tuple[Mapping[str, Any], ...]


class SSETokenEvent(BaseModel):
    """A piece of a reply."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str

    def frame(self, id: str | None = None) -> str:
        """The frame as it stands in the stream."""
        return sse("token", {"content": self.content}, id)


class SSEDoneEvent(BaseModel):
    """The end of a reply, and what it changed. What is not given is not written."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    next_step: SolveStep | None
    emotion_detected: str
    turn: str | None = None
    status: str | None = None
    session_status: SessionStatus | None = None
    step_moved: bool | None = None
    evidence: tuple[str, ...] | None = None
    tactic: str | None = None
    suggestions: tuple[str, ...] | None = None
    options: tuple[Mapping[str, Any], ...] | None = None
    message_id: str | None = None
    seq: int | None = None
    blocked: bool | None = None
    reason: str | None = None
    resources: Mapping[str, str] | None = None

    def frame(self, id: str | None = None) -> str:
        """The frame as it stands in the stream."""
        return sse("done", self.model_dump(mode="json", exclude_unset=True), id)


def tokens(turn: str, off: int, pieces: Iterable[str]) -> str:
    """The frames of what was written from `off` on, each as the one of its piece alone, made in one go."""
    made = []
    for piece in pieces:
        off += len(piece)
        made.append(f'event: token\ndata: {{"content": {_encode(piece)}}}\nid: {turn}.{off}\n\n')
    joined = "".join(made)
    return joined if joined.isascii() else joined.translate(_SEPARATORS)


def sse(event: str, data: Mapping[str, Any], id: str | None = None) -> str:
    """A frame in the documented form: name, one line of JSON, and the position last."""
    place = "" if id is None else f"id: {id}\n"
    return f"event: {event}\ndata: {_encode(data).translate(_SEPARATORS)}\n{place}\n"
