"""`recast-dm gc`: what nobody needs goes, what somebody has or is just making stays."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import preserving
import pytest
from workbench import TOY_IMAGE

from recast_dm import schemas, store
from recast_dm.capsule import collecting, fixity, open_capsule, packing
from recast_dm.capsule.collecting import DAY, HOUR
from recast_dm.cli import main, options
from recast_dm.engine.cache import StepCache
from recast_dm.errors import UsageError
from recast_dm.images import sources
from recast_dm.images.blobs import Blobs
from recast_dm.images.fake import FakeSource
from recast_dm.images.rootfs import ROOTFS, Rootfs


@pytest.fixture
def cache(tmp_path, monkeypatch) -> Path:
    place = tmp_path / "cache"
    monkeypatch.setattr(options, "DEFAULTS", options.Config(place, "auto", 1))
    return place


@pytest.fixture
def images(cache) -> Blobs:
    return Blobs(cache / "images")


@pytest.fixture
def capture(toy_directory, tmp_path, cache):
    def capture(name: str = "toy.capsule", image: str = TOY_IMAGE, source: object = None):
        return preserving.capture(toy_directory, tmp_path / name, source or FakeSource([image]), cache / "images", None)

    return capture


def collect(cache: Path, later: float = 2 * HOUR, unused: float = 30 * DAY, **more: bool) -> list[str]:
    """The kinds of what goes when it is so many seconds later."""
    found = collecting.collect(cache, now=time.time() + later, unused=unused, **more)
    assert not found.busy
    return [each.kind for each in found.waste]


def files(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in sorted(place.rglob("*")) if path.is_file()}


def age(path: Path, seconds: float) -> None:
    for each in [path, *path.rglob("*")]:
        os.utime(each, (time.time() - seconds,) * 2)


class TestBlobs:
    def test_those_of_a_capsule_stay_and_go_with_it(self, capture, cache, images):
        capsule = capture()
        before = files(cache)
        assert collect(cache, later=1000 * DAY) == []
        assert files(cache).keys() - before.keys() == {"images/lock"}
        shutil.rmtree(capsule.path)
        assert collect(cache, later=HOUR / 2) == []  # who removed it has perhaps another in mind
        assert sorted(collect(cache)) == ["blob", "blob", "blob", "note"]  # layer, config, manifest
        assert files(cache).keys() == {"images/lock"}

    def test_what_two_capsules_share_stays_for_the_other(self, capture, cache):
        first, second = capture("a.capsule"), capture("b.capsule")
        shutil.rmtree(first.path)
        assert collect(cache) == []
        assert open_capsule(second.path)

    def test_the_next_capture_makes_them_anew(self, capture, cache):
        shutil.rmtree(capture().path)
        assert len(collect(cache)) == 4
        assert open_capsule(capture().path)

    def test_a_dry_run_says_the_same_and_removes_nothing(self, capture, cache):
        shutil.rmtree(capture().path)
        before = files(cache)
        said = collect(cache, dry_run=True)
        assert files(cache).items() >= before.items()
        assert collect(cache) == said != []

    def test_a_note_that_nobody_can_read(self, capture, cache, images):
        capture()
        note = next((cache / "images/layers").iterdir())
        note.write_text("{}")
        assert collect(cache) == ["note"]

    def test_files_that_are_no_blobs_are_left(self, capture, cache):
        capture()
        (cache / "images/blobs/sha256/mine").write_text("mine")
        assert collect(cache, later=1000 * DAY) == []

    def test_the_size_is_what_is_freed(self, capture, cache):
        shutil.rmtree(capture().path)
        before = sum(map(len, files(cache).values()))
        found = collecting.collect(cache, now=time.time() + 2 * HOUR, unused=DAY)
        assert found.size == before - sum(map(len, files(cache).values())) > 0


class TestBesidesACapture:
    def test_what_another_process_takes_is_left(self, cache, images):
        """It has found a blob of long ago, and has not named it yet."""
        images.add(b"a blob")
        hold = (
            "import sys; from pathlib import Path; from recast_dm.images.blobs import Blobs\n"
            "with Blobs(Path(sys.argv[1])).in_use(): print('held', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", hold, str(images.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            found = collecting.collect(cache, now=time.time() + DAY, unused=DAY)
            assert (found.waste, found.busy) == ((), True)
            holder.communicate()
        assert collect(cache) == ["blob"]

    def test_a_capture_in_the_middle_is_not_disturbed(self, capture, cache, images, toy_directory):
        """Its layer is in the store already, from long ago; while it waits for its source, space is freed."""
        shutil.rmtree(capture().path)
        taking, go_on = threading.Event(), threading.Event()

        class Slow(FakeSource):
            def take(self, references, shared):
                found = super().take(references, shared)
                taking.set()
                assert go_on.wait(60)
                return found

        made = []

        def captured() -> None:
            with images.in_use():
                made.append(capture("b.capsule", source=Slow([TOY_IMAGE])))

        thread = threading.Thread(target=captured)
        thread.start()
        assert taking.wait(60)
        found = collecting.collect(cache, now=time.time() + DAY, unused=DAY)
        go_on.set()
        thread.join()
        assert (found.waste, found.busy) == ((), True)
        assert open_capsule(made[0].path)
        assert collect(cache) == []

    def test_captures_and_collections_at_random(self, toy_directory, cache, tmp_path):
        """Every blob is old enough at once: only the lock protects it."""
        done = threading.Event()
        busy = []

        def collect_on() -> None:
            while not done.is_set():
                busy.append(collecting.collect(cache, now=time.time() + 2 * HOUR, unused=0).busy)

        thread = threading.Thread(target=collect_on)
        thread.start()
        try:
            for _ in range(5):
                images = Blobs(cache / "images")
                with images.in_use():
                    preserving.capture(toy_directory, tmp_path / "x.capsule", FakeSource([TOY_IMAGE]), images.root)
                open_capsule(tmp_path / "x.capsule")
                shutil.rmtree(tmp_path / "x.capsule")
        finally:
            done.set()
            thread.join()
        assert True in busy

    def test_two_captures_do_not_wait_for_each_other(self, images):
        with images.in_use(), Blobs(images.root).in_use(), Blobs(images.root).alone() as alone:
            assert not alone
        with images.alone() as alone:
            assert alone


@pytest.fixture(autouse=True)
def settled(monkeypatch):
    """What was written just now is remembered at once."""
    monkeypatch.setattr(fixity, "TICK", -1)


class TestUnpacked:
    @pytest.fixture
    def packed(self, toy_capsule, tmp_path) -> Path:
        packing.pack(toy_capsule.path, tmp_path / "x.capsule.zip")
        return tmp_path / "x.capsule.zip"

    def test_after_their_time(self, packed, cache, monkeypatch):
        monkeypatch.setattr(fixity, "LARGE", 1)  # every file is remembered
        unpacked = open_capsule(packed, cache).path
        assert collect(cache, later=29 * DAY) == []
        assert collect(cache, later=31 * DAY) == ["capsule", "verified"]  # and what was remembered of it
        assert not unpacked.parent.exists()
        assert open_capsule(packed, cache).path == unpacked

    def test_a_use_keeps_it(self, packed, cache):
        unpacked = open_capsule(packed, cache).path
        age(unpacked.parent, 40 * DAY)
        open_capsule(packed, cache)
        assert collect(cache, later=0) == []
        age(unpacked.parent, 40 * DAY)
        assert "capsule" in collect(cache, later=0)

    def test_never_within_an_hour(self, packed, cache):
        open_capsule(packed, cache)
        assert collect(cache, later=HOUR / 2, unused=0) == []
        assert "capsule" in collect(cache, later=2 * HOUR, unused=0)

    def test_one_that_is_used_just_then_comes_back(self, packed, cache, monkeypatch):
        unpacked = open_capsule(packed, cache).path
        age(unpacked.parent, 40 * DAY)
        real = Path.rename

        def and_used(path, to):
            os.utime(path)
            return real(path, to)

        monkeypatch.setattr(Path, "rename", and_used)
        assert collect(cache, later=0) == []
        assert open_capsule(unpacked)
        assert [path for path in (cache / "capsules").iterdir() if store.is_temporary(path)] == []


class TestImages:
    """Images that were unpacked for the sandbox."""

    @pytest.fixture
    def unpacked(self, cache, images) -> Rootfs:
        rootfs = Rootfs(cache / ROOTFS)
        (stored,) = FakeSource(["toy:1"]).take(["toy:1"], images).values()
        rootfs.add(images.root, stored, images.path(stored.image.image_id).read_bytes(), ["toy:1"])
        return rootfs

    def test_their_layers_stay_with_them(self, unpacked, cache, images):
        assert collect(cache) == []
        assert sources.FromUnpacked(unpacked).take(["toy:1"], images)

    def test_after_their_time_all_of_it_goes(self, unpacked, cache):
        (tree,) = (unpacked.root / "trees").glob("[0-9a-f]*")
        for note in (unpacked.root / "names").iterdir():
            age(note, 31 * DAY)
        assert collect(cache) == ["image", "note", "note", "blob", "blob", "note"]
        assert unpacked.find("toy:1") is None
        assert not any((unpacked.root / "names").iterdir())
        assert not tree.exists()

    def test_a_use_keeps_one(self, unpacked, cache):
        for note in (unpacked.root / "names").iterdir():
            age(note, 31 * DAY)
        assert unpacked.find("toy:1") is not None
        assert collect(cache) == []


class TestVerified:
    def test_of_a_capsule_that_is_gone(self, toy_capsule, cache, tmp_path):
        packing.pack(toy_capsule.path, tmp_path / "x.capsule.zip")
        open_capsule(tmp_path / "x.capsule.zip", cache)
        assert collect(cache) == []
        (tmp_path / "x.capsule.zip").unlink()
        assert collect(cache, dry_run=True) == collect(cache) == ["verified"]
        assert collect(cache) == []


class TestSteps:
    @pytest.fixture
    def steps(self, cache, tmp_path) -> StepCache:
        place = tmp_path / "work"
        place.mkdir()
        (place / "out").write_bytes(b"x" * 1000)
        store.seal(place)
        steps = StepCache(cache)
        for key in ("0" * 64, "f" * 64):
            steps.put(key, store.tree_of(place), place, {})
        return steps

    def test_only_when_asked_for(self, steps, cache):
        assert collect(cache, later=31 * DAY) == []
        assert collect(cache, later=29 * DAY, steps=True) == []
        assert collect(cache, later=31 * DAY, steps=True) == ["step", "step"]
        assert steps.get("0" * 64) is None

    def test_a_use_keeps_one(self, steps, cache):
        for key in ("0" * 64, "f" * 64):
            age(cache / "steps/1" / key[:2] / key, 40 * DAY)
        assert steps.get("0" * 64) is not None
        assert collect(cache, later=0, steps=True) == ["step"]
        assert steps.get("0" * 64) is not None

    def test_what_a_run_has_too_frees_nothing(self, steps, cache, tmp_path):
        found = collecting.collect(cache, now=time.time() + 31 * DAY, unused=DAY, steps=True)
        assert found.size < 1000  # only the entries' own documents
        assert (tmp_path / "work/out").read_bytes() == b"x" * 1000

    def test_a_run_that_loses_an_entry_runs_the_step(self, bench, physics, monkeypatch):
        given = {"m_med": 1, "seeds": [1], "lumi": 139}
        first = bench.run(physics, given, run="first")
        bench.run(physics, given, run="second")
        assert set(bench.hows().values()) == {"cached"}
        real = StepCache.get

        def then_gone(self, key):
            entry = real(self, key)
            shutil.rmtree(bench.root / "cache/steps", ignore_errors=True)
            return entry

        monkeypatch.setattr(StepCache, "get", then_gone)
        again = bench.run(physics, given, run="third", jobs=1)
        assert "ran" in bench.hows().values()
        assert {str(r.step): r.tree for r in again.records} == {str(r.step): r.tree for r in first.records}


class TestTemporaries:
    PLACES = (
        "images/blobs/sha256/.abc.tmp",
        "images/layers/.x.json." + "0" * 32 + ".tmp",
        "images/.saved-x/images.tar",
        ".init-x/init/events.dat",
        "verified/.x.json." + "0" * 32 + ".tmp",
        "capsules/0123/.x.capsule." + "0" * 32 + ".tmp/data/file",
        "steps/1/ab/.abcd." + "0" * 32 + ".tmp/tree/file",
    )

    @pytest.mark.parametrize("name", PLACES)
    def test_after_a_day(self, cache, name):
        path = cache / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
        assert collect(cache, later=DAY / 2) == []
        found = collecting.collect(cache, now=time.time() + 2 * DAY, unused=30 * DAY)
        assert [(each.kind, each.size) for each in found.waste] == [("temporary", 4)]
        assert not path.exists()

    def test_one_that_is_still_written_to(self, cache):
        path = cache / self.PLACES[5]
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half")
        age(cache / "capsules", 2 * DAY)
        path.write_bytes(b"more")
        assert collect(cache, later=0) == []


class TestVerb:
    def test_an_empty_cache(self, cache, capsys):
        assert main(["gc", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert schemas.problem("gc-1", document) is None
        assert (document["freed"], document["removed"], document["busy"]) == (0, [], False)
        assert not cache.exists()

    def test_what_it_says(self, toy_capsule, cache, tmp_path, capsys):
        packing.pack(toy_capsule.path, tmp_path / "x.capsule.zip")
        unpacked = open_capsule(tmp_path / "x.capsule.zip", cache).path
        age(unpacked.parent, 3 * DAY)
        assert main(["gc"]) == 0
        assert capsys.readouterr().out == f"0 B freed in {cache}\n"
        assert main(["gc", "--older-than", "2d", "--dry-run"]) == 0
        out = capsys.readouterr().out
        assert str(unpacked.parent) in out
        assert "would be freed" in out
        assert unpacked.is_dir()
        assert main(["gc", "--older-than", "2d", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert schemas.problem("gc-1", document) is None
        assert {"kind": "capsule", "path": str(unpacked.parent)}.items() <= document["removed"][0].items()
        assert document["freed"] == sum(each["size"] for each in document["removed"]) > 0
        assert not unpacked.exists()

    @pytest.mark.parametrize("word", ["", "d", "soon", "-1d", "1y", "1.5d", "٣d"])
    def test_a_time_that_is_none(self, word):
        with pytest.raises(UsageError, match="is not a time"):
            options.duration(word, "--older-than")
