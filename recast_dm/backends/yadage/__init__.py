"""Upstream yadage, driven in its tool environment: the oracle that says what a workflow is.

`Upstream` asks upstream for the whole graph of a workflow, executing nothing (`expand`), or has upstream run it
(`execute`). The answers are in our words, so that they can be compared with our own engine's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm.backends.yadage.graph import Execution, Graph, Node, Outcome
from recast_dm.backends.yadage.upstream import Upstream

__all__ = ["Execution", "Graph", "Node", "Outcome", "Upstream", "expand"]


def expand(
    spec: Path,
    initdata: Mapping[str, Any],
    initdir: Path | None = None,
    *,
    python: Path,
    top: Path | None = None,
    timeout: float = 60.0,
) -> Graph:
    """`Upstream.expand` in a process of its own."""
    with Upstream(python) as upstream:
        return upstream.expand(spec, initdata, initdir, top=top, timeout=timeout)
