"""strace, as the suite uses it: what processes ask of the disk is written down, or refused.

The library, the interpreter and the kernel are the real ones; nothing stands between them but the tracer. A traced
call has begun before it has ended, and another thread's may come between: a log is read as `Moment`s in the order in
which the tracer saw them.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.process import Program

# What changes a disk, and what makes a change last.
CHANGES = "openat,write,pwrite64,ftruncate,fsync,fdatasync,link,rename,unlink"
_LINE = re.compile(rb"(\d+) +(?:<\.\.\. (\w+) resumed>|(\w+)\()(.*)")
_RESULT = re.compile(rb"\) += (-?\d+)")
_NAME = re.compile(rb'^-?\w+<([^>]*)>|"((?:\\x[0-9a-f]{2})*)"')
_INJECTED = re.compile(r"(\w+)(?:\(| resumed>).*\(INJECTED\)$")


class StraceUnavailable(Exception):
    """Why nothing can be traced here."""


def find() -> str:
    """The program, once it has held a process that it did not start. Raises StraceUnavailable."""
    program = shutil.which("strace")
    if program is None:
        raise StraceUnavailable("install your system's package (Debian: apt-get install strace)")
    with (
        subprocess.Popen(["cat"], stdin=subprocess.PIPE) as other,
        Program([program, "-o", "/dev/null", "-p", str(other.pid)]) as tracer,
    ):
        try:
            tracer.wait_for("attached")
        except RuntimeError as error:
            raise StraceUnavailable(f"one process may not trace another here: {tracer.output.strip()}") from error
    return program


@dataclass(frozen=True)
class Call:
    """One call to the system: the file it concerns, a second one's name, and what is written where."""

    name: str
    path: Path
    other: Path | None = None
    data: bytes = b""
    offset: int | None = None
    creates: bool = False


@dataclass(frozen=True)
class Moment:
    """A call begins, or ends with a result; below 0 it has failed."""

    call: Call
    result: int | None = None


def recording(program: str, log: Path, command: Sequence[str]) -> list[str]:
    """The command that runs another one and writes down every change it makes to a disk."""
    options = ["-f", "--seccomp-bpf", "-y", "-xx", "-s", "1000000", "-e", f"trace={CHANGES}", "-e", "signal=none"]
    return [program, *options, "-o", str(log), *command]


def moments(log: Path) -> Iterator[Moment]:
    """What `recording` wrote down. A call that the process did not live to see the end of only begins."""
    open_calls: dict[bytes, Call] = {}
    with log.open("rb") as lines:
        for line in lines:
            if (match := _LINE.match(line)) is None:
                continue
            thread, resumed, name, rest = match.groups()
            if name is not None:
                open_calls[thread] = _call(name.decode(), rest)
                yield Moment(open_calls[thread])
            if resumed is not None or not rest.endswith(b"<unfinished ...>"):
                result = _RESULT.findall(rest)
                if result:
                    yield Moment(open_calls.pop(thread), int(result[-1]))


def _call(name: str, rest: bytes) -> Call:
    texts = [_unhexed(file or text) for file, text in _NAME.findall(rest)]
    if name in ("write", "pwrite64"):
        offset = re.search(rb", (\d+)(?:\) +=| <unfinished)", rest) if name == "pwrite64" else None
        return Call(name, _path(texts[0]), data=texts[1], offset=int(offset[1]) if offset else None)
    if name == "ftruncate":
        size = re.search(rb", (\d+)(?:\) +=| <unfinished)", rest)
        assert size is not None, rest
        return Call(name, _path(texts[0]), offset=int(size[1]))
    if name == "openat":
        return Call(name, _path(texts[-1] if len(texts) < 2 else texts[1]), creates=b"O_CREAT" in rest)
    return Call(name, _path(texts[0]), _path(texts[1]) if len(texts) > 1 else None)


def _unhexed(text: bytes) -> bytes:
    return bytes.fromhex(text.replace(rb"\x", b"").decode())


def _path(text: bytes) -> Path:
    return Path(text.decode(errors="replace"))


class Refusing:
    """Fails calls of a running process and of its threads for as long as the block lasts.

    `faults` are strace's own words, such as `fsync:error=EIO:when=3+`; a thread's calls are counted by themselves. Only
    calls that concern one of `paths` are counted and failed, and only theirs are in the log.
    """

    def __init__(self, program: str, pid: int, log: Path, *, faults: Sequence[str], paths: Sequence[Path]) -> None:
        self._log = log
        names = ",".join(fault.partition(":")[0] for fault in faults)
        chosen = [part for path in paths for part in ("-P", str(path))]
        injected = [part for fault in faults for part in ("-e", f"inject={fault}")]
        options = ["-f", "-y", "-s", "0", "-e", f"trace={names}", "-e", "signal=none", *injected, *chosen]
        self._tracer = Program([program, *options, "-o", str(log), "-p", str(pid)])
        try:
            self._tracer.wait_for(r"attached")
        except BaseException:
            self._tracer.stop()
            raise

    def lines(self) -> list[str]:
        """The calls so far, one a line, in order; strace writes each out at once."""
        return self._log.read_text(errors="replace").splitlines()

    def refused(self) -> list[str]:
        """The names of the calls that were failed."""
        return [match[1] for line in self.lines() if (match := _INJECTED.search(line))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tracer.stop()
