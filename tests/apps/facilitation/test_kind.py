"""The lifecycle of a session: its moves, its people at the door, its responses, its deadline and its seal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting import errors
from sitting.apps.facilitation import commands, people, refusals, responses, seal, terms, views
from sitting.apps.facilitation.commands import (
    AddToRoster,
    ChangeMonth,
    Claim,
    ClaimAuthorship,
    Clear,
    Close,
    Create,
    IssueLinks,
    Leave,
    MarkRecalibration,
    RaiseAnonymity,
    Release,
    RemoveFromRoster,
    Reopen,
    Reveal,
    SaveNotes,
    SetTimer,
    Start,
    Submit,
)
from sitting.apps.facilitation.lifecycle import LIFECYCLE
from sitting.apps.facilitation.team_commands import AddMember, ChangedSettings, EditTeam, RemoveMember
from sitting.core import strict
from sitting.core.actor import guest
from sitting.core.kind import Command
from sitting.engine import Once
from tests.apps.facilitation.table import LINK_KEY, MONTH, Table, laid
from tests.support.engines import ADA, BOB, EVE, at_once, of

FORWARD: dict[str, Command] = {"start": Start(), "close": Close(), "reveal": Reveal()}
LEGAL = {("draft", "start"), ("capturing", "close"), ("closed", "reveal")}
OPENINGS = {
    "start": "Cannot start capturing.", "close": "Cannot close capture.", "reveal": "Cannot reveal synthesis.",
    "reopen": "Cannot reopen capture.", "synthesize": "Cannot synthesize.", "retry_synthesis": "Cannot synthesize.",
    "cancel_synthesis": "Cannot synthesize.", "clear": "Cannot clear response.", "change_month": "Cannot change month.",
    "add_to_roster": "Cannot change roster.", "remove_from_roster": "Cannot change roster.",
    "save_notes": "Cannot save notes.", "set_timer": "Cannot set timer.", "release": "Cannot release claim.",
}  # fmt: skip


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with laid(tmp_path) as made:
        yield made


def staged(table: Table, state: str) -> str:
    """A session in a state."""
    made: dict[str, Callable[[], str]] = {
        "draft": table.draft,
        "capturing": table.capturing,
        "closed": table.closed,
        "revealed": table.revealed,
    }
    id = made[state]()
    assert table.session(id).state == state
    return id


@pytest.mark.parametrize("state", LIFECYCLE.states)
def test_there_are_three_ways_forward_and_nothing_is_skipped(table: Table, state: str) -> None:
    id = staged(table, state)
    seq = table.session(id).seq
    for verb, command in FORWARD.items():
        if (state, verb) in LEGAL:
            continue
        with pytest.raises(errors.WrongState) as caught:
            table.do(id, command)
        assert caught.value.message == f"{OPENINGS[verb]} Session is in '{state}' state."
    assert table.session(id).seq == seq


def test_every_refused_move_opens_as_documented() -> None:
    for verb, opening in OPENINGS.items():
        closed_to = [state for state in LIFECYCLE.states if all(move.verb != verb for move in LIFECYCLE.open(state))]
        assert closed_to
        for state in closed_to:
            with pytest.raises(errors.WrongState) as caught:
                LIFECYCLE.move(state, verb)
            assert caught.value.message == f"{opening} Session is in '{state}' state."


def test_a_month_belongs_to_one_session(table: Table) -> None:
    id = table.draft()
    with pytest.raises(errors.Conflict, match=rf"Session for {MONTH} already exists\."):
        table.draft()
    other = table.draft("2026-02")
    with pytest.raises(errors.Conflict, match=rf"Session for {MONTH} already exists\."):
        table.do(other, ChangeMonth(month=MONTH))
    table.do(id, ChangeMonth(month="2026-03"))
    table.do(other, ChangeMonth(month=MONTH))
    assert table.session(other).data["month"] == MONTH
    assert table.told(other)[-1] == {
        "seq": 2, "type": "month_changed", "ts": "2026-03-01T09:00:00.000Z",
        "data": {"month": MONTH, "from": "2026-02"},
    }  # fmt: skip
    table.bench(table.engine.erase(id, ADA))
    table.draft("2026-03")


def test_of_many_at_once_one_gets_the_month_and_one_starts(table: Table) -> None:
    made = at_once(10, lambda _: table.draft("2026-05"))
    assert len(of(made, errors.Conflict)) == 9
    id = next(each for each in made if isinstance(each, str))
    started = at_once(20, lambda _: table.do(id, Start()))
    assert len(of(started, errors.WrongState)) == 19
    assert table.types(id) == ["created", "started"]


@pytest.mark.parametrize("month", ["2026-1", "2026-13", "abc", "", "٢٠٢٦-٠١", "1999-01", "2026-01-01", "2026-00"])
def test_a_month_has_one_form(month: str) -> None:
    with pytest.raises(refusals.MonthInvalid) as caught:
        Create(team_id="t", month=month)
    assert caught.value.message == "Invalid month format. Use YYYY-MM."
    assert ChangeMonth(month=" 2026-01 ").month == "2026-01"


@pytest.mark.parametrize("who", [BOB, EVE])
def test_a_session_is_opened_by_those_who_lead_the_team(table: Table, who: Any) -> None:
    with pytest.raises(errors.NotFound, match="Team not found"):
        table.draft(actor=who)
    with pytest.raises(errors.NotAllowed):
        table.draft(actor=table.device("phone"))


def test_what_is_asked_is_what_the_team_asked_at_the_start(table: Table) -> None:
    id = table.draft()
    table.do(table.team, EditTeam(strategy_statement="Slow and steady"))
    table.do(id, Start())
    table.do(table.team, EditTeam(strategy_statement="Fast"))
    table.do(table.team, AddMember(name="Dana"))
    table.do(table.team, RemoveMember(member_id=1))
    room = views.room(table.session(id), "projector", table.clock.now())
    assert room["prompts"]["strategy_statement"] == "Slow and steady"
    assert [each["name"] for each in room["members"]] == ["Alice", "Bob", "Cy"]
    table.do(id, AddToRoster(member_id=4))
    table.do(id, AddToRoster(member_id=4))
    assert table.types(id).count("roster_added") == 1
    assert views.status(table.session(id), None)["total_members"] == 4
    for gone in (AddToRoster(member_id=9), RemoveFromRoster(member_id=9)):
        with pytest.raises(errors.NotFound, match="Member not found"):
            table.do(id, gone)
    table.do(id, RemoveFromRoster(member_id=4))
    assert views.status(table.session(id), None)["total_members"] == 3


def test_an_empty_team_may_start_and_close(tmp_path: Path) -> None:
    with laid(tmp_path, names=()) as table:
        id = table.capturing()
        table.do(id, Close())
        closed = table.last(id, "closed").data
        assert (closed["count"], closed["leaves"], closed["digest"]) == (0, [], seal.digest([]))
        assert views.synthesis_status(table.session(id))["status"] == "insufficient"


def test_a_very_large_team_starts_in_several_events(tmp_path: Path) -> None:
    names = [f"{number:03d}" + "\U00010348" * 250 for number in range(120)]
    with laid(tmp_path, names=names, most=200) as table:
        id = table.capturing()
        assert views.status(table.session(id), None)["total_members"] == 120
        assert table.types(id).count("roster_added") > 0
        assert table.verified(id)


def test_a_name_is_one_devices_until_it_is_released(table: Table) -> None:
    id = table.capturing()
    first, second = table.device("first"), table.device("second")
    assert table.seen(id, first).audience == terms.VISITOR
    table.do(id, Claim(member_id=1), first)
    assert table.do(id, Claim(member_id=1), first) == ()
    with pytest.raises(errors.Conflict, match=r"You are Alice on this device\. Leave first\."):
        table.do(id, Claim(member_id=2), first)
    with pytest.raises(refusals.InUse, match="already in use on another device"):
        table.do(id, Claim(member_id=1), second)
    with pytest.raises(errors.NotFound):
        table.do(id, Claim(member_id=9), second)
    assert table.seen(id, first).audience == "claim:1"
    table.do(id, Submit(bullets=["x"]), first)
    with pytest.raises(refusals.Submitted):
        table.do(id, Leave(), first)
    table.do(id, Release(member_id=1))
    with pytest.raises(errors.NotFound):
        table.seen(id, guest("first"))
    table.do(id, Claim(member_id=1), second)
    assert views.own_response(table.session(id), table.seen(id, second).audience) is None
    table.do(id, Leave(), second)
    with pytest.raises(errors.NotFound, match="Claim not found"):
        table.do(id, Release(member_id=1))
    assert table.seen(id, second).audience == terms.VISITOR


def test_only_a_facilitator_leads_and_only_a_participant_writes(table: Table) -> None:
    id = table.capturing()
    phone = table.responds(id, 1, "x")
    staff = (Close(), Release(member_id=1), Clear(member_id=1), SetTimer(seconds=0), IssueLinks())
    for actor, refused in ((phone, staff), (table.device("v"), staff), (ADA, (Submit(bullets=["y"]), Leave()))):
        for command in refused:
            with pytest.raises(errors.NotAllowed):
                table.do(id, command, actor)


def test_personal_links_open_one_name_and_the_newer_kills_the_older(tmp_path: Path) -> None:
    settings = {"settings": {"join_by": "link"}}
    with laid(tmp_path, team=settings) as table:
        id = table.draft()
        table.do(id, IssueLinks())
        table.do(id, Start())
        with pytest.raises(refusals.UseLink, match=r"Use your personal link to join\."):
            table.do(id, Claim(member_id=1), table.device("phone"))
        first = views.links(table.session(id), LINK_KEY)
        assert [(each["member_id"], each["version"]) for each in first] == [(1, 1), (2, 1), (3, 1)]
        assert [len(each["token"]) for each in first] == [43, 43, 43]
        table.do(id, IssueLinks(member_ids=[1]))
        token = views.links(table.session(id), LINK_KEY)[0]["token"]
        assert table.bench(table.engine.find(people.link_credential(first[0]["token"]))) is None
        assert table.bench(table.engine.find(people.link_credential(token))) == (id, terms.VISITOR)
        assert views.link_member(table.session(id), token) == {"id": 1, "name": "Alice"}
        assert views.link_member(table.session(id), first[0]["token"]) is None
        phone = guest("phone", credentials=(people.link_credential(token),))
        with pytest.raises(errors.NotFound, match=r"This link is not valid\."):
            table.do(id, Claim(member_id=2), phone)
        table.do(id, Claim(member_id=1), phone)
        assert [each["member_id"] for each in views.links(table.session(id), LINK_KEY)] == [2, 3]
        with pytest.raises(errors.NotFound):
            table.do(id, IssueLinks(member_ids=[9]))
        table.do(id, Close())
        assert views.links(table.session(id), LINK_KEY) == []
        assert table.bench(table.engine.find(people.link_credential(first[1]["token"]))) is None
        assert table.seen(id, guest("phone")).role == terms.PARTICIPANT
        assert all(token not in str(told) for told in table.told(id))


def test_a_dead_link_stays_dead_when_its_member_comes_back(table: Table) -> None:
    id = table.capturing()
    table.do(id, IssueLinks(member_ids=[1]))
    old = views.links(table.session(id), LINK_KEY)[0]["token"]
    table.do(id, RemoveFromRoster(member_id=1))
    table.do(id, AddToRoster(member_id=1))
    assert views.links(table.session(id), LINK_KEY) == []
    table.do(id, IssueLinks(member_ids=[1]))
    (link,) = views.links(table.session(id), LINK_KEY)
    assert (link["version"], link["token"] == old) == (2, False)
    assert table.bench(table.engine.find(people.link_credential(old))) is None
    assert table.verified(id)


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"bullets": []}, "Must have 1-5 bullet points"),
        ({"bullets": [" ", "\n"]}, "Must have 1-5 bullet points"),
        ({"bullets": list("abcdef")}, "Must have 1-5 bullet points"),
        ({"bullets": ["x" * 501]}, "Each bullet point must be 500 characters or less"),
        ({"bullets": ["x"], "card": 56}, "Invalid card"),
        ({"bullets": ["x"], "card": 0}, "Invalid card"),
    ],
)
def test_what_a_response_may_not_be(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(refusals.BadResponse) as caught:
        strict.check(Submit, fields)
    assert caught.value.message == text


@pytest.mark.parametrize("text", ["", "x", "{}", '"x"', "[1]", "[null]", '["a"', '["\\ud800"]'])
def test_bullets_in_a_form_are_an_array_of_texts(text: str) -> None:
    with pytest.raises(refusals.BadResponse, match="Invalid bullets format"):
        commands.parse_bullets(text)
    assert commands.parse_bullets('["a", "b"]') == ["a", "b"]


@given(st.lists(st.text(max_size=40), max_size=7))
def test_a_bullet_is_one_trimmed_line(said: list[str]) -> None:
    try:
        kept = Submit(bullets=said).bullets
    except errors.Invalid:
        return
    except ValueError:
        assert any("\x00" in each or any("\ud800" <= c <= "\udfff" for c in each) for each in said)
        return
    assert all(each == each.strip() and each and not set(each) & set("\r\n\t\u2028") for each in kept)
    assert Submit(bullets=kept).bullets == kept
    assert Submit(bullets=["a \r\n\t b", "  "]).bullets == ["a   b"]


def test_a_card_where_cards_are_required(tmp_path: Path) -> None:
    with laid(tmp_path, team={"settings": {"card_required": True}}) as table:
        id = table.capturing()
        with pytest.raises(refusals.BadResponse, match="Image selection required"):
            table.responds(id, 1, "x")
        table.responds(id, 1, "x", card=3)


def test_a_new_response_replaces_the_old_and_a_cleared_one_is_gone(table: Table) -> None:
    id = table.capturing()
    phone = table.responds(id, 2, "first words")
    table.do(id, Submit(card=4, bullets=["second words"]), phone)
    own = views.own_response(table.session(id), "claim:1")
    assert own is not None and (own["card"], own["bullets"]) == (4, ["second words"])
    assert own["leaf"] == seal.leaf(4, ["second words"], own["salt"])
    assert "first words" not in str(table.session(id))
    with pytest.raises(refusals.MemberSubmitted):
        table.do(id, RemoveFromRoster(member_id=2))
    table.do(id, Clear(member_id=2, reason="by mistake"))
    assert views.status(table.session(id), None)["submitted_count"] == 0
    with pytest.raises(errors.NotFound, match="Response not found"):
        table.do(id, Clear(member_id=2))
    table.do(id, Submit(bullets=["third"]), phone)
    assert table.last(id, "submitted").data["revision"] == 1
    assert [event["seq"] for event in table.told(id) if event] == [1, 2, 3, 4, 6, 7]


def test_a_late_response_is_refused_in_words(table: Table) -> None:
    id = table.closed()
    phone = table.device(f"phone-{id}-1")
    with pytest.raises(refusals.Late, match=r"The session was closed before your response could be saved\.") as caught:
        table.do(id, Submit(bullets=["late"]), phone)
    assert caught.value.code == "CONFLICT"


def test_a_deadline_closes_at_its_end_to_the_millisecond(table: Table) -> None:
    id = table.capturing()
    with pytest.raises(ValueError, match="at least 30"):
        SetTimer(seconds=29)
    table.do(id, SetTimer(seconds=60, close_at_end=True))
    table.clock.advance(59.999)
    assert views.timer(table.session(id), table.clock.now()) == {
        "ends_at": "2026-03-01T09:01:00.000Z", "close_at_end": True, "seconds_left": 1,
    }  # fmt: skip
    table.clock.advance(600)
    assert table.session(id).state == "closed"
    closed = table.last(id, "closed")
    assert (closed.data["by"], closed.actor, closed.role) == ("system", "system:clock", "system")
    assert closed.at.isoformat() == "2026-03-01T09:01:00+00:00"
    assert table.session(id).data["timer"] is None


def test_a_deadline_that_does_not_close_says_that_time_is_up(table: Table) -> None:
    id = table.capturing()
    table.do(id, SetTimer(seconds=30))
    table.clock.advance(31)
    assert (table.session(id).state, views.seconds_left(table.session(id), table.clock.now())) == ("capturing", 0)
    table.do(id, SetTimer(seconds=0, close_at_end=True))
    assert views.timer(table.session(id), table.clock.now()) is None


def test_closing_seals_what_was_handed_in(table: Table) -> None:
    id = table.closed()
    closed = table.last(id, "closed").data
    receipts = [views.own_response(table.session(id), f"claim:{n}") for n in (1, 2, 3)]
    leaves = sorted(each["leaf"] for each in receipts if each is not None)
    assert closed == {
        "round": 1, "count": 3, "algorithm": "sitting-seal-1", "leaves": leaves, "digest": seal.digest(leaves),
        "by": "facilitator",
    }  # fmt: skip
    assert [each["response"] for each in receipts if each is not None] != []
    assert responses.matches(table.session(id))


def test_reopening_clears_what_was_made_and_keeps_what_was_written(table: Table) -> None:
    id = table.revealed()
    table.do(id, SaveNotes(facilitator_notes="A note", recalibration_action="Meet weekly"))
    table.do(id, Reopen(reason="Dana was late"))
    panel = views.panel(table.session(id), table.session(table.team), table.clock.now())
    assert (panel["state"], panel["seal"], panel["closed_at"], panel["revealed_at"]) == ("capturing", None, None, None)
    assert panel["synthesis"] == {
        "status": "pending", "has_error": False, "error_message": None, "themes": None, "statements": None,
        "gap_type": None, "gap_reasoning": None, "suggested_recalibrations": None,
    }  # fmt: skip
    assert (panel["submitted_count"], panel["facilitator_notes"], panel["recalibration_action"]) == (
        3, "A note", "Meet weekly",
    )  # fmt: skip
    assert panel["responses"] is None
    table.do(id, Close())
    assert table.last(id, "closed").data["round"] == 2
    assert table.verified(id)


def test_recalibration_is_marked_either_way_in_every_state(table: Table) -> None:
    for state in LIFECYCLE.states:
        id = staged(table, state)
        for completed in (True, False):
            table.do(id, MarkRecalibration(completed=completed))
            assert table.session(id).data["recalibration"]["completed"] is completed
        table.bench(table.engine.erase(id, ADA))


def test_notes_change_what_they_name(table: Table) -> None:
    id = table.closed()
    table.do(id, SaveNotes(facilitator_notes="One"))
    table.do(id, SaveNotes(recalibration_action="Two"))
    assert table.do(id, SaveNotes(recalibration_action="Two")) == ()
    assert views.notes(table.session(id)) == {"facilitator_notes": "One", "recalibration_action": "Two"}
    for wrong in ({}, {"facilitator_notes": "x" * 10_001}, {"recalibration_action": "x" * 1001}):
        with pytest.raises(errors.Invalid):
            strict.check(SaveNotes, wrong)


def test_anonymity_only_rises(table: Table) -> None:
    id = table.draft()
    assert table.do(id, RaiseAnonymity(level="named")) == ()
    table.do(id, RaiseAnonymity(level="facilitator_only"))
    table.do(id, RaiseAnonymity(level="anonymous"))
    with pytest.raises(refusals.AnonymityLowered, match=r"Anonymity can only be raised\."):
        table.do(id, RaiseAnonymity(level="named"))


def test_authorship_is_claimed_of_the_own_response_alone(table: Table) -> None:
    table.do(table.team, EditTeam(settings=ChangedSettings(anonymity="anonymous")))
    id = table.revealed()
    phone = table.device(f"phone-{id}-2")
    labels = {member: label for label, member in responses.labelled(table.session(id)).items()}
    for label in (labels[1], labels[3], "R9", ""):
        with pytest.raises(errors.NotFound, match="Response not found"):
            table.do(id, ClaimAuthorship(response=label), phone)
    table.do(id, ClaimAuthorship(response=labels[2]), phone)
    assert table.do(id, ClaimAuthorship(response=labels[2]), phone) == ()
    shown = views.shown_responses(table.session(id), "claim:1") or []
    assert {each["response"]: each["member"] for each in shown} == {
        labels[1]: None, labels[2]: {"id": 2, "name": "Bob"}, labels[3]: None,
    }  # fmt: skip
    table.do(table.team, EditTeam(settings=ChangedSettings(anonymity="named")))
    named = table.revealed(month="2026-02")
    mine = {member: label for label, member in responses.labelled(table.session(named)).items()}[1]
    with pytest.raises(refusals.NamesShown):
        table.do(named, ClaimAuthorship(response=mine), table.device(f"phone-{named}-1"))


def refuses_until(table: Table, again: Callable[[], object], seconds: int) -> None:
    """What is over its limit is refused, with when it is free again; then it goes on."""
    with pytest.raises(errors.RateLimited, match="Too many attempts") as caught:
        again()
    assert caught.value.facts == {"retry_after": seconds}
    table.clock.advance(seconds)
    again()


def test_so_many_responses_under_one_name_and_no_more(table: Table) -> None:
    id = table.capturing()
    phone, other = table.responds(id, 1, "First"), table.responds(id, 2, "Also")
    for _ in range(terms.SUBMITS_A_MINUTE - 1):
        table.do(id, Submit(bullets=["Again"]), phone)
    table.do(id, Submit(bullets=["Others are not held up"]), other)
    refuses_until(table, lambda: table.do(id, Submit(bullets=["More"]), phone), 60)
    for number in range(terms.SUBMITS_A_MINUTE + 1, terms.SUBMITS_AN_HOUR):
        table.clock.advance(5)
        table.do(id, Submit(bullets=[f"Patient {number}"]), phone)
    passed = int(table.clock.now().timestamp()) % 3600
    table.clock.advance(60)
    refuses_until(table, lambda: table.do(id, Submit(bullets=["More"]), phone), 3600 - passed - 60)


def test_a_name_is_taken_and_left_so_often_and_no_more(table: Table) -> None:
    id = table.capturing()
    for number in range(terms.CLAIMS_A_MINUTE):
        phone = table.device(f"phone-{number}")
        table.do(id, Claim(member_id=1), phone)
        table.do(id, Leave(), phone)
    table.do(id, Claim(member_id=2), table.device("other"))
    refuses_until(table, lambda: table.do(id, Claim(member_id=1), table.device("late")), 60)


def test_asking_again_and_again_for_the_own_name_ends(table: Table) -> None:
    id = table.revealed()
    table.do(id, RaiseAnonymity(level="anonymous"))
    mine = {member: label for label, member in responses.labelled(table.session(id)).items()}[1]
    phone = table.device(f"phone-{id}-1")
    for _ in range(terms.AUTHORSHIPS_A_MINUTE):
        table.do(id, ClaimAuthorship(response=mine), phone)
    refuses_until(table, lambda: table.do(id, ClaimAuthorship(response=mine), phone), 60)


def test_a_session_may_start_and_reveal_itself(tmp_path: Path) -> None:
    with laid(tmp_path, team={"settings": {"auto_start": True, "auto_reveal": True}}) as table:
        id = table.draft()
        assert table.session(id).state == "capturing"
        assert table.last(id, "started").role == "system"
        table.all_respond(id)
        table.do(id, Close())
        table.works()
        assert table.session(id).state == "revealed"
        revealed = table.last(id, "revealed")
        assert (revealed.role, revealed.data["synthesis_status"]) == ("system", "complete")


def test_a_repeated_request_is_done_once(table: Table) -> None:
    once = Once("user:ada POST", "k1", b"digest", lambda done: done.session.id.encode())
    make = Create(team_id=table.team, month="2026-09")
    first, again = (table.bench(table.engine.open("facilitation", make, ADA, once=once)) for _ in range(2))
    assert (first.answer, again.repeated) == (again.answer, True)


def test_an_unknown_event_changes_nothing_and_the_journal_gives_the_state(table: Table) -> None:
    id = table.revealed()
    table.do(id, RaiseAnonymity(level="anonymous"))
    table.do(id, Reopen())
    table.responds(id, 2, "Another point", device=f"phone-{id}-2")
    assert table.verified(id) and table.verified(table.team)
