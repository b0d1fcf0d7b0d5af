"""A command as a form: the fields it asks for, and what was typed as the value the command is checked with."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as some
from pydantic import BaseModel, EmailStr, Field

from sitting import errors
from sitting.core.kind import Command
from sitting.web import forms
from sitting.web.deps import Form
from tests.support import toy


class Day(StrEnum):
    MON = "mon"
    TUE = "tue"


class Place(BaseModel):
    x: int
    y: int = 0


class Everything(Command):
    verb: ClassVar[str] = "everything"
    name: Annotated[str, Field(min_length=1, max_length=40, title="Full name", description="As in a passport.")]
    story: str = Field("", max_length=5000)
    mail: EmailStr | None = None
    count: int = Field(3, ge=1, lt=10)
    share: float | None = Field(None, gt=0, le=1)
    step: int = Field(0, multiple_of=5)
    yes: bool = True
    maybe: bool | None = None
    colour: Literal["red", "green"] = "red"
    size: Literal[1, 2] = 1
    only: Literal["this"] = "this"
    place: Place | None = None
    places: list[Place] = Field(default_factory=list)
    either: int | str = 0
    lines: list[str] = Field(default_factory=list)
    numbers: list[int] = Field(default_factory=lambda: [1, 2])
    days: list[Day] = Field(default_factory=lambda: [Day.MON])
    role: Literal["reader", "writer"] | None = "reader"


FIELDS = {field["name"]: field for field in forms.fields(Everything)}
LEAST = {"name": "Ada"}


def typed(**values: str | list[str]) -> Form:
    """A form as a browser sends it."""
    pairs = []
    for name, value in (LEAST | values).items():
        pairs += [(name, item) for item in ([value] if isinstance(value, str) else value)]
    return Form(pairs)


def checked(**values: str | list[str]) -> Everything:
    return forms.read(Everything, typed(**values))


@pytest.mark.parametrize(
    "name, kind",
    [
        ("name", "text"), ("story", "text"), ("mail", "email"), ("count", "number"), ("share", "number"),
        ("yes", "checkbox"), ("maybe", "select"), ("colour", "select"), ("size", "select"), ("only", "select"),
        ("place", "json"), ("places", "json"), ("either", "json"), ("lines", "lines"), ("numbers", "lines"),
        ("days", "checkboxes"), ("role", "select"),
    ],
)  # fmt: skip
def test_the_type_of_a_field_follows_from_the_schema(name: str, kind: str) -> None:
    assert FIELDS[name]["type"] == kind


def test_words_limits_and_defaults_come_along() -> None:
    name, story, count, step = (FIELDS[field] for field in ("name", "story", "count", "step"))
    assert (name["label"], name["help"], name["required"], name["maxlength"], name["multiline"]) == (
        "Full name", "As in a passport.", True, 40, False,
    )  # fmt: skip
    assert (story["label"], story["multiline"], story["required"]) == ("Story", True, False)
    assert (count["min"], count["max"], count["step"], count["default"]) == (1, 9, 1, "3")
    assert (step["step"], FIELDS["share"]["step"], FIELDS["share"]["max"]) == (5, "any", 1)
    assert FIELDS["yes"]["default"] is True
    assert FIELDS["numbers"]["default"] == "1\n2"
    assert FIELDS["days"]["default"] == ["mon"]
    assert FIELDS["colour"]["choices"] == [("red", "red"), ("green", "green")]
    assert FIELDS["maybe"]["choices"] == [("true", "Yes"), ("false", "No")]


def test_a_choice_with_a_default_offers_no_empty_choice_unless_it_may_be_null() -> None:
    assert FIELDS["colour"]["required"] and not FIELDS["role"]["required"] and not FIELDS["maybe"]["required"]


def test_an_untouched_form_is_the_command_with_its_defaults() -> None:
    untouched = {
        name: field["default"] if isinstance(field["default"], list) else str(field["default"])
        for name, field in FIELDS.items()
        if field["default"] is not None and name != "yes"
    }
    assert checked(**untouched, yes="true") == Everything(**LEAST)


def test_what_is_typed_becomes_json() -> None:
    found = checked(
        name="Grace", story="a\r\nb", mail="g@example.org", count=" 4 ", share="0.25", step="5", maybe="false",
        colour="green", size="2", place='{"x": 1}', places='[{"x": 2}]', either='"word"', lines=" a \r\n\r\nb ",
        numbers="4\n5", days=["tue", "mon"], role="writer",
    )  # fmt: skip
    assert found == Everything(
        name="Grace", story="a\nb", mail="g@example.org", count=4, share=0.25, step=5, yes=False, maybe=False,
        colour="green", size=2, place=Place(x=1), places=[Place(x=2)], either="word", lines=["a", "b"],
        numbers=[4, 5], days=[Day.TUE, Day.MON], role="writer",
    )  # fmt: skip


def test_an_empty_field_is_not_sent_but_null_is_where_it_means_something() -> None:
    found = checked(story="", count="", mail=" ", place="", days=[], role="")
    assert found == Everything(name="Ada", yes=False, role=None)
    assert found.model_fields_set == {"name", "yes", "role"}


def test_an_unchecked_box_is_sent_only_where_it_says_something() -> None:
    """A command that changes what it is given must not be given what nobody touched."""

    class Change(Command):
        verb: ClassVar[str] = "change"
        off: bool = False
        on: bool = True
        must: bool

    assert forms.read(Change, Form([])).model_fields_set == {"on", "must"}
    assert forms.read(Change, Form([("off", "true"), ("on", "on"), ("must", "1")])) == Change(off=True, must=True)


def test_a_required_text_is_sent_empty_so_that_the_command_can_say_its_own_sentence() -> None:
    with pytest.raises(errors.Invalid) as refused:
        forms.read(toy.Note, Form([("text", " ")]))
    assert forms.faults(toy.Note, refused.value) == {"text": "Write something first."}


def test_what_is_wrong_is_said_at_its_field_in_a_whole_sentence() -> None:
    with pytest.raises(errors.Invalid) as refused:
        checked(name="", count="many", share="2", numbers="1\nx", days=["wed"], more="?")
    assert forms.faults(Everything, refused.value) == {
        "name": "Full name should have at least 1 character",
        "count": "Count should be a valid integer",
        "share": "Share should be less than or equal to 1",
        "numbers": "Numbers should be a valid integer",
        "days": "Days should be 'mon' or 'tue'",
        "_": "more: Extra inputs are not permitted",
    }
    assert forms.faults(Everything, errors.Conflict("Not now.")) == {"_": "Not now."}


def test_a_pattern_is_not_shown_to_people() -> None:
    with pytest.raises(errors.Invalid) as refused:
        forms.read(toy.Forget, Form([("actor", "?")]))
    assert forms.faults(toy.Forget, refused.value) == {"actor": "Actor does not have the right form."}


def test_a_missing_field_is_named() -> None:
    with pytest.raises(errors.Invalid) as refused:
        forms.read(toy.AskEcho, Form([]))
    assert forms.faults(toy.AskEcho, refused.value) == {"prompt": "Prompt should have at least 1 character"}


@pytest.mark.parametrize("text", ["{", '{"a":1,"a":2}', "NaN", "[" * 40])
def test_json_is_read_by_the_rules_of_the_house(text: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        checked(place=text)
    assert forms.faults(Everything, refused.value)["place"].startswith("Place is not JSON: ")


def test_what_is_no_json_hides_no_other_fault() -> None:
    with pytest.raises(errors.Invalid) as refused:
        checked(place="{", count="99")
    assert list(forms.faults(Everything, refused.value)) == ["place", "count"]


def test_what_was_typed_is_kept_for_the_form_that_comes_back() -> None:
    kept = forms.kept(Everything, typed(count="many", days=["mon", "wed"], csrf_token="t"))
    assert (kept["name"], kept["count"], kept["days"], kept["story"]) == ("Ada", "many", ["mon", "wed"], "")
    assert "csrf_token" not in kept


@given(some.dictionaries(some.sampled_from([*FIELDS, "more", "csrf_token"]), some.text(max_size=30), max_size=8))
def test_whatever_is_typed_is_a_command_or_a_refusal(values: dict[str, str]) -> None:
    form = Form(list(values.items()))
    said: dict[str, str] = {}
    made: Command | None = None
    try:
        made = forms.read(Everything, form)
    except errors.Invalid as refused:
        said = forms.faults(Everything, refused)
    assert (made is None) == bool(said)
    assert set(said) <= {*FIELDS, forms.WHOLE}


def test_every_command_of_the_toy_has_a_form() -> None:
    for command in toy.COMMANDS.values():
        assert [field["name"] for field in forms.fields(command)] == list(command.model_fields)
