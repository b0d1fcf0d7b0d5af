"""What a password costs: argon2, on threads of its own, after the attempt was counted and before anything else.

One hash takes 64 MiB and a good part of a second, so it is a cheap way to wear a server out. Attempts are counted by
key (an e-mail, an address) in a sliding window before the work begins; a success gives its count back. The count is
this process's own. Beyond a few waiting hashes everybody is asked to come back later.
"""

from __future__ import annotations

import base64
import secrets
import threading
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from . import errors
from .clock import Clock

T = TypeVar("T")

MIN_PASSWORD, MAX_PASSWORD = 10, 256
ATTEMPT_SECONDS = 900
MAX_WAITING = 16
MAX_KEYS = 10_000
_THREADS = 2


class Attempts:
    """Attempts by key within a sliding window, in memory; the keys used least lately are forgotten first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._times: OrderedDict[str, list[datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, limits: Mapping[str, int]) -> None:
        """Count one attempt against each key, or against none. Raises RateLimited."""
        now = self._clock.now()
        window = timedelta(seconds=ATTEMPT_SECONDS)
        with self._lock:
            recent = {key: [at for at in self._times.get(key, ()) if at > now - window] for key in limits}
            for key, limit in limits.items():
                if len(recent[key]) >= limit:
                    wait = (recent[key][-limit] + window - now).total_seconds()
                    raise errors.RateLimited(retry_after=int(wait) + 1)
            for key in limits:
                self._times[key] = [*recent[key], now]
                self._times.move_to_end(key)
            while len(self._times) > MAX_KEYS:
                self._times.popitem(last=False)

    def give_back(self, keys: Iterable[str]) -> None:
        """An attempt that succeeded does not count."""
        with self._lock:
            for key in keys:
                if times := self._times.get(key):
                    times.pop()


class Passwords:
    """Hashes and compares. `hasher` sets the cost."""

    def __init__(self, clock: Clock, *, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._nobody = _hash_of_nothing(self._hasher)
        self._attempts = Attempts(clock)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")
        self._room = threading.BoundedSemaphore(MAX_WAITING)

    def close(self) -> None:
        """Finish what is waiting."""
        self._threads.shutdown(wait=True)

    def run(self, work: Callable[[], T], limits: Mapping[str, int] | None = None) -> Future[T]:
        """Run `work`, which hashes, once an attempt is counted against each of `limits`.

        Raises, through the future: what `work` raises; RateLimited, before any work.
        """
        keys = limits or {}

        def counted() -> T:
            result = work()
            self._attempts.give_back(keys)
            return result

        try:
            self._attempts.take(keys)
            if not self._room.acquire(blocking=False):
                raise errors.RateLimited(retry_after=5)
        except errors.RateLimited as refusal:
            refused: Future[T] = Future()
            refused.set_exception(refusal)
            return refused
        future = self._threads.submit(counted)
        future.add_done_callback(lambda _: self._room.release())
        return future

    def hash(self, password: str, *, field: str = "password") -> str:
        """The encoded hash of a new password. Raises Invalid for `field`."""
        if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
            raise errors.Invalid.field(field, f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
        return self._hasher.hash(_bytes(password))

    def match(self, hashed: str | None, password: str) -> bool:
        """Whether this is the password; None matches nothing and costs the same, and so does what is too long."""
        fits = len(password) <= MAX_PASSWORD
        try:
            self._hasher.verify(hashed or self._nobody, _bytes(password) if fits else b"")
        except (VerificationError, InvalidHashError):
            return False
        return fits

    def renewed(self, hashed: str, password: str) -> str | None:
        """The hash at today's cost of a password that matched one made at another, else None."""
        return self._hasher.hash(_bytes(password)) if self._hasher.check_needs_rehash(hashed) else None


def _bytes(password: str) -> bytes:
    """What is hashed. Only for what is not too long: to normalise takes time by the square of the length."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


def _hash_of_nothing(hasher: PasswordHasher) -> str:
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${digest}"
