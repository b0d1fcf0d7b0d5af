"""What every byte passes on its way in, and every answer on its way out. Pure ASGI, so streams pass untouched.

In: the address must be sane, the Host known, the body of a type we read and no larger than its limit (told before a
byte of it is read, and again while it arrives), and all of it must come in time. Out: the headers that keep a page to
itself, a request id, one line of log. The log holds the path without its secrets and never the query.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from posixpath import normpath
from typing import Any
from urllib.parse import quote, unquote, unquote_to_bytes

import structlog
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .. import entropy, errors, tracing
from . import metrics
from .errors import answer, record
from .refusals import BadRequest, RequestTimeout, UnsupportedMedia

log = structlog.get_logger("sitting.access")
MAX_PATH = 2048
MAX_QUERY = 8192
MAX_HEADERS = 100
BODY_TYPES = frozenset(
    {
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "application/octet-stream",
        "application/zip",
    }
)
CSP = (
    "default-src 'self'; img-src 'self' data:; script-src 'self'; style-src 'self'; object-src 'none'; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
)
_HEADERS: Sequence[tuple[bytes, bytes]] = (
    (b"content-security-policy", CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
    (b"cache-control", b"no-store"),
)
_TLS = (b"strict-transport-security", b"max-age=31536000")
_HOST = re.compile(rb"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_KEY = re.compile(rb"[!-~]{1,255}")
_SINGLE = frozenset(
    {b"host", b"authorization", b"content-type", b"content-length", b"idempotency-key", b"last-event-id"}
)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_BODYLESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


def shown(path: str, secrets: Sequence[re.Pattern[str]]) -> str:
    """A path as the log may have it: codes in paths are credentials, however the path around them is spelled."""
    said = unquote(path)
    plain = normpath("/" + said.lstrip("/"))
    for pattern in secrets:
        if (found := pattern.match(plain)) is not None:
            return quote(f"{found[1]}***{plain[found.end() :]}", safe="/*")
    return quote(plain, safe="/*") if ".." in said.split("/") else path  # what was taken back may have been a code


class Door:
    """The outermost middleware. `limits` are body limits of their own: (whole path, bytes). Of what one of `secrets`
    finds at the beginning of a path, the log has its first group only.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        body_limit: int,
        request_seconds: float,
        allowed_hosts: str = "*",
        limits: Sequence[tuple[re.Pattern[str], int]] = (),
        secrets: Sequence[re.Pattern[str]] = (),
    ) -> None:
        self.app = app
        self._limit = body_limit
        self._seconds = request_seconds
        self._hosts = frozenset(host.strip().lower() for host in allowed_hosts.split(",") if host.strip())
        self._limits = tuple(limits)
        self._secrets = tuple(secrets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        if not tracing.on():
            await self._pass(scope, receive, send)
            return
        parent = dict(scope["headers"]).get(b"traceparent", b"").decode("latin-1")
        method = scope["method"] if scope["method"] in _METHODS else "other"
        with tracing.span(method, parent=parent, kind=tracing.SpanKind.SERVER, http__request__method=method) as opened:
            visit = await self._pass(scope, receive, send)
            opened.update_name(f"{method} {visit.handler}")
            opened.set_attribute("http.response.status_code", visit.status)

    async def _pass(self, scope: Scope, receive: Receive, send: Send) -> _Visit:
        visit = _Visit(scope, receive, send, limit=self._limit, seconds=self._seconds, secrets=self._secrets)
        scope["headers"] = [_unquoted(name, value) for name, value in scope["headers"]]
        request = Request(scope, visit.receive)
        try:
            visit.limit = self._limit_of(scope["path"])
            self._check(scope, visit.limit)
            await self.app(scope, visit.receive, visit.send)
        except Exception as error:
            if visit.status:
                visit.broken = True
                record(error, visit.id)
                raise BrokenOff from None
            await answer(request, error)(scope, visit.receive, visit.send)
        finally:
            visit.leave()
        return visit

    def _limit_of(self, path: str) -> int:
        return next((limit for pattern, limit in self._limits if pattern.fullmatch(path)), self._limit)

    def _check(self, scope: Scope, limit: int) -> None:
        """Refuse by the head alone. Raises BadRequest, TooLarge, UnsupportedMedia, Invalid."""
        headers: dict[bytes, bytes] = {}
        if len(scope["headers"]) > MAX_HEADERS:
            raise BadRequest(f"A request has at most {MAX_HEADERS} headers.")
        for name, value in scope["headers"]:
            if name in _SINGLE and name in headers:
                raise BadRequest(f"A request carries one {name.decode('latin-1').title()} header.")
            headers[name] = value
        self._check_host(headers)
        _check_address(scope)
        _check_body(scope["method"], headers, limit)
        key = headers.get(b"idempotency-key")
        if key is not None and not _KEY.fullmatch(key):
            raise errors.Invalid.field("Idempotency-Key", "must have 1 to 255 visible ASCII characters")

    def _check_host(self, headers: dict[bytes, bytes]) -> None:
        host = headers.get(b"host", b"")
        if not _HOST.fullmatch(host):
            raise BadRequest("The Host header is not a host.")
        name = re.sub(rb":[0-9]+$", b"", host).decode("latin-1").lower()
        if "*" not in self._hosts and name not in self._hosts:
            raise BadRequest("This server does not answer for this host.")


def _unquoted(name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """A header without the quotes of cookies. Ours have none, and before Python 3.12.6 the library takes a time that
    grows with the square of a quoted value's length to undo what stands in it.
    """
    return (name, value.replace(b'"', b"")) if name == b"cookie" else (name, value)


def _check_address(scope: Scope) -> None:
    """The path and query as they were sent: bounded, whole escapes, UTF-8, no NUL."""
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope.get("query_string", b"")
    if len(raw_path) > MAX_PATH or len(query) > MAX_QUERY:
        raise BadRequest("The address is too long.")
    for raw in (raw_path, query):
        if b"%" not in raw and raw.isascii() and b"\0" not in raw:
            continue
        plain = unquote_to_bytes(raw)
        try:
            plain.decode()
        except UnicodeDecodeError:
            raise BadRequest("The address is not UTF-8.") from None
        if b"\0" in plain or _ESCAPE.search(raw):
            raise BadRequest("The address holds NUL or half an escape.")


def _check_body(method: str, headers: dict[bytes, bytes], limit: int) -> None:
    length = headers.get(b"content-length", b"")
    if length and (not length.isdigit() or len(length) > 15):
        raise BadRequest("Content-Length is not a length.")
    if length and int(length) > limit:
        raise errors.TooLarge(limit=limit)
    if headers.get(b"content-encoding", b"identity").lower() != b"identity":
        raise UnsupportedMedia("The server does not read compressed bodies.")
    has_body = int(length or 0) > 0 or b"transfer-encoding" in headers
    if not has_body or method in _BODYLESS:
        return
    name, *parameters = headers.get(b"content-type", b"").decode("latin-1").lower().split(";")
    if name.strip() not in BODY_TYPES:
        raise UnsupportedMedia()
    for parameter in parameters:
        key, _, value = parameter.strip().partition("=")
        if key == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            raise UnsupportedMedia("The server reads UTF-8 only.")


class BrokenOff(Exception):
    """An answer that had begun could not be finished; the log has said where. The server cuts the connection."""


class _Visit:
    """One request on its way through: what it has sent, and what it was answered."""

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        limit: int,
        seconds: float,
        secrets: Sequence[re.Pattern[str]],
    ) -> None:
        self.limit = limit
        self._secrets = secrets
        self.status = 0
        self.broken = False
        self._scope, self._receive, self._send = scope, receive, send
        self._began = time.perf_counter()
        self._deadline = asyncio.get_running_loop().time() + seconds
        self._taken = 0
        self._whole = False
        self.id = entropy.fresh(8).hex()
        scope.setdefault("state", {})["request_id"] = self.id

    async def receive(self) -> Message:
        """The next part of the body. Raises TooLarge, RequestTimeout."""
        if self._whole:
            return await self._receive()
        try:
            async with asyncio.timeout_at(self._deadline):
                message = await self._receive()
        except TimeoutError:
            raise RequestTimeout from None
        if message["type"] == "http.request":
            self._taken += len(message.get("body", b""))
            self._whole = not message.get("more_body", False)
            if self._taken > self.limit:
                raise errors.TooLarge(limit=self.limit)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self._count()
            message = {**message, "headers": self._headers(message.get("headers", ()))}
        await self._send(message)

    @property
    def handler(self) -> str:
        """Which function answered, for counts and spans: a path may hold a credential."""
        endpoint = self._scope.get("endpoint")
        return f"{endpoint.__module__}.{endpoint.__name__}".removeprefix("sitting.") if endpoint else "none"

    def leave(self) -> None:
        """One line when the answer has ended, or the caller has gone."""
        path = (self._scope.get("raw_path") or self._scope["path"].encode()).decode("latin-1")
        line: dict[str, Any] = {
            "method": self._scope["method"],
            "path": shown(path, self._secrets)[:MAX_PATH],
            "status": self.status or 499,
            "ms": round((time.perf_counter() - self._began) * 1000, 1),
            "request_id": self.id,
        }
        if self.broken:
            line["broken"] = True
        log.info("request", **line)

    def _headers(self, given: Any) -> list[tuple[bytes, bytes]]:
        headers = list(given)
        present = {name.lower() for name, _ in headers}
        headers += [(name, value) for name, value in _HEADERS if name not in present]
        headers.append((b"x-request-id", self.id.encode()))
        if self._scope.get("scheme") == "https":
            headers.append(_TLS)
        if self.status == 408:
            headers.append((b"connection", b"close"))
        return headers

    def _count(self) -> None:
        handler = self.handler
        method = self._scope["method"] if self._scope["method"] in _METHODS else "other"
        metrics.REQUESTS.labels(handler, method, str(self.status)).inc()
        metrics.SECONDS.labels(handler).observe(time.perf_counter() - self._began)
