"""The live protocol against a real server: framing, resuming, resets, ends, proofs and pace."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sitting.web.streams import Pace
from tests.support import toy
from tests.support.clock import ManualClock
from tests.support.serving import Person, Served, served
from tests.support.timing import quickest

SECONDS = 60
SSE = {"Accept": "text/event-stream"}


@dataclass
class Frame:
    """One block as it came."""

    event: str = ""
    data: Any = None
    id: str = ""
    retry: int | None = None
    comment: str = ""


@dataclass
class Reader:
    """A stream being read, block by block."""

    response: httpx.Response
    lines: Iterator[str]
    heard: list[Frame] = field(default_factory=list)

    def frame(self) -> Frame | None:
        """The next block; None when the stream has ended."""
        made, some = Frame(), False
        for line in self.lines:
            if not line:
                if some:
                    self.heard.append(made)
                    return made
                continue
            some = True
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            match name:
                case "event":
                    made.event = value
                case "data":
                    made.data = json.loads(value)
                case "id":
                    made.id = value
                case "retry":
                    made.retry = int(value)
                case "":
                    made.comment = value
        return None

    def until(self, event: str) -> Frame:
        """The next block of a name."""
        while (frame := self.frame()) is not None:
            if frame.event == event:
                return frame
        raise AssertionError(f"the stream ended without {event}: {self.heard}")

    def rest(self) -> list[Frame]:
        """Everything up to the end."""
        found = []
        while (frame := self.frame()) is not None:
            found.append(frame)
        return found

    def seqs(self, count: int) -> list[int]:
        """The next positions of journal events."""
        found: list[int] = []
        while len(found) < count:
            frame = self.frame()
            assert frame is not None, self.heard
            if frame.data is not None and not frame.event:
                found.append(frame.data["seq"])
                assert frame.id == f"1.{found[-1]}"
        return found


@contextmanager
def follow(person: Person, path: str, *, after: str = "", last: str = "", **headers: str) -> Iterator[Reader]:
    """Open a stream; the path may have a query of its own."""
    asked = {**SSE, **({"Last-Event-ID": last} if last else {}), **headers}
    address = httpx.URL(path).copy_merge_params({"after": after} if after else {})
    with person.client() as client, client.stream("GET", address, headers=asked) as response:
        yield Reader(response, response.iter_lines())


@asynccontextmanager
async def connected(person: Person, session: str, last: str) -> AsyncIterator[asyncio.StreamReader]:
    """A stream from a position, as its bytes come: past the head of the answer, in HTTP chunks."""
    host, port = re.findall(r"//(.*):(\d+)", person.url)[0]
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(
            f"GET {session}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nLast-Event-ID: {last}\r\n"
            f"Authorization: Bearer {person.token}\r\n\r\n".encode()
        )
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        yield reader
    finally:
        writer.transport.abort()


def until(holds: Callable[[], Any]) -> None:
    """Look again and again, for what tells nobody when it happens."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.01)


def make(client: httpx.Client, **fields: Any) -> str:
    """A notebook; its address."""
    response = client.post("/v1/kinds/toy/sessions", json={"name": "x", "words": 10_000, **fields})
    assert response.status_code == 201, response.text
    return str(response.headers["location"])


def note(client: httpx.Client, session: str, text: str = "word", **fields: Any) -> None:
    assert client.post(f"{session}/commands/note", json={"text": text, **fields}).status_code == 200


def test_the_first_write_comes_at_once(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    opened: list[Reader] = []

    def opens() -> float:
        began = time.perf_counter()
        with follow(ada, f"{session}/events", after="now") as reader:
            opened.append(reader)
            reader.frame()
            return time.perf_counter() - began

    assert quickest(opens, below=1) < 1
    [first], headers = opened[-1].heard, opened[-1].response.headers
    assert opened[-1].response.status_code == 200
    assert (first.id, first.data) == ("1.1", None)
    assert first.retry is not None
    assert 1000 <= first.retry <= 3000
    assert first.comment == "v=1 head=1.1 oldest=1.1"
    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store, no-transform"
    assert headers["x-accel-buffering"] == "no"
    assert headers["session-head"] == "1.1"
    assert "content-encoding" not in headers


def test_every_position_resumes_exactly(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    for n in range(11):
        note(client, session, f"n{n}")
    for after in range(13):
        with follow(ada, f"{session}/events", last=f"1.{after}") as reader:
            assert reader.seqs(12 - after) == list(range(after + 1, 13))


def test_the_header_beats_the_address(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    note(client, session)
    note(client, session)
    with follow(ada, f"{session}/events", after="0", last="1.2") as reader:
        assert reader.seqs(1) == [3]


def test_now_means_from_here_on(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    note(client, session)
    with follow(ada, f"{session}/events", after="now") as reader:
        first = reader.frame()
        assert first is not None
        assert first.id == "1.2"
        note(client, session, "later")
        frame = reader.frame()
        assert frame is not None
        assert (frame.id, frame.data["data"]["text"]) == ("1.3", "later")


def test_who_is_cut_off_right_after_the_first_block_misses_nothing(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    with follow(ada, f"{session}/events", after="now") as reader:
        first = reader.frame()
    assert first is not None
    note(client, session)
    note(client, session)
    with follow(ada, f"{session}/events", after="now", last=first.id) as reader:
        assert reader.seqs(2) == [2, 3]


@pytest.mark.parametrize(("cursor", "reason"), [("1.99", "ahead"), ("7.1", "epoch"), ("7.99", "epoch")])
def test_a_position_of_another_history_is_told(ada: Person, client: httpx.Client, cursor: str, reason: str) -> None:
    session = make(client)
    note(client, session)
    with follow(ada, f"{session}/events", last=cursor) as reader:
        reset = reader.until("reset")
        assert reset.id == "1.2"
        assert reset.data == {"reason": reason, "oldest": "1.1", "head": "1.2", "state": session}
        note(client, session)
        assert reader.seqs(1) == [3]
    refused = client.get(f"{session}/events", params={"after": cursor})
    assert (refused.status_code, refused.json()["code"]) == (410, "HISTORY_REPLACED")
    assert refused.json()["head"] == "1.3"
    assert refused.json()["state"] == session


@pytest.mark.parametrize("cursor", ["x", "1", "1.01", "0.1", "-1.1", "1.1.1", "1.1e3"])
def test_a_malformed_position_is_refused(ada: Person, client: httpx.Client, cursor: str) -> None:
    session = make(client)
    for headers in (SSE, {}):
        refused = client.get(f"{session}/events", headers={**headers, "Last-Event-ID": cursor})
        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_CURSOR")


def test_what_is_not_told_moves_the_position_only(server: Served, ada: Person, client: httpx.Client) -> None:
    session, bob = make(client), server.person("Bob")
    invited = client.post(f"{session}/commands/invite", json={"actor": bob.actor.id, "role": "reader"})
    assert invited.status_code == 200
    for text in ("a", "b"):
        note(client, session, text, private=True)
    note(client, session, "open")
    with follow(bob, f"{session}/events") as reader:
        reader.seqs(1)
        hidden = reader.frame()
        assert hidden is not None
        assert (hidden.id, hidden.data) == ("1.4", None)
        assert reader.seqs(1) == [5]
    with bob.client() as theirs:
        page = theirs.get(f"{session}/events").json()
        assert [event["seq"] for event in page["events"]] == [1, 5]
        assert page["next"] == "1.5"


def test_the_end_is_told_and_then_204(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    with follow(ada, f"{session}/events") as reader:
        reader.seqs(1)
        assert client.post(f"{session}/commands/end", json={}).status_code == 200
        assert reader.seqs(1) == [2]
        end = reader.frame()
        assert end is not None
        assert (end.event, end.id, end.data) == ("end", "1.2", {"head": "1.2"})
        assert reader.frame() is None
    with follow(ada, f"{session}/events", last="1.1") as behind:
        assert behind.seqs(1) == [2]
        assert behind.until("end").id == "1.2"
    assert client.get(f"{session}/events", headers={**SSE, "Last-Event-ID": "1.2"}).status_code == 204


def test_strangers_and_the_unproved(server: Served, ada: Person, client: httpx.Client) -> None:
    session, eve = make(client), server.person("Eve")
    with eve.client() as theirs:
        foreign = theirs.get(f"{session}/events", headers=SSE)
        unknown = theirs.get("/v1/sessions/no-such/events", headers=SSE)
    assert foreign.status_code == unknown.status_code == 404
    assert {**foreign.json(), "request_id": ""} == {**unknown.json(), "request_id": ""}
    assert httpx.get(f"{server.url}{session}/events", headers=SSE).status_code == 401
    assert client.get(f"{session}/events", headers={"Accept": "image/png"}).status_code == 406
    assert client.get(f"{session}/events", headers={"Accept": ""}).status_code == 200


def test_taking_a_role_away_ends_the_stream(server: Served, ada: Person, client: httpx.Client) -> None:
    session, bob = make(client), server.person("Bob")
    client.post(f"{session}/commands/invite", json={"actor": bob.actor.id, "role": "reader"})
    with follow(bob, f"{session}/events") as reader:
        reader.seqs(1)
        client.post(f"{session}/commands/invite", json={"actor": bob.actor.id, "role": None})
        bye = reader.until("bye")
        assert bye.data == {"reason": "access", "retry": bye.retry}
        assert reader.frame() is None
    with bob.client() as theirs:
        assert theirs.get(f"{session}/events", headers=SSE).status_code == 404


def test_revoking_a_token_ends_its_streams(server: Served, ada: Person, client: httpx.Client) -> None:
    def revoked() -> float:
        bob = server.person("Bob")
        with bob.client() as theirs:
            session = make(theirs)
        with follow(bob, f"{session}/events") as reader:
            reader.seqs(1)
            began = time.monotonic()
            server.installation.access.revoke(bob.token_id, account=None).result()
            assert reader.until("bye").data["reason"] == "access"
            return time.monotonic() - began

    assert quickest(revoked, below=5) < 5


def test_erasing_the_session_ends_its_streams(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    client.post(f"{session}/commands/pause", json={})
    with follow(ada, f"{session}/events") as reader:
        reader.seqs(2)
        assert client.delete(session).status_code == 204
        assert reader.until("bye").data["reason"] == "access"


def test_a_turn_resumes_at_every_offset(ada: Person, client: httpx.Client) -> None:
    session, text = make(client), "echo: žluťoučký 🐎 "
    prompt = text.removeprefix("echo: ").strip()
    with follow(ada, f"{session}/events", after="now") as reader:
        client.post(f"{session}/commands/ask", json={"prompt": prompt})
        assert reader.seqs(2) == [2, 3]
    turn = client.get(f"{session}/events").json()["events"][-1]["data"]["turn"]
    seen = client.get(f"{session}/turns/{turn}").json()
    assert (seen["status"], seen["seq"], seen["text"]) == ("completed", 3, f"echo: {prompt}")
    stream = f"{session}/turns/{turn}/stream"
    for off in range(len(seen["text"]) + 1):
        with follow(ada, stream, last=f"{turn}.{off}") as reader:
            first, *tokens, done = reader.rest()
        assert first.id == f"{turn}.{off}"
        assert "".join(frame.data["content"] for frame in tokens) == seen["text"][off:]
        assert all(frame.event == "token" and frame.data["content"] for frame in tokens)
        assert done.event == "done"
        assert done.id == f"{turn}.end"
        assert done.data == {"turn": turn, "status": "completed", "seq": 3}
    assert client.get(stream, headers={"Last-Event-ID": f"{turn}.end"}).status_code == 204
    assert client.get(stream, params={"after": f"{turn}.end"}).status_code == 204
    for bad in (f"{turn}.999", "other.1", "x", "1.1"):
        assert client.get(stream, headers={"Last-Event-ID": bad}).status_code == 400
    assert client.get(f"{session}/turns/none/stream").status_code == 404


def test_json_pages(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    for n in range(4):
        note(client, session, f"n{n}")
    first = client.get(f"{session}/events", params={"limit": 2})
    body = first.json()
    assert [event["seq"] for event in body["events"]] == [1, 2]
    assert (body["next"], body["head"], body["up_to_date"], body["closed"]) == ("1.2", "1.5", False, False)
    rest = client.get(f"{session}/events", params={"after": body["next"]}).json()
    assert [event["seq"] for event in rest["events"]] == [3, 4, 5]
    assert rest["up_to_date"]
    again = client.get(f"{session}/events", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    head = client.head(f"{session}/events")
    assert (head.headers["session-head"], head.headers["session-oldest"], head.headers["session-closed"]) == (
        "1.5",
        "1.1",
        "false",
    )
    for query in ({"limit": 0}, {"limit": 501}, {"limit": "x"}, {"wait": 31}, {"wait": -1}):
        assert client.get(f"{session}/events", params=query).status_code == 422


def test_waiting_for_an_event(server: Served, ada: Person, client: httpx.Client) -> None:
    session = make(client)
    id = session.rpartition("/")[2]
    with ada.client() as other:
        began = time.monotonic()
        assert other.get(f"{session}/events", params={"after": "now", "wait": 1}).json()["events"] == []
        assert time.monotonic() - began > 0.9
        answers: list[dict[str, Any]] = []
        waiting = threading.Thread(
            target=lambda: answers.append(other.get(f"{session}/events", params={"after": "now", "wait": 30}).json())
        )
        waiting.start()
        while not server.installation.live.online(id):
            assert waiting.is_alive()
        note(client, session)
        waiting.join(SECONDS)
    assert [event["seq"] for event in answers[0]["events"]] == [2]


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server whose streams live fast."""
    with served(tmp_path_factory.mktemp("quick"), pace=Pace(stall=0.5, heartbeat=0.2, age=5)) as running:
        yield running


def test_a_quiet_stream_is_kept_warm_and_renewed(quick: Served) -> None:
    person = quick.person()
    with person.client() as client:
        session = make(client)
    with follow(person, f"{session}/events", after="now") as reader:
        frames = reader.rest()
    beats = [frame for frame in frames if frame == Frame()]
    assert len(beats) >= 5
    assert frames[-1].event == "bye"
    assert frames[-1].data["reason"] == "rotation"


def test_a_stream_ends_when_its_proof_expires(tmp_path: Path) -> None:
    clock = ManualClock()
    with served(tmp_path, clock=clock, pace=Pace(proof=3600)) as server:
        access = server.installation.access
        account = access.create_account("Brief").result()
        token, id = access.create_token(account, "brief", expires_at=clock.now() + timedelta(seconds=1)).result()
        person = Person(access.by_token(token).result(), token, id, server.url)
        with person.client() as client:
            session = make(client)
        with follow(person, f"{session}/events") as reader:
            assert reader.seqs(1) == [1]
            clock.advance(1)
            bye = reader.until("bye")
    assert bye.data["reason"] == "access", "it is too young to rotate, or to be asked again by itself"


def test_a_heartbeat_that_scripts_can_hear(quick: Served) -> None:
    person = quick.person()
    with person.client() as client:
        session = make(client)
    with (
        person.client() as client,
        client.stream("GET", f"{session}/events?after=now&hb=event", headers=SSE) as response,
    ):
        beat = Reader(response, response.iter_lines()).until("hb")
    assert (beat.id, beat.data) == ("1.1", {})


def test_a_reader_that_does_not_read_is_cut_off_and_can_return(quick: Served) -> None:
    person = quick.person()
    live = quick.installation.live
    with person.client() as client:
        session = make(client)
        id = session.rpartition("/")[2]
        for _ in range(8):
            note(client, session, "x" * 2000)
        host, port = re.findall(r"//(.*):(\d+)", quick.url)[0]
        with socket.create_connection((host, int(port))) as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.sendall(
                f"GET {session}/events HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n"
                f"Authorization: Bearer {person.token}\r\n\r\n".encode()
            )
            while not live.online(id):
                pass
            written = 0
            while live.online(id):
                written += 1
                assert written < 3000, "the deaf reader was never cut off"
                quick.installation.engine.do(id, toy.Note(text=f"{'x' * 1990} {written}"), person.actor).result()
        head = int(client.head(f"{session}/events").headers["session-head"].partition(".")[2])
        with follow(person, f"{session}/events", last=f"1.{head - 3}") as reader:
            assert reader.seqs(3) == [head - 2, head - 1, head]


def test_trouble_after_the_first_byte_is_told_in_a_frame(tmp_path: Path) -> None:
    with served(tmp_path, work=False) as failing:
        person = failing.person()
        with person.client() as client:
            session = make(client)
        with follow(person, f"{session}/events") as reader:
            reader.seqs(1)
            failing.installation.store.close()
            failing.installation.live.wake(session.rpartition("/")[2], 2, 2)
            fault = reader.until("fault")
            assert fault.data["retry"] == fault.retry
            assert fault.data["code"] in ("STORE_UNAVAILABLE", "INTERNAL")
            assert reader.frame() is None
