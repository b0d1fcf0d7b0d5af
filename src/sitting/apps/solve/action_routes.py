"""The ledger of first steps, and figures over all of a person's sessions."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core.actor import Actor
from ...engine import Done, Where
from ...web import answer, deps
from . import commands, edge, figures, papers, refusals, terms, views
from .edge import KIND, owner

router = APIRouter(tags=["solve"])
Who = Annotated[Actor, Depends(owner)]
PENDING, COMPLETED = "pending", "completed"
PAGE = 100


@router.get("/actions")
async def actions(request: Request, who: Who) -> Response:
    """The first steps that were committed to, newest session first."""
    status = deps.choice(request, "status", "all", (PENDING, COMPLETED, "all"))
    limit = deps.integer(request, "limit", 20, low=1, high=100)
    offset = deps.integer(request, "offset", 0, low=0, high=1_000_000)
    rows, total = await ledger(request, who, status, limit=limit, offset=offset)
    body = {"actions": rows, "total": total, "limit": limit, "offset": offset, "stats": await tally(request, who)}
    return answer.json(body)


@router.patch("/actions/{id}/complete")
async def complete(request: Request, id: str, who: Who) -> Response:
    """It is done."""
    return await _marked(request, id, who, await edge.asked(request, id, who, commands.CompleteAction))


@router.patch("/actions/{id}/uncomplete")
async def uncomplete(request: Request, id: str, who: Who) -> Response:
    """It is not done after all."""
    return await _marked(request, id, who, await edge.asked(request, id, who, commands.UncompleteAction))


@router.get("/stats/overview")
async def overview(request: Request, who: Who) -> Response:
    """What it all adds up to."""
    return answer.json(await figures_of(request, who))


@router.get("/stats/export")
async def export(request: Request, who: Who) -> Response:
    """The same as a file."""
    kind = deps.choice(request, "format", "json", ("json", "csv"))
    found = await figures_of(request, who)
    if kind == "csv":
        return answer.attachment("stats.csv", papers.stats_csv(found).encode(), "text/csv; charset=utf-8")
    body = json.dumps(found, ensure_ascii=False, indent=1).encode()
    return answer.attachment("stats.json", body, "application/json")


async def ledger(
    request: Request, who: Actor, status: str, *, limit: int, offset: int = 0
) -> tuple[list[dict[str, Any]], int]:
    """Some of the actions, and how many there are."""
    having = () if status == "all" else (("action", status),)
    where = Where(state=terms.SessionStatus.COMPLETED, having=having, limit=limit, offset=offset, mine=True)
    listing = await deps.settle(edge.engine(request).list(KIND, who, where))
    return [figures.action(seen.view) for seen in listing.items], listing.total


async def tally(request: Request, who: Actor) -> dict[str, Any]:
    """How many actions there are, and which share is done."""
    total = (await ledger(request, who, "all", limit=1))[1]
    completed = (await ledger(request, who, COMPLETED, limit=1))[1]
    return {
        "total": total,
        "pending": total - completed,
        "completed": completed,
        "rate": figures.rate(completed, total),
    }


async def every(request: Request, who: Actor) -> list[dict[str, Any]]:
    """The views of all of a person's sessions, newest first."""
    found: list[dict[str, Any]] = []
    while True:
        where = Where(limit=PAGE, offset=len(found), mine=True)
        listing = await deps.settle(edge.engine(request).list(KIND, who, where))
        found += [seen.view for seen in listing.items]
        if len(listing.items) < PAGE:
            return found


async def figures_of(request: Request, who: Actor) -> dict[str, Any]:
    """The overview as of today."""
    today = deps.installation(request).clock.now().date()
    return figures.overview(await every(request, who), today)


async def _marked(
    request: Request, id: str, who: Actor, command: commands.CompleteAction | commands.UncompleteAction
) -> Response:
    def render(done: Done) -> Response:
        return answer.json(figures.action(views.view(done.session, done.audience, done.now)))

    try:
        return await edge.carry_out(request, id, command, who, render)
    except errors.WrongState:
        raise refusals.NoAction() from None
