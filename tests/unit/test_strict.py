"""One reader for all bytes from outside: each entry of the hostile corpus is accepted or refused as stated."""

from __future__ import annotations

import json
import time
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, field_validator

from sitting import errors
from sitting.core import chain, strict

ACCEPTED: dict[str, tuple[bytes, Any]] = {
    "largest integer": (b"9007199254740991", 2**53 - 1),
    "smallest integer": (b"-9007199254740991", 1 - 2**53),
    "minus zero": (b"-0.0", 0.0),
    "float that is whole": (b"1.0", 1.0),
    "number in a text": (b'"1"', "1"),
    "true": (b"true", True),
    "digits with underscore in a text": (b'"1_000"', "1_000"),
    "arabic digits in a text": ('"\u0663"'.encode(), "\u0663"),
    "arrays of depth 32": (b"[" * 32 + b"]" * 32, None),
    "arrays side by side": (b"[" + b",".join([b"[]"] * 50) + b"]", [[]] * 50),
    "brackets in a text": (b'["' + b"[" * 100 + b'\\""]', ["[" * 100 + '"']),
    "null": (b"null", None),
    "empty array": (b"[]", []),
    "text": (b'"x"', "x"),
    "__proto__": (b'{"__proto__":1}', {"__proto__": 1}),
    "empty key": (b'{"":1}', {"": 1}),
    "longest key": (b'{"' + b"k" * 256 + b'":1}', {"k" * 256: 1}),
    "surrogate pair": (b'"\\ud83d\\ude00"', "\U0001f600"),
    "escaped backslash before u": (b'"\\\\u0000"', "\\u0000"),
    "10^5 elements": (b"[" + b"0," * 99_999 + b"0]", [0] * 100_000),
    "white space": (b" \r\n\t1 ", 1),
    "U+2028 and RTL": ('"\u2028\u202e"'.encode(), "\u2028\u202e"),
    "tiny float": (b"1e-400", 0.0),
}
REFUSED: dict[str, tuple[bytes, str]] = {
    "NaN": (b"NaN", "NaN is not a number"),
    "Infinity": (b"Infinity", "Infinity is not a number"),
    "-Infinity": (b"[-Infinity]", "-Infinity is not a number"),
    "1e400": (b"1e400", "beyond 2^53"),
    "-1e400": (b"-1e400", "beyond 2^53"),
    "1e20": (b"1e20", "beyond 2^53"),
    "2^53": (b"9007199254740992", "beyond 2^53"),
    "2^53+1": (b"9007199254740993", "beyond 2^53"),
    "-2^53": (b"-9007199254740992", "beyond 2^53"),
    "2^53 as a float": (b"9007199254740992.0", "beyond 2^53"),
    "2^63-1": (b"9223372036854775807", "beyond 2^53"),
    "2^63": (b"9223372036854775808", "beyond 2^53"),
    "2^64": (b"18446744073709551616", "beyond 2^53"),
    "4300 digits": (b"9" * 4300, "beyond 2^53"),
    "4301 digits": (b"9" * 4301, "beyond 2^53"),
    "high surrogate": (b'"\\ud800"', "lone surrogate"),
    "low surrogate": (b'"\\udc00"', "lone surrogate"),
    "surrogate in a key": (b'{"\\ud800":1}', "lone surrogate"),
    "surrogate deep down": (b'{"a":[{"b":"\\udfff"}]}', "lone surrogate"),
    "swapped pair": (b'"\\ude00\\ud83d"', "lone surrogate"),
    "raw surrogate": (b'"\xed\xa0\x80"', "not UTF-8"),
    "overlong NUL": (b'"\xc0\x80"', "not UTF-8"),
    "FF": (b'"\xff"', "not UTF-8"),
    "cut UTF-8": (b'"\xf0\x9f\x98"', "not UTF-8"),
    "byte order mark": (b"\xef\xbb\xbf{}", "byte order mark"),
    "UTF-16": ("{}".encode("utf-16"), "not UTF-8"),
    "UTF-16 without mark": ("{}".encode("utf-16-le"), "Expecting"),
    "UTF-32": ("{}".encode("utf-32"), "not UTF-8"),
    "NUL in a value": (b'"\\u0000"', "NUL"),
    "NUL in a key": (b'{"a\\u0000":1}', "NUL"),
    "raw NUL": (b'"\x00"', "Invalid control character"),
    "raw control": (b'"\x01"', "Invalid control character"),
    "duplicate keys": (b'{"a":1,"a":1}', "repeats a key"),
    "duplicate by escape": (b'{"a":1,"\\u0061":2}', "repeats a key"),
    "arrays of depth 33": (b"[" * 33 + b"]" * 33, "deeper than 32"),
    "arrays of depth 300": (b"[" * 300 + b"]" * 300, "deeper than 32"),
    "arrays of depth 1000": (b"[" * 1000 + b"]" * 1000, "deeper than 32"),
    "arrays of depth 100000": (b"[" * 100_000, "deeper than 32"),
    "objects of depth 100000": (b'{"a":' * 100_000, "deeper than 32"),
    "deep after a text that never ends": (b'["' + b"[" * 40, "Unterminated string"),
    "closed before it is deep": (b"]" * 40 + b"[" * 33, "Expecting value"),
    "empty": (b"", "Expecting value"),
    "trailing bytes": (b"{}x", "Extra data"),
    "two documents": (b"{} {}", "Extra data"),
    "comment": (b"{} // no", "Extra data"),
    "64 KB key": (b'{"' + b"k" * 65_536 + b'":1}', "key is longer than 256"),
    "key of 257": (b'{"' + b"k" * 257 + b'":1}', "key is longer than 256"),
    "leading zero": (b"01", "Extra data"),
    "plus": (b"+1", "Expecting value"),
    "underscore": (b"1_000", "Extra data"),
    "arabic digit": ("\u0663".encode(), "Expecting value"),
    "single quotes": (b"{'a':1}", "Expecting property name"),
    "trailing comma": (b"[1,]", ""),
}


class Wish(BaseModel):
    """Fields of every sort."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field("", max_length=5)
    count: int = 0
    sort: Literal["a", "b"] = "a"

    @field_validator("name")
    @classmethod
    def _polite(cls, value: str) -> str:
        if value == "rude":
            raise ValueError("Say it again.")
        return value


@pytest.mark.parametrize("name", ACCEPTED)
def test_accepted(name: str) -> None:
    raw, value = ACCEPTED[name]
    read = strict.loads(raw)
    assert name == "arrays of depth 32" or read == value
    chain.canonical(read)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    raw, reason = REFUSED[name]
    with pytest.raises(errors.Malformed) as refused:
        strict.loads(raw)
    assert refused.value.message.startswith("The body is not the JSON this server reads: ")
    assert reason in refused.value.message


def test_depth_can_be_told() -> None:
    raw = b"[" * 40 + b"]" * 40
    assert strict.loads(raw, depth=40)
    with pytest.raises(errors.Malformed, match="deeper than 39"):
        strict.loads(raw, depth=39)


def test_no_body_within_the_limit_takes_long() -> None:
    """A text of escaped quotes that never ends made the depth count quadratic: minutes for one request."""
    hostile = (
        b"[" * 33 + b'"' + b'\\"' * 120_000,
        b"[" * 33 + b'"' * 200_000,
        (b'"[' * 100_000),
        b"{" * 33 + b"\\" * 200_000,
    )
    start = time.process_time()
    for raw in hostile:
        with pytest.raises(errors.Malformed):
            strict.loads(raw)
    assert time.process_time() - start < 2


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        value = strict.loads(raw)
    except errors.Malformed:
        return
    assert strict.loads(chain.canonical(value).encode()) == value


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused(value: str) -> None:
    bad = "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value)
    if bad:
        with pytest.raises(errors.Invalid) as refused:
            strict.text(value, "title")
        assert refused.value.facts["fields"][0]["field"] == "title"
    else:
        assert strict.text(value) == value
        assert strict.loads(json.dumps(value).encode()) == value


def test_a_model_is_read_strictly() -> None:
    assert strict.read(Wish, b'{"name":"Ada","count":3,"sort":"b"}') == Wish(name="Ada", count=3, sort="b")
    assert strict.read(Wish, b"") == Wish()
    with pytest.raises(errors.Malformed):
        strict.read(Wish, b" \n")
    assert strict.check(Wish, {"name": "Ada"}) == Wish(name="Ada")


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (b'{"count":"1"}', {"count": "Input should be a valid integer"}),
        (b'{"count":1.5}', {"count": "Input should be a valid integer"}),
        (b'{"count":true}', {"count": "Input should be a valid integer"}),
        (b'{"other":1}', {"other": "Extra inputs are not permitted"}),
        (b'{"name":"secret"}', {"name": "String should have at most 5 characters"}),
        (b'{"name":"rude"}', {"name": "Say it again."}),
        (b'{"sort":"c","name":1}', {"name": "Input should be a valid string", "sort": "Input should be 'a' or 'b'"}),
        (b"[]", {"body": "Input should be an object"}),
    ],
)
def test_a_refusal_names_the_fields_and_never_the_values(raw: bytes, fields: dict[str, str]) -> None:
    with pytest.raises(errors.Invalid) as refused:
        strict.read(Wish, raw)
    assert {item["field"]: item["message"] for item in refused.value.facts["fields"]} == fields
    assert "secret" not in f"{refused.value} {refused.value.facts}"
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("value", [float("nan"), {1: {2: object()}}, "\ud800", {"a": 2**53}, [10**5000]])
def test_a_value_from_inside_goes_through_the_same_door(value: Any) -> None:
    with pytest.raises(errors.Malformed):
        strict.check(Wish, value)


def test_a_value_that_holds_itself_is_refused() -> None:
    knot: list[Any] = []
    knot.append(knot)
    with pytest.raises(errors.Malformed):
        strict.check(Wish, knot)


class Asked(BaseModel):
    """What a command line may be asked for."""

    model_config = ConfigDict(extra="forbid")
    name: str = Field(max_length=20)
    note: str | None = None
    count: int = Field(1, ge=1)
    on: bool = False
    tags: list[str] = []


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (["name=7"], {"name": "7"}),
        (["name=1e5", "count=7"], {"name": "1e5", "count": 7}),
        (["name=007"], {"name": "007"}),
        (["name=12345678901234567890"], {"name": "12345678901234567890"}),
        (["name=true", "on=true"], {"name": "true", "on": True}),
        (["name=null", "note=null"], {"name": "null", "note": None}),
        (["name=[a]", 'tags=["a"]'], {"name": "[a]", "tags": ["a"]}),
        (['name="7"'], {"name": "7"}),
        (["name=a=b"], {"name": "a=b"}),
        (["name="], {"name": ""}),
    ],
)
def test_a_pair_is_json_or_the_text_that_is_wanted(given: list[str], meant: dict[str, Any]) -> None:
    assert strict.pairs(Asked, given) == Asked(**meant)


@pytest.mark.parametrize(
    ("given", "field", "message"),
    [
        (["name=7", "count=0"], "count", "Input should be greater than or equal to 1"),
        (["name=7", "count=x"], "count", "Input should be a valid integer"),
        (["name=x", "cuont=1"], "cuont", "Extra inputs are not permitted"),
        (["count=1"], "name", "Field required"),
        (["name=x", "tags=[1]"], "tags.0", "Input should be a valid string"),
    ],
)
def test_what_a_pair_cannot_be_is_said_of_the_value_as_it_was_typed(given: list[str], field: str, message: str) -> None:
    with pytest.raises(errors.Invalid) as refused:
        strict.pairs(Asked, given)
    assert refused.value.facts["fields"] == [{"field": field, "message": message}]


def test_what_is_no_pair_or_no_text_is_refused() -> None:
    with pytest.raises(errors.Invalid, match="Write name=value, not 'name'."):
        strict.pairs(Asked, ["name"])
    with pytest.raises(errors.Malformed):
        strict.pairs(Asked, ["name=\udcff"])
