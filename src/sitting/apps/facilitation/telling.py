"""What each event tells whom. Never a card, a point, a salt or a word of a synthesis, in any state: texts come from
the state view alone.

An export carries the whole `data` of an event to whoever is told of it, so what not everybody may know (what a
synthesis cost, how many groups it took) lies in personal parts, and no export carries those.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ...core.event import Event, to_text
from ...core.session import Session
from .terms import CAPTURING, DATED, ERASED_NAME, FACILITATOR, PREPARING, TIMELESS, USAGE, VISITOR, WHOLE, member_owner
from .views import claim_number, viewer

_STAFF = (FACILITATOR, PREPARING)

# The keys of the data that everybody in the session is told.
_PLAIN: Mapping[str, tuple[str, ...]] = {
    "month_changed": ("month", "from"),
    "timer_set": ("seconds", "ends_at", "close_at_end"),
    "closed": ("round", "count", "algorithm", "leaves", "digest", "by"),
    "revealed": ("synthesis_status", "digest", "matches"),
    "synthesis_requested": ("job", "round"),
    "synthesis_cancelled": ("job", "round"),
    "synthesis_discarded": ("job", "reason"),
    "synthesis_failed": ("job", "reason"),
    "anonymity_raised": ("level", "from"),
    "authorship_claimed": ("response",),
    "member_forgotten": ("member",),
    "roster_removed": ("member",),
    "recalibration_marked": ("completed", "by"),
}
_STAFF_ONLY: Mapping[str, tuple[str, ...]] = {
    "created": ("team_id", "month", "settings"),
    "claimed": ("member", "claim"),
    "left": ("member", "claim"),
    "claim_released": ("member", "claim"),
    "notes_saved": ("fields",),
}


def tell(event: Event, audience: str) -> dict[str, Any] | None:
    """One event as one audience is told it; None where only the position moves."""
    at = event.at
    if event.type == "submitted" and viewer(audience) != audience:
        if audience.endswith(TIMELESS):
            return None
        at = at.replace(hour=0, minute=0, second=0, microsecond=0)
    data = None if audience == VISITOR else _told(event, viewer(audience))
    return None if data is None else {"seq": event.seq, "type": event.type, "ts": to_text(at), "data": data}


def _told(event: Event, audience: str) -> dict[str, Any] | None:
    if event.type in _PLAIN:
        return _pick(event, _PLAIN[event.type])
    if event.type in _STAFF_ONLY:
        own = event.data.get("claim") is not None and event.data["claim"] == claim_number(audience)
        return _pick(event, _STAFF_ONLY[event.type]) if audience in _STAFF or own else None
    step = _TOLD.get(event.type)
    return step(event, audience) if step is not None else None


def _pick(event: Event, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: event.data.get(name) for name in names}


def _named(event: Event, _audience: str = "") -> dict[str, Any]:
    member = event.data["member"]
    return {"member": member, "name": event.part(member_owner(member)).get("name") or ERASED_NAME}


def _started(event: Event, _audience: str) -> dict[str, Any]:
    whole = event.part(WHOLE)
    names = [event.part(member_owner(member)).get("name") or ERASED_NAME for member in event.data["roster"]]
    return {
        "round": event.data["round"],
        "roster": [{"id": id, "name": name} for id, name in zip(event.data["roster"], names, strict=True)],
        "prompts": whole.get("prompts"),
        "carried_actions": [_owned(each, event) for each in whole.get("carried_actions") or ()],
    }


def _owned(action: Mapping[str, Any], event: Event) -> dict[str, Any]:
    """An action with the name of its owner, which is the owner's and may be gone."""
    if not action["owner"]:
        return dict(action)
    id = action["owner"]["id"]
    return {**action, "owner": {"id": id, "name": event.part(member_owner(id)).get("name") or ERASED_NAME}}


def _submitted(event: Event, audience: str) -> dict[str, Any] | None:
    """The first of a member; that it was changed since is for the device it was changed on."""
    own = event.data["claim"] == claim_number(audience)
    return _named(event) if own or event.data["revision"] == 1 else None


def _reasoned(*names: str) -> Callable[[Event, str], dict[str, Any]]:
    def told(event: Event, audience: str) -> dict[str, Any]:
        reason = {"reason": event.part(WHOLE).get("reason", "")} if audience in _STAFF else {}
        return {**_pick(event, names), **reason}

    return told


def _links(event: Event, audience: str) -> dict[str, Any] | None:
    if audience not in _STAFF:
        return None
    return {"links": [{"member": each["member"], "version": each["version"]} for each in event.data["links"]]}


def _progressed(event: Event, audience: str) -> dict[str, Any]:
    """How many groups it takes says how much was written."""
    groups = {name: event.part(USAGE).get(name) for name in ("group", "groups")} if audience in _STAFF else {}
    return {**_pick(event, ("job", "phase")), **groups}


def _completed(event: Event, audience: str) -> dict[str, Any]:
    names = ("model", "input_tokens", "output_tokens")
    used = {name: event.part(USAGE).get(name) for name in names} if audience in _STAFF else {}
    return {**_pick(event, ("job", "round")), **used}


_TOLD: Mapping[str, Callable[[Event, str], dict[str, Any] | None]] = {
    "started": _started,
    "submitted": _submitted,
    "response_cleared": _reasoned("member"),
    "reopened": _reasoned("round", "from"),
    "links_issued": _links,
    "roster_added": _named,
    "synthesis_progressed": _progressed,
    "synthesis_completed": _completed,
}


def parts(_event: Event, _audience: str) -> Collection[str]:
    """Whose personal content an export may carry: nobody's. The state view says what may be known."""
    return ()


def exports(session: Session, audience: str) -> bool:
    """A journal that is taken along holds exact times: none of an anonymous session while responses come in."""
    return session.state != CAPTURING or not audience.endswith(DATED)
