"""Followers of one turn's text, in every order of events that a seed can find: what each was sent, joined, is the text.

The stream and the wake hub are the real ones. Pieces of any size are stored and told of, with the text at hand or
without, told of twice or not at all; the session moves on beside; readers are cut anywhere and come back.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from sitting.core.actor import Actor
from sitting.reading import RUNNING, TextPage
from sitting.web.stream import TurnStream
from tests.property.test_followers import House, run

LETTERS = 'ab \n"\\ž🐎\u2028\u0301\U0001f468\u200d'
FOLLOWERS, LENGTH = 5, 400
TOLD = re.compile(rb"event: token\ndata: ([^\n]*)\nid: t\.(\d+)\n\n")


class Writing(House):
    """A house in which one turn is being written."""

    def __init__(self, dice: random.Random, stream: type[TurnStream] = TurnStream) -> None:
        super().__init__(dice)
        self.written, self.ended, self.turn_stream = "", False, stream
        self.journal.text = self.text  # type: ignore[attr-defined]

    def text(self, session: str, turn: str, actor: Actor, *, after: int = 0) -> Future[TextPage]:
        """What is stored now, answered some turns of the loop later."""
        status = "completed" if self.ended else RUNNING
        page = TextPage(after, self.written[after:], self.ended, status, 9 if self.ended else None)
        answer: Future[TextPage] = Future()
        self.journal._later(self.dice.randrange(6), lambda: answer.set_result(page))
        return answer

    async def write(self) -> None:
        while len(self.written) < LENGTH:
            piece = "".join(self.dice.choices(LETTERS, k=self.dice.randrange(1, 30)))
            off = len(self.written)
            self.written += piece
            for _ in range(self.dice.choice((0, 1, 1, 1, 2))):
                self.live.wake_text("s", "t", off, piece)
            if self.dice.random() < 0.2:
                self.wake()
            await self.turns(10)
        self.ended = True
        self.wake()

    async def read(self, after: int) -> bytes:
        """One connection, from an offset until it ends by itself or is cut."""
        return await self.heard(lambda request: self.turn_stream(request, "s", "t", self.who, after))

    async def follow(self) -> str:  # type: ignore[override]
        """One follower's whole text, over as many connections as it takes."""
        text = ""
        while True:
            body = await self.read(len(text))
            for data, end in TOLD.findall(body):
                text += json.loads(data)["content"]
                assert len(text) == int(end)
            if b"\nid: t.end\n\n" in body:
                return text


def storm(house: Writing) -> None:
    async def scene() -> None:
        writing = asyncio.create_task(house.write())
        texts = await asyncio.gather(*(house.follow() for _ in range(FOLLOWERS)))
        await writing
        assert all(text == house.written for text in texts)
        for _ in range(20):
            await asyncio.sleep(0)
        assert (house.live.followers, house.streams._reads) == (0, {})

    run(scene, house)


def test_what_was_sent_joined_is_the_text(dice: random.Random, rounds: Callable[[int, int], int]) -> None:
    storms(rounds(40, 4000), dice)


def storms(count: int, dice: random.Random, stream: type[TurnStream] = TurnStream) -> None:
    for _ in range(count):
        storm(Writing(random.Random(dice.random()), stream))


class Trusting(TurnStream):
    """Takes the text at hand for what follows, wherever it stands."""

    def _handed(self, topic: Any) -> TextPage | None:
        _, text = topic.texts.get("t", (0, ""))
        return TextPage(self.off, text, False, RUNNING, None) if text else None


def test_text_that_does_not_fit_is_noticed(dice: random.Random) -> None:
    with pytest.raises(AssertionError):
        storms(20, dice, Trusting)
