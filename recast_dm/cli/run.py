"""`recast-dm run`."""

from __future__ import annotations

from recast_dm.cli import options


def run(
    capsule: options.CapsuleArgument,
    parameters: options.Parameters = None,
    workdir: options.Workdir = None,
    jobs: options.Jobs = options.DEFAULTS.jobs,
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    no_cache: options.NoCache = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Run a capsule as it was captured: the example point that its recast.yml names.

    \b
    Examples:
      recast-dm run my-search.capsule
      recast-dm run my-search.capsule --workdir runs/again --no-cache --json
    """
    from recast_dm import reinterpret
    from recast_dm.cli import execution

    overrides = options.yaml_values(parameters, "-p")
    execution.execute(
        capsule,
        lambda opened, backend, directory, observer: reinterpret.run(opened, backend, directory, observer, overrides),
        runtime=runtime,
        jobs=jobs,
        cache=not no_cache,
        workdir=workdir,
        quiet=quiet,
        json=json,
    )
