"""Who may come in: spaces, accounts, passwords, sign-ins, one-time links and API tokens. No HTTP.

* Tokens, cookies and links are 160 bits or more and stored as SHA-256; every request looks its proof up again, so a
  revocation holds at once on every node. Each revocation also moves a counter (`epoch`) in its own transaction, at
  which live streams ask again who they are talking to.
* A password costs the same work whether the e-mail is known or not, and is counted before that work begins.
* Every sign-in mints a new cookie, and ends the one the browser came with.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from email_validator import EmailNotValidError, validate_email

from . import errors
from .clock import Clock
from .core.actor import ADMIN, MEMBER, Actor
from .core.event import to_text
from .passwords import Passwords
from .store import Store, installed, people
from .store.people import Account, Proof, Token
from .store.transaction import Tx

DEFAULT_SPACE = "default"
LOCAL = "user:local"
SCOPES = ("*", "read")
SIGN_IN_SECONDS = 14 * 24 * 3600
LINK_SECONDS = 900
FIRST_LINK_SECONDS = 24 * 3600
MAX_TOKENS, MAX_EMAIL = 100, 254
ATTEMPTS_BY_EMAIL, ATTEMPTS_BY_ADDRESS = 10, 30
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_SPACE = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_LOCAL_ROLES = frozenset({ADMIN, MEMBER})


@dataclass(frozen=True)
class SignedIn:
    """Who a sign-in cookie stands for; `csrf` is what that person's forms must carry."""

    actor: Actor
    name: str
    email: str | None
    csrf: str
    has_password: bool


class Access:
    """The people of one installation. `hasher` sets what a password costs."""

    def __init__(
        self, store: Store, *, clock: Clock, secret: Callable[[str], bytes], hasher: PasswordHasher | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._csrf_key = secret("csrf")
        self._passwords = Passwords(clock, hasher=hasher)
        self._local: Actor | None = None
        self.on_taken: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Finish the passwords at hand. The store must still be open."""
        self._passwords.close()

    def epoch(self) -> Future[int]:
        """A number that goes up with every proof taken away."""
        return self._store.read(lambda tx: installed.number(tx, installed.ACCESS))

    def _taken(self, tx: Tx) -> None:
        """A proof is taken away: whoever has been let in with it is asked again, here and elsewhere."""
        installed.add(tx, installed.ACCESS)
        tx.after_commit(lambda: self.on_taken())

    # The person at the machine

    def local(self) -> Actor:
        """Whoever can read the database: the actor of the command line and of Python."""
        if self._local is None:
            self._store.write(self._ensure).result()
            self._local = Actor(LOCAL, DEFAULT_SPACE, _LOCAL_ROLES)
        return self._local

    def first_run(self) -> str | None:
        """A link that signs the local admin in, while nobody has ever signed in and nobody could with a password."""

        def make(tx: Tx) -> str | None:
            self._ensure(tx)
            return self._add_link(tx, LOCAL, DEFAULT_SPACE, FIRST_LINK_SECONDS) if _is_new(tx) else None

        return self._store.write(make).result()

    def is_new(self) -> Future[bool]:
        """Whether nobody has ever signed in and nobody could with a password."""
        return self._store.read(_is_new)

    def _ensure(self, tx: Tx) -> None:
        now = self._clock.now()
        if not people.has_space(tx, DEFAULT_SPACE):
            people.add_space(tx, DEFAULT_SPACE, "Default", now=now)
        if people.account(tx, LOCAL) is None:
            people.add_account(tx, LOCAL, email=None, name="Local admin", password=None, now=now)
            people.set_roles(tx, DEFAULT_SPACE, LOCAL, _LOCAL_ROLES)

    # Who asks

    def by_token(self, token: str) -> Future[Actor]:
        """The actor an API token stands for. Raises NotAuthenticated."""

        def find(tx: Tx) -> Actor:
            return _actor(_proved(people.by_token(tx, _digest(token), now=self._clock.now())))

        return self._store.read(find)

    def by_cookie(self, cookie: str) -> Future[SignedIn]:
        """Who a sign-in cookie stands for. Raises NotAuthenticated."""

        def find(tx: Tx) -> SignedIn:
            proof = _proved(people.by_sign_in(tx, _digest(cookie), now=self._clock.now()))
            csrf = hmac.new(self._csrf_key, cookie.encode(), hashlib.sha256).hexdigest()
            return SignedIn(_actor(proof), proof.name, proof.email, csrf, proof.has_password)

        return self._store.read(find)

    # Signing in and out

    def sign_in(self, email: str, password: str, *, address: str = "", previous: str | None = None) -> Future[str]:
        """A new cookie for the right password; `previous`, the cookie the browser has, ends.

        Raises: NotAuthenticated, the same for an unknown e-mail and a wrong password; RateLimited.
        """
        known = _email_or_none(email)
        limits = {f"email:{_digest(known or email)}": ATTEMPTS_BY_EMAIL}
        if address:
            limits[f"address:{address}"] = ATTEMPTS_BY_ADDRESS
        return self._passwords.run(lambda: self._sign_in(known, password, previous), limits)

    def make_link(self, account: str, *, space: str = "", ttl_seconds: int = LINK_SECONDS) -> Future[str]:
        """The token of a link that signs a person in, once. Raises NotFound."""

        def make(tx: Tx) -> str:
            return self._add_link(tx, account, self._entered(tx, account, space), ttl_seconds)

        return self._store.write(make)

    def use_link(self, token: str, *, previous: str | None = None) -> Future[str]:
        """A new cookie for a link, which is used up. Only for a POST: what merely looks at links must not use them up.

        Raises: NotAuthenticated.
        """

        def use(tx: Tx) -> str:
            proof = people.by_link(tx, _digest(token), now=self._clock.now())
            account = people.account(tx, proof.account) if proof else None
            if proof is None or account is None or account.disabled or not people.drop_link(tx, _digest(token)):
                raise errors.NotAuthenticated("This link has been used or has expired.")
            return self._open(tx, account.id, proof.space, previous)

        return self._store.write(use)

    def sign_out(self, cookie: str) -> Future[None]:
        """End one sign-in; no error when it has ended."""
        return self._store.write(lambda tx: self._end(tx, cookie))

    def sign_out_everywhere(self, account: str) -> Future[None]:
        """End every sign-in of an account, and links not used yet. API tokens stay."""

        def end(tx: Tx) -> None:
            self._account(tx, account)
            people.drop_sign_ins(tx, account)
            self._taken(tx)

        return self._store.write(end)

    def change_password(self, cookie: str, current: str, new: str) -> Future[str]:
        """The signed-in person's own new password: ends every sign-in, this one too, and gives a new cookie.

        Raises: NotAuthenticated, Invalid, RateLimited.
        """
        return self._passwords.run(
            lambda: self._change_password(cookie, current, new), {f"cookie:{_digest(cookie)}": ATTEMPTS_BY_EMAIL}
        )

    # People

    def create_space(self, name: str, *, id: str | None = None) -> Future[str]:
        """A new space; its id. Raises Conflict, Invalid."""

        def create(tx: Tx) -> str:
            made = id if id is not None else _random_name()
            if not _SPACE.fullmatch(made):
                raise errors.Invalid.field("id", "Lower-case letters, digits, - and _ only, 64 at most.")
            if people.has_space(tx, made):
                raise errors.Conflict("A space with this id exists already.")
            people.add_space(tx, made, _name(name), now=self._clock.now())
            return made

        return self._store.write(create)

    def create_account(
        self,
        name: str,
        *,
        email: str | None = None,
        password: str | None = None,
        roles: Iterable[str] = (MEMBER,),
        space: str = DEFAULT_SPACE,
    ) -> Future[str]:
        """A new account with its first membership; the actor's id. Raises Conflict, Invalid, NotFound."""
        wanted = tuple(roles)

        def create() -> str:
            checked = _name(name), _email(email), _roles(wanted)
            if password is not None and email is None:
                raise errors.Invalid.field("email", "A password needs an e-mail address to sign in with.")
            hashed = None if password is None else self._passwords.hash(password)
            return self._store.write(lambda tx: self._create_account(tx, *checked, hashed, space)).result()

        return self._passwords.run(create)

    def find_account(self, email_or_id: str) -> Future[str]:
        """The id of an account. Raises NotFound."""

        def find(tx: Tx) -> str:
            email = _email_or_none(email_or_id)
            found = people.account_by_email(tx, email) if email else people.account(tx, email_or_id)
            if found is None:
                raise errors.NotFound("Account not found")
            return found.id

        return self._store.read(find)

    def names(self, accounts: Collection[str]) -> Future[Mapping[str, str]]:
        """What the people among some actors are called, by id."""
        return self._store.read(lambda tx: people.names(tx, accounts))

    def set_password(self, account: str, password: str) -> Future[None]:
        """A new password, set by who runs the place; ends the account's sign-ins. Raises NotFound, Invalid."""

        def change() -> None:
            hashed = self._passwords.hash(password)
            self._store.write(lambda tx: self._store_password(tx, self._account(tx, account), hashed)).result()

        return self._passwords.run(change)

    def set_roles(self, account: str, roles: Iterable[str], *, space: str = DEFAULT_SPACE) -> Future[None]:
        """What an account may be in a space; no role at all ends the membership. Raises NotFound, Invalid."""
        wanted = tuple(roles)

        def change(tx: Tx) -> None:
            self._account(tx, account)
            if not people.has_space(tx, space):
                raise errors.NotFound("Space not found")
            people.set_roles(tx, space, account, _roles(wanted) if wanted else ())
            self._taken(tx)

        return self._store.write(change)

    def disable(self, account: str) -> Future[None]:
        """Let an account in no more: sign-ins and links end, tokens are refused. Raises NotFound."""

        def change(tx: Tx) -> None:
            self._account(tx, account)
            people.set_disabled(tx, account, self._clock.now())
            people.drop_sign_ins(tx, account)
            self._taken(tx)

        return self._store.write(change)

    def enable(self, account: str) -> Future[None]:
        """Let an account in again; its tokens are good again. Raises NotFound."""
        return self._store.write(lambda tx: people.set_disabled(tx, self._account(tx, account).id, None))

    # API tokens

    def create_token(
        self,
        account: str,
        name: str,
        *,
        space: str = "",
        scopes: Iterable[str] = ("*",),
        expires_at: datetime | None = None,
    ) -> Future[tuple[str, str]]:
        """An API token: its secret, never to be seen again, and the id to revoke it by.

        Raises: Conflict, Invalid, NotFound.
        """
        wanted = frozenset(scopes)

        def create(tx: Tx) -> tuple[str, str]:
            now = self._clock.now()
            where = self._entered(tx, account, space)
            if not wanted or not wanted <= frozenset(SCOPES):
                raise errors.Invalid.field("scopes", f"One of: {', '.join(SCOPES)}.")
            if expires_at is not None and expires_at <= now:
                raise errors.Invalid.field("expires_at", "Must lie in the future.")
            if people.count_tokens(tx, account) >= MAX_TOKENS:
                raise errors.Conflict(f"An account has {MAX_TOKENS} tokens at most. Revoke one first.")
            secret, id = f"sit_{_random_token()}", _random_name()
            people.add_token(
                tx,
                _digest(secret),
                id=id,
                account=account,
                space=where,
                name=_name(name),
                scopes=wanted,
                now=now,
                expires_at=expires_at,
            )
            return secret, id

        return self._store.write(create)

    def tokens(self, account: str) -> Future[tuple[Token, ...]]:
        """An account's tokens, oldest first, expired ones too."""
        return self._store.read(lambda tx: tuple(people.tokens_of(tx, account)))

    def revoke(self, id: str, *, account: str | None) -> Future[None]:
        """End a token of `account`; with None, anybody's. Raises NotFound."""

        def end(tx: Tx) -> None:
            if not people.drop_token(tx, id, account=account):
                raise errors.NotFound("Token not found")
            self._taken(tx)

        return self._store.write(end)

    # Inside

    def _sign_in(self, email: str | None, password: str, previous: str | None) -> str:
        account = self._store.read(lambda tx: people.account_by_email(tx, email)).result() if email else None
        known = account.password if account and not account.disabled else None
        right = self._passwords.match(known, password)
        wrong = errors.NotAuthenticated("The e-mail address or the password is wrong.")
        if account is None or known is None or not right:
            raise wrong
        fresh = self._passwords.renewed(known, password)

        def enter(tx: Tx) -> str:
            now = people.account(tx, account.id)
            space = people.home(tx, account.id)
            if now is None or now.disabled or now.password != known or space is None:
                raise wrong
            if fresh is not None:
                people.set_password(tx, account.id, fresh)
            return self._open(tx, account.id, space, previous)

        return self._store.write(enter).result()

    def _change_password(self, cookie: str, current: str, new: str) -> str:
        def present(tx: Tx) -> tuple[Proof, Account]:
            proof = _proved(people.by_sign_in(tx, _digest(cookie), now=self._clock.now()))
            return proof, self._account(tx, proof.account)

        proof, account = self._store.read(present).result()
        if account.password is not None and not self._passwords.match(account.password, current):
            raise errors.Invalid.field("current", "This is not your present password.")
        hashed = self._passwords.hash(new, field="new")

        def change(tx: Tx) -> str:
            now = self._account(tx, account.id)
            if now.disabled or now.password != account.password:
                raise errors.NotAuthenticated()
            self._store_password(tx, now, hashed)
            return self._open(tx, account.id, proof.space, None)

        return self._store.write(change).result()

    def _create_account(
        self, tx: Tx, name: str, email: str | None, roles: tuple[str, ...], password: str | None, space: str
    ) -> str:
        self._ensure(tx)
        if not people.has_space(tx, space):
            raise errors.NotFound("Space not found")
        if email is not None and people.account_by_email(tx, email) is not None:
            raise errors.Conflict("An account with this e-mail address exists already.")
        id = f"user:{_random_name()}"
        people.add_account(tx, id, email=email, name=name, password=password, now=self._clock.now())
        people.set_roles(tx, space, id, roles)
        return id

    def _store_password(self, tx: Tx, account: Account, hashed: str) -> None:
        if account.email is None:
            raise errors.Invalid.field("email", "A password needs an e-mail address to sign in with.")
        people.set_password(tx, account.id, hashed)
        people.drop_sign_ins(tx, account.id)
        self._taken(tx)

    def _open(self, tx: Tx, account: str, space: str, previous: str | None) -> str:
        """A new sign-in, in the place of the one the browser came with."""
        now = self._clock.now()
        people.drop_expired(tx, now=now)
        if previous:
            self._end(tx, previous)
        cookie = secrets.token_urlsafe(32)
        until = now + timedelta(seconds=SIGN_IN_SECONDS)
        people.add_sign_in(tx, _digest(cookie), account=account, space=space, now=now, expires_at=until)
        if installed.value(tx, installed.SIGNED_IN_AT) is None:
            installed.note(tx, installed.SIGNED_IN_AT, to_text(now))
        return cookie

    def _end(self, tx: Tx, cookie: str) -> None:
        if people.drop_sign_in(tx, _digest(cookie)):
            self._taken(tx)

    def _add_link(self, tx: Tx, account: str, space: str, seconds: int) -> str:
        now = self._clock.now()
        people.drop_expired(tx, now=now)
        token = _random_token()
        people.add_link(tx, _digest(token), account=account, space=space, expires_at=now + timedelta(seconds=seconds))
        return token

    def _account(self, tx: Tx, id: str) -> Account:
        found = people.account(tx, id)
        if found is None:
            raise errors.NotFound("Account not found")
        return found

    def _entered(self, tx: Tx, account: str, space: str) -> str:
        """The space a proof is for: the one named, else the default one, else the account's own. Raises NotFound."""
        spaces = (space,) if space else (DEFAULT_SPACE, people.home(tx, account) or "")
        found = next((each for each in spaces if people.is_member(tx, each, account)), None)
        if found is None or self._account(tx, account).disabled:
            raise errors.NotFound("Account not found")
        return found


def _is_new(tx: Tx) -> bool:
    return installed.value(tx, installed.SIGNED_IN_AT) is None and not people.any_password(tx)


def _proved(proof: Proof | None) -> Proof:
    if proof is None:
        raise errors.NotAuthenticated()
    return proof


def _actor(proof: Proof) -> Actor:
    return Actor(proof.account, proof.space, proof.roles, scopes=proof.scopes, until=proof.until)


def _digest(credential: str) -> str:
    return hashlib.sha256(credential.encode("utf-8", "surrogatepass")).hexdigest()


def _random_token() -> str:
    return base64.b32encode(secrets.token_bytes(20)).decode().lower()


def _random_name() -> str:
    return base64.b32encode(secrets.token_bytes(16)).decode().lower().rstrip("=")


def _name(name: str) -> str:
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise errors.Invalid.field("name", "A name has 1 to 100 characters, on one line.")
    return name


def _roles(roles: tuple[str, ...]) -> tuple[str, ...]:
    if not roles or not all(_ROLE.fullmatch(role) for role in roles):
        raise errors.Invalid.field("roles", "One role or more: lower-case letters, digits, - and _.")
    return roles


def _email(email: str | None) -> str | None:
    if email is None:
        return None
    known = _email_or_none(email)
    if known is None:
        raise errors.Invalid.field("email", "This is not an e-mail address.")
    return known


def _email_or_none(email: str) -> str | None:
    """The spelling an address is stored and looked up in; hosts of a local network are addresses too."""
    email = email.strip()
    if len(email) > MAX_EMAIL:  # before it is normalised, which takes time by the square of the length
        return None
    try:
        return validate_email(email, check_deliverability=False, globally_deliverable=False).normalized.casefold()
    except EmailNotValidError:
        return None
