"""The patchset analysis in its real container: captured, rerun, scanned; points off the grid are not covered."""

import json
from functools import partial
from pathlib import Path

import pytest
from commanding import recast

from recast_dm import schemas
from recast_dm.runtimes.docker import Docker

ROOT = Path(__file__).parents[2]
MODEL = ("--model", "sbottom-higgs", "--set", "m_n1=60")


@pytest.fixture(scope="module")
def bench(docker: Docker, tmp_path_factory: pytest.TempPathFactory):
    assert docker.image("recast-dm/limits:1.0") is not None, "containers/build.sh limits"
    place = tmp_path_factory.mktemp("susy")
    call = partial(recast, RECAST_DM_CACHE_DIR=str(place / "cache"))
    done = call("capture", ROOT / "specs/atlas-susy-2018-31", "-o", place / "susy.capsule")
    assert done.returncode == 0, done.stderr
    return place, call


def rerun(bench, *words: str, verb: str = "rerun", schema: str = "limit-1") -> dict:
    place, call = bench
    workdir = place / f"run{len(list(place.iterdir()))}"
    done = call(verb, place / "susy.capsule", *MODEL, *words, "--workdir", workdir, "--quiet", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert schemas.problem(schema, document) is None
    return document


def test_a_point_of_the_grid_has_the_limit_that_pyhf_validates(bench):
    limit = rerun(bench, "--set", "m_sbottom=1300", "--set", "m_n2=205")
    assert limit["status"] == "done"
    assert limit["cls_obs"] == pytest.approx(0.24444, abs=1e-4)
    assert limit["cls_exp"] == pytest.approx([0.09023, 0.19379, 0.38434, 0.65579, 0.89105], abs=1e-4)
    assert limit["excluded"] is False
    assert limit["likelihood"] == "histfactory"
    assert all(Path(plot).stat().st_size for plot in limit["plots"])


def test_a_point_off_the_grid_is_not_covered_and_no_error(bench):
    limit = rerun(bench, "--set", "m_sbottom=1310", "--set", "m_n2=205")
    assert limit["status"] == "not covered"
    assert "the nearest is m_sbottom = 1300" in limit["reason"]
    assert "cls_obs" not in limit


def test_a_scan_says_of_each_point_what_a_rerun_says(bench):
    grid = ("--grid", "m_sbottom=1300,1310,1400", "--set", "m_n2=850")
    scan = rerun(bench, *grid, verb="scan", schema="scan-1")
    assert [point["status"] for point in scan["points"]] == ["done", "not covered", "done"]
    assert scan["spot_check"]["largest_cls_difference"] < 1e-3
    alone = rerun(bench, "--set", "m_sbottom=1400", "--set", "m_n2=850")
    point = scan["points"][2]
    assert {name: alone[name] for name in point} == point


def test_the_capsule_is_verified_by_running_it_again(bench):
    place, call = bench
    done = call("verify", place / "susy.capsule", "--rerun", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
