"""The jobs: have a model read the responses, and have every session forget a member. They run outside any transaction.

What a model answers is checked: its form against the limits, its labels against the responses there are, and that its
texts are words of a language (sentences.py). One fault is named and asked about again; after the second the synthesis
has failed. A job taken over from a dead worker begins again: nothing of a synthesis is kept before the whole of it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ... import errors
from ...core import strict
from ...core.kind import Command, Workroom
from . import prompts, sentences
from .commands import ForgetMember, RecordSynthesis, Result, Statement
from .prompts import Entry, Window
from .terms import FACILITATION, MAX_WRITTEN

RETRY_SECONDS = (1.0, 4.0)
CALL_SECONDS = 120.0
Reason = Literal["invalid_output", "timeout", "provider", "no_model"]
A = TypeVar("A", Result, "GroupResult")


class GroupResult(BaseModel):
    """What a model makes of some of the responses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    statements: list[Statement] = Field(min_length=1, max_length=6)


class _Failed(Exception):
    """The synthesis has come to an end without a result."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason: Reason = reason


class _Stopped(Exception):
    """Somebody cancelled it; there is nothing to say."""


def synthesize(room: Workroom) -> None:
    """Have the model read the responses, and report what came of it."""
    try:
        work = _Synthesis(room)
        report: dict[str, Any] = {"result": work.result(), "model": work.model_name}
    except _Failed as failed:
        report = {"reason": failed.reason}
    except errors.ModelNotConfigured:
        room.report(RecordSynthesis(job=room.job, reason="no_model"), last=True)
        return
    except _Stopped:
        return
    room.report(RecordSynthesis(job=room.job, text=room.written()[:MAX_WRITTEN], **report, **work.usage), last=True)


class _Synthesis:
    """One synthesis on its way: its calls, what they cost, and how far it has been told."""

    def __init__(self, room: Workroom) -> None:
        self._room = room
        self._model = room.models.get()
        self._window = Window(self._model.count, self._model.window)
        self._told: tuple[str, int] = ("", 0)
        self._groups = 1
        self.model_name = ""
        self.usage = {"input_tokens": 0, "output_tokens": 0}

    def result(self) -> Result:
        """What the model makes of all responses."""
        session = self._room.session
        parts = prompts.groups(session, self._window)
        if len(parts) == 1:
            return self._asked(parts[0], Result, group=1)
        self._groups = len(parts) + 1
        said: list[Entry] = []
        for place, part in enumerate(parts, 1):
            found = self._asked(part, GroupResult, group=place)
            said += [Entry(tuple(each.responses), f"{each.name}: {each.statement}") for each in found.statements]
        last = prompts.shortened(session, said, self._window, whole=True)
        return self._asked(last, Result, group=self._groups)

    def _asked(self, given: Sequence[Entry], form: type[A], *, group: int) -> A:
        """One answer in its form; a second try after a fault, with the fault named."""
        fault = ""
        for _ in range(2):
            text = self._called(given, whole=form is Result, group=group, fault=fault)
            self._tell("checking", group)
            try:
                return _checked(form, text, {label for each in given for label in each.labels})
            except errors.Invalid as invalid:
                fault = _sentence(invalid)
        raise _Failed("invalid_output")

    def _called(self, given: Sequence[Entry], *, whole: bool, group: int, fault: str) -> str:
        """What the model says; three tries when its provider fails."""
        waits = list(RETRY_SECONDS)
        while True:
            self._tell("reading", group)
            try:
                return self._call(given, whole=whole, group=group, fault=fault)
            except errors.ModelTimeout:
                raise _Failed("timeout") from None
            except errors.ModelFault:
                if not waits:
                    raise _Failed("provider") from None
                self._room.wait(waits.pop(0))

    def _call(self, given: Sequence[Entry], *, whole: bool, group: int, fault: str) -> str:
        messages = prompts.ask(self._room.session, given, whole=whole, fault=fault)
        self._write("\n\n" if self._room.written() else "")

        def heard(piece: str) -> None:
            self._tell("writing", group)
            self._write(piece)

        answered = self._model.ask(
            messages,
            max_tokens=self._window.output,
            temperature=0.2,
            schema=prompts.schema(sorted({label for each in given for label in each.labels}), whole=whole),
            on_text=heard,
            cancelled=lambda: self._room.cancelled,
            timeout_seconds=CALL_SECONDS,
        )
        if answered.finish == "cancelled" or self._room.cancelled:
            raise _Stopped
        self.model_name = answered.model
        self._charge(answered, self._window.cost(messages))
        return str(answered.text)

    def _charge(self, answered: Any, prompt: int) -> None:
        """Count what the call used, by the provider's own word where it gives one."""
        counted = {"input_tokens": prompt, "output_tokens": self._model.count(answered.text)}
        for name, own in counted.items():
            said = getattr(answered, name)
            self.usage[name] += own if said is None else said

    def _write(self, piece: str) -> None:
        room = MAX_WRITTEN - len(self._room.written())
        if piece[:room] and room > 0:
            self._room.write(piece[:room])

    def _tell(self, phase: Literal["reading", "writing", "checking"], group: int) -> None:
        if self._room.cancelled:
            raise _Stopped
        if self._told != (phase, group):
            self._told = (phase, group)
            self._room.report(RecordSynthesis(job=self._room.job, phase=phase, group=group, groups=self._groups))


def _checked(form: type[A], text: str, labels: set[str]) -> A:
    """The answer in its form and in words, naming only responses it was given. Raises Invalid."""
    found = strict.read(form, text.strip().removeprefix("```json").removesuffix("```").encode("utf-8", "replace"))
    for place, each in enumerate(found.statements):
        if unknown := [label for label in each.responses if label not in labels]:
            raise errors.Invalid.field(f"statements.{place}.responses", f"has {len(unknown)} unknown labels")
        if sentences.is_form(each.name):
            raise errors.Invalid.field(f"statements.{place}.name", "must be words, not JSON")
    for name, said in _texts(found):
        if not sentences.is_sentence(said):
            raise errors.Invalid.field(name, "must be a sentence in words: no label alone, no JSON inside")
    return found


def _texts(found: Result | GroupResult) -> Iterator[tuple[str, str]]:
    """What people will read as sentences, by the names of the fields."""
    for place, each in enumerate(found.statements):
        yield f"statements.{place}.statement", each.statement
    if isinstance(found, Result):
        yield "themes", found.themes
        yield "gap_reasoning", found.gap_reasoning
        for place, text in enumerate(found.suggested_recalibrations):
            yield f"suggested_recalibrations.{place}", text


def _sentence(invalid: errors.Invalid) -> str:
    """What is wrong, by the names of the fields; never what was written in them."""
    fields: Sequence[Mapping[str, str]] = invalid.facts.get("fields", ())
    if not fields:
        return "it is not JSON of the form that was asked for."
    return "; ".join(f"`{each['field']}` {each['message']}" for each in fields[:3])[:300] + "."


def interrupted(job: str, text: str, _reason: str) -> Command:
    """The end of a synthesis that nobody can go on with."""
    return RecordSynthesis(job=job, reason="interrupted", text=text[:MAX_WRITTEN])


def forget_member(room: Workroom) -> None:
    """Have every session of the team forget the members it has erased; whoever was forgotten stays so."""
    erased = [each["id"] for each in room.session.collection("members").values() if each.get("erased")]
    for session in room.about(FACILITATION):
        for member in erased:
            if room.cancelled:
                return
            try:
                room.tell(session, ForgetMember(member_id=member))
            except errors.NotFound:
                break
