"""What the facilitation's routes share: who asks, what a form may hold, and the form a refusal takes here.

Below `/admin` a person is a signed-in facilitator; a device's claim proves nothing there. A page route answers with its
page unless `Accept` names JSON and not HTML; its refusals are `{"detail": ...}` unless `Accept` names HTML. Every
refusal carries its code in the header `Sitting-Code`.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Annotated, Any, TypeVar
from urllib.parse import quote

from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core.actor import Actor
from ...core.kind import Command
from ...engine import Done, Seen
from ...web import again, answer, deps
from ...web.errors import Problem, status_of
from ...web.forms import CSRF
from . import refusals, responses, terms
from .refusals import MEMBER_NOT_FOUND, SESSION_NOT_FOUND, TEAM_NOT_FOUND

TEAM, SESSION = terms.TEAM, terms.FACILITATION
CODE = "Sitting-Code"
NEVER_A_PAGE = re.compile(
    r"/admin/api/[^/]+|/admin/sessions/[^/]+/(?:status|synthesis-status)|/join/[^/]+/session/[^/]+/status"
)
REMEMBERED = 256
T = TypeVar("T")
_PARTS: OrderedDict[tuple[str, str], list[tuple[int, int]]] = OrderedDict()  # (session, digest) -> of its journal
_TRUE = frozenset({"true", "1", "on", "yes", "t", "y"})
_FALSE = frozenset({"false", "0", "off", "no", "f", "n"})
_NUMBER = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_MISSING, _UNKNOWN = "Field required", "Extra inputs are not permitted"
_TYPES = {_MISSING: "missing", _UNKNOWN: "extra_forbidden"}
# Some refusals of the house are told here under the nearest of the codes this application promises.
_CODES = {
    "NOT_SIGNED_IN": "NOT_AUTHENTICATED", "REFUSED": "CONFLICT", "KEY_TAKEN": "CONFLICT",
    "MALFORMED": "VALIDATION_ERROR", "TOO_LARGE": "VALIDATION_ERROR", "UNSUPPORTED_MEDIA_TYPE": "VALIDATION_ERROR",
    "METHOD_NOT_ALLOWED": "NOT_FOUND",
}  # fmt: skip


async def facilitator(request: Request) -> Actor:
    """A signed-in person. Whether it is a facilitator of this team, the engine says. Raises NotSignedIn, CsrfFailed."""
    try:
        return await deps.person(request)
    except errors.NotAuthenticated:
        raise refusals.NotSignedIn() from None


Who = Annotated[Actor, Depends(facilitator)]


engine = deps.engine


async def found(future: Future[T], missing: str = SESSION_NOT_FOUND) -> T:
    """The answer, with what is missing named as what it is here."""
    return await deps.found(future, missing)


async def see(request: Request, id: str, actor: Actor) -> Seen:
    """One session as this actor sees it. Raises NotFound."""
    return await found(engine(request).view(id, actor, kind=SESSION))


async def anew(request: Request, seen: Seen, actor: Actor) -> Seen:
    """A revealed session, compared with its journal: a seal is checked against what is stored, not remembered.

    One that breaks its seal already is shown as it is, one that differs as the journal has it. Only where the responses
    stand in the journal is remembered, and nothing of what they say: a journal may be long, its responses are few.
    """
    session = seen.session
    if session.state != terms.REVEALED or not responses.matches(session):
        return seen
    sealed = (session.id, session.data["seal"]["digest"])
    parts = _PARTS.get(sealed, [(1, session.seq)])
    read = [
        engine(request).selected(
            session.id, actor, responses.SEALED, after=first - 1, before=last + 1, limit=last - first + 1
        )
        for first, last in parts
    ]
    events = [event for each in read for event in (await found(each)).events]
    if not responses.stands(session, events):
        _PARTS.pop(sealed, None)
        return await found(engine(request).at(session.id, actor, session.seq))
    _PARTS[sealed] = responses.parts(responses.places(session, events))
    _PARTS.move_to_end(sealed)
    if len(_PARTS) > REMEMBERED:
        _PARTS.popitem(last=False)
    return seen


async def see_team(request: Request, id: str, actor: Actor) -> Seen:
    """One team as this actor sees it. Raises NotFound."""
    return await found(engine(request).view(id, actor, kind=TEAM), TEAM_NOT_FOUND)


async def carry_out(
    request: Request,
    id: str,
    command: Command,
    actor: Actor,
    render: Callable[[Done], Response],
    *,
    kind: str = SESSION,
    missing: str = SESSION_NOT_FOUND,
) -> Response:
    """Do one command and answer with what `render` makes, once per Idempotency-Key."""
    once = await deps.once(request, actor, render)
    future = engine(request).do(id, command, actor, kind=kind, once=once)
    return deps.answered(await found(future, missing), render)


# Forms


async def form(request: Request, *names: str) -> deps.Form:
    """The fields of a form that knows `names`. Raises Invalid for any other."""
    sent = await deps.form(request)
    fields(sent, *names)
    return sent


def fields(sent: deps.Form, *names: str) -> None:
    """Refuse fields the form does not have; the token of our pages is in every form."""
    if unknown := sorted(set(sent) - {*names, CSRF}):
        raise errors.Invalid(fields=[{"field": name[:64], "message": _UNKNOWN} for name in unknown])


def required(sent: Mapping[str, str], name: str) -> str:
    """A field that must be there. Raises Invalid."""
    if name not in sent:
        raise errors.Invalid.field(name, _MISSING)
    return sent[name]


def boolean(sent: Mapping[str, str], name: str) -> bool:
    """A field that says yes or no. Raises Invalid."""
    word = required(sent, name).strip().lower()
    if word not in _TRUE | _FALSE:
        raise errors.Invalid.field(name, "Input should be a valid boolean")
    return word in _TRUE


def whole(text: str, name: str) -> int:
    """A whole number from a form, zero included. Raises Invalid."""
    if not re.fullmatch(r"[0-9]{1,12}", text.strip(), re.ASCII):
        raise errors.Invalid.field(name, "must be a whole number")
    return int(text)


def number(text: str, missing: str = MEMBER_NOT_FOUND) -> int:
    """An id that is a number, from a path; a malformed one is simply unknown. Raises NotFound."""
    if not _NUMBER.fullmatch(text):
        raise errors.NotFound(missing)
    return int(text)


class Refused(again.Refused):
    """A form that was refused, told as refusals are told here."""

    @property
    def status(self) -> int:
        return status_here(self.refusal)

    @property
    def headers(self) -> dict[str, str]:
        return {**super().headers, CODE: code_here(self.refusal.code), "Vary": "Accept"}


or_again = Refused.or_again


# What is answered


def names_json(request: Request) -> bool:
    """Whether `Accept` names JSON and not HTML: a page route answers with data then."""
    named = _named(request)
    return "application/json" in named and "text/html" not in named


def _named(request: Request) -> set[str]:
    return {item.partition(";")[0].strip().lower() for item in request.headers.get("accept", "").split(",")}


def respond(request: Request, value: Any, name: str, **context: Any) -> Response:
    """The data where it is asked for by name, else the page."""
    if names_json(request):
        return answer.json(value, headers={"Vary": "Accept"})
    return answer.page(request, name, headers={"Vary": "Accept"}, **context)


def status_here(error: errors.Refusal) -> int:
    """The status of a refusal here: a move the state does not have is a bad request, not a conflict."""
    return 400 if isinstance(error, errors.WrongState | refusals.BadResponse) else status_of(error)


def code_here(code: str) -> str:
    return _CODES.get(code, code)


def problem(request: Request, problem: Problem) -> Response | None:
    """A refusal below `/admin`."""
    if problem.code == errors.WrongState.code:
        problem = replace(problem, status=400)
    if problem.status == 401:
        headers = {CODE: code_here(problem.code), "Vary": "Accept"}
        if "application/json" in _named(request) or NEVER_A_PAGE.fullmatch(request.url.path):
            return answer.json({"detail": problem.detail}, 401, {**problem.headers, **headers})
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        safe = back if request.method in ("GET", "HEAD") else "/admin"
        return answer.redirect(f"/sign-in?next={quote(safe, safe='')}", headers=headers)
    return answered_as(request, problem, back=_back(request.url.path))


def answered_as(
    request: Request, problem: Problem, *, back: Sequence[tuple[str, str]], guest: bool = False
) -> Response:
    """A refusal as a page for people, else as `{"detail": ...}`."""
    headers = {"Vary": "Accept", **problem.headers, CODE: code_here(problem.code)}
    findings: Sequence[Mapping[str, str]] = problem.facts.get("fields", ())
    if not answer.accepts_html(request) or NEVER_A_PAGE.fullmatch(request.url.path):
        detail = _findings(request, findings) if findings else problem.detail
        return answer.json({"detail": detail}, problem.status, headers)
    sentences = "; ".join(f"{item['field']}: {item['message']}" for item in findings)
    return answer.page(
        request, "error.html", status=problem.status, headers=headers, guest=guest, title=problem.detail,
        detail=sentences, code=headers[CODE], reference=problem.request_id, what_next=back,
        retry_after=problem.facts.get("retry_after"),
    )  # fmt: skip


def _findings(request: Request, findings: Sequence[Mapping[str, str]]) -> list[dict[str, Any]]:
    """What is wrong, by place. The value itself is never repeated."""
    place = "query" if request.method in ("GET", "HEAD") else "body"
    return [
        {
            "type": _TYPES.get(item["message"], "value_error"),
            "loc": [place, *item["field"].split(".")],
            "msg": item["message"],
        }
        for item in findings
    ]


def _back(path: str) -> list[tuple[str, str]]:
    """Where to go on from a refusal: the page the form stood on, then the overview."""
    parts = path.strip("/").split("/")
    places = [("/admin", "All teams and sessions")]
    if len(parts) > 3 and parts[:2] == ["admin", "sessions"] and parts[2] not in ("team", "history"):
        places.insert(0, (f"/admin/sessions/{quote(parts[2])}", "Back to the session"))
    elif len(parts) > 3 and parts[1] in ("sessions", "teams"):
        id = parts[3] if parts[1] == "sessions" else parts[2]
        places.insert(0, (f"/admin/teams/{quote(id)}", "Back to the team"))
    return places
