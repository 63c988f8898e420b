"""Will this rerun? Each finding where it belongs, and none where nothing is wrong."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from layertars import image, stack, tar

from recast_dm.capsule import gates
from recast_dm.capsule.gates import findings
from recast_dm.spec import analysis

TOP = Path(__file__).parents[2]


@pytest.fixture
def toy(toy_directory, tmp_path) -> Path:
    shutil.copytree(toy_directory, tmp_path / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "toy"


def change(path: Path, edit) -> None:
    document = yaml.safe_load(path.read_text())
    edit(document)
    path.write_text(yaml.safe_dump(document))


def examine(directory: Path, **more) -> list[gates.Finding]:
    loaded = analysis.load(directory)
    return list(findings.of_analysis(loaded.directory, loaded.workflow, **{"captured": False, **more}))


def codes(directory: Path, **more) -> dict[str, str]:
    return {each.code: each.severity for each in examine(directory, **more)}


def command(toy: Path, cmd: str) -> None:
    change(toy / "steps.yml", lambda d: d["count"]["process"].update(cmd=cmd))


class TestSteps:
    @pytest.mark.parametrize(
        ("cmd", "code"),
        [
            ("curl -O https://cern.ch/x.root", "network"),
            ("pip install pyhf && true", "network"),
            ("python3 -m pip install .", "network"),
            ("xrdcp root://eospublic.cern.ch//eos/x.root .", "network"),
            ("apt-get -y install root", "network"),
            ("git clone https://github.com/x/y", "network"),
            ("source /cvmfs/sft.cern.ch/setup.sh", "host-path"),
            ("cat /home/ada/limits.txt", "host-path"),
            ("cat /eos/user/a/ada/limits.txt", "host-path"),
        ],
    )
    def test_what_a_step_has_not(self, toy, cmd, code):
        command(toy, cmd)
        assert codes(toy)[code] == "warning"

    @pytest.mark.parametrize(
        "cmd",
        [
            "pip install --no-index x",
            "./curl-like --wget=1",
            "cat {counts}/data/x",
            "cat /usr/data/x",
            "sed s/data/home/ x",
            "echo a/home/b",
            "# curl x",
        ],
    )
    def test_what_only_looks_like_it(self, toy, cmd):
        command(toy, cmd)
        assert not {"network", "host-path"} & set(codes(toy))

    def test_what_the_image_has_is_no_host_path(self, toy):
        command(toy, "/data/bin/fit && python3 /code/run.py && cat /cvmfs/x/y")
        inside = {"recast-dm/toy:1.0": stack(tar({"data/bin/fit": "x", "code/run.py": "x"}))}
        found = [each for each in examine(toy, inside=inside) if each.code in ("host-path", "program-missing")]
        assert [(each.severity, "/cvmfs/x/y" in each.message) for each in found] == [("error", True)]

    def test_a_program_that_the_image_has_not(self, toy):
        command(toy, "python3 /code/gone.py; /workdir/made-before")
        assert codes(toy, inside={"recast-dm/toy:1.0": stack(tar({"x": "x"}))})["program-missing"] == "error"
        assert "program-missing" not in codes(toy)

    def test_a_process_of_the_host(self, toy):
        change(toy / "steps.yml", lambda d: d["count"].update(environment={"environment_type": "localproc-env"}))
        assert codes(toy)["host-process"] == "warning"

    def test_services(self, toy):
        change(toy / "steps.yml", lambda d: d["count"]["environment"].update(resources=["CVMFS", "GRIDProxy"]))
        found = [each for each in examine(toy) if each.code == "resource"]
        assert any("CVMFS" in each.message for each in found)
        assert any("VOMS proxy" in each.message for each in found)

    def test_a_tag_that_moves(self, toy):
        assert codes(toy)["image-unpinned"] == "warning"
        assert codes(toy, captured=True)["image-unpinned"] == "note"
        assert all("capture it" not in each.hint for each in examine(toy, captured=True))
        pinned = {"image": "recast-dm/toy@sha256", "imagetag": "0" * 64}
        for step in ("count", "limit"):
            change(toy / "steps.yml", lambda d, step=step: d[step]["environment"].update(pinned))
        assert "image-unpinned" not in codes(toy)

    def test_values_as_text(self, toy):
        change(toy / "recast.yml", lambda d: d.update(steps={"count": {"compat": "raw"}}))
        assert codes(toy)["raw"] == "warning"


class TestAnalysis:
    def test_what_is_missing_and_what_is_there(self, toy):
        missing = {"no-likelihood", "no-reference", "no-citation", "no-licence"}
        assert missing <= set(codes(toy))
        (said,) = [each.message for each in examine(toy) if each.code == "no-reference"]
        assert "the same bytes" in said  # which is what `verify --rerun` then asks for
        (toy / "CITATION.cff").write_text("cff-version: 1.2.0\n")
        (toy / "LICENSE").write_text("Apache-2.0\n")
        change(toy / "recast.yml", lambda d: d.update(reference=[{"path": "limit/limit.json", "compare": "exact"}]))
        assert missing & set(codes(toy)) == {"no-likelihood"}

    @pytest.mark.parametrize("value", ["/eos/user/a/x.root", "root://eospublic.cern.ch//x.root", "https://cern.ch/x"])
    def test_inputs_that_are_elsewhere(self, toy, value):
        change(toy / "recast.yml", lambda d: d["example_inputs"]["default"]["initdata"].update(deep=[{"er": value}]))
        (found,) = [each for each in examine(toy) if each.code == "input-elsewhere"]
        assert found.where.startswith("recast.yml:")

    def test_references_to_servers(self, toy):
        (toy / "other.yml").write_text("a:\n  {$ref: 'https://cern.ch/steps.yml#/x'}\nb: {$ref: 'steps.yml#/count'}\n")
        assert codes(toy)["remote-ref"] == "warning"
        (found,) = [each for each in examine(toy, captured=True) if each.code == "remote-ref"]
        assert (found.where, found.severity) == ("other.yml:2", "note")

    @pytest.mark.parametrize("name", ["code/run.sh", "code/run"])
    def test_scripts_of_the_source(self, toy, name):
        (toy / "code").mkdir()
        (toy / name).write_text("#!/usr/bin/env bash\n# curl is not used\nwget https://cern.ch/x\n")
        assert {each.where for each in examine(toy) if each.code == "script-elsewhere"} == {f"{name}:3"}

    def test_a_preserved_search_needs_nothing_from_elsewhere(self):
        for manifest in sorted((TOP / "specs").glob("*/recast.yml")):
            directory = manifest.parent
            assert set(codes(directory).values()) <= {"warning", "note"}
            known = {"image-unpinned", "no-citation", "no-licence", "no-likelihood"}  # limit curves have no likelihood
            assert set(codes(directory)) <= known


class TestImages:
    def test_another_platform_and_no_bash(self):
        about = image(tar({}), platform="linux/arm64").image
        found = findings.of_images([about], {about.reference: stack(tar({"bin/sh": "x"}))}, {})
        assert [(each.code, each.severity) for each in found] == [("platform", "warning"), ("no-bash", "note")]

    def test_bash_behind_a_link(self):
        about = image(tar({})).image
        inside = {about.reference: stack(tar({"usr/bin/bash": "x"}, {"bin": "usr/bin"}))}
        assert findings.of_images([about], inside, {}) == ()


def test_errors_come_first_and_each_once(toy):
    note, error = findings.Finding("a", "note", "a", "m", "h"), findings.Finding("b", "error", "z", "m", "h")
    assert findings.ordered([note, error, note]) == (error, note)
