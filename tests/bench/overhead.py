"""What engines cost: trivial steps, as a fan-out and as a chain, on ours and on its peers; and ours once more."""

import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench import engines, runs
from tests.bench.engines import Engine, Shape
from tests.bench.runs import Metered
from tests.bench.timing import table

BUDGET = 300.0
"""Seconds that one run of a peer may take. A size that would take more, growing as before, is not tried."""
FAN_OUTS = (1, 10, 100, 1000, 10_000)
CHAINS = (1, 10, 50, 200)
ONE_FILE = "echo done > done.txt"
SHORT = 20.0
"""Runs that take fewer seconds are done three times, and the median is shown."""
Case = tuple[Shape, int]
Found = Mapping[Case, Metered | float]
"""What was measured; or, where that was not tried, the seconds that it would take (infinite: nobody knows)."""


def measure(*, quick: bool = False) -> None:
    """`quick` is for a look at it: a tenth of the largest sizes, and a tenth of the time for peers."""
    cases: list[Case] = [("fan-out", n) for n in FAN_OUTS if not quick or n <= 1000]
    cases += [("chain", n) for n in CHAINS if not quick or n <= 50]
    with tempfile.TemporaryDirectory(prefix="recast-dm-bench-") as name:
        place = Path(name)
        everybody = engines.every()
        versions(everybody)
        found = {e.name: series(e, cases, place, BUDGET / 10 if quick else BUDGET) for e in everybody}
        show(found, cases)
        again(place / "again", max(n for shape, n in cases if shape == "fan-out"))


def series(engine: Engine, cases: list[Case], place: Path, budget: float) -> Found:
    """An engine on every size, as far as it gets; ours and xargs have all the time they need."""
    found: dict[Case, Metered | float] = {}
    unlimited = engine.name in ("recast-dm", "xargs")
    for case in cases:
        shape, steps = case
        if shape not in engine.shapes:
            continue
        expected = 0.0 if unlimited else _expected([done for (other, _), done in found.items() if other == shape])
        if expected > budget:
            found[case] = expected
            continue
        done = [runs.run(engine, shape, steps, place / _name(engine, case, 0), budget=3600 if unlimited else budget)]
        if done[0].wall < SHORT:
            done += [runs.run(engine, shape, steps, place / _name(engine, case, n), budget=budget) for n in (1, 2)]
        found[case] = statistics.median_low(done)
        print(f"{engine.name} {shape} {steps}: {found[case].wall:.2f} s", file=sys.stderr)
    return found


def _name(engine: Engine, case: Case, number: int) -> str:
    return f"{engine.name}-{case[0]}-{case[1]}-{number}"


def _expected(before: list[Metered | float]) -> float:
    """The seconds of the next size, if it grows over the last one as that grew over the one before; at first none.

    The first is what starting takes; the sizes are about a factor apart.
    """
    seconds = [done.wall if isinstance(done, Metered) and not done.expired else math.inf for done in before]
    if len(seconds) < 3:
        return 0.0 if math.inf not in seconds else math.inf
    start, (earlier, last) = seconds[0], seconds[-2:]
    return math.inf if last == math.inf else last * max(1.0, (last - start) / max(earlier - start, 0.1))


# --- tables -----------------------------------------------------------------------------------------------------------


def versions(everybody: tuple[Engine, ...]) -> None:
    print(
        ", ".join(f"{engine.name} {engine.version}" for engine in everybody) + "; `sh -c true` in every step.\n",
        flush=True,
    )


def show(found: Mapping[str, Found], cases: list[Case]) -> None:
    heads = [
        "engine",
        *(("1 step" if n == 1 else f"{shape} {n:,}") for shape, n in cases if (shape, n) != ("chain", 1)),
    ]
    shown = [case for case in cases if case != ("chain", 1)]
    ours = next(iter(found.values()))

    def rows(cell: Callable[[Metered, Metered], str]) -> list[list[str]]:
        return [[name, *(_cell(cell, of, ours, case) for case in shown)] for name, of in found.items()]

    table("CPU seconds: the engine's own process + all that it started (own: times ours)", heads, rows(_cpu))
    table("Seconds by the clock, two steps at once (times ours)", heads, rows(_wall))
    sloped = [case for case in shown if case[1] >= 50]
    heads = ["engine", *(f"{shape} {n:,}" for shape, n in sloped), "peak MB"]
    table(
        "Milliseconds of the engine's own CPU a step, start-up not counted",
        heads,
        [[name, *(_slope(of, case) for case in sloped), _peak(of)] for name, of in found.items()],
    )


def _cell(cell: Callable[[Metered, Metered], str], of: Found, ours: Found, case: Case) -> str:
    done, own = of.get(case), ours[case]
    assert isinstance(own, Metered)
    if done is None:
        return ""
    if not isinstance(done, Metered):
        return "not tried" if math.isinf(done) else f"not tried: about {done / 60:.0f} min"
    return f"> {done.wall:.0f} s" if done.expired else cell(done, own)


def _cpu(done: Metered, ours: Metered) -> str:
    return f"{done.own:.2f} + {done.children:.2f} ({_times(done.own, ours.own)})"


def _wall(done: Metered, ours: Metered) -> str:
    return f"{done.wall:.2f} ({_times(done.wall, ours.wall)})"


def _times(theirs: float, ours: float) -> str:
    ratio = theirs / max(ours, 0.01)
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.2g}"


def _slope(of: Found, case: Case) -> str:
    shape, steps = case
    done, one = of.get(case), of.get((shape, 1))
    if not isinstance(done, Metered) or not isinstance(one, Metered) or done.expired:
        return ""
    return f"{1000 * (done.own - one.own) / (steps - 1):.2f}"


def _peak(of: Found) -> str:
    return f"{max(done.peak_mb for done in of.values() if isinstance(done, Metered)):.0f}"


def again(place: Path, steps: int) -> None:
    """A finished run of ours, asked for once more. Its steps write a file each: without, there is nothing to check."""
    first = runs.run(engines.ours(), "fan-out", steps, place, budget=3600, command=ONE_FILE)
    written = len(list((place / "work").glob("s0/*/done.txt")))
    assert written == steps, f"{written} of {steps} steps wrote their file"
    rows = [_row("run", first)]
    for what, option in (("resume, all finished", ()), ("resume with `--verify`", ("--verify",))):
        rows.append(_row(what, runs.start(engines.ours(*option), place)))
    (place / "work").rename(place / "finished")
    rows.append(_row("`--dry-run` of a run that is new", runs.start(engines.ours("--dry-run"), place)))
    heads = ("what", "s", "CPU s, own", "CPU s, started", "peak MB")
    table(f"Ours, {steps:,} steps that write one small file each", heads, rows)


def _row(what: str, done: Metered) -> list[str]:
    return [what, f"{done.wall:.2f}", f"{done.own:.2f}", f"{done.children:.2f}", f"{done.peak_mb:.0f}"]
