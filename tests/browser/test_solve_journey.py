"""From a worry to a first step in a real browser: a reload and a stop in the middle of an answer, a choice, a step.

The model writes when the test lets it, so every state that a person may meet can be looked at. Nothing sleeps.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from sitting.model import Gate, Step
from sitting.web.streams import Pace
from tests.apps.solve.room import Owner, Scene, scene, trailer
from tests.support import axe, docs
from tests.support.pages import DESKTOP, PHONE, foreign, overflow

SIZES = {"desktop": DESKTOP, "phone": PHONE}
LOOKS = os.environ.get("SHOTS")
CARDS = [
    {
        "title": "Ask for half an hour",
        "actions": ["Write two lines to him today", "Bring one proposal, on one page"],
        "pros": ["He has time to listen", "It is about one thing"],
        "cons": ["It may be refused"],
        "effort": "low",
    },
    {
        "title": "Show it to the team first",
        "actions": ["Put it on the agenda on Thursday"],
        "pros": ["Others can support it"],
        "cons": ["He may feel passed over", "It takes a week"],
        "effort": "medium",
    },
]
BELIEFS = {
    "goal": {"text": "To be heard by your boss", "quote": "ignores everything"},
    "stakes": {"text": "The next project", "quote": "the next project"},
    "tried": {"text": "Speaking up in meetings", "quote": "spoke up in two meetings"},
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


class Person:
    """Somebody with a browser. Every page fits the window, and nothing is asked of anybody else."""

    def __init__(self, browser: Browser, house: Scene, owner: Owner, name: str, **options: Any) -> None:
        self.name, self.faults = name, list[str]()
        self.context = browser.new_context(base_url=house.served.url, **options)
        self.page = self.tab()
        access = house.served.installation.access
        self.page.goto(f"/sign-in/link/{access.make_link(owner.person.actor.id).result()}")
        self.page.get_by_role("main").get_by_role("button").click()
        expect(self.page.get_by_role("button", name="Sign out")).to_be_attached()

    def tab(self) -> Page:
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        page.on("request", lambda request: self.faults.extend(foreign(request.url)))
        return page

    def looks(self, what: str) -> None:
        """The page as it is now fits and is fit for everybody; its picture is kept where one is wished for."""
        assert overflow(self.page) <= 0, f"{what} is wider than its window"
        assert axe.violations(self.page) == [], what
        if LOOKS:
            self.page.screenshot(path=Path(LOOKS) / f"{self.name}-{what}.png", full_page=True)


def replies(page: Page) -> Any:
    return page.locator("#talk .message-model .message-body")


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", SIZES)
def test_a_worry_becomes_a_first_step(house: Scene, browser: Browser, name: str) -> None:
    ann = house.owner()
    person = Person(browser, house, ann, name, viewport=SIZES[name], color_scheme="light")
    page = person.page
    _begins_and_reloads(house, person, page)
    _stops_elsewhere(house, person, page)
    id = page.url.rpartition("/")[2].partition("#")[0]
    _listened_to(house, person, page)
    _chooses(person, page)
    _commits(person, page)
    seen = ann.session(id)
    assert (seen["status"], seen["chosen_option"], seen["confidence"]) == ("completed", "B", 8)
    assert seen["reminder_time"] is not None
    _opens_with_it(house, person, page)
    person.context.close()
    assert person.faults == []


def _begins_and_reloads(house: Scene, person: Person, page: Page) -> None:
    gate = Gate()
    house.plays(Step(("You said it, ", "and nothing came back. ", "What did you hope for?"), gate=gate))
    page.goto("/solve")
    person.looks("1-start")
    page.get_by_label("Your first message").fill("My boss ignores everything I propose")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/solve/[0-9a-f-]{36}"))
    expect(page.locator("#talk")).to_contain_text("My boss ignores everything I propose")
    gate.release()
    expect(replies(page)).to_have_text("You said it,")
    gate.release()
    expect(replies(page)).to_have_text("You said it, and nothing came back.")
    person.looks("2-writing")
    page.reload()
    expect(replies(page)).to_have_text("You said it, and nothing came back.")
    page.get_by_label("Your message").fill("typed while it writes")
    gate.open()
    expect(replies(page)).to_have_text("You said it, and nothing came back. What did you hope for?")
    expect(page.locator("#steps")).to_contain_text("Clarify")
    expect(page.get_by_label("Your message")).to_have_value("typed while it writes")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    person.looks("3-clarify")


def _stops_elsewhere(house: Scene, person: Person, page: Page) -> None:
    gate = Gate()
    house.plays(Step(("Half of ", "what I wanted to say"), gate=gate), Step(("What would change ", "if he listened?")))
    page.get_by_label("Your message").fill("I spoke up in two meetings about the next project")
    page.get_by_role("button", name="Send").click()
    gate.release()
    expect(replies(page).last).to_have_text("Half of")
    other = person.tab()
    other.goto(page.url)
    expect(replies(other).last).to_have_text("Half of")
    other.get_by_role("button", name="Stop").click()
    for tab in (other, page):
        expect(tab.locator("#now")).to_contain_text("You stopped this answer.")
        expect(replies(tab).last).to_have_text("Half of")
    person.looks("4-stopped")
    gate.open()
    page.get_by_role("button", name="Try again").click()
    for tab in (other, page):
        expect(replies(tab).last).to_have_text("What would change if he listened?")
        expect(tab.get_by_role("button", name="Try again")).to_have_count(0)
        expect(tab.locator("#talk")).to_contain_text("Half of")
    other.close()


def _listened_to(house: Scene, person: Person, page: Page) -> None:
    """The way to the cards; a message that is met by fixed words, and the way out of them."""
    house.plays(
        Step(("I meant the laughing.",)),
        trailer("So what you want is to be heard.", beliefs=BELIEFS),
        trailer("Here are two ways.", cards=CARDS),
    )

    def sends(content: str, reply: str) -> None:
        page.get_by_label("Your message").fill(content)
        page.get_by_role("button", name="Send").click()
        expect(replies(page).last).to_contain_text(reply)

    sends("I want to die of laughter when he talks", "call your local emergency number")
    expect(page.locator("#talk")).to_contain_text("988")
    person.looks("5-crisis")
    page.get_by_role("button", name="That is not what I meant").click()
    expect(replies(page).last).to_have_text("I meant the laughing.")
    sends("He said we have no time for it", "So what you want is to be heard.")
    if page.locator("#steps").get_by_text("Reframe").count():
        page.reload()
    expect(page.locator("#beliefs")).to_contain_text("To be heard by your boss")
    sends("Yes, that is it", "Here are two ways.")
    expect(page.locator(".option")).to_have_count(2)
    person.looks("6-options")


def _chooses(person: Person, page: Page) -> None:
    page.locator(".option", has_text="Show it to the team first").get_by_role("button", name="Choose this").click()
    expect(page.get_by_role("heading", name="Your first step")).to_be_visible()
    expect(page.locator("#moves")).to_contain_text("Options to Commit")
    person.looks("7-commit")


def _commits(person: Person, page: Page) -> None:
    page.get_by_label("What will you do first?").fill("Tonight at eight I write one page")
    page.get_by_text("In 24 hours", exact=True).click()
    page.get_by_role("group", name="How sure").get_by_text("8", exact=True).click()
    page.get_by_role("button", name="This is my first step").click()
    expect(page.locator(".first-step-words")).to_have_text("Tonight at eight I write one page")
    expect(page.locator("#say")).to_have_count(0)
    person.looks("8-finished")
    page.get_by_role("link", name="Summary").first.click()
    expect(page.get_by_role("main")).to_contain_text("Show it to the team first")
    person.looks("9-summary")


def _opens_with_it(house: Scene, person: Person, page: Page) -> None:
    house.plays()
    page.goto("/solve")
    expect(page.get_by_role("main")).to_contain_text("Tonight at eight I write one page")
    page.get_by_role("button", name="Start").click()
    page.wait_for_url(re.compile(r"/solve/[0-9a-f-]{36}"))
    expect(page.get_by_role("main")).to_contain_text("Tonight at eight I write one page")
    person.looks("a-next")
    page.goto("/solve/actions")
    page.locator("summary", has_text="Done").first.click()
    page.get_by_label("How did it go?").fill("He asked for the next one")
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    expect(page.get_by_role("main")).to_contain_text("He asked for the next one")
    person.looks("b-done")


def test_the_documented_eventsource_reads_a_whole_reply(tmp_path: Path, browser: Browser) -> None:
    """The function of the how-to, in a page of the server, through streams that end under its feet."""
    page = "docs/how-to/solve-a-problem.md"
    [example] = [block.text for block in docs.blocks(page, docs.pages()[page]) if block.file == "watch.js"]
    with scene(tmp_path, pace=Pace(age=0.2)) as house:
        gate, ann = Gate(), house.owner()
        house.plays(Step(("One ", "two ", "three ", "four"), gate=gate))
        person = Person(browser, house, ann, "eventsource")
        person.page.goto("/solve")
        id = ann.create()
        turn = ann.begins(id, "My boss ignores everything I propose")
        place = f"/sessions/{id}/turns/{turn}/stream"
        person.page.evaluate(
            f"(place) => {{ {example} window.told = []; window.end = watch(place, (t) => told.push(t)); }}", place
        )
        for text in ("One ", "One two ", "One two three "):
            with person.page.expect_request(f"**{place}"):  # it has come back
                gate.release()
            person.page.wait_for_function("(text) => told.at(-1) === text", arg=text)
        gate.open()
        end = person.page.evaluate("end")
        assert end["text"] == "One two three four" and (end["status"], end["next_step"]) == ("completed", "clarify")
        assert person.page.evaluate("told.length") == len(set(person.page.evaluate("told")))
        person.context.close()
        assert person.faults == []
