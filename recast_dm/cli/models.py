"""`recast-dm models`."""

from __future__ import annotations

from typing import Annotated

import typer

from recast_dm.cli import options, view

app = typer.Typer(help="The signal models known here.", no_args_is_help=True, rich_markup_mode=None)


@app.command("ls")
def ls(json: options.Json = False) -> None:
    """List the signal models.

    \b
    Examples:
      recast-dm models ls
      recast-dm models ls --json
    """
    from recast_dm import signals

    records = [signals.find(name).record for name in signals.names()]
    if json:
        view.document({"schema": "recast-dm/signal-models/1", "models": [r.document() for r in records]})
        return
    rows = [(r.name, ", ".join(p.name for p in r.parameters), r.family) for r in records]
    view.out(view.table(rows, head=("model", "parameters", "family")))


@app.command("describe")
def describe(
    name: Annotated[str, typer.Argument(metavar="MODEL", help="A model's name, as `models ls` gives it.")],
    json: options.Json = False,
) -> None:
    """Describe one signal model: parameters, units, ranges, validity, citations.

    \b
    Examples:
      recast-dm models describe spin1-axial
      recast-dm models describe add --json
    """
    from recast_dm import signals

    record = signals.find(name).record
    if json:
        view.document(record.document())
        return
    rows = [
        (p.name, p.unit, p.range, "required" if p.required else f"{p.default:g}", p.meaning) for p in record.parameters
    ]
    view.out(f"{record.name} (version {record.version}): {record.family}, {record.order}\n")
    view.out(view.table(rows, head=("parameter", "unit", "range", "default", "meaning")))
    for fixed in record.fixed:
        view.out(f"fixed: {fixed.name} = {fixed.value}: {fixed.meaning}")
    for benchmark in record.benchmarks:
        view.out(f"benchmark: {benchmark.name}: " + " ".join(f"{name}={value:g}" for name, value in benchmark.values))
    for note in record.validity:
        view.out(f"validity: {note}")
    for citation in record.citations:
        view.out(f"cite: arXiv:{citation.arxiv}  {citation.title}")
