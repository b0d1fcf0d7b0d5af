"""`sitting demo` plays every application in one process, and what each leaves verifies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from sitting.installation import applications


def test_every_application_is_played_and_verified(tmp_path: Path) -> None:
    environment = os.environ | {"SITTING_DATA": str(tmp_path), "SITTING_MODEL": "scripted"}
    command = [sys.executable, "-m", "sitting", "demo"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr
    played = [app.name for app in applications() if app.demo]
    verified = [line.partition(":")[0] for line in done.stdout.splitlines() if line.endswith("verified")]
    assert verified == played == ["interview", "facilitation", "solve"]


def test_an_unknown_application_is_named(tmp_path: Path) -> None:
    environment = os.environ | {"SITTING_DATA": str(tmp_path), "SITTING_MODEL": "scripted"}
    command = [sys.executable, "-m", "sitting", "demo", "intreview"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=250)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr == "There is no demo 'intreview'. There are: interview, facilitation, solve.\n"
