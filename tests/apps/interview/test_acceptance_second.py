"""Acceptance statements 19 to 27 of the interview: budget, failures, limits, the link, the challenge, notes."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sitting.apps.interview.app import APP
from sitting.config import Settings
from sitting.installation import Installation
from sitting.model import Gate, Step
from tests.apps.interview.acting import (
    ANY,
    PAGE,
    Candidate,
    Scene,
    awaits,
    does,
    events,
    following,
    place,
    plan,
    refused,
    scene,
    seen,
    types,
)
from tests.support.clock import ManualClock
from tests.support.process import Program
from tests.support.serving import PATIENCE_SECONDS
from tests.support.timing import quickest

DAY = 86_400


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("second")) as made:
        yield made


@pytest.fixture
def ann(stage: Scene) -> httpx.Client:
    stage.plays()
    return stage.client(stage.person("Ann"))


def begun(stage: Scene, client: httpx.Client, **fields: Any) -> tuple[dict[str, Any], Candidate]:
    """A session that runs, and its candidate."""
    planned = plan(client, **fields)
    candidate = stage.joins(planned)
    assert candidate.post("/start").status_code == 200
    return planned, candidate


def test_19_a_budget_too_small_names_both_numbers(stage: Scene, ann: httpx.Client) -> None:
    stage.plays(Step(("ok",)), Step(("ok",), usage=(1, 10**9)))
    planned, candidate = begun(stage, ann, token_budget=1000)
    candidate.asks("x" * 600)
    free = candidate.status()["tokens_remaining"]
    question = {"content": "And then?"}
    before = types(ann, planned)
    problem = refused(candidate.post("/messages", question), 409, "BUDGET_INSUFFICIENT")
    found = re.fullmatch(r"Insufficient token budget\. Need ~(\d+) tokens, have (\d+)\.", problem["detail"])
    assert found is not None
    needed = int(found[1])
    assert int(found[2]) == free and 100 <= free < needed < 1000  # as many digits: the prompt names what is left
    assert types(ann, planned) == before
    if needed - free > 1:
        does(ann, planned, "extend-tokens", tokens=needed - free - 1, reason="one too few")
    detail = f"Insufficient token budget. Need ~{needed} tokens, have {needed - 1}."
    refused(candidate.post("/messages", question), 409, "BUDGET_INSUFFICIENT", detail)
    does(ann, planned, "extend-tokens", tokens=1, reason="just enough")
    candidate.asks(question["content"])
    sent = events(ann, planned, "MESSAGE_SENT")[-1]["data"]
    assert sent["prompt_tokens"] + 64 == needed == sent["reserved"]
    assert candidate.status()["tokens_remaining"] == 0
    exhausted = "Token budget exhausted. Cannot send more messages."
    refused(candidate.post("/messages", question), 409, "BUDGET_EXHAUSTED", exhausted)


def test_20_a_reply_fails_is_cancelled_or_costs_too_much(stage: Scene, ann: httpx.Client) -> None:
    gate = Gate()
    stage.plays(
        Step(("One ", "two ", "three"), fail_after=2),
        Step(("A whole reply",)),
        Step(("part ", "never said"), gate=gate),
        Step(("much",), usage=(10**6, 10**6)),
    )
    planned, candidate = begun(stage, ann)
    lost = candidate.asks("Why?")["turn"]
    failed = events(ann, planned, "TURN_FAILED")[0]["data"]
    assert (failed["turn"], failed["charged"], failed["mark"], failed["content"]) == (lost, 0, "incomplete", "One two ")
    figures = seen(ann, planned)
    assert (figures["tokens_used"], figures["tokens_reserved"], figures["message_count"]) == (0, 0, 1)
    again = candidate.post(f"/turns/{lost}/retry")
    assert again.status_code == 202 and again.json()["turn"] != lost
    candidate.hears(again.json()["turn"])
    assert [event["data"]["content"] for event in events(ann, planned, "MESSAGE_RECEIVED")] == ["A whole reply"]
    assert len(events(ann, planned, "MESSAGE_SENT")) == 1 and seen(ann, planned)["message_count"] == 2

    used, turn = seen(ann, planned)["tokens_used"], candidate.sends("Go on.")["turn"]
    gate.release()
    candidate.reads(turn, "part ")
    assert candidate.post(f"/turns/{turn}/cancel").status_code == 200
    cut = events(ann, planned, "TURN_CANCELLED")[0]["data"]
    prompt = events(ann, planned, "MESSAGE_SENT")[-1]["data"]["prompt_tokens"]
    assert (cut["content"], cut["mark"]) == ("part ", "cut") and cut["charged"] == prompt + 2  # 5 bytes
    assert seen(ann, planned)["tokens_used"] == used + cut["charged"]
    refused(candidate.post(f"/turns/{turn}/cancel"), 409, "TURN_OVER", "This reply has already ended.")

    candidate.asks("How much?")
    received, sent = (events(ann, planned, type)[-1]["data"] for type in ("MESSAGE_RECEIVED", "MESSAGE_SENT"))
    assert received["charged"] == sent["reserved"] and received["overrun"] == 2 * 10**6 - sent["reserved"]
    last = seen(ann, planned)
    assert last["tokens_used"] + last["tokens_reserved"] + last["tokens_remaining"] == last["token_budget"]


def test_21_without_a_model_everything_else_works(stage: Scene, ann: httpx.Client) -> None:
    planned, candidate = begun(stage, ann)
    stage.cast.model = None
    before = types(ann, planned)
    problem = refused(candidate.post("/messages", {"content": "Hello?"}), 503, "MODEL_NOT_CONFIGURED")
    assert problem["detail"].startswith("No language model is configured.") and problem["help"] == "/help/models"
    assert types(ann, planned) == before and candidate.status()["message_count"] == 0
    for verb, body in (
        ("pause", {}), ("resume", {}), ("extend-time", {"seconds": 60, "reason": "x"}),
        ("extend-tokens", {"tokens": 5, "reason": "x"}), ("notes", {"text": "x"}), ("end", {}),
    ):  # fmt: skip
        does(ann, planned, verb, **body)
    for path in ("", "/messages", "/analytics", "/ledger", "/export", "/scorecards"):
        assert ann.get(place(planned) + path).status_code == 200
    assert "Interview finished" in candidate.page() and candidate.get("/export").status_code == 200
    refused(ann.post(f"{place(planned)}/evidence", json={"criterion": "approach"}), 503, "MODEL_NOT_CONFIGURED")


def test_22_each_threshold_is_told_once(stage: Scene, ann: httpx.Client) -> None:
    planned, _ = begun(stage, ann)

    def warned(type: str) -> list[int]:
        return [event["data"]["threshold"] for event in events(ann, planned, type)]

    for seconds, told in ((2690, []), (10, [25]), (540, [25, 10]), (179, [25, 10]), (1, [25, 10, 5]), (9, [25, 10, 5])):
        stage.clock.advance(seconds)
        assert warned("TIME_WARNING") == told
    does(ann, planned, "extend-time", seconds=3600, reason="more")  # 3771 of 7200 are left
    assert warned("TIME_WARNING") == [25, 10, 5]
    stage.clock.advance(3600)
    assert warned("TIME_WARNING") == [25, 10, 5, 25, 10, 5]

    planned, candidate = begun(stage, ann, token_budget=10_000)
    stage.plays(*(Step(("ok",), usage=(used, 0)) for used in (2000, 2000, 2000, 1500, 1500, 500)))
    for told in ([], [], [], [25], [25, 10], [25, 10, 5]):
        candidate.asks("?")
        assert warned("TOKEN_WARNING") == told
    does(ann, planned, "extend-tokens", tokens=10_000, reason="more")  # 10,500 of 20,000 are left
    stage.plays(*(Step(("ok",), usage=(used, 0)) for used in (2000, 2000, 1500, 1500, 1500, 1000)))
    for told in ([], [], [25], [25], [25, 10], [25, 10, 5]):
        candidate.asks("?")
        assert warned("TOKEN_WARNING") == [25, 10, 5, *told]


def test_23_an_extension_reaches_the_candidate(stage: Scene, ann: httpx.Client) -> None:
    planned, candidate = begun(stage, ann)
    waits, limits = [], []
    head = seen(ann, planned)["as_of"]
    with following(candidate.client, f"{candidate.place}/events", after=head) as told:
        for _ in range(3):
            asked_at = time.monotonic()
            limits.append(does(ann, planned, "extend-time", seconds=600, reason="The network was slow")["time_limit"])
            event = next(event for event in told if event.get("type") == "TIME_EXTENDED")
            waits.append(time.monotonic() - asked_at)
            assert event["data"]["time_limit"] == limits[-1]
            assert event["data"]["reason"] == "The network was slow"
    assert limits == [4200, 4800, 5400] and min(waits) < 1
    extend = f"{place(planned)}/extend-time"
    refused(ann.post(extend, json={"seconds": 600}), 422, "VALIDATION_ERROR")
    refused(ann.post(extend, json={"seconds": -60, "reason": "x"}), 422, "VALIDATION_ERROR")
    does(ann, planned, "end")
    detail = "Cannot extend time. Session is in 'completed' state."
    refused(ann.post(extend, json={"seconds": 600, "reason": "x"}), 409, "WRONG_STATE", detail)


def test_24_a_reply_meets_a_pause_the_end_of_time_and_a_stop(tmp_path: Path) -> None:
    clock, gate = ManualClock(), Gate()
    with scene(tmp_path, clock=clock) as stage:
        person = stage.person("Ann")
        ann = stage.client(person)
        stage.plays(Step(("Both ", "parts"), gate=gate))
        paused, candidate = begun(stage, ann)
        turn = candidate.sends("Why?")["turn"]
        gate.wait_until_waiting()
        does(ann, paused, "pause")
        gate.open()
        candidate.hears(turn)
        received = events(ann, paused, "MESSAGE_RECEIVED")[0]["data"]
        assert received["content"] == "Both parts" and 0 < received["charged"] == seen(ann, paused)["tokens_used"]
        left = seen(ann, paused)["time_remaining"]
        clock.advance(600)
        assert seen(ann, paused)["time_remaining"] == left == 3600
        detail = "Session is paused. Cannot send messages."
        refused(candidate.post("/messages", {"content": "And?"}), 409, "NOT_ACTIVE", detail)

        stage.plays(Step(("late",), gate=Gate()))
        late, candidate = begun(stage, ann, time_limit=300)
        clock.advance(298)
        candidate.sends("Quick?")
        clock.advance(2)
        assert seen(ann, late)["status"] == "expired"
        assert types(ann, late)[-2:] == ["TURN_CANCELLED", "SESSION_EXPIRED"]

        gate = Gate()
        stage.plays(Step(("kept ", "lost"), gate=gate))
        stopped, candidate = begun(stage, ann)
        turn = candidate.sends("Still there?")["turn"]
        gate.release()
        candidate.reads(turn, "kept ")
        cookies = dict(candidate.client.cookies)

    with scene(tmp_path, clock=clock) as stage:
        ann, device = stage.client(person), stage.client()
        device.cookies.update(cookies)
        failed = awaits(ann, stopped, "TURN_FAILED")["data"]
        assert (failed["turn"], failed["reason"], failed["content"]) == (turn, "interrupted", "kept ")
        figures = seen(ann, stopped)
        assert (figures["tokens_reserved"], figures["tokens_used"], figures["status"]) == (0, 0, "active")
        candidate = Candidate(device, candidate.place, joined=True)
        again = candidate.post(f"/turns/{turn}/retry")
        assert again.status_code == 202
        candidate.hears(again.json()["turn"])
        assert seen(ann, stopped)["message_count"] == 2


def test_25_a_link_can_be_shared_changed_and_ended(stage: Scene, ann: httpx.Client) -> None:
    planned, first = begun(stage, ann)
    first.asks("One question")
    second = stage.joins(planned)
    assert second.get("/messages").json() == first.get("/messages").json()
    assert len(second.get("/messages").json()["items"]) == 2

    def rotated() -> float:
        """A change that ends the stream of a device that has come by the link; what it takes."""
        device = stage.joins(rotations[-1]) if rotations else second
        head = seen(ann, planned)["as_of"]
        with following(device.client, f"{device.place}/events", after=head) as told:
            changed_at = time.monotonic()
            rotations.append(does(ann, planned, "link", action="rotate"))
            assert [event for event in told if "type" in event] == []
            return time.monotonic() - changed_at

    rotations: list[dict[str, Any]] = []
    assert quickest(rotated, below=5) < 5
    fresh = rotations[-1]["join_url"]
    for device in (first, second):
        refused(device.get("/status"), 404, "NOT_FOUND", "This link is not valid.")
        refused(device.client.get(fresh + "/status"), 401, "JOIN_REQUIRED")

    def page(link: str) -> str:
        answer = httpx.get(link, headers=PAGE)
        assert answer.status_code == 404 and answer.headers["referrer-policy"] == "no-referrer"
        return re.sub(r"req_\w+|[0-9a-f]{8,}|[0-9a-z]{26}", "", answer.text)

    valid, late = plan(ann)["join_url"], plan(ann)
    wrong = page(f"{stage.served.url}/i/{'a' * 26}")
    assert "This link is not valid." in wrong
    does(ann, planned, "link", action="revoke")
    assert page(fresh) == wrong == page(planned["join_url"])
    assert httpx.get(valid, headers=PAGE).status_code == 200
    stage.clock.advance(8 * DAY)
    assert page(late["join_url"]) == wrong

    told_pages = []
    for verb, heading in (("pause", "Interview paused"), ("end", "Interview finished"), ("", "Time is up")):
        other, candidate = begun(stage, ann)
        if verb:
            does(ann, other, verb)
        else:
            stage.clock.advance(3600)
        told_pages.append(candidate.page())
        assert [
            name for name in ("Interview paused", "Interview finished", "Time is up") if name in told_pages[-1]
        ] == [heading]
    assert len(set(told_pages)) == 3


def test_25_the_code_of_a_link_is_told_nowhere(tmp_path: Path) -> None:
    with Installation(Settings(data=tmp_path, model="scripted"), apps=(APP,)) as installation:
        access = installation.access
        account = access.create_account("Ann", roles=("member",)).result()
        token, _ = access.create_token(account, "test", scopes=("*",)).result()
    environment = os.environ | {
        "SITTING_DATA": str(tmp_path), "SITTING_MODEL": "scripted", "SITTING_LOG_LEVEL": "debug",
    }  # fmt: skip
    with Program([sys.executable, "-m", "sitting", "serve", "--port", "0"], env=environment) as server:
        url = server.wait_for(r"http://127\.0\.0\.1:\d+")[0]
        server.wait_for("Sitting is ready")
        headers, patient = {"Authorization": f"Bearer {token}"}, httpx.Timeout(PATIENCE_SECONDS)
        with (
            httpx.Client(base_url=url, headers=headers, timeout=patient) as ann,
            httpx.Client(base_url=url, timeout=patient) as guest,
        ):
            planned = plan(ann)
            code = planned["join_url"].rpartition("/")[2]
            candidate = Candidate(guest, f"/i/{code}")
            candidate.post("/start")
            candidate.asks("Anything?")
            assert candidate.client.get(candidate.place, headers=PAGE).headers["referrer-policy"] == "no-referrer"
            candidate.get("/nothing")
            does(ann, planned, "end")
            paths = ("/events", "/export", "/export?format=markdown", "/export?format=print", "/ledger")
            told = [ann.get(place(planned) + path) for path in paths]
            told += [candidate.get(path) for path in ("/events", "/export", "/export?format=markdown", "/ledger")]
            told.append(ann.get(f"/v1/sessions/{planned['id']}/bundle"))
        server.stop()
        assert [answer.status_code for answer in told] == [200] * len(told) and "/i/***" in server.output
        assert not any(code in text for text in (server.output, *(answer.text for answer in told)))


def test_26_the_challenge_is_copied_and_its_tests_are_kept_back(stage: Scene, ann: httpx.Client) -> None:
    fields = {
        "title": "Count the boats", "category": "coding", "difficulty": "easy", "instructions": "Read the harbour log.",
        "hints": ["Think of a ledger."], "test_cases": [{"input": "boat-in", "expected": "boat-out"}],
    }  # fmt: skip
    made = ann.post("/challenges", json=fields)
    assert made.status_code == 201, made.text
    id = made.json()["id"]
    person = {"candidate_name": "Zenobia Quill", "candidate_email": "zq@example.com"}
    _, candidate = begun(stage, ann, challenge_id=id, **person)
    model = stage.plays()
    candidate.asks("Where to begin?")
    first = "\n".join(message.content for message in model.prompts[-1])
    for wanted in ("Count the boats", "Read the harbour log.", "Think of a ledger.", "Where to begin?"):
        assert wanted in first
    for hidden in ("boat-in", "boat-out", "Zenobia", "Quill", "zq@example.com"):
        assert hidden not in first
    changed = {"title": "Count the cars", "instructions": "Read the road log.", "hints": []}
    assert ann.patch(f"/challenges/{id}", json=changed).status_code == 200
    candidate.asks("And now?")
    second = "\n".join(message.content for message in model.prompts[-1])
    assert "Count the boats" in second and "Think of a ledger." in second and "road log" not in second
    assert "Count the boats" in candidate.page() and "road log" not in candidate.page()
    assert "Think of a ledger." not in candidate.page() and "boat-in" not in candidate.page()

    built_in = [item for item in ann.get("/challenges?limit=100").json()["items"] if item["built_in"]]
    categories = ("algorithms", "data_structures", "system_design", "coding")
    counts = [sum(item["category"] == name for item in built_in) for name in categories]
    assert len(built_in) == 16 and counts == [5, 5, 3, 3]
    answer = ann.patch(f"/challenges/{built_in[0]['id']}", json={"title": "Mine"})
    refused(answer, 409, "BUILT_IN", "Built-in challenges cannot be changed.")


def test_27_a_note_is_its_writers_alone(stage: Scene, ann: httpx.Client) -> None:
    planned, candidate = begun(stage, ann)
    ben, boss = stage.person("Ben"), stage.client(stage.person("Boss", "admin"))
    does(ann, planned, "interviewers", actor_id=ben.actor.id)
    candidate.asks("A question")
    note = does(ann, planned, "notes", text="Quokka thinks aloud", at_seq=1)["id"]
    assert ann.patch(f"{place(planned)}/notes/{note}", json={"text": "Quokka thinks well"}).status_code == 200
    does(ann, planned, "end")
    paths = (
        "", "/notes", "/messages", "/events", "/replay", "/scorecards", "/analytics", "/ledger", "/export",
        "/export?format=markdown", "/export?format=print", "/review",
    )  # fmt: skip
    generic = [f"/v1/sessions/{planned['id']}{path}" for path in ("", "/events", "/bundle")]
    own = ann.get(f"{place(planned)}/notes").json()["items"]
    assert [item["text"] for item in own] == ["Quokka thinks well"]
    for other in (stage.client(ben), boss):
        assert other.get(f"{place(planned)}/notes").json() == {"items": []}
        for address in [*(place(planned) + path for path in paths), *generic]:
            for form in ({}, ANY):
                told = other.get(address, headers=form)
                assert told.status_code == 200 and "Quokka" not in told.text, (address, told.status_code)
        answer = other.patch(f"{place(planned)}/notes/{note}", json={"text": "Mine"})
        refused(answer, 404, "NOT_FOUND", "Note not found")
    for path in ("", "/messages", "/events", "/ledger", "/export", "/export?format=markdown", "/export?format=print"):
        told = candidate.get(path)
        assert told.status_code == 200 and "Quokka" not in told.text + candidate.page(path), path
