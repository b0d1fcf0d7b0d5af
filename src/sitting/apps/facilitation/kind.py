"""The kind `facilitation`: one meeting of a team, from a draft to the reveal.

Each member writes alone; nobody sees anything of it before the facilitator reveals the whole at once. What was handed
in is sealed when capture is closed, so that anybody can check afterwards that what is shown is what was sealed.
"""

from __future__ import annotations

from datetime import datetime

from ...core.actor import ADMIN
from ...core.event import from_text
from ...core.kind import Due, Kind
from ...core.session import Session
from . import telling, terms, views, work
from .commands import OFFERED, Close, Reveal, Start
from .decide import decide
from .facts import FACTS
from .fold import fold
from .lifecycle import LIFECYCLE
from .terms import CAPTURING, CLOSED, COMPLETE, DRAFT, FACILITATOR


def due(session: Session) -> Due | None:
    """What happens of itself: a start, a close at the deadline, a reveal once there is something to reveal."""
    data = session.data
    if session.state == DRAFT and data["settings"]["auto_start"]:
        at: datetime | None = session.created_at
        return Due(Start(), at) if at is not None else None
    if session.state == CAPTURING and data["timer"] is not None and data["timer"]["close_at_end"]:
        return Due(Close(), from_text(data["timer"]["ends_at"]))
    if session.state == CLOSED and data["settings"]["auto_reveal"] and data["synthesis"]["status"] == COMPLETE:
        return Due(Reveal(), from_text(data["synthesis"]["completed_at"]))
    return None


FACILITATION = Kind(
    name=terms.FACILITATION,
    label="Facilitation",
    description="A team captures in private, seals what it wrote, and sees the whole at once.",
    lifecycle=LIFECYCLE,
    commands={command.verb: command for command in OFFERED},
    decide=decide,
    fold=fold,
    audience=views.audience,
    view=views.view,
    tell=telling.tell,
    due=due,
    facts=FACTS,
    work={terms.SYNTHESIZE: work.synthesize},
    interrupted={terms.SYNTHESIZE: work.interrupted},
    standing={ADMIN: FACILITATOR},
    inherits=True,
    erased_with_subject=True,
    minting=frozenset({"claim"}),
    title=views.title,
    final=views.final,
    search=views.search,
    exports=telling.exports,
    parts=telling.parts,
    needs=views.needs,
)
