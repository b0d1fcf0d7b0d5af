"""The kind `team`: who meets, and what outlives a single session: members, facilitators and actions.

Names and texts are personal parts. A member who is erased loses the name here in the transaction of the command, and a
job has every session of the team forget that member's name and responses.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import errors
from ...core.actor import ADMIN, MEMBER, SYSTEM
from ...core.event import Event, Fact
from ...core.kind import Ask, Charge, Command, Decision, Grant, JobRequest, Kind, Reader
from ...core.lifecycle import CREATE, ERASE, Lifecycle, Move
from ...core.session import Session
from . import refusals, team_views, terms, wording, work
from .people import team_credential
from .team_commands import (
    OFFERED,
    AddAction,
    AddFacilitator,
    AddMember,
    ChangeAction,
    CreateTeam,
    EditTeam,
    EraseMember,
    RemoveFacilitator,
    RemoveMember,
    RenameMember,
)
from .terms import ERASED_NAME, FACILITATION, FACILITATOR, OPEN, VISITOR, WHOLE, member_owner

ACTIVE = "active"
_STAFF = (FACILITATOR,)
_VERBS = tuple(command.verb for command in OFFERED if command.verb != CREATE)

LIFECYCLE = Lifecycle(
    (ACTIVE,),
    (
        Move(CREATE, (), (MEMBER, SYSTEM), (ACTIVE,)),
        *(Move(verb, (ACTIVE,), _STAFF) for verb in _VERBS),
        Move(ERASE, (ACTIVE,), _STAFF, opening="Cannot delete team."),
    ),
)


def decide(ask: Ask) -> Decision:
    """What follows from a command, or a refusal."""
    return _DECISIONS[ask.command.verb](ask, ask.command)


def create(ask: Ask, command: CreateTeam) -> Decision:
    """A team, its first facilitator, and the code people come in by."""
    code = command.code or _random_code(ask)
    if ask.known["taken"] and command.code:
        raise refusals.code_taken(code)
    charges = (_choice(ask),) if command.code else ()
    texts = {name: getattr(command, name) for name in team_views.TEXTS}
    fact = Fact("created", {"code": code, "settings": command.settings.model_dump()}, {WHOLE: texts})
    grants = [Grant(team_credential(code), VISITOR)]
    if ask.actor.is_user:
        grants.append(Grant(ask.actor.id, FACILITATOR))
    return Decision((fact,), grants=tuple(grants), charges=charges, key=code)


def _random_code(ask: Ask) -> str:
    """Each character from its own random number; 256 is no multiple of 31, which costs a hundredth of a bit."""
    letters = terms.CODE_ALPHABET
    return "".join(letters[byte % len(letters)] for byte in ask.random[: terms.CODE_CHARACTERS])


def _choice(ask: Ask) -> Charge:
    """One code that somebody chose. Whether it was free tells which codes there are, so nobody tries many."""
    name, most = f"team.codes:{ask.actor.id}", terms.MAX_CODES_AN_HOUR
    return Charge.within(name, most, now=ask.now, seconds=terms.HOUR_SECONDS, refuse=refusals.too_many)


def edit(ask: Ask, command: EditTeam) -> Decision:
    """Other texts, another code, other settings for later sessions."""
    wished = {name: getattr(command, name) for name in team_views.TEXTS if getattr(command, name) is not None}
    texts = {name: value for name, value in wished.items() if value != team_views.text(ask.session, name)}
    data: dict[str, Any] = {}
    grants: tuple[Grant, ...] = ()
    charges: tuple[Charge, ...] = ()
    if command.code is not None and command.code != ask.session.data["code"]:
        if ask.known["taken"]:
            raise refusals.code_taken(command.code)
        data["code"] = command.code
        charges = (_choice(ask),)
        grants = (
            Grant(team_credential(ask.session.data["code"]), None),
            Grant(team_credential(command.code), VISITOR),
        )
    settings = {**ask.session.data["settings"], **_chosen(command)}
    if settings != ask.session.data["settings"]:
        data["settings"] = settings
    fields = sorted([*texts, *data])
    if not fields:
        return Decision()
    fact = Fact("edited", {"fields": fields, **data}, {WHOLE: texts} if texts else {})
    return Decision((fact,), grants=grants, charges=charges, key=data.get("code"))


def _chosen(command: EditTeam) -> dict[str, Any]:
    chosen = command.settings.model_dump() if command.settings is not None else {}
    return {name: value for name, value in chosen.items() if value is not None}


def add_member(ask: Ask, command: AddMember) -> Decision:
    """One more member, if there is room and nobody else has the name."""
    _check_name(ask, command.name)
    most = ask.known["settings"].facilitation_max_members
    if len(team_views.active_members(ask.session)) >= most:
        raise refusals.full(most)
    member = ask.session.data["last_member"] + 1
    return Decision((_naming("member_added", member, command.name),))


def rename_member(ask: Ask, command: RenameMember) -> Decision:
    """Another name here; past sessions keep the one they began with."""
    member = _member(ask, command.member_id)
    _check_name(ask, command.name, but=command.member_id)
    if member["name"] == command.name:
        return Decision()
    return Decision((_naming("member_renamed", command.member_id, command.name),))


def _naming(type: str, member: int, name: str) -> Fact:
    return Fact(type, {"member": member}, {member_owner(member): {"name": name}})


def _check_name(ask: Ask, name: str, *, but: int | None = None) -> None:
    for each in team_views.active_members(ask.session):
        if each["id"] != but and wording.same(each["name"]) == wording.same(name):
            raise refusals.NameTaken


def _member(ask: Ask, id: int, *, gone_too: bool = False) -> Mapping[str, Any]:
    member: Mapping[str, Any] | None = ask.session.collection("members").get(str(id))
    if member is None or not (member["active"] or gone_too):
        raise errors.NotFound(refusals.MEMBER_NOT_FOUND)
    return member


def remove_member(ask: Ask, command: RemoveMember) -> Decision:
    """One member fewer from now on."""
    _member(ask, command.member_id)
    return Decision((Fact("member_removed", {"member": command.member_id}),))


def erase_member(ask: Ask, command: EraseMember) -> Decision:
    """Destroy the name here, and have every session forget the member."""
    member = _member(ask, command.member_id, gone_too=True)
    if member.get("erased"):
        raise errors.NotFound(refusals.MEMBER_NOT_FOUND)
    if wording.same(" ".join(command.confirm.split())) != wording.same(member["name"]):
        raise errors.Invalid.field("confirm", "must be the member's name")
    fact = Fact("member_erased", {"member": command.member_id})
    job = JobRequest(
        terms.FORGET, f"{terms.FORGET}:{command.member_id}", ask.uuid("forget"), retries=terms.ERASURE_TRIES
    )
    return Decision((fact,), jobs=(job,), erase=(member_owner(command.member_id),))


def add_facilitator(ask: Ask, command: AddFacilitator) -> Decision:
    """One more who leads the team's sessions."""
    present = ask.session.data["facilitators"]
    if command.actor_id in present:
        return Decision()
    if not ask.known["is_member"]:
        raise errors.NotFound(refusals.FACILITATOR_NOT_FOUND)
    if len(present) >= terms.MAX_FACILITATORS:
        raise refusals.TooManyFacilitators
    fact = Fact("facilitator_added", {"actor": command.actor_id})
    return Decision((fact,), grants=(Grant(command.actor_id, FACILITATOR),))


def remove_facilitator(ask: Ask, command: RemoveFacilitator) -> Decision:
    """One facilitator fewer; the last one stays."""
    present = ask.session.data["facilitators"]
    if command.actor_id not in present:
        raise errors.NotFound(refusals.FACILITATOR_NOT_FOUND)
    if len(present) == 1:
        raise refusals.LastFacilitator
    fact = Fact("facilitator_removed", {"actor": command.actor_id})
    return Decision((fact,), grants=(Grant(command.actor_id, None),))


def add_action(ask: Ask, command: AddAction) -> Decision:
    """Something to do, from one of the team's sessions."""
    if ask.known["month"] is None:
        raise errors.NotFound(refusals.SESSION_NOT_FOUND)
    if command.owner_member_id is not None:
        _member(ask, command.owner_member_id)
    _check_open(ask)
    data = {
        "action": ask.session.data["last_action"] + 1,
        "owner_member_id": command.owner_member_id,
        "due_on": command.due_on,
        "session_id": command.session_id,
        "month": ask.known["month"],
    }
    return Decision((Fact("action_added", data, {WHOLE: {"text": command.text}}),))


def _check_open(ask: Ask) -> None:
    if len(team_views.open_actions(ask.session)) >= terms.MAX_OPEN_ACTIONS:
        raise refusals.TooManyActions


def change_action(ask: Ask, command: ChangeAction) -> Decision:
    """Another text, owner, day, status or outcome."""
    action = ask.session.collection("actions").get(str(command.action_id))
    if action is None:
        raise errors.NotFound(refusals.ACTION_NOT_FOUND)
    wished = {name: getattr(command, name) for name in command.model_fields_set - {"action_id"}}
    cleared = {name for name in ("text", "status", "outcome") if wished.get(name, "") is None}
    changed = {name: value for name, value in wished.items() if name not in cleared and value != action[name]}
    if not changed:
        return Decision()
    if changed.get("owner_member_id") is not None:
        _member(ask, changed["owner_member_id"])
    if changed.get("status") == OPEN:
        _check_open(ask)
    texts = {name: changed[name] for name in ("text", "outcome") if name in changed}
    data: dict[str, Any] = {"action": command.action_id, "fields": sorted(changed)}
    data |= {name: changed[name] for name in ("owner_member_id", "due_on", "status") if name in changed}
    return Decision((Fact("action_changed", data, {WHOLE: texts} if texts else {}),))


_DECISIONS: Mapping[str, Callable[[Ask, Any], Decision]] = {
    "create": create,
    "edit": edit,
    "add_member": add_member,
    "rename_member": rename_member,
    "remove_member": remove_member,
    "erase_member": erase_member,
    "add_facilitator": add_facilitator,
    "remove_facilitator": remove_facilitator,
    "add_action": add_action,
    "change_action": change_action,
}


def fold(session: Session, event: Event) -> Session:
    """The team after one event; a type this version does not know changes nothing.

    Raises ValueError for a code or a month that no engine writes, and no page could show.
    """
    code, month = (event.data.get(name, "") for name in ("code", "month"))
    if not isinstance(code, str) or len(code) > terms.MAX_CODE or not isinstance(month, str):
        raise ValueError("not a team's event")
    step = _STEPS.get(event.type)
    return session if step is None else step(session, event)


def _created(session: Session, event: Event) -> Session:
    session = session.set(
        code=event.data["code"],
        settings=event.data["settings"],
        facilitators=[] if event.role == SYSTEM else [event.actor],
        last_member=0,
        last_action=0,
    )
    return session.put("texts", WHOLE, dict(event.part(WHOLE))).to(ACTIVE)


def _edited(session: Session, event: Event) -> Session:
    changes = {name: event.data[name] for name in ("code", "settings") if name in event.data}
    return session.set(**changes).put("texts", WHOLE, {**session.collection("texts")[WHOLE], **event.part(WHOLE)})


def _member_named(session: Session, event: Event) -> Session:
    id = event.data["member"]
    name = event.part(member_owner(id)).get("name") or ERASED_NAME
    session = session.put("members", str(id), {"id": id, "name": name, "active": True})
    return session.set(last_member=max(id, session.data["last_member"]))


def _member_gone(session: Session, event: Event) -> Session:
    key = str(event.data["member"])
    member = {**session.collection("members")[key], "active": False}
    if event.type == "member_erased":
        member |= {"name": ERASED_NAME, "erased": True}
    return session.put("members", key, member)


def _facilitator_added(session: Session, event: Event) -> Session:
    return session.set(facilitators=[*session.data["facilitators"], event.data["actor"]])


def _facilitator_removed(session: Session, event: Event) -> Session:
    return session.set(facilitators=[each for each in session.data["facilitators"] if each != event.data["actor"]])


def _action_added(session: Session, event: Event) -> Session:
    data = event.data
    action = {name: data[name] for name in ("owner_member_id", "due_on", "session_id", "month")}
    action |= {"id": data["action"], "text": event.part(WHOLE).get("text", ""), "status": OPEN, "outcome": ""}
    return session.put("actions", str(data["action"]), action).set(last_action=data["action"])


def _action_changed(session: Session, event: Event) -> Session:
    key = str(event.data["action"])
    changes = {name: event.data[name] for name in ("owner_member_id", "due_on", "status") if name in event.data}
    return session.put("actions", key, {**session.collection("actions")[key], **changes, **event.part(WHOLE)})


_STEPS: Mapping[str, Callable[[Session, Event], Session]] = {
    "created": _created,
    "edited": _edited,
    "member_added": _member_named,
    "member_renamed": _member_named,
    "member_removed": _member_gone,
    "member_erased": _member_gone,
    "facilitator_added": _facilitator_added,
    "facilitator_removed": _facilitator_removed,
    "action_added": _action_added,
    "action_changed": _action_changed,
}


def _coding(reader: Reader, command: Command) -> Mapping[str, Any]:
    """Whether the code is taken, as far as this space can know; the store knows the rest."""
    assert isinstance(command, CreateTeam | EditTeam)
    found = reader.find(terms.TEAM, command.code) if command.code is not None else None
    return {"taken": found is not None and found.id != reader.session.id}


def _counting(reader: Reader, _command: Command) -> Mapping[str, Any]:
    return {"settings": reader.installed["settings"]}


def _leading(reader: Reader, command: Command) -> Mapping[str, Any]:
    """Whether the account is one of this space."""
    assert isinstance(command, AddFacilitator)
    return {"is_member": reader.has_member(command.actor_id)}


def _acting(reader: Reader, command: Command) -> Mapping[str, Any]:
    """The month of the session an action comes from, if that is one of this team's."""
    assert isinstance(command, AddAction)
    found = reader.other(command.session_id)
    own = found is not None and found.kind == FACILITATION and found.subject == reader.session.id
    return {"month": found.data["month"] if found is not None and own else None}


TEAM = Kind(
    name=terms.TEAM,
    label="Team",
    description="Who meets once a month, and the actions that stay open between the meetings.",
    lifecycle=LIFECYCLE,
    commands={command.verb: command for command in OFFERED},
    decide=decide,
    fold=fold,
    audience=team_views.audience,
    view=team_views.view,
    tell=team_views.tell,
    facts={
        "create": _coding,
        "edit": _coding,
        "add_member": _counting,
        "add_facilitator": _leading,
        "add_action": _acting,
    },
    work={terms.FORGET: work.forget_member},
    standing={ADMIN: FACILITATOR},
    key_scope="installation",
    title=team_views.title,
    search=team_views.search,
    owner=FACILITATOR,
)
