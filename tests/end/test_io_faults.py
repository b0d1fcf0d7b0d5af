"""Every call to the disk may fail: a command is then done and durable, or refused and absent, and the next one goes on.

One command is given again and again, each time in a process of its own on a copy of one database, and each time the
next call fails: the first, the second, and so on until none is left that could. It fails once, or from then on. SQLite
tests itself like this; here the whole of store and engine stands on it.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pysqlite3
import pytest

from tests.support.attempts import COMMANDS, KINDS, TIMES, Attempt, Attempts, prepare
from tests.support.promised import Promised, faults

FAULTS = {
    "openat": ("EIO", "ENOSPC", "EMFILE"),
    "pread64": ("EIO",),
    "pwrite64": ("EIO", "ENOSPC"),
    "ftruncate": ("EIO", "ENOSPC"),
    "fsync": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO", "ENOSPC"),
    "mmap": ("ENOMEM",),
    "unlink": ("EIO",),
}
OF_ONE_COMMAND = 150  # runs, at least
FOR_GOOD = "+"


class Database:
    """One database, copied for each attempt."""

    def __init__(self, attempts: Attempts, folder: Path) -> None:
        self._attempts, self._folder = attempts, folder
        self.session = prepare(folder / "prepared")
        self._before = _count(folder / "prepared")

    def until_unharmed(self, verb: str, fault: str, how: str, *, deaf: bool = False) -> Iterator[list[str]]:
        """What is wrong after each attempt, until one meets no fault any more."""
        refused, number = True, 0
        while refused:
            number += 1
            place = self._folder / "attempt"
            shutil.copytree(self._folder / "prepared", place)
            attempt = self._attempts.make(place, self.session, verb, f"{fault}:when={number}{how}", deaf=deaf)
            wrong = self._wrong(place, attempt, lasts=how == FOR_GOOD)
            yield [f"{verb}, {fault} at call {number}{how}: {each} {attempt.answers}" for each in wrong]
            shutil.rmtree(place)
            refused = bool(attempt.refused)

    def _wrong(self, place: Path, attempt: Attempt, *, lasts: bool) -> list[str]:
        last = attempt.answers[-1]
        codes = [answer.get("error", "") for answer in attempt.answers]
        promised = Promised()
        for event in last.get("events", ()):
            promised.events[last["told"], event["seq"]] = event
        wrong = faults(place, promised, KINDS)
        wrong += [f"the caller was shown {answer['foreign']}" for answer in attempt.answers if "foreign" in answer]
        more = _count(place) - self._before
        if "told" in last:
            if more != 1:
                wrong.append(f"{more} events stand where one was told")
            if last["again"] and "STORE_UNAVAILABLE" not in codes:
                wrong.append("nothing was stored, it said, and it was")
            return wrong
        if not lasts:
            wrong.append(f"it did not recover in {TIMES} attempts")
        if more not in ((0, 1) if "STORE_UNAVAILABLE" in codes else (0,)):
            wrong.append(f"{more} events stand where none was told")
        return wrong


def _count(folder: Path) -> int:
    with closing(pysqlite3.connect(folder / "sitting.db")) as connection:
        count: int = connection.execute("SELECT count(*) FROM events").fetchone()[0]
        return count


@pytest.fixture
def database(strace: str, memory: Path) -> Iterator[Database]:
    with Attempts(strace) as attempts:
        yield Database(attempts, memory)


@pytest.mark.timeout(5400)
def test_whichever_call_fails_a_command_is_durable_or_absent(
    database: Database, dice: Random, rounds: Callable[[int, int], int]
) -> None:
    verbs = dice.sample(list(COMMANDS), rounds(OF_ONE_COMMAND, OF_ONE_COMMAND * len(COMMANDS)) // OF_ONE_COMMAND)
    for verb in verbs:
        runs = 0
        for call, codes in FAULTS.items():
            for code in codes:
                for how in ("", FOR_GOOD):
                    for wrong in database.until_unharmed(verb, f"{call}:error={code}", how):
                        assert wrong == []
                        runs += 1
        assert runs >= OF_ONE_COMMAND


def test_a_store_that_hears_no_error_of_commit_is_caught(database: Database) -> None:
    found = [
        each for wrong in database.until_unharmed("note", "fsync,fdatasync:error=EIO", "", deaf=True) for each in wrong
    ]
    assert any("was lost" in each for each in found), "nothing was missed"
