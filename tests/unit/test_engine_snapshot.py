"""A copy of a directory that may still be changing: nothing outside of it is ever read."""

from __future__ import annotations

import os
from pathlib import Path

from recast_dm.engine import snapshot


def test_files_directories_and_links_are_copied_as_they_are(tmp_path):
    source = tmp_path / "source"
    (source / "deep/empty").mkdir(parents=True)
    (source / "deep/run").write_text("#!/bin/sh\n")
    (source / "deep/run").chmod(0o755)
    (source / "out").write_text("1\n")
    (source / "link").symlink_to("out")
    (source / "away").symlink_to("/etc")
    assert snapshot.snapshot(source, tmp_path / "copy")
    copy = tmp_path / "copy"
    assert sorted(str(path.relative_to(copy)) for path in copy.rglob("*")) == [
        "away", "deep", "deep/empty", "deep/run", "link", "out"
    ]  # fmt: skip
    assert (copy / "deep/run").stat().st_mode & 0o111
    assert not (copy / "out").stat().st_mode & 0o111
    assert (copy / "out").stat().st_ino != (source / "out").stat().st_ino
    assert (copy / "link").readlink() == Path("out")
    assert (copy / "away").readlink() == Path("/etc"), "the link, and nothing behind it"


def test_what_is_odd_or_large_is_not_copied(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.mkdir()
    os.mkfifo(source / "pipe")
    assert not snapshot.snapshot(source, tmp_path / "copy")
    (source / "pipe").unlink()
    (source / "large").write_bytes(b"x" * 11)
    monkeypatch.setattr(snapshot, "MOST", 10)
    assert not snapshot.snapshot(source, tmp_path / "copy")
    assert not snapshot.snapshot(tmp_path / "missing", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_a_link_in_the_place_of_the_directory_is_not_followed(tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_text("secret")
    (tmp_path / "source").symlink_to(tmp_path / "secret")
    assert not snapshot.snapshot(tmp_path / "source", tmp_path / "copy")
