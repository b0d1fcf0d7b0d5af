"""Coming in and going out.

A sign-in is always a form of our own: the same-site checks hold for it too, so nobody can be signed in as somebody else
by a foreign page. A one-time link is only used up by its button, because whatever looks at mail opens links. Where to
go afterwards is a path of this site or the start page.
"""

from __future__ import annotations

import re

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from .. import errors
from ..access import SIGN_IN_SECONDS
from . import answer, deps
from .errors import patience, status_of

router = APIRouter(include_in_schema=False)
SECRETS = (r"(/sign-in/).+",)
_OWN_PATH = re.compile(r"/(?![/\\])[\x21-\x5b\x5d-\x7e]{0,2000}", re.ASCII)
_NOT_BACK_TO = ("/sign-in", "/sign-out")


def own_path(path: str) -> str:
    """Where to go after signing in: a path of this site, else the start page."""
    return path if _OWN_PATH.fullmatch(path) and not path.startswith(_NOT_BACK_TO) else "/"


def sentence(refusal: errors.Refusal) -> str:
    """A refused sign-in, for people."""
    seconds = refusal.facts.get("retry_after")
    if seconds is None:
        return refusal.message
    minutes = -(-round(seconds) // 60)
    wait = f"{max(1, round(seconds))} seconds" if seconds < 90 else f"{minutes} minutes"
    return f"Too many attempts. Try again in {wait}."


@router.get("/sign-in")
async def show(request: Request) -> Response:
    """The form, or straight on for who is signed in."""
    known = await deps.maybe(request)
    back = own_path(deps.text(request, "next", "/", limit=2000))
    if known is not None and known.actor.is_user:
        return answer.redirect(back)
    return await _form(request, back)


@router.post("/sign-in")
async def sign_in(request: Request) -> Response:
    """By e-mail and password. An access token signs nobody in: a sign-in would outlive it and may do more."""
    await _from_our_page(request)
    form = await deps.form(request)
    back = own_path(form.get("next", "/"))
    address = request.client.host if request.client else ""
    previous = deps.cookie(request, deps.SIGN_IN)
    email, password = form.get("email", ""), form.get("password", "")
    access = deps.installation(request).access
    try:
        cookie = await deps.settle(access.sign_in(email, password, address=address, previous=previous))
    except (errors.NotAuthenticated, errors.RateLimited) as refusal:
        return await _form(request, back, refusal, email=email[:254])
    return _welcome(request, cookie, back)


@router.get("/sign-in/link/{token}")
async def show_link(request: Request, token: str) -> Response:
    """The button. Looking at the link changes nothing."""
    await deps.maybe(request)
    return answer.page(request, "signin_link.html", action=_link(token), error="")


@router.post("/sign-in/link/{token}")
async def use_link(request: Request, token: str) -> Response:
    """The link, used up."""
    await _from_our_page(request)
    access = deps.installation(request).access
    try:
        cookie = await deps.settle(access.use_link(token, previous=deps.cookie(request, deps.SIGN_IN)))
    except errors.NotAuthenticated as refusal:
        return answer.page(request, "signin_link.html", status=401, action=_link(token), error=refusal.message)
    return _welcome(request, cookie, "/")


@router.get("/sign-out")
async def show_sign_out(request: Request) -> Response:
    """The button, for who comes by an address. Looking at it changes nothing."""
    known = await deps.maybe(request)
    if known is None or not known.actor.is_user:
        return answer.redirect("/sign-in")
    cookie = deps.cookie(request, deps.SIGN_IN)
    access = deps.installation(request).access
    has_password = cookie is None or (await deps.settle(access.by_cookie(cookie))).has_password
    return answer.page(request, "signout.html", has_password=has_password)


@router.post("/sign-out")
async def sign_out(request: Request) -> Response:
    """End this sign-in."""
    cookie = deps.cookie(request, deps.SIGN_IN)
    if cookie is not None and await deps.maybe(request) is not None:
        await deps.actor(request)
        await deps.settle(deps.installation(request).access.sign_out(cookie))
    return _goodbye(request)


@router.post("/sign-out-everywhere")
async def sign_out_everywhere(request: Request) -> Response:
    """End every sign-in of this account; API tokens stay."""
    actor = await deps.actor(request)
    if not actor.is_user:
        raise errors.NotAllowed()
    await deps.settle(deps.installation(request).access.sign_out_everywhere(actor.id))
    return _goodbye(request)


async def _form(request: Request, back: str, refusal: errors.Refusal | None = None, *, email: str = "") -> Response:
    return answer.page(
        request,
        "signin.html",
        status=200 if refusal is None else status_of(refusal),
        headers={} if refusal is None else patience(refusal),
        next=back,
        email=email,
        error="" if refusal is None else sentence(refusal),
        joins=[app.join for app in deps.installation(request).apps if app.join],
        first_run=await deps.settle(deps.installation(request).access.is_new()),
    )


async def _from_our_page(request: Request) -> None:
    """The form's token is that of whoever saw the page: of the person signed in, or of nobody in particular."""
    known = await deps.maybe(request)
    await deps.check_csrf(request, known.csrf if known is not None else None)


def _link(token: str) -> str:
    return f"/sign-in/link/{token}"


def _welcome(request: Request, cookie: str, back: str) -> Response:
    response = answer.redirect(back)
    deps.set_cookie(response, request, deps.SIGN_IN, cookie, max_age=SIGN_IN_SECONDS)
    return response


def _goodbye(request: Request) -> Response:
    response = answer.redirect("/sign-in")
    deps.drop_cookie(response, request, deps.SIGN_IN)
    return response
