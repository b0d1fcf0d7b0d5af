"""What a list may be asked for: elements a session must have, and when it was made."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from datetime import datetime, timedelta
from typing import Any

import pytest

from sitting import errors
from sitting.engine import Where, _ended
from sitting.store import Store
from tests.contract.test_store import Gathered
from tests.support import workshop
from tests.support.clock import START
from tests.support.engines import ADA, Bench, bench


@pytest.fixture
def run(store: Store) -> Iterator[Bench]:
    with bench(store) as made:
        yield made


def found(run: Bench, **where: Any) -> tuple[list[str], int]:
    """The ids on a page, and the total over all pages."""
    listing = run(run.engine.list("workshop", ADA, Where(**where)))
    return [seen.session.id for seen in listing.items], listing.total


def put(run: Bench, session: str, id: str, label: str | None = "x") -> None:
    run(run.engine.do(session, workshop.Put(id=id, label=label), ADA))


def test_a_session_must_have_every_element_that_is_named(run: Bench) -> None:
    both, one, other = (run.workshop() for _ in range(3))
    for session, things in ((both, "ab"), (one, "a"), (other, "c")):
        for thing in things:
            put(run, session, thing)
    assert set(found(run, having=(("things", "a"),))[0]) == {both, one}
    assert found(run, having=(("things", "a"), ("things", "b"))) == ([both], 1)
    assert found(run, having=(("said", "a"),)) == ([], 0)
    assert found(run, having=(("things", "%"),)) == ([], 0)
    assert found(run, having=(("things", "a"),), limit=1)[1] == 2
    put(run, both, "b", None)
    assert found(run, having=(("things", "b"),)) == ([], 0)
    with pytest.raises(errors.Invalid):
        run.engine.list("workshop", ADA, Where(having=(("things", "\0"),))).result()


def test_both_ends_of_a_time_are_included(run: Bench) -> None:
    ids = []
    for _ in range(3):
        ids.append(run.workshop())
        run.clock.advance(10)

    def at(seconds: float) -> datetime:
        return START + timedelta(seconds=seconds)

    assert found(run, since=at(10)) == (ids[:0:-1], 2)
    assert found(run, until=at(10)) == (ids[1::-1], 2)
    assert found(run, since=at(10), until=at(10)) == ([ids[1]], 1)
    assert found(run, since=at(10.000001), until=at(20.000001)) == ([ids[2]], 1)
    assert found(run, until=at(9.999999)) == ([ids[0]], 1)


def test_however_many_have_ended_already_their_end_is_told() -> None:
    done: Future[None] = Future()
    done.set_result(None)
    assert _ended([done] * 2000).done()


def test_a_session_whose_deadline_is_refused_or_that_goes_meanwhile_leaves_the_others(run: Bench) -> None:
    calm, late, wrong, gone = run.workshop(), run.workshop(closes_in=60), run.workshop(), run.workshop(closes_in=60)
    run(run.engine.do(wrong, workshop.Wrong(how="refusing"), ADA))
    run.clock.advance(60)
    groups = [Gathered(run.store) for _ in range(1 if run.store.is_sqlite else 8)]  # all writers that there are
    erased, listing = run.engine.erase(gone, ADA), run.engine.list("workshop", ADA, Where())
    groups[0].release()
    run(erased)
    for group in groups[1:]:
        group.release()
    states = {seen.session.id: seen.session.state for seen in run(listing).items}
    assert states == {calm: "open", late: "closed", wrong: "open"}
