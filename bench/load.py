"""A client that asks the same thing over and over on some kept-open connections: `python -m bench.load JSON`.

Prints requests a second and the 99th percentile in milliseconds. Raw sockets, because a comfortable client would be
what is measured.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from contextlib import suppress


class Connection(asyncio.Protocol):
    """One connection: send, wait for the whole answer, send again."""

    def __init__(self, request: bytes, until: float, times: list[float], done: asyncio.Future[None]) -> None:
        self._request, self._until, self._times, self._done = request, until, times, done
        self._buffer = b""
        self._sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        if len(body) < length:
            return
        if not head.startswith(b"HTTP/1.1 2"):
            raise SystemExit(f"refused: {self._buffer[:300]!r}")
        self._buffer = b""
        self._times.append(time.perf_counter() - self._sent)
        if time.perf_counter() < self._until:
            self._send()
        else:
            self._transport.close()
            if not self._done.done():
                self._done.set_result(None)

    def _send(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)  # type: ignore[attr-defined]


async def load(plan: dict[str, object]) -> tuple[float, float]:
    """Requests a second and p99 in ms, over as many connections as there are paths."""
    loop = asyncio.get_running_loop()
    host, port, seconds = str(plan["host"]), int(str(plan["port"])), float(str(plan["seconds"]))
    body = json.dumps(plan["body"]).encode()
    times: list[float] = []
    start = time.perf_counter()
    waiting = []
    for path in plan["paths"]:  # type: ignore[attr-defined]
        head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {plan['token']}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        done: asyncio.Future[None] = loop.create_future()
        request = head.encode() + body
        await loop.create_connection(lambda r=request, d=done: Connection(r, start + seconds, times, d), host, port)  # type: ignore[misc]
        waiting.append(done)
    await asyncio.gather(*waiting)
    return len(times) / (time.perf_counter() - start), statistics.quantiles(times, n=100)[98] * 1000


if __name__ == "__main__":
    with suppress(OSError):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    print(*asyncio.run(load(json.loads(sys.argv[1]))))
