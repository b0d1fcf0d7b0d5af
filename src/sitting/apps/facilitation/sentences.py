"""Whether a text that a model wrote can be shown to people as words of a language, whichever that is.

A weak model fills a form with scraps of the form itself, with `None`, or with labels. Only what cannot be a sentence in
any language is refused: whether a sentence is true, or good, is for its readers to judge.
"""

from __future__ import annotations

import re
import unicodedata

from . import wording

LEAST_WORDS = 2  # of three letters or more
LEAST_UNSPACED = 4  # letters, in a script without spaces
_WORD = re.compile(r"[^\W\d_]{3,}")
_UNSPACED = re.compile(f"[{wording.UNSPACED}]")
_INSIDE = frozenset({"Mn", "Mc", "Me", "Cf"})  # marks and invisible signs, which stand inside words
_LABELS = re.compile(r"\[?\bR\d+\b(?:\s*,\s*R\d+\b)*\]?", re.IGNORECASE)
_FORM = re.compile(r"""[\[\]{}]\s*[\[\]{}"]|"\s*[\[\]{}]|"\s*:\s*["\d]|\{\s*\w+\s*:""")


def is_form(text: str) -> bool:
    """Whether there is a run of JSON punctuation in it; labels in brackets are none."""
    return _FORM.search(_LABELS.sub("", text)) is not None


def is_sentence(text: str) -> bool:
    """Whether it has words enough to say something, labels not counted, and nothing of a form."""
    letters = _letters(_LABELS.sub(" ", text))
    enough = len(_WORD.findall(letters)) >= LEAST_WORDS or len(_UNSPACED.findall(letters)) >= LEAST_UNSPACED
    return enough and not is_form(text)


def _letters(text: str) -> str:
    """The text without what stands inside words and is no letter; Hangul by its letters."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if unicodedata.category(c) not in _INSIDE)
