"""Scans and contours of the CMS search in real containers: from a grid to planes, other couplings and HEPData."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from recast_dm import schemas
from recast_dm.runtimes.docker import Docker

ROOT = Path(__file__).parents[2]
CMS = ROOT / "specs/cms-exo-20-004"
AXIAL = ("--model", "spin1-axial", "--benchmark", "A1")
GRID = ("--grid", "m_med=1000,1850,2000", "--grid", "m_dm=1,300")


class Bench:
    """One cache for the tests of this module."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.environment = {**os.environ, "RECAST_DM_CACHE_DIR": str(place / "cache")}

    def argv(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "recast_dm", *map(str, words)]

    def call(self, *words: object) -> str:
        done = subprocess.run(
            self.argv(*words), env=self.environment, cwd=self.place, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    def document(self, *words: object) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.call(*words, "--json"))
        return found


@pytest.fixture(scope="module")
def bench(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("scans"))


@pytest.fixture(scope="module")
def scanned(bench: Bench) -> dict[str, Any]:
    return bench.document("scan", CMS, *AXIAL, *GRID, "--workdir", "grid")


def test_a_scan(scanned: dict[str, Any]) -> None:
    assert schemas.problem("scan-1", scanned) is None
    assert {point["status"] for point in scanned["points"]} == {"done"}
    assert scanned["spot_check"]["points"] == 3
    assert scanned["spot_check"]["largest_cls_difference"] < 1e-3
    published = [row for row in scanned["closure"] if row["ours"] is not None]
    assert {row["parameters"]["m_med"] for row in published} == {1000, 2000}


def test_what_no_parameter_reaches_is_done_once(bench: Bench, scanned: dict[str, Any]) -> None:
    records = bench.place.glob("grid/.records/point/*/workspace/0.json")
    how = [json.loads(path.read_text())["reused"] for path in records]
    assert len(how) == 6
    assert how.count(None) <= 1


def test_a_rerun_gives_the_same_document_as_the_scan(bench: Bench, scanned: dict[str, Any]) -> None:
    point = scanned["points"][3]
    words = [word for name in ("m_med", "m_dm") for word in ("--set", f"{name}={point['parameters'][name]}")]
    alone = bench.document("rerun", CMS, *AXIAL, *words, "--no-cache", "--workdir", "alone")
    assert {name: alone[name] for name in point} == point
    for name in ("analysis", "title", "references", "order", "images"):
        assert alone[name] == scanned[name]


def test_the_same_again_finds_everything(bench: Bench, scanned: dict[str, Any]) -> None:
    again = bench.document("scan", CMS, *AXIAL, *GRID, "--workdir", "again")
    assert {**again, "run_dir": ""} == {**scanned, "run_dir": ""}
    reused = [json.loads(path.read_text())["reused"] for path in bench.place.glob("again/.records/point/**/*.json")]
    assert len(reused) == 24
    assert None not in reused


def test_a_scan_that_is_killed_goes_on(bench: Bench) -> None:
    words = ("scan", CMS, *AXIAL, "--grid", "m_med=1100:1700:100", "--set", "m_dm=1", "--workdir", "killed")
    records = bench.place / "killed" / ".records"
    with (bench.place / "killed.log").open("wb") as log:
        runner = subprocess.Popen(bench.argv(*words), env=bench.environment, cwd=bench.place, stdout=log, stderr=log)
        for _ in range(600):
            if any(records.glob("point/*/cross_section/0.json")):
                break
            time.sleep(0.1)
        runner.send_signal(signal.SIGKILL)
        runner.wait()
    finished = {path: path.stat().st_mtime_ns for path in records.glob("point/**/*.json")}
    assert finished
    document = bench.document(*words)
    assert {point["status"] for point in document["points"]} == {"done"}
    assert {path: path.stat().st_mtime_ns for path in finished} == finished


def test_rescaled_and_rerun_couplings_agree(bench: Bench, scanned: dict[str, Any]) -> None:
    """The issue asks for 3 % and the Monte-Carlo error at 1 TeV."""
    rescaled = bench.document("rescale", "grid", "--set", "g_q=0.1")
    direct = bench.document(
        "rerun", CMS, *AXIAL, "--set", "m_med=1000", "--set", "m_dm=1", "--set", "g_q=0.1", "--workdir", "direct"
    )
    scaled = rescaled["points"][0]
    assert scaled["parameters"] == direct["parameters"]
    error = direct["sigma_pb_mc_error"] / direct["sigma_pb"]
    assert scaled["mu_upper_obs"] == pytest.approx(direct["mu_upper_obs"], rel=0.03 + 2 * error)
    assert scaled["sigma_pb"] == pytest.approx(direct["sigma_pb"], rel=0.03 + 2 * error)


def test_a_contour_with_few_points(bench: Bench) -> None:
    grid = ("--grid", "m_med=1400:2300:50", "--grid", "m_dm=1:301:50")
    document = bench.document("contour", CMS, *AXIAL, *grid, "--budget", "14", "--workdir", "line")
    assert schemas.problem("scan-1", document) is None
    contour = document["contour"]
    assert contour["evaluations"] <= 14
    (line,) = contour["observed"]["central"]
    at_the_floor = min(line, key=lambda place: place[1])
    assert at_the_floor[0] == pytest.approx(1815, rel=0.03), "where the maps' own points put it: 1810 GeV"
    assert min(path.name for path in (bench.place / "line/rounds").iterdir()) == "001"


def test_a_forecast(bench: Bench, scanned: dict[str, Any]) -> None:
    said = bench.document("scan", CMS, *AXIAL, *GRID, "--estimate", "--workdir", "few")
    assert schemas.problem("forecast-1", said) is None
    assert said["tried"] == 3
    assert said["points"] == 6
    assert 0 < said["cpu_hours"] < 0.1


def test_the_published_points(bench: Bench) -> None:
    document = bench.document("closure", CMS, "--workdir", "closure")
    assert schemas.problem("closure-1", document) is None
    assert len(document["closure"]) == 8
    assert all(row["ours"] is not None for row in document["closure"])


def test_a_scan_goes_to_hepdata(bench: Bench, scanned: dict[str, Any]) -> None:
    said = bench.document("export", "grid", "--format", "hepdata", "-o", "submission")
    assert said["files"] > 5
    assert (bench.place / "submission/submission.yaml").is_file()
    assert (bench.place / "submission/likelihood.tar.gz").is_file()


def test_k_factors_stand_beside_leading_order(bench: Bench, scanned: dict[str, Any]) -> None:
    corrected = bench.document("scan", CMS, *AXIAL, *GRID, "--k-factor", "drell-yan", "--workdir", "corrected")
    for plain, point in zip(scanned["points"], corrected["points"], strict=True):
        assert point["mu_upper_obs"] == plain["mu_upper_obs"]
        assert point["k_factor"]["mu_upper_obs"] * point["k_factor"]["value"] == pytest.approx(plain["mu_upper_obs"])
        assert 1.2 < point["k_factor"]["value"] < 1.3
