"""The table of a facilitation's moves. Start, close and reveal are the only way forward; reopen is the way back."""

from __future__ import annotations

from ...core.actor import MEMBER, SYSTEM
from ...core.lifecycle import CREATE, ERASE, Lifecycle, Move
from .refusals import refuse
from .terms import AFTER_CAPTURE, CAPTURING, CLOSED, DRAFT, FACILITATOR, PARTICIPANT, REVEALED, STATES, VISITOR

_STAFF = (FACILITATOR,)
_STAFF_OR_CLOCK = (FACILITATOR, SYSTEM)
_SYNTHESIZE = "Cannot synthesize."

LIFECYCLE = Lifecycle(
    STATES,
    (
        Move(CREATE, (), (MEMBER, SYSTEM), (DRAFT,)),
        Move("start", (DRAFT,), _STAFF_OR_CLOCK, (CAPTURING,), opening="Cannot start capturing."),
        Move("close", (CAPTURING,), _STAFF_OR_CLOCK, (CLOSED,), opening="Cannot close capture."),
        Move("reveal", (CLOSED,), _STAFF_OR_CLOCK, (REVEALED,), opening="Cannot reveal synthesis."),
        Move("reopen", AFTER_CAPTURE, _STAFF, (CAPTURING,), opening="Cannot reopen capture."),
        Move("change_month", (DRAFT,), _STAFF, opening="Cannot change month."),
        Move("claim", (CAPTURING,), (VISITOR, PARTICIPANT), opening="Cannot join."),
        Move("leave", (CAPTURING,), (PARTICIPANT,), opening="Cannot leave."),
        Move("submit", (CAPTURING,), (PARTICIPANT,), opening="Cannot submit response."),
        Move("clear", (CAPTURING,), _STAFF, opening="Cannot clear response."),
        Move("release", (CAPTURING, *AFTER_CAPTURE), _STAFF, opening="Cannot release claim."),
        Move("issue_links", (DRAFT, CAPTURING), _STAFF, opening="Cannot issue links."),
        Move("add_to_roster", (CAPTURING,), _STAFF, opening="Cannot change roster."),
        Move("remove_from_roster", (CAPTURING,), _STAFF, opening="Cannot change roster."),
        Move("set_timer", (CAPTURING,), _STAFF, opening="Cannot set timer."),
        Move("synthesize", (CLOSED,), _STAFF_OR_CLOCK, opening=_SYNTHESIZE),
        Move("retry_synthesis", AFTER_CAPTURE, _STAFF, opening=_SYNTHESIZE),
        Move("cancel_synthesis", AFTER_CAPTURE, _STAFF, opening=_SYNTHESIZE),
        Move("record_synthesis", AFTER_CAPTURE, (SYSTEM,)),
        Move("save_notes", AFTER_CAPTURE, _STAFF, opening="Cannot save notes."),
        Move("claim_authorship", (REVEALED,), (PARTICIPANT,), opening="Cannot claim authorship."),
        Move("mark_recalibration", STATES, _STAFF),
        Move("raise_anonymity", STATES, _STAFF),
        Move("forget_member", STATES, (SYSTEM,)),
        Move(ERASE, STATES, _STAFF, opening="Cannot delete session."),
    ),
    refuse=refuse,
)
