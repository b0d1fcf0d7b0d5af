"""A team meeting over HTTP: facilitators by bearer token, members by the cookies of their phones, a clock a test moves.

Everything is the real thing: server, sockets, store, engine and worker. Only the time and the model's words are the
test's. Nothing sleeps: who waits reads a stream or asks for events with `wait`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from sitting import errors
from sitting.apps.facilitation.app import APP
from sitting.clock import Clock
from sitting.config import Settings
from sitting.installation import App, Installation
from sitting.model import Message, Model, Models, Scripted, Step
from tests.support.clock import ManualClock
from tests.support.serving import PATIENCE_SECONDS, Person, Served, running

PAGE = {"Accept": "text/html"}
JSON = {"Accept": "application/json"}
STREAM = {"Accept": "text/event-stream"}
MEMBERS = ("Alice", "Bob", "Cy")
FAILED = "Synthesis generation failed. Please try again."
TOO_FEW = "Insufficient responses for synthesis (minimum 3 required)."
NO_MODEL = "No language model is configured. See /help/models."
Json = dict[str, Any]
Script = Callable[[Sequence[Message]], Step]


class Cast(Models):
    """The model that a test puts on stage, under every name; or none."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self.model: Scripted | None = None

    def get(self, name: str | None = None) -> Model:
        if self.model is None:
            raise errors.ModelNotConfigured("No language model is configured.")
        return self.model

    @property
    def configured(self) -> bool:
        return self.model is not None


@dataclass(frozen=True)
class House:
    """A served installation with only this application."""

    served: Served
    clock: Clock
    cast: Cast
    clients: list[httpx.Client] = field(default_factory=list)

    @property
    def installation(self) -> Installation:
        return self.served.installation

    def plays(self, *steps: Step, script: Script | None = None, window: int = 8192) -> Scripted:
        """From now on the model answers by these steps, then with the smallest answer the schema allows."""
        self.cast.model = Scripted(script or list(steps), window=window)
        return self.cast.model

    def silent(self) -> None:
        """From now on there is no model."""
        self.cast.model = None

    def client(self, person: Person | None = None, **headers: str) -> httpx.Client:
        """A client of this server, closed with the house."""
        known = dict(person.headers) if person else {}
        self.clients.append(httpx.Client(base_url=self.served.url, headers=known | headers, timeout=PATIENCE_SECONDS))
        return self.clients[-1]

    def facilitator(self, name: str = "Fay", *roles: str) -> httpx.Client:
        """Somebody with an account, as a program with a bearer token."""
        return self.client(self.served.person(name, roles=roles or ("member",)))

    def team(self, *names: str, by: httpx.Client | None = None, settings: Json | None = None, **more: Any) -> Team:
        """A team with these members, in this order."""
        client = by or self.facilitator()
        fields = {"company_name": "Acme", "team_name": "Crew", "settings": settings or {}, **more}
        answer = client.post("/v1/kinds/team/sessions", json=fields)
        assert answer.status_code == 201, answer.text
        made = Team(self, client, answer.json()["id"], answer.json()["view"]["code"])
        for name in names or MEMBERS:
            sent(client.post(f"/admin/teams/{made.id}/members", data={"name": name}))
        return made


@dataclass(frozen=True)
class Team:
    """A team, and one of its facilitators."""

    house: House
    by: httpx.Client
    id: str
    code: str

    @property
    def sessions(self) -> str:
        return f"/admin/sessions/team/{self.id}"

    def posts(self, path: str, **form: Any) -> httpx.Response:
        return self.by.post(f"/admin/teams/{self.id}{path}", data=form)

    def plan(self, month: str = "2026-01") -> Meeting:
        """A new session in draft."""
        answer = self.by.post(f"{self.sessions}/create", data={"month": month})
        return Meeting(self, sent(answer).rpartition("/")[2], month)

    def capturing(self, month: str = "2026-01") -> Meeting:
        """A new session that takes responses."""
        meeting = self.plan(month)
        meeting.does("start")
        return meeting


@dataclass(frozen=True)
class Meeting:
    """One session of a team, seen by its facilitator."""

    team: Team
    id: str
    month: str

    @property
    def by(self) -> httpx.Client:
        return self.team.by

    @property
    def url(self) -> str:
        return f"/admin/sessions/{self.id}"

    @property
    def room(self) -> str:
        """Where participants come to."""
        return f"/join/{self.team.code}/session/{self.id}"

    def posts(self, path: str, form: Json | None = None, /, **headers: str) -> httpx.Response:
        return self.by.post(f"{self.url}/{path}", data=form or {}, headers=headers)

    def does(self, path: str, **form: Any) -> str:
        """What must be taken; where it leads."""
        return sent(self.posts(path, form))

    def get(self, path: str = "", **headers: str) -> httpx.Response:
        return self.by.get(self.url + path, headers=headers)

    def page(self, path: str = "") -> str:
        answer = self.get(path, **PAGE)
        assert answer.status_code == 200, answer.text
        return answer.text

    def panel(self) -> Json:
        return body(self.get("", **JSON))

    def status(self) -> Json:
        return body(self.get("/status"))

    def synthesis(self) -> Json:
        found: Json = self.panel()["synthesis"]
        return found

    @property
    def state(self) -> str:
        return str(self.status()["state"])

    @property
    def head(self) -> str:
        return str(body(self.by.get(f"/v1/sessions/{self.id}/events", params={"limit": 1}))["head"])

    def events(self, *types: str) -> list[Json]:
        """The journal as the facilitator is told of it, or some types of it."""
        return events(self.by, self.id, *types)

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]

    def awaits(self, *types: str, after: str = "0") -> Json:
        """Wait for the first event of these types after a position."""
        for _ in range(20):
            page = body(self.by.get(f"/v1/sessions/{self.id}/events", params={"limit": 500, "wait": 5, "after": after}))
            for event in page["events"]:
                if event["type"] in types:
                    found: Json = event
                    return found
            after = page["next"]
        raise AssertionError(f"{types} did not come: {self.types()}")

    def device(self, member: int | None = None, *bullets: str, card: int | None = 14) -> Device:
        """A phone of its own; with a member it claims that name, with bullets it submits them."""
        made = Device(self, self.team.house.client())
        if member is not None:
            assert made.claims(member).status_code == 303
        if bullets:
            assert made.submits(*bullets, card=card).status_code == 303
        return made

    def filled(self, *texts: str) -> list[Device]:
        """Members 1, 2, 3 ... each submit one text."""
        return [self.device(member, text) for member, text in enumerate(texts, 1)]

    def to(self, state: str) -> Meeting:
        """Forward, by the documented moves."""
        order = ("draft", "capturing", "closed", "revealed")
        for move in ("start", "close", "reveal")[order.index(self.state) : order.index(state)]:
            self.does(move)
        return self


class Device:
    """A phone with its cookies, in front of one session. It sends forms as its pages give them."""

    def __init__(self, meeting: Meeting, client: httpx.Client) -> None:
        self.meeting, self.client, self.member = meeting, client, 0
        self.claim_token = ""  # of the page of names, which shows no form to a phone that holds a claim

    @property
    def place(self) -> str:
        return f"{self.meeting.room}/member/{self.member}"

    @property
    def cookie(self) -> str | None:
        return self.client.cookies.get(f"join-{self.meeting.id}")

    def page(self, path: str, status: int = 200) -> str:
        answer = self.client.get(path, headers=PAGE)
        assert answer.status_code == status, (path, answer.status_code, answer.text)
        return answer.text

    def token(self, path: str) -> str:
        return csrf(self.page(path))

    def claims(self, member: int, **headers: str) -> httpx.Response:
        path = f"{self.meeting.room}/name"
        self.claim_token = self.claim_token or self.token(path)
        form = {"member_id": str(member), "csrf_token": self.claim_token}
        answer = self.client.post(path, data=form, headers=headers)
        if answer.status_code == 303:
            self.member = member
        return answer

    def submits(self, *bullets: str, card: Any = 14, form: Any = None, **headers: str) -> httpx.Response:
        """The form of the response page; `form` replaces its fields."""
        fields: Json = {"bullet": list(bullets)} | ({"card": str(card)} if card is not None else {})
        path = f"{self.place}/respond"
        sends = {**(fields if form is None else form), "csrf_token": self.token(path)}
        return self.client.post(path, data=sends, headers=headers)

    def posts(self, path: str, *, seen: str = "", **form: str) -> httpx.Response:
        """A form of the session's own pages, with the token of the page at `seen`."""
        token = self.token(seen or f"{self.place}/waiting")
        return self.client.post(self.meeting.room + path, data={**form, "csrf_token": token})

    def status(self) -> Json:
        return body(self.client.get(f"{self.meeting.room}/status"))

    @property
    def response(self) -> Json | None:
        found: Json | None = self.status()["my_response"]
        return found


@contextmanager
def opened(
    path: Path, *, clock: Clock | None = None, work: bool = True, app: App = APP, **settings: Any
) -> Iterator[House]:
    """An installation with only this application, served until the block ends. There is no model until one plays."""
    chosen = Settings(**{"data": path, "model": "none", "port": 0, "drain_seconds": 1, **settings})
    cast, time = Cast(chosen), clock or ManualClock()
    with Installation(chosen, apps=(app,), clock=time, models=cast) as installation:
        if work:
            installation.worker.start()
        with running(installation) as server:
            house = House(Served(installation, server, server.url), time, cast)
            try:
                yield house
            finally:
                for client in house.clients:
                    client.close()


def again(team: Team, house: House) -> Team:
    """The same team, by the same facilitator, in a house that was opened anew."""
    client = httpx.Client(base_url=house.served.url, headers=team.by.headers, timeout=PATIENCE_SECONDS)
    house.clients.append(client)
    return Team(house, client, team.id, team.code)


def sent(answer: httpx.Response) -> str:
    """Where a form that was taken leads."""
    assert answer.status_code == 303, (answer.request.url, answer.status_code, answer.text)
    return answer.headers["location"]


def body(answer: httpx.Response) -> Json:
    assert answer.status_code == 200, (answer.request.url, answer.status_code, answer.text)
    found: Json = answer.json()
    return found


def refused(answer: httpx.Response, status: int, detail: str, code: str = "") -> None:
    """The whole body of a refusal, and the code beside it."""
    assert (answer.status_code, answer.json()) == (status, {"detail": detail}), answer.text
    assert re.fullmatch(r"[A-Z_]+", answer.headers["sitting-code"])
    assert not code or answer.headers["sitting-code"] == code


def csrf(page: str) -> str:
    """The token in a page's forms."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None, "the page has no form"
    return unescape(found[1])


def events(client: httpx.Client, id: str, *types: str) -> list[Json]:
    page = body(client.get(f"/v1/sessions/{id}/events", params={"limit": 500}))
    return [event for event in page["events"] if not types or event["type"] in types]


@contextmanager
def following(client: httpx.Client, id: str, *, after: str = "0") -> Iterator[Iterator[str]]:
    """The lines of a live stream as they come; the iterator ends with the stream."""
    address = f"/v1/sessions/{id}/events"
    with client.stream("GET", address, headers=STREAM, params={"after": after}) as response:
        assert response.status_code == 200, response.read()
        yield response.iter_lines()


def frames(lines: Iterator[str]) -> Iterator[Json]:
    """Blocks of a stream as {"id", "event", "data"}, the fields they have."""
    block: Json = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if line and name:
            block[name] = json.loads(value) if name == "data" else value
        elif not line and block:
            yield block
            block = {}


def until(found: Iterator[Json], good: Callable[[Json], bool]) -> list[Json]:
    """The frames up to the first good one."""
    seen = []
    for frame in found:
        seen.append(frame)
        if good(frame):
            return seen
    raise AssertionError(f"the stream ended after {seen}")


def told(type: str, frame: Json) -> bool:
    return "event" not in frame and bool(frame.get("data")) and frame["data"]["type"] == type


def is_(type: str) -> Callable[[Json], bool]:
    return partial(told, type)


def outcome(*labels: str, **changes: Any) -> str:
    """What a good model answers about these responses."""
    known = list(labels or ("R1", "R2", "R3"))
    statements = [
        {
            "name": f"Point {number}",
            "statement": f"This is statement {number}.",
            "responses": [known[(number - 1) % len(known)]],
        }
        for number in range(1, 4)
    ]
    answer: Json = {
        "themes": "The team agrees on the goal. Handover is slow.",
        "statements": statements,
        "gap_type": "Alignment",
        "gap_reasoning": "Work is not connected.",
        "suggested_recalibrations": ["Meet weekly.", "Write down who decides.", "Drop one project."],
        **changes,
    }
    return json.dumps(answer)


def answers(*texts: str) -> list[Step]:
    return [Step((text,)) for text in texts]
