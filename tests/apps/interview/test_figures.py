"""Analytics, the ledger, replay and the transcript."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting.apps.interview import clock, figures
from sitting.apps.interview.commands import (
    AddNote,
    CancelTurn,
    End,
    ExtendTime,
    ExtendTokens,
    MarkIntegrity,
    Pause,
    RecordReply,
    Resume,
    RetryTurn,
    SendMessage,
    Start,
    Update,
)
from sitting.apps.interview.kind import KIND
from tests.apps.interview.stage import ANN, GUEST, Stage, refolded


def example() -> Stage:
    """The example of the specification: own 20 + 30, input 120 + 260, output 80 + 140, active 900 s."""
    stage = Stage().started()
    stage.later(60).say("x" * 20)
    stage.later(10).answer("y", input_tokens=120, output_tokens=80, first_token_ms=300)
    stage.later(90).do(Pause())
    stage.later(1000).do(Resume())
    stage.later(10).say("x" * 30)
    stage.later(20).answer("y", input_tokens=260, output_tokens=140, first_token_ms=500)
    stage.later(710).do(End())
    return stage


def test_the_example_gives_its_figures() -> None:
    stage = example()
    assert figures.analytics(stage.session, stage.events, stage.now) == {
        "total_duration": 1900.0,
        "active_duration": 900.0,
        "time_utilization": 0.25,
        "token_utilization": 0.012,
        "token_efficiency": 0.45,
        "messages_per_minute": 0.1333,
        "avg_tokens_per_message": 150.0,
        "ai_dependency_share": 0.8148,
        "median_think_ms": 100_000,
        "median_first_token_ms": 400,
        "token_usage_timeline": [
            {"active_ms": 70_000, "tokens_used": 200},
            {"active_ms": 190_000, "tokens_used": 600},
        ],
    }


@pytest.mark.parametrize("moves", [(), (End(),), (Start(),), (Start(), End())])
def test_without_messages_there_is_nothing_to_divide(moves: tuple[Any, ...]) -> None:
    stage = Stage().created()
    for move in moves:
        stage.do(move)
    found = figures.analytics(stage.session, stage.events, stage.now)
    empty = ("token_efficiency", "avg_tokens_per_message", "ai_dependency_share", "median_think_ms")
    assert [found[name] for name in empty] == [None] * 4
    assert found["messages_per_minute"] is None
    assert found["token_usage_timeline"] == []


def test_only_charged_messages_count_as_own_and_each_once() -> None:
    stage = Stage().started()
    turn = stage.say("x" * 10)
    stage.worker(RecordReply(turn=turn, reason="provider"))
    assert figures.analytics(stage.session, stage.events, stage.now)["ai_dependency_share"] is None
    stage.guest(RetryTurn(turn=turn))
    stage.answer("y", input_tokens=30, output_tokens=10)
    stage.say("x" * 1000)
    found = figures.analytics(stage.session, stage.events, stage.now)
    assert found["ai_dependency_share"] == 0.5
    assert found["token_efficiency"] == 0.5
    stage.answer("y", input_tokens=0, output_tokens=1)
    assert figures.analytics(stage.session, stage.events, stage.now)["token_efficiency"] == 1.0


def test_the_transcript_marks_what_was_cut_and_what_failed() -> None:
    stage = Stage().started()
    first = stage.say("One")
    stage.worker(RecordReply(turn=first, text="Uno", reason="timeout"))
    stage.guest(RetryTurn(turn=first))
    second = stage.session.data["turn"]["id"]
    stage.texts[second] = "Unos"
    stage.do(CancelTurn(turn=second))
    stage.say("Two")
    stage.answer("Dos", input_tokens=9, output_tokens=3, first_token_ms=5, duration_ms=8)
    items = figures.messages(stage.events)
    assert [(item["role"], item["content"], item["mark"]) for item in items] == [
        ("user", "One", None),
        ("assistant", "Uno", "incomplete"),
        ("assistant", "Unos", "cut"),
        ("user", "Two", None),
        ("assistant", "Dos", None),
    ]
    last = items[-1]
    assert list(last) == [
        *("seq", "id", "turn", "role", "content", "tokens", "input_tokens", "output_tokens", "total_tokens"),
        *("first_token_ms", "duration_ms", "mark", "created_at"),
    ]
    assert (last["tokens"], last["total_tokens"], last["duration_ms"]) == (3, 12, 8)
    assert (items[0]["tokens"], items[0]["total_tokens"], items[0]["input_tokens"]) == (3, 3, None)


def check_ledger(stage: Stage) -> dict[str, list[dict[str, Any]]]:
    """Every balance follows from the one before, and the last ones are what is left."""
    found = figures.ledger(stage.session, stage.events, stage.now)
    for name, amount in (("time", "seconds"), ("tokens", "tokens")):
        balance = 0
        for line in found[name]:
            balance = round(balance + line[amount], 3)
            assert line["balance"] == pytest.approx(balance)
    assert abs(found["time"][-1]["balance"] - clock.time_remaining(stage.session, stage.now)) < 1
    assert found["tokens"][-1]["balance"] == clock.tokens_left(stage.session)
    return found


def test_the_ledger_explains_both_limits() -> None:
    stage = Stage().created(time_limit=1000, token_budget=10_000)
    stage.do(Update(time_limit=900))
    stage.do(Start())
    stage.later(100).do(Pause())
    stage.do(ExtendTime(seconds=300, reason="fire drill"))
    stage.do(Resume())
    stage.later(50).say("x")
    prompt = stage.events[-1].data["prompt_tokens"]
    check_ledger(stage)
    stage.answer("y", input_tokens=120, output_tokens=80)
    stage.do(ExtendTokens(tokens=500, reason="long code"))
    found = check_ledger(stage)
    assert [(line["kind"], line["seconds"], line["balance"], line["why"]) for line in found["time"]] == [
        ("granted", 1000, 1000, "Time limit set"),
        ("granted", -100, 900, "Time limit set"),
        ("used", -100, 800, "Active until the pause"),
        ("extended", 300, 1100, "fire drill"),
        ("used", -50, 1050, "Active until now"),
    ]
    assert [(line["kind"], line["tokens"], line["balance"]) for line in found["tokens"]] == [
        ("granted", 10_000, 10_000),
        ("reserved", -prompt - 2000, 8000 - prompt),
        ("released", prompt + 2000, 10_000),
        ("settled", -200, 9800),
        ("extended", 500, 10_300),
    ]
    assert found["tokens"][3]["why"] == "Reply: 120 for the prompt, 80 for the text"
    stage.later(3600).fire()
    assert check_ledger(stage)["time"][-1]["balance"] == 0


STEPS = st.sampled_from(["say", "answer", "fail", "cancel", "pause", "resume", "time", "tokens", "wait"])


@given(st.lists(st.tuples(STEPS, st.integers(1, 900)), max_size=16))
def test_every_balance_follows_whatever_happens(steps: list[tuple[str, int]]) -> None:
    stage = Stage().started(time_limit=900, token_budget=20_000)
    for step, number in steps:
        turn = (stage.session.data["turn"] or {}).get("id")
        stage.later(ms=number * 7).fire()
        if stage.session.state == "expired":
            break
        active = stage.session.state == "active"
        if step == "say" and active and turn is None:
            stage.do(SendMessage(content="x" * number), GUEST, "candidate")
        elif step == "answer" and turn:
            stage.answer("y" * number)
        elif step == "fail" and turn:
            stage.worker(RecordReply(turn=turn, reason="provider"))
        elif step == "cancel" and turn:
            stage.do(CancelTurn(turn=turn))
        elif step == "pause" and active:
            stage.do(Pause())
        elif step == "resume" and not active:
            stage.do(Resume())
        elif step == "time":
            stage.do(ExtendTime(seconds=60, reason="r"))
        elif step == "tokens":
            stage.do(ExtendTokens(tokens=number, reason="r"))
        elif step == "wait":
            stage.later(number).fire()
        check_ledger(stage)


def test_marks_to_jump_to_and_clusters_of_integrity_marks() -> None:
    stage = Stage().started(config={"integrity_marks": True})
    stage.say()
    stage.answer()
    reply = stage.session.seq
    for seconds, kind in ((0, "paste"), (10, "paste"), (15, "focus_lost"), (30, "paste"), (31, "paste")):
        stage.now = stage.events[-1].at
        stage.later(seconds).guest(MarkIntegrity(kind=kind))
    stage.do(Pause())
    stage.do(ExtendTime(seconds=60, reason="r"))
    stage.do(AddNote(text="n", at_seq=reply))
    mine = figures.marks(stage.events, ANN.id)
    assert [(mark["kind"], mark["seq"] - reply) for mark in mine] == [
        *(("ai_turn", 0), ("note", 0)),
        *(("integrity", 1), ("integrity", 3), ("integrity", 4), ("integrity", 5)),
        *(("pause", 6), ("extension", 7)),
    ]
    assert {mark["kind"] for mark in figures.marks(stage.events, "user:ben")} == {
        *("ai_turn", "integrity", "pause", "extension")
    }
    assert {mark["kind"] for mark in figures.marks(stage.events, None)} == {"ai_turn", "pause", "extension"}


def test_replay_shows_the_state_after_each_event() -> None:
    stage = example()
    live: list[dict[str, Any]] = []
    again = Stage()
    for event in stage.events:
        again.session = KIND.after(refolded(stage.events[: event.seq - 1], stage.session), event)
        live.append(KIND.view(again.session, "candidate", event.at))
    for at in range(1, len(stage.events) + 1):
        then = refolded(stage.events[:at], stage.session)
        moment = then.updated_at or stage.now
        view = KIND.view(then, "candidate", moment)
        shown = figures.replay(view, then, stage.events, at=at, head=stage.session.seq, actor_id=None)
        assert shown["session"] == live[at - 1]
        assert (shown["at"], shown["head"]) == (at, stage.session.seq)
        assert all(item["seq"] <= at for item in shown["messages"])
        assert shown["active_ms"] == clock.active_ms(then, moment)


def test_what_a_challenge_took() -> None:
    assert figures.challenge_stats([]) == {"uses": 0, "median_active_seconds": None, "median_tokens": None}
    assert figures.challenge_stats([(60, 100), (120, 300), (90, 200)]) == {
        "uses": 3,
        "median_active_seconds": 90,
        "median_tokens": 200,
    }
