"""Layers as streams: what is left of each one in an image, and tars that mean harm."""

from __future__ import annotations

import contextlib
import io
import tarfile
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layertars import shape, stack, tar

from recast_dm.capsule.gates import layers
from recast_dm.capsule.gates.layers import Names, Shape, entries
from recast_dm.errors import IntegrityError


def up_from(name: str) -> list[str]:
    return list(layers.ancestors(name))


class TestWhatIsLeft:
    def test_a_whiteout_hides_the_file_of_a_lower_layer(self):
        pile = stack(tar({"etc/a": "x", "etc/b": "x"}), tar({"etc/.wh.a": ""}))
        assert not pile.keeps(0, "etc/a")
        assert pile.keeps(0, "etc/b")
        assert not pile.has("/etc/a")
        assert not pile.has("/etc/.wh.a")

    def test_a_whiteout_of_a_directory_hides_everything_in_it(self):
        pile = stack(tar({"opt/old/deep/file": "x"}), tar({"opt/.wh.old": ""}))
        assert not pile.keeps(0, "opt/old/deep/file")
        assert not pile.has("/opt/old")
        assert pile.has("/opt")

    def test_an_opaque_directory_hides_what_is_below_and_shows_what_comes_with_it(self):
        pile = stack(tar({"opt/a": "x"}), tar({"opt/.wh..wh..opq": "", "opt/b": "x"}))
        assert not pile.keeps(0, "opt/a")
        assert pile.keeps(1, "opt/b")
        assert pile.has("/opt/b")

    def test_the_whole_root_may_be_opaque(self):
        assert not stack(tar({"a": "x"}), tar({".wh..wh..opq": ""})).keeps(0, "a")

    def test_a_file_that_is_written_again_is_the_later_one(self):
        pile = stack(tar({"etc/a": "1"}), tar({"etc/a": "2"}))
        assert not pile.keeps(0, "etc/a")
        assert pile.keeps(1, "etc/a")

    @pytest.mark.parametrize("how", ["file", "link"])
    def test_a_directory_that_something_else_replaces_is_gone_with_what_it_held(self, how):
        later = tar({"opt/x": "x"}) if how == "file" else tar({}, {"opt/x": "/elsewhere"})
        pile = stack(tar({"opt/x/deep/file": "x"}), later)
        assert not pile.keeps(0, "opt/x/deep/file")
        assert not pile.has("/opt/x/deep/file")
        assert pile.has("/opt/x")

    def test_what_a_layer_hides_and_a_later_one_brings_again_is_there(self):
        pile = stack(tar({"a/b": "1"}), tar({".wh.a": ""}), tar({"a/b": "3"}))
        assert not pile.keeps(0, "a/b")
        assert pile.keeps(2, "a/b")
        assert pile.has("/a/b")

    def test_a_directory_is_there_also_when_two_layers_have_it(self):
        assert stack(tar({"opt": None, "opt/a": "x"}), tar({"opt": None, "opt/b": "x"})).has("/opt/a")

    def test_links_of_the_top_directory_are_followed(self):
        pile = stack(tar({"usr/bin/bash": "x"}, {"bin": "usr/bin"}))
        assert pile.has("/bin/bash")
        assert not pile.has("/bin/zsh")
        assert not pile.has("/sbin/bash")

    @given(
        st.lists(st.dictionaries(st.sampled_from(["a", "b", "a/b", "a/b/c", "b/c", "c"]), st.booleans()), max_size=5)
    )
    def test_it_agrees_with_layers_put_on_a_disk(self, moves):
        """Each layer adds files (True) or whites names out (False); the model is a plain set of files."""
        tars, files = [], set()
        for wish in moves:
            move = {n: adds for n, adds in wish.items() if not any(wish.get(up) is True for up in up_from(n))}
            gone = {name for name, adds in move.items() if not adds}
            added = set(move) - gone
            touched = {up for name in move for up in up_from(name)}
            files = {f for f in files if not {f, *up_from(f)} & gone and f not in touched}
            files = {f for f in files if not {*up_from(f)} & added} | added
            whiteouts = {f"{n.rpartition('/')[0]}/.wh.{n.rpartition('/')[2]}".lstrip("/"): "" for n in gone}
            tars.append(tar({**whiteouts, **dict.fromkeys(sorted(added), "x")}))
        pile = stack(*tars)
        for name in ("a", "b", "a/b", "a/b/c", "b/c", "c"):
            kept = any(name in pile._shapes[n].files and pile.keeps(n, name) for n in range(len(tars)))
            assert kept == (name in files)


class TestNames:
    @given(st.lists(st.text()), st.lists(st.text()))
    def test_it_is_a_set(self, added, asked):
        names = Names()
        for name in added:
            names.add(name)
        assert all(name in names for name in added)
        assert all((name in names) == (name in added) for name in asked)
        names.add("later")
        assert "later" in names


def header(name: str, *, kind: bytes = tarfile.REGTYPE, size: int = 0) -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


class TestHostileTars:
    @pytest.mark.parametrize("name", ["../etc/passwd", "usr/../../x", "/../x", "a/.."])
    def test_a_name_that_leaves_the_image_is_refused(self, name):
        with pytest.raises(IntegrityError, match="outside the image"):
            shape(tar({name: "x"}))

    @pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
    def test_a_huge_header_is_refused_before_it_is_read(self, kind):
        with pytest.raises(IntegrityError, match="header that is too large"):
            shape(header("x", kind=kind, size=1 << 40))

    def test_headers_upon_headers_are_refused(self):
        record = b"12 path=abc\n".ljust(512, b"\0")
        with pytest.raises(IntegrityError):
            shape((header("x", kind=tarfile.XHDTYPE, size=12) + record) * 20_000)

    def test_a_file_that_is_said_to_be_endless_ends(self):
        with pytest.raises(IntegrityError, match="ends within a file"):
            shape(header("x", size=1 << 60) + b"x" * 10_000)

    def test_a_file_that_ends_too_early_is_told_where_it_is_read(self):
        data = header("x", size=1000) + b"x" * 100
        with pytest.raises(IntegrityError):
            [entry.read(1000) for entry in entries("sha256:0", io.BytesIO(data))]

    def test_a_negative_size_is_refused(self):
        with pytest.raises(IntegrityError):
            shape(header("x", size=-512))

    def test_sparse_files_are_refused(self):
        info = tarfile.TarInfo("x")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x"}
        info.size = 512
        with pytest.raises(IntegrityError, match="sparse"):
            shape(info.tobuf(tarfile.PAX_FORMAT) + b"9" * 512 + b"\0" * 1024)
        with pytest.raises(IntegrityError, match="sparse"):
            shape(header("x", kind=tarfile.GNUTYPE_SPARSE))

    def test_a_broken_header_in_the_middle_is_not_taken_for_the_end(self):
        good = tar({"a": "x"})[:1024]
        with pytest.raises(IntegrityError, match="invalid header"):
            shape(good + b"\1" * 512 + tar({"secret": "x"}))

    def test_too_many_entries_are_refused(self, monkeypatch):
        monkeypatch.setattr(layers, "MAX_ENTRIES", 100)
        with pytest.raises(IntegrityError, match="more than 100 entries"):
            shape(tar({f"f{n}": "" for n in range(101)}))

    def test_a_bomb_ends(self, monkeypatch):
        monkeypatch.setattr(layers, "MAX_BYTES", 1 << 20)
        with pytest.raises(IntegrityError, match="too large"):
            shape(tar({"zeros": b"\0" * (2 << 20)}))

    def test_many_entries_take_little_memory(self):
        """A hundred thousand files: tarfile alone would remember 100 MB of headers."""
        count, block = 100_000, header("x")
        data = io.BytesIO(b"".join(header(f"d{n % 100}/f{n}") if n % 1000 == 0 else block for n in range(count)))
        tracemalloc.start()
        try:
            made = Shape()
            for entry in entries("sha256:0", data):  # type: ignore[arg-type]
                made.add(entry)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert made.entries == count
        assert peak < 30e6

    @given(st.binary(max_size=4096))
    def test_garbage_is_an_empty_layer_or_an_error_of_ours(self, data):
        with contextlib.suppress(IntegrityError):
            assert shape(data).entries >= 0

    @given(st.data())
    def test_a_changed_byte_never_escapes(self, data):
        whole = bytearray(
            tar(
                {"a" * 150: "x", "pax/é": "y" * 600, "d": None, "var/lib/dpkg/status": "Package: a\n"}, {"l": "d" * 200}
            )
        )
        for _ in range(data.draw(st.integers(1, 4))):
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
        with contextlib.suppress(IntegrityError):
            for entry in entries("sha256:0", io.BytesIO(bytes(whole))):
                assert not entry.name.startswith(("/", "../"))
                entry.read(1 << 20)

    @given(st.binary(max_size=300).filter(lambda b: b), st.sampled_from([tarfile.XHDTYPE, tarfile.XGLTYPE]))
    def test_pax_garbage_never_escapes(self, record, kind):
        block = record.ljust((len(record) + 511) // 512 * 512, b"\0")
        with contextlib.suppress(IntegrityError):
            shape(header("p", kind=kind, size=len(record)) + block + tar({"a": "x"}))
