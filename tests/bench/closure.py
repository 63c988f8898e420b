"""The published limits of the monojet analyses, and ours; steps in the cache are used."""

import json
import subprocess
import tempfile

from tests.bench.timing import BIN, ROOT, quiet, table

CAPSULE = ROOT / "build/bench.capsule"
POINTS_GEV = (1000, 1500, 2000, 2250)


def measure() -> None:
    atlas()
    cms()


def cms() -> None:
    """Out of the efficiency maps; leading order, without a K-factor."""
    with tempfile.TemporaryDirectory() as place:
        words = ["closure", ROOT / "specs/cms-exo-20-004", "--json", "--workdir", f"{place}/run"]
        command = [str(word) for word in (BIN / "recast-dm", *words)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT)
    rows = [
        (
            f"{found['parameters']['m_med'] / 1000:g}",
            found["quantity"],
            f"{found['ours']:.3g}",
            f"{found['published']:.3g}",
            f"{found['ratio']:.2f}",
        )
        for found in json.loads(done.stdout)["closure"]
    ]
    head = ("m_med, TeV", "quantity", "ours (LO)", "published", "ratio")
    table("Closure: CMS monojet from its maps, axial-vector, g_q = 0.25, g_dm = 1, m_dm = 1 GeV", head, rows)


def atlas() -> None:
    recast = BIN / "recast-dm"
    quiet(recast, "capture", ROOT / "specs/atlas-exot-2018-06", "-o", CAPSULE)()
    rows = []
    for m_med in POINTS_GEV:
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
