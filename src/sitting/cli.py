"""Parse, call, print. Each command opens the installation, makes one call and shows the answer; it decides nothing.

Exit codes: 0 done, 1 a fault of the server, 2 wrong use or input, 3 a wrong setting or database, 4 not found, 5 not
allowed, 6 a conflict with the present state, 7 the journal does not verify, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from . import errors
from .applications import names

EXITS: tuple[tuple[type[errors.SittingError], int], ...] = (
    (errors.Tampered, 7),
    (errors.NotFound, 4),
    (errors.NotAllowed, 5),
    (errors.NotAuthenticated, 5),
    (errors.Conflict, 6),
    (errors.Stale, 6),
    (errors.Refusal, 2),
    (errors.Misuse, 3),
    (errors.SittingError, 1),
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,  # they do not come to an end when an error is its own cause
    help="Sitting: a session server.",
)
token = typer.Typer(no_args_is_help=True, help="API tokens.")
account = typer.Typer(no_args_is_help=True, help="People who sign in.")
model = typer.Typer(no_args_is_help=True, help="The local language model.")
app.add_typer(token, name="token")
app.add_typer(account, name="account")
app.add_typer(model, name="model")

Data = Annotated[Path | None, typer.Option("--data", help="Data directory (SITTING_DATA).")]
Database = Annotated[str | None, typer.Option("--database", help="Database address (SITTING_DATABASE).")]
Hints = Annotated[str | None, typer.Option("--hints", help="How processes wake each other (SITTING_HINTS).")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Force = Annotated[bool, typer.Option("--force", help="Put it in the place of a file that is there.")]
Id = Annotated[str, typer.Argument(help="Id of a session.")]
After = Annotated[int, typer.Option(help="Only events after this number.")]


def main() -> None:
    """The `sitting` command: an error is one sentence on standard error and an exit code."""
    _add_applications()
    try:
        app()
    except errors.SittingError as error:
        print(_sentence(error), file=sys.stderr)
        sys.exit(next(code for kind, code in EXITS if isinstance(error, kind)))
    except KeyboardInterrupt:
        sys.exit(130)


@contextmanager
def opened(
    data: Path | None = None, database: str | None = None, *, existing: bool = False, **settings: Any
) -> Iterator[Any]:
    """The installation that the options and the environment name. Application commands use it too.

    It is made where there is none, unless it must be `existing`: who only looks would find a new one empty, and well.
    """
    from .config import load
    from .installation import Installation

    chosen = load(data=data, database=database, **settings)
    if existing and chosen.is_new:
        raise errors.Misuse(f"There is nothing in {chosen.data.resolve()}. `--data` names another place.")
    with Installation(chosen) as installation:
        yield installation


def show_json(value: Any) -> None:
    """Print a value as JSON that other programs read."""
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (SITTING_HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on, 0 for a free one (SITTING_PORT).")] = None,
    data: Data = None,
    database: Database = None,
    hints: Hints = None,
) -> None:
    """Run the server; on a first start, print a link that signs you in."""
    from .web import create_app
    from .web.server import serve as run

    with opened(data, database, host=host, port=port, hints=hints) as installation:
        link = installation.access.first_run()

        def ready(url: str) -> None:
            print(f"Sitting is ready at {url}", flush=True)
            if link:
                print(f"Sign in once with: {url}/sign-in/link/{link}", flush=True)
            if not installation.models.describe()["ready"]:
                print(installation.models.describe()["help"], flush=True)

        if installation.settings.worker:
            installation.worker.start()
        run(create_app(installation), installation.settings, on_ready=ready)


@app.command()
def worker(data: Data = None, database: Database = None, hints: Hints = None) -> None:
    """Run jobs and deadlines apart from the web server, until SIGTERM."""
    import signal
    import threading

    from . import logs

    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with opened(data, database, hints=hints) as installation:
        logs.configure(installation.settings.log_level)
        installation.worker.start()
        print("The worker is ready.", flush=True)
        stopped.wait()


@app.command()
def demo(data: Data = None, name: Annotated[str, typer.Argument(help="One application; all without it.")] = "") -> None:
    """Play the applications with real input; each ends in one line that says `verified`."""
    with opened(data) as installation:
        known = [application.name for application in installation.apps if application.demo]
        if name and name not in known:
            raise errors.NotFound(f"There is no demo '{name}'. There are: {', '.join(known)}.")
        for application in installation.apps:
            if application.demo and name in ("", application.name):
                module, _, attribute = application.demo.partition(":")
                getattr(import_module(module), attribute)(installation, print)


@app.command("list")
def list_sessions(
    kind: Annotated[str, typer.Argument(help="A kind, as `sitting kinds` names it.")],
    state: Annotated[str, typer.Option(help="Only those in this state.")] = "",
    q: Annotated[str, typer.Option(help="Only those in which this is found.")] = "",
    limit: Annotated[int, typer.Option(help="How many at most.")] = 50,
    offset: Annotated[int, typer.Option(help="How many to leave out first.")] = 0,
    data: Data = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """The sessions of a kind, newest first."""
    from .engine import Where

    where = Where(state=state, q=q, limit=limit, offset=offset)
    with opened(data, database, existing=True) as installation:
        listing = installation.engine.list(kind, installation.access.local(), where).result()
        if as_json:
            show_json({"items": [seen.view for seen in listing.items], "total": listing.total})
            return
        for seen in listing.items:
            title = installation.kinds[kind].title(seen.session)
            print(f"{seen.session.id}  {seen.session.state:<12}  {seen.session.position:>8}  {title}")
        print(f"{len(listing.items)} of {listing.total}")


@app.command()
def kinds(data: Data = None, as_json: Json = False) -> None:
    """The kinds of session there are, with their commands."""
    with opened(data) as installation:
        known = {kind.name: list(kind.commands) for kind in installation.kinds.values()}
        if as_json:
            show_json(known)
            return
        for name, verbs in known.items():
            print(f"{name}: {', '.join(verbs)}")


@app.command()
def show(id: Id, data: Data = None, database: Database = None, as_json: Json = False) -> None:
    """One session: what it is, and what can be done with it."""
    with opened(data, database, existing=True) as installation:
        seen = installation.engine.view(id, installation.access.local()).result()
        if as_json:
            show_json(seen.view)
            return
        print(f"{seen.session.kind} {seen.session.id}: {seen.session.state}, at {seen.session.position}")
        for name, value in seen.view.items():
            print(f"  {name}: {json.dumps(value, ensure_ascii=False, default=str)}")
        print(f"  you are: {seen.role}; you can: {', '.join(seen.allowed) or 'nothing now'}")


@app.command("open")
def open_session(
    kind: Annotated[str, typer.Argument(help="A kind, as `sitting kinds` names it.")],
    values: Annotated[list[str] | None, typer.Argument(help="name=value pairs; a value is JSON, or text.")] = None,
    input: Annotated[str, typer.Option("--input", help="The whole input as JSON, or - for standard input.")] = "",
    data: Data = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Open a session."""
    with opened(data, database) as installation:
        command = _command(installation.engine.kind(kind).commands["create"], input, values)
        done = installation.engine.open(kind, command, installation.access.local()).result()
        show_json({"id": done.session.id, "as_of": done.session.position}) if as_json else print(done.session.id)


@app.command()
def do(
    id: Id,
    verb: Annotated[str, typer.Argument(help="A command of the session's kind, or erase.")],
    values: Annotated[list[str] | None, typer.Argument(help="name=value pairs; a value is JSON, or text.")] = None,
    input: Annotated[str, typer.Option("--input", help="The whole input as JSON, or - for standard input.")] = "",
    expect: Annotated[int | None, typer.Option(help="Only if the session still is at this position.")] = None,
    data: Data = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Carry out a command in a session; `erase` empties it, for ever."""
    from .core.kind import Erase

    with opened(data, database, existing=True) as installation:
        engine, actor = installation.engine, installation.access.local()
        if verb == Erase.verb:
            _command(Erase, input, values)
            engine.erase(id, actor, expect=expect).result()
            show_json({"erased": id}) if as_json else print("erased")
            return
        kind = engine.kinds[engine.view(id, actor).result().session.kind]
        if verb not in kind.commands:
            raise errors.NotFound(f"There is no command '{verb}' here. There are: {', '.join(kind.commands)}.")
        done = engine.do(id, _command(kind.commands[verb], input, values), actor, expect=expect).result()
        if as_json:
            show_json(
                {"as_of": done.session.position, "state": done.session.state, "events": [e.type for e in done.events]}
            )
        else:
            happened = ", ".join(event.type for event in done.events) or "nothing changed"
            print(f"{happened}; {done.session.state}, at {done.session.position}")


@app.command()
def follow(id: Id, after: After = 0, data: Data = None, database: Database = None) -> None:
    """Print a session's events as JSON lines, and go on until it ends or Ctrl-C."""
    import threading

    pause = threading.Event()
    with opened(data, database, existing=True) as installation:
        actor = installation.access.local()
        while True:
            page = installation.engine.events(id, actor, after=after).result()
            for seq, told in page.events:
                after = seq
                if told is not None:
                    print(json.dumps(told, ensure_ascii=False), flush=True)
            if not page.events:
                kind = installation.engine.kind(page.session.kind)
                if page.closed or page.session.state in kind.lifecycle.final:
                    return
                pause.wait(0.5)


@app.command()
def export(
    id: Id,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where to; default ID.zip.")] = None,
    force: Force = False,
    data: Data = None,
    database: Database = None,
) -> None:
    """Write a session as a signed bundle, to a file that only you may read."""
    from . import bundle
    from .outfile import write

    with opened(data, database, existing=True) as installation:
        actor = installation.access.local()
        raw = bundle.export(installation.engine, id, actor, installation.signing_key)
        target = output or Path(f"{id}.zip")
        write(target, raw, over=force)
        print(f"{target}: {len(raw)} bytes")


@app.command("import")
def import_bundle(file: Path, data: Data = None, database: Database = None) -> None:
    """Bring a bundle in as a session."""
    from . import bundle

    with opened(data, database) as installation:
        session = bundle.bring_in(
            installation.engine, _bytes(file), installation.access.local(), installation.signing_key
        ).result()
        print(f"{session.id}: {session.kind}, {session.state}, at {session.position}")


@app.command()
def verify(
    what: Annotated[
        list[str] | None, typer.Argument(help="Session ids or exported files; every session without any.")
    ] = None,
    key: Annotated[
        str, typer.Option(help="The public key the files must be signed with, or its first 32 characters at least.")
    ] = "",
    data: Data = None,
    database: Database = None,
    as_json: Json = False,
) -> None:
    """Check that journals are whole: every hash, every commitment, the head, and the state folded from them."""
    from . import bundle
    from .store import sessions

    verdicts = [bundle.verify_file(_bytes(Path(name)), key=key) for name in what or () if bundle.is_file(name)]
    ids = [name for name in what or () if not bundle.is_file(name)]
    if key and (ids or not what):
        raise errors.Invalid("--key is for files: what is stored is not signed.")
    if ids or not what:
        with opened(data, database, existing=True) as installation:
            ids = ids or installation.store.read(sessions.every).result()
            for id in ids:
                verdicts.append(
                    bundle.verify(installation.store, installation.kinds, id, epoch=installation.epoch).result()
                )
    if as_json:
        show_json([vars(verdict) for verdict in verdicts])
    else:
        for verdict in verdicts:
            print(f"{verdict.session}: {verdict.said}")
        print(f"{sum(verdict.ok for verdict in verdicts)} of {len(verdicts)} verified")
    if bad := next((verdict for verdict in verdicts if not verdict.ok), None):
        raise errors.Tampered(f"{bad.session} does not verify: {bad.reason}.")


@app.command()
def backup(target: Path, data: Data = None, database: Database = None) -> None:
    """Copy the database while the server runs, check the copy, and only then give it its name."""
    from .store.backup import backup as run

    with opened(data, database, existing=True) as installation:
        run(installation.store, target)
        print(f"{target}: complete and checked")


@app.command()
def restore(source: Path, data: Data = None, database: Database = None) -> None:
    """Put a backup into an empty data directory; positions get a new epoch, so that old ones are noticed."""
    from .config import load
    from .store.backup import restore as run

    print(f"restored; the epoch is now {run(load(data=data, database=database), source)}")


@app.command()
def migrate(data: Data = None, database: Database = None) -> None:
    """Bring the database to this version."""
    from .config import load
    from .store import Store, migrate

    store = Store(load(data=data, database=database).database_url)
    try:
        done = migrate.upgrade(store)
        print(f"migrated: {', '.join(done)}" if done else "nothing to do")
    finally:
        store.close()


@app.command()
def settings(as_json: Json = False) -> None:
    """Every setting, with its value now and what it is for."""
    from .config import Settings, load, visible

    rows = {
        f"SITTING_{name.upper()}": {"value": value, "help": Settings.model_fields[name].description}
        for name, value in visible(load()).items()
    }
    if as_json:
        show_json(rows)
        return
    for name, row in rows.items():
        value = row["value"]
        shown = json.dumps(value, ensure_ascii=False) if isinstance(value, Mapping | list | tuple) else value
        print(f"{name}={shown}\n    {row['help']}")


@app.command("new-app")
def new_app(name: Annotated[str, typer.Argument(help="A Python name, such as retro.")], into: Path = Path()) -> None:
    """Write a small application to start from: one kind, with its test."""
    from .scaffold import write

    for path in write(name, into):
        print(path)


@token.command("create")
def token_create(
    name: str,
    account: Annotated[str, typer.Option(help="E-mail or id; the local account without it.")] = "",
    read_only: bool = False,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="Days it is good for; no end without it.")] = None,
    data: Data = None,
    database: Database = None,
) -> None:
    """Make an API token; it is shown once."""
    with opened(data, database) as installation:
        access = installation.access
        owner = access.find_account(account).result() if account else access.local().id
        scopes = ("read",) if read_only else ("*",)
        until = None if days is None else installation.clock.now() + timedelta(days=days)
        secret, id = access.create_token(owner, name, scopes=scopes, expires_at=until).result()
        print(secret)
        print(f"id {id}, for {owner}; it is not shown again", file=sys.stderr)


@token.command("revoke")
def token_revoke(id: str, data: Data = None, database: Database = None) -> None:
    """Take a token back, by its id; whoever uses it is refused from now on."""
    with opened(data, database, existing=True) as installation:
        installation.access.revoke(id, account=None).result()
        print(f"{id}: revoked")


@account.command("disable")
def account_disable(account: str, data: Data = None, database: Database = None) -> None:
    """Let a person (e-mail or id) in no more; what they did stays."""
    with opened(data, database, existing=True) as installation:
        installation.access.disable(id := installation.access.find_account(account).result()).result()
        print(f"{id}: disabled")


@account.command("create")
def account_create(name: str, email: str, admin: bool = False, data: Data = None, database: Database = None) -> None:
    """Add a person, and print the link with which they sign in the first time (it holds a day)."""
    with opened(data, database) as installation:
        roles = ("member", "admin") if admin else ("member",)
        print(id := installation.access.create_account(name, email=email, roles=roles).result())
        _print_link(installation, id)


@account.command("link")
def account_link(
    account: Annotated[str, typer.Argument(help="E-mail or id.")] = "", data: Data = None, database: Database = None
) -> None:
    """Print a new link that signs a person in once (it holds a day); the local administrator without a name."""
    with opened(data, database, existing=True) as installation:
        access = installation.access
        _print_link(installation, access.find_account(account).result() if account else access.local().id)


@model.command("install")
def model_install(data: Data = None) -> None:
    """Fetch the small local model into the data directory; nothing happens when it is there."""
    from .config import load
    from .model import install

    print(install(load(data=data).data, print))


def _print_link(installation: Any, id: str) -> None:
    link = installation.access.make_link(id, ttl_seconds=86_400).result()
    print(f"Sign in once with: {installation.settings.origin}/sign-in/link/{link}")


def _command(model: Any, text: str, pairs: list[str] | None) -> Any:
    from .core import strict

    if text:
        return strict.read(model, sys.stdin.buffer.read() if text == "-" else text.encode())
    return strict.pairs(model, pairs or ())


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise errors.NotFound(f"{file} cannot be read: {error.strerror}.") from None


def _sentence(error: errors.SittingError) -> str:
    fields = error.facts.get("fields")
    if not fields:
        return error.message
    return error.message + "".join(f"\n  {field['field']}: {field['message']}" for field in fields)


def _add_applications() -> None:
    """The applications' own commands, which stand beside their App; nothing else of them is loaded."""
    for name in names():
        package = name.partition(":")[0].rpartition(".")[0]
        if package and find_spec(f"{package}.cli") is not None:
            app.add_typer(import_module(f"{package}.cli").app, name=package.rpartition(".")[2])
