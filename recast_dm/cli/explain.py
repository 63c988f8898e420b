"""`recast-dm explain`."""

from __future__ import annotations

import json as jsons
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, options, view

if TYPE_CHECKING:
    from recast_dm.engine.difference import Change, Explained
    from recast_dm.engine.history import Run, StepHistory
    from recast_dm.model import StepId

WIDTH = 60
Step = Annotated[str, typer.Argument(metavar="STEP", help="A step, such as generate/0.")]
RunOption = Annotated[
    Path | None,
    typer.Option("--run", metavar="RUN", help="The run it is a step of.", show_default=str(chosen.LATEST)),
]
Against = Annotated[
    Path | None,
    typer.Option(
        "--against",
        metavar="RUN",
        help="The run to compare with.",
        show_default="what it was before in this run, else the run before this one",
    ),
]


@dataclass(frozen=True, slots=True)
class _Before:
    """What a step is compared with: a record of another run, or the one that was replaced in this run."""

    directory: Path
    lookup: Callable[[StepId], Mapping[str, Any] | None]
    record: Mapping[str, Any] | None
    replaced: bool = False


def explain(step: Step, run: RunOption = None, against: Against = None, json: options.Json = False) -> None:
    """Say why a step ran again, or why it could be kept.

    Which part of its key differs, and at which step that began.

    \b
    Examples:
      recast-dm explain limit/0
      recast-dm explain limit/0 --run build/runs/latest --against build/runs/before --json
    """
    from recast_dm.engine import difference

    found = chosen.run(run)
    one = found.step(step)
    after = _lookup(found)
    record = after(one.id)
    before = _before(found, one, against)
    told = None
    if record is not None and before is not None and before.record is not None:
        told = difference.explain(one.id, before.lookup, after, before.record)
    if json:
        view.document(document(found, one, record, before, told))
    else:
        view.out("\n".join(_text(found, one, record, before, told)))


def _lookup(run: Run) -> Callable[[StepId], Mapping[str, Any] | None]:
    return cache(run.record)


def _before(run: Run, step: StepHistory, against: Path | None) -> _Before | None:
    """What to compare with: the named run; else the replaced record; else the newest earlier run that has the step."""
    if against is not None:
        other = chosen.run(against)
        other.step(str(step.id))
        return _Before(other.directory, lookup := _lookup(other), lookup(step.id))
    if (replaced := run.replaced(step.id)) is not None:
        return _Before(run.directory, _replaced(run), replaced, replaced=True)
    return _earlier(run, step.id)


def _replaced(run: Run) -> Callable[[StepId], Mapping[str, Any] | None]:
    return cache(lambda step: run.replaced(step) or run.record(step))


def _earlier(run: Run, step: StepId) -> _Before | None:
    """The newest run beside this one and older, of the same analysis, in which the step has finished."""
    from recast_dm.engine import history

    beside = history.runs_in(run.directory.parent)
    place = next((n for n, path in enumerate(beside) if path.name == run.directory.name), 0)
    for directory in reversed(beside[:place]):
        other = history.read(directory)
        if other.about.get("analysis") == run.about.get("analysis") and (record := other.record(step)) is not None:
            return _Before(directory, _lookup(other), record)
    return None


# --- for people ------------------------------------------------------------------------------------------------------

_HOW = {"ran": "it ran", "cached": "its files were taken from the cache", "kept": "it was kept as it was"}


def _text(
    run: Run, step: StepHistory, record: Mapping[str, Any] | None, before: _Before | None, told: Explained | None
) -> Iterator[str]:
    rows = [("step", str(step.id)), ("run", str(run.directory))]
    how = f": {_HOW[step.how]}" if step.how else f": {step.reason or step.message}" if step.reason else ""
    rows += [("state", f"{step.state}{how}")]
    rows += [("key", record["key"])] if record else []
    if before is not None:
        what = f"what it was before in {before.directory}" if before.replaced else str(before.directory)
        rows += [("against", what)]
        rows += [("its key", before.record["key"])] if before.record else []
    yield view.table(rows)
    yield ""
    yield from _verdict(step, record, before, told)


def _verdict(
    step: StepHistory, record: Mapping[str, Any] | None, before: _Before | None, told: Explained | None
) -> Iterator[str]:
    if record is None:
        yield f"{step.id} has not finished, so there is no key to compare"
    elif before is None:
        yield "there is no earlier work to compare with; --against names a run"
    elif told is None:
        yield f"{step.id} has not finished in {before.directory}, so there is no key to compare"
    elif not told.changes:
        yield "the same work: every part of the key is equal, so its files can be used again"
    else:
        yield "other work: these parts of the key differ"
        yield from changes(told)
        roots = [root for root in told.roots() if root.step != told.step]
        if roots:
            yield "it began at"
            for root in dict.fromkeys(root.step for root in roots):
                yield f"  {root}"
                yield from (f"  {line}" for line in changes(next(r for r in roots if r.step == root)))


def changes(told: Explained) -> Iterator[str]:
    """A line for each part of a step's key that differs."""
    for change in told.changes:
        yield f"  {title(change)}: {_said(change)}"


def title(change: Change) -> str:
    return f"{change.part} {change.name}" if change.name else change.part


def _said(change: Change) -> str:
    if change.input is not None:
        files = [f"{file.path} {file.change}" for file in change.input.files[:5]]
        more = len(change.input.files) - len(files)
        named = ", ".join(files) + (f" and {more} more" if more > 0 else "")
        origin = "the init directory" if str(change.input.step) == "init/0" else str(change.input.step)
        return f"other files from {origin}" + (f" ({named})" if named else "")
    if change.part == "image" and isinstance(change.before, str) and isinstance(change.after, str):
        return f"{change.before[:19]} → {change.after[:19]}"
    return f"{short(change.before)} → {short(change.after)}"


def short(value: Any) -> str:
    """A value of a key as one short line; trees by the beginning of their hash."""
    text = "nothing" if value is None else jsons.dumps(_readable(value), ensure_ascii=False)
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 1]}…"


def _readable(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {"path"}:
        return "".join(p if isinstance(p, str) else f"<{(p['tree'] or 'its own files')[:12]}>" for p in value["path"])
    if isinstance(value, dict):
        return {k: _readable(v) for k, v in (value["mapping"] if set(value) == {"mapping"} else value).items()}
    return [_readable(item) for item in value] if isinstance(value, list) else value


# --- the document ----------------------------------------------------------------------------------------------------


def document(
    run: Run, step: StepHistory, record: Mapping[str, Any] | None, before: _Before | None, told: Explained | None
) -> dict[str, Any]:
    """Why a step's work is or is not what it was (schema `recast-dm/explain/1`)."""
    return {
        "schema": "recast-dm/explain/1",
        "step": str(step.id),
        "run": str(run.directory),
        "state": step.state,
        "how": step.how,
        "key": record["key"] if record else None,
        "key_parts": record["key_parts"] if record else None,
        "against": str(before.directory) if before else None,
        "replaced": before.replaced if before else False,
        "against_key": before.record["key"] if before and before.record else None,
        "same": None if told is None else not told.changes,
        "changes": [change_document(change) for change in told.changes] if told else [],
        "causes": [
            {"step": str(root.step), "changes": [change_document(change) for change in root.changes]}
            for root in {root.step: root for root in told.roots()}.values()
            if root.changes
        ]
        if told
        else [],
    }


def change_document(change: Change) -> dict[str, Any]:
    source = change.input
    return {
        "part": change.part,
        "name": change.name,
        "before": change.before,
        "after": change.after,
        "from": str(source.step) if source else None,
        "files": [{"path": file.path, "change": file.change} for file in source.files] if source else [],
    }
