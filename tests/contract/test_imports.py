"""What an import may load: a name costs what it needs, and the web framework is only for the web."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import sitting

APPS = Path(sitting.__file__).parent / "apps"
WEB = {"fastapi", "starlette", "uvicorn"}
HEAVY = {"openai", "xllamacpp"}
WITHOUT_WEB = [
    f"sitting.apps.{folder.name}{part}"
    for folder in sorted(APPS.iterdir())
    if (folder / "app.py").is_file()
    for part in ("", ".app", ".kind", ".work", ".service")
    if not part or (folder / f"{part[1:]}.py").is_file()
]


def loaded_by(statement: str) -> set[str]:
    """The top-level modules in memory after `statement`, in a fresh interpreter."""
    source = f"import sys\n{statement}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_front_door_is_light() -> None:
    assert not loaded_by("import sitting") & (WEB | HEAVY | {"pydantic", "sqlalchemy"})


def test_the_public_names_are_there() -> None:
    assert not loaded_by("import sitting\nfor name in sitting.__all__: getattr(sitting, name)") & WEB


def test_the_interview_is_an_application() -> None:
    assert "sitting.apps.interview" in WITHOUT_WEB


@pytest.mark.parametrize("module", WITHOUT_WEB)
def test_an_application_does_not_load_the_web(module: str) -> None:
    assert not loaded_by(f"import {module}") & (WEB | HEAVY)


@pytest.mark.parametrize("module", ["sitting.core.kind", "sitting.core.chain", "sitting.core.strict", "sitting.errors"])
def test_the_core_loads_no_database(module: str) -> None:
    assert not loaded_by(f"import {module}") & (WEB | HEAVY | {"sqlalchemy", "psycopg"})


def test_the_command_line_answers_before_the_server_is_loaded() -> None:
    assert not loaded_by("import sitting.cli") & (WEB | HEAVY | {"sqlalchemy"})


def test_the_measure_sees_what_is_loaded() -> None:
    assert {"fastapi", "starlette"} <= loaded_by("import fastapi")
