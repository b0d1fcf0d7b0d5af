"""One trace from a request through its command and the job it asked for to the model, in a process with a real SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

SCENE = """
import json, sys, pathlib
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
from sitting.core.kind import Workroom
from sitting.model import Message
from tests.support import toy
from tests.support.serving import served
from tests.web.test_live_protocol import follow, make
def work(room: Workroom) -> None:
    reply = room.models.get().ask([Message("user", "CANARY asked")], max_tokens=50, on_text=room.write)
    room.report(toy.RecordAnswer(turn=room.job, status="completed", text=reply.text), last=True)
with served(pathlib.Path(sys.argv[1]), kinds=[toy.kind(work=work)]) as server:
    ada = server.person()
    with ada.client() as client:
        session = make(client)
        parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"
        with follow(ada, f"{session}/events", after="now") as reader:
            client.post(f"{session}/commands/ask", json={"prompt": "CANARY"}, headers={"traceparent": parent})
            assert reader.seqs(2) == [2, 3]
        client.post(f"{session}/commands/note", json={"text": "CANARY"})
        assert client.post(f"{session}/commands/stop", json={}).status_code == 409
for made in exporter.get_finished_spans():
    context = made.get_span_context()
    print("SPAN " + json.dumps({
        "name": made.name, "trace": f"{context.trace_id:032x}", "id": f"{context.span_id:016x}",
        "parent": made.parent and f"{made.parent.span_id:016x}", "attributes": dict(made.attributes),
        "status": made.status.status_code.name, "events": len(made.events),
    }))
"""
ROOT = Path(__file__).parents[2]


def spans(tmp_path: Path) -> list[dict[str, Any]]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", SCENE, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=250,
        env=environment,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line.removeprefix("SPAN ")) for line in done.stdout.splitlines() if line.startswith("SPAN ")]


def test_one_trace_from_the_request_to_the_model(tmp_path: Path) -> None:
    found = spans(tmp_path)
    mine = {span["name"]: span for span in found if span["trace"] == "0123456789abcdef0123456789abcdef"}
    request, command, job = mine["POST web.api.command"], mine["command ask"], mine["job echo"]
    chat, answer = mine["chat scripted"], mine["command answer"]
    assert request["parent"] == "0123456789abcdef"
    assert (command["parent"], job["parent"]) == (request["id"], command["id"])
    assert (chat["parent"], answer["parent"]) == (job["id"], job["id"])
    assert request["attributes"]["http.response.status_code"] == 200
    assert chat["attributes"]["gen_ai.request.model"] == "scripted"
    assert chat["attributes"]["gen_ai.usage.output_tokens"] > 0
    refused = [span for span in found if span["status"] == "ERROR"]
    assert [(span["name"], span["attributes"]["error.type"]) for span in refused] == [("command stop", "CONFLICT")]
    told = json.dumps(found)
    assert not any(secret in told for secret in ("CANARY", "/v1/sessions", "sit_")), (
        "a span tells no content and no path"
    )
