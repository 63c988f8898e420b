"""Pythia showers, matches and hadronises events of a Les Houches file, each with random numbers of its own.

The share is written to a file of its own, in which the weight of each event (XWGTUP) is its number, from 1: Pythia
gives it back to the hook, so that it is certain which event of the file a finished one was. The strategy of that file
is 3 (unweighted), so Pythia's own weight of an event is the one of its merging.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from monojet.errors import StageError
from monojet.generate import ANALYSIS_SETTINGS, BATCH, MAX_SEED, read_settings, visible_particles
from monojet.lhe import BEAM_GEV, PROTON, Event
from monojet.matching import Matching

MAX_FAILED = 0.02
"""Of the events Pythia may give up as many; more, and the file is not what it takes."""
HEAD = f"""<LesHouchesEvents version="1.0">
<init>
{PROTON} {PROTON} {BEAM_GEV} {BEAM_GEV} 0 0 0 0 3 1
1.0 0.0 1.0 1
</init>
"""
TAIL = "</LesHouchesEvents>\n"
NOTHING: dict[str, npt.NDArray[Any]] = {
    "counts": np.zeros(0, dtype=np.int32),
    "pdg": np.zeros(0, dtype=np.int32),
    **{name: np.zeros(0, dtype=np.float32) for name in ("px", "py", "pz", "e")},
    "invisible": np.zeros((0, 2), dtype=np.float32),
}
"""Particles of no event, laid out as those of `visible_particles`."""


@dataclass(frozen=True, kw_only=True)
class NewParticle:
    """A particle that Pythia may not know: its id, mass in GeV and colour type (0, 1 or -1, 2)."""

    id: int
    mass_gev: float
    colour: int


@dataclass(frozen=True, kw_only=True)
class Showered:
    """Finished events: visible particles, the number (from 0) of each in the share, the weight of its merging."""

    particles: dict[str, npt.NDArray[Any]]
    numbers: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float64]
    vetoed: int
    failed: int
    pythia_version: str


def event_text(event: Event, number: int) -> str:
    """An event as the share's file has it; `number` stands for its weight."""
    alpha_em, alpha_s = event.couplings
    head = f"{len(event.ids)} 1 {number} {event.scale_gev!r} {alpha_em!r} {alpha_s!r}"
    rows = "\n".join(line.decode("ascii", "replace") for line in event.lines)
    return f"<event>\n{head}\n{rows}\n</event>\n"


def seeds(key: int) -> tuple[int, int]:
    """Two seeds of Pythia from the hash of an event: until its hard process stands, and from then on.

    >>> seeds(0)
    (1, 1)
    """
    return 1 + key % MAX_SEED, 1 + (key >> 30) % MAX_SEED


def hook_of(keys: Sequence[int], mlm: bool) -> Any:  # noqa: C901  # one short method for each of Pythia's calls
    """The user hook that gives each event its own random numbers and notes what became of it.

    Between two events Pythia tells the hook when it begins one, and when MLM vetoes one and it goes on to the next.
    """
    import pythia8mc

    base = pythia8mc.JetMatchingMadgraph if mlm else pythia8mc.UserHooks

    class EventHook(base):  # type: ignore[misc, valid-type]  # the extension has no type stubs
        def __init__(self) -> None:
            super().__init__()
            self.pythia: Any = None
            self.number = 0
            self.read = 0
            self.vetoed = 0
            self.numbers: list[int] = []
            self.weights: list[float] = []

        def seed_next(self) -> None:
            if self.number < len(keys):
                self.pythia.rndm.init(seeds(keys[self.number])[0])

        def onBeginEvent(self) -> None:  # noqa: N802  # Pythia's names
            self.seed_next()

        def canVetoProcessLevel(self) -> bool:  # noqa: N802
            return True

        def doVetoProcessLevel(self, process: Any) -> bool:  # noqa: N802
            self.number = round(self.pythia.infoPython().eventWeightLHEF)
            self.read += 1
            self.pythia.rndm.init(seeds(keys[self.number - 1])[1])
            return bool(super().doVetoProcessLevel(process))

        def doVetoPartonLevelEarly(self, event: Any) -> bool:  # noqa: N802
            vetoed = bool(super().doVetoPartonLevelEarly(event))
            if vetoed:
                self.vetoed += 1
                self.seed_next()
            return vetoed

        def onEndEvent(self, status: Any) -> None:  # noqa: N802
            if status == pythia8mc.UserHooks.COMPLETE:
                self.numbers.append(self.number - 1)
                self.weights.append(self.pythia.infoPython().weight())

    return EventHook()


def particle_settings(pythia: Any, new: Iterable[NewParticle], invisible_ids: Sequence[int]) -> list[str]:
    """Settings that make Pythia know all particles of the events, and leave the invisible ones as they are."""
    known = pythia.particleData.isParticle
    words = [
        f"{p.id}:new = X{p.id} X{p.id}bar 2 0 {p.colour} {p.mass_gev!r}" for p in new if p.id > 0 and not known(p.id)
    ]
    return [*words, *(f"{i}:mayDecay = off" for i in invisible_ids)]


def shower(
    path: Path, keys: Sequence[int], *, matching: Matching, new: Iterable[NewParticle], invisible_ids: Sequence[int]
) -> Showered:
    """The events of a share's file, as the detector sees them: those that survive."""
    import pythia8mc

    hook = hook_of(keys, matching.scheme == "mlm")
    pythia = pythia8mc.Pythia("", False)
    hook.pythia = pythia
    words = [*ANALYSIS_SETTINGS, "Beams:frameType=4", f"Beams:LHEF={path}", *matching.settings]
    read_settings(pythia, [*words, *particle_settings(pythia, new, invisible_ids)])
    pythia.setUserHooksPtr(hook)
    if not pythia.init():
        raise StageError("Pythia failed to initialise with these events")
    batches = [NOTHING, *_batches(pythia, hook, len(keys), invisible_ids)]
    done = np.array(hook.weights) != 0
    failed = 0 if matching.scheme == "ckkw-l" else len(keys) - len(hook.numbers) - hook.vetoed
    if failed > max(MAX_FAILED * len(keys), 1):
        raise StageError(f"Pythia gives up {failed} of {len(keys)} events: they are not what it can shower")
    return Showered(
        particles=_chosen(batches, done),
        numbers=np.array(hook.numbers, dtype=np.int64)[done],
        weights=np.array(hook.weights)[done],
        vetoed=len(keys) - failed - int(done.sum()),
        failed=failed,
        pythia_version=f"{pythia.parm('Pythia:versionNumber'):.3f}",
    )


def _batches(
    pythia: Any, hook: Any, events: int, invisible_ids: Sequence[int]
) -> Iterable[dict[str, npt.NDArray[Any]]]:
    """Finished events, batch by batch, until the file is read. One call of Pythia reads at least one event."""
    import awkward as ak

    while hook.number < events:
        read, finished = hook.read, len(hook.numbers)
        batch = pythia.nextBatch(min(BATCH, events - hook.number), "none")
        if len(hook.numbers) > finished:
            yield visible_particles(batch[~ak.to_numpy(ak.is_none(batch))], invisible_ids)
        if hook.read == read:
            return


def _chosen(batches: Sequence[dict[str, npt.NDArray[Any]]], done: npt.NDArray[np.bool_]) -> dict[str, npt.NDArray[Any]]:
    """The events of all batches that are done, one after the other."""
    arrays = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    of_particle = np.repeat(done, arrays["counts"])
    return {name: array[done if name in ("counts", "invisible") else of_particle] for name, array in arrays.items()}
