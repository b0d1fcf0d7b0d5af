"""A file that a command writes for a person: nobody else may read it, and it takes no other file's place unasked."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from . import errors


def write(target: Path, raw: bytes, *, over: bool = False) -> None:
    """Write a new file. `over` puts it, when it is whole, in the place of one that is there, or of a link.

    Raises: Invalid.
    """
    place = target.parent / f".{target.name}.{secrets.token_hex(8)}.partial" if over else target
    try:
        descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)  # O_EXCL follows no link
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(raw)
            place.replace(target)
        except OSError:
            place.unlink(missing_ok=True)
            raise
    except FileExistsError:
        raise errors.Invalid(f"{target} is there already; nothing was written. --force writes over it.") from None
    except OSError as error:
        raise errors.Invalid(f"{target} cannot be written: {error.strerror}.") from None
