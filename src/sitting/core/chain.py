"""Canonical form and the hash chain. FROZEN: what this file computes can never change; golden vectors are tested.

    body       = sha256(salt || JCS({type, actor, role, at, data}))          for every event, a salt of 16 bytes
    commitment = sha256(salt || JCS(content))                                for every personal part, a salt of its own
    hash       = sha256(prev || JCS({v: 1, session, seq, body, parts}))      prev raw, 32 zero bytes first

`parts` are the sorted commitments; hashes inside JCS are lower-case hex; JCS is RFC 8785; `at` has milliseconds and
`Z`. An event that is withheld or erased still verifies: `body` and `parts` suffice for the chain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import rfc8785

VERSION = 1
GENESIS = bytes(32)
SALT_BYTES = 16

_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode
# Where the standard library and RFC 8785 can differ: floats, integers beyond 2^53, lone surrogates, and keys outside
# the Basic Multilingual Plane (UTF-16 order is not code point order there). What might be one goes to the library.
_DIFFERS = re.compile(r"[0-9][.eE]|[0-9]{16}|[\ud800-\U0010ffff]")
_LONG = re.compile(r"[0-9]{16}")


def canonical(value: Any) -> str:
    """RFC 8785 text of a JSON value.

    Raises:
        ValueError: the value is not I-JSON: a number beyond 2^53, also a float that would be written like an integer,
            one that is not finite, a lone surrogate.
    """
    text = _encode(value)
    if _DIFFERS.search(text):
        text = rfc8785.dumps(value).decode()
        if _LONG.search(text):
            rfc8785.dumps(json.loads(text))
    return text


def body_text(*, type: str, actor: str, role: str, at: str, data: str) -> str:
    """The canonical text whose salted hash is an event's body. `data` is canonical already and is never re-encoded."""
    return f'{{"actor":"{actor}","at":"{at}","data":{data},"role":"{role}","type":"{type}"}}'


def salted(salt: bytes, text: str) -> bytes:
    """sha256(salt || text), the form of both a body and a commitment."""
    return sha256(salt + text.encode()).digest()


def link(prev: bytes, *, session: str, seq: int, body: bytes, parts: Iterable[bytes]) -> bytes:
    """The hash of one event, from the hash before it."""
    hexes = ",".join(f'"{part}"' for part in sorted(part.hex() for part in parts))
    text = f'{{"body":"{body.hex()}","parts":[{hexes}],"seq":{seq},"session":"{session}","v":{VERSION}}}'
    return sha256(prev + text.encode()).digest()


@dataclass(frozen=True)
class Part:
    """A personal part as it is stored; `text` and `salt` are None once erased or when withheld."""

    owner: str
    commitment: bytes
    text: str | None = None
    salt: bytes | None = None


@dataclass(frozen=True)
class Record:
    """An event as it is stored or exported. `salt` and `data` are None when the body is withheld."""

    seq: int
    type: str
    actor: str
    role: str
    at: str
    data: str | None
    salt: bytes | None
    body: bytes
    hash: bytes
    parts: Sequence[Part] = field(default=())


def seal(
    prev: bytes,
    *,
    session: str,
    seq: int,
    type: str,
    actor: str,
    role: str,
    at: str,
    data: Mapping[str, Any],
    personal: Mapping[str, Any],
    salts: Sequence[bytes],
) -> Record:
    """The record of a new event. `salts` are 1 + len(personal) random values of 16 bytes, parts by sorted owner."""
    text = canonical(data)
    body = salted(salts[0], body_text(type=type, actor=actor, role=role, at=at, data=text))
    parts: tuple[Part, ...] = ()
    if personal:
        parts = tuple(
            Part(owner, salted(salt, content), content, salt)
            for owner, content, salt in (
                (owner, canonical(personal[owner]), salt)
                for owner, salt in zip(sorted(personal), salts[1:], strict=True)
            )
        )
    chained = link(prev, session=session, seq=seq, body=body, parts=(part.commitment for part in parts))
    return Record(seq, type, actor, role, at, text, salts[0], body, chained, parts)


def fault(prev: bytes, record: Record, *, session: str, seq: int) -> str | None:
    """What is wrong with one record at its place, in words, or None.

    Withheld and erased content is not a fault, but content goes with its salt: alone it would be believed unchecked.
    """
    if record.seq != seq:
        return f"expected seq {seq}, found {record.seq}"
    if record.data is not None or record.salt is not None:
        text = body_text(type=record.type, actor=record.actor, role=record.role, at=record.at, data=record.data or "")
        if salted(record.salt or b"", text) != record.body:
            return "the event was changed"
    for part in record.parts:
        if part.text is None and part.salt is None:
            continue
        if salted(part.salt or b"", part.text or "") != part.commitment:
            return f"the content of {part.owner} was changed"
    chained = link(prev, session=session, seq=seq, body=record.body, parts=(part.commitment for part in record.parts))
    return None if chained == record.hash else "the chain is broken"
