"""What a model wrote is shown when it is words of some language, and only then."""

from __future__ import annotations

import pytest

from sitting.apps.facilitation import sentences


@pytest.mark.parametrize(
    "text",
    [
        "Meet weekly.",
        "The goal (R1, R2) is “clear”, but [R3] [R4] and [R1, R2] differ: “nobody” decides.",
        'They say "slow", "late" and "never": the handover waits.',
        "Цели команды неясны.",
        "لا أحد ينتظر الفريق",
        "लक्ष्य स्पष्ट नहीं है।",
        "목표가 분명하지 않다.",
        "目標不清楚。",
        "เป้าหมายไม่ชัดเจน",
        "<b>Markup</b> is text.",
    ],
)
def test_words_of_any_script_are_a_sentence(text: str) -> None:
    assert sentences.is_sentence(text)


@pytest.mark.parametrize(
    "text",
    [
        "][]{}.JSON({ type:",
        *("None", "null", "R4", "R4, R5 and R6", "[R1] [R2]", "...", "a b c d", "12 345 678", "目標", ""),
        '{"themes": "The goal is unclear to many"}',
        'The goal is unclear", "gap_reasoning": "because nobody said it',
        'The goal is unclear to everybody"}]',
        "{ type: the goal is unclear",
    ],
)
def test_scraps_labels_and_json_are_none(text: str) -> None:
    assert not sentences.is_sentence(text)
