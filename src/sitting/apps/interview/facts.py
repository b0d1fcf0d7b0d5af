"""What decisions about an interview need to know from outside the session: read in the transaction of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ... import errors
from ...core.kind import Command, Reader
from . import clock
from .challenges import offered
from .commands import (
    AddInterviewer,
    AmendScorecard,
    CancelTurn,
    RecordEvidence,
    RecordReply,
    RetryTurn,
    SaveScores,
    SendMessage,
    SessionConfig,
    SessionUpdate,
)
from .prompts import HISTORY, Left, Plan, prompt
from .terms import CANDIDATES, SAID, EventType


def _challenge(reader: Reader, id: str | None) -> Mapping[str, Any] | None:
    return None if id is None else offered(reader.other, id)


def creating(reader: Reader, command: Command) -> Mapping[str, Any]:
    """The link key, the operator's limits, and the challenge that is to be copied in."""
    assert isinstance(command, SessionConfig)
    known = {name: reader.installed[name] for name in ("link_key", "settings")}
    return {**known, "challenge": _challenge(reader, command.challenge_id)}


def updating(reader: Reader, command: Command) -> Mapping[str, Any]:
    """The operator's limits, and the challenge that is to be copied in."""
    assert isinstance(command, SessionUpdate)
    return {"settings": reader.installed["settings"], "challenge": _challenge(reader, command.challenge_id)}


def linking(reader: Reader, _command: Command) -> Mapping[str, Any]:
    """The key that codes derive from."""
    return {"link_key": reader.installed["link_key"]}


def inviting(reader: Reader, command: Command) -> Mapping[str, Any]:
    """Whether the account belongs to the space: nobody else could come."""
    assert isinstance(command, AddInterviewer)
    return {"is_member": reader.has_member(command.actor_id)}


def ending(reader: Reader, command: Command) -> Mapping[str, Any]:
    """The key, and what the running reply has written."""
    return {**linking(reader, command), **_written(reader)}


def cancelling(reader: Reader, command: Command) -> Mapping[str, Any]:
    """What the running reply has written, or whether there ever was such a turn."""
    assert isinstance(command, CancelTurn)
    turn = reader.session.data["turn"]
    return _written(reader) if turn and turn["id"] == command.turn else {"existed": _existed(reader, command.turn)}


def _written(reader: Reader) -> dict[str, Any]:
    turn = reader.session.data["turn"]
    text = reader.text(turn["id"]) if turn else ""
    return {"text": text, "counted": _count(reader, text)}


def _count(reader: Reader, text: str) -> int:
    try:
        return int(reader.installed["models"].get(reader.session.data["model_name"]).count(text))
    except errors.ModelNotConfigured:
        return -(-len(text.encode()) // 3)


def _existed(reader: Reader, turn: str) -> bool:
    types = (EventType.MESSAGE_SENT, EventType.TURN_RETRIED)
    return any(event.data["turn"] == turn for event in reader.journal(types))


def asking(reader: Reader, command: Command) -> Mapping[str, Any]:
    """The operator's limits, and the prompt counted; nothing is counted for a message that is refused anyway."""
    session = reader.session
    known: dict[str, Any] = {"settings": reader.installed["settings"]}
    if session.data["turn"] is not None:
        return known
    if isinstance(command, SendMessage):
        message, seq = command.content, session.seq + 1
    else:
        assert isinstance(command, RetryTurn)
        failed = session.data["failed"]
        if failed is None or failed["turn"] != command.turn:
            return known | {"existed": _existed(reader, command.turn)}
        seq = failed["seq"]
        kept = _contents(reader, {seq})
        if seq not in kept:
            return known
        message = kept[seq]
    try:
        model = reader.installed["models"].get(session.data["model_name"])
    except errors.ModelNotConfigured as missing:
        return known | {"no_model": missing.message}
    left = Left(clock.time_remaining(session, reader.now), clock.tokens_left(session))
    history = reader.journal(HISTORY, before=seq)
    counted = prompt(session, message, seq=seq, history=history, left=left, count=model.count, window=model.window)
    plan = Plan(counted.tokens, counted.from_seq, model.count(message), left.time_remaining, left.tokens_free)
    return known | {"plan": plan}


def recording(reader: Reader, command: Command) -> Mapping[str, Any]:
    """An own count of the reply, for a provider that says nothing of its usage."""
    assert isinstance(command, RecordReply)
    return {"counted": _count(reader, command.text)}


def _contents(reader: Reader, wanted: set[int]) -> dict[int, str]:
    """What was said at the wanted positions; one that holds no message, or an erased one, is missing."""
    found: dict[int, str] = {}
    for event in reader.journal(SAID, before=max(wanted, default=0) + 1):
        if event.seq < min(wanted, default=0):
            break
        content = event.part(CANDIDATES).get("content")
        if event.seq in wanted and isinstance(content, str):
            found[event.seq] = content
    return found


def scoring(reader: Reader, command: Command) -> Mapping[str, Any]:
    """What was said at the cited places."""
    assert isinstance(command, SaveScores | AmendScorecard)
    wanted = {citation.seq for score in command.scores for citation in score.citations}
    return {"contents": _contents(reader, wanted)}


def proposing(reader: Reader, _command: Command) -> Mapping[str, Any]:
    """Whether there is a model to ask."""
    try:
        reader.installed["models"].get(reader.session.data["model_name"])
    except errors.ModelNotConfigured as missing:
        return {"no_model": missing.message}
    return {"no_model": None}


def gathering(reader: Reader, command: Command) -> Mapping[str, Any]:
    """What was said at the places the model names."""
    assert isinstance(command, RecordEvidence)
    return {"contents": _contents(reader, {item.seq for item in command.items})}


FACTS: Mapping[str, Callable[[Reader, Command], Mapping[str, Any]]] = {
    "create": creating,
    "update": updating,
    "end": ending,
    "expire": ending,
    "add_interviewer": inviting,
    "rotate_link": linking,
    "revoke_link": linking,
    "send_message": asking,
    "retry_turn": asking,
    "cancel_turn": cancelling,
    "record_reply": recording,
    "save_scores": scoring,
    "amend_scorecard": scoring,
    "propose_evidence": proposing,
    "record_evidence": gathering,
}
