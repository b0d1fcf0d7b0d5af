"""A disk that fails under a real server: nobody is told that something is done which is not, and it comes back alone.

strace attaches to the running server and fails some of its writes and syncs. One client at a time first, so that each
answer can be held against what the disk did meanwhile; then many at once. A server that does not hear what COMMIT says
must be caught.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
import pytest

from sitting.apps.interview.app import APP
from sitting.config import Settings
from sitting.installation import Installation
from sitting.web.api import FAULT_SECONDS
from tests.end.test_kill import Client, faults, read
from tests.support.hall import until
from tests.support.process import Program
from tests.support.serving import PATIENCE_SECONDS
from tests.support.strace import Refusing

CLIENTS = 8
ASKED = 40  # requests of each client while one fault lasts
SYNC = "fsync,fdatasync:error=EIO"
ANSWERS = {200, 201, 503, 507}
SERVE = [sys.executable, "-m", "sitting", "serve", "--port", "0"]
DEAF = """
from sitting.config import load
from sitting.installation import Installation
from sitting.web import create_app
from sitting.web.server import serve
from tests.support.attempts import Deaf

settings = load(port=0)
with Installation(settings, store=Deaf(settings.database_url)) as installation:
    serve(create_app(installation), settings, on_ready=lambda url: print(url, flush=True))
"""


@dataclass(frozen=True)
class Exchange:
    """One request: what was answered, what `/readyz` said right after, and the syncs meanwhile as strace saw them.

    `late`: so much time went by that a fault of this request need not be told by `/readyz` any more.
    """

    status: int
    ready: int
    late: bool
    syncs: tuple[str, ...]

    @property
    def failed(self) -> bool:
        """Whether the first sync failed: that of the commit. Later ones move a log that is safe into the database."""
        return bool(self.syncs) and self.syncs[0].endswith("(INJECTED)")


def untrue(exchanges: Sequence[Exchange]) -> list[str]:
    """Answers that are not what the disk said."""
    return [f"{done.status} was answered" for done in exchanges if done.failed and done.status < 300] + [
        f"ready after {done.status}" for done in exchanges if done.status >= 500 and done.ready != 503 and not done.late
    ]


class Stubborn(Client):
    """A client that asks again, with the same key, when it is told of a fault."""

    def ask(self, client: httpx.Client) -> int:
        """Make one request, the last one again if that has not been done; its status."""
        asked, self.pending = self.pending or self._next(), None
        answer = client.post(asked.path, json=asked.body, headers={"Idempotency-Key": asked.key})
        if answer.is_success:
            self.again += "idempotent-replayed" in answer.headers
            self._acknowledge(asked, answer.json())
        else:
            self.pending = asked
            kind = answer.headers["content-type"]
            if answer.status_code not in ANSWERS or kind != "application/problem+json":
                self.refused.append(f"{asked}: {answer.status_code} {kind} {answer.text}")
        return answer.status_code

    def write(self, url: str) -> None:
        """So many requests; a connection that breaks is a finding."""
        with self.opened(url) as client:
            try:
                for _ in range(ASKED):
                    self.ask(client)
            except httpx.TransportError as error:
                self.refused.append(repr(error))

    def opened(self, url: str) -> httpx.Client:
        return httpx.Client(base_url=url, headers=self.headers, timeout=PATIENCE_SECONDS, trust_env=False)


class Scene:
    """A server, and who writes to it."""

    def __init__(self, strace: str, data: Path, dice: Random, command: Sequence[str] = SERVE) -> None:
        self.strace, self.data, self.dice = strace, data, dice
        self.settings = Settings(data=data, model="none")
        with Installation(self.settings, apps=(APP,)) as installation:
            self.account = installation.access.create_account("Ada").result()
            token = installation.access.create_token(self.account, "test").result()[0]
        self.clients = [Stubborn(n, token, Random(dice.random()), wrote=lambda: None) for n in range(CLIENTS)]
        environment = {"SITTING_DATA": str(data), "SITTING_MODEL": "none", "SITTING_LOG_LEVEL": "error"}
        self.server = Program(command, env=os.environ | environment)

    @contextmanager
    def refusing(self, *faults: str) -> Iterator[Refusing]:
        files = [self.data, *(self.data / f"sitting.db{part}" for part in ("", "-wal"))]
        with Refusing(self.strace, self.server.pid, self.data / "calls", faults=faults, paths=files) as refusing:
            yield refusing

    def one_by_one(self, url: str, fault: str) -> list[Exchange]:
        """What one client is answered while syncs fail."""
        exchanges = []
        with self.refusing(fault) as refusing, self.clients[0].opened(url) as client:
            for _ in range(ASKED):
                before, began = len(refusing.lines()), time.monotonic()
                status = self.clients[0].ask(client)
                syncs = tuple(refusing.lines()[before:])
                ready = client.get("/readyz").status_code
                exchanges.append(Exchange(status, ready, time.monotonic() - began >= FAULT_SECONDS, syncs))
                assert client.get("/v1/sessions?kind=interview").status_code == 200
        return exchanges

    def at_once(self, url: str, *faults: str) -> int:
        """Let everybody write while calls fail; how many did."""
        with self.refusing(*faults) as refusing:
            threads = [threading.Thread(target=client.write, args=(url,)) for client in self.clients]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            return len(refusing.refused())

    def comes_back(self, url: str) -> None:
        """Everybody's last request is done, without anybody touching the server."""
        for client in self.clients:
            with client.opened(url) as connection:
                if client.pending is not None:
                    assert client.ask(connection) in (200, 201)
        with self.clients[0].opened(url) as connection:
            until(lambda: connection.get("/readyz").status_code == 200)

    def stop(self) -> None:
        self.server.stop()


@contextmanager
def scene(strace: str, data: Path, dice: Random, command: Sequence[str] = SERVE) -> Iterator[tuple[Scene, str]]:
    made = Scene(strace, data, dice, command)
    try:
        yield made, made.server.wait_for(r"http://127\.0\.0\.1:\d+", seconds=60)[0]
    finally:
        made.stop()


@pytest.mark.timeout(5400)
def test_nobody_is_told_what_a_failing_disk_did_not_keep(
    tmp_path: Path, strace: str, dice: Random, rounds: Callable[[int, int], int]
) -> None:
    for number in range(rounds(1, 20)):
        data = tmp_path / str(number)
        with scene(strace, data, dice) as (made, url):
            exchanges = made.one_by_one(url, f"{SYNC}:when={dice.randint(1, 4)}+{dice.randint(2, 5)}")
            assert untrue(exchanges) == []
            assert not all(exchange.late for exchange in exchanges if exchange.status == 503)
            assert {exchange.status for exchange in exchanges} & {503}
            failed = 0
            for fault in (SYNC, "pwrite64:error=EIO", "pwrite64:error=ENOSPC"):
                often = f"{dice.randint(1, 40)}+{dice.randint(20, 60)}" if "pwrite" in fault else "3+7"
                failed += made.at_once(url, f"{fault}:when={often}")
                made.comes_back(url)
            assert failed > CLIENTS
            assert [text for client in made.clients for text in client.refused] == []
        history = [done for client in made.clients for done in client.history]
        found = read(made.settings, APP, made.account)
        print(f"{failed} calls failed, {len(history)} acknowledged")
        assert faults(history, found) == []
        assert set(found.marks) <= {done.asked.mark for done in history}, "nobody asked for this"
    assert FAULT_SECONDS <= 2


def test_a_server_that_hears_no_error_of_commit_is_caught(tmp_path: Path, strace: str, dice: Random) -> None:
    with scene(strace, tmp_path, dice, [sys.executable, "-c", DEAF]) as (made, url):
        wrong = untrue(made.one_by_one(url, f"{SYNC}:when=2+3"))
    assert any("was answered" in fault for fault in wrong), "nothing was missed"
    history = [done for client in made.clients for done in client.history]
    assert any("was lost" in fault for fault in faults(history, read(made.settings, APP, made.account)))
