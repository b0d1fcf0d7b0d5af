"""The line between what people read and what is for the program, however the pieces are cut."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting.apps.solve import trailer
from sitting.apps.solve.trailer import Splitter

MARK = "---DATA---"
PROSE = "So it is about trust - self-trust, that is.\n\nWhat would help?"
DATA = json.dumps({"suggestions": ["A talk", "---DATA---"], "first_step": "Write — tonight"})


def through(pieces: Iterable[str]) -> tuple[list[str], str]:
    """What the reader sees piece by piece, and what the program gets."""
    splitter = Splitter()
    shown = [splitter.feed(piece) for piece in pieces]
    return [*shown, splitter.end()], splitter.data


@pytest.mark.parametrize("between", ["\n", "\n\n", "\r\n", ""])
def test_cut_at_every_place(between: str) -> None:
    whole = f"{PROSE}{between}{MARK}\n{DATA}"
    for cut in range(len(whole) + 1):
        shown, data = through([whole[:cut], whole[cut:]])
        assert "".join(shown) == PROSE and data.strip() == DATA, cut


@given(st.lists(st.integers(1, 9), max_size=80))
def test_cut_everywhere_at_once(sizes: list[int]) -> None:
    whole, pieces = f"{PROSE}\n{MARK}\n{DATA}", []
    for size in sizes:
        pieces.append(whole[:size])
        whole = whole[size:]
    shown, data = through([*pieces, *whole])
    assert "".join(shown) == PROSE and data.strip() == DATA


@given(st.text(alphabet="ab -\n", max_size=60), st.integers(1, 5))
def test_prose_without_a_mark_is_whole(text: str, size: int) -> None:
    shown, data = through(text[start : start + size] for start in range(0, len(text), size))
    assert data == ""
    kept = text.rstrip("-")
    begun = len(text) - len(kept)
    assert "".join(shown) == text if begun < 3 else text.startswith("".join(shown))


def test_words_pass_at_once_with_their_spaces() -> None:
    splitter = Splitter()
    assert [splitter.feed(piece) for piece in ("I ", "see ", "you.\n", "\n", "So ")] == [
        "I ",
        "see ",
        "you.",
        "",
        "\n\nSo ",
    ]
    assert not splitter.marked


@pytest.mark.parametrize("mark", ["--- data ---", "--Data--", "-----DATA----", "---\tDATA --", "-- data--"])
def test_a_mark_is_known_however_it_is_spelt(mark: str) -> None:
    whole = f"{PROSE}\n{mark}\n{DATA}"
    for cut in range(len(whole) + 1):
        shown, data = through([whole[:cut], whole[cut:]])
        assert "".join(shown) == PROSE and data.strip() == DATA, cut
    shown, data = through(whole)
    assert "".join(shown) == PROSE and data.strip() == DATA


@pytest.mark.parametrize("end", ["\n---", "\n---DATA", "\n\n---DATA-", "---D", "\n-- da"])
def test_a_mark_that_was_cut_off_is_not_read(end: str) -> None:
    shown, data = through([*PROSE, *end])
    assert "".join(shown) == PROSE and data == ""


def test_a_dash_is_a_dash() -> None:
    assert "".join(through(["A", " -", "- b -"])[0]) == "A -- b -"


def test_a_trailer_is_read_strictly_where_it_counts() -> None:
    found = trailer.read(f"```json\n{DATA}\n```")
    assert found is not None and found.first_step == "Write — tonight" and found.suggestions[0] == "A talk"
    belief = {"text": " Peace ", "quote": "a talk"}
    assert trailer.read(json.dumps({"beliefs": {"goal": belief}, "mood": "sad"})) is not None


@pytest.mark.parametrize(
    "data",
    [
        "", "nothing", "{", "}{", "[]", '{"cards": []}', '{"cards": [{"title": "A"}]}',
        '{"suggestions": ["a"], "suggestions": []}', json.dumps({"suggestions": ["x"] * 4}),
        json.dumps({"suggestions": ["x" * 81]}), json.dumps({"suggestions": [" "]}),
        json.dumps({"beliefs": {"mood": {"text": "x", "quote": "xxx"}}}), json.dumps({"first_step": "x" * 301}),
        json.dumps({"beliefs": {"goal": {"text": "x", "quote": "xx"}}}), '{"first_step": "\\u0000"}',
        "{" * 40 + "}" * 40,
    ],
)  # fmt: skip
def test_what_is_wrong_is_nothing(data: str) -> None:
    assert trailer.read(data) is None


def test_cards_are_told_apart_and_complete() -> None:
    card = {
        "title": "Call",
        "actions": ["Dial"],
        "pros": ["很快"],
        "cons": ["To [phone], not [email]"],
        "effort": "low",
        "success_rate": 90,
        "id": "Z",
    }
    good = trailer.read(json.dumps({"cards": [card, {**card, "title": "Write", "actions": ["ดีมาก"]}]}))
    assert good is not None and good.cards is not None
    assert good.cards[0].model_dump() == {name: card[name] for name in ("title", "actions", "pros", "cons", "effort")}
    other = {**card, "title": "Write", "actions": ["Take a pen"]}
    wrong = [
        {**other, "effort": "huge"},
        {**other, "cons": []},
        {**other, "title": "W" * 81},
        {**other, "title": "CALL"},
        {**other, "actions": ["DIAL"]},
    ]
    for cards in ([card], [card] * 4, *([card, each] for each in wrong)):
        assert trailer.read(json.dumps({"cards": cards})) is None


SCRAPS = ["],", "] }, {", "}", '{"pros": [', 'easy", "cons": "hard', "ok", "12 34", "字", '["one"]', "list [one"]


@pytest.mark.parametrize("part", ["title", "actions", "pros", "cons"])
@pytest.mark.parametrize("scrap", SCRAPS)
def test_a_card_says_something_in_words(part: str, scrap: str) -> None:
    good = {"title": "Call", "actions": ["Dial"], "pros": ["Quick"], "cons": ["Scary"], "effort": "low"}
    other = {**good, "title": "写信", "actions": ["先写下来"]}
    assert trailer.read(json.dumps({"cards": [good, other]})) is not None
    spoilt = {**other, part: scrap if part == "title" else [scrap]}
    assert trailer.read(json.dumps({"cards": [good, spoilt]})) is None
