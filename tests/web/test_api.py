"""`/v1` against a real server: sessions, commands, repeats, preconditions, bundles, and what operators ask."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.serving import Person, Served, served


def make(client: httpx.Client, **fields: Any) -> str:
    return str(client.post("/v1/kinds/toy/sessions", json={"name": "x", **fields}).headers["location"])


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """A refusal in its only form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    value: dict[str, Any] = response.json()
    assert (value["status"], value["code"], value["type"]) == (status, code, "about:blank")
    assert value["request_id"] == response.headers["x-request-id"]
    assert value["title"] and value["detail"]
    return value


def test_the_index_and_the_kinds(server: Served) -> None:
    index = httpx.get(f"{server.url}/v1").json()
    assert index["kinds"] == "/v1/kinds"
    assert [item["name"] for item in httpx.get(f"{server.url}/v1/kinds").json()["items"]] == ["toy"]
    kind = httpx.get(f"{server.url}/v1/kinds/toy").json()
    assert kind["states"] == ["open", "paused", "done", "expired"]
    assert {"verb": "pause", "from": ["open"], "to": ["paused"], "roles": ["owner"]} in kind["moves"]
    assert kind["commands"]["note"]["properties"]["text"]["maxLength"] == 2000
    assert not {"answer", "expire", "erase"} & set(kind["commands"])
    problem(httpx.get(f"{server.url}/v1/kinds/none"), 404, "NOT_FOUND")


def test_a_session_from_its_beginning_to_its_end(client: httpx.Client, ada: Person) -> None:
    made = client.post("/v1/kinds/toy/sessions", json={"name": "Plan", "words": 50})
    assert made.status_code == 201
    session = made.headers["location"]
    body = made.json()
    assert session == f"/v1/sessions/{body['id']}"
    assert (body["state"], body["as_of"], body["role"], body["closed"]) == ("open", "1.1", "owner", False)
    assert [event["type"] for event in body["events"]] == ["created"]
    assert "note" in body["allowed"]
    assert "answer" not in body["allowed"]

    noted = client.post(f"{session}/commands/note", json={"text": "two words"})
    assert (noted.status_code, noted.json()["view"]["used"], noted.headers["etag"]) == (200, 2, '"1.2"')
    seen = client.get(session)
    assert seen.json()["people"] == [{"actor": ada.actor.id, "role": "owner"}]
    assert client.get(session, headers={"If-None-Match": seen.headers["etag"]}).status_code == 304
    assert client.get(session, headers={"If-None-Match": '"1.1"'}).status_code == 200
    assert client.head(session).headers["etag"] == '"1.2"'

    assert problem(client.delete(session), 409, "WRONG_STATE")["session_status"] == "open"
    assert client.post(f"{session}/commands/end", json={"reason": "done"}).json()["closed"]
    wrong = problem(client.post(f"{session}/commands/note", json={"text": "x"}), 409, "WRONG_STATE")
    assert (wrong["session_status"], wrong["allowed"]) == ("done", ["forget", "erase"])
    assert client.delete(session).status_code == 204
    problem(client.get(session), 404, "NOT_FOUND")


def test_a_refused_command_says_which_field_and_never_the_value(client: httpx.Client) -> None:
    session = make(client)
    refused = client.post(f"{session}/commands/note", json={"text": 5, "canary": "c4n4ry"})
    fields = {item["field"] for item in problem(refused, 422, "VALIDATION_ERROR")["fields"]}
    assert fields == {"text", "canary"}
    assert "c4n4ry" not in refused.text


@pytest.mark.parametrize(
    "raw",
    [
        b'{"text": NaN}',
        b'{"text": "\\ud800"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "\\u0000"}',
        b'{"text":"a","text":"b"}',
        b"\xef\xbb\xbf{}",
        '{"text":"a"}'.encode("utf-16"),
        b"[" * 100_000,
        b"null",
        b"[]",
        b'"x"',
        b"{} {}",
        b'{"text": 1e400}',
        b'{"text":"a"',
        b'{"text":"a",}',
        b"\xff",
        b"{'text':'a'}",
        b'{"text":"a"} // x',
        b'{"' + b"k" * 65_000 + b'":1}',
    ],
)
def test_what_is_not_json_is_refused(client: httpx.Client, raw: bytes) -> None:
    session = make(client)
    refused = client.post(f"{session}/commands/note", content=raw, headers={"Content-Type": "application/json"})
    assert refused.status_code == 422, refused.text
    assert client.get(session).json()["as_of"] == "1.1"


def test_large_and_foreign_bodies(client: httpx.Client) -> None:
    session = make(client)
    large = b'{"text":"' + b"x" * 300_000 + b'"}'
    problem(
        client.post(f"{session}/commands/note", content=large, headers={"Content-Type": "application/json"}),
        413,
        "TOO_LARGE",
    )
    chunks = client.post(
        f"{session}/commands/note",
        content=(b"x" * 60_000 for _ in range(10)),
        headers={"Content-Type": "application/json"},
    )
    problem(chunks, 413, "TOO_LARGE")
    for content_type in ("text/plain", "application/xml"):
        response = client.post(
            f"{session}/commands/note", content=b'{"text":"a"}', headers={"Content-Type": content_type}
        )
        problem(response, 415, "UNSUPPORTED_MEDIA_TYPE")
    form = client.post(f"{session}/commands/note", data={"text": "a"})
    problem(form, 415, "UNSUPPORTED_MEDIA_TYPE")


@pytest.mark.parametrize("verb", ["answer", "expire", "create", "erase", "none", "note%20"])
def test_verbs_that_are_not_for_people(client: httpx.Client, verb: str) -> None:
    session = make(client)
    problem(client.post(f"{session}/commands/{verb}", json={}), 404, "NOT_FOUND")


def test_a_foreign_session_is_an_unknown_one_on_every_route(server: Served, client: httpx.Client) -> None:
    session = make(client)
    routes = [
        ("GET", "", None),
        ("DELETE", "", None),
        ("GET", "/events", None),
        ("HEAD", "/events", None),
        ("GET", "/bundle", None),
        ("GET", "/verify", None),
        ("GET", "/turns/t", None),
        ("GET", "/turns/t/stream", None),
        ("POST", "/turns/t/cancel", {}),
        ("POST", "/turns/t/cancel", {"x": 1}),
        ("POST", "/commands/note", {"text": "x"}),
        ("POST", "/commands/note", {"text": 1}),
        ("POST", "/commands/none", {}),
        ("GET", "/events?after=9.9", None),
        ("POST", "/commands/answer", {}),
    ]
    with server.person("Eve").client() as eve, httpx.Client(base_url=server.url) as nobody:
        for method, path, body in routes:
            asked = {"json": body} if body is not None else {}
            foreign = eve.request(method, session + path, **asked)  # type: ignore[arg-type]
            unknown = eve.request(method, "/v1/sessions/none" + path, **asked)  # type: ignore[arg-type]
            assert foreign.status_code == unknown.status_code == 404, (method, path, foreign.text, unknown.text)
            same = [json.loads(response.text or "{}") | {"request_id": ""} for response in (foreign, unknown)]
            assert same[0] == same[1], (method, path)
            assert nobody.request(method, session + path, **asked).status_code == 401  # type: ignore[arg-type]


def test_a_repeat_gets_the_first_answer(client: httpx.Client, server: Served) -> None:
    key = {"Idempotency-Key": "k-1"}
    first = client.post("/v1/kinds/toy/sessions", json={"name": "once"}, headers=key)
    again = client.post("/v1/kinds/toy/sessions", json={"name": "once"}, headers=key)
    assert (again.status_code, again.content, again.headers["location"]) == (
        201,
        first.content,
        first.headers["location"],
    )
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    problem(client.post("/v1/kinds/toy/sessions", json={"name": "other"}, headers=key), 422, "IDEMPOTENCY_KEY_REUSED")
    with server.person("Bob").client() as bob:
        theirs = bob.post("/v1/kinds/toy/sessions", json={"name": "once"}, headers=key)
    assert theirs.json()["id"] != first.json()["id"]
    session = first.headers["location"]
    for _ in range(3):
        assert client.post(f"{session}/commands/note", json={"text": "a b"}, headers=key).json()["view"]["used"] == 2
    for bad in ("", "a b", "x" * 256):
        refused = client.post(f"{session}/commands/note", json={"text": "a"}, headers={"Idempotency-Key": bad})
        problem(refused, 422, "VALIDATION_ERROR")


def test_many_at_once_with_one_key_write_once(ada: Person, client: httpx.Client) -> None:
    session = make(client)

    def write(_: int) -> int:
        with ada.client() as mine:
            answer = mine.post(f"{session}/commands/note", json={"text": "a"}, headers={"Idempotency-Key": "same"})
            return answer.status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(write, range(24)))
    assert set(statuses) <= {200, 409}
    assert 200 in statuses
    assert client.get(session).json()["as_of"] == "1.2"


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        ('"1.1"', 200),
        ("1.1", 200),
        ("*", 200),
        ('"1.2"', 412),
        ('"2.1"', 412),
        ('W/"1.1"', 412),
        ("x", 400),
        ('"1.1", "1.2"', 400),
    ],
)
def test_only_if_nothing_has_happened_since(client: httpx.Client, tag: str, status: int) -> None:
    session = make(client)
    answer = client.post(f"{session}/commands/note", json={"text": "a"}, headers={"If-Match": tag})
    assert answer.status_code == status, answer.text
    if tag == '"1.2"':
        assert problem(answer, 412, "STALE_POSITION")["position"] == "1.1"


def test_an_erasure_only_if_nothing_has_happened_since(client: httpx.Client) -> None:
    session = make(client)
    assert client.post(f"{session}/commands/end", json={"reason": "done"}).json()["as_of"] == "1.2"
    assert client.delete(session, headers={"If-Match": '"1.1"'}).status_code == 412
    assert client.delete(session, headers={"If-Match": "x"}).status_code == 400
    assert client.get(session).status_code == 200
    assert client.delete(session, headers={"If-Match": '"1.2"'}).status_code == 204


def test_lists(server: Served) -> None:
    with server.person("Lister").client() as client:
        made = [make(client, name=f"list {n}") for n in range(5)]
        client.post(f"{made[0]}/commands/pause", json={})
        first = client.get("/v1/sessions", params={"kind": "toy", "limit": 2}).json()
        assert (first["total"], first["limit"], first["offset"], len(first["items"])) == (5, 2, 0, 2)
        paused = client.get("/v1/sessions", params={"kind": "toy", "state": "paused"}).json()
        assert [f"/v1/sessions/{item['id']}" for item in paused["items"]] == [made[0]]
        for query in (
            {},
            {"kind": "toy", "limit": 0},
            {"kind": "toy", "limit": 101},
            {"kind": "toy", "limit": "1e3"},
            {"kind": "toy", "offset": -1},
            {"kind": "toy", "offset": 10**9},
            {"kind": "toy", "state": "none"},
            {"kind": "toy", "q": "x" * 201},
            {"kind": "toy", "q": ["a", "b"]},
        ):
            problem(client.get("/v1/sessions", params=query), 422, "VALIDATION_ERROR")  # type: ignore[arg-type]
        problem(client.get("/v1/sessions", params={"kind": "none"}), 404, "NOT_FOUND")


def test_a_token_that_may_only_read(server: Served) -> None:
    reader = server.person("Reader", scopes=("read",))
    with reader.client() as client:
        assert client.get("/v1/sessions", params={"kind": "toy"}).status_code == 200
        problem(client.post("/v1/kinds/toy/sessions", json={"name": "x"}), 403, "NOT_ALLOWED")


@pytest.mark.parametrize(
    "value",
    ["Bearer ' OR '1'='1", "Bearer", "Basic abc", "Bearer " + "x" * 600, "bearer none", "Bearer a b"],
)
def test_proofs_that_prove_nothing(server: Served, value: str) -> None:
    refused = httpx.get(f"{server.url}/v1/sessions?kind=toy", headers={"Authorization": value})
    problem(refused, 401, "NOT_AUTHENTICATED")
    assert refused.headers["www-authenticate"].startswith("Bearer")


def test_out_of_the_house_and_back(
    server: Served, client: httpx.Client, tmp_path_factory: pytest.TempPathFactory
) -> None:
    session = make(client)
    client.post(f"{session}/commands/note", json={"text": "kept"})
    assert client.get(f"{session}/verify").json()["ok"]
    bundle = client.get(f"{session}/bundle")
    assert bundle.headers["content-type"] == "application/zip"
    assert bundle.headers["content-disposition"].startswith("attachment;")
    zipped = {"Content-Type": "application/zip"}
    problem(client.post("/v1/bundles", content=bundle.content, headers=zipped), 409, "KEY_TAKEN")
    problem(client.post("/v1/bundles", content=b"PK\x03\x04nonsense", headers=zipped), 422, "VALIDATION_ERROR")
    problem(client.post("/v1/bundles", json={}), 415, "UNSUPPORTED_MEDIA_TYPE")
    with (
        served(tmp_path_factory.mktemp("other")) as other,
        other.person("Bea", roles=("member", "admin")).client() as there,
    ):
        with other.person("Cem").client() as member:
            problem(member.post("/v1/bundles", content=bundle.content, headers=zipped), 403, "NOT_ALLOWED")
        brought = there.post("/v1/bundles", content=bundle.content, headers=zipped)
        assert brought.status_code == 201, brought.text
        arrived = there.get(brought.headers["location"]).json()
        assert arrived["id"] == session.rpartition("/")[2]
        assert there.get(f"{brought.headers['location']}/verify").json()["ok"]


def test_unknown_addresses_and_methods(client: httpx.Client) -> None:
    session = make(client)
    problem(client.get("/v1/none"), 404, "NOT_FOUND")
    problem(client.get("/v1/sessions/"), 404, "NOT_FOUND")
    wrong = client.put(session, json={})
    problem(wrong, 405, "METHOD_NOT_ALLOWED")
    assert wrong.headers["allow"] == "GET, HEAD, DELETE"
    page = client.get("/none", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert page.headers["x-request-id"] in page.text


def test_what_operators_ask(server: Served) -> None:
    assert httpx.get(f"{server.url}/livez").json() == {"live": True}
    assert httpx.get(f"{server.url}/readyz").json() == {"ready": True, "reason": ""}
    counts = httpx.get(f"{server.url}/metrics")
    assert counts.headers["content-type"].startswith("text/plain")
    assert 'sitting_requests_total{handler="web.api.live",method="GET",status="200"}' in counts.text


def test_static_files(server: Served) -> None:
    kept = httpx.get(f"{server.url}/static/sitting.css?v=1")
    assert kept.status_code == 200
    assert "immutable" in kept.headers["cache-control"]
    assert httpx.get(f"{server.url}/static/sitting.css").headers["cache-control"] == "no-cache"
    for name in ("none.css", "..%2f__init__.py", "%2e%2e%2fapi.py", ".", "sitting.css%00", "a\\b.css"):
        assert httpx.get(f"{server.url}/static/{name}").status_code in (400, 404), name
