"""What time it is: wall time read once, then counted on; a step of the system's clock changes nothing.

What is counted goes on while the machine sleeps. `time.monotonic` does not, on Linux and on macOS: after a night a
laptop would be a night late with every deadline.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

# Linux has a clock of its own for this; macOS's CLOCK_MONOTONIC is one; on Windows time.monotonic is.
_SLEEPLESS: int | None = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
APART_SECONDS = 2.0  # between this clock and a shared database's; a lease holds for five times as long


class Clock(Protocol):
    """Anything that tells the time; tests bring one that stands still."""

    def now(self) -> datetime:
        """Aware UTC, never going backwards."""


class SystemClock:
    """The time of this process."""

    def __init__(self) -> None:
        self._wall = datetime.now(UTC)
        self._start = _seconds()

    def now(self) -> datetime:
        return self._wall + timedelta(seconds=_seconds() - self._start)


def _seconds() -> float:
    return time.monotonic() if _SLEEPLESS is None else time.clock_gettime(_SLEEPLESS)
