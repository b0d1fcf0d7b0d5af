"""Teams: who is in them, who leads them, what stays open, and what goes when a member is erased."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from sitting import errors
from sitting.apps.facilitation import (
    TEAM,
    commands,
    exports,
    people,
    refusals,
    responses,
    team_commands,
    team_views,
    terms,
    views,
)
from sitting.apps.facilitation.team_commands import (
    AddAction,
    AddFacilitator,
    AddMember,
    ChangeAction,
    CreateTeam,
    EditTeam,
    EraseMember,
    RemoveFacilitator,
    RemoveMember,
    RenameMember,
    TeamSettings,
)
from sitting.core import strict
from sitting.core.actor import guest
from sitting.core.event import Event
from sitting.core.kind import Ask, Command
from sitting.core.session import Session
from sitting.engine import Where
from sitting.model import Step
from sitting.store.schema import counters
from tests.apps.facilitation.table import MONTH, Table, laid
from tests.support.clock import START
from tests.support.engines import ADA, ADMIN, BOB, EVE


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with laid(tmp_path) as made:
        yield made


def read(command: type[Command], **fields: Any) -> Command:
    """The command, as the edge reads it."""
    return strict.check(command, fields)


def test_a_team_begins_with_its_defaults_and_a_code_to_read_out(table: Table) -> None:
    team = table.session(table.team)
    made = team_views.team(team)
    assert list(made) == [
        *("team_id", "company_name", "team_name", "code", "strategy_statement", "image_prompt", "bullet_prompt"),
        *("settings", "members", "facilitators", "actions", "created_at", "as_of"),
    ]
    assert len(made["code"]) == 6 and set(made["code"]) <= set("23456789ABCDEFGHJKMNPQRSTUVWXYZ")
    assert made["image_prompt"] == "Pick the card that shows how we are carrying out our strategy right now."
    assert made["bullet_prompt"] == "Write 1 to 5 short points that explain your card."
    assert made["settings"] == {
        "auto_start": False, "auto_synthesize": True, "auto_reveal": False,
        "card_required": False, "join_by": "code", "anonymity": "named",
    }  # fmt: skip
    assert made["facilitators"] == ["user:ada"]
    assert made["members"][0] == {"id": 1, "name": "Alice", "active": True}
    assert team_views.team_item(team)["members"] == 3


def test_only_those_who_lead_a_team_see_it(table: Table) -> None:
    assert table.seen(table.team, ADMIN).role == terms.FACILITATOR
    for stranger in (BOB, EVE, guest("nobody")):
        with pytest.raises(errors.NotFound):
            table.seen(table.team, stranger)
    visitor = table.seen(table.team, table.device("phone"))
    assert visitor.view == {"team_id": table.team, "team_name": "North", "as_of": visitor.session.position}
    assert set(table.told(table.team, table.device("phone"))) == {None}


def test_a_code_is_known_everywhere_and_belongs_to_one_team(table: Table) -> None:
    found = table.bench(table.engine.find(people.team_credential(table.code)))
    assert found == (table.team, terms.VISITOR)
    again = CreateTeam(company_name="W", team_name="South", code=table.code.lower())
    with pytest.raises(
        errors.Conflict, match=rf"Team code '{table.code}' already exists\. Please choose a different code\."
    ):
        table.bench(table.engine.open("team", again, ADA))
    with pytest.raises(errors.KeyTaken):
        table.bench(table.engine.open("team", again, EVE))
    table.do(table.team, EditTeam(code="north7"))
    assert table.session(table.team).data["code"] == "NORTH7"
    assert table.bench(table.engine.find(people.team_credential(table.code))) is None
    assert table.bench(table.engine.find(people.team_credential("NORTH7"))) == (table.team, terms.VISITOR)
    table.bench(table.engine.open("team", again, EVE))


@pytest.mark.parametrize("code", ["abc", "a" * 21, "NORTH 7", "NÖRTH", "٤٤٤٤", ""])
def test_a_code_has_one_form(code: str) -> None:
    with pytest.raises(refusals.CodeInvalid, match="Team code must be 4-20 letters or digits"):
        CreateTeam(company_name="W", team_name="N", code=code)


@pytest.mark.parametrize(
    "fields",
    [
        {"company_name": " "}, {"company_name": "x" * 256}, {"team_name": ""}, {"strategy_statement": "x" * 2001},
        {"image_prompt": "x" * 501}, {"bullet_prompt": "x" * 501}, {"team_name": "a\x00b"}, {"nothing": 1},
        {"settings": {"anonymity": "none"}}, {"settings": {"auto_start": 1}},
    ],
)  # fmt: skip
def test_what_a_team_may_not_be(fields: dict[str, Any]) -> None:
    with pytest.raises(errors.Invalid):
        read(CreateTeam, **{"company_name": "W", "team_name": "N", **fields})


def test_edits_name_what_they_changed_and_nothing_else_is_written(table: Table) -> None:
    table.do(table.team, EditTeam(team_name="South", settings={"auto_reveal": True}))
    table.do(table.team, EditTeam(team_name="South"))
    told = [event for event in table.told(table.team) if event and event["type"] == "edited"]
    assert [event["data"]["fields"] for event in told] == [["settings", "team_name"]]
    assert table.session(table.team).data["settings"] == TeamSettings(auto_reveal=True).model_dump()


def test_settings_of_a_session_are_those_the_team_had(table: Table) -> None:
    id = table.draft()
    table.do(table.team, EditTeam(settings=team_commands.ChangedSettings(anonymity="anonymous")))
    assert table.session(id).data["settings"]["anonymity"] == "named"
    assert table.session(table.draft("2026-02")).data["anonymity"] == "anonymous"


def test_members_keep_their_ids_and_names_are_compared_as_people_do(table: Table) -> None:
    with pytest.raises(refusals.NameTaken, match=r"A member with this name already exists\."):
        table.do(table.team, AddMember(name="  aLICE "))
    table.do(table.team, RemoveMember(member_id=1))
    table.do(table.team, AddMember(name="Alice  Ann"))
    assert [each["id"] for each in team_views.active_members(table.session(table.team))] == [2, 3, 4]
    assert team_views.members(table.session(table.team))[3]["name"] == "Alice Ann"
    table.do(table.team, RenameMember(member_id=4, name="alice ann"))
    with pytest.raises(refusals.NameTaken):
        table.do(table.team, RenameMember(member_id=4, name="BOB"))
    table.do(table.team, AddMember(name="Zoë"))
    with pytest.raises(refusals.NameTaken):
        table.do(table.team, AddMember(name="Zoe\u0308"))
    for gone in (RenameMember(member_id=1, name="A"), RemoveMember(member_id=1), RemoveMember(member_id=99)):
        with pytest.raises(errors.NotFound, match="Member not found"):
            table.do(table.team, gone)


def test_a_full_team_is_full(tmp_path: Path) -> None:
    with laid(tmp_path, most=3) as table:
        with pytest.raises(refusals.TeamFull, match=r"This team already has 3 members\.") as caught:
            table.do(table.team, AddMember(name="Dana"))
        assert caught.value.code == "WRONG_STATE"
        table.do(table.team, RemoveMember(member_id=2))
        table.do(table.team, AddMember(name="Dana"))


def test_nobody_finds_out_codes_by_choosing_many(table: Table) -> None:
    """Whether a code was free says which there are. What is made for somebody costs nothing."""

    def chosen(number: int) -> Command:
        return CreateTeam(company_name="Works", team_name="North", code=f"CODE{number}")

    for number in range(terms.MAX_CODES_AN_HOUR - 1):
        table.bench(table.engine.open("team", chosen(number), ADA))
    table.do(table.team, EditTeam(code="EDITED"))
    table.do(table.team, EditTeam(code="EDITED", company_name="Other works"))
    table.bench(table.engine.open("team", CreateTeam(company_name="Works", team_name="South"), ADA))
    made, edited = table.engine.open("team", chosen(999), ADA), table.engine.do(table.team, EditTeam(code="X999"), ADA)
    for one_more in (made, edited):
        with pytest.raises(errors.RateLimited, match="Too many attempts") as caught:
            table.bench(one_more)
        assert 0 < caught.value.facts["retry_after"] <= terms.HOUR_SECONDS
    table.bench(table.engine.open("team", chosen(999), BOB))
    table.clock.advance(terms.HOUR_SECONDS)
    table.bench(table.engine.open("team", chosen(1000), ADA))
    table.bench(table.engine.tidy())
    left = table.bench(table.store.read(lambda tx: tx.all(select(counters))))
    assert [(amount, until) for _, amount, until in left] == [(1, "2026-03-01T11:00:00.000Z")], "this hour's alone"


def test_the_count_of_chosen_codes_is_over_with_the_hour() -> None:
    wish = CreateTeam(company_name="Works", team_name="North", code="CHOSEN")
    (charge,) = TEAM.decide(
        Ask(Session("", "team", "s1"), wish, ADA, "member", START + timedelta(minutes=7), b"", {"taken": False})
    ).charges
    assert charge.until == START + timedelta(hours=1)


def test_facilitators_come_and_go_but_one_stays(table: Table) -> None:
    """Only an account of the team's own space comes in: nobody's id, and somebody's of another space, are not found."""
    id = table.draft()
    table.enrols(EVE)
    with pytest.raises(refusals.LastFacilitator, match=r"A team needs at least one facilitator\."):
        table.do(table.team, RemoveFacilitator(actor_id="user:ada"))
    for unknown in ("user:bob", "user:eve"):
        with pytest.raises(errors.NotFound, match="Facilitator not found"):
            table.do(table.team, AddFacilitator(actor_id=unknown))
    table.enrols(BOB)
    table.do(table.team, AddFacilitator(actor_id="user:bob"))
    assert table.do(table.team, AddFacilitator(actor_id="user:bob")) == ()
    assert table.seen(id, BOB).role == terms.FACILITATOR
    assert [seen.session.id for seen in table.bench(table.engine.list("facilitation", BOB, Where())).items] == [id]
    table.do(table.team, RemoveFacilitator(actor_id="user:ada"), BOB)
    with pytest.raises(errors.NotFound):
        table.seen(id)
    with pytest.raises(errors.NotFound, match="Facilitator not found"):
        table.do(table.team, RemoveFacilitator(actor_id="user:ada"), BOB)
    with pytest.raises(errors.Invalid):
        read(AddFacilitator, actor_id="guest:x")


def test_actions_stay_open_until_they_are_done(table: Table) -> None:
    january = table.revealed()
    event = table.do(table.team, AddAction(text="Write it down", session_id=january, owner_member_id=2))[0]
    table.do(table.team, AddAction(text="Ask them", session_id=january, due_on="2026-02-28"))
    february = table.capturing("2026-02")
    started = next(each for each in table.told(february) if each and each["type"] == "started")
    assert [each["text"] for each in started["data"]["carried_actions"]] == ["Write it down", "Ask them"]
    panel = views.panel(table.session(february), table.session(table.team), table.clock.now())
    assert panel["open_actions"][0] == {
        "id": 1, "text": "Write it down", "owner": {"id": 2, "name": "Bob"}, "due_on": None, "status": "open",
        "outcome": "", "session_id": january, "month": MONTH,
    }  # fmt: skip
    done = ChangeAction(action_id=event.data["action"], status="done", outcome="It is on the wall.")
    table.do(table.team, done)
    table.do(table.team, ChangeAction(action_id=2, due_on=None, owner_member_id=3))
    assert [each["id"] for each in team_views.open_actions(table.session(table.team))] == [2]
    assert team_views.actions(table.session(table.team))[1]["due_on"] is None
    march = table.capturing("2026-03")
    assert [each["id"] for each in views.room(table.session(march), "claim:1", table.clock.now())["open_actions"]] == [
        2
    ]
    trend = team_views.trend(table.session(table.team), [table.session(id) for id in (march, february, january)])
    assert trend == [
        {
            "session_id": january, "month": MONTH, "gap_type": "Direction", "submitted_count": 3, "total_members": 3,
            "actions_done": 1, "actions_open": 1,
        }
    ]  # fmt: skip


def test_actions_that_cannot_be(tmp_path: Path) -> None:
    with laid(tmp_path) as table:
        id = table.draft()
        for nobody in (AddAction(text="x", session_id=id, owner_member_id=9), ChangeAction(action_id=9, text="x")):
            with pytest.raises(errors.NotFound):
                table.do(table.team, nobody)
        with pytest.raises(errors.NotFound, match="Session not found"):
            table.do(table.team, AddAction(text="x", session_id=table.team))
        for _ in range(terms.MAX_OPEN_ACTIONS):
            table.do(table.team, AddAction(text="x", session_id=id))
        with pytest.raises(refusals.TooManyActions):
            table.do(table.team, AddAction(text="x", session_id=id))
        table.do(table.team, ChangeAction(action_id=1, status="dropped"))
        table.do(table.team, AddAction(text="x", session_id=id))
        with pytest.raises(refusals.TooManyActions):
            table.do(table.team, ChangeAction(action_id=1, status="open"))


@pytest.mark.parametrize("day", ["2026-02-30", "2026-2-3", "tomorrow", "٢٠٢٦-٠١-٠١", "2026-01-01T00:00"])
def test_a_day_is_one_of_the_calendar(day: str) -> None:
    with pytest.raises(errors.Invalid):
        read(AddAction, text="x", session_id="s", due_on=day)
    with pytest.raises(errors.Invalid):
        read(ChangeAction, action_id=1)


def test_an_erased_member_is_nowhere_and_the_chain_still_holds(tmp_path: Path) -> None:
    canary = "xylophone"
    statement = '{"name": "One", "statement": "They all hear a %s.", "responses": ["R1"]}'
    other = '{"name": "Two", "statement": "The goal is unclear.", "responses": ["R2"]}'
    answer = (
        '{"themes": "There is noise.", "statements": [' + ", ".join([statement % canary, other, other]) + "], "
        '"gap_type": "Alignment", "gap_reasoning": "Because of the xylophone.", '
        '"suggested_recalibrations": ["Ask the first", "Ask the second", "Ask the third"]}'
    )
    with laid(tmp_path, Step(pieces=(answer,))) as table:
        old, new = table.revealed(points=(f"I hear a {canary}", "The goal", "A goal")), table.capturing("2026-02")
        table.responds(new, 1, f"Still the {canary}")
        assert canary in str(views.panel(table.session(old), table.session(table.team), table.clock.now()))
        with pytest.raises(errors.Invalid):
            table.do(table.team, EraseMember(member_id=1, confirm="Bob"))
        table.do(table.team, EraseMember(member_id=1, confirm="alice"))
        table.works()
        team, session = table.session(table.team), table.session(old)
        panel = views.panel(session, team, table.clock.now())
        everything: list[Any] = [
            panel,
            team_views.team(team),
            exports.markdown(session, team, "facilitator", table.clock.now()),
        ]
        everything += [table.told(id) for id in (table.team, old, new)]
        everything += [dict(record.__dict__) for id in (table.team, old, new) for record in
                       table.bench(table.engine.journal(id, ADA)).records]  # fmt: skip
        assert canary not in str(everything) and "Alice" not in str(everything)
        assert panel["members"][0] == {"id": 1, "name": "Erased member", "submitted": True, "claimed": False}
        assert panel["seal"]["matches"] is True and panel["seal"]["count"] == 3
        assert views.seal_line(session) == (
            "3 sealed, 2 shown, digest matches. 1 response was erased later on request."
        )
        assert [each["response"] for each in panel["responses"]] == [
            label for label in ("R1", "R2", "R3") if label in responses.labelled(session)
        ]
        assert panel["synthesis"]["themes"] == "There is noise."
        assert panel["synthesis"]["gap_reasoning"] is None
        assert [each["name"] for each in panel["synthesis"]["statements"]] == ["Two", "Two"]
        with pytest.raises(errors.NotFound):
            table.seen(new, guest(f"phone-{new}-1"))
        assert views.status(table.session(new), team)["total_members"] == 2
        assert all(table.verified(id) for id in (table.team, old, new))
        with pytest.raises(errors.NotFound):
            table.do(table.team, EraseMember(member_id=1, confirm="Erased member"))
        table.do(old, commands.Reopen())
        assert views.status(table.session(old), team)["total_members"] == 2
        assert table.verified(old)


def test_a_deleted_team_takes_its_sessions_with_it_and_frees_its_code(table: Table) -> None:
    id = table.revealed()
    table.bench(table.engine.erase(table.team, ADA))
    for gone in (table.team, id):
        with pytest.raises(errors.NotFound):
            table.seen(gone)
    table.bench(table.engine.open("team", CreateTeam(company_name="W", team_name="N", code=table.code), EVE))


def test_companies_are_counted_by_name(table: Table) -> None:
    one = table.session(table.team)
    table.found(company_name="acme")
    two = table.session(table.team)
    assert team_views.companies([one, two, one]) == [{"name": "acme", "teams": 1}, {"name": "Works", "teams": 2}]
    assert team_views.title(two) == "North"


def test_the_name_of_an_actions_owner_goes_with_the_member(table: Table) -> None:
    january = table.revealed()
    table.do(table.team, AddAction(text="Ask them", session_id=january, owner_member_id=1))
    table.do(table.team, RemoveMember(member_id=1))
    february = table.capturing("2026-02")

    def owner() -> Any:
        started = next(each for each in table.told(february) if each and each["type"] == "started")
        return started["data"]["carried_actions"][0]["owner"]

    assert owner() == {"id": 1, "name": "Alice"}
    table.do(table.team, EraseMember(member_id=1, confirm="Alice"))
    table.works()
    assert owner() == {"id": 1, "name": "Erased member"}
    assert "Alice" not in str([table.bench(table.engine.journal(id, ADA)) for id in (table.team, january, february)])
    assert table.verified(february)


@pytest.mark.parametrize(
    ("type", "change"),
    [
        ("created", {"code": "X" * 5000}),
        ("created", {"code": 7}),
        ("edited", {"code": "X" * 21}),
        ("action_added", {"month": None}),
        ("action_added", {"month": 7}),
    ],
)
def test_what_no_page_could_show_is_no_event_of_a_team(type: str, change: dict[str, Any]) -> None:
    """A forged bundle may hold it; it is refused there."""
    data = {"code": "ABC234", "settings": {}, "action": 1, "owner_member_id": None, "due_on": None, "session_id": "s"}
    event = Event(1, type, "user:ada", "facilitator", START, {**data, "month": MONTH, **change}, {})
    with pytest.raises(ValueError):
        TEAM.after(Session("t", "team", "s1"), event)
