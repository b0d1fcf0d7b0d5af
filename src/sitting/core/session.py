"""One run of a kind, as folded from its journal.

`data` is small (64 KiB of JSON at most); `items` holds collections (`sources`, `members`) whose elements are stored
one row each and written only when changed. Both are plain JSON values. Every change returns a new session.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .event import Event

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:_.-]{0,127}")
MAX_DATA_BYTES = 64 * 1024


@dataclass(frozen=True)
class Session:
    """Identity, state, position and folded data. `seq` is 0 and `state` empty before creation."""

    id: str
    kind: str
    space: str
    state: str = ""
    seq: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)
    items: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    key: str | None = None
    subject: str | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    epoch: int = 1

    def to(self, state: str) -> Session:
        """The session in another state."""
        return self._with(state=state)

    def set(self, **changes: Any) -> Session:
        """The session with some of its data changed."""
        return self._with(data={**self.data, **changes})

    def collection(self, name: str) -> Mapping[str, Any]:
        """The elements of one collection by id, empty when there are none."""
        return self.items.get(name, {})

    def put(self, collection: str, id: str, value: Mapping[str, Any]) -> Session:
        """The session with one element added or changed."""
        return self._with(items={**self.items, collection: {**self.collection(collection), id: value}})

    def drop(self, collection: str, id: str) -> Session:
        """The session without one element; no error when it is not there."""
        rest = {key: value for key, value in self.collection(collection).items() if key != id}
        return self._with(items={**self.items, collection: rest})

    def after(self, event: Event) -> Session:
        """The session moved on by one event's place and time, before the kind folds its content."""
        return self._with(seq=event.seq, created_at=self.created_at or event.at, updated_at=event.at)

    def _with(self, **changes: Any) -> Session:
        """`dataclasses.replace` without its checks, which cost more than the rest of a small fold."""
        changed = object.__new__(Session)
        changed.__dict__.update(self.__dict__)
        changed.__dict__.update(changes)
        return changed

    @property
    def position(self) -> str:
        """The position on the wire, `<epoch>.<seq>`."""
        return f"{self.epoch}.{self.seq}"
