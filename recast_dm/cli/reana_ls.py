"""`recast-dm ls` at REANA: the workflows of the user, or the files of one."""

from __future__ import annotations

from recast_dm.cli import reana, view


def workflows(name: str | None, *, json: bool) -> None:
    """Lists the user's workflows, the newest first; `name`: the runs of that name."""
    server = reana.connected()
    found = list(server.workflows(name))
    if json:
        listed = [
            {
                "workflow": each.name,
                "id": each.id,
                "state": each.state,
                "created": each.created or None,
                "started": each.progress.started,
                "ended": each.progress.ended or each.progress.stopped,
            }
            for each in found
        ]
        view.document({"schema": "recast-dm/reana-workflows/1", "server": server.url, "workflows": listed})
    elif found:
        rows = [(each.name, each.state, each.created, each.progress.ended or each.progress.stopped) for each in found]
        cells = [tuple(reana.plain(cell or "") for cell in row) for row in rows]
        view.out(view.table(cells, head=("workflow", "state", "created", "ended")))
    else:
        view.say(f"you have no workflow{f' {name}' if name else ''} at {server.url}")


def files(meant: reana.Meant, pattern: str | None, *, json: bool) -> None:
    """Lists the files of a workspace; `pattern` is a path, or one with shell's wildcards."""
    server = reana.connected()
    with reana.asking(server, meant.name):
        found = sorted(server.files(meant.name, pattern), key=lambda each: each.path)
    if json:
        listed = [{"path": each.path, "size": each.size, "modified": each.modified or None} for each in found]
        view.document({"schema": "recast-dm/reana-files/1", "workflow": meant.name, "files": listed})
    elif found:
        rows = [(reana.plain(each.path), str(each.size), reana.plain(each.modified)) for each in found]
        view.out(view.table(rows, head=("file", "bytes", "modified")))
    else:
        view.say(f"{meant.name} has no file{f' {pattern}' if pattern else ''}")
