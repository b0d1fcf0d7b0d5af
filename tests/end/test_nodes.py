"""Several web processes and workers over one PostgreSQL, while everything that can die does.

Writers and followers go from node to node. Meanwhile web processes and workers are killed, NATS goes away, a worker
with a lease is stopped until its lease is another's and then let go on, and PostgreSQL crashes. At the end the history
is compared with the journal: nothing acknowledged is lost, doubled, changed or out of order; every follower has heard
exactly the journal; every budget was held; every turn ended once. Each check is shown to catch a planted fault.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from sitting.config import Settings
from sitting.installation import Installation
from sitting.worker import LEASE_SECONDS
from tests.end.test_kill import Acknowledged, Asked, Found, faults, read
from tests.support import nats, notebooks, ports, postgres
from tests.support.process import Program, plainly

ROOT = Path(__file__).parents[2]
SECRET = "a secret that every node of this test knows"
WRITERS = 5
WORDS = 40  # a notebook's budget; a note costs three, so that writers run into it
NOTES = 16
SECONDS = 120
SUFFERING = 60


@dataclass
class Nodes:
    """The processes of one installation. Addresses change when a node is started again."""

    environment: dict[str, str]
    webs: dict[int, Program] = field(default_factory=dict)
    urls: dict[int, str] = field(default_factory=dict)
    workers: list[Program] = field(default_factory=list)

    def web(self, number: int) -> None:
        """Start a web process, in the place of one that is gone."""
        command = [sys.executable, "-m", "sitting", "serve", "--port", "0"]
        self.webs[number] = Program(command, env=self.environment | {"SITTING_WORKER": "false"}, cwd=ROOT)
        self.urls[number] = self.webs[number].wait_for(r"http://127\.0\.0\.1:\d+", seconds=SECONDS)[0]

    def worker(self) -> Program:
        """Start one more worker."""
        self.workers.append(Program([sys.executable, "-m", "sitting", "worker"], env=self.environment, cwd=ROOT))
        self.workers[-1].wait_for("The worker is ready", seconds=SECONDS)
        return self.workers[-1]

    def kill_web(self, number: int) -> None:
        killed(self.webs[number])
        self.web(number)

    def kill_worker(self) -> None:
        killed(self.workers.pop(0))
        self.worker()

    def stop(self) -> None:
        for program in (*self.webs.values(), *self.workers):
            program.send(signal.SIGCONT)
            program.stop()


def killed(program: Program) -> None:
    program.send(signal.SIGKILL)
    assert program.wait() == -signal.SIGKILL, program.output


class Writer(threading.Thread):
    """Writes in notebooks until it is told to stop; asks again, with its key, until somebody answers."""

    def __init__(self, number: int, token: str, nodes: Nodes, dice: Random, opened: Callable[[str], None]) -> None:
        super().__init__(daemon=True)
        self.number, self.nodes, self.dice, self.opened = number, nodes, dice, opened
        self.headers = {"Authorization": f"Bearer {token}"}
        self.history: list[Acknowledged] = []
        self.refused: list[str] = []
        self.again = 0
        self.ending = threading.Event()
        self._count = 0
        self._session, self._state, self._notes = "", "", 0

    def run(self) -> None:
        with httpx.Client(headers=self.headers, timeout=20, trust_env=False) as client:
            while not self.ending.is_set():
                self._carry_out(client, self._next())

    def _carry_out(self, client: httpx.Client, asked: Asked) -> None:
        while True:
            url = self.dice.choice(list(self.nodes.urls.values())) + asked.path
            try:
                answer = client.post(url, json=asked.body, headers={"Idempotency-Key": asked.key})
            except httpx.TransportError:
                self.ending.wait(0.02)
                continue
            if answer.status_code != 503:
                break
            self.ending.wait(0.05)
        self._notes += asked.path.endswith("/note")
        if answer.is_success:
            self.again += "idempotent-replayed" in answer.headers
            body = answer.json()
            self.history.append(Acknowledged(asked, body["id"], tuple(body["events"])))
            if body["id"] != self._session:
                self.opened(body["id"])
            self._session, self._state = body["id"], body["state"]
        elif answer.json().get("code") not in ("BUDGET_EXHAUSTED", "CONFLICT"):
            self.refused.append(f"{asked}: {answer.status_code} {answer.text}")

    def _next(self) -> Asked:
        self._count += 1
        mark = f"mark-{self.number}-{self._count}-end"
        if not self._session or self._notes >= NOTES:
            self._session, self._notes = "", 0
            return Asked(f"key-{mark}", "/v1/kinds/toy/sessions", {"name": mark, "words": WORDS}, mark)
        verb = self.dice.choice(("note", "note", "note", "ask", "pause")) if self._state == "open" else "resume"
        body = {"note": {"text": f"two words {mark}"}, "ask": {"prompt": "word " * 40}}.get(verb, {})
        return Asked(
            f"key-{mark}", f"/v1/sessions/{self._session}/commands/{verb}", body, mark if verb == "note" else ""
        )


class Watcher(threading.Thread):
    """Follows one session from node to node, from the last position it has heard."""

    def __init__(self, session: str, token: str, nodes: Nodes, dice: Random) -> None:
        super().__init__(daemon=True)
        self.session, self.nodes, self.dice = session, nodes, dice
        self.headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        self.heard: list[tuple[str, dict[str, Any] | None]] = []
        self.strange: list[str] = []
        self.ending = threading.Event()
        self.changed = threading.Condition()

    def run(self) -> None:
        with httpx.Client(headers=self.headers, timeout=25, trust_env=False) as client:
            while not self.ending.is_set():
                url = f"{self.dice.choice(list(self.nodes.urls.values()))}/v1/sessions/{self.session}/events"
                last = {"Last-Event-ID": self.heard[-1][0]} if self.heard else {}
                try:
                    with client.stream("GET", url, headers=last) as response:
                        self._listen(response.iter_lines())
                except httpx.TransportError:
                    self.ending.wait(0.02)

    def until(self, seq: int, *, seconds: float = SECONDS) -> bool:
        """Wait until an event has been heard."""
        with self.changed:
            return self.changed.wait_for(lambda: bool(self.heard) and position(self.heard[-1][0]) >= seq, seconds)

    def _listen(self, lines: Iterator[str]) -> None:
        fields: dict[str, str] = {}
        for line in lines:
            if self.ending.is_set():
                return
            if line:
                name, _, value = line.partition(":")
                fields[name] = value.removeprefix(" ")
                continue
            if "id" in fields and "retry" not in fields and "event" not in fields:
                with self.changed:
                    self.heard.append((fields["id"], json.loads(fields["data"]) if "data" in fields else None))
                    self.changed.notify_all()
            elif fields.get("event") == "reset":
                self.strange.append(str(fields))
            fields = {}


def position(id: str) -> int:
    return int(id.partition(".")[2])


def unheard(watcher: Watcher, found: Found) -> list[str]:
    """Where what a follower heard is not the journal."""
    told = [(event["seq"], event) for event in found.told[watcher.session]]
    heard = [(position(id), event) for id, event in watcher.heard]
    wrong = [f"a follower of {watcher.session} was told {each}" for each in watcher.strange]
    if [seq for seq, _ in heard] != list(range(1, len(heard) + 1)):
        wrong.append(f"a follower of {watcher.session} heard {[seq for seq, _ in heard]}")
    elif heard != told:
        wrong.append(f"a follower of {watcher.session} heard another history")
    return wrong


def unkept(found: Found) -> list[str]:
    """Budgets that were passed, and turns that did not end exactly once."""
    wrong = []
    for session, events in found.told.items():
        if sum(event["data"]["words"] for event in events if event["type"] == "noted") > WORDS:
            wrong.append(f"{session} holds more words than it may")
        asked = Counter(event["data"]["turn"] for event in events if event["type"] == "asked")
        ended = Counter(event["data"]["turn"] for event in events if event["type"] == "answered")
        if asked != ended or any(count > 1 for count in asked.values()):
            wrong.append(f"a turn of {session} did not end once")
    return wrong


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Nodes, postgres.PostgresServer, ExitStack, str, str]]:
    """A PostgreSQL and a NATS of their own, two web processes, a worker, an account and its token."""
    with ExitStack() as stack, postgres.running() as server, ports.held() as port:
        stack.enter_context(nats.server(port))
        environment = plainly() | {
            "SITTING_DATA": str(tmp_path), "SITTING_DATABASE": server.url(), "SITTING_SECRET": SECRET,
            "SITTING_HINTS": f"nats://127.0.0.1:{port}", "SITTING_MODEL": "none", "SITTING_LOG_LEVEL": "error",
            "SITTING_APPLICATIONS": '["tests.support.notebooks"]', "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        with Installation(settings(server), apps=(notebooks.APP,)) as installation:
            account = installation.access.create_account("Ada").result()
            token = installation.access.create_token(account, "test").result()[0]
        nodes = Nodes(environment)
        try:
            for number in range(2):
                nodes.web(number)
            nodes.worker()
            yield nodes, server, stack, account, token
        finally:
            nodes.stop()


def settings(server: postgres.PostgresServer) -> Settings:
    return Settings(database=server.url(), secret=SECRET, hints="none", model="none")


def suffer(nodes: Nodes, server: postgres.PostgresServer, stack: ExitStack, dice: Random, until: float) -> list[str]:
    """Every fault at least once, in an order of its own each time, and again while there is time."""
    pause = threading.Event()
    port = int(nodes.environment["SITTING_HINTS"].rpartition(":")[2])

    def frozen() -> None:
        """A worker that holds leases stops until they are another's, and then goes on as if nothing had happened."""
        stopped = nodes.workers[0]
        stopped.send(signal.SIGSTOP)
        nodes.worker()
        pause.wait(LEASE_SECONDS + 1)
        stopped.send(signal.SIGCONT)

    def crashed() -> None:
        server.kill()
        pause.wait(dice.uniform(0, 1))
        server.start()

    def cut() -> None:
        stack.pop_all().close()
        pause.wait(dice.uniform(1, 3))
        stack.enter_context(nats.server(port))

    harm = {
        "web 0": lambda: nodes.kill_web(0), "web 1": lambda: nodes.kill_web(1), "worker": nodes.kill_worker,
        "frozen": frozen, "database": crashed, "hints": cut,
    }  # fmt: skip
    order: list[str] = []
    while len(order) < len(harm) or time.monotonic() < until:
        if len(order) % len(harm) == 0:
            waiting = dice.sample(list(harm), len(harm))
        order.append(waiting.pop())
        pause.wait(dice.uniform(0.5, 3))
        harm[order[-1]]()
    return order


@pytest.mark.timeout(1200)
def test_nothing_is_lost_while_nodes_workers_hints_and_the_database_die(
    place: tuple[Nodes, postgres.PostgresServer, ExitStack, str, str], dice: Random, rounds: Callable[[int, int], int]
) -> None:
    nodes, server, stack, account, token = place
    watchers: list[Watcher] = []

    def opened(session: str) -> None:
        watcher = Watcher(session, token, nodes, Random(session))
        watchers.append(watcher)
        watcher.start()

    writers = [Writer(n, token, nodes, Random(dice.random()), opened) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    suffered = suffer(nodes, server, stack, dice, time.monotonic() + rounds(SUFFERING, 1800))
    for writer in writers:
        writer.ending.set()
    for writer in writers:
        writer.join(SECONDS)
        assert not writer.is_alive()
        assert writer.refused == []
    found = settled(server, account)
    for watcher in watchers:
        assert watcher.until(len(found.seqs[watcher.session])), f"{watcher.session} stopped at {watcher.heard[-1:]}"
        watcher.ending.set()
    history = [done for writer in writers for done in writer.history]
    print(f"{suffered}; {len(history)} acknowledged, {sum(writer.again for writer in writers)} had been done unheard")
    assert faults(history, found) == []
    assert [fault for watcher in watchers for fault in unheard(watcher, found)] == []
    assert unkept(found) == []
    planted(watchers, history, found)


def settled(server: postgres.PostgresServer, account: str) -> Found:
    """What is stored once every turn has ended, however its worker did."""
    deadline = time.monotonic() + SECONDS
    while True:
        found = read(settings(server), notebooks.APP, account)
        if not unkept(found) or time.monotonic() > deadline:
            return found


def planted(watchers: Sequence[Watcher], history: Sequence[Acknowledged], found: Found) -> None:
    """Each check finds what it looks for, planted in what this run wrote and heard."""
    watcher = next(each for each in watchers if len(each.heard) > 3)
    session, heard = watcher.session, watcher.heard
    for damaged in (heard[:1] + heard[2:], [*heard, heard[-1]], [heard[1], heard[0], *heard[2:]], heard[:-1]):
        watcher.heard = damaged
        assert len(unheard(watcher, found)) == 1
    watcher.heard = heard
    watcher.strange = ["{'event': 'reset'}"]
    assert unheard(watcher, found) == [f"a follower of {session} was told {{'event': 'reset'}}"]

    greedy = deepcopy(found)
    noted = next(event for events in greedy.told.values() for event in events if event["type"] == "noted")
    noted["data"]["words"] = WORDS + 1
    assert len(unkept(greedy)) == 1
    endless = deepcopy(found)
    some = next(events for events in endless.told.values() if any(event["type"] == "answered" for event in events))
    some.remove(next(event for event in some if event["type"] == "answered"))
    assert len(unkept(endless)) == 1
    lost = Acknowledged(Asked("key", "/note", {}, "mark-99-1-end"), session, ())
    assert faults([*history, lost], found) == ["mark-99-1-end was lost"]
