"""Copies of a session: what a reader's leaves behind, and what a forged one is not let in with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sitting.core.event import COPIED
from tests.apps.solve.room import Owner, scene
from tests.contract.test_bundle import resealed

Lines = list[dict[str, Any]]


def mine(line: dict[str, Any]) -> dict[str, Any]:
    """What a record holds of its owner's."""
    content: dict[str, Any] = next(part for part in line["parts"] if part["owner"] == "owner")["content"]
    return content


def changes(**fields: Any) -> Callable[[Lines], None]:
    """A forgery of the last event, in which the title was changed."""
    return lambda lines: mine(lines[-1]).update(changes={name: [None, value] for name, value in fields.items()})


FORGED: dict[str, Callable[[Lines], object]] = {
    "a language that is none": lambda lines: lines[0]["data"].update(locale="tlh"),
    "a budget that is no number": lambda lines: lines[0]["data"].update(budget="much"),
    "a title that is no text": lambda lines: mine(lines[0]).update(title={"a": 1}),
    "tags that are no list": lambda lines: mine(lines[0]).update(tags="ab"),
    "an open action without words": lambda lines: lines[0]["parts"][0].update(
        owner=f"{COPIED}00000000-0000-4000-8000-000000000000", content={"place": 0}
    ),
    "a change to a language that is none": changes(locale="tlh"),
    "a change of what cannot be changed": changes(moves=7),
    "a reminder at no time": changes(reminder_time="soon"),
}


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A session's bundle."""
    with scene(tmp_path_factory.mktemp("there")) as house:
        ann = house.owner()
        id = ann.create()
        ann.patches(f"/sessions/{id}", title="Mondays")
        return ann.client.get(f"/v1/sessions/{id}/bundle").content


@pytest.fixture(scope="module")
def bob(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Owner]:
    """Somebody in another house, who may bring sessions in."""
    with scene(tmp_path_factory.mktemp("here")) as house:
        yield house.owner("Bob", "member", "admin")


def brought_in(owner: Owner, raw: bytes) -> httpx.Response:
    return owner.client.post("/v1/bundles", content=raw, headers={"Content-Type": "application/zip"})


@pytest.mark.parametrize("name", FORGED)
def test_what_no_page_could_show_is_not_let_in(taken: bytes, bob: Owner, name: str) -> None:
    answer = brought_in(bob, resealed(taken, FORGED[name]))
    assert answer.status_code == 422, answer.text
    assert bob.client.get("/sessions").json()["total"] == 0


def test_what_is_whole_is_let_in(taken: bytes, tmp_path: Path) -> None:
    with scene(tmp_path) as house:
        answer = brought_in(bob := house.owner("Bob", "member", "admin"), taken)
        assert answer.status_code == 201, answer.text
        assert [each["title"] for each in bob.client.get("/sessions").json()["sessions"]] == ["Mondays"]


def test_who_may_only_read_takes_a_copy_and_leaves_no_trace(tmp_path: Path) -> None:
    with scene(tmp_path) as house:
        ann = house.owner()
        id = ann.create()
        token, _ = house.served.installation.access.create_token(ann.person.actor.id, "r", scopes=("read",)).result()
        reader = {"Authorization": f"Bearer {token}"}
        answer = ann.client.get(f"/sessions/{id}/export", headers=reader)
        assert answer.status_code == 200 and answer.text.startswith("# ")
        assert ann.types(id) == ["created"]
        assert ann.client.get(f"/sessions/{id}/export").status_code == 200
        assert ann.types(id) == ["created", "exported"]
