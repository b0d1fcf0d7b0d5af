"""Every table, in SQLAlchemy Core. Alembic's migrations add up to exactly this, by test.

Only text, integers and bytes: the same values come back from SQLite and PostgreSQL without converters. Times are text
of one fixed width (`2026-01-31T12:00:00.000Z`), so they sort as they stand. Tables of sessions are keyed by session
first, so that they can be spread over machines.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, MetaData, PrimaryKeyConstraint, Table, Text, text

metadata = MetaData()


def _table(name: str, *columns: Column[str] | Column[int] | Column[bytes], key: tuple[str, ...]) -> Table:
    return Table(name, metadata, *columns, PrimaryKeyConstraint(*key, name=f"{name}_pk"), sqlite_with_rowid=False)


def _text(name: str, *, null: bool = False) -> Column[str]:
    return Column(name, Text, nullable=null)


def _int(name: str, *, null: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=null)


def _bytes(name: str, *, null: bool = False) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=null)


installation = _table("installation", _text("name"), _text("value"), key=("name",))

sessions = _table(
    "sessions",
    _text("id"),
    _text("kind"),
    _text("space"),
    _text("state"),
    _int("seq"),
    _int("version"),
    _text("data"),
    _bytes("head"),
    _text("key_scope"),
    _text("key", null=True),
    _text("subject", null=True),
    _text("due_at", null=True),
    _text("created_at"),
    _text("updated_at"),
    _text("search"),
    _text("erased_at", null=True),
    key=("id",),
)
Index("sessions_by_kind", sessions.c.space, sessions.c.kind, sessions.c.created_at)
Index("sessions_by_key", sessions.c.kind, sessions.c.key_scope, sessions.c.key, unique=True)
Index("sessions_by_subject", sessions.c.subject, sessions.c.kind)
Index(
    "sessions_due",
    sessions.c.due_at,
    sessions.c.id,  # so that the worker's look, each second and after each job, reads no session
    sqlite_where=sessions.c.due_at.is_not(None),
    postgresql_where=sessions.c.due_at.is_not(None),
)

items = _table(
    "items", _text("session"), _text("collection"), _text("id"), _text("value"), key=("session", "collection", "id")
)

events = _table(
    "events",
    _text("session"),
    _int("seq"),
    _text("type"),
    _text("actor"),
    _text("role"),
    _text("at"),
    _text("data"),
    _bytes("salt"),
    _bytes("body"),
    _bytes("hash"),
    key=("session", "seq"),
)
Index("events_by_type", events.c.session, events.c.type, events.c.seq)

COPIED = "substr(owner, 1, 8) = 'session:'"  # what was copied from another session
parts = _table(
    "parts",
    _text("session"),
    _int("seq"),
    _text("owner"),
    _bytes("commitment"),
    _text("content", null=True),
    _bytes("salt", null=True),
    key=("session", "seq", "owner"),
)
Index("parts_copied", parts.c.owner, sqlite_where=text(COPIED), postgresql_where=text(COPIED))

grants = _table(
    "grants",
    _text("session"),
    _text("grantee"),
    _text("role"),
    _text("expires_at", null=True),
    key=("session", "grantee"),
)
Index("grants_by_grantee", grants.c.grantee)

jobs = _table(
    "jobs",
    _text("session"),
    _text("id"),
    _text("key"),
    _text("purpose"),
    _text("state"),
    _text("input"),
    _text("on_takeover"),
    _text("audiences"),
    _int("retries"),
    _int("attempt"),
    _int("lease"),
    _text("lease_until", null=True),
    _text("run_at"),
    _text("created_at"),
    _int("end_seq", null=True),
    _text("trace"),
    key=("session", "id"),
)
ACTIVE = "state IN ('queued', 'leased')"
Index("jobs_active", jobs.c.session, jobs.c.key, unique=True, sqlite_where=text(ACTIVE), postgresql_where=text(ACTIVE))
Index("jobs_due", jobs.c.run_at, sqlite_where=text(ACTIVE), postgresql_where=text(ACTIVE))

texts = _table("texts", _text("session"), _text("job"), _int("off"), _text("text"), key=("session", "job", "off"))

answers = _table(
    "answers",
    _text("scope"),
    _text("key"),
    _text("session"),
    _bytes("request"),
    _bytes("answer"),
    _text("expires_at"),
    key=("scope", "key"),
)
Index("answers_by_session", answers.c.session)
Index("answers_by_expiry", answers.c.expires_at)

counters = _table(
    "counters",
    _text("account"),
    _int("amount"),
    _text("expires_at", null=True),  # no index: a look at a million rows takes 60 ms, every ten minutes
    key=("account",),
)

spaces = _table("spaces", _text("id"), _text("name"), _text("created_at"), key=("id",))

accounts = _table(
    "accounts",
    _text("id"),
    _text("email", null=True),
    _text("name"),
    _text("password", null=True),
    _text("created_at"),
    _text("disabled_at", null=True),
    key=("id",),
)
Index("accounts_by_email", accounts.c.email, unique=True)

memberships = _table("memberships", _text("space"), _text("account"), _text("roles"), key=("space", "account"))
Index("memberships_by_account", memberships.c.account)

tokens = _table(
    "tokens",
    _text("hash"),
    _text("id"),
    _text("account"),
    _text("space"),
    _text("name"),
    _text("scopes"),
    _text("created_at"),
    _text("expires_at", null=True),
    key=("hash",),
)
Index("tokens_by_account", tokens.c.account)

sign_ins = _table(
    "sign_ins",
    _text("hash"),
    _text("account"),
    _text("space"),
    _text("created_at"),
    _text("expires_at"),
    key=("hash",),
)
Index("sign_ins_by_account", sign_ins.c.account)

links = _table("links", _text("hash"), _text("account"), _text("space"), _text("expires_at"), key=("hash",))
