"""Two servers over one database: what happens on one is seen on the other, with hints at once and without them soon."""

from __future__ import annotations

import asyncio
import queue
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from sitting.core.kind import Workroom
from sitting.installation import Installation
from sitting.web.server import Server
from sitting.workroom import Room
from tests.contract.test_stalled_peer import bound
from tests.support import toy
from tests.support.serving import Person, installed, running
from tests.web.test_live_protocol import connected, follow, make

SECONDS = 60
MANY = 100
NEVER = 3600.0
SECRET = "a secret that both nodes of this test know"


@dataclass
class Pair:
    """Two nodes; jobs run in the second only, and a test holds them by the hand."""

    first: Person
    second: Person
    installations: tuple[Installation, Installation]
    servers: tuple[Server, Server]
    pieces: queue.Queue[str | None]
    stopped: threading.Event


@pytest.fixture(params=["notify", "nats", "none"])
def pair(request: pytest.FixtureRequest, postgres_database: str, tmp_path: Path) -> Iterator[Pair]:
    hints = {"notify": "", "none": "none"}.get(request.param)
    hints = request.getfixturevalue("nats") if hints is None else hints
    pieces: queue.Queue[str | None] = queue.Queue()
    stopped = threading.Event()

    def dictated(room: Workroom) -> None:
        assert isinstance(room, Room)
        while (piece := pieces.get(timeout=SECONDS)) is not None:
            room.write(piece)
            if piece == "wait":
                assert room.wait(SECONDS), "nobody stopped it"
                stopped.set()
                return
        room.report(toy.RecordAnswer(turn=room.job, status="completed", text=room.written()), last=True)

    with ExitStack() as stack:
        nodes = []
        for number in range(2):
            node = stack.enter_context(
                installed(
                    tmp_path / str(number), kinds=[toy.kind(work=dictated)], database=postgres_database, secret=SECRET,
                    hints=hints, drain_seconds=30,
                )
            )  # fmt: skip
            if hints != "none":
                node.live._every = NEVER
            nodes.append(node)
        nodes[1].worker.start()
        servers = [stack.enter_context(running(node)) for node in nodes]
        access = nodes[0].access
        account = access.create_account("Ada").result()
        token, id = access.create_token(account, "test").result()
        people = [Person(access.by_token(token).result(), token, id, each.url) for each in servers]
        yield Pair(people[0], people[1], (nodes[0], nodes[1]), (servers[0], servers[1]), pieces, stopped)


def test_what_is_written_on_one_node_is_heard_on_the_other(pair: Pair) -> None:
    with pair.first.client() as here, pair.second.client() as there:
        session = make(here)
        with follow(pair.second, f"{session}/events") as far, follow(pair.first, f"{session}/events") as near:
            assert (far.seqs(1), near.seqs(1)) == ([1], [1])
            here.post(f"{session}/commands/pause", json={})
            assert (far.seqs(1), near.seqs(1)) == ([2], [2])
            there.post(f"{session}/commands/resume", json={})
            assert (far.seqs(1), near.seqs(1)) == ([3], [3])


def test_a_session_that_is_held_up_holds_up_no_other(pair: Pair, postgres_database: str) -> None:
    with pair.first.client() as here, pair.second.client() as there, psycopg.connect(postgres_database) as stuck:
        bound(pair.installations[0].store)
        held, free = make(here), make(here)
        stuck.execute("SELECT 1 FROM sessions WHERE id = %s FOR UPDATE", [held.rpartition("/")[2]])
        waiting = threading.Thread(target=lambda: here.post(f"{held}/commands/pause", json={}))
        with follow(pair.second, f"{held}/events") as behind, follow(pair.second, f"{free}/events") as beside:
            waiting.start()
            assert (behind.seqs(1), beside.seqs(1)) == ([1], [1])
            for verb, seq in (("pause", 2), ("resume", 3), ("pause", 4)):
                assert there.post(f"{free}/commands/{verb}", json={}).status_code == 200
                assert beside.seqs(1) == [seq]
            assert waiting.is_alive()
            stuck.rollback()
            assert behind.seqs(1) == [2]
        waiting.join(SECONDS)


def test_a_turn_asked_for_here_and_worked_there_is_read_and_resumed_anywhere(pair: Pair) -> None:
    with pair.first.client() as here:
        session = make(here)
        turn = here.post(f"{session}/commands/ask", json={"prompt": "x"}).json()["events"][-1]["data"]["turn"]
        stream, text = f"{session}/turns/{turn}/stream", ""
        for number, piece in enumerate(("žlutý ", "🐎 ", "end")):
            pair.pieces.put(piece)
            person = (pair.first, pair.second)[number % 2]
            with follow(person, stream, last=f"{turn}.{len(text)}") as reader:
                have = ""
                while len(have) < len(piece):
                    have += reader.until("token").data["content"]
            assert have == piece
            text += piece
        pair.pieces.put(None)
        for person in (pair.first, pair.second):
            for off in range(len(text) + 1):
                with follow(person, stream, last=f"{turn}.{off}") as reader:
                    _, *tokens, done = reader.rest()
                assert "".join(frame.data["content"] for frame in tokens) == text[off:]
                assert done.data["status"] == "completed"


def test_a_stop_on_one_node_reaches_the_work_on_the_other(pair: Pair) -> None:
    pair.installations[1].worker._renew_seconds = NEVER if pair.installations[0].settings.hints != "none" else 0.1
    with pair.first.client() as here:
        session = make(here)
        turn = here.post(f"{session}/commands/ask", json={"prompt": "x"}).json()["events"][-1]["data"]["turn"]
        with follow(pair.first, f"{session}/turns/{turn}/stream") as reader:
            pair.pieces.put("wait")
            assert reader.until("token").data["content"] == "wait"
            assert here.post(f"{session}/commands/stop", json={}).status_code == 200
            assert reader.until("done").data["status"] == "cancelled"
        assert pair.stopped.wait(SECONDS)


def test_who_loses_a_right_on_one_node_is_told_to_leave_on_the_other(pair: Pair) -> None:
    with pair.first.client() as here:
        session = make(here)
        with follow(pair.second, f"{session}/events") as far:
            far.seqs(1)
            pair.installations[0].access.revoke(pair.first.token_id, account=None).result()
            assert far.until("bye").data["reason"] == "access"


async def told(person: Person, session: str, last: str, *, enough: bytes = b"never") -> bytes:
    """What a stream tells until it is enough, or ends as an answer should: a connection that is cut raises."""
    body = b""
    async with connected(person, session, last) as reader:
        while enough not in body and (size := int(await reader.readline(), 16)):
            body += (await reader.readexactly(size + 2))[:-2]
    return body


def test_who_followed_on_a_node_that_leaves_goes_on_at_the_other(pair: Pair) -> None:
    live = pair.installations[0].live

    async def leave(session: str) -> None:
        following = [asyncio.create_task(told(pair.first, session, "1.0")) for _ in range(MANY)]
        while live.followers < MANY:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(pause, session)
        pair.servers[0].stop()
        heard = await asyncio.gather(*following)
        retries = {int(retry) for body in heard for retry in re.findall(rb"event: bye\nretry: (\d+)", body)}
        assert all(body.count(b"event: bye") == 1 for body in heard)
        assert len(retries) > MANY / 2, "not all at once"
        await asyncio.to_thread(resume, session)
        ends = [re.findall(rb"^id: (.*)$", body, re.MULTILINE)[-1] for body in heard]
        rests = await asyncio.gather(*(told(pair.second, session, last.decode(), enough=b'"seq":3,') for last in ends))
        for body, rest in zip(heard, rests, strict=True):
            assert re.findall(rb'^data: {"seq":(\d+)', body + rest, re.MULTILINE) == [b"1", b"2", b"3"]

    with pair.second.client() as there:

        def pause(session: str) -> None:
            assert there.post(f"{session}/commands/pause", json={}).status_code == 200

        def resume(session: str) -> None:
            assert there.post(f"{session}/commands/resume", json={}).status_code == 200

        asyncio.run(asyncio.wait_for(leave(make(there)), SECONDS))
