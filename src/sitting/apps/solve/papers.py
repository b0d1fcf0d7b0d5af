"""A session on paper: Markdown, a page that stands alone, rows for a spreadsheet, and an entry for a calendar.

What a person or a model wrote stays text in each of them: it becomes no markup, no formula and no line of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Any

from ...core import paper
from . import terms

NOTICE = "A thinking aid. Not therapy, and not medical or legal advice."
COLUMNS = (
    "id", "status", "current_step", "title", "tags", "created_at", "updated_at", "completed_at", "first_step_action",
    "confidence", "reminder_time", "action_completed", "action_completed_at", "outcome", "message_count",
)  # fmt: skip
_FOLD = 74  # octets of a line in a calendar, the space that continues it not counted
Json = Mapping[str, Any]


def markdown(document: Json) -> str:
    """The whole session as Markdown."""
    session = document["session"]
    lines = [f"# {paper.inline(session['title'])}", "", NOTICE, ""]
    lines += [f"- {name}: {paper.inline(value)}" for name, value in _facts(session)]
    if believed := _beliefs(session):
        lines += ["", "## What was believed", "", *(f"- {slot}: {paper.inline(text)}" for slot, text in believed)]
    if cards := session["options"]:
        lines += ["", "## Options", ""]
        for card in cards:
            chosen = " (chosen)" if card["id"] == session["chosen_option"] else ""
            lines += [f"### {paper.inline(card['id'])}: {paper.inline(card['title'])}{chosen}", ""]
            lines += [f"- {name}: {paper.inline(text)}" for name, text in _card(card)] + [""]
    lines += ["", "## Messages", ""]
    for message in document["messages"]:
        lines += [f"### {_heading(message)}", "", paper.block(message["content"]), ""]
    return "\n".join(lines)


def html(document: Json) -> str:
    """The whole session as one page without anything from elsewhere."""
    session = document["session"]
    parts = [f"<h1>{escape(session['title'])}</h1>", f"<p>{NOTICE}</p>", _definitions(_facts(session))]
    if believed := _beliefs(session):
        parts += ["<h2>What was believed</h2>", _definitions(believed)]
    if cards := session["options"]:
        parts.append("<h2>Options</h2>")
        for card in cards:
            chosen = " (chosen)" if card["id"] == session["chosen_option"] else ""
            parts += [f"<h3>{escape(card['id'])}: {escape(card['title'])}{chosen}</h3>", _definitions(_card(card))]
    parts.append("<h2>Messages</h2>")
    for message in document["messages"]:
        parts += [f"<h3>{escape(_heading(message))}</h3>", f"<pre>{escape(message['content'])}</pre>"]
    head = f'<meta charset="utf-8"><title>{escape(session["title"])}</title>{_STYLE}'
    lang = escape(session["locale"])
    return (
        f'<!doctype html>\n<html lang="{lang}"><head>{head}</head>\n<body>\n' + "\n".join(parts) + "\n</body></html>\n"
    )


def sessions_csv(views: Iterable[Json]) -> str:
    """A row for each session."""
    return paper.table(COLUMNS, ([_plain(view[name]) for name in COLUMNS] for view in views))


def stats_csv(overview: Json) -> str:
    """The figures of the overview, one a row."""
    rows = [["total", "", overview["total"]]]
    rows += [[name, key, count] for name in ("by_status", "by_step") for key, count in overview[name].items()]
    rows += [[name, "", _plain(overview[name])] for name in ("completion_rate", "action_completion_rate")]
    rows += [["top_tags", item["tag"], item["count"]] for item in overview["top_tags"]]
    rows += [["trend", f"{day['date']} {name}", day[name]] for day in overview["trend"] for name in _OF_A_DAY]
    return paper.table(("figure", "of", "value"), rows)


def calendar(view: Json, now: datetime) -> str:
    """An entry at the time of the reminder."""
    at = datetime.fromisoformat(view["reminder_time"])
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//Sitting//Solve//EN",
        "BEGIN:VEVENT",
        f"UID:{view['id']}@sitting",
        f"DTSTAMP:{now:%Y%m%dT%H%M%SZ}",
        f"DTSTART:{at:%Y%m%dT%H%M%SZ}",
        "DURATION:PT15M",
        f"SUMMARY:{_escaped(view['first_step_action'] or view['title'])}",
        f"DESCRIPTION:{_escaped(view['title'])}",
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return "".join(f"{_folded(line)}\r\n" for line in lines)


_OF_A_DAY = ("created", "completed")
_STYLE = (
    "<style>body{font-family:sans-serif;max-width:45rem;margin:2rem auto;padding:0 1rem;line-height:1.5}"
    "pre{white-space:pre-wrap;font-family:inherit}dt{font-weight:bold}</style>"
)


def _facts(session: Json) -> list[tuple[str, str]]:
    known = {
        "Status": session["status"],
        "Step": session["current_step"],
        "Created": session["created_at"],
        "Completed": session["completed_at"],
        "Tags": ", ".join(session["tags"]),
        "First step": session["first_step_action"],
        "Reminder": session["reminder_time"],
        "Confidence": session["confidence"],
        "Outcome": session["outcome"],
    }
    return [(name, str(value)) for name, value in known.items() if value not in (None, "")]


def _beliefs(session: Json) -> list[tuple[str, str]]:
    found = ((slot, session["beliefs"].get(slot)) for slot in terms.SLOTS)
    return [(slot, belief["text"]) for slot, belief in found if belief]


def _card(card: Json) -> list[tuple[str, str]]:
    listed = [(name, "; ".join(card.get(name) or ())) for name in ("actions", "pros", "cons")]
    return [(name, text) for name, text in [*listed, ("effort", str(card.get("effort") or ""))] if text]


def _heading(message: Json) -> str:
    who = "You" if message["role"] == "user" else "Reply"
    mark = "" if message["status"] == "completed" else f", {message['status']}"
    return f"{who}, {message['step']}, {message['created_at']}{mark}"


def _definitions(pairs: Sequence[tuple[str, str]]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in pairs) + "</dl>"


def _plain(value: Any) -> Any:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ", ".join(value) if isinstance(value, list | tuple) else value


def _escaped(text: str) -> str:
    plain = " ".join(text.split())
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")


def _folded(line: str) -> str:
    """A line in pieces that are not too long, cut between characters."""
    pieces, piece = [], ""
    for character in line:
        if len((piece + character).encode()) > _FOLD:
            pieces.append(piece)
            piece = ""
        piece += character
    return "\r\n ".join([*pieces, piece])
