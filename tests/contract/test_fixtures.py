"""The fixtures other tests stand on, tried themselves; and the rules of the suite, each shown to bite."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest
from playwright.sync_api import Page

from sitting.web.server import listener
from tests.support import ledger, ports, postgres
from tests.support.process import Program
from tests.support.timing import quickest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]


def test_every_database_is_fresh_and_on_the_shared_server(
    postgres_database: str, postgres_server: postgres.PostgresServer
) -> None:
    with postgres_server.database() as other, psycopg.connect(other) as connection:
        connection.execute("CREATE TABLE left_behind (id int)")
        connection.commit()
    with psycopg.connect(postgres_database) as connection:
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE tablename = 'left_behind'").fetchone() == (0,)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        assert connection.execute("SHOW timezone").fetchone() == ("UTC",)


def test_a_dropped_database_is_gone_even_with_a_connection_in_it(postgres_server: postgres.PostgresServer) -> None:
    with postgres_server.database() as url:
        forgotten = psycopg.connect(url)
    with pytest.raises(psycopg.OperationalError, match="terminating|closed"):
        forgotten.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(url)


def test_a_crashed_server_starts_again_with_what_was_committed() -> None:
    with postgres.running() as server:
        port = server.port
        with psycopg.connect(server.url()) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        server.kill()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(server.url())
        server.start()
        assert server.port == port
        with psycopg.connect(server.url()) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_closed_server_leaves_no_process_and_no_file() -> None:
    with postgres.running() as server:
        pid, home = server.pid, server._home
        assert home.is_dir()
    assert not home.exists()
    assert not Path(f"/proc/{pid}").exists()


def test_the_programs_are_copied_where_nobody_could_reach_them(tmp_path: Path) -> None:
    assert postgres._programs(tmp_path, reachable=True).is_dir()
    assert (postgres._programs(tmp_path, reachable=False) / "postgres").is_file()


def test_a_program_is_waited_for_by_its_output_and_stopped_by_its_pid() -> None:
    source = "import signal\nprint('ready at 7', flush=True)\nsignal.pause()"
    with Program([sys.executable, "-c", source]) as program:
        assert program.wait_for(r"ready at (\d+)")[1] == "7"
        assert program.running
        assert program.stop() == -signal.SIGTERM
    assert not program.running


def test_a_program_that_ends_early_says_what_it_wrote() -> None:
    with (
        Program([sys.executable, "-c", "print('the port is taken')"]) as program,
        pytest.raises(RuntimeError, match=r"ended with 0(?s:.*)the port is taken"),
    ):
        program.wait_for("ready")


def test_nats_carries_a_message(nats: str) -> None:
    from nats import connect

    async def talk() -> bytes:
        client = await connect(nats)
        subscription = await client.subscribe("here")
        await client.publish("here", b"hello")
        message = await subscription.next_msg(timeout=60)
        await client.close()
        data: bytes = message.data
        return data

    assert asyncio.run(talk()) == b"hello"


def test_a_held_port_is_nobody_elses_and_a_server_may_listen_there() -> None:
    with ports.held() as port:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        for _ in range(2):
            with listener("127.0.0.1", port) as server:
                server.listen()
                socket.create_connection(("127.0.0.1", port)).close()
        if sys.platform == "linux":
            with socket.socket() as other, pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port))


def test_the_quietest_round_counts_and_the_first_that_is_quick_is_the_last() -> None:
    quick, slow = iter((5.0, 3.0, 0.5, 0.1)), iter((5.0, 3.0, 2.0, 4.0, 6.0, 0.1))
    assert quickest(lambda: next(quick), below=1) == 0.5
    assert quickest(lambda: next(slow), below=1) == 2.0


class _Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        page = b"<!doctype html><title>Hello</title><button onclick=\"this.textContent='pressed'\">press</button>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is its result."""


def test_the_browser_opens_a_page_and_presses_a_button(page: Page, tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Hello) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        page.goto(f"http://127.0.0.1:{server.server_port}/")
        page.get_by_role("button").click()
        assert page.get_by_role("button").text_content() == "pressed"
        page.screenshot(path=tmp_path / "page.png")
        server.shutdown()
        thread.join()
    assert (tmp_path / "page.png").stat().st_size > 1000


def test_dice_fall_alike_for_the_same_seed_and_test(
    dice: random.Random, seed: int, request: pytest.FixtureRequest
) -> None:
    test = f"tests/contract/test_fixtures.py:{request.node.name}"
    assert dice.random() == random.Random(f"{seed}:{test}").random()


def test_rounds_are_few_on_a_push(rounds: Callable[[int, int], int], pytestconfig: pytest.Config) -> None:
    assert rounds(3, 1000) == (1000 if pytestconfig.option.soak else 3)


SUITE = """
import pytest

@pytest.mark.soak
def test_long(rounds):
    assert rounds(1, 40) == 40

def test_always(dice):
    assert dice.random() < 1

def test_without_telescope():
    pytest.skip("no telescope")
"""
CLOSED = "import pytest\npytest.skip('no key to this file', allow_module_level=True)"


@pytest.mark.parametrize(("ci", "outcome"), [("true", {"failed": 1, "errors": 1}), ("", {"skipped": 2})])
def test_a_skip_is_a_failure_on_ci(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
) -> None:
    result = _run(pytester, monkeypatch, "--continue-on-collection-errors", ci=ci)
    result.assert_outcomes(passed=1, deselected=1, **outcome)
    result.stdout.fnmatch_lines_random(["*no key to this file*", "*no telescope*"])
    assert not (pytester.path / "soak.jsonl").exists()


def test_a_soak_runs_the_long_tests_and_adds_to_the_ledger(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = pytester.path / "soak.jsonl"
    _run(pytester, monkeypatch, "--soak", f"--ledger={book}", "--hypothesis-seed=5").assert_outcomes(
        passed=2, skipped=2
    )
    entries = ledger.read(book)
    assert [(entry.n, entry.seed, entry.failures) for entry in entries] == [(40, 5, 0), (1, 5, 0)]
    assert ledger.sums(entries * 2)[1].endswith("test_long: 80 trials, 0 failures, below 3.75e-02 a trial")


def test_a_failure_leaves_no_bound(tmp_path: Path) -> None:
    failed = ledger.Entry("t", 1, "abc", 10, 1)
    assert ledger.sums([failed]) == ["t: 10 trials, 1 failures, no bound"]
    assert ledger.read(tmp_path / "no-such-ledger.jsonl") == []


def _run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, *arguments: str, ci: str = "") -> pytest.RunResult:
    """Run a suite of two files, in a process of its own, under this suite's conftest."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest("from tests.conftest import *  # noqa: F403")
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\nmarkers = ["soak", "browser", "postgres"]')
    pytester.makepyfile(test_suite=SUITE, test_closed=CLOSED)
    return pytester.runpytest_subprocess("-p", "no:cacheprovider", "-rs", *arguments)
