"""`recast-dm new`: a template that is right, complete, and never written over anything."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from recast_dm import runtimes, schemas, store
from recast_dm.cli import main, new
from recast_dm.errors import ToolMissing
from recast_dm.spec import analysis
from recast_dm.spec.check import check
from recast_dm.spec.source import open_source

TOP = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def no_engine(monkeypatch, tmp_path):
    def find(_name):
        raise ToolMissing("none here")

    monkeypatch.setattr(runtimes, "find", find)
    monkeypatch.chdir(tmp_path)


def test_the_template_is_right(capsys):
    assert main(["new", "my-search"]) == 0
    said = capsys.readouterr()
    assert f"docker pull {new.PULLED}" in said.err, "nothing is here, and that is said"
    found = check("my-search")
    assert (found.errors, found.warnings) == ((), ())
    loaded = analysis.load(Path("my-search"))
    assert loaded.name == "my-search"
    assert loaded.workflow.images() == (new.PULLED,)
    assert open_source("my-search").kind == "analysis"
    left = [path for path in Path("my-search").rglob("*") if path.is_file() and "@" in path.read_text()]
    assert left == [], "every word is filled in"


def test_the_physics_of_the_template_passes_its_own_test(capsys):
    assert main(["new", "my-search"]) == 0
    done = subprocess.run(
        [sys.executable, "-B", "my-search/tests/test_search.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_image_that_is_here_is_taken(bench, monkeypatch, capsys):
    class Engine:
        def image(self, reference):
            return object() if reference == new.CANDIDATES[1] else None

    monkeypatch.setattr(runtimes, "find", lambda _name: Engine())
    assert main(["new", "one", "--json"]) == 0
    said = capsys.readouterr()
    document = json.loads(said.out)
    assert schemas.problem("new-1", document) is None
    assert document["image"] == new.CANDIDATES[1]
    assert set(document["files"]) == {file.path for file in store.tree_of(Path("one")).files}
    assert said.err == ""


def test_the_image_that_is_named_is_taken(capsys):
    assert main(["new", "one", "--image", "host.example:5000/group/my.image:1.0-rc"]) == 0
    assert analysis.load(Path("one")).workflow.images() == ("host.example:5000/group/my.image:1.0-rc",)


@pytest.mark.parametrize(
    "image", ["python", "python:latest", "Python:3", "a b:1", "x:1@sha256:0", "x:'1", "-x:1", ":1"]
)
def test_an_image_without_a_version_is_refused(image, capsys):
    assert main(["new", "one", "--image", image]) == 2
    assert not Path("one").exists()


@pytest.mark.parametrize("name", ["My-Search", "a b", "a@b", ".hidden", "..", "ä", "a--b", "-a", "/"])
def test_a_name_that_no_image_could_have_is_refused(name, capsys):
    assert main(["new", "--", name]) == 2
    assert list(Path().iterdir()) == []


def test_nothing_is_written_over(capsys):
    Path("there").mkdir()
    Path("link").symlink_to("nowhere")
    assert main(["new", "there"]) == 2
    assert main(["new", "link"]) == 2
    assert sorted(path.name for path in Path().iterdir()) == ["link", "there"]
    assert list(Path("there").iterdir()) == []


def test_where_nothing_can_be_written_is_a_storage_error(capsys):
    Path("file").touch()
    assert main(["new", "file/one"]) == 9
    assert "Not a directory" in capsys.readouterr().err


def test_a_directory_in_another_one(capsys):
    assert main(["new", "a/b/my-search"]) == 0
    assert analysis.load(Path("a/b/my-search")).name == "my-search"


def test_the_template_is_in_the_wheel(tmp_path):
    words = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "dist")]
    done = subprocess.run(words, cwd=TOP, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if "templates/analysis/" in name}
    here = TOP / "recast_dm/templates/analysis"
    files = [path for path in here.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert packed == {str(path.relative_to(TOP)) for path in files}
