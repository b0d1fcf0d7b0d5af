"""Who sees what of a team: a facilitator everything, one who types its code which team that is, and nobody else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from ...core.actor import SYSTEM, Actor
from ...core.event import Event, to_text
from ...core.session import Session
from . import responses
from .terms import DONE, ERASED_NAME, FACILITATOR, OPEN, REVEALED, VISITOR, WHOLE, member_owner

TEXTS = ("company_name", "team_name", "strategy_statement", "image_prompt", "bullet_prompt")


def audience(_session: Session, _actor: Actor, role: str) -> str:
    """Who sees the same."""
    return FACILITATOR if role in (FACILITATOR, SYSTEM) else VISITOR


def text(session: Session, name: str) -> str:
    """One of the team's texts."""
    return str(session.collection("texts").get(WHOLE, {}).get(name, ""))


def members(session: Session) -> list[dict[str, Any]]:
    """Everybody who is or was in the team, by id."""
    return [dict(each) for _, each in sorted(session.collection("members").items(), key=lambda item: int(item[0]))]


def active_members(session: Session) -> list[dict[str, Any]]:
    """Who is in the team now, as `{id, name}` by id."""
    return [{"id": each["id"], "name": each["name"]} for each in members(session) if each["active"]]


def actions(session: Session) -> list[dict[str, Any]]:
    """Every action, oldest first, with its owner's name."""
    people = session.collection("members")
    listed = []
    for _, action in sorted(session.collection("actions").items(), key=lambda item: int(item[0])):
        owner = people.get(str(action["owner_member_id"]))
        shown = {"id": owner["id"], "name": owner["name"]} if owner else None
        rest = {name: action[name] for name in ("due_on", "status", "outcome", "session_id", "month")}
        listed.append({"id": action["id"], "text": action["text"], "owner": shown, **rest})
    return listed


def open_actions(session: Session) -> list[dict[str, Any]]:
    """What is still to be done, oldest first."""
    return [each for each in actions(session) if each["status"] == OPEN]


def view(session: Session, audience: str, now: datetime) -> dict[str, Any]:
    """The team as one audience sees it."""
    if audience == FACILITATOR and session.data:
        return team(session)
    shown = {"team_id": session.id, "team_name": text(session, "team_name")} if session.data else {}
    return {**shown, "as_of": session.position}


def team(session: Session) -> dict[str, Any]:
    """The whole team, for its facilitators."""
    return {
        "team_id": session.id,
        "company_name": text(session, "company_name"),
        "team_name": text(session, "team_name"),
        "code": session.data["code"],
        "strategy_statement": text(session, "strategy_statement"),
        "image_prompt": text(session, "image_prompt"),
        "bullet_prompt": text(session, "bullet_prompt"),
        "settings": dict(session.data["settings"]),
        "members": members(session),
        "facilitators": list(session.data["facilitators"]),
        "actions": actions(session),
        "created_at": to_text(session.created_at) if session.created_at else None,
        "as_of": session.position,
    }


def team_item(session: Session) -> dict[str, Any]:
    """One line of a list of teams."""
    return {
        "team_id": session.id,
        "company_name": text(session, "company_name"),
        "team_name": text(session, "team_name"),
        "code": session.data["code"],
        "members": len(active_members(session)),
    }


def companies(teams: Iterable[Session]) -> list[dict[str, Any]]:
    """The companies of some teams by name, each with how many of the teams are its own."""
    counted: dict[str, int] = {}
    for each in teams:
        name = text(each, "company_name")
        counted[name] = counted.get(name, 0) + 1
    return [
        {"name": name, "teams": counted[name]} for name in sorted(counted, key=lambda name: (name.casefold(), name))
    ]


def actions_of(session: Session, facilitation: str) -> tuple[int, int]:
    """How many of the actions that a session ended with are done, and how many are open."""
    own = [each["status"] for each in session.collection("actions").values() if each["session_id"] == facilitation]
    return own.count(DONE), own.count(OPEN)


def trend(session: Session, sessions: Iterable[Session]) -> list[dict[str, Any]]:
    """What became of each revealed month, oldest first."""
    months = []
    for each in sorted(sessions, key=lambda one: str(one.data["month"])):
        if each.state != REVEALED or each.subject != session.id:
            continue
        total, submitted = responses.counts(each)
        done, still_open = actions_of(session, each.id)
        months.append(
            {
                "session_id": each.id,
                "month": each.data["month"],
                "gap_type": responses.piece(each, "type").get("gap_type"),
                "submitted_count": submitted,
                "total_members": total,
                "actions_done": done,
                "actions_open": still_open,
            }
        )
    return months


_SHOWN: Mapping[str, tuple[str, ...]] = {
    "created": ("code", "settings"),
    "edited": ("fields", "code", "settings"),
    "member_removed": ("member",),
    "member_erased": ("member",),
    "facilitator_added": ("actor",),
    "facilitator_removed": ("actor",),
}
_NAMED = ("member_added", "member_renamed")
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "action_added": ("action", "owner_member_id", "due_on", "session_id", "month"),
    "action_changed": ("action", "fields", "owner_member_id", "due_on", "status"),
}


def tell(event: Event, audience: str) -> dict[str, Any] | None:
    """One event, for facilitators only."""
    if audience != FACILITATOR:
        return None
    if event.type in _NAMED:
        member = event.data["member"]
        data = {"member": member, "name": event.part(member_owner(member)).get("name") or ERASED_NAME}
    elif event.type in _ACTIONS:
        data = _picked(event, _ACTIONS[event.type]) | _picked_part(event, ("text", "outcome"))
    elif event.type in _SHOWN:
        data = _picked(event, _SHOWN[event.type]) | _picked_part(event, TEXTS)
    else:
        return None
    return {"seq": event.seq, "type": event.type, "ts": to_text(event.at), "data": data}


def _picked(event: Event, names: Sequence[str]) -> dict[str, Any]:
    return {name: event.data[name] for name in names if name in event.data}


def _picked_part(event: Event, names: Sequence[str]) -> dict[str, Any]:
    whole = event.part(WHOLE)
    return {name: whole[name] for name in names if name in whole}


def title(session: Session) -> str:
    """What a list calls this team."""
    return text(session, "team_name") or "Team"


def search(session: Session) -> str:
    """What a list of teams is searched in."""
    if not session.data:
        return ""
    return " ".join((text(session, "company_name"), text(session, "team_name"), session.data["code"]))
