"""A session's events as JSON: one page, or wait for it. The positions are those of the streams."""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .. import errors
from ..core.actor import Actor
from ..reading import Page
from . import answer, deps, frames
from .deps import Who
from .frames import Position

MAX_BYTES = 1 << 20


async def events(request: Request, session: str, who: Who) -> Response:
    """`{"events", "next", "head", "up_to_date", "closed"}`, with ETag; 410 when the position is of another history."""
    limit = deps.integer(request, "limit", 100, low=1, high=500)
    wait = deps.integer(request, "wait", 0, low=0, high=30)
    types = frames.wanted(request)
    cursor = frames.journal_cursor(request)
    actor = await who(request)
    installation = request.app.state.installation
    after = await _start(installation.engine, session, actor, cursor)
    try:
        if wait and request.method == "GET":
            page = await _awaited(request, session, who, after, limit, wait, types)
        else:
            page = await deps.settle(installation.engine.events(session, actor, after=after, limit=limit))
            page = frames.only(page, types)
    except errors.Gone as gone:
        raise _gone(session, gone.facts) from None
    head = Position(page.session.epoch, page.session.seq)
    etag = f'"{head}:{"c" if page.closed else "o"}"'
    headers = {
        "ETag": etag,
        "Session-Head": str(head),
        "Session-Oldest": f"{head.epoch}.1",
        "Cache-Control": "no-store",
        "Session-Closed": "true" if page.closed else "false",
        "Vary": "Accept",
    }
    if matches(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(_body(page), headers=headers, media_type="application/json")


def matches(request: Request, etag: str) -> bool:
    """Whether If-None-Match names this tag; weak comparison, as for every GET."""
    asked = request.headers.get("if-none-match", "")
    return asked.strip() == "*" or etag in [item.strip().removeprefix("W/") for item in asked.split(",")]


async def _start(engine: Any, session: str, actor: Actor, cursor: Position | None) -> int:
    """The seq to read after. Raises NotFound before anything about the history, then Gone."""
    if cursor is not None and cursor.epoch in (0, engine.epoch):
        return cursor.seq
    found = (await deps.settle(engine.events(session, actor, after=0, limit=1))).session
    if cursor is None:
        return int(found.seq)
    raise _gone(session, {"oldest": f"{found.epoch}.1", "head": found.position})


async def _awaited(
    request: Request, session: str, who: Who, after: int, limit: int, wait: int, types: frozenset[str]
) -> Page:
    """A page with something in it, or what there is after `wait` seconds. Nobody waits through a shutdown."""
    live, engine = request.app.state.installation.live, request.app.state.installation.engine
    actor = await who(request)
    ends = time.monotonic() + wait
    with live.follow(session, actor.id) as topic:
        while True:
            tick, access = topic.tick, live.access
            page: Page = await deps.settle(engine.events(session, actor, after=after, limit=limit))
            page = frames.only(page, types)
            left = ends - time.monotonic()
            told = any(told is not None for _, told in page.events)
            if told or page.closed or left <= 0 or request.app.state.streams.draining:
                return page
            if page.events:
                after = page.events[-1][0]
            await live.wait(topic, tick, left)
            if access != live.access:
                actor = await deps.asked_again(request, who)


def _body(page: Page) -> bytes:
    """Events until about a mebibyte; the rest is for the next request. A page without any was read at the head."""
    told: list[bytes] = []
    last, size = page.session.seq, 0
    for seq, event in page.events:
        if event is not None:
            told.append(answer.dumps(event))
            size += len(told[-1])
        last = seq
        if size > MAX_BYTES:
            break
    epoch, head = page.session.epoch, page.session.seq
    rest = {"next": f"{epoch}.{last}", "head": f"{epoch}.{head}", "up_to_date": last >= head, "closed": page.closed}
    return b'{"events":[' + b",".join(told) + b"]," + answer.dumps(rest)[1:]


def _gone(session: str, facts: Any) -> errors.Gone:
    return errors.Gone(**{**facts, "state": f"/v1/sessions/{session}"})
