"""Text is data to every reader: what people type in meetings and in solve, in every view, page and export.

(Interviews: `test_hostile.py`.) A text may be refused; what was taken must be read everywhere, as text.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

import httpx
import pytest

from tests.support.everybody import Cast, everybody
from tests.web import access_facilitation, access_solve
from tests.web.hostile_inputs import TEXTS
from tests.web.test_hostile_routes import PAGE, answers

JSON = {"Accept": "application/json"}
STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")
LEVELS = ("level1", "level2", "level3", "markdown", "csv", "print")


@pytest.fixture(scope="module")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    with everybody(tmp_path_factory.mktemp("texts"), work=True) as made:
        yield made


def taken(answer: httpx.Response) -> bool:
    """Whether it was taken; else it was refused for what it is."""
    assert answer.status_code in (200, 202, 204, 303, 400, 409, 422), (answer.request.url, answer.text[:300])
    return answer.is_success or answer.status_code == 303


def no_formulas(sheet: str) -> None:
    """No cell that a spreadsheet would reckon with."""
    for line in csv.reader(io.StringIO(sheet)):
        assert not [cell for cell in line if cell.startswith(STARTS_A_FORMULA)], line


def generic(cast: Cast, id: str) -> None:
    for path in ("", "/events", "/bundle", "/verify"):
        answers(cast.owner, f"/v1/sessions/{id}{path}")
    answers(cast.owner, f"/sessions/{id}", headers=PAGE)


@pytest.mark.parametrize("name", TEXTS)
def test_a_meeting(cast: Cast, name: str) -> None:
    text = TEXTS[name]
    place = access_facilitation.meeting(cast)
    fills, guest = place.fills, place.guest
    assert guest is not None
    team, meeting = f"/admin/teams/{fills['team_id']}", f"/admin/sessions/{fills['id']}"
    room = f"/join/{fills['code']}/session/{fills['id']}"
    for field in ("company_name", "team_name", "strategy_statement", "image_prompt", "bullet_prompt"):
        taken(cast.owner.post(team, data={field: text}))
    taken(cast.owner.post(team, data={"auto_synthesize": "false"}))
    taken(cast.owner.post(f"{team}/members", data={"name": text}))
    taken(cast.owner.post(f"{team}/members/2/rename", data={"name": text + "!"}))
    taken(cast.owner.post(f"{team}/actions", data={"text": text, "session_id": fills["id"]}))
    taken(cast.owner.post(f"{meeting}/members/add", data={"name": text + "?"}))
    assert taken(guest.post(f"{room}/member/1/respond", data={"card": "14", "bullet": ["Fine", text]}, headers=JSON))
    for page in ("", "/links", "/meeting"):
        answers(cast.owner, meeting + page, headers=PAGE)
    for page in (f"{room}/member/1/respond", f"{room}/member/1/waiting", f"{room}/name"):
        answers(guest, page, headers=PAGE)
    for move, form in (("close", {}), ("notes", {"facilitator_notes": text, "recalibration_action": text}),
                       ("reveal", {})):  # fmt: skip
        assert taken(cast.owner.post(f"{meeting}/{move}", data=form)) or move == "notes", move
    for page in ("", "/meeting", "/export", *(f"/export/{level}" for level in LEVELS)):
        answer = answers(cast.owner, meeting + page, headers=PAGE if page in ("", "/meeting", "/export/print") else {})
        if page == "/export/csv":
            no_formulas(answer.text)
    answers(guest, f"{room}/synthesis", headers=PAGE)
    for path in ("/admin", "/admin/teams", "/admin/sessions/history", team, f"{team}/members", f"{team}/trend",
                 f"/admin/sessions/team/{fills['team_id']}", "/kinds/team", "/kinds/facilitation"):  # fmt: skip
        answers(cast.owner, path, headers=PAGE)
    for id in place.sessions:
        generic(cast, id)


@pytest.mark.parametrize("name", TEXTS)
def test_a_solve_session(cast: Cast, name: str) -> None:
    text = TEXTS[name]
    place = access_solve.session(cast)
    id, session = place.fills["id"], f"/sessions/{place.fills['id']}"
    for field in ("title", "tags", "first_step_action"):
        taken(cast.owner.patch(session, json={field: [text] if field == "tags" else text}))
    for slot in ("goal", "stakes", "constraints", "tried", "feeling"):
        taken(cast.owner.patch(f"{session}/beliefs/{slot}", json={"text": text}))
    taken(cast.owner.post(f"{session}/contest", json={"reason": text}))
    said = cast.owner.post(f"{session}/messages", json={"content": text}, headers=JSON)
    if taken(said):
        stream = cast.owner.get(said.json()["stream_url"])  # read to its end
        assert "event: done" in stream.text and "\nevent: bye" not in stream.text
    for path in ("", "/messages", "/export?format=markdown", "/export?format=html", "/export?format=json"):
        answers(cast.owner, session + path)
    for path in ("", "/summary"):
        answers(cast.owner, f"/solve/{id}{path}", headers=PAGE)
    for path in ("/solve", "/solve/actions", "/solve/stats", "/kinds/solve"):
        answers(cast.owner, path, headers=PAGE)
    no_formulas(answers(cast.owner, "/sessions/all/export?format=csv").text)
    answers(cast.owner, "/sessions/all/export")
    taken(cast.owner.get("/sessions", params={"q": text, "tags": text}))
    generic(cast, id)
