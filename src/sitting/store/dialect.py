"""What differs between SQLite and PostgreSQL; nothing else in the house asks which it is.

SQLite: one writer, WAL, `synchronous=FULL`, deleted content overwritten. Libraries with the WAL-reset fault (3.7.0 to
3.51.2 except 3.50.7 and 3.44.6, see sqlite.org/wal.html) are refused. PostgreSQL: a row lock per session, commit order
is `seq` order; no prepared statements and no session state, so a transaction pooler may stand between.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psycopg
import pysqlite3
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from .. import errors

SQLITE_BUSY_MS = 10_000
REWRITTEN_BYTES = 64 * 1024 * 1024
_SQLITE_FLOOR = (3, 51, 3)
_SQLITE_MENDED = {(3, 50, 7), (3, 44, 6)}
_SCHEMA_LOCK = 0x5171_9600
_POSTGRES_AGAIN = {"40001", "40P01", "23505", "55P03"}


def sqlite_fault(version: tuple[int, ...]) -> str | None:
    """Why this SQLite library is refused, or None."""
    if version >= _SQLITE_FLOOR or version in _SQLITE_MENDED or version < (3, 7, 0):
        return None
    return (
        f"SQLite {'.'.join(map(str, version))} can corrupt a database in WAL mode; 3.51.3 or later is needed. "
        "Install the package pysqlite3 0.6.1 or later."
    )


def connect(url: str, *, readers: int, writers: int) -> Engine:
    """An engine whose connections are ready to use.

    Raises:
        Misuse: the address is not one of SQLite or PostgreSQL, or the SQLite library is refused.
    """
    made = make_url(url)
    if made.get_backend_name() == "sqlite":
        if fault := sqlite_fault(pysqlite3.sqlite_version_info):
            raise errors.Misuse(fault)
        if made.database in (None, "", ":memory:"):
            raise errors.Misuse("SQLite needs a file: each connection to memory would have a database of its own.")
        Path(str(made.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(
            made,
            module=pysqlite3,
            pool_size=readers + 2,
            max_overflow=0,
            isolation_level="AUTOCOMMIT",
            connect_args={"check_same_thread": False, "cached_statements": 256},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    if made.get_backend_name() == "postgresql":
        return create_engine(
            made,
            pool_size=readers + writers,
            max_overflow=2,
            isolation_level="AUTOCOMMIT",
            connect_args={"prepare_threshold": None, "connect_timeout": 10},
        )
    raise errors.Misuse("SITTING_DATABASE must be empty, sqlite:///PATH or postgresql://user@host/name.")


def is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"


def begin_write(engine: Engine) -> str:
    """SQLite takes its one write lock at once, so that a later statement can never fail for it."""
    return "BEGIN IMMEDIATE" if is_sqlite(engine) else "BEGIN"


def begin_read(engine: Engine) -> str:
    """One snapshot for all statements of a read."""
    return "BEGIN" if is_sqlite(engine) else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def lock_schema(connection: Connection) -> None:
    """Inside a transaction: let nobody else change tables until it ends. On SQLite its write lock does so already."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%(key)s)", {"key": _SCHEMA_LOCK})


def commit(driver: Any) -> None:
    """COMMIT, which PostgreSQL answers with ROLLBACK and without an error when a statement failed before it."""
    if getattr(driver.execute("COMMIT"), "statusmessage", None) == "ROLLBACK":
        raise errors.Misuse("A write went on after a statement of it had failed.")


def scrub(connection: Any, database: str) -> None:
    """Write the file anew and cut the write-ahead log to nothing, so that neither holds what was erased.

    SQLite overwrites what it deletes, but when it spreads a full page over two it leaves copies in the unused part of
    the first. A large file is not written anew: that takes memory for all of it, and writers wait.

    Raises StoreUnavailable, OSError and the driver's errors.
    """
    ((pages,), (size,)) = (connection.execute(f"PRAGMA page_{what}").fetchone() for what in ("count", "size"))
    if pages * size <= REWRITTEN_BYTES:
        connection.execute("VACUUM").close()
    _empty_log(connection)
    sync(Path(f"{database}-wal"))  # SQLite does not; after a power cut the old log would be there again


def sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def again(error: BaseException) -> bool:
    """Whether the same write may simply be run again: a deadlock, a lost race for a key."""
    return isinstance(error, psycopg.Error) and error.sqlstate in _POSTGRES_AGAIN


def translated(error: Exception) -> Exception:
    """A driver's error as one of the house's; anything else unchanged."""
    if isinstance(error, pysqlite3.Error):
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith("SQLITE_FULL"):
            return errors.DiskFull()
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return errors.StoreUnavailable("The database is locked. Nothing was stored.")
        # A damaged file is reported as the bare DatabaseError. After a failed sync nobody knows what is on the disk.
        if isinstance(error, pysqlite3.OperationalError) or type(error) is pysqlite3.DatabaseError:
            return errors.StoreUnavailable()
    if isinstance(error, psycopg.errors.DiskFull):
        return errors.DiskFull()
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return errors.StoreUnavailable()
    return error


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}").close()
    _into_wal(connection)
    _check_writable(connection)
    connection.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MS}").close()
    for pragma in (
        "synchronous=FULL",
        "secure_delete=ON",
        "temp_store=MEMORY",
        "cache_size=-2000",
        "mmap_size=268435456",
        "wal_autocheckpoint=4000",  # 16 MB: pages that change often are written back once for many commits
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _into_wal(connection: Any) -> None:
    """Of several that open a new database at once, SQLite tells all but one that it is busy, and waits for none."""
    patience = time.monotonic() + SQLITE_BUSY_MS / 1000
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except pysqlite3.OperationalError as error:
            if not str(error.sqlite_errorname).startswith("SQLITE_BUSY") or time.monotonic() > patience:
                raise
            time.sleep(0.005)


def _check_writable(connection: Any) -> None:
    """When SQLite is refused a file, if only for a moment, it opens it read-only; that would stay so while we run."""
    connection.execute("PRAGMA busy_timeout=0").close()
    connection.execute("BEGIN").close()
    try:
        connection.execute("PRAGMA user_version=0").close()
    except pysqlite3.OperationalError as error:
        if not str(error.sqlite_errorname).startswith("SQLITE_BUSY"):
            raise
    connection.execute("ROLLBACK").close()


def _empty_log(connection: Any) -> None:
    """For another who does so at this moment, which any commit may lead to, SQLite does not wait."""
    patience = time.monotonic() + SQLITE_BUSY_MS / 1000
    while connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > patience:
            raise errors.StoreUnavailable("The database's log is in use.")
        time.sleep(0.005)
