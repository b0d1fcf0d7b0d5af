"""The few values an installation keeps about itself.

`format`, `epoch`, `access`, `signed_in_at`, and on SQLite `unscrubbed` while something that was erased may still stand
in the database's files; its value tells one such time from the next.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Text, bindparam, cast, delete, insert, select, update

from .. import entropy
from . import dialect
from .schema import installation
from .transaction import Hot, Tx

FORMAT, EPOCH, ACCESS, SIGNED_IN_AT, UNSCRUBBED = "format", "epoch", "access", "signed_in_at", "unscrubbed"

_VALUE = Hot(select(installation.c.value).where(installation.c.name == bindparam("name_")))


def value(tx: Tx, name: str) -> str | None:
    """A value, or None where it was never written."""
    row = tx.one(_VALUE, name_=name)
    return None if row is None else str(row[0])


def number(tx: Tx, name: str) -> int:
    """A value that counts; 0 where it was never written."""
    return int(value(tx, name) or 0)


def add(tx: Tx, name: str, amount: int = 1) -> None:
    """Count on, so that of two transactions at once neither is lost."""
    more = cast(cast(installation.c.value, BigInteger) + amount, Text)
    tx.run(update(installation).where(installation.c.name == name).values(value=more))


def note(tx: Tx, name: str, value: str) -> None:
    """Write a value for the first time."""
    tx.run(insert(installation).values(name=name, value=value))


def owe_scrub(tx: Tx) -> None:
    """Note that something is erased in this transaction. PostgreSQL's files are its own: there nothing is owed.

    One row for every erasure would have all of them wait for each other there, and some refused.
    """
    if dialect.is_sqlite(tx):
        tx.run(delete(installation).where(installation.c.name == UNSCRUBBED))
        note(tx, UNSCRUBBED, entropy.fresh(8).hex())


def scrubbed(tx: Tx, owed: str) -> None:
    """Nothing is owed any more, unless more was erased since `owed` was read."""
    tx.run(delete(installation).where(installation.c.name == UNSCRUBBED, installation.c.value == owed))
