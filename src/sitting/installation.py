"""Builds everything from Settings, in one place, in order. It alone loads applications, by their dotted names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from . import errors, hints, secret
from .access import Access
from .applications import names as found_names
from .clock import APART_SECONDS, Clock, SystemClock
from .config import Settings
from .core.kind import Kind
from .engine import Engine
from .live import Live
from .model import Models
from .store import Store, dialect, migrate, sessions
from .worker import Worker


@dataclass(frozen=True)
class App:
    """An application: its kinds, and by dotted name the parts that only some processes load.

    `routes` names a module with `router` (a FastAPI router), `templates` a folder beside that module, `demo` a
    function that plays the application. `home` is where its pages start, `create` where its form is, and `pages` where
    a session of a kind has its own page: kind -> an address with `{id}` in it. Kinds without one have the generic page.
    `join` is where somebody comes in who has a code and no account.
    """

    name: str
    title: str
    description: str
    kinds: tuple[Kind, ...]
    routes: str = ""
    templates: str = ""
    home: str = ""
    create: str = ""
    join: str = ""
    demo: str = ""
    pages: Mapping[str, str] = field(default_factory=dict)


def applications(names: Sequence[str] = ()) -> tuple[App, ...]:
    """The built-in applications, those of installed packages (entry point group `sitting.apps`), and `names`.

    Raises:
        Misuse: one cannot be found, is no App, or two use one name.
    """
    found: dict[str, App] = {}
    for name in (*found_names(), *names):
        module, _, attribute = name.partition(":")
        try:
            app = getattr(import_module(module), attribute or "APP")
        except (ImportError, AttributeError) as error:
            raise errors.Misuse(f"Cannot load the application {name}: {error}. Can Python find its module?") from error
        if not isinstance(app, App):
            raise errors.Misuse(f"{name} is not an App.")
        if app.name in found and found[app.name] is not app:
            raise errors.Misuse(f"Two applications are called '{app.name}'.")
        found[app.name] = app
    return tuple(found.values())


def _kinds(apps: Sequence[App]) -> dict[str, Kind]:
    found: dict[str, Kind] = {}
    for kind in (kind for app in apps for kind in app.kinds):
        if found.setdefault(kind.name, kind) is not kind:
            raise errors.Misuse(f"Two kinds are called '{kind.name}'.")
    return found


class Installation:
    """One Sitting: store, engine, live, access, models and worker, built from its settings.

    `clock`, `models`, `apps` and `store` replace what the settings would give.

    Raises:
        Misuse: a setting, the secret, the database or this machine's clock is wrong.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        models: Any = None,
        apps: Sequence[App] | None = None,
        store: Store | None = None,
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.apps = tuple(apps) if apps is not None else applications(settings.applications)
        self.kinds = _kinds(self.apps)
        self.secret = secret.load(settings)
        self.store = store or Store(settings.database_url)
        try:
            migrate.upgrade(self.store)
            self.epoch = migrate.epoch(self.store)
            if clock is None:
                self._check_clock()
        except BaseException:
            self.store.close()
            raise
        self.models = models if models is not None else Models(settings)
        self.access = Access(self.store, clock=self.clock, secret=self.secret.derive)
        self.hints = hints.connect(settings)
        self.live = Live(
            lambda ids: self.store.read(lambda tx: sessions.heads(tx, ids)), self.access.epoch, hints=self.hints
        )
        self.access.on_taken = self.live.access_taken
        self.engine = Engine(
            self.store, self.kinds, clock=self.clock, wakes=self.live, epoch=self.epoch, installed=self._installed()
        )
        # Until a worker starts here, whoever works is elsewhere.
        self.engine.on_work(lambda: self.hints.publish(hints.WORK))
        self.engine.on_cancel(lambda job: self.hints.publish(hints.CANCEL + job))

    @cached_property
    def worker(self) -> Worker:
        """The worker of this process; started by who serves or works."""
        return Worker(self.engine, models=self.models, hints=self.hints, threads=self.settings.jobs)

    @cached_property
    def signing_key(self) -> Ed25519PrivateKey:
        """What bundles and exports are signed with."""
        return Ed25519PrivateKey.from_private_bytes(self.secret.derive("bundles"))

    def app_of(self, kind: str) -> App | None:
        """The application a kind belongs to."""
        return next((app for app in self.apps if any(known.name == kind for known in app.kinds)), None)

    def close(self) -> None:
        """End what runs here, models and threads included."""
        if "worker" in self.__dict__:
            self.worker.stop()
        self.engine.close()
        self.hints.close()
        self.access.close()
        self.models.close()
        self.store.close()

    def __enter__(self) -> Installation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_clock(self) -> None:
        """Leases and deadlines compare what several machines' clocks say, so each must agree with the database's."""
        ahead = self.store.read(lambda tx: dialect.ahead(tx, self.clock.now)).result().total_seconds()
        if abs(ahead) > APART_SECONDS:
            raise errors.Misuse(
                f"This machine's clock is {abs(ahead):.1f} s {'ahead of' if ahead > 0 else 'behind'} the database's; "
                f"{APART_SECONDS:g} s are allowed. Let both follow NTP (`timedatectl set-ntp true`), then start again."
            )

    def _installed(self) -> dict[str, Any]:
        """What kinds' facts may know of this installation."""
        return {"settings": self.settings, "models": self.models, "link_key": self.secret.derive("links")}
