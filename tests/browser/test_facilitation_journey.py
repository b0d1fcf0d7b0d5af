"""A team meeting in real browsers: a facilitator at a desk, three members on phones, and the big screen.

One journey from a first sign-in to a verified export. Nothing sleeps: every wait is for something that appears. With
`SHOTS=folder` it leaves pictures of what everybody saw.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from sitting import bundle
from sitting.clock import SystemClock
from tests.apps.facilitation.room import House, answers, opened, outcome
from tests.support.axe import violations
from tests.support.pages import DESKTOP, PHONE, foreign, overflow

SCREEN: ViewportSize = {"width": 1920, "height": 1080}
SECRETS = ("Numbat: we agree on the goal", "Wombat: handover takes days", "Quokka: nobody decides")


class Person:
    """Somebody with a browser of their own. Every page they come to is looked over."""

    def __init__(self, browser: Browser, faults: list[str], name: str, **options: Any) -> None:
        self.name = name
        self.context: BrowserContext = browser.new_context(**options)
        self.faults = faults
        self.page = self.opened()

    def opened(self) -> Page:
        """One more page of this browser."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(f"{self.name}: {error}"))
        page.on("request", lambda request: self.faults.extend(foreign(request.url)))
        return page

    def goes(self, address: str) -> None:
        self.page.goto(address)
        self.looks("")

    def looks(self, shot: str) -> None:
        looked(self.page, f"{shot}-{self.name}" if shot else "")

    def presses(self, name: str) -> None:
        self.page.locator("main").get_by_role("button", name=name, exact=True).click()


def looked(page: Page, shot: str) -> None:
    """It fits its window; where a picture is worth taking, there is nothing to find, and it is taken if wanted."""
    if shot and (folder := os.environ.get("SHOTS")):
        page.screenshot(path=Path(folder) / f"{shot}.png", full_page=True)
    assert overflow(page) <= 0, f"{page.url} is wider than its window"
    assert not shot or violations(page) == [], page.url


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened(tmp_path, clock=SystemClock()) as made:
        made.plays(*answers(outcome()))
        yield made


@pytest.fixture
def people(browser: Browser) -> Iterator[list[Person]]:
    faults: list[str] = []
    phone: dict[str, Any] = {"viewport": PHONE, "has_touch": True, "is_mobile": True}
    made = [
        Person(browser, faults, "facilitator", viewport=DESKTOP, color_scheme="light"),
        Person(browser, faults, "alice", **phone, color_scheme="light"),
        Person(browser, faults, "bob", **phone, color_scheme="dark"),
        Person(browser, faults, "cy", **phone, reduced_motion="reduce"),
    ]
    yield made
    for person in made:
        person.context.close()
    assert not faults, faults


@pytest.mark.timeout(120)
def test_a_team_meets(house: House, people: list[Person]) -> None:
    fay, *phones = people
    alice, bob, cy = phones
    _signs_in(fay, house)
    team, code = _makes_team(fay, house)
    session = _plans(fay, team, house)
    screen = fay.opened()
    screen.set_viewport_size(SCREEN)
    screen.goto(f"{session}/meeting")
    expect(screen.get_by_text("Nothing is open from earlier months")).to_be_visible()
    looked(screen, "1-draft-screen")

    fay.presses("Start Capturing")
    expect(screen.locator(".screen-code")).to_have_text(code)
    expect(screen.get_by_alt_text(re.compile("QR code"))).to_be_visible()
    _joins(phones, house, code)
    expect(screen.locator("main")).to_contain_text("0 of 3")
    looked(screen, "2-capturing-screen")

    _alice_answers(alice, fay, screen)
    _bob_edits(bob, screen)
    _cy_is_late(cy, fay, screen)
    _closes(fay, screen, phones)
    _reveals(fay, screen, phones)
    _agrees(fay, session, phones, house)


def _signs_in(fay: Person, house: House) -> None:
    access = house.installation.access
    link = access.make_link(access.create_account("Fay").result()).result()
    fay.goes(f"{house.served.url}/sign-in/link/{link}")
    fay.page.get_by_role("main").get_by_role("button").click()
    expect(fay.page.get_by_role("button", name="Sign out")).to_be_visible()


def _makes_team(fay: Person, house: House) -> tuple[str, str]:
    """A team by the forms; its address, and its code."""
    page = fay.page
    fay.goes(f"{house.served.url}/admin/teams/create")
    for name, value in (("company_name", "Acme"), ("team_name", "Crew"), ("strategy_statement", "Win the north.")):
        page.locator(f"[name={name}]").fill(value)
    fay.looks("0-team")
    fay.presses("Create team")
    page.wait_for_url(re.compile(r"/admin/teams/[0-9a-f-]{36}"))
    team = page.url.partition("?")[0].removesuffix("/members")
    page.goto(f"{team}/members")
    for name in ("Alice", "Bob", "Cy"):
        page.locator("form[action$='/members'] [name=name]").fill(name)
        fay.presses("Add member")
        expect(page.locator("#members-title")).to_contain_text(str(("Alice", "Bob", "Cy").index(name) + 1))
    fay.looks("0-members")
    page.goto(team)
    code = page.locator(".join-code").inner_text().strip()
    assert re.fullmatch("[2-9A-HJ-NP-Z]{6}", code)
    fay.looks("")
    return team, code


def _plans(fay: Person, team: str, house: House) -> str:
    page = fay.page
    fay.goes(team.replace("/admin/teams/", "/admin/sessions/team/"))
    page.get_by_role("link", name="New session").first.click()
    page.locator("[name=month]").fill("2026-01")
    fay.presses("Create session")
    expect(page.get_by_role("button", name="Start Capturing", exact=True)).to_be_visible()
    fay.looks("1-draft")
    return page.url.partition("?")[0]


def _joins(phones: list[Person], house: House, code: str) -> None:
    """One by the QR code's address, the others by the code; a name that is taken cannot be taken again."""
    for number, person in enumerate(phones):
        page = person.page
        if number == 0:
            person.goes(f"{house.served.url}/join/{code}")
        else:
            person.goes(f"{house.served.url}/join")
            page.get_by_label("Team code").fill(f" {code.lower()}")
            page.locator("main button[type=submit]").click()
        expect(page.get_by_role("heading", name="Who are you?")).to_be_visible()
        if number:
            expect(page.get_by_role("button", name=re.compile("Alice"))).to_be_disabled()
        person.looks("2-names")
        page.get_by_role("button", name=re.compile(person.name, re.IGNORECASE)).click()
        expect(page.get_by_text("Win the north.")).to_be_visible()
        person.looks("3-respond")


def _alice_answers(alice: Person, fay: Person, screen: Page) -> None:
    """What she types survives a reload; what she sends shows on the panel and the screen, and only that she has."""
    page = alice.page
    page.locator(".deck-choice", has_text="Compass").click()
    page.locator("[name=bullet]").first.fill(SECRETS[0])
    page.reload()
    expect(page.locator("[name=bullet]").first).to_have_value(SECRETS[0])
    expect(page.get_by_label("Compass")).to_be_checked()
    alice.presses("Submit")
    expect(page.get_by_text("Your response is stored")).to_be_visible()
    expect(page.locator("main")).to_contain_text(SECRETS[0])
    alice.looks("4-waiting")
    expect(screen.locator(".screen-count")).to_have_text("1 of 3")
    expect(fay.page.locator("main")).to_contain_text("1 of 3")
    assert not any(SECRETS[0] in each.content() for each in (screen, fay.page))
    fay.looks("4-capturing")


def _bob_edits(bob: Person, screen: Page) -> None:
    page = bob.page
    page.locator("[name=bullet]").first.fill("A first thought")
    bob.presses("Submit")
    page.get_by_role("link", name="Edit").click()
    expect(page.locator("[name=bullet]").first).to_have_value("A first thought")
    page.locator("[name=bullet]").first.fill(SECRETS[1])
    bob.presses("Send again")
    expect(page.locator("main")).to_contain_text(SECRETS[1])
    expect(screen.locator(".screen-count")).to_have_text("2 of 3")
    bob.looks("4-edited")


def _cy_is_late(cy: Person, fay: Person, screen: Page) -> None:
    """The session closes while he types: he is told, and keeps his words until it is opened again."""
    page = cy.page
    page.locator("[name=bullet]").first.fill(SECRETS[2])
    _confirms(fay.page, "Close Capture", says="Cy")
    expect(page.get_by_text("Session Closed")).to_be_visible()
    expect(page.locator("[name=bullet]").first).to_have_value(SECRETS[2])
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()
    expect(page.get_by_text("Capture is closed, so nothing can be sent any more.")).to_be_visible()
    cy.looks("5-late")
    expect(screen.locator("main")).to_contain_text("Digest")
    _confirms(fay.page, "Reopen")
    expect(screen.locator(".screen-code")).to_be_visible()
    expect(page.get_by_role("button", name="Submit")).to_be_enabled()
    expect(page.locator("[name=bullet]").first).to_have_value(SECRETS[2])
    cy.presses("Submit")
    expect(page.get_by_text("Your response is stored")).to_be_visible()
    expect(screen.locator(".screen-count")).to_have_text("3 of 3")


def _closes(fay: Person, screen: Page, phones: list[Person]) -> None:
    """The facilitator reads ahead; nobody else does."""
    _confirms(fay.page, "Close Capture")
    for text in (*SECRETS, "Alignment"):
        expect(fay.page.locator("main")).to_contain_text(text)
    fay.looks("6-closed")
    expect(screen.locator("main")).to_contain_text("3 sealed")
    looked(screen, "6-closed-screen")
    assert not any(secret in screen.content() for secret in SECRETS)
    for person, own in zip(phones, SECRETS, strict=True):
        expect(person.page.locator("main")).to_contain_text("Capture is closed")
        assert [secret for secret in SECRETS if secret in person.page.content()] == [own]
    phones[0].looks("6-closed")


def _reveals(fay: Person, screen: Page, phones: list[Person]) -> None:
    fay.page.get_by_role("button", name="Reveal Synthesis", exact=True).click()
    for person in phones:
        expect(person.page).to_have_url(re.compile("/synthesis$"))
        for text in (*SECRETS, "The team agrees on the goal."):
            expect(person.page.locator("main")).to_contain_text(text)
        person.looks("7-result")
    expect(screen.locator("main")).to_contain_text("The gap:")
    looked(screen, "7-level-1")
    for key, text in (("3", SECRETS[0]), ("2", "This is statement 1."), ("1", "The gap:"), ("3", SECRETS[2])):
        screen.keyboard.press(key)
        expect(screen.locator("main")).to_contain_text(text)
        looked(screen, f"7-level-{key}")
    expect(screen.locator("main")).to_contain_text("3 sealed, 3 shown, digest matches")


def _agrees(fay: Person, session: str, phones: list[Person], house: House) -> None:
    """An action that the next session begins with, and an export that needs nobody's word."""
    page = fay.page
    page.locator("[name=recalibration_action]").fill("Write down who decides.")
    page.locator("form", has=page.locator("[name=recalibration_action]")).locator("button[type=submit]").click()
    expect(phones[0].page.locator("main")).to_contain_text("Write down who decides.")
    page.locator("#new-action > summary").click()
    form = page.locator("form[action$='/actions']").last
    form.locator("[name=text]").fill("Name an owner for each handover")
    form.locator("button[type=submit]").click()
    expect(page.locator("main")).to_contain_text("Name an owner for each handover")
    fay.looks("8-revealed")
    export = fay.context.request.get(f"{session}/export")
    assert bundle.verify_file(export.body()).ok
    fay.goes(f"{session}/export/print")
    fay.looks("8-print")


def _confirms(page: Page, name: str, *, says: str = "") -> None:
    """A button that asks first: it opens, says what it would do, and is pressed again."""
    page.locator("summary", has_text=name).click()
    dialog = page.get_by_role("dialog")
    if says:
        expect(dialog).to_contain_text(says)
    dialog.locator("button[type=submit]").click()
    expect(dialog).to_have_count(0)
