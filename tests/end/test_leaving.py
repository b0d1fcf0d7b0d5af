"""SIGTERM to a real server with streams open: everyone is told, nothing is lost, and the process ends in time."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sitting.config import Settings
from sitting.installation import Installation
from tests.support.process import Program
from tests.support.serving import PATIENCE_SECONDS
from tests.support.timing import quickest

SSE = {"Accept": "text/event-stream"}
SERVE = [sys.executable, "-m", "sitting", "serve", "--port", "0"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"SITTING_DATA": str(tmp_path), "SITTING_MODEL": "scripted", "SITTING_DRAIN_SECONDS": "3"}


@pytest.fixture
def token(tmp_path: Path) -> str:
    """Somebody's token, made before the server starts."""
    with Installation(Settings(data=tmp_path, model="scripted")) as installation:
        account = installation.access.create_account("Ada").result()
        return installation.access.create_token(account, "test").result()[0]


def seqs(lines: Iterator[str]) -> list[int]:
    """Every position told until the stream ends; the last block says why it ended."""
    found, events = [], []
    for line in lines:
        if line.startswith("data: ") and '"seq"' in line:
            found.append(json.loads(line.removeprefix("data: "))["seq"])
        if line.startswith("event: "):
            events.append(line.removeprefix("event: "))
    assert events[-1:] == ["bye"]
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_streams_first_and_loses_nothing(
    environment: dict[str, str], token: str, number: signal.Signals
) -> None:
    def left() -> float:
        with Program(SERVE, env=environment) as server:
            url = server.wait_for(r"http://127\.0\.0\.1:\d+")[0]
            with httpx.Client(base_url=url, headers=bearer, timeout=PATIENCE_SECONDS) as client:
                made = client.post("/v1/kinds/challenge/sessions", json=CHALLENGE)
                assert made.status_code == 201, made.text
                sessions.append(made.headers["location"])
                with client.stream("GET", f"{sessions[-1]}/events", headers=SSE) as stream:
                    lines = stream.iter_lines()
                    while not next(lines).startswith("data:"):
                        continue
                    edited = client.post(f"{sessions[-1]}/commands/edit", json={"title": "Another"})
                    assert edited.status_code == 200, edited.text
                    began = time.monotonic()
                    server.send(number)
                    heard = seqs(lines)
                assert heard == [2]
            server.wait()
            took = time.monotonic() - began
            assert "Traceback" not in server.output
            assert token not in server.output
        return took

    sessions: list[str] = []
    bearer = {"Authorization": f"Bearer {token}"}
    assert quickest(left, below=8) < 8
    with Program(SERVE, env=environment) as again:
        url = again.wait_for(r"http://127\.0\.0\.1:\d+")[0]
        with httpx.Client(base_url=url, headers={**bearer, "Last-Event-ID": "1.2"}, timeout=PATIENCE_SECONDS) as client:
            for session in sessions:
                assert client.get(f"{session}/events").json()["up_to_date"]
                assert client.get(f"{session}/verify").json()["ok"]


CHALLENGE = {
    "title": "Sum",
    "category": "coding",
    "difficulty": "easy",
    "instructions": "Add two numbers.",
}
