"""The whole error tree and its codes; no HTTP.

    SittingError
    |- Refusal                      the caller can do something about it; nothing was stored
    |  |- NotAuthenticated          NOT_AUTHENTICATED
    |  |- NotAllowed                NOT_ALLOWED
    |  |  '- CsrfFailed             CSRF_FAILED
    |  |- NotFound                  NOT_FOUND
    |  |- Invalid                   VALIDATION_ERROR       facts: fields [{field, message}]
    |  |  |- Malformed              MALFORMED              not even readable
    |  |  '- KeyReused              IDEMPOTENCY_KEY_REUSED
    |  |- TooLarge                  TOO_LARGE
    |  |- Conflict                  CONFLICT
    |  |  |- WrongState             WRONG_STATE            facts: session_status, allowed
    |  |  |- KeyTaken               KEY_TAKEN
    |  |  |- KeyBusy                IDEMPOTENCY_KEY_BUSY
    |  |  '- BudgetExhausted        BUDGET_EXHAUSTED
    |  |- Stale                     STALE_POSITION         facts: position
    |  |- RateLimited               RATE_LIMITED           facts: retry_after (seconds)
    |  |- InvalidCursor             INVALID_CURSOR
    |  |- Gone                      HISTORY_REPLACED       facts: oldest, head
    |  |- ModelNotConfigured        MODEL_NOT_CONFIGURED   facts: help
    |  |- LeaseLost                 LEASE_LOST             another worker holds the job, or it has ended
    |  '- Tampered                  TAMPERED               facts: session, seq
    |- Fault                        the server's trouble; whether anything was stored is said
    |  |- StoreUnavailable          STORE_UNAVAILABLE
    |  |- DiskFull                  DISK_FULL
    |  '- ModelFault                MODEL_FAILED
    |     '- ModelTimeout           MODEL_TIMEOUT
    '- Misuse                       code that builds on Sitting is wrong: a kind, a setting, a database

A class's docstring is its default message; `facts` are safe to show. An application adds subclasses with codes of its
own; the nearest class here decides what the edge makes of them.
"""

from __future__ import annotations

from typing import Any, ClassVar


class SittingError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str | None = None, /, **facts: Any) -> None:
        self.message = message or (type(self).__doc__ or "").strip()
        self.facts = facts
        super().__init__(self.message)


class Refusal(SittingError):
    """The request was refused."""

    code = "REFUSED"


class NotAuthenticated(Refusal):
    """Not authenticated"""

    code = "NOT_AUTHENTICATED"


class NotAllowed(Refusal):
    """You are not allowed to do this."""

    code = "NOT_ALLOWED"


class CsrfFailed(NotAllowed):
    """CSRF token missing or invalid"""

    code = "CSRF_FAILED"


class NotFound(Refusal):
    """Session not found"""

    code = "NOT_FOUND"


class Invalid(Refusal):
    """Invalid input."""

    code = "VALIDATION_ERROR"

    @classmethod
    def field(cls, name: str, message: str) -> Invalid:
        """One field is wrong; the value itself is never repeated."""
        return cls(fields=[{"field": name, "message": message}])


class Malformed(Invalid):
    """The body is not the JSON this server reads."""

    code = "MALFORMED"


class KeyReused(Invalid):
    """This Idempotency-Key was used with another request."""

    code = "IDEMPOTENCY_KEY_REUSED"


class TooLarge(Refusal):
    """The body is too large."""

    code = "TOO_LARGE"


class Conflict(Refusal):
    """The request conflicts with the present state."""

    code = "CONFLICT"


class WrongState(Conflict):
    """The session's state does not allow this."""

    code = "WRONG_STATE"


class KeyTaken(Conflict):
    """A session with this key already exists."""

    code = "KEY_TAKEN"


class KeyBusy(Conflict):
    """A request with this Idempotency-Key is still running."""

    code = "IDEMPOTENCY_KEY_BUSY"


class BudgetExhausted(Conflict):
    """The budget is exhausted."""

    code = "BUDGET_EXHAUSTED"


class Stale(Refusal):
    """The session has moved on since you read it; read it again."""

    code = "STALE_POSITION"


class RateLimited(Refusal):
    """Too many requests. Try again later."""

    code = "RATE_LIMITED"


class InvalidCursor(Refusal):
    """This is not a position the server has given out."""

    code = "INVALID_CURSOR"


class Gone(Refusal):
    """The history was replaced; read the state again and go on from its position."""

    code = "HISTORY_REPLACED"


class ModelNotConfigured(Refusal):
    """No language model is configured. See /help/models."""

    code = "MODEL_NOT_CONFIGURED"

    def __init__(self, message: str | None = None, /, **facts: Any) -> None:
        super().__init__(message, help="/help/models", **facts)


class LeaseLost(Refusal):
    """This job is no longer yours: it has ended, or another worker holds it."""

    code = "LEASE_LOST"


class Tampered(Refusal):
    """The journal does not verify."""

    code = "TAMPERED"


class Fault(SittingError):
    """The server is in trouble. Try again."""

    code = "FAULT"


class StoreUnavailable(Fault):
    """The database cannot be reached. Whether this was stored is unknown; repeat it with the same Idempotency-Key."""

    code = "STORE_UNAVAILABLE"


class DiskFull(Fault):
    """The disk is full. Nothing was stored."""

    code = "DISK_FULL"


class ModelFault(Fault):
    """The language model failed."""

    code = "MODEL_FAILED"


class ModelTimeout(ModelFault):
    """The language model did not answer in time."""

    code = "MODEL_TIMEOUT"


class Misuse(SittingError):
    """The definition, the setting or the database is wrong."""

    code = "MISUSE"
