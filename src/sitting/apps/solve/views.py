"""What the owner sees of a solve session, and nobody else: pages, JSON, streams and exports ask here.

The data trailer, the prompts and the names of crisis rules are in no view.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...core.actor import SYSTEM, Actor
from ...core.event import Event, to_text
from ...core.kind import Final
from ...core.session import Session
from . import gates
from .fold import carried
from .fold import title as title
from .terms import ENDS, OWNER, EventType, SessionStatus, SolveStep

_ITEM = (
    *("id", "session_id", "status", "current_step", "created_at", "completed_at", "updated_at", "title", "tags"),
    *("first_step_action", "reminder_time", "action_completed"),
)


def audience(session: Session, actor: Actor, role: str) -> str:
    """The owner, or the operator's command line; nobody else has a role here."""
    return OWNER if role in (OWNER, SYSTEM) else "nobody"


def closed(session: Session, audience: str) -> bool:
    """Reminders and actions still come to a completed session."""
    return False


def view(session: Session, audience: str, now: datetime) -> dict[str, Any]:
    """The session as its owner sees it."""
    if audience != OWNER or not session.data:
        return {"as_of": session.position}
    data = session.data
    same = (
        *("completed_at", "locale", "tags", "chosen_option", "first_step_action", "reminder_time", "reminder_sent_at"),
        *("confidence", "action_completed", "action_completed_at", "outcome", "active_turn", "carried"),
    )
    return {
        "id": session.id,
        "session_id": session.id,
        "status": session.state,
        "current_step": data["step"],
        "created_at": _stamp(session.created_at),
        "updated_at": _stamp(session.updated_at),
        "title": title(session),
        "beliefs": gates.beliefs(session),
        "options": list(gates.cards(session)) or None,
        "emotion_detected": data["emotion"],
        "message_count": data["messages"],
        "tokens": {"budget": data["budget"], "reserved": data["reserved"], "spent": data["spent"]},
        **{name: data[name] for name in same},
        "as_of": session.position,
    }


def item(view: Mapping[str, Any]) -> dict[str, Any]:
    """A line of the list."""
    return {name: view[name] for name in _ITEM}


def progress(session: Session) -> dict[str, Any]:
    """What ends the present step, and how far that is."""
    return {
        "substantive": len(session.data["substance"]),
        "messages": session.data["heard"],
        "beliefs": len(session.collection("belief")),
        "met": gates.met(session),
        "unmet": gates.unmet(session),
    }


def moves(session: Session) -> Sequence[Mapping[str, Any]]:
    """The latest moves of the step, oldest first, each with the messages that satisfied its gate."""
    found: Sequence[Mapping[str, Any]] = session.data["moves"]
    return found


def contestable(session: Session) -> bool:
    """Whether the last move of the step can be taken back: nothing has happened since."""
    moved = session.data["moved"]
    return session.state == SessionStatus.ACTIVE and moved is not None and moved["seq"] == session.seq


def retryable(session: Session) -> str | None:
    """The turn whose message can be answered again."""
    data = session.data
    turn = session.collection("turn").get(data["last_turn"] or "")
    free = session.state == SessionStatus.ACTIVE and data["active_turn"] is None
    return data["last_turn"] if free and turn and not turn["moved"] and turn["step"] == data["step"] else None


def dismissable(session: Session) -> str | None:
    """The crisis turn that can be dismissed."""
    turn = retryable(session)
    return turn if turn and session.collection("turn")[turn]["crisis"] else None


def first_step_draft(session: Session) -> str | None:
    """What the commit form begins with: the owner's own draft, else what the model read in the owner's words."""
    data = session.data
    if data["first_step_action"] or data["step"] != SolveStep.COMMIT:
        draft: str | None = data["first_step_action"]
        return draft
    turn = session.collection("turn").get(data["last_turn"] or "") or {}
    return turn.get("first_step")


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else to_text(at)


# What each type says, from its data and from the owner's part.
_ENDED = ("turn", "message_id", "text", "code", "reason", "input_tokens", "output_tokens")
_TOLD: Mapping[str, tuple[str, ...]] = {
    EventType.CREATED: ("locale", "title", "tags", "carried", "usage"),
    EventType.MESSAGE_RECEIVED: ("message_id", "turn", "step", "content", "substantive", "emotion_detected"),
    EventType.TURN_STARTED: (
        *("turn", "step", "source", "closing", "evidence", "tactic", "prompt_version", "history", "reserved_tokens"),
        "retry_of",
    ),
    EventType.TURN_COMPLETED: (
        *("turn", "message_id", "text", "sha256", "tactic", "suggestions", "input_tokens", "output_tokens"),
        "duration_ms",
    ),
    EventType.TURN_CANCELLED: _ENDED,
    EventType.TURN_FAILED: _ENDED,
    EventType.TURN_INTERRUPTED: _ENDED,
    EventType.CRISIS_DETECTED: ("turn", "message_id"),
    EventType.CRISIS_DISMISSED: ("turn",),
    EventType.STEP_ADVANCED: ("from", "to", "by", "evidence"),
    EventType.STEP_CONTESTED: ("from", "to", "reason"),
    EventType.BELIEF_FORMED: ("slot", "text", "message_id", "quote"),
    EventType.BELIEF_CORRECTED: ("slot", "text"),
    EventType.OPTIONS_OFFERED: ("version", "cards"),
    EventType.OPTION_ADDED: ("card",),
    EventType.OPTION_CHOSEN: ("option_id", "version", "by"),
    EventType.COMMITTED: ("first_step_action", "reminder_time", "confidence", "by"),
    EventType.COMPLETED: (),
    EventType.ABANDONED: ("reason",),
    EventType.REOPENED: (),
    EventType.UPDATED: ("changes",),
    EventType.EXPORTED: ("format",),
    EventType.ACTION_COMPLETED: ("outcome",),
    EventType.ACTION_UNCOMPLETED: (),
    EventType.REMINDED: ("reminder_time",),
    EventType.DELETED: (),
}


def tell(event: Event, audience: str) -> dict[str, Any] | None:
    """One event as its owner is told it."""
    names = _TOLD.get(event.type)
    if names is None or audience != OWNER:
        return None
    known = {**event.data, **event.part(OWNER)}
    if event.type == EventType.CREATED:
        known["carried"] = carried(event)
    data = {name: known.get(name) for name in names}
    return {"seq": event.seq, "type": event.type, "ts": to_text(event.at), "data": data}


def parts(event: Event, audience: str) -> Collection[str]:
    """Everything is the owner's to take along."""
    return tuple(event.personal) if audience == OWNER else ()


def final(event: Event) -> Final | None:
    """How a reply ended, and its whole text."""
    try:
        status = ENDS[EventType(event.type)]
    except (KeyError, ValueError):
        return None
    return Final(event.data["turn"], status, str(event.part(OWNER).get("text") or ""))


def search(session: Session) -> str:
    """What a list is searched in: title, messages and first step."""
    said = sorted(session.collection("message").values(), key=lambda message: message["seq"])
    texts = (title(session), *(message["content"] for message in said), session.data.get("first_step_action"))
    return "\n".join(text for text in texts if text)


def meters(session: Session, audience: str, now: datetime) -> Sequence[Mapping[str, Any]]:
    """Tokens for the generic pages."""
    if audience != OWNER or not session.data:
        return ()
    budget = session.data["budget"]
    left = max(0, budget - session.data["spent"] - session.data["reserved"])
    share = left / budget if budget else 0
    level = "exhausted" if not left else "urgent" if share <= 0.05 else "warning" if share <= 0.25 else "normal"
    return (
        {
            "name": "tokens",
            "label": "Tokens left",
            "value": left,
            "max": budget,
            "level": level,
            "text": f"{left:,} of {budget:,}",
        },
    )


def needs(session: Session, audience: str) -> str | None:
    """What the session waits for from its owner."""
    if audience != OWNER or not session.data:
        return None
    if session.state == SessionStatus.COMPLETED:
        return None if session.data["action_completed"] else "Do the first step, and mark it done."
    return "Go on where you stopped." if session.state == SessionStatus.ACTIVE else None
