"""What of a capsule's bytes is checked, and what is taken as it was: bags, archives, remembered hashes."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workbench import rewrite

from recast_dm import store
from recast_dm.capsule import Capsule, bag, fixity, layout, open_capsule, packing
from recast_dm.capsule.verify import check_bytes, check_structure
from recast_dm.errors import IntegrityError, UsageError

NAMES = st.lists(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
        lambda part: part not in (".", "..")
    ),
    min_size=1,
    max_size=3,
).map("/".join)
FILES = st.dictionaries(NAMES, st.binary(max_size=100), max_size=8)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that everybody may look into."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def written(root: Path, files: dict[str, bytes]) -> dict[str, bytes]:
    """Writes the files as a payload, as far as their names can stand beside one another."""
    found = {}
    for name, content in files.items():
        path = root / "data" / name
        with contextlib.suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            found[f"data/{name}"] = content
    (root / "data").mkdir(exist_ok=True)
    return found


def bagged(root: Path) -> dict[str, bytes]:
    """Makes a bag. Gives its tag files."""
    bag.close(root, bag.read(bag.members(root)), {"External-Description": "some files"})
    return {name: (root / name).read_bytes() for name in (bag.DECLARATION, bag.MANIFEST, bag.TAG_MANIFEST)}


class TestBags:
    @given(FILES)
    def test_whatever_lies_in_one(self, files):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            files = written(root, files)
            tags = bagged(root)
            entries = bag.read(bag.members(root))
            assert bag.problems(entries, tags) == []
            assert {e.path: e.sha512 for e in entries if e.path in files} == {
                path: hashlib.sha512(content).hexdigest() for path, content in files.items()
            }
            rows = tags[bag.MANIFEST].decode().split("\n")[:-1]
            assert len(rows) == len(files)
            assert all(row[128:135] == "  data/" for row in rows)
            for change in (b"", tags[bag.MANIFEST] + b"\n", tags[bag.MANIFEST].upper()):
                if change != tags[bag.MANIFEST]:
                    assert bag.problems(entries, {**tags, bag.MANIFEST: change})

    @given(FILES, st.data())
    def test_every_change_is_found_and_named(self, files, data):
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            files = written(root, files)
            tags = bagged(root)
            entries = {entry.path: entry for entry in bag.read(bag.members(root))}
            path = data.draw(st.sampled_from(sorted(set(entries) - {bag.TAG_MANIFEST, bag.MANIFEST})))
            content = data.draw(st.binary(max_size=101).filter(lambda content: content != (root / path).read_bytes()))
            (root / path).write_bytes(content)
            problems = bag.problems(bag.read(bag.members(root)), tags)
            assert [each for each in problems if "has changed" in each]
            (root / path).unlink()
            problems = bag.problems(bag.read(bag.members(root)), tags)
            assert [each for each in problems if "is missing" in each]

    @given(st.dictionaries(NAMES, st.integers(0, 2**512 - 1), max_size=8))
    def test_one_manifest_for_one_set_of_files(self, files):
        entries = [bag.Entry(f"data/{name}", 0, False, "", f"{number:0128x}") for name, number in files.items()]
        made = bag.manifest(entries, payload=True)
        assert made == bag.manifest(reversed(entries), payload=True)
        assert made.count(b"\n") == len(files)
        assert b"\r" not in made
        assert len({line[130:] for line in made.split(b"\n")[:-1]}) == len(files)

    def test_the_systems_own_program_agrees(self, tmp_path):
        written(tmp_path, {"a b": b"1", "ü/é": b"2", ".hidden": b"", "-rf": b"3"})
        bagged(tmp_path)
        for name in (bag.MANIFEST, bag.TAG_MANIFEST):
            subprocess.run(["sha512sum", "--check", "--strict", "--quiet", name], cwd=tmp_path, check=True)

    @pytest.mark.parametrize("name", ["a\x0cb", "a\u2028b", "a\x85b", "a\nb", os.fsdecode(b"a\xff")])
    def test_names_with_more_than_one_line(self, tmp_path, name):
        """Python splits a text into lines at more characters than a manifest does."""
        written(tmp_path, {name: b"1", "other": b"2"})
        tags = bagged(tmp_path)
        (tmp_path / "data" / name).write_bytes(b"3")
        (problem,) = bag.problems(bag.read(bag.members(tmp_path)), tags)
        assert problem.endswith("has changed: its hash is not that in manifest-sha512.txt")

    def test_what_is_read_is_told(self, tmp_path):
        written(tmp_path, {"a": b"123", "b": b"4567"})
        told: list[int] = []
        bag.read(bag.members(tmp_path), told.append)
        assert sum(told) == 7


def problems(capsule: Capsule) -> tuple[str, ...]:
    """What both find: who verifies and who opens it."""
    check = check_bytes(capsule.path)
    if not check.ok:
        with pytest.raises(IntegrityError):
            open_capsule(capsule.path)
    return check.problems


class TestDirectories:
    def test_a_file_beside_the_digest_that_may_be_executed(self, toy_capsule):
        (toy_capsule.path / layout.CAPTURED).chmod(0o755)
        (blob,) = list((toy_capsule.path / layout.IMAGES / "blobs/sha256").iterdir())[:1]
        blob.chmod(0o555)
        assert [each.split(" has changed: its mode ")[1] for each in problems(toy_capsule)] == 2 * [
            "is not the captured one"
        ]

    @pytest.mark.parametrize("where", ["x", "data/analysis/data/x", "data/run/x/y"])
    def test_an_empty_directory(self, toy_capsule, where):
        (toy_capsule.path / where).mkdir(parents=True)
        assert problems(toy_capsule) == (f"{where} is an empty directory: it was added",)

    def test_links_and_special_files_are_listed(self, toy_capsule):
        os.mkfifo(toy_capsule.path / "data/analysis/pipe")
        assert "data/analysis/pipe" in problems(toy_capsule)[0]
        (toy_capsule.path / "data/analysis/pipe").unlink()
        (toy_capsule.path / "data/analysis/link").symlink_to("/dev/zero")
        check = check_bytes(toy_capsule.path)
        assert "is a link or a special file" in check.problems[0]
        assert check.found == "format 2"

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
    def test_a_number_that_has_no_digest(self, toy_capsule, number):
        path = toy_capsule.path / layout.MANIFEST
        rewrite(path, lambda manifest: manifest["example"]["initdata"].update(events=12345))
        path.write_text(path.read_text().replace("12345", number))
        assert "is not JSON: Out of range" in problems(toy_capsule)[0]

    def test_without_capsule_json(self, toy_capsule, tmp_path):
        (toy_capsule.path / layout.MANIFEST).unlink()
        assert "lacks capsule.json" in problems(toy_capsule)[0]
        (tmp_path / "empty").mkdir()
        with pytest.raises(UsageError, match="is not a capsule"):
            check_bytes(tmp_path / "empty")

    def test_a_manifest_without_end_is_not_read_to_its_end(self, toy_capsule, monkeypatch):
        monkeypatch.setattr(packing, "MAX_MANIFEST", 100_000)
        path = toy_capsule.path / bag.MANIFEST
        path.chmod(0o644)
        os.truncate(path, 10 * 1024**2)
        assert f"{bag.MANIFEST} has changed: its hash is not that in {bag.TAG_MANIFEST}" in problems(toy_capsule)

    @pytest.mark.skipif(os.getuid() != 0, reason="not run: only root can become somebody who may not read")
    @pytest.mark.parametrize("name", ["data/analysis/recast.yml", "capsule.json", "data/analysis"])
    def test_what_may_not_be_read(self, toy_capsule, place, name):
        root = shutil.copytree(toy_capsule.path, place / "x.capsule")
        (root / name).chmod(0)
        os.seteuid(65534)
        try:
            check = check_bytes(root)
            with pytest.raises(IntegrityError):
                open_capsule(root)
        finally:
            os.seteuid(0)
        (problem,) = check.problems
        assert name in problem
        assert "Permission denied" in problem


class TestArchives:
    @pytest.fixture(params=[".zip", ".tar"])
    def packed(self, toy_capsule, tmp_path, request) -> Path:
        file = tmp_path / f"x.capsule{request.param}"
        packing.pack(toy_capsule.path, file)
        return file

    def test_a_damaged_one_is_a_finding(self, packed, tmp_path):
        assert check_bytes(packed).ok
        os.truncate(packed, packed.stat().st_size - 1)
        check = check_bytes(packed)
        assert not check.ok
        assert check.found == "format 2"

    def test_its_parts_are_looked_at_where_they_are(self, toy_capsule, packed):
        found = check_structure(packed, toy_capsule.manifest)
        assert found == check_structure(toy_capsule.path, toy_capsule.manifest)
        assert [check.name for check in found] == ["images", "crate", "captured"]
        assert all(check.ok for check in found)

    @pytest.mark.parametrize(
        ("name", "check", "message"),
        [
            (layout.CAPTURED, "captured", "there is no captured.json"),
            (layout.CRATE, "crate", "there is no data/ro-crate-metadata.json"),
            (f"{layout.IMAGES}/index.json", "images", "there is no data/images/index.json"),
            (layout.WORKFLOW, "crate", "names workflow.yml, which is not there"),
        ],
    )
    def test_parts_that_are_not_there(self, toy_capsule, packed, name, check, message):
        (toy_capsule.path / name).unlink()
        packing.pack(toy_capsule.path, packed)
        for form in (packed, toy_capsule.path):
            problems = {each.name: each.problems for each in check_structure(form, toy_capsule.manifest)}
            assert message in problems[check][0]

    def test_another_name_of_its_one_directory(self, packed, tmp_path):
        packed.write_bytes(renamed(packed))
        assert check_bytes(packed).problems == ("its one directory is 'tox.capsule', not 'toy.capsule'",)
        with pytest.raises(IntegrityError, match="its one directory"):
            open_capsule(packed, tmp_path / "cache")

    def test_a_file_beside_the_digest_that_may_be_executed(self, toy_capsule, packed, tmp_path):
        (toy_capsule.path / layout.RERUN).chmod(0o555)
        packing.pack(toy_capsule.path, packed)
        assert check_bytes(packed).problems == (f"{layout.RERUN} has changed: its mode is not the captured one",)


def renamed(file: Path) -> bytes:
    """The same archive with another directory in it, in the one form that there is for it."""
    form = packing.SUFFIXES[file.suffix]
    with packing.Archive(file) as archive:
        held = {name: archive.open(name).read() for name in archive.members}
        members, made = list(archive.members.values()), b""
    for n, (name, data) in enumerate(held.items()):
        members[n] = replace(members[n], name=f"tox.capsule/{name}")
        head = form.head(members[n])
        members[n] = replace(members[n], offset=len(made) + len(head))
        made += head + data + bytes(form.gap(len(data)))
    return made + b"".join(form.ending(members, len(made)))


class TestRemembered:
    @pytest.fixture
    def large(self, tmp_path) -> Path:
        root = tmp_path / "x"
        (root / "data").mkdir(parents=True)
        (root / "data/large").write_bytes(b"1" * fixity.LARGE)
        return root

    def test_what_was_written_just_now_is_not(self, large, tmp_path, monkeypatch):
        """A clock that stands still would hide the next change."""
        seen = fixity.Seen(tmp_path / "seen")
        monkeypatch.setattr(fixity, "TICK", 3600 * 10**9)
        fixity.hashed(large, seen=seen)
        assert seen.rows(large) == {}
        monkeypatch.setattr(fixity, "TICK", -1)
        fixity.hashed(large, seen=seen)
        assert list(seen.rows(large)) == ["data/large"]

    def test_a_change_with_the_old_time_is_seen(self, large, tmp_path, monkeypatch):
        monkeypatch.setattr(fixity, "TICK", -1)
        seen, file = fixity.Seen(tmp_path / "seen"), large / "data/large"
        (before,) = fixity.hashed(large, seen=seen)
        assert fixity.hashed(large, seen=seen) == [before]
        times = file.stat()
        with file.open("r+b") as opened:
            opened.write(b"2")
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert file.stat().st_mtime_ns == times.st_mtime_ns
        (after,) = fixity.hashed(large, seen=seen)
        assert after.sha256 == store.sha256_file(file) != before.sha256

    def test_an_archive_that_is_named_by_a_link(self, toy_capsule, tmp_path, monkeypatch):
        monkeypatch.setattr(fixity, "TICK", -1)
        file, link = tmp_path / "x.zip", tmp_path / "link.zip"
        packing.pack(toy_capsule.path, file)
        link.symlink_to(file.name)
        open_capsule(link, tmp_path / "cache")
        with file.open("r+b") as opened:
            opened.seek(2000)
            opened.write(b"tampered")
        with pytest.raises(IntegrityError):
            open_capsule(link, tmp_path / "cache")

    def test_its_rows_are_taken_only_where_they_fit(self, large, tmp_path, monkeypatch):
        monkeypatch.setattr(fixity, "TICK", -1)
        seen = fixity.Seen(tmp_path / "seen")
        fixity.hashed(large, seen=seen)
        (path,) = (tmp_path / "seen").iterdir()
        document = json.loads(path.read_bytes())
        for damaged in (b"", b"{}", b"[]", path.read_bytes()[:-9], json.dumps({**document, "files": [1]}).encode()):
            path.write_bytes(damaged)
            assert fixity.hashed(large, seen=seen)[0].sha256 == store.sha256_file(large / "data/large")
