"""What the interview's routes share: who asks, the session as JSON, the link, and the words of a missing thing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future
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
from ...engine import Done, Engine, Seen, Selection
from ...web import answer, deps
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


class Confirmed(BaseModel):
    """Said twice, because it cannot be taken back."""

    model_config = ConfigDict(extra="forbid")

    confirm: str


async def interviewer(request: Request) -> Actor:
    """A signed-in person. A candidate's cookie proves nothing here."""
    found = await deps.actor(request)
    if not found.is_user:
        raise errors.NotAuthenticated()
    return found


def engine(request: Request) -> Engine:
    return deps.installation(request).engine


async def found(future: Future[T], missing: str = INTERVIEW_NOT_FOUND) -> T:
    """The answer, with a missing session named as what it is here."""
    try:
        return await deps.settle(future)
    except errors.NotFound as error:
        if error.message == errors.NotFound().message:
            raise errors.NotFound(missing) from None
        raise


async def see(request: Request, id: str, actor: Actor) -> Seen:
    """One interview as this actor sees it."""
    return await found(engine(request).view(id, actor, kind=KIND))


async def everything(request: Request, id: str, actor: Actor, types: frozenset[str] = frozenset()) -> tuple[Seen, list[Event]]:
    """An interview with all its events, or those of some types."""
    selection = await found(engine(request).selected(id, actor, types, limit=EVERY_EVENT))
    if selection.seen.session.kind != KIND:
        raise errors.NotFound(INTERVIEW_NOT_FOUND)
    return selection.seen, list(selection.events)


async def asked(request: Request, model: type[C]) -> C:
    """The command in the body: JSON strictly, a form with its texts read as numbers where numbers are wanted."""
    if not deps.is_form(request):
        return await deps.read(request, model)
    values = {name: value for name, value in (await deps.form(request)).items() if name != "csrf_token"}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise errors.Invalid(fields=strict.fields(error)) from None


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
        if deps.is_form(request):
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


def cancel_command(turn: str) -> commands.CancelTurn:
    """The command for a turn id in a path, where a malformed one is simply unknown."""
    try:
        return strict.check(commands.CancelTurn, {"turn": turn})
    except errors.Invalid:
        raise errors.NotFound(TURN_NOT_FOUND) from None


def sentences(error: errors.Invalid) -> dict[str, str]:
    """Field -> sentence, for a form."""
    return {field["field"]: field["message"] for field in error.facts.get("fields", [])}


def _presences(request: Request) -> dict[str, datetime]:
    state: Mapping[str, Any] = request.app.state._state
    made: dict[str, datetime] = state.setdefault("interview_presence", {})  # type: ignore[attr-defined]
    return made
