"""The OpenAPI document, made from the kinds: one path for each command, with the command's own schema.

What applications add with FastAPI stands beside it, with the house's refusals in place of the framework's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from ..core.kind import Kind
from ..core.lifecycle import CREATE
from . import api
from .errors import PROBLEM

Json = dict[str, Any]
REFUSALS = {
    400: "Not a request this server reads.",
    401: "Nobody is proved.",
    403: "Not allowed.",
    404: "Nothing here for you.",
    406: "No form that Accept allows.",
    408: "The request took too long.",
    409: "Not in this state.",
    410: "A position of another history.",
    412: "The session has moved on.",
    413: "The body is too large.",
    415: "Not a type of body that is read here.",
    422: "Invalid input.",
    429: "Too many.",
    503: "Not now.",
    507: "The disk is full.",
}
_ALWAYS = (400, 408, 413, 429, 503)
_POSITION = r"^[1-9][0-9]{0,15}\.(0|[1-9][0-9]{0,15})$"
_TURN_CURSOR = r"^(0|[A-Za-z0-9_-]{1,64}\.(end|0|[1-9][0-9]{0,15}))$"
_CURSOR = r"^(0|now|[1-9][0-9]{0,15}\.(0|[1-9][0-9]{0,15}))$"
_TYPES = r"^[A-Za-z][A-Za-z0-9_]{0,63}(,[A-Za-z][A-Za-z0-9_]{0,63}){0,31}$"


def document(kinds: Mapping[str, Kind], routes: Sequence[BaseRoute], *, version: str) -> Json:
    """The whole document."""
    made: Json = get_openapi(title="Sitting", version=version, routes=routes, summary="Sessions with a language model.")
    for path in made.get("paths", {}).values():
        for operation in path.values():
            _ours(operation)
    components = made.setdefault("components", {})
    for name in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(name, None)
    schemas = {**_SCHEMAS, **components.get("schemas", {})}
    made["paths"] = {**_paths(kinds, schemas), **made.get("paths", {})}
    components["schemas"] = schemas
    components["responses"] = {"Problem": _problem("Refused, or the server is in trouble.")}
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "cookie": {"type": "apiKey", "in": "cookie", "name": "sitting"},
    }
    return made


def _ours(operation: Json) -> None:
    responses = operation.setdefault("responses", {})
    if "HTTPValidationError" in str(responses.get("422", "")):
        responses["422"] = {"$ref": "#/components/responses/Problem"}
    responses.setdefault("default", {"$ref": "#/components/responses/Problem"})
    operation.setdefault("security", [{"token": []}, {"cookie": []}])


def _paths(kinds: Mapping[str, Kind], schemas: Json) -> Json:
    return {**_open_paths(), **_session_paths(kinds), **_turn_paths(), **_commands(kinds, schemas)}


def _open_paths() -> Json:
    """What anybody may ask."""
    return {
        "/v1": {
            "get": _operation("index", "Where everything is.", _answers(_json("Index", "Addresses.")), secured=False)
        },
        "/v1/kinds": {
            "get": _operation("kinds", "The kinds there are.", _answers(_json("Kinds", "Kinds.")), secured=False)
        },
        "/v1/kinds/{kind}": {
            "get": _operation(
                "kind",
                "A kind: lifecycle and commands.",
                _answers(_json("Kind", "The kind."), 404),
                secured=False,
                parameters=[_path("kind", "A kind's name.")],
            )
        },
        "/livez": {"get": _operation("live", "The process answers.", _answers(_json("Object", "Yes.")), secured=False)},
        "/readyz": {"get": _operation("ready", "The process can work.", _ready(), secured=False)},
        "/metrics": {"get": _operation("metrics", "Counts for Prometheus.", _answers(_text("Counts.")), secured=False)},
    }


def _session_paths(kinds: Mapping[str, Kind]) -> Json:
    one, id = "/v1/sessions/{id}", _path("id", "A session's id.")
    session, page = _json("Session", "The session."), _json("Events", "A page of events.")
    follow = _answers(_live(page), 304, 401, 404, 406, 410, 422)
    return {
        "/v1/sessions": {"get": _list(kinds)},
        one: {
            "get": _operation(
                "session",
                "A session as you see it.",
                _answers(session, 304, 401, 404),
                parameters=[id, _header("If-None-Match")],
            ),
            "delete": _operation(
                "erase",
                "Destroy what people wrote, keep the hashes.",
                _answers({204: {"description": "Erased."}}, 401, 403, 404, 409, 412),
                parameters=[id, _IF_MATCH],
            ),
        },
        f"{one}/events": {
            "get": _operation("events", "Events, as JSON or as a live stream.", follow, parameters=[id, *_FOLLOW]),
            "head": _operation(
                "head",
                "The head of the journal.",
                _answers({200: {"description": "See the headers."}}, 304, 401, 404, 406, 410, 422),
                parameters=[id, *_FOLLOW],
            ),
        },
        f"{one}/bundle": {
            "get": _operation("export", "A signed bundle.", _answers(_file("A zip file."), 401, 404), parameters=[id])
        },
        f"{one}/verify": {
            "get": _operation(
                "verify",
                "Whether the journal is whole.",
                _answers(_json("Verdict", "The verdict."), 401, 404),
                parameters=[id],
            )
        },
        "/v1/bundles": {
            "post": _operation(
                "import",
                "Take a bundle in.",
                _answers(_json("Session", "The session.", status=201), 401, 403, 404, 409, 415, 422),
                body={
                    "required": True,
                    "content": {
                        name: {"schema": {"type": "string", "format": "binary"}}
                        for name in ("application/octet-stream", "application/zip")
                    },
                },
            )
        },
    }


def _turn_paths() -> Json:
    turn = "/v1/sessions/{id}/turns/{turn}"
    id, turn_id = _path("id", "A session's id."), _path("turn", "A turn's id.")
    return {
        turn: {
            "get": _operation(
                "turn",
                "A turn with its text.",
                _answers(_json("Turn", "The turn."), 401, 404),
                parameters=[id, turn_id],
            )
        },
        f"{turn}/stream": {
            "get": _operation(
                "follow_turn",
                "A turn's text as it is written.",
                _answers(_STREAM | {204: {"description": "It has ended."}}, 401, 404),
                parameters=[
                    id,
                    turn_id,
                    _query("after", {"type": "string", "pattern": _TURN_CURSOR}),
                    _header("Last-Event-ID", {"type": "string", "pattern": _or_empty(_TURN_CURSOR)}),
                ],
            )
        },
        f"{turn}/cancel": {
            "post": _operation(
                "cancel_turn",
                "Stop a turn, keep what it has written.",
                _answers(_json("Cancelled", "Stopped."), 401, 403, 404, 409, 415, 422),
                parameters=[id, turn_id, _KEY],
                body=_json_body({"type": "object", "additionalProperties": False}, required=False),
            )
        },
    }


def _commands(kinds: Mapping[str, Kind], schemas: Json) -> Json:
    """A path for each kind's `create` and for each verb. A verb of several kinds takes any of their bodies."""
    paths: Json = {}
    verbs: dict[str, list[Json]] = {}
    for kind in kinds.values():
        body = _command(kind, CREATE, schemas)
        paths[f"/v1/kinds/{kind.name}/sessions"] = {
            "post": _operation(
                f"create_{kind.name}",
                f"Open a session of the kind {kind.name}.",
                _answers(_json("Done", "Opened.", status=201), 401, 403, 404, 409, 415, 422, 507),
                parameters=[_KEY],
                body=_json_body(body),
            )
        }
        for verb in api.public(kind):
            verbs.setdefault(verb, []).append(_command(kind, verb, schemas))
    for verb, bodies in verbs.items():
        paths[f"/v1/sessions/{{id}}/commands/{verb}"] = {
            "post": _operation(
                f"do_{verb}",
                f"Carry out `{verb}`.",
                _answers(_json("Done", "Done."), 401, 403, 404, 409, 412, 415, 422, 507),
                parameters=[
                    _path("id", "A session's id."),
                    _KEY,
                    _IF_MATCH,
                ],
                body=_json_body(bodies[0] if len(bodies) == 1 else {"anyOf": bodies}, required=False),
            )
        }
    return paths


def _command(kind: Kind, verb: str, schemas: Json) -> Json:
    """A reference to a command's schema, which is added to the components with the schemas it uses."""
    name = f"{kind.name}.{verb}"
    schema = kind.commands[verb].model_json_schema(ref_template=f"#/components/schemas/{name}.{{model}}")
    for inner, definition in schema.pop("$defs", {}).items():
        schemas[f"{name}.{inner}"] = definition
    schemas[name] = schema
    return {"$ref": f"#/components/schemas/{name}"}


def _list(kinds: Mapping[str, Kind]) -> Json:
    states = sorted({state for kind in kinds.values() for state in kind.lifecycle.states})
    return _operation(
        "sessions",
        "The sessions of a kind that you have a role in, newest first.",
        _answers(_json("Sessions", "A page of sessions."), 401, 404, 422),
        parameters=[
            _query("kind", {"type": "string", "enum": sorted(kinds)}, required=True),
            _query("state", {"type": "string", "enum": states}),
            _query("q", {"type": "string", "maxLength": 200}),
            _query("limit", _range(1, 100, 50)),
            _query("offset", _range(0, 1_000_000, 0)),
        ],
    )


def _operation(
    id: str,
    summary: str,
    responses: Json,
    *,
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    secured: bool = True,
) -> Json:
    made: Json = {"operationId": id, "summary": summary, "responses": responses, "tags": ["v1"]}
    if parameters:
        made["parameters"] = list(parameters)
    if body is not None:
        made["requestBody"] = body
    made["security"] = [{"token": []}, {"cookie": []}] if secured else []
    return made


def _answers(good: Mapping[int, Json], *refusals: int) -> Json:
    made = {str(status): response for status, response in good.items()}
    for status in sorted({*refusals, *_ALWAYS}):
        made[str(status)] = {"description": "As you know it."} if status == 304 else _problem(REFUSALS[status])
    return made


def _problem(description: str) -> Json:
    return {"description": description, "content": {PROBLEM: {"schema": _ref("Problem")}}}


def _json(schema: str, description: str, *, status: int = 200) -> dict[int, Json]:
    return {status: {"description": description, "content": {"application/json": {"schema": _ref(schema)}}}}


def _live(page: dict[int, Json]) -> dict[int, Json]:
    content = {**page[200]["content"], **_STREAM[200]["content"]}
    return {200: {"description": "Events.", "content": content}, 204: {"description": "Closed, and you have it all."}}


def _file(description: str) -> dict[int, Json]:
    return {
        200: {
            "description": description,
            "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
        }
    }


def _text(description: str) -> dict[int, Json]:
    return {200: {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}}


def _ready() -> Json:
    yes, no = _json("Object", "Yes.")[200], _json("Object", "Not now.")[200]
    return _answers({200: yes}) | {"503": no}


def _json_body(schema: Json, *, required: bool = True) -> Json:
    return {"required": required, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _path(name: str, description: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string", "minLength": 1},
    }


def _query(name: str, schema: Json, *, required: bool = False) -> Json:
    return {"name": name, "in": "query", "required": required, "schema": schema}


def _header(name: str, schema: Json | None = None) -> Json:
    return {"name": name, "in": "header", "required": False, "schema": schema or {"type": "string"}}


def _or_empty(pattern: str) -> str:
    """A header without a value is as good as none."""
    return pattern[:-1] + "?$"


def _range(low: int, high: int, default: int) -> Json:
    return {"type": "integer", "minimum": low, "maximum": high, "default": default}


def _object(required: Sequence[str], **properties: Json) -> Json:
    return {"type": "object", "required": list(required), "properties": properties}


_STRING: Json = {"type": "string"}
_TEXT_OR_NULL: Json = {"type": ["string", "null"]}
_COUNT: Json = {"type": "integer", "minimum": 0}
_AT: Json = {"type": "string", "pattern": _POSITION}
_ANY: Json = {"type": "object"}
_STRINGS: Json = {"type": "array", "items": _STRING}
_STREAM: dict[int, Json] = {
    200: {"description": "A live stream.", "content": {"text/event-stream": {"schema": _STRING}}}
}
_KEY = _header("Idempotency-Key", {"type": "string", "pattern": "^[!-~]{1,255}$"})
_IF_MATCH = _header("If-Match", {"type": "string", "pattern": r'^(\*|"[1-9][0-9]{0,8}\.[0-9]{1,9}")$'})
_FOLLOW = (
    _query("after", {"type": "string", "pattern": _CURSOR}),
    _query("limit", _range(1, 500, 100)),
    _query("wait", _range(0, 30, 0)),
    _query("types", {"type": "string", "pattern": _TYPES}),
    _header("Last-Event-ID", {"type": "string", "pattern": _or_empty(_CURSOR)}),
    _header("If-None-Match"),
)
_SESSION: Json = {
    "id": _STRING,
    "kind": _STRING,
    "state": _STRING,
    "as_of": _AT,
    "role": _STRING,
    "closed": {"type": "boolean"},
    "created_at": _TEXT_OR_NULL,
    "updated_at": _TEXT_OR_NULL,
    "allowed": _STRINGS,
    "view": _ANY,
    "people": {"type": "array", "items": _object(("actor", "role"), actor=_STRING, role=_STRING)},
}
_NEEDED = tuple(name for name in _SESSION if name != "people")
_SCHEMAS: Json = {
    "Object": _ANY,
    "Problem": _object(
        ("type", "title", "status", "detail", "code", "request_id"),
        type=_STRING,
        title=_STRING,
        status={"type": "integer"},
        detail=_STRING,
        code=_STRING,
        request_id=_STRING,
        fields={"type": "array", "items": _object(("field", "message"), field=_STRING, message=_STRING)},
    ),
    "Index": _object(("name", "version"), name=_STRING, version=_STRING),
    "Kinds": _object(
        ("items",), items={"type": "array", "items": _object(("name", "label"), name=_STRING, label=_STRING)}
    ),
    "Kind": _object(
        ("name", "states", "final", "moves", "commands"), name=_STRING, states=_STRINGS, final=_STRINGS, commands=_ANY
    ),
    "Session": _object(_NEEDED, **_SESSION),
    "Sessions": _object(
        ("items", "total", "limit", "offset"),
        items={"type": "array", "items": _ref("Session")},
        total=_COUNT,
        limit=_COUNT,
        offset=_COUNT,
    ),
    "Done": _object((*_NEEDED, "events"), **_SESSION, events={"type": "array", "items": _ANY}),
    "Events": _object(
        ("events", "next", "head", "up_to_date", "closed"),
        events={"type": "array", "items": _ANY},
        next=_AT,
        head=_AT,
        up_to_date={"type": "boolean"},
        closed={"type": "boolean"},
    ),
    "Turn": _object(
        ("turn", "purpose", "status", "seq", "text"),
        turn=_STRING,
        purpose=_STRING,
        status=_STRING,
        seq={"type": ["integer", "null"]},
        text=_STRING,
    ),
    "Cancelled": _object(("turn", "status", "as_of"), turn=_STRING, status=_STRING, as_of=_AT),
    "Verdict": _object(
        ("session", "ok", "checked", "head", "reason"),
        session=_STRING,
        ok={"type": "boolean"},
        checked=_COUNT,
        head=_STRING,
        reason=_STRING,
        seq={"type": ["integer", "null"]},
        withheld=_COUNT,
        erased=_COUNT,
    ),
}
