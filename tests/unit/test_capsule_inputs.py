"""Inputs by reference: captured by their hashes, and put in their place again before a run."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import zlib
from pathlib import Path

import pytest
import yaml
from workbench import Bench, shell

from recast_dm import runtimes, schemas
from recast_dm.capsule import open_capsule
from recast_dm.cli import main, options
from recast_dm.images import sources
from recast_dm.images.fake import FakeSource

IMAGE = "search:1.0"
EVENTS = random.Random(0).randbytes(100_000)
WEIGHTS = random.Random(1).randbytes(5_000)
SMALL = b"139 /fb\n"
WORKFLOW = {
    "stages": [
        {
            "name": "sum",
            "dependencies": ["init"],
            "scheduler": {
                "scheduler_type": "singlestep-stage",
                "parameters": {
                    **{name: {"step": "init", "output": name} for name in ("events", "weights", "lumi", "m_med")},
                    "out": "{workdir}/out",
                },
                "step": {
                    "process": {
                        "process_type": "interpolated-script-cmd",
                        "script": "cat {lumi} {events} {weights} | sha256sum > {out}\necho {m_med} >> {out}",
                    },
                    "environment": {"environment_type": "docker-encapsulated", "image": "search", "imagetag": "1.0"},
                    "publisher": {"publisher_type": "interpolated-pub", "publish": {"out": "{workdir}/out"}},
                },
            },
        }
    ]
}
URL, DID = "https://example.org/events.dat", "user.ada:weights.dat"
TOGETHER = hashlib.sha256(SMALL + EVENTS + WEIGHTS).hexdigest()


def analysis(place: Path, initdir: str = "data", **more: object) -> Path:
    """An analysis with two inputs of which it says where they are, and a small one."""
    data = place / initdir
    (data / "deep").mkdir(parents=True)
    (data / "events.dat").write_bytes(EVENTS)
    (data / "deep/weights.dat").write_bytes(WEIGHTS)
    (data / "lumi.txt").write_bytes(SMALL)
    prefix = "" if initdir == "." else f"{initdir}/"
    document = {
        "name": "search",
        "metadata": {"authors": ["Ada"], "license": "Apache-2.0"},
        "spec": {"workflow": "workflow.yml"},
        "example_inputs": {
            "default": {
                "initdata": {"events": "events.dat", "weights": "deep/weights.dat", "lumi": "lumi.txt"},
                "dataopts": {"initdir": initdir},
                "signal": {"model": "spin1-axial", "parameters": {"m_med": 1000, "m_dm": 1}},
            }
        },
        "signal": {"format": "efficiency-map", "init": {"m_med": "parameters.m_med"}},
        "results": [{"name": "out", "relpath": "sum/out"}],
        "inputs": [
            {"path": f"{prefix}events.dat", "url": URL},
            {"path": f"{prefix}deep/weights.dat", "did": DID},
        ],
        **more,
    }
    (place / "recast.yml").write_text(yaml.safe_dump(document))
    (place / "workflow.yml").write_text(yaml.safe_dump(WORKFLOW))
    return place


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    """An empty current directory, its own cache, and a runtime that starts commands on the host."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "DEFAULTS", options.Config(tmp_path / "cache", "auto", 1))
    bench = Bench(tmp_path, {IMAGE: shell})
    monkeypatch.setattr(runtimes, "find", lambda _name: bench.runtime)
    monkeypatch.setattr(sources, "source", lambda _word: FakeSource([IMAGE]))


@pytest.fixture
def cli(capsys):
    def cli(*words: str) -> tuple[int, dict]:
        code = main([*words, "--json"])
        return code, json.loads(capsys.readouterr().out)

    return cli


@pytest.fixture
def away(tmp_path) -> Path:
    """The inputs, as somebody fetched them into one directory."""
    place = tmp_path / "fetched"
    place.mkdir()
    (place / "events.dat").write_bytes(EVENTS)
    (place / "weights.dat").write_bytes(WEIGHTS)
    return place


@pytest.fixture(params=["data", ".", "in/side"])
def capsule(request, cli) -> str:
    directory = analysis(Path("search"), request.param)
    code, _ = cli("capture", str(directory), "-o", "x.capsule", "--by-reference", "2k")
    assert code == 0
    shutil.rmtree(directory)
    return "x.capsule"


def output(run: dict) -> list[str]:
    return (Path(run["run_dir"]) / "sum/0/out").read_text().split()


def manifest(capsule: str) -> dict:
    return json.loads((Path(capsule) / "capsule.json").read_text())


class TestCapture:
    def test_their_bytes_are_left_out_and_their_hashes_kept(self, capsule):
        kept = {Path(each["path"]).name: each for each in manifest(capsule)["inputs"]}
        assert kept.keys() == {"events.dat", "weights.dat"}
        for name, data, url, did in (("events.dat", EVENTS, URL, None), ("weights.dat", WEIGHTS, None, DID)):
            each = kept[name]
            assert each["size"] == len(data)
            assert each["sha256"] == hashlib.sha256(data).hexdigest()
            assert each["adler32"] == f"{zlib.adler32(data):08x}"
            assert (each["url"], each["did"]) == (url, did)
        held = {path.name for path in Path(capsule).rglob("*") if path.is_file()}
        assert held & {"events.dat", "weights.dat", "lumi.txt"} == {"lumi.txt"}

    def test_the_manifest_says_where_the_initdir_is(self, capsule):
        found = manifest(capsule)
        inputs = {each["path"] for each in found["inputs"]}
        initdir = found["initdir"].removeprefix("data/analysis").removeprefix("/")
        assert str(Path(initdir) / "events.dat") in inputs
        assert found["initdir"] == str(Path(found["initdir"]))

    def test_those_who_hold_it_are_told(self, capsule):
        told = (Path(capsule) / "RERUN.txt").read_text()
        assert URL in told
        assert DID in told
        assert hashlib.sha256(EVENTS).hexdigest() in told

    def test_the_reference_run_had_them(self, capsule):
        assert (Path(capsule) / "data/reference/sum/0/out").read_text().split()[0] == TOGETHER

    def test_adler32_over_several_chunks(self, cli, tmp_path, monkeypatch):
        monkeypatch.setattr("recast_dm.store.CHUNK", 1000)
        cli("capture", str(analysis(Path("search"))), "-o", "x.capsule", "--by-reference", "2k", "--no-run")
        found = {Path(each["path"]).name: each["adler32"] for each in manifest("x.capsule")["inputs"]}
        assert found["events.dat"] == f"{zlib.adler32(EVENTS):08x}"

    def test_small_ones_are_kept_wherever_else_they_are(self, cli):
        assert cli("capture", str(analysis(Path("search"))), "-o", "x.capsule", "--by-reference", "50k")[0] == 0
        assert [each["path"] for each in manifest("x.capsule")["inputs"]] == ["data/events.dat"]
        assert (Path("x.capsule") / "data/analysis/data/deep/weights.dat").read_bytes() == WEIGHTS

    def test_what_is_nowhere_else_has_to_be_kept(self, cli):
        directory = analysis(Path("search"), inputs=[{"path": "data/events.dat", "url": URL}])
        code, error = cli("capture", str(directory), "-o", "x.capsule", "--by-reference", "2k")
        assert code == 2
        assert "data/deep/weights.dat is larger than 2000 bytes" in error["message"]
        assert not Path("x.capsule").exists()

    def test_an_input_that_is_not_there(self, cli):
        directory = analysis(Path("search"), inputs=[{"path": "data/evnets.dat", "url": URL}])
        code, error = cli("capture", str(directory), "-o", "x.capsule")
        assert code == 2
        assert "data/evnets.dat" in error["message"]
        assert "data/events.dat" in error["hint"]

    def test_a_changed_input_is_another_capsule(self, cli):
        directory = analysis(Path("search"))
        words = ("capture", str(directory), "--by-reference", "2k", "--no-run")
        first = cli(*words, "-o", "a.capsule")[1]["digest"]
        assert cli(*words, "-o", "b.capsule")[1]["digest"] == first
        (directory / "data/events.dat").write_bytes(EVENTS[:-1] + b"#")
        assert cli(*words, "-o", "c.capsule")[1]["digest"] != first


class TestRun:
    def test_they_are_found_by_path_or_name(self, capsule, cli, away):
        code, run = cli("run", capsule, "--inputs-from", str(away), "--workdir", "w")
        assert code == 0
        assert output(run) == [TOGETHER, "-", "1000"]

    def test_in_two_places(self, capsule, cli, away):
        for each in manifest(capsule)["inputs"]:
            place = Path(each["path"])
            if place.name == "weights.dat":
                (away / place).parent.mkdir(parents=True)
                (away / "weights.dat").rename(away / place)
        (away / "other").mkdir()
        (away / "events.dat").rename(away / "other/events.dat")
        code, run = cli("run", capsule, "--inputs-from", str(away), "--inputs-from", str(away / "other"))
        assert code == 0
        assert output(run)[0] == TOGETHER

    def test_rerun(self, capsule, cli, away):
        code, run = cli(
            *("rerun", capsule, "--model", "spin1-axial", "--set", "m_med=2000", "--set", "m_dm=1"),
            *("--inputs-from", str(away)),
        )
        assert code == 0
        assert output(run) == [TOGETHER, "-", "2000"]

    def test_a_run_is_resumed(self, capsule, cli, away):
        words = ("run", capsule, "--inputs-from", str(away), "--workdir", "w")
        first, again = cli(*words)[1], cli(*words)[1]
        assert output(first) == output(again)
        seen = [json.loads(line)["event"] for line in Path("w/.events.jsonl").read_text().splitlines()]
        # found in the cache: the initdir is that of the reference run, file by file
        assert [event for event in seen if event in ("ran", "cached", "kept")] == ["cached", "kept"]

    def test_nothing_of_the_capsule_changes(self, capsule, cli, away):
        before = open_capsule(Path(capsule)).digest
        cli("run", capsule, "--inputs-from", str(away))
        assert open_capsule(Path(capsule)).digest == before

    def test_a_dry_run_needs_them_too(self, capsule, cli, away):
        assert cli("run", capsule, "--inputs-from", str(away))[0] == 0
        code, plan = cli("run", capsule, "--inputs-from", str(away), "--dry-run")
        assert code == 0
        assert schemas.problem("plan-1", plan) is None
        assert "cached" in json.dumps(plan)
        code, error = cli("run", capsule, "--dry-run")
        assert (code, error["kind"]) == (4, "tool-missing")

    def test_missing(self, capsule, cli, away):
        code, error = cli("run", capsule)
        assert (code, error["kind"]) == (4, "tool-missing")
        assert "is kept by reference" in error["message"]
        assert "--inputs-from" in error["hint"]
        (away / "weights.dat").unlink()
        code, error = cli("run", capsule, "--inputs-from", str(away))
        assert code == 4
        assert "weights.dat" in error["message"]
        assert f"rucio download {DID}" in error["hint"]

    @pytest.mark.parametrize("data", [EVENTS[:-1] + b"#", EVENTS[:-1], b""])
    def test_another_file_of_that_name(self, capsule, cli, away, data):
        (away / "events.dat").write_bytes(data)
        code, error = cli("run", capsule, "--inputs-from", str(away))
        assert (code, error["kind"]) == (5, "integrity")
        assert "is not the captured input" in error["message"]

    def test_a_capsule_that_has_everything_takes_none(self, cli, away):
        assert cli("capture", str(analysis(Path("search"))), "-o", "x.capsule", "--no-run")[0] == 0
        code, error = cli("run", "x.capsule", "--inputs-from", str(away))
        assert code == 2
        assert "keeps no inputs by reference" in error["message"]

    def test_one_that_no_run_sees(self, cli):
        directory = analysis(Path("search"), "data")
        (directory / "raw.dat").write_bytes(EVENTS)
        text = (directory / "recast.yml").read_text()
        (directory / "recast.yml").write_text(text.replace("path: data/events.dat", "path: raw.dat"))
        assert cli("capture", str(directory), "-o", "x.capsule", "--by-reference", "99k", "--no-run")[0] == 2
        (directory / "data/events.dat").write_bytes(WEIGHTS)
        assert cli("capture", str(directory), "-o", "x.capsule", "--by-reference", "99k", "--no-run")[0] == 0
        assert [each["path"] for each in manifest("x.capsule")["inputs"]] == ["raw.dat"]
        code, run = cli("run", "x.capsule")
        assert code == 0
        assert output(run)[0] == hashlib.sha256(SMALL + WEIGHTS + WEIGHTS).hexdigest()

    def test_an_initdir_of_which_nothing_is_held(self, cli, away):
        directory = analysis(Path("search"), "data")
        (directory / "data/lumi.txt").unlink()
        text = (directory / "recast.yml").read_text()
        (directory / "recast.yml").write_text(text.replace("lumi: lumi.txt", "lumi: deep/weights.dat"))
        assert cli("capture", str(directory), "-o", "x.capsule", "--by-reference", "2k")[0] == 0
        assert not Path("x.capsule/data/analysis/data").exists()
        code, run = cli("run", "x.capsule", "--inputs-from", str(away))
        assert code == 0
        assert output(run)[0] == hashlib.sha256(WEIGHTS + EVENTS + WEIGHTS).hexdigest()


class TestVerify:
    def test_they_are_not_needed_for_the_bytes(self, capsule, cli):
        assert cli("verify", capsule, "--bytes")[0] == 0

    def test_a_rerun_with_them(self, capsule, cli, away):
        code, document = cli("verify", capsule, "--rerun", "--inputs-from", str(away))
        assert (code, document["ok"]) == (0, True)
        assert [each["agrees"] for each in document["outputs"]] == [True]

    def test_a_rerun_without_them(self, capsule, cli):
        code, error = cli("verify", capsule, "--rerun")
        assert (code, error["kind"]) == (4, "tool-missing")

    def test_in_one_file(self, cli, away):
        words = ("capture", str(analysis(Path("search"))), "-o", "x.capsule.zip", "--by-reference", "2k")
        assert cli(*words)[0] == 0
        assert cli("verify", "x.capsule.zip", "--rerun", "--inputs-from", str(away))[0] == 0
