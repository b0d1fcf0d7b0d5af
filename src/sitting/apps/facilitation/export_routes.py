"""A revealed session as files: JSON that verifies offline, its three levels, Markdown, CSV, and a page to print."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ... import bundle, errors
from ...web import answer, deps
from . import device_routes, edge, exports, refusals, terms, views
from .edge import Who
from .panel_routes import Opened, described, opened

router = APIRouter(tags=["facilitation"])
LEVELS = {"level1": 1, "level2": 2, "level3": 3}


@router.get("/admin/sessions/{session_id}/export")
async def whole(request: Request, session_id: str, who: Who) -> Response:
    """Everything a facilitator may see, signed, with the commitments that let the chain be checked."""
    found = await _revealed(request, session_id, who)
    engine = edge.engine(request)
    journal = await edge.found(engine.journal(session_id, who))
    records = bundle.records_of(journal, engine.kinds[edge.SESSION])
    anonymity = found.panel()["anonymity"]
    entries = [
        {"event": None if told is None else exports.told(told, anonymity), "record": record}
        for told, record in zip(journal.told, records, strict=True)
    ]
    head = journal.records[-1].hash.hex()
    seen = await edge.anew(request, journal.seen, who)
    document = exports.document(seen.session, found.team, seen.now, entries, head)
    signed = bundle.sign(document, deps.installation(request).signing_key)
    return _file(found, ".json", _json(signed), "application/json")


@router.get("/admin/sessions/{session_id}/export/{form}")
async def part(request: Request, session_id: str, form: str, who: Who) -> Response:
    """level1, level2, level3, markdown, csv, print, pdf."""
    found = await _revealed(request, session_id, who)
    session, team, seen = found.session, found.team, found.seen
    if form in LEVELS:
        level = exports.level(session, seen.audience, LEVELS[form])
        return _file(found, f"-{form}.json", _json(level), "application/json")
    match form:
        case "markdown":
            text = exports.markdown(session, team, seen.audience, seen.now)
            return _file(found, ".md", text.encode(), "text/markdown; charset=utf-8")
        case "csv":
            text = exports.csv(session, seen.audience)
            return _file(found, ".csv", text.encode(), "text/csv; charset=utf-8")
        case "pdf":
            return answer.redirect(f"/admin/sessions/{session_id}/export/print")
        case "print":
            return _print(request, found)
    raise errors.NotFound("There is no such export.")


def _print(request: Request, found: Opened) -> Response:
    """The page that people print."""
    shown = found.panel()
    return answer.page(
        request, "admin/sessions/print.html", session=shown, team=described(found.team),
        responses=[device_routes.with_card(each) for each in shown["responses"] or ()],
        grouping=views.grouping(found.session, found.seen.audience), seal_line=views.seal_line(found.session),
        actions=exports.report(found.session, found.team, found.seen.audience, found.seen.now)["actions"],
    )  # fmt: skip


async def _revealed(request: Request, id: str, who: Who) -> Opened:
    """The session, when it has been revealed. Raises NotFound, WrongState."""
    found = await opened(request, id, who)
    if found.session.state != terms.REVEALED:
        raise refusals.cannot_export(found.session.state)
    return found


def _file(found: Opened, end: str, body: bytes, media_type: str) -> Response:
    return answer.attachment(exports.names(found.session, found.team) + end, body, media_type)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
