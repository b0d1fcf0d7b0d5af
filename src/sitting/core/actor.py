"""Who asks. An actor is an opaque id with a prefix that says what it is: `user:`, `guest:` or `system:`."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime

from .. import errors

ACTOR = re.compile(r"(user|guest|system):[A-Za-z0-9_-]{1,64}")
MEMBER, ADMIN, SYSTEM, GUEST = "member", "admin", "system", "guest"


@dataclass(frozen=True)
class Actor:
    """The one who asks, as the edge has proved it.

    `space` is where a user belongs; `roles` are the user's roles in that space; `credentials` are names of further
    proofs the request carries (`link:<sha256>`), each of which may hold a grant of its own; `scopes` is what the proof
    is good for: `*` everything, `read` no change. The edge holds to it; roles know nothing of it. `until` is when the
    proof ends by itself; it makes nobody another.
    """

    id: str
    space: str = ""
    roles: frozenset[str] = field(default_factory=frozenset)
    credentials: tuple[str, ...] = ()
    scopes: frozenset[str] = frozenset({"*"})
    until: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not ACTOR.fullmatch(self.id):
            raise errors.Misuse(f"Not an actor id: {self.id!r}")

    @property
    def is_user(self) -> bool:
        return self.id.startswith("user:")

    @property
    def may_write(self) -> bool:
        return "*" in self.scopes

    @property
    def is_system(self) -> bool:
        return self.id.startswith("system:")


def guest(token: str, *, credentials: tuple[str, ...] = ()) -> Actor:
    """The guest who holds this cookie token; the id is all that is ever stored of it."""
    return Actor("guest:" + hashlib.sha256(token.encode()).hexdigest()[:40], credentials=credentials)


CLOCK = Actor("system:clock")
WORKER = Actor("system:worker")
