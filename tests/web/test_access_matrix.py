"""Who may do what: every route of the application against everybody who may knock, one table, no cell left out.

A route without a row fails, so nobody adds one without saying who may use it. Whoever has no role in a session is
answered, byte for byte, as if the session did not exist, and changes nothing by asking.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRouter
from starlette.routing import BaseRoute, Route

from sitting.apps.interview.app import APP
from sitting.config import Settings
from sitting.installation import Installation
from sitting.web import create_app
from tests.support.serving import Person, Served, running

# Who knocks. An outsider is the candidate of another interview, a foreigner a member of another space, a stranger a
# member of this space who does not interview here.
ROLES = ("anonymous", "outsider", "foreigner", "stranger", "candidate", "interviewer", "admin")
WITHOUT_A_ROLE = ROLES[:4]
MATRIX = """
GET    /v1                                                  200 200 200 200 200 200 200
GET    /v1/kinds                                            200 200 200 200 200 200 200
GET    /v1/kinds/{kind}                                     200 200 200 200 200 200 200
POST   /v1/kinds/{kind}/sessions                            401 401 201 201 401 201 201
GET    /v1/sessions                                         401 401 200 200 401 200 200
DELETE /v1/sessions/{id}                                    401 401 404 404 403 204 204
GET    /v1/sessions/{id}                                    401 401 404 404 200 200 200
POST   /v1/sessions/{id}/commands/{verb}                    401 401 404 404 403 200 200
GET    /v1/sessions/{id}/events                             401 401 404 404 200 200 200
GET    /v1/sessions/{id}/turns/{turn}                       401 401 404 404 404 404 404
GET    /v1/sessions/{id}/turns/{turn}/stream                401 401 404 404 404 404 404
POST   /v1/sessions/{id}/turns/{turn}/cancel                401 401 404 404 404 404 404
GET    /v1/sessions/{id}/bundle                             401 401 404 404 200 200 200
GET    /v1/sessions/{id}/verify                             401 401 404 404 200 200 200
POST   /v1/bundles                                          401 401 415 415 401 415 415
GET    /livez                                               200 200 200 200 200 200 200
GET    /readyz                                              200 200 200 200 200 200 200
GET    /metrics                                             200 200 200 200 200 200 200
GET    /static/{name}                                       404 404 404 404 404 404 404
GET    /openapi.json                                        200 200 200 200 200 200 200
GET    /sign-in                                             200 200 303 303 200 303 303
POST   /sign-in                                             403 403 403 403 403 403 403
GET    /sign-in/link/{token}                                200 200 200 200 200 200 200
POST   /sign-in/link/{token}                                403 403 403 403 403 403 403
GET    /sign-out                                            303 303 200 200 303 200 200
POST   /sign-out                                            303 303 303 303 303 303 303
POST   /sign-out-everywhere                                 401 401 303 303 401 303 303
POST   /interviews                                          401 401 201 201 401 201 201
GET    /interviews                                          401 401 200 200 401 200 200
GET    /interviews/new                                      401 401 200 200 401 200 200
POST   /interviews/new                                      401 401 415 415 401 415 415
GET    /interviews/compare                                  401 401 422 422 401 422 422
GET    /interviews/{id}                                     401 401 404 404 401 200 200
PATCH  /interviews/{id}                                     401 401 404 404 401 200 200
POST   /interviews/{id}/update                              401 401 404 404 401 415 415
DELETE /interviews/{id}                                     401 401 404 404 401 204 204
POST   /interviews/{id}/delete                              401 401 404 404 401 303 303
GET    /interviews/{id}/remaining                           401 401 404 404 401 200 200
GET    /interviews/{id}/messages                            401 401 404 404 401 200 200
GET    /interviews/{id}/events                              401 401 404 404 401 200 200
GET    /interviews/{id}/turns/{turn}/stream                 401 401 404 404 401 404 404
POST   /interviews/{id}/turns/{turn}/cancel                 401 401 404 404 401 404 404
GET    /interviews/{id}/analytics                           401 401 404 404 401 200 200
GET    /interviews/{id}/ledger                              401 401 404 404 401 200 200
POST   /interviews/{id}/link                                401 401 404 404 401 200 200
POST   /interviews/{id}/interviewers                        401 401 404 404 401 422 422
DELETE /interviews/{id}/interviewers/{actor}                401 401 404 404 401 404 404
POST   /interviews/{id}/interviewers/{actor}/remove         401 401 404 404 401 404 404
GET    /interviews/{id}/review                              401 401 404 404 401 200 200
GET    /interviews/{id}/replay                              401 401 404 404 401 200 200
GET    /interviews/{id}/notes                               401 401 404 404 401 200 200
POST   /interviews/{id}/notes                               401 401 404 404 401 201 201
PATCH  /interviews/{id}/notes/{note}                        401 401 404 404 401 404 404
POST   /interviews/{id}/notes/{note}/change                 401 401 415 415 401 415 415
DELETE /interviews/{id}/notes/{note}                        401 401 404 404 401 404 404
POST   /interviews/{id}/notes/{note}/remove                 401 401 404 404 401 404 404
GET    /interviews/{id}/scorecards                          401 401 404 404 401 200 200
PUT    /interviews/{id}/scorecard                           401 401 404 404 401 409 409
POST   /interviews/{id}/scorecard                           401 401 415 415 401 415 415
POST   /interviews/{id}/scorecard/submit                    401 401 404 404 401 409 409
POST   /interviews/{id}/scorecard/amend                     401 401 404 404 401 422 422
POST   /interviews/{id}/evidence                            401 401 404 404 401 422 422
POST   /interviews/{id}/evidence/{job}/cancel               401 401 404 404 401 409 409
GET    /interviews/{id}/export                              401 401 404 404 401 200 200
POST   /interviews/{id}/{move}                              401 401 404 404 401 409 409
GET    /challenges                                          401 401 200 200 401 200 200
GET    /challenges/stats                                    401 401 200 200 401 200 200
GET    /challenges/new                                      401 401 200 200 401 200 200
POST   /challenges                                          401 401 201 201 401 201 201
GET    /challenges/{id}                                     401 401 404 200 401 200 200
GET    /challenges/{id}/edit                                401 401 404 200 401 200 200
PATCH  /challenges/{id}                                     401 401 404 403 401 200 200
POST   /challenges/{id}/edit                                401 401 404 415 401 415 415
POST   /challenges/{id}/archive                             401 401 404 403 401 200 200
DELETE /challenges/{id}                                     401 401 404 403 401 204 204
POST   /challenges/{id}/restore                             401 401 404 409 401 409 409
POST   /challenges/{id}/copy                                401 401 404 201 401 201 201
GET    /i                                                   200 200 200 200 200 200 200
POST   /i                                                   415 415 415 415 415 415 415
GET    /i/{code}                                            200 200 200 200 200 200 200
POST   /i/{code}/join                                       303 303 303 303 303 303 303
POST   /i/{code}/start                                      401 401 401 401 200 401 401
GET    /i/{code}/status                                     401 401 401 401 200 401 401
GET    /i/{code}/messages                                   401 401 401 401 200 401 401
POST   /i/{code}/messages                                   401 401 401 401 409 401 401
POST   /i/{code}/turns/{turn}/retry                         401 401 401 401 409 401 401
POST   /i/{code}/turns/{turn}/cancel                        401 401 401 401 404 401 401
GET    /i/{code}/turns/{turn}/stream                        401 401 401 401 404 401 401
GET    /i/{code}/events                                     401 401 401 401 200 401 401
GET    /i/{code}/ledger                                     401 401 401 401 200 401 401
GET    /i/{code}/export                                     401 401 401 401 404 401 401
POST   /i/{code}/leave                                      401 401 401 401 403 401 401
POST   /i/{code}/marks                                      401 401 401 401 409 401 401
GET    /sessions/{id}                                       401 401 404 404 404 200 200
POST   /sessions/{id}/do/{verb}                             401 401 404 404 404 415 415
POST   /sessions/{id}/verify                                401 401 404 404 404 303 303
POST   /sessions/{id}/delete                                401 401 404 404 404 303 303
GET    /sessions/{id}/bundle                                401 401 404 404 404 200 200
GET    /account                                             401 401 403 403 401 403 403
POST   /account/tokens                                      401 401 403 403 401 403 403
POST   /account/tokens/{token}/revoke                       401 401 403 403 401 403 403
POST   /account/password                                    401 401 403 403 401 403 403
GET    /                                                    401 401 200 200 401 200 200
GET    /kinds/{kind}                                        401 401 200 200 401 200 200
GET    /kinds/{kind}/new                                    401 401 200 200 401 200 200
POST   /kinds/{kind}/new                                    401 401 415 415 401 415 415
GET    /help                                                200 200 200 200 200 200 200
GET    /help/models                                         200 200 200 200 200 200 200
"""
TABLE = {
    (line.split()[0], line.split()[1]): dict(zip(ROLES, map(int, line.split()[2:]), strict=True))
    for line in MATRIX.strip().splitlines()
}
BODIES: dict[tuple[str, str], Any] = {
    ("POST", "/interviews"): {"candidate_name": "Ada"},
    ("PATCH", "/interviews/{id}"): {"candidate_name": "Grace"},
    ("POST", "/interviews/{id}/link"): {"action": "rotate"},
    ("POST", "/interviews/{id}/notes"): {"text": "seen"},
    ("PATCH", "/interviews/{id}/notes/{note}"): {"text": "seen"},
    ("PUT", "/interviews/{id}/scorecard"): {"summary": "good"},
    ("POST", "/v1/kinds/{kind}/sessions"): {"candidate_name": "Ada"},
    ("POST", "/v1/sessions/{id}/commands/{verb}"): {"text": "seen"},
    ("POST", "/i/{code}/messages"): {"content": "How?"},
    ("POST", "/i/{code}/leave"): {"confirm": "yes"},
    ("POST", "/i/{code}/marks"): {"kind": "paste", "chars": 3},
    ("PATCH", "/challenges/{id}"): {"title": "Another"},
    ("POST", "/challenges"): {
        "title": "Sum", "category": "coding", "difficulty": "easy", "instructions": "Add two numbers.",
    },
}  # fmt: skip
QUERIES = {"/v1/sessions": {"kind": "interview"}}
PLACES = {
    "kind": "interview",
    "verb": "add_note",
    "move": "pause",
    "turn": "t-none",
    "note": "n-none",
    "job": "j-none",
    "actor": "user:none",
    "token": "none",
    "name": "none.css",
}


def operations(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Every method of every route, also of routers inside; what is neither is not passed over."""
    for route in routes:
        if isinstance(route, Route):
            yield from ((method, route.path) for method in sorted(route.methods or ()) if method != "HEAD")
        else:
            inner = getattr(route, "original_router", None)
            assert isinstance(inner, APIRouter), f"what is {route}?"
            yield from operations(inner.routes)


def missing(routes: Sequence[BaseRoute]) -> list[tuple[str, str]]:
    """The operations that no row speaks of."""
    return sorted(set(operations(routes)) - set(TABLE))


@dataclass
class Visit:
    """One caller before one interview (or challenge): what it takes to fill a path."""

    client: httpx.Client
    id: str
    code: str
    challenge: str

    def send(self, method: str, path: str, *, id: str = "") -> httpx.Response:
        """Ask; with `id`, for another session than the one there is."""
        one = self.challenge if path.startswith("/challenges/") else self.id
        place = path.format(**PLACES, id=id or one, code=self.code)
        body = {"json": BODIES.get((method, path), {})} if method in ("POST", "PUT", "PATCH") else {}
        return self.client.request(method, place, params=QUERIES.get(path), **body)

    def told(self, method: str, path: str, *, id: str = "") -> tuple[int, dict[str, str], str]:
        """Everything an answer tells, but for the id that was asked for and what differs between any two requests."""
        answer = self.send(method, path, id=id)
        given = {name: value for name, value in answer.headers.items() if name not in ("date", "set-cookie")}
        text = answer.text
        for word, name in (
            (given.pop("x-request-id", ""), "REQUEST"),
            (id, "ID"),
            (self.id, "ID"),
            (self.challenge, "ID"),
        ):
            text = text.replace(word, name) if word else text
        given.pop("content-length", "")
        return answer.status_code, given, text


class Cast:
    """Everybody of the table, before fresh interviews of Ann's."""

    def __init__(self, house: Served, stack: ExitStack) -> None:
        self.house, self.stack = house, stack
        access = house.installation.access
        other = access.create_space("Elsewhere").result()
        account = access.create_account("Fay", space=other).result()
        token = access.create_token(account, "test", space=other).result()[0]
        foreigner = Person(access.by_token(token).result(), token, "", house.url)
        self.people = {
            "foreigner": stack.enter_context(foreigner.client()),
            "stranger": stack.enter_context(house.person("Sam").client()),
            "interviewer": stack.enter_context(house.person("Ann").client()),
            "admin": stack.enter_context(house.person("Eve", roles=("member", "admin")).client()),
        }
        self._outsider = self._joined(self._planned()["join_url"])
        self._anonymous = stack.enter_context(httpx.Client(base_url=house.url, timeout=20))

    def visit(self, role: str) -> Visit:
        """A caller before an interview that nobody has touched."""
        planned = self._planned()
        ann = self.people["interviewer"]
        challenge = ann.post("/challenges", json=BODIES["POST", "/challenges"])
        assert challenge.status_code == 201, challenge.text
        client = self.people.get(role)
        if role == "candidate":
            client = self._joined(planned["join_url"])
        elif role == "outsider":
            client = self._outsider
        code = planned["join_url"].rpartition("/")[2]
        return Visit(client or self._anonymous, planned["id"], code, challenge.json()["id"])

    def state(self, visit: Visit) -> tuple[Any, ...]:
        """What nobody without a role may have changed."""
        ann = self.people["interviewer"]
        one, other = ann.get(f"/v1/sessions/{visit.id}").json(), ann.get(f"/v1/sessions/{visit.challenge}").json()
        return one["as_of"], one["people"], other["as_of"], other["people"]

    def _planned(self) -> dict[str, Any]:
        answer = self.people["interviewer"].post("/interviews", json={"candidate_name": "Ada"})
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def _joined(self, url: str) -> httpx.Client:
        client = self.stack.enter_context(httpx.Client(base_url=self.house.url, timeout=20))
        assert client.post(f"{url}/join").status_code == 303
        page = client.get(url, headers={"Accept": "text/html"}).text
        found = re.search(r'name="csrf-token" content="([^"]+)"', page)
        assert found is not None
        client.headers["X-CSRF-Token"] = found[1]
        return client


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    data = tmp_path_factory.mktemp("matrix")
    with (
        Installation(
            Settings(data=data, model="none", port=0, drain_seconds=1, log_level="error"), apps=(APP,)
        ) as installation,
        running(installation) as server,
        ExitStack() as stack,
    ):
        yield Cast(Served(installation, server, server.url), stack)


def test_every_operation_has_a_row_and_every_row_an_operation(cast: Cast) -> None:
    app = create_app(cast.house.installation)
    assert missing(app.routes) == []
    assert set(TABLE) - set(operations(app.routes)) == set(), "a row for what is not there"


def test_a_planted_route_without_a_row_is_noticed(cast: Cast) -> None:
    app = create_app(cast.house.installation)

    async def handler() -> None: ...

    inside = APIRouter()
    inside.add_api_route("/interviews/{id}/secrets", handler, methods=["GET", "POST"])
    app.include_router(inside)
    app.router.routes.append(Route("/v1/everything", handler, methods=["GET"]))
    planted = [("GET", "/interviews/{id}/secrets"), ("GET", "/v1/everything"), ("POST", "/interviews/{id}/secrets")]
    assert missing(app.routes) == planted


@pytest.mark.parametrize("operation", TABLE, ids=" ".join)
def test_everybody_gets_what_the_table_says(cast: Cast, operation: tuple[str, str]) -> None:
    found = {role: cast.visit(role).send(*operation).status_code for role in ROLES}
    assert found == TABLE[operation]


@pytest.mark.parametrize("operation", [known for known in TABLE if known[0] == "GET"], ids=" ".join)
def test_head_opens_nothing_that_get_does_not(cast: Cast, operation: tuple[str, str]) -> None:
    for role in ROLES:
        status = cast.visit(role).send("HEAD", operation[1]).status_code
        assert status in (TABLE[operation][role], 405), role


@pytest.mark.parametrize("operation", [known for known in TABLE if "{id}" in known[1]], ids=" ".join)
def test_without_a_role_an_interview_is_as_if_it_were_not_there(cast: Cast, operation: tuple[str, str]) -> None:
    for role in WITHOUT_A_ROLE:
        if TABLE[operation][role] < 400:
            continue  # the library of challenges, which a space reads together
        visit = cast.visit(role)
        before = cast.state(visit)
        foreign = visit.told(*operation)
        if TABLE[operation][role] in (401, 404):
            assert foreign == visit.told(*operation, id="0190aaaabbbbccccddddeeeeffff0000"), role
        assert cast.state(visit) == before, f"{role} changed something"
