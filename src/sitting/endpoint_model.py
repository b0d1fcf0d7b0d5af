"""One request to an OpenAI-compatible endpoint, in a thread of its own that its caller can abandon at any moment.

What the endpoint's client says in its errors and logs may hold addresses, prompts and keys, and stays in this file.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from . import errors

_CONNECT_SECONDS = 10.0
# Options newer models refuse; an endpoint that has refused one is not sent it again.
_REFUSABLE = ("max_tokens", "temperature", "stream_options")


@dataclass(frozen=True)
class Address:
    """Where an endpoint is, and the key it asks for."""

    url: str
    key: str
    proxied: bool = True  # whether the environment's proxy settings apply
    options: Mapping[str, Any] = field(default_factory=dict)  # what only this endpoint understands


@dataclass(frozen=True)
class Wish:
    """What is asked."""

    model: str
    messages: Sequence[Mapping[str, str]]
    max_tokens: int
    temperature: float
    schema: Mapping[str, Any] | None
    timeout_seconds: float

    def request(self, refused: set[str]) -> dict[str, Any]:
        """The client's arguments, without what the endpoint refused before."""
        request: dict[str, Any] = {"model": self.model, "messages": list(self.messages), "stream": True}
        request["max_completion_tokens" if "max_tokens" in refused else "max_tokens"] = self.max_tokens
        if "temperature" not in refused:
            request["temperature"] = self.temperature
        if "stream_options" not in refused:
            request["stream_options"] = {"include_usage": True}
        if self.schema is not None:
            schema = {"name": "answer", "schema": dict(self.schema), "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        return request


@dataclass(frozen=True)
class Chunk:
    """What a provider said at once; everything is optional, and nothing of it is believed yet."""

    text: Any = None
    model: Any = None
    input_tokens: Any = None
    output_tokens: Any = None
    finish: Any = None


class Exchange:
    """A request under way. `heard` gives chunks, then None at a regular end, or the error that ended it."""

    def __init__(self, where: Callable[[], Address], wish: Wish, refused: set[str]) -> None:
        self.heard: queue.SimpleQueue[Chunk | errors.SittingError | None] = queue.SimpleQueue()
        self._where = where
        self._wish = wish
        self._refused = refused
        self._lock = threading.Lock()
        self._stopped = False
        self._sockets: list[socket.socket] = []

    def start(self) -> None:
        """Send the request; returns at once."""
        threading.Thread(target=self._run, name="sitting-model", daemon=True).start()

    def stop(self, reason: errors.SittingError | None = None) -> None:
        """Hang up. The endpoint notices, and `reason` is what the caller hears, if he still listens."""
        if reason is not None:
            self.heard.put(reason)
        with self._lock:
            self._stopped = True
            sockets, self._sockets = self._sockets, []
        for each in sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)  # closing would not wake the thread that reads from it

    def _run(self) -> None:
        try:
            finish = self._stream()
            if finish is None:
                raise errors.ModelFault("The language model stopped in the middle of its answer.")
            if finish == "content_filter":
                raise errors.ModelFault("The language model declined to answer.")
            self.heard.put(None)
        except errors.SittingError as error:
            self.heard.put(error)
        except Exception as error:  # an endpoint can fail in any way; only the kind of failure is told
            self.heard.put(errors.ModelFault(reason=type(error).__name__))

    def _stream(self) -> str | None:
        """Pass on everything the endpoint says; how it finished, or None when it broke off."""
        address = self._where()
        import openai

        for chatty in ("openai", "httpx2", "httpcore2"):  # at their debug level they write prompts and keys
            logging.getLogger(chatty).setLevel(logging.WARNING)
        seconds = self._wish.timeout_seconds
        http = openai.DefaultHttpxClient(
            timeout=openai.Timeout(seconds, connect=min(_CONNECT_SECONDS, seconds)),
            event_hooks={"request": [self._follow]},
            trust_env=address.proxied,
        )
        key = address.key or "none"
        finish: str | None = None
        with (
            openai.OpenAI(base_url=address.url, api_key=key, max_retries=0, http_client=http) as client,
            _translated(openai),
            self._opened(client, openai, address) as stream,
        ):
            for chunk in stream:
                if self._stopped:
                    break
                heard = _read(chunk)
                finish = heard.finish or finish
                self.heard.put(heard)
        return finish

    def _opened(self, client: Any, openai: Any, address: Address) -> Any:
        while True:
            try:
                request = self._wish.request(self._refused)
                return client.chat.completions.create(**request, extra_body=dict(address.options) or None)
            except openai.BadRequestError as error:
                if error.param not in _REFUSABLE or error.param in self._refused or self._stopped:
                    raise
                self._refused.add(error.param)

    def _follow(self, request: Any) -> None:
        request.extensions["trace"] = self._opened_socket

    def _opened_socket(self, event: str, info: Mapping[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._sockets.append(info["return_value"].get_extra_info("socket"))
                late = self._stopped
            if late:
                self.stop()


@contextmanager
def _translated(openai: Any) -> Iterator[None]:
    try:
        yield
    except openai.APITimeoutError:
        raise errors.ModelTimeout from None
    except openai.APIStatusError as error:
        if "context_length_exceeded" in str(error.code) or "exceed_context_size" in str(error.type):
            message = "The conversation is longer than the language model can read."
        else:
            message = f"The language model's endpoint answered {error.status_code}."
        raise errors.ModelFault(message, status=error.status_code) from None
    except openai.APIConnectionError:
        raise errors.ModelFault("The language model's endpoint cannot be reached.") from None


def _read(chunk: Any) -> Chunk:
    usage = getattr(chunk, "usage", None)
    choices = getattr(chunk, "choices", None)
    choice = choices[0] if isinstance(choices, list) and choices else None
    return Chunk(
        text=getattr(getattr(choice, "delta", None), "content", None),
        model=getattr(chunk, "model", None),
        input_tokens=getattr(usage, "prompt_tokens", None),
        output_tokens=getattr(usage, "completion_tokens", None),
        finish=getattr(choice, "finish_reason", None),
    )
