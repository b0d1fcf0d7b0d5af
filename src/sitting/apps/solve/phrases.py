"""What one language needs: the parts of a prompt, and the fixed words people read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Phrases:
    """Everything of one language. The keys of `tasks`, `closings` and `examples` are steps, of `tactics` tactics."""

    rules: str
    brief: str  # the rules for a model too small to follow many
    data: str
    trailer: str
    trailer_cards: str
    trailer_first_step: str
    tasks: Mapping[str, str]
    closings: Mapping[str, str]
    tactics: Mapping[str, str]
    beliefs: str
    slots: Mapping[str, str]
    unknown: str
    carried: str
    cards: str
    chosen: str
    left_out: str
    cards_only: str
    shortened: str
    crisis: str
    pause: str
    examples: Mapping[str, tuple[str, str, str]]
    sample_cards: tuple[Mapping[str, Any], ...]
