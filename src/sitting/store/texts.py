"""What a running turn has written: rows by offset in code points, gone when the final event carries the whole."""

from __future__ import annotations

from sqlalchemy import bindparam, delete, func, insert, select

from .schema import texts
from .transaction import Hot, Tx

_WRITE = Hot(insert(texts).values({column.name: bindparam(column.name) for column in texts.c}))
_READ = Hot(
    select(texts.c.off, texts.c.text)
    .where(texts.c.session == bindparam("session_"), texts.c.job == bindparam("job_"))
    .order_by(texts.c.off)
)
_FORGET = Hot(delete(texts).where(texts.c.session == bindparam("session_"), texts.c.job == bindparam("job_")))
_EARLIER = texts.alias()
_SINCE = Hot(
    select(texts.c.off, texts.c.text)
    .where(
        texts.c.session == bindparam("session_"),
        texts.c.job == bindparam("job_"),
        texts.c.off
        >= select(func.max(_EARLIER.c.off))
        .where(
            _EARLIER.c.session == bindparam("session_"),
            _EARLIER.c.job == bindparam("job_"),
            _EARLIER.c.off <= bindparam("after_"),
        )
        .scalar_subquery(),
    )
    .order_by(texts.c.off)
)


def write(tx: Tx, session: str, job: str, *, off: int, text: str) -> None:
    """Append a piece. The primary key refuses an offset that is taken."""
    tx.run(_WRITE, session=session, job=job, off=off, text=text)


def read(tx: Tx, session: str, job: str) -> str:
    """The whole text so far."""
    return "".join(text for _, text in tx.all(_READ, session_=session, job_=job))


def since(tx: Tx, session: str, job: str, *, after: int) -> str | None:
    """What was written after an offset, read without what came before it; None when there is not that much."""
    rows = tx.all(_SINCE, session_=session, job_=job, after_=after)
    if not rows:
        return None if after else ""
    begin = after - int(rows[0][0])
    text = "".join(piece for _, piece in rows)
    return text[begin:] if begin <= len(text) else None


def forget(tx: Tx, session: str, job: str | None = None) -> None:
    """Drop the rows of one turn, or of a session's every turn."""
    if job is None:
        tx.run(delete(texts).where(texts.c.session == session))
    else:
        tx.run(_FORGET, session_=session, job_=job)
