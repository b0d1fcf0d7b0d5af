"""People who play an interview over HTTP: two interviewers, an administrator and candidates, on a clock a test moves.

Everything is the real thing: server, sockets, store, engine and worker. Only the time and the model's words are the
test's. Nothing sleeps: who waits reads a stream or asks for events with `wait`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from sitting import errors
from sitting.apps.interview.app import APP
from sitting.config import Settings
from sitting.installation import Installation
from sitting.model import Model, Models, Scripted, Step
from tests.support.clock import ManualClock
from tests.support.serving import PATIENCE_SECONDS, Person, Served, running

PAGE = {"Accept": "text/html"}
ANY = {"Accept": "text/html,*/*;q=0.8"}  # a page where there is one
PLENTY = 10_000
Json = dict[str, Any]


class Cast(Models):
    """The model that a test puts on stage, under every name; or none."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.model: Scripted | None = Scripted()

    def get(self, name: str | None = None) -> Model:
        if self.model is None:
            raise errors.ModelNotConfigured("No language model is configured.")
        return self.model

    @property
    def configured(self) -> bool:
        return self.model is not None


@dataclass(frozen=True)
class Scene:
    """A served installation, its clock and its model, and who speaks to it by bearer token."""

    served: Served
    clock: ManualClock
    cast: Cast
    clients: list[httpx.Client] = field(default_factory=list)

    def plays(self, *steps: Step, window: int = 8192) -> Scripted:
        """From now on the model answers by these steps, then with its default words."""
        self.cast.model = Scripted(list(steps), window=window)
        return self.cast.model

    def client(self, person: Person | None = None) -> httpx.Client:
        """A client of this server, closed with the scene."""
        headers = dict(person.headers) if person else {}
        self.clients.append(httpx.Client(base_url=self.served.url, headers=headers, timeout=PATIENCE_SECONDS))
        return self.clients[-1]

    def person(self, name: str, *roles: str) -> Person:
        return self.served.person(name, roles=roles or ("member",))

    def joins(self, planned: Json) -> Candidate:
        """A candidate who has come by the link."""
        return Candidate(self.client(), planned["join_url"].removeprefix(self.served.url))


@contextmanager
def scene(path: Path, *, clock: ManualClock | None = None, **settings: Any) -> Iterator[Scene]:
    """An installation with only the interview, served until the block ends."""
    limits = ("interview_messages_minute", "interview_messages_hour", "interview_messages_space_hour")
    chosen = Settings(
        **{
            "data": path,
            "model": "scripted",
            "port": 0,
            "drain_seconds": 1,
            **dict.fromkeys(limits, PLENTY),
            **settings,
        }
    )
    cast, time = Cast(chosen), clock or ManualClock()
    with Installation(chosen, apps=(APP,), clock=time, models=cast) as installation:
        installation.worker.start()
        with running(installation) as server:
            made = Scene(Served(installation, server, server.url), time, cast)
            try:
                yield made
            finally:
                for client in made.clients:
                    client.close()


class Candidate:
    """A browser that has joined by the link."""

    def __init__(self, client: httpx.Client, place: str, *, joined: bool = False) -> None:
        self.client, self.place = client, place
        if not joined:
            assert client.post(f"{place}/join").status_code == 303
        found = re.search(r'name="csrf-token" content="([^"]+)"', self.page())
        assert found is not None
        self.headers = {"X-CSRF-Token": found[1]}

    def page(self, path: str = "") -> str:
        return self.client.get(self.place + path, headers=PAGE).text

    def get(self, path: str = "") -> httpx.Response:
        return self.client.get(self.place + path)

    def post(self, path: str, body: Json | None = None, **headers: str) -> httpx.Response:
        return self.client.post(self.place + path, json=body or {}, headers=self.headers | headers)

    def sends(self, content: str) -> Json:
        """Send a message, whose reply begins now."""
        sent = self.post("/messages", {"content": content})
        assert sent.status_code == 202, sent.text
        body: Json = sent.json()
        return body

    def asks(self, content: str) -> Json:
        """Send a message and wait for the end of the reply."""
        sent = self.sends(content)
        self.hears(sent["turn"])
        return sent

    def hears(self, turn: str) -> Json:
        """Wait for the end of a reply; what its stream says then."""
        told = self.client.get(f"{self.place}/turns/{turn}/stream").text
        assert "event: done" in told, told
        end: Json = frames(told)[-1]
        return end

    def reads(self, turn: str, text: str) -> None:
        """Watch a reply until this text has been written."""
        with self.client.stream("GET", f"{self.place}/turns/{turn}/stream") as response:
            seen = ""
            for line in response.iter_lines():
                if line.startswith("data:"):
                    seen += json.loads(line[5:]).get("content", "")
                if seen == text:
                    return
        raise AssertionError(f"the reply ended with {seen!r}")

    def status(self) -> Json:
        body: Json = self.get("/status").json()
        return body


def frames(told: str) -> list[Json]:
    """The data of each block of a stream that has been read whole."""
    return [json.loads(line[5:]) for line in told.splitlines() if line.startswith("data:")]


@contextmanager
def following(client: httpx.Client, path: str, *, after: str) -> Iterator[Iterator[Json]]:
    """The events of a session as they come; the iterator ends with the stream."""
    stream = {"Accept": "text/event-stream"}
    with client.stream("GET", path, headers=stream, params={"after": after}) as response:
        assert response.status_code == 200
        yield (json.loads(line[5:]) for line in response.iter_lines() if line.startswith("data:"))


def plan(client: httpx.Client, **fields: Any) -> Json:
    answer = client.post("/interviews", json={"candidate_name": "Ada", **fields})
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def place(planned: Json) -> str:
    return f"/interviews/{planned['id']}"


def seen(client: httpx.Client, planned: Json) -> Json:
    """The session as this interviewer sees it now."""
    body: Json = client.get(place(planned)).json()
    return body


def events(client: httpx.Client, planned: Json, *types: str) -> list[Json]:
    """The events so far, or those of some types."""
    page = client.get(f"{place(planned)}/events", params={"limit": 500}).json()
    return [event for event in page["events"] if not types or event["type"] in types]


def types(client: httpx.Client, planned: Json) -> list[str]:
    return [event["type"] for event in events(client, planned)]


def awaits(client: httpx.Client, planned: Json, type: str) -> Json:
    """Wait for the first event of a type."""
    after: Json = {}
    for _ in range(20):
        page = client.get(f"{place(planned)}/events", params={"limit": 500, "wait": 5, **after}).json()
        after = {"after": page["next"]}
        for event in page["events"]:
            if event["type"] == type:
                found: Json = event
                return found
    raise AssertionError(f"{type} did not come: {types(client, planned)}")


def does(client: httpx.Client, planned: Json, verb: str, **body: Any) -> Json:
    """A move of an interviewer that must be taken."""
    answer = client.post(f"{place(planned)}/{verb}", json=body)
    assert answer.status_code in (200, 201), answer.text
    made: Json = answer.json()
    return made


def refused(answer: httpx.Response, status: int, code: str, detail: str = "") -> Json:
    assert answer.status_code == status, answer.text
    problem: Json = answer.json()
    assert problem["code"] == code, problem
    assert not detail or problem["detail"] == detail
    return problem


def card(seq: int, start: int, quote: str, names: Sequence[str]) -> Json:
    """A scorecard whose scores all rest on one passage."""
    cited = {"seq": seq, "start": start, "end": start + len(quote), "quote": quote}
    return {"scores": [{"criterion": name, "score": 4, "citations": [cited]} for name in names]}
