"""What decisions about a solve session need to know from outside it: read in the transaction of the command."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ... import errors
from ...core.actor import Actor
from ...core.budget import Budget
from ...core.event import COPIED
from ...core.kind import Charge, Command, Reader
from ...core.session import Session
from . import gates, prompts, refusals
from .commands import DismissCrisis, ReportTurn, RetryTurn, SendMessage
from .gates import Assessment
from .prompts import Said, Wish
from .terms import MAX_CARRIED, MAX_MESSAGES, PAUSE, SessionStatus, SolveStep

_LOOKED_THROUGH = 20  # completed sessions that are looked through for open actions


def opened(actor: Actor, settings: Any, now: datetime) -> Charge:
    """One of the sessions somebody opens in a minute."""
    most = settings.solve_creations_minute
    return Charge.within(f"solve.created:{actor.id}", most, now=now, refuse=refusals.too_many)


def sent(actor: Actor, settings: Any, now: datetime) -> Charge:
    """One of the messages somebody sends in a minute."""
    most = settings.solve_messages_minute
    return Charge.within(f"solve.messages:{actor.id}", most, now=now, refuse=refusals.too_many)


def quota_account(space: str, period: str, now: datetime) -> str:
    """The counter of the sessions a space has opened in the period."""
    return f"solve.sessions:{space}:{now:%Y-%m}" if period == "month" else f"solve.sessions:{space}:lifetime"


def quota_over(period: str, now: datetime) -> datetime | None:
    """When the period is over; a lifetime never is."""
    if period != "month":
        return None
    return (now.replace(day=1, hour=0, minute=0, second=0, microsecond=0) + timedelta(days=31)).replace(day=1)


def creating(reader: Reader, _command: Command) -> Mapping[str, Any]:
    """The counters, and what is still open from the owner's last sessions."""
    settings = reader.installed["settings"]
    return {
        "settings": settings,
        "created": reader.counted(opened(reader.actor, settings, reader.now).account),
        "used": reader.counted(quota_account(reader.actor.space, settings.solve_quota_period, reader.now)),
        "carried": _carried(reader) if settings.solve_carry_over else {},
    }


def _carried(reader: Reader) -> dict[str, dict[str, Any]]:
    """What is open, each under the session it is copied from: it goes when that one is deleted."""
    found = reader.mine("solve", state=SessionStatus.COMPLETED, limit=_LOOKED_THROUGH)
    open_ones = [session for session in found if not session.data["action_completed"]]
    carried = [session for session in open_ones if session.data["first_step_action"]][:MAX_CARRIED]
    return {
        f"{COPIED}{session.id}": {
            "place": place,
            "first_step_action": session.data["first_step_action"],
            "reminder_time": session.data["reminder_time"],
        }
        for place, session in enumerate(carried)
    }


def sending(reader: Reader, command: Command) -> Mapping[str, Any]:
    """How the message counts, the counters, and the prompt; no prompt for what is answered without a model."""
    assert isinstance(command, SendMessage)
    session, known = reader.session, _rates(reader)
    if session.data["active_turn"] is not None:
        return known
    found = gates.assess(session, command.content, emotions=known["settings"].solve_emotion)
    if found.crisis is not None or found.tactic == PAUSE:
        return known
    said = (*prompts.history(session), Said("user", command.content))
    return known | _planned(reader, said, _wish(reader, found))


def retrying(reader: Reader, command: Command) -> Mapping[str, Any]:
    """The prompt for a message that is answered again, without its earlier replies."""
    assert isinstance(command, RetryTurn | DismissCrisis)
    session, known = reader.session, _rates(reader)
    turn = session.collection("turn").get(command.turn)
    message = session.collection("message").get((turn or {}).get("message") or "")
    if session.data["active_turn"] is not None or turn is None or message is None:
        return known
    said = prompts.history(session, before=message["seq"] + 1)
    if isinstance(command, DismissCrisis):
        emotions = known["settings"].solve_emotion
        found = gates.assess(session, message["content"], emotions=emotions, again=True)
        return known | _planned(reader, said, _wish(reader, found)) | {"content": message["content"]}
    repeated = Assessment(closing=turn["closing"], tactic=turn["tactic"])
    return known | _planned(reader, said, _wish(reader, repeated))


def _wish(reader: Reader, found: Assessment) -> Wish:
    session = reader.session
    step = session.data["step"]
    needed = step == SolveStep.REFRAME if found.closing else step == SolveStep.OPTIONS and not gates.cards(session)
    return Wish(found.closing, found.tactic, needed, reader.installed["settings"].solve_redact)


def _rates(reader: Reader) -> dict[str, Any]:
    settings = reader.installed["settings"]
    return {"settings": settings, "sent": reader.counted(sent(reader.actor, settings, reader.now).account)}


def _planned(reader: Reader, said: tuple[Said, ...], wish: Wish) -> dict[str, Any]:
    try:
        model = reader.installed["models"].get()
    except errors.ModelNotConfigured as missing:
        return {"no_model": missing.message}
    plan = prompts.prompt(reader.session, said, wish, count=model.count, window=model.window)
    extra = 0
    if wish.cards:
        # Asking for cards alone costs this on top, at most twice; it is reserved as far as the budget goes.
        asked = prompts.cards_prompt(reader.session, said, wish, count=model.count, window=model.window)
        extra = asked.tokens + asked.output
    return {"plan": plan, "wish": wish, "extra": extra}


def ending(reader: Reader, _command: Command) -> Mapping[str, Any]:
    """What the running reply has written, for who cuts it."""
    turn = reader.session.data["active_turn"]
    text = reader.text(turn) if turn else ""
    return {"text": text, "counted": _count(reader, text)}


def reporting(reader: Reader, command: Command) -> Mapping[str, Any]:
    """An own count of the reply, for a report that says nothing of its cost."""
    assert isinstance(command, ReportTurn)
    return {"counted": _count(reader, command.text)}


def modelled(reader: Reader, _command: Command) -> Mapping[str, Any]:
    """Whether a model could answer."""
    return {"model": answerable(reader.session, reader.installed["models"])}


def answerable(session: Session, models: Any) -> bool:
    """Whether a model could answer one more message: there is one, and the session has messages and tokens left."""
    try:
        model = models.get()
    except errors.ModelNotConfigured:
        return False
    data = session.data
    if data["active_turn"] is not None:
        return True
    if data["sent"] >= MAX_MESSAGES:
        return False
    free = Budget(data["budget"], data["spent"], data["reserved"]).free
    if free >= model.window:  # no prompt and its answer are longer: nothing needs to be counted
        return True
    plan = prompts.prompt(session, prompts.history(session), Wish(), count=model.count, window=model.window)
    return free >= plan.tokens + plan.output


def _count(reader: Reader, text: str) -> int:
    try:
        return int(reader.installed["models"].get().count(text))
    except errors.ModelNotConfigured:
        return -(-len(text.encode("utf-8", "surrogatepass")) // 3)


FACTS: Mapping[str, Callable[[Reader, Command], Mapping[str, Any]]] = {
    "create": creating,
    "send_message": sending,
    "retry_turn": retrying,
    "dismiss_crisis": retrying,
    "cancel_turn": ending,
    "abandon": ending,
    "commit": ending,
    "report_turn": reporting,
    "advance": modelled,
    "add_option": modelled,
}
