"""What every part of the bench uses: medians, quiet commands, Markdown tables."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
TOOLS = ROOT / "build/tools"
LOCKS = ROOT / "recast_dm/locks"


def median(action: Callable[[], object], runs: int = 5) -> float:
    """Seconds, the median of some runs after one that does not count."""
    action()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


Turn = tuple[Callable[[], object], Callable[[], object]]
"""What is done before, and what is measured."""


def in_turns(*turns: Turn, runs: int = 5) -> list[float]:
    """Seconds, the medians of actions that are done one after the other, again and again: noise hits them alike.

    The first time of each does not count.
    """
    seconds: list[list[float]] = [[] for _ in turns]
    for number in range(runs + 1):
        for (before, action), found in zip(turns, seconds, strict=True):
            before()
            began = time.perf_counter()
            action()
            if number:
                found.append(time.perf_counter() - began)
    return [statistics.median(each) for each in seconds]


def quiet(*words: str | Path, **environment: str) -> Callable[[], object]:
    return lambda: subprocess.run(
        [str(word) for word in words], check=True, capture_output=True, cwd=ROOT, env={**os.environ, **environment}
    )


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"**{title}**\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)
