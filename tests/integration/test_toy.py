"""The toy analysis in real containers: nothing in the engine knows any analysis."""

import json
import os
from pathlib import Path

import pytest

from recast_dm import reinterpret, schemas
from recast_dm.backends.local import Local
from recast_dm.capsule import open_capsule
from recast_dm.cli import main
from recast_dm.engine.cache import StepCache
from recast_dm.engine.events import Event, StepFinished
from recast_dm.errors import UsageError
from recast_dm.runtimes import Runtime


class Finished:
    """How each step finished."""

    def __init__(self) -> None:
        self.how: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, StepFinished):
            self.how[str(event.step)] = event.how


@pytest.fixture
def backend(here: Runtime, tmp_path: Path) -> Local:
    return Local(runtime=here, jobs=2, cache=StepCache(tmp_path / "cache"))


POINT = {"m_med": "1500", "m_dm": "1"}


def test_a_rerun_in_containers(toy_capsule: Path, backend: Local, tmp_path: Path) -> None:
    seen = Finished()
    capsule = open_capsule(toy_capsule)
    result = reinterpret.rerun(reinterpret.of_capsule(capsule), "spin1-axial", POINT, backend, tmp_path / "run", seen)
    document = result.document()
    assert schemas.problem("limit-1", document) is None
    assert document["sigma_pb"] == pytest.approx(8.33 / 1.5**4)
    assert seen.how == {"count/0": "ran", "count/1": "ran", "limit/0": "ran"}
    for path in (tmp_path / "run" / ".records").rglob("*.json"):
        record = json.loads(path.read_text())
        assert schemas.problem("step-1", record) is None
        assert record["execution"]["user"][0] != 0
        assert record["execution"]["runtime"]["name"] == backend.runtime.about().name
    written = tmp_path / "run/count/0/counts.json"
    assert written.stat().st_uid == os.getuid()
    assert written.stat().st_mode & 0o222 == 0, "what is finished is sealed"


def test_the_same_work_done_again_in_containers_agrees(
    toy_capsule: Path, here: Runtime, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = reinterpret.of_capsule(open_capsule(toy_capsule))
    for name in ("one", "two"):
        again = Local(runtime=here, jobs=2, cache=None)
        reinterpret.rerun(subject, "spin1-axial", POINT, again, tmp_path / name, Finished())
    assert main(["diff", str(tmp_path / "one"), str(tmp_path / "two"), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert schemas.problem("diff-1", document) is None
    assert [(result["path"], result["measure"]) for result in document["results"]] == [
        ("limit/limit.json", "identical")
    ]


def test_every_way_to_finish(toy_capsule: Path, backend: Local, tmp_path: Path) -> None:
    capsule = open_capsule(toy_capsule)

    def how(point: dict[str, str], directory: str) -> set[str]:
        seen = Finished()
        reinterpret.rerun(reinterpret.of_capsule(capsule), "spin1-axial", point, backend, tmp_path / directory, seen)
        return set(seen.how.values())

    assert how(POINT, "one") == {"ran"}
    assert how(POINT, "one") == {"kept"}
    assert how(POINT, "two") == {"cached"}
    assert how({**POINT, "m_med": "1600"}, "three") == {"ran"}
    with pytest.raises(UsageError, match="another parameters"):
        how({**POINT, "m_med": "1700"}, "two")
