"""The ledger of long runs: what was tried how often, from which seed, at which commit, and how often it failed.

One line of JSON for each test of a `make soak`. Several runs add up: `python -m tests.support.ledger` prints the sums
and what they allow to say: with no failure in n trials the failure rate is below 3 / n at 95 % confidence.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path

DEFAULT = Path("soak.jsonl")


@dataclass(frozen=True)
class Entry:
    """What one test tried in one run."""

    test: str
    seed: int
    commit: str
    n: int
    failures: int


def commit() -> str:
    """The commit under test, with a `+` when files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--abbrev=12", "--dirty=+"], capture_output=True, text=True, check=False
    )
    return described.stdout.strip() or "unknown"


def append(path: Path, entries: list[Entry]) -> None:
    with path.open("a", encoding="utf-8") as ledger:
        ledger.writelines(json.dumps(asdict(entry)) + "\n" for entry in entries)


def read(path: Path) -> list[Entry]:
    if not path.exists():
        return []
    return [Entry(**json.loads(line)) for line in path.read_text(encoding="utf-8").splitlines() if line]


def sums(entries: list[Entry]) -> list[str]:
    """One line for each test: trials, failures, and the bound they prove."""
    trials: defaultdict[str, int] = defaultdict(int)
    failures: defaultdict[str, int] = defaultdict(int)
    for entry in entries:
        trials[entry.test] += entry.n
        failures[entry.test] += entry.failures
    lines = []
    for test, n in sorted(trials.items()):
        bound = f"below {3 / n:.2e} a trial" if n and not failures[test] else "no bound"
        lines.append(f"{test}: {n} trials, {failures[test]} failures, {bound}")
    return lines


if __name__ == "__main__":
    print("\n".join(sums(read(Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT))) or "the ledger is empty")
