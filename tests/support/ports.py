"""A port of this machine that a test gives to a program, kept from everybody else until the test is over.

A socket that is bound and does not listen keeps its port from whoever asks for a free one and from connections that go
out; whoever connects to it is refused. A server that sets SO_REUSEADDR, as all here do, may listen there all the same,
and again after it has ended. Other systems than Linux do not allow that: there the port is only found.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held() -> Iterator[int]:
    """A free port of 127.0.0.1."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port: int = holder.getsockname()[1]
        if sys.platform != "linux":
            holder.close()
        yield port
