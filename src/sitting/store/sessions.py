"""Sessions as rows: the folded state, its collections, who may, counters, and the answers kept for a repeat."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, delete, exists, func, insert, or_, select, update

from .. import errors
from ..core.event import from_text, to_text
from ..core.kind import Grant
from ..core.session import MAX_DATA_BYTES, Session
from .schema import answers, counters, grants, items, sessions
from .transaction import Hot, Tx

_COLUMNS = (
    sessions.c.id,
    sessions.c.kind,
    sessions.c.space,
    sessions.c.state,
    sessions.c.seq,
    sessions.c.version,
    sessions.c.data,
    sessions.c.head,
    sessions.c.key,
    sessions.c.subject,
    sessions.c.created_at,
    sessions.c.updated_at,
    sessions.c.erased_at,
)
_VERSION = Hot(select(sessions.c.version).where(sessions.c.id == bindparam("id_")))
_VERSION_LOCKED = Hot(select(sessions.c.version).where(sessions.c.id == bindparam("id_")).with_for_update())
_LOAD = Hot(select(*_COLUMNS).where(sessions.c.id == bindparam("id_")))
_ITEMS = Hot(select(items.c.collection, items.c.id, items.c.value).where(items.c.session == bindparam("id_")))
_GRANTS = Hot(select(grants.c.grantee, grants.c.role, grants.c.expires_at).where(grants.c.session == bindparam("id_")))
_INSERT = Hot(
    insert(sessions).values(
        {column.name: bindparam(column.name) for column in sessions.c if column.name != "erased_at"}
    )
)
_MOVE = Hot(
    update(sessions)
    .where(sessions.c.id == bindparam("id_"))
    .values({name: bindparam(name) for name in ("state", "seq", "version", "head", "due_at", "updated_at")})
)
_UPDATE = Hot(
    update(sessions)
    .where(sessions.c.id == bindparam("id_"))
    .values(
        {
            name: bindparam(name)
            for name in ("state", "seq", "version", "head", "due_at", "updated_at", "data", "search", "key", "subject")
        }
    )
)
_FIND = Hot(
    select(sessions.c.id).where(
        sessions.c.kind == bindparam("kind_"),
        sessions.c.key_scope == bindparam("scope_"),
        sessions.c.key == bindparam("key_"),
    )
)
_GRANTED = Hot(
    select(grants.c.session, grants.c.role, grants.c.expires_at).where(grants.c.grantee == bindparam("grantee_"))
)
_DROP_GRANT = Hot(
    delete(grants).where(grants.c.session == bindparam("session_"), grants.c.grantee == bindparam("grantee_"))
)
_ADD_GRANT = Hot(
    insert(grants).values(
        session=bindparam("session_"),
        grantee=bindparam("grantee_"),
        role=bindparam("role_"),
        expires_at=bindparam("expires_"),
    )
)
_DROP_ITEM = Hot(
    delete(items).where(
        items.c.session == bindparam("session_"),
        items.c.collection == bindparam("collection_"),
        items.c.id == bindparam("id_"),
    )
)
_ADD_ITEM = Hot(
    insert(items).values(
        session=bindparam("session_"),
        collection=bindparam("collection_"),
        id=bindparam("id_"),
        value=bindparam("value_"),
    )
)
_ANSWER = Hot(
    select(answers.c.session, answers.c.request, answers.c.answer, answers.c.expires_at).where(
        answers.c.scope == bindparam("scope_"), answers.c.key == bindparam("key_")
    )
)
_COUNTER = Hot(select(counters.c.amount).where(counters.c.account == bindparam("account_")))
_ADD_COUNTER = Hot(insert(counters).values({column.name: bindparam(column.name) for column in counters.c}))
_CHARGE = Hot(
    update(counters)
    .where(counters.c.account == bindparam("account_"), counters.c.amount + bindparam("amount_") <= bindparam("limit_"))
    .values(amount=counters.c.amount + bindparam("amount_"))
)
_KEEP_ANSWER = Hot(insert(answers).values({column.name: bindparam(column.name) for column in answers.c}))
_DUE = Hot(
    select(sessions.c.id, sessions.c.due_at)
    .where(sessions.c.due_at.is_not(None))
    .order_by(sessions.c.due_at)
    .limit(bindparam("limit_"))
)


@dataclass(frozen=True)
class Held:
    """A session as stored: folded state, who may, the head of its chain, and a version that every write moves."""

    session: Session
    version: int
    head: bytes
    grants: Mapping[str, tuple[str, datetime | None]]
    erased: bool = False


def version(tx: Tx, id: str) -> int | None:
    """The stored version, or None when there is no such session. A write locks the row until it ends."""
    row = tx.one(_VERSION_LOCKED if tx.locks else _VERSION, id_=id)
    return None if row is None else int(row[0])


def load(tx: Tx, id: str, *, epoch: int) -> Held | None:
    """Everything the engine needs of one session."""
    row = tx.one(_LOAD, id_=id)
    if row is None:
        return None
    collections: dict[str, dict[str, Any]] = {}
    for collection, item, value in tx.all(_ITEMS, id_=id):
        collections.setdefault(collection, {})[item] = json.loads(value)
    session = Session(
        id=row[0],
        kind=row[1],
        space=row[2],
        state=row[3],
        seq=row[4],
        data=json.loads(row[6]),
        items=collections,
        key=row[8],
        subject=row[9],
        created_at=from_text(row[10]),
        updated_at=from_text(row[11]),
        epoch=epoch,
    )
    granted = {
        grantee: (role, None if until is None else from_text(until)) for grantee, role, until in tx.all(_GRANTS, id_=id)
    }
    return Held(session, row[5], row[7], granted, row[12] is not None)


def save(
    tx: Tx,
    before: Held | None,
    after: Held,
    *,
    due_at: datetime | None,
    search: Callable[[Session], str],
    key_scope: str,
) -> None:
    """Write what changed between two versions of a session. `before` is None for a new one. Raises Misuse."""
    session = after.session
    old = before.session if before else Session(session.id, session.kind, session.space)
    row = {
        "state": session.state,
        "seq": session.seq,
        "version": after.version,
        "head": after.head,
        "due_at": None if due_at is None else to_text(due_at),
        "updated_at": _time(session.updated_at),
    }
    if before is None:
        tx.run(
            _INSERT,
            **row,
            id=session.id,
            kind=session.kind,
            space=session.space,
            data=_data(session),
            search=search(session).casefold(),
            key=session.key,
            key_scope=key_scope,
            subject=session.subject,
            created_at=_time(session.created_at),
        )
    elif (
        session.data is old.data
        and session.key == old.key
        and session.subject == old.subject
        and session.items is old.items
    ):
        tx.run(_MOVE, id_=session.id, **row)
    else:
        tx.run(
            _UPDATE,
            id_=session.id,
            **row,
            data=_data(session),
            search=search(session).casefold(),
            key=session.key,
            subject=session.subject,
        )
    if session.items is not old.items:
        _save_items(tx, session.id, old.items, session.items)


def _save_items(tx: Tx, id: str, old: Mapping[str, Mapping[str, Any]], new: Mapping[str, Mapping[str, Any]]) -> None:
    for collection in {*old, *new}:
        was, now = old.get(collection, {}), new.get(collection, {})
        if was is now:
            continue
        for item in [item for item in was if item not in now or was[item] is not now[item]]:
            tx.run(_DROP_ITEM, session_=id, collection_=collection, id_=item)
        for item, value in now.items():
            if item not in was or was[item] is not value:
                tx.run(_ADD_ITEM, session_=id, collection_=collection, id_=item, value_=_json(value))


def give(tx: Tx, id: str, wanted: Iterable[Grant]) -> None:
    """Give and take roles in a session."""
    for grant in wanted:
        tx.run(_DROP_GRANT, session_=id, grantee_=grant.grantee)
        if grant.role is not None:
            until = None if grant.expires_at is None else to_text(grant.expires_at)
            tx.run(_ADD_GRANT, session_=id, grantee_=grant.grantee, role_=grant.role, expires_=until)


def find(tx: Tx, kind: str, key: str, *, scope: str) -> str | None:
    """The id of the session that holds a key."""
    row = tx.one(_FIND, kind_=kind, key_=key, scope_=scope)
    return None if row is None else row[0]


def granted(tx: Tx, grantee: str) -> list[tuple[str, str, datetime | None]]:
    """The sessions a grantee has a role in: (session, role, expires_at)."""
    return [
        (session, role, None if until is None else from_text(until))
        for session, role, until in tx.all(_GRANTED, grantee_=grantee)
    ]


def about(tx: Tx, subject: str, kinds: Collection[str]) -> list[str]:
    """The ids of the sessions of some kinds whose subject is this one, oldest first."""
    wanted = select(sessions.c.id).where(sessions.c.subject == subject, sessions.c.kind.in_(sorted(kinds)))
    return [id for (id,) in tx.all(wanted.order_by(sessions.c.created_at, sessions.c.id))]


def every(tx: Tx) -> list[str]:
    """The ids of all sessions, erased ones included, oldest first."""
    return [id for (id,) in tx.all(select(sessions.c.id).order_by(sessions.c.created_at, sessions.c.id))]


def due(tx: Tx, *, limit: int) -> list[tuple[str, datetime]]:
    """The sessions whose deadlines come first."""
    return [(id, from_text(at)) for id, at in tx.all(_DUE, limit_=limit)]


def heads(tx: Tx, ids: Sequence[str]) -> dict[str, tuple[int, int]]:
    """(seq, version) of some sessions, for the sweep that makes wake-ups optional."""
    found: dict[str, tuple[int, int]] = {}
    for start in range(0, len(ids), 500):
        wanted = select(sessions.c.id, sessions.c.seq, sessions.c.version).where(
            sessions.c.id.in_(ids[start : start + 500])
        )
        found.update({id: (seq, version) for id, seq, version in tx.all(wanted)})
    return found


@dataclass(frozen=True)
class Wanted:
    """Which sessions a list shows. `everything` skips the question whether `grantee` has a grant.

    Where a role is `inherited`, a session is also shown for a grant in what it is about, or because that is of a kind
    that `grantee` has a standing in.
    `having` are elements (collection, id) that a session must all have; `since` and `until` bound its creation.
    """

    kind: str
    space: str
    grantee: str
    now: datetime
    everything: bool
    inherited: bool
    standing: tuple[str, ...] = ()
    state: str = ""
    q: str = ""
    subject: str = ""
    limit: int = 50
    offset: int = 0
    having: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None
    until: datetime | None = None


def listed(tx: Tx, wanted: Wanted) -> tuple[list[str], int]:
    """Ids, newest first (ties by id), and how many there are in all."""
    conditions = [sessions.c.space == wanted.space, sessions.c.kind == wanted.kind, sessions.c.erased_at.is_(None)]
    if not wanted.everything:
        mine = select(grants.c.session).where(
            grants.c.grantee == wanted.grantee,
            or_(grants.c.expires_at.is_(None), grants.c.expires_at > to_text(wanted.now)),
        )
        allowed = [sessions.c.id.in_(mine)]
        if wanted.inherited:
            subjects = sessions.alias()
            stood_in = and_(subjects.c.space == wanted.space, subjects.c.kind.in_(wanted.standing))
            allowed.append(sessions.c.subject.in_(mine))
            allowed.append(
                sessions.c.subject.in_(select(subjects.c.id).where(stood_in, subjects.c.erased_at.is_(None)))
            )
        conditions.append(or_(*allowed))
    if wanted.state:
        conditions.append(sessions.c.state == wanted.state)
    if wanted.subject:
        conditions.append(sessions.c.subject == wanted.subject)
    if wanted.q:
        conditions.append(sessions.c.search.contains(wanted.q.casefold(), autoescape=True))
    if wanted.since is not None:
        conditions.append(sessions.c.created_at >= _at_or_after(wanted.since))
    if wanted.until is not None:
        conditions.append(sessions.c.created_at <= to_text(wanted.until))
    for collection, id in wanted.having:
        conditions.append(
            exists().where(items.c.session == sessions.c.id, items.c.collection == collection, items.c.id == id)
        )
    where = and_(*conditions)
    total = tx.one(select(func.count()).select_from(sessions).where(where))
    rows = tx.all(
        select(sessions.c.id)
        .where(where)
        .order_by(sessions.c.created_at.desc(), sessions.c.id.desc())
        .limit(wanted.limit)
        .offset(wanted.offset)
    )
    return [row[0] for row in rows], int(total[0]) if total else 0


def charge(tx: Tx, account: str, *, amount: int, limit: int, until: datetime | None = None) -> bool:
    """Add to a counter unless it would pass its limit; False then. A new one may be forgotten after `until`."""
    if tx.run(_CHARGE, account_=account, amount_=amount, limit_=limit):
        return True
    if amount > limit:
        return False
    if tx.one(_COUNTER, account_=account) is not None:
        # It may have been made by another since the first try, which then said nothing about the limit.
        return tx.run(_CHARGE, account_=account, amount_=amount, limit_=limit) > 0
    tx.run(_ADD_COUNTER, account=account, amount=amount, expires_at=None if until is None else to_text(until))
    return True


def count(tx: Tx, account: str) -> int:
    """What a counter stands at."""
    row = tx.one(_COUNTER, account_=account)
    return int(row[0]) if row else 0


@dataclass(frozen=True)
class Answer:
    """What a request with an Idempotency-Key was answered: the session, the request's digest and the bytes."""

    session: str
    request: bytes
    answer: bytes


def answer(tx: Tx, scope: str, key: str, *, now: datetime) -> Answer | None:
    """The stored answer, unless it has expired."""
    row = tx.one(_ANSWER, scope_=scope, key_=key)
    if row is None:
        return None
    if row[3] <= to_text(now):
        tx.run(delete(answers).where(answers.c.scope == scope, answers.c.key == key))
        return None
    return Answer(row[0], bytes(row[1]), bytes(row[2]))


def keep_answer(
    tx: Tx, scope: str, key: str, *, session: str, request: bytes, answer: bytes, expires_at: datetime
) -> None:
    """Store an answer with the write it belongs to."""
    tx.run(
        _KEEP_ANSWER,
        scope=scope,
        key=key,
        session=session,
        request=request,
        answer=answer,
        expires_at=to_text(expires_at),
    )


def forget_answers(tx: Tx, session: str) -> None:
    """Drop the stored answers of a session."""
    tx.run(delete(answers).where(answers.c.session == session))


def forget_expired(tx: Tx, now: datetime) -> None:
    """Drop the answers and the counters whose time is over."""
    for table in (answers, counters):
        tx.run(delete(table).where(table.c.expires_at <= to_text(now)))


def erase(tx: Tx, id: str, *, version: int, now: datetime) -> None:
    """Empty a session's row and collections, free its key and take every grant; the id stays taken."""
    tx.run(
        update(sessions)
        .where(sessions.c.id == id)
        .values(data="{}", search="", key=None, subject=None, due_at=None, erased_at=to_text(now), version=version)
    )
    tx.run(delete(items).where(items.c.session == id))
    tx.run(delete(grants).where(grants.c.session == id))


def _at_or_after(at: datetime) -> str:
    """The first stored time that is not before `at`: the store keeps milliseconds."""
    return to_text(at + timedelta(microseconds=-at.microsecond % 1000))


def _data(session: Session) -> str:
    text = _json(session.data)
    if len(text) * 4 > MAX_DATA_BYTES and len(text.encode()) > MAX_DATA_BYTES:
        raise errors.Misuse(f"Kind {session.kind}: a session's data is larger than {MAX_DATA_BYTES} bytes.")
    return text


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _time(at: datetime | None) -> str:
    assert at is not None, "a stored session has events, so it has times"
    return to_text(at)
