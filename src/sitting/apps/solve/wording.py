"""The words of the pages: a session speaks its own language, also where no model does.

The guided questions stand here too. They are written by people, fixed, and the same for everyone; each is answered into
one of the five points about a problem.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

STEPS = ("receive", "clarify", "reframe", "options", "commit")
SLOTS = ("goal", "stakes", "constraints", "tried", "feeling")
LANGUAGES: Mapping[str, str] = {"en": "en", "es": "es", "zh": "zh-Hans"}
REMIND_HOURS = (1, 4, 24, 48)
_REGIONS: Mapping[str, str] = {
    "AR": "Argentina", "AU": "Australia", "CA": "Canada", "CL": "Chile", "CN": "中国", "CO": "Colombia",
    "DE": "Deutschland", "ES": "España", "FR": "France", "GB": "United Kingdom", "IE": "Ireland", "IN": "India",
    "IT": "Italia", "MX": "México", "NZ": "New Zealand", "PE": "Perú", "TW": "台灣", "US": "United States",
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """One fixed question, and the point about the problem its answer becomes."""

    slot: str
    text: str
    hint: str


def words(locale: str) -> Mapping[str, Any]:
    """The texts of the pages in one language."""
    found: Mapping[str, Any] = _WORDS[locale if locale in _WORDS else "en"]
    return found


def questions(locale: str, step: str) -> Sequence[Question]:
    """What the guided form asks at a step; nothing where a form of its own stands."""
    asked = words(locale)["guided"].get(step, {})
    return [Question(slot, text, hint) for slot, (text, hint) in asked.items()]


def region(code: str) -> str:
    """The name of a region as its people write it, for a line of help."""
    return _REGIONS.get(code.upper(), code)


def languages() -> list[tuple[str, str]]:
    """What a session can speak, each in its own words."""
    return [(code, _WORDS[code]["language"]) for code in LANGUAGES]


def _load() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files(__package__).joinpath("wording.json").read_text(encoding="utf-8"))
    return loaded


_WORDS = _load()
