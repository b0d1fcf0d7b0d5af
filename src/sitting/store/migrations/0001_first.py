"""Every table of the first release."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

COPIED = sa.text("substr(owner, 1, 8) = 'session:'")
ACTIVE = sa.text("state IN ('queued', 'leased')")
DUE = sa.text("due_at IS NOT NULL")


def upgrade() -> None:
    installation = _table("installation", _text("name", "value"), key=("name",))
    _sessions()
    _journal()
    _work()
    _people()
    op.bulk_insert(
        installation,
        [
            {"name": "format", "value": "1"},
            {"name": "epoch", "value": "1"},
            {"name": "access", "value": "0"},
        ],
    )


def _sessions() -> None:
    _table(
        "sessions",
        _text("id", "kind", "space", "state"),
        _int("seq", "version"),
        _text("data"),
        _bytes("head"),
        _text("key_scope"),
        _text("key", "subject", "due_at", null=True),
        _text("created_at", "updated_at", "search"),
        _text("erased_at", null=True),
        key=("id",),
    )
    op.create_index("sessions_by_kind", "sessions", ["space", "kind", "created_at"])
    op.create_index("sessions_by_key", "sessions", ["kind", "key_scope", "key"], unique=True)
    op.create_index("sessions_by_subject", "sessions", ["subject", "kind"])
    op.create_index("sessions_due", "sessions", ["due_at", "id"], sqlite_where=DUE, postgresql_where=DUE)
    _table("items", _text("session", "collection", "id", "value"), key=("session", "collection", "id"))
    _table("grants", _text("session", "grantee", "role"), _text("expires_at", null=True), key=("session", "grantee"))
    op.create_index("grants_by_grantee", "grants", ["grantee"])


def _journal() -> None:
    _table(
        "events",
        _text("session"),
        _int("seq"),
        _text("type", "actor", "role", "at", "data"),
        _bytes("salt", "body", "hash"),
        key=("session", "seq"),
    )
    op.create_index("events_by_type", "events", ["session", "type", "seq"])
    _table(
        "parts",
        _text("session"),
        _int("seq"),
        _text("owner"),
        _bytes("commitment"),
        _text("content", null=True),
        _bytes("salt", null=True),
        key=("session", "seq", "owner"),
    )
    op.create_index("parts_copied", "parts", ["owner"], sqlite_where=COPIED, postgresql_where=COPIED)


def _work() -> None:
    _table(
        "jobs",
        _text("session", "id", "key", "purpose", "state", "input", "on_takeover", "audiences"),
        _int("retries", "attempt", "lease"),
        _text("lease_until", null=True),
        _text("run_at", "created_at"),
        _int("end_seq", null=True),
        _text("trace"),
        key=("session", "id"),
    )
    op.create_index(
        "jobs_active", "jobs", ["session", "key"], unique=True, sqlite_where=ACTIVE, postgresql_where=ACTIVE
    )
    op.create_index("jobs_due", "jobs", ["run_at"], sqlite_where=ACTIVE, postgresql_where=ACTIVE)
    _table("texts", _text("session", "job"), _int("off"), _text("text"), key=("session", "job", "off"))
    _table(
        "answers",
        _text("scope", "key", "session"),
        _bytes("request", "answer"),
        _text("expires_at"),
        key=("scope", "key"),
    )
    op.create_index("answers_by_session", "answers", ["session"])
    op.create_index("answers_by_expiry", "answers", ["expires_at"])
    _table("counters", _text("account"), _int("amount"), key=("account",))


def _people() -> None:
    _table("spaces", _text("id", "name", "created_at"), key=("id",))
    _table(
        "accounts",
        _text("id"),
        _text("email", null=True),
        _text("name"),
        _text("password", null=True),
        _text("created_at"),
        _text("disabled_at", null=True),
        key=("id",),
    )
    op.create_index("accounts_by_email", "accounts", ["email"], unique=True)
    _table("memberships", _text("space", "account", "roles"), key=("space", "account"))
    op.create_index("memberships_by_account", "memberships", ["account"])
    _table(
        "tokens",
        _text("hash", "id", "account", "space", "name", "scopes", "created_at"),
        _text("expires_at", null=True),
        key=("hash",),
    )
    op.create_index("tokens_by_account", "tokens", ["account"])
    _table("sign_ins", _text("hash", "account", "space", "created_at", "expires_at"), key=("hash",))
    op.create_index("sign_ins_by_account", "sign_ins", ["account"])
    _table("links", _text("hash", "account", "space", "expires_at"), key=("hash",))


def _table(
    name: str, *columns: list[sa.Column[str]] | list[sa.Column[int]] | list[sa.Column[bytes]], key: tuple[str, ...]
) -> sa.Table:
    flat = [column for group in columns for column in group]
    return op.create_table(name, *flat, sa.PrimaryKeyConstraint(*key, name=f"{name}_pk"), sqlite_with_rowid=False)


def _text(*names: str, null: bool = False) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=null) for name in names]


def _int(*names: str, null: bool = False) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger, nullable=null) for name in names]


def _bytes(*names: str, null: bool = False) -> list[sa.Column[bytes]]:
    return [sa.Column(name, sa.LargeBinary, nullable=null) for name in names]
