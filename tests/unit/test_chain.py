"""The frozen part: canonical text and hashes. The vectors were written once; if one fails, the code is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from sitting.core import chain
from sitting.core.chain import Part, Record

SESSION = "5f0c2a9e-0000-4000-8000-000000000001"
SALTS = [bytes(range(16)), bytes(range(16, 32)), bytes(range(32, 48))]
FIRST = {"type": "created", "actor": "user:ada", "role": "owner", "at": "2026-01-31T12:00:00.000Z"}
SECOND = {"type": "Said", "actor": "guest:0123abcd", "role": "candidate", "at": "2026-01-31T12:00:00.001Z"}
DATA = {
    "ratio": -0.0,
    "big": 1e21,
    "small": 1e-7,
    "\ue000": 1,
    "\U0001f600": [True, None, '\u2028\x7f\x1f"\\/'],
    "n": 2**53 - 1,
}
PERSONAL = {"user:ada": {"text": "żółw 🐢"}, "guest:0123abcd": ["a", 1.5]}
BODIES = (
    "43063f86a31ef5f6d3ac677e463427e9804ba42688626a658fb02ac6341333bc",
    "82a37be31715f36b3ce68238e10f0e6626bc1dcd6ec683767c14ee070f00750e",
)
COMMITMENTS = (
    "eace9d76a8b23d5d9f1a3d5b1f4150eba30f5acd432f339548a14459ab5b2506",
    "986b4500f5fd7786270c79d59ceb4617b7d8e39a9f0904c3e5e6f61b78992a83",
)
HASHES = (
    "7e7d4226e89e2a84199798bdcfcf68e3c4f7212e2b3ead1b12d56f0a0106ee5b",
    "32462f3e06acd5decbc16c037b60438c09218f26c7303bb1d6e111b47ac89e06",
)
CANONICAL: tuple[tuple[Any, str], ...] = (
    ({}, "{}"),
    ([-0.0, 0.0, 1.0, 1.5, 100], "[0,0,1,1.5,100]"),
    ([1e21, 1e-6, 1e-7, 5e-324], "[1e+21,0.000001,1e-7,5e-324]"),
    ([2**53 - 1, 1 - 2**53], "[9007199254740991,-9007199254740991]"),
    ("\x7f\u2028\u2029/", '"\x7f\u2028\u2029/"'),
    ('\x00\x08\t\n\x0b\f\r\x1f"\\', '"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\"\\\\"'),
    ({"\ue000": 1, "\U0001f600": 2, "z": 3}, '{"z":3,"\U0001f600":2,"\ue000":1}'),
    ({"b": 1, "a": {"d": [], "c": None}}, '{"a":{"c":null,"d":[]},"b":1}'),
    ("1234567890123456e7", '"1234567890123456e7"'),
)
NOT_I_JSON = (2**53, -(2**53), 2**64, 1e20, 9007199254740992.0, float("nan"), float("inf"), "\ud800", {"\udfff": 1})

numbers = st.integers(1 - 2**53, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not 2**53 <= abs(number) < 1e21
)
texts = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def _sealed() -> list[Record]:
    first = chain.seal(chain.GENESIS, session=SESSION, seq=1, data={}, personal={}, salts=SALTS[:1], **FIRST)
    second = chain.seal(first.hash, session=SESSION, seq=2, data=DATA, personal=PERSONAL, salts=SALTS, **SECOND)
    return [first, second]


def test_golden_vectors() -> None:
    records = _sealed()
    assert tuple(record.body.hex() for record in records) == BODIES
    assert tuple(record.hash.hex() for record in records) == HASHES
    assert tuple(part.commitment.hex() for part in records[1].parts) == COMMITMENTS
    assert [part.owner for part in records[1].parts] == ["guest:0123abcd", "user:ada"]
    assert records[1].data == (
        '{"big":1e+21,"n":9007199254740991,"ratio":0,"small":1e-7,'
        '"\U0001f600":[true,null,"\u2028\x7f\\u001f\\"\\\\/"],"\ue000":1}'
    )


@pytest.mark.parametrize(("value", "text"), CANONICAL)
def test_canonical_text(value: Any, text: str) -> None:
    assert chain.canonical(value) == text


@pytest.mark.parametrize("value", NOT_I_JSON, ids=ascii)
def test_what_could_not_be_read_back_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError):
        chain.canonical(value)


@given(values)
@example({"\ue000": 1, "\U0001f600": 2, "\ud7ff": 3})
@example([1e16, 1e22, 5e-324, 1.7976931348623157e308])
def test_canonical_is_rfc_8785_and_reads_back_the_same(value: Any) -> None:
    try:
        expected = rfc8785.dumps(value).decode()
        rfc8785.dumps(json.loads(expected))
    except rfc8785.CanonicalizationError:
        with pytest.raises(ValueError):
            chain.canonical(value)
        return
    text = chain.canonical(value)
    assert text == expected
    assert chain.canonical(json.loads(text)) == text


@given(st.dictionaries(texts, values, max_size=3), st.dictionaries(st.sampled_from("abc"), values, max_size=3))
def test_hashes_are_those_of_the_page_that_describes_them(data: dict[str, Any], personal: dict[str, Any]) -> None:
    salts = [*SALTS, bytes(16)]
    prev = sha256(b"before").digest()
    record = chain.seal(
        prev, session=SESSION, seq=7, data=data, personal=personal, salts=salts[: 1 + len(personal)], **FIRST
    )
    body = sha256(salts[0] + rfc8785.dumps({**FIRST, "data": data})).digest()
    parts = [
        sha256(salt + rfc8785.dumps(personal[owner])).hexdigest()
        for owner, salt in zip(sorted(personal), salts[1:], strict=False)
    ]
    linked: dict[str, Any] = {"v": 1, "session": SESSION, "seq": 7, "body": body.hex(), "parts": sorted(parts)}
    assert record.body == body
    assert [part.commitment.hex() for part in record.parts] == parts
    assert record.hash == sha256(prev + rfc8785.dumps(linked)).digest()
    assert chain.fault(prev, record, session=SESSION, seq=7) is None


def test_withheld_and_erased_content_is_no_fault() -> None:
    first, second = _sealed()
    withheld = replace(second, type="", actor="", role="", at="", data=None, salt=None)
    erased = replace(second, parts=tuple(replace(part, text=None, salt=None) for part in second.parts))
    for record in (withheld, erased):
        assert chain.fault(first.hash, record, session=SESSION, seq=2) is None


FAULTS: tuple[tuple[dict[str, Any], str], ...] = (
    ({"seq": 3}, "expected seq 2, found 3"),
    ({"type": "Sung"}, "the event was changed"),
    ({"actor": "user:bob"}, "the event was changed"),
    ({"role": "owner"}, "the event was changed"),
    ({"at": "2026-01-31T12:00:00.002Z"}, "the event was changed"),
    ({"data": "{}"}, "the event was changed"),
    ({"salt": bytes(16)}, "the event was changed"),
    ({"salt": None}, "the event was changed"),
    ({"data": None}, "the event was changed"),
    ({"body": bytes(32)}, "the event was changed"),
    ({"body": bytes(32), "data": None, "salt": None}, "the chain is broken"),
    ({"hash": bytes(32)}, "the chain is broken"),
    ({"parts": ()}, "the chain is broken"),
)


@pytest.mark.parametrize(("change", "reason"), FAULTS)
def test_every_change_of_a_record_is_found(change: dict[str, Any], reason: str) -> None:
    first, second = _sealed()
    assert chain.fault(first.hash, second, session=SESSION, seq=2) is None
    assert chain.fault(first.hash, replace(second, **change), session=SESSION, seq=2) == reason


@pytest.mark.parametrize("change", [{"text": "[]"}, {"salt": bytes(16)}, {"salt": None}, {"text": None}])
def test_every_change_of_a_part_is_found(change: dict[str, Any]) -> None:
    first, second = _sealed()
    changed = replace(second, parts=(replace(second.parts[0], **change), second.parts[1]))
    reason = "the content of guest:0123abcd was changed"
    assert chain.fault(first.hash, changed, session=SESSION, seq=2) == reason


def test_a_record_of_another_session_or_place_is_found() -> None:
    first, second = _sealed()
    assert chain.fault(first.hash, second, session="another", seq=2) == "the chain is broken"
    assert chain.fault(chain.GENESIS, second, session=SESSION, seq=2) == "the chain is broken"
    moved = replace(second, parts=(*second.parts, Part("x", bytes(32))))
    assert chain.fault(first.hash, moved, session=SESSION, seq=2) == "the chain is broken"
