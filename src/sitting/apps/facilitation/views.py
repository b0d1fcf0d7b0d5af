"""Who sees what of a facilitation. What is not shown here is shown nowhere: pages, JSON, streams and exports ask here.

Audiences: `preparing` and `facilitator` (the same people before and after capture is closed), `claim:<n>` (a device
that holds a name), `projector` (the big screen, which shows what a participant may see), and `visitor`. What follows
them in an anonymous session is which times they are told (terms.py).

Others' cards, points and their length, and all that a synthesis says, are withheld from everybody while capture is
open, from everybody but the facilitators until the reveal. The withheld is null, never empty, so its amount is hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...core.actor import SYSTEM, Actor
from ...core.event import Event, from_text, to_text
from ...core.kind import Final
from ...core.session import Session
from . import grouping as floor
from . import people, responses, terms
from .lifecycle import LIFECYCLE
from .team_views import active_members, open_actions, text
from .terms import (
    ANALYZING_TEXT,
    ANONYMOUS,
    CAPTURING,
    CLAIM,
    CLOSED,
    COMPLETE,
    DRAFT,
    FACILITATOR,
    FAILED,
    GENERATING,
    INSUFFICIENT,
    NAMED,
    PARTICIPANT,
    PENDING,
    PREPARING,
    PROJECTOR,
    READY_TEXT,
    REVEALED,
    SYNTHESIS,
    VISITOR,
)

_STAFF = (FACILITATOR, PREPARING)


def audience(session: Session, actor: Actor, role: str) -> str:
    """Who sees the same, and is told the same times. A role this file does not know sees nothing."""
    found = _viewer(session, actor, role)
    if found == VISITOR or session.data.get("anonymity") != ANONYMOUS:
        return found
    return found + (terms.TIMELESS if session.state in terms.AFTER_CAPTURE else terms.DATED)


def _viewer(session: Session, actor: Actor, role: str) -> str:
    if actor.id == people.PROJECTOR_ID:
        return PROJECTOR
    if role in (FACILITATOR, SYSTEM):
        return FACILITATOR if session.state in terms.AFTER_CAPTURE else PREPARING
    held = responses.claim_of(session, actor.id) if role == PARTICIPANT else None
    return f"{CLAIM}:{held[1]['claim']}" if held is not None else VISITOR


def viewer(audience: str) -> str:
    """Who an audience is, whatever times it is told."""
    return audience.removesuffix(terms.TIMELESS).removesuffix(terms.DATED)


def claim_number(audience: str) -> int | None:
    """The claim an audience is, or None."""
    kind, _, number = viewer(audience).partition(":")
    return int(number) if kind == CLAIM else None


def sees_content(session: Session, audience: str) -> bool:
    """Whether others' responses and the synthesis are shown to this audience now."""
    if session.state == REVEALED:
        return audience != VISITOR
    return session.state == CLOSED and viewer(audience) == FACILITATOR


def sees_names(session: Session, audience: str) -> bool:
    """Whether names stand beside responses for this audience."""
    level = session.data["anonymity"]
    return bool(level == NAMED or (level != ANONYMOUS and viewer(audience) in _STAFF))


def view(session: Session, audience: str, now: datetime) -> dict[str, Any]:
    """The session as one audience sees it, without what the team adds."""
    if not session.data:
        return {"as_of": session.position}
    if viewer(audience) in _STAFF:
        return panel(session, None, now, preview=False)
    return lobby(session) if audience == VISITOR else room(session, audience, now)


def roster(session: Session, team: Session | None) -> list[dict[str, Any]]:
    """Who takes part, by id; in draft the team's active members."""
    if session.state == DRAFT:
        return active_members(team) if team is not None else []
    found = sorted(session.collection("roster").values(), key=lambda each: int(each["id"]))
    return [{"id": each["id"], "name": each["name"]} for each in found]


def _has_submitted(session: Session, member: int) -> bool:
    return str(member) in session.collection("responses")


def members(session: Session, team: Session | None) -> list[dict[str, Any]]:
    """Who takes part, and who has submitted."""
    return [{**each, "submitted": _has_submitted(session, each["id"])} for each in roster(session, team)]


def missing(session: Session, team: Session | None) -> list[str]:
    """The names of those who have not submitted."""
    return [each["name"] for each in members(session, team) if not each["submitted"]]


def _counts(session: Session, team: Session | None) -> dict[str, int]:
    people = members(session, team)
    return {"total_members": len(people), "submitted_count": sum(each["submitted"] for each in people)}


def status(session: Session, team: Session | None) -> dict[str, Any]:
    """The documented status."""
    return {
        "session_id": session.id,
        "state": session.state,
        **_counts(session, team),
        "members": members(session, team),
    }


def list_item(session: Session, team: Session | None) -> dict[str, Any]:
    """One line of a team's history."""
    return {
        "session_id": session.id,
        "month": session.data["month"],
        "state": session.state,
        **_counts(session, team),
        "gap_type": responses.piece(session, "type").get("gap_type") if session.state == REVEALED else None,
        "recalibration_completed": session.data["recalibration"]["completed"],
    }


def session_item(session: Session, team: Session | None) -> dict[str, Any]:
    """One line of a list over several teams."""
    if session.data["recalibration"]["completed"]:
        action_state = "Action Done"
    else:
        action_state = "Action Set" if notes(session)["recalibration_action"] else ""
    name = text(team, "team_name") if team is not None else None
    return list_item(session, team) | {
        "team_id": session.data["team_id"],
        "team_name": name,
        "action_state": action_state,
    }


def notes(session: Session) -> dict[str, str]:
    """What the facilitator has written down."""
    kept = session.collection("texts").get("notes", {})
    return {name: kept.get(name, "") for name in ("facilitator_notes", "recalibration_action")}


def panel(session: Session, team: Session | None, now: datetime, *, preview: bool = True) -> dict[str, Any]:
    """The session for its facilitators. Between close and reveal only the panel itself holds the preview."""
    audience = FACILITATOR if preview or session.state != CLOSED else PREPARING
    held = session.collection("claims")
    people = [{**each, "claimed": str(each["id"]) in held} for each in members(session, team)]
    return {
        "session_id": session.id,
        "team_id": session.data["team_id"],
        "month": session.data["month"],
        "state": session.state,
        "as_of": session.position,
        "created_at": to_text(session.created_at) if session.created_at else None,
        **{name: session.data[name] for name in ("started_at", "closed_at", "revealed_at", "anonymity")},
        "settings": dict(session.data["settings"]),
        "timer": timer(session, now),
        **_counts(session, team),
        "members": people,
        "seal": sealed(session),
        "synthesis": synthesis(session, audience),
        "responses": shown_responses(session, audience),
        **notes(session),
        "recalibration_completed": session.data["recalibration"]["completed"],
        "open_actions": _open_actions(session, team),
        "allowed": allowed(session),
    }


def _open_actions(session: Session, team: Session | None) -> list[dict[str, Any]]:
    """What is open now; without the team, what was open at the start."""
    if team is not None:
        return open_actions(team)
    roster, carried = session.collection("roster"), session.collection("texts").get("carried_actions", {})
    shown = []
    for each in carried.get("items", ()):
        member = roster.get(str(each["owner"]["id"])) if each["owner"] else None
        shown.append({**each, "owner": {"id": member["id"], "name": member["name"]} if member else None})
    return shown


def allowed(session: Session) -> list[str]:
    """The verbs that would do something now, the way forward first."""
    present, enough = session.data["synthesis"]["status"], len(responses.present(session)) >= terms.LEAST_RESPONSES
    running = present == GENERATING
    wanted = {
        "synthesize": enough and not running and present != COMPLETE,
        "retry_synthesis": enough and not running,
        "cancel_synthesis": running,
        "clear": bool(session.collection("responses")),
        "release": bool(session.collection("claims")),
        "raise_anonymity": session.data["anonymity"] != ANONYMOUS,
    }
    open_now = [move.verb for move in LIFECYCLE.open(session.state, FACILITATOR)]
    return [verb for verb in open_now if verb != "erase" and wanted.get(verb, True)]


def timer(session: Session, now: datetime) -> dict[str, Any] | None:
    """The deadline, if there is one."""
    held = session.data["timer"]
    if held is None:
        return None
    told = {name: held[name] for name in ("ends_at", "close_at_end")}
    return {**told, "seconds_left": seconds_left(session, now)}


def seconds_left(session: Session, now: datetime) -> int | None:
    """Whole seconds to the deadline, rounded up; 0 once it has passed."""
    held = session.data["timer"]
    if held is None:
        return None
    left = (from_text(held["ends_at"]) - now).total_seconds()
    return max(0, int(-(-left // 1)))


def sealed(session: Session) -> dict[str, Any] | None:
    """The seal, and whether what is there is what was sealed."""
    seal = session.data["seal"]
    if seal is None:
        return None
    leaves = responses.leaves(session)
    return {**{name: seal[name] for name in ("algorithm", "count", "digest")}, "leaves": leaves} | {
        "matches": responses.matches(session)
    }


def seal_line(session: Session) -> str:
    """The seal in a sentence, once everything is shown."""
    seal = sealed(session)
    if seal is None or session.state != REVEALED:
        return ""
    erased = sum(each["erased"] for each in session.collection("responses").values())
    verdict = "digest matches" if seal["matches"] else "digest does not match"
    line = f"{seal['count']} sealed, {len(responses.present(session))} shown, {verdict}"
    if not erased:
        return line
    return f"{line}. {erased} {'response was' if erased == 1 else 'responses were'} erased later on request."


def synthesis_status(session: Session) -> dict[str, Any]:
    """How the synthesis stands; read from its own field, never from a text."""
    held = session.data["synthesis"]
    if held["status"] == FAILED:
        message: str | None = terms.NO_MODEL_TEXT if held["reason"] == "no_model" else terms.FAILED_TEXT
    else:
        message = terms.INSUFFICIENT_TEXT if held["status"] == INSUFFICIENT else None
    return {"status": held["status"], "has_error": held["status"] == FAILED, "error_message": message}


def progress(session: Session) -> dict[str, str]:
    """How the synthesis stands, for people."""
    held = synthesis_status(session)
    said = {PENDING: "", GENERATING: ANALYZING_TEXT, COMPLETE: READY_TEXT}
    return {"status": held["status"], "message": said.get(held["status"]) or held["error_message"] or ""}


def _pieces(session: Session, name: str) -> list[Mapping[str, Any]]:
    """The numbered pieces of one kind that are still there, in order."""
    return [found for place in range(1, 7) if (found := responses.piece(session, f"{name}{place}"))]


def synthesis(session: Session, audience: str) -> dict[str, Any]:
    """What the model made of it, where this audience may see it."""
    shown = {**synthesis_status(session), "themes": None, "statements": None, "gap_type": None}
    shown |= {"gap_reasoning": None, "suggested_recalibrations": None}
    if not sees_content(session, audience) or SYNTHESIS not in session.collection("texts"):
        return shown
    named = responses.labelled(session)
    statements = [
        {
            **{name: each[name] for name in ("name", "statement")},
            "responses": list(each["responses"]),
            "participants": _participants(session, audience, each["responses"], named),
        }
        for each in _pieces(session, "statement")
    ]
    return shown | {
        "themes": responses.piece(session, "themes").get("text"),
        "statements": statements,
        "gap_type": responses.piece(session, "type").get("gap_type"),
        "gap_reasoning": responses.piece(session, "gap").get("text"),
        "suggested_recalibrations": [each["text"] for each in _pieces(session, "action")],
    }


def _participants(session: Session, audience: str, labels: list[str], named: Mapping[str, int]) -> list[str]:
    authors = [_author(session, audience, named[label]) for label in labels if label in named]
    return [author["name"] for author in authors if author is not None]


def _author(session: Session, audience: str, member: int) -> dict[str, Any] | None:
    """The name beside a response, where it may stand there."""
    if not sees_names(session, audience) and not session.collection("responses")[str(member)]["authored"]:
        return None
    held = session.collection("roster").get(str(member))
    return {"id": member, "name": held["name"]} if held else None


def shown_responses(session: Session, audience: str) -> list[dict[str, Any]] | None:
    """Every response in the order of the labels, or None where they are withheld. Salts are for the reveal."""
    if not sees_content(session, audience):
        return None
    return [
        {
            "response": label,
            "member": _author(session, audience, member),
            **_content(session.collection("responses")[str(member)], salt=session.state == REVEALED),
        }
        for label, member in responses.labelled(session).items()
    ]


def _content(response: Mapping[str, Any], *, salt: bool) -> dict[str, Any]:
    return {
        "card": response["card"],
        "bullets": list(response["bullets"]),
        "leaf": response["leaf"],
        "salt": response["salt"] if salt else None,
    }


def grouping(session: Session, audience: str) -> dict[str, Any] | None:
    """The responses grouped without a model, where they may be seen."""
    shown = shown_responses(session, audience)
    return None if shown is None else floor.remembered(session, ((each["response"], each["bullets"]) for each in shown))


def room(session: Session, audience: str, now: datetime, team: Session | None = None) -> dict[str, Any]:
    """The session for those who sit in it: a participant, or all of them before the big screen."""
    revealed = session.state == REVEALED
    own = own_response(session, audience)
    prompts = session.collection("texts").get("prompts")
    return {
        "session_id": session.id,
        "team_name": text(team, "team_name") if team is not None else None,
        "month": session.data["month"],
        "state": session.state,
        "as_of": session.position,
        "prompts": dict(prompts) if prompts else None,
        **_counts(session, team),
        "members": members(session, team),
        "timer": timer(session, now),
        "seal": sealed(session),
        "synthesis": synthesis(session, audience),
        "responses": shown_responses(session, audience),
        "recalibration_action": notes(session)["recalibration_action"] if revealed else None,
        "recalibration_completed": session.data["recalibration"]["completed"],
        "anonymity": session.data["anonymity"],
        "card_required": session.data["settings"]["card_required"],
        "open_actions": _open_actions(session, team),
        "me": me(session, audience),
        "can_edit": can_edit(session, audience),
        "my_response": own,
        "can_claim_authorship": bool(revealed and own and session.data["anonymity"] != NAMED and not own["authored"]),
    }


def can_edit(session: Session, audience: str) -> bool:
    """Whether this device may hand in a response now."""
    return session.state == CAPTURING and me(session, audience) is not None


def me(session: Session, audience: str) -> dict[str, Any] | None:
    """The name this device holds."""
    number = claim_number(audience)
    for key, held in session.collection("claims").items():
        member = session.collection("roster").get(key)
        if held["claim"] == number and member is not None:
            return {"id": member["id"], "name": member["name"]}
    return None


def own_response(session: Session, audience: str) -> dict[str, Any] | None:
    """What was handed in under this very claim, with its receipt; its label once there are labels."""
    number = claim_number(audience)
    member = responses.own(session, number) if number is not None else None
    if member is None:
        return None
    response = session.collection("responses")[str(member)]
    labels = {whose: label for label, whose in responses.labelled(session).items()}
    content = _content(response, salt=True)
    return {"response": labels.get(member), **content, "authored": response["authored"]}


def lobby(session: Session) -> dict[str, Any]:
    """What somebody at the door sees: the names, and which of them are taken."""
    held = session.collection("claims")
    return {
        "session_id": session.id,
        "month": session.data["month"],
        "state": session.state,
        "join_by": session.data["settings"]["join_by"],
        "members": [{**each, "taken": str(each["id"]) in held} for each in members(session, None)],
    }


def join_status(session: Session, audience: str, now: datetime) -> dict[str, Any]:
    """What a participant's page asks for again and again."""
    everybody = members(session, None)
    own = own_response(session, audience)
    return {
        "session_id": session.id,
        "state": session.state,
        **_counts(session, None),
        "submitted_members": [{"name": each["name"]} for each in everybody if each["submitted"]],
        "unsubmitted_members": [{"name": each["name"]} for each in everybody if not each["submitted"]],
        "can_edit": can_edit(session, audience),
        "seconds_left": seconds_left(session, now),
        "synthesis_progress": progress(session),
        "my_response": {name: own[name] for name in ("card", "bullets", "leaf", "salt")} if own else None,
    }


def links(session: Session, link_key: bytes, team: Session | None = None) -> list[dict[str, Any]]:
    """The personal links in force of those who have not come in yet."""
    held = session.collection("claims")
    return [
        {
            "member_id": each["id"],
            "name": each["name"],
            "version": link["version"],
            "token": people.link_token(link_key, session.id, each["id"], link["version"]),
        }
        for each in roster(session, team)
        if (link := session.collection("links").get(str(each["id"]))) and link["live"] and str(each["id"]) not in held
    ]


def link_member(session: Session, token: str, team: Session | None = None) -> dict[str, Any] | None:
    """Whose personal link a token is, while it is in force."""
    wanted = people.link_credential(token).removeprefix("link:")
    for each in roster(session, team):
        link = session.collection("links").get(str(each["id"]))
        if link is not None and link["live"] and link["hash"] == wanted:
            return each
    return None


def title(session: Session) -> str:
    """What a list calls this session."""
    return f"Session {session.data['month']}" if session.data else "Session"


def search(session: Session) -> str:
    """What a list is searched in."""
    return str(session.data.get("month", ""))


def final(event: Event) -> Final | None:
    """How a synthesis ended, and all that was written of it."""
    outcomes = {
        "synthesis_completed": "completed",
        "synthesis_failed": "failed",
        "synthesis_cancelled": "cancelled",
        "synthesis_discarded": "cancelled",
    }
    if event.type not in outcomes or event.data["job"] is None:
        return None
    outcome = "interrupted" if event.data.get("reason") == "interrupted" else outcomes[event.type]
    return Final(event.data["job"], outcome, str(event.part(f"{SYNTHESIS}.written").get("text", "")))


def needs(session: Session, audience: str) -> str | None:
    """What the session waits for from this audience."""
    if viewer(audience) not in _STAFF:
        return None
    return {DRAFT: "Start capturing.", CAPTURING: "Close capture when everybody is done.", CLOSED: "Reveal."}.get(
        session.state
    )
