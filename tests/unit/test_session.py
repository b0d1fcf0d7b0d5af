"""A session is a value: every change makes another one and leaves the first alone."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime

import pytest

from sitting.core.event import Event
from sitting.core.session import ID, Session

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def test_every_change_makes_another_session() -> None:
    first = Session("s", "kind", "space", data={"a": 1}, epoch=7)
    second = first.to("open").set(b=2).put("things", "x", {"n": 1}).put("things", "y", {"n": 2})
    third = second.drop("things", "x").drop("things", "never").drop("others", "z")
    assert (first.state, first.data, first.items) == ("", {"a": 1}, {})
    assert (second.state, second.data) == ("open", {"a": 1, "b": 2})
    assert second.collection("things") == {"x": {"n": 1}, "y": {"n": 2}}
    assert third.collection("things") == {"y": {"n": 2}}
    assert third.collection("others") == {}
    assert {type(session) for session in (second, third)} == {Session}
    assert all(hasattr(third, field.name) for field in fields(Session))
    with pytest.raises(FrozenInstanceError):
        third.state = "open"  # type: ignore[misc]


def test_an_event_moves_place_and_time() -> None:
    session = Session("s", "kind", "space", epoch=7)
    later = AT.replace(hour=13)
    once = session.after(Event(1, "made", "user:a", "member", AT, {}))
    twice = once.after(Event(2, "made", "user:a", "member", later, {}))
    assert (twice.seq, twice.created_at, twice.updated_at, twice.position) == (2, AT, later, "7.2")
    assert session.seq == 0
    assert once == Session("s", "kind", "space", seq=1, created_at=AT, updated_at=AT, epoch=7)


@pytest.mark.parametrize("id", ["5f0c2a9e-0000-4000-8000-000000000001", "a", "x" * 128, "user:a.b_c"])
def test_ids(id: str) -> None:
    assert ID.fullmatch(id)


@pytest.mark.parametrize("id", ["", "x" * 129, "a/b", "..", "a b", "a\n", "a\x00", "é", "-a", "\ud800", "%2e"])
def test_what_is_no_id(id: str) -> None:
    assert not ID.fullmatch(id)
