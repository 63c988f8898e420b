"""`recast-dm scan`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recast_dm.cli import options

Model = Annotated[str, typer.Option(metavar="NAME", help="A signal model; `recast-dm models ls` lists them.")]
Grid = Annotated[
    list[str] | None,
    typer.Option("--grid", metavar="NAME=FIRST:LAST:STEP|A,B,C", help="The values of a parameter; repeat for each."),
]
Points = Annotated[
    Path | None,
    typer.Option("--points", metavar="FILE", help="Points in a CSV file whose first line names the parameters."),
]


def scan(
    capsule: options.AnalysisArgument,
    model: Model,
    grid: Grid = None,
    points: Points = None,
    settings: options.ModelSettings = None,
    benchmark: options.Benchmark = None,
    k_factor: options.KFactor = None,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Run a few points only, and forecast what the others take.")
    ] = False,
    parameters: options.Parameters = None,
    inputs_from: options.InputsFrom = None,
    workdir: options.Workdir = None,
    jobs: options.Jobs = options.DEFAULTS.jobs,
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    backend: options.BackendName = "local",
    registry: options.RegistryName = None,
    at_once: options.AtOnce = 8,
    no_cache: options.NoCache = False,
    retries: options.Retries = 0,
    timeout: options.Timeout = None,
    verify: options.Verify = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Rerun a capsule at many points of a signal model. A point that fails leaves the others; repeat to resume.

    \b
    Examples:
      recast-dm scan my-search.capsule --model spin1-axial --grid m_med=500:3000:250 --grid m_dm=1:1500:100
      recast-dm scan my-search.capsule --model spin1-vector --benchmark V1 --points points.csv --estimate
    """
    from recast_dm.cli import scanning
    from recast_dm.cli.execution import Opening, Settings
    from recast_dm.model import Policy
    from recast_dm.reinterpret import grid as grids

    values = options.model_values(model, settings, benchmark)
    wanted = grids.of_file(model, points, values) if points else grids.of_axes(model, grid or (), values)
    scanning.scan(
        capsule,
        Opening(inputs_from=tuple(inputs_from or ())),
        Settings(
            backend=backend,
            registry=registry,
            runtime=runtime,
            jobs=jobs,
            cache=not no_cache,
            workdir=workdir,
            quiet=quiet,
            json=json,
            keep_going=True,
            verify=verify,
            policy=Policy(retries=retries, timeout=timeout),
            at_once=at_once,
        ),
        scanning.Asked(
            grid=wanted,
            overrides=options.yaml_values(parameters, "-p"),
            k_factor=options.k_factor(k_factor),
            estimate=estimate,
        ),
    )
