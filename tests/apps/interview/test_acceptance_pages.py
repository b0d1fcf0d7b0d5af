"""Acceptance statement 34 of the interview: every page is for everybody, narrow or wide, light or dark.

Each page is opened once with scripts, then given every size and both colours, and checked by axe-core each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import httpx
import pytest
from playwright.sync_api import Browser, Page

from sitting.model import Step
from tests.apps.interview.acting import Candidate, Json, Scene, awaits, card, does, place, plan, scene
from tests.support import axe
from tests.support.pages import overflow

SIZES = ({"width": 1280, "height": 800}, {"width": 375, "height": 700})
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
PAGE = {"Accept": "text/html"}
LONG = "Barbara Liskov, whose name does not fit into one line of a phone"
ANSWER = (
    "Sort them by **start**.\n\n1. Compare neighbours\n2. Stop at the first clash\n\n```python\nfor a in xs: ...\n```\n"
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("pages")) as made:
        yield made


@pytest.fixture(scope="module")
def ann(stage: Scene) -> httpx.Client:
    return stage.client(stage.person("Ann"))


def talked(stage: Scene, ann: httpx.Client, name: str, **fields: Any) -> tuple[Json, Candidate]:
    """An interview that runs, in which a question was answered and the next one failed half-way."""
    challenge = ann.get("/challenges").json()["items"][0]["id"]
    stage.plays(Step((ANSWER,)), Step(("Half a ", "reply"), fail_after=1))
    planned = plan(ann, candidate_name=name, challenge_id=challenge, challenge_text="Talk while you think.", **fields)
    candidate = stage.joins(planned)
    candidate.post("/start")
    candidate.asks("Where would you begin?")
    candidate.asks("And then?")
    does(ann, planned, "notes", text="Asks before coding.")
    return planned, candidate


@contextmanager
def browsing(browser: Browser, stage: Scene, headers: dict[str, str], cookies: dict[str, str]) -> Iterator[Page]:
    context = browser.new_context(extra_http_headers=headers)
    context.add_cookies([{"name": n, "value": v, "url": stage.served.url} for n, v in cookies.items()])
    yield context.new_page()
    context.close()


def for_everybody(page: Page, url: str) -> None:
    """Open a page, and look at it in every size and colour."""
    page.goto(url)
    for size in SIZES:
        page.set_viewport_size({"width": size["width"], "height": size["height"]})
        assert overflow(page) <= 0, f"{url} is wider than {size['width']}"
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert axe.violations(page) == [], (url, size["width"], scheme)


@pytest.mark.timeout(150)
def test_34_the_interviewers_pages_are_for_everybody(stage: Scene, ann: httpx.Client, browser: Browser) -> None:
    active, _ = talked(stage, ann, LONG, config={"integrity_marks": True}, candidate_email="barbara@example.com")
    done, _ = talked(stage, ann, "Ada")
    created, paused, empty = plan(ann), talked(stage, ann, "Ben")[0], plan(ann)
    does(ann, active, "extend-time", seconds=600, reason="The network was slow")
    does(ann, active, "interviewers", actor_id=stage.person("Bob").actor.id)
    does(ann, paused, "pause", reason="Lunch")
    for each in (done, empty):
        does(ann, each, "end", reason="Thank you")
    first = ann.get(f"{place(done)}/messages").json()["items"][0]
    saved = ann.put(f"{place(done)}/scorecard", json=card(first["seq"], 0, "Where", ["approach", "checking"]))
    assert saved.status_code == 200
    job = ann.post(f"{place(done)}/evidence", json={"criterion": "approach"})
    assert job.status_code == 202
    own = ann.post(
        "/challenges", json={"title": "Own", "category": "coding", "difficulty": "easy", "instructions": "Go"}
    )
    pages = [
        "/interviews", "/interviews?q=nobody+has+this+name", "/interviews?offset=900", "/interviews/new",
        f"{place(created)}?created=1", place(active), place(paused), place(done),
        *(f"{place(each)}/review" for each in (created, active, done, empty)), f"{place(done)}/review?at=3",
        f"/interviews/compare?ids={done['id']},{active['id']}", "/interviews/compare",
        f"{place(done)}/export?format=print", "/challenges", "/challenges?q=nobody+has+this+name", "/challenges/new",
        f"/challenges/{own.json()['id']}", f"/challenges/{active['challenge_id']}", f"/interviews/{'0' * 8}",
    ]  # fmt: skip
    headers = {"Authorization": ann.headers["Authorization"]}
    for shown, told in ((active, "Open for joining until"), (done, "Nobody joins any more.")):
        assert told in ann.get(place(shown), headers=PAGE).text
    with browsing(browser, stage, headers, {}) as page:
        for path in pages:
            for_everybody(page, stage.served.url + path)
        page.goto(f"{stage.served.url}/interviews/new")
        page.get_by_text("More settings").click()
        page.get_by_text("Help: which limits?").click()
        page.locator("[name=candidate_name]").fill("  ")
        page.get_by_role("button", name="Create Session").click()
        page.get_by_role("alert").wait_for()
        assert axe.violations(page) == []
        page.evaluate("() => document.querySelector('main').append(new Image())")
        assert any(fault.startswith("image-alt") for fault in axe.violations(page))  # the checker sees a fault


@pytest.mark.timeout(150)
def test_34_the_candidates_pages_are_for_everybody(stage: Scene, ann: httpx.Client, browser: Browser) -> None:
    url = stage.served.url
    waiting = stage.joins(plan(ann))
    held = stage.joins(plan(ann, config={"start_by": "interviewer"}))
    planned, candidate = talked(stage, ann, "Ada", config={"integrity_marks": True}, token_budget=3000)
    short, late = talked(stage, ann, "Ben", time_limit=300)
    unjoined = plan(ann)["join_url"].removeprefix(url)
    for who, paths in (
        (waiting, [waiting.place, unjoined, "/i", f"/i/{'a' * 26}"]), (held, [held.place]),
        (candidate, [candidate.place, f"{candidate.place}/ledger"]),
    ):  # fmt: skip
        with browsing(browser, stage, {}, dict(who.client.cookies)) as page:
            for path in paths:
                for_everybody(page, url + path)
    with browsing(browser, stage, {}, dict(candidate.client.cookies)) as page:
        does(ann, planned, "pause", reason="Lunch")
        for_everybody(page, url + candidate.place)
        does(ann, planned, "resume")
        page.goto(url + candidate.place)
        page.locator("#leave > summary").click()
        assert axe.violations(page) == []
        page.get_by_role("dialog").get_by_role("button", name="Leave the interview").click()
        page.get_by_role("heading", name="Goodbye").wait_for()
        assert axe.violations(page) == []
        for path in ("", "/export?format=print"):
            for_everybody(page, url + candidate.place + path)
    stage.clock.advance(301)
    awaits(ann, short, "SESSION_EXPIRED")
    with browsing(browser, stage, {}, dict(late.client.cookies)) as page:
        for_everybody(page, url + late.place)


def test_on_a_phone_the_newest_message_stands_above_what_one_types_in(
    stage: Scene, ann: httpx.Client, browser: Browser
) -> None:
    _, candidate = talked(stage, ann, "Cem")
    with browsing(browser, stage, {}, dict(candidate.client.cookies)) as page:
        page.set_viewport_size({"width": 375, "height": 700})
        page.goto(stage.served.url + candidate.place)
        page.get_by_label("Your message").fill("Go on.")
        page.wait_for_function("() => { const t = document.querySelector('#talk'); return t.scrollTop > 0 }")
        newest, composer = page.locator("#talk .message").last.bounding_box(), page.locator(".composer").bounding_box()
        assert newest is not None and composer is not None
        assert 0 <= newest["y"] <= newest["y"] + newest["height"] <= composer["y"]


def test_the_interviewer_reads_which_model_answers_for_a_name(stage: Scene, ann: httpx.Client) -> None:
    planned, _ = talked(stage, ann, "Dora")
    form = ann.get("/interviews/new", headers=PAGE).text
    assert '<option value="gpt-4" selected>gpt-4 (here: scripted)</option>' in form
    assert "gpt-4 (here: scripted)" in ann.get(place(planned), headers=PAGE).text


def test_the_page_of_an_interview_that_is_over_promises_nothing_more(stage: Scene, ann: httpx.Client) -> None:
    planned, _ = talked(stage, ann, "Emil")
    assert "more possible" in ann.get(place(planned), headers=PAGE).text
    does(ann, planned, "end")
    over = ann.get(place(planned), headers=PAGE).text
    assert "more possible" not in over and "starts the clock" not in over
    journal = f"/sessions/{planned['id']}"
    assert f'href="{journal}#journal"' in over and 'id="journal"' in ann.get(journal, headers=PAGE).text
