"""`sitting new-app` where nothing can be written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "file"
    place.touch()
    command = [sys.executable, "-m", "sitting", "new-app", "retro", "--into", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"{place / 'retro'} cannot be written: Not a directory.\n"
