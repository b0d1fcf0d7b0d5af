"""The web edge: a durable command against a bare endpoint that stores nothing; idle followers; start and memory."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from bench.measure import LINE, Row, at_least, at_most, medians, notebook

CLIENTS = 32
FOLLOWERS = 1000
SECONDS = 3.0
BARE = """
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel
class Add(BaseModel):
    text: str
app = FastAPI()
@app.post("/add")
async def add(body: Add) -> dict[str, int]:
    return {"length": len(body.text)}
print("Sitting is ready at http://127.0.0.1:PORT", flush=True)
uvicorn.run(app, port=PORT, log_level="warning", access_log=False)
"""


@contextmanager
def process(*command: str, environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str, float]]:
    """A server on the first core: its process, address and the seconds it took to be ready."""
    start = time.perf_counter()
    cores = os.sched_getaffinity(0)
    running = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(cores)}),
    )  # fmt: skip
    try:
        assert running.stdout is not None
        line = running.stdout.readline()
        found = re.search(r"http://[0-9.]+:\d+", line)
        assert found, f"the server did not start: {line!r}"
        yield running, found[0], time.perf_counter() - start
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(20)


def asked(url: str, paths: list[str], token: str) -> tuple[float, float]:
    """Requests a second and p99 in ms, from the other core."""
    host, _, port = url.removeprefix("http://").partition(":")
    plan = {"host": host, "port": port, "paths": paths, "token": token, "seconds": SECONDS, "body": {"text": LINE.text}}
    done = subprocess.run(
        [sys.executable, "-m", "bench.load", json.dumps(plan)], check=True, capture_output=True, text=True
    )
    rate, p99 = done.stdout.split()
    return float(rate), float(p99)


def prepared(folder: Path) -> tuple[list[str], str]:
    """A data directory with a notebook for each client, and a token."""
    from bench.measure import APP
    from sitting import Installation, Settings

    with Installation(Settings(data=folder, model="none"), apps=[APP]) as made:
        me = made.access.local()
        ids = [notebook(made, me) for _ in range(CLIENTS)]
        token, _ = made.access.create_token(me.id, "bench").result()
    return ids, token


def serving(folder: Path) -> dict[str, str]:
    return {
        "SITTING_DATA": str(folder), "SITTING_PORT": "0", "SITTING_MODEL": "none", "SITTING_LOG_LEVEL": "error",
        "SITTING_APPLICATIONS": '["bench.measure"]', "PYTHONPATH": str(Path(__file__).parent.parent),
    }  # fmt: skip


def commands() -> list[Row]:
    """A command over HTTP against the bare endpoint, both on one core, 32 clients on the other."""
    slowest: list[float] = []

    def ours() -> float:
        with tempfile.TemporaryDirectory() as name:
            ids, token = prepared(Path(name))
            with process(sys.executable, "-m", "sitting", "serve", environment=serving(Path(name))) as (_, url, _):
                rate, p99 = asked(url, [f"/v1/sessions/{id}/commands/add" for id in ids], token)
        slowest.append(p99)
        return rate

    def bare() -> float:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        with process(sys.executable, "-c", BARE.replace("PORT", port), environment={}) as (_, url, _):
            _until_open(url)
            return asked(url, ["/add"] * CLIENTS, "none")[0]

    rate, bound = medians(ours, bare, times=3)
    return [
        at_least("HTTP command / bare FastAPI", rate / bound, 0.5, f"{rate:,.0f} and {bound:,.0f} a second"),
        at_most("HTTP command, p99 in ms", sorted(slowest)[len(slowest) // 2], 50, f"{CLIENTS} clients"),
    ]


def idle() -> list[Row]:
    """What a thousand waiting followers cost, start-up, and memory without a model."""
    with tempfile.TemporaryDirectory() as name:
        ids, token = prepared(Path(name))
        environment = serving(Path(name))
        with process(sys.executable, "-m", "sitting", "serve", environment=environment) as (running, url, ready):
            before = psutil.Process(running.pid).memory_info().rss
            host, _, port = url.removeprefix("http://").partition(":")
            opened = [_follow(host, int(port), ids[place % CLIENTS], token) for place in range(FOLLOWERS)]
            after = psutil.Process(running.pid).memory_info().rss
            for follower in opened:
                follower.close()
    megabyte = 1024 * 1024
    return [
        at_most("1,000 idle followers, MB", (after - before) / megabyte, 30, "growth of resident memory"),
        at_most("memory without a model, MB", before / megabyte, 150, "resident, after start"),
        at_most("server ready, seconds", ready, 2, "from exec to the line that says so"),
        at_most(
            "import sitting, seconds", _timed("-c", "import sitting"), 0.3, "median of 5, the interpreter included"
        ),
        at_most("sitting --help, seconds", _timed("-m", "sitting", "--help"), 0.5, "median of 5"),
    ]


def rows() -> list[Row]:
    """Every figure of this file."""
    return [*commands(), *idle()]


def _follow(host: str, port: int, id: str, token: str) -> socket.socket:
    follower = socket.create_connection((host, port))
    follower.sendall(
        f"GET /v1/sessions/{id}/events HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {token}\r\n\r\n".encode()
    )
    received = b""
    while b"retry:" not in received:
        received += follower.recv(4096)
    return follower


def _until_open(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    for _ in range(200):
        try:
            socket.create_connection((host, int(port))).close()
        except OSError:
            time.sleep(0.05)
        else:
            return


def _timed(*arguments: str) -> float:
    def once() -> float:
        start = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        return time.perf_counter() - start

    return medians(once)[0]


if __name__ == "__main__":
    from bench.measure import table

    print(table(rows()))
