"""What a session's journal and views add up to: messages, turns, the end of a turn, actions, and figures over many.

Everything is computed from events and views, so a page, a stream and an export cannot disagree.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from ...core.event import Event, to_text
from . import terms
from .terms import EventType

MESSAGE = EventType.MESSAGE_RECEIVED
TALK = frozenset({MESSAGE, EventType.TURN_STARTED, *terms.ENDS})
MOVES = frozenset({"step_advanced", "step_contested"})
AROUND_AN_END = TALK | MOVES | {"crisis_detected", "options_offered", "completed", "abandoned"}
LONGEST_REPORT = 16  # events in the transaction that ends a turn, at most
DAYS = 30
TAGS = 10


def content(event: Event) -> dict[str, Any]:
    """An event's data with its texts; without them once they are erased."""
    return {**event.data, **event.part(terms.OWNER)}


def messages(events: Iterable[Event]) -> list[dict[str, Any]]:
    """What was said, oldest first. A reply that was cut off is there with what it had said."""
    said: list[dict[str, Any]] = []
    steps: dict[str, str] = {}
    for event in events:
        data = content(event)
        if event.type == MESSAGE:
            said.append(_message(event, data, "user", data["step"], data.get("content", ""), "completed"))
        elif event.type == "turn_started":
            steps[data["turn"]] = data["step"]
        elif event.type in terms.ENDS and data.get("text"):
            step = steps.get(data["turn"], "")
            said.append(_message(event, data, "assistant", step, data["text"], terms.ENDS[EventType(event.type)]))
    return said


def turn(events: Iterable[Event], id: str) -> dict[str, Any] | None:
    """One turn as its events tell it; None when there is no such turn."""
    made: dict[str, Any] | None = None
    for event in events:
        data = content(event)
        if data.get("turn") != id:
            continue
        if event.type == "turn_started":
            made = {
                "turn": id,
                "step": data["step"],
                "status": "running",
                "source": data["source"],
                "evidence": data.get("evidence") or [],
                "tactic": data.get("tactic"),
                "code": None,
                "started_at": to_text(event.at),
                "ended_at": None,
                "input_tokens": None,
                "output_tokens": None,
                "text": "",
            }
        elif event.type in terms.ENDS and made is not None:
            made |= {
                "status": terms.ENDS[EventType(event.type)],
                "code": data.get("code"),
                "ended_at": to_text(event.at),
            }
            made |= {name: data.get(name) for name in ("input_tokens", "output_tokens")}
            made["text"] = data.get("text") or ""
    return made


def done(events: Sequence[Event], id: str, resources: Mapping[str, str]) -> dict[str, Any] | None:
    """How a turn ended and what it changed, as of that moment: the same to whoever asks, whenever.

    `events` are those of AROUND_AN_END up to LONGEST_REPORT after the turn's end. None when the turn has no end there.
    """
    mine = [event for event in events if event.data.get("turn") == id]
    end = next((event for event in mine if event.type in terms.ENDS), None)
    started = next((event for event in mine if event.type == "turn_started"), None)
    if end is None or started is None:
        return None
    told, begun = content(end), content(started)
    report = {event.type: content(event) for event in events if _together(event, end)}
    heard = [event for event in events if event.type == MESSAGE and event.seq < end.seq]
    before = [event for event in events if event.type in MOVES and started.seq < event.seq < end.seq]
    step = content(before[-1])["to"] if before else begun["step"]
    moved = report.get("step_advanced") if end.actor.startswith("system:") else None
    finished = "completed" in report
    made: dict[str, Any] = {
        "next_step": None if finished else moved["to"] if moved else step,
        "emotion_detected": content(heard[-1])["emotion_detected"] if heard else "neutral",
        "turn": id,
        "status": terms.ENDS[EventType(end.type)],
        "session_status": "completed" if finished else "abandoned" if "abandoned" in report else "active",
        "step_moved": moved is not None,
        "evidence": list((moved or (begun if finished else {})).get("evidence") or ()),
        "tactic": told.get("tactic") or begun.get("tactic"),
        "suggestions": list(told.get("suggestions") or ()),
        "options": (report.get("options_offered") or {}).get("cards"),
        "message_id": told.get("message_id") if told.get("text") else None,
        "seq": end.seq,
    }
    if any(event.type == "crisis_detected" for event in mine):
        made |= {"blocked": True, "reason": "CRISIS", "resources": dict(resources)}
    return made


def fault(events: Sequence[Event], id: str) -> str | None:
    """The code a turn failed with; None when it did not fail."""
    failed = (event for event in events if event.type == "turn_failed" and event.data.get("turn") == id)
    return next((str(event.data.get("code") or "MODEL_FAILED") for event in failed), None)


def action(view: Mapping[str, Any]) -> dict[str, Any]:
    """A finished session as a line of the ledger of actions."""
    names = (
        "id", "session_id", "title", "first_step_action", "confidence", "reminder_time", "action_completed",
        "action_completed_at", "outcome",
    )  # fmt: skip
    return {name: view[name] for name in names}


def rate(part: int, whole: int) -> float | None:
    """A share; None of nothing."""
    return part / whole if whole else None


def overview(views: Sequence[Mapping[str, Any]], today: date) -> dict[str, Any]:
    """The figures over all of a person's sessions. Days are those of UTC, the last one `today`."""
    status = Counter(view["status"] for view in views)
    steps = Counter(view["current_step"] for view in views if view["status"] == "active")
    tags = Counter(tag for view in views for tag in view["tags"])
    completed = [view for view in views if view["status"] == "completed"]
    created_on = Counter(view["created_at"][:10] for view in views)
    completed_on = Counter(view["completed_at"][:10] for view in completed)
    days = [(today - timedelta(days=back)).isoformat() for back in reversed(range(DAYS))]
    return {
        "total": len(views),
        "by_status": {name: status[name] for name in terms.SessionStatus},
        "by_step": {name: steps[name] for name in terms.STEPS},
        "completion_rate": rate(status["completed"], status["completed"] + status["abandoned"]),
        "action_completion_rate": rate(sum(view["action_completed"] for view in completed), len(completed)),
        "top_tags": [
            {"tag": tag, "count": count} for tag, count in sorted(tags.items(), key=lambda item: (-item[1], item[0]))
        ][:TAGS],
        "trend": [{"date": day, "created": created_on[day], "completed": completed_on[day]} for day in days],
    }


def _message(event: Event, data: Mapping[str, Any], role: str, step: str, text: str, status: str) -> dict[str, Any]:
    return {
        "message_id": data.get("message_id"),
        "turn": data["turn"],
        "role": role,
        "content": text,
        "step": step,
        "created_at": to_text(event.at),
        "status": status,
        "emotion_detected": data.get("emotion_detected"),
    }


def _together(event: Event, end: Event) -> bool:
    """Whether two events were told in one report: nobody else speaks with its voice in the same millisecond."""
    return event.actor == end.actor and event.at == end.at
