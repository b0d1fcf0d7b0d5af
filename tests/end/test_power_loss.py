"""Power loss: whatever state the disk is found in, what was acknowledged is there, and what was erased is not.

A real process gives real commands; strace writes down every change it asks of the disk, with the acknowledgements
between them. From that come the states in which a power cut at any instant may leave the disk (`tests.support.disk`),
and each is opened with the real store. The same record of a process that does not wait for its disk must be caught.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

from sitting import secret
from tests.support import scribe
from tests.support.disk import Disk
from tests.support.process import Program, plainly
from tests.support.promised import Promised, faults
from tests.support.strace import Moment, moments, recording

COMMANDS = 60  # of each of the four threads in one record
STATES = 2000  # of one record
AT_A_CUT = 4


def recorded(strace: str, folder: Path, *options: str) -> list[Moment]:
    """Everything a process asked of its disk, from an empty folder to its end, and what it was told."""
    (folder / "data").mkdir(parents=True)
    command = [sys.executable, "-m", "tests.support.scribe", str(folder / "data"), str(folder / "told")]
    with Program(recording(strace, folder / "log", [*command, *options]), env=plainly()) as process:
        assert process.wait(seconds=250) == 0, process.output
    ours = {folder / "data", folder / "told"}
    record = [moment for moment in moments(folder / "log") if {moment.call.path, moment.call.path.parent} & ours]
    shutil.rmtree(folder)
    return record


def images(record: list[Moment], place: Path, dice: Random, cuts: Iterable[int]) -> Iterator[tuple[Path, Promised]]:
    """What a power cut may leave, some states for each of the cuts, and what had been promised by then."""
    folder = next(moment.call.path for moment in record if moment.call.path.name == "secret").parent
    disk, promised, seen = Disk(folder), Promised(), 0
    for cut in cuts:
        for moment in record[seen : cut + 1]:
            disk.see(moment)
            if moment.call.path.parent != folder and moment.call.name == "write" and moment.result is None:
                promised.hear(moment.call.data)
        seen = cut + 1
        for _ in range(AT_A_CUT):
            place.mkdir()
            disk.image(place, dice)
            yield place, promised
            shutil.rmtree(place)


def somewhere(record: list[Moment], dice: Random, states: int) -> list[int]:
    """Cuts for so many states, in order."""
    return sorted(dice.randrange(len(record)) for _ in range(states // AT_A_CUT))


@pytest.mark.timeout(5400)
def test_what_was_acknowledged_survives_a_power_cut(
    tmp_path: Path, memory: Path, strace: str, dice: Random, rounds: Callable[[int, int], int]
) -> None:
    states = rounds(STATES, 50 * STATES)
    for _ in range(states // STATES):
        record = recorded(strace, tmp_path / "recorded", "--commands", str(COMMANDS), "--seed", str(dice.random()))
        for image, promised in images(record, memory / "image", dice, somewhere(record, dice, STATES)):
            assert faults(image, promised, scribe.KINDS) == []
            assert not promised.count or len((image / "secret").read_bytes()) == secret.BYTES
        assert promised.count > COMMANDS * scribe.THREADS / 2
        assert promised.gone


def test_a_database_that_does_not_wait_for_its_disk_is_caught(
    tmp_path: Path, memory: Path, strace: str, dice: Random
) -> None:
    record = recorded(strace, tmp_path / "recorded", "--seed", str(dice.random()), "--careless")
    cuts = somewhere(record, dice, 40)
    wrong = [faults(image, promised, scribe.KINDS) for image, promised in images(record, memory / "image", dice, cuts)]
    assert any("was lost" in fault for found in wrong for fault in found), "nothing was missed"


def test_what_was_erased_does_not_come_back_with_the_power(
    tmp_path: Path, memory: Path, strace: str, dice: Random
) -> None:
    """The log is cut to nothing, and that waits for the disk. One instant earlier it would be too early to say so."""
    record = recorded(strace, tmp_path / "recorded", "--erase")

    def found(cuts: Iterable[int]) -> list[tuple[str, bool]]:
        """In which files the words still stand, and whether they had been said to be destroyed."""
        return [
            (file.name, bool(promised.gone))
            for image, promised in images(record, memory / "image", dice, cuts)
            for file in image.iterdir()
            if scribe.DESTROYED.encode() in file.read_bytes()
        ]

    assert set(found(range(len(record)))) == {("sitting.db-wal", False)}
    cut = next(n for n, moment in enumerate(record) if moment.call.name == "ftruncate" and moment.result == 0
               and moment.call.path.name == "sitting.db-wal")  # fmt: skip
    assert found([cut] * 10), "nothing was missed"
