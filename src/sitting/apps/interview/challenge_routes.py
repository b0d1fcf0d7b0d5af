"""The routes of the challenge library: built-in challenges first, then the space's own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.kind import Command
from ...engine import Done, Where
from ...web import answer, deps, forms
from ...web.again import Refused
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
        request, body, "interview/challenges.html", page=body, chosen=chosen, categories=CATEGORIES,
        difficulties=DIFFICULTIES,
    )  # fmt: skip


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
    return _form(request, _BLANK)


@router.post("/challenges")
async def create(request: Request, who: Who) -> Response:
    """Write a challenge."""
    if not deps.is_form(request):
        return await _open(request, who, await deps.read(request, challenges.CreateChallenge))
    form = forms.typed(await deps.form(request))

    async def created() -> Response:
        return await _open(request, who, strict.check(challenges.CreateChallenge, _from_form(form)))

    async def again(refused: Refused) -> Response:
        return _form(request, form, refused)

    return await Refused.or_again(request, "challenge", created(), again)


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
    return _form(request, _as_form(item), item=item)


@router.patch("/challenges/{id}")
async def change(request: Request, id: str, who: Who) -> Response:
    """Change one of one's own."""
    challenges.guard(id)
    await one(request, who, id)
    return await _do(request, id, who, await deps.read(request, challenges.EditChallenge))


@router.post("/challenges/{id}/edit")
async def change_from_form(request: Request, id: str, who: Who) -> Response:
    """The same from the form. A field whose text was left alone is left alone: a form cannot show every value whole."""
    challenges.guard(id)
    item, form = await one(request, who, id), forms.typed(await deps.form(request))
    before = _as_form(item)

    async def changed() -> Response:
        wished = {name: value for name, value in form.items() if value != before.get(name)}
        return await _do(request, id, who, strict.check(challenges.EditChallenge, _from_form(wished)))

    async def again(refused: Refused) -> Response:
        return _form(request, form, refused, item=item)

    return await Refused.or_again(request, "challenge", changed(), again)


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
    """Every challenge this person sees, the built-in ones first; none whose texts are erased."""
    listing = await deps.settle(edge.engine(request).list(KIND, who, Where(limit=EVERY)))
    built_in = [challenges.built_in(id) for id in challenges.BUILT_IN]
    own = [seen.view for seen in listing.items if challenges.is_whole(seen.session)]
    return [item for item in built_in if item is not None] + own


async def offered(request: Request, who: Actor, *, also: str | None = None) -> list[dict[str, Any]]:
    """The challenges a new interview may use, and the one it uses already."""
    return [item for item in await known(request, who) if item["status"] == "active" or item["id"] == also]


async def one(request: Request, who: Actor, id: str) -> dict[str, Any]:
    """A challenge by id. Raises NotFound."""
    item = challenges.built_in(id)
    if item is not None:
        return item
    seen = await edge.found(edge.engine(request).view(id, who, kind=KIND), CHALLENGE_NOT_FOUND)
    if not challenges.is_whole(seen.session):
        raise errors.NotFound(CHALLENGE_NOT_FOUND)
    return seen.view


async def _open(request: Request, who: Actor, command: Command) -> Response:
    def render(done: Done) -> Response:
        place = f"/challenges/{done.session.id}"
        if edge.leads_back(request):
            return answer.redirect(place)
        view = edge.engine(request).kinds[KIND].view(done.session, done.audience, done.now)
        return answer.json(view, 201, {"Location": place})

    once = await deps.once(request, who, render)
    return deps.answered(await deps.settle(edge.engine(request).open(KIND, command, who, once=once)), render)


async def _do(request: Request, id: str, who: Actor, command: Command) -> Response:
    def render(done: Done) -> Response:
        if edge.leads_back(request):
            return answer.redirect(f"/challenges/{id}")
        return answer.json(edge.engine(request).kinds[KIND].view(done.session, done.audience, done.now))

    once = await deps.once(request, who, render)
    future = edge.engine(request).do(id, command, who, kind=KIND, expect=deps.expected(request), once=once)
    return deps.answered(await edge.found(future, CHALLENGE_NOT_FOUND), render)


_LINES = ("title", "description", "category", "difficulty", "instructions", "starter_code")
_BLANK = {"category": "coding", "difficulty": "medium", "estimated_minutes": "60"}


def _from_form(form: Mapping[str, str]) -> dict[str, Any]:
    """The fields that are there. Lists are one entry a line; a test case is `input => expected`."""
    values: dict[str, Any] = {name: form[name] for name in _LINES if name in form}
    if "hints" in form:
        values["hints"] = _entries(form["hints"])
    if "tags" in form:
        values["tags"] = [tag.strip() for tag in form["tags"].split(",") if tag.strip()]
    if "test_cases" in form:
        halves = [line.partition("=>") for line in _entries(form["test_cases"])]
        values["test_cases"] = [{"input": given.strip(), "expected": right.strip()} for given, _, right in halves]
    if "estimated_minutes" in form:
        minutes = form["estimated_minutes"].strip()
        values["estimated_duration"] = int(minutes) * 60 if re.fullmatch(r"[0-9]{1,5}", minutes, re.ASCII) else None
    return values


def _entries(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _as_form(item: Mapping[str, Any]) -> dict[str, str]:
    """A challenge as the form shows it."""
    cases = [f"{case['input']} => {case['expected']}" for case in item["test_cases"] or ()]
    return {
        **{name: item[name] or "" for name in _LINES}, "hints": "\n".join(item["hints"] or ()),
        "tags": ", ".join(item["tags"] or ()), "test_cases": "\n".join(cases),
        "estimated_minutes": f"{item['estimated_duration'] / 60:g}",
    }  # fmt: skip


def _form(request: Request, values: Mapping[str, str], refused: Refused | None = None, *, item: Any = None) -> Response:
    faults = dict(refused.fields or {"_": refused.message}) if refused else {}
    if faults.pop("estimated_duration", None):
        faults["estimated_minutes"] = "Minutes must be a whole number from 1 to 180"
    return answer.page(
        request, "interview/challenge_form.html", status=refused.status if refused else 200, values=values,
        errors=faults, item=item, categories=CATEGORIES, difficulties=DIFFICULTIES,
    )  # fmt: skip
