"""Exports on paper: whatever was written stays text, in every format."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from typing import Any

import pytest

from sitting.apps.solve import SessionStatus, SolveStep, SSEDoneEvent, SSETokenEvent, figures, papers

NASTY = "<img src=x> & [link](javascript:1) *bold*\n# no heading\n=1+1"
CARD = {"id": "A", "title": "Talk <b>", "actions": ["say it"], "pros": ["soon"], "cons": ["hard"], "effort": "low"}
SESSION: dict[str, Any] = {
    "id": "1d8f36a2-0000-4000-8000-000000000001",
    "session_id": "1d8f36a2-0000-4000-8000-000000000001",
    "status": "completed",
    "current_step": "commit",
    "title": NASTY,
    "locale": "en",
    "tags": ["=1+1", "work"],
    "created_at": "2026-01-31T12:00:00.000Z",
    "updated_at": "2026-01-31T12:00:00.000Z",
    "completed_at": "2026-01-31T12:30:00.000Z",
    "first_step_action": "@call; him, tonight\\now",
    "confidence": 7,
    "reminder_time": "2026-02-01T20:00:00.000Z",
    "action_completed": False,
    "action_completed_at": None,
    "outcome": None,
    "message_count": 2,
    "beliefs": {"goal": {"text": "a <raise>", "message_id": "m", "quote": "raise", "by": "model"}, "stakes": None},
    "options": [CARD],
    "chosen_option": "A",
}
DOCUMENT = {
    "session": SESSION,
    "messages": [
        {"role": "user", "step": "receive", "created_at": "x", "status": "completed", "content": NASTY},
        {"role": "assistant", "step": "receive", "created_at": "y", "status": "cancelled", "content": "I und"},
    ],
}


def test_a_page_holds_everything_and_no_markup_of_others() -> None:
    page = papers.html(DOCUMENT)
    assert "&lt;img src=x&gt;" in page and "<img" not in page and "a &lt;raise&gt;" in page and "<b>" not in page
    assert "# no heading\n=1+1" in page and "I und" in page and "(chosen)" in page
    assert "Reply, receive, y, cancelled" in page and '<html lang="en">' in page
    assert papers.NOTICE in page and "http" not in page


def test_markdown_shows_what_was_written_as_it_was_written() -> None:
    text = papers.markdown(DOCUMENT)
    assert "> &lt;img src=x&gt; &amp; \\[link\\](javascript:1) \\*bold\\*\n> \\# no heading\n> \\=1+1" in text
    assert "<" not in text and "### A: Talk &lt;b&gt; (chosen)" in text and "- goal: a &lt;raise&gt;" in text
    assert papers.NOTICE in text
    bare = {**SESSION, "options": None, "beliefs": {}}
    assert "##" not in papers.markdown({"session": bare, "messages": []}).replace("## Messages", "")


@pytest.mark.parametrize("end", ["\n", "\r", "\x0b", "\x0c", "\x85", "\u2028"])
def test_no_line_of_a_message_begins_anything(end: str) -> None:
    said = end.join(["a", "  # b", "+ c", "", "> d", "===", "1986. e", "2) f"])
    message = {"role": "user", "step": "receive", "created_at": "x", "status": "completed", "content": said}
    text = papers.markdown({**DOCUMENT, "messages": [message]})
    assert "> a\n>   \\# b\n> \\+ c\n> \n> &gt; d\n> \\===\n> 1986\\. e\n> 2\\) f" in text


def test_no_cell_is_a_formula() -> None:
    rows = list(csv.DictReader(io.StringIO(papers.sessions_csv([SESSION]))))
    assert rows[0]["first_step_action"].startswith("'@call") and rows[0]["tags"] == "'=1+1, work"
    assert rows[0]["title"] == NASTY and rows[0]["outcome"] == "" and rows[0]["action_completed"] == "false"
    assert rows[0]["confidence"] == "7" and tuple(rows[0]) == papers.COLUMNS


def test_a_calendar_entry_has_whole_lines_of_a_bounded_length() -> None:
    now = datetime(2026, 1, 31, 13, tzinfo=UTC)
    entry = papers.calendar({**SESSION, "title": "字" * 60 + "\r\nEND:VEVENT"}, now)
    lines = entry.split("\r\n")
    assert all(len(line.encode()) <= 75 for line in lines) and entry.endswith("END:VCALENDAR\r\n")
    assert "DTSTART:20260201T200000Z" in lines and "DTSTAMP:20260131T130000Z" in lines
    whole = entry.replace("\r\n ", "")
    assert "SUMMARY:@call\\; him\\, tonight\\\\now\r\n" in whole
    assert "DESCRIPTION:" + "字" * 60 + " END:VEVENT\r\n" in whole and lines.count("END:VEVENT") == 1


def test_the_overview_counts_what_the_views_say() -> None:
    today = date(2026, 2, 1)
    active = {**SESSION, "status": "active", "current_step": "options", "completed_at": None, "tags": ["work"]}
    old = {**SESSION, "status": "abandoned", "completed_at": None, "created_at": "2025-01-01T00:00:00.000Z"}
    done = {**SESSION, "action_completed": True}
    found = figures.overview([active, old, done, SESSION], today)
    assert found["total"] == 4 and found["by_status"] == {"active": 1, "completed": 2, "abandoned": 1}
    assert found["by_step"] == {"receive": 0, "clarify": 0, "reframe": 0, "options": 1, "commit": 0}
    assert found["completion_rate"] == 2 / 3 and found["action_completion_rate"] == 0.5
    assert found["top_tags"] == [{"tag": "work", "count": 4}, {"tag": "=1+1", "count": 3}]
    assert len(found["trend"]) == 30 and found["trend"][-1] == {"date": "2026-02-01", "created": 0, "completed": 0}
    assert found["trend"][-2] == {"date": "2026-01-31", "created": 3, "completed": 2}
    nothing = figures.overview([], today)
    assert nothing["completion_rate"] is None and nothing["action_completion_rate"] is None
    rows = list(csv.reader(io.StringIO(papers.stats_csv(found))))
    assert ["by_step", "options", "1"] in rows and ["top_tags", "'=1+1", "3"] in rows
    assert ["trend", "2026-01-31 completed", "2"] in rows and ["total", "", "4"] in rows


def test_the_documented_names_of_the_python_interface() -> None:
    assert SessionStatus("active") is SessionStatus.ACTIVE
    assert [step.value for step in SolveStep] == ["receive", "clarify", "reframe", "options", "commit"]
    assert SSETokenEvent(content="I ").frame() == 'event: token\ndata: {"content": "I "}\n\n'
    assert SSETokenEvent(content="好\n").frame("t.2") == 'event: token\ndata: {"content": "好\\n"}\nid: t.2\n\n'
    ended = SSEDoneEvent(next_step=SolveStep.CLARIFY, emotion_detected="neutral", tactic=None)
    assert (
        ended.frame()
        == 'event: done\ndata: {"next_step": "clarify", "emotion_detected": "neutral", "tactic": null}\n\n'
    )
