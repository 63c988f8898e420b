"""`recast-dm verify`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.errors import IntegrityError, UsageError

if TYPE_CHECKING:
    from recast_dm.capsule import Capsule
    from recast_dm.capsule.comparison.compare import Agreement
    from recast_dm.capsule.verify import Check


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
    from recast_dm.capsule import packing
    from recast_dm.capsule import verify as verification

    wanted = None if digest is None else verification.read_digest(digest)
    capsule = Path(chosen.subject(str(capsule)))
    depth = "bytes" if only_bytes else "rerun" if rerun else "default"
    checks = [_hashed(capsule, quiet=quiet)]
    agreements: tuple[Agreement, ...] = ()
    found: dict[str, Any] = {}
    if checks[0].ok:
        found = packing.read_manifest(capsule)
        checks.append(verification.check_digest(found, wanted))
    if all(check.ok for check in checks):
        checks += verification.check_structure(capsule, found)
    if all(check.ok for check in checks) and not only_bytes:
        from recast_dm.cli import execution

        if rerun and not found.get("reference", {}).get("made"):
            raise UsageError(
                f"{capsule} is sound, but was captured without a run: there is nothing to compare a rerun with",
                hint="leave out --rerun; `recast-dm run` runs it",
            )
        opened = chosen.capsule(capsule)
        assert opened is not None  # noqa: S101  # it was read above
        settings = execution.Settings(
            runtime=runtime, jobs=jobs, cache=False, workdir=workdir, quiet=quiet, json=json, allow_host=allow_host
        )
        more, agreements = _executed(opened, settings, tuple(inputs_from or ()), rerun=rerun)
        checks += more
    _show(capsule, depth, found, checks, agreements, json=json)


def _hashed(path: Path, *, quiet: bool) -> Check:
    from recast_dm.capsule import verify as verification
    from recast_dm.cli import progress

    with progress.count("hashing", quiet=quiet) as told:
        return verification.check_bytes(path, options.cache(), told)


def _executed(
    capsule: Capsule, settings: Any, places: tuple[Path, ...], *, rerun: bool
) -> tuple[list[Check], tuple[Agreement, ...]]:
    """What is found by starting something."""
    from recast_dm import reinterpret
    from recast_dm.capsule import verify as verification
    from recast_dm.cli import execution, progress
    from recast_dm.engine.rundir import INIT_FILES
    from recast_dm.reinterpret import verification as starting
    from recast_dm.reinterpret.opening import complete

    checks = [verification.check_specification(capsule.path, capsule.manifest)]
    with progress.observer(quiet=settings.quiet) as observer:
        engine = execution.runtime_for(capsule.analysis.workflow, settings)
        if engine is not None:
            checks.append(starting.check_images(capsule, engine, observer))
        if not rerun or not all(check.ok for check in checks):
            return checks, ()
        directory = options.run_directory(settings.workdir)
        subject = complete(reinterpret.of_capsule(capsule), directory / INIT_FILES, places, options.DEFAULTS)
        try:
            result, agreements = starting.rerun(subject, execution.local(engine, settings), directory, observer)
        finally:
            options.link_latest(directory)
    lost = tuple(f"{each.path}: {each.detail or each.measure}" for each in agreements if not each.agrees)
    agreed = sum(each.agrees for each in agreements)
    found = f"{agreed} of {len(agreements)} outputs agree, in {result.finished.directory}"
    return [*checks, verification.Check("rerun", found, lost)], agreements


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
