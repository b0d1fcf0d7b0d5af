"""A process that gives an engine's commands and writes down what it is told is done: `python -m tests.support.scribe`.

Everything in it is the product's own: installation, engine, store, worker. Several threads write at once, so that
commits are shared; the worker's turns write between them. With `--careless` the database is opened with
`synchronous=NORMAL`, which no power cut forgives; with `--erase` one notebook is made and destroyed.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import event

from sitting.config import Settings
from sitting.core.actor import Actor
from sitting.core.kind import Command
from sitting.engine import Done, Once
from sitting.installation import App, Installation
from sitting.store import Store
from tests.support import toy
from tests.support.promised import plain

APP = App("toy", "Notebooks", "For tests.", kinds=(toy.KIND,))
KINDS = {toy.KIND.name: toy.KIND}
THREADS = 4
SCOPE = "scribe"
DESTROYED = "words-that-are-destroyed"


class Log:
    """Lines for whoever checks; each is written in one call, so it is there whole or not at all."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(self, **said: Any) -> None:
        line = json.dumps(said).encode() + b"\n"
        assert os.write(self._descriptor, line) == len(line)


class Scribe:
    """One writer with notebooks of its own, one after the other."""

    def __init__(self, name: str, installation: Installation, log: Log, dice: Random) -> None:
        self.name, self.engine, self.log, self.dice = name, installation.engine, log, dice
        account = installation.access.create_account(name).result()
        log.say(account=account)
        self.actor = Actor(account, "default", frozenset({"member"}))
        self._count = 0
        self._session = self._state = self._words = ""

    def write(self, commands: int) -> None:
        """Give so many commands."""
        for _ in range(commands):
            self._count += 1
            if not self._session:
                self._words = f"words-of-{self.name}-{self._count}-."
                self._told(toy.Create(name=self._words, minutes=180, words=10_000))
            elif self._state == "open":
                self._told(self._while_open())
            elif self._state == "paused" and self.dice.random() < 0.7:
                self._told(toy.Resume())
            else:
                self._leave()

    def write_and_erase(self) -> None:
        """One notebook with one note in it, destroyed."""
        self._words = DESTROYED
        for command in (toy.Create(name=self._words), toy.Note(text=self._words), toy.Pause()):
            self._count += 1
            self._told(command)
        self._erase()

    def _while_open(self) -> Command:
        text = f"{self._words} {'x' * self.dice.choice((5, 400, 1900))}"
        return self.dice.choices(
            (
                toy.Note(text=text),
                toy.Note(text=text, private=True),
                toy.Invite(actor=f"guest:{self._count}"),
                toy.Share(credential=f"link:{self._count:064x}"),
                toy.Pause(),
                toy.End(reason=self._words),
            ),
            weights=(8, 2, 2, 1, 3, 1),
        )[0]

    def _leave(self) -> None:
        """Erase the notebook, or let it be."""
        if self.dice.random() < 0.6:
            self._erase()
        self._session = self._state = ""

    def _erase(self) -> None:
        self.log.say(leaving=self._session)
        self.engine.erase(self._session, self.actor).result()
        self.log.say(gone=self._session, words=self._words)

    def _told(self, command: Command) -> None:
        key = f"{self.name}-{self._count}"
        once = Once(SCOPE, key, command.verb.encode(), _rendered)
        if self._session:
            done = self.engine.do(self._session, command, self.actor, once=once).result()
        else:
            done = self.engine.open("toy", command, self.actor, once=once).result()
        self._session, self._state = done.session.id, done.session.state
        self.log.say(session=self._session, events=[plain(event) for event in done.events], scope=SCOPE, key=key)


def _rendered(done: Done) -> bytes:
    return json.dumps([plain(event) for event in done.events]).encode()


def careless(url: str) -> Store:
    """A store that does not wait for its disk."""
    store = Store(url)
    event.listen(store.engine, "connect", lambda driver, _: driver.execute("PRAGMA synchronous=NORMAL").close())
    return store


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("log", type=Path)
    parser.add_argument("--commands", type=int, default=50, help="of each thread")
    parser.add_argument("--seed", default="")
    parser.add_argument("--careless", action="store_true")
    parser.add_argument("--erase", action="store_true", help="one notebook, and destroy it")
    chosen = parser.parse_args()
    settings = Settings(data=chosen.data, model="none")
    store = careless(settings.database_url) if chosen.careless else None
    log = Log(chosen.log)
    with Installation(settings, apps=(APP,), store=store) as installation:
        if chosen.erase:
            Scribe("eraser", installation, log, Random(chosen.seed)).write_and_erase()
            return
        installation.worker.start()
        scribes = [Scribe(f"s{n}", installation, log, Random(f"{chosen.seed}{n}")) for n in range(THREADS)]
        threads = [threading.Thread(target=scribe.write, args=(chosen.commands,)) for scribe in scribes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


if __name__ == "__main__":
    main()
