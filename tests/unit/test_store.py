"""Durable writes, trees and links: nothing half-done is ever seen."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
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


class TestMaterialise:
    def files(self, root: Path) -> dict[str, str]:
        """Every file of a tree; there is no link left in it."""
        assert not [p for p in root.rglob("*") if p.is_symlink()]
        return {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}

    BEFORE = {"a": "a", "sub/run.sh": "#!/bin/sh\n", "sub/deep/empty": "", "Zürich\n x": "z"}  # noqa: RUF012

    def test_where_there_are_no_links_nothing_happens(self, tree):
        before = store.tree_of(tree)
        assert store.materialise(tree) == []
        assert store.tree_of(tree) == before

    @pytest.mark.parametrize(
        ("link", "target", "content"),
        [
            ("l", "a", "a"),
            ("l", "sub/run.sh", "#!/bin/sh\n"),
            ("l", "./sub/../a", "a"),
            ("sub/l", "../a", "a"),
            ("sub/deep/l", "../../Zürich\n x", "z"),
            ("l", "/workdir/a", "a"),
            ("sub/l", "/workdir/sub/run.sh", "#!/bin/sh\n"),
            ("l", "{tree}/a", "a"),
        ],
    )
    def test_a_link_to_a_file_inside_becomes_that_file(self, tree, link, target, content):
        (tree / link).symlink_to(target.replace("{tree}", str(tree)))
        assert store.materialise(tree, "/workdir") == []
        assert self.files(tree) == {**self.BEFORE, link: content}
        assert ((tree / link).stat().st_mode & 0o100 != 0) is content.startswith("#!")

    @pytest.mark.parametrize("target", ["sub", "sub/", "./sub", "/workdir/sub", "{tree}/sub"])
    def test_a_link_to_a_directory_inside_becomes_that_directory(self, tree, target):
        (tree / "l").symlink_to(target.replace("{tree}", str(tree)))
        assert store.materialise(tree, "/workdir") == []
        assert self.files(tree) == {**self.BEFORE, "l/run.sh": "#!/bin/sh\n", "l/deep/empty": ""}

    @pytest.mark.parametrize("names", [("l", "m", "n"), ("n", "m", "l"), ("m", "n", "l")])
    def test_links_to_links(self, tree, names):
        first, second, third = names
        (tree / first).symlink_to("a")
        (tree / second).symlink_to(first)
        (tree / third).symlink_to(second)
        assert store.materialise(tree) == []
        assert self.files(tree) == {**self.BEFORE, "l": "a", "m": "a", "n": "a"}

    @pytest.mark.parametrize("names", [("p", "q"), ("q", "p")])
    def test_links_in_a_linked_directory_beside_it(self, tree, names):
        one, two = names
        for name in names:
            (tree / name).mkdir()
        (tree / one / "inner").symlink_to("../a")
        (tree / two / "l").symlink_to(f"../{one}")
        assert store.materialise(tree) == []
        assert self.files(tree) == {**self.BEFORE, f"{one}/inner": "a", f"{two}/l/inner": "a"}

    @pytest.mark.parametrize("link", ["b", "z"])
    def test_links_in_a_linked_directory(self, tree, link):
        (tree / "sub/inner").symlink_to("../a")
        (tree / link).symlink_to("sub")
        assert store.materialise(tree) == []
        more = {f"{place}/inner": "a" for place in ("sub", link)}
        copy = {f"{link}/run.sh": "#!/bin/sh\n", f"{link}/deep/empty": ""}
        assert self.files(tree) == {**self.BEFORE, **copy, **more}

    @pytest.mark.parametrize(
        ("link", "target"),
        [
            ("l", "/etc/passwd"),
            ("l", "/etc"),
            ("l", "../outside"),
            ("sub/l", "../../outside"),
            ("l", "{tree}/../outside"),
            ("l", "/workdir/../outside"),
            ("l", "/workdir/nothing"),
            ("l", "/workdirs/a"),
            ("l", "/inputs/0/f"),
            ("l", "nothing"),
            ("l", "l"),
            ("l", "."),
            ("l", "/workdir"),
            ("sub/l", ".."),
            ("sub/l", "."),
            ("sub/deep/l", "../../sub"),
            ("l", "a/b"),
            ("l", "x" * 250),
        ],
    )
    def test_others_are_left_out_and_named(self, tree, link, target):
        (tree.parent / "outside").write_text("secret")
        (tree / link).symlink_to(target.replace("{tree}", str(tree)))
        assert store.materialise(tree, "/workdir") == [link]
        assert self.files(tree) == self.BEFORE
        assert (tree.parent / "outside").read_text() == "secret"

    def test_without_a_place_where_it_was_seen_workdir_is_a_place_like_others(self, tree):
        (tree / "l").symlink_to("/workdir/a")
        assert store.materialise(tree) == ["l"]
        assert self.files(tree) == self.BEFORE

    def test_circles(self, tree):
        (tree / "l").symlink_to("m")
        (tree / "m").symlink_to("l")
        (tree / "sub/l").symlink_to("../l")
        assert sorted(store.materialise(tree)) == ["l", "m", "sub/l"]
        assert self.files(tree) == self.BEFORE

    def test_circles_of_directories(self, tree):
        (tree / "sub/up").symlink_to("../other")
        (tree / "other").mkdir()
        (tree / "other/f").write_text("f")
        (tree / "other/back").symlink_to("../sub")
        store.materialise(tree)
        found = self.files(tree)
        assert found.items() >= {**self.BEFORE, "other/f": "f"}.items()
        assert len(found) < 20
        store.tree_of(tree)

    def test_a_link_to_a_special_file_is_left_out(self, tree):
        os.mkfifo(tree / "sub/pipe")
        (tree / "l").symlink_to("sub/pipe")
        assert store.materialise(tree) == ["l"]

    def test_the_tree_itself_may_lie_behind_a_link(self, tree, tmp_path):
        (tmp_path / "way").symlink_to("tree")
        (tree / "l").symlink_to("/workdir/a")
        assert store.materialise(tmp_path / "way", "/workdir") == []
        assert self.files(tree) == {**self.BEFORE, "l": "a"}

    def test_where_there_are_no_hard_links_files_are_copied(self, tree, monkeypatch):
        def no_links(*_a, **_o):
            raise OSError(errno.EPERM, "Operation not permitted")

        (tree / "l").symlink_to("a")
        (tree / "m").symlink_to("sub")
        monkeypatch.setattr(os, "link", no_links)
        assert store.materialise(tree) == []
        assert (tree / "l").read_text() == "a"
        assert (tree / "l").stat().st_nlink == 1
        assert (tree / "m/run.sh").stat().st_mode & 0o100


class TestInitTree:
    def names(self, root: Path) -> list[str]:
        return [file.path for file in store.init_tree(root).files]

    def test_without_links_and_runs_it_is_the_tree(self, tree):
        assert store.init_tree(tree) == store.tree_of(tree)

    def test_links_inside_count_and_those_that_lead_out_do_not(self, tree):
        before = self.names(tree)
        (tree.parent / "outside").write_text("secret")
        (tree / "in").symlink_to("sub/run.sh")
        (tree / "out").symlink_to("../outside")
        (tree / "sub/etc").symlink_to("/etc/passwd")
        (tree / "nowhere").symlink_to("nothing")
        (tree / "round").symlink_to("round")
        os.mkfifo(tree / "pipe")
        assert self.names(tree) == sorted([*before, "in"])
        (file,) = [file for file in store.init_tree(tree).files if file.path == "in"]
        assert file.executable
        assert file.sha256 == store.sha256_file(tree / "sub/run.sh")

    def test_run_directories_do_not_count(self, tree):
        before = store.init_tree(tree)
        for place in ("run", "sub/runs/one"):
            (tree / place / "limit/0").mkdir(parents=True)
            (tree / place / "run.json").write_text("{}")
            (tree / place / "limit/0/out").write_text("5")
        assert store.init_tree(tree) == before

    def test_a_file_of_that_name_at_the_top_is_a_file(self, tree):
        (tree / "run.json").write_text("{}")
        assert "run.json" in self.names(tree)
        assert "a" in self.names(tree)

    def test_a_directory_that_is_not_there_is_no_empty_tree(self, tmp_path):
        with pytest.raises(IntegrityError, match="cannot list"):
            store.init_tree(tmp_path / "none")


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


class TestUnfinished:
    def test_it_goes_unless_it_was_renamed(self, tmp_path):
        with store.unfinished(tmp_path / "deep/x") as first, store.unfinished(tmp_path / "deep/x") as second:
            (first / "file").touch()
            assert first != second
            assert set(store.temporaries(tmp_path / "deep")) == {first, second}
            first.rename(tmp_path / "deep/x")
        assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x"]

    def test_what_nobody_holds_goes_before(self, tmp_path):
        mine, others = store.temporary(tmp_path / "x"), store.temporary(tmp_path / "x.json")
        mine.mkdir()
        (mine / "file").write_text("half")
        others.touch()
        (tmp_path / "x").write_text("old")
        with store.unfinished(tmp_path / "x", Path.touch) as path:
            assert path.is_file()
            assert not mine.exists()
            with store.unfinished(tmp_path / "x"):
                assert path.exists(), "who works on it is there"
        assert sorted(tmp_path.iterdir()) == sorted([others, tmp_path / "x"])

    def test_what_a_killed_process_held(self, tmp_path):
        program = (
            "import sys; from pathlib import Path; from recast_dm import store\n"
            "with store.unfinished(Path(sys.argv[1])): print('ready', flush=True); sys.stdin.read()\n"
        )
        words = [sys.executable, "-c", program, str(tmp_path / "x")]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        (held,) = tmp_path.iterdir()
        with store.unfinished(tmp_path / "x"):
            assert held.exists()
        process.kill()
        process.communicate(timeout=60)
        assert held.exists()
        with store.unfinished(tmp_path / "x"):
            assert not held.exists()

    def test_a_link_is_left_alone(self, tmp_path):
        link = store.temporary(tmp_path / "x")
        link.symlink_to("/")
        with store.unfinished(tmp_path / "x"):
            pass
        assert link.is_symlink()

    def test_who_is_taken_for_dead_begins_again(self, tmp_path, monkeypatch):
        """Between making and locking it, another process may tidy up."""
        made = []

        def make(path: Path) -> None:
            path.mkdir()
            made.append(path)
            if len(made) == 1:
                path.rmdir()

        with store.unfinished(tmp_path / "x", make) as path:
            assert path == made[1]
