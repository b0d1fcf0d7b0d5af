"""The notebook of `toy.py` as an application of its own, for servers that run as processes; its echo takes its time."""

from __future__ import annotations

from sitting.core.kind import Workroom
from sitting.installation import App
from sitting.workroom import Room
from tests.support import toy

PAUSE_SECONDS = 0.05


def slowly(room: Workroom) -> None:
    """Write the prompt back as somebody would who thinks between words."""
    assert isinstance(room, Room)
    for word in str(room.input["prompt"]).split():
        if room.wait(PAUSE_SECONDS):
            return
        room.write(f"{word} ")
    room.report(toy.RecordAnswer(turn=room.job, status="completed", text=room.written()), last=True)


APP = App("toy", "Notebooks", "For tests.", kinds=(toy.kind(work=slowly),))
