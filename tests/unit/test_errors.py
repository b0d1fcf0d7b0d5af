"""The page at the head of errors.py is the tree as it is."""

from __future__ import annotations

import re

import pytest

from sitting import errors


def _drawn() -> dict[str, tuple[str, str]]:
    """The tree in the docstring: class -> (parent, code)."""
    found: dict[str, tuple[str, str]] = {}
    path: list[str] = []
    for line in (errors.__doc__ or "").splitlines():
        branch = re.match(r"    ((?:\|  |   )*)(?:\|- |'- )(\w+)(?: +([A-Z_]{3,}))?", line)
        if branch is None:
            if line.strip() == "SittingError":
                path = ["SittingError"]
            continue
        depth = len(branch[1]) // 3 + 1
        path = [*path[:depth], branch[2]]
        found[branch[2]] = (path[-2], branch[3] or "")
    return found


def _classes(root: type[errors.SittingError]) -> list[type[errors.SittingError]]:
    own = [child for child in root.__subclasses__() if child.__module__ == errors.__name__]
    return [root, *(found for child in own for found in _classes(child))]


CLASSES = _classes(errors.SittingError)


def test_the_drawn_tree_is_the_real_one() -> None:
    drawn = _drawn()
    real = {cls.__name__: (cls.__bases__[0].__name__, cls.code) for cls in CLASSES[1:]}
    assert {name: parent for name, (parent, _) in drawn.items()} == {name: parent for name, (parent, _) in real.items()}
    assert {name: code for name, (_, code) in drawn.items() if code} == {
        name: code for name, (_, code) in real.items() if drawn[name][1]
    }
    assert sorted(name for name, (_, code) in drawn.items() if not code) == ["Fault", "Misuse", "Refusal"]


def test_codes_are_unique_and_every_class_has_its_own() -> None:
    assert len({cls.code for cls in CLASSES}) == len(CLASSES)
    assert all("code" in vars(cls) and re.fullmatch("[A-Z_]+", cls.code) for cls in CLASSES)


@pytest.mark.parametrize("cls", CLASSES)
def test_a_docstring_is_the_message(cls: type[errors.SittingError]) -> None:
    assert cls().message == str(cls()) == (cls.__doc__ or "").strip() != ""
    assert cls("Another.").message == "Another."
    assert cls("Another.", place=3).facts["place"] == 3


def test_facts_that_are_always_there() -> None:
    assert errors.ModelNotConfigured().facts == {"help": "/help/models"}
    refused = errors.Invalid.field("name", "must not be empty")
    assert refused.facts == {"fields": [{"field": "name", "message": "must not be empty"}]}
    assert type(errors.Malformed.field("a", "b")) is errors.Malformed
