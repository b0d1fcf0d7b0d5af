"""One command after the other, each in a process of its own, while calls to the system are refused.

A process that has loaded everything forks for each order (`Attempts`). The fork waits until the tracer holds it, opens
a database, gives one command, gives it again under the same key when it is told that it failed, and closes the
database. Each answer is the events it was told, or the code of the error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sitting import errors, logs
from sitting.clock import SystemClock
from sitting.core.actor import Actor
from sitting.core.kind import Command
from sitting.engine import Done, Engine, Once
from sitting.store import Store, migrate
from tests.support import toy
from tests.support.engines import Woken
from tests.support.process import plainly
from tests.support.promised import Json, plain
from tests.support.strace import Refusing

ADA = Actor("user:ada", "default", frozenset({"member"}))
KINDS = {toy.KIND.name: toy.KIND}
ANSWERED_SECONDS = 120.0
TIMES = 4  # each thread of a process counts its calls by itself, so that a fault can come once in each of them
COMMANDS: Mapping[str, Command] = {
    "create": toy.Create(name="another"),
    "note": toy.Note(text="a word " * 100),
    "ask": toy.AskEcho(prompt="what was said"),
    "invite": toy.Invite(actor="guest:one"),
    "share": toy.Share(credential=f"link:{1:064x}"),
    "pause": toy.Pause(),
    "forget": toy.Forget(actor=ADA.id),
    "end": toy.End(reason="enough"),
}


class Deaf(Store):
    """A store that hears no error of COMMIT: the fault that a checker must find."""

    def _commit(self, driver: Any, writes: Any, group: Any) -> None:
        class Ear:
            def execute(self, sql: str, *rest: Any) -> Any:
                try:
                    return driver.execute(sql, *rest)
                except Exception:
                    if sql != "COMMIT":
                        raise

            @property
            def in_transaction(self) -> bool:
                return bool(driver.in_transaction)

        super()._commit(Ear(), writes, group)


def prepare(folder: Path) -> str:
    """A database with one notebook in it, and some words in that; the notebook's id."""
    folder.mkdir()
    store = Store(f"sqlite:///{folder / 'sitting.db'}")
    migrate.upgrade(store)
    engine = Engine(store, KINDS, clock=SystemClock(), wakes=Woken())
    id = engine.open("toy", toy.Create(name="prepared", words=10_000), ADA).result().session.id
    for number in range(20):
        engine.do(id, toy.Note(text=f"note {number} {'x' * 500}"), ADA).result()
    engine.close()
    store.close()
    return id


@dataclass(frozen=True)
class Attempt:
    """What came of an order: an answer or two, and the calls that were refused meanwhile."""

    answers: tuple[Json, ...]
    refused: tuple[str, ...]


class Attempts:
    """The process that forks. Use it as a context manager."""

    def __init__(self, strace: str) -> None:
        self._strace = strace
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.attempts"],
            env=plainly(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def make(self, folder: Path, session: str, verb: str, fault: str, *, deaf: bool = False) -> Attempt:
        """Give one command in a folder's database while `fault`, in strace's words, holds."""
        gate, log = folder / "gate", folder.with_suffix(".log")
        os.mkfifo(gate)
        pid = json.loads(self._ask({"folder": str(folder), "session": session, "verb": verb, "deaf": deaf}))
        files = [folder, *(folder / f"sitting.db{part}" for part in ("", "-wal", "-shm"))]
        with Refusing(self._strace, pid, log, faults=[fault], paths=files) as refusing:
            gate.open("w").close()
            answers = json.loads(self._answer())
        refused = refusing.refused()
        gate.open("w").close()
        gate.unlink()
        log.unlink()
        return Attempt(tuple(answers), tuple(refused))

    def _ask(self, order: Json) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        os.killpg(self._process.pid, signal.SIGKILL)  # a session of its own: it and what it forked, nothing else
        self._process.wait(ANSWERED_SECONDS)
        self._process.stdin.close()
        self._process.stdout.close()


def _attempt(order: Json) -> list[Json]:
    """Open, give the command, close; what was answered."""
    answers: list[Json] = []
    sort = Deaf if order["deaf"] else Store
    try:
        store = sort(f"sqlite:///{order['folder']}/sitting.db", readers=1, writers=1)
        try:
            for _ in range(TIMES):
                answers.append(_answered(lambda: _given(store, order)))
                if "told" in answers[-1]:
                    break
        finally:
            store.close()
    except Exception as error:
        answers.append({"foreign": repr(error)})
    return answers


def _answered(give: Callable[[], Done]) -> Json:
    try:
        done = give()
    except errors.SittingError as error:
        return {"error": error.code}
    except Exception as error:
        return {"foreign": repr(error)}
    told = [plain(event) for event in done.events]
    return {"told": done.session.id, "events": told, "again": done.repeated}


def _given(store: Store, order: Json) -> Done:
    migrate.upgrade(store)
    engine = Engine(store, KINDS, clock=SystemClock(), wakes=Woken())
    command = COMMANDS[order["verb"]]
    once = Once("attempts", "key", b"request", lambda done: b"answer")
    try:
        if order["verb"] == "create":
            return engine.open("toy", command, ADA, once=once).result(ANSWERED_SECONDS)
        return engine.do(order["session"], command, ADA, once=once).result(ANSWERED_SECONDS)
    finally:
        engine.close()


def main() -> None:
    """Fork for each line of standard input. Answers alone go to standard output."""
    logs.configure("error")
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            gate = Path(order["folder"]) / "gate"
            gate.read_bytes()
            answers = _attempt(order)
            print(json.dumps(answers), flush=True)
            gate.read_bytes()  # a process that ends while it is traced may stay for ever
            os._exit(0)
        print(pid, flush=True)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
