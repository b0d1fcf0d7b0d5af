"""The walls of the house stand, and each of them stops what it is there to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import sitting
from tests.support import house
from tests.support.house import House

Rule = Callable[[House], Iterator[str]]

SOUND = {
    "__init__.py": "__version__ = '1'\n",
    "errors.py": "",
    "config.py": "from . import errors\n",
    "core/__init__.py": "",
    "core/kind.py": "from .. import errors\n",
    "store/__init__.py": "import sqlalchemy\nfrom ..core import kind\n",
    "live.py": "import asyncio\n",
    "engine.py": "from . import __version__, errors\nfrom .store import Store\nfrom sitting.reading import Seen\n",
    "reading.py": "from .core.kind import Kind\n",
    "installation.py": "from .engine import Engine\n",
    "web/__init__.py": "import fastapi\nfrom ..installation import Installation\n",
    "cli.py": "def serve():\n    from .web import create_app\n",
    "apps/__init__.py": "",
    "apps/interview/__init__.py": "",
    "apps/interview/kind.py": "from ...core.kind import Kind\nfrom . import prompts\n",
    "apps/interview/prompts.py": "import re\n",
    "apps/interview/service.py": "from ...installation import Installation\nfrom . import kind\n",
    "apps/interview/routes.py": "import fastapi\nfrom ...web import pages\nfrom . import service\n",
    "apps/interview/judging_routes.py": "from starlette import requests\nfrom ...web import pages\n",
    "apps/interview/work.py": "import time\nfrom . import prompts\n",
    "apps/research/__init__.py": "",
    "apps/research/kind.py": "from ...core import kind\n",
}

FAULTS: list[tuple[Rule, str, str, str]] = [
    (house.layers, "errors.py", "from .core import kind", "errors imports core.kind"),
    (house.layers, "core/kind.py", "from ..store import Store", "core.kind imports store"),
    (house.layers, "store/__init__.py", "def late():\n    from ..engine import Engine", "store imports engine"),
    (house.layers, "live.py", "if TYPE_CHECKING:\n    from .store import Store", "live imports store"),
    (house.layers, "engine.py", "import sitting.web", "engine imports web"),
    (house.layers, "engine.py", "from sitting import Kind", "engine imports the front door, for Kind"),
    (house.layers, "installation.py", "from .apps.interview import kind", "installation imports apps.interview.kind"),
    (house.layers, "shed.py", "", "shed has no place"),
    (house.layers, "__init__.py", "from .core import kind", "the front door imports core.kind"),
    (house.layers, "apps/interview/kind.py", "from ...store import Store", "not for an application's kind"),
    (house.layers, "apps/interview/kind.py", "from . import service", "what is pure stays pure"),
    (house.layers, "apps/interview/work.py", "from ...model import Models", "not for an application's work"),
    (house.layers, "apps/interview/kind.py", "from . import judging_routes", "what is pure stays pure"),
    (house.layers, "apps/interview/service.py", "from ...web import pages", "not for an application's service"),
    (house.layers, "apps/interview/kind.py", "from ..research import kind as other", "never import each other"),
    (house.layers, "apps/interview/routes.py", "import sitting.apps.research.kind", "never import each other"),
    (house.cycles, "reading.py", "def late():\n    from .engine import Engine", "cycle: "),
    (house.cycles, "errors.py", "if TYPE_CHECKING:\n    from .config import Settings", "cycle: "),
    (house.libraries, "engine.py", "import sqlalchemy.exc", "engine.py imports sqlalchemy, which stays in store"),
    (house.libraries, "access.py", "def late():\n    from fastapi import Request", "access.py imports fastapi"),
    (house.libraries, "apps/interview/service.py", "from starlette import requests", "imports starlette"),
    (house.libraries, "worker.py", "import asyncio", "worker.py imports asyncio"),
    (house.pure, "core/kind.py", "import os.path", "core.kind imports os"),
    (house.pure, "core/kind.py", "from urllib.request import urlopen", "core.kind imports urllib"),
    (house.pure, "core/kind.py", "at = datetime.now(UTC)", "core.kind:2 calls now()"),
    (house.pure, "core/kind.py", "text = open('notes').read()", "core.kind:2 calls open()"),
    (house.pure, "core/kind.py", "async def decide(): ...", "core.kind:2 is asynchronous"),
    (house.pure, "apps/interview/kind.py", "import random", "apps.interview.kind imports random"),
    (house.pure, "apps/interview/fold.py", "import time", "apps.interview.fold imports time"),
    (house.pure, "apps/interview/prompts.py", "id = uuid4()", "apps.interview.prompts:2 calls uuid4()"),
    (house.sizes, "worker.py", "\n" * 501, "worker has 50"),
    (house.sizes, "worker.py", "def long():\n" + "    pass\n" * 60, "worker:long has 61 lines"),
    (house.sizes, "live.py", "async def long():\n" + "    pass\n" * 60, "live:long has 61 lines"),
    (house.names, "core/utils.py", "", "core.utils: the name utils"),
    (house.names, "web/_helpers/__init__.py", "", "the name _helpers"),
    (house.names, "worker.py", "class JobManager: ...", "worker: the name JobManager"),
    (house.names, "worker.py", "# TODO: retry", "worker: TODO"),
]


@pytest.mark.parametrize("rule", house.RULES)
def test_the_house_stands(rule: Rule) -> None:
    assert list(rule(House(Path(sitting.__file__).parent))) == []


@pytest.mark.parametrize("rule", house.RULES)
def test_a_sound_house_is_left_alone(rule: Rule, tmp_path: Path) -> None:
    assert list(rule(_build(tmp_path))) == []


@pytest.mark.parametrize(("rule", "place", "fault", "sentence"), FAULTS)
def test_a_planted_fault_is_found(rule: Rule, place: str, fault: str, sentence: str, tmp_path: Path) -> None:
    found = list(rule(_build(tmp_path, place, fault)))
    assert len(found) == 1
    assert sentence in found[0]


def test_every_rule_has_a_planted_fault() -> None:
    assert {rule for rule, *_ in FAULTS} == set(house.RULES)


def _build(root: Path, place: str = "", fault: str = "") -> House:
    """A small sound house below `root`, with one fault planted at `place`."""
    for name, source in (SOUND | ({place: SOUND.get(place, "") + fault + "\n"} if place else {})).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return House(root)
