"""Images go where they are needed: from one runtime's store to another's, and no further than their kind of machine."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from recast_dm import store
from recast_dm.images import layout, nothing, platforms, stores
from recast_dm.images.blobs import Blobs
from recast_dm.images.layout import Stored
from recast_dm.images.rootfs import ROOTFS, Rootfs
from recast_dm.images.sources import FromEngine
from recast_dm.runtimes import Runtime

CLI = Path(sys.executable).with_name("recast-dm")
TOY = "recast-dm/toy:1.0"
OTHER = "arm64" if platforms.here() == "linux/amd64" else "amd64"


@pytest.fixture
def name() -> Iterator[str]:
    """The name of an image that no store of this machine has; what has it then gives it up."""
    found = f"recast-dm/test-{uuid.uuid4().hex[:12]}:1.0"
    yield found
    for engine in ("docker", "podman"):
        subprocess.run([engine, "rmi", "--force", found], capture_output=True, check=False)


def own(shared: Blobs, known: Stored, name: str) -> Stored:
    """An image under a name, with an id of its own."""
    settings = known.config.get("config") or {}
    content = store.canonical(
        {**known.config, "config": {**settings, "Env": [*(settings.get("Env") or []), f"IT={name}"]}}
    )
    shared.add(content)
    return layout.stored(name, content, known.layers)


def small(shared: Blobs, name: str, architecture: str | None = None) -> Stored:
    """The image that does nothing."""
    known = nothing.image(shared, architecture)
    if known is None:
        pytest.skip(f"no program for {platforms.here()}")
    return own(shared, known, name)


def analysis(place: Path, name: str) -> Path:
    image, _, tag = name.rpartition(":")
    step = {
        "process": {"process_type": "string-interpolated-cmd", "cmd": "true"},
        "environment": {"environment_type": "docker-encapsulated", "image": image, "imagetag": tag},
        "publisher": {"publisher_type": "interpolated-pub", "publish": {}},
    }
    scheduler = {"scheduler_type": "singlestep-stage", "parameters": [], "step": step}
    place.mkdir()
    (place / "workflow.yml").write_text(
        yaml.safe_dump({"stages": [{"name": "one", "dependencies": ["init"], "scheduler": scheduler}]})
    )
    return place / "workflow.yml"


def recast(cache: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "RECAST_DM_CACHE_DIR": str(cache)}
    return subprocess.run([str(CLI), *words], env=env, capture_output=True, text=True, check=False)


def give(cache: Path, origin: str, stored: Stored) -> None:
    """Has one store have an image."""
    name = stored.image.reference
    stores.store(origin, Rootfs(cache / ROOTFS)).give(cache / "images", [stored], [[name]])


@pytest.mark.parametrize("target", ["docker", "podman", "sandbox"])
@pytest.mark.parametrize("origin", ["docker", "podman", "sandbox"])
def test_it_is_the_same_image_in_the_other_store(
    docker: Runtime, podman: Runtime, sandbox: Runtime, tmp_path: Path, name: str, origin: str, target: str
) -> None:
    assert {each.about().name for each in (docker, podman, sandbox)} == {"docker", "podman", "sandbox"}
    if origin == target:
        return
    stored = small(Blobs(tmp_path / "images"), name)
    give(tmp_path, origin, stored)
    ended = recast(tmp_path, "images", "load", name, "--from", origin, "--runtime", target, "--json")
    assert ended.returncode == 0, ended.stderr
    (loaded,) = json.loads(ended.stdout)["images"]
    assert loaded["image_id"] == stored.image.image_id
    found = stores.store(target, Rootfs(tmp_path / ROOTFS)).take([name], Blobs(tmp_path / "images"))
    assert found[name].image.diff_ids == stored.image.diff_ids


def test_who_asks_for_an_image_that_nobody_has_is_told(
    docker: Runtime, sandbox: Runtime, tmp_path: Path, name: str
) -> None:
    assert (docker.about().name, sandbox.about().name) == ("docker", "sandbox")
    ended = recast(tmp_path, "images", "load", name, "--runtime", "sandbox")
    assert ended.returncode == 4
    assert f"no source has the image {name}" in ended.stderr
    assert "--from SOURCE" in ended.stderr


@pytest.mark.parametrize(("origin", "target"), [("sandbox", "docker"), ("docker", "podman"), ("podman", "sandbox")])
def test_a_run_brings_what_its_runtime_lacks(
    docker: Runtime, podman: Runtime, sandbox: Runtime, tmp_path: Path, name: str, origin: str, target: str
) -> None:
    assert {each.about().name for each in (docker, podman, sandbox)} == {"docker", "podman", "sandbox"}
    shared = Blobs(tmp_path / "cache/images")
    toy = FromEngine("docker").take([TOY], shared)[TOY]
    give(tmp_path / "cache", origin, own(shared, toy, name))
    words = ("--runtime", target, "--workdir", str(tmp_path / "run"))
    ended = recast(tmp_path / "cache", "run", str(analysis(tmp_path / "a", name)), *words)
    assert ended.returncode == 0, ended.stderr
    assert f"loading {name} from {origin} into {target}" in ended.stderr
    (record,) = (tmp_path / "run").glob(".records/**/*.json")
    execution = json.loads(record.read_text())["execution"]
    assert execution["runtime"]["name"] == target
    assert f"IT={name}" in execution["image"]["config"]["env"]


def test_an_image_for_another_machine_is_refused_before_anything_runs(
    docker: Runtime, tmp_path: Path, name: str
) -> None:
    assert docker.about().name == "docker"
    if platforms.runs(f"linux/{OTHER}", platforms.here()):
        pytest.skip("this machine emulates the other")
    shared = Blobs(tmp_path / "cache/images")
    stored = small(shared, name, OTHER)
    stores.EngineStore("docker").give(shared.root, [stored], [[name]])
    ended = recast(tmp_path / "cache", "run", str(analysis(tmp_path / "a", name)), "--workdir", str(tmp_path / "run"))
    assert ended.returncode == 4
    assert f"{name} is for linux/{OTHER}, and docker here is for {platforms.here()}" in ended.stderr
    assert not list((tmp_path / "run").glob(".records/**/*.json"))
