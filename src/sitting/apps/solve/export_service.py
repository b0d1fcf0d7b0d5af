"""One session as a file, in each of its formats: what the route and the command line both give."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ... import bundle
from ...core.kind import Kind
from ...engine import Journal
from ...store.journal import event as event_of
from . import figures, papers

FORMAT = "sitting.solve/1"
SUFFIXES = {"markdown": "md", "json": "json", "html": "html"}


def document(journal: Journal) -> dict[str, Any]:
    """A session with what was said in it, and the digest that its journal ends at."""
    return {
        "format": FORMAT,
        "session": journal.seen.view,
        "messages": figures.messages(event_of(record) for record in journal.records),
        "head": journal.records[-1].hash.hex(),
    }


def written(journal: Journal, format: str, *, kind: Kind, key: Ed25519PrivateKey) -> bytes:
    """The session in one of the formats; the JSON holds the journal, and verifies offline."""
    made = document(journal)
    if format == "markdown":
        return papers.markdown(made).encode()
    if format == "html":
        return papers.html(made).encode()
    both = zip(journal.told, bundle.records_of(journal, kind), strict=True)
    made["events"] = [{**(told or {"seq": record["seq"]}), "record": record} for told, record in both]
    return readable(bundle.sign(made, key))


def readable(value: Any) -> bytes:
    """JSON for people to look at."""
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
