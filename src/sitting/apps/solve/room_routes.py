"""The page of one session and its forms. Without a script every form leads back to the page, with the text so far.

A form that is refused shows the page again with what was typed. Texts of forms are looked at for a crisis as messages
are: whoever writes that they are in danger meets a person's words first, and nothing is stored until they go on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from ... import errors
from ...core import strict
from ...core.actor import Actor
from ...core.event import to_text
from ...core.kind import Command
from ...core.session import Session
from ...engine import Done
from ...web import answer, deps, forms
from ...web.again import LASTING
from ...web.errors import patience, status_of
from . import commands, decide, edge, facts, gates, rules, talk, terms, views, wording

router = APIRouter(include_in_schema=False)
Who = Annotated[Actor, Depends(edge.owner)]
Typed = Mapping[str, str]
BACK = re.compile(r"/solve(/actions|/[0-9a-f-]{36})?")
LOCAL_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?")
ZONE = re.compile(r"-?[0-9]{1,3}")
LEVELS = ((0, "exhausted"), (10, "critical"), (25, "warning"))
FORM_IDS = {"options": "own-option", "commit": "commit-form", "belief": "belief-form"}


@dataclass(frozen=True)
class Refused:
    """A form that was not accepted: which, why, and what had been typed. `crisis`: the text that answers instead."""

    form: str
    values: Typed
    refusal: errors.Refusal | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    crisis: str = ""

    @property
    def message(self) -> str:
        return "" if self.refusal is None else self.refusal.message

    @property
    def fields(self) -> dict[str, str]:
        listed = [] if self.refusal is None else self.refusal.facts.get("fields", [])
        return {str(item["field"]).partition(".")[0]: item["message"] for item in listed} | dict(self.faults)

    @property
    def status(self) -> int:
        return 422 if self.faults else 200 if self.refusal is None else status_of(self.refusal)

    @property
    def headers(self) -> dict[str, str]:
        return {} if self.refusal is None else patience(self.refusal)


@router.get("/solve/{id}")
async def show(request: Request, id: str, who: Who) -> Response:
    """A session: where it stands, what was said, and what can be done now."""
    return await page(request, id, who)


@router.post("/solve/{id}/messages")
async def say(request: Request, id: str, who: Who) -> Response:
    """Write a message."""
    return await _act(
        request, id, who, "message", lambda typed: strict.check(commands.SendMessage, {"content": typed.get("content")})
    )


@router.post("/solve/{id}/turns/{turn}/{verb}")
async def of_turn(request: Request, id: str, turn: str, verb: str, who: Who) -> Response:
    """Stop a reply, ask for it again, or say that no danger was meant."""
    kinds: Mapping[str, type[Command]] = {
        "cancel": commands.CancelTurn, "retry": commands.RetryTurn, "dismiss-crisis": commands.DismissCrisis,
    }  # fmt: skip
    if verb not in kinds:
        raise errors.NotFound("There is nothing here.")
    return await _act(request, id, who, verb, lambda typed: strict.check(kinds[verb], {"turn": turn}))


@router.post("/solve/{id}/advance")
async def advance(request: Request, id: str, who: Who) -> Response:
    """Go on to the next step."""
    return await _act(request, id, who, "advance", lambda typed: commands.Advance())


@router.post("/solve/{id}/contest")
async def contest(request: Request, id: str, who: Who) -> Response:
    """Take the last move back."""
    return await _act(
        request, id, who, "contest", lambda typed: strict.check(commands.ContestStep, _given(typed, "reason"))
    )


@router.post("/solve/{id}/options/{option}/choose")
async def choose(request: Request, id: str, option: str, who: Who) -> Response:
    """Choose a card."""
    return await _act(
        request, id, who, "choose", lambda typed: strict.check(commands.ChooseOption, {"option_id": option})
    )


@router.post("/solve/{id}/options")
async def own_option(request: Request, id: str, who: Who) -> Response:
    """Choose a way of one's own."""

    def made(typed: Typed) -> Command:
        lines = [line.strip() for line in typed.get("actions", "").split("\n") if line.strip()]
        return strict.check(commands.AddOption, {"title": typed.get("title", "").strip(), "actions": lines})

    return await _act(request, id, who, "options", made, careful=("title", "actions"))


@router.post("/solve/{id}/beliefs/{slot}")
async def believe(request: Request, id: str, slot: str, who: Who) -> Response:
    """Correct a point about the problem; an empty text clears it."""

    def made(typed: Typed) -> Command:
        return strict.check(commands.CorrectBelief, {"slot": slot, "text": typed.get("text", "").strip() or None})

    return await _act(request, id, who, "belief", made, careful=("text",), anchor="#beliefs")


@router.post("/solve/{id}/commit")
async def commit(request: Request, id: str, who: Who) -> Response:
    """Write the first step down."""
    now = deps.installation(request).clock.now()

    def made(typed: Typed) -> Command:
        wished: dict[str, Any] = {"first_step_action": typed.get("first_step_action", "").strip()}
        if (at := _reminder(typed, now)) is not None:
            wished["reminder_time"] = at
        if typed.get("confidence"):
            wished["confidence"] = _whole(typed["confidence"])
        return strict.check(commands.Commit, wished)

    return await _act(request, id, who, "commit", made, careful=("first_step_action",), anchor="")


@router.post("/solve/{id}/reminder")
async def remind(request: Request, id: str, who: Who) -> Response:
    """Change when to be reminded, or take the reminder away."""
    now = deps.installation(request).clock.now()
    return await _act(
        request, id, who, "reminder",
        lambda typed: strict.check(commands.Update, {"reminder_time": _reminder(typed, now)}), anchor="",
    )  # fmt: skip


@router.post("/solve/{id}/update")
async def update(request: Request, id: str, who: Who) -> Response:
    """Change the title, the tags and, while it runs, the language."""
    view = (await edge.see(request, id, who)).view

    def made(typed: Typed) -> Command:
        wished: dict[str, Any] = {}
        if "title" in typed:
            wished["title"] = typed["title"].strip()
        if "tags" in typed:
            wished["tags"] = tags(typed["tags"])
        if "locale" in typed and typed["locale"] != view["locale"]:
            wished["locale"] = typed["locale"]
        return strict.check(commands.Update, wished)

    return await _act(request, id, who, "update", made, anchor="")


@router.post("/solve/{id}/abandon")
async def abandon(request: Request, id: str, who: Who) -> Response:
    """Stop here, for now."""
    return await _act(request, id, who, "abandon", lambda typed: commands.Abandon(), anchor="")


@router.post("/solve/{id}/reopen")
async def reopen(request: Request, id: str, who: Who) -> Response:
    """Take it up again."""
    return await _act(request, id, who, "reopen", lambda typed: commands.Reopen())


@router.post("/solve/{id}/complete")
async def complete(request: Request, id: str, who: Who) -> Response:
    """The first step was taken."""
    return await _act(
        request, id, who, "complete", lambda typed: strict.check(commands.CompleteAction, _given(typed, "outcome")),
        anchor="",
    )  # fmt: skip


@router.post("/solve/{id}/uncomplete")
async def uncomplete(request: Request, id: str, who: Who) -> Response:
    """It was not, after all."""
    return await _act(request, id, who, "uncomplete", lambda typed: commands.UncompleteAction(), anchor="")


@router.post("/solve/{id}/delete")
async def delete(request: Request, id: str, who: Who) -> Response:
    """Erase all of it."""
    await edge.see(request, id, who)
    await deps.settle(edge.engine(request).erase(id, who))
    return answer.redirect("/solve")


@router.post("/solve/{id}/guided")
async def guided(request: Request, id: str, who: Who) -> Response:
    """The fixed questions of a step, where no model answers: each answer becomes a point, then the step moves."""
    typed = forms.typed(await deps.form(request))
    seen = await edge.see(request, id, who)
    view, asked = seen.view, wording.questions(seen.view["locale"], seen.view["current_step"])
    if typed.get("step") != view["current_step"]:
        return answer.redirect(f"/solve/{id}")
    if (found := _crisis(typed, [question.slot for question in asked], view["locale"])) is not None:
        return await page(request, id, who, Refused("guided", typed, crisis=found))
    answers = {question.slot: typed.get(question.slot, "").strip() for question in asked}
    if not any(answers.values()):
        nothing = {asked[0].slot: wording.words(view["locale"])["guided"]["at_least_one"]} if asked else {}
        return await page(request, id, who, Refused("guided", typed, faults=nothing))
    try:
        for slot, text in answers.items():
            if text != ((view["beliefs"][slot] or {}).get("text") or ""):
                await _carry(
                    request, id, who, strict.check(commands.CorrectBelief, {"slot": slot, "text": text or None})
                )
        if view["title"] == terms.NEW_TITLE:
            title = next(text for text in answers.values() if text)[: terms.SHORT_TITLE]
            await _carry(request, id, who, strict.check(commands.Update, {"title": title}))
        await _carry(request, id, who, commands.AdvanceTo(step=_after(view["current_step"])))
    except errors.Refusal as refusal:
        if isinstance(refusal, LASTING) or not answer.accepts_html(request):
            raise
        slots = [slot for slot, text in answers.items() if len(text) > 200]
        return await page(request, id, who, Refused("guided", typed, refusal, dict.fromkeys(slots, refusal.message)))
    return answer.redirect(f"/solve/{id}")


async def page(request: Request, id: str, who: Actor, refused: Refused | None = None) -> Response:
    """The page of a session, with a refused form filled in again."""
    seen, events = await edge.told(request, id, who, frozenset())
    view = seen.view
    locale, step = view["locale"], view["current_step"]
    spoken = talk.talk(views.tell(event, seen.audience) for event in events)
    models = deps.installation(request).models
    guided = not facts.answerable(seen.session, models)
    form = refused.form if refused else ""
    return answer.page(
        request, "solve/session.html", status=refused.status if refused else 200,
        headers=refused.headers if refused else {}, s=view, base=f"/solve/{id}", title=_title(view),
        w=wording.words(locale), lang=wording.LANGUAGES[locale], languages=wording.languages(),
        talk=spoken, known={said.id for said in spoken.said}, guided=guided, spent=guided and models.configured,
        unaided=models.describe()["kind"] == "local", writer=writer(request, locale),
        writing=await _writing(request, id, who, view["active_turn"]),
        questions=wording.questions(locale, step) if guided else [], resources=resources(request),
        open_carried=await _still_open(request, who, view["carried"]),
        refused=refused, crisis_text=refused.crisis if refused else "", crisis_form=FORM_IDS.get(form, "guided-form"),
        **_open_now(seen.session, view, spoken), **_tokens(view["tokens"]),
    )  # fmt: skip


def _open_now(session: Session, view: Mapping[str, Any], spoken: talk.Talk) -> dict[str, Any]:
    """What can be done at this point, and what would move the step."""
    progress, retryable = views.progress(session), views.retryable(session)
    dismissable = views.dismissable(session)
    free = view["status"] == "active" and not view["active_turn"] and dismissable is None
    step = view["current_step"]
    # The model was asked for cards and gave none that can be used.
    bare = spoken.last is not None and spoken.last.code == terms.MODEL_OUTPUT_INVALID
    return {
        "own_way": free and step == "reframe" and bare and not progress["unmet"],
        "own_alone": free and not view["options"] and gates.own_card(session),
        "progress": progress,
        "retryable": retryable,
        "can_ask_again": retryable is not None and spoken.last is not None and spoken.last.again,
        "can_agree": free and step == "reframe" and spoken.last is not None and spoken.last.again,
        "contestable": views.contestable(session),
        "dismissable": dismissable,
        "can_advance": free and step in ("receive", "clarify") and bool(progress["substantive"]),
        "next_step": _after(step),
        "draft": views.first_step_draft(session) or "",
    }


def _tokens(tokens: Mapping[str, int]) -> dict[str, Any]:
    left = max(0, tokens["budget"] - tokens["spent"] - tokens["reserved"])
    share = 100 * left / tokens["budget"] if tokens["budget"] else 0
    return {"left": left, "level": next((level for most, level in LEVELS if share <= most), "normal")}


def writer(request: Request, locale: str) -> str:
    """Who writes the answers, and where what one writes goes."""
    house = deps.installation(request)
    model = house.models.describe()
    remote = "remote" if house.settings.solve_redact else "plain"
    kind = {"local": "local", "openai": remote}.get(model["kind"], "practice")
    return str(wording.words(locale)["writer"][kind]).format(name=model["default"])


def tags(text: str) -> list[str]:
    """Words with commas between them, as tags."""
    return list(dict.fromkeys(tag.strip().lower() for tag in re.split("[,，、]", text) if tag.strip()))


def resources(request: Request) -> list[dict[str, str]]:
    """The help lines this installation names."""
    lines = deps.installation(request).settings.solve_crisis_resources
    return [{"name": wording.region(place), "number": number} for place, number in lines.items()]


async def _act(
    request: Request, id: str, who: Actor, form: str, made: Callable[[Typed], Command], *,
    careful: tuple[str, ...] = (), anchor: str = "#now",
) -> Response:  # fmt: skip
    typed = forms.typed(await deps.form(request))
    back = typed.get("back", "")
    place = back if BACK.fullmatch(back) else f"/solve/{id}{anchor}"

    def render(done: Done) -> Response:
        if answer.accepts_html(request):
            return answer.redirect(place)
        return answer.json({"id": done.session.id, "status": done.session.state})

    try:
        seen = await edge.see(request, id, who)
        if (found := _crisis(typed, careful, seen.view["locale"])) is not None:
            return await page(request, id, who, Refused(form, typed, crisis=found))
        return await edge.carry_out(request, id, made(typed), who, render)
    except errors.Refusal as refusal:
        if isinstance(refusal, LASTING) or not answer.accepts_html(request):
            raise
        return await page(request, id, who, Refused(form, typed, refusal))


async def _carry(request: Request, id: str, who: Actor, command: Command) -> None:
    await deps.settle(edge.engine(request).do(id, command, who, kind=edge.KIND))


def _crisis(typed: Typed, fields: tuple[str, ...] | list[str], locale: str) -> str | None:
    """The text that answers a form in which somebody may be in danger; None when there is no sign, or they went on."""
    if typed.get("not_meant") == "yes":
        return None
    hit = any(rules.crisis(typed.get(name, "")) for name in fields)
    return rules.crisis_text(locale) if hit else None


def _reminder(typed: Typed, now: datetime) -> str | None:
    """When to remind, from hours or from a date in the zone of the one who typed it."""
    chosen = typed.get("remind", "none")
    if chosen in {str(hours) for hours in wording.REMIND_HOURS}:
        return to_text(now + timedelta(hours=int(chosen)))
    if chosen != "date":
        return None
    zone = int(typed["zone"]) if ZONE.fullmatch(typed.get("zone", "")) else 0
    try:
        local = datetime.fromisoformat(typed["date"]) if LOCAL_TIME.fullmatch(typed.get("date", "")) else None
        at = None if local is None else (local + timedelta(minutes=zone)).replace(tzinfo=now.tzinfo)
    except (ValueError, OverflowError):
        at = None
    if at is None or not now < at <= decide.year_after(now):
        raise errors.Invalid.field("date", "Choose a date and a time in the future, at most one year ahead.")
    return to_text(at)


def _after(step: str) -> str:
    """The step that follows; the last stays."""
    return wording.STEPS[min(wording.STEPS.index(step) + 1, len(wording.STEPS) - 1)]


def _title(view: Mapping[str, Any]) -> str:
    """What the session is called, in its own language while it has no name."""
    if view["title"] != terms.NEW_TITLE:
        return str(view["title"])
    return str(wording.words(view["locale"])["untitled"])


def _given(typed: Typed, name: str) -> dict[str, str]:
    """An optional field of a form: left out when it was left empty."""
    text = typed.get(name, "").strip()
    return {name: text} if text else {}


def _whole(text: str) -> int | str:
    return int(text) if re.fullmatch("[0-9]{1,2}", text) else text


async def _writing(request: Request, id: str, who: Actor, turn: str | None) -> dict[str, Any] | None:
    """The reply on its way, with its text so far."""
    if turn is None:
        return None
    found = await deps.settle(edge.engine(request).text(id, turn, who))
    return {"id": turn, "text": found.text, "off": len(found.text)}


async def _still_open(request: Request, who: Actor, carried: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What was carried over and has not been done since."""
    still = []
    for item in carried:
        try:
            view = (await edge.see(request, item["session_id"], who)).view
        except errors.NotFound:
            continue
        if not view["action_completed"]:
            still.append(item)
    return still
