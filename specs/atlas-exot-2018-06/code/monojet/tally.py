"""What the events of all files say together: how many, with what weights, each once; and which belong to one share.

Which share an event belongs to, and the random numbers of its shower and of its detector emulation, follow from a hash
of the event. So the order of the events, and over how many files they are spread, change nothing.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from monojet.errors import InputError

EQUAL = 1e-6
"""Weights that differ by less than this share of themselves are equal: files print seven digits or more."""
USUAL = frozenset((*range(1, 7), *range(11, 17), 21, 22, 23, 24, 25))
"""What a hard process of the Standard Model ends in: Pythia showers it and lets it decay."""


@dataclass(frozen=True, kw_only=True)
class Share:
    """Share `number` (from 1) of `of`.

    >>> Share.parse("2/4").holds(5)
    True
    """

    number: int
    of: int

    @classmethod
    def parse(cls, word: str) -> Share:
        """`2/4`."""
        match = re.fullmatch(r"([1-9]\d{0,3})/([1-9]\d{0,3})", word)
        if match is None or int(match[1]) > int(match[2]):
            raise InputError(f"with events from outside seeds are shares such as 1/4 and 4/4, not {word!r}")
        return cls(number=int(match[1]), of=int(match[2]))

    def holds(self, key: int) -> bool:
        """Whether the event with this hash is in the share."""
        return key % self.of == self.number - 1


@dataclass(kw_only=True)
class Tally:
    """Counts the events of all files, and keeps hash and weight of those of one share.

    A sample is unweighted when in each file all weights have one size; then only their signs count, so that files of
    different normalisation may stand side by side. Otherwise weights are taken as they are.
    """

    share: Share
    unweighted: bool = True
    weights: array[float] = field(default_factory=lambda: array("d"))
    keys: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    final_ids: Counter[int] = field(default_factory=Counter)
    _ordinals: dict[int, int] = field(default_factory=dict)
    _size: float = 0.0

    def begin_file(self) -> None:
        """The next events are of another file."""
        self._size = 0.0

    def add(self, place: str, key: int, weight: float) -> bool:
        """Counts an event; True when it is in the share. Two equal events are an error."""
        ordinal = len(self.weights) + 1
        if (first := self._ordinals.setdefault(key, ordinal)) != ordinal:
            raise InputError(f"{place} is event {first} once more: is a file given twice?")
        self._size = self._size or abs(weight)
        self.unweighted = self.unweighted and abs(abs(weight) - self._size) <= EQUAL * self._size
        self.weights.append(weight)
        if self.share.holds(key):
            self.keys.append(key)
            self.own.append(ordinal - 1)
            return True
        return False

    def unit(self, weight: float) -> float:
        """The weight as it counts."""
        return math.copysign(1.0, weight) if self.unweighted else weight

    @property
    def own_weights(self) -> list[float]:
        """The weights of the share's events, as they count."""
        return [self.unit(self.weights[n]) for n in self.own]

    @property
    def total(self) -> float:
        """The sum of all weights as they count: it must be positive."""
        total = math.fsum(map(self.unit, self.weights))
        if not self.weights:
            raise InputError("the files hold no event")
        if not total > 0:
            raise InputError(f"the weights of {len(self.weights)} events sum to {total:g}: there is no cross-section")
        return total

    @property
    def negative(self) -> int:
        """How many weights are negative."""
        return sum(weight < 0 for weight in self.weights)


def refuse_undeclared(final_ids: Mapping[int, int], invisible_ids: tuple[int, ...], usual: frozenset[int]) -> None:
    """Outgoing particles are usual ones, or declared to be invisible; others are named.

    >>> refuse_undeclared({52: 2, -52: 2, 21: 1}, (52,), USUAL)
    """
    unknown = {i: n for i, n in final_ids.items() if abs(i) not in usual and abs(i) not in invisible_ids}
    if unknown:
        shown = ", ".join(f"{i} ({n} times)" for i, n in sorted(unknown.items()))
        declared = ", ".join(map(str, invisible_ids)) or "none"
        raise InputError(
            f"the events end in particles that are neither of the Standard Model nor declared invisible: {shown}; "
            f"declared are {declared} and the neutrinos. Name the dark matter (dm_id, other_id), or let the rest decay"
        )


def check_sigma(sigma_pb: float, given_pb: float) -> tuple[float, bool]:
    """The cross-section that counts, and whether the user gave it."""
    if given_pb > 0:
        return given_pb, True
    if not (sigma_pb > 0 and math.isfinite(sigma_pb)):
        raise InputError(f"the files say that the cross-section is {sigma_pb:g} pb: give sigma_pb")
    return sigma_pb, False
