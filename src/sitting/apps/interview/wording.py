"""An interview in words: all of it as Markdown, and its figures, each with its formula. Facts, never a verdict."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...core import paper

NOTHING = "no figure"


@dataclass(frozen=True)
class Row:
    """One figure."""

    label: str
    value: str
    formula: str


def rows(analytics: Mapping[str, Any]) -> list[Row]:
    """The figures of an interview in the order they are shown."""

    def row(label: str, name: str, formula: str) -> Row:
        value = analytics[name]
        return Row(label, NOTHING if value is None else _WORDS[name](value), formula)

    return [
        row("Active time", "active_duration", "sum of the active intervals; pauses do not count"),
        row("Total time", "total_duration", "end minus start; until now while it runs"),
        row("Time used", "time_utilization", "active time / time limit, with extensions"),
        row("Tokens used", "token_utilization", "tokens used / token budget, with extensions"),
        row("New content", "token_efficiency", "(own + output) / tokens used; the rest sends the conversation again"),
        row("Written by the model", "ai_dependency_share", "output / (own + output)"),
        row("Messages a minute", "messages_per_minute", "messages of the candidate / active minutes"),
        row("Tokens a message", "avg_tokens_per_message", "tokens used / messages of both"),
        row("Time to think", "median_think_ms", "median active time from the end of a reply to the next message"),
        row("Time to first word", "median_first_token_ms", "median time until a reply begins"),
    ]


def seconds(value: float) -> str:
    """A duration: `0.4 s`, `2 min 05 s`, `1 h 05 min`."""
    whole = int(value)
    if value < 10:
        return f"{value:.1f} s"
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    return f"{minutes} min {whole % 60:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def _milliseconds(value: float) -> str:
    return seconds(value / 1000)


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _number(value: float) -> str:
    return f"{value:,.4g}" if value < 1000 else f"{value:,.0f}"


_WORDS = {
    "active_duration": seconds,
    "total_duration": seconds,
    "time_utilization": _percent,
    "token_utilization": _percent,
    "token_efficiency": _percent,
    "ai_dependency_share": _percent,
    "messages_per_minute": _number,
    "avg_tokens_per_message": _number,
    "median_think_ms": _milliseconds,
    "median_first_token_ms": _milliseconds,
}


def markdown(document: Mapping[str, Any]) -> str:
    """The document as Markdown: who, limits, every message in full, notes and scores where they are part of it.

    What people and models wrote stays text, so that whoever shows it fetches nothing and leads nowhere.
    """
    session = document["session"]
    lines = [f"# Interview {session['id']}", ""]
    if "candidate_name" in session:
        lines += [f"Candidate: {paper.inline(session['candidate_name'])}", ""]
    lines += [f"Status: {session['status']}. Tokens used: {session['tokens_used']}.", "", "## Messages", ""]
    for message in document["messages"]:
        who = "Candidate" if message["role"] == "user" else "Model"
        mark = f" ({message['mark']})" if message["mark"] else ""
        lines += [f"### {who}, {message['created_at']}{mark}", "", paper.block(message["content"]), ""]
    for note in document.get("notes", []):
        lines += ["## Note", "", paper.block(note["text"]), ""]
    cards = document.get("scorecards") or {}
    for card in filter(None, [cards.get("own"), *cards.get("others", ())]):
        lines += ["## Scorecard", ""]
        for score in card["scores"]:
            lines += [f"- {paper.inline(score['criterion'])}: {score['score']}"]
            lines += [f"  - seq {quoted['seq']}: {paper.inline(quoted['quote'])}" for quoted in score["citations"]]
        lines += ["", paper.block(card["summary"]), ""]
    return "\n".join([*lines, f"Journal head: {document['head']}", ""])
