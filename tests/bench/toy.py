"""The toy analysis: three containers, two of them side by side, beside one bare container."""

import os
import subprocess
import tempfile
from pathlib import Path

from recast_dm.config import container_user
from recast_dm.runtimes.docker import Docker, argv
from tests.bench import starts
from tests.bench.timing import BIN, ROOT, median, quiet, table

IMAGE = "recast-dm/toy:1.0"


def measure() -> None:
    docker = Docker()
    image = docker.image(IMAGE)
    assert image is not None
    with tempfile.TemporaryDirectory() as place:
        work = Path(place) / "work"
        work.mkdir()
        os.chown(work, *container_user())
        numbers = iter(range(1000))

        def bare() -> None:
            job = starts.job(f"recast-dm-bench-{os.getpid()}-{next(numbers)}", image, work)
            words = [word for word in argv(job) if word]
            subprocess.run(["docker", "run", "--rm", *words[2:]], check=True, capture_output=True)

        one = median(bare)
        capsule = Path(place) / "toy.capsule"
        recast = BIN / "recast-dm"
        quiet(recast, "capture", ROOT / "tests/analyses/toy", "-o", capsule)()
        again = {"RECAST_DM_CACHE_DIR": f"{place}/cache"}

        def anew() -> None:
            quiet(recast, "run", capsule, "--no-cache", "--workdir", f"{place}/run{next(numbers)}")()

        fresh = median(anew)
        quiet(recast, "run", capsule, "--workdir", f"{place}/first", **again)()
        kept = median(quiet(recast, "run", capsule, "--workdir", f"{place}/first", **again))
    rows = [
        ("one bare `docker run` of the same kind", f"{one:.2f}", "1"),
        ("`recast-dm run` of the toy analysis: three containers, two at once", f"{fresh:.2f}", f"{fresh / one:.1f}"),
        ("the same again: nothing to do", f"{kept:.2f}", f"{kept / one:.1f}"),
    ]
    table("Containers", ("what", "s", "ratio"), rows)
