"""Readers that stop, vanish or break off: they cost little, delay nobody, and leave nothing behind."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import itertools
import random
import re
import socket
import struct
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from sitting.core.actor import Actor
from sitting.store import Store
from sitting.web import deps, frames
from sitting.web.frames import Position
from sitting.web.stream import JournalStream
from sitting.web.streams import Pace
from tests.property.test_followers import House, run
from tests.support import toy
from tests.support.serving import Person, Served
from tests.web.test_live_protocol import SECONDS, follow, until

DEAF = 10
LARGE = 20_000
SO_ATTACH_FILTER = 26
UNACKNOWLEDGED_MS = 500
linux = pytest.mark.skipif(sys.platform != "linux", reason="this looks at and into sockets as only Linux lets one")


@contextmanager
def reading(person: Person, path: str, *, buffer: int | None = None) -> Iterator[socket.socket]:
    """A connection that has asked for a stream, and has read nothing of it."""
    host, port = re.findall(r"//(.*):(\d+)", person.url)[0]
    with socket.socket() as made:
        if buffer is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        made.settimeout(SECONDS)
        made.connect((host, int(port)))
        made.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
            f"Authorization: Bearer {person.token}\r\n\r\n".encode()
        )
        yield made


def notebook(server: Served, owner: Actor) -> str:
    return server.installation.engine.open("toy", toy.Create(name="x", words=10_000), owner).result().session.id


def write(server: Served, id: str, owner: Actor, *, count: int, size: int) -> None:
    """Notes, also larger ones than a request may bring."""
    notes = [toy.Note.model_construct(text="x" * size, private=False) for _ in range(count)]
    for done in [server.installation.engine.do(id, each, owner) for each in notes]:
        done.result()


def test_who_stops_reading_holds_little_and_delays_nobody(server: Served) -> None:
    person, live = server.person(), server.installation.live
    id = notebook(server, person.actor)
    write(server, id, person.actor, count=100, size=LARGE)
    path = f"/v1/sessions/{id}/events"
    with ExitStack() as deaf, follow(person, path) as reader:
        for _ in range(DEAF):
            deaf.enter_context(reading(person, path, buffer=4096))
        until(lambda: live.followers == DEAF + 1)
        assert reader.seqs(101) == list(range(1, 102))
        write(server, id, person.actor, count=20, size=LARGE)
        assert reader.seqs(20) == list(range(102, 122))

        def held() -> list[int]:
            connections = list(server.server.server_state.connections)
            return sorted(each.transport.get_write_buffer_size() for each in connections)

        until(lambda: held()[-1] > 0)
        assert len(held()) >= DEAF + 1
        assert held()[-1] < 3 * frames.CHUNK_BYTES, held()
    until(lambda: not live.followers)


@linux
def test_a_reader_that_vanished_is_noticed(server: Served) -> None:
    person, live = server.person(), server.installation.live
    id = notebook(server, person.actor)
    with reading(person, f"/v1/sessions/{id}/events") as vanishing:
        while b'"created"' not in vanishing.recv(65536):
            continue
        connections = list(server.server.server_state.connections)
        peers = {each.transport.get_extra_info("peername"): each.transport for each in connections}
        mine = peers[vanishing.getsockname()].get_extra_info("socket")
        mine.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)  # 20 s would be long here
        nothing = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))
        vanishing.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(nothing)))
        write(server, id, person.actor, count=1, size=10)
        until(lambda: not live.followers)


@linux
def test_who_breaks_off_leaves_nothing(server: Served) -> None:
    person, live = server.person(), server.installation.live
    state, streams = server.server.server_state, server.server.app.state.streams
    id = notebook(server, person.actor)
    turn = ask(server, id, person.actor)
    paths = (f"/v1/sessions/{id}/events", f"/v1/sessions/{id}/turns/{turn}/stream?after={turn}.0")

    def quiet() -> bool:
        return not (live.followers or state.tasks or state.connections or streams._open or streams._feeds)

    open_readers(server.installation.store)
    break_off(person, paths, 60)  # whatever is opened once and kept is open now
    until(quiet)
    before = open_files()
    break_off(person, paths, 240)
    until(quiet)
    until(lambda: not streams._reads and open_files() <= before)
    assert live._topics == {}


def test_an_answer_is_gone_with_whoever_waited_for_it() -> None:
    answer: Future[set[str]] = Future()
    known = weakref.ref(answer)

    async def scene() -> None:
        nonlocal answer
        waiting = asyncio.create_task(deps.settle(answer))
        await asyncio.sleep(0)
        answer.set_result({"a page"})
        assert await waiting == {"a page"}
        del answer, waiting
        await asyncio.sleep(0)
        assert known() is None

    gc.disable()
    try:
        asyncio.run(scene())
    finally:
        gc.enable()


def test_a_stream_that_ended_is_gone_without_looking_for_garbage(dice: random.Random) -> None:
    """The collector looks seldom; until then whatever hangs together keeps its pages."""
    house, left = House(dice), asyncio.Event()

    async def receive() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        return None

    async def scene() -> None:
        scope = house.scope(lambda chunked: True)
        stream = JournalStream(Request(scope), "s", house.who, Position(1, 1))
        known = weakref.ref(stream)
        following = asyncio.create_task(stream(scope, receive, send))
        while not any(seat.sleeps for feed in house.streams._feeds.values() for seat in feed._seats):
            await asyncio.sleep(0)
        left.set()
        await following
        del stream, following
        for _ in range(10):
            await asyncio.sleep(0)
        assert known() is None

    gc.disable()
    try:
        run(scene, house)
    finally:
        gc.enable()


def open_readers(store: Store) -> None:
    """Have each thread that reads open its connection; few readers at a time may leave some of them for later."""
    together = threading.Barrier(store._reading._max_workers)
    for answer in [store.read(lambda tx: together.wait(SECONDS)) for _ in range(together.parties)]:
        answer.result()


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def break_off(person: Person, paths: Sequence[str], count: int) -> None:
    """Ask and go: before the first byte, after it, with a reset."""
    for n in range(count):
        with reading(person, paths[n % 2]) as brief:
            if n % 3:
                brief.recv(1)
            if n % 3 == 2:
                brief.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def ask(server: Served, id: str, owner: Actor) -> str:
    """A turn, ended."""
    done = server.installation.engine.do(id, toy.AskEcho(prompt="x"), owner).result()
    turn = str(done.session.data["turn"])
    until(lambda: server.installation.engine.turn(id, turn, owner).result().seq is not None)
    return turn


def test_a_beat_comes_after_silence_only(dice: random.Random) -> None:
    """Times are taken where the bytes leave: on a busy machine a beat may be late, and still none is early."""
    house, left, beat = House(dice), [(0.0, b"")], 0.1
    house.streams.pace = Pace(heartbeat=beat)

    def beats() -> int:
        return sum(data == frames.HEARTBEAT for _, data in left)

    async def send(message: Any) -> None:
        left.append((time.monotonic(), message.get("body", b"")))

    async def receive() -> Any:
        await asyncio.Event().wait()

    def push(chunked: bytes) -> bool:
        left.append((time.monotonic(), chunked.partition(b"\r\n")[2].removesuffix(b"\r\n")))
        return True

    async def scene() -> None:
        scope = house.scope(push)
        stream = JournalStream(Request(scope), "s", house.who, Position(1, 1))
        following = asyncio.create_task(stream(scope, receive, send))
        for _ in range(24):
            house.journal.head += 1
            house.wake()
            await asyncio.sleep(beat / 5)
        while beats() < 3:
            await asyncio.sleep(beat / 5)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    run(scene, house)
    for (before, _), (at, data) in itertools.pairwise(left):
        assert data != frames.HEARTBEAT or at - before >= 0.8 * beat
    assert sum(b"seq" in data for _, data in left) >= 12
