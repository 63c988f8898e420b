"""`recast-dm du`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import options, reana, view

if TYPE_CHECKING:
    from recast_dm.backends.reana.values import File


def du(
    workflow: reana.WorkflowArgument = None,
    option: reana.WorkflowOption = None,
    summarize: Annotated[bool, typer.Option("--summarize", "-s", help="The sum only.")] = False,
    json: options.Json = False,
) -> None:
    """Say how much disk a workflow uses at REANA, the largest files first.

    \b
    Examples:
      recast-dm du my-search-3fa94c1b.2 -s
      recast-dm du my-search-3fa94c1b.2 --json
    """
    meant = reana.meant(workflow, option)
    server = reana.connected()
    with reana.asking(server, meant.name):
        found = server.du(meant.name, summarize=summarize)
    total = next((each.size for each in found if not each.path.strip("/")), sum(each.size for each in found))
    files = [] if summarize else sorted(_files(found), key=lambda file: -file[1])
    if json:
        listed = [{"path": path, "size": size} for path, size in files]
        view.document({"schema": "recast-dm/du/1", "workflow": meant.name, "size": total, "files": listed})
        return
    view.out(
        view.table([*((view.size(size), reana.plain(path)) for path, size in files), (view.size(total), "in all")])
    )


def _files(found: Iterable[File]) -> list[tuple[str, int]]:
    """Paths and bytes of what is no directory: REANA lists these among the files, with what lies below them."""
    sizes = {each.path.strip("/"): each.size for each in found}
    parents = {str(parent) for path in sizes for parent in PurePosixPath(path).parents}
    return [(path, size) for path, size in sizes.items() if path and path not in parents]
