"""`make bench`: every figure in README, measured now, beside its peers in the same run.

Prints Markdown. Timings are medians; this machine may be busy, so ratios say more than seconds.
`python -m tests.bench [--quick] [PART ...]` measures some parts only, or the engines at smaller sizes.
"""

import argparse
import os
import time
from functools import partial

from tests.bench import (
    batches,
    capsules,
    closure,
    generation,
    helping,
    limits,
    overhead,
    scans,
    starts,
    toy,
    unpacking,
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller sizes of trivial steps, and less time for peers")
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        help="help, overhead, containers, batches, capsules, generation, closure, limits, scans, starts, unpacking",
    )
    parser.add_argument("--gigabytes", type=float, help="what the capsule holds (default: 2; --quick: 0.2)")
    asked = parser.parse_args()
    parts = {
        "help": helping.measure,
        "overhead": partial(overhead.measure, quick=asked.quick),
        "containers": toy.measure,
        "batches": batches.measure,
        "capsules": partial(capsules.measure, asked.gigabytes or (0.2 if asked.quick else 2.0)),
        "generation": generation.measure,
        "closure": closure.measure,
        "limits": partial(limits.measure, quick=asked.quick),
        "scans": scans.measure,
        "starts": partial(starts.measure, quick=asked.quick),
        "unpacking": partial(unpacking.measure, quick=asked.quick),
    }
    if unknown := [name for name in asked.parts if name not in parts]:
        parser.error(f"there is no part {unknown[0]!r}")
    print(f"recast-dm bench, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}\n")
    for name in asked.parts or parts:
        parts[name]()


if __name__ == "__main__":
    main()
