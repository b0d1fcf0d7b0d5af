"""The responses of a session: whose they are, what they are called, and whether they are what was sealed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from ...core.event import Event
from ...core.session import Session
from . import seal
from .terms import SYNTHESIS, member_owner

SEALED = frozenset({"submitted", "closed"})  # what a seal is made of, in the journal
MOST_PARTS, LEAST_GAP = 8, 64


def counts(session: Session) -> tuple[int, int]:
    """How many take part, and how many of them have submitted."""
    roster = session.collection("roster")
    return len(roster), sum(member in session.collection("responses") for member in roster)


def piece(session: Session, name: str) -> Mapping[str, Any]:
    """One piece of the synthesis; empty when there is none, or it was destroyed."""
    pieces: Mapping[str, Any] = session.collection("texts").get(SYNTHESIS, {}).get("pieces", {})
    return pieces.get(name) or {}


def present(session: Session) -> dict[int, Mapping[str, Any]]:
    """Member -> response, of those whose content is there, by member."""
    found = session.collection("responses").items()
    return {int(key): each for key, each in sorted(found, key=lambda item: int(item[0])) if not each["erased"]}


def leaves(session: Session) -> list[str]:
    """The sealed leaves, ascending; none while nothing is sealed."""
    return list(session.collection("seal").get("leaves", {}).get("items", ()))


def labelled(session: Session) -> dict[str, int]:
    """Label -> member, in the order of the labels; empty while nothing is sealed."""
    sealed = leaves(session)
    whose = {each["leaf"]: member for member, each in present(session).items()}
    return {f"R{place}": whose[leaf] for place, leaf in enumerate(sealed, 1) if leaf in whose}


def claim_of(session: Session, actor: str) -> tuple[int, Mapping[str, Any]] | None:
    """The member an actor holds, and the claim."""
    for key, claim in session.collection("claims").items():
        if claim["actor"] == actor:
            return int(key), claim
    return None


def own(session: Session, claim: int) -> int | None:
    """The member whose response came in under this claim, while the claim holds."""
    for key, held in session.collection("claims").items():
        response = session.collection("responses").get(key)
        if held["claim"] == claim and response is not None and response["claim"] == claim and not response["erased"]:
            return int(key)
    return None


def matches(session: Session) -> bool:
    """Whether what is there now is what was sealed. Content that was destroyed on request counts as present."""
    sealed, kept = session.data["seal"], leaves(session)
    if sealed is None:
        return False
    shown = [seal.leaf(each["card"], each["bullets"], each["salt"]) for each in present(session).values()]
    erased = len(session.collection("responses")) - len(shown)
    return (
        set(shown) <= set(kept)
        and len(kept) == sealed["count"]
        and len(kept) - len(shown) == erased
        and seal.digest(kept) == sealed["digest"]
    )


def places(session: Session, events: Iterable[Event]) -> list[int]:
    """Where in the journal the present responses and their seal stand, ascending, given those of SEALED in order."""
    last = {event.data.get("member"): event.seq for event in events}  # a seal is of no member
    return sorted(
        seq for member, seq in last.items() if member is None or str(member) in session.collection("responses")
    )


def parts(places: Sequence[int]) -> list[tuple[int, int]]:
    """These places of a journal as a few parts of it, (first, last), which leave the widest gaps out."""
    gaps = sorted(range(1, len(places)), key=lambda at: places[at - 1] - places[at])[: MOST_PARTS - 1]
    cuts = [0, *sorted(at for at in gaps if places[at] - places[at - 1] > LEAST_GAP), len(places)]
    return [(places[first], places[last - 1]) for first, last in pairwise(cuts)]


def stands(session: Session, events: Sequence[Event]) -> bool:
    """Whether the present responses and their seal are what these events of the journal say."""
    closed = next((event for event in reversed(events) if event.type == "closed"), None)
    said = {each: event.part(member_owner(each)) for event in events if (each := event.data.get("member")) is not None}
    return (
        closed is not None
        and closed.data["leaves"] == leaves(session)
        and all(closed.data[name] == value for name, value in (session.data["seal"] or {}).items())
        and all(
            each["leaf"] == seal.leaf(each["card"], each["bullets"], each["salt"])
            and all(said.get(member, {}).get(name) == each[name] for name in ("card", "bullets", "salt"))
            for member, each in present(session).items()
        )
    )
