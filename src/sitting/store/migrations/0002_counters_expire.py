"""Counters of a minute, an hour or a month say when they may be forgotten; those that stand already are kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("counters", sa.Column("expires_at", sa.Text, nullable=True))
