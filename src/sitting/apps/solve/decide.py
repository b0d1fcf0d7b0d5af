"""What follows from each command: opening a session, its steps, its choice, its end, and what comes after."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ... import errors
from ...core.event import Fact, from_text, to_text
from ...core.kind import Ask, Charge, Decision, Due, Erase, Grant
from ...core.session import Session
from . import gates, refusals, replies
from .commands import (
    Abandon,
    AddOption,
    Advance,
    AdvanceTo,
    ChooseOption,
    Commit,
    CompleteAction,
    ContestStep,
    CorrectBelief,
    Create,
    Export,
    Remind,
    Reopen,
    UncompleteAction,
    Update,
)
from .draft import Draft
from .facts import opened, quota_account, quota_over
from .fold import title
from .terms import (
    BY_CHOICE,
    BY_FORM,
    BY_OWNER,
    OWN_CARD,
    OWNER,
    SLOTS,
    TURN,
    EventType,
    SessionStatus,
    SolveStep,
)

_NO_LIMIT = 2**53
_OWN_EFFORT = "medium"


def decide(ask: Ask) -> Decision:
    """What follows from a command, or a refusal."""
    return _DECISIONS[ask.command.verb](ask, ask.command)


def due(session: Session) -> Due | None:
    """The reminder of a completed session; the end of one that nobody goes on with."""
    data = session.data
    if session.state == SessionStatus.COMPLETED and data["reminder_time"] and not data["reminder_sent_at"]:
        return None if data["action_completed"] else Due(Remind(), from_text(data["reminder_time"]))
    if session.state == SessionStatus.ACTIVE and data["idle_days"]:
        return Due(Abandon(), from_text(data["last_message_at"]) + timedelta(days=data["idle_days"]))
    return None


def create(ask: Ask, command: Create) -> Decision:
    """An open session, counted in the same transaction."""
    known, settings = ask.known, ask.known["settings"]
    rate = opened(ask.actor, settings, ask.now)
    if known["created"] >= rate.limit:
        raise rate.refusal
    limit = settings.solve_quota_limit
    usage = {
        "sessions_used": known["used"] + 1,
        "sessions_limit": limit,
        "tier": "unlimited" if limit is None else settings.solve_quota_tier,
    }
    exceeded = refusals.QuotaExceeded(usage={**usage, "sessions_used": max(known["used"], limit or 0)})
    if limit is not None and known["used"] >= limit:
        raise exceeded
    most = _NO_LIMIT if limit is None else limit
    period = settings.solve_quota_period
    charges = (
        rate,
        Charge(quota_account(ask.actor.space, period, ask.now), 1, most, exceeded, until=quota_over(period, ask.now)),
    )
    data = {
        "locale": command.locale or "en",
        "usage": usage,
        "budget": settings.solve_token_budget,
        "idle_days": settings.solve_abandon_days,
    }
    said = {"title": command.title, "tags": command.tags or []}
    fact = Fact(EventType.CREATED, data, {OWNER: said, **known["carried"]})
    return Decision((fact,), charges=charges, grants=(Grant(ask.actor.id, OWNER),), id=ask.uuid("session"))


def advance(ask: Ask, command: Advance) -> Decision:
    """The owner goes on. That takes an answer of substance, and to commit a choice."""
    data = ask.session.data
    following = gates.following(data["step"])
    if following is None or (isinstance(command, AdvanceTo) and command.step != following):
        raise refusals.InvalidStepTransition(current_step=data["step"], unmet=[gates.CURRENT_STEP])
    _free(ask.session)
    unmet = gates.unmet(ask.session, model=ask.known["model"])
    if unmet:
        raise refusals.InvalidStepTransition(current_step=data["step"], unmet=unmet)
    draft = Draft(ask)
    move = {"from": data["step"], "to": following, "by": BY_OWNER, "evidence": data["substance"]}
    draft.add(EventType.STEP_ADVANCED, move)
    return draft.decision()


def contest_step(ask: Ask, command: ContestStep) -> Decision:
    """Take the last move back, once, while nothing has come after it."""
    moved = ask.session.data["moved"]
    if moved is None or moved["seq"] != ask.session.seq:
        raise refusals.NothingToContest()
    draft = Draft(ask)
    back = {"from": moved["to"], "to": moved["from"]}
    draft.add(EventType.STEP_CONTESTED, back, {"reason": command.reason} if command.reason else None)
    return draft.decision()


def choose_option(ask: Ask, command: ChooseOption) -> Decision:
    """The owner chooses a card."""
    _at(ask.session, SolveStep.OPTIONS)
    if command.option_id not in ask.session.collection("card"):
        raise refusals.OptionNotFound()
    _free(ask.session)
    draft = Draft(ask)
    _choose(draft, command.option_id)
    return draft.decision()


def add_option(ask: Ask, command: AddOption) -> Decision:
    """An own card, chosen at once. Where no model gives any others it does alone."""
    _at(ask.session, SolveStep.OPTIONS)
    if not gates.own_card(ask.session, model=ask.known["model"]):
        raise refusals.WrongStep("There are no cards yet.", current_step=ask.session.data["step"])
    _free(ask.session)
    draft = Draft(ask)
    card = {"id": OWN_CARD, "title": command.title, "actions": command.actions}
    draft.add(EventType.OPTION_ADDED, {}, {"card": {**card, "pros": [], "cons": [], "effort": _OWN_EFFORT}})
    _choose(draft, OWN_CARD)
    return draft.decision()


def _choose(draft: Draft, id: str) -> None:
    data = draft.session.data
    draft.add(EventType.OPTION_CHOSEN, {"option_id": id, "version": data["version"], "by": BY_FORM})
    move = {"from": SolveStep.OPTIONS.value, "to": SolveStep.COMMIT.value, "by": BY_CHOICE, "evidence": []}
    draft.add(EventType.STEP_ADVANCED, move)


def correct_belief(ask: Ask, command: CorrectBelief) -> Decision:
    """What the owner says is so; no model overrides it."""
    if command.slot not in SLOTS:
        raise refusals.SlotNotFound()
    draft = Draft(ask)
    draft.add(EventType.BELIEF_CORRECTED, {"slot": command.slot}, {"text": command.text})
    return draft.decision()


def commit(ask: Ask, command: Commit) -> Decision:
    """The owner commits by form; a reply that is being written is cut."""
    _at(ask.session, SolveStep.COMMIT)
    reminder = command.reminder_time and _reminder(ask, command.reminder_time)
    draft = Draft(ask)
    replies.stop(draft, by=ask.role)
    kept = reminder or (None if "reminder_time" in command.model_fields_set else ask.session.data["reminder_time"])
    promise = {
        "first_step_action": command.first_step_action,
        "reminder_time": kept,
        "confidence": command.confidence,
    }
    draft.add(EventType.COMMITTED, {"by": BY_FORM}, promise)
    draft.add(EventType.COMPLETED)
    return draft.decision(cancel=(TURN,))


def update(ask: Ask, command: Update) -> Decision:
    """Change what is named; nothing is stored when nothing changes."""
    wished = {name: getattr(command, name) for name in sorted(command.model_fields_set)}
    data = ask.session.data
    if "locale" in wished or "first_step_action" in wished:
        if ask.session.state == SessionStatus.COMPLETED:
            raise refusals.SessionCompleted()
        if ask.session.state == SessionStatus.ABANDONED:
            raise refusals.SessionAbandoned()
    if "first_step_action" in wished:
        _at(ask.session, SolveStep.COMMIT)
    if wished.get("reminder_time") is not None:
        wished["reminder_time"] = _reminder(ask, wished["reminder_time"])
    present = {**data, "title": title(ask.session)}
    changes = {name: [present[name], value] for name, value in wished.items() if present[name] != value}
    if not changes:
        return Decision()
    draft = Draft(ask)
    draft.add(EventType.UPDATED, {"fields": list(changes)}, {"changes": changes})
    return draft.decision()


def abandon(ask: Ask, _command: Abandon) -> Decision:
    """Give up; a reply that is being written is cut."""
    draft = Draft(ask)
    replies.stop(draft, by=ask.role)
    draft.add(EventType.ABANDONED, {"reason": "owner" if ask.role == OWNER else "idle"})
    return draft.decision(cancel=(TURN,))


def reopen(ask: Ask, _command: Reopen) -> Decision:
    """Go on after all; it was counted when it was opened."""
    return Decision((Fact(EventType.REOPENED),))


def complete_action(ask: Ask, command: CompleteAction) -> Decision:
    """The first step is done; said twice, it is done once."""
    data = ask.session.data
    if data["action_completed"] and command.outcome in (None, data["outcome"]):
        return Decision()
    draft = Draft(ask)
    draft.add(EventType.ACTION_COMPLETED, {}, {"outcome": command.outcome})
    return draft.decision()


def uncomplete_action(ask: Ask, _command: UncompleteAction) -> Decision:
    """The first step is not done after all."""
    return Decision((Fact(EventType.ACTION_UNCOMPLETED),)) if ask.session.data["action_completed"] else Decision()


def export(ask: Ask, command: Export) -> Decision:
    """A copy was taken."""
    return Decision((Fact(EventType.EXPORTED, {"format": command.format}),))


def erase(ask: Ask, _command: Erase) -> Decision:
    """The last event: who goes on verifying the journal sees that it was deleted, and when."""
    return Decision((Fact(EventType.DELETED),))


def remind(ask: Ask, _command: Remind) -> Decision:
    """The reminder's time has come, once."""
    found = due(ask.session)
    if found is None or not isinstance(found.command, Remind) or found.at > ask.now:
        return Decision()
    draft = Draft(ask)
    draft.add(EventType.REMINDED, {}, {"reminder_time": ask.session.data["reminder_time"]})
    return draft.decision()


def _at(session: Session, step: SolveStep) -> None:
    if session.data["step"] != step:
        raise refusals.WrongStep(current_step=session.data["step"])


def _free(session: Session) -> None:
    if session.data["active_turn"] is not None:
        raise refusals.SessionBusy(turn=session.data["active_turn"])


def _reminder(ask: Ask, wished: datetime) -> str:
    if wished <= ask.now:
        raise errors.Invalid.field("reminder_time", "must be in the future")
    if wished > year_after(ask.now):
        raise errors.Invalid.field("reminder_time", "must be within a year")
    return to_text(wished)


def year_after(now: datetime) -> datetime:
    """The same day of the next year; a leap day's is the first of March."""
    return now.replace(year=now.year + 1, day=1) + timedelta(days=now.day - 1)


_DECISIONS: Mapping[str, Callable[[Ask, Any], Decision]] = {
    "create": create,
    "send_message": replies.send,
    "retry_turn": replies.retry,
    "dismiss_crisis": replies.dismiss_crisis,
    "cancel_turn": replies.cancel,
    "report_turn": replies.report,
    "advance": advance,
    "contest_step": contest_step,
    "choose_option": choose_option,
    "add_option": add_option,
    "correct_belief": correct_belief,
    "commit": commit,
    "update": update,
    "abandon": abandon,
    "reopen": reopen,
    "complete_action": complete_action,
    "uncomplete_action": uncomplete_action,
    "export": export,
    "remind": remind,
    "erase": erase,
}
