"""Notes, scores and evidence: what interviewers keep for themselves and for each other.

No score is stored without at least one exact citation, and the model never writes a score: its proposals are passages,
and only those that stand in the transcript word for word are kept. Who wrote something is its owner; a quote is the
candidate's, so it lies in a part of its own and goes when the candidate's content goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ... import errors
from ...core.event import Fact
from ...core.kind import Ask, Decision, JobRequest
from . import refusals
from .commands import (
    AddNote,
    AmendScorecard,
    CancelEvidence,
    ChangeNote,
    Passage,
    ProposeEvidence,
    RecordEvidence,
    RemoveNote,
    SaveScores,
    Score,
    SubmitScorecard,
)
from .terms import CANDIDATES, DEFAULTS, MAX_NOTES, EventType

EVIDENCE = "propose_evidence"


def evidence_key(actor: str) -> str:
    """One search at a time for each interviewer."""
    return f"evidence:{actor}"


def add_note(ask: Ask, command: AddNote) -> Decision:
    """A note of this interviewer's own."""
    own = [note for note in ask.session.collection("notes").values() if note["owner"] == ask.actor.id]
    if len(own) >= MAX_NOTES:
        raise errors.Conflict(f"There are already {MAX_NOTES} notes of yours; remove one first.")
    return _note(ask, EventType.NOTE_ADDED, ask.uuid("note"), command.text, command.at_seq)


def change_note(ask: Ask, command: ChangeNote) -> Decision:
    """Another text for an own note; without `at_seq` it stays where it is."""
    note = _own_note(ask, command.note_id)
    at_seq = command.at_seq if "at_seq" in command.model_fields_set else note["at_seq"]
    return _note(ask, EventType.NOTE_CHANGED, command.note_id, command.text, at_seq)


def remove_note(ask: Ask, command: RemoveNote) -> Decision:
    """An own note fewer."""
    _own_note(ask, command.note_id)
    return Decision((Fact(EventType.NOTE_REMOVED, {"note_id": command.note_id}),))


def _note(ask: Ask, type: str, id: str, text: str, at_seq: int | None) -> Decision:
    if at_seq is not None and at_seq > ask.session.seq:
        raise errors.Invalid.field("at_seq", f"must be between 1 and {ask.session.seq}")
    return Decision((Fact(type, {"note_id": id, "at_seq": at_seq}, {ask.actor.id: {"text": text}}),))


def _own_note(ask: Ask, id: str) -> Mapping[str, Any]:
    note: Mapping[str, Any] | None = ask.session.collection("notes").get(id)
    if note is None or note["owner"] != ask.actor.id:
        raise errors.NotFound(refusals.NOTE_NOT_FOUND)
    return note


def criteria(config: Mapping[str, Any]) -> list[str]:
    """What this session is judged by."""
    return list(config.get("criteria", DEFAULTS["criteria"]))


def save_scores(ask: Ask, command: SaveScores) -> Decision:
    """A draft; what was kept before is replaced."""
    if _own_card(ask).get("submitted_at"):
        raise _card_state(ask, "Cannot save scores.", "Your scorecard has been submitted.")
    _check_scores(ask, command.scores)
    return _written(ask, EventType.SCORES_SAVED, command.scores, {"summary": command.summary})


def submit_scorecard(ask: Ask, _command: SubmitScorecard) -> Decision:
    """Hand the own card in, complete."""
    card = _own_card(ask)
    if card.get("submitted_at"):
        raise _card_state(ask, "Cannot submit scorecard.", "Your scorecard has been submitted.")
    _check_complete(ask, [score["criterion"] for score in card.get("scores", [])])
    return Decision((Fact(EventType.SCORECARD_SUBMITTED, {"scores": len(card["scores"])}),))


def amend_scorecard(ask: Ask, command: AmendScorecard) -> Decision:
    """Another card in the place of the one handed in, and why."""
    if not _own_card(ask).get("submitted_at"):
        raise _card_state(ask, "Cannot amend scorecard.", "Your scorecard has not been submitted.")
    _check_scores(ask, command.scores)
    _check_complete(ask, [score.criterion for score in command.scores])
    words = {"summary": command.summary, "reason": command.reason}
    return _written(ask, EventType.SCORECARD_AMENDED, command.scores, words)


def _own_card(ask: Ask) -> Mapping[str, Any]:
    card: Mapping[str, Any] = ask.session.collection("scorecards").get(ask.actor.id, {})
    return card


def _card_state(ask: Ask, opening: str, why: str) -> errors.Refusal:
    return errors.WrongState(f"{opening} {why}", session_status=ask.session.state)


def _check_scores(ask: Ask, scores: Sequence[Score]) -> None:
    known, seen = criteria(ask.session.data["config"]), set()
    contents: Mapping[int, str] = ask.known["contents"]
    for place, score in enumerate(scores):
        if score.criterion not in known or score.criterion in seen:
            message = "is scored twice" if score.criterion in seen else "is not a criterion of this interview"
            raise errors.Invalid.field(f"scores.{place}.criterion", message)
        seen.add(score.criterion)
        if not score.citations:
            message = f"Score '{score.criterion}' needs at least one citation."
            raise refusals.CitationRequired(message, criterion=score.criterion)
        for citation in score.citations:
            content = contents.get(citation.seq, "")
            if citation.end > len(content) or content[citation.start : citation.end] != citation.quote:
                message = f"Citation does not match the transcript at seq {citation.seq}."
                raise refusals.CitationMismatch(message, seq=citation.seq)


def _check_complete(ask: Ask, scored: Sequence[str]) -> None:
    for criterion in criteria(ask.session.data["config"]):
        if criterion not in scored:
            raise refusals.ScoreMissing(f"Score missing for '{criterion}'.", criterion=criterion)


def _written(ask: Ask, type: str, scores: Sequence[Score], words: Mapping[str, str]) -> Decision:
    own = [
        {
            "criterion": score.criterion,
            "score": score.score,
            "comment": score.comment,
            "citations": [{"seq": each.seq, "start": each.start, "end": each.end} for each in score.citations],
        }
        for score in scores
    ]
    quotes = [[citation.quote for citation in score.citations] for score in scores]
    personal = {ask.actor.id: {"scores": own, **words}, CANDIDATES: {"quotes": quotes}}
    return Decision((Fact(type, {"scores": len(own)}, personal),))


def propose_evidence(ask: Ask, command: ProposeEvidence) -> Decision:
    """Have the model look for passages."""
    if command.criterion not in criteria(ask.session.data["config"]):
        raise errors.Invalid.field("criterion", "is not a criterion of this interview")
    if ask.known["no_model"] is not None:
        raise refusals.no_model(ask.known["no_model"])
    if _running(ask) is not None:
        raise errors.Conflict("Evidence is already being looked for.")
    job, actor = ask.uuid("evidence"), ask.actor.id
    fact = Fact(EventType.EVIDENCE_REQUESTED, {"job": job, "for": actor}, {actor: {"criterion": command.criterion}})
    request = JobRequest(EVIDENCE, evidence_key(actor), job, input={"criterion": command.criterion}, retries=1)
    return Decision((fact,), jobs=(request,))


def cancel_evidence(ask: Ask, command: CancelEvidence) -> Decision:
    """Stop the own search."""
    if _running(ask) != command.job:
        raise errors.NotFound("Job not found")
    data = {"job": command.job, "for": ask.actor.id, "reason": "cancelled"}
    return Decision((Fact(EventType.EVIDENCE_FAILED, data),), cancel=(evidence_key(ask.actor.id),))


def _running(ask: Ask) -> str | None:
    proposals = ask.session.collection("proposals").items()
    return next((job for job, each in proposals if each["owner"] == ask.actor.id and each["state"] == "running"), None)


def record_evidence(ask: Ask, command: RecordEvidence) -> Decision:
    """Keep the passages that stand in the transcript word for word; a late answer changes nothing."""
    proposal = ask.session.collection("proposals").get(command.job)
    if proposal is None or proposal["state"] != "running":
        return Decision()
    data: dict[str, Any] = {"job": command.job, "for": proposal["owner"]}
    if command.reason:
        return Decision((Fact(EventType.EVIDENCE_FAILED, data | {"reason": command.reason}),))
    items = found(command.items, ask.known["contents"])
    fact = Fact(EventType.EVIDENCE_PROPOSED, data | {"items": len(items)}, {CANDIDATES: {"items": items}})
    return Decision((fact,))


def found(passages: Sequence[Passage], contents: Mapping[int, str]) -> list[dict[str, Any]]:
    """The passages with their places; what is not in the message it names is dropped, and so is a repetition."""
    places: list[dict[str, Any]] = []
    for passage in passages:
        start = contents.get(passage.seq, "").find(passage.quote)
        place = {"seq": passage.seq, "start": start, "end": start + len(passage.quote), "quote": passage.quote}
        if start >= 0 and place not in places:
            places.append(place)
    return places
