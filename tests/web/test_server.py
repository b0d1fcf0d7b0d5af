"""The listening process against slow, greedy and vanishing callers, and how it leaves."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from sitting import errors
from sitting.web import create_app
from sitting.web.server import KEEP_ALIVE_SECONDS, Server, listener
from sitting.web.streams import Pace
from tests.support.serving import PATIENCE_SECONDS, Served, installed, running, served
from tests.support.timing import quickest
from tests.web.test_live_protocol import until

QUICKLY = KEEP_ALIVE_SECONDS - 3  # sooner than a connection that is only kept is closed
PACE = Pace(heartbeat=3600)  # no beat shows that somebody has gone


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("server"), pace=PACE) as made:
        yield made


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server that gives requests up soon; whoever is held up before it asks is given up as well."""
    with served(tmp_path_factory.mktemp("hasty"), request_seconds=0.5) as made:
        yield made


def connect(served: Served) -> socket.socket:
    host, port = re.findall(r"//(.*):(\d+)", served.url)[0]
    made = socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS)
    return made


def ended(connection: socket.socket) -> bytes:
    """Everything until the other side closes; fails when it does not."""
    said = b""
    try:
        while part := connection.recv(65536):
            said += part
    except ConnectionResetError:
        return said
    return said


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n",
    ],
)
def test_a_request_that_does_not_come_whole_is_given_up(hasty: Served, sent: bytes) -> None:
    began = time.monotonic()
    with connect(hasty) as slow:
        slow.sendall(sent)
        ended(slow)
    assert time.monotonic() - began < QUICKLY


def test_an_empty_line_does_not_hold_a_connection_open(tmp_path: Path) -> None:
    with served(tmp_path, request_seconds=2) as server, connect(server) as idle:
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200")
        began = time.monotonic()
        idle.sendall(b"\r\n")
        ended(idle)
        assert time.monotonic() - began < QUICKLY


def test_a_request_dripped_byte_by_byte_is_given_up(hasty: Served) -> None:
    began = time.monotonic()
    with connect(hasty) as slow:
        stopped = threading.Event()

        def drip() -> None:
            try:
                for byte in b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Drip: " + b"x" * 1000:
                    slow.sendall(bytes([byte]))
                    if stopped.wait(0.05):
                        return
            except OSError:
                return

        dripping = threading.Thread(target=drip)
        dripping.start()
        said = ended(slow)
        stopped.set()
        dripping.join()
    assert time.monotonic() - began < QUICKLY  # the whole of it takes 50 s
    assert said == b"" or said.startswith(b"HTTP/1.1 408")


def test_many_half_open_connections_stop_nobody(tmp_path: Path) -> None:
    with served(tmp_path, request_seconds=2) as server:
        with ExitStack() as open_ones:
            slow = [open_ones.enter_context(connect(server)) for _ in range(200)]
            for connection in slow:
                connection.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\n")
            for _ in range(20):
                assert quickest(lambda: answered(server), below=1) < 1
            for connection in slow:
                ended(connection)
        until(lambda: not server.server.server_state.connections)


def answered(server: Served) -> float:
    """The seconds in which somebody new is answered; kept up to ask again, they would not be let go of."""
    began = time.monotonic()
    answer = httpx.get(f"{server.url}/livez", headers={"Connection": "close"}, timeout=PATIENCE_SECONDS)
    assert answer.status_code == 200
    return time.monotonic() - began


def test_a_head_without_end_is_cut(server: Served) -> None:
    with connect(server) as greedy:
        greedy.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: ")
        said = b""
        try:
            for _ in range(64):
                greedy.sendall(b"x" * 65536)
            said = ended(greedy)
        except (BrokenPipeError, ConnectionResetError):
            said = b"HTTP/1.1 431"
    assert said == b"" or said.startswith(b"HTTP/1.1 431")


def test_a_quiet_connection_is_kept_and_used_again(tmp_path: Path) -> None:
    with served(tmp_path, request_seconds=2) as server, connect(server) as kept:
        for _ in range(2):
            kept.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            assert kept.recv(65536).startswith(b"HTTP/1.1 200")
            threading.Event().wait(2.2)
        kept.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(65536).startswith(b"HTTP/1.1 200")


def test_pipelined_requests_are_answered_in_order(server: Served) -> None:
    with connect(server) as eager:
        eager.sendall(
            b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" * 5
            + b"GET /none HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        said = ended(eager)
    assert said.count(b"HTTP/1.1 200") == 5
    assert said.count(b"HTTP/1.1 404") == 1


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x/?\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"GET /\x00 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
    ],
)
def test_what_is_no_request_gets_a_400(server: Served, sent: bytes) -> None:
    with connect(server) as odd:
        odd.sendall(sent)
        odd.shutdown(socket.SHUT_WR)
        said = ended(odd)
    assert said.startswith(b"HTTP/1.1 400"), said


def test_abandoned_streams_leave_nothing(server: Served) -> None:
    person = server.person()
    live, state = server.installation.live, server.server.server_state
    with person.client() as client:
        session = client.post("/v1/kinds/toy/sessions", json={"name": "x"}).headers["location"]
    asked = (
        f"GET {session}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
        f"Authorization: Bearer {person.token}\r\n\r\n"
    ).encode()
    for n in range(200):
        with connect(server) as brief:
            brief.sendall(asked)
            if n % 2:
                brief.recv(1)
    until(lambda: not (live.followers or state.tasks))
    assert live.online(session.rpartition("/")[2]) == {}


def test_the_drain_tells_streams_and_returns(tmp_path: Path) -> None:
    with served(tmp_path, drain_seconds=30) as leaving:
        person = leaving.person()
        with person.client() as client, ExitStack() as streams:
            session = client.post("/v1/kinds/toy/sessions", json={"name": "x"}).headers["location"]
            opened = [
                streams.enter_context(
                    client.stream("GET", f"{session}/events", headers={"Accept": "text/event-stream"})
                )
                for _ in range(20)
            ]
            lines = [stream.iter_lines() for stream in opened]
            for stream in lines:
                while not next(stream).startswith("data:"):
                    continue
            began = time.monotonic()
            leaving.server.stop()
            retries = []
            for stream in lines:
                told = list(stream)
                assert "event: bye" in told
                assert any('"reason":"drain"' in line for line in told)
                retries += [int(line.removeprefix("retry: ")) for line in told if line.startswith("retry: ")]
            assert time.monotonic() - began < 30
    assert len(set(retries)) > 10
    assert all(1000 <= retry <= 30_000 for retry in retries)


def test_a_port_that_is_taken_is_said_in_words(tmp_path: Path) -> None:
    with listener("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with installed(tmp_path, port=port) as house, pytest.raises(errors.Misuse, match="Cannot listen on") as said:
            Server(create_app(house), house.settings).listen()
    assert said.value.message.startswith(f"Cannot listen on 127.0.0.1:{port}: ")
    assert said.value.message.endswith("Choose another with --host or --port.")


def test_an_address_of_either_family(tmp_path: Path) -> None:
    with installed(tmp_path, host="::1") as installation:
        try:
            listener("::1", 0).close()
        except OSError:
            pytest.skip("this machine has no IPv6")
        with running(installation) as server:
            assert server.url.startswith("http://[::1]:")
            assert httpx.get(f"{server.url}/livez").status_code == 200


def test_options_are_inherited_by_connections() -> None:
    with listener("127.0.0.1", 0) as listening:
        listening.listen()
        listening.setblocking(True)
        with socket.create_connection(listening.getsockname()[:2]):
            accepted, _ = listening.accept()
            with accepted:
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 512 * 1024
                assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
                if hasattr(socket, "TCP_USER_TIMEOUT"):
                    assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


def test_a_server_takes_as_many_connections_as_the_system_allows() -> None:
    code = (
        "import resource as r; from sitting.web import server; hard = r.getrlimit(r.RLIMIT_NOFILE)[1]; "
        "r.setrlimit(r.RLIMIT_NOFILE, (256, hard)); server._allow_connections(); "
        "print(r.getrlimit(r.RLIMIT_NOFILE)[0] == min(hard, server.OPEN_FILES))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=250)
    assert done.stdout == "True\n"
