"""The main job with few events: the ATLAS monojet search, captured, run and rerun in its real containers."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from recast_dm import schemas
from recast_dm.runtimes.docker import Docker

ROOT = Path(__file__).parents[2]
AXIAL = ("--model", "spin1-axial", "--set", "m_dm=1")
FEW = ("-p", "events=300", "-p", "seeds=[101, 102]")


class Bench:
    """A capsule of the analysis, and one cache for the tests of this module."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.capsule = place / "atlas.capsule"
        self._count = 0

    def call(self, *words: str | Path, cache: str = "cache") -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "RECAST_DM_CACHE_DIR": str(self.place / cache)}
        command = [sys.executable, "-m", "recast_dm", *(str(word) for word in words)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def limit(self, *words: str, cache: str = "cache", verb: str = "rerun") -> dict[str, Any]:
        self._count += 1
        workdir = self.place / f"run{self._count}"
        done = self.call(verb, self.capsule, *words, "--workdir", workdir, "--json", cache=cache)
        assert done.returncode == 0, done.stderr
        document = json.loads(done.stdout)
        assert schemas.problem("limit-1", document) is None
        return document


@pytest.fixture(scope="module")
def bench(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = Bench(tmp_path_factory.mktemp("atlas"))
    done = bench.call("capture", ROOT / "specs/atlas-exot-2018-06", "-o", bench.capsule, "--no-run")
    assert done.returncode == 0, done.stderr
    return bench


@pytest.fixture(scope="module")
def quick(bench: Bench) -> dict[str, Any]:
    """Axial, 2 TeV, few events."""
    return bench.limit(*AXIAL, "--set", "m_med=2000", *FEW)


def records(limit: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {}
    for path in sorted((Path(limit["run_dir"]) / ".records").rglob("*.json")):
        record = json.loads(path.read_text())
        assert schemas.problem("step-1", record) is None
        found[record["step"]] = record
    return found


def reused(limit: dict[str, Any]) -> set[str]:
    return {step["step"] for step in limit["steps"] if step["reused"]}


def test_few_events_already_give_a_sensible_limit(quick: dict[str, Any]) -> None:
    assert quick["model"] == "spin1-axial"
    assert quick["parameters"] == {"m_med": 2000, "m_dm": 1, "g_q": 0.25, "g_dm": 1, "g_l": 0}
    assert quick["sigma_pb"] == pytest.approx(0.3526, rel=0.06)
    assert quick["sigma_upper_obs_pb"] == pytest.approx(0.356, rel=0.4)
    assert quick["correlation_model"] == "independent"
    assert quick["excluded"] == (quick["cls_obs"] < 0.05)
    assert quick["closure"][0]["published"] == 0.356
    assert quick["closure"][0]["ours"] == quick["sigma_upper_obs_pb"]
    assert 0 < quick["mu_upper_obs_mc_error"] < 0.3


def test_every_step_ran_in_a_container_that_is_not_root(quick: dict[str, Any]) -> None:
    found = records(quick)
    assert {
        "generate/0",
        "generate/1",
        "select/0",
        "select/1",
        "histogram/0",
        "workspace/0",
        "patch/0",
        "limit/0",
    } == set(found)
    images = {image["image_id"] for image in quick["images"]}
    for record in found.values():
        execution = record["execution"]
        assert len(execution["container_id"]) == 64
        assert execution["image"]["image_id"] in images
        assert execution["user"][0] != 0
        for output in record["outputs"]:
            path = Path(quick["run_dir"]) / record["step"] / output["path"]
            assert path.stat().st_uid == os.getuid()
            assert path.stat().st_size == output["size"]


def test_the_plots_are_there(quick: dict[str, Any]) -> None:
    png, svg = (Path(plot) for plot in quick["plots"])
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in svg.read_text()


def test_the_same_again_starts_no_container(bench: Bench, quick: dict[str, Any]) -> None:
    again = bench.limit(*AXIAL, "--set", "m_med=2000", *FEW)
    assert reused(again) == {step["step"] for step in again["steps"]}
    same = ("sigma_pb", "cls_obs", "cls_exp", "mu_upper_obs", "mu_upper_exp", "closure", "images")
    assert [again[name] for name in same] == [quick[name] for name in same]


def test_another_mass_reruns_only_what_depends_on_it(bench: Bench, quick: dict[str, Any]) -> None:
    other = bench.limit(*AXIAL, "--set", "m_med=1900", *FEW)
    assert reused(other) == {"workspace/0"}
    assert other["sigma_pb"] > quick["sigma_pb"]


def test_another_correlation_model_generates_nothing(bench: Bench, quick: dict[str, Any]) -> None:
    full = bench.limit(*AXIAL, "--set", "m_med=2000", *FEW, "-p", "correlation_model=full")
    assert {"generate/0", "generate/1", "select/0", "select/1", "histogram/0"} <= reused(full)
    assert full["correlation_model"] == "full"
    assert full["cls_obs"] < quick["cls_obs"]


def test_fixed_seeds_give_the_same_bytes_from_nothing(bench: Bench, quick: dict[str, Any]) -> None:
    anew = bench.limit(*AXIAL, "--set", "m_med=2000", *FEW, cache="another-cache")
    assert not reused(anew)
    ours, theirs = records(anew), records(quick)
    for step in ("generate/0", "select/1", "histogram/0", "limit/0"):
        assert ours[step]["tree"] == theirs[step]["tree"], step


def test_other_seeds_give_other_events(bench: Bench, quick: dict[str, Any]) -> None:
    other = bench.limit(*AXIAL, "--set", "m_med=2000", "-p", "events=300", "-p", "seeds=[101, 103]")
    ours, theirs = records(other), records(quick)
    assert {"workspace/0", "generate/0", "select/0"} == reused(other)
    assert ours["generate/1"]["tree"] != theirs["generate/1"]["tree"]


@pytest.mark.parametrize(
    ("words", "sigma_pb"),
    [
        (("--model", "spin1-axial", "--set", "m_med=1000", "--set", "m_dm=600"), 0.0143),
        (("--model", "spin1-vector", "--set", "m_med=1000", "--set", "m_dm=300"), 7.40),
        (("--model", "add", "--set", "n=2", "--set", "m_d=5000"), 1.84),
    ],
    ids=["off-shell", "vector", "add"],
)
def test_other_models_and_points(bench: Bench, words: Sequence[str], sigma_pb: float) -> None:
    limit = bench.limit(*words, *FEW)
    assert limit["sigma_pb"] == pytest.approx(sigma_pb, rel=0.1)
    assert limit["closure"] == []


def test_a_signal_that_no_monojet_search_can_see_is_an_error(bench: Bench) -> None:
    """No event passes: that is never `not excluded`."""
    done = bench.call(
        "rerun", bench.capsule, "--model", "spin1-axial", "--set", "m_med=50", "--set", "m_dm=1",
        "-p", "events=1", "-p", "seeds=[1]", "--workdir", bench.place / "nothing", "--json",
    )  # fmt: skip
    document = json.loads(done.stdout)
    if done.returncode == 0:
        pytest.fail(f"one light event cannot give a limit, but: {document}")
    assert done.returncode == 1
    assert document["kind"] == "step-failed"
    assert "excluded" not in document
    assert "Traceback" not in done.stderr
