"""One workflow on both engines, and what it says about their agreement."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recast_dm.backends.tool_environment import ensure
from recast_dm.backends.yadage import Upstream
from recast_dm.model import INIT
from tests.conformance import compare, our_side, upstream_side
from tests.conformance.compare import Refused, Seen
from tests.conformance.corpus import Case, deviations
from tests.conformance.generate import Generated

TOP = Path(__file__).parents[2]
LOCKS = TOP / "recast_dm" / "locks"
TIMEOUT = 60.0
"""Seconds that upstream has for one workflow."""


def upstream_python() -> Path:
    """The python of upstream's environment; made on the first use, which needs a package index."""
    return ensure("yadage", LOCKS / "tool-yadage.txt", TOP / "build" / "tools", build=LOCKS / "tool-build.txt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`problems` is what nobody has explained; `deviation` names the intended one that the workflow shows.

    `executed` says that commands were really run, `refused` that upstream refused the workflow or failed on it.
    """

    problems: tuple[str, ...] = ()
    deviation: str | None = None
    executed: bool = False
    refused: bool = False


def judge_case(case: Case, upstream: Upstream) -> Verdict:
    """A workflow of the corpus: both engines agree, or differ as its `deviation` says."""
    if case.only_ours:
        ours = compare.attempt(lambda: our_side.expanded(case.workflow, case.initdata, case.initdir))
        return Verdict(problems=(f"we refuse: {ours.why}",) if isinstance(ours, Refused) else ())
    pairs = [_expanded(case.workflow, case.initdata, case.initdir, upstream)]
    if case.execute:
        pairs.append(_executed(case.workflow, case.initdata, case.initdir, upstream))
    if case.upstream == "fails" and case.execute:
        pairs = pairs[1:]  # what upstream finds out when it executes may be refused before
    refused = any(isinstance(theirs, Refused) for theirs, _ in pairs)
    problems = [difference for theirs, ours in pairs for difference in compare.differences(theirs, ours)]
    if case.upstream and not refused:
        problems.append(f"upstream {case.upstream} it, says case.yml, but does not")
    if refused and not (case.upstream or case.deviation):
        problems.append(f"upstream does not take it: {_why(pairs)}")
    deviation = None
    if case.deviation and problems:
        problems, deviation = [], case.deviation
    elif case.deviation and case.execute and deviations()[case.deviation].always:
        problems = [f"shows no deviation {case.deviation}"]
    return Verdict(problems=tuple(problems), deviation=deviation, executed=case.execute, refused=refused)


def judge_generated(generated: Generated, upstream: Upstream) -> Verdict:
    """A workflow made at random: expanded or, where it is meant to be, executed by both."""
    with tempfile.TemporaryDirectory(prefix="recast-dm-generated-") as scratch:
        spec = generated.write(Path(scratch) / "spec")
        both = _executed if generated.execute else _expanded
        theirs, ours = both(spec / "workflow.yml", generated.initdata, spec / "data", upstream)
        problems = tuple(compare.differences(theirs, ours))
        deviation = explained(theirs, ours) if problems else None
        return Verdict(
            problems=() if deviation else problems,
            deviation=deviation,
            executed=generated.execute,
            refused=isinstance(theirs, Refused),
        )


def explained(theirs: Seen | Refused, ours: Seen | Refused) -> str | None:
    """The intended deviation that a workflow made at random shows by itself."""
    if isinstance(theirs, Seen) and isinstance(ours, Refused):
        return _why_only_we(theirs, ours.why)
    if isinstance(theirs, Refused) and isinstance(ours, Seen) and "contextualize_value" in theirs.why:
        return "values-are-not-templates"
    return None


def _why_only_we(theirs: Seen, why: str) -> str | None:
    """Why we refuse what upstream takes."""
    if "never became ready" in why and theirs.waiting:
        return "unready-is-failure"
    if "made no step at all" in why and all(step.stage.endswith(INIT.stage) for step in theirs.steps):
        return "unready-is-failure"
    if "makes text of" in why and "holds paths" in why:
        return "text-of-paths"
    if "which is not one of the stage's parameters" in why:
        return "unknown-placeholder"
    if "selects from an unknown stage" in why:
        return "select-from-nobody"
    return None


def _expanded(
    workflow: Path, initdata: Mapping[str, Any], initdir: Path | None, upstream: Upstream
) -> tuple[Seen | Refused, Seen | Refused]:
    return (
        compare.attempt(lambda: upstream_side.expanded(upstream.expand(workflow, initdata, initdir, timeout=TIMEOUT))),
        compare.attempt(lambda: our_side.expanded(workflow, initdata, initdir)),
    )


def _executed(
    workflow: Path, initdata: Mapping[str, Any], initdir: Path | None, upstream: Upstream
) -> tuple[Seen | Refused, Seen | Refused]:
    with tempfile.TemporaryDirectory(prefix="recast-dm-both-") as scratch:
        workdir = Path(scratch).resolve()
        return (
            compare.attempt(
                lambda: upstream_side.executed(
                    upstream.execute(workflow, initdata, initdir, workdir=workdir / "upstream", timeout=TIMEOUT)
                )
            ),
            compare.attempt(lambda: our_side.executed(workflow, initdata, initdir, workdir / "ours")),
        )


def _why(pairs: list[tuple[Seen | Refused, Seen | Refused]]) -> str:
    return next(theirs.why for theirs, _ in pairs if isinstance(theirs, Refused))
