"""`recast-dm restart`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from recast_dm.cli import options, reana, view

if TYPE_CHECKING:
    from recast_dm.backends.reana.api import Reana
    from recast_dm.backends.reana.values import Created


def restart(
    workflow: reana.WorkflowArgument = None, option: reana.WorkflowOption = None, json: options.Json = False
) -> None:
    """Run a workflow at REANA again, in its own workspace: every step, for REANA keeps none.

    `submit` sends what has changed, and finished steps along.

    \b
    Examples:
      recast-dm restart my-search-3fa94c1b.2
      recast-dm restart my-search-3fa94c1b.2 --json
    """
    meant = reana.meant(workflow, option)
    server = reana.connected()
    with reana.asking(server, meant.name):
        before = server.status(meant.name)
        after = restarted(server, before.name)
    _remember(meant.directory, after)
    if json:
        found = {"workflow": after.name, "id": after.id, "of": before.name}
        view.document({"schema": "recast-dm/restart/1", **found})
    else:
        view.out(after.name)


def restarted(server: Reana, name: str) -> Created:
    """A new run of `name.run`. Where the answer was lost, the list of workflows says whether there is one."""
    from recast_dm.backends.reana.connection import Unsure
    from recast_dm.backends.reana.values import Created

    base = name.partition(".")[0]
    known = {each.id for each in server.workflows(base)}
    try:
        return server.start(name, restart=True)
    except Unsure:
        new = [each for each in server.workflows(base) if each.id not in known and each.name.startswith(f"{name}.")]
        if not new:
            raise
        return Created(name=new[0].name, id=new[0].id)


def _remember(directory: Path | None, after: Created) -> None:
    """From now on, a directory that submitted the workflow means the new run."""
    if directory is None:
        return
    from recast_dm.backends.reana import submission

    found = submission.read(directory)
    if found is not None:
        replace(found, workflow=after.name, id=after.id, state="started").keep(directory)
