"""Where the numbers come from: the capsule and its digest, images, keys, git, and the commands that check all of it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm import __version__
from recast_dm.report.html.elements import Child, Element, h
from recast_dm.report.html.material import Material, digest
from recast_dm.report.html.tables import facts, note, table, value
from recast_dm.report.scan import Scan
from recast_dm.runtimes import lacking

MOST_KEYS = 300


def origin(material: Material) -> Element:
    """Capsule, source, machine."""
    rows: list[tuple[str, Child]] = [("report of", h("code", material.source)), ("made by", f"recast-dm {__version__}")]
    found = digest(material)
    rows.append(("capsule", h("code", f"sha256:{found}") if found else "none: an analysis directory, not preserved"))
    if material.original is not None:
        rows += _source(material.original.manifest.get("source") or {})
    if material.run is not None:
        about = material.run.about
        rows += [
            (name, str(about[key]))
            for name, key in (("run", "id"), ("runtime", "runtime"), ("started", "started"))
            if about.get(key)
        ]
    if material.captured is not None:
        keys = ("time", "recast_dm", "platform", "runtime")
        rows += [(f"captured: {key}", value(material.captured[key])) for key in keys if material.captured.get(key)]
    return facts(rows)


def isolation(material: Material) -> Child:
    """What started the containers, and what of a closed container they were not given."""
    seen = dict.fromkeys(
        (f"{runtime['name']} {runtime['version']}", ", ".join(lacking(runtime["isolation"])))
        for record in material.records.values()
        if (runtime := record["execution"].get("runtime"))
    )
    if not seen:
        return None
    return facts(
        [(f"started by {name}", f"weaker: {less}" if less else "closed, with every limit") for name, less in seen]
    )


def _source(source: Mapping[str, Any]) -> list[tuple[str, Child]]:
    rows: list[tuple[str, Child]] = []
    if source.get("commit"):
        rows.append(("git commit", h("code", str(source["commit"]))))
    if source.get("swhid"):
        rows.append(("Software Heritage id", h("code", str(source["swhid"]))))
    if source.get("dirty"):
        rows.append(("not committed", value(source["dirty"])))
    return rows


def images(found: tuple[Mapping[str, Any], ...]) -> Child:
    """The images by their ids. The layers are the identity: they survive every conversion."""
    if not found:
        return note("Nothing ran in a container.")
    return [
        h(
            "details",
            h("summary", str(image["reference"]), h("small", f" {image['platform']}")),
            facts(
                [
                    ("image id", h("code", str(image["image_id"]))),
                    ("registry digest", h("code", str(image["registry_digest"] or "none: built here"))),
                    ("layers", [h("code", layer, class_="line") for layer in image["diff_ids"]]),
                ]
            ),
        )
        for image in found
    ]


def keys(material: Material) -> Child:
    """The key of every step: equal keys are equal work."""
    if not material.records:
        return None
    listed = list(material.records.items())[:MOST_KEYS]
    rows: list[list[Child]] = [[str(step), h("code", str(record["key"]))] for step, record in listed]
    more = len(material.records) - len(listed)
    left = note(f"{more} more are in the run directory.") if more else None
    return h(
        "details",
        h("summary", "Step keys", h("small", f" {len(material.records)} steps")),
        table(("step", "key"), rows),
        left,
    )


def commands(material: Material) -> Child:
    """What to type to check the capsule, and to get the numbers again."""
    found = digest(material)
    if found is None:
        return note(
            "This was made from an analysis directory. `recast-dm capture` makes a capsule that can be verified."
        )
    capsule = shlex.quote(Path(material.original.path).name if material.original else f"{material.name}.capsule")
    lines = [f"recast-dm verify {capsule} --digest sha256:{found} --rerun"]
    lines += _again(material, capsule)
    return h("pre", "\n".join(lines), class_="command")


def _again(material: Material, capsule: str) -> list[str]:
    if material.scan is not None:
        return _scan_again(material.scan, capsule)
    run = material.run
    if material.kind == "run" and run is not None and run.about.get("model"):
        words = [_set(name, number) for name, number in (run.about.get("parameters") or {}).items()]
        return [f"recast-dm rerun {capsule} --model {shlex.quote(str(run.about['model']))} {' '.join(words)}"]
    return []


def _scan_again(scan: Scan, capsule: str) -> list[str]:
    """The scan, and for a rescaled one the step from its couplings to these."""
    grid = [f"--grid {shlex.quote(name + '=' + ','.join(f'{v:g}' for v in vs))}" for name, vs in scan.axes.items()]
    before = (scan.document.get("rescaled") or {}).get("from")
    here = [_set(name, number) for name, number in scan.at.items()]
    if before is None:
        return [f"recast-dm scan {capsule} --model {shlex.quote(scan.model)} {' '.join((*grid, *here))}"]
    known = before.get("fixed", {})
    first = [each for name, each in zip(scan.axes, grid, strict=True) if name not in known]
    then = [each for name, each in zip(scan.axes, grid, strict=True) if name in known]
    then += [_set(name, number) for name, number in scan.at.items() if number != known.get(name)]
    there = [_set(name, number) for name, number in known.items()]
    return [
        f"recast-dm scan {capsule} --model {shlex.quote(str(before['model']))} {' '.join((*first, *there))}",
        f"recast-dm rescale build/runs/latest --model {shlex.quote(scan.model)} {' '.join(then)}",
    ]


def _set(name: str, number: Any) -> str:
    return f"--set {shlex.quote(f'{name}={value(number)}')}"
