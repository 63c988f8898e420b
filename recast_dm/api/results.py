"""What comes out, as values: each is its JSON document, and the run directory that it came from while that is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from recast_dm.api.opening import Preserved
    from recast_dm.export import Exported


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Document:
    """A result: `document` is what `--json` prints, `[...]` a short cut into it; `of` is what was run, where known."""

    document: Mapping[str, Any] = field(repr=False)
    directory: Path | None = None
    of: Preserved | None = field(default=None, repr=False, compare=False)

    def __getitem__(self, key: str) -> Any:
        return self.document[key]

    def _repr_html_(self) -> str:
        from recast_dm.report import html

        return html.fragment(self.document)

    def export(self, output: str | Path, *, format: str = "ro-crate") -> Exported:  # noqa: A002  # the option's name
        """Writes it in another format: `ro-crate` (of a run that is still there), `hepdata`."""
        from recast_dm.api import writing

        return writing.export(self, output, format=format)

    def report(self, output: str | Path) -> Path:
        """Writes one self-contained HTML file: how it was made, what it found, and how to verify it."""
        from recast_dm.api import writing

        return writing.report(self, output)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Run(Document):
    """What `run` gave where no limit is made (`recast-dm/run-result/1`)."""

    @property
    def files(self) -> Mapping[str, Path]:
        """The declared results by name."""
        return {name: Path(path) for name, path in self.document["results"].items()}

    @property
    def verdict(self) -> Mapping[str, Any] | None:
        """What limit curves say of the point, where the analysis is made of such (`recast-dm/verdict/1`)."""
        return self.document.get("verdict")

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(str(path))}</td></tr>" for name, path in self.files.items()
        )
        return f"<table>{rows}</table>"

    def __repr__(self) -> str:
        return f"<run of {self.document['analysis']}: {', '.join(self.files) or 'no declared results'}>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Limit(Document):
    """A limit at one point (`recast-dm/limit/1`); without one, `status` is `not covered` and `reason` says why."""

    @property
    def parameters(self) -> Mapping[str, float]:
        return dict(self.document["parameters"] or {})

    @property
    def status(self) -> str:
        return str(self.document.get("status", "done"))

    @property
    def reason(self) -> str | None:
        return self.document.get("reason")

    @property
    def mu_upper(self) -> float:
        """The observed 95 % CL upper limit on the signal strength. Raises UsageError where there is none."""
        return float(self._number("mu_upper_obs"))

    @property
    def mu_upper_expected(self) -> tuple[float, ...]:
        """The expected one at -2, -1, 0, +1 and +2 sigma."""
        return tuple(self._number("mu_upper_exp"))

    @property
    def excluded(self) -> bool:
        return bool(self._number("excluded"))

    @property
    def closure(self) -> tuple[Mapping[str, Any], ...]:
        """Our number beside the published one, where there is one for this point."""
        return tuple(self.document.get("closure", ()))

    def _number(self, key: str) -> Any:
        if self.status != "done":
            raise UsageError(f"this point has no limit: it is {self.status}", hint=self.reason)
        return self.document[key]

    def plot(self) -> Figure:
        """The spectrum that the limit was set on."""
        from recast_dm.api import drawing

        return drawing.spectrum(self)

    def __repr__(self) -> str:
        place = ", ".join(f"{name}={value:g}" for name, value in self.parameters.items())
        said = f"mu < {self.mu_upper:.3g}" if self.status == "done" else self.status
        return f"<{self.document['analysis']}, {self.document['model']} {place}: {said}>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Scan(Document):
    """Limits at many points (`recast-dm/scan/1`)."""

    @property
    def points(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self.document["points"])

    @property
    def done(self) -> tuple[Mapping[str, Any], ...]:
        """The points that have a limit."""
        return tuple(point for point in self.points if point["status"] == "done")

    @property
    def closure(self) -> tuple[Mapping[str, Any], ...]:
        """All published numbers of the analysis, ours beside them where the point was run."""
        return tuple(self.document["closure"])

    def rows(self) -> Iterator[dict[str, Any]]:
        """A flat row a point, as a table of pandas takes them: parameters, status, limits on mu, sigma in pb."""
        for point in self.points:
            expected = point.get("mu_upper_exp") or (None,) * 5
            yield {
                **point["parameters"],
                "status": point["status"],
                "sigma_pb": point.get("sigma_pb"),
                "mu_upper_obs": point.get("mu_upper_obs"),
                **{f"mu_upper_exp_{n:+d}": mu for n, mu in zip((-2, -1, 0, 1, 2), expected, strict=True)},
                "valid": all(finding["ok"] for finding in point["validity"]),
            }

    def plot(self, kind: str | None = None, **at: float) -> Figure:
        """A figure: `plane` (two axes) or `limit` (one; `m_dm=1` takes a slice). Without a kind: what fits."""
        from recast_dm.report import plots

        figure: Figure = plots.figure(self.document, kind, at)
        return figure

    def __repr__(self) -> str:
        axes = ", ".join(f"{len(values)} of {name}" for name, values in self.document["grid"].items())
        document = self.document
        return f"<scan of {document['analysis']}, {document['model']}: {len(self.done)} limits, {axes}>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Combination(Document):
    """Several searches together (`recast-dm/combination/1`), each alone beside them."""

    @property
    def points(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self.document["points"])

    def _repr_html_(self) -> str:
        rows = "".join(f"<tr><td>{escape(line)}</td></tr>" for line in self._lines())
        return f"<p>{escape(self.document['assumption'])}</p><table>{rows}</table>"

    def _lines(self) -> Iterator[str]:
        for point in self.points:
            place = ", ".join(f"{name} = {value:g}" for name, value in point["parameters"].items())
            yield f"{place}: mu < {point['mu_upper_obs']:.3g} (expected {point['mu_upper_exp'][2]:.3g})"

    def __repr__(self) -> str:
        names = " + ".join(each["name"] for each in self.document["searches"])
        return f"<{names}, {self.document['model']}: {len(self.points)} points>"


def of_document(document: Mapping[str, Any], directory: Path | None = None, of: Preserved | None = None) -> Document:
    """The value that a document is. Raises UsageError for a document of another kind."""
    kinds = {"recast-dm/limit/1": Limit, "recast-dm/scan/1": Scan, "recast-dm/run-result/1": Run}
    schema = str(document.get("schema"))
    if schema not in kinds:
        raise UsageError(f"{schema} is no result", hint=f"known here: {', '.join(kinds)}")
    return kinds[schema](document=document, directory=directory, of=of)
