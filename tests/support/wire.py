"""Requests as bytes: what no client library would send, over one connection that is opened again when it was closed."""

from __future__ import annotations

import contextlib
import http.client
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

Header = tuple[str, bytes]


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when the server closed without a word."""

    sent: bytes
    status: int
    head: str
    type: str
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def __str__(self) -> str:
        return f"{self.sent[:300]!r} -> {self.status} {self.text[:300]}"


class Wire:
    """One connection to a server."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self.host, self._port = place.netloc.encode(), place.port
        self._name = place.hostname
        self._socket: socket.socket | None = None

    def ask(
        self,
        method: str,
        target: bytes,
        headers: Sequence[Header] = (),
        body: bytes | None = None,
        *,
        host: bytes = b"",
    ) -> Answer:
        """Send a request; a body gets a Content-Length. Asked once more where the server had closed meanwhile."""
        lines = [b"%s %s HTTP/1.1" % (method.encode(), target), b"Host: " + (host or self.host)]
        lines += [b"%s: %s" % (name.encode(), value) for name, value in headers]
        if body is not None:
            lines.append(b"Content-Length: %d" % len(body))
        sent = b"\r\n".join(lines) + b"\r\n\r\n" + (body or b"")
        known = self._socket is not None
        found = self._once(method, sent)
        return self._once(method, sent) if found.status == 0 and known else found

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _once(self, method: str, sent: bytes) -> Answer:
        if self._socket is None:
            self._socket = socket.create_connection((self._name, self._port), timeout=60)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._socket.sendall(sent)  # a large body may be refused before it was read
            response = http.client.HTTPResponse(self._socket, method=method)
            response.begin()
            body = response.read()
        except (http.client.HTTPException, ConnectionError):
            self.close()
            return Answer(sent, 0, "", "", b"")
        if response.will_close:
            self.close()
        kind = response.headers.get("content-type", "").partition(";")[0]
        return Answer(sent, response.status, str(response.headers), kind, body)


@contextlib.contextmanager
def wired(url: str) -> Iterator[Wire]:
    """A connection that is closed when the block ends."""
    wire = Wire(url)
    try:
        yield wire
    finally:
        wire.close()
