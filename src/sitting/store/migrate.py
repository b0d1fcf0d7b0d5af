"""Bring a database's tables up to this version, one step a transaction.

Each step runs under the database's own lock together with the note that it has run: of several processes that start
at once, one runs it and the others find it done; a process killed in the middle leaves nothing for the next to mend.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect

from .. import errors
from . import Store, dialect, installed
from .schema import metadata

FOLDER = Path(__file__).with_name("migrations")
_STEP = re.compile(r"(\d{4})_\w+\.py")
NOTED = "alembic_version"


def upgrade(store: Store) -> tuple[str, ...]:
    """Run what is still to be run, and say which steps these were. An empty database gets every table.

    Raises:
        Misuse: the database is a newer version's, or not Sitting's.
    """
    done = []
    while check(store):
        if (step := _next(store)) is not None:
            done.append(step)
    return tuple(done)


def check(store: Store) -> tuple[str, ...]:
    """The steps still to be run. Raises Misuse as `upgrade` does."""
    with _translated(), store.engine.connect() as connection:
        return _pending(connection)


def epoch(store: Store) -> int:
    """The number every position begins with; it goes up with each restore."""
    return store.read(lambda tx: installed.number(tx, installed.EPOCH)).result()


def _pending(connection: Connection) -> tuple[str, ...]:
    steps = sorted(match[1] for path in FOLDER.iterdir() if (match := _STEP.fullmatch(path.name)))
    look = inspect(connection)
    row = None
    if look.has_table(NOTED):
        row = connection.exec_driver_sql(f"SELECT version_num FROM {NOTED}").first()  # noqa: S608
    if row is None:
        if strange := sorted(set(metadata.tables) & set(look.get_table_names())):
            raise errors.Misuse(f"This database is not Sitting's: it has a table '{strange[0]}' of its own.")
        return tuple(steps)
    if row[0] not in steps:
        raise errors.Misuse(
            f"This database was written by a newer version of Sitting (step {row[0]}; this version knows "
            f"{steps[-1]}). Install that version, or restore a backup made before it."
        )
    return tuple(steps[steps.index(row[0]) + 1 :])


def _next(store: Store) -> str | None:
    """Run one step, unless another process has just done so."""
    with _translated(), store.engine.connect() as connection:
        connection.exec_driver_sql(dialect.begin_schema(store.engine))
        try:
            dialect.lock_schema(connection)
            pending = _pending(connection)
            if pending:
                _run(connection, pending[0])
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            connection.exec_driver_sql("ROLLBACK")
            raise
        return pending[0] if pending else None


def _run(connection: Connection, step: str) -> None:
    # Alembic takes longer to load than the rest of the store together, and most starts have nothing to migrate.
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(FOLDER, version_locations=[FOLDER])
    script = scripts.get_revision(step)
    context = MigrationContext.configure(connection)
    with Operations.context(context):
        script.module.upgrade()
    context.stamp(scripts, step)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except errors.SittingError:
        raise
    except Exception as error:
        original = getattr(error, "orig", None)
        raise dialect.translated(original if isinstance(original, Exception) else error) from error
