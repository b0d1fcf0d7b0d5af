"""Interviews from Python: the documented functions, synchronous, as the local actor in the default space.

It is lenient where the document is: a move in the wrong state changes nothing and is a warning in the log, not an
exception. Deadlines are fired by whatever reads or writes, so an expired interview is seen as expired without a server.
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from ... import errors
from ...clock import Clock
from ...config import load
from ...core.actor import Actor
from ...core.event import to_text
from ...core.kind import Command
from ...engine import Where
from ...installation import Installation
from ...store import Store
from ...store.journal import event as event_of
from . import commands, views
from .refusals import INTERVIEW_NOT_FOUND
from .terms import EventType, SessionStatus, UserType

KIND = "interview"
MAX_LIST = 100
log = logging.getLogger(__name__)


class SessionNotFound(ValueError):
    """Interview not found"""


@dataclass(frozen=True)
class Session:
    """An interview as it was when it was asked for. Times are aware UTC; tokens and seconds are whole."""

    id: str
    candidate_name: str
    candidate_email: str | None
    time_limit: int
    token_budget: int
    model_name: str
    status: SessionStatus
    start_time: datetime | None
    end_time: datetime | None
    paused_at: datetime | None
    total_paused_duration: int
    tokens_used: int
    input_tokens: int
    output_tokens: int
    tokens_reserved: int
    tokens_remaining: int
    message_count: int
    time_remaining: int
    challenge_id: str | None
    challenge_text: str | None
    config: dict[str, Any]
    interviewers: tuple[str, ...]
    created_at: datetime
    updated_at: datetime
    as_of: str


@dataclass(frozen=True)
class SessionEvent:
    """One event in its public form; `event["type"]` reads the same as JSON has it, `ts` as text and `actor` whole."""

    seq: int
    type: EventType
    ts: datetime
    role: str
    description: str
    data: dict[str, Any]

    def __getitem__(self, name: str) -> Any:
        public = {"ts": to_text(self.ts), "actor": {"role": self.role}}
        return public[name] if name in public else vars(self)[name]


class SessionService:
    """Interviews over one installation.

    `store` is a Store or an Installation to use; None opens the installation that the settings name. `clock` replaces
    the installation's. A service that opened its installation closes it with `close`.
    """

    def __init__(self, store: Store | Installation | None = None, clock: Clock | None = None) -> None:
        self._owned = not isinstance(store, Installation)
        if isinstance(store, Installation):
            self._installation = store
        else:
            self._installation = Installation(load(), clock=clock, store=store)
        self._engine = self._installation.engine
        self._actor: Actor = self._installation.access.local()

    def close(self) -> None:
        """Close what this service opened. What it returned stays readable."""
        if self._owned:
            self._installation.close()

    def create_session(self, config: commands.SessionConfig) -> Session:
        """Open an interview. Raises ValueError when the challenge is unknown."""
        done = self._refused_as_value_error(lambda: self._engine.open(KIND, config, self._actor).result())
        return self._session(done.session.id)

    def get_session(self, session_id: str) -> Session | None:
        """The interview, or None."""
        try:
            return self._session(session_id)
        except SessionNotFound:
            return None

    def update_session(self, session_id: str, **updates: Any) -> Session:
        """Change fields. Raises SessionNotFound, and ValueError naming a field that cannot be changed (now)."""
        self._session(session_id)
        allowed = commands.SessionUpdate.model_fields
        if unknown := sorted(set(updates) - set(allowed)):
            raise ValueError(f"{unknown[0]} cannot be changed")
        command = self._refused_as_value_error(lambda: commands.SessionUpdate(**updates))
        self._do(session_id, command)
        return self._session(session_id)

    def start_session(self, session_id: str) -> Session:
        """Start, whoever `start_by` names; in a wrong state nothing happens. Raises SessionNotFound."""
        return self._try(session_id, commands.StartAnyway())

    def pause_session(self, session_id: str, reason: str = "") -> Session:
        """Stop the clock; in a wrong state nothing happens. Raises SessionNotFound."""
        return self._try(session_id, commands.Pause(reason=reason))

    def resume_session(self, session_id: str) -> Session:
        """Let the clock run again; in a wrong state nothing happens. Raises SessionNotFound."""
        return self._try(session_id, commands.Resume())

    def end_session(self, session_id: str, reason: str = "") -> Session:
        """Complete; in a final state nothing happens. Raises SessionNotFound."""
        return self._try(session_id, commands.End(reason=reason))

    def extend_time(self, session_id: str, minutes: int, reason: str) -> Session:
        """Give more time. Raises SessionNotFound, and ValueError in a final state or beyond the limits."""
        return self._must(session_id, lambda: commands.ExtendTime(seconds=minutes * 60, reason=reason))

    def extend_tokens(self, session_id: str, tokens: int, reason: str) -> Session:
        """Give more tokens. Raises SessionNotFound, and ValueError in a final state or beyond the limits."""
        return self._must(session_id, lambda: commands.ExtendTokens(tokens=tokens, reason=reason))

    def validate_session_access(self, session_id: str, user_type: UserType) -> bool:
        """Whether this kind of person has access: both have, when the interview exists."""
        return self.get_session(session_id) is not None and user_type in tuple(UserType)

    def is_session_expired(self, session_id: str) -> bool:
        """Whether the time limit was reached; True for an unknown interview. Performs the expiry."""
        session = self.get_session(session_id)
        return session is None or session.status is SessionStatus.EXPIRED

    def get_remaining_time(self, session_id: str) -> int | None:
        """Whole seconds left, rounded up; None for an unknown interview."""
        session = self.get_session(session_id)
        return None if session is None else session.time_remaining

    def list_sessions(self, status: SessionStatus | None = None, limit: int = 50, offset: int = 0) -> list[Session]:
        """Newest first. Raises ValueError unless limit is 1-100 and offset is not negative."""
        if not 1 <= limit <= MAX_LIST:
            raise ValueError(f"limit must be between 1 and {MAX_LIST}")
        if offset < 0:
            raise ValueError("offset must not be negative")
        where = Where(state=SessionStatus(status).value if status else "", limit=limit, offset=offset)
        listing = self._engine.list(KIND, self._actor, where).result()
        return [_snapshot(seen.view) for seen in listing.items]

    def get_events(self, session_id: str) -> list[SessionEvent]:
        """The whole journal in its public form. Raises SessionNotFound."""
        try:
            journal = self._engine.journal(session_id, self._actor).result()
        except errors.NotFound:
            raise SessionNotFound(INTERVIEW_NOT_FOUND) from None
        audience = journal.seen.audience
        told = (views.tell(event_of(record), audience) for record in journal.records)
        return [_event(public) for public in told if public is not None]

    def _session(self, id: str) -> Session:
        try:
            return _snapshot(self._engine.view(str(id), self._actor, kind=KIND).result().view)
        except errors.NotFound:
            raise SessionNotFound(INTERVIEW_NOT_FOUND) from None

    def _do(self, id: str, command: Command) -> None:
        def call() -> None:
            self._engine.do(id, command, self._actor).result()

        self._refused_as_value_error(call)

    def _try(self, id: str, command: Command) -> Session:
        """Carry out a move; one that the state refuses is only worth a warning."""
        before = self._session(id)
        try:
            self._engine.do(before.id, command, self._actor).result()
        except errors.WrongState as refusal:
            log.warning("%s Interview %s is unchanged.", refusal.message, before.id)
        return self._session(id)

    def _must(self, id: str, make: Callable[[], Command]) -> Session:
        self._session(id)
        self._do(id, self._refused_as_value_error(make))
        return self._session(id)

    @staticmethod
    def _refused_as_value_error(call: Callable[[], Any]) -> Any:
        try:
            return call()
        except errors.Refusal as refusal:
            found = [f"{field['field']}: {field['message']}" for field in refusal.facts.get("fields", [])]
            raise ValueError("; ".join(found) or refusal.message) from None


_shared: SessionService | None = None
_lock = threading.Lock()


def get_session_service() -> SessionService:
    """The service of this process, always the same object."""
    global _shared
    with _lock:
        if _shared is None:
            _shared = SessionService()
            atexit.register(_shared.close)
        return _shared


def _snapshot(view: dict[str, Any]) -> Session:
    known = {field.name: view[field.name] for field in fields(Session)}
    for name in ("start_time", "end_time", "paused_at", "created_at", "updated_at"):
        known[name] = None if known[name] is None else datetime.fromisoformat(known[name])
    known["status"] = SessionStatus(known["status"])
    known["interviewers"] = tuple(known["interviewers"])
    return Session(**known)


def _event(public: dict[str, Any]) -> SessionEvent:
    return SessionEvent(
        seq=public["seq"],
        type=EventType(public["type"]),
        ts=datetime.fromisoformat(public["ts"]),
        role=public["actor"]["role"],
        description=public["description"],
        data=public["data"],
    )
