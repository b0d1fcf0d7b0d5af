"""The routes of a device that holds a name in a session: respond, wait, see the result, leave.

A claim opens one session and one name in it. Another member's path, another team's code, a released claim and no cookie
look the same: there is no such session. Before the reveal nothing here carries a byte of what others wrote.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core.actor import Actor, guest
from ...core.session import Session
from ...engine import Seen
from ...web import answer, deps, stream
from . import commands, deck, edge, people, refusals, views

router = APIRouter(tags=["facilitation, participants"])
MAX_DEVICES_CLAIMS = 20  # ways back one browser is offered


class NotTaken(errors.Refusal):
    """The response cannot be taken as it is."""

    code = "VALIDATION_ERROR"


@dataclass(frozen=True)
class Device:
    """A device that holds a name: its session as it may see it, the team, and the token of its cookie."""

    seen: Seen
    team: Session
    token: str

    @property
    def actor(self) -> Actor:
        return guest(self.token)

    @property
    def id(self) -> str:
        return self.seen.session.id

    @property
    def me(self) -> dict[str, Any]:
        """The member whose name it holds."""
        found = views.me(self.seen.session, self.seen.audience)
        assert found is not None, "device_of has asked"
        return found

    @property
    def code(self) -> str:
        return str(self.team.data["code"])

    @property
    def base(self) -> str:
        return f"/join/{self.code}/session/{self.id}"

    @property
    def month(self) -> str:
        return str(self.seen.session.data["month"])

    @property
    def may_leave(self) -> bool:
        """Whether the name can be given back: nothing was sent yet."""
        session = self.seen.session
        return session.state == "capturing" and views.own_response(session, self.seen.audience) is None

    def csrf(self, request: Request) -> str:
        """The token of the forms on this device's pages."""
        return deps.guest_csrf(deps.installation(request), self.token)

    def room(self) -> dict[str, Any]:
        """What this device may see of the session."""
        return views.room(self.seen.session, self.seen.audience, self.seen.now, self.team)

    def place(self, page: str) -> str:
        """The address of one of the member's own pages."""
        return f"{self.base}/member/{self.me['id']}/{page}"

    def way_back(self) -> dict[str, Any]:
        """The link a page offers to who was here before."""
        return {"month": self.month, "name": self.me["name"], "url": self.place("waiting")}


@router.get("/join/{code}/session/{id}/member/{mid}/respond")
async def form(request: Request, code: str, id: str, mid: str) -> Response:
    """Card and points, filled with what was sent before."""
    return _respond(request, await _member(request, code, id, mid))


@router.post("/join/{code}/session/{id}/member/{mid}/respond")
async def submit(request: Request, code: str, id: str, mid: str) -> Response:
    """Send the response, or send it again. After the close what was typed is given back."""
    device = await _member(request, code, id, mid)
    await _own_page(request, device)
    sent = await edge.form(request, "card", "image_id", "bullet", "bullets")

    async def carried() -> Response:
        try:
            command = _wish(sent)
            return await edge.carry_out(
                request, id, command, device.actor, lambda _: answer.redirect(device.place("waiting"))
            )
        except refusals.Late:
            return _late(request, device, sent)
        except refusals.BadResponse as refusal:
            if device.seen.session.state != "capturing":
                return _late(request, device, sent)
            raise NotTaken(refusal.message) from None

    async def again(refused: edge.Refused) -> Response:
        return _respond(request, device, refused=refused, sent=sent)

    return await edge.or_again(request, "respond", carried(), again)


@router.get("/join/{code}/session/{id}/member/{mid}/waiting")
async def waiting(request: Request, code: str, id: str, mid: str) -> Response:
    """Who is done, what was sent, and how it goes on."""
    device = await _member(request, code, id, mid)
    return _page(request, device, "join/waiting.html", canonical=device.place("waiting"))


@router.get("/join/{code}/session/{id}/synthesis")
async def synthesis(request: Request, code: str, id: str) -> Response:
    """The result, for everybody who took part."""
    device = await holding(request, code, id)
    if device.seen.session.state != "revealed":
        return answer.redirect(device.place("waiting"))
    device = replace(device, seen=await edge.anew(request, device.seen, device.actor))
    return _page(
        request, device, "join/synthesis.html", canonical=f"{device.base}/synthesis",
        grouping=views.grouping(device.seen.session, device.seen.audience),
        seal_line=views.seal_line(device.seen.session),
    )  # fmt: skip


@router.get("/join/{code}/session/{id}/status")
async def status(request: Request, code: str, id: str) -> Response:
    """Where it stands, for pages that look again."""
    seen = (await holding(request, code, id)).seen
    return answer.json(views.join_status(seen.session, seen.audience, seen.now))


@router.get("/join/{code}/session/{id}/events", include_in_schema=False)
@router.head("/join/{code}/session/{id}/events", include_in_schema=False)
async def events(request: Request, code: str, id: str) -> Response:
    """The live protocol, as this claim sees it, whoever else is signed in on this device."""

    async def who(again: Request) -> Actor:
        return (await holding(again, code, id)).actor

    return await stream.events(request, id, who)


@router.post("/join/{code}/session/{id}/leave")
async def leave(request: Request, code: str, id: str) -> Response:
    """Give the name back, as long as nothing was sent."""
    device = await holding(request, code, id)
    await _own_page(request, device)
    await edge.form(request)
    response = await edge.carry_out(
        request, id, commands.Leave(), device.actor, lambda _: answer.redirect(f"{device.base}/name")
    )
    deps.drop_cookie(response, request, cookie(id))
    return response


@router.post("/join/{code}/session/{id}/authorship")
async def authorship(request: Request, code: str, id: str) -> Response:
    """Put the own name on the own response."""
    device = await holding(request, code, id)
    await _own_page(request, device)
    sent = await edge.form(request, "response")
    label = edge.required(sent, "response")
    if len(label) > 20:
        raise errors.NotFound(refusals.RESPONSE_NOT_FOUND)
    return await edge.carry_out(
        request, id, commands.ClaimAuthorship(response=label), device.actor,
        lambda _: answer.redirect(f"{device.base}/synthesis"),
    )  # fmt: skip


# Who


def cookie(id: str) -> str:
    """The name of the cookie that holds a claim in a session."""
    return f"join-{id}"


async def device_of(request: Request, id: str) -> Device | None:
    """The device whose cookie for this session still holds a name there."""
    token = deps.cookie(request, cookie(id))
    if token is None:
        return None
    try:
        seen = await edge.see(request, id, guest(token))
        team = (await edge.see_team(request, seen.session.subject or "", people.reader(seen.session.space))).session
    except errors.NotFound:
        return None
    return Device(seen, team, token) if views.me(seen.session, seen.audience) is not None else None


async def devices(request: Request, team: str = "") -> list[Device]:
    """Every name this browser holds (of one team), newest month first."""
    prefix = deps.cookie_name(request, cookie(""))
    ids = [name.removeprefix(prefix) for name in request.cookies if name.startswith(prefix)]
    found = [device for id in ids[:MAX_DEVICES_CLAIMS] if (device := await device_of(request, id)) is not None]
    return sorted(
        (device for device in found if team in ("", device.team.id)),
        key=lambda device: device.month, reverse=True,
    )  # fmt: skip


async def holding(request: Request, code: str, id: str) -> Device:
    """The device that asks. Raises NotFound."""
    device = await device_of(request, id)
    if device is None or device.code != code.upper():
        raise errors.NotFound(refusals.SESSION_NOT_FOUND)
    return device


async def _member(request: Request, code: str, id: str, mid: str) -> Device:
    device = await holding(request, code, id)
    if str(device.me["id"]) != mid:
        raise errors.NotFound(refusals.SESSION_NOT_FOUND)
    return device


async def _own_page(request: Request, device: Device) -> None:
    """Refuse a change that our own page has not asked for. Raises CsrfFailed."""
    await deps.check_csrf(request, device.csrf(request))


# What is sent


def _wish(sent: deps.Form) -> commands.Submit:
    """The response in a form. Raises the refusals of 5.5."""
    cards = {value.strip() for name in ("card", "image_id") for value in sent.all(name)} - {""}
    if len(cards) > 1 or any(_card(card) is None for card in cards):
        raise refusals.BadResponse(refusals.CARD_INVALID)
    return commands.Submit(card=int(cards.pop()) if cards else None, bullets=_bullets(sent))


def _bullets(sent: deps.Form) -> list[str]:
    typed = sent.all("bullet")
    if "bullets" not in sent:
        return typed
    if typed:
        raise refusals.BadResponse("Invalid bullets format")
    return commands.parse_bullets(sent["bullets"])


# What is shown


def with_card(response: Mapping[str, Any]) -> dict[str, Any]:
    """A response with its card as people see it."""
    return {**response, "card_shown": deck.card(response["card"]) if response["card"] else None}


def _card(text: str) -> deck.Card | None:
    """The card a form names, or None."""
    return deck.card(int(text)) if text.isascii() and text.isdigit() and len(text) < 4 else None


def _page(request: Request, device: Device, name: str, *, status: int = 200, **more: Any) -> Response:
    view = device.room()
    view["responses"] = [with_card(each) for each in view["responses"] or ()]
    mine = with_card(view["my_response"]) if view["my_response"] else None
    return answer.page(
        request, name, status=status, guest=True, session=view, me=device.me, mine=mine,
        leaf=mine["leaf"] if mine else "", base=device.base, progress=views.progress(device.seen.session),
        csrf_token=device.csrf(request), **more,
    )  # fmt: skip


def _respond(
    request: Request, device: Device, *, refused: edge.Refused | None = None, sent: deps.Form | None = None
) -> Response:
    mine = views.own_response(device.seen.session, device.seen.audience)
    values: dict[str, Any] = {"card": "", "bullets": []}
    if sent is not None:
        values = {"card": sent.get("card") or sent.get("image_id", ""), "bullets": _typed(sent)}
    elif mine:
        values = {"card": str(mine["card"] or ""), "bullets": mine["bullets"]}
    response = _page(
        request, device, "join/respond.html", status=refused.status if refused else 200,
        error=refused.message if refused else None, values=values, canonical=device.place("respond"),
        deck=deck.order(device.id),
    )  # fmt: skip
    if refused:
        response.headers.update(refused.headers)
    return response


def _late(request: Request, device: Device, sent: deps.Form) -> Response:
    """Too late: what was typed is stored nowhere, so the page gives it back."""
    sentence = refusals.Late().message
    headers = {edge.CODE: errors.WrongState.code, "Vary": "Accept"}
    if not answer.accepts_html(request):
        return answer.json({"detail": sentence}, 409, headers)
    response = _page(
        request, device, "join/late.html", status=409, canonical=device.place("waiting"), sentence=sentence,
        typed="\n".join(text for text in _typed(sent) if text.strip()),
        typed_card=_card((sent.get("card") or sent.get("image_id") or "").strip()),
    )  # fmt: skip
    response.headers.update(headers)
    return response


def _typed(sent: deps.Form) -> list[str]:
    """The points as they were typed, whatever is wrong with them. A browser sends a line break as two characters."""
    try:
        typed = _bullets(sent)
    except errors.Refusal:
        typed = [*sent.all("bullet"), sent["bullets"]]
    return [text.replace("\r\n", "\n") for text in typed]
