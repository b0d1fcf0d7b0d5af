"""The hostile corpus against the door: no input makes a 5xx, and nothing that was stored makes a reader fail.

Every input goes to every place of its class. After each the lists and the nearest readers must still answer 2xx, for
one poisoned value would break the list for everybody; at the end every reader there is (page, figures, export).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest

from sitting.apps.interview.app import APP
from sitting.config import Settings
from sitting.installation import Installation
from tests.support.serving import Served, running
from tests.web.hostile_inputs import TEXTS

PAGE = {"Accept": "text/html"}
JSON = {"Content-Type": "application/json"}
LIMIT = 256 * 1024

# A JSON value that no rule lets through, wherever it stands; and documents that are none.
VALUES: dict[str, bytes] = {
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "1e400": b"1e400",
    "-1e400": b"-1e400",
    "2^53": b"9007199254740992",
    "2^53+1": b"9007199254740993",
    "2^63-1": b"9223372036854775807",
    "2^63": b"9223372036854775808",
    "2^64": b"18446744073709551616",
    "4300 digits": b"1" * 4300,
    "4301 digits": b"1" * 4301,
    "high surrogate": rb'"\ud800"',
    "low surrogate": rb'"\udc00"',
    "swapped pair": rb'"\udc00\ud800"',
    "raw ED A0 80": b'"\xed\xa0\x80"',
    "C0 80": b'"\xc0\x80"',
    "FF": b'"\xff"',
    "cut UTF-8": b'"\xe2\x82"',
    "NUL": rb'"\u0000"',
    "raw NUL": b'"\x00"',
    "raw control": b'"\x01"',
    "raw newline": b'"a\nb"',
    "Arabic digits": "٣".encode(),
    "minus zero": b"-0.0",
    "1.0": b"1.0",
    "true": b"true",
    "depth 32": b"[" * 32 + b"]" * 32,
    "depth 33": b"[" * 33 + b"]" * 33,
    "depth 300": b"[" * 300 + b"]" * 300,
    "depth 1000": b"[" * 1000 + b"]" * 1000,
    "depth 100000": b"[" * 100_000 + b"]" * 100_000,
    "objects of depth 40000": b'{"":' * 40_000 + b"1" + b"}" * 40_000,
    "comment": b"/* no */ 1",
    "object": b"{}",
    "array": b"[]",
}
DOCUMENTS: dict[str, bytes] = {
    "empty": b"",
    "null": b"null",
    "array": b"[]",
    "string": b'"x"',
    "number": b"1",
    "trailing bytes": b"{} x",
    "two documents": b"{}{}",
    "open": b'{"text":',
    "byte order mark": b'\xef\xbb\xbf{"text":"x"}',
    "UTF-16": '{"text":"x"}'.encode("utf-16"),
    "UTF-32": '{"text":"x"}'.encode("utf-32"),
    "duplicate keys": b'{"text":"a","text":"b"}',
    "duplicate by escape": rb'{"text":"a","\u0074ext":"b"}',
    "surrogate in key": rb'{"\ud800":1}',
    "NUL in key": rb'{"\u0000":1}',
    "__proto__": b'{"__proto__":{"role":"admin"},"constructor":1}',
    "64 KB key": b'{"' + b"k" * 65_536 + b'":1}',
    "empty key": b'{"":1}',
    "10000 keys": json.dumps({f"k{n}": n for n in range(10_000)}).encode(),
    "50000 elements": b'{"text":[' + b",".join([b"1"] * 50_000) + b"]}",
    "over the limit": b'{"text":"' + b"a" * LIMIT + b'"}',
    "10^6 keys": b"{" + b",".join(b'"%d":1' % n for n in range(1_000_000)) + b"}",
    "20 MB string": b'{"text":"' + b"a" * 20_000_000 + b'"}',
}


class Scene:
    """An interview that runs, its interviewer and its candidate."""

    def __init__(self, house: Served, stack: ExitStack) -> None:
        self.house = house
        self.ann = stack.enter_context(house.person("Ann").client())
        self.guest = stack.enter_context(httpx.Client(base_url=house.url, timeout=60))
        made = self.ann.post("/interviews", json={"candidate_name": "Ada"})
        self.id = made.json()["id"]
        self.room = "/i/" + made.json()["join_url"].rpartition("/")[2]
        assert self.guest.post(f"{self.room}/join").status_code == 303
        page = self.guest.get(self.room, headers=PAGE).text
        found = re.search(r'name="csrf-token" content="([^"]+)"', page)
        assert found is not None
        self.guest.headers["X-CSRF-Token"] = found[1]
        assert self.ann.post(f"/interviews/{self.id}/start").status_code == 200
        challenge = {"title": "Sum", "category": "coding", "difficulty": "easy", "instructions": "Add two numbers."}
        self.challenge = self.ann.post("/challenges", json=challenge).json()["id"]

    def writes(self) -> Iterator[tuple[httpx.Client, str, str, str, dict[str, Any]]]:
        """Representative changes: client, method, path, the field that holds text, and the rest of the body."""
        one = f"/interviews/{self.id}"
        challenge = {"category": "coding", "difficulty": "easy", "instructions": "Add."}
        yield self.ann, "POST", "/interviews", "candidate_name", {}
        yield self.ann, "POST", "/interviews", "challenge_text", {"candidate_name": "Ada"}
        yield self.ann, "POST", "/v1/kinds/interview/sessions", "candidate_name", {}
        yield self.ann, "POST", f"{one}/notes", "text", {}
        yield self.ann, "POST", f"/v1/sessions/{self.id}/commands/add_note", "text", {}
        yield self.ann, "PUT", f"{one}/scorecard", "summary", {}
        yield self.ann, "POST", "/challenges", "title", challenge
        yield self.ann, "PATCH", f"/challenges/{self.challenge}", "instructions", {}
        yield self.guest, "POST", f"{self.room}/messages", "content", {}
        yield self.guest, "POST", f"{self.room}/marks", "kind", {}

    def lists(self) -> Iterator[tuple[httpx.Client, str]]:
        """Readers that take a query."""
        for path in (
            "/interviews", "/v1/sessions?kind=interview", "/challenges", f"/interviews/{self.id}/messages",
            f"/interviews/{self.id}/events", f"/v1/sessions/{self.id}/events", f"/interviews/{self.id}/replay",
            "/kinds/interview", "/interviews/compare",
        ):  # fmt: skip
            yield self.ann, path
        yield self.guest, f"{self.room}/messages"
        yield self.guest, f"{self.room}/events"

    def readers(self) -> Iterator[httpx.Response]:
        """Every reader there is, of everything there is."""
        for path in ("/interviews", "/challenges", "/challenges/stats", "/kinds/interview", "/", "/interviews/new"):
            yield self.ann.get(path)
            yield self.ann.get(path, headers=PAGE)
        for kind in ("interview", "challenge"):
            listed = self.ann.get(f"/v1/sessions?kind={kind}&limit=100")
            yield listed
            for item in listed.json()["items"][:2]:
                yield from self._one(item["id"], kind)
        yield from self._one(self.id, "interview")
        for path in ("", "/status", "/messages", "/events", "/ledger"):
            yield self.guest.get(self.room + path)
            yield self.guest.get(self.room + path, headers=PAGE if path in ("", "/ledger") else {})

    def _one(self, id: str, kind: str) -> Iterator[httpx.Response]:
        for path in ("", "/events", "/bundle", "/verify"):
            yield self.ann.get(f"/v1/sessions/{id}{path}")
        yield self.ann.get(f"/sessions/{id}", headers=PAGE)
        if kind == "challenge":
            yield self.ann.get(f"/challenges/{id}", headers=PAGE)
            yield self.ann.get(f"/challenges/{id}/edit", headers=PAGE)
            return
        for path in (
            "",
            "/events",
            "/messages",
            "/notes",
            "/analytics",
            "/ledger",
            "/replay",
            "/export",
            "/scorecards",
        ):
            yield self.ann.get(f"/interviews/{id}{path}")
        for path in ("", "/review"):
            yield self.ann.get(f"/interviews/{id}{path}", headers=PAGE)

    def nearest(self) -> Iterator[httpx.Response]:
        """The readers that fail first: a list fails with the worst of its sessions."""
        for kind in ("interview", "challenge"):
            yield self.ann.get(f"/v1/sessions?kind={kind}&limit=20")
        yield self.ann.get("/interviews")
        yield self.ann.get("/", headers=PAGE)
        for path in (f"/v1/sessions/{self.id}", f"/v1/sessions/{self.id}/events", f"/v1/sessions/{self.challenge}"):
            yield self.ann.get(path)
        yield self.ann.get(f"/sessions/{self.id}", headers=PAGE)
        yield self.guest.get(f"{self.room}/messages")

    def assert_readable(self, answers: Iterator[httpx.Response] | None = None) -> None:
        """No reader is poisoned, and no page holds what somebody wrote as markup."""
        for answer in answers or self.nearest():
            assert answer.is_success, f"{answer.request.method} {answer.url}: {answer.status_code} {answer.text[:300]}"
            if answer.headers["content-type"].startswith("text/html"):
                assert "<script>alert(1)" not in answer.text
                assert ' onmouseover="alert(1)' not in answer.text
                assert 'href="javascript:' not in answer.text
                assert 'src="https://evil' not in answer.text


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    settings = Settings(
        data=tmp_path_factory.mktemp("hostile"), model="scripted", port=0, drain_seconds=1, log_level="error",
        interview_messages_minute=10_000, interview_messages_hour=10_000, interview_messages_space_hour=10_000,
    )  # fmt: skip
    with Installation(settings, apps=(APP,)) as installation, running(installation) as server, ExitStack() as stack:
        installation.worker.start()
        yield Scene(Served(installation, server, server.url), stack)


def kept(answer: httpx.Response) -> int:
    """The status, which is never 5xx; a refusal is a problem document or a page, and says nothing of the inside."""
    assert answer.status_code < 500, f"{answer.request.method} {answer.url}: {answer.text[:500]}"
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        assert answer.headers["content-type"].partition(";")[0] in ("application/problem+json", "text/html")
        assert "Traceback" not in answer.text
    return answer.status_code


# What a field of text takes of VALUES: nothing. A field that is no text may be null, and that is all.
@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_is_no_text_is_refused(scene: Scene, name: str) -> None:
    for client, method, path, field, rest in scene.writes():
        body = json.dumps(rest)[:-1].encode() + (b"," if rest else b"") + b'"%s":%s}' % (field.encode(), VALUES[name])
        assert kept(client.request(method, path, content=body, headers=JSON)) in (400, 413, 422), (path, name)
    config = b'{"candidate_name":"Ada","time_limit":%s,"config":{"temperature":%s}}' % (VALUES[name], VALUES[name])
    assert kept(scene.ann.post("/interviews", content=config, headers=JSON)) in (400, 413, 422)
    scene.assert_readable()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_document_that_is_none_is_refused(scene: Scene, name: str) -> None:
    for client, method, path, _, _ in scene.writes():
        try:
            status = kept(client.request(method, path, content=DOCUMENTS[name], headers=JSON))
        except httpx.WriteError:
            assert len(DOCUMENTS[name]) > LIMIT  # refused before it was read to the end
            continue
        expected = (413,) if len(DOCUMENTS[name]) > LIMIT else (400, 422)
        unchanged = method in ("PATCH", "PUT") and name == "empty"  # nothing was asked for
        assert status in expected or (unchanged and status == 200), (path, name)
    scene.assert_readable()


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_data_to_every_reader(scene: Scene, name: str) -> None:
    for client, method, path, field, rest in scene.writes():
        status = kept(client.request(method, path, json={**rest, field: TEXTS[name]}))
        assert status in (200, 201, 202, 409, 422), (path, name)
        form = urlencode({**rest, field: TEXTS[name]}, errors="surrogatepass")
        place = f"{path}/new" if path == "/interviews" else path
        typed = {"Content-Type": "application/x-www-form-urlencoded"}
        kept(client.request(method, place, content=form, headers=typed))
    for client, path in scene.lists():
        kept(client.get(path, params={"q": TEXTS[name]} if "?" not in path else None))
    scene.assert_readable()


def test_afterwards_every_reader_answers(scene: Scene) -> None:
    scene.assert_readable(scene.readers())
    assert scene.ann.get("/readyz").status_code == 200
