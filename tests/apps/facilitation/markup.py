"""What stands beside what on a page, and what a QR code says."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import segno

VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


@dataclass
class Element:
    """A piece of a page."""

    tag: str
    parts: list[Element | str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return " ".join(part if isinstance(part, str) else part.text for part in self.parts)

    def inside(self) -> Iterator[Element]:
        for part in self.parts:
            if isinstance(part, Element):
                yield part
                yield from part.inside()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open = [Element("page")]

    def handle_starttag(self, tag: str, attrs: object) -> None:
        made = Element(tag)
        self.open[-1].parts.append(made)
        if tag not in VOID:
            self.open.append(made)

    def handle_endtag(self, tag: str) -> None:
        if any(each.tag == tag for each in self.open):
            while self.open.pop().tag != tag:
                pass

    def handle_data(self, data: str) -> None:
        self.open[-1].parts.append(data)


def beside(page: str, word: str, others: Collection[str]) -> str:
    """The text around a word: of the largest element that holds it and none of the others."""
    reader = _Reader()
    reader.feed(page)
    found = [
        each.text
        for each in reader.open[0].inside()
        if word in each.text and not any(other in each.text for other in others)
    ]
    assert found, f"{word} is not on the page"
    return max(found, key=len)


def qr(png: bytes, text: str) -> int:
    """Pixels a side of a QR code. Raises when it does not say `text`, at any level of correction."""
    rows = list(_pixels(png))
    size = len(rows)
    dark = [[not value for value in row] for row in rows]
    top = next(y for y, row in enumerate(dark) if any(row))
    left = dark[top].index(True)
    run = next(x for x in range(left, size) if not dark[top][x]) - left
    scale = run / 7  # the finder pattern in the corner is seven modules wide
    count = round((size - 2 * left) / scale)
    read = [
        [dark[int(top + (y + 0.5) * scale)][int(left + (x + 0.5) * scale)] for x in range(count)] for y in range(count)
    ]
    for error in "LMQH":
        for mask in range(8):
            made = segno.make_qr(text, error=error, mask=mask, boost_error=False)
            if [[bool(module) for module in row] for row in made.matrix] == read:
                return size
    raise AssertionError(f"the code does not say {text}")


def _pixels(png: bytes) -> Iterator[list[bool]]:
    """Rows of a black and white picture of one bit or one byte a pixel; true is light."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    place, packed, width, depth, colour = 8, b"", 0, 0, 0
    palette = b""
    while place < len(png):
        length, name = struct.unpack(">I4s", png[place : place + 8])
        content = png[place + 8 : place + 8 + length]
        if name == b"IHDR":
            width, _, depth, colour = struct.unpack(">IIBB", content[:10])
        elif name == b"PLTE":
            palette = content
        elif name == b"IDAT":
            packed += content
        place += length + 12
    assert colour in (0, 3) and depth in (1, 8)
    line = 1 + (width * depth + 7) // 8
    raw, bits = zlib.decompress(packed), bytes(line - 1)
    for start in range(0, len(raw), line):
        fresh = raw[start + 1 : start + line]
        assert raw[start] in (0, 2), "each row as it is, or as it differs from the one above"
        bits = fresh if raw[start] == 0 else bytes(new + old & 255 for new, old in zip(fresh, bits, strict=True))
        values = [bits[x] if depth == 8 else bits[x // 8] >> (7 - x % 8) & 1 for x in range(width)]
        yield [palette[3 * value] > 127 if palette else bool(value) for value in values]
