"""The kind `interview`: its table of moves, and what it is made of.

A candidate solves a challenge with the help of a language model, under a time limit and a token budget that both sides
see. The interviewer watches, may pause, extend or end, and later judges with evidence from the transcript.
"""

from __future__ import annotations

from ...core.actor import MEMBER, SYSTEM
from ...core.kind import Command, Kind
from ...core.lifecycle import CREATE, ERASE, Lifecycle, Move
from . import clock, judging, turns, views, work
from .commands import OFFERED, CancelTurn, RecordEvidence, RecordReply
from .decide import decide
from .facts import FACTS
from .fold import fold
from .refusals import refuse
from .terms import CANDIDATE, EVERY, FINAL, INTERVIEWER, LIVE, VISITOR, SessionStatus

_STAFF = (INTERVIEWER,)
_ACTIVE, _RUNNING = ("active",), ("active", "paused")

LIFECYCLE = Lifecycle(
    tuple(SessionStatus),
    (
        Move(CREATE, (), (MEMBER,), ("created",)),
        Move("update", LIVE, _STAFF, opening="Cannot update session."),
        Move("start", ("created",), (INTERVIEWER, CANDIDATE), ("active",), opening="Cannot start session."),
        Move("pause", _ACTIVE, _STAFF, ("paused",), opening="Cannot pause session."),
        Move("resume", ("paused",), _STAFF, ("active",), opening="Cannot resume session."),
        Move("end", ("created",), _STAFF, ("completed",), opening="Cannot end session."),
        Move("end", _ACTIVE, (INTERVIEWER, CANDIDATE), ("completed",), opening="Cannot end session."),
        Move("end", ("paused",), (INTERVIEWER, CANDIDATE, SYSTEM), ("completed",), opening="Cannot end session."),
        Move("expire", _ACTIVE, (SYSTEM,), ("expired",)),
        Move("extend_time", LIVE, _STAFF, opening="Cannot extend time."),
        Move("extend_tokens", LIVE, _STAFF, opening="Cannot extend tokens."),
        Move("join", LIVE, (VISITOR, CANDIDATE), opening="Cannot join session."),
        Move("send_message", _ACTIVE, (CANDIDATE,)),
        Move("retry_turn", _ACTIVE, (CANDIDATE,)),
        Move("cancel_turn", _RUNNING, (CANDIDATE, INTERVIEWER, SYSTEM)),
        Move("record_reply", _RUNNING, (SYSTEM,)),
        Move("warn", _RUNNING, (SYSTEM,)),
        Move("rotate_link", EVERY, _STAFF),
        Move("revoke_link", EVERY, _STAFF),
        Move("add_interviewer", EVERY, _STAFF),
        Move("remove_interviewer", EVERY, _STAFF),
        Move("add_note", EVERY, _STAFF),
        Move("change_note", EVERY, _STAFF),
        Move("remove_note", EVERY, _STAFF),
        Move("save_scores", (*_RUNNING, *FINAL), _STAFF, opening="Cannot save scores."),
        Move("submit_scorecard", FINAL, _STAFF, opening="Cannot submit scorecard."),
        Move("amend_scorecard", FINAL, _STAFF, opening="Cannot amend scorecard."),
        Move("propose_evidence", FINAL, _STAFF, opening="Cannot propose evidence."),
        Move("cancel_evidence", FINAL, _STAFF),
        Move("record_evidence", FINAL, (SYSTEM,)),
        Move("mark_integrity", _ACTIVE, (CANDIDATE,)),
        Move(ERASE, ("created", *FINAL), _STAFF, opening="Cannot delete session."),
    ),
    final=FINAL,
    refuse=refuse,
)


def _reply_interrupted(job: str, text: str, reason: str) -> Command:
    """A reply nobody goes on with: cut when somebody stopped it, else failed, with the part that was seen."""
    if reason == "cancelled":
        return CancelTurn(turn=job)
    match reason:
        case "MODEL_TIMEOUT":
            why = RecordReply(turn=job, text=text, reason="timeout")
        case "MODEL_FAILED":
            why = RecordReply(turn=job, text=text, reason="provider")
        case _:
            why = RecordReply(turn=job, text=text, reason="interrupted")
    return why


def _evidence_interrupted(job: str, _text: str, reason: str) -> Command:
    return RecordEvidence(job=job, reason=reason[:40] or "failed")


KIND = Kind(
    name="interview",
    label="Interview",
    description="A candidate solves a challenge with a model's help, under limits both sides see.",
    lifecycle=LIFECYCLE,
    commands={command.verb: command for command in OFFERED},
    decide=decide,
    fold=fold,
    audience=views.audience,
    view=views.view,
    tell=views.tell,
    due=clock.due,
    closed=views.closed,
    facts=FACTS,
    work={turns.REPLY: work.reply, judging.EVIDENCE: work.propose_evidence},
    interrupted={turns.REPLY: _reply_interrupted, judging.EVIDENCE: _evidence_interrupted},
    standing={"admin": INTERVIEWER},
    minting=frozenset({"join", "rotate_link"}),
    title=views.title,
    meters=views.meters,
    final=views.final,
    search=views.search,
    exports=views.exports,
    parts=views.parts,
    owner=INTERVIEWER,
    needs=views.needs,
)
