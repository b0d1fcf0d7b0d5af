"""How much time and how many tokens an interview has left: one function for each figure, used by every answer.

Instants are whole milliseconds since 1970 in the folded data, durations whole milliseconds. `active` is the sum of the
closed active intervals, `running` the start of the open one; so pauses never count, and nothing is subtracted twice.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from ...core.budget import Budget
from ...core.event import to_text
from ...core.kind import Due
from ...core.session import Session
from .commands import End, Expire, Warn
from .terms import PAUSE_LIMIT_MS, THRESHOLDS

_START = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def ms(at: datetime) -> int:
    """An aware time as whole milliseconds since 1970, cut not rounded."""
    return (at - _START) // _MS


def at(instant: int) -> datetime:
    """The reverse of `ms`."""
    return _START + instant * _MS


def text(instant: int | None) -> str | None:
    """An instant as people and programs read it, or None."""
    return None if instant is None else to_text(at(instant))


def active_ms(session: Session, now: datetime) -> int:
    """Milliseconds the session has been active; they stand still while it is paused and once it has ended."""
    running = session.data.get("running")
    open_interval = 0 if running is None else max(0, ms(now) - int(running))
    return int(session.data.get("active", 0)) + open_interval


def paused_ms(session: Session, now: datetime) -> int:
    """Milliseconds the session has been paused, an open pause included."""
    paused = session.data.get("paused")
    open_pause = 0 if paused is None else max(0, ms(now) - int(paused))
    return int(session.data.get("paused_total", 0)) + open_pause


def limit_ms(session: Session) -> int:
    """The time limit, extensions included."""
    return int(session.data.get("time_limit", 0)) * 1000


def remaining_ms(session: Session, now: datetime) -> int:
    """Milliseconds of active time left."""
    return max(0, limit_ms(session) - active_ms(session, now))


def time_remaining(session: Session, now: datetime) -> int:
    """Seconds of active time left, rounded up: 0 only when the time is up."""
    return -(-remaining_ms(session, now) // 1000)


def budget(session: Session) -> Budget:
    """The tokens: limit, used and reserved."""
    data = session.data
    return Budget(int(data.get("token_budget", 0)), tokens_used(session), int(data.get("reserved", 0)))


def tokens_used(session: Session) -> int:
    """Tokens charged so far, input and output."""
    return int(session.data.get("input_tokens", 0)) + int(session.data.get("output_tokens", 0))


def tokens_left(session: Session) -> int:
    """Tokens neither used nor reserved."""
    return budget(session).free


def crossed(left: int, limit: int) -> list[int]:
    """The thresholds, in percent, that what is left has reached."""
    return [threshold for threshold in THRESHOLDS if left * 100 <= threshold * limit]


def _unspent(session: Session) -> int:
    """Tokens not used. A reservation does not count here: it would ring for what is mostly given back."""
    held = budget(session)
    return max(0, held.limit - held.used)


def time_crossed(session: Session, now: datetime) -> list[int]:
    """The thresholds of time that have been reached."""
    return crossed(remaining_ms(session, now), limit_ms(session))


def tokens_crossed(session: Session) -> list[int]:
    """The thresholds of tokens that have been reached."""
    return crossed(_unspent(session), int(session.data.get("token_budget", 0)))


def _level(reached: list[int]) -> str:
    return ("normal", "warning", "critical", "urgent")[len(reached)]


def levels(session: Session, now: datetime) -> dict[str, str]:
    """How far down time and tokens are, in words."""
    spent = not _unspent(session)
    return {
        "time": "expired" if not remaining_ms(session, now) else _level(time_crossed(session, now)),
        "tokens": "exhausted" if spent else _level(tokens_crossed(session)),
    }


def estimated_queries_left(session: Session) -> int | None:
    """How many more exchanges the free tokens allow, going by the mean and the last one; None before the first."""
    exchanges: dict[str, Any] = session.data.get("exchanges") or {}
    if not exchanges.get("count"):
        return None
    total, count, last = exchanges["sum"], exchanges["count"], exchanges["last"]
    free = tokens_left(session)
    # The larger of the mean and the last one, without leaving whole numbers.
    return int(min(free * count // max(total, 1), free // max(last, 1)))


def expires_at(session: Session) -> int | None:
    """The instant at which the limit is reached if nothing else happens; None while the clock stands."""
    running = session.data.get("running")
    return None if running is None else int(running) + limit_ms(session) - int(session.data.get("active", 0))


def due(session: Session) -> Due | None:
    """The next thing the clock will ask for: a warning, the end of the time, or the end of a pause too long."""
    if session.state == "paused" and session.data.get("paused") is not None:
        return Due(End(), at(int(session.data["paused"]) + PAUSE_LIMIT_MS))
    end = expires_at(session)
    if session.state != "active" or end is None:
        return None
    told = session.data.get("time_warned", ())
    for threshold in THRESHOLDS:
        if threshold not in told:
            return Due(Warn(), at(end - limit_ms(session) * threshold // 100))
    return Due(Expire(), at(end))
