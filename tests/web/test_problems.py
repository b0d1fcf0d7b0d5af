"""Every code has a status; every refusal has one form for programs and one for people; a body tells no secret."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from sitting import errors
from sitting.web import create_app, deps
from sitting.web import errors as web
from sitting.web.api import ready
from tests.support.serving import installed

STATUSES: Mapping[type[Exception], int] = {
    errors.Refusal: 400,
    errors.NotAuthenticated: 401,
    errors.NotAllowed: 403,
    errors.CsrfFailed: 403,
    errors.NotFound: 404,
    errors.Invalid: 422,
    errors.Malformed: 422,
    errors.KeyReused: 422,
    errors.TooLarge: 413,
    errors.Conflict: 409,
    errors.WrongState: 409,
    errors.KeyTaken: 409,
    errors.KeyBusy: 409,
    errors.BudgetExhausted: 409,
    errors.Stale: 412,
    errors.RateLimited: 429,
    errors.InvalidCursor: 400,
    errors.Gone: 410,
    errors.ModelNotConfigured: 503,
    errors.LeaseLost: 409,
    errors.Tampered: 422,
    errors.Fault: 503,
    errors.StoreUnavailable: 503,
    errors.DiskFull: 507,
    errors.ModelFault: 502,
    errors.ModelTimeout: 504,
    errors.Misuse: 500,
    errors.SittingError: 500,
    ValueError: 500,
}


def request(
    app: FastAPI | None, path: str = "/x", *, accept: str = "application/json", method: str = "GET", query: str = ""
) -> Request:
    """A request that has come through the door."""
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"accept", accept.encode()), (b"host", b"sitting.test")],
        "state": {"request_id": "r1"},
        "scheme": "http",
        "root_path": "",
        "server": ("sitting.test", 80),
    }
    if app is not None:
        scope["app"] = app
    return Request(scope)


def body(response: Response) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(bytes(response.body))
    return value


def test_the_table_names_every_class_of_the_tree() -> None:
    tree = {cls for _, cls in inspect.getmembers(errors, inspect.isclass) if issubclass(cls, errors.SittingError)}
    assert tree <= set(STATUSES)


@pytest.mark.parametrize(("kind", "status"), STATUSES.items())
def test_statuses(kind: type[Exception], status: int) -> None:
    assert web.status_of(kind("x")) == status


def test_a_class_of_an_application_has_the_status_of_the_nearest() -> None:
    class TurnActive(errors.Conflict):
        """A reply is still being written."""

        code = "TURN_ACTIVE"

    response = web.answer(request(None), TurnActive())
    assert response.status_code == 409
    assert body(response) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "A reply is still being written.",
        "code": "TURN_ACTIVE",
        "request_id": "r1",
    }


def test_facts_stand_beside_the_members_and_replace_none() -> None:
    told = body(web.answer(request(None), errors.WrongState("No.", session_status="open", status=200, detail="forged")))
    assert (told["session_status"], told["status"], told["detail"]) == ("open", 409, "No.")


@pytest.mark.parametrize(
    ("error", "name", "value"),
    [
        (errors.RateLimited(retry_after=2.4), "retry-after", "2"),
        (errors.RateLimited(retry_after=0), "retry-after", "1"),
        (errors.StoreUnavailable(), "retry-after", "2"),
        (errors.NotAuthenticated(), "www-authenticate", 'Bearer realm="sitting"'),
    ],
)
def test_headers_of_a_refusal(error: Exception, name: str, value: str) -> None:
    assert web.answer(request(None), error).headers[name] == value


@pytest.mark.parametrize("error", [ValueError("canary-1"), errors.Misuse("canary-2"), HTTPException(500, "canary-3")])
def test_what_nobody_expected_is_not_told(error: Exception) -> None:
    response = web.answer(request(None), error)
    assert response.status_code == 500
    assert "canary" not in bytes(response.body).decode()
    assert (body(response)["code"], body(response)["request_id"]) == ("INTERNAL", "r1")


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (HTTPException(404, "canary"), 404, "NOT_FOUND"),
        (HTTPException(401), 401, "NOT_AUTHENTICATED"),
        (HTTPException(418), 400, "BAD_REQUEST"),
        (HTTPException(413), 413, "TOO_LARGE"),
    ],
)
def test_the_frameworks_refusals_are_ours(error: Exception, status: int, code: str) -> None:
    response = web.answer(request(None), error)
    assert (response.status_code, body(response)["code"]) == (status, code)
    assert "canary" not in bytes(response.body).decode()


def test_a_validation_error_of_the_framework_echoes_nothing() -> None:
    error = RequestValidationError(
        [{"loc": ("body", "password"), "msg": "too short", "input": "hunter2", "type": "x", "ctx": {"x": "hunter2"}}]
    )
    response = web.answer(request(None), error)
    assert response.status_code == 422
    assert body(response)["fields"] == [{"field": "password", "message": "too short"}]
    assert b"hunter2" not in bytes(response.body)


def with_app(path: Path, look: Callable[[FastAPI], None]) -> None:
    with installed(path) as installation:
        look(create_app(installation))


def test_people_get_a_page_and_programs_a_document(tmp_path: Path) -> None:
    def look(app: FastAPI) -> None:
        page = web.answer(request(app, accept="text/html,application/xhtml+xml,*/*;q=0.8"), errors.NotFound("<script>"))
        assert (page.status_code, page.media_type) == (404, "text/html")
        assert b"&lt;script&gt;" in bytes(page.body)
        assert b"r1" in bytes(page.body)
        for accept in ("*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0", ""):
            answer = web.answer(request(app, accept=accept), errors.NotFound())
            assert answer.media_type == "application/problem+json", accept

    with_app(tmp_path, look)


def test_a_refusal_at_the_door_does_not_undo_a_quoted_cookie(client: httpx.Client) -> None:
    """It would take a time that grows with the square of the length. Undone, this one is short enough to be ours."""
    quoted = "\\101" * 200
    headers = {"Accept": "text/html", "Idempotency-Key": "no visible character", "Cookie": f'{deps.FORM}="{quoted}"'}
    answer = client.get("/", headers=headers)
    assert answer.status_code == 422 and deps.FORM in answer.headers["set-cookie"]


def test_people_without_proof_are_sent_to_sign_in_and_back(tmp_path: Path) -> None:
    class JoinRequired(errors.NotAuthenticated):
        """Join first."""

        code = "JOIN_REQUIRED"

    def look(app: FastAPI) -> None:
        html = {"accept": "text/html"}
        sent = web.answer(request(app, "/interviews", query="q=a b&x=1", **html), errors.NotAuthenticated())
        assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=%2Finterviews%3Fq%3Da%20b%26x%3D1")
        posted = web.answer(request(app, "/interviews", method="POST", **html), errors.NotAuthenticated())
        assert posted.headers["location"] == "/sign-in?next=%2F"
        assert web.answer(request(app, "/i/x/events", **html), JoinRequired()).status_code == 401

    with_app(tmp_path, look)


def test_an_application_may_answer_in_its_own_form_below_its_paths(tmp_path: Path) -> None:
    def theirs(request: Request, problem: web.Problem) -> Response | None:
        return PlainTextResponse(f"own {problem.status}", 418) if problem.status == 409 else None

    def look(app: FastAPI) -> None:
        app.state.problems = [("/api/own", theirs)]
        assert bytes(web.answer(request(app, "/api/own/x"), errors.Conflict()).body) == b"own 409"
        assert bytes(web.answer(request(app, "/api/own"), errors.Conflict()).body) == b"own 409"
        assert web.answer(request(app, "/api/own/x"), errors.NotFound()).status_code == 404
        assert web.answer(request(app, "/api/owner"), errors.Conflict()).status_code == 409

    with_app(tmp_path, look)


def test_a_write_that_failed_makes_the_server_unready_for_a_while(tmp_path: Path) -> None:
    def look(app: FastAPI) -> None:
        assert asyncio.run(ready(request(app))).status_code == 200
        web.answer(request(app), errors.DiskFull())
        assert asyncio.run(ready(request(app))).status_code == 503
        app.state.fault_at = float("-inf")
        app.state.streams.draining = True
        told = asyncio.run(ready(request(app)))
        assert body(told) == {"ready": False, "reason": "draining"}

    with_app(tmp_path, look)
