"""The languages there are."""

from __future__ import annotations

from .chinese import CHINESE
from .english import ENGLISH
from .phrases import Phrases
from .spanish import SPANISH

_LANGUAGES = {"en": ENGLISH, "es": SPANISH, "zh": CHINESE}


def phrases(locale: str) -> Phrases:
    """The words of a locale; English for one that is not known."""
    return _LANGUAGES.get(locale, ENGLISH)
