"""Who may do what: every route of every application against everybody who may knock, no cell left out.

The tables stand beside this file, one module per application. A route without a row fails, so nobody adds one without
saying who may use it. Whoever has no role in a session is answered, byte for byte, as if the session did not exist,
and changes nothing by asking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from _pytest.mark import ParameterSet
from fastapi.routing import APIRouter
from starlette.routing import BaseRoute, Route

from sitting.web import create_app
from tests.support.everybody import ROLES, SAFE, WITHOUT_A_ROLE, Cast, Operation, Table, everybody, operations
from tests.web import access_facilitation, access_house, access_interview, access_solve

TABLES = (
    access_house.TABLE,
    access_interview.INTERVIEWS,
    access_interview.CHALLENGES,
    access_facilitation.TABLE,
    access_solve.TABLE,
)
# The routes of the house again, asked about what other applications keep.
AGAIN = (access_house.PAGE, access_facilitation.MEETING, access_facilitation.TEAMS, access_solve.GENERIC)
# What another site may ask for: whoever is not signed in is told that they have left.
HARMLESS = frozenset({("POST", "/sign-out")})


def cells(tables: Sequence[Table], among: Callable[[Operation], bool]) -> list[ParameterSet]:
    """The rows of some tables as parameters of a test."""
    return [
        pytest.param(table, row, id=f"{table.name} {' '.join(row)}")
        for table in tables
        for row in table.rows
        if among(row)
    ]


def missing(routes: Sequence[BaseRoute]) -> list[Operation]:
    """The operations that no row speaks of."""
    return sorted(set(operations(routes)) - {row for table in TABLES for row in table.rows})


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    with everybody(tmp_path_factory.mktemp("matrix")) as made:
        yield made


def test_every_operation_has_a_row_and_every_row_an_operation(cast: Cast) -> None:
    routes = create_app(cast.house.installation).routes
    assert missing(routes) == []
    known = [row for table in TABLES for row in table.rows]
    assert len(known) == len(set(known)), "two rows for one operation"
    assert {row for table in TABLES + AGAIN for row in table.rows} <= set(operations(routes)), "a row for nothing"


def test_a_planted_route_without_a_row_is_noticed(cast: Cast) -> None:
    app = create_app(cast.house.installation)

    async def handler() -> None: ...

    inside = APIRouter()
    inside.add_api_route("/interviews/{id}/secrets", handler, methods=["GET", "POST"])
    app.include_router(inside)
    app.router.routes.append(Route("/v1/everything", handler, methods=["GET"]))
    planted = [("GET", "/interviews/{id}/secrets"), ("GET", "/v1/everything"), ("POST", "/interviews/{id}/secrets")]
    assert missing(app.routes) == planted


@pytest.mark.parametrize(("table", "row"), cells(TABLES + AGAIN, lambda row: True))
def test_everybody_gets_what_the_table_says(cast: Cast, table: Table, row: Operation) -> None:
    found = {role: cast.ask(role, row, table).status_code for role in ROLES}
    assert found == table.rows[row]


@pytest.mark.parametrize(("table", "row"), cells(TABLES + AGAIN, lambda row: row[0] == "GET"))
def test_head_opens_nothing_that_get_does_not(cast: Cast, table: Table, row: Operation) -> None:
    for role in ROLES:
        assert cast.ask(role, row, table, method="HEAD").status_code == table.rows[row][role], role


@pytest.mark.parametrize(("table", "row"), cells(TABLES + AGAIN, lambda row: "id}" in row[1]))
def test_without_a_role_a_session_is_as_if_it_were_not_there(cast: Cast, table: Table, row: Operation) -> None:
    place = cast.place(table)
    before = cast.state(place)
    for role in WITHOUT_A_ROLE:
        if table.rows[row][role] in (401, 404):
            there, nowhere = (cast.told(role, row, table, each) for each in (place, place.elsewhere()))
            assert there == nowhere, role
    assert cast.state(place) == before, "somebody changed something"


@pytest.mark.parametrize(("table", "row"), cells(TABLES + AGAIN, lambda row: row[0] not in SAFE))
def test_another_site_changes_nothing_for_whoever_is_signed_in(cast: Cast, table: Table, row: Operation) -> None:
    """The browser sends its cookie, but has no token, or says that the request comes from elsewhere."""
    place = cast.place(table)
    before = cast.state(place)
    public = table.rows[row]["anonymous"] < 400  # such a form has a token of its own, or nothing to protect
    for role in ("cookie", "guest"):
        client = cast.whoever(role, table)
        token = client.headers.pop("X-CSRF-Token")
        try:
            for added in ({"X-CSRF-Token": token, "Sec-Fetch-Site": "cross-site"}, {})[: 1 if public else 2]:
                request = table.request(row, place)
                answer = client.request(**{**request, "headers": {**request["headers"], **added}})
                assert answer.status_code >= 400 or row in HARMLESS, (role, added)
        finally:
            client.headers["X-CSRF-Token"] = token
    assert cast.state(place) == before
