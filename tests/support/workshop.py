"""Two kinds that use every part of the engine: a team, and a workshop that is about a team and inherits its roles.

The rules, so that a test can say what it expects: a workshop beats every 60 s while it is open and closes by itself at
`closes_in`; at most `WORDS` words are charged to a space; what is whispered is told to the lead only; `climb` is a job
of steps that goes on after the last one, `draft` a turn that ends with what was written. `Wrong` makes each mistake a
kind can make. `kind(work=...)` replaces what the jobs do, and `Held` is a job a test holds by the hand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, cast

from sitting import errors
from sitting.core.actor import Actor
from sitting.core.event import MAX_EVENT_BYTES, Event, Fact
from sitting.core.kind import (
    Ask,
    Charge,
    Command,
    Decision,
    Due,
    Final,
    Grant,
    JobRequest,
    Kind,
    Outside,
    Reader,
    Workroom,
)
from sitting.core.lifecycle import Lifecycle, Move
from sitting.core.session import MAX_DATA_BYTES, Session

WORDS = 100
BEAT = timedelta(seconds=60)
Work = Callable[[Workroom], None]


class Found(Command):
    verb: ClassVar[str] = "create"
    id: str | None = None
    key: str | None = None


class Join(Command):
    verb: ClassVar[str] = "join"
    grantee: str
    role: str | None
    seconds: float | None = None


class Create(Command):
    verb: ClassVar[str] = "create"
    name: str = "A workshop"
    id: str | None = None
    key: str | None = None
    team: str | None = None
    closes_in: int | None = None
    beats: bool = False
    silent: bool = False


class Say(Command):
    verb: ClassVar[str] = "say"
    text: str
    about: str | None = None
    whispered: bool = False


class Rename(Command):
    verb: ClassVar[str] = "rename"
    name: str | None = None
    key: str | None = None
    team: str | None = None


class Put(Command):
    verb: ClassVar[str] = "put"
    id: str
    label: str | None


class Let(Command):
    verb: ClassVar[str] = "let"
    grantee: str
    role: str | None
    until: datetime | None = None


class Mint(Command):
    verb: ClassVar[str] = "mint"
    credential: str


class Hold(Command):
    verb: ClassVar[str] = "hold"


class Reopen(Command):
    verb: ClassVar[str] = "reopen"


class Close(Command):
    verb: ClassVar[str] = "close"


class Beat(Command):
    verb: ClassVar[str] = "beat"


class Climb(Command):
    verb: ClassVar[str] = "climb"
    steps: int = 3
    retries: int = 0
    twice: bool = False


class Step(Command):
    verb: ClassVar[str] = "step"
    number: int
    last: bool = False


class Draft(Command):
    verb: ClassVar[str] = "draft"
    prompt: str
    retries: int = 0
    answer: str = ""  # where there is one already, the turn ends where it begins


class Drafted(Command):
    verb: ClassVar[str] = "drafted"
    turn: str
    status: str
    text: str


class Stop(Command):
    verb: ClassVar[str] = "stop"


class Look(Command):
    """Decide by what the facts say: the answer stands in the event."""

    verb: ClassVar[str] = "look"
    other: str = ""
    key: str = ""
    job: str = ""


class Publish(Command):
    """Write a file outside the transaction; taken back when the command is refused."""

    verb: ClassVar[str] = "publish"
    path: str
    refuse: bool = False


class Forget(Command):
    verb: ClassVar[str] = "forget"
    owner: str
    then: str = ""  # the prompt of a draft that is asked for with it


class Wrong(Command):
    """Make a mistake that only a kind can make."""

    verb: ClassVar[str] = "wrong"
    how: str


TEAM_LIFECYCLE = Lifecycle(
    ("on",),
    [
        Move("create", (), ("member", "system"), ("on",)),
        Move("join", ("on",), ("lead",)),
        Move("erase", ("on",), ("lead",)),
    ],
)
LIFECYCLE = Lifecycle(
    ("open", "held", "closed"),
    [
        Move("create", (), ("member", "guest"), ("open",)),
        Move("say", ("open",), ("lead", "member")),
        Move("rename", ("open",), ("lead",)),
        Move("put", ("open",), ("lead", "member")),
        Move("let", ("open", "held"), ("lead",)),
        Move("mint", ("open",), ("lead",)),
        Move("hold", ("open",), ("lead",), ("held",)),
        Move("reopen", ("held",), ("lead",), ("open",), opening="Cannot reopen the workshop."),
        Move("close", ("open", "held"), ("lead", "system"), ("closed",)),
        Move("beat", ("open",), ("system",)),
        Move("climb", ("open",), ("lead",)),
        Move("step", ("open", "held"), ("system",)),
        Move("draft", ("open",), ("lead", "member")),
        Move("drafted", ("open",), ("system",)),
        Move("stop", ("open", "held"), ("lead",)),
        Move("look", ("open",), ("lead",)),
        Move("publish", ("open",), ("lead",)),
        Move("forget", ("open", "held", "closed"), ("lead",)),
        Move("wrong", ("open",), ("lead",)),
        Move("erase", ("open", "held", "closed"), ("lead",)),
    ],
    final=("closed",),
)
COMMANDS: dict[str, type[Command]] = {
    command.verb: command
    for command in (
        Create, Say, Rename, Put, Let, Mint, Hold, Reopen, Close, Beat, Climb, Step, Draft, Drafted, Stop, Look,
        Publish, Forget, Wrong,
    )
}  # fmt: skip


def decide_team(ask: Ask) -> Decision:
    match ask.command:
        case Found() as new:
            return Decision((Fact("founded"),), grants=(Grant(ask.actor.id, "lead"),), id=new.id, key=new.key)
        case Join() as joined:
            until = None if joined.seconds is None else ask.now + timedelta(seconds=joined.seconds)
            return Decision((Fact("joined"),), grants=(Grant(joined.grantee, joined.role, until),))
        case other:
            raise AssertionError(other.verb)


def decide(ask: Ask) -> Decision:
    match ask.command:
        case Create() as new:
            made = {"closes_in": new.closes_in, "beats": new.beats}
            created = () if new.silent else (Fact("created", made, {ask.actor.id: {"name": new.name}}),)
            return Decision(created, grants=(Grant(ask.actor.id, "lead"),), id=new.id, key=new.key, subject=new.team)
        case Say() as said:
            if not said.text:
                return Decision()
            count = len(said.text.split())
            personal: dict[str, Any] = {ask.actor.id: {"text": said.text}}
            if said.about:
                personal[said.about] = {"mentioned": said.text}
            charge = Charge(f"words:{ask.session.space}", count, WORDS, errors.BudgetExhausted(needed=count))
            fact = Fact("said", {"words": count, "whispered": said.whispered}, personal)
            return Decision((fact,), charges=(charge,))
        case Rename() as renamed:
            return Decision(
                (Fact("renamed", {}, {ask.actor.id: {"name": renamed.name}}),), key=renamed.key, subject=renamed.team
            )
        case Put() as thing:
            return Decision((Fact("put", {"id": thing.id, "label": thing.label}),))
        case Let() as let:
            return Decision((Fact("let", {"role": let.role}),), grants=(Grant(let.grantee, let.role, let.until),))
        case Mint() as minted:
            return Decision((Fact("minted"),), grants=(Grant(minted.credential, "member"),))
        case Climb() | Draft() as asked:
            return _decide_work(ask, asked)
        case Step() as step:
            return Decision((Fact("stepped", {"number": step.number}),))
        case Drafted() as draft:
            data = {"turn": draft.turn, "status": draft.status}
            return Decision((Fact("drafted", data, {ask.session.data["author"]: {"text": draft.text}}),))
        case Stop():
            return Decision((Fact("stopped"),), cancel=("climb", "draft"))
        case Look():
            return Decision((Fact("looked", dict(ask.known)),))
        case Publish() as published:
            if published.refuse:
                raise errors.Conflict("Not this one.")
            return Decision((Fact("published", {"size": ask.known.get("size")}),))
        case Forget() as forgotten:
            job = JobRequest("draft", "draft", ask.uuid("turn"), {"prompt": forgotten.then})
            return Decision((Fact("forgot"),), erase=(forgotten.owner,), jobs=(job,) if forgotten.then else ())
        case Wrong(how="takeover"):
            raise AssertionError(JobRequest("climb", "climb", "x", on_takeover="resum"))
        case Wrong() as wrong:
            return cast("Decision", _decide_wrongly(ask, wrong.how))
        case command:
            return Decision(
                (Fact({"hold": "held", "reopen": "reopened", "beat": "beaten"}.get(command.verb, "closed")),)
            )


def _decide_work(ask: Ask, asked: Climb | Draft) -> Decision:
    if isinstance(asked, Climb):
        job = JobRequest("climb", "climb", ask.uuid("climb"), {"steps": asked.steps}, retries=asked.retries)
        data = {"job": job.id, "author": ask.actor.id}
        return Decision((Fact("climbing", data),), jobs=(job,), cancel=("climb",) if asked.twice else ())
    turn = ask.uuid("turn")
    job = JobRequest(
        "draft", "draft", turn, {"prompt": asked.prompt}, "interrupt", ("lead", "member"), retries=asked.retries
    )
    fact = Fact("drafting", {"job": turn, "author": ask.actor.id}, {ask.actor.id: {"prompt": asked.prompt}})
    if asked.answer:
        data = {"turn": turn, "status": "completed"}
        return Decision((fact, Fact("drafted", data, {ask.actor.id: {"text": asked.answer}})), jobs=(job,))
    return Decision((fact,), jobs=(job,))


def _decide_wrongly(ask: Ask, how: str) -> Any:
    who = ask.actor.id
    wrong: dict[str, Any] = {
        "state": Decision((Fact("held"),)),
        "type": Decision((Fact("not a type"),)),
        "owner": Decision((Fact("said", {"words": 0}, {'who" knows': {}}),)),
        "event": Decision((Fact("renamed", {}, {who: {"name": "é" * (MAX_EVENT_BYTES // 2)}}),)),
        "data": Decision((Fact("renamed", {}, {who: {"name": "é" * (MAX_DATA_BYTES // 2)}}),)),
        "number": Decision((Fact("said", {"words": 1e20}),)),
        "time": Decision((Fact("said", {"words": ask.now}),)),
        "nothing": None,
        "twice": Decision(
            (Fact("stopped"),), jobs=(JobRequest("climb", "climb", "1"), JobRequest("climb", "climb", "2"))
        ),
        "nowork": Decision((Fact("stopped"),), jobs=(JobRequest("dance", "dance", "1"),)),
        "one": Decision(Fact("said", {"words": 0})),  # type: ignore[arg-type]
        "clock": Decision((Fact("stuck"),)),
        "crash": Decision((Fact("crashing"),)),
        "refusing": Decision((Fact("refusing"),)),
        "large": Decision((Fact("renamed", {}, {who: {"name": "x" * 20_000}}),)),
    }
    return wrong[how]


def fold_team(session: Session, event: Event) -> Session:
    return session.to("on")


def fold(session: Session, event: Event) -> Session:
    match event.type:
        case "created":
            blank: dict[str, Any] = {
                "name": event.part(event.actor).get("name"),
                "said": 0,
                "beats": 0,
                "heard": {},
                "climbed": 0,
            }
            blank |= {"closes_in": event.data["closes_in"], "next": 1 if event.data["beats"] else None, "author": None}
            return session.to("open").set(**blank)
        case "said":
            heard = {owner: content is not None for owner, content in event.personal.items()}
            texts = [text for owner in sorted(event.personal) if (text := event.part(owner).get("text"))]
            said = session.put("said", str(event.seq), {"text": "".join(texts), "heard": heard})
            return said.set(said=session.data["said"] + event.data["words"])
        case "renamed":
            return session.set(name=event.part(event.actor).get("name") or "")
        case "put":
            if event.data["label"] is None:
                return session.drop("things", event.data["id"])
            return session.put("things", event.data["id"], {"label": event.data["label"]})
        case "held":
            return session.to("held")
        case "reopened":
            return session.to("open")
        case "closed":
            return session.to("closed")
        case "beaten":
            return session.set(beats=session.data["beats"] + 1, next=session.data["next"] + 1)
        case "climbing" | "drafting":
            return session.set(author=event.data["author"], job=event.data["job"])
        case "stepped":
            return session.set(climbed=event.data["number"])
        case "stuck" | "crashing" | "refusing":
            return session.set(wrong=event.type)
        case _:
            return session


def due(session: Session) -> Due | None:
    data, made = session.data, session.created_at
    if session.state == "closed" or made is None:
        return None
    if data.get("wrong") == "crashing":
        raise KeyError("a kind that cannot say when")
    if data.get("wrong") == "stuck":
        return Due(Rename(name=data["name"]), made)
    if data.get("wrong") == "refusing" and (data["next"] is None or data["beats"]):
        return Due(Reopen(), made)
    closes = None if data["closes_in"] is None else made + timedelta(seconds=data["closes_in"])
    beat = made + data["next"] * BEAT if data["next"] is not None and session.state == "open" else None
    if beat is not None and (closes is None or beat < closes):
        return Due(Beat(), beat)
    return None if closes is None else Due(Close(), closes)


def audience(session: Session, actor: Actor, role: str) -> str:
    return f"lead:{actor.id}" if role == "lead" else role


def view(session: Session, audience: str, now: datetime) -> dict[str, Any]:
    seen = {name: session.data.get(name) for name in ("name", "said", "beats", "climbed")}
    things = {id: thing["label"] for id, thing in session.collection("things").items()}
    return {"state": session.state, **seen, "things": things, "as_of": session.position, "audience": audience}


def tell(event: Event, audience: str) -> dict[str, Any] | None:
    if event.data.get("whispered") and not audience.startswith("lead"):
        return None
    return {"type": event.type, "data": dict(event.data), "personal": dict(event.personal)}


def parts(event: Event, audience: str) -> Collection[str]:
    """A lead takes everything along, others what the speaker said."""
    return list(event.personal) if audience.startswith("lead") else [event.actor]


def final(event: Event) -> Final | None:
    if event.type != "drafted":
        return None
    text = next((content["text"] for content in event.personal.values() if content), "")
    return Final(event.data["turn"], event.data["status"], text)


def look(reader: Reader, command: Command) -> Mapping[str, Any]:
    assert isinstance(command, Look)
    other, found = reader.other(command.other), reader.find("workshop", command.key)
    job = reader.job(command.job)
    said = [event.seq for event in reader.journal(["said"])]
    return {
        "other": other and other.id,
        "found": found and found.id,
        "job": job and dict(job),
        "written": reader.text(command.job),
        "said": said,
        "below": [event.seq for event in reader.journal(before=3)],
        "installed": sorted(reader.installed),
        "who": reader.actor.id,
        "mine": sorted(session.id for session in reader.mine("workshop", limit=3)),
        "held": [session.id for session in reader.mine("workshop", state="held")],
        "words": reader.counted(f"words:{reader.session.space}"),
        "nothing": reader.counted("nothing"),
        "members": [id for id in ("user:ada", "user:eve", "user:nobody") if reader.has_member(id)],
        "now": reader.now.isoformat(),
    }


@contextmanager
def published(outside: Outside, command: Publish) -> Iterator[Mapping[str, Any]]:
    path = Path(command.path)
    path.write_text(f"{outside.actor.id}, {outside.role}, {outside.session.id}")
    try:
        yield {"size": path.stat().st_size}
    except BaseException:
        path.unlink()
        raise


def climb(room: Workroom) -> None:
    """Report each step that is not in the journal yet."""
    done = len(room.events(["stepped"]))
    for number in range(done + 1, room.input["steps"] + 1):
        room.report(Step(number=number), last=number == room.input["steps"])


def draft(room: Workroom) -> None:
    """Write the prompt back."""
    room.write(room.input["prompt"])
    room.report(Drafted(turn=room.job, status="completed", text=room.written()), last=True)


def interrupted(turn: str, text: str, reason: str) -> Command:
    return Drafted(turn=turn, status="interrupted" if reason == "interrupted" else "failed", text=text)


class Held:
    """A job held by the hand: `entered` is set when it has begun, and it goes on when `go` is set.

    `do` is what it does then; it is given the room and how often it has been run.
    """

    def __init__(self, do: Callable[[Workroom, int], None]) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()
        self.left = threading.Event()
        self.rooms: list[Workroom] = []
        self._do = do

    def __call__(self, room: Workroom) -> None:
        self.rooms.append(room)
        self.entered.set()
        try:
            if not self.go.wait(60):
                raise TimeoutError("nobody let the job go on")
            self._do(room, len(self.rooms))
        finally:
            self.left.set()


TEAM = Kind(
    "team",
    TEAM_LIFECYCLE,
    {"create": Found, "join": Join},
    decide_team,
    fold_team,
    audience=audience,
    view=lambda session, audience, now: {"state": session.state},
    tell=tell,
    standing={"admin": "lead"},
    key_scope="installation",
)


def kind(
    *,
    work: Mapping[str, Work] | None = None,
    interrupts: bool = True,
    follows: bool = False,
) -> Kind:
    """The workshop, with other work to do, without a word for work that cannot go on, or erased with its subject."""
    return Kind(
        "workshop",
        LIFECYCLE,
        COMMANDS,
        decide,
        fold,
        audience=audience,
        view=view,
        tell=tell,
        due=due,
        facts={"look": look},
        around={"publish": published},
        work={"climb": climb, "draft": draft, **(work or {})},
        interrupted={"draft": interrupted} if interrupts else {},
        inherits=True,
        erased_with_subject=follows,
        minting=frozenset({"mint"}),
        label="Workshop",
        title=lambda session: str(session.data.get("name", session.id)),
        final=final,
        search=lambda session: f"{session.data['name']} {' '.join(sorted(session.collection('things')))}",
        exports=lambda session, audience: audience != "watcher",
        parts=parts,
        owner="lead",
        needs=lambda session, audience: "Say something." if not session.data["said"] else None,
        meters=lambda session, audience, now: [{"label": "Words", "value": session.data["said"], "max": WORDS}],
    )


KIND = kind()
KINDS = {"team": TEAM, "workshop": KIND}
