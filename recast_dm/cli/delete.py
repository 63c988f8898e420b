"""`recast-dm delete`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from recast_dm.cli import options, reana, view

if TYPE_CHECKING:
    from recast_dm.backends.reana.api import Reana
    from recast_dm.backends.reana.values import Status


def delete(
    workflow: reana.WorkflowArgument = None,
    option: reana.WorkflowOption = None,
    all_runs: Annotated[
        bool, typer.Option("--all-runs", "--include-all-runs", help="Every run of that name, too.")
    ] = False,
    _workspace: Annotated[bool, typer.Option("--include-workspace", hidden=True)] = True,
    json: options.Json = False,
) -> None:
    """Delete a workflow at REANA with its workspace there. What was downloaded stays.

    \b
    Examples:
      recast-dm delete my-search-3fa94c1b.2
      recast-dm delete my-search-3fa94c1b --all-runs --json
    """
    meant = reana.meant(workflow, option)
    server = reana.connected()
    with reana.asking(server, meant.name):
        status = server.status(meant.name)
    deleted(server, status, all_runs=all_runs)
    if json:
        found = {"workflow": status.name, "id": status.id, "state": "deleted", "all_runs": all_runs}
        view.document({"schema": "recast-dm/delete/1", **found})
    else:
        view.out(f"{status.name}{' and every other run of it are' if all_runs else ' is'} deleted")


def deleted(server: Reana, status: Status, *, all_runs: bool = False) -> None:
    """Deletes a workflow that was there just now. Raises Refused for one that runs."""
    from recast_dm.backends.reana.connection import Refused

    try:
        server.delete(status.id, all_runs=all_runs)
    except Refused as error:
        now = _now(server, status.id)
        if now is None or now.state == "deleted":  # an answer was lost, and the repetition came too late
            return
        hint = f"`recast-dm stop {now.name}` first" if not now.ended else error.hint
        raise Refused(f"{now.name} is {now.state}, and not deleted: {error.message}", error.status, hint=hint) from None


def _now(server: Reana, identity: str) -> Status | None:
    from recast_dm.backends.reana.connection import Refused

    try:
        return server.status(identity)
    except Refused:
        return None
