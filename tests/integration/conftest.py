"""What tests with real containers share. Under CI=true an engine that is missing is a failure, never a skip.

Unless the environment says that there is no docker here: with RECAST_DM_RUNTIME=sandbox (as `make test` has it then) or
RECAST_DM_TEST_ENGINES=sandbox, tests that need docker are skipped, and the others take the assembled images.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from preserving import capture

from recast_dm.errors import ToolMissing
from recast_dm.images import engine
from recast_dm.images.blobs import Blobs
from recast_dm.images.sources import FromEngine, FromLayout
from recast_dm.images.stores import UnpackedStore
from recast_dm.model import Image
from recast_dm.runtimes import Runtime
from recast_dm.runtimes.docker import Docker
from recast_dm.runtimes.podman import Podman
from recast_dm.runtimes.sandbox import Sandbox

ROOT = Path(__file__).parents[2]
TOY_IMAGE = "recast-dm/toy:1.0"
IMAGES = ROOT / "build/images"
NO_DOCKER = "sandbox" in (os.environ.get("RECAST_DM_RUNTIME"), os.environ.get("RECAST_DM_TEST_ENGINES"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.container)


def demand(runtime: Runtime, what: str) -> None:
    """Tests of a runtime that does not work are skipped, and fail under CI=true."""
    try:
        runtime.about()
    except ToolMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no {what}, and CI=true: {error}")
        pytest.skip(f"not run: {error.message}")


@pytest.fixture(scope="session")
def docker() -> Docker:
    """The engine of this machine."""
    if NO_DOCKER:
        pytest.skip("not run: no docker here")
    engine = Docker()
    demand(engine, "engine")
    return engine


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """The sandbox, with a store of images of its own; they come from docker, or without it from the assembler."""
    runtime = Sandbox(tmp_path_factory.mktemp("sandbox"))
    demand(runtime, "sandbox")
    if NO_DOCKER:
        shared = Blobs(tmp_path_factory.mktemp("for the sandbox"))
        taken = FromLayout(IMAGES).take([TOY_IMAGE], shared)
        UnpackedStore(runtime.images).give(shared.root, list(taken.values()), [[TOY_IMAGE]])
    return runtime


@pytest.fixture(scope="session")
def here(request: pytest.FixtureRequest) -> Runtime:
    """The runtime of this machine, for tests that need any: docker, or the sandbox where there is none."""
    runtime: Runtime = request.getfixturevalue("sandbox" if NO_DOCKER else "docker")
    return runtime


@pytest.fixture(scope="session")
def unshare(sandbox: Sandbox) -> Sandbox:
    """The sandbox as it is where there is no bubblewrap, with the same images."""
    runtime = Sandbox(sandbox.images.root.parent, starters=("unshare",))
    runtime.about()
    return runtime


@pytest.fixture(scope="session")
def podman(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Podman:
    """The podman of this machine, with docker's image of the toy analysis."""
    runtime = Podman()
    demand(runtime, "podman")
    if runtime.image(TOY_IMAGE) != docker.image(TOY_IMAGE):
        shared = Blobs(tmp_path_factory.mktemp("for podman"))
        taken = FromEngine("docker").take([TOY_IMAGE], shared)
        engine.load("podman", shared.root, list(taken.values()), [[TOY_IMAGE]])
    return runtime


@pytest.fixture(scope="session")
def toy_image(here: Runtime) -> Image:
    image = here.image(TOY_IMAGE)
    assert image is not None, "`make test` builds it; by hand: containers/build.sh tests/containers/toy"
    return image


@pytest.fixture(scope="session")
def kept_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Image layers that every capsule of the tests shares."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture
def toy_capsule(tmp_path: Path, toy_image: Image, kept_images: Path) -> Path:
    """The toy analysis, captured without a run."""
    source = FromLayout(IMAGES) if NO_DOCKER else FromEngine("docker")
    return capture(ROOT / "tests/analyses/toy", tmp_path / "toy.capsule", source, kept_images).path


@pytest.fixture
def bare_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A docker engine of our own, that a test may end: own data root and socket, no image, no network."""
    if NO_DOCKER:
        pytest.skip("not run: no docker here")
    if os.getuid() != 0 or not shutil.which("dockerd"):
        if os.environ.get("CI") == "true":
            pytest.fail("a second engine needs root and dockerd")
        pytest.skip("not run: a second engine needs root and dockerd")
    root = tmp_path_factory.mktemp("engine")
    socket = f"unix://{root}/docker.sock"
    # in a network namespace of its own: a dockerd without a bridge removes docker0, and there is only one a namespace
    words = ["unshare", "--net", "dockerd", "--host", socket, "--bridge=none", "--iptables=false"]
    words += ["--data-root", f"{root}/data", "--exec-root", f"{root}/exec", "--pidfile", f"{root}/pid"]
    with (root / "log").open("wb") as log:
        engine = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    try:
        for _ in range(120):
            asked = subprocess.run(["docker", "--host", socket, "version"], capture_output=True, check=False)
            if asked.returncode == 0:
                break
            time.sleep(0.5)
        else:
            pytest.fail((root / "log").read_text()[-2000:])
        yield socket, engine
    finally:
        engine.terminate()
        engine.wait(60)
