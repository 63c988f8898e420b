"""`recast-dm contour`."""

from __future__ import annotations

from typing import Annotated

import typer

from recast_dm.cli import options
from recast_dm.cli.scan import Grid, Model


def contour(
    capsule: options.AnalysisArgument,
    model: Model,
    grid: Grid = None,
    settings: options.ModelSettings = None,
    benchmark: options.Benchmark = None,
    budget: Annotated[int, typer.Option(min=5, max=10_000, help="Points to try at most.")] = 60,
    target: Annotated[
        float, typer.Option(min=1e-4, max=1.0, help="Stop when the line is known to this part of its place.")
    ] = 0.005,
    k_factor: options.KFactor = None,
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
    """Find the mu = 1 line in a plane of two parameters, at the points of a grid that tell most about it.

    \b
    Examples:
      recast-dm contour my-search.capsule --model spin1-axial --grid m_med=200:3000:50 --grid m_dm=1:1001:50
      recast-dm contour my-search.capsule --model spin1-axial --grid m_med=200:3000:50 --grid m_dm=1:1001:50 --budget 30
    """
    from recast_dm.cli import execution, scanning
    from recast_dm.engine.events import Observer
    from recast_dm.model import Policy
    from recast_dm.reinterpret import contour as contours
    from recast_dm.reinterpret import grid as grids
    from recast_dm.reinterpret.scan import Scan

    wanted = grids.of_axes(model, grid or (), options.model_values(model, settings, benchmark))
    overrides, chosen = options.yaml_values(parameters, "-p"), options.k_factor(k_factor)
    contours.plane_of(wanted)

    def search(ready: execution.Ready, observer: Observer) -> Scan:
        aim = contours.Target(budget=budget, uncertainty=target)
        return contours.contour(ready.subject, wanted, ready.backend, ready.directory, observer, overrides, chosen, aim)

    found = scanning.searched(
        capsule,
        execution.Opening(inputs_from=tuple(inputs_from or ())),
        execution.Settings(
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
        search,
    )
    scanning.show(found, json=json)
