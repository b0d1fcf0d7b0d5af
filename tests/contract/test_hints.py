"""Wakes between processes, over a real PostgreSQL and a real NATS: in time, each once, and mended after a cut."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from sitting import errors, hints
from sitting.config import Settings
from sitting.core.actor import Actor
from tests.support import nats as nats_servers
from tests.support import ports, toy
from tests.support.serving import installed

SECONDS = 60
Carrier = hints.Notify | hints.Nats
Make = Callable[[], Carrier]


@pytest.fixture(params=["postgres", "nats"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes carriers of one kind that are closed at the end."""
    made: list[Carrier] = []
    url = request.getfixturevalue("postgres_database" if request.param == "postgres" else "nats")

    def new() -> Carrier:
        made.append(hints.Notify(url) if request.param == "postgres" else hints.Nats(url, subject=f"t{id(made)}"))
        return made[-1]

    yield new
    for carrier in made:
        carrier.close()


def hearing(carrier: Carrier) -> queue.Queue[str]:
    """What a carrier hears from now on; it has begun to hear."""
    heard: queue.Queue[str] = queue.Queue()
    carrier.subscribe(heard.put)
    assert heard.get(timeout=SECONDS) == hints.LOOK
    return heard


def test_what_one_process_says_every_other_hears(make: Make) -> None:
    one, two, three = make(), make(), make()
    own, second, third = hearing(one), hearing(two), hearing(three)
    one.publish("session:a")
    assert (second.get(timeout=SECONDS), third.get(timeout=SECONDS)) == ("session:a", "session:a")
    two.publish("cancel:b")
    assert own.get(timeout=SECONDS) == "cancel:b"
    assert own.empty(), "a process hears nothing of its own"


def test_hints_that_wait_are_sent_together_and_once(make: Make) -> None:
    one, two = make(), make()
    heard = hearing(two)
    many = [f"session:{number:036d}" for number in range(2000)]
    for hint in many:
        for _ in range(3):
            one.publish(hint)
    one.publish(hints.WORK)
    got = []
    while hints.WORK not in got:
        got.append(heard.get(timeout=SECONDS))
    assert set(got) == {*many, hints.WORK}
    assert len(got) < 3 * len(many)


def test_the_last_hints_leave_before_the_end(make: Make) -> None:
    one, two = make(), make()
    heard = hearing(two)
    one.publish("session:last")
    one.close()
    assert heard.get(timeout=SECONDS) == "session:last"
    one.publish("session:late")
    two.publish("session:other")
    assert heard.empty()


def test_after_a_cut_everybody_looks_and_hears_again() -> None:
    with ports.held() as port:
        with nats_servers.server(port) as first:
            carrier = hints.Nats(first.url)
            heard = hearing(carrier)
        with nats_servers.server(port):
            assert heard.get(timeout=SECONDS) == hints.LOOK
            sender = hints.Nats(first.url)
            sender.publish("session:again")
            assert heard.get(timeout=SECONDS) == "session:again"
            sender.close()
        carrier.close()


def test_a_lost_postgresql_session_is_begun_again(postgres_database: str) -> None:
    carrier, sender = hints.Notify(postgres_database), hints.Notify(postgres_database)
    heard = hearing(carrier)
    sender.publish("session:before")
    assert heard.get(timeout=SECONDS) == "session:before"
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert heard.get(timeout=SECONDS) == hints.LOOK
    heard_again = False
    while not heard_again:
        sender.publish("session:after")
        try:
            heard_again = heard.get(timeout=1) == "session:after"
        except queue.Empty:
            continue
    carrier.close()
    sender.close()


def test_who_cannot_be_reached_keeps_nobody_waiting() -> None:
    for carrier in (hints.Notify("postgresql://127.0.0.1:1/none"), hints.Nats("nats://127.0.0.1:1")):
        heard: queue.Queue[str] = queue.Queue()
        carrier.subscribe(heard.put)
        carrier.publish("session:a")
        carrier.close()
        assert heard.empty()


def test_an_append_itself_notifies_nobody(postgres_database: str, tmp_path: Path) -> None:
    """NOTIFY within it would lock out every other one of the cluster until it has committed."""
    secret = "a secret that this node knows by heart"
    with (
        installed(tmp_path, database=postgres_database, secret=secret) as node,
        psycopg.connect(postgres_database, autocommit=True) as ear,
    ):
        ear.execute(f"LISTEN {hints.CHANNEL}")
        account = node.access.create_account("Ada").result()
        ada = Actor(account, "default", frozenset({"member"}))
        opened = [node.engine.open("toy", toy.Create(name="x"), ada).result().session.id for _ in range(8)]
        for done in [node.engine.do(id, toy.Note(text="word"), ada) for _ in range(10) for id in opened]:
            done.result()
        missing, senders = set(opened), set()
        for heard in ear.notifies(timeout=SECONDS):
            senders.add(heard.pid)
            missing -= {hint.removeprefix(hints.SESSION) for hint in heard.payload.split("\n")}
            if not missing:
                break
        assert not missing
        doing = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'SELECT pg_notify%%' AND pid = ANY(%s)"
        assert {pid for (pid,) in ear.execute(doing, [list(senders)])} == senders
        assert len(senders) == 1


@pytest.mark.parametrize(
    ("database", "wanted", "kind"),
    [
        ("", "", hints.Silent),
        ("", "none", hints.Silent),
        ("postgresql://h/d", "", hints.Notify),
        ("postgresql://h/d", "none", hints.Silent),
        ("postgresql://pooler/d", "postgres://direct/d", hints.Notify),
        ("postgresql://h/d", "nats://n", hints.Nats),
    ],
)
def test_the_settings_name_the_carrier(tmp_path: Path, database: str, wanted: str, kind: type[object]) -> None:
    assert isinstance(hints.connect(Settings(data=tmp_path, database=database, hints=wanted)), kind)


def test_another_address_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.Misuse, match="SITTING_HINTS"):
        hints.connect(Settings(data=tmp_path, hints="redis://h"))


def test_one_process_alone_tells_nobody() -> None:
    alone = hints.Silent()
    alone.subscribe(lambda _: pytest.fail("nobody is there"))
    alone.publish("session:a")
    alone.close()
