"""The room of a job whose session is played in memory."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sitting import errors
from sitting.core.event import Event
from sitting.core.kind import Command
from sitting.core.session import Session


@dataclass
class JobRoom:
    """What a job may do, over an application's stage. A wait is noted, and over at once."""

    stage: Any
    job: str
    input: Mapping[str, Any]
    models: Any
    attempt: int = 1
    cancelled: bool = False
    pieces: list[str] = field(default_factory=list)
    reports: list[Command] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    on_wait: Callable[[], None] = lambda: None
    session: Session = field(init=False)

    def __post_init__(self) -> None:
        self.session = self.stage.session

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        self.on_wait()
        return self.cancelled

    def report(self, command: Command, *, last: bool = False) -> Session:
        assert last
        self.reports.append(command)
        self.stage.worker(command)
        session: Session = self.stage.session
        return session

    def write(self, text: str) -> None:
        assert text, "no empty piece"
        self.pieces.append(text)
        self.stage.texts[self.job] = self.written()

    def written(self) -> str:
        return "".join(self.pieces)

    def events(self, types: Collection[str] = ()) -> Sequence[Event]:
        return [event for event in self.stage.events if not types or event.type in types]

    def read(self, kind: str, id: str) -> Session | None:
        return None

    def about(self, kind: str) -> Sequence[str]:
        return ()

    def tell(self, session: str, command: Command) -> Session:
        raise errors.NotFound

    def find(self, kind: str, key: str) -> Session | None:
        return None

    def open(self, kind: str, command: Command) -> Session:
        raise errors.NotAllowed
