"""Where the boxes of a graph stand and how the arrows run: layers from top to bottom, boxes within boxes.

A layer holds what needs only earlier layers (longest path). Within a layer, boxes are ordered so that few arrows
cross (barycentres, swept down and up), and stand as near as they can to what they are connected with (isotonic
regression). An arrow over several layers gets a free column in each layer between.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from recast_dm.report.graph import Graph, Group, Item, Node

PAD = 12.0
GAP_X = 22.0
GAP_Y = 40.0
TITLE = 24.0
"""The height of a group's own label."""
LINE = 17.0
CHARACTER = 7.6
"""A generous width of one character at 13 px; half-wide scripts are narrower, East Asian ones twice as wide."""
LONGEST = 44
WIDEST = 1000.0
SWEEPS = 12

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """A node or group with its place: the corner is absolute once the picture is done."""

    item: Item
    width: float
    height: float
    x: float = 0.0
    y: float = 0.0
    inner: tuple[Box, ...] = ()
    arrows: tuple[tuple[Point, ...], ...] = ()

    def moved(self, x: float, y: float) -> Box:
        return replace(
            self,
            x=self.x + x,
            y=self.y + y,
            inner=tuple(box.moved(x, y) for box in self.inner),
            arrows=tuple(tuple((px + x, py + y) for px, py in arrow) for arrow in self.arrows),
        )

    def walk(self) -> Iterator[Box]:
        yield self
        for box in self.inner:
            yield from box.walk()


def layout(graph: Graph) -> Box:
    """The whole picture as one box around everything, its corner at 0, 0."""
    whole = Group(id="", label="", members=graph.items)
    return _Layout(graph.edges, whole).place(whole)


def clipped(text: str) -> str:
    """A line short enough for a box."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def width_of(text: str) -> float:
    return CHARACTER * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


class _Layout:
    def __init__(self, edges: Iterable[tuple[str, str]], whole: Group) -> None:
        self._edges = tuple(edges)
        self._ways: dict[str, tuple[str, ...]] = {}
        self._enter(whole, ())

    def _enter(self, group: Group, way: tuple[str, ...]) -> None:
        """Notes the way to every item, from the outside in."""
        for item in group.members:
            self._ways[item.id] = (*way, item.id)
            if isinstance(item, Group):
                self._enter(item, (*way, item.id))

    def place(self, item: Item) -> Box:
        if isinstance(item, Node):
            lines = (item.label, *item.notes)
            width = max(max(width_of(clipped(line)) for line in lines) + 2 * PAD, 64.0)
            return Box(item, width, LINE * len(lines) + 14.0 + (6.0 if item.steps > 1 else 0.0))
        inner = [self.place(member) for member in item.members]
        return _row(item, inner) if item.row else self._layered(item, inner)

    # --- layers ------------------------------------------------------------------------------------------------------

    def _layered(self, group: Group, boxes: list[Box]) -> Box:
        links = self._links(group)
        layers = _layers([box.item.id for box in boxes], {(link.source[0], link.target[0]) for link in links})
        sheet = _Sheet({box.item.id: box for box in boxes}, layers)
        for source, target in dict.fromkeys((link.source[0], link.target[0]) for link in links):
            sheet.connect(source, target)
        sheet.arrange()
        placed = sheet.boxes()
        drawn = (sheet.arrow(link, placed) for link in links if layers[link.source[0]] < layers[link.target[0]])
        return _around(group, tuple(placed.values()), tuple(dict.fromkeys(drawn)))

    def _links(self, group: Group) -> list[_Link]:
        """The edges between what lies directly in a group, with the ends that they have deeper in rows."""
        depth = len(self._ways[group.id]) if group.id else 0
        here = self._ways[group.id] if group.id else ()
        rows = {member.id: member for member in group.members if isinstance(member, Group) and member.row}
        found: dict[_Link, None] = {}
        for source, target in self._edges:
            left, right = self._ways[source], self._ways[target]
            inside = left[:depth] == here == right[:depth] and len(left) > depth < len(right)
            if inside and left[depth] != right[depth]:
                found[_Link(_end(left[depth:], rows), _end(right[depth:], rows))] = None
        return list(found)


@dataclass(frozen=True, slots=True)
class _Link:
    """An edge between two neighbours in a group; each end may name a member of a row."""

    source: tuple[str, ...]
    target: tuple[str, ...]


def _end(way: Sequence[str], rows: Mapping[str, Group]) -> tuple[str, ...]:
    return tuple(way[:2]) if way[0] in rows and len(way) > 1 else (way[0],)


def _layers(names: Sequence[str], edges: set[tuple[str, str]]) -> dict[str, int]:
    """The longest path to each name. An edge that closes a circle does not count.

    >>> _layers(["a", "b", "c"], {("a", "b"), ("b", "c"), ("a", "c")})
    {'a': 0, 'b': 1, 'c': 2}
    """
    before: dict[str, list[str]] = {name: [] for name in names}
    for source, target in sorted(edges):
        before[target].append(source)
    found: dict[str, int] = {}
    entered: set[str] = set()
    stack = list(reversed(names))
    while stack:
        name = stack[-1]
        waiting = [source for source in before[name] if source not in found and source not in entered]
        if name in found or (name in entered and not waiting):
            stack.pop()
            if name not in found:
                found[name] = max((found[s] + 1 for s in before[name] if s in found), default=0)
            continue
        entered.add(name)
        stack.extend(reversed(waiting))
    return {name: found[name] for name in names}


@dataclass(slots=True)
class _Slot:
    """A place in a layer: of a box, or of an arrow that passes by."""

    width: float
    order: int
    x: float = 0.0
    up: list[_Slot] = field(default_factory=list)
    down: list[_Slot] = field(default_factory=list)


class _Sheet:
    """The layers of one group."""

    def __init__(self, boxes: Mapping[str, Box], layers: Mapping[str, int]) -> None:
        self._boxes = boxes
        self._layer = layers
        self._rows: list[list[_Slot]] = [[] for _ in range(max(layers.values(), default=-1) + 1)]
        self._slots: dict[str, _Slot] = {}
        self._passing: dict[tuple[str, str], list[_Slot]] = {}
        for name, box in boxes.items():
            row = self._rows[layers[name]]
            self._slots[name] = _Slot(box.width, len(row))
            row.append(self._slots[name])
        self._heights = [0.0] * len(self._rows)
        for name, box in boxes.items():
            self._heights[layers[name]] = max(self._heights[layers[name]], box.height)

    def connect(self, source: str, target: str) -> None:
        """An arrow; it gets a slot in each layer that it passes."""
        chain = [self._slots[source]]
        for layer in range(self._layer[source] + 1, self._layer[target]):
            chain.append(_Slot(6.0, len(self._rows[layer])))
            self._rows[layer].append(chain[-1])
        self._passing[source, target] = chain[1:]
        if self._layer[source] < self._layer[target]:
            for upper, lower in pairwise([*chain, self._slots[target]]):
                upper.down.append(lower)
                lower.up.append(upper)

    def arrange(self) -> None:
        """Orders every layer, then gives every slot its x."""
        best, fewest = [list(row) for row in self._rows], self._crossings()
        for sweep in range(SWEEPS):
            downwards = sweep % 2 == 0
            for row in self._rows if downwards else reversed(self._rows):
                row.sort(key=lambda slot: _centre(slot.up if downwards else slot.down, slot))
                for n, slot in enumerate(row):
                    slot.order = n
            if (crossings := self._crossings()) < fewest:
                best, fewest = [list(row) for row in self._rows], crossings
        self._rows = best
        for row in self._rows:
            for n, slot in enumerate(row):
                slot.order = n
        self._spread()

    def _crossings(self) -> int:
        total = 0
        for row in self._rows:
            ends = [(slot.order, lower.order) for slot in row for lower in slot.down]
            ends.sort()
            total += sum(b < d for n, (_, d) in enumerate(ends) for _, b in ends[n + 1 :])
        return total

    def _spread(self) -> None:
        for row in self._rows:
            _stand(row, [0.0] * len(row))
        for sweep in range(SWEEPS):
            downwards = sweep % 2 == 0
            for row in self._rows if downwards else reversed(self._rows):
                wanted = [
                    _mean((slot.up if downwards else slot.down) or [*slot.up, *slot.down], slot.x) for slot in row
                ]
                _stand(row, wanted)
        left = min((slot.x - slot.width / 2 for row in self._rows for slot in row), default=0.0)
        for row in self._rows:
            for slot in row:
                slot.x -= left

    def boxes(self) -> dict[str, Box]:
        """The boxes with their places in the group."""
        found = {}
        for name, box in self._boxes.items():
            layer = self._layer[name]
            y = self._top(layer) + (self._heights[layer] - box.height) / 2
            found[name] = box.moved(self._slots[name].x - box.width / 2, y)
        return found

    def _top(self, layer: int) -> float:
        return sum(self._heights[:layer]) + GAP_Y * layer

    def arrow(self, link: _Link, placed: Mapping[str, Box]) -> tuple[Point, ...]:
        """The points of an arrow: straight down within layers, from side to side only between them."""
        source, target = placed[link.source[0]], placed[link.target[0]]
        start, end = _member(source, link.source), _member(target, link.target)
        first = self._layer[link.source[0]]
        x = start.x + start.width / 2
        points = [(x, start.y + start.height), (x, self._top(first) + self._heights[first])]
        for n, slot in enumerate(self._passing[link.source[0], link.target[0]], first + 1):
            points += [(slot.x, self._top(n)), (slot.x, self._top(n) + self._heights[n])]
        x = end.x + end.width / 2
        return (*points, (x, self._top(self._layer[link.target[0]])), (x, end.y))


def _member(box: Box, way: tuple[str, ...]) -> Box:
    """The box that an arrow ends at: a member of a row that is one line of boxes, else the box itself."""
    found = next((inner for inner in box.inner if inner.item.id == way[-1]), None)
    single = len({inner.y for inner in box.inner}) == 1
    return found if len(way) > 1 and found is not None and single else box


def _centre(neighbours: Sequence[_Slot], slot: _Slot) -> float:
    return sum(n.order for n in neighbours) / len(neighbours) if neighbours else float(slot.order)


def _mean(neighbours: Sequence[_Slot], default: float) -> float:
    return sum(n.x for n in neighbours) / len(neighbours) if neighbours else default


def _stand(row: Sequence[_Slot], wanted: Sequence[float]) -> None:
    """Gives slots in order the x nearest to what they want, without overlap: isotonic regression of what is left."""
    offsets = [0.0]
    for left, right in pairwise(row):
        offsets.append(offsets[-1] + (left.width + right.width) / 2 + GAP_X)
    blocks: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=False):
        mean, count = want - offset, 1
        while blocks and blocks[-1][0] > mean:
            before, number = blocks.pop()
            mean, count = (before * number + mean * count) / (number + count), number + count
        blocks.append((mean, count))
    shifts = [mean for mean, count in blocks for _ in range(count)]
    for slot, shift, offset in zip(row, shifts, offsets, strict=False):
        slot.x = shift + offset


# --- groups ----------------------------------------------------------------------------------------------------------


def _row(group: Group, boxes: list[Box]) -> Box:
    """Boxes beside each other, in as many lines as it takes."""
    if all(isinstance(box.item, Node) for box in boxes):
        widest = max(box.width for box in boxes)
        boxes = [replace(box, width=widest) for box in boxes]
    placed: list[Box] = []
    x = y = tallest = 0.0
    for box in boxes:
        if x and x + box.width > WIDEST:
            x, y, tallest = 0.0, y + tallest + GAP_X / 2, 0.0
        placed.append(box.moved(x, y))
        x, tallest = x + box.width + GAP_X / 2, max(tallest, box.height)
    return _around(group, tuple(placed), ())


def _around(group: Group, boxes: tuple[Box, ...], arrows: tuple[tuple[Point, ...], ...]) -> Box:
    """The group's own box around its members. Arrows may reach further than they do."""
    xs = [*(box.x + box.width for box in boxes), *(x for arrow in arrows for x, _ in arrow)]
    bottom = max((box.y + box.height for box in boxes), default=0.0)
    width = max(max(xs, default=0.0) + 2 * PAD, width_of(clipped(group.label)) + 2 * PAD)
    slack = (width - 2 * PAD - max(xs, default=0.0)) / 2
    title = TITLE if group.label else 0.0
    shift = (PAD + slack, PAD + title)
    inner = tuple(box.moved(*shift) for box in boxes)
    moved = tuple(tuple((x + shift[0], y + shift[1]) for x, y in arrow) for arrow in arrows)
    return Box(group, width, bottom + 2 * PAD + title, inner=inner, arrows=moved)
