"""The documentation as data: its pages, fenced blocks and links, and the rules it must keep.

A rule is a function from the pages to sentences about what is wrong; an empty answer is a page in order. Each rule has
a planted fault in the test that uses it. What is run of a page is in `tests.support.story`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sitting.config import Settings

ROOT = Path(__file__).parent.parent.parent
Pages = Mapping[str, str]

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```[ ]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)
_SETTING = re.compile(r"\bSITTING_[A-Z_]+\b")
_MAKE = re.compile(r"^(?:    |\$ )make ([a-z]+)|`make ([a-z]+)", re.MULTILINE)
_COMMAND = re.compile(r"(?:^(?:    |\$ )(?:.*?[ (])??|`)sitting ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", re.MULTILINE)
_RULED_OUT = re.compile(r"(?i)\bTODO\b|\bcoming soon\b|\bfor now\b|\bTBD\b")


@dataclass(frozen=True)
class Block:
    """A fenced block. `words` are what follows the language: `run`, `server`, `file=name`."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file this block is the content of."""
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)

    @property
    def is_run(self) -> bool:
        return "run" in self.words or self.file is not None


def pages(root: Path = ROOT) -> dict[str, str]:
    """Path from the root -> text, of the README and everything below docs/."""
    found = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in found}


def blocks(page: str, text: str) -> list[Block]:
    """The fenced blocks of a page, in order."""
    found = []
    for match in _FENCE.finditer(text):
        language, *words = match["info"].split() or [""]
        indent = len(match["indent"])
        lines = "".join(line[indent:] if line.strip() else line for line in match["text"].splitlines(keepends=True))
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, language, tuple(words), lines))
    return found


def anchor(heading: str) -> str:
    """A heading's anchor, as GitHub makes it."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")


# Rules


def links(found: Pages, root: Path = ROOT) -> Iterator[str]:
    """Every link inside the repository leads to a file, and to a heading in it when it names one."""
    for page, text in found.items():
        for target in _LINK.findall(_FENCE.sub("", text)):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, fragment = target.partition("#")
            place = (root / page).parent / path if path else root / page
            name = _name(place, root)
            if not place.exists() and name not in found:
                yield f"{page}: {target} leads nowhere"
            elif fragment and fragment not in map(anchor, _HEADING.findall(_FENCE.sub("", found.get(name, "")))):
                yield f"{page}: {target} names no heading"


def reached(found: Pages, root: Path = ROOT) -> Iterator[str]:
    """Every page can be reached from docs/index.md. (Decisions have numbers for that.)"""
    seen, open_pages = set(), ["docs/index.md"]
    while open_pages:
        page = open_pages.pop()
        if page in seen or page not in found:
            continue
        seen.add(page)
        for target in _LINK.findall(found[page]):
            open_pages.append(_name((root / page).parent / target.partition("#")[0], root))
    yield from (
        f"{page} is not reached from docs/index.md"
        for page in sorted(set(found) - seen - {"README.md"})
        if not page.startswith("docs/decisions/")
    )


def settings_exist(found: Pages) -> Iterator[str]:
    """Every setting that is named exists."""
    known = {f"SITTING_{name.upper()}" for name in Settings.model_fields}
    for page, text in found.items():
        for name in sorted(set(_SETTING.findall(text)) - known):
            if not name.endswith("_"):
                yield f"{page}: there is no setting {name}"


def commands_exist(found: Pages, commands: Collection[str]) -> Iterator[str]:
    """Every `sitting` command that is shown exists. `commands` are `serve`, `token create` and so on."""
    known = {name.split()[0] for name in commands}
    for page, text in found.items():
        for first, second in _COMMAND.findall(text):
            if first not in known:
                yield f"{page}: there is no command sitting {first}"
            elif first not in commands and second and f"{first} {second}" not in commands:
                yield f"{page}: there is no command sitting {first} {second}"


def makes_exist(found: Pages, makefile: str) -> Iterator[str]:
    """Every `make` target that is shown stands in the Makefile."""
    known = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for page, text in found.items():
        for name in ("".join(names) for names in _MAKE.findall(text)):
            if name not in known:
                yield f"{page}: there is no make {name}"


def named(found: Pages, page: str, names: Collection[str]) -> Iterator[str]:
    """A page names each of `names`, as code."""
    yield from (f"{page} does not name {name}" for name in sorted(names) if f"`{name}`" not in found[page])


def finished(found: Pages) -> Iterator[str]:
    """No page promises to be written later."""
    for page, text in found.items():
        yield from (f"{page}: {word}" for word in _RULED_OUT.findall(text))


def _name(place: Path, root: Path) -> str:
    """A file's path from the root, as pages are named."""
    try:
        return str(place.resolve().relative_to(root.resolve()))
    except ValueError:
        return str(place)
