"""Ask a language model: the local one, an OpenAI-compatible endpoint, or a scripted one.

Rules that hold for all of them:
- `ask` blocks its caller and gives `on_text` each piece in the caller's thread; the pieces together are the reply.
- Within 100 ms of `cancelled()` coming true the call is over, also while the provider is silent, and the provider is
  told to stop. At `timeout_seconds` the same happens with a ModelTimeout.
- A piece never ends within a character, is never empty, and holds no NUL and no lone surrogate: it can be stored.
- Usage is the provider's word, or None when it says nothing or nonsense; a caller falls back to `count`.
- No key, no address and no prompt appears in an error or a log.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

from . import errors, tracing
from .config import Settings
from .endpoint_model import Address, Chunk, Exchange, Wish
from .local_model import NAME as LOCAL_NAME
from .local_model import WINDOW as LOCAL_WINDOW
from .local_model import Runtime, find, install, runtime_installed
from .scripted_model import GLANCE_SECONDS, MOCK, Gate, Step, example, words

__all__ = ["Endpoint", "Gate", "Local", "Message", "Model", "Models", "Reply", "Scripted", "Step", "install"]

_CHARACTERS_PER_TOKEN = 16  # more than any real answer has on average; an endpoint that ignores max_tokens is cut here
_BYTES_PER_TOKEN = 3
_LARGEST_COUNT = 2**53 - 1
_PROMPTS_KEPT = 1000
_SLOW_SECONDS = 0.1
_MOCK_SECONDS = 0.05


def ignore(text: str) -> None:
    """Nobody watches."""


def never() -> bool:
    """Nobody cancels."""
    return False


def count_bytes(text: str) -> int:
    """Tokens a text may be, for a model whose tokenizer is not known."""
    return -(-_bytes(text) // _BYTES_PER_TOKEN)


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True)
class Message:
    """One message of a prompt."""

    role: str  # system, user or assistant
    content: str


@dataclass(frozen=True)
class Reply:
    """What a model answered."""

    text: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    finish: str  # stop, length or cancelled


class _Cancelled(Exception):
    pass


class _Patience:
    """How long a call may go on."""

    def __init__(self, cancelled: Callable[[], bool], timeout_seconds: float) -> None:
        self._cancelled = cancelled
        self._until = time.monotonic() + timeout_seconds

    @property
    def left_seconds(self) -> float:
        return self._until - time.monotonic()

    def check(self) -> None:
        if self._cancelled():
            raise _Cancelled
        if self.left_seconds <= 0:
            raise errors.ModelTimeout

    def pause(self, seconds: float) -> None:
        """Wait that long, or until a check fails."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            self.check()
            time.sleep(max(0.0, min(rest, GLANCE_SECONDS, self.left_seconds)))


class _Answer:
    """What has been answered so far, in the caller's thread."""

    def __init__(self, model: str, max_tokens: int, on_text: Callable[[str], None]) -> None:
        self._model = model
        self._room = max_tokens * _CHARACTERS_PER_TOKEN
        self._on_text = on_text
        self._text = StringIO()
        self._half = ""  # the first half of a character whose second half comes with the next piece
        self._usage: list[int | None] = [None, None]
        self.finish: str | None = None

    def add(self, chunk: Chunk) -> None:
        if isinstance(chunk.model, str) and chunk.model:
            self._model = chunk.model[:200]
        for place, tokens in enumerate((chunk.input_tokens, chunk.output_tokens)):
            if type(tokens) is int and 0 <= tokens <= _LARGEST_COUNT:
                self._usage[place] = tokens
        if isinstance(chunk.finish, str) and chunk.finish:
            self.finish = chunk.finish
        if isinstance(chunk.text, str) and chunk.text:
            text = self._half + chunk.text
            self._half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
            self._emit(text[:-1] if self._half else text)

    def _emit(self, text: str) -> None:
        joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
        piece = joined[: self._room]
        self._room -= len(piece)
        if piece:
            self._text.write(piece)
            self._on_text(piece)

    @property
    def full(self) -> bool:
        return self._room <= 0

    def reply(self, finish: str) -> Reply:
        if self._half:
            self._half = ""
            self._emit("\ufffd")
        return Reply(self._text.getvalue(), self._model, self._usage[0], self._usage[1], finish)


@dataclass(frozen=True)
class _Asked:
    """What a model is asked, and within which bounds."""

    messages: Sequence[Message]
    max_tokens: int
    temperature: float
    schema: Mapping[str, Any] | None
    timeout_seconds: float


class Model:
    """A language model that can be asked. Each kind of model says in `_answer` how an answer comes about."""

    name: str  # the model that really answers
    window: int  # tokens that prompt and answer may have together

    def count(self, text: str) -> int:
        """About how many tokens a text is; never loads anything."""
        return count_bytes(text)

    def ask(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.7,
        schema: Mapping[str, Any] | None = None,
        on_text: Callable[[str], None] = ignore,
        cancelled: Callable[[], bool] = never,
        timeout_seconds: float = 120.0,
    ) -> Reply:
        """The model's answer; JSON of `schema` when one is given, cut off when `finish` is "length".

        Raises:
            ModelFault: the provider failed; the pieces given so far are all there is.
            ModelTimeout: it took longer than `timeout_seconds`.
        """
        patience = _Patience(cancelled, timeout_seconds)
        answer = _Answer(self.name, max_tokens, on_text)
        asked = _Asked(messages, max_tokens, temperature, schema, timeout_seconds)
        with tracing.span(
            f"chat {self.name}", kind=tracing.SpanKind.CLIENT, gen_ai__operation__name="chat",
            gen_ai__request__model=self.name, gen_ai__request__max_tokens=max_tokens,
        ) as opened:  # fmt: skip
            try:
                finish = self._answer(asked, patience, answer)
            except _Cancelled:
                finish = "cancelled"
            reply = answer.reply(finish)
            opened.set_attribute("gen_ai.usage.input_tokens", reply.input_tokens or 0)
            opened.set_attribute("gen_ai.usage.output_tokens", reply.output_tokens or 0)
            return reply

    def close(self) -> None:
        """End what is under way, and give everything back."""
        raise NotImplementedError

    def _answer(self, asked: _Asked, patience: _Patience, answer: _Answer) -> str:
        """Have it answered, piece by piece; how it ended. Raises _Cancelled and what `ask` raises."""
        raise NotImplementedError


class Endpoint(Model):
    """A model behind an OpenAI-compatible endpoint."""

    def __init__(self, name: str, window: int, where: Callable[[], Address]) -> None:
        self.name = name
        self.window = window
        self._where = where
        self._refused: set[str] = set()
        self._lock = threading.Lock()
        self._exchanges: set[Exchange] = set()
        self._closed = False

    def _answer(self, asked: _Asked, patience: _Patience, answer: _Answer) -> str:
        said = [{"role": each.role, "content": each.content} for each in asked.messages]
        wish = Wish(self.name, said, asked.max_tokens, asked.temperature, asked.schema, asked.timeout_seconds)
        with self._exchanging(wish) as exchange:
            while not answer.full:
                patience.check()
                try:
                    heard = exchange.heard.get(timeout=max(0.0, min(GLANCE_SECONDS, patience.left_seconds)))
                except queue.Empty:
                    continue
                if heard is None:
                    return "length" if answer.finish == "length" else "stop"
                if isinstance(heard, errors.SittingError):
                    raise heard
                answer.add(heard)
            return "length"

    def close(self) -> None:
        with self._lock:
            self._closed = True
            exchanges = list(self._exchanges)
        for exchange in exchanges:
            exchange.stop(errors.ModelFault("The language model has been shut down."))

    @contextmanager
    def _exchanging(self, wish: Wish) -> Iterator[Exchange]:
        exchange = Exchange(self._where, wish, self._refused)
        with self._lock:
            if self._closed:
                raise errors.ModelFault("The language model has been shut down.")
            self._exchanges.add(exchange)
        exchange.start()
        try:
            yield exchange
        finally:
            exchange.stop()
            with self._lock:
                self._exchanges.discard(exchange)


class Local(Endpoint):
    """The model on this machine."""

    def __init__(self, runtime: Runtime) -> None:
        super().__init__(LOCAL_NAME, LOCAL_WINDOW, runtime.address)
        self._runtime = runtime

    def count(self, text: str) -> int:
        """Its vocabulary is English: digits, signs and other scripts take up to a token for each byte."""
        plain = sum(1 for character in text if character.isascii() and (character.isalpha() or character.isspace()))
        return -(-plain // 3) + len(text.encode("utf-8", "surrogatepass")) - plain

    def close(self) -> None:
        super().close()
        self._runtime.close()


class Scripted(Model):
    """Answers by the script: a step for each call, then what it `says`; or a function from the prompt to a step.

    It answers in the caller's thread: when a gate says that a call waits, the pieces before have been taken.
    """

    def __init__(
        self,
        script: Sequence[Step] | Callable[[Sequence[Message]], Step] = (),
        *,
        delay_seconds: float = 0.0,
        says: Callable[[str], Sequence[str]] = words,
        name: str = "scripted",
        window: int = 8192,
    ) -> None:
        self.name = name
        self.window = window
        self.prompts: list[tuple[Message, ...]] = []  # what was asked, the latest thousand
        self._script = script if callable(script) else list(script)
        self._delay_seconds = delay_seconds
        self._says = says
        self._lock = threading.Lock()
        self._closed = False

    def _answer(self, asked: _Asked, patience: _Patience, answer: _Answer) -> str:
        step = self._step(asked.messages, asked.schema)
        room = asked.max_tokens * _BYTES_PER_TOKEN
        delay, due = step.delay_seconds or self._delay_seconds, time.monotonic()
        for place, piece in enumerate(step.pieces):
            self._before(place, step, patience)
            # By the clock, like a model that does not slow down with its reader; who was held up does not run after it.
            due = max(due, time.monotonic() - delay) + delay
            patience.pause(due - time.monotonic())
            room -= _bytes(piece)
            if room < 0:
                answer.add(self._usage(step, asked.messages, "".join(step.pieces[:place])))
                return "length"
            answer.add(Chunk(text=piece))
        self._before(len(step.pieces), step, patience)
        answer.add(self._usage(step, asked.messages, "".join(step.pieces)))
        return step.finish

    def close(self) -> None:
        self._closed = True

    def _step(self, messages: Sequence[Message], schema: Mapping[str, Any] | None) -> Step:
        with self._lock:
            self.prompts.append(tuple(messages))
            del self.prompts[:-_PROMPTS_KEPT]
            if callable(self._script):
                step = self._script(messages)
            else:
                step = self._script.pop(0) if self._script else Step()
        if not step.pieces:
            asked = next((each.content for each in reversed(messages) if each.role == "user"), "")
            step = replace(step, pieces=example(schema) if schema is not None else self._says(asked))
        return step

    def _before(self, place: int, step: Step, patience: _Patience) -> None:
        """What happens before a piece, or before the end."""

        def check() -> None:
            if self._closed:
                raise errors.ModelFault("The language model has been shut down.")
            patience.check()

        check()
        if step.fail_after == place:
            raise errors.ModelFault
        while step.stall_after == place:
            check()
            time.sleep(GLANCE_SECONDS)
        if step.gate is not None and place < len(step.pieces):
            step.gate.hold(check)

    def _usage(self, step: Step, messages: Sequence[Message], given: str) -> Chunk:
        if step.usage is None:
            return Chunk()
        if step.usage == "exact":
            asked = sum(self.count(each.content) for each in messages)
            return Chunk(input_tokens=asked, output_tokens=self.count(given))
        return Chunk(input_tokens=step.usage[0], output_tokens=step.usage[1])


class Models:
    """What this installation can ask: the configured model, and the names applications offer for it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._made: dict[str, Model] = {}

    def get(self, name: str | None = None) -> Model:
        """The model a name stands for; a name nobody configured stands for the default. Nothing is loaded yet.

        Raises:
            ModelNotConfigured: there is none, or something of it is missing; the message says what.
        """
        target = self._settings.model_aliases.get(name, self._settings.model) if name else self._settings.model
        missing = self._missing(target)
        if missing is not None:
            raise errors.ModelNotConfigured(missing)
        with self._lock:
            if target not in self._made:
                self._made[target] = self._make(target)
            return self._made[target]

    @property
    def configured(self) -> bool:
        """Whether the default model can be asked, as far as one can see without loading it."""
        return self._missing(self._settings.model) is None

    def describe(self) -> dict[str, Any]:
        """What the default model is, for people."""
        target = self._settings.model
        kind = _kind(target)
        missing = self._missing(target)
        helps = {
            "local": "The local model runs on this machine; nothing leaves it. It is small: it shows how things work.",
            "mock": "The mock model always answers with the same words; it is for trying things out and for tests.",
            "scripted": "The scripted model answers with fixed words; it is for trying things out and for tests.",
            "openai": "What people write is sent to the endpoint this installation is configured with.",
        }
        return {
            "default": LOCAL_NAME if kind == "local" else target,
            "kind": kind,
            "ready": missing is None,
            "help": missing or helps[kind],
        }

    def close(self) -> None:
        """Close every model that was given out."""
        with self._lock:
            made, self._made = self._made, {}
        for model in made.values():
            model.close()

    def _missing(self, target: str) -> str | None:
        match _kind(target):
            case "none":
                return (
                    "No language model is configured. Set SITTING_MODEL: `local` runs on this machine, "
                    "once `sitting model install` has fetched it."
                )
            case "local" if not runtime_installed():
                return "The local model's runtime is not installed. In Sitting's folder: `pip install '.[local]'`."
            case "local" if find(self._settings.data) is None:
                return "The local model is not installed. Run `sitting model install`."
            case "openai" if not self._settings.model_url.startswith(("http://", "https://")):
                return "SITTING_MODEL names a model at an endpoint, but SITTING_MODEL_URL is not an http address."
        return None

    def _make(self, target: str) -> Model:
        match _kind(target):
            case "local":
                weights = find(self._settings.data)
                if weights is None:
                    raise errors.ModelNotConfigured
                return Local(Runtime(weights))
            case "scripted":
                return Scripted(delay_seconds=_SLOW_SECONDS if target == "scripted:slow" else 0.0)
            case "mock":
                return Scripted(delay_seconds=_MOCK_SECONDS, name="mock", says=lambda _asked: MOCK)
            case _:
                chosen = self._settings
                address = Address(url=chosen.model_url, key=chosen.model_key)
                return Endpoint(target, chosen.model_window, lambda: address)


def _kind(target: str) -> str:
    match target:
        case "" | "none":
            return "none"
        case "local":
            return "local"
        case "scripted" | "scripted:slow":
            return "scripted"
        case "mock":
            return "mock"
        case _:
            return "openai"
