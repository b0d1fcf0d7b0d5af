"""The scripted model, what every model does with a provider's words, and what names stand for."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting import errors
from sitting.config import Settings
from sitting.local_model import Runtime
from sitting.model import Endpoint, Gate, Local, Message, Model, Models, Reply, Scripted, Step
from sitting.scripted_model import example

WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"


def ask(model: Model, text: str = "Our planning meetings take too long.", **wishes: Any) -> tuple[Reply, list[str]]:
    pieces: list[str] = []
    messages = [Message("system", "Be brief."), Message("user", text)]
    reply = model.ask(messages, **{"max_tokens": 200, "on_text": pieces.append, **wishes})
    return reply, pieces


def settings(data: Path, **chosen: Any) -> Settings:
    return Settings(data=data, **chosen)


def test_the_pieces_are_the_reply_and_the_same_question_gets_the_same_answer() -> None:
    reply, pieces = ask(Scripted())
    assert len(pieces) > 5
    assert "".join(pieces) == reply.text == ask(Scripted())[0].text
    assert (reply.model, reply.finish) == ("scripted", "stop")
    assert "planning" in reply.text and "meetings" in reply.text
    assert ask(Scripted(), "A report on the budget, please")[0].text != reply.text


@pytest.mark.parametrize("asked", ["", "1 2 3", "\ud800", "?!", "木が森にある", "x" * 10_000])
def test_there_is_an_answer_to_anything(asked: str) -> None:
    reply, pieces = ask(Scripted(), asked)
    assert reply.text and all(pieces) and len(reply.text) < 300


def test_steps_are_taken_one_a_call_and_then_the_default_words() -> None:
    model = Scripted([Step(pieces=["one"]), Step(pieces=["two ", "three"])])
    assert [ask(model)[1], ask(model)[1]] == [["one"], ["two ", "three"]]
    assert ask(model)[0].text == ask(Scripted())[0].text


def test_a_script_may_be_a_function_of_the_prompt() -> None:
    def echo(messages: Sequence[Message]) -> Step:
        return Step(pieces=[messages[-1].content.upper()])

    assert ask(Scripted(echo), "quiet")[0].text == "QUIET"


def test_it_remembers_what_it_was_asked() -> None:
    model = Scripted()
    ask(model, "first")
    ask(model, "second")
    assert [prompt[-1] for prompt in model.prompts] == [Message("user", "first"), Message("user", "second")]


def test_it_fails_after_the_pieces_it_was_told_to() -> None:
    pieces: list[str] = []
    model = Scripted([Step(pieces=["a", "b", "c"], fail_after=2)])
    with pytest.raises(errors.ModelFault):
        ask(model, on_text=pieces.append)
    assert pieces == ["a", "b"]


@pytest.mark.parametrize(
    "reported, understood",
    [
        ("exact", (15, 1)),
        ((10, 20), (10, 20)),
        ((0, 10**12), (0, 10**12)),
        (None, (None, None)),
        ((-5, 3), (None, 3)),
        ((True, 2.5), (None, None)),
        (("12", None), (None, None)),
        ((2**53, 10**40), (None, None)),
    ],
)
def test_usage_is_the_providers_word_or_none_when_it_is_nonsense(reported: Any, understood: tuple[Any, Any]) -> None:
    reply, _ = ask(Scripted([Step(pieces=["yes"], usage=reported)]))
    assert (reply.input_tokens, reply.output_tokens) == understood


def test_an_answer_is_cut_at_max_tokens() -> None:
    reply, pieces = ask(Scripted([Step(pieces=["abc"] * 10)]), max_tokens=4)
    assert (reply.text, reply.finish, reply.output_tokens) == ("abc" * 4, "length", 4)
    assert pieces == ["abc"] * 4
    assert ask(Scripted([Step(pieces=["x"], finish="length")]))[0].finish == "length"


def test_characters_are_never_split_and_what_cannot_be_stored_is_replaced() -> None:
    halves = ["a\ud83d", "\ude00b", "\ud83d", "c", "\ude00", "\0", "", "end\ud83d"]
    reply, pieces = ask(Scripted([Step(pieces=halves)]))
    assert reply.text == "a\N{GRINNING FACE}b\ufffdc\ufffd\ufffdend\ufffd"
    assert "".join(pieces) == reply.text and all(pieces)


@given(st.lists(st.text(st.characters(categories=None), max_size=4), min_size=1, max_size=8))
def test_any_pieces_come_out_storable_and_whole(given_pieces: list[str]) -> None:
    reply, pieces = ask(Scripted([Step(pieces=given_pieces)]))
    assert all(pieces) and "".join(pieces) == reply.text and "\0" not in reply.text
    whole = "".join(given_pieces).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert reply.text == whole.replace("\0", "\ufffd")
    for piece in pieces:
        piece.encode("utf-8")


def test_a_cancelled_call_keeps_what_was_said() -> None:
    gate, pieces, wish = Gate(), list[str](), threading.Event()
    model = Scripted([Step(pieces=["a", "b", "c"], gate=gate)])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, model, on_text=pieces.append, cancelled=wish.is_set)
        gate.wait_until_waiting()
        assert pieces == []
        gate.release(2)
        gate.wait_until_waiting()
        assert pieces == ["a", "b"]
        wish.set()
        reply, _ = asked.result(60)
    assert (reply.text, reply.finish) == ("ab", "cancelled")
    assert (reply.input_tokens, reply.output_tokens) == (None, None)


def test_an_open_gate_holds_nothing_and_a_gate_nobody_comes_to_says_so() -> None:
    gate = Gate()
    with pytest.raises(TimeoutError):
        gate.wait_until_waiting(0)
    gate.open()
    assert ask(Scripted([Step(pieces=["a", "b"], gate=gate)]))[0].text == "ab"


def test_a_stalled_call_ends_at_its_time_or_when_it_is_cancelled() -> None:
    with pytest.raises(errors.ModelTimeout):
        ask(Scripted([Step(pieces=["a"], stall_after=1)]), timeout_seconds=0.05)
    looks = iter([False, False, False, True])
    reply, pieces = ask(Scripted([Step(pieces=["a", "b"], stall_after=1)]), cancelled=lambda: next(looks))
    assert (reply.finish, pieces) == ("cancelled", ["a"])


def test_a_call_that_was_cancelled_before_it_began_says_nothing() -> None:
    reply, pieces = ask(Scripted(), cancelled=lambda: True)
    assert (reply.text, reply.finish, pieces) == ("", "cancelled", [])


def test_what_the_watcher_raises_ends_the_call() -> None:
    def watch(text: str) -> None:
        raise errors.LeaseLost

    with pytest.raises(errors.LeaseLost):
        ask(Scripted(), on_text=watch)


def test_slow_pieces_take_their_time_and_give_way_to_the_deadline() -> None:
    assert ask(Scripted([Step(pieces=["a", "b"], delay_seconds=0.001)]))[0].text == "ab"
    with pytest.raises(errors.ModelTimeout):
        ask(Scripted(delay_seconds=60), timeout_seconds=0.05)


SCHEMAS: list[Mapping[str, Any]] = [
    {"type": "string", "minLength": 6, "maxLength": 6},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date-time"},
    {"type": "integer", "minimum": 3, "multipleOf": 5},
    {"type": "integer", "exclusiveMinimum": 0},
    {"type": "integer", "exclusiveMaximum": 0},
    {"type": "integer", "maximum": -3},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "minimum": 0.2, "maximum": 0.9},
    {"type": ["boolean", "null"]},
    {"enum": ["low", "high"]},
    {"const": {"a": [1]}},
    {"anyOf": [{"type": "null"}, {"type": "string"}]},
    {"type": "array", "minItems": 2, "items": {"type": "string", "minLength": 1}},
    {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "minItems": 2, "items": False},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}}], "required": ["a"]},
    {
        "type": "object",
        "properties": {
            "themes": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/theme"}},
            "note": {"type": "string"},
        },
        "required": ["themes"],
        "additionalProperties": False,
        "$defs": {
            "theme": {
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "weight": {"type": "number", "minimum": 0.5},
                },
                "required": ["name", "weight"],
                "additionalProperties": False,
            }
        },
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: json.dumps(schema)[:40])
def test_with_a_schema_the_answer_is_json_of_that_schema(schema: Mapping[str, Any]) -> None:
    reply, pieces = ask(Scripted(), schema=schema)
    jsonschema_rs.validate(dict(schema), json.loads(reply.text))
    assert pieces == example(schema)


def test_a_closed_model_answers_nobody() -> None:
    gate = Gate()
    model = Scripted([Step(pieces=["a"], gate=gate)])
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, model)
        gate.wait_until_waiting()
        model.close()
        with pytest.raises(errors.ModelFault):
            asked.result(60)
    with pytest.raises(errors.ModelFault):
        ask(model)


def test_counting_never_needs_the_model() -> None:
    local = Local(Runtime(Path("nowhere")))
    assert [Scripted().count(text) for text in ("", "a", "abc", "abcd", "äöü", "\ud800")] == [0, 1, 1, 2, 2, 1]
    assert [local.count(text) for text in ("", "abc", "12", "{}", "木")] == [0, 1, 2, 2, 3]
    assert local.window == 4096


def test_names_that_nobody_configured_stand_for_the_default(tmp_path: Path) -> None:
    models = Models(settings(tmp_path, model="scripted"))
    assert models.get() is models.get("gpt-4") is models.get(None)
    assert models.configured
    assert models.describe() == {
        "default": "scripted",
        "kind": "scripted",
        "ready": True,
        "help": models.describe()["help"],
    }


def test_aliases_choose_among_configured_models(tmp_path: Path) -> None:
    aliases = {"gpt-4": "big-model", "fast": "scripted", "slow": "scripted:slow", "off": "none"}
    models = Models(
        settings(
            tmp_path, model="scripted", model_url="http://127.0.0.1:9/v1", model_window=1000, model_aliases=aliases
        )
    )
    big = models.get("gpt-4")
    assert isinstance(big, Endpoint)
    assert (big.name, big.window) == ("big-model", 1000)
    assert models.get("fast") is models.get("anything")
    with pytest.raises(errors.ModelTimeout):
        ask(models.get("slow"), timeout_seconds=0.15)
    with pytest.raises(errors.ModelNotConfigured):
        models.get("off")
    models.close()
    with pytest.raises(errors.ModelFault):
        ask(big)


@pytest.mark.parametrize(
    "chosen, kind, hint",
    [
        ({"model": "none"}, "none", "SITTING_MODEL"),
        ({"model": "local"}, "local", "sitting model install"),
        ({"model": "some-model"}, "openai", "SITTING_MODEL_URL"),
        ({"model": "some-model", "model_url": "ftp://user:secret@host"}, "openai", "SITTING_MODEL_URL"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, chosen: dict[str, Any], kind: str, hint: str) -> None:
    models = Models(settings(tmp_path, **chosen))
    assert not models.configured
    told = models.describe()
    assert (told["kind"], told["ready"]) == (kind, False)
    assert hint in told["help"] and "secret" not in told["help"]
    with pytest.raises(errors.ModelNotConfigured) as refusal:
        models.get()
    assert refusal.value.facts == {"help": "/help/models"}
    assert hint in refusal.value.message


def test_weights_installed_while_running_are_found_and_nothing_is_loaded(tmp_path: Path) -> None:
    models = Models(settings(tmp_path, model="local"))
    assert models.describe()["ready"] is False
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / WEIGHTS).write_bytes(b"not weights")
    assert models.configured
    assert models.describe()["default"] == models.get().name == "SmolLM2-135M-Instruct"
    models.close()


def test_the_mock_always_says_the_same_and_keeps_to_a_schema() -> None:
    models = Models(Settings(model="mock"))
    assert models.describe()["kind"] == "mock"
    reply, pieces = ask(models.get(), "anything")
    assert reply.text == "I understand how you feel. Let me help you work through this."
    assert len(pieces) == 12
    schema = {"type": "object", "properties": {"a": {"examples": ["given"]}}, "required": ["a"]}
    assert models.get().ask([], max_tokens=100, schema=schema).text == '{"a": "given"}'
