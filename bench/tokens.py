"""How long a token takes from the model to who watches: a real endpoint, a real server process, a real stream.

The model is an HTTP server in this process that notes when it sends each word; the watcher reads the stream of the turn
in this process too. So one clock tells both, and what lies between is the server: reading the endpoint, storing what is
told before it is told, waking the stream, writing.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx

from bench.edge import prepared, process, serving
from bench.measure import Row, at_most

TURNS = 12
WORDS = 20
GAP_SECONDS = 0.12


class Speaking(BaseHTTPRequestHandler):
    """Answers every request with words, a gap between them, and notes when each was sent."""

    sent: list[float]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        type(self).sent = []
        for number in range(WORDS):
            time.sleep(GAP_SECONDS)
            type(self).sent.append(time.perf_counter())
            self._chunk({"content": f"word{number} "}, None)
        self._chunk({}, "stop")
        self.wfile.write(b"data: [DONE]\n\n")

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""

    def _chunk(self, delta: dict[str, str], finish: str | None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        chunk = {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
        self.wfile.write(f"data: {json.dumps(chunk)}\n\n".encode())
        self.wfile.flush()


def delays(url: str, token: str) -> tuple[list[float], list[float]]:
    """Milliseconds from the model to the watcher: of first tokens, and of all others."""
    first, others = [], []
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as client:
        for _ in range(TURNS):
            id = client.post("/sessions", json={}).json()["id"]
            seen: list[float] = []
            content = {"content": "My boss ignores everything I propose in our meetings"}
            with client.stream("POST", f"/sessions/{id}/messages", json=content) as response:
                for line in response.iter_lines():
                    if line.startswith('data: {"content"'):
                        seen.append(time.perf_counter())
            found = [(at - sent) * 1000 for at, sent in zip(seen, Speaking.sent, strict=True)]
            first.append(found[0])
            others += found[1:]
    return first, others


def rows() -> Iterator[Row]:
    """The medians and the worst first token."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Speaking)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _, token = prepared(Path(folder))
            address = f"http://127.0.0.1:{server.server_address[1]}/v1"
            environment = serving(Path(folder)) | {
                "SITTING_MODEL": "m", "SITTING_MODEL_URL": address, "SITTING_SOLVE_MESSAGES_MINUTE": "1000",
            }  # fmt: skip
            with process(sys.executable, "-m", "sitting", "serve", environment=environment) as (_, url, _):
                first, others = delays(url, token)
    finally:
        server.shutdown()
        server.server_close()
    of = f"{TURNS} turns, worst {max(first):.0f} ms"
    yield at_most("first token, model to watcher, ms", statistics.median(first), 100, of)
    yield at_most("further tokens, model to watcher, ms", statistics.median(others), 100, f"worst {max(others):.0f} ms")
