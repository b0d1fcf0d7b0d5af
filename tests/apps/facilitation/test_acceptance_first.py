"""The acceptance list of team meetings, statements 1 to 12: each test carries the number of what it proves."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from sitting.web import deps
from tests.apps.facilitation.room import (
    JSON,
    PAGE,
    House,
    Json,
    Meeting,
    body,
    csrf,
    following,
    frames,
    opened,
    refused,
    sent,
    until,
)
from tests.support.timing import quickest

UNKNOWN = "00000000-0000-4000-8000-000000000000"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
STATES = ("draft", "capturing", "closed", "revealed")
MOVES = {
    "start": ("draft", "Cannot start capturing."),
    "close": ("capturing", "Cannot close capture."),
    "reveal": ("closed", "Cannot reveal synthesis."),
}
MONTH = "Invalid month format. Use YYYY-MM."


@pytest.fixture(scope="module")
def opened_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("first")) as made:
        yield made


@pytest.fixture
def house(opened_house: House) -> House:
    opened_house.silent()
    return opened_house


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_01_a_session_is_created(house: House) -> None:
    team = house.team()
    answer = team.by.post(f"{team.sessions}/create", data={"month": "2026-01"})
    assert answer.status_code == 303
    place = answer.headers["location"]
    assert re.fullmatch(f"/admin/sessions/{UUID}", place)
    status = body(team.by.get(f"{place}/status"))
    assert (status["state"], status["total_members"], status["submitted_count"]) == ("draft", 3, 0)


def test_02_a_month_has_one_session(house: House) -> None:
    team = house.team()
    team.plan("2026-01")
    taken = "Session for 2026-01 already exists."
    again = team.by.post(f"{team.sessions}/create", data={"month": "2026-01"})
    refused(again, 409, taken, "CONFLICT")
    page = team.by.post(f"{team.sessions}/create", data={"month": "2026-01"}, headers=PAGE)
    assert page.status_code == 409 and taken in page.text and 'name="month"' in page.text

    def create(_: int) -> httpx.Response:
        return team.by.post(f"{team.sessions}/create", data={"month": "2026-02"})

    with ThreadPoolExecutor(20) as many:
        both = sorted(answer.status_code for answer in many.map(create, range(20)))
    assert both == [303] + [409] * 19
    assert body(team.by.get(team.sessions, headers=JSON))["total"] == 2


def test_03_a_month_is_strict(house: House) -> None:
    team = house.team()
    forms: list[Json] = [{"month": wrong} for wrong in ("2026-1", "2026-13", "abc", "", "٢٠٢٦-٠١", "1999-01")]
    for form in (*forms, {}, {"moth": "2026-01"}):
        refused(team.by.post(f"{team.sessions}/create", data=form), 422, MONTH, "VALIDATION_ERROR")
    assert team.by.post(f"{team.sessions}/create", data={"month": "2026-01", "more": "1"}).status_code == 422
    page = team.by.post(f"{team.sessions}/create", data={"month": "2026-13"}, headers=PAGE)
    assert page.status_code == 422 and MONTH in page.text and 'name="month"' in page.text
    assert body(team.by.get(team.sessions, headers=JSON))["total"] == 0
    sent(team.by.post(f"{team.sessions}/create", data={"month": " 2026-01 "}))


def test_04_closing_a_draft_is_refused_in_these_words(house: House) -> None:
    answer = house.team().plan().posts("close")
    assert answer.status_code == 400
    assert answer.text == """{"detail":"Cannot close capture. Session is in 'draft' state."}"""
    assert answer.headers["sitting-code"] == "WRONG_STATE"


def test_05_every_move_in_every_state(house: House) -> None:
    team = house.team()
    pairs = [(state, move) for state in STATES for move in MOVES]
    for number, (state, move) in enumerate(pairs, 1):
        meeting = team.plan(f"2025-{number:02}").to(state)
        before = meeting.head
        answer = meeting.posts(move)
        source, opening = MOVES[move]
        if state == source:
            assert sent(answer) == meeting.url
            assert meeting.state == STATES[STATES.index(state) + 1]
            continue
        refused(answer, 400, f"{opening} Session is in '{state}' state.", "WRONG_STATE")
        assert meeting.head == before and meeting.state == state
        page = meeting.posts(move, **PAGE)
        assert page.status_code == 400 and f"Session is in &#39;{state}&#39; state." in page.text
    meeting = team.plan("2026-01")
    with ThreadPoolExecutor(50) as many:
        all = list(many.map(lambda _: meeting.posts("start"), range(50)))
    assert sorted(answer.status_code for answer in all) == [303] + [400] * 49
    assert meeting.types().count("started") == 1


def test_06_recalibration_is_marked_both_ways_in_every_state(house: House) -> None:
    team = house.team()
    for number, state in enumerate(STATES, 1):
        meeting = team.plan(f"2026-{number:02}").to(state)
        for word, value in (("true", True), ("false", False), ("ON", True), ("n", False), ("1", True), ("Off", False)):
            assert meeting.does("recalibration", completed=word) == meeting.url
            assert meeting.panel()["recalibration_completed"] is value
        for form in ({}, {"completed": ""}, {"completed": "maybe"}):
            answer = meeting.posts("recalibration", form)
            assert answer.status_code == 422 and answer.headers["sitting-code"] == "VALIDATION_ERROR"
            [fault] = answer.json()["detail"]
            assert {"type", "loc", "msg"} == set(fault) and "maybe" not in answer.text
        meeting.does("recalibration", completed="yes")
        assert meeting.panel()["recalibration_completed"] is True
        listed = body(team.by.get(team.sessions, headers=JSON))["sessions"][0]
        assert (listed["session_id"], listed["recalibration_completed"]) == (meeting.id, True)
    history = team.by.get("/admin/sessions/history", params={"team": team.id}, headers=PAGE)
    assert history.status_code == 200 and history.text.count("Action Done") >= len(STATES)


def test_07_the_status_has_these_keys_and_no_others(house: House) -> None:
    team = house.team("Zoe", "Ann", "Mia")
    meeting = team.capturing()
    meeting.device(2, "Something")
    status = meeting.status()
    assert list(status) == ["session_id", "state", "total_members", "submitted_count", "members"]
    assert status["session_id"] == meeting.id and isinstance(status["session_id"], str)
    assert (status["total_members"], status["submitted_count"]) == (3, 1)
    assert status["members"] == [
        {"id": 1, "name": "Zoe", "submitted": False},
        {"id": 2, "name": "Ann", "submitted": True},
        {"id": 3, "name": "Mia", "submitted": False},
    ]
    assert [type(member["id"]) for member in status["members"]] == [int] * 3
    for move in ("close", "reveal"):
        meeting.does(move)
        assert set(meeting.status()) == set(status)


def nine(team: str, session: str) -> list[tuple[str, str, Json | None]]:
    return [
        ("GET", f"/admin/sessions/team/{team}", None),
        ("GET", f"/admin/sessions/team/{team}/create", None),
        ("POST", f"/admin/sessions/team/{team}/create", {"month": "2026-09"}),
        ("GET", f"/admin/sessions/{session}", None),
        ("POST", f"/admin/sessions/{session}/start", {}),
        ("POST", f"/admin/sessions/{session}/close", {}),
        ("POST", f"/admin/sessions/{session}/reveal", {}),
        ("GET", f"/admin/sessions/{session}/status", None),
        ("POST", f"/admin/sessions/{session}/recalibration", {"completed": "true"}),
    ]


def elsewhere(house: House) -> httpx.Client:
    """Somebody of another space, as a program."""
    access = house.installation.access
    space = access.create_space("Elsewhere").result()
    account = access.create_account("Eve", space=space).result()
    token, _ = access.create_token(account, "test", space=space).result()
    return house.client(None, Authorization=f"Bearer {token}")


def test_08_what_is_not_yours_is_not_there(house: House) -> None:
    eve, mine = elsewhere(house), house.facilitator("Mine")
    theirs, foreign = house.team(by=house.facilitator("Other")).plan(), house.team(by=eve).plan()
    ids = [(UNKNOWN, UNKNOWN), ("nonsense", "nonsense"), ("%2e%2e", "é" * 40)]
    ids += [(meeting.team.id, meeting.id) for meeting in (theirs, foreign)]
    for place in range(9):
        answers = []
        for team, session in ids:
            method, path, form = nine(team, session)[place]
            answer = mine.request(method, path, data=form)
            text = "Team not found" if place < 3 else "Session not found"
            refused(answer, 404, text, "NOT_FOUND")
            headers = {k: v for k, v in answer.headers.items() if k not in ("date", "x-request-id", "request-id")}
            answers.append((answer.content, headers))
        assert all(answer == answers[0] for answer in answers), (place, answers)
        for mover in (theirs, foreign):
            assert mover.types() == ["created"]


def test_09_who_has_not_signed_in(house: House) -> None:
    meeting = house.team().plan()
    nobody = house.client()
    panel = nobody.get(meeting.url)
    assert panel.status_code == 303 and unquote(panel.headers["location"]) == f"/sign-in?next={meeting.url}"
    for answer in (nobody.get(meeting.url, headers=JSON), nobody.get(f"{meeting.url}/status")):
        refused(answer, 401, "Not authenticated", "NOT_AUTHENTICATED")
    assert nobody.get(f"{meeting.url}/status", headers=PAGE).status_code == 401

    access = house.installation.access
    account = house.installation.access.create_account("Dora", roles=("admin",)).result()
    browser = house.client()
    cookie = access.use_link(access.make_link(account).result()).result()
    browser.cookies.set(deps.SIGN_IN, cookie, domain="127.0.0.1")
    page = browser.get(meeting.url, headers=PAGE)
    assert page.status_code == 200, "an administrator of the space is a facilitator of every team in it"
    for form in ({}, {"csrf_token": "wrong"}):
        answer = browser.post(f"{meeting.url}/start", data=form)
        refused(answer, 403, "CSRF token missing or invalid", "CSRF_FAILED")
    assert meeting.state == "draft"
    assert sent(browser.post(f"{meeting.url}/start", data={"csrf_token": csrf(page.text)})) == meeting.url
    sent(browser.post(f"{meeting.url}/close", headers={"X-CSRF-Token": csrf(page.text)}))
    assert meeting.does("reveal") == meeting.url, "a bearer token needs no other"


def test_10_the_list_and_the_form(house: House) -> None:
    team = house.team()
    for month in ("2026-02", "2025-12", "2026-01"):
        team.plan(month)
    listed = body(team.by.get(team.sessions, headers=JSON))
    assert set(listed) == {"team_id", "sessions", "total", "limit", "offset"}
    assert (listed["team_id"], listed["total"], listed["limit"], listed["offset"]) == (team.id, 3, 50, 0)
    assert [item["month"] for item in listed["sessions"]] == ["2026-02", "2026-01", "2025-12"]
    keys = "session_id month state total_members submitted_count gap_type recalibration_completed"
    assert all(set(item) == set(keys.split()) and item["gap_type"] is None for item in listed["sessions"])
    part = body(team.by.get(team.sessions, params={"limit": 1, "offset": 1}, headers=JSON))
    assert [item["month"] for item in part["sessions"]] == ["2026-01"] and part["total"] == 3
    for wrong in ("limit=0", "limit=101", "offset=-1", "limit=x"):
        answer = team.by.get(f"{team.sessions}?{wrong}")
        assert answer.status_code == 422 and isinstance(answer.json()["detail"], list), answer.text
    page = team.by.get(team.sessions, headers=PAGE).text
    places = [page.index(f"/admin/sessions/{item['session_id']}") for item in listed["sessions"]]
    assert places == sorted(places)
    form = team.by.get(f"{team.sessions}/create", headers=PAGE)
    assert form.status_code == 200 and f'value="{house.clock.now():%Y-%m}"' in form.text


def test_11_the_roster_is_the_sessions_own(house: House) -> None:
    team = house.team()
    meeting = team.capturing()
    sent(team.posts("/members", name="Dan"))
    assert meeting.status()["total_members"] == 3
    assert meeting.does("members/add", name="Eve") == meeting.url
    roster = [member["name"] for member in meeting.status()["members"]]
    assert roster == ["Alice", "Bob", "Cy", "Eve"]
    sent(team.posts("/members/1/delete"))
    assert [member["name"] for member in meeting.status()["members"]] == roster
    later = team.capturing("2026-02")
    assert [member["name"] for member in later.status()["members"]] == ["Bob", "Cy", "Dan", "Eve"]
    sent(team.posts("/members", name=" Alice "))
    refused(team.posts("/members", name="alice"), 409, "A member with this name already exists.", "CONFLICT")
    full = house.team(*(f"Member {number}" for number in range(1, 26)))
    refused(full.posts("/members", name="One too many"), 400, "This team already has 25 members.")
    meeting.device(2, "Something")
    taken = "Cannot remove a member who has submitted. Clear the response first."
    refused(meeting.posts("members/2/remove"), 400, taken)
    assert meeting.does("members/3/remove") == meeting.url
    assert meeting.status()["total_members"] == 3


def test_12_a_name_belongs_to_one_device(house: House) -> None:
    meeting = house.team().capturing()
    first, second = meeting.device(), meeting.device()
    claimed = first.claims(1)
    assert sent(claimed) == f"{meeting.room}/member/1/respond"
    cookie = claimed.headers["set-cookie"]
    assert cookie.startswith(f"join-{meeting.id}=") and "HttpOnly" in cookie and "SameSite=lax" in cookie
    assert f"Max-Age={60 * 24 * 3600}" in cookie and len(str(first.cookie)) >= 43
    used = "This name is already in use on another device. Ask the facilitator to release it."
    refused(second.claims(1), 409, used, "CONFLICT")
    assert second.cookie is None
    refused(first.claims(2), 409, "You are Alice on this device. Leave first.", "CONFLICT")
    assert first.status()["state"] == "capturing"

    def released() -> float:
        if not meeting.panel()["members"][0]["claimed"]:
            assert sent(first.claims(1)) == f"{meeting.room}/member/1/respond"
        with following(first.client, meeting.id) as lines:
            stream = frames(lines)
            until(stream, lambda frame: "id" in frame)
            start = time.monotonic()
            assert meeting.does("member/1/release") == meeting.url
            list(stream)  # until the server closes it
            return time.monotonic() - start

    assert quickest(released, below=5) < 5
    refused(first.client.get(f"{meeting.room}/status"), 404, "Session not found", "NOT_FOUND")
    refused(first.client.get(f"{first.place}/respond"), 404, "Session not found", "NOT_FOUND")
    refused(meeting.posts("member/1/release"), 404, "Claim not found", "NOT_FOUND")
    assert sent(second.claims(1)) == f"{meeting.room}/member/1/respond"
    third: dict[str, Any] = {member["name"]: member["claimed"] for member in meeting.panel()["members"]}
    assert third == {"Alice": True, "Bob": False, "Cy": False}


def test_12_several_sessions_on_one_phone(house: House) -> None:
    """A phone may hold a claim in each of several sessions; one does not open another."""
    team = house.team()
    january, february = team.capturing(), team.capturing("2026-02")
    phone = january.device(1)
    other: Meeting = february
    there = other.device()
    there.client.cookies.update(phone.client.cookies)
    assert there.claims(2).status_code == 303
    assert there.client.get(f"{january.room}/status").status_code == 200
    refused(phone.client.get(f"{february.room}/status"), 404, "Session not found")
