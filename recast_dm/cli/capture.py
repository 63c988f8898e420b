"""`recast-dm capture`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import options, tracing, view

if TYPE_CHECKING:
    from recast_dm.cli.preserving import Preserved


def capture(
    ctx: typer.Context,
    analysis: Annotated[
        str | None,
        typer.Argument(
            metavar="ANALYSIS", help="A directory with a recast.yml; or a name of the catalogue.", show_default=False
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            *("-o", "--output"),
            metavar="X.capsule",
            help="Where the capsule goes; also X.capsule.zip|.tar.",
            show_default=False,
        ),
    ] = None,
    trace: tracing.Trace = False,
    again: tracing.Again = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--images",
            metavar="SOURCE",
            help="Where images are: docker, podman, registry[:HOST], oci:DIR, docker-archive:FILE; repeat.",
            show_default="docker",
        ),
    ] = None,
    no_run: Annotated[bool, typer.Option("--no-run", help="Do not run it: no reference outputs.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse what is not committed to git.")] = False,
    by_reference: Annotated[
        str, typer.Option(metavar="SIZE", help="Inputs larger than this are kept by hash and address.")
    ] = "1Gi",
    allow_secret: Annotated[
        list[str] | None,
        typer.Option("--allow-secret", metavar="NAME", help="Not a secret, though it looks like one; repeat."),
    ] = None,
    workdir: options.Workdir = None,
    jobs: options.Jobs = options.DEFAULTS.jobs,
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    no_cache: options.NoCache = False,
    allow_host: options.AllowHost = False,
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Preserve an analysis: specification, images, inputs, likelihood, and what a run of it gives.

    \b
    Examples:
      recast-dm capture my-search -o my-search.capsule
      recast-dm capture --trace -- ./run_analysis.sh data.csv
    """
    if trace or again:
        tracing.trace([*([analysis] if analysis else []), *ctx.args], output, again or (), json=json)
        return
    word, output = tracing.untraced(analysis, output, ctx.args)
    from recast_dm.cli import preserving, progress
    from recast_dm.cli.execution import Settings
    from recast_dm.reinterpret.capturing import Asked

    settings = Settings(
        runtime=runtime, jobs=jobs, cache=not no_cache, workdir=workdir, quiet=quiet, json=json, allow_host=allow_host
    )
    asked = Asked(
        images=tuple(images or ()),
        performed=not no_run,
        strict=strict,
        allowed=frozenset(allow_secret or ()),
        by_reference=options.size(by_reference, "--by-reference"),
    )
    with progress.observer(quiet=quiet) as observer:
        found = preserving.preserve(word, output, settings, asked, observer)
    _show(found, json=json)


def _show(found: Preserved, *, json: bool) -> None:
    manifest = found.manifest
    made = manifest["reference"]
    if json:
        images = [{key: value for key, value in image.items() if key != "layers"} for image in manifest["images"]]
        view.document(
            {
                "schema": "recast-dm/capture/1",
                "capsule": str(found.path),
                "digest": manifest["digest"],
                "name": manifest["name"],
                "images": images,
                "reference": made["made"],
                "size": found.size,
            }
        )
        return
    rows = [
        ("capsule", str(found.path)),
        ("analysis", f"{manifest['name']}: {manifest['title']}"),
        ("digest", f"sha256:{manifest['digest']}"),
        *(
            ("image", f"{i['reference']}  {i['image_id'][:19]}  {len(i['diff_ids'])} layers")
            for i in manifest["images"]
        ),
        ("reference", f"{len(made['outputs'])} outputs of a run" if made["made"] else "none: captured without a run"),
        ("size", view.size(found.size)),
    ]
    view.out(view.table(rows))
