"""The interview over HTTP: statuses, codes, sentences and shapes, through a real server, worker and scripted model."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sitting import bundle
from sitting.apps.interview.app import APP
from sitting.apps.interview.challenges import BUILT_IN
from sitting.config import Settings
from sitting.core import chain
from sitting.installation import Installation
from tests.support.serving import PATIENCE_SECONDS, Served, running

PAGE = {"Accept": "text/html"}
STATES = ("created", "active", "paused", "completed", "expired")
MOVES = {"start": ("created",), "pause": ("active",), "resume": ("paused",), "end": ("created", "active", "paused")}
KEYS = set(
    "id candidate_name candidate_email time_limit token_budget model_name status start_time end_time paused_at "
    "total_paused_duration tokens_used input_tokens output_tokens tokens_reserved tokens_remaining message_count "
    "time_remaining challenge_id challenge_text config interviewers join_url link_expires_at created_at updated_at "
    "as_of".split()
)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(
        data=tmp_path_factory.mktemp("interviews"), model="scripted", port=0, drain_seconds=1,
        interview_messages_minute=10_000, interview_messages_hour=10_000, interview_messages_space_hour=10_000,
    )  # fmt: skip
    with Installation(settings, apps=(APP,)) as installation:
        installation.worker.start()
        with running(installation) as server:
            yield Served(installation, server, server.url)


Join = Callable[[dict[str, Any]], "Candidate"]


@pytest.fixture
def joined(house: Served) -> Iterator[Callable[[dict[str, Any]], Candidate]]:
    """`joined(planned)`: a candidate who has come by the link."""
    made: list[Candidate] = []

    def join(planned: dict[str, Any]) -> Candidate:
        made.append(Candidate(house, planned))
        return made[-1]

    yield join
    for candidate in made:
        candidate.client.close()


@pytest.fixture
def ann(house: Served) -> Iterator[httpx.Client]:
    with house.person("Ann").client() as client:
        yield client


def plan(ann: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = ann.post("/interviews", json={"candidate_name": "Ada", **fields})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


class Candidate:
    """A browser that has joined by the link."""

    def __init__(self, house: Served, planned: dict[str, Any]) -> None:
        self.client = httpx.Client(base_url=house.url, timeout=PATIENCE_SECONDS)
        self.place = planned["join_url"].removeprefix(house.url)
        assert self.client.post(f"{self.place}/join").status_code == 303
        page = self.client.get(self.place, headers=PAGE).text
        found = re.search(r'name="csrf-token" content="([^"]+)"', page)
        self.headers = {"X-CSRF-Token": found[1] if found else ""}

    def get(self, path: str = "", **options: Any) -> httpx.Response:
        return self.client.get(self.place + path, **options)

    def post(self, path: str, body: Any = None, **headers: str) -> httpx.Response:
        return self.client.post(self.place + path, json={} if body is None else body, headers=self.headers | headers)

    def ask(self, content: str) -> dict[str, Any]:
        """Send a message and wait for the whole reply."""
        sent = self.post("/messages", {"content": content})
        assert sent.status_code == 202, sent.text
        told = self.client.get(sent.json()["stream"])
        assert "event: done" in told.text
        body: dict[str, Any] = sent.json()
        return body


def move_to(state: str, ann: httpx.Client, house: Served) -> dict[str, Any]:
    planned = plan(ann, time_limit=300)
    place = f"/interviews/{planned['id']}"
    if state != "created":
        assert ann.post(f"{place}/start").status_code == 200
    if state in ("paused", "completed"):
        assert ann.post(f"{place}/{'pause' if state == 'paused' else 'end'}").status_code == 200
    return planned


def refused(answer: httpx.Response, status: int, code: str, detail: str = "") -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    if detail:
        assert problem["detail"] == detail
    return problem


def test_a_session_is_created_and_read(ann: httpx.Client) -> None:
    fields = {"candidate_email": "ada@example.com", "time_limit": 1800, "token_budget": 9000, "challenge_text": "Solve"}
    answer = ann.post("/interviews", json={"candidate_name": " Ada ", **fields})
    made = answer.json()
    assert answer.status_code == 201 and answer.headers["location"] == f"/interviews/{made['id']}"
    assert set(made) == KEYS
    assert made["candidate_name"] == "Ada" and made["time_remaining"] == 1800 and made["tokens_remaining"] == 9000
    assert re.search(r"/i/[a-z2-7]{26}$", made["join_url"])
    assert ann.get(f"/interviews/{made['id']}").json() == made
    listed = ann.get("/interviews?limit=1").json()
    assert set(listed) == {"items", "total", "limit", "offset"}
    assert set(listed["items"][0]) == KEYS | {"online", "last_activity_at"}


@pytest.mark.parametrize(
    "body", [{"time_limit": 299}, {"token_budget": 999}, {"tokens_used": 1}, {"candidate_name": "  "}, {"config": []}]
)
def test_what_is_out_of_bounds_is_refused(ann: httpx.Client, body: dict[str, Any]) -> None:
    answer = ann.post("/interviews", json={"candidate_name": "Ada", **body})
    problem = refused(answer, 422, "VALIDATION_ERROR", "Invalid input.")
    assert [field["field"] for field in problem["fields"]] == list(body)


@pytest.mark.parametrize("state", [state for state in STATES if state != "expired"])
def test_each_move_is_taken_or_refused_by_the_state(house: Served, ann: httpx.Client, state: str) -> None:
    for verb, allowed in MOVES.items():
        id = move_to(state, ann, house)["id"]
        before = ann.get(f"/interviews/{id}").json()["as_of"]
        answer = ann.post(f"/interviews/{id}/{verb}")
        if state in allowed:
            assert answer.status_code == 200 and set(answer.json()) == KEYS
            continue
        detail = f"Cannot {verb} session. Session is in '{state}' state."
        assert refused(answer, 409, "WRONG_STATE", detail)["session_status"] == state
        assert ann.get(f"/interviews/{id}").json()["as_of"] == before


def test_one_of_many_starts_wins(ann: httpx.Client) -> None:
    id = plan(ann)["id"]
    with ThreadPoolExecutor(10) as many:
        statuses = list(many.map(lambda _: ann.post(f"/interviews/{id}/start").status_code, range(30)))
    assert sorted(statuses) == [200] + [409] * 29


ROUTES = (
    ("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/start"), ("POST", "/extend-time"), ("GET", "/remaining"),
    ("GET", "/messages"), ("GET", "/events"), ("GET", "/turns/x/stream"), ("POST", "/turns/x/cancel"),
    ("GET", "/analytics"),
    ("GET", "/ledger"), ("GET", "/replay?at=1"), ("GET", "/notes"), ("POST", "/notes"), ("PATCH", "/notes/x"),
    ("DELETE", "/notes/x"), ("GET", "/scorecards"), ("PUT", "/scorecard"), ("POST", "/scorecard/submit"),
    ("POST", "/scorecard/amend"), ("POST", "/evidence"), ("POST", "/link"), ("POST", "/interviewers"),
    ("DELETE", "/interviewers/user:x"), ("GET", "/export"), ("GET", "/review"), ("POST", "/update"),
    ("POST", "/delete"),
)  # fmt: skip


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_foreign_malformed_and_unknown_ids_look_the_same(
    house: Served, ann: httpx.Client, method: str, path: str
) -> None:
    foreign = plan(ann)["id"]
    with house.person("Ben").client() as ben:
        for id in (foreign, "00000000-0000-4000-8000-000000000000", "nonsense"):
            answer = ben.request(
                method, f"/interviews/{id}{path}", json={} if method not in ("GET", "DELETE") else None
            )
            refused(answer, 404, "NOT_FOUND", "Interview not found")
    nobody = httpx.request(method, f"{house.url}/interviews/{foreign}{path}")
    refused(nobody, 401, "NOT_AUTHENTICATED", "Not authenticated")
    if method == "GET":
        page = httpx.get(f"{house.url}/interviews/{foreign}{path}", headers=PAGE)
        assert page.status_code == 303 and page.headers["location"].startswith("/sign-in?next=%2Finterviews")


def test_looking_at_the_link_changes_and_tells_nothing(house: Served, ann: httpx.Client) -> None:
    planned = plan(ann, candidate_name="Ada Secretname", challenge_text="Secret task")
    for _ in range(3):
        page = httpx.get(planned["join_url"], headers=PAGE)
        assert page.status_code == 200 and "Secret" not in page.text and "countdown" not in page.text
        assert page.headers["referrer-policy"] == "no-referrer"
    assert ann.get(f"/interviews/{planned['id']}").json()["as_of"] == planned["as_of"]
    place = planned["join_url"]
    refused(httpx.get(f"{place}/status"), 401, "JOIN_REQUIRED", "Join the interview first.")
    refused(httpx.get(f"{house.url}/i/{'a' * 26}"), 404, "NOT_FOUND", "This link is not valid.")
    wrong = httpx.post(f"{place}/join", headers={"Sec-Fetch-Site": "cross-site"})
    refused(wrong, 403, "CSRF_FAILED", "CSRF token missing or invalid")


def test_who_may_start(ann: httpx.Client, joined: Join) -> None:
    planned = plan(ann, config={"start_by": "interviewer"})
    candidate = joined(planned)
    wait = "Please wait for the interviewer to start the session."
    refused(candidate.post("/start"), 409, "WAIT_FOR_INTERVIEWER", wait)
    assert wait in candidate.get(headers=PAGE).text
    other = plan(ann, config={"start_by": "candidate"})
    refused(ann.post(f"/interviews/{other['id']}/start"), 409, "WAIT_FOR_CANDIDATE")
    started = joined(other).post("/start")
    assert started.status_code == 200 and started.json()["status"] == "active"


def test_messages_by_state_and_length(ann: httpx.Client, joined: Join) -> None:
    planned = plan(ann)
    candidate, place = joined(planned), f"/interviews/{planned['id']}"
    hello = {"content": "Hello"}
    refused(candidate.post("/messages", hello), 409, "NOT_STARTED", "Session has not been started yet.")
    refused(candidate.client.post(f"{candidate.place}/messages", json=hello), 403, "CSRF_FAILED")
    candidate.post("/start")
    refused(candidate.post("/messages", {"content": " \n"}), 422, "MESSAGE_EMPTY", "Message cannot be empty.")
    long = {"content": "x" * 5001}
    refused(candidate.post("/messages", long), 422, "MESSAGE_TOO_LONG", "Message too long. Maximum 5000 characters.")
    sent = candidate.ask("y" * 5000)
    assert set(sent) == {"message", "turn", "stream"} and sent["message"]["content"] == "y" * 5000
    assert sent["stream"] == f"{candidate.place}/turns/{sent['turn']}/stream"
    said = ann.get(f"{place}/messages").json()
    assert [item["role"] for item in said["items"]] == ["user", "assistant"] and said["next"] is None
    assert candidate.get("/messages").json() == said
    status = candidate.get("/status").json()
    assert status["message_count"] == 2 and status["can_send"] and status["reason"] is None
    ann.post(f"{place}/pause")
    refused(candidate.post("/messages", hello), 409, "NOT_ACTIVE", "Session is paused. Cannot send messages.")
    refused(candidate.post(f"/turns/{sent['turn']}/cancel"), 409, "TURN_OVER", "This reply has already ended.")
    refused(candidate.post("/turns/none/cancel"), 404, "NOT_FOUND", "Turn not found")
    ann.post(f"{place}/end")
    refused(candidate.post("/messages", hello), 409, "NOT_ACTIVE", "Session is completed. Cannot send messages.")


def test_the_inline_stream_and_the_repeat(ann: httpx.Client, joined: Join) -> None:
    candidate = joined(plan(ann))
    candidate.post("/start")
    told = candidate.post("/messages", {"content": "Once?"}, Accept="text/event-stream", **{"Idempotency-Key": "k1"})
    pieces = [json.loads(line[6:]) for line in told.text.splitlines() if line.startswith("data: ")]
    text = "".join(piece.get("content", "") for piece in pieces)
    again = candidate.post("/messages", {"content": "Once?"}, **{"Idempotency-Key": "k1"})
    assert again.status_code == 202
    other = candidate.post("/messages", {"content": "Twice?"}, **{"Idempotency-Key": "k1"})
    refused(other, 422, "IDEMPOTENCY_KEY_REUSED")
    items = candidate.get("/messages").json()["items"]
    assert [item["content"] for item in items] == ["Once?", text]


def test_extensions(house: Served, ann: httpx.Client) -> None:
    id = plan(ann)["id"]
    place = f"/interviews/{id}"
    assert ann.post(f"{place}/extend-time", json={"seconds": 600, "reason": "late"}).json()["time_limit"] == 4200
    for body in ({"seconds": 600}, {"seconds": -60, "reason": "x"}, {"seconds": 600, "reason": " "}):
        refused(ann.post(f"{place}/extend-time", json=body), 422, "VALIDATION_ERROR")
    ann.post(f"{place}/end")
    answer = ann.post(f"{place}/extend-time", json={"seconds": 600, "reason": "x"})
    refused(answer, 409, "WRONG_STATE", "Cannot extend time. Session is in 'completed' state.")


def test_a_rotated_link_ends_the_old_one(ann: httpx.Client, joined: Join) -> None:
    planned = plan(ann)
    candidate = joined(planned)
    made = ann.post(f"/interviews/{planned['id']}/link", json={"action": "rotate"}).json()
    assert set(made) == {"join_url", "expires_at"} and made["join_url"] != planned["join_url"]
    refused(candidate.get("/status"), 404, "NOT_FOUND", "This link is not valid.")
    fresh = candidate.client.get(made["join_url"] + "/status")
    refused(fresh, 401, "JOIN_REQUIRED")
    gone = ann.post(f"/interviews/{planned['id']}/link", json={"action": "revoke"}).json()
    assert gone == {"join_url": None, "expires_at": None}
    assert httpx.get(made["join_url"], headers=PAGE).status_code == 404


def test_notes_are_ones_own(house: Served, ann: httpx.Client) -> None:
    place = f"/interviews/{plan(ann)['id']}"
    ben = house.person("Ben")
    assert ann.post(f"{place}/interviewers", json={"actor_id": ben.actor.id}).status_code == 200
    made = ann.post(f"{place}/notes", json={"text": "Good start", "at_seq": 1})
    assert made.status_code == 201 and made.json()["text"] == "Good start"
    note = f"{place}/notes/{made.json()['id']}"
    assert ann.patch(note, json={"text": "Better"}).json()["at_seq"] == 1
    with ben.client() as other:
        assert other.get(f"{place}/notes").json() == {"items": []}
        refused(other.patch(note, json={"text": "Mine"}), 404, "NOT_FOUND", "Note not found")
        refused(other.delete(note), 404, "NOT_FOUND", "Note not found")
        assert "Better" not in other.get(f"{place}/export").text + other.get(f"{place}/events").text
    assert ann.delete(note).status_code == 204
    assert ann.delete(f"{place}/interviewers/{ben.actor.id}").status_code == 204


def test_scores_rest_on_passages_and_stay_hidden(house: Served, ann: httpx.Client, joined: Join) -> None:
    planned = plan(ann, config={"criteria": ["approach", "checking"]})
    place, candidate = f"/interviews/{planned['id']}", joined(planned)
    ben = house.person("Ben")
    ann.post(f"{place}/interviewers", json={"actor_id": ben.actor.id})
    candidate.post("/start")
    seq = candidate.ask("First I sort, then I compare.")["message"]["seq"]
    cited = {"seq": seq, "start": 6, "end": 12, "quote": "I sort"}

    def card(*names: str, **citation: Any) -> dict[str, Any]:
        return {"scores": [{"criterion": name, "score": 4, "citations": [{**cited, **citation}]} for name in names]}

    bare = {"scores": [{"criterion": "approach", "score": 3, "citations": []}]}
    message = "Score 'approach' needs at least one citation."
    refused(ann.put(f"{place}/scorecard", json=bare), 422, "CITATION_REQUIRED", message)
    moved = ann.put(f"{place}/scorecard", json=card("approach", start=5, end=11))
    refused(moved, 422, "CITATION_MISMATCH", f"Citation does not match the transcript at seq {seq}.")
    kept = ann.put(f"{place}/scorecard", json=card("approach"))
    assert kept.status_code == 200 and set(kept.json()) == {"own", "others", "hidden"}
    early = "Cannot submit scorecard. Session is in 'active' state."
    refused(ann.post(f"{place}/scorecard/submit"), 409, "WRONG_STATE", early)
    ann.post(f"{place}/end")
    refused(ann.post(f"{place}/scorecard/submit"), 422, "SCORE_MISSING", "Score missing for 'checking'.")
    ann.put(f"{place}/scorecard", json=card("approach", "checking"))
    assert ann.post(f"{place}/scorecard/submit").json()["own"]["submitted_at"]
    amended = ann.post(f"{place}/scorecard/amend", json={**card("approach", "checking"), "reason": "Read it again"})
    assert amended.status_code == 200
    with ben.client() as other:
        assert other.get(f"{place}/scorecards").json() == {"own": None, "others": [], "hidden": 1}
        other.put(f"{place}/scorecard", json=card("approach", "checking"))
        seen = other.post(f"{place}/scorecard/submit").json()
        assert seen["hidden"] == 0 and len(seen["others"]) == 1
        both = other.get(f"/interviews/compare?ids={planned['id']},{plan(other)['id']}").json()["items"]
        assert [set(item) for item in both] == [{"id", "candidate_name", "analytics", "scores"}] * 2
        refused(other.get(f"/interviews/compare?ids={planned['id']},{plan(ann)['id']}"), 404, "NOT_FOUND")
    job = ann.post(f"{place}/evidence", json={"criterion": "approach"})
    assert job.status_code == 202 and set(job.json()) == {"job"}


def test_exports_verify_and_hide(ann: httpx.Client, tmp_path: Path, joined: Join) -> None:
    planned = plan(ann, candidate_email="ada@example.com", challenge_text="<script>alert(1)</script>")
    place, candidate = f"/interviews/{planned['id']}", joined(planned)
    refused(candidate.get("/export"), 404, "NOT_FOUND")
    candidate.post("/start")
    candidate.ask("<script>alert(2)</script> ![x](http://evil.example/x)")
    ann.post(f"{place}/notes", json={"text": "privately"})
    ann.post(f"{place}/end")
    for export, form in ((ann.get(f"{place}/export"), "sitting.interview/1"), (candidate.get("/export"), None)):
        document = export.json()
        assert document["format"] == (form or "sitting.interview.candidate/1")
        assert bundle.verify_file(export.content).ok
        assert not bundle.verify_file(export.content.replace(b"alert(2)", b"alert(3)")).ok
        assert export.headers["content-disposition"].startswith("attachment")
    copy = candidate.get("/export").text
    assert "privately" not in copy and "ada@example.com" not in copy
    for format in ("markdown", "print"):
        told = ann.get(f"{place}/export?format={format}", headers=PAGE)
        assert told.status_code == 200 and "alert(2)" in told.text
        assert format == "markdown" or "<script>alert" not in told.text
    refused(ann.get(f"{place}/export?format=pdf"), 422, "VALIDATION_ERROR")
    for page in (place, f"{place}/review"):
        assert "<script>alert" not in ann.get(page, headers=PAGE).text


def test_figures_ledger_and_replay_agree(ann: httpx.Client, joined: Join) -> None:
    planned = plan(ann)
    place, candidate = f"/interviews/{planned['id']}", joined(planned)
    candidate.post("/start")
    candidate.ask("How?")
    ann.post(f"{place}/end")
    left = ann.get(f"{place}/remaining").json()
    assert set(left) == set(
        "time_remaining time_limit active_ms paused_ms tokens_remaining tokens_reserved levels as_of".split()
    )
    book = ann.get(f"{place}/ledger").json()
    assert candidate.get("/ledger").json() == book
    assert book["tokens"][-1]["balance"] == left["tokens_remaining"]
    assert abs(book["time"][-1]["balance"] - left["time_remaining"]) <= 1
    head = int(left["as_of"].split(".")[1])
    then = ann.get(f"{place}/replay?at={head}").json()
    assert set(then) == {"at", "head", "active_ms", "session", "messages", "marks"}
    assert then["session"] == ann.get(place).json()
    assert ann.get(f"{place}/replay?at=1").json()["session"]["status"] == "created"
    for at in (0, head + 1):
        refused(ann.get(f"{place}/replay?at={at}"), 422, "VALIDATION_ERROR")
    assert ann.get(f"{place}/analytics").json()["token_utilization"] > 0


def test_the_candidates_end(ann: httpx.Client, joined: Join) -> None:
    planned = plan(ann)
    candidate = joined(planned)
    refused(candidate.post("/leave", {"confirm": "no"}), 422, "VALIDATION_ERROR")
    refused(candidate.post("/marks", {"kind": "paste"}), 409, "WRONG_STATE")
    candidate.post("/start")
    left = candidate.client.post(
        f"{candidate.place}/leave", data={"confirm": "yes"}, headers={**candidate.headers, **PAGE}
    )
    assert left.status_code == 200 and "Goodbye" in left.text
    assert "Interview finished" in candidate.get(headers=PAGE).text
    assert ann.get(f"/interviews/{planned['id']}").json()["status"] == "completed"
    assert ann.delete(f"/interviews/{planned['id']}").status_code == 204
    refused(ann.get(f"/interviews/{planned['id']}"), 404, "NOT_FOUND", "Interview not found")


def test_the_challenge_library(house: Served, ann: httpx.Client) -> None:
    listed = ann.get("/challenges?limit=100").json()
    built_in = [item for item in listed["items"] if item["built_in"]]
    counts = [sum(item["category"] == name for item in built_in) for name in ("algorithms", "data_structures")]
    assert len(built_in) == 16 and counts == [5, 5]
    first = f"/challenges/{built_in[0]['id']}"
    refused(ann.patch(first, json={"title": "X"}), 409, "BUILT_IN", "Built-in challenges cannot be changed.")
    copied = ann.post(f"{first}/copy")
    assert copied.status_code == 201 and copied.json()["built_in"] is False
    own = copied.headers["location"]
    assert ann.patch(own, json={"title": "Mine"}).json()["title"] == "Mine"
    planned = plan(ann, challenge_id=copied.json()["id"])
    with house.person("Ben").client() as ben:
        assert ben.get(own).json()["title"] == "Mine"
        assert ben.patch(own, json={"title": "Yours"}).status_code == 403
    assert ann.delete(own).status_code == 204
    assert ann.get(own).json()["status"] == "archived"
    unknown = ann.post("/interviews", json={"candidate_name": "A", "challenge_id": copied.json()["id"]})
    assert refused(unknown, 422, "VALIDATION_ERROR")["fields"] == [
        {"field": "challenge_id", "message": "Challenge not found"}
    ]
    assert ann.post(f"{own}/restore").json()["status"] == "active"
    used = {item["id"]: item for item in ann.get("/challenges/stats").json()["items"]}
    assert used[planned["challenge_id"]]["uses"] == 1
    refused(ann.get("/challenges/nonsense"), 404, "NOT_FOUND", "Challenge not found")


def challenge_bundle(id: str, change: dict[str, Any] | None) -> bytes:
    """A challenge of a key of one's own; `change` None: its texts are erased."""
    key = Ed25519PrivateKey.generate()
    fields = {**next(iter(BUILT_IN.values())), **(change or {})}
    record = chain.seal(
        chain.GENESIS, session=id, seq=1, type="created", actor="user:x", role="owner", at="2026-03-01T09:00:00.000Z",
        data={}, personal={"challenge": fields}, salts=[bytes(16), bytes(16)],
    )  # fmt: skip
    line = bundle.record(record)
    if change is None:
        line["parts"] = [{name: part[name] for name in ("owner", "commitment")} for part in line["parts"]]
    journal = (json.dumps(line) + "\n").encode()
    head = {"format": bundle.FORMAT, "kind": "challenge", "session": id, "seq": 1, "head": record.hash.hex()}
    manifest = json.dumps({**head, "public_key": bundle.public(key)}).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, raw in (("manifest.json", manifest), ("journal.jsonl", journal)):
            archive.writestr(name, raw)
        archive.writestr("signature", key.sign(b"".join(hashlib.sha256(raw).digest() for raw in (manifest, journal))))
    return out.getvalue()


def test_no_bundle_breaks_the_library(house: Served) -> None:
    with house.person("Root", roles=("member", "admin")).client() as root:

        def brought(id: str, change: dict[str, Any] | None) -> int:
            raw = challenge_bundle(id, change)
            return root.post("/v1/bundles", content=raw, headers={"Content-Type": "application/zip"}).status_code

        for change in ({"estimated_duration": "x"}, {"category": ["a"]}, {"hints": 7}):
            assert brought("evil", change) == 422
        assert (brought("good", {"title": "Fine"}), brought("gone", None)) == (201, 201)
        for path in (
            "/challenges",
            "/challenges?q=a&tag=b",
            "/challenges/stats",
            "/interviews/new",
            "/kinds/challenge",
        ):
            assert root.get(path, headers=PAGE).status_code == 200, path
        ids = [item["id"] for item in root.get("/challenges").json()["items"]]
        assert "good" in ids and "gone" not in ids
        for path in ("/challenges/gone", "/challenges/gone/edit"):
            assert root.get(path).status_code == 404
        assert root.post("/challenges/gone/copy", json={}).status_code == 404
        chosen = root.post("/interviews", json={"candidate_name": "Carla", "challenge_id": "gone"})
        assert chosen.status_code == 422
