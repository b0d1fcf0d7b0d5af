"""Who sees what of an interview. What is not shown here is shown nowhere: pages, JSON, streams and exports ask here.

Audiences: `interviewer:<actor id>` (each has notes and a scorecard of their own), `candidate`, and `visitor`, who holds
the link but has not joined and sees nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...core.actor import MEMBER, SYSTEM, Actor
from ...core.event import Event, to_text
from ...core.kind import Final
from ...core.session import Session
from . import clock, refusals
from .people import join_code as join_code
from .people import link_credential as link_credential
from .people import link_of as link_of
from .terms import CANDIDATE, CANDIDATES, DEFAULTS, FINAL, INTERVIEWER, VISITOR, EventType

_CHALLENGE_SHOWN = ("title", "description", "category", "difficulty", "instructions", "starter_code", "tags")


def audience(session: Session, actor: Actor, role: str) -> str:
    """Who sees the same. A role this file does not know sees nothing."""
    if role in (INTERVIEWER, SYSTEM):
        return f"{INTERVIEWER}:{actor.id}"
    return CANDIDATE if role == CANDIDATE else VISITOR


def actor_of(audience: str) -> str | None:
    """The interviewer an audience is, or None."""
    kind, _, actor = audience.partition(":")
    return actor if kind == INTERVIEWER else None


def setting(session: Session, key: str) -> Any:
    """One checked key of the session's `config`, or its default."""
    return session.data["config"].get(key, DEFAULTS[key])


def view(session: Session, audience: str, now: datetime) -> dict[str, Any]:
    """The session as one audience sees it. `join_url` is the edge's to fill in: it knows the key and the address."""
    if audience == VISITOR or not session.data:
        return {"as_of": session.position}
    if audience == CANDIDATE:
        return _for_candidate(session, now)
    data, link = session.data, link_of(session)
    return {
        "id": session.id,
        "candidate_name": data["candidate_name"],
        "candidate_email": data["candidate_email"],
        "time_limit": data["time_limit"],
        "token_budget": data["token_budget"],
        "model_name": data["model_name"],
        **_figures(session, now),
        "challenge_id": data["challenge_id"],
        "challenge_text": _text(session, "challenge_text"),
        "config": data["config"],
        "interviewers": list(data["interviewers"]),
        "join_url": None,
        "link_expires_at": None if link.revoked else to_text(link.expires_at),
        "created_at": _stamp(session.created_at),
        "updated_at": _stamp(session.updated_at),
        "as_of": session.position,
    }


def _figures(session: Session, now: datetime) -> dict[str, Any]:
    data = session.data
    return {
        "status": session.state,
        "start_time": clock.text(data["start"]),
        "end_time": clock.text(data["end"]),
        "paused_at": clock.text(data["paused"]),
        "total_paused_duration": data["paused_total"] // 1000,
        "tokens_used": clock.tokens_used(session),
        "input_tokens": data["input_tokens"],
        "output_tokens": data["output_tokens"],
        "tokens_reserved": data["reserved"],
        "tokens_remaining": clock.tokens_left(session),
        "message_count": data["messages"],
        "time_remaining": clock.time_remaining(session, now),
    }


def _for_candidate(session: Session, now: datetime) -> dict[str, Any]:
    return {
        "id": session.id,
        "time_limit": session.data["time_limit"],
        "token_budget": session.data["token_budget"],
        **_figures(session, now),
        "challenge": challenge(session, CANDIDATE),
        "as_of": session.position,
    }


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else to_text(at)


def _text(session: Session, name: str) -> Any:
    return session.collection("texts").get(name, {}).get("value")


def challenge(session: Session, audience: str) -> dict[str, Any] | None:
    """The challenge: whole for interviewers; for the candidate from `active` on, without hints and test cases."""
    if audience == VISITOR or (audience == CANDIDATE and session.data["start"] is None):
        return None
    copied = _text(session, "challenge")
    if copied is not None and audience == CANDIDATE:
        copied = {name: copied[name] for name in _CHALLENGE_SHOWN if name in copied}
    return {
        "challenge_id": session.data["challenge_id"],
        "challenge": copied,
        "challenge_text": _text(session, "challenge_text"),
    }


def status(session: Session, now: datetime) -> dict[str, Any]:
    """What the candidate's page asks for again and again."""
    reason = _cannot_send(session, now)
    turn = session.data["turn"]
    return {
        "status": session.state,
        "time_remaining": clock.time_remaining(session, now),
        "time_limit": session.data["time_limit"],
        "tokens_remaining": clock.tokens_left(session),
        "token_budget": session.data["token_budget"],
        "levels": clock.levels(session, now),
        "estimated_queries_left": clock.estimated_queries_left(session),
        "message_count": session.data["messages"],
        "can_send": reason is None,
        "reason": reason,
        "turn": None if turn is None else turn["id"],
        "server_time": to_text(now),
        "as_of": session.position,
    }


def _cannot_send(session: Session, now: datetime) -> str | None:
    refusal = refusals.not_now(session.state)
    if refusal is not None:
        return refusal.message
    if clock.remaining_ms(session, now) == 0:
        return refusals.TimeExpired().message
    if session.data["turn"] is not None:
        return refusals.TurnActive().message
    return None if clock.tokens_left(session) else refusals.exhausted().message


def remaining(session: Session, now: datetime) -> dict[str, Any]:
    """Both limits at a glance."""
    return {
        "time_remaining": clock.time_remaining(session, now),
        "time_limit": session.data["time_limit"],
        "active_ms": clock.active_ms(session, now),
        "paused_ms": clock.paused_ms(session, now),
        "tokens_remaining": clock.tokens_left(session),
        "tokens_reserved": session.data["reserved"],
        "levels": clock.levels(session, now),
        "as_of": session.position,
    }


def notes(session: Session, actor: str) -> list[dict[str, Any]]:
    """One interviewer's own notes, oldest first."""
    own = [
        {"id": id, **{name: note[name] for name in ("text", "at_seq", "created_at", "updated_at")}}
        for id, note in session.collection("notes").items()
        if note["owner"] == actor
    ]
    return sorted(own, key=lambda note: (note["created_at"], note["id"]))


def scorecards(session: Session, actor: str) -> dict[str, Any]:
    """The own card; the others' once the own one is submitted, before that only how many there are."""
    cards = session.collection("scorecards")
    own = cards.get(actor)
    submitted = {other: card for other, card in cards.items() if other != actor and card["submitted_at"]}
    others = [{"interviewer": other, **card} for other, card in sorted(submitted.items())]
    open_to_see = own is not None and bool(own["submitted_at"])
    return {
        "own": None if own is None else {"interviewer": actor, **own},
        "others": others if open_to_see else [],
        "hidden": 0 if open_to_see else len(others),
    }


def proposals(session: Session, actor: str) -> list[dict[str, Any]]:
    """The passages the model named for one interviewer."""
    return [
        {"job": job, **{name: value for name, value in proposal.items() if name != "owner"}}
        for job, proposal in session.collection("proposals").items()
        if proposal["owner"] == actor
    ]


def closed(session: Session, audience: str) -> bool:
    """For a candidate the end is the end; interviewers go on with notes and scores."""
    return session.state in FINAL and actor_of(audience) is None


# What each type says: the keys of its public data, and what of them comes from personal parts.
_PLAIN: Mapping[str, tuple[str, ...]] = {
    EventType.SESSION_CREATED: ("time_limit", "token_budget", "model"),
    EventType.SESSION_STARTED: ("by",),
    EventType.SESSION_RESUMED: ("by", "paused_ms"),
    EventType.SESSION_COMPLETED: ("duration", "tokens_used", "message_count", "reason"),
    EventType.SESSION_EXPIRED: ("expired_at", "duration", "tokens_used", "message_count"),
    EventType.TURN_RETRIED: ("turn", "of", "prompt_tokens", "reserved"),
    EventType.TIME_WARNING: ("threshold", "remaining"),
    EventType.TOKEN_WARNING: ("threshold", "remaining"),
}
_REASONED: Mapping[str, tuple[str, ...]] = {
    EventType.SESSION_PAUSED: ("by", "active_ms"),
    EventType.TIME_EXTENDED: ("seconds", "time_limit"),
    EventType.TOKENS_EXTENDED: ("tokens", "token_budget"),
}
_SPOKEN: Mapping[str, tuple[str, ...]] = {
    EventType.MESSAGE_SENT: ("message", "turn", "tokens", "prompt_tokens", "reserved", "prompt_from_seq"),
    EventType.MESSAGE_RECEIVED: (
        *("message", "turn", "model", "input_tokens", "output_tokens"),
        *("charged", "overrun", "first_token_ms", "duration_ms"),
    ),
    EventType.TURN_CANCELLED: ("turn", "by", "charged", "mark"),
    EventType.TURN_FAILED: ("turn", "reason", "charged", "mark"),
}
_INTERVIEWERS: Mapping[str, tuple[str, ...]] = {
    EventType.CANDIDATE_JOINED: ("device", "notice_version"),
    EventType.SESSION_UPDATED: ("fields",),
    EventType.LINK_ROTATED: ("version",),
    EventType.LINK_REVOKED: ("version",),
    EventType.INTERVIEWER_ADDED: ("actor",),
    EventType.INTERVIEWER_REMOVED: ("actor",),
    EventType.INTEGRITY_MARKED: ("kind", "chars", "away_ms"),
    EventType.SCORECARD_SUBMITTED: ("scores",),
    EventType.SCORECARD_AMENDED: ("scores",),
}
_OWN: Mapping[str, tuple[str, ...]] = {
    EventType.NOTE_ADDED: ("note_id", "at_seq"),
    EventType.NOTE_CHANGED: ("note_id", "at_seq"),
    EventType.NOTE_REMOVED: ("note_id",),
    EventType.SCORES_SAVED: ("scores",),
    EventType.EVIDENCE_REQUESTED: ("job",),
    EventType.EVIDENCE_PROPOSED: ("job", "items"),
    EventType.EVIDENCE_FAILED: ("job", "reason"),
}


def tell(event: Event, audience: str) -> dict[str, Any] | None:
    """One event as one audience is told it; None where only the position moves."""
    data = _told(event, audience)
    if data is None:
        return None
    return {
        "seq": event.seq,
        "type": event.type,
        "ts": to_text(event.at),
        # Whoever opens an interview does so as a member of the space, and is its interviewer from then on.
        "actor": {"role": INTERVIEWER if event.role == MEMBER else event.role},
        "description": event.type.replace("_", " ").capitalize(),
        "data": data,
    }


def _told(event: Event, audience: str) -> dict[str, Any] | None:
    if audience == VISITOR:
        return None
    if event.type in _PLAIN:
        return _pick(event, _PLAIN[event.type])
    if event.type in _REASONED:
        return _pick(event, _REASONED[event.type]) | {"reason": reason_of(event)}
    if event.type in _SPOKEN:
        return _pick(event, _SPOKEN[event.type]) | {"content": event.part(CANDIDATES).get("content")}
    actor = actor_of(audience)
    if actor is None:
        return None
    if event.type in _INTERVIEWERS:
        return _pick(event, _INTERVIEWERS[event.type])
    if event.type in _OWN and event.data.get("for", event.actor) == actor:
        return _pick(event, _OWN[event.type])
    return None


def exports(session: Session, audience: str) -> bool:
    """Interviewers at any time; the candidate after the end, where the interview allows it."""
    if actor_of(audience) is not None:
        return True
    ended = session.state in ("completed", "expired")
    return audience == CANDIDATE and ended and bool(setting(session, "candidate_copy"))


def parts(event: Event, audience: str) -> Collection[str]:
    """Whose personal content of an event this audience may take along in an export."""
    actor = actor_of(audience)
    if _told(event, audience) is None:
        return ()
    if event.type in _SPOKEN:
        return (CANDIDATES,)
    if event.type in _REASONED:
        return (event.actor,)
    if actor is None or (event.type == EventType.SCORECARD_AMENDED and event.actor != actor):
        return ()
    return tuple(event.personal)


def _pick(event: Event, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: event.data.get(name) for name in names}


def reason_of(event: Event) -> str:
    """The reason somebody gave, empty when none was given or it was erased."""
    return str(event.part(event.actor).get("reason", ""))


def final(event: Event) -> Final | None:
    """How a reply ended, and its whole text."""
    match event.type:
        case EventType.MESSAGE_RECEIVED:
            outcome = "completed"
        case EventType.TURN_CANCELLED:
            outcome = "cancelled"
        case EventType.TURN_FAILED:
            outcome = "interrupted" if event.data["reason"] == "interrupted" else "failed"
        case _:
            return None
    return Final(event.data["turn"], outcome, event.part(CANDIDATES).get("content") or "")


def title(session: Session) -> str:
    """What a list calls this interview."""
    return session.data.get("candidate_name") or "Interview"


def search(session: Session) -> str:
    """What a list is searched in."""
    copied = _text(session, "challenge") or {}
    words = (session.data.get("candidate_name"), session.data.get("candidate_email"), copied.get("title"))
    return " ".join(word for word in words if word)


def meters(session: Session, audience: str, now: datetime) -> Sequence[Mapping[str, Any]]:
    """Time and tokens for the generic pages."""
    if audience == VISITOR or not session.data:
        return ()
    levels, seconds, tokens = clock.levels(session, now), clock.time_remaining(session, now), clock.tokens_left(session)
    limit, budget = session.data["time_limit"], session.data["token_budget"]
    return (
        {
            "name": "time",
            "label": "Time left",
            "value": seconds,
            "max": limit,
            "level": levels["time"],
            "text": f"{seconds // 60:02d}:{seconds % 60:02d} of {limit // 60:02d}:{limit % 60:02d}",
        },
        {
            "name": "tokens",
            "label": "Tokens left",
            "value": tokens,
            "max": budget,
            "level": levels["tokens"],
            "text": f"{tokens:,} of {budget:,}",
        },
    )


def needs(session: Session, audience: str) -> str | None:
    """What the session waits for from this audience."""
    actor = actor_of(audience)
    if actor is None:
        return None
    if session.state == "created":
        return "Send the link, and start when the candidate is ready."
    if session.state == "paused":
        return "The interview is paused."
    if session.state in FINAL and not (session.collection("scorecards").get(actor) or {}).get("submitted_at"):
        return "Submit your scorecard."
    return None
