"""The pages: what they show and take without a script, in three languages, with a model and without one; and, in
Chromium, how they follow a reply. What people and models write is only ever text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from sitting.apps.solve import talk, wording
from sitting.model import Gate, Step
from tests.apps.solve.room import MOCK, PAGE, PLAN, UNKNOWN, WORRY, Owner, Scene, card, scene, trailer
from tests.support import axe, docs
from tests.support.clock import ManualClock
from tests.support.pages import follow, overflow

HOW_TO = "docs/how-to/solve-a-problem.md"
AID = "It is not therapy, and not medical or legal advice."
HOSTILE = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


class Reading(HTMLParser):
    """A page as its words, its forms and its regions."""

    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []
        self.ids: list[str] = []
        self.addresses: list[str] = []
        self.forms: list[str] = []
        self.tags: set[str] = set()
        self.languages: set[str] = set()
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        self.tags.add(tag)
        self.ids += [known["id"] or ""] if "id" in known else []
        self.addresses += [value for name in ("href", "src", "action") if (value := known.get(name))]
        self.forms += [known["action"] or ""] if tag == "form" else []
        self.languages |= {known["lang"] or ""} if "lang" in known else set()
        self._hidden += tag in ("script", "style", "template")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style", "template")

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def read(answer: httpx.Response, status: int = 200) -> Reading:
    """A page that is in order: no foreign address, no id twice, no script of its own in it."""
    assert answer.status_code == status, (answer.status_code, answer.text[:500])
    assert answer.headers["content-type"].startswith("text/html")
    page = Reading()
    page.feed(answer.text)
    assert len(page.ids) == len(set(page.ids)), sorted(id for id in page.ids if page.ids.count(id) > 1)
    assert [address for address in page.addresses if not address.startswith(("/", "#", "tel:"))] == []
    assert " style=" not in answer.text
    assert "onerror" not in page.tags and "img" not in page.tags
    assert any(words["aid"] in page.text for words in map(wording.words, wording.LANGUAGES)), "what it is not"
    return page


def shown(owner: Owner, path: str, status: int = 200) -> Reading:
    return read(owner.client.get(path, headers=PAGE), status)


def posted(owner: Owner, path: str, status: int = 303, /, **fields: str) -> httpx.Response:
    """A form as a browser without a script sends it."""
    answer = owner.client.post(path, data=fields, headers=PAGE)
    assert answer.status_code == status, (answer.status_code, answer.text[:2000])
    return answer


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path) as made:
        yield made


@pytest.fixture
def ann(stage: Scene) -> Owner:
    return stage.owner("Ann")


# The words


def test_every_language_has_every_text() -> None:
    def keys(texts: Mapping[str, Any], above: str = "") -> set[str]:
        found: set[str] = set()
        for name, value in texts.items():
            found |= keys(value, f"{above}{name}.") if isinstance(value, dict) else {f"{above}{name}"}
        return found

    def holes(texts: Any) -> list[str]:
        values = texts.values() if isinstance(texts, dict) else texts if isinstance(texts, list) else ()
        return re.findall(r"{(\w+)}", texts) if isinstance(texts, str) else [n for v in values for n in holes(v)]

    english = wording.words("en")
    for locale in wording.LANGUAGES:
        assert keys(wording.words(locale)) == keys(english)
        assert sorted(holes(dict(wording.words(locale)))) == sorted(holes(dict(english)))
    assert wording.words("tlh") is english


@pytest.mark.parametrize("locale", wording.LANGUAGES)
def test_the_guided_form_asks_for_every_point(locale: str) -> None:
    asked = [question for step in wording.STEPS for question in wording.questions(locale, step)]
    assert {question.slot for question in asked} == set(wording.SLOTS)
    assert all(question.text and question.hint for question in asked)


# The conversation, from what its owner is told


def told(*events: tuple[str, dict[str, Any]]) -> talk.Talk:
    return talk.talk(
        {"seq": seq, "type": type, "ts": "2026-01-01T00:00:00Z", "data": data}
        for seq, (type, data) in enumerate(events, start=1)
    )


def heard(id: str, turn: str, text: str = "words") -> tuple[str, dict[str, Any]]:
    return "message_received", {"message_id": id, "turn": turn, "content": text, "emotion_detected": "sad"}


def begun(turn: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "turn_started", {"turn": turn, "source": "model", "tactic": None, "retry_of": None, **more}


def ended(how: str, turn: str, text: str = "reply", **more: Any) -> tuple[str, dict[str, Any]]:
    return f"turn_{how}", {"turn": turn, "message_id": f"a-{turn}", "text": text, **more}


def test_a_move_names_the_messages_that_caused_it() -> None:
    made = told(
        heard("m1", "t1"), begun("t1"), ended("completed", "t1"),
        ("step_advanced", {"from": "receive", "to": "clarify", "by": "gate", "evidence": ["m1"]}),
        ("step_contested", {"from": "clarify", "to": "receive", "reason": None}),
    )  # fmt: skip
    first, back = made.moves
    assert [said.id for said in first.evidence] == ["m1"]
    assert (first.contested, back.by, back.to) == (True, "contest", "receive")
    assert made.last is not None and made.last.moved
    assert [said.mood for said in made.said] == ["sad", "neutral"]


def test_a_reply_without_a_word_is_not_shown_once_it_was_asked_for_again() -> None:
    failed = (heard("m1", "t1"), begun("t1"), ended("failed", "t1", "", code="MODEL_FAILED"))
    assert [entry.kind for entry in told(*failed).shown] == ["said", "said"]
    again = told(*failed, begun("t2", retry_of="t1"), ended("cancelled", "t2", "half"))
    assert [getattr(entry, "text", "") for entry in again.shown] == ["words", "half"]
    assert again.last is not None and again.last.status == "cancelled"


def test_what_happens_between_the_messages_is_told_too() -> None:
    cards = [{"id": "A", "title": "Write"}]
    made = told(
        ("options_offered", {"version": 1, "cards": cards}),
        ("options_offered", {"version": 2, "cards": cards}),
        ("option_added", {"card": {"id": "own", "title": "Walk"}}),
        ("option_chosen", {"option_id": "own", "version": 2, "by": "form"}),
        ("step_advanced", {"from": "options", "to": "commit", "by": "choice", "evidence": []}),
        ("committed", {}),
        ("abandoned", {"reason": "idle"}),
    )
    assert [entry.what for entry in made.entries if isinstance(entry, talk.Noted)] == ["new_cards", "committed", "idle"]
    assert [(move.by, move.choice) for move in made.moves] == [("choice", "Walk")]


# Pages without a script


def test_without_an_account_the_pages_lead_to_the_door(stage: Scene) -> None:
    for path in ("/solve", "/solve/actions", "/solve/stats", f"/solve/{UNKNOWN}", f"/solve/{UNKNOWN}/summary"):
        answer = httpx.get(f"{stage.served.url}{path}", headers=PAGE)
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/sign-in"), path


def test_the_first_visit_says_how_it_goes(ann: Owner) -> None:
    page = shown(ann, "/solve")
    assert "What is on your mind?" in page.text
    for step in wording.STEPS:
        assert wording.words("en")["steps"][step]["about"] in page.text
    assert "No first steps yet" in shown(ann, "/solve/actions").text
    assert "No figures yet" in shown(ann, "/solve/stats").text


def test_a_session_goes_from_the_first_word_to_the_summary_without_a_script(stage: Scene, ann: Owner) -> None:
    place = posted(ann, "/solve", content=WORRY, locale="en").headers["location"]
    id = place.rpartition("/")[2]
    ann.awaits(id, "step_advanced")
    page = shown(ann, place)
    assert page.text.count(MOCK) == 1
    assert "Step 2 of 5: Clarify" in page.text
    assert "Clarify begins" in page.text
    [message] = [said for said in ann.messages(id) if said["role"] == "user"]
    assert f"#m-{message['message_id']}" in page.addresses and f"m-{message['message_id']}" in page.ids

    for content in ("It began with the late project", "My work is not seen any more", "I spoke with him twice", "yes"):
        done = len([type for type in ann.types(id) if type == "turn_completed"])
        assert posted(ann, f"{place}/messages", content=content).headers["location"] == f"{place}#now"
        stage_waits(ann, id, done + 1)
    page = shown(ann, place)
    view = ann.session(id)
    for each in view["options"]:
        assert all(text in page.text for text in (each["title"], *each["pros"], *each["cons"], *each["actions"]))
    posted(ann, f"{place}/options/A/choose")
    page = shown(ann, place)
    assert "Step 5 of 5: Commit" in page.text and f"{place}/commit" in page.forms
    posted(ann, f"{place}/commit", first_step_action=PLAN, remind="24", confidence="8")
    page = shown(ann, place)
    assert PLAN in page.text and "8 of 10" in page.text
    assert f"{place}/messages" not in page.forms
    view = ann.session(id)
    at = datetime.fromisoformat(view["reminder_time"])
    assert abs(at - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=5)
    assert f"/sessions/{id}/reminder.ics" in page.addresses
    summary = shown(ann, f"{place}/summary")
    assert all(text in summary.text for text in (PLAN, WORRY, "The option you chose", "Options you did not choose"))


def stage_waits(owner: Owner, id: str, replies: int) -> None:
    """Wait until so many replies are whole."""
    after: dict[str, Any] = {}
    count = 0
    while count < replies:
        query = {"limit": 500, "wait": 5, **after}
        page = owner.client.get(f"/sessions/{id}/events", params=query, headers={"Accept": "application/json"}).json()
        count += sum(event["type"] == "turn_completed" for event in page["events"])
        after = {"after": page["next"]}


def test_a_reply_on_its_way_is_shown_so_far_and_can_be_stopped(stage: Scene, ann: Owner) -> None:
    gate = Gate()
    stage.plays(Step(("The first ", "half and the rest."), gate=gate))
    gate.release(1)
    id = ann.create()
    turn = ann.begins(id)
    with ann.watching(f"/sessions/{id}/turns/{turn}/stream") as reader:
        reader.until("token")
        page = shown(ann, f"/solve/{id}")
        assert "The first" in page.text and "Writing…" in page.text
        assert f"/solve/{id}/turns/{turn}/cancel" in page.forms
        posted(ann, f"/solve/{id}/turns/{turn}/cancel")
    gate.open()
    page = shown(ann, f"/solve/{id}")
    assert "You stopped this answer." in page.text and "Stopped" in page.text
    stage.mocks()
    posted(ann, f"/solve/{id}/turns/{turn}/retry")
    ann.awaits(id, "turn_completed")
    assert MOCK in shown(ann, f"/solve/{id}").text


def test_a_form_that_is_refused_comes_back_filled_in(ann: Owner) -> None:
    id = ann.brought("commit")
    fields = {"first_step_action": PLAN, "remind": "date", "date": "2001-01-01T10:00"}
    page = read(posted(ann, f"/solve/{id}/commit", 422, **fields), 422)
    assert PLAN in page.text and "in the future" in page.text
    assert ann.session(id)["status"] == "active"
    page = read(posted(ann, f"/solve/{id}/update", 422, title="", tags=""), 422)
    assert "must not be empty" in page.text
    long = "x" * 4001
    assert long in read(posted(ann, f"/solve/{id}/messages", 422, content=long), 422).text


def test_a_date_is_meant_in_the_zone_it_was_typed_in(ann: Owner) -> None:
    id = ann.brought("commit")
    local = (datetime.now(UTC) + timedelta(days=3)).replace(second=0, microsecond=0, tzinfo=None)
    date = local.isoformat(timespec="minutes")
    posted(ann, f"/solve/{id}/commit", first_step_action=PLAN, remind="date", date=date, zone="-120")
    at = datetime.fromisoformat(ann.session(id)["reminder_time"])
    assert at.replace(tzinfo=None) == local - timedelta(hours=2)
    posted(ann, f"/solve/{id}/reminder", remind="none")
    assert ann.session(id)["reminder_time"] is None


def test_beliefs_are_corrected_and_cleared(stage: Scene, ann: Owner) -> None:
    stage.plays(trailer("I hear you.", beliefs={"goal": {"text": "To be heard", "quote": "ignores everything"}}))
    id = ann.create()
    ann.says(id, WORRY)
    page = shown(ann, f"/solve/{id}")
    assert "To be heard" in page.text and "from your message" in page.text
    posted(ann, f"/solve/{id}/beliefs/goal", text="To be asked")
    page = shown(ann, f"/solve/{id}")
    assert "To be asked" in page.text and "To be heard" not in page.text and "in your words" in page.text
    posted(ann, f"/solve/{id}/beliefs/goal", text="")
    assert ann.session(id)["beliefs"]["goal"] is None


def test_a_move_can_be_contested_once(ann: Owner) -> None:
    id = ann.create()
    ann.says(id, WORRY)
    assert f"/solve/{id}/contest" in shown(ann, f"/solve/{id}").forms
    posted(ann, f"/solve/{id}/contest", reason="I had more to say")
    page = shown(ann, f"/solve/{id}")
    assert "You took it back: Receive again." in page.text and f"/solve/{id}/contest" not in page.forms
    posted(ann, f"/solve/{id}/contest", 409)


@pytest.mark.parametrize(("locale", "words"), [("en", "I want to die"), ("es", "quiero morir"), ("zh", "我不想活了")])
def test_danger_is_met_by_a_persons_words_and_help_lines(stage: Scene, ann: Owner, locale: str, words: str) -> None:
    stage.leaves()
    id = ann.create(locale=locale)
    ann.says(id, words)
    page = shown(ann, f"/solve/{id}")
    texts = wording.words(locale)["crisis"]
    assert texts["title"] in page.text and "tel:988" in page.addresses and "717 003 717" in page.text
    assert any(form.endswith("/dismiss-crisis") for form in page.forms) and texts["not_meant"] in page.text


def test_danger_in_a_form_is_met_too_and_nothing_is_stored_until_they_go_on(stage: Scene, ann: Owner) -> None:
    stage.leaves()
    id = ann.create()
    fields = {"step": "receive", "feeling": "I want to die of boredom", "goal": "A job"}
    page = read(posted(ann, f"/solve/{id}/guided", 200, **fields))
    assert "tel:988" in page.addresses and "I want to die of boredom" in page.text
    assert ann.session(id)["beliefs"]["feeling"] is None
    posted(ann, f"/solve/{id}/guided", **fields, not_meant="yes")
    assert ann.session(id)["beliefs"]["feeling"]["text"] == "I want to die of boredom"


def test_danger_in_a_point_about_the_problem_is_met_too(ann: Owner) -> None:
    id = ann.create()
    fields = {"slot": "feeling", "text": "No quiero vivir, quiero morir"}
    page = read(posted(ann, f"/solve/{id}/beliefs/feeling", 200, **fields))
    assert "tel:988" in page.addresses and fields["text"] in page.text and "belief-form" in page.ids
    assert ann.session(id)["beliefs"]["feeling"] is None
    posted(ann, f"/solve/{id}/beliefs/feeling", **fields, not_meant="yes")
    assert ann.session(id)["beliefs"]["feeling"]["text"] == fields["text"]
    long = read(posted(ann, f"/solve/{id}/beliefs/goal", 422, slot="goal", text="x" * 201), 422)
    assert "x" * 201 in long.text and "belief-form" in long.ids


@pytest.mark.parametrize("locale", wording.LANGUAGES)
def test_without_a_model_fixed_questions_lead_to_a_first_step(stage: Scene, ann: Owner, locale: str) -> None:
    stage.leaves()
    assert "No language model is set up" in shown(ann, "/solve").text
    place = posted(ann, "/solve", locale=locale).headers["location"]
    id = place.rpartition("/")[2]
    words = wording.words(locale)
    for step in ("receive", "clarify", "reframe"):
        page = shown(ann, place)
        assert words["guided"]["notice"] in page.text and wording.LANGUAGES[locale] in page.languages
        asked = wording.questions(locale, step)
        assert all(question.text in page.text for question in asked)
        empty = posted(ann, f"{place}/guided", 422, step=step, **{question.slot: " " for question in asked})
        assert words["guided"]["at_least_one"] in read(empty, 422).text
        posted(ann, f"{place}/guided", step=step, **{question.slot: f"{step} {question.slot}" for question in asked})
    page = shown(ann, place)
    assert all(line in page.text for line in words["guided"]["options_help"])
    posted(ann, f"{place}/options", title="Ask Kim", actions="Call her\n\nName a day")
    assert ann.session(id)["options"][-1]["actions"] == ["Call her", "Name a day"]
    posted(ann, f"{place}/commit", first_step_action=PLAN)
    assert PLAN in shown(ann, place).text
    assert words["summary"]["no_model"] in shown(ann, f"{place}/summary").text
    view = ann.session(id)
    assert (view["status"], view["beliefs"]["goal"]["text"]) == ("completed", "reframe goal")


def test_what_people_and_models_write_is_text(stage: Scene, ann: Owner) -> None:
    cards = [card(HOSTILE[:80]), card("Second")]
    belief = {"goal": {"text": HOSTILE, "quote": "<img src=x"}}
    stage.plays(trailer(f"No {HOSTILE}", beliefs=belief, suggestions=[HOSTILE[:80]], cards=cards))
    id = ann.create(title=HOSTILE)
    for content in (HOSTILE, HOSTILE + " again and", HOSTILE + " once more", HOSTILE + " and more", "yes"):
        ann.says(id, content)
    page = shown(ann, f"/solve/{id}")
    assert HOSTILE in page.text and HOSTILE[:80] in page.text
    posted(ann, f"/solve/{id}/options/A/choose")
    posted(ann, f"/solve/{id}/commit", first_step_action=HOSTILE)
    for path in (f"/solve/{id}", f"/solve/{id}/summary", "/solve", "/solve/actions"):
        assert HOSTILE in shown(ann, path).text, path


def test_the_list_is_searched_and_filtered_and_sessions_are_deleted(ann: Owner) -> None:
    first = ann.create(title="The late project", tags=["work"])
    ann.create(title="The garden")
    assert "The garden" not in shown(ann, "/solve?q=late").text
    assert "The garden" not in shown(ann, "/solve?tag=work").text
    assert "Nothing matches" in shown(ann, "/solve?status=completed").text
    assert "Past the last page" in shown(ann, "/solve?offset=20").text
    posted(ann, f"/solve/{first}/abandon")
    assert "The late project" in shown(ann, "/solve?status=abandoned").text
    posted(ann, f"/solve/{first}/reopen")
    assert posted(ann, f"/solve/{first}/delete").headers["location"] == "/solve"
    assert "The late project" not in shown(ann, "/solve").text
    assert ann.client.get(f"/solve/{first}", headers=PAGE).status_code == 404


def test_open_first_steps_come_back_until_they_are_done(ann: Owner) -> None:
    id = ann.brought("completed")
    assert PLAN in shown(ann, "/solve").text
    other = ann.create()
    page = shown(ann, f"/solve/{other}")
    assert "You planned" in page.text and PLAN in page.text
    done = posted(ann, f"/solve/{id}/complete", back=f"/solve/{other}", outcome="It was heard")
    assert done.headers["location"] == f"/solve/{other}"
    assert PLAN not in shown(ann, f"/solve/{other}").text
    page = shown(ann, "/solve/actions?status=completed")
    assert PLAN in page.text and "It was heard" in page.text and "100 %" in page.text
    assert "100 %" in shown(ann, "/solve/stats").text
    away = posted(ann, f"/solve/{id}/uncomplete", back="//elsewhere.example/solve")
    assert away.headers["location"] == f"/solve/{id}"
    assert PLAN in shown(ann, "/solve/actions?status=pending").text


def test_an_open_step_says_when_its_time_has_come(tmp_path: Path) -> None:
    clock = ManualClock()
    with scene(tmp_path, clock=clock) as stage:
        ann = stage.owner()
        id = ann.brought("commit")
        posted(ann, f"/solve/{id}/commit", first_step_action=PLAN, remind="1")
        assert "It is time" not in shown(ann, "/solve").text
        clock.advance(3601)
        for path in ("/solve", "/solve/actions"):
            assert "It is time" in shown(ann, path).text


@pytest.mark.parametrize(("wished", "locale"), [("es-MX,en;q=0.4", "es"), ("zh-CN", "zh"), ("fr", "en")])
def test_the_pages_about_many_sessions_speak_the_readers_language(ann: Owner, wished: str, locale: str) -> None:
    words, language = wording.words(locale), wording.LANGUAGES[locale]
    ann.client.headers["Accept-Language"] = wished
    assert words["list"]["how"] in shown(ann, "/solve").text
    assert words["ledger"]["empty"] in shown(ann, "/solve/actions").text
    assert words["figures"]["empty"] in shown(ann, "/solve/stats").text
    id = ann.brought("completed", tags=["work"])
    assert ann.session(id)["locale"] == locale
    ledger, figures, index = (shown(ann, path) for path in ("/solve/actions", "/solve/stats", "/solve"))
    assert words["ledger"]["lede"] in ledger.text and words["action"]["done"] in ledger.text
    assert words["figures"]["ended_note"] in figures.text and words["list"]["private"] in index.text
    assert all(language in page.languages for page in (ledger, figures, index))
    assert words["list"]["nothing_hint"] in shown(ann, "/solve?q=zebra").text


def test_a_finished_session_shows_no_empty_points(ann: Owner) -> None:
    words = wording.words("en")
    id, told_of = ann.brought("completed"), ann.brought("commit")
    assert words["beliefs"]["unknown"] not in shown(ann, f"/solve/{id}").text
    assert words["summary"]["problem"] not in shown(ann, f"/solve/{id}/summary").text
    ann.patches(f"/sessions/{told_of}/beliefs/goal", text="To be heard")
    ann.posts(f"/sessions/{told_of}/commit", first_step_action=PLAN)
    page = shown(ann, f"/solve/{told_of}")
    assert "To be heard" in page.text and words["beliefs"]["unknown"] not in page.text
    assert "To be heard" in shown(ann, f"/solve/{told_of}/summary").text


def test_a_session_whose_tokens_are_used_up_goes_on_with_fixed_questions(tmp_path: Path) -> None:
    words = wording.words("en")
    with scene(tmp_path, solve_token_budget=1000) as house:
        ann = house.owner()
        id = ann.create()
        page = read(posted(ann, f"/solve/{id}/messages", 409, content=WORRY), 409)
        assert words["tokens"]["gone"] in page.text and words["guided"]["notice"] not in page.text
        assert "token budget of this session is used up" in page.text and words["tokens"]["label"] in page.text
        for step in ("receive", "clarify", "reframe"):
            posted(ann, f"/solve/{id}/guided", step=step, goal="To be heard", stakes="The next project")
        posted(ann, f"/solve/{id}/options", title="Ask Kim", actions="Call her")
        posted(ann, f"/solve/{id}/commit", first_step_action=PLAN)
        assert words["tokens"]["gone"] not in shown(ann, f"/solve/{id}").text
        assert ann.session(id)["status"] == "completed"


def test_the_quota_is_shown_and_its_end_is_said(tmp_path: Path) -> None:
    with scene(tmp_path, solve_quota_limit=1) as stage:
        ann = stage.owner()
        assert "0 of 1 sessions opened in this space this month." in shown(ann, "/solve").text
        posted(ann, "/solve", content=WORRY)
        page = read(posted(ann, "/solve", 403, content="Another worry of mine"), 403)
        assert "1 of 1 sessions" in page.text and "Another worry of mine" in page.text


def test_too_many_messages_say_when_to_come_again(tmp_path: Path) -> None:
    with scene(tmp_path, solve_messages_minute=1, clock=ManualClock()) as stage:
        ann = stage.owner()
        id = ann.create()
        ann.says(id, WORRY)
        answer = posted(ann, f"/solve/{id}/messages", 429, content="It began last week")
        assert 1 <= int(answer.headers["retry-after"]) <= 60
        assert "It began last week" in read(answer, 429).text


def test_the_new_view_is_agreed_to_with_one_button(stage: Scene, ann: Owner) -> None:
    for locale in wording.LANGUAGES:
        id = ann.create(locale=locale)
        for content in (
            "我的老板从来不理会我的建议",
            "从上个项目晚了以后开始",
            "我怕没有人看见我的工作",
            "我和他谈过两次了",
        ):
            ann.says(id, content)
        words = wording.words(locale)["fits"]
        assert words["label"] in shown(ann, f"/solve/{id}").text
        posted(ann, f"/solve/{id}/messages", content=words["say"])
        ann.awaits(id, "options_offered")


def test_nobody_else_sees_a_session(stage: Scene, ann: Owner) -> None:
    id = ann.create(title="Mine alone")
    bob = stage.owner("Bob", "member", "admin")
    for path in (f"/solve/{id}", f"/solve/{id}/summary"):
        assert bob.client.get(path, headers=PAGE).status_code == 404
    for path in ("messages", "delete", "update", "guided", "abandon"):
        answer = bob.client.post(f"/solve/{id}/{path}", data={"content": "hello you", "title": "x"}, headers=PAGE)
        assert answer.status_code == 404, path
    assert "Mine alone" not in bob.client.get("/solve", headers=PAGE).text
    assert ann.session(id)["title"] == "Mine alone"


# In a browser


@pytest.fixture
def signed_in(page: Page, stage: Scene, ann: Owner) -> Page:
    link = stage.served.installation.access.make_link(ann.person.actor.id).result()
    page.goto(f"{stage.served.url}/sign-in/link/{link}")
    follow(page, page.get_by_role("button", name="Sign in"))
    assert page.url == f"{stage.served.url}/"
    return page


def test_a_reply_is_followed_word_by_word_through_a_reload(signed_in: Page, stage: Scene, ann: Owner) -> None:
    page, gate = signed_in, Gate()
    stage.plays(Step(("One two ", "three four."), gate=gate))
    gate.release(1)
    page.goto(f"{stage.served.url}/solve")
    page.get_by_role("textbox", name="Your first message").fill(WORRY)
    page.get_by_role("button", name="Start").click()
    reply = page.locator("#talk .message-model .message-body")
    expect(reply).to_have_text("One two ")
    page.reload()
    expect(reply).to_have_text("One two ")
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    gate.open()
    expect(reply).to_have_text("One two three four.")
    expect(page.locator("#steps [aria-current=step]")).to_contain_text("Clarify")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    page.get_by_role("textbox", name="Your message").fill("I am so worried and nervous about it")
    page.keyboard.press("Enter")
    expect(page.locator("#mood")).to_have_attribute("data-mood", "anxious")
    expect(page.get_by_text("Tone of your last message")).to_contain_text("anxious")
    expect(page.get_by_role("textbox", name="Your message")).to_have_value("")


@pytest.mark.parametrize("locale", wording.LANGUAGES)
def test_the_guided_form_is_for_everybody(signed_in: Page, stage: Scene, ann: Owner, locale: str) -> None:
    stage.leaves()
    page = signed_in
    page.set_viewport_size({"width": 375, "height": 700})
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.goto(f"{stage.served.url}/solve")
    page.get_by_label("Language").select_option(locale)
    follow(page, page.get_by_role("button", name="Start"))
    page.wait_for_selector("#guided-form")
    for step in ("receive", "clarify", "reframe", "options"):
        assert axe.violations(page) == [], step
        assert overflow(page) <= 0
        for field in page.locator("#guided-form textarea").all():
            field.fill("I want to die" if step == "receive" else "Something I know")
        if step == "receive":
            follow(page, page.locator("#guided-form button[type=submit]"))
            page.wait_for_selector("#crisis")
            assert axe.violations(page) == [], "crisis"
            page.locator("#crisis button").click()
            expect(page.locator("#guided-form input[name=step]")).to_have_value("clarify")
        elif step != "options":
            follow(page, page.locator("#guided-form button[type=submit]"))
        if step != "options":
            expect(page.locator("#steps [aria-current=step]")).not_to_contain_text(_named(locale, step))


def _named(locale: str, step: str) -> str:
    return str(wording.words(locale)["steps"][step]["name"])


def test_the_example_for_browsers_does_what_it_says(signed_in: Page, ann: Owner) -> None:
    [example] = [block for block in docs.blocks(HOW_TO, docs.pages()[HOW_TO]) if block.file == "watch.js"]
    id = ann.create()
    turn = ann.begins(id)
    place = f"/sessions/{id}/turns/{turn}/stream"
    done = signed_in.evaluate(
        f"async (place) => {{ {example.text}; const seen = [];"
        " const end = await watch(place, (text) => seen.push(text)); return { ...end, seen }; }",
        place,
    )
    assert (done["text"], done["next_step"], done["seen"][-1]) == (MOCK, "clarify", MOCK)
