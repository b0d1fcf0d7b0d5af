"""Live streams: the journal as it grows, and the text of turns while it is written.

A follower is one position in one journal: read after it, write, else wait for a wake or a second. It attaches before
the first read and never keeps a queue, so there is no gap between history and now, nothing twice, and memory does not
grow when a reader is slow. Who reads is asked again at every read: a role that was taken away ends the stream. The
first write holds the headers, `retry`, the position and a comment. A model, a slow reader or a full disk delay nobody
else.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .. import errors, logs
from ..core.actor import Actor
from ..engine import Engine
from ..live import Live, Topic
from ..reading import RUNNING, Page, TextPage
from . import deps, frames, metrics, poll
from .deps import Who
from .feed import Feed, Seat
from .frames import Chunk, Position
from .streams import Left, Out, Stalled, Streams, while_there, whose

log = structlog.get_logger("sitting.live")
FIRST_PAGE = 100
PAGE = 200
NO_HEADERS: Mapping[str, str] = {}


class TurnFrames:
    """How a turn's stream is written. An application may write its own frames around the same text."""

    def opening(self, turn: str, off: int) -> bytes:
        """The first block, sent before anything is waited for."""
        return frames.opening(f"{turn}.{off}", f"turn={turn}")

    def tokens(self, turn: str, off: int, text: str) -> bytes:
        """What was written since `off`, which is never empty."""
        return frames.frame({"content": text}, event="token", id=f"{turn}.{off + len(text)}")

    async def ended(self, turn: str, page: TextPage) -> bytes:
        """The last frames: how the turn ended, and where its last event is."""
        data = {"turn": turn, "status": page.status, "seq": page.seq}
        return frames.frame(data, event="done", id=f"{turn}.{frames.END}")


USUAL_FRAMES = TurnFrames()


class EventStream(Response):
    """A response that lives. What can still be refused is refused before the first byte, as any other answer."""

    actor: Actor

    def __init__(self, request: Request, session: str, who: Who, *, headers: Mapping[str, str] = NO_HEADERS) -> None:
        super().__init__(None, 200)
        self.request, self.session, self.who, self.extra = request, session, who, headers
        self.engine: Engine = request.app.state.installation.engine
        self.live: Live = request.app.state.installation.live
        self.streams: Streams = request.app.state.streams
        self.tick = -1
        self.access = -1
        self.began_at = self.ask_at = time.monotonic()
        self.pace = self.streams.pace
        self.beat = self.pace.heartbeat * frames.spread(800, 1150) / 1000
        self.age = self.pace.age * frames.spread(900, 1100) / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.access = self.live.access  # before it is asked: what is taken away meanwhile is asked about again
        self.actor = await self.who(self.request)
        self._ask_later()
        with suppress(Left):
            async with while_there(receive):
                await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            counted = self.streams.entered(whose(self.actor, self.session))
            with counted, self.live.follow(self.session, self.actor.id) as topic:
                await self._guarded(scope, receive, send, topic)
        except Stalled:
            log.info("stream stalled", session=self.session)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send, topic: Topic) -> None:
        """Run; trouble after the first byte becomes a frame, since the status is out."""
        out = Out(scope, send, stall=self.pace.stall)
        self.note(topic)
        try:
            if not await self.run(out, topic):
                await Response(status_code=204)(scope, receive, send)
                return
        except (errors.NotFound, errors.NotAuthenticated, errors.NotAllowed):
            if not out.started:
                raise
            await out.write(frames.bye("access"))
        except errors.SittingError as error:
            if not out.started:
                raise
            await out.write(_fault(error.code, error.message))
        except (Stalled, asyncio.CancelledError):
            raise
        except Exception as error:
            if not out.started:
                raise
            log.error("stream failed", session=self.session, error=type(error).__name__, trail=logs.trail(error))
            await out.write(_fault("INTERNAL", "Something went wrong here."))
        await out.write(b"", last=True)

    async def run(self, out: Out, topic: Topic) -> bool:
        """Follow until there is nothing more to follow; False when there was nothing from the start."""
        raise NotImplementedError

    def note(self, topic: Topic) -> None:
        """Remember what has been heard of in the session. Always before a read."""
        self.tick = topic.tick

    async def idle(self, topic: Topic, seconds: float) -> None:
        """Do nothing until there may be something to do."""
        await self.live.wait(topic, self.tick, seconds)

    async def parked(self, out: Out, topic: Topic, *, at_most: float, beat: bytes) -> bool:
        """Wait for a wake and keep the line warm; False when this stream must leave. Asks who reads when it is time."""
        now = time.monotonic()
        rest = min(out.wrote_at + self.beat, self.began_at + self.age, self.ask_at) - now
        await self.idle(topic, min(rest, at_most))
        now = time.monotonic()
        if self.streams.draining or now >= self.began_at + self.age:
            reason = "drain" if self.streams.draining else "rotation"
            await out.write(frames.bye(reason, within_ms=self.streams.drain_ms))
            return False
        if now >= out.wrote_at + self.beat:
            await out.write(beat)
        await self.proved()
        return True

    async def proved(self) -> None:
        """Ask who reads when somebody's access was taken away since, or when it is time."""
        if self.access != self.live.access or time.monotonic() >= self.ask_at:
            self.access = self.live.access
            self.actor = await deps.asked_again(self.request, self.who)
            self._ask_later()

    def _ask_later(self) -> None:
        """Ask after a while, and when what proves the reader ends by itself."""
        seconds = self.pace.proof
        if self.actor.until is not None:
            left = self.actor.until - self.request.app.state.installation.clock.now()
            seconds = min(seconds, max(0.0, left.total_seconds()))
        self.ask_at = time.monotonic() + seconds


class JournalStream(EventStream):
    """A session's events, and the text of the turns that run."""

    def __init__(
        self,
        request: Request,
        session: str,
        who: Who,
        cursor: Position | None,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
    ) -> None:
        super().__init__(request, session, who, headers=headers)
        self.cursor = cursor
        self.page: Page | None = None
        self.feed: Feed | None = None
        self.fed_as: Actor | None = None
        self.turns: dict[str, int] = {}
        self.says_beat = request.query_params.get("hb") == "event"
        self.types = frames.wanted(request)
        self.limit = FIRST_PAGE

    async def run(self, out: Out, topic: Topic) -> bool:
        self.seat = Seat(out, 0)
        try:
            return await self._follow(out, topic)
        finally:
            self._stand_up()

    async def idle(self, topic: Topic, seconds: float) -> None:
        """Sleep in the feed; who wants some types only, or the text of a turn, looks by itself."""
        if self.types or self.turns or (self.page is not None and self.page.turns):
            await super().idle(topic, seconds)
            return
        if self.fed_as != self.actor:
            self._stand_up()
            self._sit_down(topic)
        if self.feed is not None:
            await self.feed.rest(self.seat, seconds, access=self.access)

    def _sit_down(self, topic: Topic) -> None:
        actor = self.fed_as = self.actor

        def make() -> Feed:
            read = partial(self._page, actor, limit=PAGE)
            return Feed(self.live, topic, read, seq=self.seat.seq, tick=self.tick, access=self.access)

        self.feed = self.streams.seated(self.session, actor, self.seat, make)

    def _stand_up(self) -> None:
        if self.fed_as is not None:
            self.streams.unseated(self.session, self.fed_as, self.seat)
            self.feed = self.fed_as = None

    async def _follow(self, out: Out, topic: Topic) -> bool:
        chunk, reset = await self._first(topic)
        self.page = page = chunk.page
        head = Position(page.session.epoch, page.session.seq)
        if page.closed and self.seat.seq == head.seq and not reset:
            return False
        await out.start({"Session-Head": str(head), **self.extra})
        opening = frames.opening(f"{head.epoch}.{self.seat.seq}", f"head={head} oldest={head.epoch}.1")
        await out.write(opening + reset + self._taken(chunk))
        while True:
            if written := await self._turn_frames(page, topic):
                await out.write(written)
            if page.closed and self.seat.seq >= page.session.seq:
                await out.write(frames.frame({"head": page.session.position}, event="end", id=page.session.position))
                return True
            if self.seat.seq >= page.session.seq:
                at_most = self.pace.text if page.turns else self.pace.age
                if not await self.parked(out, topic, at_most=at_most, beat=self._beat(page)):
                    return True
            elif self.streams.draining:
                await out.write(frames.bye("drain", within_ms=self.streams.drain_ms))
                return True
            else:
                await self.proved()
            self.note(topic)
            try:
                chunk = await self._read(topic, self.seat.seq, self.limit)
            except errors.Gone:
                chunk, again = await self._replaced(topic, "ahead")
                await out.write(again)
            self.page = page = chunk.page
            if data := await self._rests(page, topic) + self._taken(chunk):
                await out.write(data)

    async def _first(self, topic: Topic) -> tuple[Chunk, bytes]:
        """The first page, and the `reset` frame when the reader's position is not one of this history."""
        cursor = self.cursor
        if cursor is None:
            newest = await self._read(topic, 0, 1)
            self.seat.seq = newest.page.session.seq
            return await self._read(topic, self.seat.seq, FIRST_PAGE), b""
        if cursor.epoch not in (0, self.engine.epoch):
            return await self._replaced(topic, "epoch")
        self.seat.seq = cursor.seq
        try:
            return await self._read(topic, self.seat.seq, FIRST_PAGE), b""
        except errors.Gone:
            return await self._replaced(topic, "ahead")

    async def _replaced(self, topic: Topic, reason: str) -> tuple[Chunk, bytes]:
        """Tell the reader that its history is not this one, and where this one goes on."""
        newest = (await self._read(topic, 0, 1)).page.session
        self.seat.seq = newest.seq
        data = {
            "reason": reason,
            "oldest": f"{newest.epoch}.1",
            "head": newest.position,
            "state": f"/v1/sessions/{self.session}",
        }
        return await self._read(topic, self.seat.seq, FIRST_PAGE), frames.frame(data, event="reset", id=newest.position)

    async def _read(self, topic: Topic, after: int, limit: int) -> Chunk:
        key = (topic, self.tick, self.actor, self.types, after, limit)
        return await self.streams.together(key, partial(self._page, self.actor, after, limit=limit))

    async def _page(self, actor: Actor, after: int, *, limit: int) -> Chunk:
        page = await deps.settle(self.engine.events(self.session, actor, after=after, limit=limit))
        try:
            return frames.chunk(frames.only(page, self.types), after=after)
        except LookupError:
            metrics.GAPS.inc()
            raise

    def _taken(self, chunk: Chunk) -> bytes:
        """The chunk's frames; the position moves with them. Where events are large, the next read asks for fewer."""
        count = chunk.last - self.seat.seq
        if count > 0:
            metrics.EVENTS.inc(count)
            self.seat.seq = chunk.last
        cut = chunk.last < chunk.page.session.seq and count < self.limit
        self.limit = min(count + count // 8 + 1 if cut else 2 * self.limit, PAGE)
        return chunk.data

    async def _rests(self, page: Page, topic: Topic) -> bytes:
        """The last text of turns that have ended, before the event that tells so: tokens joined are all of it."""
        written = []
        for id in set(self.turns) - {turn.id for turn in page.turns}:
            off = self.turns[id]
            try:
                rest = (await self._text_after(topic, id, off)).text
            except errors.InvalidCursor:
                continue  # a job that ended without a word of its own has left no text
            if rest:
                written.append(frames.frame({"turn": id, "off": off, "text": rest}, event="token"))
                self.turns[id] = off + len(rest)
        return b"".join(written)

    async def _turn_frames(self, page: Page, topic: Topic) -> bytes:
        """What running turns have written since, and `done` for those whose last event has been sent."""
        written = []
        for turn in page.turns:
            have = self.turns.get(turn.id)
            read = await self._text_after(topic, turn.id, have or 0)
            if read.ended:
                continue
            if have is None:
                written.append(frames.frame({"turn": turn.id, "off": 0, "text": read.text}, event="snapshot"))
            elif read.text:
                written.append(frames.frame({"turn": turn.id, "off": have, "text": read.text}, event="token"))
            self.turns[turn.id] = (have or 0) + len(read.text)
        for id in set(self.turns) - {turn.id for turn in page.turns}:
            seen = await deps.settle(self.engine.turn(self.session, id, self.actor))
            if seen.seq is not None and seen.seq <= self.seat.seq:
                del self.turns[id]
                written.append(frames.frame({"turn": id, "status": seen.status, "seq": seen.seq}, event="done"))
        return b"".join(written)

    async def _text_after(self, topic: Topic, turn: str, off: int) -> TextPage:
        async def read() -> TextPage:
            return await deps.settle(self.engine.text(self.session, turn, self.actor, after=off))

        return await self.streams.together((topic, self.tick, self.actor, turn, off), read)

    def _beat(self, page: Page) -> bytes:
        if self.says_beat:
            return frames.frame({}, event="hb", id=f"{page.session.epoch}.{self.seat.seq}")
        return frames.HEARTBEAT


class TurnStream(EventStream):
    """One turn's text from an offset to its end. What was sent, joined, is the text that is stored."""

    def __init__(
        self,
        request: Request,
        session: str,
        turn: str,
        who: Who,
        after: int,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        written: TurnFrames = USUAL_FRAMES,
    ) -> None:
        super().__init__(request, session, who, headers=headers)
        self.turn, self.off, self.written = turn, after, written
        self.moves, self.read_at = -1, 0.0

    async def run(self, out: Out, topic: Topic) -> bool:
        text = await self._read(topic)
        await out.start(self.extra)
        await out.write(self.written.opening(self.turn, self.off))
        while True:
            if text.text:
                await out.write(self.written.tokens(self.turn, self.off, text.text))
                self.off += len(text.text)
            if text.ended:
                await out.write(await self.written.ended(self.turn, text))
                return True
            if not await self.parked(out, topic, at_most=self.pace.text, beat=frames.HEARTBEAT):
                return True
            self.note(topic)
            text = self._handed(topic) or await self._read(topic)

    def _handed(self, topic: Topic) -> TextPage | None:
        """What was written since, when it was stored here and nothing else has happened since the last look."""
        if topic.moves != self.moves or time.monotonic() >= self.read_at + self.pace.text:
            return None
        text = topic.written(self.turn, self.off)
        return TextPage(self.off, text, False, RUNNING, None) if text else None

    async def _read(self, topic: Topic) -> TextPage:
        self.moves, self.read_at = topic.moves, time.monotonic()
        actor, turn, off = self.actor, self.turn, self.off

        async def read() -> TextPage:
            return await deps.settle(self.engine.text(self.session, turn, actor, after=off))

        return await self.streams.together((topic, self.tick, actor, turn, off), read)


def _fault(code: str, message: str) -> bytes:
    retry = frames.spread(1000, 3000)
    return frames.frame({"code": code, "message": message, "retry": retry}, event="fault", retry=retry)


# Routes


async def events(request: Request, session: str, who: Who = deps.actor) -> Response:
    """A session's events: `text/event-stream` when Accept names it, else JSON. GET and HEAD."""
    if "text/event-stream" in request.headers.get("accept", "").lower() and request.method == "GET":
        return JournalStream(request, session, who, frames.journal_cursor(request))
    return await poll.events(request, session, who)


async def turn(
    request: Request, session: str, turn: str, who: Who = deps.actor, *, written: TurnFrames = USUAL_FRAMES
) -> Response:
    """A turn's text as it is written, from the position the reader names; 204 when that is the end. GET and HEAD."""
    after = frames.turn_cursor(request, turn)
    if after is None or request.method == "HEAD":
        installation = request.app.state.installation
        seen = await deps.settle(installation.engine.turn(session, turn, await who(request)))
        if after is not None:
            return Response(headers=frames.HEADERS, media_type="text/event-stream")
        if seen.seq is None:
            raise errors.InvalidCursor()
        return Response(status_code=204)
    return TurnStream(request, session, turn, who, after, written=written)


def turn_response(
    request: Request,
    session: str,
    turn: str,
    who: Who = deps.actor,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    written: TurnFrames = USUAL_FRAMES,
) -> Response:
    """The same stream from its start, as the answer to the request that began the turn."""
    return TurnStream(request, session, turn, who, 0, headers=headers, written=written)
