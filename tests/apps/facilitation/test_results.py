"""What a page of a result costs: little, however long the meeting was, and nothing that was erased stays for it."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sitting.apps.facilitation import fold, grouping, responses, terms, views
from sitting.apps.facilitation.app import APP
from sitting.apps.facilitation.commands import Close, Submit
from sitting.core.event import Event
from sitting.core.session import Session
from tests.apps.facilitation.room import opened
from tests.apps.facilitation.table import Table, laid


def test_a_result_is_not_folded_again_for_each_who_looks(tmp_path: Path) -> None:
    folded: list[str] = []

    def counting(session: Session, event: Event) -> Session:
        folded.append(event.type)
        return fold.fold(session, event)

    kinds = tuple(replace(kind, fold=counting) if kind.name == terms.FACILITATION else kind for kind in APP.kinds)
    with opened(tmp_path, app=replace(APP, kinds=kinds)) as house:
        meeting = house.team().capturing()
        phones = meeting.filled("The goal is unclear", "Handover is slow", "Nobody waits")
        for number in range(8):
            assert phones[1].submits(f"Handover is slow, {number}").status_code == 303
        meeting.to("revealed")
        folded.clear()
        for _ in range(2):
            assert "digest matches" in meeting.page("/meeting")
            assert "digest matches" in phones[0].page(f"{meeting.room}/synthesis")
            assert meeting.panel()["seal"]["matches"] is True and "Handover is slow, 7" in meeting.page()
        assert folded == []


def test_only_the_parts_of_a_journal_are_read_where_the_responses_stand() -> None:
    assert responses.parts([7]) == [(7, 7)]
    assert responses.parts([7, 8, 70]) == [(7, 70)]
    assert responses.parts([7, 9, 5000, 5003]) == [(7, 9), (5000, 5003)]
    far = [place * place * 100 for place in range(1, 40)]
    found = responses.parts(far)
    assert len(found) == responses.MOST_PARTS and (found[0][0], found[-1][1]) == (far[0], far[-1])
    assert all(any(first <= place <= last for first, last in found) for place in far)


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    with laid(tmp_path) as made:
        yield made


def journal(table: Table, id: str) -> Sequence[Event]:
    """What a seal is made of."""
    return table.bench.selected(id, *responses.SEALED)


def test_a_result_stands_as_its_journal_says(table: Table) -> None:
    id = table.capturing()
    phones = table.all_respond(id)
    table.do(id, Submit(card=3, bullets=["I changed my mind"]), phones[0])
    table.do(id, Close())
    session, events = table.session(id), journal(table, id)
    assert responses.stands(session, events)
    kept = set(responses.places(session, events))
    assert len(kept) == 4 and responses.stands(session, [event for event in events if event.seq in kept])
    for lost in kept:
        assert not responses.stands(session, [event for event in events if event.seq != lost and event.seq in kept])
    for number, event in enumerate(events):
        if event.seq in kept:
            for changed in differing(event):
                assert not responses.stands(session, [*events[:number], changed, *events[number + 1 :]]), changed


def differing(event: Event) -> Iterator[Event]:
    """The event as it is not."""
    if event.type == "closed":
        yield replace(event, data={**event.data, "digest": "0" * 64})
        yield replace(event, data={**event.data, "leaves": event.data["leaves"][:-1]})
        yield replace(event, data={**event.data, "count": 7})
        return
    [(owner, said)] = event.personal.items()
    for name, value in {"bullets": ["I never said so"], "card": 7, "salt": "0" * 32}.items():
        yield replace(event, personal={owner: {**said, name: value}})
    yield replace(event, personal={owner: None})


def test_a_grouping_is_made_once_for_each_version(table: Table) -> None:
    session = table.session(table.revealed())
    made = views.grouping(session, terms.FACILITATOR)
    assert made is not None and made is views.grouping(session, terms.PROJECTOR)
    said = session.collection("responses")["1"]
    changed = session.put("responses", "1", {**said, "bullets": ["Something else"]})
    assert views.grouping(changed, terms.FACILITATOR) != made == views.grouping(session, terms.FACILITATOR)


class Words(str):
    """A text whose end can be seen."""


def test_words_are_not_kept_alive_for_a_grouping() -> None:
    words = [Words(f"goal {number}") for number in range(200)]
    seen = [weakref.ref(each) for each in words]
    sessions = [Session(str(number), "facilitation", "space") for number in range(200)]
    for session, each in zip(sessions, words, strict=True):
        grouping.remembered(session, [("R1", [each])])
    del words, sessions, session, each
    gc.collect()
    assert [each() for each in seen] == [None] * 200
