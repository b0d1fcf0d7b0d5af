"""Durable appends beside session stores of agent frameworks, each as it ships, 32 writers at once, a session each.

The peers are installed into an environment of their own, which this file makes and removes; a peer that cannot be
installed or does not run is left out and named.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.appends import WRITERS, ours
from bench.measure import LINE, Row, at_least

SECONDS = 5
INSTALL_SECONDS = 420
PACKAGES = {
    "OpenAI Agents SQLiteSession": "openai-agents",
    "Google ADK DatabaseSessionService": "google-adk",
    "LangGraph AsyncSqliteSaver": "langgraph-checkpoint-sqlite",
}
SCRIPT = """
import asyncio, json, sys, time
from contextlib import asynccontextmanager
name, folder, writers, seconds, text = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), sys.argv[5]

@asynccontextmanager
async def openai_agents():
    from agents import SQLiteSession
    sessions = [SQLiteSession(f"s{n}", f"{folder}/agents.db") for n in range(writers)]
    async def append(n, _):
        await sessions[n].add_items([{"role": "user", "content": text}])
    yield append

@asynccontextmanager
async def google_adk():
    from google.adk.events import Event
    from google.adk.sessions import DatabaseSessionService
    from google.genai import types
    service = DatabaseSessionService(db_url=f"sqlite+aiosqlite:///{folder}/adk.db")
    sessions = [await service.create_session(app_name="bench", user_id="one") for _ in range(writers)]
    async def append(n, _):
        content = types.Content(role="user", parts=[types.Part(text=text)])
        await service.append_event(sessions[n], Event(author="user", invocation_id="i", content=content))
    yield append

@asynccontextmanager
async def langgraph():
    from langgraph.checkpoint.base import empty_checkpoint
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    async with AsyncSqliteSaver.from_conn_string(f"{folder}/langgraph.db") as saver:
        async def append(n, step):
            config = {"configurable": {"thread_id": f"s{n}", "checkpoint_ns": ""}}
            checkpoint = empty_checkpoint()
            checkpoint["channel_values"] = {"messages": [text]}
            await saver.aput(config, checkpoint, {"source": "loop", "step": step}, {})
        await append(0, -1)
        yield append

async def main():
    made = {"openai-agents": openai_agents, "google-adk": google_adk, "langgraph-checkpoint-sqlite": langgraph}[name]
    count = 0
    async with made() as append:
        until = time.perf_counter() + seconds
        async def write(n):
            nonlocal count
            step = 0
            while time.perf_counter() < until:
                await append(n, step)
                step += 1
                count += 1
        start = time.perf_counter()
        await asyncio.gather(*(write(n) for n in range(writers)))
        print(json.dumps(count / (time.perf_counter() - start)))

asyncio.run(main())
"""


def rate(python: Path, package: str) -> float | None:
    """Appends a second of one peer; None when it does not run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(python), "-c", SCRIPT, package, folder, str(WRITERS), str(SECONDS), LINE.text]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS + 60)
    if done.returncode != 0:
        print(f"{package} does not run: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return float(json.loads(done.stdout.splitlines()[-1]))


def rows() -> Iterator[Row]:
    """Ours against the best of them, and against each."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
        python = Path(folder) / "bin" / "python"
        install = [str(python), "-m", "pip", "install", "--quiet", "aiosqlite", *PACKAGES.values(), "google-adk[db]"]
        subprocess.run(install, check=True, timeout=INSTALL_SECONDS)
        mine = ours(WRITERS, 400)[0]
        found = {name: peer for name, package in PACKAGES.items() if (peer := rate(python, package)) is not None}
    for name, peer in found.items():
        yield at_least(f"{WRITERS} writers / {name}", mine / peer, 5, f"{mine:,.0f} and {peer:,.0f} a second")
