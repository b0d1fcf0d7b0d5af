"""Facilitation: a team captures in private, and sees the whole at once."""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {"FACILITATION": "kind", "TEAM": "team"}

__all__ = list(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sitting.apps.facilitation' has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
