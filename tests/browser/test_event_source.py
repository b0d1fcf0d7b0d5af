"""A browser's own `EventSource`, without a line of ours in it, over a stream's whole life."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from sitting.web.streams import Pace
from tests.support import toy
from tests.support.serving import Served, served

OPEN = """(url) => {
    const source = new EventSource(url);
    const said = window.said = { events: [], opened: 0, named: [] };
    source.onopen = () => { said.opened += 1; };
    source.onmessage = (frame) => said.events.push([frame.lastEventId, JSON.parse(frame.data).seq]);
    for (const name of ['bye', 'end']) {
        source.addEventListener(name, () => {
            said.named.push(name);
            document.title = `${said.events.length} events, ${name}`;
        });
    }
    source.onerror = () => { if (source.readyState === EventSource.CLOSED) document.title = 'closed'; };
}"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Served]:
    """Streams are ended by the server every half second, as at a rotation."""
    with served(tmp_path, pace=Pace(age=0.5)) as running:
        yield running


def test_it_comes_back_where_it_was_and_stops_at_the_end(page: Page, server: Served) -> None:
    actor, engine = server.person().actor, server.installation.engine
    page.goto(f"{server.url}/sign-in/link/{server.installation.access.make_link(actor.id).result()}")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.url}/")
    id = engine.open("toy", toy.Create(name="x", words=100), actor).result().session.id
    page.evaluate(OPEN, f"/v1/sessions/{id}/events?after=0")
    for count in (1, 2, 3):
        expect(page).to_have_title(f"{count} events, bye")
        engine.do(id, toy.End() if count == 3 else toy.Note(text="while nobody listens"), actor).result()
    expect(page).to_have_title("closed")
    said = page.evaluate("said")
    assert said["events"] == [[f"1.{seq}", seq] for seq in range(1, 5)]
    assert said["named"] == ["bye"] * (said["opened"] - 1) + ["end"], "and then a 204, which opens nothing"
    assert said["opened"] >= 4
