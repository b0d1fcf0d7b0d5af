"""The seal, by the vectors that the outside world checks it with, and the deck's order."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting.apps.facilitation import deck, seal

FIRST = "62a44e0139ba4a92ec453c00d1c8f9433aecf5604d6b5c6f4e196d9fa87ae316"
SECOND = "efee798ffeb70f5ce20582cace22dd20b9962c644ee26cb883a4745bd0a3d241"
LEAVES = st.lists(st.binary(min_size=32, max_size=32).map(bytes.hex), max_size=8, unique=True)


def test_the_documented_vectors() -> None:
    assert seal.leaf(14, ["We agree on the goal"], "00" * 16) == FIRST
    assert seal.leaf(None, ["Handover is slow", "Too many priorities"], "11" * 16) == SECOND
    assert seal.digest([FIRST, SECOND]) == "86e8b719b94ec090a58ef182cbc06f039294f1ed628e99fdfb9ddf629aebdb91"
    assert seal.digest([]) == "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"


@given(leaves=LEAVES, data=st.data())
def test_the_digest_does_not_depend_on_the_order(leaves: list[str], data: st.DataObject) -> None:
    assert seal.digest(data.draw(st.permutations(leaves))) == seal.digest(leaves)


@given(leaves=LEAVES.filter(bool), data=st.data())
def test_another_leaf_gives_another_digest(leaves: list[str], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(leaves) - 1))
    other = data.draw(st.binary(min_size=32, max_size=32).map(bytes.hex).filter(lambda leaf: leaf not in leaves))
    assert seal.digest([*leaves[:place], other, *leaves[place + 1 :]]) != seal.digest(leaves)
    assert seal.digest(leaves[1:]) != seal.digest(leaves)


@pytest.mark.parametrize(
    ("card", "bullets", "salt"),
    [
        (15, ["a", "b"], "00"),
        (None, ["a", "b"], "00"),
        (14, ["b", "a"], "00"),
        (14, ["a b"], "00"),
        (14, ["a", "b"], "01"),
    ],
)
def test_whatever_is_changed_changes_the_leaf(card: int | None, bullets: list[str], salt: str) -> None:
    assert seal.leaf(card, bullets, salt * 16) != seal.leaf(14, ["a", "b"], "00" * 16)


def test_labels_follow_the_leaves_and_not_the_people() -> None:
    assert [seal.label([SECOND, FIRST], leaf) for leaf in (FIRST, SECOND, "00" * 32)] == ["R1", "R2", None]


def test_the_deck_has_55_different_cards() -> None:
    assert [card.id for card in deck.DECK] == list(range(1, 56))
    assert len({card.symbol for card in deck.DECK}) == len({card.label for card in deck.DECK}) == 55
    assert (deck.DECK[0], deck.DECK[54].label) == (deck.Card(1, "🧭", "Compass"), "Handshake")
    assert deck.card(12) == deck.Card(12, "🪢", "Knot")
    assert [deck.card(number) for number in (0, 56, None)] == [None] * 3


def test_the_order_of_the_deck_is_the_sessions_own() -> None:
    order = [card.id for card in deck.order("00000000-0000-4000-8000-000000000001")]
    assert order[:5] == [39, 8, 26, 30, 9]
    assert sorted(order) == list(range(1, 56))
    others = {tuple(card.id for card in deck.order(f"session-{number}")) for number in range(5)}
    assert len(others) == 5
    assert all(a != b for a, b in itertools.pairwise(sorted(others)))
