"""`recast-dm flatten`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from recast_dm.cli import chosen, options, view


def flatten(
    spec: Annotated[
        str,
        typer.Argument(metavar="SPEC", help="A workflow.yml, recast.yml or reana.yaml; its directory; or an address."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where it goes.", show_default="stdout"),
    ] = None,
    toplevel: options.Toplevel = None,
    allow_remote: options.AllowRemote = False,
    json: options.Json = False,
) -> None:
    """Write a workflow as one YAML document without references.

    \b
    Examples:
      recast-dm flatten my-search -o flat.yml
      recast-dm flatten workflow.yml --toplevel github:org/repo@v1:specs --allow-remote
    """
    from recast_dm import store
    from recast_dm.errors import UsageError
    from recast_dm.spec import source

    opened = source.open_source(chosen.specification(spec), toplevel=toplevel, fetch=options.fetcher(allow_remote))
    flat = source.flatten(opened)
    if output is not None:
        if output.is_dir() or (output.exists() and Path(spec).exists() and output.samefile(spec)):
            what = "a directory" if output.is_dir() else "the specification itself"
            raise UsageError(f"-o {output} is {what}", hint="name another file")
        store.write_atomic(output, flat.encode())
    for note in opened.notes:
        view.say(f"note: {note}")
    if json:
        view.document(
            {
                "schema": "recast-dm/flatten/1",
                "kind": opened.kind,
                "name": opened.name,
                "output": str(output) if output else None,
                "workflow": opened.root.plain(),
            }
        )
    elif output is None:
        view.out(flat.rstrip("\n"))
    else:
        view.out(view.table([("workflow", str(output)), ("from", f"{opened.name} ({opened.kind})")]))
