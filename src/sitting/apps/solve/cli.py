"""`sitting solve`: what an operator does from a shell. A list tells no text; an export is the owner's own file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from ...cli import Data, Database, Force, Id, Json, opened, show_json
from ...core.actor import Actor

app = typer.Typer(no_args_is_help=True, help="Solve sessions.")
Space = Annotated[str, typer.Option(help="The space to look in.")]
KIND = "solve"
OPERATOR = Actor("system:operator")


@app.command("list")
def list_sessions(
    status: Annotated[str, typer.Option(help="active, completed or abandoned; all without it.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    offset: Annotated[int, typer.Option(min=0)] = 0,
    space: Space = "default",
    data: Data = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """The sessions of a space, newest first: whose they are and where they stand."""
    from ... import errors
    from ...engine import Where
    from .terms import SessionStatus

    if status not in ("", *SessionStatus):
        raise errors.Invalid(f"The status is one of {', '.join(SessionStatus)}.")
    with opened(data, database, existing=True) as installation:
        where = Where(state=status, limit=limit, offset=offset)
        listing = installation.engine.list(KIND, replace(OPERATOR, space=space), where).result()
        rows = [_row(seen) for seen in listing.items]
    if as_json:
        show_json({"sessions": rows, "total": listing.total})
        return
    for row in rows:
        print(f"{row['id']}  {row['status']:<9}  {row['current_step']:<7}  {row['created_at']}  {row['owner']}")
    print(f"{len(rows)} of {listing.total}")


@app.command()
def export(
    id: Id,
    format: Annotated[str, typer.Option(help="markdown, json or html.")] = "markdown",
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to; default solve-ID.")] = None,
    force: Force = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Write a session to a file, for its owner."""
    from ... import errors
    from ...outfile import write
    from .commands import Export
    from .export_service import SUFFIXES, written

    if format not in SUFFIXES:
        raise errors.Invalid(f"The format is one of {', '.join(SUFFIXES)}.")
    with opened(data, database, existing=True) as installation:
        owner = _owner(installation, id)
        installation.engine.do(id, Export.model_validate({"format": format}), OPERATOR, kind=KIND).result()
        journal = installation.engine.journal(id, owner).result()
        raw = written(journal, format, kind=installation.kinds[KIND], key=installation.signing_key)
    target = output or Path(f"solve-{id}.{SUFFIXES[format]}")
    write(target, raw, over=force)
    print(f"{target}: {len(raw)} bytes")


@app.command()
def delete(
    id: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Destroy what was written in a session. There is no way back."""
    with opened(data, database, existing=True) as installation:
        installation.engine.view(id, OPERATOR, kind=KIND).result()
        if not yes:
            typer.confirm(f"Destroy all texts of {id}?", abort=True)
        installation.engine.erase(id, OPERATOR).result()
    print(f"{id}: its texts are destroyed")


@app.command()
def replay(
    names: Annotated[
        list[str] | None, typer.Argument(help="Some of the conversations; all of them without any.")
    ] = None,
    data: Data = None,
) -> None:
    """Run the recorded adversarial conversations against the configured model, and check that the rules hold.

    One line for each; exit code 1 when a rule is broken. Nothing is stored in the data directory.
    """
    from tempfile import TemporaryDirectory

    from .replay import conversations
    from .replay_service import PLENTY, run

    chosen = conversations(names or ())
    with TemporaryDirectory() as place, opened(data, f"sqlite:///{place}/replay.db", **PLENTY) as installation:
        verdicts = []
        for verdict in run(installation, chosen):
            verdicts.append(verdict)
            print(verdict.line, flush=True)
    held = sum(verdict.held for verdict in verdicts)
    print(f"{held} of {len(verdicts)} held")
    if held < len(verdicts):
        raise typer.Exit(1)


def _row(seen: Any) -> dict[str, Any]:
    owner = next((person for person, role in seen.people if role == "owner"), "")
    data = {name: seen.view.get(name) for name in ("id", "status", "current_step", "created_at", "message_count")}
    return {**data, "owner": owner}


def _owner(installation: Any, id: str) -> Any:
    """The owner of a session, whose file an operator writes. Raises NotFound."""
    seen = installation.engine.view(id, OPERATOR, kind=KIND).result()
    owner = next(person for person, role in seen.people if role == "owner")
    return Actor(owner, seen.session.space, frozenset({"member"}))
