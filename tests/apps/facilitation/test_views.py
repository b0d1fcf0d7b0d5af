"""Who sees what: nothing of anybody's words before it is time, and then the same for everybody."""

from __future__ import annotations

import csv as tables
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sitting import bundle, errors
from sitting.apps.facilitation import exports, people, telling, terms, views
from sitting.apps.facilitation.commands import (
    CancelSynthesis,
    Clear,
    Close,
    RaiseAnonymity,
    Reopen,
    Reveal,
    SaveNotes,
    Start,
    Submit,
)
from sitting.apps.facilitation.team_commands import AddAction
from sitting.core.session import Session
from sitting.model import Step
from tests.apps.facilitation.table import MONTH, Table, laid
from tests.support.engines import ADA
from tests.support.hall import until

CANARIES = ("aardvark", "bumblebee", "cormorant")
ECHO = json.dumps(
    {
        "themes": f"They speak of a {CANARIES[0]}.",
        "statements": [
            {"name": "Same", "statement": f"A {CANARIES[1]} each.", "responses": [f"R{n}"]} for n in (1, 2, 3)
        ],
        "gap_type": "Commitment",
        "gap_reasoning": f"Because of the {CANARIES[2]}.",
        "suggested_recalibrations": ["Change the first.", "Change the second.", "Change the third."],
    }
)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with laid(tmp_path, Step(pieces=(ECHO,))) as made:
        yield made


def shown_to(table: Table, id: str, audience: str) -> str:
    """All that an audience can be shown of a session."""
    session, team, now = table.session(id), table.session(table.team), table.clock.now()
    events = table.bench.selected(id)
    made: list[Any] = [telling.tell(event, audience) for event in events]
    made += [views.view(session, audience, now), views.grouping(session, audience)]
    if audience in (terms.FACILITATOR, terms.PREPARING):
        made += [views.panel(session, team, now), views.session_item(session, team)]
    elif audience == terms.VISITOR:
        made += [views.lobby(session)]
    else:
        made += [views.room(session, audience, now, team), views.join_status(session, audience, now)]
    return json.dumps(made)


def canaries_in(text: str) -> set[str]:
    return {word for word in CANARIES if word in text}


def test_before_the_reveal_nobody_sees_a_word_of_another(table: Table) -> None:
    id = table.capturing()
    for member, word in enumerate(CANARIES, 1):
        table.responds(id, member, f"a {word}")
    for audience in (terms.PREPARING, terms.VISITOR, terms.PROJECTOR, "claim:9"):
        assert canaries_in(shown_to(table, id, audience)) == set()
    for claim, word in enumerate(CANARIES, 1):
        assert canaries_in(shown_to(table, id, f"claim:{claim}")) == {word}
    table.do(id, Close())
    table.works()
    assert views.synthesis_status(table.session(id))["status"] == "complete"
    for audience in (terms.VISITOR, terms.PROJECTOR, "claim:9"):
        assert canaries_in(shown_to(table, id, audience)) == set()
    for claim, word in enumerate(CANARIES, 1):
        assert canaries_in(shown_to(table, id, f"claim:{claim}")) == {word}
    assert canaries_in(shown_to(table, id, terms.FACILITATOR)) == set(CANARIES)
    generic = views.view(table.session(id), terms.FACILITATOR, table.clock.now())
    assert (generic["responses"], generic["synthesis"]["themes"]) == (None, None), "the preview is on the panel alone"
    table.do(id, Reveal())
    assert canaries_in(shown_to(table, id, terms.VISITOR)) == set()
    for audience in (terms.FACILITATOR, terms.PROJECTOR, "claim:1", "claim:9"):
        assert canaries_in(shown_to(table, id, audience)) == set(CANARIES)
    table.do(id, Reopen())
    for audience in (terms.PREPARING, terms.VISITOR, terms.PROJECTOR, "claim:9"):
        assert canaries_in(shown_to(table, id, audience)) == set()


def test_events_never_carry_words_and_neither_does_a_record(table: Table) -> None:
    id = table.revealed(points=[f"a {word}" for word in CANARIES])
    for actor in (ADA, table.device(f"phone-{id}-1")):
        journal = table.bench(table.engine.journal(id, actor))
        records = list(bundle.records_of(journal, table.kinds["facilitation"]))
        assert canaries_in(json.dumps([journal.told, records])) == set()
        assert bundle.verify_records(id, [bundle.unpacked(record) for record in records]).ok
    participants = table.told(id, table.device(f"phone-{id}-1"))
    completed = next(told for told in participants if told and told["type"] == "synthesis_completed")
    assert set(completed["data"]) == {"job", "round"}
    staff = next(told for told in table.told(id) if told and told["type"] == "synthesis_completed")
    assert set(staff["data"]) == {"job", "round", "model", "input_tokens", "output_tokens"}


def test_the_text_of_a_synthesis_is_the_facilitators_while_capture_is_closed(table: Table) -> None:
    id = table.closed(points=[f"a {word}" for word in CANARIES])
    job = str(table.session(id).data["synthesis"]["job"])
    table.works()
    text = table.bench(table.engine.text(id, job, ADA))
    assert (text.ended, text.status, text.text) == (True, "completed", ECHO)
    others = (table.device(f"phone-{id}-1"), people.projector("s1"), table.device("nobody"))
    for actor in others:
        with pytest.raises(errors.NotFound, match="Turn not found"):
            table.bench(table.engine.text(id, job, actor))
    table.do(id, Reopen())
    with pytest.raises(errors.NotFound, match="Turn not found"):
        table.bench(table.engine.text(id, job, ADA))


def test_that_somebody_edited_does_not_show(table: Table) -> None:
    id = table.capturing()
    phones = table.all_respond(id)
    before = views.room(table.session(id), "claim:1", table.clock.now())
    table.do(id, Submit(bullets=["other words"]), phones[1])
    assert table.told(id)[-1] is None
    assert table.told(id, phones[0])[-1] is None
    own = table.told(id, phones[1])[-1]
    assert own is not None and own["data"] == {"member": 2, "name": "Bob"}
    after = views.room(table.session(id), "claim:1", table.clock.now())
    assert {**after, "as_of": ""} == {**before, "as_of": ""}


def test_the_status_has_the_documented_keys(table: Table) -> None:
    id = table.draft()
    team = table.session(table.team)
    assert views.status(table.session(id), team)["total_members"] == 3
    table.do(id, Start())
    table.responds(id, 2, "x")
    status = views.status(table.session(id), team)
    assert status == {
        "session_id": id, "state": "capturing", "total_members": 3, "submitted_count": 1,
        "members": [
            {"id": 1, "name": "Alice", "submitted": False}, {"id": 2, "name": "Bob", "submitted": True},
            {"id": 3, "name": "Cy", "submitted": False},
        ],
    }  # fmt: skip
    assert views.missing(table.session(id), team) == ["Alice", "Cy"]
    lobby = views.lobby(table.session(id))
    assert [(each["name"], each["taken"], each["submitted"]) for each in lobby["members"]] == [
        ("Alice", False, False), ("Bob", True, True), ("Cy", False, False),
    ]  # fmt: skip
    joined = views.join_status(table.session(id), "claim:1", table.clock.now())
    assert list(joined) == [
        *("session_id", "state", "total_members", "submitted_count", "submitted_members", "unsubmitted_members"),
        *("can_edit", "seconds_left", "synthesis_progress", "my_response"),
    ]
    assert joined["submitted_members"] == [{"name": "Bob"}]
    assert set(joined["my_response"]) == {"card", "bullets", "leaf", "salt"}
    assert joined["synthesis_progress"] == {"status": "pending", "message": ""}


def test_the_panel_has_the_documented_keys_in_every_state(table: Table) -> None:
    keys = [
        *("session_id", "team_id", "month", "state", "as_of", "created_at", "started_at", "closed_at", "revealed_at"),
        *("anonymity", "settings", "timer", "total_members", "submitted_count", "members", "seal", "synthesis"),
        *(
            "responses",
            "facilitator_notes",
            "recalibration_action",
            "recalibration_completed",
            "open_actions",
            "allowed",
        ),
    ]
    expected = {
        "draft": "start", "capturing": "close", "closed": "reveal", "revealed": "reopen",
    }  # fmt: skip
    id = table.draft()
    for state, first in expected.items():
        panel = views.panel(table.session(id), table.session(table.team), table.clock.now())
        assert list(panel) == keys
        assert (panel["state"], panel["allowed"][0]) == (state, first)
        assert (panel["responses"] is None) == (state in ("draft", "capturing"))
        if state == "capturing":
            table.all_respond(id)
        if state != "revealed":
            table.do(id, {"draft": Start(), "capturing": Close(), "closed": Reveal()}[state])
            table.works()
    revealed = views.panel(table.session(id), table.session(table.team), table.clock.now())
    assert list(revealed["responses"][0]) == ["response", "member", "card", "bullets", "leaf", "salt"]
    assert list(revealed["synthesis"]["statements"][0]) == ["name", "statement", "responses", "participants"]
    assert revealed["seal"] | {"leaves": []} == revealed["seal"] | {"leaves": [], "matches": True}


def test_salts_come_with_the_reveal(table: Table) -> None:
    id = table.closed()
    preview = views.shown_responses(table.session(id), terms.FACILITATOR) or []
    assert {each["salt"] for each in preview} == {None}
    table.works()
    table.do(id, Reveal())
    assert all(each["salt"] for each in views.shown_responses(table.session(id), "claim:1") or [])


@pytest.mark.parametrize(
    ("level", "staff", "others"),
    [("named", True, True), ("facilitator_only", True, False), ("anonymous", False, False)],
)
def test_names_stand_where_the_level_says(table: Table, level: Any, staff: bool, others: bool) -> None:
    id = table.revealed()
    table.do(id, RaiseAnonymity(level=level))
    session = table.session(id)
    for audience, named in ((terms.FACILITATOR, staff), ("claim:1", others), (terms.PROJECTOR, others)):
        responses = views.shown_responses(session, audience) or []
        assert all((each["member"] is not None) == named for each in responses)
        statements = views.synthesis(session, audience)["statements"]
        assert all(bool(each["participants"]) == named for each in statements)
    assert all(each["submitted"] for each in views.status(session, None)["members"])


def changed(session: Session, member: int, **content: Any) -> Session:
    """The session as somebody left it who reached into the store."""
    response = session.collection("responses")[str(member)]
    return session.put("responses", str(member), {**response, **content})


def test_a_change_behind_the_house_shows(table: Table) -> None:
    session = table.session(table.revealed())
    assert views.seal_line(session) == "3 sealed, 3 shown, digest matches"
    for broken in (
        changed(session, 1, bullets=["I never said so"]),
        changed(session, 1, card=7),
        session.drop("responses", "1"),
        session.set(seal={**session.data["seal"], "count": 2}),
        session.set(seal={**session.data["seal"], "digest": "0" * 64}),
    ):
        assert views.sealed(broken) is not None and not (views.sealed(broken) or {})["matches"]
        assert "digest does not match" in views.seal_line(broken)


def test_words_in_a_response_change_no_status(table: Table) -> None:
    id = table.closed(points=("failed", "insufficient", "Insufficient responses"))
    assert views.progress(table.session(id)) == {"status": "generating", "message": "Analyzing Responses"}
    table.works()
    assert views.progress(table.session(id)) == {"status": "complete", "message": "Synthesis ready"}


def test_notes_are_the_facilitators_alone(table: Table) -> None:
    id = table.revealed()
    table.do(id, SaveNotes(facilitator_notes="a dromedary", recalibration_action="Meet weekly"))
    session, team, now = table.session(id), table.session(table.team), table.clock.now()
    room = views.room(session, "claim:1", now, team)
    assert room["recalibration_action"] == "Meet weekly"
    texts = [exports.markdown(session, team, terms.FACILITATOR, now), exports.csv(session, terms.FACILITATOR)]
    texts += [json.dumps(exports.level(session, terms.FACILITATOR, number)) for number in (1, 2, 3)]
    assert "dromedary" not in json.dumps([room, texts])
    assert all(told is None or told["type"] != "notes_saved" for told in table.told(id, table.device(f"phone-{id}-1")))


def test_the_files_of_a_session(table: Table) -> None:
    points = ("=1+1", "<script>alert(1)</script> *bold*", "+49")
    id = table.revealed(points=points)
    table.do(table.team, AddAction(text="Ask | them", session_id=id, owner_member_id=2))
    session, team, now = table.session(id), table.session(table.team), table.clock.now()
    assert exports.names(session, team) == f"session-{MONTH}-{table.code}"
    rows = list(tables.DictReader(exports.csv(session, terms.FACILITATOR).splitlines()))
    assert sorted(row["bullet"] for row in rows) == sorted(["'=1+1", points[1], "'+49"])
    text = exports.markdown(session, team, terms.FACILITATOR, now)
    assert "<script>" not in text and "\\*bold\\*" in text and "Ask \\| them" in text
    for heading in ("## Themes", "## Gap: Commitment", "## Grouped without a model", "## Responses", "## Seal"):
        assert heading in text
    assert set(exports.level(session, terms.FACILITATOR, 1)) == {"themes", "gap_type"}
    assert set(exports.level(session, terms.FACILITATOR, 2)) == {"statements"}
    assert len(exports.level(session, terms.FACILITATOR, 3)["responses"]) == 3


@pytest.mark.parametrize("level", ["named", "anonymous"])
def test_the_json_export_verifies_offline_and_an_anonymous_one_has_no_name(table: Table, level: Any) -> None:
    id = table.revealed()
    table.do(table.team, AddAction(text="Ask them", session_id=id, owner_member_id=2))
    table.do(id, RaiseAnonymity(level=level))
    journal = table.bench(table.engine.journal(id, ADA))
    records = bundle.records_of(journal, table.kinds["facilitation"])
    entries = [
        {"event": None if told is None else exports.told(told, level), "record": record}
        for told, record in zip(journal.told, records, strict=True)
    ]
    head = journal.records[-1].hash.hex()
    document = exports.document(table.session(id), table.session(table.team), table.clock.now(), entries, head)
    signed = bundle.sign(document, Ed25519PrivateKey.generate())
    assert bundle.verify_document(json.loads(json.dumps(signed))).ok
    text = json.dumps(signed)
    assert all((name in text) == (level == "named") for name in ("Alice", "Bob", "Cy"))
    submitted = [each["event"] for each in signed["events"] if (each["event"] or {}).get("type") == "submitted"]
    assert len(submitted) == (3 if level == "named" else 0)


def test_nobody_is_told_when_somebody_submitted_in_an_anonymous_session(table: Table) -> None:
    id = table.capturing()
    phones = table.all_respond(id)
    exact = {event["ts"] for event in table.told(id) if event and event["type"] == "submitted"}
    table.do(id, RaiseAnonymity(level="anonymous"))
    everybody = (ADA, phones[0], people.projector(ADA.space))
    for actor in everybody:
        told = [event for event in table.told(id, actor) if event and event["type"] == "submitted"]
        assert [event["data"]["name"] for event in told] == ["Alice", "Bob", "Cy"]
        assert {event["ts"] for event in told} == {f"{next(iter(exact))[:10]}T00:00:00.000Z"}
        with pytest.raises(errors.NotFound):
            table.bench(table.engine.journal(id, actor))
    for move in (Close(), Reveal()):
        table.do(id, move)
        for actor in everybody:
            assert not any(event and event["type"] == "submitted" for event in table.told(id, actor))
            journal = table.bench(table.engine.journal(id, actor))
            records = list(bundle.records_of(journal, table.kinds["facilitation"]))
            assert "submitted" not in [each.get("type") for each in records]
            assert bundle.verify_records(id, map(bundle.unpacked, records)).ok
    assert views.needs(table.session(id), terms.FACILITATOR + terms.TIMELESS) is None
    assert table.seen(id, phones[0]).view["me"] == {"id": 1, "name": "Alice"}


def test_a_session_without_a_synthesis_exports_too(tmp_path: Path) -> None:
    with laid(tmp_path, model=False) as table:
        id = table.revealed()
        session, team, now = table.session(id), table.session(table.team), table.clock.now()
        text = exports.markdown(session, team, terms.FACILITATOR, now)
        assert "No language model is configured" in text.replace("\\", "")
        assert exports.level(session, terms.FACILITATOR, 1) == {"themes": None, "gap_type": None}
        assert views.session_item(session, team)["gap_type"] is None


def test_history_says_how_the_action_stands(table: Table) -> None:
    id = table.closed()
    team = table.session(table.team)
    assert views.session_item(table.session(id), team)["action_state"] == ""
    table.do(id, SaveNotes(recalibration_action="Meet"))
    item = views.session_item(table.session(id), team)
    assert (item["action_state"], item["gap_type"], item["team_name"]) == ("Action Set", None, "North")


def test_reasons_are_for_facilitators(table: Table) -> None:
    id = table.capturing()
    phone = table.responds(id, 1, "x")
    table.do(id, Clear(member_id=1, reason="a typo"))
    assert table.told(id)[-1] == {**(table.told(id)[-1] or {}), "data": {"member": 1, "reason": "a typo"}}
    told = table.told(id, phone)[-1]
    assert told is not None and told["data"] == {"member": 1}


def test_a_cancelled_synthesis_leaves_its_text_to_those_who_watched(tmp_path: Path) -> None:
    with laid(tmp_path, Step(pieces=(ECHO[:40], ECHO[40:]), stall_after=1)) as table:
        id = table.closed()
        job = str(table.session(id).data["synthesis"]["job"])
        table.starts_working()
        until(lambda: table.bench(table.engine.text(id, job, ADA)).text == ECHO[:40])
        table.do(id, CancelSynthesis(job=job))
        text = table.bench(table.engine.text(id, job, ADA))
        assert (text.ended, text.status, text.text) == (True, "cancelled", ECHO[:40])
        assert views.synthesis_status(table.session(id))["status"] == "pending"
