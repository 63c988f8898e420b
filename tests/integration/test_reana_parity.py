"""An analysis, run here and at REANA (the stand-in executes it): the same keys, bytes and limit, and `diff` agrees."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from recast_dm import schemas, store
from recast_dm.backends.local import Local
from recast_dm.backends.reana import finding
from recast_dm.backends.reana.api import Reana
from recast_dm.backends.reana.backend import Cluster
from recast_dm.capsule import open_capsule
from recast_dm.engine import events
from recast_dm.engine.cache import StepCache
from recast_dm.images.placed import Placed
from recast_dm.model import Image
from recast_dm.reinterpret import rerun
from recast_dm.reinterpret.subject import Subject, of_capsule
from tests.commanding import recast
from tests.reana.execution import Execution
from tests.reana.standin import TOKEN, Standin

ROOT = Path(__file__).parents[2]
POINT = {"m_med": 500, "m_dm": 1}


def ignore(_: events.Event) -> None:
    pass


class Registry:
    """Says that it holds every image, and under which name the engine here knows it."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}

    def placed(self, images: Mapping[str, Image]) -> dict[str, Placed]:
        return {name: Placed(self._place(name), image) for name, image in images.items()}

    def _place(self, name: str) -> str:
        digest = hashlib.sha256(name.encode()).hexdigest()
        reference = f"localhost:5000/{name.rpartition(':')[0]}@sha256:{digest}"
        self.names[reference] = name
        return reference


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def standin(docker, registry, tmp_path):
    execution = Execution(runtime=docker, called=lambda reference: registry.names[reference])
    with Standin(tmp_path / "server", engine=execution) as standin:
        yield standin


def cluster(standin: Standin, registry: Registry, cache: Path | None) -> Cluster:
    reana = Reana(standin.connection(rate=1000))
    return Cluster(reana=reana, placed=registry.placed, cache=StepCache(cache) if cache else None, poll=0.1)


def records(run: Path) -> dict[str, dict[str, Any]]:
    found = [json.loads(path.read_text()) for path in run.glob(".records/*/*.json")]
    assert [schemas.problem("step-1", record) for record in found] == [None] * len(found)
    return {record["step"]: record for record in found}


def answered(*words: str | Path) -> dict[str, Any]:
    """What a verb answers, as JSON."""
    done = recast(*words, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def demand_parity(here: Path, there: Path) -> None:
    """The same steps under the same keys with the same bytes; and so says `diff`."""
    mine, theirs = records(here), records(there)
    assert {step: each["key"] for step, each in mine.items()} == {step: each["key"] for step, each in theirs.items()}
    for step in mine:
        assert store.tree_of(here / step) == store.tree_of(there / step)
    found = answered("diff", here, there)
    assert found["agrees"] is True
    assert found["results"]


def toy(capsule: Path) -> Subject:
    return of_capsule(open_capsule(capsule))


def test_a_rerun_at_reana_is_the_rerun_here(standin, registry, docker, toy_capsule, tmp_path):
    subject = toy(toy_capsule)
    local = Local(runtime=docker, jobs=2, cache=None)
    here = rerun(subject, "spin1-axial", POINT, local, tmp_path / "here", ignore)
    there = rerun(subject, "spin1-axial", POINT, cluster(standin, registry, None), tmp_path / "there", ignore)
    assert there.answer == here.answer
    assert there.answer is not None
    demand_parity(tmp_path / "here", tmp_path / "there")
    made = [each["execution"] for each in records(tmp_path / "there").values()]
    assert all(each["runtime"]["name"] == "reana" and each["reana"]["server"] == standin.server().url for each in made)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()]


def test_what_reads_runs_reads_what_came_back(standin, registry, toy_capsule, tmp_path):
    there = tmp_path / "there"
    result = rerun(toy(toy_capsule), "spin1-axial", POINT, cluster(standin, registry, None), there, ignore)
    result.keep(())
    status = answered("status", there)
    assert (status["state"], status["steps"]) == ("finished", 3)
    assert "limit/0/limit.json" in json.dumps(answered("ls", there))
    assert "setting a limit" in recast("logs", there, "limit").stdout
    assert answered("explain", "limit/0", "--run", there, "--against", there)["changes"] == []
    assert answered("limits", there)["mu_upper_obs"] == result.document(())["mu_upper_obs"]
    answered("report", there, "-o", tmp_path / "report.html")
    assert "reana" in (tmp_path / "report.html").read_text()


def test_another_machine_reads_it_from_the_workspace(standin, registry, docker, toy_capsule, tmp_path):
    subject = toy(toy_capsule)
    rerun(subject, "spin1-axial", POINT, cluster(standin, registry, None), tmp_path / "there", ignore)
    backend = cluster(standin, Registry(), tmp_path / "another cache")
    [run] = standin.runs.values()
    found = finding.find(backend.reana, run.full, tmp_path / "copy")
    backend.fetch(found.work, tmp_path / "fetched", ignore, found.sent, found.status)
    demand_parity(tmp_path / "there", tmp_path / "fetched")


def test_atlas_with_few_events(standin, registry, docker, tmp_path):
    """The chain of the main job, with events of a generator in it; the same seeds give the same bytes."""
    capsule = tmp_path / "atlas.capsule"
    done = recast("capture", ROOT / "specs/atlas-exot-2018-06", "-o", capsule, "--no-run")
    assert done.returncode == 0, done.stderr
    subject, values = toy(capsule), {"m_med": 2000, "m_dm": 1}
    few = {"events": 100, "seeds": [101]}
    local = Local(runtime=docker, jobs=2, cache=None)
    here = rerun(subject, "spin1-axial", values, local, tmp_path / "here", ignore, few)
    backend = cluster(standin, registry, None)
    there = rerun(subject, "spin1-axial", values, backend, tmp_path / "there", ignore, few)
    assert there.answer == here.answer
    demand_parity(tmp_path / "here", tmp_path / "there")
