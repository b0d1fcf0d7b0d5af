"""Who asks."""

from __future__ import annotations

import pytest

from sitting import errors
from sitting.core.actor import CLOCK, WORKER, Actor, guest


def test_an_id_says_what_somebody_is() -> None:
    assert Actor("user:ada").is_user
    assert not Actor("user:ada").is_system
    assert CLOCK.is_system and WORKER.is_system and not CLOCK.is_user
    assert Actor("user:ada").may_write
    assert not Actor("user:ada", scopes=frozenset({"read"})).may_write


def test_a_guest_is_known_by_the_hash_of_the_cookie_alone() -> None:
    somebody = guest("token", credentials=("link:00",))
    assert somebody.id == "guest:3c469e9d6c5875d37a43f353d4f88e61fcf812c6"
    assert somebody.credentials == ("link:00",)
    assert not somebody.is_user


@pytest.mark.parametrize(
    "id", ["", "ada", "user:", "user:a b", "user:" + "a" * 65, "root:a", "user:é", 'user:"', "user:a\n"]
)
def test_anything_else_is_no_actor(id: str) -> None:
    with pytest.raises(errors.Misuse, match="Not an actor id"):
        Actor(id)
