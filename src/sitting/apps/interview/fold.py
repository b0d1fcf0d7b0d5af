"""What each event makes of an interview.

Large texts are not folded: messages are read from the journal, the challenge's text is an item of its own. Any personal
part may have been erased, so no event relies on one: figures, states and ids stand in `data`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...core.event import Event, to_text
from ...core.session import Session
from . import clock, shape
from .terms import CANDIDATES, LINK_SECONDS, MAX_DEVICES, SESSIONS, EventType

_HOUR_MS = 3_600_000
_MOST_SENT = 2000  # instants of the last hour that are kept; the folded data has 64 KiB


def fold(session: Session, event: Event) -> Session:
    """The session after one event; a type this version does not know changes nothing."""
    shape.check(event)
    step = _STEPS.get(event.type)
    return session if step is None else step(session, event)


def _created(session: Session, event: Event) -> Session:
    data, mine, said = event.data, event.part(CANDIDATES), event.part(SESSIONS)
    session = session.set(
        candidate_name=mine.get("candidate_name"),
        candidate_email=mine.get("candidate_email"),
        time_limit=data["time_limit"],
        token_budget=data["token_budget"],
        model_name=data["model"],
        challenge_id=said.get("challenge_id"),
        config=said.get("config") or {},
        start=None,
        end=None,
        paused=None,
        running=None,
        active=0,
        paused_total=0,
        input_tokens=0,
        output_tokens=0,
        reserved=0,
        messages=0,
        time_warned=[],
        token_warned=[],
        turn=None,
        failed=None,
        sent=[],
        exchanges={"count": 0, "sum": 0, "last": 0},
        interviewers=[] if event.role == "system" else [event.actor],
        link={"version": 1, "expires_at": data["link_expires_at"], "revoked": False},
        devices=0,
    )
    return _texts(session, said).to("created")


def _texts(session: Session, said: Mapping[str, Any]) -> Session:
    for name in ("challenge", "challenge_text"):
        if name in said:
            value = said[name]
            session = session.drop("texts", name) if value is None else session.put("texts", name, {"value": value})
    return session


def _updated(session: Session, event: Event) -> Session:
    fields = event.data.get("fields", ())
    mine, said = event.part(CANDIDATES), event.part(SESSIONS)
    changes: dict[str, Any] = {
        name: event.data[name] for name in ("time_limit", "token_budget", "model_name") if name in event.data
    }
    changes |= {name: mine.get(name) for name in ("candidate_name", "candidate_email") if name in fields}
    changes |= {name: said[name] for name in ("challenge_id", "config") if name in said}
    return _texts(session.set(**changes), said)


def _started(session: Session, event: Event) -> Session:
    instant = clock.ms(event.at)
    return session.set(start=instant, running=instant).to("active")


def _paused(session: Session, event: Event) -> Session:
    instant = clock.ms(event.at)
    return session.set(active=clock.active_ms(session, event.at), running=None, paused=instant).to("paused")


def _resumed(session: Session, event: Event) -> Session:
    total = clock.paused_ms(session, event.at)
    return session.set(running=clock.ms(event.at), paused=None, paused_total=total).to("active")


def _completed(session: Session, event: Event) -> Session:
    return _ended(session, clock.ms(event.at)).to("completed")


def _expired(session: Session, event: Event) -> Session:
    # The instant the limit was reached, however late the event was written.
    reached = clock.expires_at(session)
    return _ended(session, clock.ms(event.at) if reached is None else reached).to("expired")


def _ended(session: Session, instant: int) -> Session:
    end = clock.at(instant)
    link = dict(session.data["link"])
    if not link["revoked"] and link["expires_at"] > instant:
        link["expires_at"] = max(link["expires_at"], instant + LINK_SECONDS * 1000)
    return session.set(
        end=instant,
        active=clock.active_ms(session, end),
        paused_total=clock.paused_ms(session, end),
        running=None,
        paused=None,
        failed=None,
        link=link,
    )


def _time_extended(session: Session, event: Event) -> Session:
    session = session.set(time_limit=event.data["time_limit"])
    reached = clock.time_crossed(session, event.at)
    return session.set(time_warned=[threshold for threshold in session.data["time_warned"] if threshold in reached])


def _tokens_extended(session: Session, event: Event) -> Session:
    session = session.set(token_budget=event.data["token_budget"])
    reached = clock.tokens_crossed(session)
    return session.set(token_warned=[threshold for threshold in session.data["token_warned"] if threshold in reached])


def _time_warning(session: Session, event: Event) -> Session:
    return session.set(time_warned=[*session.data["time_warned"], event.data["threshold"]])


def _token_warning(session: Session, event: Event) -> Session:
    return session.set(token_warned=[*session.data["token_warned"], event.data["threshold"]])


def _message_sent(session: Session, event: Event) -> Session:
    session = session.set(messages=session.data["messages"] + 1)
    return _turn_began(session, event, event.seq)


def _turn_retried(session: Session, event: Event) -> Session:
    return _turn_began(session, event, event.data["seq"])


def _turn_began(session: Session, event: Event, seq: int) -> Session:
    data, now = event.data, clock.ms(event.at)
    turn = {"id": data["turn"], "seq": seq, **{name: data[name] for name in ("message", "prompt_tokens", "reserved")}}
    return session.set(
        turn=turn,
        failed=None,
        reserved=session.data["reserved"] + data["reserved"],
        sent=[*(sent for sent in session.data["sent"] if sent > now - _HOUR_MS), now][-_MOST_SENT:],
    )


def _turn_ended(session: Session, event: Event) -> Session:
    data, turn = event.data, session.data["turn"] or {}
    exchanges = dict(session.data["exchanges"])
    if data["charged"]:
        exchanges = {
            "count": exchanges["count"] + 1,
            "sum": exchanges["sum"] + data["charged"],
            "last": data["charged"],
        }
    failed = event.type == EventType.TURN_FAILED
    return session.set(
        turn=None,
        failed={"turn": data["turn"], "message": turn.get("message"), "seq": turn.get("seq")} if failed else None,
        reserved=session.data["reserved"] - turn.get("reserved", 0),
        input_tokens=session.data["input_tokens"] + data["input_tokens"],
        output_tokens=session.data["output_tokens"] + data["output_tokens"],
        # A reply cut before its first token is no message.
        messages=session.data["messages"] + int(not failed and data["output_tokens"] > 0),
        exchanges=exchanges,
    )


def _joined(session: Session, event: Event) -> Session:
    device = event.data["device"]
    session = session.put("devices", str(device), {"actor": event.actor, "joined_at": to_text(event.at)})
    for oldest in sorted(map(int, session.collection("devices")))[:-MAX_DEVICES]:
        session = session.drop("devices", str(oldest))
    return session.set(devices=device)


def _without_devices(session: Session) -> Session:
    for device in session.collection("devices"):
        session = session.drop("devices", device)
    return session


def _link_rotated(session: Session, event: Event) -> Session:
    link = {"version": event.data["version"], "expires_at": event.data["expires_at"], "revoked": False}
    return _without_devices(session.set(link=link))


def _link_revoked(session: Session, event: Event) -> Session:
    return _without_devices(session.set(link={**session.data["link"], "revoked": True}))


def _interviewer_added(session: Session, event: Event) -> Session:
    return session.set(interviewers=[*session.data["interviewers"], event.data["actor"]])


def _interviewer_removed(session: Session, event: Event) -> Session:
    return session.set(interviewers=[each for each in session.data["interviewers"] if each != event.data["actor"]])


def _note_kept(session: Session, event: Event) -> Session:
    id, at = event.data["note_id"], to_text(event.at)
    before = session.collection("notes").get(id, {})
    note = {
        "owner": event.actor,
        "text": event.part(event.actor).get("text"),
        "at_seq": event.data["at_seq"],
        "created_at": before.get("created_at", at),
        "updated_at": at,
    }
    return session.put("notes", id, note)


def _note_removed(session: Session, event: Event) -> Session:
    return session.drop("notes", event.data["note_id"])


_BLANK: dict[str, Any] = {"scores": [], "summary": "", "submitted_at": None, "amended_at": None, "reason": None}


def _card(session: Session, event: Event) -> dict[str, Any]:
    return {**_BLANK, **session.collection("scorecards").get(event.actor, {})}


def _written(event: Event) -> dict[str, Any]:
    """What an interviewer wrote, with the quotes, which are the candidate's, put back in their places."""
    mine, quotes = event.part(event.actor), event.part(CANDIDATES).get("quotes", [])
    scores = []
    for place, score in enumerate(mine.get("scores", [])):
        found = quotes[place] if place < len(quotes) else []
        cited = [
            {**citation, "quote": found[index] if index < len(found) else None}
            for index, citation in enumerate(score["citations"])
        ]
        scores.append({**score, "citations": cited})
    return {"scores": scores, "summary": mine.get("summary", "")}


def _scores_saved(session: Session, event: Event) -> Session:
    return session.put("scorecards", event.actor, {**_card(session, event), **_written(event)})


def _card_submitted(session: Session, event: Event) -> Session:
    return session.put("scorecards", event.actor, {**_card(session, event), "submitted_at": to_text(event.at)})


def _card_amended(session: Session, event: Event) -> Session:
    amended = {"amended_at": to_text(event.at), "reason": event.part(event.actor).get("reason")}
    return session.put("scorecards", event.actor, {**_card(session, event), **_written(event), **amended})


def _evidence_requested(session: Session, event: Event) -> Session:
    owner, criterion = event.data["for"], event.part(event.data["for"]).get("criterion")
    for job, proposal in session.collection("proposals").items():
        if (proposal["owner"], proposal["criterion"]) == (owner, criterion):
            session = session.drop("proposals", job)
    proposal = {"owner": owner, "criterion": criterion, "state": "running", "reason": None, "items": []}
    return session.put("proposals", event.data["job"], proposal)


def _evidence_ended(session: Session, event: Event) -> Session:
    proposal = session.collection("proposals").get(event.data["job"])
    if proposal is None:
        return session
    if event.type == EventType.EVIDENCE_FAILED:
        ended = {"state": "failed", "reason": event.data["reason"]}
    else:
        ended = {"state": "proposed", "items": event.part(CANDIDATES).get("items", [])}
    return session.put("proposals", event.data["job"], {**proposal, **ended})


_STEPS: Mapping[str, Callable[[Session, Event], Session]] = {
    EventType.SESSION_CREATED: _created,
    EventType.SESSION_UPDATED: _updated,
    EventType.SESSION_STARTED: _started,
    EventType.SESSION_PAUSED: _paused,
    EventType.SESSION_RESUMED: _resumed,
    EventType.SESSION_COMPLETED: _completed,
    EventType.SESSION_EXPIRED: _expired,
    EventType.TIME_EXTENDED: _time_extended,
    EventType.TOKENS_EXTENDED: _tokens_extended,
    EventType.TIME_WARNING: _time_warning,
    EventType.TOKEN_WARNING: _token_warning,
    EventType.MESSAGE_SENT: _message_sent,
    EventType.TURN_RETRIED: _turn_retried,
    EventType.MESSAGE_RECEIVED: _turn_ended,
    EventType.TURN_CANCELLED: _turn_ended,
    EventType.TURN_FAILED: _turn_ended,
    EventType.CANDIDATE_JOINED: _joined,
    EventType.LINK_ROTATED: _link_rotated,
    EventType.LINK_REVOKED: _link_revoked,
    EventType.INTERVIEWER_ADDED: _interviewer_added,
    EventType.INTERVIEWER_REMOVED: _interviewer_removed,
    EventType.NOTE_ADDED: _note_kept,
    EventType.NOTE_CHANGED: _note_kept,
    EventType.NOTE_REMOVED: _note_removed,
    EventType.SCORES_SAVED: _scores_saved,
    EventType.SCORECARD_SUBMITTED: _card_submitted,
    EventType.SCORECARD_AMENDED: _card_amended,
    EventType.EVIDENCE_REQUESTED: _evidence_requested,
    EventType.EVIDENCE_PROPOSED: _evidence_ended,
    EventType.EVIDENCE_FAILED: _evidence_ended,
}
