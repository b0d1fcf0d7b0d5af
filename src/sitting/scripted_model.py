"""What the scripted language model says: deterministic words without a model, and whatever a test asks for.

It ships with the product, so that everything can be tried and tested without weights, network or chance.
"""

from __future__ import annotations

import json
import math
import re
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

GLANCE_SECONDS = 0.05  # how often whoever waits looks whether the call was cancelled

_REPLIES = (
    "You mention {topic}. What makes that matter to you?",
    "So it is about {topic}. What happened just before that?",
    "I hear {topic}. What would be different if that went well?",
    "Let us stay with {topic}. What have you tried so far?",
    "You bring up {topic}. Who else is touched by it?",
    "{topic}: what would be a small next step?",
)
MOCK = tuple(re.findall(r"\S+ ?", "I understand how you feel. Let me help you work through this."))
_FAR = 10**9  # further than any bound that matters here
_FORMATS = {
    "date": "2026-01-01",
    "date-time": "2026-01-01T00:00:00Z",
    "time": "00:00:00Z",
    "email": "someone@example.org",
    "uri": "https://example.org",
    "uuid": "00000000-0000-4000-8000-000000000000",
}


class Gate:
    """Holds an answer before each piece until it is released, so that a test waits for events and never sleeps."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._free: float = 0
        self._waiting = 0

    def release(self, pieces: int = 1) -> None:
        """Let that many pieces through."""
        with self._changed:
            self._free += pieces
            self._changed.notify_all()

    def open(self) -> None:
        """Let everything through from now on."""
        with self._changed:
            self._free = float("inf")
            self._changed.notify_all()

    def wait_until_waiting(self, timeout_seconds: float = 60.0) -> None:
        """Return when a call waits here and everything released before has been given out.

        Raises:
            TimeoutError: no call came to wait.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._waiting > 0 and self._free <= 0, timeout_seconds):
                raise TimeoutError("No call waits at this gate.")

    def hold(self, check: Callable[[], None]) -> None:
        """Wait here for one release; `check` is called now and then, and ends the wait by raising."""
        while not self._passed():
            check()

    def _passed(self) -> bool:
        with self._changed:
            self._waiting += 1
            self._changed.notify_all()
            try:
                if not self._changed.wait_for(lambda: self._free >= 1, GLANCE_SECONDS):
                    return False
                self._free -= 1
                return True
            finally:
                self._waiting -= 1


@dataclass(frozen=True)
class Step:
    """How one call goes. Without pieces, the default words for what was asked.

    `fail_after` and `stall_after` count pieces; a stalled call stays silent until it is cancelled or times out. `usage`
    is what the provider reports for the prompt and the answer: "exact", any two values, or None for silence.
    """

    pieces: Sequence[str] = ()
    delay_seconds: float = 0.0
    fail_after: int | None = None
    stall_after: int | None = None
    usage: tuple[Any, Any] | Literal["exact"] | None = "exact"
    finish: str = "stop"
    gate: Gate | None = None


def words(asked: str) -> list[str]:
    """The default answer, a piece for each word: it takes up the longest words that were said, and asks on.

    Tags are a prompt's way of fencing what people said, and no part of it.
    """
    asked = re.sub(r"<[^<>]*>", " ", asked)
    found = dict.fromkeys(word.lower()[:40] for word in re.findall(r"[^\W\d_]{4,}", asked))
    longest = sorted(found, key=len, reverse=True)[:3]
    topic = " and ".join(word for word in found if word in longest) or "that"
    reply = _REPLIES[zlib.crc32(asked.encode("utf-8", "surrogatepass")) % len(_REPLIES)].format(topic=topic)
    return re.findall(r"\S+\s*", reply[0].upper() + reply[1:])


def example(schema: Mapping[str, Any]) -> list[str]:
    """The smallest JSON value a schema allows, in pieces."""
    text = json.dumps(_smallest(schema, schema), ensure_ascii=False)
    return [text[start : start + 8] for start in range(0, len(text), 8)]


def _smallest(schema: Any, root: Mapping[str, Any]) -> Any:
    if not isinstance(schema, Mapping):
        return None
    for fixed in ("const", "default"):
        if fixed in schema:
            return schema[fixed]
    for several in ("enum", "examples"):
        if schema.get(several):
            return schema[several][0]
    if "$ref" in schema:
        return _smallest(_pointed(str(schema["$ref"]), root), root)
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            return _smallest(schema[choice][0], root)
    if schema.get("allOf"):
        together: dict[str, Any] = {}
        for part in schema["allOf"]:
            together.update(_pointed(str(part["$ref"]), root) if "$ref" in part else part)
        return _smallest({**together, **{key: value for key, value in schema.items() if key != "allOf"}}, root)
    return _smallest_of_type(schema, root)


def _smallest_of_type(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    kind = schema.get("type", "object" if "properties" in schema else None)
    if isinstance(kind, list):
        kind = kind[0] if kind else None
    match kind:
        case "object":
            properties = schema.get("properties", {})
            return {name: _smallest(properties.get(name), root) for name in schema.get("required", ())}
        case "array":
            first = schema.get("prefixItems", ())
            size = max(schema.get("minItems", 0), len(first))
            return [_smallest(first[i] if i < len(first) else schema.get("items"), root) for i in range(size)]
        case "string":
            text = _FORMATS.get(schema.get("format", ""), "text")
            return text.ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]
        case "integer" | "number":
            return _smallest_number(schema, whole=kind == "integer")
        case "boolean":
            return False
        case _:
            return None


def _smallest_number(schema: Mapping[str, Any], *, whole: bool) -> int | float:
    """Zero when it is allowed, else the allowed number next to it."""
    low = max(schema.get("minimum", -_FAR), schema.get("exclusiveMinimum", -_FAR))
    high = min(schema.get("maximum", _FAR), schema.get("exclusiveMaximum", _FAR))
    step = schema.get("multipleOf") or (1 if whole else min(1, (high - low) / 2) or 1)
    number: int | float = 0
    if low > 0 or schema.get("exclusiveMinimum") == low == 0:
        number = math.ceil(low / step) * step
        number += step if number == schema.get("exclusiveMinimum") else 0
    elif high < 0 or schema.get("exclusiveMaximum") == high == 0:
        number = math.floor(high / step) * step
        number -= step if number == schema.get("exclusiveMaximum") else 0
    return number if not whole else int(number)


def _pointed(pointer: str, root: Mapping[str, Any]) -> Any:
    place: Any = root
    for part in pointer.removeprefix("#").split("/")[1:]:
        place = place[part.replace("~1", "/").replace("~0", "~")]
    return place
