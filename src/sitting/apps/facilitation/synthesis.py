"""When a synthesis begins, how it ends, and what of it goes when a member is erased.

One runs at a time. Whoever stops it (a cancellation, a reopening, an erasure) writes its end at once, so nothing that
comes later can be taken for a result. What is told of it to everybody stands in the data of its events; what came of
it, and what it cost, lies in personal parts that no export carries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ... import errors
from ...core.kind import Ask, Decision, JobRequest
from ...core.session import Session
from . import refusals, responses, wording
from .commands import CancelSynthesis, RecordSynthesis, Result
from .drafting import Draft
from .grouping import STOP_WORDS
from .terms import COMPLETE, FACILITATOR, GENERATING, LEAST_RESPONSES, SYNTHESIS, SYNTHESIZE, USAGE

_WORD = re.compile(r"\w{2,}")
# Where no spaces stand between words, any two characters count as one.
_UNSPACED = re.compile(f"(?=([{wording.UNSPACED}]{{2}}))")
_ALWAYS_KEPT = f"{SYNTHESIS}.type"
_PLACES = (*(f"statement{place}" for place in range(1, 7)), *(f"action{place}" for place in range(1, 4)))
PARTS = tuple(f"{SYNTHESIS}.{name}" for name in ("type", "themes", "gap", "written", *_PLACES))


def begin(draft: Draft) -> JobRequest:
    """Ask for a synthesis of the present round; tokens for all its calls are set aside."""
    job = draft.ask.uuid(SYNTHESIZE)
    data = {"job": job, "round": draft.session.data["round"]}
    draft.add("synthesis_requested", data, {USAGE: {"reserved": draft.ask.known["reserved"]}})
    return JobRequest(SYNTHESIZE, SYNTHESIZE, job, audiences=(FACILITATOR,), retries=1)


def after_close(draft: Draft) -> tuple[JobRequest, ...]:
    """What happens of itself once capture is closed."""
    enough = len(responses.present(draft.session)) >= LEAST_RESPONSES
    if not enough or not draft.session.data["settings"]["auto_synthesize"]:
        return ()
    if draft.ask.known["reserved"] is None:
        draft.add("synthesis_failed", {"job": None, "reason": "no_model"})
        return ()
    return (begin(draft),)


def synthesize(ask: Ask, _command: Any) -> Decision:
    """Begin, unless one runs or is there."""
    if ask.session.data["synthesis"]["status"] == COMPLETE:
        return Decision()
    return retry(ask, _command)


def retry(ask: Ask, _command: Any) -> Decision:
    """Begin again; what is there stays until the new one is."""
    if ask.session.data["synthesis"]["status"] == GENERATING:
        return Decision()
    if len(responses.present(ask.session)) < LEAST_RESPONSES:
        raise refusals.Insufficient(session_status=ask.session.state)
    if ask.known["reserved"] is None:
        raise errors.ModelNotConfigured
    draft = Draft(ask)
    job = begin(draft)
    return draft.decision(jobs=(job,))


def cancel(ask: Ask, command: CancelSynthesis) -> Decision:
    """Stop the one that runs."""
    present = ask.session.data["synthesis"]
    if present["job"] != command.job:
        raise refusals.JobOver
    draft = Draft(ask)
    data = {"job": command.job, "round": present["round"]}
    draft.add("synthesis_cancelled", data, _written(ask.known["written"]))
    return draft.decision(cancel=(SYNTHESIZE,))


def discard(draft: Draft, reason: str) -> tuple[str, ...]:
    """Drop the one that runs, if any; the keys of the work to be stopped."""
    job = draft.session.data["synthesis"]["job"]
    if job is None:
        return ()
    draft.add("synthesis_discarded", {"job": job, "reason": reason})
    return (SYNTHESIZE,)


def record(ask: Ask, command: RecordSynthesis) -> Decision:
    """The job's word, if the job is the present one."""
    present = ask.session.data["synthesis"]
    draft = Draft(ask)
    if present["job"] != command.job or present["round"] != ask.session.data["round"]:
        draft.add("synthesis_discarded", {"job": command.job, "reason": "reopened"})
        return draft.decision()
    used = {"input_tokens": command.input_tokens or 0, "output_tokens": command.output_tokens or 0}
    if command.phase is not None:
        progress = {"group": command.group, "groups": command.groups}
        draft.add("synthesis_progressed", {"job": command.job, "phase": command.phase}, {USAGE: progress})
    elif command.result is not None:
        data = {"job": command.job, "round": present["round"]}
        usage = {USAGE: {"model": command.model, **used}}
        draft.add("synthesis_completed", data, {**pieces(command.result), **_written(command.text), **usage})
    else:
        data = {"job": command.job, "reason": command.reason or "interrupted"}
        draft.add("synthesis_failed", data, {**_written(command.text), USAGE: used})
    return draft.decision()


def pieces(result: Result) -> dict[str, Any]:
    """A result in parts of their own, so that each can be destroyed alone."""
    made: dict[str, Any] = {
        "type": {"gap_type": result.gap_type},
        "themes": {"text": result.themes},
        "gap": {"text": result.gap_reasoning},
    }
    made |= {f"statement{place}": each.model_dump() for place, each in enumerate(result.statements, 1)}
    made |= {f"action{place}": {"text": each} for place, each in enumerate(result.suggested_recalibrations, 1)}
    return {f"{SYNTHESIS}.{name}": content for name, content in made.items()}


def _written(text: str) -> dict[str, Any]:
    return {f"{SYNTHESIS}.written": {"text": text}} if text else {}


def repeating(session: Session, owner: str, *, name: str, said: Iterable[Mapping[str, Any]], made: Any) -> set[str]:
    """The pieces of every synthesis there was that repeat a word only this member used, the name included.

    A model may have copied from a response; what cannot be told from a copy goes with it.
    """
    hers: set[str] = set(_words(name))
    others: set[str] = set(STOP_WORDS)
    for parts in said:
        for whose, content in parts.items():
            (hers if whose == owner else others).update(_words(" ".join((content or {}).get("bullets", ()))))
    others.update(_words(" ".join(session.collection("texts").get("prompts", {}).values())))
    own = hers - others
    return {
        each
        for parts in made
        for each, content in parts.items()
        if each.startswith(f"{SYNTHESIS}.") and each != _ALWAYS_KEPT and own & set(_words(_text(content or {})))
    }


def _words(text: str) -> list[str]:
    plain = text.casefold()
    return [*_WORD.findall(plain), *_UNSPACED.findall(plain)]


def _text(content: Mapping[str, Any]) -> str:
    return " ".join(value for value in content.values() if isinstance(value, str))
