"""Acceptance statements 31 and 32 of team meetings, in a real browser: pages follow, and need no scripts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.apps.facilitation.room import (
    STREAM,
    Device,
    House,
    Meeting,
    answers,
    body,
    frames,
    opened,
    outcome,
    sent,
)
from tests.support.axe import violations
from tests.support.pages import PHONE, follow, overflow

WATCH = """() => {
  const main = document.querySelector('main'), before = main.innerText, found = document.documentElement.dataset;
  delete found.changedAt;
  new MutationObserver(() => {
    if (!found.changedAt && main.innerText !== before) found.changedAt = Date.now();
  }).observe(main, { subtree: true, childList: true, characterData: true });
}"""
SAME = """(text) => {
  const words = (each) => each.split(/\\s+/).filter(Boolean).sort().join(' ');
  return words(document.querySelector('main').innerText) === words(text);
}"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("pages")) as made:
        yield made


def as_program(browser: Browser, client: httpx.Client, **options: Any) -> BrowserContext:
    """A browser with a facilitator's token."""
    return browser.new_context(**options, extra_http_headers={"Authorization": client.headers["Authorization"]})


def as_phone(browser: Browser, device: Device, **options: Any) -> BrowserContext:
    """A browser with a phone's cookies."""
    made = browser.new_context(**options)
    url = str(device.client.base_url)
    made.add_cookies([{"name": name, "value": value, "url": url} for name, value in device.client.cookies.items()])
    return made


def test_31_pages_follow_the_submits(house: House, browser: Browser) -> None:
    names = [f"Person {number}" for number in range(1, 6)]
    meeting = house.team(*names).capturing()
    waiting = meeting.device(1, "Early")
    ours, theirs = as_program(browser, meeting.by), as_phone(browser, waiting)
    try:
        pages = [ours.new_page(), ours.new_page(), theirs.new_page()]
        for page, path in zip(pages, (meeting.url, f"{meeting.url}/meeting", f"{waiting.place}/waiting"), strict=True):
            with page.expect_response(lambda answer: "/events" in answer.url):
                page.goto(house.served.url + path)
        took: list[list[float]] = [[] for _ in pages]
        phones = [meeting.device(member) for member in range(2, 6)]
        for phone in phones:
            for page in pages:
                page.evaluate(WATCH)
            sent(phone.submits("A point"))
            answered = time.time() * 1000
            for page, times in zip(pages, took, strict=True):
                page.wait_for_selector("html[data-changed-at]")
                times.append(int(page.get_attribute("html", "data-changed-at") or 0) - answered)
        # A busy machine may stall once; a page that asks again now and then is never this fast on its best try.
        assert all(min(times) < 1000 for times in took), took
        for page in pages:
            loaded = page.context.new_page()
            loaded.goto(page.url)
            expect(loaded.locator("[data-follow-status]")).to_have_text("Live")
            page.wait_for_function(SAME, arg=loaded.inner_text("main"))  # a reload shows nothing else
    finally:
        ours.close()
        theirs.close()


def test_31_a_follower_resumes_where_it_was_cut(house: House) -> None:
    meeting = house.team().capturing()
    phones = meeting.filled("One", "Two", "Three")
    for phone in phones:
        sent(phone.submits("Again"))
    meeting.does("timer", seconds="600")
    meeting.does("close")
    meeting.does("reveal")
    head = int(meeting.head.split(".")[1])
    for client in (meeting.by, phones[0].client):
        whole = seen_from(client, meeting, 0, head)
        assert whole == sorted(set(whole), key=whole.index) and whole[-1][0] == head
        for cut in range(head):
            assert seen_from(client, meeting, cut, head) == [each for each in whole if each[0] > cut], cut
            page = body(
                client.get(
                    f"/v1/sessions/{meeting.id}/events", params={"limit": 500}, headers={"Last-Event-ID": f"1.{cut}"}
                )
            )
            assert [each["seq"] for each in page["events"]] == [seq for seq, type in whole if seq > cut and type]


def seen_from(client: httpx.Client, meeting: Meeting, cut: int, head: int) -> list[tuple[int, str]]:
    """What a stream that begins after `cut` tells, as (seq, type); without a type where it tells nothing."""
    headers = {**STREAM, "Last-Event-ID": f"1.{cut}"}
    seen: list[tuple[int, str]] = []
    with client.stream("GET", f"/v1/sessions/{meeting.id}/events", headers=headers) as response:
        for frame in frames(response.iter_lines()):
            if "retry" in frame or "event" in frame:
                continue
            seq = int(frame["id"].split(".")[1])
            assert "data" not in frame or frame["data"]["seq"] == seq
            seen.append((seq, frame["data"]["type"] if "data" in frame else ""))
            if seq == head:
                return seen
    raise AssertionError(f"the stream ended after {seen}")


def test_32_everything_works_without_scripts_on_a_phone(house: House, browser: Browser) -> None:
    """One member and one facilitator, by forms and links alone."""
    house.silent()
    team = house.team("Alice", "Bob")
    options: dict[str, Any] = {"viewport": PHONE, "java_script_enabled": False}
    ours, theirs = as_program(browser, team.by, **options), browser.new_context(**options)
    foreign: list[str] = []
    try:
        panel, phone = ours.new_page(), theirs.new_page()
        for page in (panel, phone):
            page.on("request", lambda request: foreign.append(request.url))
        panel.goto(f"{house.served.url}{team.sessions}/create")
        panel.locator("[name=month]").fill("2026-01")
        presses(panel, panel.locator("main form button[type=submit]"))
        presses(panel, panel.get_by_role("button", name="Start Capturing"))

        phone.goto(f"{house.served.url}/join")
        phone.get_by_label("Team code").fill(team.code.lower())
        presses(phone, phone.locator("main button[type=submit]"))
        presses(phone, phone.get_by_role("button", name="Alice"))
        phone.get_by_label("Compass").check(force=True)
        phone.locator("[name=bullet]").first.fill("Without scripts")
        presses(phone, phone.get_by_role("button", name="Submit"))
        presses(phone, phone.get_by_role("link", name="Edit"))
        expect(phone.locator("[name=bullet]").first).to_have_value("Without scripts")
        phone.locator("[name=bullet]").first.fill("Without any scripts")
        presses(phone, phone.locator("form[action$=respond] button[type=submit]"))
        expect(phone.locator("main")).to_contain_text("Without any scripts")

        for button in ("Close Capture", "Reveal Synthesis"):
            panel.reload()
            confirmed(panel, button)
        phone.reload()
        presses(phone, phone.get_by_role("link", name="See the result"))
        expect(phone.locator("main")).to_contain_text("Without any scripts")
        panel.reload()
        expect(panel.locator("main")).to_contain_text("Without any scripts")
    finally:
        ours.close()
        theirs.close()
    assert [url for url in foreign if not url.startswith((house.served.url, "data:"))] == []


def presses(page: Page, target: Any) -> None:
    follow(page, target)
    assert overflow(page) <= 0, page.url


def confirmed(page: Page, name: str) -> None:
    """A button that asks first, without scripts: it opens, and the second one sends."""
    first = page.locator("summary", has_text=name)
    first.click()
    inside = page.locator("details[open]", has=first)
    presses(page, inside.locator("button[type=submit]"))


class Eyes:
    """Somebody who looks at every page on a phone, first without scripts and then with them."""

    def __init__(self, url: str, seen: list[str], plain: BrowserContext, scripted: BrowserContext) -> None:
        self.url, self.contexts = url, (plain, scripted)
        self.plain, self.scripted = plain.new_page(), scripted.new_page()
        for page in (self.plain, self.scripted):
            page.on("request", lambda request: seen.append(request.url))

    def looks(self, *paths: str) -> None:
        """Light and dark in turn: what differs between them is a handful of colours that all pages share."""
        for number, path in enumerate(paths):
            self.looks_plainly(path)
            self.scripted.emulate_media(color_scheme="dark" if number % 2 else "light")
            self.scripted.goto(self.url + path)
            assert findings(self.scripted) == [], path

    def looks_plainly(self, path: str) -> None:
        answer = self.plain.goto(self.url + path)
        assert answer is not None and answer.status == 200, (path, answer and answer.status)
        assert overflow(self.plain) <= 0, path
        assert len(self.plain.inner_text("main")) > 20, path


def test_32_no_page_has_a_finding(house: House, browser: Browser) -> None:
    """Every page in every state: fits 375 px with and without scripts, no WCAG AA finding, no foreign request."""
    house.plays(*answers(outcome()))
    names, long = ("Alice", "Bob", "Cy", "A name of somebody " + "x" * 60), "word " * 60 + "y" * 200
    team = house.team(*names, strategy_statement=long)
    old = team.capturing("2025-12").to("revealed")
    sent(team.posts("/actions", text="Write it down " + "z" * 100, session_id=old.id, due_on="2026-02-01"))
    meeting, draft = team.capturing(), team.plan("2026-03")
    phones, seen = meeting.filled("One " + "w" * 480, "Two", "Three"), list[str]()
    plain: dict[str, Any] = {"viewport": PHONE, "java_script_enabled": False}
    scripted: dict[str, Any] = {"viewport": PHONE}
    people = [
        Eyes(house.served.url, seen, *(as_phone(browser, device, **options) for options in (plain, scripted)))
        for device in (phones[0], meeting.device(4), meeting.device())
    ]
    ours = (as_program(browser, team.by, **options) for options in (plain, scripted))
    panel, (mine, other, nobody) = Eyes(house.served.url, seen, *ours), people
    own, respond = f"{phones[0].place}/waiting", f"{phones[0].place}/respond"
    try:
        panel.looks("/admin", "/admin/teams", "/admin/teams/create", f"/admin/teams/{team.id}",
                    f"/admin/teams/{team.id}/members", team.sessions, f"{team.sessions}/create", draft.url,
                    f"{draft.url}/meeting", "/admin/sessions/history")  # fmt: skip
        meeting.does("links")
        panel.looks(meeting.url, f"{meeting.url}/meeting", f"{meeting.url}/links")
        nobody.looks("/join", f"/join/{team.code}", f"{meeting.room}/name")
        other.looks(f"{meeting.room}/member/4/respond", f"{meeting.room}/member/4/waiting")
        mine.looks(respond, own)
        meeting.does("close")
        meeting.awaits("synthesis_completed")
        panel.looks(meeting.url, f"{meeting.url}/meeting")
        mine.looks(respond, own)
        meeting.does("reveal")
        panel.looks(meeting.url, f"{meeting.url}/meeting", f"{meeting.url}/export/print",
                    f"/admin/teams/{team.id}/trend", team.sessions)  # fmt: skip
        mine.looks_plainly(own)  # with scripts it leads to the result by itself
        mine.looks(f"{meeting.room}/synthesis")
    finally:
        for context in (each for eyes in (panel, *people) for each in eyes.contexts):
            context.close()
    assert [url for url in seen if not url.startswith((house.served.url, "data:"))] == []


def findings(page: Page) -> list[str]:
    """What a machine finds against WCAG AA on the page as it is shown, and whether it is wider than its window."""
    return [*violations(page), *(["wider than its window"] if overflow(page) > 0 else [])]


def test_32_the_checks_can_fail(browser: Browser) -> None:
    """Planted: a page with some of the faults the checks look for."""
    context = browser.new_context(viewport=PHONE)
    page = context.new_page()
    page.set_content(
        "<title></title><body><p style='color:#999;background:#fff'>pale</p><input name=a><img src=x><h1>A</h1>"
        "<p style='width:900px'>wide</p><a href=/></a>"
    )
    found = " ".join(findings(page))
    context.close()
    for fault in ("wider", "color-contrast", "label", "image-alt", "html-has-lang", "document-title", "link-name"):
        assert fault in found, (fault, found)
