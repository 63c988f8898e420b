"""How a run begins: what the init stage publishes, before there is any step."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recast_dm import store
from recast_dm.engine.expand import Expansion
from recast_dm.engine.publishers import publish_init
from recast_dm.model import INIT, StepId, Workflow


def begin(
    workflow: Workflow,
    initdata: Mapping[str, Any],
    initdir: Path | None,
    relaxations: Mapping[str, tuple[str, ...]],
) -> tuple[Expansion, dict[StepId, str]]:
    """A workflow to be expanded, and the tree of its init files (none: the empty tree) as the first that is known."""
    tree = store.init_tree(initdir) if initdir else store.Tree(())
    files = tree.names() if initdir else None
    expansion = Expansion(workflow, publish_init(initdata, files), relaxations, files=files)
    return expansion, {INIT: tree.sha256}
