"""A session as one line of a list, and where its page is."""

from __future__ import annotations

from typing import Any

from ..core.actor import MEMBER
from ..core.event import to_text
from ..core.kind import Kind
from ..core.lifecycle import CREATE
from ..engine import Seen
from ..installation import Installation
from .forms import label


def title(kind: Kind) -> str:
    """What people call a kind."""
    return kind.label or label(kind.name)


def address(installation: Installation, kind: str, id: str) -> str:
    """The page of a session: its application's own, else the generic one."""
    return own_page(installation, kind, id) or f"/sessions/{id}"


def own_page(installation: Installation, kind: str, id: str) -> str:
    """The application's own page of a session, empty without one."""
    app = installation.app_of(kind)
    return app.pages[kind].format(id=id) if app is not None and kind in app.pages else ""


def card(installation: Installation, seen: Seen) -> dict[str, Any]:
    """What a list shows of a session."""
    session = seen.session
    kind = installation.kinds[session.kind]
    return {
        "id": session.id,
        "kind": kind.name,
        "kind_title": title(kind),
        "title": kind.title(session),
        "state": session.state,
        "url": address(installation, kind.name, session.id),
        "updated_at": to_text(session.updated_at or seen.now),
        "needs": kind.needs(session, seen.audience),
    }


def can_create(kind: Kind) -> bool:
    """Whether people make sessions of this kind, not only the system or another session."""
    return MEMBER in kind.lifecycle.move("", CREATE).roles and CREATE not in kind.minting
