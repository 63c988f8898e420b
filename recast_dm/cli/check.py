"""`recast-dm check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.errors import SpecError


def check(
    source: options.SourceArgument,
    parameters: options.Parameters = None,
    toplevel: options.Toplevel = None,
    example: options.Example = None,
    raw: options.Raw = None,
    allow_remote: options.AllowRemote = False,
    json: options.Json = False,
) -> None:
    """Say everything that is wrong with a workflow, without running it.

    \b
    Examples:
      recast-dm check my-search
      recast-dm check workflow.yml --json
    """
    from recast_dm.spec.check import check as look

    fetch = options.fetcher(allow_remote)
    given = options.yaml_values(parameters, "-p")
    found = look(
        chosen.specification(source), toplevel=toplevel, example=example, fetch=fetch, init=given, raw=raw or ()
    )
    if json:
        view.document(
            {
                "schema": "recast-dm/check/1",
                "source": source,
                "errors": [_document(error) for error in found.errors],
                "warnings": [_document(warning) for warning in found.warnings],
            }
        )
    else:
        for line in _lines(found.errors, "error"):
            view.out(line)
        for line in _lines(found.warnings, "warning"):
            view.out(line)
        view.out(_summary(source, len(found.errors), len(found.warnings)))
    if found.errors:
        raise typer.Exit(SpecError.exit_code)


def _lines(problems: Sequence[SpecError], kind: str) -> list[str]:
    lines = []
    for problem in problems:
        place = f"{problem.where}: " if problem.where else ""
        lines.append(f"{place}{kind}: {problem.message}")
        lines += [f"  {line}" for line in (problem.hint or "").splitlines()]
    return lines


def _document(problem: SpecError) -> dict[str, Any]:
    document = problem.document()
    return {key: document[key] for key in ("message", "where", "hint")}


def _summary(source: str, errors: int, warnings: int) -> str:
    counted = [f"{n} {word}{'s' * (n != 1)}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    return f"{Path(source).name or source}: {' and '.join(counted) or 'nothing is wrong'}"
