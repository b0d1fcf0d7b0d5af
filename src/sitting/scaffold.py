"""A small application to start from: what `sitting new-app NAME` writes."""

from __future__ import annotations

import keyword
import re
import shutil
from importlib.util import find_spec
from pathlib import Path
from string import Template

from . import errors
from .applications import names

_FILES = {
    "pyproject.toml": """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "sitting-$name"
version = "0.1.0"
dependencies = ["sitting"]

[project.entry-points."sitting.apps"]
$name = "$name.app:APP"

[tool.hatch.build.targets.wheel]
packages = ["$name"]
""",
    "$name/__init__.py": '"""The application $name."""\n',
    "$name/app.py": '''\
"""The application as Sitting is told of it; `pip install -e .` makes it known, or SITTING_APPLICATIONS does."""

from sitting import App

from .kind import KIND

APP = App(name="$name", title="$title", description="Say in one line what $title is for.", kinds=(KIND,))
''',
    "$name/kind.py": '''\
"""The kind `$name`: a list of points that somebody collects and then closes. Pure: no I/O, no clock."""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from sitting import Actor, Ask, Command, Decision, Event, Fact, Grant, Kind, Lifecycle, Move, Session
from sitting.core.event import to_text


class Create(Command):
    """Open a list."""

    verb: ClassVar[str] = "create"
    title: str = Field(min_length=1, max_length=200)


class Add(Command):
    """Add a point."""

    verb: ClassVar[str] = "add"
    text: str = Field(min_length=1, max_length=1000)


class Close(Command):
    """Close the list."""

    verb: ClassVar[str] = "close"


LIFECYCLE = Lifecycle(
    ("open", "closed"),
    (
        Move("create", (), ("member",), ("open",)),
        Move("add", ("open",), ("owner",)),
        Move("close", ("open",), ("owner",), ("closed",)),
        Move("erase", ("open", "closed"), ("owner",)),
    ),
    final=("closed",),
)


def decide(ask: Ask) -> Decision:
    """What follows from a command that the lifecycle allows."""
    match ask.command:
        case Create(title=title):
            return Decision((Fact("created", {"title": title}),), grants=(Grant(ask.actor.id, "owner"),))
        case Add(text=text):
            return Decision((Fact("added", personal={ask.actor.id: {"text": text}}),))
        case _:
            return Decision((Fact("closed"),))


def fold(session: Session, event: Event) -> Session:
    """The session after an event; erased content is simply not there."""
    if event.type == "created":
        return session.to("open").set(title=event.data["title"])
    if event.type == "added":
        return session.put("points", str(event.seq), {"text": event.part(event.actor).get("text", "")})
    return session.to("closed")


def audience(session: Session, actor: Actor, role: str) -> str:
    """Who sees the same: here, everybody who may see anything."""
    return role


def view(session: Session, audience: str, now: datetime) -> dict[str, Any]:
    """The session as JSON."""
    points = [point["text"] for point in session.collection("points").values()]
    return {"id": session.id, "title": session.data["title"], "state": session.state, "points": points}


def tell(event: Event, audience: str) -> dict[str, Any] | None:
    """One event as JSON, or None when this audience may only see the position move.

    What this shows of `personal` under its own name may leave in a bundle, too; what it keeps back stays here.
    """
    text = {"text": event.part(event.actor).get("text", "")} if event.type == "added" else {}
    return {"seq": event.seq, "type": event.type, "ts": to_text(event.at), "data": {**event.data, **text}}


KIND = Kind(
    name="$name",
    label="$title",
    lifecycle=LIFECYCLE,
    commands={"create": Create, "add": Add, "close": Close},
    decide=decide,
    fold=fold,
    audience=audience,
    view=view,
    tell=tell,
    standing={"admin": "owner"},
    owner="owner",
    title=lambda session: str(session.data.get("title", session.id)),
)
''',
    "tests/test_$name.py": '''\
"""The application, run for real: an engine over a SQLite file."""

from pathlib import Path

from sitting import Installation, Settings
from $name.app import APP
from $name.kind import Add, Close, Create


def test_a_list_is_collected_and_closed(tmp_path: Path) -> None:
    with Installation(Settings(data=tmp_path, model="none"), apps=[APP]) as sitting:
        me = sitting.access.local()
        id = sitting.engine.open("$name", Create(title="Groceries"), me).result().session.id
        sitting.engine.do(id, Add(text="Bread"), me).result()
        sitting.engine.do(id, Close(), me).result()
        seen = sitting.engine.view(id, me).result()
        assert seen.view["points"] == ["Bread"]
        assert seen.session.state == "closed"
''',
    "README.md": """\
# $title

    pip install -e . pytest
    sitting serve
    pytest

The kind is `$name/kind.py`. Its pages, API, live stream, journal and commands come with Sitting.
What else a kind can say: `python -m pydoc sitting.Kind`.
""",
}


def write(name: str, into: Path) -> list[Path]:
    """Write the application `name` below `into`.

    Raises:
        Misuse: the name is no Python name, or the folder exists or cannot be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,30}", name) or keyword.iskeyword(name):
        raise errors.Misuse("An application's name is 2 to 31 of a-z, 0-9 and _, and starts with a letter.")
    if find_spec(name) is not None or any(f".{name}." in known for known in names()):
        raise errors.Misuse(f"There is a package or an application called '{name}' already. Choose another name.")
    folder = into / name
    if folder.exists():
        raise errors.Misuse(f"{folder} exists already.")
    values = {"name": name, "title": name.replace("_", " ").capitalize()}
    written = []
    try:
        for path, text in _FILES.items():
            target = folder / Template(path).substitute(values)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(Template(text).substitute(values))
            written.append(target)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # it was not there before
        raise errors.Misuse(f"{folder} cannot be written: {error.strerror}.") from None
    return written
