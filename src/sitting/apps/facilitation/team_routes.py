"""Teams, their members and facilitators, their actions, and how the months compare."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.kind import Command
from ...core.session import Session
from ...engine import Done, Where
from ...web import answer, deps, forms
from . import edge, refusals, team_commands, team_views, terms, views
from .edge import Who
from .panel_routes import described
from .qr_routes import join_url

router = APIRouter(tags=["facilitation"])
TEXTS = ("company_name", "team_name", "code", "strategy_statement", "image_prompt", "bullet_prompt")
SWITCHES = (
    ("auto_start", "Start capturing as soon as a session is created"),
    ("auto_synthesize", "Ask the model for a synthesis when capture closes"),
    ("auto_reveal", "Reveal as soon as the synthesis is complete"),
    ("card_required", "Everybody must pick a card"),
)
CHOICES = ("join_by", "anonymity")
FIELDS = (*TEXTS, *(name for name, _ in SWITCHES), *CHOICES)
ACTION_FIELDS = ("text", "owner_member_id", "due_on", "session_id")
DEFAULTS: Mapping[str, Any] = {
    "company_name": "", "team_name": "", "code": "", "strategy_statement": "", "image_prompt": terms.IMAGE_PROMPT,
    "bullet_prompt": terms.BULLET_PROMPT, **team_commands.TeamSettings().model_dump(),
}  # fmt: skip
MAX_MONTHS = 1200


@router.get("/admin/teams")
async def index(request: Request, who: Who) -> Response:
    """The actor's teams."""
    limit = deps.integer(request, "limit", 50, low=1, high=100)
    offset = deps.integer(request, "offset", 0, low=0, high=1_000_000)
    q = deps.text(request, "search")
    listing = await deps.settle(edge.engine(request).list(edge.TEAM, who, Where(q=q, limit=limit, offset=offset)))
    items = [team_views.team_item(seen.session) for seen in listing.items]
    body = {"items": items, "total": listing.total, "limit": limit, "offset": offset}
    return edge.respond(request, body, "admin/teams/list.html", q=q, **body)


@router.get("/admin/teams/create")
async def create_form(request: Request, who: Who) -> Response:
    """The form for a team."""
    return await _form(request, None, who)


@router.post("/admin/teams/create")
async def create(request: Request, who: Who) -> Response:
    """Make a team; whoever makes it is its facilitator."""

    async def created() -> Response:
        sent = await edge.form(request, *FIELDS)
        values = _wanted(sent)
        if not values.get("code", "").strip():
            values.pop("code", None)
        command = _checked(team_commands.CreateTeam, {"company_name": "", "team_name": "", **values})

        def render(done: Done) -> Response:
            return answer.redirect(f"/admin/teams/{done.session.id}")

        once = await deps.once(request, who, render)
        try:
            return deps.answered(
                await deps.settle(edge.engine(request).open(edge.TEAM, command, who, once=once)), render
            )
        except errors.KeyTaken:
            raise refusals.code_taken(values.get("code", "").strip().upper()) from None

    async def again(refused: edge.Refused) -> Response:
        return await _form(request, None, who, refused)

    return await edge.or_again(request, "team", created(), again)


@router.get("/admin/teams/{team_id}")
async def show(request: Request, team_id: str, who: Who) -> Response:
    """A team with everything that can be changed."""
    team = (await edge.see_team(request, team_id, who)).session
    if edge.names_json(request):
        return answer.json(team_views.team(team), headers={"Vary": "Accept"})
    return await _form(request, team, who)


@router.post("/admin/teams/{team_id}")
async def change(request: Request, team_id: str, who: Who) -> Response:
    """Change what the form holds; what it leaves out stays."""

    def wish(sent: deps.Form) -> Command:
        return _checked(team_commands.EditTeam, _wanted(sent))

    return await _act(request, team_id, who, "team", wish, FIELDS)


@router.post("/admin/teams/{team_id}/delete")
async def delete(request: Request, team_id: str, who: Who) -> Response:
    """Erase the team and its sessions. `confirm` is its name."""

    async def deleted() -> Response:
        team = (await edge.see_team(request, team_id, who)).session
        sent = await edge.form(request, "confirm")
        if edge.required(sent, "confirm").strip() != team_views.text(team, "team_name"):
            raise errors.Invalid.field("confirm", "Type the team's name as it stands here.")
        await edge.found(edge.engine(request).erase(team_id, who), refusals.TEAM_NOT_FOUND)
        return answer.redirect("/admin/teams")

    return await _or_team(request, team_id, who, "delete", deleted())


# Members


@router.get("/admin/teams/{team_id}/members")
async def members(request: Request, team_id: str, who: Who) -> Response:
    """Who belongs to the team, and who did."""
    team = (await edge.see_team(request, team_id, who)).session
    if edge.names_json(request):
        return answer.json({"members": team_views.team(team)["members"]}, headers={"Vary": "Accept"})
    return _members(request, team)


@router.post("/admin/teams/{team_id}/members")
async def add_member(request: Request, team_id: str, who: Who) -> Response:
    """A name is enough."""

    def wish(sent: deps.Form) -> Command:
        return _checked(team_commands.AddMember, {"name": edge.required(sent, "name")})

    return await _on_member(request, team_id, who, "add", wish, "name")


@router.post("/admin/teams/{team_id}/members/{mid}/rename")
async def rename_member(request: Request, team_id: str, mid: str, who: Who) -> Response:
    """Another name for the same person."""

    def wish(sent: deps.Form) -> Command:
        values = {"member_id": edge.number(mid), "name": edge.required(sent, "name")}
        return _checked(team_commands.RenameMember, values)

    return await _on_member(request, team_id, who, "rename", wish, "name")


@router.post("/admin/teams/{team_id}/members/{mid}/delete")
async def remove_member(request: Request, team_id: str, mid: str, who: Who) -> Response:
    """Later sessions start without; earlier ones keep the name."""
    return await _on_member(
        request, team_id, who, "remove", lambda sent: team_commands.RemoveMember(member_id=edge.number(mid))
    )


@router.post("/admin/teams/{team_id}/members/{mid}/erase")
async def erase_member(request: Request, team_id: str, mid: str, who: Who) -> Response:
    """Destroy the name and every response. `confirm` is the name."""

    def wish(sent: deps.Form) -> Command:
        values = {"member_id": edge.number(mid), "confirm": edge.required(sent, "confirm")}
        return _checked(team_commands.EraseMember, values)

    return await _on_member(request, team_id, who, "erase", wish, "confirm")


# Facilitators and actions


@router.post("/admin/teams/{team_id}/facilitators")
async def add_facilitator(request: Request, team_id: str, who: Who) -> Response:
    """Let another account of the space facilitate."""

    def wish(sent: deps.Form) -> Command:
        return strict.check(team_commands.AddFacilitator, {"actor_id": edge.required(sent, "actor_id").strip()})

    return await _act(request, team_id, who, "facilitator", wish, ("actor_id",))


@router.post("/admin/teams/{team_id}/facilitators/{actor}/delete")
async def remove_facilitator(request: Request, team_id: str, actor: str, who: Who) -> Response:
    """Take it back; the last one stays."""

    def wish(sent: deps.Form) -> Command:
        try:
            return strict.check(team_commands.RemoveFacilitator, {"actor_id": actor})
        except errors.Invalid:
            raise errors.NotFound(refusals.FACILITATOR_NOT_FOUND) from None

    place = "/admin/teams" if actor == who.id else f"/admin/teams/{team_id}"
    return await _act(request, team_id, who, "facilitator", wish, (), place=place)


@router.post("/admin/teams/{team_id}/actions")
async def add_action(request: Request, team_id: str, who: Who) -> Response:
    """What the team will do, by whom and until when."""

    def wish(sent: deps.Form) -> Command:
        values = {
            "text": edge.required(sent, "text"),
            "session_id": edge.required(sent, "session_id"),
            **_owner_and_day(sent),
        }
        return _checked(team_commands.AddAction, values)

    place, missing = await _place(request, team_id), refusals.SESSION_NOT_FOUND
    return await _act(request, team_id, who, "action", wish, ACTION_FIELDS, place=place, missing=missing)


@router.post("/admin/teams/{team_id}/actions/{aid}")
async def change_action(request: Request, team_id: str, aid: str, who: Who) -> Response:
    """How it came out. What the form leaves out stays."""

    def wish(sent: deps.Form) -> Command:
        values = {name: sent[name] for name in ("text", "status", "outcome") if name in sent}
        number = edge.number(aid, refusals.ACTION_NOT_FOUND)
        return _checked(team_commands.ChangeAction, {"action_id": number, **values, **_owner_and_day(sent)})

    known = (*ACTION_FIELDS, "status", "outcome")
    return await _act(request, team_id, who, "action", wish, known, place=await _place(request, team_id))


@router.get("/admin/teams/{team_id}/trend")
async def trend(request: Request, team_id: str, who: Who) -> Response:
    """The revealed months beside each other."""
    team = (await edge.see_team(request, team_id, who)).session
    where = Where(subject=team.id, state=terms.REVEALED, limit=MAX_MONTHS)
    listing = await deps.settle(edge.engine(request).list(edge.SESSION, who, where))
    sessions = [seen.session for seen in listing.items]
    months = team_views.trend(team, sessions)
    states = {each.id: views.session_item(each, team)["action_state"] for each in sessions}
    return edge.respond(
        request, {"team_id": team.id, "months": months}, "admin/teams/trend.html", team=described(team),
        months=[{**each, "action_state": states[each["session_id"]]} for each in reversed(months)],
        gaps=[(gap, sum(each["gap_type"] == gap for each in months)) for gap in terms.GAPS],
    )  # fmt: skip


# What these have in common


async def _act(
    request: Request,
    id: str,
    who: Actor,
    name: str,
    wish: Callable[[deps.Form], Command],
    fields: tuple[str, ...],
    *,
    place: str = "/admin/teams/{id}",
    missing: str = refusals.TEAM_NOT_FOUND,
) -> Response:
    """Carry out what a form wishes of a team, and go to `place`."""
    return await _or_team(request, id, who, name, _done(request, id, who, wish, fields, place, missing))


async def _on_member(
    request: Request, id: str, who: Actor, name: str, wish: Callable[[deps.Form], Command], *fields: str
) -> Response:
    async def again(refused: edge.Refused) -> Response:
        return _members(request, (await edge.see_team(request, id, who)).session, refused)

    done = _done(request, id, who, wish, fields, "/admin/teams/{id}/members")
    return await edge.or_again(request, name, done, again)


async def _done(
    request: Request,
    id: str,
    who: Actor,
    wish: Callable[[deps.Form], Command],
    fields: tuple[str, ...],
    place: str,
    missing: str = refusals.TEAM_NOT_FOUND,
) -> Response:
    """Who may not see the team learns nothing from a wrong form."""
    await edge.see_team(request, id, who)
    sent = await edge.form(request, *fields)
    to = answer.redirect(place.format(id=id))
    try:
        return await edge.carry_out(request, id, wish(sent), who, lambda _: to, kind=edge.TEAM, missing=missing)
    except errors.KeyTaken:
        raise refusals.code_taken(sent.get("code", "").strip().upper()) from None


async def _or_team(request: Request, id: str, who: Actor, name: str, answering: Awaitable[Response]) -> Response:
    async def again(refused: edge.Refused) -> Response:
        return await _form(request, (await edge.see_team(request, id, who)).session, who, refused)

    return await edge.or_again(request, name, answering, again)


async def _place(request: Request, team_id: str) -> str:
    """Where a form about an action leads: the session it names, else the team."""
    named = (await deps.form(request)).get("session_id", "") if deps.is_form(request) else ""
    return f"/admin/sessions/{named}" if re.fullmatch(r"[A-Za-z0-9-]{1,64}", named) else f"/admin/teams/{team_id}"


def _checked(model: type[Command], values: Mapping[str, Any]) -> Command:
    """The command, with the sentence of a bad code told as it is."""
    try:
        return strict.check(model, dict(values))
    except refusals.CodeInvalid:
        raise refusals.CodeInvalid() from None


def _wanted(sent: deps.Form) -> dict[str, Any]:
    """The fields of a team's form that are there, as the command knows them."""
    typed = forms.typed(sent)
    values: dict[str, Any] = {name: typed[name] for name in TEXTS if name in typed}
    settings: dict[str, Any] = {name: edge.boolean(sent, name) for name, _ in SWITCHES if name in sent}
    settings |= {name: typed[name] for name in CHOICES if name in typed}
    return {**values, "settings": settings} if settings else values


def _owner_and_day(sent: deps.Form) -> dict[str, Any]:
    """Whose action and until when; an empty field takes it away."""
    values: dict[str, Any] = {}
    if "owner_member_id" in sent:
        owner = sent["owner_member_id"].strip()
        values["owner_member_id"] = edge.whole(owner, "owner_member_id") if owner else None
    if "due_on" in sent:
        values["due_on"] = sent["due_on"].strip() or None
    return values


async def _form(request: Request, team: Session | None, who: Actor, refused: edge.Refused | None = None) -> Response:
    shown = described(team) if team is not None else None
    values = {**DEFAULTS, **({name: shown[name] for name in TEXTS} | shown["settings"] if shown else {})}
    if refused and refused.form == "team":
        values |= refused.values
    return answer.page(
        request, "admin/teams/form.html", status=refused.status if refused else 200,
        headers=refused.headers if refused else {"Vary": "Accept"}, team=shown, values=values, refused=refused,
        errors=refused.faults if refused else {}, switches=SWITCHES, me=who.id,
        names=await deps.names(request, shown["facilitators"] if shown else (), who),
        actions=team_views.actions(team) if team is not None else [],
        join_url=join_url(request, team.data["code"]) if team is not None else "",
    )  # fmt: skip


def _members(request: Request, team: Session, refused: edge.Refused | None = None) -> Response:
    shown = described(team)
    gone = [{**each, "erased": each["name"] == terms.ERASED_NAME} for each in shown["members"] if not each["active"]]
    return answer.page(
        request, "admin/teams/members.html", status=refused.status if refused else 200,
        headers=refused.headers if refused else {"Vary": "Accept"}, team=shown, refused=refused,
        members=[each for each in shown["members"] if each["active"]], former=gone,
        limit=deps.installation(request).settings.facilitation_max_members,
    )  # fmt: skip
