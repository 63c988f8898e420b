"""Capture and opening: the same analysis gives the same capsule, and no changed byte passes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import preserving
import pytest
from workbench import TOY_IMAGE, rewrite

from recast_dm import schemas, store
from recast_dm.capsule import layout, open_capsule, packing
from recast_dm.capsule.verify import check_bytes, check_structure
from recast_dm.errors import IntegrityError, StorageError, ToolMissing, UsageError
from recast_dm.images.fake import FakeSource
from recast_dm.images.layout import Layout
from recast_dm.spec import analysis

CAPSULES = Path(__file__).parents[1] / "data/capsules"


@pytest.fixture
def toy_copy(toy_directory, tmp_path) -> Path:
    """The toy analysis in a directory that may be changed."""
    shutil.copytree(toy_directory, tmp_path / "toy", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "toy"


@pytest.fixture
def capture(tmp_path_factory):
    images = tmp_path_factory.mktemp("images")

    def capture(directory: Path, target: Path, **example: object):
        initdata = {**analysis.load(directory).example.initdata, **example}
        return preserving.capture(directory, target, FakeSource([TOY_IMAGE]), images, initdata)

    return capture


def litter(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir() if path.name.startswith(".")]


class TestCapture:
    def test_the_manifest_validates_and_names_every_file(self, toy_capsule):
        manifest = json.loads((toy_capsule.path / "capsule.json").read_bytes())
        assert schemas.problem("capsule-2", manifest) is None
        root = toy_capsule.path
        files = sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())
        assert [f["path"] for f in manifest["files"]] == [path for path in files if layout.is_covered(path)]
        assert "data/workflow.yml" in files
        assert "data/analysis/data/toy.py" in files
        assert manifest["digest"] == toy_capsule.digest
        captured = json.loads((root / "captured.json").read_bytes())
        assert schemas.problem("captured-2", captured) is None

    def test_the_digest_covers_no_time_no_host_and_no_log(self, toy_capsule):
        before = layout.digest(toy_capsule.manifest)
        changed = {**toy_capsule.manifest, "source": None}
        changed["images"] = [{**image, "image_id": "other", "layers": []} for image in changed["images"]]
        assert layout.digest(changed) == before
        for key in set(toy_capsule.manifest) - {"source", "images", "digest"}:
            assert layout.digest({**toy_capsule.manifest, key: "other"}) != before, key

    def test_twice_gives_the_same_digest_wherever_and_whenever(self, toy_copy, capture, tmp_path):
        first = capture(toy_copy, tmp_path / "a.capsule")
        for path in toy_copy.rglob("*"):
            os.utime(path, (1, 1))
        shutil.move(toy_copy, tmp_path / "moved")
        second = capture(tmp_path / "moved", tmp_path / "b.capsule")
        assert first.digest == second.digest
        assert first.path.joinpath("capsule.json").read_bytes() == second.path.joinpath("capsule.json").read_bytes()

    @pytest.mark.parametrize("change", ["file", "mode", "example"])
    def test_what_it_holds_changes_the_digest(self, toy_copy, capture, tmp_path, change):
        first = capture(toy_copy, tmp_path / "a.capsule", m_med=1)
        if change == "file":
            (toy_copy / "README").write_text("more")
        if change == "mode":
            (toy_copy / "data/toy.py").chmod(0o755)
        second = capture(toy_copy, tmp_path / "b.capsule", m_med=1.0 if change == "example" else 1)
        assert first.digest != second.digest

    def test_the_opened_capsule_is_the_analysis(self, toy_capsule, toy_analysis):
        opened = open_capsule(toy_capsule.path).analysis
        assert opened.workflow.source == toy_analysis.workflow.source
        assert opened.initdir == toy_capsule.path / "data/analysis/data"
        assert open_capsule(toy_capsule.path).pinned().keys() == {"recast-dm/toy:1.0"}

    def test_a_capsule_is_replaced(self, toy_copy, capture, tmp_path):
        first = capture(toy_copy, tmp_path / "x.capsule")
        (toy_copy / "README").write_text("more")
        assert capture(toy_copy, tmp_path / "x.capsule").digest != first.digest
        assert litter(tmp_path) == []

    def test_every_name_that_a_bag_can_hold_is_found_by_others(self, toy_copy, capture, tmp_path):
        for name in ("naïve cut.txt", " a", "back\\slash", "-rf", "a:b", "*", "a\tb"):
            (toy_copy / "data" / name).touch()
        place = capture(toy_copy, tmp_path / "x.capsule").path
        check = ["sha512sum", "--check", "--quiet", "tagmanifest-sha512.txt", "manifest-sha512.txt"]
        subprocess.run(check, cwd=place, check=True)
        subprocess.run([sys.executable, "-m", "bagit", "--quiet", "--validate", "."], cwd=place, check=True)

    def test_caches_of_programs_are_left_out(self, toy_copy, capture, tmp_path):
        first = capture(toy_copy, tmp_path / "a.capsule")
        (toy_copy / "data/__pycache__").mkdir()
        (toy_copy / "data/__pycache__/toy.pyc").touch()
        assert capture(toy_copy, tmp_path / "b.capsule").digest == first.digest

    def test_runs_that_were_made_in_the_directory_are_left_out(self, toy_copy, capture, tmp_path):
        first = capture(toy_copy, tmp_path / "a.capsule")
        run = toy_copy / "build/runs/one"
        (run / ".records").mkdir(parents=True)
        (run / "run.json").write_text("{}")
        (run / "log.yml").write_text("password: hunter2hunter2")
        (toy_copy / "build/runs/latest").symlink_to("one")
        assert capture(toy_copy, tmp_path / "b.capsule").digest == first.digest

    @pytest.mark.parametrize("place", [".", "search"])
    def test_what_is_left_out_need_not_be_committed(self, toy_copy, tmp_path, place):
        repository = tmp_path / "repository"
        here = repository / place
        shutil.copytree(toy_copy, here)
        git = ["git", "-C", str(repository), "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "One"]):
            subprocess.run([*git, *words], check=True, capture_output=True)
        (here / "build/one/.records").mkdir(parents=True)
        (here / "build/one/run.json").write_text("{}")
        (here / "data/__pycache__").mkdir()
        (here / "data/__pycache__/toy.pyc").touch()
        source = FakeSource([TOY_IMAGE])
        made = preserving.capture(here, tmp_path / "x.capsule", source, tmp_path / "images", strict=True)
        assert made.manifest["source"]["dirty"] == []
        (here / "data/notes").touch()
        with pytest.raises(UsageError, match="data/notes is not committed"):
            preserving.capture(here, tmp_path / "x.capsule", source, tmp_path / "images", strict=True)


class TestRefused:
    @pytest.mark.parametrize("kind", ["file", "directory"])
    def test_other_peoples_files_are_not_overwritten(self, toy_copy, capture, tmp_path, kind):
        target = tmp_path / "x"
        if kind == "file":
            target.write_text("mine")
        else:
            target.mkdir()
            (target / "mine").write_text("mine")
        before = sorted(tmp_path.rglob("*"))
        with pytest.raises(UsageError, match="exists and is not a capsule"):
            capture(toy_copy, target)
        assert sorted(tmp_path.rglob("*")) == before

    def test_the_capsule_of_another_analysis_is_not_overwritten(self, toy_copy, capture, tmp_path):
        old = capture(toy_copy, tmp_path / "x.capsule")
        manifest = toy_copy / "recast.yml"
        manifest.write_text(manifest.read_text().replace("name: toy", "name: other", 1))
        with pytest.raises(UsageError, match=r"x\.capsule is the capsule of another analysis, toy"):
            capture(toy_copy, tmp_path / "x.capsule")
        assert open_capsule(tmp_path / "x.capsule").digest == old.digest

    @pytest.mark.parametrize("name", ["x.capsule", "data/x.capsule", "."])
    def test_a_capsule_cannot_lie_in_its_analysis(self, toy_copy, capture, name):
        before = sorted(toy_copy.rglob("*"))
        with pytest.raises(UsageError, match="lies in the analysis that it preserves"):
            capture(toy_copy, toy_copy / name)
        assert sorted(toy_copy.rglob("*")) == before

    def test_a_link_in_the_analysis(self, toy_copy, capture, tmp_path):
        (toy_copy / "data/link").symlink_to("/etc/passwd")
        with pytest.raises(UsageError, match=r"cannot be captured: data/link in .* is a link") as caught:
            capture(toy_copy, tmp_path / "x.capsule")
        assert "copy what the link points to" in (caught.value.hint or "")
        assert not (tmp_path / "x.capsule").exists()
        assert litter(tmp_path) == []

    @pytest.mark.parametrize("name", ["50%.txt", "a\nb", "a\rb", "a\u2028b", "a ", "b\udcff"])
    def test_names_that_other_programs_for_bags_would_not_find(self, toy_copy, capture, tmp_path, name):
        (toy_copy / "data" / name).touch()
        with pytest.raises(UsageError, match="other programs could not check the capsule"):
            capture(toy_copy, tmp_path / "x.capsule")
        assert not (tmp_path / "x.capsule").exists()

    def test_a_missing_image(self, toy_copy, tmp_path):
        with pytest.raises(ToolMissing, match=r"no source has the image recast-dm/toy:1.0"):
            preserving.capture(toy_copy, tmp_path / "x.capsule", FakeSource([]), tmp_path / "images")
        assert not (tmp_path / "x.capsule").exists()


class TestInterrupted:
    CALLS = ("rename", "fsync", "mkdir", "chmod", "fchmod")

    @pytest.mark.parametrize("call", CALLS)
    @pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
    def test_a_capture_that_does_not_end_leaves_the_old_capsule(
        self, toy_copy, capture, tmp_path, monkeypatch, call, error
    ):
        """Whichever system call it ends at; and no litter beside it."""
        target = tmp_path / "x.capsule"
        old = capture(toy_copy, target)
        (toy_copy / "README").write_text("more")
        real = getattr(os, call)
        for nth in range(1, 100):
            count = 0

            def stop(*args, **options):
                nonlocal count
                count += 1
                if count == nth:  # noqa: B023  # called before the next round
                    raise error
                return real(*args, **options)

            with monkeypatch.context() as patch:
                patch.setattr(os, call, stop)
                try:
                    capture(toy_copy, target)
                except (KeyboardInterrupt, StorageError):
                    ended = True
                else:
                    ended = False
            if not ended:
                break
            found = open_capsule(target)
            if found.digest != old.digest:  # the new one stands: only what comes after the rename was cut off
                break
            assert litter(tmp_path) == []
        assert nth > 1
        assert open_capsule(target)

    def test_the_first_capture_leaves_nothing(self, toy_copy, capture, tmp_path, monkeypatch):
        def stop(*_a, **_k):
            raise KeyboardInterrupt

        monkeypatch.setattr(store, "seal", stop)
        with pytest.raises(KeyboardInterrupt):
            capture(toy_copy, tmp_path / "x.capsule")
        assert [p.name for p in tmp_path.iterdir()] == ["toy"]


class TestTampering:
    def test_any_changed_byte_of_any_file_is_found(self, toy_capsule):
        files = [p for p in toy_capsule.path.rglob("*") if p.is_file()]
        assert len(files) >= 16
        for path in files:
            content, mode = path.read_bytes(), path.stat().st_mode
            path.chmod(0o644)
            for tampered in (content[:-1], content + b" \n#", content[:10] + b"X" + content[11:], b""):
                if path.name == layout.MANIFEST and tampered == content.rstrip():
                    continue  # the same JSON
                path.write_bytes(tampered)
                with pytest.raises(IntegrityError):
                    open_capsule(toy_capsule.path)
            path.write_bytes(content)
            path.chmod(mode)
        assert open_capsule(toy_capsule.path).digest == toy_capsule.digest

    def test_every_file_that_is_missing_is_found(self, toy_capsule):
        for path in [p for p in (toy_capsule.path / "data").rglob("*") if p.is_file()]:
            content = path.read_bytes()
            path.unlink()
            with pytest.raises(IntegrityError, match=f"data/.*{path.name} is missing"):
                open_capsule(toy_capsule.path)
            path.write_bytes(content)
        assert open_capsule(toy_capsule.path).digest == toy_capsule.digest

    def test_the_whole_data_missing(self, toy_capsule):
        shutil.rmtree(toy_capsule.path / "data")
        with pytest.raises(IntegrityError):
            open_capsule(toy_capsule.path)

    def test_an_executable_bit_is_part_of_it(self, toy_capsule):
        (toy_capsule.path / "data/analysis/data/toy.py").chmod(0o755)
        with pytest.raises(IntegrityError, match="its mode is not the captured one"):
            open_capsule(toy_capsule.path)

    @pytest.mark.parametrize("kind", ["file", "link"])
    def test_a_file_more_is_found(self, toy_capsule, kind):
        extra = toy_capsule.path / "data/analysis/extra"
        extra.touch() if kind == "file" else extra.symlink_to("recast.yml")
        with pytest.raises(IntegrityError, match="extra"):
            open_capsule(toy_capsule.path)

    @pytest.mark.parametrize(
        "change",
        [
            lambda m: m.update(name="other"),
            lambda m: m["example"]["initdata"].update(events=2),
            lambda m: m["images"][0].update(diff_ids=[f"sha256:{64 * '0'}"]),
            lambda m: m["images"][0].update(platform="linux/other"),
            lambda m: m["files"].pop(),
            lambda m: m["files"][0].update(sha256="0" * 64),
            lambda m: m.update(digest="0" * 64),
            lambda m: m.update(extra=1),
            lambda m: m.pop("title"),
            lambda m: m.update(schema="recast-dm/capsule/1"),
            lambda m: m.update(schema="recast-dm/capsule/3"),
        ],
    )
    def test_every_word_of_the_manifest_is_covered(self, toy_capsule, change):
        rewrite(toy_capsule.path / layout.MANIFEST, change)
        with pytest.raises(IntegrityError):
            open_capsule(toy_capsule.path)

    @pytest.mark.parametrize("key", ["analysis", "workflow"])
    def test_a_manifest_cannot_point_outside_even_with_the_right_digest(self, toy_capsule, key):
        def point_outside(manifest):
            manifest[key] = "../../etc"
            manifest["digest"] = layout.digest(manifest)

        rewrite(toy_capsule.path / layout.MANIFEST, point_outside)
        with pytest.raises(IntegrityError, match="is damaged"):
            open_capsule(toy_capsule.path)

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "1" * 5000])
    def test_numbers_that_are_none(self, toy_capsule, number):
        path = toy_capsule.path / layout.MANIFEST
        text = path.read_text()
        path.chmod(0o644)
        path.write_text(text.replace('"events": 1000', f'"events": {number}'))
        with pytest.raises(IntegrityError, match="is not JSON"):
            open_capsule(toy_capsule.path)

    def test_one_file_without_a_cache_says_what_is_missing(self, toy_capsule, tmp_path):
        packing.pack(toy_capsule.path, tmp_path / "x.capsule.zip")
        with pytest.raises(UsageError, match="there is no cache to unpack it in"):
            open_capsule(str(tmp_path / "x.capsule.zip"))
        assert open_capsule(str(tmp_path / "x.capsule.zip"), tmp_path / "cache").digest == toy_capsule.digest

    def test_no_capsule_there(self, tmp_path):
        with pytest.raises(UsageError, match="is not a capsule"):
            open_capsule(tmp_path)


class TestFormats:
    """`make.py` beside the capsules says how they were made; none is ever made again."""

    SECOND = "caaf29165b814f4283c0bcf9044dbacf4660a7246273f1d672f1b6409457b9a9"

    def test_a_capsule_of_format_2_opens_for_ever(self, tmp_path):
        file = CAPSULES / "format-2.capsule.zip"
        assert check_bytes(file).ok
        with packing.Archive(file) as archive:
            archive.unpack(tmp_path / "x.capsule")
        capsule = open_capsule(tmp_path / "x.capsule")
        assert capsule.digest == self.SECOND
        assert capsule.analysis.name == "counting"
        assert [stage.name for stage in capsule.analysis.workflow.stages] == ["select", "fit"]
        assert [each.path for each in capsule.referenced] == ["inputs/events.txt"]
        assert json.loads((capsule.path / "data/reference/fit/0/counts.json").read_text())["counts"] == [111, 89]
        assert json.loads((capsule.path / "data/likelihood/workspace.json").read_text())["version"] == "1.0.0"
        assert os.access(capsule.path / "data/analysis/plot.sh", os.X_OK)
        (image,) = Layout(capsule.path / layout.IMAGES).images()
        with Layout(capsule.path / layout.IMAGES).open_layer(image.layers[0]) as layer:
            assert store.sha256_name(layer.read()) == image.image.diff_ids[0]
        heads = ["git", "bundle", "list-heads", str(capsule.path / capsule.manifest["source"]["bundle"])]
        assert capsule.manifest["source"]["commit"] in subprocess.check_output(heads, text=True)
        checks = check_structure(capsule.path, capsule.manifest)
        assert [check.problems for check in checks] == [()] * len(checks)

    def test_the_second_as_tar_and_directory(self, tmp_path):
        with packing.Archive(CAPSULES / "format-2.capsule.zip") as archive:
            archive.unpack(tmp_path / "x.capsule")
        packing.pack(tmp_path / "x.capsule", tmp_path / "x.capsule.zip")
        assert (tmp_path / "x.capsule.zip").read_bytes() == (CAPSULES / "format-2.capsule.zip").read_bytes()
        packing.pack(tmp_path / "x.capsule", tmp_path / "x.capsule.tar")
        assert check_bytes(tmp_path / "x.capsule.tar").ok

    def test_the_same_analysis_has_the_same_digest_today(self, tmp_path):
        file = tmp_path / "again.capsule.zip"
        subprocess.run([sys.executable, str(CAPSULES / "make.py"), str(file)], check=True, capture_output=True)
        manifest = packing.read_manifest(file)
        assert check_bytes(file).ok
        assert (
            manifest["schema"] == layout.SCHEMA == "recast-dm/capsule/2"
        )  # a new format has a capsule of its own here
        assert manifest["digest"] == self.SECOND

    def test_a_capsule_of_format_1_opens_for_ever(self, tmp_path):
        capsule = open_capsule(CAPSULES / "format-1.capsule")
        assert capsule.digest == "3ac66362e69c9693a515dcc9554809ef74a53ecfdbeee2da5028607469199ee8"
        assert capsule.analysis.name == "toy"
        assert capsule.layout is None
        shutil.copytree(CAPSULES / "format-1.capsule", tmp_path / "x")
        path = tmp_path / "x/data/analysis/data/toy.py"
        path.chmod(0o644)
        path.write_text("changed")
        with pytest.raises(IntegrityError, match=r"data/analysis/data/toy\.py has changed"):
            open_capsule(tmp_path / "x")
