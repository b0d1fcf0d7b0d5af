"""Bytes to safe JSON: one reader for HTTP, the command line, imports and model answers.

It reads I-JSON (RFC 7493): UTF-8 without a byte order mark, no duplicate keys, no NaN or infinities, no NUL, no lone
surrogates, depth at most 32, numbers below 2^53, keys of at most 256 characters. A refusal never repeats the value.
(Numbers, not only integers: the canonical form writes 1e20 with 21 digits, and who reads it back finds an integer.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

from .. import errors

MAX_DEPTH = 32
MAX_KEY = 256
_MAX_INT = 2**53
_MAX_DIGITS = 400
_BAD_TEXT = re.compile("[\x00\ud800-\udfff]")
# Also matches a string that never ends, so that each byte is looked at once whatever is sent.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
M = TypeVar("M", bound=BaseModel)


def loads(raw: bytes, *, depth: int = MAX_DEPTH) -> Any:
    """The JSON value in `raw`, nested at most `depth` deep.

    Raises:
        Malformed: it is not I-JSON; the sentence says which rule it breaks.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        _refuse("it is not UTF-8")
    if text.startswith("\ufeff"):
        _refuse("it starts with a byte order mark")
    if _depth(raw) > depth:
        _refuse(f"it is nested deeper than {depth}")
    try:
        value = json.loads(
            text, object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
    except json.JSONDecodeError as error:
        _refuse(f"{error.msg} at line {error.lineno}, column {error.colno}")
    if "\\u" in text or "\x00" in text:
        _walk(value)
    return value


def text(value: str, name: str = "text") -> str:
    """A text from a form, a query or the command line, under the same rules.

    Raises:
        Invalid: it holds NUL or a lone surrogate.
    """
    if _BAD_TEXT.search(value):
        raise errors.Invalid.field(name, "must not contain NUL or lone surrogates")
    return value


def read(model: type[M], raw: bytes) -> M:
    """The model that `raw` holds, strictly: no coercion, no unknown fields. An empty body is `{}`.

    Raises:
        Malformed: not I-JSON.
        Invalid: not this model; facts: fields.
    """
    raw = raw or b"{}"
    loads(raw)
    return _validated(model, raw)


def check(model: type[M], value: Any) -> M:
    """The model that an already parsed value holds, under the rules of `read`."""
    try:
        raw = json.dumps(value, allow_nan=False).encode()
    except (TypeError, ValueError, UnicodeEncodeError, RecursionError):
        _refuse("it is not a JSON value")
    return read(model, raw)


def pairs(model: type[M], given: Iterable[str]) -> M:
    """The model that `name=value` pairs make. A value is JSON; what is none is text, and so is what must be text.

    Raises:
        Malformed: a value is not even text.
        Invalid: a pair is none, or not this model; facts: fields.
    """
    typed = {}
    for pair in given:
        name, equals, value = pair.partition("=")
        if not equals:
            raise errors.Invalid(f"Write name=value, not {name!r}.")
        typed[name] = value
    meant = {name: _json_or_text(value) for name, value in typed.items()}
    refused = _refused(model, meant) & {name for name, value in meant.items() if not isinstance(value, str)}
    as_text = {name: typed[name] for name in refused}
    kept = refused - _refused(model, {**meant, **as_text})
    return check(model, {**meant, **{name: typed[name] for name in kept}})


def fields(error: ValidationError) -> list[dict[str, str]]:
    """Pydantic's findings as `{field, message}`, without the submitted values."""
    return [
        {"field": ".".join(str(part) for part in item["loc"]) or "body", "message": _sentence(item["msg"])}
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def _json_or_text(value: str) -> Any:
    try:
        return loads(value.encode())
    except (errors.Malformed, UnicodeEncodeError):
        return value


def _refused(model: type[M], value: Any) -> set[str]:
    """The fields that this model does not take as they are."""
    try:
        check(model, value)
    except errors.Invalid as refusal:
        return {found["field"].partition(".")[0] for found in refusal.facts.get("fields", ())}
    return set()


def _validated(model: type[M], raw: bytes) -> M:
    try:
        return model.model_validate_json(raw, strict=True)
    except ValidationError as error:
        raise errors.Invalid(fields=fields(error)) from None


def _sentence(message: str) -> str:
    return message.removeprefix("Value error, ")


def _refuse(reason: str) -> NoReturn:
    raise errors.Malformed(f"The body is not the JSON this server reads: {reason}.")


def _depth(raw: bytes) -> int:
    """Nesting, counted before parsing so that a deep document cannot exhaust the parser's stack."""
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for byte in _STRING.sub(b"", raw):
        if byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        _refuse("it repeats a key")
    for key in found:
        if len(key) > MAX_KEY:
            _refuse(f"a key is longer than {MAX_KEY} characters")
    return found


def _constant(name: str) -> NoReturn:
    _refuse(f"{name} is not a number")


def _float(digits: str) -> float:
    value = float(digits)
    if not abs(value) < _MAX_INT:
        _refuse("a number is beyond 2^53")
    return value


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS or not abs(int(digits)) < _MAX_INT:
        _refuse("a number is beyond 2^53")
    return int(digits)


def _walk(value: Any) -> None:
    if isinstance(value, str):
        if _BAD_TEXT.search(value):
            _refuse("a text contains NUL or a lone surrogate")
    elif isinstance(value, dict):
        for key, item in value.items():
            _walk(key)
            _walk(item)
    elif isinstance(value, list):
        for item in value:
            _walk(item)
