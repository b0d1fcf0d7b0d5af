"""The acceptance list of the interview, statements 1 to 18: each test carries the number of what it proves."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from sitting import errors
from sitting.apps.interview import (
    SessionConfig,
    SessionNotFound,
    SessionService,
    SessionStatus,
    UserType,
    get_session_service,
)
from sitting.installation import Installation
from sitting.model import Step
from sitting.scripted_model import Gate
from sitting.store import journal
from tests.apps.interview import room
from tests.apps.interview.room import PAGE, Candidate, plan, refused, types
from tests.support.clock import ManualClock
from tests.support.serving import Served

UNKNOWN = "00000000-0000-4000-8000-000000000000"
TEST = SessionConfig(candidate_name="Test User")
MOVES = {"start": ("created",), "pause": ("active",), "resume": ("paused",), "end": ("created", "active", "paused")}
STATES = ("created", "active", "paused", "completed", "expired")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def installation(tmp_path: Path, clock: ManualClock) -> Iterator[Installation]:
    with room.installed(tmp_path, clock=clock) as made:
        yield made


@pytest.fixture
def service(installation: Installation) -> SessionService:
    return SessionService(installation)


@pytest.fixture
def house(tmp_path: Path, clock: ManualClock) -> Iterator[Served]:
    with room.opened(tmp_path, clock=clock) as made:
        yield made


@pytest.fixture
def ann(house: Served) -> Iterator[httpx.Client]:
    with house.person("Ann").client() as client:
        yield client


def kinds(service: SessionService, id: str) -> list[str]:
    return [event.type.value for event in service.get_events(id)]


def test_01_the_configuration_validates() -> None:
    assert (TEST.time_limit, TEST.token_budget, TEST.model_name) == (3600, 50_000, "gpt-4")
    assert (TEST.candidate_email, TEST.challenge_id, TEST.challenge_text, dict(TEST.config)) == (None, None, None, {})
    fields: dict[str, Any] = {
        "candidate_name": "Ada", "candidate_email": "ada@example.com", "time_limit": 1800, "token_budget": 9000,
        "model_name": "gpt-4-turbo", "challenge_id": UNKNOWN, "challenge_text": "Sort", "config": {"team": "blue"},
    }  # fmt: skip
    kept = SessionConfig(**fields)
    assert {name: getattr(kept, name) for name in fields} == fields
    wrong: list[dict[str, Any]] = [
        {"candidate_name": ""}, {"candidate_name": "   "}, {"time_limit": -100}, {"time_limit": 0},
        {"token_budget": -1000}, {"token_budget": 0}, {"candidate_email": "x@"}, {"model_name": "unknown"},
    ]  # fmt: skip
    for change in wrong:
        with pytest.raises((ValidationError, errors.Invalid)):
            SessionConfig(**{"candidate_name": "Ada", **change})


def test_02_a_session_is_created_and_found(service: SessionService) -> None:
    made = service.create_session(SessionConfig(candidate_name="Test User", challenge_text="Sort a list"))
    assert uuid.UUID(made.id).version == 4 and str(uuid.UUID(made.id)) == made.id
    assert made.status == "created" and made.start_time is None
    assert (made.tokens_used, made.challenge_text) == (0, "Sort a list")
    assert service.get_session(made.id) == made
    assert service.get_session(UNKNOWN) is None


def test_03_only_input_can_be_updated(service: SessionService) -> None:
    made = service.create_session(TEST)
    changed = service.update_session(made.id, candidate_email="u@example.com", token_budget=75_000)
    assert (changed.candidate_email, changed.token_budget) == ("u@example.com", 75_000)
    with pytest.raises(ValueError, match="status"):
        service.update_session(made.id, status="completed")
    assert service.get_session(made.id) == changed
    with pytest.raises(SessionNotFound):
        service.update_session(UNKNOWN, token_budget=75_000)


def test_04_moves_in_a_wrong_state_change_nothing(service: SessionService, clock: ManualClock) -> None:
    made = service.create_session(TEST)
    assert service.pause_session(made.id) == made
    started = service.start_session(made.id)
    assert started.status == "active" and started.start_time is not None
    clock.advance(5)
    again = service.start_session(made.id)
    assert again.status == "active" and again.start_time == started.start_time
    assert kinds(service, made.id).count("SESSION_STARTED") == 1
    assert service.resume_session(made.id) == again


def test_05_pause_resume_and_end(service: SessionService, clock: ManualClock) -> None:
    id = service.create_session(TEST).id
    service.start_session(id)
    paused = service.pause_session(id)
    assert paused.status == "paused" and paused.paused_at == clock.now()
    clock.advance(7)
    resumed = service.resume_session(id)
    assert resumed.paused_at is None and resumed.total_paused_duration == 7
    ended = service.end_session(id)
    assert ended.status == "completed" and ended.end_time == clock.now()
    before = kinds(service, id)
    clock.advance(5)
    assert service.end_session(id).end_time == ended.end_time
    assert kinds(service, id) == before


def test_06_the_five_documented_events(service: SessionService) -> None:
    id = service.create_session(TEST).id
    for move in (service.start_session, service.pause_session, service.resume_session, service.end_session):
        move(id)
    names = "SESSION_CREATED SESSION_STARTED SESSION_PAUSED SESSION_RESUMED SESSION_COMPLETED"
    assert kinds(service, id) == names.split()
    assert service.get_events(id)[0].data == {"time_limit": 3600, "token_budget": 50_000, "model": "gpt-4"}


def test_07_access_expiry_and_time_left(service: SessionService, clock: ManualClock) -> None:
    id = service.create_session(TEST).id
    access = service.validate_session_access
    assert access(id, UserType.CANDIDATE) and access(id, UserType.INTERVIEWER)
    assert not access(UNKNOWN, UserType.CANDIDATE)
    assert not service.is_session_expired(id) and service.get_remaining_time(id) == 3600
    service.start_session(id)
    clock.advance(1)
    assert not service.is_session_expired(id) and service.get_remaining_time(id) == 3599
    assert service.is_session_expired(UNKNOWN) and service.get_remaining_time(UNKNOWN) is None


def test_08_lists_and_the_shared_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: ManualClock) -> None:
    with room.installed(tmp_path / "one", clock=clock) as installation:
        service = SessionService(installation)
        made = [service.create_session(TEST) for _ in range(3)]
        service.start_session(made[1].id)
        listed = service.list_sessions()
        assert {each.id for each in listed} == {each.id for each in made}
        assert [each.id for each in service.list_sessions(status=SessionStatus.ACTIVE)] == [made[1].id]
        assert len(service.list_sessions(limit=2, offset=2)) == 1
        with pytest.raises(ValueError, match="limit"):
            service.list_sessions(limit=101)
    assert listed[0].candidate_name == "Test User" and listed[0].time_remaining == 3600
    monkeypatch.setenv("SITTING_DATA", str(tmp_path / "two"))
    own = SessionService()
    kept = own.create_session(TEST)
    own.close()
    assert kept.status == "created" and kept.config == {}
    assert get_session_service() is get_session_service()


def test_09_one_expiry_whoever_notices(tmp_path: Path, clock: ManualClock) -> None:
    short = SessionConfig(candidate_name="Test User", time_limit=2)
    with room.installed(tmp_path, clock=clock) as installation:
        service = SessionService(installation)
        id = service.create_session(short).id
        begun = service.start_session(id).start_time
        assert begun is not None
        clock.advance(3)
        with ThreadPoolExecutor(20) as many:
            seen = list(many.map(service.get_session, [id] * 20))
        assert {each.status for each in seen if each} == {SessionStatus.EXPIRED}
        assert {each.end_time for each in seen if each} == {begun + timedelta(seconds=2)}
        assert kinds(service, id).count("SESSION_EXPIRED") == 1
        left, again = service.create_session(short).id, service.create_session(short).id
        service.start_session(left)
        clock.advance(3)
        installation.worker.tick()
        assert stored(installation, left).count("SESSION_EXPIRED") == 1
        service.start_session(again)
    clock.advance(3)
    with room.installed(tmp_path, clock=clock) as restarted:
        restarted.worker.tick()
        assert stored(restarted, again).count("SESSION_EXPIRED") == 1
        for each in (left, again):
            found = SessionService(restarted).get_session(each)
            assert found is not None and found.start_time is not None
            assert found.end_time == found.start_time + timedelta(seconds=2)


def stored(installation: Installation, id: str) -> list[str]:
    """The journal as it lies in the store: looking here makes nothing happen."""
    return [record.type for record in installation.store.read(lambda tx: list(journal.every(tx, id))).result()]


def test_10_pauses_do_not_count_and_one_figure_is_told(
    house: Served, ann: httpx.Client, clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan(ann)
    place = f"/interviews/{planned['id']}"
    with Candidate(house, planned) as candidate:
        ann.post(f"{place}/start")
        clock.advance(600)
        ann.post(f"{place}/pause")
        clock.advance(600)
        told = [ann.get(place), ann.get(f"{place}/remaining"), candidate.get("/status")]
        assert [each.json()["time_remaining"] for each in told] == [3000] * 3
        assert ann.get("/interviews").json()["items"][0]["time_remaining"] == 3000
    # Time that passes here and not on the wall is a wall clock set back by as much.
    with room.installed(tmp_path / "wall") as installation, monkeypatch.context() as patch:
        service, passed = SessionService(installation), time.clock_gettime
        id = service.create_session(SessionConfig(candidate_name="Test User", time_limit=10_800)).id
        service.start_session(id)
        patch.setattr(time, "clock_gettime", lambda clock: passed(clock) + 7200)
        left = service.get_remaining_time(id)
        assert left is not None and 3590 <= left <= 3600


def test_11_what_is_created_over_http(ann: httpx.Client) -> None:
    full = {"candidate_name": "Ada", "candidate_email": "ada@example.com", "time_limit": 1800, "token_budget": 9000}
    answer = ann.post("/interviews", json={**full, "model_name": "gpt-4", "challenge_text": "Sort", "config": {}})
    made = answer.json()
    assert answer.status_code == 201 and answer.headers["location"] == f"/interviews/{made['id']}"
    assert {"id", "join_url", "as_of", "tokens_remaining", "time_remaining", "interviewers"} <= set(made)
    for wrong in ({"time_limit": 299}, {"token_budget": 999}, {"tokens_used": 1}):
        refused(ann.post("/interviews", json={**full, **wrong}), 422, "VALIDATION_ERROR")
    form = {"candidate_name": "", "candidate_email": "x", "time_limit_minutes": "4", "token_budget": "999"}
    page = ann.post("/interviews/new", data={**form, "model_name": "gpt-4"}, headers=PAGE)
    assert page.status_code == 422
    text = re.sub(r"<[^>]+>", "", page.text)
    for sentence in ("Candidate name is required", "Invalid email address", "Time limit must be at least 5 minutes",
                     "Token budget must be at least 1000"):  # fmt: skip
        assert f"❌ {sentence}" in text


def test_12_the_form(ann: httpx.Client) -> None:
    form = ann.get("/interviews/new", headers=PAGE).text
    for part in ("gpt-4-turbo", "gpt-3.5-turbo", 'value="gpt-4"', 'min="5"', 'max="180"', 'min="1000"', 'max="200000"',
                 "60-90 minutes", "30,000-50,000", "15,000-20,000", "20-30 messages", "100-150 messages"):  # fmt: skip
        assert part in form
    fields = {"candidate_name": "Ada", "time_limit_minutes": "60", "token_budget": "50000", "model_name": "gpt-4"}
    sent = ann.post("/interviews/new", data=fields, headers=PAGE)
    assert sent.status_code == 303
    page = ann.get(sent.headers["location"], headers=PAGE).text
    found = re.search(r"/interviews/([0-9a-f-]{36})\?created=1", sent.headers["location"])
    assert "✅ Session created successfully!" in page and found is not None and found[1] in page


def moved(ann: httpx.Client, clock: ManualClock, state: str) -> str:
    id: str = plan(ann, time_limit=300)["id"]
    if state != "created":
        ann.post(f"/interviews/{id}/start")
    if state in ("paused", "completed"):
        ann.post(f"/interviews/{id}/{'pause' if state == 'paused' else 'end'}")
    if state == "expired":
        clock.advance(301)
    assert ann.get(f"/interviews/{id}").json()["status"] == state
    return id


def test_13_every_move_in_every_state(ann: httpx.Client, clock: ManualClock) -> None:
    for state in STATES:
        for verb, allowed in MOVES.items():
            id = moved(ann, clock, state)
            before = types(ann, id)
            answer = ann.post(f"/interviews/{id}/{verb}")
            if state in allowed:
                assert answer.status_code == 200
                continue
            detail = f"Cannot {verb} session. Session is in '{state}' state."
            assert refused(answer, 409, "WRONG_STATE", detail)["session_status"] == state
            assert types(ann, id) == before
    id = plan(ann)["id"]
    with ThreadPoolExecutor(50) as many:
        codes = list(many.map(lambda _: ann.post(f"/interviews/{id}/start").status_code, range(50)))
    assert sorted(codes) == [200] + [409] * 49


ROUTES = (
    "GET ", "PATCH ", "DELETE ", "POST /start", "POST /pause", "POST /resume", "POST /end", "POST /extend-time",
    "POST /extend-tokens", "GET /remaining", "GET /messages", "GET /events", "GET /turns/x/stream",
    "POST /turns/x/cancel", "GET /analytics", "GET /ledger", "GET /replay?at=1", "GET /notes", "POST /notes",
    "PATCH /notes/x", "DELETE /notes/x", "GET /scorecards", "PUT /scorecard", "POST /scorecard/submit",
    "POST /scorecard/amend", "POST /evidence", "POST /link", "POST /interviewers", "DELETE /interviewers/user:x",
    "GET /export",
)  # fmt: skip


def test_14_what_is_not_yours_is_not_there(house: Served, ann: httpx.Client) -> None:
    planned = plan(ann)
    with house.person("Ben").client() as ben, httpx.Client(base_url=house.url) as nobody:
        for route in ROUTES:
            method, path = route.split(" ")
            told = []
            for id in (planned["id"], UNKNOWN, "nonsense"):
                body: dict[str, Any] | None = {} if method in ("POST", "PUT", "PATCH") else None
                problem = refused(ben.request(method, f"/interviews/{id}{path}", json=body), 404, "NOT_FOUND")
                told.append({name: problem[name] for name in ("status", "title", "detail", "code")})
            assert told[0] == told[1] == told[2]
            place = f"/interviews/{planned['id']}{path}"
            refused(nobody.request(method, place), 401, "NOT_AUTHENTICATED", "Not authenticated")
        page = nobody.get(f"/interviews/{planned['id']}", headers=PAGE)
        assert page.status_code == 303 and page.headers["location"].startswith("/sign-in?next=")
    with Candidate(house, planned) as candidate:
        refused(candidate.client.post(f"{candidate.place}/start", json={}), 403, "CSRF_FAILED")


def test_15_the_link_tells_and_changes_nothing(house: Served, ann: httpx.Client) -> None:
    planned = plan(ann, candidate_name="Ada Secretname", challenge_text="Secret task")
    for _ in range(3):
        page = httpx.get(planned["join_url"], headers=PAGE)
        assert page.status_code == 200 and "Secret" not in page.text
    seen = ann.get(f"/interviews/{planned['id']}").json()
    assert seen["as_of"] == planned["as_of"] and seen["start_time"] is None
    with Candidate(house, planned) as candidate:
        assert candidate.post("/start").status_code == 200
    assert types(ann, planned["id"]).count("SESSION_STARTED") == 1
    waiting = plan(ann, config={"start_by": "interviewer"})
    with Candidate(house, waiting) as candidate:
        refused(candidate.post("/start"), 409, "WAIT_FOR_INTERVIEWER")


def test_16_messages_by_state_and_length(house: Served, ann: httpx.Client, clock: ManualClock) -> None:
    reasons = {
        "created": ("NOT_STARTED", "Session has not been started yet."),
        "paused": ("NOT_ACTIVE", "Session is paused. Cannot send messages."),
        "completed": ("NOT_ACTIVE", "Session is completed. Cannot send messages."),
        "expired": ("TIME_EXPIRED", "Session time has expired."),
    }
    for state, (code, detail) in reasons.items():
        planned = plan(ann, time_limit=300)
        with Candidate(house, planned) as candidate:
            place = f"/interviews/{planned['id']}"
            if state != "created":
                ann.post(f"{place}/start")
            if state in ("paused", "completed"):
                ann.post(f"{place}/{'pause' if state == 'paused' else 'end'}")
            if state == "expired":
                clock.advance(301)
            refused(candidate.post("/messages", {"content": "Hello"}), 409, code, detail)
    planned = plan(ann)
    with Candidate(house, planned) as candidate:
        candidate.post("/start")
        refused(candidate.post("/messages", {"content": ""}), 422, "MESSAGE_EMPTY", "Message cannot be empty.")
        refused(candidate.post("/messages", {"content": "x" * 5001}), 422, "MESSAGE_TOO_LONG")
        candidate.ask("x" * 5000)


def pieces(told: str) -> str:
    found = [json.loads(line[6:]) for line in told.splitlines() if line.startswith("data: ")]
    return "".join(each.get("content", "") for each in found)


def test_17_a_reply_is_the_sum_of_its_pieces(house: Served, ann: httpx.Client) -> None:
    planned = plan(ann)
    with Candidate(house, planned) as candidate:
        candidate.post("/start")
        sent = candidate.ask("How do I sort numbers?")
        said = candidate.get("/messages").json()["items"]
        text = said[-1]["content"]
        assert sent["turn"] and text and said[-1]["turn"] == sent["turn"]
        for cut in range(len(text)):
            assert (
                pieces(candidate.client.get(sent["stream"], headers={"Last-Event-ID": f"{sent['turn']}.{cut}"}).text)
                == text[cut:]
            )
    seen = ann.get(f"/interviews/{planned['id']}").json()
    assert seen["tokens_used"] == seen["input_tokens"] + seen["output_tokens"] > 0
    assert seen["message_count"] == 2


def test_18_one_turn_at_a_time_within_the_budget(tmp_path: Path) -> None:
    gate, last = Gate(), Gate()
    steps = (
        Step(("Well, ", "now"), gate=gate), Step(("cut", "off"), fail_after=1), Step(("silent",), usage=None),
        Step(("negative",), usage=(-5, -5)), Step(("huge",), usage=(10**9, 10**9)), Step(("half ", "way"), gate=last),
    )  # fmt: skip
    with room.opened(tmp_path, *steps) as house:
        ann = house.person("Ann")
        with ann.client() as by:
            planned = plan(by, token_budget=200_000)
            with Candidate(house, planned) as candidate, ThreadPoolExecutor(50) as many:
                candidate.post("/start")
                answers = list(many.map(lambda _: candidate.post("/messages", {"content": "Hello"}), range(50)))
                assert sorted(each.status_code for each in answers) == [202] + [409] * 49
                assert {each.json()["code"] for each in answers if each.status_code == 409} == {"TURN_ACTIVE"}
                gate.open()
                won = next(each.json() for each in answers if each.status_code == 202)
                assert "event: done" in candidate.client.get(won["stream"]).text
                for word in ("cut", "silent", "negative", "huge"):
                    candidate.ask(word)
                assert candidate.post("/messages", {"content": "killed"}).status_code == 202
                last.wait_until_waiting()
            assert by.get(f"/interviews/{planned['id']}").json()["tokens_reserved"] > 0
    with room.opened(tmp_path) as house, httpx.Client(base_url=house.url, headers=dict(ann.headers)) as by:
        place = f"/interviews/{planned['id']}"
        told = by.get(f"{place}/events?limit=500").json()["events"]
        turn = [each["data"]["turn"] for each in told if each["type"] == "MESSAGE_SENT"][-1]
        stream = by.get(f"{place}/turns/{turn}/stream", timeout=60)
        assert stream.status_code in (200, 204)
        head = int(by.get(place).json()["as_of"].split(".")[1])
        for at in range(1, head + 1):
            then = by.get(f"{place}/replay?at={at}").json()["session"]
            assert then["tokens_used"] + then["tokens_reserved"] <= then["token_budget"]
        assert by.get(place).json()["tokens_reserved"] == 0
        ended = by.get(f"{place}/events?limit=500").json()["events"][-1]
        assert (ended["type"], ended["data"]["reason"]) == ("TURN_FAILED", "interrupted")
