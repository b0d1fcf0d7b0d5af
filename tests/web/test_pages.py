"""The generic pages, for a kind that nobody has written a page for."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, text, update

from sitting import bundle
from sitting.core.actor import CLOCK
from sitting.core.kind import Workroom
from sitting.core.lifecycle import GONE, Lifecycle, Move
from sitting.engine import Where
from sitting.installation import App, Installation
from sitting.store import Store, schema
from sitting.web import answer
from tests.support import toy
from tests.support.browsing import PAGE, Visitor, csrf, visiting
from tests.support.serving import installed

NEW = {"name": "Plan", "minutes": "60", "words": "10", "style": "plain"}
PATHS = ("/", "/kinds/toy", "/kinds/toy/new", "/account")


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as made:
        yield made


@pytest.fixture
def visitor(installation: Installation) -> Iterator[Visitor]:
    """Ada, signed in."""
    with visiting(installation) as browser:
        browser.sign_in(browser.account("Ada"))
        yield browser


def open_toy(visitor: Visitor, **fields: str) -> str:
    """The page of a new notebook."""
    return visitor.send("/kinds/toy/new", {**NEW, **fields}, seen="/kinds/toy/new")


def shown(page: str) -> str:
    """The words of a page."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


# Who may look


@pytest.mark.parametrize("path", [*PATHS, "/sessions/nobody"])
def test_a_page_without_a_sign_in_leads_to_the_form_and_back(installation: Installation, path: str) -> None:
    with visiting(installation) as browser:
        assert browser.leads(path) == f"/sign-in?next={path.replace('/', '%2F')}"


def test_a_program_without_a_token_is_refused_in_json(installation: Installation) -> None:
    with visiting(installation) as browser:
        response = browser.client.get("/", headers={"Accept": "application/json"})
        assert (response.status_code, response.json()["code"]) == (401, "NOT_AUTHENTICATED")


def test_a_session_of_others_is_unknown_whatever_one_does(visitor: Visitor) -> None:
    at = open_toy(visitor)
    visitor.sign_in(visitor.account("Mallory"))
    token = csrf(visitor.page("/kinds/toy/new"))
    for path in (at, f"{at}/bundle"):
        visitor.page(path, status=404)
    for path in (f"{at}/do/note", f"{at}/do/nothing", f"{at}/delete", f"{at}/verify"):
        response = visitor.client.post(path, data={"csrf_token": token}, headers=PAGE)
        assert response.status_code == 404, path
    assert "Plan" not in visitor.page("/")


def test_a_guest_has_no_generic_page(visitor: Visitor) -> None:
    at = open_toy(visitor)
    visitor.client.cookies.clear()
    visitor.client.cookies.set(f"toy-{at.rpartition('/')[2]}", "x" * 43)
    visitor.page(at, status=404)


@pytest.mark.parametrize("path", ["/kinds/toy/new", "{at}/do/note", "{at}/delete", "{at}/verify"])
def test_a_form_without_its_token_changes_nothing(visitor: Visitor, path: str) -> None:
    at = open_toy(visitor)
    response = visitor.client.post(path.format(at=at), data=NEW, headers=PAGE)
    assert response.status_code == 403
    assert visitor.installation.engine.list("toy", visitor.installation.access.local(), Where()).result().total == 1


# Home and lists


def test_home_shows_what_runs_and_what_waits_for_me(visitor: Visitor) -> None:
    assert "Nothing is running" in visitor.page("/")
    at = open_toy(visitor, name="First")
    page = shown(visitor.page("/"))
    assert "Waiting for you 1 First Write the first note." in page and "Nothing else is running" in page
    assert page.count("First ") == 1
    visitor.send(f"{at}/do/note", {"text": "one"}, seen=at)
    page = shown(visitor.page("/"))
    assert "Waiting for you" not in page and "Running now 1 First" in page
    visitor.send(f"{at}/do/end", {}, seen=at)
    assert "Nothing is running" in visitor.page("/")


def test_home_finds_what_still_runs_behind_many_that_are_over(visitor: Visitor) -> None:
    engine = visitor.installation.engine
    actor = visitor.installation.access.by_cookie(visitor.client.cookies["sitting"]).result().actor
    engine.open("toy", toy.Create(name="The old one"), actor).result()
    done = [engine.open("toy", toy.Create(name=f"Over {number}"), actor) for number in range(60)]
    for future in [engine.do(each.result().session.id, toy.End(), actor) for each in done]:
        future.result()
    assert "The old one" in visitor.page("/")


def test_a_list_can_be_searched_filtered_and_paged(visitor: Visitor) -> None:
    for name in ("Harbour", "Harbour wall", "Garden"):
        at = open_toy(visitor, name=name)
    visitor.send(f"{at}/do/pause", {}, seen=at)
    found = shown(visitor.page("/kinds/toy?q=harb"))
    assert "Harbour wall" in found and "Garden" not in found and "1 to 2 of 2" in found
    assert "Garden" in visitor.page("/kinds/toy?state=paused") and "Harbour" not in visitor.page(
        "/kinds/toy?state=paused"
    )
    page = visitor.page("/kinds/toy?limit=2&offset=2")
    assert "3 to 3 of 3" in shown(page) and 'rel="prev"' in page and 'rel="next"' not in page
    assert "Nothing matches" in visitor.page("/kinds/toy?q=zebra")


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1000", "offset=-1", "state=flying", "q=" + "x" * 201, "limit=1&limit=2"]
)
def test_a_list_refuses_what_is_out_of_bounds(visitor: Visitor, query: str) -> None:
    page = shown(visitor.page(f"/kinds/toy?{query}", status=422))
    assert f"Invalid input {query.partition('=')[0]} : must " in page and "of ," not in page


def test_there_is_no_list_of_an_unknown_kind(visitor: Visitor) -> None:
    visitor.page("/kinds/nothing", status=404)
    visitor.page("/kinds/nothing/new", status=404)


# The form for a new one


def test_a_new_session_is_made_by_its_form(visitor: Visitor) -> None:
    at = open_toy(visitor, name="<b>Müller & Söhne</b>", tags="blue\nred", extra='{"a": 1}', pinned="true")
    page = visitor.page(at)
    assert "&lt;b&gt;Müller &amp; Söhne&lt;/b&gt;" in page and "<b>Müller" not in page
    actor = visitor.installation.access.local()
    data = visitor.installation.engine.view(at.rpartition("/")[2], actor).result().session.data
    assert (data["tags"], data["extra"], data["pinned"], data["contact"]) == (["blue", "red"], {"a": 1}, True, None)


def test_a_refused_form_comes_back_with_all_that_is_wrong_and_all_that_was_typed(visitor: Visitor) -> None:
    typed = {"name": "", "minutes": "999", "words": "10", "style": "odd", "contact": "no", "tags": "keep me"}
    page = visitor.send("/kinds/toy/new", typed, seen="/kinds/toy/new", status=422)
    words = shown(page)
    for sentence in (
        "Name should have at least 1 character",
        "Minutes should be less than or equal to 180",
        "Style should be 'plain' or 'formal'",
        "not a valid email address",
    ):
        assert sentence in words
    assert 'value="999"' in page and "keep me" in page and 'value="no"' in page


def test_a_key_that_is_taken_is_said_in_the_form(visitor: Visitor) -> None:
    open_toy(visitor, key="one")
    page = visitor.send("/kinds/toy/new", {**NEW, "key": "one"}, seen="/kinds/toy/new", status=409)
    assert "A session with this key already exists." in page and 'value="Plan"' in page


def test_a_form_sent_twice_with_one_key_makes_one_session(visitor: Visitor) -> None:
    token = csrf(visitor.page("/kinds/toy/new"))
    headers = {**PAGE, "Idempotency-Key": "k1"}
    first, second = (
        visitor.client.post("/kinds/toy/new", data={**NEW, "csrf_token": token}, headers=headers) for _ in range(2)
    )
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    other = visitor.client.post("/kinds/toy/new", data={**NEW, "name": "Other", "csrf_token": token}, headers=headers)
    assert other.status_code == 422


def test_a_kind_that_only_the_system_makes_has_no_form(tmp_path: Path) -> None:
    made = Lifecycle(
        toy.LIFECYCLE.states,
        [replace(move, roles=("system",)) if move.verb == "create" else move for move in toy.LIFECYCLE.moves],
        final=toy.LIFECYCLE.final,
    )
    with (
        installed(tmp_path, kinds=[replace(toy.KIND, lifecycle=made)]) as installation,
        visiting(installation) as browser,
    ):
        browser.sign_in(browser.account("Ada"))
        assert "/kinds/toy/new" not in browser.page("/") + browser.page("/kinds/toy")
        browser.page("/kinds/toy/new", status=404)


# One session


def test_the_page_of_a_session_says_how_it_stands(visitor: Visitor) -> None:
    at = open_toy(visitor)
    visitor.send(f"{at}/do/note", {"text": "six words of ten are used"}, seen=at)
    page = visitor.page(at)
    words = shown(page)
    assert '<svg class="lifecycle"' in page and "Lifecycle, now open" in page
    assert "Words 4 left" in words and "You Owner" in words
    assert "Verified: 2 entries, nothing changed." in words
    assert f'data-follow="/v1{at}/events"' in page and 'data-after="1.2"' in page
    for verb in ("note", "ask", "stop", "pause", "end", "invite", "forget"):
        assert f'action="{at}/do/{verb}"' in page
    for verb in ("expire", "answer", "share", "create", "erase", "resume"):
        assert f'action="{at}/do/{verb}"' not in page
    assert f'action="{at}/delete"' not in page, "an open notebook cannot be deleted"
    assert "style=" not in page and "<script>" not in page


def test_the_page_says_what_was_erased_and_what_is_not_whole(visitor: Visitor) -> None:
    at = open_toy(visitor)
    visitor.send(f"{at}/do/note", {"text": "six words of ten are used"}, seen=at)
    found = re.search(r"user:\w+", visitor.page(at))
    assert found is not None
    visitor.send(f"{at}/do/forget", {"actor": found[0]}, seen=at)
    assert re.search(r"Verified: \d entries, nothing changed. \d parts? erased.", shown(visitor.page(at)))
    id = at.rpartition("/")[2]
    assert visitor.client.get(f"/v1{at}/verify").json().keys() == {
        *("session", "ok", "checked", "head", "reason", "seq", "withheld", "erased"),
    }
    change = text("UPDATE sessions SET created_at = '2020-01-01T00:00:00.000Z' WHERE id = :id").bindparams(id=id)
    visitor.installation.store.write(lambda tx: tx.run(change)).result()
    assert "Does not verify: the journal does not begin and end when the session says it does." in shown(
        visitor.page(at)
    )


def test_a_command_leads_back_to_the_session(visitor: Visitor) -> None:
    at = open_toy(visitor)
    assert visitor.send(f"{at}/do/pause", {}, seen=at) == at
    assert "now paused" in visitor.page(at)


def test_a_refused_command_keeps_what_was_typed(visitor: Visitor) -> None:
    at = open_toy(visitor)
    page = visitor.send(f"{at}/do/invite", {"actor": "nobody at all", "role": ""}, seen=at, status=422)
    assert 'value="nobody at all"' in page and "Actor does not have the right form." in shown(page)
    page = visitor.send(f"{at}/do/note", {"text": "a b c d e f g h i j k l"}, seen=at, status=409)
    assert "The budget is exhausted." in page and "a b c d e f g h i j k l" in page
    assert re.search(r'<details[^>]*id="do-note" open>', page), "the form stands open again"
    page = visitor.send(f"{at}/do/resume", {}, seen=at, status=409)
    assert "Cannot resume. Session is in &#39;open&#39; state." in page


def test_a_command_refused_for_a_script_is_a_problem_document(visitor: Visitor) -> None:
    at = open_toy(visitor)
    token = csrf(visitor.page(at))
    response = visitor.client.post(
        f"{at}/do/note", data={"text": ""}, headers={"Accept": "application/json", "X-CSRF-Token": token}
    )
    assert response.status_code == 422
    assert response.json()["fields"] == [{"field": "text", "message": "Write something first."}]


@pytest.mark.parametrize("verb", ["expire", "answer", "share", "create", "erase", "nothing"])
def test_system_verbs_minting_verbs_and_unknown_ones_have_no_form(visitor: Visitor, verb: str) -> None:
    at = open_toy(visitor)
    visitor.send(f"{at}/do/{verb}", {}, seen=at, status=404)


def test_who_came_too_late_is_told(visitor: Visitor) -> None:
    at = open_toy(visitor)
    token = csrf(visitor.page(at))
    visitor.send(f"{at}/do/note", {"text": "one"}, seen=at)
    headers = {**PAGE, "If-Match": '"1.1"'}
    response = visitor.client.post(f"{at}/do/end", data={"csrf_token": token}, headers=headers)
    assert response.status_code == 412 and "moved on since you read it" in response.text


def test_a_reader_sees_what_readers_see(visitor: Visitor) -> None:
    at = open_toy(visitor, words="100")
    grace = visitor.account("Grace")
    visitor.send(f"{at}/do/note", {"text": "for everybody"}, seen=at)
    visitor.send(f"{at}/do/note", {"text": "for nobody else", "private": "true"}, seen=at)
    visitor.send(f"{at}/do/invite", {"actor": grace, "role": "reader"}, seen=at)
    people = shown(visitor.page(at))
    assert "You Owner" in people and "Grace Reader" in people
    visitor.sign_in(grace)
    page = visitor.page(at)
    assert "for everybody" in page and "for nobody else" not in page
    assert re.search(r'2 entries are not shown to you\..*data-seq="2"', page, re.DOTALL), "the note, the invitation"
    assert "1 entry is not shown to you." in visitor.page(f"{at}?before=4")
    assert f'action="{at}/do/' not in page and "Nothing, in this state and with your role." in page
    visitor.page(f"{at}?before=3")
    visitor.send(f"{at}/do/pause", {}, seen="/kinds/toy/new", status=403)


def test_nested_data_is_stacked_and_what_is_long_is_closed() -> None:
    page = answer.environment(()).from_string('{% import "macros.html" as ui %}{{ ui.data(value, path="data") }}')
    many = [{"name": f"N{number}"} for number in range(9)]
    found = page.render(value={"plan": {"who": {"name": "Ada"}, "few": [1, 2], "many": many}})
    assert found.startswith('<dl class="kv"><div><dt>Plan</dt><dd><dl class="kv kv-deep">')
    assert found.count('<dl class="kv">') == 1, "only the first level has two columns"
    assert re.findall(r"<details[^>]*><summary>[^<]*", found) == [
        '<details class="long" id="data-plan-many"><summary>9 entries'
    ]
    assert [f"N{number}" for number in range(9)] == re.findall(r"N\d", found)


def test_a_page_that_is_not_there_still_knows_who_asks(visitor: Visitor) -> None:
    page = visitor.page("/nothing-here", status=404)
    assert "Ada" in page and 'action="/sign-out"' in page
    visitor.comes_with(None)
    assert 'action="/sign-out"' not in visitor.page("/nothing-here", status=404)


def test_a_long_journal_is_read_backwards(visitor: Visitor) -> None:
    at = open_toy(visitor, words="1000")
    actor = visitor.installation.access.by_cookie(visitor.client.cookies["sitting"]).result().actor
    for number in range(60):
        visitor.installation.engine.do(at.rpartition("/")[2], toy.Note(text=f"note{number}"), actor).result()
    page = visitor.page(at)
    assert re.findall(r'data-seq="(\d+)"', page) == [str(seq) for seq in range(61, 11, -1)]
    assert f'href="{at}?before=12"' in page
    older = visitor.page(f"{at}?before=12")
    assert re.findall(r'data-seq="(\d+)"', older) == [str(seq) for seq in range(11, 0, -1)]
    assert "?before=" not in older


def test_a_running_turn_stands_on_the_page_with_what_it_has_written(tmp_path: Path) -> None:
    written, go_on = threading.Event(), threading.Event()

    def work(room: Workroom) -> None:
        room.write("half of it")
        written.set()
        go_on.wait(60)
        room.report(toy.RecordAnswer(turn=room.job, status="completed", text=room.written() + ", all of it"), last=True)

    with installed(tmp_path, kinds=[toy.kind(work=work)]) as installation, visiting(installation) as browser:
        installation.worker.start()
        browser.sign_in(browser.account("Ada"))
        at = open_toy(browser)
        browser.send(f"{at}/do/ask", {"prompt": "x"}, seen=at)
        assert written.wait(60)
        page = browser.page(at)
        turn = re.search(r'data-turn="([0-9a-f-]{36})" data-off="(\d+)"', page)
        assert turn is not None
        assert turn[2] in ("0", str(len("half of it")))
        browser.send(f"{at}/do/stop", {}, seen=at)
        assert 'data-turn="' + turn[1] not in browser.page(at)
        go_on.set()


# Whole, elsewhere, gone


def test_a_bundle_can_be_taken_along_and_checked(visitor: Visitor) -> None:
    at = open_toy(visitor)
    response = visitor.client.get(f"{at}/bundle")
    assert response.headers["content-disposition"].startswith("attachment;")
    _, records, verdict = bundle.read(response.content)
    assert verdict.ok and len(records) == 1


def test_a_changed_journal_is_noticed(visitor: Visitor) -> None:
    at = open_toy(visitor)
    id = at.rpartition("/")[2]
    visitor.send(f"{at}/do/note", {"text": "one"}, seen=at)
    assert visitor.send(f"{at}/verify", {}, seen=at) == f"{at}?verified=1"
    _tamper(visitor.installation.store, id)
    assert "Does not verify: the event was changed. 1 entry was right" in shown(visitor.page(f"{at}?verified=1"))


def test_deleting_erases_and_leads_to_the_list(visitor: Visitor) -> None:
    at = open_toy(visitor)
    page = visitor.send(f"{at}/delete", {}, seen=at, status=409)
    assert "Cannot erase." in page
    visitor.send(f"{at}/do/end", {}, seen=at)
    assert f'action="{at}/delete"' in visitor.page(at)
    assert visitor.send(f"{at}/delete", {}, seen=at) == "/kinds/toy"
    visitor.page(at, status=404)
    assert "Plan" not in visitor.page("/kinds/toy")


# Applications with pages of their own, and help


def test_an_application_with_its_own_pages_is_linked_to(tmp_path: Path) -> None:
    with installed(tmp_path) as plain:
        own = App(
            "toy", "Notebooks", "Notes.", (toy.KIND,), home="/notebooks", create="/notebooks/new",
            pages={"toy": "/notebooks/{id}"},
        )  # fmt: skip
        settings = plain.settings
    with Installation(settings, apps=(own,)) as installation, visiting(installation) as browser:
        browser.sign_in(browser.account("Ada"))
        at = open_toy(browser)
        assert at.startswith("/notebooks/")
        home = browser.page("/")
        for address in ("/notebooks", "/notebooks/new", at):
            assert f'href="{address}"' in home
        assert f'href="{at}"' in browser.page("/kinds/toy")
        assert f'href="{at}"' in browser.page(at.replace("/notebooks/", "/sessions/"))


def test_help_is_open_to_everybody_and_tells_settings_to_admins_only(installation: Installation) -> None:
    with visiting(installation) as browser:
        assert "A notebook." in browser.page("/help")
        assert "SITTING_MODEL_WINDOW" not in shown(browser.page("/help/models")).partition("Settings")[2]
        browser.sign_in(browser.account("Root", roles=("admin", "member")))
        assert "SITTING_MODEL_WINDOW" in shown(browser.page("/help/models")).partition("Settings")[2]


def test_help_never_shows_the_key(tmp_path: Path) -> None:
    chosen: dict[str, Any] = {
        "model": "some-model",
        "model_url": "http://me:hunter2@127.0.0.1:9",
        "model_key": "hunter2",
    }
    with installed(tmp_path, **chosen) as installation, visiting(installation) as browser:
        browser.sign_in(browser.account("Root", roles=("admin", "member")))
        page = browser.page("/help/models")
        assert "hunter2" not in page and "some-model" in page and "SITTING_MODEL_KEY (set)" in shown(page)


def _tamper(store: Store, id: str) -> None:
    """Change a stored event as somebody with the database could."""
    second = (schema.events.c.session == id, schema.events.c.seq == 2)
    other = func.replace(schema.events.c.data, '"words":1', '"words":2')
    changed = update(schema.events).where(*second).values(data=other)
    assert store.write(lambda tx: tx.run(changed)).result() == 1


def test_a_command_that_ends_in_erasure_asks_first_and_leads_to_the_list(tmp_path: Path) -> None:
    moves = [
        Move("end", ("open", "expired"), ("owner",), (GONE,)) if move.verb == "end" else move
        for move in toy.LIFECYCLE.moves
    ]
    states = tuple(state for state in toy.LIFECYCLE.states if state != "done")
    moves = [replace(move, source=tuple(state for state in move.source if state != "done")) for move in moves]
    fleeting = replace(
        toy.KIND,
        lifecycle=Lifecycle(states, moves, final=("expired",)),
        fold=lambda session, event: session.to(GONE) if event.type == "ended" else toy.fold(session, event),
    )
    with installed(tmp_path, kinds=(fleeting,)) as made, visiting(made) as visitor:
        visitor.sign_in(visitor.account("Ada"))
        at = open_toy(visitor)
        asks = r"<details[^>]*>\s*<summary[^>]*danger[^>]*>\s*End"
        assert re.search(asks, visitor.page(at))
        old = open_toy(visitor)
        made.engine.do(old.rpartition("/")[2], toy.Expire(), CLOCK).result()
        assert re.search(asks, visitor.page(old))
        assert visitor.send(f"{at}/do/end", {"reason": ""}, seen=at) == "/kinds/toy"
        visitor.page(at, status=404)
