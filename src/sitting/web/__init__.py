"""The web edge: FastAPI and Starlette over one installation.

`create_app` puts together the door, `/v1`, the generic pages and the applications' own routes. Loading this package is
what loads the web frameworks; nothing below it does.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from copy import copy
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from types import ModuleType
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute, APIRouter
from fastapi.telemetry import TelemetryConfig
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from .. import __version__
from ..installation import App, Installation
from . import answer, api, errors, openapi, pages, signin
from .door import Door
from .refusals import NoSuchPage
from .streams import USUAL, Pace, Streams

_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)+")
# The door makes the spans: the framework's own tell whole paths, and a path may hold a credential.
_OWN: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False}
_YEAR = "public, max-age=31536000, immutable"


def create_app(installation: Installation, *, pace: Pace = USUAL) -> FastAPI:
    """The application that answers for an installation. Whoever made the installation starts and closes it."""
    modules = [import_module(app.routes) for app in installation.apps if app.routes]
    app = FastAPI(
        title="Sitting",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_serving,
        telemetry=_OWN,
    )
    _set_state(app, installation, modules)
    app.state.streams = Streams(installation.live, drain_seconds=installation.settings.drain_seconds, pace=pace)
    app.router.routes.extend(
        [
            *api.ROUTES,
            Route("/static/{name}", _static, methods=["GET"]),
            Route("/openapi.json", _openapi, methods=["GET"]),
        ]
    )
    for module in (signin, *modules, pages):
        _answer_head(module.router)
        app.include_router(module.router)
    errors.install(app)
    settings = installation.settings
    limits = {**api.BODY_LIMITS}
    for module in modules:
        limits.update(getattr(module, "BODY_LIMITS", {}))
    secrets = [pattern for module in (signin, *modules) for pattern in getattr(module, "SECRETS", ())]
    app.add_middleware(
        Door,
        body_limit=settings.body_limit,
        request_seconds=settings.request_seconds,
        allowed_hosts=settings.allowed_hosts,
        limits=[(re.compile(pattern), limit) for pattern, limit in limits.items()],
        secrets=[re.compile(pattern, re.DOTALL | re.IGNORECASE) for pattern in secrets],
    )
    return app


def _answer_head(router: APIRouter) -> None:
    """Let whatever answers GET answer HEAD, as RFC 9110 section 9.1 has it; FastAPI's own routes do not."""
    known = {route.path for route in router.routes if isinstance(route, APIRoute) and route.methods == {"HEAD"}}
    for place, route in reversed(list(enumerate(router.routes))):
        if isinstance(route, APIRoute) and route.methods == {"GET"} and route.path not in known:
            same = copy(route)
            same.methods, same.include_in_schema = {"HEAD"}, False
            router.routes.insert(place, same)  # beside it: the first route that matches is the one
        elif isinstance(inner := getattr(route, "original_router", None), APIRouter):
            _answer_head(inner)


def _set_state(app: FastAPI, installation: Installation, modules: list[ModuleType]) -> None:
    """What handlers find in `request.app.state`."""
    state = app.state
    state.installation = installation
    state.version = __version__
    state.templates = answer.environment([_templates(known) for known in installation.apps if known.templates])
    state.nav = [(known.home, known.title) for known in installation.apps if known.home]
    problems: dict[str, Any] = {}
    for module in modules:
        problems.update(getattr(module, "PROBLEMS", {}))
    state.problems = sorted(problems.items(), key=lambda item: -len(item[0]))
    state.kind_of = OrderedDict()
    state.fault_at = float("-inf")


def _templates(app: App) -> Path:
    """The folder of an application's templates, beside the module its routes are in."""
    package = app.routes.rpartition(".")[0]
    return Path(str(files(package) / app.templates))


@asynccontextmanager
async def _serving(app: FastAPI) -> AsyncIterator[None]:
    async with app.state.installation.live.serving():
        yield


async def _static(request: Request) -> Response:
    """One of our own files. The address carries a hash of the content, so it may be kept for a year."""
    name = request.path_params["name"]
    path = answer.STATIC / name
    if not _NAME.fullmatch(name) or not path.is_file():
        raise NoSuchPage
    headers = {"Cache-Control": _YEAR if "v" in request.query_params else "no-cache"}
    return FileResponse(path, headers=headers)


async def _openapi(request: Request) -> Response:
    """The OpenAPI document, made once."""
    state = request.app.state
    if not hasattr(state, "openapi"):
        kinds: Mapping[str, Any] = state.installation.kinds
        state.openapi = openapi.document(kinds, request.app.routes, version=state.version)
    return answer.json(state.openapi)
