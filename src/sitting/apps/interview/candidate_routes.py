"""The candidate's routes: by link, then by the cookie of the device that joined. No account, one session.

The code in the path opens nothing but the neutral page and the joining; everything else needs the cookie. Opening a
page never changes anything.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable
from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core.actor import Actor, guest
from ...core.kind import Command
from ...engine import Done, Seen
from ...web import answer, deps, stream
from ...web.again import Refused
from ...web.errors import Problem
from . import clock, commands, edge, export_routes, figures, terms, views
from .edge import KIND
from .refusals import LINK_NOT_VALID, JoinRequired

router = APIRouter(tags=["interview, candidate"])
COOKIE_SECONDS = 60 * 86_400  # longer than any link; what the cookie opens is the grant's to say
MESSAGES_SHOWN = 1000
CODE_LENGTH = 26
MAX_SEATS = 20  # of one browser that are looked into, when a link itself is no longer valid


@dataclass(frozen=True)
class Seat:
    """What a link leads to: a session, and the credential that lets a device join it."""

    session: str
    credential: str


@dataclass(frozen=True)
class Device:
    """A device that has joined, by its cookie."""

    session: str
    actor: Actor
    token: str


@router.get("/i")
async def door(request: Request) -> Response:
    """Where a code is typed."""
    return answer.page(request, "interview/code.html", guest=True, code="", error=None)


@router.post("/i")
async def enter(request: Request) -> Response:
    """From the typed code to the link."""
    deps.same_site(request)
    code = (await deps.form(request)).get("code", "").strip().lower().rpartition("/")[2]
    if await _find(request, code) is None:
        return answer.page(
            request, "interview/code.html", status=404, guest=True, code=code[:100], error=LINK_NOT_VALID
        )
    return answer.redirect(f"/i/{code}")


@router.get("/i/{code}")
async def room(request: Request, code: str) -> Response:
    """Before joining a neutral page; then one page per state."""
    found = await _valid(request, code)
    if isinstance(found, Seat):
        return answer.page(request, "interview/join.html", guest=True, code=code)
    edge.present(request, found.session)
    return await _room(request, code, found)


@router.post("/i/{code}/join")
async def join(request: Request, code: str) -> Response:
    """Take the seat on this device. A device that has it already keeps its cookie."""
    deps.same_site(request)
    found = await _valid(request, code)
    response = answer.redirect(f"/i/{code}")
    if isinstance(found, Seat):
        token = secrets.token_urlsafe(32)
        who = guest(token, credentials=(found.credential,))
        await edge.found(edge.engine(request).do(found.session, commands.Join(), who, kind=KIND), LINK_NOT_VALID)
        deps.set_cookie(response, request, f"{KIND}-{found.session}", token, max_age=COOKIE_SECONDS)
    return response


@router.post("/i/{code}/start")
async def start(request: Request, code: str) -> Response:
    """Start the clock, where the candidate may."""
    device = await joined(request, code)
    return await _or_room(request, code, device, "start", _do(request, code, device, commands.Start()))


@router.get("/i/{code}/status")
async def status(request: Request, code: str) -> Response:
    """Time, tokens and whether a message would be taken now."""
    device = await joined(request, code)
    seen = await _view(request, device)
    return answer.json(edge.status(request, seen.session, seen.now))


@router.get("/i/{code}/messages")
async def messages(request: Request, code: str) -> Response:
    """The transcript after a position."""
    device = await joined(request, code)
    after = deps.integer(request, "after", 0, low=0, high=2**53)
    limit = deps.integer(request, "limit", 100, low=1, high=200)
    found = edge.engine(request).selected(
        device.session, device.actor, terms.SAID, after=after, limit=limit, newest=False
    )
    return edge.transcript(await edge.found(found), limit)


@router.post("/i/{code}/messages")
async def send(request: Request, code: str) -> Response:
    """Write to the model: 202 with the turn, or its stream at once for `Accept: text/event-stream`."""
    device = await joined(request, code)

    async def sent() -> Response:
        return await _turn(request, code, device, await edge.asked(request, commands.SendMessage))

    return await _or_room(request, code, device, "message", sent())


@router.post("/i/{code}/turns/{turn}/retry")
async def retry(request: Request, code: str, turn: str) -> Response:
    """Ask again for a reply that failed; a new turn."""
    device = await joined(request, code)
    command = edge.of_turn(commands.RetryTurn, turn)
    return await _or_room(request, code, device, "retry", _turn(request, code, device, command))


@router.post("/i/{code}/turns/{turn}/cancel")
async def cancel(request: Request, code: str, turn: str) -> Response:
    """Stop the reply; what was written stays and is charged."""
    device = await joined(request, code)
    command = await edge.cancelling(request, device.session, turn, device.actor)
    return await _or_room(request, code, device, "cancel", _do(request, code, device, command))


@router.get("/i/{code}/turns/{turn}/stream")
async def turn_stream(request: Request, code: str, turn: str) -> Response:
    """One reply as it is written."""
    device = await joined(request, code)
    return await stream.turn(request, device.session, turn, lambda again: _actor(again, code), written=edge.WRITTEN)


@router.get("/i/{code}/events")
@router.head("/i/{code}/events", include_in_schema=False)
async def events(request: Request, code: str) -> Response:
    """The live protocol, as the candidate sees it."""
    device = await joined(request, code)
    return await stream.events(request, device.session, lambda again: _actor(again, code))


@router.get("/i/{code}/ledger")
async def ledger(request: Request, code: str) -> Response:
    """Why the numbers are what they are."""
    device = await joined(request, code)
    seen, found = await edge.everything(request, device.session, device.actor)
    body = figures.ledger(seen.session, found, seen.now)
    return answer.respond(request, body, "interview/ledger.html", guest=True, code=code, ledger=body, view=seen.view)


@router.get("/i/{code}/export")
async def export(request: Request, code: str) -> Response:
    """The candidate's own verifiable copy, after the end."""
    device = await joined(request, code)
    return await export_routes.copy(request, device.session, device.actor)


@router.post("/i/{code}/leave")
async def leave(request: Request, code: str) -> Response:
    """End the interview from the candidate's side, when `confirm` says yes."""
    device = await joined(request, code)

    def render(done: Done) -> Response:
        if not edge.leads_back(request):
            return answer.json(edge.status(request, done.session, done.now))
        copy = views.setting(done.session, "candidate_copy")
        return answer.page(request, "interview/goodbye.html", guest=True, code=code, copy=copy)

    async def left() -> Response:
        body = await edge.asked(request, edge.Confirmed)
        if body.confirm != "yes":
            raise errors.Invalid.field("confirm", "must be yes")
        return await edge.carry_out(request, device.session, commands.End(), device.actor, render)

    return await _or_room(request, code, device, "leave", left())


@router.post("/i/{code}/marks")
async def marks(request: Request, code: str) -> Response:
    """Something this page noticed, where the interview asks for that."""
    device = await joined(request, code)
    command = await edge.asked(request, commands.MarkIntegrity)
    return await edge.carry_out(request, device.session, command, device.actor, lambda done: Response(status_code=204))


async def joined(request: Request, code: str) -> Device:
    """The device that asks. Raises NotFound (link), JoinRequired, CsrfFailed."""
    device = await _device(request, code)
    if request.method not in ("GET", "HEAD"):
        await deps.check_csrf(request, deps.guest_csrf(deps.installation(request), device.token))
    edge.present(request, device.session)
    return device


def problem(request: Request, problem: Problem) -> Response | None:
    """A refusal below `/i` as a page for guests, which offers nothing that needs an account."""
    if not answer.accepts_html(request):
        return edge.missing(request, problem)
    parts = request.url.path.split("/")
    back = [("/i", "Type the code again")]
    if problem.status != 404 and len(parts) > 2 and len(parts[2]) == CODE_LENGTH:
        back = [(f"/i/{parts[2]}", "Back to the interview")]
    title, detail, settled = problem.detail, "", False
    if problem.detail == LINK_NOT_VALID:
        detail = "Ask the person who sent it to you for a new one."
    elif problem.code == errors.WrongState.code and parts[-1] == "join":
        title, back, settled = "This interview has ended.", [("/i", "Type another code")], True
        detail = "Nobody can join it any more. It stays open on the devices that had joined."
    reference = "" if problem.status == 404 else problem.request_id  # as in edge.missing
    return answer.page(
        request, "error.html", status=problem.status, headers={"Vary": "Accept", **problem.headers}, guest=True,
        title=title, detail=detail, code=problem.code, reference=reference, what_next=back,
        retry_after=problem.facts.get("retry_after"), settled=settled,
    )  # fmt: skip


PROBLEMS = {"/i": problem, "/interviews": edge.missing, "/challenges": edge.missing}


async def _room(request: Request, code: str, device: Device, refused: Refused | None = None) -> Response:
    seen, messages, writing = await edge.talk(request, device.session, device.actor, limit=MESSAGES_SHOWN)
    session = seen.session
    given_reason = await edge.given_reason(request, session, device.actor) if session.state == "paused" else ""
    return answer.page(
        request, f"interview/candidate_{session.state}.html", status=refused.status if refused else 200,
        headers=refused.headers if refused else {}, guest=True, wide=True, code=code, refused=refused,
        now=edge.status(request, session, seen.now), given_reason=given_reason, view=seen.view,
        unanswered=edge.unanswered(request, session), challenge=views.challenge(session, seen.audience),
        messages=messages, writing=writing, failed=(session.data.get("failed") or {}).get("turn"),
        remaining_ms=clock.remaining_ms(session, seen.now), start_by=views.setting(session, "start_by"),
        csrf_token=deps.guest_csrf(deps.installation(request), device.token),
        copy=views.setting(session, "candidate_copy"), marks=views.setting(session, "integrity_marks"),
    )  # fmt: skip


async def _or_room(request: Request, code: str, device: Device, form: str, answering: Awaitable[Response]) -> Response:
    return await Refused.or_again(request, form, answering, lambda refused: _room(request, code, device, refused))


async def _view(request: Request, device: Device) -> Seen:
    return await edge.found(edge.engine(request).view(device.session, device.actor))


async def _do(request: Request, code: str, device: Device, command: Command) -> Response:
    def render(done: Done) -> Response:
        if edge.leads_back(request):
            return answer.redirect(f"/i/{code}")
        return answer.json(edge.status(request, done.session, done.now))

    return await edge.carry_out(request, device.session, command, device.actor, render)


async def _turn(request: Request, code: str, device: Device, command: Command) -> Response:
    inline = "text/event-stream" in request.headers.get("accept", "")

    def render(done: Done) -> Response:
        asked = next(event for event in done.events if event.type in _ASKED)
        turn = str(asked.data["turn"])
        place = f"/i/{code}/turns/{turn}/stream"
        if edge.leads_back(request) and not inline:
            return answer.redirect(f"/i/{code}")
        sent = figures.messages([asked])
        body = {"message": sent[0] if sent else None, "turn": turn, "stream": place}
        return answer.json(body, 202, {"Location": place})

    response = await edge.carry_out(request, device.session, command, device.actor, render)
    if not inline or response.status_code != 202:
        return response
    place = response.headers["location"]
    turn = place.split("/")[-2]
    return stream.turn_response(
        request, device.session, turn, lambda again: _actor(again, code), headers={"Location": place},
        written=edge.WRITTEN,
    )  # fmt: skip


_ASKED = (terms.EventType.MESSAGE_SENT, terms.EventType.TURN_RETRIED)


async def _actor(request: Request, code: str) -> Actor:
    return (await _device(request, code)).actor


async def _device(request: Request, code: str) -> Device:
    found = await _valid(request, code)
    if isinstance(found, Seat):
        raise JoinRequired()
    return found


async def _valid(request: Request, code: str) -> Seat | Device:
    found = await _find(request, code)
    if found is None:
        raise errors.NotFound(LINK_NOT_VALID)
    return found


async def _find(request: Request, code: str) -> Seat | Device | None:
    """What a code leads to. A device that has joined outlives the expiry of a link that was not revoked."""
    if not (code.isascii() and code.isalnum() and len(code) == CODE_LENGTH):
        return None
    credential = views.link_credential(code)
    known = await deps.settle(edge.engine(request).find(credential))
    if known is not None:
        session = known[0]
        return await _by_cookie(request, session) or Seat(session, credential)
    prefix = deps.cookie_name(request, f"{KIND}-")
    held = [name.removeprefix(prefix) for name in request.cookies if name.startswith(prefix)]
    for session in held[-MAX_SEATS:]:  # a browser sends the newest last
        device = await _by_cookie(request, session)
        if device is not None and await _is_its_code(request, device, code):
            return device
    return None


async def _by_cookie(request: Request, session: str) -> Device | None:
    """The device whose cookie for this session still holds the role."""
    token = deps.cookie(request, f"{KIND}-{session}")
    if token is None:
        return None
    device = Device(session, guest(token), token)
    try:
        await deps.settle(edge.engine(request).view(session, device.actor, kind=KIND))
    except errors.NotFound:
        return None
    return device


async def _is_its_code(request: Request, device: Device, code: str) -> bool:
    session = (await _view(request, device)).session
    link = views.link_of(session)
    key = edge.engine(request).installed["link_key"]
    return not link.revoked and hmac.compare_digest(views.join_code(key, session.id, link.version), code)
