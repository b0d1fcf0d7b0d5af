"""What people and models write takes time by its length, and not by the square of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from sitting import errors
from sitting.apps.facilitation import commands as facilitation
from sitting.apps.facilitation import team_commands as team
from sitting.apps.interview import commands as interview
from sitting.apps.interview import prompts as interview_prompts
from sitting.apps.solve import papers, rules
from sitting.apps.solve import prompts as solve_prompts
from sitting.apps.solve.trailer import Splitter
from sitting.core import strict
from sitting.core.session import Session

SIZE = 60_000
ACCENTS = "a" + "\u0315\u0316" * SIZE  # out of order, so that each has to be moved
BOUND = 1.0  # seconds of the processor: what is quadratic takes ten and more


def says(content: str) -> Any:
    """A reply at its end, whose last dashes may have been the mark."""
    splitter = Splitter()
    return splitter.feed(content), splitter.end()


def says_slowly(content: str) -> Any:
    """The same, a character at a time."""
    splitter = Splitter()
    return [splitter.feed(each) for each in content]


def asked(content: str) -> Any:
    """The prompt for a message of a solve session."""
    session = Session("a", "solve", "b", data={"locale": "en", "step": "receive"})
    said = [solve_prompts.Said("user", content)]
    return solve_prompts.cards_prompt(session, said, solve_prompts.Wish(), count=len, window=4 * SIZE)


def document(content: str) -> Any:
    """What solve exports of one message."""
    message = {"role": "user", "step": "receive", "created_at": "x", "status": "completed", "content": content}
    names = ("title", "status", "current_step", "created_at", "completed_at", "first_step_action", "reminder_time")
    session: dict[str, Any] = {
        **dict.fromkeys(names, ""),
        "tags": [],
        "confidence": None,
        "outcome": None,
        "beliefs": {},
        "options": [],
    }
    return papers.markdown({"session": session, "messages": [message]})


TAKEN: dict[str, tuple[Callable[[str], Any], str]] = {
    "spaces after a bracket, for an interview's model": (interview_prompts.marked, "<" + " " * SIZE),
    "spaces after a bracket, for a solve model": (asked, "<" + "\n" * SIZE),
    "empty lines on paper": (document, "\n" * SIZE),
    "dashes at the end of a reply": (says, "-" * SIZE + " "),
    "dashes one by one": (says_slowly, "-" * 32_000),
    "accents in what is compared": (rules.fold, ACCENTS),
    "signs that are accents taken apart": (rules.fold, "\u0f73" * SIZE),
    "accents in a point": (lambda text: facilitation.Submit(bullets=[text]), ACCENTS),
    "accents in many points": (lambda text: facilitation.Submit(bullets=[text[:1999]] * 2_000), ACCENTS),
    "accents in a member's name": (lambda text: strict.check(team.AddMember, {"name": text}), ACCENTS),
    "accents in a candidate's address": (
        lambda text: strict.check(
            interview.Create, {"candidate_name": "Ada", "candidate_email": text + "@example.com"}
        ),
        ACCENTS,
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_long_text_takes_no_long_time(name: str) -> None:
    take, text = TAKEN[name]
    before = time.thread_time()
    with suppress(errors.Refusal):
        take(text)
    assert time.thread_time() - before < BOUND
