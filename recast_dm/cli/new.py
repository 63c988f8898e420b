"""`recast-dm new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recast_dm.cli import options, view
from recast_dm.errors import ToolMissing

CANDIDATES = ("recast-dm/python:3.11-bookworm", "python:3.11-slim-bookworm", "python:3.11-slim", "python:3.12-slim")
"""Images with Python and little else, the one that `make images` builds first."""
PULLED = "docker.io/library/python:3.11-slim"
"""What the template takes where none of them is on the machine: a user can pull it."""


def new(
    directory: Annotated[Path, typer.Argument(metavar="NAME", help="The directory of the new analysis, and its name.")],
    image: Annotated[
        str | None,
        typer.Option(metavar="REF", help="The steps' image, NAME:TAG.", show_default="one with Python that is here"),
    ] = None,
    runtime: options.RuntimeName = options.DEFAULTS.runtime,
    json: options.Json = False,
) -> None:
    """Write a small analysis that runs as it is, to begin with.

    \b
    Examples:
      recast-dm new my-search
      recast-dm new my-search --image python:3.12-slim --json
    """
    from recast_dm.spec import skeleton

    chosen, here = (image, None) if image else _find(runtime)
    names = skeleton.write(directory, chosen)
    if here is False:
        view.say(f"note: no image with Python is on this machine: `docker pull {chosen}` before the first run")
    if json:
        view.document(
            {
                "schema": "recast-dm/new/1",
                "directory": str(directory),
                "name": directory.absolute().name,
                "image": chosen,
                "files": list(names),
            }
        )
        return
    view.out(view.table([("analysis", str(directory)), ("image", chosen), ("files", ", ".join(names))]))
    view.out(f"\nnext: recast-dm run {directory}")


def _find(runtime: str) -> tuple[str, bool]:
    """The image for the template, and whether the machine has it."""
    from recast_dm import runtimes

    try:
        engine = runtimes.find(runtime)
        for candidate in CANDIDATES:
            if engine.image(candidate) is not None:
                return candidate, True
    except ToolMissing:
        pass  # a template can be written where nothing can be run
    return PULLED, False
