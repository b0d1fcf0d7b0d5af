"""PostgreSQL: a peer that stops in the middle of a write stops only those who need what it holds, and not for long."""

from __future__ import annotations

import threading

import psycopg
import pytest

from sitting import errors
from sitting.config import Settings
from sitting.store import Store, dialect, journal
from sitting.store.dialect import Patience
from sitting.store.transaction import Tx
from tests.contract.test_store import add, stands
from tests.support.engines import ADA, SECONDS, bench
from tests.support.workshop import Say

FOR_EVER = SECONDS * 1000


@pytest.fixture
def empty(postgres_database: str) -> Settings:
    """What is promised here is promised of PostgreSQL only."""
    return Settings(database=postgres_database)


def bound(store: Store, *, lock_ms: int = FOR_EVER, idle_ms: int = FOR_EVER) -> None:
    store._begin_write = dialect.begin_write(store.engine, Patience(lock_ms, idle_ms))


def test_a_held_session_fails_clearly_and_the_others_go_on(store: Store, postgres_database: str) -> None:
    bound(store, lock_ms=100)
    with bench(store) as run, psycopg.connect(postgres_database) as peer:
        held, other = run.workshop(), run.workshop()
        peer.execute("SELECT 1 FROM sessions WHERE id = %s FOR UPDATE", (held,))
        stuck = [run.engine.do(held, Say(text="hello"), ADA) for _ in range(8)]  # as many as there are writers
        run.say(other)
        for future in stuck:
            with pytest.raises(errors.StoreUnavailable, match=r"holds what this one needs.* Nothing was stored"):
                future.result(SECONDS)
        peer.rollback()
        run.say(held)
        assert (run.types(held).count("said"), run.types(other).count("said")) == (1, 1)


def test_an_erasure_waits_for_no_other(store: Store) -> None:
    erased, go = threading.Event(), threading.Event()

    def stopped(tx: Tx) -> None:
        journal.erase(tx, first)
        erased.set()
        assert go.wait(SECONDS)

    bound(store, lock_ms=100)
    with bench(store) as run:
        first, second = run.workshop(), run.workshop()
        write = store.write(stopped)
        try:
            assert erased.wait(SECONDS)
            run(run.engine.erase(second, ADA))
        finally:
            go.set()
        run(write)


def test_a_peer_that_stands_still_loses_what_it_holds(store: Store, empty: Settings) -> None:
    peer = Store(empty.database_url)
    bound(store)
    bound(peer, idle_ms=1000)
    holds, gone = threading.Event(), threading.Event()

    def stopped(tx: Tx) -> int:
        add("a")(tx)
        holds.set()
        assert gone.wait(SECONDS)
        return add("a")(tx)

    try:
        write = peer.write(stopped)
        assert holds.wait(SECONDS)
        assert store.write(add("a")).result(SECONDS) == 1
        gone.set()
        with pytest.raises(errors.StoreUnavailable, match=r"stood still for too long\. Nothing was stored"):
            write.result(SECONDS)
        bound(peer)
        assert peer.write(add("a")).result(SECONDS) == 2 == stands(store, "a")
    finally:
        gone.set()
        peer.close()


def test_a_write_is_bounded_by_its_own_message_and_leaves_nothing_to_a_pooler(
    store: Store, postgres_database: str
) -> None:
    def bounds() -> list[str]:
        names = ("lock_timeout", "idle_in_transaction_session_timeout")
        return [row[0] for name in names if (row := connection.execute(f"SHOW {name}").fetchone())]

    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(dialect.begin_write(store.engine))
        assert bounds() == ["3s", "30s"]
        connection.execute("COMMIT")
        assert bounds() == ["0", "0"]
        connection.execute(dialect.begin_schema(store.engine))
        assert bounds() == ["0", "0"], "whoever starts beside a migration waits for its end"
        connection.execute("COMMIT")
