"""Who may read what is written to the disk, and what a command writes over."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sitting import bundle, errors
from sitting.cli import app
from sitting.config import Settings
from sitting.installation import Installation
from sitting.outfile import write
from sitting.store import Store
from tests.support.engines import at_once, opened


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    """The mask that most systems set: a file that says nothing else may be read by everybody."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes(path: Path) -> list[int]:
    """Of a database with its log, and the index of the log."""
    return [mode(Path(f"{path}{part}")) for part in ("", "-wal", "-shm")]


def test_nobody_else_may_read_a_new_database(tmp_path: Path) -> None:
    file = tmp_path / "data" / "sitting.db"
    store = opened(file.parent)
    assert mode(file.parent) == 0o700
    assert modes(file) == [0o600] * 3
    store.close()


def test_an_installation_keeps_its_folder_and_its_files_to_itself(tmp_path: Path) -> None:
    with Installation(Settings(data=tmp_path / "data")):
        files = list((tmp_path / "data").iterdir())
        assert {file.name for file in files} >= {"secret", "sitting.db", "sitting.db-wal"}
        assert mode(tmp_path / "data") == 0o700 and {mode(file) for file in files} == {0o600}


def test_a_folder_that_is_there_keeps_its_mode_and_so_does_what_a_group_may_read(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o755)
    file = tmp_path / "data" / "sitting.db"
    opened(file.parent).close()
    file.chmod(0o640)
    store = opened(file.parent)
    assert mode(file.parent) == 0o755
    assert modes(file) == [0o640] * 3
    store.close()


def test_a_database_that_everybody_could_read_is_closed_to_them(tmp_path: Path) -> None:
    file = tmp_path / "sitting.db"
    first = opened(file.parent)
    for part in ("", "-wal", "-shm"):
        Path(f"{file}{part}").chmod(0o646)
    second = opened(file.parent)
    assert modes(file) == [0o640] * 3
    second.close()
    first.close()


def test_a_database_behind_a_link_is_as_private(tmp_path: Path) -> None:
    (tmp_path / "sitting.db").symlink_to(tmp_path / "elsewhere.db")
    store = opened(tmp_path)
    assert modes(tmp_path / "elsewhere.db") == [0o600] * 3
    store.close()


def test_many_that_open_a_new_database_at_once_find_it_private(tmp_path: Path) -> None:
    file = tmp_path / "data" / "sitting.db"
    stores = at_once(8, lambda _: opened(file.parent))
    assert all(isinstance(store, Store) for store in stores) and modes(file) == [0o600] * 3
    for store in stores:
        if isinstance(store, Store):
            store.close()


# What a command writes for a person


def test_a_file_is_written_for_its_owner_alone_and_over_nothing(tmp_path: Path) -> None:
    target, victim = tmp_path / "out.zip", tmp_path / "victim"
    write(target, b"one")
    assert (mode(target), target.read_bytes()) == (0o600, b"one")
    target.chmod(0o644)
    with pytest.raises(errors.Invalid, match="is there already; nothing was written"):
        write(target, b"two")
    assert target.read_bytes() == b"one"
    write(target, b"two", over=True)
    assert (mode(target), target.read_bytes()) == (0o600, b"two")
    victim.write_bytes(b"mine")
    for aim in (victim, tmp_path / "nothing"):
        link = tmp_path / f"{aim.name}-link"
        link.symlink_to(aim)
        with pytest.raises(errors.Invalid, match="is there already"):
            write(link, b"two")
        write(link, b"two", over=True)
        assert not link.is_symlink() and link.read_bytes() == b"two"
    assert victim.read_bytes() == b"mine" and not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("over", [False, True])
def test_what_cannot_be_written_leaves_nothing(tmp_path: Path, over: bool) -> None:
    (tmp_path / "folder").mkdir()
    for target in (tmp_path / "no" / "out", tmp_path / "folder"):
        with pytest.raises(errors.Invalid):
            write(target, b"x", over=over)
    assert [each.name for each in tmp_path.rglob("*")] == ["folder"]


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(app, [*arguments, "--data", str(data)])


def test_an_export_is_written_once_and_says_who_signed_it(tmp_path: Path) -> None:
    data, target = tmp_path / "data", tmp_path / "out.zip"
    id = run(data, "open", "solve").stdout.strip()
    assert run(data, "export", id, "-o", str(target)).stdout.startswith(f"{target}: ")
    assert mode(target) == 0o600
    again = run(data, "export", id, "-o", str(target)).exception
    assert isinstance(again, errors.Invalid) and "--force" in again.message
    assert run(data, "export", id, "-o", str(target), "--force").exit_code == 0
    with Installation(Settings(data=data)) as installation:
        key = bundle.public(installation.signing_key)
    told = run(data, "verify", str(target), "--key", key[:32])
    assert told.exit_code == 0 and f"signed by {key[:32]}" in told.stdout
    other = run(data, "verify", str(target), "--key", "0" * 32)
    assert isinstance(other.exception, errors.Tampered) and "signed by another key" in other.exception.message
    for what in ([id], []):
        refused = run(data, "verify", *what, "--key", key).exception
        assert isinstance(refused, errors.Invalid) and "--key is for files" in refused.message


@pytest.mark.parametrize(
    "command",
    [("list", "solve"), ("show", "x"), ("verify",), ("backup", "x.sitting"), ("follow", "x"), ("export", "x")],
)
def test_who_only_looks_finds_nothing_and_makes_nothing(tmp_path: Path, command: tuple[str, ...]) -> None:
    """As from another folder than one's own: an empty installation would verify."""
    refused = run(tmp_path / "data", *command).exception
    assert isinstance(refused, errors.Misuse)
    assert refused.message.startswith(f"There is nothing in {tmp_path / 'data'}. `--data` names another place")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("copy.zip", "copy.zip cannot be read: No such file"),
        ("no/such", "no/such cannot be read: No such file"),
        ("README.md", "This is neither a bundle nor a JSON export"),
    ],
)
def test_what_is_no_export_is_told_as_that(tmp_path: Path, name: str, told: str) -> None:
    there = Path(__file__).parents[2] / name
    refused = run(tmp_path, "verify", str(there) if there.is_file() else name).exception
    assert isinstance(refused, errors.Refusal) and refused.message.startswith(told)


@pytest.mark.parametrize("kind", ["solve", "interview"])
def test_a_session_is_erased_from_the_command_line(tmp_path: Path, kind: str) -> None:
    id = run(tmp_path, "open", kind, *(["candidate_name=Ada"] if kind == "interview" else [])).stdout.strip()
    assert isinstance(run(tmp_path, "do", id, "erase", "--expect", "99").exception, errors.Stale)
    assert isinstance(run(tmp_path, "do", id, "erase", "reason=none").exception, errors.Invalid)
    assert run(tmp_path, "do", id, "erase").stdout == "erased\n"
    assert isinstance(run(tmp_path, "show", id).exception, errors.NotFound)
    assert f"{id}: verified" in run(tmp_path, "verify").stdout
