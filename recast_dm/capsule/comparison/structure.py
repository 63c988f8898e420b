"""Comparing two JSON documents: the same structure, numbers within a tolerance, everything else equal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from recast_dm.capsule.comparison.documents import Place, Verdict, is_number, parts, pointer, shown
from recast_dm.capsule.comparison.numbers import Deviation, deviation
from recast_dm.spec.reference import Rule


def compare(rule: Rule, first: Any, second: Any) -> Verdict:
    """Measured is the number that takes most of its tolerance; its JSON pointer is in the detail.

    >>> compare(Rule("limit/limit.json", "json", rtol=0.01), {"mu": [1.0, 2.0]}, {"mu": [1.0, 2.1]}).detail
    '/mu/1: 2.0 and 2.1'
    """
    walk = _Walk(rule)
    walk.go(first, second)
    if walk.different:
        more = f", and {walk.count - 1} more" if walk.count > 1 else ""
        return Verdict(False, "different", None, walk.different + more)
    place, worst, values = walk.worst
    detail = "" if not worst.measure else f"{pointer(place)}: {' and '.join(map(shown, values))}"
    return Verdict(worst.agrees, worst.measure, worst.bound, detail)


class _Walk:
    """Two documents side by side."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._ignored = [parts(each) for each in rule.ignore]
        self.different = ""
        self.count = 0
        self.worst: tuple[Place, Deviation, tuple[Any, ...]] = ((), Deviation(0.0, rule.rtol), ())

    def go(self, first: Any, second: Any) -> None:
        todo: list[tuple[Place, Any, Any]] = [((), first, second)]
        while todo:
            place, a, b = todo.pop()
            if not self._is_ignored(place):
                todo.extend(reversed(list(self._look(place, a, b))))

    def _look(self, place: Place, a: Any, b: Any) -> Iterable[tuple[Place, Any, Any]]:
        """Compares two values, and gives what is in both of them."""
        if isinstance(a, dict) and isinstance(b, dict):
            self._keys(place, a, b)
            return [((*place, key), a[key], b[key]) for key in a if key in b]
        if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
            return [((*place, n), *pair) for n, pair in enumerate(zip(a, b, strict=True))]
        if is_number(a) and is_number(b):
            found = deviation(a, b, self._rule.rtol, self._rule.atol)
            if found.excess > self.worst[1].excess:
                self.worst = (place, found, (a, b))
        elif type(a) is not type(b) or a != b:
            self._differs(f"{pointer(place)}: {shown(a)} and {shown(b)}")
        return ()

    def _keys(self, place: Place, a: dict[str, Any], b: dict[str, Any]) -> None:
        for which, keys in (("first", a.keys() - b.keys()), ("second", b.keys() - a.keys())):
            for key in sorted(keys):
                if not self._is_ignored((*place, key)):
                    self._differs(f"{pointer((*place, key))} is only in the {which}")

    def _differs(self, how: str) -> None:
        self.different = self.different or how
        self.count += 1

    def _is_ignored(self, place: Place) -> bool:
        return any(
            len(each) == len(place) and all(part in ("*", str(key)) for part, key in zip(each, place, strict=True))
            for each in self._ignored
        )
