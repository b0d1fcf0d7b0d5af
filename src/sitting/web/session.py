"""The page of one session of any kind: how it stands, what one may do, what has happened, and whether that is whole.

Everything on it is read from the kind: the buttons from its lifecycle and commands, the meters and the words from its
functions. A form that is refused comes back with what was typed. Guests have their applications' pages, not this one.
"""

from __future__ import annotations

import json
from asyncio import gather
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from .. import bundle, errors
from ..core.actor import Actor
from ..core.event import to_text
from ..core.kind import Command, Kind
from ..core.lifecycle import ERASE, GONE
from ..core.session import Session
from ..engine import Done, Page, Seen
from . import answer, cards, deps, forms
from .api import public
from .diagram import diagram
from .errors import status_of

router = APIRouter(include_in_schema=False)
EVENTS = 50
CHECKED_AT_ONCE = 2000  # a longer journal is checked on demand


async def person(request: Request) -> Actor:
    """Who is signed in. A guest's cookie opens the guest's own pages only."""
    found = await deps.actor(request)
    if not found.is_user:
        raise errors.NotFound()
    return found


Who = Annotated[Actor, Depends(person)]


@dataclass(frozen=True)
class _Refused:
    """A command that was refused, with what had been typed."""

    verb: str
    refusal: errors.Refusal
    faults: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)


@router.get("/sessions/{id}")
async def show(request: Request, id: str, who: Who) -> Response:
    """The session."""
    before = deps.integer(request, "before", 0, low=0, high=2**53) or None
    return await _page(request, id, who, before=before, check="verified" in request.query_params)


@router.post("/sessions/{id}/do/{verb}")
async def do(request: Request, id: str, verb: str, who: Who) -> Response:
    """A command as a form: back to the session, or the form again with what was typed."""
    installation = deps.installation(request)
    seen = await deps.settle(installation.engine.view(id, who))
    kind = installation.kinds[seen.session.kind]
    if verb not in public(kind):
        raise errors.NotFound("There is no such command here.")
    command, form = kind.commands[verb], await deps.form(request)

    def render(done: Done) -> Response:
        return answer.redirect(f"/kinds/{kind.name}" if done.session.state == GONE else f"/sessions/{id}")

    try:
        asked = forms.read(command, form)
        once = await deps.once(request, who, render)
        done = await deps.settle(installation.engine.do(id, asked, who, expect=deps.expected(request), once=once))
    except errors.Refusal as refusal:
        if not answer.accepts_html(request) or isinstance(refusal, errors.NotFound | errors.KeyReused):
            raise
        faults = forms.faults(command, refusal)
        return await _page(request, id, who, refused=_Refused(verb, refusal, faults, forms.kept(command, form)))
    return deps.answered(done, render)


@router.post("/sessions/{id}/verify")
async def verify(request: Request, id: str, who: Who) -> Response:
    """Check the journal, however long it is."""
    await deps.settle(deps.installation(request).engine.view(id, who))
    return answer.redirect(f"/sessions/{id}?verified=1")


@router.post("/sessions/{id}/delete")
async def delete(request: Request, id: str, who: Who) -> Response:
    """Erase what people wrote in it."""
    engine = deps.installation(request).engine
    seen = await deps.settle(engine.view(id, who))
    try:
        await deps.settle(engine.erase(id, who))
    except (errors.Conflict, errors.NotAllowed) as refusal:
        if not answer.accepts_html(request):
            raise
        return await _page(request, id, who, refused=_Refused(ERASE, refusal))
    return answer.redirect(f"/kinds/{seen.session.kind}")


@router.get("/sessions/{id}/bundle")
async def download(request: Request, id: str, who: Who) -> Response:
    """A signed bundle of what the reader may see."""
    installation = deps.installation(request)
    raw = await run_in_threadpool(bundle.export, installation.engine, id, who, installation.signing_key)
    return answer.attachment(f"session-{id}.zip", raw, "application/zip")


async def _page(
    request: Request,
    id: str,
    who: Actor,
    *,
    before: int | None = None,
    check: bool = False,
    refused: _Refused | None = None,
) -> Response:
    engine = deps.installation(request).engine
    seen, page = await gather(
        deps.settle(engine.view(id, who)), deps.settle(engine.history(id, who, before=before, limit=EVENTS))
    )
    names = await deps.names(request, [actor for actor, _ in seen.people], who)
    kind, session = engine.kinds[seen.session.kind], seen.session
    at = f"/sessions/{id}"
    oldest = page.events[-1][0] if page.events else 1
    return answer.page(
        request,
        "session.html",
        status=200 if refused is None else status_of(refused.refusal),
        session=_summary(kind, seen),
        diagram=Markup(diagram(kind.lifecycle, session.state, verbs=seen.allowed)),  # noqa: S704 - its texts are escaped there
        allowed=[_action(kind, session, verb) for verb in seen.allowed],
        people=[{"role": role, "name": names[actor]} for actor, role in seen.people],
        meters=[dict(meter) for meter in kind.meters(session, seen.audience, seen.now)],
        events=_entries(page),
        older_url=f"{at}?before={oldest}" if oldest > 1 else "",
        verify=await _verdict(request, session) if check or session.seq <= CHECKED_AT_ONCE else None,
        turns=await _turns(request, page, who),
        bundle_url=f"{at}/bundle" if kind.exports(session, seen.audience) else "",
        verify_url=f"{at}/verify",
        command_url=f"{at}/do",
        delete_url=f"{at}/delete" if _may_erase(kind, seen) else "",
        app_url=cards.own_page(deps.installation(request), kind.name, id),
        **_refusal(refused, seen),
    )


def _summary(kind: Kind, seen: Seen) -> dict[str, Any]:
    session = seen.session
    return {
        "id": session.id,
        "kind": kind.name,
        "kind_title": cards.title(kind),
        "title": kind.title(session),
        "state": session.state,
        "seq": session.seq,
        "as_of": session.position,
        "created_at": to_text(session.created_at or seen.now),
        "updated_at": to_text(session.updated_at or seen.now),
        "data": seen.view,
    }


def _action(kind: Kind, session: Session, verb: str) -> dict[str, Any]:
    """A command as a button, or as a form where it asks for something. What ends the session asks first."""
    command = kind.commands[verb]
    reaches = set(kind.lifecycle.move(session.state, verb).reaches(session.state))
    ends = reaches <= {*kind.lifecycle.final, GONE} and session.state not in kind.lifecycle.final
    danger = ends or reaches == {GONE}
    fields = forms.fields(command)
    said = _said(command)
    return {
        "verb": verb,
        "label": forms.label(verb),
        "fields": fields,
        "danger": danger,
        "help": said if said and (fields or danger) else None,
    }


def _said(command: type[Command]) -> str:
    """What a command's author says about it, not what it inherits."""
    return " ".join((command.__dict__.get("__doc__") or "").split())


def _entries(page: Page) -> list[dict[str, Any]]:
    """The journal, newest first. What is withheld from the reader is counted in its place, so that no gap is silent."""
    entries: list[dict[str, Any]] = []
    for seq, told in page.events:
        if told is not None:
            entries.append(_event(seq, told))
        elif entries and "withheld" in entries[-1]:
            entries[-1] = {"seq": seq, "withheld": entries[-1]["withheld"] + 1}
        else:
            entries.append({"seq": seq, "withheld": 1})
    return entries


def _event(seq: int, told: Mapping[str, Any]) -> dict[str, Any]:
    actor = told.get("actor")
    return {
        "seq": seq,
        "ts": told.get("ts"),
        "actor": {"role": actor.get("role", "")} if isinstance(actor, Mapping) else None,
        "type": str(told.get("type", "")),
        "description": told.get("description"),
        "data_json": json.dumps(told.get("data") or {}, ensure_ascii=False, indent=2, default=str),
    }


async def _verdict(request: Request, session: Session) -> dict[str, Any]:
    installation = deps.installation(request)
    found = await deps.settle(
        bundle.verify(installation.store, installation.kinds, session.id, epoch=installation.epoch)
    )
    return {name: getattr(found, name) for name in ("ok", "head", "checked", "erased", "reason")}


async def _turns(request: Request, page: Page, who: Actor) -> list[dict[str, Any]]:
    """What is being written, and how far it is. A turn that has just ended is in the journal."""
    engine = deps.installation(request).engine
    found = []
    for turn in page.turns:
        text = await deps.settle(engine.text(page.session.id, turn.id, who))
        if not text.ended:
            found.append({"id": turn.id, "text": text.text, "off": len(text.text), "label": forms.label(turn.purpose)})
    return found


def _may_erase(kind: Kind, seen: Seen) -> bool:
    return any(move.verb == ERASE for move in kind.lifecycle.open(seen.session.state, seen.role))


def _refusal(refused: _Refused | None, seen: Seen) -> dict[str, Any]:
    """What the page says about a refused command: at its form, or above everything when the form is gone."""
    if refused is None:
        return {}
    if refused.verb in seen.allowed and refused.values:
        return {"errors": {refused.verb: refused.faults}, "values": {refused.verb: refused.values}}
    return {"flash": [("error", refused.refusal.message)], "values": {refused.verb: refused.values}}
