"""The facilitator's routes over HTTP: what forms take and refuse, in which words, and what the pages carry."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from sitting import bundle
from tests.apps.facilitation.room import JSON, PAGE, House, Meeting, body, csrf, opened, refused, sent

TEAM = re.compile(r"/admin/teams/[0-9a-f-]{36}")
UNKNOWN = "00000000-0000-4000-8000-000000000000"
POSTS = (
    "start close reveal recalibration month reopen timer notes anonymity delete members/add links synthesize".split()
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("admin")) as made:
        yield made


def signed_in(house: House) -> tuple[httpx.Client, str]:
    """A browser with the sign-in cookie, and the token of its pages."""
    access = house.installation.access
    account = access.create_account("Cookie").result()
    cookie = access.use_link(access.make_link(account).result()).result()
    client = house.client()
    client.cookies.set("sitting", cookie)
    return client, csrf(client.get("/admin/teams/create", headers=PAGE).text)


# Who asks


def test_pages_lead_to_the_sign_in_and_data_says_so(house: House) -> None:
    meeting, nobody = house.team().plan(), house.client()
    page = nobody.get(f"{meeting.url}?a=1")
    assert (page.status_code, page.headers["location"]) == (
        303,
        f"/sign-in?next=%2Fadmin%2Fsessions%2F{meeting.id}%3Fa%3D1",
    )
    assert page.headers["sitting-code"] == "NOT_AUTHENTICATED"
    for named in ("application/json", "text/html, application/json;q=0.5"):
        refused(nobody.get(meeting.url, headers={"Accept": named}), 401, "Not authenticated", "NOT_AUTHENTICATED")
    for path in ("status", "synthesis-status"):
        for headers in ({}, PAGE, JSON):
            refused(nobody.get(f"{meeting.url}/{path}", headers=headers), 401, "Not authenticated")
    for path in ("companies", "teams", "sessions"):
        refused(nobody.get(f"/admin/api/{path}", headers=PAGE), 401, "Not authenticated")
    assert sent(nobody.get("/admin/login")).startswith("/sign-in")
    assert sent(nobody.get("/admin/logout")) == "/sign-out"


def test_every_refusal_has_one_of_the_codes_that_are_promised(house: House) -> None:
    team = house.team()
    for answer, status, code in (
        (team.by.post(f"{team.sessions}/create", json={"month": "2026-01"}), 415, "VALIDATION_ERROR"),
        (team.by.put(f"{team.sessions}/create"), 405, "NOT_FOUND"),
        (team.posts("/members", name="x" * 70_000), 413, "VALIDATION_ERROR"),
    ):
        assert (answer.status_code, answer.headers["sitting-code"]) == (status, code)


def test_a_cookie_needs_the_token_of_our_page_and_a_claim_proves_nothing(house: House) -> None:
    client, token = signed_in(house)
    form = {"company_name": "Acme", "team_name": "Cookie crew"}
    refused(client.post("/admin/teams/create", data=form), 403, "CSRF token missing or invalid", "CSRF_FAILED")
    assert TEAM.fullmatch(sent(client.post("/admin/teams/create", data={**form, "csrf_token": token})))
    meeting = house.team().capturing()
    phone = meeting.device(1)
    assert phone.client.get(meeting.url).status_code == 303
    refused(phone.client.get(f"{meeting.url}/status"), 401, "Not authenticated")


@pytest.mark.parametrize("path", POSTS)
def test_who_may_not_see_a_session_learns_nothing_from_a_wrong_form(house: House, path: str) -> None:
    meeting, stranger = house.team().plan(), house.facilitator("Stranger")
    for form in ({}, {"strange": "field"}, {"month": "x", "completed": "x", "seconds": "x"}):
        refused(stranger.post(f"{meeting.url}/{path}", data=form), 404, "Session not found", "NOT_FOUND")
        refused(meeting.by.post(f"/admin/sessions/{UNKNOWN}/{path}", data=form), 404, "Session not found")


# Forms


@pytest.mark.parametrize("path", ["start", "recalibration", "notes", "timer", "reopen", "month", "delete", "anonymity"])
def test_a_form_takes_only_its_own_fields(house: House, path: str) -> None:
    meeting = house.team().plan()
    answer = meeting.posts(path, {"strange": "secret words", "month": "2026-02", "completed": "true", "seconds": "60"})
    assert (answer.status_code, answer.headers["sitting-code"]) == (422, "VALIDATION_ERROR")
    found = {(item["type"], tuple(item["loc"])) for item in answer.json()["detail"]}
    assert ("extra_forbidden", ("body", "strange")) in found
    assert "secret words" not in answer.text


def test_findings_name_their_place_and_never_the_input(house: House) -> None:
    meeting = house.team().capturing()
    one = meeting.posts("recalibration")
    assert one.json() == {"detail": [{"type": "missing", "loc": ["body", "completed"], "msg": "Field required"}]}
    two = meeting.posts("recalibration", {"completed": "perhaps"}).json()["detail"][0]
    assert two["loc"] == ["body", "completed"]
    assert "perhaps" not in str(two)
    for seconds in ("", "x", "29", "-5", "1e3", "2592001"):
        assert meeting.posts("timer", {"seconds": seconds}).status_code == 422, seconds
    assert meeting.by.get("/admin/sessions/history", params={"limit": "0"}).json()["detail"][0]["loc"] == [
        "query",
        "limit",
    ]


def test_a_browser_gets_the_page_again_with_what_was_typed(house: House) -> None:
    meeting = house.team().capturing()
    taken = house.team(by=meeting.by, code=f"T{meeting.id[:6].upper()}")
    answer = meeting.by.post(
        "/admin/teams/create", headers=PAGE, data={"company_name": "Acme & Söhne", "code": taken.code}
    )
    assert answer.status_code == 422
    assert "Acme &amp; Söhne" in answer.text
    answer = meeting.by.post(
        "/admin/teams/create",
        headers=PAGE,
        data={"company_name": "Acme", "team_name": "Typed", "code": taken.code.lower()},
    )
    assert answer.status_code == 409
    assert f"Team code &#39;{taken.code}&#39; already exists. Please choose a different code." in answer.text
    assert 'value="Typed"' in answer.text
    month = meeting.by.post(f"{meeting.team.sessions}/create", headers=PAGE, data={"month": meeting.month})
    assert month.status_code == 409
    assert f"Session for {meeting.month} already exists." in month.text
    late = meeting.by.post(f"{meeting.url}/notes", headers=PAGE, data={"facilitator_notes": "Words <b>kept</b>"})
    assert late.status_code == 400
    assert "Cannot save notes. Session is in &#39;capturing&#39; state." in late.text
    wrong = meeting.by.post(f"{meeting.url}/reveal", headers=PAGE)
    assert (wrong.status_code, wrong.headers["sitting-code"]) == (400, "WRONG_STATE")
    assert "Cannot reveal synthesis. Session is in &#39;capturing&#39; state." in wrong.text


def test_a_missing_thing_is_a_page_for_people(house: House) -> None:
    fay = house.facilitator()
    for path, text in (
        (f"/admin/sessions/{UNKNOWN}", "Session not found"),
        (f"/admin/teams/{UNKNOWN}", "Team not found"),
    ):
        refused(fay.get(path), 404, text, "NOT_FOUND")
        page = fay.get(path, headers=PAGE)
        assert (page.status_code, page.headers["sitting-code"]) == (404, "NOT_FOUND")
        assert f"<h1>{text}</h1>" in page.text


def test_a_repeat_with_its_key_gets_the_first_answer(house: House) -> None:
    meeting = house.team().plan()
    key = {"Idempotency-Key": "one"}
    first = meeting.posts("start", None, **key)
    again = meeting.posts("start", None, **key)
    assert sent(first) == sent(again) == meeting.url
    assert meeting.types().count("started") == 1
    meeting.posts("timer", {"seconds": "60"}, **{"Idempotency-Key": "two"})
    other = meeting.posts("timer", {"seconds": "90"}, **{"Idempotency-Key": "two"})
    assert (other.status_code, other.headers["sitting-code"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    for _ in range(2):
        assert sent(meeting.posts("members/add", {"name": "Eve"}, **{"Idempotency-Key": "three"})) == meeting.url
    assert meeting.status()["total_members"] == 4


def test_too_much_at_once(house: House) -> None:
    meeting = house.team().plan()
    answer = meeting.posts("notes", {"facilitator_notes": "x" * 70_000})
    assert (answer.status_code, set(answer.json())) == (413, {"detail"})


# Teams


def test_a_team_is_made_changed_and_deleted(house: House) -> None:
    fay = house.facilitator()
    place = sent(
        fay.post("/admin/teams/create", data={"company_name": " Acme ", "team_name": "Crew", "auto_reveal": "on"})
    )
    id = place.split("/")[3]
    made = body(fay.get(f"/admin/teams/{id}", headers=JSON))
    assert (made["company_name"], made["settings"]["auto_reveal"]) == ("Acme", True)
    assert re.fullmatch("[23456789ABCDEFGHJKMNPQRSTUVWXYZ]{6}", made["code"])
    for code in ("abc", "x" * 21, "with space", "ÄÄÄÄ", "a-b-c"):
        refused(fay.post(f"/admin/teams/{id}", data={"code": code}), 422, "Team code must be 4-20 letters or digits.")
    other = house.team(by=fay)
    text = f"Team code '{other.code}' already exists. Please choose a different code."
    refused(fay.post(f"/admin/teams/{id}", data={"code": other.code}), 409, text, "CONFLICT")
    changed = {"team_name": "Crew 2", "code": "crew42x", "auto_reveal": "false", "anonymity": "anonymous"}
    assert sent(fay.post(f"/admin/teams/{id}", data=changed)) == f"/admin/teams/{id}"
    now = body(fay.get(f"/admin/teams/{id}", headers=JSON))
    assert (now["team_name"], now["code"], now["company_name"]) == ("Crew 2", "CREW42X", "Acme")
    assert (now["settings"]["auto_reveal"], now["settings"]["anonymity"]) == (False, "anonymous")
    assert fay.post(f"/admin/teams/{id}/delete", data={"confirm": "Crew"}).status_code == 422
    assert sent(fay.post(f"/admin/teams/{id}/delete", data={"confirm": "Crew 2"})) == "/admin/teams"
    refused(fay.get(f"/admin/teams/{id}"), 404, "Team not found")


def test_members_come_and_go(house: House) -> None:
    team = house.team()
    refused(team.posts("/members", name="alice"), 409, "A member with this name already exists.", "CONFLICT")
    for unseen in ("  ", "\u200b", "\u202e\u2066"):
        assert team.posts("/members", name=unseen).status_code == 422
    form = team.by.post(f"/admin/teams/{team.id}/members", data={"nonsense": "1"}, headers=PAGE)
    assert form.status_code == 422 and "Extra inputs are not permitted" in form.text
    sent(team.posts("/members/2/rename", name="\u202eBob\u2066"))
    assert body(team.by.get(f"/admin/teams/{team.id}/members", headers=JSON))["members"][1]["name"] == "Bob"
    assert sent(team.posts("/members/1/rename", name="Alicia")) == f"/admin/teams/{team.id}/members"
    for path in ("/members/99/rename", "/members/x/rename", "/members/0/rename"):
        refused(team.posts(path, name="Zed"), 404, "Member not found", "NOT_FOUND")
    refused(team.posts("/members/77/delete"), 404, "Member not found")
    sent(team.posts("/members/2/delete"))
    members = body(team.by.get(f"/admin/teams/{team.id}/members", headers=JSON))["members"]
    assert [(each["id"], each["name"], each["active"]) for each in members] == [
        (1, "Alicia", True), (2, "Bob", False), (3, "Cy", True)
    ]  # fmt: skip
    page = team.by.get(f"/admin/teams/{team.id}/members", headers=PAGE).text
    assert "Former members" in page


def test_facilitators_and_the_last_one(house: House) -> None:
    team = house.team()
    other = house.served.person("Second")
    only = body(team.by.get(f"/admin/teams/{team.id}", headers=JSON))["facilitators"][0]
    refused(team.posts(f"/facilitators/{only}/delete"), 400, "A team needs at least one facilitator.")
    sent(team.posts("/facilitators", actor_id=other.actor.id))
    second = house.client(other)
    assert second.get(f"/admin/teams/{team.id}").status_code == 200
    sent(team.posts(f"/facilitators/{other.actor.id}/delete"))
    refused(second.get(f"/admin/teams/{team.id}"), 404, "Team not found")
    assert team.posts("/facilitators", actor_id="nobody").status_code == 422
    access = house.installation.access
    foreign = access.create_account("Foreigner", space=access.create_space("Elsewhere").result()).result()
    for unknown in ("user:nobody", foreign):
        refused(team.posts("/facilitators", actor_id=unknown), 404, "Facilitator not found")
        told = team.by.post(f"/v1/sessions/{team.id}/commands/add_facilitator", json={"actor_id": unknown})
        assert (told.status_code, told.json()["detail"]) == (404, "Facilitator not found")
    assert body(team.by.get(f"/admin/teams/{team.id}", headers=JSON))["facilitators"] == [only]


def test_actions_stay_with_the_team(house: House) -> None:
    meeting = house.team().plan()
    team = meeting.team
    place = sent(
        team.posts("/actions", text="Write it down", owner_member_id="1", due_on="2026-02-01", session_id=meeting.id)
    )
    assert place == meeting.url
    action = meeting.panel()["open_actions"][0]
    assert (action["text"], action["due_on"]) == ("Write it down", "2026-02-01")
    sent(team.posts(f"/actions/{action['id']}", status="done", outcome="It stands", session_id=meeting.id))
    assert meeting.panel()["open_actions"] == []
    assert sent(team.posts(f"/actions/{action['id']}", due_on="", session_id="")) == f"/admin/teams/{team.id}"
    refused(team.posts("/actions/99", status="done"), 404, "Action not found")
    for elsewhere in (UNKNOWN, house.team().plan().id):
        refused(team.posts("/actions", text="x", session_id=elsewhere), 404, "Session not found")
    assert team.posts(f"/actions/{action['id']}", status="lost").status_code == 422
    assert team.posts("/actions", text="x", due_on="2026-02-30", session_id=meeting.id).status_code == 422


# Sessions


def test_month_notes_anonymity_and_delete(house: House) -> None:
    team = house.team()
    first, second = team.plan("2026-01"), team.plan("2026-02")
    refused(second.posts("month", {"month": "2026-01"}), 409, "Session for 2026-01 already exists.", "CONFLICT")
    refused(second.posts("month", {"month": "2026-1"}), 422, "Invalid month format. Use YYYY-MM.", "VALIDATION_ERROR")
    second.does("month", month="2026-03")
    assert second.panel()["month"] == "2026-03"
    second.does("anonymity", level="facilitator_only")
    for field in ("level", "anonymity"):
        refused(second.posts("anonymity", {field: "named"}), 400, "Anonymity can only be raised.")
    refused(first.posts("notes", {"facilitator_notes": "x"}), 400, "Cannot save notes. Session is in 'draft' state.")
    first.to("closed")
    first.does("notes", facilitator_notes="one\r\ntwo", recalibration_action="Talk less")
    assert first.panel()["facilitator_notes"] == "one\ntwo"
    assert first.panel()["recalibration_action"] == "Talk less"
    assert first.posts("notes").status_code == 422
    assert first.posts("delete", {"confirm": "2026-02"}).status_code == 422
    assert sent(first.posts("delete", {"confirm": "2026-01"})) == team.sessions
    refused(first.get("/status"), 404, "Session not found")
    assert sent(team.by.post(f"{team.sessions}/create", data={"month": "2026-01"}))


def test_roster_release_and_clear(house: House) -> None:
    meeting = house.team().plan()
    refused(meeting.posts("member/1/release"), 400, "Cannot release claim. Session is in 'draft' state.")
    meeting.does("members/add", name="Dora")
    meeting.does("start")
    assert meeting.status()["total_members"] == 4
    meeting.does("members/add", name="Eve")
    refused(meeting.posts("members/add", {"name": "eve"}), 409, "A member with this name already exists.")
    sent(meeting.team.posts("/members", name="Late"))
    meeting.does("members/add", name="Late")
    assert [each["name"] for each in meeting.status()["members"]][-2:] == ["Eve", "Late"]
    meeting.device(1, "Something")
    text = "Cannot remove a member who has submitted. Clear the response first."
    refused(meeting.posts("members/1/remove"), 400, text)
    refused(meeting.posts("member/2/clear"), 404, "Response not found", "NOT_FOUND")
    refused(meeting.posts("member/2/release"), 404, "Claim not found", "NOT_FOUND")
    meeting.does("member/1/clear", reason="asked for")
    meeting.does("member/1/release")
    meeting.does("members/1/remove")
    assert 1 not in [each["id"] for each in meeting.status()["members"]]
    meeting.does("close")
    refused(meeting.posts("members/add", {"name": "Zed"}), 400, "Cannot change roster. Session is in 'closed' state.")


def test_personal_links(house: House) -> None:
    meeting = house.team().capturing()
    assert sent(meeting.posts("links")) == f"{meeting.url}/links"
    links = body(meeting.get("/links", **JSON))["links"]
    assert [link["name"] for link in links] == ["Alice", "Bob", "Cy"]
    assert all(link["url"].startswith(f"{house.served.url}/join/p/") for link in links)
    sent(meeting.posts("links", {"member_id": ["2"]}))
    again = body(meeting.get("/links", **JSON))["links"]
    assert [old["url"] == new["url"] for old, new in zip(links, again, strict=True)] == [True, False, True]
    assert links[0]["url"] in meeting.page("/links")
    meeting.does("close")
    refused(meeting.posts("links"), 400, "Cannot issue links. Session is in 'closed' state.")


def test_synthesis_refusals_in_their_order(house: House) -> None:
    meeting = house.team(settings={"auto_synthesize": False}).capturing()
    for path in ("synthesize", "synthesize/retry", "synthesize/cancel"):
        refused(
            meeting.posts(path, {"job": "x"} if "cancel" in path else {}),
            400,
            "Cannot synthesize. Session is in 'capturing' state.",
        )
    meeting.filled("one", "two")
    meeting.does("close")
    refused(meeting.posts("synthesize"), 400, "Insufficient responses for synthesis (minimum 3 required).")
    refused(meeting.posts("synthesize/cancel", {"job": "x"}), 409, "This job is no longer running.", "CONFLICT")
    meeting.does("reopen")
    meeting.device(3, "three")
    meeting.does("close")
    text = "No language model is configured. See /help/models."
    refused(meeting.posts("synthesize"), 503, text, "MODEL_NOT_CONFIGURED")
    assert set(body(meeting.get("/synthesis-status"))) == {"status", "has_error", "error_message"}


# Lists, trend, exports


def test_lists_and_search(house: House) -> None:
    fay = house.facilitator("Lister")
    team = house.team(by=fay, company_name="Umbra", team_name="Night shift")
    for month in ("2026-03", "2026-01", "2026-02"):
        team.plan(month)
    listed = body(fay.get(team.sessions, headers=JSON))
    assert [each["month"] for each in listed["sessions"]] == ["2026-03", "2026-02", "2026-01"]
    page = body(fay.get(team.sessions, headers=JSON, params={"limit": 1, "offset": 1}))
    assert (page["sessions"][0]["month"], page["total"], page["limit"], page["offset"]) == ("2026-02", 3, 1, 1)
    assert body(fay.get("/admin/api/companies"))["items"] == [{"name": "Umbra", "teams": 1}]
    assert body(fay.get("/admin/api/teams", params={"search": "night"}))["items"][0]["members"] == 3
    assert body(fay.get("/admin/api/teams", params={"search": "nothing"}))["total"] == 0
    found = body(fay.get("/admin/api/sessions", params={"search": "2026-02"}))
    assert [(each["month"], each["team_name"]) for each in found["items"]] == [("2026-02", "Night shift")]
    assert set(found["items"][0]) == {
        "session_id", "month", "state", "total_members", "submitted_count", "gap_type", "recalibration_completed",
        "team_name",
    }  # fmt: skip
    for word in ("night SHIFT", team.code, "2026-"):
        found = body(fay.get("/admin/api/sessions", params={"search": word, "limit": 1, "offset": 1}))
        assert (len(found["items"]), found["total"], found["limit"], found["offset"]) == (1, 3, 1, 1), word
    assert body(fay.get("/admin/api/sessions", params={"search": "nowhere"}))["items"] == []
    for path in ("/admin", "/admin/teams", "/admin/sessions/history", team.sessions, f"{team.sessions}/create"):
        assert fay.get(path, headers=PAGE).status_code == 200, path
    drafts = body(fay.get("/admin/sessions/history", headers=JSON, params={"team": team.id, "state": "draft"}))
    assert drafts["total"] == 3


def revealed(house: House, **settings: str) -> Meeting:
    meeting = house.team(settings=dict(settings)).capturing()
    meeting.filled("=1+1 is a formula", "<script>alert(1)</script>", "We agree on the goal")
    return meeting.to("revealed")


def test_exports_and_the_offline_check(house: House) -> None:
    early = house.team().capturing()
    for form in ("", "/level1", "/level2", "/level3", "/markdown", "/csv", "/print", "/pdf"):
        refused(early.get(f"/export{form}"), 400, "Cannot export. Session is in 'capturing' state.", "WRONG_STATE")
    meeting = revealed(house)
    refused(meeting.get("/export/exe"), 404, "There is no such export.")
    whole = meeting.get("/export")
    document = whole.json()
    assert document["format"] == "sitting.facilitation/1"
    assert f"session-2026-01-{meeting.team.code}.json" in whole.headers["content-disposition"]
    verdict = bundle.verify_file(whole.content)
    assert (verdict.ok, verdict.session) == (True, meeting.id)
    document["panel"]["responses"][0]["bullets"] = ["Another"]
    assert not bundle.verify_file(json.dumps(document).encode()).ok
    assert set(meeting.get("/export/level1").json()) == {"themes", "gap_type"}
    assert set(meeting.get("/export/level3").json()) == {"responses"}
    assert "'=1+1 is a formula" in meeting.get("/export/csv").text
    assert sent(meeting.get("/export/pdf")) == f"{meeting.url}/export/print"
    assert "<script>alert" not in meeting.page("/export/print")
    assert "4 sealed" not in meeting.page("/export/print")


def test_trend_leads_to_the_statements(house: House) -> None:
    meeting = revealed(house)
    months = body(meeting.by.get(f"/admin/teams/{meeting.team.id}/trend", headers=JSON))["months"]
    assert [(each["month"], each["submitted_count"], each["total_members"]) for each in months] == [("2026-01", 3, 3)]
    page = meeting.by.get(f"/admin/teams/{meeting.team.id}/trend", headers=PAGE).text
    assert f"{meeting.url}#level-2" in page


# The panel


def main_button(page: str) -> str:
    """What stands on the main button, or on what opens its second step."""
    after = page.partition('main-action main-move"')[2]
    found = re.search(r'class="button button-primary"[^>]*>([^<…]+)', after)
    assert found is not None
    return found[1]


def test_one_main_button_in_each_state(house: House) -> None:
    meeting = house.team().plan()
    for state, label in (
        ("draft", "Start Capturing"),
        ("capturing", "Close Capture"),
        ("closed", "Reveal Synthesis"),
        ("revealed", "Save action"),
    ):
        page = meeting.to(state).page()
        assert page.count('main-action main-move"') == 1 and main_button(page) == label
    assert "Mark complete" in page and "Marked complete" not in page
    meeting.does("notes", recalibration_action="Meet weekly")
    page = meeting.page()
    assert page.count('main-action main-move"') == 1 and main_button(page) == "Mark complete"
    meeting.does("recalibration", completed="YES")
    assert "Marked complete" in meeting.page()
