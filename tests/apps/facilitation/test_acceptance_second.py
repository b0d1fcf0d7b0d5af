"""The acceptance list of team meetings, statements 13 to 23: responses, the seal, what stays hidden, synthesis."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pysqlite3
import pytest

from sitting.apps.facilitation import deck, seal
from sitting.model import Gate, Step
from sitting.store import journal
from tests.apps.facilitation.canaries import CANARY, Watch, everywhere
from tests.apps.facilitation.room import (
    FAILED,
    JSON,
    NO_MODEL,
    PAGE,
    TOO_FEW,
    Device,
    House,
    Json,
    Meeting,
    again,
    answers,
    body,
    events,
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
from tests.support.endpoint import Answering, serving
from tests.support.process import Program
from tests.support.serving import PATIENCE_SECONDS

VECTORS = (
    ("00", ["We agree on the goal"], 14, "62a44e0139ba4a92ec453c00d1c8f9433aecf5604d6b5c6f4e196d9fa87ae316"),
    ("11", ["Handover is slow", "Too many priorities"], None,
     "efee798ffeb70f5ce20582cace22dd20b9962c644ee26cb883a4745bd0a3d241"),
)  # fmt: skip
DIGEST = "86e8b719b94ec090a58ef182cbc06f039294f1ed628e99fdfb9ddf629aebdb91"
EMPTY = "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"
LATE = "The session was closed before your response could be saved."


@pytest.fixture(scope="module")
def opened_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("second")) as made:
        yield made


@pytest.fixture
def house(opened_house: House) -> House:
    opened_house.silent()
    return opened_house


def test_13_the_next_holder_of_a_name_starts_empty(house: House) -> None:
    meeting = house.team().capturing()
    first = meeting.device(1, "x")
    own = first.response
    assert own is not None and own["bullets"] == ["x"]
    meeting.does("member/1/release")
    second = meeting.device(1)
    assert second.response is None
    page = second.page(f"{second.place}/respond")
    assert ">x</textarea>" not in page and 'value="x"' not in page


def test_14_a_response_is_five_points_at_most(house: House) -> None:
    meeting = house.team(settings={"card_required": True}).capturing()
    phone = meeting.device(2)
    wrong: list[tuple[Json, str]] = [
        ({"card": "1"}, "Must have 1-5 bullet points"),
        ({"card": "1", "bullet": ["", "  ", "\t"]}, "Must have 1-5 bullet points"),
        ({"card": "1", "bullet": list("abcdef")}, "Must have 1-5 bullet points"),
        ({"card": "1", "bullet": "y" * 501}, "Each bullet point must be 500 characters or less"),
        ({"card": "56", "bullet": "y"}, "Invalid card"),
        ({"card": "0", "bullet": "y"}, "Invalid card"),
        ({"card": "1", "bullets": "[1"}, "Invalid bullets format"),
        ({"card": "1", "bullets": '{"a": 1}'}, "Invalid bullets format"),
        ({"bullet": "y"}, "Image selection required"),
    ]
    for form, text in wrong:
        refused(phone.submits(form=form), 400, text, "VALIDATION_ERROR")
    assert kept(phone) is None and "submitted" not in meeting.types()
    whole = ["é" * 500] * 5
    assert sent(phone.submits(form={"image_id": "55", "bullets": json.dumps(whole)})) == f"{phone.place}/waiting"
    assert kept(phone) == (55, whole)
    sent(phone.submits(*whole, card=1))
    sent(phone.submits("  two\r\nlines\there ", "", "e\N{COMBINING ACUTE ACCENT}", card=3))
    assert kept(phone) == (3, ["two lines here", "é"])
    token = phone.token(f"{phone.place}/respond")
    meeting.does("close")
    form = {"card": "2", "bullet": ["typed too late", "second"], "csrf_token": token}
    late = phone.client.post(f"{phone.place}/respond", data=form)
    refused(late, 409, LATE, "WRONG_STATE")
    page = phone.client.post(f"{phone.place}/respond", data=form, headers=PAGE)
    assert page.status_code == 409 and "Session Closed" in page.text
    for text in (LATE, "typed too late", "second"):
        assert text in page.text
    assert kept(phone) == (3, ["two lines here", "é"])


def kept(phone: Device) -> tuple[Any, Any] | None:
    """What is stored of a phone's response."""
    own = phone.response
    return None if own is None else (own["card"], own["bullets"])


def test_15_nothing_of_a_response_leaves_before_the_reveal(tmp_path: Path) -> None:
    gate = Gate()
    with opened(tmp_path) as house:
        house.plays(Step((f'{{"themes": "{CANARY}9', outcome()), gate=gate))
        team = house.team("Alice", "Bob", "Cy", "Dan")
        meeting = team.capturing()
        phones = [meeting.device(member, f"{CANARY}{member} first", card=member) for member in (1, 2, 3)]
        watch = Watch(house, meeting, phones[0], idle=meeting.device(4))
        watch.begin()
        for member, phone in enumerate(phones, 1):
            sent(phone.submits(f"{CANARY}{member} one", f"{CANARY}{member} two", card=member))
        everywhere(watch, preview=False)
        assert watch.leaks == []
        meeting.does("anonymity", level="facilitator_only")
        meeting.does("close")
        gate.release()
        gate.wait_until_waiting()
        everywhere(watch, preview=True)
        assert watch.leaks == []
        job = meeting.events("synthesis_requested")[-1]["data"]["job"]
        assert {meeting.url, f"/v1/sessions/{meeting.id}/turns/{job}/stream"} <= watch.previews
        meeting.does("synthesize/cancel", job=job)
        gate.open()
        meeting.does("reveal")
        watch.end()
        assert watch.leaks == []
        seen = phones[0].page(f"{meeting.room}/synthesis")
        assert all(f"{CANARY}{member} one" in seen for member in (1, 2, 3)), "and then it is there for everyone"
        assert f"{CANARY}1 first" not in seen + meeting.page() + meeting.get("/export").text


def test_16_a_participant_stays_in_one_session_and_edits_unseen(house: House) -> None:
    team = house.team()
    meeting, other = team.capturing(), team.capturing("2026-02")
    alice, bob = meeting.device(1, "From Alice"), meeting.device(2, "From Bob")
    gone = (404, "Session not found", "NOT_FOUND")
    for path in (
        f"{other.room}/status", f"{other.room}/synthesis", f"{other.room}/member/1/respond",
        f"{other.room}/member/1/waiting", f"{meeting.room}/member/2/respond", f"{meeting.room}/member/2/waiting",
        f"{meeting.room}/member/99/respond", f"/join/NOTEAM/session/{meeting.id}/status",
    ):  # fmt: skip
        refused(alice.client.get(path), *gone)
    token = alice.token(f"{alice.place}/respond")
    form = {"card": "1", "bullet": "Not mine", "csrf_token": token}
    for place in (f"{meeting.room}/member/2", f"{other.room}/member/1"):
        refused(alice.client.post(f"{place}/respond", data=form), *gone)
    for address in (f"/v1/sessions/{other.id}/events", f"/v1/sessions/{team.id}/events"):
        assert alice.client.get(address).status_code in (401, 404)

    before, page = meeting.status(), alice.status()
    with following(alice.client, meeting.id, after="now") as lines:
        stream = frames(lines)
        sent(bob.submits("From Bob, again"))
        meeting.does("timer", seconds="3600")
        seen = until(stream, is_("timer_set"))
    edits = [frame for frame in seen if "data" in frame and frame["data"]["type"] == "submitted"]
    assert edits == [], "an edit is a frame without data"
    assert [frame["id"] for frame in seen if "data" not in frame], "and the position moves over it"
    assert meeting.status() == before
    after = alice.status()
    assert {**after, "seconds_left": None} == page
    told = [event for event in events(alice.client, meeting.id, "submitted") if event["data"]["name"] == "Bob"]
    assert len(told) == 1 and set(told[0]["data"]) == {"member", "name"}
    assert kept(bob) == (14, ["From Bob, again"])

    meeting.does("delete", confirm="2026-01")
    for path in ("/status", "/synthesis", "/member/1/waiting", "/member/1/respond"):
        refused(alice.client.get(meeting.room + path), *gone)
    assert alice.client.get(f"/v1/sessions/{meeting.id}/events").status_code in (401, 404)
    assert team.plan("2026-01").state == "draft", "the key is free again"


def leaf(salt: str, response: Json) -> bytes:
    """As an outsider writes it: these values have one canonical form, sorted keys and no spaces."""
    text = json.dumps(response, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(b"\0" + bytes.fromhex(salt) + text.encode()).digest()


def digest(leaves: list[bytes]) -> str:
    return hashlib.sha256(b"\1" + b"".join(sorted(leaves))).hexdigest()


def test_17_the_seal_has_these_values() -> None:
    made = []
    for byte, bullets, card, expected in VECTORS:
        made.append(seal.leaf(card, bullets, byte * 16))
        assert made[-1] == expected == leaf(byte * 16, {"bullets": bullets, "card": card}).hex()
    assert seal.digest(made) == seal.digest(made[::-1]) == DIGEST
    assert seal.digest([]) == EMPTY == digest([])


def test_18_an_outsider_recomputes_the_seal(tmp_path: Path) -> None:
    with opened(tmp_path) as house:
        team = house.team()
        meeting = team.capturing()
        phones = meeting.filled("We agree on the goal", "Handover is slow", "Too many “priorities” ⚓")
        receipt = phones[0].response
        assert receipt is not None
        shown = {name: receipt[name] for name in ("bullets", "card")}
        assert receipt["leaf"] == leaf(receipt["salt"], shown).hex()
        assert receipt["leaf"] in phones[0].page(f"{phones[0].place}/waiting")
        meeting.does("close")
        [closed] = meeting.events("closed")
        assert closed["data"]["count"] == 3 and closed["data"]["algorithm"] == "sitting-seal-1"
        assert len(closed["data"]["leaves"]) == 3
        meeting.does("reveal")
        document = meeting.get("/export").json()
        panel = document["panel"]
        leaves = [leaf(each["salt"], {"bullets": each["bullets"], "card": each["card"]}) for each in panel["responses"]]
        assert digest(leaves) == closed["data"]["digest"] == panel["seal"]["digest"]
        assert sorted(each.hex() for each in leaves) == sorted(closed["data"]["leaves"])
        assert [each["response"] for each in panel["responses"]] == ["R1", "R2", "R3"]
        assert [each["leaf"] for each in panel["responses"]] == sorted(each.hex() for each in leaves)
        assert panel["seal"]["matches"] is True
        assert "digest matches" in meeting.page("/meeting")
        assert meeting.events("revealed")[0]["data"]["matches"] is True
        tampered(tmp_path / "sitting.db", "Handover is slow", "Handover is late")
        assert meeting.panel()["seal"]["matches"] is False, "also while the server runs, and remembers"
        for page in (meeting.page(), meeting.page("/meeting"), phones[0].page(f"{meeting.room}/synthesis")):
            assert "matches: false" in page and "does not match" in page
        assert meeting.get("/export").json()["panel"]["seal"]["matches"] is False
        tampered(tmp_path / "sitting.db", "Handover is late", "Handover is slow")
        assert meeting.panel()["seal"]["matches"] is True
    tampered(tmp_path / "sitting.db", "Handover is slow", "Handover is fast")
    with opened(tmp_path) as house:
        later = Meeting(again(team, house), meeting.id, meeting.month)
        assert later.panel()["seal"]["matches"] is False
        for page in (later.page(), later.page("/meeting"), later.page("/export/print")):
            assert "matches: false" in page or "does not match" in page
        assert later.get("/export").json()["panel"]["seal"]["matches"] is False


def test_18_the_order_of_the_cards() -> None:
    order = [card.id for card in deck.order("00000000-0000-4000-8000-000000000001")]
    assert order[:5] == [39, 8, 26, 30, 9] and sorted(order) == list(range(1, 56))


def tampered(database: Path, old: str, new: str) -> None:
    """Change a text wherever the store keeps it, behind its back."""
    changed = 0
    with closing(pysqlite3.connect(str(database))) as store:
        tables = [name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for _, column, kind, *_ in store.execute(f"PRAGMA table_info({table})").fetchall():
                if kind == "TEXT":
                    change = f"UPDATE {table} SET {column} = replace({column}, ?, ?) WHERE instr({column}, ?)"
                    changed += store.execute(change, (old, new, old)).rowcount
        store.commit()
    assert changed


WRONG: dict[str, Json] = {
    "an unknown label": {"statements": [{"name": "One", "statement": "S.", "responses": ["R9"]}] * 3},
    "two statements": {"statements": [{"name": "One", "statement": "S.", "responses": ["R1"]}] * 2},
    "a gap in small letters": {"gap_type": "direction"},
    "two suggestions": {"suggested_recalibrations": ["One.", "Two."]},
}


def ended(meeting: Meeting, after: str = "0") -> Json:
    return meeting.awaits("synthesis_completed", "synthesis_failed", "synthesis_discarded", after=after)


def test_19_the_synthesis_knows_only_what_was_said(house: House) -> None:
    gate = Gate()
    model = house.plays(Step((outcome(),), gate=gate))
    team = house.team()
    meeting = team.capturing()
    phones = meeting.filled("First", "Second", "Third")
    meeting.does("close")
    gate.wait_until_waiting()
    assert meeting.synthesis()["status"] == "generating"
    assert phones[0].status()["synthesis_progress"] == {"status": "generating", "message": "Analyzing Responses"}
    gate.open()
    assert ended(meeting)["type"] == "synthesis_completed"
    found = meeting.synthesis()
    assert (found["status"], found["gap_type"], found["has_error"]) == ("complete", "Alignment", False)
    names = {each["response"]: each["member"]["name"] for each in meeting.panel()["responses"]}
    for number, statement in enumerate(found["statements"], 1):
        assert statement["responses"] == [f"R{number}"] and statement["participants"] == [names[f"R{number}"]]
    asked = "\n".join(message.content for prompt in model.prompts for message in prompt)
    assert all(word in asked for word in ("First", "Second", "Third", "R1", "R2", "R3"))
    assert not any(name in asked for name in ("Alice", "Bob", "Cy"))
    assert body(meeting.get("/synthesis-status")) == {"status": "complete", "has_error": False, "error_message": None}


@pytest.mark.parametrize("fault", WRONG)
def test_19_an_invalid_answer_is_asked_for_once_more(house: House, fault: str) -> None:
    model = house.plays(*answers(outcome(**WRONG[fault]), outcome(**WRONG[fault])))
    meeting = house.team().capturing()
    meeting.filled("First", "Second", "Third")
    meeting.does("close")
    event = ended(meeting)
    assert (event["type"], event["data"]["reason"]) == ("synthesis_failed", "invalid_output")
    assert len(model.prompts) == 2 and len(model.prompts[1]) > 0
    found = meeting.synthesis()
    assert (found["status"], found["has_error"], found["error_message"]) == ("failed", True, FAILED)
    page = meeting.page()
    assert found["themes"] is None and FAILED in page and "What can be said without a model stands below." in page
    house.plays(*answers(outcome(**WRONG[fault]), outcome()))
    meeting.does("synthesize/retry")
    assert ended(meeting, after=f"1.{event['seq']}")["type"] == "synthesis_completed"


def test_20_two_responses_are_too_few(house: House) -> None:
    house.plays(*answers(outcome(themes="It failed; insufficient, failed.")))
    meeting = house.team().capturing()
    meeting.device(1, "It failed, insufficient data")
    meeting.device(2, "failed")
    meeting.does("close")
    found = meeting.synthesis()
    assert (found["status"], found["themes"], found["error_message"]) == ("insufficient", None, TOO_FEW)
    for verb in ("synthesize", "synthesize/retry"):
        refused(meeting.posts(verb), 400, TOO_FEW)
    assert "synthesis_requested" not in meeting.types()
    meeting.does("reopen")
    phone = meeting.device(3, "insufficient and failed")
    meeting.does("close")
    assert ended(meeting)["type"] == "synthesis_completed"
    found = meeting.synthesis()
    assert (found["status"], found["themes"]) == ("complete", "It failed; insufficient, failed.")
    assert phone.status()["synthesis_progress"] == {"status": "complete", "message": "Synthesis ready"}


def test_21_without_a_model(tmp_path: Path) -> None:
    with opened(tmp_path) as house:
        assert house.installation.settings.model == "none"
        meeting = house.team().capturing()
        meeting.filled("First", "Second", "Third")
        assert meeting.does("close") == meeting.url
        found = meeting.synthesis()
        assert (found["status"], found["error_message"]) == ("failed", NO_MODEL)
        refused(meeting.posts("synthesize"), 503, NO_MODEL, "MODEL_NOT_CONFIGURED")
        refused(meeting.posts("synthesize/retry"), 503, NO_MODEL, "MODEL_NOT_CONFIGURED")
        assert meeting.does("reveal") == meeting.url
        assert meeting.state == "revealed" and meeting.events("revealed")[0]["data"]["synthesis_status"] == "failed"
        shown = meeting.page("/meeting")
        assert "There is no synthesis: no model wrote one." in shown and "/help/models" not in shown


def test_22_a_late_result_of_a_reopened_session_is_dropped(house: House) -> None:
    """The provider has answered when the session is reopened, but the answer has not been taken in."""
    gate = Gate()
    house.plays(Step((outcome(),), gate=gate))
    meeting = house.team().capturing()
    meeting.filled("First", "Second", "Third")
    meeting.does("close")
    gate.wait_until_waiting()
    meeting.does("reopen", reason="One is missing")
    gate.open()
    event = meeting.awaits("synthesis_discarded")
    assert event["data"]["reason"] == "reopened"
    panel = meeting.panel()
    assert (panel["state"], panel["closed_at"], panel["revealed_at"], panel["seal"]) == ("capturing", None, None, None)
    emptied = ("themes", "statements", "gap_type", "gap_reasoning", "suggested_recalibrations", "error_message")
    assert panel["synthesis"]["status"] == "pending" and not any(panel["synthesis"][name] for name in emptied)
    assert panel["submitted_count"] == 3
    assert not {"synthesis_completed", "synthesis_failed"} & set(meeting.types())


def test_22_two_parallel_retries_start_one_job(house: House) -> None:
    meeting = house.team().capturing()
    meeting.filled("First", "Second", "Third")
    meeting.does("close")
    assert meeting.synthesis()["status"] == "failed"
    before, gate = meeting.head, Gate()
    house.plays(Step((outcome(),), gate=gate))
    with ThreadPoolExecutor(8) as many:
        all = list(many.map(lambda _: meeting.posts("synthesize/retry").status_code, range(8)))
    assert all == [303] * 8
    gate.open()
    assert ended(meeting, after=before)["type"] == "synthesis_completed"
    assert len(meeting.events("synthesis_requested")) == 1
    meeting.does("synthesize")
    assert len(meeting.events("synthesis_requested")) == 1, "a complete one is not made again unless it is retried"


def test_22_a_killed_server_leaves_nothing_stuck(tmp_path: Path) -> None:
    with opened(tmp_path, clock=ManualClock(datetime.now(UTC))) as house:
        team = house.team(settings={"auto_synthesize": False})
        meeting = team.capturing()
        meeting.filled("First", "Second", "Third")
        meeting.does("close")

    def half(model: Answering, _: Json) -> None:
        model.begin()
        model.say('{"themes": "')
        model.wait_for_hang_up()

    serve = [sys.executable, "-m", "sitting", "serve", "--port", "0"]
    environment = os.environ | {"SITTING_DATA": str(tmp_path), "SITTING_MODEL": "held"}
    with serving(half) as model, Program(serve, env=environment | {"SITTING_MODEL_URL": model.url}) as server:
        url = server.wait_for(r"http://127\.0\.0\.1:\d+")[0]
        with httpx.Client(base_url=url, headers=team.by.headers, timeout=PATIENCE_SECONDS) as client:
            assert client.post(f"{meeting.url}/synthesize").status_code == 303
            page: Json = {"events": [], "next": "0"}
            while not any(event["type"] == "synthesis_progressed" for event in page["events"]):
                where = {"after": page["next"], "wait": 20, "limit": 500}
                page = body(client.get(f"/v1/sessions/{meeting.id}/events", params=where))
            assert model.silent.wait(PATIENCE_SECONDS)
            assert client.get(meeting.url, headers=JSON).json()["synthesis"]["status"] == "generating"
        server.send(signal.SIGKILL)
        server.wait()
    clock = ManualClock(datetime.now(UTC) + timedelta(minutes=1))  # the dead worker's lease has run out
    with opened(tmp_path, clock=clock, work=False) as house:
        house.plays(*answers(outcome()))
        house.installation.worker.start()
        later = Meeting(again(team, house), meeting.id, meeting.month)
        ended(later)
        assert later.synthesis()["status"] in ("complete", "failed")
        assert len(later.events("synthesis_completed", "synthesis_failed")) == 1
        assert body(later.by.get(f"/v1/sessions/{later.id}/verify"))["ok"] is True


def test_23_the_reveal_may_come_by_itself(house: House) -> None:
    house.plays(*answers(outcome()))
    team = house.team(settings={"auto_reveal": True})
    meeting = team.capturing()
    meeting.filled("First", "Second", "Third")
    meeting.does("close")
    meeting.awaits("revealed")
    read = house.installation.store.read(lambda tx: list(journal.every(tx, meeting.id)))
    assert [each.role for each in read.result() if each.type == "revealed"] == ["system"]
    assert meeting.state == "revealed"
    house.plays(*answers("nonsense", "nonsense"))
    other = team.capturing("2026-02")
    other.filled("First", "Second", "Third")
    other.does("close")
    assert ended(other)["type"] == "synthesis_failed"
    assert other.state == "closed" and "revealed" not in other.types()
