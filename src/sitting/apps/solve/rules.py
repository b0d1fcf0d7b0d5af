"""What a message counts as, in code: the same result on every run, whatever a model would say.

Everything compares folded text: NFKC, lower case, accents removed, spaces collapsed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .languages import phrases
from .terms import EMOTIONS, NEUTRAL
from .words import (
    AGREEMENT,
    CHOICE,
    CRISIS,
    EMOTION,
    EMOTION_HAN,
    LOW_EFFORT,
    NEGATION,
    NEGATION_HAN,
    NO_CRISIS,
)

_MARKS = str.maketrans({"’": "'", "‘": "'", "ʼ": "'", "`": "'", "‐": "-", "‑": "-", "–": "-"})
_ACCENTS = "\u0f73\u0f75\u0f81"  # the signs that are accents once they are taken apart, and not before
_CLOSING = " \t.!?…。！？,;:、，；：)\"'"
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
_NAMED = re.compile(rf"(?:{'|'.join(CHOICE)})\s*(.+)")
_MOST_BEFORE = 3  # characters of Han that two words take, less the negation itself


def fold(text: str) -> str:
    """The text as it is compared.

    Accents go before anything else, too: to put many of them in order takes time by the square of their number.
    """
    plain = "".join(c for c in text if not unicodedata.combining(c) and c not in _ACCENTS)
    lower = unicodedata.normalize("NFKC", plain).translate(_MARKS).lower()
    bare = "".join(c for c in unicodedata.normalize("NFD", lower) if not unicodedata.combining(c))
    return " ".join(unicodedata.normalize("NFC", bare).split())


def crisis(text: str) -> str | None:
    """The rule that a message hits, in any language, or None."""
    folded = fold(text)
    for harmless in NO_CRISIS:
        folded = folded.replace(harmless, " ")
    return next((rule for rule in CRISIS if rule in folded), None)


def crisis_text(locale: str) -> str:
    """What is answered to a crisis: fixed words, written by people."""
    return phrases(locale).crisis


def low_effort(text: str, *, previous: str | None = None) -> bool:
    """Whether a message says too little to go on with. `previous` is the owner's previous message, folded."""
    folded = fold(text)
    said = folded.rstrip(_CLOSING)
    characters = folded.replace(" ", "")
    if not any(c.isalpha() for c in folded) or len(set(characters)) == 1 or folded == previous or said in LOW_EFFORT:
        return True
    if _HAN.search(folded):
        return len(characters.strip(_CLOSING)) < 4
    return len(folded.split()) < 3 and len(folded) < 12


def agrees(text: str) -> bool:
    """Whether a message says yes, alone or before a comma or a full stop."""
    folded = fold(text)
    if folded.rstrip(_CLOSING) in AGREEMENT:
        return True
    return any(folded.startswith((f"{word},", f"{word}.", f"{word}，", f"{word}。")) for word in AGREEMENT)


def choice(text: str, cards: Sequence[Mapping[str, Any]]) -> str | None:
    """The id of the card that a message names, and does nothing else."""
    said = fold(text).rstrip(_CLOSING)
    titled = next((str(card["id"]) for card in cards if fold(card["title"]).rstrip(_CLOSING) == said), None)
    if titled is not None:
        return titled
    named = _NAMED.fullmatch(said)
    wanted = named[1] if named else said
    for place, card in enumerate(cards, start=1):
        if wanted == fold(card["id"]) or (wanted == str(place) and place <= 3):
            return str(card["id"])
    return None


def asks(text: str) -> bool:
    """Whether a message ends as a question."""
    return text.rstrip().endswith(("?", "？"))


def emotion(text: str) -> str:
    """The feeling most words speak of; a negated word speaks of none."""
    folded = fold(text)
    words = _WORD.findall(folded)
    hits = dict.fromkeys(EMOTIONS, 0)
    for place, word in enumerate(words):
        if not NEGATION & set(words[max(0, place - 2) : place]):
            for name, list in EMOTION.items():
                hits[name] += word in list
    for name, signs in EMOTION_HAN.items():
        hits[name] += sum(_said_in_han(folded, sign) for sign in signs)
    found = max(EMOTIONS, key=lambda name: hits[name])
    return found if hits[found] else NEUTRAL


def _said_in_han(folded: str, sign: str) -> int:
    """How often a sign stands there without a negation shortly before it, in the same clause."""
    return sum(not NEGATION_HAN & set(_before(folded, found.start())) for found in re.finditer(re.escape(sign), folded))


def _before(folded: str, at: int) -> Iterable[str]:
    return re.split(r"[^\w]", folded[max(0, at - _MOST_BEFORE) : at])[-1]
