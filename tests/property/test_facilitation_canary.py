"""Random team meetings: before the reveal no word of a response reaches anybody but its author, by any way there is.

Each response carries a word of its own. Whatever the facilitator and the members do, in whatever order, every route is
asked as everybody and every live stream is read; a word in the wrong hands is a leak. Kinds with a leaking view and a
leaking event are planted, and noticed.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from sitting.apps.facilitation.app import APP
from sitting.core.event import Event
from sitting.core.kind import Kind
from sitting.core.session import Session
from tests.apps.facilitation.canaries import CANARY, Watch, everywhere
from tests.apps.facilitation.room import Device, House, Meeting, answers, opened, outcome, sent

OTHERS = (3, 4, 5)
STEPS = 12


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened(tmp_path_factory.mktemp("canary")) as made:
        yield made


@dataclass
class Play:
    """One meeting whose people do what the dice say. Words 2 to 8 are the others', 0 an earlier holder's."""

    meeting: Meeting
    dice: random.Random
    devices: dict[int, Device] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    word: int = 2

    def step(self) -> None:
        moves: list[Callable[[], None]] = [self.answers] * 4
        moves += [self.clears, self.releases, self.closes, self.reopens, self.times, self.links, self.rises]
        moves += [self.notes, self.retries, self.enrols]
        move = self.dice.choice(moves)
        self.done.append(f"{move.__name__} in {self.meeting.state}")
        move()

    def answers(self) -> None:
        member = self.dice.choice(OTHERS)
        if self.meeting.state != "capturing":
            return
        if member not in self.devices:
            self.devices[member] = self.meeting.device(member)
        points = [f"{CANARY}{self.word} {'x' * self.dice.randrange(60)}" for _ in range(self.dice.randint(1, 5))]
        sent(self.devices[member].submits(*points, card=self.dice.choice([None, member])))
        self.word = self.word + 1 if self.word < 8 else 2

    def clears(self) -> None:
        self.meeting.posts(f"member/{self.dice.choice(OTHERS)}/clear", {"reason": "By mistake"})

    def releases(self) -> None:
        member = self.dice.choice(OTHERS)
        if self.meeting.posts(f"member/{member}/release").status_code == 303:
            self.devices.pop(member, None)

    def closes(self) -> None:
        self.meeting.posts("close")

    def reopens(self) -> None:
        self.meeting.posts("reopen", {"reason": "Somebody is missing"})

    def times(self) -> None:
        self.meeting.posts("timer", {"seconds": str(self.dice.choice([0, 30, 3600]))})

    def links(self) -> None:
        self.meeting.posts("links")

    def rises(self) -> None:
        self.meeting.posts("anonymity", {"level": self.dice.choice(["facilitator_only", "anonymous"])})

    def notes(self) -> None:
        self.meeting.posts("notes", {"facilitator_notes": "Quiet today", "recalibration_action": "Meet weekly"})

    def retries(self) -> None:
        self.meeting.posts("synthesize/retry")

    def enrols(self) -> None:
        name = f"Late {len(self.done)}"
        if self.meeting.posts("members/add", {"name": name}).status_code == 303 and self.dice.random() < 0.5:
            ids = [member["id"] for member in self.meeting.status()["members"] if member["name"] == name]
            for id in ids:
                self.meeting.posts(f"members/{id}/remove")


def played(house: House, dice: random.Random) -> tuple[Watch, Play]:
    """A meeting up to its reveal, watched all along."""
    # The model repeats what it read, as a careless one would.
    house.plays(*answers(*[outcome(themes=f"{CANARY}9 themes", gap_reasoning=f"{CANARY}9 because")] * 20))
    meeting = house.team("Alice", "Bob", "Cy", "Dan", "Eve").capturing()
    meeting.device(1, f"{CANARY}0 of an earlier holder")
    meeting.does("member/1/release")
    mine, idle = meeting.device(1, f"{CANARY}1 mine"), meeting.device(2)
    watch, play = Watch(house, meeting, mine, idle), Play(meeting, dice)
    watch.begin()
    for _ in range(STEPS):
        play.step()
    everywhere(watch, preview=meeting.state == "closed", forms=dice.random() < 0.3)
    meeting.to("revealed")
    watch.end()
    return watch, play


def test_no_word_leaks_before_the_reveal(house: House, dice: random.Random, rounds: Callable[[int, int], int]) -> None:
    for number in range(rounds(4, 200)):
        watch, play = played(house, random.Random(dice.random()))
        assert watch.leaks == [], (number, play.done)


def peeking_view(kind: Kind) -> Kind:
    """Shows everybody all there is."""

    def view(session: Session, audience: str, now: datetime) -> dict[str, Any]:
        return {**kind.view(session, audience, now), "peek": repr(session)}

    return replace(kind, view=view)


def peeking_tell(kind: Kind) -> Kind:
    """Tells everybody what somebody wrote."""

    def tell(event: Event, audience: str) -> dict[str, Any] | None:
        told = kind.tell(event, audience)
        return None if told is None else {**told, "peek": repr(event.personal)}

    return replace(kind, tell=tell)


@pytest.mark.parametrize(
    ("fault", "where"), [(peeking_view, "GET /v1/sessions/"), (peeking_tell, "the live stream")], ids=["view", "tell"]
)
def test_a_leaking_kind_is_noticed(
    tmp_path: Path, dice: random.Random, fault: Callable[[Kind], Kind], where: str
) -> None:
    kinds = tuple(fault(kind) if kind.name == "facilitation" else kind for kind in APP.kinds)
    with opened(tmp_path, app=replace(APP, kinds=kinds)) as house:
        watch, _ = played(house, dice)
    assert any(where in leak and leak.startswith("idle claim") for leak in watch.leaks), watch.leaks
