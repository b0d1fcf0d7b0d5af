"""What the measurements share: medians of interleaved runs, a table of ratios, and a kind to append to."""

from __future__ import annotations

import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from sitting import (
    Actor,
    Ask,
    Command,
    Decision,
    Event,
    Fact,
    Grant,
    Installation,
    Kind,
    Lifecycle,
    Move,
    Session,
    Settings,
)
from sitting.installation import App

RUNS = 5


@dataclass(frozen=True)
class Row:
    """One line of the result: a ratio (or a figure) with its goal, and what it was made of."""

    name: str
    value: float
    goal: str
    met: bool
    of: str


def at_least(name: str, value: float, goal: float, of: str) -> Row:
    return Row(name, value, f">= {goal:g}", value >= goal, of)


def at_most(name: str, value: float, goal: float, of: str) -> Row:
    return Row(name, value, f"<= {goal:g}", value <= goal, of)


def medians(*runs: Callable[[], float], times: int = RUNS) -> list[float]:
    """Run the candidates in turn, A B A B, and give each one's median: a drift of the machine hits all alike."""
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(times):
        for place, run in enumerate(runs):
            found[place].append(run())
    return [statistics.median(values) for values in found]


class Create(Command):
    """Open a notebook."""

    verb: ClassVar[str] = "create"


class Add(Command):
    """Add a line."""

    verb: ClassVar[str] = "add"
    text: str


def _decide(ask: Ask) -> Decision:
    if isinstance(ask.command, Add):
        return Decision((Fact("added", {"text": ask.command.text}),))
    return Decision((Fact("created"),), grants=(Grant(ask.actor.id, "owner"),))


def _fold(session: Session, event: Event) -> Session:
    return session.to("open").set(count=session.data.get("count", 0) + 1)


def _view(session: Session, audience: str, now: datetime) -> dict[str, Any]:
    return {"id": session.id, "count": session.data["count"]}


NOTEBOOK = Kind(
    name="notebook",
    lifecycle=Lifecycle(("open",), (Move("create", (), ("member",), ("open",)), Move("add", ("open",), ("owner",)))),
    commands={"create": Create, "add": Add},
    decide=_decide,
    fold=_fold,
    audience=lambda session, actor, role: role,
    view=_view,
    tell=lambda event, audience: {"seq": event.seq, "type": event.type, "data": dict(event.data)},
)
APP = App(name="notebook", title="Notebook", description="Lines.", kinds=(NOTEBOOK,))
LINE = Add(text="a line of some length, as people write them when they are asked for one or two")


@contextmanager
def installation(**settings: Any) -> Iterator[Installation]:
    """An installation in a folder of its own, with the notebook."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Installation(Settings(data=Path(folder), model="none", **settings), apps=[APP]) as made,
    ):
        yield made


def notebook(made: Installation, actor: Actor, *, lines: int = 0) -> str:
    """The id of a new notebook with so many lines."""
    id: str = made.engine.open("notebook", Create(), actor).result().session.id
    for start in range(0, lines, 200):
        for future in [made.engine.do(id, LINE, actor) for _ in range(min(200, lines - start))]:
            future.result()
    return id


def together(count: int, each: Callable[[int], None]) -> float:
    """Seconds until `count` threads have each done their part; they start at once."""
    ready = threading.Barrier(count + 1)

    def part(place: int) -> None:
        ready.wait()
        each(place)

    threads = [threading.Thread(target=part, args=(place,)) for place in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    return time.perf_counter() - start


def table(rows: Sequence[Row]) -> str:
    """The result, for people."""
    width = max(len(row.name) for row in rows)
    return "\n".join(
        f"{row.name:<{width}}  {row.value:>9.3g}  {row.goal:>9}  {'ok' if row.met else 'MISSED':<6}  {row.of}"
        for row in rows
    )
