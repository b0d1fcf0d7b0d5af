"""What the routes share: who asks, a command and its answer, the stream of a turn, and the form of a refusal."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, TypeVar
from urllib.parse import quote

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.event import Event
from ...core.kind import Command
from ...engine import Done, Seen
from ...reading import TextPage
from ...web import answer, deps, frames, stream
from ...web.errors import Problem
from . import figures, models, terms, views

KIND = "solve"
EVERY_EVENT = 1_000_000
WINDOW = 64  # events that surely hold a turn's begin beside its end
# One frame a word: the same frames to whoever reads, however the text arrived.
_WORD = re.compile(r"\S*\s+|\S+")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[ +-][0-9]{2}:[0-9]{2})"
)
_TO_ITS_END = timedelta(days=1) - timedelta(microseconds=1)
_CODES = {"NOT_AUTHENTICATED": "INVALID_TOKEN", "TOO_LARGE": "BODY_TOO_LARGE", "MALFORMED": "VALIDATION_ERROR"}
_MISSING = {errors.NotFound().message: "SESSION_NOT_FOUND", "Turn not found": "TURN_NOT_FOUND"}
_BARE = ("INVALID_TOKEN", "SESSION_NOT_FOUND")
_FAULTS = {
    "MODEL_FAILED": "The language model failed. Try again.",
    "MODEL_TIMEOUT": "The language model did not answer in time. Try again.",
    "MODEL_OUTPUT_INVALID": "The language model did not give options that can be used. Try again.",
    "BUDGET_EXHAUSTED": "The session's token budget is used up.",
}
C = TypeVar("C", bound=BaseModel)


class Nothing(BaseModel):
    """A body with nothing in it."""

    model_config = {"extra": "forbid"}


engine, owner = deps.engine, deps.person


async def see(request: Request, id: str, actor: Actor) -> Seen:
    """One session as its owner sees it. Raises NotFound, also for a session of another kind."""
    return await deps.settle(engine(request).view(id, actor, kind=KIND))


async def asked(request: Request, id: str, actor: Actor, model: type[C]) -> C:
    """The command in the body. Who has no role in the session learns nothing from a wrong body."""
    try:
        return await deps.read(request, model)
    except errors.Refusal:
        await see(request, id, actor)
        raise


async def checked(request: Request, id: str, actor: Actor, model: type[C], value: Mapping[str, Any]) -> C:
    """The same for what stands in the path."""
    try:
        return strict.check(model, dict(value))
    except errors.Refusal:
        await see(request, id, actor)
        raise


async def carry_out(
    request: Request, id: str, command: Command, actor: Actor, render: Callable[[Done], Response]
) -> Response:
    """Do one command of a session and answer with what `render` makes, once per Idempotency-Key."""
    once = await deps.once(request, actor, render)
    future = engine(request).do(id, command, actor, kind=KIND, expect=deps.expected(request), once=once)
    return deps.answered(await deps.settle(future), render)


def whole(done: Done) -> Response:
    """The session as the answer of a command."""
    return answer.json(views.view(done.session, done.audience, done.now))


async def told(request: Request, id: str, actor: Actor, types: frozenset[str]) -> tuple[Seen, tuple[Event, ...]]:
    """A session with its events of some types, oldest first."""
    await see(request, id, actor)
    selection = await deps.settle(engine(request).selected(id, actor, types, limit=EVERY_EVENT))
    return selection.seen, selection.events


def locale(request: Request) -> str:
    """The first language of Accept-Language that there is, else English."""
    wished = []
    for place, item in enumerate(request.headers.get("accept-language", "").split(",")):
        name, _, parameters = item.strip().partition(";")
        found = re.fullmatch(r"\s*q=([01](?:\.[0-9]{0,3})?)\s*", parameters)
        quality = float(found[1]) if found else 1.0
        if quality > 0 and (tag := name.strip().lower().partition("-")[0]) in terms.LOCALES:
            wished.append((-quality, place, tag))
    return min(wished)[2] if wished else terms.LOCALES[0]


@lru_cache(maxsize=64)  # all who follow a turn are told the same
def _tokens(turn: str, off: int, text: str) -> bytes:
    return models.tokens(turn, off, _WORD.findall(text)).encode("utf-8", "backslashreplace")


class Written(stream.TurnFrames):
    """A turn's stream in the documented form.

    That of a POST begins with a comment, so that nothing stands before its frames; one that resumes begins with where.
    """

    def __init__(self, request: Request, session: str, *, resumed: bool) -> None:
        self.request, self.session, self.resumed = request, session, resumed

    def opening(self, turn: str, off: int) -> bytes:
        return super().opening(turn, off) if self.resumed else f": turn={turn}\n\n".encode()

    def tokens(self, turn: str, off: int, text: str) -> bytes:
        return _tokens(turn, off, text)

    async def ended(self, turn: str, page: TextPage) -> bytes:
        actor = await owner(self.request)
        events = await _around(self.request, self.session, actor, page.seq or 0)
        resources = deps.installation(self.request).settings.solve_crisis_resources
        place = f"{turn}.{frames.END}"
        data = figures.done(events, turn, resources)
        if data is None:
            return models.sse("done", {"turn": turn, "status": page.status, "seq": page.seq}, place).encode()
        code = figures.fault(events, turn)
        return (_fault(code) + models.sse("done", data, place)).encode("utf-8", "backslashreplace")


async def _around(request: Request, session: str, actor: Actor, seq: int) -> list[Event]:
    """The events around a turn's end, with the last message before it."""

    async def some(types: frozenset[str], limit: int) -> tuple[Event, ...]:
        before = seq + figures.LONGEST_REPORT
        found = engine(request).selected(session, actor, types, before=before, limit=limit)
        return (await deps.settle(found)).events

    events = await some(figures.AROUND_AN_END, WINDOW)
    if any(event.type == figures.MESSAGE and event.seq < seq for event in events):
        return list(events)
    # Retried so often that the message lies further back.
    heard = [event for event in await some(frozenset({figures.MESSAGE}), 1) if event.seq < seq]
    return [*heard, *events]


def _fault(code: str | None) -> str:
    if code is None:
        return ""
    message = _FAULTS.get(code, "The reply could not be finished. Try again.")
    return models.sse("fault", {"code": code, "message": message, "retry": frames.spread(1000, 3000)})


def page_problem(request: Request, problem: Problem) -> Response | None:
    """Below `/solve` there are only pages: who is not signed in is led there, whatever their program accepts."""
    if problem.status == 401 and request.method in ("GET", "HEAD"):
        return answer.redirect(f"/sign-in?next={quote(request.url.path, safe='')}")
    return None


def problem(request: Request, problem: Problem) -> Response | None:
    """A refusal in the documented form. A browser that shows a page gets the house's."""
    if answer.accepts_html(request):
        return None
    code = _CODES.get(problem.code, problem.code)
    if code == errors.NotFound.code:
        code = _MISSING.get(problem.detail, code)
    detail: dict[str, Any] = {"error": code}
    if code not in _BARE:
        detail["message"] = problem.detail
    facts = dict(problem.facts)
    if problem.code == errors.Malformed.code:
        facts["fields"] = [{"field": "body", "message": problem.detail}]
    detail |= {name: value for name, value in facts.items() if name not in ("error", "message")}
    return answer.json({"detail": detail}, problem.status, problem.headers)


def moment(request: Request, name: str, *, last: bool = False) -> datetime | None:
    """A day or a zoned time of the query; a day means its first moment, or its last. Raises Invalid."""
    value = deps.text(request, name, limit=40)
    if not value:
        return None
    try:
        if _DAY.fullmatch(value):
            return datetime.fromisoformat(value).replace(tzinfo=UTC) + (_TO_ITS_END if last else timedelta())
        # An address that was not encoded has a space where a plus sign was written.
        if _MOMENT.fullmatch(value):
            at = datetime.fromisoformat(value.replace(" ", "+")).astimezone(UTC)
            if 1 < at.year < 9999:
                return at
    except (ValueError, OverflowError):
        pass
    raise errors.Invalid.field(name, "must be a date, or a time with its zone")
