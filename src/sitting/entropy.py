"""Random bytes of the operating system, fetched by the page.

Asking the system lets go of the interpreter's lock, and in a busy process each such hand-over costs more than all the
rest of a request; an append needs several. Every byte is given out once, and a forked child begins with none.
"""

from __future__ import annotations

import os
import threading

_PAGE = 16 * 1024
_lock = threading.Lock()
_rest = b""
_at = 0


def fresh(size: int) -> bytes:
    """So many random bytes, fit for keys and salts."""
    global _rest, _at
    with _lock:
        if _at + size > len(_rest):
            _rest, _at = os.urandom(max(_PAGE, size)), 0
        taken = _rest[_at : _at + size]
        _at += size
        return taken


def _forget() -> None:
    global _rest, _at, _lock
    _lock = threading.Lock()
    _rest, _at = b"", 0


os.register_at_fork(after_in_child=_forget)
