"""The challenges: those that come with the product, and those people add."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sitting import Installation, Settings, bundle, errors
from sitting.apps.interview import challenges, refusals
from sitting.apps.interview.app import APP
from sitting.core.actor import Actor
from sitting.core.event import Event
from sitting.core.kind import Ask, Command, Decision
from sitting.core.session import Session

ANN = Actor("user:ann", "space", frozenset({"member"}))
NOW = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)
FIELDS: dict[str, Any] = {"title": "Sort", "category": "coding", "difficulty": "easy", "instructions": "Sort a list."}


def run(session: Session, command: Command) -> tuple[Session, Decision]:
    """The challenge after a command."""
    challenges.KIND.lifecycle.move(session.state, command.verb)
    decision = challenges.KIND.decide(Ask(session, command, ANN, "owner", NOW, b"r" * 32))
    for fact in decision.events:
        event = Event(session.seq + 1, fact.type, ANN.id, "owner", NOW, fact.data, fact.personal)
        session = challenges.KIND.after(session, event)
    return session, decision


def made(**fields: Any) -> Session:
    blank = Session("6f1d7c44-9a58-4ac5-a1d5-0a1c2a8b9d10", "challenge", "space")
    return run(blank, challenges.CreateChallenge(**{**FIELDS, **fields}))[0]


def test_sixteen_come_with_the_product() -> None:
    titles = {
        "algorithms": {
            "Meeting room clash": "easy",
            "Shortest delivery route": "medium",
            "Largest quiet window": "medium",
            "Change machine": "medium",
            "Typo distance": "hard",
        },
        "data_structures": {
            "Undo and redo": "easy",
            "Top sellers": "easy",
            "Recently used shelf": "medium",
            "Typeahead box": "medium",
            "Friend circles": "hard",
        },
        "system_design": {
            "Short links": "medium",
            "Notification fan-out": "medium",
            "Ticket sale with a waiting line": "hard",
        },
        "coding": {"Log line parser": "easy", "Expense splitter": "medium", "Request limiter": "medium"},
    }
    found: dict[str, dict[str, str]] = {}
    for each in challenges.BUILT_IN.values():
        found.setdefault(each["category"], {})[each["title"]] = each["difficulty"]
    assert found == titles
    assert Counter(each["category"] for each in challenges.BUILT_IN.values()) == {
        "algorithms": 5,
        "data_structures": 5,
        "system_design": 3,
        "coding": 3,
    }


@pytest.mark.parametrize("id", challenges.BUILT_IN)
def test_a_built_in_challenge_is_worth_giving(id: str) -> None:
    fields = challenges.BUILT_IN[id]
    assert str(uuid.UUID(id, version=4)) == id
    assert fields["is_template"] is True
    assert len(fields["instructions"]) > 400
    assert len(fields["hints"]) >= 3 and len(fields["test_cases"]) >= 3 and len(fields["tags"]) >= 2
    if fields["category"] != "system_design":
        compile(fields["starter_code"], id, "exec")
    shown = challenges.built_in(id)
    assert shown is not None and shown["built_in"]
    assert set(shown) == set(challenges.view(made(), "reader", NOW))
    with pytest.raises(refusals.BuiltIn, match="Built-in challenges cannot be changed."):
        challenges.guard(id)


def test_a_challenge_is_made_edited_archived_and_restored() -> None:
    session = made()
    assert challenges.view(session, "reader", NOW)["title"] == "Sort"
    assert challenges.view(session, "reader", NOW)["creator"] == ANN.id
    session, decision = run(session, challenges.EditChallenge(hints=["Compare two."], title="Sort"))
    assert [(fact.type, fact.data) for fact in decision.events] == [("edited", {"fields": ["hints"]})]
    assert run(session, challenges.EditChallenge(title="Sort"))[1].events == ()
    view = challenges.view(session, "reader", NOW)
    assert (view["hints"], view["instructions"]) == (["Compare two."], "Sort a list.")
    session, _ = run(session, challenges.ArchiveChallenge())
    assert session.state == "archived"
    with pytest.raises(errors.WrongState):
        run(session, challenges.EditChallenge(title="x"))
    session, _ = run(session, challenges.RestoreChallenge())
    assert session.state == "active"
    assert challenges.offered(lambda _id: session, session.id) == {
        name: value for name, value in challenges.fields_of(session).items() if name != "is_template"
    }


def test_a_copy_is_an_ordinary_challenge() -> None:
    id = next(iter(challenges.BUILT_IN))
    shown = challenges.built_in(id)
    assert shown is not None
    copied = challenges.copy_of(shown)
    assert (copied.title, copied.is_template) == ("Meeting room clash", False)
    assert copied.model_dump(mode="json") == {**challenges.BUILT_IN[id], "is_template": False}
    challenges.guard("6f1d7c44-9a58-4ac5-a1d5-0a1c2a8b9d10")


@pytest.mark.parametrize(
    "fields",
    [
        {"title": " "},
        {"title": "t" * 201},
        {"category": "poetry"},
        {"difficulty": "brutal"},
        {"instructions": " \n"},
        {"instructions": "i" * 20_001},
        {"test_cases": [{"input": "1"}]},
        {"test_cases": [{"input": "1", "expected": "1"}] * 51},
        {"hints": ["h" * 1001]},
        {"hints": ["h"] * 11},
        {"tags": ["t" * 41]},
        {"estimated_duration": 59},
        {"estimated_duration": 10_801},
        {"surprise": 1},
    ],
)
def test_what_a_challenge_may_not_be(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        challenges.CreateChallenge(**{**FIELDS, **fields})


def test_an_edit_cannot_outgrow_the_whole() -> None:
    session = made(instructions="\U0001f9d1" * 20_000)
    with pytest.raises(errors.Invalid):
        run(session, challenges.EditChallenge(starter_code="\U0001f9d1" * 20_000))


def test_filters() -> None:
    item = challenges.view(made(tags=["Lists", "order"], description="A warm-up."), "reader", NOW)
    assert challenges.matches(item)
    assert challenges.matches(item, category="coding", difficulty="easy", tag="lists", q="WARM")
    assert not challenges.matches(item, category="algorithms")
    assert not challenges.matches(item, difficulty="hard")
    assert not challenges.matches(item, tag="list")
    assert not challenges.matches(item, q="heap")


def test_an_erased_text_breaks_nothing() -> None:
    session = made()
    event = Event(1, "created", ANN.id, "owner", NOW, {}, {challenges.TEXTS: None})
    blank = challenges.KIND.after(Session(session.id, "challenge", "space"), event)
    item = challenges.view(blank, "reader", NOW)
    assert item["title"] is None and challenges.KIND.title(blank) == "Challenge"
    assert not challenges.matches(item, q="x", tag="x")
    assert challenges.KIND.search(blank).strip() == ""
    assert challenges.KIND.tell(event, "reader") is not None


FORGED: tuple[dict[str, Any], ...] = (
    {"estimated_duration": "x"},
    {"estimated_duration": 1e15},
    {"category": ["a"]},
    {"difficulty": {"a": 1}},
    {"hints": 7},
    {"hints": [{"a": 1}]},
    {"tags": [1]},
    {"test_cases": [1]},
    {"description": None},
    {"is_template": "z"},
    {"of_mine": 1},
)


@pytest.mark.parametrize("change", FORGED)
def test_what_no_command_writes_is_no_challenge(change: dict[str, Any]) -> None:
    """One such challenge in a bundle would break the library's lists for a whole space."""
    session = made(hints=["a"])
    whole = dict(challenges.fields_of(session))
    created = Event(1, "created", ANN.id, "owner", NOW, {}, {challenges.TEXTS: whole | change})
    with pytest.raises(ValueError):
        challenges.KIND.after(Session(session.id, "challenge", "space"), created)
    edited = Event(2, "edited", ANN.id, "owner", NOW, {"fields": sorted(change)}, {challenges.TEXTS: change})
    with pytest.raises(ValueError):
        challenges.KIND.after(session, edited)


def test_a_challenge_goes_along_whole(tmp_path: Path) -> None:
    """Its history shows no texts, and its copy holds them: it is brought in elsewhere."""
    raws, settings = [], Settings(data=tmp_path / "one", model="none")
    with Installation(settings, apps=(APP,)) as made:
        me = made.access.local()
        session = made.engine.open("challenge", challenges.CreateChallenge(**FIELDS), me).result().session
        raws.append(bundle.export(made.engine, session.id, me, made.signing_key))
    with Installation(Settings(data=tmp_path / "two", model="none"), apps=(APP,)) as made:
        brought = bundle.bring_in(made.engine, raws[0], made.access.local(), made.signing_key).result()
        assert challenges.fields_of(brought)["instructions"] == FIELDS["instructions"]


def test_nothing_comes_before_a_challenge_is_made_whole() -> None:
    session = made()
    blank = Session(session.id, "challenge", "space")
    part = dict(challenges.fields_of(session))
    del part["tags"]
    for event in (
        Event(1, "created", ANN.id, "owner", NOW, {}, {challenges.TEXTS: part}),
        Event(1, "created", ANN.id, "owner", NOW, {}, {}),
        Event(1, "archived", ANN.id, "owner", NOW, {}),
        Event(1, "edited", ANN.id, "owner", NOW, {"fields": []}, {challenges.TEXTS: {}}),
    ):
        with pytest.raises(LookupError):
            challenges.KIND.after(blank, event)
    with pytest.raises(LookupError):
        challenges.KIND.after(session, Event(2, "edited", ANN.id, "owner", NOW, {}, {challenges.TEXTS: {}}))


def test_an_erased_challenge_is_not_offered() -> None:
    session = made()
    event = Event(1, "created", ANN.id, "owner", NOW, {}, {challenges.TEXTS: None})
    blank = challenges.KIND.after(Session(session.id, "challenge", "space"), event)
    assert challenges.offered({session.id: session}.get, session.id) is not None
    assert challenges.offered({session.id: blank}.get, session.id) is None
