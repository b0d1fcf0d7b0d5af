"""Events as rows. Data is kept as its canonical text and handed back as it was written."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence

from sqlalchemy import bindparam, insert, select, text, update

from ..core.chain import Part, Record
from ..core.event import Event, from_text
from . import installed
from .schema import COPIED, events, parts
from .transaction import Hot, Tx

_APPEND = Hot(insert(events).values({column.name: bindparam(column.name) for column in events.c}))
_APPEND_PART = Hot(insert(parts).values({column.name: bindparam(column.name) for column in parts.c}))
_COLUMNS = (
    events.c.seq,
    events.c.type,
    events.c.actor,
    events.c.role,
    events.c.at,
    events.c.data,
    events.c.salt,
    events.c.body,
    events.c.hash,
)
_PART_COLUMNS = (parts.c.seq, parts.c.owner, parts.c.commitment, parts.c.content, parts.c.salt)
_AFTER = Hot(
    select(*_COLUMNS)
    .where(
        events.c.session == bindparam("session_"),
        events.c.seq > bindparam("after_"),
        events.c.seq <= bindparam("upto_"),
    )
    .order_by(events.c.seq)
    .limit(bindparam("limit_"))
)
_PARTS_BETWEEN = Hot(
    select(*_PART_COLUMNS)
    .where(
        parts.c.session == bindparam("session_"), parts.c.seq >= bindparam("first_"), parts.c.seq <= bindparam("last_")
    )
    .order_by(parts.c.seq, parts.c.owner)
)
LAST = 2**62
PAGE = 500


def append(tx: Tx, session: str, records: Sequence[Record]) -> None:
    """Write records at the end of a session's journal. The primary key refuses a place that is taken."""
    for record in records:
        tx.run(
            _APPEND,
            session=session,
            seq=record.seq,
            type=record.type,
            actor=record.actor,
            role=record.role,
            at=record.at,
            data=record.data,
            salt=record.salt,
            body=record.body,
            hash=record.hash,
        )
        for part in record.parts:
            tx.run(
                _APPEND_PART,
                session=session,
                seq=record.seq,
                owner=part.owner,
                commitment=part.commitment,
                content=part.text,
                salt=part.salt,
            )


def records(tx: Tx, session: str, *, after: int = 0, upto: int = LAST, limit: int = PAGE) -> list[Record]:
    """Records in order, contiguous from `after + 1`."""
    rows = tx.all(_AFTER, session_=session, after_=after, upto_=upto, limit_=limit)
    return _with_parts(tx, session, rows)


def every(tx: Tx, session: str, *, types: Collection[str] = (), upto: int = LAST) -> Iterator[Record]:
    """The whole journal, or all of some types, page by page."""
    after = 0
    while page := _following(tx, session, types=types, after=after, upto=upto):
        yield from page
        after = page[-1].seq


def _following(tx: Tx, session: str, *, types: Collection[str], after: int, upto: int) -> list[Record]:
    if types:
        return chosen(tx, session, types=types, after=after, before=upto + 1, newest=False)
    return records(tx, session, after=after, upto=upto)


def newest(tx: Tx, session: str, *, types: Collection[str] = (), before: int = LAST, limit: int = PAGE) -> list[Record]:
    """Records of some types (or all) below a position, newest first."""
    return chosen(tx, session, types=types, before=before, limit=limit, newest=True)[::-1]


def chosen(
    tx: Tx,
    session: str,
    *,
    types: Collection[str] = (),
    after: int = 0,
    before: int = LAST,
    limit: int = PAGE,
    newest: bool,
) -> list[Record]:
    """Records of some types (or all) between two positions, in order: the last ones there are, or the first."""
    wanted = select(*_COLUMNS).where(events.c.session == session, events.c.seq > after, events.c.seq < before)
    if types:
        wanted = wanted.where(events.c.type.in_(sorted(types)))
    rows = tx.all(wanted.order_by(events.c.seq.desc() if newest else events.c.seq).limit(limit))
    return _with_parts(tx, session, rows[::-1] if newest else rows)


def event(record: Record) -> Event:
    """The event that a record keeps; an erased part is None."""
    return Event(
        seq=record.seq,
        type=record.type,
        actor=record.actor,
        role=record.role,
        at=from_text(record.at),
        data=json.loads(record.data or "{}"),
        personal={part.owner: None if part.text is None else json.loads(part.text) for part in record.parts},
    )


def erase(tx: Tx, session: str, *, owners: Collection[str] | None = None) -> None:
    """Destroy the content and salt of some owners' parts, or of all; commitments stay. `Store.scrub` comes after."""
    installed.owe_scrub(tx)
    wanted = update(parts).where(parts.c.session == session).values(content=None, salt=None)
    tx.run(wanted if owners is None else wanted.where(parts.c.owner.in_(sorted(owners))))


def holders(tx: Tx, owner: str) -> list[str]:
    """The sessions in which something still stands that was copied from a session; `owner` is `session:<id>`."""
    wanted = select(parts.c.session).distinct()
    return [id for (id,) in tx.all(wanted.where(text(COPIED), parts.c.owner == owner, parts.c.content.is_not(None)))]


def _with_parts(tx: Tx, session: str, rows: Sequence[tuple[object, ...]]) -> list[Record]:
    if not rows:
        return []
    found: dict[int, list[Part]] = {}
    for seq, owner, commitment, content, salt in tx.all(
        _PARTS_BETWEEN, session_=session, first_=rows[0][0], last_=rows[-1][0]
    ):
        found.setdefault(seq, []).append(Part(owner, bytes(commitment), content, None if salt is None else bytes(salt)))
    return [
        Record(seq, type, actor, role, at, data, bytes(salt), bytes(body), bytes(hash), tuple(found.get(seq, ())))  # type: ignore[call-overload, arg-type]
        for seq, type, actor, role, at, data, salt, body, hash in rows
    ]
