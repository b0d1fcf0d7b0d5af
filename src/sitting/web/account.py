"""A person's own account: access tokens, password. Only for who has signed in by a browser: a token makes no tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from .. import errors
from ..access import SCOPES, SIGN_IN_SECONDS, SignedIn
from ..core.event import to_text
from ..passwords import MIN_PASSWORD
from . import answer, deps, signin
from .errors import status_of

router = APIRouter(include_in_schema=False)
LIFETIMES = {"7": "7 days", "30": "30 days", "90": "90 days", "365": "1 year"}
SCOPE_LABELS = {"*": "Everything you may", "read": "Only read"}


@dataclass(frozen=True)
class _Person:
    """Who is signed in, and the cookie that says so."""

    signed_in: SignedIn
    cookie: str


@router.get("/account")
async def show(request: Request) -> Response:
    """The account."""
    person = await _person(request)
    flash = (
        [("ok", "The password was changed. Every other sign-in has ended.")]
        if "changed" in request.query_params
        else []
    )
    return await _page(request, person, flash=flash)


@router.post("/account/tokens")
async def create_token(request: Request) -> Response:
    """Make a token, and show it this once."""
    person = await _person(request)
    form = await deps.form(request)
    days, scope = form.get("expires_in_days", "90"), form.get("scope", "*")
    wrong = {}
    if days not in LIFETIMES:
        wrong["expires_in_days"] = "Choose one of these times."
    if scope not in SCOPES:
        wrong["scope"] = "Choose what the token may do."
    actor, installation = person.signed_in.actor, deps.installation(request)
    until = installation.clock.now() + timedelta(days=int(days)) if not wrong else None
    name = form.get("name", "")
    try:
        if wrong:
            raise errors.Invalid(fields=[{"field": field, "message": message} for field, message in wrong.items()])
        secret, _ = await deps.settle(
            installation.access.create_token(actor.id, name, space=actor.space, scopes=(scope,), expires_at=until)
        )
    except (errors.Invalid, errors.Conflict) as refusal:
        values = {"name": name, "scope": scope, "expires_in_days": days}
        return await _page(request, person, status=status_of(refusal), errors=_faults(refusal), values=values)
    return answer.page(
        request,
        "token_created.html",
        headers={"Cache-Control": "no-store"},
        token=secret,
        name=name.strip(),
        expires_at=_time(until),
        base_url=deps.base_url(request),
    )


@router.post("/account/tokens/{token}/revoke")
async def revoke_token(request: Request, token: str) -> Response:
    """End a token of one's own."""
    person = await _person(request)
    await deps.settle(deps.installation(request).access.revoke(token, account=person.signed_in.actor.id))
    return answer.redirect("/account")


@router.post("/account/password")
async def change_password(request: Request) -> Response:
    """A new password: every sign-in ends, and this browser gets a new one."""
    person = await _person(request)
    form = await deps.form(request)
    access = deps.installation(request).access
    try:
        cookie = await deps.settle(access.change_password(person.cookie, form.get("current", ""), form.get("new", "")))
    except (errors.Invalid, errors.RateLimited) as refusal:
        faults = _faults(refusal) if isinstance(refusal, errors.Invalid) else {"current": signin.sentence(refusal)}
        return await _page(request, person, status=status_of(refusal), password_errors=faults)
    response = answer.redirect("/account?changed=1")
    deps.set_cookie(response, request, deps.SIGN_IN, cookie, max_age=SIGN_IN_SECONDS)
    return response


async def _person(request: Request) -> _Person:
    """Who is signed in by a cookie. A change must come from our own page."""
    actor = await deps.actor(request)
    caller = await deps.caller(request)
    if not actor.is_user or caller.csrf is None:
        raise errors.NotAllowed("Sign in with a browser to look after your account.")
    cookie = deps.cookie(request, deps.SIGN_IN) or ""
    return _Person(await deps.settle(deps.installation(request).access.by_cookie(cookie)), cookie)


async def _page(
    request: Request,
    person: _Person,
    *,
    status: int = 200,
    errors: dict[str, str] | None = None,
    values: dict[str, Any] | None = None,
    password_errors: dict[str, str] | None = None,
    flash: list[tuple[str, str]] | None = None,
) -> Response:
    signed_in = person.signed_in
    actor = signed_in.actor
    tokens = await deps.settle(deps.installation(request).access.tokens(actor.id))
    return answer.page(
        request,
        "account.html",
        status=status,
        account={
            "id": actor.id,
            "name": signed_in.name,
            "email": signed_in.email,
            "role": ", ".join(sorted(actor.roles)),
            "space": actor.space,
        },
        tokens=[
            {
                "id": token.id,
                "name": token.name,
                "scopes": [SCOPE_LABELS.get(scope, scope) for scope in token.scopes],
                "created_at": to_text(token.created_at),
                "expires_at": _time(token.expires_at),
            }
            for token in tokens
        ],
        scopes=list(SCOPE_LABELS.items()),
        lifetimes=list(LIFETIMES.items()),
        errors=errors or {},
        values=values or {},
        password_errors=password_errors or {},
        can_change_password=signed_in.email is not None,
        has_password=signed_in.has_password,
        min_password=MIN_PASSWORD,
        flash=flash or [],
    )


def _faults(refusal: errors.Refusal) -> dict[str, str]:
    found = {str(item["field"]): str(item["message"]) for item in refusal.facts.get("fields", ())}
    return found or {"_": refusal.message}


def _time(at: datetime | None) -> str | None:
    return None if at is None else to_text(at)
