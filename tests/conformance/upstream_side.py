"""What upstream made of a workflow, in the form that can be compared."""

from __future__ import annotations

from pathlib import Path

from recast_dm.backends.yadage import Execution, Graph
from tests.conformance.compare import Refused, Seen, SeenStep, content


def expanded(graph: Graph) -> Seen:
    steps = {
        node.id: SeenStep(node.parameters, node.depends_on, node.prepublished, node.published, {})
        for node in graph.nodes
    }
    return Seen(steps, tuple(sorted(graph.unapplied)))


def executed(execution: Execution) -> Seen | Refused:
    if not execution.succeeded:
        failed = [outcome for outcome in execution.outcomes if outcome.state == "failed"]
        return Refused("; ".join(f"{outcome.step}: {outcome.failure}" for outcome in failed))
    places = {place: step for step, place in execution.places.items()}
    steps = {}
    for node in execution.graph.nodes:
        outcome = execution.outcome(node.id)
        files = {file.path: content(Path(execution.places[node.id]) / file.path, places) for file in outcome.files}
        steps[node.id] = SeenStep(node.parameters, node.depends_on, True, outcome.published, files)
    return Seen(steps, tuple(sorted(execution.graph.unapplied)))
