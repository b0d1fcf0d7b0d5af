"""The interviewer's routes after the talk: notes, scorecards, evidence, replay, export."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.kind import Command
from ...engine import Done
from ...web import answer, deps
from . import commands, edge, exports, figures, views
from .edge import interviewer
from .refusals import NOTE_NOT_FOUND

router = APIRouter()
Who = Annotated[Actor, Depends(interviewer)]


@router.get("/interviews/{id}/review")
async def review(request: Request, id: str, who: Who) -> Response:
    """The page for judging: replay, transcript, scorecard, figures."""
    seen, events = await edge.everything(request, id, who)
    session = seen.session
    at = deps.integer(request, "at", session.seq, low=1, high=session.seq)
    then = seen if at == session.seq else await edge.found(edge.engine(request).at(id, who, at))
    upto = [event for event in events if event.seq <= at]
    return answer.page(
        request, "interview/review.html", session=edge.whole(request, session, seen.audience, seen.now), at=at,
        head=session.seq, then=then.view, messages=figures.messages(upto), marks=figures.marks(events, who.id),
        notes=views.notes(session, who.id), cards=views.scorecards(session, who.id),
        criteria=views.setting(session, "criteria"), proposals=views.proposals(session, who.id),
        analytics=figures.analytics(session, events, seen.now), ledger=figures.ledger(session, events, seen.now),
        challenge=views.challenge(session, seen.audience), allowed=seen.allowed, wide=True,
    )  # fmt: skip


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
    command = await edge.asked(request, commands.AddNote)

    def render(done: Done) -> Response:
        if deps.is_form(request):
            return answer.redirect(f"/interviews/{id}#notes")
        return answer.json(views.notes(done.session, who.id)[-1], 201)

    return await edge.carry_out(request, id, command, who, render)


@router.patch("/interviews/{id}/notes/{note}")
async def change_note(request: Request, id: str, note: str, who: Who) -> Response:
    """Change one of one's own."""
    body = strict.loads(await request.body() or b"{}")
    if not isinstance(body, dict) or "note_id" in body:
        raise errors.Invalid.field("note_id", "stands in the path")
    command = _for_note(commands.ChangeNote, note, body)

    def render(done: Done) -> Response:
        kept = next(item for item in views.notes(done.session, who.id) if item["id"] == note)
        return answer.json(kept)

    return await edge.carry_out(request, id, command, who, render)


@router.delete("/interviews/{id}/notes/{note}")
async def remove_note(request: Request, id: str, note: str, who: Who) -> Response:
    """Remove one of one's own."""
    command = _for_note(commands.RemoveNote, note, {})
    return await edge.carry_out(request, id, command, who, lambda done: Response(status_code=204))


@router.post("/interviews/{id}/notes/{note}/remove")
async def remove_note_from_form(request: Request, id: str, note: str, who: Who) -> Response:
    """The same from a form."""
    command = _for_note(commands.RemoveNote, note, {})
    return await edge.carry_out(request, id, command, who, lambda done: answer.redirect(f"/interviews/{id}#notes"))


@router.get("/interviews/{id}/scorecards")
async def scorecards(request: Request, id: str, who: Who) -> Response:
    """One's own, and the others' once one's own is submitted; before that, how many there are."""
    seen = await edge.see(request, id, who)
    return answer.json(views.scorecards(seen.session, who.id))


@router.put("/interviews/{id}/scorecard")
async def save_scores(request: Request, id: str, who: Who) -> Response:
    """Keep scores as a draft."""
    return await _scored(request, id, await deps.read(request, commands.SaveScores), who)


@router.post("/interviews/{id}/scorecard")
async def save_scores_from_form(request: Request, id: str, who: Who) -> Response:
    """The same from the form: one criterion at a time, its quote looked up in the message it is from."""
    form = await deps.form(request)
    seen, events = await edge.everything(request, id, who)
    own = views.scorecards(seen.session, who.id)["own"] or {"scores": [], "summary": ""}
    command = strict.check(commands.SaveScores, exports.scored(form, own, figures.messages(events)))
    return await _scored(request, id, command, who)


@router.post("/interviews/{id}/scorecard/submit")
async def submit(request: Request, id: str, who: Who) -> Response:
    """Hand the scorecard in."""
    return await _scored(request, id, await edge.asked(request, commands.SubmitScorecard), who)


@router.post("/interviews/{id}/scorecard/amend")
async def amend(request: Request, id: str, who: Who) -> Response:
    """Change a scorecard that was handed in, with a reason."""
    if deps.is_form(request):
        form = await deps.form(request)
        seen, events = await edge.everything(request, id, who)
        own = views.scorecards(seen.session, who.id)["own"] or {"scores": [], "summary": ""}
        value = {**exports.scored(form, own, figures.messages(events)), "reason": form.get("reason", "")}
        return await _scored(request, id, strict.check(commands.AmendScorecard, value), who)
    return await _scored(request, id, await deps.read(request, commands.AmendScorecard), who)


@router.post("/interviews/{id}/evidence")
async def evidence(request: Request, id: str, who: Who) -> Response:
    """Ask the model for passages; it never scores."""
    command = await edge.asked(request, commands.ProposeEvidence)

    def render(done: Done) -> Response:
        if deps.is_form(request):
            return answer.redirect(f"/interviews/{id}/review#evidence")
        return answer.json({"job": done.events[-1].data["job"]}, 202)

    return await edge.carry_out(request, id, command, who, render)


@router.get("/interviews/{id}/export")
async def export(request: Request, id: str, who: Who) -> Response:
    """The whole interview as a file, or as a page to print."""
    return await exports.interview(request, id, who)


async def _scored(request: Request, id: str, command: Command, who: Actor) -> Response:
    def render(done: Done) -> Response:
        if deps.is_form(request):
            return answer.redirect(f"/interviews/{id}/review#scorecard")
        cards: dict[str, Any] = views.scorecards(done.session, who.id)
        return answer.json(cards)

    return await edge.carry_out(request, id, command, who, render)


def _for_note(model: type[edge.C], note: str, body: dict[str, Any]) -> edge.C:
    if not 1 <= len(note) <= 64:
        raise errors.NotFound(NOTE_NOT_FOUND)
    return strict.check(model, {**body, "note_id": note})
