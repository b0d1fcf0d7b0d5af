"""What the interview's routes share: who asks, the session as JSON, the link, and the words of a missing thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.event import Event, to_text
from ...core.kind import Command
from ...core.session import Session
from ...engine import Done, Seen, Selection
from ...reading import TextPage
from ...web import answer, deps, forms, frames, stream
from ...web.errors import Problem, rendered
from . import commands, figures, terms, views
from .refusals import INTERVIEW_NOT_FOUND, TURN_NOT_FOUND

KIND = "interview"
ONLINE_SECONDS = 30
EVERY_EVENT = 1_000_000
T = TypeVar("T")
C = TypeVar("C", bound=BaseModel)


class LinkAction(BaseModel):
    """What to do with the candidate's link."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["rotate", "revoke"]
    expires_in: int = Field(terms.LINK_SECONDS, ge=terms.MIN_LINK_SECONDS, le=terms.MAX_LINK_SECONDS)


class Invitation(BaseModel):
    """Who is to interview too: an account's id, or its e-mail address."""

    model_config = ConfigDict(extra="forbid")

    actor_id: str = Field(min_length=1, max_length=320)


class Confirmed(BaseModel):
    """Said twice, because it cannot be taken back."""

    model_config = ConfigDict(extra="forbid")

    confirm: str


class Written(stream.TurnFrames):
    """A turn's stream in the documented form: its last frame says how it ended and where, and no more."""

    async def ended(self, turn: str, page: TextPage) -> bytes:
        return frames.frame({"status": page.status, "seq": page.seq}, event="done", id=f"{turn}.{frames.END}")


engine, interviewer = deps.engine, deps.person
WRITTEN = Written()


async def found(future: Future[T], missing: str = INTERVIEW_NOT_FOUND) -> T:
    """The answer, with a missing session named as what it is here."""
    return await deps.found(future, missing)


def missing(request: Request, problem: Problem) -> Response | None:
    """What is not there, is not yours or never was: one answer to the letter, so it names no request."""
    return rendered(request, replace(problem, request_id="")) if problem.status == 404 else None


async def see(request: Request, id: str, actor: Actor) -> Seen:
    """One interview as this actor sees it."""
    return await found(engine(request).view(id, actor, kind=KIND))


async def everything(
    request: Request, id: str, actor: Actor, types: frozenset[str] = frozenset()
) -> tuple[Seen, list[Event]]:
    """An interview with all its events, or those of some types."""
    selection = await found(engine(request).selected(id, actor, types, limit=EVERY_EVENT))
    if selection.seen.session.kind != KIND:
        raise errors.NotFound(INTERVIEW_NOT_FOUND)
    return selection.seen, list(selection.events)


async def asked(request: Request, model: type[C]) -> C:
    """The command in the body: JSON strictly, a form with its texts read as numbers where numbers are wanted."""
    if not deps.is_form(request):
        return await deps.read(request, model)
    try:
        return model.model_validate(filled(forms.typed(await deps.form(request)), model))
    except ValidationError as error:
        raise errors.Invalid(fields=strict.fields(error)) from None


async def asked_of(request: Request, id: str, who: Actor, model: type[C]) -> C:
    """The same, for an interview that must be there: who may not see it learns nothing from a wrong body."""
    await see(request, id, who)
    return await asked(request, model)


def filled(values: Mapping[str, str], model: type[BaseModel]) -> dict[str, str]:
    """A form without the fields that were left empty and may be: they count as not given."""
    required = {name for name, field in model.model_fields.items() if field.is_required()}
    return {name: value for name, value in values.items() if value or name in required}


def leads_back(request: Request) -> bool:
    """Whether the answer to a form is a page to go to. Our scripts send forms too, but stay where they are."""
    return deps.is_form(request) and "application/json" not in request.headers.get("accept", "")


async def carry_out(
    request: Request, id: str, command: Command, actor: Actor, render: Callable[[Done], Response]
) -> Response:
    """Do one command of an interview and answer with what `render` makes, once per Idempotency-Key."""
    once = await deps.once(request, actor, render)
    future = engine(request).do(id, command, actor, kind=KIND, expect=deps.expected(request), once=once)
    return deps.answered(await found(future), render)


def whole(request: Request, session: Session, audience: str, now: datetime) -> dict[str, Any]:
    """The session as JSON, the candidate's link included for interviewers."""
    made = views.view(session, audience, now)
    if "join_url" in made:
        made["join_url"] = join_url(request, session)
    return made


def status(request: Request, session: Session, now: datetime) -> dict[str, Any]:
    """What a candidate may do now. A house without a model says so before somebody has written in vain."""
    made = views.status(session, now)
    missing = unanswered(request, session)
    return made | {"can_send": False, "reason": missing} if missing and made["can_send"] else made


def unanswered(request: Request, session: Session) -> str | None:
    """Why no model would answer in this interview; None where one does."""
    try:
        deps.installation(request).models.get(session.data["model_name"])
    except errors.ModelNotConfigured as missing:
        return missing.message
    return None


def join_url(request: Request, session: Session) -> str | None:
    """The address the candidate is sent; None once revoked."""
    link = views.link_of(session)
    if link.revoked:
        return None
    key = deps.installation(request).engine.installed["link_key"]
    return f"{deps.base_url(request)}/i/{views.join_code(key, session.id, link.version)}"


def shown(request: Request) -> Callable[[Done], Response]:
    """The session as the answer of a command: JSON, or back to its page after a form."""

    def render(done: Done) -> Response:
        if leads_back(request):
            return answer.redirect(f"/interviews/{done.session.id}")
        return answer.json(whole(request, done.session, done.audience, done.now))

    return render


def presence(request: Request, session: str) -> bool:
    """Whether the candidate is there: a stream open, or a request in the last half minute, in this process."""
    installation = deps.installation(request)
    if any(actor.startswith("guest:") for actor in installation.live.online(session)):
        return True
    seen = _presences(request).get(session)
    return seen is not None and (installation.clock.now() - seen).total_seconds() <= ONLINE_SECONDS


def present(request: Request, session: str) -> None:
    """Note that the candidate has just asked for something."""
    seen = _presences(request)
    now = deps.installation(request).clock.now()
    seen[session] = now
    if len(seen) > 10_000:
        for id in [id for id, at in seen.items() if (now - at).total_seconds() > ONLINE_SECONDS]:
            del seen[id]


def listed(request: Request, seen: Seen) -> dict[str, Any]:
    """A line of the list."""
    updated = seen.session.updated_at
    return {
        **whole(request, seen.session, seen.audience, seen.now),
        "online": presence(request, seen.session.id),
        "last_activity_at": to_text(updated) if updated else None,
    }


def transcript(selection: Selection, limit: int) -> Response:
    """One page of what was said, with the position to go on from."""
    if selection.seen.session.kind != KIND:
        raise errors.NotFound(INTERVIEW_NOT_FOUND)
    events = selection.events
    return answer.json({"items": figures.messages(events), "next": events[-1].seq if len(events) == limit else None})


async def talk(
    request: Request, id: str, actor: Actor, *, limit: int
) -> tuple[Seen, list[dict[str, Any]], dict[str, Any] | None]:
    """The last messages, and the reply that is being written with its text so far."""
    selection = await found(engine(request).selected(id, actor, terms.SAID, limit=limit))
    seen = selection.seen
    if seen.session.kind != KIND:
        raise errors.NotFound(INTERVIEW_NOT_FOUND)
    turn = seen.session.data["turn"]
    writing = None
    if turn is not None:
        page = await found(engine(request).text(id, turn["id"], actor))
        writing = {"id": turn["id"], "text": page.text, "off": len(page.text)}
    return seen, figures.messages(selection.events), writing


async def given_reason(request: Request, session: Session, actor: Actor) -> str:
    """What somebody wrote when the interview was paused or ended; empty where it goes on or nobody wrote anything."""
    type = {"paused": terms.EventType.SESSION_PAUSED, "completed": terms.EventType.SESSION_COMPLETED}.get(session.state)
    if type is None:
        return ""
    selection = await found(engine(request).selected(session.id, actor, frozenset({type}), limit=1))
    return views.reason_of(selection.events[-1]) if selection.events else ""


async def cancelling(request: Request, id: str, turn: str, actor: Actor) -> commands.CancelTurn:
    """The command that stops a reply there is or was: an unknown one is not over. Raises NotFound."""
    await found(engine(request).turn(id, turn, actor))
    return of_turn(commands.CancelTurn, turn)


def of_turn(model: type[C], turn: str) -> C:
    """The command for a turn id in a path, where a malformed one is simply unknown."""
    try:
        return strict.check(model, {"turn": turn})
    except errors.Invalid:
        raise errors.NotFound(TURN_NOT_FOUND) from None


def _presences(request: Request) -> dict[str, datetime]:
    state = request.app.state
    if not hasattr(state, "interview_presences"):
        state.interview_presences = {}
    made: dict[str, datetime] = state.interview_presences
    return made
