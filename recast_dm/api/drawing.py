"""Figures of results, and the pictures that go with what is published."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from recast_dm.api.opening import catalogue
from recast_dm.api.results import Limit, Scan
from recast_dm.errors import UsageError
from recast_dm.export.scans import Picture

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from recast_dm.spec.analysis import Statistics

DPI = 150


def spectrum(found: Limit) -> Figure:
    """The spectrum that a limit was set on: data, background, signal. Raises UsageError where there is none to see."""
    from recast_dm.engine import history
    from recast_dm.report import likelihood
    from recast_dm.report import spectrum as spectra

    if found.directory is None:
        raise UsageError("the run directory of this limit is not here", hint="`recast_dm.read` takes a run directory")
    held = likelihood.of_run(history.read(found.directory), _statistics(found))
    if held is None:
        hint = "a run has a spectrum when its one limit step gets a pyhf workspace and a patch"
        raise UsageError(f"{found.directory} has no spectrum", hint=hint)
    point = ", ".join(f"{name}={value:g}" for name, value in found.parameters.items())
    title, label = str(found.document.get("title", found.document["analysis"])), f"{found.document['model']}: {point}"
    figure: Figure = spectra.figure(held.spectrum(), held.observable, title, label)
    return figure


def _statistics(found: Limit) -> Statistics | None:
    """What the analysis says of its likelihood: the one that was run, or the capsule where it is known."""
    from recast_dm.report import originals

    if found.of is not None and found.of.subject.analysis is not None:
        return found.of.subject.analysis.statistics
    original = originals.find(found.document["capsule"], catalogue)
    return original.statistics if original else None


def pictures(scan: Scan) -> tuple[Picture, ...]:
    """The figure of a scan of one or two axes, for a submission; none of a scan of more, or without any limit."""
    axes = [name for name, values in scan.document["grid"].items() if len(values) > 1]
    if not scan.done or len(axes) not in (1, 2):
        return ()
    kind = "limit" if len(axes) == 1 else "plane"
    drawn = io.BytesIO()
    scan.plot(kind).savefig(drawn, dpi=DPI, format="png")
    caption = f"{scan.document['model']}: " + ("upper limits" if kind == "limit" else "excluded region")
    return (Picture(name=kind, caption=f"{caption} in {', '.join(axes)}", png=drawn.getvalue()),)
