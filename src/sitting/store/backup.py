"""The database to a file while everybody goes on working, and back from a file into an empty place.

* A backup gets its name only when it is complete, checked and on the disk; what a killed one leaves is called
  `.NAME.*.partial` and may be deleted.
* A restore never writes over anything. Its epoch is higher than any before, also when the same backup is restored
  twice, so that nobody's position in the lost history is mistaken for one in the new; and everybody signs in again.
* What was revoked or erased after the backup was made is back after a restore; the secret is not in a backup.
* PostgreSQL is left to its own programs, pg_dump and pg_restore, which must be on PATH.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pysqlite3
from sqlalchemy import inspect
from sqlalchemy.engine import URL

from .. import errors
from ..clock import Clock, SystemClock
from ..config import Settings
from . import Store, dialect, installed, migrate, people
from .schema import metadata
from .transaction import Tx


def backup(store: Store, target: Path) -> None:
    """Write a consistent copy to `target`.

    Raises:
        Misuse: `target` exists, or PostgreSQL's program is missing.
        DiskFull, StoreUnavailable: there is no backup then.
    """
    with _draft(target) as draft:
        if store.is_sqlite:
            _vacuum(store.engine.url, draft)
            _check(draft)
        else:
            _postgres("pg_dump", store.engine.url, "--format=custom", "--no-owner", "--no-privileges", "--file", draft)


def restore(settings: Settings, source: Path, *, clock: Clock | None = None) -> int:
    """Put a backup where there is no database yet; the new epoch.

    Raises:
        Misuse: there is a database, `source` is no backup, or it is a newer version's.
    """
    now = int((clock or SystemClock()).now().timestamp())
    url = dialect.address(settings.database_url)
    if not source.is_file():
        raise errors.Misuse(f"There is no file {source}.")
    if url.get_backend_name() != "sqlite":
        return _restore_postgres(settings, source, now)
    _check(source)
    target = Path(url.database or "")
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(Path(f"{target}{part}").exists() for part in ("", "-wal", "-shm")):
        raise errors.Misuse(f"There is a database at {target}, or a part of one; nothing was written over it.")
    with _draft(target) as draft:
        shutil.copyfile(source, draft)
        return _opened(f"sqlite:///{draft}", now)


def _opened(url: str, now: int) -> int:
    """Open the new history: an epoch of its own, and no sign-in from the old one."""

    def begin(tx: Tx) -> int:
        old = installed.number(tx, installed.EPOCH)
        installed.add(tx, installed.EPOCH, max(1, now - old))
        installed.add(tx, installed.ACCESS)
        people.drop_all_sign_ins(tx)
        installed.owe_scrub(tx)
        return installed.number(tx, installed.EPOCH)

    store = Store(url, readers=1, writers=1)
    try:
        migrate.check(store)
        epoch = store.write(begin).result()
        store.scrub().result()
        return epoch
    finally:
        store.close()


@contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """A file beside `target` that takes its name, durably, when the block succeeds, and is gone when it fails."""
    if target.exists():
        raise errors.Misuse(f"{target} exists already; nothing was written over it.")
    draft = target.with_name(f".{target.name}.{secrets.token_hex(8)}.partial")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        yield draft
        dialect.sync(draft)
        draft.rename(target)
        dialect.sync(target.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise errors.DiskFull() from error
        raise errors.Misuse(f"{target} cannot be written: {error.strerror}.") from error
    except pysqlite3.Error as error:
        raise dialect.translated(error) from error
    finally:
        for left in ("", "-wal", "-shm", "-journal"):
            Path(f"{draft}{left}").unlink(missing_ok=True)


def _vacuum(url: URL, draft: Path) -> None:
    # A connection of its own: a long copy must not hold one that readers or an erasure wait for.
    with closing(pysqlite3.connect(url.database, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout={dialect.SQLITE_BUSY_MS}")
        connection.execute("VACUUM INTO ?", (str(draft),))


def _check(file: Path) -> None:
    """Raises Misuse unless the file is a whole database that stands by itself."""
    if Path(f"{file}-wal").exists():
        raise errors.Misuse(f"{file} is a database in use, not a backup. Make one with `sitting backup`.")
    try:
        with closing(pysqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()
            epoch = connection.execute("SELECT value FROM installation WHERE name = 'epoch'").fetchone()
            there = connection.execute("SELECT type, name FROM sqlite_schema").fetchall()
    except pysqlite3.DatabaseError as error:
        raise errors.Misuse(f"{file} is not a backup, or is damaged: {error}.") from error
    if found != ("ok",) or epoch is None:
        raise errors.Misuse(f"{file} is damaged: {found[0] if epoch else 'it has no epoch'}.")
    # A trigger or a view would go on acting in the restored database. Names with sqlite_ are the library's own tables.
    strange = [(kind, name) for kind, name in there if kind not in ("table", "index") or not _is_known(name)]
    if strange:
        raise errors.Misuse(f"{file} holds the {' '.join(strange[0])}, which this version of Sitting does not know.")


def _is_known(name: str) -> bool:
    """Whether the schema has a table or an index of this name."""
    tables = metadata.tables.values()
    return name.startswith("sqlite_") or name in {migrate.NOTED, *metadata.tables} | {
        str(index.name) for table in tables for index in table.indexes
    }


def _restore_postgres(settings: Settings, source: Path, now: int) -> int:
    """pg_restore, then the new epoch. If it is interrupted, drop the database and begin again."""
    engine = dialect.connect(settings.database_url, readers=1, writers=1)
    try:
        with engine.connect() as connection:
            tables = inspect(connection).get_table_names()
    finally:
        engine.dispose()
    if tables:
        raise errors.Misuse("The database is not empty; nothing was written over it.")
    _postgres("pg_restore", engine.url, "--exit-on-error", "--single-transaction", "--no-owner", source)
    return _opened(settings.database_url, now)


def _postgres(program: str, url: URL, *arguments: str | Path) -> None:
    found = shutil.which(program)
    if found is None:
        raise errors.Misuse(f"{program} is not on PATH; it comes with PostgreSQL's client programs.")
    address = url.set(drivername="postgresql", password=None).render_as_string()
    environment = os.environ | ({"PGPASSWORD": url.password} if url.password else {})
    command = [found, "--no-password", f"--dbname={address}", *arguments]
    done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False)  # noqa: S603
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise errors.StoreUnavailable(f"{program} failed: {said[-1] if said else done.returncode}")
