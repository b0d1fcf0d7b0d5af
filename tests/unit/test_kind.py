"""A kind as one plain value: what it refuses to be, what it offers, and what decide is given."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sitting import Installation, Settings, errors
from sitting.core.actor import Actor
from sitting.core.event import Event
from sitting.core.kind import Ask, Charge, Command, Kind, never
from sitting.core.lifecycle import GONE
from sitting.core.session import Session
from sitting.installation import App
from tests.support import workshop

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
SESSION = Session("s", "workshop", "space", "open")


def test_two_kinds_of_one_name_are_refused(tmp_path: Path) -> None:
    apps = [App("one", "One", "", (workshop.KIND,)), App("two", "Two", "", (workshop.kind(),))]
    with pytest.raises(errors.Misuse, match="Two kinds are called 'workshop'"):
        Installation(Settings(data=tmp_path, model="none"), apps=apps)


def test_a_kind_that_does_not_agree_with_itself_is_refused() -> None:
    commands = dict(workshop.COMMANDS)
    say = commands.pop("say")
    with pytest.raises(errors.Misuse, match="no command for say"):
        replace(workshop.KIND, commands=commands)
    with pytest.raises(errors.Misuse, match="the lifecycle lacks fly"):
        replace(workshop.KIND, commands={**workshop.COMMANDS, "fly": say})
    with pytest.raises(errors.Misuse, match="Close says 'close', not 'say'"):
        replace(workshop.KIND, commands={**workshop.COMMANDS, "say": workshop.Close})
    for wrong in ({"facts": {"fly": workshop.look}}, {"around": {"fly": workshop.published}}, {"minting": {"fly"}}):
        with pytest.raises(errors.Misuse, match="unknown verbs fly"):
            replace(workshop.KIND, **wrong)


def test_what_is_offered_leaves_out_the_system_and_what_mints() -> None:
    offered = workshop.KIND.offered("open", "lead")
    assert {"say", "hold", "close"} <= set(offered)
    assert not {"create", "erase", "mint", "beat", "drafted"} & set(offered)
    assert workshop.KIND.offered("open", "member") == ("say", "put", "draft")
    assert workshop.KIND.offered("open", "system") == ("close",)
    assert workshop.KIND.offered("closed", "member") == ()


def test_defaults() -> None:
    plain = Kind(
        "team",
        workshop.TEAM_LIFECYCLE,
        {"create": workshop.Found, "join": workshop.Join},
        workshop.decide_team,
        workshop.fold_team,
        audience=workshop.audience,
        view=workshop.view,
        tell=workshop.tell,
    )
    event = Event(1, "founded", "user:a", "member", AT, {}, {"user:a": {}})
    assert (plain.due, plain.due(SESSION), never(SESSION)) == (never, None, None)
    assert plain.title(SESSION) == "s"
    assert plain.search(SESSION) == ""
    assert plain.final(event) is None
    assert plain.needs(SESSION, "lead") is None
    assert plain.meters(SESSION, "lead", AT) == ()
    assert plain.carries(event, "reader") == ["user:a"]
    assert not plain.is_closed(SESSION, "lead")
    assert plain.after(replace(SESSION, state=""), event).state == "on"


def test_a_kind_closes_in_its_final_states_unless_it_says_otherwise() -> None:
    closed = SESSION.to("closed")
    assert not workshop.KIND.is_closed(SESSION, "lead")
    assert workshop.KIND.is_closed(closed, "lead")
    assert workshop.KIND.is_closed(SESSION.to(GONE), "lead")
    own = replace(workshop.KIND, closed=lambda session, audience: audience == "reader")
    assert own.is_closed(SESSION, "reader")
    assert not own.is_closed(closed, "lead")


def test_who_may_take_what_along() -> None:
    event = Event(1, "said", "user:a", "member", AT, {}, {"user:a": {}, "user:b": {}})
    assert workshop.KIND.carries(event, "lead:user:a") == ["user:a", "user:b"]
    assert workshop.KIND.carries(event, "reader") == ["user:a"]


TOLD = {"seq": 1, "type": "voted", "data": {"text": "Yes", "tags": ["a", "b"], "place": {"row": 2}, "seq": 5}}


@pytest.mark.parametrize(
    ("content", "leaves"),
    [
        ({"text": "Yes", "tags": ["b"]}, True),
        ({"place": {"row": 2}, "note": None}, True),
        (None, True),
        ({"text": "Yes", "reason": "because"}, False),
        ({"text": "No"}, False),
        ({"tags": ["a", "c"]}, False),
        ({"score": 5}, False),
        ({"seq": 5}, True),
        ({"seq": 1}, False),
        ({"type": "voted"}, False),
    ],
)
def test_what_is_not_told_whole_stays_where_it_is(content: dict[str, Any] | None, leaves: bool) -> None:
    kind = replace(workshop.KIND, parts=None, tell=lambda event, audience: TOLD if audience == "lead" else None)
    event = Event(1, "voted", "user:a", "member", AT, {}, {"user:a": content})
    assert kind.carries(event, "lead") == (["user:a"] if leaves else [])
    assert kind.carries(event, "reader") == ([] if content else ["user:a"])


@pytest.mark.parametrize(
    ("told", "personal", "leave"),
    [
        (("yes",), {"a": "yes", "b": "no"}, ["user:a"]),
        (("yes",), {"a": "yes", "b": "yes"}, []),
        (("yes", "yes"), {"a": "yes", "b": "yes"}, ["user:a", "user:b"]),
        (("yes",), {"a": "yes", "b": None}, ["user:a", "user:b"]),
        ((), {"a": "yes", "b": None}, []),
    ],
)
def test_what_is_shown_once_is_not_taken_for_two_peoples(
    told: tuple[str, ...], personal: dict[str, str | None], leave: list[str]
) -> None:
    """Nor is somebody named whose words are erased, beside others whose words are kept back."""
    kind = replace(workshop.KIND, parts=None, tell=lambda event, audience: {"seq": 1, "data": {"answer": list(told)}})
    parts = {f"user:{name}": None if said is None else {"answer": said} for name, said in personal.items()}
    assert kind.carries(Event(1, "voted", "user:a", "member", AT, {}, parts), "lead") == leave


def test_an_ask_makes_the_same_id_for_the_same_purpose() -> None:
    ask = Ask(SESSION, Command(), Actor("user:a"), "lead", AT, bytes(32))
    assert ask.uuid("turn") == ask.uuid("turn") != ask.uuid("note")
    assert UUID(ask.uuid()).version == 4
    assert replace(ask, random=bytes(31) + b"1").uuid("turn") != ask.uuid("turn")


@pytest.mark.parametrize(
    ("now", "seconds", "account", "left"),
    [
        (datetime(2026, 1, 31, 12, 0, 59, 900_000, tzinfo=UTC), 60, "said:60:29497680", 1),
        (datetime(2026, 1, 31, 12, 1, tzinfo=UTC), 60, "said:60:29497681", 60),
        (datetime(2026, 1, 31, 12, 1, tzinfo=UTC), 3600, "said:3600:491628", 3540),
    ],
)
def test_a_charge_within_a_time_of_the_clocks(now: datetime, seconds: int, account: str, left: int) -> None:
    charge = Charge.within("said", 3, now=now, seconds=seconds)
    assert (charge.account, charge.amount, charge.limit) == (account, 1, 3)
    assert charge.until == now.replace(microsecond=0) + timedelta(seconds=left)
    assert charge.refusal.facts == {"retry_after": left}
    own = Charge.within("said", 3, now=now, seconds=seconds, refuse=lambda left: errors.Conflict(f"Wait {left} s."))
    assert own.refusal.message == f"Wait {left} s."
