"""Where people without an account come in: the code, the month, the name; or a personal link.

Looking changes nothing; only a form does. A code is short enough to be guessed, so guesses are counted (guesses.py).
Claiming a name gives this device a cookie of its own; only its hash is stored. The form that claims carries a token
signed for this session and good for an hour, because there is no cookie yet that it could be tied to. The same form
sent again by the same browser gets the same cookie: the answer that carried it may have been lost on the way.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core.actor import Actor, guest
from ...core.session import Session
from ...engine import Seen, Where
from ...web import answer, deps, forms
from ...web.errors import Problem, patience
from . import commands, device_routes, edge, people, refusals, team_views, views
from .device_routes import Device
from .guesses import Guesses

router = APIRouter(tags=["facilitation, participants"])
COOKIE_SECONDS = 60 * 86_400
FORM_TIME = timedelta(hours=1)
CODE = re.compile(r"[A-Z0-9]{4,20}", re.ASCII)
WRONG_CODE = "Team code not found. Please check and try again."
NONE_ACTIVE = "No active sessions for this team. Please wait for your facilitator."
MAX_TOKEN = 100
_FORM_TOKEN = re.compile(r"([0-9]{1,12})\.([\w-]{22})\.([0-9a-f]{64})", re.ASCII)
MAX_OPEN = 100  # months of one team that are captured at once


class NoneActive(errors.Conflict):
    """The code is right, but nothing takes responses yet. The page looks again by itself."""


@dataclass(frozen=True)
class Team:
    """A team whose code was shown, and the visitor who has shown it."""

    code: str
    session: Session
    visitor: Actor


@router.get("/join")
async def door(request: Request) -> Response:
    """Where a code is typed. An address that carries one leads on."""
    code = deps.text(request, "code", limit=2000).strip().upper()
    return await _into(request, code) if code else await _door(request, code)


@router.post("/join")
async def enter(request: Request) -> Response:
    """From the typed code to the team."""
    deps.same_site(request)
    sent = await edge.form(request, "code")
    return await _into(request, edge.required(sent, "code").strip().upper())


# A personal link


@router.get("/join/p/{token}")
async def show_link(request: Request, token: str) -> Response:
    """The name and a button. Looking changes nothing."""
    return await _link_page(request, await _invitation(request, token))


@router.post("/join/p/{token}")
async def use_link(request: Request, token: str) -> Response:
    """Take the name the link is for."""
    invited = await _invitation(request, token)
    await _check_form(request, invited.session.id)
    await edge.form(request)

    async def again(refused: edge.Refused) -> Response:
        return await _link_page(request, invited, refused)

    return await edge.or_again(
        request, "link", _claim(request, invited.session, invited.member["id"], invited.visitor), again
    )


# By the code


@router.get("/join/{code}")
@router.get("/join/{code}/session")
async def pick(request: Request, code: str) -> Response:
    """One session: on to its names. Several: which month. A device that was here is offered the way back."""
    try:
        team, open, held = await _hall(request, code)
    except errors.Refusal as refusal:
        return await _door_again(request, code.upper(), refusal)
    if len(open) == 1:
        return answer.redirect(_names(team.code, open[0].id))
    return answer.page(
        request, "join/picker.html", guest=True, code=team.code, team_name=team_views.text(team.session, "team_name"),
        sessions=[{"id": each.id, "month": each.data["month"]} for each in open],
        back=[device.way_back() for device in held],
    )  # fmt: skip


@router.post("/join/{code}/session")
async def choose(request: Request, code: str) -> Response:
    """From the chosen month to its names."""
    deps.same_site(request)
    team = await _team(request, code)
    sent = await edge.form(request, "session_id")
    seen = await _session(request, team, edge.required(sent, "session_id"))
    return answer.redirect(_names(team.code, seen.session.id))


@router.get("/join/{code}/session/{id}/name")
async def names(request: Request, code: str, id: str) -> Response:
    """The roster as buttons."""
    held = await device_routes.device_of(request, id)
    if held is None or held.code != code.upper():
        team = await _team(request, code)
        seen = await _session(request, team, id)
        if seen.session.state != "capturing":
            return answer.redirect(f"/join/{team.code}")
        return await _names_page(request, team.session, seen, None)
    return await _names_page(request, held.team, held.seen, held)


@router.post("/join/{code}/session/{id}/name")
async def take(request: Request, code: str, id: str) -> Response:
    """Take a name on this device."""
    team = await _team(request, code)
    seen = await _session(request, team, id)
    if views.lobby(seen.session)["join_by"] == "link" and await device_routes.device_of(request, id) is None:
        raise refusals.UseLink  # whatever the form holds: its page has none to send
    await _check_form(request, id)
    sent = await edge.form(request, "member_id")
    member = edge.number(edge.required(sent, "member_id").strip())

    async def again(refused: edge.Refused) -> Response:
        held = await device_routes.device_of(request, id)
        return await _names_page(request, team.session, seen, held, refused)

    return await edge.or_again(request, "name", _claim(request, seen.session, member, team.visitor), again)


def problem(request: Request, problem: Problem) -> Response | None:
    """A refusal below `/join`, which offers nothing that needs an account."""
    if problem.code == errors.WrongState.code:
        problem = Problem(400, problem.code, problem.detail, problem.request_id, problem.facts, problem.headers)
    return edge.answered_as(request, problem, back=[("/join", "Type the code again")], guest=True)


# Claims


async def _claim(request: Request, session: Session, member: int, visitor: Actor) -> Response:
    """Take a name for this device: a new cookie, unless it holds this very name already."""
    id = session.id
    held = await device_routes.device_of(request, id)
    if held is not None:
        if held.me["id"] != member:
            raise refusals.holding(held.me["name"])
        return answer.redirect(held.place("respond"))
    token = await _device_token(request, id, member)
    who = guest(token, credentials=visitor.credentials)
    done = edge.engine(request).do(id, commands.Claim(member_id=member), who, kind=edge.SESSION)
    await edge.found(done)
    team = await edge.see_team(request, session.subject or "", people.reader(session.space))
    code = team.session.data["code"]
    response = answer.redirect(f"/join/{code}/session/{id}/member/{member}/respond")
    deps.set_cookie(response, request, device_routes.cookie(id), token, max_age=COOKIE_SECONDS)
    return response


async def _device_token(request: Request, id: str, member: int) -> str:
    """What the cookie of a claim holds: the same for the same form of the same browser, as its own cookie proves it.

    So nobody has it who only knows the address, or has seen the page; without that cookie each claim gets a fresh one.
    """
    browser = deps.cookie(request, deps.FORM)
    if browser is None:
        return secrets.token_urlsafe(32)
    known = [id, member, await _sent_token(request), browser]
    digest = hmac.digest(_key(request, "join device"), json.dumps(known).encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


@dataclass(frozen=True)
class Invitation:
    """A personal link in force: whose it is, and where."""

    session: Session
    team: Session
    member: dict[str, Any]
    visitor: Actor


async def _invitation(request: Request, token: str) -> Invitation:
    """What a personal link opens. Raises NotFound."""
    credential = people.link_credential(token)
    known = await deps.settle(edge.engine(request).find(credential)) if len(token) <= MAX_TOKEN else None
    if known is None:
        raise errors.NotFound(refusals.LINK_NOT_VALID)
    visitor = Actor("guest:visitor", credentials=(credential,))
    session = (
        await edge.found(edge.engine(request).view(known[0], visitor, kind=edge.SESSION), refusals.LINK_NOT_VALID)
    ).session
    team = (await edge.see_team(request, session.subject or "", people.reader(session.space))).session
    member = views.link_member(session, token, team)
    if member is None or session.state not in ("draft", "capturing"):
        raise errors.NotFound(refusals.LINK_NOT_VALID)
    return Invitation(session, team, member, visitor)


def _form_token(request: Request, id: str) -> str:
    """The token of a form that claims a name in this session: until when, a number used once, and a signature."""
    until = int((deps.installation(request).clock.now() + FORM_TIME).timestamp())
    number = secrets.token_urlsafe(16)
    return f"{until}.{number}.{_signature(request, id, until, number)}"


async def _sent_token(request: Request) -> str:
    return (await deps.form(request)).get(forms.CSRF) or request.headers.get("x-csrf-token") or ""


async def _check_form(request: Request, id: str) -> None:
    """Refuse a claim our own page has not asked for within the hour. Raises CsrfFailed."""
    deps.same_site(request)
    found = _FORM_TOKEN.fullmatch(await _sent_token(request))
    if found is None or not hmac.compare_digest(found[3], _signature(request, id, int(found[1]), found[2])):
        raise errors.CsrfFailed()
    now = deps.installation(request).clock.now()
    if datetime.fromtimestamp(int(found[1]), now.tzinfo) < now:
        raise errors.CsrfFailed()


def _signature(request: Request, id: str, until: int, number: str) -> str:
    return hmac.new(_key(request, "join form"), f"{id}|{until}|{number}".encode(), hashlib.sha256).hexdigest()


def _key(request: Request, label: str) -> bytes:
    return deps.installation(request).secret.derive(label)


# Teams and their sessions


async def _team(request: Request, code: str) -> Team:
    """The team of a code. Raises NotFound, RateLimited."""
    found = await _find(request, code.upper())
    guesses, now = _guesses(request), deps.installation(request).clock.now()
    address = request.client.host if request.client else ""
    if found is None:
        guesses.wrong(address, now)
        raise errors.NotFound(WRONG_CODE)
    guesses.check(address, now)
    return found


async def _find(request: Request, code: str) -> Team | None:
    if not CODE.fullmatch(code):
        return None
    credential = people.team_credential(code)
    known = await deps.settle(edge.engine(request).find(credential))
    if known is None:
        return None
    visitor = Actor("guest:visitor", credentials=(credential,))
    try:
        seen = await edge.see_team(request, known[0], visitor)
    except errors.NotFound:
        return None
    return Team(code, seen.session, visitor)


async def _open(request: Request, team: Team) -> list[Session]:
    """The team's sessions that take responses now, oldest month first."""
    where = Where(state="capturing", subject=team.session.id, limit=MAX_OPEN)
    reader = people.reader(team.session.space)
    found = await deps.settle(edge.engine(request).list(edge.SESSION, reader, where))
    return sorted((seen.session for seen in found.items), key=lambda session: str(session.data["month"]))


async def _hall(request: Request, code: str) -> tuple[Team, list[Session], list[Device]]:
    """A team, what is open there, and what this device holds there. Raises NotFound, RateLimited, Conflict."""
    team = await _team(request, code)
    open, held = await _open(request, team), await device_routes.devices(request, team.session.id)
    if not open and not held:
        raise NoneActive(NONE_ACTIVE)
    return team, open, held


async def _session(request: Request, team: Team, id: str) -> Seen:
    """One of the team's sessions, as a visitor sees it, once it was started. Raises NotFound."""
    seen = await edge.see(request, id, team.visitor)
    if seen.session.subject != team.session.id or seen.session.state == "draft":
        raise errors.NotFound(refusals.SESSION_NOT_FOUND)
    return seen


def _guesses(request: Request) -> Guesses:
    state = request.app.state
    if not hasattr(state, "facilitation_guesses"):
        state.facilitation_guesses = Guesses()
    found: Guesses = state.facilitation_guesses
    return found


# Pages


async def _into(request: Request, code: str) -> Response:
    """To the team of a code, or the form again."""
    try:
        team, _, _ = await _hall(request, code)
    except errors.Refusal as refusal:
        return await _door_again(request, code, refusal)
    return answer.redirect(f"/join/{team.code}")


async def _door(request: Request, code: str, refusal: errors.Refusal | None = None) -> Response:
    held = await device_routes.devices(request)
    headers = {"Vary": "Accept"}
    if refusal is not None:
        headers |= {edge.CODE: edge.code_here(refusal.code), **patience(refusal)}
    return answer.page(
        request, "join/code.html", status=200 if refusal is None else edge.status_here(refusal), headers=headers,
        guest=True, code=code, error=None if refusal is None else refusal.message,
        again=f"/join/{code}" if isinstance(refusal, NoneActive) else None,
        back=[device.way_back() for device in held],
    )  # fmt: skip


async def _door_again(request: Request, code: str, refusal: errors.Refusal) -> Response:
    """The code form with what was wrong: a wrong code is no dead end. Programs get the refusal itself."""
    if not answer.accepts_html(request):
        raise refusal
    return await _door(request, code[:40], refusal)


async def _names_page(
    request: Request, team: Session, seen: Seen, held: Device | None, refused: edge.Refused | None = None
) -> Response:
    session = seen.session
    here = await device_routes.devices(request, team.id)
    mine = None
    if held is not None:
        mine = {"name": held.me["name"], "url": held.place("respond" if session.state == "capturing" else "waiting")}
        mine |= {"leave": f"{held.base}/leave", "may_leave": held.may_leave, "token": held.csrf(request)}
        mine["scope"] = f"{session.id}.{held.me['id']}"
    return answer.page(
        request, "join/names.html", status=refused.status if refused else 200,
        headers=refused.headers if refused else {}, guest=True, code=team.data["code"],
        team_name=team_views.text(team, "team_name"), session=views.lobby(session), mine=mine,
        back=[device.way_back() for device in here if device.id != session.id],
        error=refused.message if refused else None, claim_token=_form_token(request, session.id),
    )  # fmt: skip


async def _link_page(request: Request, invited: Invitation, refused: edge.Refused | None = None) -> Response:
    session = invited.session
    held = await device_routes.device_of(request, session.id)
    return answer.page(
        request, "join/link.html", status=refused.status if refused else 200,
        headers=refused.headers if refused else {}, guest=True, team_name=team_views.text(invited.team, "team_name"),
        session=views.lobby(session), name=invited.member["name"],
        mine=held.place("respond") if held is not None and held.me == invited.member else None,
        error=refused.message if refused else None, claim_token=_form_token(request, session.id),
    )  # fmt: skip


def _names(code: str, id: str) -> str:
    return f"/join/{code}/session/{id}/name"
