"""What time it is: wall time read once, then advanced monotonically; a step of the system's clock changes nothing."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time; tests bring one that stands still."""

    def now(self) -> datetime:
        """Aware UTC, never going backwards."""


class SystemClock:
    """The time of this process."""

    def __init__(self) -> None:
        self._wall = datetime.now(UTC)
        self._start = time.monotonic()

    def now(self) -> datetime:
        return self._wall + timedelta(seconds=time.monotonic() - self._start)
