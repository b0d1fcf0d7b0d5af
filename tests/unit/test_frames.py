"""Frames are read back by a parser that follows the standard word by word; hostile text cannot begin another field."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from sitting import errors
from sitting.core.session import Session
from sitting.reading import Page
from sitting.web import frames


@dataclass
class Parsed:
    """What an EventSource dispatches: (event, data, id), and what it remembers."""

    events: list[tuple[str, str, str]] = field(default_factory=list)
    last_id: str = ""
    retry: int | None = None


def parse(raw: bytes) -> Parsed:
    """The algorithm of the HTML standard, section 9.2.6."""
    made, data, event, id = Parsed(), "", "", ""
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for line in text.split("\n")[:-1]:
        if line == "":
            made.last_id = id
            if data:
                made.events.append((event or "message", data.removesuffix("\n"), id))
            data, event = "", ""
            continue
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ") if colon else ""
        if name == "data":
            data += value + "\n"
        elif name == "event":
            event = value
        elif name == "id" and "\0" not in value:
            id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            made.retry = int(value)
    return made


TEXTS = st.one_of(
    st.text(),
    st.lists(
        st.sampled_from(
            ["\r", "\n", "\r\n", "\0", "\u2028", "\u2029", "\x85", "\ufeff", ": ", "data: x", "id: 9", "\n\n"]
        )
    ).map("".join),
)


@given(TEXTS, TEXTS)
def test_no_text_injects_an_event_or_a_field(one: str, two: str) -> None:
    told = {"seq": 1, "text": one, two: two}
    parsed = parse(frames.journal_frame("1.7", told) + frames.frame({"text": two}, event="token"))
    assert [(event, json.loads(data)) for event, data, _ in parsed.events] == [
        ("message", told),
        ("token", {"text": two}),
    ]
    assert parsed.last_id == "1.7"


@given(st.lists(TEXTS, min_size=1, max_size=3))
def test_a_stream_cut_anywhere_dispatches_whole_events_only(texts: list[str]) -> None:
    events = [(seq, {"seq": seq, "text": text}) for seq, text in enumerate(texts, 1)]
    body = frames.opening("1.0", "x") + frames.encoded(1, events)[0]
    whole = parse(body).events
    assert [json.loads(data)["text"] for _, data, _ in whole] == texts
    for cut in range(len(body)):
        read = parse(body[:cut])
        assert read.events == whole[: len(read.events)]
        assert read.last_id in ("", "1.0") or read.last_id == read.events[-1][2]


def test_a_lone_surrogate_in_an_old_value_leaves_as_its_escape() -> None:
    raw = frames.frame({"text": "\ud800"}, event="token")
    assert b"\\ud800" in raw
    assert json.loads(parse(raw).events[0][1]) == {"text": "\ud800"}


@pytest.mark.parametrize("bad", ["a\nb", "a\rb", "a\0b"])
def test_a_break_in_a_name_or_id_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        frames.frame({}, event=bad)
    with pytest.raises(ValueError, match="line break"):
        frames.frame({}, id=bad)


def test_the_first_block_is_remembered_and_dispatches_nothing() -> None:
    parsed = parse(frames.opening("3.1040", "head=3.1042 oldest=3.1"))
    assert parsed.events == []
    assert parsed.last_id == "3.1040"
    assert parsed.retry is not None
    assert 1000 <= parsed.retry <= 3000


def test_a_frame_has_the_documented_order() -> None:
    assert (
        frames.frame({"content": "I "}, event="token", id="t.2") == b'event: token\ndata: {"content":"I "}\nid: t.2\n\n'
    )
    assert frames.journal_frame("3.1", {"seq": 1}) == b'id: 3.1\ndata: {"seq":1}\n\n'
    assert frames.journal_frame("3.1", None) == b"id: 3.1\n\n"


def test_bye_says_when_to_come_back() -> None:
    for _ in range(100):
        parsed = parse(frames.bye("drain", within_ms=5000))
        event, data, _ = parsed.events[0]
        assert event == "bye"
        assert json.loads(data) == {"reason": "drain", "retry": parsed.retry}
        assert parsed.retry is not None
        assert 1000 <= parsed.retry <= 5000


def _page(*told: tuple[int, dict[str, Any] | None]) -> Page:
    return Page(Session("s", "toy", "default", seq=9, epoch=3), "owner", "owner", False, tuple(told), ())


def test_a_page_becomes_frames_and_a_position() -> None:
    chunk = frames.chunk(_page((3, {"seq": 3}), (4, None), (5, None), (6, {"seq": 6}), (7, None)), after=2)
    assert chunk.last == 7
    parsed = parse(chunk.data)
    assert [id for _, _, id in parsed.events] == ["3.3", "3.6"]
    assert parsed.last_id == "3.7"
    assert chunk.data.count(b"id: ") == 4


def test_an_empty_page_keeps_the_position() -> None:
    chunk = frames.chunk(_page(), after=5)
    assert (chunk.last, chunk.data) == (5, b"")


def test_a_chunk_ends_where_it_is_large_enough_and_keeps_no_events() -> None:
    large = "x" * (frames.CHUNK_BYTES // 2)
    page = _page((3, {"text": large}), (4, None), (5, None), (6, {"text": large}), (7, None), (8, {"text": large}))
    first = frames.chunk(page, after=2)
    assert (first.last, first.page.events) == (6, ())
    assert [id for _, _, id in parse(first.data).events] == ["3.3", "3.6"]
    rest = frames.chunk(replace(page, events=page.events[4:]), after=6)
    assert (rest.last, parse(rest.data).last_id) == (8, "3.8")
    assert frames.chunk(_page((3, {"text": 5 * large})), after=2).last == 3, "one event is always told"


@pytest.mark.parametrize("seqs", [(4,), (3, 5), (3, 3), (3, 2)])
def test_a_page_with_a_gap_is_refused(seqs: tuple[int, ...]) -> None:
    with pytest.raises(LookupError):
        frames.chunk(_page(*((seq, {}) for seq in seqs)), after=2)


def _request(after: str | None = None, header: str | None = None) -> Request:
    query = b"" if after is None else b"after=" + after.encode()
    headers = [] if header is None else [(b"last-event-id", header.encode())]
    return Request({"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": headers})


def test_the_header_wins_over_the_address() -> None:
    assert frames.journal_cursor(_request("1.3", "1.7")) == frames.Position(1, 7)
    assert frames.journal_cursor(_request("1.3")) == frames.Position(1, 3)
    assert frames.journal_cursor(_request("1.3", "")) == frames.Position(1, 3)
    assert frames.journal_cursor(_request()) == frames.Position(0, 0)
    assert frames.journal_cursor(_request("0")) == frames.Position(0, 0)
    assert frames.journal_cursor(_request("now")) is None


BAD = [
    "",
    "1",
    "-1",
    "1.",
    ".1",
    "1.01",
    "0.1",
    "01.1",
    "1.2.3",
    "1.-1",
    "+1.1",
    "1.1x",
    "x",
    "1.99999999999999999",
    "١.١",
    " 1.1",
]


@pytest.mark.parametrize("cursor", BAD)
def test_what_was_never_given_out_is_no_position(cursor: str) -> None:
    with pytest.raises(errors.InvalidCursor):
        frames.Position.read(cursor)


def test_a_repeated_position_is_none() -> None:
    with pytest.raises(errors.InvalidCursor):
        frames.journal_cursor(_request("1.1&after=1.2"))


@pytest.mark.parametrize(("cursor", "after"), [("0", 0), ("12", 12), ("t.0", 0), ("t.12", 12), ("t.end", None)])
def test_turn_positions(cursor: str, after: int | None) -> None:
    assert frames.turn_cursor(_request(header=cursor), "t") == after


@pytest.mark.parametrize("cursor", ["u.3", "t", "t.", "t.-1", "t.END", "03", "now", "t.01", "t.1.1"])
def test_positions_of_another_turn_are_refused(cursor: str) -> None:
    with pytest.raises(errors.InvalidCursor):
        frames.turn_cursor(_request(header=cursor), "t")


@given(TEXTS)
def test_a_frame_has_the_same_lines_to_every_reader_of_lines(text: str) -> None:
    for raw in (frames.frame({"content": text}, event="token", id="t.1"), frames.journal_frame("1.2", {"data": text})):
        assert raw.decode().splitlines() == raw.decode().split("\n")[:-1]
