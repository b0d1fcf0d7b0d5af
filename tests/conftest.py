"""What every test may ask for: a real PostgreSQL, a real Chromium, a real NATS, a printed seed.

Rules that hold for the whole suite:
* What a machine lacks is skipped with a sentence that says what is missing. On CI (`CI` is set) a skip is a failure.
* All randomness comes from one seed, printed at the top; `SEED=N make test` repeats a run.
* Markers for browser and database tests follow from the fixtures a test takes, so nobody can forget them.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support import ledger, nats, pages, postgres

ON_CI = os.environ.get("CI", "") not in ("", "0", "false")
PROFILES = {"push": 50, "soak": 2000}
TRIALS = pytest.StashKey[int]()
ENTRIES = pytest.StashKey[list[ledger.Entry]]()

for name, examples in PROFILES.items():
    settings.register_profile(
        name,
        max_examples=examples,
        deadline=None,  # shared machines stall; a slow example is no wrong example
        print_blob=True,
        derandomize=False,
        suppress_health_check=[HealthCheck.too_slow],
    )


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long columns of the promises and add to the ledger")
    parser.addoption("--ledger", type=Path, default=ledger.DEFAULT, help="where --soak adds its lines")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Choose the seed before Hypothesis reads its own option."""
    if config.option.hypothesis_seed is None:
        config.option.hypothesis_seed = os.environ.get("SEED") or str(secrets.randbelow(2**32))
    settings.load_profile(config.option.hypothesis_profile or ("soak" if config.option.soak else "push"))
    config.stash[ENTRIES] = []


def pytest_report_header(config: pytest.Config) -> str:
    return f"seed: {_seed(config)}  (SEED={_seed(config)} make test repeats this run's choices)"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by the fixtures they take, leave out the long ones, and put the rest in order.

    The browser's synchronous interface keeps an event loop in the main thread for as long as it is open; a test that
    runs a loop of its own there has to come before, so the browser's are last. The longest come first, so that of
    several workers none ends long after the others. A worker takes a file at a time, or the browser's part of one.
    """
    long = []
    for item in items:
        for marker in ("browser", "postgres"):
            if marker in getattr(item, "fixturenames", ()):
                item.add_marker(marker)
        if item.get_closest_marker("soak") and not config.option.soak:
            long.append(item)
        browsing = " in the browser" if _browses(item) else ""
        item.add_marker(pytest.mark.xdist_group(f"{_file(item)}{browsing}"))
    if long:
        config.hook.pytest_deselected(items=long)
    chosen = [item for item in items if item not in set(long)]
    items[:] = sorted(chosen, key=lambda item: (_browses(item), "end" not in item.path.parts))


def _file(item: pytest.Item) -> str:
    return str(item.path.relative_to(item.config.rootpath))


def _browses(item: pytest.Item) -> bool:
    return item.get_closest_marker("browser") is not None


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """On CI, a file that skips itself is a failure."""
    report = yield
    if ON_CI and report.outcome == "skipped":
        report.outcome = "failed"
        report.longrepr = f"a skip is a failure on CI: {_reason(report.longrepr)}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """On CI, a skip is a failure; in a soak, count what the test tried."""
    report = yield
    if ON_CI and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"a skip is a failure on CI: {_reason(report.longrepr)}"
    if item.config.option.soak and call.when == "call" and not report.skipped:
        trials = item.stash.get(TRIALS, 1)
        entry = ledger.Entry(item.nodeid, _seed(item.config), ledger.commit(), trials, int(report.failed))
        item.config.stash[ENTRIES].append(entry)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    if entries := session.config.stash[ENTRIES]:
        ledger.append(session.config.option.ledger, entries)


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    """The number all randomness of this run comes from; it is printed at the top."""
    return _seed(pytestconfig)


@pytest.fixture
def dice(seed: int, request: pytest.FixtureRequest) -> random.Random:
    """Random numbers of this test's own: the same for the same seed, whichever tests run beside it."""
    return random.Random(f"{seed}:{_file(request.node)}:{request.node.name}")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """`rounds(push, release)`: how often to try, now or in a soak; the ledger learns the number."""

    def choose(push: int, release: int) -> int:
        trials = release if request.config.option.soak else push
        request.node.stash[TRIALS] = trials
        return trials

    return choose


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.PostgresServer]:
    """The PostgreSQL all tests share. A test that crashes it starts its own: `postgres.running()`."""
    try:
        with postgres.running() as server:
            yield server
    except postgres.PostgresUnavailable as missing:
        pytest.skip(f"no PostgreSQL: {missing}")


@pytest.fixture(scope="session", name="postgres")
def postgres_url(postgres_server: postgres.PostgresServer) -> str:
    """The address of the shared server's maintenance database."""
    return postgres_server.url()


@pytest.fixture
def postgres_database(postgres_server: postgres.PostgresServer) -> Iterator[str]:
    """The address of a fresh, empty database, dropped after the test."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(scope="session", name="nats")
def nats_url() -> Iterator[str]:
    """The address of a NATS server of this run's own."""
    try:
        with nats.running() as url:
            yield url
    except nats.NatsUnavailable as missing:
        pytest.skip(f"no NATS: {missing}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium, without a window."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium on PATH: install your system's package (Debian: apt-get install chromium)")
    with sync_playwright() as driver:
        opened = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        expect.set_options(timeout=pages.PATIENCE_MS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page in a fresh profile; a script error or a request to another host fails the test."""
    context = browser.new_context(viewport=pages.DESKTOP)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(f"script error: {error}"))
    opened.on("request", lambda request: faults.extend(pages.foreign(request.url)))
    yield opened
    context.close()
    assert not faults, faults


def _seed(config: pytest.Config) -> int:
    return int(config.option.hypothesis_seed)


def _reason(skip: object) -> object:
    """The sentence of a skip: pytest reports (path, line, reason)."""
    return skip[2] if isinstance(skip, tuple) else skip
