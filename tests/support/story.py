"""Plays a page of the documentation: its marked blocks, in order, in one directory, with real programs.

    ```console run            commands after `$ `, in one shell for the whole page, then what they print
    ```console run server     one program that goes on: it is started, and its lines are waited for
    ```console run watch      the same, but its lines are waited for when the page has been played
    ```python run             a program of its own
    ```LANGUAGE file=NAME     the content of a file

In what is printed, `...` stands for anything, alone on a line for any lines. Nothing is compared where nothing is
shown; a command must succeed. The page's address `127.0.0.1:8000` becomes one that is free, and the model is the
scripted one.
"""

from __future__ import annotations

import base64
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from tests.support import ports
from tests.support.docs import Block
from tests.support.process import Program

ADDRESS = "127.0.0.1:8000"
MARK = "--end-of-command--"
SECONDS = 60.0


class Differs(AssertionError):
    """The page says one thing, the programs another."""


class Story:
    """One page being played in `folder`. `instead` maps what the page says to what is so here."""

    def __init__(self, folder: Path, *, instead: Mapping[str, str] | None = None, path: Sequence[Path] = ()) -> None:
        self._stack = ExitStack()
        port = self._stack.enter_context(ports.held())
        self._instead = {ADDRESS: f"127.0.0.1:{port}", **(instead or {})}
        self._watched: list[tuple[Block, Program, list[str]]] = []
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=folder,
            env=_environment(folder, port, path),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def play(self, blocks: Sequence[Block]) -> None:
        """Play the blocks. Raises Differs where the page is wrong."""
        for block in blocks:
            text = self._here(block.text)
            if block.file is not None:
                place = self._place() / block.file
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text(text, encoding="utf-8")
            elif block.language == "python":
                self._python(block, text)
            elif {"server", "watch"} & set(block.words):
                self._start(block, text)
            else:
                for command, printed in commands(text):
                    self._command(block, command, printed)
        for block, program, lines in self._watched:
            _await(block, program, lines)

    def close(self) -> None:
        """End what was started."""
        self._stack.close()
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.wait(SECONDS)
        self._shell.stdout.close()

    def __enter__(self) -> Story:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _here(self, text: str) -> str:
        for said, so in self._instead.items():
            text = text.replace(said, so)
        return text

    def _command(self, block: Block, command: str, printed: list[str]) -> None:
        output, code = self._ask(command)
        if code != 0:
            raise Differs(f"{block.where}: exit code {code}\n$ {command}\n{output}")
        if printed and not matches(printed, output):
            raise Differs(f"{block.where}: expected\n" + "\n".join(printed) + f"\n$ {command}\n{output}")

    def _ask(self, command: str) -> tuple[str, int]:
        """What a command prints in the page's shell, and its exit code."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        late = threading.Timer(SECONDS, self._kill)
        late.start()
        try:
            self._shell.stdin.write(f"{command}\nprintf '\\n%s %d\\n' {MARK} $?\n")
            self._shell.stdin.flush()
            return _until_mark(self._shell.stdout, command)
        finally:
            late.cancel()

    def _python(self, block: Block, text: str) -> None:
        done = subprocess.run(
            [sys.executable, "-c", text],
            cwd=self._place(),
            env=self._variables(),
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise Differs(f"{block.where}: {done.stdout}{done.stderr}")

    def _start(self, block: Block, text: str) -> None:
        [(command, printed)] = commands(text)
        program = Program(["bash", "-c", command], env=self._variables(), cwd=self._place())
        self._stack.enter_context(program)
        if "watch" in block.words:
            self._watched.append((block, program, printed))
        else:
            _await(block, program, printed)

    def _kill(self) -> None:
        """End the shell and what it runs; its own session holds nothing else."""
        os.killpg(self._shell.pid, signal.SIGKILL)

    def _place(self) -> Path:
        """The shell's working directory, in which a second terminal is opened too."""
        return Path(self._ask("pwd")[0].rstrip("\n"))

    def _variables(self) -> dict[str, str]:
        """The shell's exported variables, which a second terminal is given too."""
        raw = base64.b64decode(self._ask("env -0 | base64 -w0")[0])
        return dict(pair.split("=", 1) for pair in raw.decode().split("\0") if "=" in pair)


def commands(text: str) -> list[tuple[str, list[str]]]:
    """The commands of a console block, each with the lines it is said to print."""
    found: list[tuple[str, list[str]]] = []
    open_line = False
    for line in text.rstrip("\n").split("\n"):
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif open_line:
            found[-1] = (f"{found[-1][0]}\n{line}", [])
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"a console block begins with a command: {line!r}")
        open_line = (line.startswith("$ ") or open_line) and line.endswith("\\")
    return found


def matches(printed: Sequence[str], output: str) -> bool:
    """Whether the output is what is said to be printed."""
    lines = [r"(?:.*\n)*" if line.strip() == "..." else _line(line) + r"\n" for line in printed]
    return re.fullmatch("".join(lines), re.sub(r"[ \t]+\n", "\n", output.strip("\n") + "\n")) is not None


def _line(line: str) -> str:
    return ".*".join(map(re.escape, line.rstrip().split("...")))


def _await(block: Block, program: Program, lines: Sequence[str]) -> None:
    for line in lines:
        if line.strip() not in ("...", ""):
            try:
                program.wait_for(_line(line), seconds=SECONDS)
            except RuntimeError as error:
                raise Differs(f"{block.where}: {error}") from error


def _until_mark(stream: IO[str], command: str) -> tuple[str, int]:
    lines: list[str] = []
    for line in stream:
        if line.startswith(MARK):
            return "".join(lines).removesuffix("\n"), int(line.split()[1])
        lines.append(line)
    raise Differs(f"the shell ended, or took more than {SECONDS:g} s, in\n$ {command}\n{''.join(lines)}")


def _environment(folder: Path, port: int, path: Sequence[Path]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SITTING_", "PG"))}
    programs = [str(Path(sys.executable).parent), *map(str, path), kept.get("PATH", "")]
    return kept | {
        "PATH": os.pathsep.join(programs),
        "HOME": str(folder),
        "SITTING_PORT": str(port),
        "SITTING_MODEL": "scripted",
        "PYTHONWARNINGS": "",
        "COLUMNS": "120",
    }
