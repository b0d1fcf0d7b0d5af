"""Where applications are found, by name, without loading any.

An application is named by its App value, `package.app:APP`. Its commands, if any, stand in `package.cli` as `app`, so
that the command line can show them without loading anything else.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import entry_points

BUILT_IN = (
    "sitting.apps.interview.app:APP",
    "sitting.apps.facilitation.app:APP",
    "sitting.apps.solve.app:APP",
)
GROUP = "sitting.apps"


def names() -> Iterator[str]:
    """The dotted names of the built-in applications, then those of installed packages."""
    yield from BUILT_IN
    for point in entry_points(group=GROUP):
        yield point.value
