"""One solve session from a worry to a first step, with the model that is configured, and its journal verified.

Without a model it goes the way that needs none: beliefs, an own card, a first step by form.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ... import bundle, errors
from ...core.actor import Actor
from ...engine import Engine
from ...installation import Installation
from . import commands, terms

WORDS = (
    "My boss ignores everything I propose and I am worried",
    "It started after the last project was late",
    "I want my ideas to be heard before the next planning",
    "I have tried to speak with him twice, but he had no time",
    "yes",
    "A",
    "I will write him a short mail tonight at eight",
)
MOST_SECONDS = 240
_TRIES = 3


def play(installation: Installation, say: Callable[[str], None]) -> None:
    """Play it. The worker of this process writes the replies; the session stays, to be looked at."""
    engine, owner = installation.engine, installation.access.local()
    installation.worker.start()
    try:
        id = engine.open("solve", commands.Create(tags=["demo"]), owner).result().session.id
    except errors.Refusal as refusal:
        say(f"solve: not opened: {refusal.message}")
        return
    say(f"solve: {id} opened")
    if installation.models.configured:
        for words in WORDS:
            if not _said(engine, id, owner, words, say):
                break
    else:
        say(f"solve: {installation.models.describe()['help']}")
    _finish(engine, id, owner, say)
    verdict = bundle.verify(installation.store, installation.kinds, id, epoch=installation.epoch).result()
    say(
        f"solve: {id}, {verdict.checked} events, " + ("verified" if verdict.ok else f"NOT whole: {verdict.reason}"),
    )


def _said(engine: Engine, id: str, owner: Actor, words: str, say: Callable[[str], None]) -> bool:
    """Say it and wait for the reply; a reply that failed is asked for again. Whether it came."""
    say(f"solve: owner: {words}")
    command: Any = commands.SendMessage(content=words)
    for _ in range(_TRIES):
        try:
            done = engine.do(id, command, owner).result()
        except errors.Refusal as refusal:
            say(f"solve: {refusal.message}")
            return False
        turn = next(str(event.data["turn"]) for event in done.events if event.type == terms.EventType.TURN_STARTED)
        status, text = _awaited(engine, id, owner, turn)
        view = engine.view(id, owner).result().view
        say(f"solve: [{view['current_step']}, {status}] model: {' '.join(text.split())[:300] or '(nothing)'}")
        if status == "completed":
            return True
        command = commands.RetryTurn(turn=turn)
    return False


def _awaited(engine: Engine, id: str, owner: Actor, turn: str) -> tuple[str, str]:
    pause = threading.Event()
    for _ in range(MOST_SECONDS * 4):
        page = engine.text(id, turn, owner).result()
        if page.ended:
            return page.status, page.text
        pause.wait(0.25)
    return terms.RUNNING, ""


def _finish(engine: Engine, id: str, owner: Actor, say: Callable[[str], None]) -> None:
    """Go the rest of the way by form, as far as there is one; tell the first step."""
    wishes: list[Any] = [commands.CorrectBelief(slot="goal", text=WORDS[2])]
    wishes += [commands.Advance()] * 3
    wishes += [
        commands.AddOption(title="Write a short mail", actions=["Ask for fifteen minutes"]),
        commands.Commit(first_step_action=WORDS[-1], confidence=7),
    ]
    for wish in wishes:
        if engine.view(id, owner).result().session.state != terms.SessionStatus.ACTIVE:
            break
        try:
            engine.do(id, wish, owner).result()
        except errors.Refusal:
            continue  # what has been done already, or is not to be done by form
    view = engine.view(id, owner).result().view
    say(f"solve: {view['status']}, first step: {view['first_step_action'] or '(none)'}")
