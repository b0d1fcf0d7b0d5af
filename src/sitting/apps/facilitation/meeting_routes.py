"""The big screen of a meeting: opened by a facilitator, but it shows and hears only what a participant may.

Whoever asks must be a facilitator of the team; what is read then is read as the projector, a viewer with nothing of its
own, so that neither the page nor its stream can carry what the room may not see yet.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...core.actor import Actor
from ...web import answer, deps, stream
from . import device_routes, edge, people, terms, views
from .edge import Who
from .qr_routes import is_unreachable, join_url

router = APIRouter(tags=["facilitation"])
LEVELS = ((1, "Themes and gap"), (2, "Statements"), (3, "Responses"))


@router.get("/admin/sessions/{session_id}/meeting")
async def meeting(request: Request, session_id: str, who: Who) -> Response:
    """One page in every state."""
    level = deps.integer(request, "level", 1, low=1, high=3)
    seen = await edge.anew(request, await edge.see(request, session_id, who), who)
    session = seen.session
    team = (await edge.see_team(request, session.subject or "", people.reader(session.space))).session
    view = views.room(session, terms.PROJECTOR, seen.now, team)
    view["responses"] = [device_routes.with_card(each) for each in view["responses"] or ()]
    place, url = f"/admin/sessions/{session.id}/meeting", join_url(request, team.data["code"])
    return answer.page(
        request, "admin/sessions/meeting.html", session=view, team_id=team.id, code=team.data["code"], join_url=url,
        unreachable=is_unreachable(url),
        join_shown=url.partition("://")[2].rpartition("/")[0], by_link=views.lobby(session)["join_by"] == "link",
        progress=views.progress(session), grouping=views.grouping(session, terms.PROJECTOR),
        seal_line=views.seal_line(session), level=level, levels=LEVELS, place=place,
        address=f"{place}?level={level}",
    )  # fmt: skip


@router.get("/admin/sessions/{session_id}/capture")
@router.get("/admin/sessions/{session_id}/present")
async def older(request: Request, session_id: str, who: Who) -> Response:
    """Two pages of the source design that are one here."""
    seen = await edge.see(request, session_id, who)
    return answer.redirect(f"/admin/sessions/{seen.session.id}/meeting")


@router.get("/admin/sessions/{session_id}/meeting/events", include_in_schema=False)
@router.head("/admin/sessions/{session_id}/meeting/events", include_in_schema=False)
async def events(request: Request, session_id: str) -> Response:
    """The live protocol, as the projector sees it; a facilitator is asked for again whenever access changes."""

    async def who(again: Request) -> Actor:
        found = await edge.facilitator(again)
        return people.projector((await edge.see(again, session_id, found)).session.space)

    return await stream.events(request, session_id, who)
