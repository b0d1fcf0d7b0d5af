"""A small kind that uses every part of the engine once: a notebook with a clock, a word budget, readers and an echo.

`KIND` is what most tests want; `kind(...)` makes one with another job or another name. Its rules, so that a test can
say what it expects: a notebook is open, paused, done or expired; it expires `minutes` after it was made, paused or not;
each note costs its words; a private note is told to its owner only; `ask` starts a turn that writes `echo: <prompt>`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Literal

from pydantic import EmailStr, Field, field_validator

from sitting import errors
from sitting.core.actor import Actor
from sitting.core.budget import Budget
from sitting.core.event import Event, Fact, to_text
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
    Reader,
    Workroom,
)
from sitting.core.lifecycle import Lifecycle, Move
from sitting.core.session import Session

QUOTA = 1000  # notebooks of one space
ACTOR = r"^(user|guest):[A-Za-z0-9_-]{1,64}$"


class Create(Command):
    """A new notebook."""

    verb: ClassVar[str] = "create"
    name: str = Field(min_length=1, max_length=80, description="What the notebook is about.")
    minutes: int = Field(60, ge=1, le=180, description="How long it stays open.")
    words: int = Field(500, ge=1, le=10_000, description="How many words it may hold.")
    style: Literal["plain", "formal"] = "plain"
    contact: EmailStr | None = None
    tags: list[Annotated[str, Field(max_length=20)]] = Field(default_factory=list, max_length=5)
    pinned: bool = False
    extra: dict[str, Any] = Field(default_factory=dict, description="Anything else.")
    key: str | None = Field(None, max_length=40, description="A name nobody else in the space has taken.")

    @field_validator("extra")
    @classmethod
    def _is_small(cls, value: dict[str, Any]) -> dict[str, Any]:
        if len(json.dumps(value)) > 2000:
            raise ValueError("must have at most 2000 characters")
        return value


class Note(Command):
    """Write something down."""

    verb: ClassVar[str] = "note"
    text: str = Field(max_length=2000)
    private: bool = Field(False, description="Only the owner can read it.")

    @field_validator("text")
    @classmethod
    def _says_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("Write something first.")
        return value


class AskEcho(Command):
    verb: ClassVar[str] = "ask"
    prompt: str = Field(min_length=1, max_length=500)


class RecordAnswer(Command):
    verb: ClassVar[str] = "answer"
    turn: str
    status: str
    text: str


class Stop(Command):
    verb: ClassVar[str] = "stop"


class Pause(Command):
    verb: ClassVar[str] = "pause"


class Resume(Command):
    verb: ClassVar[str] = "resume"


class End(Command):
    verb: ClassVar[str] = "end"
    reason: str = Field("", max_length=200)


class Expire(Command):
    verb: ClassVar[str] = "expire"


class Invite(Command):
    verb: ClassVar[str] = "invite"
    actor: str = Field(pattern=ACTOR, description="The id of an account or guest.")
    role: Literal["writer", "reader"] | None = Field("reader", description="None takes the role away.")


class Share(Command):
    verb: ClassVar[str] = "share"
    credential: str = Field(pattern=r"^link:[0-9a-f]{64}$")


class Forget(Command):
    """Erase what one person wrote."""

    verb: ClassVar[str] = "forget"
    actor: str = Field(pattern=ACTOR, description="The id of the one whose words go.")


LIFECYCLE = Lifecycle(
    ("open", "paused", "done", "expired"),
    [
        Move("create", (), ("member",), ("open",)),
        Move("note", ("open",), ("owner", "writer")),
        Move("ask", ("open",), ("owner", "writer")),
        Move("answer", ("open", "paused"), ("system",)),
        Move("stop", ("open", "paused"), ("owner", "writer")),
        Move("pause", ("open",), ("owner",), ("paused",)),
        Move("resume", ("paused",), ("owner",), ("open",)),
        Move("end", ("open", "paused"), ("owner",), ("done",)),
        Move("expire", ("open", "paused"), ("system",), ("expired",)),
        Move("invite", ("open", "paused"), ("owner",)),
        Move("share", ("open", "paused"), ("owner",)),
        Move("forget", ("open", "paused", "done", "expired"), ("owner",)),
        Move("erase", ("paused", "done", "expired"), ("owner",)),
    ],
    final=("done", "expired"),
)
COMMANDS: dict[str, type[Command]] = {
    command.verb: command
    for command in (Create, Note, AskEcho, RecordAnswer, Stop, Pause, Resume, End, Expire, Invite, Share, Forget)
}


def budget(session: Session) -> Budget:
    """The words a notebook may hold, and holds."""
    return Budget(session.data["words"], session.data["used"])


def closes_at(session: Session) -> datetime:
    """When the notebook expires."""
    assert session.created_at is not None
    return session.created_at + timedelta(minutes=session.data["minutes"])


def decide(ask: Ask) -> Decision:
    data: dict[str, Any]
    session, who = ask.session, ask.actor.id
    match ask.command:
        case Create() as new:
            made = {"minutes": new.minutes, "words": new.words, "style": new.style, "pinned": new.pinned}
            said = {"name": new.name, "contact": new.contact, "tags": new.tags, "extra": new.extra}
            return Decision(
                (Fact("created", made, {who: said}),),
                grants=(Grant(who, "owner"),),
                charges=(Charge(f"toys:{ask.actor.space}", 1, QUOTA),),
                key=new.key,
            )
        case Note() as note:
            count = len(note.text.split())
            budget(session).reserve(count)
            data = {"id": ask.uuid("note"), "words": count, "private": note.private, "by": who}
            return Decision((Fact("noted", data, {who: {"text": note.text}}),))
        case AskEcho() as question:
            if session.data["turn"]:
                raise errors.Conflict("An echo is still being written.")
            turn = ask.uuid("turn")
            return Decision(
                (Fact("asked", {"turn": turn, "by": who}, {who: {"prompt": question.prompt}}),),
                jobs=(
                    JobRequest(
                        "echo", "echo", turn, {"prompt": question.prompt}, "interrupt", ("owner", "writer"), retries=1
                    ),
                ),
            )
        case RecordAnswer() as reply:
            data = {"turn": reply.turn, "status": reply.status}
            return Decision((Fact("answered", data, {session.data["asker"]: {"text": reply.text}}),))
        case Stop():
            if not session.data["turn"]:
                raise errors.Conflict("Nothing is being written.")
            data = {"turn": session.data["turn"], "status": "cancelled"}
            written = {session.data["asker"]: {"text": ask.known["written"]}}
            return Decision((Fact("answered", data, written),), cancel=("echo",))
        case Invite() as invited:
            return Decision(
                (Fact("invited", {"actor": invited.actor, "role": invited.role}),),
                grants=(Grant(invited.actor, invited.role),),
            )
        case Share() as shared:
            return Decision((Fact("shared"),), grants=(Grant(shared.credential, "reader"),))
        case Forget() as forgotten:
            return Decision((Fact("forgot", {"actor": forgotten.actor}),), erase=(forgotten.actor,))
        case End() as end:
            return Decision((Fact("ended", {}, {who: {"reason": end.reason}}),), cancel=("echo",))
        case Pause():
            return Decision((Fact("paused"),))
        case Resume():
            return Decision((Fact("resumed"),))
        case _:
            return Decision((Fact("expired"),), cancel=("echo",))


def fold(session: Session, event: Event) -> Session:
    match event.type:
        case "created":
            said = {"name": "", "contact": None, "tags": [], "extra": {}, **event.part(event.actor)}
            return session.to("open").set(**event.data, **said, used=0, turn=None, asker=None, echo="", echoes=0)
        case "noted":
            note = {"text": event.part(event.actor).get("text"), "by": event.actor, "private": event.data["private"]}
            return session.set(used=session.data["used"] + event.data["words"]).put("notes", event.data["id"], note)
        case "asked":
            return session.set(turn=event.data["turn"], asker=event.actor)
        case "answered":
            text = event.part(session.data["asker"]).get("text")
            return session.set(turn=None, asker=None, echo=text, echoes=session.data["echoes"] + 1)
        case "paused":
            return session.to("paused")
        case "resumed":
            return session.to("open")
        case "ended":
            return session.to("done").set(turn=None, asker=None)
        case "expired":
            return session.to("expired").set(turn=None, asker=None)
        case _:
            return session


def audience(session: Session, actor: Actor, role: str) -> str:
    return f"owner:{actor.id}" if role == "owner" else role


def _owns(audience: str) -> bool:
    return audience.startswith("owner")


def view(session: Session, audience: str, now: datetime) -> dict[str, Any]:
    told = ("name", "style", "tags", "pinned", "words", "used", "echo", "turn")
    notes = [
        {"id": id, "text": note["text"], "by": note["by"]}
        for id, note in session.collection("notes").items()
        if _owns(audience) or not note["private"]
    ]
    seconds_left = max(0, round((closes_at(session) - now).total_seconds()))
    return {
        "id": session.id,
        "status": session.state,
        **{name: session.data[name] for name in told},
        "notes": notes,
        "seconds_left": 0 if session.state in LIFECYCLE.final else seconds_left,
        "as_of": session.position,
    }


def tell(event: Event, audience: str) -> dict[str, Any] | None:
    if event.type == "noted" and event.data["private"] and not _owns(audience):
        return None
    if event.type in ("invited", "shared") and not _owns(audience):
        return None
    said: dict[str, Any] = {}
    for content in event.personal.values():
        said |= content or {}
    return {
        "seq": event.seq,
        "type": event.type,
        "ts": to_text(event.at),
        "actor": {"role": event.role},
        "description": f"The notebook {event.type}." if event.type in ("paused", "expired") else event.type.title(),
        "data": {**event.data, **said},
    }


def due(session: Session) -> Due | None:
    return None if session.state in LIFECYCLE.final else Due(Expire(), closes_at(session))


def final(event: Event) -> Final | None:
    if event.type != "answered":
        return None
    text = next((content["text"] for content in event.personal.values() if content), "")
    return Final(event.data["turn"], event.data["status"], text)


def meters(session: Session, audience: str, now: datetime) -> Sequence[Mapping[str, Any]]:
    held = budget(session)
    level = "exhausted" if not held.free else "warning" if held.free * 4 <= held.limit else "normal"
    return [{"label": "Words", "value": held.used, "max": held.limit, "text": f"{held.free} left", "level": level}]


def needs(session: Session, audience: str) -> str | None:
    if _owns(audience) and session.state == "open" and not session.collection("notes"):
        return "Write the first note."
    return None


def what_is_written(reader: Reader, command: Command) -> Mapping[str, Any]:
    turn = reader.session.data["turn"]
    return {"written": reader.text(turn) if turn else ""}


def echo(room: Workroom) -> None:
    """Write the prompt back, word by word."""
    room.write("echo:")
    for word in str(room.input["prompt"]).split():
        if room.cancelled:
            return
        room.write(f" {word}")
    room.report(RecordAnswer(turn=room.job, status="completed", text=room.written()), last=True)


def interrupted(turn: str, text: str, reason: str) -> Command:
    status = "interrupted" if reason == "interrupted" else "failed"
    return RecordAnswer(turn=turn, status=status, text=text)


def kind(name: str = "toy", *, work: Callable[[Workroom], None] = echo) -> Kind:
    """The kind, with another name or another way to write an echo."""
    return Kind(
        name,
        LIFECYCLE,
        COMMANDS,
        decide,
        fold,
        audience=audience,
        view=view,
        tell=tell,
        due=due,
        facts={"stop": what_is_written},
        work={"echo": work},
        interrupted={"echo": interrupted},
        standing={"admin": "owner"},
        minting=frozenset({"share"}),
        label="Notebook",
        description="Notes that several people write down in a given time.",
        title=lambda session: session.data["name"] or "Untitled",
        meters=meters,
        final=final,
        search=lambda session: session.data["name"],
        owner="owner",
        needs=needs,
    )


KIND = kind()
