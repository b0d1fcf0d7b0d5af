"""The documentation is true: what it names exists, what it repeats is what the code says, and what it tells you to type
is typed here, page by page, with real programs."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from configparser import ConfigParser
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import typer
import yaml  # type: ignore[import-untyped]

from scripts import reference
from sitting import cli, errors
from sitting.config import Settings
from tests.support import docs, ports
from tests.support.docs import Block
from tests.support.postgres import PostgresServer
from tests.support.story import Differs, Story, commands, matches

PAGES = docs.pages()
POSTGRES = "docs/how-to/run-on-postgresql.md"
NODES = "docs/how-to/run-two-nodes.md"
MODEL = "docs/how-to/connect-a-model.md"
PLAYED = [page for page, text in PAGES.items() if any(block.is_run for block in docs.blocks(page, text))]
MAKEFILE = (docs.ROOT / "Makefile").read_text(encoding="utf-8")


# What the pages say about the code


@pytest.mark.parametrize(("name", "text"), reference.made().items(), ids=reference.made())
def test_a_made_page_is_what_the_code_says(name: str, text: str) -> None:
    assert PAGES[f"docs/reference/{name}"] == text, "run: python -m scripts.reference"


def test_a_page_that_was_changed_by_hand_is_noticed(tmp_path: Path) -> None:
    for name, text in reference.made().items():
        (tmp_path / name).write_text(text.replace("# Settings", "# Settlings"), encoding="utf-8")
    assert reference.stale(tmp_path) == ["settings.md"]


def test_every_setting_code_and_command_is_described() -> None:
    assert list(docs.named(PAGES, "docs/reference/settings.md", settings())) == []
    assert list(docs.named(PAGES, "docs/reference/errors.md", codes())) == []
    missing = [name for name in command_names() if f"## sitting {name}\n" not in PAGES["docs/reference/cli.md"]]
    assert missing == []


def test_every_error_stands_in_the_tree_that_is_shown() -> None:
    tree = PAGES["docs/reference/errors.md"].split("```text")[1].split("```")[0]
    names = [cls.__name__ for cls in subclasses(errors.SittingError) if cls.__module__ == errors.__name__]
    assert [name for name in names if f" {name} " not in tree] == []


RULES: Mapping[str, Callable[[docs.Pages], Iterator[str]]] = {
    "links lead somewhere": docs.links,
    "pages are reached": docs.reached,
    "settings exist": docs.settings_exist,
    "commands exist": lambda found: docs.commands_exist(found, command_names()),
    "make targets exist": lambda found: docs.makes_exist(found, MAKEFILE),
    "pages are finished": docs.finished,
}
FAULTS = [
    ("links lead somewhere", "[here](how-to/nowhere.md)", "leads nowhere"),
    ("links lead somewhere", "[here](tutorial.md#no-such-heading)", "names no heading"),
    ("links lead somewhere", "[here](#nothing)", "names no heading"),
    ("settings exist", "Set SITTING_COLOUR.", "no setting SITTING_COLOUR"),
    ("commands exist", "    sitting shout", "no command sitting shout"),
    ("commands exist", "```console\n$ X=1 sitting token destroy 3\n```", "no command sitting token destroy"),
    ("commands exist", "Try `sitting polish`.", "no command sitting polish"),
    ("make targets exist", "    make coffee", "no make coffee"),
    ("pages are finished", "TODO: say more", "TODO"),
]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_pages_keep_the_rule(rule: Callable[[docs.Pages], Iterator[str]]) -> None:
    assert list(rule(PAGES)) == []


@pytest.mark.parametrize(("name", "fault", "sentence"), FAULTS)
def test_a_planted_fault_is_found(name: str, fault: str, sentence: str) -> None:
    planted = PAGES | {"docs/index.md": f"{PAGES['docs/index.md']}\n{fault}\n"}
    [found] = RULES[name](planted)
    assert sentence in found


def test_a_page_nobody_links_to_is_found() -> None:
    assert list(docs.reached({**PAGES, "docs/how-to/lost.md": "# Lost"})) == [
        "docs/how-to/lost.md is not reached from docs/index.md"
    ]


def test_a_setting_that_is_not_described_is_found() -> None:
    assert list(docs.named(PAGES, "docs/reference/settings.md", ["SITTING_COLOUR"])) != []


def test_the_readme_says_how_to_begin() -> None:
    readme = PAGES["README.md"]
    assert "\n    make run\n" in readme
    assert "`make test`" in readme
    assert len(readme.splitlines()) <= 60, "the README is one screen"


def test_the_files_for_deploying_name_what_exists() -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted((docs.ROOT / "deploy").iterdir())}
    assert list(docs.settings_exist(files)) == []
    assert list(docs.commands_exist(files, command_names())) == []
    composed = yaml.safe_load(files["compose.yaml"])
    for name in ("web-1", "web-2", "worker"):
        service = composed["services"][name]
        assert service["command"].startswith("sitting ")
        assert set(service["environment"]) <= settings()
        assert set(service["depends_on"]) <= set(composed["services"])
    for unit in (text for name, text in files.items() if name.endswith(".service")):
        assert configparser_of(unit)["Service"]["ExecStart"].startswith("/opt/sitting/bin/sitting ")


def configparser_of(text: str) -> ConfigParser:
    parsed = ConfigParser(interpolation=None)
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(text)
    return parsed


# What the pages tell you to type


@pytest.mark.parametrize("page", [page for page in PLAYED if page not in (POSTGRES, NODES, MODEL)])
def test_what_a_page_tells_you_to_type_works(page: str, tmp_path: Path) -> None:
    play(page, tmp_path)


def test_the_page_about_postgresql_works(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with postgres_server.database() as url:
        story = Story(tmp_path, instead={"postgresql://sitting@127.0.0.1/sitting": url})
        with story:
            story.play(run_of(POSTGRES))


def test_the_page_about_two_nodes_works(tmp_path: Path, postgres_database: str, nats: str) -> None:
    instead = {"postgresql://sitting@127.0.0.1/sitting": postgres_database, "nats://127.0.0.1:4222": nats}
    with ports.held() as first, ports.held() as second:
        for port, free in ((8000, first), (8001, second)):
            instead |= {f"127.0.0.1:{port}": f"127.0.0.1:{free}", f"--port {port}": f"--port {free}"}
        with Story(tmp_path, instead=instead) as story:
            story.play(run_of(NODES))


def test_the_page_about_models_works(tmp_path: Path) -> None:
    with endpoint() as url, Story(tmp_path, instead={"http://127.0.0.1:11434/v1": url}) as story:
        story.play(run_of(MODEL))


@pytest.mark.parametrize(
    ("info", "text", "sentence"),
    [
        ("console run", "$ echo one\ntwo\n", "expected\ntwo"),
        ("console run", "$ false\n", "exit code 1"),
        ("console run server", "$ echo up\ndown\n", "ended with 0"),
        ("console run watch", "$ echo up\ndown\n", "ended with 0"),
        ("python run", "assert 1 == 2\n", "AssertionError"),
    ],
)
def test_a_page_that_is_wrong_is_noticed(info: str, text: str, sentence: str, tmp_path: Path) -> None:
    [block] = docs.blocks("planted.md", f"```{info}\n{text}```\n")
    with Story(tmp_path) as story, pytest.raises(Differs, match=sentence):
        story.play([block])


def test_a_page_is_one_story(tmp_path: Path) -> None:
    text = """
```python file=deep/a.py
print("from a file")
```
```console run
$ export NAME=value; cd deep
$ echo $NAME \\
    $NAME && python a.py
value value
...
```
```python run
import os, pathlib
assert os.environ["NAME"] == "value" and pathlib.Path("a.py").is_file()
```
```console
$ false
```
"""
    with Story(tmp_path) as story:
        story.play([block for block in docs.blocks("planted.md", text) if block.is_run])


def test_dots_stand_for_anything() -> None:
    assert matches(["a...z"], "abcz\n")
    assert matches(["...", "end"], "one\ntwo\nend")
    assert matches(["...", "end"], "end")
    assert not matches(["a...z"], "abc")
    assert not matches(["one"], "one\ntwo")
    assert commands("$ a \\\n  b\nout\n$ c\n") == [("a \\\n  b", ["out"]), ("c", [])]


def play(page: str, folder: Path) -> None:
    with Story(folder) as story:
        story.play(run_of(page))


def run_of(page: str) -> list[Block]:
    """The blocks of a page that are to be played."""
    blocks = [block for block in docs.blocks(page, PAGES[page]) if block.is_run]
    text = "".join(block.text for block in blocks)
    for program in ("curl", "openssl"):
        if f"{program} " in text and shutil.which(program) is None:
            pytest.skip(f"no {program} on PATH, which {page} uses")
    return blocks


def settings() -> set[str]:
    return {f"SITTING_{name.upper()}" for name in Settings.model_fields}


def codes() -> set[str]:
    """The codes of every class of errors that Sitting and its applications have."""
    abstract = {errors.Refusal.code, errors.Fault.code}
    return {cls.code for cls in subclasses(errors.SittingError) if cls.__module__.startswith("sitting.")} - abstract


def subclasses(cls: type[errors.SittingError]) -> Iterator[type[errors.SittingError]]:
    for below in cls.__subclasses__():
        yield below
        yield from subclasses(below)


def command_names() -> list[str]:
    """`serve`, `token create` and so on, as `sitting` knows them."""
    reference.command_line()
    group = typer.main.get_command(cli.app)
    return [path.removeprefix("sitting ") for path, _ in reference.commands("sitting", group)]


@contextmanager
def endpoint() -> Iterator[str]:
    """An OpenAI-compatible endpoint that always says the same; its address."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.close_connection = True
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.end_headers()
            for delta, finish in (({"content": "Look at the borders."}, None), ({}, "stop")):
                choice = {"index": 0, "delta": delta, "finish_reason": finish}
                chunk = {"id": "1", "object": "chat.completion.chunk", "model": "qwen3:8b", "choices": [choice]}
                self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever, name="endpoint", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
