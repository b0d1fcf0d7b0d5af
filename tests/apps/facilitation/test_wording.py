"""How text from people is taken in: what it becomes, and that its length is looked at first."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sitting.apps.facilitation import refusals, terms, wording
from sitting.apps.facilitation.commands import Submit

# Three characters that become one, and one that becomes the most there can be before it becomes one again.
LETTER, MOST = "e\u0302\u0323", unicodedata.normalize("NFD", "\u1f82")


def test_what_fits_once_it_is_composed_fits() -> None:
    for letter in (LETTER, MOST):
        assert len(unicodedata.normalize("NFC", letter)) == 1
        assert wording.name(255)(letter * 255) == unicodedata.normalize("NFC", letter) * 255
        [point] = Submit(bullets=[letter * terms.MAX_BULLET]).bullets
        assert point == unicodedata.normalize("NFC", letter) * terms.MAX_BULLET
        with pytest.raises(ValueError, match="at most 255"):
            wording.name(255)(letter * 256)
        with pytest.raises(refusals.BadResponse, match="500 characters"):
            Submit(bullets=[letter * 501])


def test_spaces_do_not_count() -> None:
    assert wording.name(255)(" " * 5000 + "Ada" + "\n" * 5000 + "B\u202e") == "Ada B"
    assert Submit(bullets=[" " * 5000 + "one" + "\n" * 5000]).bullets == ["one"]


@given(st.text(alphabet=st.sampled_from("ae \u0301\u0315\u0316\u2000\n\x85\u1f82\u0344\u1100\u1161"), max_size=30))
def test_what_is_kept_is_composed_and_stays_what_it_is(said: str) -> None:
    kept = wording.bullet(said)
    assert kept == unicodedata.normalize("NFC", kept) == wording.bullet(kept)
    assert bool(kept) == bool(said.strip())
