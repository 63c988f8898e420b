"""What a signal model predicts at a point, for comparison with limit curves: the `planes` that it feeds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast_dm.curves.curve import QUANTITIES, Quantity
from recast_dm.errors import UsageError

TOTAL = "total"
"""The key of `sigmav` under which all channels stand together."""
_SWITCH = {"true": True, "false": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A model's point. `m_dm` in GeV, `scattering` in cm2 by SI, SD-p, SD-n; `sigmav` in cm3/s by final state.

    What the model does not predict (a pseudoscalar scatters only with its velocity) is missing. `m_dm` is None for a
    model without dark matter. `self_conjugate` is false for Dirac fermions and complex scalars.

    >>> point = Prediction.from_document({"m_dm": 100, "self_conjugate": False, "SI": 6e-41, "SD-p": None,
    ...                                   "sigmav": {"total": 2e-25, "bb": 4e-26}})
    >>> point.value("SI", None), point.value("SD-p", None), point.value("sigmav", "bb")
    (6e-41, None, 4e-26)
    """

    m_dm: float | None
    self_conjugate: bool | None
    scattering: Mapping[str, float] = field(default_factory=dict)
    sigmav: Mapping[str, float] = field(default_factory=dict)

    def value(self, quantity: Quantity, channel: str | None) -> float | None:
        """What is predicted, or None. A channel is found whatever the case of its letters."""
        if quantity != "sigmav":
            return self.scattering.get(quantity)
        return {name.lower(): value for name, value in self.sigmav.items()}.get((channel or TOTAL).lower())

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Prediction:
        """The point in a `planes` feed. Raises UsageError for what is none."""
        known = {"m_dm", "self_conjugate", *QUANTITIES}
        if unknown := sorted(set(document) - known):
            raise UsageError(f"a point has no {unknown[0]!r}", hint=f"it has {', '.join(sorted(known))}")
        sigmav = document.get("sigmav") or {}
        if not isinstance(sigmav, Mapping):
            raise UsageError("sigmav is no mapping of channels", hint="write {total: 2e-26, bb: 1e-26}, in cm3/s")
        self_conjugate = document.get("self_conjugate")
        if not isinstance(self_conjugate, bool | None):
            raise UsageError(f"self_conjugate is {self_conjugate!r}", hint="write true or false")
        m_dm = document.get("m_dm")
        return cls(
            m_dm=None if m_dm is None else _number("m_dm", m_dm, positive=True),
            self_conjugate=self_conjugate,
            scattering=_numbers({name: document.get(name) for name in QUANTITIES if name != "sigmav"}, ""),
            sigmav=_numbers(sigmav, "sigmav."),
        )


def read(path: Path) -> Prediction:
    """The point in a JSON file. Raises UsageError."""
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"cannot read the point {path}: {error}") from None
    if not isinstance(document, dict):
        raise UsageError(f"{path} holds no point", hint='write {"m_dm": 100, "self_conjugate": false, "SI": 6e-41}')
    return Prediction.from_document(document)


def from_words(words: Iterable[str]) -> Prediction:
    """The point in words, as a workflow hands them over: a dot goes into a mapping, and what is missing is unknown.

    >>> from_words(["m_dm=100", "self_conjugate=false", "sigmav.bb=4e-26"]).sigmav
    {'bb': 4e-26}
    """
    document: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        head, dot, tail = name.partition(".")
        place = document.setdefault(head, {}) if dot else document
        key = tail if dot else head
        if not equals or not key or not isinstance(place, dict) or key in place:
            raise UsageError(
                f"{word!r} says nothing about the point", hint="write NAME=VALUE once for each, as m_dm=100"
            )
        place[key] = _SWITCH.get(text, text)
    return Prediction.from_document(document)


def _numbers(values: Mapping[str, Any], prefix: str) -> dict[str, float]:
    return {name: _number(prefix + name, value) for name, value in values.items() if value is not None}


def _number(name: str, value: Any, *, positive: bool = False) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (0 < number < math.inf or (number == 0 and not positive)):
        raise UsageError(f"{name} is {value!r}", hint=f"a {'positive' if positive else 'finite'} number")
    return number
