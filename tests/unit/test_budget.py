"""Tokens: whatever is reserved and settled, used and reserved together never pass the limit."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting import errors
from sitting.core.budget import Budget, Settlement, settled

amounts = st.integers(0, 1000)
reported = st.none() | st.integers(-10, 5000)


def test_reserve_and_settle() -> None:
    budget = Budget(100, used=10)
    assert budget.free == 90
    reserved = budget.reserve(60)
    assert (reserved.used, reserved.reserved, reserved.free) == (10, 60, 30)
    assert reserved.settle(60, 25) == Budget(100, 35, 0)
    assert reserved.settle(60, 70) == Budget(100, 70, 0)
    assert reserved.settle(90, 90) == Budget(100, 70, 0)


def test_the_last_token_can_be_reserved_and_no_more() -> None:
    full = Budget(10).reserve(10)
    assert full.free == 0
    with pytest.raises(errors.BudgetExhausted) as refused:
        full.reserve(1)
    assert refused.value.facts == {"free": 0, "needed": 1}
    assert Budget(10, used=12).free == 0


@given(amounts, st.lists(st.tuples(st.booleans(), amounts, amounts), max_size=30))
def test_the_limit_holds_at_every_instant(limit: int, steps: list[tuple[bool, int, int]]) -> None:
    budget, open_ones = Budget(limit), list[int]()
    for reserve, amount, used in steps:
        if reserve:
            try:
                budget = budget.reserve(amount)
            except errors.BudgetExhausted:
                assert amount > budget.free
                continue
            open_ones.append(amount)
        elif open_ones:
            before = budget
            budget = budget.settle(amount := open_ones.pop(), used)
            assert budget.used == before.used + min(used, amount)
        assert budget.reserved == sum(open_ones)
        assert budget.used + budget.reserved + budget.free == limit


@pytest.mark.parametrize(
    ("input_tokens", "output_tokens", "settlement"),
    [
        (30, 20, Settlement(30, 20, 0)),
        (None, None, Settlement(40, 25, 0)),
        (-1, -1, Settlement(40, 25, 0)),
        (30, 90, Settlement(30, 70, 20)),
        (130, 20, Settlement(100, 0, 50)),
        (0, 0, Settlement(0, 0, 0)),
    ],
)
def test_what_a_call_is_charged(input_tokens: int | None, output_tokens: int | None, settlement: Settlement) -> None:
    found = settled(reserved=100, prompt=40, input_tokens=input_tokens, output_tokens=output_tokens, counted=25)
    assert found == settlement
    assert found.charged == settlement.input_tokens + settlement.output_tokens


@given(amounts, amounts, reported, reported, amounts)
def test_no_report_is_charged_beyond_the_reservation(
    reserved: int, prompt: int, input_tokens: int | None, output_tokens: int | None, counted: int
) -> None:
    found = settled(
        reserved=reserved, prompt=prompt, input_tokens=input_tokens, output_tokens=output_tokens, counted=counted
    )
    assert 0 <= found.charged <= reserved
    assert found.overrun >= 0
    assert found.overrun == 0 or found.charged == reserved
