"""Spaces, accounts and what proves that somebody is one, as rows. Of a credential only its SHA-256 is ever stored.

Whoever gives a new proof locks the account first, and whoever takes proofs away changes the account first; so a sign-in
that races with a new password or a disabled account either comes before and is ended, or comes after and is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Table, bindparam, delete, func, insert, literal_column, select, update

from ..core.event import from_text, to_text
from .schema import accounts, links, memberships, sign_ins, spaces, tokens
from .transaction import Hot, Tx


@dataclass(frozen=True)
class Account:
    """A row of accounts; `password` is argon2's encoded hash."""

    id: str
    email: str | None
    name: str
    password: str | None
    disabled: bool


@dataclass(frozen=True)
class Proof:
    """What a credential stands for now: an account that is not disabled, in a space it is a member of."""

    account: str
    space: str
    roles: frozenset[str]
    name: str
    email: str | None
    has_password: bool
    scopes: frozenset[str]
    until: datetime | None


@dataclass(frozen=True)
class Token:
    """An API token as its owner sees it again; the secret itself is shown once."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None


def _proof(table: Table, scopes: ColumnElement[str]) -> Hot:
    member = (memberships.c.account == table.c.account) & (memberships.c.space == table.c.space)
    wanted: Select[Any] = (
        select(
            table.c.account,
            table.c.space,
            memberships.c.roles,
            accounts.c.name,
            accounts.c.email,
            accounts.c.password.is_not(None),
            scopes,
            table.c.expires_at,
        )
        .select_from(table)
        .join(accounts, accounts.c.id == table.c.account)
        .join(memberships, member)
        .where(table.c.hash == bindparam("hash_"), accounts.c.disabled_at.is_(None))
    )
    return Hot(wanted)


_EVERYTHING: ColumnElement[str] = literal_column("'*'")
_BY_TOKEN = _proof(tokens, tokens.c.scopes)
_BY_SIGN_IN = _proof(sign_ins, _EVERYTHING)
_BY_LINK = _proof(links, _EVERYTHING)
_ACCOUNT = select(accounts.c.id, accounts.c.email, accounts.c.name, accounts.c.password, accounts.c.disabled_at)


def has_space(tx: Tx, id: str) -> bool:
    return tx.one(select(spaces.c.id).where(spaces.c.id == id)) is not None


def add_space(tx: Tx, id: str, name: str, *, now: datetime) -> None:
    tx.run(insert(spaces).values(id=id, name=name, created_at=to_text(now)))


def account(tx: Tx, id: str) -> Account | None:
    """An account; in a write it stays as it is until the transaction ends."""
    wanted = _ACCOUNT.where(accounts.c.id == id)
    return _account(tx.one(wanted.with_for_update() if tx.locks else wanted))


def account_by_email(tx: Tx, email: str) -> Account | None:
    return _account(tx.one(_ACCOUNT.where(accounts.c.email == email)))


def names(tx: Tx, ids: Collection[str]) -> dict[str, str]:
    """The names of some accounts, by id; of the first thousand, more than any page shows."""
    wanted = select(accounts.c.id, accounts.c.name).where(accounts.c.id.in_(sorted(ids)[:1000]))
    return {str(id): str(name) for id, name in tx.all(wanted)}


def _account(row: tuple[Any, ...] | None) -> Account | None:
    return None if row is None else Account(row[0], row[1], row[2], row[3], row[4] is not None)


def any_password(tx: Tx) -> bool:
    """Whether anybody could sign in with a password."""
    return tx.one(select(accounts.c.id).where(accounts.c.password.is_not(None)).limit(1)) is not None


def add_account(tx: Tx, id: str, *, email: str | None, name: str, password: str | None, now: datetime) -> None:
    tx.run(insert(accounts).values(id=id, email=email, name=name, password=password, created_at=to_text(now)))


def set_password(tx: Tx, id: str, password: str) -> None:
    tx.run(update(accounts).where(accounts.c.id == id).values(password=password))


def set_disabled(tx: Tx, id: str, at: datetime | None) -> None:
    tx.run(update(accounts).where(accounts.c.id == id).values(disabled_at=None if at is None else to_text(at)))


def set_roles(tx: Tx, space: str, account: str, roles: Iterable[str]) -> None:
    """Give the roles of a membership, all anew; none ends it."""
    tx.run(delete(memberships).where(memberships.c.space == space, memberships.c.account == account))
    if text := " ".join(sorted(roles)):
        tx.run(insert(memberships).values(space=space, account=account, roles=text))


def is_member(tx: Tx, space: str, account: str) -> bool:
    found = select(memberships.c.roles).where(memberships.c.space == space, memberships.c.account == account)
    return tx.one(found) is not None


def home(tx: Tx, account: str) -> str | None:
    """The space a password signs in to: the first the account is a member of."""
    row = tx.one(
        select(memberships.c.space).where(memberships.c.account == account).order_by(memberships.c.space).limit(1)
    )
    return None if row is None else str(row[0])


def by_token(tx: Tx, hash: str, *, now: datetime) -> Proof | None:
    return _standing(tx.one(_BY_TOKEN, hash_=hash), now)


def by_sign_in(tx: Tx, hash: str, *, now: datetime) -> Proof | None:
    return _standing(tx.one(_BY_SIGN_IN, hash_=hash), now)


def by_link(tx: Tx, hash: str, *, now: datetime) -> Proof | None:
    return _standing(tx.one(_BY_LINK, hash_=hash), now)


def drop_link(tx: Tx, hash: str) -> bool:
    """Use a link up. Of two who do so at once, one is told True."""
    return tx.run(delete(links).where(links.c.hash == hash)) > 0


def _standing(row: tuple[Any, ...] | None, now: datetime) -> Proof | None:
    if row is None or (row[7] is not None and row[7] <= to_text(now)):
        return None
    until = None if row[7] is None else from_text(row[7])
    roles, scopes = frozenset(row[2].split()), frozenset(row[6].split())
    return Proof(row[0], row[1], roles, row[3], row[4], bool(row[5]), scopes, until)


def add_token(
    tx: Tx,
    hash: str,
    *,
    id: str,
    account: str,
    space: str,
    name: str,
    scopes: Iterable[str],
    now: datetime,
    expires_at: datetime | None,
) -> None:
    tx.run(
        insert(tokens).values(
            hash=hash,
            id=id,
            account=account,
            space=space,
            name=name,
            scopes=" ".join(sorted(scopes)),
            created_at=to_text(now),
            expires_at=None if expires_at is None else to_text(expires_at),
        )
    )


def tokens_of(tx: Tx, account: str) -> list[Token]:
    """Oldest first."""
    rows = tx.all(
        select(tokens.c.id, tokens.c.name, tokens.c.scopes, tokens.c.created_at, tokens.c.expires_at)
        .where(tokens.c.account == account)
        .order_by(tokens.c.created_at, tokens.c.id)
    )
    return [
        Token(id, name, tuple(scopes.split()), from_text(at), None if until is None else from_text(until))
        for id, name, scopes, at, until in rows
    ]


def count_tokens(tx: Tx, account: str) -> int:
    row = tx.one(select(func.count()).select_from(tokens).where(tokens.c.account == account))
    return int(row[0]) if row else 0


def drop_token(tx: Tx, id: str, *, account: str | None) -> bool:
    """False when there is no such token, or it is not the account's."""
    gone = delete(tokens).where(tokens.c.id == id)
    return tx.run(gone if account is None else gone.where(tokens.c.account == account)) > 0


def add_sign_in(tx: Tx, hash: str, *, account: str, space: str, now: datetime, expires_at: datetime) -> None:
    tx.run(
        insert(sign_ins).values(
            hash=hash, account=account, space=space, created_at=to_text(now), expires_at=to_text(expires_at)
        )
    )


def drop_sign_in(tx: Tx, hash: str) -> bool:
    """False when it had ended already."""
    return tx.run(delete(sign_ins).where(sign_ins.c.hash == hash)) > 0


def drop_sign_ins(tx: Tx, account: str) -> None:
    """End every sign-in of an account, links that would begin one included."""
    tx.run(delete(sign_ins).where(sign_ins.c.account == account))
    tx.run(delete(links).where(links.c.account == account))


def add_link(tx: Tx, hash: str, *, account: str, space: str, expires_at: datetime) -> None:
    tx.run(insert(links).values(hash=hash, account=account, space=space, expires_at=to_text(expires_at)))


def drop_expired(tx: Tx, *, now: datetime) -> None:
    """Forget sign-ins and links whose time is over; expired tokens stay in their owner's list."""
    for table in (sign_ins, links):
        tx.run(delete(table).where(table.c.expires_at <= to_text(now)))


def drop_all_sign_ins(tx: Tx) -> None:
    """Everybody has to sign in again."""
    tx.run(delete(sign_ins))
    tx.run(delete(links))
