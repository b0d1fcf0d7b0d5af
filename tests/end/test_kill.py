"""`kill -9` of a real server, again and again, under clients that write: what was acknowledged is in the journal, once.

Each client writes down every 2xx it got, with the events the answer told. A request that got no answer is unknown; the
client sends it again, with its key, to the next server, and must find that it was done at most once. At the end the
history is compared with the journal as another process reads it. The checker itself is shown to catch planted faults.
"""

from __future__ import annotations

import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from sitting import bundle
from sitting.apps.interview.app import APP
from sitting.config import Settings
from sitting.core.actor import Actor
from sitting.installation import App, Installation
from sitting.store import journal, sessions
from sitting.store.transaction import Tx
from tests.support.process import Program, plainly
from tests.support.serving import PATIENCE_SECONDS

CLIENTS = 8
ACKNOWLEDGED = 6  # at least, by each server before it is killed
PLANNED_NOTES = 8  # notes in a session before its client goes on to another: far below what a session may hold
MARK = re.compile(r"mark-\d+-\d+-end")


@dataclass(frozen=True)
class Asked:
    """A change a client wants. `mark` is in what the change writes, once, wherever that is written."""

    key: str
    path: str
    body: dict[str, Any]
    mark: str


@dataclass(frozen=True)
class Acknowledged:
    """A change the server said was done, with the events it told."""

    asked: Asked
    session: str
    told: tuple[dict[str, Any], ...]


@dataclass
class Found:
    """What is stored: what the owner is told of each session, the marks of each event as it is stored, and verdicts."""

    told: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    marks: Counter[str] = field(default_factory=Counter)
    seqs: dict[str, list[int]] = field(default_factory=dict)
    broken: dict[str, str] = field(default_factory=dict)


class Client:
    """One writer. It survives the servers; its sessions and the request it had no answer to go along."""

    def __init__(self, number: int, token: str, dice: Random, *, wrote: Callable[[], object]) -> None:
        self.number, self.dice, self.wrote = number, dice, wrote
        self.headers = {"Authorization": f"Bearer {token}"}
        self.history: list[Acknowledged] = []
        self.pending: Asked | None = None
        self.again = 0
        self.refused: list[str] = []
        self._count = 0
        self._session = ""
        self._state = ""
        self._notes = 0

    def write(self, url: str) -> None:
        """Write until the server is gone; a refusal ends it too, and is a finding."""
        with httpx.Client(base_url=url, headers=self.headers, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            while not self.refused:
                asked, self.pending = self.pending or self._next(), None
                try:
                    answer = client.post(asked.path, json=asked.body, headers={"Idempotency-Key": asked.key})
                except httpx.TransportError:
                    self.pending = asked
                    return
                if not answer.is_success:
                    self.refused.append(f"{asked}: {answer.status_code} {answer.text}")
                    return
                self.again += "idempotent-replayed" in answer.headers
                self._acknowledge(asked, answer.json())
                self.wrote()

    def _next(self) -> Asked:
        self._count += 1
        mark = f"mark-{self.number}-{self._count}-end"
        if not self._session or self._notes >= PLANNED_NOTES:
            self._session, self._notes = "", 0
            return Asked(f"key-{mark}", "/v1/kinds/interview/sessions", {"candidate_name": mark}, mark)
        verbs = {"created": "start", "active": "pause", "paused": "resume"}
        verb = "add_note" if self.dice.random() < 0.6 else verbs[self._state]
        body = {"add_note": {"text": mark}, "pause": {"reason": mark}}.get(verb, {})
        place = f"/v1/sessions/{self._session}/commands/{verb}"
        return Asked(f"key-{mark}", place, body, mark if body else "")

    def _acknowledge(self, asked: Asked, body: dict[str, Any]) -> None:
        self.history.append(Acknowledged(asked, body["id"], tuple(body["events"])))
        self._session, self._state = body["id"], body["state"]
        self._notes += asked.path.endswith("/add_note")


def faults(history: Sequence[Acknowledged], found: Found) -> list[str]:
    """What was lost, changed, done twice or left out, in sentences; none when the promise was kept."""
    wrong = [f"{session} does not verify: {reason}" for session, reason in found.broken.items()]
    wrong += [f"gap in {id}" for id, seqs in found.seqs.items() if seqs != list(range(1, len(seqs) + 1))]
    wrong += [f"{mark} was done {times} times" for mark, times in found.marks.items() if times > 1]
    stored = {(id, event["seq"]): event for id, events in found.told.items() for event in events}
    for done in history:
        if done.asked.mark and not found.marks[done.asked.mark]:
            wrong.append(f"{done.asked.mark} was lost")
        for event in done.told:
            kept = stored.get((done.session, event["seq"]))
            if kept is None:
                wrong.append(f"event {event['seq']} of {done.session} was lost")
            elif kept != event:
                wrong.append(f"event {event['seq']} of {done.session} was changed")
    return wrong


def read(settings: Settings, app: App, account: str) -> Found:
    """Everything that is stored, as a process reads it that has never seen the servers."""
    found = Found()
    with Installation(settings, apps=(app,)) as installation:
        owner = Actor(account, "default", frozenset({"member"}))

        def marks(tx: Tx, *, id: str) -> None:
            found.seqs[id] = []
            for record in journal.every(tx, id):
                found.seqs[id].append(record.seq)
                texts = [record.data or "", *(part.text or "" for part in record.parts)]
                found.marks.update({mark for text in texts for mark in MARK.findall(text)})

        for id in installation.store.read(sessions.every).result():
            installation.store.read(partial(marks, id=id)).result()
            verdict = bundle.verify(installation.store, installation.kinds, id, epoch=installation.epoch).result()
            if not verdict.ok:
                found.broken[id] = verdict.reason
            found.told[id] = []
            while page := installation.engine.events(id, owner, after=len(found.told[id])).result().events:
                found.told[id] += [told for _, told in page if told is not None]
    return found


@pytest.fixture
def account(tmp_path: Path) -> tuple[str, str]:
    """Who writes, and their token, made before the first server starts."""
    with Installation(Settings(data=tmp_path, model="none"), apps=(APP,)) as installation:
        account = installation.access.create_account("Ada").result()
        return account, installation.access.create_token(account, "test").result()[0]


def one_life(data: Path, clients: Sequence[Client], wrote: threading.Semaphore, *, seconds: float) -> None:
    """Start a server, let everybody write, and kill it `seconds` after the first few acknowledgements."""
    environment = plainly() | {"SITTING_DATA": str(data), "SITTING_MODEL": "none", "SITTING_LOG_LEVEL": "error"}
    with Program([sys.executable, "-m", "sitting", "serve", "--port", "0"], env=environment) as server:
        url = server.wait_for(r"http://127\.0\.0\.1:\d+", seconds=60)[0]
        while wrote.acquire(blocking=False):  # what the one before has acknowledged
            continue
        threads = [threading.Thread(target=client.write, args=(url,), daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        for _ in range(ACKNOWLEDGED):
            assert wrote.acquire(timeout=60), [*[client.refused for client in clients], server.output]
        threads[0].join(seconds)  # it ends only when the server does, so this is the instant of the kill
        server.send(signal.SIGKILL)
        assert server.wait() == -signal.SIGKILL, server.output
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.timeout(3000)
def test_what_was_acknowledged_survives_kill_9_once(
    tmp_path: Path, account: tuple[str, str], dice: Random, rounds: Callable[[int, int], int]
) -> None:
    wrote = threading.Semaphore(0)
    clients = [Client(n, account[1], Random(dice.random()), wrote=wrote.release) for n in range(CLIENTS)]
    kills = rounds(60, 2000)
    for _ in range(kills):
        one_life(tmp_path, clients, wrote, seconds=dice.uniform(0.05, 0.4))
        assert not [text for client in clients for text in client.refused]
    history = [done for client in clients for done in client.history]
    found = read(Settings(data=tmp_path, model="none"), APP, account[0])
    unknown = {client.pending.mark for client in clients if client.pending is not None}
    asked = {done.asked.mark for done in history} | unknown
    print(
        f"{kills} kills, {len(history)} acknowledged, {sum(client.again for client in clients)} had been done unheard"
    )
    assert len(history) >= kills * ACKNOWLEDGED
    assert faults(history, found) == []
    assert set(found.marks) <= asked, "nobody asked for this"
    planted(history, found)


def planted(history: Sequence[Acknowledged], found: Found) -> None:
    """The checker catches each fault it looks for, planted in what this run really wrote and stored."""
    done = next(done for done in history if done.asked.path.endswith("/add_note"))
    id, seq = done.session, done.told[0]["seq"]

    early = Acknowledged(Asked("key", done.asked.path, {}, "mark-99-1-end"), id, ({**done.told[0], "seq": 10_000},))
    assert faults([*history, early], found) == ["mark-99-1-end was lost", f"event 10000 of {id} was lost"]

    doubled = deepcopy(found)
    doubled.marks[done.asked.mark] += 1
    assert faults(history, doubled) == [f"{done.asked.mark} was done 2 times"]

    changed = deepcopy(found)
    event = next(event for event in changed.told[id] if event["seq"] == seq)
    event["at"] = "2001-01-01T00:00:00Z"
    assert faults(history, changed) == [f"event {seq} of {id} was changed"]

    gapped = deepcopy(found)
    gapped.seqs[id].remove(seq)
    assert faults(history, gapped) == [f"gap in {id}"]

    broken = deepcopy(found)
    broken.broken[id] = "a hash"
    assert faults(history, broken) == [f"{id} does not verify: a hash"]
