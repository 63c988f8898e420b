"""Scans of the CMS analysis from its efficiency maps, and a contour beside the line of the whole map."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.bench.timing import BIN, ROOT, table

CMS = ROOT / "specs/cms-exo-20-004"
MAP = CMS / "data/efficiency_TRV1.csv"
MODEL = ("--model", "spin1-axial", "--benchmark", "A1")
HUNDRED = ("--grid", "m_med=600:2400:200", "--grid", "m_dm=1:226:25")
PLANE = ("--grid", "m_med=200:2600:50", "--grid", "m_dm=1:901:50")
ROWS = (1.0, 51.0, 101.0, 201.0, 301.0, 401.0, 451.0)
"""Masses of dark matter, in GeV, at which the two lines are compared."""


def measure() -> None:
    with tempfile.TemporaryDirectory(prefix="recast-dm-bench-") as place:
        _hundred(Path(place))
        _contour(Path(place))


def _call(place: Path, cache: str, *words: object) -> tuple[float, dict[str, Any]]:
    """Seconds by the clock, and the document."""
    environment = {**os.environ, "RECAST_DM_CACHE_DIR": str(place / cache)}
    argv = [str(BIN / "recast-dm"), *map(str, words), "--json", "--quiet"]
    began = time.perf_counter()
    done = subprocess.run(argv, cwd=place, env=environment, stdout=subprocess.PIPE, check=True)
    return time.perf_counter() - began, json.loads(done.stdout)


def _hundred(place: Path) -> None:
    cold, first = _call(place, "cache", "scan", CMS, *MODEL, *HUNDRED, "--workdir", "cold")
    _keep_cross_sections(place / "cold", place / "cache", place / "known")
    known, _ = _call(place, "known", "scan", CMS, *MODEL, *HUNDRED, "--workdir", "warm")
    again, _ = _call(place, "known", "scan", CMS, *MODEL, *HUNDRED, "--workdir", "warm")
    elsewhere, _ = _call(place, "known", "scan", CMS, *MODEL, *HUNDRED, "--workdir", "elsewhere")
    done = sum(point["status"] == "done" for point in first["points"])
    checked = first["spot_check"]
    rows = [
        ("nothing cached: cross-sections by Pythia", f"{cold:.1f}"),
        ("cross-sections cached", f"{known:.1f}"),
        ("the same again", f"{again:.1f}"),
        ("the same in another run directory", f"{elsewhere:.1f}"),
    ]
    said = (
        f"{done} limits; {checked['points']} checked against pyhf, CLs within {checked['largest_cls_difference']:.1e}"
    )
    table(f"100 points of the CMS maps ({said})", ("scan", "s"), rows)


def _keep_cross_sections(run: Path, cache: Path, kept: Path) -> None:
    """A cache that holds the cross-sections of a run, and nothing else."""
    for record in run.glob(".records/point/*/cross_section/0.json"):
        key = json.loads(record.read_text())["key"]
        place = Path("steps/1") / key[:2] / key
        shutil.copytree(cache / place, kept / place, copy_function=os.link)


def _contour(place: Path) -> None:
    seconds, found = _call(place, "cache", "contour", CMS, *MODEL, *PLANE, "--workdir", "line")
    whole = _whole_map(place)
    rows = []
    for role, number in (("observed", None), ("expected", 2)):
        for m_dm in ROWS:
            ours, full = _at(found["contour"][role]["central"], m_dm), _at(_lines(whole, number), m_dm)
            if ours and full:
                rows.append((role, f"{m_dm:g}", f"{ours:.0f}", f"{full:.0f}", f"{100 * (ours / full - 1):+.1f} %"))
    contour = found["contour"]
    title = f"The mu = 1 line: {contour['evaluations']} points chosen in {seconds:.0f} s, and the map's own 425 points"
    table(title, ("limit", "m_dm, GeV", "contour, m_med in GeV", "whole map", "difference"), rows)


def _whole_map(place: Path) -> dict[str, Any]:
    """A scan at every point of the map."""
    with MAP.open(newline="") as file:
        _, *rows = csv.reader(file)
    points = place / "points.csv"
    points.write_text("m_med,m_dm\n" + "".join(f"{row[0]},{row[1]}\n" for row in rows))
    return _call(place, "cache", "scan", CMS, *MODEL, "--points", points, "--workdir", "whole")[1]


def _lines(scan: dict[str, Any], expected: int | None) -> list[list[list[float]]]:
    """Where mu_UL = 1 between the points, its logarithm linear on triangles of (m_med, 2 m_dm/m_med)."""
    import contourpy
    import numpy as np
    from matplotlib.tri import LinearTriInterpolator, Triangulation

    done = [point for point in scan["points"] if point["status"] == "done"]
    place = np.array([(p["parameters"]["m_med"], p["parameters"]["m_dm"]) for p in done])
    mu = np.log([p["mu_upper_obs"] if expected is None else p["mu_upper_exp"][expected] for p in done])
    share = 2 * place[:, 1] / place[:, 0]
    surface = LinearTriInterpolator(Triangulation(place[:, 0] / 3000, share), mu)
    m_med, m_dm = np.linspace(200, 2600, 481), np.linspace(1, 901, 181)
    x, y = np.meshgrid(m_med, m_dm)
    values = surface(x / 3000, 2 * y / x)
    found = contourpy.contour_generator(m_med, m_dm, values).lines(0.0)
    return [line.tolist() for line in found]


def _at(lines: list[list[list[float]]], m_dm: float) -> float | None:
    """The largest m_med at which a line passes."""
    hits = [
        a[0] + (m_dm - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
        for line in lines
        for a, b in pairwise(line)
        if min(a[1], b[1]) <= m_dm <= max(a[1], b[1]) and a[1] != b[1]
    ]
    return max(hits, default=None)
