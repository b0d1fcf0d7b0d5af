"""Many followers that come, go and are cut anywhere, while the journal grows: each reads it exactly once, in order."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from collections.abc import Callable

from sitting.core.actor import Actor
from tests.support import toy
from tests.support.serving import Person, Served
from tests.web.test_live_protocol import connected

FOLLOWERS, NOTES = 30, 300
BLOCK = re.compile(rb"id: (\d+)\.(\d+)\ndata: (\{[^\n]*\})\n\n")


async def read(person: Person, session: str, after: int, most: int, dice: random.Random) -> list[tuple[int, bytes]]:
    """Follow from a position until `most` events have come or the line is cut at a random byte; whole blocks only."""
    async with connected(person, session, f"1.{after}") as reader:
        body, cut = b"", dice.randrange(200, 60_000)
        while len(body) < cut:
            size = int((await reader.readline()).strip() or b"0", 16)
            body += (await reader.readexactly(size + 2))[:-2]
            found = [(int(seq), data) for _, seq, data in BLOCK.findall(body[:cut])]
            if len(found) >= most:
                return found[:most]
        return found


async def follow(person: Person, session: str, upto: int, dice: random.Random) -> list[tuple[int, bytes]]:
    """One follower's whole log, over as many connections as it takes."""
    log: list[tuple[int, bytes]] = []
    while len(log) < upto:
        log += await read(person, session, log[-1][0] if log else 0, min(dice.randrange(1, 50), upto - len(log)), dice)
    return log


def append(server: Served, session: str, owner: Actor, dice: random.Random) -> None:
    """Write notes as fast as the store takes them, in bursts."""
    left = NOTES
    while left:
        burst = min(left, dice.randrange(1, 20))
        done = [server.installation.engine.do(session, toy.Note(text=f"note {n}"), owner) for n in range(burst)]
        left -= burst
        for future in done:
            future.result()


async def storm(server: Served, person: Person, session: str, dice: random.Random) -> list[list[tuple[int, bytes]]]:
    """Every follower's log of a journal that grows meanwhile."""
    chances = [random.Random(dice.random()) for _ in range(FOLLOWERS + 1)]
    writing = threading.Thread(target=append, args=(server, session, person.actor, chances.pop()))
    writing.start()
    try:
        path = f"/v1/sessions/{session}"
        return await asyncio.gather(*(follow(person, path, 1 + NOTES, chance) for chance in chances))
    finally:
        await asyncio.to_thread(writing.join)


def test_every_follower_reads_the_journal_exactly(
    server: Served, dice: random.Random, rounds: Callable[[int, int], int]
) -> None:
    engine, person = server.installation.engine, server.person()
    for _ in range(rounds(1, 20)):
        session = engine.open("toy", toy.Create(name="x", words=10_000), person.actor).result().session.id
        logs = asyncio.run(asyncio.wait_for(storm(server, person, session, dice), 240))
        assert [seq for seq, _ in logs[0]] == list(range(1, 2 + NOTES))
        assert all(log == logs[0] for log in logs)
