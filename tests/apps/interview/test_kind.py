"""The lifecycle of an interview, its clock, its limits, its link and its people."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting import errors
from sitting.apps.interview import challenges, clock, refusals, views
from sitting.apps.interview.commands import (
    AddInterviewer,
    Create,
    End,
    ExtendTime,
    ExtendTokens,
    Join,
    MarkIntegrity,
    Pause,
    RemoveInterviewer,
    Resume,
    RevokeLink,
    RotateLink,
    SendMessage,
    SessionConfig,
    SessionUpdate,
    Start,
    StartAnyway,
    Update,
)
from sitting.apps.interview.kind import KIND, LIFECYCLE
from sitting.apps.interview.terms import JOINS_A_MINUTE
from sitting.core.actor import Actor
from sitting.core.event import to_text
from sitting.core.kind import Command
from sitting.core.session import Session
from tests.apps.interview.stage import ANN, BEN, GUEST, START, Stage, refolded

MOVES: dict[str, Command] = {"start": Start(), "pause": Pause(), "resume": Resume(), "end": End()}
ALLOWED = {
    ("created", "start"): "active",
    ("created", "end"): "completed",
    ("active", "pause"): "paused",
    ("active", "end"): "completed",
    ("paused", "resume"): "active",
    ("paused", "end"): "completed",
}


def staged(state: str) -> Stage:
    """An interview in a state."""
    stage = Stage().created(time_limit=300)
    if state == "completed":
        stage.do(End())
    if state in ("active", "paused", "expired"):
        stage.do(Start())
    if state == "paused":
        stage.do(Pause())
    if state == "expired":
        stage.later(300).fire()
    assert stage.session.state == state
    return stage


@pytest.mark.parametrize("state", LIFECYCLE.states)
@pytest.mark.parametrize("verb", MOVES)
def test_every_state_takes_its_own_moves_and_refuses_the_others_by_name(state: str, verb: str) -> None:
    stage = staged(state)
    before = stage.session
    if (state, verb) in ALLOWED:
        stage.do(MOVES[verb])
        assert stage.session.state == ALLOWED[state, verb]
        return
    with pytest.raises(errors.WrongState) as caught:
        stage.do(MOVES[verb])
    assert caught.value.message == f"Cannot {verb} session. Session is in '{state}' state."
    assert caught.value.facts["session_status"] == state
    assert stage.session == before


@pytest.mark.parametrize(
    ("command", "detail"),
    [
        (ExtendTime(seconds=60, reason="r"), "Cannot extend time. Session is in 'completed' state."),
        (ExtendTokens(tokens=1, reason="r"), "Cannot extend tokens. Session is in 'completed' state."),
        (Update(candidate_name="B"), "Cannot update session. Session is in 'completed' state."),
    ],
)
def test_limits_stand_once_it_is_over(command: Command, detail: str) -> None:
    with pytest.raises(errors.WrongState, match=detail):
        staged("completed").do(command)


def test_the_five_documented_events_and_the_public_form_of_the_first() -> None:
    stage = Stage().created()
    for command in MOVES.values():
        stage.later(1).do(command)
    told = stage.told("interviewer:user:ann")
    names = ["SESSION_CREATED", "SESSION_STARTED", "SESSION_PAUSED", "SESSION_RESUMED", "SESSION_COMPLETED"]
    assert [event["type"] for event in told] == names
    assert told[0] == {
        "seq": 1,
        "type": "SESSION_CREATED",
        "ts": "2026-03-01T09:00:00.000Z",
        "actor": {"role": "interviewer"},
        "description": "Session created",
        "data": {"time_limit": 3600, "token_budget": 50000, "model": "gpt-4"},
    }
    assert told[2]["data"] == {"by": "interviewer", "active_ms": 1000, "reason": ""}
    assert told[3]["data"] == {"by": "interviewer", "paused_ms": 1000}
    assert told[4]["data"] == {"duration": 2, "tokens_used": 0, "message_count": 0, "reason": "ended"}


def test_the_session_has_exactly_the_documented_keys() -> None:
    stage = Stage().created(candidate_email="u@example.com", challenge_text="Solve this")
    assert list(stage.view()) == [
        *("id", "candidate_name", "candidate_email", "time_limit", "token_budget", "model_name", "status"),
        *("start_time", "end_time", "paused_at", "total_paused_duration", "tokens_used", "input_tokens"),
        *("output_tokens", "tokens_reserved", "tokens_remaining", "message_count", "time_remaining", "challenge_id"),
        *("challenge_text", "config", "interviewers", "join_url", "link_expires_at", "created_at", "updated_at"),
        "as_of",
    ]
    assert stage.view()["as_of"] == "1.1"
    assert stage.view()["interviewers"] == ["user:ann"]
    assert stage.view()["config"] == {}
    assert stage.view("visitor") == {"as_of": "1.1"}


def test_pauses_do_not_count_and_every_answer_says_the_same() -> None:
    stage = Stage().started()
    stage.later(300).do(Pause())
    stage.later(600).do(Resume())
    stage.later(300)
    assert clock.time_remaining(stage.session, stage.now) == 3000
    assert stage.view()["time_remaining"] == views.status(stage.session, stage.now)["time_remaining"] == 3000
    remaining = views.remaining(stage.session, stage.now)
    assert (remaining["active_ms"], remaining["paused_ms"]) == (600_000, 600_000)


def test_an_open_pause_stops_the_clock_and_the_end_closes_it() -> None:
    stage = Stage().started().later(10)
    stage.do(Pause(reason="fire drill"))
    stage.later(5, ms=900)
    assert clock.time_remaining(stage.session, stage.now) == 3590
    assert stage.view()["paused_at"] == "2026-03-01T09:00:10.000Z"
    stage.do(End())
    assert stage.view()["paused_at"] is None
    assert stage.view()["total_paused_duration"] == 5
    assert clock.time_remaining(stage.session, stage.later(9999).now) == 3590


@given(st.lists(st.tuples(st.integers(0, 40_000), st.integers(0, 40_000)), max_size=8))
def test_active_time_is_the_sum_of_the_active_intervals(spans: list[tuple[int, int]]) -> None:
    stage = Stage().started(time_limit=3600)
    for active, paused in spans:
        stage.later(ms=active).do(Pause())
        stage.later(ms=paused).do(Resume())
    total = sum(active for active, _ in spans)
    assert clock.active_ms(stage.session, stage.now) == total
    assert clock.remaining_ms(stage.session, stage.now) == 3_600_000 - total
    assert stage.view()["total_paused_duration"] == sum(paused for _, paused in spans) // 1000
    assert stage.session == refolded(stage.events, stage.session)


def test_expiry_happens_once_at_the_instant_the_limit_was_reached() -> None:
    stage = Stage().created(SessionConfig(candidate_name="C", time_limit=2))
    stage.later(7).do(Start())
    stage.later(3).fire()
    stage.fire()
    assert stage.types().count("SESSION_EXPIRED") == 1
    assert stage.view()["end_time"] == "2026-03-01T09:00:09.000Z"
    assert stage.events[-1].data["expired_at"] == "2026-03-01T09:00:09.000Z"
    assert clock.active_ms(stage.session, stage.now) == 2000
    assert stage.view()["time_remaining"] == 0
    assert clock.levels(stage.session, stage.now)["time"] == "expired"


def test_only_an_active_session_expires() -> None:
    for state in ("created", "paused"):
        stage = staged(state).later(20 * 3600)
        stage.fire()
        assert stage.session.state == state


def test_a_pause_of_a_day_ends_the_session() -> None:
    stage = staged("paused").later(24 * 3600)
    stage.fire()
    assert stage.session.state == "completed"
    assert stage.events[-1].data["reason"] == "pause_limit"
    assert stage.events[-1].at == START + timedelta(hours=24)


def test_each_threshold_of_time_warns_once_and_again_after_an_extension() -> None:
    stage = Stage().started(time_limit=1000)
    stage.later(749, ms=999).fire()
    assert "TIME_WARNING" not in stage.types()
    stage.later(ms=1).fire()
    stage.later(300 - 50).fire()
    assert stage.session.state == "expired"
    warned = [(event.data["threshold"], event.data["remaining"]) for event in stage.events if "WARN" in event.type]
    assert warned == [(25, 250), (10, 100), (5, 50)]
    stage = Stage().started(time_limit=1000).later(900)
    stage.do(ExtendTime(seconds=60, reason="slow room"))
    assert stage.session.data["time_warned"] == [25]
    stage.do(ExtendTime(seconds=600, reason="very slow room"))
    assert stage.session.data["time_warned"] == []
    assert clock.levels(stage.session, stage.now)["time"] == "normal"
    stage.later(600).fire()
    assert [event.data["threshold"] for event in stage.events if "WARN" in event.type] == [25, 10, 25, 10]


def test_levels_at_their_edges() -> None:
    stage = Stage().started(time_limit=1000)
    for seconds, level in ((749, "normal"), (1, "warning"), (150, "critical"), (50, "urgent"), (50, "expired")):
        stage.later(seconds).fire()
        assert clock.levels(stage.session, stage.now)["time"] == level


def test_extensions_add_up_to_their_totals_and_no_further() -> None:
    stage = Stage().started(time_limit=10_800, token_budget=200_000)
    stage.do(ExtendTime(seconds=10_800, reason="longer task"))
    assert stage.events[-1].data == {"seconds": 10_800, "time_limit": 21_600}
    with pytest.raises(errors.Invalid) as caught:
        stage.do(ExtendTime(seconds=60, reason="more"))
    assert caught.value.facts["fields"][0]["field"] == "seconds"
    for _ in range(4):
        stage.do(ExtendTokens(tokens=200_000, reason="long code"))
    with pytest.raises(errors.Invalid):
        stage.do(ExtendTokens(tokens=1, reason="more"))
    assert stage.told("candidate")[-1]["data"]["reason"] == "long code"
    assert "reason" not in stage.events[-1].data


def test_who_may_start() -> None:
    waiting = {"interviewer": "candidate", "candidate": "interviewer"}
    for starter, other in waiting.items():
        stage = Stage().created(config={"start_by": starter})
        with pytest.raises(errors.Conflict) as caught:
            stage.do(Start(), GUEST if other == "candidate" else ANN, other)
        assert caught.value.code == f"WAIT_FOR_{starter.upper()}"
        assert caught.value.message == f"Please wait for the {starter} to start the session."
        stage.do(StartAnyway(), GUEST if other == "candidate" else ANN, other)
    with pytest.raises(errors.NotAllowed):
        Stage().created().do(Start(), GUEST, "visitor")


def test_an_update_before_the_start_and_what_comes_too_late() -> None:
    stage = Stage().created(config={"helper": "full", "room": 1})
    stage.do(SessionUpdate(candidate_email="u@example.com", token_budget=75_000, time_limit=30))
    assert (stage.view()["candidate_email"], stage.view()["token_budget"]) == ("u@example.com", 75_000)
    assert stage.view()["time_remaining"] == 30
    assert stage.told("interviewer:x")[-1]["data"] == {"fields": ["candidate_email", "time_limit", "token_budget"]}
    before = len(stage.events)
    stage.do(Update(candidate_email="u@example.com"))
    assert len(stage.events) == before
    stage.do(Start())
    with pytest.raises(errors.Invalid) as caught:
        stage.do(Update(candidate_name="D", token_budget=80_000, config={"helper": "hints"}))
    assert [each["field"] for each in caught.value.facts["fields"]] == ["token_budget", "config.helper"]
    assert stage.view()["candidate_name"] == "Carla Example"
    stage.do(Update(candidate_name="D", candidate_email=None, config={"room": 2, "helper": "full"}))
    assert stage.view()["config"] == {"helper": "full", "room": 2}
    assert stage.view()["candidate_email"] is None
    assert stage.told("candidate")[-1]["type"] == "SESSION_STARTED"


def test_a_challenge_is_copied_and_shown_to_each_as_far_as_it_may() -> None:
    id = next(iter(challenges.BUILT_IN))
    stage = Stage().created(challenge_id=id, challenge_text="Also explain it.")
    assert stage.session.subject == id
    whole = views.challenge(stage.session, "interviewer:user:ann")
    assert whole is not None and whole["challenge"]["hints"] and whole["challenge"]["test_cases"]
    assert stage.view("candidate")["challenge"] is None
    stage.do(Start())
    shown = stage.view("candidate")["challenge"]
    assert shown["challenge"]["title"] == "Meeting room clash"
    assert shown["challenge_text"] == "Also explain it."
    assert not {"hints", "test_cases"} & set(shown["challenge"])
    hidden = {"candidate_email", "config", "interviewers", "join_url", "link_expires_at", "candidate_name"}
    assert not hidden & set(stage.view("candidate"))


def test_an_unknown_or_archived_challenge_is_refused() -> None:
    id = "6f1d7c44-9a58-4ac5-a1d5-0a1c2a8b9d10"
    archived = Session(id, "challenge", "space", "archived", 1)
    for others in ({}, {id: archived}, {id: Session(id, "interview", "space", "active", 1)}):
        with pytest.raises(errors.Invalid) as caught:
            Stage(others=others).created(challenge_id=id)
        assert caught.value.facts["fields"] == [{"field": "challenge_id", "message": "Challenge not found"}]


def test_the_largest_creation_is_one_event() -> None:
    text = "\x01" * 20_000
    stage = Stage()
    biggest = challenges.CreateChallenge(
        title="t", category="other", difficulty="easy", instructions="\U0001f9d1" * 20_000, starter_code="a" * 16_000
    )
    other = Session("6f1d7c44-9a58-4ac5-a1d5-0a1c2a8b9d10", "challenge", "space", "active", 1)
    stage.others[other.id] = other.put("texts", "fields", biggest.model_dump(mode="json"))
    config = {"x": "a" * (16 * 1024 - 9)}
    stage.created(challenge_id=other.id, challenge_text=text, config=config, candidate_name="\x01" * 255)
    with pytest.raises(ValueError, match="96 KB"):
        challenges.CreateChallenge(**{**biggest.model_dump(), "starter_code": "a" * 20_000})
    with pytest.raises(ValueError, match="16 KB"):
        Create(candidate_name="C", config={"x": "a" * (16 * 1024 - 7)})


def test_three_devices_join_and_the_oldest_ends() -> None:
    stage = Stage().created()
    guests = [Actor("guest:" + str(number) * 40) for number in range(4)]
    for guest in guests:
        stage.do(Join(), guest, "visitor")
    stage.do(Join(), guests[3], "candidate")
    seated = [grantee for grantee, (role, _) in stage.grants.items() if role == "candidate"]
    assert seated == [guest.id for guest in guests[1:]]
    assert [each["data"] for each in stage.told("interviewer:user:ann")[1:]] == [
        {"device": number, "notice_version": 1} for number in (1, 2, 3, 4)
    ]
    assert stage.view()["status"] == "created"


def test_so_many_devices_a_minute_by_one_link_and_no_more() -> None:
    stage = Stage().created().later(2, ms=500)
    guests = [Actor(f"guest:{number:040d}") for number in range(JOINS_A_MINUTE + 2)]
    for guest in guests[:-2]:
        stage.do(Join(), guest, "visitor")
    stage.do(Join(), guests[-3], "candidate")
    with pytest.raises(errors.RateLimited) as caught:
        stage.do(Join(), guests[-2], "visitor")
    assert caught.value.facts == {"retry_after": 58}
    stage.do(RotateLink(expires_in=600))
    stage.do(Join(), guests[-2], "visitor")
    stage.later(58).do(Join(), guests[-1], "visitor")


def test_a_link_is_a_hash_and_rotation_shuts_everybody_out() -> None:
    stage = Stage().started()
    key, id = b"k" * 32, stage.session.id
    code = views.join_code(key, id, 1)
    assert len(code) == 26 and code == code.lower() and code.isalnum()
    first = views.link_credential(code)
    assert stage.grants[first] == ("visitor", START + timedelta(days=7))
    stage.do(RotateLink(expires_in=600))
    second = views.link_credential(views.join_code(key, id, 2))
    assert set(stage.grants) == {"user:ann", second}
    assert stage.grants[second][1] == stage.now + timedelta(seconds=600)
    assert stage.view()["link_expires_at"] == to_text(stage.now + timedelta(seconds=600))
    stage.do(RevokeLink())
    stage.do(RevokeLink())
    assert set(stage.grants) == {"user:ann"}
    assert stage.types().count("LINK_REVOKED") == 1
    assert stage.view()["link_expires_at"] is None
    assert all(code not in str(event) for event in stage.events)
    assert [each["data"] for each in stage.told("interviewer:user:ann")[-2:]] == [{"version": 2}] * 2


def test_after_the_end_link_and_devices_live_seven_days_more() -> None:
    stage = Stage().started().later(60)
    stage.do(End(), GUEST, "candidate")
    until = stage.now + timedelta(days=7)
    assert stage.events[-1].data["reason"] == "left"
    assert {each for each, _ in stage.grants.values()} == {"visitor", "candidate", "interviewer"}
    assert all(expires == until for role, expires in stage.grants.values() if role != "interviewer")
    assert stage.view()["link_expires_at"] == to_text(until)
    short = Stage().started()
    short.do(RotateLink(expires_in=600))
    dead = next(expires for role, expires in short.grants.values() if role == "visitor")
    short.later(1200).do(End())
    assert [expires for role, expires in short.grants.values() if role == "visitor"] == [dead]
    assert short.view()["link_expires_at"] == to_text(dead or START)


def test_interviewers_come_and_go_and_the_last_one_stays() -> None:
    stage = Stage().created()
    stage.do(AddInterviewer(actor_id=BEN.id))
    stage.do(AddInterviewer(actor_id=BEN.id))
    assert stage.view()["interviewers"] == ["user:ann", "user:ben"]
    assert stage.grants[BEN.id] == ("interviewer", None)
    with pytest.raises(errors.Invalid) as caught:
        stage.do(AddInterviewer(actor_id="user:stranger"))
    assert [fault["field"] for fault in caught.value.facts["fields"]] == ["actor_id"]
    stage.do(RemoveInterviewer(actor_id=ANN.id))
    with pytest.raises(errors.Conflict, match="last interviewer"):
        stage.do(RemoveInterviewer(actor_id=BEN.id), BEN)
    with pytest.raises(errors.NotFound):
        stage.do(RemoveInterviewer(actor_id=ANN.id), BEN)
    with pytest.raises(ValueError):
        AddInterviewer(actor_id="guest:abc")


def test_integrity_marks_only_where_the_session_says_so() -> None:
    with pytest.raises(errors.NotAllowed):
        Stage().started().guest(MarkIntegrity(kind="paste", chars=3))
    stage = Stage().started(config={"integrity_marks": True})
    stage.guest(MarkIntegrity(kind="paste", chars=3))
    assert stage.told("candidate")[-1]["type"] == "SESSION_STARTED"
    assert stage.told("interviewer:user:ann")[-1]["data"] == {"kind": "paste", "chars": 3, "away_ms": 0}


@pytest.mark.parametrize(
    "fields",
    [
        {"candidate_name": ""},
        {"candidate_name": "   "},
        {"candidate_name": "n" * 256},
        {"time_limit": -100},
        {"time_limit": 0},
        {"time_limit": 10_801},
        {"time_limit": True},
        {"token_budget": -1000},
        {"token_budget": 0},
        {"token_budget": 200_001},
        {"candidate_email": "x@"},
        {"model_name": "gpt-9"},
        {"challenge_text": "x" * 20_001},
        {"challenge_id": "nonsense"},
        {"config": {"helper": "everything"}},
        {"config": {"criteria": []}},
        {"config": {"criteria": ["a", " a"]}},
        {"config": {"x": float("nan")}},
        {"config": {"x": "\ud800"}},
        {"unknown": 1},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        SessionConfig(**{"candidate_name": "Test User", **fields})


def test_the_shortest_configuration() -> None:
    config = SessionConfig(candidate_name=" Test User ")
    assert (config.candidate_name, config.time_limit, config.token_budget) == ("Test User", 3600, 50_000)
    assert (config.model_name, config.candidate_email, config.config) == ("gpt-4", None, {})
    with pytest.raises(ValueError, match="at least 5 minutes"):
        Create(candidate_name="C", time_limit=299)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ("created", refusals.NotStarted, "Session has not been started yet."),
        ("paused", refusals.NotActive, "Session is paused. Cannot send messages."),
        ("completed", refusals.NotActive, "Session is completed. Cannot send messages."),
        ("expired", refusals.TimeExpired, "Session time has expired."),
    ],
)
def test_a_message_at_the_wrong_time(state: str, error: type[errors.Refusal], message: str) -> None:
    stage = staged(state)
    with pytest.raises(error) as caught:
        stage.guest(SendMessage(content="Hello?"))
    assert caught.value.message == message
    status = views.status(stage.session, stage.now)
    assert (status["can_send"], status["reason"]) == (False, message)


def test_streams_end_for_candidates_only() -> None:
    stage = staged("completed")
    assert KIND.is_closed(stage.session, "candidate")
    assert not KIND.is_closed(stage.session, "interviewer:user:ann")
    assert KIND.needs(stage.session, "interviewer:user:ann") == "Submit your scorecard."
    assert [meter["name"] for meter in KIND.meters(stage.session, "candidate", stage.now)] == ["time", "tokens"]
    assert KIND.meters(stage.session, "visitor", stage.now) == ()


@pytest.mark.parametrize("role", ["visitor", "member", "", "owner"])
def test_a_role_without_a_right_sees_nothing(role: str) -> None:
    stage = Stage().started()
    audience = KIND.audience(stage.session, BEN, role)
    assert stage.told(audience) == []
    assert list(stage.view(audience)) == ["as_of"]


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("time_limit", 600, "Time limit must be at least 15 minutes"),
        ("time_limit", 7200, "Time limit must be at most 60 minutes"),
        ("token_budget", 1500, "Token budget must be at least 2000"),
        ("token_budget", 9000, "Token budget must be at most 8000"),
    ],
)
def test_an_operator_may_allow_less_than_the_form(field: str, value: int, said: str) -> None:
    stage = Stage(
        interview_min_time_limit=900, interview_max_time_limit=3600,
        interview_min_token_budget=2000, interview_max_token_budget=8000,
    )  # fmt: skip
    fitting: dict[str, Any] = {"time_limit": 3600, "token_budget": 8000}
    with pytest.raises(errors.Invalid) as refused:
        stage.created(Create(candidate_name="Ada", **{**fitting, field: value}))
    assert refused.value.facts["fields"] == [{"field": field, "message": said}]
    stage.created(Create(candidate_name="Ada", **fitting))
    with pytest.raises(errors.Invalid):
        stage.do(Update(**{field: value}))
