"""What can be asked of a solve session, with every limit on input. Texts are trimmed before they are measured."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from ... import errors
from ...core import strict
from ...core.kind import Command, Erase
from . import terms
from .terms import SLOTS as SLOTS

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)

# Scripts that put no spaces between words: kana, Han, Thai, Lao, Burmese, Khmer.
_SPACELESS = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_SAYS = re.compile(rf"[^\W\d_]{{3}}|[{_SPACELESS}]{{2}}")
_BRACKETED = re.compile(r"\[[^\W\d_][\w ]*\]")  # such as the [email] that stands for an address
_SCRAPS = re.compile(r'[\[\]{}]|"\s*:\s*"')


def _trimmed(value: str) -> str:
    try:
        return strict.text(value).strip()
    except errors.Invalid:
        raise ValueError("must not contain NUL or lone surrogates") from None


def _text(most: int, least: int = 1) -> Any:
    """A trimmed text; what is measured is what is kept."""

    def fits(value: str) -> str:
        value = _trimmed(value)
        if len(value) < least:
            raise ValueError("must not be empty" if least == 1 else f"must have at least {least} characters")
        if len(value) > most:
            raise ValueError(f"must have at most {most} characters")
        return value

    return AfterValidator(fits)


def _tag(value: str) -> str:
    if "," in value:
        raise ValueError("must not contain a comma")
    return value


def _unique(value: list[str]) -> list[str]:
    if len(found := list(dict.fromkeys(value))) > terms.MAX_TAGS:
        raise ValueError(f"must have at most {terms.MAX_TAGS} tags")
    return found


def _instant(value: Any) -> Any:
    """A time with its zone, as UTC. A number is no time, however many seconds it counts."""
    if isinstance(value, str):
        if not _MOMENT.fullmatch(value):
            raise ValueError("must be a time with its zone, such as 2026-01-31T12:00:00Z")
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise ValueError("is no time of any calendar") from None
    if not isinstance(value, datetime) or value.tzinfo is None or not 1970 < value.year < 9000:
        raise ValueError("must be a time with its zone, such as 2026-01-31T12:00:00Z")
    return value.astimezone(UTC)


def _worded(value: str) -> str:
    """A text that says something: a weak model that loses its way puts scraps of JSON where words belong."""
    letters = "".join(c for c in unicodedata.normalize("NFD", value) if not unicodedata.category(c).startswith("M"))
    if not _SAYS.search(letters) or _SCRAPS.search(_BRACKETED.sub("", value)):
        raise ValueError("must say something in words")
    return value


def _lower(value: str) -> str:
    return value.lower()


Locale = Literal["en", "es", "zh"]
Title = Annotated[str, _text(terms.MAX_TITLE)]
Tag = Annotated[str, AfterValidator(_lower), _text(terms.MAX_TAG), AfterValidator(_tag)]
Tags = Annotated[list[Tag], Field(max_length=100), AfterValidator(_unique)]
FirstStep = Annotated[str, _text(terms.MAX_FIRST_STEP)]
Reminder = Annotated[AwareDatetime, BeforeValidator(_instant)]
Line = Annotated[str, _text(terms.MAX_CARD_LINE)]
Lines = Annotated[list[Line], Field(min_length=1, max_length=terms.MAX_CARD_LINES)]
CardTitle = Annotated[str, _text(terms.MAX_CARD_TITLE)]
_WordedLines = Annotated[
    list[Annotated[Line, AfterValidator(_worded)]], Field(min_length=1, max_length=terms.MAX_CARD_LINES)
]
Name = Annotated[str, Field(min_length=1, max_length=128)]


class Create(Command):
    """Open a session; nothing is needed."""

    verb: ClassVar[str] = "create"
    locale: Locale | None = None
    title: Title | None = None
    tags: Tags | None = None


class SendMessage(Command):
    """Say something; `step` must be the one the session is in."""

    verb: ClassVar[str] = "send_message"
    content: Annotated[str, _text(terms.MAX_MESSAGE)]
    step: Literal["receive", "clarify", "reframe", "options", "commit"] | None = None


class CancelTurn(Command):
    """Stop a reply that is being written."""

    verb: ClassVar[str] = "cancel_turn"
    turn: Name


class RetryTurn(Command):
    """Have the message of the last reply answered again."""

    verb: ClassVar[str] = "retry_turn"
    turn: Name


class DismissCrisis(Command):
    """It was not meant like that: have the message answered like any other."""

    verb: ClassVar[str] = "dismiss_crisis"
    turn: Name


class Advance(Command):
    """Go to the next step."""

    verb: ClassVar[str] = "advance"


class AdvanceTo(Advance):
    """Go to the next step, if it is this one."""

    step: str


class ContestStep(Command):
    """Take the last move of the step back."""

    verb: ClassVar[str] = "contest_step"
    reason: Annotated[str, _text(terms.MAX_REASON, 0)] | None = None


class ChooseOption(Command):
    """Choose a card."""

    verb: ClassVar[str] = "choose_option"
    option_id: Name


class AddOption(Command):
    """Add an own card, and choose it."""

    verb: ClassVar[str] = "add_option"
    title: CardTitle
    actions: Lines


class CorrectBelief(Command):
    """Say what is so; null clears."""

    verb: ClassVar[str] = "correct_belief"
    slot: Name
    text: Annotated[str, _text(terms.MAX_BELIEF)] | None


class Commit(Command):
    """Commit to a first step; the session is completed."""

    verb: ClassVar[str] = "commit"
    first_step_action: FirstStep
    reminder_time: Reminder | None = None
    confidence: Annotated[int, Field(ge=1, le=10)] | None = None


class Update(Command):
    """Change what is named; a null clears where something can be cleared."""

    verb: ClassVar[str] = "update"
    title: Title = ""
    tags: Tags = Field(default_factory=list)
    reminder_time: Reminder | None = None
    locale: Locale = "en"
    first_step_action: FirstStep | None = None


class Abandon(Command):
    """Give up; the clock does the same after a long silence."""

    verb: ClassVar[str] = "abandon"


class Reopen(Command):
    """Go on after all."""

    verb: ClassVar[str] = "reopen"


class CompleteAction(Command):
    """The first step is done."""

    verb: ClassVar[str] = "complete_action"
    outcome: Annotated[str, _text(terms.MAX_OUTCOME)] | None = None


class UncompleteAction(Command):
    """The first step is not done after all."""

    verb: ClassVar[str] = "uncomplete_action"


class Export(Command):
    """A copy was taken."""

    verb: ClassVar[str] = "export"
    format: Literal["markdown", "json", "html"]


class Remind(Command):
    """The reminder's time has come; only the clock says so."""

    verb: ClassVar[str] = "remind"


class Card(BaseModel):
    """A way to go on, as the model gives it; its id is given by its place."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    title: Annotated[CardTitle, AfterValidator(_worded)]
    actions: _WordedLines
    pros: _WordedLines
    cons: _WordedLines
    effort: Literal["low", "medium", "high"]


class Belief(BaseModel):
    """What the model believes, and the owner's words that made it believe so."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: Annotated[str, _text(terms.MAX_BELIEF)]
    quote: Annotated[str, _text(terms.MAX_QUOTE, terms.MIN_QUOTE)]


def _told_apart(value: list[Card]) -> list[Card]:
    """Cards are chosen by their titles, too; and two that ask for the same are one."""
    titles = {card.title.casefold() for card in value}
    actions = {tuple(action.casefold() for action in card.actions) for card in value}
    if len(titles) < len(value) or len(actions) < len(value):
        raise ValueError("cards need different titles and different actions")
    return value


Cards = Annotated[
    list[Card], Field(min_length=terms.MIN_CARDS, max_length=terms.MAX_CARDS), AfterValidator(_told_apart)
]


class Trailer(BaseModel):
    """What a model may say to the program after its prose."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    beliefs: dict[Literal["goal", "stakes", "constraints", "tried", "feeling"], Belief] = {}
    suggestions: Annotated[
        list[Annotated[str, _text(terms.MAX_SUGGESTION)]], Field(max_length=terms.MAX_SUGGESTIONS)
    ] = []
    cards: Cards | None = None
    first_step: FirstStep | None = None


class ReportTurn(Command):
    """A job's word on how its reply ended; without a code it is complete."""

    verb: ClassVar[str] = "report_turn"
    turn: Name
    status: Literal["completed", "failed", "interrupted"] = "completed"
    text: str = ""
    code: str | None = None
    data: Trailer = Trailer()
    input_tokens: int | None = None
    output_tokens: int | None = None
    duration_ms: int = 0


OFFERED: tuple[type[Command], ...] = (
    Create,
    SendMessage,
    CancelTurn,
    RetryTurn,
    DismissCrisis,
    ReportTurn,
    Advance,
    ContestStep,
    ChooseOption,
    AddOption,
    CorrectBelief,
    Commit,
    Update,
    Abandon,
    Reopen,
    CompleteAction,
    UncompleteAction,
    Export,
    Remind,
    Erase,
)
