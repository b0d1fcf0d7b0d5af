"""A program of the operating system as a child of the test: its output is read as it comes, nobody sleeps.

A program is stopped by its own pid, and by its own pid only. Whoever starts one stops it: use it as a context manager.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

SECONDS = 60.0  # a program that is quiet for longer is taken for one that hangs


def plainly() -> dict[str, str]:
    """The environment without what measures coverage: that takes time, writes files of its own between those of the
    product, and of a process that is killed nothing is left of it.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("COV")}


class Program:
    """A running child process. `user` is a (uid, gid) to run as; only root may give one."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: tuple[int, int] | None = None,
    ) -> None:
        self.command = [str(part) for part in command]
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        # A session of its own: Ctrl-C reaches the test, and the test stops the program in its own order.
        self._process = subprocess.Popen(
            self.command,
            env=None if env is None else dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            user=None if user is None else user[0],
            group=None if user is None else user[1],
            extra_groups=None if user is None else [],
        )
        self._reader = threading.Thread(target=self._read, name=f"output of {self.pid}", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def output(self) -> str:
        """Everything written so far, to standard output and standard error."""
        with self._changed:
            return "".join(self._lines)

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def wait_for(self, pattern: str, *, seconds: float = SECONDS) -> re.Match[str]:
        """The first line, past or to come, in which `pattern` is found.

        Raises:
            RuntimeError: the program ended, or the time passed, without such a line; the message holds the output.
        """
        found: list[re.Match[str]] = []
        seen = 0

        def look() -> bool:
            nonlocal seen
            for line in self._lines[seen:]:
                seen += 1
                if match := re.search(pattern, line):
                    found.append(match)
                    return True
            return self._ended

        with self._changed:
            self._changed.wait_for(look, timeout=seconds)
            written = "".join(self._lines)
        if not found:
            what = f"ended with {self.wait(seconds=seconds)}" if self._ended else f"was silent about it for {seconds} s"
            raise RuntimeError(f"{self.command[0]} {what}; waited for {pattern!r}. It wrote:\n{written}")
        return found[0]

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this process (not to its children)."""
        self._process.send_signal(number)

    def wait(self, *, seconds: float = SECONDS) -> int:
        """The exit code; negative for a signal, as `subprocess` says it."""
        code = self._process.wait(seconds)
        self._reader.join(seconds)
        return code

    def stop(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = SECONDS) -> int:
        """Ask the program to end, insist after `seconds`, and return the exit code."""
        if self.running:
            self.send(number)
        try:
            return self.wait(seconds=seconds)
        except subprocess.TimeoutExpired:
            self.send(signal.SIGKILL)
            return self.wait(seconds=seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


def ordinary_user() -> tuple[int, int] | None:
    """Who to run a program as that refuses root: `nobody`, or None when this process is an ordinary user already."""
    if os.geteuid() != 0:
        return None
    import pwd

    entry = pwd.getpwnam("nobody")
    return entry.pw_uid, entry.pw_gid
