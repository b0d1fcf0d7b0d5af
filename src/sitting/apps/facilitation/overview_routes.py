"""What a facilitator sees first: teams and sessions, and the same as data to search in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...core.actor import Actor
from ...core.session import Session
from ...engine import Where
from ...web import answer, deps
from . import edge, team_views, terms, views
from .edge import Who

router = APIRouter(tags=["facilitation"])
MAX_TEAMS = 10_000
MAX_SESSIONS = 10_000  # that a search goes through, the newest first
SHOWN = 10
UNDER_WAY = (terms.CAPTURING, terms.CLOSED)


@router.get("/admin")
async def dashboard(request: Request, who: Who) -> Response:
    """Teams, what is under way, and a search over both."""
    q = deps.text(request, "search")
    everything = await teams_of(request, who)
    listing = await deps.settle(edge.engine(request).list(edge.TEAM, who, Where(q=q, limit=SHOWN)))
    running: list[dict[str, Any]] = []
    for state in UNDER_WAY if not q else ():
        running += (await sessions_of(request, who, Where(state=state, limit=SHOWN), everything))[0]
    sessions, _ = await sessions_of(request, who, Where(q=q, limit=SHOWN), everything)
    shown = {each["session_id"] for each in running}
    return answer.page(
        request, "admin/dashboard.html", q=q, teams_total=listing.total, running=running,
        sessions=[each for each in sessions if each["session_id"] not in shown],
        teams=[team_views.team_item(seen.session) for seen in listing.items],
    )  # fmt: skip


@router.get("/admin/login")
async def login(request: Request) -> Response:
    """Where the source document has its own sign-in."""
    return answer.redirect("/sign-in?next=%2Fadmin")


@router.get("/admin/logout")
async def logout(request: Request) -> Response:
    """And its own way out."""
    return answer.redirect("/sign-out")


@router.get("/admin/api/companies")
async def companies(request: Request, who: Who) -> Response:
    """The companies of the actor's teams."""
    limit, offset = _window(request)
    teams = await teams_of(request, who)
    items = team_views.companies(list(teams.values()))
    return _page(items[offset : offset + limit], len(items), limit, offset)


@router.get("/admin/api/teams")
async def teams(request: Request, who: Who) -> Response:
    """The actor's teams."""
    limit, offset = _window(request)
    where = Where(q=deps.text(request, "search"), limit=limit, offset=offset)
    listing = await deps.settle(edge.engine(request).list(edge.TEAM, who, where))
    return _page([team_views.team_item(seen.session) for seen in listing.items], listing.total, limit, offset)


@router.get("/admin/api/sessions")
async def sessions(request: Request, who: Who) -> Response:
    """The sessions of the actor's teams."""
    limit, offset = _window(request)
    where = Where(q=deps.text(request, "search"), limit=limit, offset=offset)
    items, total = await sessions_of(request, who, where, await teams_of(request, who))
    return _page([_listed(item) for item in items], total, limit, offset)


async def teams_of(request: Request, who: Actor) -> dict[str, Session]:
    """Every team of this actor, by id."""
    listing = await deps.settle(edge.engine(request).list(edge.TEAM, who, Where(limit=MAX_TEAMS)))
    return {seen.session.id: seen.session for seen in listing.items}


async def sessions_of(
    request: Request, who: Actor, where: Where, teams: Mapping[str, Session]
) -> tuple[list[dict[str, Any]], int]:
    """One page of sessions with their teams' names, and how many there are. One whose team is going is left out.

    A session does not know what its team is called: who searches has all of theirs gone through here.
    """
    asked = replace(where, q="", limit=MAX_SESSIONS, offset=0) if where.q else where
    listing = await deps.settle(edge.engine(request).list(edge.SESSION, who, asked))
    found = [(seen.session, teams.get(seen.session.subject or "")) for seen in listing.items]
    known = [(session, team) for session, team in found if team is not None]
    if not where.q:
        return [views.session_item(session, team) for session, team in known], listing.total
    wanted = where.q.casefold()
    hits = [each for each in known if wanted in f"{views.search(each[0])} {team_views.search(each[1])}".casefold()]
    return [views.session_item(*each) for each in hits[where.offset : where.offset + where.limit]], len(hits)


def _listed(item: Mapping[str, Any]) -> dict[str, Any]:
    """An item of a team's list with the name of its team."""
    return {name: value for name, value in item.items() if name not in ("team_id", "action_state")}


def _window(request: Request) -> tuple[int, int]:
    limit = deps.integer(request, "limit", 50, low=1, high=100)
    return limit, deps.integer(request, "offset", 0, low=0, high=1_000_000)


def _page(items: list[dict[str, Any]], total: int, limit: int, offset: int) -> Response:
    return answer.json({"items": items, "total": total, "limit": limit, "offset": offset})
