"""What is promised of a store is promised of both: every test that takes one of these runs on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sitting.config import Settings
from sitting.store import Store, migrate


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """The settings of an installation that has never been started."""
    database = request.getfixturevalue("postgres_database") if request.param == "postgres" else ""
    return Settings(data=tmp_path / "data", database=database, secret="0123456789abcdef" * 2)


@pytest.fixture
def store(empty: Settings) -> Iterator[Store]:
    """A migrated store."""
    opened = Store(empty.database_url)
    migrate.upgrade(opened)
    yield opened
    opened.close()
