"""Where an analysis comes from: what git says of it, also in repositories that are odd or mean harm."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from recast_dm.capsule import source
from recast_dm.errors import IntegrityError

IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"), ("DATE", "2026-01-02T03:04:05Z"))
}


def git(place: Path, *words: str) -> str:
    env = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(["git", "-C", str(place), *words], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def commit(place: Path, message: str = "a commit") -> str:
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--allow-empty", "--message", message)
    return git(place, "rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path) -> Path:
    place = tmp_path / "group"
    (place / "search").mkdir(parents=True)
    git(place, "init", "--quiet", "--initial-branch=main")
    (place / "README").write_text("readme\n")
    (place / "search/recast.yml").write_text("name: search\n")
    commit(place)
    return place


def texts(found: source.Source) -> dict[str, bytes]:
    with source.history(found) as history:
        return dict(history.texts())


def bundle(found: source.Source, target: Path) -> None:
    with source.history(found) as history:
        history.bundle(target)


def of(directory: Path) -> source.Source:
    found = source.source_of(directory)
    assert found is not None
    return found


class TestSource:
    def test_what_git_says(self, repository):
        found = of(repository / "search")
        assert found.top == repository
        assert found.commit == git(repository, "rev-parse", "HEAD")
        assert (found.path, found.dirty, found.origin, found.shallow) == ("search", (), None, False)
        document = found.document("data/source/search.bundle", None)
        assert document["swhid"] == f"swh:1:rev:{found.commit}"
        assert document["directory_swhid"] == f"swh:1:dir:{git(repository, 'rev-parse', 'HEAD:search')}"

    def test_at_the_top(self, repository):
        found = of(repository)
        assert found.path == "."
        assert found.directory == git(repository, "rev-parse", "HEAD^{tree}")

    def test_the_commit_is_what_software_heritage_would_say(self, repository):
        """SWHIDs are git's own names: the hash of the object with its head, computed here once by hand."""
        import hashlib

        raw = git(repository, "cat-file", "commit", "HEAD") + "\n"
        head = f"commit {len(raw.encode())}\0".encode()
        assert (
            of(repository).document(None, None)["swhid"] == f"swh:1:rev:{hashlib.sha1(head + raw.encode()).hexdigest()}"
        )

    @pytest.mark.parametrize("how", ["nowhere", "no commit", "bare"])
    def test_none(self, tmp_path, how):
        if how != "nowhere":
            git(tmp_path, "init", "--quiet", *(["--bare"] if how == "bare" else []))
        assert source.source_of(tmp_path) is None

    def test_no_git(self, repository, monkeypatch, tmp_path):
        monkeypatch.setenv("PATH", str(tmp_path))
        assert source.source_of(repository) is None

    def test_what_is_not_committed(self, repository):
        (repository / "search/recast.yml").write_text("name: other\n")
        git(repository, "mv", "README", "READ ME")
        (repository / "search/neu → ü.txt").write_text("")
        (repository / 'search/with "quotes"\nand lines').write_text("")
        assert set(of(repository / "search").dirty) == {
            "search/recast.yml",
            'search/with "quotes"\nand lines',
            "search/neu → ü.txt",
        }
        assert set(of(repository).dirty) >= {"README", "READ ME"}

    def test_the_users_own_settings_change_nothing(self, repository, monkeypatch):
        (repository / "new").mkdir()
        (repository / "new/file").write_text("")
        plain = of(repository)
        git(repository, "config", "status.showUntrackedFiles", "no")
        git(repository, "config", "status.branch", "true")
        git(repository, "config", "color.ui", "always")
        monkeypatch.setenv("GIT_DIR", "/nowhere")
        monkeypatch.setenv("GIT_WORK_TREE", "/")
        assert of(repository) == plain
        assert plain.dirty == ("new/file",)

    def test_a_detached_head_and_a_worktree(self, repository, tmp_path):
        git(repository, "worktree", "add", "--quiet", "--detach", str(tmp_path / "tree"), "HEAD")
        found = of(tmp_path / "tree/search")
        assert (found.top, found.commit) == (tmp_path / "tree", of(repository).commit)
        bundle(found, tmp_path / "a.bundle")

    def test_a_working_tree_elsewhere(self, repository, tmp_path):
        (tmp_path / "other").mkdir()
        git(repository, "config", "core.worktree", str(tmp_path / "other"))
        assert source.source_of(repository) is None

    def test_a_clone_that_is_shallow(self, repository, tmp_path):
        commit(repository, "second")
        git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{repository}", "shallow")
        assert of(tmp_path / "shallow").shallow

    def test_sha256_has_no_swhid(self, tmp_path):
        git(tmp_path, "init", "--quiet", "--object-format=sha256")
        (tmp_path / "file").write_text("")
        name = commit(tmp_path)
        document = of(tmp_path).document(None, None)
        assert (document["commit"], document["swhid"], document["directory_swhid"]) == (name, None, None)
        assert of(tmp_path).identifiers == (name,)
        (tmp_path / "inside").mkdir()
        (tmp_path / "inside/file").write_text("text")
        commit(tmp_path)
        assert b"text" in texts(of(tmp_path / "inside")).values()

    @pytest.mark.parametrize(
        ("address", "origin"),
        [
            ("https://ada:word@example.org/a/b.git", "https://example.org/a/b.git"),
            ("https://ada:w@rd@example.org/a/b.git?private_token=x#y", "https://example.org/a/b.git"),
            ("git@example.org:a/b.git", "git@example.org:a/b.git"),
            ("/a/b", "/a/b"),
            ("https://[broken/a", None),
        ],
    )
    def test_no_password_of_the_origin(self, repository, address, origin):
        git(repository, "remote", "add", "origin", address)
        assert of(repository).origin == origin

    def test_nothing_that_a_repository_names_is_started(self, repository, tmp_path):
        """A repository that somebody sends is read without trust in its configuration."""
        trap = tmp_path / "trap"
        trap.write_text(f"#!/bin/sh\necho >> {tmp_path}/sprung\n")
        trap.chmod(0o755)
        git(repository, "config", "core.fsmonitor", str(trap))
        git(repository, "config", "core.hooksPath", str(tmp_path))
        git(repository, "config", "core.pager", str(trap))
        git(repository, "config", "core.sshCommand", str(trap))
        git(repository, "config", "uploadpack.packObjectsHook", str(trap))
        found = of(repository)
        bundle(found, tmp_path / "a.bundle")
        texts(found)
        assert not (tmp_path / "sprung").exists()

    def test_nothing_is_fetched_of_a_partial_clone(self, repository, tmp_path):
        """Its history is not whole, as that of a shallow one."""
        git(repository, "config", "uploadpack.allowFilter", "true")
        (repository / "README").write_text("another\n")
        commit(repository)
        git(tmp_path, "clone", "--quiet", "--filter=blob:none", f"file://{repository}", "partial")
        found = of(tmp_path / "partial")
        assert found.shallow
        with pytest.raises(IntegrityError, match="failed in"):
            texts(found)


class TestBundle:
    def test_it_can_be_cloned(self, repository, tmp_path):
        commit(repository, "second")
        found = of(repository)
        bundle(found, tmp_path / "a.bundle")
        git(tmp_path, "clone", "--quiet", "a.bundle", "again")
        assert git(tmp_path / "again", "rev-parse", "HEAD") == found.commit
        assert git(tmp_path / "again", "log", "--format=%s").split("\n") == ["second", "a commit"]

    def test_the_same_history_gives_the_same_bytes(self, repository, tmp_path):
        for name in "ab":
            bundle(of(repository), tmp_path / name)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()

    def test_a_repository_that_is_broken(self, repository, tmp_path):
        found = of(repository)
        for path in (repository / ".git/objects").rglob("*"):
            if path.is_file():
                path.unlink()
        with pytest.raises(IntegrityError, match="failed in"):
            bundle(found, tmp_path / "a.bundle")
        with pytest.raises(IntegrityError, match="failed in"):
            texts(found)

    def test_a_place_that_cannot_be_written(self, repository, tmp_path):
        with pytest.raises(IntegrityError, match="bundle"):
            bundle(of(repository), tmp_path / "none/a.bundle")


class TestHistory:
    def test_also_what_was_deleted(self, repository):
        (repository / "old name.txt").write_text("deleted since\n")
        commit(repository, "a message with a word")
        (repository / "old name.txt").unlink()
        commit(repository, "gone")
        found = texts(of(repository))
        files = {name.partition("@")[0]: data for name, data in found.items() if not name.startswith("commit ")}
        assert files == {
            "README": b"readme\n",
            "search/recast.yml": b"name: search\n",
            "old name.txt": b"deleted since\n",
        }
        assert any(b"a message with a word" in data for name, data in found.items() if name.startswith("commit "))

    def test_no_binaries_and_nothing_large(self, repository):
        (repository / "binary").write_bytes(b"a\0b")
        (repository / "large").write_bytes(b"x" * (source.LARGEST_TEXT + 1))
        (repository / "empty").write_bytes(b"")
        (repository / "just").write_bytes(b"x" * source.LARGEST_TEXT)
        commit(repository)
        names = {name.partition("@")[0] for name in texts(of(repository))}
        assert not names & {"binary", "large"}
        assert names >= {"empty", "just"}

    def test_who_reads_no_further_leaves_no_process(self, repository):
        for number in range(50):
            (repository / f"file{number}").write_text(str(number) * 10_000)
        commit(repository)
        with source.history(of(repository)) as history:
            found = history.texts()
            next(found)
            found.close()

    def test_many_files(self, repository):
        for number in range(2000):
            (repository / f"file{number}").write_text(str(number))
        commit(repository)
        found = texts(of(repository))
        assert len(found) == 2000 + 2 + 2
