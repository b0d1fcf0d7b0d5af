"""The only writer of sessions, and the one way in: open, do, view, events, list, report, erase.

Every command is ONE transaction: lock the session, fire what is due, check the move, let the kind decide, append, fold,
grant, queue jobs, store the answer for a repeat. What the clock did stays even when the command after it is refused.
Every function answers a `concurrent.futures.Future`; refusals come through it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from . import entropy, errors, reading, tracing
from .clock import Clock
from .core import chain
from .core.actor import GUEST, MEMBER, SYSTEM, WORKER, Actor
from .core.event import milliseconds
from .core.kind import Command, Erase, Grant, Kind, Outside
from .core.lifecycle import CREATE
from .core.session import Session
from .holding import Holding
from .reading import Done, Journal, Listing, Look, Page, Seen, Selection, TextPage, TurnSeen, Where
from .store import Store, jobs, sessions, texts
from .store.sessions import Held
from .store.transaction import Tx
from .writing import Allowed, Once, Wakes, Writing, allowed

__all__ = [
    "Done",
    "Engine",
    "Journal",
    "Lease",
    "Listing",
    "Once",
    "Page",
    "Seen",
    "Selection",
    "TextPage",
    "TurnSeen",
    "Wakes",
    "Where",
]
T = TypeVar("T")
_LATE = object()


@dataclass(frozen=True)
class Lease:
    """The right to report for a job, while `number` is the job's present one."""

    session: str
    job: str
    number: int


class Engine:
    """The engine over one store. `installed` is what kinds' facts may know of the installation."""

    def __init__(
        self,
        store: Store,
        kinds: Mapping[str, Kind],
        *,
        clock: Clock,
        wakes: Wakes,
        epoch: int = 1,
        installed: Mapping[str, Any] | None = None,
    ) -> None:
        self.store = store
        self.kinds = kinds
        self.clock = clock
        self.epoch = epoch
        self.installed = installed or {}
        self._holding = Holding(kinds, epoch=epoch)
        self._writing = Writing(self._holding, clock=clock, wakes=wakes, installed=self.installed)
        self._surrounded = frozenset(verb for kind in kinds.values() for verb in kind.around)
        self._outside = ThreadPoolExecutor(4, thread_name_prefix="engine-outside")
        self._writing.on_erased = self.store.scrub

    def on_work(self, call: Callable[[], None]) -> None:
        """Have `call` made after a commit that queued a job or set a deadline."""
        self._writing.on_work = call

    def on_cancel(self, call: Callable[[str], None]) -> None:
        """Have `call(job id)` made after a commit that cancelled a job."""
        self._writing.on_cancel = call

    def close(self) -> None:
        self._outside.shutdown(wait=True)

    # Writing

    def open(self, kind: str, command: Command, actor: Actor, *, once: Once | None = None) -> Future[Done]:
        """Make a session. Raises NotFound (no such kind), NotAllowed, KeyTaken, and what the kind refuses with."""
        definition = self.kind(kind)
        if command.verb != CREATE:
            raise errors.Misuse(f"'{command.verb}' does not open a session.")
        random = entropy.fresh(32)
        new = Session(str(UUID(bytes=entropy.fresh(16), version=4)), kind, actor.space, epoch=self.epoch)
        blank = Held(new, 0, chain.GENESIS, {})

        def check(tx: Tx) -> Done | Allowed:
            now = milliseconds(self.clock.now())
            if once and (stored := self._writing.stored(tx, once, now)) is not None:
                held = self._holding.get(tx, stored[0])
                return self._writing.done(tx, definition, held, (), actor, now, answer=stored[1])
            role = SYSTEM if actor.is_system else MEMBER if actor.is_user else GUEST
            return allowed(definition, blank, role, command, now)

        def write(tx: Tx, given: Mapping[str, Any]) -> Done:
            checked = check(tx)
            if isinstance(checked, Done):
                return checked
            return self._writing.carry_out(tx, checked, command, actor, random, once, given)

        return self._write(command, actor, check, write)

    def do(
        self,
        session: str,
        command: Command,
        actor: Actor,
        *,
        kind: str | None = None,
        expect: int | None = None,
        once: Once | None = None,
    ) -> Future[Done]:
        """Carry a command out. `expect` is the position the caller has read; a session not of `kind` is not found.

        Raises, through the future: NotFound, Stale, WrongState, NotAllowed, KeyReused, and what the kind refuses with.
        """
        random = entropy.fresh(32)

        def check(tx: Tx, definition: Kind, held: Held, now: datetime) -> Done | Allowed:
            if kind is not None and definition.name != kind:
                raise errors.NotFound()
            if once and (stored := self._writing.stored(tx, once, now)) is not None:
                return self._writing.done(tx, definition, held, (), actor, now, answer=stored[1])
            role = self._holding.role(tx, definition, held, actor, now)
            _check_position(held.session, expect)
            return allowed(definition, held, role, command, now)

        def write(tx: Tx, given: Mapping[str, Any]) -> Done | errors.Refusal:
            def then(tx: Tx, definition: Kind, held: Held, now: datetime) -> Done:
                checked = check(tx, definition, held, now)
                if isinstance(checked, Done):
                    return checked
                return self._writing.carry_out(tx, checked, command, actor, random, once, given)

            return self._after_due(tx, session, then)

        return self._write(command, actor, lambda tx: self._after_due(tx, session, check), write)

    def report(self, lease: Lease, command: Command, *, last: bool = False) -> Future[Done]:
        """A job's word, under its lease. `last` ends the job in the same transaction. Raises LeaseLost."""
        random = entropy.fresh(32)

        def command_in(tx: Tx, kind: Kind, held: Held, now: datetime) -> Done:
            if not jobs.holds(tx, lease.session, lease.job, lease=lease.number):
                raise errors.LeaseLost()
            found = allowed(kind, held, SYSTEM, command, now)
            done = self._writing.carry_out(tx, found, command, WORKER, random)
            if last:
                self._writing.end_job(tx, kind, done.session, lease.job, jobs.DONE, done.events)
            return done

        return self._stored(command, lambda tx: self._after_due(tx, lease.session, command_in))

    def write_text(self, lease: Lease, *, off: int, text: str) -> Future[None]:
        """Append to what a turn has written, at an offset in code points. Raises LeaseLost."""

        def write(tx: Tx) -> None:
            if not jobs.holds(tx, lease.session, lease.job, lease=lease.number):
                raise errors.LeaseLost()
            texts.write(tx, lease.session, lease.job, off=off, text=text)
            tx.after_commit(lambda: self._writing.wakes.wake_text(lease.session, lease.job, off, text))

        return self.store.write(write)

    def finish(self, lease: Lease) -> Future[None]:
        """End a job that has nothing more to report. Raises LeaseLost."""

        def write(tx: Tx) -> None:
            held = self._holding.get(tx, lease.session)
            if not jobs.holds(tx, lease.session, lease.job, lease=lease.number):
                raise errors.LeaseLost()
            jobs.end(tx, lease.session, lease.job, state=jobs.DONE, seq=held.session.seq)
            texts.forget(tx, lease.session, lease.job)

        return self.store.write(write)

    def fire(self, session: str) -> Future[None]:
        """Let the clock's commands happen, for the sessions nobody asks for."""

        def write(tx: Tx) -> None:
            held = self._holding.get(tx, session)
            self._writing.fire(tx, self.kinds[held.session.kind], held, milliseconds(self.clock.now()))

        return self.store.write(write)

    def erase(self, session: str, actor: Actor, *, expect: int | None = None) -> Future[None]:
        """Destroy every personal part and the folded state, free the key, keep the hashes. The id stays taken.

        The sessions about this one go with it, where their kind says so (`erased_with_subject`), and everywhere in the
        space what was copied from it: personal parts that belong to `session:<id>`. Answered when no file holds any of
        it. Where the kind has a command for `erase`, what that tells is the journal's last word.
        """
        return _then(self.do(session, Erase(), actor, expect=expect), lambda _: self.store.scrub())

    def tidy(self) -> Future[None]:
        """Forget what has expired, and make up for a scrub that a fault or a sudden end prevented."""
        self.store.scrub()
        return self.store.write(lambda tx: sessions.forget_expired(tx, self.clock.now()))

    def adopt(self, kind: str, id: str, records: list[chain.Record], actor: Actor) -> Future[Session]:
        """Take in a session from a bundle whose chain has been verified.

        Raises: KeyTaken (its id is known here), NotAllowed (the actor would have no role in it), Invalid.
        """
        definition = self.kind(kind)

        def write(tx: Tx) -> Session:
            if sessions.version(tx, id) is not None:
                raise errors.KeyTaken("A session with this id exists here, or did.")
            session = reading.folded(definition, Session(id, kind, actor.space, epoch=self.epoch), records)
            owner = {actor.id: (definition.owner, None)} if definition.owner else {}
            held, now = Held(session, 1, records[-1].hash, owner), milliseconds(self.clock.now())
            if (role := self._holding.role_or_none(tx, definition, held, actor, now)) is None:
                raise errors.NotAllowed("You would have no role in this session here.")
            reading.check_shown(Look(tx, definition, held, actor, role, now))
            self._writing.save(tx, definition, None, held, records)
            sessions.give(tx, id, [Grant(grantee, role) for grantee, (role, _) in owner.items()])
            return session

        return self.store.write(write)

    # Reading

    def kind(self, name: str) -> Kind:
        """The definition of a kind. Raises NotFound."""
        if name not in self.kinds:
            raise errors.NotFound(f"There is no kind '{name}' here. There are: {', '.join(sorted(self.kinds))}.")
        return self.kinds[name]

    def view(self, session: str, actor: Actor, *, kind: str | None = None) -> Future[Seen]:
        """What this actor may see now. Raises NotFound, also when the session is not of `kind`."""

        def build(look: Look) -> Seen:
            if kind is not None and look.kind.name != kind:
                raise errors.NotFound()
            return reading.seen(look)

        return self._reading(session, actor, build)

    def events(self, session: str, actor: Actor, *, after: int = 0, limit: int = 100) -> Future[Page]:
        """Events after a position, as this actor's audience is told them. Raises NotFound, Gone (ahead of the head)."""
        return self._reading(session, actor, lambda look: reading.page(look, after=after, limit=limit))

    def history(self, session: str, actor: Actor, *, before: int | None = None, limit: int = 50) -> Future[Page]:
        """The newest events below a position, newest first; the cost does not grow with the journal."""
        return self._reading(session, actor, lambda look: reading.newest(look, before=before, limit=limit))

    def selected(
        self,
        session: str,
        actor: Actor,
        types: Collection[str],
        *,
        after: int = 0,
        before: int | None = None,
        limit: int = 100,
        newest: bool = True,
    ) -> Future[Selection]:
        """Events of some types between two positions, in order and untold, for an application's own figures.

        Where there are more than `limit`, the last ones; the first ones when `newest` is false.
        """
        return self._reading(
            session,
            actor,
            lambda look: reading.selected(look, types=types, after=after, before=before, limit=limit, newest=newest),
        )

    def at(self, session: str, actor: Actor, seq: int) -> Future[Seen]:
        """The view as it was after the event `seq`. Raises Invalid when there is no such event."""
        return self._reading(session, actor, lambda look: reading.replay(look, seq=seq))

    def journal(self, session: str, actor: Actor) -> Future[Journal]:
        """Every record and what this audience may be told of it, for exports."""
        return self._reading(session, actor, reading.whole)

    def turn(self, session: str, turn: str, actor: Actor) -> Future[TurnSeen]:
        """How a turn stands. Raises NotFound, also when this audience may not read it."""
        return self._reading(session, actor, lambda look: reading.turn(look, turn))

    def text(self, session: str, turn: str, actor: Actor, *, after: int = 0) -> Future[TextPage]:
        """A turn's text from an offset in code points, running or ended. Raises NotFound, InvalidCursor."""
        return self._reading(session, actor, lambda look: reading.text(look, turn, after=after))

    def list(self, kind: str, actor: Actor, where: Where) -> Future[Listing]:
        """The sessions of a kind this actor has a role in, newest first. One whose deadline is refused is as it was."""
        definition = self.kind(kind)
        fired: set[str] = set()

        def read(tx: Tx) -> Listing | tuple[str, ...]:
            now = milliseconds(self.clock.now())
            ids, total = sessions.listed(tx, reading.wanted(self.kinds, definition, actor, where, now))
            found = [self._holding.get(tx, id) for id in ids]
            due = {held.session.id for held in found if _is_late(definition, held.session, now)}
            if late := tuple(due - fired):
                return late
            items = (
                reading.seen(Look(tx, definition, held, actor, role, now))
                for held in found
                if (role := self._holding.role_or_none(tx, definition, held, actor, now)) is not None
            )
            return Listing(tuple(items), total)

        def then(result: Listing | tuple[str, ...]) -> Future[Listing] | None:
            if isinstance(result, Listing):
                return None
            fired.update(result)
            return _then(_ended([self.fire(id) for id in result]), lambda _: _then(self.store.read(read), then))

        return _then(self.store.read(read), then)

    def find(self, grantee: str) -> Future[tuple[str, str] | None]:
        """The session a credential such as `link:<sha256>` opens, and in what role."""

        def read(tx: Tx) -> tuple[str, str] | None:
            now = self.clock.now()
            for session, role, until in sessions.granted(tx, grantee):
                if until is None or until > now:
                    return session, role
            return None

        return self.store.read(read)

    # One transaction

    def _write(
        self,
        command: Command,
        actor: Actor,
        check: Callable[[Tx], Done | Allowed | errors.Refusal],
        write: Callable[[Tx, Mapping[str, Any]], Done | errors.Refusal],
    ) -> Future[Done]:
        """Run a write, inside the kind's `around` where one has something to do for this verb."""
        if command.verb not in self._surrounded:
            return self._stored(command, lambda tx: write(tx, {}))

        def outside() -> Done:
            future: Future[Done | Allowed] = self.store.write(check)
            if isinstance(checked := future.result(), Done):
                return checked
            around = checked.kind.around.get(command.verb)
            if around is None:
                return self._stored(command, lambda tx: write(tx, {})).result()
            place = Outside(checked.held.session, actor, checked.role, self.installed)
            with around(place, command) as given:
                return self._stored(command, lambda tx: write(tx, given)).result()

        return self._outside.submit(outside)

    def _stored(self, command: Command, write: Callable[[Tx], T | errors.Refusal]) -> Future[T]:
        return tracing.around(f"command {command.verb}", write, self.store.write, verb=command.verb)

    def _after_due(self, tx: Tx, id: str, then: Callable[[Tx, Kind, Held, datetime], T]) -> T | errors.Refusal:
        """Fire what is due, then the rest. When the clock did something, its refusal is returned, not raised."""
        held = self._holding.get(tx, id)
        kind = self.kinds[held.session.kind]
        now = milliseconds(self.clock.now())
        moved = self._writing.fire(tx, kind, held, now)
        if moved is held:
            return then(tx, kind, held, now)
        if moved.erased:
            return errors.NotFound()
        try:
            with tx.savepoint():
                return then(tx, kind, moved, now)
        except errors.Refusal as refusal:
            return refusal

    def _reading(self, id: str, actor: Actor, build: Callable[[Look], T]) -> Future[T]:
        """Read one session, after firing what is due."""

        def built(tx: Tx, kind: Kind, held: Held, now: datetime) -> T:
            return build(Look(tx, kind, held, actor, self._holding.role(tx, kind, held, actor, now), now))

        def read(tx: Tx) -> Any:
            held = self._holding.get(tx, id)
            kind, now = self.kinds[held.session.kind], milliseconds(self.clock.now())
            return _LATE if _is_late(kind, held.session, now) else built(tx, kind, held, now)

        def write() -> Future[T]:
            return self.store.write(lambda tx: self._after_due(tx, id, built))

        return _then(self.store.read(read), lambda value: write() if value is _LATE else None)


def _check_position(session: Session, expect: int | None) -> None:
    if expect is not None and expect != session.seq:
        raise errors.Stale(position=session.position)


def _is_late(kind: Kind, session: Session, now: datetime) -> bool:
    due = kind.due(session)
    return due is not None and due.at <= now


def _ended(futures: Sequence[Future[Any]]) -> Future[None]:
    """The future of the end of one or more, however each of them ended."""
    outer: Future[None] = Future()
    left = count(len(futures) - 1, -1)

    def one_more(_: object) -> None:
        if next(left) == 0:
            outer.set_result(None)

    for future in futures:
        future.add_done_callback(one_more)
    return outer


def _then(future: Future[Any], next: Callable[[Any], Future[Any] | None]) -> Future[Any]:
    """The future of what `next` answers for the result: another future to wait for, or None to keep the result."""
    outer: Future[Any] = Future()
    outer.set_running_or_notify_cancel()

    def finished(inner: Future[Any]) -> None:
        try:
            outer.set_result(inner.result())
        except BaseException as error:
            outer.set_exception(error)

    def first(inner: Future[Any]) -> None:
        try:
            following = next(inner.result())
        except BaseException as error:
            outer.set_exception(error)
            return
        if following is None:
            finished(inner)
        else:
            following.add_done_callback(finished)

    future.add_done_callback(first)
    return outer
