"""`recast-dm capture --trace`: a plain script becomes the draft of an analysis."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from recast_dm.cli import view
from recast_dm.errors import UsageError

Trace = Annotated[
    bool,
    typer.Option("--trace", help="Run the command behind `--`, and draft an analysis of what it does into -o DIR."),
]
Again = Annotated[
    list[str] | None,
    typer.Option(metavar="'ARG ...'", help="Trace it with these arguments too: what differs becomes parameters."),
]


def untraced(analysis: str | None, output: Path | None, more: Sequence[str]) -> tuple[str, Path]:
    """What a capture without a trace needs. Raises UsageError."""
    if analysis is None:
        raise UsageError("Missing argument 'ANALYSIS'.", hint="`recast-dm capture --help` lists what it takes")
    if more:
        raise UsageError(f"Got unexpected extra arguments ({' '.join(more)})", hint="a command to trace needs --trace")
    if output is None:
        raise UsageError("Missing option '-o' / '--output'.", hint="`recast-dm capture --help` lists what it takes")
    return analysis, output


def trace(command: Sequence[str], output: Path | None, again: Sequence[str], *, json: bool) -> None:
    """Traces a command, and each other set of its arguments, and writes a draft."""
    from recast_dm import config
    from recast_dm.capsule import tracing

    if not command:
        raise UsageError(
            "--trace needs a command", hint="recast-dm capture --trace -o DIR -- ./run_analysis.sh data.csv"
        )
    try:
        others = [shlex.split(words) for words in again]
    except ValueError as error:
        raise UsageError(f"--again is no list of words: {error}") from None
    target = output or Path(f"{tracing.name_of(command)}-draft")
    document = tracing.trace(command, others, target, config.environment())
    if json:
        view.document(document)
        return
    parameters = ", ".join(f"{key}={value}" for key, value in document["parameters"].items())
    named = [f"{each['name']} {each['version']}" for each in (*document["packages"], *document["distributions"])]
    rows = [
        ("draft", document["draft"]),
        ("stages", ", ".join(document["stages"])),
        ("parameters", parameters),
        ("results", ", ".join(document["results"])),
        ("by name", ", ".join(named)),
        *(("copied", f"{each['path']} -> {each['to']}") for each in document["copied"]),
        *(("left out", text) for text in document["left_out"]),
        *(("finding", text) for text in document["findings"]),
    ]
    view.out(view.table([row for row in rows if row[1]]))
    view.out(f"\nnext: look at {target}, then")
    view.out(f"  DOCKER_BUILDKIT=0 docker build --tag {document['image']} {shlex.quote(str(target))}")
    view.out(f"  recast-dm run {shlex.quote(str(target))}")
