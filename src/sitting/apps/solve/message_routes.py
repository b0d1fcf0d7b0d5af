"""Messages and turns. A message is answered with the stream of its turn, or with where that stream is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core.actor import Actor
from ...core.kind import Command
from ...engine import Done
from ...web import answer, deps, stream
from . import commands, edge, figures, refusals
from .edge import owner

router = APIRouter(tags=["solve"])
Who = Annotated[Actor, Depends(owner)]


@router.post("/sessions/{id}/messages")
async def send(request: Request, id: str, who: Who) -> Response:
    """Say something: the reply as it is written, or 202 with its address for `Accept: application/json`."""
    return await begun(request, id, who, await edge.asked(request, id, who, commands.SendMessage))


@router.get("/sessions/{id}/messages")
async def messages(request: Request, id: str, who: Who) -> Response:
    """What was said, oldest first."""
    limit = deps.integer(request, "limit", 50, low=1, high=100)
    offset = deps.integer(request, "offset", 0, low=0, high=1_000_000)
    _, events = await edge.told(request, id, who, figures.TALK)
    said = figures.messages(events)
    page = said[offset : offset + limit]
    return answer.json({"messages": page, "total": len(said), "limit": limit, "offset": offset})


@router.get("/sessions/{id}/turns/{turn}")
async def turn(request: Request, id: str, turn: str, who: Who) -> Response:
    """A turn with its text, also while it is written."""
    _, events = await edge.told(request, id, who, figures.TALK)
    found = figures.turn(events, turn)
    if found is None:
        raise refusals.TurnNotFound()
    if found["status"] == "running":
        found["text"] = (await deps.settle(edge.engine(request).text(id, turn, who))).text
    return answer.json(found)


@router.get("/sessions/{id}/turns/{turn}/stream")
async def turn_stream(request: Request, id: str, turn: str, who: Who) -> Response:
    """A turn as it is written, from the position that the reader names."""
    await edge.see(request, id, who)
    return await stream.turn(request, id, turn, owner, written=edge.Written(request, id, resumed=True))


@router.post("/sessions/{id}/turns/{turn}/cancel")
async def cancel(request: Request, id: str, turn: str, who: Who) -> Response:
    """Stop a turn; what it has written stays."""
    command = await _of_turn(request, id, turn, who, commands.CancelTurn)
    return await edge.carry_out(
        request, id, command, who, lambda done: answer.json({"turn": turn, "status": "cancelled"})
    )


@router.post("/sessions/{id}/turns/{turn}/retry")
async def retry(request: Request, id: str, turn: str, who: Who) -> Response:
    """Have the same message answered again; a new turn."""
    return await begun(request, id, who, await _of_turn(request, id, turn, who, commands.RetryTurn))


@router.post("/sessions/{id}/turns/{turn}/dismiss-crisis")
async def dismiss_crisis(request: Request, id: str, turn: str, who: Who) -> Response:
    """That was not what it meant: the message is answered like any other; a new turn."""
    return await begun(request, id, who, await _of_turn(request, id, turn, who, commands.DismissCrisis))


async def begun(request: Request, id: str, who: Actor, command: Command) -> Response:
    """Carry out what begins a turn, and answer with its stream from the beginning or with where that is."""

    def render(done: Done) -> Response:
        started = next(event for event in done.events if event.type == "turn_started")
        turn = started.data["turn"]
        place = f"/sessions/{id}/turns/{turn}/stream"
        return answer.json({"turn": turn, "stream_url": place}, 202, {"Location": place})

    response = await edge.carry_out(request, id, command, who, render)
    if wants_json(request):
        return response
    place = response.headers["location"]
    return stream.turn_response(
        request, id, place.split("/")[-2], owner, headers={"Location": place},
        written=edge.Written(request, id, resumed=False),
    )  # fmt: skip


def wants_json(request: Request) -> bool:
    """Whether the caller asks for JSON and not for a stream, which is the answer to everybody else."""
    accept = request.headers.get("accept", "").lower()
    return "application/json" in accept and "text/event-stream" not in accept


async def _of_turn(request: Request, id: str, turn: str, who: Actor, model: type[Command]) -> Command:
    """The command for the turn in the path; a malformed one is unknown. The body says nothing."""
    await edge.asked(request, id, who, edge.Nothing)
    try:
        return await edge.checked(request, id, who, model, {"turn": turn})
    except errors.Invalid:
        raise refusals.TurnNotFound() from None
