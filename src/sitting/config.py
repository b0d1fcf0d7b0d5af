"""Settings: read once from the environment (`SITTING_*`); every field carries its help line.

`sitting settings` prints this table, and a test holds the reference page against it. A field with `repr=False` is
secret: `visible` says only whether it is set. A password inside an address is masked wherever a setting is shown.
"""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from . import errors

# As far as the last @ before a further address, since nothing stops people from writing @ , or / in a password.
_LOGIN = re.compile(
    r"(?P<scheme>\w[\w+.-]*)://(?P<user>[^:@/?#\s]*)(?P<password>:(?:(?!,\s*\w[\w+.-]*://).)*)?@", re.DOTALL
)
_PASSWORD = re.compile(r"(?i)([?&](?:ssl)?(?:password|token|api_?key)=)[^&#]*")


class Settings(BaseSettings):
    """Everything an operator can turn. Unknown `SITTING_*` variables are refused by `load`."""

    model_config = SettingsConfigDict(env_prefix="SITTING_", extra="forbid", frozen=True)

    data: Path = Field(Path("data"), description="Directory for the database, the secret and the local model.")
    database: str = Field(
        "", description="Database address: empty for SQLite in the data directory, or postgresql://user@host/name."
    )
    hints: str = Field(
        "",
        description="How processes wake each other: empty (NOTIFY where the database is PostgreSQL), none, nats://host "
        "or, where the database's address is a transaction pooler's, PostgreSQL's own postgresql:// address.",
    )
    host: str = Field("127.0.0.1", description="Address the server listens on.")
    port: int = Field(8000, ge=0, le=65535, description="Port the server listens on; 0 takes a free one.")
    base_url: str = Field(
        "", description="Address people reach the server at, for links; empty means the request's own."
    )
    secret: str = Field(
        "",
        repr=False,
        description="Secret the link and session keys derive from (32 characters or more); "
        "empty means a file in the data directory that only its owner can read. Required on PostgreSQL.",
    )
    model: str = Field(
        "local",
        description="Language model: local, scripted, mock, none, or the name of a model at SITTING_MODEL_URL.",
    )
    model_url: str = Field("", description="Base address of an OpenAI-compatible endpoint, ending in /v1.")
    model_key: str = Field("", repr=False, description="API key for SITTING_MODEL_URL.")
    model_window: int = Field(
        8192, ge=512, le=2_000_000, description="Context window of the model at SITTING_MODEL_URL, tokens."
    )
    model_aliases: dict[str, str] = Field(
        default_factory=dict,
        description='Names an application offers, mapped to configured models, as JSON: {"gpt-4": "local"}.',
    )
    worker: bool = Field(True, description="Whether `sitting serve` also runs jobs and deadlines.")
    jobs: int = Field(8, ge=1, le=500, description="Jobs one worker runs at once.")
    applications: list[str] = Field(
        default_factory=list, description="Further applications as dotted names of App values, as JSON list."
    )
    trusted_proxies: str = Field(
        "", description="Comma-separated addresses whose X-Forwarded-For and -Proto are believed."
    )
    allowed_hosts: str = Field("*", description="Comma-separated Host names that are answered; * answers all.")
    body_limit: int = Field(256 * 1024, ge=1024, le=64 * 1024 * 1024, description="Largest request body, bytes.")
    request_seconds: float = Field(
        10.0, gt=0, le=600, description="Time a client may take to send one request, seconds."
    )
    drain_seconds: float = Field(5.0, ge=0, le=120, description="Time live streams get to leave at shutdown, seconds.")
    secure_cookies: bool = Field(
        False, description="Mark cookies Secure and __Host- even when the request looks like plain http."
    )
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="Least level that is logged.")
    interview_time_limit: int = Field(
        3600, ge=300, le=10_800, description="Default time limit of an interview, seconds."
    )
    interview_token_budget: int = Field(
        50_000, ge=1000, le=200_000, description="Default token budget of an interview."
    )
    interview_min_time_limit: int = Field(300, ge=300, le=10_800, description="Least time limit, seconds.")
    interview_max_time_limit: int = Field(10_800, ge=300, le=10_800, description="Largest time limit, seconds.")
    interview_min_token_budget: int = Field(1000, ge=1000, le=200_000, description="Least token budget.")
    interview_max_token_budget: int = Field(200_000, ge=1000, le=200_000, description="Largest token budget.")
    interview_model: str = Field(
        "gpt-4",
        pattern=r"^(gpt-4|gpt-4-turbo|gpt-3\.5-turbo)$",
        description="Default model name of an interview: gpt-4, gpt-4-turbo or gpt-3.5-turbo.",
    )
    interview_messages_minute: int = Field(20, ge=1, description="Messages a minute one interview may receive.")
    interview_messages_hour: int = Field(100, ge=1, description="Messages an hour one interview may receive.")
    interview_messages_space_hour: int = Field(
        1000, ge=1, description="Messages an hour all interviews of a space may receive."
    )
    facilitation_max_members: int = Field(25, ge=1, le=1000, description="Active members a team may have.")
    solve_token_budget: int = Field(60_000, ge=1000, le=2_000_000, description="Token budget of a solve session.")
    solve_emotion: bool = Field(True, description="Whether solve notes the feeling of a message, by word lists.")
    solve_carry_over: bool = Field(True, description="Whether a new solve session opens with its owner's open actions.")
    solve_redact: bool = Field(
        True, description="Whether solve hides e-mail addresses and phone numbers from the model."
    )
    solve_abandon_days: int = Field(30, ge=1, le=3650, description="Days without a message until solve gives up.")
    solve_crisis_resources: dict[str, str] = Field(
        default_factory=lambda: {"US": "988", "ES": "717 003 717"},
        description="Help lines solve names in a crisis, as JSON: region to number. Check them for your country.",
    )
    solve_quota_limit: int | None = Field(
        None, ge=0, description="Solve sessions a space may open in a period; empty means no limit."
    )
    solve_quota_period: str = Field(
        "month",
        pattern="^(month|lifetime)$",
        description="Period of SITTING_SOLVE_QUOTA_LIMIT: month (UTC) or lifetime.",
    )
    solve_quota_tier: str = Field(
        "free", min_length=1, max_length=40, description="Name of the quota, as answers tell it; unlimited without one."
    )
    solve_messages_minute: int = Field(20, ge=1, description="Messages a minute one person may send to solve.")
    solve_creations_minute: int = Field(30, ge=1, description="Solve sessions a minute one person may open.")

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, value: str) -> str:
        if value and len(value) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @field_validator("base_url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if value and not re.match(r"https?://[^/]", value):
            raise ValueError("must begin with http:// or https://")
        return value

    @property
    def database_url(self) -> str:
        """The address SQLAlchemy is given."""
        if not self.database:
            return f"sqlite:///{self.data / 'sitting.db'}"
        return self.database.replace("postgres://", "postgresql://", 1).replace(
            "postgresql://", "postgresql+psycopg://", 1
        )

    @property
    def origin(self) -> str:
        """Where browsers find the server, as far as the settings tell."""
        host = "HOST" if self.host in ("", "0.0.0.0", "::") else f"[{self.host}]" if ":" in self.host else self.host  # noqa: S104
        return self.base_url.rstrip("/") or f"http://{host}:{self.port or 'PORT'}"

    @property
    def is_new(self) -> bool:
        """Whether nothing is installed here yet. Of a database that is named nobody knows before it is asked."""
        return not self.database and not (self.data / "sitting.db").exists()

    def __repr_args__(self) -> Any:
        """What is printed by accident is what may be seen."""
        return visible(self).items()


def visible(settings: Settings) -> dict[str, Any]:
    """Field -> value, as people and logs may see it."""
    return {
        name: _visible(getattr(settings, name), secret=not field.repr) for name, field in Settings.model_fields.items()
    }


def _visible(value: Any, *, secret: bool) -> Any:
    if secret:
        return "(set)" if value else value
    return masked(value) if isinstance(value, str) else value


def masked(address: str) -> str:
    """An address without the password in it; NATS also takes a token in the user's place."""
    return _PASSWORD.sub(r"\1***", _LOGIN.sub(_masked_login, address))


def _masked_login(found: re.Match[str]) -> str:
    scheme, user, password = found.group("scheme", "user", "password")
    if password is not None:
        return f"{scheme}://{user}:***@"
    return found[0] if scheme.startswith("postgres") else f"{scheme}://***@"


def load(**overrides: object) -> Settings:
    """Settings from the environment, then `overrides`.

    Raises:
        Misuse: a value is wrong, or a `SITTING_*` variable is not a setting.
    """
    import os

    unknown = sorted(
        name for name in os.environ if name.startswith("SITTING_") and name[8:].lower() not in Settings.model_fields
    )
    if unknown:
        raise errors.Misuse(f"Unknown settings: {', '.join(map(_guessed, unknown))}. Unset them.")
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = "SITTING_" + str(first["loc"][0]).upper() if first["loc"] else "settings"
        raise errors.Misuse(f"{name}: {first['msg'].removeprefix('Value error, ')}") from None
    except SettingsError as error:
        named = re.search(r'field "(\w+)"', str(error))
        name = f"SITTING_{named[1].upper()}" if named else "A setting"
        raise errors.Misuse(f'{name} must be JSON, with its quotes: ["a"], or {{"a": "b"}}.') from None


def _guessed(name: str) -> str:
    """A name that is no setting, with the one that was probably meant."""
    near = difflib.get_close_matches(name[8:].lower(), Settings.model_fields, n=1)
    return f"{name} (did you mean SITTING_{near[0].upper()}?)" if near else name
