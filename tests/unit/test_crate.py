"""RO-Crates of capsules and runs, checked by the validator of the profiles; crates that are broken must fail there."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import localruns
import pytest
import yaml
from workbench import TOY_IMAGE, Bench

from recast_dm import store
from recast_dm.capsule import citation, crate
from recast_dm.errors import LockedError, StepFailed, UsageError
from recast_dm.spec import analysis
from tests.validators import PROVENANCE, WORKFLOW

CAPTURED = "2026-01-02T03:04:05+00:00"
Graph = dict[str, dict[str, Any]]


def graph(document: bytes) -> Graph:
    """A crate's entities by their ids, each of which it may have once."""
    entities = json.loads(document)["@graph"]
    found = {entity["@id"]: entity for entity in entities}
    assert len(found) == len(entities)
    return found


def ids(value: Any) -> list[str]:
    return [item["@id"] for item in (value if isinstance(value, list) else [value])]


def dangling(found: Graph) -> Iterator[str]:
    """References of a crate to what it does not describe, and which have no address outside of it."""
    for entity in found.values():
        for key, value in entity.items():
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict) and item["@id"] not in found and not item["@id"].startswith("http"):
                    yield f"{entity['@id']} {key} {item['@id']}"


def lay_out(root: Path, document: bytes, source: Path | None = None) -> Path:
    """A crate's directory, with something in every file that it names and `source` does not hold."""
    if source is not None:
        shutil.copytree(source, root)
    for part in ids(graph(document)["./"]["hasPart"]):
        path = root / part
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() and not part.endswith("/"):
            path.write_text("x")
    (root / crate.METADATA).write_bytes(document)
    return root


# --- a capsule --------------------------------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path, toy_analysis, bench: Bench) -> Path:
    """The `data/` of a capsule of the toy analysis, with a reference run; its images are not looked into here."""
    initdata = {**toy_analysis.example.initdata, "m_med": 1000.0, "m_dm": 1.0}
    about = {"analysis": "toy", "capsule": None, "model": "spin1-axial", "parameters": {}, "initdata": initdata}
    finished = bench.run(toy_analysis.workflow, initdata, initdir=toy_analysis.initdir, about=about)
    root = tmp_path / "data"
    shutil.copytree(toy_analysis.directory, root / "analysis")
    (root / "workflow.yml").write_text(yaml.safe_dump(dict(toy_analysis.workflow.source)))
    for name, document in citation.documents(toy_analysis).items():
        (root / name).write_bytes(document)
    (root / "run").mkdir()
    shutil.copy(finished.directory / "run.json", root / "run")
    shutil.copytree(finished.directory / ".records", root / "run/records")
    for record in finished.records:
        log = root / crate.log_path(record.step)
        log.parent.mkdir(exist_ok=True)
        log.write_text("said")
    for path, text in {
        "images/oci-layout": "{}",
        "images/blobs/sha256/aa": "layer",
        "source/toy.bundle": "bundle",
        "sbom/recast-dm_toy_1.0.cdx.json": "{}",
    }.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    (root / "reference/limit").mkdir(parents=True)
    shutil.copy(finished.directory / "limit/0/limit.json", root / "reference/limit/limit.json")
    return root


@pytest.fixture
def made(data, toy_analysis, bench) -> Callable[..., bytes]:
    """The metadata of that capsule."""
    initdata = {**toy_analysis.example.initdata, "m_med": 1000.0, "m_dm": 1.0}

    def made(loaded: analysis.Analysis = toy_analysis, **more: Any) -> bytes:
        images = [bench.runtime.image(TOY_IMAGE)]
        return crate.of_capsule(data, loaded, images, captured=CAPTURED, initdata=initdata, **more)

    return made


class TestOfACapsule:
    def test_it_passes(self, made, data, validators):
        (data / crate.METADATA).write_bytes(made())
        assert validators.crate(data) == []
        assert validators.crate(data, WORKFLOW) == []

    def test_without_a_run_it_is_a_workflow_crate(self, made, data, validators):
        shutil.rmtree(data / "run")
        shutil.rmtree(data / "reference")
        (data / crate.METADATA).write_bytes(made())
        assert validators.crate(data, WORKFLOW) == []
        found = graph(made())
        assert ids(found["./"]["conformsTo"]) == ["https://w3id.org/workflowhub/workflow-ro-crate/1.0"]
        assert not [e for e in found.values() if "Action" in str(e["@type"])]

    def test_the_same_capsule_gives_the_same_bytes(self, made, data):
        first = made()
        (data / crate.METADATA).write_bytes(first)
        assert made() == first, "its own metadata is no part of it"
        assert made(tree=store.tree_of(data)) != first, "with hashes it says more"
        assert made(tree=store.tree_of(data)) == made(tree=store.tree_of(data))

    def test_what_it_says_of_the_run(self, made):
        found = graph(made())
        assert list(dangling(found)) == []
        limit = found["#action/limit/0"]
        assert ids(limit["result"])[0] == "reference/limit/limit.json", "a file that the capsule keeps"
        assert ids(limit["instrument"]) == ["#tool/limit"]
        assert {"analysis/data/toy.py", "#file/count/0/counts.json", "#file/count/1/counts.json"} <= set(
            ids(limit["object"])
        )
        assert found["#file/count/0/counts.json"]["sha256"], "one that it does not keep is known by its hash"
        assert limit["actionStatus"] == "http://schema.org/CompletedActionStatus"
        assert limit["startTime"] <= limit["endTime"]
        seeds = {
            entity["value"]
            for entity in found.values()
            if entity["@type"] == "PropertyValue" and ids(entity.get("exampleOfWork", [])) == ["#tool/count/input/seed"]
        }
        assert seeds == {1, 2}
        (engine,) = (entity for entity in found.values() if entity["@type"] == "OrganizeAction")
        assert ids(engine["object"]) == ["#control/count/0", "#control/count/1", "#control/limit/0"]
        assert ids(engine["instrument"]) == ["#recast-dm"]

    def test_what_it_says_of_the_workflow(self, made):
        found = graph(made())
        main = found["workflow.yml"]
        assert ids(main["programmingLanguage"]) == ["#yadage"]
        assert ids(main["step"]) == ["#step/count", "#step/limit"]
        assert [found[step]["position"] for step in ids(main["step"])] == ["1", "2"]
        assert "#input/seeds" in ids(main["input"])
        assert found["#input/program"]["additionalType"] == "File"
        assert found["#input/m_med"]["additionalType"] == "Number"
        connected = {
            (ids(entity["sourceParameter"])[0], ids(entity["targetParameter"])[0])
            for entity in found.values()
            if entity["@type"] == "ParameterConnection"
        }
        assert ("#tool/count/output/counts", "#tool/limit/input/counts") in connected
        assert ("#input/seeds", "#tool/count/input/seed") in connected

    def test_an_image_has_its_three_ids(self, made, bench):
        found = graph(made())
        image = bench.runtime.image(TOY_IMAGE)
        entity = found["#image/recast-dm/toy%3A1.0"]
        assert (entity["name"], entity["tag"]) == ("recast-dm/toy", "1.0")
        said = {found[name]["name"]: found[name]["value"] for name in ids(entity["identifier"])}
        assert said["image id"] == image.image_id
        assert said["diff_ids"] in (list(image.diff_ids), *image.diff_ids)
        assert ids(found["#action/limit/0"]["containerImage"]) == [entity["@id"]]
        assert ids(found["images/"]["about"]) == [entity["@id"]]
        assert ids(found["sbom/recast-dm_toy_1.0.cdx.json"]["about"]) == [entity["@id"]]

    def test_the_files(self, made, data):
        found = graph(made(tree=store.tree_of(data), identifiers={"source/toy.bundle": ["swh:1:rev:00", "abc"]}))
        parts = set(ids(found["./"]["hasPart"]))
        files = {str(path.relative_to(data)) for path in data.rglob("*") if path.is_file()}
        assert parts == {name for name in files if not name.startswith("images/")} | {"images/"}
        assert found["source/toy.bundle"]["identifier"] == ["swh:1:rev:00", "abc"]
        for part in parts - {"images/"}:
            assert found[part]["contentSize"] == str((data / part).stat().st_size), part
            assert found[part]["sha256"] == store.sha256_file(data / part), part

    def test_authors_licence_and_references(self, made, data, tmp_path, toy_directory, validators):
        metadata = {
            "title": "a title",
            "license": "MIT",
            "authors": ["The Toy Team", {"name": "Ada Lovelace", "orcid": "0000-0002-1825-0097", "affiliation": "AE"}],
            "references": {"arxiv": "2102.10874", "inspire": "1", "hepdata": "ins1", "note": "ours"},
        }
        shutil.copytree(toy_directory, tmp_path / "other")
        document = yaml.safe_load((toy_directory / "recast.yml").read_text())
        (tmp_path / "other/recast.yml").write_text(yaml.safe_dump({**document, "metadata": metadata}))
        (data / crate.METADATA).write_bytes(made(analysis.load(tmp_path / "other")))
        assert validators.crate(data) == []
        found = graph((data / crate.METADATA).read_bytes())
        root = found["./"]
        assert ids(root["license"]) == ["https://spdx.org/licenses/MIT"]
        assert ids(root["author"]) == ["#author/The%20Toy%20Team", "https://orcid.org/0000-0002-1825-0097"]
        assert found["https://orcid.org/0000-0002-1825-0097"]["familyName"] == "Lovelace"
        assert {found[name]["name"] for name in ids(root["citation"])} == {
            "arXiv:2102.10874",
            "INSPIRE 1",
            "HEPData ins1",
            "note: ours",
        }

    @pytest.mark.parametrize("kept", ["limit/limit.json", "limit/0/limit.json", "limit_0/limit.json"])
    def test_references_are_written_in_several_ways(self, kept, made, data):
        (data / "reference" / kept).parent.mkdir(exist_ok=True, parents=True)
        (data / "reference/limit/limit.json").rename(data / "reference" / kept)
        found = graph(made())
        assert f"reference/{kept}" in ids(found["#action/limit/0"]["result"])

    def test_the_likelihood_is_what_its_stage_published(self, made, data, tmp_path, toy_directory):
        shutil.copytree(toy_directory, tmp_path / "other")
        document = yaml.safe_load((toy_directory / "recast.yml").read_text())
        likelihood = {"stage": "limit", "output": "limit"}
        document["statistics"] = {"likelihood": likelihood, "patch": likelihood, "channel": "c", "signal_sample": "s"}
        (tmp_path / "other/recast.yml").write_text(yaml.safe_dump(document))
        (data / "likelihood").mkdir()
        (data / "reference/limit/limit.json").rename(data / "likelihood/workspace.json")
        found = graph(made(analysis.load(tmp_path / "other")))
        assert "likelihood/workspace.json" in ids(found["#action/limit/0"]["result"])


# --- broken crates ----------------------------------------------------------------------------------------------------


def without_instrument_and_language(found: Graph, root: Path) -> None:
    del found["workflow.yml"]["programmingLanguage"]
    del found["#action/limit/0"]["instrument"]
    found.pop("#yadage")


def without_a_file(found: Graph, root: Path) -> None:
    (root / "reference/limit/limit.json").unlink()


def with_an_action_of_nothing(found: Graph, root: Path) -> None:
    found["#action/more"] = {"@id": "#action/more", "@type": "CreateAction"}


def without_the_step_of_a_control(found: Graph, root: Path) -> None:
    del found["#control/limit/0"]["instrument"]


def without_its_profile(found: Graph, root: Path) -> None:
    del found["./"]["conformsTo"]


def without_a_workflow(found: Graph, root: Path) -> None:
    (root / "workflow.yml").unlink()


@pytest.mark.parametrize(
    ("spoil", "least"),
    [
        (without_instrument_and_language, 3),
        (without_a_file, 1),
        (with_an_action_of_nothing, 1),
        (without_the_step_of_a_control, 1),
        (without_its_profile, 1),
        (without_a_workflow, 1),
    ],
)
def test_a_broken_crate_fails(spoil, least, made, data, validators):
    document = json.loads(made())
    found = {entity["@id"]: entity for entity in document["@graph"]}
    spoil(found, data)
    (data / crate.METADATA).write_text(json.dumps({**document, "@graph": list(found.values())}))
    assert len(validators.crate(data)) >= least


# --- a run ------------------------------------------------------------------------------------------------------------


class TestOfARun:
    def test_it_passes(self, tmp_path, validators):
        localruns.execute(tmp_path / "run")
        document = crate.of_run(tmp_path / "run")
        assert validators.crate(lay_out(tmp_path / "crate", document)) == []
        assert crate.of_run(tmp_path / "run") == document

    def test_its_files_are_what_the_steps_gave_each_other(self, tmp_path):
        localruns.execute(tmp_path / "run")
        found = graph(crate.of_run(tmp_path / "run"))
        assert list(dangling(found)) == []
        assert set(ids(found["#action/limit/0"]["object"])) == {
            "outputs/background/0/out",
            "outputs/signal/0/out",
            "outputs/signal/1/out",
        }
        assert ids(found["#action/scan/1/check/0"]["object"]) == ["outputs/scan/1/fit/0/out"]
        assert ids(found["#control/scan/1/check/0"]["instrument"]) == ["#step/scan/check"]
        (run,) = (entity for name, entity in found.items() if name.startswith("#run/"))
        assert set(ids(run["result"])) == {"outputs/limit/0/out", "outputs/summary/0/out"}, "what nothing else took"

    def test_a_failed_run_says_what_failed(self, tmp_path, validators):
        with pytest.raises(StepFailed):
            localruns.execute(tmp_path / "run", check="exit 3", jobs=1)
        document = crate.of_run(tmp_path / "run")
        assert validators.crate(lay_out(tmp_path / "crate", document)) == []
        failed = {
            name for name, e in graph(document).items() if str(e.get("actionStatus")).endswith("FailedActionStatus")
        }
        assert any(name.startswith("#run/") for name in failed)
        assert any(name.startswith("#action/scan") for name in failed)
        assert all(graph(document)[name]["error"] for name in failed)

    def test_a_run_that_is_at_work_is_left_alone(self, tmp_path):
        from recast_dm.engine.rundir import RunDirectory

        localruns.execute(tmp_path / "run")
        with RunDirectory(tmp_path / "run"), pytest.raises(LockedError):
            crate.of_run(tmp_path / "run")

    def test_a_run_of_an_earlier_version_says_how_to_go_on(self, tmp_path):
        localruns.execute(tmp_path / "run")
        (tmp_path / "run/.workflow.json").unlink()
        with pytest.raises(UsageError, match="does not hold its workflow"):
            crate.of_run(tmp_path / "run")
        localruns.execute(tmp_path / "run")
        assert crate.of_run(tmp_path / "run")

    def test_containers_and_init_files(self, tmp_path, toy_analysis, bench, validators):
        initdata = {**toy_analysis.example.initdata, "m_med": 1000.0, "m_dm": 1.0}
        about = {"analysis": "toy", "initdata": initdata}
        finished = bench.run(toy_analysis.workflow, initdata, initdir=toy_analysis.initdir, about=about)
        document = crate.of_run(finished.directory)
        assert validators.crate(lay_out(tmp_path / "crate", document)) == []
        found = graph(document)
        assert "#file/init/0/toy.py" in ids(found["#action/count/0"]["object"])
        assert found["#tool/count"]["softwareVersion"] == bench.runtime.image(TOY_IMAGE).image_id

    def test_what_came_from_the_cache_has_the_inputs_of_this_run(self, tmp_path, bench):
        """A cached step was made in a run where the steps may have had other names."""
        from workbench import stage, workflow

        def chain(first: str, second: str) -> Any:
            out = {"out": "{workdir}/out"}
            taken = {"x": {"step": first, "output": "out"}, **out}
            return workflow(stage(first, "echo 1 > {out}", out, out), stage(second, "cat {x} > {out}", taken, out))

        bench.run(chain("a", "b"), run="one")
        bench.run(chain("c", "d"), run="two")
        assert bench.hows() == {"c/0": "cached", "d/0": "cached"}
        found = graph(crate.of_run(tmp_path / "two"))
        assert ids(found["#action/d/0"]["object"]) == ["outputs/c/0/out"]
        assert list(dangling(found)) == []

    def test_what_an_earlier_workflow_left_is_left_out(self, tmp_path, bench):
        from workbench import stage, workflow

        out = {"out": "{workdir}/out"}
        bad = stage("bad", "exit 1", out, out)
        with pytest.raises(StepFailed):
            bench.run(workflow(stage("a", "echo 1 > {out}", out, out), bad), jobs=1)
        with pytest.raises(StepFailed):
            bench.run(workflow(stage("b", "echo 2 > {out}", out, out), bad), jobs=1)
        found = graph(crate.of_run(tmp_path / "run"))
        assert list(dangling(found)) == []
        assert {"#action/b/0", "#action/bad/0"} <= set(found)
        assert "#action/a/0" not in found

    def test_thousands_of_steps(self, tmp_path):
        """Not timed: with a look through all entities for each new one this would take minutes."""
        localruns.execute(tmp_path / "run", seeds=(1,))
        records = tmp_path / "run/.records/signal"
        record = json.loads((records / "0.json").read_text())
        for n in range(1, 3000):
            (records / f"{n}.json").write_text(json.dumps({**record, "step": f"signal/{n}"}))
        found = graph(crate.of_run(tmp_path / "run"))
        assert sum(entity["@type"] == "ControlAction" for entity in found.values()) > 3000


def test_names_become_ids(tmp_path, validators):
    """File names are any bytes that the filesystem takes; ids are addresses."""
    names = r"a b#c?d%41:é\x"
    localruns.execute(tmp_path / "run", signal=f'printf x > "$(dirname {{out}})/{names}"', seeds=(1,))
    document = crate.of_run(tmp_path / "run")
    found = graph(document)
    (name,) = (part for part in ids(found["./"]["hasPart"]) if part.startswith("outputs/signal/0/a"))
    assert found[name]["name"].endswith(names)
    assert "#" not in name
    assert "?" not in name


def test_profile_names_are_those_of_the_validator(validators):
    """The profiles that the tests name exist, so that a wrong name cannot pass as an empty one."""
    with pytest.raises(AssertionError):
        validators.crate(Path(__file__).parent, "no-such-profile")
    assert PROVENANCE != WORKFLOW
