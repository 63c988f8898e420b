"""The yadage language: a tree of nodes to a typed Workflow.

The whole language is read here; `stages` and `steps` read its two halves, `names` checks that what they say fits
together. Every problem is found in one pass; `load` raises the first, `inspect` gives them all.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import yaml

from recast_dm.model import Workflow
from recast_dm.spec import names, refs, text
from recast_dm.spec.problems import Problems
from recast_dm.spec.stages import Reader, literal
from recast_dm.spec.text import Node

__all__ = ["inspect", "literal", "load", "parse_workflow"]


def load(path: Path, *, top: Path | None = None, raw_stages: frozenset[str] = frozenset()) -> Workflow:
    """The workflow in a yadage file.

    `top` is the directory that references may not leave (default: the file's own). `raw_stages` names the stages with
    the relaxation `compat: raw` (`scan/fit` for a stage of a sub-workflow). Raises SpecError with file:line:column.
    """
    return parse_workflow(refs.load(path, top or path.parent), raw_stages=raw_stages)


def parse_workflow(root: Node, *, raw_stages: frozenset[str] = frozenset()) -> Workflow:
    """The workflow in a tree whose references are resolved. Raises SpecError: the first problem of all."""
    workflow, problems = inspect(root, raw_stages=raw_stages)
    problems.demand_none()
    assert workflow is not None  # noqa: S101  # there is one when there is no problem
    return workflow


def read_flattened(document: Mapping[str, Any], raw_stages: frozenset[str], shown: str) -> Workflow:
    """The workflow in a document that was kept (`Workflow.source`); `shown` is its name in errors. Raises SpecError."""
    said = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return parse_workflow(text.parse(said, shown), raw_stages=raw_stages)


def inspect(
    root: Node, *, raw_stages: frozenset[str] = frozenset(), init: Collection[str] | None = None
) -> tuple[Workflow | None, Problems]:
    """The workflow in a tree, and everything that is wrong with it; no workflow where there are errors.

    `init` are the names of the init parameters, where they are known.
    """
    problems = Problems()
    workflow = problems.attempt(lambda: Reader(problems, raw_stages).workflow(root))
    if workflow is not None and not problems.nameless:
        names.check(workflow, init, problems)
    return (None if problems.errors else workflow), problems
