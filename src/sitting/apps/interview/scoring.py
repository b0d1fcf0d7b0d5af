"""What the form of a scorecard means. A form knows one criterion at a time, and words instead of offsets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any


def scored(form: Mapping[str, str], own: Mapping[str, Any], contents: Mapping[int, str]) -> dict[str, Any]:
    """The card after one form: `criterion`, `score`, `comment`, a passage to add, and the place of one to `remove`.

    What a form leaves out stays as it is. A criterion without score and passage is not kept: no score without evidence.
    """
    scores = {score["criterion"]: dict(score) for score in own.get("scores", ())}
    if name := form.get("criterion", ""):
        kept = scores.get(name, {"criterion": name, "score": 0, "citations": [], "comment": ""})
        citations = [dict(citation) for citation in kept["citations"]]
        if (remove := _number(form.get("remove", ""))) is not None and remove < len(citations):
            del citations[remove]
        if form.get("quote"):
            citations += [cited] if (cited := _cited(form, contents)) not in citations else []
        given = _number(form.get("score", ""))
        scores[name] = {
            "criterion": name, "score": kept["score"] if given is None else given, "citations": citations,
            "comment": form.get("comment", kept["comment"]),
        }  # fmt: skip
        if form.get("clear"):
            del scores[name]
    return {"scores": list(scores.values()), "summary": form.get("summary", own.get("summary") or "")}


def _cited(form: Mapping[str, str], contents: Mapping[int, str]) -> dict[str, Any]:
    """The passage of a form. Scripts send its offset; typed words are looked for in the message.

    Words that are not there get an offset at which they cannot stand, and the refusal says so.
    """
    quote, seq = form["quote"], _number(form.get("seq", "")) or 0
    content, start = contents.get(seq, ""), _number(form.get("start", ""))
    if start is None or content[start : start + len(quote)] != quote:
        start = max(0, content.find(quote))
    return {"seq": max(1, seq), "start": start, "end": start + len(quote), "quote": quote}


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text.strip(), re.ASCII) else None
