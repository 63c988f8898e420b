"""A scan document (`recast-dm/scan/1`) as values: what plots, planes and reports are made of, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

from recast_dm import schemas, store
from recast_dm.errors import IntegrityError, UsageError

SCHEMA = "recast-dm/scan/1"
FILE = "scan.json"
"""The scan document in the run directory of a scan."""
Status: TypeAlias = Literal["done", "not covered", "failed"]
SIGMAS = ("-2 sigma", "-1 sigma", "median", "+1 sigma", "+2 sigma")
"""What the five numbers of an expected limit are, in their order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A point: limits on mu and on the cross-section (pb), or why there are none. `broken` names failed validity.

    `numbers` is the part of the document that the point came from.
    """

    parameters: Mapping[str, float]
    status: Status
    reason: str
    broken: tuple[str, ...]
    mu_obs: float | None = None
    mu_exp: tuple[float, ...] = ()
    sigma: float | None = None
    sigma_obs: float | None = None
    sigma_exp: tuple[float, ...] = ()
    k_factor: float | None = None
    numbers: Mapping[str, Any]

    @property
    def done(self) -> bool:
        return self.mu_obs is not None

    def expected(self, n: int) -> float | None:
        """The expected limit on mu, n = -2 .. +2 sigma."""
        return self.mu_exp[n + 2] if self.mu_exp else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """A scan. `axes` are the parameters that vary, in the order of the grid; `at` the ones that do not, with values."""

    document: Mapping[str, Any]
    axes: Mapping[str, tuple[float, ...]]
    at: Mapping[str, float]
    rows: tuple[Row, ...]

    @property
    def model(self) -> str:
        return str(self.document["model"])

    @property
    def not_covered(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.status == "not covered")

    @property
    def failed(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.status == "failed")

    @property
    def done(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row.done)

    @property
    def correlation_models(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(str(row.numbers["correlation_model"]) for row in self.done))

    def notes(self) -> tuple[str, ...]:
        """What has to be said: of which couplings a scan was rescaled; how many points have no limit, and why."""
        found = [self._rescaled()] if self.document.get("rescaled") else []
        for name, rows in (("not covered", self.not_covered), ("failed", self.failed)):
            if rows:
                reasons = tuple(dict.fromkeys(row.reason for row in rows))
                more = f" (and {len(reasons) - 1} more reasons)" if len(reasons) > 1 else ""
                found.append(f"{name}: {len(rows)} of {len(self.rows)} points: {reasons[0]}{more}")
        return tuple(found)

    def _rescaled(self) -> str:
        said = self.document["rescaled"]
        before = said.get("from", {})
        fixed = ", ".join(f"{name} = {value:g}" for name, value in before.get("fixed", {}).items())
        source = f" ({said['source']})" if said.get("source") else ""
        return f"rescaled, not run at these couplings: from {before.get('model', 'another model')} at {fixed}{source}"

    def cut(self, at: Mapping[str, float]) -> Scan:
        """The slice at values of some axes. Raises UsageError for what is no axis, or none of its values."""
        for name, value in at.items():
            known = self.axes.get(name)
            if known is None:
                raise UsageError(f"{name} does not vary in this scan", hint=f"its axes: {', '.join(self.axes)}")
            if not any(_same(value, each) for each in known):
                raise UsageError(f"the scan has no {name} = {value:g}", hint=f"it has {_listed(known)}")
        rows = tuple(row for row in self.rows if all(_same(row.parameters[n], v) for n, v in at.items()))
        left = {name: values for name, values in self.axes.items() if name not in at}
        return replace(self, axes=left, at={**self.at, **at}, rows=rows)


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12)


def _listed(values: tuple[float, ...]) -> str:
    shown = ", ".join(f"{value:g}" for value in values[:12])
    return shown if len(values) <= 12 else f"{shown} and {len(values) - 12} more"


def is_scan(path: Path) -> bool:
    """Whether a path is a scan document, or a directory that holds one."""
    if path.is_dir():
        return (path / FILE).is_file()
    try:
        return path.suffix == ".json" and path.is_file() and SCHEMA.encode() in path.read_bytes()[:4096]
    except OSError:
        return False


def read(path: Path) -> Scan:
    """The scan in a file, or in the run directory of a scan. Raises IntegrityError for anything else."""
    file = path / FILE if path.is_dir() else path
    return of_document(store.read_json(file, SCHEMA), str(file))


def of_document(document: Mapping[str, Any], name: str = "the document") -> Scan:
    """The scan that a document describes. Raises IntegrityError when it breaks its schema, or is not finite."""
    if found := schemas.problem("scan-1", document):
        place = "/".join(map(str, found[0]))
        raise IntegrityError(f"{name} is not a scan document: {found[1]}" + (f" (in {place})" if place else ""))
    try:
        store.canonical(document)
    except ValueError:
        raise IntegrityError(f"{name} is not a scan document: it holds a number that is not finite") from None
    rows = tuple(_row(point) for point in document["points"])
    axes = {name: tuple(sorted(values)) for name, values in document["grid"].items() if len(values) > 1}
    alone = {name: values[0] for name, values in document["grid"].items() if len(values) == 1}
    if any(name not in row.parameters for name in axes for row in rows):
        raise IntegrityError(f"{name} is not a scan document: a point lacks a parameter that varies")
    return Scan(document=document, axes=axes, at={**document["fixed"], **alone}, rows=rows)


def _row(point: Mapping[str, Any]) -> Row:
    common = {
        "parameters": point["parameters"],
        "status": point["status"],
        "reason": point["reason"] or "",
        "broken": tuple(each["name"] for each in point["validity"] if not each["ok"]),
        "numbers": point,
    }
    if point["status"] != "done":
        return Row(**common)
    corrected = point.get("k_factor")
    return Row(
        **common,
        mu_obs=point["mu_upper_obs"],
        mu_exp=tuple(point["mu_upper_exp"]),
        sigma=point["sigma_pb"],
        sigma_obs=point["sigma_upper_obs_pb"],
        sigma_exp=tuple(point["sigma_upper_exp_pb"] or ()),
        k_factor=corrected["value"] if corrected else None,
    )
