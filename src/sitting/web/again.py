"""A form that was refused: its page once more, with what had been typed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Self

from starlette.requests import Request
from starlette.responses import Response

from .. import errors
from . import answer, deps, forms
from .errors import patience, status_of

# What the page would be refused with, too, and what no form of ours is refused with.
LASTING = (errors.NotFound, errors.NotAuthenticated, errors.NotAllowed, errors.KeyReused)


def sentences(refusal: errors.Refusal) -> dict[str, str]:
    """Field -> sentence."""
    return {item["field"]: item["message"] for item in refusal.facts.get("fields", [])}


@dataclass(frozen=True)
class Refused:
    """Which form was refused, why, and what had been typed. An application may have a status and headers of its own."""

    form: str
    refusal: errors.Refusal
    values: Mapping[str, str]

    @property
    def message(self) -> str:
        return self.refusal.message

    @property
    def fields(self) -> dict[str, str]:
        return sentences(self.refusal)

    @property
    def faults(self) -> dict[str, str]:
        """Field -> sentence; `_` for the form as a whole."""
        return self.fields or {forms.WHOLE: self.message}

    @property
    def status(self) -> int:
        return status_of(self.refusal)

    @property
    def headers(self) -> dict[str, str]:
        return patience(self.refusal)

    @classmethod
    async def or_again(
        cls,
        request: Request,
        form: str,
        answering: Awaitable[Response],
        again: Callable[[Self], Awaitable[Response]],
    ) -> Response:
        """The answer to a form, or the page the form stands on. Programs and scripts get the refusal itself."""
        try:
            return await answering
        except errors.Refusal as refusal:
            if isinstance(refusal, LASTING) or not (deps.is_form(request) and answer.accepts_html(request)):
                raise
            return await again(cls(form, refusal, forms.typed(await deps.form(request))))
