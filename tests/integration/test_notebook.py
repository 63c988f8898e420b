"""The notebook of the Python interface: every cell runs, and says what the kept outputs say."""

from __future__ import annotations

import copy
import json
import tarfile
import warnings
from pathlib import Path
from typing import Any

import pytest

from tests import notebook

IMAGES = ("recast-dm/cms-exo-20-004:1.0", "recast-dm/limits:1.0")
VARIES = "varies"
"""The tag of cells that list what is installed."""
TOLERANCE = 0.03
"""Relative, of a number: what Monte Carlo may change."""


@pytest.fixture(scope="module")
def kept() -> Any:
    return notebook.read()


def said(cell: Any) -> list[str]:
    """The words that a cell prints and shows as text; figures and HTML are looked at by people."""
    outputs = [each for each in cell.get("outputs", ()) if "image/png" not in each.get("data", {})]
    return " ".join(each.get("text") or each.get("data", {}).get("text/plain", "") for each in outputs).split()


def same(one: str, other: str) -> bool:
    try:
        return float(one) == pytest.approx(float(other), rel=TOLERANCE)
    except ValueError:
        return one == other


def test_it_was_run_from_its_start_to_its_end(kept):
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert all(output.output_type != "error" for cell in code for output in cell.outputs)
    assert sum("image/png" in output.get("data", {}) for cell in code for output in cell.outputs) >= 3


def test_it_names_no_machine():
    text = notebook.NOTEBOOK.read_text()
    assert not [word for word in ("/home/", "/root/", "/tmp/", str(notebook.ROOT)) if word in text]


@pytest.fixture(scope="module")
def again(kept, docker, tmp_path_factory) -> tuple[Any, Path]:
    """The notebook executed now, and the directory in which it ran."""
    missing = [name for name in IMAGES if docker.image(name) is None]
    assert not missing, f"`make images` builds {', '.join(missing)}"
    executed, place = copy.deepcopy(kept), tmp_path_factory.mktemp("notebook")
    with warnings.catch_warnings():  # Jupyter's own
        warnings.simplefilter("ignore")
        notebook.execute(executed, place)
    return executed, place


def test_it_says_the_same_again(kept, again):
    for old, new in zip(kept.cells, again[0].cells, strict=True):
        if VARIES not in old.metadata.get("tags", ()):
            assert len(said(new)) == len(said(old)), old.source
            assert all(map(same, said(new), said(old))), (old.source, said(old), said(new))


@pytest.mark.filterwarnings("ignore:jsonschema.RefResolver is deprecated:DeprecationWarning")  # pyhf's
def test_pyhf_finds_our_limit_in_what_goes_to_hepdata(again):
    """Somebody who has nothing but the submission and pyhf gets the CLs that the scan says."""
    import pyhf

    with tarfile.open(again[1] / "axial.tar.gz") as submission:
        scan = json.load(submission.extractfile("scan.json"))
        with tarfile.open(fileobj=submission.extractfile("likelihood.tar.gz")) as likelihood:
            background = json.load(likelihood.extractfile("BkgOnly.json"))
            patchset = pyhf.PatchSet(json.load(likelihood.extractfile("patchset.json")))
    patchset.verify(background)
    point = next(p for p in scan["points"] if (p["parameters"]["m_med"], p["parameters"]["m_dm"]) == (2000.0, 1.0))
    workspace = pyhf.Workspace(patchset.apply(background, tuple(point["parameters"].values())))
    model = workspace.model()
    observed, expected = pyhf.infer.hypotest(1.0, workspace.data(model), model, return_expected_set=True)
    assert float(observed) == pytest.approx(point["cls_obs"], abs=1e-3)
    assert [float(each) for each in expected] == pytest.approx(point["cls_exp"], abs=1e-3)
