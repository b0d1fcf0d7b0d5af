"""Turns watched while they are written: exact text wherever a reader comes in, and a stop that keeps the part."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest

from sitting.core.kind import Workroom
from tests.support import toy
from tests.support.serving import Person, Served, served
from tests.web.test_live_protocol import Frame, Reader, follow, make

PIECES: queue.Queue[str | None] = queue.Queue()


def dictated(room: Workroom) -> None:
    """Write what the test says, piece by piece, until it says no more."""
    while (piece := PIECES.get(timeout=60)) is not None:
        if room.cancelled:
            return
        room.write(piece)
    room.report(toy.RecordAnswer(turn=room.job, status="completed", text=room.written()), last=True)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("turns"), kinds=[toy.kind(work=dictated)]) as running:
        yield running


def ask(client: httpx.Client, session: str) -> str:
    """Begin a turn; its id."""
    answer = client.post(f"{session}/commands/ask", json={"prompt": "x"})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["events"][-1]["data"]["turn"])


def text_until(reader: Reader, length: int) -> tuple[str, list[Frame]]:
    """Token text until it has that many code points, and the frames it came in."""
    text, found = "", []
    while len(text) < length:
        frame = reader.until("token")
        found.append(frame)
        text += frame.data["content"]
    return text, found


def test_a_turn_is_followed_and_resumed_while_it_is_written(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    turn = ask(client, session)
    stream = f"{session}/turns/{turn}/stream"
    with follow(ada, stream) as reader:
        first = reader.frame()
        assert first is not None
        assert (first.id, first.event) == (f"{turn}.0", "")
        PIECES.put("žlutý ")
        text, found = text_until(reader, 6)
        assert (text, found[-1].id) == ("žlutý ", f"{turn}.6")
    PIECES.put("🐎 ")
    with follow(ada, stream, last=f"{turn}.3") as reader:
        assert text_until(reader, 5)[0] == "tý 🐎 "
        seen = client.get(f"{session}/turns/{turn}").json()
        assert (seen["status"], seen["seq"], seen["text"]) == ("running", None, "žlutý 🐎 ")
        assert client.get(stream, headers={"Last-Event-ID": f"{turn}.end"}).status_code == 400
        PIECES.put("end")
        PIECES.put(None)
        assert text_until(reader, 3)[0] == "end"
        done = reader.until("done")
        assert (done.id, done.data) == (f"{turn}.end", {"turn": turn, "status": "completed", "seq": 3})
        assert reader.frame() is None
    assert client.get(f"{session}/turns/{turn}").json()["text"] == "žlutý 🐎 end"


def test_who_asks_for_the_head_of_a_turn_does_not_wait_for_its_end(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    turn = ask(client, session)
    head = client.head(f"{session}/turns/{turn}/stream")
    assert (head.status_code, head.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert head.headers["cache-control"] == "no-store, no-transform"
    assert client.head(f"{session}/turns/none/stream").status_code == 404
    PIECES.put(None)
    with follow(ada, f"{session}/turns/{turn}/stream") as reader:
        assert reader.until("done").data["status"] == "completed"


def test_done_means_that_the_last_event_can_be_read(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    turn = ask(client, session)
    with follow(ada, f"{session}/turns/{turn}/stream") as reader:
        PIECES.put("whole")
        PIECES.put(None)
        seq = reader.until("done").data["seq"]
        last = client.get(f"{session}/events", params={"after": f"1.{seq - 1}"}).json()["events"]
    assert [(event["seq"], event["data"]["text"]) for event in last] == [(seq, "whole")]


def test_a_stop_and_an_end_at_once_leave_one_end_that_all_see(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    turn = ask(client, session)
    with ExitStack() as tabs:
        readers = [tabs.enter_context(follow(ada, f"{session}/turns/{turn}/stream")) for _ in range(3)]
        PIECES.put("part")
        for reader in readers:
            text_until(reader, 4)
        PIECES.put(None)
        stopped = client.post(f"{session}/commands/stop", json={}).status_code
        ends = [reader.until("done").data for reader in readers]
    assert stopped in (200, 409)
    assert ends == [{"turn": turn, "status": "cancelled" if stopped == 200 else "completed", "seq": 3}] * 3
    types = [event["type"] for event in client.get(f"{session}/events").json()["events"]]
    assert types == ["created", "asked", "answered"]


def test_the_session_stream_carries_tokens_without_ids(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    with follow(ada, f"{session}/events") as early:
        turn = ask(client, session)
        snapshot = early.until("snapshot")
        assert (snapshot.id, snapshot.data) == ("", {"turn": turn, "off": 0, "text": ""})
        PIECES.put("one ")
        token = early.until("token")
        assert (token.id, token.data) == ("", {"turn": turn, "off": 0, "text": "one "})
        with follow(ada, f"{session}/events", after="now") as late:
            assert late.until("snapshot").data == {"turn": turn, "off": 0, "text": "one "}
            PIECES.put("two")
            for reader in (early, late):
                assert reader.until("token").data == {"turn": turn, "off": 4, "text": "two"}
            PIECES.put(None)
            for reader in (early, late):
                answered = reader.until("")
                assert (answered.data["type"], answered.data["data"]["text"]) == ("answered", "one two")
                assert reader.until("done").data == {"turn": turn, "status": "completed", "seq": answered.data["seq"]}
        early.response.close()
    assert client.get(f"{session}/events").json()["head"] == "1.3"


def test_leaving_stops_nothing_and_stopping_keeps_the_part(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    turn = ask(client, session)
    with follow(ada, f"{session}/turns/{turn}/stream") as reader:
        PIECES.put("kept")
        text_until(reader, 4)
    with follow(ada, f"{session}/turns/{turn}/stream") as reader:
        assert text_until(reader, 4)[0] == "kept"
        assert client.post(f"{session}/commands/stop", json={}).status_code == 200
        done = reader.until("done")
    PIECES.put(None)
    assert done.data == {"turn": turn, "status": "cancelled", "seq": 3}
    assert client.get(f"{session}/turns/{turn}").json()["text"] == "kept"
    assert client.post(f"{session}/commands/stop", json={}).status_code == 409


def test_a_reader_may_not_see_what_is_not_for_readers(server: Served, ada: Person, client: httpx.Client) -> None:
    session, bob = make(client), server.person("Bob")
    client.post(f"{session}/commands/invite", json={"actor": bob.actor.id, "role": "reader"})
    with follow(bob, f"{session}/events", after="now") as reader, bob.client() as theirs:
        reader.frame()
        turn = ask(client, session)
        PIECES.put("secret")
        with follow(ada, f"{session}/turns/{turn}/stream") as owner:
            text_until(owner, 6)
        assert theirs.get(f"{session}/turns/{turn}").status_code == 404
        assert theirs.get(f"{session}/turns/{turn}/stream").status_code == 404
        PIECES.put(None)
        while (frame := reader.frame()) is not None and not (frame.data and frame.data.get("type") == "answered"):
            assert frame.event == ""
