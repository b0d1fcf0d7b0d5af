"""What each event makes of a facilitation.

Names, responses and texts are personal parts and may be gone; ids, counts, states and the sealed leaves stand in the
data of events. A response whose content was destroyed stays as one that was there, until capture is opened again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...core.event import Event, to_text
from ...core.session import Session
from . import seal, terms
from .terms import (
    CAPTURING,
    CLOSED,
    COMPLETE,
    DRAFT,
    ERASED_NAME,
    FAILED,
    GENERATING,
    INSUFFICIENT,
    PENDING,
    REVEALED,
    SYNTHESIS,
    USAGE,
    WHOLE,
    member_owner,
)

_NO_SYNTHESIS: dict[str, Any] = {
    "status": PENDING,
    "job": None,
    "round": None,
    "reason": "",
    "progress": None,
    "completed_at": None,
}


def fold(session: Session, event: Event) -> Session:
    """The session after one event; a type this version does not know changes nothing."""
    step = _STEPS.get(event.type)
    return session if step is None else step(session, event)


def _name(event: Event, member: int) -> str:
    return str(event.part(member_owner(member)).get("name") or ERASED_NAME)


def _created(session: Session, event: Event) -> Session:
    data = event.data
    session = session.set(
        team_id=data["team_id"],
        month=data["month"],
        settings=data["settings"],
        anonymity=data["settings"]["anonymity"],
        round=0,
        claims=0,
        timer=None,
        seal=None,
        synthesis=_NO_SYNTHESIS,
        tokens={"input": 0, "output": 0, "reserved": 0},
        recalibration={"completed": False, "by": None, "at": None},
        started_at=None,
        closed_at=None,
        revealed_at=None,
    )
    return session.to(DRAFT)


def _month_changed(session: Session, event: Event) -> Session:
    return session.set(month=event.data["month"])


def _started(session: Session, event: Event) -> Session:
    whole = event.part(WHOLE)
    for member in event.data["roster"]:
        session = session.put("roster", str(member), {"id": member, "name": _name(event, member)})
    session = session.put("texts", "prompts", whole.get("prompts") or {})
    session = session.put("texts", "carried_actions", {"items": whole.get("carried_actions") or []})
    return session.set(round=event.data["round"], started_at=to_text(event.at)).to(CAPTURING)


def _claimed(session: Session, event: Event) -> Session:
    claim = {"claim": event.data["claim"], "actor": event.actor, "at": to_text(event.at)}
    return session.put("claims", str(event.data["member"]), claim).set(claims=event.data["claim"])


def _claim_ended(session: Session, event: Event) -> Session:
    return session.drop("claims", str(event.data["member"]))


def _submitted(session: Session, event: Event) -> Session:
    member = event.data["member"]
    said = event.part(member_owner(member))
    response: dict[str, Any] = {
        "claim": event.data["claim"],
        "revision": event.data["revision"],
        "at": to_text(event.at),
        "authored": False,
        "erased": not said,
    }
    if said:
        response |= {name: said[name] for name in ("card", "bullets", "salt")}
        response["leaf"] = seal.leaf(said["card"], said["bullets"], said["salt"])
    return session.put("responses", str(member), response)


def _response_cleared(session: Session, event: Event) -> Session:
    return session.drop("responses", str(event.data["member"]))


def _links_issued(session: Session, event: Event) -> Session:
    for link in event.data["links"]:
        kept = {"version": link["version"], "hash": link["hash"], "live": True}
        session = session.put("links", str(link["member"]), kept)
    return session


def _roster_added(session: Session, event: Event) -> Session:
    member = event.data["member"]
    return session.put("roster", str(member), {"id": member, "name": _name(event, member)})


def _roster_removed(session: Session, event: Event) -> Session:
    """The link dies but is remembered: a version that came again would be the same link."""
    key = str(event.data["member"])
    link = session.collection("links").get(key)
    session = _without(session, event.data["member"])
    return session if link is None else session.put("links", key, {**link, "live": False})


def _without(session: Session, member: int) -> Session:
    for collection in ("roster", "claims", "responses", "links"):
        session = session.drop(collection, str(member))
    return session


def _timer_set(session: Session, event: Event) -> Session:
    data = event.data
    if not data["seconds"]:
        return session.set(timer=None)
    return session.set(timer={name: data[name] for name in ("seconds", "ends_at", "close_at_end")})


def _closed(session: Session, event: Event) -> Session:
    data = event.data
    for member, link in session.collection("links").items():
        session = session.put("links", member, {**link, "live": False})
    status = INSUFFICIENT if data["count"] < terms.LEAST_RESPONSES else PENDING
    session = session.put("seal", "leaves", {"items": data["leaves"]})
    return session.set(
        seal={name: data[name] for name in ("algorithm", "count", "digest")},
        synthesis={**_NO_SYNTHESIS, "status": status},
        timer=None,
        closed_at=to_text(event.at),
    ).to(CLOSED)


def _revealed(session: Session, event: Event) -> Session:
    return session.set(revealed_at=to_text(event.at)).to(REVEALED)


def _reopened(session: Session, event: Event) -> Session:
    for member in _forgotten(session):
        session = _without(session, member)
    for key, response in session.collection("responses").items():
        session = session.put("responses", key, {**response, "authored": False})
    session = session.drop("texts", SYNTHESIS).drop("seal", "leaves")
    return session.set(
        round=event.data["round"],
        seal=None,
        synthesis=_NO_SYNTHESIS,
        tokens={**session.data["tokens"], "reserved": 0},
        timer=None,
        closed_at=None,
        revealed_at=None,
    ).to(CAPTURING)


def _synthesis_requested(session: Session, event: Event) -> Session:
    present = session.data["synthesis"]
    asked = {"status": GENERATING, "job": event.data["job"], "round": event.data["round"], "reason": ""}
    tokens = {**session.data["tokens"], "reserved": event.part(USAGE).get("reserved", 0)}
    return session.set(synthesis={**present, **asked, "progress": None}, tokens=tokens)


def _synthesis_progressed(session: Session, event: Event) -> Session:
    progress = {"phase": event.data["phase"], "group": 1, "groups": 1, **event.part(USAGE)}
    return session.set(synthesis={**session.data["synthesis"], "progress": progress})


def _synthesis_completed(session: Session, event: Event) -> Session:
    """The pieces lie in parts of their own, so that one of them can be destroyed alone."""
    pieces = {
        owner.removeprefix(f"{SYNTHESIS}."): content
        for owner, content in event.personal.items()
        if owner.startswith(f"{SYNTHESIS}.") and owner != f"{SYNTHESIS}.written"
    }
    done = {"status": COMPLETE, "job": None, "reason": "", "progress": None, "completed_at": to_text(event.at)}
    session = session.put("texts", SYNTHESIS, {"pieces": pieces})
    return _settled(session, event).set(synthesis={**session.data["synthesis"], **done})


def _settled(session: Session, event: Event) -> Session:
    """What was set aside goes back; what the model used is counted."""
    tokens, used = session.data["tokens"], event.part(USAGE)
    added = {name: tokens[name] + used.get(f"{name}_tokens", 0) for name in ("input", "output")}
    return session.set(tokens={**added, "reserved": 0})


def _synthesis_failed(session: Session, event: Event) -> Session:
    ended = {"status": FAILED, "job": None, "reason": event.data["reason"], "progress": None}
    return _settled(session, event).set(synthesis={**session.data["synthesis"], **ended})


def _synthesis_stopped(session: Session, event: Event) -> Session:
    """Nothing of it stays; what stood there before it began is what stands there now."""
    if session.data["synthesis"]["job"] != event.data["job"]:
        return session
    if SYNTHESIS in session.collection("texts"):
        status = COMPLETE
    else:
        gone = sum(str(member) in session.collection("responses") for member in _forgotten(session))
        sealed = (session.data["seal"] or {"count": terms.LEAST_RESPONSES})["count"]
        status = INSUFFICIENT if sealed - gone < terms.LEAST_RESPONSES else PENDING
    ended = {"status": status, "job": None, "progress": None}
    return _settled(session, event).set(synthesis={**session.data["synthesis"], **ended})


def _forgotten(session: Session) -> list[int]:
    """Members erased after capture. Not read from what is missing: an erasure changes that backwards."""
    return [each["id"] for each in session.collection("roster").values() if each.get("forgotten")]


def _notes_saved(session: Session, event: Event) -> Session:
    kept = {**session.collection("texts").get("notes", {}), **event.part(WHOLE)}
    return session.put("texts", "notes", kept)


def _recalibration_marked(session: Session, event: Event) -> Session:
    marked = {"completed": event.data["completed"], "by": event.data["by"], "at": to_text(event.at)}
    return session.set(recalibration=marked)


def _anonymity_raised(session: Session, event: Event) -> Session:
    return session.set(anonymity=event.data["level"])


def _authorship_claimed(session: Session, event: Event) -> Session:
    leaves = session.collection("seal").get("leaves", {}).get("items", [])
    for member, response in session.collection("responses").items():
        if not response["erased"] and seal.label(leaves, response["leaf"]) == event.data["response"]:
            return session.put("responses", member, {**response, "authored": True})
    return session


def _member_forgotten(session: Session, event: Event) -> Session:
    """While capture is open the member just goes; afterwards the place stays, without name and content."""
    member = event.data["member"]
    if session.state == CAPTURING:
        return _without(session, member)
    key = str(member)
    session = session.drop("claims", key).drop("links", key)
    if key in session.collection("roster"):
        session = session.put("roster", key, {"id": member, "name": ERASED_NAME, "forgotten": True})
    response = session.collection("responses").get(key)
    if response is not None:
        kept = {name: response[name] for name in ("claim", "revision", "at")}
        session = session.put("responses", key, {**kept, "authored": False, "erased": True})
    return session


_STEPS: Mapping[str, Callable[[Session, Event], Session]] = {
    "created": _created,
    "month_changed": _month_changed,
    "started": _started,
    "claimed": _claimed,
    "left": _claim_ended,
    "claim_released": _claim_ended,
    "submitted": _submitted,
    "response_cleared": _response_cleared,
    "links_issued": _links_issued,
    "roster_added": _roster_added,
    "roster_removed": _roster_removed,
    "timer_set": _timer_set,
    "closed": _closed,
    "revealed": _revealed,
    "reopened": _reopened,
    "synthesis_requested": _synthesis_requested,
    "synthesis_progressed": _synthesis_progressed,
    "synthesis_completed": _synthesis_completed,
    "synthesis_failed": _synthesis_failed,
    "synthesis_cancelled": _synthesis_stopped,
    "synthesis_discarded": _synthesis_stopped,
    "notes_saved": _notes_saved,
    "recalibration_marked": _recalibration_marked,
    "anonymity_raised": _anonymity_raised,
    "authorship_claimed": _authorship_claimed,
    "member_forgotten": _member_forgotten,
}
