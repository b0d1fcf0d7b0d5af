"""The floor: what several people say in the same words, and nothing more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sitting.apps.facilitation import grouping

POINTS = st.lists(st.text(alphabet="goal unclear handover slow team trust ", max_size=40), min_size=1, max_size=5)


def test_points_that_share_a_word_stand_together() -> None:
    made = grouping.group(
        [
            ("R1", ["Priorities change every week", "The coffee is cold"]),
            ("R2", ["I hear of changed priorities late"]),
            ("R3", ["Handovers take days"]),
            ("R4", ["A handover is never complete", "Our priority is not written down"]),
        ]
    )
    assert [(theme["title"], theme["responses"]) for theme in made["themes"]] == [
        ("priorities, change", ["R1", "R2", "R4"]),
        ("handover", ["R3", "R4"]),
    ]
    assert made["themes"][1]["bullets"] == [
        {"response": "R3", "text": "Handovers take days"},
        {"response": "R4", "text": "A handover is never complete"},
    ]
    assert made["rest"] == [{"response": "R1", "text": "The coffee is cold"}]
    assert made["heading"] == "Grouped without a model"
    assert "share a key word" in made["rule"]


def test_one_voice_makes_no_theme() -> None:
    made = grouping.group([("R1", ["goal, goal, goal", "The goal again"]), ("R2", ["Something else entirely"])])
    assert made["themes"] == []
    assert len(made["rest"]) == 3
    assert made["gap"]["type"] is None


def test_the_gap_is_named_with_its_words_or_said_to_be_unclear() -> None:
    named = grouping.group([("R1", ["The goal is unclear"]), ("R2", ["No clear goals"]), ("R3", ["Lunch was good"])])
    assert named["gap"]["type"] == "Direction"
    assert named["gap"]["reason"].startswith("2 of 3 responses use words of no shared understanding of goals: ")
    assert "“goal”" in named["gap"]["reason"]
    tied = grouping.group([("R1", ["The goal, and who shares it"]), ("R2", ["A shared goal"])])
    assert tied["gap"] == {"type": None, "reason": "No gap's words stand out in these responses."}


def test_nothing_gives_nothing() -> None:
    assert grouping.group([]) == {**grouping.group([("R1", [])]), "themes": [], "rest": []}


def test_forms_of_one_word_are_one_word_and_short_words_stay() -> None:
    families = [["plan", "plans", "planned", "planning"], ["share", "shares", "shared", "sharing"]]
    families += [["priority", "priorities"], ["handover", "handovers"], ["agree", "agrees", "agreement"]]
    assert [len({grouping.stem(word) for word in family}) for family in families] == [1] * 5
    assert [grouping.stem(word) for word in ("is", "gas", "less", "team")] == ["is", "gas", "less", "team"]


@given(st.lists(POINTS, max_size=6))
def test_every_point_stands_in_one_place_and_every_theme_has_two_voices(said: list[list[str]]) -> None:
    made = grouping.group((f"R{place}", bullets) for place, bullets in enumerate(said, 1))
    placed = [*made["rest"], *(point for theme in made["themes"] for point in theme["bullets"])]
    spoken = [{"response": f"R{place}", "text": text} for place, texts in enumerate(said, 1) for text in texts]
    assert sorted(placed, key=str) == sorted(spoken, key=str)
    assert all(len(theme["responses"]) > 1 for theme in made["themes"])
    assert len(made["themes"]) <= grouping.MOST_THEMES
    assert made == grouping.group((f"R{place}", bullets) for place, bullets in enumerate(said, 1))
