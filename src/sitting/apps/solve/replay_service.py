"""Plays recorded conversations against an installation's model and engine, and lets `replay` judge them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ... import errors
from ...core.actor import Actor
from ...engine import Engine
from ...installation import Installation
from . import commands, figures, replay

KIND = "solve"
LOOK_SECONDS = 0.02
TURN_SECONDS = 300.0
# A replay is no person: it is not slowed down, and no quota is meant for it.
PLENTY: Mapping[str, Any] = dict.fromkeys(
    ("solve_messages_minute", "solve_creations_minute", "solve_quota_limit"), 10_000
)


def run(installation: Installation, conversations: Iterable[replay.Conversation]) -> Iterator[replay.Verdict]:
    """Play one after another. Raises ModelNotConfigured before anything is played."""
    installation.models.get()
    installation.worker.start()
    for conversation in conversations:
        yield _played(installation.engine, installation.access.local(), conversation)


def _played(engine: Engine, actor: Actor, conversation: replay.Conversation) -> replay.Verdict:
    opened = engine.open(KIND, commands.Create(locale=conversation.locale), actor).result()
    id, course = opened.session.id, replay.Course()
    broken: list[str] = []
    for played, line in enumerate(conversation.says, 1):
        before = engine.view(id, actor).result()
        beliefs = sum(belief is not None for belief in before.view["beliefs"].values())
        try:
            done = engine.do(id, commands.SendMessage(content=line.say), actor, kind=KIND).result()
        except errors.Refusal as refusal:
            return replay.Verdict(conversation.name, conversation.about, played - 1, tuple(broken), refusal.code)
        turn = next(event.data["turn"] for event in done.events if event.type == "turn_started")
        seen = _watched(engine, actor, id, turn)
        events = engine.selected(id, actor, (), after=before.session.seq, limit=1000).result().events
        meets = course.after(line).meets(line, beliefs)
        said = "\n".join(known.say for known in conversation.says[:played])
        found = replay.faults(line, events, seen, meets=meets, said=said)
        broken += [f"message {played}: {fault}" for fault in found]
        course = replay.course(course, line, events)
        if code := figures.fault(events, turn):
            return replay.Verdict(conversation.name, conversation.about, played, tuple(broken), code)
    return replay.Verdict(conversation.name, conversation.about, len(conversation.says), tuple(broken))


def _watched(engine: Engine, actor: Actor, id: str, turn: str) -> list[str]:
    """The texts a reader would have seen while the turn was written, the last one when it has ended."""
    pause = threading.Event()
    seen: list[str] = []
    for _ in range(int(TURN_SECONDS / LOOK_SECONDS)):
        page = engine.text(id, turn, actor).result()
        seen.append(page.text)
        if page.ended:
            return seen
        pause.wait(LOOK_SECONDS)
    raise errors.ModelTimeout(f"A turn did not end within {TURN_SECONDS:.0f} seconds.")
