"""Interviews: a candidate solves a challenge with a model's help, under limits that both sides see."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "EventType": "terms",
    "Session": "service",
    "SessionConfig": "commands",
    "SessionEvent": "service",
    "SessionNotFound": "service",
    "SessionService": "service",
    "SessionStatus": "terms",
    "UserType": "terms",
    "get_session_service": "service",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sitting.apps.interview' has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
