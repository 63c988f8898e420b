"""`recast-dm report`: of runs, scans and capsules."""

from __future__ import annotations

import json
from pathlib import Path

import localruns
import pytest

from recast_dm import schemas
from tests import scans


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    localruns.execute(Path("build/runs/a"))
    Path("build/runs/latest").symlink_to("a")
    Path("scan.json").write_text(json.dumps(scans.document(m_dm=(1.0,))))
    return tmp_path


@pytest.mark.parametrize(("words", "of"), [((), "run"), (("a",), "run"), (("scan.json",), "scan")])
def test_a_report(cli, here, words, of):
    code, out, err = cli("report", *words, "-o", "deep/x.html", "--json")
    assert (code, err) == (0, "")
    document = json.loads(out)
    assert schemas.problem("report-1", document) is None
    assert document["of"] == of
    assert Path("deep/x.html").stat().st_size == document["size"]
    assert Path("deep/x.html").read_text().startswith("<!doctype html>")


def test_a_capsule(cli, here, toy_capsule):
    code, out, _ = cli("report", toy_capsule.path)
    assert code == 0
    assert out.splitlines()[0].split() == ["report", "report.html"]
    assert toy_capsule.digest in Path("report.html").read_text()


def test_a_capsule_that_the_run_was_not_made_of(cli, here, toy_capsule):
    code, _, err = cli("report", "a", "--capsule", toy_capsule.path)
    assert (code, "was made of another capsule" in err) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a", "-o", "x.pdf"), "written as .html"),
        (("nothing",), "is no run, no scan and no capsule"),
        (("a", "-o", "build.html/"), "is a directory"),
    ],
)
def test_wrong_words(cli, here, words, said):
    Path("build.html").mkdir()
    code, _, err = cli("report", *words)
    assert (code, said in err) == (2, True), err
