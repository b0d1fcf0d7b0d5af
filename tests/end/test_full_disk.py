"""A disk that fills up under a real server and is made larger: 507 while there is no room, then on without a restart.

The disk is a small one in memory, mounted for the test; only root can do that.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import httpx
import pytest

from sitting.apps.interview.app import APP
from sitting.config import Settings
from sitting.installation import Installation
from sitting.web.api import FAULT_SECONDS
from tests.end.test_failing_disk import SERVE
from tests.end.test_kill import Asked, Client, faults, read
from tests.support.hall import until
from tests.support.process import Program
from tests.support.serving import PATIENCE_SECONDS

MEGABYTES = (3, 4, 6, 9, 12)
REFUSED = 40  # requests that meet a full disk, of all sizes
BACK_SECONDS = 5.0
PROBLEM = "application/problem+json"


@dataclass(frozen=True)
class Answer:
    """What a request was answered, as far as a full disk may decide it."""

    status: int
    kind: str
    code: str = ""


def unfitting(answers: Sequence[Answer]) -> list[Answer]:
    """Answers that neither say that it is done nor that the disk is full."""
    return [
        answer
        for answer in answers
        if answer.status not in (200, 201, 202, 204)
        and (answer.status, answer.kind, answer.code) != (507, PROBLEM, "DISK_FULL")
    ]


class Filler(Client):
    """A client that writes long notes, or short ones, and goes on when it is refused."""

    def ask(self, client: httpx.Client, *, characters: int) -> Answer:
        asked = self.pending or self._longer(self._next(), characters)
        self.pending = asked
        answer = client.post(asked.path, json=asked.body, headers={"Idempotency-Key": asked.key})
        if answer.is_success:
            self.pending = None
            self._acknowledge(asked, answer.json())
            return Answer(answer.status_code, "")
        kind = answer.headers.get("content-type", "")
        return Answer(answer.status_code, kind, answer.json()["code"] if kind == PROBLEM else answer.text)

    def _longer(self, asked: Asked, characters: int) -> Asked:
        if not asked.path.endswith("/add_note"):
            return asked
        text = f"{asked.mark} " + "".join(self.dice.choices("abcdefgh", k=characters))
        return Asked(asked.key, asked.path, {"text": text}, asked.mark)


@contextmanager
def disk(folder: Path, megabytes: int) -> Iterator[Callable[[int], None]]:
    """A disk of so many megabytes on a folder, and what makes it larger."""
    if os.geteuid() != 0:
        pytest.skip("no small disk: only root can mount one")
    folder.mkdir()
    made = _mount("-t", "tmpfs", "-o", f"size={megabytes}m,mode=700", "tmpfs", str(folder))
    if made.returncode != 0:
        pytest.skip(f"no small disk: root may not mount one here: {made.stderr.strip()}")
    try:
        yield lambda size: _mount("-o", f"remount,size={size}m", str(folder)).check_returncode()
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _mount(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)


@pytest.mark.timeout(5400)
def test_a_full_disk_is_said_to_be_full_and_then_it_goes_on(
    tmp_path: Path, dice: Random, rounds: Callable[[int, int], int]
) -> None:
    for number in range(rounds(1, 20)):
        with disk(tmp_path / str(number), dice.choice(MEGABYTES)) as enlarge:
            _fill(Settings(data=tmp_path / str(number), model="none"), enlarge, dice)


def _fill(settings: Settings, enlarge: Callable[[int], None], dice: Random) -> None:
    with Installation(settings, apps=(APP,)) as installation:
        account = installation.access.create_account("Ada").result()
        filler = Filler(0, installation.access.create_token(account, "test").result()[0], dice, wrote=lambda: None)
    environment = {"SITTING_DATA": str(settings.data), "SITTING_MODEL": "none", "SITTING_LOG_LEVEL": "error"}
    with Program(SERVE, env=os.environ | environment) as server:
        url = server.wait_for(r"http://127\.0\.0\.1:\d+", seconds=60)[0]
        with httpx.Client(base_url=url, headers=filler.headers, timeout=PATIENCE_SECONDS, trust_env=False) as client:
            answers = _until_full(filler, client, dice)
            assert unfitting(answers) == []
            enlarge(40)
            back, tries = time.monotonic(), itertools.count(1)
            until(lambda: next(tries) > 0 and filler.ask(client, characters=10).status < 300)
            # Of a machine that is busy with others, that no more than a request or two were asked in vain.
            assert next(tries) <= 3 or time.monotonic() - back < BACK_SECONDS
            until(lambda: client.get("/readyz").status_code == 200)
            after = [filler.ask(client, characters=4000) for _ in range(50)]
            assert {answer.status for answer in after} <= {200, 201}
    print(Counter(answer.status for answer in answers))
    found = read(settings, APP, account)
    assert faults(filler.history, found) == []
    assert set(found.marks) == {done.asked.mark for done in filler.history if done.asked.mark}, "nobody asked for this"


def _until_full(filler: Filler, client: httpx.Client, dice: Random) -> list[Answer]:
    """What is answered until the disk has been full for a while; what is stored can be read all the time."""
    answers: list[Answer] = []
    refused = 0
    while refused < REFUSED:
        assert len(answers) < 10_000, "it does not fill up"
        began = time.monotonic()
        answers.append(filler.ask(client, characters=dice.choice((4900, 4900, 10))))
        if answers[-1].status >= 500:
            refused += 1
            filler.pending = filler.pending if dice.random() < 0.5 else None
            ready = client.get("/readyz").status_code
            assert ready == 503 or time.monotonic() - began >= FAULT_SECONDS
            assert client.get("/v1/sessions?kind=interview").status_code == 200
    return answers


def test_an_answer_that_says_neither_is_caught() -> None:
    good = [Answer(201, ""), Answer(507, PROBLEM, "DISK_FULL")]
    bad = [Answer(500, PROBLEM, "INTERNAL"), Answer(507, "text/html", "DISK_FULL"), Answer(503, PROBLEM, "DISK_FULL")]
    assert unfitting([*good, *bad]) == bad
