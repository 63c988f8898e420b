"""`recast-dm planes`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recast_dm import schemas
from tests import scans


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("scan.json").write_text(json.dumps(scans.document()))
    return tmp_path


def test_the_planes_of_a_scan(cli, here):
    code, out, err = cli("planes", "scan.json", "-o", "deep/planes", "--plane", "SD-p", "--plane", "SI", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert schemas.problem("planes-1", document) is None
    assert [each["quantity"] for each in document["planes"]] == ["SD-p"]
    assert document["absent"] == [{"quantity": "SI", "why": "spin1-axial has no SI scattering"}]
    assert sorted(path.name for path in Path("deep/planes").iterdir()) == ["SD-p.csv", "SD-p.json", "SD-p.png"]


def test_for_people(cli, here):
    code, out, _ = cli("planes", "scan.json", "--plane", "SD-n", "--plane", "SI", "--format", "svg")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split() == ["plane", "synthetic-monojet-planes/SD-n.svg"]
    assert any("no plane" in line and "SI" in line for line in lines)
    assert any("all of the dark matter" in line for line in lines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scan.json", "--format", "gif"), "is not known"),
        (("scan.json", "--plane", "XY"), "no plane 'XY'"),
        (("other.json",), "is no scan"),
    ],
)
def test_wrong_words(cli, here, words, said):
    code, _, err = cli("planes", *words)
    assert (code, said in err) == (2, True), err
    assert [path.name for path in Path().iterdir()] == ["scan.json"]


def test_an_unknown_model_is_said(cli, here):
    Path("scan.json").write_text(json.dumps(scans.document(model="nobodys")))
    code, _, err = cli("planes", "scan.json")
    assert (code, "there is no signal model 'nobodys'" in err) == (2, True)
