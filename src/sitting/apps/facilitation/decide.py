"""What follows from each command of a facilitation, but for synthesis, which has a file of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from ... import errors
from ...core.actor import SYSTEM
from ...core.event import Fact, to_text
from ...core.kind import Ask, Charge, Decision, Grant, JobRequest
from ...core.session import Session
from . import commands, refusals, responses, seal, synthesis, terms
from .drafting import Draft
from .facts import key
from .people import link_credential, link_token
from .terms import FACILITATOR, LEVELS, NAMED, PARTICIPANT, VISITOR, WHOLE, member_owner


def decide(ask: Ask) -> Decision:
    """What follows from a command, or a refusal."""
    return _DECISIONS[ask.command.verb](ask, ask.command)


def create(ask: Ask, command: commands.Create) -> Decision:
    """A session of this team for this month."""
    if ask.known["team"] is None:
        raise errors.NotFound(refusals.TEAM_NOT_FOUND)
    if ask.known["taken"]:
        raise refusals.month_taken(command.month)
    data = {"team_id": command.team_id, "month": command.month, "settings": ask.known["settings"]}
    return Decision((Fact("created", data),), key=key(command.team_id, command.month), subject=command.team_id)


def change_month(ask: Ask, command: commands.ChangeMonth) -> Decision:
    """Another month, while nobody has been let in."""
    before = ask.session.data["month"]
    if command.month == before:
        return Decision()
    if ask.known["taken"]:
        raise refusals.month_taken(command.month)
    fact = Fact("month_changed", {"month": command.month, "from": before})
    return Decision((fact,), key=key(ask.session.data["team_id"], command.month))


def start(ask: Ask, _command: commands.Start) -> Decision:
    """Let people in: who they are and what they are asked is copied from the team now.

    The names of a very large team follow in events of their own, so that none is larger than an event may be. Every
    name is its member's, also that of one who owns an action, and goes with the member.
    """
    roster: list[Mapping[str, Any]] = ask.known["roster"]
    room, first = terms.MAX_STARTED_NAMES, 0
    for first, member in enumerate(roster):  # noqa: B007 - how far it came is what counts
        room -= len(member["name"])
        if room < 0:
            break
    else:
        first = len(roster)
    whole = {"prompts": ask.known["prompts"], "carried_actions": ask.known["carried_actions"]}
    named = (*roster[:first], *ask.known["owners"])
    names = {member_owner(member["id"]): {"name": member["name"]} for member in named}
    data = {"round": ask.session.data["round"] + 1, "roster": [member["id"] for member in roster[:first]]}
    later = [_roster_added(member) for member in roster[first:]]
    return Decision((Fact("started", data, {WHOLE: whole, **names}), *later))


def _roster_added(member: Mapping[str, Any]) -> Fact:
    return Fact("roster_added", {"member": member["id"]}, {member_owner(member["id"]): {"name": member["name"]}})


def claim(ask: Ask, command: commands.Claim) -> Decision:
    """Take a name on this device."""
    session, wanted = ask.session, str(command.member_id)
    held = responses.claim_of(session, ask.actor.id)
    if held is not None:
        if held[0] == command.member_id:
            return Decision()
        raise refusals.holding(session.collection("roster")[str(held[0])]["name"])
    if wanted not in session.collection("roster"):
        raise errors.NotFound(refusals.MEMBER_NOT_FOUND)
    personal = _linked(session, ask.actor.credentials)
    if personal and command.member_id not in personal:
        raise errors.NotFound(refusals.LINK_NOT_VALID)
    if not personal and session.data["settings"]["join_by"] == "link":
        raise refusals.UseLink
    if wanted in session.collection("claims"):
        raise refusals.InUse
    until = ask.now + timedelta(seconds=terms.CLAIM_SECONDS)
    fact = Fact("claimed", {"member": command.member_id, "claim": session.data["claims"] + 1})
    charges = (_paced(ask, "claims", command.member_id, terms.CLAIMS_A_MINUTE),)
    return Decision((fact,), charges=charges, grants=(Grant(ask.actor.id, PARTICIPANT, until),))


def _paced(ask: Ask, what: str, member: int, limit: int, seconds: int = 60) -> Charge:
    """One of so many under one name in a minute, or another time: whoever has the code could fill the disk with it."""
    name = f"facilitation.{what}:{ask.session.id}:{member}"
    return Charge.within(name, limit, now=ask.now, seconds=seconds, refuse=refusals.too_many)


def _linked(session: Session, credentials: tuple[str, ...]) -> set[int]:
    """The members whose personal links the visitor has shown."""
    links = session.collection("links").items()
    return {int(member) for member, link in links if link["live"] and f"link:{link['hash']}" in credentials}


def leave(ask: Ask, _command: commands.Leave) -> Decision:
    """Give the name back, as long as nothing was handed in under it."""
    member, held = _own_claim(ask)
    if responses.own(ask.session, held["claim"]) is not None:
        raise refusals.Submitted
    fact = Fact("left", {"member": member, "claim": held["claim"]})
    return Decision((fact,), grants=(Grant(ask.actor.id, None),))


def _own_claim(ask: Ask) -> tuple[int, Mapping[str, Any]]:
    held = responses.claim_of(ask.session, ask.actor.id)
    if held is None:
        raise errors.NotFound
    return held


def submit(ask: Ask, command: commands.Submit) -> Decision:
    """Hand a response in; it takes the place of the one before."""
    member, held = _own_claim(ask)
    if command.card is None and ask.session.data["settings"]["card_required"]:
        raise refusals.BadResponse(refusals.IMAGE_REQUIRED)
    before = ask.session.collection("responses").get(str(member))
    data = {"member": member, "claim": held["claim"], "revision": before["revision"] + 1 if before else 1}
    salt = hashlib.sha256(b"response" + ask.random).digest()[: terms.SALT_BYTES].hex()
    name = ask.session.collection("roster")[str(member)]["name"]
    content = {"name": name, "card": command.card, "bullets": command.bullets, "salt": salt}
    charges = (
        _paced(ask, "submits", member, terms.SUBMITS_A_MINUTE),
        _paced(ask, "submits", member, terms.SUBMITS_AN_HOUR, terms.HOUR_SECONDS),
    )
    return Decision((Fact("submitted", data, {member_owner(member): content}),), charges=charges)


def clear(ask: Ask, command: commands.Clear) -> Decision:
    """Take a response out; its author may hand in another one."""
    if str(command.member_id) not in ask.session.collection("responses"):
        raise errors.NotFound(refusals.RESPONSE_NOT_FOUND)
    personal = {WHOLE: {"reason": command.reason}} if command.reason else {}
    return Decision((Fact("response_cleared", {"member": command.member_id}, personal),))


def release(ask: Ask, command: commands.Release) -> Decision:
    """Free a name; its device is out from now on."""
    held = ask.session.collection("claims").get(str(command.member_id))
    if held is None:
        raise errors.NotFound(refusals.CLAIM_NOT_FOUND)
    fact = Fact("claim_released", {"member": command.member_id, "claim": held["claim"]})
    return Decision((fact,), grants=(Grant(held["actor"], None),))


def issue_links(ask: Ask, command: commands.IssueLinks) -> Decision:
    """New personal links; the older ones of the same members die."""
    session = ask.session
    known = [each["id"] for each in ask.known["members"]]
    if session.state != terms.DRAFT:
        known = sorted(map(int, session.collection("roster")))
    wanted = known if command.member_ids is None else sorted(set(command.member_ids))
    if set(wanted) - set(known):
        raise errors.NotFound(refusals.MEMBER_NOT_FOUND)
    if not wanted:
        return Decision()
    grants, links = [], []
    for member in wanted:
        old = session.collection("links").get(str(member))
        version = old["version"] + 1 if old else 1
        credential = link_credential(link_token(ask.known["link_key"], session.id, member, version))
        links.append({"member": member, "version": version, "hash": credential.removeprefix("link:")})
        grants += [Grant(f"link:{old['hash']}", None)] if old else []
        grants.append(Grant(credential, VISITOR))
    return Decision((Fact("links_issued", {"links": links}),), grants=tuple(grants))


def add_to_roster(ask: Ask, command: commands.AddToRoster) -> Decision:
    """One more of the team's members takes part."""
    if str(command.member_id) in ask.session.collection("roster"):
        return Decision()
    member = next((each for each in ask.known["members"] if each["id"] == command.member_id), None)
    if member is None:
        raise errors.NotFound(refusals.MEMBER_NOT_FOUND)
    return Decision((_roster_added(member),))


def remove_from_roster(ask: Ask, command: commands.RemoveFromRoster) -> Decision:
    """One who has handed nothing in does not take part after all."""
    member = str(command.member_id)
    if member not in ask.session.collection("roster"):
        raise errors.NotFound(refusals.MEMBER_NOT_FOUND)
    if member in ask.session.collection("responses"):
        raise refusals.MemberSubmitted(session_status=ask.session.state)
    return Decision((Fact("roster_removed", {"member": command.member_id}),), grants=_shut_out(ask.session, member))


def _shut_out(session: Session, member: str) -> tuple[Grant, ...]:
    held, link = session.collection("claims").get(member), session.collection("links").get(member)
    grants = [Grant(held["actor"], None)] if held else []
    return (*grants, *([Grant(f"link:{link['hash']}", None)] if link else []))


def set_timer(ask: Ask, command: commands.SetTimer) -> Decision:
    """One deadline for all, from now on or none."""
    ends_at = to_text(ask.now + timedelta(seconds=command.seconds)) if command.seconds else None
    close_at_end = command.close_at_end and ends_at is not None
    data = {"seconds": command.seconds, "ends_at": ends_at, "close_at_end": close_at_end}
    return Decision((Fact("timer_set", data),))


def close(ask: Ask, _command: commands.Close) -> Decision:
    """Seal what was handed in, and have it read."""
    leaves = sorted(each["leaf"] for each in responses.present(ask.session).values())
    data = {
        "round": ask.session.data["round"],
        "count": len(leaves),
        "algorithm": seal.ALGORITHM,
        "leaves": leaves,
        "digest": seal.digest(leaves),
        "by": SYSTEM if ask.role == SYSTEM else FACILITATOR,
    }
    draft = Draft(ask)
    draft.add("closed", data)
    jobs = synthesis.after_close(draft)
    links = [link for link in ask.session.collection("links").values() if link["live"]]
    return draft.decision(jobs=jobs, grants=tuple(Grant(f"link:{link['hash']}", None) for link in links))


def reveal(ask: Ask, _command: commands.Reveal) -> Decision:
    """Show the whole to everybody at once."""
    data = {
        "synthesis_status": ask.session.data["synthesis"]["status"],
        "digest": ask.session.data["seal"]["digest"],
        "matches": responses.matches(ask.session),
    }
    return Decision((Fact("revealed", data),))


def reopen(ask: Ask, command: commands.Reopen) -> Decision:
    """Open capture again: what was sealed and made of it is gone, responses and claims stay.

    What a model wrote is destroyed: it may repeat a response that is cleared or replaced now, which nobody shall see.
    """
    draft = Draft(ask)
    cancel = synthesis.discard(draft, "reopened")
    data = {"round": ask.session.data["round"] + 1, "from": ask.session.state}
    draft.add("reopened", data, {WHOLE: {"reason": command.reason}} if command.reason else {})
    return draft.decision(cancel=cancel, erase=synthesis.PARTS)


def save_notes(ask: Ask, command: commands.SaveNotes) -> Decision:
    """What the facilitator writes down, and the one thing to change."""
    wished = {name: getattr(command, name) for name in ("facilitator_notes", "recalibration_action")}
    kept = ask.session.collection("texts").get("notes", {})
    changed = {name: value for name, value in wished.items() if value is not None and value != kept.get(name)}
    if not changed:
        return Decision()
    return Decision((Fact("notes_saved", {"fields": sorted(changed)}, {WHOLE: changed}),))


def mark_recalibration(ask: Ask, command: commands.MarkRecalibration) -> Decision:
    """Whether the change has been made; either way, at any time."""
    return Decision((Fact("recalibration_marked", {"completed": command.completed, "by": ask.actor.id}),))


def raise_anonymity(ask: Ask, command: commands.RaiseAnonymity) -> Decision:
    """Fewer names; never more."""
    before = ask.session.data["anonymity"]
    if command.level == before:
        return Decision()
    if LEVELS.index(command.level) < LEVELS.index(before):
        raise refusals.AnonymityLowered(session_status=ask.session.state)
    return Decision((Fact("anonymity_raised", {"level": command.level, "from": before}),))


def claim_authorship(ask: Ask, command: commands.ClaimAuthorship) -> Decision:
    """Put the own name back on the own response."""
    _, held = _own_claim(ask)
    member = responses.own(ask.session, held["claim"])
    if member is None or responses.labelled(ask.session).get(command.response) != member:
        raise errors.NotFound(refusals.RESPONSE_NOT_FOUND)
    if ask.session.data["anonymity"] == NAMED:
        raise refusals.NamesShown(session_status=ask.session.state)
    charges = (_paced(ask, "authorships", member, terms.AUTHORSHIPS_A_MINUTE),)
    if ask.session.collection("responses")[str(member)]["authored"]:
        return Decision(charges=charges)
    return Decision((Fact("authorship_claimed", {"response": command.response}),), charges=charges)


def forget_member(ask: Ask, command: commands.ForgetMember) -> Decision:
    """Destroy a member's name and responses here, and whatever a synthesis may have copied from them."""
    session, member = ask.session, str(command.member_id)
    roster = session.collection("roster").get(member)
    if not ask.known["known_here"] and member not in session.collection("links"):
        return Decision()
    owner, name = member_owner(command.member_id), roster["name"] if roster else ""
    copied = synthesis.repeating(session, owner, name=name, said=ask.known["said"], made=ask.known["made"])
    draft = Draft(ask)
    draft.add("member_forgotten", {"member": command.member_id})
    cancel = synthesis.discard(draft, "erased")
    jobs: tuple[JobRequest, ...] = ()
    if cancel and len(responses.present(draft.session)) >= terms.LEAST_RESPONSES and ask.known["reserved"] is not None:
        jobs = (synthesis.begin(draft),)
    return draft.decision(jobs=jobs, cancel=cancel, grants=_shut_out(session, member), erase=(owner, *sorted(copied)))


_DECISIONS: Mapping[str, Callable[[Ask, Any], Decision]] = {
    "create": create,
    "change_month": change_month,
    "start": start,
    "claim": claim,
    "leave": leave,
    "submit": submit,
    "clear": clear,
    "release": release,
    "issue_links": issue_links,
    "add_to_roster": add_to_roster,
    "remove_from_roster": remove_from_roster,
    "set_timer": set_timer,
    "close": close,
    "reveal": reveal,
    "reopen": reopen,
    "synthesize": synthesis.synthesize,
    "retry_synthesis": synthesis.retry,
    "cancel_synthesis": synthesis.cancel,
    "record_synthesis": synthesis.record,
    "save_notes": save_notes,
    "mark_recalibration": mark_recalibration,
    "raise_anonymity": raise_anonymity,
    "claim_authorship": claim_authorship,
    "forget_member": forget_member,
}
