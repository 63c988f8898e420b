"""A user's own curve: a table in a file, and what the user says of it. Nothing of this is in images."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from recast_dm.curves import tables, units
from recast_dm.curves.curve import QUANTITIES, Citation, Curve
from recast_dm.curves.tables import Number, Series
from recast_dm.errors import Location, UsageError

WANTED = {
    "name": "a short name, such as my-limit-2024",
    "quantity": f"one of {', '.join(QUANTITIES)}",
    "confidence_level": "0.9 for 90 %",
    "citation": "the paper, with arXiv:… or doi:… where it has one",
    "dm_assumption": "what the limit assumes of the dark matter, such as 'all of it, rho0 = 0.3 GeV/cm3'",
}
"""What somebody has to say of every curve."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def read(path: Path, said: Mapping[str, Any], *, column: str | None = None) -> Curve:
    """The curve in a file. `said` are fields of a curve, and go before what the file itself says.

    Besides: `mass_unit` and `limit_unit`, where no head says them (default: GeV, and cm2 or cm3/s).
    Raises UsageError with file:line.
    """
    series, inside = _opened(path, column)
    fields = {**inside, **{key: value for key, value in said.items() if value is not None}}
    fields = _complete(fields)
    mass_factor = units.factor(fields.pop("mass_unit", None) or series.mass_unit or "GeV", units.GEV, _where(series))
    known, usual = (units.CM3_PER_S, "cm3/s") if fields["quantity"] == "sigmav" else (units.CM2, "cm2")
    limit_factor = units.factor(fields.pop("limit_unit", None) or series.unit or usual, known, _where(series))
    masses, limits = _rising(series)
    return Curve(
        **fields,
        masses=tuple(mass_factor * mass for mass in masses),
        limits=tuple(limit_factor * limit for limit in limits),
    )


def _where(series: Series) -> Location | None:
    return series.values[0].where if series.values else None


def _opened(path: Path, column: str | None) -> tuple[Series, dict[str, Any]]:
    """The series that is meant, and what a YAML file says beside it."""
    if path.suffix.lower() not in (".yml", ".yaml", ".json"):
        return _chosen(path, tables.in_text(path), column), {}
    from recast_dm.spec import text

    node = text.read(path)
    if not isinstance(node.value, Mapping):
        raise UsageError("a curve is a mapping", where=node.where, hint="write masses: […] and limits: […]")
    if "independent_variables" in node.value:
        return _chosen(path, tables.in_hepdata(node), column), {}
    fields = node.plain()
    lists = {key: node.at((key,)) for key in ("masses", "limits")}
    for key, there in lists.items():
        if not isinstance(fields.pop(key, None), list) or not isinstance(there.value, tuple):
            raise UsageError(f"{key} is missing, or no list", where=there.where)
    for key, value in fields.items():
        if key not in _KINDS:
            raise UsageError(
                f"a curve has no {key!r}", where=node.at((key,)).where, hint=f"it may have {', '.join(_KINDS)}"
            )
        if not isinstance(value, _KINDS[key]) or (isinstance(value, bool) and _KINDS[key] is not bool):
            raise UsageError(f"{key} is {value!r}", where=node.at((key,)).where, hint=WANTED.get(key))
    masses, limits = (_numbers(there.value) for there in lists.values())
    if len(masses) != len(limits):
        raise UsageError(f"{len(limits)} limits for {len(masses)} masses", where=lists["limits"].where)
    return Series("limits", None, None, masses, limits), fields


_KINDS: Mapping[str, Any] = {
    **dict.fromkeys(("name", "experiment", "quantity", "channel", "citation", "dm_assumption", "note"), str),
    **dict.fromkeys(("why_unused", "mass_unit", "limit_unit"), str),
    **dict.fromkeys(("digitised", "self_conjugate"), bool),
    "year": int,
    "confidence_level": int | float,
}
"""What a YAML file may say of its curve."""


def _numbers(nodes: Any) -> tuple[Number, ...]:
    return tuple(Number(tables.number(node), node.where) for node in nodes)


def _chosen(path: Path, found: Sequence[Series], column: str | None) -> Series:
    if column is None and len(found) == 1:
        return found[0]
    names = [series.name for series in found]
    meant = [series for series in found if series.name == column]
    if len(meant) == 1:
        return meant[0]
    what = f"{path} has several columns" if column is None else f"{path} has no single column {column!r}"
    raise UsageError(what, hint=f"name one with --column: {', '.join(map(repr, names))}")


def _complete(said: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a curve, all there. Raises UsageError that lists what is missing."""
    missing = [key for key in WANTED if not said.get(key)]
    if said.get("quantity") == "sigmav":
        missing += [key for key in ("channel", "self_conjugate") if said.get(key) is None]
    fields = dict(said)
    fields["citation"] = citation(said.get("citation") or "")
    fields.setdefault("year", _year(fields["citation"]))
    fields.setdefault("experiment", said.get("name"))
    if fields["year"] is None:
        missing.append("year")
    if missing:
        more = "".join(f"\n{key}: {WANTED[key]}" for key in missing if key in WANTED)
        raise UsageError(f"a curve needs {', '.join(missing)}", hint=f"`recast-dm curves add --help` says how{more}")
    if not NAME.fullmatch(str(fields["name"])):
        raise UsageError(f"{fields['name']!r} is no name", hint="letters, digits and . _ -, as in my-limit-2024")
    return fields


def citation(said: str) -> Citation:
    """A citation with the identifiers that stand in its text.

    >>> citation("LZ, arXiv:2410.17036").arxiv, citation("PICO, doi:10.1103/PhysRevD.100.022001").doi
    ('2410.17036', '10.1103/PhysRevD.100.022001')
    """
    arxiv = re.search(r"arXiv:\s*(\d{4}\.\d{4,5}|[a-z-]+/\d{7})", said, re.IGNORECASE)
    doi = re.search(r"\b(10\.\d{4,9}/[^\s,;]+)", said)
    return Citation(text=said, arxiv=arxiv[1] if arxiv else None, doi=doi[1] if doi else None)


def _year(cited: Citation) -> int | None:
    return 2000 + int(cited.arxiv[:2]) if cited.arxiv and cited.arxiv[0].isdigit() else None


def _rising(series: Series) -> tuple[list[float], list[float]]:
    """Masses and limits, positive and finite, by rising mass. A curve that turns back is refused where it does."""
    if len(series.masses) < 2:
        raise UsageError("a curve needs two points at least", where=_where(series))
    for number in (*series.masses, *series.values):
        if not 0 < number.value < math.inf:
            raise UsageError(f"{number.value:g} is not positive and finite", where=number.where)
    falls = series.masses[1].value < series.masses[0].value
    for before, after in pairwise(series.masses):
        if before.value == after.value or (after.value < before.value) != falls:
            raise UsageError(
                f"the mass {after.value:g} follows {before.value:g}: the curve turns back",
                where=after.where,
                hint="a curve has one limit a mass; leave out closed contours, and sort its points by mass",
            )
    order = -1 if falls else 1
    return [m.value for m in series.masses][::order], [v.value for v in series.values][::order]
