"""Immutable facts.

`data` is kept for ever and holds no personal text; `personal` maps an owner to that owner's content and can be erased,
after which the part is None. Limits: a type matches `[A-Za-z][A-Za-z0-9_]{0,63}`; an event is at most 256 KiB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
OWNER = re.compile(r"[A-Za-z0-9:_.-]{1,128}")
COPIED = "session:"  # begins the owner of what was copied from another session, and goes when that one is erased
MAX_EVENT_BYTES = 256 * 1024


@dataclass(frozen=True)
class Fact:
    """What a kind decides has happened; the engine makes it an event."""

    type: str
    data: Mapping[str, Any] = field(default_factory=dict)
    personal: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """A fact with its place in the journal. `personal[owner]` is None once erased."""

    seq: int
    type: str
    actor: str
    role: str
    at: datetime
    data: Mapping[str, Any]
    personal: Mapping[str, Any] = field(default_factory=dict)

    def part(self, owner: str) -> Mapping[str, Any]:
        """The owner's content, or an empty mapping when there is none or it was erased."""
        content = self.personal.get(owner)
        return content if isinstance(content, Mapping) else {}


def to_text(at: datetime) -> str:
    """An aware time as `2026-01-31T12:00:00.000Z`: UTC, milliseconds, cut not rounded."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds")[:23] + "Z"


def from_text(text: str) -> datetime:
    """The reverse of `to_text`."""
    return datetime.fromisoformat(text)


def milliseconds(at: datetime) -> datetime:
    """The time cut to whole milliseconds, which is all a journal keeps."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
