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
        return {"roster": [], "prompts": dict.fromkeys(("strategy_statement", "image_prompt", "bullet_prompt"), "")} | {
            "carried_actions": []
        }
    whole = team.collection("texts").get(terms.WHOLE, {})
    return {
        "roster": active_members(team),
        "prompts": {name: whole.get(name, "") for name in ("strategy_statement", "image_prompt", "bullet_prompt")},
        "carried_actions": open_actions(team),
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
    """Every synthesis there was, and whether there is a model to make another."""
    made = [dict(event.personal) for event in reader.journal(("synthesis_completed", *_STOPPED))]
    said = [event.personal for event in reader.journal(("submitted",))]
    return {**asking(reader, command), "made": made, "said": said}


_STOPPED = ("synthesis_failed", "synthesis_cancelled")

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
