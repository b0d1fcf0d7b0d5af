"""Sitting: a session server. The public names load when they are first used, so `import sitting` stays quick."""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Actor": "core.actor",
    "App": "installation",
    "Ask": "core.kind",
    "Charge": "core.kind",
    "Command": "core.kind",
    "Decision": "core.kind",
    "Due": "core.kind",
    "Event": "core.event",
    "Fact": "core.event",
    "Grant": "core.kind",
    "Installation": "installation",
    "JobRequest": "core.kind",
    "Kind": "core.kind",
    "Lifecycle": "core.lifecycle",
    "Move": "core.lifecycle",
    "Outside": "core.kind",
    "Reader": "core.kind",
    "Session": "core.session",
    "Settings": "config",
    "SittingError": "errors",
    "Workroom": "core.kind",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'sitting' has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
