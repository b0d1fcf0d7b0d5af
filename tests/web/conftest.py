"""What most files here begin with: a server with the notebook, one person, and a client that speaks for her."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.support.serving import Person, Served, served


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A running server; a module that needs another kind or other settings has its own of this name."""
    with served(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture(scope="module")
def ada(server: Served) -> Person:
    """A member with a token."""
    return server.person()


@pytest.fixture
def client(ada: Person) -> Iterator[httpx.Client]:
    """Sends her token."""
    with ada.client() as made:
        yield made
