"""The limit stage as a program: one point, many, none; what it refuses; the same bytes alone and in a batch."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from likelihoods import ATLAS_SIGNAL, atlas_model, cms_model, counting

import recast_dm
from recast_dm.statistics import NotCovered, read_limit, read_outcome
from recast_dm.statistics.__main__ import main

SIGNAL = {
    "schema": "recast-dm/signal/1",
    "sigma_pb": 0.35,
    "sigma_pb_mc_error": 0.002,
    "mu_mc_error": 0.01,
    "uncertainties": [{"source": "interpolation", "relative": 0.02, "how": "leave one out"}],
    "correlation_model": "covariance",
    "acceptance_times_efficiency": 0.06,
}
MASSES = (1000, 1500, 2000, 2250)


@pytest.fixture
def point(tmp_path):
    """Writes the inputs of one point into a directory; gives the words of its command."""

    def point(name: str, model, signal=SIGNAL) -> list[str]:
        place = tmp_path / name
        place.mkdir()
        for file, content in (("workspace", model.workspace), ("patch", model.patch), ("signal", signal)):
            (place / f"{file}.json").write_text(json.dumps(content))
        words = ["limit"]
        for file in ("workspace", "patch", "signal", "limit"):
            words += [f"--{file}", str(place / f"{file}.json")]
        return words

    return point


def test_a_limit(point, tmp_path):
    assert main(point("a", cms_model(2000))) == 0
    limit = read_limit(tmp_path / "a/limit.json")
    assert limit.mu_upper_obs == pytest.approx(1.353, rel=5e-3)
    assert limit.likelihood == "covariance"
    assert limit.sigma_pb == 0.35
    assert limit.mu_upper_obs_mc_error == limit.mu_upper_exp_mc_error == 0.01
    assert [each.document() for each in limit.uncertainties] == SIGNAL["uncertainties"]
    assert limit.excluded is False
    document = json.loads((tmp_path / "a/limit.json").read_text())
    assert document["acceptance_times_efficiency"] == 0.06
    assert document["poi"] == "mu"


def test_what_the_correlation_of_the_bins_does_is_an_item_of_the_uncertainty(point, tmp_path):
    assert main(point("a", atlas_model(ATLAS_SIGNAL))) == 0
    limit = read_limit(tmp_path / "a/limit.json")
    assert [each.source for each in limit.uncertainties] == ["interpolation", "correlation model"]
    assert f"independent {limit.mu_upper_obs:.4g}, half" in limit.uncertainties[1].how
    assert limit.uncertainties[1].relative > 0.05


def test_a_point_that_is_not_covered_needs_no_patch(point, tmp_path):
    words = point("a", cms_model(2000), {"schema": "recast-dm/signal/1", "not_covered": "outside of the map"})
    (tmp_path / "a/patch.json").unlink()
    assert main(words) == 0
    assert read_outcome(tmp_path / "a/limit.json") == NotCovered("outside of the map")


def test_a_patch_out_of_a_patchset(point, tmp_path):
    model = cms_model(2000)
    words = point("a", model)
    (tmp_path / "a/patch.json").write_text(json.dumps({"metadata": {"name": "p"}, "patch": model.patch}))
    assert main(words) == 0
    assert read_limit(tmp_path / "a/limit.json").likelihood == "covariance"


@pytest.mark.parametrize("likelihood", ["histfactory", "pyhf"])
def test_another_implementation_on_request(point, tmp_path, likelihood):
    model = counting([52, 18], [50, 20], [5, 2], [4, 6])
    assert main([*point("fast", model)]) == 0
    assert main([*point("asked", model), "--likelihood", likelihood]) == 0
    fast, asked = (read_limit(tmp_path / name / "limit.json") for name in ("fast", "asked"))
    assert asked.likelihood == likelihood
    assert fast.likelihood == "independent"
    assert asked.mu_upper_obs == pytest.approx(fast.mu_upper_obs, rel=2e-3)


@pytest.mark.parametrize("likelihood", ["bayes", "covariance"])
def test_an_implementation_that_cannot(point, capsys, likelihood):
    model = counting([52, 18], [50, 20], [5, 2], [4, 6])
    model.patch[0]["value"]["modifiers"].append({"name": "x", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}})
    assert main([*point("a", model), "--likelihood", likelihood]) == 2
    assert likelihood in capsys.readouterr().err


@pytest.mark.parametrize(
    ("file", "content", "code", "said"),
    [
        ("signal", "{}", 2, "is not a recast-dm/signal/1 document"),
        ("signal", "{", 2, "cannot read"),
        ("signal", json.dumps({**SIGNAL, "sigma_pb": float("nan")}), 2, "sigma_pb is nan"),
        ("signal", json.dumps({**SIGNAL, "mu_mc_error": None}), 2, "mu_mc_error is None"),
        ("signal", json.dumps({**SIGNAL, "correlation_model": 1}), 2, "correlation_model"),
        ("signal", json.dumps({"schema": "recast-dm/signal/1", "not_covered": ""}), 2, "says why"),
        ("patch", "{", 2, "is not JSON"),
        ("patch", "{}", 2, "is not a patch"),
        ("patch", '[{"op": "add", "path": "/channels/9/samples/-", "value": {}}]', 2, "does not fit"),
        ("workspace", "[]", 2, "is not a pyhf workspace"),
    ],
)
def test_inputs_that_cannot_be(point, tmp_path, capsys, file, content, code, said):
    words = point("a", cms_model(2000))
    (tmp_path / f"a/{file}.json").write_text(content)
    assert main(words) == code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "a/limit.json").exists()


def test_no_expected_event_is_exit_7(point, tmp_path, capsys):
    assert main(point("a", counting([5, 5], [5, 5], [1, 1], [0, 0]))) == 7
    assert "expects no event in any bin" in capsys.readouterr().err
    assert not (tmp_path / "a/limit.json").exists()


def test_a_place_that_cannot_be_written(point, capsys):
    words = point("a", counting([52], [50], [5], [4]))
    assert main([*words[:-1], "/no/such/directory/limit.json"]) == 9
    assert "cannot write" in capsys.readouterr().err


def test_a_point_in_a_batch_is_the_same_bytes_as_alone(point, tmp_path):
    """In this process after others, in a batch as another order, and in a process of its own, as an image has it."""
    words = {str(mass): point(str(mass), cms_model(mass)) for mass in MASSES}
    jobs = [
        {"cwd": str(tmp_path), "argv": argv, "log": str(tmp_path / f"{n}.log"), "status": str(tmp_path / f"{n}.status")}
        for n, argv in words.items()
    ]
    (tmp_path / "jobs.json").write_text(json.dumps({"schema": "recast-dm/batch/1", "jobs": jobs[::-1]}))
    home = tmp_path / "image/recast_dm"
    package = Path(recast_dm.__file__).parent
    for name in ("__init__.py", "errors.py", "batch.py"):
        home.mkdir(parents=True, exist_ok=True)
        shutil.copy(package / name, home / name)
    shutil.copytree(package / "statistics", home / "statistics", ignore=shutil.ignore_patterns("__pycache__"))
    program = [sys.executable, "-P", "-m", "recast_dm.statistics"]
    run = {"cwd": tmp_path, "env": {"PYTHONPATH": str(tmp_path / "image")}, "capture_output": True}
    subprocess.run([*program, "--batch", "jobs.json"], check=True, **run)
    together = {n: (tmp_path / n / "limit.json").read_bytes() for n in words}
    for n in ("2250", "1000"):
        (tmp_path / n / "limit.json").unlink()
        subprocess.run([*program, *words[n]], check=True, **run)
        assert (tmp_path / n / "limit.json").read_bytes() == together[n]
    assert main(words["1500"]) == 0
    assert (tmp_path / "1500/limit.json").read_bytes() == together["1500"]
