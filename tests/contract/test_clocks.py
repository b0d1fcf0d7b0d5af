"""Time goes on while the machine sleeps, and nobody works whose clock a shared database contradicts."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from sitting import errors
from sitting.clock import SystemClock
from sitting.config import Settings
from sitting.installation import Installation
from sitting.store import Store, dialect
from tests.support.engines import SECONDS

SHIFTED = """
CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
$$ SELECT pg_catalog.clock_timestamp() + interval '{} s' $$
"""


def test_time_goes_on_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    awake, asleep = 1000.0, 0.0
    sleepless = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    monkeypatch.setattr(time, "monotonic", lambda: awake)
    monkeypatch.setattr(time, "clock_gettime", lambda which: awake + (asleep if which == sleepless else 0))
    clock = SystemClock()
    before = clock.now()
    asleep, awake = 3600.0, 1001.0
    assert clock.now() - before == timedelta(seconds=3601)


def test_how_far_a_clock_is_ahead_of_the_databases(store: Store) -> None:
    def ahead(*seconds: float) -> float:
        """Of a clock that says these, as seconds from now, before the question and after the answer."""
        said = iter(datetime.now(UTC) + timedelta(seconds=each) for each in seconds)
        return store.read(lambda tx: dialect.ahead(tx, lambda: next(said))).result(SECONDS).total_seconds()

    if store.is_sqlite:
        assert ahead(12, 12) == 0
        return
    assert ahead(120, 120) == pytest.approx(120, abs=SECONDS / 2)
    assert ahead(-120, -120) == pytest.approx(-120, abs=SECONDS / 2)
    assert ahead(-100, 200) == 0, "the question may have taken up to 300 s"
    assert ahead(-100, 1000) == 0
    assert ahead(100, 400) == pytest.approx(100, abs=SECONDS / 2), (
        "the answer cannot be later than what was said before"
    )


@pytest.mark.parametrize(("seconds", "said"), [(-60, "ahead of"), (60, "behind")])
def test_nobody_starts_whose_clock_is_wrong(postgres_database: str, seconds: int, said: str) -> None:
    settings = Settings(database=postgres_database, secret="0123456789abcdef" * 2, model="none")
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(SHIFTED.format(seconds).encode())
        row = connection.execute("SELECT current_database()").fetchone()
        assert row is not None
        connection.execute(f"ALTER DATABASE {row[0]} SET search_path = public, pg_catalog".encode())
        with pytest.raises(errors.Misuse, match=rf"clock is [3-6]\d\.\d s {said} the database's; 2 s are allowed.*NTP"):
            Installation(settings, apps=())
        connection.execute(SHIFTED.format(seconds / 60).encode())
        Installation(settings, apps=()).close()
