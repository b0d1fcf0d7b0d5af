"""A model that gives nothing of use: what the pages say about it, and the ways on without it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sitting.apps.solve import wording
from sitting.model import Step
from tests.apps.solve.room import Scene, card, scene, trailer
from tests.apps.solve.test_pages import posted, shown

WORDS = wording.words("en")
SCRAPS = {"cards": [{**card("Wait"), "pros": ["],"]}, {**card("Write"), "cons": ["] }, {"]}]}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


def test_scraps_are_no_options_and_the_page_leads_on(house: Scene) -> None:
    ann = house.owner()
    id = ann.brought("reframe")
    model = house.plays(trailer("One way.", **SCRAPS), *[Step((json.dumps(SCRAPS),))] * 2)
    heard = ann.says(id, "yes")
    assert len(model.prompts) == 3 and heard.fault["code"] == "MODEL_OUTPUT_INVALID"
    page = shown(ann, place := f"/solve/{id}")
    assert WORDS["codes"]["MODEL_OUTPUT_INVALID"] in page.text
    assert f"{place}/turns/{heard.done['turn']}/retry" in page.forms
    assert WORDS["cards"]["own_way"] in page.text and f"{place}/advance" in page.forms

    posted(ann, f"{place}/advance")
    page = shown(ann, place)
    assert WORDS["cards"]["own_alone"] in page.text and f"{place}/options" in page.forms
    posted(ann, f"{place}/options", title="Ask Eve", actions="Call her")
    assert ann.session(id)["chosen_option"] == "own" and f"{place}/commit" in shown(ann, place).forms


def test_a_reply_with_options_offers_no_way_round_them(house: Scene) -> None:
    ann = house.owner()
    page = shown(ann, f"/solve/{ann.brought('reframe')}")
    assert WORDS["cards"]["own_way"] not in page.text


@pytest.mark.parametrize("locale", wording.LANGUAGES)
def test_the_small_model_promises_no_more_than_it_does(tmp_path: Path, locale: str) -> None:
    words = wording.words(locale)
    with scene(tmp_path, model="local") as house:
        ann = house.owner()
        page = shown(ann, f"/solve/{ann.create(locale=locale)}")
        assert words["beliefs"]["hint_own"] in page.text and words["beliefs"]["hint"] not in page.text
        assert words["writer"]["local"].partition("{name}")[2] in page.text


def test_an_empty_start_opens_with_a_question(house: Scene) -> None:
    ann = house.owner()
    assert "You can leave this empty: the session then opens with a question." in shown(ann, "/solve").text
    place = posted(ann, "/solve", content="", locale="en").headers["location"].partition("#")[0]
    page = shown(ann, place)
    assert WORDS["empty_title"].endswith("?") and WORDS["empty_title"] in page.text
    assert all(text in page.text for text in WORDS["starters"])
    assert ann.messages(place.rpartition("/")[2]) == []
