"""The job of a turn: what people see, when the model is asked again, what is reported, and what cards cost."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from sitting.apps.solve import work
from sitting.apps.solve.commands import CancelTurn, CorrectBelief, RetryTurn, SendMessage
from sitting.apps.solve.terms import EventType
from sitting.model import Gate, Scripted, Step
from tests.apps.jobroom import JobRoom
from tests.apps.solve.stage import TALK, WORRY, Models, Stage

CARD = {"title": "Call", "actions": ["Dial"], "pros": ["Quick"], "cons": ["Scary"], "effort": "low"}
TWO = {"cards": [CARD, {**CARD, "title": "Write", "actions": ["Take a pen"]}]}


class Room(JobRoom):
    stage: Stage


def asked(*steps: Step, talked: int = 0, content: str = "", **settings: Any) -> tuple[Room, Scripted]:
    """A stage with a message whose reply is to be written by a script."""
    model = Scripted(steps, window=100_000)
    stage = Stage(**settings).created().talked(talked)
    stage.models = Models(model)
    stage.say(content or TALK[talked])
    job = stage.jobs["turn"]
    return Room(stage, job.id, job.input, stage.models), model


def trailer(prose: str, data: Any) -> Step:
    whole = f"{prose}\n---DATA---\n{data if isinstance(data, str) else json.dumps(data)}"
    return Step([whole[start : start + 3] for start in range(0, len(whole), 3)])


def test_a_reply_is_written_as_it_comes_and_reported_once() -> None:
    room, model = asked(Step(["I ", "see ", "you."]))
    work.reply(room)
    assert room.pieces == ["I ", "see ", "you."]
    assert len(room.reports) == 1 and room.stage.told("turn_completed")["text"] == "I see you." == room.written()
    assert room.stage.view()["current_step"] == "clarify" and room.stage.jobs == {}
    spent = room.stage.view()["tokens"]["spent"]
    assert spent == sum(model.count(each.content) for each in model.prompts[0]) + model.count("I see you.")


def test_the_second_prompt_holds_both_sides_of_the_first() -> None:
    room, model = asked(Step(["I hear you."]))
    work.reply(room)
    stage = room.stage
    stage.say("Write to boss@example.org about it")
    second = Room(stage, stage.jobs["turn"].id, stage.jobs["turn"].input, stage.models)
    work.reply(second)
    said = [each.content for each in model.prompts[1]]
    assert WORRY in said[1] and said[2] == "I hear you." and "[email]" in said[3] and "boss@" not in said[3]


def test_what_is_for_the_program_is_never_seen() -> None:
    quoted = {"text": "To be heard", "quote": "ignores everything"}
    step = trailer(
        "I see.", {"beliefs": {"goal": quoted, "tried": {**quoted, "quote": "never said"}}, "first_step": "Go"}
    )
    room, _ = asked(step)
    work.reply(room)
    assert room.written() == "I see." == room.stage.told("turn_completed")["text"]
    assert [event.data["slot"] for event in room.stage.events if event.type == "belief_formed"] == ["goal"]


def test_a_wrong_trailer_is_dropped() -> None:
    for wrong in ("nonsense", '{"suggestions": 5}', ""):
        room, _ = asked(trailer("I see.", wrong))
        work.reply(room)
        assert room.stage.view()["current_step"] == "clarify" and room.written() == "I see."


def test_it_is_tried_again_only_before_the_first_token() -> None:
    failing = Step(["x"], fail_after=0)
    room, model = asked(failing, failing, failing, Step(["late"]))
    work.reply(room)
    assert room.waits == list(work.RETRY_SECONDS) and len(model.prompts) == 3
    failed = room.stage.told("turn_failed")
    assert (failed["code"], failed["text"], failed["output_tokens"]) == ("MODEL_FAILED", "", 0)
    assert room.stage.view()["tokens"]["spent"] == 0 and room.stage.view()["current_step"] == "receive"
    room, model = asked(failing, Step(["Now."]))
    work.reply(room)
    assert room.written() == "Now." and room.stage.types()[-2:] == ["turn_completed", "step_advanced"]


def test_after_the_first_token_it_is_tried_once() -> None:
    room, model = asked(Step(["I ", "see ", "you ", "all"], fail_after=3))
    work.reply(room)
    assert len(model.prompts) == 1 and room.stage.told("turn_failed")["text"] == "I see you "
    assert room.stage.view()["tokens"]["spent"] == room.input["prompt_tokens"] + model.count("I see you ")


def test_trouble_after_the_mark_is_no_trouble() -> None:
    room, model = asked(Step(["I see.", "\n---DATA---", '{"first'], fail_after=2))
    work.reply(room)
    assert room.stage.types()[-2:] == ["turn_completed", "step_advanced"] and room.written() == "I see."
    assert len(model.prompts) == 1


def test_nothing_said_is_no_reply() -> None:
    empty = Step(["\n"])
    room, model = asked(empty, trailer("", {"suggestions": ["a"]}), empty)
    work.reply(room)
    assert room.stage.told("turn_failed")["code"] == "MODEL_OUTPUT_INVALID" and len(model.prompts) == 3
    assert room.pieces == []


def test_a_silent_model_times_out_and_is_asked_again() -> None:
    now = [0.0]

    def monotonic() -> float:
        now[0] += 10
        return now[0]

    room, model = asked(*[Step(["x"], stall_after=0)] * 3)
    work.reply(room, monotonic=monotonic)
    assert room.stage.told("turn_failed")["code"] == "MODEL_TIMEOUT" and 1 <= len(model.prompts) <= 3


def test_who_cancels_has_settled_it() -> None:
    gate = Gate()
    room, _ = asked(Step(["I ", "see"], gate=gate))
    thread = threading.Thread(target=work.reply, args=(room,))
    thread.start()
    gate.release()
    gate.wait_until_waiting()
    room.stage.do(CancelTurn(turn=room.job))
    room.cancelled = True
    thread.join(60)
    assert not thread.is_alive() and room.reports == [] and room.stage.types()[-1] == "turn_cancelled"
    assert room.stage.told("turn_cancelled")["text"] == "I "


def test_a_cancelled_wait_ends_without_a_word() -> None:
    room, model = asked(Step(["x"], fail_after=0))

    def cancel() -> None:
        room.cancelled = True

    room.on_wait = cancel
    work.reply(room)
    assert room.reports == [] and len(model.prompts) == 1


def test_a_model_that_went_away_fails_the_turn() -> None:
    room, _ = asked()
    room.models = Models(None)
    work.reply(room)
    assert room.stage.told("turn_failed")["code"] == "MODEL_FAILED"


def test_cards_come_with_the_closing_reply() -> None:
    room, model = asked(trailer("That fits.", TWO), talked=4)
    work.reply(room)
    offered = room.stage.told("options_offered")
    assert [card["id"] for card in offered["cards"]] == ["A", "B"] and offered["version"] == 1
    assert room.stage.view()["current_step"] == "options" and len(model.prompts) == 1
    assert room.stage.types()[-3:] == ["turn_completed", "options_offered", "step_advanced"]


@pytest.mark.parametrize("wrong", [0, 1])
def test_missing_cards_are_asked_for_alone(wrong: int) -> None:
    data = [Step(["{}"])] * wrong
    room, model = asked(trailer("That fits.", {"cards": [CARD]}), *data, Step([json.dumps(TWO)]), talked=4)
    work.reply(room)
    assert room.stage.view()["current_step"] == "options" and len(model.prompts) == 2 + wrong
    assert room.written() == "That fits."


def test_cards_that_never_come_fail_the_turn() -> None:
    room, model = asked(trailer("That fits.", {"cards": [CARD]}), Step(["{}"]), Step(["no"]), talked=4)
    work.reply(room)
    assert room.stage.told("turn_failed")["code"] == "MODEL_OUTPUT_INVALID" and len(model.prompts) == 3
    assert room.stage.told("turn_failed")["text"] == "That fits." and room.stage.view()["current_step"] == "reframe"
    room.stage.do(RetryTurn(turn=room.job))
    again = Room(room.stage, room.stage.jobs["turn"].id, room.stage.jobs["turn"].input, room.stage.models)
    work.reply(again)  # the default words, then the smallest cards a schema allows
    assert room.stage.view()["current_step"] == "options" and len(room.stage.view()["options"]) == 2


@pytest.mark.parametrize(
    ("step", "code"),
    [(Step(["x"], fail_after=0), "MODEL_FAILED"), (Step(["{}"], usage=(10**6, 0)), "BUDGET_EXHAUSTED")],
)
def test_trouble_with_the_cards_has_its_code(step: Step, code: str) -> None:
    room, _ = asked(Step(["That fits."]), step, step, talked=4)
    work.reply(room)
    assert room.stage.told("turn_failed")["code"] == code
    tokens = room.stage.view()["tokens"]
    assert tokens["reserved"] == 0 and tokens["spent"] <= tokens["budget"]


def test_a_budget_too_tight_for_cards_says_so() -> None:
    room, model = asked(Step(["That fits."]), talked=4)
    room.input = {**room.input, "reserved": room.input["prompt_tokens"] + 100}
    work.reply(room)
    assert len(model.prompts) == 1 and room.stage.told("turn_failed")["code"] == "BUDGET_EXHAUSTED"


def test_at_options_without_cards_the_reply_brings_them() -> None:
    stage = Stage().talked(4)
    stage.session = stage.session.set(step="options")
    model = Scripted([Step(["Let me see."])], window=100_000)
    stage.models = Models(model)
    stage.do(CorrectBelief(slot="goal", text="Peace"))
    stage.do(SendMessage(content="What could I do about it?"))
    room = Room(stage, stage.jobs["turn"].id, stage.jobs["turn"].input, stage.models)
    work.reply(room)
    assert stage.types()[-2:] == [EventType.TURN_COMPLETED, EventType.OPTIONS_OFFERED]
