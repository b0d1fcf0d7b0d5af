"""A change asked for with a cookie must come from our own page, whatever the browser says or leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import httpx
import pytest

from sitting.core.actor import guest
from sitting.web.deps import FORM, SIGN_IN, guest_csrf
from tests.support import toy
from tests.support.serving import PATIENCE_SECONDS, Served

CREATE = "/v1/kinds/toy/sessions"


@pytest.fixture(scope="module")
def signed_in(server: Served) -> tuple[str, str]:
    """A sign-in cookie and its token."""
    access = server.installation.access
    account = access.create_account("Ada").result()
    cookie = access.use_link(access.make_link(account).result()).result()
    return cookie, access.by_cookie(cookie).result().csrf


@pytest.fixture
def client(server: Served, signed_in: tuple[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, cookies={SIGN_IN: signed_in[0]}, timeout=PATIENCE_SECONDS) as made:
        yield made


OWN: list[Mapping[str, str]] = [
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},
    {"Sec-Fetch-Site": "same-origin", "Origin": "null"},
    {"Origin": "{own}"},
    {"Origin": "null"},
    {},
]
FOREIGN: list[Mapping[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "{own}"},
    {"Sec-Fetch-Site": ""},
    {"Origin": "https://evil.test"},
    {"Origin": "{own}.evil.test"},
    {"Origin": "http://["},
]


def _filled(headers: Mapping[str, str], url: str) -> dict[str, str]:
    return {name: value.replace("{own}", url) for name, value in headers.items()}


@pytest.mark.parametrize("headers", OWN)
def test_our_own_page_with_its_token_may(
    server: Served, client: httpx.Client, signed_in: tuple[str, str], headers: Mapping[str, str]
) -> None:
    sent = {**_filled(headers, server.url), "X-CSRF-Token": signed_in[1]}
    assert client.post(CREATE, json={"name": "x"}, headers=sent).status_code == 201


@pytest.mark.parametrize("headers", FOREIGN)
def test_another_site_may_not_even_with_the_token(
    server: Served, client: httpx.Client, signed_in: tuple[str, str], headers: Mapping[str, str]
) -> None:
    sent = {**_filled(headers, server.url), "X-CSRF-Token": signed_in[1]}
    refused = client.post(CREATE, json={"name": "x"}, headers=sent)
    assert (refused.status_code, refused.json()["code"]) == (403, "CSRF_FAILED")
    assert refused.json()["detail"] == "CSRF token missing or invalid"


@pytest.mark.parametrize("headers", [*OWN, *FOREIGN])
@pytest.mark.parametrize("token", ["", "wrong", "ä"])
def test_nobody_may_without_the_token(
    server: Served, client: httpx.Client, headers: Mapping[str, str], token: str
) -> None:
    raw = [(name, value.encode()) for name, value in _filled(headers, server.url).items()]
    before = client.get("/v1/sessions?kind=toy").json()["total"]
    refused = client.post(CREATE, json={"name": "x"}, headers=[*raw, ("X-CSRF-Token", token.encode())])  # type: ignore[arg-type]
    assert refused.status_code == 403
    assert client.get("/v1/sessions?kind=toy").json()["total"] == before


def test_a_change_by_get_or_in_disguise_does_not_happen(client: httpx.Client, signed_in: tuple[str, str]) -> None:
    token = {"X-CSRF-Token": signed_in[1]}
    session = client.post(CREATE, json={"name": "x"}, headers=token).headers["location"]
    assert client.get(f"{session}/commands/pause").status_code == 405
    assert client.get(f"{session}?_method=DELETE", headers={"X-HTTP-Method-Override": "DELETE"}).status_code == 200
    plain = client.post(CREATE, content=b'{"name":"x"}', headers={**token, "Content-Type": "text/plain"})
    assert plain.status_code == 415
    assert client.get(session).json()["as_of"] == "1.1"


def test_a_bearer_token_needs_no_other(server: Served) -> None:
    with server.person().client() as client:
        made = client.post(CREATE, json={"name": "x"}, headers={"Sec-Fetch-Site": "cross-site"})
        assert made.status_code == 201


def test_a_cookie_that_has_ended_proves_nothing(server: Served, signed_in: tuple[str, str]) -> None:
    access = server.installation.access
    account = access.create_account("Bea").result()
    cookie = access.use_link(access.make_link(account).result()).result()
    with httpx.Client(base_url=server.url, cookies={SIGN_IN: cookie}) as client:
        assert client.get("/v1/sessions?kind=toy").status_code == 200
        access.sign_out_everywhere(account).result()
        assert client.get("/v1/sessions?kind=toy").status_code == 401
        page = client.get("/v1/sessions?kind=toy", headers={"Accept": "text/html"})
    assert page.status_code == 303
    assert page.headers["location"] == "/sign-in?next=%2Fv1%2Fsessions%3Fkind%3Dtoy"


def test_a_page_for_nobody_in_particular_has_a_token_of_its_own(server: Served) -> None:
    with httpx.Client(base_url=server.url) as nobody:
        page = nobody.get("/sign-in", headers={"Accept": "text/html"})
        value = nobody.cookies[FORM]
        assert guest_csrf(server.installation, value) in page.text
        assert "httponly" in page.headers["set-cookie"].lower()
        assert "samesite=lax" in page.headers["set-cookie"].lower()
        again = nobody.get("/sign-in", headers={"Accept": "text/html"})
        assert "set-cookie" not in again.headers


def test_a_guest_is_known_by_the_cookie_of_the_session(server: Served) -> None:
    engine = server.installation.engine
    with server.person().client() as client:
        session = client.post(CREATE, json={"name": "x"}).headers["location"]
        id = session.rpartition("/")[2]
        other = client.post(CREATE, json={"name": "y"}).headers["location"]
        invited = guest("guest-token")
        client.post(f"{session}/commands/invite", json={"actor": invited.id, "role": "writer"})
    with httpx.Client(base_url=server.url, cookies={f"toy-{id}": "guest-token"}) as visitor:
        assert visitor.get(session).json()["role"] == "writer"
        assert "people" not in visitor.get(session).json()
        assert visitor.get(other).status_code == 401
        refused = visitor.post(f"{session}/commands/note", json={"text": "a"})
        assert (refused.status_code, refused.json()["code"]) == (403, "CSRF_FAILED")
        token = {"X-CSRF-Token": guest_csrf(server.installation, "guest-token")}
        assert visitor.post(f"{session}/commands/note", json={"text": "a"}, headers=token).status_code == 200
    with httpx.Client(base_url=server.url, cookies={f"toy-{id}": "another"}) as stranger:
        assert stranger.get(session).status_code == 404
    assert engine.view(id, invited).result().session.seq == 3
    assert toy.KIND.name in engine.kinds
