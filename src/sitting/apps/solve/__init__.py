"""Solve: one person goes from a problem that weighs on them to one concrete first step. A thinking aid, not therapy."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "MessageRequest": "models",
    "SSEDoneEvent": "models",
    "SSETokenEvent": "models",
    "SessionCreate": "models",
    "SessionListResponse": "models",
    "SessionResponse": "models",
    "SessionStatus": "terms",
    "SolveSession": "models",
    "SolveStep": "terms",
}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sitting.apps.solve' has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
