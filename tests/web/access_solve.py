"""Who gets what from solve. A session is its owner's alone: the administrator of the space is a stranger to it."""

from __future__ import annotations

from tests.support.everybody import Cast, Place, Table, made, rows

JSON = {"Accept": "application/json"}
SAID = {"content": "My boss ignores everything I propose"}
STEP = {"first_step_action": "I will write the mail tonight at eight"}
CARD = {"title": "Write", "actions": ["Open the mail"]}
FILLS = {"option_id": "o-none", "option": "o-none", "slot": "goal", "verb": "retry"}


def session(cast: Cast) -> Place:
    """A session with one message, whose reply was stopped before a word of it."""
    id = made(cast.owner.post("/sessions", json={}))["id"]
    said = cast.owner.post(f"/sessions/{id}/messages", json=SAID, headers=JSON)
    assert said.status_code == 202, said.text
    turn = said.json()["turn"]
    assert cast.owner.post(f"/sessions/{id}/turns/{turn}/cancel", json={}).status_code == 200
    return Place({"id": id, "turn": turn, **FILLS}, (id,))


MATRIX = """
POST   /sessions/                                 401 401 401 201 201 401 201 201 403 201
POST   /sessions                                  401 401 401 201 201 401 201 201 403 201
GET    /sessions/                                 401 401 401 200 200 401 200 200 200 200
GET    /sessions                                  401 401 401 200 200 401 200 200 200 200
GET    /sessions/{id}                             401 401 401 404 404 401 200 200 200 404
PATCH  /sessions/{id}                             401 401 401 404 404 401 200 200 403 404
DELETE /sessions/{id}                             401 401 401 404 404 401 204 204 403 404
GET    /sessions/{id}/events                      401 401 401 404 404 401 200 200 200 404
GET    /sessions/all/export                       401 401 401 200 200 401 200 200 200 200
GET    /sessions/{id}/export                      401 401 401 404 404 401 200 200 200 404
GET    /sessions/{id}/reminder.ics                401 401 401 404 404 401 404 404 404 404
POST   /sessions/{id}/messages                    401 401 401 404 404 401 202 202 403 404
GET    /sessions/{id}/messages                    401 401 401 404 404 401 200 200 200 404
GET    /sessions/{id}/turns/{turn}                401 401 401 404 404 401 200 200 200 404
GET    /sessions/{id}/turns/{turn}/stream         401 401 401 404 404 401 200 200 200 404
POST   /sessions/{id}/turns/{turn}/cancel         401 401 401 404 404 401 409 409 403 404
POST   /sessions/{id}/turns/{turn}/retry          401 401 401 404 404 401 202 202 403 404
POST   /sessions/{id}/turns/{turn}/dismiss-crisis 401 401 401 404 404 401 409 409 403 404
POST   /sessions/{id}/options/{option_id}/choose  401 401 401 404 404 401 409 409 403 404
POST   /sessions/{id}/options                     401 401 401 404 404 401 409 409 403 404
POST   /sessions/{id}/commit                      401 401 401 404 404 401 409 409 403 404
POST   /sessions/{id}/contest                     401 401 401 404 404 401 409 409 403 404
PATCH  /sessions/{id}/beliefs/{slot}              401 401 401 404 404 401 200 200 403 404
GET    /actions                                   401 401 401 200 200 401 200 200 200 200
PATCH  /actions/{id}/complete                     401 401 401 404 404 401 400 400 403 404
PATCH  /actions/{id}/uncomplete                   401 401 401 404 404 401 400 400 403 404
GET    /stats/overview                            401 401 401 200 200 401 200 200 200 200
GET    /stats/export                              401 401 401 200 200 401 200 200 200 200
GET    /solve                                     303 303 303 200 200 303 200 200 200 200
POST   /solve                                     401 401 401 303 303 401 303 303 403 303
GET    /solve/actions                             303 303 303 200 200 303 200 200 200 200
GET    /solve/stats                               303 303 303 200 200 303 200 200 200 200
GET    /solve/{id}/summary                        303 303 303 404 404 303 200 200 200 404
GET    /solve/{id}                                303 303 303 404 404 303 200 200 200 404
POST   /solve/{id}/messages                       401 401 401 404 404 401 200 200 403 404
POST   /solve/{id}/turns/{turn}/{verb}            401 401 401 404 404 401 200 200 403 404
POST   /solve/{id}/advance                        401 401 401 404 404 401 200 200 403 404
POST   /solve/{id}/contest                        401 401 401 404 404 401 409 409 403 404
POST   /solve/{id}/options/{option}/choose        401 401 401 404 404 401 409 409 403 404
POST   /solve/{id}/options                        401 401 401 404 404 401 409 409 403 404
POST   /solve/{id}/beliefs/{slot}                 401 401 401 404 404 401 200 200 403 404
POST   /solve/{id}/commit                         401 401 401 404 404 401 409 409 403 404
POST   /solve/{id}/reminder                       401 401 401 404 404 401 200 200 403 404
POST   /solve/{id}/update                         401 401 401 404 404 401 200 200 403 404
POST   /solve/{id}/abandon                        401 401 401 404 404 401 200 200 403 404
POST   /solve/{id}/reopen                         401 401 401 404 404 401 400 400 403 404
POST   /solve/{id}/complete                       401 401 401 404 404 401 400 400 403 404
POST   /solve/{id}/uncomplete                     401 401 401 404 404 401 400 400 403 404
POST   /solve/{id}/delete                         401 401 401 404 404 401 303 303 403 404
POST   /solve/{id}/guided                         401 401 401 404 404 401 303 303 403 404
"""

TABLE = Table(
    name="solve",
    rows=rows(MATRIX),
    place=session,
    accept="application/json",
    bodies={
        ("PATCH", "/sessions/{id}"): {"title": "Boss"},
        ("POST", "/sessions/{id}/messages"): SAID,
        ("POST", "/sessions/{id}/options"): CARD,
        ("POST", "/sessions/{id}/commit"): STEP,
        ("PATCH", "/sessions/{id}/beliefs/{slot}"): {"text": "To be heard"},
    },
    forms={
        ("POST", "/solve"): {},
        ("POST", "/solve/{id}/messages"): SAID,
        ("POST", "/solve/{id}/turns/{turn}/{verb}"): {},
        ("POST", "/solve/{id}/advance"): {},
        ("POST", "/solve/{id}/contest"): {},
        ("POST", "/solve/{id}/options/{option}/choose"): {},
        ("POST", "/solve/{id}/options"): {"title": "Write", "actions": "Open the mail"},
        ("POST", "/solve/{id}/beliefs/{slot}"): {"text": "To be heard"},
        ("POST", "/solve/{id}/commit"): STEP,
        ("POST", "/solve/{id}/reminder"): {"remind": "none"},
        ("POST", "/solve/{id}/update"): {"title": "Boss"},
        ("POST", "/solve/{id}/abandon"): {},
        ("POST", "/solve/{id}/reopen"): {},
        ("POST", "/solve/{id}/complete"): {},
        ("POST", "/solve/{id}/uncomplete"): {},
        ("POST", "/solve/{id}/delete"): {},
        ("POST", "/solve/{id}/guided"): {"goal": "To be heard"},
    },
)


def owned(cast: Cast) -> Place:
    """A session, for the routes of the house."""
    found = session(cast)
    return Place({**found.fills, "kind": "solve", "verb": "update"}, found.sessions)


GENERIC_MATRIX = """
GET    /v1/sessions                                 401 401 401 200 200 401 200 200 200 200
DELETE /v1/sessions/{id}                            401 401 404 404 404 404 204 204 403 404
GET    /v1/sessions/{id}                            401 401 404 404 404 404 200 200 200 404
POST   /v1/sessions/{id}/commands/{verb}            401 401 404 404 404 404 200 200 403 404
GET    /v1/sessions/{id}/events                     401 401 404 404 404 404 200 200 200 404
GET    /v1/sessions/{id}/turns/{turn}               401 401 404 404 404 404 200 200 200 404
GET    /v1/sessions/{id}/turns/{turn}/stream        401 401 404 404 404 404 200 200 200 404
POST   /v1/sessions/{id}/turns/{turn}/cancel        401 401 404 404 404 404 409 409 403 404
GET    /v1/sessions/{id}/bundle                     401 401 404 404 404 404 200 200 200 404
GET    /v1/sessions/{id}/verify                     401 401 404 404 404 404 200 200 200 404
GET    /sessions/{id}                               303 303 303 404 404 303 200 200 200 404
POST   /sessions/{id}/do/{verb}                     401 401 404 404 404 404 303 303 403 404
POST   /sessions/{id}/verify                        401 401 404 404 404 404 303 303 403 404
POST   /sessions/{id}/delete                        401 401 404 404 404 404 303 303 403 404
GET    /sessions/{id}/bundle                        401 401 404 404 404 404 200 200 200 404
GET    /kinds/{kind}                                401 401 401 200 200 401 200 200 200 200
GET    /kinds/{kind}/new                            401 401 401 200 200 401 200 200 200 200
POST   /kinds/{kind}/new                            401 401 401 303 303 401 303 303 403 303
POST   /v1/kinds/{kind}/sessions                    401 401 401 201 201 401 201 201 403 201
"""
GENERIC = Table(
    name="a session",
    rows=rows(GENERIC_MATRIX),
    place=owned,
    bodies={("POST", "/v1/sessions/{id}/commands/{verb}"): {"title": "Boss"}},
    forms={("POST", "/sessions/{id}/do/{verb}"): {"title": "Boss"}, ("POST", "/kinds/{kind}/new"): {}},
    queries={"/v1/sessions": {"kind": "solve"}},
    pages=frozenset({"/sessions/{id}"}),
)
