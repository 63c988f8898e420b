"""A graph as SVG: no script, no font, no file besides; readable in light and in dark, and by a screen reader."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from recast_dm.report.graph import Graph, Group, Node
from recast_dm.report.layout import LINE, PAD, Box, Point, clipped, layout, width_of

MARGIN = 16.0
HEADING = 30.0
STYLE = """
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1c2530 }
.page { fill: #ffffff }
.heading { font-weight: 600 }
.note { font-size: 12px; fill: #4b5563 }
.box { fill: #ffffff; stroke: #8a94a3; stroke-width: 1.2 }
.group { fill: #6b7c93; fill-opacity: .08; stroke: #8a94a3; stroke-opacity: .7 }
.label { font-weight: 600; font-size: 12px }
.plate { fill: #f3f5f7 }
.arrow { fill: none; stroke: #6b7683; stroke-width: 1.3 }
.head { fill: #6b7683 }
.queued, .pending, .created { stroke-dasharray: 4 3 }
.bar.finished { fill: #2e7d4f }
.bar.running { fill: #1f6fb5 }
.bar.failed { fill: #b3261e }
.bar.stopped { fill: #a06a00 }
.bar.queued, .bar.pending, .bar.created { fill: #aab2bd }
.box.failed { stroke: #b3261e; stroke-width: 2 }
.box.running { stroke: #1f6fb5; stroke-width: 2 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6e9ee }
  .page { fill: #14181d }
  .note { fill: #b3bcc8 }
  .box { fill: #1e242b; stroke: #6f7a88 }
  .plate { fill: #1c2127 }
  .arrow { stroke: #98a3b0 }
  .head { fill: #98a3b0 }
  .bar.finished { fill: #57b381 }
  .bar.running { fill: #5aa5e6 }
  .bar.failed { fill: #f2716a }
  .bar.stopped { fill: #e0a93f }
  .box.failed { stroke: #f2716a }
  .box.running { stroke: #5aa5e6 }
}
"""


def svg(graph: Graph) -> str:
    """The picture of a graph."""
    whole = layout(graph).moved(MARGIN - PAD, MARGIN + HEADING - PAD)
    width = max(whole.width, width_of(graph.heading)) + 2 * (MARGIN - PAD) + PAD
    height = whole.height + 2 * (MARGIN - PAD) + HEADING
    size = f'width="{width:.0f}" height="{height:.0f}"'
    view = f'viewBox="0 0 {width:.0f} {height:.0f}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {view} role="img" aria-labelledby="title desc">',
        f'<title id="title">{_text(graph.heading)}</title>',
        f'<desc id="desc">{_text(graph.description())}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="page" {size}/>',
        f'<text class="heading" x="{MARGIN:.0f}" y="{MARGIN + 12:.0f}">{_text(graph.heading)}</text>',
    ]
    boxes = list(whole.walk())[1:]
    lines += [line for box in boxes if not isinstance(box.item, Node) for line in _group(box)]
    lines += [line for box in whole.walk() for arrow in box.arrows for line in _arrow(arrow)]
    lines += [line for box in boxes if not isinstance(box.item, Node) for line in _label(box)]
    lines += [line for box in boxes if isinstance(box.item, Node) for line in _node(box, box.item)]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _text(text: str) -> str:
    """Text for XML, without the characters that XML has no way to write."""
    return escape("".join(c if c.isprintable() else " " for c in text))


def _rectangle(box: Box, kind: str, radius: int) -> str:
    return (
        f'<rect class={quoteattr(kind)} x="{box.x:.1f}" y="{box.y:.1f}" '
        f'width="{box.width:.1f}" height="{box.height:.1f}" rx="{radius}"/>'
    )


def _group(box: Box) -> Iterator[str]:
    yield _rectangle(box, "group", 8)


def _label(box: Box) -> Iterator[str]:
    label = box.item.label
    if isinstance(box.item, Group) and box.item.row:  # arrows to its members pass here
        yield (
            f'<rect class="plate" x="{box.x + PAD - 3:.1f}" y="{box.y + 6:.1f}" '
            f'width="{width_of(clipped(label)) + 6:.1f}" height="19"/>'
        )
    yield (
        f'<text class="label" x="{box.x + PAD:.1f}" y="{box.y + 20:.1f}">'
        f"<title>{_text(box.item.id)}</title>{_text(clipped(label))}</text>"
    )


def _node(box: Box, node: Node) -> Iterator[str]:
    state = node.state or ""
    whole = "\n".join((node.id, node.label, *node.notes))
    yield f"<g><title>{_text(whole)}</title>"
    yield _rectangle(box, f"box {state}".strip(), 5)
    if node.steps == 1:
        yield _bar(state, box.x + 1, box.y + 5, 4, box.height - 10)
    elif node.steps:
        yield from _shares(box, node)
    middle = box.x + box.width / 2
    for n, line in enumerate((node.label, *node.notes)):
        place = f'x="{middle:.1f}" y="{box.y + 19 + n * LINE:.1f}" text-anchor="middle"'
        kind = ' class="note"' if n else ""
        yield f"<text{kind} {place}>{_text(clipped(line))}</text>"
    yield "</g>"


def _bar(state: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="bar {state}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"/>'


def _shares(box: Box, node: Node) -> Iterator[str]:
    """How many steps are in which state, as the parts of one bar along the bottom."""
    x, whole = box.x + 5, box.width - 10
    for state, number in node.states.items():
        part = whole * number / node.steps
        yield _bar(state, x, box.y + box.height - 8, part, 4)
        x += part


def _arrow(points: Sequence[Point]) -> Iterator[str]:
    """Straight down where a box could be beside it, a smooth bend from layer to layer; then the head."""
    (x, y), *rest = points
    words = [f"M{x:.1f} {y:.1f}"]
    for n, (to_x, to_y) in enumerate(rest):
        end = to_y - 6 if n == len(rest) - 1 else to_y
        half = (y + to_y) / 2
        words.append(
            f"V{end:.1f}" if abs(x - to_x) < 0.5 else f"C{x:.1f} {half:.1f} {to_x:.1f} {half:.1f} {to_x:.1f} {to_y:.1f}"
        )
        x, y = to_x, to_y
    yield f'<path class="arrow" d="{" ".join(words)}"/>'
    yield f'<path class="head" d="M{x - 4:.1f} {y - 7:.1f}L{x + 4:.1f} {y - 7:.1f}L{x:.1f} {y:.1f}Z"/>'
