"""`recast-dm diff`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, explain, options, view
from recast_dm.errors import IntegrityError

if TYPE_CHECKING:
    from recast_dm.capsule.comparison.compare import Agreement
    from recast_dm.capsule.difference import Difference, ImageChange, Side, ValueChange

HELP = "A capsule, a run directory, or a name below build/runs."
First = Annotated[Path, typer.Argument(metavar="A", help=HELP)]
Second = Annotated[Path, typer.Argument(metavar="B", help=HELP)]


def diff(first: First, second: Second, json: options.Json = False) -> None:
    """Say what is other in one capsule or run than in another, and whether their outputs agree.

    Outputs are compared by the rules in recast.yml; one that does not agree is exit code 5.

    \b
    Examples:
      recast-dm diff build/runs/before build/runs/latest
      recast-dm diff old.capsule new.capsule --json
    """
    from recast_dm.capsule import difference

    found = difference.difference(_side(first), _side(second))
    if json:
        view.document(document(found))
    else:
        view.out("\n\n".join(_sections(found)))
    if found.agrees is False:
        raise typer.Exit(IntegrityError.exit_code)


def _side(word: Path) -> Side:
    from recast_dm.capsule import difference

    found = chosen.capsule(word)
    return difference.of_capsule(found) if found else difference.of_run(chosen.run(word))


# --- for people ------------------------------------------------------------------------------------------------------


def _sections(found: Difference) -> Iterator[str]:
    yield view.table(
        (name, side.kind, str(side.path), side.id[:12], side.run.state if side.run else "")
        for name, side in _sides(found)
    )
    yield from _values(found.about, "about")
    if found.stages:
        yield view.table(((stage.name, stage.change) for stage in found.stages), head=("stage", "change"))
    if found.workflow:
        yield "\n".join(found.workflow)
    yield from (_image(image, found.sizes) for image in found.images)
    if found.inputs:
        yield view.table(((file.path, file.change) for file in found.inputs), head=("file", "change"))
    yield from _values(found.rules, "rule")
    if found.steps:
        yield view.table(((step.name, step.change) for step in found.steps), head=("step", "change"))
    for root in found.causes:
        yield "\n".join([f"other work began at {root.step}", *explain.changes(root)])
    yield from _results(found)


def _sides(found: Difference) -> tuple[tuple[str, Side], ...]:
    return (("first", found.first), ("second", found.second))


def _values(changes: tuple[ValueChange, ...], what: str) -> Iterator[str]:
    if changes:
        rows = [(each.name, explain.short(each.before), explain.short(each.after)) for each in changes]
        yield view.table(rows, head=(what, "first", "second"))


def _image(image: ImageChange, sizes: Mapping[str, int]) -> str:
    parts = (("common", image.common), ("removed", image.removed), ("added", image.added))
    rows = [(f"  {what}", layer[:19], _size(sizes.get(layer))) for what, layers in parts for layer in layers]
    config = [
        (f"  {each.name}", f"{explain.short(each.before)} → {explain.short(each.after)}") for each in image.config
    ]
    tables = [view.table(each) for each in (rows, config) if each]
    return "\n".join([f"image {image.reference}: {image.change}", *tables])


def _size(size: int | None) -> str:
    """Bytes for people.

    >>> _size(1234), _size(29_123_456), _size(None)
    ('1.2 kB', '29.1 MB', '')
    """
    if size is None:
        return ""
    return f"{size / 1e3:.1f} kB" if size < 1e6 else f"{size / 1e6:.1f} MB"


def _results(found: Difference) -> Iterator[str]:
    if found.results is None:
        bare = " and ".join(name for name, side in _sides(found) if side.outputs is None)
        yield f"outputs are not compared: the {bare} holds none"
        return
    head = ("output", "compared", "agrees", "measure", "bound", "")
    yield view.table(map(agreement, found.results), head=head)
    agreed = sum(result.agrees for result in found.results)
    yield f"{agreed} of {len(found.results)} outputs agree" if agreed else "no output agrees"


def agreement(result: Agreement) -> tuple[str, ...]:
    """A row of the table of what agrees, and by how much."""
    measure = result.measure if isinstance(result.measure, str) else view.number(result.measure)
    sign = "at least" if result.rule.compare == "histogram" else "at most"
    bound = "" if result.bound is None else f"{sign} {view.number(result.bound)}"
    return (result.path, result.rule.compare, "yes" if result.agrees else "NO", measure, bound, result.detail)


# --- the document ----------------------------------------------------------------------------------------------------


def document(found: Difference) -> dict[str, Any]:
    """What is other (schema `recast-dm/diff/1`)."""
    return {
        "schema": "recast-dm/diff/1",
        **{name: {"kind": side.kind, "path": str(side.path), "id": side.id} for name, side in _sides(found)},
        "agrees": found.agrees,
        "about": [_value(change) for change in found.about],
        "stages": [{"stage": stage.name, "change": stage.change} for stage in found.stages],
        "workflow": "".join(f"{line}\n" for line in found.workflow),
        "images": [_image_document(image, found.sizes) for image in found.images],
        "inputs": [{"path": file.path, "change": file.change} for file in found.inputs],
        "rules": [_value(change) for change in found.rules],
        "steps": [{"step": step.name, "change": step.change} for step in found.steps],
        "causes": [
            {"step": str(root.step), "changes": [explain.change_document(change) for change in root.changes]}
            for root in found.causes
        ],
        "results": None if found.results is None else [result.document() for result in found.results],
    }


def _value(change: ValueChange) -> dict[str, Any]:
    return {"name": change.name, "before": change.before, "after": change.after}


def _image_document(image: ImageChange, sizes: Mapping[str, int]) -> dict[str, Any]:
    layers = {"common": image.common, "removed": image.removed, "added": image.added}
    return {
        "reference": image.reference,
        "change": image.change,
        **{what: [{"diff_id": layer, "size": sizes.get(layer)} for layer in each] for what, each in layers.items()},
        "config": [_value(change) for change in image.config],
    }
