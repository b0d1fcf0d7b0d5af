"""One interview from the first click to a verified journal, with the model that is configured."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ... import bundle
from ...core.actor import Actor, guest
from ...engine import Engine
from ...installation import Installation
from . import challenges, commands, figures, terms, views

QUESTIONS = (
    "I would sort the meetings by their start and compare each with the one before. Is there a case that breaks this?",
    "And how should I treat two meetings where one ends exactly when the other begins?",
)
MOST_SECONDS = 240


def play(installation: Installation, say: Callable[[str], None]) -> None:
    """Play it. The worker of this process writes the replies; the session stays, to be looked at."""
    engine, interviewer = installation.engine, installation.access.local()
    installation.worker.start()
    challenge = next(iter(challenges.BUILT_IN))
    config = commands.Create(
        candidate_name="Ada Example", time_limit=1800, token_budget=20_000, challenge_id=challenge,
        config={"helper": "hints"},
    )  # fmt: skip
    session = engine.open("interview", config, interviewer).result().session
    say(f"interview: {session.id} planned")
    code = views.join_code(engine.installed["link_key"], session.id, views.link_of(session).version)
    visitor = guest("demo-" + session.id, credentials=(views.link_credential(code),))
    engine.do(session.id, commands.Join(), visitor).result()
    candidate = guest("demo-" + session.id)
    engine.do(session.id, commands.Start(), candidate).result()
    say("interview: the candidate has joined and started")
    for question in QUESTIONS:
        if not installation.models.configured:
            say(f"interview: {installation.models.describe()['help']}")
            break
        _ask(engine, session.id, candidate, question, say)
    engine.do(session.id, commands.End(), interviewer).result()
    verdict = bundle.verify(installation.store, installation.kinds, session.id, epoch=installation.epoch).result()
    say(
        f"interview: {session.id}, {verdict.checked} events, "
        + ("verified" if verdict.ok else f"NOT whole: {verdict.reason}")
    )


def _ask(engine: Engine, id: str, candidate: Actor, question: str, say: Callable[[str], None]) -> None:
    say(f"interview: candidate: {question}")
    done = engine.do(id, commands.SendMessage(content=question), candidate).result()
    turn = str(done.events[-1].data["turn"])
    pause = threading.Event()
    for _ in range(MOST_SECONDS * 4):
        if engine.text(id, turn, candidate).result().ended:
            break
        pause.wait(0.25)
    found: Any = engine.selected(id, candidate, terms.SAID, limit=1).result()
    said = figures.messages(found.events)
    say(f"interview: model: {' '.join(said[-1]['content'].split())[:300] if said else '(nothing)'}")
