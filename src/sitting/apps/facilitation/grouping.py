"""Responses grouped without a model: by the key words they share, under a rule that is stated beside the result.

The same responses always give the same groups. It finds what several people say in the same words, and nothing more;
so it never says what people mean, and says "not clear" where its word lists do not point one way.
"""

from __future__ import annotations

import re
import weakref
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ...core.session import Session

HEADING = "Grouped without a model"
RULE = (
    "Points stand together when at least two responses share a key word: the word of most responses first, then the "
    "next among the points that are left. Little words do not count, and endings are cut. The gap is named when more "
    "responses use its words than any other gap's, and at least two do."
)
MOST_THEMES = 6
_MOST_WORDS = 3

STOP_WORDS = frozenset(
    "a about above after again all almost also always am an and any anybody are around as at be became because become "
    "been before being below between both but by came can cannot come could day days did do does doing done down each "
    "either else enough etc even ever every everybody everyone everything few for from get gets getting give go goes "
    "going good got had has have having he her here hers him his how however i if in into is it its itself just keep "
    "know last less let like little lot lots made make makes making many may maybe me mean might more most much must "
    "my need needs never new next no nobody none nor not nothing now of off often on once one only or other others our "
    "ours out over own people per point points quite rather really right said same say see seem seems she should since "
    "so some somebody something sometimes soon still such take takes team than that the their them then there these "
    "they thing things think this those though three time times to together too took toward two under until up upon us "
    "use used using very want wants was way we week weeks well went were what when where whether which while who whole "
    "whom whose why will with within without work working works would year years yes yet you your yours".split()
)
_GAPS: Mapping[str, tuple[str, ...]] = {
    "Direction": tuple(
        "aim ambition changing clarity clear confus decide decision destination direction focus future goal lost "
        "mission north objectiv plan prioriti priority purpos reason strateg strategy target unclear understand "
        "vague vision".split()
    ),
    "Alignment": tuple(
        "align block bottleneck communicat connect coordinat department depend duplicat handoff handover inform "
        "meeting overlap process responsib role share silo sync twice wait workflow interface".split()
    ),
    "Commitment": tuple(
        "accountab agenda blame care commit commitment effort energy engag excus follow interest motivat ownership "
        "politic promis selfish tired trust".split()
    ),
}
_WHY: Mapping[str, str] = {
    "Direction": "no shared understanding of goals",
    "Alignment": "work that is not connected",
    "Commitment": "own interest over the common one",
}
_WORD = re.compile(r"[^\W\d_]{3,}")
_ENDINGS = ("ations", "ation", "ments", "ment", "ness", "ings", "ing", "edly", "ies", "ied", "ed", "es", "ly", "s")
_LEAST_STEM = 4
# By the identity of a session in memory, and as long as it is there: what is erased is not kept alive here.
_MADE: dict[int, tuple[weakref.ref[Session], dict[str, Any]]] = {}


@dataclass(frozen=True)
class Point:
    """One point of one response, with the words that count in it: stem -> the word as it was written."""

    response: str
    text: str
    words: Mapping[str, str]


def stem(word: str) -> str:
    """A word without its English ending, when enough is left of it; `plans`, `planned` and `planning` are one."""
    for ending in _ENDINGS:
        if ending == "s" and word.endswith("ss"):
            break
        if word.endswith(ending) and len(word) - len(ending) >= _LEAST_STEM - (ending == "s"):
            word = word[: -len(ending)] + ("y" if ending in ("ies", "ied") else "")
            break
    if len(word) > _LEAST_STEM and word[-1] == word[-2] and word[-1] in "bdgmnprt":
        word = word[:-1]
    return word[:-1] if len(word) > _LEAST_STEM and word.endswith("e") else word


def words(text: str) -> dict[str, str]:
    """The words of a text that count."""
    found = (word for word in _WORD.findall(text.casefold()) if word not in STOP_WORDS)
    return {stem(word): word for word in found}


def remembered(session: Session, responses: Iterable[tuple[str, Sequence[str]]]) -> dict[str, Any]:
    """The groups of all responses of a session, made once for each version of it: every page of a result asks."""
    known = _MADE.get(id(session))
    if known is not None and known[0]() is session:
        return known[1]
    made, key = group(responses), id(session)
    _MADE[key] = weakref.ref(session, lambda gone: _forget(key, gone)), made
    return made


def _forget(key: int, gone: weakref.ref[Session]) -> None:
    """Drop what was made for a session that is gone, unless another has taken its place. In whatever thread it went."""
    if (known := _MADE.get(key)) is not None and known[0] is gone:
        _MADE.pop(key, None)


def group(responses: Iterable[tuple[str, Sequence[str]]]) -> dict[str, Any]:
    """The themes, what is left over, and the gap, of responses given as (label, points)."""
    points = [Point(label, text, words(text)) for label, bullets in responses for text in bullets]
    gap = _gap(points)
    themes: list[dict[str, Any]] = []
    while len(themes) < MOST_THEMES and (word := _shared(points)) is not None:
        together = [point for point in points if word in point.words]
        points = [point for point in points if word not in point.words]
        themes.append(_theme(word, together))
    return {"heading": HEADING, "rule": RULE, "themes": themes, "rest": [_shown(point) for point in points], "gap": gap}


def _shared(points: Sequence[Point]) -> str | None:
    """The word of most responses, then of most points, then the first in the alphabet; two responses at least."""
    said: dict[str, set[str]] = {}
    times: Counter[str] = Counter()
    for point in points:
        for word in point.words:
            said.setdefault(word, set()).add(point.response)
            times[word] += 1
    ranked = sorted(said, key=lambda word: (-len(said[word]), -times[word], word))
    return ranked[0] if ranked and len(said[ranked[0]]) > 1 else None


def _theme(word: str, points: Sequence[Point]) -> dict[str, Any]:
    written = Counter(point.words[word] for point in points)
    others = Counter(other for point in points for other in point.words if other != word)
    near = [other for other, times in sorted(others.items(), key=lambda item: (-item[1], item[0])) if times > 1]
    names = {other: point.words[other] for point in reversed(points) for other in point.words}
    first = min(written, key=lambda each: (-written[each], each))
    shown = [first, *(names[other] for other in near[: _MOST_WORDS - 1])]
    return {
        "title": ", ".join(shown),
        "words": shown,
        "responses": sorted({point.response for point in points}, key=_place),
        "bullets": [_shown(point) for point in points],
    }


def _place(label: str) -> tuple[int, str]:
    return (int(label[1:]), "") if label[1:].isdigit() else (0, label)


def _shown(point: Point) -> dict[str, str]:
    return {"response": point.response, "text": point.text}


def _gap(points: Sequence[Point]) -> dict[str, Any]:
    """The gap whose words most responses use, when no other comes as far."""
    users: dict[str, set[str]] = {gap: set() for gap in _GAPS}
    heard: dict[str, Counter[str]] = {gap: Counter() for gap in _GAPS}
    for point in points:
        for gap, beginnings in _GAPS.items():
            for written in point.words.values():
                if written.startswith(beginnings):
                    users[gap].add(point.response)
                    heard[gap][written] += 1
    ranked = sorted(users, key=lambda gap: -len(users[gap]))
    most, second = len(users[ranked[0]]), len(users[ranked[1]])
    if most < 2 or most == second:
        return {"type": None, "reason": "No gap's words stand out in these responses."}
    top = sorted(heard[ranked[0]].items(), key=lambda item: (-item[1], item[0]))[:_MOST_WORDS]
    quoted = ", ".join(f"“{word}”" for word, _ in top)
    total = len({point.response for point in points})
    reason = f"{most} of {total} responses use words of {_WHY[ranked[0]]}: {quoted}."
    return {"type": ranked[0], "reason": reason}
