"""Following some types of event only: the others move the position, so nobody is told of them and nothing is lost."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest

from tests.support.serving import Person, Served
from tests.web.test_live_protocol import SECONDS, SSE, Frame, Reader, follow, make, note


def turned(client: httpx.Client, session: str, verb: str) -> None:
    assert client.post(f"{session}/commands/{verb}", json={}).status_code == 200


def plain(reader: Reader) -> Frame:
    """The next block."""
    frame = reader.frame()
    assert frame is not None, reader.heard
    return frame


def test_of_other_types_only_the_position_moves(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    for verb in ("pause", "resume"):
        turned(client, session, verb)
    with follow(ada, f"{session}/events?types=noted,paused") as reader:
        opening, *read = (plain(reader) for _ in range(4))
        assert opening.id == "1.0"
        assert [(frame.id, frame.data and frame.data["type"]) for frame in read] == [
            ("1.1", None),
            ("1.2", "paused"),
            ("1.3", None),
        ]
        for verb in ("pause", "resume"):
            turned(client, session, verb)
        note(client, session)
        heard = [plain(reader)]
        while heard[-1].id != "1.6":
            heard.append(plain(reader))
        assert [frame.data["type"] for frame in heard if frame.data] == ["paused", "noted"]
    with follow(ada, f"{session}/events?types=noted", last="1.5") as reader:
        assert [plain(reader).id, plain(reader).id] == ["1.5", "1.6"]


def test_a_run_of_other_types_is_one_block(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    for _ in range(8):
        note(client, session)
    with follow(ada, f"{session}/events?types=paused") as reader:
        assert [plain(reader).id, plain(reader)] == ["1.0", Frame(id="1.9")]


def test_the_end_comes_also_to_who_asked_for_nothing_that_happens(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    with follow(ada, f"{session}/events?types=paused", after="now") as reader:
        assert plain(reader).id == "1.1"
        turned(client, session, "end")
        assert plain(reader) == Frame(id="1.2")
        assert (reader.until("end").id, reader.frame()) == ("1.2", None)


def test_a_turn_is_written_for_every_follower(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    with follow(ada, f"{session}/events?types=paused", after="now") as reader:
        reader.frame()
        assert client.post(f"{session}/commands/ask", json={"prompt": "x"}).status_code == 200
        while (frame := plain(reader)).id != "1.3":
            assert frame.event in ("", "snapshot", "token")
            assert frame.data is None or frame.event


def test_pages_of_some_types(ada: Person, client: httpx.Client) -> None:
    session = make(client)
    note(client, session)
    turned(client, session, "pause")

    def page(**query: Any) -> Any:
        return client.get(f"{session}/events", params=query).json()

    assert [event["seq"] for event in page(types="created,paused")["events"]] == [1, 3]
    assert page(types="resumed") == {
        "events": [],
        "next": "1.3",
        "head": "1.3",
        "up_to_date": True,
        "closed": False,
    }
    first = page(types="paused", limit=2)
    assert (first["events"], first["next"], first["up_to_date"]) == ([], "1.2", False)
    assert [event["seq"] for event in page(types="paused", after="1.2")["events"]] == [3]


def test_waiting_passes_over_other_types(server: Served, ada: Person, client: httpx.Client) -> None:
    session, answers = make(client), []
    id = session.rpartition("/")[2]
    query: dict[str, str | int] = {"after": "now", "types": "paused", "wait": 30}
    with ada.client() as other:
        waiting = threading.Thread(
            target=lambda: answers.append(other.get(f"{session}/events", params=query).json()), daemon=True
        )
        waiting.start()
        while not server.installation.live.online(id):
            assert waiting.is_alive()
        note(client, session)
        turned(client, session, "pause")
        waiting.join(SECONDS)
    assert [event["type"] for event in answers[0]["events"]] == ["paused"]
    assert answers[0]["next"] == "1.3"


def test_waiting_in_vain_says_how_far_it_has_come(server: Served, ada: Person, client: httpx.Client) -> None:
    session, answers = make(client), []
    id = session.rpartition("/")[2]
    query: dict[str, str | int] = {"after": "now", "types": "paused", "wait": 4}
    with ada.client() as other:
        waiting = threading.Thread(
            target=lambda: answers.append(other.get(f"{session}/events", params=query).json()), daemon=True
        )
        waiting.start()
        while not server.installation.live.online(id):
            assert waiting.is_alive()
        note(client, session)
        waiting.join(SECONDS)
    assert (answers[0]["events"], answers[0]["next"], answers[0]["up_to_date"]) == ([], "1.2", True)


@pytest.mark.parametrize(
    "types", ["", ",", "a,", "a b", "1a", "a-b", "é", "a" * 65, ",".join(f"t{n}" for n in range(33))]
)
def test_what_is_no_type_is_refused(client: httpx.Client, types: str) -> None:
    session = make(client)
    for headers in (SSE, {}):
        refused = client.get(f"{session}/events", headers=headers, params={"types": types})
        assert (refused.status_code, refused.json()["fields"][0]["field"]) == (422, "types")
    assert client.get(f"{session}/events?types=a&types=b").status_code == 422
