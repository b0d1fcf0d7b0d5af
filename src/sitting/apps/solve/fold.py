"""What each event makes of a solve session.

Figures, ids, states and steps stand in an event's `data`; every text, feeling and time the owner gave stands in the
owner's personal part and may have been erased, so nothing here relies on one. Messages, turns, beliefs, cards and tags
are items: the folded data stays small.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from ...core.event import COPIED, Event, to_text
from ...core.lifecycle import GONE
from ...core.session import Session
from . import shape
from .rules import fold as folded
from .terms import (
    BY_CHOICE,
    CARD_IDS,
    ENDS,
    MAX_EVIDENCE,
    MAX_MOVES,
    NEUTRAL,
    NEW_TITLE,
    OWN_CARD,
    OWNER,
    RUNNING,
    SHORT_TITLE,
    EventType,
    SessionStatus,
    SolveStep,
)

COMPLETED, PENDING = "completed", "pending"  # ids of the one item in the collection `action`
_STEP_BEGINS: Mapping[str, Any] = {"substance": [], "heard": 0, "low_run": 0}


def fold(session: Session, event: Event) -> Session:
    """The session after one event; a type this version does not know changes nothing.

    Raises:
        ValueError: nothing that a page could show comes of it. No engine writes such an event; a forged bundle may.
    """
    step = _STEPS.get(event.type)
    if step is None:
        return session
    shape.check(event)
    return step(session, event)


def digest(text: str) -> str:
    """What is remembered of the previous message, to know it again."""
    return hashlib.sha256(folded(text).encode("utf-8", "surrogatepass")).hexdigest()


def carried(event: Event) -> list[dict[str, Any]]:
    """The open actions a session began with, newest first; those of deleted sessions are gone."""
    kept = [(owner, dict(part)) for owner, part in event.personal.items() if part and owner.startswith(COPIED)]
    kept.sort(key=lambda item: int(item[1].pop("place")))
    return [{"session_id": owner.removeprefix(COPIED), **part} for owner, part in kept]


def _created(session: Session, event: Event) -> Session:
    data, mine = event.data, event.part(OWNER)
    session = session.set(
        **_STEP_BEGINS,
        step=SolveStep.RECEIVE.value,
        locale=data.get("locale") or "en",
        title=mine.get("title"),
        tags=[],
        usage=data.get("usage"),
        carried=carried(event),
        idle_days=data.get("idle_days"),
        last_message_at=to_text(event.at),
        previous=None,
        messages=0,
        sent=0,
        emotion=NEUTRAL,
        budget=data.get("budget", 0),
        reserved=0,
        spent=0,
        active_turn=None,
        last_turn=None,
        last_message=None,
        version=0,
        chosen_option=None,
        corrected=[],
        moved=None,
        moves=[],
        first_step_action=None,
        reminder_time=None,
        reminder_sent_at=None,
        confidence=None,
        action_completed=False,
        action_completed_at=None,
        outcome=None,
        completed_at=None,
    )
    return _tagged(session, mine.get("tags") or []).to(SessionStatus.ACTIVE)


def _tagged(session: Session, tags: list[str]) -> Session:
    for tag in set(session.collection("tag")) - set(tags):
        session = session.drop("tag", tag)
    for tag in tags:
        session = session.put("tag", tag, {})
    return session.set(tags=tags)


def _message_received(session: Session, event: Event) -> Session:
    data, mine = event.data, event.part(OWNER)
    content, substantive = str(mine.get("content") or ""), bool(data.get("substantive"))
    session = _said(session, event, "user", content, data["step"], COMPLETED)
    known = session.data
    return session.set(
        heard=known["heard"] + 1,
        sent=known["sent"] + 1,
        substance=[*known["substance"], data["message_id"]][-MAX_EVIDENCE:] if substantive else known["substance"],
        low_run=0 if substantive else known["low_run"] + 1,
        previous=digest(content),
        last_message=data["message_id"],
        last_message_at=to_text(event.at),
        emotion=mine.get("emotion_detected") or NEUTRAL,
        title=known["title"] or " ".join(content.split())[:SHORT_TITLE].rstrip() or None,
    )


def _said(session: Session, event: Event, role: str, content: str, step: str, status: str) -> Session:
    message = {
        "turn": event.data["turn"],
        "role": role,
        "content": content,
        "step": step,
        "status": status,
        "seq": event.seq,
    }
    session = session.put("message", event.data["message_id"], message)
    return session.set(messages=session.data["messages"] + 1)


def _turn_started(session: Session, event: Event) -> Session:
    data = event.data
    turn = {
        "step": data["step"],
        "status": RUNNING,
        "source": data["source"],
        "closing": data["closing"],
        "evidence": data["evidence"],
        "tactic": data["tactic"],
        "option_id": data.get("option_id"),
        "message": session.data["last_message"],
        "reserved": data["reserved_tokens"],
        "prompt_tokens": data.get("prompt_tokens", 0),
        "crisis": False,
        "moved": False,
        "first_step": None,
    }
    return session.put("turn", data["turn"], turn).set(
        active_turn=data["turn"],
        last_turn=data["turn"],
        reserved=session.data["reserved"] + data["reserved_tokens"],
    )


def _turn(session: Session, id: str, **changes: Any) -> Session:
    turn = session.collection("turn").get(id)
    return session if turn is None else session.put("turn", id, {**turn, **changes})


def _turn_ended(session: Session, event: Event) -> Session:
    data, mine = event.data, event.part(OWNER)
    turn = session.collection("turn").get(data["turn"]) or {}
    status = ENDS[EventType(event.type)]
    session = _turn(session, data["turn"], status=status, first_step=mine.get("first_step"))
    session = session.set(
        active_turn=None,
        reserved=session.data["reserved"] - turn.get("reserved", 0),
        spent=session.data["spent"] + data["input_tokens"] + data["output_tokens"],
    )
    text = str(mine.get("text") or "")
    return _said(session, event, "assistant", text, turn.get("step", ""), status) if text else session


def _crisis_detected(session: Session, event: Event) -> Session:
    # What is said in pain breaks a row of short messages; it is none of them.
    return _turn(session, event.data["turn"], crisis=True).set(low_run=0)


def _crisis_dismissed(session: Session, event: Event) -> Session:
    known = session.data
    session = _turn(session, event.data["turn"], crisis=False)
    if event.data.get("substantive"):
        return session.set(substance=[*known["substance"], known["last_message"]][-MAX_EVIDENCE:], low_run=0)
    return session.set(low_run=known["low_run"] + 1)


def _step_advanced(session: Session, event: Event) -> Session:
    data = event.data
    move = {name: data[name] for name in ("from", "to", "by")} | {
        "seq": event.seq,
        "evidence": data["evidence"][-MAX_EVIDENCE:],
    }
    if data.get("turn"):
        session = _turn(session, data["turn"], moved=True)
    moves = [*session.data["moves"], move][-MAX_MOVES:]
    return session.set(**_STEP_BEGINS, step=data["to"], moved=move, moves=moves)


def _step_contested(session: Session, event: Event) -> Session:
    moved = session.data["moved"] or {}
    chosen = None if moved.get("by") == BY_CHOICE else session.data["chosen_option"]
    return session.set(**_STEP_BEGINS, step=event.data["to"], moved=None, chosen_option=chosen)


def _belief_formed(session: Session, event: Event) -> Session:
    mine, slot = event.part(OWNER), event.data["slot"]
    if not mine.get("text"):
        return session
    believed = {"text": mine["text"], "message_id": event.data["message_id"], "quote": mine.get("quote"), "by": "model"}
    return session.put("belief", slot, believed)


def _belief_corrected(session: Session, event: Event) -> Session:
    slot, text = event.data["slot"], event.part(OWNER).get("text")
    session = session.set(corrected=sorted({*session.data["corrected"], slot}))
    if text is None:
        return session.drop("belief", slot)
    return session.put("belief", slot, {"text": text, "message_id": None, "quote": None, "by": "owner"})


def _options_offered(session: Session, event: Event) -> Session:
    for id in CARD_IDS:
        session = session.drop("card", id)
    for card in event.part(OWNER).get("cards") or ():
        session = session.put("card", card["id"], card)
    return session.set(version=event.data["version"])


def _option_added(session: Session, event: Event) -> Session:
    card = event.part(OWNER).get("card")
    return session.put("card", OWN_CARD, card) if card else session


def _option_chosen(session: Session, event: Event) -> Session:
    return session.set(chosen_option=event.data["option_id"])


def _committed(session: Session, event: Event) -> Session:
    mine = event.part(OWNER)
    names = ("first_step_action", "reminder_time", "confidence")
    changes = {name: mine.get(name) for name in names}
    if changes["reminder_time"] != session.data["reminder_time"]:
        changes["reminder_sent_at"] = None
    return session.set(**changes).put("action", PENDING, {})


def _completed(session: Session, event: Event) -> Session:
    return session.set(completed_at=to_text(event.at)).to(SessionStatus.COMPLETED)


def _abandoned(session: Session, _event: Event) -> Session:
    return session.to(SessionStatus.ABANDONED)


def _reopened(session: Session, event: Event) -> Session:
    return session.set(last_message_at=to_text(event.at)).to(SessionStatus.ACTIVE)


def _updated(session: Session, event: Event) -> Session:
    changes = {name: pair[1] for name, pair in (event.part(OWNER).get("changes") or {}).items()}
    if "tags" in changes:
        session = _tagged(session, changes.pop("tags"))
    if "reminder_time" in changes:
        changes["reminder_sent_at"] = None
    return session.set(**changes) if changes else session


def _action_completed(session: Session, event: Event) -> Session:
    session = session.drop("action", PENDING).put("action", COMPLETED, {})
    outcome = event.part(OWNER).get("outcome")
    return session.set(action_completed=True, action_completed_at=to_text(event.at), outcome=outcome)


def _action_uncompleted(session: Session, _event: Event) -> Session:
    session = session.drop("action", COMPLETED).put("action", PENDING, {})
    return session.set(action_completed=False, action_completed_at=None, outcome=None)


def _reminded(session: Session, event: Event) -> Session:
    return session.set(reminder_sent_at=to_text(event.at))


def _deleted(session: Session, _event: Event) -> Session:
    return session.to(GONE)


def title(session: Session) -> str:
    """What a list calls this session."""
    return session.data.get("title") or NEW_TITLE


_STEPS: Mapping[str, Callable[[Session, Event], Session]] = {
    EventType.CREATED: _created,
    EventType.MESSAGE_RECEIVED: _message_received,
    EventType.TURN_STARTED: _turn_started,
    EventType.TURN_COMPLETED: _turn_ended,
    EventType.TURN_CANCELLED: _turn_ended,
    EventType.TURN_FAILED: _turn_ended,
    EventType.TURN_INTERRUPTED: _turn_ended,
    EventType.CRISIS_DETECTED: _crisis_detected,
    EventType.CRISIS_DISMISSED: _crisis_dismissed,
    EventType.STEP_ADVANCED: _step_advanced,
    EventType.STEP_CONTESTED: _step_contested,
    EventType.BELIEF_FORMED: _belief_formed,
    EventType.BELIEF_CORRECTED: _belief_corrected,
    EventType.OPTIONS_OFFERED: _options_offered,
    EventType.OPTION_ADDED: _option_added,
    EventType.OPTION_CHOSEN: _option_chosen,
    EventType.COMMITTED: _committed,
    EventType.COMPLETED: _completed,
    EventType.ABANDONED: _abandoned,
    EventType.REOPENED: _reopened,
    EventType.UPDATED: _updated,
    EventType.ACTION_COMPLETED: _action_completed,
    EventType.ACTION_UNCOMPLETED: _action_uncompleted,
    EventType.REMINDED: _reminded,
    EventType.DELETED: _deleted,
}
