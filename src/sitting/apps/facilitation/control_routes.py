"""What a facilitator can change about a session besides its three moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.kind import Command
from ...core.session import Session
from ...web import answer, deps, forms
from . import commands, edge, refusals, team_commands, terms, views, wording
from .edge import Who
from .panel_routes import Opened, act, act_plainly, described, opened, page

router = APIRouter(tags=["facilitation"])
NOTES = ("facilitator_notes", "recalibration_action")


@router.post("/admin/sessions/{session_id}/month")
async def change_month(request: Request, session_id: str, who: Who) -> Response:
    """Another month, while nothing has begun."""

    def wish(sent: deps.Form) -> Command:
        try:
            return strict.check(commands.ChangeMonth, {"month": sent.get("month", "")})
        except errors.Invalid:
            raise refusals.MonthInvalid() from None

    async def again(refused: edge.Refused) -> Response:
        return await page(request, session_id, who, refused)

    async def changed() -> Response:
        try:
            return await act_plainly(request, session_id, who, wish, "month")
        except errors.KeyTaken:
            month = (await deps.form(request)).get("month", "").strip()
            raise refusals.month_taken(month) from None

    return await edge.or_again(request, "month", changed(), again)


@router.post("/admin/sessions/{session_id}/reopen")
async def reopen(request: Request, session_id: str, who: Who) -> Response:
    """Back to capturing; responses stay, the seal and the synthesis go."""

    def wish(sent: deps.Form) -> Command:
        return strict.check(commands.Reopen, forms.typed(sent))

    return await act(request, session_id, who, "reopen", wish, "reason")


@router.post("/admin/sessions/{session_id}/timer")
async def set_timer(request: Request, session_id: str, who: Who) -> Response:
    """A deadline everybody sees; 0 takes it away."""

    def wish(sent: deps.Form) -> Command:
        seconds = edge.whole(edge.required(sent, "seconds"), "seconds")
        at_end = edge.boolean(sent, "close_at_end") if "close_at_end" in sent else False
        return strict.check(commands.SetTimer, {"seconds": seconds, "close_at_end": at_end})

    return await act(request, session_id, who, "timer", wish, "seconds", "close_at_end")


@router.post("/admin/sessions/{session_id}/notes")
async def save_notes(request: Request, session_id: str, who: Who) -> Response:
    """Notes for facilitators, and the recalibration action for everybody."""

    def wish(sent: deps.Form) -> Command:
        return strict.check(commands.SaveNotes, forms.typed(sent))

    return await act(request, session_id, who, "notes", wish, *NOTES)


@router.post("/admin/sessions/{session_id}/anonymity")
async def raise_anonymity(request: Request, session_id: str, who: Who) -> Response:
    """Fewer see names; never more."""

    def wish(sent: deps.Form) -> Command:
        name = "anonymity" if "anonymity" in sent and "level" not in sent else "level"
        return strict.check(commands.RaiseAnonymity, {"level": edge.required(sent, name)})

    return await act(request, session_id, who, "anonymity", wish, "level", "anonymity")


@router.post("/admin/sessions/{session_id}/delete")
async def delete(request: Request, session_id: str, who: Who) -> Response:
    """Erase the session. `confirm` is its month."""

    async def deleted() -> Response:
        session = (await edge.see(request, session_id, who)).session
        sent = await edge.form(request, "confirm")
        if edge.required(sent, "confirm").strip() != session.data["month"]:
            raise errors.Invalid.field("confirm", f"Type the month: {session.data['month']}")
        await edge.found(edge.engine(request).erase(session_id, who))
        return answer.redirect(f"/admin/sessions/team/{session.subject}")

    async def again(refused: edge.Refused) -> Response:
        return await page(request, session_id, who, refused)

    return await edge.or_again(request, "delete", deleted(), again)


# Members, their responses, devices and links


@router.post("/admin/sessions/{session_id}/members/add")
async def add_member(request: Request, session_id: str, who: Who) -> Response:
    """Somebody new: first in the team, then, while capturing, in the session. Repeating it finishes what is missing."""

    async def added() -> Response:
        found = await opened(request, session_id, who)
        sent = await edge.form(request, "name")
        command = strict.check(team_commands.AddMember, {"name": edge.required(sent, "name")})
        to = answer.redirect(f"/admin/sessions/{session_id}")
        if found.session.state == terms.DRAFT:
            return await edge.carry_out(
                request, found.team.id, command, who, lambda _: to, kind=edge.TEAM, missing=refusals.TEAM_NOT_FOUND
            )
        member = await _in_team(request, found, command, who)
        return await edge.carry_out(request, session_id, commands.AddToRoster(member_id=member), who, lambda _: to)

    async def again(refused: edge.Refused) -> Response:
        return await page(request, session_id, who, refused)

    return await edge.or_again(request, "add-member", added(), again)


@router.post("/admin/sessions/{session_id}/members/{mid}/remove")
async def remove_member(request: Request, session_id: str, mid: str, who: Who) -> Response:
    """Out of this session, while there is no response."""
    return await act(
        request, session_id, who, "member", lambda sent: commands.RemoveFromRoster(member_id=edge.number(mid))
    )


@router.post("/admin/sessions/{session_id}/member/{mid}/clear")
async def clear(request: Request, session_id: str, mid: str, who: Who) -> Response:
    """Take a response out; its author may write again."""

    def wish(sent: deps.Form) -> Command:
        values: Mapping[str, Any] = {"member_id": edge.number(mid, refusals.RESPONSE_NOT_FOUND), **forms.typed(sent)}
        return strict.check(commands.Clear, dict(values))

    return await act(request, session_id, who, "member", wish, "reason")


@router.post("/admin/sessions/{session_id}/member/{mid}/release")
async def release(request: Request, session_id: str, mid: str, who: Who) -> Response:
    """Take a name from a device, so that another may have it."""

    def wish(sent: deps.Form) -> Command:
        return commands.Release(member_id=edge.number(mid, refusals.CLAIM_NOT_FOUND))

    return await act(request, session_id, who, "member", wish)


@router.get("/admin/sessions/{session_id}/links")
async def links(request: Request, session_id: str, who: Who) -> Response:
    """The personal links in force of those who have not joined yet."""
    found = await opened(request, session_id, who)
    base = deps.base_url(request)
    items = [
        {"member_id": each["member_id"], "name": each["name"], "url": f"{base}/join/p/{each['token']}"}
        for each in views.links(found.session, edge.engine(request).installed["link_key"], found.team)
    ]
    return edge.respond(
        request, {"session_id": session_id, "links": items}, "admin/sessions/links.html", links=items,
        team=described(found.team), session=found.panel(),
        may_issue=found.session.state in (terms.DRAFT, terms.CAPTURING),
    )  # fmt: skip


@router.post("/admin/sessions/{session_id}/links")
async def issue_links(request: Request, session_id: str, who: Who) -> Response:
    """New links, which end the older ones of the same members."""

    def wish(sent: deps.Form) -> Command:
        members = [edge.whole(each, "member_id") for each in sent.all("member_id")]
        return strict.check(commands.IssueLinks, {"member_ids": members or None})

    return await act(request, session_id, who, "links", wish, "member_id", place="/admin/sessions/{id}/links")


# The synthesis


@router.post("/admin/sessions/{session_id}/synthesize")
async def synthesize(request: Request, session_id: str, who: Who) -> Response:
    """Ask for a synthesis."""
    return await act(request, session_id, who, "synthesis", lambda sent: commands.Synthesize())


@router.post("/admin/sessions/{session_id}/synthesize/retry")
async def retry_synthesis(request: Request, session_id: str, who: Who) -> Response:
    """Ask again; the old result stays until the new one is there."""
    return await act(request, session_id, who, "synthesis", lambda sent: commands.RetrySynthesis())


@router.post("/admin/sessions/{session_id}/synthesize/cancel")
async def cancel_synthesis(request: Request, session_id: str, who: Who) -> Response:
    """Stop the one that runs."""

    def wish(sent: deps.Form) -> Command:
        return strict.check(commands.CancelSynthesis, {"job": edge.required(sent, "job")})

    return await act(request, session_id, who, "synthesis", wish, "job")


async def _in_team(request: Request, found: Opened, command: team_commands.AddMember, who: Actor) -> int:
    """The member of this name in the team, made when there is none. Raises NameTaken, WrongState."""
    edge.engine(request).kind(edge.SESSION).lifecycle.move(found.session.state, commands.AddToRoster.verb)
    member = _named(found.team, command.name)
    if member is None:
        done = await edge.found(edge.engine(request).do(found.team.id, command, who, kind=edge.TEAM))
        member = _named(done.session, command.name)
        assert member is not None, "it has just been added"
    elif str(member) in found.session.collection("roster") and "idempotency-key" not in request.headers:
        raise refusals.NameTaken()
    return member


def _named(team: Session, name: str) -> int | None:
    """The active member that people would call by this name."""
    for member in described(team)["members"]:
        if member["active"] and wording.same(member["name"]) == wording.same(name):
            return int(member["id"])
    return None
