"""reana.yaml, for workflows of the type yadage, as REANA's yadage engine understands it.

The workflow's file is relative to `inputs.options.toplevel`, or to the directory of reana.yaml, which stands for
REANA's workspace. `inputs.options.initfiles` are read one after the other, then `inputs.parameters` over them. The
init files are what `inputs.files` and `inputs.directories` name, seen from `inputs.options.initdir`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm.errors import SpecError
from recast_dm.spec import inputs, refs, remote, shape, text
from recast_dm.spec.inputs import Source
from recast_dm.spec.text import Node

NAMES = ("reana.yaml", "reana.yml")
_KEYS = ("version", "inputs", "workflow", "outputs", "workspace", "tests")
_OPTIONS = ("toplevel", "initdir", "initfiles", "accept_metadir")


def read(manifest: Path, root: Node, *, fetch: remote.Fetch | None = None) -> Source:
    """The analysis in a reana.yaml that has been read."""
    shape.only(root, _KEYS, manifest.name)
    workflow = shape.need(root, "workflow", manifest.name)
    kind = shape.need(workflow, "type", "the workflow")
    if shape.text(kind, "the workflow's type") != "yadage":
        raise SpecError(
            f"a REANA workflow of the type {kind.value}",
            where=kind.where,
            hint="recast-dm reads workflows of the type yadage; reana-client runs the others",
        )
    shape.only(workflow, ["type", "file", "specification", "resources"], "the workflow")
    given = _part(root, "inputs", "inputs")
    if given is not None:
        shape.only(given, ["files", "directories", "parameters", "options"], "inputs")
    options = _part(given, "options", "inputs.options")
    if options is not None:
        shape.only(options, _OPTIONS, "inputs.options")
    initdir, chosen = _initdir(manifest.parent, given, options)
    return Source(
        kind="reana",
        name=manifest.resolve().parent.name,
        root=_workflow(manifest, workflow, options, fetch),
        where=root.where,
        initdata=_initdata(manifest.parent, given, options),
        initdir=initdir,
        chosen=chosen,
        results={name: name for name, _ in _paths(_part(root, "outputs", "outputs"), "outputs")},
        notes=_notes(workflow),
    )


def _part(node: Node | None, key: str, what: str) -> Node | None:
    """An optional mapping; an empty one is none."""
    part = shape.mapping(node, what).get(key) if node is not None else None
    if part is None or part.value is None:
        return None
    shape.mapping(part, what)
    return part


def _workflow(manifest: Path, workflow: Node, options: Node | None, fetch: remote.Fetch | None) -> Node:
    entries = shape.mapping(workflow, "the workflow")
    directory = manifest.parent
    if "file" not in entries:
        shape.need(workflow, "specification", "the workflow without a file")
        return refs.load(manifest, directory, pointer="/workflow/specification", fetch=fetch)
    file = entries["file"]
    name = shape.text(file, "the workflow's file")
    top = shape.mapping(options, "inputs.options").get("toplevel") if options else None
    if top is not None and remote.is_remote(shape.text(top, "the toplevel")):
        return inputs.workflow(name, str(top.value), fetch=fetch, where=top.where)
    toplevel = inputs.file_of(directory, top, "the toplevel") if top is not None else directory
    if inputs.is_file(toplevel / name.partition("#")[0]):
        return inputs.workflow(name, toplevel, fetch=fetch, where=file.where)
    path = inputs.file_of(directory, file, "the workflow's file")  # REANA wants it to be there from the workspace, too
    return refs.load(path, toplevel, fetch=fetch)


def _initdata(directory: Path, given: Node | None, options: Node | None) -> dict[str, Any]:
    initdata: dict[str, Node] = {}
    names = shape.mapping(options, "inputs.options").get("initfiles") if options else None
    for node in shape.sequence(names, "initfiles") if names is not None else ():
        path = inputs.file_of(directory, node, "the initfile")
        initdata |= shape.mapping(_read(path), f"the initfile {node.value!r}")
    parameters = _part(given, "parameters", "inputs.parameters")
    initdata |= shape.mapping(parameters, "inputs.parameters") if parameters else {}
    return {key: value.plain() for key, value in initdata.items()}


def _read(path: Path) -> Node:
    return text.read(path, refs.LocalFile(path.resolve(), path.parent.resolve()).shown)


def _initdir(directory: Path, given: Node | None, options: Node | None) -> tuple[Path | None, tuple[str, ...]]:
    """The initdir, and what REANA would have uploaded of it."""
    named = shape.mapping(options, "inputs.options").get("initdir") if options else None
    initdir = inputs.file_of(directory, named, "the initdir") if named is not None else directory
    if not initdir.is_dir() and named is not None:
        raise SpecError(f"the initdir {named.value!r} is not a directory", where=named.where)
    uploaded = [inputs.file_of(directory, node, "the input") for _, node in _paths(given, "inputs")]
    if not uploaded:
        return (initdir if named is not None else None), ()
    top = initdir.resolve()
    if any(top.is_relative_to(path.resolve()) for path in uploaded):
        return initdir, ()  # all of it
    inside = [path.resolve() for path in uploaded if path.resolve().is_relative_to(top)]
    return initdir, tuple(dict.fromkeys(str(path.relative_to(top)) for path in inside))


def _paths(part: Node | None, what: str) -> list[tuple[str, Node]]:
    """The files and directories that inputs or outputs list."""
    entries: Mapping[str, Node] = shape.mapping(part, what) if part is not None else {}
    lists = [entries[key] for key in ("files", "directories") if key in entries and entries[key].value is not None]
    return [(shape.text(item, f"an item of {what}"), item) for node in lists for item in shape.sequence(node, what)]


def _notes(workflow: Node) -> tuple[str, ...]:
    resources = _part(workflow, "resources", "the workflow")
    names = ", ".join(shape.mapping(resources, "resources")) if resources else ""
    return (f"workflow.resources ({names}) is for REANA, and is not provided here",) if names else ()
