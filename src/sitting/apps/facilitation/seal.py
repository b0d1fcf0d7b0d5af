"""Sealed capture, `sitting-seal-1`: what was closed can be checked against what is shown. FROZEN.

    leaf   = sha256(0x00 || salt || JCS({"bullets": [...], "card": n or null}))      salt of 16 bytes
    digest = sha256(0x01 || leaves)                                                  32 bytes each, ascending

Everything is told as lower-case hex. A response's label is `R` and the place of its leaf: it tells nothing of a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256

from ...core.chain import canonical

ALGORITHM = "sitting-seal-1"


def leaf(card: int | None, bullets: Sequence[str], salt: str) -> str:
    """The leaf of one response; `salt` is hex."""
    content = canonical({"bullets": list(bullets), "card": card})
    return sha256(b"\x00" + bytes.fromhex(salt) + content.encode()).hexdigest()


def digest(leaves: Iterable[str]) -> str:
    """The digest over all leaves, in whatever order they come."""
    return sha256(b"\x01" + b"".join(sorted(bytes.fromhex(each) for each in leaves))).hexdigest()


def label(leaves: Sequence[str], leaf: str) -> str | None:
    """What a sealed response is called, or None when its leaf is not among these."""
    return f"R{sorted(leaves).index(leaf) + 1}" if leaf in leaves else None
