"""The job of a solve session: write a reply, and get cards out of the model where they are needed.

It runs outside any transaction. A reply is tried again only before its first token: nobody has seen anything then. A
job that was cancelled says nothing more: whoever cancelled it has settled it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from io import StringIO
from typing import Any

from pydantic import BaseModel, ConfigDict

from ... import errors
from ...core import strict
from ...core.kind import Workroom
from . import prompts, trailer
from .commands import Card, Cards, ReportTurn, Trailer
from .prompts import Prompt, Said, Wish
from .terms import (
    BUDGET_EXHAUSTED,
    LEAST_CARDS_TOKENS,
    MODEL_FAILED,
    MODEL_OUTPUT_INVALID,
    MODEL_TIMEOUT,
    OUTPUT_TOKENS,
)

TRIES = 3
RETRY_SECONDS = (0.5, 2.0)
CARD_TRIES = 2
FIRST_TOKEN_SECONDS = 30.0
TURN_SECONDS = 120.0
_LEAST_PROSE_TOKENS = 64
_TEMPERATURE, _SMALL_TEMPERATURE, _CARDS_TEMPERATURE = 0.7, 0.3, 0.2


class _Offered(BaseModel):
    """What a model may answer when it is asked for cards alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cards: Cards


class _Cancelled(Exception):
    """Somebody stopped the reply and has settled it."""


class _Reply:
    """One reply on its way: what was written, what it cost, how long it took."""

    def __init__(self, room: Workroom, model: Any, monotonic: Callable[[], float]) -> None:
        self.room, self.model = room, model
        self._monotonic = monotonic
        self._began = monotonic()
        self._text = StringIO()
        self.splitter = trailer.Splitter()
        self.input_tokens = self.output_tokens = 0

    @property
    def text(self) -> str:
        return self._text.getvalue()

    @property
    def spent_seconds(self) -> float:
        return self._monotonic() - self._began

    @property
    def left_seconds(self) -> float:
        return max(0.0, TURN_SECONDS - self.spent_seconds)

    @property
    def left_tokens(self) -> int:
        return int(self.room.input["reserved"]) - self.input_tokens - self.output_tokens

    def write(self, piece: str) -> None:
        """Prose for people to watch; never a part of what is for the program."""
        if piece:
            self._text.write(piece)
            self.room.write(piece)

    def ask(
        self,
        prompt: Prompt,
        *,
        max_tokens: int,
        on_text: Callable[[str], None],
        first_by: float | None = None,
        temperature: float,
        schema: dict[str, Any] | None = None,
    ) -> str:
        """One call, charged as the provider says, else as counted. Nothing is charged while it gave nothing.

        Raises:
            ModelFault: the call failed.
            ModelTimeout: it took too long, also until its first token.
        """
        heard = StringIO()

        def hear(piece: str) -> None:
            heard.write(piece)
            on_text(piece)

        def silent_too_long() -> bool:
            return first_by is not None and not self._text.tell() and self.spent_seconds > first_by

        reported: tuple[int | None, int | None] = (None, None)
        try:
            answered = self.model.ask(
                prompt.messages,
                max_tokens=max_tokens,
                temperature=temperature,
                schema=schema,
                on_text=hear,
                cancelled=lambda: self.room.cancelled or silent_too_long(),
                timeout_seconds=self.left_seconds,
            )
            reported = (answered.input_tokens, answered.output_tokens)
        finally:
            text = heard.getvalue()
            if text or any(reported):
                self.input_tokens += prompt.tokens if reported[0] is None else reported[0]
                self.output_tokens += self.model.count(text) if reported[1] is None else reported[1]
        if self.room.cancelled:
            raise _Cancelled
        if answered.finish == "cancelled":
            raise errors.ModelTimeout
        return text

    def report(self, *, code: str | None = None, data: Trailer | None = None) -> None:
        """Tell how it ended."""
        ended = ReportTurn(
            turn=self.room.job,
            status="failed" if code else "completed",
            text=self.text,
            code=code,
            data=data or Trailer(),
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            duration_ms=max(0, int(self.spent_seconds * 1000)),
        )
        self.room.report(ended, last=True)


def reply(room: Workroom, *, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Have the model answer the message, and report how it went."""
    try:
        model = room.models.get()
    except errors.ModelNotConfigured:
        room.report(
            ReportTurn(turn=room.job, status="failed", code=MODEL_FAILED, input_tokens=0, output_tokens=0), last=True
        )
        return
    work = _Reply(room, model, monotonic)
    try:
        code = _prose(work)
        data = None if code else trailer.read(work.splitter.data)
        if code is None and room.input["cards"] and (data is None or data.cards is None):
            cards, code = _cards(work)
            data = (data or Trailer()).model_copy(update={"cards": cards})
    except _Cancelled:
        return
    work.report(code=code, data=data)


def _prose(work: _Reply) -> str | None:
    """The reply for people; the code it failed with, or None. Tried again only while nobody has seen a word."""
    given, room = work.room.input, work.room
    asked = _prompt(work, prompts.prompt)
    most = int(given["output"])
    if given["cards"]:
        most = min(most, max(_LEAST_PROSE_TOKENS, work.left_tokens - 2 * asked.tokens - LEAST_CARDS_TOKENS))
    code = MODEL_FAILED
    for attempt in range(TRIES):
        if attempt and room.wait(RETRY_SECONDS[attempt - 1]):
            raise _Cancelled
        work.splitter = trailer.Splitter()
        try:
            work.ask(
                asked,
                max_tokens=min(most, max(1, work.left_tokens - asked.tokens)),
                on_text=lambda piece: work.write(work.splitter.feed(piece)),
                first_by=work.spent_seconds + FIRST_TOKEN_SECONDS,
                temperature=_TEMPERATURE if asked.output == OUTPUT_TOKENS else _SMALL_TEMPERATURE,
            )
        except errors.ModelFault as fault:
            code = MODEL_TIMEOUT if isinstance(fault, errors.ModelTimeout) else MODEL_FAILED
            if work.splitter.marked and work.text.strip():
                return None  # the prose was whole; what broke off was for the program
        else:
            rest = work.splitter.end()
            if (work.text + rest).strip():
                work.write(rest)
                return None
            code = MODEL_OUTPUT_INVALID
        if work.text or work.left_seconds <= 0:
            break
    return code


def _cards(work: _Reply) -> tuple[list[Card] | None, str | None]:
    """Ask for the cards alone, at most twice; the cards, or the code it failed with."""
    asked = _prompt(work, prompts.cards_prompt)
    schema = prompts.cards_schema(work.room.session.data["locale"])
    code: str | None = MODEL_OUTPUT_INVALID
    for _ in range(CARD_TRIES):
        room = work.left_tokens - asked.tokens
        if room < LEAST_CARDS_TOKENS:
            return None, BUDGET_EXHAUSTED
        try:
            text = work.ask(
                asked,
                max_tokens=min(asked.output, room),
                on_text=lambda piece: None,
                temperature=_CARDS_TEMPERATURE,
                schema=schema,
            )
            return strict.read(_Offered, text.encode("utf-8", "replace")).cards, None
        except errors.Invalid:
            code = MODEL_OUTPUT_INVALID
        except errors.ModelTimeout:
            code = MODEL_TIMEOUT
        except errors.ModelFault:
            code = MODEL_FAILED
    return None, code


def _prompt(work: _Reply, build: Callable[..., Prompt]) -> Prompt:
    """The prompt as it was counted when its tokens were reserved."""
    session, given = work.room.session, work.room.input
    wish = Wish(given["closing"], given["tactic"], given["cards"], given["redact"])
    return build(session, _said(work), wish, count=work.model.count, window=work.model.window)


def _said(work: _Reply) -> Sequence[Said]:
    """The conversation up to the message that is answered, without earlier replies to it."""
    message = work.room.session.collection("message").get(work.room.input["message"]) or {}
    return prompts.history(work.room.session, before=message.get("seq", 0) + 1)
