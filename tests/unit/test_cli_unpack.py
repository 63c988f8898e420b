"""`recast-dm unpack`: the capsule that was packed, and one clear error for what is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recast_dm import schemas
from recast_dm.capsule import open_capsule, packing
from recast_dm.cli import main


@pytest.fixture
def capsule(toy_capsule, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return toy_capsule.path


@pytest.mark.parametrize("form", ["zip", "tar"])
def test_the_same_capsule_comes_out(capsule, tmp_path, capsys, form):
    digest = open_capsule(capsule).digest
    packing.pack(capsule, tmp_path / f"packed.capsule.{form}")
    assert main(["unpack", f"packed.capsule.{form}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert schemas.problem("unpack-1", document) is None
    assert (document["capsule"], document["digest"]) == ("packed.capsule", digest)
    assert open_capsule(tmp_path / "packed.capsule").digest == digest
    assert main(["unpack", f"packed.capsule.{form}", "-o", "deep/other"]) == 0
    assert f"sha256:{digest}" in capsys.readouterr().out
    assert open_capsule(tmp_path / "deep/other").digest == digest


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["none.zip"], 2, "none.zip does not exist"),
        (["toy.capsule"], 2, "toy.capsule is a directory: not a capsule in one file"),
        (["x.capsule.zip", "-o", "toy.capsule"], 2, "toy.capsule exists"),
        (["cut.zip"], 5, "cut.zip: it ends early"),
    ],
)
def test_what_cannot_be_unpacked(capsule, tmp_path, capsys, words, code, message):
    packing.pack(capsule, tmp_path / "x.capsule.zip")
    (tmp_path / "cut.zip").write_bytes((tmp_path / "x.capsule.zip").read_bytes()[:-400])
    before = sorted(tmp_path.rglob("*"))
    assert main(["unpack", *words, "--json"]) == code
    document = json.loads(capsys.readouterr().out)
    assert schemas.problem("error-1", document) is None
    assert message in document["message"]
    assert sorted(tmp_path.rglob("*")) == before
