"""The closure of an analysis: every published point is run, and each number stands beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm.backends import Backend
from recast_dm.engine import events
from recast_dm.errors import UsageError
from recast_dm.reinterpret import closure as comparing
from recast_dm.reinterpret.grid import of_rows
from recast_dm.reinterpret.points import Answer
from recast_dm.reinterpret.scan import scan
from recast_dm.reinterpret.subject import Subject


def closure(
    subject: Subject,
    backend: Backend,
    directory: Path,
    observer: events.Observer,
    overrides: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """A row for each published number; `ours` is None where a point gave no limit. One scan a model, below `directory`.

    Raises UsageError for an analysis that names no published numbers.
    """
    published = subject.analysis.closure if subject.analysis else ()
    if not published:
        raise UsageError(f"{subject.name} names no published numbers", hint="recast.yml lists them under `closure`")
    answers: dict[str, tuple[Answer, ...]] = {}
    for model in dict.fromkeys(each.model for each in published):
        points = [dict(each.parameters) for each in published if each.model == model]
        grid = of_rows(model, points, tuple(dict.fromkeys(name for point in points for name in point)))
        found = scan(subject, grid, backend, directory / model, observer, overrides)
        found.keep()
        answers[model] = found.answers
    return [row for each in published for row in comparing.table([each], each.model, answers[each.model])]
