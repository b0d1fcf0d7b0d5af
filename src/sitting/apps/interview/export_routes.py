"""Interviews as files: JSON that verifies offline, Markdown, and a page to print."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ... import bundle, errors
from ...core.actor import Actor
from ...engine import Journal
from ...store.journal import event as event_of
from ...web import answer, deps
from . import edge, figures, views, wording
from .refusals import INTERVIEW_NOT_FOUND

FORMAT = "sitting.interview/1"
COPY_FORMAT = "sitting.interview.candidate/1"
FORMATS = ("json", "markdown", "print")


async def interview(request: Request, id: str, who: Actor) -> Response:
    """The interviewer's export."""
    kind = deps.choice(request, "format", "json", FORMATS)
    journal = await _journal(request, id, who)
    seen = journal.seen
    events = [event_of(record) for record in journal.records]
    document = {
        "format": FORMAT,
        "session": edge.whole(request, seen.session, seen.audience, seen.now) | {"join_url": None},
        "events": _events(request, journal),
        "messages": figures.messages(events),
        "analytics": figures.analytics(seen.session, events, seen.now),
        "notes": views.notes(seen.session, who.id),
        "scorecards": views.scorecards(seen.session, who.id),
        "head": journal.records[-1].hash.hex(),
    }
    return _as(request, kind, document, id)


async def copy(request: Request, id: str, who: Actor) -> Response:
    """The candidate's copy, after the end, where the interview allows it."""
    kind = deps.choice(request, "format", "json", FORMATS)
    journal = await _journal(request, id, who)
    seen = journal.seen
    events = [event_of(record) for record in journal.records]
    document = {
        "format": COPY_FORMAT,
        "session": seen.view,
        "events": _events(request, journal),
        "messages": figures.messages(events),
        "ledger": figures.ledger(seen.session, events, seen.now),
        "head": journal.records[-1].hash.hex(),
    }
    return _as(request, kind, document, id)


async def _journal(request: Request, id: str, who: Actor) -> Journal:
    journal = await edge.found(edge.engine(request).journal(id, who))
    if journal.seen.session.kind != edge.KIND:
        raise errors.NotFound(INTERVIEW_NOT_FOUND)
    return journal


def _events(request: Request, journal: Journal) -> list[dict[str, Any]]:
    kind = edge.engine(request).kinds[edge.KIND]
    both = zip(journal.told, bundle.records_of(journal, kind), strict=True)
    return [{**(told or {"seq": record["seq"]}), "record": record} for told, record in both]


def _as(request: Request, kind: str, document: dict[str, Any], id: str) -> Response:
    if kind == "json":
        signed = bundle.sign(document, deps.installation(request).signing_key)
        body = json.dumps(signed, ensure_ascii=False, indent=1).encode()
        return answer.attachment(f"interview-{id}.json", body, "application/json")
    if kind == "markdown":
        return answer.attachment(
            f"interview-{id}.md", wording.markdown(document).encode(), "text/markdown; charset=utf-8"
        )
    rows = wording.rows(document["analytics"]) if "analytics" in document else []
    return answer.page(request, "interview/print.html", document=document, guest="ledger" in document, rows=rows)
