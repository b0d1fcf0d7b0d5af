"""How often one address has named a code that no team has.

Ten wrong codes in ten minutes, then every code from there is refused, a right one too, or the answer would still tell.
Counted in memory, by process; an IPv6 address counts as its network of 64 bits, for one device can have all of that.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from datetime import datetime, timedelta

from . import refusals

WINDOW = timedelta(minutes=10)
WRONG_CODES = 10
MAX_ADDRESSES = 10_000  # those heard of least lately are forgotten first


class Guesses:
    """Wrong codes by address within a sliding window."""

    def __init__(self) -> None:
        self._times: OrderedDict[str, list[datetime]] = OrderedDict()

    def wrong(self, address: str, now: datetime) -> None:
        """Count one. Raises RateLimited when there have been too many; that one is not counted."""
        self.check(address, now)
        key = _network(address)
        self._times[key] = [*self._recent(key, now), now]
        self._times.move_to_end(key)
        while len(self._times) > MAX_ADDRESSES:
            self._times.popitem(last=False)

    def check(self, address: str, now: datetime) -> None:
        """Let pass who has not guessed too often. Raises RateLimited."""
        recent = self._recent(_network(address), now)
        if len(recent) >= WRONG_CODES:
            wait = (recent[-WRONG_CODES] + WINDOW - now).total_seconds()
            raise refusals.too_many(math.ceil(wait))

    def _recent(self, key: str, now: datetime) -> list[datetime]:
        return [at for at in self._times.get(key, ()) if at > now - WINDOW]


def _network(address: str) -> str:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if known.version == 4:
        return address
    return str(known.ipv4_mapped or ipaddress.ip_network((int(known), 64), strict=False).network_address)
