"""What can be asked of a team, with every limit on input."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from ...core.actor import ACTOR
from ...core.kind import Command
from . import terms, wording
from .commands import Member
from .refusals import CodeInvalid

_CODE = re.compile(rf"[A-Z0-9]{{{terms.MIN_CODE},{terms.MAX_CODE}}}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _code(value: str) -> str:
    value = value.strip()
    code = value.upper()
    if not value.isascii() or not _CODE.fullmatch(code):
        raise CodeInvalid(fields=[{"field": "code", "message": CodeInvalid.__doc__ or ""}])
    return code


def _day(value: str) -> str:
    if not _DAY.fullmatch(value):
        raise ValueError("must be a day as YYYY-MM-DD")
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        raise ValueError("must be a day of the calendar") from None


def _person(value: str) -> str:
    if not ACTOR.fullmatch(value) or not value.startswith("user:"):
        raise ValueError("must be the id of an account")
    return value


Title = Annotated[str, AfterValidator(wording.text(terms.MAX_NAME, required=True))]
Name = Annotated[str, AfterValidator(wording.name(terms.MAX_NAME))]
Code = Annotated[str, AfterValidator(_code)]
Strategy = Annotated[str, AfterValidator(wording.text(terms.MAX_STRATEGY))]
Prompt = Annotated[str, AfterValidator(wording.text(terms.MAX_PROMPT))]
Action = Annotated[str, AfterValidator(wording.text(terms.MAX_ACTION, required=True))]
Outcome = Annotated[str, AfterValidator(wording.text(terms.MAX_OUTCOME))]
Day = Annotated[str, AfterValidator(_day)]
Person = Annotated[str, AfterValidator(_person)]
Level = Literal["named", "facilitator_only", "anonymous"]
JoinBy = Literal["code", "link"]


class TeamSettings(BaseModel):
    """How later sessions of a team run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auto_start: bool = False
    auto_synthesize: bool = True
    auto_reveal: bool = False
    card_required: bool = False
    join_by: JoinBy = "code"
    anonymity: Level = "named"


class ChangedSettings(BaseModel):
    """Some of the settings; what is left out stays."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    auto_start: bool | None = None
    auto_synthesize: bool | None = None
    auto_reveal: bool | None = None
    card_required: bool | None = None
    join_by: JoinBy | None = None
    anonymity: Level | None = None


class CreateTeam(Command):
    """A team; without a code it gets one that is easy to read out."""

    verb: ClassVar[str] = "create"

    company_name: Title
    team_name: Title
    code: Code | None = None
    strategy_statement: Strategy = ""
    image_prompt: Prompt = terms.IMAGE_PROMPT
    bullet_prompt: Prompt = terms.BULLET_PROMPT
    settings: TeamSettings = TeamSettings()


class EditTeam(Command):
    """What is left out stays."""

    verb: ClassVar[str] = "edit"

    company_name: Title | None = None
    team_name: Title | None = None
    code: Code | None = None
    strategy_statement: Strategy | None = None
    image_prompt: Prompt | None = None
    bullet_prompt: Prompt | None = None
    settings: ChangedSettings | None = None


class AddMember(Command):
    verb: ClassVar[str] = "add_member"

    name: Name


class RenameMember(Command):
    verb: ClassVar[str] = "rename_member"

    member_id: Member
    name: Name


class RemoveMember(Command):
    verb: ClassVar[str] = "remove_member"

    member_id: Member


class EraseMember(Command):
    """Destroy a member's name and responses everywhere; `confirm` is the name."""

    verb: ClassVar[str] = "erase_member"

    member_id: Member
    confirm: Annotated[str, Field(max_length=1000)]


class AddFacilitator(Command):
    verb: ClassVar[str] = "add_facilitator"

    actor_id: Person


class RemoveFacilitator(Command):
    verb: ClassVar[str] = "remove_facilitator"

    actor_id: Person


class AddAction(Command):
    verb: ClassVar[str] = "add_action"

    text: Action
    owner_member_id: Member | None = None
    due_on: Day | None = None
    session_id: Annotated[str, Field(min_length=1, max_length=128)]


class ChangeAction(Command):
    """What is left out stays; an owner or a day set to null goes."""

    verb: ClassVar[str] = "change_action"

    action_id: Annotated[int, Field(ge=1, le=2**31)]
    text: Action | None = None
    owner_member_id: Member | None = None
    due_on: Day | None = None
    status: Literal["open", "done", "dropped"] | None = None
    outcome: Outcome | None = None

    @model_validator(mode="after")
    def _something(self) -> ChangeAction:
        if self.model_fields_set <= {"action_id"}:
            raise ValueError("nothing to change")
        return self


OFFERED: tuple[type[Command], ...] = (
    *(CreateTeam, EditTeam, AddMember, RenameMember, RemoveMember, EraseMember),
    *(AddFacilitator, RemoveFacilitator, AddAction, ChangeAction),
)
