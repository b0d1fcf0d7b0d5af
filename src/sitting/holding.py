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
from .store import sessions
from .store.sessions import Held
from .store.transaction import Tx

CACHED_SESSIONS = 2048


class Holding:
    """The sessions one engine has at hand."""

    def __init__(self, kinds: Mapping[str, Kind], *, epoch: int) -> None:
        self.kinds = kinds
        self.epoch = epoch
        self._cache: OrderedDict[str, Held] = OrderedDict()
        self._lock = Lock()

    def get(self, tx: Tx, id: str) -> Held:
        """The session as stored: from memory when its version is still the stored one. Raises NotFound."""
        version = sessions.version(tx, id)
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
            known = self._cache.get(held.session.id)
            if known is None or known.version < held.version:
                self._cache[held.session.id] = held
            self._cache.move_to_end(held.session.id)
            if len(self._cache) > CACHED_SESSIONS:
                self._cache.popitem(last=False)

    def forget(self, id: str) -> None:
        """Drop a session that was erased."""
        with self._lock:
            self._cache.pop(id, None)

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
        session = held.session
        if actor.is_user and actor.space != session.space:
            return None
        for grantee in (actor.id, *actor.credentials):
            role, until = held.grants.get(grantee, (None, None))
            if role is not None and (until is None or until > now):
                return role
        if actor.is_user:
            for space_role, role in kind.standing.items():
                if space_role in actor.roles:
                    return role
        if kind.inherits and session.subject and sessions.version(tx, session.subject) is not None:
            parent = self.get(tx, session.subject)
            return self.role_or_none(tx, self.kinds[parent.session.kind], parent, actor, now)
        return None
