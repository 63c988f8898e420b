"""OCI layouts: ours, other people's, and those that somebody made to do harm."""

from __future__ import annotations

import io
import json

import pytest
from imagetars import DOCKER, OCI, OciLayout, config, digest, manifest, packed
from layertars import tar

from recast_dm.errors import IntegrityError
from recast_dm.images import layout, platforms
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Layout

LAYERS = (tar({"a": "a"}), tar({"b": "b"}))
NAME = "search:1.0"


@pytest.fixture
def found(tmp_path) -> OciLayout:
    return OciLayout(tmp_path / "oci")


def kept(tmp_path, *references: str):
    """Images in our own layout."""
    shared = Blobs(tmp_path / "images")
    about = config(*LAYERS)
    shared.add(about)
    layers = [shared.add_layer(lambda data=data: io.BytesIO(data)) for data in LAYERS]
    images = [layout.stored(reference, about, layers, original=shared.add(b"{}")) for reference in references]
    layout.write(tmp_path / "ours", images, shared)
    return images, Layout(tmp_path / "ours")


def test_what_is_written_is_read_again(tmp_path):
    images, ours = kept(tmp_path, "b:1", "a:1")
    read = {each.image.reference: each for each in ours.images()}
    assert list(read) == ["a:1", "b:1"], "sorted: the same images give the same index"
    for each in images:
        assert read[each.image.reference].image == each.image
        assert read[each.image.reference].layers == each.layers
        assert read[each.image.reference].original == digest(b"{}")
    names = {path.name for path in (tmp_path / "ours/blobs/sha256").iterdir()}
    assert len(names) == 2 + 1 + 1 + 1, "two layers, a config, a manifest, an original: each once"


@pytest.mark.parametrize("kind", [OCI, DOCKER])
def test_manifests_of_docker_and_of_the_oci_are_read(found, kind):
    found.add(NAME, *LAYERS, kind=kind)
    (image,) = Layout(found.root).images()
    assert image.image.reference == NAME
    assert image.image.diff_ids == tuple(map(digest, LAYERS))
    assert [layer.digest for layer in image.layers] == [digest(each) for each in packed(*LAYERS)]
    for layer, data in zip(image.layers, LAYERS, strict=True):
        with Layout(found.root).open_layer(layer) as stream:
            assert stream.read() == data


class TestHostile:
    """Whatever it holds: one error of ours."""

    @pytest.mark.parametrize("name", ["sha256:../../../../etc/passwd", "/etc/passwd", "sha256:", 5, None, ["x"], {}])
    @pytest.mark.parametrize("where", ["index", "config", "layer"])
    def test_a_digest_that_names_a_path(self, found, name, where):
        document = json.loads(manifest(config(*LAYERS), packed(*LAYERS)))
        found.blob(config(*LAYERS))
        if where != "index":
            (document["config"] if where == "config" else document["layers"][0])["digest"] = name
        entry = found.entry(json.dumps(document).encode(), f"{OCI}manifest.v1+json", NAME)
        found.entries = [entry | ({"digest": name} if where == "index" else {})]
        found.write()
        with pytest.raises(IntegrityError, match="digest"):
            Layout(found.root).images()

    @pytest.mark.parametrize("size", [-1, "7", None, 1.5, 1e400])
    def test_a_size_that_is_none(self, found, size):
        document = json.loads(manifest(config(*LAYERS), packed(*LAYERS)))
        found.blob(config(*LAYERS))
        document["layers"][1]["size"] = size
        found.entries = [found.entry(json.dumps(document).encode(), f"{OCI}manifest.v1+json", NAME)]
        found.write()
        with pytest.raises(IntegrityError, match="no digest or size"):
            Layout(found.root).images()

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "[]",
            "{}",
            '{"manifests": 5}',
            '{"manifests": {"a": 1}}',
            '{"manifests": ["x"]}',
            '{"manifests": [{"digest": "x"}]}',
            '{"manifests": [{"mediaType": "x", "annotations": [1], "digest": "y"}]}',
            '{"manifests": [{"mediaType": "x"}]}',
            "[" * 200_000,
            '{"manifests": ' + "9" * 5000 + "}",
        ],
    )
    def test_an_index_that_is_none(self, found, text):
        (found.root / "index.json").write_text(text)
        with pytest.raises(IntegrityError):
            Layout(found.root).images()

    @pytest.mark.parametrize("document", [b"[]", b"{}", b'{"config": 5, "layers": []}', b'{"config": {"digest": 5}}'])
    def test_a_manifest_that_is_none(self, found, document):
        found.entries = [found.entry(document, f"{OCI}manifest.v1+json", NAME)]
        found.write()
        with pytest.raises(IntegrityError):
            Layout(found.root).images()

    def test_json_that_is_huge(self, found):
        with (found.root / "index.json").open("wb") as file:
            file.truncate(100 * 1024**3)
        with pytest.raises(IntegrityError, match="too large to be JSON"):
            Layout(found.root).index()

    def test_a_blob_that_is_missing_and_one_that_has_changed(self, found):
        name = found.add(NAME, *LAYERS)
        about = digest(config(*LAYERS))
        found.path(about).unlink()
        with pytest.raises(IntegrityError, match="is not a whole OCI layout"):
            Layout(found.root).images()
        found.path(name).write_bytes(b"{}")
        with pytest.raises(IntegrityError, match="has changed"):
            Layout(found.root).images()

    def test_layers_that_the_config_does_not_list(self, found):
        about = found.blob(config(LAYERS[0]))
        assert about
        data = manifest(config(LAYERS[0]), packed(*LAYERS))
        found.entries = [found.entry(data, f"{OCI}manifest.v1+json", NAME)]
        found.write()
        with pytest.raises(IntegrityError, match="lists other layers than its config"):
            Layout(found.root).images()

    def test_an_index_that_names_an_index_again_and_again(self, found):
        """Indexes cannot hold themselves, for they are named by their hash; but each can hold the next many times."""
        found.add(NAME, *LAYERS)
        inner = found.entries[0]
        for _ in range(2):
            entries = json.dumps({"manifests": [inner] * 5000}).encode()
            inner = found.entry(entries, f"{OCI}index.v1+json")
        found.entries = [inner] * 5000
        found.write()
        with pytest.raises(IntegrityError, match="names more images than 1000"):
            Layout(found.root).index()

    def test_an_index_that_holds_nothing_again_and_again(self, found):
        inner = found.entry(b'{"manifests": []}', f"{OCI}index.v1+json")
        found.entries = [inner] * 50_000
        found.write()
        with pytest.raises(IntegrityError, match="lists nothing"):
            Layout(found.root).index()

    def test_indexes_in_indexes_without_end(self, found):
        found.add(NAME, *LAYERS)
        inner = found.entries[0]
        for _ in range(4):
            inner = found.entry(json.dumps({"manifests": [inner]}).encode(), f"{OCI}index.v1+json")
        found.entries = [inner]
        found.write()
        with pytest.raises(IntegrityError, match="indexes in indexes"):
            Layout(found.root).index()


class TestConfig:
    @pytest.mark.parametrize(
        "change",
        [
            {"rootfs": None},
            {"rootfs": {}},
            {"rootfs": {"diff_ids": None}},
            {"rootfs": 5},
            {"os": None, "rootfs": {"diff_ids": 5}},
            {"config": 5},
            {"config": {"Env": [1, "a"]}},
        ],
    )
    def test_a_config_that_says_nothing_of_an_image(self, change):
        with pytest.raises(IntegrityError, match=r"does not say what an image is: its layers \(rootfs\)"):
            layout.image_of(NAME, config(*LAYERS, **change))

    @pytest.mark.parametrize("name", ["sha256:../../../../etc/cron.d/x", "x", 5, None])
    def test_layers_by_what_is_no_digest(self, name):
        """They become names in a tar file that an engine unpacks."""
        with pytest.raises(IntegrityError, match="lists layers by what is no digest"):
            layout.image_of(NAME, config(rootfs={"diff_ids": [name]}))

    def test_no_os(self):
        document = json.loads(config(*LAYERS))
        del document["os"]
        with pytest.raises(IntegrityError, match="os and architecture"):
            layout.image_of(NAME, json.dumps(document).encode())

    def test_what_it_sets(self):
        image, document = layout.image_of(NAME, config(*LAYERS, variant="v8", architecture="arm64"))
        assert image.platform == "linux/arm64/v8"
        assert image.config == {"env": ["A=1"], "workdir": "/code"}
        assert document["config"]["Env"] == ["A=1"]

    def test_an_image_without_layers(self):
        image, _ = layout.image_of(NAME, config())
        assert image.diff_ids == ()

    def test_layers_of_another_image(self, tmp_path):
        shared = Blobs(tmp_path)
        layers = [shared.add_layer(lambda data=data: io.BytesIO(data)) for data in LAYERS]
        for wrong in (layers[:1], layers[::-1], []):
            with pytest.raises(IntegrityError, match="are not those that its config lists"):
                layout.stored(NAME, config(*LAYERS), wrong)


class TestPlatforms:
    def test_of_several_the_one_for_this_machine(self, monkeypatch):
        monkeypatch.setattr("platform.machine", lambda: "aarch64")
        entries = [
            {"platform": {"os": "linux", "architecture": "amd64"}, "digest": "a"},
            {"platform": {"os": "unknown", "architecture": "unknown"}, "digest": "attestation"},
            {"platform": {"os": "linux", "architecture": "arm64", "variant": "v9"}, "digest": "b9"},
            {"platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}, "digest": "b8"},
            {"platform": {"os": "windows", "architecture": "arm64"}, "digest": "c"},
            {"platform": None},
            {"platform": 5},
            "x",
            {},
        ]
        found = platforms.choose(entries)
        assert found is not None
        assert found["digest"] == "b8"
        assert platforms.choose(entries[:2]) is None

    def test_an_index_in_the_index_gives_its_name_to_its_images(self, found):
        found.add(None, *LAYERS)
        inner = json.dumps({"manifests": found.entries}).encode()
        found.entries = [found.entry(inner, f"{DOCKER}distribution.manifest.list.v2+json", NAME)]
        found.write()
        (image,) = Layout(found.root).images()
        assert image.image.reference == NAME
