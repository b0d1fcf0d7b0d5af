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

SSE = {"Accept": "text/event-stream"}


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
    command = [sys.executable, "-m", "sitting", "serve", "--port", "0"]
    with Program(command, env=environment) as server:
        url = server.wait_for(r"http://127\.0\.0\.1:\d+")[0]
        with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=20) as client:
            made = client.post("/v1/kinds/challenge/sessions", json=CHALLENGE)
            assert made.status_code == 201, made.text
            session = made.headers["location"]
            with client.stream("GET", f"{session}/events", headers=SSE) as stream:
                lines = stream.iter_lines()
                while not next(lines).startswith("data:"):
                    continue
                edited = client.post(f"{session}/commands/edit", json={"title": "Another"})
                assert edited.status_code == 200, edited.text
                began = time.monotonic()
                server.send(number)
                heard = seqs(lines)
            assert heard == [2]
        server.wait()
        assert time.monotonic() - began < 8
        assert "Traceback" not in server.output
        assert token not in server.output
    with Program(command, env=environment) as again:
        url = again.wait_for(r"http://127\.0\.0\.1:\d+")[0]
        headers = {"Authorization": f"Bearer {token}", "Last-Event-ID": "1.2"}
        assert httpx.get(f"{url}{session}/events", headers=headers).json()["up_to_date"]
        assert httpx.get(f"{url}{session}/verify", headers=headers).json()["ok"]


CHALLENGE = {
    "title": "Sum",
    "category": "coding",
    "difficulty": "easy",
    "instructions": "Add two numbers.",
}
