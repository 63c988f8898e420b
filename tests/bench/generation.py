"""Events, inside the image of the ATLAS analysis: Pythia alone, our stages, a loop over particles in Python."""

import json
import os
import sys
import tempfile
from pathlib import Path

from recast_dm import signals
from recast_dm.config import container_user
from recast_dm.runtimes import Job, runner_id
from recast_dm.runtimes.docker import Docker
from tests.bench.timing import table

IMAGE = "recast-dm/atlas-exot-2018-06:1.0"


def measure() -> None:
    docker = Docker()
    image = docker.image(IMAGE)
    assert image is not None, "`make images` builds it"
    axial = signals.find("spin1-axial")
    signal = axial.feeds(axial.point({"m_med": 1000, "m_dm": 1, "g_q": 0.25, "g_dm": 1}))["pythia8"]
    with tempfile.TemporaryDirectory() as place:
        work = Path(place) / "work"
        work.mkdir()
        (work / "signal.json").write_text(json.dumps(signal))
        os.chown(work, *container_user())
        words = ("--signal", "/workdir/signal.json", "--output", "/workdir/bench.json")
        job = Job(
            name=f"recast-dm-bench-{os.getpid()}-generation",
            run="bench",
            runner=runner_id(),
            image=image,
            argv=("python3", "-m", "monojet.bench", *words),
            workdir=work,
            inputs=(),
            user=container_user(),
            log=Path(place) / "log",
        )
        outcome = docker.run(job, lambda line: print(line, file=sys.stderr))
        if outcome.exit_code != 0:
            sys.exit((Path(place) / "log").read_text())
        measured = json.loads((work / "bench.json").read_text())
    for way, title in (("cut", "a cut on the recoil at 150 GeV"), ("slices", "the slices of the analysis")):
        found = measured[way]
        seconds = found["seconds_per_1000"]
        rows = [
            (what, f"{seconds[key]:.2f}", f"{seconds[key] / seconds['pythia']:.2f}")
            for key, what in (
                ("pythia", "Pythia alone: `next()` with the veto"),
                ("stages", "our stages: Pythia, detector, selection"),
                ("loop", "the same in a Python loop over particles"),
            )
        ]
        head = ("what", "s per 1000 accepted events", "times Pythia")
        table(f"Generation with {title}: axial, 1 TeV, {found['events']} events, one core", head, rows)
        print(
            f"The loop takes {found['loop_over_stages']:.1f} times as long as our stages; what it adds to Pythia is "
            f"{found['loop_added_over_stages_added']:.1f} times what they add.\n",
            flush=True,
        )
