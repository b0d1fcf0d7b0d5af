"""Figures that need the journal: the transcript, analytics, the ledger, replay.

They are facts with their formula, never a verdict. Lengths and tokens stand in the events' `data`, so erasing what
people wrote changes no figure. Events come oldest first; ratios are rounded to four places, and None when there is
nothing to divide by.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from ...core.event import Event, to_text
from ...core.session import Session
from . import clock
from .terms import CANDIDATES, EventType
from .views import reason_of

CLUSTER_MS = 30_000
_CHARGED = (EventType.MESSAGE_RECEIVED, EventType.TURN_CANCELLED)
_ENDED = (*_CHARGED, EventType.TURN_FAILED)
_ASKED = (EventType.MESSAGE_SENT, EventType.TURN_RETRIED)
_STARTS = (EventType.SESSION_STARTED, EventType.SESSION_RESUMED)
_STOPS = (EventType.SESSION_PAUSED, EventType.SESSION_COMPLETED, EventType.SESSION_EXPIRED)


def messages(events: Sequence[Event]) -> list[dict[str, Any]]:
    """The transcript. A reply that failed or was stopped is in it, with its mark, also when it has no text."""
    items = []
    for event in events:
        if event.type == EventType.MESSAGE_SENT:
            items.append(_item(event, "user", tokens=event.data["tokens"], total_tokens=event.data["tokens"]))
        elif event.type in _ENDED:
            data = event.data
            spent = {name: data[name] for name in ("input_tokens", "output_tokens")}
            timing = {name: data.get(name) for name in ("first_token_ms", "duration_ms", "mark")}
            total = data["input_tokens"] + data["output_tokens"]
            items.append(_item(event, "assistant", tokens=data["output_tokens"], total_tokens=total, **spent, **timing))
    return items


def _item(event: Event, role: str, **figures: Any) -> dict[str, Any]:
    counted = ("tokens", "input_tokens", "output_tokens", "total_tokens", "first_token_ms", "duration_ms", "mark")
    return {
        "seq": event.seq,
        "id": event.data["message"],
        "turn": event.data["turn"],
        "role": role,
        "content": event.part(CANDIDATES).get("content"),
        **dict.fromkeys(counted),
        **figures,
        "created_at": to_text(event.at),
    }


@dataclass(frozen=True)
class _Moment:
    """An event with the active time before it."""

    event: Event
    active_ms: int


def _moments(events: Sequence[Event]) -> Iterator[_Moment]:
    total, running, limit = 0, None, 0
    for event in events:
        now = clock.ms(event.at)
        limit = event.data.get("time_limit", limit)
        active = total + (0 if running is None else now - running)
        if event.type == EventType.SESSION_EXPIRED:
            active = limit * 1000
        yield _Moment(event, active)
        if event.type in _STARTS:
            running = now
        elif event.type in _STOPS:
            total, running = active, None


def analytics(session: Session, events: Sequence[Event], now: datetime) -> dict[str, Any]:
    """How time and tokens were used."""
    active = clock.active_ms(session, now) / 1000
    used, output = clock.tokens_used(session), int(session.data["output_tokens"])
    sent = [event for event in events if event.type == EventType.MESSAGE_SENT]
    own = _own_tokens(events)
    timeline = _timeline(events)
    return {
        "total_duration": _total_seconds(session, now),
        "active_duration": active,
        "time_utilization": _ratio(active, session.data["time_limit"]),
        "token_utilization": _ratio(used, session.data["token_budget"]),
        "token_efficiency": _share(own + output, used),
        "messages_per_minute": _ratio(len(sent), active / 60),
        "avg_tokens_per_message": _ratio(used, session.data["messages"] if used else 0),
        "ai_dependency_share": _share(output, own + output),
        "median_think_ms": _median(_thinking(events)),
        "median_first_token_ms": _median(
            [event.data["first_token_ms"] for event in events if event.data.get("first_token_ms") is not None]
        ),
        "token_usage_timeline": timeline,
    }


def _total_seconds(session: Session, now: datetime) -> float | None:
    start, end = session.data["start"], session.data["end"]
    return None if start is None else ((clock.ms(now) if end is None else end) - start) / 1000


def _own_tokens(events: Sequence[Event]) -> int:
    """Tokens of the candidate's messages whose turn was charged; each counts once, however often it was tried."""
    tokens: dict[str, int] = {}
    asked: dict[str, str] = {}
    charged: set[str] = set()
    for event in events:
        if event.type in _ASKED:
            asked[event.data["turn"]] = event.data["message"]
        if event.type == EventType.MESSAGE_SENT:
            tokens[event.data["message"]] = event.data["tokens"]
        elif event.type in _CHARGED and event.data["charged"]:
            charged.add(asked.get(event.data["turn"], ""))
    return sum(count for message, count in tokens.items() if message in charged)


def _thinking(events: Sequence[Event]) -> list[int]:
    """Active time from the end of a reply to the next message."""
    spans, ended = [], None
    for moment in _moments(events):
        if moment.event.type in _ENDED:
            ended = moment.active_ms
        elif moment.event.type == EventType.MESSAGE_SENT and ended is not None:
            spans.append(moment.active_ms - ended)
            ended = None
    return spans


def _timeline(events: Sequence[Event]) -> list[dict[str, int]]:
    points, used = [], 0
    for moment in _moments(events):
        if moment.event.type in _ENDED:
            used += moment.event.data["charged"]
            points.append({"active_ms": moment.active_ms, "tokens_used": used})
    return points


def _ratio(value: float, of: float) -> float | None:
    return round(value / of, 4) if of else None


def _share(value: float, of: float) -> float | None:
    return min(1.0, round(value / of, 4)) if of else None


def _median(values: Sequence[int]) -> float | None:
    return median(values) if values else None


def ledger(session: Session, events: Sequence[Event], now: datetime) -> dict[str, list[dict[str, Any]]]:
    """Every change of both limits, each with the balance after it; the last balances are what is left now."""
    return {"time": _time_lines(session, events, now), "tokens": _token_lines(events)}


def _time_lines(session: Session, events: Sequence[Event], now: datetime) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    balance, counted = 0, 0

    def add(ts: str, kind: str, milliseconds: int, why: str) -> None:
        nonlocal balance
        balance += milliseconds
        lines.append(
            {"ts": ts, "kind": kind, "seconds": _seconds(milliseconds), "balance": _seconds(balance), "why": why}
        )

    limit = 0
    for moment in _moments(events):
        event, ts = moment.event, to_text(moment.event.at)
        if "time_limit" in event.data:
            grown, limit = event.data["time_limit"] - limit, event.data["time_limit"]
            extended = event.type == EventType.TIME_EXTENDED
            why = reason_of(event) if extended else "Time limit set"
            add(ts, "extended" if extended else "granted", grown * 1000, why)
        if event.type in _STOPS and moment.active_ms > counted:
            add(ts, "used", counted - moment.active_ms, _STOPPED[event.type])
            counted = moment.active_ms
    if (active := clock.active_ms(session, now)) > counted:
        add(to_text(now), "used", max(counted - active, -balance), "Active until now")
    return lines


_STOPPED: Mapping[str, str] = {
    EventType.SESSION_PAUSED: "Active until the pause",
    EventType.SESSION_COMPLETED: "Active until the end",
    EventType.SESSION_EXPIRED: "Active until the time was up",
}


def _seconds(milliseconds: int) -> int | float:
    return milliseconds // 1000 if milliseconds % 1000 == 0 else milliseconds / 1000


def _token_lines(events: Sequence[Event]) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    balance, budget, reserved = 0, 0, 0

    def add(event: Event, kind: str, tokens: int, why: str) -> None:
        nonlocal balance
        balance += tokens
        line = {"ts": to_text(event.at), "kind": kind, "tokens": tokens, "balance": balance}
        lines.append(line | {"turn": event.data.get("turn"), "why": why})

    for event in events:
        data = event.data
        if "token_budget" in data:
            grown, budget = data["token_budget"] - budget, data["token_budget"]
            extended = event.type == EventType.TOKENS_EXTENDED
            why = reason_of(event) if extended else "Token budget set"
            add(event, "extended" if extended else "granted", grown, why)
        if event.type in _ASKED:
            reserved = data["reserved"]
            answer = reserved - data["prompt_tokens"]
            add(event, "reserved", -reserved, f"Prompt of {data['prompt_tokens']}, up to {answer} for the reply")
        elif event.type in _ENDED:
            add(event, "released", reserved, "The reservation is given back")
            if data["charged"]:
                add(event, "settled", -data["charged"], _settled(event))
            reserved = 0
    return lines


def _settled(event: Event) -> str:
    data = event.data
    ended = "Stopped reply" if event.type == EventType.TURN_CANCELLED else "Reply"
    return f"{ended}: {data['input_tokens']} for the prompt, {data['output_tokens']} for the text"


_MARKS: Mapping[str, str] = {
    EventType.MESSAGE_RECEIVED: "ai_turn",
    EventType.TURN_CANCELLED: "ai_turn",
    EventType.TURN_FAILED: "ai_turn",
    EventType.SESSION_PAUSED: "pause",
    EventType.TIME_WARNING: "warning",
    EventType.TOKEN_WARNING: "warning",
    EventType.TIME_EXTENDED: "extension",
    EventType.TOKENS_EXTENDED: "extension",
    EventType.NOTE_ADDED: "note",
    EventType.INTEGRITY_MARKED: "integrity",
}


def marks(events: Sequence[Event], actor_id: str | None) -> list[dict[str, Any]]:
    """Places worth jumping to, for one interviewer, or for the candidate (None): no notes of others, no integrity.

    A note stands at the place it belongs to, when it has one. Integrity marks of one kind within 30 s are one.
    """
    found: list[dict[str, Any]] = []
    clusters: dict[str, int] = {}
    for event in events:
        kind = _MARKS.get(event.type)
        if kind is None or (kind == "note" and event.actor != actor_id):
            continue
        seq = event.seq
        if kind == "note":
            seq = event.data["at_seq"] or seq
        if kind == "integrity":
            now, noticed = clock.ms(event.at), event.data["kind"]
            if actor_id is None or now - clusters.get(noticed, -CLUSTER_MS - 1) <= CLUSTER_MS:
                continue
            clusters[noticed] = now
        found.append({"seq": seq, "kind": kind})
    return sorted(found, key=lambda mark: (mark["seq"], mark["kind"]))


def replay(
    view: Mapping[str, Any], session: Session, events: Sequence[Event], *, at: int, head: int, actor_id: str | None
) -> dict[str, Any]:
    """The session after its first `at` events, as `view` shows it, and the marks of the whole journal."""
    moment = session.updated_at
    return {
        "at": at,
        "head": head,
        "active_ms": 0 if moment is None else clock.active_ms(session, moment),
        "session": dict(view),
        "messages": messages([event for event in events if event.seq <= at]),
        "marks": marks(events, actor_id),
    }


def challenge_stats(uses: Sequence[tuple[float, int]]) -> dict[str, Any]:
    """What a challenge took, from the active seconds and tokens of the interviews that used it."""
    return {
        "uses": len(uses),
        "median_active_seconds": median(seconds for seconds, _ in uses) if uses else None,
        "median_tokens": median(tokens for _, tokens in uses) if uses else None,
    }
