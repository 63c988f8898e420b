"""Everything that is known of one thing, as `recast-dm catalogue describe` shows it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recast_dm.cli import view
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.capsule.catalogue.about import Details
    from recast_dm.capsule.catalogue.listing import Listed


def rows(thing: Listed, told: Details | None) -> list[tuple[str, str]]:
    """What to show, without what is not known. `told` is what can be read where it lies."""
    what = thing.about
    found = [
        ("name", what.name),
        ("title", what.title),
        ("kind", what.kind),
        *(
            ("place", f"{place.shown} ({place.state}{f': {place.reason}' if place.reason else ''})")
            for place in thing.places
        ),
        ("digest", what.digest or ""),
        ("size", "" if what.size is None else view.size(what.size)),
        *what.references.items(),
        *(_detailed(told) if told else ()),
    ]
    return [row for row in found if row[1]]


def _detailed(told: Details) -> Iterator[tuple[str, str]]:
    yield "authors", ", ".join(told.authors)
    if told.signal:
        yield "signal", str(told.signal["format"])
        for parameter, source in told.signal["init"].items():
            yield "", f"{parameter} = {source}"
    for name, example in told.examples.items():
        initdata = example.get("initdata") if isinstance(example, dict) else None
        yield "example", f"{name}: {', '.join(initdata or ())}"
    for image in told.images:
        size = "" if image["size"] is None else f"  {view.size(image['size'])}"
        layers = "" if image["layers"] is None else f"  {image['layers']} layer{'s' * (image['layers'] != 1)}"
        yield "image", f"{image['reference']}{layers}{size}"
    yield "stages", ", ".join(told.stages or ())
    for name, path in told.results.items():
        yield "result", f"{name}: {path}"
    for point in told.closure:
        yield "closure", f"{_point(point)}: {point.get('quantity')} = {point.get('published')} ({point.get('source')})"
    if told.on_server:
        yield "note", "its workflow lies on a server, and is fetched when it is used"
    for note in told.notes:
        yield "note", note


def _point(point: Mapping[str, Any]) -> str:
    return f"{point.get('model')} {', '.join(f'{key}={value}' for key, value in _values(point))}"


def _values(point: Mapping[str, Any]) -> list[tuple[str, Any]]:
    values = point.get("parameters")
    return list(values.items()) if isinstance(values, dict) else []


def commands(known: Sequence[Listed], thing: Listed, told: Details | None) -> list[str]:
    """How to run it, to be pasted: under the model of a published point, or of an example, where there is one."""
    if told is None:
        return []
    name = _name(known, thing)
    examples = [each["signal"] for each in told.examples.values() if isinstance(each, dict) and "signal" in each]
    points: Sequence[Any] = [each for each in (*told.closure, *examples) if isinstance(each, dict) and "model" in each]
    found = [shlex.join(["recast-dm", "run", name, *(["--allow-remote"] if told.on_server else [])])]
    if told.signal and points:
        settings = [word for key, value in _values(points[0]) for word in ("--set", f"{key}={value}")]
        found.append(shlex.join(["recast-dm", "rerun", name, "--model", str(points[0]["model"]), *settings]))
    return found


def _name(known: Sequence[Listed], thing: Listed) -> str:
    """What it can be called by: its name, where that means no other."""
    from recast_dm.capsule.catalogue import listing

    try:
        named = listing.find(known, thing.about.name)
    except UsageError:
        return thing.best.place
    return thing.about.name if named is thing else thing.best.place
