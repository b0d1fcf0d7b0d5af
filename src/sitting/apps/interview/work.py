"""The jobs of an interview: write a reply, and look for evidence. They run outside any transaction.

A reply is tried again only before its first token: nobody has seen anything then. After it, what was seen stays, and
the candidate decides. A job that was cancelled says nothing more: whoever cancelled it has settled it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from io import StringIO
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from ... import errors
from ...core import strict
from ...core.event import Event
from ...core.kind import Workroom
from .commands import Passage, RecordEvidence, RecordReply
from .prompts import EVIDENCE_SCHEMA, HISTORY, Left, Prompt, evidence, prompt
from .terms import CANDIDATES, DEFAULTS, SAID

RETRY_SECONDS = (1.0, 2.0, 4.0)
REPLY_SECONDS = 120.0
_EVIDENCE_TOKENS = 1000


class _Answer(BaseModel):
    """What the model may answer when it is asked for evidence; anything beyond is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    items: list[Passage] = Field(max_length=5)


class _Writing:
    """One reply on its way: what was written, and how long it took."""

    def __init__(self, room: Workroom, monotonic: Callable[[], float]) -> None:
        self._room, self._monotonic = room, monotonic
        self._began = monotonic()
        self._text = StringIO()
        self.first_token_ms: int | None = None

    def write(self, piece: str) -> None:
        if self.first_token_ms is None:
            self.first_token_ms = self.spent_ms
        self._text.write(piece)
        self._room.write(piece)

    @property
    def spent_ms(self) -> int:
        return max(0, int((self._monotonic() - self._began) * 1000))

    @property
    def left_seconds(self) -> float:
        return REPLY_SECONDS - (self._monotonic() - self._began)

    def result(self, **more: Any) -> RecordReply:
        timing = {"first_token_ms": self.first_token_ms, "duration_ms": self.spent_ms}
        return RecordReply(turn=self._room.job, text=self._text.getvalue(), **timing, **more)


def reply(room: Workroom, *, monotonic: Callable[[], float] = time.monotonic) -> None:
    """Have the model answer the message, and report how it went."""
    writing = _Writing(room, monotonic)
    waits = list(RETRY_SECONDS)
    while not room.cancelled:
        try:
            outcome = _asked(room, writing)
        except errors.ModelTimeout:
            outcome = writing.result(reason="timeout")
        except (errors.ModelFault, errors.ModelNotConfigured):
            if writing.first_token_ms is None and waits and waits[0] < writing.left_seconds:
                room.wait(waits.pop(0))
                continue
            outcome = writing.result(reason="provider")
        if outcome is not None:
            room.report(outcome, last=True)
        return


def _asked(room: Workroom, writing: _Writing) -> RecordReply | None:
    """One try; None when the reply was cancelled."""
    model = room.models.get(room.session.data["model_name"])
    answered = model.ask(
        _prompt(room, model).messages,
        max_tokens=room.input["max_output"],
        temperature=float(room.session.data["config"].get("temperature", DEFAULTS["temperature"])),
        on_text=writing.write,
        cancelled=lambda: room.cancelled,
        timeout_seconds=max(0.0, writing.left_seconds),
    )
    if answered.finish == "cancelled":
        return None
    return writing.result(
        model=answered.model, input_tokens=answered.input_tokens, output_tokens=answered.output_tokens
    )


def _prompt(room: Workroom, model: Any) -> Prompt:
    """The prompt as it was counted when its tokens were reserved."""
    given = room.input
    events = room.events(HISTORY)
    message = next((_content(event) for event in events if event.seq == given["seq"]), "")
    history = [event for event in reversed(events) if given["from_seq"] <= event.seq < given["seq"]]
    left = Left(given["time_remaining"], given["tokens_free"])
    return prompt(
        room.session,
        message,
        seq=given["seq"],
        history=history,
        left=left,
        count=model.count,
        window=model.window,
    )


def _content(event: Event) -> str:
    return str(event.part(CANDIDATES).get("content") or "")


def propose_evidence(room: Workroom) -> None:
    """Have the model name passages. What it says is checked twice: its form here, its words against the transcript."""
    model = room.models.get(room.session.data["model_name"])
    answered = model.ask(
        evidence(
            room.input["criterion"],
            history=list(reversed(room.events(SAID))),
            count=model.count,
            window=model.window,
        ),
        max_tokens=_EVIDENCE_TOKENS,
        temperature=0.0,
        schema=EVIDENCE_SCHEMA,
        cancelled=lambda: room.cancelled,
        timeout_seconds=REPLY_SECONDS,
    )
    if answered.finish == "cancelled" or room.cancelled:
        return
    try:
        answer = strict.read(_Answer, answered.text.encode())
    except errors.Invalid:
        raise errors.ModelFault("The language model did not answer in the form it was asked for.") from None
    room.report(RecordEvidence(job=room.job, items=answer.items), last=True)
