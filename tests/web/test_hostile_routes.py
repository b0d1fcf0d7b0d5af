"""The hostile corpus against every route of every application: paths, queries, headers, forms, multipart bodies.

Each route is asked by somebody who may use it, so the input reaches its handler. No input is answered with a fault, no
refusal repeats a credential or what was sent, and afterwards every reader of what the route may have changed answers.
Each input goes to every route where there is time (`--soak`); otherwise to a share, chosen by the run's seed.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar
from urllib.parse import urlencode

import httpx
import pytest

from tests.support.everybody import SAFE, Cast, Operation, Place, Table, everybody
from tests.support.wire import Answer, Header, Wire, wired
from tests.web import hostile_inputs as inputs
from tests.web.test_access_matrix import TABLES, cells

PAGE = {"Accept": "text/html"}
PROBLEMS = ("application/problem+json", "application/json", "text/html")
NOT_CONFIGURED = 503  # a refusal, too
LONG = b"x" * 1000
# Every name that any route reads from a query.
NAMES = (
    "limit", "offset", "after", "before", "q", "search", "status", "state", "kind", "subject", "format", "from_date",
    "to_date", "tags", "tag", "team", "code", "include_messages", "month", "at", "seq", "id", "ids", "mode", "next",
    "category", "difficulty", "a", "b", "view", "window", "event", "level", "archived", "sort",
)  # fmt: skip
KINDS = ("interview", "challenge", "team", "facilitation", "solve")
LISTS = (
    "/", "/interviews", "/challenges", "/challenges/stats", "/admin", "/admin/teams", "/solve", "/solve/actions",
    "/admin/sessions/history?limit=100", "/actions", "/solve/stats", "/stats/overview", "/stats/export?format=csv",
    "/sessions/all/export", "/sessions/all/export?format=csv",
)  # fmt: skip
T = TypeVar("T")


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    # With a worker: a turn that nobody writes would be streamed for ever.
    with everybody(tmp_path_factory.mktemp("hostile"), work=True) as made:
        yield made


class Asker:
    """Somebody who may use a route, and a good request of theirs that can be made a bad one."""

    def __init__(self, cast: Cast, wire: Wire, table: Table, row: Operation) -> None:
        self.cast, self.wire, self.table, self.row = cast, wire, table, row
        cast.clock.advance(700)  # wrong codes are forgotten
        statuses = table.rows[row]
        self.role = min(("owner", "guest", "cookie"), key=lambda role: (statuses[role] >= 400, statuses[role] == 401))
        self.place: Place = cast.place(table)
        self.client = cast.whoever(self.role, table)
        self.secrets = [text for text in (self.client.headers.get("authorization", "")[7:], self._cookies()) if text]
        self.changed = False

    def ask(
        self, *, target: bytes = b"", query: bytes = b"", headers: list[Header] | None = None,
        body: tuple[bytes, bytes] | None = None, method: str = "",
    ) -> Answer:  # fmt: skip
        """The good request, but for what is given."""
        good = self.client.build_request(**self.table.request(self.row, self.place))
        content = (good.headers.get("content-type", "").encode(), good.read()) if body is None else body
        carries = (method or good.method) not in SAFE
        named = {name.lower() for name, _ in headers or ()}
        sent: list[Header] = [("Content-Type", content[0])] if carries and content[0] else []
        for name in ("authorization", "cookie", "x-csrf-token", "accept"):
            if name in good.headers and name not in named:
                sent.append((name, good.headers[name].encode()))
        place = target or good.url.raw_path
        if query:
            place += (b"&" if b"?" in place else b"?") + query
        answer = self.wire.ask(method or good.method, place, sent + (headers or []), content[1] if carries else None)
        self._kept(answer)
        self.changed |= carries and answer.status < 400
        return answer

    def _kept(self, answer: Answer) -> None:
        """Nobody is answered with a fault, and nothing is told that was not asked for."""
        assert answer.status not in (0, 500, 502), answer
        assert answer.status < 500 or answer.status == NOT_CONFIGURED, answer
        for secret in self.secrets:
            assert secret not in answer.text and secret not in answer.head, answer
        assert "Traceback" not in answer.text and 'File "/' not in answer.text, answer
        assert "evil.example" not in answer.text + answer.head and "x-evil" not in answer.head.lower(), answer
        if answer.status >= 400 and answer.type in ("application/problem+json", "application/json"):
            assert inputs.CANARY not in answer.text, answer
        if answer.status >= 400 and answer.body and answer.status != 431:
            ours = answer.type in PROBLEMS or answer.text == "Invalid HTTP request received."
            assert ours, answer

    def _cookies(self) -> str:
        return next((value for name, value in self.client.cookies.items() if name != "sitting-form"), "")


@pytest.fixture
def asker(cast: Cast, request: pytest.FixtureRequest) -> Iterator[Asker]:
    table, row = request.getfixturevalue("table"), request.getfixturevalue("row")
    with wired(cast.house.url) as wire:
        made = Asker(cast, wire, table, row)
        yield made
        if made.changed:
            readable(cast, made.place)
            cast.changed(table)


def readable(cast: Cast, place: Place) -> None:
    """Who was not erased can be read everywhere, and so can every list."""
    for kind in KINDS:
        answers(cast.owner, f"/v1/sessions?kind={kind}&limit=5")
    for id in place.sessions:
        seen = cast.owner.get(f"/v1/sessions/{id}")
        if seen.status_code in (404, 410):
            continue
        answers(cast.owner, f"/v1/sessions/{id}/events")
        if f"/sessions/{id}/bundle" in answers(cast.owner, f"/sessions/{id}", headers=PAGE).text:
            answers(cast.owner, f"/v1/sessions/{id}/bundle")


def answers(client: httpx.Client, path: str, **options: Any) -> httpx.Response:
    """What must be answered, and holds nobody's text as markup."""
    answer = client.get(path, **options)
    assert answer.is_success, f"{path}: {answer.status_code} {answer.text[:300]}"
    if answer.headers["content-type"].startswith("text/html"):
        for mark in ("<script>alert(1)", ' onmouseover="alert(1)', 'href="javascript:', 'src="https://evil'):
            assert mark not in answer.text, (path, mark)
    return answer


@pytest.fixture
def some(dice: random.Random, rounds: Callable[[int, int], int]) -> Callable[[Mapping[str, T]], list[T]]:
    """A share of a corpus: all of it with `--soak`."""

    def share(corpus: Mapping[str, T]) -> list[T]:
        count = rounds(max(3, len(corpus) // 4), len(corpus))
        return [corpus[name] for name in dice.sample(sorted(corpus), min(count, len(corpus)))]

    return share


Some = Callable[[Mapping[str, Any]], list[Any]]


@pytest.mark.parametrize(("table", "row"), cells(TABLES, lambda row: "{" in row[1]))
def test_no_part_of_a_path_is_answered_with_a_fault(asker: Asker, some: Some, table: Table, row: Operation) -> None:
    for name in re.findall(r"\{(\w+)\}", row[1]):
        for part in some(inputs.PARTS):
            path = row[1].format_map({**asker.place.fills, name: "HERE"})
            asker.ask(target=path.encode().replace(b"HERE", part))


@pytest.mark.parametrize(("table", "row"), cells(TABLES, lambda row: row[0] == "GET"))
def test_no_query_is_answered_with_a_fault(asker: Asker, some: Some, table: Table, row: Operation) -> None:
    for query in some(inputs.QUERIES):
        asker.ask(query=query)
    for name in read_names(asker):
        for value in some(inputs.VALUES):
            asker.ask(query=name + b"=" + value)
        asker.ask(query=name + b"=1&" + name + b"=2")


def read_names(asker: Asker) -> list[bytes]:
    """The parameters a route reads: it refuses what is far too long for each of them, naming it."""
    known: list[bytes] = []
    while True:
        query = b"&".join(name.encode() + b"=" + LONG for name in NAMES if name.encode() not in known)
        answer = asker.ask(query=query)
        found = re.search(r'"(?:field|loc)": ?(?:\["query", ?)?"(\w+)"', answer.text) if answer.status == 422 else None
        if found is None:
            return known
        known.append(found[1].encode())


@pytest.mark.parametrize(("table", "row"), cells(TABLES, lambda row: True))
def test_no_header_is_answered_with_a_fault(asker: Asker, some: Some, table: Table, row: Operation) -> None:
    for headers in some(inputs.HEADERS):
        asker.ask(headers=headers)


@pytest.mark.parametrize(("table", "row"), cells(TABLES, lambda row: row[0] not in SAFE))
def test_no_body_is_answered_with_a_fault(asker: Asker, some: Some, table: Table, row: Operation) -> None:
    for corpus in (inputs.FORMS, inputs.MULTIPART):
        for body in some(corpus):
            asker.ask(body=body)
    for document in some(inputs.DOCUMENTS):
        asker.ask(body=(b"application/json", document))
    good = table.forms.get(row, {})
    for name in good:
        rest = urlencode({other: text.format_map(asker.place.fills) for other, text in good.items() if other != name})
        for value in some(inputs.FIELDS):
            asker.ask(body=(inputs.FORM.encode(), rest.encode() + b"&" + name.encode() + b"=" + value))
    if row[1] == "/v1/bundles":
        for kind in (b"application/zip", b"application/octet-stream", b"application/json"):
            for archive in inputs.archives().values():
                asker.ask(body=(kind, archive))


def test_what_no_server_should_take(cast: Cast) -> None:
    """Heads that lie about the host or the length; the connection ends, the server goes on."""
    token = cast.owner_person.token.encode()
    signed: list[Header] = [("Authorization", b"Bearer " + token)]
    with wired(cast.house.url) as wire:
        for host in (b"x/?", b"@", b"a b", b"\xff", b"[::1", b"evil.example:99999999"):
            answer = wire.ask("GET", b"/", [*signed, ("Accept", b"text/html")], host=host)
            assert answer.status < 500 and token.decode() not in answer.text, answer
        both: list[Header] = [*signed, ("Transfer-Encoding", b"chunked"), ("Content-Type", b"application/json")]
        assert wire.ask("POST", b"/interviews", both, b"0\r\n\r\n").status in (0, 400)
        for target in (b"http://evil.example/v1", b"*", b"//evil.example/v1", b"/v1#x", b"v1", b"/" + b"a" * 60_000):
            assert wire.ask("GET", target, signed).status in (0, 200, 303, 400, 404, 414, 431), target
        for method in ("TRACE", "CONNECT", "PROPFIND", "QUERY", "OPTIONS", "get"):
            assert wire.ask(method, b"/v1/sessions", signed).status in (0, 400, 404, 405), method
    assert cast.owner.get("/readyz").status_code == 200


def test_every_list_and_every_page_still_answers(cast: Cast) -> None:
    """After all of it: nothing that was stored makes a reader fail."""
    for path in LISTS:
        answers(cast.owner, path, headers=PAGE)
    for kind in KINDS:
        answers(cast.owner, f"/kinds/{kind}", headers=PAGE)
        found: list[str] = []
        while True:
            listed = answers(cast.owner, f"/v1/sessions?kind={kind}&limit=100&offset={len(found)}").json()["items"]
            found += [item["id"] for item in listed]
            if len(listed) < 100:
                break
        assert found, kind
        for id in found[:10]:
            for path in (f"/v1/sessions/{id}", f"/v1/sessions/{id}/events", f"/v1/sessions/{id}/verify"):
                answers(cast.owner, path)
