"""Times on the wire and in the database, names, and content that may be gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting.core.event import OWNER, TYPE, Event, from_text, milliseconds, to_text

AT = datetime(2026, 1, 31, 12, 0, 0, 123_987, tzinfo=UTC)


def test_a_time_is_cut_not_rounded_and_always_utc() -> None:
    assert to_text(AT) == "2026-01-31T12:00:00.123Z"
    assert to_text(AT.replace(microsecond=999_999)) == "2026-01-31T12:00:00.999Z"
    assert to_text(AT.astimezone(timezone(timedelta(hours=5, minutes=30)))) == "2026-01-31T12:00:00.123Z"
    assert milliseconds(AT) == AT.replace(microsecond=123_000)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.timezones()))
def test_times_go_through_text_and_sort_as_they_stand(at: datetime) -> None:
    text = to_text(at)
    assert len(text) == 24
    assert from_text(text) == milliseconds(at.astimezone(UTC))
    assert to_text(from_text(text)) == text
    assert (text < to_text(AT)) == (milliseconds(at.astimezone(UTC)) < milliseconds(AT))


def test_content_that_is_gone_reads_as_empty() -> None:
    event = Event(1, "said", "user:a", "member", AT, {}, {"user:a": {"text": "x"}, "user:b": None, "user:c": ["x"]})
    assert event.part("user:a") == {"text": "x"}
    assert [event.part(owner) for owner in ("user:b", "user:c", "user:d")] == [{}, {}, {}]


@pytest.mark.parametrize(("name", "fits"), [("said", True), ("A_1", True), ("x" * 64, True), ("x" * 65, False)])
def test_types(name: str, fits: bool) -> None:
    assert bool(TYPE.fullmatch(name)) is fits
    assert not any(TYPE.fullmatch(wrong) for wrong in ("", "1a", "_a", "a-b", "a b", "é", "a\n"))


@pytest.mark.parametrize(("name", "fits"), [("user:a-1", True), ("x.y_z", True), ("", False), ('a"', False)])
def test_owners(name: str, fits: bool) -> None:
    assert bool(OWNER.fullmatch(name)) is fits
