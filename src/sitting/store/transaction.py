"""One transaction as the rest of the store sees it: statements in, plain rows out.

Statements are SQLAlchemy Core. A `Hot` one is compiled once per dialect and then handed to the driver as text, which
is what makes an append cheap; any other is compiled when it is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import ClauseElement

log = structlog.get_logger("sitting.store")


class Cursor(Protocol):
    """What a driver's connection gives back."""

    rowcount: int

    def fetchall(self) -> list[tuple[Any, ...]]: ...

    def fetchone(self) -> tuple[Any, ...] | None: ...


class Driver(Protocol):
    """A driver's connection: sqlite3's or psycopg's."""

    def execute(self, sql: str, parameters: Any = ...) -> Cursor: ...


class Hot:
    """A statement that is run often, with named parameters."""

    def __init__(self, statement: ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def compiled(self, dialect: Dialect) -> _Compiled:
        """What the driver is given, made once."""
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _compile(self._statement, dialect)
        return found


class Tx:
    """A transaction. `staged` holds what a write wants remembered once it is committed; it is dropped on rollback.

    `broken` is why it must not be committed any more: something could not be taken back.
    """

    def __init__(self, driver: Driver, dialect: Dialect, *, locks: bool) -> None:
        self._driver = driver
        self.dialect = dialect
        self.locks = locks
        self.staged: dict[str, Any] = {}
        self.broken: BaseException | None = None
        self._after: list[Callable[[], object]] = []
        self._depth = 0
        self._changes = 0

    def all(self, statement: Hot | ClauseElement, /, **values: Any) -> list[tuple[Any, ...]]:
        """Every row."""
        return self._execute(statement, values).fetchall()

    def one(self, statement: Hot | ClauseElement, /, **values: Any) -> tuple[Any, ...] | None:
        """The first row, or None."""
        return self._execute(statement, values).fetchone()

    def run(self, statement: Hot | ClauseElement, /, **values: Any) -> int:
        """How many rows were changed."""
        changed = self._execute(statement, values).rowcount
        self._changes += changed != 0
        return changed

    def after_commit(self, hook: Callable[[], object]) -> None:
        """Call `hook` once what was written is durable; never when it is rolled back."""
        self._after.append(hook)

    @property
    def is_open(self) -> bool:
        """Whether the database still has this transaction; a full disk may have ended it. SQLite only."""
        return bool(self._driver.in_transaction)  # type: ignore[attr-defined]

    def mark(self) -> tuple[int, int, dict[str, Any]]:
        """A point to compare with, before a part that may fail."""
        return self._changes, len(self._after), dict(self.staged) if self.staged else {}

    def unchanged_since(self, mark: tuple[int, int, dict[str, Any]]) -> bool:
        """Whether nothing was written since a mark; what was only staged since is dropped."""
        changes, hooks, staged = mark
        self._after, self.staged = self._after[:hooks], staged
        return self._changes == changes

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """What is done inside is taken back when it raises; what was done before stays."""
        self._depth += 1
        name = f"s{self._depth}"
        staged, hooks, changes = dict(self.staged), len(self._after), self._changes
        self._driver.execute(f"SAVEPOINT {name}")
        try:
            yield
            self._driver.execute(f"RELEASE SAVEPOINT {name}")
        except BaseException:
            self.staged, self._after = staged, self._after[:hooks]
            try:
                self._driver.execute(f"ROLLBACK TO SAVEPOINT {name}")
                self._driver.execute(f"RELEASE SAVEPOINT {name}")
                self._changes = changes
            except Exception as failed:
                # A full disk or a lost connection has ended the whole transaction; the first error is the one to tell.
                self.broken = self.broken or failed
            raise
        finally:
            self._depth -= 1

    def committed(self) -> None:
        """Tell those who asked to know. Called by the store, after COMMIT returned, so none can change the answer."""
        hooks, self._after = self._after, []
        for hook in hooks:
            try:
                hook()
            except Exception as error:
                log.error("telling of a commit failed", error=type(error).__name__)

    def _execute(self, statement: Hot | ClauseElement, values: Mapping[str, Any]) -> Cursor:
        made = statement.compiled(self.dialect) if isinstance(statement, Hot) else _compile(statement, self.dialect)
        if made.literals:
            values = {**made.literals, **values}
        return self._driver.execute(made.sql, values if made.order is None else [values[name] for name in made.order])


@dataclass(frozen=True)
class _Compiled:
    """The driver's text, the order of its parameters where they are positional, and the values it brings itself."""

    sql: str
    order: tuple[str, ...] | None
    literals: Mapping[str, Any]


def _compile(statement: ClauseElement, dialect: Dialect) -> _Compiled:
    made: Any = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    order = tuple(made.positiontup) if dialect.positional else None
    bound = {name: value for name, value in made.params.items() if not _is_open(made, name)}
    return _Compiled(str(made), order, bound)


def _is_open(made: Any, name: str) -> bool:
    """Whether a parameter was left to be given at run time (`bindparam("name")`)."""
    bind = made.binds.get(name)
    return bind is not None and bool(bind.required)
