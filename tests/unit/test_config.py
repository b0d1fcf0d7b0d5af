"""Settings: read once, refused in a sentence that names the setting and never its value."""

from __future__ import annotations

from pathlib import Path

import pytest

from sitting import errors
from sitting.config import Settings, load


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in [name for name in os.environ if name.startswith("SITTING_")]:
        monkeypatch.delenv(name)


def test_every_field_carries_its_help_line() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description and field.description.endswith((".", "}")), name


def test_the_environment_is_read_and_overridden(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load().port == 8000
    monkeypatch.setenv("SITTING_PORT", "9000")
    monkeypatch.setenv("SITTING_MODEL_ALIASES", '{"gpt-4": "local"}')
    assert load().port == 9000
    assert load(port=0, host=None).port == 0
    assert load().model_aliases == {"gpt-4": "local"}


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SITTING_PROT", "1", "Unknown settings: SITTING_PROT"),
        ("SITTING_PORT", "far", "SITTING_PORT: Input should be a valid integer"),
        ("SITTING_PORT", "70000", "SITTING_PORT: "),
        ("SITTING_SECRET", "hunter2", "SITTING_SECRET: Value error, must have at least 32 characters"),
        ("SITTING_MODEL_ALIASES", "hunter2", "JSON"),
        ("SITTING_APPLICATIONS", "[hunter2", "JSON"),
    ],
)
def test_a_wrong_setting_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(errors.Misuse) as refused:
        load()
    assert sentence in refused.value.message
    assert "hunter2" not in refused.value.message
    assert refused.value.__cause__ is None


def test_an_unknown_override_is_refused() -> None:
    with pytest.raises(errors.Misuse, match="SITTING_NO_SUCH: "):
        load(no_such=1)


@pytest.mark.parametrize(
    ("database", "url"),
    [
        ("", "sqlite:///there/sitting.db"),
        ("sqlite:////tmp/x.db", "sqlite:////tmp/x.db"),
        ("postgres://a@b/c", "postgresql+psycopg://a@b/c"),
        ("postgresql://a@b/c", "postgresql+psycopg://a@b/c"),
        ("postgresql+psycopg://a@b/c", "postgresql+psycopg://a@b/c"),
    ],
)
def test_the_address_of_the_database(database: str, url: str) -> None:
    assert Settings(data=Path("there"), database=database).database_url == url
