"""recast.yml's `reference`: which outputs of a run are compared with those of the captured one, and how.

A path is that of `results`: `limit/limit.json`, or `select_3/counts.json` for a step that is not the first. One with
wildcards is seen from the run directory, part by part: `generate/*/generation.json`, and `**` is any number of parts.
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from typing import Any, Literal, TypeAlias

from recast_dm import schemas
from recast_dm.errors import IntegrityError, SpecError
from recast_dm.model import Workflow
from recast_dm.spec import names, text
from recast_dm.spec.shape import did_you_mean

Compare: TypeAlias = Literal["exact", "json", "histogram", "limit"]
Test: TypeAlias = Literal["chi2", "ks"]

_DEFAULTS: Mapping[Compare, Mapping[str, Any]] = {
    "exact": {},
    "json": {"rtol": 1e-9, "atol": 0.0, "ignore": ()},
    "histogram": {"min_p": 0.01, "test": "chi2"},
    "limit": {"rtol": 0.01, "atol": None},
}
"""What else may be said, and what holds where it is not. None: the `atol` of a limit is its rtol."""
_ALLOWED = {compare: frozenset({"path", "compare", *more}) for compare, more in _DEFAULTS.items()}


@dataclass(frozen=True, slots=True)
class Rule:
    """How the outputs that `path` names are compared. Tolerances are relative (`rtol`) and absolute (`atol`).

    json: numbers within either tolerance, everything else equal, what the JSON pointers in `ignore` name left out (`*`
    is any one part). histogram: the probability that both come from one distribution is at least `min_p`. limit: each
    limit within `rtol`; each CLs within it, or within `atol`.
    """

    path: str
    compare: Compare = "exact"
    rtol: float = 0.0
    atol: float = 0.0
    ignore: tuple[str, ...] = ()
    min_p: float = 0.01
    test: Test = "chi2"

    @property
    def pattern(self) -> bool:
        """Whether the path has wildcards."""
        return re.search(r"[*?[]", self.path) is not None

    def matches(self, relpath: str) -> bool:
        """Whether a path in a run directory is one that the path with wildcards means.

        >>> [Rule("generate/*/*.json").matches(path) for path in ("generate/0/a.json", "generate/0/sub/a.json")]
        [True, False]
        >>> Rule("limit/**").matches("limit/0/plots/a.pdf")
        True
        """
        return _matches(self.path.split("/"), relpath.split("/"))

    def document(self) -> dict[str, Any]:
        """The rule as recast.yml writes it, with everything said."""
        said: dict[str, Any] = {name: getattr(self, name) for name in _DEFAULTS[self.compare]}
        if "ignore" in said:
            said["ignore"] = list(self.ignore)
        return {"path": self.path, "compare": self.compare, **said}


def _matches(pattern: list[str], parts: list[str]) -> bool:
    """Goes through the pattern with every place in the path that it may have come to."""
    places = {0}
    for wanted in pattern:
        if wanted == "**":
            places = {later for place in places for later in range(place, len(parts) + 1)}
        else:
            places = {place + 1 for place in places if place < len(parts) and fnmatchcase(parts[place], wanted)}
    return len(parts) in places


def rule_of(document: Mapping[str, Any]) -> Rule:
    """The rule in an entry that the schema of recast.yml allows. Raises ValueError where it makes no sense.

    >>> rule_of({"path": "limit/limit.json", "compare": "limit", "rtol": 0.03}).atol
    0.03
    """
    compare: Compare = document["compare"]
    path = str(document["path"])
    if unknown := sorted(set(document) - _ALLOWED[compare]):
        raise ValueError(f"{unknown[0]!r} says nothing where outputs are compared as {compare!r}")
    if not _inside(path):
        raise ValueError(f"the path {path!r} does not lie in a run directory")
    said = {**_DEFAULTS[compare], **document}
    if compare == "limit" and said["atol"] is None:
        said["atol"] = said["rtol"]  # where mu moves by 1 %, no CLs of the +-2 sigma band moves by more than 0.01
    numbers = {name: float(said[name]) for name in ("rtol", "atol", "min_p") if name in said}
    if not all(map(math.isfinite, numbers.values())):
        raise ValueError("a tolerance is a finite number")
    return Rule(path, compare, **numbers, ignore=tuple(said.get("ignore", ())), test=said.get("test", "chi2"))


def _inside(path: str) -> bool:
    return not (path.startswith("/") or "\0" in path or {"", ".", ".."} & set(path.split("/")))


def read(document: Iterable[Mapping[str, Any]], node: text.Node, stages: Collection[str]) -> tuple[Rule, ...]:
    """The rules in recast.yml. Raises SpecError with the line of what makes no sense."""
    rules = []
    for n, entry in enumerate(document):
        where = node.at((n, "path")).where
        try:
            rule = rule_of(entry)
        except ValueError as error:
            raise SpecError(f"{error} (in reference/{n})", where=node.at((n,)).where) from None
        first = rule.path.split("/")[0]
        if not _names_a_stage(first, stages):
            raise SpecError(f"the workflow has no stage {first!r}", where=where, hint=did_you_mean(first, stages))
        rules.append(rule)
    return tuple(rules)


def _names_a_stage(part: str, stages: Collection[str]) -> bool:
    """A stage, yadage's name of one of its steps (`select_3`), or a pattern of those."""
    numbered = re.sub(r"_\d+$", "", part)
    return part == "**" or any(stage in (part, numbered) or fnmatchcase(stage, part) for stage in stages)


def rules_in(document: Any, what: str) -> tuple[Rule, ...]:
    """The rules that a run or a capsule carries. Raises IntegrityError for what is none."""
    if found := schemas.problem("recast-1", document, "properties", "reference"):
        raise IntegrityError(f"{what} holds comparison rules that are none: {found[1]}")
    try:
        return tuple(rule_of(entry) for entry in document)
    except ValueError as error:
        raise IntegrityError(f"{what} holds a comparison rule that is none: {error}") from None


def default_rules(results: Iterable[str], workflow: Workflow) -> tuple[Rule, ...]:
    """The rules of whoever wrote none: every result, or else every output of the last stages, byte by byte.

    A result that does not lie in the run directory is no output of a run.
    """
    paths = dict.fromkeys(map(posixpath.normpath, results))
    exact = tuple(Rule(path) for path in paths if _inside(path))
    return exact or tuple(Rule(f"{escape(stage)}/**") for stage in last_stages(workflow))


def last_stages(workflow: Workflow) -> tuple[str, ...]:
    """The stages that no other one waits for."""
    needed = {name for stage in workflow.stages for name in names.needs(stage) if name != stage.name}
    return tuple(stage.name for stage in workflow.stages if stage.name not in needed)
