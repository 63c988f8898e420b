"""What is there already, read again: results, models, and what was published."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from recast_dm import signals, store
from recast_dm.api.results import Combination, Document, Limit, Run, Scan, of_document
from recast_dm.config import RUNS
from recast_dm.errors import UsageError
from recast_dm.export import scans
from recast_dm.export.hepdata import likelihood
from recast_dm.reinterpret import combine as combining
from recast_dm.reinterpret import rescale as scaling
from recast_dm.signals import SignalRecord


def read(place: str | Path) -> Limit | Scan | Run:
    """The result that a run directory (or a name below build/runs) or a document of one holds. Nothing is run again.

    Raises UsageError where there is none, IntegrityError when it is damaged.

    >>> read("tests/analyses/toy")
    Traceback (most recent call last):
    recast_dm.errors.UsageError: tests/analyses/toy holds no result
      name the run directory of `rerun`, `scan` or `contour`, or its scan.json or result.json
    """
    places = (Path(place), RUNS / place)
    file = next((found for each in places if (found := scans.document_file(each)) is not None), None)
    if file is None:
        if (run := _run(places)) is not None:
            return run
        hint = f"name the run directory of `rerun`, `scan` or `contour`, or its {scans.FILE} or {scans.RESULT}"
        raise UsageError(f"{place} holds no result", hint=hint)
    document = scans.document_of(file)
    result = of_document(document, scans.run_directory(file, document))
    assert isinstance(result, Limit | Scan)  # noqa: S101  # its schema was checked
    return result


def _run(places: Sequence[Path]) -> Run | None:
    """The run in one of these directories, of an analysis that makes no limit."""
    for place in places:
        if (place / scans.RESULT).is_file():
            document = store.read_json(place / scans.RESULT, "recast-dm/run-result/1")
            return Run(document=document, directory=place)
    return None


def limits(what: Document | str | Path) -> tuple[Mapping[str, Any], ...]:
    """The limits of a result, one a point; of those that have none, the status and the reason."""
    found = what if isinstance(what, Document) else read(what)
    if isinstance(found, Scan):
        return found.points
    if isinstance(found, Limit):
        return tuple(scans.of_limit(found.document)["points"])
    raise UsageError(f"{found!r} has no limits", hint="they come from `rerun`, `scan` and `contour`")


def combine(*what: Limit | Scan | str | Path) -> Combination:
    """Uncorrelated searches together: the product of their likelihoods at every point that all of them ran.

    Their run directories must still hold the likelihoods. Raises UsageError where they have no point in common.
    """
    held = [each if isinstance(each, Document) else read(each) for each in what]
    found = combining.combined([_search(scans.of_document(each.document, each.directory)) for each in held])
    return Combination(document=found)


def _search(scan: scans.Scan) -> combining.Search:
    return combining.Search(
        analysis=scan.document["analysis"],
        capsule=scan.document["capsule"],
        model=scan.document["model"],
        run_dir=str(scan.directory or scan.place),
        members=tuple(
            combining.Member(point=each.point, workspace=each.workspace, patch=each.patch)
            for each in likelihood.of_scan(scan)
        ),
    )


def rescale(
    what: Scan | str | Path,
    *,
    model: str | None = None,
    benchmark: str | None = None,
    grid: Mapping[str, Sequence[float]] | None = None,
    at: Mapping[str, float] | None = None,
    **couplings: float,
) -> Scan:
    """A scan as that of other couplings, or another model of its family, as a narrow resonance's rate scales.

    Nothing is run. `grid` are couplings that vary anew, `at` takes a slice of the scan. Points where this does not hold
    say so in their validity. Raises UsageError.
    """
    scan = what if isinstance(what, Scan) else read(what)
    if not isinstance(scan, Scan):
        raise UsageError(f"{scan!r} is no scan", hint="rescale what `scan` or `contour` gave")
    named = signals.find(model or scan["model"]).record.benchmark(benchmark).values if benchmark else {}
    settings = {**dict(named), **couplings}
    return Scan(document=scaling.rescaled(scan.document, model=model, settings=settings, axes=grid, at=at))


class Models(Mapping[str, SignalRecord]):
    """The signal models by name: parameters with units, ranges and defaults, benchmarks, validity, citations.

    >>> models()["spin1-axial"].parameter("m_med").unit
    'GeV'
    >>> "add" in models()
    True
    """

    def __getitem__(self, name: str) -> SignalRecord:
        if name not in signals.names():
            raise KeyError(name)
        return signals.find(name).record

    def __iter__(self) -> Iterator[str]:
        return iter(signals.names())

    def __len__(self) -> int:
        return len(signals.names())

    def __repr__(self) -> str:
        return f"<signal models: {', '.join(self)}>"

    def _repr_html_(self) -> str:
        from html import escape

        head = "<tr><th>model</th><th></th><th>parameters</th></tr>"
        rows = (
            f"<tr><th>{escape(name)}</th><td>{escape(record.title)}</td>"
            f"<td>{escape(', '.join(each.name for each in record.parameters))}</td></tr>"
            for name, record in self.items()
        )
        return f"<table>{head}{''.join(rows)}</table>"


def models() -> Models:
    """The signal models that are known here."""
    return Models()


def save(what: Document, place: str | Path) -> Path:
    """Writes the document of a result, to be read again or mailed."""
    store.write_atomic(Path(place), store.pretty(dict(what.document)))
    return Path(place)
