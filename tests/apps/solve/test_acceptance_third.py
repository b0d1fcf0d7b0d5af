"""Acceptance statements 27 to 39 of solve: prompts, quota, budget, no model, lists, figures, exports, pages."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sitting import bundle
from sitting.apps.solve import (
    MessageRequest,
    SessionCreate,
    SessionListResponse,
    SessionResponse,
    SessionStatus,
    SolveSession,
    SolveStep,
    SSEDoneEvent,
    SSETokenEvent,
)
from sitting.model import Gate, Message, Step
from sitting.store import journal
from sitting.store.backup import backup
from tests.apps.solve.room import (
    LATER,
    MOCK,
    PAGE,
    PLAN,
    TALK,
    WORRY,
    Json,
    Owner,
    Reader,
    Scene,
    hears,
    invalid,
    refused,
    scene,
    together,
    told,
    trailer,
)
from tests.support.clock import ManualClock

WORDS = re.findall(r"\S+\s*", MOCK)
NASTY = "<img src=x> ![x](http://evil.example/x.png) [go](javascript:alert(8)) <script>alert(7)</script>"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("third")) as made:
        yield made


@pytest.fixture
def ann(house: Scene) -> Owner:
    house.plays()
    return house.owner()


def asked(prompt: Sequence[Message]) -> str:
    return "\n".join(message.content for message in prompt)


def test_27_the_model_is_given_the_whole_talk(house: Scene, ann: Owner) -> None:
    model = house.plays(Step(("Who is the quokka here?",)))
    id = ann.create(locale="en")
    ann.says(id, "Write to ada@example.com or call +34 600 123 456, please help")
    ann.says(id, "It started after the last project was late")
    first, second = (asked(prompt) for prompt in model.prompts)
    for wanted in ("[email]", "[phone]", "Who is the quokka here?", "It started after the last project was late"):
        assert wanted in second, second
    assert second.index("[email]") < second.index("Who is the quokka here?") < second.index("It started after")
    assert "quokka" not in first and not re.search("ada@|example.com|600|123 456", first + second)
    assert "ada@example.com" in ann.messages(id)[0]["content"]

    systems = {}
    for locale in ("en", "es", "zh"):
        model = house.plays()
        ann.says(ann.create(locale=locale), WORRY)
        systems[locale] = model.prompts[0][0].content
    assert len(set(systems.values())) == 3
    assert len(set(systems["es"].lower().split()) & {"que", "la", "de", "una", "no", "el"}) >= 4, systems["es"]
    assert len(re.findall(r"[\u4e00-\u9fff]", systems["zh"])) > 40
    for header, locale in (("es-ES,en;q=0.5", "es"), ("fr, zh-CN;q=0.8", "zh"), ("fr", "en")):
        made = ann.client.post("/sessions", json={}, headers={"Accept-Language": header}).json()
        assert ann.session(made["id"])["locale"] == locale


def test_27_what_does_not_fit_is_left_out_and_counted(house: Scene, ann: Owner) -> None:
    id = ann.brought("clarify")
    for number in range(6):
        house.plays(Step((f"Reply {number}",)))
        ann.says(id, f"Number {number}: " + "word " * 790)
    started = ann.events(id, "turn_started")[-1]["data"]["history"]
    assert started["left_out"] > 0 and started["messages"] + started["left_out"] == 13
    last = house.plays()
    ann.says(id, "And now a short one to end with")
    prompt = asked(last.prompts[0])
    assert WORRY in prompt and "Number 0:" not in prompt and "Number 5:" in prompt


def test_28_a_quota_is_kept_by_many_at_once(tmp_path: Path) -> None:
    clock = ManualClock()
    with scene(tmp_path, clock=clock, solve_quota_limit=2) as house:
        ann, ben = house.owner(), house.owner("Ben")
        for body in ({"locale": "fr"}, {"nonsense": 1}, {"title": ""}):
            invalid(ann.client.post("/sessions", json=body), *body)
        answers = together(10, lambda place: (ann, ben)[place % 2].client.post("/sessions", json={}))
        made = [answer.json() for answer in answers if answer.status_code == 201]
        usages = [{"sessions_used": used, "sessions_limit": 2, "tier": "free"} for used in (1, 2)]
        assert sorted((each["usage"] for each in made), key=lambda usage: usage["sessions_used"]) == usages
        over = [answer for answer in answers if answer.status_code != 201]
        assert len(over) == 8
        for answer in over:
            assert refused(answer, 403, "QUOTA_EXCEEDED")["usage"] == usages[1]
        invalid(ann.client.post("/sessions", json={"locale": "fr"}), "locale")  # validation comes first
        assert sum(owner.client.get("/sessions").json()["total"] for owner in (ann, ben)) == 2
        mine = ann if ann.client.get("/sessions").json()["total"] else ben
        id = mine.client.get("/sessions").json()["sessions"][0]["id"]
        for status in ("abandoned", "active"):
            mine.patches(f"/sessions/{id}", status=status)  # opened again: not charged again
        clock.advance(31 * 86_400)
        assert ann.client.post("/sessions").json()["usage"] == usages[0]


def test_29_a_budget_is_never_overdrawn(tmp_path: Path) -> None:
    with scene(tmp_path, solve_token_budget=3000) as house:
        house.plays(script=lambda asked: Step(usage=(20, 10)))
        ann = house.owner()
        id = ann.brought("commit")
        house.plays(script=lambda asked: Step(usage=(10**6, 10**6)))
        for number in range(5):
            answer = ann.sends(id, f"Should I do it on day {number} of the week?")
            if answer.status_code != 200:
                break
        before = ann.types(id)
        refused(ann.sends(id, PLAN), 409, "BUDGET_EXHAUSTED")
        refused(answer, 409, "BUDGET_EXHAUSTED")
        assert ann.types(id) == before
        engine, actor = house.served.installation.engine, ann.person.actor
        held = [engine.at(id, actor, seq).result().view["tokens"] for seq in range(1, len(before) + 1)]
        assert all(each["budget"] == 3000 and min(each.values()) >= 0 for each in held)
        assert max(each["reserved"] + each["spent"] for each in held) <= 3000
        assert any(each["reserved"] for each in held) and not held[-1]["reserved"]
        seen = ann.posts(f"/sessions/{id}/commit", first_step_action=PLAN, confidence=7)
        assert (seen["status"], seen["first_step_action"], seen["confidence"]) == ("completed", PLAN, 7)


def test_30_without_a_model_everything_else_works(house: Scene, ann: Owner) -> None:
    id, over = ann.brought("commit"), ann.brought("completed")
    house.leaves()
    before = ann.types(id)
    problem = refused(ann.sends(id, PLAN), 503, "MODEL_NOT_CONFIGURED")
    assert problem["message"].startswith("No language model is configured.") and problem["help"] == "/help/models"
    assert ann.types(id) == before
    assert ann.client.get("/sessions").json()["total"] == 2
    for path in (
        f"/sessions/{id}", f"/sessions/{id}/messages", f"/sessions/{id}/export", f"/sessions/{id}/export?format=json",
        f"/sessions/{id}/export?format=html", "/sessions/all/export", "/stats/overview", "/stats/export", "/actions",
    ):  # fmt: skip
        assert ann.client.get(path).status_code == 200, path
    assert ann.patches(f"/actions/{over}/complete", outcome="It went well")["action_completed"] is True
    assert ann.patches(f"/actions/{over}/uncomplete")["action_completed"] is False
    assert ann.posts(f"/sessions/{id}/commit", first_step_action=PLAN)["status"] == "completed"


def test_31_the_list_is_searched_and_filtered(tmp_path: Path) -> None:
    clock = ManualClock()
    with scene(tmp_path, clock=clock) as house:
        house.plays()
        ann, ben = house.owner(), house.owner("Ben")
        ben.create(title="100% his", tags=["work"])
        made: dict[str, str] = {}
        for title, tags in (
            ("I am 100% sure", ["work"]), ("1000 times", ["work", "home"]), ("a_b", ["home"]), ("aXb", []),
            ("Grüße AN ALLE", ["work"]), ("back\\slash", []),
        ):  # fmt: skip
            made[title] = ann.create(title=title, tags=tags)
            clock.advance(86_400)
        made["said"] = ann.brought("completed", tags=["work"])
        ann.patches(f"/sessions/{made['aXb']}", status="abandoned")

        def finds(**query: Any) -> set[str]:
            found: list[str] = []
            whole = ann.client.get("/sessions", params={"limit": 100, **query}).json()
            for offset in range(0, 20, 2):
                page = ann.client.get("/sessions", params={"limit": 2, "offset": offset, **query}).json()
                assert page["total"] == whole["total"]
                found += [item["id"] for item in page["sessions"]]
            assert len(found) == whole["total"] == len(set(found))
            assert found == [item["id"] for item in whole["sessions"]]
            return {name for name, id in made.items() if id in found}

        for query, names in (
            ({"q": "100%"}, {"I am 100% sure"}), ({"q": "100"}, {"I am 100% sure", "1000 times"}),
            ({"q": "a_b"}, {"a_b"}), ({"q": "A_B"}, {"a_b"}), ({"q": "\\"}, {"back\\slash"}),
            ({"q": "GRÜSSE an"}, {"Grüße AN ALLE"}), ({"q": "BOSS ignores"}, {"said"}), ({"q": "at EIGHT"}, {"said"}),
            ({"tags": "work"}, {"I am 100% sure", "1000 times", "Grüße AN ALLE", "said"}),
            ({"tags": "work,home"}, {"1000 times"}), ({"tags": "work", "q": "100%"}, {"I am 100% sure"}),
            ({"tags": "nothing"}, set()), ({"status": "completed"}, {"said"}), ({"status": "abandoned"}, {"aXb"}),
            ({"from_date": "2026-03-02", "to_date": "2026-03-03"}, {"1000 times", "a_b"}),
            ({"from_date": "2026-03-02T09:00:00Z", "to_date": "2026-03-03T11:00:00+02:00"}, {"1000 times", "a_b"}),
            ({"from_date": "2026-03-02T09:00:01Z", "to_date": "2026-03-03"}, {"a_b"}),
            ({"to_date": "2026-03-01", "tags": "work", "status": "active", "q": "sure"}, {"I am 100% sure"}),
            ({"from_date": "2026-03-02", "tags": "work", "q": "100%"}, set()), ({}, set(made)),
        ):  # fmt: skip
            assert finds(**query) == names, query
        for name, value in (
            ("q", "x" * 201), ("status", "done"), ("from_date", "2026-03-02T09:00:00"), ("to_date", "soon"),
        ):  # fmt: skip
            invalid(ann.client.get("/sessions", params={name: value}), name)


def test_32_the_first_steps_are_a_ledger(house: Scene, ann: Owner) -> None:
    done, open_, none = ann.brought("completed"), ann.brought("completed"), ann.brought("commit")
    made = ann.patches(f"/actions/{done}/complete", outcome="He listened")
    assert (made["id"], made["session_id"], made["outcome"], made["action_completed"]) == (
        done,
        done,
        "He listened",
        True,
    )
    assert made["first_step_action"] == PLAN and made["action_completed_at"] is not None
    stats = {"total": 2, "pending": 1, "completed": 1, "rate": 0.5}
    for status, ids in (("pending", [open_]), ("completed", [done]), ("all", [open_, done]), (None, [open_, done])):
        query = {} if status is None else {"status": status}
        page = ann.client.get("/actions", params=query).json()
        assert sorted(action["id"] for action in page["actions"]) == sorted(ids) and page["total"] == len(ids)
        assert page["stats"] == stats
        assert all(set(action) == set(made) for action in page["actions"])
    assert set(made) == {
        "id", "session_id", "title", "first_step_action", "confidence", "reminder_time", "action_completed",
        "action_completed_at", "outcome",
    }  # fmt: skip
    invalid(ann.client.get("/actions", params={"status": "some"}), "status")
    again = ann.patches(f"/actions/{done}/uncomplete")
    assert (again["action_completed"], again["action_completed_at"]) == (False, None)
    assert ann.client.get("/actions", params={"status": "pending"}).json()["total"] == 2
    for verb in ("complete", "uncomplete"):
        refused(ann.client.patch(f"/actions/{none}/{verb}", json={}), 400, "NO_ACTION")
        refused(house.owner("Ben").client.patch(f"/actions/{done}/{verb}", json={}), 404, "SESSION_NOT_FOUND")
    ann.patches(f"/actions/{done}/complete")
    model, id = house.plays(), ann.create()
    carried = ann.session(id)["carried"]
    assert carried == [{"session_id": open_, "first_step_action": PLAN, "reminder_time": None}]
    ann.says(id, "Now I worry about something else")
    assert PLAN in asked(model.prompts[0])


def recounted(sessions: Sequence[Json], today: str) -> Json:
    """The figures, from the lines of the list."""
    status = Counter(item["status"] for item in sessions)
    active = Counter(item["current_step"] for item in sessions if item["status"] == "active")
    tags = Counter(tag for item in sessions for tag in item["tags"])
    finished = [item for item in sessions if item["status"] == "completed"]
    return {
        "total": len(sessions),
        "by_status": {name: status[name] for name in ("active", "completed", "abandoned")},
        "by_step": {name: active[name] for name in ("receive", "clarify", "reframe", "options", "commit")},
        "completion_rate": status["completed"] / (status["completed"] + status["abandoned"]),
        "action_completion_rate": sum(item["action_completed"] for item in finished) / len(finished),
        "top_tags": sorted(tags.items(), key=lambda pair: (-pair[1], pair[0]))[:10],
        "today": {
            "date": today,
            "created": sum(item["created_at"].startswith(today) for item in sessions),
            "completed": sum((item["completed_at"] or "").startswith(today) for item in sessions),
        },
    }


def test_33_the_figures_are_those_of_the_list(tmp_path: Path) -> None:
    clock = ManualClock()
    with scene(tmp_path, clock=clock) as house:
        house.plays()
        ann = house.owner()
        empty = ann.client.get("/stats/overview").json()
        assert (empty["total"], empty["completion_rate"], empty["action_completion_rate"]) == (0, None, None)
        assert len(empty["trend"]) == 30
        for step, tags in (
            ("completed", ["work", "boss"]), ("completed", ["work"]), ("clarify", [f"t{n}" for n in range(10)]),
            ("options", ["u1", "u2"]), ("receive", ["work"]),
        ):  # fmt: skip
            last = ann.brought(step, tags=tags, title="=1+1")
            clock.advance(86_400)
        ann.patches(f"/sessions/{last}", status="abandoned")
        finished = ann.client.get("/actions").json()["actions"]
        ann.patches(f"/actions/{finished[0]['id']}/complete", outcome="+2")
        figures = ann.client.get("/stats/overview").json()
        sessions = ann.client.get("/sessions", params={"limit": 100}).json()["sessions"]
        trend = figures.pop("trend")
        assert [day["date"] for day in trend] == [
            (clock.now() - timedelta(days=back)).date().isoformat() for back in reversed(range(30))
        ]
        for day in trend:
            expected = recounted(sessions, day["date"])
            assert day == expected.pop("today")
        expected["top_tags"] = [{"tag": tag, "count": count} for tag, count in expected["top_tags"]]
        assert figures == expected
        assert ann.client.get("/stats/export", params={"format": "json"}).json() == {**figures, "trend": trend}
        rows = list(csv.reader(io.StringIO(ann.client.get("/stats/export", params={"format": "csv"}).text)))
        assert ["total", "", "5"] in rows
        answer = ann.client.get("/sessions/all/export", params={"format": "csv"})
        assert "attachment" in answer.headers["content-disposition"]
        cells = [cell for row in csv.reader(io.StringIO(answer.text)) for cell in row]
        assert cells.count("'=1+1") == 5 and "'+2" in cells
        assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]


MARK = "quokka-7f3a"


def stored(path: Path, mark: str) -> list[str]:
    """The files in which a word stands."""
    return [file.name for file in path.rglob("*") if file.is_file() and mark.encode() in file.read_bytes()]


def test_34_exports_are_whole_and_delete_leaves_nothing(tmp_path: Path) -> None:
    with scene(tmp_path / "data") as house:
        house.plays()
        ann = house.owner()
        id = ann.brought("clarify", title=f"{MARK} title", tags=[MARK[:20]])
        house.plays(trailer(f"{NASTY} {MARK}", beliefs={"goal": {"text": MARK, "quote": MARK}}))
        ann.says(id, f"{NASTY} {MARK} said")
        ann.patches(f"/sessions/{id}/beliefs/stakes", text=f"{MARK} stakes")
        said = [message["content"] for message in ann.messages(id)]
        export = ann.client.get(f"/sessions/{id}/export", params={"format": "json"})
        assert export.status_code == 200 and "attachment" in export.headers["content-disposition"]
        assert bundle.verify_file(export.content).ok
        assert [message["content"] for message in export.json()["messages"]] == said
        assert re.fullmatch("[0-9a-f]{64}", export.json()["head"])
        spoilt = export.content.replace(f"{MARK} said".encode(), f"{MARK} sayd".encode(), 1)
        assert spoilt != export.content and not bundle.verify_file(spoilt).ok
        page = ann.client.get(f"/sessions/{id}/export", params={"format": "html"}).text
        paper = ann.client.get(f"/sessions/{id}/export", params={"format": "markdown"}).text
        assert page.count("&lt;img src=x&gt;") == 2 and "<img" not in page and "<script" not in page
        assert "<img" not in paper and not re.search(r"(?<!\\)\]\(", paper)
        assert page.count(MARK) >= 4 and paper.count(MARK) >= 4 and TALK[0] in page and TALK[0] in paper
        assert ann.client.get(f"/sessions/{id}/export").text == paper
        invalid(ann.client.get(f"/sessions/{id}/export", params={"format": "pdf"}), "format")
        assert [event["data"]["format"] for event in ann.events(id, "exported")] == [
            "json", "html", "markdown", "markdown",
        ]  # fmt: skip
        assert ann.client.get("/sessions", params={"q": MARK}).json()["total"] == 1
        assert stored(tmp_path, MARK)
        assert ann.client.delete(f"/sessions/{id}").status_code == 204
        for path in ("", "/messages", "/events", "/export", "/export?format=json", "/reminder.ics"):
            answer = ann.client.get(f"/sessions/{id}{path}")
            assert answer.status_code == 404 and answer.json() == {"detail": {"error": "SESSION_NOT_FOUND"}}
        assert ann.client.delete(f"/sessions/{id}").status_code == 404
        store, engine = house.served.installation.store, house.served.installation.engine
        assert bundle.verify(store, engine.kinds, id, epoch=engine.epoch).result().ok
        [end] = store.read(lambda tx: journal.newest(tx, id, limit=1)).result()
        assert (end.type, end.actor) == ("deleted", ann.person.actor.id)
        for path in ("/sessions", f"/sessions?q={MARK}", "/sessions/all/export", "/stats/overview", "/actions"):
            assert MARK not in ann.client.get(path).text
        backup(house.served.installation.store, tmp_path / "backup.sitting")
        assert (tmp_path / "backup.sitting").stat().st_size > 0 and stored(tmp_path, MARK) == []


def test_34_what_was_carried_over_is_deleted_with_what_it_came_from(tmp_path: Path) -> None:
    with scene(tmp_path / "data") as house:
        ann = house.owner()
        first = ann.brought("commit")
        done = ann.client.post(f"/sessions/{first}/commit", json={"first_step_action": f"{MARK} tonight"})
        assert done.status_code == 200, done.text
        second, third = ann.create(), ann.create()
        assert [item["session_id"] for item in ann.session(second)["carried"]] == [first]
        assert stored(tmp_path, MARK)
        assert ann.client.delete(f"/sessions/{first}").status_code == 204
        for id in (second, third):
            assert ann.session(id)["carried"] == []
            export = ann.client.get(f"/sessions/{id}/export", params={"format": "json"})
            assert MARK not in export.text and bundle.verify_file(export.content).ok
        backup(house.served.installation.store, tmp_path / "backup.sitting")
        assert stored(tmp_path, MARK) == []


def test_35_an_administrator_sees_a_number_and_no_session(house: Scene, ann: Owner) -> None:
    id = ann.brought("clarify", title=f"{MARK} title")
    boss = house.owner("Boss", "admin")
    used = boss.client.post("/sessions").json()["usage"]["sessions_used"]
    ann.create()
    assert boss.client.post("/sessions").json()["usage"]["sessions_used"] == used + 2
    for path in ("", "/messages", "/events", "/export"):
        answer = boss.client.get(f"/sessions/{id}{path}")
        assert answer.status_code == 404 and answer.json() == {"detail": {"error": "SESSION_NOT_FOUND"}}
    for method, path in (("PATCH", ""), ("DELETE", ""), ("POST", "/messages")):
        answer = boss.client.request(
            method, f"/sessions/{id}{path}", json={"title": "x"} if method == "PATCH" else None
        )
        assert answer.status_code == 404, (method, path)
    for path in (f"/v1/sessions/{id}", f"/v1/sessions/{id}/events", f"/v1/sessions/{id}/bundle", f"/solve/{id}"):
        assert boss.client.get(path).status_code == 404, path
    for path in ("/sessions", "/v1/sessions?kind=solve", "/sessions/all/export", "/actions", "/solve"):
        answer = boss.client.get(path, headers=PAGE if path == "/solve" else LATER)
        assert answer.status_code == 200 and MARK not in answer.text and id not in answer.text, path


def test_36_a_repeated_message_is_one_turn(house: Scene, ann: Owner) -> None:
    gate = Gate()
    model = house.plays(Step(WORDS, gate=gate))
    id, key = ann.create(), {"Idempotency-Key": "one"}
    body = {"content": WORRY}
    with ann.client.stream("POST", f"/sessions/{id}/messages", json=body, headers=key) as response:
        gate.release(2)
        hears(Reader(response, response.iter_lines()), "I understand ")  # then the line breaks
    gate.open()
    answers = together(5, lambda place: ann.sends(id, WORRY, key))
    streams = [told(answer) for answer in answers]
    assert len({answer.headers["location"] for answer in answers}) == 1
    assert all(stream.text == MOCK for stream in streams)
    ends = [[(frame.event, frame.data, frame.id) for frame in stream.frames if frame.event] for stream in streams]
    assert ends == [ends[0]] * 5
    assert len(model.prompts) == 1 and ann.types(id).count("message_received") == 1
    refused(ann.sends(id, "Another body", key), 422, "IDEMPOTENCY_KEY_REUSED")
    later = ann.sends(id, WORRY, key | LATER)
    assert later.status_code in (200, 202) and ann.types(id).count("message_received") == 1
    once = [ann.client.post("/sessions", json={}, headers=key).json()["id"] for _ in range(2)]
    assert once[0] == once[1]


def test_37_followers_go_on_wherever_they_were_cut(house: Scene, ann: Owner) -> None:
    id = ann.brought("commit")
    events = ann.events(id)
    head = len(events)
    assert [event["seq"] for event in events] == list(range(1, head + 1)) and head > 20
    assert all(set(event) == {"seq", "type", "ts", "data"} for event in events)
    for path in (f"/v1/sessions/{id}/events", f"/sessions/{id}/events"):
        for cut in range(head + 1):
            page = ann.client.get(path, params={"after": f"1.{cut}", "limit": 500}, headers=LATER).json()
            assert page["events"] == events[cut:] and page["next"] == page["head"] == f"1.{head}"
            assert page["up_to_date"] is True and page["closed"] is False
            with ann.watching(path, after=f"1.{cut}") as reader:
                first = reader.frame()
                assert first is not None and first.retry is not None and first.id == f"1.{cut}"
                for expected in events[cut:]:
                    frame = reader.frame()
                    assert frame is not None and frame.event == ""
                    assert (frame.id, frame.data) == (f"1.{expected['seq']}", expected)
        refused_at = ann.client.get(path, params={"after": "x"}, headers=LATER)
        assert refused_at.status_code == 400 and "INVALID_CURSOR" in refused_at.text


def test_37_a_follower_in_the_middle_gets_what_was_said_so_far(house: Scene, ann: Owner) -> None:
    for cut in range(1, len(WORDS), 3):
        gate = Gate()
        house.plays(Step(WORDS, gate=gate))
        id = ann.create()
        with ann.saying(id) as own:
            for word in WORDS[:cut]:
                gate.release()
                hears(own, word)
            turn = own.response.headers["location"].split("/")[-2]
            with ann.watching(f"/sessions/{id}/events", after="now") as reader:
                said = "".join(WORDS[:cut])
                assert reader.until("snapshot").data == {"turn": turn, "off": 0, "text": said}
                for word in WORDS[cut:]:
                    gate.release()
                    token = reader.until("token")
                    assert token.data == {"turn": turn, "off": len(said), "text": word} and not token.id
                    said += word
                gate.open()
                frame = reader.until("")
                assert (frame.data["type"], frame.data["data"]["text"], said) == ("turn_completed", MOCK, MOCK)
                assert reader.until("done").data == {"turn": turn, "status": "completed", "seq": frame.data["seq"]}
            assert own.until("done").data["seq"] == frame.data["seq"]


def test_39_the_python_interface_is_the_documented_one() -> None:
    assert SessionStatus("active") is SessionStatus.ACTIVE
    assert [status.value for status in SessionStatus] == ["active", "completed", "abandoned"]
    assert [step.value for step in SolveStep] == ["receive", "clarify", "reframe", "options", "commit"]
    assert [step.name for step in SolveStep] == ["RECEIVE", "CLARIFY", "REFRAME", "OPTIONS", "COMMIT"]
    assert SSETokenEvent(content="I ").frame() == 'event: token\ndata: {"content": "I "}\n\n'
    assert SSETokenEvent(content="I ").frame(id="t.2") == 'event: token\ndata: {"content": "I "}\nid: t.2\n\n'
    done = SSEDoneEvent(next_step=SolveStep.CLARIFY, emotion_detected="neutral")
    assert done.frame() == 'event: done\ndata: {"next_step": "clarify", "emotion_detected": "neutral"}\n\n'
    assert SessionCreate().model_fields_set == set()
    assert MessageRequest(content=" x y z ").content == "x y z" and MessageRequest(content="x").step is None
    for wrong in ("", "  ", "x" * 4001):
        with pytest.raises(ValueError, match="content"):
            MessageRequest(content=wrong)


def test_39_the_python_interface_reads_what_the_routes_answer(ann: Owner) -> None:
    made = ann.client.post("/sessions", json={}).json()
    assert SessionResponse.model_validate(made).usage.sessions_limit is None
    id = ann.brought("options")
    session = SolveSession.model_validate(ann.session(id))
    assert (session.status, session.current_step) == (SessionStatus.ACTIVE, SolveStep.OPTIONS)
    listed = SessionListResponse.model_validate(ann.client.get("/sessions").json())
    assert listed.total == 2 and listed.sessions[0].id == id
    frame = ann.says(id, "Which of them is quicker to do").frames[-1]
    assert SSEDoneEvent.model_validate(frame.data).next_step is SolveStep.OPTIONS
