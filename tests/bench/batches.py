"""What a start of a container costs, and what is left of that when many steps share one (`steps.<stage>.batch`)."""

import tempfile
import time
from pathlib import Path

from recast_dm.runtimes.docker import Docker
from tests.batching import STAGES, Seen, run
from tests.bench.timing import table

ALONE = 10
"""Points of which each step gets a container of its own: more would take as much longer."""
TOGETHER = (10, 100)


def measure() -> None:
    """Scans of trivial steps, four stages a point; the first stage is the same for all points, and done once."""
    rows = [_scan(ALONE, together=False), *(_scan(points, together=True) for points in TOGETHER)]
    heads = ("points", "starts", "containers", "s", "s a step", "engine CPU, ms a step", "s, once more")
    table("A scan of trivial steps in containers, two at once", heads, rows)


def _scan(points: int, *, together: bool) -> list[str]:
    with tempfile.TemporaryDirectory(prefix="recast-dm-bench-") as name:
        seen, began, cpu = Seen(), time.monotonic(), time.process_time()
        run(Docker(), Path(name) / "run", list(range(20, 20 + points)), seen, together=together)
        wall, own = time.monotonic() - began, time.process_time() - cpu
        steps = points * len(STAGES)
        assert len(seen.how) == steps, f"{len(seen.how)} of {steps} steps finished"
        began = time.monotonic()
        run(Docker(), Path(name) / "run", list(range(20, 20 + points)), Seen(), together=together)
        again = time.monotonic() - began
    how = "shared" if together else "one a step"
    found = (f"{wall:.1f}", f"{wall / steps:.3f}", f"{1000 * own / steps:.1f}", f"{again:.1f}")
    return [str(points), how, str(seen.starts), *found]
