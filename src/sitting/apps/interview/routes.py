"""The interviewer's routes: one path, two forms. A page where `Accept` names text/html, else JSON."""

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
from . import candidate, clock, commands, edge, figures, judging_routes, library, terms, views
from .edge import KIND, interviewer

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


@router.post("/interviews")
async def create(request: Request, who: Who) -> Response:
    """Plan an interview."""
    if deps.is_form(request):
        return await create_from_form(request, who)
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
    return answer.respond(
        request, body, "interview/list.html", **body, q=q, status_filter=state, states=terms.EVERY
    )


@router.get("/interviews/new")
async def new(request: Request, who: Who) -> Response:
    """The form."""
    return await _form(request, who, {}, {}, status=200)


@router.post("/interviews/new")
async def create_from_form(request: Request, who: Who) -> Response:
    """Plan an interview from the form: all faults at once, values kept."""
    form = await deps.form(request)
    if unknown := set(form) - {*FORM_FIELDS, "csrf_token", "helper", "start_by", "integrity_marks"}:
        raise errors.Invalid(fields=[{"field": name, "message": "is not a field of this form"} for name in sorted(unknown)])
    values = {name: form.get(name, "") for name in FORM_FIELDS}
    try:
        command = strict.check(commands.Create, _with_defaults(request, _from_form(form)))
        done = await deps.settle(edge.engine(request).open(KIND, command, who))
    except errors.Invalid as error:
        return await _form(request, who, {**values, **form}, edge.sentences(error), status=422)
    return answer.redirect(f"/interviews/{done.session.id}?created=1")


@router.get("/interviews/compare")
async def compare(request: Request, who: Who) -> Response:
    """Two to six interviews side by side."""
    ids = [id for id in deps.text(request, "ids", limit=400).split(",") if id]
    if not 2 <= len(ids) <= 6:
        raise errors.Invalid.field("ids", "must name 2 to 6 interviews, with commas between them")
    items = []
    for id in ids:
        seen, events = await edge.everything(request, id, who)
        cards = views.scorecards(seen.session, who.id)
        items.append({
            "id": seen.session.id, "candidate_name": seen.view["candidate_name"],
            "analytics": figures.analytics(seen.session, events, seen.now), "scores": cards,
        })  # fmt: skip
    return answer.respond(request, {"items": items}, "interview/compare.html", items=items)


@router.get("/interviews/{id}")
async def show(request: Request, id: str, who: Who) -> Response:
    """One interview; its page is the live monitor."""
    if not answer.accepts_html(request):
        seen = await edge.see(request, id, who)
        return answer.json(edge.whole(request, seen.session, seen.audience, seen.now), headers={"ETag": f'"{seen.session.position}"'})
    seen, events = await edge.everything(request, id, who, frozenset(terms.SAID) | {terms.EventType.TURN_RETRIED})
    session = edge.whole(request, seen.session, seen.audience, seen.now)
    return answer.page(
        request, "interview/monitor.html", session=session, messages=figures.messages(events)[-200:],
        remaining=views.remaining(seen.session, seen.now), remaining_ms=clock.remaining_ms(seen.session, seen.now),
        challenge=views.challenge(seen.session, seen.audience), notes=views.notes(seen.session, who.id),
        online=edge.presence(request, id), created="created" in request.query_params, allowed=seen.allowed,
        turn=seen.session.data.get("turn"), wide=True,
    )  # fmt: skip


@router.patch("/interviews/{id}")
async def update(request: Request, id: str, who: Who) -> Response:
    """Change what may still be changed."""
    command = await edge.asked(request, commands.Update)
    return await edge.carry_out(request, id, command, who, edge.shown(request))


@router.post("/interviews/{id}/update")
async def update_from_form(request: Request, id: str, who: Who) -> Response:
    """The same from a form, which cannot PATCH."""
    form = await deps.form(request)
    values: dict[str, Any] = {name: form[name] or None for name in ("candidate_email",) if name in form}
    values |= {name: form[name] for name in ("candidate_name",) if name in form}
    return await edge.carry_out(request, id, strict.check(commands.Update, values), who, edge.shown(request))


@router.delete("/interviews/{id}")
async def delete(request: Request, id: str, who: Who) -> Response:
    """Erase an interview that is not running."""
    await edge.see(request, id, who)
    await edge.found(edge.engine(request).erase(id, who))
    return Response(status_code=204)


@router.post("/interviews/{id}/delete")
async def delete_from_form(request: Request, id: str, who: Who) -> Response:
    """The same from a form."""
    await delete(request, id, who)
    return answer.redirect("/interviews")


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
@router.head("/interviews/{id}/events")
async def events(request: Request, id: str) -> Response:
    """The live protocol, as the interviewer sees it."""
    await edge.see(request, id, await interviewer(request))
    return await stream.events(request, id, interviewer)


@router.get("/interviews/{id}/turns/{turn}/stream")
async def turn_stream(request: Request, id: str, turn: str) -> Response:
    """One reply as it is written."""
    await edge.see(request, id, await interviewer(request))
    return await stream.turn(request, id, turn, interviewer)


@router.post("/interviews/{id}/turns/{turn}/cancel")
async def turn_cancel(request: Request, id: str, turn: str, who: Who) -> Response:
    """Stop a reply; what was written stays."""
    return await edge.carry_out(request, id, edge.cancel_command(turn), who, edge.shown(request))


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
    body = await edge.asked(request, edge.LinkAction)
    command = commands.RevokeLink() if body.action == "revoke" else commands.RotateLink(expires_in=body.expires_in)

    def render(done: Done) -> Response:
        if deps.is_form(request):
            return answer.redirect(f"/interviews/{id}")
        made = edge.whole(request, done.session, done.audience, done.now)
        return answer.json({"join_url": made["join_url"], "expires_at": made["link_expires_at"]})

    return await edge.carry_out(request, id, command, who, render)


@router.post("/interviews/{id}/interviewers")
async def add_interviewer(request: Request, id: str, who: Who) -> Response:
    """Let another person of the space interview too."""
    command = await edge.asked(request, commands.AddInterviewer)
    return await edge.carry_out(request, id, command, who, edge.shown(request))


@router.delete("/interviews/{id}/interviewers/{actor}")
async def remove_interviewer(request: Request, id: str, actor: str, who: Who) -> Response:
    """Take an interviewer's access; the last one stays."""
    command = strict.check(commands.RemoveInterviewer, {"actor_id": actor})
    return await edge.carry_out(request, id, command, who, lambda done: Response(status_code=204))


@router.post("/interviews/{id}/{move}")
async def move(request: Request, id: str, move: str, who: Who) -> Response:
    """start, pause, resume, end, extend-time, extend-tokens."""
    if move not in MOVES:
        raise errors.NotFound("There is nothing here.")
    command = await edge.asked(request, MOVES[move])
    return await edge.carry_out(request, id, command, who, edge.shown(request))


def _with_defaults(request: Request, value: Any) -> Any:
    """The operator's defaults for what was not said."""
    if not isinstance(value, dict):
        return value
    settings = deps.installation(request).settings
    return {
        "time_limit": settings.interview_time_limit, "token_budget": settings.interview_token_budget,
        "model_name": settings.interview_model, **value,
    }  # fmt: skip


def _from_form(form: deps.Form) -> dict[str, Any]:
    values: dict[str, Any] = {"candidate_name": form.get("candidate_name", "")}
    for name in ("candidate_email", "challenge_id", "challenge_text"):
        values[name] = form.get(name, "").strip() or None
    if minutes := form.get("time_limit_minutes", "").strip():
        values["time_limit"] = _whole(minutes, 60)
    if tokens := form.get("token_budget", "").strip():
        values["token_budget"] = _whole(tokens, 1)
    if name := form.get("model_name", "").strip():
        values["model_name"] = name
    config = {name: form[name] for name in ("helper", "start_by") if form.get(name)}
    return {**values, "config": {**config, "integrity_marks": True} if form.get("integrity_marks") else config}


def _whole(text: str, unit: int) -> int | str:
    """A number in its unit; what is no number goes on as text, for the validator to refuse."""
    return int(text) * unit if text.lstrip("-").isdecimal() and len(text) < 12 else text


async def _form(request: Request, who: Actor, values: Any, faults: dict[str, str], *, status: int) -> Response:
    settings = deps.installation(request).settings
    return answer.page(
        request, "interview/new.html", status=status, values=values, faults=[f"❌ {text}" for text in faults.values()],
        errors=faults, models=terms.MODEL_NAMES, challenges=await library.offered(request, who),
        default_minutes=settings.interview_time_limit // 60, default_budget=settings.interview_token_budget,
        default_model=settings.interview_model,
    )  # fmt: skip


# Order decides: literal paths before `{id}`, and the moves' catch-all last.
_moves = router.routes.pop()
router.include_router(judging_routes.router)
router.routes.append(_moves)
router.include_router(library.router)
router.include_router(candidate.router)
