"""What tests with real containers share. Under CI=true an engine that is missing is a failure, never a skip."""

import os
from pathlib import Path

import pytest

from recast_dm.errors import ToolMissing
from recast_dm.model import Image
from recast_dm.runtimes import Runtime
from recast_dm.runtimes.docker import Docker

ROOT = Path(__file__).parents[2]
TOY_IMAGE = "recast-dm/toy:1.0"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.container)


@pytest.fixture(scope="session")
def docker() -> Docker:
    """The engine of this machine."""
    engine = Docker()
    try:
        engine.about()
    except ToolMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no engine, and CI=true: {error}")
        pytest.skip(f"not run: {error.message}")
    return engine


@pytest.fixture(scope="session")
def toy_image(docker: Runtime) -> Image:
    image = docker.image(TOY_IMAGE)
    assert image is not None, "`make test` builds it; by hand: containers/build.sh tests/containers/toy"
    return image


@pytest.fixture
def toy_capsule(tmp_path: Path, toy_image: Image, docker: Runtime) -> Path:
    """The toy analysis, captured."""
    from recast_dm import capsule, reinterpret
    from recast_dm.spec import analysis

    loaded = analysis.load(ROOT / "tests/analyses/toy")
    place = tmp_path / "toy.capsule"
    capsule.capture(loaded, place, lookup=docker.image, example=reinterpret.example_inputs(loaded), runtime="docker")
    return place
