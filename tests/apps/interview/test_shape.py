"""What an event must be like: everything a kind writes passes, what was erased passes, and nothing else does."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from sitting.apps.interview import challenges, shape, views
from sitting.apps.interview.commands import (
    AddInterviewer,
    AddNote,
    End,
    ExtendTime,
    ExtendTokens,
    MarkIntegrity,
    Passage,
    ProposeEvidence,
    RecordEvidence,
    RecordReply,
    RemoveInterviewer,
    RetryTurn,
    RotateLink,
    Update,
)
from sitting.apps.interview.terms import CANDIDATES, SESSIONS
from sitting.core.event import Event
from tests.apps.interview.stage import ANN, BEN, Stage, card, refolded

NEVER: tuple[Any, ...] = ({"a": 1}, 7.5, [[7]])  # what no field of any event is


def walked() -> Stage:
    """An interview in which nearly everything has happened."""
    stage = Stage().started(
        challenge_id=next(iter(challenges.BUILT_IN)),
        config={"integrity_marks": True, "criteria": ["approach"], "shade": "blue"},
    )
    stage.do(Update(candidate_name="Carla"))
    stage.do(AddInterviewer(actor_id=BEN.id))
    stage.do(RemoveInterviewer(actor_id=BEN.id))
    stage.do(ExtendTime(seconds=60, reason="late"))
    stage.do(ExtendTokens(tokens=100, reason="late"))
    stage.guest(MarkIntegrity(kind="paste", chars=3))
    turn = stage.say("Is a heap right?")
    stage.worker(RecordReply(turn=turn, text="A", reason="provider"))
    stage.guest(RetryTurn(turn=turn))
    stage.answer("A heap is right.", first_token_ms=5, duration_ms=9)
    seq = stage.session.seq
    stage.say("And then?")
    stage.do(AddNote(text="asks well", at_seq=seq))
    stage.do(RotateLink())
    stage.do(End())
    stage.do(ProposeEvidence(criterion="approach"))
    job = stage.events[-1].data["job"]
    stage.worker(RecordEvidence(job=job, items=[Passage(seq=seq, quote="heap")]))
    stage.do(card(stage, seq, "heap", "approach", summary="good"))
    return stage


WALKED = walked()


def forged(event: Event, data: Any, personal: Any) -> list[Event]:
    """The journal with one event changed."""
    return [replace(event, data=data, personal=personal) if each is event else each for each in WALKED.events]


def fields() -> list[tuple[str, str, str]]:
    """Every field that an event of the walk must have right: its type, where it stands, its name."""
    found = []
    for place, table in (("data", shape._DATA), (CANDIDATES, shape._CANDIDATES), (ANN.id, shape._MINE)):
        for type, known in table.items():
            names = (field.alias or name for name, field in known.model_fields.items())
            found += [(str(type), place, name) for name in names if str(type) in WALKED.types()]
    planned = [("SESSION_CREATED", SESSIONS, name) for name in shape._Planned.model_fields]
    return found + planned


def test_the_walk_meets_nearly_every_shape() -> None:
    unmet = {str(type) for type in shape._DATA} - set(WALKED.types())
    assert unmet == {"TIME_WARNING", "TOKEN_WARNING", "NOTE_CHANGED", "NOTE_REMOVED", "EVIDENCE_FAILED"}
    assert refolded(WALKED.events, WALKED.session) == WALKED.session


@pytest.mark.parametrize(("type", "place", "name"), fields())
def test_a_field_of_another_type_is_no_event(type: str, place: str, name: str) -> None:
    event = next(each for each in WALKED.events if each.type == type)
    for value in NEVER:
        data, personal = deepcopy(dict(event.data)), deepcopy(dict(event.personal))
        (data if place == "data" else personal[place])[name] = value
        if (place, name, value) != (SESSIONS, "config", {"a": 1}):  # a key of one's own is no fault
            with pytest.raises(ValueError):
                refolded(forged(event, data, personal), WALKED.session)


def test_a_challenge_copied_in_has_all_its_texts() -> None:
    event = WALKED.events[0]
    for name in shape._Challenge.model_fields:
        for change in ({name: {"a": 1}}, {name: None}):
            planned = deepcopy(event.personal[SESSIONS])
            planned["challenge"].update(change)
            with pytest.raises(ValueError):
                refolded(forged(event, event.data, {**event.personal, SESSIONS: planned}), WALKED.session)


def test_what_was_erased_is_missing_and_nothing_breaks() -> None:
    bare = [replace(event, personal={}) for event in WALKED.events]
    session = refolded(bare, WALKED.session)
    assert session.state == "completed" and "Carla" not in str(session)
    assert views.title(session) == "Interview"
