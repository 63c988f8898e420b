"""Blobs and layers that are shared: whatever happened to them, and whoever adds the same at the same time."""

from __future__ import annotations

import gzip
import io
import itertools
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imagetars import digest
from layertars import tar

from recast_dm import store
from recast_dm.errors import IntegrityError, StorageError
from recast_dm.images import compression
from recast_dm.images.blobs import Blobs, Layer, Reader, blob_path, open_layer
from recast_dm.images.compression import checked, chunks, pack

TAR = tar({"data": b"some data " * 5000, "more": "more"})


@pytest.fixture
def shared(tmp_path) -> Blobs:
    return Blobs(tmp_path / "images")


def opened(data: bytes):
    return lambda: io.BytesIO(data)


def left_over(shared: Blobs) -> list[str]:
    return [path.name for path in shared.root.rglob("*") if path.name.endswith(".tmp")]


class TestBlobs:
    def test_a_blob_that_was_damaged_is_made_anew(self, shared):
        name = shared.add(b"a config")
        shared.path(name).chmod(0o644)
        shared.path(name).write_bytes(b"another")
        again = Blobs(shared.root)
        assert not again.has(name)
        assert again.add(b"a config") == name
        assert again.path(name).read_bytes() == b"a config"

    def test_a_layer_that_was_damaged_is_made_anew(self, shared):
        layer = shared.add_layer(opened(TAR))
        path = shared.path(layer.digest)
        good = path.read_bytes()
        path.chmod(0o644)
        path.write_bytes(good[:-1])
        again = Blobs(shared.root)
        assert again.layer(layer.diff_id) is None
        assert again.add_layer(opened(TAR)) == layer
        assert path.read_bytes() == good

    def test_a_damaged_blob_is_not_removed_under_somebody_who_just_made_it_anew(self, shared):
        """A reader that finds it damaged knows only what was there a moment ago."""
        name = shared.add(b"a config")
        shared.path(name).unlink()
        shared.path(name).write_bytes(b"another")
        assert not Blobs(shared.root).has(name)
        assert shared.path(name).exists()

    def test_a_blob_that_cannot_be_read_is_none(self, shared):
        name = digest(b"x")
        blob_path(shared.root, name).mkdir(parents=True)
        assert not shared.has(name)

    @pytest.mark.parametrize(
        "note", [b"", b"{}", b"[]", b"5", b'{"digest": 5}', b'{"digest": "sha256:../../x"}', b"[" * 100_000]
    )
    def test_a_note_that_says_nothing(self, shared, note):
        layer = shared.add_layer(opened(TAR))
        path = shared.root / "layers" / f"{layer.diff_id.removeprefix('sha256:')}.json"
        path.write_bytes(note)
        assert shared.layer(layer.diff_id) is None
        assert shared.add_layer(opened(TAR)) == layer
        assert shared.layer(layer.diff_id) == layer

    @pytest.mark.parametrize("name", ["sha256:../../../etc/passwd", "sha256:" + 64 * "g", "", "md5:00", "../x"])
    def test_what_is_no_digest_names_no_file(self, shared, name):
        with pytest.raises(IntegrityError, match="is not the digest of a blob"):
            shared.path(name)
        with pytest.raises(IntegrityError, match="is not the digest of a blob"):
            shared.layer(name)

    def test_blobs_are_for_everybody_to_read_whatever_the_umask(self, shared):
        before = os.umask(0o077)
        try:
            layer = shared.add_layer(opened(TAR))
        finally:
            os.umask(before)
        assert shared.path(layer.digest).stat().st_mode & 0o777 == 0o444

    def test_a_stream_under_another_name_is_refused(self, shared):
        with pytest.raises(IntegrityError, match="came with other bytes"):
            shared.add_stream([b"a", b"b"], digest(b"ac"))
        shared.add_stream([b"a", b"b"], digest(b"ab"), 2)
        assert shared.has(digest(b"ab"))
        assert left_over(shared) == []

    def test_a_stream_that_does_not_end(self, shared):
        with pytest.raises(IntegrityError, match="came with other bytes"):
            shared.add_stream(itertools.repeat(b"\0" * 1000), digest(b""), 5000)
        assert left_over(shared) == []

    def test_a_disk_that_is_full_is_exit_9(self, shared, monkeypatch):
        def full(path, flags=0):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(store, "fsync", full)
        with pytest.raises(StorageError, match="No space left") as caught:
            shared.add_layer(opened(TAR))
        assert caught.value.exit_code == 9
        assert left_over(shared) == []

    def test_a_place_that_is_a_file(self, tmp_path):
        (tmp_path / "images").write_text("")
        with pytest.raises(StorageError):
            Blobs(tmp_path / "images").add_layer(opened(TAR))

    def test_what_killed_writers_left_is_tidied_after_a_day(self, shared):
        shared.add_layer(opened(TAR))
        old, new = store.temporary(shared.path(digest(b""))), store.temporary(shared.root / "saved")
        old.write_bytes(b"x")
        dead = store.temporary(shared.root / "saved")
        for directory in (new, dead):
            directory.mkdir()
            (directory / "images.tar").write_bytes(b"x")
        for path in (old, dead / "images.tar", dead, new):
            os.utime(path, (time.time() - 90_000,) * 2)
        kept = sorted(path for path in shared.root.rglob("*") if path.is_file() and path not in (old, dead))
        shared.tidy()
        assert not old.exists()
        assert not dead.exists()
        assert (new / "images.tar").exists(), "something was written there today"
        assert sorted(path for path in shared.root.rglob("*") if path.is_file()) == [
            path for path in kept if dead not in path.parents
        ]


class TestLayers:
    def test_a_plain_layer_is_compressed_and_comes_back(self, shared):
        layer = shared.add_layer(opened(TAR))
        assert layer.diff_id == digest(TAR)
        assert layer.size == shared.path(layer.digest).stat().st_size < len(TAR)
        with open_layer(shared.root, layer) as stream:
            assert stream.read() == TAR

    def test_the_same_tar_file_becomes_the_same_bytes(self, tmp_path):
        first, second = (Blobs(tmp_path / name).add_layer(opened(TAR)) for name in "ab")
        assert first == second

    def test_a_compressed_layer_stays_as_it_is(self, shared):
        data = gzip.compress(TAR, 1, mtime=7)
        layer = shared.add_layer(opened(data))
        assert (layer.digest, layer.diff_id) == (digest(data), digest(TAR))

    def test_a_layer_that_is_kept_already_is_not_kept_again(self, shared):
        layer = shared.add_layer(opened(TAR))
        assert shared.add_layer(opened(gzip.compress(TAR, 1, mtime=7))) == layer
        assert len(list((shared.root / "blobs/sha256").iterdir())) == 1

    def test_an_empty_layer(self, shared):
        for data in (b"", b"\0" * 10240, gzip.compress(b"")):
            layer = shared.add_layer(opened(data))
            with open_layer(shared.root, layer) as stream:
                assert digest(stream.read()) == layer.diff_id

    @pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 100_000])
    def test_gzip_of_several_members_and_padding(self, shared, padding):
        parts = [gzip.compress(TAR[start : start + 9999]) for start in range(0, len(TAR), 9999)]
        layer = shared.add_layer(opened(b"".join(parts) + padding))
        assert layer.diff_id == digest(TAR)
        with open_layer(shared.root, layer) as stream:
            assert digest(stream.read()) == layer.diff_id

    def test_a_layer_that_ends_in_the_middle(self, shared):
        data = gzip.compress(TAR)
        for end in (3, len(data) // 2, len(data) - 1):
            with pytest.raises(IntegrityError, match="ends in the middle"):
                shared.add_layer(opened(data[:end]))
        assert left_over(shared) == []

    @pytest.mark.parametrize("garbage", [b"garbage", b"\0\0garbage", b"\x1f\x8b\xff\xff\xff\xff\xff\xff\xff\xff\xff"])
    def test_garbage_after_the_end(self, shared, garbage):
        with pytest.raises(IntegrityError, match="not gzip all through"):
            shared.add_layer(opened(gzip.compress(TAR) + garbage))

    def test_garbage_in_the_middle(self, shared):
        data = bytearray(gzip.compress(os.urandom(100_000)))
        data[50_000] ^= 255
        with pytest.raises(IntegrityError, match="not gzip all through"):
            shared.add_layer(opened(bytes(data)))

    def test_zstd_is_refused_with_the_way_out(self, shared):
        with pytest.raises(IntegrityError, match="compressed with zstd") as caught:
            shared.add_layer(opened(compression.ZSTD_MAGIC + b"..."))
        assert "skopeo copy --dest-compress-format gzip" in (caught.value.hint or "")

    @given(data=st.binary(max_size=3000), sizes=st.lists(st.integers(1, 700), min_size=1), member=st.integers(1, 999))
    def test_whatever_the_pieces(self, data, sizes, member):
        """Pieces of any size give what gzip itself reads."""
        whole = b"".join(gzip.compress(data[at : at + member]) for at in range(0, len(data) or 1, member))
        pieces, at = [], 0
        for size in itertools.cycle(sizes):
            if at >= len(whole):
                break
            pieces.append(whole[at : at + size])
            at += size
        assert pack(pieces, lambda _: None) == (digest(whole), digest(data))

    def test_a_file_that_cannot_be_read(self, shared, tmp_path):
        with pytest.raises(IntegrityError, match="a layer cannot be read: No such file"):
            shared.add_layer((tmp_path / "nothing").open)

        class Broken(io.BytesIO):
            def read(self, size=-1):
                raise OSError(5, "Input/output error")

        with pytest.raises(IntegrityError, match="a layer cannot be read: Input/output error"):
            shared.add_layer(Broken)

    def test_a_bomb_is_read_in_bounded_memory(self):
        """1 GB of zeros is 1 MB of gzip; a process of its own, so that nothing else counts."""
        program = """
import gzip, io, re, sys
from pathlib import Path
from recast_dm.images.blobs import Blobs
bomb = io.BytesIO()
with gzip.GzipFile(fileobj=bomb, mode="wb", mtime=0) as file:
    for _ in range(1024):
        file.write(bytes(2**20))
data = bomb.getvalue()
layer = Blobs(Path(sys.argv[1])).add_layer(lambda: io.BytesIO(data))
print(len(data), layer.diff_id, re.search(r"VmHWM:\\s*(\\d+)", Path("/proc/self/status").read_text())[1])
"""
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as directory:
            done = subprocess.run(
                [sys.executable, "-c", program, directory], capture_output=True, text=True, check=True
            ).stdout.split()
        assert int(done[0]) < 2_000_000
        assert done[1] == "sha256:49bc20df15e412a64472421e13fe86ff1c5165e18b2afccf160d4dc19fe68a14"
        assert int(done[2]) < 200_000, "kilobytes"


class TestManyAtOnce:
    def test_threads_that_add_the_same_layer(self, shared):
        with ThreadPoolExecutor(8) as pool:
            found = set(pool.map(lambda _: shared.add_layer(opened(TAR)), range(32)))
        assert len(found) == 1
        assert Blobs(shared.root).layer(digest(TAR)) in found
        assert left_over(shared) == []

    def test_processes_that_add_the_same_layer(self, tmp_path):
        program = """
import io, sys
from pathlib import Path
from recast_dm.images.blobs import Blobs
data = bytes(range(256)) * 40000
sys.stdin.readline()
for _ in range(5):
    layer = Blobs(Path(sys.argv[1])).add_layer(lambda: io.BytesIO(data))
    config = Blobs(Path(sys.argv[1])).add(b"config")
print(layer, config)
"""
        argv = [sys.executable, "-c", program, str(tmp_path)]
        started = [
            subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        said = [process.communicate("\n") for process in started]
        assert [err for _, err in said] == [""] * 3
        assert len({out for out, _ in said}) == 1
        assert len(list((tmp_path / "blobs/sha256").iterdir())) == 2

    def test_layers_are_opened_once_and_known_ones_not_at_all(self, shared):
        layers = {digest(data): data for data in (tar({str(number): str(number)}) for number in range(9))}
        seen = []

        def remembering(diff_id):
            return lambda: seen.append(diff_id) or io.BytesIO(layers[diff_id])

        opening = {diff_id: remembering(diff_id) for diff_id in layers}
        found = shared.add_layers(opening)
        assert [found[diff_id].diff_id for diff_id in layers] == list(layers)
        assert sorted(seen) == sorted(layers)
        assert shared.add_layers(opening) == found
        assert len(seen) == len(layers)

    def test_a_layer_that_is_not_what_its_diff_id_says(self, shared):
        with pytest.raises(IntegrityError, match="has other bytes"):
            shared.add_layers({digest(b"something else"): opened(TAR)})

    def test_the_others_stop_when_one_fails(self, shared):
        begun, stopped = threading.Event(), threading.Event()

        class Endless(io.BytesIO):
            def __init__(self):
                begun.set()
                super().__init__()

            def read(self, size=-1):
                time.sleep(0.001)
                return bytes(1000)

            def close(self):
                stopped.set()
                super().close()

        started = time.monotonic()
        endless = {digest(b"endless"): Endless} if (os.cpu_count() or 1) > 1 else {}
        with pytest.raises(IntegrityError, match="ends in the middle"):
            shared.add_layers({digest(b"x"): opened(gzip.compress(TAR)[:-1]), **endless})
        assert stopped.is_set() == begun.is_set()
        assert time.monotonic() - started < 60
        assert left_over(shared) == []


class TestReader:
    @pytest.fixture
    def layer(self, shared) -> Layer:
        return shared.add_layer(opened(TAR))

    def test_what_is_whole(self, shared, layer):
        with Reader(shared.root, layer) as reader:
            assert len(reader.read(layer.size)) == layer.size
            reader.demand()

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda data: data[:-1], "is shorter"),
            (lambda data: data + b"x", "has changed"),
            (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "has changed"),
        ],
    )
    def test_what_has_changed(self, shared, layer, change, message):
        path = shared.path(layer.digest)
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(change(data))

        def all_of_it():
            with Reader(shared.root, layer) as reader:
                reader.read(layer.size)
                reader.demand()

        with pytest.raises(IntegrityError, match=message):
            all_of_it()

    def test_what_is_missing(self, shared, layer):
        shared.path(layer.digest).unlink()
        with pytest.raises(IntegrityError, match="cannot be read: No such file"):
            Reader(shared.root, layer)


def test_checked_gives_everything_before_it_complains():
    assert list(checked([b"a", b"b"], digest(b"ab"), 2)) == [b"a", b"b"]
    found = []
    with pytest.raises(IntegrityError):
        found.extend(checked([b"a", b"b"], digest(b"ab"), 3))


def test_the_first_bytes_may_come_one_by_one():
    data = gzip.compress(TAR)
    pieces = [data[:1], b"", data[1:2], data[2:]]
    assert pack(pieces, lambda _: None) == (digest(data), digest(TAR))
    assert list(chunks(io.BytesIO(b""))) == []


def test_a_note_holds_no_more_than_the_digest(shared):
    layer = shared.add_layer(opened(TAR))
    notes = list((shared.root / "layers").iterdir())
    assert [json.loads(note.read_bytes()) for note in notes] == [{"digest": layer.digest}]
