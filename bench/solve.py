"""Two hundred replies at once, each watched by two followers, from a scripted model at 60 tokens a second each.

The server, its worker and the model's threads have the first core, the followers the other. A token counts as late by
the time a follower waited since the read that brought the token before; every follower's text is compared with the
reply, and the position of every token with the characters before it.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import psutil

from bench.edge import process
from bench.measure import Row, at_least, at_most

TURNS = 200
FOLLOWERS = 2
RATE = 60.0
PIECES = tuple(f"w{number:03} " for number in range(600))  # ten seconds
REPLY = "".join(PIECES)
LIMIT_SECONDS = 60.0  # for all turns to end, from the first message
SAMPLE_SECONDS = 0.5
_TOKEN = re.compile(r"event: token\ndata: (\{.*\})\nid: [0-9a-f-]+\.(\d+)\n\n")


def serve(folder: str) -> None:
    """A server whose model writes the same reply, and that has a thread for every turn."""
    from sitting import Installation, Settings
    from sitting.apps.solve.app import APP
    from sitting.model import Model, Models, Scripted, Step
    from sitting.web import create_app
    from sitting.web.server import serve as run
    from sitting.worker import Worker

    model = Scripted(lambda asked: Step(PIECES, delay_seconds=1 / RATE))

    class Typist(Models):
        def get(self, name: str | None = None) -> Model:
            return model

    settings = Settings(
        data=Path(folder), model="scripted", port=0, log_level="error", drain_seconds=1,
        solve_messages_minute=10_000, solve_creations_minute=10_000,
    )  # fmt: skip
    with Installation(settings, apps=[APP], models=Typist(settings)) as made:
        worker = Worker(made.engine, models=made.models, threads=TURNS)
        worker.start()
        run(create_app(made), settings, on_ready=lambda url: print(f"Sitting is ready at {url}", flush=True))
        worker.stop()


def prepared(folder: Path) -> tuple[list[str], str]:
    """A session for each turn and one to warm up with, and a token."""
    from sitting import Installation, Settings
    from sitting.apps.solve.app import APP
    from sitting.apps.solve.commands import Create

    settings = Settings(data=folder, model="none", solve_creations_minute=10_000)
    with Installation(settings, apps=[APP]) as made:
        account = made.access.create_account("Ann").result()
        token, _ = made.access.create_token(account, "bench").result()
        ann = made.access.by_token(token).result()
        ids = [made.engine.open("solve", Create(), ann).result().session.id for _ in range(TURNS + 1)]
    return ids, token


@dataclass
class Follower(asyncio.Protocol):
    """One reader of one turn: what it was told, and how long it waited between tokens."""

    request: bytes
    ended: asyncio.Future[None]
    told: list[bytes] = field(default_factory=list)
    waits: list[tuple[float, float]] = field(default_factory=list)  # when, and how long it was
    last: float = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.told.append(data)
        if b"event: token" in data:
            now = time.perf_counter()
            if self.last:
                self.waits.append((now, now - self.last))
            self.last = now

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def faults(self) -> int:
        """Gaps and repetitions in what was told; a stream without its end is one too."""
        text = b"".join(self.told).decode()
        said, wrong = 0, int("event: done" not in text)
        for found in _TOKEN.finditer(text):
            content = json.loads(found[1])["content"]
            wrong += REPLY[said : said + len(content)] != content or int(found[2]) != said + len(content)
            said += len(content)
        return wrong + (said != len(REPLY))


async def load(plan: dict[str, Any]) -> dict[str, Any]:
    """Begin all turns, follow each, and say how it went."""
    host, port = plan["host"], int(plan["port"])
    head = f"Host: {host}:{port}\r\nAuthorization: Bearer {plan['token']}\r\n"
    loop = asyncio.get_running_loop()
    followers: list[Follower] = []
    began = time.perf_counter()
    until = began + LIMIT_SECONDS

    async def talk(ids: list[str]) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        body = json.dumps({"content": "My boss ignores everything I propose"})
        for id in ids:
            writer.write(
                f"POST /sessions/{id}/messages HTTP/1.1\r\n{head}Accept: application/json\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
            )
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: *(\d+)", answer, re.IGNORECASE)
            told = await reader.readexactly(int(length[1]) if length else 0)
            if b" 202 " not in answer[:16]:
                raise SystemExit(f"refused: {answer!r} {told!r}")
            # HTTP/1.0: the answer is the stream itself, not cut into chunks.
            request = f"GET {json.loads(told)['stream_url']} HTTP/1.0\r\n{head}\r\n".encode()
            for _ in range(FOLLOWERS):
                made = Follower(request, loop.create_future())
                await loop.create_connection(lambda f=made: f, host, port)  # type: ignore[misc]
                followers.append(made)
        writer.close()

    async with asyncio.timeout_at(loop.time() + LIMIT_SECONDS):
        await asyncio.gather(*(talk(plan["ids"][lane::8]) for lane in range(8)))
    opened = time.perf_counter() - began
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, until - time.perf_counter())):
            await asyncio.gather(*(follower.ended for follower in followers))
    # While all turns run: from the last one's begin to the first one's end.
    all_begun, first_end = began + opened, min(follower.last for follower in followers)
    every = [each for follower in followers for each in follower.waits]
    waits = [wait for at, wait in every if all_begun < at - wait < at < first_end]
    spans = [sum(wait for _, wait in follower.waits) for follower in followers if follower.waits]
    return {
        "p50": statistics.median(waits) * 1000,
        "p99": statistics.quantiles(waits, n=100)[98] * 1000,
        "rate": len(PIECES) / statistics.median(spans),
        "faults": sum(follower.faults() for follower in followers),
        "followers": len(followers),
        "opened": opened,
        "together": first_end - all_begun,
        "seconds": time.perf_counter() - began,
    }


def warmed(url: str, id: str, token: str) -> None:
    """One turn that is begun, read and stopped, so that what is loaded once is not counted to the others."""

    def ask(method: str, path: str, **body: str) -> Request:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", "Accept": "application/json"}
        return Request(url + path, json.dumps(body).encode() if method == "POST" else None, headers, method=method)  # noqa: S310

    with urlopen(ask("POST", f"/sessions/{id}/messages", content="I am stuck with this")) as answer:  # noqa: S310
        place = json.load(answer)["stream_url"]
    with urlopen(ask("GET", place)) as stream:  # noqa: S310
        while b"token" not in stream.readline():
            continue
    urlopen(ask("POST", place.replace("/stream", "/cancel"))).close()  # noqa: S310


class Watch:
    """What a process needs while the block runs: the most memory, and the share of a core."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample)
        self.grown = 0

    def __enter__(self) -> Watch:
        self._rss, self._cpu, self._at = self._process.memory_info().rss, self._seconds(), time.perf_counter()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.cpu = self._seconds() - self._cpu
        self.core = self.cpu / (time.perf_counter() - self._at)

    def _seconds(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def _sample(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.grown = max(self.grown, self._process.memory_info().rss - self._rss)


def rows() -> list[Row]:
    """Every figure of this file."""
    with tempfile.TemporaryDirectory() as name:
        ids, token = prepared(Path(name))
        with process(sys.executable, "-m", "bench.solve", "serve", name, environment={}) as (running, url, _):
            host, _, port = url.removeprefix("http://").partition(":")
            warmed(url, ids.pop(), token)
            plan = json.dumps({"host": host, "port": port, "ids": ids, "token": token})
            with Watch(running.pid) as watch:
                done = subprocess.run(
                    [sys.executable, "-m", "bench.solve", "follow"], input=plan, check=True, capture_output=True,
                    text=True, timeout=2 * LIMIT_SECONDS,
                )  # fmt: skip
    found = json.loads(done.stdout)
    of = f"{TURNS} turns at once for {found['together']:.0f} s, {found['followers']} readers, p50 {found['p50']:.0f} ms"
    gives = f"the model gives {RATE:g}; the server had {watch.core:.0%} of a core, {watch.cpu:.1f} s"
    return [
        at_most("wait for the next token, p99 in ms", found["p99"], 150, of),
        at_least("tokens a second and turn", found["rate"], 0.9 * RATE, gives),
        at_most("gaps and repetitions", found["faults"], 0, f"{len(PIECES)} tokens to each follower"),
        at_most("memory a live turn, kB", watch.grown / TURNS / 1024, 200, "resident, its followers included"),
        at_most("all turns begun, seconds", found["opened"], 5, f"all over after {found['seconds']:.0f} s"),
    ]


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", place]:
            serve(place)
        case ["follow"]:
            with suppress(OSError):
                os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
            print(json.dumps(asyncio.run(load(json.load(sys.stdin)))))
        case _:
            from bench.measure import table

            print(table(rows()))
