"""What handlers ask of a request: who it is, what it wishes, how often, within which bounds.

A bearer token proves by itself. A cookie travels with every request of a browser, so a change asked for with a cookie
must also come from our own page: `Sec-Fetch-Site` or `Origin` first, then the token that only our page knows. Pages
seen by nobody in particular (sign in, join) have such a token too, bound to a cookie of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from .. import errors
from ..core import actor as actors
from ..core import strict
from ..core.actor import Actor
from ..core.kind import Kind
from ..engine import Done, Engine, Once
from ..installation import Installation
from .refusals import BadRequest, UnsupportedMedia

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)
Who = Callable[[Request], Awaitable[Actor]]
SIGN_IN = "sitting"
FORM = "sitting-form"
MAX_FIELDS = 200
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CREDENTIAL = re.compile(r"[!-~]{1,512}")
_POSITION = re.compile(r'"?([1-9][0-9]{0,15})\.(0|[1-9][0-9]{0,15})"?')
_CALLER = "sitting.caller"
_FORM_READ = "sitting.form"


@dataclass(frozen=True)
class Caller:
    """Who asks, as the request proves it. `csrf` is None where nothing travels by itself (a bearer token)."""

    actor: Actor
    csrf: str | None
    name: str = ""


class Form(Mapping[str, str]):
    """A form's fields; the last value where a name is repeated."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._last = dict(pairs)

    def __getitem__(self, name: str) -> str:
        return self._last[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._last)

    def __len__(self) -> int:
        return len(self._last)

    def all(self, name: str) -> list[str]:
        """Every value of a repeated field, in order."""
        return [value for known, value in self._pairs if known == name]


async def settle(future: Future[T]) -> T:
    """The store's answer. A caller that goes away does not take back what the store has begun.

    `shield(wrap_future(future))` says the same and costs as much as the read that is waited for.
    """
    loop = asyncio.get_running_loop()
    waiting: asyncio.Future[T] = loop.create_future()

    # A future keeps its callbacks: one that held the future would keep every answer until the collector looks.
    def hand_over(done: Future[T]) -> None:
        if waiting.cancelled():
            return
        if (error := done.exception()) is not None:
            waiting.set_exception(error)
        else:
            waiting.set_result(done.result())

    def answered(done: Future[T]) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(hand_over, done)

    future.add_done_callback(answered)
    return await waiting


def installation(request: Request) -> Installation:
    """The installation this application serves."""
    found: Installation = request.app.state.installation
    return found


def engine(request: Request) -> Engine:
    """The engine of that installation."""
    return installation(request).engine


async def found(future: Future[T], missing: str) -> T:
    """The store's answer, with what is missing named as what it is here. Raises what the store refuses with."""
    try:
        return await settle(future)
    except errors.NotFound as error:
        if error.message == errors.NotFound().message:
            raise errors.NotFound(missing) from None
        raise


def kind(request: Request, name: str) -> Kind:
    """The kind an address names. Raises NotFound, which does not repeat the name."""
    found = installation(request).kinds.get(name)
    if found is None:
        raise errors.NotFound("There is no such kind here.")
    return found


# Who


async def caller(request: Request) -> Caller:
    """Bearer token, else sign-in cookie, else the guest cookie of the session in the path. Raises NotAuthenticated."""
    if (known := known_caller(request)) is not None:
        return known
    access = installation(request).access
    if (token := _bearer(request)) is not None:
        found = Caller(await settle(access.by_token(token)), None)
    elif (value := cookie(request, SIGN_IN)) is not None and (
        signed_in := await _signed_in(request, value)
    ) is not None:
        found = signed_in
    else:
        path_id = request.path_params.get("id")
        guest = guest_caller(request, str(path_id)) if path_id else None
        if guest is None:
            raise errors.NotAuthenticated()
        found = guest
    request.scope[_CALLER] = found
    return found


def known_caller(request: Request) -> Caller | None:
    """The caller, if somebody has asked already."""
    found: Caller | None = request.scope.get(_CALLER)
    return found


async def maybe(request: Request) -> Caller | None:
    """The caller, or None when the request proves nobody."""
    try:
        return await caller(request)
    except errors.NotAuthenticated:
        return None


async def actor(request: Request) -> Actor:
    """The caller's actor; a change asked for with a cookie must come from our own page. Raises CsrfFailed."""
    found = await caller(request)
    if request.method not in _SAFE:
        if not found.actor.may_write:
            raise errors.NotAllowed("This token may only read.")
        if found.csrf is not None:
            await check_csrf(request, found.csrf)
    return found.actor


async def person(request: Request) -> Actor:
    """The actor, when it is a signed-in person: a guest's cookie proves nothing here. Raises NotAuthenticated."""
    found = await actor(request)
    if not found.is_user:
        raise errors.NotAuthenticated()
    return found


async def names(request: Request, actors: Collection[str], me: Actor) -> dict[str, str]:
    """What a page calls people: by their names, the one who looks `You`, and by the id whoever has none here."""
    known = await settle(installation(request).access.names(actors))
    return {actor: "You" if actor == me.id else known.get(actor, actor) for actor in actors}


async def asked_again(request: Request, who: Who) -> Actor:
    """Who it is now: for streams, which outlive the proof they began with."""
    request.scope.pop(_CALLER, None)
    return await who(request)


def guest_caller(request: Request, session: str) -> Caller | None:
    """The guest whose cookie for this session came along, as the request's caller."""
    token = guest_cookie(request, session)
    if token is None:
        return None
    found = Caller(actors.guest(token), guest_csrf(installation(request), token))
    request.scope[_CALLER] = found
    return found


def guest_cookie(request: Request, session: str) -> str | None:
    """The value of the cookie whose name ends with this session's id."""
    prefix = "__Host-" if _secure(request) else ""
    for name, value in request.cookies.items():
        if name.startswith(prefix) and name.endswith(f"-{session}") and _CREDENTIAL.fullmatch(value):
            return value
    return None


def _bearer(request: Request) -> str | None:
    values = request.headers.getlist("authorization")
    if not values:
        return None
    if len(values) > 1:
        raise BadRequest("A request carries one Authorization header.")
    scheme, _, token = values[0].partition(" ")
    if scheme.lower() != "bearer" or not _CREDENTIAL.fullmatch(token.strip()):
        raise errors.NotAuthenticated()
    return token.strip()


async def _signed_in(request: Request, value: str) -> Caller | None:
    try:
        found = await settle(installation(request).access.by_cookie(value))
    except errors.NotAuthenticated:
        return None
    return Caller(found.actor, found.csrf, found.name)


# From our own page


def same_site(request: Request) -> None:
    """Refuse what another site has sent: for forms that anybody may send, before there is a cookie to tie a token to.

    An `Origin: null` without `Sec-Fetch-Site` is what our own forms send over plain http (the pages send no referrer),
    so it is let through here; where there is a token, the token decides.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise errors.CsrfFailed()
    elif origin is not None and origin != "null" and origin.partition("://")[2] not in _own_hosts(request):
        raise errors.CsrfFailed()


async def check_csrf(request: Request, token: str | None = None) -> None:
    """Refuse a change another site may have caused. `token` None: the one of a page seen by nobody in particular."""
    same_site(request)
    if token is None:
        value = cookie(request, FORM)
        token = guest_csrf(installation(request), value) if value else ""
    sent = request.headers.get("x-csrf-token") or ""
    if not sent and is_form(request):
        sent = (await form(request)).get("csrf_token", "")
    if not token or not hmac.compare_digest(sent.encode(), token.encode()):
        raise errors.CsrfFailed()


def form_token(request: Request) -> tuple[str, str | None]:
    """The token for a page seen by nobody in particular, and the cookie value to set when there is none yet."""
    value = cookie(request, FORM)
    fresh = None if value else secrets.token_urlsafe(24)
    return guest_csrf(installation(request), value or fresh or ""), fresh


def guest_csrf(installation: Installation, token: str) -> str:
    """The token of pages seen with a cookie that has no row of its own."""
    return hmac.new(installation.secret.derive("csrf"), token.encode(), hashlib.sha256).hexdigest()


def _own_hosts(request: Request) -> set[str]:
    settings = installation(request).settings
    return {request.headers.get("host", ""), settings.base_url.partition("://")[2].partition("/")[0]} - {""}


# What


async def read(request: Request, model: type[M]) -> M:
    """The model in a JSON body; an empty body is `{}`. Raises Malformed, Invalid, UnsupportedMedia."""
    body = await request.body()
    if body and media_type(request) != "application/json":
        raise UnsupportedMedia()
    return strict.read(model, body)


async def form(request: Request) -> Form:
    """The fields of an urlencoded body: UTF-8, no NUL, at most 200. Raises Invalid, UnsupportedMedia."""
    known: Form | None = request.scope.get(_FORM_READ)
    if known is not None:
        return known
    body = await request.body()
    if body and not is_form(request):
        raise UnsupportedMedia()
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise errors.Invalid.field("body", f"must be a form in UTF-8 with at most {MAX_FIELDS} fields") from None
    found = Form([(strict.text(name, "body"), strict.text(value, name[:64])) for name, value in pairs])
    request.scope[_FORM_READ] = found
    return found


def media_type(request: Request) -> str:
    """The type of the body without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def is_form(request: Request) -> bool:
    """Whether the body is an urlencoded form."""
    return media_type(request) == "application/x-www-form-urlencoded"


# Bounds of the query


def integer(request: Request, name: str, default: int, *, low: int, high: int) -> int:
    """A whole number of the query. Raises Invalid."""
    value = _parameter(request, name)
    if value is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,16}", value, re.ASCII) or not low <= int(value) <= high:
        raise errors.Invalid.field(name, f"must be a whole number from {low} to {high}")
    return int(value)


def text(request: Request, name: str, default: str = "", *, limit: int = 200) -> str:
    """A text of the query. Raises Invalid."""
    value = _parameter(request, name)
    if value is None:
        return default
    if len(value) > limit:
        raise errors.Invalid.field(name, f"must have at most {limit} characters")
    return strict.text(value, name)


def choice(request: Request, name: str, default: str, among: Collection[str]) -> str:
    """A word of the query that is one of several. Raises Invalid."""
    value = _parameter(request, name)
    if value is None:
        return default
    if value not in among:
        raise errors.Invalid.field(name, f"must be one of {', '.join(sorted(filter(None, among)))}")
    return value


def _parameter(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise errors.Invalid.field(name, "must not be repeated")
    return values[0] if values else None


# Once, and only if nothing has happened since


async def once(request: Request, actor: Actor, render: Callable[[Done], Response]) -> Once | None:
    """The request's Idempotency-Key, or None. What `render` makes is stored and given again."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    digest = hashlib.sha256(await request.body() or b"{}").digest()
    scope = f"{actor.id} {actor.space} {request.method} {request.url.path}"
    return Once(scope=scope, key=key, request=digest, render=lambda done: _pack(render(done)))


def answered(done: Done, render: Callable[[Done], Response]) -> Response:
    """The stored answer of a request that has been answered before, else a new one."""
    if done.answer is None:
        return render(done)
    response = _unpack(done.answer)
    if done.repeated:
        response.headers["Idempotent-Replayed"] = "true"
    return response


def expected(request: Request) -> int | None:
    """The position that If-Match names, as seq; None without it or for `*`. Raises Stale, BadRequest."""
    value = request.headers.get("if-match", "*").strip()
    if value == "*":
        return None
    if value.startswith("W/"):
        raise errors.Stale()
    found = _POSITION.fullmatch(value)
    if found is None:
        raise BadRequest('If-Match names one position, such as "1.42".')
    if int(found[1]) != installation(request).engine.epoch:
        raise errors.Stale()
    return int(found[2])


def _pack(response: Response) -> bytes:
    """Status and headers on one line, then the body: what a repeat needs."""
    kept = {name: value for name, value in response.headers.items() if name != "content-length"}
    return json.dumps([response.status_code, kept]).encode() + b"\n" + bytes(response.body)


def _unpack(stored: bytes) -> Response:
    line, _, body = stored.partition(b"\n")
    status, headers = json.loads(line)
    return Response(body, status, headers)


# Cookies and addresses


def cookie_name(request: Request, name: str) -> str:
    """`__Host-` binds a cookie to this host and to TLS; plain http cannot have it."""
    return f"__Host-{name}" if _secure(request) else name


def cookie(request: Request, name: str) -> str | None:
    """A cookie's value, when it looks like one of ours."""
    value = request.cookies.get(cookie_name(request, name), "")
    return value if _CREDENTIAL.fullmatch(value) else None


def set_cookie(response: Response, request: Request, name: str, value: str, *, max_age: int | None = None) -> None:
    """A cookie that scripts cannot read and other sites cannot send with a change. No `max_age`: this visit only."""
    response.set_cookie(
        cookie_name(request, name),
        value,
        max_age=max_age,
        path="/",
        secure=_secure(request),
        httponly=True,
        samesite="lax",
    )


def drop_cookie(response: Response, request: Request, name: str) -> None:
    """Take a cookie back."""
    response.delete_cookie(cookie_name(request, name), path="/", secure=_secure(request), httponly=True, samesite="lax")


def base_url(request: Request) -> str:
    """The address people reach this server at, without a slash at the end."""
    return installation(request).settings.base_url.rstrip("/") or f"{request.url.scheme}://{request.url.netloc}"


def _secure(request: Request) -> bool:
    return request.url.scheme == "https" or installation(request).settings.secure_cookies
