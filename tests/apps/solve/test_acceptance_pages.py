"""Acceptance statement 38 of solve: the pages, by forms alone on a phone, and against the rules of accessibility."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from sitting.model import Gate, Step
from sitting.web import deps
from tests.apps.solve.room import PLAN, TALK, Owner, Scene, scene, trailer
from tests.support import axe
from tests.support.pages import DESKTOP, PHONE, fit, follow, foreign

NASTY = "I see <img src=x> ![x](http://evil.example/x.png) [go](javascript:alert(8)) <script>alert(7)</script>"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("pages")) as made:
        yield made


@pytest.fixture
def ann(house: Scene) -> Owner:
    house.plays()
    return house.owner()


@contextmanager
def signed_in(browser: Browser, house: Scene, owner: Owner, **options: object) -> Iterator[Page]:
    """A browser that has come by a link. It asks nobody else for anything, and its scripts do not fail."""
    access, faults = house.served.installation.access, []
    cookie = access.use_link(access.make_link(owner.person.actor.id).result()).result()
    context = browser.new_context(base_url=house.served.url, **options)  # type: ignore[arg-type]
    context.add_cookies([{"name": deps.SIGN_IN, "value": cookie, "url": house.served.url}])
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: faults.extend(foreign(request.url)))
    page.on("dialog", lambda dialog: faults.append(dialog.message))
    yield page
    context.close()
    assert faults == []


def fits(page: Page) -> None:
    """The page is no wider than its window, names its controls and shows nobody's markup."""
    fit(page)
    assert page.locator("h1").count() == 1 and page.locator("html[lang]").count() == 1, page.url
    assert page.locator("img[src=x], img[src*=evil], [href^='javascript:']").count() == 0, page.url
    assert page.locator(".aid").inner_text(), page.url


def presses(page: Page, name: str) -> None:
    goes_on(page, page.get_by_role("main").get_by_role("button", name=name, exact=True))


def goes_on(page: Page, target: Locator) -> None:
    follow(page, target)
    fits(page)


def says(page: Page, ann: Owner, id: str, content: str) -> None:
    """Send a message by the form, and look at the page when the reply is there."""
    replies = ann.types(id).count("turn_completed")
    page.get_by_label("Your message").fill(content)
    presses(page, "Send")
    ann.awaits(id, "turn_completed", replies + 1)
    page.reload()
    fits(page)


@pytest.mark.timeout(90)
def test_38_everything_is_done_by_forms_on_a_phone(house: Scene, ann: Owner, browser: Browser) -> None:
    with signed_in(browser, house, ann, viewport=PHONE, java_script_enabled=False) as page:
        house.plays(Step((NASTY,)))
        page.goto("/solve")
        fits(page)
        page.get_by_label("Your first message").fill(NASTY)
        presses(page, "Start")
        id = page.url.rpartition("/")[2].partition("#")[0]
        ann.awaits(id, "turn_completed")
        page.reload()
        fits(page)
        for shown in page.locator("#talk .message-body").all():
            expect(shown).to_contain_text(
                "<img src=x> ![x](http://evil.example/x.png) [go](javascript:alert(8)) <script>"
            )
        assert page.locator("#talk .message-body").count() == 2
        for content in TALK[1:5]:
            says(page, ann, id, content)
        expect(page.locator("#steps")).to_contain_text("Options")
        goes_on(page, page.locator(".option").first.get_by_role("button"))
        page.get_by_label("What will you do first?").fill(PLAN)
        page.get_by_label("In 24 hours").check()
        page.get_by_role("group", name="How sure").get_by_label("8", exact=True).check()
        presses(page, "This is my first step")
        seen = ann.session(id)
        assert (seen["status"], seen["first_step_action"], seen["confidence"]) == ("completed", PLAN, 8)
        assert seen["reminder_time"] is not None
        for path in (f"/solve/{id}/summary", "/solve/stats", "/solve/actions"):
            page.goto(path)
            fits(page)
        expect(page.get_by_role("main")).to_contain_text(PLAN)
        page.locator(f"#done-{id} > summary").click()
        page.get_by_label("How did it go?").fill("He listened")
        presses(page, "Done")
        assert ann.session(id)["outcome"] == "He listened"


@pytest.mark.timeout(90)
def test_38_every_other_action_is_a_form_too(house: Scene, ann: Owner, browser: Browser) -> None:
    with signed_in(browser, house, ann, viewport=PHONE, java_script_enabled=False) as page:
        gate = Gate()
        house.plays(Step(("Kept ", "lost"), gate=gate))
        id = ann.create()
        page.goto(f"/solve/{id}")
        page.get_by_label("Your message").fill(TALK[0])
        presses(page, "Send")
        gate.release()
        turn = ann.session(id)["active_turn"]
        with ann.watching(f"/sessions/{id}/turns/{turn}/stream") as reader:
            reader.until("token")
        page.reload()
        expect(page.locator("#talk [data-turn]")).to_have_text("Kept ")
        presses(page, "Stop")
        assert ann.turn(id, turn)["status"] == "cancelled"
        gate.open()
        presses(page, "Try again")
        ann.awaits(id, "step_advanced")
        page.reload()
        page.locator("#contest > summary").click()
        page.get_by_label("Why?").fill("Too early")
        goes_on(page, page.locator("#contest").get_by_role("button"))
        assert ann.session(id)["current_step"] == "receive"
        page.locator("#belief-goal > summary").click()
        page.locator("#belief-goal textarea").fill("Be heard")
        goes_on(page, page.locator("#belief-goal").get_by_role("button"))
        assert ann.session(id)["beliefs"]["goal"]["text"] == "Be heard"
        page.locator("#update > summary").click()
        page.get_by_label("Title").fill("Another name")
        goes_on(page, page.locator("#update").get_by_role("button"))
        assert ann.session(id)["title"] == "Another name"
        for form, status in (("#abandon", "abandoned"), ("", "active")):
            if form:
                page.locator(f"{form} > summary").click()
            goes_on(page, page.locator(form or "#now").get_by_role("button"))
            assert ann.session(id)["status"] == status
        says(page, ann, id, "I want to die")
        expect(page.locator("#talk")).to_contain_text("call your local emergency number")
        expect(page.locator("#talk")).to_contain_text("988")
        presses(page, "That is not what I meant")
        assert "crisis_dismissed" in ann.types(id)

        own = ann.brought("options")
        page.goto(f"/solve/{own}")
        page.locator("#own > summary").click()
        page.locator("#own-title").fill("Ask Eve")
        page.locator("#own-actions").fill("Ring her up\nListen")
        presses(page, "Choose my own option")
        assert ann.session(own)["chosen_option"] == "own" and ann.session(own)["current_step"] == "commit"
        page.locator("#delete > summary").click()
        goes_on(page, page.locator("#delete").get_by_role("button"))
        assert page.url == f"{house.served.url}/solve"
        assert ann.client.get(f"/sessions/{own}").status_code == 404


@pytest.mark.timeout(90)
def test_38_without_a_model_the_steps_are_a_form(house: Scene, ann: Owner, browser: Browser) -> None:
    house.leaves()
    with signed_in(browser, house, ann, viewport=PHONE, java_script_enabled=False) as page:
        page.goto("/solve")
        fits(page)
        presses(page, "Start")
        id = page.url.rpartition("/")[2].partition("#")[0]
        for _ in range(4):
            if ann.session(id)["current_step"] == "options":
                break
            for field in page.locator("#guided-form textarea").all():
                field.fill("I would be heard at work")
            presses(page, "Save and go on")
        page.locator("#own-title").fill("Ask Eve")
        page.locator("#own-actions").fill("Ring her up")
        presses(page, "Choose my own option")
        page.get_by_label("What will you do first?").fill(PLAN)
        presses(page, "This is my first step")
        seen = ann.session(id)
        assert (seen["status"], seen["first_step_action"], seen["tokens"]["spent"]) == ("completed", PLAN, 0)


@pytest.fixture(scope="module")
def gallery(house: Scene) -> tuple[Owner, list[str]]:
    """Somebody with sessions in every state, and the addresses at which they are seen."""
    house.plays(*[trailer(NASTY, suggestions=["Yes, every day", "Only on Mondays"])] * 2)
    eve = house.owner("Eve")
    made = [eve.create() for _ in range(4)]
    for id, said in zip(made, ("I feel so worried and nervous", "idk", "I want to die"), strict=False):
        eve.says(id, said)
    made += [eve.brought(step, tags=["work"]) for step in ("options", "commit", "completed")]
    house.plays(Step(("Half",), fail_after=1))
    failed, left = eve.create(locale="es"), eve.create(locale="zh")
    eve.says(failed, "Mi jefe ignora todo lo que propongo")
    eve.patches(f"/sessions/{left}", status="abandoned")
    pages = [f"/solve/{id}" for id in (*made, failed, left)]
    return eve, [*pages, f"/solve/{made[-1]}/summary", "/solve", "/solve/actions", "/solve/stats", "/solve?q=boss"]


@pytest.mark.timeout(90)
@pytest.mark.parametrize(("size", "scheme"), [(PHONE, "light"), (DESKTOP, "dark")], ids=["phone", "desktop"])
def test_38_the_pages_are_for_everybody(
    house: Scene, gallery: tuple[Owner, list[str]], browser: Browser, size: dict[str, int], scheme: str
) -> None:
    eve, paths = gallery
    with signed_in(browser, house, eve, viewport=size, color_scheme=scheme) as page:
        for path in paths:
            page.goto(path)
            fits(page)
            assert axe.violations(page) == [], path
        page.evaluate("() => document.querySelector('main').append(new Image())")
        assert any(fault.startswith("image-alt") for fault in axe.violations(page))  # the checker sees a fault
