"""The git history of an analysis: of a larger repository only what concerns it, and its SWHID stays true."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from recast_dm.capsule import source


def git(directory: Path, *words: str) -> str:
    identity = {f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in PERSON.items()}
    done = subprocess.run(
        ["git", "-C", str(directory), *words],
        env={**os.environ, **identity, "GIT_CONFIG_GLOBAL": os.devnull},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


PERSON = {"NAME": "Ada Ω", "EMAIL": "ada@example.org", "DATE": "2026-01-02T03:04:05 +0100"}


@pytest.fixture
def repository(tmp_path) -> Path:
    """An analysis, and a secret elsewhere; with a branch that was merged."""
    top = tmp_path / "group"
    (top / "specs/a b").mkdir(parents=True)
    git(top, "init", "-q", "--initial-branch=trunk")
    for path, text, message in (
        ("elsewhere", "password", "A secret\n\nof another analysis"),
        ("specs/a b/recast.yml", "name: one\n", "Begin Ω"),
    ):
        (top / path).write_text(text)
        git(top, "add", "-A")
        git(top, "commit", "-q", "-m", message)
    git(top, "checkout", "-q", "-b", "side")
    (top / "specs/a b/side").write_text("side")
    git(top, "add", "-A")
    git(top, "commit", "-q", "-m", "On the side")
    git(top, "checkout", "-q", "trunk")
    (top / "specs/a b/recast.yml").write_text("name: two\n")
    git(top, "commit", "-q", "-a", "-m", "Two")
    git(top, "merge", "-q", "--no-edit", "side")
    return top


def cloned(found: source.Source, tmp_path: Path) -> Path:
    with source.history(found) as history:
        history.bundle(tmp_path / "a.bundle")
        commit = history.commit
    subprocess.run(["git", "clone", "-q", tmp_path / "a.bundle", tmp_path / "clone"], check=True, capture_output=True)
    assert git(tmp_path / "clone", "rev-parse", "HEAD") == commit
    return tmp_path / "clone"


def test_of_a_larger_repository_only_the_directory(repository, tmp_path):
    found = source.source_of(repository / "specs/a b")
    assert found is not None
    assert found.path == "specs/a b"
    assert found.commit == git(repository, "rev-parse", "HEAD")
    clone = cloned(found, tmp_path)
    assert git(clone, "rev-parse", "HEAD^{tree}") == found.directory
    assert sorted(path.name for path in clone.iterdir()) == [".git", "recast.yml", "side"]
    told = git(clone, "log", "--format=%an %ae %aI%n%B")
    assert told.count("Original-commit: ") == 4
    assert "Ada Ω ada@example.org 2026-01-02T03:04:05+01:00" in told
    assert "secret" not in told
    assert found.commit in told
    assert git(clone, "rev-list", "--merges", "--count", "HEAD") == "1"


def test_its_texts_are_those_of_the_bundle(repository):
    found = source.source_of(repository / "specs/a b")
    with source.history(found) as history:
        texts = dict(history.texts())
    assert b"password" not in b"".join(texts.values())
    assert {data for name, data in texts.items() if name.startswith("recast.yml@")} == {b"name: one\n", b"name: two\n"}


def test_of_a_repository_of_its_own_everything_as_it_is(repository, tmp_path):
    found = source.source_of(repository)
    assert found is not None
    assert cloned(found, tmp_path).joinpath("elsewhere").read_text() == "password"


def test_nothing_is_written_into_the_repository(repository):
    before = sorted((repository / ".git").rglob("*"))
    with source.history(source.source_of(repository / "specs/a b")) as history:
        list(history.texts())
    assert sorted((repository / ".git").rglob("*")) == before


def test_what_is_not_committed(repository):
    (repository / "specs/a b/new Ω").write_text("new")
    assert source.source_of(repository / "specs/a b").dirty == ("specs/a b/new Ω",)
    (repository / "specs/other").mkdir()
    (repository / "specs/other/recast.yml").write_text("name: other")
    unknown = source.source_of(repository / "specs/other")
    assert unknown.directory is None
    assert unknown.document(None, None)["directory_swhid"] is None


def test_no_repository(tmp_path):
    assert source.source_of(tmp_path) is None
    git(tmp_path, "init", "-q")
    assert source.source_of(tmp_path) is None, "there is no commit yet"
