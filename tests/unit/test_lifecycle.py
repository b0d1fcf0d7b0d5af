"""The table of moves: what it answers, and that a wrong one is refused when it is built."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting import errors
from sitting.core.lifecycle import GONE, Lifecycle, Move
from tests.support import toy, workshop

STATES = ("open", "done")
MOVES = [
    Move("create", (), ("member",), ("open",)),
    Move("note", ("open",), ("owner", "writer")),
    Move("close_it", ("open",), ("owner",), ("done", "open")),
    Move("erase", ("done",), ("owner",)),
]


def _lifecycle() -> Lifecycle:
    return Lifecycle(STATES, MOVES, final=("done",))


def test_a_move_is_found_by_state_and_verb() -> None:
    lifecycle = _lifecycle()
    assert lifecycle.verbs == ("create", "note", "close_it", "erase")
    assert lifecycle.move("", "create") is MOVES[0]
    assert lifecycle.move("open", "note") is MOVES[1]
    assert MOVES[1].reaches("open") == ("open",)
    assert MOVES[2].reaches("open") == ("done", "open")
    assert [move.verb for move in lifecycle.open("open")] == ["note", "close_it"]
    assert [move.verb for move in lifecycle.open("open", "writer")] == ["note"]
    assert lifecycle.open("", "member") == (MOVES[0],)
    assert lifecycle.open("done", "writer") == ()


def test_an_unknown_verb_is_not_found() -> None:
    with pytest.raises(errors.NotFound, match="There is no command 'fly' here"):
        _lifecycle().move("open", "fly")


@pytest.mark.parametrize(
    ("state", "verb", "sentence"),
    [
        ("done", "note", "Cannot note. Session is in 'done' state."),
        ("done", "close_it", "Cannot close it. Session is in 'done' state."),
        ("open", "create", "Cannot create. Session is in 'open' state."),
    ],
)
def test_a_wrong_state_is_refused_in_a_sentence(state: str, verb: str, sentence: str) -> None:
    with pytest.raises(errors.WrongState) as refused:
        _lifecycle().move(state, verb)
    assert refused.value.message == sentence
    assert refused.value.facts["session_status"] == state
    assert refused.value.facts["allowed"] == [move.verb for move in _lifecycle().open(state)]


def test_a_refusal_offers_nothing_that_only_the_system_may() -> None:
    with pytest.raises(errors.WrongState) as refused:
        toy.LIFECYCLE.move("paused", "note")
    assert refused.value.facts["allowed"] == ["stop", "resume", "end", "invite", "share", "forget", "erase"]
    with pytest.raises(errors.WrongState) as refused:
        toy.LIFECYCLE.move("paused", "note", "reader")
    assert refused.value.facts["allowed"] == []


def test_the_opening_and_the_refusal_are_the_kinds_own() -> None:
    with pytest.raises(errors.WrongState, match=r"^Cannot reopen the workshop\. Session is in 'open' state\.$"):
        workshop.LIFECYCLE.move("open", "reopen")
    own = Lifecycle(STATES, MOVES, refuse=lambda state, move: errors.Conflict(f"{state}:{move.verb}", allowed=["x"]))
    with pytest.raises(errors.Conflict, match="^done:note$") as refused:
        own.move("done", "note")
    assert refused.value.facts == {"allowed": ["x"]}


@pytest.mark.parametrize(
    ("states", "moves", "final", "sentence"),
    [
        (("open",), MOVES, (), "unknown states: done"),
        (STATES, [*MOVES, Move("x", ("lost",), ())], (), "unknown states: lost"),
        (STATES, MOVES, ("end",), "unknown states: end"),
        (STATES, MOVES[1:], (), "no move 'create'"),
        ((*STATES, "far"), MOVES, (), "cannot reach: far"),
        ((*STATES, "far"), [*MOVES, Move("x", ("far",), (), ("far",))], (), "cannot reach: far"),
        (STATES, [*MOVES, Move("note", ("open",), ())], (), "two moves 'note' from 'open'"),
        (STATES, [*MOVES, Move("create", (), (), ("done",))], (), "two moves 'create' from ''"),
        (STATES, [*MOVES, Move("back", ("done",), (), ("open",))], ("done",), "'back' leaves a final state"),
    ],
)
def test_a_wrong_table_is_refused(
    states: tuple[str, ...], moves: list[Move], final: tuple[str, ...], sentence: str
) -> None:
    with pytest.raises(errors.Misuse, match=sentence):
        Lifecycle(states, moves, final=final)


@given(st.data())
def test_every_pair_of_state_and_verb_is_a_move_or_a_refusal(data: st.DataObject) -> None:
    lifecycle = data.draw(st.sampled_from([workshop.LIFECYCLE, workshop.TEAM_LIFECYCLE, toy.LIFECYCLE]))
    state = data.draw(st.sampled_from(["", *lifecycle.states]))
    verb = data.draw(st.sampled_from(lifecycle.verbs))
    offered = {move.verb: move for move in lifecycle.open(state)}
    if verb in offered:
        move = lifecycle.move(state, verb)
        assert move is offered[verb]
        assert set(move.reaches(state)) <= {*lifecycle.states, "", GONE}
    else:
        with pytest.raises(errors.Conflict) as refused:
            lifecycle.move(state, verb)
        assert refused.value.facts["allowed"] == [verb for verb in offered if offered[verb].roles != ("system",)]
