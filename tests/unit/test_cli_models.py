"""`recast-dm models`: a user's own models are added, checked, listed, described and removed."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from recast_dm import schemas

MODEL = """\
name: heavy-axial
base: spin1-axial
parameters: {mass: {is: m_med, lower: 1000}}
fixed: {g_q: 0.1}
"""


@pytest.fixture
def models(tmp_path):
    """Calls the verb with a directory of models of its own; gives the exit code, stdout and stderr."""
    place = tmp_path / "models"

    def call(*words):
        command = [sys.executable, "-m", "recast_dm", "models", *map(str, words)]
        environment = {**os.environ, "RECAST_DM_MODELS": str(place), "NO_COLOR": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
        return done.returncode, done.stdout, done.stderr

    return call


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "mine.yml"
    path.write_text(MODEL)
    return path


def document(answer, schema):
    code, out, _ = answer
    said = json.loads(out)
    assert schemas.problem(schema, said) is None
    return code, said


def test_the_life_of_a_model(models, file, tmp_path):
    code, added = document(models("add", file, "--json"), "models-add-1")
    kept = tmp_path / "models" / "heavy-axial.yml"
    assert (code, added["file"]) == (0, str(kept))
    _, listed = document(models("ls", "--json"), "signal-models-1")
    assert listed["origins"]["heavy-axial"] == str(kept)
    assert listed["origins"]["spin1-axial"] == "recast-dm"
    _, described = document(models("describe", "heavy-axial", "--json"), "signal-model-1")
    assert [p["name"] for p in described["parameters"]] == ["mass", "m_dm", "g_dm", "g_l"]
    code, checked = document(models("check", "heavy-axial", "--json"), "models-check-1")
    assert (code, checked["ok"]) == (0, True)
    code, removed = document(models("rm", "heavy-axial", "--json"), "models-rm-1")
    assert (code, removed["file"]) == (0, str(kept))
    assert not kept.exists()


def test_a_broken_file_is_told_with_its_line(models, file):
    file.write_text(MODEL.replace("m_med", "m_mde"))
    code, out, err = models("add", file)
    assert (code, out) == (3, "")
    assert "mine.yml:3:20: there is no parameter of the base 'm_mde'" in err


def test_a_broken_model_hides_no_other(models, tmp_path):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "bad.yml").write_text("name: bad\n")
    code, out, err = models("ls")
    assert code == 0
    assert "spin1-axial" in out
    assert "bad.yml" in err


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (MODEL.replace("heavy-axial", "add"), 2, "add is a model of recast-dm"),
        (MODEL.replace("0.1", "3.5"), 3, "wider than heavy"),
    ],
)
def test_models_that_are_not_kept(models, file, tmp_path, text, code, said):
    file.write_text(text)
    found, _, err = models("add", file)
    assert found == code
    assert said in err
    assert not (tmp_path / "models").exists()


def test_a_model_that_is_wrong_ends_the_check_with_3(models, file):
    file.write_text(MODEL.replace("0.1", "3.5"))
    code, checked = document(models("check", file, "--json"), "models-check-1")
    assert (code, checked["ok"]) == (3, False)
    code, out, _ = models("check", file)
    assert code == 3
    assert "WRONG" in out


def test_people_are_told(models, file):
    assert "heavy-axial: nothing is wrong" in models("check", file)[1]
    assert "heavy-axial: kept in" in models("add", file)[1]
    assert models("add", file)[0] == 2
    assert models("add", file, "--replace")[0] == 0
    assert "benchmark: A1: g_q=0.25 g_dm=1 g_l=0" in models("describe", "spin1-axial")[1]
    assert models("rm", "spin1-axial")[0] == 2
