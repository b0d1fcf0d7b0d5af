"""What the store promises of every write: alone or in a group, it is durable and answered, or refused and absent."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pysqlite3
import pytest
from sqlalchemy import text

from sitting import errors
from sitting.config import Settings
from sitting.store import MAX_BATCH, Store, migrate, sessions
from sitting.store.transaction import Tx
from tests.support.engines import SECONDS, at_once, of, opened
from tests.support.hall import until


def add(account: str, amount: int = 1) -> Callable[[Tx], int]:
    def write(tx: Tx) -> int:
        assert sessions.charge(tx, account, amount=amount, limit=10**9)
        return sessions.count(tx, account)

    return write


def stands(store: Store, account: str) -> int:
    return store.read(lambda tx: sessions.count(tx, account)).result(SECONDS)


def test_what_a_write_returns_comes_after_the_commit(store: Store) -> None:
    told: list[int] = []

    def write(tx: Tx) -> int:
        tx.after_commit(lambda: told.append(stands(store, "a")))
        return add("a")(tx)

    assert store.write(write).result(SECONDS) == 1
    assert told == [1]
    assert stands(store, "a") == 1


def test_a_read_sees_one_snapshot(store: Store) -> None:
    def read(tx: Tx) -> tuple[int, int]:
        before = sessions.count(tx, "a")
        store.write(add("a")).result(SECONDS)
        return before, sessions.count(tx, "a")

    assert store.read(read).result(SECONDS) == (0, 0)
    assert stands(store, "a") == 1


class Gathered:
    """Writes that arrive while the writer is busy, so that they go into one group with the first."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._go = threading.Event()
        self._started = threading.Event()
        self.first = store.write(self._wait)
        assert self._started.wait(SECONDS)

    def _wait(self, tx: Tx) -> int:
        self._started.set()
        assert self._go.wait(SECONDS)
        return add("first")(tx)

    def release(self) -> None:
        self._go.set()


def test_a_refused_write_leaves_the_others_of_its_group(store: Store) -> None:
    def refused(tx: Tx) -> None:
        raise errors.Conflict("before any change")

    def undone(tx: Tx) -> None:
        add("undone")(tx)
        tx.after_commit(lambda: told.append("undone"))
        tx.staged["undone"] = True
        raise errors.Conflict("after a change")

    def broken(tx: Tx) -> None:
        add("undone")(tx)
        raise KeyError("a fault of the caller's own")

    told: list[str] = []
    group = Gathered(store)
    futures: list[Future[Any]] = [
        store.write(fn) for fn in (refused, add("a"), undone, add("a"), undone, broken, add("a"))
    ]
    group.release()
    raised = [type(future.exception(SECONDS)) for future in futures]
    no = type(None)
    assert raised == [errors.Conflict, no, errors.Conflict, no, errors.Conflict, KeyError, no]
    assert (group.first.result(SECONDS), stands(store, "a"), stands(store, "undone")) == (1, 3, 0)
    assert told == []


def test_a_refusal_after_nothing_was_changed_spares_the_others(store: Store) -> None:
    """As when a counter has reached its limit: the statement changes no row."""
    runs: list[str] = []

    def counted(tx: Tx) -> None:
        runs.append("a")
        add("a")(tx)

    def limited(tx: Tx) -> None:
        if not sessions.charge(tx, "limited", amount=1, limit=1):
            raise errors.RateLimited()

    for account in ("a", "limited"):
        store.write(add(account)).result(SECONDS)
    group = Gathered(store)
    good, refused = [], []
    for _ in range(3):
        good.append(store.write(counted))
        refused.append(store.write(limited))
    group.release()
    for future in refused:
        with pytest.raises(errors.RateLimited):
            future.result(SECONDS)
    assert ([future.result(SECONDS) for future in good], runs) == ([None] * 3, ["a"] * 3)


def test_a_write_that_is_run_again_may_fail_then(tmp_path: Path) -> None:
    store = opened(tmp_path)
    runs: list[int] = []

    def second_time(tx: Tx) -> None:
        runs.append(add("a")(tx))
        if len(runs) == 2:
            raise errors.Conflict("not twice")

    def undone(tx: Tx) -> None:
        add("undone")(tx)
        raise errors.Conflict()

    group = Gathered(store)
    futures: list[Future[Any]] = [store.write(fn) for fn in (second_time, undone, add("a"))]
    group.release()
    assert [type(future.exception(SECONDS)) for future in futures] == [errors.Conflict, errors.Conflict, type(None)]
    assert (stands(store, "first"), stands(store, "a"), stands(store, "undone"), len(runs)) == (1, 1, 0, 2)
    store.close()


def test_a_refusal_that_is_returned_is_raised_and_what_was_written_stays(store: Store) -> None:
    def write(tx: Tx) -> errors.Refusal:
        add("a")(tx)
        return errors.Conflict("too late")

    with pytest.raises(errors.Conflict, match="too late"):
        store.write(write).result(SECONDS)
    assert stands(store, "a") == 1


def test_a_savepoint_takes_back_what_was_done_inside(store: Store) -> None:
    told: list[str] = []

    def write(tx: Tx) -> str:
        add("before")(tx)
        tx.staged["before"] = True
        tx.after_commit(lambda: told.append("before"))
        with suppress(errors.Conflict), tx.savepoint():
            with tx.savepoint():
                add("inner")(tx)
            tx.staged["inside"] = True
            tx.after_commit(lambda: told.append("inside"))
            raise errors.Conflict()
        with tx.savepoint():
            add("after")(tx)
        return ",".join(tx.staged)

    assert store.write(write).result(SECONDS) == "before"
    assert [stands(store, name) for name in ("before", "inner", "after")] == [1, 0, 1]
    assert told == ["before"]


def test_what_cannot_be_taken_back_is_not_committed(store: Store) -> None:
    def write(tx: Tx) -> errors.Refusal:
        try:
            with tx.savepoint():
                add("a")(tx)
                tx.run(text("RELEASE SAVEPOINT s1"))
                raise errors.Conflict()
        except errors.Conflict as refusal:
            return refusal

    group = Gathered(store)
    bad: Future[Any] = store.write(write)
    group.release()
    assert isinstance(bad.exception(SECONDS), errors.SittingError | psycopg.Error)
    assert not isinstance(bad.exception(SECONDS), errors.Refusal)
    assert stands(store, "a") == 0
    assert store.write(add("b")).result(SECONDS) == 1


def test_nothing_is_acknowledged_that_the_database_has_dropped(store: Store) -> None:
    """PostgreSQL turns COMMIT into ROLLBACK, without an error, when a statement failed before it."""

    def write(tx: Tx) -> int:
        count = add("a")(tx)
        with pytest.raises((pysqlite3.Error, psycopg.Error)):
            tx.run(text("INSERT INTO no_such_table VALUES (1)"))
        return count

    future = store.write(write)
    acknowledged = future.exception(SECONDS) is None
    assert stands(store, "a") == int(acknowledged)
    assert store.is_sqlite or isinstance(future.exception(), errors.Misuse)


def test_telling_of_a_commit_cannot_change_its_answer(store: Store) -> None:
    told: list[int] = []

    def write(tx: Tx) -> int:
        tx.after_commit(lambda: told.append(1 // 0))
        tx.after_commit(lambda: told.append(2))
        return add("a")(tx)

    assert store.write(write).result(SECONDS) == 1
    assert told == [2]


def test_an_exception_that_is_no_exception_fails_its_write_and_not_the_thread(store: Store) -> None:
    def write(tx: Tx) -> None:
        add("a")(tx)
        raise SystemExit

    with pytest.raises(SystemExit):
        store.write(write).result(SECONDS)
    assert store.write(add("a")).result(SECONDS) == 1


def test_a_cancelled_write_is_not_run(store: Store) -> None:
    groups = [Gathered(store) for _ in range(1 if store.is_sqlite else 8)]
    waiting, last = store.write(add("a")), store.write(add("b"))
    assert waiting.cancel()
    for group in groups:
        group.release()
    assert last.result(SECONDS) == 1
    with pytest.raises(CancelledError):
        waiting.result(SECONDS)
    assert stands(store, "a") == 0


def test_a_cancelled_write_at_the_head_of_a_group_is_not_run(tmp_path: Path) -> None:
    store = opened(tmp_path)
    group = Gathered(store)
    full = [store.write(add("a")) for _ in range(MAX_BATCH - 1)]
    waiting, last = store.write(add("a")), store.write(add("b"))
    assert waiting.cancel()
    group.release()
    assert last.result(SECONDS) == 1
    assert [full[-1].result(SECONDS), stands(store, "a")] == [MAX_BATCH - 1] * 2
    store.close()


def test_a_counter_is_forgotten_when_its_time_is_over(store: Store) -> None:
    over = datetime(2026, 3, 1, 10, tzinfo=UTC)

    def charged(until: datetime | None, *accounts: str) -> None:
        store.write(lambda tx: [sessions.charge(tx, name, amount=1, limit=9, until=until) for name in accounts]).result(
            SECONDS
        )

    charged(over, "hour", "hour")
    charged(None, "lifetime", "taken for both")
    charged(over, "taken for both")
    for now, left in ((over - timedelta(milliseconds=1), [2, 1, 2]), (over, [0, 1, 2])):
        store.write(lambda tx, now=now: sessions.forget_expired(tx, now)).result(SECONDS)  # type: ignore[misc]
        assert [stands(store, name) for name in ("hour", "lifetime", "taken for both")] == left


def test_many_writers_at_once(store: Store) -> None:
    results = at_once(40, lambda n: [store.write(add("a")).result(SECONDS) for _ in range(10)])
    assert sorted(count for result in results if not isinstance(result, Exception) for count in result) == list(
        range(1, 401)
    )
    futures = [store.write(add("b")) for _ in range(MAX_BATCH + 10)]
    assert max(future.result(SECONDS) for future in futures) == MAX_BATCH + 10


def test_closing_finishes_what_waits_and_refuses_the_rest(empty: Settings) -> None:
    store = Store(empty.database_url)
    migrate.upgrade(store)
    group = Gathered(store)
    waiting = [store.write(add("a")) for _ in range(5)]
    closer = threading.Thread(target=store.close)
    closer.start()
    late = [store.write(add("late"))]
    while not late[-1].done():  # only a refusal is there at once
        late.append(store.write(add("late")))
    if store.is_sqlite:  # in the refused one's place stands the end of all, which ends their group
        until(lambda: store._queue.qsize() == len(waiting) + len(late))
    group.release()
    closer.join(SECONDS)
    store.close()
    assert [future.exception(SECONDS) for future in waiting] == [None] * 5
    for refused in (store.write(add("a")), store.read(lambda tx: sessions.count(tx, "a"))):
        with pytest.raises(errors.StoreUnavailable, match="closed"):
            refused.result(SECONDS)
    again = Store(empty.database_url)
    assert stands(again, "a") == 5
    again.close()


def test_two_stores_on_one_database_see_each_other(store: Store, empty: Settings) -> None:
    other = Store(empty.database_url)
    results = at_once(8, lambda n: (store, other)[n % 2].write(add("a")).result(SECONDS))
    assert of(results, Exception) == []
    assert stands(store, "a") == stands(other, "a") == 8
    other.close()
