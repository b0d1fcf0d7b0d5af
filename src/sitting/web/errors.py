"""Codes to statuses, and the one form a refusal takes: a problem document (RFC 9457), or a page for people.

The nearest class of the tree in `sitting.errors` decides the status. An application may answer in its own form below
its own paths: its routes module names `PROBLEMS`, path prefix -> renderer. What nobody expected says `INTERNAL` and a
reference that also stands in the log; neither holds anything the request or the database contained.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from .. import errors, logs
from . import answer as out
from . import deps
from .refusals import BadRequest, MethodNotAllowed, NoSuchPage, NotAcceptable, RequestTimeout, UnsupportedMedia

log = structlog.get_logger("sitting.web")
PROBLEM = "application/problem+json"
_RETRY_SECONDS = 2


STATUS: Mapping[type[Exception], int] = {
    errors.Refusal: 400,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    MethodNotAllowed: 405,
    NotAcceptable: 406,
    RequestTimeout: 408,
    errors.Conflict: 409,
    errors.LeaseLost: 409,
    errors.Gone: 410,
    errors.Stale: 412,
    errors.TooLarge: 413,
    UnsupportedMedia: 415,
    errors.Invalid: 422,
    errors.Tampered: 422,
    errors.RateLimited: 429,
    errors.ModelNotConfigured: 503,
    errors.ModelFault: 502,
    errors.ModelTimeout: 504,
    errors.StoreUnavailable: 503,
    errors.DiskFull: 507,
    errors.Fault: 503,
}


@dataclass(frozen=True)
class Problem:
    """What the caller is told. `facts` stand beside the members of RFC 9457."""

    status: int
    code: str
    detail: str
    request_id: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        return HTTPStatus(self.status).phrase

    def document(self) -> dict[str, Any]:
        """The members in the order people read them; facts never replace a member."""
        members = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": self.request_id,
        }
        return {**members, **{name: value for name, value in self.facts.items() if name not in members}}


Renderer = Callable[[Request, Problem], Response | None]


def status_of(error: Exception) -> int:
    """The status of the nearest class in the tree; 500 for what is not in it."""
    for cls in type(error).__mro__:
        if cls in STATUS:
            return STATUS[cls]
    return 500


def patience(error: errors.SittingError) -> dict[str, str]:
    """When to come again, where an error says so."""
    seconds = error.facts.get("retry_after")
    return {} if seconds is None else {"Retry-After": str(max(1, round(seconds)))}


def answer(request: Request, error: Exception) -> Response:
    """The answer to any exception."""
    problem = _problem(request, _known(request, error))
    if problem.status == 401 and problem.code == errors.NotAuthenticated.code and out.accepts_html(request):
        return out.redirect(f"/sign-in?next={quote(_back(request), safe='')}", headers={"Vary": "Accept"})
    for prefix, renderer in request.app.state.problems if "app" in request.scope else ():
        below = request.url.path == prefix or request.url.path.startswith(prefix.rstrip("/") + "/")
        response: Response | None = renderer(request, problem) if below else None
        if response is not None:
            return response
    return rendered(request, problem)


def rendered(request: Request, problem: Problem) -> Response:
    """The house's form of a problem: a page for people, else the document."""
    headers = {"Vary": "Accept", **problem.headers}
    if not out.accepts_html(request) or "app" not in request.scope:
        return out.json(problem.document(), problem.status, headers, media_type=PROBLEM)
    what_next = [("/help/models", "How to set up a model")] if problem.code == errors.ModelNotConfigured.code else []
    return out.page(
        request,
        "error.html",
        status=problem.status,
        headers=headers,
        title=problem.title,
        detail=problem.detail,
        code=problem.code,
        reference=problem.request_id,
        fields=problem.facts.get("fields"),
        what_next=[*what_next, ("/", "Home")],
        retry_after=problem.facts.get("retry_after"),
    )


def install(app: FastAPI) -> None:
    """Let FastAPI answer its own refusals in the same form."""

    async def handle(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and out.accepts_html(request):
            with suppress(errors.SittingError):  # no handler has asked who it is, and the page's head says so
                await deps.maybe(request)
        return answer(request, error)

    for kind in (errors.SittingError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle)


def _known(request: Request, error: Exception) -> Exception:
    """The framework's refusals as ours."""
    if isinstance(error, RequestValidationError):
        found = [
            {"field": ".".join(str(part) for part in item["loc"][1:]) or str(item["loc"][0]), "message": item["msg"]}
            for item in error.errors()
        ]
        return errors.Invalid(fields=found)
    if isinstance(error, HTTPException):
        known: dict[int, errors.Refusal] = {
            401: errors.NotAuthenticated(),
            403: errors.NotAllowed(),
            404: NoSuchPage(),
            405: MethodNotAllowed(),
            406: NotAcceptable(),
            413: errors.TooLarge(),
            415: UnsupportedMedia(),
            422: errors.Invalid(),
        }
        return known.get(error.status_code, BadRequest()) if error.status_code < 500 else error
    return error


def _problem(request: Request, error: Exception) -> Problem:
    request_id = str(getattr(request.state, "request_id", ""))
    status = status_of(error)
    if not isinstance(error, errors.SittingError) or status == 500:
        record(error, request_id)
        return Problem(500, "INTERNAL", "Something went wrong here. The reference finds it in the log.", request_id)
    if isinstance(error, errors.Fault):
        log.warning("fault", code=error.code, error=type(error).__name__, request_id=request_id)
        if isinstance(error, errors.StoreUnavailable | errors.DiskFull) and "app" in request.scope:
            request.app.state.fault_at = time.monotonic()
    return Problem(status, error.code, error.message, request_id, error.facts, _headers(request, error, status))


def _headers(request: Request, error: errors.SittingError, status: int) -> dict[str, str]:
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="sitting"'
    if status == 405:
        headers["Allow"] = ", ".join(_allowed(request))
    if isinstance(error, errors.StoreUnavailable):
        headers["Retry-After"] = str(_RETRY_SECONDS)
    return headers | patience(error)


def _allowed(request: Request) -> list[str]:
    """Every method some route has for this path; the framework names those of the first route only."""
    routes = request.app.router.routes
    return [
        method
        for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


def _back(request: Request) -> str:
    """Where to return after signing in: only an address that can be opened by a link."""
    if request.method not in ("GET", "HEAD"):
        return "/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def record(error: BaseException, request_id: str) -> None:
    """Where it broke, for the log."""
    log.error("unexpected", error=type(error).__name__, trail=logs.trail(error), request_id=request_id)
