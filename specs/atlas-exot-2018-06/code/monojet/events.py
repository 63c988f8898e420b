"""Events from outside: the generate stage for files that somebody else's generator wrote.

Les Houches events are showered, matched and hadronised by Pythia (`shower`); HepMC events are taken as they are. Both
become what `generate` makes: visible particles, and the counts and weights from which `histogram` computes yields.
"""

from __future__ import annotations

import math
import re
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monojet import hepmc, lhe
from monojet.errors import InputError
from monojet.files import write_arrays, write_json
from monojet.generate import ETA_MAX, NEUTRINOS, SCHEMA
from monojet.matching import matching
from monojet.opened import is_hepmc
from monojet.shower import HEAD, NOTHING, TAIL, NewParticle, Showered, event_text, shower
from monojet.tally import USUAL, Share, Tally, check_sigma, refuse_undeclared
from monojet.variations import described, kind

STABLE_USUAL = frozenset((11, 13, *NEUTRINOS, 22))
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True, kw_only=True)
class Outside:
    """The files, which share of their events is wanted, and what the user says about them (0: what the files say)."""

    files: tuple[Path, ...]
    share: Share
    invisible_ids: tuple[int, ...]
    sigma_pb: float = 0.0
    merging_scale_gev: float = 0.0


@dataclass(kw_only=True)
class _LesHouches:
    """What is gathered while the share is written."""

    tally: Tally
    heads: list[lhe.Head] = field(default_factory=list)
    multiplicities: Counter[int] = field(default_factory=Counter)
    hard_ids: Counter[tuple[int, ...]] = field(default_factory=Counter)
    new: dict[int, NewParticle] = field(default_factory=dict)
    counts: list[int] = field(default_factory=list)
    ratios: list[list[float]] = field(default_factory=list)
    scaleless: str = ""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A share of the events, ready for the detector; `about` is what the document says of it."""

    particles: Arrays
    weights: npt.NDArray[np.float64]
    keys: npt.NDArray[np.uint64]
    ratios: npt.NDArray[np.float64]
    about: dict[str, Any]


def sample(outside: Outside, scratch: Path) -> Sample:
    """A share of the events of all files, which are all LHE or all HepMC; `scratch` has room for a copy of them."""
    if len({path.name for path in outside.files}) != len(outside.files):
        raise InputError("two files of events have one name")
    formats = {is_hepmc(path) for path in outside.files}
    if len(formats) != 1:
        raise InputError("give files of events of one format: Les Houches or HepMC")
    return _from_hepmc(outside) if formats == {True} else _from_lhe(outside, scratch)


def _from_lhe(outside: Outside, scratch: Path) -> Sample:
    gathered = _LesHouches(tally=Tally(share=outside.share))
    with tempfile.TemporaryDirectory(prefix=".share-", dir=scratch) as place:
        path = Path(place) / "share.lhe"
        with path.open("w", encoding="ascii") as stream:
            stream.write(HEAD)
            for file in sorted(outside.files):
                _gather(file, gathered, stream)
            stream.write(TAIL)
        tally = gathered.tally
        total = tally.total
        refuse_undeclared(tally.final_ids, outside.invisible_ids, USUAL)
        how = matching(
            _card(gathered.heads), gathered.multiplicities, sorted(gathered.hard_ids), outside.merging_scale_gev
        )
        if gathered.scaleless and how.scheme != "none":
            raise InputError(f"{gathered.scaleless}: matching by {how.scheme} needs a scale: SCALUP is not positive")
        showered = shower(
            path, tally.keys, matching=how, new=gathered.new.values(), invisible_ids=outside.invisible_ids
        )
    sigma = _pooled(gathered.heads, gathered.counts)
    used = [n for n, v in enumerate(gathered.heads[0].variations) if _used(asdict(v))]
    about = {
        **_about(outside, "lhe", tally, total, sigma),
        "matching": {"scheme": how.scheme, "scale_gev": how.scale_gev, "jets_max": how.jets_max},
        "multiplicities": {str(n): count for n, count in sorted(gathered.multiplicities.items())},
        "vetoed": showered.vetoed,
        "failed": showered.failed,
        "unweighted": tally.unweighted and how.scheme != "ckkw-l",
        "variations": [described(gathered.heads[0].variations)[n] for n in used],
        "unused_variations": len(gathered.heads[0].variations) - len(used),
        "pythia_version": showered.pythia_version,
    }
    return _sample_of(showered, tally, np.array(gathered.ratios, dtype=np.float64), about)


def _sample_of(showered: Showered, tally: Tally, ratios: npt.NDArray[np.float64], about: dict[str, Any]) -> Sample:
    own = np.array(tally.own_weights)[showered.numbers] * showered.weights
    keys = np.array(tally.keys, dtype=np.uint64)[showered.numbers]
    ratios = ratios.reshape(len(tally.keys), -1)[showered.numbers]
    return Sample(particles=showered.particles, weights=own, keys=keys, ratios=ratios, about=about)


def _gather(file: Path, gathered: _LesHouches, stream: Any) -> None:
    """Counts the events of a file, and writes those of the share."""
    head = lhe.head_of(file)
    if gathered.heads and [v.id for v in head.variations] != [v.id for v in gathered.heads[0].variations]:
        raise InputError(f"{file.name} has other weights than {gathered.heads[0].name}: give one run's files")
    gathered.heads.append(head)
    tally, before = gathered.tally, len(gathered.tally.weights)
    tally.begin_file()
    ids = [v.id for v in head.variations if _used(asdict(v))]
    for event in lhe.events_of(file):
        if event.hard_partons and event.scale_gev <= 0:
            gathered.scaleless = gathered.scaleless or event.place
        gathered.multiplicities[event.hard_partons] += 1
        gathered.hard_ids[tuple(sorted(i for i in event.final_ids if abs(i) not in lhe.LIGHT_PARTONS))] += 1
        tally.final_ids.update(event.final_ids)
        _note_particles(event, gathered.new)
        if tally.add(event.place, event.key, event.weight):
            stream.write(event_text(event, len(tally.keys)))
            gathered.ratios.append(_ratios(event, ids))
    gathered.counts.append(len(tally.weights) - before)


def _used(variation: Mapping[str, Any]) -> bool:
    return kind(variation) != "unused"


def _ratios(event: lhe.Event, ids: Sequence[str]) -> list[float]:
    """Weights of the variations over the nominal one."""
    try:
        return [event.variations[i] / event.weight for i in ids]
    except KeyError as error:
        raise InputError(f"{event.place}: the event has no weight {error}, which the file's head names") from None
    except ZeroDivisionError:
        raise InputError(f"{event.place}: the nominal weight is 0, and the event has variations") from None


def _note_particles(event: lhe.Event, new: dict[int, NewParticle]) -> None:
    """Remembers what is not of the Standard Model: Pythia may have to be told of it. Each id has one colour type."""
    for i, colours, mass in zip(event.ids, event.colours, event.masses, strict=True):
        if abs(i) in USUAL:
            continue
        colour = colour_type(i, *colours)
        known = new.setdefault(abs(i), NewParticle(id=abs(i), mass_gev=mass, colour=colour))
        if known.colour != colour:
            raise InputError(f"{event.place}: particle {i} has a colour that it does not have in an earlier event")


def colour_type(pdg: int, colour: int, anticolour: int) -> int:
    """Pythia's colour type of a particle (not the antiparticle): 0, 1 or -1 for (anti)triplets, 2 for octets.

    >>> colour_type(9000006, 501, 0), colour_type(-9000006, 0, 501), colour_type(9000007, 501, 502)
    (1, 1, 2)
    """
    if colour > 0 and anticolour > 0:
        return 2
    return ((colour > 0) - (anticolour > 0)) * (-1 if pdg < 0 else 1)


def _card(heads: Sequence[lhe.Head]) -> Mapping[str, str]:
    """The run card: all files must agree in what it says of matching."""
    names = ("ickkw", "xqcut", "ktdurham", "ptlund", "maxjetflavor")
    if any([h.run_card.get(n) for n in names] != [heads[0].run_card.get(n) for n in names] for h in heads):
        raise InputError("the files of events are matched in different ways: give one run's files")
    return heads[0].run_card


def _pooled(heads: Sequence[lhe.Head], counts: Sequence[int]) -> hepmc.CrossSection:
    """Files of one process each say its cross-section: their mean by events. They must agree within errors."""
    values, errors = [h.sigma_pb for h in heads], [h.sigma_error_pb for h in heads]
    if max(values) - min(values) > 5 * math.hypot(*errors) + 0.01 * max(values):
        raise InputError(f"the files say cross-sections of {min(values):g} to {max(values):g} pb: give one process")
    events = sum(counts)
    if len(set(values)) == 1:
        return hepmc.CrossSection(pb=values[0], error_pb=max(errors), accepted=events)
    pb = math.fsum(v * n for v, n in zip(values, counts, strict=True)) / events
    error = math.sqrt(math.fsum((e * n / events) ** 2 for e, n in zip(errors, counts, strict=True)))
    return hepmc.CrossSection(pb=pb, error_pb=error, accepted=events)


def _from_hepmc(outside: Outside) -> Sample:
    if outside.merging_scale_gev > 0:
        raise InputError("a merging scale has no meaning for HepMC: the events are showered and matched already")
    tally, sigma = Tally(share=outside.share), None
    names: tuple[str, ...] | None = None
    events: list[hepmc.Particles] = []
    ratios: list[list[float]] = []
    for file in sorted(outside.files):
        tally.begin_file()
        for event, weight_names in hepmc.events_of(file):
            names = weight_names if names is None else names
            if weight_names != names or (names and len(event.weights) != len(names)):
                raise InputError(f"{event.place} has other weights than the first event: give one run's files")
            sigma = hepmc.best(sigma, event.cross_section)
            if tally.add(event.place, event.key, event.weights[0]):
                particles = event.particles()
                tally.final_ids.update(particles.pdg.tolist())
                events.append(particles)
                ratios.append(_hepmc_ratios(event, names))
    total = tally.total
    refuse_undeclared(
        {i: n for i, n in tally.final_ids.items() if not is_hadron(i)}, outside.invisible_ids, STABLE_USUAL
    )
    variations = _hepmc_variations(names or ())
    about = {
        **_about(outside, "hepmc", tally, total, sigma or hepmc.CrossSection(pb=0.0, error_pb=0.0, accepted=0)),
        "matching": {"scheme": "none", "scale_gev": 0.0, "jets_max": 0},
        "multiplicities": {},
        "vetoed": 0,
        "failed": 0,
        "variations": described(variations),
        "unused_variations": max(len(names or ()) - 1, 0) - len(variations),
        "pythia_version": "",
    }
    return Sample(
        particles=_visible(events, outside.invisible_ids),
        weights=np.array(tally.own_weights),
        keys=np.array(tally.keys, dtype=np.uint64),
        ratios=np.array(ratios, dtype=np.float64).reshape(len(events), -1),
        about=about,
    )


def _hepmc_variations(names: Sequence[str]) -> list[lhe.Variation]:
    """Beside the first weight, those whose names say what they are."""
    all_of_them = [lhe.Variation(id=name, text=name, group="", combine="") for name in names[1:]]
    return [variation for variation in all_of_them if _used(asdict(variation))]


def _hepmc_ratios(event: hepmc.Event, names: Sequence[str]) -> list[float]:
    used = {v.id for v in _hepmc_variations(names)}
    chosen = [w for name, w in zip(names[1:], event.weights[1:], strict=False) if name in used]
    if chosen and event.weights[0] == 0:
        raise InputError(f"{event.place}: the nominal weight is 0, and the event has variations")
    return [w / event.weights[0] for w in chosen]


def is_hadron(pdg: int) -> bool:
    """Whether an id is that of a hadron or nucleus, by the digits of the PDG's numbering scheme.

    >>> [i for i in (211, -2212, 130, 1000020040, 9010221, 52, 1000022, 5000039, 9000005, 23, 21) if is_hadron(i)]
    [211, -2212, 130, 1000020040, 9010221]
    """
    i = abs(pdg)
    digits = re.fullmatch(r"(9[0-8])?\d{0,4}[1-9]{2}\d", str(i))
    return 10**9 <= i < 2 * 10**9 or (i > 100 and digits is not None and (i < 10**6 or i > 9 * 10**6))


def _visible(events: Sequence[hepmc.Particles], invisible_ids: Sequence[int]) -> Arrays:
    """As `generate.visible_particles`, of particles that HepMC holds."""
    if not events:
        return NOTHING
    pdg = np.concatenate([event.pdg for event in events])
    px, py, pz, e = np.concatenate([event.momenta for event in events]).T
    of = np.repeat(np.arange(len(events)), [len(event.pdg) for event in events])
    unseen = np.isin(np.abs(pdg), [*NEUTRINOS, *invisible_ids])
    seen = ~unseen & (np.abs(pz) < math.sinh(ETA_MAX) * np.hypot(px, py))
    lost = [np.bincount(of[unseen], weights=p[unseen], minlength=len(events)) for p in (px, py)]
    return {
        "counts": np.bincount(of[seen], minlength=len(events)).astype(np.int32),
        "pdg": pdg[seen].astype(np.int32),
        **{name: p[seen].astype(np.float32) for name, p in (("px", px), ("py", py), ("pz", pz), ("e", e))},
        "invisible": np.stack(lost, axis=1).astype(np.float32),
    }


def _about(outside: Outside, form: str, tally: Tally, total: float, sigma: hepmc.CrossSection) -> dict[str, Any]:
    pb, given = check_sigma(sigma.pb, outside.sigma_pb)
    return {
        "format": form,
        "files": [path.name for path in sorted(outside.files)],
        "events": len(tally.weights),
        "unweighted": tally.unweighted,
        "negative": tally.negative,
        "sum_of_weights": total,
        "sigma_pb": pb,
        "sigma_pb_error": 0.0 if given else sigma.error_pb,
        "sigma_given": given,
        "share": [outside.share.number, outside.share.of],
        "events_in_share": len(tally.keys),
    }


def run(outside: Outside, *, events_path: Path, generation_path: Path) -> None:
    """The generate stage: the files of `generate.run`, with `events` in the document, and weights in the archive."""
    made = sample(outside, events_path.parent)
    negative = made.weights < 0
    kept = [int((~negative).sum()), int(negative.sum())]
    arrays = {**made.particles, "slice": negative.astype(np.int8), "weight": made.weights, "key": made.keys}
    if made.about["variations"]:
        arrays["ratios"] = made.ratios
    write_arrays(events_path, arrays)
    document = {
        "schema": SCHEMA,
        "seed": outside.share.number,
        "sigma_pb": made.about["sigma_pb"],
        "sigma_pb_mc_error": made.about["sigma_pb_error"],
        "width_gev": 0.0,
        "tried": made.about["events_in_share"],
        "seen": kept,
        "kept": kept,
        "slice_edges_gev": [],
        "pythia_version": made.about.pop("pythia_version"),
        "events": made.about,
    }
    write_json(generation_path, document)
