"""The same on PostgreSQL, where writers really meet: the quota holds, and one of two messages wins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.apps.solve.room import LATER, PLAN, WORRY, Scene, scene, together


@pytest.fixture
def house(tmp_path: Path, postgres_database: str) -> Iterator[Scene]:
    secret = "s" * 32
    with scene(tmp_path, database=postgres_database, secret=secret, solve_quota_limit=3) as made:
        yield made


def test_a_whole_session_and_its_races(house: Scene) -> None:
    house.plays()
    ann = house.owner()
    id = ann.brought("completed")
    assert ann.session(id)["first_step_action"] == PLAN
    made = together(8, lambda _: ann.client.post("/sessions", json={}))
    assert Counter(answer.status_code for answer in made) == {201: 2, 403: 6}
    for answer in made:
        usage = answer.json().get("usage") or answer.json()["detail"]["usage"]
        assert usage["sessions_limit"] == 3
        assert usage["sessions_used"] == 3 or answer.status_code == 201
    other = next(answer.json()["id"] for answer in made if answer.status_code == 201)
    assert ann.session(other)["carried"][0]["session_id"] == id
    sent = together(2, lambda _: ann.sends(other, WORRY, LATER))
    assert sorted(answer.status_code for answer in sent) == [202, 409]
    assert ann.types(other).count("message_received") == 1
    ann.awaits(other, "turn_completed")
    crisis = ann.says(other, "I want to die")
    assert crisis.done["blocked"] and crisis.text.startswith("It sounds like")
