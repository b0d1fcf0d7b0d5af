"""The installation's one secret, and the keys that derive from it.

It comes from `SITTING_SECRET`, else from a file in the data directory that is made on first use and that only its owner
may read. On PostgreSQL, where several nodes must derive the same keys, it has to be set. It is no part of a backup: a
database restored without it keeps its sessions and loses its guests' links.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import errors
from .config import Settings

FILE = "secret"
BYTES = 32


@dataclass(frozen=True)
class Secret:
    """Key material that is only ever used through `derive`."""

    _material: bytes = field(repr=False)

    def derive(self, label: str) -> bytes:
        """The 32-byte key for one purpose; different labels give unrelated keys."""
        return HKDF(SHA256(), BYTES, salt=None, info=b"sitting " + label.encode()).derive(self._material)


def load(settings: Settings) -> Secret:
    """The secret of this installation.

    Raises:
        Misuse: there is none and none may be made, or the file is open to others, cut short or out of reach.
    """
    if settings.secret:
        return Secret(settings.secret.encode())
    if not settings.database_url.startswith("sqlite"):
        raise errors.Misuse(
            "SITTING_SECRET is required on PostgreSQL, so that every node derives the same keys. "
            "Make one with `openssl rand -base64 32`, and keep it."
        )
    path = settings.data / FILE
    try:
        if not path.exists():
            _make(path)
        return Secret(_read(path))
    except OSError as error:
        raise errors.Misuse(f"The secret file {path} cannot be used: {error.strerror}.") from error


def _make(path: Path) -> None:
    """Write a new secret. When two processes start at once, one file stands and both read that one."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink()
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise errors.Misuse(f"The secret file {path} is open to others (mode {mode:o}). Run: chmod 600 {path}")
        material = file.read(BYTES + 1)
    if len(material) != BYTES:
        raise errors.Misuse(f"The secret file {path} is damaged: it must hold exactly {BYTES} bytes.")
    return material
