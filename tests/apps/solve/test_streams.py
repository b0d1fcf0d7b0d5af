"""The streams of one reply say the same, byte for byte, wherever and whenever they are read and cut."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from sitting.apps.solve import models
from sitting.model import Gate, Step
from tests.apps.solve.room import WORRY, Frame, Owner, Scene, hears, refused, scene, told

PROSE = "Žluť  and\n\n你好 “quoted” \U0001f40e\u2028end. "
PIECES = ("Žl", "uť ", " and", "\n\n你", "好 “quo", "ted” \U0001f40e", "\u2028end", ". ")
LONG = "A second message that is long enough"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("streams")) as made:
        yield made


@pytest.fixture
def ann(house: Scene) -> Owner:
    house.plays()
    return house.owner()


def blocks(raw: bytes) -> list[bytes]:
    """The frames of a stream that have a name, as they came."""
    return [block for block in raw.split(b"\n\n") if block.startswith(b"event: ")]


def spoken(answer: httpx.Response) -> str:
    return told(answer).text


def test_words_made_in_one_go_are_the_frames_of_each() -> None:
    words = ["plain ", 'a "quote"\n', "back\\slash ", "\u2028 and \x85 ", "表 ", "🙂"]
    alone, off = "", 7
    for word in words:
        off += len(word)
        alone += models.SSETokenEvent(content=word).frame(f"turn.{off}")
    assert models.tokens("turn", 7, words) == alone


def test_frames_are_in_the_documented_form_to_the_letter(house: Scene, ann: Owner) -> None:
    house.plays(Step(("I ", "see.")))
    id = ann.create()
    raw = ann.sends(id, WORRY).content.decode()
    turn = ann.events(id, "turn_started")[0]["data"]["turn"]
    opening, first, second, last, rest = raw.split("\n\n")
    assert opening == f": turn={turn}" and rest == ""
    assert first == f'event: token\ndata: {{"content": "I "}}\nid: {turn}.2'
    assert second == f'event: token\ndata: {{"content": "see."}}\nid: {turn}.6'
    assert last.startswith('event: done\ndata: {"next_step": "clarify", "emotion_detected": "neutral", "turn": "')
    assert last.endswith(f"\nid: {turn}.end")
    known = models.SSEDoneEvent.model_validate_json(last.split("\n")[1].removeprefix("data: "))
    assert known.frame(f"{turn}.end") == f"{last}\n\n"


def test_three_streams_of_one_reply_agree(house: Scene, ann: Owner) -> None:
    gate = Gate()
    house.plays(Step(PIECES, gate=gate))
    id = ann.create()
    with ann.watching(f"/sessions/{id}/events", after="now") as follower, ann.saying(id) as own:
        place = own.response.headers["location"]
        turn = place.split("/")[-2]
        with ann.watching(place) as other:
            said = follower.until("snapshot").data["text"]
            for piece in PIECES:
                gate.release()
                hears(own, piece)
                hears(other, piece)
            gate.open()
            ends = [own.until("done"), other.until("done")]
        while (frame := follower.frame()) is not None and frame.event == "token":
            assert frame.data["off"] == len(said)
            said += frame.data["text"]
        assert frame is not None and frame.data["type"] == "turn_completed"
        stored = frame.data["data"]["text"]
        closing = follower.until("done").data
    assert stored == said == PROSE
    assert ends[0] == ends[1] and ends[0].data["seq"] == closing["seq"] == frame.data["seq"]
    repeats = {ann.client.get(place).content.partition(b"\n\n")[2] for _ in range(2)}
    assert len(repeats) == 1
    again = told(ann.client.get(place))
    assert again.text == PROSE and again.frames[-1] == ends[0]
    assert ann.turn(id, turn)["text"] == ann.messages(id)[1]["content"] == PROSE


def test_a_post_and_every_repeat_are_the_same_bytes(ann: Owner, house: Scene) -> None:
    house.mocks()
    id, key = ann.create(), {"Idempotency-Key": "k"}
    first = ann.sends(id, WORRY, key).content
    assert ann.sends(id, WORRY, key).content == first
    ann.says(id, LONG)
    assert ann.sends(id, WORRY, key).content == first, "what a turn has changed is told as of its end"
    place = ann.sends(id, WORRY, key).headers["location"]
    for cut in range(13):
        last = blocks(first)[cut - 1].rpartition(b"\nid: ")[2].decode() if cut else f"{place.split('/')[-2]}.0"
        rest = ann.client.get(place, headers={"Last-Event-ID": last})
        assert blocks(first)[:cut] + blocks(rest.content) == blocks(first)


def test_cut_at_every_byte_and_every_offset(house: Scene, ann: Owner) -> None:
    house.plays(Step(PIECES))
    id = ann.create()
    answer = ann.sends(id, WORRY)
    place = answer.headers["location"]
    turn = place.split("/")[-2]
    rests: dict[str, Sequence[Frame]] = {}
    for end in range(len(answer.content) + 1):
        whole = answer.content[:end].rpartition(b"\n\n")[0]
        seen = [(block.rpartition(b"\nid: ")[2].decode(), block) for block in blocks(whole)]
        last = seen[-1][0] if seen else ""
        if last not in rests:
            headers = {"Last-Event-ID": last} if last else {}
            rest = ann.client.get(place, headers=headers)
            assert rest.status_code == (204 if last.endswith(".end") else 200)
            rests[last] = told(rest).frames if rest.status_code == 200 else []
            said = "".join(frame.data["content"] for frame in rests[last] if frame.event == "token")
            heard = told(httpx.Response(200, content=whole + b"\n\n")).text
            assert heard + said == PROSE
            if rests[last]:
                assert blocks(rest.content)[-1] == blocks(answer.content)[-1]
    assert len(rests) == len(blocks(answer.content)) + 1
    for off in range(len(PROSE) + 1):
        assert spoken(ann.client.get(place, params={"after": f"{turn}.{off}"})) == PROSE[off:]
        assert spoken(ann.client.get(place, headers={"Last-Event-ID": str(off)})) == PROSE[off:]
    refused(ann.client.get(place, params={"after": f"{turn}.{len(PROSE) + 1}"}), 400, "INVALID_CURSOR")


def test_a_cursor_beyond_a_running_reply_is_none_of_ours(house: Scene, ann: Owner) -> None:
    gate = Gate()
    house.plays(Step(("One ", "two"), gate=gate))
    id = ann.create()
    with ann.saying(id) as own:
        gate.release()
        hears(own, "One ")
        place = own.response.headers["location"]
        turn = place.split("/")[-2]
        refused(ann.client.get(place, headers={"Last-Event-ID": f"{turn}.5"}), 400, "INVALID_CURSOR")
        refused(ann.client.get(place, headers={"Last-Event-ID": f"{turn}.end"}), 400, "INVALID_CURSOR")
        with ann.watching(place, after=f"{turn}.4") as late:
            gate.open()
            assert late.until("done") == own.until("done")


def test_a_fixed_reply_is_a_stream_like_any_other(house: Scene, ann: Owner) -> None:
    house.leaves()
    id = ann.create(locale="zh")
    answer = ann.sends(id, "我想死")
    stream = told(answer)
    assert stream.done["blocked"] is True and stream.text == ann.messages(id)[1]["content"]
    assert blocks(ann.client.get(answer.headers["location"]).content) == blocks(answer.content)
    assert (
        ann.client.get(answer.headers["location"], headers={"Last-Event-ID": stream.frames[-1].id}).status_code == 204
    )


def test_a_failure_is_told_before_the_end_and_not_to_who_has_the_end(house: Scene, ann: Owner) -> None:
    house.plays(Step(("One ", "two "), fail_after=2))
    id = ann.create()
    answer = ann.sends(id, WORRY)
    raw, turn = answer.text, answer.headers["location"].split("/")[-2]
    assert re.search(r'event: fault\ndata: \{"code": "MODEL_FAILED", "message": "[^"]+", "retry": [0-9]+\}\n\n', raw)
    assert [frame.event for frame in told(answer).frames[-2:]] == ["fault", "done"]
    assert told(answer).frames[-2].id == "", "only text and the end are positions"
    rest = ann.streamed(id, turn, f"{turn}.8")
    assert [frame.event for frame in rest.frames[1:]] == ["fault", "done"] and rest.done["status"] == "failed"


def test_retry_and_dismissal_are_streams_too(house: Scene, ann: Owner) -> None:
    house.plays(Step(("One ",), fail_after=1), Step(("Here. ",)), Step(("Fine. ",)))
    id = ann.create()
    failed = ann.says(id, WORRY).done["turn"]
    again = ann.acts(id, failed, "retry")
    assert again.status_code == 200 and told(again).text == "Here. " and told(again).done["next_step"] == "clarify"
    blocked = ann.says(id, "I want to die").done["turn"]
    later = ann.client.post(
        f"/sessions/{id}/turns/{blocked}/dismiss-crisis", json={}, headers={"Accept": "application/json"}
    )
    assert later.status_code == 202 and set(later.json()) == {"turn", "stream_url"}
    assert spoken(ann.client.get(later.json()["stream_url"])) == "Fine. "


def test_many_retries_do_not_hide_the_message(house: Scene, ann: Owner) -> None:
    house.plays(*[Step(("One ",), fail_after=1)] * 40)
    id = ann.create()
    turn = ann.says(id, "I am so worried and nervous").done["turn"]
    for _ in range(35):
        answer = ann.acts(id, turn, "retry")
        done: dict[str, Any] = told(answer).done
        turn = done["turn"]
        assert (done["status"], done["emotion_detected"]) == ("failed", "anxious")


def test_the_first_block_of_a_resumed_stream_says_where(ann: Owner) -> None:
    id = ann.create()
    turn = ann.says(id, WORRY).done["turn"]
    with ann.watching(f"/sessions/{id}/turns/{turn}/stream", after=f"{turn}.3") as reader:
        first = reader.frame()
    assert first is not None
    assert first.retry is not None and first.id == f"{turn}.3" and first.comment
