"""Who gets what from team meetings. Whoever knows a team's code may see its names and take one that is free."""

from __future__ import annotations

import re

from tests.support.everybody import Cast, Place, Table, made, rows

TEAM = {"company_name": "Acme", "team_name": "Crew"}
NAMES = ("Alice", "Bob", "Cy")
PAGE = {"Accept": "text/html"}
FILLS = {"mid": "1", "aid": "1", "actor": "user:none", "form": "csv"}


def meeting(cast: Cast) -> Place:
    """A session that takes responses; the guest is Alice, Bob has a personal link, nobody is Cy yet."""
    team = made(cast.owner.post("/v1/kinds/team/sessions", json=TEAM))
    for name in NAMES:
        assert cast.owner.post(f"/admin/teams/{team['id']}/members", data={"name": name}).status_code == 303
    begun = cast.owner.post(f"/admin/sessions/team/{team['id']}/create", data={"month": "2026-01"})
    id, code = begun.headers["location"].rpartition("/")[2], team["view"]["code"]
    for path, form in (("start", {}), ("links", {"member_id": "2"})):
        assert cast.owner.post(f"/admin/sessions/{id}/{path}", data=form).status_code == 303
    links = cast.owner.get(f"/admin/sessions/{id}/links", headers={"Accept": "application/json"}).json()["links"]
    device = cast.client()
    page = device.get(f"/join/{code}/session/{id}/name", headers=PAGE).text
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None
    claim = {"member_id": "1", "csrf_token": found[1]}
    assert device.post(f"/join/{code}/session/{id}/name", data=claim).status_code == 303
    fills = {
        "id": id, "session_id": id, "team_id": team["id"], "code": code, "token": links[0]["url"].rpartition("/")[2],
        "claim_token": found[1], "second": cast.house.person("Second").actor.id, **FILLS,
    }  # fmt: skip
    return Place(fills, (id, team["id"]), cast.as_guest(device, f"join-{id}"))


MATRIX = """
GET    /admin/sessions/team/{team_id}                     401 401 401 404 404 401 200 200 200 200
GET    /admin/sessions/team/{team_id}/create              401 401 401 404 404 401 200 200 200 200
POST   /admin/sessions/team/{team_id}/create              401 401 401 404 404 401 303 303 403 303
GET    /admin/sessions/history                            401 401 401 200 200 401 200 200 200 200
GET    /admin                                             401 401 401 200 200 401 200 200 200 200
GET    /admin/login                                       303 303 303 303 303 303 303 303 303 303
GET    /admin/logout                                      303 303 303 303 303 303 303 303 303 303
GET    /admin/api/companies                               401 401 401 200 200 401 200 200 200 200
GET    /admin/api/teams                                   401 401 401 200 200 401 200 200 200 200
GET    /admin/api/sessions                                401 401 401 200 200 401 200 200 200 200
GET    /admin/teams                                       401 401 401 200 200 401 200 200 200 200
GET    /admin/teams/create                                401 401 401 200 200 401 200 200 200 200
POST   /admin/teams/create                                401 401 401 303 303 401 303 303 403 303
GET    /admin/teams/{team_id}                             401 401 401 404 404 401 200 200 200 200
POST   /admin/teams/{team_id}                             401 401 401 404 404 401 303 303 403 303
POST   /admin/teams/{team_id}/delete                      401 401 401 404 404 401 303 303 403 303
GET    /admin/teams/{team_id}/members                     401 401 401 404 404 401 200 200 200 200
POST   /admin/teams/{team_id}/members                     401 401 401 404 404 401 303 303 403 303
POST   /admin/teams/{team_id}/members/{mid}/rename        401 401 401 404 404 401 303 303 403 303
POST   /admin/teams/{team_id}/members/{mid}/delete        401 401 401 404 404 401 303 303 403 303
POST   /admin/teams/{team_id}/members/{mid}/erase         401 401 401 404 404 401 303 303 403 303
POST   /admin/teams/{team_id}/facilitators                401 401 401 404 404 401 303 303 403 303
POST   /admin/teams/{team_id}/facilitators/{actor}/delete 401 401 401 404 404 401 404 404 403 404
POST   /admin/teams/{team_id}/actions                     401 401 401 404 404 401 303 303 403 303
POST   /admin/teams/{team_id}/actions/{aid}               401 401 401 404 404 401 404 404 403 404
GET    /admin/teams/{team_id}/trend                       401 401 401 404 404 401 200 200 200 200
GET    /admin/sessions/{session_id}                       401 401 401 404 404 401 200 200 200 200
GET    /admin/sessions/{session_id}/status                401 401 401 404 404 401 200 200 200 200
GET    /admin/sessions/{session_id}/synthesis-status      401 401 401 404 404 401 200 200 200 200
POST   /admin/sessions/{session_id}/start                 401 401 401 404 404 401 400 400 403 400
POST   /admin/sessions/{session_id}/close                 401 401 401 404 404 401 303 303 403 303
POST   /admin/sessions/{session_id}/reveal                401 401 401 404 404 401 400 400 403 400
POST   /admin/sessions/{session_id}/recalibration         401 401 401 404 404 401 303 303 403 303
POST   /admin/sessions/{session_id}/month                 401 401 401 404 404 401 400 400 403 400
POST   /admin/sessions/{session_id}/reopen                401 401 401 404 404 401 400 400 403 400
POST   /admin/sessions/{session_id}/timer                 401 401 401 404 404 401 303 303 403 303
POST   /admin/sessions/{session_id}/notes                 401 401 401 404 404 401 400 400 403 400
POST   /admin/sessions/{session_id}/anonymity             401 401 401 404 404 401 303 303 403 303
POST   /admin/sessions/{session_id}/delete                401 401 401 404 404 401 303 303 403 303
POST   /admin/sessions/{session_id}/members/add           401 401 401 404 404 401 303 303 403 303
POST   /admin/sessions/{session_id}/members/{mid}/remove  401 401 401 404 404 401 303 303 403 303
POST   /admin/sessions/{session_id}/member/{mid}/clear    401 401 401 404 404 401 404 404 403 404
POST   /admin/sessions/{session_id}/member/{mid}/release  401 401 401 404 404 401 303 303 403 303
GET    /admin/sessions/{session_id}/links                 401 401 401 404 404 401 200 200 200 200
POST   /admin/sessions/{session_id}/links                 401 401 401 404 404 401 303 303 403 303
POST   /admin/sessions/{session_id}/synthesize            401 401 401 404 404 401 400 400 403 400
POST   /admin/sessions/{session_id}/synthesize/retry      401 401 401 404 404 401 400 400 403 400
POST   /admin/sessions/{session_id}/synthesize/cancel     401 401 401 404 404 401 400 400 403 400
GET    /admin/sessions/{session_id}/export                401 401 401 404 404 401 400 400 400 400
GET    /admin/sessions/{session_id}/export/{form}         401 401 401 404 404 401 400 400 400 400
GET    /admin/sessions/{session_id}/meeting               401 401 401 404 404 401 200 200 200 200
GET    /admin/sessions/{session_id}/present               401 401 401 404 404 401 303 303 303 303
GET    /admin/sessions/{session_id}/capture               401 401 401 404 404 401 303 303 303 303
GET    /admin/sessions/{session_id}/meeting/events        401 401 401 404 404 401 200 200 200 200
GET    /admin/qr/team/{team_id}                           401 401 401 404 404 401 200 200 200 200
GET    /admin/qr/team/{team_id}/download                  401 401 401 404 404 401 200 200 200 200
GET    /join                                              200 200 200 200 200 200 200 200 200 200
POST   /join                                              303 303 303 303 303 303 303 303 303 303
GET    /join/p/{token}                                    200 200 200 200 200 200 200 200 200 200
POST   /join/p/{token}                                    303 303 303 303 303 409 303 303 303 303
GET    /join/{code}/session                               303 303 303 303 303 303 303 303 303 303
GET    /join/{code}                                       303 303 303 303 303 303 303 303 303 303
POST   /join/{code}/session                               303 303 303 303 303 303 303 303 303 303
GET    /join/{code}/session/{id}/name                     200 200 200 200 200 200 200 200 200 200
POST   /join/{code}/session/{id}/name                     303 303 303 303 303 409 303 303 303 303
GET    /join/{code}/session/{id}/member/{mid}/respond     404 404 404 404 404 200 404 404 404 404
POST   /join/{code}/session/{id}/member/{mid}/respond     404 404 404 404 404 303 404 404 404 404
GET    /join/{code}/session/{id}/member/{mid}/waiting     404 404 404 404 404 200 404 404 404 404
GET    /join/{code}/session/{id}/synthesis                404 404 404 404 404 303 404 404 404 404
GET    /join/{code}/session/{id}/status                   404 404 404 404 404 200 404 404 404 404
GET    /join/{code}/session/{id}/events                   404 404 404 404 404 200 404 404 404 404
POST   /join/{code}/session/{id}/leave                    404 404 404 404 404 303 404 404 404 404
POST   /join/{code}/session/{id}/authorship               404 404 404 404 404 400 404 404 404 404
"""

TABLE = Table(
    name="facilitation",
    rows=rows(MATRIX),
    place=meeting,
    accept="application/json",
    forms={
        ("POST", "/admin/sessions/team/{team_id}/create"): {"month": "2026-02"},
        ("POST", "/admin/teams/create"): TEAM,
        ("POST", "/admin/teams/{team_id}"): {"team_name": "Band"},
        ("POST", "/admin/teams/{team_id}/delete"): {"confirm": "Crew"},
        ("POST", "/admin/teams/{team_id}/members"): {"name": "Dee"},
        ("POST", "/admin/teams/{team_id}/members/{mid}/rename"): {"name": "Alicia"},
        ("POST", "/admin/teams/{team_id}/members/{mid}/delete"): {},
        ("POST", "/admin/teams/{team_id}/members/{mid}/erase"): {"confirm": "Alice"},
        ("POST", "/admin/teams/{team_id}/facilitators"): {"actor_id": "{second}"},
        ("POST", "/admin/teams/{team_id}/facilitators/{actor}/delete"): {},
        ("POST", "/admin/teams/{team_id}/actions"): {"text": "Meet", "session_id": "{id}"},
        ("POST", "/admin/teams/{team_id}/actions/{aid}"): {"status": "done"},
        ("POST", "/admin/sessions/{session_id}/start"): {},
        ("POST", "/admin/sessions/{session_id}/close"): {},
        ("POST", "/admin/sessions/{session_id}/reveal"): {},
        ("POST", "/admin/sessions/{session_id}/recalibration"): {"completed": "true"},
        ("POST", "/admin/sessions/{session_id}/month"): {"month": "2026-02"},
        ("POST", "/admin/sessions/{session_id}/reopen"): {},
        ("POST", "/admin/sessions/{session_id}/timer"): {"seconds": "300"},
        ("POST", "/admin/sessions/{session_id}/notes"): {"facilitator_notes": "Long"},
        ("POST", "/admin/sessions/{session_id}/anonymity"): {"level": "anonymous"},
        ("POST", "/admin/sessions/{session_id}/delete"): {"confirm": "2026-01"},
        ("POST", "/admin/sessions/{session_id}/members/add"): {"name": "Dee"},
        ("POST", "/admin/sessions/{session_id}/members/{mid}/remove"): {},
        ("POST", "/admin/sessions/{session_id}/member/{mid}/clear"): {},
        ("POST", "/admin/sessions/{session_id}/member/{mid}/release"): {},
        ("POST", "/admin/sessions/{session_id}/links"): {},
        ("POST", "/admin/sessions/{session_id}/synthesize"): {},
        ("POST", "/admin/sessions/{session_id}/synthesize/retry"): {},
        ("POST", "/admin/sessions/{session_id}/synthesize/cancel"): {"job": "j-none"},
        ("POST", "/join"): {"code": "{code}"},
        ("POST", "/join/p/{token}"): {"csrf_token": "{claim_token}"},
        ("POST", "/join/{code}/session"): {"session_id": "{id}"},
        ("POST", "/join/{code}/session/{id}/name"): {"member_id": "3", "csrf_token": "{claim_token}"},
        ("POST", "/join/{code}/session/{id}/member/{mid}/respond"): {"card": "14", "bullet": "Fog"},
        ("POST", "/join/{code}/session/{id}/leave"): {},
        ("POST", "/join/{code}/session/{id}/authorship"): {"response": "R1"},
    },
)


def watched(cast: Cast) -> Place:
    """A meeting, for the routes of the house."""
    found = meeting(cast)
    return Place(
        {**found.fills, "kind": "facilitation", "verb": "raise_anonymity", "turn": "t-none"},
        found.sessions,
        found.guest,
    )


def team(cast: Cast) -> Place:
    """A team, for the same routes. The guest holds a name in one of its meetings."""
    found = meeting(cast)
    fills = {**found.fills, "id": found.fills["team_id"], "kind": "team", "verb": "add_member", "turn": "t-none"}
    return Place(fills, found.sessions, found.guest)


MEETINGS_MATRIX = """
GET    /v1/sessions                                 401 401 401 200 200 401 200 200 200 200
DELETE /v1/sessions/{id}                            401 401 401 404 404 403 204 204 403 204
GET    /v1/sessions/{id}                            401 401 401 404 404 200 200 200 200 200
POST   /v1/sessions/{id}/commands/{verb}            401 401 401 404 404 403 200 200 403 200
GET    /v1/sessions/{id}/events                     401 401 401 404 404 200 200 200 200 200
GET    /v1/sessions/{id}/turns/{turn}               401 401 401 404 404 404 404 404 404 404
GET    /v1/sessions/{id}/turns/{turn}/stream        401 401 401 404 404 404 404 404 404 404
POST   /v1/sessions/{id}/turns/{turn}/cancel        401 401 401 404 404 404 404 404 403 404
GET    /v1/sessions/{id}/bundle                     401 401 401 404 404 200 200 200 200 200
GET    /v1/sessions/{id}/verify                     401 401 401 404 404 200 200 200 200 200
GET    /sessions/{id}                               303 303 303 404 404 303 200 200 200 200
POST   /sessions/{id}/do/{verb}                     401 401 401 404 404 404 303 303 403 303
POST   /sessions/{id}/verify                        401 401 401 404 404 404 303 303 403 303
POST   /sessions/{id}/delete                        401 401 401 404 404 404 303 303 403 303
GET    /sessions/{id}/bundle                        401 401 401 404 404 404 200 200 200 200
GET    /kinds/{kind}                                401 401 401 200 200 401 200 200 200 200
GET    /kinds/{kind}/new                            401 401 401 200 200 401 200 200 200 200
POST   /kinds/{kind}/new                            401 401 401 404 404 401 303 303 403 303
POST   /v1/kinds/{kind}/sessions                    401 401 401 404 404 401 201 201 403 201
"""
TEAMS_MATRIX = """
GET    /v1/sessions                                 401 401 401 200 200 401 200 200 200 200
DELETE /v1/sessions/{id}                            401 401 401 404 404 401 204 204 403 204
GET    /v1/sessions/{id}                            401 401 401 404 404 401 200 200 200 200
POST   /v1/sessions/{id}/commands/{verb}            401 401 401 404 404 401 200 200 403 200
GET    /v1/sessions/{id}/events                     401 401 401 404 404 401 200 200 200 200
GET    /v1/sessions/{id}/turns/{turn}               401 401 401 404 404 401 404 404 404 404
GET    /v1/sessions/{id}/turns/{turn}/stream        401 401 401 404 404 401 404 404 404 404
POST   /v1/sessions/{id}/turns/{turn}/cancel        401 401 401 404 404 401 404 404 403 404
GET    /v1/sessions/{id}/bundle                     401 401 401 404 404 401 200 200 200 200
GET    /v1/sessions/{id}/verify                     401 401 401 404 404 401 200 200 200 200
GET    /sessions/{id}                               303 303 303 404 404 303 200 200 200 200
POST   /sessions/{id}/do/{verb}                     401 401 401 404 404 401 303 303 403 303
POST   /sessions/{id}/verify                        401 401 401 404 404 401 303 303 403 303
POST   /sessions/{id}/delete                        401 401 401 404 404 401 303 303 403 303
GET    /sessions/{id}/bundle                        401 401 401 404 404 401 200 200 200 200
GET    /kinds/{kind}                                401 401 401 200 200 401 200 200 200 200
GET    /kinds/{kind}/new                            401 401 401 200 200 401 200 200 200 200
POST   /kinds/{kind}/new                            401 401 401 303 303 401 303 303 403 303
POST   /v1/kinds/{kind}/sessions                    401 401 401 201 201 401 201 201 403 201
"""
LATER = {"team_id": "{team_id}", "month": "2026-02"}
COMMAND, DO = ("POST", "/v1/sessions/{id}/commands/{verb}"), ("POST", "/sessions/{id}/do/{verb}")
OPEN, NEW = ("POST", "/v1/kinds/{kind}/sessions"), ("POST", "/kinds/{kind}/new")
MEETING = Table(
    name="a meeting",
    rows=rows(MEETINGS_MATRIX),
    place=watched,
    bodies={COMMAND: {"level": "anonymous"}, OPEN: LATER},
    forms={DO: {"level": "anonymous"}, NEW: LATER},
    queries={"/v1/sessions": {"kind": "facilitation"}},
    pages=frozenset({"/sessions/{id}"}),
)
TEAMS = Table(
    name="a team",
    rows=rows(TEAMS_MATRIX),
    place=team,
    bodies={COMMAND: {"name": "Dee"}, OPEN: TEAM},
    forms={DO: {"name": "Dee"}, NEW: TEAM},
    queries={"/v1/sessions": {"kind": "team"}},
    pages=frozenset({"/sessions/{id}"}),
)
