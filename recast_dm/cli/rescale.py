"""`recast-dm rescale`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recast_dm.cli import options, view
from recast_dm.cli.scan import Grid

Source = Annotated[Path, typer.Argument(metavar="SCAN", help="The directory of a scan, or its scan.json.")]


def rescale(
    scan: Source,
    settings: options.ModelSettings = None,
    benchmark: options.Benchmark = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Another model of the family.", show_default="the scan's")
    ] = None,
    grid: Grid = None,
    at: Annotated[
        list[str] | None, typer.Option("--at", metavar="KEY=VALUE", help="Take only this slice of the scan; repeat.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.json", help="Where the new scan document goes.")
    ] = None,
    json: options.Json = False,
) -> None:
    """Turn one scan into that of other couplings, as the rate of a narrow resonance scales: nothing is run.

    \b
    Examples:
      recast-dm rescale build/runs/latest --set g_q=0.1 --set g_l=0.1 -o a2.json
      recast-dm rescale build/runs/latest --at m_dm=1 --grid g_q=0.02:0.5:0.02 -o coupling-mass.json
    """
    from recast_dm import store
    from recast_dm.cli import scantable
    from recast_dm.reinterpret import grid as grids
    from recast_dm.reinterpret import rescale as scaling
    from recast_dm.reinterpret.scan import DOCUMENT, SCHEMA

    source = store.read_json(scan / DOCUMENT if scan.is_dir() else scan, SCHEMA)
    wanted = options.model_values(model or source["model"], settings, benchmark)
    found = scaling.rescaled(
        source,
        model=model,
        settings=options.numbers(wanted, "--set"),
        axes=dict(grids.axis(word) for word in grid or ()),
        at=options.numbers(options.pairs(at or (), "--at"), "--at"),
    )
    if output is not None:
        store.write_atomic(output, store.pretty(found))
    if json:
        view.document(found)
        return
    view.out("\n".join(scantable.lines(found)))
    if output is not None:
        view.out(f"\nscan           {output}")
