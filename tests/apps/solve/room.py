"""People who solve over HTTP, and the model that answers them: a served installation with only this application.

Everything is the real thing: server, sockets, store, engine and worker. Only the model's words, and where a test says
so the time, are the test's. Nothing sleeps: who waits reads a stream or asks for events with `wait`.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx

from sitting import errors
from sitting.apps.solve.app import APP
from sitting.clock import Clock
from sitting.config import Settings
from sitting.installation import Installation
from sitting.model import Message, Model, Models, Scripted, Step
from sitting.web.streams import USUAL, Pace
from tests.support.serving import PATIENCE_SECONDS, Person, Served, running
from tests.web.test_live_protocol import Frame, Reader

__all__ = ["Frame", "Reader"]

MOCK = "I understand how you feel. Let me help you work through this."
WORRY = "My boss ignores everything I propose"
PLAN = "I will write the mail tonight at eight"
TALK = (
    WORRY,
    "It started after the last project was late",
    "I am afraid that my work is not seen",
    "I have tried to speak with him twice",
    "yes",
    "A",
    PLAN,
)
REACHES = {"receive": 0, "clarify": 1, "reframe": 4, "options": 5, "commit": 6, "completed": 7}
UNKNOWN = "00000000-0000-4000-8000-000000000000"
PAGE = {"Accept": "text/html"}
LATER = {"Accept": "application/json"}
PLENTY = 10_000
Json = dict[str, Any]
T = TypeVar("T")


class Cast(Models):
    """The model a test puts on stage: a script, or none. Until then it is the one of the settings."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.model: Scripted | None = None
        self.missing = False

    def get(self, name: str | None = None) -> Model:
        if self.missing:
            raise errors.ModelNotConfigured("No language model is configured.")
        return self.model or super().get(name)

    @property
    def configured(self) -> bool:
        return not self.missing


@dataclass(frozen=True)
class Scene:
    """A served installation and its model."""

    served: Served
    cast: Cast
    clients: list[httpx.Client] = field(default_factory=list)

    def plays(self, *steps: Step, script: Callable[[Sequence[Message]], Step] | None = None) -> Scripted:
        """From now on the model answers by these steps, then with its default words; or as `script` says."""
        self.cast.missing = False
        self.cast.model = Scripted(script or list(steps))
        return self.cast.model

    def mocks(self) -> None:
        """From now on the model is the one that ships for trying things out."""
        self.cast.missing, self.cast.model = False, None

    def leaves(self) -> None:
        """From now on there is no model."""
        self.cast.missing = True

    def owner(self, name: str = "Ann", *roles: str) -> Owner:
        return self.again(self.served.person(name, roles=roles or ("member",)))

    def again(self, person: Person) -> Owner:
        """Somebody who was here before."""
        self.clients.append(
            httpx.Client(base_url=self.served.url, headers=dict(person.headers), timeout=PATIENCE_SECONDS)
        )
        return Owner(self.clients[-1], person)


@contextmanager
def scene(path: Path, *, clock: Clock | None = None, pace: Pace = USUAL, **settings: Any) -> Iterator[Scene]:
    """An installation with only this application, served until the block ends."""
    rates = {"solve_messages_minute": PLENTY, "solve_creations_minute": PLENTY}
    chosen = Settings(**{"data": path, "model": "mock", "port": 0, "drain_seconds": 1, **rates, **settings})
    cast = Cast(chosen)
    with Installation(chosen, apps=(APP,), clock=clock, models=cast) as installation:
        installation.worker.start()
        with running(installation, pace=pace) as server:
            made = Scene(Served(installation, server, server.url), cast)
            try:
                yield made
            finally:
                for client in made.clients:
                    client.close()


@dataclass(frozen=True)
class Told:
    """The stream of a turn, read to its end."""

    response: httpx.Response
    frames: Sequence[Frame]

    @property
    def tokens(self) -> list[Frame]:
        return [frame for frame in self.frames if frame.event == "token"]

    @property
    def text(self) -> str:
        return "".join(frame.data["content"] for frame in self.tokens)

    @property
    def done(self) -> Json:
        """The one `done`, after which nothing comes."""
        assert [frame.event for frame in self.frames].count("done") == 1, self.frames
        assert self.frames[-1].event == "done", self.frames
        data: Json = self.frames[-1].data
        assert self.frames[-1].id == f"{data['turn']}.end"
        return data

    @property
    def fault(self) -> Json:
        """The `fault` before `done`."""
        assert self.frames[-2].event == "fault", self.frames
        data: Json = self.frames[-2].data
        return data


def told(response: httpx.Response) -> Told:
    """A stream that has been read whole."""
    return Told(response, Reader(response, iter(response.text.splitlines())).rest())


@dataclass(frozen=True)
class Owner:
    """Somebody with a bearer token, and what they do."""

    client: httpx.Client
    person: Person

    def create(self, **fields: Any) -> str:
        """A new session; its id."""
        answer = self.client.post("/sessions", json=fields)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def brought(self, step: str, **fields: Any) -> str:
        """A session that has come to a step."""
        id = self.create(**fields)
        for content in TALK[: REACHES[step]]:
            self.says(id, content)
        seen = self.session(id)
        assert step in (seen["current_step"], seen["status"]), seen
        return id

    def session(self, id: str) -> Json:
        answer = self.client.get(f"/sessions/{id}")
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body

    def messages(self, id: str) -> list[Json]:
        answer = self.client.get(f"/sessions/{id}/messages", params={"limit": 100})
        assert answer.status_code == 200, answer.text
        found: list[Json] = answer.json()["messages"]
        return found

    def sends(self, id: str, content: str, headers: Json | None = None, **fields: Any) -> httpx.Response:
        body = {"content": content, **fields}
        return self.client.post(f"/sessions/{id}/messages", json=body, headers=headers)

    def says(self, id: str, content: str, **fields: Any) -> Told:
        """A message and the whole stream of its turn."""
        answer = self.sends(id, content, **fields)
        assert answer.status_code == 200, answer.text
        return told(answer)

    def begins(self, id: str, content: str = WORRY) -> str:
        """A message whose reply nobody watches; its turn."""
        answer = self.sends(id, content, LATER)
        assert answer.status_code == 202, answer.text
        assert answer.json()["stream_url"] == answer.headers["location"]
        return str(answer.json()["turn"])

    @contextmanager
    def saying(self, id: str, content: str = WORRY) -> Iterator[Reader]:
        """A message and the stream of its turn while it comes; leaving the block cuts it."""
        body = {"content": content}
        with self.client.stream("POST", f"/sessions/{id}/messages", json=body) as response:
            assert response.status_code == 200, response.read()
            yield Reader(response, response.iter_lines())

    @contextmanager
    def watching(self, path: str, **query: str) -> Iterator[Reader]:
        """A stream that is read as it comes."""
        stream = {"Accept": "text/event-stream"}
        with self.client.stream("GET", path, params=query, headers=stream) as response:
            assert response.status_code == 200, response.read()
            yield Reader(response, response.iter_lines())

    def turn(self, id: str, turn: str) -> Json:
        answer = self.client.get(f"/sessions/{id}/turns/{turn}")
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body

    def streamed(self, id: str, turn: str, last: str = "") -> Told:
        """The stream of a turn from after a position to its end."""
        headers = {"Last-Event-ID": last} if last else {}
        answer = self.client.get(f"/sessions/{id}/turns/{turn}/stream", headers=headers)
        assert answer.status_code == 200, answer.text
        return told(answer)

    def acts(self, id: str, turn: str, verb: str) -> httpx.Response:
        return self.client.post(f"/sessions/{id}/turns/{turn}/{verb}", json={})

    def posts(self, path: str, **body: Any) -> Json:
        """A POST that must be taken."""
        answer = self.client.post(path, json=body)
        assert answer.status_code in (200, 201), answer.text
        made: Json = answer.json()
        return made

    def patches(self, path: str, **body: Any) -> Json:
        """A PATCH that must be taken."""
        answer = self.client.patch(path, json=body)
        assert answer.status_code == 200, answer.text
        made: Json = answer.json()
        return made

    def events(self, id: str, *types: str) -> list[Json]:
        """The events so far, or those of some types."""
        page = self.client.get(f"/sessions/{id}/events", params={"limit": 500}, headers=LATER).json()
        return [event for event in page["events"] if not types or event["type"] in types]

    def types(self, id: str) -> list[str]:
        return [event["type"] for event in self.events(id)]

    def awaits(self, id: str, type: str, count: int = 1) -> Json:
        """Wait until so many events of a type have come; the last of them."""
        after: Json = {}
        for _ in range(20):
            query = {"limit": 500, "wait": 5, **after}
            page = self.client.get(f"/sessions/{id}/events", params=query, headers=LATER).json()
            after = {"after": page["next"]}
            for event in page["events"]:
                count -= event["type"] == type
                if not count:
                    found: Json = event
                    return found
        raise AssertionError(f"{type} did not come: {self.types(id)}")


def hears(reader: Reader, text: str) -> str:
    """Read a stream until its tokens have said this; the last one's position."""
    said, last = "", ""
    while said != text:
        frame = reader.until("token")
        said, last = said + frame.data["content"], frame.id
        assert text.startswith(said), (said, text)
    return last


def refused(answer: httpx.Response, status: int, code: str) -> Json:
    """The facts of a refusal."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    detail: Json = answer.json()["detail"]
    assert detail["error"] == code, detail
    return detail


def invalid(answer: httpx.Response, *names: str) -> None:
    """A refusal that names the fields and repeats no value."""
    fields = refused(answer, 422, "VALIDATION_ERROR")["fields"]
    assert all(set(field) == {"field", "message"} for field in fields), fields
    assert set(names) <= {field["field"] for field in fields}, fields


def together(count: int, act: Callable[[int], T]) -> list[T]:
    """What `count` people get who act at the same moment."""
    ready = threading.Barrier(count)

    def one(place: int) -> T:
        ready.wait(PATIENCE_SECONDS)
        return act(place)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))


def trailer(prose: str, **data: Any) -> Step:
    """A reply with what the model says to the program after it."""
    return Step((prose, "\n---DATA---\n", json.dumps(data)))


def card(title: str) -> Json:
    """A card as a model gives it."""
    return {"title": title, "actions": [f"{title} today"], "pros": ["Quick"], "cons": ["Scary"], "effort": "low"}
