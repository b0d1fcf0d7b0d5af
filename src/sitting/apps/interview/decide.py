"""What follows from each command: planning, starting and ending an interview, its limits and its warnings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import errors
from ...core.event import Fact
from ...core.kind import Ask, Charge, Decision, Grant
from . import clock, judging, people, refusals, turns
from .commands import (
    Checked,
    Create,
    End,
    Expire,
    ExtendTime,
    ExtendTokens,
    MarkIntegrity,
    Pause,
    Resume,
    SessionConfig,
    SessionUpdate,
    Start,
    StartAnyway,
    Update,
    Warn,
)
from .terms import (
    CANDIDATE,
    CANDIDATES,
    DEFAULTS,
    INTERVIEWER,
    LINK_SECONDS,
    MARKS_A_MINUTE,
    SESSIONS,
    TOTAL_SECONDS,
    TOTAL_TOKENS,
    VISITOR,
    EventType,
)

_PERSONAL = ("candidate_name", "candidate_email")
_PUBLIC = ("time_limit", "token_budget", "model_name")


def decide(ask: Ask) -> Decision:
    """What follows from a command, or a refusal."""
    return _DECISIONS[ask.command.verb](ask, ask.command)


def create(ask: Ask, command: SessionConfig) -> Decision:
    """A planned interview, its interviewer, and the link for its candidate."""
    _check_bounds(ask, command)
    id = ask.uuid("session")
    expires_at = clock.ms(ask.now) + LINK_SECONDS * 1000
    data = {
        "time_limit": command.time_limit,
        "token_budget": command.token_budget,
        "model": command.model_name,
        "link_expires_at": expires_at,
    }
    planned = {
        "challenge_id": command.challenge_id,
        "challenge": _copied(ask, command.challenge_id),
        "challenge_text": command.challenge_text,
        "config": command.config,
    }
    candidate = {"candidate_name": command.candidate_name, "candidate_email": command.candidate_email}
    grants = [Grant(people.credential(ask, id, 1), VISITOR, clock.at(expires_at))]
    if ask.actor.is_user:
        grants.append(Grant(ask.actor.id, INTERVIEWER))
    fact = Fact(EventType.SESSION_CREATED, data, {CANDIDATES: candidate, SESSIONS: planned})
    return Decision((fact,), grants=tuple(grants), id=id, subject=command.challenge_id)


def _check_bounds(ask: Ask, command: SessionConfig | SessionUpdate) -> None:
    """What the operator allows, where it is narrower than the form. Python's own session may ask for less (section 4).

    Raises:
        Invalid: a limit is too small or too large.
    """
    if not isinstance(command, Create | Update):
        return
    known = ask.known["settings"]
    bounds = {
        "time_limit": (known.interview_min_time_limit, known.interview_max_time_limit, "Time limit", 60, " minutes"),
        "token_budget": (known.interview_min_token_budget, known.interview_max_token_budget, "Token budget", 1, ""),
    }
    for name in sorted(set(bounds) & command.model_fields_set):
        least, most, label, unit, word = bounds[name]
        value = getattr(command, name)
        if value < least:
            raise errors.Invalid.field(name, f"{label} must be at least {least // unit}{word}")
        if value > most:
            raise errors.Invalid.field(name, f"{label} must be at most {most // unit}{word}")


def _copied(ask: Ask, id: str | None) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = ask.known["challenge"]
    if id is not None and found is None:
        raise errors.Invalid.field("challenge_id", refusals.CHALLENGE_NOT_FOUND)
    return found


def update(ask: Ask, command: SessionUpdate) -> Decision:
    """Change what was planned; once the clock has started, only names and the free part of the configuration."""
    _check_bounds(ask, command)
    wished = {name: getattr(command, name) for name in sorted(command.model_fields_set)}
    if ask.session.state != "created":
        wished = _in_time(ask, wished)
    challenge = _copied(ask, wished.get("challenge_id"))
    current = _current(ask)
    changed = {name: value for name, value in wished.items() if value != current[name]}
    if not changed:
        return Decision()
    personal: dict[str, Any] = {}
    if mine := {name: changed[name] for name in _PERSONAL if name in changed}:
        personal[CANDIDATES] = mine
    if planned := {name: changed[name] for name in ("challenge_id", "challenge_text", "config") if name in changed}:
        personal[SESSIONS] = planned | ({"challenge": challenge} if "challenge_id" in changed else {})
    subject = changed["challenge_id"] or "" if "challenge_id" in changed else None
    data = {"fields": list(changed), **{name: changed[name] for name in _PUBLIC if name in changed}}
    return Decision((Fact(EventType.SESSION_UPDATED, data, personal),), subject=subject)


def _current(ask: Ask) -> dict[str, Any]:
    data = ask.session.data
    names = (*_PERSONAL, *_PUBLIC, "challenge_id", "config")
    text = ask.session.collection("texts").get("challenge_text", {}).get("value")
    return {**{name: data[name] for name in names}, "challenge_text": text}


def _in_time(ask: Ask, wished: dict[str, Any]) -> dict[str, Any]:
    """The changes a started interview takes.

    Raises:
        Invalid: a field comes too late, a checked key of `config` among them.
    """
    late = [name for name in wished if name not in (*_PERSONAL, "config")]
    if "config" in wished:
        present, config = ask.session.data["config"], wished["config"]
        checked = [name for name in Checked.model_fields if name in config]
        late += [f"config.{name}" for name in checked if config[name] != present.get(name, DEFAULTS[name])]
        kept = {name: value for name, value in present.items() if name in Checked.model_fields}
        free = {name: value for name, value in config.items() if name not in Checked.model_fields}
        wished = {**wished, "config": kept | free}
    if late:
        message = "cannot be changed after the session has started"
        raise errors.Invalid(fields=[{"field": name, "message": message} for name in late])
    return wished


def start(ask: Ask, command: Start) -> Decision:
    """Start the clock, if it is this one's to start."""
    allowed = ask.session.data["config"].get("start_by", DEFAULTS["start_by"])
    if not isinstance(command, StartAnyway) and allowed not in ("either", ask.role):
        raise refusals.WaitForCandidate if allowed == CANDIDATE else refusals.WaitForInterviewer
    return Decision((Fact(EventType.SESSION_STARTED, {"by": ask.role}),))


def pause(ask: Ask, command: Pause) -> Decision:
    """Stop the clock; a reply that is being written goes on."""
    data = {"by": ask.role, "active_ms": clock.active_ms(ask.session, ask.now)}
    return Decision((Fact(EventType.SESSION_PAUSED, data, _reason(ask, command.reason)),))


def resume(ask: Ask, _command: Resume) -> Decision:
    """Let the clock run on."""
    data = {"by": ask.role, "paused_ms": clock.ms(ask.now) - ask.session.data["paused"]}
    return Decision((Fact(EventType.SESSION_RESUMED, data),))


def end(ask: Ask, command: End) -> Decision:
    """End for good; a running reply is cut."""
    if ask.role == CANDIDATE:
        reason = "left"
    elif ask.role == INTERVIEWER:
        reason = "not_started" if ask.session.state == "created" else "ended"
    else:
        reason = "pause_limit"
    draft = turns.Draft(ask)
    turns.stop(draft, by="system")
    data = _totals(draft, clock.active_ms(ask.session, ask.now)) | {"reason": reason}
    draft.add(EventType.SESSION_COMPLETED, data, _reason(ask, command.reason))
    return draft.decision(grants=people.grants_at_end(ask, clock.ms(ask.now)), cancel=(turns.REPLY,))


def expire(ask: Ask, _command: Expire) -> Decision:
    """The time is up: a running reply is cut, and the end is the instant the limit was reached."""
    reached = clock.expires_at(ask.session)
    if reached is None or clock.ms(ask.now) < reached:
        raise errors.Conflict("There is time left.")
    draft = turns.Draft(ask)
    turns.stop(draft, by="system")
    data = {"expired_at": clock.text(reached), **_totals(draft, clock.limit_ms(ask.session))}
    draft.add(EventType.SESSION_EXPIRED, data)
    return draft.decision(grants=people.grants_at_end(ask, reached), cancel=(turns.REPLY,))


def _totals(draft: turns.Draft, active_ms: int) -> dict[str, int]:
    return {
        "duration": active_ms // 1000,
        "tokens_used": clock.tokens_used(draft.session),
        "message_count": draft.session.data["messages"],
    }


def _reason(ask: Ask, reason: str) -> dict[str, Any]:
    return {ask.actor.id: {"reason": reason}} if reason else {}


def warn(ask: Ask, _command: Warn) -> Decision:
    """Tell the thresholds of time that have been reached and not told."""
    draft = turns.Draft(ask)
    for threshold in clock.time_crossed(ask.session, ask.now):
        if threshold not in draft.session.data["time_warned"]:
            remaining = clock.time_remaining(ask.session, ask.now)
            draft.add(EventType.TIME_WARNING, {"threshold": threshold, "remaining": remaining})
    return draft.decision()


def extend_time(ask: Ask, command: ExtendTime) -> Decision:
    """More time, up to six hours in all."""
    total = ask.session.data["time_limit"] + command.seconds
    if total > TOTAL_SECONDS:
        raise errors.Invalid.field("seconds", f"Total time must be at most {TOTAL_SECONDS} seconds")
    data = {"seconds": command.seconds, "time_limit": total}
    return Decision((Fact(EventType.TIME_EXTENDED, data, _reason(ask, command.reason)),))


def extend_tokens(ask: Ask, command: ExtendTokens) -> Decision:
    """More tokens, up to a million in all."""
    total = ask.session.data["token_budget"] + command.tokens
    if total > TOTAL_TOKENS:
        raise errors.Invalid.field("tokens", f"Total budget must be at most {TOTAL_TOKENS} tokens")
    data = {"tokens": command.tokens, "token_budget": total}
    return Decision((Fact(EventType.TOKENS_EXTENDED, data, _reason(ask, command.reason)),))


def mark_integrity(ask: Ask, command: MarkIntegrity) -> Decision:
    """What the candidate's page noticed, where the session says that it may."""
    if not ask.session.data["config"].get("integrity_marks", DEFAULTS["integrity_marks"]):
        raise errors.NotAllowed("This interview keeps no integrity marks.")
    charge = Charge.within(f"interview.marks:{ask.session.id}", MARKS_A_MINUTE, now=ask.now)
    data = {"kind": command.kind, "chars": command.chars, "away_ms": command.away_ms}
    return Decision((Fact(EventType.INTEGRITY_MARKED, data),), charges=(charge,))


_DECISIONS: Mapping[str, Callable[[Ask, Any], Decision]] = {
    "create": create,
    "update": update,
    "start": start,
    "pause": pause,
    "resume": resume,
    "end": end,
    "expire": expire,
    "warn": warn,
    "extend_time": extend_time,
    "extend_tokens": extend_tokens,
    "mark_integrity": mark_integrity,
    "join": people.join,
    "rotate_link": people.rotate_link,
    "revoke_link": people.revoke_link,
    "add_interviewer": people.add_interviewer,
    "remove_interviewer": people.remove_interviewer,
    "send_message": turns.send,
    "retry_turn": turns.retry,
    "cancel_turn": turns.cancel,
    "record_reply": turns.record,
    "add_note": judging.add_note,
    "change_note": judging.change_note,
    "remove_note": judging.remove_note,
    "save_scores": judging.save_scores,
    "submit_scorecard": judging.submit_scorecard,
    "amend_scorecard": judging.amend_scorecard,
    "propose_evidence": judging.propose_evidence,
    "cancel_evidence": judging.cancel_evidence,
    "record_evidence": judging.record_evidence,
}
