"""A revealed session as files: JSON that verifies offline, Markdown, CSV, and what the print page shows.

An anonymous session goes out without any name, and without the events that say when somebody came or submitted: their
records stay as hashes, so the chain verifies like a whole one. Notes are for the facilitator's JSON alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ...core import paper
from ...core.session import Session
from . import deck, team_views, views
from .terms import ANONYMOUS, FACILITATION

FORMAT = "sitting.facilitation/1"
_TIMED = ("claimed", "left", "claim_released", "submitted", "authorship_claimed")
_KEPT = ("seq", "body", "hash", "parts")


def names(session: Session, team: Session) -> str:
    """What every file of this session begins with."""
    return f"session-{session.data['month']}-{team.data['code']}"


def level(session: Session, audience: str, number: int) -> dict[str, Any]:
    """One of the three levels of detail."""
    if number == 3:
        return {"responses": _responses(session, audience)}
    made = views.synthesis(session, audience)
    return {"statements": made["statements"]} if number == 2 else {name: made[name] for name in ("themes", "gap_type")}


def told(event: Mapping[str, Any], anonymity: str) -> dict[str, Any]:
    """An event as an export tells it."""
    if anonymity != ANONYMOUS:
        return dict(event)
    data = {name: value for name, value in event["data"].items() if name not in ("name", "by")}
    if "roster" in data:
        data["roster"] = [{"id": each["id"]} for each in data["roster"]]
    if data.get("carried_actions"):
        data["carried_actions"] = _ownerless(data["carried_actions"])
    return {**event, "data": data}


def document(
    session: Session, team: Session, now: datetime, entries: Sequence[Mapping[str, Any]], head: str
) -> dict[str, Any]:
    """The JSON export, to be signed. `entries` are `{event, record}`, one for each event of the journal."""
    panel = views.panel(session, team, now)
    actions = [each for each in team_views.actions(team) if each["session_id"] == session.id]
    if session.data["anonymity"] == ANONYMOUS:
        panel["members"] = [{**each, "name": None} for each in panel["members"]]
        panel["open_actions"], actions = _ownerless(panel["open_actions"]), _ownerless(actions)
        entries = [_timeless(each) for each in entries]
    return {
        "format": FORMAT,
        "session": {"id": session.id, "kind": FACILITATION},
        "panel": panel,
        "actions": actions,
        "events": [dict(each) for each in entries],
        "head": head,
    }


def _ownerless(actions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{**each, "owner": None} for each in actions]


def _timeless(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An event of a single person without its content and its time; commitments and hash stay."""
    record = entry["record"]
    if record.get("type") not in _TIMED:
        return dict(entry)
    return {"event": None, "record": {name: record[name] for name in _KEPT}}


def report(session: Session, team: Session, audience: str, now: datetime) -> dict[str, Any]:
    """What Markdown and the print page show, in their order."""
    panel = views.panel(session, team, now)
    actions = [each for each in team_views.actions(team) if each["session_id"] == session.id]
    return {
        "title": f"{team_views.text(team, 'team_name')}, {session.data['month']}",
        "team_name": team_views.text(team, "team_name"),
        "month": session.data["month"],
        "total_members": panel["total_members"],
        "submitted_count": panel["submitted_count"],
        "synthesis": views.synthesis(session, audience),
        "grouping": views.grouping(session, audience),
        "responses": _responses(session, audience),
        "recalibration_action": panel["recalibration_action"],
        "recalibration_completed": panel["recalibration_completed"],
        "actions": _ownerless(actions) if session.data["anonymity"] == ANONYMOUS else actions,
        "seal": panel["seal"],
        "seal_line": views.seal_line(session),
    }


def _responses(session: Session, audience: str) -> list[dict[str, Any]]:
    """The responses, each with its card in words."""
    return [{**each, "card_label": _card(each["card"])} for each in views.shown_responses(session, audience) or ()]


def _card(number: int | None) -> str:
    card = deck.card(number)
    return card.label if card else ""


def markdown(session: Session, team: Session, audience: str, now: datetime) -> str:
    """The report as Markdown; what people and models wrote is escaped, so it shows as it was written."""
    made = report(session, team, audience, now)
    lines = [
        f"# {paper.inline(made['title'])}",
        f"{made['submitted_count']} of {made['total_members']} responded.",
        *_markdown_synthesis(made["synthesis"]),
        *_markdown_grouping(made["grouping"]),
        "## Responses",
        *(_markdown_response(each) for each in made["responses"]),
        "## Recalibration",
        paper.inline(made["recalibration_action"]) or "No recalibration action was written down.",
        f"Completed: {'yes' if made['recalibration_completed'] else 'no'}.",
        "## Actions",
        "\n".join(_markdown_action(each) for each in made["actions"]) or "None.",
        "## Seal",
        f"{made['seal_line']}\n\n`{made['seal']['algorithm']}` `{made['seal']['digest']}`",
    ]
    return "\n\n".join(lines) + "\n"


def _markdown_synthesis(made: Mapping[str, Any]) -> list[str]:
    if made["statements"] is None:
        return ["## Themes", paper.inline(made["error_message"] or "No synthesis was made.")]
    lines = [
        "## Themes",
        paper.inline(made["themes"] or ""),
        f"## Gap: {made['gap_type']}",
        paper.inline(made["gap_reasoning"] or ""),
        "## Statements",
        "\n".join(_markdown_statement(each) for each in made["statements"]),
        "## Suggested recalibrations",
        "\n".join(f"- {paper.inline(each)}" for each in made["suggested_recalibrations"]),
    ]
    return [line for line in lines if line]


def _markdown_statement(each: Mapping[str, Any]) -> str:
    names = ", ".join([*each["responses"], *each["participants"]])
    return f"- **{paper.inline(each['name'])}**: {paper.inline(each['statement'])} ({paper.inline(names)})"


def _markdown_grouping(made: Mapping[str, Any] | None) -> list[str]:
    if made is None:
        return []
    lines = [f"## {made['heading']}", paper.inline(made["rule"])]
    for theme in made["themes"]:
        labels = ", ".join(theme["responses"])
        lines.append(f"### {paper.inline(theme['title'])} ({labels})")
        lines.append("\n".join(f"- {each['response']}: {paper.inline(each['text'])}" for each in theme["bullets"]))
    if made["rest"]:
        lines.append("### Said once")
        lines.append("\n".join(f"- {each['response']}: {paper.inline(each['text'])}" for each in made["rest"]))
    return [*lines, f"Gap: {made['gap']['type'] or 'not clear'}. {paper.inline(made['gap']['reason'])}"]


def _markdown_response(each: Mapping[str, Any]) -> str:
    name = f", {paper.inline(each['member']['name'])}" if each["member"] else ""
    card = f", {each['card_label']}" if each["card_label"] else ""
    points = "\n".join(f"- {paper.inline(point)}" for point in each["bullets"])
    return f"### {each['response']}{name}{card}\n\n{points}"


def _markdown_action(each: Mapping[str, Any]) -> str:
    owner = f", {paper.inline(each['owner']['name'])}" if each["owner"] else ""
    day = f", due {each['due_on']}" if each["due_on"] else ""
    outcome = f": {paper.inline(each['outcome'])}" if each["outcome"] else ""
    return f"- {paper.inline(each['text'])} ({each['status']}{owner}{day}){outcome}"


def csv(session: Session, audience: str) -> str:
    """One row for each point."""
    rows = [
        (each["response"], (each["member"] or {}).get("name", ""), each["card"], each["card_label"], point)
        for each in _responses(session, audience)
        for point in each["bullets"]
    ]
    return paper.table(("response", "member", "card", "card_label", "bullet"), rows)
