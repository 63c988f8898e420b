"""Several processes unpack one image into one store, and some are killed: one whole tree, and nothing beside it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from recast_dm import store
from recast_dm.images import layout
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Layout, Stored, image_of, stored
from recast_dm.images.rootfs import Rootfs

FILES = 3000
ADD = """
import sys
from pathlib import Path
from recast_dm.images.layout import Layout
from recast_dm.images.rootfs import Rootfs
root, place, reference = sys.argv[1:]
[image] = [each for each in Layout(Path(root)).images() if each.image.reference == reference]
Rootfs(Path(place)).add(Path(root), image, Layout(Path(root)).blob(image.image.image_id), [reference])
"""


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An OCI layout of two images with many files: `one` and `two`."""
    place = tmp_path_factory.mktemp("images")
    shared = Blobs(place / "blobs")
    layout.write(place / "oci", [_image(name, shared) for name in ("one", "two")], shared)
    return place / "oci"


def _content(name: str) -> dict[str, str]:
    return {f"usr/{n % 50}/{n}": f"{name} {n}\n" * 40 for n in range(FILES)}


def _image(name: str, shared: Blobs) -> Stored:
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, text in _content(name).items():
            member = tarfile.TarInfo(path)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    layer = shared.add_pieces([tar.getvalue()])
    rootfs = {"type": "layers", "diff_ids": [layer.diff_id]}
    config = store.canonical({"architecture": "amd64", "os": "linux", "rootfs": rootfs, "config": {}})
    shared.add(config)
    return stored(name, config, [layer])


class Store:
    """A store of unpacked images, and the processes that unpack into it."""

    def __init__(self, images: Path, root: Path) -> None:
        self.images, self.root = images, root

    def unpacker(self, name: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", ADD, self.images, self.root, name], stderr=subprocess.PIPE)

    def tree(self, name: str) -> Path:
        [entry] = [each for each in Layout(self.images).images() if each.image.reference == name]
        image, _ = image_of(name, Layout(self.images).blob(entry.image.image_id))
        return Rootfs(self.root).tree(image)

    def left(self) -> list[Path]:
        return store.temporaries(self.root / "trees")

    def whole(self, name: str) -> bool:
        """Whether all files of the image are there; the store adds some outside of its usr."""
        tree = self.tree(name)
        found = {str(path.relative_to(tree)): path.read_text() for path in (tree / "usr").rglob("*") if path.is_file()}
        return found == _content(name)


@pytest.fixture
def shelf(images: Path, tmp_path: Path) -> Store:
    return Store(images, tmp_path / "rootfs")


def _until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.001)


def _files(places: list[Path]) -> int:
    return sum(len(names) for place in places for _, _, names in os.walk(place))


def _finish(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        _, said = process.communicate(timeout=120)
        assert process.returncode == 0, said.decode()


@pytest.mark.parametrize("files", [0, FILES // 2, FILES])
def test_one_is_killed_while_others_wait(shelf: Store, files: int) -> None:
    killed = shelf.unpacker("one")
    _until(lambda: bool(shelf.left()))
    others = [shelf.unpacker("one") for _ in range(3)]
    _until(lambda: _files(shelf.left()) >= files or shelf.tree("one").exists())
    killed.kill()
    killed.communicate()
    _finish(others)
    assert shelf.whole("one")
    assert shelf.left() == []


def test_a_tree_that_is_seen_is_whole(shelf: Store) -> None:
    """Nobody can look between the first file and the last."""
    processes = [shelf.unpacker("one") for _ in range(3)]
    try:
        _until(shelf.tree("one").exists)
        assert shelf.whole("one")
    finally:
        _finish(processes)
    assert shelf.left() == []


def test_the_next_unpacker_of_any_image_removes_what_a_dead_one_left(shelf: Store) -> None:
    killed = shelf.unpacker("one")
    _until(lambda: _files(shelf.left()) > 100)
    killed.kill()
    killed.communicate()
    assert shelf.left()
    _finish([shelf.unpacker("two")])
    assert shelf.left() == []
    assert shelf.whole("two")
    assert not shelf.tree("one").exists()


def test_who_still_unpacks_another_image_is_left_in_peace(shelf: Store) -> None:
    processes = [shelf.unpacker(name) for name in ("one", "two", "one", "two")]
    _finish(processes)
    assert shelf.whole("one")
    assert shelf.whole("two")
    assert shelf.left() == []
