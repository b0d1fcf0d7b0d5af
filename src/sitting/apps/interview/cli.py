"""`sitting interview`: plan one, read one, from a shell."""

from __future__ import annotations

from typing import Annotated

import typer

from ...cli import Data, opened

app = typer.Typer(no_args_is_help=True, help="Interviews.")


@app.command()
def create(
    candidate_name: str,
    email: str = "",
    minutes: Annotated[int | None, typer.Option(help="Time limit, 5 to 180 minutes.")] = None,
    tokens: Annotated[int | None, typer.Option(help="Token budget, 1,000 to 200,000.")] = None,
    data: Data = None,
) -> None:
    """Plan an interview, and print its id and the candidate's path. The settings say what is left out."""
    from ...core import strict
    from . import commands, views

    with opened(data) as installation:
        settings = installation.settings
        value = {
            "candidate_name": candidate_name, "candidate_email": email or None, "model_name": settings.interview_model,
            "time_limit": settings.interview_time_limit if minutes is None else minutes * 60,
            "token_budget": settings.interview_token_budget if tokens is None else tokens,
        }  # fmt: skip
        command = strict.check(commands.Create, value)
        session = installation.engine.open("interview", command, installation.access.local()).result().session
        code = views.join_code(installation.engine.installed["link_key"], session.id, views.link_of(session).version)
        print(session.id)
        print(f"{installation.settings.base_url.rstrip('/')}/i/{code}")


@app.command()
def transcript(id: str, data: Data = None) -> None:
    """Print what was said, one message after another."""
    from ... import errors
    from ...engine import Selection
    from . import figures, terms
    from .refusals import INTERVIEW_NOT_FOUND

    with opened(data, existing=True) as installation:
        who = installation.access.local()
        try:
            installation.engine.view(id, who, kind="interview").result()
        except errors.NotFound:
            raise errors.NotFound(INTERVIEW_NOT_FOUND) from None
        found: Selection = installation.engine.selected(id, who, terms.SAID, limit=1_000_000).result()
        for message in figures.messages(found.events):
            speaker = "candidate" if message["role"] == "user" else "model"
            text = "(erased)" if message["content"] is None else message["content"]
            mark = f" ({message['mark']})" if message["mark"] else ""
            print(f"[{message['seq']}] {speaker}{mark}: {text}")
