"""The process that listens: uvicorn, with what it lacks.

A request must have arrived whole within its time, counted from its first byte (a connection that sends nothing counts
from the start), and its head must not grow without end. Options set on the listening socket are inherited by every
connection: a small send buffer, so that a reader who stopped costs little, and a limit on how long the peer may take to
acknowledge. On SIGTERM or SIGINT live streams are told `bye` before connections close, and `serve` returns, so that
the caller can close what it has opened.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from .. import errors, logs
from ..config import Settings

log = structlog.get_logger("sitting.server")
MAX_HEAD_BYTES = 64 * 1024
BACKLOG = 2048
KEEP_ALIVE_SECONDS = 15
OPEN_FILES = 65_536
GARBAGE = (20_000, 10, 10)  # thresholds of the collector's three generations
_SEND_BUFFER = 128 * 1024
_UNSENT_BYTES = 16 * 1024
_ACKNOWLEDGE_MS = 20_000
_TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Deadlined(HttpToolsProtocol):
    """uvicorn's protocol with an absolute deadline for receiving each request, and a limit on its head."""

    seconds: ClassVar[float] = 10.0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._deadline: asyncio.TimerHandle | None = None
        self._receiving = self._in_head = True
        self._head_bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._receiving = True
        super().data_received(data)
        if not self._receiving or self.transport.is_closing():
            return
        self._arm()
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._receiving = self._in_head = True
        self._head_bytes = 0
        self.scope["extensions"] = {"sitting.stream": {"abort": self.transport.abort, "push": self.push}}

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._receiving = False
        self._disarm()
        super().on_message_complete()

    def push(self, chunked: bytes) -> bool:
        """Write a part of the present answer, already in HTTP chunks; False when it must wait for the reader."""
        cycle = self.cycle
        if self.flow.write_paused or cycle.disconnected or cycle.response_complete or not cycle.chunked_encoding:
            return False
        self.transport.write(chunked)
        return True

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.seconds, self._late)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]
            self.transport.write(_TOO_SLOW)
        self.transport.close()


class Server(uvicorn.Server):
    """One listening process. `on_ready` is told the address once requests are answered."""

    def __init__(self, app: FastAPI, settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
        self.app = app
        self.settings = settings
        self.on_ready = on_ready or (lambda url: None)
        self.url = ""
        super().__init__(
            uvicorn.Config(
                app,
                http=type("Timed", (Deadlined,), {"seconds": settings.request_seconds}),
                loop="uvloop",
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                proxy_headers=bool(settings.trusted_proxies),
                forwarded_allow_ips=settings.trusted_proxies or None,
                timeout_graceful_shutdown=max(1, math.ceil(settings.drain_seconds)),
            )
        )

    def listen(self) -> socket.socket:
        """Bind the address of the settings. Raises Misuse when it is taken or not ours."""
        try:
            made = listener(self.settings.host, self.settings.port)
        except OSError as error:
            raise errors.Misuse(
                f"Cannot listen on {self.settings.host}:{self.settings.port}: {error.strerror}. "
                "Choose another with --host or --port."
            ) from error
        host, port = made.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        return made

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        super().run(sockets or [self.listen()])

    def stop(self) -> None:
        """Drain and return; from any thread."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready(self.url)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Streams end first: uvicorn waits for connections, and a live stream would not end by itself."""
        self.app.state.streams.drain()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals end `run` quietly. uvicorn raises them once more, and the caller could not close its parts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def serve(app: FastAPI, settings: Settings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Answer requests until SIGTERM or SIGINT; returns when streams and requests have ended."""
    logs.configure(settings.log_level)
    _allow_connections()
    # With the usual thresholds a loaded server spends a third of its time looking for garbage among what stays.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    Server(app, settings, on_ready=on_ready).run()


def _allow_connections() -> None:
    """As many open files as the system allows: each connection is one, and 1,024, the usual limit, are soon reached."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):  # macOS has a limit below the hard one
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def listener(host: str, port: int) -> socket.socket:
    """A bound socket whose options every connection inherits. Raises OSError."""
    family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
        0
    ]
    made = socket.socket(family, kind, number)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (
            ("TCP_NOTSENT_LOWAT", _UNSENT_BYTES),
            ("TCP_USER_TIMEOUT", _ACKNOWLEDGE_MS),
            ("TCP_KEEPIDLE", 20),
            ("TCP_KEEPINTVL", 5),
            ("TCP_KEEPCNT", 3),
        ):
            if hasattr(socket, name):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        made.bind(address)
        made.setblocking(False)
    except BaseException:
        made.close()
        raise
    return made
