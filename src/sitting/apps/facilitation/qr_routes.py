"""The code of a team as a picture that a phone's camera opens."""

from __future__ import annotations

import io
import ipaddress
from urllib.parse import urlsplit

import segno
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...web import answer, deps
from . import edge
from .edge import Who

router = APIRouter(tags=["facilitation"])
SIDE, LARGE_SIDE = 500, 1200  # pixels at least


@router.get("/admin/qr/team/{team_id}")
async def shown(request: Request, team_id: str, who: Who) -> Response:
    """The picture on the big screen."""
    _, picture = await _picture(request, team_id, who, SIDE)
    return Response(picture, 200, {"Cache-Control": "private, max-age=3600"}, "image/png")


@router.get("/admin/qr/team/{team_id}/download")
async def download(request: Request, team_id: str, who: Who) -> Response:
    """The same, large, as a file."""
    code, picture = await _picture(request, team_id, who, LARGE_SIDE)
    return answer.attachment(f"qr-{code}.png", picture, "image/png")


def join_url(request: Request, code: str) -> str:
    """The address the picture holds."""
    return f"{deps.base_url(request)}/join/{code}"


def is_unreachable(url: str) -> bool:
    """Whether only this computer itself can open the address."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


async def _picture(request: Request, team_id: str, who: Who, side: int) -> tuple[str, bytes]:
    code = str((await edge.see_team(request, team_id, who)).session.data["code"])
    made = segno.make(join_url(request, code), error="m", micro=False)
    modules = made.symbol_size()[0]
    out = io.BytesIO()
    made.save(out, kind="png", scale=-(-side // modules))
    return code, out.getvalue()
