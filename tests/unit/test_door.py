"""The door, spoken to in raw ASGI: what it refuses before anybody inside hears of it, and what it adds to answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from sitting import errors
from sitting.apps.facilitation import routes as facilitation_routes
from sitting.apps.interview import routes as interview_routes
from sitting.web import signin
from sitting.web.door import BrokenOff, Door, shown

LIMIT = 1000
SECRETS = tuple(
    re.compile(pattern, re.DOTALL | re.IGNORECASE)
    for module in (signin, facilitation_routes, interview_routes)
    for pattern in module.SECRETS
)
Inside = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass
class Heard:
    """What came back, and what the application inside saw."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    entered: bool = False
    received: bytes = b""
    log: list[Any] = field(default_factory=list)

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        value: dict[str, Any] = json.loads(self.body)
        assert value["status"] == self.status
        assert value["request_id"] == self.headers["x-request-id"]
        return value


def knock(
    method: str = "POST",
    path: bytes = b"/x",
    *,
    headers: Iterable[tuple[bytes, bytes]] = (),
    parts: Iterable[bytes] = (b"{}",),
    query: bytes = b"",
    inside: Inside | None = None,
    hosts: str = "*",
    seconds: float = 5,
    host: bytes | None = b"sitting.test",
    stalls: bool = False,
    stays: bool = False,
    scheme: str = "http",
) -> Heard:
    """One request at the door. `stalls`: the body never ends; `stays`: it does, and the caller waits for the answer."""
    heard = Heard()
    waiting = list(parts)

    async def receive() -> Message:
        if waiting:
            body = waiting.pop(0)
            return {"type": "http.request", "body": body, "more_body": bool(waiting) or stalls}
        if stalls or stays:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            heard.status = message["status"]
            heard.headers = {name.decode().lower(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            heard.body += message.get("body", b"")

    async def read_it(scope: Scope, receive: Receive, send: Send) -> None:
        heard.entered = True
        more = True
        while more:
            message = await receive()
            heard.received += message.get("body", b"")
            more = message.get("more_body", False)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listed = list(headers)
    if host is not None:
        listed.append((b"host", host))
    if method not in ("GET", "HEAD") and not any(name == b"content-type" for name, _ in listed):
        listed += [(b"content-type", b"application/json"), (b"content-length", str(sum(map(len, waiting))).encode())]
    scope: Scope = {
        "type": "http",
        "method": method,
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "headers": listed,
        "scheme": scheme,
        "http_version": "1.1",
        "root_path": "",
    }
    limits = [(re.compile(r"/big/[^/]+"), 5 * LIMIT)]
    door = Door(
        inside or read_it,
        body_limit=LIMIT,
        request_seconds=seconds,
        allowed_hosts=hosts,
        limits=limits,
        secrets=SECRETS,
    )
    with capture_logs() as heard.log:
        asyncio.run(door(scope, receive, send))
    return heard


def test_a_good_request_passes_and_leaves_with_the_headers_of_the_house() -> None:
    heard = knock()
    assert (heard.status, heard.body, heard.received) == (200, b"ok", b"{}")
    assert "default-src 'self'" in heard.headers["content-security-policy"]
    assert "unsafe" not in heard.headers["content-security-policy"]
    assert heard.headers["x-content-type-options"] == "nosniff"
    assert heard.headers["referrer-policy"] == "no-referrer"
    assert heard.headers["cross-origin-opener-policy"] == "same-origin"
    assert heard.headers["cache-control"] == "no-store"
    assert re.fullmatch(r"[0-9a-f]{16}", heard.headers["x-request-id"])
    assert "strict-transport-security" not in heard.headers
    assert "strict-transport-security" in knock(scheme="https").headers


def test_a_header_of_the_answer_is_kept() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"Cache-Control", b"public")]})
        await send({"type": "http.response.body", "body": b""})

    assert knock(inside=inside).headers["cache-control"] == "public"


@pytest.mark.parametrize("length", [LIMIT + 1, 10**14])
def test_a_body_that_says_it_is_too_large_is_refused_unread(length: int) -> None:
    heard = knock(headers=[(b"content-type", b"application/json"), (b"content-length", str(length).encode())])
    assert (heard.status, heard.problem["code"], heard.entered) == (413, "TOO_LARGE", False)
    assert heard.problem["limit"] == LIMIT


def test_a_body_that_turns_out_too_large_is_refused_while_it_comes() -> None:
    chunked = [(b"content-type", b"application/json"), (b"transfer-encoding", b"chunked")]
    heard = knock(headers=chunked, parts=[b"x" * 400] * 50)
    assert (heard.status, heard.problem["code"]) == (413, "TOO_LARGE")
    assert len(heard.received) <= LIMIT
    assert knock(headers=chunked, parts=[b"x" * 500] * 2).status == 200


def test_some_paths_take_more() -> None:
    body = [b"x" * 3 * LIMIT]
    assert knock(path=b"/big/a", parts=body).status == 200
    assert knock(path=b"/big/a/b", parts=body).status == 413


def test_a_body_that_does_not_come_is_given_up() -> None:
    heard = knock(parts=[b"{"], stalls=True, seconds=0.05)
    assert (heard.status, heard.problem["code"]) == (408, "REQUEST_TIMEOUT")
    assert heard.headers["connection"] == "close"


def test_after_the_body_the_deadline_no_longer_counts() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        gone = asyncio.ensure_future(receive())
        assert not (await asyncio.wait([gone], timeout=1))[0]
        gone.cancel()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    assert knock(inside=inside, seconds=0.5, stays=True).status == 204


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        (b"application/json", 200),
        (b"application/json; charset=UTF-8", 200),
        (b'application/json;charset="utf-8"', 200),
        (b"application/x-www-form-urlencoded", 200),
        (b"multipart/form-data; boundary=x", 200),
        (b"APPLICATION/JSON", 200),
        (b"text/plain", 415),
        (b"", 415),
        (b"application/json; charset=utf-16", 415),
        (b"application/xml", 415),
        (b"text/html, application/json", 415),
    ],
)
def test_types_of_body(content_type: bytes, status: int) -> None:
    heard = knock(headers=[(b"content-type", content_type), (b"content-length", b"2")])
    assert heard.status == status
    assert heard.entered == (status == 200)


def test_a_compressed_body_is_refused() -> None:
    head = [(b"content-type", b"application/json"), (b"content-length", b"2"), (b"content-encoding", b"gzip")]
    assert knock(headers=head).status == 415


@pytest.mark.parametrize("host", [b"x/?", b"@", b"a@b", b"", None, b"a b", b"[::1", b"a:b", b"a:123456", b"\xff"])
def test_a_host_that_is_none(host: bytes | None) -> None:
    heard = knock("GET", host=host)
    assert (heard.status, heard.entered) == (400, False)


@pytest.mark.parametrize("host", [b"sitting.test", b"SITTING.TEST:8000", b"127.0.0.1:8000", b"[::1]:80"])
def test_a_host_we_answer_for(host: bytes) -> None:
    assert knock("GET", host=host, hosts="sitting.test, 127.0.0.1,[::1]").status == 200
    assert knock("GET", host=b"evil.test", hosts="sitting.test").status == 400


@pytest.mark.parametrize(
    "path",
    [b"/%ff", b"/%C0%80", b"/%ED%A0%80", b"/a%00b", b"/%", b"/%zz", b"/%2", b"/\xff", b"/a\0", b"/" + b"x" * 60_000],
)
def test_an_address_that_is_none(path: bytes) -> None:
    heard = knock("GET", path)
    assert (heard.status, heard.problem["code"], heard.entered) == (400, "BAD_REQUEST", False)


@pytest.mark.parametrize("query", [b"a=%ff", b"a=%00", b"%", b"x" * 9000])
def test_a_query_that_is_none(query: bytes) -> None:
    assert knock("GET", query=query).status == 400


@pytest.mark.parametrize("path", [b"/..%2f..", b"/%2e%2e/x", b"/a%20b", b"/%E2%82%AC", b"/CON", b"/-", b"/a\\b"])
def test_odd_addresses_are_for_the_routes_to_judge(path: bytes) -> None:
    assert knock("GET", path).status == 200


@pytest.mark.parametrize(
    "head",
    [
        [(b"authorization", b"a"), (b"authorization", b"b")],
        [(b"host", b"other")],
        [(b"content-type", b"application/json"), (b"content-type", b"text/plain")],
        [(b"x", b"y")] * 101,
        [(b"content-length", b"-1")],
        [(b"content-length", b"1e3")],
    ],
)
def test_heads_that_mean_two_things(head: list[tuple[bytes, bytes]]) -> None:
    heard = knock("GET", headers=head)
    assert (heard.status, heard.entered) == (400, False)


@pytest.mark.parametrize(
    ("key", "status"), [(b"a", 200), (b"~" * 255, 200), (b"", 422), (b"a b", 422), (b"\xe4", 422), (b"x" * 256, 422)]
)
def test_idempotency_keys(key: bytes, status: int) -> None:
    heard = knock(
        headers=[(b"idempotency-key", key), (b"content-type", b"application/json"), (b"content-length", b"2")]
    )
    assert heard.status == status


def test_an_unexpected_error_says_where_and_not_what() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("canary-7f3a")

    heard = knock(inside=inside)
    assert (heard.status, heard.problem["code"]) == (500, "INTERNAL")
    told = json.dumps(heard.log) + heard.body.decode()
    assert "canary" not in told
    assert "RuntimeError" in told
    assert heard.problem["request_id"] in json.dumps(heard.log)


def test_an_answer_that_breaks_off_is_cut_without_its_reason() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("canary-7f3a")

    with pytest.raises(BrokenOff) as raised:
        knock(inside=inside)
    assert raised.value.__suppress_context__


def test_a_refusal_from_inside_is_answered() -> None:
    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        raise errors.DiskFull()

    heard = knock(inside=inside)
    assert (heard.status, heard.problem["code"]) == (507, "DISK_FULL")


def test_what_stands_in_a_quoted_cookie_is_not_looked_into() -> None:
    """Undone, this would be 16,000 characters, and take seconds."""
    value = "\\101" * 16_000
    seen: list[dict[str, str]] = []

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(Request(scope).cookies)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    knock("GET", headers=[(b"cookie", f'a="{value}"; b=1'.encode())], inside=inside)
    assert seen == [{"a": value, "b": "1"}]


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/i/abcdefgh", "/i/***"),
        ("/i/abcdefgh/events", "/i/***/events"),
        ("/join/abc/x", "/join/***/x"),
        ("/join/p/abcdefgh", "/join/***"),
        ("/join/%70/abcdefgh", "/join/***"),
        ("/join//p/abcdefgh", "/join/***"),
        ("/join/p//abcdefgh", "/join/***"),
        ("//join/p/abcdefgh", "/join/***"),
        ("/%6aoin/p/abcdefgh", "/join/***"),
        ("/join%2Fp%2fabcdefgh", "/join/***"),
        ("/i/abcdefgh/%0aevents", "/i/***/%0Aevents"),
        ("/sign%2Din/link/sit%0a_abc", "/sign-in/***"),
        ("/sign-in/link/sit_abc", "/sign-in/***"),
        ("/sign-in", "/sign-in"),
        ("/I/abcdefgh", "/I/***"),
        ("/i/./abcdefgh", "/i/***"),
        ("/join/../join/p/abcdefgh", "/join/***"),
        ("/i/abcdefgh/..", "/i"),
        ("/sign-in/link/sit_abc/%2e%2e/x/../../../", "/"),
        ("/SIGN-IN/link/abc", "/SIGN-IN/***"),
        ("/interviews/i/x", "/interviews/i/x"),
    ],
)
def test_the_log_has_no_secret(path: str, logged: str) -> None:
    assert shown(path, SECRETS) == logged
    heard = knock("GET", path.encode(), query=b"token=canary")
    assert heard.log[-1]["path"] == logged
    assert heard.log[-1]["status"] == 200
    assert "canary" not in json.dumps(heard.log)


def test_a_path_cannot_forge_a_line_of_log() -> None:
    heard = knock("GET", b"/%0a%1b[2J")
    assert heard.log[-1]["path"] == "/%0a%1b[2J"


def test_sockets_are_not_spoken() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def inside(scope: Scope, receive: Receive, send: Send) -> None:
        raise AssertionError("entered")

    asyncio.run(Door(inside, body_limit=1, request_seconds=1)({"type": "websocket"}, receive, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]
