"""What the tests of real processes may ask for beyond the suite's own fixtures."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.strace import StraceUnavailable, find


@pytest.fixture(scope="session")
def strace() -> str:
    """The program that writes down, or refuses, what a process asks of the disk."""
    try:
        return find()
    except StraceUnavailable as missing:
        pytest.skip(f"no strace: {missing}")


@pytest.fixture
def memory() -> Iterator[Path]:
    """A folder in memory, where the system has one: for databases that are opened to be looked at, by the thousand."""
    place = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="sitting-", dir=place if place.is_dir() else None) as folder:
        yield Path(folder)
