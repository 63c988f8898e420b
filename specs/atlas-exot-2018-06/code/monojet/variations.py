"""Weights that stand beside the nominal one of an event, and the errors of the signal that they mean.

Groups are told apart by what the file says about them: `combine` of a <weightgroup> (`envelope`, `replicas`, `hessian`,
`symmhessian`) where it is there, else the words of its name or of the weights: MUR, MUF for scales, PDF for partons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

FACTOR = re.compile(r"mu_?[rf][ =]*([0-9.]+)", re.IGNORECASE)
NO_SCALE = re.compile(r"alps|merging|isr|fsr", re.IGNORECASE)
PDF = re.compile(r"pdf|lhapdf|\bmember\b|nnpdf|ct1|mmht|msht", re.IGNORECASE)
COMBINED = {"replicas": "replicas", "hessian": "hessian", "symmhessian": "symmhessian"}
FEWEST_PDF_MEMBERS = 10


def kind(variation: Mapping[str, str]) -> str:
    """`scale`, `replicas`, `hessian`, `symmhessian`, or `unused` for a weight whose meaning is not known.

    >>> kind({"group": "Central scale variation", "combine": "envelope", "text": ""})
    'scale'
    >>> kind({"group": "NNPDF31_nnlo_as_0118", "combine": "replicas", "text": ""})
    'replicas'
    >>> kind({"group": "", "combine": "", "text": "MUR0.5_MUF1.0_PDF247000"})
    'scale'
    >>> kind({"group": "", "combine": "", "text": "AUX_bare_not_for_analyses"})
    'unused'
    """
    combine = variation["combine"].lower()
    said = f"{variation['group']} {variation['text']}"
    if combine in COMBINED:
        return COMBINED[combine]
    factors = FACTOR.findall(said)
    named = "scale" in said.lower() and not factors
    if not NO_SCALE.search(said) and (named or any(float(factor.rstrip(".") or 1) != 1 for factor in factors)):
        return "scale"
    if PDF.search(said):
        return "replicas"
    return "unused"


def relative_errors(variations: Sequence[Mapping[str, str]], nominal: Array, varied: Array) -> dict[str, Array]:
    """Relative shifts (up, down) of each bin by kind of variation, as an array of two rows and one column a bin.

    `nominal` holds the bins, `varied` one row a variation. Scales: the envelope, per bin. PDF replicas: their standard
    deviation. Hessian pairs: half the root of the summed squared differences; symmetric Hessian: the root of the summed
    squared shifts (as in arXiv:1510.03865). Of several PDF groups the first counts. Empty bins get 0.

    >>> v = [{"group": "scale", "combine": "envelope", "text": ""}] * 2
    >>> relative_errors(v, np.array([10.0]), np.array([[11.0], [8.0]]))["scale"].round(3).tolist()
    [[0.1], [-0.2]]
    """
    filled = nominal != 0
    shifts = np.divide(varied - nominal, nominal, out=np.zeros_like(varied), where=filled)
    kinds = [kind(variation) for variation in variations]
    found: dict[str, Array] = {}
    scales = [n for n, k in enumerate(kinds) if k == "scale"]
    if scales:
        found["scale"] = np.array([shifts[scales].max(axis=0, initial=0.0), shifts[scales].min(axis=0, initial=0.0)])
    members = _first_pdf(variations, kinds)
    if len(members) >= FEWEST_PDF_MEMBERS:
        error = _pdf_error(kinds[members[0]], shifts[members])
        found["pdf"] = np.array([error, -error])
    return found


def _first_pdf(variations: Sequence[Mapping[str, str]], kinds: Sequence[str]) -> list[int]:
    """The members of the first group of parton distributions."""
    pdf = [n for n, k in enumerate(kinds) if k in COMBINED.values()]
    return [n for n in pdf if variations[n]["group"] == variations[pdf[0]]["group"]]


def _pdf_error(how: str, shifts: Array) -> Array:
    """The relative error of each bin from the shifts of the members, the first of which may be the central one."""
    if how == "replicas":
        return np.asarray(shifts.std(axis=0, ddof=1))
    if how == "symmhessian":
        return np.asarray(np.sqrt((shifts**2).sum(axis=0)))
    pairs = shifts[len(shifts) % 2 :]
    return np.asarray(0.5 * np.sqrt(((pairs[::2] - pairs[1::2]) ** 2).sum(axis=0)))


def described(variations: Sequence[Any]) -> list[dict[str, str]]:
    """What a document says of each variation, and how it is used."""
    shown = [{"id": v.id, "text": v.text, "group": v.group, "combine": v.combine} for v in variations]
    return [{**v, "kind": kind(v)} for v in shown]
