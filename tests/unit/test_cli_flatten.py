"""`recast-dm flatten`: one document, exit codes, and what it writes validates again."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import typer

from recast_dm import schemas, spec
from recast_dm.cli import flatten, main
from recast_dm.errors import RecastError
from recast_dm.spec import text
from recast_dm.spec.source import flatten as flattened
from recast_dm.spec.source import open_source

TOP = Path(__file__).parents[2]
ANALYSES = sorted(
    manifest.parent for manifest in [*TOP.glob("specs/*/recast.yml"), *TOP.glob("tests/analyses/*/recast.yml")]
)


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def cli(capsys, place, monkeypatch):
    """The verb alone, as a command of its own; gives the exit code, stdout and stderr."""
    app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False)
    app.command("flatten")(flatten.flatten)
    app.callback()(lambda: None)
    monkeypatch.setattr(sys.modules["recast_dm.cli.main"], "app", app)

    def cli(*words: str) -> tuple[int, str, str]:
        code = main(["flatten", *words])
        seen = capsys.readouterr()
        return code, seen.out, seen.err

    return cli


def references(value: object) -> bool:
    if isinstance(value, dict):
        return "$ref" in value or any(map(references, value.values()))
    return isinstance(value, list) and any(map(references, value))


@pytest.mark.parametrize("directory", ANALYSES, ids=lambda path: path.name)
def test_every_analysis_flattens_to_a_workflow_that_validates_again(directory, cli):
    code, out, err = cli(str(directory))
    assert (code, err) == (0, "")
    document = text.parse(out).plain()
    assert not references(document)
    code, out, _ = cli(str(directory), "-o", "deep/flat.yml")
    assert code == 0
    assert "deep/flat.yml" in out
    assert text.read(Path("deep/flat.yml")).plain() == document
    names = [stage.name for stage in spec.load(Path("deep/flat.yml")).stages]
    source = open_source(directory)
    assert source.analysis is not None
    assert names == [stage.name for stage in source.analysis.workflow.stages]


CORPUS = sorted(path.parent for path in TOP.glob("tests/conformance/specs/*/workflow.yml"))


@pytest.mark.parametrize("directory", CORPUS, ids=lambda path: path.name)
def test_the_corpus_flattens_to_the_same_workflow(directory, place):
    try:
        source = open_source(directory / "workflow.yml")
        before = spec.parse_workflow(source.root)
    except RecastError:
        return  # what is refused there is refused here: another test's matter
    Path("flat.yml").write_text(flattened(source))
    after = spec.load(Path("flat.yml"))
    assert [stage.name for stage in after.stages] == [stage.name for stage in before.stages]
    assert flattened(open_source("flat.yml")) == Path("flat.yml").read_text()


def test_json_is_one_document(cli, toy_directory):
    for words, output in (((), None), (("-o", "flat.yml"), "flat.yml")):
        code, out, _ = cli(str(toy_directory), *words, "--json")
        document = json.loads(out)
        assert code == 0
        assert schemas.problem("flatten-1", document) is None
        assert (document["kind"], document["output"]) == ("analysis", output)
        assert not references(document["workflow"])


def test_below_a_toplevel(cli, toy_directory):
    code, out, _ = cli("workflow.yml", "--toplevel", str(toy_directory))
    assert code == 0
    assert text.parse(out).plain()["stages"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("nowhere.yml",), 2, "nowhere.yml does not exist"),
        (("bad.yml",), 3, "bad.yml:1:9: "),
        (("w.yml", "--toplevel", "github:org/repo"), 2, "--allow-remote"),
        (("https://example.org/w.yml",), 2, "--allow-remote"),
        (("remote.yml",), 3, "remote.yml:1:16: https://example.org/s.yml is on a server"),
        (("w.yml", "--toplevel", "github:nobody"), 2, "is on a server"),
        (("w.yml", "--toplevel", "github:nobody", "--allow-remote"), 2, "cannot be read"),
        (("http://example.org/w.yml", "--allow-remote"), 6, "plain http is not spoken"),
        (("https://127.0.0.1:1/w.yml", "--allow-remote"), 6, "cannot reach 127.0.0.1:1"),
        (("w.yml", "-o", "w.yml"), 2, "is the specification itself"),
        (("w.yml", "-o", "."), 2, "is a directory"),
        (("w.yml", "-o", "w.yml/flat.yml"), 9, "cannot write"),
        ((), 2, "Missing argument"),
    ],
)
def test_errors_have_their_exit_codes(cli, toy_directory, words, code, message):
    Path("bad.yml").write_text("stages: 5")
    Path("remote.yml").write_text("stages: {$ref: 'https://example.org/s.yml'}")
    Path("w.yml").write_text(flattened(open_source(toy_directory)))
    got, out, err = cli(*words)
    assert (got, out) == (code, "")
    assert message in err
    got, out, _ = cli(*words, "--json")
    document = json.loads(out)
    assert (got, document["exit_code"]) == (code, code)
    assert schemas.problem("error-1", document) is None


def test_what_lies_elsewhere_is_said(cli, toy_directory):
    Path("recast.yml").write_text(
        f"name: a\nspec: {{toplevel: '{toy_directory}', workflow: workflow.yml}}\n"
        "example_inputs: {x: {initdata: {}}}\n"
    )
    code, out, err = cli("recast.yml")
    assert code == 0
    assert text.parse(out).plain()["stages"]
    assert "note: the toplevel" in err
