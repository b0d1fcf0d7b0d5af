"""Messages and replies: what may be sent, what is reserved before a reply and what is settled after it.

The order of the checks is the one people are told in: state, time, one active turn, rate, model, budget (the length was
checked when the command was read). A reply ends once: in a reply, a failure or a cancellation, and the same event gives
back what was reserved for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ... import errors
from ...core.budget import settled
from ...core.event import Event, Fact
from ...core.kind import Ask, Charge, Decision, JobRequest
from ...core.session import Session
from . import clock, refusals
from .commands import CancelTurn, RecordReply, RetryTurn, SendMessage
from .fold import fold
from .prompts import Plan
from .terms import CANDIDATE, CANDIDATES, INTERVIEWER, LEAST_OUTPUT_TOKENS, MAX_OUTPUT_TOKENS, MAX_REPLY, EventType

REPLY = "reply"
_MINUTE_MS, _HOUR_MS = 60_000, 3_600_000


class Draft:
    """A decision in the making: each fact is folded at once, so the next one sees what the session has become."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.session: Session = ask.session
        self._facts: list[Fact] = []

    def add(self, type: str, data: Mapping[str, Any], personal: Mapping[str, Any] | None = None) -> None:
        """One more fact."""
        fact = Fact(str(type), dict(data), dict(personal or {}))
        ask, seq = self.ask, self.session.seq + 1
        event = Event(seq, fact.type, ask.actor.id, ask.role, ask.now, fact.data, fact.personal)
        self._facts.append(fact)
        self.session = fold(self.session.after(event), event)

    def decision(self, **more: Any) -> Decision:
        """The decision these facts make."""
        return Decision(tuple(self._facts), **more)


def send(ask: Ask, command: SendMessage) -> Decision:
    """Store the message and reserve what its reply may cost, before anybody is asked."""
    charge = _may_ask(ask)
    plan = _plan(ask)
    reserved = _reservation(ask.session, plan)
    turn, message, seq = ask.uuid("turn"), ask.uuid("message"), ask.session.seq + 1
    data = {
        "message": message,
        "turn": turn,
        "tokens": plan.message_tokens,
        "prompt_tokens": plan.tokens,
        "reserved": reserved,
        "prompt_from_seq": plan.from_seq,
    }
    draft = Draft(ask)
    draft.add(EventType.MESSAGE_SENT, data, {CANDIDATES: {"content": command.content}})
    return draft.decision(jobs=(_job(turn, seq, plan, reserved),), charges=(charge,))


def retry(ask: Ask, command: RetryTurn) -> Decision:
    """Ask again for the reply that failed last."""
    failed = ask.session.data["failed"]
    if ask.session.data["turn"] is None and (failed is None or failed["turn"] != command.turn):
        raise _over(ask)
    charge = _may_ask(ask)
    plan = _plan(ask)
    reserved = _reservation(ask.session, plan)
    turn = ask.uuid("turn")
    data = {
        "turn": turn,
        "of": command.turn,
        "message": failed["message"],
        "seq": failed["seq"],
        "prompt_tokens": plan.tokens,
        "reserved": reserved,
        "prompt_from_seq": plan.from_seq,
    }
    draft = Draft(ask)
    draft.add(EventType.TURN_RETRIED, data)
    return draft.decision(jobs=(_job(turn, failed["seq"], plan, reserved),), charges=(charge,))


def cancel(ask: Ask, command: CancelTurn) -> Decision:
    """Stop the running reply, keep the part written and charge it."""
    turn = ask.session.data["turn"]
    if turn is None or turn["id"] != command.turn:
        raise _over(ask)
    draft = Draft(ask)
    stop(draft, by=ask.role)
    _warn_of_tokens(draft)
    return draft.decision(cancel=(REPLY,))


def stop(draft: Draft, *, by: str) -> None:
    """End the running reply, if there is one, as cancelled: the prompt and the part written are charged."""
    turn, known = draft.session.data["turn"], draft.ask.known
    if turn is None:
        return
    text = str(known.get("text", ""))[:MAX_REPLY]
    output = int(known.get("counted", 0)) if text else 0
    prompt = turn["prompt_tokens"]
    bill = settled(reserved=turn["reserved"], prompt=prompt, input_tokens=prompt, output_tokens=output, counted=output)
    data = {
        "turn": turn["id"],
        "message": draft.ask.uuid("reply"),
        "by": by,
        "charged": bill.charged,
        "mark": "cut",
        "input_tokens": bill.input_tokens,
        "output_tokens": bill.output_tokens,
    }
    draft.add(EventType.TURN_CANCELLED, data, {CANDIDATES: {"content": text}})


def record(ask: Ask, command: RecordReply) -> Decision:
    """How a reply ended. The late word of a turn that is over already changes nothing."""
    turn = ask.session.data["turn"]
    if turn is None or turn["id"] != command.turn:
        return Decision()
    draft = Draft(ask)
    data: dict[str, Any] = {"turn": command.turn, "message": ask.uuid("reply")}
    content = {CANDIDATES: {"content": command.text[:MAX_REPLY]}}
    if command.reason:
        data |= {"reason": command.reason, "charged": 0, "mark": "incomplete", "input_tokens": 0, "output_tokens": 0}
        draft.add(EventType.TURN_FAILED, data, content)
        return draft.decision()
    bill = settled(
        reserved=turn["reserved"],
        prompt=turn["prompt_tokens"],
        input_tokens=command.input_tokens,
        output_tokens=command.output_tokens,
        counted=int(ask.known["counted"]),
    )
    data |= {
        "model": command.model,
        "input_tokens": bill.input_tokens,
        "output_tokens": bill.output_tokens,
        "charged": bill.charged,
        "overrun": bill.overrun,
        "first_token_ms": command.first_token_ms,
        "duration_ms": command.duration_ms,
    }
    draft.add(EventType.MESSAGE_RECEIVED, data, content)
    _warn_of_tokens(draft)
    return draft.decision()


def _warn_of_tokens(draft: Draft) -> None:
    reached = clock.tokens_crossed(draft.session)
    remaining = clock.tokens_left(draft.session)
    for threshold in reached:
        if threshold not in draft.session.data["token_warned"]:
            draft.add(EventType.TOKEN_WARNING, {"threshold": threshold, "remaining": remaining})


def _may_ask(ask: Ask) -> Charge:
    """The checks before the budget, in the order people are told; the charge counts for the whole space."""
    session = ask.session
    if clock.remaining_ms(session, ask.now) == 0:
        raise refusals.TimeExpired(session_status=session.state)
    if session.data["turn"] is not None:
        raise refusals.TurnActive
    settings, now = ask.known["settings"], clock.ms(ask.now)
    sent = session.data["sent"]
    for window, limit in (
        (_MINUTE_MS, settings.interview_messages_minute),
        (_HOUR_MS, settings.interview_messages_hour),
    ):
        recent = [each for each in sent if each > now - window]
        if len(recent) >= limit:
            raise refusals.too_many(_seconds(recent[-limit] + window - now))
    name, most = f"interview.messages:{session.space}", settings.interview_messages_space_hour
    return Charge.within(name, most, now=ask.now, seconds=_HOUR_MS // 1000, refuse=refusals.too_many)


def _seconds(milliseconds: int) -> int:
    return max(1, -(-milliseconds // 1000))


def _plan(ask: Ask) -> Plan:
    """The prompt that was counted for this command; none when nobody could answer it."""
    plan = ask.known.get("plan")
    if ask.known.get("no_model") is not None:
        raise refusals.no_model(ask.known["no_model"])
    if not isinstance(plan, Plan):
        raise errors.NotFound(refusals.TURN_NOT_FOUND)  # its message was erased
    return plan


def _reservation(session: Session, plan: Plan) -> int:
    """Prompt and longest answer, together at most what is free."""
    free = clock.tokens_left(session)
    if free == 0:
        raise refusals.exhausted()
    output = min(MAX_OUTPUT_TOKENS, free - plan.tokens)
    if output < LEAST_OUTPUT_TOKENS:
        raise refusals.insufficient(plan.tokens + LEAST_OUTPUT_TOKENS, free)
    return plan.tokens + output


def _job(turn: str, seq: int, plan: Plan, reserved: int) -> JobRequest:
    # A reply that people were watching is never run again behind their backs: it ends, and a retry is offered.
    job_input = {
        "seq": seq,
        "from_seq": plan.from_seq,
        "max_output": reserved - plan.tokens,
        "time_remaining": plan.time_remaining,
        "tokens_free": plan.tokens_free,
    }
    return JobRequest(REPLY, REPLY, turn, input=job_input, on_takeover="interrupt", audiences=(INTERVIEWER, CANDIDATE))


def _over(ask: Ask) -> errors.Refusal:
    if ask.known.get("existed"):
        return refusals.TurnOver(session_status=ask.session.state)
    return errors.NotFound(refusals.TURN_NOT_FOUND)
