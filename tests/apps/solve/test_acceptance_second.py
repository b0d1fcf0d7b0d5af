"""Acceptance statements 14 to 26 of solve: one turn at a time, stop and crash, crisis, steps, cards, reminders."""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from sitting.apps.solve.app import APP
from sitting.config import Settings
from sitting.installation import Installation
from sitting.model import Gate, Step
from tests.apps.solve.room import (
    MOCK,
    PLAN,
    TALK,
    UNKNOWN,
    WORRY,
    Json,
    Owner,
    Scene,
    card,
    hears,
    invalid,
    refused,
    scene,
    together,
    told,
    trailer,
)
from tests.support.clock import START, ManualClock
from tests.support.endpoint import Answering, serving
from tests.support.process import Program
from tests.support.serving import PATIENCE_SECONDS, Person

WORDS = re.findall(r"\S+\s*", MOCK)
CRISIS = (
    "It sounds like you may be in serious pain right now. I am a program and I cannot keep you safe. "
    "Please talk to a person now: call your local emergency number or one of the lines below."
)
PAUSE = "It is fine to stop here. Your session is saved, and you can come back when you have a little more to say."
DANGER = (
    "I want to die", "I could kill myself", "time to end my life", "I feel suicidal", "I hurt myself again",
    "it is self harm", "it is self-harm", "Quiero morir", "voy a matarme", "pienso en quitarme la vida",
    "quiero hacerme daño", "我想自杀", "我不想活了", "我想死", "我要结束生命", "我会伤害自己",
    "ＫＩＬＬ   ＭＹＳＥＬＦ",
)  # fmt: skip
HARMLESS = ("this deadline is killing me", "想死你了", "我要笑死了", "今天累死了")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("second")) as made:
        yield made


@pytest.fixture
def ann(house: Scene) -> Owner:
    house.plays()
    return house.owner()


def test_14_of_two_messages_at_once_one_is_answered(house: Scene, ann: Owner) -> None:
    house.plays(script=lambda asked: Step(WORDS, gate=Gate()))
    for _ in range(20):
        id = ann.create()

        def send(place: int, id: str = id) -> tuple[int, Json]:
            body = {"content": f"{WORRY}, for the {place}. time"}
            with ann.client.stream("POST", f"/sessions/{id}/messages", json=body) as answer:
                return answer.status_code, {} if answer.status_code == 200 else json.loads(answer.read())["detail"]

        answers = sorted(together(2, send), key=lambda answer: answer[0])
        assert [status for status, _ in answers] == [200, 409]
        [started] = ann.events(id, "turn_started")
        turn = started["data"]["turn"]
        assert (answers[1][1]["error"], answers[1][1]["turn"]) == ("SESSION_BUSY", turn)
        assert len(ann.events(id, "message_received")) == 1 == len(ann.messages(id))
        assert ann.acts(id, turn, "cancel").status_code == 200


def test_15_a_reply_is_stopped_from_elsewhere(house: Scene, ann: Owner) -> None:
    gate, other = Gate(), house.again(ann.person)
    house.plays(Step(WORDS, gate=gate), Step(WORDS, gate=gate))
    id = ann.create()
    with ann.saying(id) as reader:
        gate.release(3)
        hears(reader, "I understand how ")
        turn = reader.response.headers["location"].split("/")[-2]
        stopped = other.acts(id, turn, "cancel")
        assert stopped.status_code == 200 and stopped.json() == {"turn": turn, "status": "cancelled"}
        done = reader.until("done").data
        assert reader.frame() is None
    assert (done["status"], done["next_step"], done["step_moved"]) == ("cancelled", "receive", False)
    kept = ann.turn(id, turn)
    assert (kept["status"], kept["text"]) == ("cancelled", "I understand how ")
    assert kept["input_tokens"] > 0 and kept["output_tokens"] > 0
    seen = ann.session(id)
    assert seen["tokens"]["spent"] == kept["input_tokens"] + kept["output_tokens"] and not seen["tokens"]["reserved"]
    assert [message["content"] for message in ann.messages(id)] == [WORRY, "I understand how "]
    assert seen["current_step"] == "receive" and seen["active_turn"] is None
    assert refused(other.acts(id, turn, "cancel"), 409, "TURN_FINISHED")["status"] == "cancelled"

    with ann.client.stream("POST", f"/sessions/{id}/turns/{turn}/retry", json={}) as answer:
        assert answer.status_code == 200
        again = answer.headers["location"].split("/")[-2]
        assert again != turn and ann.session(id)["active_turn"] == again
        refused(other.acts(id, turn, "cancel"), 409, "TURN_FINISHED")
        refused(other.acts(id, again, "retry"), 409, "SESSION_BUSY")
        assert ann.session(id)["active_turn"] == again
        gate.open()
        assert "event: done" in "".join(answer.iter_text())
    assert ann.turn(id, again)["status"] == "completed" and ann.session(id)["current_step"] == "clarify"
    assert ann.turn(id, again)["text"] == MOCK and len(ann.events(id, "message_received")) == 1
    refused(other.acts(id, again, "retry"), 409, "STEP_MOVED")
    refused(other.acts(id, turn, "retry"), 409, "NOT_LAST_TURN")
    refused(other.acts(id, UNKNOWN, "cancel"), 404, "TURN_NOT_FOUND")


def begins_and_hears(ann: Owner, words: int) -> tuple[str, str, str]:
    """A session whose reply has said that many words to a follower; with the turn and what was heard."""
    id, text = ann.create(), ""
    turn = ann.begins(id)
    with ann.watching(f"/sessions/{id}/turns/{turn}/stream") as reader:
        while len(text) < len("".join(WORDS[:words])):
            text += reader.until("token").data["content"]
    return id, turn, text


@pytest.mark.timeout(300)
def test_16_kill_9_ends_a_reply_as_interrupted(tmp_path: Path) -> None:
    with Installation(Settings(data=tmp_path, model="mock"), apps=(APP,)) as installation:
        access = installation.access
        account = access.create_account("Ann").result()
        token, token_id = access.create_token(account, "test").result()
        actor = access.by_token(token).result()
    environment = os.environ | {"SITTING_DATA": str(tmp_path), "SITTING_LOG_LEVEL": "error"}
    spoken = iter((3, 2, 1))

    def some(model: Answering, _: Json) -> None:
        model.begin()
        model.say(*WORDS[: next(spoken)])
        model.wait_for_hang_up()

    command = [sys.executable, "-m", "sitting", "serve", "--port", "0"]

    @contextmanager
    def owner(server: Program) -> Iterator[Owner]:
        url = server.wait_for(r"http://127\.0\.0\.1:\d+")[0]
        server.wait_for("Sitting is ready")
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=url, headers=headers, timeout=PATIENCE_SECONDS) as client:
            yield Owner(client, Person(actor, token, token_id, url))

    with serving(some) as model:
        held = environment | {"SITTING_MODEL": "held", "SITTING_MODEL_URL": model.url}
        with Program(command, env=held) as server, owner(server) as ann:
            running = [begins_and_hears(ann, words) for words in (3, 2, 1)]
            server.send(signal.SIGKILL)
            assert server.wait() == -signal.SIGKILL
    with Program(command, env=environment | {"SITTING_MODEL": "mock"}) as server, owner(server) as ann:
        for id, turn, heard in running:
            data = ann.awaits(id, "turn_interrupted")["data"]
            assert data["turn"] == turn and data["text"].startswith(heard) and MOCK.startswith(data["text"])
            assert data["text"] not in ("", MOCK)
            seen = ann.session(id)
            assert (seen["active_turn"], seen["current_step"], seen["tokens"]["reserved"]) == (None, "receive", 0)
            kept = ann.turn(id, turn)
            assert (kept["status"], kept["text"]) == ("interrupted", data["text"])
            rest = ann.streamed(id, turn, f"{turn}.{len(heard)}")
            assert heard + rest.text == data["text"] and rest.done["status"] == "interrupted"
            assert ann.types(id).count("turn_started") == 1  # it is not run again by itself
        id, turn, _ = running[0]
        again = ann.acts(id, turn, "retry")
        assert again.status_code == 200 and again.headers["location"].split("/")[-2] != turn
        assert ann.messages(id)[-1]["content"] == MOCK and ann.session(id)["current_step"] == "clarify"


def test_17_a_model_that_fails_before_a_word_is_asked_three_times(house: Scene, ann: Owner) -> None:
    model = house.plays(*[Step(("never",), fail_after=0)] * 3)
    id = ann.create()
    heard = ann.says(id, WORRY)
    assert len(model.prompts) == 3 and heard.tokens == []
    assert heard.fault["code"] == "MODEL_FAILED" and {"code", "message", "retry"} == set(heard.fault)
    done = heard.done
    assert (done["status"], done["next_step"], done["step_moved"]) == ("failed", "receive", False)
    assert done["message_id"] is None and [each["role"] for each in ann.messages(id)] == ["user"]
    assert ann.session(id)["tokens"]["reserved"] == 0 and ann.session(id)["current_step"] == "receive"

    model = house.plays(Step(("never",), fail_after=0), Step(("Here ", "I am")))
    again = ann.acts(id, done["turn"], "retry")
    assert again.status_code == 200 and len(model.prompts) == 2
    assert ann.messages(id)[-1]["content"] == "Here I am" and ann.session(id)["current_step"] == "clarify"


def test_17_a_model_that_fails_after_a_word_is_not_asked_again(house: Scene, ann: Owner) -> None:
    model = house.plays(Step(("One ", "two ", "three ", "four"), fail_after=3))
    id = ann.create()
    heard = ann.says(id, WORRY)
    assert len(model.prompts) == 1 and heard.text == "One two three "
    assert heard.fault["code"] == "MODEL_FAILED" and heard.done["status"] == "failed"
    assert ann.turn(id, heard.done["turn"])["text"] == "One two three "
    assert ann.session(id)["current_step"] == "receive"
    refused(ann.acts(id, heard.done["turn"], "dismiss-crisis"), 409, "NOT_A_CRISIS_TURN")


@pytest.mark.parametrize("has_model", [True, False], ids=["model", "no model"])
def test_18_someone_in_danger_is_met_by_fixed_words(house: Scene, ann: Owner, has_model: bool) -> None:
    model = house.plays()
    if not has_model:
        house.leaves()
    id = ann.create(locale="en")
    for words in DANGER:
        heard = ann.says(id, words)
        done = heard.done
        assert (heard.text, done["blocked"], done["reason"]) == (CRISIS, True, "CRISIS"), words
        assert done["resources"] == {"US": "988", "ES": "717 003 717"}
        assert (done["status"], done["next_step"], done["step_moved"]) == ("completed", "receive", False)
    assert model.prompts == [] and ann.session(id)["tokens"]["spent"] == 0
    assert len(ann.events(id, "crisis_detected")) == len(DANGER)
    assert not any(event["data"]["substantive"] for event in ann.events(id, "message_received"))
    texts = {CRISIS}
    for locale, words in (("es", "I want to die"), ("zh", "Quiero morir")):
        texts.add(ann.says(ann.create(locale=locale), words).text)
    assert len(texts) == 3 and all(len(text) > 30 for text in texts)
    house.plays()
    for words in HARMLESS:
        assert "blocked" not in ann.says(ann.create(), words).done, words


def test_18_that_is_not_what_i_meant(house: Scene, ann: Owner) -> None:
    model = house.plays(Step(("You mean the heat.",)))
    id = ann.create()
    words = "I want to die of laughter when he speaks"
    blocked = ann.says(id, words).done["turn"]
    answer = ann.acts(id, blocked, "dismiss-crisis")
    assert answer.status_code == 200 and told(answer).text == "You mean the heat."
    turn = answer.headers["location"].split("/")[-2]
    assert turn != blocked and "blocked" not in ann.streamed(id, turn).done
    assert len(model.prompts) == 1 and words in model.prompts[0][-1].content
    assert ann.types(id).count("message_received") == 1
    assert ann.types(id)[ann.types(id).index("crisis_dismissed") :][:2] == ["crisis_dismissed", "turn_started"]
    refused(ann.acts(id, turn, "dismiss-crisis"), 409, "NOT_A_CRISIS_TURN")
    other = ann.create()
    first = ann.says(other, "I want to die").done["turn"]
    ann.says(other, WORRY)
    assert ann.acts(other, first, "dismiss-crisis").status_code == 409


def test_19_little_is_met_by_another_tactic(house: Scene, ann: Owner) -> None:
    model = house.plays()
    id = ann.create(locale="en")
    heard = [ann.says(id, words) for words in ("ok", "asdf", "idk")]
    assert [each.done["tactic"] for each in heard] == ["concrete", "examples", "pause"]
    assert [each.done["next_step"] for each in heard] == ["receive"] * 3
    suggestions = heard[1].done["suggestions"]
    assert len(suggestions) == 3 and all(1 <= len(each) <= 80 for each in suggestions)
    assert heard[2].text == PAUSE and len(model.prompts) == 2
    asked = [" ".join(message.content for message in prompt) for prompt in model.prompts]
    assert asked[0] != asked[1] and ann.session(id)["current_step"] == "receive"
    assert ann.says(id, "1234").text == PAUSE and len(model.prompts) == 2
    assert ann.says(id, WORRY).done["tactic"] is None and ann.session(id)["current_step"] == "clarify"

    other = ann.brought("reframe")
    done = ann.says(other, "yes").done
    assert (done["tactic"], done["next_step"]) == (None, "options")
    assert done["evidence"] == [ann.messages(other)[-2]["message_id"]]


def test_20_a_feeling_is_found_by_words(tmp_path: Path, ann: Owner) -> None:
    heard = {
        "I am so worried and nervous": "anxious",
        "not worried, just excited": "hopeful",
        "hello there my friend": "neutral",
    }
    for words, feeling in heard.items():
        id = ann.create()
        assert ann.says(id, words).done["emotion_detected"] == feeling
        assert ann.session(id)["emotion_detected"] == feeling == ann.messages(id)[0]["emotion_detected"]
    with scene(tmp_path, solve_emotion=False) as house:
        house.plays()
        eve = house.owner("Eve")
        for words in heard:
            id = eve.create()
            assert eve.says(id, words).done["emotion_detected"] == "neutral" == eve.session(id)["emotion_detected"]


PROSE = "I hear --- you \U0001f40e, and 你好."
BELIEFS = {
    "goal": {"text": "Be heard", "quote": "ignores everything"},
    "stakes": {"text": "Her job", "quote": "I will be fired"},
}
DATA = "\n---DATA---\n" + json.dumps({"beliefs": BELIEFS}, ensure_ascii=False)
UNITS = (PROSE + DATA).encode("utf-16-le")


def test_21_no_byte_of_the_trailer_is_said(house: Scene, ann: Owner) -> None:
    def split(place: int) -> Step:
        parts = (UNITS[: 2 * place], UNITS[2 * place :])
        return Step(tuple(part.decode("utf-16-le", "surrogatepass") for part in parts if part))

    for place in range(len(UNITS) // 2):
        house.plays(split(place))
        id = ann.create()
        heard = ann.says(id, WORRY)
        text = ann.messages(id)[1]["content"]
        assert heard.text == text and text.rstrip() == PROSE, (place, text)
        seen = ann.session(id)["beliefs"]
        assert (seen["goal"]["text"], seen["stakes"]) == ("Be heard", None), place
    assert seen["goal"] == {
        "text": "Be heard", "quote": "ignores everything", "by": seen["goal"]["by"],
        "message_id": ann.messages(id)[0]["message_id"],
    }  # fmt: skip
    assert [event["data"]["slot"] for event in ann.events(id, "belief_formed")] == ["goal"]
    assert "DATA" not in json.dumps([ann.events(id), ann.session(id), ann.messages(id)])
    ann.patches(f"/sessions/{id}/beliefs/goal", text="Be taken seriously")
    house.plays(trailer("Yes.", beliefs=BELIEFS))
    ann.says(id, "It started after the last project")
    assert ann.session(id)["beliefs"]["goal"]["text"] == "Be taken seriously"


@pytest.mark.parametrize("prose", ["A --- line\n---DATUM---\nmore", "one\n\n--\n- two", "Half --"])
def test_21_what_only_looks_like_a_trailer_is_said(house: Scene, ann: Owner, prose: str) -> None:
    house.plays(Step(tuple(prose)))
    id = ann.create()
    heard = ann.says(id, WORRY)
    assert heard.done["status"] == "completed" and heard.text == ann.messages(id)[1]["content"] == prose


@pytest.mark.parametrize(
    "data",
    ["\n{", "\n[]", '\n{"beliefs": 7}', '\n{"cards": [1]}', "", '\n{"a": NaN}', " on the line", "x" * 5000],
)
def test_21_a_trailer_that_is_wrong_is_dropped(house: Scene, ann: Owner, data: str) -> None:
    house.plays(Step(("Fine.", "\n---DATA---", data)))
    id = ann.create()
    heard = ann.says(id, WORRY)
    assert heard.text.rstrip() == "Fine." and heard.done["status"] == "completed"
    assert set(ann.session(id)["beliefs"].values()) == {None}


def test_22_options_need_two_cards(house: Scene, ann: Owner) -> None:
    id = ann.brought("reframe")
    model = house.plays(trailer("One way.", cards=[card("Wait")]), Step(("not json",)), Step(('{"cards": [',)))
    heard = ann.says(id, "yes")
    assert len(model.prompts) == 3 and heard.fault["code"] == "MODEL_OUTPUT_INVALID"
    assert (heard.done["status"], heard.done["next_step"], heard.done["options"]) == ("failed", "reframe", None)
    assert ann.turn(id, heard.done["turn"])["code"] == "MODEL_OUTPUT_INVALID"
    seen = ann.session(id)
    assert (seen["current_step"], seen["options"]) == ("reframe", None)
    model = house.plays(trailer("Two ways.", cards=[card("Wait"), card("Write")]))
    again = ann.acts(id, heard.done["turn"], "retry")
    assert again.status_code == 200 and len(model.prompts) == 1
    seen = ann.session(id)
    assert seen["current_step"] == "options" and [each["title"] for each in seen["options"]] == ["Wait", "Write"]
    assert [each["id"] for each in seen["options"]] == ["A", "B"]
    done = ann.streamed(id, again.headers["location"].split("/")[-2]).done
    assert done["options"] == seen["options"] and done["next_step"] == "options"
    third = trailer("Three.", cards=[card("Wait"), card("Write"), card("Walk")])
    house.plays(third)
    assert ann.says(id, "Could you think of another way").done["next_step"] == "options"
    assert [each["id"] for each in ann.session(id)["options"]] == ["A", "B", "C"]
    assert [event["data"]["version"] for event in ann.events(id, "options_offered")] == [1, 2]


def test_23_a_card_is_chosen_or_added(ann: Owner) -> None:
    id = ann.brought("options")
    refused(ann.client.post(f"/sessions/{id}/options/Z/choose", json={}), 404, "OPTION_NOT_FOUND")
    seen = ann.posts(f"/sessions/{id}/options/B/choose")
    assert (seen["current_step"], seen["chosen_option"]) == ("commit", "B")
    chosen = ann.events(id, "option_chosen")[-1]["data"]
    assert (chosen["option_id"], chosen["by"]) == ("B", "form")
    moved = ann.events(id, "step_advanced")[-1]["data"]
    assert moved == {"from": "options", "to": "commit", "by": "choice", "evidence": []}
    refused(ann.client.post(f"/sessions/{id}/options/A/choose", json={}), 409, "WRONG_STEP")
    refused(ann.client.post(f"/sessions/{id}/options", json={"title": "X", "actions": ["Y"]}), 409, "WRONG_STEP")

    other = ann.brought("options")
    invalid(ann.client.post(f"/sessions/{other}/options", json={"title": "", "actions": ["Go"]}), "title")
    invalid(ann.client.post(f"/sessions/{other}/options", json={"title": "Go", "actions": []}), "actions")
    seen = ann.posts(f"/sessions/{other}/options", title="Ask Eve", actions=["Ring her up"])
    assert (seen["current_step"], seen["chosen_option"]) == ("commit", "own")
    own = seen["options"][-1]
    assert (own["id"], own["title"], own["actions"]) == ("own", "Ask Eve", ["Ring her up"])
    types = ann.types(other)
    assert types[types.index("option_added") :] == ["option_added", "option_chosen", "step_advanced"]
    by_title = ann.brought("options")
    title = ann.session(by_title)["options"][1]["title"]
    assert ann.says(by_title, title.upper()).done["next_step"] == "commit"
    assert ann.session(by_title)["chosen_option"] == "B"


def test_24_a_step_is_moved_one_forward_at_most(ann: Owner) -> None:
    fresh = ann.create()

    def moves(id: str, step: str) -> httpx.Response:
        return ann.client.patch(f"/sessions/{id}", json={"current_step": step})

    assert refused(moves(fresh, "clarify"), 400, "INVALID_STEP_TRANSITION")["unmet"]
    id = ann.brought("clarify")
    for step in ("options", "commit", "receive", "clarify"):
        refused(moves(id, step), 400, "INVALID_STEP_TRANSITION")
    refused(moves(id, "nonsense"), 400, "INVALID_STEP")
    assert refused(moves(id, "reframe"), 400, "INVALID_STEP_TRANSITION")["unmet"]
    ann.says(id, "It started after the last project")
    answer = moves(id, "reframe")
    assert answer.status_code == 200 and answer.json()["current_step"] == "reframe"
    moved = ann.events(id, "step_advanced")[-1]["data"]
    assert (moved["from"], moved["to"], moved["by"]) == ("clarify", "reframe", "owner")
    other = ann.brought("options")
    assert refused(moves(other, "commit"), 400, "INVALID_STEP_TRANSITION")["unmet"]
    refused(moves(other, "reframe"), 400, "INVALID_STEP_TRANSITION")
    assert ann.session(other)["current_step"] == "options"


def test_25_a_move_is_contested_once(ann: Owner) -> None:
    def contests(id: str, **body: str) -> httpx.Response:
        return ann.client.post(f"/sessions/{id}/contest", json=body)

    refused(contests(ann.create()), 409, "NOTHING_TO_CONTEST")
    id = ann.brought("clarify")
    answer = contests(id, reason="I was not done")
    assert answer.status_code == 200 and answer.json()["current_step"] == "receive"
    [contested] = ann.events(id, "step_contested")
    assert contested["data"] == {"from": "clarify", "to": "receive", "reason": "I was not done"}
    refused(contests(id), 409, "NOTHING_TO_CONTEST")
    assert ann.says(id, "There is more to say about it").done["next_step"] == "clarify"
    ann.says(id, "It started after the last project")
    refused(contests(id), 409, "NOTHING_TO_CONTEST")
    chosen = ann.brought("commit")
    seen = contests(chosen).json()
    assert (seen["current_step"], seen["chosen_option"]) == ("options", None)
    refused(contests(chosen), 409, "NOTHING_TO_CONTEST")
    assert ann.says(chosen, "B").done["next_step"] == "commit"
    assert contests(chosen).json()["current_step"] == "options"  # another move, another contest
    invalid(contests(chosen, reason="x" * 501), "reason")


def test_26_a_reminder_comes_once(tmp_path: Path) -> None:
    clock = ManualClock()
    with scene(tmp_path, clock=clock) as house:
        house.plays()
        ann = house.owner()
        id, done, left, draft = (ann.brought(step) for step in ("completed", "completed", "commit", "commit"))

        def reminds(at: str | None, of: str = id) -> httpx.Response:
            return ann.client.patch(f"/sessions/{of}", json={"reminder_time": at})

        for at, stored in (("2026-03-01T11:00:00Z", "2026-03-01T11:00:00"), ("2026-03-01T12:30:00+02:00", "10:30:00")):
            answer = reminds(at)
            assert answer.status_code == 200, answer.text
            assert stored in answer.json()["reminder_time"] and answer.json()["reminder_time"].endswith("Z")
        for at in (
            "2026-03-01T11:00:00",
            START.isoformat(),
            "2026-03-01T08:59:59Z",
            "2027-03-03T09:00:00Z",
            "soon",
            "",
        ):
            invalid(reminds(at), "reminder_time")
        assert reminds(None).json()["reminder_time"] is None and ann.session(id)["reminder_time"] is None
        for of in (id, done):
            assert reminds("2026-03-01T11:00:00Z", of).status_code == 200
        ann.patches(f"/actions/{done}/complete")
        assert reminds("2026-03-01T11:00:00Z", left).status_code == 200
        ann.patches(f"/sessions/{left}", status="abandoned")
        assert reminds("2026-03-01T11:00:00Z", draft).status_code == 200
        assert "reminded" not in ann.types(id)
    clock.advance(2 * 3600 + 60)
    for _ in range(2):
        with scene(tmp_path, clock=clock) as house:
            ann = house.again(ann.person)
            assert ann.awaits(id, "reminded")["data"] == {"reminder_time": ann.session(id)["reminder_time"]}
            assert ann.session(id)["reminder_sent_at"] is not None
            clock.advance(timedelta(minutes=5).total_seconds())
            assert ann.types(id).count("reminded") == 1
            assert [ann.types(other).count("reminded") for other in (done, left, draft)] == [0, 0, 0]
    with scene(tmp_path, clock=clock) as house:
        house.plays()
        ann = house.again(ann.person)
        at = (clock.now() + timedelta(hours=1)).isoformat()
        assert ann.patches(f"/sessions/{id}", reminder_time=at)["reminder_sent_at"] is None
        clock.advance(3600)
        assert ann.types(id).count("reminded") == 2
        assert TALK[-1] == PLAN == ann.session(id)["first_step_action"]
