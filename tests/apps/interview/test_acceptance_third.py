"""Acceptance statements 28 to 36 of the interview: scores, figures, exports, harmless text, plain pages, limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Dialog, Page

from sitting import bundle
from sitting.model import Gate, Step
from tests.apps.interview.acting import (
    ANY,
    PAGE,
    Candidate,
    Json,
    Scene,
    awaits,
    card,
    does,
    events,
    place,
    plan,
    refused,
    scene,
    seen,
    types,
)
from tests.support.pages import PHONE, fit

ANSWER = "First I sort, then I compare."
NASTY = "<script>alert(7)</script> ![i](http://evil.example/i.png) [go](javascript:alert(8))"
SILENT_METERS = """() => [...document.querySelectorAll('meter, progress, [role=meter], [role=progressbar]')]
  .filter((one) => !(one.ariaLabel || one.ariaValueText || one.parentElement.textContent.trim()))
  .map((one) => one.outerHTML.slice(0, 120))"""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("third")) as made:
        yield made


@pytest.fixture
def ann(stage: Scene) -> httpx.Client:
    stage.plays()
    return stage.client(stage.person("Ann"))


def begun(stage: Scene, client: httpx.Client, **fields: Any) -> tuple[Json, Candidate]:
    planned = plan(client, **fields)
    candidate = stage.joins(planned)
    assert candidate.post("/start").status_code == 200
    return planned, candidate


def test_28_a_score_rests_on_exact_words(stage: Scene, ann: httpx.Client) -> None:
    planned, candidate = begun(stage, ann, config={"criteria": ["approach", "checking"]})
    seq, url = candidate.asks(ANSWER)["message"]["seq"], f"{place(planned)}/scorecard"
    bare = {"scores": [{"criterion": "approach", "score": 4, "citations": []}]}
    detail = "Score 'approach' needs at least one citation."
    refused(ann.put(url, json=bare), 422, "CITATION_REQUIRED", detail)
    wrong = ann.put(url, json=card(seq, 5, "I sort", ["approach"]))
    refused(wrong, 422, "CITATION_MISMATCH", f"Citation does not match the transcript at seq {seq}.")
    assert "SCORES_SAVED" not in types(ann, planned)
    assert ann.put(url, json=card(seq, 6, "I sort", ["approach"])).status_code == 200
    early = "Cannot submit scorecard. Session is in 'active' state."
    refused(ann.post(f"{url}/submit"), 409, "WRONG_STATE", early)
    does(ann, planned, "end")
    refused(ann.post(f"{url}/submit"), 422, "SCORE_MISSING", "Score missing for 'checking'.")


def test_29_scores_stay_hidden_until_ones_own_are_in(stage: Scene, ann: httpx.Client) -> None:
    planned, candidate = begun(stage, ann, config={"criteria": ["approach"]})
    person = stage.person("Ben")
    ben, url = stage.client(person), place(planned)
    does(ann, planned, "interviewers", actor_id=person.actor.id)
    seq = candidate.asks(ANSWER)["message"]["seq"]
    does(ann, planned, "end")
    scores = card(seq, 6, "I sort", ["approach"])
    mine = scores | {"summary": "Quokka summary"}
    assert ann.put(f"{url}/scorecard", json=mine).status_code == 200
    does(ann, planned, "scorecard/submit")
    assert ben.get(f"{url}/scorecards").json() == {"own": None, "others": [], "hidden": 1}
    paths = ("", "/review", "/events", "/replay", "/analytics", "/export", "/export?format=markdown")
    generic = [f"/v1/sessions/{planned['id']}{path}" for path in ("", "/events", "/bundle")]
    for address in (*(url + path for path in paths), f"{url}/export?format=print", *generic):
        for form in ({}, ANY):
            told = ben.get(address, headers=form)
            assert told.status_code == 200 and "Quokka" not in told.text, (address, told.status_code)
    assert ben.put(f"{url}/scorecard", json=scores).status_code == 200
    both = does(ben, planned, "scorecard/submit")
    assert both["hidden"] == 0 and [other["summary"] for other in both["others"]] == ["Quokka summary"]
    assert both["own"]["scores"][0]["criterion"] == "approach"
    for path in ("", "/messages", "/events", "/ledger", "/export", "/export?format=markdown"):
        told = candidate.get(path)
        assert told.status_code == 200 and "Quokka" not in told.text + candidate.page(path), path
    assert candidate.get("/scorecards").status_code == 404
    assert candidate.client.get(f"{url}/scorecards").status_code == 401

    said = [
        {"seq": seq, "quote": "then I compare"},
        {"seq": seq, "quote": "then I guess"},
        {"seq": 1, "quote": "I sort"},
    ]
    stage.plays(Step((json.dumps({"items": said}),)))
    job = does_later(ann, planned)
    proposed = awaits(ann, planned, "EVIDENCE_PROPOSED")
    assert proposed["data"]["job"] == job and "quote" not in json.dumps(proposed)
    review = ann.get(f"{url}/review", headers=PAGE).text
    assert "then I compare" in review and "then I guess" not in review
    scored = {"items": [{"seq": seq, "quote": "I sort", "score": 5}]}
    stage.plays(Step((json.dumps(scored),)), Step((json.dumps({"items": [], "score": 5}),)))
    does_later(ann, planned)
    until_failed(stage, ann, planned)
    assert len(events(ann, planned, "EVIDENCE_PROPOSED")) == 1


def does_later(client: httpx.Client, planned: Json) -> str:
    """Ask for evidence; the job."""
    answer = client.post(f"{place(planned)}/evidence", json={"criterion": "approach"})
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job"])


def until_failed(stage: Scene, client: httpx.Client, planned: Json) -> None:
    """Let the time between the tries pass."""
    after = seen(client, planned)["as_of"]
    for _ in range(20):
        page = client.get(f"{place(planned)}/events", params={"after": after, "wait": 1}).json()
        if any(event["type"] == "EVIDENCE_FAILED" for event in page["events"]):
            return
        after = page["next"]
        stage.clock.advance(1)
    raise AssertionError("the job did not fail")


def test_30_the_figures_of_the_example(stage: Scene, ann: httpx.Client) -> None:
    stage.plays(Step(("One",), usage=(120, 80)), Step(("Two",), usage=(260, 140)))
    planned, candidate = begun(stage, ann)
    candidate.asks("x" * 60)  # 20 tokens of 3 bytes
    candidate.asks("y" * 90)
    stage.clock.advance(900)
    does(ann, planned, "end")
    figures = ann.get(f"{place(planned)}/analytics").json()
    expected = {
        "active_duration": 900, "total_duration": 900, "token_efficiency": 0.45, "ai_dependency_share": 0.8148,
        "time_utilization": 0.25, "token_utilization": 0.012, "messages_per_minute": 0.1333,
        "avg_tokens_per_message": 150,
    }  # fmt: skip
    assert {name: figures[name] for name in expected} == expected
    assert figures["token_usage_timeline"][-1]["tokens_used"] == seen(ann, planned)["tokens_used"] == 600
    for empty in (plan(ann), begun(stage, ann)[0]):
        nothing = ann.get(f"{place(empty)}/analytics")
        assert nothing.status_code == 200
        ratios = ("token_efficiency", "ai_dependency_share", "avg_tokens_per_message", "messages_per_minute")
        assert [nothing.json()[name] for name in ratios] == [None] * 4


def test_31_the_ledger_follows_and_the_replay_is_what_was_seen(stage: Scene, ann: httpx.Client) -> None:
    gate = Gate()
    stage.plays(Step(("One",)), Step(("Two ", "never"), gate=gate))
    planned = plan(ann)
    candidate, live = stage.joins(planned), {}

    def look() -> None:
        now = seen(ann, planned)
        live[int(now["as_of"].split(".")[1])] = now

    look()
    candidate.post("/start")
    look()
    stage.clock.advance(30)
    candidate.asks("Why?")
    look()
    for verb, body in (
        ("pause", {"reason": "tea"}), ("resume", {}), ("extend-time", {"seconds": 300, "reason": "late"}),
        ("extend-tokens", {"tokens": 700, "reason": "long"}),
    ):  # fmt: skip
        does(ann, planned, verb, **body)
        look()
        stage.clock.advance(45)
    turn = candidate.sends("How?")["turn"]
    look()
    gate.release()
    candidate.reads(turn, "Two ")
    candidate.post(f"/turns/{turn}/cancel")
    look()
    does(ann, planned, "end")
    look()
    status, book = candidate.status(), ann.get(f"{place(planned)}/ledger").json()
    assert candidate.get("/ledger").json() == book
    for lines, unit in ((book["time"], "seconds"), (book["tokens"], "tokens")):
        for before, line in zip([{"balance": 0}, *lines], lines, strict=False):
            assert line["balance"] == pytest.approx(before["balance"] + line[unit], abs=1e-6), line
    assert book["tokens"][-1]["balance"] == status["tokens_remaining"]
    assert abs(book["time"][-1]["balance"] - status["time_remaining"]) <= 1
    assert {line["kind"] for line in book["tokens"]} == {"granted", "reserved", "settled", "released", "extended"}
    assert {line["kind"] for line in book["time"]} == {"granted", "used", "extended"}
    assert len(live) >= 9
    for at, then in live.items():
        replayed = ann.get(f"{place(planned)}/replay", params={"at": at}).json()
        assert replayed["at"] == at and replayed["session"] == then


def test_32_exports_verify_and_keep_apart(stage: Scene, ann: httpx.Client) -> None:
    fields = {"candidate_email": "ada@example.com", "config": {"criteria": ["approach"], "integrity_marks": True}}
    stage.plays(Step(("Sort them by size.",)))
    planned, candidate = begun(stage, ann, **fields)
    seq = candidate.asks(ANSWER)["message"]["seq"]
    assert candidate.post("/marks", {"kind": "paste", "chars": 77}).status_code == 204
    does(ann, planned, "notes", text="Quokka note")
    url = place(planned)
    scores = card(seq, 6, "I sort", ["approach"]) | {"summary": "Quokka summary"}
    does(ann, planned, "end")
    assert ann.put(f"{url}/scorecard", json=scores).status_code == 200
    whole, copy = ann.get(f"{url}/export"), candidate.get("/export")
    for export, form in ((whole, "sitting.interview/1"), (copy, "sitting.interview.candidate/1")):
        assert export.json()["format"] == form and bundle.verify_file(export.content).ok
        spoilt = export.content.replace(b"I sort", b"I sert", 1)
        assert spoilt != export.content and not bundle.verify_file(spoilt).ok
    said = [item["content"] for item in whole.json()["messages"]]
    assert said == [ANSWER, "Sort them by size."] == [item["content"] for item in copy.json()["messages"]]
    for client, base in ((ann, url), (candidate.client, candidate.place)):
        for format in ("markdown", "print"):
            answer = client.get(f"{base}/export?format={format}", headers=PAGE)
            assert answer.status_code == 200, (base, answer.text)
            told = answer.text
            places = [told.find(text.removesuffix(".")) for text in said]
            assert -1 not in places and places == sorted(places), (format, told)
    assert "Quokka note" in whole.text and "Quokka summary" in whole.text
    for path in ("/export", "/export?format=markdown", "/export?format=print"):
        mine = candidate.get(path).text + candidate.page(path)
        for hidden in ("Quokka", "ada@example.com", "paste"):
            assert hidden not in mine


@pytest.mark.parametrize("allowed", [True, False])
def test_32_a_candidate_takes_no_copy_by_another_door(stage: Scene, ann: httpx.Client, allowed: bool) -> None:
    planned, candidate = begun(stage, ann, config={"candidate_copy": allowed})
    doors = ("/export", "/export?format=markdown", f"/v1/sessions/{planned['id']}/bundle")

    def taken() -> set[int]:
        return {candidate.client.get(path if path[1] == "v" else candidate.place + path).status_code for path in doors}

    assert taken() == {404}
    assert ann.get(f"/v1/sessions/{planned['id']}/bundle").status_code == 200
    does(ann, planned, "end")
    assert taken() == {200 if allowed else 404}


def nasty(stage: Scene, ann: httpx.Client) -> tuple[Json, Candidate]:
    """An interview with script and foreign addresses in every text."""
    fields = {"title": NASTY, "category": "coding", "difficulty": "easy", "instructions": NASTY, "starter_code": NASTY}
    made = ann.post("/challenges", json=fields).json()
    stage.plays(Step((NASTY,)))
    planned, candidate = begun(stage, ann, candidate_name=NASTY, challenge_id=made["id"], challenge_text=NASTY)
    candidate.asks(NASTY)
    does(ann, planned, "notes", text=NASTY)
    return planned, candidate


def signed_in(browser: Browser, ann: httpx.Client, candidate: Candidate, **options: Any) -> tuple[Page, Page]:
    """A page for the interviewer and one for the candidate, both as the clients that have acted so far."""
    ours = browser.new_context(**options, extra_http_headers={"Authorization": ann.headers["Authorization"]})
    theirs = browser.new_context(**options)
    url = str(candidate.client.base_url)
    theirs.add_cookies([{"name": n, "value": v, "url": url} for n, v in candidate.client.cookies.items()])
    return ours.new_page(), theirs.new_page()


def test_33_what_people_and_models_write_is_text(stage: Scene, ann: httpx.Client, browser: Browser) -> None:
    planned, candidate = nasty(stage, ann)
    ours, theirs = signed_in(browser, ann, candidate)
    foreign: list[str] = []
    dialogs: list[str] = []

    def refuse(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    for page in (ours, theirs):
        page.on("request", lambda request: foreign.append(request.url))
        page.on("dialog", refuse)
    url, own = stage.served.url, place(planned)

    def looks(page: Page, path: str) -> None:
        page.goto(url + path, wait_until="load")
        assert page.locator("script", has_text="alert(").count() == 0
        assert page.locator("img[src*=evil], [href^='javascript:'], [src^='javascript:']").count() == 0
        assert "alert(7)" in page.content()

    for path in (
        own,
        f"{own}/review",
        f"{own}/export?format=print",
        "/interviews",
        f"/challenges/{planned['challenge_id']}",
    ):
        looks(ours, path)
    looks(theirs, candidate.place)
    does(ann, planned, "end")
    looks(theirs, f"{candidate.place}/export?format=print")
    for page in (ours, theirs):
        page.context.close()
    assert dialogs == [] and [address for address in foreign if not address.startswith((url, "data:", "blob:"))] == []


def csrf(page: str) -> str:
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    return found[1]


def test_34_every_action_is_a_plain_form(stage: Scene, ann: httpx.Client) -> None:
    """What a browser without scripts sends: the fields of a form, and a redirect that is followed."""
    fields = {
        "candidate_name": "Ada", "candidate_email": "", "time_limit_minutes": "60", "token_budget": "50000",
        "model_name": "gpt-4", "challenge_id": "", "challenge_text": "",
    }  # fmt: skip

    def sends(client: httpx.Client, path: str, **form: str) -> httpx.Response:
        answer = client.post(path, data={"csrf_token": "", **form}, headers=PAGE, follow_redirects=True)
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/html"), (path, answer.text)
        return answer

    made = sends(ann, "/interviews/new", **fields)
    assert "✅ Session created successfully!" in made.text
    planned: Json = ann.get(made.url.path).json()
    url = place(planned)
    candidate = stage.client()
    room = planned["join_url"].removeprefix(stage.served.url)
    token = {"csrf_token": csrf(sends(candidate, f"{room}/join").text)}
    sends(candidate, f"{room}/start", **token)
    assert "A plain question" in sends(candidate, f"{room}/messages", content="A plain question", **token).text
    awaits(ann, planned, "MESSAGE_RECEIVED")
    for path, form in (
        ("pause", {"reason": ""}), ("resume", {}), ("extend-time", {"seconds": "600", "reason": "late"}),
        ("extend-tokens", {"tokens": "10000", "reason": "long"}), ("notes", {"text": "A note"}),
        ("update", {"candidate_name": "Ada B"}),
        ("scorecard", {"criterion": "approach", "score": "4", "seq": "4", "quote": "plain", "comment": "yes"}),
        ("end", {"reason": ""}), ("evidence", {"criterion": "approach"}), ("link", {"action": "rotate"}),
    ):  # fmt: skip
        sends(ann, f"{url}/{path}", **form)
    last = seen(ann, planned)
    assert (last["time_limit"], last["token_budget"], last["status"]) == (4200, 60_000, "completed")
    assert last["candidate_name"] == "Ada B" and last["join_url"] != planned["join_url"]
    assert ann.get(f"{url}/notes").json()["items"][0]["text"] == "A note"
    assert ann.get(f"{url}/scorecards").json()["own"]["scores"][0]["citations"][0]["quote"] == "plain"
    sends(ann, f"{url}/delete")
    assert ann.get(url).status_code == 404


@pytest.mark.timeout(300)
def test_34_pages_fit_a_phone_without_scripts(stage: Scene, ann: httpx.Client, browser: Browser) -> None:
    planned, candidate = begun(stage, ann, challenge_text="word " * 50 + "x" * 300)
    candidate.asks("z" * 300)
    ours, theirs = signed_in(browser, ann, candidate, viewport=PHONE, java_script_enabled=False)

    def looks(page: Page, path: str, *, meters: bool = False) -> None:
        page.goto(stage.served.url + path)
        fit(page)
        assert page.evaluate(SILENT_METERS) == [], path
        assert page.locator("h1").count() == 1 and page.locator("html[lang]").count() == 1, path
        assert not meters or re.search(r"\d+:\d\d", page.inner_text("main")), path

    own = place(planned)
    built_in = ann.get("/challenges").json()["items"][0]["id"]
    for path in ("/interviews", "/interviews/new", f"{own}/review", "/challenges", f"/challenges/{built_in}"):
        looks(ours, path)
    looks(ours, own, meters=True)
    looks(theirs, candidate.place, meters=True)
    looks(theirs, f"{candidate.place}/ledger")
    looks(theirs, "/i")
    does(ann, planned, "pause")
    looks(theirs, candidate.place, meters=True)
    does(ann, planned, "end")
    looks(theirs, candidate.place)
    for page in (ours, theirs):
        page.context.close()


def test_35_messages_have_a_rate_and_a_key(tmp_path: Path) -> None:
    with scene(tmp_path, interview_messages_minute=20) as stage:
        ann = stage.client(stage.person("Ann"))
        planned, candidate = begun(stage, ann, token_budget=200_000)
        key = {"Idempotency-Key": "one"}
        first = candidate.post("/messages", {"content": "Once?"}, **key)
        again = candidate.post("/messages", {"content": "Once?"}, **key)
        assert first.status_code == again.status_code == 202 and first.json() == again.json()
        candidate.hears(first.json()["turn"])
        refused(candidate.post("/messages", {"content": "Twice?"}, **key), 422, "IDEMPOTENCY_KEY_REUSED")
        received = events(ann, planned, "MESSAGE_RECEIVED")
        assert types(ann, planned).count("MESSAGE_SENT") == len(received) == 1
        assert seen(ann, planned)["tokens_used"] == received[0]["data"]["charged"]
        for number in range(2, 21):
            candidate.asks(f"Question {number}?")
        stage.clock.advance(59)
        before = types(ann, planned)
        over = candidate.post("/messages", {"content": "Too much?"})
        detail = f"Too many messages. Try again in {over.headers['retry-after']} seconds."
        refused(over, 429, "RATE_LIMITED", detail)
        assert int(over.headers["retry-after"]) == 1 and types(ann, planned) == before
        stage.clock.advance(1)
        candidate.asks("Now?")


def test_36_a_hundred_sessions_are_made_changed_and_listed(stage: Scene) -> None:
    """That it is right; that it is quick stands in test_acceptance_real."""
    eve = stage.client(stage.person("Eve"))
    made: list[Json] = []
    for number in range(100):
        stage.clock.advance(1)
        made.append(plan(eve, candidate_name=f"Candidate {number}"))
    assert len({planned["id"] for planned in made}) == 100
    for number, planned in enumerate(made):
        assert seen(eve, planned) == planned
        changed = eve.patch(place(planned), json={"candidate_email": f"c{number}@example.com"})
        assert changed.status_code == 200 and changed.json()["candidate_email"] == f"c{number}@example.com"
    listed = eve.get("/interviews", params={"limit": 100}).json()
    assert listed["total"] == 100
    assert [item["candidate_email"] for item in listed["items"]] == [f"c{n}@example.com" for n in reversed(range(100))]
    found = eve.get("/interviews", params={"limit": 3, "offset": 98}).json()
    assert [item["id"] for item in found["items"]] == [made[1]["id"], made[0]["id"]]
