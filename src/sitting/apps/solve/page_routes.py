"""The pages around the sessions: all of them, the ledger of first steps, the figures, and one session to print."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import ADMIN, Actor
from ...core.event import to_text
from ...engine import Where
from ...store import sessions
from ...web import answer, deps, forms
from ...web.errors import patience, status_of
from . import action_routes, commands, edge, facts, room_routes, talk, terms, views, wording

router = APIRouter(include_in_schema=False)
Who = Annotated[Actor, Depends(edge.owner)]
PAGE = 20
OPEN_SHOWN = 5
BAR_WIDTH, CHART_HEIGHT = 10, 60


@router.get("/solve")
async def index(request: Request, who: Who) -> Response:
    """Open first steps, then the sessions."""
    return await _index(request, who)


@router.post("/solve")
async def start(request: Request, who: Who) -> Response:
    """Open a session, with its first message where there is one."""
    typed = forms.typed(await deps.form(request))
    content = typed.get("content", "").strip()
    try:
        locale = typed.get("locale") or edge.locale(request)
        command = strict.check(commands.Create, {"locale": locale})
        first = strict.check(commands.SendMessage, {"content": content}) if content else None
        done = await deps.settle(edge.engine(request).open(edge.KIND, command, who))
    except errors.Refusal as refusal:
        if isinstance(refusal, errors.NotAuthenticated) or not answer.accepts_html(request):
            raise
        return await _index(request, who, typed, refusal)
    id = done.session.id
    if first is not None:
        try:
            await deps.settle(edge.engine(request).do(id, first, who, kind=edge.KIND))
        except errors.Refusal as refusal:
            return await room_routes.page(request, id, who, room_routes.Refused("message", typed, refusal))
    return answer.redirect(f"/solve/{id}")


@router.get("/solve/actions")
async def actions(request: Request, who: Who) -> Response:
    """The ledger of first steps, with the share that was done."""
    status = deps.choice(request, "status", "all", ("all", action_routes.PENDING, action_routes.COMPLETED))
    limit = deps.integer(request, "limit", PAGE, low=1, high=100)
    offset = deps.integer(request, "offset", 0, low=0, high=1_000_000)
    rows, total = await action_routes.ledger(request, who, status, limit=limit, offset=offset)
    return _page(
        request, "solve/actions.html", rows=rows, total=total, limit=limit, offset=offset, status_filter=status,
        stats=await action_routes.tally(request, who),
    )  # fmt: skip


@router.get("/solve/stats")
async def stats(request: Request, who: Who) -> Response:
    """The figures over all sessions, and how they were reckoned."""
    found = await action_routes.figures_of(request, who)
    most = max([1, *(max(day["created"], day["completed"]) for day in found["trend"])])
    return _page(request, "solve/stats.html", stats=found, bars=_bars(found["trend"], most), most=most)


@router.get("/solve/{id}/summary")
async def summary(request: Request, id: str, who: Who) -> Response:
    """One session on one page, to print."""
    seen, events = await edge.told(request, id, who, frozenset())
    view = seen.view
    spoken = talk.talk(views.tell(event, seen.audience) for event in events)
    locale = view["locale"]
    models = deps.installation(request).models
    return answer.page(
        request, "solve/summary.html", s=view, base=f"/solve/{id}", w=wording.words(locale),
        lang=wording.LANGUAGES[locale], talk=spoken, model=models.describe()["default"] if _answered(spoken) else None,
    )  # fmt: skip


async def _index(
    request: Request, who: Actor, typed: Mapping[str, str] | None = None, refusal: errors.Refusal | None = None
) -> Response:
    status = deps.choice(request, "status", "", ("", *terms.SessionStatus))
    q = deps.text(request, "q").strip()
    tag = deps.text(request, "tag", limit=30).strip().lower()
    limit = deps.integer(request, "limit", PAGE, low=1, high=100)
    offset = deps.integer(request, "offset", 0, low=0, high=1_000_000)
    having = (("tag", tag),) if tag else ()
    where = Where(state=status, q=q, limit=limit, offset=offset, having=having, mine=True)
    listing = await deps.settle(edge.engine(request).list(edge.KIND, who, where))
    pending, open_total = await action_routes.ledger(request, who, action_routes.PENDING, limit=OPEN_SHOWN)
    house, locale = deps.installation(request), edge.locale(request)
    return _page(
        request, "solve/list.html", status=200 if refusal is None else status_of(refusal),
        headers={} if refusal is None else patience(refusal),
        sessions=[seen.view for seen in listing.items], total=listing.total, limit=limit, offset=offset, q=q, tag=tag,
        status_filter=status, states=[str(state) for state in terms.SessionStatus], actions=pending,
        open_total=open_total, guided=not house.models.configured, languages=wording.languages(),
        locale=locale, typed=typed or {}, refusal=refusal, writer=room_routes.writer(request, locale),
        used=await _used(request, who), quota=house.settings.solve_quota_limit,
        period=house.settings.solve_quota_period,
    )  # fmt: skip


async def _used(request: Request, who: Actor) -> int | None:
    """How many sessions the space has opened in the period: for all under a quota, else for its administrators."""
    house = deps.installation(request)
    if house.settings.solve_quota_limit is None and ADMIN not in who.roles:
        return None
    account = facts.quota_account(who.space, house.settings.solve_quota_period, house.clock.now())
    return await deps.settle(house.store.read(lambda tx: sessions.count(tx, account)))


def _page(request: Request, name: str, **context: Any) -> Response:
    """A page about many sessions speaks the reader's language: that of a session they would begin now."""
    now, locale = to_text(deps.installation(request).clock.now()), edge.locale(request)
    return answer.page(request, name, w=wording.words(locale), lang=wording.LANGUAGES[locale], now=now, **context)


def _answered(spoken: talk.Talk) -> bool:
    """Whether a model said anything in this conversation."""
    return any(said.who == "assistant" and said.turn.source == "model" for said in spoken.said)


def _bars(trend: list[dict[str, Any]], most: int) -> list[dict[str, float]]:
    """The days as bars of a chart: where each begins and how high it is."""
    return [
        {
            "x": place * BAR_WIDTH,
            "created": round(CHART_HEIGHT * day["created"] / most, 2),
            "completed": round(CHART_HEIGHT * day["completed"] / most, 2),
        }
        for place, day in enumerate(trend)
    ]


# Literal paths stand before the paths with an id.
router.include_router(room_routes.router)
