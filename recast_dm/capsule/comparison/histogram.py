"""The histograms in a JSON document.

A histogram is an object that has

- bin contents under `yields`, `values` or `counts`, and
- their standard deviations under `errors`, `<contents>_mc_error` or `<contents>_error`, or their squares under
  `sumw2` or `variances`; counts without either are Poisson numbers;
- or `sample`: unbinned values, with `weights` or without.

Lists may be nested: bins are taken in the order in which they are written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from recast_dm.capsule.comparison.documents import Malformed, Place, inner, is_number, pointer

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

CONTENTS = ("yields", "values", "counts")
SAMPLE = "sample"


@dataclass(frozen=True, slots=True)
class Histogram:
    """Bin contents and their errors; or, unbinned, values and their weights."""

    contents: Array
    errors: Array
    binned: bool = True


def find(document: Any, which: str) -> tuple[dict[Place, Histogram], dict[str, Any]]:
    """The histograms of a document by their place, and everything in it that is called edges.

    `which` names the document in errors. Raises Malformed where there is none, or one that cannot be.
    """
    histograms: dict[Place, Histogram] = {}
    edges: dict[str, Any] = {}
    todo: list[tuple[Place, Any]] = [((), document)]
    while todo:
        place, value = todo.pop()
        found = None
        if isinstance(value, dict):
            edges |= {pointer((*place, key)): within for key, within in value.items() if "edges" in key.split("_")}
            try:
                found = read(value)
            except Malformed as error:
                raise Malformed(f"the histogram at {pointer(place)} in the {which} {error}") from None
        if found is not None:
            histograms[place] = found
        else:
            todo.extend(reversed([((*place, key), within) for key, within in inner(value)]))
    if not histograms:
        raise Malformed(f"the {which} holds no histogram with errors")
    return histograms, edges


def read(document: Mapping[str, Any]) -> Histogram | None:
    """The histogram that an object is, or None.

    >>> read({"edges": [0, 1, 2], "counts": [4, 9]}).errors.tolist()
    [2.0, 3.0]
    """
    if isinstance(document.get(SAMPLE), list):
        values = _numbers(document[SAMPLE])
        weights = document.get("weights", [1.0] * len(values))
        return _checked(Histogram(values, _numbers(weights), binned=False))
    name = next((name for name in CONTENTS if isinstance(document.get(name), list)), "")
    for key, errors in _ways(name):
        if isinstance(document.get(key), list):
            return _checked(Histogram(_numbers(document[name]), errors(_numbers(document[key]))))
    return None


def _ways(name: str) -> list[tuple[str, Callable[[Array], Array]]]:
    """Where the errors of such contents may be, and what makes errors of what is there."""
    if not name:
        return []
    errors = [(key, _same) for key in ("errors", f"{name}_mc_error", f"{name}_error")]
    squares = [(key, _roots) for key in ("sumw2", "variances", *(("counts",) if name == "counts" else ()))]
    return [*errors, *squares]


def _same(errors: Array) -> Array:
    return errors


def _roots(squares: Array) -> Array:
    import numpy as np

    if (squares < 0).any():
        raise Malformed("has negative counts or variances")
    return np.sqrt(squares)


def _numbers(nested: Sequence[Any]) -> Array:
    """The numbers in a nested list, one after the other. Raises Malformed for anything else."""
    import numpy as np

    flat: list[float] = []
    todo: list[Any] = [nested]
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo.extend(reversed(value))
        elif is_number(value):
            try:
                flat.append(float(value))
            except OverflowError:
                raise Malformed("holds a number that is not finite") from None
        else:
            raise Malformed("holds something that is not a number")
    return np.asarray(flat, dtype=np.float64)


def _checked(found: Histogram) -> Histogram:
    import numpy as np

    if len(found.contents) != len(found.errors):
        raise Malformed(f"has {len(found.errors)} errors (or weights) for {len(found.contents)} contents")
    if not len(found.contents):
        raise Malformed("is empty")
    if not (np.isfinite(found.contents).all() and np.isfinite(found.errors).all()):
        raise Malformed("holds a number that is not finite")
    if (found.errors < 0).any():
        raise Malformed("has negative errors or weights")
    return found
