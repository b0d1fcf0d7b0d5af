"""Who comes in without an account, and by which proof. Only hashes are ever stored."""

from __future__ import annotations

import base64
import hashlib
import hmac

from ...core.actor import Actor

PROJECTOR_ID = "system:projector"


def team_credential(code: str) -> str:
    """What the store knows a team's code by. A code is no secret; who types one may see the names, and no more."""
    return "link:" + hashlib.sha256(f"team|{code}".encode()).hexdigest()


def link_token(link_key: bytes, session: str, member: int, version: int) -> str:
    """One member's personal link to one session, in one version."""
    digest = hmac.digest(link_key, f"join|{session}|{member}|{version}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def link_credential(token: str) -> str:
    """What the store knows a personal link by."""
    return "link:" + hashlib.sha256(token.encode()).hexdigest()


def projector(space: str) -> Actor:
    """The system as the big screen, which sees what a participant may see."""
    return Actor(PROJECTOR_ID, space=space)


def reader(space: str) -> Actor:
    """The system, looking into one space on behalf of a visitor who showed a code."""
    return Actor("system:facilitation", space=space)
