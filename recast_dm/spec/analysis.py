"""recast.yml: the manifest that turns a directory with a yadage specification into an analysis."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast_dm import schemas
from recast_dm.errors import SpecError, UsageError
from recast_dm.model import Command, Policy, Workflow
from recast_dm.spec import reference, refs, remote, text, yadage
from recast_dm.spec import relaxations as relaxing
from recast_dm.spec.quantity import quantity
from recast_dm.spec.reference import Rule
from recast_dm.spec.shape import did_you_mean
from recast_dm.spec.words import plain_words

MANIFEST = "recast.yml"


@dataclass(frozen=True, slots=True)
class Example:
    """The point that the analysis was captured at: the init parameters, and the model they came from, if any."""

    initdata: Mapping[str, Any]
    model: str | None = None
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Signal:
    """How a signal model enters: the format it must feed, and where each init parameter takes its value from.

    `other` are formats that the analysis also takes, from models that do not feed `format`.
    """

    format: str
    init: Mapping[str, str]
    other: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Output:
    """A published output of a stage."""

    stage: str
    output: str


@dataclass(frozen=True, slots=True)
class Observable:
    """The quantity that the bins are in. `edges` in `unit`; None is infinity."""

    name: str
    symbol: str
    unit: str
    edges: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The background-only pyhf workspace, the signal patch, and how to show them."""

    likelihood: Output
    patch: Output
    channel: str
    signal_sample: str
    observable: Observable | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A published number for one point of one model. `tolerance` is relative."""

    model: str
    parameters: Mapping[str, float]
    quantity: str
    value: float
    tolerance: float
    source: str


@dataclass(frozen=True, slots=True)
class Author:
    """Who wrote an analysis: a person, or a collaboration. `orcid` is the address, `https://orcid.org/…`."""

    name: str
    orcid: str | None = None
    affiliation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where an input can be had again: an address, or a data identifier (`scope:name`) of Rucio."""

    path: str
    url: str | None = None
    did: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """An analysis directory, read and checked. `reference` are the rules as written: `rules_of` never gives none."""

    name: str
    title: str
    directory: Path
    workflow_path: Path
    workflow: Workflow
    initdir: Path | None
    example: Example
    results: Mapping[str, str]
    signal: Signal | None = None
    statistics: Statistics | None = None
    closure: tuple[Published, ...] = ()
    reference: tuple[Rule, ...] = ()
    inputs: tuple[Located, ...] = ()
    relaxations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    authors: tuple[Author, ...] = ()
    license: str | None = None
    version: str | None = None
    luminosity_fb: float | None = None
    sqrt_s_tev: float | None = None
    root: text.Node | None = field(default=None, repr=False, compare=False)


def load(
    directory: Path,
    *,
    workflow: Path | None = None,
    example: str | None = None,
    fetch: remote.Fetch | None = None,
    manifest: text.Node | None = None,
    raw: Collection[str] = (),
) -> Analysis:
    """The analysis in a directory. `workflow` names another specification file (a capsule's flattened one).

    `example` names one of its `example_inputs`, the first if it is left out. References to servers need a `fetch`.
    `manifest` is its recast.yml, if that has been read; `raw` names more stages with `compat: raw`. Raises SpecError
    with file:line:column.
    """
    root, document = _manifest(directory, manifest)
    relaxations = relaxing.with_raw(_relaxations(document), raw)
    return _analysis(directory, root, document, workflow, example, fetch, relaxations)


def workflow(directory: Path, *, fetch: remote.Fetch | None = None) -> tuple[text.Node, frozenset[str]]:
    """The workflow of an analysis, references resolved but not looked at further, and its stages with `compat: raw`."""
    root, document = _manifest(directory, None)
    _, resolved = _workflow(directory, root, document, None, fetch)
    return resolved, relaxing.raw_stages(_relaxations(document))


def rules_of(analysis: Analysis) -> tuple[Rule, ...]:
    """How the outputs of its runs are compared: as it says, or else every result (or last output) byte by byte."""
    return analysis.reference or reference.default_rules(analysis.results.values(), analysis.workflow)


def _manifest(directory: Path, root: text.Node | None) -> tuple[text.Node, dict[str, Any]]:
    if root is None:
        file = directory / MANIFEST
        if not file.is_file():
            raise SpecError(
                f"{directory} holds no {MANIFEST}", hint="name the directory of an analysis, or of a capsule"
            )
        root = text.read(file, os.path.relpath(file))
    document = root.plain()
    if found := schemas.problem("recast-1", document):
        path, message = found
        place = "/".join(str(part) for part in path)
        raise SpecError(f"{message}" + (f" (in {place})" if place else ""), where=root.at(path).where)
    return root, document


def _relaxations(document: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    asked = document.get("steps", {})
    found = {stage: relaxing.of_stage(each) for stage, each in asked.items()}
    return {stage: each for stage, each in found.items() if each}


def _workflow(
    directory: Path,
    root: text.Node,
    document: Mapping[str, Any],
    workflow: Path | None,
    fetch: remote.Fetch | None,
) -> tuple[Path, text.Node]:
    """The specification's file, and what is in it with its references resolved."""
    top = _below(directory, document["spec"].get("toplevel", "."), "toplevel", root.at(("spec", "toplevel")))
    where = root.at(("spec", "workflow"))
    path = workflow or _below(top, document["spec"]["workflow"], "workflow", where)
    if not path.is_file():
        raise SpecError(f"the workflow {document['spec']['workflow']!r} does not exist", where=where.where)
    return path, refs.load(path, path.parent if workflow else top, fetch=fetch)


def _analysis(
    directory: Path,
    root: text.Node,
    document: Mapping[str, Any],
    workflow: Path | None,
    wanted: str | None,
    fetch: remote.Fetch | None,
    relaxations: Mapping[str, tuple[str, ...]],
) -> Analysis:
    metadata = document.get("metadata", {})
    workflow_path, resolved = _workflow(directory, root, document, workflow, fetch)
    loaded = yadage.parse_workflow(resolved, raw_stages=relaxing.raw_stages(relaxations))
    _check_stages(loaded, root, document)
    policies = _policies(document.get("steps", {}), root)
    _check_batches(loaded, root, policies)
    name, example = _example(document["example_inputs"], wanted)
    located = tuple(Located(**each) for each in document.get("inputs", []))
    return Analysis(
        name=document["name"],
        title=metadata.get("title", document["name"]),
        directory=directory,
        workflow_path=workflow_path,
        workflow=loaded,
        initdir=_initdir(directory, root, name, example, located if workflow else ()),
        example=Example(
            example["initdata"],
            example.get("signal", {}).get("model"),
            example.get("signal", {}).get("parameters"),
        ),
        results={result["name"]: result["relpath"] for result in document.get("results", [])},
        signal=_signal(document.get("signal")),
        statistics=_statistics(document.get("statistics")),
        closure=tuple(
            Published(c["model"], c["parameters"], c["quantity"], c["published"], c["tolerance"], c["source"])
            for c in document.get("closure", [])
        ),
        reference=reference.read(
            document.get("reference", ()), root.at(("reference",)), [stage.name for stage in loaded.stages]
        ),
        inputs=located,
        relaxations=relaxations,
        policies=policies,
        references=metadata.get("references", {}),
        authors=tuple(_author(author) for author in metadata.get("authors", [])),
        license=metadata.get("license"),
        version=metadata.get("version"),
        luminosity_fb=metadata.get("luminosity_fb"),
        sqrt_s_tev=metadata.get("sqrt_s_tev"),
        root=resolved,
    )


def _author(said: str | Mapping[str, str]) -> Author:
    if isinstance(said, str):
        return Author(said)
    orcid = said.get("orcid")
    address = f"https://orcid.org/{orcid.rpartition('/')[2]}" if orcid else None
    return Author(said["name"], address, said.get("affiliation"))


def _policies(asked: Mapping[str, Any], root: text.Node) -> dict[str, Policy]:
    found = {name: _policy(each, root.at(("steps", name))) for name, each in asked.items()}
    return {name: policy for name, policy in found.items() if policy != Policy()}


def _policy(asked: Mapping[str, Any], node: text.Node) -> Policy:
    memory = asked.get("memory")
    batch = plain_words(asked["batch"]) if "batch" in asked else None
    if "batch" in asked and batch is None:
        raise SpecError(
            f"batch is {asked['batch']!r}, which a shell would do more with than start it",
            where=node.at(("batch",)).where,
            hint="write the first words of the stage's command, such as: python3 -m limits",
        )
    try:
        return Policy(
            retries=asked.get("retries"),
            timeout=asked.get("timeout"),
            cpus=asked.get("cpus"),
            memory=None if memory is None else int(quantity(memory)),
            batch=batch,
        )
    except ValueError:
        where = node.at(("memory",)).where
        raise SpecError(f"memory is {memory!r}", where=where, hint="write bytes, or as in 4Gi") from None


def _example(examples: Mapping[str, Any], wanted: str | None) -> tuple[str, Mapping[str, Any]]:
    name = next(iter(examples)) if wanted is None else wanted
    if name not in examples:
        raise UsageError(f"there is no example {name!r}", hint=did_you_mean(name, examples))
    return name, examples[name]


def _initdir(
    directory: Path, root: text.Node, name: str, example: Mapping[str, Any], elsewhere: Iterable[Located]
) -> Path | None:
    """The directory of the init files. Of one whose files all lie `elsewhere`, a capsule holds nothing."""
    relative = example.get("dataopts", {}).get("initdir")
    if relative is None:
        return None
    node = root.at(("example_inputs", name, "dataopts", "initdir"))
    path = _below(directory, str(relative), "initdir", node)
    if not path.is_dir() and not any((directory / each.path).is_relative_to(path) for each in elsewhere):
        raise SpecError(f"the initdir {relative!r} is not a directory of the analysis", where=node.where)
    return path


def _below(directory: Path, name: str, what: str, node: text.Node) -> Path:
    """A path that recast.yml names, below a directory that it may not leave."""
    path = directory / name
    try:
        inside = path.resolve().is_relative_to(directory.resolve())
        path.exists()
    except (OSError, ValueError, RuntimeError):  # a NUL byte, a name that is too long, links in a circle
        raise SpecError(f"the {what} {name!r} names no file", where=node.where) from None
    if not inside:
        raise SpecError(
            f"the {what} {name!r} leaves the analysis directory",
            where=node.where,
            hint="a preserved analysis holds everything it needs; copy the file into it",
        )
    return path


def _signal(document: Mapping[str, Any] | None) -> Signal | None:
    return Signal(document["format"], document["init"], document.get("other", {})) if document else None


def _statistics(document: Mapping[str, Any] | None) -> Statistics | None:
    if document is None:
        return None
    seen = document.get("observable")
    observable = Observable(seen["name"], seen["symbol"], seen["unit"], tuple(seen["edges"])) if seen else None
    return Statistics(
        likelihood=Output(**document["likelihood"]),
        patch=Output(**document["patch"]),
        channel=document["channel"],
        signal_sample=document["signal_sample"],
        observable=observable,
    )


def _check_stages(workflow: Workflow, root: text.Node, document: Mapping[str, Any]) -> None:
    """Every stage that recast.yml names is one of the workflow's."""
    names = {stage.name for stage in workflow.stages} | {name for name, _ in workflow.step_specs()}
    places: list[tuple[str, tuple[str | int, ...]]] = [(stage, ("steps", stage)) for stage in document.get("steps", {})]
    statistics = document.get("statistics", {})
    places += [
        (statistics[part]["stage"], ("statistics", part, "stage")) for part in ("likelihood", "patch") if statistics
    ]
    for stage, path in places:
        if stage not in names:
            raise SpecError(
                f"the workflow has no stage {stage!r}",
                where=root.at(path).where,
                hint=did_you_mean(stage, names),
            )


def _check_batches(workflow: Workflow, root: text.Node, policies: Mapping[str, Policy]) -> None:
    """A program that takes batches is what its stage's command begins with: otherwise nothing would ever be shared."""
    for name, words in ((name, policy.batch) for name, policy in policies.items() if policy.batch):
        specs = [spec for stage, spec in workflow.step_specs() if stage == name]
        begun = [spec.process.cmd.text.split() for spec in specs if isinstance(spec.process, Command)]
        if not any(command[: len(words)] == list(words) for command in begun):
            said = f"it begins: {' '.join(begun[0][:4])}" if begun else "only string-interpolated-cmd takes batches"
            raise SpecError(
                f"the command of the stage {name!r} does not begin with {' '.join(words)!r}",
                where=root.at(("steps", name, "batch")).where,
                hint=said,
            )
