"""What can be run: a capsule, an analysis, or whatever else somebody has that holds a workflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recast_dm.capsule import Capsule
from recast_dm.model import Image, Policy, Workflow
from recast_dm.spec import relaxations as relaxing
from recast_dm.spec import yadage
from recast_dm.spec.analysis import Analysis, rules_of
from recast_dm.spec.inputs import Source
from recast_dm.spec.reference import Rule, default_rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A workflow with everything that it starts from.

    `pinned` are the images that a capsule names by their layers; what is not pinned is found by its name; `layout` is
    the OCI layout with their bytes. `analysis` is there for capsules and analyses, `capsule` for capsules. `identity`
    tells one subject from another. `overrides` are the init parameters that are not those it came with.
    """

    name: str
    title: str
    workflow: Workflow
    initdata: Mapping[str, Any]
    initdir: Path | None
    identity: Mapping[str, Any]
    results: Mapping[str, str] = field(default_factory=dict)
    relaxations: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    pinned: Mapping[str, Image] = field(default_factory=dict)
    layout: Path | None = None
    analysis: Analysis | None = None
    capsule: Capsule | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    def shown(self) -> dict[str, Any]:
        """What documents say of it besides its identity."""
        return {
            "title": self.title,
            "references": self.references,
            "luminosity_fb": self.analysis.luminosity_fb if self.analysis else None,
            "sqrt_s_tev": self.analysis.sqrt_s_tev if self.analysis else None,
        }

    @property
    def references(self) -> Mapping[str, str]:
        """Where it was published: `arxiv`, `hepdata`, …"""
        return dict(self.analysis.references) if self.analysis else {}

    def rules(self) -> tuple[Rule, ...]:
        """How the outputs of its runs are compared."""
        return rules_of(self.analysis) if self.analysis else default_rules(self.results.values(), self.workflow)


def of_capsule(capsule: Capsule) -> Subject:
    """A capsule as it was captured."""
    analysis = capsule.analysis
    return Subject(
        name=analysis.name,
        title=analysis.title,
        workflow=analysis.workflow,
        initdata=capsule.initdata,
        initdir=analysis.initdir,
        identity={"analysis": analysis.name, "capsule": capsule.digest},
        results=analysis.results,
        relaxations=analysis.relaxations,
        policies=analysis.policies,
        pinned=capsule.pinned(),
        layout=capsule.layout,
        analysis=analysis,
        capsule=capsule,
    )


def of_analysis(analysis: Analysis, initdata: Mapping[str, Any]) -> Subject:
    """An analysis as it stands, with the complete init parameters of its example."""
    return Subject(
        name=analysis.name,
        title=analysis.title,
        workflow=analysis.workflow,
        initdata=initdata,
        initdir=analysis.initdir,
        identity={"analysis": analysis.name, "capsule": None},
        results=analysis.results,
        relaxations=analysis.relaxations,
        policies=analysis.policies,
        analysis=analysis,
    )


def of_source(source: Source, initdir: Path | None) -> Subject:
    """A bare workflow, a catalogue entry, or a reana.yaml; `initdir` is where its init files have been prepared."""
    return Subject(
        name=source.name,
        title=source.kind,
        workflow=yadage.parse_workflow(source.root, raw_stages=relaxing.raw_stages(source.relaxations)),
        initdata=source.initdata,
        initdir=initdir,
        identity={"analysis": source.name, "capsule": None},
        results=source.results,
        relaxations=source.relaxations,
    )
