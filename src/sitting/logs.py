"""What the process says while it runs: one JSON line each, on standard error."""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path

import structlog


def configure(level: str) -> None:
    """Send our own lines and those of the libraries to standard error, from `level` up."""
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(ensure_ascii=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(
        level=max(number, logging.WARNING), format="%(levelname)s %(name)s %(message)s", stream=sys.stderr
    )


def trail(error: BaseException) -> list[str]:
    """Where it broke, without the message: it may quote what a caller or the database said."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
