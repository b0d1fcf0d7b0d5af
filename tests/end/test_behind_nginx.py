"""Behind a real nginx, as docs/how-to/put-behind-a-proxy.md sets it up: what is told arrives while a stream is open."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from sitting.web.streams import Pace
from tests.support import toy
from tests.support.process import Program
from tests.support.serving import PATIENCE_SECONDS, Person, Served, served
from tests.web.test_live_protocol import SSE, Frame, Reader, until

HOW_TO = Path(__file__).parents[2] / "docs" / "how-to" / "put-behind-a-proxy.md"
HOST = "sessions.example.org"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    allowed = f"{HOST},127.0.0.1"
    with served(tmp_path, pace=Pace(heartbeat=0.2), trusted_proxies="127.0.0.1", allowed_hosts=allowed) as running:
        yield running


@pytest.fixture(params=["as the page says", "as nginx comes"])
def way(server: Served, request: pytest.FixtureRequest) -> Iterator[Path]:
    """The socket that nginx listens on. As it comes, it speaks HTTP/1.0 to us and names another host."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/bin")
    if program is None:
        pytest.skip("nginx is not installed (on Debian: apt-get install nginx-light)")
    written = re.search(r"```nginx\n(.*?)```", HOW_TO.read_text(), re.DOTALL)
    assert written
    block, count = re.subn(r" *ssl_certificate(_key)? .*\n", "", written[1])
    assert count == 2
    if request.param == "as nginx comes":
        block = re.sub(r" *(proxy_set_header|proxy_http_version|client_max_body_size) .*\n", "", block)
    with tempfile.TemporaryDirectory() as folder:  # a socket's path must be short
        listening = Path(folder, "socket")
        for said, here in (("listen 443 ssl", f"listen unix:{listening}"), ("http://127.0.0.1:8000", server.url)):
            assert said in block
            block = block.replace(said, here)
        temporary = "".join(f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy"))
        Path(folder, "conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log stderr notice; events {{}}\n"
            f"http {{ access_log off; {temporary}\n{block} }}\n"
        )
        with Program([program, "-e", "stderr", "-p", folder, "-c", "conf"]) as started:
            started.wait_for("event method")
            yield listening


@contextmanager
def follow(person: Person, way: Path, path: str, last: str = "") -> Iterator[Reader]:
    headers = {**person.headers, **SSE, "Accept-Encoding": "gzip", **({"Last-Event-ID": last} if last else {})}
    with (
        httpx.Client(
            transport=httpx.HTTPTransport(uds=str(way)), base_url=f"http://{HOST}", timeout=PATIENCE_SECONDS
        ) as client,
        client.stream("GET", path, headers=headers) as response,
    ):
        assert response.status_code == 200, response.read()
        yield Reader(response, response.iter_lines())


def test_events_beats_and_endings_pass_at_once(server: Served, way: Path) -> None:
    person, engine, live = server.person(), server.installation.engine, server.installation.live
    id = engine.open("toy", toy.Create(name="x"), person.actor).result().session.id
    path = f"/v1/sessions/{id}/events"
    with follow(person, way, path) as reader:
        assert reader.seqs(1) == [1]
        for seq in (2, 3, 4):
            engine.do(id, toy.Note(text="word"), person.actor).result()
            assert reader.seqs(1) == [seq]
        for _ in range(3):
            assert reader.frame() == Frame(), "a beat, which keeps nginx from giving up"
        assert live.followers == 1
    with follow(person, way, path, last="1.2") as reader:
        assert reader.seqs(2) == [3, 4]
        engine.do(id, toy.End(), person.actor).result()
        assert reader.seqs(1) == [5]
        assert reader.until("end").id == "1.5"
        assert reader.frame() is None
    until(lambda: not live.followers)  # nginx lets go of the one whose reader left
