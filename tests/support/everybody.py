"""Everybody who may knock at a served installation, and fresh places of every application for them to knock at.

A table says, for each route, what status each of them gets. The roles are the same everywhere, so that the tables of
all applications read alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from fastapi.routing import APIRouter
from starlette.routing import BaseRoute, Route

from sitting.config import Settings
from sitting.installation import Installation
from sitting.web import deps
from tests.support.clock import ManualClock
from tests.support.serving import PATIENCE_SECONDS, Person, Served, running

# The owner is who made the place: the interviewer, the facilitator, the one who solves. A guest holds a cookie of that
# very place, an outsider one of another place of the same kind. A stranger is a member of the owner's space without a
# role there, a foreigner one of another space. `cookie` is the owner in a browser with its forms' token, `reader` the
# owner with a token that may only read, `expired` the owner with a token whose time has passed.
ROLES = (
    "anonymous", "expired", "outsider", "foreigner", "stranger", "guest", "owner", "cookie", "reader", "admin",
)  # fmt: skip
WITHOUT_A_ROLE = ROLES[:5]
SAFE = frozenset({"GET", "HEAD"})
UNKNOWN = "0190aaaa-bbbb-cccc-dddd-eeeeffff0000"
NO_GUEST = "x" * 43
FORM_TOKEN = re.compile(r"\b[0-9a-f]{64}\b")
MANY = 100_000
Operation = tuple[str, str]
Json = dict[str, Any]


def operations(routes: Sequence[BaseRoute]) -> Iterator[Operation]:
    """Every method of every route, also of routers inside; what is neither is not passed over."""
    for route in routes:
        if isinstance(route, Route):
            yield from ((method, route.path) for method in sorted(route.methods or ()) if method != "HEAD")
        else:
            inner = getattr(route, "original_router", None)
            assert isinstance(inner, APIRouter), f"what is {route}?"
            yield from operations(inner.routes)


@dataclass(frozen=True)
class Place:
    """What an application keeps for its owner, untouched: `fills` fills paths and forms, `sessions` are its ids."""

    fills: Mapping[str, str]
    sessions: tuple[str, ...] = ()
    guest: httpx.Client | None = None

    def elsewhere(self) -> Place:
        """The same addresses with sessions that do not exist."""
        fills = {name: UNKNOWN if value in self.sessions else value for name, value in self.fills.items()}
        return Place(fills, self.sessions, self.guest)


@dataclass(frozen=True)
class Table:
    """What everybody gets from the routes of an application, and what a good request of each of them carries."""

    name: str
    rows: Mapping[Operation, Mapping[str, int]]
    place: Callable[[Cast], Place]
    bodies: Mapping[Operation, Json] = field(default_factory=dict)
    forms: Mapping[Operation, Mapping[str, str]] = field(default_factory=dict)
    queries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    accept: str = "*/*"
    pages: frozenset[str] = frozenset()  # paths that are asked for as a browser does

    def request(self, operation: Operation, place: Place) -> Json:
        """The arguments of a good request."""
        method, path = operation
        accept = "text/html" if path in self.pages else self.accept
        made: Json = {"method": method, "url": path.format_map(place.fills), "headers": {"Accept": accept}}
        if path in self.queries:
            made["params"] = self.queries[path]
        if operation in self.forms:
            made["data"] = {name: text.format_map(place.fills) for name, text in self.forms[operation].items()}
        elif method in ("POST", "PUT", "PATCH"):
            body = self.bodies.get(operation, {})
            made["json"] = {
                name: value.format_map(place.fills) if isinstance(value, str) else value for name, value in body.items()
            }
        return made


def rows(text: str) -> dict[Operation, dict[str, int]]:
    """A table as it is written: method, path, and a status for each of ROLES. A line with # divides it."""
    found: dict[Operation, dict[str, int]] = {}
    for line in text.strip().splitlines():
        if line.startswith("#"):
            continue
        method, path, *statuses = line.split()
        assert (method, path) not in found, f"two rows for {method} {path}"
        found[method, path] = dict(zip(ROLES, map(int, statuses), strict=True))
    return found


class Cast:
    """Everybody, before places that nobody has changed."""

    def __init__(self, house: Served, clock: ManualClock, stack: ExitStack) -> None:
        self.house, self.clock, self.stack = house, clock, stack
        self.owner_person = house.person("Ann")
        self.owner = self.client(**self.owner_person.headers)
        access = house.installation.access
        account = self.owner_person.actor.id
        until = clock.now() + timedelta(seconds=1)
        expired = access.create_token(account, "expired", expires_at=until).result()[0]
        clock.advance(2)
        reader = access.create_token(account, "reader", scopes=("read",)).result()[0]
        nobody = self.client(**{"X-CSRF-Token": deps.guest_csrf(house.installation, NO_GUEST)})
        self._clients = {
            "anonymous": self.client(),
            "guest": nobody,
            "outsider": nobody,
            "expired": self.client(Authorization=f"Bearer {expired}"),
            "foreigner": self.client(**self._foreigner().headers),
            "stranger": self.client(**house.person("Sam").headers),
            "owner": self.owner,
            "reader": self.client(Authorization=f"Bearer {reader}"),
            "admin": self.client(**house.person("Eve", roles=("member", "admin")).headers),
        }
        self._outsiders: dict[str, httpx.Client] = {}
        self._places: dict[str, Place] = {}
        self._cookie: httpx.Client | None = None

    def client(self, **headers: str) -> httpx.Client:
        """A client that is closed with the cast."""
        made = httpx.Client(base_url=self.house.url, headers=headers, timeout=PATIENCE_SECONDS)
        self.stack.callback(made.close)
        return made

    def as_guest(self, client: httpx.Client, cookie: str) -> httpx.Client:
        """The client of a guest, with the token that the pages for this cookie carry."""
        client.headers["X-CSRF-Token"] = deps.guest_csrf(self.house.installation, client.cookies[cookie])
        return client

    def place(self, table: Table) -> Place:
        """The place of an application as it was made."""
        if table.name not in self._places:
            self._places[table.name] = table.place(self)
        return self._places[table.name]

    def changed(self, table: Table) -> None:
        """Forget the place, and the owner's browser, for somebody has changed something."""
        self._places.pop(table.name, None)
        self._cookie = None

    def whoever(self, role: str, table: Table) -> httpx.Client:
        """The client of a role, without what earlier answers have left in it."""
        place = self.place(table)
        if role == "cookie":
            self._cookie = self._cookie or self._browser()
            return self._cookie
        if role == "guest" and place.guest is not None:
            return place.guest
        if role == "outsider" and place.guest is not None:
            if table.name not in self._outsiders:
                other = table.place(self).guest
                assert other is not None
                self._outsiders[table.name] = other
            return self._outsiders[table.name]
        found = self._clients[role]
        found.cookies.clear()
        if role in ("guest", "outsider"):
            # Nobody is a guest of such a place: a cookie that looks like one's proves nothing there.
            for session in (*place.sessions, UNKNOWN):
                found.cookies.set(f"join-{session}", NO_GUEST)
        return found

    def ask(self, role: str, operation: Operation, table: Table, *, method: str = "") -> httpx.Response:
        """A good request of this role. Whatever it changes, the next one finds a fresh place."""
        client = self.whoever(role, table)
        request = table.request(operation, self.place(table))
        answer = client.request(**{**request, "method": method or operation[0]})
        if answer.request.method not in SAFE and answer.status_code < 400:
            self.changed(table)
        return answer

    def told(self, role: str, operation: Operation, table: Table, place: Place) -> tuple[int, Json, str]:
        """All that an answer tells, but for the ids that were asked for and what differs between any two requests."""
        answer = self.whoever(role, table).request(**table.request(operation, place))
        left_out = ("date", "set-cookie", "content-length")
        head = {name: value for name, value in answer.headers.items() if name not in left_out}
        text = FORM_TOKEN.sub("TOKEN", answer.text.replace(head.pop("x-request-id", "-"), "REQUEST"))
        for id in (*place.sessions, UNKNOWN):
            text = text.replace(id, "ID")
            head = {name: value.replace(id, "ID") for name, value in head.items()}
        return answer.status_code, head, text

    def state(self, place: Place) -> list[tuple[Any, ...]]:
        """What nobody without a role may have changed."""
        seen = [self.owner.get(f"/v1/sessions/{id}").json() for id in place.sessions]
        return [(one["as_of"], one["people"]) for one in seen]

    def _browser(self) -> httpx.Client:
        access = self.house.installation.access
        value = access.use_link(access.make_link(self.owner_person.actor.id).result()).result()
        client = self.client(**{"X-CSRF-Token": access.by_cookie(value).result().csrf})
        client.cookies.set(deps.SIGN_IN, value)
        return client

    def _foreigner(self) -> Person:
        access = self.house.installation.access
        other = access.create_space("Elsewhere").result()
        account = access.create_account("Fay", space=other).result()
        token, id = access.create_token(account, "test", space=other).result()
        return Person(access.by_token(token).result(), token, id, self.house.url)


def made(answer: httpx.Response) -> Json:
    """What was created."""
    assert answer.status_code == 201, (answer.request.url, answer.text)
    found: Json = answer.json()
    return found


@contextmanager
def everybody(path: Path, *, work: bool = False) -> Iterator[Cast]:
    """An installation with every application that comes with the house, served until the block ends."""
    settings = Settings(
        data=path, model="mock", port=0, drain_seconds=1, log_level="error", interview_messages_minute=MANY,
        interview_messages_hour=MANY, interview_messages_space_hour=MANY, solve_messages_minute=MANY,
        solve_creations_minute=MANY,
    )  # fmt: skip
    clock = ManualClock()
    with (
        Installation(settings, clock=clock) as installation,
        running(installation) as server,
        ExitStack() as stack,
    ):
        if work:
            installation.worker.start()
        yield Cast(Served(installation, server, server.url), clock, stack)
