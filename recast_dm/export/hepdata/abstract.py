"""What a submission says of itself: what it is, how it was made, and what must be cited."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from recast_dm import __version__, signals
from recast_dm.capsule.citation import reference
from recast_dm.errors import RecastError
from recast_dm.export.scans import Scan

POINTS = "points.csv"
"""What the command calls a file of points that form no grid; the table 'Points of the scan' holds them."""


def text(scan: Scan) -> str:
    """The abstract: plain sentences, each a statement about these numbers."""
    return " ".join(_sentences(scan))


def command(scan: Scan) -> str:
    """The command line that gives these numbers again."""
    document = scan.document
    grid = document.get("grid") or {}
    single = all(len(values) == 1 for values in grid.values())
    adaptive = "evaluations" in (document["contour"] or {})
    words = ["recast-dm", "rerun" if single else "contour" if adaptive else "scan"]
    words += [f"{document['analysis']}.capsule", "--model", document["model"]]
    if grid and not single and not adaptive and len(scan.points) < math.prod(map(len, grid.values())):
        words += ["--points", POINTS]  # no grid: the points stand in the table of that name
        grid = {}
    for name, values in grid.items():
        listed = ",".join(f"{value:g}" for value in values)
        words += ["--set" if single else "--grid", f"{name}={listed}"]
    if adaptive:
        words += ["--budget", str(document["contour"]["budget"])]
    for name, value in document["fixed"].items():
        words += ["--set", f"{name}={value:g}"]
    for name, value in document["overrides"].items():
        words += ["-p", f"{name}={value}"]
    for name in _factors(scan)[:1]:
        words += ["--k-factor", name]
    return shlex.join(words)


def _sentences(scan: Scan) -> Iterator[str]:
    document = scan.document
    named = [reference(kind, str(value)).name for kind, value in document["references"].items()]
    yield (
        f"Reinterpretation of: {document['title']}" + (f" ({', '.join(named)})" if named else "") + f", for the signal "
        f"model {document['model']}" + (f" at {document['order']}" if document["order"] else "") + "."
    )
    yield (
        f"Made with recast-dm {__version__}; these are not results of the collaboration that published the analysis. "
        "Published data, backgrounds and their uncertainties are used as published."
    )
    yield from _counts(scan)
    yield from _treatment(scan)
    yield from _provenance(document)
    yield from _citations(document["model"])


def _counts(scan: Scan) -> Iterator[str]:
    counts = {word: sum(point["status"] == word for point in scan.points) for word in ("done", "not covered", "failed")}
    yield (
        f"{len(scan.points)} points were asked for: {counts['done']} have a limit, {counts['not covered']} are not "
        f"covered by the analysis as preserved, {counts['failed']} failed."
    )
    outside = sum(any(not finding["ok"] for finding in point["validity"]) for point in scan.done)
    if outside:
        yield (
            f"At {outside} of the points with a limit a criterion of the model's validity is not met: the table "
            "'Points of the scan' says which."
        )


def _treatment(scan: Scan) -> Iterator[str]:
    named = sorted({str(point["correlation_model"]) for point in scan.done})
    if named:
        yield f"Correlations of the bins: {', '.join(named)}. Limits are at 95% CL by CLs."
    factor = _factors(scan)
    yield (
        f"K-factors ({', '.join(factor)}) enter the table that names them, and no other."
        if factor
        else "No K-factor was applied."
    )
    check = scan.document["spot_check"]
    if check:
        yield (
            f"{check['points']} points were computed again with {check['reference']}: the largest difference in CLs "
            f"is {check['largest_cls_difference']:.1e}."
        )


def _factors(scan: Scan) -> list[str]:
    """The names of the K-factors that points have: a scan has one or none."""
    return sorted({str(point["k_factor"]["name"]) for point in scan.done if point.get("k_factor")})


def _provenance(document: Mapping[str, Any]) -> Iterator[str]:
    if document["capsule"]:
        yield f"Capsule: sha256:{document['capsule']}."
    images = [f"{image['reference']} ({image['image_id']})" for image in document["images"]]
    if images:
        yield f"Container images: {', '.join(images)}."


def _citations(model: str) -> Iterator[str]:
    try:
        record = signals.find(model).record
    except RecastError:
        return
    cited = ", ".join(f"arXiv:{citation.arxiv}" for citation in record.citations)
    yield f"Signal model: {record.title}, version {record.version}; please cite {cited} and the analysis."
