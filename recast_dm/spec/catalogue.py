"""Entries of a RECAST catalogue, as its authors write them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from recast_dm.errors import SpecError, UsageError
from recast_dm.spec import inputs, remote, shape
from recast_dm.spec.inputs import Source
from recast_dm.spec.relaxations import RAW
from recast_dm.spec.text import Node

_DATAOPTS = ("initdir", "inputarchive", "archivematch")


def is_analysis(directory: Path, root: Node) -> bool:
    """Whether a recast.yml is the manifest of an analysis of ours: everything that it names lies beside it.

    An entry of a catalogue may leave out its examples, take its workflow from a server or from `specs/`, or its inputs
    from an archive; then it can be run, but an analysis that can be preserved it is not.
    """
    if not isinstance(root.value, Mapping) or "example_inputs" not in root.value:
        return False
    spec = root.at(("spec",))
    toplevel = spec.at(("toplevel",)).value if spec.at(("toplevel",)) is not spec else "."
    if isinstance(toplevel, str) and (remote.is_remote(toplevel) or not _is_below(directory, toplevel)):
        return False
    return not _from_archives(root) and not ("toplevel" not in _entries(spec) and _in_specs(directory, spec))


def _entries(node: Node) -> Mapping[str, Node]:
    return node.value if isinstance(node.value, Mapping) else {}


def _from_archives(root: Node) -> bool:
    examples = _entries(root.at(("example_inputs",)))
    options = [_entries(_entries(example).get("dataopts", Node(None, example.where))) for example in examples.values()]
    return any("inputarchive" in option or _is_absolute(option.get("initdir")) for option in options)


def _is_absolute(node: Node | None) -> bool:
    return node is not None and isinstance(node.value, str) and node.value.startswith("/")


def _is_below(directory: Path, name: str) -> bool:
    try:
        return (directory / name).resolve().is_relative_to(directory.resolve())
    except (OSError, ValueError, RuntimeError):
        return True  # recast.yml's own errors say it better


def _in_specs(directory: Path, spec: Node) -> bool:
    """Where the catalogue looks when an entry names no toplevel."""
    name = str(spec.at(("workflow",)).value).partition("#")[0]
    return not inputs.is_file(directory / name) and inputs.is_file(directory / "specs" / name)


def read(manifest: Path, root: Node, *, example: str | None = None, fetch: remote.Fetch | None = None) -> Source:
    """The entry in a manifest that has been read. `example` is the name of one of its `example_inputs`."""
    what = "the catalogue entry"
    spec = shape.need(root, "spec", what)
    shape.only(spec, ["toplevel", "workflow", "workflow_type"], "spec")
    kind = shape.mapping(spec, "spec").get("workflow_type")
    if kind is not None and shape.text(kind, "workflow_type") != "yadage":
        raise SpecError(
            f"a workflow of the type {kind.value}",
            where=kind.where,
            hint="recast-dm reads workflows of the type yadage",
        )
    directory = manifest.parent
    initdata, dataopts = _example(root, example)
    workflow, notes = _workflow(directory, spec, fetch)
    initdir, inputarchive, archivematch = _data(directory, dataopts)
    return Source(
        kind="recast-entry",
        name=shape.text(shape.need(root, "name", what), "the name"),
        root=workflow,
        where=root.where,
        initdata=initdata.plain() if initdata else {},
        initdir=initdir,
        inputarchive=inputarchive,
        archivematch=archivematch,
        results=_results(root),
        relaxations=_relaxations(root),
        notes=notes + (inputs.outside(directory, initdir, "the initdir") if initdir else ()),
    )


def _workflow(directory: Path, spec: Node, fetch: remote.Fetch | None) -> tuple[Node, tuple[str, ...]]:
    """The workflow, and what is to be said about where it lies."""
    named = shape.need(spec, "workflow", "spec")
    name = shape.text(named, "the workflow")
    top = shape.mapping(spec, "spec").get("toplevel")
    if top is None:
        toplevel = directory / "specs" if _in_specs(directory, spec) else directory
        return inputs.workflow(name, toplevel, fetch=fetch, where=named.where), ()
    if remote.is_remote(shape.text(top, "the toplevel")):
        return inputs.workflow(name, str(top.value), fetch=fetch, where=top.where), ()
    toplevel = inputs.file_of(directory, top, "the toplevel")
    notes = inputs.outside(directory, toplevel, "the toplevel")
    return inputs.workflow(name, toplevel, fetch=fetch, where=named.where), notes


def _example(root: Node, wanted: str | None) -> tuple[Node | None, Node | None]:
    """The initdata and dataopts of one example: the wanted one, or `default` as upstream, or the first."""
    node = shape.mapping(root, "the catalogue entry").get("example_inputs")
    examples = shape.mapping(node, "example_inputs") if node is not None and node.value is not None else {}
    if wanted is not None and wanted not in examples:
        raise UsageError(f"there is no example {wanted!r}", hint=shape.did_you_mean(wanted, examples))
    if not examples:
        return None, None
    chosen = examples[wanted or ("default" if "default" in examples else next(iter(examples)))]
    shape.only(chosen, ["initdata", "dataopts", "signal"], "an example")
    entries = shape.mapping(chosen, "an example")
    initdata = entries.get("initdata")
    if initdata is not None:
        shape.mapping(initdata, "initdata")
    return initdata, entries.get("dataopts")


def _data(directory: Path, dataopts: Node | None) -> tuple[Path | None, str | None, str | None]:
    """The initdir, inputarchive and archivematch of an example."""
    if dataopts is None or dataopts.value is None:
        return None, None, None
    shape.only(dataopts, _DATAOPTS, "dataopts")
    options = shape.mapping(dataopts, "dataopts")
    if "inputarchive" not in options:
        if "archivematch" in options:
            raise SpecError("archivematch without inputarchive", where=options["archivematch"].where)
        return (_directory(directory, options["initdir"]) if "initdir" in options else None), None, None
    name = shape.text(options["inputarchive"], "the inputarchive")
    archive = name if remote.is_remote(name) else str(inputs.file_of(directory, options["inputarchive"], "the archive"))
    match = options.get("archivematch")
    if match is not None and not shape.text(match, "archivematch").endswith("/"):
        raise SpecError("archivematch must end with a slash: it names a directory", where=match.where)
    return None, archive, str(match.value) if match else None


def _directory(directory: Path, node: Node) -> Path:
    path = inputs.file_of(directory, node, "the initdir")
    if not path.is_dir():
        raise SpecError(f"the initdir {node.value!r} is not a directory", where=node.where)
    return path


def _results(root: Node) -> dict[str, str]:
    node = shape.mapping(root, "the catalogue entry").get("results")
    if node is None or node.value is None:
        return {}
    return {
        shape.text(shape.need(item, "name", "a result"), "a result's name"): shape.text(
            shape.need(item, "relpath", "a result"), "a result's relpath"
        )
        for item in shape.sequence(node, "results")
    }


def _relaxations(root: Node) -> dict[str, tuple[str, ...]]:
    node = shape.mapping(root, "the catalogue entry").get("steps")
    if node is None:
        return {}
    return {
        stage: (RAW,)
        for stage, asked in shape.mapping(node, "steps").items()
        if shape.mapping(asked, f"the steps of {stage!r}").get("compat", asked).value == "raw"
    }
