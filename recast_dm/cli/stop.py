"""`recast-dm stop`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import options, reana, view

if TYPE_CHECKING:
    from recast_dm.backends.reana.api import Reana
    from recast_dm.backends.reana.values import Status


def stop(
    workflow: reana.WorkflowArgument = None,
    option: reana.WorkflowOption = None,
    _force: Annotated[bool, typer.Option("--force", hidden=True)] = True,
    json: options.Json = False,
) -> None:
    """Stop a workflow that runs at REANA. What its steps have written stays there.

    \b
    Examples:
      recast-dm stop my-search-3fa94c1b.2
      recast-dm stop build/runs/latest --json
    """
    meant = reana.meant(workflow, option)
    server = reana.connected()
    with reana.asking(server, meant.name):
        status = stopped(server, meant.name)
    if json:
        view.document({"schema": "recast-dm/stop/1", "workflow": status.name, "id": status.id, "state": status.state})
    else:
        view.out(f"{status.name} is {status.state}")


def stopped(server: Reana, w: str) -> Status:
    """Stops it, or finds that it is. Raises Refused (409) for one that does not run."""
    from recast_dm.backends.reana.connection import Refused

    try:
        server.stop(w)
    except Refused as error:
        if error.status != 409:
            raise
        status = server.status(w)
        if status.state != "stopped":  # else it was: an answer may have been lost
            waits = status.state in ("created", "pending", "queued")
            hint = f"`recast-dm delete {status.name}` takes it out of the queue" if waits else None
            raise Refused(f"{status.name} does not run: it is {status.state}", 409, hint=hint) from None
        return status
    return server.status(w)
