"""What differs between SQLite and PostgreSQL; nothing else in the house asks which it is.

SQLite: one writer, WAL, `synchronous=FULL`, deleted content overwritten. Libraries with the WAL-reset fault (3.7.0 to
3.51.2 except 3.50.7 and 3.44.6, see sqlite.org/wal.html) are refused. PostgreSQL: a row lock per session, commit order
is `seq` order; no prepared statements and no session state, so a transaction pooler may stand between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import psycopg
import pysqlite3
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from .. import errors

SQLITE_BUSY_MS = 10_000
REWRITTEN_BYTES = 64 * 1024 * 1024
_SQLITE_FLOOR = (3, 51, 3)
_SQLITE_MENDED = {(3, 50, 7), (3, 44, 6)}
_ADDRESS = "SITTING_DATABASE must be empty, sqlite:///PATH or postgresql://user@host/name."
_SCHEMA_LOCK = 0x5171_9600
_MAKING = Lock()  # a process that closes a file lets go of all its locks on it: of a new one before others open it
_POSTGRES_AGAIN = {"40001", "40P01", "23505"}

_NOW = text("SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)")


@dataclass(frozen=True)
class Patience:
    """PostgreSQL: how long a write waits for a lock, and how long its own transaction may stand still.

    A peer that stops in the middle of a transaction (its process is stopped, its network is cut) keeps its locks. The
    second bound ends its transaction, the first one those of others that wait for it meanwhile.
    """

    lock_ms: int = 3_000
    idle_ms: int = 30_000


USUAL = Patience()


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
    made = address(url)
    if made.get_backend_name() == "sqlite":
        if fault := sqlite_fault(pysqlite3.sqlite_version_info):
            raise errors.Misuse(fault)
        if made.database in (None, "", ":memory:"):
            raise errors.Misuse("SQLite needs a file: each connection to memory would have a database of its own.")
        _keep_private(Path(str(made.database)))
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
    raise errors.Misuse(_ADDRESS)


def _keep_private(file: Path) -> None:
    """Let nobody but its owner read a new database, and nobody but owner and group one that is there.

    SQLite gives its log and its index of the log the mode of the file. A folder that is there keeps its mode. What the
    system refuses here, SQLite is refused too, and says so; or the file is somebody else's, who answers for its mode.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    real = Path(os.path.realpath(file))
    with _MAKING, suppress(OSError):
        os.close(os.open(real, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    for each in (real, Path(f"{real}-wal"), Path(f"{real}-shm")):
        with suppress(OSError):
            if (mode := each.stat().st_mode) & 0o007:
                each.chmod(mode & 0o770)


def address(url: str) -> URL:
    """A database's address in its parts. Raises Misuse, which repeats nothing of it: a password may stand in it."""
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise errors.Misuse(f"{_ADDRESS} In a password, write @ as %40, : as %3A and / as %2F.") from None


def is_sqlite(over: Any) -> bool:
    """Of an engine, a connection or a transaction."""
    return bool(over.dialect.name == "sqlite")


def begin_write(engine: Engine, patience: Patience = USUAL) -> str:
    """SQLite takes its one write lock at once, so that a later statement can never fail for it.

    PostgreSQL is told the bounds of each transaction anew, in the same message: a pooler keeps nothing between two.
    """
    if is_sqlite(engine):
        return "BEGIN IMMEDIATE"
    return (
        f"BEGIN; SET LOCAL lock_timeout={patience.lock_ms}; "
        f"SET LOCAL idle_in_transaction_session_timeout={patience.idle_ms}"
    )


def begin_schema(engine: Engine) -> str:
    """A step of a migration takes as long as it takes, and whoever starts beside it waits for that."""
    return "BEGIN IMMEDIATE" if is_sqlite(engine) else "BEGIN"


def begin_read(engine: Engine) -> str:
    """One snapshot for all statements of a read."""
    return "BEGIN" if is_sqlite(engine) else "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


def ahead(tx: Any, now: Callable[[], datetime]) -> timedelta:
    """How far `now` is ahead of the database's clock (behind: below zero), less what the round trip may explain.

    SQLite has our own clock.
    """
    if is_sqlite(tx):
        return timedelta(0)
    before = now()
    ((seconds,),) = tx.all(_NOW)
    half = (now() - before) / 2
    apart = before + half - datetime.fromtimestamp(seconds, UTC)
    return apart - max(-half, min(half, apart))


def lock_schema(connection: Connection) -> None:
    """Inside a transaction: let nobody else change tables until it ends. On SQLite its write lock does so already."""
    if not is_sqlite(connection):
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
    """Whether the same write may simply be run again: a deadlock, a lost race for a key.

    Not when it has waited for a lock in vain: to wait again is to wait longer, and keeps a thread from the others.
    """
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
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return errors.StoreUnavailable("Another write holds what this one needs, for too long. Nothing was stored.")
    if isinstance(error, psycopg.errors.IdleInTransactionSessionTimeout):
        return errors.StoreUnavailable("This write stood still for too long. Nothing was stored.")
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
