"""`recast-dm catalogue`: documents, exit codes, and names where paths are expected."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from recast_dm import schemas
from recast_dm.capsule import packing
from recast_dm.cli import chosen, execution, options
from recast_dm.errors import UsageError

ENTRY = "name: theirs/rome\nspec: {toplevel: 'github:org/repo', workflow: w.yml}\n"


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "rome.yml").write_text(ENTRY)
    own = replace(options.DEFAULTS, catalogue=tmp_path / "cat.json", recast_catalogues=(theirs,))
    monkeypatch.setattr(options, "DEFAULTS", own)
    return tmp_path


@pytest.fixture
def capsule(own_place, toy_capsule) -> Path:
    (own_place / "things").mkdir()
    return toy_capsule.path.rename(own_place / "things/toy.capsule")


@pytest.fixture
def cli(cli):
    """Runs `recast-dm catalogue`."""
    return partial(cli, "catalogue")


@pytest.fixture
def answer(cli):
    """The document of a verb, which its schema holds for."""

    def answer(verb: str, *words: object, code: int = 0) -> dict:
        ended, out, _ = cli(verb, *words, "--json")
        assert ended == code
        document = json.loads(out)
        name = document["schema"].removeprefix("recast-dm/").replace("/", "-")
        assert name == ("error-1" if code == 2 else f"catalogue-{verb}-1")
        assert schemas.problem(name, document) is None
        return document

    return answer


class TestDocuments:
    def test_a_place_has_one_name_whichever_way_led_there(self, answer, cli, capsule, own_place):
        (own_place / "way").symlink_to(own_place / "things")
        for word in ("things/toy.capsule", "things/../things/toy.capsule", "way/toy.capsule", f"{capsule}/data/.."):
            answer("add", word)
        (known,) = [each for each in answer("ls")["known"] if each["kind"] == "capsule"]
        assert [each["place"] for each in known["places"]] == [str(capsule)]
        assert cli("describe", "way/toy.capsule")[0] == 0
        assert cli("describe", "a\0b/c")[0] == 2

    def test_the_life_of_an_entry(self, answer, capsule):
        packing.pack(capsule, capsule.with_name("packed.capsule.tar"))
        added = answer("add", "things", "https://example.org/far.capsule.zip")["added"]
        assert [(Path(each["place"]).name, each["new"]) for each in added] == [
            ("packed.capsule.tar", True),
            ("toy.capsule", True),
            ("far.capsule.zip", True),
        ]
        known = answer("ls")["known"]
        assert [(each["name"], each["state"], len(each["places"])) for each in known] == [
            ("far", "remote", 1),
            ("theirs/rome", "unverified", 1),
            ("toy", "unverified", 2),
        ]
        assert [each["name"] for each in answer("ls", "Counting", "efficiency-map")["known"]] == ["toy"]
        checked = answer("check")["checked"]
        assert [(each["name"], each["check"] and each["check"]["ok"]) for each in checked] == [
            ("far", None),
            ("theirs/rome", None),
            ("toy", True),
            ("toy", True),
        ]
        told = answer("describe", "toy")
        assert (told["state"], told["details"]["stages"]) == ("ok", ["count", "limit"])
        assert told["verified"] == max(each["check"]["time"] for each in checked[2:])
        assert told["commands"] == [
            "recast-dm run toy",
            "recast-dm rerun toy --model spin1-axial --set m_med=1000 --set m_dm=1",
        ]
        assert answer("describe", "theirs/rome")["commands"] == ["recast-dm run theirs/rome --allow-remote"]
        assert answer("describe", "far")["details"] is None
        assert [each["place"] for each in answer("check", capsule)["checked"]] == [str(capsule)]
        assert len(answer("rm", "toy")["forgotten"]) == 2
        assert [each["name"] for each in answer("ls")["known"]] == ["far", "theirs/rome"]
        assert capsule.is_dir()

    def test_errors(self, answer, capsule):
        for words, message in (
            (("add", "none"), "does not exist"),
            (("describe", "toy"), "the catalogue knows no 'toy'"),
            (("check", "toy"), "the catalogue knows no 'toy'"),
            (("rm", "theirs/rome"), "stands in a directory of RECAST_ATLAS_CATALOGUE"),
        ):
            assert message in answer(*words, code=2)["message"]

    def test_nothing_is_added_where_one_word_is_wrong(self, answer, capsule):
        answer("add", capsule, "none", code=2)
        assert [each["name"] for each in answer("ls")["known"]] == ["theirs/rome"]

    def test_a_check_that_fails(self, answer, capsule):
        answer("add", capsule)
        (capsule / "data/workflow.yml").write_text("stages: []")
        (row,) = answer("check", "toy", code=5)["checked"]
        assert "workflow.yml" in row["check"]["problems"][0]
        (thing,) = answer("ls", "invalid")["known"]
        assert thing["verified"] is None
        shutil.rmtree(capsule)
        (row,) = answer("check", "toy", code=5)["checked"]
        assert answer("ls", "toy")["known"][0]["state"] == "missing"


class TestTables:
    def test_what_people_read(self, cli, capsule, toy_directory):
        assert cli("ls", "toy")[1:] == ("", "nothing is known here with these words\n")
        assert "added  toy  capsule" in cli("add", capsule)[1]
        assert "known already  toy  capsule" in cli("add", capsule)[1]
        code, out, _ = cli("ls", "toy")
        head, row = out.splitlines()
        assert (code, head.split()) == (0, ["name", "kind", "state", "size", "formats", "title", "place"])
        assert row.split()[:3] == ["toy", "capsule", "unverified"]
        assert cli("check", "toy")[1] == f"ok  toy  {capsule}\n"
        out = cli("describe", "toy")[1]
        for line in (
            "title    Toy counting experiment",
            f"place    {capsule} (ok)",
            "signal   efficiency-map",
            "         m_med = parameters.m_med",
            "example  default: program, seeds, events",
            "stages   count, limit",
            "result   limit: limit/limit.json",
            "closure  spin1-axial m_med=1000, m_dm=1: mu_upper_obs = 0.5 (invented for the tests)",
        ):
            assert line in out.splitlines()
        assert re.search(r"^image    recast-dm/toy:1\.0  \d+ layers?  [\d.]+ [kM]?B$", out, re.MULTILINE)
        (capsule / "data/workflow.yml").write_text("stages: []")
        code, out, _ = cli("check")
        assert code == 5
        assert f"INVALID  toy  {capsule}\n  " in out
        code, out, err = cli("rm", "toy")
        assert (code, out, err) == (0, f"forgotten: {capsule}\n", "no file was deleted\n")

    def test_an_empty_catalogue(self, cli, monkeypatch):
        monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, recast_catalogues=()))
        assert cli("ls")[1:] == ("", "nothing is known here; `recast-dm catalogue add` enters it\n")
        assert cli("check")[:2] == (0, "")


class TestNamesForPaths:
    def test_a_name_opens_what_it_names(self, cli, capsule):
        cli("add", capsule)
        subject = execution.open_subject("toy", execution.Opening(), None)
        assert subject.capsule is not None
        assert subject.capsule.path == capsule

    def test_a_path_goes_before_a_name(self, cli, capsule, own_place):
        cli("add", capsule)
        (own_place / "toy").mkdir()
        assert chosen.subject("toy") == "toy"
        for word in ("https://example.org/w.yml", "github:org/repo:w.yml", str(capsule / "data/workflow.yml") + "#/a"):
            assert chosen.subject(word) == word

    def test_a_name_that_nobody_knows(self, cli, capsule, monkeypatch):
        cli("add", capsule)
        for name in ("tooy", "a\0b", "x" * 5000):
            with pytest.raises(UsageError, match="there is no such path, and the catalogue knows no") as caught:
                chosen.subject(name)
            assert "`recast-dm catalogue ls` lists what is known" in str(caught.value)
        with pytest.raises(UsageError, match="did you mean 'toy'"):
            chosen.subject("tooy")
        monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, recast_catalogues=()))
        cli("rm", "toy")
        assert chosen.subject("tooy") == "tooy"
