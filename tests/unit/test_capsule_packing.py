"""A capsule as one file: the same bytes for the same files, and nothing out of a foreign one gets anywhere."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import stat
import struct
import subprocess
import sys
import tarfile
import unicodedata
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.capsule import packing
from recast_dm.capsule.onefile import as_tar, as_zip
from recast_dm.capsule.onefile.members import MAX_MEMBERS, Bytes, Member
from recast_dm.capsule.verify import check_bytes
from recast_dm.errors import IntegrityError, StorageError, UsageError

FORMS = ("zip", "tar")
MANIFEST = json.dumps(
    {
        "schema": "recast-dm/capsule/2",
        "name": "toy",
        "title": "Toy",
        "digest": "0" * 64,
        "workflow": "data/workflow.yml",
        "analysis": "data/analysis",
        "initdir": None,
        "example": {"initdata": {}, "model": None, "parameters": None},
        "likelihood": None,
        "reference": {"made": False, "rules": [], "outputs": []},
        "inputs": [],
        "source": None,
        "images": [],
        "files": [],
    }
).encode()
FILES = {
    "capsule.json": (MANIFEST, False),
    "data/run.sh": (b"#!/bin/sh\n", True),
    "data/analysis/ünï/" + "d" * 120 + "/x": (b"in deep" * 1000, False),
    "data/empty": (b"", False),
    "data/analysis/" + "n" * 200: (b"a long name", False),
    "RERUN.txt": (b"tar xf\n" * 100_000, False),
}


def directory(place: Path, files: dict[str, tuple[bytes, bool]]) -> Path:
    for name, (content, executable) in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        path.chmod(0o755 if executable else 0o644)
    return place


def files_of(place: Path) -> dict[str, tuple[bytes, bool]]:
    return {
        str(path.relative_to(place)): (path.read_bytes(), bool(path.stat().st_mode & 0o100))
        for path in place.rglob("*")
        if path.is_file()
    }


def listing(place: Path) -> list[tuple[str, int]]:
    return sorted((str(path.relative_to(place)), path.lstat().st_size) for path in place.rglob("*"))


@pytest.fixture
def capsule(tmp_path) -> Path:
    return directory(tmp_path / "x.capsule", FILES)


@pytest.fixture(params=FORMS)
def packed(request, capsule, tmp_path) -> Path:
    file = tmp_path / f"x.capsule.{request.param}"
    packing.pack(capsule, file)
    return file


def unpack(file: Path, target: Path) -> None:
    with packing.Archive(file) as archive:
        archive.unpack(target)


# --- what goes in comes out ----------------------------------------------------------------------------------


names = st.lists(
    st.text(st.characters(exclude_characters="/\\", exclude_categories=["C", "Z"]), min_size=1, max_size=80).filter(
        lambda part: part not in (".", "..") and len(part.encode()) <= 240
    ),
    min_size=1,
    max_size=4,
).map("/".join)


class TestRoundTrip:
    def test_every_byte_and_mode(self, capsule, packed, tmp_path):
        unpack(packed, tmp_path / "out")
        assert files_of(tmp_path / "out") == FILES == files_of(capsule)

    @given(
        files=st.dictionaries(names, st.tuples(st.binary(max_size=1500), st.booleans()), max_size=6),
        form=st.sampled_from(FORMS),
    )
    def test_whatever_lies_in_it(self, tmp_path_factory, files, form):
        here = tmp_path_factory.mktemp("here")
        files = {f"data/{name}": content for name, content in files.items()} | {"capsule.json": (MANIFEST, False)}
        try:
            source = directory(here / "x.capsule", files)
        except OSError:  # a file where another name wants a directory
            shutil.rmtree(here)
            return
        file = here / f"x.{form}"
        if len({unicodedata.normalize("NFC", name) for name in files}) < len(files):
            with pytest.raises(UsageError, match="is in it twice"):
                packing.pack(source, file)
        else:
            packing.pack(source, file)
            unpack(file, here / "out")
            assert files_of(here / "out") == files_of(source)
        shutil.rmtree(here)

    def test_the_same_files_give_the_same_bytes(self, capsule, packed, tmp_path):
        again = directory(tmp_path / "elsewhere" / "other name", dict(reversed(FILES.items())))
        for path in again.rglob("*"):
            os.utime(path, (1, 1))
            path.chmod(path.stat().st_mode & 0o700)
        (again / "an empty directory").mkdir()
        second = tmp_path / f"again{packed.suffix}"
        packing.pack(again, second)
        assert second.read_bytes() == packed.read_bytes()

    def test_members_are_read_in_place_and_in_order(self, packed):
        content = packed.read_bytes()
        with packing.Archive(packed) as archive:
            assert list(archive.members) == sorted(FILES, key=str.encode)
            offsets = [member.offset for member in archive.members.values()]
            assert offsets == sorted(offsets)
            for name, member in archive.members.items():
                expected, executable = FILES[name]
                assert content[member.offset : member.offset + member.size] == expected
                assert member.executable == executable
                with archive.open(name) as stream:
                    assert stream.read() == expected
            with pytest.raises(IntegrityError, match="lacks data/none"):
                archive.open("data/none")

    def test_the_manifest_alone(self, capsule, packed):
        assert packing.read_manifest(packed) == packing.read_manifest(capsule) == json.loads(MANIFEST)
        assert packing.is_capsule(packed)
        assert packing.is_capsule(capsule)
        assert not packing.is_capsule(capsule / "RERUN.txt")
        assert not packing.is_capsule(Path("a\0b"))

    def test_what_has_been_done_is_told(self, capsule, packed, tmp_path):
        seen: list[int] = []
        packing.pack(capsule, packed, seen.append)
        total = sum(len(content) for content, _ in FILES.values())
        assert sum(seen) == total
        with packing.Archive(packed) as archive:
            archive.unpack(tmp_path / "out", seen.append)
        assert sum(seen) == 2 * total


class TestOthersReadIt:
    def test_pythons_own(self, packed, tmp_path):
        if packed.suffix == ".zip":
            with zipfile.ZipFile(packed) as opened:
                assert opened.testzip() is None
                opened.extractall(tmp_path / "out")
                modes = {info.filename: info.external_attr >> 16 for info in opened.infolist()}
                assert modes["toy.capsule/data/run.sh"] == stat.S_IFREG | 0o755
        else:
            with tarfile.open(packed) as opened:
                opened.extractall(tmp_path / "out", filter="data")
        found = files_of(tmp_path / "out/toy.capsule")
        assert {name: content for name, (content, _) in found.items()} == {n: c for n, (c, _) in FILES.items()}

    def test_the_systems_own(self, packed, tmp_path):
        test = ["unzip", "-tqq", packed] if packed.suffix == ".zip" else ["tar", "tf", packed]
        if not shutil.which(test[0]):
            pytest.skip(f"there is no {test[0]} here")
        done = subprocess.run(test, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
        (tmp_path / "out").mkdir()
        take = ["unzip", "-qq", packed] if packed.suffix == ".zip" else ["tar", "xf", packed]
        subprocess.run(take, cwd=tmp_path / "out", check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        assert files_of(tmp_path / "out/toy.capsule") == FILES

    @pytest.mark.parametrize("count", [0xFFFE, 0xFFFF])
    def test_many_members(self, tmp_path, count):
        """From 65535 on a zip file counts them in another place."""
        file = tmp_path / "x.zip"
        write(file, "zip", [(f"x/{n:06}", b"", False) for n in range(count)])
        with zipfile.ZipFile(file) as opened, packing.Archive(file) as ours:
            assert len(opened.infolist()) == len(ours.members) == count

    def test_a_large_member(self, tmp_path):
        """5 GB and 9 GB, as holes: where sizes and places no longer fit into 32 bits, or into a tar header."""
        big = {"x/a": 5 * 2**30, "x/b": 9 * 2**30, "x/c": 3}
        for form in FORMS:
            file = tmp_path / f"x.{form}"
            write_holes(file, form, big)
            with packing.Archive(file) as ours:
                places = {f"x/{name}": (member.offset, member.size) for name, member in ours.members.items()}
            assert {name: size for name, (_, size) in places.items()} == big
            if form == "zip":
                with zipfile.ZipFile(file) as opened:
                    assert {info.filename: info.file_size for info in opened.infolist()} == big
                    with opened.open("x/b") as stream:
                        assert stream.read(10) == bytes(10)
            else:
                with tarfile.open(file) as opened:
                    assert {info.name: (info.offset_data, info.size) for info in opened} == places
            file.unlink()


def form_of(name: str) -> packing.Form:
    forms: dict[str, packing.Form] = {"zip": as_zip, "tar": as_tar}
    return forms[name]


def write(file: Path, form: str, files: Iterable[tuple[str, bytes, bool]]) -> None:
    """An archive in our own form with whatever names: what somebody would write who means harm."""
    layout, members = form_of(form), []
    with file.open("wb") as out:
        for name, content, executable in files:
            draft = Member(name, 0, len(content), executable, zlib.crc32(content))
            offset = out.tell() + len(layout.head(draft))
            members.append(Member(name, offset, draft.size, executable, draft.crc))
            out.write(layout.head(draft) + content + bytes(layout.gap(draft.size)))
        out.writelines(layout.ending(members, out.tell()))


def write_holes(file: Path, form: str, sizes: dict[str, int]) -> None:
    layout, members = form_of(form), []
    with file.open("wb") as out:
        for name, size in sizes.items():
            before = layout.head(Member(name, 0, size))
            members.append(Member(name, out.tell() + len(before), size))
            out.write(before)
            out.seek(size + layout.gap(size), os.SEEK_CUR)
        out.writelines(layout.ending(members, out.tell()))


# --- what is refused -----------------------------------------------------------------------------------------


@pytest.fixture
def refusal(tmp_path):
    """Tries to use an archive in each way; gives what is said of it, when nothing at all was written."""
    place = tmp_path / "canary" / "deep" / "here"
    place.mkdir(parents=True)
    (tmp_path / "canary" / "song").write_text("tweet")

    def refusal(file: Path) -> str:
        before = listing(tmp_path)
        with pytest.raises(IntegrityError) as caught:
            unpack(file, place / "out")
        assert listing(tmp_path) == before
        assert str(file) in caught.value.message
        assert caught.value.hint
        return caught.value.message

    return refusal


SLIPS = {
    "../evil": "would be written outside",
    "x/../../evil": "would be written outside",
    "x/..": "would be written outside",
    "/etc/evil": "no file here may have",
    "x//evil": "no file here may have",
    "x/./evil": "no file here may have",
    "./x/evil": "no file here may have",
    "x/evil/": "no file here may have",
    "x\\..\\evil": "no file here may have",
    "C:/evil": "no file here may have",
    "x/a\nb": "no file here may have",
    "x/" + "d/" * 2100 + "e": "no file here may have",
    "evil": "does not lie in the one directory",
    "y/evil": "does not lie in the one directory",
}


@pytest.mark.parametrize("form", FORMS)
class TestRefused:
    @pytest.mark.parametrize("name", SLIPS)
    def test_names(self, tmp_path, refusal, form, name):
        write(tmp_path / "evil", form, [("x/aaa", b"fine", False), (name, b"pwned", True)])
        assert SLIPS[name] in refusal(tmp_path / "evil")

    def test_a_nul_byte(self, tmp_path, refusal, form):
        write(tmp_path / "evil", form, [("x/a", b"fine", False), ("x/ab\0c", b"pwned", True)])
        assert refusal(tmp_path / "evil")

    def test_bytes_that_are_no_text(self, tmp_path, refusal, form):
        write(tmp_path / "evil", form, [("x/abc", b"fine", False)])
        content = (tmp_path / "evil").read_bytes().replace(b"x/abc", b"x/a\xff\xfe")
        (tmp_path / "evil").write_bytes(content)
        assert "is not UTF-8" in refusal(tmp_path / "evil")

    @pytest.mark.parametrize(
        ("files", "message"),
        [
            (["x/a", "x/a"], "'x/a' is in it twice"),
            (["x/b", "x/a"], "'x/a' is in it twice, or not in its place"),
            (["x/a", "x/a/b"], "'a' is a file, and a directory too"),
            (["x/e\u0301/b", "x/\u00e9"], "is in it twice"),
            (["x/e\u0301", "x/\u00e9"], "is in it twice"),
            (["x/e\u0301", "x/\u00e9/b"], "is a file, and a directory too"),
        ],
    )
    def test_two_of_one_name(self, tmp_path, refusal, form, files, message):
        write(tmp_path / "evil", form, [(name, name.encode(), False) for name in files])
        assert message in refusal(tmp_path / "evil")

    def test_names_that_differ_in_case_are_two(self, tmp_path, form):
        write(tmp_path / "fine", form, [("x/A", b"1", False), ("x/a", b"2", False)])
        unpack(tmp_path / "fine", tmp_path / "out")
        assert files_of(tmp_path / "out") == {"A": (b"1", False), "a": (b"2", False)}

    def test_too_many_members(self, tmp_path, form):
        """A million, in time and memory that do not grow with them: another process, which has 150 MB in all."""
        file = tmp_path / "evil"
        write(file, form, ((f"x/{n:07}", b"", False) for n in range(MAX_MEMBERS + 1)))
        with file.open("r+b") as opened:  # the rest is never looked at: the last one again and again
            start = form_of(form).head(Member(f"x/{MAX_MEMBERS:07}", 0, 0))
            opened.truncate((MAX_MEMBERS + 1) * len(start))
            opened.seek(0, os.SEEK_END)
            opened.write(start * (1_000_000 - MAX_MEMBERS if form == "zip" else 10_000))  # a header of tar is large
        code = (
            "import sys; from pathlib import Path; from recast_dm.capsule import packing;"
            "from recast_dm.errors import IntegrityError\n"
            "try: packing.Archive(Path(sys.argv[1]))\n"
            "except IntegrityError as error: print(error.message)\n"
            "print(Path('/proc/self/status').read_text().partition('VmHWM:')[2].split()[0])"
        )
        done = subprocess.run([sys.executable, "-c", code, file], capture_output=True, text=True, check=True)
        said, peak = done.stdout.splitlines()
        assert f"it has more than {MAX_MEMBERS} members" in said
        assert int(peak) < 150_000

    @pytest.mark.parametrize("after", [b"\0", b"\0" * 512, b"PK\5\6", b"garbage" * 1000])
    def test_what_follows_the_end(self, tmp_path, refusal, form, after):
        write(tmp_path / "evil", form, [("x/a", b"fine", False)])
        with (tmp_path / "evil").open("ab") as file:
            file.write(after)
        assert "was not written by recast-dm" in refusal(tmp_path / "evil")

    def test_nothing_in_it(self, tmp_path, form):
        write(tmp_path / "evil", form, [])
        with pytest.raises((IntegrityError, UsageError)):
            unpack(tmp_path / "evil", tmp_path / "out")

    def test_a_bomb_of_holes(self, tmp_path, refusal, form):
        """A member that says it is larger than the whole file."""
        write_holes(tmp_path / "evil", form, {"x/a": 10**12})
        os.truncate(tmp_path / "evil", 10_000)
        assert "it ends early, within 'x/a'" in refusal(tmp_path / "evil")


class TestTampering:
    def test_an_archive_that_was_cut_off(self, packed, tmp_path):
        content = packed.read_bytes()
        for length in [*range(0, 600, 7), *range(600, len(content), 9973), len(content) - 1]:
            packed.write_bytes(content[:length])
            with pytest.raises((IntegrityError, UsageError)):
                packing.Archive(packed)
        assert not (tmp_path / "out").exists()

    def test_any_changed_bit_outside_of_the_contents(self, capsule, packed):
        """Nothing but the checksum of the contents, which is looked at when they are read, may change unseen."""
        (capsule / "RERUN.txt").write_text("tar xf\n")
        packing.pack(capsule, packed)
        content = bytearray(packed.read_bytes())
        with packing.Archive(packed) as archive:
            inside = [range(m.offset, m.offset + m.size) for m in archive.members.values()]
        outside = [n for n in range(len(content)) if not any(n in place for place in inside)]
        assert len(outside) > 500
        for n in outside if packed.suffix == ".zip" else outside[::5]:
            bit = 1 << n % 8
            content[n] ^= bit
            packed.write_bytes(content)
            with pytest.raises((IntegrityError, UsageError)):
                packing.Archive(packed)
            content[n] ^= bit

    def test_changed_contents_of_a_zip_file(self, capsule, tmp_path):
        file = tmp_path / "x.zip"
        packing.pack(capsule, file)
        content = bytearray(file.read_bytes())
        content[content.index(b"in deep") + 3] ^= 1
        file.write_bytes(content)
        with pytest.raises(IntegrityError, match="its checksum is not the one it had"):
            unpack(file, tmp_path / "out")
        assert not (tmp_path / "out").exists()

    def test_something_hidden_between_members(self, capsule, tmp_path):
        file = tmp_path / "x.tar"
        packing.pack(capsule, file)
        content = bytearray(file.read_bytes())
        content[content.index(b"#!/bin/sh\n") + 100] = 1
        file.write_bytes(content)
        with pytest.raises(IntegrityError, match=r"something hides behind the member 'toy.capsule/data/run\.sh'"):
            packing.Archive(file)

    @pytest.mark.parametrize("form", FORMS)
    @given(noise=st.binary(max_size=2000))
    def test_noise_is_one_clear_error(self, tmp_path_factory, form, noise):
        file = tmp_path_factory.mktemp("noise") / "x"
        start = b"PK\3\4" if form == "zip" else bytes(257) + b"ustar\00000"
        file.write_bytes(start + noise)
        with pytest.raises(IntegrityError):
            packing.Archive(file)
        with pytest.raises(IntegrityError):
            packing.read_manifest(file)


def zipped(
    name: str = "x/a", *, content: bytes = b"fine" * 100, method: int = zipfile.ZIP_STORED, mode: int = 0
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        info = zipfile.ZipInfo(name)
        info.compress_type = method
        info.external_attr = (mode or stat.S_IFREG | 0o644) << 16
        opened.writestr(info, content)
    return buffer.getvalue()


class TestOthersZipFiles:
    """What other programs write, and what other programs would be made to write."""

    @pytest.mark.parametrize("mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666, stat.S_IFIFO | 0o666])
    def test_links_and_devices(self, tmp_path, refusal, mode):
        (tmp_path / "evil").write_bytes(zipped(mode=mode))
        assert "'x/a' is a link or a device" in refusal(tmp_path / "evil")

    def test_compressed(self, tmp_path, refusal):
        bomb = zipped(content=bytes(10_000_000), method=zipfile.ZIP_DEFLATED)
        assert len(bomb) < 20_000
        (tmp_path / "evil").write_bytes(bomb)
        assert "'x/a' (at byte 0) is compressed" in refusal(tmp_path / "evil")

    def test_encrypted(self, tmp_path, refusal):
        content = bytearray(zipped())
        content[6] |= 1
        (tmp_path / "evil").write_bytes(content)
        assert "is encrypted" in refusal(tmp_path / "evil")

    def test_overlapping_members(self, tmp_path, refusal):
        """One stored file that is listed many times: small, and endless when unpacked."""
        write(tmp_path / "evil", "zip", [("x/a", b"0" * 1000, False)])
        content = (tmp_path / "evil").read_bytes()
        table = content.index(b"PK\1\2")
        entry, end = content[table : content.index(b"PK\5\6")], bytearray(content[content.index(b"PK\5\6") :])
        again = entry.replace(b"x/a", b"x/b")
        struct.pack_into("<2H2L", end, 8, 2, 2, 2 * len(entry), table)
        (tmp_path / "evil").write_bytes(content[:table] + entry + again + end)
        with zipfile.ZipFile(tmp_path / "evil") as opened:
            assert len(opened.infolist()) == 2
        assert "was not written by recast-dm" in refusal(tmp_path / "evil")

    def test_a_name_that_the_table_says_otherwise(self, tmp_path, refusal):
        write(tmp_path / "evil", "zip", [("x/a", b"0", False)])
        content = (tmp_path / "evil").read_bytes()
        head, _, tail = content.rpartition(b"x/a")
        (tmp_path / "evil").write_bytes(head + b"x/b" + tail)
        assert "does not list the member 'x/a' as it is" in refusal(tmp_path / "evil")

    def test_something_before_it(self, tmp_path):
        (tmp_path / "evil").write_bytes(b"#!/bin/sh\nexit\n" + zipped())
        with pytest.raises(UsageError, match="is neither a zip nor a tar file: not a capsule"):
            packing.Archive(tmp_path / "evil")

    def test_a_comment(self, tmp_path, refusal):
        write(tmp_path / "evil", "zip", [("x/a", b"0", False)])
        with warnings.catch_warnings(), zipfile.ZipFile(tmp_path / "evil", "a") as opened:
            warnings.simplefilter("ignore")
            opened.comment = b"hidden"
        assert refusal(tmp_path / "evil")


def tarred(form: int = tarfile.USTAR_FORMAT, name: str = "x/a", **attributes: object) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as opened:
        info = tarfile.TarInfo(name)
        for key, value in attributes.items():
            setattr(info, key, value)
        opened.addfile(info, io.BytesIO(bytes(info.size)) if info.size else None)
    return buffer.getvalue()


class TestOthersTarFiles:
    @pytest.mark.parametrize(
        ("attributes", "message"),
        [
            ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "is a link"),
            ({"type": tarfile.LNKTYPE, "linkname": "../../etc/passwd"}, "is a hard link"),
            ({"type": tarfile.CHRTYPE}, "is a device"),
            ({"type": tarfile.BLKTYPE}, "is a device"),
            ({"type": tarfile.FIFOTYPE}, "is a pipe"),
            ({"type": tarfile.DIRTYPE}, "is a directory"),
            ({"type": b"S"}, "has holes"),
            ({"type": b"7"}, "was not written by recast-dm"),
            ({"mode": 0o4755}, "was not written by recast-dm"),
            ({"uid": 1000}, "was not written by recast-dm"),
            ({"mtime": 1}, "was not written by recast-dm"),
            ({"size": 5}, "was not written by recast-dm"),  # it fills up the last of twenty blocks
        ],
    )
    def test_members(self, tmp_path, refusal, attributes, message):
        (tmp_path / "evil").write_bytes(tarred(**attributes))
        assert message in refusal(tmp_path / "evil")

    @pytest.mark.parametrize(
        ("name", "message"), [("x/" + "n" * 120, "has a name in GNU's form"), ("x/a", "is no header of a tar file")]
    )
    def test_gnus_own_form(self, tmp_path, refusal, name, message):
        content = tarred(tarfile.GNU_FORMAT, name)
        if len(name) > 100:  # the magic of the one form and the contents of the other
            content = content.replace(b"ustar  \0", b"ustar\00000")
        (tmp_path / "evil").write_bytes(content)
        assert message in refusal(tmp_path / "evil")

    @pytest.mark.parametrize(
        "records",
        [
            {"path": "../evil"},
            {"path": "/etc/evil"},
            {"linkpath": "/etc/passwd"},
            {"size": "99999999999999"},
            {"GNU.sparse.major": "1", "GNU.sparse.name": "x/b", "GNU.sparse.realsize": "1"},
            {"mtime": "1.5"},
        ],
    )
    def test_pax_records(self, tmp_path, refusal, records):
        (tmp_path / "evil").write_bytes(tarred(tarfile.PAX_FORMAT, pax_headers=records))
        assert refusal(tmp_path / "evil")

    def test_a_pax_header_without_end(self, tmp_path, refusal):
        (tmp_path / "evil").write_bytes(tarred(type=b"x", size=10_000_000))
        assert "the pax header at byte 0 has 10000000 bytes" in refusal(tmp_path / "evil")

    def test_a_negative_size(self, tmp_path, refusal):
        write(tmp_path / "evil", "tar", [("x/a", b"0" * 600, False)])
        content = bytearray((tmp_path / "evil").read_bytes())
        content[124:136] = b"-0000001000\0"
        (tmp_path / "evil").write_bytes(content)
        assert "says no size" in refusal(tmp_path / "evil")


# --- pack and unpack as commands of a file system -------------------------------------------------------------


class TestPlaces:
    def test_a_capsule_is_replaced_and_nothing_else(self, capsule, packed, tmp_path):
        packing.pack(capsule, packed)
        (tmp_path / "mine.zip").write_text("mine")
        (tmp_path / "foreign.zip").write_bytes(zipped())
        (tmp_path / "directory.zip").mkdir()
        for name in ("mine.zip", "foreign.zip", "directory.zip"):
            before = listing(tmp_path)
            with pytest.raises(UsageError, match="exists and is not a capsule"):
                packing.pack(capsule, tmp_path / name)
            assert listing(tmp_path) == before

    @pytest.mark.parametrize(
        ("name", "message"), [("x.capsule", "says no form"), ("x.capsule/data/y.zip", "lies in the capsule")]
    )
    def test_where_none_can_be(self, capsule, tmp_path, name, message):
        with pytest.raises(UsageError, match=message):
            packing.pack(capsule, tmp_path / name)
        assert files_of(capsule) == FILES

    def test_the_first_format_has_none(self, capsule, tmp_path):
        old = {**json.loads(MANIFEST), "schema": "recast-dm/capsule/1"}
        for name in ("reference", "inputs", "source"):
            del old[name]
        (capsule / "capsule.json").write_text(json.dumps(old))
        with pytest.raises(UsageError, match="has format 1"):
            packing.pack(capsule, tmp_path / "y.zip")
        write(tmp_path / "x.zip", "zip", [("x/capsule.json", json.dumps(old).encode(), False)])
        assert check_bytes(tmp_path / "x.zip").problems == ("a capsule of format 1 is a directory: unpack it",)

    def test_names_that_cannot_be(self, capsule, tmp_path):
        (capsule / "data" / os.fsdecode(b"caf\xe9")).touch()
        with pytest.raises(UsageError, match="is not UTF-8"):
            packing.pack(capsule, tmp_path / "y.zip")
        (capsule / "data" / os.fsdecode(b"caf\xe9")).rename(capsule / "data" / "back\\slash")
        with pytest.raises(UsageError, match="cannot be one file"):
            packing.pack(capsule, tmp_path / "y.zip")
        (capsule / "data" / "back\\slash").unlink()
        (capsule / "data" / "link").symlink_to("run.sh")
        with pytest.raises(IntegrityError, match="is a link"):
            packing.pack(capsule, tmp_path / "y.zip")
        assert sorted(path.name for path in tmp_path.iterdir()) == ["x.capsule"]

    def test_a_file_that_grows(self, capsule, tmp_path):
        def grow(_done: int) -> None:
            with (capsule / "RERUN.txt").open("ab") as file:
                file.write(b"more")

        (capsule / "RERUN.txt").write_bytes(bytes(3_000_000))
        with pytest.raises(IntegrityError, match="changed while it was packed"):
            packing.pack(capsule, tmp_path / "y.tar", grow)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["x.capsule"]

    @pytest.mark.parametrize("kind", ["file", "directory", "link"])
    def test_nothing_is_unpacked_over(self, packed, tmp_path, kind):
        target = tmp_path / "out"
        if kind == "file":
            target.write_text("mine")
        elif kind == "link":
            target.symlink_to(tmp_path / "nowhere")
        else:
            target.mkdir()
            (target / "mine").touch()
        before = listing(tmp_path)
        with pytest.raises(UsageError, match="out exists"):
            unpack(packed, target)
        assert listing(tmp_path) == before

    @pytest.mark.parametrize("call", ["mkdir", "rename", "fsync", "fchmod"])
    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(errno.ENOSPC, "No space left on device")])
    def test_whole_or_not_at_all(self, capsule, packed, tmp_path, monkeypatch, call, error):
        def stop(*_a: object, **_k: object) -> None:
            raise error

        before = listing(tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(os, call, stop)
            with pytest.raises((KeyboardInterrupt, StorageError)):
                unpack(packed, tmp_path / "out")
            if call == "fsync":
                with pytest.raises((KeyboardInterrupt, StorageError)):
                    packing.pack(capsule, tmp_path / f"again{packed.suffix}")
        assert listing(tmp_path) == before

    def test_what_is_no_capsule(self, tmp_path):
        (tmp_path / "text").write_text("no capsule")
        os.mkfifo(tmp_path / "pipe")
        for name, message in (("none", "does not exist"), ("text", "not a capsule"), ("pipe", "not a capsule")):
            with pytest.raises(UsageError, match=message):
                packing.Archive(tmp_path / name)
            with pytest.raises(UsageError, match=message):
                packing.read_manifest(tmp_path / name)
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match="is not a capsule"):
            packing.read_manifest(tmp_path / "empty")

    @pytest.mark.parametrize(
        ("manifest", "message"),
        [
            (b"{", "is not JSON"),
            (b"\xff", "is not JSON"),
            (b"[" * 100_000, "is not JSON"),
            (b"[]", "has the schema None"),
            (b'{"schema": "recast-dm/capsule/999"}', "has the schema 'recast-dm/capsule/999'"),
            (b'{"schema": "recast-dm/capsule/1"}', "is damaged: 'name' is a required property"),
        ],
    )
    def test_manifests(self, tmp_path, manifest, message):
        place = directory(tmp_path / "x", {"capsule.json": (manifest, False)})
        write(tmp_path / "x.zip", "zip", [("x/capsule.json", manifest, False)])
        for path in (place, tmp_path / "x.zip"):
            with pytest.raises(IntegrityError, match=message):
                packing.read_manifest(path)

    def test_no_manifest(self, tmp_path):
        write(tmp_path / "x.zip", "zip", [("x/a", b"", False)])
        with pytest.raises(UsageError, match=r"holds no capsule\.json"):
            packing.read_manifest(tmp_path / "x.zip")


def test_bytes_by_place(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    file = Bytes(tmp_path / "x")
    assert (file.size, file.at(3, 4), file.at(9, 0)) == (10, b"3456", b"")
    file.close()
