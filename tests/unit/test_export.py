"""`recast-dm export`: a run or a capsule as an RO-Crate, whole or not at all."""

from __future__ import annotations

import errno
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import localruns
import pytest
import yaml

from recast_dm import export, schemas, store
from recast_dm.capsule import crate
from recast_dm.engine import history
from recast_dm.errors import IntegrityError, SpecError, StepFailed, StorageError, UsageError
from recast_dm.export import Exporter, packing
from recast_dm.export.ro_crate import RoCrate
from tests.validators import WORKFLOW


@pytest.fixture
def run(tmp_path, monkeypatch) -> Path:
    """A run below build/runs of an empty current directory, with `latest` beside it."""
    monkeypatch.chdir(tmp_path)
    localruns.execute(Path("build/runs/a"))
    Path("build/runs/latest").symlink_to("a")
    return Path("build/runs/a")


def files(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


class TestOfARun:
    def test_a_directory(self, run, cli, validators):
        code, out, err = cli("export", str(run), "--format", "ro-crate", "-o", "crate")
        assert (code, err) == (0, "")
        assert out.startswith("export  crate\n")
        assert validators.crate(Path("crate")) == []
        found = files(Path("crate"))
        outputs = {f"outputs/{path}" for path in files(run) if not path.startswith(".") and path != "run.json"}
        records = {f"run/records/{path}" for path in files(run / ".records")}
        assert outputs | records <= found
        assert {"workflow.yml", "run/run.json", "run/logs/scan.1.fit.0.txt", crate.METADATA} <= found
        assert len(found) == len(outputs) + len(records) + len(list((run / ".attempts").iterdir())) + 3

    def test_what_the_crate_says_of_its_files_is_so(self, run):
        RoCrate().export(run, Path("crate"))
        entities = json.loads(Path("crate", crate.METADATA).read_text())["@graph"]
        said = [entity for entity in entities if entity["@id"].startswith("outputs/")]
        assert len(said) == 9
        for entity in said:
            assert store.sha256_file(Path("crate", entity["@id"])) == entity["sha256"]

    def test_a_zip_file_holds_the_same_and_is_the_same_again(self, run, cli, validators):
        RoCrate().export(run, Path("crate"))
        code, out, _ = cli("export", "a", "-o", "crate.zip", "--json")
        document = json.loads(out)
        assert code == 0
        assert schemas.problem("export-1", document) is None
        assert document["source"] == "build/runs/a"
        assert document["files"] == len(files(Path("crate")))
        assert document["size"] == sum(Path("crate", name).stat().st_size for name in files(Path("crate")))
        assert validators.crate(Path("crate.zip")) == []
        with zipfile.ZipFile("crate.zip") as archive:
            assert archive.testzip() is None
            assert {name: archive.read(name) for name in archive.namelist()} == {
                name: Path("crate", name).read_bytes() for name in files(Path("crate"))
            }
        with zipfile.ZipFile("crate.zip") as archive, zipfile.ZipFile("less.zip", "w") as less:
            for name in archive.namelist():
                if name != "workflow.yml":
                    less.writestr(name, archive.read(name))
        assert validators.crate(Path("less.zip")), "a zip file that lacks a file does not pass"
        RoCrate().export(run, Path("again.zip"))
        assert Path("again.zip").read_bytes() == Path("crate.zip").read_bytes()

    def test_the_workflow_runs_again(self, run, cli):
        RoCrate().export(run, Path("crate"))
        again = ("-p", "m=1", "-p", "seeds=[1, 2]", "--allow-host", "--workdir", "again", "--quiet", "--no-cache")
        assert cli("run", "crate/workflow.yml", *again)[0] == 0
        assert Path("again/summary/0/out").read_text() == Path("crate/outputs/summary/0/out").read_text()

    def test_outputs_are_linked_and_what_may_change_is_copied(self, run):
        RoCrate().export(run, Path("crate"))
        assert Path("crate/outputs/limit/0/out").samefile(run / "limit/0/out")
        assert not Path("crate/run/run.json").samefile(run / "run.json")

    def test_a_failed_run(self, tmp_path, cli, validators):
        with pytest.raises(StepFailed):
            localruns.execute(tmp_path / "run", check="exit 3", jobs=1)
        assert cli("export", str(tmp_path / "run"), "-o", str(tmp_path / "crate"))[0] == 0
        assert validators.crate(tmp_path / "crate") == []
        assert not (tmp_path / "crate/outputs/summary").exists()

    def test_changed_outputs_are_not_exported(self, run):
        os.utime(run / "limit/0/out", (1, 1))
        RoCrate().export(run, Path("touched"))
        (run / "limit/0/out").chmod(0o644)
        (run / "limit/0/out").write_text("another")
        with pytest.raises(IntegrityError, match="limit/0"):
            RoCrate().export(run, Path("crate"))
        assert not Path("crate").exists()


class TestOfACapsule:
    def test_it_is_its_data(self, toy_capsule, tmp_path, cli, validators):
        code, _, err = cli("export", str(toy_capsule.path), "-o", str(tmp_path / "crate"))
        assert (code, err) == (0, "")
        assert files(tmp_path / "crate") - {crate.METADATA} == files(toy_capsule.path / "data") - {crate.METADATA}
        assert validators.crate(tmp_path / "crate", WORKFLOW) == []

    def test_a_damaged_one_is_refused(self, toy_capsule, tmp_path, cli):
        damaged = toy_capsule.path / "data/analysis/steps.yml"
        damaged.chmod(0o644)
        damaged.write_text("count: {}")
        code, _, err = cli("export", str(toy_capsule.path), "-o", str(tmp_path / "crate"))
        assert code == 5
        assert "steps.yml" in err
        assert not (tmp_path / "crate").exists()


class TestWholeOrNotAtAll:
    @pytest.mark.parametrize("name", ["crate", "crate.zip"])
    def test_a_full_disk_leaves_nothing(self, name, run, monkeypatch):
        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        before = set(Path().iterdir())
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            RoCrate().export(run, Path(name))
        assert set(Path().iterdir()) == before

    @pytest.mark.parametrize("name", ["crate", "crate.zip"])
    def test_what_is_there_stays(self, name, run):
        Path(name).write_text("mine")
        with pytest.raises(UsageError, match="exists"):
            RoCrate().export(run, Path(name))
        assert Path(name).read_text() == "mine"

    @pytest.mark.parametrize("name", ["crate", "crate.zip"])
    def test_an_empty_directory_is_a_place(self, name, run):
        Path(name).mkdir()
        assert RoCrate().export(run, Path(name)).output == Path(name)
        assert Path(name).is_dir() == (name == "crate")

    def test_modes_are_kept(self, tmp_path):
        tool = tmp_path / "tool"
        tool.write_text("x")
        tool.chmod(0o755)
        packing.write({"bin/tool": tool, "text": b"y"}, tmp_path / "out.zip")
        with zipfile.ZipFile(tmp_path / "out.zip") as archive:
            assert archive.getinfo("bin/tool").external_attr >> 16 == 0o100755
            assert archive.getinfo("text").external_attr >> 16 == 0o100644
        packing.write({"bin/tool": tool}, tmp_path / "deep/out")
        assert (tmp_path / "deep/out/bin/tool").stat().st_mode & 0o111


class TestWords:
    def test_an_unknown_format_names_those_there_are(self, run, cli):
        code, out, err = cli("export", "a", "--format", "ro-crat", "-o", "x", "--json")
        assert code == 2
        assert schemas.problem("error-1", json.loads(out)) is None
        assert "known here: hepdata, reana, ro-crate" in err

    @pytest.mark.parametrize("words", [("nothing", "-o", "x"), (".", "-o", "x"), ("a",), ("-o", "x")])
    def test_what_cannot_be(self, words, run, cli):
        code, out, err = cli("export", *words)
        assert (code, out) == (2, "")
        assert err.startswith("error: ")

    def test_every_exporter_is_one(self):
        assert isinstance(export.find("ro-crate"), Exporter)


class TestTheWorkflowOfARun:
    """A run directory says by itself what it runs."""

    def test_it_is_the_flattened_one(self, run):
        document = json.loads((run / ".workflow.json").read_text())
        assert schemas.problem("workflow-1", document) is None
        assert document["workflow"] == localruns.document()
        assert _source(run) == localruns.document()

    def test_a_resumed_run_says_the_newest(self, run):
        before = (run / ".workflow.json").stat().st_ino
        localruns.execute(run)
        assert (run / ".workflow.json").stat().st_ino == before, "nothing new is not written again"
        localruns.execute(run, check="true")
        assert _source(run) == localruns.document(check="true")

    def test_relaxed_stages_stay_so(self, tmp_path):
        """A workflow that is only allowed with a relaxation is read back with it."""
        from recast_dm.engine.rundir import RunDirectory
        from recast_dm.spec import text, yadage

        document = localruns.document(signal="python3 -c 'print(1)' <<< $(( {m} ))")
        root = text.parse(yaml.safe_dump(document))
        with pytest.raises(SpecError):
            yadage.parse_workflow(root)
        loaded = yadage.parse_workflow(root, raw_stages=frozenset({"signal"}))
        with RunDirectory(tmp_path / "run") as rundir:
            rundir.identify({"analysis": "x"})
            rundir.keep_workflow(loaded, {"signal": ("compat: raw",)})
        assert _source(tmp_path / "run") == document


def _source(run: Path) -> dict[str, Any]:
    found = history.workflow(run)
    assert found is not None
    return dict(found.source)
