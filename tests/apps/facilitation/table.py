"""A meeting at the engine itself: a real store, a clock that a test moves, a scripted model, and a worker by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from sitting import bundle, errors
from sitting.apps.facilitation import FACILITATION, TEAM, commands, people, team_commands, terms, work
from sitting.apps.facilitation.commands import Claim, Close, Create, Start, Submit
from sitting.config import Settings
from sitting.core.actor import Actor, guest
from sitting.core.event import Event
from sitting.core.kind import Command, Workroom
from sitting.core.session import Session
from sitting.engine import Seen
from sitting.model import Scripted, Step
from sitting.store import people as store_people
from sitting.worker import Worker
from tests.support.engines import ADA, Bench, opened
from tests.support.hall import until

LINK_KEY = b"k" * 32
MONTH = "2026-01"
NAMES = ("Alice", "Bob", "Cy")
POINTS = ("The goal is unclear to me", "Handover is slow, and so is the goal", "Nobody waits for anybody")


class Cast:
    """One model under every name, or none."""

    def __init__(self, model: Scripted | None) -> None:
        self.model = model

    def get(self, name: str | None = None) -> Scripted:
        if self.model is None:
            raise errors.ModelNotConfigured
        return self.model


class Hasty:
    """A job's room in which a wait is noted and over at once."""

    def __init__(self, room: Workroom, waits: list[float]) -> None:
        self._room, self._waits = room, waits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._room, name)

    def wait(self, seconds: float) -> bool:
        self._waits.append(seconds)
        return self._room.cancelled


class Table:
    """One team, and what happens to it. `waits` are the pauses a synthesis made between its tries."""

    def __init__(self, path: Path, *steps: Step, model: bool = True, window: int = 8192, most: int = 25) -> None:
        self.store = opened(path)
        self.model = Scripted(steps, window=window)
        self.cast = Cast(self.model if model else None)
        self.waits: list[float] = []
        patient = replace(FACILITATION, work={terms.SYNTHESIZE: self._synthesize})
        settings = Settings(data=path, model="none", facilitation_max_members=most)
        self.kinds = {"team": TEAM, "facilitation": patient}
        self.bench = Bench(self.store, kinds=self.kinds, settings=settings, models=self.cast, link_key=LINK_KEY)
        self.engine, self.clock = self.bench.engine, self.bench.clock
        self.team = ""
        self.code = ""
        self._worker: Worker | None = None

    def _synthesize(self, room: Workroom) -> None:
        work.synthesize(cast(Workroom, Hasty(room, self.waits)))

    # What people do

    def enrols(self, actor: Actor) -> None:
        """An account in its space."""
        self.bench(self.store.write(lambda tx: store_people.set_roles(tx, actor.space, actor.id, actor.roles)))

    def found(self, *names: str, **fields: Any) -> Session:
        """A team with members."""
        wished = {"company_name": "Works", "team_name": "North", **fields}
        team = self.bench(self.engine.open("team", team_commands.CreateTeam(**wished), ADA)).session
        self.team, self.code = team.id, team.data["code"]
        for name in names:
            self.do(team.id, team_commands.AddMember(name=name))
        return self.session(team.id)

    def do(self, id: str, command: Command, actor: Actor = ADA) -> tuple[Event, ...]:
        """The events that a command made."""
        return self.bench(self.engine.do(id, command, actor)).events

    def draft(self, month: str = MONTH, *, actor: Actor = ADA) -> str:
        return self.bench(self.engine.open("facilitation", Create(team_id=self.team, month=month), actor)).session.id

    def capturing(self, month: str = MONTH) -> str:
        """A session that takes responses."""
        id = self.draft(month)
        self.do(id, Start())
        return id

    def device(self, name: str) -> Actor:
        """Somebody's phone, with the team's code typed in."""
        return guest(name, credentials=(people.team_credential(self.code),))

    def responds(self, id: str, member: int, *bullets: str, card: int | None = None, device: str = "") -> Actor:
        """A member who claims the name, unless the phone holds it, and submits."""
        phone = self.device(device or f"phone-{id}-{member}")
        self.do(id, Claim(member_id=member), phone)
        self.do(id, Submit(card=card, bullets=list(bullets)), phone)
        return phone

    def all_respond(self, id: str, points: Sequence[str] = POINTS) -> list[Actor]:
        return [self.responds(id, member, point) for member, point in enumerate(points, 1)]

    def closed(self, *, month: str = MONTH, points: Sequence[str] = POINTS) -> str:
        """A session that has been sealed; nobody has worked on it yet."""
        id = self.capturing(month)
        self.all_respond(id, points)
        self.do(id, Close())
        return id

    def revealed(self, *, month: str = MONTH, points: Sequence[str] = POINTS) -> str:
        id = self.closed(month=month, points=points)
        self.works()
        self.do(id, commands.Reveal())
        return id

    # What a test looks at

    def session(self, id: str) -> Session:
        return self.seen(id).session

    def seen(self, id: str, actor: Actor = ADA) -> Seen:
        return self.bench(self.engine.view(id, actor))

    def told(self, id: str, actor: Actor = ADA) -> list[dict[str, Any] | None]:
        return [told for _, told in self.bench(self.engine.events(id, actor, limit=1000)).events]

    def types(self, id: str) -> list[str]:
        return self.bench.types(id)

    def last(self, id: str, type: str) -> Event:
        return self.bench.selected(id, type)[-1]

    def verified(self, id: str) -> bool:
        verdict = self.bench(bundle.verify(self.store, self.kinds, id, epoch=3))
        assert verdict.ok, verdict.reason
        return verdict.ok

    def works(self) -> None:
        """Have the jobs done that are waiting."""
        if self._worker is None:
            self._worker = Worker(self.engine, models=self.cast)
        while self._worker.tick() is not None:
            continue
        until(self._worker.idle)

    def starts_working(self) -> None:
        """A worker that works by itself from now on."""
        self._worker = Worker(self.engine, models=self.cast)
        self._worker.start()

    def close(self) -> None:
        self.model.close()
        if self._worker is not None:
            self._worker.stop()
        self.engine.close()
        self.store.close()


@contextmanager
def laid(path: Path, *steps: Step, names: Sequence[str] = NAMES, team: Any = None, **options: Any) -> Iterator[Table]:
    """A table with a team of these names around it."""
    table = Table(path, *steps, **options)
    try:
        table.found(*names, **(team or {}))
        yield table
    finally:
        table.close()
