"""The generic pages in Chromium: from the one-time link to a session that changes before one's eyes."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from sitting.core.actor import Actor
from sitting.core.kind import Workroom
from tests.support import toy
from tests.support.pages import overflow
from tests.support.serving import Served, served

ACCOUNT_PAGES = (
    "/",
    "/kinds/toy",
    "/kinds/toy?q=zebra",
    "/kinds/toy/new",
    "/account",
    "/help",
    "/help/models",
    "/sessions/nobody",
)


class Echo:
    """An echo that writes the second half when it is told to."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def work(self, room: Workroom) -> None:
        room.write("the first half, ")
        self.go_on.wait(30)
        room.write("the second half")
        room.report(toy.RecordAnswer(turn=room.job, status="completed", text=room.written()), last=True)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def server(tmp_path: Path, echo: Echo) -> Iterator[Served]:
    with served(tmp_path, kinds=[toy.kind(work=echo.work)]) as running:
        yield running
        echo.go_on.set()


@pytest.fixture
def ada(server: Served) -> Actor:
    return server.person("Ada").actor


def come_in(page: Page, server: Served, actor: Actor) -> None:
    """Sign in by a one-time link."""
    link = server.installation.access.make_link(actor.id).result()
    page.goto(f"{server.url}/sign-in/link/{link}")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.url}/")


def new_notebook(server: Served, actor: Actor) -> str:
    done = server.installation.engine.open("toy", toy.Create(name="Harbour", words=8), actor).result()
    return done.session.id


def test_a_session_is_made_used_and_ended_by_hand(page: Page, server: Served, ada: Actor) -> None:
    come_in(page, server, ada)
    page.get_by_role("link", name="New Notebook").click()
    page.get_by_role("textbox", name="Name").fill("Harbour")
    page.get_by_role("spinbutton", name="Words").fill("8")
    page.get_by_role("button", name="Create session").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Harbour")
    page.get_by_text("Note…").click()
    page.get_by_role("textbox", name="Text").fill("The crane stood still")
    page.get_by_role("button", name="Note", exact=True).click()
    expect(page.locator("#session-meters")).to_contain_text("4 left")
    expect(page.locator("#session-data")).to_contain_text("The crane stood still")
    expect(page.get_by_role("img", name="Lifecycle, now open")).to_be_visible()
    page.get_by_text("End…").click()
    page.get_by_role("button", name="End", exact=True).click()
    expect(page.get_by_role("img", name="Lifecycle, now done")).to_be_visible()
    page.get_by_text("Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    page.wait_for_url(f"{server.url}/kinds/toy")
    expect(page.get_by_text("No sessions yet")).to_be_visible()


def test_what_others_do_appears_without_a_reload(page: Page, server: Served, ada: Actor, echo: Echo) -> None:
    id = new_notebook(server, ada)
    engine = server.installation.engine
    come_in(page, server, ada)
    page.goto(f"{server.url}/sessions/{id}")
    expect(page.locator("#follow-status")).to_have_text(re.compile("Live"))
    page.evaluate("window.kept = true")
    engine.do(id, toy.Note(text="said elsewhere"), ada).result()
    expect(page.locator("#timeline > li").first).to_contain_text("Noted")
    expect(page.locator("#session-meters")).to_contain_text("6 left")
    engine.do(id, toy.AskEcho(prompt="x"), ada).result()
    written = page.locator("[data-turn]").first
    expect(written).to_have_text("the first half,")
    echo.go_on.set()
    expect(page.locator("#timeline > li").first).to_contain_text("Answered")
    expect(page.locator("#session-data")).to_contain_text("the first half, the second half")
    engine.do(id, toy.Pause(), ada).result()
    expect(page.get_by_role("img", name="Lifecycle, now paused")).to_be_visible()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    assert page.evaluate("window.kept") is True, "the page was never loaded again"


def test_what_is_not_told_leaves_a_line_that_counts(page: Page, server: Served, ada: Actor) -> None:
    id = new_notebook(server, ada)
    engine, bob = server.installation.engine, server.person("Bob").actor
    engine.do(id, toy.Invite(actor=bob.id), ada).result()
    come_in(page, server, bob)
    page.goto(f"{server.url}/sessions/{id}")
    expect(page.locator("#follow-status")).to_have_text(re.compile("Live"))
    expect(page.locator("#timeline > li")).to_have_count(2)
    for _ in range(2):
        engine.do(id, toy.Note(text="for me", private=True), ada).result()
    engine.do(id, toy.Note(text="for all"), ada).result()
    lines = page.locator("#timeline > li")
    expect(lines).to_have_count(3)
    expect(lines.nth(0)).to_contain_text("Noted")
    expect(lines.nth(1)).to_have_text("3 entries are not shown to you.")
    live = lines.all_inner_texts()
    page.reload()
    expect(lines).to_have_count(3)
    assert [text.split() for text in lines.all_inner_texts()] == [text.split() for text in live]


def test_a_refused_form_shows_its_errors_and_keeps_the_text(page: Page, server: Served, ada: Actor) -> None:
    id = new_notebook(server, ada)
    come_in(page, server, ada)
    page.goto(f"{server.url}/sessions/{id}")
    page.get_by_text("Note…").click()
    page.get_by_role("textbox", name="Text").fill("   ")
    page.get_by_role("button", name="Note", exact=True).click()
    expect(page.get_by_text("Write something first.").first).to_be_visible()
    page.goto(f"{server.url}/kinds/toy/new")
    page.get_by_role("textbox", name="Name").fill("Kept")
    page.get_by_role("textbox", name="Extra").fill("{not json")
    page.get_by_role("button", name="Create session").click()
    expect(page.get_by_text("Extra is not JSON:").first).to_be_visible()
    expect(page.get_by_role("textbox", name="Name")).to_have_value("Kept")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_every_page_fits_and_keeps_to_the_content_policy(
    browser: Browser, server: Served, ada: Actor, width: int, scheme: str
) -> None:
    id = new_notebook(server, ada)
    server.installation.engine.do(id, toy.Note(text="W" * 300), ada).result()
    with browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme) as context:  # type: ignore[arg-type]
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(_said(message)))
        page.goto(f"{server.url}/sign-in")
        _fits(page)
        come_in(page, server, ada)
        for path in (*ACCOUNT_PAGES, f"/sessions/{id}"):
            page.goto(server.url + path)
            _fits(page)
        assert [text for text in said if "404" not in text] == []


def _said(message: ConsoleMessage) -> str:
    return f"{message.type}: {message.text}"


def _fits(page: Page) -> None:
    over = overflow(page)
    assert over <= 0, f"{page.url} is {over} px too wide"
