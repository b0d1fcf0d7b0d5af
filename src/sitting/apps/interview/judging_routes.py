"""The interviewer's routes after the talk: notes, scorecards, evidence, replay, export."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.event import Event
from ...core.kind import Command
from ...engine import Done
from ...web import answer, deps, forms
from ...web.again import Refused
from . import clock, commands, edge, export_routes, figures, scoring, terms, views, wording
from .edge import interviewer
from .refusals import NOTE_NOT_FOUND

router = APIRouter()
Who = Annotated[Actor, Depends(interviewer)]


@router.get("/interviews/{id}/review")
async def review(request: Request, id: str, who: Who) -> Response:
    """The page for judging: replay, transcript, scorecard, figures."""
    return await _review(request, id, who)


@router.get("/interviews/{id}/replay")
async def replay(request: Request, id: str, who: Who) -> Response:
    """The interview as it was after the event `at`."""
    seen, events = await edge.everything(request, id, who)
    at = deps.integer(request, "at", seen.session.seq, low=1, high=seen.session.seq)
    then = await edge.found(edge.engine(request).at(id, who, at))
    view = edge.whole(request, then.session, then.audience, then.now)
    return answer.json(figures.replay(view, then.session, events, at=at, head=seen.session.seq, actor_id=who.id))


@router.get("/interviews/{id}/notes")
async def notes(request: Request, id: str, who: Who) -> Response:
    """One's own notes."""
    seen = await edge.see(request, id, who)
    return answer.json({"items": views.notes(seen.session, who.id)})


@router.post("/interviews/{id}/notes")
async def add_note(request: Request, id: str, who: Who) -> Response:
    """Write a note that nobody else reads."""

    def render(done: Done) -> Response:
        if edge.leads_back(request):
            return answer.redirect(_notes_place(request, id))
        made = done.events[-1].data["note_id"]
        return answer.json(_note(done, who, made), 201)

    async def added() -> Response:
        command = await edge.asked_of(request, id, who, commands.AddNote)
        return await edge.carry_out(request, id, command, who, render)

    return await _or_review(request, id, who, "note", added())


@router.patch("/interviews/{id}/notes/{note}")
async def change_note(request: Request, id: str, note: str, who: Who) -> Response:
    """Change one of one's own."""
    await edge.see(request, id, who)
    body = strict.loads(await request.body() or b"{}")
    if not isinstance(body, dict) or "note_id" in body:
        raise errors.Invalid.field("note_id", "stands in the path")
    command = _for_note(commands.ChangeNote, note, body)
    return await edge.carry_out(request, id, command, who, lambda done: answer.json(_note(done, who, note)))


@router.post("/interviews/{id}/notes/{note}/change")
async def change_note_from_form(request: Request, id: str, note: str, who: Who) -> Response:
    """The same from a form."""

    def render(done: Done) -> Response:
        if edge.leads_back(request):
            return answer.redirect(_notes_place(request, id))
        return answer.json(_note(done, who, note))

    async def changed() -> Response:
        text = forms.typed(await deps.form(request)).get("text", "")
        command = _for_note(commands.ChangeNote, note, {"text": text})
        return await edge.carry_out(request, id, command, who, render)

    return await _or_review(request, id, who, f"note-{note}", changed())


@router.delete("/interviews/{id}/notes/{note}")
async def remove_note(request: Request, id: str, note: str, who: Who) -> Response:
    """Remove one of one's own."""
    command = _for_note(commands.RemoveNote, note, {})
    return await edge.carry_out(request, id, command, who, lambda done: Response(status_code=204))


@router.post("/interviews/{id}/notes/{note}/remove")
async def remove_note_from_form(request: Request, id: str, note: str, who: Who) -> Response:
    """The same from a form."""
    command = _for_note(commands.RemoveNote, note, {})

    def render(_done: Done) -> Response:
        return answer.redirect(_notes_place(request, id)) if edge.leads_back(request) else Response(status_code=204)

    return await edge.carry_out(request, id, command, who, render)


@router.get("/interviews/{id}/scorecards")
async def scorecards(request: Request, id: str, who: Who) -> Response:
    """One's own, and the others' once one's own is submitted; before that, how many there are."""
    seen = await edge.see(request, id, who)
    return answer.json(views.scorecards(seen.session, who.id))


@router.put("/interviews/{id}/scorecard")
async def save_scores(request: Request, id: str, who: Who) -> Response:
    """Keep scores as a draft."""
    return await _scored(request, id, await edge.asked_of(request, id, who, commands.SaveScores), who)


@router.post("/interviews/{id}/scorecard")
async def save_scores_from_form(request: Request, id: str, who: Who) -> Response:
    """The same from the form: one criterion at a time."""
    return await _or_review(request, id, who, "scorecard", _scored_by_form(request, id, who, commands.SaveScores))


@router.post("/interviews/{id}/scorecard/submit")
async def submit(request: Request, id: str, who: Who) -> Response:
    """Hand the scorecard in."""

    async def submitted() -> Response:
        command = await edge.asked_of(request, id, who, commands.SubmitScorecard)
        return await _scored(request, id, command, who)

    return await _or_review(request, id, who, "submit", submitted())


@router.post("/interviews/{id}/scorecard/amend")
async def amend(request: Request, id: str, who: Who) -> Response:
    """Change a scorecard that was handed in, with a reason."""
    if deps.is_form(request):
        amended = _scored_by_form(request, id, who, commands.AmendScorecard)
        return await _or_review(request, id, who, "scorecard", amended)
    return await _scored(request, id, await edge.asked_of(request, id, who, commands.AmendScorecard), who)


@router.post("/interviews/{id}/evidence")
async def evidence(request: Request, id: str, who: Who) -> Response:
    """Ask the model for passages; it never scores."""

    def render(done: Done) -> Response:
        if edge.leads_back(request):
            return answer.redirect(f"/interviews/{id}/review#scorecard")
        return answer.json({"job": done.events[-1].data["job"]}, 202)

    async def asked() -> Response:
        command = await edge.asked_of(request, id, who, commands.ProposeEvidence)
        return await edge.carry_out(request, id, command, who, render)

    return await _or_review(request, id, who, "evidence", asked())


@router.post("/interviews/{id}/evidence/{job}/cancel")
async def cancel_evidence(request: Request, id: str, job: str, who: Who) -> Response:
    """Stop looking."""

    def render(_done: Done) -> Response:
        if edge.leads_back(request):
            return answer.redirect(f"/interviews/{id}/review#scorecard")
        return Response(status_code=204)

    async def cancelled() -> Response:
        command = strict.check(commands.CancelEvidence, {"job": job})
        return await edge.carry_out(request, id, command, who, render)

    return await _or_review(request, id, who, "evidence", cancelled())


@router.get("/interviews/{id}/export")
async def export(request: Request, id: str, who: Who) -> Response:
    """The whole interview as a file, or as a page to print."""
    return await export_routes.interview(request, id, who)


async def _review(request: Request, id: str, who: Actor, refused: Refused | None = None) -> Response:
    seen, events = await edge.everything(request, id, who)
    session = seen.session
    at = session.seq if refused else deps.integer(request, "at", session.seq, low=1, high=session.seq)
    then = seen if at == session.seq else await edge.found(edge.engine(request).at(id, who, at))
    analytics, cards = figures.analytics(session, events, seen.now), views.scorecards(session, who.id)
    return answer.page(
        request, "interview/review.html", status=refused.status if refused else 200, refused=refused, wide=True,
        session=edge.whole(request, session, seen.audience, seen.now), at=at, head=session.seq, then=then.view,
        active_ms=clock.active_ms(then.session, then.now), event=_told(events, at, seen.audience),
        messages=figures.messages([event for event in events if event.seq <= at]), said=figures.messages(events),
        marks=figures.marks(events, who.id), steps=[(event.seq, clock.ms(event.at)) for event in events],
        notes=views.notes(session, who.id), cards=cards, allowed=seen.allowed,
        names=await deps.names(request, [card["interviewer"] for card in cards["others"]], who),
        criteria=views.setting(session, "criteria"), proposals=views.proposals(session, who.id),
        analytics=analytics, rows=wording.rows(analytics), ledger=figures.ledger(session, events, seen.now),
        challenge=views.challenge(session, seen.audience), me=who.id,
    )  # fmt: skip


def _told(events: Sequence[Event], seq: int, audience: str) -> dict[str, Any] | None:
    return next((views.tell(event, audience) for event in events if event.seq == seq), None)


async def _or_review(request: Request, id: str, who: Actor, form: str, answering: Awaitable[Response]) -> Response:
    return await Refused.or_again(request, form, answering, lambda refused: _review(request, id, who, refused))


async def _scored(request: Request, id: str, command: Command, who: Actor) -> Response:
    return await edge.carry_out(request, id, command, who, lambda done: _cards(request, done, who))


async def _scored_by_form(
    request: Request, id: str, who: Actor, model: type[commands.SaveScores] | type[commands.AmendScorecard]
) -> Response:
    """One criterion of the card. The card is one value, so what came in between is read again, not written over."""
    form = forms.typed(await deps.form(request))
    engine = edge.engine(request)

    def render(done: Done) -> Response:
        return _cards(request, done, who)

    once = await deps.once(request, who, render)
    for last in (False, False, False, False, True):
        seen, events = await edge.everything(request, id, who, frozenset(terms.SAID))
        own = views.scorecards(seen.session, who.id)["own"] or {}
        card = scoring.scored(form, own, {item["seq"]: item["content"] or "" for item in figures.messages(events)})
        reason = {"reason": form.get("reason", "")} if model is commands.AmendScorecard else {}
        command = strict.check(model, {**card, **reason})
        try:
            done = await edge.found(engine.do(id, command, who, kind=edge.KIND, expect=seen.session.seq, once=once))
        except errors.Stale:
            if last:
                raise
        else:
            return deps.answered(done, render)
    raise AssertionError("the last attempt returns or raises")


def _cards(request: Request, done: Done, who: Actor) -> Response:
    if edge.leads_back(request):
        return answer.redirect(f"/interviews/{done.session.id}/review#scorecard")
    return answer.json(views.scorecards(done.session, who.id))


def _notes_place(request: Request, id: str) -> str:
    """Back to the notes of the page they were written on."""
    page = "/review" if request.query_params.get("from") == "review" else ""
    return f"/interviews/{id}{page}#notes"


def _note(done: Done, who: Actor, note: str) -> dict[str, Any]:
    return next(item for item in views.notes(done.session, who.id) if item["id"] == note)


def _for_note(model: type[edge.C], note: str, body: dict[str, Any]) -> edge.C:
    if not 1 <= len(note) <= 64:
        raise errors.NotFound(NOTE_NOT_FOUND)
    return strict.check(model, {**body, "note_id": note})
