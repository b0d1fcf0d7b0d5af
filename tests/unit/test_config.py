"""Settings: read once, refused in a sentence that names the setting and never its value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sitting import cli, errors
from sitting.config import Settings, load, masked, visible


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
        ("SITTING_PROT", "1", "Unknown settings: SITTING_PROT (did you mean SITTING_PORT?). Unset them."),
        ("SITTING_ZZZ", "1", "Unknown settings: SITTING_ZZZ. Unset them."),
        ("SITTING_PORT", "far", "SITTING_PORT: Input should be a valid integer"),
        ("SITTING_PORT", "70000", "SITTING_PORT: "),
        ("SITTING_SECRET", "hunter2", "SITTING_SECRET: must have at least 32 characters"),
        ("SITTING_BASE_URL", "sessions.example.org", "SITTING_BASE_URL: must begin with http:// or https://"),
        ("SITTING_MODEL_ALIASES", "hunter2", "SITTING_MODEL_ALIASES must be JSON, with its quotes"),
        ("SITTING_APPLICATIONS", "[hunter2", "SITTING_APPLICATIONS must be JSON, with its quotes"),
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


@pytest.mark.parametrize(
    ("settings", "origin"),
    [
        ({}, "http://127.0.0.1:8000"),
        ({"host": "0.0.0.0", "port": 0}, "http://HOST:PORT"),
        ({"host": "::1", "port": 9000}, "http://[::1]:9000"),
        ({"host": "0.0.0.0", "base_url": "https://sessions.example.org/"}, "https://sessions.example.org"),
    ],
)
def test_where_browsers_find_the_server(settings: dict[str, Any], origin: str) -> None:
    assert Settings(**settings).origin == origin


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://user:geheim@host/db", "postgresql://user:***@host/db"),
        ("postgresql+psycopg://user:geheim@host:5432/db", "postgresql+psycopg://user:***@host:5432/db"),
        ("postgres://u:ge@he/im,geheim@host/db", "postgres://u:***@host/db"),
        ("postgresql://host/db?user=u&password=geheim&sslmode=require", "postgresql://host/db?user=u&password=***&sslmode=require"),
        ("nats://u:geheim@one:4222, nats://u:geheim@two:4222", "nats://u:***@one:4222, nats://u:***@two:4222"),
        ("nats://geheim@host:4222", "nats://***@host:4222"),
        ("https://u:geheim@host/v1?api_key=geheim", "https://u:***@host/v1?api_key=***"),
        *((same, same) for same in ("", "none", "postgresql://user@host/db", "sqlite:////tmp/a@b:c.db", "http://[::1]:9/v1")),
    ],
)  # fmt: skip
def test_a_password_inside_an_address_is_masked(address: str, shown: str) -> None:
    assert masked(address) == shown


def test_nothing_secret_is_visible() -> None:
    now = Settings(
        database="postgresql://user:geheim@host/db",
        hints="nats://user:geheim@host",
        model_url="http://user:geheim@host/v1",
        secret="geheim" * 8,
        model_key="geheim",
        port=9000,
    )
    shown = visible(now)
    assert list(shown) == list(Settings.model_fields)
    assert (shown["secret"], shown["model_key"], shown["port"]) == ("(set)", "(set)", 9000)
    assert (shown["database"], shown["hints"]) == ("postgresql://user:***@host/db", "nats://user:***@host")
    assert visible(Settings())["secret"] == ""
    assert "geheim" not in f"{shown} {now!r} {now}"


def test_a_field_that_sounds_secret_is_marked() -> None:
    sounds = {name for name in Settings.model_fields if name.endswith(("secret", "key", "password"))}
    assert sounds == {name for name, field in Settings.model_fields.items() if not field.repr}


def test_the_settings_are_printed_without_what_is_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SITTING_DATABASE", "postgresql://user:geheim@host/db")
    monkeypatch.setenv("SITTING_HINTS", "nats://geheim@host")
    monkeypatch.setenv("SITTING_MODEL_KEY", "geheim")
    for as_json in (False, True):
        cli.settings(as_json)
        said = capsys.readouterr().out
        assert "geheim" not in said
        assert "postgresql://user:***@host/db" in said and "nats://***@host" in said and "(set)" in said
