"""The facilitator's first routes: a team's sessions, the form for a new one, all sessions; and every other router.

Order decides: literal paths (`team`, `history`) before `{session_id}`.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.session import Session
from ...engine import Done, Where
from ...web import answer, deps
from . import (
    commands,
    control_routes,
    device_routes,
    edge,
    export_routes,
    join_routes,
    meeting_routes,
    overview_routes,
    panel_routes,
    qr_routes,
    refusals,
    team_routes,
    team_views,
    terms,
    views,
)
from .edge import Who
from .panel_routes import described

router = APIRouter(tags=["facilitation"])
PROBLEMS = {"/admin": edge.problem, "/join": join_routes.problem}
BODY_BYTES = 64 * 1024
SECRETS = (r"(/join/)(?:p/)?[^/]+",)  # below /join/p/ stands a personal link
BODY_LIMITS = {r"/(?:admin|join)(?:/.*)?": BODY_BYTES}
MAX_SESSIONS = 1200  # the months there are in a century


@router.get("/admin/sessions/team/{team_id}")
async def index(request: Request, team_id: str, who: Who) -> Response:
    """A team's sessions, the latest month first."""
    team = (await edge.see_team(request, team_id, who)).session
    limit = deps.integer(request, "limit", 50, low=1, high=100)
    offset = deps.integer(request, "offset", 0, low=0, high=1_000_000)
    listing = await deps.settle(
        edge.engine(request).list(edge.SESSION, who, Where(subject=team.id, limit=MAX_SESSIONS))
    )
    found = sorted((seen.session for seen in listing.items), key=lambda each: str(each.data["month"]), reverse=True)
    here = found[offset : offset + limit]
    items = [views.list_item(each, team) for each in here]
    body = {"team_id": team.id, "sessions": items, "total": len(found), "limit": limit, "offset": offset}
    return edge.respond(
        request, body, "admin/sessions/list.html", team=described(team), total=len(found), limit=limit, offset=offset,
        items=[views.session_item(each, team) for each in here],
    )  # fmt: skip


@router.get("/admin/sessions/team/{team_id}/create")
async def create_form(request: Request, team_id: str, who: Who) -> Response:
    """The form, with the month it is now."""
    team = (await edge.see_team(request, team_id, who)).session
    return _form(request, team, deps.installation(request).clock.now().strftime("%Y-%m"))


@router.post("/admin/sessions/team/{team_id}/create")
async def create(request: Request, team_id: str, who: Who) -> Response:
    """Plan a month."""
    team = (await edge.see_team(request, team_id, who)).session

    async def created() -> Response:
        sent = await deps.form(request)
        if "month" in sent:  # what is missing comes before what is too much
            edge.fields(sent, "month")
        return await _create(request, team, who, sent.get("month", "").strip())

    async def again(refused: edge.Refused) -> Response:
        return _form(request, team, refused.values.get("month", "")[:20], refused)

    return await edge.or_again(request, "create", created(), again)


@router.get("/admin/sessions/history")
async def history(request: Request, who: Who) -> Response:
    """All sessions of the actor's teams, newest first."""
    limit = deps.integer(request, "limit", 50, low=1, high=100)
    offset = deps.integer(request, "offset", 0, low=0, high=1_000_000)
    state = deps.choice(request, "state", "", ("", *terms.STATES))
    chosen = deps.text(request, "team")
    if chosen:
        await edge.see_team(request, chosen, who)
    teams = await overview_routes.teams_of(request, who)
    where = Where(state=state, subject=chosen, limit=limit, offset=offset)
    items, total = await overview_routes.sessions_of(request, who, where, teams)
    body = {"items": items, "total": total, "limit": limit, "offset": offset}
    named = sorted(((team_views.text(team, "team_name"), team.id) for team in teams.values()), key=_by_name)
    return edge.respond(
        request, body, "admin/sessions/history.html", **body, team=chosen, state=state,
        teams=[(id, name) for name, id in named], states=[(name, terms.BADGES[name]) for name in terms.STATES],
    )  # fmt: skip


async def _create(request: Request, team: Session, who: Actor, month: str) -> Response:
    try:
        command = strict.check(commands.Create, {"team_id": team.id, "month": month})
    except errors.Invalid:
        raise refusals.MonthInvalid() from None

    def render(done: Done) -> Response:
        return answer.redirect(f"/admin/sessions/{done.session.id}")

    once = await deps.once(request, who, render)
    opening = edge.engine(request).open(edge.SESSION, command, who, once=once)
    try:
        return deps.answered(await edge.found(opening, refusals.TEAM_NOT_FOUND), render)
    except errors.KeyTaken:
        raise refusals.month_taken(month) from None


def _by_name(named: tuple[str, str]) -> tuple[str, str]:
    return named[0].casefold(), named[1]


def _form(request: Request, team: Session, month: str, refused: edge.Refused | None = None) -> Response:
    return answer.page(
        request, "admin/sessions/create.html", status=refused.status if refused else 200,
        headers=refused.headers if refused else {"Vary": "Accept"}, team=described(team), month=month,
        error=next(iter(refused.faults.values())) if refused else None,
    )  # fmt: skip


for _part in (
    overview_routes, team_routes, panel_routes, control_routes, export_routes, meeting_routes, qr_routes, join_routes,
    device_routes,
):  # fmt: skip
    router.include_router(_part.router)
