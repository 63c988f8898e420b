"""A capsule on a machine that has nothing of it: an engine without images, no network, an empty cache."""

import json
import shutil
import subprocess
from pathlib import Path

from commanding import recast

from recast_dm.capsule import open_capsule

ROOT = Path(__file__).parents[2]
POINT = ("--model", "spin1-axial", "--set", "m_med=1500", "--set", "m_dm=1")


def test_a_rerun_from_the_capsule_alone(bare_engine, tmp_path, toy_directory):
    here = {"RECAST_DM_CACHE_DIR": str(tmp_path / "here")}
    target = tmp_path / "toy.capsule"
    captured = recast("capture", toy_directory, "-o", target, "--quiet", "--json", **here)
    assert captured.returncode == 0, captured.stderr
    there = {"RECAST_DM_CACHE_DIR": str(tmp_path / "there"), "DOCKER_HOST": bare_engine[0]}
    first = recast("rerun", target, *POINT, "--json", "--workdir", tmp_path / "first", cut=True, **there)
    assert first.returncode == 0, first.stderr
    assert "loading recast-dm/toy:1.0 from the capsule" in first.stderr
    second = recast("rerun", target, *POINT, "--json", "--no-cache", "--workdir", tmp_path / "second", **here)
    assert second.returncode == 0, second.stderr
    for path in ("count/0/counts.json", "count/1/counts.json", "limit/0/limit.json"):
        assert (tmp_path / "first" / path).read_bytes() == (tmp_path / "second" / path).read_bytes(), path
    ids = [json.loads(run.stdout)["images"][0]["image_id"] for run in (first, second)]
    assert ids[0] == ids[1], "a loaded image has the id that it had"
    again = recast("run", target, "--json", "--workdir", tmp_path / "third", cut=True, **there)
    assert again.returncode == 0, again.stderr
    assert "loading" not in again.stderr


def test_an_image_that_was_tampered_with_is_not_loaded(bare_engine, tmp_path, toy_directory):
    here = {"RECAST_DM_CACHE_DIR": str(tmp_path / "here")}
    target = tmp_path / "toy.capsule"
    assert recast("capture", toy_directory, "-o", target, "--no-run", "--quiet", **here).returncode == 0
    capsule = open_capsule(target)
    layer = max(capsule.manifest["images"][0]["layers"], key=lambda layer: layer["size"])
    blob = target / "data/images/blobs/sha256" / layer["digest"].removeprefix("sha256:")
    data = bytearray(blob.read_bytes())
    data[len(data) // 2] ^= 1
    blob.unlink()
    blob.write_bytes(data)
    there = {"RECAST_DM_CACHE_DIR": str(tmp_path / "there"), "DOCKER_HOST": bare_engine[0]}
    found = recast("rerun", target, *POINT, "--json", "--workdir", tmp_path / "run", **there)
    assert found.returncode == 5, found.stderr
    assert json.loads(found.stdout)["kind"] == "integrity"
    listed = subprocess.run(
        ["docker", "--host", bare_engine[0], "images", "--all", "--quiet"], capture_output=True, text=True, check=True
    )
    assert listed.stdout == ""


def test_the_atlas_search_gives_the_same_histogram_offline(bare_engine, docker, tmp_path):
    """Byte for byte: both engines run on one processor."""
    analysis = tmp_path / "atlas"
    shutil.copytree(ROOT / "specs/atlas-exot-2018-06", analysis, ignore=shutil.ignore_patterns("__pycache__"))
    manifest = analysis / "recast.yml"
    few = manifest.read_text().replace("seeds: [1, 2, 3, 4]", "seeds: [1, 2]").replace("events: 4000", "events: 300")
    manifest.write_text(few)
    here = {"RECAST_DM_CACHE_DIR": str(tmp_path / "here")}
    target = tmp_path / "atlas.capsule.tar"
    captured = recast("capture", analysis, "-o", target, "--quiet", **here)
    assert captured.returncode == 0, captured.stderr
    there = {"RECAST_DM_CACHE_DIR": str(tmp_path / "there"), "DOCKER_HOST": bare_engine[0]}
    verified = recast("verify", target, "--rerun", "--json", "--workdir", tmp_path / "run", cut=True, **there)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    measured = {each["path"]: each["measure"] for each in json.loads(verified.stdout)["outputs"]}
    assert measured == {"histogram/histogram.json": "identical", "limit/limit.json": "identical"}
    point = ("--model", "spin1-axial", "--set", "m_med=2000", "--set", "m_dm=1", "--json", "-p", "events=200")
    under = recast("rerun", target, *point, "--workdir", tmp_path / "point", cut=True, **there)
    assert under.returncode == 0, under.stderr
    assert json.loads(under.stdout)["mu_upper_obs"] > 0
