"""`recast-dm graph`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.report.graph import Graph

Subject = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE|RUN",
        help="A workflow.yml, recast.yml or reana.yaml, its directory, or a capsule; or a run.",
        show_default=str(chosen.LATEST),
    ),
]
Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", metavar="FILE.svg|FILE.mmd", help="Where it goes.", show_default="stdout, mermaid"),
]
Steps = Annotated[bool, typer.Option("--steps", help="A box for every step of a run, however many there are.")]


def graph(
    subject: Subject = str(chosen.LATEST), output: Output = None, steps: Steps = False, json: options.Json = False
) -> None:
    """Draw a workflow's stages or a run's steps, as SVG or mermaid.

    \b
    Examples:
      recast-dm graph my-search -o workflow.svg
      recast-dm graph build/runs/latest --steps -o run.mmd
    """
    if output is not None and output.suffix not in (".svg", ".mmd"):
        raise UsageError(f"-o {output}: pictures are written as .svg or .mmd", hint=f"-o {output.stem or 'graph'}.svg")
    if output is not None and output.is_dir():
        raise UsageError(f"-o {output} is a directory", hint="name a file")
    found = _graph(subject, steps)
    if output is not None:
        _write(found, output)
    if json:
        view.document(found.document(str(output) if output else None))
    elif output is not None:
        view.out(view.table([("picture", str(output)), ("of", found.heading)]))
    else:
        from recast_dm.report import graph as graphs

        view.out(graphs.mermaid(found).rstrip("\n"))


def _graph(subject: str, steps: bool) -> Graph:
    from recast_dm.engine import history
    from recast_dm.report import graph as graphs

    path = Path(subject)
    place = next((place for place in (path, options.RUNS / path) if history.is_run(place)), None)
    if place is not None or path == chosen.LATEST:
        return graphs.of_run(chosen.run(None if path == chosen.LATEST else path), every=steps)
    if steps:
        raise UsageError(f"{subject} is no run, and only a run has steps", hint="leave out --steps")
    if capsule := chosen.capsule(path):
        return graphs.of_workflow(capsule.analysis.workflow, capsule.analysis.name)
    from recast_dm.spec import source, yadage

    opened = source.open_source(subject)
    if opened.analysis is not None:
        return graphs.of_workflow(opened.analysis.workflow, opened.name)
    return graphs.of_workflow(yadage.parse_workflow(opened.root, raw_stages=frozenset(opened.relaxations)), opened.name)


def _write(found: Graph, output: Path) -> None:
    from recast_dm import store
    from recast_dm.report import graph as graphs
    from recast_dm.report import svg

    store.write_atomic(output, (svg.svg(found) if output.suffix == ".svg" else graphs.mermaid(found)).encode())
