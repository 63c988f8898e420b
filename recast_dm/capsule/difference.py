"""What is other in one capsule or run than in another: what went in, specification, images by layer, work, results."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from glob import escape
from pathlib import Path
from typing import Any, Literal, TypeAlias

from recast_dm.capsule import layout
from recast_dm.capsule.comparison.compare import Agreement, compare_outputs
from recast_dm.capsule.opening import Capsule
from recast_dm.engine import difference as work
from recast_dm.engine.difference import Explained, FileChange
from recast_dm.engine.history import Run
from recast_dm.errors import IntegrityError, UsageError
from recast_dm.model import Image, StepId
from recast_dm.spec.analysis import rules_of
from recast_dm.spec.reference import Rule, rule_of, rules_in

Change: TypeAlias = Literal["added", "removed", "changed"]
LONGEST = 20_000
"""Lines of a specification up to which the lines that differ are looked for."""
_ABOUT = ("analysis", "capsule", "model", "parameters", "initdata")


@dataclass(frozen=True, slots=True)
class ValueChange:
    """A value with another value: an init parameter (`initdata.seeds[0]`), a setting. None is absent."""

    name: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Named:
    """A stage or a step that was added, removed or changed."""

    name: str
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageChange:
    """An image and its layers, by diff_id; of one that is new, `common` are those that other images had already."""

    reference: str
    change: Change
    common: tuple[str, ...]
    removed: tuple[str, ...]
    added: tuple[str, ...]
    config: tuple[ValueChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two. `about` is what it is of; `rules` None where it has none; `outputs` the directory they lie in."""

    kind: Literal["capsule", "run"]
    path: Path
    id: str
    about: Mapping[str, Any]
    rules: tuple[Rule, ...] | None
    outputs: Path | None
    capsule: Capsule | None = None
    run: Run | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Two sides, and what is other in the second. `results` is None where one of them has no outputs to compare."""

    first: Side
    second: Side
    about: tuple[ValueChange, ...]
    rules: tuple[ValueChange, ...]
    results: tuple[Agreement, ...] | None
    stages: tuple[Named, ...] = ()
    workflow: tuple[str, ...] = ()
    images: tuple[ImageChange, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    inputs: tuple[FileChange, ...] = ()
    steps: tuple[Named, ...] = ()
    causes: tuple[Explained, ...] = ()

    @property
    def agrees(self) -> bool | None:
        """Whether every output agrees under its rule; None where there are none to compare."""
        return None if self.results is None else all(result.agrees for result in self.results)


def of_capsule(capsule: Capsule) -> Side:
    """A capsule that was opened, so that its files are what its manifest says."""
    example = capsule.manifest["example"]
    outputs = capsule.path / layout.REFERENCE
    return Side(
        kind="capsule",
        path=capsule.path,
        id=capsule.digest,
        about={
            "analysis": capsule.analysis.name,
            "capsule": capsule.digest,
            "model": example["model"],
            "parameters": example["parameters"],
            "initdata": example["initdata"],
        },
        rules=_captured_rules(capsule),
        outputs=outputs if outputs.is_dir() else None,
        capsule=capsule,
    )


def _captured_rules(capsule: Capsule) -> tuple[Rule, ...]:
    """The rules that were captured, with all their numbers; capsules of format 1 have those of their analysis only."""
    if "reference" not in capsule.manifest:
        return rules_of(capsule.analysis)
    return rules_in(capsule.manifest["reference"]["rules"], str(capsule.path / layout.MANIFEST))


def of_run(run: Run) -> Side:
    """A run as it is now. Raises IntegrityError where its rules are none."""
    said = run.about.get("reference")
    return Side(
        kind="run",
        path=run.directory,
        id=str(run.about.get("id", "")),
        about={name: run.about.get(name) for name in _ABOUT},
        rules=None if said is None else rules_in(said, str(run.directory / "run.json")),
        outputs=run.directory,
        run=run,
    )


def difference(first: Side, second: Side) -> Difference:
    """What is other in the second. Raises UsageError where a run is to be compared and there is nothing to compare."""
    capsules = [side.capsule for side in (first, second) if side.capsule]
    runs = [side.run for side in (first, second) if side.run]
    results = _results(first, second)
    if runs and not results:
        raise UsageError(_nothing(first, second))
    # a capsule keeps the parameters as they were written, a run all of them: the init parameters tell
    told = {"parameters"} if capsules and runs else {"capsule"} if capsules else set()
    about = {name: (first.about[name], second.about[name]) for name in _ABOUT if name not in told}
    more: dict[str, Any] = {}
    if len(capsules) == 2:
        more = _of_capsules(*capsules)
    if len(runs) == 2:
        more = _of_runs(*runs)
    return Difference(
        first=first,
        second=second,
        about=tuple(change for name, (a, b) in about.items() for change in values(a, b, name)),
        rules=tuple(_rules(first.rules or (), second.rules or ())),
        results=results,
        **more,
    )


def values(before: Any, after: Any, name: str) -> Iterator[ValueChange]:
    """Where two JSON values differ. Raises IntegrityError for what is nested too deeply to look at."""
    try:
        yield from (ValueChange(*each) for each in work.values(before, after, name))
    except RecursionError:
        raise IntegrityError(f"{name} is nested too deeply to be compared") from None


def _rules(before: Iterable[Rule], after: Iterable[Rule]) -> Iterator[ValueChange]:
    old, new = ({rule.path: rule.document() for rule in rules} for rules in (before, after))
    for path in dict.fromkeys((*old, *new)):
        if old.get(path) != new.get(path):
            yield ValueChange(path, old.get(path), new.get(path))


# --- results ---------------------------------------------------------------------------------------------------------


def _results(first: Side, second: Side) -> tuple[Agreement, ...] | None:
    """The outputs of both, by the rules of the capsule, else of the first that has some, else byte by byte."""
    if first.outputs is None or second.outputs is None:
        return None
    order = sorted((first, second), key=lambda side: side.kind)
    rules = next((side.rules for side in order if side.rules is not None), None)
    if rules is None:
        rules = tuple(dict.fromkeys(rule for side in order if side.run for rule in published_rules(side.run)))
    return compare_outputs(rules, first.outputs, second.outputs) or None


def published_rules(run: Run) -> Iterator[Rule]:
    """For a run that says no rules: every file that a step has published is compared byte by byte."""
    steps = {str(step.id) for step in run.steps}
    for step in run.steps:
        record = run.record(step.id)
        for said in _texts(record["published"]) if record else ():
            if _beginnings(said) & steps:
                inside = "/**" if (run.directory / said).is_dir() else ""
                try:
                    yield rule_of({"path": escape(said) + inside, "compare": "exact"})
                except ValueError:  # a record that was changed by hand
                    continue


def _beginnings(path: str) -> set[str]:
    parts = path.split("/")
    return {"/".join(parts[:n]) for n in range(2, len(parts) + 1)}


def _texts(published: Any) -> Iterator[str]:
    todo = [published]
    while todo:
        value = todo.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            todo.extend(value.values() if isinstance(value, dict) else value)


def _nothing(first: Side, second: Side) -> str:
    bare = next((side for side in (first, second) if side.outputs is None), None)
    return f"{bare.path} holds no reference outputs" if bare else "neither run has published a file: nothing to compare"


# --- capsules --------------------------------------------------------------------------------------------------------


def _of_capsules(before: Capsule, after: Capsule) -> dict[str, Any]:
    return {
        "stages": tuple(_stages(before.analysis.workflow.source, after.analysis.workflow.source)),
        "workflow": tuple(_unified(before, after)),
        "images": tuple(image_changes(before.images, after.images)),
        "sizes": {**_sizes(before.manifest), **_sizes(after.manifest)},
        "inputs": tuple(_files(before.manifest, after.manifest)),
    }


def _stages(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Named]:
    old, new = ({stage["name"]: stage for stage in source["stages"]} for source in (before, after))
    yield from _named(old, new, lambda a, b: any(True for _ in work.values(a, b)))


def _named(old: Mapping[str, Any], new: Mapping[str, Any], differ: Callable[[Any, Any], bool]) -> Iterator[Named]:
    for name in dict.fromkeys((*old, *new)):
        if name not in old or name not in new:
            yield Named(name, "added" if name in new else "removed")
        elif differ(old[name], new[name]):
            yield Named(name, "changed")


def _unified(before: Capsule, after: Capsule) -> Iterator[str]:
    """The lines of the flattened specification that differ, as `diff -u` says it."""
    one, other = (capsule.path / capsule.manifest["workflow"] for capsule in (before, after))
    old, new = (place.read_text(encoding="utf-8").splitlines() for place in (one, other))
    if old != new and max(len(old), len(new)) > LONGEST:
        yield f"(longer than {LONGEST} lines: `diff -u` shows what differs)"
    else:
        yield from difflib.unified_diff(old, new, str(one), str(other), lineterm="")


def image_changes(before: Iterable[Image], after: Iterable[Image]) -> Iterator[ImageChange]:
    """The images that differ, by the reference that the workflow uses."""
    old, new = ({image.reference: image for image in images} for images in (before, after))
    known = [{layer for image in images.values() for layer in image.diff_ids} for images in (old, new)]
    for each in _named(old, new, lambda a, b: (a.diff_ids, _settings(a)) != (b.diff_ids, _settings(b))):
        one, other = old.get(each.name), new.get(each.name)
        ours = one.diff_ids if one else ()
        theirs = other.diff_ids if other else ()
        shared = known[0] if one is None else set(ours)
        kept = known[1] if other is None else set(theirs)
        yield ImageChange(
            reference=each.name,
            change=each.change,
            common=tuple(layer for layer in theirs or ours if layer in shared and layer in kept),
            removed=tuple(layer for layer in ours if layer not in kept),
            added=tuple(layer for layer in theirs if layer not in shared),
            config=tuple(values(_settings(one), _settings(other), "")) if one and other else (),
        )


def _settings(image: Image) -> dict[str, Any]:
    return {"platform": image.platform, **image.config}


def _sizes(manifest: Mapping[str, Any]) -> dict[str, int]:
    """The bytes of each layer as the capsule keeps it, by diff_id; capsules of format 1 keep none."""
    return {layer["diff_id"]: layer["size"] for image in manifest["images"] for layer in image.get("layers", ())}


def _files(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[FileChange]:
    """The analysis' own files: inputs, source, and what is kept by reference."""
    old, new = (_hashes(manifest) for manifest in (before, after))
    changed = _named(old, new, lambda a, b: bool(a != b))
    yield from sorted((FileChange(each.name, each.change) for each in changed), key=lambda file: file.path)


def _hashes(manifest: Mapping[str, Any]) -> dict[str, Any]:
    top = f"{layout.ANALYSIS}/"
    files = {f["path"].removeprefix(top): f for f in manifest["files"] if f["path"].startswith(top)}
    files |= {f["path"].removeprefix(top): f for f in manifest.get("inputs", ())}
    return {path: (file["sha256"], file.get("executable", False)) for path, file in files.items()}


# --- runs ------------------------------------------------------------------------------------------------------------


def _of_runs(before: Run, after: Run) -> dict[str, Any]:
    """The steps that did other work, and where that began."""
    lookups = cache(before.record), cache(after.record)
    old, new = (
        {str(step.id): record["key"] for step in run.steps if (record := lookup(step.id)) is not None}
        for run, lookup in zip((before, after), lookups, strict=True)
    )
    steps = tuple(_named(old, new, lambda a, b: bool(a != b)))
    told = [work.explain(StepId.parse(each.name), *lookups) for each in steps if each.change == "changed"]
    roots = {root.step: root for explained in told if explained for root in explained.roots() if root.changes}
    return {"steps": steps, "causes": tuple(roots.values())}
