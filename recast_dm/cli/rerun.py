"""`recast-dm rerun`."""

from __future__ import annotations

from typing import Annotated

import typer

from recast_dm.cli import options


def rerun(
    capsule: options.AnalysisArgument,
    model: Annotated[str, typer.Option(metavar="NAME", help="A signal model; `recast-dm models ls` lists them.")],
    settings: options.ModelSettings = None,
    benchmark: options.Benchmark = None,
    events: options.Events = None,
    k_factor: options.KFactor = None,
    parameters: options.Parameters = None,
    inputs_from: options.InputsFrom = None,
    workdir: options.Workdir = None,
    jobs: options.Jobs = options.DEFAULTS.jobs,
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    backend: options.BackendName = "local",
    registry: options.RegistryName = None,
    no_cache: options.NoCache = False,
    keep_going: options.KeepGoing = False,
    retries: options.Retries = 0,
    timeout: options.Timeout = None,
    verify: options.Verify = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Rerun a capsule under a signal model: would this search have seen it?

    \b
    Examples:
      recast-dm rerun my-search.capsule --model spin1-axial --set m_med=2000 --set m_dm=1
      recast-dm rerun my-search.capsule --model events --events madgraph.lhe.gz --set dm_id=52 --json
    """
    from recast_dm import reinterpret
    from recast_dm.cli import execution
    from recast_dm.model import Policy
    from recast_dm.reinterpret import outside

    values = options.model_values(model, settings, benchmark)
    overrides = options.yaml_values(parameters, "-p")
    chosen, files = options.k_factor(k_factor), tuple(events or ())
    outside.demand(model, values, files)
    execution.execute(
        capsule,
        execution.Opening(inputs_from=tuple(inputs_from or ()), events=files),
        execution.Settings(
            backend=backend,
            registry=registry,
            runtime=runtime,
            jobs=jobs,
            cache=not no_cache,
            workdir=workdir,
            quiet=quiet,
            json=json,
            keep_going=keep_going,
            verify=verify,
            policy=Policy(retries=retries, timeout=timeout),
        ),
        lambda subject, engine, directory, observer: reinterpret.rerun(
            subject, model, values, engine, directory, observer, overrides, chosen
        ),
    )
