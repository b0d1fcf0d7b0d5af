"""Whether the arithmetic of the capacity page holds: many sessions played in simulated time, counted, and compared.

Nothing real runs here. A session is a person who writes, waits for an answer that is streamed, reads and writes again,
with followers who watch. The page multiplies averages; the simulation draws every think time, answer and arrival.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bench.measure import Row, at_most
from sitting.workroom import FLUSH_SECONDS

SESSIONS = 20_000
MINUTES = 20
SEED = 7


@dataclass(frozen=True)
class Habit:
    """How people use a session: averages, as the capacity page has them."""

    think_seconds: float = 50.0
    answer_seconds: float = 10.0
    events_a_message: int = 2  # what was sent, what was answered
    texts_a_second: float = 1 / FLUSH_SECONDS  # pieces of a running answer that are stored and told, at most
    followers: int = 2


@dataclass(frozen=True)
class Load:
    """What so many sessions ask of an installation, a second."""

    appends: float
    texts: float
    deliveries: float
    running_turns: float


def arithmetic(sessions: int, habit: Habit) -> Load:
    """The page's formulas: a cycle is thinking and answering."""
    cycles = sessions / (habit.think_seconds + habit.answer_seconds)
    turns = cycles * habit.answer_seconds
    appends, texts = cycles * habit.events_a_message, turns * habit.texts_a_second
    return Load(appends, texts, (appends + texts) * habit.followers, turns)


def played(sessions: int, habit: Habit, *, minutes: int, seed: int) -> tuple[Load, float]:
    """The same from single sessions, think times exponential, answers gamma; and the busiest second's appends."""
    dice = random.Random(seed)
    end = minutes * 60.0
    warm = end / 2
    due = [(dice.expovariate(1 / habit.think_seconds), number) for number in range(sessions)]
    heapq.heapify(due)
    appends: Counter[int] = Counter()
    texts = busy = 0.0
    while due:
        at, number = heapq.heappop(due)
        if at >= end:
            continue
        answer = dice.gammavariate(4, habit.answer_seconds / 4)
        for moment in (at, at + answer):
            if warm <= moment < end:
                appends[int(moment)] += 1
        overlap = max(0.0, min(end, at + answer) - max(warm, at))
        busy += overlap
        texts += overlap * habit.texts_a_second
        heapq.heappush(due, (at + answer + dice.expovariate(1 / habit.think_seconds), number))
    seconds = end - warm
    rate = sum(appends.values()) / seconds
    load = Load(rate, texts / seconds, (rate + texts / seconds) * habit.followers, busy / seconds)
    return load, max(appends.values())


def rows() -> Iterator[Row]:
    """How far the formulas are from the play."""
    habit = Habit()
    expected = arithmetic(SESSIONS, habit)
    found, peak = played(SESSIONS, habit, minutes=MINUTES, seed=SEED)
    for name in ("appends", "texts", "deliveries", "running_turns"):
        said, seen = getattr(expected, name), getattr(found, name)
        of = f"{said:,.0f} by arithmetic, {seen:,.0f} played"
        yield at_most(f"{name.replace('_', ' ')} off by, {SESSIONS:,} sessions", abs(seen / said - 1), 0.05, of)
    yield at_most("busiest second / average, appends", peak / found.appends, 1.5, f"{peak:,.0f} in one second")
