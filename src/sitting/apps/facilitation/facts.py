"""What decisions about a facilitation need to know from outside the session: read in the transaction of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import errors
from ...core.actor import ADMIN
from ...core.kind import Command, Reader
from ...core.session import Session
from . import commands, prompts, terms
from .team_views import active_members, open_actions

_NAMING = ("started", "roster_added", "submitted")
_SYNTHESES = ("synthesis_completed", "synthesis_failed", "synthesis_cancelled")
PROMPTS = ("strategy_statement", "image_prompt", "bullet_prompt")


def key(team: str, month: str) -> str:
    """What makes a session one of a kind: a team has one for each month."""
    return f"{team}:{month}"


def _team(reader: Reader, id: str) -> Session | None:
    found = reader.other(id)
    return found if found is not None and found.kind == terms.TEAM and found.seq else None


def creating(reader: Reader, command: Command) -> Mapping[str, Any]:
    """The team, if it is this actor's to lead, and whether the month is free."""
    assert isinstance(command, commands.Create)
    team = _team(reader, command.team_id)
    if team is None:
        return {"team": None}
    leads = reader.actor.is_system or reader.actor.id in team.data["facilitators"] or ADMIN in reader.actor.roles
    taken = reader.find(terms.FACILITATION, key(team.id, command.month)) is not None
    return {"team": team.id if leads else None, "settings": dict(team.data["settings"]), "taken": taken}


def changing(reader: Reader, command: Command) -> Mapping[str, Any]:
    """Whether the month is free."""
    assert isinstance(command, commands.ChangeMonth)
    found = reader.find(terms.FACILITATION, key(reader.session.data["team_id"], command.month))
    return {"taken": found is not None and found.id != reader.session.id}


def starting(reader: Reader, _command: Command) -> Mapping[str, Any]:
    """Whom and what the session begins with, as the team has it now."""
    team = _team(reader, reader.session.data["team_id"])
    if team is None:
        nothing = dict.fromkeys(PROMPTS, "")
        return {"roster": [], "prompts": nothing, "carried_actions": [], "owners": []}
    whole = team.collection("texts").get(terms.WHOLE, {})
    carried = open_actions(team)
    return {
        "roster": active_members(team),
        "prompts": {name: whole.get(name, "") for name in PROMPTS},
        "carried_actions": [{**each, "owner": each["owner"] and {"id": each["owner"]["id"]}} for each in carried],
        "owners": [each["owner"] for each in carried if each["owner"]],
    }


def naming(reader: Reader, _command: Command) -> Mapping[str, Any]:
    """The team's active members."""
    team = _team(reader, reader.session.data["team_id"])
    return {"members": active_members(team) if team is not None else []}


def linking(reader: Reader, command: Command) -> Mapping[str, Any]:
    """The team's active members, and the key that personal links derive from."""
    return {**naming(reader, command), "link_key": reader.installed["link_key"]}


def asking(reader: Reader, _command: Command) -> Mapping[str, Any]:
    """Whether there is a model, and what the whole of a synthesis may cost it."""
    try:
        model = reader.installed["models"].get()
    except errors.ModelNotConfigured:
        return {"reserved": None}
    return {"reserved": prompts.cost(reader.session, count=model.count, window=model.window)}


def stopping(reader: Reader, _command: Command) -> Mapping[str, Any]:
    """What the running job has written."""
    job = reader.session.data["synthesis"]["job"]
    return {"written": reader.text(job)[: terms.MAX_WRITTEN] if job else ""}


def forgetting(reader: Reader, command: Command) -> Mapping[str, Any]:
    """Whatever there is of the member, every synthesis there was, and whether there is a model to make another."""
    assert isinstance(command, commands.ForgetMember)
    owner = terms.member_owner(command.member_id)
    parts = [event.personal for event in reader.journal(_NAMING)]
    return {
        **asking(reader, command),
        "known_here": any(each.get(owner) is not None for each in parts),
        "said": parts,
        "made": [event.personal for event in reader.journal(_SYNTHESES)],
    }


FACTS: Mapping[str, Callable[[Reader, Command], Mapping[str, Any]]] = {
    "create": creating,
    "change_month": changing,
    "start": starting,
    "issue_links": linking,
    "add_to_roster": naming,
    "close": asking,
    "synthesize": asking,
    "retry_synthesis": asking,
    "cancel_synthesis": stopping,
    "forget_member": forgetting,
}
