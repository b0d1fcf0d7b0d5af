"""Every route of team meetings against everybody who has no business there, and against input nobody should send."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.apps.facilitation.canaries import Watch, addresses, operations
from tests.apps.facilitation.room import JSON, PAGE, House, Meeting, opened

UNKNOWN = "00000000-0000-4000-8000-000000000000"
GARBAGE = (
    "", "&&&=", "month=%FF", "month=%00", "member_id=" + "9" * 400, "bullet=%ED%A0%80", "card=-1&bullet=x", "=x",
    "completed=true&completed=false", "x" * 5000, "bullets=" + "[" * 100, "seconds=1e9", "level=&level=named",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("access"), facilitation_max_members=40) as made:
        yield made


@pytest.fixture(scope="module")
def watch(house: House) -> Watch:
    meeting = house.team().capturing()
    made = Watch(house, meeting, meeting.device(1, "Something"), meeting.device(2))
    assert made.link != "none"
    return made


def places(watch: Watch, start: str) -> list[tuple[str, str]]:
    """Every operation below an address that names something, filled in."""
    found = []
    for method, template in sorted(set(operations(watch.house.served.server.app.routes))):
        if template.startswith(start) and "{" in template:
            found += [(method, path) for path in addresses(watch, template)]
    assert len(found) > 10
    return found


def heads(meeting: Meeting) -> tuple[str, str]:
    team = meeting.by.get(f"/v1/sessions/{meeting.team.id}").json()
    return meeting.head, team["as_of"]


def unknown(path: str, meeting: Meeting) -> str:
    return path.replace(meeting.id, UNKNOWN).replace(meeting.team.id, UNKNOWN)


def foreigner(house: House) -> httpx.Client:
    access = house.installation.access
    space = access.create_space("Elsewhere").result()
    token, _ = access.create_token(access.create_account("Eve", space=space).result(), "t", space=space).result()
    return house.client(None, Authorization=f"Bearer {token}")


def test_whoever_is_no_facilitator_is_told_of_nothing(house: House, watch: Watch) -> None:
    meeting = watch.meeting
    other = house.team().capturing().device(1, "Of another session")
    before = heads(meeting)
    people = {"stranger": house.facilitator("Stranger"), "foreigner": foreigner(house)}
    for method, path in places(watch, "/admin"):
        for who, client in people.items():
            answer = client.request(method, path, data={} if method == "POST" else None)
            assert answer.status_code == 404, (who, method, path, answer.status_code)
            same = client.request(method, unknown(path, meeting), data={} if method == "POST" else None)
            assert (answer.text, answer.headers["sitting-code"]) == (same.text, "NOT_FOUND"), path
        for client in (house.client(), other.client, watch.mine.client):
            assert client.request(method, path, headers=JSON).status_code == 401, path
            if path.endswith("/events"):
                continue  # no page at all
            plain = client.request(method, path, headers=PAGE)
            assert plain.status_code in (303, 401), path
            assert plain.status_code == 401 or plain.headers["location"].startswith("/sign-in"), path
    assert heads(meeting) == before


def test_a_claim_opens_its_own_place_only(house: House, watch: Watch) -> None:
    meeting = watch.meeting
    other = house.team().capturing().device(1, "Of another session")
    before = heads(meeting)
    for client in (other.client, house.client(), watch.idle.client):
        token = other.token(f"{other.place}/respond")
        for method, path in places(watch, "/join"):
            if "/member/1/" not in path and not path.endswith(("/status", "/synthesis", "/leave", "/authorship")):
                continue
            if client is watch.idle.client and "/member/1/" not in path:
                continue
            answer = client.request(method, path, data={"csrf_token": token} if method == "POST" else None)
            assert answer.status_code in (403, 404), (method, path, answer.status_code)
            assert "Something" not in answer.text
    assert heads(meeting) == before


def test_no_input_is_answered_with_a_fault(house: House, watch: Watch) -> None:
    """Whatever the bytes: a refusal that says why, and repeats nothing."""
    meeting = house.team().capturing()
    own = Watch(house, meeting, meeting.device(1, "Something"), meeting.device(2))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for method, path in [*places(own, "/admin"), *places(own, "/join")]:
        if method != "POST" or path.endswith("/delete"):
            continue
        client = meeting.by if path.startswith("/admin") else own.mine.client
        for body in (*GARBAGE, "y=" + "x" * 70_000):
            answer = client.post(path, content=body, headers=form)
            assert answer.status_code < 500 or answer.status_code == 503, (path, body[:40], answer.text)
            assert len(body) < 65_536 or answer.status_code == 413, (path, answer.status_code)
        for wrong in (b'{"month": "2026-05"}', b"\xff\xfe"):
            answer = client.post(path, content=wrong, headers={"Content-Type": "application/json"})
            assert answer.status_code in (303, 400, 403, 404, 415, 422), (path, answer.status_code)
    for query in ("limit=%00", "offset=99999999999999999999", "search=%FF", "team=%00", "state=x", "level=x"):
        for path in ("/admin/sessions/history", "/admin/api/teams", f"/admin/sessions/team/{meeting.team.id}",
                     f"{meeting.url}/meeting", "/join"):  # fmt: skip
            assert meeting.by.get(f"{path}?{query}").status_code < 500, (path, query)
    for id in ("x", "%00", "..%2f..", "é", "0" * 300, UNKNOWN.upper()):
        for path in (f"/admin/sessions/{id}", f"/admin/teams/{id}", f"/join/{id}", f"/join/p/{id}"):
            assert meeting.by.get(path).status_code in ((400,) if "%00" in path else (404, 429)), path
    assert re.fullmatch(r"[0-9a-f-]{36}", meeting.id)
