"""A company's meeting day: 25 teams of 25 members answer within one minute, each phone following its session live.

The server has the first core, the phones the other. Every phone claims its name before the minute begins; then it
opens the form, submits at its own random instant, and follows the session. When the last answer is in, the server is
killed without warning, and every submit it has acknowledged must be in the journal that is left.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from bench.edge import process
from bench.measure import Row, at_least, at_most

TEAMS = MEMBERS = 25
MINUTE = 60.0
LIMIT_SECONDS = 180  # of everything: preparing, the minute, and what is still on its way after it
CLAIMS_AT_ONCE = 8
TOKEN = re.compile(rb'name="csrf_token" value="([^"]+)"')
LENGTH = re.compile(rb"content-length: *([0-9]+)", re.IGNORECASE)
COOKIE = re.compile(rb"set-cookie: *([^;\r\n]+)", re.IGNORECASE)
PLACE = re.compile(rb"location: \S*/([0-9a-f]{8}-[0-9a-f-]{27})", re.IGNORECASE)
POINTS = ("We agree on the goal and can say it in one sentence", "Handover takes two days", "Nobody owns the backlog")


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    head: bytes
    body: bytes


@dataclass
class Connection:
    """One kept-open connection with its cookies. Raw, because a comfortable client would be what is measured."""

    host: str
    port: int
    authorization: str = ""
    cookies: dict[str, str] = field(default_factory=dict)
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, method: str, path: str, form: list[tuple[str, str]] | None = None, **headers: str) -> Answer:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.host, self.port)
        reader, writer = self._streams
        writer.write(self._request(method, path, urlencode(form).encode() if form is not None else b"", headers))
        head = await reader.readuntil(b"\r\n\r\n")
        for found in COOKIE.findall(head):
            name, _, value = found.decode().partition("=")
            self.cookies[name] = value
        length = LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b""
        return Answer(int(head[9:12]), head, body)

    async def follow(self, path: str) -> int:
        """Read a live stream until it ends; the bytes that came."""
        self.close()
        reader, writer = self._streams = await asyncio.open_connection(self.host, self.port)
        writer.write(self._request("GET", path, b"", {"Accept": "text/event-stream"}))
        read = 0
        while piece := await reader.read(65536):
            read += len(piece)
        return read

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    def _request(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        lines = {"Host": f"{self.host}:{self.port}", "Accept": "text/html", **headers}
        if self.authorization:
            lines["Authorization"] = f"Bearer {self.authorization}"
        if self.cookies:
            lines["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        if body:
            lines |= {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        elif method == "POST":
            lines["Content-Length"] = "0"
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        return f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass
class Phone:
    """One member of one team."""

    at: Connection
    session: str
    room: str
    member: int

    async def claims(self) -> None:
        page = await self.at.ask("GET", f"{self.room}/name")
        form = [("member_id", str(self.member)), ("csrf_token", token(page))]
        expect(303, await self.at.ask("POST", f"{self.room}/name", form))
        self.at.close()

    async def answers(self, after_seconds: float) -> float:
        """Come back after a while, open the form and submit it; seconds the submit took."""
        await asyncio.sleep(after_seconds)
        place = f"{self.room}/member/{self.member}/respond"
        page = await self.at.ask("GET", place)
        form = [("card", str(1 + self.member)), *(("bullet", point) for point in POINTS), ("csrf_token", token(page))]
        start = time.perf_counter()
        answer = await self.at.ask("POST", place, form)
        took = time.perf_counter() - start
        expect(303, answer)
        return took


async def play(plan: dict[str, Any]) -> dict[str, Any]:
    """The whole day against a server that is up; what the phones saw."""
    rooms = await _teams(plan["host"], plan["port"], plan["token"])
    phones = [
        Phone(Connection(plan["host"], plan["port"]), session, f"/join/{code}/session/{session}", member)
        for session, code in rooms
        for member in range(1, MEMBERS + 1)
    ]
    free = asyncio.Semaphore(CLAIMS_AT_ONCE)

    async def claim(phone: Phone) -> None:
        async with free:
            await phone.claims()

    await asyncio.gather(*(claim(phone) for phone in phones))
    dice = random.Random(plan["seed"])
    following: list[asyncio.Task[int]] = []

    async def member(phone: Phone, after_seconds: float) -> float:
        took = await phone.answers(after_seconds)
        following.append(asyncio.create_task(phone.at.follow(f"/v1/sessions/{phone.session}/events?after=now")))
        return took

    server = psutil.Process(plan["pid"])
    start, busy = time.perf_counter(), _busy(server)
    times = await asyncio.gather(*(member(phone, dice.uniform(0, plan["seconds"])) for phone in phones))
    seconds = time.perf_counter() - start
    busy = _busy(server) - busy
    server.kill()
    heard = await asyncio.gather(*following, return_exceptions=True)
    told = sum(each for each in heard if isinstance(each, int))
    sessions = [session for session, _ in rooms]
    return {"sessions": sessions, "times": times, "seconds": seconds, "told": told, "busy": busy}


def _busy(server: psutil.Process) -> float:
    """Seconds of processor time so far: what the figure is on a machine that has nothing else to do."""
    used = server.cpu_times()
    return float(used.user + used.system)


async def _teams(host: str, port: int, token: str) -> list[tuple[str, str]]:
    """Teams with their members, and one session each that takes responses: its id, and the team's code."""
    by = Connection(host, port, token)
    made = []
    for number in range(TEAMS):
        code = f"BENCH{number:02}"
        form = [("company_name", "Acme"), ("team_name", f"Crew {number}"), ("code", code)]
        team = expect(303, await by.ask("POST", "/admin/teams/create", form))
        for member in range(1, MEMBERS + 1):
            expect(303, await by.ask("POST", f"/admin/teams/{team}/members", [("name", f"Member {member}")]))
        path = f"/admin/sessions/team/{team}/create"
        session = expect(303, await by.ask("POST", path, [("month", "2026-01")]))
        expect(303, await by.ask("POST", f"/admin/sessions/{session}/start"))
        made.append((session, code))
    by.close()
    return made


def token(page: Answer) -> str:
    found = TOKEN.search(page.body)
    if found is None:
        raise SystemExit(f"no form: {page.status} {page.body[:300]!r}")
    return found[1].decode()


def expect(status: int, answer: Answer) -> str:
    """The id in an answer's Location."""
    if answer.status != status:
        raise SystemExit(f"refused: {answer.head[:200]!r} {answer.body[:300]!r}")
    found = PLACE.search(answer.head)
    return found[1].decode() if found else ""


def day(seconds: float) -> tuple[dict[str, Any], int]:
    """What the phones saw, and how many responses the journal holds after the server was killed."""
    from sitting import Installation, Settings
    from sitting.store import journal

    with tempfile.TemporaryDirectory() as name:
        settings = Settings(data=Path(name), model="none")
        with Installation(settings) as made:
            code, _ = made.access.create_token(made.access.local().id, "bench").result()
        environment = {
            "SITTING_DATA": name, "SITTING_PORT": "0", "SITTING_MODEL": "none", "SITTING_LOG_LEVEL": "error",
        }  # fmt: skip
        with process(sys.executable, "-m", "sitting", "serve", environment=environment) as (running, url, _):
            host, _, port = url.removeprefix("http://").partition(":")
            plan = {"host": host, "port": int(port), "token": code, "pid": running.pid, "seconds": seconds, "seed": 1}
            done = subprocess.run(
                [sys.executable, "-m", "bench.facilitation", json.dumps(plan)],
                check=True, stdout=subprocess.PIPE, text=True, timeout=LIMIT_SECONDS,
            )  # fmt: skip
        seen: dict[str, Any] = json.loads(done.stdout)
        with Installation(settings) as left:
            kept = 0
            for id in seen["sessions"]:
                records = left.store.read(lambda tx, id=id: list(journal.every(tx, id))).result()
                kept += len({record.actor for record in records if record.type == "submitted"})
    return seen, kept


def rows() -> list[Row]:
    """Every figure of this file."""
    seen, kept = day(MINUTE)
    times = sorted(seen["times"])
    whole = TEAMS * MEMBERS
    p50, p99 = statistics.median(times) * 1000, times[int(len(times) * 0.99)] * 1000
    of = f"{len(times)} submits in {seen['seconds']:.0f} s, median {p50:.1f}, worst {times[-1] * 1000:.0f}"
    return [
        at_most("team meetings, submit, p99 in ms", p99, 300, of),
        at_most("server CPU, of one core", seen["busy"] / seen["seconds"], 0.5, "forms, submits and live streams"),
        at_least("team meetings, submits acknowledged", len(times), whole, f"{TEAMS} teams of {MEMBERS}"),
        at_least("of those in the journal after kill -9", kept, whole, f"{seen['told'] / 1e6:.1f} MB told to phones"),
    ]


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(asyncio.run(asyncio.wait_for(play(json.loads(sys.argv[1])), LIMIT_SECONDS))))
    else:
        from bench.measure import table

        print(table(rows()))
