"""`recast-dm verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from recast_dm.capsule.comparison.compare import Agreement
    from recast_dm.capsule.verify import Check
    from recast_dm.cli.execution import Settings


def verify(
    capsule: Annotated[Path, typer.Argument(metavar="X.capsule", help="A capsule: a directory, or one file.")],
    only_bytes: Annotated[bool, typer.Option("--bytes", help="Only hash: nothing is started.")] = False,
    rerun: Annotated[bool, typer.Option("--rerun", help="Run it as it was captured, and compare each output.")] = False,
    digest: Annotated[
        str | None, typer.Option(metavar="sha256:…", help="The digest that it must have, from where you trust.")
    ] = None,
    inputs_from: options.InputsFrom = None,
    workdir: options.Workdir = None,
    jobs: options.Jobs = options.DEFAULTS.jobs,
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    allow_host: options.AllowHost = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Say whether a capsule is what was captured: its bytes, whether it starts, and (--rerun) what it gives.

    \b
    Examples:
      recast-dm verify my-search.capsule.zip --bytes
      recast-dm verify my-search.capsule --rerun --json
    """
    if only_bytes and rerun:
        raise UsageError("--bytes starts nothing, --rerun does", hint="leave out one of them")
    from recast_dm.cli import progress
    from recast_dm.reinterpret import verification

    capsule = Path(chosen.subject(str(capsule)))
    depth = "bytes" if only_bytes else "rerun" if rerun else "default"
    agreements: tuple[Agreement, ...] = ()
    with progress.count("hashing", quiet=quiet) as told:
        checks, found = verification.sound(capsule, digest, options.DEFAULTS, told)
    if all(check.ok for check in checks) and not only_bytes:
        from recast_dm.cli.execution import Settings

        if rerun:
            verification.demand_reference(capsule, found)
        settings = Settings(
            runtime=runtime, jobs=jobs, cache=False, workdir=workdir, quiet=quiet, json=json, allow_host=allow_host
        )
        more, agreements = _executed(capsule, settings, tuple(inputs_from or ()), rerun=rerun)
        checks += more
    _show(capsule, depth, found, checks, agreements, json=json)


def _executed(
    place: Path, settings: Settings, inputs_from: tuple[Path, ...], *, rerun: bool
) -> tuple[list[Check], tuple[Agreement, ...]]:
    """What is found by starting something."""
    from recast_dm.cli import execution, progress
    from recast_dm.reinterpret import verification
    from recast_dm.reinterpret.capturing import Means

    capsule = chosen.capsule(place)
    assert capsule is not None  # noqa: S101  # its bytes were checked
    engine = execution.runtime_for(capsule.analysis.workflow, settings)
    with progress.observer(quiet=settings.quiet) as observer:
        means = Means(
            config=options.DEFAULTS,
            runtime=engine,
            backend=execution.local(engine, settings),
            directory=options.run_directory(settings.workdir),
            observer=observer,
        )
        return verification.started(capsule, means, inputs_from, rerun=rerun)


def _show(
    path: Path,
    depth: str,
    manifest: dict[str, Any],
    checks: list[Check],
    agreements: tuple[Agreement, ...],
    *,
    json: bool,
) -> None:
    ok = all(check.ok for check in checks)
    if json:
        view.document(
            {
                "schema": "recast-dm/verify/1",
                "capsule": str(path),
                "depth": depth,
                "ok": ok,
                "name": manifest.get("name"),
                "digest": manifest.get("digest"),
                "checks": [check.document() for check in checks],
                "outputs": [agreement.document() for agreement in agreements],
            }
        )
    else:
        for line in _lines(checks, agreements):
            view.out(line)
        view.out(f"{path}: {'everything is as it was captured' if ok else 'NOT as it was captured'}")
    if not ok:
        raise typer.Exit(IntegrityError.exit_code)


def _lines(checks: list[Check], agreements: tuple[Agreement, ...]) -> list[str]:
    from recast_dm.cli import diff

    rows = [(check.name, "ok" if check.ok else "FAILED", check.found) for check in checks]
    lines = [view.table(rows, head=("check", "", "found"))]
    lines += [f"  {check.name}: {problem}" for check in checks for problem in check.problems[:MOST]]
    if agreements:
        head = ("output", "compared", "agrees", "measure", "bound", "")
        lines += ["", view.table(map(diff.agreement, agreements), head=head)]
    return lines


MOST = 100
"""Problems of one kind that are listed; `--json` lists all."""
