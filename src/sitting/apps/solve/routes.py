"""The documented routes of a session, and what was added around them. JSON, and the streams of a turn.

`/sessions` and `/sessions/` are the same address. What a browser asks for as a page stays the house's generic page, or
is below `/solve`.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.kind import Command
from ...engine import Done, Where
from ...web import answer, deps, stream
from ...web import session as generic
from ...web.refusals import UnsupportedMedia
from . import (
    action_routes,
    choice_routes,
    commands,
    edge,
    export_routes,
    figures,
    message_routes,
    models,
    page_routes,
    refusals,
    terms,
    views,
)
from .edge import KIND, owner

router = APIRouter(tags=["solve"])
Who = Annotated[Actor, Depends(owner)]
BODY_LIMIT = 64 * 1024
BODY_LIMITS = {"/sessions(/.*)?": BODY_LIMIT, "/actions/.*": BODY_LIMIT, "/solve(/.*)?": BODY_LIMIT}
PROBLEMS = {
    "/sessions": edge.problem,
    "/actions": edge.problem,
    "/stats": edge.problem,
    "/solve": edge.page_problem,
}
COMMIT_FIELDS = frozenset({"first_step_action", "reminder_time", "confidence"})


@router.post("/sessions")
@router.post("/sessions/", include_in_schema=False)
async def create(request: Request, who: Who) -> Response:
    """Open a session."""
    command = await deps.read(request, commands.Create)
    if command.locale is None:
        command = command.model_copy(update={"locale": edge.locale(request)})

    def render(done: Done) -> Response:
        view = views.view(done.session, done.audience, done.now)
        made = {name: view[name] for name in models.SessionResponse.model_fields if name != "usage"}
        usage = figures.content(done.events[0])["usage"]
        return answer.json({**made, "usage": usage}, 201, {"Location": f"/sessions/{done.session.id}"})

    once = await deps.once(request, who, render)
    return deps.answered(await deps.settle(edge.engine(request).open(KIND, command, who, once=once)), render)


@router.get("/sessions")
@router.get("/sessions/", include_in_schema=False)
async def index(request: Request, who: Who) -> Response:
    """The caller's sessions, newest first."""
    where = Where(
        state=deps.choice(request, "status", "", tuple(terms.SessionStatus)),
        q=deps.text(request, "q").strip(),
        limit=deps.integer(request, "limit", 20, low=1, high=100),
        offset=deps.integer(request, "offset", 0, low=0, high=1_000_000),
        having=tuple(("tag", tag) for tag in _tags(request)),
        since=edge.moment(request, "from_date"),
        until=edge.moment(request, "to_date", last=True),
        mine=True,
    )
    listing = await deps.settle(edge.engine(request).list(KIND, who, where))
    rows = [views.item(seen.view) for seen in listing.items]
    return answer.json({"sessions": rows, "total": listing.total, "limit": where.limit, "offset": where.offset})


@router.get("/sessions/{id}")
async def show(request: Request, id: str, who: Who) -> Response:
    """One session, with its messages on request."""
    if answer.accepts_html(request):
        return await generic.show(request, id, who)
    with_messages = deps.choice(request, "include_messages", "false", ("true", "false", "1", "0")) in ("true", "1")
    seen = await edge.see(request, id, who)
    view: dict[str, Any] = dict(seen.view)
    if with_messages:
        seen, events = await edge.told(request, id, who, figures.TALK)
        view = {**seen.view, "messages": figures.messages(events)}
    return answer.json(view, headers={"ETag": f'"{seen.session.position}"', "Vary": "Accept"})


@router.patch("/sessions/{id}")
async def change(request: Request, id: str, who: Who) -> Response:
    """Change fields, the status or the step; one of the last two stands alone."""
    seen = await edge.see(request, id, who)
    command = _change(strict.loads(await _json(request)), seen.view)
    return await edge.carry_out(request, id, command, who, edge.whole)


@router.delete("/sessions/{id}")
async def delete(request: Request, id: str, who: Who) -> Response:
    """Destroy what was written in a session."""
    await edge.see(request, id, who)
    await deps.settle(edge.engine(request).erase(id, who, expect=deps.expected(request)))
    return Response(status_code=204)


@router.get("/sessions/{id}/events")
@router.head("/sessions/{id}/events", include_in_schema=False)
async def events(request: Request, id: str, who: Who) -> Response:
    """The live protocol."""
    await edge.see(request, id, who)
    return await stream.events(request, id, owner)


def _tags(request: Request) -> list[str]:
    """The tags that a session must all have. Raises Invalid."""
    wished = [tag.strip().lower() for tag in deps.text(request, "tags", limit=400).split(",")]
    found = list(dict.fromkeys(tag for tag in wished if tag))
    if len(found) > terms.MAX_TAGS:
        raise errors.Invalid.field("tags", f"must be at most {terms.MAX_TAGS}")
    return found


async def _json(request: Request) -> bytes:
    """The body, when it is JSON or nothing. Raises UnsupportedMedia."""
    body = (await request.body()).strip()
    if body and deps.media_type(request) != "application/json":
        raise UnsupportedMedia()
    return body or b"{}"


def _change(body: Any, view: dict[str, Any]) -> Command:
    """The command that a PATCH wishes for. Raises Invalid, InvalidStatus, InvalidStep."""
    moves = [name for name in ("status", "current_step") if isinstance(body, dict) and name in body]
    if not moves:
        return strict.check(commands.Update, body)
    rest = {name: value for name, value in body.items() if name not in moves}
    commits = body.get("status") == terms.SessionStatus.COMPLETED
    if len(moves) > 1 or (set(rest) - COMMIT_FIELDS if commits else rest):
        raise errors.Invalid(
            fields=[{"field": name, "message": "cannot be changed beside another field"} for name in moves]
        )
    if moves == ["current_step"]:
        return _step(body["current_step"])
    return _status(body["status"], rest, view)


def _step(wished: Any) -> Command:
    if wished not in terms.STEPS:
        raise refusals.InvalidStep()
    return commands.AdvanceTo(step=wished)


def _status(wished: Any, rest: dict[str, Any], view: dict[str, Any]) -> Command:
    match view["status"], wished:
        case terms.SessionStatus.ACTIVE, terms.SessionStatus.ABANDONED:
            return commands.Abandon()
        case terms.SessionStatus.ABANDONED, terms.SessionStatus.ACTIVE:
            return commands.Reopen()
        case terms.SessionStatus.ACTIVE, terms.SessionStatus.COMPLETED:
            fields = {"first_step_action": view["first_step_action"], **rest}
            if view["current_step"] == terms.SolveStep.COMMIT and fields["first_step_action"] is not None:
                return strict.check(commands.Commit, fields)
    raise refusals.InvalidStatus(session_status=view["status"])


# Order decides: `/sessions/all/export` stands before the paths with an id.
for _module in (export_routes, message_routes, choice_routes, action_routes, page_routes):
    router.routes.extend(_module.router.routes)
