"""A browser without scripts in front of the real application, in this process: pages, forms, cookies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape

from starlette.testclient import TestClient

from sitting.installation import Installation
from sitting.web import create_app, deps

HOST = "127.0.0.1"
PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@dataclass(frozen=True)
class Visitor:
    """The browser, and the installation it looks at. Redirects are not followed."""

    installation: Installation
    client: TestClient

    def account(self, name: str, *, roles: Sequence[str] = ("member",), **more: str) -> str:
        """A new account; its actor id."""
        return self.installation.access.create_account(name, roles=roles, **more).result()

    def sign_in(self, account: str) -> None:
        """Come back as somebody, as after a one-time link."""
        access = self.installation.access
        self.comes_with(access.use_link(access.make_link(account).result()).result())

    def comes_with(self, cookie: str | None) -> None:
        """Have this sign-in cookie and no other."""
        self.client.cookies.clear()
        if cookie is not None:
            self.client.cookies.set(deps.SIGN_IN, cookie, domain=HOST)

    def page(self, path: str, *, status: int = 200) -> str:
        """The text of a page."""
        response = self.client.get(path, headers=PAGE)
        assert response.status_code == status, (response.status_code, response.text)
        assert response.headers["content-type"].startswith("text/html")
        return response.text

    def leads(self, path: str) -> str:
        """Where a page leads instead of being shown."""
        response = self.client.get(path, headers=PAGE)
        assert response.status_code == 303, (response.status_code, response.text)
        return response.headers["location"]

    def send(self, path: str, fields: Mapping[str, str | list[str]], *, seen: str, status: int = 303) -> str:
        """Send a form as the page at `seen` does; where the answer leads, else its text."""
        token = csrf(self.page(seen))
        response = self.client.post(path, data={**fields, "csrf_token": token}, headers=PAGE)
        assert response.status_code == status, (response.status_code, response.text)
        return response.headers.get("location") or response.text


def csrf(page: str) -> str:
    """The token in a page's forms."""
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found is not None, "the page has no form"
    return unescape(found[1])


@contextmanager
def visiting(installation: Installation) -> Iterator[Visitor]:
    """The application of an installation, until the block ends."""
    app = create_app(installation)
    with TestClient(app, base_url=f"http://{HOST}", follow_redirects=False) as client:
        yield Visitor(installation, client)
