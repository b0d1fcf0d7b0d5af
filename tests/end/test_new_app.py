"""`sitting new-app` where it cannot write."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sitting import errors, scaffold
from tests.support.process import plainly


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    command = [sys.executable, "-m", "sitting", "new-app", "retro", "--into", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"{place / 'retro'} cannot be written: Not a directory.\n"


@pytest.mark.parametrize("name", ["json", "sitting", "pytest", "interview"])
def test_a_name_that_is_taken_is_refused(tmp_path: Path, name: str) -> None:
    """A folder of that name beside one's own would stand in for the package everywhere."""
    with pytest.raises(errors.Misuse, match=f"called '{name}' already"):
        scaffold.write(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_could_not_be_written_whole_is_not_left(tmp_path: Path) -> None:
    """A file larger than the system allows, as on a disk that is full."""
    command = [sys.executable, "-m", "sitting", "new-app", "retro", "--into", str(tmp_path)]
    limited = ["sh", "-c", 'ulimit -f 1 && exec "$@"', "sh", *command]
    done = subprocess.run(limited, env=plainly(), capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stderr) == (3, f"{tmp_path / 'retro'} cannot be written: File too large.\n")
    assert list(tmp_path.iterdir()) == []
    assert subprocess.run(command, capture_output=True, timeout=250).returncode == 0
