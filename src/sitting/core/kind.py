"""An application's definition as one plain value, and what its pure functions are given and give back.

A kind is no class to inherit from and registers nowhere: an `App` names its kinds, and the installation is told the
apps. `decide` and `fold` are pure: everything they may know stands in `Ask`, in the session and in the event.
"""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict

from .. import errors
from .actor import SYSTEM, Actor
from .event import Event, Fact
from .lifecycle import CREATE, ERASE, GONE, Lifecycle
from .session import Session


class Command(BaseModel):
    """A validated wish. A subclass names its verb and its fields; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    verb: ClassVar[str]


class Erase(Command):
    """Empty the session. Among a kind's commands it stands only where the kind has something to tell of it."""

    verb: ClassVar[str] = ERASE


@dataclass(frozen=True)
class Ask:
    """All that `decide` may know. `random` is 32 fresh bytes; `known` comes from the kind's facts, not from outside."""

    session: Session
    command: Command
    actor: Actor
    role: str
    now: datetime
    random: bytes
    known: Mapping[str, Any] = field(default_factory=dict)

    def uuid(self, purpose: str = "") -> str:
        """A UUID v4 made from this ask's random bytes: the same for the same purpose, so a repeat decides the same."""
        return str(uuid.UUID(bytes=hashlib.sha256(self.random + purpose.encode()).digest()[:16], version=4))


@dataclass(frozen=True)
class JobRequest:
    """Work to be done outside the transaction. One job per session and `key` is active at a time.

    `on_takeover` says what happens when a worker dies: `resume` (after the steps in the journal) or `interrupt`. A
    failure is tried again `retries` times. A worker's death counts as one, but five more of those are borne.
    `audiences` name who may read the text the job writes, by the part of an audience before its colon.
    """

    purpose: str
    key: str
    id: str
    input: Mapping[str, Any] = field(default_factory=dict)
    on_takeover: str = "resume"
    audiences: tuple[str, ...] = ()
    retries: int = 0

    def __post_init__(self) -> None:
        if self.on_takeover not in ("resume", "interrupt"):
            raise errors.Misuse(f"A job's `on_takeover` is 'resume' or 'interrupt', not '{self.on_takeover}'.")


@dataclass(frozen=True)
class Charge:
    """Add `amount` to a counter of the installation unless it would pass `limit`; then `refusal` is raised.

    A counter of some time says with `until` when that is over: it is forgotten then.
    """

    account: str
    amount: int
    limit: int
    refusal: errors.Refusal = field(default_factory=errors.RateLimited)
    until: datetime | None = None

    @classmethod
    def within(
        cls,
        name: str,
        limit: int,
        *,
        now: datetime,
        seconds: int = 60,
        refuse: Callable[[int], errors.Refusal] = lambda left: errors.RateLimited(retry_after=left),
    ) -> Charge:
        """One of at most `limit` in a minute of the clock's, or so many seconds; `refuse` is told how many are left."""
        at = int(now.timestamp())
        left = seconds - at % seconds
        until = datetime.fromtimestamp(at + left, UTC)
        return cls(f"{name}:{seconds}:{at // seconds}", 1, limit, refuse(left), until)


@dataclass(frozen=True)
class Grant:
    """A role in this session for an actor id or a credential (`link:<sha256>`); role None takes it away."""

    grantee: str
    role: str | None
    expires_at: datetime | None = None


@dataclass(frozen=True)
class Decision:
    """What follows from a command.

    `cancel` names jobs by their keys. `erase` names the owners whose personal content goes, from this session's whole
    journal and from the inputs and texts of jobs that run: cancel those that cannot do without. `id` is read when a
    session is opened; `key` and `subject` also later, where None leaves what is, and an empty subject takes it away.
    """

    events: tuple[Fact, ...] = ()
    jobs: tuple[JobRequest, ...] = ()
    cancel: tuple[str, ...] = ()
    charges: tuple[Charge, ...] = ()
    grants: tuple[Grant, ...] = ()
    erase: tuple[str, ...] = ()
    id: str | None = None
    key: str | None = None
    subject: str | None = None


@dataclass(frozen=True)
class Due:
    """What the clock will ask for, and when."""

    command: Command
    at: datetime


@dataclass(frozen=True)
class Final:
    """How a turn ended (`completed`, `cancelled`, `failed` or `interrupted`) and its whole text, as its event tells."""

    turn: str
    status: str
    text: str


@dataclass(frozen=True)
class Outside:
    """What `around` knows: who asks, in what role, and the session; of one that is not made yet only its new id."""

    session: Session
    actor: Actor
    role: str
    installed: Mapping[str, Any]


class Reader(Protocol):
    """What `facts` may read, inside the transaction of the command."""

    session: Session
    actor: Actor
    now: datetime
    installed: Mapping[str, Any]

    def other(self, id: str) -> Session | None:
        """Another session of the same space, or None."""

    def find(self, kind: str, key: str) -> Session | None:
        """The session of a kind that holds a key in this space, or None."""

    def journal(self, types: Collection[str] = (), *, before: int | None = None) -> Iterator[Event]:
        """This session's events, newest first, of some types or of all, below a position."""

    def text(self, job: str) -> str:
        """What a running job has written so far."""

    def job(self, id: str) -> Mapping[str, Any] | None:
        """An active job of this session: `{id, purpose, key, state}`, or None."""

    def mine(self, kind: str, *, state: str = "", limit: int = 20) -> Sequence[Session]:
        """The newest sessions of a kind, in a state or in any, in which the actor has a grant."""

    def counted(self, account: str) -> int:
        """What a counter that is charged stands at."""

    def has_member(self, account: str) -> bool:
        """Whether an account belongs to the session's space."""


class Workroom(Protocol):
    """What a running job has. Nothing here is inside a transaction."""

    session: Session
    job: str
    input: Mapping[str, Any]
    attempt: int
    models: Any

    @property
    def cancelled(self) -> bool:
        """True once the job was cancelled, its lease is lost, or the server is stopping."""

    def wait(self, seconds: float) -> bool:
        """Wait, or less when the job is cancelled; whether it is."""

    def report(self, command: Command, *, last: bool = False) -> Session:
        """Tell the engine, like anybody else; `last` ends the job in the same transaction. Raises LeaseLost."""

    def write(self, text: str) -> None:
        """Text for people to watch."""

    def written(self) -> str:
        """The text so far, that of an earlier attempt included."""

    def events(self, types: Collection[str] = ()) -> Sequence[Event]:
        """The journal of this session, oldest first."""

    def read(self, kind: str, id: str) -> Session | None:
        """Another session of the same space."""

    def find(self, kind: str, key: str) -> Session | None:
        """The session of a kind that holds a key in this space, or None."""

    def about(self, kind: str) -> Sequence[str]:
        """The ids of the sessions of a kind whose subject is this session, oldest first."""

    def open(self, kind: str, command: Command) -> Session:
        """Make a session in the same space. A job that is taken over may ask twice: a key keeps it to one session.

        Raises NotAllowed (the kind lets no system create), KeyTaken, and what the kind refuses with.
        """

    def tell(self, session: str, command: Command) -> Session:
        """Carry a command out in a session that is about this one. Raises NotFound, and what its kind refuses with."""


def never(_: Session) -> Due | None:
    """A kind without deadlines."""
    return None


def when_final(lifecycle: Lifecycle) -> Callable[[Session, str], bool]:
    """A kind whose streams end when its state is final."""
    return lambda session, _audience: session.state in lifecycle.final


def no_meters(_session: Session, _audience: str, _now: datetime) -> Sequence[Mapping[str, Any]]:
    """A kind without limits worth a meter."""
    return ()


@dataclass(frozen=True)
class Kind:
    """An application's definition as one value.

    `facts` of a verb read what `decide` must know beyond its session, in the transaction of the command. What takes
    long or writes files stands `around` it instead, outside any transaction: entered once state and role allow the
    command, and not for the repeat of an answered one; what it yields joins `Ask.known`; when the command is refused
    after all, the refusal is raised inside it, so that it can undo what it did.

    `standing` says which role somebody has by a role in the space (`{"admin": "interviewer"}`), when no grant says
    more; `inherits` takes the roles of the session that is this one's subject, and with
    `erased_with_subject` it is erased in the transaction that erases its subject. `key_scope` is `space` or
    `installation`. `interrupted` makes the command that ends a job which cannot go on, from its id, its text so far and
    a reason; `final` reads from an event how a turn ended. `exports` says whether an audience may take the journal
    along (default: always), `parts` whose personal content of an event (default: theirs whose every value `tell`
    shows under its own name; what a kind keeps back from sight does not leave in a copy). `owner` is
    the role of one who brings a session in from a bundle. `title`, `meters`, `needs` and `search` feed the generic
    pages.

    Raises:
        Misuse: a verb has no command, a command no verb, or names do not agree.
    """

    name: str
    lifecycle: Lifecycle
    commands: Mapping[str, type[Command]]
    decide: Callable[[Ask], Decision]
    fold: Callable[[Session, Event], Session]
    audience: Callable[[Session, Actor, str], str]
    view: Callable[[Session, str, datetime], dict[str, Any]]
    tell: Callable[[Event, str], dict[str, Any] | None]
    due: Callable[[Session], Due | None] = never
    closed: Callable[[Session, str], bool] | None = None
    facts: Mapping[str, Callable[[Reader, Command], Mapping[str, Any]]] = field(default_factory=dict)
    around: Mapping[str, Callable[[Outside, Any], AbstractContextManager[Mapping[str, Any]]]] = field(
        default_factory=dict
    )
    work: Mapping[str, Callable[[Workroom], None]] = field(default_factory=dict)
    interrupted: Mapping[str, Callable[[str, str, str], Command]] = field(default_factory=dict)
    standing: Mapping[str, str] = field(default_factory=dict)
    inherits: bool = False
    erased_with_subject: bool = False
    key_scope: str = "space"
    minting: frozenset[str] = frozenset()
    label: str = ""
    description: str = ""
    title: Callable[[Session], str] = lambda session: session.id
    meters: Callable[[Session, str, datetime], Sequence[Mapping[str, Any]]] = no_meters
    final: Callable[[Event], Final | None] = lambda event: None
    search: Callable[[Session], str] = lambda session: ""
    exports: Callable[[Session, str], bool] = lambda session, audience: True
    parts: Callable[[Event, str], Collection[str]] | None = None
    owner: str = ""
    needs: Callable[[Session, str], str | None] = lambda session, audience: None

    def __post_init__(self) -> None:
        verbs = set(self.lifecycle.verbs)
        if missing := verbs - {ERASE, *self.commands}:
            raise errors.Misuse(f"Kind {self.name}: no command for {', '.join(sorted(missing))}.")
        if extra := set(self.commands) - verbs:
            raise errors.Misuse(f"Kind {self.name}: the lifecycle lacks {', '.join(sorted(extra))}.")
        for verb, command in self.commands.items():
            if command.verb != verb:
                raise errors.Misuse(f"Kind {self.name}: {command.__name__} says '{command.verb}', not '{verb}'.")
        if unknown := (set(self.facts) | set(self.around) | self.minting) - verbs:
            raise errors.Misuse(f"Kind {self.name}: unknown verbs {', '.join(sorted(unknown))}.")

    def after(self, session: Session, event: Event) -> Session:
        """The session moved on by one event."""
        return self.fold(session.after(event), event)

    def scope_of(self, space: str) -> str:
        """Within what keys of sessions in this space are unique."""
        return space if self.key_scope == "space" else ""

    def carries(self, event: Event, audience: str) -> Collection[str]:
        """Whose personal content of an event this audience may take along in an export."""
        if self.parts:
            return self.parts(event, audience)
        left = Counter(_said(self.tell(event, audience)))
        left.subtract(_said({"seq": event.seq, "type": event.type, "data": event.data}))
        said = {owner: list(_said(content)) for owner, content in event.personal.items()}
        for values in said.values():
            left.subtract(values)  # so that what is shown once is not taken for two people's
        shown = [owner for owner, values in said.items() if all(left[value] >= 0 for value in values)]
        return shown if len(shown) == len(said) else [owner for owner in shown if said[owner]]

    def is_closed(self, session: Session, audience: str) -> bool:
        """Whether this audience will see no more events."""
        return session.state == GONE or (self.closed or when_final(self.lifecycle))(session, audience)

    def offered(self, state: str, role: str) -> tuple[str, ...]:
        """The verbs a person in this role may try now: no system verbs, none that mint a credential."""
        return tuple(
            move.verb
            for move in self.lifecycle.open(state, role)
            if move.verb not in self.minting and move.roles != (SYSTEM,) and move.verb not in (CREATE, ERASE)
        )


def _said(content: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The values in some content, each with the name it stands under."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield from _said(value, key)
    elif isinstance(content, list | tuple):
        for value in content:
            yield from _said(value, name)
    elif content is not None:
        yield name, content
