"""Migrations add up to the schema, run once however many start, and refuse what they do not know."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import psycopg
import pytest
from sqlalchemy import Connection, text

from sitting import errors
from sitting.config import Settings
from sitting.store import Store, installed, migrate, sessions
from sitting.store.schema import metadata
from tests.support.process import Program

DIE_AT = """
import os, signal, sys
from sqlalchemy import event
from sitting.store import Store, migrate
store, left = Store(sys.argv[1]), int(sys.argv[2])
@event.listens_for(store.engine, "before_cursor_execute")
def count(*_):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
migrate.upgrade(store)
store.close()
"""
STATEMENTS = 50
LINKS_IS_A_VIEW = "CREATE VIEW links AS SELECT 1 AS hash"

SQLITE_SHAPE = "SELECT type, name, sql FROM sqlite_master WHERE tbl_name <> 'alembic_version' ORDER BY type, name"
POSTGRES_SHAPE = """
SELECT 'column', table_name || '.' || column_name, data_type || ' ' || is_nullable || ' ' || ordinal_position
  FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'
UNION ALL
SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
UNION ALL
SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
 WHERE connamespace = 'public'::regnamespace AND conname <> 'alembic_version_pkc' AND contype <> 'n'
ORDER BY 1, 2
"""


def test_migrations_add_up_to_the_schema(store: Store) -> None:
    with store.engine.connect() as connection:
        migrated = _shape(connection)
        assert len(migrated) > len(metadata.tables)
        _rebuild(connection)
        assert migrated == _shape(connection)


def test_a_difference_is_seen(store: Store) -> None:
    with store.engine.connect() as connection:
        connection.execute(text("DROP INDEX jobs_due"))
        altered = _shape(connection)
        _rebuild(connection)
        assert altered != _shape(connection)


def test_a_new_database_says_what_it_is(store: Store) -> None:
    names = (installed.FORMAT, installed.EPOCH, installed.ACCESS, installed.SIGNED_IN_AT)
    values = store.read(lambda tx: [installed.value(tx, name) for name in names]).result()
    assert values == ["1", "1", "0", None]
    assert migrate.epoch(store) == 1


def test_an_empty_database_is_behind_and_a_second_run_has_nothing_to_do(empty: Settings) -> None:
    store = Store(empty.database_url)
    steps = migrate.check(store)
    assert steps[0] == "0001"
    assert migrate.upgrade(store) == steps
    assert migrate.check(store) == () == migrate.upgrade(store)
    store.close()


def test_a_newer_database_is_refused(store: Store) -> None:
    _execute(store, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(errors.Misuse, match=r"newer version of Sitting \(step 9999"):
        migrate.upgrade(store)
    with pytest.raises(errors.Misuse, match="newer version"):
        migrate.check(store)


def test_a_strange_database_is_refused_and_left_alone(empty: Settings) -> None:
    store = Store(empty.database_url)
    _execute(store, "CREATE TABLE sessions (id integer)")
    with pytest.raises(errors.Misuse, match="not Sitting's: it has a table 'sessions'"):
        migrate.upgrade(store)
    _execute(store, "SELECT id FROM sessions")
    store.close()


def test_a_step_that_fails_leaves_nothing_behind(empty: Settings) -> None:
    store = Store(empty.database_url)
    _execute(store, "CREATE TABLE somebody_else_s (id integer)")
    _execute(store, "CREATE INDEX links_pk ON somebody_else_s (id)" if not store.is_sqlite else LINKS_IS_A_VIEW)
    with pytest.raises((errors.StoreUnavailable, psycopg.errors.DuplicateTable)):
        migrate.upgrade(store)
    with store.engine.connect() as connection:
        assert "sessions" not in " ".join(str(row) for row in _shape(connection))
    store.close()


def test_of_many_that_start_at_once_one_migrates(empty: Settings) -> None:
    together = threading.Barrier(4)

    def start(_: int) -> tuple[str, ...]:
        together.wait()
        store = Store(empty.database_url)
        try:
            return migrate.upgrade(store)
        finally:
            store.close()

    with ThreadPoolExecutor(4) as threads:
        assert sorted(step for done in threads.map(start, range(4)) for step in done) == ["0001", "0002"]


def test_counters_of_an_older_database_are_kept(empty: Settings) -> None:
    store = Store(empty.database_url)
    assert migrate._next(store) == "0001"
    _execute(store, "INSERT INTO counters (account, amount) VALUES ('before', 3)")
    assert migrate.upgrade(store)[0] == "0002"
    _execute(store, "INSERT INTO counters (account, amount) VALUES ('an older process', 4)")
    store.write(lambda tx: sessions.forget_expired(tx, datetime.max.replace(tzinfo=UTC))).result()
    counted = store.read(lambda tx: [sessions.count(tx, name) for name in ("before", "an older process")]).result()
    assert counted == [3, 4]
    store.close()


def test_a_migration_killed_at_any_statement_is_finished_by_the_next(
    empty: Settings, dice: Random, rounds: Callable[[int, int], int]
) -> None:
    store = Store(empty.database_url)
    for number in sorted(dice.sample(range(1, STATEMENTS), rounds(3, STATEMENTS - 1))):
        program = Program([sys.executable, "-c", DIE_AT, empty.database_url, str(number)], env=os.environ)
        assert program.wait() in (-signal.SIGKILL, 0), program.output
        migrate.upgrade(store)
        assert migrate.check(store) == ()
        with store.engine.connect() as connection:
            finished = _shape(connection)
            _rebuild(connection)
            assert finished == _shape(connection)
            metadata.drop_all(connection)
            connection.execute(text("DROP TABLE alembic_version"))
    store.close()


def test_steps_are_numbered_without_gaps() -> None:
    steps = sorted(path.name for path in Path(migrate.FOLDER).glob("[0-9]*.py"))
    assert [step[:4] for step in steps] == [f"{number:04d}" for number in range(1, len(steps) + 1)]


def _shape(connection: Connection) -> list[tuple[str, ...]]:
    shape = SQLITE_SHAPE if connection.dialect.name == "sqlite" else POSTGRES_SHAPE
    # A column that was added later stands in the same line as the one before it.
    return [tuple(" ".join(str(each).split()) for each in row) for row in connection.execute(text(shape))]


def _rebuild(connection: Connection) -> None:
    metadata.drop_all(connection)
    metadata.create_all(connection)


def _execute(store: Store, statement: str) -> None:
    with store.engine.connect() as connection:
        connection.execute(text(statement))
