"""The signal of one point in the 66 bins: out of an efficiency map, or out of selected events where there are any.

Both ways end in efficiencies, and one formula makes events of them: sigma times 137 fb-1 times the efficiency of a
bin. The luminosity is that of all three years for every bin, because the efficiency of a year's bin holds that year's
share of the data already.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from monojet.errors import InputError
from monojet.files import read_json, write_json

from cmsmonojet import efficiency_map, search
from cmsmonojet.cross_section import SCHEMA as CROSS_SECTION_SCHEMA
from cmsmonojet.efficiency_map import NotCovered
from cmsmonojet.merging import merge
from cmsmonojet.search import CORRELATION_MODEL, Search
from cmsmonojet.workspace import POI, read_covariance

SCHEMA = "recast-dm/signal/1"
HISTOGRAM_SCHEMA = "cmsmonojet/histogram/1"
SAMPLE = "signal"
FB_PER_PB = 1000.0
HEAVY_TOP = (
    "Pythia gives a spin-0 mediator the recoil of an infinitely heavy top quark, many times too hard above 500 GeV;"
    " without seeds, its efficiency map has the loop"
)
"""Why events of a spin-0 mediator say nothing: README, "The full chain"."""

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Uncertainty:
    """A relative uncertainty of the signal, and so of mu."""

    source: str
    relative: float
    how: str


@dataclass(frozen=True, kw_only=True)
class Efficiencies:
    """Efficiencies of the bins (66,) with their MC errors; `mu_mc_error` is what these do to a limit, relatively."""

    bins: Array
    mc_error: Array
    mu_mc_error: float
    way: str
    uncertainties: tuple[Uncertainty, ...]


def from_map(table: efficiency_map.EfficiencyMap, m_med: float, m_dm: float) -> Efficiencies:
    """Those of a map. Raises NotCovered."""
    found = table.at(m_med, m_dm)
    how = f"{table.name}: root mean square of leave-one-out around the point; with the map's own statistics"
    return Efficiencies(
        bins=found.bins,
        mc_error=np.zeros_like(found.bins),
        mu_mc_error=0.0,
        way=table.name,
        uncertainties=(Uncertainty(source="efficiency map", relative=found.error, how=how),),
    )


def from_events(selections: Sequence[Mapping[str, Any]], bins: Search, covariance: Array) -> Efficiencies:
    """Those of selected events."""
    merged = merge(selections, bins.share)
    error = merged.error_of_limit(covariance + np.diag(bins.background))
    how = f"{int(merged.counts.sum())} selected events of {len(selections)} samples, each once for all years"
    return Efficiencies(
        bins=merged.bins,
        mc_error=merged.mc_error,
        mu_mc_error=error,
        way="events",
        uncertainties=(Uncertainty(source="events, MC statistics", relative=error, how=how),),
    )


def yields(sigma_pb: float, lumi_fb: float, efficiencies: Array) -> Array:
    """Expected events per bin at mu = 1.

    >>> yields(0.5, 137.0, np.array([0.01])).tolist()
    [685.0]
    """
    return sigma_pb * FB_PER_PB * lumi_fb * efficiencies


def patch(events: Array, workspace: Mapping[str, Any]) -> list[dict[str, Any]]:
    """RFC 6902 operations that add the signal to the background-only workspace; its channels hold the bins in order."""
    operations, begin = [], 0
    for index, channel in enumerate(workspace["channels"]):
        end = begin + len(channel["samples"][0]["data"])
        sample = {
            "name": SAMPLE,
            "data": [float(x) for x in events[begin:end]],
            "modifiers": [{"name": POI, "type": "normfactor", "data": None}],
        }
        operations.append({"op": "add", "path": f"/channels/{index}/samples/-", "value": sample})
        begin = end
    if begin != len(events):
        raise InputError(f"the workspace has {begin} bins, the signal {len(events)}")
    return operations


def signal_document(found: Efficiencies, sigma: Mapping[str, Any]) -> dict[str, Any]:
    """The `recast-dm/signal/1` document; the MC error of the cross-section is part of that of mu."""
    relative = sigma["sigma_pb_mc_error"] / sigma["sigma_pb"]
    how = f"{sigma['events']} events of the hard process, Pythia {sigma['pythia_version']}, {sigma['order']}"
    return {
        "schema": SCHEMA,
        "sigma_pb": sigma["sigma_pb"],
        "sigma_pb_mc_error": sigma["sigma_pb_mc_error"],
        "mu_mc_error": math.hypot(found.mu_mc_error, relative),
        "acceptance_times_efficiency": float(found.bins.sum()),
        "uncertainties": [
            {"source": "cross-section, MC statistics", "relative": relative, "how": how},
            *(vars(each) for each in found.uncertainties),
        ],
        "correlation_model": CORRELATION_MODEL,
    }


def histogram_document(found: Efficiencies, sigma: Mapping[str, Any], bins: Search) -> dict[str, Any]:
    """The expected events and where they come from; `yields_mc_error` holds the error of the cross-section too."""
    events = yields(sigma["sigma_pb"], bins.lumi_fb, found.bins)
    relative = sigma["sigma_pb_mc_error"] / sigma["sigma_pb"]
    error = np.hypot(yields(sigma["sigma_pb"], bins.lumi_fb, found.mc_error), relative * events)
    return {
        "schema": HISTOGRAM_SCHEMA,
        "way": found.way,
        "bins": list(bins.names),
        "lumi_fb": bins.lumi_fb,
        "sigma_pb": sigma["sigma_pb"],
        "efficiencies": found.bins.tolist(),
        "yields": events.tolist(),
        "yields_mc_error": error.tolist(),
        "acceptance_times_efficiency": float(found.bins.sum()),
    }


def read_workspace(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path.name}: {error}") from error
    if not isinstance(document, dict) or "channels" not in document:
        raise InputError(f"{path.name} is not a pyhf workspace")
    return document


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What the signal stage reads. `selections` empty: the map of `family` is the way."""

    family: str
    m_med: float
    m_dm: float
    maps: Mapping[str, Path]
    selections: Sequence[Path]
    cross_section: Path
    bins: Path
    covariance: Path
    workspace: Path


def efficiencies(inputs: Inputs, bins: Search) -> Efficiencies:
    """Those of the point. Raises NotCovered where it has neither events nor a place in a map."""
    if inputs.selections and inputs.family == "spin0":
        raise NotCovered(HEAVY_TOP)
    if inputs.selections:
        from cmsmonojet.selection import SCHEMA as SELECTION_SCHEMA

        selections = [read_json(path, SELECTION_SCHEMA) for path in inputs.selections]
        return from_events(selections, bins, read_covariance(inputs.covariance))
    if inputs.family not in inputs.maps:
        known = " and ".join(inputs.maps)
        raise NotCovered(f"efficiency maps are for {known} mediators, not for this signal; events (seeds) would do")
    table = efficiency_map.read(inputs.maps[inputs.family], f"efficiency map of {inputs.family} mediators")
    return from_map(table, inputs.m_med, inputs.m_dm)


def run(inputs: Inputs, *, signal_path: Path, patch_path: Path, histogram_path: Path) -> None:
    """The signal stage. A point that is not covered has a signal document that says so, and no signal."""
    bins = search.read(inputs.bins)
    sigma = read_json(inputs.cross_section, CROSS_SECTION_SCHEMA)
    try:
        found = efficiencies(inputs, bins)
    except NotCovered as reason:
        common = {"sigma_pb": sigma["sigma_pb"], "sigma_pb_mc_error": sigma["sigma_pb_mc_error"]}
        nothing = {"mu_mc_error": 0.0, "uncertainties": [], "correlation_model": CORRELATION_MODEL}
        write_json(signal_path, {"schema": SCHEMA, **common, **nothing, "not_covered": str(reason)})
        write_json(histogram_path, {"schema": HISTOGRAM_SCHEMA, "not_covered": str(reason)})
        patch_path.write_text("[]\n", encoding="utf-8")
        return
    histogram = histogram_document(found, sigma, bins)
    operations = patch(np.array(histogram["yields"]), read_workspace(inputs.workspace))
    write_json(signal_path, signal_document(found, sigma))
    write_json(histogram_path, histogram)
    patch_path.write_text(json.dumps(operations, indent=1, sort_keys=True) + "\n", encoding="utf-8")
