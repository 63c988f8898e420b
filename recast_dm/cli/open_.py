"""`recast-dm open`."""

from __future__ import annotations

from recast_dm.cli import options, reana, view


def open_(
    workflow: reana.WorkflowArgument = None, option: reana.WorkflowOption = None, json: options.Json = False
) -> None:
    """Print the address of a workflow's page at REANA, for a browser.

    \b
    Examples:
      recast-dm open my-search-3fa94c1b.2
      recast-dm open my-search-3fa94c1b.2 --json
    """
    from recast_dm.backends.reana.api import page_of

    meant = reana.meant(workflow, option)
    server = reana.connected()
    with reana.asking(server, meant.name):
        status = server.status(meant.name)
    page = page_of(server.url, status.id)
    if json:
        view.document({"schema": "recast-dm/open/1", "workflow": status.name, "id": status.id, "page": page})
    else:
        view.out(page)
