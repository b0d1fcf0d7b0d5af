"""Who gets what from the routes of the house itself: `/v1` and the generic pages, asked about an interview."""

from __future__ import annotations

from tests.support.everybody import Cast, Place, Table, rows
from tests.web.access_interview import interview

NOTE = {"text": "seen"}
NEW = {"candidate_name": "Ada"}
FILLS = {"kind": "interview", "verb": "add_note", "turn": "t-none", "token": "none", "name": "none.css"}


def place(cast: Cast) -> Place:
    """An interview."""
    found = interview(cast)
    return Place({**found.fills, **FILLS}, found.sessions, found.guest)


MATRIX = """
GET    /v1                                   200 200 200 200 200 200 200 200 200 200
GET    /v1/kinds                             200 200 200 200 200 200 200 200 200 200
GET    /v1/kinds/{kind}                      200 200 200 200 200 200 200 200 200 200
POST   /v1/kinds/{kind}/sessions             401 401 401 201 201 401 201 201 403 201
GET    /v1/sessions                          401 401 401 200 200 401 200 200 200 200
DELETE /v1/sessions/{id}                     401 401 401 404 404 403 204 204 403 204
GET    /v1/sessions/{id}                     401 401 401 404 404 200 200 200 200 200
POST   /v1/sessions/{id}/commands/{verb}     401 401 401 404 404 403 200 200 403 200
GET    /v1/sessions/{id}/events              401 401 401 404 404 200 200 200 200 200
GET    /v1/sessions/{id}/turns/{turn}        401 401 401 404 404 404 404 404 404 404
GET    /v1/sessions/{id}/turns/{turn}/stream 401 401 401 404 404 404 404 404 404 404
POST   /v1/sessions/{id}/turns/{turn}/cancel 401 401 401 404 404 404 404 404 403 404
GET    /v1/sessions/{id}/bundle              401 401 401 404 404 404 200 200 200 200
GET    /v1/sessions/{id}/verify              401 401 401 404 404 200 200 200 200 200
POST   /v1/bundles                           401 401 401 415 415 401 415 415 403 415
GET    /livez                                200 200 200 200 200 200 200 200 200 200
GET    /readyz                               200 200 200 200 200 200 200 200 200 200
GET    /metrics                              200 200 200 200 200 200 200 200 200 200
GET    /static/{name}                        404 404 404 404 404 404 404 404 404 404
GET    /openapi.json                         200 200 200 200 200 200 200 200 200 200
GET    /sign-in                              200 200 200 303 303 200 303 303 303 303
POST   /sign-in                              403 403 403 403 403 403 403 415 403 403
GET    /sign-in/link/{token}                 200 200 200 200 200 200 200 200 200 200
POST   /sign-in/link/{token}                 403 403 403 403 403 403 403 401 403 403
GET    /sign-out                             303 303 303 200 200 303 200 200 200 200
POST   /sign-out                             303 303 303 303 303 303 303 303 303 303
POST   /sign-out-everywhere                  401 401 401 303 303 401 303 303 403 303
POST   /sessions/{id}/do/{verb}              401 401 401 404 404 404 303 303 403 303
POST   /sessions/{id}/verify                 401 401 401 404 404 404 303 303 403 303
POST   /sessions/{id}/delete                 401 401 401 404 404 404 303 303 403 303
GET    /sessions/{id}/bundle                 401 401 401 404 404 404 200 200 200 200
GET    /account                              401 401 401 403 403 401 403 200 403 403
POST   /account/tokens                       401 401 401 403 403 401 403 200 403 403
POST   /account/tokens/{token}/revoke        401 401 401 403 403 401 403 404 403 403
POST   /account/password                     401 401 401 403 403 401 403 422 403 403
GET    /                                     401 401 401 200 200 401 200 200 200 200
GET    /kinds/{kind}                         401 401 401 200 200 401 200 200 200 200
GET    /kinds/{kind}/new                     401 401 401 200 200 401 200 200 200 200
POST   /kinds/{kind}/new                     401 401 401 303 303 401 303 303 403 303
GET    /help                                 200 200 200 200 200 200 200 200 200 200
GET    /help/models                          200 200 200 200 200 200 200 200 200 200
"""

TABLE = Table(
    name="house",
    rows=rows(MATRIX),
    place=place,
    bodies={
        ("POST", "/v1/kinds/{kind}/sessions"): NEW,
        ("POST", "/v1/sessions/{id}/commands/{verb}"): NOTE,
    },
    forms={
        ("POST", "/sessions/{id}/do/{verb}"): NOTE,
        ("POST", "/kinds/{kind}/new"): NEW,
        ("POST", "/account/tokens"): {"name": "laptop", "scope": "*"},
        ("POST", "/account/password"): {"current": "", "new": "short"},
    },
    queries={"/v1/sessions": {"kind": "interview"}},
)
# The page of any session, where an application answers programs at the same address.
PAGE = Table(
    name="a page",
    rows=rows("GET /sessions/{id} 303 303 303 404 404 303 200 200 200 200"),
    place=place,
    pages=frozenset({"/sessions/{id}"}),
)
