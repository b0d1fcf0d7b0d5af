"""What the engine gives to those who read: values, and the functions that make them inside a read transaction.

Nothing here writes. Who may read has been asked already; what an audience may see is the kind's `view` and `tell`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, NamedTuple

from . import errors
from .core import chain, strict
from .core.actor import Actor
from .core.event import Event
from .core.kind import Final, Kind
from .core.session import ID, Session
from .store import jobs, journal, people, sessions, texts
from .store.sessions import Held
from .store.transaction import Tx

RUNNING = "running"


@dataclass(frozen=True)
class Done:
    """What a command did. `answer` are the bytes stored for a repeat; `repeated` says that this is one."""

    session: Session
    events: tuple[Event, ...]
    role: str
    audience: str
    now: datetime
    answer: bytes | None = None
    repeated: bool = False


@dataclass(frozen=True)
class Seen:
    """A session as one actor sees it. `people` are grants as (actor, role), `allowed` the verbs this role has now."""

    session: Session
    role: str
    audience: str
    now: datetime
    view: dict[str, Any]
    closed: bool
    people: tuple[tuple[str, str], ...]
    allowed: tuple[str, ...]


@dataclass(frozen=True)
class Turn:
    """A running job whose text this audience may read."""

    id: str
    purpose: str


@dataclass(frozen=True)
class Page:
    """Events as one audience is told them: (seq, told), told None where only the position moves."""

    session: Session
    role: str
    audience: str
    closed: bool
    events: tuple[tuple[int, dict[str, Any] | None], ...]
    turns: tuple[Turn, ...]


@dataclass(frozen=True)
class Selection:
    """A session with some of its events, untold. The application that asked decides what of them it shows."""

    seen: Seen
    events: tuple[Event, ...]


@dataclass(frozen=True)
class TurnSeen:
    """How a turn stands (`running`, `completed`, `cancelled`, `failed`, `interrupted`), and where its last event is."""

    id: str
    purpose: str
    status: str
    seq: int | None


@dataclass(frozen=True)
class TextPage:
    """A turn's text from `off`, in code points."""

    off: int
    text: str
    ended: bool
    status: str
    seq: int | None


@dataclass(frozen=True)
class Journal:
    """A session whole: what is seen, every record, and what this audience may be told of each."""

    seen: Seen
    records: tuple[chain.Record, ...]
    told: tuple[dict[str, Any] | None, ...]
    erased: frozenset[int]


@dataclass(frozen=True)
class Where:
    """Which sessions to list. `q` is looked for in what the kind offers for search.

    `having` names elements as (collection, id), all of which a session must have; `since` and `until` bound when it was
    made, both ends included.
    """

    state: str = ""
    q: str = ""
    subject: str = ""
    limit: int = 50
    offset: int = 0
    mine: bool = False
    having: tuple[tuple[str, str], ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Listing:
    """One page of sessions, and how many there are in all."""

    items: tuple[Seen, ...]
    total: int


class Facts:
    """A kind's reader inside the transaction of a command."""

    def __init__(
        self,
        tx: Tx,
        session: Session,
        actor: Actor,
        now: datetime,
        *,
        installed: Mapping[str, Any],
        held: Callable[[str], Held],
        scope: Callable[[str], str],
    ) -> None:
        self.session = session
        self.actor = actor
        self.now = now
        self.installed = installed
        self._tx, self._held, self._scope = tx, held, scope

    def other(self, id: str) -> Session | None:
        """Another session of the same space."""
        try:
            found = self._held(id).session
        except errors.NotFound:
            return None
        return found if found.space == self.session.space else None

    def find(self, kind: str, key: str) -> Session | None:
        """The session of a kind that holds a key."""
        id = sessions.find(self._tx, kind, key, scope=self._scope(kind))
        return None if id is None else self.other(id)

    def journal(self, types: Collection[str] = (), *, before: int | None = None) -> Iterator[Event]:
        """This session's events, newest first, read page by page as they are wanted."""
        limit = 20
        seq = journal.LAST if before is None else before
        while records := journal.newest(self._tx, self.session.id, types=types, before=seq, limit=limit):
            yield from (journal.event(record) for record in records)
            seq, limit = records[-1].seq, journal.PAGE

    def text(self, job: str) -> str:
        """What a job has written so far."""
        return texts.read(self._tx, self.session.id, job)

    def job(self, id: str) -> Mapping[str, Any] | None:
        """An active job of this session."""
        found = jobs.one(self._tx, self.session.id, id)
        if found is None or not found.is_active:
            return None
        return {"id": found.id, "purpose": found.purpose, "key": found.key, "state": found.state}

    def mine(self, kind: str, *, state: str = "", limit: int = 20) -> Sequence[Session]:
        """The actor's newest sessions of a kind."""
        wanted = sessions.Wanted(
            kind=kind,
            space=self.actor.space,
            grantee=self.actor.id,
            now=self.now,
            everything=False,
            inherited=False,
            state=state,
            limit=limit,
        )
        ids, _ = sessions.listed(self._tx, wanted)
        return [self._held(id).session for id in ids]

    def counted(self, account: str) -> int:
        """What a counter stands at."""
        return sessions.count(self._tx, account)

    def has_member(self, account: str) -> bool:
        """Whether an account belongs to the session's space."""
        return people.is_member(self._tx, self.session.space, account)


class Look(NamedTuple):
    """Somebody who looks at a session, inside a transaction."""

    tx: Tx
    kind: Kind
    held: Held
    actor: Actor
    role: str
    now: datetime

    @property
    def session(self) -> Session:
        return self.held.session

    @property
    def audience(self) -> str:
        return self.kind.audience(self.held.session, self.actor, self.role)


def seen(look: Look) -> Seen:
    """The session as this actor sees it now."""
    kind, session, audience = look.kind, look.session, look.audience
    people = tuple(
        sorted(
            (grantee, role)
            for grantee, (role, until) in look.held.grants.items()
            if ":" in grantee and not grantee.startswith("link:") and (until is None or until > look.now)
        )
    )
    return Seen(
        session,
        look.role,
        audience,
        look.now,
        kind.view(session, audience, look.now),
        kind.is_closed(session, audience),
        people,
        kind.offered(session.state, look.role),
    )


def page(look: Look, *, after: int, limit: int) -> Page:
    """Events after a position, in order."""
    if after > look.session.seq:
        raise errors.Gone(oldest=f"{look.session.epoch}.1", head=look.session.position)
    return _page(look, journal.records(look.tx, look.session.id, after=after, limit=limit))


def newest(look: Look, *, before: int | None, limit: int) -> Page:
    """The newest events below a position, newest first."""
    upto = journal.LAST if before is None else before
    return _page(look, journal.newest(look.tx, look.session.id, before=upto, limit=limit))


def selected(
    look: Look, *, types: Collection[str], after: int, before: int | None, limit: int, newest: bool
) -> Selection:
    """Events of some types between two positions, in order: the last ones there are, or the first."""
    upto = journal.LAST if before is None else before
    id = look.session.id
    records = journal.chosen(look.tx, id, types=types, after=after, before=upto, limit=limit, newest=newest)
    return Selection(seen(look), tuple(journal.event(record) for record in records))


def replay(look: Look, *, seq: int) -> Seen:
    """The view as it was after the event `seq`."""
    if not 1 <= seq <= look.session.seq:
        raise errors.Invalid.field("at", f"must be between 1 and {look.session.seq}")
    then = refolded(look.tx, look.kind, look.session, upto=seq)
    return seen(look._replace(held=replace(look.held, session=then), now=then.updated_at or look.now))


def whole(look: Look) -> Journal:
    """The whole journal. Raises NotFound for an audience that may not take it along."""
    shown, kind = seen(look), look.kind
    if not kind.exports(look.session, shown.audience):
        raise errors.NotFound("There is no copy of this session for you.")
    records = tuple(journal.every(look.tx, look.session.id))
    told = tuple(kind.tell(journal.event(record), shown.audience) for record in records)
    erased = frozenset(record.seq for record in records if any(part.text is None for part in record.parts))
    return Journal(shown, records, told, erased)


def folded(kind: Kind, session: Session, records: Iterable[chain.Record]) -> Session:
    """The session that foreign records give, when it is one that the kind can live with. Raises Invalid."""
    with _foreign(kind):
        for record in records:
            session = kind.after(session, journal.event(record))
        if session.state not in kind.lifecycle.states:
            raise LookupError(session.state)
        kind.due(session), kind.search(session)
    return session


def check_shown(look: Look) -> None:
    """See a foreign session once, as lists will: one that cannot be shown would break them. Raises Invalid."""
    with _foreign(look.kind):
        seen(look)
        look.kind.title(look.session)


@contextmanager
def _foreign(kind: Kind) -> Iterator[None]:
    """Whatever a kind makes of what it has not written itself."""
    try:
        yield
    except Exception as error:
        raise errors.Invalid(f"This is not the journal of a session of the kind '{kind.name}'.") from error


def turn(look: Look, id: str) -> TurnSeen:
    """How a turn stands."""
    job = _heard(look, id)
    return TurnSeen(job.id, job.purpose, RUNNING if job.is_active else job.state, job.end_seq)


def text(look: Look, id: str, *, after: int) -> TextPage:
    """A turn's text from an offset: from its rows while it runs, from its last event afterwards."""
    job = _heard(look, id)
    if job.is_active:
        rest = texts.since(look.tx, look.session.id, id, after=after)
    else:
        whole = _final_text(look, job)
        rest = whole[after:] if after <= len(whole) else None
    if rest is None:
        raise errors.InvalidCursor()
    return TextPage(after, rest, not job.is_active, RUNNING if job.is_active else job.state, job.end_seq)


def refolded(tx: Tx, kind: Kind, session: Session, *, upto: int = journal.LAST) -> Session:
    """The session as its journal says."""
    blank = Session(
        session.id, session.kind, session.space, key=session.key, subject=session.subject, epoch=session.epoch
    )
    for record in journal.every(tx, session.id, upto=upto):
        blank = kind.after(blank, journal.event(record))
    return blank


def wanted(kinds: Mapping[str, Kind], kind: Kind, actor: Actor, where: Where, now: datetime) -> sessions.Wanted:
    """The question to the store for a list. Raises Invalid."""
    standing = (
        [] if where.mine else [name for name, other in kinds.items() if not actor.roles.isdisjoint(other.standing)]
    )
    return sessions.Wanted(
        kind=kind.name,
        space=actor.space,
        grantee=actor.id,
        now=now,
        everything=kind.name in standing or (actor.is_system and not where.mine),
        inherited=kind.inherits,
        standing=tuple(standing),
        state=strict.text(where.state, "state"),
        q=strict.text(where.q, "q"),
        subject=strict.text(where.subject, "subject"),
        limit=where.limit,
        offset=where.offset,
        having=tuple((collection, strict.text(id, collection)) for collection, id in where.having),
        since=where.since,
        until=where.until,
    )


def _page(look: Look, records: list[chain.Record]) -> Page:
    kind, session, audience = look.kind, look.session, look.audience
    told = tuple((record.seq, kind.tell(journal.event(record), audience)) for record in records)
    turns = tuple(Turn(job.id, job.purpose) for job in jobs.active(look.tx, session.id) if job.heard_by(audience))
    return Page(session, look.role, audience, kind.is_closed(session, audience), told, turns)


def _heard(look: Look, id: str) -> jobs.Job:
    job = jobs.one(look.tx, look.session.id, id) if ID.fullmatch(id) else None
    if job is None or not job.heard_by(look.audience):
        raise errors.NotFound("Turn not found")
    return job


def _final_text(look: Look, job: jobs.Job) -> str:
    assert job.end_seq is not None, "an ended job knows the event that ended it"
    records = journal.records(look.tx, look.session.id, after=job.end_seq - 1, limit=1)
    final: Final | None = look.kind.final(journal.event(records[0])) if records else None
    return final.text if final is not None and final.turn == job.id else ""
