"""An OpenAI-compatible endpoint in a thread of this process, which behaves as well or as badly as a test wants."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.engines import SECONDS


class Answering(BaseHTTPRequestHandler):
    """One request, played by the server's `play`."""

    server: World

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append({"path": self.path, "key": self.headers["Authorization"], **body})
        self.close_connection = True
        self.server.play(self, body)

    def begin(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.flush()

    def say(self, *pieces: str | None, finish: str | None = None, **more: Any) -> None:
        for piece in pieces or (None,):
            choice = {"index": 0, "delta": {"content": piece}, "finish_reason": finish}
            self.frame({"id": "1", "object": "chat.completion.chunk", "model": "m-1", "choices": [choice], **more})

    def frame(self, value: Any) -> None:
        self.wfile.write(f"data: {json.dumps(value) if not isinstance(value, str) else value}\n\n".encode())
        self.wfile.flush()

    def refuse(self, status: int, error: dict[str, Any]) -> None:
        content = json.dumps({"error": error}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def wait_for_hang_up(self) -> None:
        """Say nothing more; a caller that was killed hangs up as well."""
        self.server.silent.set()
        with suppress(ConnectionResetError):
            assert self.connection.recv(1) == b""
        self.server.hung_up.set()

    def log_message(self, format: str, *args: Any) -> None:
        pass


Play = Callable[[Answering, dict[str, Any]], None]


class World(ThreadingHTTPServer):
    """The endpoint. Each request is played by `play`, as it stands then."""

    daemon_threads = True

    def __init__(self, play: Play) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.play = play
        self.requests: list[dict[str, Any]] = []
        self.silent = threading.Event()
        self.hung_up = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


@contextmanager
def serving(play: Play = lambda handler, body: handler.begin()) -> Iterator[World]:
    """An endpoint that answers until the block ends."""
    with World(play) as world:
        thread = threading.Thread(target=world.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield world
        finally:
            world.shutdown()
            thread.join(SECONDS)
