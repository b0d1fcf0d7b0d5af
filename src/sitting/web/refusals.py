"""What only a request can be refused for; the statuses stand in `web.errors`."""

from __future__ import annotations

from .. import errors


class BadRequest(errors.Refusal):
    """The request is not one this server reads."""

    code = "BAD_REQUEST"


class RequestTimeout(errors.Refusal):
    """The request took too long to arrive."""

    code = "REQUEST_TIMEOUT"


class UnsupportedMedia(errors.Refusal):
    """The server does not read this type of body here."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class NotAcceptable(errors.Refusal):
    """The server cannot answer in a form that Accept allows."""

    code = "NOT_ACCEPTABLE"


class MethodNotAllowed(errors.Refusal):
    """This address does not know this method."""

    code = "METHOD_NOT_ALLOWED"


class NoSuchPage(errors.NotFound):
    """Nothing is here."""
