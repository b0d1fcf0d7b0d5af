"""What a command does inside the transaction that stores it: decide, append, fold, grant, queue, answer.

Everything here runs on the store's writing threads and may be run again. What must happen only once, and only when it
is durable (waking followers, telling the worker), waits for the commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, NamedTuple, Protocol

from . import entropy, errors, reading, tracing
from .clock import Clock
from .core import chain
from .core.actor import CLOCK, SYSTEM, Actor
from .core.event import COPIED, MAX_EVENT_BYTES, OWNER, TYPE, Event, Fact, milliseconds, to_text
from .core.kind import Ask, Command, Decision, Kind
from .core.lifecycle import GONE, Move
from .core.session import ID, Session
from .holding import Holding
from .reading import Done, Facts
from .store import jobs, journal, sessions, texts
from .store.sessions import Held
from .store.transaction import Tx

REPEAT_HOURS = 24
_MAX_FIRED = 1000  # at one instant of a session
_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Once:
    """An Idempotency-Key: the same `scope`, `key` and `request` digest get the first answer again, for 24 hours.

    Only of what made events: a command that changed nothing may be carried out again.
    """

    scope: str
    key: str
    request: bytes
    render: Callable[[Done], bytes]


class Allowed(NamedTuple):
    """A command that state and role allow, with the session as the transaction at hand has found it."""

    kind: Kind
    held: Held
    role: str
    move: Move
    now: datetime


def allowed(kind: Kind, held: Held, role: str, command: Command, now: datetime) -> Allowed:
    """Raises WrongState, NotAllowed."""
    move = kind.lifecycle.move(held.session.state, command.verb, role)
    if role not in move.roles:
        raise errors.NotAllowed()
    return Allowed(kind, held, role, move, now)


class Wakes(Protocol):
    """Who is told after a commit. A hint, never data, but for the text of a turn: who has it need not read it."""

    def wake(self, session: str, seq: int, version: int) -> None: ...

    def wake_text(self, session: str, turn: str, off: int, text: str) -> None: ...


class Writing:
    """The write side of one engine."""

    def __init__(self, holding: Holding, *, clock: Clock, wakes: Wakes, installed: Mapping[str, Any]) -> None:
        self.holding = holding
        self.clock = clock
        self.wakes = wakes
        self.installed = installed
        self.on_work: Callable[[], None] = lambda: None
        self.on_cancel: Callable[[str], None] = lambda job: None
        self.on_erased: Callable[[], object] = lambda: None

    def fire(self, tx: Tx, kind: Kind, held: Held, now: datetime) -> Held:
        """Let the clock's commands happen, however many; one of them may end in the session's erasure.

        Raises Misuse: the kind refuses one of them, or they keep falling due at one instant.
        """
        since, fired = None, 0
        while not held.erased and (due := kind.due(held.session)) is not None and due.at <= now:
            at = milliseconds(max(due.at, held.session.updated_at or due.at))
            since, fired = at, fired + 1 if at == since else 1
            if fired > _MAX_FIRED:
                raise errors.Misuse(f"Kind {kind.name}: the clock's commands do not come to an end.")
            try:
                move = kind.lifecycle.move(held.session.state, due.command.verb)
                self.carry_out(tx, Allowed(kind, held, SYSTEM, move, at), due.command, CLOCK, entropy.fresh(32))
            except errors.Refusal as refusal:
                what = f"Kind {kind.name}: its deadline '{due.command.verb}' was refused"
                raise errors.Misuse(f"{what}: {refusal.message}") from refusal
            held = tx.staged[held.session.id]
        return held

    def carry_out(
        self,
        tx: Tx,
        found: Allowed,
        command: Command,
        actor: Actor,
        random: bytes,
        once: Once | None = None,
        given: Mapping[str, Any] = _NOTHING,
    ) -> Done:
        """`given` is what `around` has yielded. Raises what the kind refuses with, KeyTaken, Conflict, Misuse."""
        kind, held, role, move, now = found
        if command.verb not in kind.commands:  # an erasure of which the kind tells nothing
            done = self.done(tx, kind, held, (), actor, now)
            self._empty(tx, held, now)
            return done
        facts = kind.facts.get(command.verb)
        known = {**given, **facts(self._facts(tx, held.session, actor, now), command)} if facts else given
        decision = _decision(kind, command, kind.decide(Ask(held.session, command, actor, role, now, random, known)))
        for charge in decision.charges:
            if not sessions.charge(tx, charge.account, amount=charge.amount, limit=charge.limit, until=charge.until):
                raise charge.refusal
        after, records, events = self._append(kind, held, decision, actor, role, now)
        if after.session.state not in move.reaches(held.session.state):
            raise errors.Misuse(f"Kind {kind.name}: '{move.verb}' may not lead to '{after.session.state}'.")
        if not held.session.seq:
            self._check_new(tx, kind, after.session)
        id = after.session.id
        if decision.grants:
            after = replace(after, grants=_granted(held.grants, decision))
        self.save(tx, kind, held if held.session.seq else None, after, records)
        sessions.give(tx, id, decision.grants)
        if decision.erase:
            jobs.forget_inputs(tx, id)
            texts.forget(tx, id)
            after = self._erase_parts(tx, kind, after, decision.erase)
        self._queue(tx, kind, after.session, decision, events)
        done = self.done(tx, kind, after, events, actor, now)
        if once and events:  # what has changed nothing may be carried out again; its answers would only fill the disk
            done = replace(done, answer=once.render(done))
            sessions.keep_answer(
                tx,
                once.scope,
                once.key,
                session=id,
                request=once.request,
                answer=done.answer or b"",
                expires_at=now + timedelta(hours=REPEAT_HOURS),
            )
        if after.session.state == GONE:
            self._empty(tx, after, now)
        return done

    def _facts(self, tx: Tx, session: Session, actor: Actor, now: datetime) -> Facts:
        def scope(kind: str) -> str:
            return self.holding.kinds[kind].scope_of(session.space)

        return Facts(
            tx, session, actor, now, installed=self.installed, held=lambda id: self.holding.get(tx, id), scope=scope
        )

    def _append(
        self, kind: Kind, held: Held, decision: Decision, actor: Actor, role: str, now: datetime
    ) -> tuple[Held, list[chain.Record], tuple[Event, ...]]:
        session, head = held.session, held.head
        if not session.seq and decision.id is not None:
            session = replace(session, id=decision.id)
        if decision.key is not None:
            session = replace(session, key=decision.key)
        if decision.subject is not None:
            session = replace(session, subject=decision.subject or None)
        at = to_text(max(now, session.updated_at or now))
        records, events = [], []
        for fact in decision.events:
            record = _sealed(head, session, fact, actor=actor, role=role, at=at)
            event = journal.event(record)
            session, head = kind.after(session, event), record.hash
            records.append(record)
            events.append(event)
        return Held(session, held.version + 1, head, held.grants), records, tuple(events)

    def _check_new(self, tx: Tx, kind: Kind, session: Session) -> None:
        if not ID.fullmatch(session.id):
            raise errors.Misuse(f"Kind {kind.name}: not an id: {session.id!r}")
        if sessions.version(tx, session.id) is not None:
            raise errors.KeyTaken("A session with this id exists here, or did.")
        self._check_key(tx, kind, session)

    def _check_key(self, tx: Tx, kind: Kind, session: Session) -> None:
        scope = kind.scope_of(session.space)
        if session.key is not None and sessions.find(tx, kind.name, session.key, scope=scope) is not None:
            raise errors.KeyTaken()

    def save(self, tx: Tx, kind: Kind, before: Held | None, after: Held, records: list[chain.Record]) -> None:
        session = after.session
        if before is not None and session.key != before.session.key:
            self._check_key(tx, kind, session)
        due = kind.due(session)
        scope = kind.scope_of(session.space)
        sessions.save(tx, before, after, due_at=due.at if due else None, search=kind.search, key_scope=scope)
        journal.append(tx, session.id, records)
        tx.staged[session.id] = after
        tx.after_commit(lambda: self.committed(after, bool(due)))

    def _queue(self, tx: Tx, kind: Kind, session: Session, decision: Decision, events: tuple[Event, ...]) -> None:
        if not (decision.jobs or decision.cancel):
            return
        if len({request.key for request in decision.jobs}) < len(decision.jobs):
            raise errors.Misuse(f"Kind {kind.name}: two jobs with one key.")
        active = {job.key: job for job in jobs.active(tx, session.id)}
        for key in decision.cancel:
            if (job := active.pop(key, None)) is not None:
                self.end_job(tx, kind, session, job.id, jobs.CANCELLED, events)
                tx.after_commit(partial(self.on_cancel, job.id))
        for request in decision.jobs:
            if request.purpose not in kind.work:
                raise errors.Misuse(f"Kind {kind.name}: there is no work '{request.purpose}'.")
            if request.key in active:
                raise errors.Conflict("This work is already under way.")
            jobs.add(tx, session.id, request, now=milliseconds(self.clock.now()), trace=tracing.carried())
            # A turn whose end stands beside its beginning was never work; readers find it as one that has ended.
            if any((final := kind.final(event)) is not None and final.turn == request.id for event in events):
                self.end_job(tx, kind, session, request.id, jobs.DONE, events)
        if decision.jobs:
            tx.after_commit(lambda: self.on_work())

    def end_job(self, tx: Tx, kind: Kind, session: Session, job: str, state: str, events: tuple[Event, ...]) -> None:
        """Close a job at the event that tells its end, else at the session's head."""
        seq = session.seq
        for event in events:
            final = kind.final(event)
            if final is not None and final.turn == job:
                seq, state = event.seq, final.status
        jobs.end(tx, session.id, job, state=state, seq=seq)
        texts.forget(tx, session.id, job)

    def _erase_parts(self, tx: Tx, kind: Kind, held: Held, owners: tuple[str, ...]) -> Held:
        id = held.session.id
        journal.erase(tx, id, owners=owners)
        sessions.forget_answers(tx, id)
        folded = reading.refolded(tx, kind, held.session)
        after = replace(held, session=folded, version=held.version + 1)
        self.save(tx, kind, held, after, [])
        tx.after_commit(lambda: self.on_erased())
        return after

    def _empty(self, tx: Tx, held: Held, now: datetime) -> None:
        """Empty a session, those about it that go with it, and everywhere in the space what was copied from them."""
        id, following = held.session.id, {kind.name for kind in self.holding.kinds.values() if kind.erased_with_subject}
        gone = [*(self.holding.get(tx, each) for each in sessions.about(tx, id, following)), held]
        for each in gone:
            self._empty_one(tx, each, now)
        for each in gone:
            self._empty_copies(tx, each.session.id)
        tx.after_commit(lambda: self.on_erased())

    def _empty_one(self, tx: Tx, held: Held, now: datetime) -> None:
        """Empty one session, and let go of all that it kept busy."""
        id = held.session.id
        for job in jobs.active(tx, id):
            tx.after_commit(partial(self.on_cancel, job.id))
        journal.erase(tx, id)
        texts.forget(tx, id)
        jobs.forget(tx, id)
        sessions.forget_answers(tx, id)
        sessions.erase(tx, id, version=held.version + 1, now=now)
        gone = Held(Session(id, held.session.kind, ""), held.version + 1, held.head, {}, erased=True)
        tx.staged[id] = gone
        tx.after_commit(lambda: self.committed(gone, False))

    def _empty_copies(self, tx: Tx, erased: str) -> None:
        """Destroy what other sessions hold of one that is gone. What they are busy with goes on."""
        owner = COPIED + erased
        for id in journal.holders(tx, owner):
            try:
                held = self.holding.get(tx, id)
            except errors.NotFound:
                raise errors.Conflict("An application that is not installed here holds a copy of this.") from None
            self._erase_parts(tx, self.holding.kinds[held.session.kind], held, (owner,))

    def stored(self, tx: Tx, once: Once, now: datetime) -> tuple[str, bytes] | None:
        found = sessions.answer(tx, once.scope, once.key, now=now)
        if found is None:
            return None
        if found.request != once.request:
            raise errors.KeyReused()
        return found.session, found.answer

    def done(
        self,
        tx: Tx,
        kind: Kind,
        held: Held,
        events: tuple[Event, ...],
        actor: Actor,
        now: datetime,
        *,
        answer: bytes | None = None,
    ) -> Done:
        role = self.holding.role_or_none(tx, kind, held, actor, now) or ""
        audience = kind.audience(held.session, actor, role)
        return Done(held.session, events, role, audience, now, answer, answer is not None)

    def committed(self, held: Held, due: bool) -> None:
        self.holding.remember(held)
        self.wakes.wake(held.session.id, held.session.seq, held.version)
        if due:
            self.on_work()


def _decision(kind: Kind, command: Command, answered: Any) -> Decision:
    if isinstance(answered, Decision) and not isinstance(answered.events, Fact):
        return answered
    raise errors.Misuse(f"Kind {kind.name}: `decide` answered '{command.verb}' with no Decision of several facts.")


def _sealed(head: bytes, session: Session, fact: Fact, *, actor: Actor, role: str, at: str) -> chain.Record:
    if not TYPE.fullmatch(fact.type):
        raise errors.Misuse(f"Not an event type: {fact.type!r}")
    if strange := [owner for owner in fact.personal if not OWNER.fullmatch(owner)]:
        raise errors.Misuse(f"Not an owner of personal content: {strange[0]!r}")
    salts = [entropy.fresh(chain.SALT_BYTES) for _ in range(1 + len(fact.personal))]
    try:
        record = chain.seal(
            head,
            session=session.id,
            seq=session.seq + 1,
            type=fact.type,
            actor=actor.id,
            role=role,
            at=at,
            data=fact.data,
            personal=fact.personal,
            salts=salts,
        )
    except (TypeError, ValueError) as error:
        raise errors.Misuse(f"An event '{fact.type}' holds what a journal cannot: {error}.") from error
    texts = [record.data or "", *(part.text or "" for part in record.parts)]
    if sum(map(len, texts)) * 4 > MAX_EVENT_BYTES and sum(len(text.encode()) for text in texts) > MAX_EVENT_BYTES:
        raise errors.Misuse(f"An event '{fact.type}' is larger than {MAX_EVENT_BYTES} bytes.")
    return record


def _granted(before: Mapping[str, Any], decision: Decision) -> Mapping[str, tuple[str, datetime | None]]:
    after = dict(before)
    for grant in decision.grants:
        if grant.role is None:
            after.pop(grant.grantee, None)
        else:
            until = None if grant.expires_at is None else milliseconds(grant.expires_at)
            after[grant.grantee] = (grant.role, until)
    return after
