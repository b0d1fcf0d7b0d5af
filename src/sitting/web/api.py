"""`/v1`: every kind by the same door, and what operators ask (`/livez`, `/readyz`, `/metrics`).

The routes are plain Starlette functions, because every client's every request comes through them. Their description
for people and programs stands in `openapi.py`, and a test holds the two together.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from .. import bundle, errors
from ..core import strict
from ..core.actor import SYSTEM, Actor
from ..core.event import to_text
from ..core.kind import Kind
from ..core.lifecycle import CREATE, ERASE
from ..core.session import Session
from ..engine import Done, Seen, Where
from . import answer, deps, metrics, poll, stream
from .refusals import NotAcceptable, UnsupportedMedia

CANCEL = "cancel_turn"
BUNDLE_BYTES = 64 * 1024 * 1024
FAULT_SECONDS = 2.0
_REMEMBERED = 4096
_EVENTS_AS = ("text/event-stream", "application/json", "application/*", "*/*")


class Nothing(BaseModel):
    """A body with nothing in it."""

    model_config = ConfigDict(extra="forbid")


def public(kind: Kind) -> tuple[str, ...]:
    """The verbs anybody may ask for by `/v1`: neither the system's own nor those that mint a credential."""
    moves = kind.lifecycle.moves
    known = {move.verb for move in moves if move.roles != (SYSTEM,)} - kind.minting - {CREATE, ERASE}
    return tuple(verb for verb in kind.lifecycle.verbs if verb in known)


def described(kind: Kind) -> dict[str, Any]:
    """A kind as JSON: its lifecycle and the schema of each command."""
    lifecycle = kind.lifecycle
    return {
        "name": kind.name,
        "label": kind.label or kind.name,
        "description": kind.description,
        "states": list(lifecycle.states),
        "final": sorted(lifecycle.final),
        "moves": [
            {"verb": move.verb, "from": list(move.source), "to": list(move.target), "roles": list(move.roles)}
            for move in lifecycle.moves
        ],
        "commands": {verb: kind.commands[verb].model_json_schema() for verb in (CREATE, *public(kind))},
    }


def shown(kind: Kind, session: Session, role: str, audience: str, now: datetime) -> dict[str, Any]:
    """A session as `/v1` gives it."""
    return {
        "id": session.id,
        "kind": session.kind,
        "state": session.state,
        "as_of": session.position,
        "role": role,
        "closed": kind.is_closed(session, audience),
        "created_at": _time(session.created_at),
        "updated_at": _time(session.updated_at),
        "allowed": list(kind.offered(session.state, role)),
        "view": kind.view(session, audience, now),
    }


async def index(request: Request) -> Response:
    """Where everything is."""
    state = request.app.state
    return answer.json(
        {
            "name": "Sitting",
            "version": state.version,
            "kinds": "/v1/kinds",
            "sessions": "/v1/sessions{?kind,state,q,limit,offset}",
            "session": "/v1/sessions/{id}",
            "events": "/v1/sessions/{id}/events{?after,limit,wait,types}",
            "openapi": "/openapi.json",
        }
    )


async def kinds(request: Request) -> Response:
    """The kinds of session there are."""
    known = deps.installation(request).kinds.values()
    items = [{"name": kind.name, "label": kind.label or kind.name, "description": kind.description} for kind in known]
    return answer.json({"items": items})


async def kind(request: Request) -> Response:
    """One kind."""
    return answer.json(described(deps.kind(request, request.path_params["kind"])))


async def create(request: Request) -> Response:
    """Open a session of a kind."""
    actor = await deps.actor(request)
    engine = deps.installation(request).engine
    definition = deps.kind(request, request.path_params["kind"])
    command = await deps.read(request, definition.commands[CREATE])

    def render(done: Done) -> Response:
        body = _done(definition, done)
        return answer.json(
            body, 201, {"Location": f"/v1/sessions/{done.session.id}", "ETag": f'"{done.session.position}"'}
        )

    once = await deps.once(request, actor, render)
    return deps.answered(await deps.settle(engine.open(definition.name, command, actor, once=once)), render)


async def sessions(request: Request) -> Response:
    """The sessions of a kind that the caller has a role in, newest first."""
    actor = await deps.actor(request)
    engine = deps.installation(request).engine
    if not (name := deps.text(request, "kind")):
        raise errors.Invalid.field("kind", "is required")
    definition = deps.kind(request, name)
    where = Where(
        state=deps.choice(request, "state", "", definition.lifecycle.states),
        q=deps.text(request, "q"),
        limit=deps.integer(request, "limit", 50, low=1, high=100),
        offset=deps.integer(request, "offset", 0, low=0, high=1_000_000),
    )
    found = await deps.settle(engine.list(name, actor, where))
    items = [shown(definition, seen.session, seen.role, seen.audience, seen.now) for seen in found.items]
    return answer.json({"items": items, "total": found.total, "limit": where.limit, "offset": where.offset})


async def session(request: Request) -> Response:
    """One session (GET, HEAD), or its end (DELETE)."""
    actor = await deps.actor(request)
    engine = deps.installation(request).engine
    id = request.path_params["id"]
    if request.method == "DELETE":
        await deps.settle(engine.erase(id, actor, expect=deps.expected(request)))
        return Response(status_code=204)
    seen = await deps.settle(engine.view(id, actor))
    etag = f'"{seen.session.position}"'
    if poll.matches(request, etag):
        return Response(status_code=304, headers={"ETag": etag})
    return answer.json(_seen(engine.kind(seen.session.kind), seen, actor), headers={"ETag": etag})


async def command(request: Request) -> Response:
    """Carry a command out."""
    actor = await deps.actor(request)
    id, verb = request.path_params["id"], request.path_params["verb"]
    engine = deps.installation(request).engine
    definition = await _kind_of(request, id, actor)
    if verb not in public(definition):
        await deps.settle(engine.view(id, actor))
        raise errors.NotFound("There is no such command here.")
    asked = await _authorized(request, id, actor, lambda: deps.read(request, definition.commands[verb]))

    def render(done: Done) -> Response:
        return answer.json(_done(definition, done), headers={"ETag": f'"{done.session.position}"'})

    once, expect = await deps.once(request, actor, render), deps.expected(request)
    return deps.answered(await deps.settle(engine.do(id, asked, actor, expect=expect, once=once)), render)


async def events(request: Request) -> Response:
    """The events of a session: JSON, or a live stream. Raises NotAcceptable."""
    accept = (request.headers.get("accept") or "*/*").lower()
    if request.method == "GET" and not any(name in accept for name in _EVENTS_AS):
        raise NotAcceptable()
    return await stream.events(request, request.path_params["id"])


async def turn(request: Request) -> Response:
    """A turn with its text."""
    actor = await deps.actor(request)
    engine = deps.installation(request).engine
    id, name = request.path_params["id"], request.path_params["turn"]
    seen = await deps.settle(engine.turn(id, name, actor))
    text = await deps.settle(engine.text(id, name, actor))
    return answer.json(
        {
            "turn": seen.id,
            "purpose": seen.purpose,
            "status": text.status,
            "seq": text.seq,
            "text": text.text,
            "stream": f"/v1/sessions/{id}/turns/{name}/stream",
        }
    )


async def turn_stream(request: Request) -> Response:
    """A turn's text as it is written."""
    return await stream.turn(request, request.path_params["id"], request.path_params["turn"])


async def cancel(request: Request) -> Response:
    """Stop a turn and keep what it has written. Only this turn: a late wish cannot stop the next one."""
    actor = await deps.actor(request)
    id, name = request.path_params["id"], request.path_params["turn"]
    engine = deps.installation(request).engine
    definition = await _kind_of(request, id, actor)
    await _authorized(request, id, actor, lambda: deps.read(request, Nothing))
    if CANCEL not in definition.commands:
        raise errors.NotFound("Turn not found")
    asked = strict.check(definition.commands[CANCEL], {"turn": name})

    def render(done: Done) -> Response:
        return answer.json({"turn": name, "status": "cancelled", "as_of": done.session.position})

    once = await deps.once(request, actor, render)
    return deps.answered(await deps.settle(engine.do(id, asked, actor, once=once)), render)


async def exported(request: Request) -> Response:
    """A signed bundle of what the caller may see."""
    actor = await deps.actor(request)
    installation = deps.installation(request)
    id = request.path_params["id"]
    raw = await run_in_threadpool(bundle.export, installation.engine, id, actor, installation.signing_key)
    return answer.attachment(f"session-{id}.zip", raw, "application/zip")


async def imported(request: Request) -> Response:
    """Take a bundle in."""
    actor = await deps.actor(request)
    if not actor.is_user:
        raise errors.NotAllowed()
    installation = deps.installation(request)
    engine = installation.engine
    if deps.media_type(request) not in ("application/zip", "application/octet-stream"):
        raise UnsupportedMedia()
    raw = await request.body()
    future = await run_in_threadpool(bundle.bring_in, engine, raw, actor, installation.signing_key)
    brought = await deps.settle(future)
    seen = await deps.settle(engine.view(brought.id, actor))
    body = _seen(engine.kind(brought.kind), seen, actor)
    return answer.json(body, 201, {"Location": f"/v1/sessions/{brought.id}"})


async def verify(request: Request) -> Response:
    """Whether the journal is whole: every hash, the head, and that folding it gives the stored state."""
    actor = await deps.actor(request)
    installation = deps.installation(request)
    id = request.path_params["id"]
    await deps.settle(installation.engine.view(id, actor))
    verdict = await deps.settle(bundle.verify(installation.store, installation.kinds, id, epoch=installation.epoch))
    told = asdict(verdict)
    del told["signed_by"]  # of files
    return answer.json(told)


async def live(request: Request) -> Response:
    """The process answers."""
    return answer.json({"live": True})


async def ready(request: Request) -> Response:
    """The process can do its work: the store answers, nothing failed to be stored just now, and it is not leaving."""
    state = request.app.state
    reason = "draining" if state.streams.draining else ""
    if not reason and time.monotonic() < state.fault_at + FAULT_SECONDS:
        reason = "a write has just failed"
    if not reason:
        try:
            await deps.settle(deps.installation(request).store.read(lambda tx: True))
        except errors.Fault:
            reason = "the database does not answer"
    return answer.json({"ready": not reason, "reason": reason}, 503 if reason else 200)


async def counted(request: Request) -> Response:
    """What this process counts, for Prometheus."""
    return Response(generate_latest(metrics.REGISTRY), media_type=CONTENT_TYPE_LATEST)


ROUTES = [
    Route("/v1", index, methods=["GET"]),
    Route("/v1/kinds", kinds, methods=["GET"]),
    Route("/v1/kinds/{kind}", kind, methods=["GET"]),
    Route("/v1/kinds/{kind}/sessions", create, methods=["POST"]),
    Route("/v1/sessions", sessions, methods=["GET"]),
    Route("/v1/sessions/{id}", session, methods=["GET", "DELETE"]),
    Route("/v1/sessions/{id}/commands/{verb}", command, methods=["POST"]),
    Route("/v1/sessions/{id}/events", events, methods=["GET"]),
    Route("/v1/sessions/{id}/turns/{turn}", turn, methods=["GET"]),
    Route("/v1/sessions/{id}/turns/{turn}/stream", turn_stream, methods=["GET"]),
    Route("/v1/sessions/{id}/turns/{turn}/cancel", cancel, methods=["POST"]),
    Route("/v1/sessions/{id}/bundle", exported, methods=["GET"]),
    Route("/v1/sessions/{id}/verify", verify, methods=["GET"]),
    Route("/v1/bundles", imported, methods=["POST"]),
    Route("/livez", live, methods=["GET"]),
    Route("/readyz", ready, methods=["GET"]),
    Route("/metrics", counted, methods=["GET"]),
]
BODY_LIMITS: Mapping[str, int] = {"/v1/bundles": BUNDLE_BYTES}


async def _kind_of(request: Request, id: str, actor: Actor) -> Kind:
    """The kind of a session. It never changes, so it is remembered; whether the actor may know is asked elsewhere."""
    engine = deps.installation(request).engine
    known: OrderedDict[str, str] = request.app.state.kind_of
    if id not in known:
        known[id] = (await deps.settle(engine.view(id, actor))).session.kind
        if len(known) > _REMEMBERED:
            known.popitem(last=False)
    return engine.kind(known[id])


async def _authorized(request: Request, id: str, actor: Actor, read: Callable[[], Awaitable[Any]]) -> Any:
    """Read the body; whoever has no role here gets the answer of an unknown session, whatever the body holds."""
    try:
        return await read()
    except errors.Refusal:
        await deps.settle(deps.installation(request).engine.view(id, actor))
        raise


def _seen(kind: Kind, seen: Seen, actor: Actor) -> dict[str, Any]:
    body = shown(kind, seen.session, seen.role, seen.audience, seen.now)
    if actor.is_user:
        body["people"] = [{"actor": person, "role": role} for person, role in seen.people]
    return body


def _done(kind: Kind, done: Done) -> dict[str, Any]:
    told = (kind.tell(event, done.audience) for event in done.events)
    return {
        **shown(kind, done.session, done.role, done.audience, done.now),
        "events": [event for event in told if event is not None],
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else to_text(at)
