"""The routes of solve beside the acceptance statements: bounds, forms of refusal, what stands in a PATCH, exports."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from sitting.apps.solve import edge
from sitting.apps.solve.routes import router
from tests.apps.solve.room import LATER, PAGE, PLAN, WORRY, Owner, Scene, invalid, refused, scene

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("routes")) as made:
        yield made


@pytest.fixture
def ann(house: Scene) -> Owner:
    house.plays()
    return house.owner()


def asking(query: str = "", **headers: str) -> Any:
    """A request as the edge sees it."""
    from starlette.requests import Request

    raw = [(name.replace("_", "-").lower().encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "query_string": query.encode(), "headers": raw})


@pytest.mark.parametrize(
    ("header", "locale"),
    [
        ("", "en"), ("es", "es"), ("zh-Hant-TW", "zh"), ("de, es;q=0.3, zh;q=0.7", "zh"), ("es;q=0, en;q=0.1", "en"),
        ("es;q=nonsense, zh;q=0.2", "es"), ("*", "en"), (",;q=,", "en"), ("EN-us", "en"), ("zh;q=0.5,es;q=0.5", "zh"),
    ],
)  # fmt: skip
def test_the_language_is_the_one_that_is_wished_for_most(header: str, locale: str) -> None:
    assert edge.locale(asking(accept_language=header)) == locale


def test_a_day_means_all_of_it_and_a_time_needs_its_zone() -> None:
    assert edge.moment(asking("at=2026-03-02"), "at") == datetime(2026, 3, 2, tzinfo=UTC)
    last = edge.moment(asking("at=2026-03-02"), "at", last=True)
    assert last == datetime(2026, 3, 2, 23, 59, 59, 999_999, tzinfo=UTC)
    for written in ("2026-03-02T10:00:00.5Z", "2026-03-02T12:00:00.5%2B02:00", "2026-03-02T12:00:00.5+02:00"):
        assert edge.moment(asking(f"at={written}"), "at") == datetime(2026, 3, 2, 10, 0, 0, 500_000, tzinfo=UTC)
    assert edge.moment(asking(), "at") is None and edge.moment(asking("at="), "at") is None


@pytest.mark.parametrize(
    "value",
    [
        "2026-03-02T10:00:00", "2026-13-01", "2026-W01", "yesterday", "2026-02-30T10:00Z",
        "0001-01-01T00:00:00%2B14:00", "9999-12-31T23:59:59-14:00", "1770000000", "2026-03-02T10Z", "x" * 41,
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(ann: Owner, value: str) -> None:
    for name in ("from_date", "to_date"):
        invalid(ann.client.get(f"/sessions?{name}={value}"), name)


def test_a_list_is_asked_by_tags_as_they_are_kept(ann: Owner) -> None:
    id = ann.create(tags=["Work", "  HOME "])
    ann.create(tags=["work"])
    assert ann.session(id)["tags"] == ["work", "home"]
    for asked, total in ((" WORK , home,", 1), ("work,work", 2), (",", 2), ("wor%", 0), ("w", 0)):
        assert ann.client.get("/sessions", params={"tags": asked}).json()["total"] == total
    invalid(ann.client.get("/sessions", params={"tags": ",".join(f"t{n}" for n in range(11))}), "tags")
    assert ann.patches(f"/sessions/{id}", tags=["home"])["tags"] == ["home"]
    assert ann.client.get("/sessions", params={"tags": "work"}).json()["total"] == 1
    assert ann.client.get("/sessions", params={"q": "home"}).json()["total"] == 0, "words are not tags"


@pytest.mark.parametrize(
    "query",
    ["limit=1&limit=2", "q=a&q=b", "status=done", "status=", "include_messages=maybe", "limit=1e1", "q=%ED%A0%80"],
)
def test_bounds_of_the_query(ann: Owner, query: str) -> None:
    path = f"/sessions/{ann.create()}" if query.startswith("include") else "/sessions"
    answer = ann.client.get(f"{path}?{query}")
    assert answer.status_code == (400 if "%ED" in query else 422), answer.text
    if answer.status_code == 422:
        assert answer.json()["detail"]["fields"][0]["field"] == query.partition("=")[0]


def test_messages_come_along_on_request_and_in_pages(ann: Owner) -> None:
    id = ann.brought("reframe")
    whole = ann.client.get(f"/sessions/{id}", params={"include_messages": "true"}).json()
    said = ann.messages(id)
    assert whole["messages"] == said and len(said) == 8 and "messages" not in ann.session(id)
    assert set(said[0]) == {
        "message_id", "turn", "role", "content", "step", "created_at", "status", "emotion_detected",
    }  # fmt: skip
    page = ann.client.get(f"/sessions/{id}/messages", params={"limit": 3, "offset": 6}).json()
    assert (page["messages"], page["total"], page["limit"], page["offset"]) == (said[6:], 8, 3, 6)
    for query in ({"limit": 0}, {"limit": 101}, {"offset": -1}):
        invalid(ann.client.get(f"/sessions/{id}/messages", params=query), *query)
    turn = ann.turn(id, said[1]["turn"])
    assert set(turn) >= {
        "turn", "step", "status", "source", "evidence", "tactic", "code", "started_at", "ended_at", "input_tokens",
        "output_tokens", "text",
    }  # fmt: skip
    assert (turn["text"], turn["evidence"], turn["source"]) == (said[1]["content"], [said[0]["message_id"]], "model")


def test_refusals_have_one_form(house: Scene, ann: Owner) -> None:
    id = ann.create()
    post = ann.client.post
    big = post("/sessions", content=b'{"title": "' + b"x" * 70_000 + b'"}', headers=JSON)
    refused(big, 413, "BODY_TOO_LARGE")
    refused(post(f"/sessions/{id}/messages", content=b" " * 65_537, headers=JSON), 413, "BODY_TOO_LARGE")
    for path in ("/sessions", f"/sessions/{id}/messages"):
        refused(post(path, data={"content": WORRY}), 415, "UNSUPPORTED_MEDIA_TYPE")
    refused(ann.client.patch(f"/sessions/{id}", data={"title": "x"}), 415, "UNSUPPORTED_MEDIA_TYPE")
    refused(ann.client.put(f"/sessions/{id}", json={}), 405, "METHOD_NOT_ALLOWED")
    refused(ann.client.get(f"/sessions/{id}/nothing"), 404, "NOT_FOUND")
    detail = refused(ann.client.patch(f"/sessions/{id}", content=b"{", headers=JSON), 422, "VALIDATION_ERROR")
    assert [fault["field"] for fault in detail["fields"]] == ["body"]
    invalid(ann.client.post("/sessions", json={"mood": "secret"}), "mood")
    key = {"Idempotency-Key": "x" * 256}
    refused(post("/sessions", json={}, headers=key), 422, "VALIDATION_ERROR")
    with house.served.person("Ro", scopes=("read",)).client() as reader:
        refused(reader.post("/sessions", json={}), 403, "NOT_ALLOWED")
        assert reader.get("/sessions").status_code == 200


def test_a_cookie_needs_the_token_of_our_page(house: Scene, ann: Owner) -> None:
    access = house.served.installation.access
    link = access.make_link(ann.person.actor.id).result()
    cookie = access.use_link(link).result()
    csrf = access.by_cookie(cookie).result().csrf
    with httpx.Client(base_url=house.served.url, cookies={"sitting": cookie}) as browser:
        refused(browser.post("/sessions", json={}), 403, "CSRF_FAILED")
        made = browser.post("/sessions", json={}, headers={"X-CSRF-Token": csrf})
        assert made.status_code == 201
        id = made.json()["id"]
        refused(browser.post(f"/sessions/{id}/messages", json={"content": WORRY}), 403, "CSRF_FAILED")
        sent = browser.post(f"/sessions/{id}/messages", json={"content": WORRY}, headers={"X-CSRF-Token": csrf})
        assert sent.status_code == 200 and "event: done" in sent.text
        page = browser.get(f"/sessions/{id}", headers=PAGE)
        assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
        missing = browser.get("/sessions/nonsense", headers=PAGE)
        assert missing.status_code == 404 and missing.headers["content-type"].startswith("text/html")


def test_too_many_messages_and_creations(tmp_path_factory: pytest.TempPathFactory) -> None:
    with scene(tmp_path_factory.mktemp("rates"), solve_messages_minute=2, solve_creations_minute=2) as house:
        house.plays()
        ann = house.owner()
        id, other = ann.create(), ann.create()
        over = ann.client.post("/sessions", json={})
        detail = refused(over, 429, "RATE_LIMITED")
        assert int(over.headers["retry-after"]) >= 1 and detail["message"]
        ann.says(id, WORRY)
        ann.says(other, WORRY)
        before = ann.types(id)
        refused(ann.sends(id, "One message more than there may be"), 429, "RATE_LIMITED")
        assert ann.types(id) == before
        assert ann.says(id, "I want to die").done["blocked"] is True, "danger is never told to wait"
        assert house.owner("Ben").create()


def test_a_patch_changes_fields_or_makes_one_move(ann: Owner) -> None:
    id = ann.create()
    path = f"/sessions/{id}"
    seen = ann.patches(path, title="  Boss ", tags=["a"], locale="es")
    assert (seen["title"], seen["tags"], seen["locale"]) == ("Boss", ["a"], "es")
    assert ann.patches(path)["title"] == "Boss", "nothing is asked for, nothing changes"
    for body in (
        {"status": "abandoned", "title": "x"}, {"current_step": "clarify", "title": "x"},
        {"status": "abandoned", "current_step": "clarify"}, {"status": "completed", "title": "x"},
        {"title": None}, {"tags": None}, {"nonsense": 1}, {"reminder_time": 1_770_000_000},
    ):  # fmt: skip
        assert ann.client.patch(path, json=body).status_code == 422, body
    assert ann.client.patch(path, json=[]).status_code == 422
    for status in ("active", "done", "", None, 7, ["abandoned"]):
        refused(ann.client.patch(path, json={"status": status}), 400, "INVALID_STATUS")
    no_steps: list[Any] = ["done", "", None, 7, {}]
    for step in no_steps:
        refused(ann.client.patch(path, json={"current_step": step}), 400, "INVALID_STEP")
    stale = ann.client.patch(path, json={"title": "y"}, headers={"If-Match": '"1.1"'})
    assert stale.status_code == 412 and ann.session(id)["title"] == "Boss"
    assert ann.patches(path, status="abandoned")["status"] == "abandoned"
    for status in ("abandoned", "completed"):
        refused(ann.client.patch(path, json={"status": status}), 400, "INVALID_STATUS")
    assert ann.patches(path, status="active")["status"] == "active"


def test_a_session_is_completed_by_a_patch_only_with_a_first_step(ann: Owner) -> None:
    id = ann.brought("commit")
    path = f"/sessions/{id}"
    refused(ann.client.patch(path, json={"status": "completed"}), 400, "INVALID_STATUS")
    ann.patches(path, first_step_action="A draft")
    seen = ann.patches(path, status="completed")
    assert (seen["status"], seen["first_step_action"]) == ("completed", "A draft")
    refused(ann.client.patch(path, json={"status": "active"}), 400, "INVALID_STATUS")
    refused(ann.client.patch(path, json={"locale": "es"}), 400, "SESSION_COMPLETED")
    other = ann.brought("commit")
    body = {"status": "completed", "first_step_action": PLAN, "confidence": 3}
    assert ann.client.patch(f"/sessions/{other}", json={**body, "confidence": 11}).status_code == 422
    seen = ann.patches(f"/sessions/{other}", **body)
    assert (seen["first_step_action"], seen["confidence"]) == (PLAN, 3)


def test_beliefs_are_corrected_and_cleared(ann: Owner) -> None:
    id = ann.create()
    seen = ann.patches(f"/sessions/{id}/beliefs/goal", text="Be heard")
    assert seen["beliefs"]["goal"]["text"] == "Be heard" and seen["beliefs"]["goal"]["by"] == "owner"
    assert ann.patches(f"/sessions/{id}/beliefs/goal", text=None)["beliefs"]["goal"] is None
    refused(ann.client.patch(f"/sessions/{id}/beliefs/mood", json={"text": "x"}), 404, "SLOT_NOT_FOUND")
    refused(ann.client.patch("/sessions/x/beliefs/mood", json={"text": "x"}), 404, "SESSION_NOT_FOUND")
    for body in ({}, {"text": ""}, {"text": "x" * 201}, {"text": 7}, {"text": "x", "by": "model"}):
        assert ann.client.patch(f"/sessions/{id}/beliefs/goal", json=body).status_code == 422, body


def test_paths_with_nonsense_are_unknown(ann: Owner) -> None:
    id = ann.brought("options")
    refused(ann.client.post(f"/sessions/{id}/turns/{'x' * 300}/cancel", json={}), 404, "TURN_NOT_FOUND")
    refused(ann.client.post(f"/sessions/{id}/options/{'x' * 300}/choose", json={}), 404, "OPTION_NOT_FOUND")
    refused(ann.client.get(f"/sessions/{id}/turns/x"), 404, "TURN_NOT_FOUND")
    refused(ann.client.post(f"/sessions/{id}/turns/x/retry", json={"a": 1}), 422, "VALIDATION_ERROR")
    refused(ann.client.post("/sessions/x/turns/x/retry", json={"a": 1}), 404, "SESSION_NOT_FOUND")


def test_a_reminder_is_a_calendar_entry(ann: Owner) -> None:
    id = ann.brought("commit")
    refused(ann.client.get(f"/sessions/{id}/reminder.ics"), 404, "NO_REMINDER")
    day = (datetime.now(UTC) + timedelta(days=30)).date()
    ann.posts(f"/sessions/{id}/commit", first_step_action=PLAN, reminder_time=f"{day}T10:00:00+02:00")
    answer = ann.client.get(f"/sessions/{id}/reminder.ics")
    assert answer.headers["content-type"].startswith("text/calendar") and "attachment" in str(answer.headers)
    assert f"DTSTART:{day:%Y%m%d}T080000Z\r\n" in answer.text and f"SUMMARY:{PLAN}\r\n" in answer.text


def test_everything_is_exported_at_once(house: Scene, ann: Owner) -> None:
    first, second = ann.brought("clarify"), ann.create(title="Second")
    house.owner("Ben").create(title="Not mine")
    whole = ann.client.get("/sessions/all/export")
    assert "attachment" in whole.headers["content-disposition"]
    sessions = whole.json()["sessions"]
    assert [session["id"] for session in sessions] == [second, first]
    assert sessions[1]["messages"] == ann.messages(first) and "Not mine" not in whole.text
    assert ann.client.get("/sessions/all/export?format=csv").text.count("\r\n") == 3
    invalid(ann.client.get("/sessions/all/export?format=html"), "format")
    invalid(ann.client.get("/stats/export?format=html"), "format")


def test_the_same_key_on_other_commands(ann: Owner) -> None:
    id, key = ann.brought("options"), {"Idempotency-Key": "again"}
    answers = [ann.client.post(f"/sessions/{id}/options/A/choose", json={}, headers=key) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200} and len({answer.content for answer in answers}) == 1
    assert ann.types(id).count("option_chosen") == 1
    turn = ann.says(id, "What would be the first step then?").done["turn"]
    refused(ann.acts(id, turn, "cancel"), 409, "TURN_FINISHED")


@pytest.mark.parametrize("accept", ["application/json", "Application/JSON", "application/json; charset=utf-8"])
def test_json_is_asked_for_in_any_case(ann: Owner, accept: str) -> None:
    answer = ann.sends(ann.create(), WORRY, {"Accept": accept})
    assert answer.status_code == 202 and answer.json()["stream_url"] == answer.headers["location"]


def test_followers_are_asked_for_in_both_forms(house: Scene, ann: Owner) -> None:
    id = ann.create()
    path = f"/sessions/{id}/events"
    page = ann.client.get(path, headers=LATER).json()
    assert page["next"] == page["head"] and page["closed"] is False
    assert ann.client.head(path).status_code == 200
    refused(ann.client.get(path, params={"after": "x"}), 400, "INVALID_CURSOR")
    assert ann.client.get(path, headers={"Accept": "image/png"}).json() == page
    refused(house.owner("Ben").client.get(path), 404, "SESSION_NOT_FOUND")
    assert re.fullmatch(r'"\d+\.\d+"', ann.client.get(f"/sessions/{id}").headers["etag"])


def operations(routes: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Every method of every route of the programs' side."""
    for route in routes:
        if isinstance(route, Route) and not route.path.startswith("/solve"):
            yield from ((method, route.path) for method in sorted(route.methods or ()))


BODIES = {
    "/messages": {"content": WORRY}, "/options": {"title": "x", "actions": ["y"]}, "/beliefs/goal": {"text": "x"},
    "/commit": {"first_step_action": "x"},
}  # fmt: skip
OF_ONE = [known for known in operations(router.routes) if "{id}" in known[1]]


def test_the_walk_has_seen_the_routes() -> None:
    assert len(OF_ONE) > 18 and ("PATCH", "/actions/{id}/complete") in OF_ONE


@pytest.mark.parametrize(("method", "path"), OF_ONE, ids=lambda word: str(word))
def test_no_route_tells_a_foreign_session_from_none(house: Scene, ann: Owner, method: str, path: str) -> None:
    ben = house.owner("Ben")
    foreign = ben.brought("clarify")
    turn = ben.messages(foreign)[1]["turn"]
    before = ben.types(foreign)
    told = set()
    for id in (foreign, "00000000-0000-4000-8000-000000000000", "nonsense", "a" * 500):
        place = path.format(id=id, turn=turn, option_id="A", slot="goal")
        right = next((body for end, body in BODIES.items() if place.endswith(end)), {})
        for body in (right, {"nonsense": "secret"}, [1]):
            answer = ann.client.request(method, place, json=body if method in ("POST", "PATCH") else None)
            assert answer.status_code == 404, answer.text
            told.add(answer.content)
    assert told <= {b"", b'{"detail":{"error":"SESSION_NOT_FOUND"}}'} and len(told) == 1
    assert ben.types(foreign) == before


@pytest.mark.parametrize(("method", "path"), sorted(operations(router.routes)), ids=lambda word: str(word))
def test_no_body_breaks_a_route(ann: Owner, dice: random.Random, method: str, path: str) -> None:
    id = ann.brought("options")
    turn = ann.messages(id)[-1]["turn"]
    words: list[Any] = [
        None,
        0,
        -1,
        2**53 - 1,
        1.5,
        True,
        "",
        "x",
        "=1+1",
        "\u2028",
        "x" * 5000,
        [],
        {},
        ["x"] * 20,
        {"a": {}},
    ]
    names = (
        "content", "step", "title", "tags", "locale", "status", "current_step", "reminder_time", "first_step_action",
        "confidence", "outcome", "text", "actions", "reason", "format", "nonsense",
    )  # fmt: skip
    for _ in range(25):
        place = path.format(id=id, turn=dice.choice([turn, "x"]), option_id=dice.choice("ABZ"), slot="goal")
        body = {name: dice.choice(words) for name in dice.sample(names, dice.randint(0, 3))}
        query = {
            name: str(dice.choice(words))[:300] for name in dice.sample(("limit", "offset", "q", "tags", "after"), 2)
        }
        sent = body if method in ("POST", "PATCH") else None
        answer = ann.client.request(method, place, params=query, headers=LATER, json=sent)
        assert answer.status_code < 500, (place, body, query, answer.text)
        if answer.status_code == 204:
            id = ann.create()
