"""The interviewer's routes: one path, two forms. A page where `Accept` names text/html, else JSON."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.kind import Command
from ...engine import Done, Where
from ...web import answer, deps, forms, stream
from ...web.again import Refused, sentences
from ...web.refusals import UnsupportedMedia
from . import (
    candidate_routes,
    challenge_routes,
    clock,
    commands,
    edge,
    figures,
    judging_routes,
    terms,
    views,
    wording,
)
from .edge import KIND, interviewer
from .refusals import CHALLENGE_NOT_FOUND

router = APIRouter(tags=["interview"])
Who = Annotated[Actor, Depends(interviewer)]
MOVES: dict[str, type[Command]] = {
    "start": commands.Start,
    "pause": commands.Pause,
    "resume": commands.Resume,
    "end": commands.End,
    "extend-time": commands.ExtendTime,
    "extend-tokens": commands.ExtendTokens,
}
FORM_FIELDS = (
    "candidate_name", "candidate_email", "time_limit_minutes", "token_budget", "model_name", "challenge_id",
    "challenge_text",
)  # fmt: skip
FORM_SETTINGS = ("helper", "start_by", "integrity_marks")
FIELD_OF = {"time_limit_minutes": "time_limit"}
# What a number's sentences start with, and the sentence for what is no number.
NO_NUMBER = {
    "time_limit_minutes": ("Time limit", "Time limit must be a whole number of minutes"),
    "token_budget": ("Token budget", "Token budget must be a whole number"),
}
MESSAGES_SHOWN = 1000
PROBLEMS = candidate_routes.PROBLEMS
SECRETS = (r"(/i/)[^/]+",)
NOBODY = "user:nobody"  # no account has this id: theirs are random


@router.post("/interviews")
async def create(request: Request, who: Who) -> Response:
    """Plan an interview."""
    if deps.is_form(request):
        return await create_from_form(request, who)
    if await request.body() and deps.media_type(request) != "application/json":
        raise UnsupportedMedia()
    command = strict.check(commands.Create, _with_defaults(request, strict.loads(await request.body() or b"{}")))

    def render(done: Done) -> Response:
        made = edge.whole(request, done.session, done.audience, done.now)
        return answer.json(made, 201, {"Location": f"/interviews/{done.session.id}"})

    once = await deps.once(request, who, render)
    return deps.answered(await deps.settle(edge.engine(request).open(KIND, command, who, once=once)), render)


@router.get("/interviews")
async def index(request: Request, who: Who) -> Response:
    """The actor's interviews, newest first."""
    limit = deps.integer(request, "limit", 50, low=1, high=100)
    offset = deps.integer(request, "offset", 0, low=0, high=1_000_000)
    state = deps.choice(request, "status", "", ("", *terms.EVERY))
    q = deps.text(request, "q")
    where = Where(state=state, q=q, limit=limit, offset=offset)
    listing = await deps.settle(edge.engine(request).list(KIND, who, where))
    items = [edge.listed(request, seen) for seen in listing.items]
    body = {"items": items, "total": listing.total, "limit": limit, "offset": offset}
    return answer.respond(request, body, "interview/list.html", page=body, q=q, status_filter=state, states=terms.EVERY)


@router.get("/interviews/new")
async def new(request: Request, who: Who) -> Response:
    """The form."""
    return await _form(request, who, {}, {}, status=200)


@router.post("/interviews/new")
async def create_from_form(request: Request, who: Who) -> Response:
    """Plan an interview from the form: all faults at once, values kept."""
    form = forms.typed(await deps.form(request))
    if unknown := set(form) - {*FORM_FIELDS, *FORM_SETTINGS}:
        raise errors.Invalid(
            fields=[{"field": name, "message": "is not a field of this form"} for name in sorted(unknown)]
        )

    def render(done: Done) -> Response:
        return answer.redirect(f"/interviews/{done.session.id}?created=1")

    try:
        command = strict.check(commands.Create, _with_defaults(request, _from_form(form)))
        once = await deps.once(request, who, render)
        done = await deps.settle(edge.engine(request).open(KIND, command, who, once=once))
    except errors.KeyReused:
        raise
    except errors.Invalid as error:
        return await _form(request, who, form, sentences(error), status=422)
    return deps.answered(done, render)


@router.get("/interviews/compare")
async def compare(request: Request, who: Who) -> Response:
    """Two to six interviews side by side. `ids` holds commas or is repeated, as a form with boxes sends it."""
    named = ",".join(request.query_params.getlist("ids"))[:400].split(",")
    ids = list(dict.fromkeys(id for id in named if id))
    if not 2 <= len(ids) <= 6:
        if answer.accepts_html(request):
            return answer.page(request, "interview/compare.html", status=422, items=[])
        raise errors.Invalid.field("ids", "Choose 2 to 6 interviews to compare")
    items = []
    for id in ids:
        seen, events = await edge.everything(request, id, who)
        items.append({
            "id": seen.session.id, "candidate_name": seen.view["candidate_name"],
            "analytics": figures.analytics(seen.session, events, seen.now),
            "scores": views.scorecards(seen.session, who.id),
        })  # fmt: skip
    shown = [{**item, "rows": wording.rows(item["analytics"])} for item in items]
    judges = [card["interviewer"] for item in items for card in item["scores"]["others"]]
    names = await deps.names(request, judges, who) if answer.accepts_html(request) else {}
    return answer.respond(request, {"items": items}, "interview/compare.html", items=shown, names=names, wide=True)


@router.get("/interviews/{id}")
async def show(request: Request, id: str, who: Who) -> Response:
    """One interview; its page is the live monitor."""
    if answer.accepts_html(request):
        return await _monitor(request, id, who)
    seen = await edge.see(request, id, who)
    made = edge.whole(request, seen.session, seen.audience, seen.now)
    return answer.json(made, headers={"ETag": f'"{seen.session.position}"', "Vary": "Accept"})


@router.patch("/interviews/{id}")
async def update(request: Request, id: str, who: Who) -> Response:
    """Change what may still be changed."""
    command = await edge.asked_of(request, id, who, commands.Update)
    return await edge.carry_out(request, id, command, who, edge.shown(request))


@router.post("/interviews/{id}/update")
async def update_from_form(request: Request, id: str, who: Who) -> Response:
    """The same from a form, which cannot PATCH: the fields that are there count."""

    async def changed() -> Response:
        await edge.see(request, id, who)
        command = strict.check(commands.Update, _from_form(forms.typed(await deps.form(request))))
        return await edge.carry_out(request, id, command, who, edge.shown(request))

    return await _or_monitor(request, id, who, "update", changed())


@router.delete("/interviews/{id}")
async def delete(request: Request, id: str, who: Who) -> Response:
    """Erase an interview that is not running."""
    await edge.see(request, id, who)
    await edge.found(edge.engine(request).erase(id, who, expect=deps.expected(request)))
    return Response(status_code=204)


@router.post("/interviews/{id}/delete")
async def delete_from_form(request: Request, id: str, who: Who) -> Response:
    """The same from a form."""

    async def deleted() -> Response:
        await delete(request, id, who)
        return answer.redirect("/interviews")

    return await _or_monitor(request, id, who, "delete", deleted())


@router.get("/interviews/{id}/remaining")
async def remaining(request: Request, id: str, who: Who) -> Response:
    """What is left of time and tokens."""
    seen = await edge.see(request, id, who)
    return answer.json(views.remaining(seen.session, seen.now))


@router.get("/interviews/{id}/messages")
async def messages(request: Request, id: str, who: Who) -> Response:
    """The transcript after a position."""
    after = deps.integer(request, "after", 0, low=0, high=2**53)
    limit = deps.integer(request, "limit", 100, low=1, high=200)
    found = edge.engine(request).selected(id, who, terms.SAID, after=after, limit=limit, newest=False)
    return edge.transcript(await edge.found(found), limit)


@router.get("/interviews/{id}/events")
@router.head("/interviews/{id}/events", include_in_schema=False)
async def events(request: Request, id: str) -> Response:
    """The live protocol, as the interviewer sees it."""
    await edge.see(request, id, await interviewer(request))
    return await stream.events(request, id, interviewer)


@router.get("/interviews/{id}/turns/{turn}/stream")
async def turn_stream(request: Request, id: str, turn: str) -> Response:
    """One reply as it is written."""
    await edge.see(request, id, await interviewer(request))
    return await stream.turn(request, id, turn, interviewer, written=edge.WRITTEN)


@router.post("/interviews/{id}/turns/{turn}/cancel")
async def turn_cancel(request: Request, id: str, turn: str, who: Who) -> Response:
    """Stop a reply; what was written stays."""

    async def stopped() -> Response:
        command = await edge.cancelling(request, id, turn, who)
        return await edge.carry_out(request, id, command, who, edge.shown(request))

    return await _or_monitor(request, id, who, "cancel", stopped())


@router.get("/interviews/{id}/analytics")
async def analytics(request: Request, id: str, who: Who) -> Response:
    """Figures with their formulas' meaning, never a verdict."""
    seen, events = await edge.everything(request, id, who)
    return answer.json(figures.analytics(seen.session, events, seen.now))


@router.get("/interviews/{id}/ledger")
async def ledger(request: Request, id: str, who: Who) -> Response:
    """Why the numbers are what they are."""
    seen, events = await edge.everything(request, id, who)
    return answer.json(figures.ledger(seen.session, events, seen.now))


@router.post("/interviews/{id}/link")
async def link(request: Request, id: str, who: Who) -> Response:
    """Make a new link, or end the one there is."""

    def render(done: Done) -> Response:
        if edge.leads_back(request):
            return answer.redirect(f"/interviews/{id}")
        made = edge.whole(request, done.session, done.audience, done.now)
        return answer.json({"join_url": made["join_url"], "expires_at": made["link_expires_at"]})

    async def changed() -> Response:
        body = await edge.asked_of(request, id, who, edge.LinkAction)
        revoke = body.action == "revoke"
        command = commands.RevokeLink() if revoke else commands.RotateLink(expires_in=body.expires_in)
        return await edge.carry_out(request, id, command, who, render)

    return await _or_monitor(request, id, who, "link", changed())


@router.post("/interviews/{id}/interviewers")
async def add_interviewer(request: Request, id: str, who: Who) -> Response:
    """Let another person interview too."""

    async def added() -> Response:
        invited = await edge.asked_of(request, id, who, edge.Invitation)
        command = commands.AddInterviewer(actor_id=await _account(request, invited.actor_id.strip()))
        return await edge.carry_out(request, id, command, who, edge.shown(request))

    return await _or_monitor(request, id, who, "add-interviewer", added())


@router.delete("/interviews/{id}/interviewers/{actor}")
async def remove_interviewer(request: Request, id: str, actor: str, who: Who) -> Response:
    """Take an interviewer's access; the last one stays."""
    return await edge.carry_out(request, id, _removal(actor), who, lambda done: Response(status_code=204))


@router.post("/interviews/{id}/interviewers/{actor}/remove")
async def remove_interviewer_from_form(request: Request, id: str, actor: str, who: Who) -> Response:
    """The same from a form."""
    place = "/interviews" if actor == who.id else f"/interviews/{id}"
    removed = edge.carry_out(request, id, _removal(actor), who, lambda done: answer.redirect(place))
    return await _or_monitor(request, id, who, "remove-interviewer", removed)


@router.post("/interviews/{id}/{move}")
async def move(request: Request, id: str, move: str, who: Who) -> Response:
    """start, pause, resume, end, extend-time, extend-tokens."""
    if move not in MOVES:
        raise errors.NotFound("There is nothing here.")

    async def moved() -> Response:
        command = await edge.asked_of(request, id, who, MOVES[move])
        return await edge.carry_out(request, id, command, who, edge.shown(request))

    return await _or_monitor(request, id, who, move, moved())


async def _or_monitor(request: Request, id: str, who: Actor, form: str, answering: Awaitable[Response]) -> Response:
    return await Refused.or_again(request, form, answering, lambda refused: _monitor(request, id, who, refused))


async def _monitor(request: Request, id: str, who: Actor, refused: Refused | None = None) -> Response:
    seen, messages, writing = await edge.talk(request, id, who, limit=MESSAGES_SHOWN)
    shown = edge.whole(request, seen.session, seen.audience, seen.now)
    challenge_id = seen.session.data["challenge_id"]
    return answer.page(
        request, "interview/monitor.html", status=refused.status if refused else 200,
        headers={"Vary": "Accept", **(refused.headers if refused else {})}, wide=True, refused=refused,
        session=shown, messages=messages, writing=writing, remaining=views.remaining(seen.session, seen.now),
        remaining_ms=clock.remaining_ms(seen.session, seen.now), challenge=views.challenge(seen.session, seen.audience),
        notes=views.notes(seen.session, who.id), online=edge.presence(request, id),
        created="created" in request.query_params, given_reason=await edge.given_reason(request, seen.session, who),
        unanswered=edge.unanswered(request, seen.session), model=_named(request, shown["model_name"]),
        allowed=seen.allowed, me=who.id, models=terms.MODEL_NAMES,
        names=await deps.names(request, shown["interviewers"], who),
        start_by=views.setting(seen.session, "start_by"), estimated=clock.estimated_queries_left(seen.session),
        challenge_choices=await _choices(request, who, challenge_id) if shown["status"] == "created" else [],
    )  # fmt: skip


async def _choices(request: Request, who: Actor, present: str | None) -> list[tuple[str, str]]:
    return [(item["id"], item["title"] or "") for item in await challenge_routes.offered(request, who, also=present)]


async def _account(request: Request, named: str) -> str:
    """The account of this id or e-mail address; the command asks whether it belongs to the space.

    Nobody's for one that is unknown: it goes the way of an account elsewhere, so no answer tells the two apart.
    """
    try:
        return await deps.settle(deps.installation(request).access.find_account(named))
    except errors.NotFound:
        return NOBODY


def _removal(actor: str) -> commands.RemoveInterviewer:
    try:
        return strict.check(commands.RemoveInterviewer, {"actor_id": actor})
    except errors.Invalid:
        raise errors.NotFound("Interviewer not found") from None


def _with_defaults(request: Request, value: Any) -> Any:
    """The operator's defaults for what was not said; a name that was not said is an empty one."""
    if not isinstance(value, dict):
        return value
    settings = deps.installation(request).settings
    return {
        "candidate_name": "", "time_limit": settings.interview_time_limit,
        "token_budget": settings.interview_token_budget, "model_name": settings.interview_model, **value,
    }  # fmt: skip


def _from_form(form: Mapping[str, str]) -> dict[str, Any]:
    """The fields of a form that are there, as the command knows them. Minutes are the form's own."""
    values: dict[str, Any] = {name: form[name] for name in ("candidate_name", "model_name") if name in form}
    values |= {name: form[name].strip() or None for name in ("candidate_email", "challenge_id") if name in form}
    if "challenge_text" in form:
        values["challenge_text"] = form["challenge_text"] if form["challenge_text"].strip() else None
    if "time_limit_minutes" in form:
        values["time_limit"] = _whole(form["time_limit_minutes"], 60)
    if "token_budget" in form:
        values["token_budget"] = _whole(form["token_budget"], 1)
    config: dict[str, Any] = {name: form[name] for name in ("helper", "start_by") if form.get(name)}
    if form.get("integrity_marks"):
        config["integrity_marks"] = True
    return {**values, "config": config} if config else values


def _whole(text: str, unit: int) -> int | None:
    """A number in its unit; None for what is no whole number, for the validator to refuse."""
    text = text.strip()
    return int(text) * unit if re.fullmatch(r"-?[0-9]{1,12}", text, re.ASCII) else None


def _faults(found: Mapping[str, str]) -> dict[str, str]:
    """Field of the form -> sentence, in the order of the form."""
    rest = dict(found)
    faults = {}
    for field in (*FORM_FIELDS, *FORM_SETTINGS):
        sentence = rest.pop(FIELD_OF.get(field, field), None)
        if sentence is not None:
            opening, otherwise = NO_NUMBER.get(field, ("", ""))
            faults[field] = sentence if sentence.startswith(opening) else otherwise
    return faults | rest


async def _form(
    request: Request, who: Actor, values: Mapping[str, str], found: dict[str, str], *, status: int
) -> Response:
    settings = deps.installation(request).settings
    challenges = await challenge_routes.offered(request, who)
    if (chosen := values.get("challenge_id", "").strip()) and chosen not in {item["id"] for item in challenges}:
        found = {**found, "challenge_id": CHALLENGE_NOT_FOUND}
    faults = _faults(found)
    return answer.page(
        request, "interview/new.html", status=status, values=values, faults=[f"❌ {text}" for text in faults.values()],
        errors=faults, models=[(name, _named(request, name)) for name in terms.MODEL_NAMES], challenges=challenges,
        helpers=terms.HELPERS, starters=terms.STARTERS,
        default_minutes=settings.interview_time_limit // 60, default_budget=settings.interview_token_budget,
        default_model=settings.interview_model,
    )  # fmt: skip


def _named(request: Request, name: str) -> str:
    """A name as an interviewer reads it: with the model that would answer, unless it says so itself."""
    try:
        real = deps.installation(request).models.get(name).name
    except errors.ModelNotConfigured:
        return name
    return name if real == name else f"{name} (here: {real})"


# Order decides: literal paths before `{id}`, and the moves' catch-all last.
_moves = router.routes.pop()
router.include_router(judging_routes.router)
router.routes.append(_moves)
router.include_router(challenge_routes.router)
router.include_router(candidate_routes.router)
