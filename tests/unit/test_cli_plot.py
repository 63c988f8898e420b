"""`recast-dm plot`: scans and runs as pictures with their numbers beside them."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from recast_dm import schemas
from tests import scans


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("scan.json").write_text(json.dumps(scans.document()))
    return tmp_path


def test_a_plane_and_its_numbers(cli, here):
    code, out, err = cli("plot", "scan.json", "--no-relic", "-o", "deep/plane.svg", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert schemas.problem("plot-1", document) is None
    assert document["kind"] == "plane"
    assert document["files"] == ["deep/plane.svg", "deep/plane.csv", "deep/plane.json"]
    assert Path("deep/plane.svg").read_text().startswith("<?xml")
    beside = json.loads(Path("deep/plane.json").read_text())
    assert beside["lines"] == document["lines"]
    with Path("deep/plane.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 36
    assert float(rows[0]["mu_observed"]) == scans.document()["points"][0]["mu_upper_obs"]


def test_a_limit_says_where_it_is_excluded(cli, here):
    code, out, _ = cli("plot", "scan.json", "--kind", "limit", "--at", "m_dm=1")
    assert code == 0
    assert "synthetic-monojet-limit.png" in out
    assert re.search(r"^mu = 1, observed +1850$", out, re.MULTILINE)
    assert "not covered: 1 of 6 points" in out
    assert Path("synthetic-monojet-limit.png").read_bytes().startswith(b"\x89PNG")


def test_the_run_directory_of_a_scan(cli, here):
    place = Path("build/runs/a")
    place.mkdir(parents=True)
    (place / "scan.json").write_text(json.dumps(scans.couplings()))
    code, out, _ = cli("plot", "a", "--kind", "coupling", "--json", "-o", "c.pdf")
    assert (code, json.loads(out)["axes"]) == (0, ["m_med", "g_q"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("scan.json", "--kind", "pie"), "no plot of kind 'pie'"),
        (("scan.json", "-o", "plot.gif"), "written as .png, .svg or .pdf"),
        (("scan.json", "--at", "m_dm=heavy", "--kind", "limit"), "is not a number"),
        (("scan.json", "--at", "m_dm=3", "--kind", "limit"), "the scan has no m_dm = 3"),
        (("scan.json", "--quantity", "tau"), "neither mu nor sigma"),
        (("other.json",), "there is no run 'other.json'"),
        (("scan.json", "--kind", "limit", "-o", "scan.png"), "scan.json would be replaced"),
    ],
)
def test_wrong_words(cli, here, words, said):
    code, _, err = cli("plot", *words)
    assert (code, said in err) == (2, True), err
    assert not [path for path in Path().iterdir() if path.suffix != ".json"]


def test_a_plot_may_take_the_place_of_an_older_one(cli, here):
    for kind in ("limit", "plane"):
        assert cli("plot", "scan.json", "--kind", kind, "--no-relic", "-o", "x.svg")[0] == 0
    assert json.loads(Path("x.json").read_text())["kind"] == "plane"


def test_a_table_of_somebody_else_stays(cli, here):
    Path("points.csv").write_text("m_med,m_dm\n")
    code, _, err = cli("plot", "scan.json", "--kind", "limit", "-o", "points.png")
    assert (code, "points.csv would be replaced" in err) == (2, True)
    assert Path("points.csv").read_text() == "m_med,m_dm\n"


def test_a_damaged_scan_is_said_to_be_damaged(cli, here):
    Path("scan.json").write_text(json.dumps({**scans.document(), "points": []}))
    code, _, err = cli("plot", "scan.json")
    assert (code, "not a scan document" in err) == (5, True)
