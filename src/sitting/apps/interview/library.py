"""The routes of the challenge library: built-in challenges first, then the space's own."""

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
from ...web import answer, deps
from . import challenges, clock, edge, figures
from .edge import interviewer
from .refusals import CHALLENGE_NOT_FOUND

router = APIRouter(tags=["challenges"])
Who = Annotated[Actor, Depends(interviewer)]
KIND = "challenge"
EVERY = 10_000
CATEGORIES = ("algorithms", "data_structures", "system_design", "coding", "debugging", "optimization", "other")
DIFFICULTIES = ("easy", "medium", "hard")


@router.get("/challenges")
async def index(request: Request, who: Who) -> Response:
    """The library, filtered."""
    limit = deps.integer(request, "limit", 50, low=1, high=100)
    offset = deps.integer(request, "offset", 0, low=0, high=1_000_000)
    chosen = {
        "category": deps.choice(request, "category", "", ("", *CATEGORIES)),
        "difficulty": deps.choice(request, "difficulty", "", ("", *DIFFICULTIES)),
        "tag": deps.text(request, "tag", limit=40),
        "q": deps.text(request, "q"),
    }
    every = [item for item in await known(request, who) if challenges.matches(item, **chosen)]
    body = {"items": every[offset : offset + limit], "total": len(every), "limit": limit, "offset": offset}
    return answer.respond(
        request, body, "interview/challenges.html", **body, **chosen, categories=CATEGORIES, difficulties=DIFFICULTIES
    )


@router.get("/challenges/stats")
async def stats(request: Request, who: Who) -> Response:
    """How often each challenge was used, and with what effort in the middle."""
    used: dict[str, list[tuple[int, int]]] = {}
    listing = await deps.settle(edge.engine(request).list(edge.KIND, who, Where(limit=EVERY)))
    for seen in listing.items:
        if seen.session.subject:
            active = clock.active_ms(seen.session, seen.now) // 1000
            used.setdefault(seen.session.subject, []).append((active, clock.tokens_used(seen.session)))
    items = [
        {"id": item["id"], "title": item["title"], **figures.challenge_stats(used.get(item["id"], []))}
        for item in await known(request, who)
    ]
    return answer.json({"items": items})


@router.get("/challenges/new")
async def new(request: Request, who: Who) -> Response:
    """The form for a challenge of one's own."""
    return _form(request, {}, {}, status=200, item=None)


@router.post("/challenges")
async def create(request: Request, who: Who) -> Response:
    """Write a challenge."""
    if deps.is_form(request):
        form = await deps.form(request)
        try:
            command = strict.check(challenges.CreateChallenge, _from_form(form))
        except errors.Invalid as error:
            return _form(request, dict(form), edge.sentences(error), status=422, item=None)
        return await _open(request, who, command)
    return await _open(request, who, await deps.read(request, challenges.CreateChallenge))


@router.get("/challenges/{id}")
async def show(request: Request, id: str, who: Who) -> Response:
    """One challenge, whole."""
    item = await one(request, who, id)
    mine = not item["built_in"] and (item["creator"] == who.id or "admin" in who.roles)
    return answer.respond(request, item, "interview/challenge.html", challenge=item, mine=mine)


@router.get("/challenges/{id}/edit")
async def edit(request: Request, id: str, who: Who) -> Response:
    """The form for changing one."""
    challenges.guard(id)
    item = await one(request, who, id)
    return _form(request, item, {}, status=200, item=item)


@router.patch("/challenges/{id}")
async def change(request: Request, id: str, who: Who) -> Response:
    """Change one of one's own."""
    challenges.guard(id)
    return await _do(request, id, who, await deps.read(request, challenges.EditChallenge))


@router.post("/challenges/{id}/edit")
async def change_from_form(request: Request, id: str, who: Who) -> Response:
    """The same from the form."""
    challenges.guard(id)
    form = await deps.form(request)
    try:
        command = strict.check(challenges.EditChallenge, _from_form(form))
    except errors.Invalid as error:
        return _form(request, dict(form), edge.sentences(error), status=422, item=await one(request, who, id))
    return await _do(request, id, who, command)


@router.post("/challenges/{id}/archive")
async def archive(request: Request, id: str, who: Who) -> Response:
    """Offer it no longer; it stays in the interviews that use it."""
    challenges.guard(id)
    return await _do(request, id, who, challenges.ArchiveChallenge())


@router.delete("/challenges/{id}")
async def delete(request: Request, id: str, who: Who) -> Response:
    """The same as archiving: nothing in use is ever deleted."""
    challenges.guard(id)
    future = edge.engine(request).do(id, challenges.ArchiveChallenge(), who, kind=KIND)
    await edge.found(future, CHALLENGE_NOT_FOUND)
    return Response(status_code=204)


@router.post("/challenges/{id}/restore")
async def restore(request: Request, id: str, who: Who) -> Response:
    """Offer it again."""
    challenges.guard(id)
    return await _do(request, id, who, challenges.RestoreChallenge())


@router.post("/challenges/{id}/copy")
async def copy(request: Request, id: str, who: Who) -> Response:
    """A new challenge of one's own, to change."""
    return await _open(request, who, challenges.copy_of(await one(request, who, id)))


async def known(request: Request, who: Actor) -> list[dict[str, Any]]:
    """Every challenge this person sees, the built-in ones first."""
    listing = await deps.settle(edge.engine(request).list(KIND, who, Where(limit=EVERY)))
    built_in = [challenges.built_in(id) for id in challenges.BUILT_IN]
    return [item for item in built_in if item is not None] + [seen.view for seen in listing.items]


async def offered(request: Request, who: Actor) -> list[dict[str, Any]]:
    """The challenges a new interview may use."""
    return [item for item in await known(request, who) if item["status"] == "active"]


async def one(request: Request, who: Actor, id: str) -> dict[str, Any]:
    """A challenge by id. Raises NotFound."""
    item = challenges.built_in(id)
    if item is not None:
        return item
    seen = await edge.found(edge.engine(request).view(id, who, kind=KIND), CHALLENGE_NOT_FOUND)
    return seen.view


async def _open(request: Request, who: Actor, command: Command) -> Response:
    def render(done: Done) -> Response:
        place = f"/challenges/{done.session.id}"
        if deps.is_form(request):
            return answer.redirect(place)
        view = edge.engine(request).kinds[KIND].view(done.session, done.audience, done.now)
        return answer.json(view, 201, {"Location": place})

    once = await deps.once(request, who, render)
    return deps.answered(await deps.settle(edge.engine(request).open(KIND, command, who, once=once)), render)


async def _do(request: Request, id: str, who: Actor, command: Command) -> Response:
    def render(done: Done) -> Response:
        if deps.is_form(request):
            return answer.redirect(f"/challenges/{id}")
        return answer.json(edge.engine(request).kinds[KIND].view(done.session, done.audience, done.now))

    once = await deps.once(request, who, render)
    future = edge.engine(request).do(id, command, who, kind=KIND, expect=deps.expected(request), once=once)
    return deps.answered(await edge.found(future, CHALLENGE_NOT_FOUND), render)


def _from_form(form: deps.Form) -> dict[str, Any]:
    """Lists are one entry a line; a test case is `input => expected`."""
    lines = {name: [line for line in form.get(name, "").splitlines() if line.strip()] for name in ("hints", "test_cases")}
    minutes = form.get("estimated_minutes", "60").strip()
    return {
        **{name: form.get(name, "") for name in ("title", "description", "category", "difficulty", "instructions", "starter_code")},
        "hints": lines["hints"],
        "tags": [tag.strip() for tag in form.get("tags", "").split(",") if tag.strip()],
        "test_cases": [
            {"input": given.strip(), "expected": expected.strip()}
            for given, _, expected in (line.partition("=>") for line in lines["test_cases"])
        ],
        "estimated_duration": int(minutes) * 60 if minutes.isdecimal() and len(minutes) < 6 else minutes,
    }


def _form(request: Request, values: dict[str, Any], faults: dict[str, str], *, status: int, item: Any) -> Response:
    return answer.page(
        request, "interview/challenge_form.html", status=status, values=values, errors=faults, item=item,
        categories=CATEGORIES, difficulties=DIFFICULTIES,
    )  # fmt: skip
