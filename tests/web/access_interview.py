"""Who gets what from the interviews and the library of challenges."""

from __future__ import annotations

from tests.support.everybody import Cast, Place, Table, made, rows

FILLS = {"note": "n-none", "job": "j-none", "actor": "user:none", "turn": "t-none", "move": "pause"}
CHALLENGE = {
    "title": "Sum", "category": "coding", "difficulty": "easy", "instructions": "Add two numbers.",
}  # fmt: skip
NOTE = {"text": "seen"}
NEW = {"candidate_name": "Ada"}


def interview(cast: Cast) -> Place:
    """A planned interview, and its candidate, who has joined."""
    planned = made(cast.owner.post("/interviews", json=NEW))
    code, candidate = planned["join_url"].rpartition("/")[2], cast.client()
    assert candidate.post(f"/i/{code}/join").status_code == 303
    cookie = next(name for name in candidate.cookies if name.endswith(f"-{planned['id']}"))
    fills = {"id": planned["id"], "code": code, **FILLS}
    return Place(fills, (planned["id"],), cast.as_guest(candidate, cookie))


def challenge(cast: Cast) -> Place:
    """A challenge, and the candidate of an interview."""
    id = made(cast.owner.post("/challenges", json=CHALLENGE))["id"]
    return Place({"id": id}, (id,), interview(cast).guest)


MATRIX = """
POST   /interviews                                  401 401 401 201 201 401 201 201 403 201
GET    /interviews                                  401 401 401 200 200 401 200 200 200 200
GET    /interviews/new                              401 401 401 200 200 401 200 200 200 200
POST   /interviews/new                              401 401 401 303 303 401 303 303 403 303
GET    /interviews/compare                          401 401 401 422 422 401 422 422 422 422
GET    /interviews/{id}                             401 401 401 404 404 401 200 200 200 200
PATCH  /interviews/{id}                             401 401 401 404 404 401 200 200 403 200
POST   /interviews/{id}/update                      401 401 401 404 404 401 303 303 403 303
DELETE /interviews/{id}                             401 401 401 404 404 401 204 204 403 204
POST   /interviews/{id}/delete                      401 401 401 404 404 401 303 303 403 303
GET    /interviews/{id}/remaining                   401 401 401 404 404 401 200 200 200 200
GET    /interviews/{id}/messages                    401 401 401 404 404 401 200 200 200 200
GET    /interviews/{id}/events                      401 401 401 404 404 401 200 200 200 200
GET    /interviews/{id}/turns/{turn}/stream         401 401 401 404 404 401 404 404 404 404
POST   /interviews/{id}/turns/{turn}/cancel         401 401 401 404 404 401 404 404 403 404
GET    /interviews/{id}/analytics                   401 401 401 404 404 401 200 200 200 200
GET    /interviews/{id}/ledger                      401 401 401 404 404 401 200 200 200 200
POST   /interviews/{id}/link                        401 401 401 404 404 401 200 200 403 200
POST   /interviews/{id}/interviewers                401 401 401 404 404 401 422 422 403 422
DELETE /interviews/{id}/interviewers/{actor}        401 401 401 404 404 401 404 404 403 404
POST   /interviews/{id}/interviewers/{actor}/remove 401 401 401 404 404 401 404 404 403 404
GET    /interviews/{id}/review                      401 401 401 404 404 401 200 200 200 200
GET    /interviews/{id}/replay                      401 401 401 404 404 401 200 200 200 200
GET    /interviews/{id}/notes                       401 401 401 404 404 401 200 200 200 200
POST   /interviews/{id}/notes                       401 401 401 404 404 401 201 201 403 201
PATCH  /interviews/{id}/notes/{note}                401 401 401 404 404 401 404 404 403 404
POST   /interviews/{id}/notes/{note}/change         401 401 401 404 404 401 404 404 403 404
DELETE /interviews/{id}/notes/{note}                401 401 401 404 404 401 404 404 403 404
POST   /interviews/{id}/notes/{note}/remove         401 401 401 404 404 401 404 404 403 404
GET    /interviews/{id}/scorecards                  401 401 401 404 404 401 200 200 200 200
PUT    /interviews/{id}/scorecard                   401 401 401 404 404 401 409 409 403 409
POST   /interviews/{id}/scorecard                   401 401 401 404 404 401 409 409 403 409
POST   /interviews/{id}/scorecard/submit            401 401 401 404 404 401 409 409 403 409
POST   /interviews/{id}/scorecard/amend             401 401 401 404 404 401 422 422 403 422
POST   /interviews/{id}/evidence                    401 401 401 404 404 401 422 422 403 422
POST   /interviews/{id}/evidence/{job}/cancel       401 401 401 404 404 401 409 409 403 409
GET    /interviews/{id}/export                      401 401 401 404 404 401 200 200 200 200
POST   /interviews/{id}/{move}                      401 401 401 404 404 401 409 409 403 409
GET    /i                                           200 200 200 200 200 200 200 200 200 200
POST   /i                                           303 303 303 303 303 303 303 303 303 303
GET    /i/{code}                                    200 200 200 200 200 200 200 200 200 200
POST   /i/{code}/join                               303 303 303 303 303 303 303 303 303 303
POST   /i/{code}/start                              401 401 401 401 401 200 401 401 401 401
GET    /i/{code}/status                             401 401 401 401 401 200 401 401 401 401
GET    /i/{code}/messages                           401 401 401 401 401 200 401 401 401 401
POST   /i/{code}/messages                           401 401 401 401 401 409 401 401 401 401
POST   /i/{code}/turns/{turn}/retry                 401 401 401 401 401 409 401 401 401 401
POST   /i/{code}/turns/{turn}/cancel                401 401 401 401 401 404 401 401 401 401
GET    /i/{code}/turns/{turn}/stream                401 401 401 401 401 404 401 401 401 401
GET    /i/{code}/events                             401 401 401 401 401 200 401 401 401 401
GET    /i/{code}/ledger                             401 401 401 401 401 200 401 401 401 401
GET    /i/{code}/export                             401 401 401 401 401 404 401 401 401 401
POST   /i/{code}/leave                              401 401 401 401 401 403 401 401 401 401
POST   /i/{code}/marks                              401 401 401 401 401 409 401 401 401 401
"""

LIBRARY = """
GET    /challenges              401 401 401 200 200 401 200 200 200 200
GET    /challenges/stats        401 401 401 200 200 401 200 200 200 200
GET    /challenges/new          401 401 401 200 200 401 200 200 200 200
POST   /challenges              401 401 401 201 201 401 201 201 403 201
GET    /challenges/{id}         401 401 401 404 200 401 200 200 200 200
GET    /challenges/{id}/edit    401 401 401 404 200 401 200 200 200 200
PATCH  /challenges/{id}         401 401 401 404 403 401 200 200 403 200
POST   /challenges/{id}/edit    401 401 401 404 403 401 303 303 403 303
POST   /challenges/{id}/archive 401 401 401 404 403 401 200 200 403 200
DELETE /challenges/{id}         401 401 401 404 403 401 204 204 403 204
POST   /challenges/{id}/restore 401 401 401 404 409 401 409 409 403 409
POST   /challenges/{id}/copy    401 401 401 404 201 401 201 201 403 201
"""

INTERVIEWS = Table(
    name="interviews",
    rows=rows(MATRIX),
    place=interview,
    bodies={
        ("POST", "/interviews"): NEW,
        ("PATCH", "/interviews/{id}"): {"candidate_name": "Grace"},
        ("POST", "/interviews/{id}/link"): {"action": "rotate"},
        ("POST", "/interviews/{id}/notes"): NOTE,
        ("PATCH", "/interviews/{id}/notes/{note}"): NOTE,
        ("PUT", "/interviews/{id}/scorecard"): {"summary": "good"},
        ("POST", "/i/{code}/messages"): {"content": "How?"},
        ("POST", "/i/{code}/leave"): {"confirm": "yes"},
        ("POST", "/i/{code}/marks"): {"kind": "paste", "chars": 3},
    },
    forms={
        ("POST", "/interviews/new"): NEW,
        ("POST", "/interviews/{id}/update"): NEW,
        ("POST", "/interviews/{id}/notes/{note}/change"): NOTE,
        ("POST", "/interviews/{id}/scorecard"): {"summary": "good"},
        ("POST", "/i"): {"code": "{code}"},
    },
)
CHALLENGES = Table(
    name="challenges",
    rows=rows(LIBRARY),
    place=challenge,
    bodies={("POST", "/challenges"): CHALLENGE, ("PATCH", "/challenges/{id}"): {"title": "Another"}},
    forms={("POST", "/challenges/{id}/edit"): CHALLENGE},
)
