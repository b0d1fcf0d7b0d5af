"""Messages and replies: what may be sent, what is reserved for a reply, and what its end moves.

A message is refused in the documented order: state (the lifecycle), step, a running turn; then a crisis is answered;
then the rate and the number of messages; then the pause is made; then model and budget. A fixed reply begins and ends
in one transaction: it needs no model, no worker and no free place in a queue.
"""

from __future__ import annotations

import hashlib
from typing import Any

from ...core.budget import Budget, settled
from ...core.kind import Ask, Charge, Decision, JobRequest
from ...core.session import Session
from . import gates, refusals
from .commands import CancelTurn, DismissCrisis, ReportTurn, RetryTurn, SendMessage, Trailer
from .draft import Draft
from .facts import sent
from .gates import Assessment
from .languages import phrases
from .prompts import VERSION, Prompt, Wish
from .terms import (
    BY_CHOICE,
    BY_GATE,
    BY_MESSAGE,
    CARD_IDS,
    EXAMPLES,
    FIXED,
    MAX_MESSAGES,
    MAX_REPLY,
    MAX_SUGGESTIONS,
    MODEL,
    MODEL_FAILED,
    OWNER,
    PAUSE,
    RUNNING,
    TURN,
    EventType,
    SolveStep,
)

_WHY = {
    "MODEL_FAILED": "The language model failed.",
    "MODEL_TIMEOUT": "The language model did not answer in time.",
    "MODEL_OUTPUT_INVALID": "The language model gave nothing that can be used.",
    "BUDGET_EXHAUSTED": "The token budget did not last for the whole reply.",
}


def send(ask: Ask, command: SendMessage) -> Decision:
    """Store the message and reserve what its reply may cost, or answer it with fixed words."""
    data, settings = ask.session.data, ask.known["settings"]
    if command.step is not None and command.step != data["step"]:
        raise refusals.StepMismatch(current_step=data["step"])
    _free(ask.session)
    found = gates.assess(ask.session, command.content, emotions=settings.solve_emotion)
    draft, turn, message = Draft(ask), ask.uuid("turn"), ask.uuid("message")
    said = {"content": command.content, "emotion_detected": found.emotion}

    def receive() -> None:
        stored = {"message_id": message, "turn": turn, "step": data["step"], "substantive": found.substantive}
        draft.add(EventType.MESSAGE_RECEIVED, stored, said)

    if found.crisis is not None:
        receive()
        return _crisis(draft, turn, message, found.crisis)
    charges = _rated(ask)
    if data["sent"] >= MAX_MESSAGES:
        raise refusals.SessionFull()
    if found.tactic == PAUSE:
        receive()
        return _fixed(draft, turn, phrases(data["locale"]).pause, tactic=PAUSE, charges=charges)
    _planned(ask)
    receive()
    return _begin(draft, turn, found, message, charges=charges)


def retry(ask: Ask, command: RetryTurn) -> Decision:
    """Have the message of the last turn answered again, with the same aim."""
    turn = _last(ask, command.turn)
    draft, id = Draft(ask), ask.uuid("turn")
    if turn["crisis"]:
        return _crisis(draft, id, turn["message"], None, retry_of=command.turn)
    charges = _rated(ask)
    if turn["source"] == FIXED:
        text = phrases(ask.session.data["locale"]).pause
        return _fixed(draft, id, text, tactic=PAUSE, charges=charges, retry_of=command.turn)
    found = Assessment(closing=turn["closing"], tactic=turn["tactic"], option_id=turn["option_id"])
    return _begin(draft, id, found, turn["message"], evidence=turn["evidence"], charges=charges, retry_of=command.turn)


def dismiss_crisis(ask: Ask, command: DismissCrisis) -> Decision:
    """It was not meant like that: the message goes to the model as any other."""
    turn = _last(ask, command.turn, crisis=True)
    charges = _rated(ask)
    _planned(ask)
    emotions = ask.known["settings"].solve_emotion
    found = gates.assess(ask.session, ask.known["content"], emotions=emotions, again=True)
    evidence = found.evidence(ask.session, turn["message"])
    draft = Draft(ask)
    draft.add(EventType.CRISIS_DISMISSED, {"turn": command.turn, "substantive": found.substantive})
    return _begin(draft, ask.uuid("turn"), found, turn["message"], evidence=evidence, charges=charges)


def _free(session: Session) -> None:
    if session.data["active_turn"] is not None:
        raise refusals.SessionBusy(turn=session.data["active_turn"])


def _last(ask: Ask, id: str, *, crisis: bool = False) -> dict[str, Any]:
    """The last turn, ended and without consequences for the step."""
    data = ask.session.data
    turn = ask.session.collection("turn").get(id)
    if turn is None:
        raise refusals.TurnNotFound()
    if crisis and not turn["crisis"]:
        raise refusals.NotACrisisTurn()
    _free(ask.session)
    if id != data["last_turn"]:
        raise refusals.NotLastTurn()
    if turn["moved"] or turn["step"] != data["step"]:
        raise refusals.StepMoved(current_step=data["step"])
    return dict(turn)


def _rated(ask: Ask) -> tuple[Charge, ...]:
    rate = sent(ask.actor, ask.known["settings"], ask.now)
    if ask.known["sent"] >= rate.limit:
        raise rate.refusal
    return (rate,)


def _planned(ask: Ask) -> tuple[Prompt, Wish, int]:
    """The prompt that was counted for this command, and what is reserved for its reply."""
    if ask.known.get("no_model") is not None:
        raise refusals.no_model(ask.known["no_model"])
    plan, wish = ask.known["plan"], ask.known["wish"]
    data = ask.session.data
    budget = Budget(data["budget"], data["spent"], data["reserved"])
    needed = plan.tokens + plan.output
    if budget.free < needed:
        raise refusals.exhausted(needed=needed, free=budget.free)
    return plan, wish, min(needed + 2 * int(ask.known["extra"]), budget.free)


def _begin(
    draft: Draft,
    turn: str,
    found: Assessment,
    message: str,
    *,
    charges: tuple[Charge, ...],
    evidence: list[str] | None = None,
    retry_of: str | None = None,
) -> Decision:
    """A reply by the model."""
    ask = draft.ask
    plan, wish, reserved = _planned(ask)
    draft.add(
        EventType.TURN_STARTED,
        {
            "turn": turn,
            "step": ask.session.data["step"],
            "source": MODEL,
            "closing": found.closing,
            "evidence": found.evidence(ask.session, message) if evidence is None else evidence,
            "tactic": found.tactic,
            "prompt_version": VERSION,
            "history": {"messages": plan.used, "left_out": plan.left_out},
            "reserved_tokens": reserved,
            "retry_of": retry_of,
            "prompt_tokens": plan.tokens,
            "option_id": found.option_id,
        },
    )
    job_input = {
        "message": message,
        "closing": wish.closing,
        "tactic": wish.tactic,
        "cards": wish.cards,
        "redact": wish.redact,
        "reserved": reserved,
        "prompt_tokens": plan.tokens,
        "output": plan.output,
    }
    # A reply that people were watching is never run again behind their backs: it ends, and a retry is offered.
    job = JobRequest(TURN, TURN, turn, input=job_input, on_takeover="interrupt", audiences=(OWNER,))
    return draft.decision(jobs=(job,), charges=charges)


def _crisis(draft: Draft, turn: str, message: str, rule: str | None, *, retry_of: str | None = None) -> Decision:
    """Fixed words, written by people; the step does not move, and nothing stands in the way."""
    text = phrases(draft.session.data["locale"]).crisis
    detected = {"turn": turn, "message_id": message}
    return _fixed(draft, turn, text, crisis=(detected, {"rule": rule}), retry_of=retry_of)


def _fixed(
    draft: Draft,
    turn: str,
    text: str,
    *,
    tactic: str | None = None,
    charges: tuple[Charge, ...] = (),
    crisis: tuple[dict[str, Any], dict[str, Any]] | None = None,
    retry_of: str | None = None,
) -> Decision:
    """A reply without a model, complete at once."""
    started = {
        "turn": turn,
        "step": draft.session.data["step"],
        "source": FIXED,
        "closing": False,
        "evidence": [],
        "tactic": tactic,
        "prompt_version": VERSION,
        "history": {"messages": 0, "left_out": 0},
        "reserved_tokens": 0,
        "retry_of": retry_of,
    }
    draft.add(EventType.TURN_STARTED, started)
    if crisis is not None:
        draft.add(EventType.CRISIS_DETECTED, *crisis)
    _complete(draft, turn, text, tactic=tactic, suggestions=[], used=(0, 0), duration_ms=0)
    return draft.decision(jobs=(JobRequest(TURN, TURN, turn, audiences=(OWNER,)),), charges=charges)


def _complete(
    draft: Draft,
    turn: str,
    text: str,
    *,
    tactic: str | None,
    suggestions: list[str],
    used: tuple[int, int],
    duration_ms: int,
    first_step: str | None = None,
) -> None:
    data = {
        "turn": turn,
        "message_id": draft.ask.uuid("reply"),
        "tactic": tactic,
        "input_tokens": used[0],
        "output_tokens": used[1],
        "duration_ms": duration_ms,
    }
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    said = {"text": text, "sha256": digest, "suggestions": suggestions, "first_step": first_step}
    draft.add(EventType.TURN_COMPLETED, data, said)


def cancel(ask: Ask, command: CancelTurn) -> Decision:
    """Stop the running reply, keep the part written and charge it."""
    turn = ask.session.collection("turn").get(command.turn)
    if turn is None:
        raise refusals.TurnNotFound()
    if turn["status"] != RUNNING:
        raise refusals.TurnFinished(status=turn["status"])
    draft = Draft(ask)
    stop(draft, by=ask.role)
    return draft.decision(cancel=(TURN,))


def stop(draft: Draft, *, by: str) -> None:
    """End the running reply, if there is one, as cancelled."""
    turn = draft.session.data["active_turn"]
    if turn is not None:
        known = draft.ask.known
        _cut(draft, EventType.TURN_CANCELLED, turn, str(known["text"]), code=None, reason=by)


def _cut(
    draft: Draft,
    type: EventType,
    turn: str,
    text: str,
    *,
    code: str | None,
    reason: str,
    used: tuple[int | None, int | None] = (None, None),
) -> None:
    """The end of a reply that is not complete: what was seen stays, what was used is charged."""
    charged = _charged(draft, turn, used)
    data = {
        "turn": turn,
        "message_id": draft.ask.uuid("reply"),
        "code": code,
        "reason": reason,
        "input_tokens": charged[0],
        "output_tokens": charged[1],
    }
    draft.add(type, data, {"text": text[:MAX_REPLY]})


def _charged(draft: Draft, turn: str, used: tuple[int | None, int | None]) -> tuple[int, int]:
    running = draft.session.collection("turn")[turn]
    bill = settled(
        reserved=running["reserved"],
        prompt=running["prompt_tokens"],
        input_tokens=used[0],
        output_tokens=used[1],
        counted=int(draft.ask.known["counted"]),
    )
    return bill.input_tokens, bill.output_tokens


def report(ask: Ask, command: ReportTurn) -> Decision:
    """How a reply ended, and what follows. The late word of a turn that is over already changes nothing."""
    if ask.session.data["active_turn"] != command.turn:
        return Decision()
    draft, used = Draft(ask), (command.input_tokens, command.output_tokens)
    if command.status != "completed":
        failed = command.status == "failed"
        type = EventType.TURN_FAILED if failed else EventType.TURN_INTERRUPTED
        code = (command.code or MODEL_FAILED) if failed else None
        reason = _WHY.get(code or "", "The server was interrupted.")
        _cut(draft, type, command.turn, command.text, code=code, reason=reason, used=used)
        return draft.decision()
    turn = ask.session.collection("turn")[command.turn]
    _complete(
        draft,
        command.turn,
        command.text[:MAX_REPLY],
        tactic=turn["tactic"],
        suggestions=_suggestions(ask.session, turn, command.data),
        used=_charged(draft, command.turn, used),
        duration_ms=command.duration_ms,
        first_step=command.data.first_step,
    )
    _believe(draft, command.data)
    _offer(draft, turn, command.data)
    if turn["closing"]:
        _close(draft, command.turn, turn)
    return draft.decision()


def _suggestions(session: Session, turn: dict[str, Any], data: Trailer) -> list[str]:
    """The model's; where examples were promised and it gave too few, fixed ones."""
    if turn["tactic"] == EXAMPLES and len(data.suggestions) < MAX_SUGGESTIONS:
        return list(phrases(session.data["locale"]).examples[turn["step"]])
    return list(data.suggestions)


def _believe(draft: Draft, data: Trailer) -> None:
    """Keep what the owner's own words bear out, where the owner has not spoken."""
    for slot, belief in sorted(data.beliefs.items()):
        if slot in draft.session.data["corrected"]:
            continue
        said = sorted(draft.session.collection("message").items(), key=lambda pair: pair[1]["seq"])
        source = next((id for id, each in said if each["role"] == "user" and belief.quote in each["content"]), None)
        known = draft.session.collection("belief").get(slot) or {}
        if source is None or (known.get("text"), known.get("quote")) == (belief.text, belief.quote):
            continue
        kept = {"text": belief.text, "quote": belief.quote}
        draft.add(EventType.BELIEF_FORMED, {"slot": slot, "message_id": source}, kept)


def _offer(draft: Draft, turn: dict[str, Any], data: Trailer) -> None:
    """New cards, where the reply was to bring some; those of a choice are not changed under the owner's hand."""
    brings = turn["step"] == SolveStep.REFRAME if turn["closing"] else turn["step"] == SolveStep.OPTIONS
    if data.cards is None or not brings:
        return
    cards = [{"id": id, **card.model_dump()} for id, card in zip(CARD_IDS, data.cards, strict=False)]
    draft.add(EventType.OPTIONS_OFFERED, {"version": draft.session.data["version"] + 1}, {"cards": cards})


def _close(draft: Draft, id: str, turn: dict[str, Any]) -> None:
    """The step moves, now that the reply is complete."""
    step = turn["step"]
    if step == SolveStep.COMMIT:
        message = draft.session.collection("message").get(turn["message"]) or {}
        promise = {
            "first_step_action": gates.first_step(message.get("content") or ""),
            "reminder_time": draft.session.data["reminder_time"],
            "confidence": None,
        }
        draft.add(EventType.COMMITTED, {"by": BY_MESSAGE}, promise)
        draft.add(EventType.COMPLETED)
        return
    by = BY_GATE
    if step == SolveStep.OPTIONS:
        by, version = BY_CHOICE, draft.session.data["version"]
        draft.add(EventType.OPTION_CHOSEN, {"option_id": turn["option_id"], "version": version, "by": BY_MESSAGE})
    move = {"from": step, "to": gates.following(step), "by": by, "evidence": turn["evidence"], "turn": id}
    draft.add(EventType.STEP_ADVANCED, move)
