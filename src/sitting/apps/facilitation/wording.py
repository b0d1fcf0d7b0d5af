"""How text from people is taken in: what is trimmed, what becomes a space, and what counts as the same name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator

from ... import errors
from ...core import strict
from . import terms
from .refusals import MonthInvalid

MONTH = re.compile(r"20[0-9]{2}-(0[1-9]|1[0-2])")
# Letters of scripts that put no spaces between words, for a class of characters: Thai to Khmer, kana, Han.
UNSPACED = r"\u0e00-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # what makes the words after it run the other way
_COMPOSED = 4  # characters that normalising makes one of, at most
_BREAKS = re.compile(r"[\r\n\t\v\f\x85\u2028\u2029]+")


def storable(value: str) -> str:
    """The text, unless no journal could keep it."""
    try:
        return strict.text(value)
    except errors.Invalid:
        raise ValueError("must not contain NUL or lone surrogates") from None


def text(limit: int, *, required: bool = False) -> Callable[[str], str]:
    """A check of a trimmed text with line breaks of one kind. What must be there must be seen, too."""

    def check(value: str) -> str:
        value = storable(value).replace("\r\n", "\n").replace("\r", "\n").strip()
        if required and not any(each.isprintable() and not each.isspace() for each in value):
            raise ValueError("is required")
        if len(value) > limit:
            raise ValueError(f"must be at most {limit} characters")
        return value

    return check


def name(limit: int) -> Callable[[str], str]:
    """A check of a text on one line, its inner spaces collapsed. It stands in many a sentence, and must not turn it."""

    def check(value: str) -> str:
        straight = " ".join(_TURNS.sub("", storable(value)).split())
        return text(limit, required=True)(composed(straight, limit))

    return check


def composed(value: str, limit: int) -> str:
    """The text normalised, or as it is when it is too long either way: it takes time by the square of the length."""
    return unicodedata.normalize("NFC", value) if len(value) <= _COMPOSED * limit else value


def same(value: str) -> str:
    """What two names have in common when people would call them the same."""
    return unicodedata.normalize("NFC", value).casefold()


def bullet(value: str) -> str:
    """One point as it is kept: on one line, trimmed; nothing when nothing was written."""
    return composed(_BREAKS.sub(" ", value).strip(), terms.MAX_BULLET)


def month(value: str) -> str:
    """A month in its only form."""
    value = value.strip()
    if not MONTH.fullmatch(value):
        raise MonthInvalid(fields=[{"field": "month", "message": MonthInvalid.__doc__ or ""}])
    return value


Month = Annotated[str, AfterValidator(month)]
