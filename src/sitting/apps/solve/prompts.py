"""What the model is told, and how many tokens that is.

One prompt for each step and language: the rules, the step's task, the tactic, whether the reply closes the step, what
is believed, what is open from earlier sessions, the cards, and the whole history in order. What the owner wrote stands
between tags that it cannot close, and the rules say that it is data; for a small model, which tags confuse, in messages
and lines of its own. Nobody can write what begins or ends a message for a model. Addresses and phone numbers stay here.
The same function counts the prompt before a message is stored and builds it when the job runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ...core.session import Session
from . import gates
from .languages import phrases
from .phrases import Phrases
from .terms import (
    CARDS_TOKENS,
    EFFORTS,
    MAX_CARDS,
    MIN_CARDS,
    OUTPUT_TOKENS,
    SolveStep,
)

VERSION = 3
MESSAGE_OVERHEAD = 4  # tokens a message costs beside its text
# A model with a small window is a small model: many rules confuse it, it repeats tags and takes them for its task, and
# what it says after a few sentences is not worth waiting for. It is told little; its words decide nothing anyway.
_SMALL_WINDOW, _SMALL_SHARE = 8192, 24
_ASKED_LINES, _ASKED_LINE, _ASKED_TITLE = 2, 90, 60
Count = Callable[[str], int]

# Our own tag, and the marks with which the templates of local models begin and end a message.
_TAG = re.compile(r"<(?=\s*+/?+\s*+said\b|\||\s*+/?+\s*+s\s*+>|(?:start|end)_of_turn\b)", re.IGNORECASE)
_EMAIL = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_PHONE = re.compile(r"(?<![A-Za-z0-9_.,-])(?:\+|00)?\(?\d(?:[ \u00a0().\-/]{0,2}\d){6,14}(?![A-Za-z0-9_-])")
_DATE = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}")
_LEAST_PLAIN_PHONE = 9  # a bare row of fewer digits is a number of something


@dataclass(frozen=True)
class Said:
    """One message of a prompt."""

    role: str
    content: str


@dataclass(frozen=True)
class Wish:
    """What the reply is for."""

    closing: bool = False
    tactic: str | None = None
    cards: bool = False  # two or three cards must come out of it
    redact: bool = True
    small: bool = False  # for a model that follows few rules


@dataclass(frozen=True)
class Prompt:
    """A whole prompt, what it costs, what the answer may cost, and how many messages are in it and are not."""

    messages: tuple[Said, ...]
    tokens: int
    output: int
    used: int
    left_out: int


def prompt(session: Session, history: Sequence[Said], wish: Wish, *, count: Count, window: int) -> Prompt:
    """The prompt for the last message of `history`. The oldest after the first are left out when they do not fit."""
    words = phrases(session.data["locale"])
    wish = replace(wish, small=window < _SMALL_WINDOW)
    system = Said("system", (_brief if wish.small else _system)(session, words, wish))
    output = window // _SMALL_SHARE if wish.small else OUTPUT_TOKENS
    return _fitted(system, history, words, wish, count=count, window=window, output=output)


def cards_prompt(session: Session, history: Sequence[Said], wish: Wish, *, count: Count, window: int) -> Prompt:
    """The prompt that asks for cards and nothing else."""
    words = phrases(session.data["locale"])
    wish = replace(wish, small=window < _SMALL_WINDOW)
    parts = [words.brief] if wish.small else [words.rules, words.data, _beliefs(session, words)]
    parts.append(words.cards_only)
    system = Said("system", _shown("\n\n".join(parts), wish))
    return _fitted(system, history, words, wish, count=count, window=window, output=min(CARDS_TOKENS, window // 4))


def history(session: Session, *, before: int | None = None) -> tuple[Said, ...]:
    """What was said, oldest first, up to a position and without it."""
    found = sorted(session.collection("message").values(), key=lambda message: message["seq"])
    return tuple(
        Said(message["role"], message["content"])
        for message in found
        if message["content"] and (before is None or message["seq"] < before)
    )


def redacted(text: str) -> str:
    """The text without e-mail addresses and phone numbers."""
    return _PHONE.sub(_phone, _EMAIL.sub("[email]", text))


def cards_schema(locale: str) -> dict[str, Any]:
    """What a data-only answer must be: shorter than cards may be, so that all of them fit the answer."""
    lines = {
        "type": "array",
        "minItems": 1,
        "maxItems": _ASKED_LINES,
        "items": {"type": "string", "minLength": 1, "maxLength": _ASKED_LINE},
    }
    card = {
        "type": "object",
        "properties": {
            "title": {"type": "string", "minLength": 1, "maxLength": _ASKED_TITLE},
            "actions": lines,
            "pros": lines,
            "cons": lines,
            "effort": {"type": "string", "enum": list(EFFORTS)},
        },
        "required": ["title", "actions", "pros", "cons", "effort"],
        "additionalProperties": False,
    }
    cards = {"type": "array", "minItems": MIN_CARDS, "maxItems": MAX_CARDS, "items": card}
    samples = [dict(sample) for sample in phrases(locale).sample_cards]
    return {
        "type": "object",
        "properties": {"cards": {**cards, "examples": [samples]}},
        "required": ["cards"],
        "additionalProperties": False,
    }


def _brief(session: Session, words: Phrases, wish: Wish) -> str:
    step = session.data["step"]
    parts = [words.brief, words.closings[step] if wish.closing else words.tasks[step]]
    if wish.tactic is not None and wish.tactic in words.tactics:
        parts.append(words.tactics[wish.tactic])
    parts += [f"{words.carried} {_line(each['first_step_action'])}" for each in session.data["carried"][:1]]
    if step == SolveStep.OPTIONS:
        parts += [_card(card, words, False) for card in gates.cards(session)]
    return _shown("\n".join(parts), wish)


def _system(session: Session, words: Phrases, wish: Wish) -> str:
    step = session.data["step"]
    trailer = [words.trailer]
    if wish.cards or step == SolveStep.OPTIONS:
        trailer.append(words.trailer_cards)
    if step == SolveStep.COMMIT:
        trailer.append(words.trailer_first_step)
    parts = [words.rules, words.data, words.closings[step] if wish.closing else words.tasks[step]]
    if wish.tactic is not None and wish.tactic in words.tactics:
        parts.append(words.tactics[wish.tactic])
    parts += [" ".join(trailer), _beliefs(session, words)]
    if carried := session.data["carried"]:
        lines = "\n".join(f"<said>{_line(each['first_step_action'])}</said>" for each in carried)
        parts.append(f"{words.carried}\n{lines}")
    if step in (SolveStep.OPTIONS, SolveStep.COMMIT) and (cards := gates.cards(session)):
        chosen = session.data["chosen_option"]
        parts.append("\n".join([words.cards, *(_card(card, words, card["id"] == chosen) for card in cards)]))
    return _shown("\n\n".join(parts), wish)


def _beliefs(session: Session, words: Phrases) -> str:
    known = gates.beliefs(session)
    lines = [
        f"- {slot} ({words.slots[slot]}): {_line(belief['text']) if belief else words.unknown}"
        for slot, belief in known.items()
    ]
    return "\n".join([words.beliefs, *lines])


def _card(card: Mapping[str, Any], words: Phrases, chosen: bool) -> str:
    """A card in one line."""
    details = "; ".join(" / ".join(card[name]) for name in ("actions", "pros", "cons") if card[name])
    mark = f" [{words.chosen}]" if chosen else ""
    return f"- {card['id']}{mark} {_line(card['title'])} ({card['effort']}): {_line(details)}"


def _fitted(
    system: Said, history: Sequence[Said], words: Phrases, wish: Wish, *, count: Count, window: int, output: int
) -> Prompt:
    """The messages that fit the window beside the answer: the first, and as many of the last as there is room for."""
    shown = [Said(said.role, _said(said, wish)) for said in history]
    room = window - output - _cost(system, count)
    last = _clipped(shown[-1], room, words, count) if shown else None
    tail = [last] if last else []
    room -= sum(_cost(each, count) for each in tail)
    first = shown[:1] if len(shown) > 1 and _cost(shown[0], count) <= room else []
    room -= sum(_cost(each, count) for each in first)
    for each in reversed(shown[len(first) : -1]):
        if (cost := _cost(each, count)) > room:
            break
        tail.insert(0, each)
        room -= cost
    left_out = len(shown) - len(first) - len(tail)
    note = [Said("user", words.left_out.format(count=left_out))] if left_out else []
    messages = tuple(_merged([system, *first, *note, *tail]))
    tokens = sum(_cost(each, count) for each in messages)
    return Prompt(messages, tokens, output, len(first) + len(tail), left_out)


def _said(said: Said, wish: Wish) -> str:
    text = _shown(said.content, wish)
    if said.role == "user" and not wish.small:
        return f"<said>\n{_fenced(text)}\n</said>"
    return _fenced(text)


def _clipped(said: Said, room: int, words: Phrases, count: Count) -> Said:
    """A message cut where it alone would take more than there is room for."""
    text, most = said.content, room - MESSAGE_OVERHEAD
    while (have := count(text)) > most and text:
        kept = text[: min(len(text) - 1, len(text) * max(0, most - count(words.shortened) - 8) // have)]
        closing = "\n</said>" if said.content.startswith("<said>") else ""
        text = f"{kept}\n{words.shortened}{closing}" if kept else ""
    return Said(said.role, text)


def _shown(text: str, wish: Wish) -> str:
    return redacted(text) if wish.redact else text


def _fenced(text: str) -> str:
    """Text that cannot open or close our tag, nor a message."""
    return _TAG.sub("&lt;", text)


def _line(text: str) -> str:
    """The same on one line: what stands among our own lines begins none."""
    return " ".join(_fenced(text).split())


def _phone(found: re.Match[str]) -> str:
    text = found[0]
    digits = sum(c.isdigit() for c in text)
    if _DATE.fullmatch(text.strip()) or (text.isdigit() and digits < _LEAST_PLAIN_PHONE):
        return text
    return "[phone]"


def _merged(messages: Iterable[Said]) -> Iterable[Said]:
    """Neighbours of one role as one message: some models take turns only."""
    waiting: Said | None = None
    for each in messages:
        if waiting is not None and each.role == waiting.role:
            waiting = Said(each.role, f"{waiting.content}\n\n{each.content}")
            continue
        if waiting is not None:
            yield waiting
        waiting = each
    if waiting is not None:
        yield waiting


def _cost(said: Said, count: Count) -> int:
    return count(said.content) + MESSAGE_OVERHEAD
