"""The panel of one session: its page, its data, and the moves that stand on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...core.actor import Actor
from ...core.kind import Command
from ...core.session import Session
from ...engine import Seen
from ...web import answer, deps
from . import commands, device_routes, edge, team_views, terms, views
from .edge import Who
from .qr_routes import is_unreachable, join_url

PROMPTS = ("strategy_statement", "image_prompt", "bullet_prompt")
router = APIRouter(tags=["facilitation"])
TIMES = (
    ("300", "5 minutes"), ("600", "10 minutes"), ("900", "15 minutes"), ("1200", "20 minutes"), ("1800", "30 minutes"),
    ("3600", "1 hour"), ("86400", "1 day"), ("259200", "3 days"), ("604800", "1 week"), ("0", "No timer"),
)  # fmt: skip


@dataclass(frozen=True)
class Opened:
    """A session with its team, as its facilitator has them."""

    seen: Seen
    team: Session

    @property
    def session(self) -> Session:
        return self.seen.session

    def panel(self) -> dict[str, Any]:
        return views.panel(self.session, self.team, self.seen.now)


async def opened(request: Request, id: str, who: Actor) -> Opened:
    """The session and its team. Raises NotFound."""
    seen = await edge.anew(request, await edge.see(request, id, who), who)
    team = await edge.see_team(request, seen.session.subject or "", who)
    return Opened(seen, team.session)


@router.get("/admin/sessions/{session_id}")
async def show(request: Request, session_id: str, who: Who) -> Response:
    """One session: its page follows live; its data where JSON is asked for by name."""
    if edge.names_json(request):
        found = await opened(request, session_id, who)
        return answer.json(found.panel(), headers={"Vary": "Accept"})
    return await page(request, session_id, who)


@router.get("/admin/sessions/{session_id}/status")
async def status(request: Request, session_id: str, who: Who) -> Response:
    """Who has submitted, and nothing else."""
    session = (await edge.see(request, session_id, who)).session
    team = (await edge.see_team(request, session.subject or "", who)).session
    return answer.json(views.status(session, team))


@router.get("/admin/sessions/{session_id}/synthesis-status")
async def synthesis_status(request: Request, session_id: str, who: Who) -> Response:
    """How the synthesis stands."""
    seen = await edge.see(request, session_id, who)
    return answer.json(views.synthesis_status(seen.session))


@router.post("/admin/sessions/{session_id}/start", operation_id="start_capturing")
async def start(request: Request, session_id: str, who: Who) -> Response:
    """Open the session for responses."""
    return await act(request, session_id, who, "start", lambda sent: commands.Start())


@router.post("/admin/sessions/{session_id}/close", operation_id="close_capture")
async def close(request: Request, session_id: str, who: Who) -> Response:
    """No more responses; what there is, is sealed."""
    return await act(request, session_id, who, "close", lambda sent: commands.Close())


@router.post("/admin/sessions/{session_id}/reveal", operation_id="reveal_synthesis")
async def reveal(request: Request, session_id: str, who: Who) -> Response:
    """Show everything to everybody at once."""
    return await act(request, session_id, who, "reveal", lambda sent: commands.Reveal())


@router.post("/admin/sessions/{session_id}/recalibration")
async def recalibration(request: Request, session_id: str, who: Who) -> Response:
    """Say whether the recalibration action has been done."""

    def wish(sent: deps.Form) -> Command:
        return commands.MarkRecalibration(completed=edge.boolean(sent, "completed"))

    return await act(request, session_id, who, "recalibration", wish, "completed")


async def act(
    request: Request,
    id: str,
    who: Actor,
    name: str,
    wish: Callable[[deps.Form], Command],
    *fields: str,
    place: str = "/admin/sessions/{id}",
) -> Response:
    """Carry out what a form of the panel wishes. Who may not see the session learns nothing from a wrong form."""

    async def again(refused: edge.Refused) -> Response:
        return await page(request, id, who, refused)

    return await edge.or_again(request, name, act_plainly(request, id, who, wish, *fields, place=place), again)


async def act_plainly(
    request: Request,
    id: str,
    who: Actor,
    wish: Callable[[deps.Form], Command],
    *fields: str,
    place: str = "/admin/sessions/{id}",
) -> Response:
    """The same without the page: a refusal is raised."""
    await edge.see(request, id, who)
    command = wish(await edge.form(request, *fields))
    return await edge.carry_out(request, id, command, who, lambda _: answer.redirect(place.format(id=id)))


async def page(request: Request, id: str, who: Actor, refused: edge.Refused | None = None) -> Response:
    """The panel, also again with what was refused."""
    found = await opened(request, id, who)
    session, team, audience = found.session, found.team, found.seen.audience
    shown = found.panel()
    shown["responses"] = [device_routes.with_card(each) for each in shown["responses"] or ()]
    actions, url = team_views.actions(team), join_url(request, team.data["code"])
    return answer.page(
        request, "admin/sessions/view.html", status=refused.status if refused else 200,
        headers=refused.headers if refused else {"Vary": "Accept"}, refused=refused,
        session=shown, team=described(team), missing=views.missing(session, team),
        progress=views.progress(session), grouping=views.grouping(session, audience),
        seal_line=views.seal_line(session), join_url=url, unreachable=is_unreachable(url),
        earlier=[each for each in actions if each["status"] == "open" and each["month"] < shown["month"]],
        own=[each for each in actions if each["session_id"] == session.id], times=TIMES,
        claims={member: claim["at"] for member, claim in session.collection("claims").items()},
        recalibration=session.data["recalibration"], prompts=_prompts(session, team), me=who.id,
        job=session.data["synthesis"]["job"], step=session.data["synthesis"]["progress"],
        higher=terms.LEVELS[terms.LEVELS.index(shown["anonymity"]) + 1 :],
    )  # fmt: skip


def described(team: Session) -> dict[str, Any]:
    """A team as the pages need it."""
    made = team_views.team(team)
    active = [member for member in made["members"] if member["active"]]
    return {**made, "members_active": len(active), "owners": [(str(each["id"]), each["name"]) for each in active]}


def _prompts(session: Session, team: Session) -> Mapping[str, str]:
    """What is asked: as it was at the start, before that as the team has it now."""
    kept: Mapping[str, str] | None = session.collection("texts").get("prompts")
    return kept or {name: team_views.text(team, name) for name in PROMPTS}
