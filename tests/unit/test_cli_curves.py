"""`recast-dm curves`: documents, exit codes, and what a user is told."""

import json
from dataclasses import replace
from functools import partial

import pytest

from recast_dm import schemas
from recast_dm.cli import options
from recast_dm.config import Config

SAID = ("--name", "mine", "--quantity", "SI", "--cl", "0.9", "--citation", "arXiv:2410.17036", "--assumes", "all")


@pytest.fixture(autouse=True)
def own_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "DEFAULTS", replace(options.DEFAULTS, curves=tmp_path / "own" / "curves.json"))
    (tmp_path / "limit.csv").write_text("mass [GeV],limit [pb]\n10,1e-10\n100,1e-11\n")
    return tmp_path


@pytest.fixture
def cli(cli):
    return partial(cli, "curves")


def answer(cli, verb, *words, code=0):
    ended, out, _ = cli(verb, *words, "--json")
    assert ended == code
    document = json.loads(out)
    name = document["schema"].removeprefix("recast-dm/").replace("/", "-")
    assert name == (f"curves-{verb}-1" if code == 0 else "error-1")
    assert schemas.problem(name, document) is None
    return document


def test_add_ls_and_rm_answer_with_documents(cli):
    assert len(answer(cli, "ls")["curves"]) == 15
    added = answer(cli, "add", "limit.csv", *SAID)["curve"]
    assert added["limits"] == pytest.approx([1e-46, 1e-47], rel=1e-9, abs=0)
    assert added["source"].endswith("/limit.csv")
    listed = answer(cli, "ls")["curves"]
    assert listed[-1] == added
    assert len(listed) == 16
    assert answer(cli, "rm", "mine") == {"schema": "recast-dm/curves-rm/1", "forgotten": ["mine"]}
    assert len(answer(cli, "ls")["curves"]) == 15


def test_ls_finds_words_and_shows_what_must_be_said(cli):
    assert {each["name"] for each in answer(cli, "ls", "veritas", "BB")["curves"]} == {"veritas-2017-bb"}
    code, out, _ = cli("ls", "lz")
    assert code == 0
    lines = [line for line in out.splitlines() if line.startswith("lz-2024")]
    assert len(lines) == 3
    assert all("90 %" in line and "arXiv:2410.17036" in line and "digitised" in line for line in lines)
    assert "no verdict" in cli("ls", "icecube")[1]
    code, out, err = cli("ls", "nothing-has-this")
    assert (code, out) == (0, "")
    assert "no curve" in err


def test_a_curve_of_annihilation(cli, own_place):
    (own_place / "s.csv").write_text("100,1e-23\n1000,1e-24\n")
    words = ("--name", "d", "--quantity", "sigmav", "--channel", "bb", "--dirac", "--cl", "0.95", "--year", "2020")
    curve = answer(cli, "add", "s.csv", *words, "--citation", "us", "--assumes", "all")["curve"]
    assert (curve["channel"], curve["self_conjugate"], curve["unit"]) == ("bb", False, "cm3/s")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("add", "limit.csv"), "a curve needs name, quantity"),
        (("add", "none.csv", *SAID), "cannot read none.csv"),
        (("add", "limit.csv", *SAID, "--cl", "90"), "0.9 is 90 %"),
        (("add", "limit.csv", *SAID, "--quantity", "SD"), "limits 'SD'"),
        (("add", "limit.csv", *SAID, "--name", "lz-2024-si"), "comes with recast-dm"),
        (("rm", "nobody"), "not one of your curves"),
        (("rm", "lz-2024-si"), "comes with recast-dm"),
    ],
)
def test_a_wrong_word_is_one_error(cli, words, said):
    verb, *rest = words
    document = answer(cli, verb, *rest, code=2)
    assert said in document["message"]
    code, out, err = cli(*words)
    assert (code, out) == (2, "")
    assert said in err


def test_an_error_in_a_file_names_its_line(cli, own_place):
    (own_place / "bad.csv").write_text("mass,limit\n10,1e-46\n100,oops\n")
    where = answer(cli, "add", "bad.csv", *SAID, code=2)["where"]
    assert (where["file"], where["line"]) == ("bad.csv", 3)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"RECAST_DM_CURVES": "/c.json", "XDG_CONFIG_HOME": "/x"}, "/c.json"),
        ({"XDG_CONFIG_HOME": "/x", "HOME": "/h"}, "/x/recast-dm/curves.json"),
        ({"HOME": "/h"}, "/h/.config/recast-dm/curves.json"),
    ],
)
def test_where_own_curves_lie(environ, expected):
    assert str(Config.from_environment(environ).curves) == expected
