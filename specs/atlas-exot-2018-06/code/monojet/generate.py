"""Generate signal events with Pythia 8 and keep what a detector could see.

The analysis knows no dark-matter model: the process, its masses and its decays arrive as Pythia settings,
the couplings of a Z' as physical numbers. What belongs to the analysis (beams, PDF, shower, slices in the
recoil's transverse momentum) is set here and cannot be overridden.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monojet.errors import InputError, StageError
from monojet.files import write_arrays, write_json
from monojet.flavour import heavy_hadrons

ANALYSIS_SETTINGS = (
    "Beams:idA=2212",
    "Beams:idB=2212",
    "Beams:eCM=13000.",
    "PDF:pSet=13",  # NNPDF2.3 QCD+QED LO, alpha_s(mZ) = 0.130
    "Tune:pp=21",  # ATLAS A14 with NNPDF2.3 LO: the tune of the search's own signal samples
    "PartonLevel:MPI=off",  # see README: the selection sees a hard recoil, not the underlying event
    "ParticleDecays:limitTau0=on",  # what flies farther than 10 mm reaches the detector
    "ParticleDecays:tau0Max=10.",
    "Print:quiet=on",
    "Next:numberCount=0",
)
RESERVED_KEYS = re.compile(
    r"(beams|pdf|tune|random|print|next|init|main|check|stat|partonlevel|hadronlevel|parallelism):.*"
    r"|(particledecays:(limittau0|tau0max)|zprime:[va].*)",
    re.IGNORECASE,
)
WORD = re.compile(r"[A-Za-z0-9_./:=,+@%-]+")

ZPRIME_FERMIONS: Mapping[int, str] = {
    1: "d", 2: "u", 3: "s", 4: "c", 5: "b", 6: "t", 7: "bPrime", 8: "tPrime",
    11: "e", 12: "nue", 13: "mu", 14: "numu", 15: "tau", 16: "nutau", 17: "tauPrime", 18: "nutauPrime",
}  # fmt: skip
"""Particle id to the fermion's name in Pythia's `Zprime:v*` and `Zprime:a*`."""

NEUTRINOS = (12, 14, 16)
SLICE_EDGES_GEV = (150.0, 400.0, 700.0, 1000.0)
"""Where slices of the recoil's pT begin; the last one is open. Each gets an equal share of the finished events."""
VETO_SCALE_GEV = 25.0
PATIENCE = 150
MAX_TRIES_PER_EVENT = 20_000
ATTEMPTS_PER_EVENT = 10.0
BATCH = 1000
MAX_SEED = 900_000_000
ETA_MAX = 4.9
SCHEMA = "monojet/generation/1"
WIDTH_TOLERANCE = 0.05
TOP_LOOPS = "higgsbsm:"
"""Processes in which a top loop makes the mediator. Pythia's recoil of them is that of an infinitely heavy top."""


@dataclass(frozen=True, kw_only=True)
class Coupling:
    """Physical vector and axial-vector couplings g_v, g_a of a Z' to one fermion."""

    fermion: int
    g_v: float
    g_a: float


@dataclass(frozen=True, kw_only=True)
class Signal:
    """What the signal model hands to the generator; its cross-section is Pythia's times the factor."""

    pythia_settings: tuple[str, ...]
    zprime_couplings: tuple[Coupling, ...]
    recoil_id: int
    invisible_ids: tuple[int, ...]
    expected_width_gev: float
    cross_section_factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Generation:
    """How a sample was made: the counts from which `histogram` computes its weights."""

    seed: int
    sigma_pb: float
    sigma_pb_mc_error: float
    width_gev: float
    tried: int
    seen: tuple[int, ...]
    kept: tuple[int, ...]
    slice_edges_gev: tuple[float, ...]
    pythia_version: str


def parse_couplings(words: Iterable[str]) -> tuple[Coupling, ...]:
    """Read `<id>=<g_v>,<g_a>` words.

    >>> parse_couplings(["18=0.0,1.0"])
    (Coupling(fermion=18, g_v=0.0, g_a=1.0),)
    """
    couplings = {}
    for word in words:
        match = re.fullmatch(r"(\d+)=([^,]+),([^,]+)", word)
        try:
            if match is None:
                raise ValueError
            fermion, g_v, g_a = int(match[1]), float(match[2]), float(match[3])
        except ValueError:
            raise InputError(f"coupling {word!r} is not of the form <id>=<g_v>,<g_a>") from None
        if fermion not in ZPRIME_FERMIONS:
            raise InputError(f"coupling {word!r}: {fermion} is not a fermion that a Z' couples to")
        if fermion in couplings or not (math.isfinite(g_v) and math.isfinite(g_a)):
            raise InputError(f"coupling {word!r} is given twice or not finite")
        couplings[fermion] = Coupling(fermion=fermion, g_v=g_v, g_a=g_a)
    return tuple(couplings.values())


def check_settings(words: Sequence[str]) -> tuple[str, ...]:
    """Refuse settings that belong to the analysis or that are no plain `key=value` word.

    >>> check_settings(["32:m0=2000"])
    ('32:m0=2000',)
    """
    for word in words:
        if not WORD.fullmatch(word) or "=" not in word:
            raise InputError(f"Pythia setting {word!r} is not a plain key=value word")
        if RESERVED_KEYS.fullmatch(word.split("=")[0]):
            raise InputError(f"Pythia setting {word!r} belongs to the analysis, not to the signal model")
    return tuple(words)


def demand_recoil(words: Iterable[str]) -> None:
    """Refuse events whose recoil would be wrong by factors; cross-sections alone may be made.

    >>> demand_recoil(["NewGaugeBoson:ffbar2gmZZprime=on"])
    """
    if any(word.lower().startswith(TOP_LOOPS) for word in words):
        raise InputError(
            "a top loop makes this mediator, and its recoil in Pythia is that of an infinitely heavy top: 3 to 17 times"
            " too many events above 470 GeV at 500 GeV. Take an analysis with efficiency maps, or events of a generator"
            " that has the loop (--model events)"
        )


def zprime_settings(couplings: Iterable[Coupling], unit: float) -> list[str]:
    """Pythia's couplings v = g_v / f and a = g_a / f for every fermion, with zero for those not named.

    `unit` is f = sqrt(4 pi alpha_em) / (4 sin theta_W cos theta_W), the factor in front of
    fbar gamma^mu (v - a gamma_5) f in Pythia's Lagrangian. No fermion is left at its default, which is
    that of a sequential Z'.

    >>> zprime_settings([Coupling(fermion=1, g_v=0.0, g_a=0.1)], unit=0.2)[:2]
    ['Zprime:vd=0.0', 'Zprime:ad=0.5']
    """
    physical = {c.fermion: (c.g_v, c.g_a) for c in couplings}
    settings = []
    for fermion, name in ZPRIME_FERMIONS.items():
        g_v, g_a = physical.get(fermion, (0.0, 0.0))
        settings += [f"Zprime:v{name}={g_v / unit!r}", f"Zprime:a{name}={g_a / unit!r}"]
    return settings


def coupling_unit(coup_sm: Any, mass_gev: float) -> float:
    """f = sqrt(4 pi alpha_em(m^2)) / (4 sin theta_W cos theta_W), from Pythia's own running couplings."""
    sin2, cos2 = coup_sm.sin2thetaW(), coup_sm.cos2thetaW()
    return math.sqrt(4 * math.pi * coup_sm.alphaEM(mass_gev**2)) / (4 * math.sqrt(sin2 * cos2))


class RecoilSlices:
    """Counts events in slices of the recoil's transverse momentum and says which of them to finish.

    The slice of an event is decided when its shower has evolved down to VETO_SCALE_GEV. Each slice has a
    quota; an event beyond the quota of its slice is counted (`seen`) but not finished. After PATIENCE tries
    for each event asked for, the quotas no longer hold, so that a signal without a tail ends too. The
    decision looks at counts only, never at the event: the kept events of a slice are a fair sample of it.

    >>> slices = RecoilSlices(edges_gev=(150.0, 400.0), events=2)
    >>> for pt in (100.0, 200.0, 300.0, 500.0):
    ...     if slices.wants(pt):
    ...         slices.keep()
    >>> slices.seen, slices.kept, slices.labels
    ([2, 1], [1, 1], [0, 1])
    """

    def __init__(self, *, edges_gev: Sequence[float], events: int) -> None:
        self.edges_gev = tuple(edges_gev)
        self.quotas = [math.ceil(events / len(edges_gev))] * len(edges_gev)
        self.patience = PATIENCE * events
        self.max_tries = MAX_TRIES_PER_EVENT * events
        self.tries = 0
        self.seen = [0] * len(self.edges_gev)
        self.kept = [0] * len(self.edges_gev)
        self.labels: list[int] = []
        self.current = 0

    @property
    def exhausted(self) -> bool:
        """True when so many events were vetoed that the sample is given up."""
        return self.tries > self.max_tries

    def wants(self, pt_gev: float) -> bool:
        """Count an event with this recoil pT; True if it is to be finished."""
        self.tries += 1
        self.current = bisect_right(self.edges_gev, pt_gev) - 1
        if self.exhausted:
            return True  # lets Pythia's event loop end; `sample` then reports the error
        if self.current < 0:
            return False
        self.seen[self.current] += 1
        return self.kept[self.current] < self.quotas[self.current] or self.tries > self.patience

    def keep(self) -> None:
        """The event last wanted is complete and enters the sample."""
        self.kept[self.current] += 1
        self.labels.append(self.current)


def recoil_slices_hook(slices: RecoilSlices, recoil_id: int) -> Any:
    """A Pythia user hook that asks `slices` about each event while its shower is still unfinished.

    `doVetoPT` is called once an event, when the shower has evolved down to VETO_SCALE_GEV. The recoil is
    then still undecayed, and the rest of the shower, beam remnants, decays and hadronisation of an
    unwanted event are never made. Position 5 marks calls for the showers of decay products.
    """
    import pythia8mc

    class RecoilSlicesHook(pythia8mc.UserHooks):  # type: ignore[misc]  # the extension has no type stubs
        def canVetoPT(self) -> bool:  # noqa: N802  # Pythia's names
            return True

        def scaleVetoPT(self) -> float:  # noqa: N802
            return VETO_SCALE_GEV

        def doVetoPT(self, position: int, event: Any) -> bool:  # noqa: N802
            if position == 5:
                return False
            for hard in range(3, min(8, event.size())):
                particle = event[hard]
                if particle.idAbs() == recoil_id:
                    return not slices.wants(event[particle.iBotCopyId()].pT())
            return not slices.wants(0.0)

        def onEndEvent(self, status: Any) -> None:  # noqa: N802
            if status == pythia8mc.UserHooks.COMPLETE:
                slices.keep()

    return RecoilSlicesHook()


def start_pythia(signal: Signal, seed: int, hook: Any = None, settings: Sequence[str] = ()) -> Any:
    """An initialised Pythia for this signal; a setting that it refuses is an error. `settings` come after all others.

    The Z' couplings are set in units of f at the mass of particle 32 (see `zprime_settings`), which takes
    a first Pythia whose electroweak couplings are initialised but which generates nothing.
    """
    import pythia8mc

    words = [*check_settings(signal.pythia_settings), *ANALYSIS_SETTINGS]
    words += ["Random:setSeed=on", f"Random:seed={seed}"]
    if signal.zprime_couplings:
        couplings_only = pythia8mc.Pythia("", False)
        for word in ("Print:quiet=on", "ProcessLevel:all=off"):
            couplings_only.readString(word)
        read_settings(couplings_only, [w for w in signal.pythia_settings if w.lower().startswith("32:m0=")])
        if not couplings_only.init():
            raise StageError("Pythia cannot initialise its Standard-Model couplings")
        unit = coupling_unit(couplings_only.coupSM, couplings_only.particleData.m0(32))
        words += zprime_settings(signal.zprime_couplings, unit)
    pythia = pythia8mc.Pythia("", False)
    read_settings(pythia, [*words, *settings])
    if hook is not None:
        pythia.setUserHooksPtr(hook)
    if not pythia.init():
        raise StageError("Pythia failed to initialise this process: is any process switched on and open?")
    return pythia


def read_settings(pythia: Any, words: Iterable[str]) -> None:
    """Hand settings to Pythia one by one, so that the refused one can be named."""
    for word in words:
        if not pythia.readString(word):
            raise InputError(f"Pythia does not know the setting {word!r}")


def check_width(pythia_gev: float, expected_gev: float) -> None:
    """Compare the mediator's width in Pythia with the signal model's formula (Pythia adds QCD corrections).

    >>> check_width(56.4, 55.5)
    """
    if abs(pythia_gev / expected_gev - 1) > WIDTH_TOLERANCE:
        raise StageError(
            f"mediator width: Pythia has {pythia_gev:.4g} GeV where the signal model expects "
            f"{expected_gev:.4g} GeV; they differ by more than {WIDTH_TOLERANCE:.0%}"
        )


def total_cross_section_pb(info: Any) -> tuple[float, float]:
    """Cross-section before the veto and its MC error, in pb, from Pythia's counters after the veto.

    Pythia scales sigmaGen by accepted/selected and adds that ratio's binomial error to sigmaErr; both are
    taken out again. The veto keeps a known share of the events: it is no uncertainty of the rate.
    """
    accepted, selected = info.nAccepted(), info.nSelected()
    if accepted <= 0 or info.sigmaGen() <= 0:
        raise StageError("the cross-section of this signal is zero: no event can be generated")
    sigma = info.sigmaGen() * selected / accepted * 1e9
    relative2 = (info.sigmaErr() / info.sigmaGen()) ** 2 - (selected - accepted) / (accepted * selected)
    return sigma, sigma * math.sqrt(max(relative2, 0.0))


def visible_particles(batch: Any, invisible_ids: Sequence[int]) -> dict[str, npt.NDArray[Any]]:
    """Final-state particles within |eta| < 4.9 that leave energy in the detector, as flat arrays.

    `counts` holds the number of particles of each event; `pdg`, `px`, `py`, `pz`, `e` follow one another
    event by event; `invisible` is the summed (px, py) of the invisible particles of each event.
    """
    import awkward as ak

    status = ak.to_numpy(ak.flatten(batch.prt.status))
    final = np.flatnonzero(status > 0)
    event = np.repeat(np.arange(len(batch)), ak.to_numpy(ak.num(batch.prt.status)))[final]
    pdg = ak.to_numpy(ak.flatten(batch.prt.id))[final]
    momentum = batch.prt.p
    px, py, pz, e = (
        ak.to_numpy(ak.flatten(component))[final] for component in (momentum.px, momentum.py, momentum.pz, momentum.e)
    )
    invisible = np.isin(np.abs(pdg), [*NEUTRINOS, *invisible_ids])
    central = np.abs(pz) < math.sinh(ETA_MAX) * np.hypot(px, py)
    visible = central & ~invisible
    lost = event[invisible]
    return {
        "counts": np.bincount(event[visible], minlength=len(batch)).astype(np.int32),
        "pdg": pdg[visible].astype(np.int32),
        **{
            name: component[visible].astype(np.float32)
            for name, component in (("px", px), ("py", py), ("pz", pz), ("e", e))
        },
        "invisible": np.stack(
            [np.bincount(lost, weights=p[invisible], minlength=len(batch)) for p in (px, py)], axis=1
        ).astype(np.float32),
    }


def sample(
    signal: Signal, *, seed: int, events: int, edges_gev: Sequence[float] = SLICE_EDGES_GEV
) -> tuple[dict[str, npt.NDArray[Any]], Generation]:
    """Generate `events` events whose recoil lies in one of the slices, and the counts that weigh them."""
    if events < 1:
        raise InputError(f"events is {events}; at least one is needed")
    if not 1 <= seed <= MAX_SEED:
        raise InputError(f"seed is {seed}; Pythia takes 1 to {MAX_SEED} (0 would be the clock)")
    slices = RecoilSlices(edges_gev=edges_gev, events=events)
    hook = recoil_slices_hook(slices, signal.recoil_id)  # Pythia holds no reference: this name keeps it alive
    pythia = start_pythia(signal, seed, hook)
    width_gev = pythia.particleData.mWidth(signal.recoil_id)
    if signal.expected_width_gev > 0:
        check_width(width_gev, signal.expected_width_gev)
    batches: list[dict[str, npt.NDArray[Any]]] = []
    while (missing := events - sum(len(b["counts"]) for b in batches)) > 0:
        try:
            batch = pythia.nextBatch(min(BATCH, missing), ATTEMPTS_PER_EVENT)
        except RuntimeError as error:
            raise StageError(f"Pythia fails on most events of this signal: {error}") from error
        if slices.exhausted:
            raise StageError(
                f"only {sum(slices.kept)} of {slices.tries} events have a recoil above "
                f"{edges_gev[0]:g} GeV: this signal is out of reach of a monojet search"
            )
        batches.append({**visible_particles(batch, signal.invisible_ids), **heavy_hadrons(batch)})
    info = pythia.infoPython()
    sigma_pb, sigma_pb_mc_error = total_cross_section_pb(info)
    arrays = {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
    arrays["slice"] = np.array(slices.labels, dtype=np.int8)
    return arrays, Generation(
        seed=seed,
        sigma_pb=sigma_pb * signal.cross_section_factor,
        sigma_pb_mc_error=sigma_pb_mc_error * signal.cross_section_factor,
        width_gev=width_gev,
        tried=info.nSelected(),
        seen=tuple(slices.seen),
        kept=tuple(slices.kept),
        slice_edges_gev=tuple(edges_gev),
        pythia_version=f"{pythia.parm('Pythia:versionNumber'):.3f}",
    )


def run(
    signal: Signal, *, seed: int, events: int, events_path: Path, generation_path: Path, any_recoil: bool = False
) -> None:
    """The generate stage: write the visible particles (npz) and the counts (`monojet/generation/1`).

    `any_recoil` is for an analysis that says by itself that it does not cover events of a top loop.
    """
    if not any_recoil:
        demand_recoil(signal.pythia_settings)
    arrays, generation = sample(signal, seed=seed, events=events)
    write_arrays(events_path, arrays)
    write_json(generation_path, {"schema": SCHEMA, **asdict(generation)})
