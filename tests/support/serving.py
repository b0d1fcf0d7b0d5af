"""A real server in a thread of this process: real store, engine, worker and sockets, on a free port."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from sitting.clock import Clock
from sitting.config import Settings
from sitting.core.actor import Actor
from sitting.core.kind import Kind
from sitting.installation import App, Installation
from sitting.web import create_app
from sitting.web.server import Server
from sitting.web.streams import USUAL, Pace
from tests.support import toy

PATIENCE_SECONDS = 60.0  # whoever waits longer for an answer is taken to wait in vain


@dataclass(frozen=True)
class Served:
    """A running server and who may speak to it."""

    installation: Installation
    server: Server
    url: str

    def person(
        self, name: str = "Ada", *, roles: Sequence[str] = ("member",), scopes: Sequence[str] = ("*",)
    ) -> Person:
        """An account of the default space with an API token."""
        access = self.installation.access
        account = access.create_account(name, roles=tuple(roles)).result()
        token, id = access.create_token(account, "test", scopes=tuple(scopes)).result()
        return Person(access.by_token(token).result(), token, id, self.url)


@dataclass(frozen=True)
class Person:
    """Somebody with a bearer token."""

    actor: Actor
    token: str
    token_id: str
    url: str

    @property
    def headers(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def client(self, **options: Any) -> httpx.Client:
        """A client that sends the token."""
        return httpx.Client(base_url=self.url, headers=dict(self.headers), timeout=PATIENCE_SECONDS, **options)


@contextmanager
def installed(
    path: Path, *, kinds: Sequence[Kind] = (toy.KIND,), clock: Clock | None = None, **settings: Any
) -> Iterator[Installation]:
    """An installation of its own, with the toy kind."""
    app = App(name="toy", title="Toy", description="A notebook.", kinds=tuple(kinds))
    chosen = Settings(**{"data": path, "model": "scripted", "port": 0, "drain_seconds": 1, **settings})
    with Installation(chosen, apps=(app,), clock=clock) as installation:
        yield installation


@contextmanager
def served(path: Path, *, work: bool = True, pace: Pace = USUAL, **options: Any) -> Iterator[Served]:
    """A server that answers until the block ends."""
    with installed(path, **options) as installation:
        if work:
            installation.worker.start()
        with running(installation, pace=pace) as server:
            yield Served(installation, server, server.url)


@contextmanager
def running(installation: Installation, *, pace: Pace = USUAL) -> Iterator[Server]:
    """Serve an installation; raises when the server does not end by itself."""
    ready = threading.Event()
    server = Server(create_app(installation, pace=pace), installation.settings, on_ready=lambda url: ready.set())
    thread = threading.Thread(target=server.run, name="test-server", daemon=True)
    thread.start()
    try:
        if not ready.wait(PATIENCE_SECONDS):
            raise TimeoutError("the server did not start")
        yield server
    finally:
        server.stop()
        thread.join(PATIENCE_SECONDS)
        if thread.is_alive():
            raise TimeoutError("the server did not stop")
