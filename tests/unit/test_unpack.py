"""Layers are laid over each other as in a container, and nothing gets out of the directory."""

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recast_dm import store
from recast_dm.errors import IntegrityError
from recast_dm.images.blobs import Layer, blob_path
from recast_dm.images.unpack import AHEAD, PIECE, unpack

Entry = tuple[str, bytes, str]
"""A name, a type of tarfile, and the content or where it links to."""


def layer(root: Path, entries: list[Entry], mode: int = 0o755) -> Layer:
    """An uncompressed layer in an OCI layout."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, kind, content in entries:
            member = tarfile.TarInfo(name)
            member.type, member.mode, member.mtime = kind, mode, 1_000_000_000
            data = content.encode() if kind == tarfile.REGTYPE else b""
            member.size = len(data)
            member.linkname = "" if kind == tarfile.REGTYPE else content
            tar.addfile(member, io.BytesIO(data))
    data = out.getvalue()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    place = blob_path(root, digest)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(data)
    return Layer(digest, digest, len(data), "application/vnd.oci.image.layer.v1.tar")


def file(name: str, content: str = "x") -> Entry:
    return name, tarfile.REGTYPE, content


def directory(name: str) -> Entry:
    return name, tarfile.DIRTYPE, ""


def link(name: str, target: str) -> Entry:
    return name, tarfile.SYMTYPE, target


def hard(name: str, target: str) -> Entry:
    return name, tarfile.LNKTYPE, target


def seen(top: Path) -> dict[str, str]:
    """What a directory holds: of each path its kind and content."""
    found = {}
    for here, directories, files in os.walk(top):
        for name in directories + files:
            path = Path(here, name)
            kind = f"-> {path.readlink()}" if path.is_symlink() else "/" if path.is_dir() else path.read_text()
            found[str(path.relative_to(top))] = kind
    return found


def unpacked(tmp_path: Path, *layers: list[Entry]) -> Path:
    target = tmp_path / "tree"
    unpack(tmp_path, [layer(tmp_path, each) for each in layers], target)
    return target


def test_a_whiteout_hides_what_lies_below(tmp_path: Path) -> None:
    tree = unpacked(tmp_path, [file("d/a"), file("d/b")], [file("d/.wh.a", ""), file("d/c")])
    assert seen(tree) == {"d": "/", "d/b": "x", "d/c": "x"}


def test_a_whiteout_leaves_what_its_own_layer_made(tmp_path: Path) -> None:
    tree = unpacked(tmp_path, [file("a", "old")], [file("a", "new"), file(".wh.a", "")])
    assert seen(tree) == {"a": "new"}


def test_an_opaque_directory_has_only_its_own_layer(tmp_path: Path) -> None:
    opaque = [directory("d"), file("d/new"), file("d/.wh..wh..opq", "")]
    assert seen(unpacked(tmp_path, [file("d/old"), file("d/e/old")], opaque)) == {"d": "/", "d/new": "x"}


def test_a_link_to_a_directory_is_followed_inside(tmp_path: Path) -> None:
    tree = unpacked(tmp_path, [directory("usr/lib"), link("lib", "/usr/lib")], [file("lib/x")])
    assert (tree / "usr/lib/x").read_text() == "x"


def test_hard_links_share_a_file(tmp_path: Path) -> None:
    tree = unpacked(tmp_path, [file("a"), hard("b", "/a")])
    assert (tree / "a").stat().st_ino == (tree / "b").stat().st_ino


@pytest.mark.parametrize("target", ["/", "../../..", "/..", "a/../../.."])
def test_a_link_out_stays_in(tmp_path: Path, target: str) -> None:
    tree = unpacked(tmp_path, [directory("a"), link("out", target)], [file("out/escaped")])
    assert (tree / "escaped").read_text() == "x"
    assert not (tmp_path / "escaped").exists()


@pytest.mark.parametrize(
    "entries",
    [
        [file("../escaped")],
        [file("a/../../escaped")],
        [hard("a", "../../etc/passwd")],
        [hard("a", "no-such-file")],
        [directory("d"), hard("a", "d")],
        [file("a"), file("a/b")],
        [link("a", "b"), link("b", "a"), file("a/c")],
        [file(".wh...", "")],
    ],
)
def test_what_leads_out_or_nowhere_is_refused(tmp_path: Path, entries: list[Entry]) -> None:
    with pytest.raises(IntegrityError):
        unpacked(tmp_path, entries)


def test_devices_and_setuid_bits_are_left_out(tmp_path: Path) -> None:
    target = tmp_path / "tree"
    unpack(tmp_path, [layer(tmp_path, [("dev/sda", tarfile.BLKTYPE, ""), file("su")], mode=0o6755)], target)
    assert not (target / "dev/sda").exists()
    assert (target / "su").stat().st_mode & 0o7000 == 0


def test_times_are_kept(tmp_path: Path) -> None:
    tree = unpacked(tmp_path, [directory("d"), file("d/a")])
    assert [(tree / name).stat().st_mtime for name in ("d", "d/a")] == [1_000_000_000] * 2


def test_a_layer_that_has_changed_is_refused(tmp_path: Path) -> None:
    good = layer(tmp_path, [file("a")])
    place = blob_path(tmp_path, good.digest)
    place.write_bytes(place.read_bytes().replace(b"x", b"y"))
    with pytest.raises(IntegrityError):
        unpack(tmp_path, [good], tmp_path / "tree")


@pytest.mark.parametrize(
    "damage", [lambda b: b[:-9], lambda b: b[:40] + b"?" * 9 + b[49:], lambda b: b"x" + b, lambda _: b""]
)
def test_a_layer_that_is_no_gzip_all_through_is_refused(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    good = layer(tmp_path, [file("a", "".join(str(n * n) for n in range(5000)))])
    packed = damage(gzip.compress(blob_path(tmp_path, good.digest).read_bytes()))
    blob_path(tmp_path, store.sha256_name(packed)).write_bytes(packed)
    before = threading.active_count()
    with pytest.raises(IntegrityError):
        unpack(tmp_path, [Layer(good.diff_id, store.sha256_name(packed), len(packed))], tmp_path / "tree")
    assert threading.active_count() == before


def test_a_layer_that_ends_in_the_middle_of_a_file_is_refused(tmp_path: Path) -> None:
    whole = blob_path(tmp_path, layer(tmp_path, [file("a", "x" * 5000)]).digest).read_bytes()[:2000]
    digest = store.sha256_name(whole)
    blob_path(tmp_path, digest).write_bytes(whole)
    with pytest.raises(IntegrityError):
        unpack(tmp_path, [Layer(digest, digest, len(whole), "tar")], tmp_path / "tree")


def test_a_file_of_many_pieces_is_whole(tmp_path: Path) -> None:
    sizes = (0, 1, 511, 512, 513, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE * AHEAD)
    tree = unpacked(
        tmp_path, [file(str(size), "0123456789abcdef!" * (size // 17) + "y" * (size % 17)) for size in sizes]
    )
    for size in sizes:
        assert (tree / str(size)).read_text() == "0123456789abcdef!" * (size // 17) + "y" * (size % 17)


def test_holes_are_where_they_were(tmp_path: Path) -> None:
    """GNU tar writes what is no hole only."""
    with (tmp_path / "holes").open("wb") as out:
        for n in range(4):
            out.seek(n * 1024**2)
            out.write(b"data")
    words = f"tar --sparse --format=gnu --directory {tmp_path} --create --file {tmp_path}/tar holes"
    subprocess.run(words.split(), check=True)
    data = (tmp_path / "tar").read_bytes()
    assert len(data) < 1024**2
    digest = store.sha256_name(data)
    place = blob_path(tmp_path, digest)
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    unpack(tmp_path, [Layer(digest, digest, len(data), "tar")], tmp_path / "tree")
    assert (tmp_path / "tree/holes").read_bytes() == (tmp_path / "holes").read_bytes()


def test_a_name_means_another_directory_when_a_link_has_gone(tmp_path: Path) -> None:
    below = [directory("d"), directory("e"), link("l", "d"), file("l/1")]
    tree = unpacked(tmp_path, [*below, link("l", "e"), file("l/2")], [file("l/3"), directory("l"), file("l/4")])
    assert seen(tree) == {"d": "/", "d/1": "x", "e": "/", "e/2": "x", "e/3": "x", "l": "/", "l/4": "x"}


NAMES = st.sampled_from(["a", "b", "d", "d/a", "d/b", "d/e", "d/e/a", "a/x", "b/x", "a/e/x"])
ENTRIES = st.one_of(
    st.builds(file, NAMES, st.sampled_from(["1", "2"])),
    st.builds(directory, st.sampled_from(["d", "d/e"])),
    st.builds(link, st.sampled_from(["a", "b"]), st.sampled_from(["d", "/d", "d/e", "../..", "none"])),
    st.builds(file, st.sampled_from([".wh.a", ".wh.d", "d/.wh.a", "d/.wh.e"]), st.just("")),
)
LAYERS = st.lists(st.lists(ENTRIES, max_size=4, unique_by=lambda entry: entry[0]), min_size=1, max_size=3)


@pytest.mark.skipif(not shutil.which("umoci"), reason="not run: umoci is not installed")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(layers=LAYERS)
def test_umoci_unpacks_the_same(tmp_path: Path, layers: list[list[Entry]]) -> None:
    place = store.temporary(tmp_path / "case")
    place.mkdir()
    try:
        made = [layer(place, each) for each in layers]
        written(place, made)
        argv = ["umoci", "unpack", "--rootless", "--image", f"{place}:it", str(place / "theirs")]
        theirs = subprocess.run(argv, capture_output=True, check=False)
        try:
            unpack(place, made, place / "ours")
        except IntegrityError:
            assert theirs.returncode != 0
        else:
            assert theirs.returncode == 0, theirs.stderr
            assert seen(place / "ours") == seen(place / "theirs/rootfs")
    finally:
        shutil.rmtree(place)


def written(root: Path, layers: list[Layer]) -> None:
    """An OCI layout of one image, `it`."""

    def blob(document: object) -> dict[str, object]:
        data = store.canonical(document)
        blob_path(root, store.sha256_name(data)).write_bytes(data)
        return {"digest": store.sha256_name(data), "size": len(data)}

    rootfs = {"type": "layers", "diff_ids": [each.diff_id for each in layers]}
    config = blob({"architecture": "amd64", "os": "linux", "rootfs": rootfs, "config": {}})
    listed = [{"mediaType": each.media_type, "digest": each.digest, "size": each.size} for each in layers]
    kind = "application/vnd.oci.image"
    manifest = blob({"schemaVersion": 2, "config": {"mediaType": f"{kind}.config.v1+json", **config}, "layers": listed})
    named = {"org.opencontainers.image.ref.name": "it"}
    entry = {"mediaType": f"{kind}.manifest.v1+json", **manifest, "annotations": named}
    (root / "index.json").write_bytes(store.canonical({"schemaVersion": 2, "manifests": [entry]}))
    (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
