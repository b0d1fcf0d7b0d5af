"""The acceptance list of team meetings, statements 24 to 30, 33 and 34: what is kept, what goes out, who comes in."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sitting import bundle
from sitting.core.event import from_text
from sitting.installation import Installation
from sitting.store import journal
from tests.apps.facilitation.canaries import Watch, pages, readable
from tests.apps.facilitation.markup import beside, qr
from tests.apps.facilitation.room import (
    JSON,
    PAGE,
    Device,
    House,
    Meeting,
    Team,
    again,
    answers,
    body,
    following,
    frames,
    is_,
    opened,
    outcome,
    refused,
    sent,
    until,
)
from tests.support.clock import ManualClock

TEXTS = ("Quokka one", "Quokka two", "Quokka three")
NASTY = "<script>alert(7)</script><b>x</b>"
EXPORTS = {
    "": "session-2026-01-{}.json", "/level1": "session-2026-01-{}-level1.json",
    "/level2": "session-2026-01-{}-level2.json", "/level3": "session-2026-01-{}-level3.json",
    "/markdown": "session-2026-01-{}.md", "/csv": "session-2026-01-{}.csv",
}  # fmt: skip


@pytest.fixture(scope="module")
def opened_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("third")) as made:
        yield made


@pytest.fixture
def house(opened_house: House) -> House:
    opened_house.silent()
    return opened_house


def revealed(team: Team, *texts: str, month: str = "2026-01") -> tuple[Meeting, list[Device]]:
    """A session that was played to its end, with the model's words."""
    team.house.plays(*answers(outcome()))
    meeting = team.capturing(month)
    phones = meeting.filled(*(texts or TEXTS))
    meeting.does("close")
    if len(phones) >= 3:
        meeting.awaits("synthesis_completed")
    meeting.does("reveal")
    return meeting, phones


def alone(page: str, text: str) -> str:
    return beside(page, text, [other for other in TEXTS if other != text])


def test_24_anonymity_hides_names_and_only_rises(house: House) -> None:
    names = ("Alice", "Bob", "Cy")
    meeting, phones = revealed(house.team(settings={"anonymity": "anonymous"}))
    panel = meeting.panel()
    assert panel["anonymity"] == "anonymous" and [each["member"] for each in panel["responses"]] == [None] * 3
    assert not any(each["participants"] for each in panel["synthesis"]["statements"])
    shown = [meeting.page(), meeting.page("/meeting?level=3"), phones[1].page(f"{meeting.room}/synthesis")]
    for page in shown:
        for text in TEXTS:
            assert not any(name in alone(page, text) for name in names)
    for path in ("", "/level1", "/level2", "/level3", "/markdown", "/csv", "/print"):
        out = meeting.get(f"/export{path}").text
        responses = out if path else json.dumps(json.loads(out)["panel"]["responses"])
        assert not any(name in responses for name in names), path
    for level in ("named", "facilitator_only"):
        refused(meeting.posts("anonymity", {"level": level}), 400, "Anonymity can only be raised.")

    mine = label(meeting, phones[0])
    others = next(each for each in ("R1", "R2", "R3") if each != mine)
    page = f"{meeting.room}/synthesis"
    refused(phones[0].posts("/authorship", seen=page, response=others), 404, "Response not found", "NOT_FOUND")
    refused(phones[0].posts("/authorship", seen=page, response="R9"), 404, "Response not found", "NOT_FOUND")
    sent(phones[0].posts("/authorship", seen=page, response=mine))
    assert meeting.events("authorship_claimed")[0]["data"]["response"] == mine
    for text in (meeting.page(), phones[2].page(page), meeting.get("/export/print").text):
        assert "Alice" in alone(text, TEXTS[0])
        assert not any(name in alone(text, other) for other in TEXTS[1:] for name in names)
    owners = {each["response"]: each["member"] for each in meeting.panel()["responses"]}
    assert owners.pop(mine) == {"id": 1, "name": "Alice"} and set(owners.values()) == {None}


def test_24_names_for_facilitators_only(house: House) -> None:
    meeting, phones = revealed(house.team())
    assert "Alice" in alone(phones[1].page(f"{meeting.room}/synthesis"), TEXTS[0])
    meeting.does("anonymity", level="facilitator_only")
    assert {each["member"]["name"] for each in meeting.panel()["responses"]} == {"Alice", "Bob", "Cy"}
    for page in (phones[1].page(f"{meeting.room}/synthesis"), meeting.page("/meeting?level=3")):
        assert not any(name in alone(page, text) for text in TEXTS for name in ("Alice", "Bob", "Cy"))
    refused(meeting.posts("anonymity", {"level": "named"}), 400, "Anonymity can only be raised.")
    meeting.does("anonymity", level="anonymous")
    assert [each["member"] for each in meeting.panel()["responses"]] == [None] * 3


def label(meeting: Meeting, phone: Device) -> str:
    """Which response is a phone's own, by its receipt."""
    receipt = phone.response
    assert receipt is not None
    return next(str(each["response"]) for each in meeting.panel()["responses"] if each["leaf"] == receipt["leaf"])


def test_25_a_cleared_response_does_not_count(house: House) -> None:
    meeting = house.team().capturing()
    alice, bob = meeting.device(1, "Stays"), meeting.device(2, "Wrong person")
    assert meeting.status()["submitted_count"] == 2
    assert meeting.does("member/2/clear", reason="Asked for it") == meeting.url
    assert meeting.status()["submitted_count"] == 1
    assert [each["submitted"] for each in meeting.status()["members"]] == [True, False, False]
    refused(meeting.posts("member/2/clear"), 404, "Response not found", "NOT_FOUND")
    assert bob.response is None and alice.response is not None
    sent(bob.submits("Right"))
    meeting.does("close")
    text = "Cannot clear response. Session is in 'closed' state."
    refused(meeting.posts("member/2/clear"), 400, text, "WRONG_STATE")
    records = stored(house.installation, meeting.id)
    assert [seq for seq, _ in records] == list(range(1, len(records) + 1))
    assert body(meeting.by.get(f"/v1/sessions/{meeting.id}/verify"))["ok"] is True
    assert "Wrong person" not in meeting.page() + json.dumps(meeting.panel())


def stored(installation: Installation, id: str) -> list[tuple[int, str]]:
    """The journal as it lies in the store: looking here makes nothing happen."""
    read = installation.store.read(lambda tx: [(each.seq, each.type) for each in journal.every(tx, id)])
    return read.result()


def test_26_actions_stand_until_they_are_done(house: House) -> None:
    team = house.team()
    january = team.capturing("2026-01").to("revealed")
    form = {"text": "Write down who decides", "owner_member_id": "2", "due_on": "2026-02-01", "session_id": january.id}
    assert sent(team.posts("/actions", **form)) == january.url
    february = team.capturing("2026-02")
    [action] = february.panel()["open_actions"]
    assert (action["text"], action["owner"]["name"], action["due_on"]) == (form["text"], "Bob", "2026-02-01")
    assert (action["month"], action["session_id"], action["status"]) == ("2026-01", january.id, "open")
    [started] = february.events("started")
    assert [each["id"] for each in started["data"]["carried_actions"]] == [action["id"]]
    page = february.page()
    assert form["text"] in page and page.index(form["text"]) < page.index("Close Capture")
    assert form["text"] in team.plan("2026-04").page("/meeting")
    done = {**form, "session_id": february.id, "status": "done", "outcome": "Helped"}
    sent(team.posts(f"/actions/{action['id']}", **done))
    march = team.capturing("2026-03")
    assert march.panel()["open_actions"] == []
    assert march.events("started")[0]["data"]["carried_actions"] == []
    assert form["text"] not in march.page()


def test_27_exports_come_after_the_reveal(house: House) -> None:
    team = house.team(company_name='Acme "Ü"; x=1', team_name="Crew\N{RIGHT DOUBLE QUOTATION MARK}")
    meeting = team.capturing()
    risky = ("=1+1", "+cmd", "-2", "@sum")
    meeting.device(1, *risky)
    meeting.device(2, 'plain, with "quotes"', card=None)
    for state in ("capturing", "closed"):
        meeting.to(state)
        for path in (*EXPORTS, "/print"):
            refused(meeting.get(f"/export{path}"), 400, f"Cannot export. Session is in '{state}' state.")
    meeting.does("reveal")
    for path, name in EXPORTS.items():
        answer = meeting.get(f"/export{path}")
        assert answer.status_code == 200
        header = answer.headers["content-disposition"]
        assert header.startswith(f'attachment; filename="{name.format(team.code)}"'), header
    whole = meeting.get("/export")
    assert list(whole.json())[:1] == ["format"] and whole.json()["format"] == "sitting.facilitation/1"
    assert {"format", "panel", "actions", "events", "head"} <= set(whole.json())
    assert bundle.verify_file(whole.content).ok
    spoilt = re.sub(rb'"round": ?1', b'"round": 7', whole.content)
    assert spoilt != whole.content and not bundle.verify_file(spoilt).ok
    assert set(meeting.get("/export/level1").json()) == {"themes", "gap_type"}
    assert set(meeting.get("/export/level2").json()) == {"statements"}
    assert set(meeting.get("/export/level3").json()) == {"responses"}
    rows = list(csv.reader(io.StringIO(meeting.get("/export/csv").text)))
    cells = [cell for row in rows[1:] for cell in row]
    assert all(f"'{text}" in cells for text in risky) and 'plain, with "quotes"' in cells
    assert len(rows) == 6 and not any(cell[:1] in ("=", "+", "-", "@") for cell in cells)
    assert sent(meeting.get("/export/pdf")) == f"{meeting.url}/export/print"
    for path in ("/markdown", "/print"):
        text = meeting.get(f"/export{path}").text.replace("\\", "")
        assert ("2026-01" in text or "January 2026" in text) and "2 sealed, 2 shown, digest matches" in text


def test_28_notes_are_the_facilitators_and_markup_is_text(house: House) -> None:
    note, quiet = f"Wombat note {NASTY}", ("claim", "idle claim", "visitor", "stranger")
    team = house.team(NASTY, "Bob", "Cy", "Dan", company_name=NASTY, team_name=NASTY, strategy_statement=NASTY)
    house.plays(
        *answers(
            outcome(themes=NASTY, gap_reasoning=NASTY, suggested_recalibrations=[NASTY, f"b {NASTY}", f"c {NASTY}"])
        )
    )
    meeting = team.capturing()
    watch = Watch(house, meeting, meeting.device(1, f"1 {NASTY}"), meeting.device(4))
    watch.viewers, watch.link  # noqa: B018 - made while the session takes responses
    for member in (2, 3):
        meeting.device(member, f"{member} {NASTY}")
    sent(team.posts("/actions", text=f"Do {NASTY}", session_id=meeting.id))
    for state in ("capturing", "closed", "revealed"):
        meeting.to(state)
        if state == "closed":
            meeting.awaits("synthesis_completed")
            meeting.does("notes", facilitator_notes=note, recalibration_action=f"Act {NASTY}")
        shown = list(pages(watch))
        assert len(shown) > 30
        for who, path, page in shown:
            assert "<script>alert" not in page and "<b>x</b>" not in page, (who, path)
            assert "Wombat" not in page or (who == "facilitator" and not path.endswith("/meeting")), (who, path)
        escaped = {path for _, path, page in shown if "&lt;script&gt;alert(7)" in page}
        assert {meeting.url, f"{meeting.url}/meeting", f"{meeting.room}/name"} <= escaped
        assert {who for who, _, page in shown if "Wombat" in page}.isdisjoint(quiet)
    assert "Wombat" in meeting.page() and meeting.panel()["facilitator_notes"] == note
    for path in ("level1", "level2", "level3", "markdown", "csv", "print"):
        assert "Wombat" not in meeting.get(f"/export/{path}").text
    for path in ("", "/events", "/bundle"):
        assert "Wombat" not in readable(watch.mine.client.get(f"/v1/sessions/{meeting.id}{path}"))


def test_29_joining_by_code_and_by_link(tmp_path: Path) -> None:
    with opened(tmp_path) as house:
        team = house.team()
        meeting = team.capturing()
        for path, least in (("", 500), ("/download", 1200)):
            answer = team.by.get(f"/admin/qr/team/{team.id}{path}")
            assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
            assert qr(answer.content, f"{house.served.url}/join/{team.code}") >= least
            assert path or answer.headers["cache-control"] == "private, max-age=3600"
        assert f"qr-{team.code}.png" in answer.headers["content-disposition"]

        meeting.does("links")
        token = link(meeting, "Bob")
        before, known = meeting.head, stored(house.installation, team.id)
        for _ in range(3):
            visitor = house.client()
            assert visitor.get(f"/join/{team.code}", headers=PAGE).status_code == 303
            page = visitor.get(f"/join/p/{token}", headers=PAGE)
            assert page.status_code == 200 and "Bob" in page.text and "Alice" not in page.text
            assert not any(name.startswith("join-") for name in visitor.cookies)
        assert meeting.head == before and stored(house.installation, team.id) == known
        meeting.does("links", member_id="2")
        refused(house.client().get(f"/join/p/{token}"), 404, "This link is not valid.", "NOT_FOUND")
        fresh = link(meeting, "Bob")
        phone = Device(meeting, house.client())
        form = {"csrf_token": phone.token(f"/join/p/{fresh}")}
        assert sent(phone.client.post(f"/join/p/{fresh}", data=form)) == f"{meeting.room}/member/2/respond"
        phone.member = 2
        sent(phone.submits("By link"))

        visitor = house.client()
        assert 'name="code"' in visitor.get("/join", headers=PAGE).text
        form = {"code": f" {team.code.lower()} "}
        assert sent(visitor.post("/join", data=form)) == f"/join/{team.code}"
        unknown = "Team code not found. Please check and try again."
        for number in range(10):
            if number % 2:
                refused(visitor.get(f"/join/WRONG{number}"), 404, unknown, "NOT_FOUND")
            else:
                refused(visitor.post("/join", data={"code": f"WRONG{number}"}), 404, unknown, "NOT_FOUND")
        limited = visitor.post("/join", data={"code": "WRONG10"})
        refused(limited, 429, "Too many attempts. Please wait and try again.", "RATE_LIMITED")
        assert 1 <= int(limited.headers["retry-after"]) <= 600


def link(meeting: Meeting, name: str) -> str:
    """The token of the personal link that the page lists after a name."""
    page = meeting.page("/links")
    found = re.search(r"/join/p/([\w-]{43})", page[page.index(f">{name}<") :])
    assert found is not None
    return found[1]


def test_30_the_timer_closes_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    with opened(tmp_path, clock=clock) as house:
        team = house.team()
        meeting = team.capturing()
        phone = meeting.device(1, "In time")
        meeting.does("timer", seconds="60", close_at_end="true")
        ends_at = meeting.panel()["timer"]["ends_at"]
        clock.advance(30)
        assert phone.status()["seconds_left"] == 30
    clock.advance(29)
    with opened(tmp_path, clock=clock) as house:
        later = Meeting(again(team, house), meeting.id, meeting.month)
        assert later.state == "capturing"
        with following(later.by, later.id, after="now") as lines:
            stream = frames(lines)
            next(stream)
            clock.advance(1)
            closed = until(stream, is_("closed"))[-1]["data"]
        assert closed["data"]["by"] == "system" or closed["data"]["by"].startswith("system")
        assert timedelta(0) <= from_text(closed["ts"]) - moment(ends_at) <= timedelta(seconds=1)
        clock.advance(600)
        assert later.state == "closed" and later.types().count("closed") == 1


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def test_30_without_closing_the_pages_say_time_is_up(house: House, opened_house: House) -> None:
    meeting = house.team().capturing()
    phone = meeting.device(1)
    meeting.does("timer", seconds="60")
    assert isinstance(house.clock, ManualClock)
    house.clock.advance(61)
    assert meeting.state == "capturing" and phone.status()["seconds_left"] == 0
    for page in (meeting.page(), meeting.page("/meeting"), phone.page(f"{phone.place}/respond")):
        assert "Time is up" in page
    sent(phone.submits("Still taken"))
    meeting.does("timer", seconds="0")
    assert meeting.panel()["timer"] is None
    for wrong in ("29", "2592001", "x"):
        assert meeting.posts("timer", {"seconds": wrong}).status_code == 422


def test_33_an_erased_member_is_gone_everywhere(tmp_path: Path) -> None:
    with opened(tmp_path) as house:
        team = house.team()
        house.plays(*answers(outcome()))
        meeting, phones = revealed(team, "Numbat secret", "Stays two", "Stays three")
        sent(team.posts("/members/1/erase", confirm="Alice"))
        erased(meeting)
        for phone in phones[1:]:
            assert "Numbat" not in phone.page(f"{meeting.room}/synthesis")
        for path in ("", "/meeting", "/export", "/export/level3", "/export/markdown", "/export/csv", "/export/print"):
            assert "Numbat" not in meeting.get(path).text + meeting.get(path, **PAGE).text
        generic = (f"/v1/sessions/{meeting.id}", f"/v1/sessions/{meeting.id}/events?limit=500")
        assert all("Numbat" not in team.by.get(path).text for path in generic)
        seal = meeting.panel()["seal"]
        assert seal["matches"] is True and seal["count"] == 3 and len(seal["leaves"]) == 3
        for page in (meeting.page(), meeting.page("/meeting"), phones[1].page(f"{meeting.room}/synthesis")):
            assert "1 response was erased later on request." in page and "Alice" not in page
        assert "Erased member" in [member["name"] for member in meeting.status()["members"]]
        assert body(team.by.get(f"/v1/sessions/{meeting.id}/verify"))["ok"] is True
        assert bundle.verify_file(meeting.get("/export").content).ok
        for file in tmp_path.rglob("*"):
            assert not file.is_file() or b"Numbat" not in file.read_bytes(), file.name
    for file in tmp_path.rglob("*"):
        assert not file.is_file() or b"Numbat" not in file.read_bytes(), file.name


def erased(meeting: Meeting) -> None:
    """Wait until the job has been through this session."""
    after = "0"
    for _ in range(20):
        if "Numbat" not in json.dumps(meeting.panel()):
            return
        where: dict[str, Any] = {"after": after, "wait": 5, "limit": 500}
        after = body(meeting.by.get(f"/v1/sessions/{meeting.id}/events", params=where))["next"]
    raise AssertionError("the response is still there")


def test_34_a_repeated_request_is_one_session(house: House) -> None:
    team = house.team()
    key = {"Idempotency-Key": "one"}

    def create(month: str) -> httpx.Response:
        return team.by.post(f"{team.sessions}/create", data={"month": month}, headers=key)

    first, second, other = create("2026-01"), create("2026-01"), create("2026-02")
    assert sent(first) == sent(second)
    assert other.status_code == 422 and other.headers["sitting-code"] == "IDEMPOTENCY_KEY_REUSED"
    assert body(team.by.get(team.sessions, headers=JSON))["total"] == 1
