"""`recast-dm workspace`: the files of a workflow at REANA, changed there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from recast_dm.cli import options, reana, view
from recast_dm.errors import UsageError

app = typer.Typer(
    help="The files of a workflow at REANA: put, move and remove them there.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Workflow = Annotated[str, typer.Argument(metavar="W", help=reana.WORDS)]


@app.command()
def put(
    workflow: Workflow,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files here.")],
    to: Annotated[str, typer.Option("--to", metavar="DIR", help="A directory of the workspace.")] = "",
    json: options.Json = False,
) -> None:
    """Upload files into the workspace of a workflow, over those that are there.

    \b
    Examples:
      recast-dm workspace put my-search-3fa94c1b.2 notes.txt
      recast-dm workspace put my-search-3fa94c1b.2 yields.yaml --to inputs --json
    """
    server, name = _meant(workflow)
    places = {f"{to.strip('/')}/{file.name}".lstrip("/"): file for file in files}
    if len(places) != len(files):
        raise UsageError("two of the files have the same name", hint="upload them one after the other")
    with reana.asking(server, name):
        for place, file in places.items():
            server.upload(name, place, file)
    _show("put", name, {"files": list(places)}, json)


@app.command()
def mv(
    workflow: Workflow,
    source: Annotated[str, typer.Argument(metavar="FROM", help="A path in the workspace.")],
    target: Annotated[str, typer.Argument(metavar="TO", help="The path that it gets.")],
    json: options.Json = False,
) -> None:
    """Move a file or a directory of a workspace. A workflow that runs has to be stopped first.

    \b
    Examples:
      recast-dm workspace mv my-search-3fa94c1b.2 limit/limit.json kept/limit.json
      recast-dm workspace mv my-search-3fa94c1b.2 draft final --json
    """
    server, name = _meant(workflow)
    with reana.asking(server, name):
        server.move(name, source, target)
    _show("mv", name, {"files": [target]}, json)


@app.command()
def rm(
    workflow: Workflow,
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Paths there, or patterns such as '*/*.root'.")],
    json: options.Json = False,
) -> None:
    """Remove files from a workspace; patterns are REANA's, so quote them for your shell.

    \b
    Examples:
      recast-dm workspace rm my-search-3fa94c1b.2 'generate_*/particles.npz'
      recast-dm workspace rm my-search-3fa94c1b.2 notes.txt --json
    """
    server, name = _meant(workflow)
    gone: list[str] = []
    with reana.asking(server, name):
        for path in paths:
            gone += server.remove(name, path)
    _show("rm", name, {"files": gone}, json)


@app.command()
def prune(
    workflow: Workflow,
    inputs: Annotated[bool, typer.Option("--include-inputs", help="Inputs go, too.")] = False,
    outputs: Annotated[bool, typer.Option("--include-outputs", help="Outputs go, too.")] = False,
    json: options.Json = False,
) -> None:
    """Remove what is neither input nor declared output from a workspace: `download` finds no steps there any more.

    \b
    Examples:
      recast-dm workspace prune my-search-3fa94c1b.2
      recast-dm workspace prune my-search-3fa94c1b.2 --include-inputs --json
    """
    server, name = _meant(workflow)
    with reana.asking(server, name):
        server.prune(name, inputs=inputs, outputs=outputs)
        left = sorted(file.path for file in server.files(name))
    _show("prune", name, {"files": left}, json)


@app.command()
def retention(workflow: Workflow, json: options.Json = False) -> None:
    """Say by which rules files of a workspace go after some days.

    \b
    Examples:
      recast-dm workspace retention my-search-3fa94c1b.2
      recast-dm workspace retention my-search-3fa94c1b.2 --json
    """
    server, name = _meant(workflow)
    with reana.asking(server, name):
        rules = [dict(rule) for rule in server.retention(name)]
    if json or not rules:
        _show("retention", name, {"rules": rules}, json)
        return
    head = tuple(dict.fromkeys(key for rule in rules for key in rule))
    view.out(view.table([tuple(reana.plain(rule.get(key, "")) for key in head) for rule in rules], head=head))


@app.command()
def notebook(
    workflow: Workflow,
    close: Annotated[bool, typer.Option("--close", help="End the one that is open.")] = False,
    json: options.Json = False,
) -> None:
    """Open a Jupyter notebook in a workspace, and print its address; REANA asks there for your token.

    \b
    Examples:
      recast-dm workspace notebook my-search-3fa94c1b.2
      recast-dm workspace notebook my-search-3fa94c1b.2 --close --json
    """
    server, name = _meant(workflow)
    with reana.asking(server, name):
        if close:
            server.close_session(name)
        address = None if close else server.open_session(name)
    _show("notebook", name, {"address": address}, json)


def _meant(workflow: str) -> tuple[Any, str]:
    meant = reana.meant(workflow)
    return reana.connected(), meant.name


def _show(action: str, name: str, what: Mapping[str, Any], json: bool) -> None:
    if json:
        empty: dict[str, Any] = {"files": [], "rules": [], "address": None}
        view.document({"schema": "recast-dm/workspace/1", "workflow": name, "action": action, **empty, **what})
        return
    for path in what.get("files", ()):
        view.out(reana.plain(path))
    if what.get("address"):
        view.out(str(what["address"]))
    if action == "retention":
        view.say(f"no rule makes files of {name} go")
