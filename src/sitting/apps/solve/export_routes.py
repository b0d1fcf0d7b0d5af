"""Sessions as files: Markdown, a page, JSON whose journal verifies, spreadsheets, and a calendar entry."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ...core.actor import Actor
from ...web import answer, deps
from . import action_routes, commands, edge, export_service, figures, papers, refusals
from .edge import KIND, owner

router = APIRouter(tags=["solve"])
Who = Annotated[Actor, Depends(owner)]
FORMAT_OF_ALL = "sitting.solve.sessions/1"
CSV, JSON = "text/csv; charset=utf-8", "application/json"
MEDIA = {"markdown": "text/markdown; charset=utf-8", "json": JSON, "html": "text/html; charset=utf-8"}


@router.get("/sessions/all/export")
async def everything(request: Request, who: Who) -> Response:
    """All of a person's sessions."""
    kind = deps.choice(request, "format", "json", ("json", "csv"))
    views = await action_routes.every(request, who)
    if kind == "csv":
        return answer.attachment("sessions.csv", papers.sessions_csv(views).encode(), CSV)
    sessions = []
    for view in views:
        _, events = await edge.told(request, view["id"], who, figures.TALK)
        sessions.append({**view, "messages": figures.messages(events)})
    body = export_service.readable({"format": FORMAT_OF_ALL, "sessions": sessions})
    return answer.attachment("sessions.json", body, JSON)


@router.get("/sessions/{id}/export")
async def one(request: Request, id: str, who: Who) -> Response:
    """One session, whole. The journal notes that it was taken along, unless the one who asks may only read."""
    await edge.see(request, id, who)
    kind = deps.choice(request, "format", "markdown", tuple(MEDIA))
    command = await edge.checked(request, id, who, commands.Export, {"format": kind})
    engine = edge.engine(request)
    if who.may_write:
        await deps.settle(engine.do(id, command, who, kind=KIND))
    journal = await deps.settle(engine.journal(id, who))
    key = deps.installation(request).signing_key
    body = export_service.written(journal, kind, kind=engine.kinds[KIND], key=key)
    return answer.attachment(f"solve-{id}.{export_service.SUFFIXES[kind]}", body, MEDIA[kind])


@router.get("/sessions/{id}/reminder.ics")
async def reminder(request: Request, id: str, who: Who) -> Response:
    """The reminder as a calendar entry."""
    seen = await edge.see(request, id, who)
    if seen.view["reminder_time"] is None:
        raise refusals.NoReminder()
    entry = papers.calendar(seen.view, seen.now)
    return answer.attachment("reminder.ics", entry.encode(), "text/calendar; charset=utf-8")
