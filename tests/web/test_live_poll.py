"""Who waits for an event by a plain request: a follower like the others, and gone with its caller."""

from __future__ import annotations

import asyncio
import random
import re
import socket
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from sitting import errors
from sitting.core.actor import Actor
from sitting.web import poll
from sitting.web.frames import Position
from sitting.web.stream import JournalStream
from sitting.web.streams import STREAMS_PER_ACTOR
from tests.property.test_followers import ADA, House, run
from tests.support.serving import Person, Served
from tests.web.test_live_protocol import SECONDS, make, note, until

CALLERS = 50


async def turning(holds: Callable[[], Any]) -> None:
    while not holds():
        await asyncio.sleep(0)


def asked(house: House, gone: asyncio.Event, query: str = "after=now&wait=30") -> Request:
    """A poll whose caller goes when the event says so."""
    scope = {**house.scope(lambda chunked: False), "method": "GET", "query_string": query.encode()}

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    return Request(scope, receive)


def waiting(
    house: House, gone: asyncio.Event, query: str = "after=now&wait=30", who: Any = None
) -> asyncio.Task[Response]:
    return asyncio.create_task(poll.events(asked(house, gone, query), "s", who or house.who))


def test_callers_that_wait_read_together_and_are_gone_when_they_go(dice: random.Random) -> None:
    house = House(dice)

    async def scene() -> None:
        gone = asyncio.Event()
        polls = [waiting(house, gone) for _ in range(CALLERS)]
        await turning(lambda: len(house.live._topics and house.live._topics["s"].waiting) == CALLERS)
        assert house.streams._open == {ADA.id: CALLERS}
        house.journal.reads, house.journal.head = 0, 2
        house.wake()
        answers = await asyncio.gather(*polls)
        assert house.journal.reads == 1
        assert {bytes(answer.body).partition(b"]")[0] for answer in answers} == {b'{"events":[{"seq":2}'}
        polls = [waiting(house, gone) for _ in range(CALLERS)]
        await turning(lambda: house.live.followers == CALLERS)
        gone.set()
        assert {type(answer) for answer in await asyncio.gather(*polls)} == {poll.Unheard}
        assert (house.live.followers, house.streams._open) == (0, {})

    run(scene, house)


def test_who_has_too_many_streams_may_look_but_not_wait(dice: random.Random) -> None:
    house = House(dice)

    async def scene() -> None:
        house.streams._open[ADA.id] = STREAMS_PER_ACTOR
        gone = asyncio.Event()
        with pytest.raises(errors.RateLimited):
            await waiting(house, gone)
        assert (await waiting(house, gone, "after=0")).status_code == 200

    run(scene, house)


def test_a_page_of_nothing_told_is_passed_over_before_waiting(server: Served, ada: Person) -> None:
    with ada.client() as client:
        session = make(client)
        for _ in range(3):
            note(client, session)
        assert client.post(f"{session}/commands/pause", json={}).status_code == 200
        query: dict[str, str | int] = {"types": "paused", "limit": 2, "wait": 30}
        answer = client.get(f"{session}/events", params=query, timeout=60).json()
    assert [event["seq"] for event in answer["events"]] == [5]
    assert (answer["next"], answer["up_to_date"]) == ("1.5", True)


def test_callers_that_hang_up_leave_nothing_behind(server: Served, ada: Person, client: httpx.Client) -> None:
    session, live = make(client), server.installation.live
    host, port = re.findall(r"//(.*):(\d+)", server.url)[0]
    asks = f"GET {session}/events?after=now&wait=30 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ada.token}\r\n\r\n"
    callers = [socket.create_connection((host, int(port))) for _ in range(CALLERS)]
    for caller in callers:
        caller.sendall(asks.encode())
    until(lambda: live.online(session.rpartition("/")[2]) == {ada.actor.id: CALLERS})
    for caller in callers:
        caller.close()
    until(lambda: not live.online(session.rpartition("/")[2]))


# A proof that is taken away


class Proof:
    """Somebody who is known until the proof is taken away."""

    def __init__(self, house: House, *, at_once: bool) -> None:
        self.house, self.at_once, self.taken = house, at_once, False

    async def who(self, request: Request) -> Actor:
        if self.taken:
            raise errors.NotAuthenticated()
        if self.at_once:
            await self.take()
        return ADA

    async def take(self) -> None:
        self.taken, access = True, self.house.live.access
        self.house.live.access_taken()
        await turning(lambda: self.house.live.access != access)


async def streamed(house: House, proof: Proof) -> bytes:
    """What a stream over three pages writes whose proof is taken away while the second page leaves."""
    house.journal.head = 350
    body: list[bytes] = []

    async def send(message: Any) -> None:
        body.append(message.get("body", b""))
        if len(body) == 3 and not proof.taken:
            await proof.take()

    async def receive() -> Any:
        await asyncio.Event().wait()

    scope = house.scope(lambda chunked: False)
    stream = JournalStream(Request(scope), "s", proof.who, Position(1, 0))
    await asyncio.wait_for(stream(scope, receive, send), SECONDS)
    return b"".join(body)


@pytest.mark.parametrize(("at_once", "last"), [(True, 100), (False, 300)])
def test_a_stream_that_catches_up_ends_at_the_next_page(dice: random.Random, at_once: bool, last: int) -> None:
    house = House(dice)

    async def scene() -> None:
        body = await streamed(house, Proof(house, at_once=at_once))
        assert [int(seq) for seq in re.findall(rb"id: 1\.(\d+)\n", body)][-1] == last
        assert b"event: bye" in body and b'"reason":"access"' in body

    run(scene, house)


def test_who_is_asked_about_a_revocation_during_the_first_question(dice: random.Random) -> None:
    house = House(dice)

    async def scene() -> None:
        with pytest.raises(errors.NotAuthenticated):
            await asyncio.wait_for(waiting(house, asyncio.Event(), who=Proof(house, at_once=True).who), SECONDS)

    run(scene, house)


def test_waiting_ends_when_the_proof_is_taken_away(dice: random.Random) -> None:
    house = House(dice)

    async def scene() -> None:
        proof = Proof(house, at_once=False)
        polling = waiting(house, asyncio.Event(), who=proof.who)
        await turning(lambda: house.live.followers)
        await proof.take()
        with pytest.raises(errors.NotAuthenticated):
            await asyncio.wait_for(polling, SECONDS)

    run(scene, house)
