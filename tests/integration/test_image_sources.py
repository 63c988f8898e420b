"""Images from a real registry, podman, archives and layouts of skopeo; and our layout in other people's hands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import registries
from commanding import program, recast
from registries import call, skopeo
from test_disk_full import mounted

from recast_dm.capsule import open_capsule
from recast_dm.errors import IntegrityError
from recast_dm.images import engine, sources
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Layout

pytestmark = pytest.mark.usefixtures("docker")
TOY = "recast-dm/toy:1.0"
TAKE = f"""
import sys
from pathlib import Path
from recast_dm.errors import ToolMissing
from recast_dm.images import sources
from recast_dm.images.blobs import Blobs

try:
    sources.FromEngine("docker").take(["{TOY}"], Blobs(Path(sys.argv[1])))
except ToolMissing as error:
    print(error.message)
"""


@pytest.fixture(scope="module")
def tools() -> None:
    for name in registries.TOOLS:
        program(name)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sources")


@pytest.fixture(scope="module")
def archive(place, toy_image, tools) -> Path:
    """What `docker save` writes of the toy's image."""
    call("docker", "save", "-o", place / "toy.tar", TOY)
    return place / "toy.tar"


@pytest.fixture(scope="module")
def layout(place, archive) -> Path:
    """What skopeo makes of it."""
    skopeo("copy", f"docker-archive:{archive}", f"oci:{place}/oci:{TOY}")
    return place / "oci"


@pytest.fixture(scope="module")
def registry(place, archive):
    with registries.registry(place) as address:
        skopeo("copy", "--dest-tls-verify=false", f"docker-archive:{archive}", f"docker://{address}/{TOY}")
        yield address


@pytest.fixture(scope="module")
def storage(place, tools) -> str:
    if os.getuid() != 0:
        if os.environ.get("CI") == "true":
            pytest.fail("podman's images need root here")
        pytest.skip("not run: podman's images need root here")
    return str(registries.podman_storage(place))


@pytest.fixture(scope="module")
def podman(archive, storage) -> str:
    """The configuration of a podman that has the image."""
    call("podman", "load", "--input", archive, CONTAINERS_STORAGE_CONF=storage)
    return storage


@pytest.fixture(scope="module")
def cached(place) -> Path:
    return place / "cache"


@pytest.fixture(scope="module")
def captured(place, toy_image, cached, toy_directory):
    """Captures the toy from a source, through the command line."""

    def capture(name: str, source: str | None, cache: Path = cached, **environment: str) -> Path:
        target = place / f"{name}.capsule"
        words = ["capture", str(toy_directory), "-o", str(target), "--no-run", "--quiet"]
        from_there = ["--images", source] if source else []
        done = recast(*words, *from_there, **{"RECAST_DM_CACHE_DIR": str(cache), **environment})
        assert done.returncode == 0, done.stderr
        return target

    return capture


@pytest.fixture(scope="module")
def from_docker(captured) -> Path:
    return captured("docker", "docker")


def image(capsule: Path) -> dict[str, object]:
    (found,) = open_capsule(capsule).manifest["images"]
    return found


class TestSources:
    def test_a_registry(self, captured, registry, from_docker, tmp_path, toy_image):
        capsule = captured("registry", f"registry:{registry}", tmp_path / "cache")
        found = image(capsule)
        said = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry}/{TOY}"))
        assert found["registry_digest"] == f"{registry}/recast-dm/toy@{said['Digest']}"
        assert found["image_id"] == toy_image.image_id
        assert found["diff_ids"] == list(toy_image.diff_ids)
        kept = Layout(capsule / "data/images")
        (entry,) = kept.index()
        assert entry["annotations"]["org.recast-dm.original-manifest"] == said["Digest"]
        raw = skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{registry}/{TOY}")
        assert kept.blob(said["Digest"]) == raw.encode(), "the registry's manifest, byte for byte"
        layers = [layer["digest"] for layer in json.loads(raw)["layers"]]
        assert [layer["digest"] for layer in found["layers"]] == layers, "and its layers as they were pushed"
        assert open_capsule(capsule).digest == open_capsule(from_docker).digest

    def test_a_registry_that_the_reference_names_by_digest(self, registry, tmp_path):
        name = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry}/{TOY}"))["Digest"]
        reference = f"{registry}/recast-dm/toy@{name}"
        (found,) = sources.collect([reference], [sources.source("registry")], Blobs(tmp_path))
        assert found.image.registry_digest == reference
        assert sources.source("registry").take([f"{registry}/recast-dm/toy:2.0"], Blobs(tmp_path)) == {}

    def test_docker_pulls_and_we_capture_it_by_its_digest(self, registry, tmp_path, toy_image):
        name = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry}/{TOY}"))["Digest"]
        reference = f"{registry}/recast-dm/toy@{name}"
        call("docker", "pull", "--quiet", reference)
        try:
            (found,) = sources.collect([reference], [sources.source("docker")], Blobs(tmp_path))
            assert found.image.registry_digest == reference
            assert found.image.image_id == toy_image.image_id
        finally:
            call("docker", "rmi", reference)

    @pytest.mark.parametrize("kind", ["podman", "archive", "layout"])
    def test_the_same_capsule_from_everywhere(self, captured, from_docker, kind, request, tmp_path, toy_image):
        value = request.getfixturevalue(kind)
        source = {"podman": "podman", "archive": f"docker-archive:{value}", "layout": f"oci:{value}"}[kind]
        more = {"CONTAINERS_STORAGE_CONF": value} if kind == "podman" else {}
        capsule = captured(kind, source, tmp_path / "cache", **more)
        assert open_capsule(capsule).digest == open_capsule(from_docker).digest
        assert image(capsule)["diff_ids"] == list(toy_image.diff_ids)
        assert image(capsule)["registry_digest"] is None
        if kind != "layout":  # skopeo writes another config
            assert image(capsule)["image_id"] == toy_image.image_id

    def test_two_tags_of_one_image(self, toy_image, tmp_path):
        call("docker", "tag", TOY, "recast-dm/toy:test-twin")
        try:
            wanted = [TOY, "recast-dm/toy:test-twin", toy_image.image_id]
            found = sources.collect(wanted, [sources.source("docker")], Blobs(tmp_path))
        finally:
            call("docker", "rmi", "recast-dm/toy:test-twin")
        assert [each.image.reference for each in found] == wanted
        assert {each.image.image_id for each in found} == {toy_image.image_id}

    def test_the_engine_that_the_environment_names(self, toy_image, tmp_path):
        """DOCKER_HOST and contexts are docker's own to read."""
        nowhere = f"unix://{tmp_path}/none.sock"
        context = {"DOCKER_CONFIG": str(tmp_path / "config")}
        call("docker", "context", "create", "nowhere", "--docker", f"host={nowhere}", **context)
        for named in ({"DOCKER_HOST": nowhere}, {**context, "DOCKER_CONTEXT": "nowhere"}):
            done = subprocess.run(
                [sys.executable, "-c", TAKE, str(tmp_path / "blobs")],
                capture_output=True,
                text=True,
                check=False,
                env={**os.environ, **named},
            )
            assert done.stdout.startswith(f"docker cannot look up {TOY}"), done.stderr
            assert "none.sock" in done.stdout


@pytest.mark.parametrize("size", [30, 190])
def test_a_cache_on_a_disk_that_is_full(toy_image, toy_directory, tmp_path, size):
    """While docker saves, and while layers are compressed: one error that says so, and nothing is left lying."""
    disk = tmp_path / "disk"
    if not mounted(disk, size * 1024**2):
        if os.environ.get("CI") == "true":
            pytest.fail("a small disk needs root and mount")
        pytest.skip("not run: a small disk needs root and mount")
    try:
        words = [sys.executable, "-m", "recast_dm", "capture", str(toy_directory), "-o", str(tmp_path / "x.capsule")]
        done = subprocess.run(
            [*words, "--no-run", "--json"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "RECAST_DM_CACHE_DIR": str(disk)},
        )
        assert done.returncode == 9, done.stderr
        assert "no space left" in json.loads(done.stdout)["message"].lower()
        assert "Traceback" not in done.stderr
        assert not [path for path in disk.rglob("*") if path.name.startswith(".")]
        assert not (tmp_path / "x.capsule").exists()
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


class TestOtherPeoplesTools:
    """The layout in a capsule is everybody's."""

    def test_skopeo(self, from_docker, toy_image):
        said = json.loads(skopeo("inspect", f"oci:{from_docker}/data/images:{TOY}"))
        assert said["Layers"] == [layer["digest"] for layer in image(from_docker)["layers"]]
        config = json.loads(skopeo("inspect", "--config", f"oci:{from_docker}/data/images:{TOY}"))
        assert tuple(config["rootfs"]["diff_ids"]) == toy_image.diff_ids

    def test_skopeo_writes_it_as_docker_has_it(self, from_docker, tmp_path, toy_image):
        skopeo("copy", f"oci:{from_docker}/data/images:{TOY}", f"docker-archive:{tmp_path}/toy.tar:{TOY}")
        found = sources.source(f"docker-archive:{tmp_path}/toy.tar").take([TOY], Blobs(tmp_path / "blobs"))
        assert found[TOY].image.image_id == toy_image.image_id

    def test_umoci(self, from_docker, tmp_path):
        """umoci wants a tag without a repository."""
        skopeo("copy", f"oci:{from_docker}/data/images:{TOY}", f"oci:{tmp_path}/oci:toy")
        root = ["--rootless"] if os.getuid() else []
        call("umoci", "unpack", *root, "--image", f"{tmp_path}/oci:toy", tmp_path / "bundle")
        inside = call("docker", "run", "--rm", "--network", "none", TOY, "sh", "-c", "cat /etc/os-release; ls /usr/bin")
        there = tmp_path / "bundle/rootfs"
        names = sorted(path.name for path in (there / "usr/bin").iterdir())
        assert (there / "etc/os-release").read_text() in inside
        assert sorted(inside.split("\n")[-len(names) - 1 : -1]) == names


class TestLoading:
    @pytest.fixture
    def empty(self, storage, tmp_path) -> str:
        return str(registries.podman_storage(tmp_path))

    def test_podman_keeps_its_ids(self, from_docker, empty, toy_image, monkeypatch):
        monkeypatch.setenv("CONTAINERS_STORAGE_CONF", empty)
        images = Layout(from_docker / "data/images").images()
        engine.load("podman", from_docker / "data/images", images, [[TOY, "recast-dm/preserved:test"]])
        for name in (TOY, "recast-dm/preserved:test", toy_image.image_id):
            said = json.loads(call("podman", "image", "inspect", name))[0]
            assert f"sha256:{said['Id']}" == toy_image.image_id
            assert tuple(said["RootFS"]["Layers"]) == toy_image.diff_ids

    def test_podman_takes_nothing_of_what_has_changed(self, captured, empty, monkeypatch, tmp_path):
        root = captured("changed", None) / "data/images"
        images = Layout(root).images()
        layer = max(images[0].layers, key=lambda layer: layer.size)
        path = root / "blobs/sha256" / layer.digest.removeprefix("sha256:")
        data = bytearray(path.read_bytes())
        path.unlink()
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        monkeypatch.setenv("CONTAINERS_STORAGE_CONF", empty)
        with pytest.raises(IntegrityError, match="has changed"):
            engine.load("podman", root, images, [[TOY]])
        assert call("podman", "images", "--quiet") == ""
