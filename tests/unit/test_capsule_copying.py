"""`recast-dm cp`: the same capsule elsewhere, and layers that lie on the disk once."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from recast_dm import schemas, store
from recast_dm.capsule import copying, layout, open_capsule, packing
from recast_dm.capsule.verify import check_bytes
from recast_dm.cli import main, options
from recast_dm.errors import IntegrityError, RecastError, StorageError, UsageError
from recast_dm.images.blobs import Blobs

FORMAT_1 = Path(__file__).parents[1] / "data/capsules/format-1.capsule"


@pytest.fixture
def images(tmp_path) -> Blobs:
    return Blobs(tmp_path / "images")  # those of `toy_capsule`


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(options, "DEFAULTS", options.Config(tmp_path / "cache", "auto", 1))
    return tmp_path / "cache"


def blobs_of(capsule: Path) -> dict[str, os.stat_result]:
    return {path.name: path.stat() for path in (capsule / layout.IMAGES / "blobs/sha256").iterdir()}


def content(capsule: Path) -> dict[str, tuple[bytes, int]]:
    return {relative: (path.read_bytes(), path.stat().st_mode & 0o100) for relative, path in store.walk(capsule)}


def size(capsule: Path) -> int:
    return sum(path.stat().st_size for _, path in store.walk(capsule))


def blob_sizes(capsule: Path) -> int:
    return sum(status.st_size for status in blobs_of(capsule).values())


def inodes(capsule: Path) -> dict[str, int]:
    return {name: status.st_ino for name, status in blobs_of(capsule).items()}


def litter(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name.startswith(".")]


class TestToADirectory:
    def test_the_blobs_of_a_capsule_are_not_copied(self, toy_capsule, images, tmp_path):
        made = copying.copy(toy_capsule.path, tmp_path / "deep/b.capsule", images)
        assert content(made.path) == content(toy_capsule.path)
        assert inodes(made.path) == inodes(toy_capsule.path) != {}
        assert made.digest == open_capsule(made.path).digest == toy_capsule.digest
        assert check_bytes(made.path).ok
        assert made.shared == blob_sizes(toy_capsule.path)
        assert made.shared + made.copied == size(toy_capsule.path)

    def test_a_blob_that_the_store_has_not_is_added_and_costs_nothing(self, toy_capsule, tmp_path):
        empty = Blobs(tmp_path / "other-store")
        made = copying.copy(toy_capsule.path, tmp_path / "b.capsule", empty)
        assert {name: empty.path(f"sha256:{name}").stat().st_ino for name in inodes(made.path)} == inodes(made.path)
        assert inodes(made.path) == inodes(toy_capsule.path)

    def test_a_source_that_anybody_may_write_to_is_not_named_again(self, toy_capsule, tmp_path):
        """As after `unzip`: its blobs go into the store, as files of their own."""
        for path in (toy_capsule.path / layout.IMAGES / "blobs/sha256").iterdir():
            content = path.read_bytes()
            path.unlink()
            path.write_bytes(content)
        store = Blobs(tmp_path / "other-store")
        made = copying.copy(toy_capsule.path, tmp_path / "b.capsule", store)
        assert not set(inodes(made.path).values()) & set(inodes(toy_capsule.path).values())
        assert made.shared == 0
        assert {name: store.path(f"sha256:{name}").stat().st_ino for name in inodes(made.path)} == inodes(made.path)
        again = copying.copy(toy_capsule.path, tmp_path / "c.capsule", store)
        assert again.shared == blob_sizes(made.path)
        assert inodes(again.path) == inodes(made.path)

    @pytest.mark.parametrize("form", ["zip", "tar"])
    def test_from_one_file_the_stores_blobs_are_named(self, toy_capsule, images, tmp_path, form):
        packing.pack(toy_capsule.path, tmp_path / f"x.capsule.{form}")
        made = copying.copy(tmp_path / f"x.capsule.{form}", tmp_path / "b.capsule", images)
        assert inodes(made.path) == {name: images.path(f"sha256:{name}").stat().st_ino for name in inodes(made.path)}
        assert content(made.path) == content(toy_capsule.path)
        assert made.shared == blob_sizes(made.path)

    def test_a_blob_of_the_store_that_has_changed_is_not_taken(self, toy_capsule, images, tmp_path):
        packing.pack(toy_capsule.path, tmp_path / "x.capsule.zip")
        name = next(iter(blobs_of(toy_capsule.path)))
        path = images.path(f"sha256:{name}")
        path.unlink()
        path.write_bytes(b"other")
        made = copying.copy(tmp_path / "x.capsule.zip", tmp_path / "b.capsule", Blobs(images.root))
        assert check_bytes(made.path).ok
        assert store.sha256_file(path) == name

    def test_modes(self, toy_capsule, images, tmp_path):
        made = copying.copy(toy_capsule.path, tmp_path / "b.capsule", images)
        assert {path.stat().st_mode & 0o777 for _, path in store.walk(made.path)} <= {0o444, 0o555}

    def test_a_capsule_of_format_1(self, images, tmp_path):
        made = copying.copy(FORMAT_1, tmp_path / "b.capsule", images)
        assert open_capsule(made.path).digest == open_capsule(FORMAT_1).digest
        assert made.shared == 0

    def test_a_capsule_is_replaced(self, toy_capsule, images, tmp_path):
        shutil.copytree(FORMAT_1, tmp_path / "b.capsule")
        copying.copy(toy_capsule.path, tmp_path / "b.capsule", images)
        assert open_capsule(tmp_path / "b.capsule").digest == toy_capsule.digest
        assert litter(tmp_path) == []

    def test_to_another_filesystem_everything_is_copied(self, toy_capsule, images, tmp_path):
        other = Path("/dev/shm")
        if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is one filesystem only")
        place = other / f"recast-dm-test-{os.getpid()}"
        try:
            made = copying.copy(toy_capsule.path, place, images)
            assert (made.shared, made.copied) == (0, size(toy_capsule.path))
            assert check_bytes(place).ok
        finally:
            shutil.rmtree(place, ignore_errors=True)


class TestToOneFile:
    @pytest.mark.parametrize("source", ["directory", "zip", "tar"])
    @pytest.mark.parametrize("form", ["zip", "tar"])
    def test_the_one_form(self, toy_capsule, images, tmp_path, source, form):
        packing.pack(toy_capsule.path, tmp_path / f"expected.{form}")
        start = toy_capsule.path
        if source != "directory":
            start = tmp_path / f"x.capsule.{source}"
            packing.pack(toy_capsule.path, start)
        made = copying.copy(start, tmp_path / f"b.capsule.{form}", images)
        assert made.path.read_bytes() == (tmp_path / f"expected.{form}").read_bytes()
        assert check_bytes(made.path).ok
        assert (made.shared, made.copied) == (0, made.path.stat().st_size)
        assert litter(tmp_path) == []

    def test_format_1_has_no_such_form(self, images, tmp_path):
        with pytest.raises(UsageError, match="has format 1"):
            copying.copy(FORMAT_1, tmp_path / "b.capsule.zip", images)


class TestRefused:
    def test_a_changed_byte_of_any_file_and_nothing_is_written(self, toy_capsule, images, tmp_path):
        before = sorted(tmp_path.iterdir())
        for _, path in list(store.walk(toy_capsule.path)):
            data, mode = path.read_bytes(), path.stat().st_mode
            path.unlink()  # or the store's blob would change too
            path.write_bytes(data[:-1] + b"#")
            with pytest.raises(IntegrityError):
                copying.copy(toy_capsule.path, tmp_path / "b.capsule", images)
            path.write_bytes(data)
            path.chmod(mode)
        assert sorted(tmp_path.iterdir()) == before

    def test_a_changed_archive(self, toy_capsule, images, tmp_path):
        file = tmp_path / "x.capsule.tar"
        packing.pack(toy_capsule.path, file)
        data = bytearray(file.read_bytes())
        data[data.index(b"import")] ^= 1
        file.write_bytes(data)
        for name in ("b.capsule", "b.capsule.tar", "b.capsule.zip"):
            with pytest.raises(IntegrityError):
                copying.copy(file, tmp_path / name, images)
            assert not (tmp_path / name).exists()

    def test_what_changes_after_it_was_checked_does_not_become_a_capsule(
        self, toy_capsule, images, tmp_path, monkeypatch
    ):
        check = copying._check

        def then_change(*words):
            check(*words)
            path = toy_capsule.path / "data/analysis/data/toy.py"
            path.chmod(0o644)
            path.write_text("changed")

        monkeypatch.setattr(copying, "_check", then_change)
        with pytest.raises(IntegrityError, match=r"toy\.py has changed"):
            copying.copy(toy_capsule.path, tmp_path / "b.capsule", images)
        assert not (tmp_path / "b.capsule").exists()

    @pytest.mark.parametrize("name", ["toy.capsule", "toy.capsule/in", "toy.capsule/data/x.capsule.zip", "."])
    def test_no_copy_in_itself(self, toy_capsule, images, tmp_path, name):
        before = content(toy_capsule.path)
        with pytest.raises(UsageError, match=r"one capsule|one within the other"):
            copying.copy(toy_capsule.path, tmp_path / name, images)
        assert content(toy_capsule.path) == before

    @pytest.mark.parametrize("name", ["mine", "mine.zip"])
    def test_other_peoples_files_are_not_overwritten(self, toy_capsule, images, tmp_path, name):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UsageError, match="exists and is not a capsule"):
            copying.copy(toy_capsule.path, tmp_path / name, images)
        assert (tmp_path / name).read_text() == "mine"

    @pytest.mark.parametrize("call", ["rename", "fsync", "mkdir", "link"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
    def test_what_does_not_end_leaves_the_old_capsule(self, toy_capsule, images, tmp_path, monkeypatch, call, error):
        """Whichever system call it ends at; and no litter beside it."""
        place = tmp_path / "b.capsule"
        shutil.copytree(FORMAT_1, place)
        old = open_capsule(place).digest
        real = getattr(os, call)
        for nth in range(1, 200):
            count = 0

            def stop(*args, **more):
                nonlocal count
                count += 1
                if count == nth:  # noqa: B023  # called before the next round
                    raise error
                return real(*args, **more)

            with monkeypatch.context() as patch:
                patch.setattr(os, call, stop)
                try:
                    copying.copy(toy_capsule.path, place, images)
                except (KeyboardInterrupt, StorageError):
                    ended = True
                else:
                    ended = False
            if not ended or open_capsule(place).digest != old:
                break  # it was done, or all but what comes after the rename
            assert litter(tmp_path) == []
        assert nth > 1 or call == "link"  # a name that cannot be given becomes a copy
        assert open_capsule(place)


class TestVerb:
    def test_several_into_a_directory(self, toy_capsule, cache, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        packing.pack(toy_capsule.path, tmp_path / "packed.capsule.zip")
        Path("archive").mkdir()
        assert main(["cp", "toy.capsule", "packed.capsule.zip", "archive", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert schemas.problem("cp-1", document) is None
        assert [each["capsule"] for each in document["copies"]] == ["archive/toy.capsule", "archive/packed.capsule.zip"]
        assert {open_capsule(Path("archive/toy.capsule")).digest} == {each["digest"] for each in document["copies"]}
        assert main(["verify", "--bytes", "archive/packed.capsule.zip"]) == 0
        capsys.readouterr()
        assert main(["cp", "archive/packed.capsule.zip", "again.capsule"]) == 0
        head, row = capsys.readouterr().out.splitlines()
        assert head.split() == ["capsule", "digest", "shared", "copied"]
        assert row.startswith("again.capsule")
        names = inodes(Path("again.capsule"))
        assert names == inodes(Path("archive/toy.capsule")) == inodes(toy_capsule.path)

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["toy.capsule"], "no place for its copy"),
            (["toy.capsule", "toy.capsule", "nowhere"], "is not a directory that could hold several"),
            (["toy.capsule", "toy.capsule", "other.capsule"], "is not a directory that could hold several"),
            (["toy.capsule", "deep/toy.capsule", "archive"], "two capsules would become"),
            (["nowhere", "x.capsule"], "nowhere does not exist"),
            (["archive", "x.capsule"], "archive is not a capsule"),
        ],
    )
    def test_what_cannot_be_meant(self, toy_capsule, cache, tmp_path, monkeypatch, capsys, words, message):
        monkeypatch.chdir(tmp_path)
        for name in ("other.capsule", "deep/toy.capsule"):
            shutil.copytree(FORMAT_1, name)
        Path("archive").mkdir()
        assert main(["cp", *words, "--json"]) == 2
        assert message in json.loads(capsys.readouterr().out)["message"]
        assert list(Path("archive").iterdir()) == []


class TestClone:
    def test_where_there_are_no_clones_there_is_no_file(self, tmp_path):
        (tmp_path / "a").write_bytes(b"a" * 8192)
        made = store.clone(tmp_path / "a", tmp_path / "b")
        assert made == (tmp_path / "b").exists()
        if made:
            assert (tmp_path / "b").read_bytes() == b"a" * 8192

    @pytest.mark.skipif(not shutil.which("mkfs.xfs") or os.geteuid() != 0, reason="needs xfs, and root to mount it")
    def test_a_clone_is_a_file_of_its_own(self, tmp_path):
        disk, place = tmp_path / "disk", tmp_path / "mounted"
        place.mkdir()
        with disk.open("wb") as file:
            file.truncate(400 * 1024**2)
        subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", str(disk)], check=True)
        if subprocess.run(["mount", "-o", "loop", str(disk), str(place)], check=False).returncode != 0:
            pytest.skip("nothing can be mounted here")
        try:
            (place / "a").write_bytes(b"a" * 8192)
            assert store.clone(place / "a", place / "b")
            (place / "b").write_bytes(b"b" * 8192)
            assert (place / "a").read_bytes() == b"a" * 8192
        finally:
            subprocess.run(["umount", str(place)], check=True)


def test_errors_of_the_store_are_ours(toy_capsule, tmp_path):
    (tmp_path / "file").write_text("no directory")
    packing.pack(toy_capsule.path, tmp_path / "x.capsule.zip")
    with pytest.raises(RecastError):
        copying.copy(tmp_path / "x.capsule.zip", tmp_path / "b.capsule", Blobs(tmp_path / "file"))
    assert not (tmp_path / "b.capsule").exists()
