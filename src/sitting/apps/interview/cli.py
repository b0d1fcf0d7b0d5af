"""`sitting interview`: plan one, read one, from a shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Interviews.")
Data = Annotated[Path | None, typer.Option("--data", help="Data directory (SITTING_DATA).")]


@app.command()
def create(
    candidate_name: str,
    email: str = "",
    minutes: Annotated[int, typer.Option(help="Time limit, 5 to 180 minutes.")] = 60,
    tokens: Annotated[int, typer.Option(help="Token budget, 1,000 to 200,000.")] = 50_000,
    data: Data = None,
) -> None:
    """Plan an interview, and print its id and the candidate's path."""
    from ...cli import opened
    from ...core import strict
    from . import commands, views

    value = {
        "candidate_name": candidate_name, "candidate_email": email or None, "time_limit": minutes * 60,
        "token_budget": tokens,
    }  # fmt: skip
    command = strict.check(commands.Create, value)
    with opened(data) as installation:
        session = installation.engine.open("interview", command, installation.access.local()).result().session
        code = views.join_code(installation.engine.installed["link_key"], session.id, views.link_of(session).version)
        print(session.id)
        print(f"{installation.settings.base_url.rstrip('/')}/i/{code}")


@app.command()
def transcript(id: str, data: Data = None) -> None:
    """Print what was said, one message after another."""
    from ...cli import opened
    from ...engine import Selection
    from . import figures, terms

    with opened(data) as installation:
        found: Selection = installation.engine.selected(
            id, installation.access.local(), terms.SAID, limit=1_000_000
        ).result()
        for message in figures.messages(found.events):
            who = "candidate" if message["role"] == "user" else "model"
            print(f"[{message['seq']}] {who}: {message['content']}")
