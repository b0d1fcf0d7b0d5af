"""A session's events as JSON: one page, or wait for it. The positions are those of the streams.

Who waits is a follower like any stream: counted as one, reading together with its like, and gone with its caller.
"""

from __future__ import annotations

import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .. import errors
from ..core.actor import Actor
from ..engine import Engine
from ..live import Live, Topic
from ..reading import Page
from . import answer, deps, frames
from .deps import Who
from .frames import Position
from .streams import Left, Streams, while_there, whose

MAX_BYTES = 1 << 20


class Unheard(Response):
    """No answer: whoever asked has gone."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        return None


async def events(request: Request, session: str, who: Who) -> Response:
    """`{"events", "next", "head", "up_to_date", "closed"}`, with ETag; 410 when the position is of another history."""
    limit = deps.integer(request, "limit", 100, low=1, high=500)
    wait = deps.integer(request, "wait", 0, low=0, high=30)
    types = frames.wanted(request)
    cursor = frames.journal_cursor(request)
    installation = request.app.state.installation
    access = installation.live.access
    actor = await who(request)
    after = await _start(installation.engine, session, actor, cursor)
    try:
        if wait and request.method == "GET":
            async with while_there(request.receive):
                with request.app.state.streams.entered(whose(actor, session)):
                    waiting = _Waiting(request, session, who, actor, access, limit, types)
                    page = await waiting.read(after, wait)
        else:
            page = await deps.settle(installation.engine.events(session, actor, after=after, limit=limit))
            page = frames.only(page, types)
    except Left:
        return Unheard()
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


class _Waiting:
    """A caller who waits for a page with something in it."""

    def __init__(
        self,
        request: Request,
        session: str,
        who: Who,
        actor: Actor,
        access: int,
        limit: int,
        types: frozenset[str],
    ) -> None:
        self.request, self.session, self.who = request, session, who
        self.actor, self.access, self.limit, self.types = actor, access, limit, types
        self.engine: Engine = request.app.state.installation.engine
        self.live: Live = request.app.state.installation.live
        self.streams: Streams = request.app.state.streams

    async def read(self, after: int, wait: int) -> Page:
        """The page, or what there is after `wait` seconds. Nobody waits through a shutdown, or while there is more."""
        ends = time.monotonic() + wait
        with self.live.follow(self.session, self.actor.id) as topic:
            while True:
                tick = topic.tick
                if self.access != self.live.access:
                    self.access = self.live.access
                    self.actor = await deps.asked_again(self.request, self.who)
                page = await self._page(topic, tick, after)
                after = page.events[-1][0] if page.events else after
                told = any(told is not None for _, told in page.events)
                behind = bool(page.events) and after < page.session.seq
                left = ends - time.monotonic()
                if told or (page.closed and not behind) or left <= 0 or self.streams.draining:
                    return page
                if not behind:
                    await self.live.wait(topic, tick, left)

    async def _page(self, topic: Topic, tick: int, after: int) -> Page:
        actor = self.actor

        async def read() -> Page:
            page = await deps.settle(self.engine.events(self.session, actor, after=after, limit=self.limit))
            return frames.only(page, self.types)

        return await self.streams.together(("poll", topic, tick, actor, self.types, after, self.limit), read)


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
