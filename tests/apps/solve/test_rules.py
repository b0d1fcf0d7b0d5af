"""What a message counts as: effort, agreement, choice, feeling, crisis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting.apps.solve import languages, rules, words
from sitting.apps.solve.terms import EMOTIONS, LOCALES, SLOTS, STEPS

CARDS = [
    {"id": "A", "title": "Ask for a talk"},
    {"id": "B", "title": "Escribir más"},
    {"id": "C", "title": "Wait."},
    {"id": "own", "title": "Mine"},
]


@pytest.mark.parametrize(
    ("text", "low"),
    [
        ("ok", True), ("asdf", True), ("idk", True), ("I don’t know.", True), ("I DON'T KNOW", True), ("dunno", True),
        ("...", True), ("12345 678 90 12345", True), ("", True), ("aaaaaaaaaaaaaaaaaaaaaaa", True), ("ha", True),
        ("my boss", True), ("no sé", True), ("Nada!", True), ("不知道", True), ("随便", True), ("好累啊", True),
        ("我很难过", False), ("my boss yells", False), ("Arbeitslosigkeit", False), ("boss problem", False),
        ("My boss ignores everything I propose", False),
    ],
)  # fmt: skip
def test_effort(text: str, low: bool) -> None:
    assert rules.low_effort(text) is low


def test_what_was_just_said_says_nothing_more() -> None:
    text = "My boss ignores everything"
    assert rules.low_effort(text, previous=rules.fold("  MY boss  ignores everything "))
    assert not rules.low_effort(text, previous=rules.fold("Something else"))


@pytest.mark.parametrize("word", words.AGREEMENT)
def test_every_word_of_agreement_agrees(word: str) -> None:
    for text in (word, word.upper(), f" {word}! ", f"{word}。", f"{word}, that fits", f"{word}. It does"):
        assert rules.agrees(text), text
    assert not rules.agrees(f"{word} but no") or word in ("对", "是", "好")


@pytest.mark.parametrize("text", ["sí", "Sí, eso es", "yes; no", "是的，就是这样"])
def test_accents_and_marks_do_not_matter(text: str) -> None:
    assert rules.agrees(text) is (not text.startswith("yes;"))


@pytest.mark.parametrize("text", ["yesterday", "no", "not sure", "okapi", "", "maybe yes", "不是"])
def test_what_does_not_agree(text: str) -> None:
    assert not rules.agrees(text)


@pytest.mark.parametrize(
    ("text", "id"),
    [
        ("A", "A"), ("b", "B"), (" c. ", "C"), ("1", "A"), ("3", "C"), ("option A", "A"), ("Opción 2", "B"),
        ("选项C", "C"), ("选项 1", "A"), ("ask for a TALK", "A"), ("escribir mas", "B"), ("wait", "C"), ("own", "own"),
        ("option own", "own"), ("Ａ", "A"),
    ],
)  # fmt: skip
def test_a_choice_names_a_card_and_nothing_else(text: str, id: str) -> None:
    assert rules.choice(text, CARDS) == id


@pytest.mark.parametrize("text", ["D", "4", "0", "A or B?", "I take A", "the first", "", "option", "ask"])
def test_what_is_no_choice(text: str) -> None:
    assert rules.choice(text, CARDS) is None
    assert rules.choice("C", CARDS[:2]) is None


@pytest.mark.parametrize(
    ("text", "feeling"),
    [
        ("I am so worried and nervous", "anxious"), ("not worried, just excited", "hopeful"),
        ("hello there my friend", "neutral"), ("I am never really sad", "neutral"), ("no estoy triste", "neutral"),
        ("nunca fui muy feliz, estoy triste", "sad"), ("not at all that sad", "sad"), ("estoy ansiosa", "anxious"),
        ("worried and angry", "anxious"), ("sad, angry, furious", "frustrated"), ("我很担心", "anxious"),
        ("我不担心", "neutral"), ("我没有很担心", "neutral"), ("没关系，但是我很难过", "sad"), ("我不安", "anxious"),
        ("saddle and madness", "neutral"), ("CALM and relaxed", "calm"),
    ],
)  # fmt: skip
def test_feeling(text: str, feeling: str) -> None:
    assert rules.emotion(text) == feeling


def test_every_language_has_ten_words_for_every_feeling() -> None:
    for name in EMOTIONS[:-1]:
        listed = words.EMOTION[name]
        assert all(rules.fold(word) == word for word in listed), name
        assert len(listed) >= 20 and len(words.EMOTION_HAN[name]) >= 10, name


@pytest.mark.parametrize(
    "text",
    [
        "I want to die", "i WANT  to\ndie", "thinking of suicide", "suicidal", "I could hurt myself", "self-harm",
        "self‑harm", "quiero morir", "quiero hacerme daño", "voy a matarme", "我想自杀", "不想活了", "我想死",
        "想死你了，真的想死", "伤害自己",
    ],
)  # fmt: skip
def test_crisis_in_every_language(text: str) -> None:
    assert rules.crisis(text) in words.CRISIS


@pytest.mark.parametrize("text", ["this deadline is killing me", "想死你了", "笑死我了", "累死了", "I will dye it", ""])
def test_what_is_no_crisis(text: str) -> None:
    assert rules.crisis(text) is None


@given(st.text(max_size=200))
def test_any_text_has_an_answer_and_always_the_same(text: str) -> None:
    for _ in range(2):
        assert rules.emotion(text) in EMOTIONS
        assert rules.crisis(text) in (None, *words.CRISIS)
        assert rules.choice(text, CARDS) in (None, "A", "B", "C", "own")
    assert rules.low_effort(text) is rules.low_effort(text)
    assert rules.fold(rules.fold(text)) == rules.fold(text)


@pytest.mark.parametrize("locale", LOCALES)
def test_every_language_says_everything(locale: str) -> None:
    said = languages.phrases(locale)
    assert set(said.tasks) == set(said.closings) == set(said.examples) == {step.value for step in STEPS}
    assert set(said.tactics) == {"concrete", "examples"}
    assert set(said.slots) == set(SLOTS)
    assert "---DATA---" in said.trailer and "{count}" in said.left_out
    for three in said.examples.values():
        assert all(0 < len(text) <= 80 for text in three)
    assert len(said.sample_cards) == 2
    assert rules.crisis_text(locale) == said.crisis


def test_the_fixed_words_are_the_documented_ones() -> None:
    english = languages.phrases("en")
    assert english.crisis == (
        "It sounds like you may be in serious pain right now. I am a program and I cannot keep you safe. Please talk "
        "to a person now: call your local emergency number or one of the lines below."
    )
    assert english.pause == (
        "It is fine to stop here. Your session is saved, and you can come back when you have a little more to say."
    )
    assert languages.phrases("xx") is english
