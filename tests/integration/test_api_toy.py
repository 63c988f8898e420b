"""The Python interface with real containers: captured, verified, loaded, rerun and exported, as values."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import recast_dm
from recast_dm.errors import UsageError

TOY = Path(__file__).parents[1] / "analyses/toy"


@pytest.fixture
def settings(docker, toy_image, tmp_path, monkeypatch) -> recast_dm.Settings:
    """A directory and caches of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECAST_DM_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RECAST_DM_CATALOGUE", str(tmp_path / "catalogue.json"))
    return recast_dm.Settings(jobs=2, runtime=docker.about().name)


@pytest.mark.parametrize("name", ["toy.capsule", "toy.capsule.zip"])
def test_a_capsule_is_a_value(settings, name):
    capsule = recast_dm.capture(TOY, name, settings=settings)
    assert capsule.kind == "capsule"
    verified = recast_dm.verify(name, depth="rerun", digest=f"sha256:{capsule.digest}", settings=settings)
    assert verified.ok, verified.problems
    assert verified.outputs
    assert all(each.agrees for each in verified.outputs)
    limit = recast_dm.rerun(capsule, "spin1-axial", m_med=1500, m_dm=1, settings=settings)
    assert limit["capsule"] == capsule.digest
    assert limit.export("run.zip").files == len(zipfile.ZipFile("run.zip").namelist())
    assert capsule.digest in limit.report("run.html").read_text()
    with pytest.raises(UsageError, match="is a capsule already"):
        recast_dm.capture(name, "again.capsule", settings=settings)
