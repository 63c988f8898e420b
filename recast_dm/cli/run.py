"""`recast-dm run`."""

from __future__ import annotations

from dataclasses import replace

from recast_dm.cli import options


def run(
    source: options.SourceArgument,
    parameters: options.Parameters = None,
    inputs: options.InitFiles = None,
    initdir: options.Initdir = None,
    toplevel: options.Toplevel = None,
    example: options.Example = None,
    raw: options.Raw = None,
    inputs_from: options.InputsFrom = None,
    workdir: options.Workdir = None,
    jobs: options.Jobs = options.DEFAULTS.jobs,
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    backend: options.BackendName = "local",
    registry: options.RegistryName = None,
    allow_host: options.AllowHost = False,
    allow_remote: options.AllowRemote = False,
    no_cache: options.NoCache = False,
    keep_going: options.KeepGoing = False,
    retries: options.Retries = 0,
    timeout: options.Timeout = None,
    verify: options.Verify = False,
    dry_run: options.DryRun = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run a workflow: a capsule, an analysis, a reana.yaml or a bare spec.

    \b
    Examples:
      recast-dm run my-search.capsule
      recast-dm run workflow.yml -p seed=1 -p 'masses=[500, 1000]' --workdir runs/one
    """
    from recast_dm import reinterpret
    from recast_dm.cli import execution
    from recast_dm.model import Policy
    from recast_dm.reinterpret.inputs import override

    overrides = options.yaml_values(parameters, "-p")
    opening = execution.Opening(
        inputs_from=tuple(inputs_from or ()),
        toplevel=toplevel,
        example=example,
        initdir=initdir,
        initfiles=tuple(inputs or ()),
        allow_remote=allow_remote,
        raw=tuple(raw or ()),
    )
    settings = execution.Settings(
        backend=backend,
        registry=registry,
        runtime=runtime,
        jobs=jobs,
        cache=not no_cache,
        workdir=workdir,
        quiet=quiet,
        json=json,
        allow_host=allow_host,
        keep_going=keep_going,
        verify=verify,
        policy=Policy(retries=retries, timeout=timeout),
    )
    if dry_run:
        execution.dry_run(
            source, opening, settings, lambda subject: replace(subject, initdata=override(subject, overrides))
        )
        return
    execution.execute(
        source,
        opening,
        settings,
        lambda subject, engine, directory, observer: reinterpret.run(subject, engine, directory, observer, overrides),
    )
