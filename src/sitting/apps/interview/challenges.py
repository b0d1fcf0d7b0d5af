"""The kind `challenge`, and the library that comes with the product.

A challenge is a session that lives long: its journal is its history. Everybody in a space sees it and may copy it; the
one who made it, or an administrator, changes it. It is archived, never destroyed: interviews hold a copy of its text.
The built-in challenges are data of this package, the same in every space, and cannot be changed; a copy can.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from ... import errors
from ...core.actor import ADMIN, MEMBER, Actor
from ...core.chain import canonical
from ...core.event import Event, Fact, to_text
from ...core.kind import Ask, Command, Decision, Grant, Kind
from ...core.lifecycle import CREATE, Lifecycle, Move
from ...core.session import Session
from .commands import Storable
from .refusals import BuiltIn
from .terms import MAX_CHALLENGE_BYTES, MAX_SECONDS, MAX_TEXT

OWNER, READER = "owner", "reader"
TEXTS = "challenge"  # the owner of a challenge's texts in its journal

Category = Literal["algorithms", "data_structures", "system_design", "coding", "debugging", "optimization", "other"]
Difficulty = Literal["easy", "medium", "hard"]
CATEGORIES: tuple[str, ...] = get_args(Category)
DIFFICULTIES: tuple[str, ...] = get_args(Difficulty)


def _unblank(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be blank")
    return value


Title = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200), Storable]
Description = Annotated[str, StringConstraints(max_length=2000), Storable]
Instructions = Annotated[str, StringConstraints(max_length=MAX_TEXT), AfterValidator(_unblank), Storable]
Code = Annotated[str, StringConstraints(max_length=MAX_TEXT), Storable]
Hint = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000), Storable]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40), Storable]
Duration = Annotated[int, Field(ge=60, le=MAX_SECONDS)]


class Case(BaseModel):
    """An input and what is expected for it; shown to interviewers, never to a model."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    input: Annotated[str, StringConstraints(max_length=2000), Storable]
    expected: Annotated[str, StringConstraints(max_length=2000), Storable]


Cases = Annotated[list[Case], Field(max_length=50)]
Hints = Annotated[list[Hint], Field(max_length=10)]
Tags = Annotated[list[Tag], Field(max_length=10)]


def _check_size(fields: Mapping[str, Any]) -> None:
    # An interview keeps a copy in one event beside its own text, so the whole has a limit beside each field's.
    if len(canonical(dict(fields)).encode()) > MAX_CHALLENGE_BYTES:
        raise ValueError(f"A challenge holds at most {MAX_CHALLENGE_BYTES // 1024} KB in all")


class CreateChallenge(Command):
    """Add a challenge to the library."""

    verb: ClassVar[str] = CREATE

    title: Title
    description: Description = ""
    category: Category
    difficulty: Difficulty
    instructions: Instructions = Field(description="What the candidate reads.")
    starter_code: Code = ""
    test_cases: Cases = Field(default_factory=list, description="For interviewers; never given to the model.")
    hints: Hints = Field(default_factory=list, description="For interviewers and the model.")
    tags: Tags = Field(default_factory=list)
    estimated_duration: Duration = Field(3600, description="Seconds.")
    is_template: bool = False

    @model_validator(mode="after")
    def _small_enough(self) -> CreateChallenge:
        _check_size(self.model_dump(mode="json"))
        return self


class EditChallenge(Command):
    """Change a challenge; only the fields that are set count."""

    verb: ClassVar[str] = "edit"

    title: Title = ""
    description: Description = ""
    category: Category = "other"
    difficulty: Difficulty = "medium"
    instructions: Instructions = ""
    starter_code: Code = ""
    test_cases: Cases = Field(default_factory=list)
    hints: Hints = Field(default_factory=list)
    tags: Tags = Field(default_factory=list)
    estimated_duration: Duration = 3600
    is_template: bool = False


class ArchiveChallenge(Command):
    """Offer a challenge no longer; the interviews that use it keep it."""

    verb: ClassVar[str] = "archive"


class RestoreChallenge(Command):
    """Offer an archived challenge again."""

    verb: ClassVar[str] = "restore"


FIELDS = tuple(CreateChallenge.model_fields)


def _create(ask: Ask, command: CreateChallenge) -> Decision:
    fact = Fact("created", {}, {TEXTS: command.model_dump(mode="json")})
    grants = (Grant(ask.actor.id, OWNER),) if ask.actor.is_user else ()
    return Decision((fact,), grants=grants)


def _edit(ask: Ask, command: EditChallenge) -> Decision:
    wished = command.model_dump(mode="json", include=command.model_fields_set)
    present = fields_of(ask.session)
    changed = {name: value for name, value in wished.items() if value != present.get(name)}
    if not changed:
        return Decision()
    try:
        _check_size({**present, **changed})
    except ValueError as error:
        raise errors.Invalid.field("body", str(error)) from None
    return Decision((Fact("edited", {"fields": sorted(changed)}, {TEXTS: changed}),))


_DECISIONS: Mapping[str, Callable[[Ask, Any], Decision]] = {
    "create": _create,
    "edit": _edit,
    "archive": lambda ask, _command: Decision((Fact("archived"),)),
    "restore": lambda ask, _command: Decision((Fact("restored"),)),
}


def decide(ask: Ask) -> Decision:
    """What follows from a command."""
    return _DECISIONS[ask.command.verb](ask, ask.command)


def fold(session: Session, event: Event) -> Session:
    """The challenge after one event.

    A forged bundle may hold what no command writes, and one such challenge would spoil the library's lists for all: its
    texts, unless they are erased, must pass what a command's must, and nothing comes before them. Raises ValueError,
    LookupError.
    """
    part = event.part(TEXTS)
    if event.type == "created":
        if event.personal[TEXTS] is not None:
            CreateChallenge.model_validate(part, strict=True)
            part = {name: part[name] for name in FIELDS}
        return session.put("texts", "fields", part).set(creator=event.actor).to("active")
    present = session.collection("texts")["fields"]
    match event.type:
        case "edited":
            EditChallenge.model_validate(part, strict=True)
            event.data["fields"]  # its history tells it
            return session.put("texts", "fields", {**present, **part})
        case "archived":
            return session.to("archived")
        case "restored":
            return session.to("active")
    return session


def fields_of(session: Session) -> Mapping[str, Any]:
    """The fields of a challenge."""
    fields: Mapping[str, Any] = session.collection("texts").get("fields", {})
    return fields


def is_whole(session: Session) -> bool:
    """Whether every text is there: none is when they were erased, and few when one was written since."""
    return all(name in fields_of(session) for name in FIELDS)


def view(session: Session, _audience: str, _now: datetime) -> dict[str, Any]:
    """A challenge as everybody in its space sees it."""
    return {
        "id": session.id,
        **{name: fields_of(session).get(name) for name in FIELDS},
        "status": session.state,
        "creator": session.data.get("creator"),
        "built_in": False,
        "created_at": None if session.created_at is None else to_text(session.created_at),
        "updated_at": None if session.updated_at is None else to_text(session.updated_at),
        "as_of": session.position,
    }


def tell(event: Event, _audience: str) -> dict[str, Any]:
    """One event of a challenge's history."""
    return {
        "seq": event.seq,
        "type": event.type,
        "ts": to_text(event.at),
        "actor": {"role": event.role},
        "description": f"Challenge {event.type}",
        "data": {"fields": event.data["fields"]} if event.type == "edited" else {},
    }


def _audience(_session: Session, _actor: Actor, role: str) -> str:
    return role


def _search(session: Session) -> str:
    fields = fields_of(session)
    return " ".join((fields.get("title", ""), fields.get("description", ""), *fields.get("tags", ())))


KIND = Kind(
    name="challenge",
    label="Challenge",
    description="A task for interviews, with hints and test cases.",
    lifecycle=Lifecycle(
        ("active", "archived"),
        (
            Move(CREATE, (), (MEMBER,), ("active",)),
            Move("edit", ("active",), (OWNER,), opening="Cannot edit challenge."),
            Move("archive", ("active",), (OWNER,), ("archived",), opening="Cannot archive challenge."),
            Move("restore", ("archived",), (OWNER,), ("active",), opening="Cannot restore challenge."),
        ),
    ),
    commands={each.verb: each for each in (CreateChallenge, EditChallenge, ArchiveChallenge, RestoreChallenge)},
    decide=decide,
    fold=fold,
    audience=_audience,
    view=view,
    tell=tell,
    standing={ADMIN: OWNER, MEMBER: READER},
    title=lambda session: fields_of(session).get("title") or "Challenge",
    search=_search,
    parts=lambda event, _audience: tuple(event.personal),
    owner=OWNER,
)


def _library() -> Mapping[str, Mapping[str, Any]]:
    raw = json.loads(files(__package__).joinpath("challenges.json").read_text(encoding="utf-8"))
    return {each.pop("id"): CreateChallenge(**each, is_template=True).model_dump(mode="json") for each in raw}


# The built-in challenges by id, in the order they are offered.
BUILT_IN = _library()


def built_in(id: str) -> dict[str, Any] | None:
    """A built-in challenge in the form of `view`, or None."""
    fields = BUILT_IN.get(id)
    if fields is None:
        return None
    none = dict.fromkeys(("creator", "created_at", "updated_at", "as_of"))
    return {"id": id, **fields, "status": "active", "built_in": True, **none}


def guard(id: str) -> None:
    """Refuse to change a built-in challenge.

    Raises:
        BuiltIn: it is one.
    """
    if id in BUILT_IN:
        raise BuiltIn


def offered(other: Callable[[str], Session | None], id: str) -> dict[str, Any] | None:
    """The fields of a challenge that new interviews may use: a built-in one, or a whole active one of the space."""
    fields = BUILT_IN.get(id)
    if fields is None:
        session = other(id)
        if session is None or session.kind != KIND.name or session.state != "active":
            return None
        if not is_whole(session):
            return None
        fields = fields_of(session)
    return {name: fields[name] for name in FIELDS if name != "is_template"}


def copy_of(fields: Mapping[str, Any]) -> CreateChallenge:
    """The command that makes a copy, from the fields of a view."""
    return CreateChallenge(**{name: fields[name] for name in FIELDS if name != "is_template"})


def matches(item: Mapping[str, Any], *, category: str = "", difficulty: str = "", tag: str = "", q: str = "") -> bool:
    """Whether a challenge, in the form of `view`, passes a list's filters."""
    words = " ".join((item["title"] or "", item["description"] or "", *(item["tags"] or ()))).casefold()
    return (
        category in ("", item["category"])
        and difficulty in ("", item["difficulty"])
        and (not tag or tag.casefold() in (each.casefold() for each in item["tags"] or ()))
        and q.casefold() in words
    )
