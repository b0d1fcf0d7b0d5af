"""Many nodes over one PostgreSQL: appends beside pgbench with the same statements, and what hints cost and give.

pgbench sends the statements of one append with as many clients. Hints go through a real NATS, and through NOTIFY, to
another process. Everything runs on one machine: ratios, not promises.
"""

from __future__ import annotations

import os
import queue
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import psycopg

from bench.measure import LINE, Row, at_least, at_most, installation, medians, notebook, together
from sitting import Installation
from tests.support import nats, postgres
from tests.support.process import Program

WRITERS = 32
SECONDS = 4
SECRET = "a secret for measurements, long enough"
# What one append sends: the version under a lock, the move, the event. Each client has a session of its own.
SCRIPT = """
BEGIN;
SELECT version FROM sessions WHERE id = concat('bench-', :client_id) FOR UPDATE;
UPDATE sessions SET state = 'open', seq = seq + 1, version = version + 1, head = head, due_at = NULL,
  updated_at = '2026-01-01T00:00:00.000Z', data = '{"count":17}', search = '', key = NULL, subject = NULL
  WHERE id = concat('bench-', :client_id);
INSERT INTO events (session, seq, type, actor, role, at, data, salt, body, hash)
  SELECT id, seq, 'added', 'user:local', 'owner', updated_at, repeat('x', 90), head, repeat('x', 250)::bytea, head
  FROM sessions WHERE id = concat('bench-', :client_id);
COMMIT;
"""
PREPARE = """
INSERT INTO sessions SELECT concat('bench-', n), kind, space, state, seq, version, data, head, key_scope, key, subject,
  due_at, created_at, updated_at, search, erased_at FROM (SELECT * FROM sessions LIMIT 1) one, generate_series(0, {n}) n
"""


def rate(made: Installation, *, seconds: float = SECONDS) -> float:
    """Appends a second by so many writers, each waiting for its own."""
    me = made.access.local()
    ids = [notebook(made, me) for _ in range(WRITERS)]
    until = time.perf_counter() + seconds
    counts = [0] * WRITERS

    def write(place: int) -> None:
        while time.perf_counter() < until:
            made.engine.do(ids[place], LINE, me).result()
            counts[place] += 1

    taken = together(WRITERS, write)
    return sum(counts) / taken


def latency(made: Installation, *, seconds: float = SECONDS / 2) -> float:
    """Median milliseconds of one append, with four writers at it."""
    me = made.access.local()
    ids = [notebook(made, me) for _ in range(4)]
    until = time.perf_counter() + seconds
    found: list[float] = []

    def write(place: int) -> None:
        while time.perf_counter() < until:
            start = time.perf_counter()
            made.engine.do(ids[place], LINE, me).result()
            found.append((time.perf_counter() - start) * 1000)

    together(4, write)
    return statistics.median(found)


def pgbench(server: postgres.PostgresServer, *, seconds: int = SECONDS) -> float:
    """Transactions a second of the same statements, sent by PostgreSQL's own client in C."""
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(SCRIPT)
        script.flush()
        command = [
            server.program("pgbench"), "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "-n", "-c",
            str(WRITERS), "-j", "2", "-T", str(seconds), "-f", script.name, "postgres",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=True)
    found = re.search(r"tps = ([0-9.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    return float(found[1])


@contextmanager
def node(server: postgres.PostgresServer, hints: str) -> Iterator[str]:
    """Another node, as a process; its address."""
    environment = os.environ | {
        "SITTING_DATABASE": server.url(), "SITTING_SECRET": SECRET, "SITTING_HINTS": hints, "SITTING_MODEL": "none",
        "SITTING_APPLICATIONS": '["bench.measure"]', "SITTING_LOG_LEVEL": "error", "SITTING_WORKER": "false",
    }  # fmt: skip
    with Program([sys.executable, "-m", "sitting", "serve", "--port", "0"], env=environment) as program:
        yield program.wait_for(r"http://127\.0\.0\.1:\d+")[0]


def crossing(made: Installation, url: str, *, appends: int = 200) -> float:
    """Median milliseconds from an append's commit here to its event at a follower of another node."""
    me = made.access.local()
    id = notebook(made, me)
    token = made.access.create_token(me.id, "bench").result()[0]
    heard: queue.Queue[float] = queue.Queue()
    ready = threading.Event()

    def follow() -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
        place = f"{url}/v1/sessions/{id}/events"
        with httpx.stream("GET", place, headers=headers, params={"after": "now"}, timeout=10) as response:
            for line in response.iter_lines():
                if line.startswith("data:"):
                    heard.put(time.perf_counter())
                else:
                    ready.set()

    threading.Thread(target=follow, daemon=True).start()
    assert ready.wait(10)
    found = []
    for _ in range(appends):
        made.engine.do(id, LINE, me).result()
        done = time.perf_counter()
        found.append((heard.get(timeout=10) - done) * 1000)
    return statistics.median(found)


def rows() -> Iterator[Row]:
    """Every figure of this file."""
    with postgres.running() as server, nats.running() as hints:
        shared = {"database": server.url(), "secret": SECRET}
        with installation(**shared, hints="none") as quiet, installation(**shared, hints=hints) as loud:
            notebook(quiet, quiet.access.local())
            with psycopg.connect(server.url(), autocommit=True) as connection:
                connection.execute(PREPARE.format(n=WRITERS).encode())
            before = time.process_time()
            ours, theirs = medians(lambda: rate(quiet), lambda: pgbench(server), times=3)
            cpu = (time.process_time() - before) / (3 * SECONDS)
            of = f"{ours:.0f} and {theirs:.0f} a second; ours with {cpu:.2f} of one core in Python"
            yield at_least(
                f"appends on PostgreSQL, {WRITERS} writers / pgbench, same statements", ours / theirs, 0.5, of
            )
            with node(server, hints) as url:
                told, alone = medians(lambda: latency(loud), lambda: latency(quiet))
                of = f"{told:.2f} and {alone:.2f} ms"
                yield at_most("append, NATS hints on / off", told / alone, 1.1, of)
                ms = crossing(loud, url)
                yield at_most("commit to another node's follower, NATS, p50 ms", ms, 5, "200 appends, one at a time")
            with node(server, "") as url, installation(**shared, hints="") as notified:
                ms = crossing(notified, url)
                yield at_most("commit to another node's follower, NOTIFY, p50 ms", ms, 15, "at most one every 10 ms")
