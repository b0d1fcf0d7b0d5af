"""The participant's way in and back: codes, months, names, claims, links, late responses, and the big screen."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sitting.apps.facilitation import qr_routes, terms
from sitting.apps.facilitation.guesses import Guesses
from sitting.errors import RateLimited
from sitting.web.streams import STREAMS_PER_ACTOR
from tests.apps.facilitation.room import (
    JSON,
    PAGE,
    STREAM,
    House,
    answers,
    csrf,
    frames,
    is_,
    opened,
    outcome,
    refused,
    sent,
    until,
)
from tests.support.clock import ManualClock

UNKNOWN = "Team code not found. Please check and try again."
NONE_ACTIVE = "No active sessions for this team. Please wait for your facilitator."
NOT_FOUND = (404, "Session not found", "NOT_FOUND")
CSRF = (403, "CSRF token missing or invalid", "CSRF_FAILED")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with opened(tmp_path) as made:
        yield made


# Coming in


def test_who_meets_the_sign_in_page_with_a_code_is_shown_the_way(house: House) -> None:
    assert '<a href="/join">enter the code</a>' in house.client().get("/sign-in", headers=PAGE).text


def test_a_code_is_typed_in_any_spelling_and_a_wrong_one_stays_on_the_form(house: House) -> None:
    team, visitor = house.team(), house.client()
    refused(visitor.post("/join", data={"code": team.code}), 409, NONE_ACTIVE, "CONFLICT")
    page = visitor.get(f"/join/{team.code}", headers=PAGE)
    assert page.status_code == 409 and NONE_ACTIVE in page.text and f'value="{team.code}"' in page.text
    again = f'<noscript><meta http-equiv="refresh" content="5; url=/join/{team.code}"></noscript>'
    assert again in page.text and f'data-again="/join/{team.code}"' in page.text
    assert again in visitor.post("/join", data={"code": team.code}, headers=PAGE).text
    team.capturing()
    assert sent(visitor.post("/join", data={"code": f"  {team.code.lower()} "})) == f"/join/{team.code}"
    page = visitor.post("/join", data={"code": "NOSUCH"}, headers=PAGE)
    assert page.status_code == 404 and UNKNOWN in page.text and 'value="NOSUCH"' in page.text
    assert "refresh" not in page.text and "data-again" not in page.text
    assert sent(visitor.get(f"/join?code={team.code.lower()}", headers=PAGE)) == f"/join/{team.code}"
    page = visitor.get("/join?code=abcd", headers=PAGE)
    assert page.status_code == 404 and UNKNOWN in page.text and 'value="ABCD"' in page.text
    for form in ({}, {"code": team.code, "more": "x"}):
        assert visitor.post("/join", data=form).status_code == 422
    foreign = visitor.post("/join", data={"code": team.code}, headers={"Origin": "https://elsewhere.example"})
    refused(foreign, *CSRF)


def test_wrong_codes_are_counted_by_address_and_claims_go_on(tmp_path: Path) -> None:
    clock = ManualClock()
    with opened(tmp_path, clock=clock) as house:
        team = house.team()
        meeting = team.capturing()
        phone, visitor = meeting.device(1, "Mine"), house.client()
        for _ in range(10):
            refused(visitor.get("/join/WRONG1"), 404, UNKNOWN, "NOT_FOUND")
        for path in ("/join/WRONG1", f"/join/{team.code}", f"{meeting.room}/name"):
            limited = visitor.get(path)
            refused(limited, 429, "Too many attempts. Please wait and try again.", "RATE_LIMITED")
            assert 0 < int(limited.headers["retry-after"]) <= 600
        page = visitor.post("/join", data={"code": team.code}, headers=PAGE)
        assert page.status_code == 429 and "Too many attempts" in page.text and 'name="code"' in page.text
        assert page.headers["retry-after"] == limited.headers["retry-after"]
        assert phone.status()["submitted_count"] == 1
        assert phone.submits("Mine, again").status_code == 303
        clock.advance(600)
        assert visitor.get(f"/join/{team.code}", headers=PAGE).status_code == 303


def test_guesses_forget_and_take_a_network_for_one() -> None:
    guesses, clock = Guesses(), ManualClock()
    for number in range(10):
        guesses.wrong(f"2001:db8::{number:x}", clock.now())
        clock.advance(30)
    with pytest.raises(RateLimited) as caught:
        guesses.check("2001:db8::ffff", clock.now())
    assert caught.value.facts["retry_after"] == 300
    for other in ("2001:db8:0:1::1", "192.0.2.1", "unknown"):
        guesses.check(other, clock.now())
    for _ in range(10):
        guesses.wrong("::ffff:192.0.2.7", clock.now())
    guesses.check("::ffff:192.0.2.8", clock.now())
    with pytest.raises(RateLimited):
        guesses.wrong("::ffff:192.0.2.7", clock.now())
    clock.advance(600)
    guesses.check("2001:db8::1", clock.now())


def test_one_month_leads_on_several_are_offered_and_a_device_finds_back(house: House) -> None:
    team = house.team()
    january = team.capturing()
    visitor = house.client()
    for path in (f"/join/{team.code}", f"/join/{team.code}/session"):
        assert sent(visitor.get(path)) == f"{january.room}/name"
    phone = january.device(1)
    february = team.capturing("2026-02")
    page = visitor.get(f"/join/{team.code.lower()}", headers=PAGE).text
    assert page.index("January 2026") < page.index("February 2026") and "Back to where" not in page
    chosen = visitor.post(f"/join/{team.code}/session", data={"session_id": february.id})
    assert sent(chosen) == f"{february.room}/name"
    for id in ("nothing", team.id, team.plan("2026-03").id):
        refused(visitor.post(f"/join/{team.code}/session", data={"session_id": id}), *NOT_FOUND)
    for path in ("/join", f"/join/{team.code}", f"{february.room}/name"):
        assert f"{phone.place}/waiting" in phone.page(path)
    assert "You are Alice on this device" in phone.page(f"{january.room}/name")
    for meeting in (january, february):
        meeting.does("close")
    assert "Welcome back" in phone.page(f"/join/{team.code}")
    assert sent(visitor.get(f"{january.room}/name")) == f"/join/{team.code}"
    assert sent(phone.client.post("/join", data={"code": team.code})) == f"/join/{team.code}"


def test_the_names_tell_who_is_done_and_who_is_taken_and_no_more(house: House) -> None:
    team = house.team()
    meeting = team.capturing()
    before = meeting.head
    meeting.device(1, "canary"), meeting.device(2)
    visitor = meeting.device()
    page = visitor.page(f"{meeting.room}/name")
    buttons = re.findall(r'value="(\d)"( disabled)?>(.*?)</button>', page, re.DOTALL)
    assert [(id, bool(taken), "Done" in text) for id, taken, text in buttons] == [
        ("1", True, True), ("2", True, False), ("3", False, False),
    ]  # fmt: skip
    assert "canary" not in page and visitor.cookie is None
    assert meeting.head != before
    head = meeting.head
    visitor.page(f"{meeting.room}/name")
    assert meeting.head == head


# Claims


def test_the_form_that_claims_is_signed_for_its_session_and_for_an_hour(tmp_path: Path) -> None:
    clock = ManualClock()
    with opened(tmp_path, clock=clock) as house:
        team = house.team()
        meeting, other = team.capturing(), team.capturing("2026-02")
        visitor = meeting.device()
        path = f"{meeting.room}/name"
        token, foreign = visitor.token(path), visitor.token(f"{other.room}/name")
        until_, _, signature = token.partition(".")
        for wrong in (None, "", foreign, f"{int(until_) + 9}.{signature}", "x.y", f"{until_}."):
            form = {"member_id": "1"} | ({} if wrong is None else {"csrf_token": wrong})
            refused(visitor.client.post(path, data=form), *CSRF)
        clock.advance(3601)
        refused(visitor.client.post(path, data={"member_id": "1", "csrf_token": token}), *CSRF)
        fresh = visitor.token(path)
        assert visitor.client.post(path, data={"csrf_token": fresh}).status_code == 422
        for unknown in ("99", "x", "0", "-1", ""):
            form = {"member_id": unknown, "csrf_token": fresh}
            refused(visitor.client.post(path, data=form), 404, "Member not found", "NOT_FOUND")
        clock.advance(3599)
        claimed = visitor.client.post(path, data={"member_id": "1", "csrf_token": fresh})
        assert sent(claimed) == f"{meeting.room}/member/1/respond"


def test_a_claim_is_one_cookie_that_a_second_try_keeps(house: House) -> None:
    meeting = house.team().capturing()
    phone = meeting.device()
    first = phone.claims(1)
    cookie = first.headers["set-cookie"]
    assert re.match(rf"join-{meeting.id}=[\w-]{{43}};", cookie)
    assert all(part in cookie for part in ("HttpOnly", "SameSite=lax", "Max-Age=5184000", "Path=/"))
    again = phone.claims(1)
    assert sent(again) == f"{meeting.room}/member/1/respond" and "set-cookie" not in again.headers
    page = phone.claims(2, **PAGE)
    assert page.status_code == 409 and "You are Alice on this device. Leave first." in page.text
    assert meeting.types().count("claimed") == 1
    page = meeting.device().claims(1, **PAGE)
    assert page.status_code == 409 and "Ask the facilitator to release it." in page.text
    assert 'name="member_id"' in page.text


def test_a_claim_whose_answer_was_lost_is_given_again_to_the_same_form_of_the_same_browser(house: House) -> None:
    meeting = house.team().capturing()
    phone = meeting.device()
    assert phone.claims(1).status_code == 303
    held = phone.cookie
    phone.client.cookies.delete(f"join-{meeting.id}")
    other = meeting.device()
    other.page(f"{meeting.room}/name")
    for claim_token in (phone.claim_token, other.token(f"{meeting.room}/name")):
        other.claim_token = claim_token
        refused(
            other.claims(1), 409, "This name is already in use on another device. Ask the facilitator to release it."
        )
    browser = dict(phone.client.cookies)
    phone.client.cookies.clear()
    assert phone.claims(1).status_code == 409, "the form alone proves nothing"
    phone.client.cookies.update(browser)
    assert sent(phone.claims(1)) == f"{meeting.room}/member/1/respond"
    assert (phone.cookie, meeting.types().count("claimed")) == (held, 1)
    assert phone.submits("Mine").status_code == 303
    phone.client.cookies.delete(f"join-{meeting.id}")
    assert phone.claims(2).status_code == 303 and phone.cookie != held, "another name is another claim"


def test_a_personal_link_whose_answer_was_lost_can_be_used_again(house: House) -> None:
    meeting = house.team(settings={"join_by": "link"}).plan()
    meeting.does("links")
    place = f"/join/p/{link(meeting.page('/links'), 0)}"
    meeting.does("start")
    phone, other = meeting.device(), meeting.device()
    form = {"csrf_token": phone.token(place)}
    assert phone.client.post(place, data=form).status_code == 303
    held = phone.cookie
    phone.client.cookies.delete(f"join-{meeting.id}")
    assert phone.client.post(place, data=form).status_code == 303 and phone.cookie == held
    assert other.client.post(place, data={"csrf_token": other.token(place)}).status_code == 409


def test_over_tls_the_cookie_is_bound_to_the_host(tmp_path: Path) -> None:
    with opened(tmp_path, secure_cookies=True) as house:
        meeting = house.team().capturing()
        claimed = meeting.device().claims(2)
        cookie = claimed.headers["set-cookie"]
        assert cookie.startswith(f"__Host-join-{meeting.id}=") and "Secure" in cookie


def test_leaving_gives_the_name_back_until_something_was_sent(house: House) -> None:
    meeting = house.team().capturing()
    phone = meeting.device(1)
    left = phone.posts("/leave")
    assert sent(left) == f"{meeting.room}/name" and phone.cookie is None
    assert meeting.device(1, "Somebody else").member == 1
    assert phone.claims(2).status_code == 303 and phone.submits("Mine").status_code == 303
    kept = phone.posts("/leave", seen=f"{phone.place}/respond")
    assert kept.status_code == 409 and "set-cookie" not in kept.headers
    refused(phone.client.post(f"{meeting.room}/leave"), *CSRF)


def test_a_personal_link_is_for_one_name(house: House) -> None:
    team = house.team(settings={"join_by": "link"})
    meeting = team.plan()
    meeting.does("links")
    alice, bob = (link(meeting.page("/links"), number) for number in (0, 1))
    phone, other = meeting.device(), meeting.device()
    assert "has not started yet" in phone.page(f"/join/p/{alice}")
    meeting.does("start")
    assert "Use your personal link to join." in phone.page(f"{meeting.room}/name")
    form = {"csrf_token": phone.token(f"/join/p/{alice}"), "member_id": "1"}
    refused(phone.client.post(f"{meeting.room}/name", data=form), 403, "Use your personal link to join.")
    refused(other.client.post(f"{meeting.room}/name", data={"member_id": "1"}), 403, "Use your personal link to join.")
    del form["member_id"]
    refused(phone.client.post(f"/join/p/{alice}"), *CSRF)
    assert sent(phone.client.post(f"/join/p/{alice}", data=form)) == f"{meeting.room}/member/1/respond"
    assert "Continue as Alice" in phone.page(f"/join/p/{alice}")
    used = other.client.post(f"/join/p/{alice}", data={"csrf_token": other.token(f"/join/p/{alice}")}, headers=PAGE)
    assert used.status_code == 409 and "already in use on another device" in used.text
    held = phone.client.post(f"/join/p/{bob}", data={"csrf_token": phone.token(f"/join/p/{bob}")})
    refused(held, 409, "You are Alice on this device. Leave first.", "CONFLICT")
    meeting.does("close")
    for token in (alice, bob, "x" * 43, "x" * 500):
        refused(other.client.get(f"/join/p/{token}"), 404, "This link is not valid.", "NOT_FOUND")


def link(page: str, number: int) -> str:
    found: list[str] = re.findall(r"/join/p/([\w-]{43})", page)
    return found[number]


# With a name


def test_a_refused_response_comes_back_with_what_was_typed(house: House) -> None:
    meeting = house.team(settings={"card_required": True}).capturing()
    phone = meeting.device(1)
    long = "x" * 501
    for form, text in (
        ({"bullet": ["kept"]}, "Image selection required"),
        ({"bullet": ["kept"], "card": "7", "image_id": "8"}, "Invalid card"),
        ({"bullet": ["kept"], "card": "seven"}, "Invalid card"),
        ({"bullet": ["kept", long], "card": "7"}, "Each bullet point must be 500 characters or less"),
        ({"bullet": [" ", ""], "card": "7"}, "Must have 1-5 bullet points"),
        ({"bullet": ["kept"], "bullets": '["kept"]', "card": "7"}, "Invalid bullets format"),
        ({"bullets": '["kept"', "card": "7"}, "Invalid bullets format"),
        ({"bullets": '{"a":1}', "card": "7"}, "Invalid bullets format"),
    ):
        refused(phone.submits(form=form), 400, text, "VALIDATION_ERROR")
        page = phone.submits(form=form, **PAGE)
        assert page.status_code == 400 and text in page.text
        assert "bullet" not in form or form["bullet"][0] != "kept" or "\nkept</textarea>" in page.text
        assert "7" not in form.get("card", "") or form.get("image_id") or 'value="7" checked' in page.text
    listed = phone.submits(form={"bullets": '["kept"]', "image_id": "56"}, **PAGE)
    assert listed.status_code == 400 and "\nkept</textarea>" in listed.text
    assert phone.submits(form={"bullet": ["x"], "card": "7", "more": "1"}).status_code == 422
    assert phone.status()["my_response"] is None
    assert phone.submits(form={"bullets": json.dumps(["a\r\nb", "", "c"]), "image_id": "7"}).status_code == 303
    mine = phone.response
    assert mine and (mine["card"], mine["bullets"]) == (7, ["a b", "c"])
    filled = phone.page(f"{phone.place}/respond")
    assert 'value="7" checked' in filled and "\na b</textarea>" in filled and f'data-leaf="{mine["leaf"]}"' in filled


def test_after_the_close_the_words_are_given_back(house: House) -> None:
    meeting = house.team().capturing()
    phone = meeting.device(1)
    token = phone.token(f"{phone.place}/respond")
    meeting.does("close")
    for form in (
        {"card": "14", "bullet": ["<b>late</b>\r\nwords", "", "more"]},
        {"card": "14", "bullets": '["<b>late</b>\\nwords", "more"]'},
        {"card": "14", "bullet": ["<b>late</b>\nwords", "more"] + ["x"] * 9},
    ):
        answer = phone.client.post(f"{phone.place}/respond", data={**form, "csrf_token": token}, headers=PAGE)
        assert answer.status_code == 409 and answer.headers["sitting-code"] == "WRONG_STATE"
        assert "\n&lt;b&gt;late&lt;/b&gt;\nwords\nmore" in answer.text and "Target" in answer.text
    wrong = {"card": "99", "bullet": "late words", "csrf_token": token}
    answer = phone.client.post(f"{phone.place}/respond", data=wrong, headers=PAGE)
    assert answer.status_code == 409 and "\nlate words" in answer.text, "what is wrong with it does not matter any more"
    page = phone.page(f"{phone.place}/respond")
    assert "Session Closed" in page and 'name="bullet"' not in page
    assert "You have not sent a response this time." in phone.page(f"{phone.place}/waiting")
    assert sent(phone.client.get(f"{meeting.room}/synthesis")) == f"{phone.place}/waiting"


def test_a_claim_opens_its_own_pages_only(house: House) -> None:
    team, other = house.team(), house.team("Dan")
    meeting = team.capturing()
    phone = meeting.device(1)
    theirs = f"/join/{other.code}/session/{meeting.id}"
    for path in (f"{meeting.room}/member/2/waiting", f"{meeting.room}/member/01/waiting", f"{theirs}/status",
                 f"{theirs}/member/1/respond", f"{theirs}/events"):  # fmt: skip
        refused(phone.client.get(path), *NOT_FOUND)
    for path in ("status", "synthesis", "events", "member/1/waiting"):
        refused(house.client().get(f"{meeting.room}/{path}"), *NOT_FOUND)
    page = house.client().get(f"{meeting.room}/member/1/waiting", headers=PAGE)
    assert page.status_code == 404 and "Sign out" not in page.text and 'href="/join"' in page.text


def test_a_claim_follows_its_session_whoever_is_signed_in_there(house: House) -> None:
    meeting = house.team().capturing()
    phone = meeting.device(1)
    access = house.installation.access
    stranger = access.create_account("Stranger").result()
    phone.client.cookies.set("sitting", access.use_link(access.make_link(stranger).result()).result())
    with phone.client.stream("GET", f"{meeting.room}/events", headers=STREAM) as stream:
        assert stream.status_code == 200, stream.read()
        found = frames(stream.iter_lines())
        meeting.device(2, "canary")
        seen = until(found, is_("submitted"))
    assert seen[-1]["data"]["data"]["name"] == "Bob" and "canary" not in json.dumps(seen)


def test_the_result_shows_the_own_response_and_takes_a_name_once(house: House) -> None:
    team = house.team(settings={"anonymity": "anonymous"})
    meeting = team.capturing()
    phones = meeting.filled("first", "second", "third")
    meeting.to("revealed")
    place = f"{meeting.room}/synthesis"
    page = phones[0].page(place)
    assert "3 sealed, 3 shown, digest matches" in page and "<code>matches: true</code>" in page
    assert "<strong>Alice</strong>" not in page and page.count(">Yours<") == 1
    label = re.search(r'name="response" value="(R\d)"', page)
    assert label is not None
    refused(phones[0].posts("/authorship", seen=place, response="R" * 30), 404, "Response not found", "NOT_FOUND")
    assert sent(phones[0].posts("/authorship", seen=place, response=label[1])) == place
    page = phones[0].page(place)
    assert "<strong>Alice</strong>" in page and 'name="response"' not in page
    assert "<strong>Alice</strong>" in phones[1].page(place)
    assert f"{place}" in phones[1].page(f"{phones[1].place}/waiting")


def test_who_sends_too_often_waits_and_keeps_what_was_typed(house: House) -> None:
    meeting = house.team().capturing()
    phone = meeting.device(1)
    for _ in range(terms.SUBMITS_A_MINUTE):
        assert phone.submits("again").status_code == 303
    refused(answer := phone.submits("too much"), 429, "Too many attempts. Please wait and try again.", "RATE_LIMITED")
    assert answer.headers["retry-after"] == "60"
    page = phone.submits("my typed words", **PAGE)
    assert (page.status_code, page.headers["retry-after"]) == (429, "60") and "my typed words" in page.text


# The big screen


def test_the_big_screen_is_the_facilitators_and_shows_what_the_room_may_see(house: House) -> None:
    team = house.team()
    meeting = team.plan()
    assert "Nothing is open from earlier months" in meeting.page("/meeting")
    meeting.does("start")
    page = meeting.page("/meeting")
    assert team.code in page and f"/admin/qr/team/{team.id}" in page and "0 of 3" in page
    phones = meeting.filled("first canary", "second canary", "third canary")
    assert "canary" not in meeting.page("/meeting")
    meeting.does("close")
    closed = meeting.page("/meeting?level=3")
    assert "canary" not in closed and meeting.panel()["seal"]["digest"] in closed
    meeting.does("reveal")
    levels = [meeting.page(f"/meeting?level={level}") for level in (1, 2, 3)]
    assert all("canary</li>" in level for level in levels), "a level is chosen, not fetched"
    assert [re.findall(r'<div class="stack"( hidden)?>', level) for level in levels] == [
        ["", " hidden", " hidden"], [" hidden", "", " hidden"], [" hidden", " hidden", ""]
    ]  # fmt: skip
    assert all("3 sealed, 3 shown, digest matches" in level for level in levels)
    assert meeting.get("/meeting?level=4").status_code == 422
    for path in ("/capture", "/present"):
        assert sent(meeting.get(path)) == f"{meeting.url}/meeting"
    for path in ("/meeting", "/capture", "/meeting/events"):
        refused(house.facilitator("Eve").get(meeting.url + path), *NOT_FOUND)
        refused(phones[0].client.get(meeting.url + path, headers=JSON), 401, "Not authenticated", "NOT_AUTHENTICATED")


def test_the_big_screens_stream_carries_no_answer_and_no_word_of_the_model(house: House) -> None:
    meeting = house.team().capturing()
    house.plays(*answers(outcome(themes="canary of the model")))
    with meeting.by.stream("GET", f"{meeting.url}/meeting/events?after=0", headers=STREAM) as stream:
        assert stream.status_code == 200, stream.read()
        found = frames(stream.iter_lines())
        meeting.filled("first canary", "second canary", "third canary")
        meeting.does("close")
        seen = until(found, is_("synthesis_completed"))
        assert "canary" not in json.dumps(seen)
        assert {frame["event"] for frame in seen if "event" in frame} <= {"hb"}
        told = [frame["data"]["type"] for frame in seen if "data" in frame and "event" not in frame]
        assert told.count("submitted") == 3 and "claimed" not in told
        assert meeting.by.post(f"/v1/sessions/{meeting.id}/commands/reveal", json={}).status_code == 200
        until(found, is_("revealed"))


def test_the_big_screens_of_one_meeting_hold_up_no_other(house: House) -> None:
    meeting, other = house.team().capturing(), house.team().capturing()
    house.served.server.app.state.streams._open[meeting.id] = STREAMS_PER_ACTOR
    for path, headers in (("?after=0", STREAM), ("?wait=1", {})):
        for each, status in ((meeting, 429), (other, 200)):
            with each.by.stream("GET", f"{each.url}/meeting/events{path}", headers=headers) as answer:
                assert answer.status_code == status


@pytest.mark.parametrize(
    ("url", "only_here"),
    [
        *((f"http://{host}:8000/join/X", True) for host in ("127.0.0.1", "127.9.9.9", "[::1]", "localhost")),
        *((f"http://{host}/join/X", False) for host in ("192.168.1.20:8000", "[fd00::1]", "sitting.example")),
    ],
)
def test_an_address_of_this_computer_only_is_known(url: str, only_here: bool) -> None:
    assert qr_routes.is_unreachable(url) is only_here


def test_the_big_screen_and_the_panel_warn_of_such_an_address(house: House) -> None:
    meeting = house.team().capturing()
    for path in ("", "/meeting"):
        assert "Phones cannot open this address" in meeting.page(path)


def test_the_qr_code_needs_a_facilitator(house: House) -> None:
    team = house.team()
    shown = team.by.get(f"/admin/qr/team/{team.id}")
    assert shown.headers["content-type"] == "image/png" and shown.headers["cache-control"] == "private, max-age=3600"
    kept = team.by.get(f"/admin/qr/team/{team.id}/download")
    assert f'filename="qr-{team.code}.png"' in kept.headers["content-disposition"]
    for path in (f"/admin/qr/team/{team.id}", f"/admin/qr/team/{team.id}/download"):
        refused(house.facilitator("Eve").get(path), 404, "Team not found", "NOT_FOUND")
    assert house.client().get(f"/admin/qr/team/{team.id}", headers={"Accept": "application/json"}).status_code == 401


def test_the_token_of_a_page_is_the_devices_own(house: House) -> None:
    meeting = house.team().capturing()
    mine, theirs = meeting.device(1), meeting.device(2)
    token = csrf(theirs.page(f"{theirs.place}/respond"))
    form = {"bullet": "x", "csrf_token": token}
    refused(mine.client.post(f"{mine.place}/respond", data=form), *CSRF)
