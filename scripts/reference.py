"""Writes the pages of docs/reference that repeat what the code says: settings, errors, cli, http, lifecycles, limits.

    python -m scripts.reference            write them
    python -m scripts.reference --check    say which differ, and exit 1 when one does

Only what comes with Sitting is described: applications of other installed packages are left out. A test holds the
written pages equal to what this makes, so whoever changes the code runs it.
"""

from __future__ import annotations

import inspect
import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import typer
from fastapi import FastAPI
from fastapi.routing import APIRoute

from scripts import limits
from sitting import __version__, cli, errors
from sitting.applications import BUILT_IN
from sitting.config import Settings
from sitting.core.kind import Kind
from sitting.core.lifecycle import CREATE, ERASE, Lifecycle, Move
from sitting.installation import App
from sitting.web import diagram, openapi, pages, refusals, signin
from sitting.web import errors as statuses

FOLDER = Path(__file__).parent.parent / "docs" / "reference"
NOTE = "<!-- Made by `python -m scripts.reference`. Change the code, not this page. -->"
_HTTP_TOO = "Every command of every kind is also at `POST /v1/sessions/{id}/commands/{verb}`"


def main() -> None:
    """Write the pages, or with `--check` only compare."""
    found = stale()
    if "--check" in sys.argv[1:]:
        print("\n".join(f"docs/reference/{name} is not what the code says" for name in found) or "all pages agree")
        sys.exit(1 if found else 0)
    for name in found:
        (FOLDER / name).write_text(made()[name], encoding="utf-8")
        print(f"docs/reference/{name}")


def stale(folder: Path = FOLDER) -> list[str]:
    """The pages in `folder` that are not what the code says."""
    return [name for name, text in made().items() if not _is(folder / name, text)]


def made() -> dict[str, str]:
    """File name -> text of every page that is made."""
    built_in = applications()
    return {
        "settings.md": settings(),
        "errors.md": errors_page(),
        "cli.md": command_line(),
        "http.md": http(built_in),
        "lifecycles.md": lifecycles(built_in),
        "limits.md": limits_page(),
    }


def applications() -> tuple[App, ...]:
    """The applications that come with Sitting."""
    found = []
    for name in BUILT_IN:
        module, _, attribute = name.partition(":")
        found.append(getattr(import_module(module), attribute))
    return tuple(found)


# Settings


def settings() -> str:
    """Every setting: default, bounds, what it is for."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.get_default(call_default_factory=True)
        bounds = ", ".join(_bound(item) for item in field.metadata if _bound(item))
        rows.append((f"`SITTING_{name.upper()}`", _code(_shown(default)), bounds, field.description or ""))
    return _page(
        "Settings",
        "Sitting reads its settings from the environment, once, when a process starts. A variable that begins with "
        "`SITTING_` and is no setting is refused, and so is a wrong value: the process ends with exit code 3 and one "
        "sentence. `sitting settings` prints the values in force; secrets are shown as `(set)`, a password inside an "
        "address as `***`.",
        "Where a command has an option of the same name (`--data`, `--port`), the option wins.",
        _table(("Setting", "Default", "Bounds", "What it is for"), rows),
        "Lists and mappings are JSON: `SITTING_APPLICATIONS='[\"retro.app:APP\"]'`.",
    )


def _bound(item: Any) -> str:
    words = {"ge": "at least", "le": "at most", "gt": "more than"}
    for name, said in words.items():
        if (value := getattr(item, name, None)) is not None:
            return f"{said} {value:,}"
    if pattern := getattr(item, "pattern", None):
        return str(pattern).strip("^$()").replace("|", ", ")
    return ""


def _shown(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case "" | None:
            return ""
        case list() | dict():
            return json.dumps(value, ensure_ascii=False)
        case _:
            return str(value)


# Errors


def errors_page() -> str:
    """The tree, then each class with its code, status, exit code and sentence."""
    tree = inspect.cleandoc(errors.__doc__ or "").split("\n\n")[1]
    parts = [
        _page(
            "Errors",
            "Every refusal has a code that does not change, a sentence for people, and facts that are safe to show. "
            "The nearest class in the tree below decides the HTTP status and the exit code of `sitting`.",
            "Over HTTP a refusal is a problem document (RFC 9457), or a page when `Accept` names `text/html`:",
            '```json\n{"type": "about:blank", "title": "Conflict", "status": 409,\n'
            ' "detail": "Cannot start session. Session is in \'active\' state.", "code": "WRONG_STATE",\n'
            ' "request_id": "9c5f0e1b2a3d4f60", "session_status": "active", "allowed": ["pause", "end"]}\n```',
            "`request_id` also stands in the log line of the request. On the command line the sentence goes to "
            "standard error. A *refusal* stored nothing. A *fault* is the server's trouble, and its sentence says what "
            "is known about what was stored.",
            f"```text\n{textwrap.dedent(tree)}\n```",
        )
    ]
    for module, title in _error_modules():
        rows = [
            (f"`{cls.code}`", str(statuses.status_of(cls())), str(_exit_code(cls)), _first_line(cls))
            for cls in _classes(module)
        ]
        parts.append(
            f"## {title}\n\n" + _table(("Code", "Status", "Exit", "Sentence, unless a better one is known"), rows)
        )
    parts.append(
        "## What is not in the tree\n\nAn error nobody foresaw answers 500 with the code `INTERNAL` and a "
        "`request_id`. The log has the place where it broke under that id, and neither the answer nor the log repeats "
        "what was sent."
    )
    parts.append("## Exit codes of `sitting`\n\n" + _exit_codes())
    return "\n\n".join(parts) + "\n"


def _error_modules() -> Iterator[tuple[Any, str]]:
    yield errors, "Everywhere"
    yield refusals, "Over HTTP only"
    for app in applications():
        module = f"{app.routes.rpartition('.')[0]}.refusals"
        yield import_module(module), f"Application `{app.name}`"


def _classes(module: Any) -> list[type[errors.SittingError]]:
    """The classes a module defines that have a code of their own."""
    return [
        cls
        for cls in vars(module).values()
        if inspect.isclass(cls) and issubclass(cls, errors.SittingError) and cls.__module__ == module.__name__
        if "code" in vars(cls) and cls not in (errors.SittingError, errors.Refusal, errors.Fault)
    ]


def _exit_code(cls: type[errors.SittingError]) -> int:
    return next(code for kind, code in cli.EXITS if issubclass(cls, kind))


def _exit_codes() -> str:
    said = re.search(r"Exit codes: (.*?)\.\n", (cli.__doc__ or "") + "\n", re.DOTALL)
    assert said is not None, "cli.py says its exit codes in its docstring"
    rows = [tuple(part.strip().split(" ", 1)) for part in " ".join(said[1].split()).split(",")]
    return _table(("Exit code", "Meaning"), rows)


# Command line


def command_line() -> str:
    """Every command with its arguments and options."""
    if not any(known.name == "interview" for known in cli.app.registered_groups):
        cli._add_applications()
    group = typer.main.get_command(cli.app)
    parts = [
        _page(
            "Command line",
            "`sitting COMMAND --help` says the same. Commands that read or change sessions open the data directory or "
            "the database themselves, as the local administrator `user:local`; they need no running server and may run "
            "beside one. Whoever may read the data directory may do everything.",
            "Data goes to standard output, refusals to standard error; "
            "[the exit codes](errors.md#exit-codes-of-sitting) tell them apart.",
        )
    ]
    parts += [_command(path, command) for path, command in commands("sitting", group)]
    return "\n\n".join(parts) + "\n"


def commands(path: str, group: Any) -> Iterator[tuple[str, Any]]:
    """Every command below a group, with the words that are typed for it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(f"{path} {name}", command)
        else:
            yield f"{path} {name}", command


def _command(path: str, command: Any) -> str:
    arguments = [item for item in command.params if not item.opts[0].startswith("-")]
    options = [item for item in command.params if item.opts[0].startswith("-")]
    usage = " ".join([path, *(_argument(item) for item in arguments), *(["[OPTIONS]"] if options else [])])
    parts = [f"## {path}", " ".join(str(command.help or "").split()), f"```text\n{usage}\n```"]
    rows = [(f"`{_argument(item)}`", item.help or "", _code(_shown(item.default))) for item in arguments]
    rows += [
        (f"`{', '.join(item.opts)}`", item.help or "", "" if item.is_flag else _code(_shown(item.default)))
        for item in options
    ]
    if rows:
        parts.append(_table(("Argument or option", "What it is", "Default"), rows))
    return "\n\n".join(part for part in parts if part)


def _argument(item: Any) -> str:
    name = item.name.upper() + ("..." if item.nargs == -1 else "")
    return name if item.required else f"[{name}]"


# HTTP


def http(built_in: Sequence[App]) -> str:
    """Every route: what it does, and for `/v1` the statuses it answers with."""
    app = FastAPI()
    for known in built_in:
        app.include_router(import_module(known.routes).router)
    kinds = {kind.name: kind for known in built_in for kind in known.kinds}
    document = openapi.document(kinds, app.routes, version=__version__)
    common = {path: item for path, item in document["paths"].items() if _is_common(path)}
    parts = [
        _page(
            "HTTP",
            "A running server describes itself at `/openapi.json`, with the schema of every command. Requests prove "
            "who asks with `Authorization: Bearer TOKEN` or with the sign-in cookie; a change asked for with a cookie "
            "also needs `X-CSRF-Token`. Bodies are JSON in UTF-8; unknown fields are refused.",
            "On every `POST` that changes a session, `Idempotency-Key` (1 to 255 visible ASCII characters) makes a "
            "repeat safe: the same key with the same body gets the first answer again for 24 hours, with "
            '`Idempotent-Replayed: true`. `If-Match` with a position (`"1.42"`) refuses a command or '
            "`DELETE` with 412 when the session has moved on.",
            "Any `GET` also answers `HEAD`. Besides the statuses named, every route may answer "
            f"{', '.join(str(status) for status in openapi._ALWAYS)}; see [errors](errors.md).",
        ),
        "## Sessions of every kind\n\n" + _routes_table(common, answers=True),
        f"{_HTTP_TOO}, except the system's own and those that make a credential; "
        "[lifecycles](lifecycles.md) has them with their fields.",
    ]
    for known in built_in:
        own = FastAPI()
        own.include_router(import_module(known.routes).router)
        routes = openapi.document({}, own.routes, version=__version__)["paths"]
        routes = {path: item for path, item in routes.items() if not _is_common(path)}
        parts.append(f"## Application `{known.name}`\n\n{known.description}\n\n" + _routes_table(routes))
    parts.append(
        "## Pages of every kind\n\nFor people with a browser. They work without JavaScript, for every kind, also for "
        "one that has no page of its own.\n\n" + _pages_table()
    )
    return "\n\n".join(parts) + "\n"


def _is_common(path: str) -> bool:
    return path.startswith(("/v1", "/livez", "/readyz", "/metrics")) and "/commands/" not in path


def _routes_table(paths: Mapping[str, Any], *, answers: bool = False) -> str:
    rows = []
    for path, item in paths.items():
        for method, operation in item.items():
            said = " ".join((operation.get("description") or operation["summary"]).split("\n\n")[0].split())
            row = [f"`{method.upper()} {path}`", said]
            if answers:
                row.append(", ".join(_own_statuses(operation)))
            rows.append(tuple(row))
    return _table(("Route", "What it does", "Answers")[: 3 if answers else 2], rows)


def _own_statuses(operation: Mapping[str, Any]) -> list[str]:
    return [status for status in sorted(operation["responses"]) if status not in map(str, openapi._ALWAYS)]


def _pages_table() -> str:
    rows = []
    for route in _flat([*signin.router.routes, *pages.router.routes]):
        said = " ".join(inspect.cleandoc(route.endpoint.__doc__ or "").split("\n\n")[0].split())
        rows.append((f"`{'|'.join(sorted(route.methods or ()))} {route.path}`", said))
    return _table(("Page", "What it does"), rows)


def _flat(routes: Iterable[Any]) -> Iterator[APIRoute]:
    """The routes, those of included routers too."""
    for route in routes:
        inner = getattr(route, "original_router", None)
        if inner is not None:
            yield from _flat(inner.routes)
        elif isinstance(route, APIRoute):
            yield route


# Lifecycles


def lifecycles(built_in: Sequence[App]) -> str:
    """For each kind a diagram, the table of moves, and the fields of each command."""
    kinds = [kind for app in built_in for kind in app.kinds]
    parts = [
        _page(
            "Lifecycles",
            "A session is in one state of its kind. A move that is not in the table is refused with `WRONG_STATE`; a "
            "role that is not named with `NOT_ALLOWED`; somebody without any role is told that the session does not "
            "exist. `system` stands for the clock and for jobs; the move `erase` is `DELETE /v1/sessions/{id}` "
            "or `sitting do ID erase`. The pictures leave out what stays in its state. "
            "Fields with a star are required.",
            "`GET /v1/kinds/{kind}` gives the same as JSON, with the whole schema of each command.",
            "\n".join(f"- [`{kind.name}`](#{kind.name})" for kind in kinds),
        )
    ]
    parts += [_kind(kind) for kind in kinds]
    return "\n\n".join(parts) + "\n"


def _kind(kind: Kind) -> str:
    moves = [
        (f"`{move.verb}`", _states(kind.lifecycle, move), _codes(move.target) or "stays", _codes(move.roles))
        for move in kind.lifecycle.moves
    ]
    inputs = [
        (f"`{verb}`", (kind.commands[verb].__doc__ or "").strip().split("\n")[0], _fields(kind, verb))
        for verb in kind.lifecycle.verbs
        if verb != ERASE
    ]
    return "\n\n".join(
        [
            f"## {kind.name}",
            kind.description,
            f"```mermaid\n{_picture(kind.lifecycle)}\n```",
            diagram.sentences(kind.lifecycle),
            f"### Moves of {kind.name}",
            _table(("Command", "From", "To", "Who"), moves),
            f"### Input of {kind.name}",
            _table(("Command", "What it wishes", "Fields"), inputs),
        ]
    )


def _picture(lifecycle: Lifecycle) -> str:
    """The diagram without the moves that stay in their state: the table has them."""
    lines = diagram.mermaid(lifecycle).splitlines()
    return "\n".join(line for line in lines if not re.match(r"\s*(\S+) --> \1:", line))


def _states(lifecycle: Lifecycle, move: Move) -> str:
    if move.verb == CREATE:
        return ""
    return "any" if set(move.source) == set(lifecycle.states) else _codes(move.source)


def _fields(kind: Kind, verb: str) -> str:
    schema = kind.commands[verb].model_json_schema()
    required = schema.get("required", [])
    return ", ".join(f"`{name}`" + ("*" if name in required else "") for name in schema.get("properties", {}))


# Limits


def limits_page() -> str:
    """What is bounded, and where the bound is."""
    parts = [
        _page(
            "Limits",
            "What is not bounded can be used to stop the others. These are the bounds a caller, a kind or an operator "
            "can meet; the numbers are read from the code. A setting changes only those that name one.",
        )
    ]
    for title, rows in limits.TABLES.items():
        parts.append(f"## {title}\n\n" + _table(("What", "Limit", "Beyond it"), rows))
    return "\n\n".join(parts) + "\n"


# Markdown


def _page(title: str, *paragraphs: str) -> str:
    return "\n\n".join([NOTE, f"# {title}", *paragraphs])


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _codes(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().split("\n")[0]


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    main()
