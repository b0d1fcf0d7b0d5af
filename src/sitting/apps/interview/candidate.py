"""The candidate's routes: by link, then by the cookie of the device that joined. No account, one session.

The code in the path opens nothing but the neutral page and the joining; everything else needs the cookie. Opening a
page never changes anything.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor, guest
from ...core.kind import Command
from ...engine import Done, Seen
from ...web import answer, deps, stream
from . import clock, commands, edge, exports, figures, terms, views
from .edge import KIND
from .refusals import LINK_NOT_VALID, JoinRequired

router = APIRouter(tags=["interview, candidate"])
COOKIE_SECONDS = 30 * 86_400


@dataclass(frozen=True)
class Seat:
    """What a link leads to. `actor` is the joined device, or None."""

    session: str
    credential: str
    actor: Actor | None
    token: str = ""


@router.get("/i")
async def door(request: Request) -> Response:
    """Where a code is typed."""
    return answer.page(request, "interview/code.html", guest=True, code="", error=None)


@router.post("/i")
async def enter(request: Request) -> Response:
    """From the typed code to the link."""
    await deps.same_site(request)
    code = (await deps.form(request)).get("code", "").strip().lower()
    if await _seat(request, code) is None:
        return answer.page(request, "interview/code.html", status=404, guest=True, code=code, error=LINK_NOT_VALID)
    return answer.redirect(f"/i/{code}")


@router.get("/i/{code}")
async def room(request: Request, code: str) -> Response:
    """Before joining a neutral page; then one page per state."""
    seat = await _valid(request, code)
    if seat.actor is None:
        return answer.page(request, "interview/join.html", guest=True, code=code)
    selection = await edge.found(
        edge.engine(request).selected(seat.session, seat.actor, {*terms.SAID, terms.EventType.TURN_RETRIED}, limit=400)
    )
    seen, session = selection.seen, selection.seen.session
    edge.present(request, seat.session)
    common = {
        "guest": True, "code": code, "status": views.status(session, seen.now), "view": seen.view,
        "challenge": views.challenge(session, seen.audience), "messages": figures.messages(selection.events),
        "remaining_ms": clock.remaining_ms(session, seen.now), "start_by": views.setting(session, "start_by"),
        "csrf_token": deps.guest_csrf(deps.installation(request), seat.token), "turn": session.data.get("turn"),
        "copy": views.setting(session, "candidate_copy"), "marks": views.setting(session, "integrity_marks"),
    }  # fmt: skip
    return answer.page(request, f"interview/candidate_{session.state}.html", **common)


@router.post("/i/{code}/join")
async def join(request: Request, code: str) -> Response:
    """Take the seat on this device. A device that has it already keeps its cookie."""
    await deps.same_site(request)
    seat = await _valid(request, code)
    response = answer.redirect(f"/i/{code}")
    if seat.actor is None:
        token = secrets.token_urlsafe(32)
        who = guest(token, credentials=(seat.credential,))
        await edge.found(edge.engine(request).do(seat.session, commands.Join(), who, kind=KIND), LINK_NOT_VALID)
        deps.set_cookie(response, request, f"{KIND}-{seat.session}", token, max_age=COOKIE_SECONDS)
    return response


@router.post("/i/{code}/start")
async def start(request: Request, code: str) -> Response:
    """Start the clock, where the candidate may."""
    return await _do(request, code, commands.Start())


@router.get("/i/{code}/status")
async def status(request: Request, code: str) -> Response:
    """Time, tokens and whether a message would be taken now."""
    _, seen = await _seen(request, code)
    return answer.json(views.status(seen.session, seen.now))


@router.get("/i/{code}/messages")
async def messages(request: Request, code: str) -> Response:
    """The transcript after a position."""
    seat = await joined(request, code)
    after = deps.integer(request, "after", 0, low=0, high=2**53)
    limit = deps.integer(request, "limit", 100, low=1, high=200)
    assert seat.actor is not None, "joined() gives a seat that is taken"
    found = edge.engine(request).selected(seat.session, seat.actor, terms.SAID, after=after, limit=limit, newest=False)
    return edge.transcript(await edge.found(found), limit)


@router.post("/i/{code}/messages")
async def send(request: Request, code: str) -> Response:
    """Write to the model: 202 with the turn, or its stream at once for `Accept: text/event-stream`."""
    seat = await joined(request, code)
    return await _turn(request, code, seat, await edge.asked(request, commands.SendMessage))


@router.post("/i/{code}/turns/{turn}/retry")
async def retry(request: Request, code: str, turn: str) -> Response:
    """Ask again for a reply that failed; a new turn."""
    seat = await joined(request, code)
    return await _turn(request, code, seat, strict.check(commands.RetryTurn, {"turn": turn}))


@router.post("/i/{code}/turns/{turn}/cancel")
async def cancel(request: Request, code: str, turn: str) -> Response:
    """Stop the reply; what was written stays and is charged."""
    return await _do(request, code, edge.cancel_command(turn))


@router.get("/i/{code}/turns/{turn}/stream")
async def turn_stream(request: Request, code: str, turn: str) -> Response:
    """One reply as it is written."""
    seat = await joined(request, code)
    return await stream.turn(request, seat.session, turn, lambda again: _actor(again, code))


@router.get("/i/{code}/events")
@router.head("/i/{code}/events")
async def events(request: Request, code: str) -> Response:
    """The live protocol, as the candidate sees it."""
    seat = await joined(request, code)
    return await stream.events(request, seat.session, lambda again: _actor(again, code))


@router.get("/i/{code}/ledger")
async def ledger(request: Request, code: str) -> Response:
    """Why the numbers are what they are."""
    seat = await joined(request, code)
    assert seat.actor is not None, "joined() gives a seat that is taken"
    seen, found = await edge.everything(request, seat.session, seat.actor)
    body = figures.ledger(seen.session, found, seen.now)
    return answer.respond(request, body, "interview/ledger.html", guest=True, code=code, ledger=body)


@router.get("/i/{code}/export")
async def export(request: Request, code: str) -> Response:
    """The candidate's own verifiable copy, after the end."""
    seat = await joined(request, code)
    assert seat.actor is not None, "joined() gives a seat that is taken"
    return await exports.copy(request, seat.session, seat.actor)


@router.post("/i/{code}/leave")
async def leave(request: Request, code: str) -> Response:
    """End the interview from the candidate's side, when `confirm` says yes."""
    seat = await joined(request, code)
    body = await edge.asked(request, edge.Confirmed)
    if body.confirm != "yes":
        raise errors.Invalid.field("confirm", "must be yes")
    assert seat.actor is not None, "joined() gives a seat that is taken"

    def render(done: Done) -> Response:
        return answer.respond(
            request, views.status(done.session, done.now), "interview/goodbye.html", guest=True, code=code
        )

    return await edge.carry_out(request, seat.session, commands.End(), seat.actor, render)


@router.post("/i/{code}/marks")
async def marks(request: Request, code: str) -> Response:
    """Something this page noticed, where the interview asks for that."""
    seat = await joined(request, code)
    assert seat.actor is not None, "joined() gives a seat that is taken"
    command = await edge.asked(request, commands.MarkIntegrity)
    return await edge.carry_out(request, seat.session, command, seat.actor, lambda done: Response(status_code=204))


async def joined(request: Request, code: str) -> Seat:
    """The seat of the device that asks. Raises NotFound (link), JoinRequired, CsrfFailed."""
    seat = await _valid(request, code)
    if seat.actor is None:
        raise JoinRequired()
    if request.method not in ("GET", "HEAD"):
        await deps.check_csrf(request, deps.guest_csrf(deps.installation(request), seat.token))
    edge.present(request, seat.session)
    return seat


async def _actor(request: Request, code: str) -> Actor:
    seat = await _valid(request, code)
    if seat.actor is None:
        raise JoinRequired()
    return seat.actor


async def _seen(request: Request, code: str) -> tuple[Seat, Seen]:
    seat = await joined(request, code)
    assert seat.actor is not None, "joined() gives a seat that is taken"
    return seat, await edge.found(edge.engine(request).view(seat.session, seat.actor))


async def _do(request: Request, code: str, command: Command) -> Response:
    seat = await joined(request, code)
    assert seat.actor is not None, "joined() gives a seat that is taken"

    def render(done: Done) -> Response:
        if deps.is_form(request) and not request.headers.get("x-csrf-token"):
            return answer.redirect(f"/i/{code}")
        return answer.json(views.status(done.session, done.now))

    return await edge.carry_out(request, seat.session, command, seat.actor, render)


async def _turn(request: Request, code: str, seat: Seat, command: Command) -> Response:
    assert seat.actor is not None, "joined() gives a seat that is taken"

    def render(done: Done) -> Response:
        turn = str(done.events[-1].data["turn"])
        place = f"/i/{code}/turns/{turn}/stream"
        if deps.is_form(request) and not request.headers.get("x-csrf-token"):
            return answer.redirect(f"/i/{code}")
        sent = figures.messages([event for event in done.events if event.type == terms.EventType.MESSAGE_SENT])
        body = {"message": sent[0] if sent else None, "turn": turn, "stream": place}
        return answer.json(body, 202, {"Location": place})

    response = await edge.carry_out(request, seat.session, command, seat.actor, render)
    if "text/event-stream" not in request.headers.get("accept", "") or response.status_code != 202:
        return response
    place = response.headers["location"]
    turn = place.split("/")[-2]
    return stream.turn_response(
        request, seat.session, turn, lambda again: _actor(again, code), headers={"Location": place}
    )


async def _valid(request: Request, code: str) -> Seat:
    seat = await _seat(request, code)
    if seat is None:
        raise errors.NotFound(LINK_NOT_VALID)
    return seat


async def _seat(request: Request, code: str) -> Seat | None:
    """The session a code leads to. A device that has joined outlives the expiry of a link that was not revoked."""
    if not (code.isascii() and code.isalnum() and len(code) == 26):
        return None
    credential = views.link_credential(code)
    known = await deps.settle(edge.engine(request).find(credential))
    if known is not None:
        return await _taken(request, known[0], credential)
    prefix = deps.cookie_name(request, f"{KIND}-")
    for name in request.cookies:
        if name.startswith(prefix):
            seat = await _taken(request, name.removeprefix(prefix), credential)
            if seat.actor is not None and await _still_its_code(request, seat, code):
                return seat
    return None


async def _taken(request: Request, session: str, credential: str) -> Seat:
    """The seat with the device's actor, when its cookie still holds the role."""
    token = deps.cookie(request, f"{KIND}-{session}")
    if token is None:
        return Seat(session, credential, None)
    actor = guest(token)
    try:
        await deps.settle(edge.engine(request).view(session, actor))
    except errors.NotFound:
        return Seat(session, credential, None)
    return Seat(session, credential, actor, token)


async def _still_its_code(request: Request, seat: Seat, code: str) -> bool:
    assert seat.actor is not None, "asked only of a seat that is taken"
    seen = await deps.settle(edge.engine(request).view(seat.session, seat.actor))
    link = views.link_of(seen.session)
    key = edge.engine(request).installed["link_key"]
    return not link.revoked and hmac.compare_digest(views.join_code(key, seat.session, link.version), code)
