"""The picture of a lifecycle: everything is in it, nothing lies on anything else, and it is safe to put into a page."""

from __future__ import annotations

from itertools import combinations
from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as some

from sitting.core.lifecycle import Lifecycle, Move
from sitting.web.diagram import diagram, edges, mermaid, sentences, staying
from tests.support import toy

SVG = "{http://www.w3.org/2000/svg}"
NAMES = ("draft", "open", "in_review", "paused", "voting", "closed", "cancelled")


@some.composite
def lifecycles(draw: some.DrawFn) -> Lifecycle:
    """Any lifecycle of up to seven states: each is reached from one before it, other lines lead anywhere."""
    count = draw(some.integers(1, len(NAMES)))
    states = NAMES[:count]
    ends = set(states[-draw(some.integers(0, count - 1)) :]) if count > 1 and draw(some.booleans()) else set()
    going = [state for state in states if state not in ends] or [states[0]]
    moves = [Move("create", (), ("member",), (states[0],))]
    for at, state in enumerate(states[1:], 1):
        before = [name for name in states[:at] if name in going]
        moves.append(Move(f"reach_{state}", (draw(some.sampled_from(before)),), ("owner",), (state,)))
    for number in range(draw(some.integers(0, 8))):
        source, target = draw(some.sampled_from(going)), draw(some.sampled_from(states))
        moves.append(Move(f"move_{number}", (source,), ("owner",), (target,) if target != source else ()))
    return Lifecycle(states, moves, final=ends - set(going))


def parsed(text: str) -> Xml.Element:
    return Xml.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))  # noqa: S314 - ours


def boxes(svg: Xml.Element) -> dict[str, tuple[float, float, float, float]]:
    """The outer rectangle of each state by its words."""
    found = {}
    for group in svg.iter(f"{SVG}g"):
        rect, text = group.find(f"{SVG}rect"), group.find(f"{SVG}text")
        assert rect is not None and text is not None and text.text
        x, y, width, height = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
        found[text.text] = (x, y, x + width, y + height)
    return found


@given(lifecycles(), some.sampled_from(NAMES))
def test_every_state_has_a_box_of_its_own_inside_the_picture(lifecycle: Lifecycle, state: str) -> None:
    svg = parsed(diagram(lifecycle, state))
    _, _, width, height = map(float, svg.attrib["viewBox"].split())
    found = boxes(svg)
    assert set(found) == {name.replace("_", " ") for name in lifecycle.states}
    for left, top, right, bottom in found.values():
        assert left >= 0 and top >= 0 and right <= width and bottom <= height
    for (l1, t1, r1, b1), (l2, t2, r2, b2) in combinations(found.values(), 2):
        assert r1 <= l2 or r2 <= l1 or b1 <= t2 or b2 <= t1


@given(lifecycles())
def test_every_edge_is_a_line_with_a_head_and_its_words_lie_on_nothing(lifecycle: Lifecycle) -> None:
    svg = parsed(diagram(lifecycle, lifecycle.states[0]))
    lines = [path for path in svg.iter(f"{SVG}path") if path.attrib["class"].startswith("edge")]
    heads = [path for path in svg.iter(f"{SVG}path") if path.attrib["class"].startswith("arrow")]
    assert len(lines) == len(heads) == len(edges(lifecycle))
    words = [text for text in svg.findall(f"{SVG}text") if text.attrib["class"].startswith("verb")]
    places = [(float(text.attrib["x"]), float(text.attrib["y"])) for text in words]
    for x, y in places:
        assert not any(left < x < right and top < y < bottom for left, top, right, bottom in boxes(svg).values())
    assert len(set(places)) == len(places)


def test_the_present_state_and_what_its_reader_may_do_are_lit() -> None:
    svg = parsed(diagram(toy.LIFECYCLE, "paused", verbs=("resume", "note")))
    lit = [group.findtext(f"{SVG}text") for group in svg.iter(f"{SVG}g") if "lit" in group.attrib["class"].split()]
    assert lit == ["paused"]
    words = [text.text for text in svg.iter(f"{SVG}text") if text.attrib.get("class") == "verb lit"]
    assert words == ["resume"]


def test_ends_have_a_double_line_and_stand_at_the_bottom() -> None:
    svg = parsed(diagram(toy.LIFECYCLE, "open"))
    finals = [group.findtext(f"{SVG}text") for group in svg.iter(f"{SVG}g") if "final" in group.attrib["class"].split()]
    assert sorted(map(str, finals)) == ["done", "expired"]
    found = boxes(svg)
    assert found["done"][1] == found["expired"][1] > found["paused"][3]


def test_it_is_said_in_words() -> None:
    svg = parsed(diagram(toy.LIFECYCLE, "open", id="one"))
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-labelledby"] == "one-title"
    assert svg.findtext(f"{SVG}title") == "Lifecycle, now open"
    assert svg.findtext(f"{SVG}desc") == sentences(toy.LIFECYCLE)
    assert "From paused, resume leads to open." in sentences(toy.LIFECYCLE)
    assert sentences(toy.LIFECYCLE).endswith("It ends as done or expired.")


def test_a_name_cannot_become_markup_and_nothing_needs_an_exception_from_the_policy() -> None:
    lifecycle = Lifecycle(
        ("<a>", 'b"&'), [Move("create", (), ("member",), ("<a>",)), Move("x<y", ("<a>",), (), ('b"&',))]
    )
    text = diagram(lifecycle, "<a>")
    assert set(boxes(parsed(text))) == {"<a>", 'b"&'}
    for forbidden in ("style", "<script", "<foreignObject", "href", "onload", "url("):
        assert forbidden not in text


def test_moves_that_stay_are_counted_not_drawn() -> None:
    assert staying(toy.LIFECYCLE, "paused") == ("answer", "stop", "invite", "share", "forget")
    svg = parsed(diagram(toy.LIFECYCLE, "open"))
    assert "note" not in [text.text for text in svg.iter(f"{SVG}text")]
    stays = next(text for text in svg.iter(f"{SVG}text") if text.attrib.get("class") == "stays")
    assert [title.text for title in stays] == ["note, ask, stop, invite, share, forget"]
    assert [title.tail for title in stays] == ["6 commands"]


def test_many_verbs_on_one_line_are_cut_short() -> None:
    verbs = [Move(f"way_{number}", ("a",), (), ("b",)) for number in range(6)]
    lifecycle = Lifecycle(("a", "b"), [Move("create", (), ("member",), ("a",)), *verbs])
    texts = [text.text for text in parsed(diagram(lifecycle, "a")).iter(f"{SVG}text")]
    assert {"way 0", "way 1", "and 4 more"} <= set(texts)


def test_mermaid_has_the_same_lines() -> None:
    assert mermaid(toy.LIFECYCLE).splitlines()[:4] == [
        "stateDiagram-v2",
        "    [*] --> open: create",
        "    open --> paused: pause",
        "    paused --> open: resume",
    ]
    named = Lifecycle(("in review",), [Move("create", (), ("member",), ("in review",))])
    assert mermaid(named) == 'stateDiagram-v2\n    state "in review" as in_review\n    [*] --> in_review: create\n'
