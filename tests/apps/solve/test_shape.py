"""What an event must be like: everything a kind writes passes, what was erased passes, and nothing else does."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from sitting.apps.solve import shape, talk, views
from sitting.apps.solve.commands import (
    AddOption,
    Commit,
    CompleteAction,
    ContestStep,
    CorrectBelief,
    DismissCrisis,
    Trailer,
    Update,
)
from sitting.core.event import Event
from tests.apps.solve.stage import OWNER, START, TALK, WORRY, Stage

Parts = dict[str, Any]
NEVER: tuple[Any, ...] = ({"a": 1}, 7.5, [[]])  # what no field of any event is


def walked() -> Stage:
    """A session in which nearly everything has happened."""
    done = Stage().talked(7)
    stage = Stage(mine=[done.session]).created(title="Mondays", tags=["work"])
    said = {"beliefs": {"goal": {"text": "To be heard", "quote": "ignores"}}, "suggestions": ["Maybe"]}
    stage.say()
    stage.answer(data=Trailer.model_validate(said))
    stage.do(ContestStep(reason="Too early"))
    stage.do(DismissCrisis(turn=stage.say("I want to die of laughter")))
    stage.answer()
    for content in TALK[1:5]:
        stage.say(content)
        stage.answer()
    stage.do(CorrectBelief(slot="tried", text="A lot"))
    stage.do(AddOption(title="Ask Kim", actions=["Call her"]))
    stage.do(Commit(first_step_action="Call", reminder_time=START + timedelta(days=1), confidence=8))
    stage.do(CompleteAction(outcome="Well"))
    stage.do(Update(title="Tuesdays", reminder_time=None))
    return stage


WALKED = walked()


def forged(type: str, change: Callable[[Parts, Parts], object]) -> list[Event]:
    """The journal with the first event of a type changed."""
    place = next(place for place, event in enumerate(WALKED.events) if event.type == type)
    event = WALKED.events[place]
    data, personal = deepcopy(dict(event.data)), deepcopy(dict(event.personal))
    change(data, personal.get(OWNER, {}))
    changed = replace(event, data=data, personal=personal)
    return [*WALKED.events[:place], changed, *WALKED.events[place + 1 :]]


def fields() -> list[tuple[str, str, str]]:
    """Every field that an event of the walk must have right."""
    found = []
    for place, table in (("data", shape._DATA), ("mine", shape._MINE)):
        for type, known in table.items():
            names = (field.alias or name for name, field in known.model_fields.items())
            found += [(str(type), place, name) for name in names if str(type) in WALKED.types()]
    return found


def test_the_walk_meets_nearly_every_shape() -> None:
    unmet = {str(type) for type in shape._DATA} - set(WALKED.types())
    assert unmet == {"turn_cancelled", "turn_failed", "turn_interrupted"}
    assert WALKED.refolded() == WALKED.session


@pytest.mark.parametrize(("type", "place", "name"), fields())
def test_a_field_of_another_type_is_no_event(type: str, place: str, name: str) -> None:
    for value in NEVER:

        def change(data: Parts, mine: Parts, put: Any = value) -> None:
            (mine if place == "mine" else data)[name] = put

        with pytest.raises(ValueError):
            WALKED.refolded(forged(type, change))


FORGED: dict[str, tuple[str, Callable[[Parts, Parts], object]]] = {
    "a step that is none": ("step_advanced", lambda data, mine: data.update(to="zzz")),
    "a reply that was never begun": ("turn_started", lambda data, mine: data.pop("turn")),
    "a card without a title": ("options_offered", lambda data, mine: mine["cards"][0].pop("title")),
    "a card with an effort that is none": ("options_offered", lambda data, mine: mine["cards"][0].update(effort="x")),
    "a card that only its owner could write, as the model's": (
        "options_offered", lambda data, mine: mine["cards"][0].update(id="D")
    ),
    "a message without words": ("message_received", lambda data, mine: mine.update(content=None)),
    "a point that there is not": ("belief_formed", lambda data, mine: data.update(slot="secret")),
    "tokens given back": ("turn_completed", lambda data, mine: data.update(output_tokens=-5)),
    "a number that is a truth": ("turn_completed", lambda data, mine: data.update(output_tokens=True)),
    "more than certain": ("committed", lambda data, mine: mine.update(confidence=11)),
    "a reminder without a zone": ("committed", lambda data, mine: mine.update(reminder_time="2026-03-02T09:00:00")),
    "a budget that is none": ("created", lambda data, mine: data.update(budget=None)),
    "a change that is no pair": ("updated", lambda data, mine: mine["changes"].update(title=["x"])),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_what_could_not_be_shown_is_no_event(name: str) -> None:
    with pytest.raises(ValueError):
        WALKED.refolded(forged(*FORGED[name]))


def test_what_was_erased_is_missing_and_nothing_breaks() -> None:
    bare = [replace(event, personal={}) for event in WALKED.events]
    session = WALKED.refolded(bare)
    assert session.state == "completed" and views.view(session, OWNER, WALKED.now)["first_step_action"] is None
    assert [moved.to for moved in talk.talk(views.tell(event, OWNER) for event in bare).moves][-1] == "commit"
    assert WORRY not in str(session)
