"""`recast-dm unpack`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recast_dm.cli import options, view


def unpack(
    capsule: Annotated[Path, typer.Argument(metavar="X.capsule.zip|.tar", help="A capsule that is one file.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="DIR", help="A new directory.", show_default="X.capsule, here"),
    ] = None,
    json: options.Json = False,
) -> None:
    """Unpack a capsule that is one file: a directory, whole or not at all.

    \b
    Examples:
      recast-dm unpack my-search.capsule.zip
      recast-dm unpack my-search.capsule.tar -o build/my-search.capsule --json
    """
    from recast_dm.capsule import fixity, opening, packing
    from recast_dm.cli import progress

    target = output or Path(capsule.stem)
    with progress.count("hashing", quiet=json) as told:
        found, _ = fixity.archive_problems(capsule, progress=told)
    opening.demand(capsule, found)
    with packing.Archive(capsule) as archive:
        files, size = len(archive.members), sum(member.size for member in archive.members.values())
        archive.unpack(target)
    manifest = packing.read_manifest(target)
    if json:
        view.document(
            {
                "schema": "recast-dm/unpack/1",
                "archive": str(capsule),
                "capsule": str(target),
                "name": manifest["name"],
                "digest": manifest["digest"],
                "files": files,
                "size": size,
            }
        )
        return
    rows = [
        ("capsule", str(target)),
        ("analysis", f"{manifest['name']}: {manifest['title']}"),
        ("digest", f"sha256:{manifest['digest']}"),
        ("files", f"{files}, {view.size(size)}"),
    ]
    view.out(view.table(rows))
