"""Whatever somebody has that can be run: an analysis, a catalogue entry of RECAST, a reana.yaml, or a workflow."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

import yaml

from recast_dm.errors import SpecError, UsageError
from recast_dm.spec import analysis, catalogue, inputs, reana, refs, remote, text, yadage
from recast_dm.spec import relaxations as relaxing
from recast_dm.spec.inputs import Source, prepare

__all__ = ["Source", "flatten", "open_source", "prepare"]

WORKFLOW = ("workflow.yml", "workflow.yaml")


def open_source(
    spec: str | Path,
    *,
    toplevel: str | None = None,
    example: str | None = None,
    fetch: remote.Fetch | None = None,
    raw: Collection[str] = (),
) -> Source:
    """Opens what `spec` names.

    - a directory with a recast.yml, a reana.yaml or a workflow.yml, or one of these files under any name;
    - a workflow: `FILE`, `FILE#/POINTER` for a part of it, or an address;
    - with `toplevel`, a workflow that is found below it, as `yadage-run -t` does.

    `example` names one of the `example_inputs` of a recast.yml, `raw` stages with `compat: raw` besides those that it
    names. Nothing is fetched without `fetch`. Raises UsageError for what is not there, SpecError with
    file:line:column, and RemoteError.
    """
    found = _opened(str(spec), toplevel, example, fetch, raw)
    return replace(found, relaxations=relaxing.with_raw(found.relaxations, raw))


def _opened(
    name: str, toplevel: str | None, example: str | None, fetch: remote.Fetch | None, raw: Collection[str]
) -> Source:
    if toplevel is not None:
        _no_example(example)
        return _below(name, toplevel, fetch)
    if remote.is_remote(name):
        _no_example(example)
        file, base = _cut(name)
        if not remote.is_remote(base) or not file.partition("#")[0]:
            raise UsageError(f"{remote.shown(name)} names no file", hint=f"name a file; or --toplevel: {remote.FORMS}")
        return _workflow(file, base, fetch)
    path = _existing(name)
    if path is None:
        file, hash_, pointer = name.rpartition("#")
        found = _existing(file) if hash_ else None
        if found is None or found.is_dir():
            raise UsageError(f"{name} does not exist", hint="name a directory, or a file, that holds a workflow")
        _no_example(example)
        return _bare(found, pointer, fetch)
    manifest = _manifest(path) if path.is_dir() else path
    return _file(manifest, example, fetch, raw)


def flatten(source: Source) -> str:
    """A source's workflow as one YAML document without references, after a check that it is one.

    Raises SpecError with the place of what is wrong.
    """
    yadage.parse_workflow(source.root, raw_stages=relaxing.raw_stages(source.relaxations))
    document = source.root.plain()
    flat: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
    if text.parse(flat, source.name).plain() != document:
        raise SpecError("the workflow changes when it is written as one document", where=source.where)
    return flat


def _cut(address: str) -> tuple[str, str]:
    """The address of a file as its name and the toplevel that it lies in.

    >>> _cut("https://example.org/specs/w.yml#/a"), _cut("github:org/repo@v1:w.yml")
    (('w.yml#/a', 'https://example.org/specs'), ('w.yml', 'github:org/repo@v1:'))
    """
    where, hash_, pointer = address.partition("#")
    start, _, path = where.rpartition(":")
    directory, _, file = path.rpartition("/")
    return f"{file}{hash_}{pointer}", f"{start}:{directory}"


def _existing(name: str) -> Path | None:
    path = Path(name)
    try:
        return path if path.exists() else None
    except (OSError, ValueError):  # too long; a NUL byte
        return None


def _manifest(directory: Path) -> Path:
    """The file of a directory that says what it is."""
    for name in (analysis.MANIFEST, *reana.NAMES, *WORKFLOW):
        if inputs.is_file(directory / name):
            return directory / name
    names = ", ".join((analysis.MANIFEST, reana.NAMES[0], WORKFLOW[0]))
    raise UsageError(f"{directory} holds none of {names}", hint="name the file that holds the workflow")


def _file(path: Path, example: str | None, fetch: remote.Fetch | None, raw: Collection[str]) -> Source:
    """A file, by what is in it."""
    root = text.read(path, os.path.relpath(path))
    keys = root.value if isinstance(root.value, Mapping) else {}
    if "stages" in keys:
        _no_example(example)
        return _bare(path, "", fetch)
    if "workflow" in keys:
        _no_example(example)
        return reana.read(path, root, fetch=fetch)
    if path.name == analysis.MANIFEST and catalogue.is_analysis(path.parent, root):
        return _analysis(path.parent, root, example, fetch, raw)
    if "spec" in keys:
        return catalogue.read(path, root, example=example, fetch=fetch)
    if path.name == analysis.MANIFEST:
        return _analysis(path.parent, root, example, fetch, raw)
    if "$ref" in keys:
        return _bare(path, "", fetch)
    raise SpecError(
        "this is no workflow (with stages), no recast.yml (with spec) and no reana.yaml (with workflow)",
        where=root.where,
    )


def _analysis(
    directory: Path, root: text.Node, example: str | None, fetch: remote.Fetch | None, raw: Collection[str]
) -> Source:
    loaded = analysis.load(directory, example=example, fetch=fetch, manifest=root, raw=raw)
    return Source(
        kind="analysis",
        name=loaded.name,
        root=loaded.root or root,
        where=root.where,
        initdata=loaded.example.initdata,
        initdir=loaded.initdir,
        results=loaded.results,
        relaxations=loaded.relaxations,
        analysis=loaded,
    )


def _bare(path: Path, pointer: str, fetch: remote.Fetch | None) -> Source:
    """A workflow without anything else: its directory is the toplevel."""
    root = refs.load(path, path.parent, pointer=pointer, fetch=fetch)
    return Source(kind="workflow", name=_stem(path.name), root=root, where=root.where)


def _below(name: str, toplevel: str, fetch: remote.Fetch | None) -> Source:
    """A workflow below a toplevel; or, where there is none, a file whose references begin at the toplevel."""
    if remote.is_remote(toplevel):
        return _workflow(name, toplevel, fetch)
    if not Path(toplevel).is_dir():
        raise UsageError(f"the toplevel {toplevel} is not a directory", hint=f"a toplevel is {remote.FORMS}")
    file, _, pointer = name.removeprefix("raw_with_defaults:").partition("#")
    path = Path(file)
    if not inputs.is_file(Path(toplevel) / file) and inputs.is_file(path):
        root = refs.load(path, Path(toplevel), pointer=pointer, fetch=fetch)
        return Source(kind="workflow", name=_stem(path.name), root=root, where=root.where)
    return _workflow(name, toplevel, fetch)


def _workflow(name: str, toplevel: str, fetch: remote.Fetch | None) -> Source:
    root = inputs.workflow(name, toplevel, fetch=fetch)
    return Source(kind="workflow", name=_stem(name), root=root, where=root.where)


def _stem(name: str) -> str:
    return Path(name.partition("#")[0].partition("?")[0]).stem or "workflow"


def _no_example(example: str | None) -> None:
    if example is not None:
        raise UsageError(
            f"there is no example {example!r}: only a recast.yml has example_inputs", hint="leave out the example"
        )
