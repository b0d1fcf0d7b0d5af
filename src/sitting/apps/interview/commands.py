"""What can be asked of an interview, with every limit on input.

The sentences of the validators are the ones people read: JSON answers carry them as they are, pages put a cross before
them. Where the Python interface may do more than HTTP (shorter limits, starting whenever it likes), the wider command
is the base class and the narrower one is what the kind offers to everybody.
"""

from __future__ import annotations

import json
import uuid
from typing import Annotated, Any, ClassVar, Literal

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from ... import errors
from ...core import strict
from ...core.actor import ACTOR
from ...core.chain import canonical
from ...core.kind import Command
from . import terms
from .refusals import CHALLENGE_NOT_FOUND, MessageEmpty, MessageTooLong


def _storable(value: str) -> str:
    try:
        return strict.text(value)
    except errors.Invalid:
        raise ValueError("must not contain NUL or lone surrogates") from None


def _name(value: str) -> str:
    value = _storable(value).strip()
    if not value:
        raise ValueError("Candidate name is required")
    if len(value) > terms.MAX_NAME:
        raise ValueError(f"Candidate name must be at most {terms.MAX_NAME} characters")
    return value


def _email(value: str) -> str:
    if len(value) > terms.MAX_EMAIL:  # before it is normalised, which takes time by the square of the length
        raise ValueError("Invalid email address")
    try:
        return validate_email(value, check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("Invalid email address") from None


def _model(value: str) -> str:
    if value not in terms.MODEL_NAMES:
        raise ValueError("Unknown AI model")
    return value


def _challenge_id(value: str) -> str:
    try:
        return str(uuid.UUID(value))
    except ValueError:
        raise ValueError(CHALLENGE_NOT_FOUND) from None


def _challenge_text(value: str) -> str:
    if len(value) > terms.MAX_TEXT:
        raise ValueError(f"Challenge description must be at most {terms.MAX_TEXT} characters")
    return _storable(value)


def _some_seconds(value: int) -> int:
    if value < 1:
        raise ValueError("Time limit must be at least 1 second")
    if value > terms.MAX_SECONDS:
        raise ValueError(f"Time limit must be at most {terms.MAX_SECONDS // 60} minutes")
    return value


def _seconds(value: int) -> int:
    if value < terms.MIN_SECONDS:
        raise ValueError(f"Time limit must be at least {terms.MIN_SECONDS // 60} minutes")
    return _some_seconds(value)


def _some_tokens(value: int) -> int:
    if value < 1:
        raise ValueError("Token budget must be at least 1")
    if value > terms.MAX_TOKENS:
        raise ValueError(f"Token budget must be at most {terms.MAX_TOKENS}")
    return value


def _tokens(value: int) -> int:
    if value < terms.MIN_TOKENS:
        raise ValueError(f"Token budget must be at least {terms.MIN_TOKENS}")
    return _some_tokens(value)


Criterion = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Checked(BaseModel):
    """The keys of a session's `config` that are checked; all others are kept as they are."""

    model_config = ConfigDict(extra="ignore", strict=True)

    helper: Literal["explain", "hints", "full"] = "hints"
    start_by: Literal["candidate", "interviewer", "either"] = "either"
    temperature: float = Field(0.7, ge=0, le=1)
    criteria: list[Criterion] = Field(list(terms.CRITERIA), min_length=1, max_length=10)
    integrity_marks: bool = False
    candidate_copy: bool = True


def _config(value: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(value, allow_nan=False)
        strict.loads(text.encode())
        size = len(canonical(value).encode())
    except (errors.Malformed, ValueError, TypeError, RecursionError):
        raise ValueError("must be a JSON object") from None
    if size > terms.MAX_CONFIG_BYTES:
        raise ValueError("must be at most 16 KB of JSON")
    try:
        checked = Checked.model_validate_json(text)
    except ValidationError as error:
        first = strict.fields(error)[0]
        raise ValueError(f"{first['field']}: {first['message']}") from None
    if len(set(checked.criteria)) < len(checked.criteria):
        raise ValueError("criteria: must not repeat a name")
    return {**value, "criteria": checked.criteria} if "criteria" in value else value


Name = Annotated[str, AfterValidator(_name)]
Email = Annotated[str, AfterValidator(_email)]
ModelName = Annotated[str, AfterValidator(_model)]
ChallengeId = Annotated[str, AfterValidator(_challenge_id)]
ChallengeText = Annotated[str, AfterValidator(_challenge_text)]
SomeSeconds = Annotated[int, Field(strict=True), AfterValidator(_some_seconds)]
Seconds = Annotated[int, Field(strict=True), AfterValidator(_seconds)]
SomeTokens = Annotated[int, Field(strict=True), AfterValidator(_some_tokens)]
Tokens = Annotated[int, Field(strict=True), AfterValidator(_tokens)]
Config = Annotated[dict[str, Any], AfterValidator(_config)]
Storable = AfterValidator(_storable)
Note = Annotated[str, StringConstraints(min_length=1, max_length=5000, pattern=r"\S"), Storable]
Why = Annotated[str, StringConstraints(strip_whitespace=True, max_length=500), Storable]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500), Storable]
Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]
Position = Annotated[int, Field(ge=1, le=2**53)]


class SessionConfig(Command):
    """A new interview. The Python interface allows the shortest limits; `Create` is what everybody else may ask."""

    verb: ClassVar[str] = "create"

    candidate_name: Name = Field(description="Who is interviewed.")
    candidate_email: Email | None = Field(None, description="Seen by interviewers only.")
    time_limit: SomeSeconds = Field(3600, description="Seconds the candidate has, pauses not counted.")
    token_budget: SomeTokens = Field(50_000, description="Tokens the conversation may use.")
    model_name: ModelName = Field("gpt-4", description="The language model that helps.")
    challenge_id: ChallengeId | None = Field(None, description="A challenge of the library; its text is copied.")
    challenge_text: ChallengeText | None = Field(None, description="Shown below the challenge.")
    config: Config = Field(default_factory=dict, description="Further settings, at most 16 KB.")


class Create(SessionConfig):
    """Plan an interview."""

    time_limit: Seconds = Field(3600, description="Seconds the candidate has, pauses not counted: 300 to 10,800.")
    token_budget: Tokens = Field(50_000, description="Tokens the conversation may use: 1,000 to 200,000.")


class SessionUpdate(Command):
    """A change; only the fields that are set count. `Update` is what everybody but the Python interface may ask."""

    verb: ClassVar[str] = "update"

    candidate_name: Name = ""
    candidate_email: Email | None = None
    time_limit: SomeSeconds = 3600
    token_budget: SomeTokens = 50_000
    model_name: ModelName = "gpt-4"
    challenge_id: ChallengeId | None = None
    challenge_text: ChallengeText | None = None
    config: Config = Field(default_factory=dict)


class Update(SessionUpdate):
    """Change what was planned."""

    time_limit: Seconds = 3600
    token_budget: Tokens = 50_000


class Start(Command):
    """Start the clock."""

    verb: ClassVar[str] = "start"


class StartAnyway(Start):
    """Start the clock whoever is meant to; only the Python interface asks this."""


class Pause(Command):
    """Stop the clock and take no messages."""

    verb: ClassVar[str] = "pause"
    reason: Why = ""


class Resume(Command):
    """Let the clock run on."""

    verb: ClassVar[str] = "resume"


class End(Command):
    """End the interview for good."""

    verb: ClassVar[str] = "end"
    reason: Why = ""


class Expire(Command):
    """The time is up."""

    verb: ClassVar[str] = "expire"


class Warn(Command):
    """A threshold of time was crossed."""

    verb: ClassVar[str] = "warn"


class ExtendTime(Command):
    """Give more time."""

    verb: ClassVar[str] = "extend_time"
    seconds: int = Field(ge=60, le=terms.MAX_SECONDS)
    reason: Reason


class ExtendTokens(Command):
    """Give more tokens."""

    verb: ClassVar[str] = "extend_tokens"
    tokens: int = Field(ge=1, le=terms.MAX_TOKENS)
    reason: Reason


class Join(Command):
    """Take the candidate's seat on this device."""

    verb: ClassVar[str] = "join"


def _message(value: str) -> str:
    if not value.strip():
        raise MessageEmpty
    if len(value) > terms.MAX_MESSAGE:
        raise MessageTooLong
    return _storable(value)


class SendMessage(Command):
    """Write to the model."""

    verb: ClassVar[str] = "send_message"
    content: Annotated[str, AfterValidator(_message)]


class RetryTurn(Command):
    """Ask the model again for a reply that failed."""

    verb: ClassVar[str] = "retry_turn"
    turn: Id


class CancelTurn(Command):
    """Stop the reply that is being written."""

    verb: ClassVar[str] = "cancel_turn"
    turn: Id


class RecordReply(Command):
    """How a reply ended. `reason` is set when it failed."""

    verb: ClassVar[str] = "record_reply"
    turn: Id
    text: str = ""
    model: str = ""
    input_tokens: int | None = None
    output_tokens: int | None = None
    first_token_ms: int | None = None
    duration_ms: int | None = None
    reason: Literal["", "provider", "timeout", "interrupted"] = ""


class RotateLink(Command):
    """Make a new link; the old one and every device that used it end."""

    verb: ClassVar[str] = "rotate_link"
    expires_in: int = Field(terms.LINK_SECONDS, ge=terms.MIN_LINK_SECONDS, le=terms.MAX_LINK_SECONDS)


class RevokeLink(Command):
    """End the link and every device that used it."""

    verb: ClassVar[str] = "revoke_link"


def _user(value: str) -> str:
    if not (value.startswith("user:") and ACTOR.fullmatch(value)):
        raise ValueError("must be the id of a person with an account")
    return value


class AddInterviewer(Command):
    """Add an interviewer."""

    verb: ClassVar[str] = "add_interviewer"
    actor_id: Annotated[str, AfterValidator(_user)]


class RemoveInterviewer(Command):
    """Remove an interviewer; the last one stays."""

    verb: ClassVar[str] = "remove_interviewer"
    actor_id: Annotated[str, AfterValidator(_user)]


class AddNote(Command):
    """Write a note only you can read."""

    verb: ClassVar[str] = "add_note"
    text: Note
    at_seq: Position | None = None


class ChangeNote(Command):
    """Change a note of yours."""

    verb: ClassVar[str] = "change_note"
    note_id: Id
    text: Note
    at_seq: Position | None = None


class RemoveNote(Command):
    """Remove a note of yours."""

    verb: ClassVar[str] = "remove_note"
    note_id: Id


class Citation(BaseModel):
    """A place in the transcript: `quote` is `content[start:end]` of the message at `seq`, in code points."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: Position
    start: int = Field(ge=0, le=terms.MAX_REPLY)
    end: int = Field(ge=1, le=terms.MAX_REPLY)
    quote: Annotated[str, StringConstraints(min_length=1, max_length=terms.MAX_REPLY), Storable]


class Score(BaseModel):
    """A judgement on one criterion, with the places it rests on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    criterion: Criterion
    score: int = Field(ge=1, le=5)
    citations: list[Citation] = Field(default_factory=list, max_length=20)
    comment: Annotated[str, StringConstraints(max_length=1000), Storable] = ""


class _Card(Command):
    scores: list[Score] = Field(default_factory=list, max_length=10)
    summary: Annotated[str, StringConstraints(max_length=2000), Storable] = ""

    @model_validator(mode="after")
    def _small_enough(self) -> _Card:
        if len(canonical(self.model_dump(mode="json")).encode()) > terms.MAX_CARD_BYTES:
            raise ValueError("A scorecard holds at most 192 KB; cite shorter passages")
        return self


class SaveScores(_Card):
    """Keep your scores as a draft; what was kept before is replaced."""

    verb: ClassVar[str] = "save_scores"


class SubmitScorecard(Command):
    """Hand your scorecard in; you then see the others'."""

    verb: ClassVar[str] = "submit_scorecard"


class AmendScorecard(_Card):
    """Change a scorecard that was handed in, and say why."""

    verb: ClassVar[str] = "amend_scorecard"
    reason: Reason


class ProposeEvidence(Command):
    """Ask the model for passages that bear on a criterion."""

    verb: ClassVar[str] = "propose_evidence"
    criterion: Criterion


class CancelEvidence(Command):
    """Stop looking for passages."""

    verb: ClassVar[str] = "cancel_evidence"
    job: Id


class Passage(BaseModel):
    """A passage the model names: words at a place."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seq: Position
    quote: Annotated[str, StringConstraints(min_length=1, max_length=300)]


class RecordEvidence(Command):
    """What the model named, or why it named nothing."""

    verb: ClassVar[str] = "record_evidence"
    job: Id
    items: list[Passage] = Field(default_factory=list, max_length=5)
    reason: str = Field("", max_length=40)


class MarkIntegrity(Command):
    """Something the candidate's page noticed."""

    verb: ClassVar[str] = "mark_integrity"
    kind: Literal["paste", "focus_lost", "focus_back"]
    chars: int = Field(0, ge=0, le=1_000_000)
    away_ms: int = Field(0, ge=0, le=86_400_000)


OFFERED: tuple[type[Command], ...] = (
    Create, Update, Start, Pause, Resume, End, Expire, Warn, ExtendTime, ExtendTokens, Join, SendMessage, RetryTurn,
    CancelTurn, RecordReply, RotateLink, RevokeLink, AddInterviewer, RemoveInterviewer, AddNote, ChangeNote, RemoveNote,
    SaveScores, SubmitScorecard, AmendScorecard, ProposeEvidence, CancelEvidence, RecordEvidence, MarkIntegrity,
)  # fmt: skip
