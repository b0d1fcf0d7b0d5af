"""A kind's lifecycle as a picture: SVG for pages, Mermaid text for documents.

States stand in rows, creation at the top and the ends at the bottom; this stays readable in a narrow column, which a
picture from left to right does not. The words on the lines take part in the layout as if they were states, so that they
overlap nothing. A move that stays in its state is no line: the state says how many such commands it has. The SVG has
classes only: colours come from the stylesheet.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from html import escape
from itertools import pairwise

from ..core.actor import SYSTEM
from ..core.lifecycle import GONE, Lifecycle

START = ""
_STATE_HEIGHT, _STAY_HEIGHT, _LINE, _GAP, _ROW_GAP, _MARGIN, _ARROW = 34.0, 13.0, 14.0, 14.0, 15.0, 8.0, 6.0
_LETTER, _SMALL_LETTER = 7.6, 6.4
_LABEL_LINES = 3
_SWEEPS = 30
_STRAIGHT = 8  # how much more a long line likes to go straight down than to stand near its states


@dataclass(frozen=True)
class Edge:
    """A line from one state to another, and the verbs that lead along it."""

    source: str
    target: str
    verbs: tuple[str, ...]


@dataclass
class _Node:
    """Something with a place: a state, the words on a line, or a point a long line passes."""

    name: str
    row: int
    width: float
    height: float
    lines: tuple[str, ...] = ()
    is_state: bool = False
    x: float = 0.0
    y: float = 0.0
    above: list[_Node] = field(default_factory=list)
    below: list[_Node] = field(default_factory=list)


@dataclass(frozen=True)
class _Route:
    """The nodes an edge passes, from the top down; `up` when it leads the other way."""

    edge: Edge
    nodes: tuple[_Node, ...]
    up: bool


def words(name: str) -> str:
    """A name as people read it."""
    return name.replace("_", " ")


def edges(lifecycle: Lifecycle) -> tuple[Edge, ...]:
    """The moves to another state, one edge for each pair; `START` is where sessions come from. Erasure is not drawn."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for move in lifecycle.moves:
        for source in move.source or (START,):
            for target in move.target:
                if target not in (source, GONE):
                    found[source, target].append(move.verb)
    return tuple(Edge(source, target, tuple(verbs)) for (source, target), verbs in found.items())


def staying(lifecycle: Lifecycle, state: str) -> tuple[str, ...]:
    """The verbs that may leave a state as it is."""
    return tuple(move.verb for move in lifecycle.open(state) if state in move.reaches(state))


@lru_cache(maxsize=512)
def diagram(lifecycle: Lifecycle, state: str, *, verbs: tuple[str, ...] = (), id: str = "lifecycle") -> str:
    """The lifecycle as SVG, `state` lit, and lit the lines that one of `verbs` leads along from there.

    `id` begins the ids inside; it differs when a page has two diagrams.
    """
    states, routes = _graph(lifecycle)
    rows = _rows(states.values(), routes)
    _order(rows)
    _place(rows)
    width = max(node.x + node.width / 2 for row in rows for node in row) + _MARGIN
    height = max(node.y + node.height / 2 for row in rows for node in row) + _MARGIN
    drawn = [
        *_lines(routes, state, verbs),
        *(_state(lifecycle, node, lit=name == state) for name, node in states.items()),
    ]
    now = f", now {words(state)}" if state else ""
    return (
        f'<svg class="lifecycle" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" role="img"'
        f' aria-labelledby="{escape(id)}-title" aria-describedby="{escape(id)}-desc">'
        f'<title id="{escape(id)}-title">Lifecycle{escape(now)}</title>'
        f'<desc id="{escape(id)}-desc">{escape(sentences(lifecycle))}</desc>{"".join(drawn)}</svg>'
    )


def sentences(lifecycle: Lifecycle) -> str:
    """The picture in words, for those who cannot see it."""
    said = []
    for edge in edges(lifecycle):
        verbs = ", ".join(words(verb) for verb in edge.verbs)
        if edge.source == START:
            said.append(f"A session starts as {words(edge.target)}.")
        else:
            said.append(f"From {words(edge.source)}, {verbs} leads to {words(edge.target)}.")
    if lifecycle.final:
        said.append(f"It ends as {' or '.join(words(name) for name in lifecycle.states if name in lifecycle.final)}.")
    return " ".join(said)


def mermaid(lifecycle: Lifecycle) -> str:
    """The lifecycle as a Mermaid state diagram."""
    names = {state: re.sub(r"\W", "_", state) for state in lifecycle.states} | {START: "[*]"}
    lines = ["stateDiagram-v2"]
    lines += [f'    state "{state}" as {name}' for state, name in names.items() if state and state != name]
    for edge in edges(lifecycle):
        lines.append(f"    {names[edge.source]} --> {names[edge.target]}: {', '.join(edge.verbs)}")
    for state in lifecycle.states:
        if stay := staying(lifecycle, state):
            lines.append(f"    {names[state]} --> {names[state]}: {', '.join(stay)}")
    lines += [f"    {names[state]} --> [*]" for state in lifecycle.states if state in lifecycle.final]
    return "\n".join(lines) + "\n"


# From a table to rows


def _graph(lifecycle: Lifecycle) -> tuple[Mapping[str, _Node], list[_Route]]:
    """The states with their rows, and each edge as the nodes it passes."""
    known = edges(lifecycle)
    turned = _turned(lifecycle, known)
    depth = _depths(lifecycle, [(e.target, e.source) if e in turned else (e.source, e.target) for e in known])
    states = {START: _Node(START, 0, 12, 12, is_state=True)}
    for name in lifecycle.states:
        width = max(84.0, len(name) * _LETTER + 28)
        stay = _STAY_HEIGHT if staying(lifecycle, name) else 0.0
        states[name] = _Node(name, 2 * depth[name], width, _STATE_HEIGHT + stay, is_state=True)
    return states, [_route(states, edge, up=edge in turned) for edge in known]


def _turned(lifecycle: Lifecycle, known: Collection[Edge]) -> set[Edge]:
    """The edges that lead back up: without them there is no circle."""
    ways = defaultdict(list)
    for edge in known:
        ways[edge.source].append(edge)
    back: set[Edge] = set()
    done: set[str] = set()
    path = [(START, iter(ways[START]))]
    while path:
        name, rest = path[-1]
        for edge in rest:
            if any(edge.target == above for above, _ in path):
                back.add(edge)
            elif edge.target not in done:
                path.append((edge.target, iter(ways[edge.target])))
                break
        else:
            done.add(name)
            path.pop()
    return back


def _depths(lifecycle: Lifecycle, ways: Collection[tuple[str, str]]) -> dict[str, int]:
    """How far below the start each state stands: below everything that leads to it, the ends all at the bottom."""
    depth = dict.fromkeys((START, *lifecycle.states), 0)
    for _ in depth:
        for source, target in ways:
            depth[target] = max(depth[target], depth[source] + 1)
    leaving = {source for source, _ in ways}
    bottom = max(depth.values())
    return {name: bottom if name in lifecycle.final and name not in leaving else at for name, at in depth.items()}


def _route(states: Mapping[str, _Node], edge: Edge, *, up: bool) -> _Route:
    first, last = states[edge.source], states[edge.target]
    top, bottom = (last, first) if up else (first, last)
    lines = () if edge.source == START else _wrapped([words(verb) for verb in edge.verbs])
    middle = []
    for row in range(top.row + 1, bottom.row):
        said = lines if row == top.row + 1 else ()
        width = max(map(len, said)) * _SMALL_LETTER + 6 if said else 8.0
        middle.append(_Node("", row, width, _LINE * len(said) if said else 0.0, said))
    nodes = (top, *middle, bottom)
    for above, below in pairwise(nodes):
        above.below.append(below)
        below.above.append(above)
    return _Route(edge, nodes, up)


def _wrapped(verbs: list[str]) -> tuple[str, ...]:
    """The words on a line: one verb below the other, and how many more there are."""
    if len(verbs) <= _LABEL_LINES:
        return tuple(verbs)
    return (*verbs[: _LABEL_LINES - 1], f"and {len(verbs) - _LABEL_LINES + 1} more")


def _rows(states: Collection[_Node], routes: Collection[_Route]) -> list[list[_Node]]:
    rows: dict[int, list[_Node]] = defaultdict(list)
    for node in states:
        rows[node.row].append(node)
    for route in routes:
        for node in route.nodes[1:-1]:
            rows[node.row].append(node)
    return [rows[row] for row in sorted(rows)]


def _order(rows: list[list[_Node]]) -> None:
    """Put what belongs together beside each other, so that lines cross little; the best of some sweeps stays."""
    best, kept = _crossings(rows), [list(row) for row in rows]
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for at in range(1, len(rows)) if down else range(len(rows) - 2, -1, -1):
            place = {id(node): index for row in rows for index, node in enumerate(row)}

            def middle(node: _Node, down: bool = down, place: dict[int, int] = place) -> float:
                near = node.above if down else node.below
                return sum(place[id(other)] for other in near) / len(near) if near else float(place[id(node)])

            rows[at].sort(key=middle)
        if (crossings := _crossings(rows)) < best:
            best, kept = crossings, [list(row) for row in rows]
    for row, names in zip(rows, kept, strict=True):
        row[:] = names


def _crossings(rows: list[list[_Node]]) -> int:
    """How many pairs of lines cross between neighbouring rows."""
    count = 0
    for upper, lower in pairwise(rows):
        place = {id(node): index for index, node in enumerate(lower)}
        ends = [(index, place[id(below)]) for index, node in enumerate(upper) for below in node.below]
        count += sum((a - c) * (b - d) < 0 for at, (a, b) in enumerate(ends) for c, d in ends[:at])
    return count


def _place(rows: list[list[_Node]]) -> None:
    """Where everything stands: near its neighbours, in its row's order, with room between."""
    for row in rows:
        _spread(row, [0.0] * len(row))
    for sweep in range(_SWEEPS):
        for row in rows if sweep % 2 == 0 else reversed(rows):
            _spread(row, [_wish(node) for node in row])
    left = min(node.x - node.width / 2 for row in rows for node in row) - _MARGIN
    y = _MARGIN
    for row in rows:
        height = max(node.height for node in row)
        for node in row:
            node.x -= left
            node.y = y + height / 2
        y += height + _ROW_GAP


def _wish(node: _Node) -> float:
    """Where a node would like to stand: amid its neighbours, and a long line most of all below itself."""
    near = [(other.x, 1 if node.is_state or other.is_state else _STRAIGHT) for other in (*node.above, *node.below)]
    weight = sum(pull for _, pull in near)
    return sum(x * pull for x, pull in near) / weight if weight else node.x


def _spread(row: list[_Node], wishes: list[float]) -> None:
    """Give each node its wish as far as its neighbours leave room, pushing both ways alike."""
    right, left = list(wishes), list(wishes)
    for at in range(1, len(row)):
        room = (row[at - 1].width + row[at].width) / 2 + _GAP
        right[at] = max(right[at], right[at - 1] + room)
        left[-at - 1] = min(left[-at - 1], left[-at] - (row[-at - 1].width + row[-at].width) / 2 - _GAP)
    for node, most, least in zip(row, right, left, strict=True):
        node.x = (most + least) / 2


# From rows to SVG


def _lines(routes: Collection[_Route], state: str, verbs: Collection[str]) -> list[str]:
    """Every edge: its curve, its head, its words."""
    ports = _ports(routes)
    drawn, said = [], []
    for route in routes:
        top, *middle, bottom = route.nodes
        start = (ports[id(route), "top"], top.y + top.height / 2)
        end = (ports[id(route), "bottom"], bottom.y - bottom.height / 2)
        open_here = route.edge.source == state and any(verb in verbs for verb in route.edge.verbs)
        lit = " lit" if open_here else ""
        points = [start, *((node.x, node.y) for node in middle), end]
        drawn.append(f'<path class="edge{lit}" d="{_curve(points, up=route.up)}"/>')
        drawn.append(f'<path class="arrow{lit}" d="{_head(start if route.up else end, up=route.up)}"/>')
        for node in middle:
            said += [_word(line, node, at, lit) for at, line in enumerate(node.lines)]
    return drawn + said


def _word(line: str, node: _Node, at: int, lit: str) -> str:
    y = node.y + _LINE * (at - (len(node.lines) - 1) / 2) + 4
    return f'<text class="verb{lit}" x="{_n(node.x)}" y="{_n(y)}" text-anchor="middle">{escape(line)}</text>'


def _ports(routes: Collection[_Route]) -> dict[tuple[int, str], float]:
    """Where on its states' edges each line begins and ends: side by side, in the order of what they lead to."""
    sides: dict[tuple[int, str], list[tuple[float, _Route]]] = defaultdict(list)
    for route in routes:
        sides[id(route.nodes[0]), "top"].append((route.nodes[1].x, route))
        sides[id(route.nodes[-1]), "bottom"].append((route.nodes[-2].x, route))
    found = {}
    for (_, side), ends in sides.items():
        ends.sort(key=lambda end: end[0])
        for at, (_, route) in enumerate(ends):
            node = route.nodes[0 if side == "top" else -1]
            step = min(22.0, (node.width - 20) / len(ends)) if node.name else 0.0
            found[id(route), side] = node.x + (at - (len(ends) - 1) / 2) * step
    return found


def _curve(points: list[tuple[float, float]], *, up: bool) -> str:
    """A line that leaves and arrives upright, and passes each point upright."""
    points = list(points)
    at = 0 if up else -1
    x, y = points[at]
    points[at] = (x, y + _ARROW if up else y - _ARROW)
    parts = [f"M{_n(points[0][0])} {_n(points[0][1])}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        half = (y0 + y1) / 2
        parts.append(f"C{_n(x0)} {_n(half)} {_n(x1)} {_n(half)} {_n(x1)} {_n(y1)}")
    return "".join(parts)


def _head(point: tuple[float, float], *, up: bool) -> str:
    x, y = point
    back = y + _ARROW + 1 if up else y - _ARROW - 1
    return f"M{_n(x)} {_n(y)}L{_n(x - 4)} {_n(back)}L{_n(x + 4)} {_n(back)}Z"


def _state(lifecycle: Lifecycle, node: _Node, *, lit: bool) -> str:
    if not node.name:
        return f'<circle class="start" cx="{_n(node.x)}" cy="{_n(node.y)}" r="6"/>'
    final = node.name in lifecycle.final
    classes = "state" + (" final" if final else "") + (" lit" if lit else "")
    left, top = node.x - node.width / 2, node.y - node.height / 2
    stay = [verb for verb in staying(lifecycle, node.name) if lifecycle.move(node.name, verb).roles != (SYSTEM,)]
    size = f'width="{_n(node.width)}" height="{_n(node.height)}"'
    parts = [f'<g class="{classes}"><rect x="{_n(left)}" y="{_n(top)}" {size} rx="8"/>']
    if final:
        parts.append(
            f'<rect class="inner" x="{_n(left + 3)}" y="{_n(top + 3)}" width="{_n(node.width - 6)}"'
            f' height="{_n(node.height - 6)}" rx="6"/>'
        )
    label = top + _STATE_HEIGHT / 2 + 4.5
    parts.append(f'<text x="{_n(node.x)}" y="{_n(label)}" text-anchor="middle">{escape(words(node.name))}</text>')
    if stay:
        count = "1 command" if len(stay) == 1 else f"{len(stay)} commands"
        parts.append(
            f'<text class="stays" x="{_n(node.x)}" y="{_n(label + _STAY_HEIGHT)}" text-anchor="middle">'
            f"<title>{escape(', '.join(words(verb) for verb in stay))}</title>{count}</text>"
        )
    return "".join(parts) + "</g>"


def _n(value: float) -> str:
    """A coordinate, short."""
    return f"{value:.1f}".removesuffix(".0")
