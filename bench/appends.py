"""Durable appends through the engine, chain and fold and all, against bare SQLite doing one insert a commit."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pysqlite3

from bench.measure import LINE, Row, at_least, at_most, installation, medians, notebook, together

WRITERS = 32
DELAY_US = 4000
_SLOW_SYNC = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
static void delay(void) { struct timespec t = {0, %d * 1000L}; nanosleep(&t, 0); }
int fdatasync(int fd) { delay(); return ((int (*)(int)) dlsym(RTLD_NEXT, "fdatasync"))(fd); }
int fsync(int fd) { delay(); return ((int (*)(int)) dlsym(RTLD_NEXT, "fsync"))(fd); }
"""


def bare(inserts: int) -> float:
    """Inserts a second: one connection, WAL, `synchronous=FULL`, one row a commit."""
    with tempfile.TemporaryDirectory() as folder:
        connection = pysqlite3.connect(str(Path(folder) / "bare.db"), isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(
            "CREATE TABLE line (session TEXT, seq INTEGER, text TEXT, PRIMARY KEY (session, seq)) WITHOUT ROWID"
        )
        start = time.perf_counter()
        for seq in range(inserts):
            connection.execute("INSERT INTO line VALUES (?, ?, ?)", ("one", seq, LINE.text))
        rate = inserts / (time.perf_counter() - start)
        connection.close()
        return rate


def ours(writers: int, each: int) -> tuple[float, float]:
    """Appends a second with so many writers, each waiting for its own, and CPU microseconds an append."""
    with installation() as made:
        me = made.access.local()
        ids = [notebook(made, me) for _ in range(writers)]

        def write(place: int) -> None:
            for _ in range(each):
                made.engine.do(ids[place], LINE, me).result()

        cpu = time.process_time()
        seconds = together(writers, write)
        return writers * each / seconds, (time.process_time() - cpu) / (writers * each) * 1e6


def length(events: int, appends: int = 400) -> float:
    """Seconds an append takes in a session of so many events, one writer."""
    with installation() as made:
        me = made.access.local()
        id = notebook(made, me, lines=events)
        start_at = time.perf_counter()
        for _ in range(appends):
            made.engine.do(id, LINE, me).result()
        return (time.perf_counter() - start_at) / appends


def newest(events: int, reads: int = 300) -> float:
    """Seconds it takes to read the newest 50 events of a session of so many."""
    with installation() as made:
        me = made.access.local()
        id = notebook(made, me, lines=events)
        start_at = time.perf_counter()
        for _ in range(reads):
            made.engine.history(id, me, limit=50).result()
        return (time.perf_counter() - start_at) / reads


@contextmanager
def slow_sync() -> Iterator[dict[str, str]]:
    """An environment in which every sync takes 4 ms more, as on an ordinary disk."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder) / "slow.c", Path(folder) / "slow.so"
        source.write_text(_SLOW_SYNC % DELAY_US)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], check=True)
        yield {**os.environ, "LD_PRELOAD": str(library)}


def rows() -> list[Row]:
    """Every figure of this file."""
    cpus: list[float] = []

    def many() -> float:
        rate, cpu = ours(WRITERS, 60)
        cpus.append(cpu)
        return rate

    raw, group, single = medians(lambda: bare(1500), many, lambda: ours(1, 600)[0])
    found = [
        at_least("32 writers / bare SQLite", group / raw, 1.2, f"{group:,.0f} and {raw:,.0f} a second"),
        at_least("1 writer / bare SQLite", single / raw, 0.45, f"{single:,.0f} and {raw:,.0f} a second"),
        at_most(
            "CPU an append, microseconds", sorted(cpus)[len(cpus) // 2], 120, "32 writers, all threads of the process"
        ),
    ]
    short, long = medians(lambda: length(10), lambda: length(5000), times=3)
    found.append(
        at_most("append at 5,000 events / at 10", long / short, 1.1, f"{long * 1e6:.0f} and {short * 1e6:.0f} us")
    )
    near, far = medians(lambda: newest(60), lambda: newest(5000), times=3)
    found.append(at_most("newest 50 of 5,000 / of 60", far / near, 1.1, f"{far * 1e6:.0f} and {near * 1e6:.0f} us"))
    with slow_sync() as environment:
        slow_raw, slow_group = (float(word) for word in _slowly(environment).split())
    of = f"{slow_group:,.0f} and {slow_raw:,.0f} a second"
    found.append(at_least("the same, every sync 4 ms slower", slow_group / slow_raw, 20, of))
    return found


def _slowly(environment: dict[str, str]) -> str:
    code = "from bench.appends import *\nprint(*medians(lambda: bare(60), lambda: ours(WRITERS, 30)[0], times=3))"
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    return done.stdout


if __name__ == "__main__":
    from bench.measure import table

    print(table(rows()))
