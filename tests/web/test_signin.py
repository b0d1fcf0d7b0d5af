"""Signing in and out, and the account page, as a browser without scripts does it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from sitting.access import ATTEMPTS_BY_EMAIL
from sitting.installation import Installation
from sitting.web import deps, signin
from tests.support.browsing import PAGE, Visitor, csrf, visiting
from tests.support.serving import installed

EMAIL, PASSWORD = "ada@example.org", "correct horse battery"


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with installed(tmp_path) as made:
        yield made


@pytest.fixture
def visitor(installation: Installation) -> Iterator[Visitor]:
    """Nobody yet; Ada has an account."""
    with visiting(installation) as browser:
        browser.account("Ada", email=EMAIL)
        yield browser


@pytest.fixture
def password(visitor: Visitor) -> str:
    """Ada's password."""
    visitor.installation.access.set_password(_ada(visitor), PASSWORD).result()
    return PASSWORD


def sign_in(visitor: Visitor, *, password: str = PASSWORD, next: str = "/", status: int = 303) -> str:
    fields = {"email": EMAIL, "password": password, "next": next}
    return visitor.send("/sign-in", fields, seen="/sign-in", status=status)


def signed_in(visitor: Visitor) -> bool:
    return visitor.client.get("/", headers=PAGE).status_code == 200


# The form


def test_a_password_signs_in_and_leads_back(visitor: Visitor, password: str) -> None:
    assert visitor.leads("/kinds/toy?q=a b") == "/sign-in?next=%2Fkinds%2Ftoy%3Fq%3Da%2520b"
    page = visitor.page("/sign-in?next=%2Fkinds%2Ftoy%3Fq%3Da%2520b")
    assert 'name="next" value="/kinds/toy?q=a%20b"' in page
    assert sign_in(visitor, next="/kinds/toy?q=a%20b") == "/kinds/toy?q=a%20b"
    assert signed_in(visitor)
    assert visitor.leads("/sign-in") == "/", "who is signed in needs no form"


def test_the_cookie_is_out_of_reach_for_scripts_and_foreign_forms(visitor: Visitor, password: str) -> None:
    token = csrf(visitor.page("/sign-in"))
    fields = {"email": EMAIL, "password": PASSWORD, "csrf_token": token}
    response = visitor.client.post("/sign-in", data=fields, headers=PAGE)
    cookie = next(line for line in response.headers.get_list("set-cookie") if line.startswith(deps.SIGN_IN + "="))
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "Path=/" in cookie and "Max-Age=1209600" in cookie


@pytest.mark.parametrize(
    "path",
    [
        *(
            "//evil.example",
            "https://evil.example",
            "/\\evil.example",
            "\\\\evil",
            "evil",
            "/a\nb",
            "/a b",
            "/sign-in?x",
        ),
        *("", "/é", "/" * 3000),
    ],
)
def test_only_a_path_of_this_site_is_led_to(path: str) -> None:
    assert signin.own_path(path) == "/"


@pytest.mark.parametrize("path", ["/", "/kinds/toy?q=a%20b&limit=2", "/sessions/x#y", "/a//b"])
def test_a_path_of_this_site_is_kept(path: str) -> None:
    assert signin.own_path(path) == path


def test_a_foreign_address_is_not_led_to_by_the_form(visitor: Visitor, password: str) -> None:
    assert sign_in(visitor, next="https://evil.example/") == "/"


@pytest.mark.parametrize(
    "email, password", [(EMAIL, "wrong"), ("nobody@example.org", PASSWORD), ("", ""), ("x" * 999, "y")]
)
def test_a_wrong_password_and_an_unknown_address_look_the_same(visitor: Visitor, email: str, password: str) -> None:
    fields = {"email": email, "password": password}
    page = visitor.send("/sign-in", fields, seen="/sign-in", status=401)
    assert "The e-mail address or the password is wrong." in page
    assert f'value="{email[:254]}"' in page and (not password or f'value="{password}"' not in page)


def test_too_many_attempts_are_refused_in_a_sentence(visitor: Visitor, password: str) -> None:
    for _ in range(ATTEMPTS_BY_EMAIL):
        sign_in(visitor, password="wrong", status=401)
    page = sign_in(visitor, status=429)
    assert re.search(r"Too many attempts\. Try again in \d+ minutes\.", page)


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 303),
        ({"Origin": "http://127.0.0.1"}, 303),
    ],
)
def test_another_site_cannot_sign_anybody_in(
    visitor: Visitor, password: str, headers: dict[str, str], status: int
) -> None:
    token = csrf(visitor.page("/sign-in"))
    fields = {"email": EMAIL, "password": PASSWORD, "csrf_token": token}
    assert visitor.client.post("/sign-in", data=fields, headers={**PAGE, **headers}).status_code == status


def test_the_form_needs_its_token(visitor: Visitor) -> None:
    visitor.page("/sign-in")
    for token in ("", "x" * 64):
        fields = {"email": EMAIL, "password": PASSWORD, "csrf_token": token}
        assert visitor.client.post("/sign-in", data=fields, headers=PAGE).status_code == 403


def test_a_new_sign_in_has_a_new_cookie(visitor: Visitor, password: str) -> None:
    sign_in(visitor)
    first = visitor.client.cookies[deps.SIGN_IN]
    token = csrf(visitor.page("/account"))
    fields = {"email": EMAIL, "password": PASSWORD, "csrf_token": token}
    assert visitor.client.post("/sign-in", data=fields, headers=PAGE).status_code == 303
    assert visitor.client.cookies[deps.SIGN_IN] != first
    visitor.comes_with(first)
    assert not signed_in(visitor)


# An access token, a link


def test_an_access_token_signs_nobody_in(visitor: Visitor, password: str) -> None:
    access = visitor.installation.access
    token, _ = access.create_token(_ada(visitor), "t").result()
    assert "token" not in visitor.page("/sign-in").replace("csrf_token", "")
    for fields in ({"method": "token", "token": token}, {"email": EMAIL, "password": token}):
        visitor.send("/sign-in", fields, seen="/sign-in", status=401)
        assert not signed_in(visitor)
    for path in ("/account/tokens", "/account/password"):
        answer = visitor.client.post(path, data={"name": "t"}, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403


def test_a_link_is_used_up_by_its_button_only(visitor: Visitor) -> None:
    link = f"/sign-in/link/{visitor.installation.access.first_run() or _link(visitor)}"
    for _ in range(3):
        assert "This link signs you in on this device." in visitor.page(link)
    assert visitor.client.head(link).status_code in (200, 405)
    assert visitor.send(link, {}, seen=link) == "/"
    assert signed_in(visitor)
    visitor.comes_with(None)
    assert "has been used or has expired" in visitor.send(link, {}, seen=link, status=401)


def test_the_first_start_is_explained_until_somebody_has_signed_in(installation: Installation) -> None:
    with visiting(installation) as browser:
        assert "First time here?" in browser.page("/sign-in")
        link = installation.access.first_run()
        browser.send(f"/sign-in/link/{link}", {}, seen=f"/sign-in/link/{link}")
        browser.comes_with(None)
        assert "First time here?" not in browser.page("/sign-in")


def test_a_link_of_any_shape_is_a_page(visitor: Visitor) -> None:
    for name in ("x", quote("<script>"), "a" * 500):
        assert "<script>" not in visitor.page(f"/sign-in/link/{name}").partition("<body")[2]


# Out


def test_signing_out_ends_the_cookie(visitor: Visitor) -> None:
    visitor.sign_in(_ada(visitor))
    cookie = visitor.client.cookies[deps.SIGN_IN]
    assert visitor.send("/sign-out", {}, seen="/") == "/sign-in"
    assert deps.SIGN_IN not in visitor.client.cookies
    visitor.comes_with(cookie)
    assert not signed_in(visitor)


def test_who_has_no_password_is_told_how_to_come_back(visitor: Visitor) -> None:
    assert "<code>sitting account link</code>" in visitor.page("/sign-in")
    ada = _ada(visitor)
    visitor.sign_in(ada)
    assert f"<code>sitting account link {ada}</code>" in visitor.page("/sign-out")
    visitor.installation.access.set_password(ada, PASSWORD).result()
    visitor.sign_in(ada)
    assert "no password" not in visitor.page("/sign-out")


def test_signing_out_needs_the_token_of_our_page(visitor: Visitor) -> None:
    visitor.sign_in(_ada(visitor))
    assert visitor.client.post("/sign-out", headers=PAGE).status_code == 403
    assert signed_in(visitor)


def test_signing_out_twice_is_no_error(visitor: Visitor) -> None:
    response = visitor.client.post("/sign-out", headers=PAGE)
    assert (response.status_code, response.headers["location"]) == (303, "/sign-in")


def test_signing_out_everywhere_ends_the_others_too(visitor: Visitor) -> None:
    visitor.sign_in(_ada(visitor))
    other = visitor.client.cookies[deps.SIGN_IN]
    visitor.comes_with(None)
    visitor.sign_in(_ada(visitor))
    assert visitor.send("/sign-out-everywhere", {}, seen="/account") == "/sign-in"
    visitor.comes_with(other)
    assert not signed_in(visitor)


# The account


def test_the_account_page_says_the_id_that_others_are_asked_for(visitor: Visitor) -> None:
    visitor.sign_in(_ada(visitor))
    assert f'value="{_ada(visitor)}" readonly' in visitor.page("/account")


def test_a_token_is_made_shown_once_and_revoked(visitor: Visitor) -> None:
    visitor.sign_in(_ada(visitor))
    fields = {"name": "laptop", "scope": "*", "expires_in_days": "30"}
    page = visitor.send("/account/tokens", fields, seen="/account", status=200)
    found = re.search(r"sit_[a-z2-7]{32}", page)
    assert found is not None
    assert visitor.installation.access.by_token(found[0]).result().id == _ada(visitor)
    account = visitor.page("/account")
    assert "laptop" in account and found[0] not in account
    revoke = re.search(r'action="(/account/tokens/[a-z2-7]+/revoke)"', account)
    assert revoke is not None
    assert visitor.send(revoke[1], {}, seen="/account") == "/account"
    assert (
        visitor.client.get("/v1/sessions?kind=toy", headers={"Authorization": f"Bearer {found[0]}"}).status_code == 401
    )
    visitor.send(revoke[1], {}, seen="/account", status=404)


@pytest.mark.parametrize(
    "fields, sentence",
    [
        ({"name": ""}, "A name has 1 to 100 characters"),
        ({"name": "x", "scope": "root"}, "Choose what the token may do."),
        ({"name": "x", "expires_in_days": "10000"}, "Choose one of these times."),
    ],
)
def test_a_wrong_token_form_comes_back(visitor: Visitor, fields: dict[str, str], sentence: str) -> None:
    visitor.sign_in(_ada(visitor))
    page = visitor.send("/account/tokens", fields, seen="/account", status=422)
    assert sentence in html.unescape(page)
    assert visitor.installation.access.tokens(_ada(visitor)).result() == ()


def test_nobody_revokes_a_token_of_somebody_else(visitor: Visitor) -> None:
    _, id = visitor.installation.access.create_token(_ada(visitor), "ada's").result()
    visitor.sign_in(visitor.account("Mallory"))
    visitor.send(f"/account/tokens/{id}/revoke", {}, seen="/account", status=404)


def test_a_token_makes_no_tokens(visitor: Visitor) -> None:
    token, _ = visitor.installation.access.create_token(_ada(visitor), "t").result()
    headers = {"Authorization": f"Bearer {token}"}
    assert visitor.client.get("/account", headers=headers).status_code == 403
    assert visitor.client.post("/account/tokens", data={"name": "more"}, headers=headers).status_code == 403


def test_a_new_password_ends_every_other_sign_in(visitor: Visitor, password: str) -> None:
    sign_in(visitor)
    other = visitor.client.cookies[deps.SIGN_IN]
    visitor.comes_with(None)
    sign_in(visitor)
    fields = {"current": PASSWORD, "new": "another good password"}
    assert visitor.send("/account/password", fields, seen="/account") == "/account?changed=1"
    assert "The password was changed." in visitor.page("/account?changed=1")
    visitor.comes_with(other)
    assert not signed_in(visitor)
    visitor.comes_with(None)
    sign_in(visitor, password="another good password")


@pytest.mark.parametrize(
    "current, new, sentence",
    [("wrong", "another good password", "not your present password"), (PASSWORD, "short", "10 to 256 characters")],
)
def test_a_refused_password_says_why(visitor: Visitor, password: str, current: str, new: str, sentence: str) -> None:
    sign_in(visitor)
    page = visitor.send("/account/password", {"current": current, "new": new}, seen="/account", status=422)
    assert sentence in page


def test_an_account_without_an_address_has_no_password_form(visitor: Visitor) -> None:
    visitor.sign_in(visitor.account("Grace"))
    assert "/account/password" not in visitor.page("/account")


def _ada(visitor: Visitor) -> str:
    return visitor.installation.access.find_account(EMAIL).result()


def _link(visitor: Visitor) -> str:
    return visitor.installation.access.make_link(_ada(visitor)).result()
