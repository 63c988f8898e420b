"""`python3 -m monojet.bench`: what our stages cost beside Pythia itself and beside a Python loop over particles.

Three ways to the same events (one signal, one seed, one core), in one run:

Once with nothing but a cut on the recoil's pT at 150 GeV (`cut`), once with the slices that the analysis uses
(`slices`), whose rare tail Pythia starts many more events for.

- `pythia`: a bare `next()` loop with the veto of `generate`, and nothing else;
- `stages`: the functions of the generate and select stages, from settings to selected events;
- `loop`: `next()` with the same veto, then everything in Python, particle by particle.

All three start Pythia themselves, and finish the same events; `stages` and `loop` draw the same random numbers for
the detector, and so select the same events. Times are processor time of this process, so that a busy machine matters
less; imports do not count.

Pythia's time is part of all three, so that no way can be faster than `pythia`. What `stages` and `loop` add to it is
compared by `loop_added_over_stages_added`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from monojet import detector, generate, selection
from monojet.errors import InputError, StageError
from monojet.files import write_json

SCHEMA = "monojet/bench/1"
Momentum = tuple[int, float, float, float, float]
"""PDG id, px, py, pz, E of a particle; momenta and energies in GeV."""


def read_signal(path: Path) -> generate.Signal:
    """The signal in a file: what a signal model feeds to Pythia, under the init parameters' names."""
    try:
        words = json.loads(path.read_text(encoding="utf-8"))
        return generate.Signal(
            pythia_settings=tuple(words["settings"]),
            zprime_couplings=generate.parse_couplings(words["couplings"]),
            recoil_id=words["recoil_id"],
            invisible_ids=tuple(words["invisible_ids"]),
            expected_width_gev=words["expected_width_gev"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"cannot read {path.name}: {error!r}") from error


def finished(signal: generate.Signal, seed: int, events: int, edges_gev: Sequence[float]) -> Iterator[Any]:
    """Pythia's event record, `events` times: whenever an event passed the veto and is complete."""
    slices = generate.RecoilSlices(edges_gev=edges_gev, events=events)
    hook = generate.recoil_slices_hook(slices, signal.recoil_id)
    pythia = generate.start_pythia(signal, seed, hook)
    for _ in range(events):
        while not pythia.next():
            if slices.exhausted:
                raise StageError("this signal is out of reach of a monojet search")
        yield pythia.event


def bare(signal: generate.Signal, seed: int, events: int, edges_gev: Sequence[float]) -> None:
    """Pythia, and nothing else."""
    for _ in finished(signal, seed, events, edges_gev):
        pass


def stages(signal: generate.Signal, seed: int, events: int, edges_gev: Sequence[float]) -> int:
    """Our stages, without their files; the number of selected events."""
    particles, _ = generate.sample(signal, seed=seed, events=events, edges_gev=edges_gev)
    passed = selection.select(detector.detect(particles, seed))
    return int(passed[selection.CUTS[-1]].sum())


def loop(signal: generate.Signal, seed: int, events: int, edges_gev: Sequence[float]) -> int:
    """The same events, detector and selection in a loop over particles; the number of selected events."""
    random = np.random.default_rng([seed, 20180600])
    invisible = {*generate.NEUTRINOS, *signal.invisible_ids}
    seen = [reconstruct(visible(event, invisible), random) for event in finished(signal, seed, events, edges_gev)]
    soft_x, soft_y = ([detector.SOFT_MET_GEV * random.standard_normal() for _ in seen] for _ in range(2))
    return sum(
        passes(jets, vetoed, met_x + x, met_y + y)
        for (jets, vetoed, met_x, met_y), x, y in zip(seen, soft_x, soft_y, strict=True)
    )


def visible(event: Any, invisible: set[int]) -> list[Momentum]:
    """The particles of one event that leave energy in the detector."""
    found = []
    for particle in event:
        if not particle.isFinal() or particle.idAbs() in invisible:
            continue
        px, py, pz = particle.px(), particle.py(), particle.pz()
        if abs(pz) < math.sinh(generate.ETA_MAX) * math.hypot(px, py):
            found.append((particle.id(), px, py, pz, particle.e()))
    return found


def polar(px: float, py: float, pz: float) -> tuple[float, float, float]:
    """(pT, eta, phi)."""
    pt = math.hypot(px, py)
    return pt, math.asinh(pz / pt), math.atan2(py, px)


def distance(a: float, b: float) -> float:
    """Between two azimuths, in [0, pi]."""
    return abs((a - b + math.pi) % (2 * math.pi) - math.pi)


def reconstruct(
    particles: Sequence[Momentum], random: np.random.Generator
) -> tuple[list[tuple[float, float, float]], bool, float, float]:
    """Smeared jets as (pT, eta, phi), whether a lepton or photon is found, and the missing transverse momentum."""
    import fastjet

    met_x, met_y = -math.fsum(p[1] for p in particles), -math.fsum(p[2] for p in particles)
    pseudojets = [fastjet.PseudoJet(px, py, pz, e) for _, px, py, pz, e in particles]
    definition = fastjet.JetDefinition(fastjet.antikt_algorithm, detector.JET_RADIUS)
    clustering = fastjet.ClusterSequence(pseudojets, definition)
    jets = []
    for jet in clustering.inclusive_jets(detector.JET_PT_MIN_GEV):
        pt, eta, phi = polar(jet.px(), jet.py(), jet.pz())
        resolution = math.hypot(detector.JET_STOCHASTIC / math.sqrt(pt), detector.JET_CONSTANT)
        factor = max(0.0, 1.0 + resolution * random.standard_normal())
        met_x -= (factor - 1.0) * pt * math.cos(phi)
        met_y -= (factor - 1.0) * pt * math.sin(phi)
        jets.append((pt * factor, eta, phi))
    return jets, has_lepton(particles) or has_photon(particles), met_x, met_y


def has_lepton(particles: Sequence[Momentum]) -> bool:
    """As `selection.has_lepton`."""
    for pdg, px, py, pz, _ in particles:
        if abs(pdg) in (11, 13):
            pt, eta, _ = polar(px, py, pz)
            if pt > 7 and abs(eta) < (2.47 if abs(pdg) == 11 else 2.5):
                return True
    return False


def has_photon(particles: Sequence[Momentum]) -> bool:
    """As `detector.find_photons` and `selection.has_photon`."""
    for i, (pdg, px, py, pz, _) in enumerate(particles):
        if pdg != 22 or math.hypot(px, py) <= detector.PHOTON_PT_MIN_GEV:
            continue
        pt, eta, phi = polar(px, py, pz)
        cone = 0.0
        for j, other in enumerate(particles):
            pt_j, eta_j, phi_j = polar(*other[1:4])
            if j != i and math.hypot(eta_j - eta, distance(phi_j, phi)) < detector.PHOTON_CONE:
                cone += pt_j
        if cone < 0.022 * pt + 2.45 and abs(eta) < 2.37:
            return True
    return False


def passes(jets: Sequence[tuple[float, float, float]], vetoed: bool, met_x: float, met_y: float) -> bool:
    """As `selection.select`."""
    met, met_phi = math.hypot(met_x, met_y), math.atan2(met_y, met_x)
    counted = [jet for jet in jets if jet[0] > 30 and abs(jet[1]) < 2.8]
    if vetoed or met <= selection.MET_EDGES_GEV[0] or not 1 <= len(counted) <= 4:
        return False
    pt, eta, _ = max(counted)
    if pt <= 150 or abs(eta) >= 2.4:
        return False
    return all(distance(phi, met_phi) >= (0.6 if met < 250 else 0.4) for _, _, phi in counted)


def measure(signal: generate.Signal, *, seed: int, events: int, edges_gev: Sequence[float]) -> dict[str, Any]:
    """Processor seconds per 1000 accepted events of each way, and their ratios."""
    for module in ("awkward", "fastjet", "pythia8mc"):
        import_module(module)
    seconds, selected = {}, {}
    for name, way in (("pythia", bare), ("stages", stages), ("loop", loop)):
        print(f"bench: {name}, {events} events, {len(edges_gev)} slices", flush=True)
        began = time.process_time()
        selected[name] = way(signal, seed, events, edges_gev)
        seconds[name] = 1000 / events * (time.process_time() - began)
    return {
        "events": events,
        "seed": seed,
        "seconds_per_1000": seconds,
        "selected": {"stages": selected["stages"], "loop": selected["loop"]},
        "stages_over_pythia": seconds["stages"] / seconds["pythia"],
        "loop_over_stages": seconds["loop"] / seconds["stages"],
        "loop_added_over_stages_added": (seconds["loop"] - seconds["pythia"]) / (seconds["stages"] - seconds["pythia"]),
    }


def main(argv: Sequence[str] | None = None) -> int:
    top = argparse.ArgumentParser(prog="monojet.bench", description=__doc__.splitlines()[0])
    top.add_argument("--signal", type=Path, required=True, help="JSON: what a signal model feeds to Pythia")
    top.add_argument("--output", type=Path, required=True)
    top.add_argument("--events", type=int, default=4000)
    top.add_argument("--seed", type=int, default=1)
    words = top.parse_args(argv)
    try:
        signal = read_signal(words.signal)
        ways = {"cut": generate.SLICE_EDGES_GEV[:1], "slices": generate.SLICE_EDGES_GEV}
        measured = {
            name: measure(signal, seed=words.seed, events=words.events, edges_gev=edges) for name, edges in ways.items()
        }
        write_json(words.output, {"schema": SCHEMA, **measured})
    except StageError as error:
        print(f"bench: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
