"""Somebody with the database in their hands: which edits verify finds, and which only a head kept elsewhere gives away.

Each entry of `EDITS` is a planted fault: it shows once that the checker can fail. Those that pass are the limits of a
chain without a checkpoint, and are named here so that nobody believes more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from sitting import bundle, errors
from sitting.bundle import verify
from sitting.core import chain
from sitting.store import Store
from tests.contract.test_bundle import exported, resealed, told
from tests.support.engines import Bench, bench


@pytest.fixture
def run(store: Store) -> Iterator[Bench]:
    with bench(store) as made:
        yield made


@dataclass(frozen=True)
class Edit:
    """Statements by somebody who knows the tables; `{s}` is the session. `found` is what verify says, None: nothing."""

    statements: tuple[str, ...]
    found: str | None
    seq: int | None = None


EDITS: dict[str, Edit] = {
    "an event's data": Edit(("UPDATE events SET data = '{{}}' WHERE session = '{s}' AND seq = 3",), "event was", 3),
    "an event's actor": Edit(("UPDATE events SET actor = 'user:x' WHERE session = '{s}' AND seq = 3",), "event was", 3),
    "an event's time": Edit(
        ("UPDATE events SET at = replace(at, '2026', '2025') WHERE session = '{s}'",), "event was changed", 1
    ),
    "personal content": Edit(
        ("UPDATE parts SET content = '{{\"text\":\"no\"}}' WHERE session = '{s}' AND content IS NOT NULL AND seq = 4",),
        "content of user:ada", 4,
    ),
    "content and its salt away": Edit(
        ("UPDATE parts SET content = '{{\"text\":\"no\"}}', salt = NULL WHERE session = '{s}' AND seq = 4",),
        "content of user:ada", 4,
    ),
    "an event away from the middle": Edit(
        ("DELETE FROM events WHERE session = '{s}' AND seq = 4",), "expected seq 4, found 5", 4
    ),
    "two events exchanged": Edit(
        (
            "UPDATE events SET seq = 90 WHERE session = '{s}' AND seq = 5",
            "UPDATE events SET seq = 5 WHERE session = '{s}' AND seq = 6",
            "UPDATE events SET seq = 6 WHERE session = '{s}' AND seq = 90",
        ),
        "chain is broken", 5,
    ),
    "a hash": Edit(("UPDATE events SET hash = body WHERE session = '{s}' AND seq = 7",), "chain is broken", 7),
    "a part away": Edit(("DELETE FROM parts WHERE session = '{s}' AND seq = 3",), "chain is broken", 3),
    "the tail cut": Edit(("DELETE FROM events WHERE session = '{s}' AND seq > 5",), "does not end where", 7),
    "the state": Edit(("UPDATE sessions SET state = 'closed' WHERE id = '{s}'",), "not what the journal gives", 7),
    "when it was made": Edit(
        ("UPDATE sessions SET created_at = replace(created_at, '2026', '2025') WHERE id = '{s}'",), "begin and end", 7
    ),
    "when it last changed": Edit(
        ("UPDATE sessions SET updated_at = replace(updated_at, '2026', '2027') WHERE id = '{s}'",), "begin and end", 7
    ),
    "its kind": Edit(("UPDATE sessions SET kind = 'party' WHERE id = '{s}'",), "its kind 'party' is not known here", 7),
    "the folded data": Edit(
        ("UPDATE sessions SET data = replace(data, '\"said\":5', '\"said\":1') WHERE id = '{s}'",),
        "not what the journal gives", 7,
    ),
    "an item": Edit(("UPDATE items SET value = '{{}}' WHERE session = '{s}'",), "not what the journal gives", 7),
    "data that is no JSON": Edit(("UPDATE sessions SET data = 'x' WHERE id = '{s}'",), "cannot be read"),
    "content that is no JSON, erased by hand": Edit(
        ("UPDATE parts SET content = NULL, salt = NULL WHERE session = '{s}' AND seq = 1",), "not what the journal", 7
    ),
    "a whole session away, unless somebody kept its id": Edit(("DELETE FROM sessions WHERE id = '{s}'",), "NotFound"),
    "the owners of two parts of an event exchanged": Edit(
        (
            "UPDATE parts SET owner = 'x' WHERE session = '{s}' AND seq = 3 AND owner = 'user:ada'",
            "UPDATE parts SET owner = 'user:ada' WHERE session = '{s}' AND seq = 3 AND owner = 'user:bob'",
            "UPDATE parts SET owner = 'user:bob' WHERE session = '{s}' AND seq = 3 AND owner = 'x'",
        ),
        "not what the journal gives", 7,  # where the state rests on whose a part is; the chain does not say
    ),
    # What the chain does not hold: who may, and that an erased session has no state.
    "a grant": Edit(("UPDATE grants SET role = 'lead' WHERE session = '{s}'",), None),
    "the whole session marked as erased": Edit(
        ("UPDATE sessions SET erased_at = updated_at, data = '{{}}' WHERE id = '{s}'",), None
    ),
    # What only a head that was kept elsewhere gives away:
    "the tail cut and the head moved back": Edit(
        (
            "DELETE FROM parts WHERE session = '{s}' AND seq > 6",
            "DELETE FROM events WHERE session = '{s}' AND seq > 6",
            "UPDATE sessions SET seq = 6, head = (SELECT hash FROM events WHERE session = '{s}' AND seq = 6)"
            " WHERE id = '{s}'",
        ),
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_of_the_database(run: Bench, name: str) -> None:
    edit, session = EDITS[name], told(run)
    kept = run(verify(run.store, run.engine.kinds, session, epoch=3))
    assert kept.ok

    def change(tx: Any) -> None:
        for statement in edit.statements:
            tx.run(text(statement.format(s=session).replace(":", "\\:")))

    run(run.store.write(change))
    if edit.found == "NotFound":
        with pytest.raises(errors.NotFound):
            run(verify(run.store, run.engine.kinds, session, epoch=3))
        return
    verdict = run(verify(run.store, run.engine.kinds, session, epoch=3))
    if edit.found is None:
        assert verdict.ok
        assert (verdict.head != kept.head) is ("tail" in name), "a head kept elsewhere shows what was cut"
    else:
        assert (verdict.ok, verdict.seq) == (False, edit.seq)
        assert edit.found in verdict.reason


def test_a_chain_made_anew_is_found_by_a_head_that_was_kept(run: Bench) -> None:
    """Whoever can write the table can write a whole other history; only what was kept elsewhere tells."""
    session = told(run)
    kept = run(verify(run.store, run.engine.kinds, session, epoch=3))
    forged = bundle.read(resealed(exported(run, session), lambda lines: lines[5]["data"].update(label="noose")))[1]

    def change(tx: Any) -> None:
        for record in forged:
            values = {"data": record.data, "body": record.body, "hash": record.hash, "s": session, "n": record.seq}
            statement = "UPDATE events SET data = :data, body = :body, hash = :hash WHERE session = :s AND seq = :n"
            tx.run(text(statement).bindparams(**values))
        tx.run(text("UPDATE sessions SET head = :h WHERE id = :s").bindparams(h=forged[-1].hash, s=session))
        tx.run(text("UPDATE items SET value = :v WHERE collection = 'things'").bindparams(v='{"label":"noose"}'))

    run(run.store.write(change))
    verdict = run(verify(run.store, run.engine.kinds, session, epoch=3))
    assert verdict.ok
    assert verdict.head != kept.head


def test_what_verify_is_asked_of_an_unknown_session(run: Bench) -> None:
    for id in ("unknown", "\x00", ""):
        with pytest.raises(errors.NotFound):
            run(verify(run.store, run.engine.kinds, id, epoch=3))


def test_a_session_of_a_kind_not_known_here_is_checked_as_a_chain_and_not_called_whole(run: Bench) -> None:
    session = told(run)
    verdict = run(verify(run.store, {}, session, epoch=3))
    assert (verdict.ok, verdict.checked) == (False, 7)
    assert verdict.said.startswith("NOT whole at 7: its kind 'workshop' is not known here")


def test_a_journal_that_is_gone_whole_is_missed(run: Bench) -> None:
    session = told(run)

    def change(tx: Any) -> None:
        for table in ("events", "parts"):
            tx.run(text(f"DELETE FROM {table}"))
        tx.run(text("UPDATE sessions SET seq = 0, head = :h").bindparams(h=chain.GENESIS))

    run(run.store.write(change))
    verdict = run(verify(run.store, run.engine.kinds, session, epoch=3))
    assert not verdict.ok and "begin and end when" in verdict.said


def test_a_verdict_counts_what_was_erased(run: Bench) -> None:
    session = told(run)
    verdict = run(verify(run.store, run.engine.kinds, session, epoch=3))
    assert (verdict.ok, verdict.erased) == (True, 2)
    assert verdict.said == f"verified, 7 events, head {verdict.head[:16]}, 2 parts erased"
    run(run.store.write(lambda tx: tx.run(text("UPDATE sessions SET data = 'x'"))))
    unreadable = run(verify(run.store, run.engine.kinds, session, epoch=3))
    assert unreadable.said.startswith("NOT whole: what is stored cannot")
