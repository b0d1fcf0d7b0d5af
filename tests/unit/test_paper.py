"""What somebody wrote stays text on paper."""

from __future__ import annotations

import csv
import io

import pytest

from sitting.core import paper


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, ""),
        ("two\nlines,  one", "two lines, one"),
        ("# no heading", "\\# no heading"),
        ("- no item", "\\- no item"),
        ("1986. A year", "1986\\. A year"),
        ("1986 was a year", "1986 was a year"),
        ("*no* [link](x) `code` ~ |", "\\*no\\* \\[link\\](x) \\`code\\` \\~ \\|"),
        ("<b> & more", "&lt;b&gt; &amp; more"),
        (7, "7"),
    ],
)
def test_a_line_shows_as_it_was_written(text: str | None, shown: str) -> None:
    assert paper.inline(text) == shown


def test_a_quotation_keeps_its_lines() -> None:
    assert paper.block("# one\n\n  2) two") == "> \\# one\n> \n>   2\\) two"
    assert paper.block("") == paper.block(None) == ">"


@pytest.mark.parametrize("opening", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_a_formula(opening: str) -> None:
    said = f"{opening}1+1"
    rows = list(csv.reader(io.StringIO(paper.table(("a", "b"), [(said, -1), (None, "x,y\n")]), newline="")))
    assert rows == [["a", "b"], [f"'{said}", "-1"], ["", "x,y\n"]]
