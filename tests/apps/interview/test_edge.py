"""What people and programs meet at the edge of an interview beyond the numbered statements."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from sitting import errors
from sitting.apps.interview import SessionConfig, SessionService, commands
from sitting.apps.interview.app import APP
from sitting.apps.interview.challenges import CreateChallenge
from sitting.apps.interview.cli import app
from sitting.apps.interview.edge import KIND
from sitting.apps.interview.people import link_credential
from sitting.config import Settings
from sitting.core.actor import Actor
from sitting.core.event import to_text
from sitting.installation import Installation
from tests.apps.interview.acting import PAGE, Json, Scene, does, events, frames, place, plan, refused, scene, seen

NOBODY = "Nobody here has this account ID or e-mail address"


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.fixture
def ann(stage: Scene) -> httpx.Client:
    stage.plays()
    return stage.client(stage.person("Ann"))


def said(page: str) -> str:
    """The words of a page."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_a_reason_is_read_by_whom_it_is_for(stage: Scene, ann: httpx.Client) -> None:
    planned = plan(ann)
    candidate = stage.joins(planned)
    candidate.post("/start")
    does(ann, planned, "pause", reason="Back at <b>one</b>")
    assert "The interviewer wrote: Back at &lt;b&gt;one&lt;/b&gt;" in said(candidate.page())
    assert "Paused, with the reason: Back at &lt;b&gt;one&lt;/b&gt;" in said(ann.get(place(planned), headers=PAGE).text)
    does(ann, planned, "resume")
    does(ann, planned, "pause")
    assert "The interviewer wrote" not in candidate.page()
    does(ann, planned, "end", reason="Only for us")
    assert "Ended, with the reason: Only for us" in said(ann.get(place(planned), headers=PAGE).text)
    assert "Only for us" not in candidate.page() + candidate.get("/events").text + candidate.get("/export").text


def test_a_stream_of_a_reply_ends_with_how_and_where(stage: Scene, ann: httpx.Client) -> None:
    planned = plan(ann)
    candidate = stage.joins(planned)
    candidate.post("/start")
    sent = candidate.asks("Why?")
    seq = candidate.get("/messages").json()["items"][-1]["seq"]
    inline = candidate.post("/messages", {"content": "And?"}, Accept="text/event-stream").text
    for told, at in (
        (candidate.client.get(sent["stream"]).text, seq),
        (ann.get(f"{place(planned)}/turns/{sent['turn']}/stream").text, seq),
        (inline, seq + 2),
    ):
        assert frames(told)[-1] == {"status": "completed", "seq": at}


def test_an_interviewer_is_somebody(stage: Scene, ann: httpx.Client) -> None:
    planned = plan(ann)
    for nobody in ("user:nobody", "nobody@example.com", "guest:x", "system:worker", "x" * 300):
        problem = refused(
            ann.post(f"{place(planned)}/interviewers", json={"actor_id": nobody}), 422, "VALIDATION_ERROR"
        )
        assert problem["fields"] == [{"field": "actor_id", "message": NOBODY}]
    again = ann.post(f"{place(planned)}/interviewers", data={"actor_id": "nobody@example.com"}, headers=PAGE)
    assert again.status_code == 422 and NOBODY in again.text and "nobody@example.com" in again.text
    access = stage.served.installation.access
    elsewhere = access.create_account("Liz", space=access.create_space("Elsewhere").result()).result()
    for path in (f"{place(planned)}/interviewers", f"/v1/sessions/{planned['id']}/commands/add_interviewer"):
        for nobody in (elsewhere, "user:nobody"):
            refused(ann.post(path, json={"actor_id": nobody}), 422, "VALIDATION_ERROR")
    bob = access.create_account("Bob", roles=("member",), email="bob@example.com").result()
    for named in ("Bob@Example.com", bob):
        assert does(ann, planned, "interviewers", actor_id=named)["interviewers"][1:] == [bob]
    assert [event["data"] for event in events(ann, planned, "INTERVIEWER_ADDED")] == [{"actor": bob}]
    panel = said(ann.get(place(planned), headers=PAGE).text)
    assert "You Remove yourself Bob Remove Bob" in panel


def test_who_has_an_account_elsewhere_is_nobodys_to_find_out(stage: Scene, ann: httpx.Client) -> None:
    access = stage.served.installation.access
    space = access.create_space("Across").result()
    access.create_account("Lou", space=space, email="lou@example.com").result()
    planned = plan(ann)

    def answers(named: str, **headers: str) -> tuple[int, Json]:
        answer = ann.post(f"{place(planned)}/interviewers", json={"actor_id": named}, headers=headers)
        return answer.status_code, {**answer.json(), "request_id": ""}

    for status, headers in ((422, {}), (412, {"If-Match": '"1.999"'})):
        told = answers("lou@example.com", **headers)
        assert told == answers("nobody@example.com", **headers) and told[0] == status


def test_a_browser_is_asked_for_its_newest_seats_alone(stage: Scene, ann: httpx.Client) -> None:
    candidate = stage.joins(plan(ann))
    stage.clock.advance(8 * 86_400)
    name, value = next(iter(candidate.client.cookies.items()))
    for older, newer, status in ((1000, 19, 200), (0, 20, 404)):
        others = [f"interview-{number:x}=b" for number in range(older + newer)]
        sent = "; ".join([*others[:older], f"{name}={value}", *others[older:]])
        guest = stage.client()
        assert guest.get(f"{candidate.place}/status", headers={"Cookie": sent}).status_code == status


def test_what_is_not_there_is_one_answer_to_the_letter(stage: Scene, ann: httpx.Client) -> None:
    foreign = plan(ann)
    eve, guest = stage.client(stage.person("Eve")), stage.client()
    revoked = foreign["join_url"].removeprefix(stage.served.url)
    does(ann, foreign, "link", action="revoke")
    for accept in ("application/json", "text/html"):
        for path, client, names in (
            ("/interviews/{}", eve, (foreign["id"], str(uuid.uuid4()), "malformed")),
            ("/challenges/{}", eve, (str(uuid.uuid4()), "malformed")),
            ("/i/{}", guest, (revoked.removeprefix("/i/"), "a" * 26, "short")),
        ):
            answers = [client.get(path.format(name), headers={"Accept": accept}) for name in names]
            assert {each.status_code for each in answers} == {404}
            assert len({each.text for each in answers}) == 1, path
            assert len({each.headers["x-request-id"] for each in answers}) == len(names)
    assert "Ask the person who sent it to you for a new one." in guest.get(f"/i/{'a' * 26}", headers=PAGE).text


def test_a_message_that_comes_too_late_stays_readable(stage: Scene, ann: httpx.Client) -> None:
    planned = plan(ann)
    candidate = stage.joins(planned)
    form = {"content": "A long <b>thought</b>", "csrf_token": candidate.headers["X-CSRF-Token"]}
    for verb in ("start", "pause", "end"):
        does(ann, planned, verb)
        if verb == "start":
            continue
        page = candidate.client.post(f"{candidate.place}/messages", data=form, headers=PAGE)
        assert page.status_code == 409
        assert "This was not sent A long &lt;b&gt;thought&lt;/b&gt;" in said(page.text)
    assert "This was not sent" not in candidate.page()


def test_only_a_reply_that_was_can_be_over(stage: Scene, ann: httpx.Client) -> None:
    planned = plan(ann)
    candidate = stage.joins(planned)
    candidate.post("/start")
    turn = candidate.asks("Why?")["turn"]
    for _ in range(2):
        for by, at in ((ann.post, place(planned)), (lambda path: candidate.post(path), "")):
            refused(by(f"{at}/turns/{turn}/cancel"), 409, "TURN_OVER", "This reply has already ended.")
            for unknown in (str(uuid.uuid4()), "x", "x" * 300):
                refused(by(f"{at}/turns/{unknown}/cancel"), 404, "NOT_FOUND", "Turn not found")
        if seen(ann, planned)["status"] == "active":
            does(ann, planned, "end")


def test_who_comes_after_the_end_is_told_so(stage: Scene, ann: httpx.Client) -> None:
    planned = plan(ann)
    does(ann, planned, "end")
    door = planned["join_url"].removeprefix(stage.served.url) + "/join"
    late = stage.client()
    assert refused(late.post(door), 409, "WRONG_STATE")["session_status"] == "completed"
    page = late.post(door, headers=PAGE)
    assert (
        page.status_code == 409
        and "This interview has ended." in page.text
        and "was faster" not in page.text
        and "interview-" not in str(late.cookies)
    )


def test_a_house_without_a_model_says_so_before_anybody_writes(stage: Scene, ann: httpx.Client) -> None:
    planned = plan(ann)
    candidate = stage.joins(planned)
    stage.cast.model = None
    started: Json = candidate.post("/start").json()
    for status in (started, candidate.status()):
        assert (status["can_send"], status["reason"]) == (False, "No language model is configured.")
    assert "Please tell the interviewer. No language model is configured." in said(candidate.page())
    form = {"content": "Hello?", "csrf_token": candidate.headers["X-CSRF-Token"]}
    answer = candidate.client.post(f"{candidate.place}/messages", data=form, headers=PAGE)
    assert answer.status_code == 503 and said(answer.text).count("No language model is configured.") == 1
    assert "Nobody would answer the candidate" in ann.get(place(planned), headers=PAGE).text
    does(ann, planned, "pause")
    assert candidate.status()["reason"] == "Session is paused. Cannot send messages."
    does(ann, planned, "end")
    assert "Nobody would answer the candidate" not in ann.get(place(planned), headers=PAGE).text


def test_a_name_that_was_not_said_is_asked_for(ann: httpx.Client) -> None:
    problem = refused(ann.post("/interviews", json={}), 422, "VALIDATION_ERROR")
    assert problem["fields"] == [{"field": "candidate_name", "message": "Candidate name is required"}]


def test_an_interview_in_which_nothing_was_said_explains_itself(stage: Scene, ann: httpx.Client) -> None:
    planned = plan(ann)
    assert "Time limit, not started" in ann.get(place(planned), headers=PAGE).text
    does(ann, planned, "end")
    assert "Time left at the end" in ann.get(place(planned), headers=PAGE).text
    review = ann.get(f"{place(planned)}/review", headers=PAGE).text
    assert "there is no passage that a score could rest on" in review and "no figure yet" not in review
    assert seen(ann, planned)["message_count"] == 0


def test_the_log_of_the_program_hears_of_a_move_in_vain(stage: Scene, caplog: pytest.LogCaptureFixture) -> None:
    service = SessionService(stage.served.installation)
    id = service.create_session(SessionConfig(candidate_name="Test User")).id
    with caplog.at_level(logging.WARNING):
        service.pause_session(id)
    [record] = caplog.records
    assert record.levelname == "WARNING" and record.name == "sitting.apps.interview.service"
    assert record.getMessage() == f"Cannot pause session. Session is in 'created' state. Interview {id} is unchanged."


def test_the_shell_plans_and_reads(tmp_path: Path) -> None:
    def run(*arguments: str) -> Result:
        environment = {"SITTING_MODEL": "scripted", "SITTING_INTERVIEW_TIME_LIMIT": "900"}
        return CliRunner().invoke(app, [*arguments, "--data", str(tmp_path)], env=environment)

    planned = run("create", "Ada", "--tokens", "9000").stdout.split()
    assert re.fullmatch(r"/i/[a-z2-7]{26}", planned[1])
    with Installation(Settings(data=tmp_path, model="scripted"), apps=(APP,)) as installation:
        engine, local, guest = installation.engine, installation.access.local(), Actor("guest:" + "a" * 40)
        session = engine.view(planned[0], local).result().view
        assert (session["time_limit"], session["token_budget"], session["model_name"]) == (900, 9000, "gpt-4")
        fields = {"title": "T", "category": "coding", "difficulty": "easy", "instructions": "Go"}
        challenge = engine.open("challenge", CreateChallenge(**fields), local).result().session.id
        code = link_credential(planned[1].removeprefix("/i/"))
        engine.do(planned[0], commands.Join(), replace(guest, credentials=(code,))).result()
        engine.do(planned[0], commands.Start(), local).result()
        turn = engine.do(planned[0], commands.SendMessage(content="Why?"), guest).result().events[-1].data["turn"]
        engine.do(planned[0], commands.CancelTurn(turn=turn), guest).result()
        other = engine.open(KIND, commands.Create(candidate_name="Ben"), local).result().session.id
    assert run("transcript", planned[0]).stdout == "[4] candidate: Why?\n[5] model (cut): \n"
    assert run("transcript", other).stdout == ""
    for unknown in (str(uuid.uuid4()), challenge, "x"):
        missed = run("transcript", unknown).exception
        assert isinstance(missed, errors.NotFound) and missed.message == "Interview not found"


def test_an_event_reads_as_its_public_form(stage: Scene) -> None:
    service = SessionService(stage.served.installation)
    [event] = service.get_events(service.create_session(SessionConfig(candidate_name="Test User")).id)
    assert (event["type"], event["seq"], event["description"]) == ("SESSION_CREATED", 1, "Session created")
    assert event["actor"] == {"role": "interviewer"} and event["ts"] == to_text(event.ts)
    assert event["data"] == event.data == {"time_limit": 3600, "token_budget": 50_000, "model": "gpt-4"}
    with pytest.raises(KeyError):
        event["nothing"]
