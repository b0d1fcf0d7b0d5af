"""What a password costs, and how often it may be tried."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Literal

import pytest
from argon2 import PasswordHasher

from sitting import errors, passwords
from sitting.passwords import Attempts, Passwords
from tests.support.clock import ManualClock

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
DEARER = PasswordHasher(time_cost=2, memory_cost=64, parallelism=1)
RIGHT = "correct horse battery"


@pytest.fixture
def some() -> Iterator[Passwords]:
    made = Passwords(ManualClock(), hasher=CHEAP)
    yield made
    made.close()


def test_a_password_matches_itself_in_every_unicode_spelling(some: Passwords) -> None:
    hashed = some.hash("caf\u00e9 au lait")
    assert hashed.startswith("$argon2id$")
    assert some.match(hashed, "cafe\u0301 au lait")
    assert not some.match(hashed, "cafe au lait")


def test_nobody_s_password_matches_nothing_and_runs_the_same_work(some: Passwords) -> None:
    assert not some.match(None, RIGHT)
    assert not some.match(None, "")
    assert not some.match("not a hash", RIGHT)
    assert not some.match(some.hash(RIGHT), "\ud800 no text at all")


class Counted(PasswordHasher):
    """What is hashed to be compared, by its length."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.lengths: list[int] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.lengths.append(len(password))
        return super().verify(hash, password)


def test_a_password_that_is_too_long_costs_one_hash_of_little_and_matches_nothing() -> None:
    counted = Counted()
    some = Passwords(ManualClock(), hasher=counted)
    longest = "x" * passwords.MAX_PASSWORD
    known = [some.hash(longest), some.hash(RIGHT), counted.hash(b""), None]
    for hashed in known:
        assert not some.match(hashed, longest + "x")
        assert not some.match(hashed, "a" + "\u0315\u0316" * 50_000)
    assert counted.lengths == [0] * 2 * len(known)
    assert some.match(known[0], longest)
    some.close()


def test_a_hash_of_another_cost_is_renewed(some: Passwords) -> None:
    old = DEARER.hash(RIGHT)
    assert some.match(old, RIGHT)
    renewed = some.renewed(old, RIGHT)
    assert renewed is not None and some.match(renewed, RIGHT)
    assert some.renewed(renewed, RIGHT) is None


@pytest.mark.parametrize("password", ["", "ninechars", "x" * 257])
def test_too_short_or_too_long_is_refused_without_repeating_it(some: Passwords, password: str) -> None:
    with pytest.raises(errors.Invalid) as refusal:
        some.hash(password, field="new")
    assert refusal.value.facts["fields"][0]["field"] == "new"
    assert not password or password not in str(refusal.value.facts)


def test_attempts_are_counted_in_a_sliding_window() -> None:
    clock = ManualClock()
    attempts = Attempts(clock)
    for _ in range(3):
        attempts.take({"a": 3})
        clock.advance(100)
    with pytest.raises(errors.RateLimited) as refusal:
        attempts.take({"a": 3})
    assert refusal.value.facts["retry_after"] == passwords.ATTEMPT_SECONDS - 300 + 1
    attempts.take({"b": 3})
    clock.advance(passwords.ATTEMPT_SECONDS - 300)
    attempts.take({"a": 3})
    with pytest.raises(errors.RateLimited):
        attempts.take({"a": 3})


def test_an_attempt_refused_for_one_key_counts_for_none() -> None:
    attempts = Attempts(ManualClock())
    attempts.take({"address": 1})
    for _ in range(5):
        with pytest.raises(errors.RateLimited):
            attempts.take({"email": 2, "address": 1})
    attempts.take({"email": 2})
    attempts.take({"email": 2})
    attempts.give_back(["email", "unknown"])
    attempts.take({"email": 2})


def test_no_more_keys_are_kept_than_memory_allows() -> None:
    attempts = Attempts(ManualClock())
    attempts.take({"first": 1})
    for number in range(passwords.MAX_KEYS):
        attempts.take({f"{number}": 1})
    attempts.take({"first": 1})
    with pytest.raises(errors.RateLimited):
        attempts.take({f"{passwords.MAX_KEYS - 1}": 1})


def test_a_refused_attempt_costs_no_work(some: Passwords) -> None:
    done: list[int] = []
    some.run(lambda: done.append(1), {"a": 1}).result()
    some.run(lambda: done.append(2), {"a": 1}).result()
    assert done == [1, 2], "a success gives its attempt back"
    failing = some.run(_fail, {"a": 1})
    assert isinstance(failing.exception(), errors.NotAuthenticated)
    assert isinstance(some.run(lambda: done.append(3), {"a": 1}).exception(), errors.RateLimited)
    assert done == [1, 2]


def test_beyond_a_few_waiting_everybody_is_sent_away(some: Passwords) -> None:
    go = threading.Event()
    waiting = [some.run(go.wait) for _ in range(passwords.MAX_WAITING)]
    refused = some.run(go.wait).exception()
    assert isinstance(refused, errors.RateLimited) and refused.facts["retry_after"] == 5
    go.set()
    assert all(future.result() for future in waiting)
    assert some.run(go.wait).result()


def _fail() -> None:
    raise errors.NotAuthenticated
