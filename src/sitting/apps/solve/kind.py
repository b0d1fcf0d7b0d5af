"""The kind `solve`: its table of moves, and what it is made of.

One person goes from a problem that weighs on them to one concrete first step. The model writes the replies; code
decides which step the session is in, what counts as an answer, and when the session is finished.
"""

from __future__ import annotations

from ...core.actor import MEMBER, SYSTEM
from ...core.kind import Command, Kind
from ...core.lifecycle import CREATE, ERASE, Lifecycle, Move
from . import views, work
from .commands import OFFERED, CancelTurn, ReportTurn
from .decide import decide, due
from .facts import FACTS
from .fold import fold
from .refusals import refuse
from .terms import BUDGET_EXHAUSTED, MODEL_FAILED, MODEL_OUTPUT_INVALID, MODEL_TIMEOUT, OWNER, TURN, SessionStatus

_ACTIVE, _COMPLETED, _ABANDONED = ("active",), ("completed",), ("abandoned",)
_EVERY = tuple(SessionStatus)
_OWNER, _OPERATOR = (OWNER,), (OWNER, SYSTEM)
_CODES = (MODEL_FAILED, MODEL_TIMEOUT, MODEL_OUTPUT_INVALID, BUDGET_EXHAUSTED)

LIFECYCLE = Lifecycle(
    _EVERY,
    (
        Move(CREATE, (), (MEMBER,), _ACTIVE),
        Move("send_message", _ACTIVE, _OWNER),
        Move("cancel_turn", _EVERY, _OPERATOR),
        Move("retry_turn", _ACTIVE, _OWNER),
        Move("dismiss_crisis", _ACTIVE, _OWNER),
        Move("report_turn", _ACTIVE, (SYSTEM,), ("active", "completed")),
        Move("advance", _ACTIVE, _OWNER),
        Move("contest_step", _ACTIVE, _OWNER),
        Move("choose_option", _ACTIVE, _OWNER),
        Move("add_option", _ACTIVE, _OWNER),
        Move("correct_belief", _ACTIVE, _OWNER),
        Move("commit", _ACTIVE, _OWNER, _COMPLETED),
        Move("abandon", _ACTIVE, _OPERATOR, _ABANDONED),
        Move("reopen", _ABANDONED, _OWNER, _ACTIVE),
        Move("update", _EVERY, _OWNER),
        Move("export", _EVERY, _OPERATOR),
        Move("complete_action", _COMPLETED, _OWNER),
        Move("uncomplete_action", _COMPLETED, _OWNER),
        Move("remind", _COMPLETED, (SYSTEM,)),
        Move(ERASE, _EVERY, _OPERATOR),
    ),
    final=_COMPLETED,
    refuse=refuse,
)


def _interrupted(job: str, text: str, reason: str) -> Command:
    """A reply nobody goes on with, with the part that was seen."""
    if reason == "cancelled":
        return CancelTurn(turn=job)
    if reason == "interrupted":
        return ReportTurn(turn=job, status="interrupted", text=text)
    return ReportTurn(turn=job, status="failed", text=text, code=reason if reason in _CODES else MODEL_FAILED)


KIND = Kind(
    name="solve",
    label="Solve",
    description="From a problem that weighs on you to one concrete first step, in five steps. A thinking aid.",
    lifecycle=LIFECYCLE,
    commands={command.verb: command for command in OFFERED},
    decide=decide,
    fold=fold,
    audience=views.audience,
    view=views.view,
    tell=views.tell,
    due=due,
    closed=views.closed,
    facts=FACTS,
    work={TURN: work.reply},
    interrupted={TURN: _interrupted},
    title=views.title,
    meters=views.meters,
    final=views.final,
    search=views.search,
    parts=views.parts,
    owner=OWNER,
    needs=views.needs,
)
