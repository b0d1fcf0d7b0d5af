"""What is promised of the time on a quiet machine, measured on one that does other things too."""

from __future__ import annotations

from collections.abc import Callable


def quickest(take: Callable[[], float], *, below: float, rounds: int = 5) -> float:
    """The seconds something takes in the quietest of some rounds. The first that is quick enough is the last."""
    best = take()
    for _ in range(rounds - 1):
        if best < below:
            break
        best = min(best, take())
    return best
