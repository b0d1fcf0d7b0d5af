"""Sessions in memory, and who is who in them.

A held session is used again only when its version is still the stored one, which the transaction at hand has just
read; so memory is never trusted, and any number of processes may write.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from datetime import datetime
from threading import Lock

from . import errors
from .core.actor import SYSTEM, Actor
from .core.kind import Kind
from .core.session import ID
from .store import sessions
from .store.sessions import Held
from .store.transaction import Tx

CACHED_SESSIONS = 2048
MAX_SUBJECTS = 8  # how far a role is inherited, also where sessions are about each other in a circle


class Holding:
    """The sessions one engine has at hand."""

    def __init__(self, kinds: Mapping[str, Kind], *, epoch: int) -> None:
        self.kinds = kinds
        self.epoch = epoch
        self._cache: OrderedDict[str, Held] = OrderedDict()
        self._lock = Lock()

    def get(self, tx: Tx, id: str) -> Held:
        """The session as stored: from memory when its version is still the stored one. Raises NotFound."""
        version = sessions.version(tx, id) if ID.fullmatch(id) else None
        if version is None:
            raise errors.NotFound()
        held: Held | None = tx.staged.get(id) or self._cache.get(id)
        if held is None or held.version != version:
            held = sessions.load(tx, id, epoch=self.epoch)
            assert held is not None, "its version was just read in this transaction"
            if held.session.kind not in self.kinds:
                raise errors.NotFound()
            if not tx.staged:
                self.remember(held)
        if held.erased:
            raise errors.NotFound()
        return held

    def remember(self, held: Held) -> None:
        """Keep a committed session, unless a newer version is kept already."""
        with self._lock:
            known = self._cache.pop(held.session.id, held)
            self._cache[held.session.id] = max(held, known, key=lambda one: one.version)
            if len(self._cache) > CACHED_SESSIONS:
                self._cache.popitem(last=False)

    def role(self, tx: Tx, kind: Kind, held: Held, actor: Actor, now: datetime) -> str:
        """The actor's role in a session. Raises NotFound when there is none, as for a session that does not exist."""
        role = self.role_or_none(tx, kind, held, actor, now)
        if role is None:
            raise errors.NotFound()
        return role

    def role_or_none(self, tx: Tx, kind: Kind, held: Held, actor: Actor, now: datetime) -> str | None:
        """An own grant, else a credential's, else the standing in the space, else the role in the subject."""
        if actor.is_system:
            return SYSTEM
        for _ in range(MAX_SUBJECTS):
            session = held.session
            if actor.is_user and actor.space != session.space:
                return None
            role = _own_role(kind, held, actor, now)
            if role is not None or not (kind.inherits and session.subject):
                return role
            try:
                held = self.get(tx, session.subject)
            except errors.NotFound:
                return None
            kind = self.kinds[held.session.kind]
        return None


def _own_role(kind: Kind, held: Held, actor: Actor, now: datetime) -> str | None:
    for grantee in (actor.id, *actor.credentials):
        role, until = held.grants.get(grantee, (None, None))
        if role is not None and (until is None or until > now):
            return role
    if actor.is_user:
        for space_role, role in kind.standing.items():
            if space_role in actor.roles:
                return role
    return None
