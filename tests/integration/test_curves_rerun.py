"""Direct detection and VERITAS in their real container: captured, verified, rerun, refused."""

import json
from functools import partial
from pathlib import Path

import pytest
from commanding import recast

from recast_dm import schemas
from recast_dm.curves import shipped, verdict
from recast_dm.curves.point import Prediction
from recast_dm.runtimes.docker import Docker

ROOT = Path(__file__).parents[2]
VECTOR = ("--model", "spin1-vector", "--set", "m_med=1000")


@pytest.fixture(scope="module")
def bench(docker: Docker, tmp_path_factory: pytest.TempPathFactory):
    """Commands with a cache of their own, and both analyses captured."""
    assert docker.image("recast-dm/limits:1.0") is not None, "containers/build.sh limits"
    place = tmp_path_factory.mktemp("curves")
    call = partial(recast, RECAST_DM_CACHE_DIR=str(place / "cache"), RECAST_DM_CURVES=str(place / "own.json"))
    for name in ("dd-curves", "id-veritas-dsph"):
        done = call("capture", ROOT / "specs" / name, "-o", place / f"{name}.capsule")
        assert done.returncode == 0, done.stderr
    return place, call


def found(bench, name: str, *words: str) -> verdict.Verdict:
    place, call = bench
    workdir = place / f"run{len(list(place.iterdir()))}"
    done = call("rerun", place / f"{name}.capsule", *words, "--workdir", workdir, "--quiet", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    [record] = [json.loads(path.read_text()) for path in (workdir / ".records/verdict").glob("*.json")]
    assert record["execution"]["user"][0] != 0
    path = Path(document["results"]["verdict"])
    assert schemas.problem("verdict-1", json.loads(path.read_text())) is None
    return verdict.read(path)


def test_direct_detection_excludes_the_vector_benchmark(bench):
    said = found(bench, "dd-curves", *VECTOR, "--set", "m_dm=100")
    assert said.excluded
    assert said.strongest.curve == "lz-2024-si"
    limits = {curve.name: curve.at(100.0) for curve in shipped()}
    assert all(each.limit == limits[each.curve] for each in said.comparisons)  # the image holds the same curves


def test_veritas_does_not_exclude_it_and_halves_annihilation(bench):
    said = found(bench, "id-veritas-dsph", *VECTOR, "--set", "m_dm=200")
    assert said.excluded is False
    assert {each.factor for each in said.comparisons} == {0.5}


def test_a_model_without_dark_matter_is_answered(bench):
    said = found(bench, "dd-curves", "--model", "add", "--set", "n=2", "--set", "m_d=9000")
    assert said.excluded is None
    assert "no dark matter" in said.reason


@pytest.mark.parametrize("name", ["dd-curves", "id-veritas-dsph"])
def test_a_capsule_is_verified_by_running_it_again(bench, name):
    place, call = bench
    done = call("verify", place / f"{name}.capsule", "--rerun", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "identical" in done.stdout


def test_points_of_a_scan_share_a_start_of_the_container_and_say_what_a_rerun_says(bench):
    place, call = bench
    workflow = {
        "stages": [
            {
                "name": "point",
                "dependencies": ["init"],
                "scheduler": {
                    "scheduler_type": "multistep-stage",
                    "parameters": {"point": {"step": "init", "output": "points"}},
                    "scatter": {"method": "zip", "parameters": ["point"]},
                    "step": {"$ref": "steps.yml#/point"},
                },
            },
            {
                "name": "verdict",
                "dependencies": ["point"],
                "scheduler": {
                    "scheduler_type": "multistep-stage",
                    "parameters": {
                        "words": {"stages": "point", "output": "words"},
                        "curves": {"step": "init", "output": "curves"},
                        "verdict": "{workdir}/verdict.json",
                    },
                    "scatter": {"method": "zip", "parameters": ["words"]},
                    "step": {"$ref": "steps.yml#/verdict"},
                },
            },
        ]
    }
    many = place / "many"
    many.mkdir()
    (many / "workflow.yml").write_text(json.dumps(workflow))
    (many / "steps.yml").write_text((ROOT / "specs/dd-curves/steps.yml").read_text())
    points = [{"m_dm": float(mass), "self_conjugate": False, "SI": 1e-46} for mass in (5, 50, 500)]
    manifest = {
        "name": "many",
        "spec": {"workflow": "workflow.yml"},
        "example_inputs": {"default": {"initdata": {"points": points, "curves": ["SI"]}}},
        "steps": {"verdict": {"batch": "python3 -m recast_dm.curves"}},
    }
    (many / "recast.yml").write_text(json.dumps(manifest))
    done = call("run", many, "--workdir", place / "manyrun", "--jobs", "1", "--quiet")
    assert done.returncode == 0, done.stderr
    records = [json.loads(path.read_text()) for path in sorted((place / "manyrun/.records/verdict").glob("*.json"))]
    assert len({record["execution"]["container_id"] for record in records}) < len(records) == 3
    for n, point in enumerate(points):
        said = verdict.read(place / f"manyrun/verdict/{n}/verdict.json")
        assert said == verdict.compare(Prediction.from_document(point), shipped(), ["SI"])
