"""Comparing the outputs of a run with those of a reference, each by its rule. Nothing that a file holds is an error."""

from __future__ import annotations

import math
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.capsule.comparison import compatibility, documents, limits, outputs, structure
from recast_dm.capsule.comparison.documents import Malformed, Verdict
from recast_dm.spec.reference import Compare, Rule

_COMPARE: dict[Compare, Callable[[Rule, Any, Any], Verdict]] = {
    "json": structure.compare,
    "histogram": compatibility.compare,
    "limit": limits.compare,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How one output compares with the reference.

    `measure` is a number that `bound` bounds (a deviation from above, a p-value from below), or a word: `identical`,
    `different`, `missing`, `malformed`.
    """

    path: str
    rule: Rule
    agrees: bool
    measure: float | str
    bound: float | None
    detail: str

    def document(self) -> dict[str, Any]:
        measure = self.measure
        return {
            "path": self.path,
            "rule": self.rule.document(),
            "agrees": self.agrees,
            "measure": "infinite" if isinstance(measure, float) and not math.isfinite(measure) else measure,
            "bound": self.bound,
            "detail": self.detail,
        }


def compare_outputs(rules: Iterable[Rule], reference_root: Path, found_root: Path) -> tuple[Agreement, ...]:
    """Every output that a rule names in either directory. A rule that names nothing is a disagreement.

    Both are run directories, or what `outputs.named` gave of one, kept under its paths.
    """
    rules = tuple(rules)
    roots = (reference_root, found_root)
    first, second = (outputs.named(rules, root) for root in roots)
    found: list[Agreement] = []
    for rule in dict.fromkeys(rules):
        agreements = list(_by_rule(rule, first, second))
        if not agreements and not any(outputs.named([rule], root) for root in roots):  # else earlier rules took them
            agreements = [_agreement(rule.path, rule, Verdict(False, "missing", None, "in neither"))]
        found += agreements
    return tuple(found)


def _by_rule(rule: Rule, first: outputs.Named, second: outputs.Named) -> Iterator[Agreement]:
    names = {name for found in (first, second) for name, (ruled, _) in found.items() if ruled == rule}
    for name in sorted(names):
        one, other = (found[name][1] if name in found else None for found in (first, second))
        yield compare_files(name, rule, one, other)


def compare_files(name: str, rule: Rule, first: Path | None, second: Path | None) -> Agreement:
    """One output by its rule; None is a file that is not there."""
    return _agreement(name, rule, _verdict(rule, first, second))


def _agreement(name: str, rule: Rule, found: Verdict) -> Agreement:
    return Agreement(
        path=name, rule=rule, agrees=found.agrees, measure=found.measure, bound=found.bound, detail=found.detail
    )


def _verdict(rule: Rule, first: Path | None, second: Path | None) -> Verdict:
    if first is None or second is None:
        return Verdict(False, "missing", None, f"not in the {'first' if first is None else 'second'}")
    try:
        sizes = [_size(path) for path in (first, second)]
        same = sizes[0] == sizes[1] and store.sha256_file(first) == store.sha256_file(second)
    except (OSError, Malformed) as error:
        return Verdict(False, "malformed", None, str(error))
    if same:
        return Verdict(True, "identical")
    if rule.compare == "exact":
        return Verdict(False, "different", None, f"{sizes[0]} and {sizes[1]} bytes" if sizes[0] != sizes[1] else "")
    try:
        return _COMPARE[rule.compare](rule, _document(first, "first"), _document(second, "second"))
    except Malformed as error:
        return Verdict(False, "malformed", None, str(error))


def _size(path: Path) -> int:
    about = path.lstat()
    if not stat.S_ISREG(about.st_mode):
        raise Malformed(f"{path.name} is a link or a special file")
    return about.st_size


def _document(path: Path, which: str) -> Any:
    try:
        return documents.read(path)
    except Malformed as error:
        raise Malformed(f"the {which} {error}") from None
