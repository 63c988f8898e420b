"""`recast-dm du`."""

from __future__ import annotations

from typing import Annotated

import typer

from recast_dm.cli import options, reana, view


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
    files = [] if summarize else sorted(((each.path.lstrip("/"), each.size) for each in found), key=lambda f: -f[1])
    total = sum(each.size for each in found)
    if json:
        listed = [{"path": path, "size": size} for path, size in files]
        view.document({"schema": "recast-dm/du/1", "workflow": meant.name, "size": total, "files": listed})
        return
    view.out(
        view.table([*((view.size(size), reana.plain(path)) for path, size in files), (view.size(total), "in all")])
    )
