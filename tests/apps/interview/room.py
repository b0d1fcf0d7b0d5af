"""A whole installation of interviews for one test: server, worker and a scripted model whose steps the test names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from sitting.apps.interview.app import APP
from sitting.clock import Clock
from sitting.config import Settings
from sitting.installation import Installation
from sitting.model import Model, Models, Scripted, Step
from tests.support.serving import PATIENCE_SECONDS, Served, running

PAGE = {"Accept": "text/html"}


class One(Models):
    """Every name stands for one scripted model."""

    def __init__(self, settings: Settings, model: Scripted) -> None:
        super().__init__(settings)
        self._model = model

    def get(self, name: str | None = None) -> Model:
        return self._model

    def close(self) -> None:
        self._model.close()


@contextmanager
def installed(path: Path, *steps: Step, clock: Clock | None = None) -> Iterator[Installation]:
    """An installation of interviews; nothing serves and nothing works yet."""
    settings = Settings(
        data=path, model="scripted", port=0, drain_seconds=1,
        interview_messages_minute=10_000, interview_messages_hour=10_000, interview_messages_space_hour=10_000,
    )  # fmt: skip
    with Installation(settings, apps=(APP,), clock=clock, models=One(settings, Scripted(steps))) as installation:
        yield installation


@contextmanager
def opened(path: Path, *steps: Step, clock: Clock | None = None) -> Iterator[Served]:
    """The same, served, with its worker."""
    with installed(path, *steps, clock=clock) as installation:
        installation.worker.start()
        with running(installation) as server:
            yield Served(installation, server, server.url)


def plan(by: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = by.post("/interviews", json={"candidate_name": "Ada", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


class Candidate:
    """A browser that has joined by the link."""

    def __init__(self, house: Served, planned: dict[str, Any]) -> None:
        self.place = planned["join_url"].removeprefix(house.url)
        with httpx.Client(base_url=house.url, timeout=PATIENCE_SECONDS) as client:
            assert client.post(f"{self.place}/join").status_code == 303
            page = client.get(self.place, headers=PAGE).text
            cookies = client.cookies
        found = re.search(r'name="csrf-token" content="([^"]+)"', page)
        self.headers = {"X-CSRF-Token": found[1] if found else ""}
        self.client = httpx.Client(base_url=house.url, timeout=PATIENCE_SECONDS, cookies=cookies)

    def __enter__(self) -> Candidate:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str = "", **options: Any) -> httpx.Response:
        return self.client.get(self.place + path, **options)

    def post(self, path: str, body: Any = None) -> httpx.Response:
        return self.client.post(self.place + path, json={} if body is None else body, headers=self.headers)

    def ask(self, content: str) -> dict[str, Any]:
        """Send a message and wait until its reply has ended."""
        sent = self.post("/messages", {"content": content})
        assert sent.status_code == 202, sent.text
        assert "event: done" in self.client.get(sent.json()["stream"]).text
        body: dict[str, Any] = sent.json()
        return body


def refused(answer: httpx.Response, status: int, code: str, detail: str = "") -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert not detail or problem["detail"] == detail
    return problem


def types(by: httpx.Client, id: str) -> Sequence[str]:
    """The journal by the names of its events."""
    return [event["type"] for event in by.get(f"/interviews/{id}/events?limit=500").json()["events"]]
