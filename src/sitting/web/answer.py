"""What goes out: JSON, pages, redirects, files.

JSON is compact UTF-8 and can always be written: a lone surrogate in an old value leaves as its escape. Pages are
rendered with autoescape and strict undefined names from `web/templates` and the applications' own template folders.
"""

from __future__ import annotations

import hashlib
import json as jsonlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import BaseLoader, ChoiceLoader, Environment, FileSystemLoader, StrictUndefined
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response

from ..core.event import to_text
from . import deps
from .markdown import markdown

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"
NO_HEADERS: Mapping[str, str] = {}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return to_text(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    raise TypeError(f"{type(value).__name__} is not JSON")


_encode = jsonlib.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_plain).encode


def dumps(value: Any) -> bytes:
    """Compact JSON on one line; times in the house's form."""
    return _encode(value).encode("utf-8", "backslashreplace")


def json(
    value: Any, status: int = 200, headers: Mapping[str, str] = NO_HEADERS, *, media_type: str = "application/json"
) -> Response:
    """A JSON answer."""
    return Response(dumps(value), status, headers, media_type)


def accepts_html(request: HTTPConnection) -> bool:
    """Whether `Accept` names text/html, and JSON not before it. Scripts that send `*/*` get JSON."""
    html = json_quality = 0.0
    for item in request.headers.get("accept", "").split(","):
        name, _, parameters = item.partition(";")
        found = re.search(r"q=([01](?:\.\d{0,3})?)", parameters)
        quality = float(found[1]) if found else 1.0
        match name.strip().lower():
            case "text/html" | "application/xhtml+xml":
                html = max(html, quality)
            case "application/json" | "application/problem+json":
                json_quality = max(json_quality, quality)
    return html > 0 and html >= json_quality


def page(
    request: Request, name: str, /, *, status: int = 200, headers: Mapping[str, str] = NO_HEADERS, **context: Any
) -> HTMLResponse:
    """A page. What every page has (`nav`, `path`, `actor`, `csrf_token`, `version`, `flash`) is added here.

    The person signed in is the one `deps` has found for this request; a handler that asks nobody calls `deps.maybe`.
    """
    state = request.app.state
    caller = deps.known_caller(request)
    fresh = None
    if caller is not None and caller.csrf is not None:
        token = caller.csrf
    else:
        token, fresh = deps.form_token(request)
    signed_in = caller is not None and caller.actor.is_user
    common = {
        "nav": state.nav,
        "path": request.url.path,
        "status": status,
        "version": state.version,
        "flash": [],
        "csrf_token": token,
        "actor": {"id": caller.actor.id, "name": caller.name} if caller is not None and signed_in else None,
    }
    environment: Environment = state.templates
    response = HTMLResponse(environment.get_template(name).render(common | context), status, headers)
    if fresh is not None:
        deps.set_cookie(response, request, deps.FORM, fresh)
    return response


render = page


def respond(
    request: Request,
    value: Any,
    name: str,
    *,
    status: int = 200,
    headers: Mapping[str, str] = NO_HEADERS,
    **context: Any,
) -> Response:
    """The page for people, else the value as JSON."""
    vary = {"Vary": "Accept", **headers}
    if accepts_html(request):
        return page(request, name, status=status, headers=vary, **context)
    return json(value, status, vary)


def redirect(url: str, *, headers: Mapping[str, str] = NO_HEADERS) -> Response:
    """See other: what follows a form that was accepted."""
    return Response(status_code=303, headers={**headers, "Location": quote(url, safe="/%?=&#:;,.~!$'()*+@-_[]")})


def attachment(name: str, body: bytes, media_type: str) -> Response:
    """A file to keep; never shown in place, whatever it holds."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return Response(body, 200, {"Content-Disposition": disposition, "Content-Security-Policy": "sandbox"}, media_type)


def environment(packages: Sequence[Path]) -> Environment:
    """The templates of the house, then those of each application."""
    loaders: list[BaseLoader] = [FileSystemLoader(path) for path in (TEMPLATES, *packages)]
    made = Environment(
        loader=ChoiceLoader(loaders), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.globals["static"] = static_addresses()
    made.filters["markdown"] = markdown
    return made


def static_addresses() -> Callable[[str], str]:
    """A function from a static file's name to its address, which changes with the content so that it may be cached."""
    known: dict[str, str] = {}

    def address(name: str) -> str:
        if name not in known:
            path = STATIC / name
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:12] if path.is_file() else "0"
            known[name] = f"/static/{quote(name)}?v={digest}"
        return known[name]

    return address
