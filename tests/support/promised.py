"""What a process was told is done, and whether a database keeps it.

Whoever gives commands writes a line of JSON for each answer, at the instant it has it. Before it asks for words to be
destroyed it says so as well, because from then on they may be gone. `faults` opens a database with the real store and
compares.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, text

from sitting import bundle
from sitting.core.event import Event, to_text
from sitting.core.kind import Kind
from sitting.store import Store, journal, migrate, sessions
from sitting.store.schema import accounts
from sitting.store.transaction import Tx

Json = dict[str, Any]


def plain(event: Event) -> Json:
    """An event as a line of JSON has it."""
    return json.loads(json.dumps({**asdict(event), "at": to_text(event.at)}))  # type: ignore[no-any-return]


@dataclass
class Promised:
    """What was acknowledged so far. Sessions in `leaving` are being erased; those in `gone` were, with these words."""

    events: dict[tuple[str, int], Json] = field(default_factory=dict)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)
    leaving: set[str] = field(default_factory=set)
    gone: dict[str, str] = field(default_factory=dict)
    count: int = 0

    def hear(self, line: bytes) -> None:
        """Take in one line."""
        said: Json = json.loads(line)
        if "leaving" in said:
            self.leaving.add(said["leaving"])
            return
        self.count += 1
        if "account" in said:
            self.accounts.add(said["account"])
        if "gone" in said:
            self.gone[said["gone"]] = said["words"]
        for event in said.get("events", ()):
            self.events[said["session"], event["seq"]] = event
        if "key" in said:
            self.answers[said["scope"], said["key"]] = said["session"]


def faults(folder: Path, promised: Promised, kinds: Mapping[str, Kind]) -> list[str]:
    """What a database does not keep of its promises, in sentences. Opening it is part of the promise."""
    wrong = left(folder, promised)
    store = Store(f"sqlite:///{folder / 'sitting.db'}", readers=1, writers=1)
    try:
        migrate.upgrade(store)
        wrong += store.read(lambda tx: _faults(tx, promised)).result()
        verdicts = [bundle.verify(store, kinds, id) for id in store.read(sessions.every).result()]
        for verdict in (verdict.result() for verdict in verdicts):
            if not verdict.ok:
                wrong.append(f"{verdict.session} does not verify: {verdict.reason}")
    except Exception as error:
        wrong.append(f"it cannot be opened: {error!r}")
    finally:
        store.close()
    return wrong


def left(folder: Path, promised: Promised) -> list[str]:
    """Where, in the bytes of a folder's files, words still stand that were said to be gone."""
    files = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
    return [
        f"what was erased from {id} is in {name}"
        for id, words in promised.gone.items()
        for name, raw in files.items()
        if words.encode() in raw
    ]


def _faults(tx: Tx, promised: Promised) -> list[str]:
    damage = [row[0] for row in tx.all(text("PRAGMA integrity_check"))]
    wrong = [] if damage == ["ok"] else [f"it is damaged: {damage}"]
    kept = {id: {record.seq: journal.event(record) for record in journal.every(tx, id)} for id in sessions.every(tx)}
    for (id, seq), event in promised.events.items():
        found = kept.get(id, {}).get(seq)
        if found is None:
            wrong.append(f"event {seq} of {id} was lost")
        elif not _same(event, plain(found), gone=id in promised.leaving):
            wrong.append(f"event {seq} of {id} was changed")
    for id in promised.gone:
        wrong += [f"{id} is not erased" for event in kept.get(id, {}).values() if any(event.personal.values())]
    there = {id for (id,) in tx.all(select(accounts.c.id))}
    wrong += [f"the account {id} was lost" for id in sorted(promised.accounts - there)]
    for (scope, key), id in promised.answers.items():
        if id not in promised.leaving and sessions.answer(tx, scope, key, now=datetime.now(UTC)) is None:
            wrong.append(f"the answer to {key} was lost")
    return wrong


def _same(told: Json, found: Json, *, gone: bool) -> bool:
    """Whether an event is the one that was told, but for words that may have been destroyed since."""
    may_be = [told, {**told, "personal": dict.fromkeys(told["personal"])}] if gone else [told]
    return found in may_be
