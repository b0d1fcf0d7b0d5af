"""What the pages of a team meeting do by themselves in a browser: drafts, waiting, closing, keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, expect

from tests.apps.facilitation.room import Device, House, opened


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened(tmp_path) as made:
        yield made


@pytest.mark.timeout(120)
def test_what_was_typed_stays_on_the_device_until_it_was_sent(house: House, browser: Browser) -> None:
    meeting = house.team().capturing()
    phone = meeting.device(1)
    context = as_phone(browser, phone)
    try:
        page = context.new_page()
        respond = f"{house.served.url}{phone.place}/respond"
        page.goto(respond)
        page.get_by_label("Compass").check(force=True)
        page.get_by_label("Point 1").fill("A thought")
        page.reload()
        expect(page.get_by_label("Point 1")).to_have_value("A thought")
        expect(page.get_by_label("Compass")).to_be_checked()
        expect(page.locator("#draft-note")).to_contain_text("It is not sent yet")
        page.get_by_role("button", name="Discard it").click()
        page.reload()
        expect(page.get_by_label("Point 1")).to_have_value("")
        page.get_by_label("Point 1").fill("Another")
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("#room")).to_contain_text("Your response is stored")
        page.goto(respond)
        expect(page.get_by_label("Point 1")).to_have_value("Another")
        expect(page.locator("#draft-note")).to_be_hidden()
        page.get_by_label("Point 2").fill("Too late")
        meeting.does("close")
        expect(page.locator("#capture")).to_contain_text("Session Closed")
        expect(page.get_by_role("button", name="Send again")).to_be_disabled()
        expect(page.locator("#send-why")).to_be_visible()
        expect(page.get_by_label("Point 2")).to_have_value("Too late")
        page.goto(respond)
        expect(page.get_by_label("Your points, to copy")).to_have_value("Another\nToo late")
        meeting.does("reopen")
        expect(page.get_by_label("Point 2")).to_have_value("Too late")
        meeting.does("close")
        expect(page.locator("#capture")).to_contain_text("Session Closed")
        page.get_by_role("link", name="See how it goes on").click()
        expect(page.locator("#room")).to_contain_text("Capture is closed")
        expect(page.get_by_label("Your points, to copy")).to_have_value("Another\nToo late")
        meeting.does("reveal")
        page.wait_for_url("**/synthesis")
        meeting.does("reopen")
        page.wait_for_url("**/waiting")
    finally:
        context.close()


@pytest.mark.timeout(120)
def test_what_is_typed_after_a_refusal_stays_too(house: House, browser: Browser) -> None:
    meeting = house.team(settings={"card_required": True}).capturing()
    phone = meeting.device(1)
    context = as_phone(browser, phone)
    try:
        page = context.new_page()
        page.goto(f"{house.served.url}{phone.place}/respond")
        page.get_by_label("Point 1").fill("Before")
        page.locator("form[data-response]").evaluate("form => { form.noValidate = true; }")
        page.get_by_role("button", name="Submit").click()
        expect(page.locator("main")).to_contain_text("Image selection required")
        expect(page.get_by_label("Point 1")).to_have_value("Before")
        expect(page.locator("#draft-note")).to_be_hidden()
        page.get_by_label("Point 2").fill("After")
        page.reload()
        expect(page.get_by_label("Point 2")).to_have_value("After")
        page.goto(f"{house.served.url}{phone.place}/respond")
        expect(page.get_by_label("Point 1")).to_have_value("Before")
        expect(page.get_by_label("Point 2")).to_have_value("After")
    finally:
        context.close()


@pytest.mark.timeout(120)
def test_a_visitor_who_is_early_goes_on_when_it_starts(house: House, browser: Browser) -> None:
    team = house.team()
    context = browser.new_context()
    try:
        page = context.new_page()
        page.goto(f"{house.served.url}/join/{team.code}")
        expect(page.locator("[data-again]")).to_be_visible()
        team.capturing()
        page.wait_for_url("**/name", timeout=15_000)
    finally:
        context.close()


@pytest.mark.timeout(120)
def test_the_keys_of_the_big_screen_are_its_buttons(house: House, browser: Browser) -> None:
    meeting = house.team().capturing()
    meeting.filled("first", "second", "third")
    meeting.to("revealed")
    headers = {"Authorization": str(meeting.by.headers["Authorization"])}
    context = browser.new_context(extra_http_headers=headers)
    try:
        page = context.new_page()
        page.goto(f"{house.served.url}{meeting.url}/meeting")
        for key, heading in (("2", "Statements"), ("3", "Responses"), ("1", "Themes and gap")):
            page.keyboard.press(key)
            expect(page.locator("#screen section h2:visible").first).to_have_text(heading)
            expect(page.locator("a[aria-current]")).to_contain_text(heading)
            assert page.url.endswith(f"level={key}")
        page.get_by_role("link", name="Responses").click()
        expect(page.locator("#answers-title")).to_be_visible()
        page.reload()
        expect(page.locator("#answers-title")).to_be_visible()
    finally:
        context.close()


def as_phone(browser: Browser, device: Device, **options: Any) -> BrowserContext:
    """A browser that holds the device's claim."""
    context = browser.new_context(viewport={"width": 375, "height": 800}, **options)
    cookies = [
        {"name": f"join-{device.meeting.id}", "value": device.cookie, "url": device.meeting.team.house.served.url}
    ]
    context.add_cookies(cookies)  # type: ignore[arg-type]
    return context
