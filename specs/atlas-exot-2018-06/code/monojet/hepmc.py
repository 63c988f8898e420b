"""HepMC text, versions 3 (`Asciiv3`) and 2 (`IO_GenEvent`), read event by event and checked.

Only what the analysis needs: beams, weights, cross-section, and the stable particles (status 1). Momenta in GeV.
Every error says the event and `file:line`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from monojet.errors import InputError
from monojet.lhe import BEAM_GEV, BEAM_TOLERANCE, PROTON
from monojet.opened import Lines, opened

START = {
    b"HepMC::Asciiv3-START_EVENT_LISTING": 3,
    b"HepMC::IO_GenEvent-START_EVENT_LISTING": 2,
}
END = (b"HepMC::Asciiv3-END_EVENT_LISTING", b"HepMC::IO_GenEvent-END_EVENT_LISTING")
UNITS = {b"GEV": 1.0, b"MEV": 1e-3}
STABLE, BEAM = b"1", b"4"
FIELDS = {3: (3, 9), 2: (2, 8)}
"""Where the id and the status stand in a P line; px, py, pz, e follow the id."""


@dataclass(frozen=True, kw_only=True)
class CrossSection:
    """A file's running estimate, pb; `accepted` events stand behind it (0: not said)."""

    pb: float
    error_pb: float
    accepted: int


@dataclass(frozen=True, kw_only=True)
class Particles:
    """The stable particles of one event: `pdg`, and `momenta` as rows of px, py, pz, e."""

    pdg: npt.NDArray[np.int64]
    momenta: npt.NDArray[np.float64]


@dataclass(kw_only=True)
class Event:
    """One event as it stands in the file: `key` is a hash of the text of its particles.

    `declared` is how many particles it should have, `rows` are the lines of those that it has.
    """

    name: str
    ordinal: int
    line: int
    version: int
    declared: int = 0
    unit: float = 1.0
    weights: tuple[float, ...] = (1.0,)
    cross_section: CrossSection | None = None
    rows: list[bytes] = field(default_factory=list)

    @property
    def place(self) -> str:
        """`file:line: event n`, for errors."""
        return f"{self.name}:{self.line}: event {self.ordinal}"

    @property
    def key(self) -> int:
        """The same for the same particles, wherever they stand and whatever their weights are."""
        return int.from_bytes(hashlib.sha256(b"\n".join(self.rows)).digest()[:8], "big")

    def particles(self) -> Particles:
        """The stable particles of an event whose beams are those of the analysis."""
        at, status = FIELDS[self.version]
        pdg, momenta, beams = [], [], []
        for row in self.rows:
            words = row.split()
            try:
                if words[status] == STABLE:
                    pdg.append(int(words[at]))
                    momenta.append([float(word) for word in words[at + 1 : at + 5]])
                elif words[status] == BEAM:
                    beams.append((int(words[at]), float(words[at + 4]) * self.unit))
            except (ValueError, IndexError):
                shown = row[:60].decode("ascii", "replace")
                raise InputError(f"{self.place} is damaged: {shown!r} is no particle of HepMC {self.version}") from None
        self._check_beams(beams)
        array = np.array(momenta, dtype=np.float64).reshape(-1, 4) * self.unit
        if not np.isfinite(array).all():
            raise InputError(f"{self.place} has momenta that are not finite")
        return Particles(pdg=np.array(pdg, dtype=np.int64), momenta=array)

    def _check_beams(self, beams: list[tuple[int, float]]) -> None:
        if len(beams) != 2 or any(i != PROTON or abs(e / BEAM_GEV - 1) > BEAM_TOLERANCE for i, e in beams):
            shown = " and ".join(f"{i} of {e:g} GeV" for i, e in beams) or "not there"
            raise InputError(
                f"{self.place}: the beams (status 4) are {shown}; the analysis is of two protons of {BEAM_GEV:g} GeV"
            )


class Reader:
    """The events of one file; `weight_names` are known once the first event has been read."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._version = 0
        self.weight_names: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[Event]:
        event: Event | None = None
        for line in self._lines:
            if event is not None and line[:2] == b"P ":
                event.rows.append(line)
            elif line in END:
                yield from self._finished(event)
                return
            elif line in START:
                self._version = START[line]
            elif line[:2] == b"E ":
                yield from self._finished(event)
                ordinal = event.ordinal + 1 if event else 1
                event = Event(name=self._lines.name, ordinal=ordinal, line=self._lines.number, version=self._version)
                self._take(event, line)
            elif event is not None:
                self._take(event, line)
            elif line[:2] == b"W " and self._version == 3:
                self.weight_names = tuple(line[2:].decode("utf-8", "replace").split("\\|"))
        where = f"within event {event.ordinal}" if event is not None else "before its first event"
        raise InputError(f"{self._lines.place}: the file is truncated {where}: it does not end with END_EVENT_LISTING")

    def _take(self, event: Event, line: bytes) -> None:
        """Takes a line that is no particle's; one that is not as it must be is an error that shows it."""
        words = line.split()
        try:
            match words[0] if words else b"":
                case b"E":
                    self._header(event, words)
                case b"U":
                    event.unit = UNITS[words[1]]
                case b"W" if self._version == 3:
                    event.weights = _weights(words[1:])
                case b"A" if words[2] == b"GenCrossSection":
                    event.cross_section = _cross_section(words[3:])
                case b"C" if self._version == 2:
                    event.cross_section = _cross_section(words[1:])
                case b"N" if self._version == 2:
                    self.weight_names = tuple(line.decode("utf-8", "replace").split('"')[1::2])
                case b"V" if self._version == 2:
                    event.declared += int(words[7]) + int(words[8])
                case b"V" | b"A" | b"H" | b"F" | b"T":
                    pass
                case _:
                    raise ValueError
        except (ValueError, IndexError, KeyError):
            shown = line[:60].decode("ascii", "replace")
            raise InputError(
                f"{self._lines.place}: event {event.ordinal} is damaged: {shown!r} is no line of HepMC {self._version}"
            ) from None

    def _header(self, event: Event, words: list[bytes]) -> None:
        if self._version == 3:
            event.declared = int(words[3])
        else:
            states = int(words[11])
            count = int(words[12 + states])
            event.weights = _weights(words[13 + states : 13 + states + count])

    def _finished(self, event: Event | None) -> Iterator[Event]:
        """The event, when all of it is there."""
        if event is None:
            return
        if len(event.rows) != event.declared:
            raise InputError(f"{event.place} has {len(event.rows)} of its {event.declared} particles")
        yield event


def _weights(words: list[bytes]) -> tuple[float, ...]:
    weights = tuple(float(word) for word in words) or (1.0,)
    if not all(map(math.isfinite, weights)):
        raise ValueError
    return weights


def _cross_section(words: list[bytes]) -> CrossSection:
    """`xs err [accepted attempted ...]`; -1 stands for what is not known."""
    accepted = int(words[2]) if len(words) > 2 else 0
    return CrossSection(pb=float(words[0]), error_pb=max(float(words[1]), 0.0), accepted=max(accepted, 0))


def best(a: CrossSection | None, b: CrossSection | None) -> CrossSection | None:
    """Of two running estimates the one with more events behind it, or else the more precise one.

    So it does not matter in which order the events stand, and over how many files.

    >>> early = CrossSection(pb=1.0, error_pb=0.3, accepted=10)
    >>> best(early, CrossSection(pb=1.2, error_pb=0.1, accepted=100)).pb
    1.2
    """
    if a is None or b is None:
        return a or b
    return max(a, b, key=lambda x: (x.accepted, -x.error_pb if x.error_pb > 0 else -math.inf, x.pb))


def events_of(path: Path) -> Iterator[tuple[Event, tuple[str, ...]]]:
    """The events of a file with the names of their weights."""
    with opened(path) as lines:
        reader = Reader(lines)
        for event in reader:
            yield event, reader.weight_names
