"""What can be asked of a facilitation, with every limit on input.

The sentences of a response's checks are the ones people read, so they are raised as they are and not as a list of
fields.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from ... import errors
from ...core import strict
from ...core.kind import Command
from . import refusals, terms, wording

Member = Annotated[int, Field(ge=1, le=2**31)]
Reason = Annotated[str, AfterValidator(wording.text(terms.MAX_REASON))]
Id = Annotated[str, Field(min_length=1, max_length=128)]


def _line(limit: int) -> Any:
    return AfterValidator(wording.text(limit, required=True))


class Create(Command):
    verb: ClassVar[str] = "create"

    team_id: Id
    month: wording.Month


class ChangeMonth(Command):
    verb: ClassVar[str] = "change_month"

    month: wording.Month


class Start(Command):
    verb: ClassVar[str] = "start"


class Claim(Command):
    verb: ClassVar[str] = "claim"

    member_id: Member


class Leave(Command):
    verb: ClassVar[str] = "leave"


class Submit(Command):
    """A response: at most one card, and one to five points."""

    verb: ClassVar[str] = "submit"

    card: int | None = None
    bullets: list[str]

    @field_validator("card")
    @classmethod
    def _of_the_deck(cls, value: int | None) -> int | None:
        if value is not None and not 1 <= value <= terms.MAX_CARD:
            raise refusals.BadResponse(refusals.CARD_INVALID)
        return value

    @field_validator("bullets")
    @classmethod
    def _short(cls, value: list[str]) -> list[str]:
        said = [each for each in map(wording.storable, value) if each.strip()]
        if not 1 <= len(said) <= terms.MAX_BULLETS:
            raise refusals.BadResponse(refusals.BULLETS_COUNT)
        kept = [wording.bullet(each) for each in said]
        if any(len(point) > terms.MAX_BULLET for point in kept):
            raise refusals.BadResponse(refusals.BULLETS_LENGTH)
        return kept


def parse_bullets(text: str) -> list[str]:
    """The points that a form sent as a JSON array.

    Raises:
        BadResponse: it is no array of texts.
    """
    try:
        value = strict.loads(text.encode())
    except (errors.Invalid, UnicodeEncodeError):
        value = None
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise refusals.BadResponse(refusals.BULLETS_FORMAT)
    return value


class Clear(Command):
    verb: ClassVar[str] = "clear"

    member_id: Member
    reason: Reason = ""


class Release(Command):
    verb: ClassVar[str] = "release"

    member_id: Member


class IssueLinks(Command):
    verb: ClassVar[str] = "issue_links"

    member_ids: list[Member] | None = Field(None, max_length=1000)


class AddToRoster(Command):
    verb: ClassVar[str] = "add_to_roster"

    member_id: Member


class RemoveFromRoster(Command):
    verb: ClassVar[str] = "remove_from_roster"

    member_id: Member


class SetTimer(Command):
    """A deadline so many seconds from now; 0 takes it away."""

    verb: ClassVar[str] = "set_timer"

    seconds: int = Field(ge=0, le=terms.MAX_TIMER)
    close_at_end: bool = False

    @field_validator("seconds")
    @classmethod
    def _long_enough(cls, value: int) -> int:
        if 0 < value < terms.MIN_TIMER:
            raise ValueError(f"must be 0 or at least {terms.MIN_TIMER}")
        return value


class Close(Command):
    verb: ClassVar[str] = "close"


class Reveal(Command):
    verb: ClassVar[str] = "reveal"


class Reopen(Command):
    verb: ClassVar[str] = "reopen"

    reason: Reason = ""


class Synthesize(Command):
    verb: ClassVar[str] = "synthesize"


class RetrySynthesis(Command):
    verb: ClassVar[str] = "retry_synthesis"


class CancelSynthesis(Command):
    verb: ClassVar[str] = "cancel_synthesis"

    job: Id


class SaveNotes(Command):
    """Notes and the recalibration action; what is left out stays."""

    verb: ClassVar[str] = "save_notes"

    facilitator_notes: Annotated[str, AfterValidator(wording.text(terms.MAX_NOTES))] | None = None
    recalibration_action: Annotated[str, AfterValidator(wording.text(terms.MAX_RECALIBRATION))] | None = None

    @model_validator(mode="after")
    def _something(self) -> SaveNotes:
        if self.facilitator_notes is None and self.recalibration_action is None:
            raise ValueError("facilitator_notes or recalibration_action is required")
        return self


class MarkRecalibration(Command):
    verb: ClassVar[str] = "mark_recalibration"

    completed: bool


class RaiseAnonymity(Command):
    verb: ClassVar[str] = "raise_anonymity"

    level: Literal["named", "facilitator_only", "anonymous"]


class ClaimAuthorship(Command):
    verb: ClassVar[str] = "claim_authorship"

    response: Annotated[str, Field(max_length=12)]


class Statement(BaseModel):
    """One statement of a synthesis, with the labels of the responses it stands on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, _line(terms.MAX_STATEMENT_NAME)]
    statement: Annotated[str, _line(terms.MAX_STATEMENT)]
    responses: list[str] = Field(min_length=1, max_length=3)

    @field_validator("name")
    @classmethod
    def _short(cls, value: str) -> str:
        if not 1 <= len(value.split()) <= 3:
            raise ValueError("must have 1 to 3 words")
        return value

    @field_validator("responses")
    @classmethod
    def _different(cls, value: list[str]) -> list[str]:
        if len(set(value)) != len(value):
            raise ValueError("must be different labels")
        return value


class Result(BaseModel):
    """What a model makes of the responses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    themes: Annotated[str, _line(terms.MAX_THEMES)]
    statements: list[Statement] = Field(min_length=3, max_length=6)
    gap_type: Literal["Direction", "Alignment", "Commitment"]
    gap_reasoning: Annotated[str, _line(terms.MAX_REASONING)]
    suggested_recalibrations: list[Annotated[str, _line(terms.MAX_SUGGESTION)]] = Field(min_length=3, max_length=3)

    @field_validator("suggested_recalibrations")
    @classmethod
    def _different(cls, value: list[str]) -> list[str]:
        if len({wording.same(each) for each in value}) != len(value):
            raise ValueError("must be three different texts")
        return value


class RecordSynthesis(Command):
    """The job's word: how far it is (`phase`), what came of it (`result`), or why nothing did (`reason`)."""

    verb: ClassVar[str] = "record_synthesis"

    job: str
    phase: Literal["reading", "writing", "checking"] | None = None
    group: int = 1
    groups: int = 1
    result: Result | None = None
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    text: str = ""
    reason: Literal["", "invalid_output", "timeout", "provider", "no_model", "interrupted"] = ""


class ForgetMember(Command):
    """The team has erased this member."""

    verb: ClassVar[str] = "forget_member"

    member_id: Member


OFFERED: tuple[type[Command], ...] = (
    *(Create, ChangeMonth, Start, Claim, Leave, Submit, Clear, Release, IssueLinks, AddToRoster, RemoveFromRoster),
    *(SetTimer, Close, Reveal, Reopen, Synthesize, RetrySynthesis, CancelSynthesis, RecordSynthesis, SaveNotes),
    *(MarkRecalibration, RaiseAnonymity, ClaimAuthorship, ForgetMember),
)
