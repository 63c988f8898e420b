"""Generated workflows: upstream yadage and our engine agree on every one of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from recast_dm.backends.yadage import Upstream
from tests.conformance import judge
from tests.conformance.generate import workflow_of

NAME = "conformance"
TOTAL = 2000
_running: list[Upstream] = []


@contextmanager
def setup() -> Iterator[None]:
    """One upstream process for all trials."""
    with Upstream(judge.upstream_python()) as upstream:
        _running.append(upstream)
        try:
            yield
        finally:
            _running.pop()


def one(seed: int) -> str | None:
    verdict = judge.judge_generated(workflow_of(seed), _running[-1])
    return "; ".join(verdict.problems) or None
