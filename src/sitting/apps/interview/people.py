"""Who may come in: the link, the devices that joined by it, and the interviewers.

A code is derived from a key that never leaves the installation, and only its hash is stored; a new version of the link
is a new code. What a link or a device may do ends with the grant, so taking the grant away is the revocation.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime

from ... import errors
from ...core.event import Fact
from ...core.kind import Ask, Charge, Decision, Grant
from ...core.session import Session
from . import clock
from .commands import AddInterviewer, Join, RemoveInterviewer, RevokeLink, RotateLink
from .refusals import INTERVIEWER_NOT_FOUND
from .terms import (
    CANDIDATE,
    INTERVIEWER,
    JOINS_A_MINUTE,
    LINK_SECONDS,
    MAX_DEVICES,
    MAX_INTERVIEWERS,
    NOTICE_VERSION,
    VISITOR,
    EventType,
)

CODE_CHARACTERS = 26  # 130 bits


@dataclass(frozen=True)
class Link:
    """The present link of a session."""

    version: int
    expires_at: datetime
    revoked: bool


def link_of(session: Session) -> Link:
    """The present link of a session."""
    link = session.data["link"]
    return Link(link["version"], clock.at(link["expires_at"]), link["revoked"])


def join_code(link_key: bytes, id: str, version: int) -> str:
    """The code of one version of a session's link."""
    digest = hmac.digest(link_key, f"interview|{id}|{version}".encode(), "sha256")
    return base64.b32encode(digest).decode().lower()[:CODE_CHARACTERS]


def link_credential(code: str) -> str:
    """What the store knows a code by."""
    return "link:" + hashlib.sha256(code.encode()).hexdigest()


def credential(ask: Ask, id: str, version: int) -> str:
    """What the store knows this version of the link by, in a command whose facts hold the key."""
    return link_credential(join_code(ask.known["link_key"], id, version))


def join(ask: Ask, _command: Join) -> Decision:
    """Seat the candidate on this device; beyond three, the oldest one ends."""
    devices = {int(number): each["actor"] for number, each in ask.session.collection("devices").items()}
    if ask.actor.id in devices.values():
        return Decision()
    device = ask.session.data["devices"] + 1
    gone = [devices[number] for number in sorted(devices)[: max(0, len(devices) + 1 - MAX_DEVICES)]]
    grants = [*(Grant(actor, None) for actor in gone), Grant(ask.actor.id, CANDIDATE)]
    fact = Fact(EventType.CANDIDATE_JOINED, {"device": device, "notice_version": NOTICE_VERSION})
    return Decision((fact,), charges=(_joining(ask),), grants=tuple(grants))


def _joining(ask: Ask) -> Charge:
    """One of so many in a minute by the same link; a new link counts anew."""
    name = f"interview.joins:{ask.session.id}:{ask.session.data['link']['version']}"
    return Charge.within(name, JOINS_A_MINUTE, now=ask.now)


def rotate_link(ask: Ask, command: RotateLink) -> Decision:
    """A new code; the old one and every device end."""
    version = ask.session.data["link"]["version"] + 1
    expires_at = clock.ms(ask.now) + command.expires_in * 1000
    grant = Grant(credential(ask, ask.session.id, version), VISITOR, clock.at(expires_at))
    fact = Fact(EventType.LINK_ROTATED, {"version": version, "expires_at": expires_at})
    return Decision((fact,), grants=(*_shut_out(ask), grant))


def revoke_link(ask: Ask, _command: RevokeLink) -> Decision:
    """The link and every device end."""
    link = ask.session.data["link"]
    if link["revoked"]:
        return Decision()
    return Decision((Fact(EventType.LINK_REVOKED, {"version": link["version"]}),), grants=_shut_out(ask))


def _shut_out(ask: Ask) -> tuple[Grant, ...]:
    old = credential(ask, ask.session.id, ask.session.data["link"]["version"])
    devices = (each["actor"] for each in ask.session.collection("devices").values())
    return (Grant(old, None), *(Grant(actor, None) for actor in devices))


def grants_at_end(ask: Ask, instant: int) -> tuple[Grant, ...]:
    """A link that still lives, and the devices, get seven days more once the interview is over."""
    session = ask.session
    link = session.data["link"]
    if link["revoked"]:
        return ()
    until = clock.at(max(link["expires_at"], instant + LINK_SECONDS * 1000))
    seats = (each["actor"] for each in session.collection("devices").values())
    grants = [Grant(actor, CANDIDATE, until) for actor in seats]
    if link["expires_at"] > instant:
        grants.append(Grant(credential(ask, session.id, link["version"]), VISITOR, until))
    return tuple(grants)


def add_interviewer(ask: Ask, command: AddInterviewer) -> Decision:
    """One more interviewer."""
    present = ask.session.data["interviewers"]
    if command.actor_id in present:
        return Decision()
    if not ask.known["is_member"]:
        raise errors.Invalid.field("actor_id", INTERVIEWER_NOT_FOUND)
    if len(present) >= MAX_INTERVIEWERS:
        raise errors.Conflict(f"There are already {MAX_INTERVIEWERS} interviewers.")
    fact = Fact(EventType.INTERVIEWER_ADDED, {"actor": command.actor_id})
    return Decision((fact,), grants=(Grant(command.actor_id, INTERVIEWER),))


def remove_interviewer(ask: Ask, command: RemoveInterviewer) -> Decision:
    """One interviewer fewer; the last one stays."""
    present = ask.session.data["interviewers"]
    if command.actor_id not in present:
        raise errors.NotFound("Interviewer not found")
    if len(present) == 1:
        raise errors.Conflict("The last interviewer stays.")
    fact = Fact(EventType.INTERVIEWER_REMOVED, {"actor": command.actor_id})
    return Decision((fact,), grants=(Grant(command.actor_id, None),))
