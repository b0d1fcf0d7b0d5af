"""The operator's commands, and the replay of recorded conversations: also that it notices a broken rule."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from sitting import bundle, errors
from sitting.apps.solve import commands, replay, replay_service
from sitting.apps.solve.app import APP
from sitting.apps.solve.cli import app
from sitting.apps.solve.replay import Course, Line
from sitting.config import Settings
from sitting.core.actor import Actor
from sitting.core.event import Event
from sitting.installation import Installation

ANN = Actor("user:ann", "default", frozenset({"member"}))
WORRY = "My boss ignores everything I propose"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with one session of Ann's."""
    with Installation(Settings(data=tmp_path, model="scripted"), apps=(APP,)) as installation:
        engine = installation.engine
        id = engine.open("solve", commands.Create(title="About my boss"), ANN).result().session.id
        engine.do(id, commands.SendMessage(content="I want to die"), ANN).result()
    return tmp_path


def run(data: Path, *arguments: str, model: str = "scripted", **options: Any) -> Result:
    environment = {"SITTING_MODEL": model, "SITTING_SOLVE_QUOTA_LIMIT": "1"}
    return CliRunner().invoke(app, [*arguments, "--data", str(data)], env=environment, **options)


def only(data: Path) -> dict[str, Any]:
    """The one session that the list shows."""
    found = json.loads(run(data, "list", "--json").stdout)
    assert found["total"] == 1
    row: dict[str, Any] = found["sessions"][0]
    return row


def test_the_list_tells_whose_and_where_but_no_text(data: Path) -> None:
    row = only(data)
    assert (row["owner"], row["status"], row["current_step"]) == ("user:ann", "active", "receive")
    told = run(data, "list").stdout
    assert told.startswith(row["id"]) and told.endswith("1 of 1\n") and "boss" not in told
    assert run(data, "list", "--status", "completed").stdout == "0 of 0\n"
    assert run(data, "list", "--space", "elsewhere").stdout == "0 of 0\n"


def test_a_status_that_is_none_is_no_empty_list(data: Path) -> None:
    assert isinstance(run(data, "list", "--status", "open").exception, errors.Invalid)


def test_a_file_that_cannot_be_written_is_said_in_a_sentence(data: Path, tmp_path: Path) -> None:
    wrong = run(data, "export", only(data)["id"], "--output", str(tmp_path / "nowhere" / "out")).exception
    assert isinstance(wrong, errors.Invalid) and "cannot be written" in wrong.message


@pytest.mark.parametrize("format", ["markdown", "json", "html"])
def test_an_export_is_the_owners_file_and_is_noted(data: Path, tmp_path: Path, format: str) -> None:
    id, target = only(data)["id"], tmp_path / "out"
    done = run(data, "export", id, "--format", format, "--output", str(target))
    assert done.exit_code == 0, done.output
    raw = target.read_bytes()
    assert b"About my boss" in raw and b"I want to die" in raw
    if format == "json":
        assert bundle.verify_file(raw).ok
        assert json.loads(raw)["events"][-1]["type"] == "exported"


def test_what_cannot_be_exported(data: Path) -> None:
    assert isinstance(run(data, "export", "nonsense").exception, errors.NotFound)
    assert isinstance(run(data, "export", only(data)["id"], "--format", "pdf").exception, errors.Invalid)


def test_delete_asks_first_and_leaves_nothing(data: Path) -> None:
    id = only(data)["id"]
    assert run(data, "delete", id, input="n\n").exit_code == 1
    assert only(data)["id"] == id
    assert run(data, "delete", id, "--yes").exit_code == 0
    assert run(data, "list").stdout == "0 of 0\n"
    assert isinstance(run(data, "delete", id, "--yes").exception, errors.NotFound)


def test_a_replay_plays_what_is_named_and_leaves_the_data_alone(data: Path) -> None:
    done = run(data, "replay", "crisis", "noise-keys")
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["held", "noise-keys"], ["held", "crisis"]]
    assert lines[2] == "2 of 2 held" and "stopped" not in done.stdout
    assert only(data)["status"] == "active"
    assert isinstance(run(data, "replay", "nothing").exception, errors.NotFound)
    assert isinstance(run(data, "replay", "crisis", model="none").exception, errors.ModelNotConfigured)


def test_all_twelve_conversations_hold_with_a_model_that_behaves(tmp_path: Path) -> None:
    chosen: dict[str, Any] = {"data": tmp_path, "model": "scripted", **replay_service.PLENTY}
    settings = Settings(**chosen)
    recorded = replay.conversations()
    assert len(recorded) == 12
    with Installation(settings, apps=(APP,)) as installation:
        verdicts = list(replay_service.run(installation, recorded))
    assert [verdict.line for verdict in verdicts if not verdict.held or verdict.stopped] == []
    assert [verdict.played for verdict in verdicts] == [len(known.says) for known in recorded]


# What a replay must notice. The events are what a program without these rules would have written.


def event(type: str, **data: Any) -> Event:
    actor = "user:ann" if type == "message_received" else "system:worker"
    return Event(1, type, actor, "owner", datetime(2026, 1, 31, tzinfo=UTC), data)


MOVED = event("step_advanced", **{"from": "receive", "to": "clarify", "by": "gate", "evidence": ["m"]})
SKIPPED = event("step_advanced", **{"from": "clarify", "to": "options", "by": "gate", "evidence": ["m"]})
UNGROUNDED = event("step_advanced", **{"from": "receive", "to": "clarify", "by": "owner", "evidence": []})
HEARD = event("message_received", substantive=True, content="x")
BY_MODEL = event("turn_started", source="model")
DONE = event("turn_completed", input_tokens=7)
CRISIS = event("crisis_detected", rule="x")
BROKEN: dict[str, tuple[Line, bool, list[Event], list[str]]] = {
    "the step moved to clarify without a reason": (Line("x"), False, [MOVED, DONE], []),
    "the step did not move although its gate was met": (Line("x"), True, [DONE], []),
    "the step went from clarify to options": (Line("x"), True, [SKIPPED, DONE], []),
    "the step moved without evidence": (Line("x"), True, [UNGROUNDED, DONE], []),
    "the step moved more than once": (Line("x"), True, [MOVED, MOVED, DONE], []),
    "option_chosen although nobody asked for it": (Line("x"), False, [event("option_chosen"), DONE], []),
    "committed although nobody asked for it": (Line("x"), False, [event("committed"), DONE], []),
    "a message of danger was not seen as one": (Line("x", crisis=True), False, [DONE], []),
    "a harmless message was taken for danger": (Line("x"), False, [CRISIS, DONE], []),
    "a message of danger was answered by the model": (Line("x", crisis=True), False, [CRISIS, BY_MODEL, DONE], []),
    "a message of low effort was counted": (Line("x", low=True), False, [HEARD, DONE], []),
    "the reply shows ---DATA---": (Line("x"), False, [DONE], ["Fine.", "Fine.\n---DATA---"]),
    'the reply shows {"cards":': (Line("x"), False, [DONE], ['{"cards": []}']),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_replay_notices(fault: str) -> None:
    line, meets, events, seen = BROKEN[fault]
    assert fault in set(replay.faults(line, events, seen, meets=meets, said='{"first_step": 1}'))


def test_a_replay_counts_for_itself_when_a_gate_is_met() -> None:
    line, low = Line("x"), Line("x", low=True)
    assert Course("receive").after(line).meets(line, 0) and not Course("receive").after(low).meets(low, 0)
    assert not Course("clarify", 1, 1).after(line).meets(line, 2) and Course("clarify", 1, 1).after(line).meets(line, 3)
    assert Course("clarify", 2, 2).after(line).meets(line, 0) and Course("clarify", 4, 0).after(line).meets(line, 0)
    assert Course("clarify", 4, 1).after(low).meets(low, 0) and not Course("clarify", 4, 0).after(low).meets(low, 0)
    assert not Course("reframe").after(line).meets(line, 5) and Course("reframe", 1, 1).after(line).meets(line, 0)
    assert not Course("options", 9, 9).after(line).meets(line, 5)
    danger = Line("x", crisis=True)
    assert not Course("receive").after(danger).meets(danger, 0)


def test_a_replay_is_content_with_what_is_right() -> None:
    assert list(replay.faults(Line("x"), [HEARD, BY_MODEL, DONE, MOVED], ["I ---DATA---"], meets=True, said="")) == []
    assert list(replay.faults(Line("x"), [event("turn_failed", code="INVALID")], [], meets=True, said="")) == []
    repeated = ['You said {"first_step": 1}.']
    assert list(replay.faults(Line("x"), [DONE], repeated, meets=False, said='{"first_step": 1}')) == []
    shown = list(replay.faults(Line("x"), [DONE], ["A\n---DATA---\nB"], meets=False, said="---DATA---"))
    assert shown == ["the reply shows ---DATA---"]
    broken = replay.Verdict("a", "b", 2, ("one", "two"))
    assert not broken.held and broken.line == "BROKEN  a (b), 2 messages: one; two"
