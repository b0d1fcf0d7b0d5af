"""The walls of the house, read from the source: who may import whom, how large things may be, what they may be called.

Every rule is a function from the parsed house to sentences, one for each fault. Imports count wherever they stand: at
the top, inside a function, or only for a type checker; a knot hidden there is still a knot.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

# From the ground up. A room may import only rooms on lower floors; a file belongs to the room in whose tuple it stands.
FLOORS: tuple[dict[str, tuple[str, ...]], ...] = (
    {"errors": ("errors",)},
    {"config": ("config",), "clock": ("clock",), "entropy": ("entropy",), "applications": ("applications",)},
    {
        "secret": ("secret",),
        "passwords": ("passwords",),
        "hints": ("hints",),
        "logs": ("logs",),
        "tracing": ("tracing",),
        "outfile": ("outfile",),
    },
    {"core": ("core",)},
    {
        "store": ("store",),
        "live": ("live",),
        "model": ("model", "endpoint_model", "local_model", "scripted_model"),
    },
    {"engine": ("engine", "reading", "holding", "writing")},
    {"worker": ("worker", "workroom"), "bundle": ("bundle",), "access": ("access", "passwords")},
    {"installation": ("installation",)},
    {"web": ("web",)},
    {"cli": ("cli", "__main__", "demo", "scaffold")},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
ROOM_OF = {file: room for rooms in FLOORS for room, files in rooms.items() for file in files}

# How high an application's file may reach, by its name. `judging_routes` counts as `routes`. Every other name imports
# core, errors and its like only, and except for `work` and `turns` (which run in a job) touches no outside world.
APP_MAY_IMPORT = {
    "app": FLOOR_OF["installation"],
    "cli": FLOOR_OF["cli"],
    "demo": FLOOR_OF["installation"],
    "edge": FLOOR_OF["web"],
    "routes": FLOOR_OF["web"],
    "service": FLOOR_OF["installation"],
}
APP_JOBS = {"work", "turns"}
PURE = {"core", "errors"}
AT_THE_EDGE = ("web", "apps/*/routes.py", "apps/*/*_routes.py", "apps/*/edge.py")

# Libraries that only some places may import.
KEPT_IN: dict[str, tuple[str, ...]] = {
    "sqlalchemy": ("store",),
    "alembic": ("store",),
    "pysqlite3": ("store",),
    "fastapi": AT_THE_EDGE,
    "starlette": AT_THE_EDGE,
    "asyncio": ("live.py", "hints.py", *AT_THE_EDGE),
    "anyio": ("live.py", *AT_THE_EDGE),
}
OUTSIDE_WORLD = set(
    "asyncio concurrent glob http httpx io logging multiprocessing os pathlib psycopg random secrets select shutil "
    "signal socket sqlite3 ssl subprocess sys tempfile threading time urllib uvicorn".split()
) | set(KEPT_IN)
OUTSIDE_CALLS = {"input", "open", "print"}
CLOCK_AND_CHANCE = {"now", "today", "utcnow", "uuid1", "uuid4"}

FORBIDDEN_NAMES = re.compile(r"(?i)^_*(utils?|helpers?|common|misc|managers?)$")
FORBIDDEN_CLASSES = re.compile(r"(Manager|Helper|Utils?)$")
FILE_LINES, FUNCTION_LINES = 500, 60


@dataclass(frozen=True)
class File:
    """One parsed file. `name` and `inside` are dotted below the package (`core.kind`); `outside` are libraries."""

    path: Path
    name: str
    source: str
    tree: ast.Module
    inside: frozenset[str] = field(default_factory=frozenset)
    outside: frozenset[str] = field(default_factory=frozenset)

    @property
    def room(self) -> str:
        return ROOM_OF.get(self.name.partition(".")[0], "")

    @property
    def app(self) -> str:
        """The application this file belongs to, or nothing."""
        parts = self.name.split(".")
        return parts[1] if parts[0] == "apps" and len(parts) > 1 else ""

    @property
    def part(self) -> str:
        """Which of the application's files this is: `kind`, `routes`; the package itself is as pure as `kind`."""
        parts = self.name.split(".")
        return parts[2].rpartition("_")[2] if len(parts) > 2 else ""

    @property
    def is_pure(self) -> bool:
        return self.room == "core" or bool(self.app and self.part not in APP_JOBS and self.part not in APP_MAY_IMPORT)


@dataclass(frozen=True)
class House:
    """All files below `root`, which is the directory of the package `package`."""

    root: Path
    package: str = "sitting"

    @cached_property
    def files(self) -> dict[str, File]:
        paths = {self._name(path): path for path in sorted(self.root.rglob("*.py"))}
        return {name: self._parse(path, name, set(paths)) for name, path in paths.items()}

    def _name(self, path: Path) -> str:
        return ".".join(path.relative_to(self.root).with_suffix("").parts).removesuffix("__init__").removesuffix(".")

    def _parse(self, path: Path, name: str, names: set[str]) -> File:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, str(path))
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        inside, outside = set(), set()
        for module, wanted in _imported(tree, f"{self.package}.{package}".rstrip(".")):
            if module.partition(".")[0] != self.package:
                outside.add(module.partition(".")[0])
                continue
            below = module.removeprefix(self.package).removeprefix(".")
            inner = f"{below}.{wanted}".strip(".")
            inside.add(inner if wanted and inner in names else below)
            if not below and inner not in names and wanted not in {"", "__version__"}:
                inside.add(f"the front door, for {wanted}")
        return File(path, name, source, tree, frozenset(inside - {name, ""}), frozenset(outside))


def _imported(tree: ast.Module, package: str) -> Iterator[tuple[str, str]]:
    """Each import as (absolute module, name taken from it or nothing)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield from ((module, alias.name) for alias in node.names)


def layers(house: House) -> Iterator[str]:
    """Imports point down; an application's parts import what their name allows."""
    for file in house.files.values():
        if not file.name or file.name == "apps":
            yield from (f"{file.name or 'the front door'} imports {target}" for target in file.inside)
        elif file.app:
            yield from _app_layers(file)
        elif not file.room:
            yield f"{file.name} has no place: give it a floor in tests/support/house.py"
        else:
            for target in sorted(file.inside):
                room = ROOM_OF.get(target.partition(".")[0], "")
                if room != file.room and FLOOR_OF.get(room, len(FLOORS)) >= FLOOR_OF[file.room]:
                    yield f"{file.name} imports {target}, which is not below it"


def _app_layers(file: File) -> Iterator[str]:
    for target in sorted(file.inside):
        parts = target.split(".")
        if parts[0] != "apps":
            room = ROOM_OF.get(parts[0], "")
            if room not in PURE and FLOOR_OF.get(room, len(FLOORS)) > APP_MAY_IMPORT.get(file.part, -1):
                yield f"{file.name} imports {target}, which is not for an application's {file.part or 'package'}"
        elif len(parts) < 2 or parts[1] != file.app:
            yield f"{file.name} imports {target}: applications never import each other"
        elif len(parts) > 2 and parts[2].rpartition("_")[2] in APP_MAY_IMPORT and file.part not in APP_MAY_IMPORT:
            yield f"{file.name} imports {target}: what is pure stays pure"


def cycles(house: House) -> Iterator[str]:
    """No module reaches itself, whatever kind of import the way is made of."""
    try:
        TopologicalSorter({name: file.inside for name, file in house.files.items()}).prepare()
    except CycleError as found:
        yield "cycle: " + " > ".join(found.args[1])


def libraries(house: House) -> Iterator[str]:
    """SQL stays in the store, HTTP and asyncio at the edge."""
    for file in house.files.values():
        place = file.path.relative_to(house.root)
        for library in sorted(file.outside & set(KEPT_IN)):
            homes = KEPT_IN[library]
            if place.parts[0] not in homes and not any(place.match(home) for home in homes):
                yield f"{place} imports {library}, which stays in {', '.join(homes)}"


def pure(house: House) -> Iterator[str]:
    """core, and an application's kind and prompts, touch neither the world nor the clock nor chance."""
    for file in filter(lambda file: file.is_pure, house.files.values()):
        yield from (f"{file.name} imports {library}" for library in sorted(file.outside & OUTSIDE_WORLD))
        for node in ast.walk(file.tree):
            if isinstance(node, ast.Call):
                own = getattr(node.func, "id", "")
                called = own or getattr(node.func, "attr", "")
                if own in OUTSIDE_CALLS or called in CLOCK_AND_CHANCE:
                    yield f"{file.name}:{node.lineno} calls {called}()"
            elif isinstance(node, ast.AsyncFunctionDef):
                yield f"{file.name}:{node.lineno} is asynchronous"


def sizes(house: House) -> Iterator[str]:
    """A file fits in one reading, a function on one screen."""
    for file in house.files.values():
        if (lines := file.source.count("\n")) > FILE_LINES:
            yield f"{file.name} has {lines} lines"
        for node in ast.walk(file.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    yield f"{file.name}:{node.name} has {lines} lines"


def names(house: House) -> Iterator[str]:
    """No name that says nothing, and nothing left for later."""
    for file in house.files.values():
        yield from (f"{file.name}: the name {part}" for part in file.name.split(".") if FORBIDDEN_NAMES.match(part))
        for node in ast.walk(file.tree):
            if isinstance(node, ast.ClassDef) and FORBIDDEN_CLASSES.search(node.name):
                yield f"{file.name}: the name {node.name}"
        yield from (f"{file.name}: {word}" for word in re.findall(r"\b(?:TODO|FIXME)\b", file.source))


RULES: tuple[Callable[[House], Iterator[str]], ...] = (layers, cycles, libraries, pure, sizes, names)
