"""docker-archives of both forms, whole and broken; and what we write, as an engine reads it."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile

import pytest
from imagetars import by_blob, by_directory, config, digest, tar_file
from layertars import tar

from recast_dm.errors import IntegrityError
from recast_dm.images import archive, layout
from recast_dm.images.archive import Archive
from recast_dm.images.blobs import Blobs

BASE, TOP, OTHER = tar({"base": "base" * 1000}), tar({"top": "top"}), tar({"other": "other"})
IMAGES = {"search:1.0": (BASE, TOP), "registry.example.org:5000/fit:2": (BASE, OTHER), "base:latest": (BASE,)}


@pytest.fixture
def shared(tmp_path) -> Blobs:
    return Blobs(tmp_path / "images")


def take(path, shared, *references):
    found = Archive(path)
    entries = {reference: found.find(reference) for reference in references}
    assert None not in entries.values()
    return found.take(entries, shared)


@pytest.mark.parametrize("form", [by_directory, by_blob])
class TestBothForms:
    def test_every_image_with_its_layers(self, form, tmp_path, shared):
        taken = take(form(tmp_path / "a.tar", IMAGES), shared, *IMAGES)
        for reference, layers in IMAGES.items():
            each = taken[reference]
            assert each.image.reference == reference
            assert each.image.image_id == digest(config(*layers)), "its config is kept byte for byte"
            assert each.image.diff_ids == tuple(map(digest, layers))
        assert len(list((shared.root / "layers").iterdir())) == 3, "the layer that they share is kept once"

    def test_both_give_the_same(self, form, tmp_path, shared):
        taken = take(form(tmp_path / "a.tar", IMAGES), shared, "search:1.0")
        again = take(by_blob(tmp_path / "b.tar", IMAGES), Blobs(tmp_path / "again"), "search:1.0")
        assert taken == again

    def test_by_id(self, form, tmp_path, shared):
        image_id = digest(config(BASE, TOP))
        taken = take(form(tmp_path / "a.tar", IMAGES), shared, image_id)
        assert taken[image_id].image.diff_ids == (digest(BASE), digest(TOP))

    @pytest.mark.parametrize(
        ("reference", "found"),
        [
            ("base", True),
            ("docker.io/library/base", True),
            ("docker.io/library/base:latest", True),
            ("localhost/search:1.0", True),
            ("registry.example.org:5000/fit:2", True),
            ("registry.example.org:5000/fit", False),
            ("fit:2", False),
            ("search", False),
            ("search:2.0", False),
            ("search:1.0@sha256:" + 64 * "0", False),
            ("sha256:" + 64 * "0", False),
        ],
    )
    def test_by_name(self, form, tmp_path, reference, found):
        assert (Archive(form(tmp_path / "a.tar", IMAGES)).find(reference) is not None) is found

    def test_cut_off_anywhere(self, form, tmp_path, shared):
        data = form(tmp_path / "a.tar", IMAGES).read_bytes()
        for end in (0, 100, 600, len(data) // 3, len(data) // 2):
            (tmp_path / "b.tar").write_bytes(data[:end])
            with pytest.raises(IntegrityError):
                take(tmp_path / "b.tar", shared, *IMAGES)

    def test_a_bit_that_flipped(self, form, tmp_path, shared):
        data = bytearray(form(tmp_path / "a.tar", IMAGES).read_bytes())
        data[data.index(b"basebase") + 7] ^= 1
        (tmp_path / "b.tar").write_bytes(data)
        with pytest.raises(IntegrityError, match="has other bytes"):
            take(tmp_path / "b.tar", shared, *IMAGES)


def archived(path, members, **entry):
    about = config(BASE)
    listed = {"Config": "c.json", "RepoTags": ["search:1.0"], "Layers": ["l/layer.tar"]} | entry
    files = {"c.json": about, "l/layer.tar": BASE, "manifest.json": json.dumps([listed]).encode()} | members
    return tar_file(path, [(name, data) for name, data in files.items() if data is not None])


class TestHostile:
    def test_the_archive_itself_is_sound(self, tmp_path, shared):
        take(archived(tmp_path / "a.tar", {}), shared, "search:1.0")

    @pytest.mark.parametrize(
        "entry",
        [
            {"Config": None},
            {"Config": 5},
            {"Config": "../../etc/passwd"},
            {"Config": "l/layer.tar"},
            {"Layers": None},
            {"Layers": 5},
            {"Layers": [{}]},
            {"Layers": []},
            {"Layers": ["l/layer.tar", "l/layer.tar"]},
            {"Layers": ["../../../etc/passwd"]},
            {"Layers": ["/etc/passwd"]},
            {"Layers": ["c.json"]},
            {"RepoTags": 5},
            {"RepoTags": [5]},
        ],
    )
    def test_a_manifest_that_names_something_else(self, tmp_path, shared, entry):
        with pytest.raises(IntegrityError):
            take(archived(tmp_path / "a.tar", {}, **entry), shared, "search:1.0")

    @pytest.mark.parametrize("data", [None, b"", b"{}", b"[5]", b"5", b"[" * 100_000, b"[]garbage"])
    def test_a_manifest_that_is_none(self, tmp_path, data):
        with pytest.raises(IntegrityError):
            Archive(archived(tmp_path / "a.tar", {"manifest.json": data}))

    @pytest.mark.parametrize(
        "target", ["../../../../etc/passwd", "/etc/passwd", "layer.tar", "../l/layer.tar", "", ".."]
    )
    def test_a_link_that_leads_elsewhere(self, tmp_path, shared, target):
        """Links are names in the archive: nothing outside is ever opened."""
        with pytest.raises(IntegrityError, match=r"lacks 'l/layer\.tar'"):
            take(archived(tmp_path / "a.tar", {"l/layer.tar": target}), shared, "search:1.0")

    def test_an_id_that_is_another_image(self, tmp_path, shared):
        lie = "sha256:" + 64 * "0"
        path = archived(tmp_path / "a.tar", {f"{64 * '0'}.json": config(BASE)}, Config=f"{64 * '0'}.json")
        with pytest.raises(IntegrityError, match="has another image under the name"):
            take(path, shared, lie)

    def test_a_config_that_is_huge(self, tmp_path, shared):
        path = archived(tmp_path / "a.tar", {"c.json": bytes(layout.LARGEST_JSON + 1)})
        with pytest.raises(IntegrityError, match="too large to be JSON"):
            take(path, shared, "search:1.0")

    def test_a_million_members(self, tmp_path, monkeypatch):
        header = tarfile.TarInfo("x").tobuf()
        with (tmp_path / "a.tar").open("wb") as file:
            for _ in range(1000):
                file.write(header * 1000)
        with pytest.raises(IntegrityError, match="more than 100000 members"):
            Archive(tmp_path / "a.tar")

    def test_what_is_no_archive(self, tmp_path):
        (tmp_path / "x").write_bytes(os.urandom(5000))
        with pytest.raises(IntegrityError, match="is no whole docker-archive"):
            Archive(tmp_path / "x")
        with pytest.raises(IntegrityError, match="is no whole docker-archive"):
            Archive(tmp_path)

    def test_one_that_is_compressed(self, tmp_path):
        (tmp_path / "x.tar.gz").write_bytes(gzip.compress(by_blob(tmp_path / "x.tar", IMAGES).read_bytes()))
        with pytest.raises(IntegrityError, match="is compressed") as caught:
            Archive(tmp_path / "x.tar.gz")
        assert "gunzip" in (caught.value.hint or "")


def test_layers_may_be_compressed(tmp_path, shared):
    """As docker saves them where containerd keeps its images."""
    path = archived(tmp_path / "a.tar", {"l/layer.tar": gzip.compress(BASE)})
    assert take(path, shared, "search:1.0")["search:1.0"].image.diff_ids == (digest(BASE),)


class TestWriting:
    def test_an_engine_finds_what_was_taken(self, tmp_path, shared):
        taken = take(by_directory(tmp_path / "a.tar", IMAGES), shared, *IMAGES)
        layout.write(tmp_path / "oci", taken.values(), shared)
        out = io.BytesIO()
        names = [[f"as/{number}:1"] for number in range(len(taken))]
        archive.write(tmp_path / "oci", list(taken.values()), names, out)
        (tmp_path / "b.tar").write_bytes(out.getvalue())
        again = take(tmp_path / "b.tar", Blobs(tmp_path / "again"), "as/0:1", "as/1:1", "as/2:1")
        assert [each.image.diff_ids for each in again.values()] == [each.image.diff_ids for each in taken.values()]
        assert [each.image.image_id for each in again.values()] == [each.image.image_id for each in taken.values()]
        with tarfile.open(tmp_path / "b.tar") as opened:
            names = opened.getnames()
        assert names[-1] == "manifest.json", "an engine is told last what the layers are of"
        assert len(names) == len(set(names)) == 3 + 3 + 1

    def test_a_blob_that_has_changed_ends_it(self, tmp_path, shared):
        taken = take(by_directory(tmp_path / "a.tar", IMAGES), shared, "base")
        layout.write(tmp_path / "oci", taken.values(), shared)
        (layer,) = taken["base"].layers
        path = tmp_path / "oci/blobs/sha256" / layer.digest.removeprefix("sha256:")
        data = bytearray(path.read_bytes())
        path.unlink()
        data[-1] ^= 1
        path.write_bytes(data)
        out = io.BytesIO()
        with pytest.raises(IntegrityError, match="has changed"):
            archive.write(tmp_path / "oci", list(taken.values()), [["x:1"]], out)
        assert b"manifest.json" not in out.getvalue()
