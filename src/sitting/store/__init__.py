"""The only package that knows SQL. `read(fn)` and `write(fn)` run `fn(tx)` on the store's own threads.

On SQLite one writer thread takes every waiting write, runs one after the other, commits once and answers all (group
commit); when one fails after it has changed something, the group is run again without it. On PostgreSQL a few threads
each run one write. Either way a `fn` may be run again and must not do anything that cannot be repeated; what it returns
reaches the caller only after COMMIT has returned. A `fn` that raises leaves nothing behind; one that *returns* a
refusal has it raised to the caller, and what it wrote before stays.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine

from .. import errors
from . import dialect, installed
from .transaction import Driver, Tx

T = TypeVar("T")
log = structlog.get_logger("sitting.store")
MAX_BATCH = 256
PATIENCE_SECONDS = 0.005  # so that one stalled commit does not make the next ones wait
ATTEMPTS = 5
_STANDS = "It was erased, but may still stand in the database's files."
RESTS = 4  # how long writers have the disk to themselves between two scrubs, in times of the first one


@dataclass
class _Write:
    """A waiting write and where its result goes."""

    fn: Callable[[Tx], Any]
    future: Future[Any]
    result: Any = None
    error: BaseException | None = None


class Store:
    """A database, opened. Close it to end its threads."""

    def __init__(self, url: str, *, readers: int = 3, writers: int = 8) -> None:
        self.engine: Engine = dialect.connect(url, readers=readers, writers=writers)
        self.is_sqlite = dialect.is_sqlite(self.engine)
        self._begin_read, self._begin_write = dialect.begin_read(self.engine), dialect.begin_write(self.engine)
        self._reading = ThreadPoolExecutor(readers, thread_name_prefix="store-read")
        self._own = threading.local()
        self._connections: list[Connection] = []
        self._closed = False
        self._leaving = threading.Event()
        self._scrubbing = ThreadPoolExecutor(1, thread_name_prefix="store-scrub")
        self._rest_until = 0.0
        self._door = threading.Lock()  # so that nothing enters behind the one who closes, and waits for ever
        if self.is_sqlite:
            self._last_size = 0
            self._commit_seconds = 0.0
            self._ending = False
            self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
            self._writer = threading.Thread(target=self._write_in_groups, name="store-write", daemon=True)
            self._writer.start()
        else:
            self._writing = ThreadPoolExecutor(writers, thread_name_prefix="store-write")

    def read(self, fn: Callable[[Tx], T]) -> Future[T]:
        """Run `fn` on one snapshot. Raises StoreUnavailable through the future."""
        with self._door:
            return _refused() if self._closed else self._reading.submit(self._read, fn)

    def write(self, fn: Callable[[Tx], T | errors.Refusal]) -> Future[T]:
        """Run `fn` in a transaction; the future is done when it is durable or refused.

        Raises, through the future: what `fn` raises (nothing stored), DiskFull, StoreUnavailable.
        """
        with self._door:
            if self._closed:
                return _refused()
            if not self.is_sqlite:
                return self._writing.submit(self._write, fn)
            future: Future[T] = Future()
            self._queue.put(_Write(fn, future))
            return future

    def close(self) -> None:
        """Finish what is waiting, then close every connection."""
        with self._door:
            if self._leaving.is_set():
                return
            self._leaving.set()
        self._scrubbing.shutdown(wait=True)
        with self._door:
            self._closed = True
        if self.is_sqlite:
            self._queue.put(None)
            self._writer.join()
        else:
            self._writing.shutdown(wait=True)
        self._reading.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        self.engine.dispose()

    def scrub(self) -> Future[None]:
        """Leave nothing of what was erased in the files; at once when nothing was. One scrub serves all who wait.

        Raises StoreUnavailable, through the future: it may still stand there. The next call makes up for it.
        """
        with self._door:
            return _refused(_STANDS) if self._leaving.is_set() else self._scrubbing.submit(self._scrub)

    def _scrub(self) -> None:
        try:
            if (owed := self._owed()) is None:
                return
            self._leaving.wait(max(0.0, self._rest_until - time.monotonic()))
            owed = self._owed() or owed
            start = time.monotonic()
            if self.is_sqlite:  # the row may stand in another database, too: an earlier version wrote it everywhere
                with self.engine.connect() as connection:
                    dialect.scrub(_driver(connection), str(self.engine.url.database))
            end = time.monotonic()
            self._rest_until = end + RESTS * (end - start)
            self.write(lambda tx: installed.scrubbed(tx, owed)).result()
        except Exception as error:
            log.error("erased words may still stand in the database's files", error=type(error).__name__)
            raise errors.StoreUnavailable(_STANDS) from error

    def _owed(self) -> str | None:
        return self.read(lambda tx: installed.value(tx, installed.UNSCRUBBED)).result()

    def _read(self, fn: Callable[[Tx], T]) -> T:
        try:
            driver = self._begun(self._begin_read)
            try:
                return fn(Tx(driver, self.engine.dialect, locks=False))
            finally:
                self._roll_back(driver)
        except errors.SittingError:
            raise
        except Exception as error:
            raise dialect.translated(_original(error)) from error

    def _write(self, fn: Callable[[Tx], T | errors.Refusal]) -> T:
        """PostgreSQL: one write, one transaction, again when the database asks for it."""
        attempt = 0
        while True:
            attempt += 1
            try:
                driver = self._begun(self._begin_write)
                tx = Tx(driver, self.engine.dialect, locks=True)
                try:
                    result = fn(tx)
                    dialect.commit(driver)
                except BaseException:
                    self._roll_back(driver)
                    raise
                tx.committed()
                if isinstance(result, errors.Refusal):
                    raise result
                return result
            except errors.SittingError:
                raise
            except Exception as error:
                original = _original(error)
                if not dialect.again(original) or attempt == ATTEMPTS:
                    raise dialect.translated(original) from error

    def _begun(self, begin: str) -> Driver:
        """This thread's own connection with a transaction begun. One that was cut meanwhile is replaced, once."""
        old: Connection | None = getattr(self._own, "connection", None)
        if old is not None:
            driver = _driver(old)
            try:
                driver.execute(begin)
                return driver
            except Exception:
                self._discard()
        try:
            connection = self._own.connection = self.engine.connect()
        except Exception as error:
            raise errors.StoreUnavailable("The database cannot be reached. Nothing was stored.") from error
        self._connections.append(connection)
        driver = _driver(connection)
        driver.execute(begin)
        return driver

    def _discard(self) -> None:
        """Let go of this thread's connection; nobody knows what state it is in."""
        connection: Connection = self._own.connection
        del self._own.connection
        self._connections.remove(connection)
        connection.invalidate()
        connection.close()

    def _roll_back(self, driver: Driver) -> None:
        """End a transaction that failed; a connection that cannot even do that is not used again."""
        if not _rolled_back(driver):
            self._discard()

    def _write_in_groups(self) -> None:
        """SQLite: the writer thread."""
        connection = None
        while (first := self._queue.get()) is not None:
            if not first.future.set_running_or_notify_cancel():
                continue
            group = [first]
            try:
                if connection is None:
                    connection = self.engine.connect()
                self._commit(_driver(connection), self._gathered(group), group)
            except BaseException as error:
                _fail(group, error)
            self._last_size = len(group)
            _answer(group)
            if self._ending:
                break
        if connection is not None:
            connection.close()

    def _gathered(self, group: list[_Write]) -> Iterator[_Write]:
        """The first of a group, then what waits and what comes while they run, added to `group` as they are taken.

        Those who were answered together come back together. So when the last group was larger than this one is so far,
        it is worth waiting a quarter of what a commit takes; a single writer never waits.
        """
        yield group[0]
        while len(group) < MAX_BATCH:
            try:
                patience = min(self._commit_seconds / 4, PATIENCE_SECONDS) if len(group) < self._last_size else 0.0
                following = self._queue.get(timeout=patience) if patience else self._queue.get_nowait()
            except queue.Empty:
                return
            if following is None:
                self._ending = True
                return
            if following.future.set_running_or_notify_cancel():
                group.append(following)
                yield following

    def _commit(self, driver: Driver, writes: Iterator[_Write], group: list[_Write]) -> None:
        """Run a group in one transaction. Either all that succeeded are durable, or every one of them fails."""
        driver.execute(self._begin_write)
        tx = Tx(driver, self.engine.dialect, locks=False)
        try:
            for write in writes:
                if not _ran(tx, write):
                    tx = self._without_failed(driver, group)
            start = time.perf_counter()
            driver.execute("COMMIT")
            self._commit_seconds = time.perf_counter() - start
        except BaseException:
            _rolled_back(driver)
            raise
        tx.committed()

    def _without_failed(self, driver: Driver, group: list[_Write]) -> Tx:
        """A write failed after it had changed something: take the whole transaction back and run the others again.

        That is rare (refusals come before the first change), and it spares every write a savepoint of its own.
        """
        while True:
            driver.execute("ROLLBACK")
            driver.execute(self._begin_write)
            tx = Tx(driver, self.engine.dialect, locks=False)
            if all(_ran(tx, write) for write in group if write.error is None):
                return tx


def _refused(said: str = "The store is closed. Nothing was stored.") -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(errors.StoreUnavailable(said))
    return future


def _driver(connection: Any) -> Driver:
    driver: Driver = connection.connection.driver_connection
    return driver


def _rolled_back(driver: Driver) -> bool:
    """End a transaction that failed. A connection that is gone has ended it already; False then."""
    try:
        driver.execute("ROLLBACK")
    except Exception:
        return False
    return True


def _original(error: Exception) -> Exception:
    """The driver's own error inside SQLAlchemy's."""
    inner = getattr(error, "orig", None)
    return inner if isinstance(inner, Exception) else error


def _ran(tx: Tx, write: _Write) -> bool:
    """Run one write of a group; False when it failed and has left changes behind. A lost transaction is raised."""
    before = tx.mark()
    try:
        write.result = write.fn(tx)
    except Exception as error:
        if not tx.is_open:
            raise
        write.error = _known(error)
    if tx.broken is not None:
        raise tx.broken
    return write.error is None or tx.unchanged_since(before)


def _known(error: Exception) -> Exception:
    return error if isinstance(error, errors.SittingError) else dialect.translated(_original(error))


def _fail(group: list[_Write], error: BaseException) -> None:
    known = _known(error) if isinstance(error, Exception) else error
    for write in group:
        write.error = write.error or known


def _settle(future: Future[Any], error: BaseException | None, result: Any) -> None:
    if error is None and isinstance(result, errors.Refusal):
        error = result
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


def _answer(group: list[_Write]) -> None:
    for write in group:
        _settle(write.future, write.error, write.result)
