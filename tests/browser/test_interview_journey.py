"""An interview from the first click to a verified journal, in a real browser against the real program.

One journey with scripts, through a server that is killed while a reply is being written; one without scripts on a
phone. Nothing sleeps: every wait is for something that appears.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from sitting.local_model import install
from tests.support.pages import DESKTOP, PHONE, fit, follow, foreign
from tests.support.process import Program

ROOT = Path(__file__).parents[2]
MODEL = 90_000  # until the model that runs here has read its prompt
CRITERIA = ("Understanding", "Approach", "Use of AI", "Checking", "Communication")
SELECT = """([seq, start, length]) => {
  const text = document.querySelector(`.review-log [data-seq="${seq}"] .message-body`).firstChild;
  const range = document.createRange();
  range.setStart(text, start);
  range.setEnd(text, start + length);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}"""


class House:
    """The program on one port and one directory, through as many starts as it takes."""

    def __init__(self, data: Path, *, model: str = "scripted:slow") -> None:
        with closing(socket.socket()) as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = os.environ | {"SITTING_DATA": str(data), "SITTING_MODEL": model}
        self.program = self._started()
        self.link = self.program.wait_for(r"Sign in once with: (\S+)")[1]

    def _started(self) -> Program:
        program = Program([sys.executable, "-m", "sitting", "serve", "--port", str(self.port)], env=self.environment)
        program.wait_for("Sitting is ready")
        return program

    def killed(self) -> None:
        """The power is gone."""
        self.program.send(signal.SIGKILL)
        self.program.wait()

    def back(self) -> None:
        self.program = self._started()

    def verified(self, id: str) -> str:
        """What `sitting verify` says of a session once the server has stopped."""
        self.program.stop()
        command = [sys.executable, "-m", "sitting", "verify", id]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.program.stop()


@pytest.fixture
def local_house(tmp_path: Path) -> Iterator[House]:
    """With the real model that runs on this machine."""
    pytest.importorskip("xllamacpp", reason="no local runtime: install the extra `local`")
    cache = Path(os.environ.get("TEST_CACHE", ROOT / ".cache")) / "local-model"
    install(cache, print)
    (tmp_path / "models").symlink_to(cache / "models")
    made = House(tmp_path, model="local")
    yield made
    made.program.stop()


class Person:
    """Somebody with a browser of their own. Every page they come to fits its window and names its controls."""

    def __init__(self, browser: Browser, faults: list[str], **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: faults.append(f"script error: {error}"))
        self.page.on("request", lambda request: faults.extend(foreign(request.url)))

    def opens(self, address: str) -> Page:
        self.page.goto(address)
        fit(self.page)
        return self.page

    def types(self, **fields: str) -> None:
        """Fill in fields by their names."""
        for name, value in fields.items():
            self.page.locator(f"[name={name}]").fill(value)

    def presses(self, name: str, within: Locator | None = None) -> None:
        """Press a button that leads to a page; that page is there when this returns."""
        follow(self.page, (within or self.page.locator("main")).get_by_role("button", name=name, exact=True))
        fit(self.page)

    def signs_in(self, link: str) -> None:
        self.opens(link)
        self.page.get_by_role("main").get_by_role("button").click()
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()


@pytest.fixture
def faults() -> Iterator[list[str]]:
    found: list[str] = []
    yield found
    assert not found, found


@pytest.fixture
def people(browser: Browser, faults: list[str], request: pytest.FixtureRequest) -> Iterator[tuple[Person, Person]]:
    options = request.param
    interviewer = Person(browser, faults, color_scheme="light", **options)
    candidate = Person(browser, faults, color_scheme="dark", **options)
    yield interviewer, candidate
    interviewer.context.close()
    candidate.context.close()


def _plan(interviewer: Person, house: House, name: str) -> tuple[str, str]:
    """A planned interview by the form; its id and the candidate's link."""
    page = interviewer.opens(f"{house.url}/interviews/new")
    interviewer.types(candidate_name="  ", candidate_email="x", time_limit_minutes="4", token_budget="999")
    interviewer.presses("Create Session")
    said = page.get_by_role("alert").get_by_role("listitem")
    expect(said).to_have_text(
        [
            "❌ Candidate name is required",
            "❌ Invalid email address",
            "❌ Time limit must be at least 5 minutes",
            "❌ Token budget must be at least 1000",
        ]
    )
    expect(page.locator("[name=candidate_email]")).to_have_value("x")
    interviewer.types(
        candidate_name=name, candidate_email="ada@example.com", time_limit_minutes="30", token_budget="20000"
    )
    interviewer.types(challenge_text="Talk while you think. ![x](http://evil.example/x.png)")
    page.get_by_text("More settings").click()
    page.locator("[name=integrity_marks]").check()
    page.locator("[name=challenge_id]").select_option(label="Meeting room clash (easy)")
    interviewer.presses("Create Session")
    expect(page.get_by_text("✅ Session created successfully!")).to_be_visible()
    return page.get_by_label("Session ID").input_value(), page.get_by_label("Link for the candidate").input_value()


def _joins(candidate: Person, link: str) -> None:
    page = candidate.opens(link)
    expect(page.get_by_role("heading", name="Join an interview")).to_be_visible()
    expect(page.get_by_text("Ada")).to_have_count(0)
    candidate.presses("Join")
    expect(page.get_by_role("heading", name="You have joined")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()  # with scripts the page stays, and changes
    expect(page.get_by_role("heading", name="Meeting room clash")).to_be_visible()
    fit(candidate.page)


def _does(page: Page, form: str, **fields: str) -> None:
    """A button that asks first: open it, fill it in, press it."""
    page.locator(f"#{form} > summary").click()
    dialog = page.get_by_role("dialog")
    for name, value in fields.items():
        dialog.locator(f"[name={name}]").fill(value)
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("people", [{"viewport": DESKTOP}], indirect=True, ids=["desktop"])
def test_an_interview_survives_its_server(house: House, people: tuple[Person, Person]) -> None:
    interviewer, candidate = people
    interviewer.signs_in(house.link)
    id, link = _plan(interviewer, house, "Ada <i>Example</i>")
    _joins(candidate, link)
    watched, room = interviewer.page, candidate.page
    expect(watched.locator("#head .badge")).to_have_text("Active")
    expect(watched.locator("#presence")).to_contain_text("Online")

    _first_question(watched, room)
    _limits_move(watched, room)
    _killed_while_writing(house, watched, room)

    _does(watched, "end", reason="Thank you")
    expect(room.get_by_role("heading", name="Interview finished")).to_be_visible()
    fit(candidate.page)
    with room.expect_download() as copy:
        room.get_by_role("link", name="JSON, can be verified").click()
    file = Path(copy.value.path())
    command = [sys.executable, "-m", "sitting", "verify", str(file)]
    assert subprocess.run(command, env=house.environment, capture_output=True, timeout=60).returncode == 0

    _judged(interviewer, house, id)
    assert re.search(r"(?i)ok|verified|whole", house.verified(id))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("people", [{"viewport": DESKTOP}], indirect=True, ids=["desktop"])
def test_an_interview_with_the_local_model(local_house: House, people: tuple[Person, Person]) -> None:
    interviewer, candidate = people
    interviewer.signs_in(local_house.link)
    id, link = _plan(interviewer, local_house, "Ada Example")
    _joins(candidate, link)
    watched, room = interviewer.page, candidate.page
    question = "Explain at length how sorting the bookings by their start helps to find the ones that clash."
    room.get_by_label("Your message").fill(question)
    room.get_by_label("Your message").press("Enter")
    for page in (watched, room):
        expect(page.locator("#talk [data-turn]")).to_have_text(re.compile(r"\w+ \w+"), timeout=MODEL)
    local_house.killed()
    expect(room.locator("[data-follow-status]")).to_contain_text("Reconnecting")
    local_house.back()
    expect(room.locator("#talk .message-mark")).to_have_text("Incomplete")
    room.get_by_role("button", name="Try again").click()
    for page in (watched, room):
        expect(page.locator("#talk [data-turn]")).to_have_text(re.compile(r"\w+ \w+"), timeout=MODEL)
    room.get_by_role("button", name="Stop the reply").click()
    expect(room.locator("#talk [data-turn]")).to_have_count(0)
    _does(watched, "end", reason="Thank you")
    expect(room.get_by_role("heading", name="Interview finished")).to_be_visible()
    assert re.search(r"(?i)ok|verified|whole", local_house.verified(id))


def _first_question(watched: Page, room: Page) -> None:
    with room.expect_response("**/marks") as noted:
        room.get_by_label("Your message").dispatch_event("paste")
    assert noted.value.status == 204
    room.get_by_label("Your message").fill("How would **you** sort the bookings?")
    room.get_by_label("Your message").press("Enter")
    expect(room.get_by_label("Your message")).to_have_value("")
    writing = watched.locator("#talk [data-turn]")
    expect(writing).not_to_be_empty()
    for page in (watched, room):
        expect(page.locator("#talk .message-model .prose")).to_have_count(1)
        expect(page.locator("#talk .message-person .message-body")).to_have_text("How would **you** sort the bookings?")
    expect(watched.locator("#talk .message-model .message-meta")).to_contain_text("first word after")
    expect(room.locator("#limits")).to_contain_text("more message")


def _limits_move(watched: Page, room: Page) -> None:
    """What the interviewer changes appears without reload, and what the candidate has typed stays."""
    room.get_by_label("Your message").fill("half a thought")
    _does(watched, "extend-time", reason="The network was slow")
    expect(room.locator("#limits .countdown-figure")).to_have_text(re.compile(r"^(40|39):"))
    expect(room.get_by_label("Your message")).to_have_value("half a thought")
    _does(watched, "pause", reason="A short break")
    expect(room.get_by_role("heading", name="Interview paused")).to_be_visible()
    expect(room.locator("#limits .countdown")).to_contain_text("stopped")
    watched.get_by_role("button", name="Resume").click()
    expect(room.get_by_label("Your message")).to_have_value("half a thought")
    watched.get_by_label("New note").fill("Asks before coding.")
    watched.get_by_role("button", name="Add note").click()
    expect(watched.locator(".note-list li")).to_have_count(1)
    expect(watched.get_by_label("New note")).to_have_value("")


def _killed_while_writing(house: House, watched: Page, room: Page) -> None:
    room.get_by_label("Your message").fill("And what does it cost in memory?")
    room.get_by_role("button", name="Send").click()
    expect(room.locator("#talk [data-turn]")).not_to_be_empty()
    house.killed()
    expect(room.locator("[data-follow-status]")).to_contain_text("Reconnecting")
    room.get_by_label("Your message").fill("typed while nobody listened")
    house.back()
    expect(room.locator("#talk .message-mark")).to_have_text("Incomplete")
    expect(room.get_by_label("Your message")).to_have_value("typed while nobody listened")
    expect(watched.locator("#talk .message-mark")).to_have_text("Incomplete")
    room.get_by_role("button", name="Try again").click()
    for page in (watched, room):
        expect(page.locator("[data-follow-status]")).to_have_text("Live")
        expect(page.locator("#talk .message-model .prose")).to_have_count(3)
        expect(page.locator("#talk .message-person")).to_have_count(2)
    expect(room.get_by_role("button", name="Try again")).to_have_count(0)


def _judged(interviewer: Person, house: House, id: str) -> None:
    """Replay, and a scorecard that saves itself from selected words."""
    page = interviewer.opens(f"{house.url}/interviews/{id}/review")
    expect(page.locator("#talk .message")).to_have_count(5)
    expect(page.locator(".marks")).to_contain_text("Integrity")
    head = int(page.locator("#at").get_attribute("max") or 0)
    page.locator("#at").fill("5")
    expect(page.locator("#replay")).to_contain_text(f"Event 5 of {head}")
    expect(page.locator("#talk .message")).to_have_count(1)
    page.get_by_role("link", name="Next").click()
    expect(page.locator("#talk .message")).to_have_count(2)
    page.get_by_role("link", name="Last", exact=True).click()
    expect(page.locator("#talk .message")).to_have_count(5)
    seq = page.locator("#talk .message-person").first.get_attribute("data-seq")
    page.evaluate(SELECT, [seq, 10, 7])
    bar = page.get_by_role("group", name="Cite the selected words")
    bar.get_by_role("button", name="Approach").click()
    card = page.locator(".criterion", has=page.get_by_role("heading", name="Approach"))
    expect(card.get_by_label("Exact words")).to_have_value("**you**")
    card.get_by_role("radio", name="4").check()
    expect(card).to_contain_text("4 of 5, 1 passage")
    page.reload()
    expect(card.locator(".quote")).to_contain_text("**you**")
    expect(card.get_by_role("radio", name="4")).to_be_checked()
    expect(page.locator("#scorecard .badge").first).to_have_text("Draft")


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "people", [{"viewport": PHONE, "java_script_enabled": False}], indirect=True, ids=["phone, no scripts"]
)
def test_everything_works_without_scripts(house: House, people: tuple[Person, Person]) -> None:
    interviewer, candidate = people
    interviewer.signs_in(house.link)
    id, link = _plan(interviewer, house, "Ada Example")
    monitor = f"{house.url}/interviews/{id}"
    _joins(candidate, link)
    _plain_talk(candidate, link)
    _plain_limits(interviewer, candidate, monitor, link)
    page = candidate.opens(link)
    page.locator("#leave > summary").click()
    candidate.presses("Leave the interview")
    expect(page.get_by_role("heading", name="Goodbye")).to_be_visible()
    for place, heading in (("", "Interview finished"), ("/ledger", "Why these numbers"), ("/export?format=print", "")):
        expect(candidate.opens(link + place).get_by_role("heading", level=1)).to_contain_text(heading)
    _plain_scores(interviewer, monitor)
    _, other = _plan(interviewer, house, "Ben Example")
    _compared_and_erased(interviewer, candidate, house, other)
    assert re.search(r"(?i)ok|verified|whole", house.verified(id))


def _plain_talk(candidate: Person, link: str) -> None:
    page = candidate.page
    candidate.presses("Send")
    expect(page.get_by_role("alert")).to_contain_text("Message cannot be empty.")
    page.get_by_label("Your message").fill("x" * 5001)
    candidate.presses("Send")
    expect(page.get_by_role("alert")).to_contain_text("Message too long. Maximum 5000 characters.")
    expect(page.get_by_label("Your message")).to_have_value("x" * 5001)
    page.get_by_label("Your message").fill("Where would you begin?\nI know sorting.")
    candidate.presses("Send")
    stop = page.get_by_role("button", name="Stop the reply")
    turn = page.locator("form", has=stop).get_attribute("action")
    assert turn is not None
    candidate.context.request.get(
        link + turn[turn.index("/turns") :].replace("cancel", "stream")
    )  # ends with the reply
    page = candidate.opens(link)
    expect(page.locator("#talk .message-model .prose")).to_have_count(1)
    expect(page.locator("#talk .message-person .message-body")).to_have_text("Where would you begin?\nI know sorting.")


def _plain_limits(interviewer: Person, candidate: Person, monitor: str, link: str) -> None:
    page = interviewer.opens(monitor)
    expect(page.locator("#talk .message")).to_have_count(2)
    page.locator("#extend-tokens > summary").click()
    page.locator("#extend-tokens [name=reason]").fill("It goes well")
    interviewer.presses("Extend tokens", page.locator("#extend-tokens"))
    expect(page.locator("#limits")).to_contain_text("of 30,000")
    page.locator("#pause > summary").click()
    interviewer.presses("Pause", page.locator("#pause"))
    expect(candidate.opens(link).get_by_role("heading", name="Interview paused")).to_be_visible()
    interviewer.presses("Resume")
    for text in ("First", "Second"):
        page.get_by_label("New note").fill(text)
        interviewer.presses("Add note")
    page.locator(".note-list summary").first.click()
    page.locator(".note-list textarea").first.fill("First, changed")
    interviewer.presses("Save note")
    expect(page.locator(".note-list li").first).to_contain_text("First, changed")
    interviewer.presses("Remove note 2")
    expect(page.locator(".note-list li")).to_have_count(1)
    page.locator("#update > summary").click()
    page.locator("#update [name=candidate_name]").fill("Ada Renamed")
    interviewer.presses("Change", page.locator("#update"))
    expect(page.get_by_role("heading", level=1)).to_have_text("Ada Renamed")


def _plain_scores(interviewer: Person, monitor: str) -> None:
    page = interviewer.opens(f"{monitor}/review")
    follow(page, page.get_by_role("link", name="Previous"))
    expect(page.locator("#replay")).to_contain_text("Event")
    interviewer.opens(f"{monitor}/review")
    seq = page.locator("#talk .message-person").get_attribute("data-seq") or ""
    for number, criterion in enumerate(CRITERIA, 1):
        form = page.locator(f"#c{number}-form")
        form.get_by_role("radio", name=str(min(number, 5))).check()
        form.get_by_label("Comment").fill(f"About {criterion}")
        if number == 1:
            interviewer.presses(f"Save {criterion}", form)
            expect(page.get_by_role("alert")).to_contain_text("Score 'understanding' needs at least one citation.")
            expect(form.get_by_label("Comment")).to_have_value(f"About {criterion}")
        else:
            form.locator("summary").click()
        form.get_by_label("Message number").fill(seq)
        form.get_by_label("Exact words").fill("I know sorting.")
        interviewer.presses(f"Save {criterion}", form)
        expect(page.locator(f"#c{number}")).to_contain_text("of 5, 1 passage")
    interviewer.presses("Let the model find passages for Approach")
    page.locator("#submit > summary").click()
    interviewer.presses("Submit scorecard", page.locator("#submit"))
    expect(page.locator("#scorecard .badge").first).to_have_text("Submitted")


def _compared_and_erased(interviewer: Person, candidate: Person, house: House, link: str) -> None:
    page = interviewer.opens(f"{house.url}/interviews")
    for box in page.get_by_role("checkbox").all():
        box.check()
    interviewer.presses("Compare")
    expect(page.get_by_role("columnheader")).to_have_text(["Figure", "Ben Example", "Ada Renamed"])
    follow(page, interviewer.opens(f"{house.url}/interviews").get_by_role("link", name="Ben Example"))
    page.locator("#rotate > summary").click()
    interviewer.presses("New link", page.locator("#rotate"))
    expect(candidate.opens(link).get_by_role("heading", level=1)).to_have_text("This link is not valid.")
    page.locator("#delete > summary").click()
    interviewer.presses("Delete", page.locator("#delete"))
    expect(page.get_by_role("link", name="Ada Renamed")).to_be_visible()
    expect(page.get_by_role("link", name="Ben Example")).to_have_count(0)
