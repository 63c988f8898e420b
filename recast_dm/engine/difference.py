"""Why two pieces of work are not the same: the parts of their keys, compared one by one.

Parts are those of `key.parts`, as a record keeps them: in parameters a directory is the hash of its tree, which is
looked up among the records to say which step it came from, and which of its files differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from recast_dm.model import INIT, StepId

Lookup: TypeAlias = Callable[[StepId], "Mapping[str, Any] | None"]
"""The record of a step of one run, or None."""

_ABSENT = object()


@dataclass(frozen=True, slots=True)
class FileChange:
    path: str
    change: Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class Input:
    """A step whose files are other files now. `files` is empty where nobody knows: those of the init directory."""

    step: StepId
    files: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One part that differs: `part` as in a key, `name` within it (`signals[0]`); None is absent.

    `input` says so when the difference is that of an earlier step's files.
    """

    part: str
    name: str
    before: Any
    after: Any
    input: Input | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """Why a step's work is not what it was: its own changes; and, for the files that changed, those of their steps."""

    step: StepId
    changes: tuple[Change, ...]
    causes: tuple[Explained, ...] = ()

    def roots(self) -> Iterator[Explained]:
        """Where it began: the steps with a change that is not that of another step's files."""
        if not self.causes or any(change.input is None for change in self.changes):
            yield self
        for cause in self.causes:
            yield from cause.roots()


def explain(step: StepId, before: Lookup, after: Lookup, also: Mapping[str, Any] | None = None) -> Explained | None:
    """What made the key of a step another one, down to the steps where it began; None where a record is missing.

    `also` is used for the step itself in place of what `before` has.
    """
    return _explain(step, before, after, also, set())


def _explain(
    step: StepId, before: Lookup, after: Lookup, also: Mapping[str, Any] | None, seen: set[StepId]
) -> Explained | None:
    was, now = also or before(step), after(step)
    if was is None or now is None:
        return None
    seen.add(step)
    changes = tuple(compare(was, now, before, after))
    sources = dict.fromkeys(change.input.step for change in changes if change.input)
    found = (_explain(source, before, after, None, seen) for source in sources if source not in seen)
    return Explained(step, changes, tuple(cause for cause in found if cause is not None and cause.changes))


def compare(
    was: Mapping[str, Any], now: Mapping[str, Any], before: Lookup = lambda _: None, after: Lookup = lambda _: None
) -> Iterator[Change]:
    """The parts of the keys of two records that differ; nothing when the work is the same.

    >>> a = {"key_parts": {"parameters": {"m": 1}, "relaxations": []}}
    >>> b = {"key_parts": {"parameters": {"m": 2}, "relaxations": []}}
    >>> [(c.part, c.name, c.before, c.after) for c in compare(a, b)]
    [('parameters', 'm', 1, 2)]
    """
    old, new = was["key_parts"], now["key_parts"]
    sides = (_Side(was, before), _Side(now, after))
    for part in dict.fromkeys((*old, *new)):
        left, right = old.get(part, _ABSENT), new.get(part, _ABSENT)
        if part == "parameters" and isinstance(left, dict) and isinstance(right, dict):
            yield from _parameters(left, right, sides)
        else:
            yield from (Change(part, name, a, b) for name, a, b in values(left, right, ""))


class _Side:
    """One of the two records, and which of its steps a tree belongs to."""

    def __init__(self, record: Mapping[str, Any], lookup: Lookup) -> None:
        self._lookup = lookup
        names = (*record.get("execution", {}).get("places", {}), *record.get("depends_on", ()))
        self._sources = tuple(s for s in dict.fromkeys(map(StepId.parse, names)) if str(s) != record.get("step"))
        self._trees: dict[str, list[StepId]] | None = None

    def sources(self, tree: str | None) -> tuple[StepId, ...]:
        """The steps that a tree may have come from: those recorded with it, else the init directory."""
        if tree is None:
            return ()
        if self._trees is None:
            self._trees = {}
            for step in self._sources:
                if (record := self._lookup(step)) is not None:
                    self._trees.setdefault(record["tree"], []).append(step)
        return tuple(self._trees.get(tree, (INIT,)))

    def files(self, step: StepId) -> dict[str, tuple[str, bool]] | None:
        record = self._lookup(step)
        return {f["path"]: (f["sha256"], f["executable"]) for f in record["outputs"]} if record else None


def _parameters(old: Mapping[str, Any], new: Mapping[str, Any], sides: tuple[_Side, _Side]) -> Iterator[Change]:
    for name in dict.fromkeys((*old, *new)):
        for where, a, b in values(old.get(name, _ABSENT), new.get(name, _ABSENT), name):
            yield Change("parameters", where, a, b, _input(a, b, sides))


def values(old: Any, new: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ. A path is one value; so are lists of different lengths.

    >>> list(values({"a": [1, 2], "b": 1}, {"a": [1, 3], "b": 1.0}))
    [('a[1]', 2, 3), ('b', 1, 1.0)]
    """
    if _same(old, new):
        return
    if isinstance(old, dict) and isinstance(new, dict) and not ("path" in old or "path" in new):
        if set(old) == set(new) == {"mapping"}:
            yield from values(old["mapping"], new["mapping"], name)
            return
        for key in dict.fromkeys((*old, *new)):
            yield from values(old.get(key, _ABSENT), new.get(key, _ABSENT), f"{name}.{key}" if name else key)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for n, (a, b) in enumerate(zip(old, new, strict=True)):
            yield from values(a, b, f"{name}[{n}]")
    else:
        yield name, None if old is _ABSENT else old, None if new is _ABSENT else new


def _same(old: Any, new: Any) -> bool:
    """Equality as keys have it: 1, 1.0 and true are three values."""
    if isinstance(old, dict) and isinstance(new, dict):
        return old.keys() == new.keys() and all(_same(old[key], new[key]) for key in old)
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    return type(old) is type(new) and bool(old == new)


def _input(old: Any, new: Any, sides: tuple[_Side, _Side]) -> Input | None:
    """The step whose files differ, when two paths name the same place below a directory of the same step."""
    if not (isinstance(old, dict) and isinstance(new, dict) and "path" in old and "path" in new):
        return None
    if len(old["path"]) != len(new["path"]):
        return None
    for a, b in zip(old["path"], new["path"], strict=True):
        if isinstance(a, dict) and isinstance(b, dict) and a != b:
            before = sides[0].sources(a["tree"])
            step = next((step for step in sides[1].sources(b["tree"]) if step in before), None)
            return None if step is None else Input(step, _files(step, sides))
    return None


def _files(step: StepId, sides: tuple[_Side, _Side]) -> tuple[FileChange, ...]:
    old, new = sides[0].files(step), sides[1].files(step)
    if old is None or new is None:
        return ()
    return tuple(
        FileChange(path, "added" if path not in old else "removed" if path not in new else "changed")
        for path in sorted({*old, *new})
        if old.get(path) != new.get(path)
    )
