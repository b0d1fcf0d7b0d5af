"""One secret, its keys, and the ways it is refused."""

from __future__ import annotations

import hmac
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sitting import errors, secret
from sitting.config import Settings

LONG = "0123456789abcdef" * 2


def test_a_set_secret_gives_the_same_keys_everywhere(tmp_path: Path) -> None:
    here, there = (secret.load(Settings(data=tmp_path / name, secret=LONG)) for name in ("a", "b"))
    assert here.derive("csrf") == there.derive("csrf")
    assert here.derive("csrf") != here.derive("links")
    assert len(here.derive("links")) == 32
    assert not (tmp_path / "a").exists()


def test_keys_are_those_of_rfc_5869_so_that_no_release_changes_them() -> None:
    extracted = hmac.digest(bytes(32), LONG.encode(), "sha256")
    expanded = hmac.digest(extracted, b"sitting csrf\x01", "sha256")
    assert secret.load(Settings(secret=LONG)).derive("csrf") == expanded


def test_a_secret_does_not_show_itself() -> None:
    assert LONG not in repr(secret.load(Settings(secret=LONG)))


def test_the_file_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    first = secret.load(settings).derive("links")
    assert secret.load(settings).derive("links") == first
    file = tmp_path / "data" / "secret"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["secret"]


def test_many_that_start_at_once_get_one_secret(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    together = threading.Barrier(8)

    def load(_: int) -> bytes:
        together.wait()
        return secret.load(settings).derive("links")

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(load, range(8)))) == 1
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    settings = Settings(data=tmp_path)
    secret.load(settings)
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(errors.Misuse, match=f"open to others .mode {mode:o}.*chmod 600"):
        secret.load(settings)


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.touch(0o600)
    file.write_bytes(content)
    with pytest.raises(errors.Misuse, match="damaged"):
        secret.load(Settings(data=tmp_path))


def test_a_directory_in_the_way_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir(0o700)
    with pytest.raises(errors.Misuse, match="cannot be used: Is a directory"):
        secret.load(Settings(data=tmp_path))
    (tmp_path / "file").touch()
    with pytest.raises(errors.Misuse, match="cannot be used: File exists"):
        secret.load(Settings(data=tmp_path / "file"))


def test_postgresql_needs_one_that_is_set(tmp_path: Path) -> None:
    database = "postgresql://sitting@127.0.0.1/sitting"
    with pytest.raises(errors.Misuse, match="SITTING_SECRET is required on PostgreSQL"):
        secret.load(Settings(data=tmp_path, database=database))
    assert list(tmp_path.iterdir()) == []
    assert secret.load(Settings(data=tmp_path, database=database, secret=LONG)).derive("csrf")
