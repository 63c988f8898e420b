"""The toy analysis, run here and at REANA (the stand-in executes it): the same keys, bytes and limit."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from recast_dm import store
from recast_dm.backends.local import Local
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.backend import Cluster
from recast_dm.capsule import open_capsule
from recast_dm.engine.cache import StepCache
from recast_dm.images.placed import Placed
from recast_dm.reinterpret import rerun
from recast_dm.reinterpret.subject import of_capsule
from tests.reana.execution import Execution
from tests.reana.standin import TOKEN, Standin

TOY = "recast-dm/toy:1.0"
POINT = {"m_med": 500, "m_dm": 1}


def ignore(_: object) -> None:
    pass


def placed(images):
    """A registry that holds every image; the stand-in knows it by the name that it has here."""
    return {
        name: Placed(
            f"localhost:5000/{name.partition(':')[0]}@sha256:{hashlib.sha256(name.encode()).hexdigest()}", image
        )
        for name, image in images.items()
    }


@pytest.fixture
def standin(docker, tmp_path):
    with Standin(tmp_path / "server", engine=Execution(runtime=docker, called=lambda _: TOY)) as standin:
        yield standin


def cluster(standin: Standin, cache: Path | None) -> Cluster:
    reana = Reana(standin.connection(rate=1000))
    return Cluster(reana=reana, placed=placed, cache=StepCache(cache) if cache else None, poll=0.05)


def records(run: Path) -> dict[str, dict]:
    found = [json.loads(path.read_text()) for path in run.glob(".records/*/*.json")]
    return {record["step"]: record for record in found}


def test_a_rerun_at_reana_is_the_rerun_here(standin, docker, toy_capsule, tmp_path):
    subject = of_capsule(open_capsule(toy_capsule))
    local = Local(runtime=docker, jobs=2, cache=None)
    here = rerun(subject, "spin1-axial", POINT, local, tmp_path / "here", ignore)
    there = rerun(subject, "spin1-axial", POINT, cluster(standin, None), tmp_path / "there", ignore)

    assert there.answer.limit == here.answer.limit
    mine, theirs = records(tmp_path / "here"), records(tmp_path / "there")
    assert {step: each["key"] for step, each in mine.items()} == {step: each["key"] for step, each in theirs.items()}
    for step in mine:
        assert store.tree_of(tmp_path / "here" / step) == store.tree_of(tmp_path / "there" / step)
    assert all(each["execution"]["runtime"]["name"] == "reana" for each in theirs.values())
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]
