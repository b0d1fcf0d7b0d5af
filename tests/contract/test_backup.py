"""Backups while others write, restores that never write over anything, and the epoch that tells old from new."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from random import Random

import pysqlite3
import pytest
from argon2 import PasswordHasher

from sitting import errors
from sitting.access import Access
from sitting.config import Settings
from sitting.store import Store, migrate, sessions
from sitting.store.backup import backup, restore
from tests.support.clock import ManualClock
from tests.support.postgres import PostgresServer
from tests.support.process import Program

BACK_UP_FOR_EVER = """
import sys
from pathlib import Path
from sitting.store import Store
from sitting.store.backup import backup
store, folder = Store(sys.argv[1]), Path(sys.argv[2])
for number in range(10_000):
    backup(store, folder / f"{number}.sitting")
    print("made", number, flush=True)
"""

WITHOUT_ROOM = """
import resource, sys
from pathlib import Path
from sitting.config import Settings
from sitting.store import Store
from sitting.store.backup import backup, restore
store, folder = Store(sys.argv[1]), Path(sys.argv[2])
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (8192, unlimited[1]))
for run in (
    lambda: backup(store, folder / "more.sitting"),
    lambda: restore(Settings(data=folder / "new"), folder / "good.sitting"),
):
    try:
        run()
    except Exception as error:
        print(type(error).__name__, flush=True)
store.close()
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data=tmp_path / "data")


@pytest.fixture
def live(settings: Settings) -> Iterator[Store]:
    """A store on SQLite with something in it."""
    opened = Store(settings.database_url)
    migrate.upgrade(opened)
    counted(opened, 5)
    yield opened
    opened.close()


def test_a_backup_comes_back_with_everything_and_an_epoch_of_its_own(live: Store, tmp_path: Path) -> None:
    target = tmp_path / "copy.sitting"
    backup(live, target)
    assert target.stat().st_mode & 0o777 == 0o600
    counted(live, 1)
    new = Settings(data=tmp_path / "new")
    clock = ManualClock()
    first = restore(new, target, clock=clock)
    assert first > migrate.epoch(live)
    assert content(new) == (first, 5)
    clock.advance(1)
    assert restore(Settings(data=tmp_path / "again"), target, clock=clock) > first, "also from the same backup"
    assert left_over(tmp_path) == []


def test_a_clock_set_back_does_not_give_an_old_epoch(live: Store, tmp_path: Path) -> None:
    backup(live, tmp_path / "one.sitting")
    first = restore(Settings(data=tmp_path / "one"), tmp_path / "one.sitting", clock=ManualClock())
    store = Store(Settings(data=tmp_path / "one").database_url)
    backup(store, tmp_path / "two.sitting")
    store.close()
    clock = ManualClock()
    clock.advance(-1_000_000)
    assert restore(Settings(data=tmp_path / "two"), tmp_path / "two.sitting", clock=clock) == first + 1


def test_after_a_restore_everybody_signs_in_again(live: Store, tmp_path: Path) -> None:
    access = opened_access(live)
    account = access.create_account("Ada").result()
    cookie = access.use_link(access.make_link(account).result()).result()
    link, (token, _) = access.make_link(account).result(), access.create_token(account, "laptop").result()
    backup(live, tmp_path / "copy.sitting")
    access.close()
    new = Settings(data=tmp_path / "new")
    restore(new, tmp_path / "copy.sitting")
    store = Store(new.database_url)
    access = opened_access(store)
    assert isinstance(access.by_cookie(cookie).exception(), errors.NotAuthenticated)
    assert isinstance(access.use_link(link).exception(), errors.NotAuthenticated)
    assert access.by_token(token).result().id == account
    assert access.epoch().result() > 0
    access.close()
    store.close()


def test_backups_while_many_write_are_each_a_moment_of_the_whole(
    live: Store, tmp_path: Path, rounds: Callable[[int, int], int]
) -> None:
    number = rounds(3, 50)
    with ThreadPoolExecutor(4) as writers:
        stop: Future[None] = Future()
        busy = [writers.submit(write_pairs, live, stop, name) for name in "abcd"]
        for each in range(number):
            backup(live, tmp_path / f"{each}.sitting")
        stop.set_result(None)
        assert all(future.result() > 0 for future in busy)
    for each in range(number):
        there = Settings(data=tmp_path / f"restored-{each}")
        restore(there, tmp_path / f"{each}.sitting")
        store = Store(there.database_url)
        for name in "abcd":
            one, other = store.read(
                lambda tx, name=name: (sessions.count(tx, f"{name}1"), sessions.count(tx, f"{name}2"))  # type: ignore[misc]
            ).result()
            assert one == other
        store.close()


def test_a_killed_backup_never_looks_complete(
    settings: Settings, live: Store, tmp_path: Path, dice: Random, rounds: Callable[[int, int], int]
) -> None:
    for each in range(rounds(3, 50)):
        folder = tmp_path / f"round-{each}"
        folder.mkdir()
        command = [sys.executable, "-c", BACK_UP_FOR_EVER, settings.database_url, str(folder)]
        with Program(command, env=os.environ) as program:
            program.wait_for(f"made {dice.randrange(20)}$")
            program.send(signal.SIGKILL)
        whole = sorted(folder.glob("*.sitting"))
        assert whole
        for number, file in enumerate([*whole[:3], whole[-1]]):
            there = Settings(data=folder / f"restored-{number}")
            restore(there, file)
            assert content(there)[1] == 5
    backup(live, tmp_path / "after.sitting")


def test_nothing_is_written_over(live: Store, settings: Settings, tmp_path: Path) -> None:
    target = tmp_path / "copy.sitting"
    backup(live, target)
    before = target.read_bytes()
    with pytest.raises(errors.Misuse, match="exists already"):
        backup(live, target)
    with pytest.raises(errors.Misuse, match="There is a database"):
        restore(settings, target)
    live.close()
    database = settings.data / "sitting.db"
    Path(f"{database}-wal").touch()
    database.rename(tmp_path / "aside.db")
    with pytest.raises(errors.Misuse, match="or a part of one"):
        restore(settings, target)
    assert target.read_bytes() == before
    assert left_over(tmp_path) == []


def test_what_is_no_backup_is_refused(live: Store, settings: Settings, tmp_path: Path, dice: Random) -> None:
    new = Settings(data=tmp_path / "new")
    with pytest.raises(errors.Misuse, match="no file"):
        restore(new, tmp_path / "nothing")
    with pytest.raises(errors.Misuse, match="a database in use"):
        restore(new, settings.data / "sitting.db")
    good = tmp_path / "good.sitting"
    backup(live, good)
    whole = good.read_bytes()
    for name, wrong in {
        "empty": b"",
        "text": b"This is no database at all. " * 100,
        "cut": whole[: len(whole) // 2],
        "zeroed": whole[:4096] + bytes(8192) + whole[12288:],
    }.items():
        file = tmp_path / name
        file.write_bytes(wrong)
        with pytest.raises(errors.Misuse, match="damaged"):
            restore(new, file)
    assert not (new.data / "sitting.db").exists()
    assert left_over(tmp_path) == []


def test_a_backup_in_which_one_word_was_changed_is_refused(live: Store, tmp_path: Path) -> None:
    access = opened_access(live)
    access.create_account("Ada", email="ada@example.com").result()
    access.close()
    file = tmp_path / "copy.sitting"
    backup(live, file)
    file.write_bytes(file.read_bytes().replace(b"ada@", b"eve@", 1))
    with pytest.raises(errors.Misuse, match="damaged: .*index"):
        restore(Settings(data=tmp_path / "new"), file)


@pytest.mark.parametrize(
    "made",
    [
        "TRIGGER t AFTER INSERT ON tokens BEGIN INSERT INTO links VALUES ('h', new.account, new.space, '2099'); END",
        "VIEW v AS SELECT * FROM accounts",
        "TABLE t (x)",
        "INDEX i ON accounts (name)",
    ],
)
def test_a_backup_with_a_thing_that_is_not_ours_is_refused(live: Store, tmp_path: Path, made: str) -> None:
    """A trigger would go on acting in the restored database."""
    file = tmp_path / "copy.sitting"
    backup(live, file)
    with closing(pysqlite3.connect(file)) as connection:
        connection.execute("ANALYZE")
    with closing(pysqlite3.connect(file)) as connection:
        restore(Settings(data=tmp_path / "good"), file)
        connection.execute(f"CREATE {made}")
    sort, name = made.split()[:2]
    with pytest.raises(
        errors.Misuse, match=f"holds the {sort.lower()} {name}, which this version of Sitting does not know"
    ):
        restore(Settings(data=tmp_path / "new"), file)
    assert not (tmp_path / "new").exists()


def test_without_room_there_is_no_backup_and_no_restore(live: Store, settings: Settings, tmp_path: Path) -> None:
    backup(live, tmp_path / "good.sitting")
    command = [sys.executable, "-c", WITHOUT_ROOM, settings.database_url, str(tmp_path)]
    with Program(command, env=os.environ) as program:
        assert program.wait() == 0, program.output
    assert program.output.split() == ["StoreUnavailable", "DiskFull"]
    assert not (tmp_path / "more.sitting").exists()
    assert list((tmp_path / "new").iterdir()) == []
    assert left_over(tmp_path) == []


def test_a_newer_version_s_backup_is_refused(live: Store, tmp_path: Path) -> None:
    with live.engine.connect() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    backup(live, tmp_path / "copy.sitting")
    with pytest.raises(errors.Misuse, match="newer version"):
        restore(Settings(data=tmp_path / "new"), tmp_path / "copy.sitting")
    assert list((tmp_path / "new").iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(live: Store, tmp_path: Path) -> None:
    with pytest.raises(errors.Misuse, match="cannot be written: No such file or directory"):
        backup(live, tmp_path / "no" / "such" / "folder.sitting")


def test_postgresql_goes_out_and_back_by_its_own_programs(
    postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "copy.dump"
    programs = postgres_server._programs
    with postgres_server.database() as old, postgres_server.database() as new:
        store = Store(Settings(database=old).database_url)
        migrate.upgrade(store)
        counted(store, 5)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(errors.Misuse, match="pg_dump is not on PATH"):
            backup(store, target)
        monkeypatch.setenv("PATH", str(programs))
        backup(store, target)
        store.close()
        with pytest.raises(errors.Misuse, match="not empty"):
            restore(Settings(database=old), target)
        (tmp_path / "text").write_text("no dump")
        with pytest.raises(errors.StoreUnavailable, match="pg_restore failed"):
            restore(Settings(database=new), tmp_path / "text")
        epoch = restore(Settings(database=new), target)
        assert content(Settings(database=new)) == (epoch, 5)
    assert target.stat().st_mode & 0o777 == 0o600
    assert left_over(tmp_path) == []


# Words for the tests above


def opened_access(store: Store) -> Access:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    return Access(store, clock=ManualClock(), secret=lambda label: label.encode(), hasher=cheap)


def counted(store: Store, amount: int) -> None:
    assert store.write(lambda tx: sessions.charge(tx, "kept", amount=amount, limit=100)).result()


def content(settings: Settings) -> tuple[int, int]:
    """The epoch, and what `counted` wrote."""
    store = Store(settings.database_url)
    try:
        assert migrate.upgrade(store) == ()
        return migrate.epoch(store), store.read(lambda tx: sessions.count(tx, "kept")).result()
    finally:
        store.close()


def write_pairs(store: Store, stop: Future[None], name: str) -> int:
    """Two counters that are equal in every moment of the whole."""
    written = 0
    while not (written and stop.done()):
        store.write(
            lambda tx: [sessions.charge(tx, f"{name}{which}", amount=1, limit=10**9) for which in (1, 2)]
        ).result()
        written += 1
    return written


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*.partial*")]
