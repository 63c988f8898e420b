"""Everything that is wrong with something that somebody wants to run, found in one pass and without running it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm.errors import SpecError
from recast_dm.spec import analysis, remote, source, yadage
from recast_dm.spec import relaxations as relaxing


@dataclass(frozen=True, slots=True)
class Checked:
    """Errors, which no run could get around, and warnings, in the order of their places."""

    errors: tuple[SpecError, ...]
    warnings: tuple[SpecError, ...]


def check(
    spec: str,
    *,
    toplevel: str | None = None,
    example: str | None = None,
    fetch: remote.Fetch | None = None,
    init: Mapping[str, Any] | None = None,
    raw: Collection[str] = (),
) -> Checked:
    """Looks at what `source.open_source` opens. `init` are init parameters that a user would give.

    Raises UsageError and RemoteError for what cannot be opened at all.
    """
    try:
        opened = source.open_source(spec, toplevel=toplevel, example=example, fetch=fetch, raw=raw)
    except SpecError as error:
        return _all(spec, error, fetch, raw)
    names = {*opened.initdata, *(init or {})}
    if opened.analysis is not None and opened.analysis.signal is not None:
        names |= set(opened.analysis.signal.init)
    _, problems = yadage.inspect(opened.root, raw_stages=relaxing.raw_stages(opened.relaxations), init=names or None)
    return Checked(problems.errors, problems.warnings)


def _all(spec: str, first: SpecError, fetch: remote.Fetch | None, given: Collection[str]) -> Checked:
    """An analysis whose workflow has errors is opened no further than to its workflow, to see all of them."""
    directory = Path(spec) if Path(spec).is_dir() else Path(spec).parent
    try:
        root, raw = analysis.workflow(directory, fetch=fetch)
    except (SpecError, OSError):
        return Checked((first,), ())
    _, problems = yadage.inspect(root, raw_stages=raw.union(given))
    return Checked(problems.errors or (first,), problems.warnings)
