"""The generic pages: what is running and what waits for somebody, lists, the form for a new session, help.

They work for every kind, also for one that nobody has written a page for. An application's own pages win: where a kind
has them, links lead there.
"""

from __future__ import annotations

from asyncio import gather
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from .. import errors
from ..config import Settings, masked, visible
from ..core.actor import ADMIN, Actor
from ..core.kind import Kind
from ..core.lifecycle import CREATE
from ..engine import Done, Listing, Seen, Where
from ..installation import App, Installation
from . import account, answer, cards, deps, forms, session
from .errors import status_of

router = APIRouter(include_in_schema=False)
router.include_router(session.router)
router.include_router(account.router)
Who = Annotated[Actor, Depends(session.person)]
NEWEST = 50
PAGE = 25


@router.get("/")
async def home(request: Request, who: Who) -> Response:
    """What waits for the one who looks, and what else runs, among the newest of each kind."""
    installation = deps.installation(request)
    found = [
        seen
        for each in await gather(*(_newest(installation, kind, who) for kind in installation.kinds.values()))
        for seen in each
    ]
    found.sort(key=lambda seen: seen.session.updated_at or seen.now, reverse=True)
    shown = [(seen, cards.card(installation, seen)) for seen in found]
    return answer.page(
        request,
        "home.html",
        needs_me=[card for _, card in shown if card["needs"]],
        running=[
            card for seen, card in shown if not card["needs"] and _runs(installation.kinds[seen.session.kind], seen)
        ],
        kinds=[entry for app in installation.apps for entry in _entries(app)],
    )


@router.get("/kinds/{kind}")
async def index(request: Request, kind: str, who: Who) -> Response:
    """The sessions of a kind."""
    installation = deps.installation(request)
    definition = deps.kind(request, kind)
    states = definition.lifecycle.states
    where = Where(
        state=deps.choice(request, "state", "", ("", *states)),
        q=deps.text(request, "q"),
        limit=deps.integer(request, "limit", PAGE, low=1, high=100),
        offset=deps.integer(request, "offset", 0, low=0, high=1_000_000),
    )
    listing = await deps.settle(installation.engine.list(kind, who, where))
    return answer.page(
        request,
        "list.html",
        kind=_described(definition),
        items=[cards.card(installation, seen) for seen in listing.items],
        total=listing.total,
        limit=where.limit,
        offset=where.offset,
        q=where.q,
        state=where.state,
        states=states,
        url=f"/kinds/{kind}",
    )


@router.get("/kinds/{kind}/new")
async def new(request: Request, kind: str, who: Who) -> Response:
    """The form for a new session."""
    return _form(request, _creatable(request, kind))


@router.post("/kinds/{kind}/new")
async def create(request: Request, kind: str, who: Who) -> Response:
    """Make the session, or show what is wrong with everything still filled in."""
    installation = deps.installation(request)
    definition = _creatable(request, kind)
    command, form = definition.commands[CREATE], await deps.form(request)

    def render(done: Done) -> Response:
        return answer.redirect(cards.address(installation, kind, done.session.id))

    try:
        asked = forms.read(command, form)
        once = await deps.once(request, who, render)
        done = await deps.settle(installation.engine.open(kind, asked, who, once=once))
    except errors.Refusal as refusal:
        if not answer.accepts_html(request) or isinstance(refusal, errors.KeyReused):
            raise
        return _form(request, definition, values=forms.kept(command, form), refusal=refusal)
    return deps.answered(done, render)


@router.get("/help")
async def help_index(request: Request) -> Response:
    """What this is, in a few sentences."""
    await deps.maybe(request)
    apps = deps.installation(request).apps
    return answer.page(
        request, "help.html", apps=[{"title": app.title, "description": app.description} for app in apps]
    )


@router.get("/help/models")
async def help_models(request: Request) -> Response:
    """How to set a language model up, and which one there is. Values of settings are for admins."""
    known = await deps.maybe(request)
    installation = deps.installation(request)
    admin = known is not None and ADMIN in known.actor.roles
    settings = installation.settings
    told = installation.models.describe()
    return answer.page(
        request,
        "help_models.html",
        describe={
            "configured": told["kind"] != "none",
            "ready": told["ready"],
            "provider": told["kind"],
            "model": told["default"],
            "reason": told["help"],
            "window": settings.model_window if told["kind"] == "openai" else None,
            "endpoint": masked(settings.model_url) if admin else "",
            "aliases": settings.model_aliases,
        },
        settings=_model_settings(settings) if admin else [],
    )


async def _newest(installation: Installation, kind: Kind, who: Actor) -> tuple[Seen, ...]:
    """The newest sessions of a kind, and behind them the newest that still run."""
    engine = installation.engine
    newest = await deps.settle(engine.list(kind.name, who, Where(limit=NEWEST)))
    if newest.total <= NEWEST or not kind.lifecycle.final:
        return newest.items
    going = [state for state in kind.lifecycle.states if state not in kind.lifecycle.final]
    more: list[Listing] = await gather(
        *(deps.settle(engine.list(kind.name, who, Where(state=state, limit=NEWEST))) for state in going)
    )
    by_id = {seen.session.id: seen for listing in (newest, *more) for seen in listing.items}
    return tuple(by_id.values())


def _runs(kind: Kind, seen: Seen) -> bool:
    """A session of a kind that never ends (a library, a team) is a thing, not something that runs."""
    return bool(kind.lifecycle.final) and seen.session.state not in kind.lifecycle.final


def _entries(app: App) -> list[dict[str, Any]]:
    """What can be started: an application with its own pages, else each of its kinds."""
    if app.home:
        return [
            {
                "name": app.name,
                "title": app.title,
                "description": app.description,
                "url": app.home,
                "create_url": app.create,
            }
        ]
    return [_described(kind) for kind in app.kinds]


def _described(kind: Kind) -> dict[str, Any]:
    url = f"/kinds/{kind.name}"
    return {
        "name": kind.name,
        "title": cards.title(kind),
        "description": kind.description,
        "url": url,
        "create_url": f"{url}/new" if cards.can_create(kind) else "",
    }


def _creatable(request: Request, name: str) -> Kind:
    kind = deps.kind(request, name)
    if not cards.can_create(kind):
        raise errors.NotFound("Nobody makes sessions of this kind by hand.")
    return kind


def _form(
    request: Request, kind: Kind, *, values: dict[str, Any] | None = None, refusal: errors.Refusal | None = None
) -> Response:
    command = kind.commands[CREATE]
    return answer.page(
        request,
        "create.html",
        status=200 if refusal is None else status_of(refusal),
        kind=_described(kind),
        fields=forms.fields(command),
        values=values or {},
        errors={} if refusal is None else forms.faults(command, refusal),
        action=f"/kinds/{kind.name}/new",
    )


def _model_settings(settings: Settings) -> list[dict[str, str]]:
    """The settings that concern the model, without what is secret in them."""
    return [
        {
            "name": f"SITTING_{name.upper()}",
            "value": str(value),
            "help": Settings.model_fields[name].description or "",
        }
        for name, value in visible(settings).items()
        if name == "model" or name.startswith("model_")
    ]
