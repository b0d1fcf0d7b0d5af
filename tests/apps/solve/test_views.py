"""What the owner sees, what nobody else sees, and that the journal alone gives the session again."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sitting.apps.solve import figures, views
from sitting.apps.solve.commands import CancelTurn, Commit, CorrectBelief, Export, Reopen, Trailer, Update
from sitting.apps.solve.fold import fold
from sitting.apps.solve.kind import KIND
from sitting.apps.solve.terms import EventType
from sitting.core.actor import Actor
from sitting.core.event import Event
from tests.apps.solve.stage import ANN, OWNER, TALK, WORRY, Stage

FIELDS = {
    "id", "session_id", "status", "current_step", "created_at", "updated_at", "completed_at", "title", "locale", "tags",
    "beliefs", "options", "chosen_option", "first_step_action", "reminder_time", "reminder_sent_at", "confidence",
    "action_completed", "action_completed_at", "outcome", "emotion_detected", "message_count", "active_turn", "tokens",
    "carried", "as_of",
}  # fmt: skip
SECRET = "quokka"


def whole() -> Stage:
    """A session in which about everything has happened."""
    stage = Stage().created(title=f"{SECRET} title", tags=[SECRET])
    stage.say(f"{SECRET} worries me: I am anxious at a@example.org")
    quoted = {"text": f"{SECRET} belief", "quote": f"{SECRET} worries"}
    stage.answer(f"{SECRET} reply", Trailer.model_validate({"beliefs": {"goal": quoted}, "suggestions": [SECRET]}))
    stage.do(CorrectBelief(slot="tried", text=f"{SECRET} tried"))
    turn = stage.say(f"I want to die, {SECRET}")
    assert turn != stage.say(f"{SECRET} the second one")
    stage.texts[stage.session.data["active_turn"]] = f"{SECRET} cut"
    stage.do(CancelTurn(turn=stage.session.data["active_turn"]))
    for content in TALK[1:6]:
        stage.say(content)
        stage.answer()
    stage.say(f"I will call {SECRET} tonight")
    stage.answer()
    stage.do(Update(title=f"{SECRET} again"))
    stage.do(Export(format="html"))
    return stage


def test_the_view_has_the_documented_fields() -> None:
    stage = Stage().created()
    seen = stage.view()
    assert set(seen) == FIELDS
    assert (seen["title"], seen["options"], seen["carried"], seen["tags"]) == ("New session", None, [], [])
    assert set(seen["beliefs"]) == {"goal", "stakes", "constraints", "tried", "feeling"}
    stage.say("  My   boss " + "ignores " * 20)
    assert stage.view()["title"] == ("My boss " + "ignores " * 20)[:60].rstrip()
    assert set(views.item(stage.view())) == {
        "id", "session_id", "status", "current_step", "created_at", "completed_at", "updated_at", "title", "tags",
        "first_step_action", "reminder_time", "action_completed",
    }  # fmt: skip
    json.dumps(whole().view())


def test_nobody_else_sees_anything() -> None:
    stage = whole()
    admin = Actor("user:admin", "space", frozenset({"admin"}))
    audience = views.audience(stage.session, admin, "")
    assert views.view(stage.session, audience, stage.now) == {"as_of": stage.session.position}
    assert all(views.tell(event, audience) is None and not views.parts(event, audience) for event in stage.events)
    assert views.meters(stage.session, audience, stage.now) == () and views.needs(stage.session, audience) is None
    assert views.audience(stage.session, ANN, OWNER) == OWNER


def test_every_text_is_the_owners_to_erase() -> None:
    stage = whole()
    for event in stage.events:
        assert SECRET not in json.dumps(dict(event.data)) and set(event.personal) <= {OWNER}, event.type
        assert "anxious" not in json.dumps(dict(event.data))


def test_every_type_is_told_with_the_documented_names() -> None:
    stage = whole()
    assert {event.type for event in stage.events} <= set(EventType)
    for event in stage.events:
        told = views.tell(event, OWNER)
        assert told is not None and set(told) == {"seq", "type", "ts", "data"}
        assert (
            "rule" not in told["data"]
            and "first_step" not in told["data"]
            and "option_id" not in set(told["data"] if event.type == "turn_started" else ())
        )
    completed = stage.told("turn_completed")
    assert len(completed["sha256"]) == 64
    assert stage.told("turn_started")["history"]["messages"] > 3


@given(st.sets(st.integers(0, 60)), st.booleans())
def test_an_erased_part_breaks_no_fold(places: set[int], all_of_them: bool) -> None:
    stage = _WHOLE
    assert stage.refolded() == stage.session
    events = [
        replace(event, personal=dict.fromkeys(event.personal)) if all_of_them or place in places else event
        for place, event in enumerate(stage.events)
    ]
    session = stage.refolded(events)
    assert (session.state, session.data["step"]) == ("completed", "commit")
    views.view(session, OWNER, stage.now)
    for event in events:
        views.tell(event, OWNER)
        KIND.final(event)
    assert all_of_them is False or SECRET not in views.search(session)


_WHOLE = whole()


def test_a_type_from_a_later_version_changes_nothing() -> None:
    session = Stage().created().session
    event = Event(2, "something_new", ANN.id, OWNER, _WHOLE.now, {})
    assert fold(session, event) is session and views.tell(event, OWNER) is None and KIND.final(event) is None


def test_search_looks_in_title_messages_and_first_step() -> None:
    stage = Stage().created(title="Named", tags=["tagged"])
    stage.say("Worry 100% of it")
    stage.answer("The reply")
    found = views.search(stage.session)
    assert all(text in found for text in ("Named", "Worry 100% of it", "The reply")) and "tagged" not in found
    assert TALK[-1] in views.search(Stage().talked(7).session)


def test_how_far_a_step_is() -> None:
    stage = Stage().talked(2)
    unmet: list[str] = []
    assert views.progress(stage.session) == {
        "substantive": 1, "messages": 1, "beliefs": 0, "met": False, "unmet": unmet,
    }  # fmt: skip
    stage = Stage().created()
    assert views.progress(stage.session)["unmet"] == ["substantive_message"]
    met = [views.progress(Stage().talked(count).session)["met"] for count in range(7)]
    assert met == [False] * 7


def test_tokens_left_are_a_meter() -> None:
    stage = Stage(solve_token_budget=10_000).created()
    levels = []
    for spent in (0, 8000, 9600, 10_000):
        stage.session = stage.session.set(spent=spent)
        levels.append(views.meters(stage.session, OWNER, stage.now)[0]["level"])
    assert levels == ["normal", "warning", "urgent", "exhausted"]
    assert views.needs(stage.session, OWNER) == "Go on where you stopped."
    done = Stage().talked(7)
    assert views.needs(done.session, OWNER) == "Do the first step, and mark it done."


def test_the_end_of_a_turn_is_told_the_same_later() -> None:
    """The figures of the routes find in these events what they look for."""
    stage = Stage().created()
    for content, expected in zip(
        TALK, ("clarify", "clarify", "clarify", "reframe", "options", "commit", None), strict=True
    ):
        turn = stage.later(seconds=1).say(content)
        stage.later(seconds=1).answer()
        done = figures.done(stage.events, turn, {})
        assert done is not None and done["next_step"] == expected and done["turn"] == turn
        cards: Any = done["options"]
        assert (len(cards) == 2) if expected == "options" else cards is None
        assert done["step_moved"] is (expected not in ("clarify", None) or content == WORRY)
    crisis = Stage().created()
    turn = crisis.say("I want to die")
    told = figures.done(crisis.events, turn, {"US": "988"})
    assert told is not None and told["blocked"] and told["reason"] == "CRISIS" and told["next_step"] == "receive"


def test_a_reopened_session_goes_on() -> None:
    stage = Stage(solve_abandon_days=1).talked(6).later(days=1)
    stage.fire()
    stage.do(Reopen())
    stage.do(Commit(first_step_action="Write"))
    assert not KIND.is_closed(stage.session, OWNER) and stage.view()["status"] == "completed"
