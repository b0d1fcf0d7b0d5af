"""Interviews as files: JSON that verifies offline, Markdown, and a page to print; and what the scorecard form means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ... import bundle, errors
from ...core.actor import Actor
from ...engine import Journal
from ...store.journal import event as event_of
from ...web import answer, deps
from . import edge, figures, views
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
    if seen.session.state not in ("completed", "expired") or not views.setting(seen.session, "candidate_copy"):
        raise errors.NotFound("There is no copy of this interview.")
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


def markdown(document: Mapping[str, Any]) -> str:
    """The document as Markdown: who, limits, every message in full, notes and scores where they are part of it."""
    session = document["session"]
    lines = [f"# Interview {session['id']}", ""]
    if "candidate_name" in session:
        lines += [f"Candidate: {_inline(session['candidate_name'])}", ""]
    lines += [f"Status: {session['status']}. Tokens used: {session['tokens_used']}.", "", "## Messages", ""]
    for message in document["messages"]:
        who = "Candidate" if message["role"] == "user" else "Model"
        mark = f" ({message['mark']})" if message["mark"] else ""
        lines += [f"### {who}, {message['created_at']}{mark}", "", _block(message["content"]), ""]
    for note in document.get("notes", []):
        lines += ["## Note", "", _block(note["text"]), ""]
    cards = document.get("scorecards") or {}
    for card in [cards["own"]] * bool(cards.get("own")) + list(cards.get("others") or []):
        lines += ["## Scorecard", ""]
        for score in card["scores"]:
            lines += [f"- {_inline(score['criterion'])}: {score['score']}"]
            lines += [f"  - seq {quoted['seq']}: {_inline(quoted['quote'])}" for quoted in score["citations"]]
        lines += ["", _block(card["summary"]), ""]
    return "\n".join([*lines, f"Journal head: {document['head']}", ""])


def scored(form: deps.Form, own: Mapping[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
    """The scores after one form: `criterion`, `score`, `comment`, and `quote` found in the message at `seq`.

    A form has no offsets, so the quote is looked for; where it does not stand, offsets that cannot match are sent on
    and the refusal says so.
    """
    name = form.get("criterion", "")
    scores = {score["criterion"]: score for score in own["scores"]}
    if name:
        kept = scores.get(name, {"citations": []})
        citations = [dict(citation) for citation in kept["citations"]]
        quote, seq = form.get("quote", ""), form.get("seq", "")
        if quote:
            content = next((message["content"] for message in messages if str(message["seq"]) == seq), "")
            start = max(0, content.find(quote))
            at = int(seq) if seq.isdecimal() and len(seq) < 16 else 1
            citations.append({"seq": max(1, at), "start": start, "end": start + len(quote), "quote": quote})
        given = form.get("score", "")
        scores[name] = {
            "criterion": name, "score": int(given) if given.isdecimal() and len(given) < 3 else kept.get("score", 0),
            "citations": citations, "comment": form.get("comment", kept.get("comment", "")),
        }  # fmt: skip
    return {"scores": list(scores.values()), "summary": form.get("summary", own.get("summary") or "")}


async def _journal(request: Request, id: str, who: Actor) -> Journal:
    journal = await edge.found(edge.engine(request).journal(id, who))
    if journal.seen.session.kind != edge.KIND:
        raise errors.NotFound(INTERVIEW_NOT_FOUND)
    return journal


def _events(request: Request, journal: Journal) -> list[dict[str, Any]]:
    kind = edge.engine(request).kinds[edge.KIND]
    records = bundle.records_of(journal, kind)
    return [{**(told or {"seq": record["seq"]}), "record": record} for told, record in zip(journal.told, records, strict=True)]


def _as(request: Request, kind: str, document: dict[str, Any], id: str) -> Response:
    if kind == "json":
        signed = bundle.sign(document, deps.installation(request).signing_key)
        body = json.dumps(signed, ensure_ascii=False, indent=1).encode()
        return answer.attachment(f"interview-{id}.json", body, "application/json")
    if kind == "markdown":
        return answer.attachment(f"interview-{id}.md", markdown(document).encode(), "text/markdown; charset=utf-8")
    return answer.page(request, "interview/print.html", document=document, guest="ledger" in document)


def _inline(text: str) -> str:
    return " ".join(text.split())


def _block(text: str) -> str:
    """Text as a quotation, so that what people wrote cannot pose as a part of the document."""
    return "\n".join(f"> {line}" for line in text.splitlines()) or ">"
