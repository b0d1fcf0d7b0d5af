"""Looks for words of a response wherever the server can be made to speak, before the reveal.

Every response carries a word that occurs nowhere else, with the number of its member. A watcher asks every route the
application has, for everybody who may knock, and follows every live stream; a word that reaches somebody it is not
meant for is a leak. Routes are taken from the application itself, so a new one is asked too.
"""

from __future__ import annotations

import io
import re
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product

import httpx
from fastapi.routing import APIRouter
from starlette.routing import BaseRoute, Route

from tests.apps.facilitation.room import JSON, PAGE, STREAM, Device, House, Meeting
from tests.support.serving import PATIENCE_SECONDS

CANARY = "quokkabird"
WORD = re.compile(rf"{CANARY}([0-9])", re.IGNORECASE)
PANEL = "/admin/sessions/{}"
UNFINISHED = re.compile(r"/v1/sessions/[0-9a-f-]{36}/(events|turns/[^/]+(/stream)?)|/sessions/[0-9a-f-]{36}")
CHANGES = re.compile(r"/(admin|join)(/.*)?|/v1/sessions/.*/commands/.*")
PREVIEW = re.compile(r"event: (token|snapshot)\n(id: .*\n)?data: .*")  # unfinished text in a live stream


@dataclass(frozen=True)
class Viewer:
    """Somebody who looks. `own` is the number whose word is theirs to see; `token` is what their forms carry."""

    name: str
    client: httpx.Client
    own: str = ""
    token: str = ""


@dataclass
class Watch:
    """Everybody before one session: a claim with a response, one without, a visitor, a stranger, the facilitator."""

    house: House
    meeting: Meeting
    mine: Device
    idle: Device
    leaks: list[str] = field(default_factory=list)
    previews: set[str] = field(default_factory=set)
    asked: int = 0
    _following: list[tuple[Viewer, list[str], threading.Thread]] = field(default_factory=list)

    @cached_property
    def viewers(self) -> list[Viewer]:
        claims = [
            Viewer(name, device.client, own, device.token(f"{device.place}/respond"))
            for name, device, own in (("claim", self.mine, str(self.mine.member)), ("idle claim", self.idle, ""))
        ]
        return [
            *claims,
            Viewer("visitor", self.house.client()),
            Viewer("stranger", self.house.facilitator("Stranger")),
            Viewer("facilitator", self.meeting.by),
        ]

    @cached_property
    def link(self) -> str:
        """A personal link that was issued."""
        self.meeting.posts("links")
        found = re.search(r"/join/p/([\w-]+)", self.meeting.page("/links"))
        return found[1] if found else "none"

    def begin(self) -> None:
        """Follow the session by every credential that may, and as the big screen does, until it is revealed."""
        own, screen = f"/v1/sessions/{self.meeting.id}/events", f"{self.meeting.url}/meeting/events"
        follows = [(viewer, own) for viewer in self.viewers if viewer.name not in ("visitor", "stranger")]
        for viewer, address in (*follows, (Viewer("projector", self.meeting.by), screen)):
            opened, told = threading.Event(), list[str]()
            thread = threading.Thread(target=self._follow, args=(viewer, address, told, opened), daemon=True)
            self._following.append((viewer, told, thread))
            thread.start()
            assert opened.wait(PATIENCE_SECONDS), viewer.name

    def end(self) -> None:
        """The streams have come to the reveal: what they told before it."""
        for viewer, told, thread in self._following:
            thread.join(PATIENCE_SECONDS)
            assert not thread.is_alive(), "a stream never told of the reveal"
            assert '"type":"revealed"' in told[-1], (viewer.name, told)
            text = "\n".join(told)
            self.look(viewer, "the live stream", PREVIEW.sub("", text) if viewer.name == "facilitator" else text)

    def sees(self, viewer: Viewer, method: str, path: str, text: str, *, preview: bool) -> None:
        """One answer, its head included. `preview`: the session is closed, so the facilitator may look ahead."""
        self.asked += 1
        panel = path == PANEL.format(self.meeting.id)
        if viewer.name == "facilitator" and preview and (panel or UNFINISHED.fullmatch(path)):
            self.previews |= {path} if WORD.search(text) else set()
            return
        self.look(viewer, f"{method} {path}", text)

    def look(self, viewer: Viewer, where: str, text: str) -> None:
        found = {number for number in WORD.findall(text) if number != viewer.own}
        if found:
            self.leaks.append(f"{viewer.name} saw {sorted(found)} in {where}")

    def _follow(self, viewer: Viewer, address: str, told: list[str], opened: threading.Event) -> None:
        with (
            suppress(httpx.HTTPError),  # the test has ended before the reveal
            viewer.client.stream("GET", address, headers=STREAM, params={"after": "0"}) as response,
        ):
            for line in response.iter_lines():
                opened.set()
                told.append(line)
                if '"type":"revealed"' in line:
                    return


def everywhere(watch: Watch, *, preview: bool, forms: bool = True) -> None:
    """Ask every route, as everybody, for a page and for JSON; then send what must be refused."""
    routes = sorted(set(operations(watch.house.served.server.app.routes)))
    for method, template in routes:
        for path in addresses(watch, template):
            for viewer in watch.viewers:
                if method == "GET":
                    for form in (PAGE, JSON):
                        watch.sees(viewer, method, path, got(viewer.client, path, form), preview=preview)
                elif method == "POST" and forms and CHANGES.fullmatch(path):
                    watch.sees(viewer, method, path, refused(viewer, path), preview=preview)
    assert watch.asked > len(routes)


def pages(watch: Watch) -> Iterator[tuple[str, str, str]]:
    """Every page that anybody may open now: who, address, text."""
    for method, template in sorted(set(operations(watch.house.served.server.app.routes))):
        for path in addresses(watch, template) if method == "GET" else ():
            for viewer in watch.viewers:
                with viewer.client.stream("GET", path, headers=PAGE) as answer:
                    if answer.headers.get("content-type", "").startswith("text/html"):
                        answer.read()
                        yield viewer.name, path, answer.text


def operations(routes: Sequence[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Every method of every route, also of routers inside."""
    for route in routes:
        if isinstance(route, Route):
            yield from ((method, route.path) for method in sorted(route.methods or ()) if method != "HEAD")
        else:
            inner = getattr(route, "original_router", None)
            assert isinstance(inner, APIRouter), f"what is {route}?"
            yield from operations(inner.routes)


def addresses(watch: Watch, template: str) -> list[str]:
    """A route's address for this session, for its team, and for two of its members."""
    if template == "/v1/sessions":
        return [f"{template}?kind=facilitation", f"{template}?kind=team"]
    names = re.findall(r"{(\w+)(?::\w+)?}", template)
    meeting = watch.meeting
    about = meeting.team.id if "/team" in template else meeting.id
    jobs = [event["data"]["job"] for event in meeting.events("synthesis_requested")] if "turn" in names else []
    members = ["1", "2"]
    known = {
        "code": [meeting.team.code],
        "token": [watch.link] if "token" in names else [],
        "turn": [*jobs[-1:], "none"],
        "verb": ["close", "claim", "submit"],
        "kind": ["facilitation"],
        "team_id": [meeting.team.id],
        "mid": members,
        "member_id": members,
        "member": members,
    }
    chosen = [known.get(name, [about if name in ("id", "sid", "session_id") else "1"]) for name in names]
    plain = re.sub(r"{(\w+):\w+}", r"{\1}", template)
    return [plain.format(**dict(zip(names, values, strict=True))) for values in product(*chosen)]


def got(client: httpx.Client, path: str, form: dict[str, str]) -> str:
    """The answer to a GET, its head first; of a stream, what comes until the first data."""
    with client.stream("GET", path, headers=form) as answer:
        if "event-stream" in answer.headers.get("content-type", ""):
            return head(answer) + "".join(until_data(answer.iter_lines()))
        answer.read()
        return head(answer) + readable(answer)


def refused(viewer: Viewer, path: str) -> str:
    """The answer, as a page, to a form nobody made."""
    answer = viewer.client.post(path, data={"nonsense": "1", "csrf_token": viewer.token}, headers=PAGE)
    away = answer.headers.get("location", "").startswith("/sign-in?")
    assert 400 <= answer.status_code < 500 or away, f"{viewer.name} may send anything to {path}"
    return head(answer) + readable(answer)


def head(answer: httpx.Response) -> str:
    return "".join(f"{name}: {value}\n" for name, value in answer.headers.items())


def until_data(lines: Iterator[str]) -> Iterator[str]:
    for line in lines:
        yield line + "\n"
        if line.startswith("data:"):
            return


def readable(answer: httpx.Response) -> str:
    """A body as text; what is packed, unpacked."""
    if not answer.content.startswith(b"PK"):
        return answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        return "\n".join(packed.read(name).decode("utf-8", "replace") for name in packed.namelist())
