"""Capturing an analysis together with what it gives: the reference run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from recast_dm.backends import Backend
from recast_dm.capsule.capture import Reference
from recast_dm.capsule.comparison.outputs import named
from recast_dm.engine import events
from recast_dm.engine.execute import Finished
from recast_dm.errors import StepFailed
from recast_dm.images.layout import Stored
from recast_dm.model import StepId
from recast_dm.reinterpret.outputs import Outputs
from recast_dm.reinterpret.rerun import run
from recast_dm.reinterpret.subject import Subject, of_analysis
from recast_dm.spec.analysis import Analysis, rules_of


def reference_run(
    analysis: Analysis,
    initdata: Mapping[str, Any],
    images: tuple[Stored, ...],
    backend: Backend,
    directory: Path,
    observer: events.Observer,
) -> Callable[[Path], Reference]:
    """What makes the reference run of a capture, with the images that the capsule is to hold and no others."""

    def perform(layout: Path) -> Reference:
        subject = replace(
            of_analysis(analysis, initdata),
            pinned={each.image.reference: each.image for each in images},
            layout=layout,
        )
        return reference_of(subject, run(subject, backend, directory, observer).finished)

    return perform


def reference_of(subject: Subject, finished: Finished) -> Reference:
    """What of a run a capsule keeps. Raises StepFailed when a rule names an output that the run did not make."""
    assert subject.analysis is not None  # noqa: S101  # only analyses are captured
    rules = rules_of(subject.analysis)
    found = named(rules, finished.directory)
    if lost := [rule.path for rule in rules if not named([rule], finished.directory)]:
        raise StepFailed(
            f"every step finished, but no output is {lost[0]}, which `reference` in recast.yml names",
            hint=f"`recast-dm ls {finished.directory}` lists what there is",
        )
    return Reference(
        directory=finished.directory,
        records=tuple(record.document() for record in _in_order(finished)),
        outputs=tuple(sorted(str(path.relative_to(finished.directory)) for _, path in found.values())),
        likelihood=dict(_likelihood(subject.analysis, finished)),
    )


def _likelihood(analysis: Analysis, finished: Finished) -> Iterator[tuple[str, Path]]:
    statistics = analysis.statistics
    if statistics is not None:
        outputs = Outputs(finished.directory)
        yield "workspace", outputs.file(statistics.likelihood)
        yield "patch", outputs.file(statistics.patch)


def _in_order(finished: Finished) -> Iterator[Any]:
    """The records, each after those of the steps that it used."""
    known = {record.step: record for record in finished.records}
    sorter: TopologicalSorter[StepId] = TopologicalSorter()
    for record in finished.records:
        sorter.add(record.step, *(step for step in record.depends_on if step in known))
    for step in sorter.static_order():
        yield known[step]
