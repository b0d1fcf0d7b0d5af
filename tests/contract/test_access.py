"""Who may come in, how long, and how at once it ends. On both stores."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from argon2 import PasswordHasher
from sqlalchemy import select, text

from sitting import access as module
from sitting import errors
from sitting.access import DEFAULT_SPACE, LOCAL, Access
from sitting.store import Store
from sitting.store.schema import accounts, metadata
from tests.support.clock import ManualClock

CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
EMAIL, RIGHT, WRONG = "ada@example.com", "correct horse battery", "incorrect horse"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def access(store: Store, clock: ManualClock) -> Iterator[Access]:
    made = Access(store, clock=clock, secret=lambda label: label.encode() * 8, hasher=CHEAP)
    yield made
    made.close()


@pytest.fixture
def ada(access: Access) -> str:
    return access.create_account("Ada", email=EMAIL, password=RIGHT).result()


# An address


def test_an_address_that_is_too_long_is_none(access: Access, ada: str) -> None:
    domain = "@example.com"
    for wrong in ("a" * (255 - len(domain)) + domain, "a" + "\u0315\u0316" * 30_000 + domain):
        before = time.process_time()
        with pytest.raises(errors.Invalid):
            access.create_account("Bob", email=wrong).result()
        with pytest.raises(errors.NotAuthenticated):
            access.sign_in(wrong, RIGHT).result()
        assert time.process_time() - before < 1, "it was normalised first"
    assert access.sign_in(f"  {EMAIL}{' ' * 1000}", RIGHT).result()


# The person at the machine


def test_the_local_actor_is_admin_of_the_default_space(access: Access) -> None:
    actor = access.local()
    assert (actor.id, actor.space, set(actor.roles)) == (LOCAL, DEFAULT_SPACE, {"admin", "member"})
    assert access.local() is actor


def test_the_first_run_gives_a_link_until_somebody_has_signed_in(access: Access) -> None:
    first, second = access.first_run(), access.first_run()
    assert first and second and first != second
    assert access.is_new().result() is True
    cookie = access.use_link(first).result()
    assert access.by_cookie(cookie).result().actor == access.local()
    access.sign_out(cookie).result()
    assert access.first_run() is None
    assert access.is_new().result() is False


def test_no_first_run_link_once_an_account_has_a_password(access: Access, ada: str) -> None:
    assert access.first_run() is None


def test_many_nodes_that_start_at_once_make_one_local_account(store: Store, access: Access) -> None:
    nodes = [
        Access(store, clock=ManualClock(), secret=lambda label: label.encode() * 8, hasher=CHEAP) for _ in range(4)
    ]
    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(lambda node: node.local().id, nodes)) == {LOCAL}
    for node in nodes:
        node.close()


# API tokens


def test_a_token_stands_for_its_account_in_its_space(access: Access, ada: str) -> None:
    secret, id = access.create_token(ada, "laptop").result()
    actor = access.by_token(secret).result()
    assert (actor.id, actor.space, set(actor.roles), actor.may_write) == (ada, DEFAULT_SPACE, {"member"}, True)
    assert len(secret) == 36 and secret.startswith("sit_")
    assert [token.id for token in access.tokens(ada).result()] == [id]


def test_a_reading_token_may_not_write(access: Access, ada: str) -> None:
    secret, _ = access.create_token(ada, "dashboard", scopes=("read",)).result()
    assert not access.by_token(secret).result().may_write


@pytest.mark.parametrize("token", ["", "sit_", "sit_" + "a" * 32, "' OR '1'='1", "\ud800", "x" * 100_000])
def test_an_unknown_token_is_nobody_s(access: Access, token: str) -> None:
    refused(access.by_token(token))


def test_a_token_expires_to_the_millisecond(access: Access, ada: str, clock: ManualClock) -> None:
    secret, _ = access.create_token(ada, "short", expires_at=clock.now() + timedelta(seconds=60)).result()
    clock.advance(59.999)
    assert access.by_token(secret).result().id == ada
    clock.advance(0.001)
    refused(access.by_token(secret))
    assert [token.name for token in access.tokens(ada).result()] == ["short"]


def test_a_revoked_token_is_refused_at_once_by_every_node(
    access: Access, ada: str, store: Store, clock: ManualClock
) -> None:
    other = Access(store, clock=clock, secret=lambda label: b"other", hasher=CHEAP)
    secret, id = access.create_token(ada, "laptop").result()
    assert other.by_token(secret).result().id == ada
    refused(access.revoke(id, account=LOCAL), errors.NotFound)
    with moved(access):
        access.revoke(id, account=ada).result()
    refused(other.by_token(secret))
    refused(access.revoke(id, account=None), errors.NotFound)
    other.close()


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("name", {"name": ""}),
        ("name", {"name": "two\nlines"}),
        ("scopes", {"scopes": ()}),
        ("scopes", {"scopes": ("read", "admin")}),
        ("expires_at", {"expires_at": ManualClock().now()}),
    ],
)
def test_a_token_that_makes_no_sense_is_refused(access: Access, ada: str, field: str, wrong: dict[str, Any]) -> None:
    refusal = refused(access.create_token(ada, **{"name": "x", **wrong}), errors.Invalid)
    assert [fault["field"] for fault in refusal.facts["fields"]] == [field]


def test_an_account_has_a_bounded_number_of_tokens(access: Access, ada: str) -> None:
    for number in range(module.MAX_TOKENS):
        access.create_token(ada, f"t{number}").result()
    refused(access.create_token(ada, "one more"), errors.Conflict)


# Passwords


def test_the_right_password_signs_in_whatever_the_case_of_the_address(access: Access, ada: str) -> None:
    signed_in = access.by_cookie(access.sign_in(" Ada@Example.COM ", RIGHT).result()).result()
    assert (signed_in.actor.id, signed_in.name, signed_in.email) == (ada, "Ada", EMAIL)
    assert signed_in.has_password and signed_in.actor.may_write


@pytest.mark.parametrize(
    ("email", "password"), [(EMAIL, WRONG), ("nobody@example.com", RIGHT), ("no address", RIGHT), (LOCAL, ""), ("", "")]
)
def test_whoever_cannot_sign_in_is_told_the_same(access: Access, ada: str, email: str, password: str) -> None:
    assert str(refused(access.sign_in(email, password))) == "The e-mail address or the password is wrong."


def test_guesses_are_limited_by_address_of_mail_before_any_work(access: Access, ada: str, clock: ManualClock) -> None:
    for _ in range(module.ATTEMPTS_BY_EMAIL):
        refused(access.sign_in(EMAIL, WRONG))
    limited = refused(access.sign_in(EMAIL.upper(), RIGHT), errors.RateLimited)
    clock.advance(limited.facts["retry_after"])
    assert access.sign_in(EMAIL, RIGHT).result()


def test_guesses_are_limited_by_where_they_come_from(access: Access, ada: str) -> None:
    for number in range(module.ATTEMPTS_BY_ADDRESS):
        refused(access.sign_in(f"u{number}@example.com", WRONG, address="203.0.113.9"))
    refused(access.sign_in(EMAIL, RIGHT, address="203.0.113.9"), errors.RateLimited)
    assert access.sign_in(EMAIL, RIGHT, address="203.0.113.10").result()


def test_signing_in_often_is_not_limited(access: Access, ada: str) -> None:
    cookies = {
        access.sign_in(EMAIL, RIGHT, address="203.0.113.9").result() for _ in range(module.ATTEMPTS_BY_EMAIL + 5)
    }
    assert len(cookies) == module.ATTEMPTS_BY_EMAIL + 5


def test_a_password_hashed_at_another_cost_is_hashed_anew(store: Store, access: Access, ada: str) -> None:
    dearer = Access(
        store,
        clock=ManualClock(),
        secret=lambda label: b"s",
        hasher=PasswordHasher(time_cost=2, memory_cost=64, parallelism=1),
    )
    assert dearer.sign_in(EMAIL, RIGHT).result()
    stored = store.read(lambda tx: tx.one(select(accounts.c.password).where(accounts.c.id == ada))).result()
    assert stored is not None and ",t=2," in stored[0].replace("$", ",")
    assert access.sign_in(EMAIL, RIGHT).result()
    dearer.close()


def test_a_new_password_ends_every_sign_in_and_unused_link(access: Access, ada: str) -> None:
    cookie, link = access.sign_in(EMAIL, RIGHT).result(), access.make_link(ada).result()
    with moved(access):
        access.set_password(ada, "another good one").result()
    refused(access.by_cookie(cookie))
    refused(access.use_link(link))
    refused(access.sign_in(EMAIL, RIGHT))
    assert access.sign_in(EMAIL, "another good one").result()


def test_people_change_their_own_password_and_stay_signed_in_with_a_new_cookie(access: Access, ada: str) -> None:
    here, there = access.sign_in(EMAIL, RIGHT).result(), access.sign_in(EMAIL, RIGHT).result()
    wrong = refused(access.change_password(here, WRONG, "another good one"), errors.Invalid)
    assert wrong.facts["fields"][0]["field"] == "current"
    short = refused(access.change_password(here, RIGHT, "short"), errors.Invalid)
    assert short.facts["fields"][0]["field"] == "new"
    with moved(access):
        fresh = access.change_password(here, RIGHT, "another good one").result()
    refused(access.by_cookie(here))
    refused(access.by_cookie(there))
    assert access.by_cookie(fresh).result().actor.id == ada
    refused(access.change_password(here, "another good one", RIGHT))


def test_guesses_with_a_stolen_cookie_are_limited(access: Access, ada: str) -> None:
    cookie = access.sign_in(EMAIL, RIGHT).result()
    for _ in range(module.ATTEMPTS_BY_EMAIL):
        refused(access.change_password(cookie, WRONG, "another good one"), errors.Invalid)
    refused(access.change_password(cookie, RIGHT, "another good one"), errors.RateLimited)


class Interrupted(PasswordHasher):
    """A hasher during whose work somebody else does something."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=64, parallelism=1)
        self.meanwhile: Callable[[], object] = lambda: None

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:
        self.meanwhile()
        return super().verify(hash, password)


@pytest.mark.parametrize("what", ["disable", "set_password"])
def test_what_happens_during_the_work_on_a_password_counts(store: Store, access: Access, ada: str, what: str) -> None:
    hasher = Interrupted()
    slow = Access(store, clock=ManualClock(), secret=lambda label: label.encode() * 8, hasher=hasher)
    cookie = slow.sign_in(EMAIL, RIGHT).result()

    def interrupt() -> None:
        (access.disable(ada) if what == "disable" else access.set_password(ada, "another good one")).result()

    hasher.meanwhile = interrupt
    refused(slow.change_password(cookie, RIGHT, "yet another one"))
    hasher.meanwhile = lambda: None
    access.enable(ada).result()
    access.set_password(ada, RIGHT).result()
    hasher.meanwhile = interrupt
    refused(slow.sign_in(EMAIL, RIGHT))
    slow.close()


def test_without_an_address_there_is_no_password(access: Access) -> None:
    refused(access.create_account("Bob", password=RIGHT), errors.Invalid)
    bob = access.create_account("Bob").result()
    refused(access.set_password(bob, RIGHT), errors.Invalid)
    cookie = access.use_link(access.make_link(bob).result()).result()
    assert not access.by_cookie(cookie).result().has_password
    refused(access.change_password(cookie, "", RIGHT), errors.Invalid)


# Cookies and links


def test_signing_in_gives_a_new_cookie_and_ends_the_old(access: Access, ada: str) -> None:
    old = access.sign_in(EMAIL, RIGHT).result()
    with moved(access):
        new = access.sign_in(EMAIL, RIGHT, previous=old).result()
    assert new != old
    refused(access.by_cookie(old))
    again = access.use_link(access.make_link(ada).result(), previous=new).result()
    refused(access.by_cookie(new))
    planted = "planted-by-somebody-else"
    assert access.sign_in(EMAIL, RIGHT, previous=planted).result() != planted
    refused(access.by_cookie(planted))
    assert access.by_cookie(again).result().actor.id == ada


def test_each_cookie_has_a_form_token_of_its_own(access: Access, ada: str) -> None:
    one, two = access.sign_in(EMAIL, RIGHT).result(), access.sign_in(EMAIL, RIGHT).result()
    tokens = [access.by_cookie(cookie).result().csrf for cookie in (one, one, two)]
    assert tokens[0] == tokens[1] != tokens[2]
    assert one not in tokens[0] and len(tokens[0]) == 64


def test_a_sign_in_ends_by_itself(access: Access, ada: str, clock: ManualClock, store: Store) -> None:
    cookie = access.sign_in(EMAIL, RIGHT).result()
    clock.advance(module.SIGN_IN_SECONDS - 0.001)
    assert access.by_cookie(cookie).result().actor.id == ada
    clock.advance(0.001)
    refused(access.by_cookie(cookie))
    access.sign_in(EMAIL, RIGHT).result()
    assert len(rows(store, "sign_ins")) == 1, "expired sign-ins are forgotten"


def test_signing_out_here_and_everywhere(access: Access, ada: str) -> None:
    one, two, three = (access.sign_in(EMAIL, RIGHT).result() for _ in range(3))
    with moved(access):
        access.sign_out(one).result()
    refused(access.by_cookie(one))
    access.sign_out(one).result()
    assert access.by_cookie(two).result().actor.id == ada
    with moved(access):
        access.sign_out_everywhere(ada).result()
    refused(access.by_cookie(two))
    refused(access.by_cookie(three))


def test_a_link_is_used_once_however_many_try(access: Access, ada: str) -> None:
    link = access.make_link(ada).result()
    tries = [access.use_link(link) for _ in range(8)]
    errors_seen = [future.exception() for future in tries]
    assert sum(error is None for error in errors_seen) == 1
    assert {type(error) for error in errors_seen if error} == {errors.NotAuthenticated}


def test_a_link_expires(access: Access, ada: str, clock: ManualClock) -> None:
    link = access.make_link(ada, ttl_seconds=60).result()
    clock.advance(60)
    assert str(refused(access.use_link(link))) == "This link has been used or has expired."
    refused(access.use_link("a" * 32))


def test_who_is_at_home_elsewhere_comes_in_there(access: Access) -> None:
    other = access.create_space("Other", id="other").result()
    eve = access.create_account("Eve", space=other).result()
    cookie = access.use_link(access.make_link(eve).result()).result()
    assert access.by_cookie(cookie).result().actor.space == other
    assert access.by_token(access.create_token(eve, "x").result()[0]).result().space == other
    access.set_roles(eve, (), space=other).result()
    refused(access.make_link(eve), errors.NotFound)


def test_a_link_is_made_only_for_who_may_come_in(access: Access, ada: str) -> None:
    other = access.create_space("Other").result()
    refused(access.make_link(ada, space=other), errors.NotFound)
    refused(access.make_link("user:nobody"), errors.NotFound)
    access.disable(ada).result()
    refused(access.make_link(ada), errors.NotFound)
    refused(access.create_token(ada, "x"), errors.NotFound)


# People


def test_an_account_is_found_by_its_address_and_its_id(access: Access, ada: str) -> None:
    assert ada.startswith("user:") and len(ada) == len("user:") + 26
    assert access.find_account("ADA@example.com").result() == ada == access.find_account(ada).result()
    refused(access.find_account("nobody@example.com"), errors.NotFound)
    assert access.names([ada, "guest:1", "user:nobody"]).result() == {ada: "Ada"}


def test_an_address_belongs_to_one_account(access: Access, ada: str) -> None:
    refused(access.create_account("Ada too", email="ADA@example.com"), errors.Conflict)


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (errors.Invalid, {"email": "not an address"}),
        (errors.Invalid, {"email": EMAIL, "password": "short"}),
        (errors.Invalid, {"name": " "}),
        (errors.Invalid, {"roles": ()}),
        (errors.Invalid, {"roles": ("two words",)}),
        (errors.NotFound, {"space": "nowhere"}),
    ],
)
def test_an_account_that_makes_no_sense_is_refused(
    access: Access, kind: type[errors.Refusal], wrong: dict[str, Any], store: Store
) -> None:
    refused(access.create_account(**{"name": "Ada", **wrong}), kind)
    assert [row[0] for row in rows(store, "accounts")] in ([], [LOCAL])


def test_a_disabled_account_is_out_at_once_and_comes_back_signed_out(access: Access, ada: str) -> None:
    cookie, link = access.sign_in(EMAIL, RIGHT).result(), access.make_link(ada).result()
    secret, _ = access.create_token(ada, "laptop").result()
    with moved(access):
        access.disable(ada).result()
    refused(access.by_cookie(cookie))
    refused(access.by_token(secret))
    refused(access.use_link(link))
    refused(access.sign_in(EMAIL, RIGHT))
    access.enable(ada).result()
    refused(access.by_cookie(cookie))
    assert access.by_token(secret).result().id == ada
    assert access.sign_in(EMAIL, RIGHT).result()


def test_roles_change_at_once_and_none_ends_the_membership(access: Access, ada: str) -> None:
    cookie = access.sign_in(EMAIL, RIGHT).result()
    secret, _ = access.create_token(ada, "laptop").result()
    with moved(access):
        access.set_roles(ada, ("admin", "auditor")).result()
    assert access.by_cookie(cookie).result().actor.roles == {"admin", "auditor"}
    assert access.by_token(secret).result().roles == {"admin", "auditor"}
    access.set_roles(ada, ()).result()
    refused(access.by_cookie(cookie))
    refused(access.by_token(secret))
    refused(access.sign_in(EMAIL, RIGHT))
    refused(access.set_roles(ada, ("member",), space="nowhere"), errors.NotFound)
    refused(access.set_roles("user:nobody", ("member",)), errors.NotFound)


def test_a_proof_is_good_in_its_own_space_only(access: Access, ada: str) -> None:
    other = access.create_space("Other", id="other").result()
    access.set_roles(ada, ("admin",), space=other).result()
    here, _ = access.create_token(ada, "here").result()
    there, _ = access.create_token(ada, "there", space=other).result()
    actors = [access.by_token(secret).result() for secret in (here, there)]
    assert [(actor.space, set(actor.roles)) for actor in actors] == [("default", {"member"}), ("other", {"admin"})]
    assert access.by_cookie(access.sign_in(EMAIL, RIGHT).result()).result().actor.space == "default"
    access.set_roles(ada, (), space=other).result()
    refused(access.by_token(there))
    assert access.by_token(here).result().id == ada


def test_a_space_has_an_id_of_its_own(access: Access) -> None:
    access.create_space("One", id="one").result()
    refused(access.create_space("Two", id="one"), errors.Conflict)
    refused(access.create_space("Two", id="no/way"), errors.Invalid)
    assert access.create_space("Two").result() != access.create_space("Two").result()


def test_what_gives_nothing_away_does_not_move_the_counter(access: Access, ada: str) -> None:
    before = access.epoch().result()
    cookie = access.sign_in(EMAIL, RIGHT).result()
    access.by_cookie(cookie).result()
    access.create_token(ada, "x").result()
    access.sign_out("never given out").result()
    assert access.epoch().result() == before


def test_no_credential_is_in_the_database(access: Access, ada: str, store: Store, tmp_path: Path) -> None:
    token, _ = access.create_token(ada, "laptop").result()
    cookie, link = access.sign_in(EMAIL, RIGHT).result(), access.make_link(ada).result()
    stored = "\n".join(str(row) for name in metadata.tables for row in rows(store, name))
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("sitting.db*"))
    for credential in (token, token.removeprefix("sit_"), cookie, link, RIGHT):
        assert credential not in stored
        assert credential.encode() not in files
    assert EMAIL in stored, "the search finds what is there"


def test_credentials_never_repeat_and_are_long_enough() -> None:
    made: list[Callable[[], str]] = [module._random_token, module._random_name]
    for make, bits in zip(made, (160, 128), strict=True):
        some = {make() for _ in range(10_000)}
        assert len(some) == 10_000
        assert all(len(each) * 5 >= bits and each.isalnum() and each.islower() for each in some)


# Words for the tests above


def refused(future: Future[Any], kind: type[errors.Refusal] = errors.NotAuthenticated) -> errors.Refusal:
    """The refusal of exactly this kind."""
    error = future.exception(timeout=60)
    assert error is not None, "was not refused"
    assert type(error) is kind, error
    return error


@contextmanager
def moved(access: Access) -> Iterator[None]:
    """What is done inside takes a proof away, so the counter that streams watch goes up."""
    before = access.epoch().result()
    yield
    assert access.epoch().result() > before


def rows(store: Store, table: str) -> list[tuple[Any, ...]]:
    with store.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(f"SELECT * FROM {table}"))]
