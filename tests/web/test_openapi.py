"""The OpenAPI document and the server say the same: every route stands in it, and a generator finds no lie in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    ignored_auth,
    negative_data_rejection,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.routing import Route

from sitting.web.api import ROUTES
from tests.support.serving import Person, Served

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    negative_data_rejection,
    ignored_auth,
]


@pytest.fixture(scope="module")
def schema(server: Served) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_every_route_is_described(server: Served) -> None:
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    described = {(path, method.upper()) for path, operations in paths.items() for method in operations}
    for route in ROUTES:
        assert isinstance(route, Route)
        pattern = re.sub(
            r"\{verb\}", "[a-z_]+", re.sub(r"^(/v1/kinds/)\{kind\}(/sessions)$", r"\1[a-z]+\2", route.path)
        )
        pattern = re.sub(r"\{(\w+)\}", r"\\{\1\\}", pattern)
        for method in (route.methods or set()) - {"HEAD"}:
            assert any(re.fullmatch(pattern, path) and method == known for path, known in described), (
                route.path,
                method,
            )


def test_every_reference_is_there_and_every_operation_has_a_name_of_its_own(server: Served) -> None:
    response = httpx.get(f"{server.url}/openapi.json")
    document = response.json()
    known = {f"#/components/{part}/{name}" for part, items in document["components"].items() for name in items}
    assert set(re.findall(r'"\$ref":"([^"]+)"', response.text)) <= known
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(names) == len(set(names))
    for operation in operations:
        assert operation["summary"]
        assert "security" in operation


def test_a_command_that_is_not_for_people_is_not_described(server: Served) -> None:
    paths = httpx.get(f"{server.url}/openapi.json").json()["paths"]
    assert "/v1/sessions/{id}/commands/note" in paths
    for verb in ("answer", "expire", "create", "erase"):
        assert f"/v1/sessions/{{id}}/commands/{verb}" not in paths


def test_a_generator_of_requests_finds_no_lie(
    schema: BaseSchema, ada: Person, rounds: Callable[[int, int], int]
) -> None:
    """Good and bad requests to every operation; waiting is left out, since it only takes time."""
    with ada.client() as client:
        session = client.post("/v1/kinds/toy/sessions", json={"name": "x"}).headers["location"].rpartition("/")[2]
    operations = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
    assert len(operations) > 20
    tries = rounds(8, 400)
    for operation in operations:
        cases = st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
        )

        @given(cases, st.booleans())
        @settings(max_examples=tries, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
        def ask(case: Case[Any], real: bool) -> None:
            if isinstance(case.query, dict):
                case.query.pop("wait", None)
            if real and "id" in (case.path_parameters or {}):
                case.path_parameters["id"] = session
            case.call_and_validate(headers=dict(ada.headers), checks=CHECKS)

        ask()
