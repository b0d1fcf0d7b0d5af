"""What each database can do to a store: a full disk, a lock, damage, a deadlock, a connection that is gone."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pysqlite3
import pytest
from sqlalchemy import insert, select, text

from sitting import errors
from sitting.config import Settings
from sitting.store import ATTEMPTS, Store, backup, dialect, installed, migrate, sessions
from sitting.store.schema import counters
from sitting.store.transaction import Tx
from tests.contract.test_store import Gathered, add, stands
from tests.support.engines import SECONDS, at_once, opened
from tests.support.process import Program


def fill(tx: Tx) -> None:
    tx.run(insert(counters).values(account="x" * 100_000, amount=1))


def limit_pages(store: Store, more: int) -> None:
    """Let the database grow by so many pages, and then be full for real."""

    def write(tx: Tx) -> None:
        pages = tx.one(text("PRAGMA page_count"))
        assert pages is not None
        tx.one(text(f"PRAGMA max_page_count={pages[0] + more}"))

    store.write(write).result(SECONDS)


def test_a_full_disk_fails_what_was_not_committed_yet_and_recovers(tmp_path: Path) -> None:
    """SQLite ends the transaction; what was in it fails with it, what waited behind it has one of its own."""
    store = opened(tmp_path)
    store.write(add("a")).result(SECONDS)
    limit_pages(store, 1)
    group = Gathered(store)
    before, full, behind = store.write(add("a")), store.write(fill), store.write(add("a"))
    group.release()
    for future in (group.first, before, full):
        with pytest.raises(errors.DiskFull, match="Nothing was stored"):
            future.result(SECONDS)
    assert (behind.result(SECONDS), stands(store, "a"), stands(store, "first")) == (2, 2, 0)
    limit_pages(store, 10_000)
    store.write(fill).result(SECONDS)
    store.close()


FAILING_COMMIT = """
import resource, sys, threading
from pathlib import Path
from sitting import errors
from sitting.store import Store, sessions
from tests.contract.test_store import Gathered, add, stands
from tests.contract.test_store_faults import fill

store = Store("sqlite:///" + sys.argv[1])
log = Path(sys.argv[1] + "-wal")
store.write(add("a")).result(60)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 10_000, hard))
group = Gathered(store)
futures = [store.write(add("a")), store.write(fill), store.write(add("a"))]
group.release()
for future in (group.first, *futures):
    assert type(future.exception(60)) in (errors.StoreUnavailable, errors.DiskFull), future.exception()
assert (stands(store, "a"), stands(store, "first")) == (1, 0)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
assert store.write(add("a")).result(60) == 2
store.close()
again = Store("sqlite:///" + sys.argv[1])
assert stands(again, "a") == 2
again.close()
print("every one of them failed, and the service returned")
"""


def test_a_commit_that_fails_fails_its_whole_group(tmp_path: Path) -> None:
    """A child of its own, because what makes its disk refuse counts for the whole process."""
    opened(tmp_path).close()
    with Program([sys.executable, "-c", FAILING_COMMIT, str(tmp_path / "sitting.db")], env=os.environ) as child:
        child.wait_for("every one of them failed, and the service returned")
        assert child.wait() == 0


def test_a_disk_that_fills_up_inside_a_savepoint(tmp_path: Path) -> None:
    store = opened(tmp_path)
    limit_pages(store, 1)

    def write(tx: Tx) -> None:
        add("a")(tx)
        with tx.savepoint():
            fill(tx)

    with pytest.raises(errors.DiskFull):
        store.write(write).result(SECONDS)
    assert stands(store, "a") == 0
    assert store.write(add("a")).result(SECONDS) == 1
    store.close()


def test_a_locked_database_is_unavailable_and_then_back(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(lambda tx: tx.one(text("PRAGMA busy_timeout=50"))).result(SECONDS)
    other = pysqlite3.connect(tmp_path / "sitting.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(errors.StoreUnavailable, match="locked. Nothing was stored"):
        store.write(add("a")).result(SECONDS)
    assert stands(store, "a") == 0
    other.execute("COMMIT")
    other.close()
    assert store.write(add("a")).result(SECONDS) == 1
    store.close()


def test_a_damaged_file_is_unavailable_and_no_surprise(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(add("a")).result(SECONDS)
    store.close()
    file = tmp_path / "sitting.db"
    file.write_bytes(file.read_bytes()[:4096] + bytes(range(256)) * 400)
    damaged = Store(f"sqlite:///{file}")
    for future in (damaged.read(lambda tx: tx.all(select(counters))), damaged.write(add("a"))):
        assert isinstance(future.exception(SECONDS), errors.StoreUnavailable)
    damaged.close()


def test_a_database_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "sitting.db").mkdir()
    store = Store(f"sqlite:///{tmp_path / 'sitting.db'}")
    for future in (store.read(lambda tx: sessions.count(tx, "a")), store.write(add("a"))):
        assert isinstance(future.exception(SECONDS), errors.StoreUnavailable)
    with pytest.raises(errors.StoreUnavailable, match="may still stand"):
        store.scrub().result(SECONDS)
    store.close()


class Hesitating:
    """A connection that says it is busy a few times, as SQLite does when several open a new database at once."""

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.asked = 0

    def execute(self, sql: str) -> Hesitating:
        self.asked += 1
        if self.names:
            error = pysqlite3.OperationalError("not now")
            error.sqlite_errorname = self.names.pop()
            raise error
        return self

    def close(self) -> None:
        """Nothing to close."""


def test_a_new_database_that_others_open_too_is_waited_for() -> None:
    busy, broken = Hesitating("SQLITE_BUSY", "SQLITE_BUSY_RECOVERY"), Hesitating("SQLITE_IOERR")
    dialect._into_wal(busy)
    assert busy.asked == 3
    with pytest.raises(pysqlite3.OperationalError):
        dialect._into_wal(broken)
    assert broken.asked == 1


class Refused(Hesitating):
    """A connection that does what it is told, but for writing."""

    def execute(self, sql: str) -> Hesitating:
        return super().execute(sql) if sql == "PRAGMA user_version=0" else self


def test_a_connection_that_can_only_read_is_none() -> None:
    """As SQLite gives one when opening the file to write was refused once; who is busy writes at this moment."""
    for error in ("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT"):
        dialect._check_writable(Refused(error))
    with pytest.raises(pysqlite3.OperationalError):
        dialect._check_writable(Refused("SQLITE_READONLY"))


class Used:
    """A connection whose log others empty or read, so often or for ever."""

    def __init__(self, times: int) -> None:
        self.times = times

    def execute(self, sql: str) -> Used:
        assert sql == "PRAGMA wal_checkpoint(TRUNCATE)"
        return self

    def fetchone(self) -> tuple[bool, int, int]:
        self.times -= 1
        return self.times >= 0, -1, -1


def test_a_log_that_others_empty_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = Used(2)
    dialect._empty_log(busy)
    assert busy.times == -1
    monkeypatch.setattr(dialect, "SQLITE_BUSY_MS", 10)
    with pytest.raises(errors.StoreUnavailable, match="in use"):
        dialect._empty_log(Used(10_000))


@pytest.mark.parametrize("largest", [dialect.REWRITTEN_BYTES, 0])
def test_the_log_is_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int) -> None:
    monkeypatch.setattr(dialect, "REWRITTEN_BYTES", largest)
    store = opened(tmp_path)
    store.write(add("canary")).result(SECONDS)
    log = tmp_path / "sitting.db-wal"
    assert b"canary" in log.read_bytes()
    store.write(installed.owe_scrub).result(SECONDS)
    store.scrub().result(SECONDS)
    assert b"canary" not in log.read_bytes()
    log.unlink()
    store.write(installed.owe_scrub).result(SECONDS)
    for _ in range(2):
        with pytest.raises(errors.StoreUnavailable, match="may still stand"):
            store.scrub().result(SECONDS)
    store.close()


def rewritten(store: Store) -> int:
    """How often the file was changed as a whole: a number of SQLite's own, which each VACUUM moves."""
    row = store.read(lambda tx: tx.one(text("PRAGMA schema_version"))).result(SECONDS)
    assert row is not None
    return int(row[0])


def test_one_scrub_serves_all_who_wait_for_it(tmp_path: Path) -> None:
    store = opened(tmp_path)
    before, gate = rewritten(store), threading.Event()
    store._scrubbing.submit(gate.wait, SECONDS)
    waiting = []
    for _ in range(5):
        store.write(installed.owe_scrub).result(SECONDS)
        waiting.append(store.scrub())
    gate.set()
    for scrub in waiting:
        scrub.result(SECONDS)
    assert rewritten(store) == before + 1
    store.scrub().result(SECONDS)
    assert rewritten(store) == before + 1, "nothing was erased since"
    store.write(installed.owe_scrub).result(SECONDS)
    store.close()
    with pytest.raises(errors.StoreUnavailable, match="It was erased, but may still stand"):
        store.scrub().result(SECONDS)


def test_what_is_erased_while_a_scrub_is_under_way_is_still_owed(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.write(installed.owe_scrub).result(SECONDS)
    first = store.read(lambda tx: installed.value(tx, installed.UNSCRUBBED)).result(SECONDS)
    store.write(installed.owe_scrub).result(SECONDS)
    store.write(lambda tx: installed.scrubbed(tx, str(first))).result(SECONDS)
    assert store.read(lambda tx: installed.value(tx, installed.UNSCRUBBED)).result(SECONDS) not in (None, first)
    store.close()


# PostgreSQL


@pytest.fixture
def postgres_store(postgres_database: str) -> Any:
    store = Store(Settings(database=postgres_database).database_url)
    migrate.upgrade(store)
    yield store
    store.close()


def test_scrubbing_a_file_is_sqlites_own(postgres_store: Store) -> None:
    postgres_store.write(installed.owe_scrub).result(SECONDS)
    assert postgres_store.read(lambda tx: installed.value(tx, installed.UNSCRUBBED)).result(SECONDS) is None
    postgres_store.scrub().result(SECONDS)
    postgres_store.write(lambda tx: installed.note(tx, installed.UNSCRUBBED, "from before")).result(SECONDS)
    postgres_store.scrub().result(SECONDS)
    assert postgres_store.read(lambda tx: installed.value(tx, installed.UNSCRUBBED)).result(SECONDS) is None


def test_a_deadlock_is_run_again(postgres_store: Store) -> None:
    store = postgres_store
    for name in ("a", "b"):
        store.write(add(name)).result(SECONDS)
    first_round = threading.Barrier(2)
    runs: list[str] = []

    def crossing(one: str, other: str) -> Callable[[Tx], int]:
        def write(tx: Tx) -> int:
            runs.append(one)
            add(one)(tx)
            if runs.count(one) == 1:
                first_round.wait(SECONDS)
            return add(other)(tx)

        return write

    both = [store.write(crossing("a", "b")), store.write(crossing("b", "a"))]
    assert [future.exception(SECONDS) for future in both] == [None, None]
    assert (stands(store, "a"), stands(store, "b")) == (3, 3)
    assert len(runs) > 2, "and again when both were chosen to give way"


def test_a_lost_race_for_a_key_is_run_again_but_not_for_ever(postgres_store: Store) -> None:
    results = at_once(8, lambda n: postgres_store.write(add("fresh")).result(SECONDS))
    assert sorted(results, key=str) == list(range(1, 9))
    runs: list[int] = []

    def always(tx: Tx) -> None:
        runs.append(1)
        tx.run(insert(counters).values(account="fresh", amount=1))

    with pytest.raises(psycopg.errors.UniqueViolation):
        postgres_store.write(always).result(SECONDS)
    assert len(runs) == ATTEMPTS


def test_a_lost_connection_is_unavailable_and_then_back(postgres_store: Store, postgres: str) -> None:
    def killed(tx: Tx) -> int:
        row = tx.one(text("SELECT pg_backend_pid()"))
        assert row is not None
        with psycopg.connect(postgres, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 60000)", (row[0],))
        return sessions.count(tx, "a")

    for future in (postgres_store.write(killed), postgres_store.read(killed)):
        with pytest.raises(errors.StoreUnavailable, match="unknown"):
            future.result(SECONDS)
    assert postgres_store.write(add("a")).result(SECONDS) == 1


def test_a_server_that_is_not_there_is_unavailable() -> None:
    store = Store("postgresql+psycopg://nobody@127.0.0.1:1/nothing")
    for future in (store.read(lambda tx: None), store.write(lambda tx: None)):
        assert isinstance(future.exception(SECONDS), errors.StoreUnavailable)
    store.close()


# What differs


@pytest.mark.parametrize(
    ("version", "refused"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 44, 7), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 1), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 53, 4), False),
        ((4, 0, 0), False),
    ],
)
def test_the_library_with_the_fault_is_refused(version: tuple[int, ...], refused: bool) -> None:
    fault = dialect.sqlite_fault(version)
    assert (fault is not None) is refused
    assert fault is None or (".".join(map(str, version)) in fault and "pysqlite3" in fault)


def test_a_faulty_library_is_refused_before_a_file_is_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pysqlite3, "sqlite_version_info", (3, 40, 1))
    with pytest.raises(errors.Misuse, match=r"3\.40\.1 can corrupt"):
        Store(f"sqlite:///{tmp_path / 'sub' / 'sitting.db'}")
    assert not (tmp_path / "sub").exists()


def test_other_databases_are_refused() -> None:
    with pytest.raises(errors.Misuse, match="must be empty, sqlite"):
        Store("mysql+pymysql://root@localhost/x")
    for memory in ("sqlite://", "sqlite:///:memory:"):
        with pytest.raises(errors.Misuse, match="needs a file"):
            Store(memory)


@pytest.mark.parametrize("address", ["postgresql://sitting:geheim@host:geheim/x", "geheim"])
def test_an_address_that_cannot_be_read_is_refused_and_not_repeated(tmp_path: Path, address: str) -> None:
    settings = Settings(data=tmp_path, database=address)
    for begin in (lambda: Store(settings.database_url), lambda: backup.restore(settings, Path(__file__))):
        with pytest.raises(errors.Misuse, match="write @ as %40") as refused:
            begin()
        assert "geheim" not in f"{refused.value} {refused.value.__cause__}" and refused.value.__suppress_context__


def test_a_command_ends_on_an_error_that_nobody_foresaw(tmp_path: Path) -> None:
    address = "postgresql://user:geheim@127.0.0.1:1/x?no_such_option=1"
    environment = {**os.environ, "SITTING_DATA": str(tmp_path), "SITTING_DATABASE": address}
    with Program([sys.executable, "-m", "sitting", "migrate"], env=environment) as command:
        assert command.wait() == 1
        assert "no_such_option" in command.output and "geheim" not in command.output


def test_every_driver_error_has_a_name_of_the_house() -> None:
    unchanged = KeyError("x")
    assert dialect.translated(unchanged) is unchanged
    assert isinstance(dialect.translated(psycopg.errors.DiskFull()), errors.DiskFull)
    assert isinstance(dialect.translated(psycopg.InterfaceError()), errors.StoreUnavailable)
    assert isinstance(dialect.translated(psycopg.errors.AdminShutdown()), errors.StoreUnavailable)
    wrong = psycopg.errors.UndefinedTable()
    assert dialect.translated(wrong) is wrong
    mistake = pysqlite3.IntegrityError("x")
    assert dialect.translated(mistake) is mistake
    assert isinstance(dialect.translated(pysqlite3.OperationalError("x")), errors.StoreUnavailable)
    assert not dialect.again(mistake)


def test_a_database_is_opened_as_promised(store: Store) -> None:
    def settings(tx: Tx) -> list[Any]:
        if not store.is_sqlite:
            return tx.all(text("SHOW transaction_isolation"))
        names = ("journal_mode", "synchronous", "secure_delete", "temp_store")
        return [row[0] for name in names if (row := tx.one(text(f"PRAGMA {name}")))]

    found = store.read(settings).result(SECONDS)
    assert found == (["wal", 2, 1, 2] if store.is_sqlite else [("repeatable read",)])


def test_connections_that_were_cut_while_nobody_used_them_are_replaced(postgres_database: str) -> None:
    store = Store(Settings(database=postgres_database).database_url, readers=1, writers=1)
    try:
        migrate.upgrade(store)
        assert store.read(lambda tx: sessions.count(tx, "kept")).result(SECONDS) == 0
        store.write(lambda tx: sessions.charge(tx, "kept", amount=1, limit=9)).result(SECONDS)
        with psycopg.connect(postgres_database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        store.write(lambda tx: sessions.charge(tx, "kept", amount=1, limit=9)).result(SECONDS)
        assert store.read(lambda tx: sessions.count(tx, "kept")).result(SECONDS) == 2
    finally:
        store.close()
