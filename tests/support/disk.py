"""A disk that loses its power: from what a process asked of it, the states it may be found in afterwards.

What was synced before the cut is there. What was not is there, or is not, or is there in part: each sector of 512 bytes
by itself, a change of length by itself, and of the changes to a directory the first few. That is harsher than a
journaling file system is, and as harsh as SQLite expects a disk to be (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`: what was not
written to is not damaged). Nothing here knows what is in the files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.support.strace import Call, Moment

SECTOR = 512


@dataclass
class _Change:
    """A write or, without `data`, a new length; `ended` once the process was told that it was done."""

    offset: int
    data: bytes | None
    ended: bool = False

    def into(self, content: bytearray, survives: Callable[[], bool], *, torn: bool) -> None:
        if self.data is None:
            if survives():
                del content[self.offset :]
                content.extend(bytes(self.offset - len(content)))
            return
        at, end = self.offset, self.offset + len(self.data)
        while at < end:
            stop = min(end, (at // SECTOR + 1) * SECTOR) if torn else end
            if survives():
                content.extend(bytes(max(0, at - len(content))))
                content[at:stop] = self.data[at - self.offset : stop - self.offset]
            at = stop


@dataclass
class _File:
    """One file: what is sure, and what waits for a sync."""

    stable: bytearray = field(default_factory=bytearray)
    waiting: list[_Change] = field(default_factory=list)
    length: int = 0

    def settle(self, changes: list[_Change]) -> None:
        for change in changes:
            change.into(self.stable, lambda: True, torn=False)
        settled = set(map(id, changes))
        self.waiting = [change for change in self.waiting if id(change) not in settled]


class Disk:
    """One folder of a disk, empty at first. Tell it what happened, and ask at any time what a power cut may leave."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._now: dict[str, _File] = {}
        self._stable: dict[str, _File] = {}
        self._renamed: list[tuple[str, _File | None]] = []  # names that came (with their file) or went (None)
        self._open: dict[int, tuple[_File | None, list[_Change]]] = {}

    def see(self, moment: Moment) -> bool:
        """Take in what a process did; whether it concerned this folder."""
        call = moment.call
        if call.path != self.folder and call.path.parent != self.folder:
            return False
        if moment.result is None:
            self._begins(call)
        elif moment.result >= 0:
            self._ends(call)
        return True

    def image(self, target: Path, dice: Random) -> None:
        """Write one state in which the folder may be found, into a folder that is empty."""
        chance = dice.choice((0.0, 0.0, 1.0, 0.5, dice.random(), dice.random()))
        torn = dice.random() < 0.7

        def survives() -> bool:
            return dice.random() < chance

        names = dict(self._stable)
        for name, file in self._renamed[: dice.randint(0, len(self._renamed))]:
            _name(names, name, file)
        for name, file in names.items():
            if name.endswith("-shm"):  # memory that processes share; after a power cut it holds nothing
                if dice.random() < 0.5:
                    (target / name).write_bytes(bytes(32768))
                continue
            content = bytearray(file.stable)
            for change in file.waiting:
                change.into(content, survives, torn=torn)
            (target / name).write_bytes(content)

    def _begins(self, call: Call) -> None:
        file = self._now.get(call.path.name)
        if call.name in ("write", "pwrite64", "ftruncate") and file is not None:
            offset = file.length if call.offset is None else call.offset
            change = _Change(offset, None if call.name == "ftruncate" else call.data)
            file.waiting.append(change)
            file.length = offset if change.data is None else max(file.length, offset + len(change.data))
            self._open[id(call)] = file, [change]
        elif call.name in ("fsync", "fdatasync"):
            self._open[id(call)] = file, [change for change in file.waiting if change.ended] if file else []

    def _ends(self, call: Call) -> None:
        file, changes = self._open.pop(id(call), (None, []))
        name = call.path.name
        if call.name in ("fsync", "fdatasync"):
            if call.path == self.folder:
                self._stable, self._renamed = dict(self._now), []
            elif file is not None:
                file.settle(changes)
        elif call.name == "openat" and call.creates and name not in self._now:
            self._rename(name, _File())
        elif call.name in ("link", "rename"):
            assert call.other is not None
            self._rename(call.other.name, self._now[name])
        if call.name in ("unlink", "rename"):
            self._rename(name, None)
        for change in changes:
            change.ended = True

    def _rename(self, name: str, file: _File | None) -> None:
        _name(self._now, name, file)
        self._renamed.append((name, file))


def _name(names: dict[str, _File], name: str, file: _File | None) -> None:
    if file is None:
        names.pop(name, None)
    else:
        names[name] = file
