"""The OpenAI-compatible client against a real HTTP server that behaves as well or as badly as a test wants."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from sitting import errors
from sitting.endpoint_model import Address
from sitting.model import Endpoint, Message, Reply
from tests.support import ports
from tests.support.endpoint import Answering, World, serving
from tests.support.engines import SECONDS
from tests.support.timing import quickest

KEY = "key-that-nobody-may-see"
PROMPT = "prompt-that-nobody-may-see"


@pytest.fixture
def world() -> Iterator[World]:
    with serving() as made:
        yield made


@pytest.fixture
def model(world: World) -> Iterator[Endpoint]:
    endpoint = Endpoint("m", 8192, lambda: Address(world.url, KEY, proxied=False))
    yield endpoint
    endpoint.close()


def ask(model: Endpoint, **wishes: Any) -> Reply:
    return model.ask([Message("user", PROMPT)], **{"max_tokens": 100, "timeout_seconds": 2 * SECONDS, **wishes})


def test_it_streams_and_reports_what_the_endpoint_said(world: World, model: Endpoint) -> None:
    def play(handler: Answering, body: dict[str, Any]) -> None:
        handler.begin()
        handler.say("Hel", "lo \ud83d", "\ude00")
        handler.say(finish="stop")
        handler.frame({"id": "1", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": 3}})
        handler.frame("[DONE]")

    world.play = play
    pieces: list[str] = []
    schema = {"type": "object"}
    reply = ask(model, on_text=pieces.append, temperature=0.1, schema=schema)
    assert reply == Reply("Hello \N{GRINNING FACE}", "m-1", 7, 3, "stop")
    assert pieces == ["Hel", "lo ", "\N{GRINNING FACE}"]
    (request,) = world.requests
    assert request["path"] == "/v1/chat/completions" and request["key"] == f"Bearer {KEY}"
    assert (request["model"], request["max_tokens"], request["temperature"]) == ("m", 100, 0.1)
    assert request["stream_options"] == {"include_usage": True}
    assert request["response_format"]["json_schema"]["schema"] == schema


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": -1, "completion_tokens": "many"}, "much"])
def test_an_endpoint_may_be_silent_or_wrong_about_its_usage(world: World, model: Endpoint, usage: Any) -> None:
    def play(handler: Answering, body: dict[str, Any]) -> None:
        handler.begin()
        handler.say("yes", finish="length", usage=usage)

    world.play = play
    assert ask(model) == Reply("yes", "m-1", None, None, "length")


@pytest.mark.parametrize("place", ["before the headers", "before the first piece", "in the middle"])
def test_a_silent_endpoint_is_left_at_once_when_the_call_is_cancelled(
    world: World, model: Endpoint, place: str
) -> None:
    def play(handler: Answering, body: dict[str, Any]) -> None:
        if place != "before the headers":
            handler.begin()
        if place == "in the middle":
            handler.say("so ", "far")
        handler.wait_for_hang_up()

    world.play = play

    def left() -> float:
        said, cancelled = threading.Event(), threading.Event()
        world.silent.clear()
        world.hung_up.clear()

        def watch(text: str) -> None:
            if text == "far":
                said.set()

        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask, model, cancelled=cancelled.is_set, on_text=watch)
            assert world.silent.wait(SECONDS)
            if place == "in the middle":
                assert said.wait(SECONDS)
            cancelled.set()
            before = time.monotonic()
            reply = asked.result(SECONDS)
            took = time.monotonic() - before
        assert (reply.finish, reply.text) == ("cancelled", "so far" if place == "in the middle" else "")
        assert world.hung_up.wait(SECONDS)
        return took

    assert quickest(left, below=1) < 1


def test_a_silent_endpoint_is_cut_at_the_time_limit(world: World, model: Endpoint) -> None:
    world.play = lambda handler, body: handler.wait_for_hang_up()
    with pytest.raises(errors.ModelTimeout):
        ask(model, timeout_seconds=1.5)
    assert world.hung_up.wait(SECONDS)


def test_closing_ends_what_is_under_way(world: World, model: Endpoint) -> None:
    world.play = lambda handler, body: handler.wait_for_hang_up()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, model)
        assert world.silent.wait(SECONDS)
        model.close()
        with pytest.raises(errors.ModelFault):
            asked.result(SECONDS)
    assert world.hung_up.wait(SECONDS)


def test_what_the_watcher_raises_hangs_up(world: World, model: Endpoint) -> None:
    def play(handler: Answering, body: dict[str, Any]) -> None:
        handler.begin()
        handler.say("word")
        handler.wait_for_hang_up()

    def watch(text: str) -> None:
        raise errors.LeaseLost

    world.play = play
    with pytest.raises(errors.LeaseLost):
        ask(model, on_text=watch)
    assert world.hung_up.wait(SECONDS)


def test_an_endpoint_that_never_stops_is_stopped(world: World, model: Endpoint) -> None:
    def play(handler: Answering, body: dict[str, Any]) -> None:
        handler.begin()
        try:
            while True:
                handler.say("again and again ")
        except OSError:
            world.hung_up.set()

    world.play = play
    reply = ask(model, max_tokens=10)
    assert (len(reply.text), reply.finish) == (160, "length")
    assert world.hung_up.wait(SECONDS)


def plays() -> dict[str, Callable[[Answering], None]]:
    def broken_off(handler: Answering) -> None:
        handler.begin()
        handler.say("half")

    def filtered(handler: Answering) -> None:
        handler.begin()
        handler.say(finish="content_filter")

    def garbage(handler: Answering) -> None:
        handler.begin()
        handler.frame("{not json " + PROMPT)

    def strange(handler: Answering) -> None:
        handler.begin()
        for value in ("[]", "7", '{"choices": 3}', '{"choices": [{"delta": {"content": [1]}}]}'):
            handler.frame(value)

    def error_inside(handler: Answering) -> None:
        handler.begin()
        handler.frame({"error": {"message": PROMPT + KEY}})

    return {
        "broken off": broken_off,
        "filtered": filtered,
        "garbage": garbage,
        "strange": strange,
        "error inside": error_inside,
        "hangs up": lambda handler: None,
        "not an answer": lambda handler: handler.refuse(200, {"message": PROMPT}),
        **{str(status): _refusing(status) for status in (400, 401, 404, 429, 500, 503)},
    }


def _refusing(status: int) -> Callable[[Answering], None]:
    return lambda handler: handler.refuse(status, {"message": PROMPT + KEY, "type": "x", "code": "y"})


@pytest.mark.parametrize("name", plays())
def test_every_failure_is_a_model_fault_that_tells_no_secret(
    world: World, model: Endpoint, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world.play = lambda handler, body: plays()[name](handler)
    with pytest.raises(errors.ModelFault) as fault:
        ask(model)
    told = f"{fault.value} {fault.value.facts} {fault.value.__cause__} {caplog.text}"
    assert KEY not in told and PROMPT not in told and world.url not in told
    assert len(world.requests) == 1
    if name.isdigit():
        assert fault.value.facts == {"status": int(name)}


def test_nothing_secret_is_logged_when_all_goes_well(
    world: World, model: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def play(handler: Answering, body: dict[str, Any]) -> None:
        handler.begin()
        handler.say("fine", finish="stop")

    world.play = play
    assert ask(model).text == "fine"
    assert KEY not in caplog.text and PROMPT not in caplog.text


def test_an_endpoint_that_is_not_there_is_a_model_fault() -> None:
    with ports.held() as port:
        model = Endpoint("m", 8192, lambda: Address(f"http://127.0.0.1:{port}/v1", KEY, proxied=False))
        with pytest.raises(errors.ModelFault, match="cannot be reached"):
            ask(model)


def test_options_an_endpoint_refuses_are_left_out_from_then_on(world: World, model: Endpoint) -> None:
    def play(handler: Answering, body: dict[str, Any]) -> None:
        for option in ("max_tokens", "temperature", "stream_options"):
            if option in body:
                handler.refuse(400, {"message": "unsupported", "param": option, "code": "unsupported_parameter"})
                return
        handler.begin()
        handler.say("fine", finish="stop")

    world.play = play
    assert [ask(model).text, ask(model).text] == ["fine", "fine"]
    assert len(world.requests) == 5
    assert world.requests[-1]["max_completion_tokens"] == 100


def test_a_prompt_that_is_too_long_is_said_in_words(world: World, model: Endpoint) -> None:
    world.play = lambda handler, body: handler.refuse(400, {"message": "x", "code": "context_length_exceeded"})
    with pytest.raises(errors.ModelFault, match="longer than the language model can read"):
        ask(model)
