"""Les Houches event files, versions 1 to 3 (hep-ph/0609017, arXiv:1405.1067), read line by line and checked.

Every error says `file:line`. Momenta and masses are in GeV, cross-sections in pb.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from monojet.errors import InputError
from monojet.opened import Lines, opened

PROTON = 2212
BEAM_GEV = 6500.0
BEAM_TOLERANCE = 1e-3
LIGHT_PARTONS = frozenset((1, 2, 3, 4, 5, 21))
BALANCE = 1e-3
"""Four-momentum may be off by this share of the incoming energy: files print seven digits or more."""

INCOMING, FINAL = -1, 1
ATTRIBUTE = re.compile(rb"""([A-Za-z_]+)\s*=\s*["']([^"']*)["']""")
CARD_LINE = re.compile(rb"^\s*([^#!=]+?)\s*=\s*([A-Za-z_0-9]+)")


@dataclass(frozen=True, kw_only=True)
class Variation:
    """A weight that stands beside the nominal one: its id, what the file says about it, and the group it is in."""

    id: str
    text: str
    group: str
    combine: str


@dataclass(frozen=True, kw_only=True)
class Head:
    """What stands before the events: cross-section, strategy of the weights (IDWTUP), run card, variations."""

    name: str
    sigma_pb: float
    sigma_error_pb: float
    strategy: int
    run_card: Mapping[str, str]
    variations: tuple[Variation, ...]


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event: `key` is a hash of its particles, `lines` are theirs as they stand in the file.

    `ids`, `status`, `colours` and `masses` have one entry a particle; `hard_partons` counts the light outgoing partons
    of the scattering itself; `couplings` are alpha_em and alpha_s; `variations` are weights by id.
    """

    place: str
    key: int
    process: int
    weight: float
    scale_gev: float
    couplings: tuple[float, float]
    ids: tuple[int, ...]
    status: tuple[int, ...]
    colours: tuple[tuple[int, int], ...]
    masses: tuple[float, ...]
    hard_partons: int
    lines: tuple[bytes, ...]
    variations: Mapping[str, float]

    @property
    def final_ids(self) -> tuple[int, ...]:
        """Ids of the outgoing particles."""
        return tuple(i for i, status in zip(self.ids, self.status, strict=True) if status == FINAL)


def read_head(lines: Lines) -> Head:
    """Everything up to `</init>`; the lines then stand before the first event."""
    card: dict[str, str] = {}
    variations: list[Variation] = []
    group, combine, in_card = "", "", False
    for line in lines:
        text = line.strip()
        if text.startswith(b"<init") and not text.startswith(b"<initrwgt"):
            return _read_init(lines, card, tuple(variations))
        if text.startswith(b"<event"):
            raise InputError(f"{lines.place}: an event before <init>")
        if text.startswith((b"<MGRunCard", b"</MGRunCard")):
            in_card = text.startswith(b"<MGRunCard")
        elif in_card and (match := CARD_LINE.match(line)):
            card[match[2].decode().lower()] = match[1].decode("utf-8", "replace").strip("'\" ")
        elif text.startswith((b"<weightgroup", b"</weightgroup")):
            said = _attributes(text)
            group, combine = said.get("name", said.get("type", "")), said.get("combine", "")
        elif text.startswith(b"<weight ") and "id" in (said := _attributes(text)):
            shown = re.sub(rb"<[^>]*>", b"", text).decode("utf-8", "replace").strip()
            about = " ".join([shown, *(f"{k}={v}" for k, v in said.items() if k != "id")]).strip()
            variations.append(Variation(id=said["id"], text=about, group=group, combine=combine))
    raise InputError(f"{lines.place}: the file is truncated: there is no <init> block")


def _attributes(tag: bytes) -> dict[str, str]:
    return {name.decode().lower(): value.decode("utf-8", "replace").strip() for name, value in ATTRIBUTE.findall(tag)}


def _read_init(lines: Lines, card: Mapping[str, str], variations: tuple[Variation, ...]) -> Head:
    """The <init> block: two protons of 6500 GeV, and the cross-section summed over the processes."""
    beams = _numbers(lines, _next(lines, "<init>"), 10)
    ids, energies, strategy, processes = beams[:2], beams[2:4], int(beams[8]), int(beams[9])
    if any(int(i) != PROTON for i in ids) or any(abs(e / BEAM_GEV - 1) > BEAM_TOLERANCE for e in energies):
        raise InputError(
            f"{lines.place}: the beams are {int(ids[0])} of {energies[0]:g} and {int(ids[1])} of {energies[1]:g} GeV; "
            f"the analysis is of protons (2212) of {BEAM_GEV:g} GeV each"
        )
    if abs(strategy) not in (1, 3, 4) and not (abs(strategy) == 2 and processes == 1):
        raise InputError(
            f"{lines.place}: weights of {processes} processes with IDWTUP = {strategy} have no clear meaning"
        )
    rows = [_numbers(lines, _next(lines, "<init>"), 4) for _ in range(processes)]
    if not rows:
        raise InputError(f"{lines.place}: <init> names no process")
    for line in lines:
        if line.strip().startswith(b"</init"):
            return Head(
                name=lines.name,
                sigma_pb=math.fsum(row[0] for row in rows),
                sigma_error_pb=math.hypot(*(row[1] for row in rows)),
                strategy=strategy,
                run_card=card,
                variations=variations,
            )
    raise InputError(f"{lines.place}: the file is truncated within <init>")


def read_events(lines: Lines) -> Iterator[Event]:
    """The events that follow the head, up to `</LesHouchesEvents>`, which must be there."""
    for line in lines:
        text = line.strip()
        if text.startswith(b"<event") and text[6:7] in (b">", b" ", b"\t"):
            yield _read_event(lines)
        elif text.startswith(b"</LesHouchesEvents"):
            return
        elif text and not text.startswith((b"#", b"<!--", b"-->")):
            raise InputError(f"{lines.place}: {text[:40].decode('ascii', 'replace')!r} stands between events")
    raise InputError(f"{lines.place}: the file is truncated: it does not end with </LesHouchesEvents>")


def _read_event(lines: Lines) -> Event:
    place = lines.place
    header = _numbers(lines, _next(lines, "an event"), 6)
    rows = []
    for _ in range(int(header[0])):
        line = _next(lines, "an event")
        rows.append((_numbers(lines, line, 13), line))
    if not rows:
        raise InputError(f"{place}: an event without particles")
    variations = _rest_of_event(lines)
    particles = [row for row, _ in rows]
    _check_balance(place, particles)
    key = hashlib.sha256(b"\n".join(b" ".join(line.split()) for _, line in rows)).digest()
    return Event(
        place=place,
        key=int.from_bytes(key[:8], "big"),
        process=int(header[1]),
        weight=header[2],
        scale_gev=header[3],
        couplings=(header[4], header[5]),
        ids=tuple(int(p[0]) for p in particles),
        status=tuple(int(p[1]) for p in particles),
        colours=tuple((int(p[4]), int(p[5])) for p in particles),
        masses=tuple(p[10] for p in particles),
        hard_partons=sum(_is_hard_parton(p, particles) for p in particles),
        lines=tuple(line for _, line in rows),
        variations=variations,
    )


def _rest_of_event(lines: Lines) -> dict[str, float]:
    """Up to </event>: the weights of <rwgt>; everything else (comments, clusterings, scales) is passed over."""
    variations = {}
    for line in lines:
        text = line.strip()
        if text.startswith(b"</event"):
            return variations
        if text.startswith(b"<wgt"):
            said, value = _attributes(text), re.sub(rb"<[^>]*>", b"", text)
            variations[said.get("id", "")] = _numbers(lines, value, 1)[0]
        elif text.startswith((b"<event", b"</LesHouchesEvents")):
            break
    raise InputError(f"{lines.place}: the event is truncated: there is no </event>")


def _next(lines: Lines, within: str) -> bytes:
    """The next line that is neither empty nor a comment."""
    for line in lines:
        if line.strip() and not line.lstrip().startswith(b"#"):
            return line
    raise InputError(f"{lines.place}: the file is truncated within {within}")


def _numbers(lines: Lines, line: bytes, count: int) -> list[float]:
    """The first `count` finite numbers of a line; Fortran's exponents (1.0D+02) are read too."""
    words = line.split()
    try:
        if len(words) < count:
            raise ValueError
        try:
            numbers = [float(word) for word in words[:count]]
        except ValueError:
            numbers = [float(word.lower().replace(b"d", b"e")) for word in words[:count]]
        if not all(map(math.isfinite, numbers)):
            raise ValueError
    except ValueError:
        shown, place = line.strip()[:60].decode("ascii", "replace"), lines.place
        ends = "; the file is truncated here" if next(iter(lines), None) is None else ""
        raise InputError(f"{place}: expected {count} finite number(s), found {shown!r}{ends}") from None
    return numbers


def _check_balance(place: str, particles: Sequence[Sequence[float]]) -> None:
    """Outgoing particles carry the momentum of the incoming ones, of which there are two."""
    incoming = [p for p in particles if int(p[1]) == INCOMING]
    outgoing = [p for p in particles if int(p[1]) == FINAL]
    if len(incoming) != 2 or not outgoing:
        raise InputError(f"{place}: an event with {len(incoming)} incoming and {len(outgoing)} outgoing particles")
    energy = incoming[0][9] + incoming[1][9]
    off = max(abs(sum(p[k] for p in outgoing) - sum(p[k] for p in incoming)) for k in (6, 7, 8, 9))
    if off > BALANCE * energy:
        raise InputError(f"{place}: outgoing momenta differ from the incoming ones by {off:.3g} GeV")


def _is_hard_parton(particle: Sequence[float], particles: Sequence[Sequence[float]]) -> bool:
    """A light outgoing parton that comes from the scattering itself, not from a resonance."""
    if int(particle[1]) != FINAL or abs(int(particle[0])) not in LIGHT_PARTONS:
        return False
    mother = int(particle[2])
    return not 1 <= mother <= len(particles) or int(particles[mother - 1][1]) == INCOMING


def head_of(path: Path) -> Head:
    """The head of a file."""
    with opened(path) as lines:
        return read_head(lines)


def events_of(path: Path) -> Iterator[Event]:
    """The events of a file, one after the other; raises InputError at the first that is not one."""
    with opened(path) as lines:
        read_head(lines)
        yield from read_events(lines)
