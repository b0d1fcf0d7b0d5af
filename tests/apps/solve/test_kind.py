"""The step machine of a solve session: what may be done when, what moves, what is counted and what is charged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sitting import errors
from sitting.apps.solve import decide, facts, gates, languages, refusals, views
from sitting.apps.solve.commands import (
    Abandon,
    AddOption,
    Advance,
    AdvanceTo,
    CancelTurn,
    ChooseOption,
    Commit,
    CompleteAction,
    ContestStep,
    CorrectBelief,
    Create,
    DismissCrisis,
    Export,
    Remind,
    Reopen,
    ReportTurn,
    RetryTurn,
    SendMessage,
    Trailer,
    UncompleteAction,
    Update,
)
from sitting.apps.solve.kind import KIND
from sitting.apps.solve.terms import MAX_MESSAGES
from sitting.core import strict
from sitting.core.event import to_text
from sitting.core.session import Session
from tests.apps.solve.stage import CARDS, START, TALK, WORRY, Model, Stage, card

LOW = ("ok", "asdf", "idk")


def refused(stage: Stage, command: Any, refusal: type[errors.Refusal]) -> errors.Refusal:
    """A refusal, by which nothing is stored."""
    before, charges = stage.session, dict(stage.charges)
    with pytest.raises(refusal) as caught:
        stage.do(command)
    assert stage.session == before and stage.charges == charges
    return caught.value


# The way from start to end


def test_the_whole_way_with_messages_alone() -> None:
    stage = Stage().created()
    steps: list[str] = []
    for content in TALK:
        stage.say(content)
        assert stage.view()["current_step"] == (steps[-1] if steps else "receive")
        stage.answer()
        steps.append(stage.view()["current_step"])
    assert steps == ["clarify", "clarify", "clarify", "reframe", "options", "commit", "commit"]
    seen = stage.view()
    assert (seen["status"], seen["first_step_action"]) == ("completed", TALK[-1])
    assert seen["completed_at"] == to_text(stage.now) and seen["message_count"] == 14
    assert stage.types()[-4:] == ["turn_started", "turn_completed", "committed", "completed"]
    assert stage.refolded() == stage.session
    moves = views.moves(stage.session)
    ids = [event.data["message_id"] for event in stage.events if event.type == "message_received"]
    assert [move["evidence"] for move in moves] == [ids[:1], ids[1:4], ids[4:5], ids[5:6]]
    assert [move["by"] for move in moves] == ["gate", "gate", "gate", "choice"]


def test_a_turn_that_is_cut_moves_nothing() -> None:
    stage = Stage().created()
    for status, content in (("failed", WORRY), ("interrupted", TALK[1])):
        turn = stage.say(content)
        stage.worker(ReportTurn(turn=turn, status=status, text="I", code="MODEL_FAILED"))
        assert stage.view()["current_step"] == "receive" and stage.types()[-1] == f"turn_{status}"
        stage.do(RetryTurn(turn=turn))
        stage.texts[stage.session.data["active_turn"]] = "I un"
        stage.do(CancelTurn(turn=stage.session.data["active_turn"]))
        assert stage.told("turn_cancelled")["text"] == "I un"
    stage.do(RetryTurn(turn=stage.session.data["last_turn"]))
    stage.answer()
    assert stage.view()["current_step"] == "clarify"
    assert stage.told("step_advanced")["evidence"] == [stage.told("message_received")["message_id"]]


def test_clarify_ends_early_when_three_beliefs_are_filled() -> None:
    stage = Stage().talked(1)
    for slot in ("goal", "stakes", "tried"):
        stage.do(CorrectBelief(slot=slot, text="Peace"))
    stage.talked(0)
    stage.say(TALK[1])
    stage.answer()
    assert stage.view()["current_step"] == "clarify"
    stage.say(TALK[2])
    stage.answer()
    assert stage.view()["current_step"] == "reframe"


def test_clarify_ends_after_five_messages_when_one_says_something() -> None:
    stage = Stage().talked(2)
    for word in ("hm", "ok", "so"):
        stage.say(word)
        if stage.session.data["active_turn"]:
            stage.answer()
    assert stage.view()["current_step"] == "clarify"
    stage.say("well")
    assert stage.told("turn_started")["closing"] and stage.told("turn_started")["source"] == "model"
    stage.answer()
    assert stage.view()["current_step"] == "reframe"


def test_reframe_ends_with_a_yes_or_two_answers() -> None:
    stage = Stage().talked(4)
    stage.say("I do not see it like that")
    stage.answer()
    assert stage.view()["current_step"] == "reframe"
    stage.say("Perhaps there is something in it")
    stage.answer()
    assert stage.view()["current_step"] == "options" and len(stage.told("step_advanced")["evidence"]) == 2


def test_a_question_at_commit_completes_nothing() -> None:
    stage = Stage().talked(6)
    for question in ("Should I write the mail tonight?", "我今晚应该写邮件吗？", "ok"):
        stage.say(question)
        stage.answer()
    assert stage.view()["status"] == "active"
    stage.say("我今天晚上八点写邮件")
    stage.answer()
    assert stage.view()["first_step_action"] == "我今天晚上八点写邮件"


def test_a_long_first_step_is_cut() -> None:
    stage = Stage().talked(6)
    stage.say("I will write " + "x" * 400)
    stage.answer()
    assert len(stage.view()["first_step_action"]) == 300


# Refusals of a message, in their order


def test_the_order_of_refusals() -> None:
    stage = Stage(solve_messages_minute=2).created()
    with pytest.raises(errors.Invalid):
        strict.check(SendMessage, {"content": " "})
    stage.say()
    stage.answer()
    mismatch = refused(stage, SendMessage(content="idk", step="commit"), refusals.StepMismatch)
    assert mismatch.facts == {"current_step": "clarify"}
    turn = stage.say(TALK[1])
    stage.models.model = None
    refused(stage, SendMessage(content="I want to die", step="commit"), refusals.StepMismatch)
    busy = refused(stage, SendMessage(content="I want to die"), refusals.SessionBusy)
    assert busy.facts == {"turn": turn}
    stage.answer()
    stage.say("I want to die")  # before rate and model
    limited = refused(stage, SendMessage(content="ok"), errors.RateLimited)
    assert 1 <= limited.facts["retry_after"] <= 60
    stage.later(minutes=1)
    full = stage.session.set(sent=300)
    stage.session = full
    refused(stage, SendMessage(content=TALK[2]), refusals.SessionFull)
    stage.session = full.set(sent=3)
    missing = refused(stage, SendMessage(content=TALK[2]), errors.ModelNotConfigured)
    assert missing.message.startswith("No language model is configured.") and missing.facts["help"] == "/help/models"
    stage.session = stage.session.set(low_run=2)
    stage.say("ok")  # the pause comes before the model
    assert stage.told("turn_completed")["text"] == languages.phrases("en").pause
    stage.models.model = Model()
    stage.session = stage.session.set(budget=100)
    refused(stage, SendMessage(content=TALK[2]), errors.BudgetExhausted)


@pytest.mark.parametrize(
    ("state", "refusal"), [("completed", refusals.SessionCompleted), ("abandoned", refusals.SessionAbandoned)]
)
def test_nothing_is_said_where_nobody_listens(state: str, refusal: type[errors.Refusal]) -> None:
    stage = Stage().talked(7 if state == "completed" else 1)
    if state == "abandoned":
        stage.do(Abandon())
    for command in (
        SendMessage(content="I want to die"), RetryTurn(turn="x"), DismissCrisis(turn="x"), Advance(), ContestStep(),
        ChooseOption(option_id="A"), AddOption(title="x", actions=["y"]), CorrectBelief(slot="goal", text=None),
        Commit(first_step_action="x"), Update(locale="es"), Update(first_step_action="x"),
    ):  # fmt: skip
        refused(stage, command, refusal)
    if state == "abandoned":
        refused(stage, CompleteAction(), refusals.NoAction)
        refused(stage, Abandon(), refusals.InvalidStatus)
    else:
        refused(stage, Reopen(), refusals.InvalidStatus)
    stage.do(Update(title="Named", tags=["a"]))
    assert stage.view()["title"] == "Named"


# Fixed replies


@pytest.mark.parametrize("locale", ["en", "es", "zh"])
def test_a_crisis_is_answered_at_once_and_moves_nothing(locale: str) -> None:
    stage = Stage().created(locale=locale)
    stage.models.model = None
    turn = stage.say("I want to die")
    assert stage.types() == ["created", "message_received", "turn_started", "crisis_detected", "turn_completed"]
    assert stage.jobs == {} and stage.session.data["active_turn"] is None
    told = stage.told("turn_completed")
    assert (told["text"], told["turn"], told["input_tokens"]) == (languages.phrases(locale).crisis, turn, 0)
    assert stage.told("turn_started")["source"] == "fixed" and "rule" not in stage.told("crisis_detected")
    assert stage.view()["current_step"] == "receive" and not stage.told("message_received")["substantive"]
    assert all("die" not in str(event.data) for event in stage.events)


def test_a_crisis_that_was_none_is_an_ordinary_message() -> None:
    stage = Stage().created()
    ordinary = stage.say(TALK[0])
    stage.answer()
    refused(stage, DismissCrisis(turn=ordinary), refusals.NotACrisisTurn)
    turn = stage.say("I want to die of laughter when he speaks")
    assert views.dismissable(stage.session) == turn
    stage.do(DismissCrisis(turn=turn))
    assert stage.types()[-2:] == ["crisis_dismissed", "turn_started"]
    refused(stage, DismissCrisis(turn=turn), refusals.NotACrisisTurn)
    stage.answer()
    assert stage.session.data["substance"] == [stage.told("message_received")["message_id"]]
    refused(stage, DismissCrisis(turn="unknown"), refusals.TurnNotFound)


def test_a_retried_crisis_stays_one() -> None:
    stage = Stage().created()
    turn = stage.say("I want to die")
    stage.do(RetryTurn(turn=turn))
    assert stage.types()[-1] == "turn_completed" and views.dismissable(stage.session) is not None
    stage.do(DismissCrisis(turn=stage.session.data["last_turn"]))
    stage.answer()
    assert stage.view()["current_step"] == "clarify"


def test_little_said_changes_the_tactic() -> None:
    stage, tactics = Stage().created(), []
    for word in (*LOW, "hm", WORRY):
        stage.say(word)
        tactics.append((stage.told("turn_started")["tactic"], stage.told("turn_started")["source"]))
        if stage.session.data["active_turn"]:
            stage.answer()
        if word != WORRY:
            assert stage.view()["current_step"] == "receive"
    pause = ("pause", "fixed")
    assert tactics == [("concrete", "model"), ("examples", "model"), pause, pause, (None, "model")]


def test_examples_come_from_the_model_or_are_fixed() -> None:
    for told, expected in ((Trailer(suggestions=["a", "b", "c"]), ["a", "b", "c"]), (Trailer(suggestions=["a"]), None)):
        stage = Stage().created(locale="es")
        for word in ("ok", "asdf"):
            stage.say(word)
            stage.answer(data=told)
        found = stage.told("turn_completed")["suggestions"]
        assert found == (expected or list(languages.phrases("es").examples["receive"]))


def test_the_same_again_says_nothing_and_a_yes_at_reframe_does() -> None:
    stage = Stage().talked(2)
    stage.say(TALK[1])
    assert stage.told("message_received")["substantive"] is False
    stage.answer()
    stage = Stage().talked(4)
    stage.say("yes")
    assert stage.told("message_received")["substantive"] is True and stage.told("turn_started")["tactic"] is None


def test_feelings_can_be_switched_off() -> None:
    for on, feeling in ((True, "anxious"), (False, "neutral")):
        stage = Stage(solve_emotion=on).created()
        stage.say("I am so worried and nervous")
        assert stage.view()["emotion_detected"] == feeling == stage.told("message_received")["emotion_detected"]


# Turns


def test_what_a_turn_may_still_be_told() -> None:
    stage = Stage().created()
    first = stage.say()
    refused(stage, RetryTurn(turn=first), refusals.SessionBusy)
    refused(stage, Advance(), refusals.SessionBusy)
    stage.answer()
    assert refused(stage, CancelTurn(turn=first), refusals.TurnFinished).facts == {"status": "completed"}
    refused(stage, CancelTurn(turn="unknown"), refusals.TurnNotFound)
    refused(stage, RetryTurn(turn=first), refusals.StepMoved)
    second = stage.say(TALK[1])
    stage.answer()
    refused(stage, RetryTurn(turn=first), refusals.NotLastTurn)
    refused(stage, RetryTurn(turn="unknown"), refusals.TurnNotFound)
    assert views.retryable(stage.session) == second
    stage.do(RetryTurn(turn=second))
    assert stage.told("turn_started")["retry_of"] == second and stage.session.data["heard"] == 1
    stage.answer("Again.")
    stage.do(Advance())
    refused(stage, RetryTurn(turn=stage.session.data["last_turn"]), refusals.StepMoved)


def test_a_late_word_changes_nothing() -> None:
    stage = Stage().created()
    turn = stage.say()
    stage.do(CancelTurn(turn=turn))
    before = stage.session
    assert stage.worker(ReportTurn(turn=turn, text="Late.")) == [] and stage.session == before


def test_a_cut_reply_is_charged_what_it_used() -> None:
    stage = Stage().created()
    turn = stage.say()
    prompt = stage.session.collection("turn")[turn]["prompt_tokens"]
    assert stage.view()["tokens"]["reserved"] == prompt + 1024 == stage.told("turn_started")["reserved_tokens"]
    stage.texts[turn] = "abc"
    stage.do(CancelTurn(turn=turn))
    assert stage.view()["tokens"] == {"budget": 1_000_000, "reserved": 0, "spent": prompt + 3}
    turn = stage.say(TALK[1])
    stage.worker(ReportTurn(turn=turn, status="failed", code="MODEL_FAILED", input_tokens=0, output_tokens=0))
    assert stage.view()["tokens"]["spent"] == prompt + 3
    assert stage.told("turn_failed")["code"] == "MODEL_FAILED"
    stage.say(TALK[1] + " again")
    stage.answer(input_tokens=10**9, output_tokens=10**9)
    assert stage.view()["tokens"]["reserved"] == 0


def test_an_exhausted_budget_leaves_the_form() -> None:
    stage = Stage().talked(6)
    stage.session = stage.session.set(budget=stage.session.data["spent"] + 100)
    refused(stage, SendMessage(content=TALK[6]), errors.BudgetExhausted)
    stage.do(Commit(first_step_action="Write"))
    assert stage.view()["status"] == "completed"


def test_where_no_answer_can_come_any_more_the_points_and_the_forms_lead_on() -> None:
    """A spent session is no dead end: it goes on as one without a model does."""
    for spent in ({"budget": 2_000}, {"sent": MAX_MESSAGES}):
        stage = Stage().talked(4)
        stage.session = stage.session.set(spent=0, **spent)
        refused(stage, SendMessage(content=TALK[4]), errors.Conflict)
        refused(stage, Advance(), refusals.InvalidStepTransition)
        stage.do(CorrectBelief(slot="goal", text="To be heard"))
        stage.do(Advance())
        stage.do(AddOption(title="Write", actions=["Write to him"]))
        stage.do(Commit(first_step_action="Write"))
        assert stage.view()["status"] == "completed"


def test_a_session_that_can_be_answered_asks_for_words() -> None:
    stage = Stage(solve_token_budget=20_000)
    stage.models.model.window = 30_000  # more than the budget: what is left is counted
    stage.talked(4).do(CorrectBelief(slot="goal", text="To be heard"))
    refused(stage, Advance(), refusals.InvalidStepTransition)
    stage.say("That is not how I see it")
    assert facts.answerable(stage.session, stage.models)
    stage.answer()
    stage.do(Advance())
    refused(stage, AddOption(title="Write", actions=["Write to him"]), refusals.WrongStep)


# Steps by hand


def test_advance_takes_an_answer_of_substance() -> None:
    stage = Stage().created()
    assert refused(stage, Advance(), refusals.InvalidStepTransition).facts["unmet"] == ["substantive_message"]
    stage.talked(1)
    refused(stage, Advance(), refusals.InvalidStepTransition)
    stage.say(TALK[1])
    stage.answer()
    for step in ("receive", "clarify", "options", "nonsense"):
        refused(stage, AdvanceTo(step=step), refusals.InvalidStepTransition)
    stage.do(AdvanceTo(step="reframe"))
    told = stage.told("step_advanced")
    assert (told["from"], told["to"], told["by"]) == ("clarify", "reframe", "owner") and len(told["evidence"]) == 1


def test_commit_is_reached_by_a_choice_alone() -> None:
    stage = Stage().talked(5)
    stage.say("I would like to think about them")
    stage.answer()
    assert refused(stage, Advance(), refusals.InvalidStepTransition).facts["unmet"] == ["chosen_option"]
    refused(stage, ChooseOption(option_id="C"), refusals.OptionNotFound)
    refused(stage, Commit(first_step_action="x"), refusals.WrongStep)
    stage.do(ChooseOption(option_id="B"))
    assert stage.types()[-2:] == ["option_chosen", "step_advanced"]
    assert stage.told("option_chosen") == {"option_id": "B", "version": 1, "by": "form"}
    refused(stage, ChooseOption(option_id="A"), refusals.WrongStep)
    assert refused(stage, Advance(), refusals.InvalidStepTransition).facts["unmet"] == ["current_step"]


def test_an_own_card_is_chosen_with_its_making() -> None:
    stage = Stage().talked(5)
    stage.do(AddOption(title="Move away", actions=["Look for a flat"]))
    assert stage.types()[-3:] == ["option_added", "option_chosen", "step_advanced"]
    seen = stage.view()
    assert seen["chosen_option"] == "own" and [each["id"] for each in seen["options"]] == ["A", "B", "own"]


def test_the_last_move_can_be_taken_back_once() -> None:
    stage = Stage().talked(1)
    assert views.contestable(stage.session)
    stage.do(ContestStep(reason="Too fast"))
    assert stage.told("step_contested") == {"from": "clarify", "to": "receive", "reason": "Too fast"}
    refused(stage, ContestStep(), refusals.NothingToContest)
    for content in TALK[1:3]:
        stage.say(content)
        stage.answer()
    refused(stage, ContestStep(), refusals.NothingToContest)


def test_a_contested_choice_is_none() -> None:
    stage = Stage().talked(5)
    stage.do(ChooseOption(option_id="A"))
    stage.do(ContestStep())
    seen = stage.view()
    assert (seen["current_step"], seen["chosen_option"]) == ("options", None)
    stage.say("B")
    stage.answer()
    assert stage.view()["chosen_option"] == "B" and stage.told("option_chosen")["by"] == "message"


def test_without_a_model_the_form_goes_all_the_way() -> None:
    stage = Stage().created()
    stage.models.model = None
    refused(stage, Advance(), refusals.InvalidStepTransition)
    stage.do(CorrectBelief(slot="goal", text="To be heard"))
    for step in ("clarify", "reframe", "options"):
        stage.do(Advance())
        assert stage.view()["current_step"] == step
    refused(stage, Advance(), refusals.InvalidStepTransition)
    stage.do(AddOption(title="Talk", actions=["Ask"]))
    stage.do(Commit(first_step_action="Ask for a talk", confidence=7))
    assert stage.view()["status"] == "completed"


def test_with_a_model_an_own_card_needs_others() -> None:
    stage = Stage().talked(4)
    stage.say("Something else may be true")
    stage.answer()
    stage.do(Advance())
    assert stage.view()["current_step"] == "options" and stage.view()["options"] is None
    refused(stage, AddOption(title="x", actions=["y"]), refusals.WrongStep)
    stage.say("What could I do?")
    assert stage.jobs["turn"].input["cards"]
    stage.answer()
    assert [each["id"] for each in stage.view()["options"]] == ["A", "B"]


def test_an_own_card_stands_alone_where_the_model_gave_none() -> None:
    stage = Stage().talked(4)
    turn = stage.say("yes")
    stage.worker(ReportTurn(turn=turn, status="failed", code="MODEL_OUTPUT_INVALID", text="One way."))
    assert stage.view()["current_step"] == "reframe"
    stage.do(Advance())
    stage.do(AddOption(title="Talk", actions=["Ask"]))
    assert (stage.view()["current_step"], stage.view()["chosen_option"]) == ("commit", "own")


# Beliefs and cards


def test_a_belief_stands_on_the_owners_words() -> None:
    stage = Stage().created()
    stage.say()
    beliefs = {
        "goal": {"text": "To be heard", "quote": "ignores everything"},
        "tried": {"text": "Nothing", "quote": "I tried nothing"},
    }
    stage.answer(data=Trailer.model_validate({"beliefs": beliefs}))
    message = stage.told("message_received")["message_id"]
    believed = {"text": "To be heard", "message_id": message, "quote": "ignores everything", "by": "model"}
    assert stage.view()["beliefs"]["goal"] == believed and stage.view()["beliefs"]["tried"] is None
    assert stage.types()[-3:] == ["turn_completed", "belief_formed", "step_advanced"]


def test_what_the_owner_corrected_stays() -> None:
    stage = Stage().created()
    stage.do(CorrectBelief(slot="goal", text="Mine"))
    stage.do(CorrectBelief(slot="feeling", text=None))
    stage.say()
    quoted = {"text": "Theirs", "quote": "ignores everything"}
    stage.answer(data=Trailer.model_validate({"beliefs": {"goal": quoted, "feeling": quoted}}))
    beliefs = stage.view()["beliefs"]
    assert beliefs["goal"] == {"text": "Mine", "message_id": None, "quote": None, "by": "owner"}
    assert beliefs["feeling"] is None
    refused(stage, CorrectBelief(slot="mood", text="x"), refusals.SlotNotFound)


def test_cards_at_options_are_a_new_version() -> None:
    stage = Stage().talked(5)
    stage.say("None of them fits me yet")
    stage.answer(data=Trailer(cards=[card("New"), card("Newer"), card("Newest")]))
    assert stage.told("options_offered")["version"] == 2
    assert [each["title"] for each in stage.view()["options"]] == ["New", "Newer", "Newest"]
    stage.say("newest")
    stage.answer(data=CARDS)  # not under the owner's hand
    assert stage.view()["chosen_option"] == "C" and len(stage.view()["options"]) == 3


def test_the_models_first_step_only_fills_the_form() -> None:
    stage = Stage().talked(6)
    stage.say("Should I write to him?")
    stage.answer(data=Trailer(first_step="Write to him"))
    assert views.first_step_draft(stage.session) == "Write to him" and stage.view()["first_step_action"] is None
    stage.do(Update(first_step_action="Call him"))
    assert views.first_step_draft(stage.session) == "Call him"


# The end and after it


def test_reminders_come_once_each() -> None:
    stage = Stage().talked(6)
    at = START + timedelta(hours=2)
    stage.do(Commit(first_step_action="Write", reminder_time=at, confidence=9))
    assert stage.view()["reminder_time"] == to_text(at)
    stage.later(hours=3).fire()
    assert stage.types()[-1] == "reminded" and stage.events[-1].at == at
    stage.later(days=1).fire()
    assert stage.types().count("reminded") == 1 and stage.view()["reminder_sent_at"] == to_text(at)
    stage.worker(Remind())
    assert stage.types().count("reminded") == 1
    stage.do(Update(reminder_time=stage.now + timedelta(days=1)))
    assert stage.view()["reminder_sent_at"] is None
    stage.do(CompleteAction(outcome="It worked"))
    stage.later(days=2).fire()
    assert stage.types().count("reminded") == 1
    stage.do(UncompleteAction())
    stage.fire()
    assert stage.types().count("reminded") == 2
    stage.do(Update(reminder_time=None))
    assert stage.view()["reminder_time"] is None and KIND.due(stage.session) is None


@pytest.mark.parametrize("away", [timedelta(0), timedelta(seconds=-1), timedelta(days=366)])
def test_a_reminder_is_within_a_year(away: timedelta) -> None:
    stage = Stage().talked(6)
    refused(stage, Update(reminder_time=START + away), errors.Invalid)
    refused(stage, Commit(first_step_action="x", reminder_time=START + away), errors.Invalid)


def test_a_year_ends_on_the_same_day_of_the_next() -> None:
    for day, after in (("2026-11-21", "2027-11-21"), ("2027-03-01", "2028-03-01"), ("2028-02-29", "2029-03-01")):
        assert decide.year_after(datetime.fromisoformat(day)).date().isoformat() == after
    stage = Stage().talked(6)
    stage.do(Update(reminder_time=START + timedelta(days=365)))
    assert stage.view()["reminder_time"] == to_text(START + timedelta(days=365))


def test_an_action_is_done_and_not_done() -> None:
    stage = Stage().talked(7)
    stage.do(CompleteAction(outcome="Well"))
    assert set(stage.session.collection("action")) == {"completed"} and stage.view()["outcome"] == "Well"
    assert stage.do(CompleteAction()) == []
    stage.do(UncompleteAction())
    assert stage.do(UncompleteAction()) == [] and set(stage.session.collection("action")) == {"pending"}
    assert (stage.view()["action_completed_at"], stage.view()["outcome"]) == (None, None)
    refused(Stage().talked(1), CompleteAction(), refusals.NoAction)


def test_silence_ends_a_session_and_it_can_be_reopened() -> None:
    stage = Stage(solve_abandon_days=3).talked(1)
    stage.later(days=2)
    stage.say(TALK[1])
    stage.later(days=3, seconds=-1).fire()
    assert stage.view()["status"] == "active"
    stage.later(seconds=1).fire()
    assert stage.view()["status"] == "abandoned" and stage.told("abandoned") == {"reason": "idle"}
    assert "turn_cancelled" in stage.types() and stage.jobs == {} and stage.view()["completed_at"] is None
    charges = dict(stage.charges)
    stage.do(Reopen())
    assert stage.view()["status"] == "active" and stage.charges == charges
    stage.later(days=3).fire()
    assert stage.view()["status"] == "abandoned"


def test_a_form_commits_while_a_reply_is_written() -> None:
    stage = Stage().talked(6)
    stage.say("Should I write?")
    stage.do(Commit(first_step_action="Write"))
    assert stage.types()[-3:] == ["turn_cancelled", "committed", "completed"] and stage.jobs == {}
    assert stage.view()["tokens"]["reserved"] == 0


# Opening


def test_a_session_is_counted_in_its_creation() -> None:
    stage = Stage(solve_quota_limit=2, counters={"solve.sessions:space:2026-03": 1}).created()
    assert stage.told("created")["usage"] == {"sessions_used": 2, "sessions_limit": 2, "tier": "free"}
    other = Stage(solve_quota_limit=2, counters=stage.charges)
    with pytest.raises(refusals.QuotaExceeded) as caught:
        other.created()
    assert caught.value.facts == {"usage": {"sessions_used": 2, "sessions_limit": 2, "tier": "free"}}
    lifetime = Stage(solve_quota_limit=1, solve_quota_period="lifetime", counters=stage.charges).created()
    assert lifetime.charges["solve.sessions:space:lifetime"] == 1
    free = Stage(counters=stage.charges).created()
    assert free.told("created")["usage"] == {"sessions_used": 3, "sessions_limit": None, "tier": "unlimited"}


def test_creations_have_a_rate() -> None:
    first = Stage(solve_creations_minute=1).created()
    stage = Stage(solve_creations_minute=1, counters=first.charges)
    with pytest.raises(errors.RateLimited):
        stage.created()
    stage.later(minutes=1).created()


@pytest.mark.parametrize(
    ("month", "over"),
    [
        (1, datetime(2026, 2, 1, tzinfo=UTC)),
        (2, datetime(2026, 3, 1, tzinfo=UTC)),
        (12, datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_counter_of_a_minute_or_a_month_says_when_that_is_over(month: int, over: datetime) -> None:
    stage = Stage()
    stage.now = datetime(2026, month, 31 if month != 2 else 28, 12, 30, 15, 250, tzinfo=UTC)
    minute = stage.now.replace(minute=31, second=0, microsecond=0)
    stage.created().say("hello")
    assert {account.split(":")[0]: until for account, until in stage.charged_until.items()} == {
        "solve.created": minute, "solve.sessions": over, "solve.messages": minute,
    }  # fmt: skip
    assert Stage(solve_quota_period="lifetime").created().charged_until["solve.sessions:space:lifetime"] is None


def test_open_actions_are_carried_over() -> None:
    done, unfinished, *open_ = (Stage().talked(count) for count in (7, 1, 7, 7, 7, 7))
    done.do(CompleteAction())
    mine: list[Session] = [
        unfinished.session,
        done.session,
        *(replace(one.session, id=f"s-{n}") for n, one in enumerate(open_)),
    ]
    stage = Stage(mine=mine).created()
    carried = [{"session_id": f"s-{n}", "first_step_action": TALK[-1], "reminder_time": None} for n in range(3)]
    assert stage.view()["carried"] == stage.told("created")["carried"] == carried
    assert Stage(mine=mine, solve_carry_over=False).created().view()["carried"] == []


# Changes


def test_an_update_tells_old_and_new() -> None:
    stage = Stage().created(title="Old", tags=["a"])
    stage.do(Update(title="New", tags=["B", "b", "c"], locale="es"))
    changes = {"title": ["Old", "New"], "tags": [["a"], ["b", "c"]], "locale": ["en", "es"]}
    assert stage.told("updated") == {"changes": changes}
    assert set(stage.session.collection("tag")) == {"b", "c"} and stage.view()["tags"] == ["b", "c"]
    assert stage.do(Update(title="New")) == [] and stage.do(Update()) == []
    refused(stage, Update(first_step_action="x"), refusals.WrongStep)


@pytest.mark.parametrize(
    "fields",
    [
        {"title": ""}, {"title": None}, {"title": "x" * 121}, {"tags": ["x"] * 2 + [str(n) for n in range(10)]},
        {"tags": ["a,b"]}, {"tags": ["x" * 31]}, {"tags": None}, {"reminder_time": "2026-03-02T10:00:00"},
        {"reminder_time": 1}, {"locale": "fr"}, {"nonsense": 1}, {"first_step_action": " "},
    ],
)  # fmt: skip
def test_what_an_update_refuses(fields: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid):
        strict.check(Update, fields)


def test_creation_takes_little_and_refuses_the_rest() -> None:
    assert strict.read(Create, b"") == Create()
    for fields in ({"title": " "}, {"locale": "de"}, {"tags": "a"}, {"status": "active"}):
        with pytest.raises(errors.Invalid):
            strict.check(Create, fields)


def test_an_export_is_noted() -> None:
    stage = Stage().created()
    stage.do(Export(format="json"))
    assert stage.told("exported") == {"format": "json"}


# The table


def test_what_a_job_leaves_behind() -> None:
    end = KIND.interrupted["turn"]
    assert end("t", "so", "cancelled") == CancelTurn(turn="t")
    assert end("t", "so", "interrupted") == ReportTurn(turn="t", status="interrupted", text="so")
    assert end("t", "so", "MODEL_TIMEOUT") == ReportTurn(turn="t", status="failed", text="so", code="MODEL_TIMEOUT")
    assert end("t", "so", "failed") == ReportTurn(turn="t", status="failed", text="so", code="MODEL_FAILED")


def test_only_the_owner_may_and_the_clock() -> None:
    for move in KIND.lifecycle.moves:
        assert set(move.roles) <= {"owner", "system", "member"}
    assert KIND.standing == {} and "report_turn" not in KIND.offered("active", "owner")
    assert gates.following("commit") is None
    assert decide.due(Stage().talked(7).session) is None
