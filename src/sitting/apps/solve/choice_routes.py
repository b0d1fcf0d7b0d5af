"""What the person decides: an option, the first step, a correction, a contest."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core.actor import Actor
from ...core.kind import Command
from . import commands, edge, refusals
from .edge import owner

router = APIRouter(tags=["solve"])
Who = Annotated[Actor, Depends(owner)]


class Belief(BaseModel):
    """What a belief should say; null clears it."""

    model_config = ConfigDict(extra="forbid")

    text: str | None


@router.post("/sessions/{id}/options/{option_id}/choose")
async def choose(request: Request, id: str, option_id: str, who: Who) -> Response:
    """Choose one of the cards."""
    await edge.asked(request, id, who, edge.Nothing)
    try:
        command = await edge.checked(request, id, who, commands.ChooseOption, {"option_id": option_id})
    except errors.Invalid:
        raise refusals.OptionNotFound() from None
    return await edge.carry_out(request, id, command, who, edge.whole)


@router.post("/sessions/{id}/options")
async def add(request: Request, id: str, who: Who) -> Response:
    """Add an own card, and choose it."""
    return await _plain(request, id, who, commands.AddOption)


@router.post("/sessions/{id}/commit")
async def commit(request: Request, id: str, who: Who) -> Response:
    """Commit to a first step; the session is completed."""
    return await _plain(request, id, who, commands.Commit)


@router.post("/sessions/{id}/contest")
async def contest(request: Request, id: str, who: Who) -> Response:
    """Take the last move of the step back."""
    return await _plain(request, id, who, commands.ContestStep)


@router.patch("/sessions/{id}/beliefs/{slot}")
async def correct(request: Request, id: str, slot: str, who: Who) -> Response:
    """Say what is so, where it was believed wrongly."""
    if slot not in commands.SLOTS:
        await edge.see(request, id, who)
        raise refusals.SlotNotFound()
    body = await edge.asked(request, id, who, Belief)
    command = await edge.checked(request, id, who, commands.CorrectBelief, {"slot": slot, "text": body.text})
    return await edge.carry_out(request, id, command, who, edge.whole)


async def _plain(request: Request, id: str, who: Actor, model: type[Command]) -> Response:
    return await edge.carry_out(request, id, await edge.asked(request, id, who, model), who, edge.whole)
