"""`python3 -m monojet STAGE`: the likelihood's stages by their files, and errors as one line and an exit code."""

from __future__ import annotations

import json

import pytest
from monojet import __main__ as cli
from monojet.errors import ConvergenceError
from monojet.files import write_json
from monojet_samples import YIELDS, selection_document


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    """Runs a stage in its own directory; its exit code and what it says on stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*words):
        code = cli.main([str(word) for word in words])
        out, err = capsys.readouterr()
        assert not out
        return code, err

    return call


def assert_one_line(err, stage):
    assert err.startswith(f"{stage}: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert "Traceback" not in err


def generate_words(**changes):
    words = {
        "pythia-settings": "32:m0=2000",
        "zprime-couplings": "18=0,1",
        "recoil-id": 32,
        "invisible-ids": 18,
        "expected-width-gev": 114,
        "seed": 1,
        "events": 10,
        "particles": "particles.npz",
        "generation": "generation.json",
        **changes,
    }
    return ["generate", *(str(x) for name, value in words.items() for x in (f"--{name}", value))]


def test_selections_become_a_patched_likelihood(call, tmp_path):
    for seed in (1, 2):
        write_json(tmp_path / f"s{seed}.json", selection_document(seed=seed))
    assert call("histogram", "--selections", "s2.json", "s1.json", "--luminosity-fb", 139, "--histogram", "h.json") == (
        0,
        "",
    )
    assert call("workspace", "--yields", YIELDS, "--correlation-model", "half", "--workspace", "w.json") == (0, "")
    assert call("patch", "--histogram", "h.json", "--workspace", "w.json", "--patch", "p.json") == (0, "")
    (operation,) = json.loads((tmp_path / "p.json").read_text())
    assert operation["op"] == "add"
    assert operation["value"]["data"] == json.loads((tmp_path / "h.json").read_text())["yields"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (generate_words(**{"zprime-couplings": "18=0"}), "not of the form"),
        (generate_words(events=0), "at least one"),
        (["select", "--particles", "p.npz", "--generation", "g.json", "--selection", "s.json"], "cannot read g.json"),
        (["histogram", "--selections", "s.json", "--luminosity-fb", "139", "--histogram", "h.json"], "cannot read"),
        (
            ["workspace", "--yields", "y.yaml", "--correlation-model", "half", "--workspace", "w.json"],
            "cannot read y.yaml",
        ),
        (
            ["workspace", "--yields", str(YIELDS), "--correlation-model", "none", "--workspace", "w.json"],
            "none of independent, half, full",
        ),
        (["patch", "--histogram", "h.json", "--workspace", "w.json", "--patch", "p.json"], "cannot read h.json"),
        (
            [
                *["limit", "--workspace", "w.json", "--patch", "p.json", "--histogram", "h.json"],
                *["--correlation-model", "half", "--limit", "l.json"],
            ],
            "cannot read w.json",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(call, tmp_path, words, says):
    code, err = call(*words)
    assert code == 2
    assert_one_line(err, words[0])
    assert says in err
    assert not list(tmp_path.iterdir())


def test_no_selected_event_is_exit_1(call, tmp_path):
    write_json(tmp_path / "s.json", selection_document(seed=1, counts=[[0] * 13] * 4))
    code, err = call("histogram", "--selections", "s.json", "--luminosity-fb", 139, "--histogram", "h.json")
    assert code == 1
    assert_one_line(err, "histogram")


def test_a_limit_that_does_not_converge_is_exit_7(call, tmp_path, monkeypatch):
    from monojet import limit

    def fail(**_):
        raise ConvergenceError("a fit did not converge: NaN")

    monkeypatch.setattr(limit, "run", fail)
    names = ("workspace", "patch", "histogram", "correlation-model", "limit")
    code, err = call("limit", *(word for name in names for word in (f"--{name}", "x")))
    assert code == 7
    assert_one_line(err, "limit")


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"schema": "other/1"}'])
def test_a_damaged_histogram_is_one_line(call, tmp_path, text):
    (tmp_path / "h.json").write_text(text)
    code, err = call("patch", "--histogram", "h.json", "--workspace", "w.json", "--patch", "p.json")
    assert code == 2
    assert_one_line(err, "patch")


@pytest.mark.parametrize("words", [[], ["simulate"], ["limit"], ["generate", "--seed", "one"]])
def test_usage_errors_are_argparses(words, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert "usage: monojet" in capsys.readouterr().err
