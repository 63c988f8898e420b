"""`recast-dm limits`: the table of a run or a scan, from its document alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recast_dm.cli import limits
from tests import scans


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("mailed.json").write_text(json.dumps(scans.document()))
    return tmp_path


def cells(out: str, first: str, second: str) -> list[str]:
    """The words of a point's row."""
    return next(line.split() for line in out.splitlines() if line.split()[:2] == [first, second])


def test_a_scan(here, cli):
    code, out, err = cli("limits", "mailed.json")
    assert (code, err) == (0, "")
    point = next(p for p in scans.document()["points"] if list(p["parameters"].values())[:2] == [1000.0, 1.0])
    found = cells(out, "1000", "1")
    assert found[2:8] == [
        f"{value:.3g}"
        for value in (
            point["sigma_pb"],
            point["cls_obs"],
            point["mu_upper_obs"],
            point["mu_upper_exp"][2],
            point["mu_upper_exp"][1],
            point["mu_upper_exp"][3],
        )
    ]
    assert found[8:] == ["excluded"]
    assert cells(out, "3000", "1")[2:4] == ["not", "covered"]
    assert "outside: on-shell" in out
    assert "spin1-axial: g_q=0.25, g_dm=1, g_l=0, LO" in out
    assert "correlations between bins: covariance" in out


def test_as_json_it_is_the_document(here, cli):
    code, out, _ = cli("limits", "mailed.json", "--json")
    assert code == 0
    assert json.loads(out) == scans.document()


def test_rescaled_limits_have_no_cls():
    point = {**scans.document()["points"][0], "cls_obs": None, "cls_exp": None}
    assert limits.row(["m_med"], point)[2] == "-"


def test_what_has_no_limits(here, cli, toy_directory):
    Path("other.json").write_text("{}")
    for words in ((), ("other.json",), (toy_directory,), ("nothing",)):
        code, out, err = cli("limits", *words)
        assert (code, out) == (2, ""), words
        assert err.startswith("error: ")


def test_a_k_factor_is_named():
    document = scans.document(m_med=(500.0, 1000.0), m_dm=(1.0, 200.0))
    for point in document["points"]:
        point["k_factor"] = {"name": "drell-yan"}
    said = list(limits.lines(document, ["m_med", "m_dm"], document["points"]))
    assert said[-1] == "limits with a K-factor (drell-yan) are in the document: --json"
