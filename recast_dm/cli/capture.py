"""`recast-dm capture`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recast_dm.cli import options, view


def capture(
    analysis: Annotated[Path, typer.Argument(metavar="ANALYSIS", help="A directory with a recast.yml.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="X.capsule", help="Where the capsule goes.")],
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    json: options.Json = False,
) -> None:
    """Preserve an analysis: specification, images by layers, inputs, likelihood.

    \b
    Examples:
      recast-dm capture my-search -o my-search.capsule
      recast-dm capture specs/my-search -o build/my-search.capsule --json
    """
    from recast_dm import reinterpret, runtimes
    from recast_dm.capsule import capture as write
    from recast_dm.spec import analysis as analyses

    loaded = analyses.load(analysis)
    initdata = reinterpret.example_inputs(loaded)
    engine = runtimes.find(runtime)
    about = engine.about()
    capsule = write(loaded, output, lookup=engine.image, example=initdata, runtime=f"{about.name} {about.version}")
    size = sum(path.stat().st_size for path in capsule.path.rglob("*") if path.is_file())
    if json:
        view.document(
            {
                "schema": "recast-dm/capture/1",
                "capsule": str(capsule.path),
                "digest": capsule.digest,
                "name": capsule.analysis.name,
                "images": [image.document() for image in capsule.images],
                "size": size,
            }
        )
        return
    rows = [
        ("capsule", str(capsule.path)),
        ("analysis", f"{capsule.analysis.name}: {capsule.analysis.title}"),
        ("digest", f"sha256:{capsule.digest}"),
        ("stages", ", ".join(stage.name for stage in capsule.analysis.workflow.stages)),
        *(("image", f"{i.reference}  {i.image_id[:19]}  {len(i.diff_ids)} layers") for i in capsule.images),
        ("size", f"{size / 1e3:.0f} kB, image bytes not included"),
    ]
    view.out(view.table(rows))
