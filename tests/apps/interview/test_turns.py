"""Messages, replies, the budget between them, and what is told when the budget runs low."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting import errors
from sitting.apps.interview import clock, refusals, views
from sitting.apps.interview.commands import (
    CancelTurn,
    End,
    ExtendTokens,
    Join,
    MarkIntegrity,
    Pause,
    RecordReply,
    Resume,
    RetryTurn,
    SendMessage,
    SessionConfig,
    Start,
)
from sitting.apps.interview.kind import KIND
from sitting.core import strict
from tests.apps.interview.stage import ANN, GUEST, START, Stage, refolded


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        ("", refusals.MessageEmpty, "Message cannot be empty."),
        (" \n\t", refusals.MessageEmpty, "Message cannot be empty."),
        ("x" * 5001, refusals.MessageTooLong, "Message too long. Maximum 5000 characters."),
    ],
)
def test_the_length_is_checked_before_anything_else(content: str, error: type[errors.Invalid], message: str) -> None:
    with pytest.raises(error) as caught:
        strict.check(SendMessage, {"content": content})
    assert caught.value.message == message
    assert caught.value.code in ("MESSAGE_EMPTY", "MESSAGE_TOO_LONG")
    assert SendMessage(content="\U0001f600" * 5000).content == "\U0001f600" * 5000


def test_a_message_reserves_and_its_reply_settles() -> None:
    stage = Stage().started()
    turn = stage.say("What now?")
    sent = stage.told("candidate")[-1]["data"]
    assert sent == {
        "message": sent["message"],
        "turn": turn,
        "tokens": 9,
        "prompt_tokens": sent["prompt_tokens"],
        "reserved": sent["prompt_tokens"] + 2000,
        "prompt_from_seq": stage.session.seq,
        "content": "What now?",
    }
    assert stage.jobs["reply"].id == turn
    assert stage.jobs["reply"].on_takeover == "interrupt"
    assert stage.jobs["reply"].input["max_output"] == 2000
    assert stage.view()["tokens_reserved"] == sent["reserved"]
    assert stage.view()["tokens_remaining"] == 50_000 - sent["reserved"]
    stage.answer("Try it.", input_tokens=120, output_tokens=80, first_token_ms=7, duration_ms=50)
    received = stage.told("candidate")[-1]["data"]
    expected = {"model": "counting", "input_tokens": 120, "output_tokens": 80, "charged": 200, "overrun": 0}
    assert received == {
        "message": received["message"],
        "turn": turn,
        **expected,
        "first_token_ms": 7,
        "duration_ms": 50,
        "content": "Try it.",
    }
    figures = stage.view()
    assert (figures["tokens_used"], figures["tokens_reserved"], figures["message_count"]) == (200, 0, 2)
    assert stage.jobs == {}
    final = KIND.final(stage.events[-1])
    assert final is not None and (final.turn, final.status, final.text) == (turn, "completed", "Try it.")


@pytest.mark.parametrize("usage", [(None, None), (-1, -1), (None, 5), (10**9, 10**9), (0, 10**9), (0, 0)])
def test_no_provider_moves_the_budget_beyond_what_was_reserved(usage: tuple[int | None, int | None]) -> None:
    stage = Stage().started()
    stage.say("What now?")
    sent = stage.events[-1].data
    stage.answer("abcde", input_tokens=usage[0], output_tokens=usage[1])
    data = stage.events[-1].data if stage.events[-1].type == "MESSAGE_RECEIVED" else stage.events[-2].data
    said_in = sent["prompt_tokens"] if usage[0] is None or usage[0] < 0 else usage[0]
    said_out = 5 if usage[1] is None or usage[1] < 0 else usage[1]
    assert data["charged"] == min(sent["reserved"], said_in + said_out)
    assert data["overrun"] == said_in + said_out - data["charged"]
    assert stage.view()["tokens_used"] == data["charged"] == data["input_tokens"] + data["output_tokens"]


def test_one_reply_at_a_time() -> None:
    stage = Stage().started()
    stage.say()
    with pytest.raises(refusals.TurnActive, match="A reply is still being written."):
        stage.guest(SendMessage(content="And?"))
    status = views.status(stage.session, stage.now)
    assert (status["can_send"], status["turn"]) == (False, stage.session.data["turn"]["id"])


def test_a_budget_too_small_names_both_numbers_and_an_empty_one_says_so() -> None:
    stage = Stage().created(SessionConfig(candidate_name="C", token_budget=1700))
    stage.do(Join(), GUEST, "visitor")
    stage.do(Start())
    stage.say("x")
    prompt = stage.events[-1].data["prompt_tokens"]
    assert stage.events[-1].data["reserved"] == 1700
    stage.answer("y", input_tokens=prompt, output_tokens=1699 - prompt)
    with pytest.raises(refusals.BudgetInsufficient) as caught:
        stage.guest(SendMessage(content="x"))
    needed = caught.value.facts["needed"]
    assert caught.value.message == f"Insufficient token budget. Need ~{needed} tokens, have 1."
    assert needed > prompt + 64
    stage.do(ExtendTokens(tokens=3000, reason="long hints"))
    stage.say("x")
    stage.answer("y", input_tokens=10**9)
    assert stage.view()["tokens_remaining"] == 0
    with pytest.raises(errors.BudgetExhausted) as empty:
        stage.guest(SendMessage(content="x"))
    assert empty.value.code == "BUDGET_EXHAUSTED"
    assert empty.value.message == "Token budget exhausted. Cannot send more messages."
    assert views.status(stage.session, stage.now)["reason"] == empty.value.message
    assert clock.levels(stage.session, stage.now)["tokens"] == "exhausted"


def test_without_a_model_nothing_is_stored_and_everything_else_works() -> None:
    stage = Stage().started()
    stage.models.model = None
    before = stage.session
    with pytest.raises(errors.ModelNotConfigured) as caught:
        stage.guest(SendMessage(content="Hello"))
    assert caught.value.message.startswith("No language model is configured.")
    assert caught.value.facts["help"] == "/help/models"
    assert stage.session == before
    stage.do(Pause())
    stage.do(End())


def test_a_failed_reply_costs_nothing_and_may_be_tried_again() -> None:
    stage = Stage().started()
    first = stage.say("Why?")
    stage.worker(RecordReply(turn=first, text="Beca", reason="provider"))
    failed = stage.told("candidate")[-1]["data"]
    assert failed == {"turn": first, "reason": "provider", "charged": 0, "mark": "incomplete", "content": "Beca"}
    assert (stage.view()["tokens_used"], stage.view()["tokens_reserved"], stage.view()["message_count"]) == (0, 0, 1)
    stage.guest(RetryTurn(turn=first))
    second = stage.session.data["turn"]["id"]
    retried = stage.told("candidate")[-1]
    assert (retried["type"], retried["data"]["of"], retried["data"]["turn"]) == ("TURN_RETRIED", first, second)
    assert stage.jobs["reply"].input["seq"] == next(e.seq for e in stage.events if e.type == "MESSAGE_SENT")
    stage.answer("Because.")
    assert stage.view()["message_count"] == 2
    for gone in (first, second):
        with pytest.raises(refusals.TurnOver):
            stage.guest(RetryTurn(turn=gone))
    with pytest.raises(errors.NotFound, match="Turn not found"):
        stage.guest(RetryTurn(turn="nonsense"))


def test_a_cancelled_reply_keeps_and_charges_the_part_written() -> None:
    stage = Stage().started()
    turn = stage.say("Why?")
    prompt = stage.events[-1].data["prompt_tokens"]
    stage.texts[turn] = "Because of"
    stage.guest(CancelTurn(turn=turn))
    told = stage.told("candidate")[-1]["data"]
    assert told == {"turn": turn, "by": "candidate", "charged": prompt + 10, "mark": "cut", "content": "Because of"}
    assert stage.view()["message_count"] == 2
    assert stage.jobs == {}
    with pytest.raises(refusals.TurnOver, match="This reply has already ended."):
        stage.guest(CancelTurn(turn=turn))
    with pytest.raises(errors.NotFound, match="Turn not found"):
        stage.guest(CancelTurn(turn="nonsense"))
    stage.do(End())
    with pytest.raises(refusals.TurnOver):
        stage.guest(CancelTurn(turn=turn))
    with pytest.raises(errors.NotFound, match="Turn not found"):
        Stage().created().do(CancelTurn(turn=turn))


def test_a_reply_cut_before_its_first_token_is_no_message() -> None:
    stage = Stage().started()
    turn = stage.say("Why?")
    stage.do(CancelTurn(turn=turn))
    assert stage.view()["message_count"] == 1
    assert stage.events[-1].data["by"] == "interviewer"
    assert stage.view()["tokens_used"] == stage.events[-1].data["charged"] > 0


def test_a_reply_running_into_a_pause_arrives() -> None:
    stage = Stage().started()
    stage.say()
    stage.later(1).do(Pause())
    stage.later(5).answer("So.", input_tokens=10, output_tokens=2)
    assert stage.view()["tokens_used"] == 12
    assert clock.active_ms(stage.session, stage.now) == 1000
    with pytest.raises(refusals.NotActive):
        stage.guest(SendMessage(content="And?"))
    stage.do(Resume())
    stage.say("And?")


@pytest.mark.parametrize(
    ("finish", "last"),
    [(lambda stage: stage.later(300).fire(), "SESSION_EXPIRED"), (lambda stage: stage.do(End()), "SESSION_COMPLETED")],
)
def test_the_end_cuts_a_running_reply_first(finish: Callable[[Stage], None], last: str) -> None:
    stage = Stage().started(time_limit=300)
    turn = stage.say()
    stage.texts[turn] = "So f"
    stage.later(1)
    finish(stage)
    assert stage.types()[-2:] == ["TURN_CANCELLED", last]
    assert stage.events[-2].data["by"] == "system"
    assert stage.events[-1].data["tokens_used"] == stage.events[-2].data["charged"]
    assert stage.view()["tokens_reserved"] == 0
    assert stage.jobs == {}
    with pytest.raises(errors.WrongState):
        stage.worker(RecordReply(turn=turn, text="So far."))


def test_the_late_word_of_another_turn_is_dropped() -> None:
    stage = Stage().started()
    turn = stage.say()
    stage.guest(CancelTurn(turn=turn))
    before = stage.session
    stage.worker(RecordReply(turn=turn, text="late"))
    stage.say("Next?")
    stage.worker(RecordReply(turn=turn, text="later"))
    assert stage.types()[-1] == "MESSAGE_SENT"
    assert before.data["messages"] == 1


def test_a_job_that_cannot_go_on_ends_as_what_it_is() -> None:
    stage = Stage().started()
    ended = {
        "interrupted": "interrupted",
        "failed": "interrupted",
        "MODEL_TIMEOUT": "timeout",
        "MODEL_FAILED": "provider",
    }
    for reason, told in ended.items():
        turn = stage.say()
        stage.worker(KIND.interrupted["reply"](turn, "part", reason))
        data = stage.told("candidate")[-1]["data"]
        assert (data["reason"], data["content"], data["charged"]) == (told, "part", 0)
    final = KIND.final(next(event for event in stage.events if event.type == "TURN_FAILED"))
    assert final is not None and final.status == "interrupted"
    turn = stage.say()
    stage.worker(KIND.interrupted["reply"](turn, "part", "cancelled"))
    assert stage.types()[-1] == "TURN_CANCELLED"


def test_the_rate_is_held_and_says_when_it_is_free_again() -> None:
    stage = Stage(interview_messages_minute=2, interview_messages_hour=3).started()
    for _ in range(2):
        stage.say("x")
        stage.answer()
        stage.later(10)
    with pytest.raises(errors.RateLimited) as caught:
        stage.guest(SendMessage(content="x"))
    assert caught.value.message == "Too many messages. Try again in 40 seconds."
    assert caught.value.facts["retry_after"] == 40
    stage.later(40).say("x")
    stage.answer()
    stage.later(61)
    with pytest.raises(errors.RateLimited) as hourly:
        stage.guest(SendMessage(content="x"))
    assert hourly.value.facts["retry_after"] == 3600 - 121


def test_a_space_has_a_rate_of_its_own() -> None:
    stage = Stage(interview_messages_space_hour=1).started(time_limit=7200)
    stage.say("x")
    stage.answer()
    with pytest.raises(errors.RateLimited, match="Try again in"):
        stage.guest(SendMessage(content="x"))
    stage.later(3600).say("x")


def test_a_counter_of_an_hour_or_a_minute_says_when_that_is_over() -> None:
    stage = Stage().started(config={"integrity_marks": True}).later(90)
    stage.say("x")
    stage.guest(MarkIntegrity(kind="paste", chars=3))
    joined, hour, minute = (START + timedelta(minutes=ends) for ends in (1, 60, 2))
    assert list(stage.charged_until.values()) == [joined, hour, minute]


def test_token_thresholds_warn_once_each_and_again_after_an_extension() -> None:
    stage = Stage().created(SessionConfig(candidate_name="C", token_budget=10_000))
    stage.do(Join(), GUEST, "visitor")
    stage.do(Start())

    def spend(tokens: int) -> None:
        stage.say("x")
        stage.answer("y", input_tokens=tokens, output_tokens=0)

    def warned() -> list[tuple[int, int]]:
        events = (event.data for event in stage.events if event.type == "TOKEN_WARNING")
        return [(data["threshold"], data["remaining"]) for data in events]

    for _ in range(4):
        spend(1874)
    assert warned() == []
    spend(5)
    assert warned() == [(25, 2499)]
    stage.do(ExtendTokens(tokens=8000, reason="more"))
    assert clock.levels(stage.session, stage.now)["tokens"] == "normal"
    for _ in range(5):
        spend(1900)
    assert warned() == [(25, 2499), (25, 2899), (10, 999)]
    stage.do(ExtendTokens(tokens=100, reason="a little"))
    assert stage.session.data["token_warned"] == [25, 10]


def test_queries_left_go_by_the_larger_of_mean_and_last() -> None:
    stage = Stage().started(token_budget=10_000)
    assert clock.estimated_queries_left(stage.session) is None
    stage.say("x")
    stage.answer("y", input_tokens=900, output_tokens=100)
    assert clock.estimated_queries_left(stage.session) == 9
    stage.say("x")
    stage.answer("y", input_tokens=100, output_tokens=100)
    assert clock.estimated_queries_left(stage.session) == 8800 // 600
    stage.say("x")
    stage.answer("y", input_tokens=1800, output_tokens=0)
    assert clock.estimated_queries_left(stage.session) == 7000 // 1800


STEPS = st.sampled_from(["send", "answer", "fail", "cancel", "retry", "pause", "resume", "extend", "wait"])


@given(st.lists(st.tuples(STEPS, st.integers(0, 4000)), max_size=25))
def test_the_budget_holds_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """The stage checks used + reserved <= budget after every event; here it is only driven."""
    stage = Stage(interview_messages_minute=1000, interview_messages_hour=1000).started(token_budget=9000)
    for step, number in steps:
        turn = (stage.session.data["turn"] or {}).get("id", "none")
        try:
            if step == "send":
                stage.say("x" * (number % 100 + 1))
            elif step == "answer":
                stage.worker(RecordReply(turn=turn, text="y", input_tokens=number - 50, output_tokens=number * 2))
            elif step == "fail":
                stage.worker(RecordReply(turn=turn, text="y", reason="timeout"))
            elif step == "cancel":
                stage.texts[turn] = "z" * number
                stage.do(CancelTurn(turn=turn))
            elif step == "retry":
                stage.guest(RetryTurn(turn=(stage.session.data["failed"] or {}).get("turn", "none")))
            elif step == "extend":
                stage.do(ExtendTokens(tokens=number + 1, reason="r"))
            elif step == "wait":
                stage.later(number / 10).fire()
            else:
                stage.do(Pause() if step == "pause" else Resume(), ANN)
        except errors.Refusal:
            continue
    assert stage.session == refolded(stage.events, stage.session)
    assert (stage.session.data["turn"] is None) == (stage.session.data["reserved"] == 0)
