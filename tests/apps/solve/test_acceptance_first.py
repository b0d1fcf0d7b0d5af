"""Acceptance statements 1 to 13 of solve: sessions, refusals, the stream of a turn and how it is resumed."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from sitting.apps.solve.app import APP
from sitting.model import Gate, Step
from sitting.web.streams import USUAL, Pace
from tests.apps.solve.room import (
    LATER,
    MOCK,
    PAGE,
    PLAN,
    TALK,
    UNKNOWN,
    WORRY,
    Frame,
    Json,
    Owner,
    Reader,
    Scene,
    hears,
    invalid,
    refused,
    scene,
    told,
)
from tests.support.clock import ManualClock
from tests.support.everybody import operations
from tests.support.timing import quickest

INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
WORDS = re.findall(r"\S+\s*", MOCK)
ROUTES = {
    ("POST", "/sessions"), ("GET", "/sessions"), ("GET", "/sessions/{}"), ("PATCH", "/sessions/{}"),
    ("DELETE", "/sessions/{}"), ("POST", "/sessions/{}/messages"), ("GET", "/sessions/{}/messages"),
    ("GET", "/sessions/{}/turns/{}"), ("GET", "/sessions/{}/turns/{}/stream"),
    ("POST", "/sessions/{}/turns/{}/cancel"), ("POST", "/sessions/{}/turns/{}/retry"),
    ("POST", "/sessions/{}/turns/{}/dismiss-crisis"), ("POST", "/sessions/{}/options"),
    ("POST", "/sessions/{}/options/{}/choose"), ("POST", "/sessions/{}/commit"), ("POST", "/sessions/{}/contest"),
    ("PATCH", "/sessions/{}/beliefs/{}"), ("GET", "/sessions/{}/export"), ("GET", "/sessions/all/export"),
    ("GET", "/sessions/{}/reminder.ics"), ("GET", "/sessions/{}/events"), ("GET", "/actions"),
    ("PATCH", "/actions/{}/complete"), ("PATCH", "/actions/{}/uncomplete"), ("GET", "/stats/overview"),
    ("GET", "/stats/export"),
}  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("first")) as made:
        yield made


@pytest.fixture
def ann(house: Scene) -> Owner:
    house.plays()
    return house.owner()


def test_01_a_session_is_created_by_an_empty_object_or_nothing(tmp_path: Path) -> None:
    with scene(tmp_path) as house:
        ann = house.owner()
        device = {"X-Device-Fingerprint": "f" * 64}
        ways: list[tuple[str, Json]] = [
            ("/sessions", {"json": {}}),
            ("/sessions", {}),
            ("/sessions/", {"json": {}}),
            ("/sessions/", {}),
            ("/sessions", {"json": {}, "headers": device}),
            ("/sessions/", {"headers": device}),
        ]
        for used, (path, options) in enumerate(ways, start=1):
            answer = ann.client.post(path, **options)
            assert answer.status_code == 201 and answer.headers["content-type"] == "application/json", answer.text
            made = answer.json()
            assert made == {
                "session_id": made["id"], "id": made["id"], "status": "active", "current_step": "receive",
                "created_at": made["created_at"], "completed_at": None,
                "usage": {"sessions_used": used, "sessions_limit": None, "tier": "unlimited"},
            }  # fmt: skip
            assert uuid.UUID(made["id"]).version == 4 and INSTANT.fullmatch(made["created_at"])
            seen = ann.session(made["id"])
            assert {name: seen[name] for name in made if name != "usage"} == {
                name: value for name, value in made.items() if name != "usage"
            }
        assert device["X-Device-Fingerprint"] not in json.dumps([ann.events(made["id"]), ann.session(made["id"])])


def test_02_nobody_is_refused_everywhere(house: Scene) -> None:
    with httpx.Client(base_url=house.served.url) as nobody:
        known = {
            (method, re.sub(r"\{[^}]+\}", "{}", path))
            for method, path in operations(import_module(APP.routes).router.routes)
            if not path.startswith("/solve")
        }
        assert known >= ROUTES, ROUTES - known
        for method, path in sorted(known):
            for headers in ({}, {"Authorization": "Bearer nonsense"}):
                answer = nobody.request(method, path.replace("{}", UNKNOWN), headers=headers)
                assert answer.status_code == 401, (method, path, answer.status_code, answer.text)
                if method != "HEAD":
                    assert answer.json() == {"detail": {"error": "INVALID_TOKEN"}}, (method, path)
        for headers in ({}, PAGE):
            answer = nobody.get("/solve", headers=headers)
            assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fsolve")
        assert nobody.get(f"/solve/{UNKNOWN}", headers=PAGE).status_code == 303


def test_03_foreign_unknown_and_malformed_ids_are_the_same(house: Scene, ann: Owner) -> None:
    ben = house.owner("Ben")
    foreign = ben.create(title="Mine alone")
    ids = [foreign, UNKNOWN, "nonsense", foreign[:-1], foreign + "0", "1' or '1'='1", str(uuid.uuid1())]
    asks: list[tuple[str, str, Any]] = [
        ("GET", "", None), ("POST", "/messages", {"content": WORRY}), ("PATCH", "", {"title": "Taken"}),
        ("DELETE", "", None), ("POST", "/messages", {"content": ""}), ("PATCH", "", {"nonsense": 1}),
    ]  # fmt: skip
    for method, path, body in asks:
        told = set()
        for id in ids:
            answer = ann.client.request(method, f"/sessions/{id}{path}", json=body)
            assert answer.status_code == 404, (method, id, answer.text)
            told.add((answer.content, answer.headers["content-type"]))
        assert len(told) == 1
        assert json.loads(told.pop()[0]) == {"detail": {"error": "SESSION_NOT_FOUND"}}
    assert ben.session(foreign)["title"] == "Mine alone" and ben.types(foreign) == ["created"]


def test_04_the_list_is_paged_and_newest_first(tmp_path: Path) -> None:
    clock = ManualClock()
    with scene(tmp_path, clock=clock) as house:
        ann, ben = house.owner(), house.owner("Ben")
        made = []
        for number in range(25):
            made.append(ann.create())
            if number % 5 != 4:  # the others share their instant with the next
                clock.advance(1)
        ben.create()
        first = ann.client.get("/sessions").json()
        assert (first["limit"], first["offset"], first["total"], len(first["sessions"])) == (20, 0, 25, 20)
        rest = ann.client.get("/sessions", params={"offset": 20}).json()
        assert (rest["limit"], rest["offset"], rest["total"], len(rest["sessions"])) == (20, 20, 25, 5)
        whole = ann.client.get("/sessions/", params={"limit": 100}).json()
        assert whole["limit"] == 100 and whole["sessions"] == first["sessions"] + rest["sessions"]
        times = [item["created_at"] for item in whole["sessions"]]
        assert times == sorted(times, reverse=True) and len(set(times)) == 21
        order = [(item["created_at"], item["id"]) for item in whole["sessions"]]
        assert order in (sorted(order, reverse=True), sorted(sorted(order), key=lambda pair: pair[0], reverse=True))
        assert {item["id"] for item in whole["sessions"]} == set(made)
        item = whole["sessions"][0]
        assert item == {
            "id": item["id"], "session_id": item["id"], "status": "active", "current_step": "receive",
            "created_at": item["created_at"], "completed_at": None, "updated_at": item["updated_at"],
            "title": "New session", "tags": [], "first_step_action": None, "reminder_time": None,
            "action_completed": False,
        }  # fmt: skip
        assert {name: ann.session(item["id"])[name] for name in item} == item
        assert ann.client.get("/sessions", params={"limit": 1, "offset": 1_000_000}).json()["sessions"] == []
        for name, value in (
            ("limit", "0"), ("limit", "101"), ("limit", "x"), ("offset", "-1"), ("offset", "1000001"),
            ("limit", "qqzzqq"), ("offset", ""),
        ):  # fmt: skip
            answer = ann.client.get("/sessions", params={name: value})
            invalid(answer, name)
            assert "qqzzqq" not in answer.text


def test_05_a_message_is_answered_word_by_word(house: Scene, ann: Owner) -> None:
    house.mocks()
    id = ann.create()
    answer = ann.sends(id, WORRY)
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store, no-transform"
    assert (answer.headers["x-accel-buffering"], answer.headers["x-content-type-options"]) == ("no", "nosniff")
    assert "content-encoding" not in answer.headers
    turn = re.fullmatch(rf"/sessions/{id}/turns/([0-9a-f-]+)/stream", answer.headers["location"])
    assert turn is not None
    blocks = [block for block in answer.text.split("\n\n") if block.startswith("event: token")]
    sent, expected = 0, []
    for word in WORDS:
        sent += len(word)
        expected.append(f'event: token\ndata: {{"content": {json.dumps(word)}}}\nid: {turn[1]}.{sent}')
    assert blocks == expected and len(blocks) == 12
    stream = told(answer)
    assert stream.text == MOCK and [frame.event for frame in stream.frames if frame.event] == ["token"] * 12 + ["done"]
    done, message = stream.done, ann.messages(id)[-1]
    assert done == {
        "next_step": "clarify", "emotion_detected": "neutral", "turn": turn[1], "status": "completed",
        "session_status": "active", "step_moved": True, "evidence": [ann.messages(id)[0]["message_id"]],
        "tactic": None, "suggestions": [], "options": None, "message_id": message["message_id"], "seq": done["seq"],
    }  # fmt: skip
    [completed] = ann.events(id, "turn_completed")
    assert completed["seq"] == done["seq"] and completed["data"]["text"] == MOCK == message["content"]
    assert '\ndata: {"next_step": "clarify", "emotion_detected": "neutral", ' in answer.text


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "content"), ({"content": ""}, "content"), ({"content": "   "}, "content"),
        ({"content": "x" * 4001}, "content"), ({"content": WORRY, "mood": "qqzz"}, "mood"),
        ({"content": WORRY, "step": "foo"}, "step"), ({"content": None}, "content"), ({"content": 7}, "content"),
        ({"content": "\u3000\n\t "}, "content"),
    ],
)  # fmt: skip
def test_06_a_wrong_message_stores_nothing(ann: Owner, body: Json, name: str) -> None:
    id = ann.create()
    before = ann.session(id)
    answer = ann.client.post(f"/sessions/{id}/messages", json=body)
    invalid(answer, name)
    assert "qqzz" not in answer.text and "xxxx" not in answer.text
    assert ann.types(id) == ["created"] and ann.messages(id) == [] and ann.session(id) == before


@pytest.mark.parametrize(
    "body",
    [
        b'{"content": "a b c d", "content": "e f g h"}', b'{"content": NaN}', b'{"content": "a\\u0000b c d"}',
        b'{"content": "a b c \\ud800"}', b'{"content": ' + b"[" * 40 + b"]" * 40 + b"}", b"{", b"[]", b'"text"',
        b'{"content": "\xff\xfe a b c"}',
    ],
)  # fmt: skip
def test_06_a_body_that_is_not_plain_json_stores_nothing(ann: Owner, body: bytes) -> None:
    id = ann.create()
    kind = {"Content-Type": "application/json"}
    refused(ann.client.post(f"/sessions/{id}/messages", content=body, headers=kind), 422, "VALIDATION_ERROR")
    assert ann.types(id) == ["created"]


def test_06_the_longest_message_is_taken(ann: Owner) -> None:
    long = ("word " * 800)[:3999] + "!"
    id = ann.create()
    assert len(long) == 4000 and ann.says(id, f"  {long}\n ").done["status"] == "completed"
    assert ann.messages(id)[0]["content"] == long


def test_07_a_step_that_is_not_now_is_refused(ann: Owner) -> None:
    id = ann.create()
    answer = ann.sends(id, WORRY, step="options")
    assert refused(answer, 409, "STEP_MISMATCH")["current_step"] == "receive"
    assert ann.types(id) == ["created"]
    assert ann.says(id, WORRY, step="receive").done["next_step"] == "clarify"


def test_08_the_four_documented_endpoints_lead_to_the_end(house: Scene, ann: Owner) -> None:
    house.mocks()
    id = ann.client.post("/sessions", json={}).json()["session_id"]
    dones = [ann.says(id, content).done for content in TALK]
    steps = [done["next_step"] for done in dones]
    assert steps == ["clarify", "clarify", "clarify", "reframe", "options", "commit", None]
    assert [done["session_status"] for done in dones] == ["active"] * 6 + ["completed"]
    assert [done["step_moved"] for done in dones] == [True, False, False, True, True, True, dones[-1]["step_moved"]]
    cards = dones[4]["options"]
    assert [card["id"] for card in cards] == ["A", "B"]
    assert all(card["effort"] in ("low", "medium", "high") for card in cards)
    assert all(1 <= len(card[part]) <= 3 for card in cards for part in ("actions", "pros", "cons"))
    assert [done["options"] for done in dones[:4]] == [None] * 4
    seen = ann.client.get(f"/sessions/{id}").json()
    assert (seen["status"], seen["current_step"], seen["first_step_action"]) == ("completed", "commit", PLAN)
    assert INSTANT.fullmatch(seen["completed_at"]) and seen["chosen_option"] == "A" and seen["options"] == cards
    [listed] = ann.client.get("/sessions").json()["sessions"]
    assert listed["status"] == "completed" and listed["first_step_action"] == PLAN and listed["title"] == WORRY


def test_09_a_finished_session_takes_no_message(ann: Owner) -> None:
    over = ann.brought("completed")
    before = ann.types(over)
    refused(ann.sends(over, "One more thing to say"), 400, "SESSION_COMPLETED")
    assert ann.types(over) == before
    left = ann.brought("clarify")
    assert ann.patches(f"/sessions/{left}", status="abandoned")["status"] == "abandoned"
    refused(ann.sends(left, "One more thing to say"), 400, "SESSION_ABANDONED")
    seen = ann.patches(f"/sessions/{left}", status="active")
    assert (seen["status"], seen["current_step"]) == ("active", "clarify")
    assert ann.says(left, "One more thing to say").done["status"] == "completed"
    refused(ann.client.patch(f"/sessions/{over}", json={"status": "active"}), 400, "INVALID_STATUS")
    refused(ann.client.patch(f"/sessions/{left}", json={"status": "completed"}), 400, "INVALID_STATUS")
    refused(ann.client.patch(f"/sessions/{left}", json={"status": "paused"}), 400, "INVALID_STATUS")


def test_10_a_question_at_commit_completes_nothing(ann: Owner) -> None:
    id = ann.brought("commit")
    for question in ("Should I write the mail tonight at eight?", "我今天晚上应该写这封邮件吗？"):
        done = ann.says(id, question).done
        assert (done["next_step"], done["session_status"], done["step_moved"]) == ("commit", "active", False)
    seen = ann.session(id)
    assert (seen["status"], seen["first_step_action"], seen["completed_at"]) == ("active", None, None)
    assert ann.says(id, PLAN).done["session_status"] == "completed"


def test_11_the_first_byte_does_not_wait_for_the_model(house: Scene, ann: Owner) -> None:
    house.plays(script=lambda asked: Step(stall_after=0))

    def waited() -> float:
        id = ann.create()
        began = time.perf_counter()
        with ann.client.stream("POST", f"/sessions/{id}/messages", json={"content": WORRY}) as response:
            next(response.iter_raw())
            took = time.perf_counter() - began
            turn = response.headers["location"].split("/")[-2]
        assert ann.types(id)[:3] == ["created", "message_received", "turn_started"]
        assert ann.acts(id, turn, "cancel").status_code == 200
        return took

    assert quickest(waited, below=0.05, rounds=30) < 0.05


def test_11_silence_is_broken_by_comments(tmp_path: Path) -> None:
    assert USUAL.heartbeat * 1.15 <= 18  # spread per stream by at most 15 %
    with scene(tmp_path, pace=Pace(heartbeat=0.1)) as house:
        ann = house.owner()
        house.plays(script=lambda asked: Step(stall_after=0))
        id = ann.create()
        with ann.saying(id) as reader:
            reader.frame()
            for _ in range(3):
                assert reader.frame() == Frame()  # a line that is only a comment
            turn = ann.events(id, "turn_started")[0]["data"]["turn"]
            ann.acts(id, turn, "cancel")
            assert reader.until("done").data["status"] == "cancelled"


@pytest.mark.parametrize("cut", range(len(WORDS) + 1))
def test_12_a_stream_goes_on_where_it_was_cut(house: Scene, ann: Owner, cut: int) -> None:
    gate = Gate()
    model = house.plays(Step(WORDS, gate=gate))
    id = ann.create()
    with ann.saying(id) as reader:
        opening = reader.frame()
        assert opening is not None
        last, text, location = opening.id, "".join(WORDS[:cut]), reader.response.headers["location"]
        turn = location.split("/")[-2]
        for word in WORDS[:cut]:
            gate.release()
            last = hears(reader, word)
    gate.open()
    rest = ann.streamed(id, turn, last)
    assert rest.frames[0].retry is not None and rest.frames[0].id == f"{turn}.{len(text)}"
    assert text + rest.text == MOCK and rest.done["status"] == "completed"
    assert ann.client.get(location, headers={"Last-Event-ID": rest.frames[-1].id}).status_code == 204
    assert len(model.prompts) == 1
    assert [message["content"] for message in ann.messages(id)] == [WORRY, MOCK]


def test_12_every_byte_and_every_character_is_a_place_to_go_on(ann: Owner, house: Scene) -> None:
    prose = "Zażółć \U0001f40e gęślą jaźń, 你好。 A “b”\n\nc"
    model = house.plays(Step(re.findall(r"\S+\s*", prose)))
    id = ann.create()
    answer = ann.sends(id, WORRY)
    raw, location = answer.content, answer.headers["location"]
    turn = location.split("/")[-2]
    assert told(answer).text == prose and len(told(answer).tokens) > 3
    rests: dict[str, str] = {}
    for end in range(len(raw) + 1):
        whole = raw[:end].rpartition(b"\n\n")[0].decode()  # a block that is not ended is not seen
        seen = Reader(answer, iter(f"{whole}\n\n".splitlines())).rest()
        last = next((frame.id for frame in reversed(seen) if frame.id), "")
        if last not in rests:
            rest = ann.client.get(location, headers={"Last-Event-ID": last} if last else {})
            rests[last] = told(rest).text if rest.status_code == 200 else ""
            assert rest.status_code == (204 if last.endswith(".end") else 200)
        assert "".join(frame.data["content"] for frame in seen if frame.event == "token") + rests[last] == prose
    for off in range(len(prose) + 1):
        rest = ann.client.get(location, params={"after": f"{turn}.{off}"})
        assert told(rest).text == prose[off:] and told(rest).done["turn"] == turn
    assert told(ann.client.get(location)).text == prose
    assert len(model.prompts) == 1


def test_12_a_reply_that_nobody_reads_is_kept(ann: Owner) -> None:
    id = ann.create()
    turn = ann.begins(id)
    text = ann.awaits(id, "turn_completed")["data"]["text"]
    messages = ann.messages(id)
    assert [message["role"] for message in messages] == ["user", "assistant"] and messages[1]["content"] == text
    assert ann.turn(id, turn)["status"] == "completed"


def test_13_a_wrong_cursor_is_refused_and_a_stranger_too(house: Scene, ann: Owner) -> None:
    gate = Gate()
    house.plays(Step(("One two three",)), Step(("Four ", "five"), gate=gate))
    id, ben = ann.create(), house.owner("Ben")
    first = ann.says(id, WORRY).done["turn"]
    with ann.saying(id, "It started after the last project") as reader:
        gate.release()
        hears(reader, "Four ")
        second = reader.response.headers["location"].split("/")[-2]
        cases = [(first, f"{second}.0"), (second, f"{first}.3"), (first, "x"), (first, f"{first}.14"), (second, "x")]
        cases += [(second, f"{second}.500"), (first, f"{first}.-1"), (first, f"{first}.1.1"), (first, f"{first}.")]
        for turn, cursor in cases:
            path = f"/sessions/{id}/turns/{turn}/stream"
            refused(ann.client.get(path, headers={"Last-Event-ID": cursor}), 400, "INVALID_CURSOR")
            refused(ann.client.get(path, params={"after": cursor}), 400, "INVALID_CURSOR")
        for turn in (first, second):
            for path in ("", "/stream"):
                answer = ben.client.get(f"/sessions/{id}/turns/{turn}{path}")
                assert answer.status_code == 404 and answer.json() == {"detail": {"error": "SESSION_NOT_FOUND"}}
        gate.open()
        reader.until("done")
    refused(ann.client.get(f"/sessions/{id}/turns/{UNKNOWN}"), 404, "TURN_NOT_FOUND")
    refused(ann.client.get(f"/sessions/{id}/turns/{UNKNOWN}/stream"), 404, "TURN_NOT_FOUND")
    other = ann.create()
    refused(ann.client.get(f"/sessions/{other}/turns/{first}", headers=LATER), 404, "TURN_NOT_FOUND")
