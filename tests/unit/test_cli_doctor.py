"""`recast-dm doctor`: of an analysis, of a capsule, of this machine."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from recast_dm import runtimes, schemas
from recast_dm.cli import options
from recast_dm.errors import ToolMissing


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, cache_dir=tmp_path / "deep" / "cache"))


@pytest.fixture
def cli(cli):
    """Runs `recast-dm doctor`."""
    return partial(cli, "doctor")


@pytest.fixture
def toy(toy_directory, tmp_path) -> Path:
    shutil.copytree(toy_directory, tmp_path / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "toy"


def document(out: str) -> dict:
    read = json.loads(out)
    assert schemas.problem("doctor-1", read) is None
    return read


class TestAnalysis:
    def test_warnings_are_no_failure(self, cli, toy):
        code, out, err = cli(str(toy))
        assert (code, err) == (0, "")
        assert "recast.yml: warning: no likelihood is named" in out
        assert out.splitlines()[-1] == "toy: 3 warnings, 2 notes"

    def test_a_secret_is(self, cli, toy):
        (toy / "run.sh").write_text("export REANA_ACCESS_TOKEN=XyZ-9aBcDeFgHiJkLmNoPq\n")
        code, out, _ = cli(str(toy), "--json")
        assert code == 3
        assert "XyZ" not in out
        first = document(out)["findings"][0]
        assert (first["code"], first["severity"], first["where"]) == ("secret", "error", "run.sh:1")
        assert first["message"].split()[2].rstrip(":") in first["hint"]

    def test_nothing_there_is_one_error(self, cli, tmp_path):
        code, out, _ = cli(str(tmp_path), "--json")
        assert code == 3
        assert json.loads(out)["schema"] == "recast-dm/error/1"

    def test_a_capsule_keeps_its_images(self, cli, toy_capsule):
        code, out, _ = cli(str(toy_capsule.path), "--json")
        assert code == 0
        severities = {each["code"]: each["severity"] for each in document(out)["findings"]}
        assert severities["image-unpinned"] == "note"


class TestMachine:
    def test_a_runtime_that_works(self, cli, bench, monkeypatch):
        monkeypatch.setattr(runtimes, "find", lambda _name: bench.runtime)
        code, out, err = cli("--json")
        assert (code, err) == (0, "")
        checks = {each["name"]: each for each in document(out)["machine"]}
        assert checks["runtime docker"]["works"]
        assert "GB free" in checks["cache"]["found"]

    def test_none_that_works(self, cli, monkeypatch):
        def none(_name):
            raise ToolMissing("docker does not answer", hint="start it")

        monkeypatch.setattr(runtimes, "find", none)
        code, out, _ = cli()
        assert code == 4
        assert re.search(r"runtime docker +does not work +docker does not answer", out)
        assert "runtime docker: start it" in out
        assert document(cli("--json")[1])["source"] is None
