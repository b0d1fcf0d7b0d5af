"""Any walk through a session keeps the rules: one step at a time, back only by contest, nothing stored by a refusal."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from sitting import errors
from sitting.apps.solve import views
from sitting.apps.solve.commands import (
    Abandon,
    AddOption,
    Advance,
    CancelTurn,
    ChooseOption,
    Commit,
    CompleteAction,
    ContestStep,
    CorrectBelief,
    DismissCrisis,
    Reopen,
    ReportTurn,
    RetryTurn,
    SendMessage,
    Trailer,
    UncompleteAction,
    Update,
)
from sitting.apps.solve.terms import STEPS
from sitting.core.kind import Command
from tests.apps.solve.stage import CARDS, TALK, Model, Stage

WORDS = (*TALK, "ok", "idk", "I want to die", "hm?", "2", "Something quite different this time", "是的", "我很难过")
Act = Callable[[Stage, int], Command | None]


def turn(stage: Stage) -> str:
    return stage.session.data["last_turn"] or "none"


def report(stage: Stage, number: int) -> Command | None:
    status = ("completed", "completed", "completed", "failed", "interrupted")[number % 5]
    if stage.session.data["active_turn"] is None:
        return None
    data = CARDS if stage.jobs["turn"].input["cards"] or number % 2 else Trailer()
    return ReportTurn.model_validate(
        {"turn": turn(stage), "status": status, "text": "So." * (number % 3), "data": data, "output_tokens": number}
    )


ACTS: tuple[Act, ...] = (
    lambda stage, number: SendMessage(content=WORDS[number % len(WORDS)]),
    lambda stage, number: SendMessage(content=f"This is something new, number {number}"),
    report,
    report,
    lambda stage, number: CancelTurn(turn=turn(stage)),
    lambda stage, number: RetryTurn(turn=turn(stage)),
    lambda stage, number: DismissCrisis(turn=turn(stage)),
    lambda stage, number: Advance(),
    lambda stage, number: ContestStep(),
    lambda stage, number: ChooseOption(option_id="ABC"[number % 3]),
    lambda stage, number: AddOption(title="Mine", actions=["Go"]),
    lambda stage, number: CorrectBelief(slot="goal", text=None if number % 3 else "Peace"),
    lambda stage, number: Commit(first_step_action="Write") if number % 4 == 0 else None,
    lambda stage, number: Update(title=f"Title {number % 3}"),
    lambda stage, number: Abandon() if number % 4 == 0 else None,
    lambda stage, number: Reopen(),
    lambda stage, number: CompleteAction(),
    lambda stage, number: UncompleteAction(),
)


@given(st.lists(st.tuples(st.integers(0, len(ACTS) - 1), st.integers(0, 40), st.booleans()), max_size=60))
def test_any_walk_keeps_the_rules(walk: list[tuple[int, int, bool]]) -> None:
    stage = Stage(solve_token_budget=60_000).created()
    for act, number, there in walk:
        stage.models.model = Model() if there or number % 7 else None
        command = ACTS[act](stage, number)
        if command is None:
            continue
        before, events = stage.session, len(stage.events)
        place = STEPS.index(before.data["step"])
        try:
            (stage.worker if isinstance(command, ReportTurn) else stage.do)(command)
        except errors.Refusal:
            assert stage.session == before and len(stage.events) == events
            continue
        moved = STEPS.index(stage.session.data["step"]) - place
        types = [event.type for event in stage.events[events:]]
        assert moved == types.count("step_advanced") - types.count("step_contested") and moved in (-1, 0, 1)
        if moved == 1:
            assert types[-1] == "step_advanced"
        assert (stage.session.data["active_turn"] is not None) == ("turn" in stage.jobs)
        if stage.session.state == "completed":
            assert stage.session.data["step"] == "commit" and stage.session.data["first_step_action"]
        views.view(stage.session, "owner", stage.now)
    assert stage.refolded() == stage.session
