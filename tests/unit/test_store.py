"""Durable writes, trees and links: nothing half-done is ever seen."""

from __future__ import annotations

import errno
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import strategies
from hypothesis import given

from recast_dm import store
from recast_dm.errors import IntegrityError, StorageError


class Crash(BaseException):
    """The machine stops here."""


@pytest.fixture
def tree(tmp_path):
    """A small tree: nested, executable, empty file, odd names."""
    root = tmp_path / "tree"
    (root / "sub/deep").mkdir(parents=True)
    (root / "a").write_bytes(b"a")
    (root / "sub/run.sh").write_bytes(b"#!/bin/sh\n")
    (root / "sub/run.sh").chmod(0o755)
    (root / "sub/deep/empty").touch()
    (root / "Zürich\n x").write_bytes(b"z")
    return root


STEPS = [("fsync", 1), ("rename", 1), ("open", 1), ("fsync", 2)]
"""The system calls of write_atomic after its file is open, in order: open is that of the directory."""


class TestWriteAtomic:
    @pytest.mark.parametrize(("call", "nth"), STEPS)
    def test_a_crash_at_any_call_leaves_the_old_bytes_or_the_new(self, tmp_path, monkeypatch, call, nth):
        path = tmp_path / "f"
        path.write_bytes(b"old")
        real, count = getattr(os, call), 0

        def crash(*args, **options):
            nonlocal count
            count += 1
            if count == nth:
                raise Crash
            return real(*args, **options)

        monkeypatch.setattr(os, call, crash)
        with pytest.raises(Crash):
            store.write_atomic(path, b"new")
        assert path.read_bytes() == (b"new" if (call, nth) in STEPS[2:] else b"old")

    @pytest.mark.parametrize(("call", "nth"), STEPS)
    @pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO])
    def test_an_error_at_any_call_is_a_storage_error_and_leaves_no_litter(
        self, tmp_path, monkeypatch, call, nth, number
    ):
        path = tmp_path / "f"
        path.write_bytes(b"old")
        real, count = getattr(os, call), 0

        def fail(*args, **options):
            nonlocal count
            count += 1
            if count == nth:
                raise OSError(number, os.strerror(number))
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(StorageError, match="cannot write"):
                store.write_atomic(path, b"new")
        assert [p.name for p in tmp_path.iterdir()] == ["f"]
        assert path.read_bytes() in (b"old", b"new")

    def test_bytes_are_on_disk_before_the_name_is_and_the_name_before_it_returns(self, tmp_path, monkeypatch):
        order = []
        for call in ("fsync", "rename"):
            real = getattr(os, call)
            monkeypatch.setattr(os, call, lambda *a, c=call, r=real, **k: (order.append(c), r(*a, **k))[1])
        store.write_atomic(tmp_path / "f", b"x")
        assert order == ["fsync", "rename", "fsync"]

    def test_makes_the_directories_it_needs(self, tmp_path):
        store.write_atomic(tmp_path / "a/b/f", b"x")
        assert (tmp_path / "a/b/f").read_bytes() == b"x"

    def test_readers_see_one_version_or_the_other(self, tmp_path):
        path, versions = tmp_path / "f", (b"a" * 100_000, b"b" * 50_000)
        store.write_atomic(path, versions[0])
        stop = threading.Event()

        def write():
            while not stop.is_set():
                for version in versions:
                    store.write_atomic(path, version)

        writer = threading.Thread(target=write)
        writer.start()
        try:
            assert all(path.read_bytes() in versions for _ in range(200))
        finally:
            stop.set()
            writer.join()


class TestJson:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"{", "is not JSON"),
            (b"\xff", "is not JSON"),
            (b"[" * 100_000, "is not JSON"),
            (b"[]", "has the schema None"),
            (b'{"schema": "x/2"}', "has the schema 'x/2', not 'x/1'"),
        ],
    )
    def test_what_is_not_our_document_is_an_integrity_error(self, tmp_path, content, message):
        (tmp_path / "d.json").write_bytes(content)
        with pytest.raises(IntegrityError, match=message):
            store.read_json(tmp_path / "d.json", "x/1")

    def test_a_missing_document(self, tmp_path):
        with pytest.raises(IntegrityError, match="cannot read"):
            store.read_json(tmp_path / "none.json", "x/1")

    @given(strategies.documents)
    def test_pretty_documents_read_back(self, document):
        import json

        assert store.canonical(json.loads(store.pretty(document))) == store.canonical(document)

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_numbers_that_json_lacks_are_refused(self, value):
        for write in (store.canonical, store.pretty):
            with pytest.raises(ValueError, match="JSON"):
                write([value])


class TestTree:
    def test_names_sizes_hashes_and_modes(self, tree):
        found = store.tree_of(tree)
        assert [file.path for file in found.files] == ["Zürich\n x", "a", "sub/deep/empty", "sub/run.sh"]
        assert [file.executable for file in found.files] == [False, False, False, True]
        assert found.files[1].sha256 == "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
        assert store.Tree.from_document(found.document()) == found

    @pytest.mark.parametrize(
        ("change", "same"),
        [
            (lambda t: os.utime(t / "a", (1, 1)), True),
            (lambda t: (t / "a").chmod(0o600), True),
            (lambda t: (t / "empty").mkdir(), True),
            (lambda t: (t / "a").write_bytes(b"b"), False),
            (lambda t: (t / "a").rename(t / "b"), False),
            (lambda t: (t / "a").chmod(0o755), False),
            (lambda t: (t / "more").touch(), False),
            (lambda t: (t / "sub/deep/empty").unlink(), False),
        ],
    )
    def test_the_address_covers_paths_contents_and_executable_bits_alone(self, tree, change, same):
        before = store.tree_of(tree).sha256
        change(tree)
        assert (store.tree_of(tree).sha256 == before) is same

    @pytest.mark.parametrize(
        "make",
        [
            lambda t: (t / "l").symlink_to("a"),
            lambda t: (t / "l").symlink_to("nowhere"),
            lambda t: (t / "sub/l").symlink_to(".."),
            lambda t: os.mkfifo(t / "l"),
        ],
    )
    def test_links_and_special_files_are_refused(self, tree, make):
        make(tree)
        with pytest.raises(IntegrityError, match="is a link or a special file"):
            store.tree_of(tree)

    def test_a_directory_that_is_not_there_is_no_empty_tree(self, tmp_path):
        with pytest.raises(IntegrityError, match="cannot list"):
            store.tree_of(tmp_path / "none")


class TestSeal:
    def test_files_become_read_only_and_keep_their_executable_bit(self, tree):
        before = store.tree_of(tree)
        (tree / "a").chmod(0o666)
        (tree / "sub").chmod(0o700)
        store.seal(tree)
        modes = {str(p.relative_to(tree)): p.stat().st_mode & 0o777 for p in tree.rglob("*")}
        assert modes["a"] == 0o444
        assert modes["sub/run.sh"] == 0o555
        assert modes["sub"] == modes["sub/deep"] == 0o755
        assert store.tree_of(tree) == before

    def test_every_file_and_directory_is_synced(self, tree, monkeypatch):
        synced = []
        real = os.fsync

        def sync(descriptor):
            synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
            real(descriptor)

        monkeypatch.setattr(os, "fsync", sync)
        store.seal(tree)
        assert {os.path.relpath(p, tree) for p in synced} == {
            ".", "a", "sub", "sub/run.sh", "sub/deep", "sub/deep/empty", "Zürich\n x"
        }  # fmt: skip


class TestLinkTree:
    def test_gives_every_file_a_second_name(self, tree, tmp_path):
        store.link_tree(tree, tmp_path / "copy")
        assert store.tree_of(tmp_path / "copy") == store.tree_of(tree)
        assert (tmp_path / "copy/a").samefile(tree / "a")

    def test_what_is_there_already_stays(self, tree, tmp_path):
        (tmp_path / "copy").mkdir()
        (tmp_path / "copy/other").touch()
        store.link_tree(tree, tmp_path / "copy")
        assert [p.name for p in (tmp_path / "copy").iterdir()] == ["other"]
        assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]

    def test_many_at_once_make_one_whole_tree_and_leave_no_litter(self, tree, tmp_path):
        whole, start = store.tree_of(tree), threading.Barrier(8)

        def link() -> None:
            start.wait()
            for n in range(20):
                store.link_tree(tree, tmp_path / f"copy{n}")

        with ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(link) for _ in range(8)]:
                future.result()
        assert {store.tree_of(tmp_path / f"copy{n}") for n in range(20)} == {whole}
        assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]

    @pytest.mark.parametrize("call", ["rename", "mkdir"])
    def test_a_failure_leaves_nothing(self, tree, tmp_path, monkeypatch, call):
        def fail(*_a, **_k):
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr(os, call, fail)
            with pytest.raises(StorageError, match="No space left"):
                store.link_tree(tree, tmp_path / "copy")
        assert [p.name for p in tmp_path.iterdir()] == ["tree"]

    def test_a_tree_with_a_link_in_it_is_refused(self, tree, tmp_path):
        (tree / "l").symlink_to("/etc/passwd")
        with pytest.raises(IntegrityError):
            store.link_tree(tree, tmp_path / "copy")
        assert not (tmp_path / "copy").exists()


class TestMakeDirectory:
    def test_where_a_file_is_in_the_way(self, tmp_path):
        (tmp_path / "f").touch()
        for path in (tmp_path / "f", tmp_path / "f/below"):
            with pytest.raises(StorageError):
                store.make_directory(path)
