"""`make bench`: every figure in README, measured now, beside its peers in the same run.

Prints Markdown. Timings are medians; this machine may be busy, so ratios say more than seconds.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from recast_dm import signals
from recast_dm.backends import tool_environment
from recast_dm.config import container_user
from recast_dm.runtimes import Job, Limits, runner_id
from recast_dm.runtimes.docker import Docker, argv

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
CAPSULE = ROOT / "build/bench.capsule"
ANALYSIS_IMAGE = "recast-dm/atlas-exot-2018-06:1.0"
TOY_IMAGE = "recast-dm/toy:1.0"
CLOSURE_GEV = (1000, 1500, 2000, 2250)


def main() -> None:
    print(f"recast-dm bench, {os.cpu_count()} cores, {time.strftime('%Y-%m-%d')}\n")
    help_time()
    engine_overhead()
    generation()
    closure()


def median(action: Callable[[], object], runs: int = 5) -> float:
    """Seconds, the median of some runs after one that does not count."""
    action()
    seconds = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def quiet(*words: str | Path, **environment: str) -> Callable[[], object]:
    return lambda: subprocess.run(
        [str(word) for word in words], check=True, capture_output=True, cwd=ROOT, env={**os.environ, **environment}
    )


def table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print(f"**{title}**\n\n| {' | '.join(head)} |\n|{'---|' * len(head)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")
    print(flush=True)


def help_time() -> None:
    locks = ROOT / "recast_dm/locks"
    yadage = tool_environment.ensure(
        "yadage", locks / "tool-yadage.txt", ROOT / "build/tools", build=locks / "tool-build.txt"
    )
    ours = median(quiet(BIN / "recast-dm", "--help"))
    peers = {
        "`yadage-run --help`": median(quiet(yadage.parent / "yadage-run", "--help")),
        "`pyhf --help`": median(quiet(BIN / "pyhf", "--help")),
    }
    rows = [("`recast-dm --help`", f"{ours:.2f}", "1")]
    rows += [(name, f"{seconds:.2f}", f"{seconds / ours:.1f}") for name, seconds in peers.items()]
    table("Help", ("command", "s", "times ours"), rows)


def engine_overhead() -> None:
    """The toy analysis: three containers, two of them side by side."""
    docker = Docker()
    image = docker.image(TOY_IMAGE)
    assert image is not None
    with tempfile.TemporaryDirectory() as place:
        work = Path(place) / "work"
        work.mkdir()
        os.chown(work, *container_user())
        numbers = iter(range(1000))

        def bare() -> None:
            n = next(numbers)
            job = Job(
                name=f"recast-dm-bench-{os.getpid()}-{n}",
                run="bench",
                runner=runner_id(),
                image=image,
                argv=("true",),
                workdir=work,
                inputs=(),
                user=container_user(),
                log=Path(place) / f"log{n}",
                limits=Limits(),
            )
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
    table("Engine", ("what", "s", "ratio"), rows)


def generation() -> None:
    """Inside the analysis image: Pythia alone, our stages, a loop over particles in Python."""
    docker = Docker()
    image = docker.image(ANALYSIS_IMAGE)
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


def closure() -> None:
    """The published limits, and ours; steps in the cache are used."""
    recast = BIN / "recast-dm"
    quiet(recast, "capture", ROOT / "specs/atlas-exot-2018-06", "-o", CAPSULE)()
    rows = []
    for m_med in CLOSURE_GEV:
        words = ["rerun", CAPSULE, "--model", "spin1-axial", "--set", f"m_med={m_med}", "--set", "m_dm=1", "--json"]
        with tempfile.TemporaryDirectory() as place:
            done = subprocess.run(
                [str(word) for word in (recast, *words, "--workdir", f"{place}/run")],
                stdout=subprocess.PIPE,
                check=True,
                cwd=ROOT,
            )
        limit = json.loads(done.stdout)
        rows += [
            (
                f"{m_med / 1000:g}",
                f"{limit['sigma_pb']:.4g}",
                f"{found['ours']:.3g}",
                f"{found['published']:.3g}",
                f"{found['ratio']:.2f}",
                f"{100 * limit['mu_upper_obs_mc_error']:.1f} %",
                "excluded" if limit["excluded"] else "not excluded",
            )
            for found in limit["closure"]
        ]
    head = ("m_med, TeV", "sigma, pb (LO)", "sigma_UL ours, pb", "published, pb", "ratio", "MC error", "at 95 % CL")
    table("Closure: ATLAS monojet, axial-vector, g_q = 0.25, g_dm = 1, m_dm = 1 GeV", head, rows)


if __name__ == "__main__":
    main()
