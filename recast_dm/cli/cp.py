"""`recast-dm cp`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import chosen, options, view
from recast_dm.errors import UsageError

if TYPE_CHECKING:
    from recast_dm.capsule.copying import Copy


def cp(
    places: Annotated[
        list[Path],
        typer.Argument(
            metavar="SRC... DST",
            help="Capsules, and where they go: X.capsule, X.capsule.zip|.tar, or a directory that exists.",
            show_default=False,
        ),
    ],
    quiet: options.Quiet = False,
    json: options.Json = False,
) -> None:
    """Copy capsules; image layers that lie on the disk already are not copied again.

    \b
    Examples:
      recast-dm cp my-search.capsule other.capsule archive/
      recast-dm cp my-search.capsule.zip my-search.capsule --json
    """
    from recast_dm.capsule import copying
    from recast_dm.cli import preserving, progress

    *words, last = places
    sources = [Path(chosen.subject(str(word))) for word in words]
    made = []
    with preserving.shared_blobs() as images, progress.count("copying", quiet=quiet) as told:
        for source, place in zip(sources, _targets(sources, last), strict=True):
            made.append((source, copying.copy(source, place, images, options.cache(), told)))
    if json:
        view.document({"schema": "recast-dm/cp/1", "copies": [_document(source, copy) for source, copy in made]})
        return
    rows = [
        (str(copy.path), f"sha256:{copy.digest[:12]}", view.size(copy.shared), view.size(copy.copied))
        for _, copy in made
    ]
    view.out(view.table(rows, head=("capsule", "digest", "shared", "copied")))


def _targets(sources: list[Path], last: Path) -> list[Path]:
    """Where each goes. Raises UsageError."""
    from recast_dm.capsule import packing

    if not sources:
        raise UsageError("there is one capsule, and no place for its copy", hint="write recast-dm cp SRC... DST")
    if last.is_dir() and not packing.is_capsule(last):
        found = [last / os.path.basename(os.path.abspath(source)) for source in sources]  # noqa: PTH100, PTH119
    elif len(sources) > 1:
        raise UsageError(f"{last} is not a directory that could hold several capsules", hint=f"mkdir {last}")
    else:
        found = [last]
    if twice := [place for place in found if found.count(place) > 1]:
        raise UsageError(f"two capsules would become {twice[0]}", hint="copy them one by one, to other names")
    return found


def _document(source: Path, copy: Copy) -> dict[str, object]:
    return {
        "source": str(source),
        "capsule": str(copy.path),
        "name": copy.name,
        "digest": copy.digest,
        "shared": copy.shared,
        "copied": copy.copied,
    }
