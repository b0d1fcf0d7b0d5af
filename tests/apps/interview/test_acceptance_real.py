"""Acceptance statements of the interview once more, on the real clock, with real kills, cuts and a nearly empty budget.

What the other files prove with a clock that a test moves and a server that stops in order, these prove the hard way.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sitting.apps.interview import Session, SessionConfig, SessionService, SessionStatus
from sitting.apps.interview.app import APP
from sitting.config import Settings
from sitting.installation import Installation
from sitting.model import Gate, Step
from sitting.store import journal
from tests.apps.interview import room
from tests.apps.interview.acting import PAGE, Candidate, Json, awaits, does, events, place, plan, refused, scene
from tests.apps.interview.acting import seen as shown
from tests.support import ports
from tests.support.clock import ManualClock
from tests.support.endpoint import Answering, World, serving
from tests.support.hall import until
from tests.support.process import Program
from tests.support.serving import PATIENCE_SECONDS

SHORT = SessionConfig(candidate_name="Test User", time_limit=2)
TWO = timedelta(seconds=2)
CALLS = 200
STEPPED = """
import datetime, json, sys, time
real, passed, step = datetime.datetime, time.time, datetime.timedelta(0)

class Wall(real):
    @classmethod
    def now(cls, tz=None):
        return real.now(tz) + step

datetime.datetime = Wall
time.time = lambda: passed() + step.total_seconds()
from sitting.apps.interview import SessionConfig, SessionService
service = SessionService()
id = service.create_session(SessionConfig(candidate_name="Test User")).id
service.start_session(id)
told = [service.get_remaining_time(id)]
for days in (1, -1):
    step = datetime.timedelta(days=days)
    assert abs((Wall.now() - real.now()).total_seconds()) > 80_000
    told.append(service.get_remaining_time(id))
    told.append(service.pause_session(id).time_remaining)
    told.append(service.resume_session(id).time_remaining)
print(json.dumps([told, service.get_session(id).total_paused_duration]))
service.close()
"""


def ends(installation: Installation, id: str) -> int:
    """How many expiries lie in the store. Looking here makes nothing happen."""
    return installation.store.read(lambda tx: [each.type for each in journal.every(tx, id)]).result().count(
        "SESSION_EXPIRED"
    )  # fmt: skip


def stands(session: Session | None) -> None:
    """The end stands two seconds after the start, whenever it was noticed."""
    assert session is not None and session.start_time is not None and session.end_time is not None
    assert session.status is SessionStatus.EXPIRED
    assert abs(session.end_time - session.start_time - TWO) <= timedelta(milliseconds=50)


def test_09_twenty_readers_and_a_server_meet_at_the_end(tmp_path: Path) -> None:
    with room.opened(tmp_path) as house, ThreadPoolExecutor(20) as many:
        service = SessionService(house.installation)
        read, unread = service.create_session(SHORT).id, service.create_session(SHORT).id
        service.start_session(unread)
        service.start_session(read)

        def watch(_: int) -> Session:
            until(lambda: service.is_session_expired(read))
            session = service.get_session(read)
            assert session is not None
            return session

        for session in many.map(watch, range(20)):
            stands(session)
        until(lambda: ends(house.installation, unread) > 0)
        assert (ends(house.installation, read), ends(house.installation, unread)) == (1, 1)
        stands(service.get_session(unread))
        assert service.get_remaining_time(unread) == 0


def test_09_a_server_that_was_away_notices_by_itself(tmp_path: Path) -> None:
    clock = ManualClock()
    with room.installed(tmp_path, clock=clock) as installation:
        service = SessionService(installation)
        id = service.create_session(SHORT).id
        service.start_session(id)
    clock.advance(3)
    with room.opened(tmp_path, clock=clock) as house:
        until(lambda: ends(house.installation, id) > 0)
        assert ends(house.installation, id) == 1
        stands(SessionService(house.installation).get_session(id))


def test_10_one_figure_everywhere(tmp_path: Path) -> None:
    clock = ManualClock()
    with scene(tmp_path, clock=clock) as stage:
        ann = stage.client(stage.person("Ann"))
        planned = plan(ann)
        candidate, url = stage.joins(planned), place(planned)
        candidate.post("/start")
        clock.advance(600)
        does(ann, planned, "pause")
        clock.advance(600)
        listed = ann.get("/interviews").json()["items"][0]
        told = [ann.get(url), ann.get(f"{url}/remaining"), candidate.get("/status")]
        generic = ann.get(f"/v1/sessions/{planned['id']}").json()["view"]
        replayed = ann.get(f"{url}/replay").json()["session"]
        figures = [each["time_remaining"] for each in (*(one.json() for one in told), listed, generic, replayed)]
        assert figures == [3000] * 6
        assert SessionService(stage.served.installation).get_remaining_time(planned["id"]) == 3000
        book = ann.get(f"{url}/ledger").json()["time"]
        assert book[-1]["balance"] == 3000
        for page in (ann.get(url, headers=PAGE).text, candidate.page(), ann.get("/interviews", headers=PAGE).text):
            assert "50:00" in page
        assert does(ann, planned, "end")["time_remaining"] == 3000
        assert ann.get(f"{url}/export").json()["session"]["time_remaining"] == 3000


def test_10_a_step_of_the_wall_clock_is_no_time(tmp_path: Path) -> None:
    environment = os.environ | {"SITTING_DATA": str(tmp_path), "SITTING_MODEL": "scripted"}
    done = subprocess.run(
        [sys.executable, "-c", STEPPED], env=environment, capture_output=True, text=True, timeout=250, check=True
    )
    told, paused = json.loads(done.stdout)
    # Half an hour is more than any machine takes for this, and far less than a day.
    assert len(told) == 7 and min(told) >= 1800 and max(told) == told[0] <= 3600
    assert paused <= 1800


def test_17_a_stream_cut_anywhere_goes_on_where_it_was(tmp_path: Path) -> None:
    pieces = ("Größe: ", "😀 👩‍👩‍👧", "\n\n```\nif a:\r\n\tb\n```\n", "data: x\n\n", "ende.")
    gate = Gate()
    with scene(tmp_path) as stage:
        ann = stage.client(stage.person("Ann"))
        stage.plays(Step(pieces, gate=gate))
        planned = plan(ann)
        candidate = stage.joins(planned)
        candidate.post("/start")
        sent = candidate.sends("How?")
        heard, at = "", f"{sent['turn']}.0"
        for number in range(len(pieces)):  # one reader, cut off after every piece while the model still writes
            gate.wait_until_waiting()
            gate.release()
            for behind, text in tokens(candidate.client, sent["stream"], after=at):
                heard, at = heard + text, behind
                if heard == "".join(pieces[: number + 1]):
                    break
        assert candidate.hears(sent["turn"])["status"] == "completed"
        final = candidate.get("/messages").json()["items"][-1]
        assert heard == final["content"] == "".join(pieces)
        for cut in range(len(heard) + 1):  # and any place by each of the two names for it
            for options in ({"headers": {"Last-Event-ID": f"{sent['turn']}.{cut}"}}, {"params": {"after": cut}}):
                rest = candidate.client.get(sent["stream"], **options)
                assert "".join(text for _, text in pieces_of(rest.text.splitlines())) == heard[cut:]
                assert "event: done" in rest.text
        over = candidate.client.get(sent["stream"], headers={"Last-Event-ID": f"{sent['turn']}.end"})
        assert over.status_code == 204
        end = candidate.hears(sent["turn"])
        assert end == {"status": "completed", "seq": final["seq"]}
        now = shown(ann, planned)
        assert now["tokens_used"] == now["input_tokens"] + now["output_tokens"] > 0 and now["message_count"] == 2


def tokens(client: httpx.Client, path: str, *, after: str) -> Iterator[tuple[str, str]]:
    """The pieces of a reply as they come, each with the position behind it."""
    with client.stream("GET", path, headers={"Last-Event-ID": after}) as response:
        assert response.status_code == 200
        yield from pieces_of(response.iter_lines())


def pieces_of(lines: Iterator[str] | list[str]) -> Iterator[tuple[str, str]]:
    frame: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            frame[name] = value
            continue
        if frame.get("event") == "token":
            yield frame["id"], json.loads(frame["data"])["content"]
        frame = {}


def test_18_a_small_budget_holds_whatever_the_provider_says(tmp_path: Path) -> None:
    lies: tuple[tuple[str, dict[str, Any]], ...] = (
        ("cut", {"fail_after": 1}), ("silent", {"usage": None}), ("negative", {"usage": (-5, -5)}),
        ("text", {"usage": ("many", 1.5)}), ("huge", {"usage": (10**9, 10**9)}), ("long", {"usage": (1, 10**9)}),
    )  # fmt: skip
    with scene(tmp_path) as stage:
        ann = stage.client(stage.person("Ann"))
        for name, lie in lies:
            stage.plays(*(Step(("word ", "word "), **lie) for _ in range(4)))
            planned = plan(ann, token_budget=1000)
            candidate = stage.joins(planned)
            candidate.post("/start")
            for _ in range(4):
                answer = candidate.post("/messages", {"content": "Why? " * 20})
                if answer.status_code != 202:
                    assert answer.status_code == 409 and answer.json()["code"].startswith("BUDGET_"), name
                    break
                candidate.hears(answer.json()["turn"])
            within(ann, planned)
            last = shown(ann, planned)
            assert last["tokens_reserved"] == 0 and (last["tokens_used"] == 0) == (name == "cut"), name
            if name in ("huge", "long"):
                settled = events(ann, planned, "MESSAGE_RECEIVED")
                assert settled[0]["data"]["overrun"] > 0 and last["tokens_remaining"] == 0
                refused(
                    candidate.post("/messages", {"content": "And?"}), 409, "BUDGET_EXHAUSTED",
                    "Token budget exhausted. Cannot send more messages.",
                )  # fmt: skip


def within(client: httpx.Client, planned: Json) -> None:
    """At every event: what is used and what is reserved never go beyond the budget."""
    for event in events(client, planned):
        then = client.get(f"{place(planned)}/replay", params={"at": event["seq"]}).json()["session"]
        assert 0 <= then["tokens_used"] + then["tokens_reserved"] <= then["token_budget"], event
        assert then["tokens_remaining"] == then["token_budget"] - then["tokens_used"] - then["tokens_reserved"]


@contextmanager
def program(path: Path, port: int, model: World) -> Iterator[Program]:
    """The program on this directory, with this model."""
    environment = os.environ | {"SITTING_DATA": str(path), "SITTING_MODEL": "held", "SITTING_MODEL_URL": model.url}
    with Program([sys.executable, "-m", "sitting", "serve", "--port", str(port)], env=environment) as started:
        started.wait_for("Sitting is ready")
        yield started


def half(model: Answering, _: Json) -> None:
    model.begin()
    model.say("First ", "I would ")
    model.wait_for_hang_up()


def whole(model: Answering, _: Json) -> None:
    model.begin()
    model.say("First I would sort it.", finish="stop")


@pytest.mark.timeout(300)
def test_18_and_24_a_killed_server_gives_the_reservation_back(tmp_path: Path) -> None:
    with Installation(Settings(data=tmp_path, model="scripted"), apps=(APP,)) as installation:
        token, _ = installation.access.create_token(installation.access.local().id, "test", scopes=("*",)).result()
    bearer = {"Authorization": f"Bearer {token}"}
    with ExitStack() as stack:
        port, model = stack.enter_context(ports.held()), stack.enter_context(serving(half))
        url = f"http://127.0.0.1:{port}"
        ann = stack.enter_context(httpx.Client(base_url=url, headers=bearer, timeout=PATIENCE_SECONDS))
        own = stack.enter_context(httpx.Client(base_url=url, timeout=PATIENCE_SECONDS))
        with program(tmp_path, port, model) as server:
            planned = plan(ann)
            candidate = Candidate(own, planned["join_url"].removeprefix(url))
            candidate.post("/start")
            turn = candidate.sends("How would you sort a long list of numbers?")["turn"]
            part = next(text for _, text in tokens(own, f"{candidate.place}/turns/{turn}/stream", after=f"{turn}.0"))
            assert shown(ann, planned)["tokens_reserved"] > 0
            server.send(signal.SIGKILL)
            server.wait()
        model.play = whole
        with program(tmp_path, port, model):
            failed = awaits(ann, planned, "TURN_FAILED")["data"]
            assert (failed["turn"], failed["reason"], failed["charged"]) == (turn, "interrupted", 0)
            assert failed["content"].startswith(part)
            within(ann, planned)
            assert (shown(ann, planned)["tokens_reserved"], shown(ann, planned)["tokens_used"]) == (0, 0)
            again = candidate.post(f"/turns/{turn}/retry").json()["turn"]
            assert candidate.hears(again)["status"] == "completed"
            said = candidate.get("/messages").json()["items"]
            assert [(each["role"], each["mark"]) for each in said] == [
                ("user", None), ("assistant", "incomplete"), ("assistant", None),
            ]  # fmt: skip


def test_24_the_part_before_the_end_of_time_is_kept_and_charged(tmp_path: Path) -> None:
    clock, gate = ManualClock(), Gate()
    with scene(tmp_path, clock=clock) as stage:
        ann = stage.client(stage.person("Ann"))
        stage.plays(Step(("kept ", "lost"), gate=gate))
        planned = plan(ann, time_limit=300)
        candidate = stage.joins(planned)
        candidate.post("/start")
        clock.advance(298)
        turn = candidate.sends("Quick?")["turn"]
        asked = events(ann, planned, "MESSAGE_SENT")[0]["data"]
        gate.release()
        candidate.reads(turn, "kept ")
        clock.advance(2)
        awaits(ann, planned, "SESSION_EXPIRED")
        cancelled, expired = events(ann, planned)[-2:]
        assert (cancelled["type"], expired["type"]) == ("TURN_CANCELLED", "SESSION_EXPIRED")
        assert (cancelled["data"]["content"], cancelled["data"]["mark"]) == ("kept ", "cut")
        assert asked["prompt_tokens"] < cancelled["data"]["charged"] <= asked["prompt_tokens"] + 5
        assert expired["data"]["tokens_used"] == cancelled["data"]["charged"]
        assert candidate.hears(turn)["status"] == "cancelled"
        last = shown(ann, planned)
        assert (last["tokens_reserved"], last["status"]) == (0, "expired")
        gate.open()
        refused(candidate.post("/messages", {"content": "?"}), 409, "TIME_EXPIRED", "Session time has expired.")
        assert events(ann, planned)[-1]["seq"] == expired["seq"]


def test_36_a_hundred_sessions_are_no_burden(tmp_path: Path) -> None:
    """What the calls take of the processor, this client and the worker included: a busy machine changes it least."""
    with scene(tmp_path) as stage:
        eve = stage.client(stage.person("Eve"))
        made = [plan(eve)["id"] for _ in range(100)]
        turns = iter(range(10**6))

        def change() -> httpx.Response:
            number = next(turns)
            return eve.patch(f"/interviews/{made[number % 100]}", json={"candidate_name": f"Name {number}"})

        assert percentile(lambda: eve.get(f"/interviews/{made[next(turns) % 100]}")) < 10
        assert percentile(change) < 50
        assert percentile(lambda: eve.get("/interviews", params={"limit": 100})) < 50
        assert percentile(lambda: eve.post("/interviews", json={"candidate_name": "Ada"})) < 100


def percentile(call: Callable[[], httpx.Response]) -> float:
    """Of 200 calls, what 95 % of them stay below, in milliseconds: in the quietest of three rounds, and of that the
    share that is left when nobody counts the lines that are run, which makes each of them slower.
    """
    counted = 3 if sys.gettrace() else 1
    return min(_round(call) for _ in range(3)) / counted


def _round(call: Callable[[], httpx.Response]) -> float:
    taken = []
    for _ in range(CALLS):
        begun = time.process_time()
        answer = call()
        taken.append((time.process_time() - begun) * 1000)
        assert answer.is_success
    return sorted(taken)[CALLS * 95 // 100 - 1]
