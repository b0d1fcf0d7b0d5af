"""The only package that knows SQL. `read(fn)` and `write(fn)` run `fn(tx)` on the store's own threads.

On SQLite one writer thread takes every waiting write, runs each in its savepoint, commits once and answers all (group
commit). On PostgreSQL a few threads each run one write. Either way a `fn` may be run again and must not do anything
that cannot be repeated; what it returns reaches the caller only after COMMIT has returned.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import Engine

from .. import errors
from . import dialect
from .transaction import Driver, Tx

T = TypeVar("T")
MAX_BATCH = 256
ATTEMPTS = 5


@dataclass
class _Write:
    """A waiting write and where its result goes."""

    fn: Callable[[Tx], Any]
    future: Future[Any]
    result: Any = None
    error: BaseException | None = None
    hooks: list[Callable[[], None]] = field(default_factory=list)


class Store:
    """A database, opened. Close it to end its threads."""

    def __init__(self, url: str, *, readers: int = 3, writers: int = 8) -> None:
        self.engine: Engine = dialect.connect(url, readers=readers, writers=writers)
        self.is_sqlite = dialect.is_sqlite(self.engine)
        self._reading = ThreadPoolExecutor(readers, thread_name_prefix="store-read")
        self._closed = False
        if self.is_sqlite:
            self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
            self._writer = threading.Thread(target=self._write_in_groups, name="store-write", daemon=True)
            self._writer.start()
        else:
            self._writing = ThreadPoolExecutor(writers, thread_name_prefix="store-write")

    def read(self, fn: Callable[[Tx], T]) -> Future[T]:
        """Run `fn` on one snapshot. Raises StoreUnavailable through the future."""
        return self._reading.submit(self._read, fn)

    def write(self, fn: Callable[[Tx], T]) -> Future[T]:
        """Run `fn` in a transaction; the future is done when it is durable or refused.

        Raises, through the future: what `fn` raises (nothing stored), DiskFull, StoreUnavailable.
        """
        if self._closed:
            raise errors.StoreUnavailable("The store is closed.")
        if not self.is_sqlite:
            return self._writing.submit(self._write, fn)
        future: Future[T] = Future()
        self._queue.put(_Write(fn, future))
        return future

    def close(self) -> None:
        """Finish what is waiting, then close every connection."""
        if self._closed:
            return
        self._closed = True
        if self.is_sqlite:
            self._queue.put(None)
            self._writer.join()
        else:
            self._writing.shutdown(wait=True)
        self._reading.shutdown(wait=True)
        self.engine.dispose()

    def truncate_log(self) -> None:
        """Make sure that erased content is no longer in the write-ahead log either. SQLite only."""
        if self.is_sqlite:
            with self.engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _read(self, fn: Callable[[Tx], T]) -> T:
        try:
            with self.engine.connect() as connection:
                driver = _driver(connection)
                driver.execute(dialect.begin_read(self.engine))
                try:
                    return fn(Tx(driver, self.engine.dialect, locks=False))
                finally:
                    driver.execute("ROLLBACK")
        except errors.SittingError:
            raise
        except Exception as error:
            raise dialect.translated(_original(error)) from error

    def _write(self, fn: Callable[[Tx], T]) -> T:
        """PostgreSQL: one write, one transaction, again when the database asks for it."""
        for attempt in range(ATTEMPTS):
            try:
                with self.engine.connect() as connection:
                    driver = _driver(connection)
                    tx = Tx(driver, self.engine.dialect, locks=True)
                    driver.execute(dialect.begin_write(self.engine))
                    try:
                        result = fn(tx)
                        driver.execute("COMMIT")
                    except BaseException:
                        _roll_back(driver)
                        raise
                tx.committed()
                return result
            except errors.SittingError:
                raise
            except Exception as error:
                original = _original(error)
                if not dialect.again(original) or attempt == ATTEMPTS - 1:
                    raise dialect.translated(original) from error
        raise errors.StoreUnavailable()

    def _write_in_groups(self) -> None:
        """SQLite: the writer thread."""
        connection = None
        while (first := self._queue.get()) is not None:
            group = [first]
            last = False
            while len(group) < MAX_BATCH and not self._queue.empty():
                following = self._queue.get()
                if following is None:
                    last = True
                    break
                group.append(following)
            group = [write for write in group if write.future.set_running_or_notify_cancel()]
            try:
                if connection is None:
                    connection = self.engine.connect()
                self._commit(_driver(connection), group)
            except BaseException as error:
                _fail(group, error)
            _answer(group)
            if last:
                break
        if connection is not None:
            connection.close()

    def _commit(self, driver: Driver, group: list[_Write]) -> None:
        """Run a group in one transaction. Either all that succeeded are durable, or every one of them fails."""
        driver.execute("BEGIN IMMEDIATE")
        tx = Tx(driver, self.engine.dialect, locks=False)
        try:
            for write in group:
                try:
                    with tx.savepoint():
                        write.result = write.fn(tx)
                except Exception as error:
                    if not driver.in_transaction:  # type: ignore[attr-defined]
                        raise
                    write.error = _known(error)
            driver.execute("COMMIT")
        except BaseException:
            _roll_back(driver)
            raise
        tx.committed()


def _driver(connection: Any) -> Driver:
    driver: Driver = connection.connection.driver_connection
    return driver


def _roll_back(driver: Driver) -> None:
    """End a transaction that failed; a connection that is gone has ended it already."""
    try:
        driver.execute("ROLLBACK")
    except Exception:
        return


def _original(error: Exception) -> Exception:
    """The driver's own error inside SQLAlchemy's."""
    inner = getattr(error, "orig", None)
    return inner if isinstance(inner, Exception) else error


def _known(error: Exception) -> Exception:
    return error if isinstance(error, errors.SittingError) else dialect.translated(_original(error))


def _fail(group: list[_Write], error: BaseException) -> None:
    known = _known(error) if isinstance(error, Exception) else error
    for write in group:
        write.error = write.error or known


def _answer(group: list[_Write]) -> None:
    for write in group:
        if write.error is not None:
            write.future.set_exception(write.error)
        else:
            write.future.set_result(write.result)
