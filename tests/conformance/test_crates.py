"""Whatever the language can say, a run of it can be described: crates of the corpus' workflows, on both backends."""

from __future__ import annotations

import json

import pytest

from recast_dm import spec
from recast_dm.backends import Work
from recast_dm.backends.yadage.backend import Yadage
from recast_dm.export.ro_crate import RoCrate
from tests.conformance import corpus, our_side
from tests.conformance.corpus import SPECS

CASES = ("cases-run", "init-files-run", "nested-sub-workflow", "noop-scatter", "parjq-glob", "unicode")


def dangling(root) -> list[str]:
    """References to entities that a crate does not describe and that have no address outside of it."""
    entities = {entity["@id"]: entity for entity in json.loads((root / "ro-crate-metadata.json").read_text())["@graph"]}
    values = [
        (e, v) for e in entities.values() for value in e.values() for v in (value if type(value) is list else [value])
    ]
    named = [(e["@id"], value["@id"]) for e, value in values if isinstance(value, dict)]
    return [f"{source}: {name}" for source, name in named if name not in entities and not name.startswith("http")]


@pytest.mark.parametrize("name", CASES)
def test_a_run_of_ours(name, tmp_path, validators):
    case = corpus.read(SPECS / name)
    our_side.executed(case.workflow, case.initdata, case.initdir, tmp_path / "run")
    RoCrate().export(tmp_path / "run", tmp_path / "crate")
    assert dangling(tmp_path / "crate") == []
    assert validators.crate(tmp_path / "crate") == []


def test_a_run_of_upstream(tmp_path, upstream_python, validators):
    case = corpus.read(SPECS / "diamond-run")
    backend = Yadage(python=upstream_python, runtime=None, jobs=1, allow_host=True)
    work = Work(
        workflow=spec.load(case.workflow),
        initdata=case.initdata,
        initdir=case.initdir,
        about={"analysis": "diamond"},
    )
    backend.execute(work, directory=tmp_path / "run", observer=lambda _: None)
    RoCrate().export(tmp_path / "run", tmp_path / "crate")
    assert dangling(tmp_path / "crate") == []
    assert validators.crate(tmp_path / "crate") == []
