"""The gates on a real image: what the bill of materials lists is what the programs inside say is installed."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from recast_dm.capsule import gates
from recast_dm.model import Image
from recast_dm.runtimes.docker import Docker
from recast_dm.spec import analysis

ROOT = Path(__file__).parents[2]
REFERENCE = "recast-dm/atlas-exot-2018-06:1.0"
INSTALLED = (
    "import importlib.metadata as m, json; print(json.dumps(sorted({(d.name, d.version) for d in m.distributions()})))"
)


@dataclass(frozen=True)
class Layer:
    diff_id: str
    path: Path

    def open(self) -> BinaryIO:
        return self.path.open("rb")


@dataclass(frozen=True)
class Saved:
    image: Image
    config: dict[str, Any]
    layers: tuple[Layer, ...]


def container_says(*argv: str) -> str:
    argv = ("docker", "run", "--rm", "--network", "none", REFERENCE, *argv)
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def saved(docker: Docker, tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """The image as `docker save` gives it."""
    image = docker.image(REFERENCE)
    assert image is not None, "`make images` builds it"
    place = tmp_path_factory.mktemp("saved")
    subprocess.run(["docker", "save", "-o", str(place / "image.tar"), REFERENCE], check=True)
    with tarfile.open(place / "image.tar") as archive:
        archive.extractall(place, filter="data")
    (manifest,) = json.loads((place / "manifest.json").read_bytes())
    config = json.loads((place / manifest["Config"]).read_bytes())
    layers = tuple(
        Layer(*pair) for pair in zip(image.diff_ids, (place / name for name in manifest["Layers"]), strict=True)
    )
    return Saved(image, config, layers)


@pytest.fixture(scope="module")
def inspection(saved: Saved) -> gates.Inspection:
    loaded = analysis.load(ROOT / "specs/atlas-exot-2018-06")
    return gates.inspect(loaded.directory, loaded.workflow, [saved], Layer.open)


def listed(inspection: gates.Inspection, kind: str) -> set[tuple[str, str]]:
    components = json.loads(inspection.sboms[REFERENCE])["components"]
    return {(each["name"], each["version"]) for each in components if each["purl"].startswith(f"pkg:{kind}/")}


def test_the_debian_packages_are_those_that_dpkg_lists(inspection):
    said = container_says("dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version}\n")
    lines = (line.split() for line in said.splitlines())
    assert listed(inspection, "deb") == {(name, version) for state, name, version in lines if state == "installed"}


def test_the_python_packages_are_those_that_python_finds(inspection):
    found = {tuple(pair) for pair in json.loads(container_says("python3", "-c", INSTALLED))}
    by_dist_info = listed(inspection, "pypi")
    assert by_dist_info <= found
    assert {"pythia8mc", "fastjet", "numpy"} <= {name for name, _ in by_dist_info}
    debians = {name for name, _ in listed(inspection, "deb")}
    beside = {name for name, _ in found - by_dist_info}
    assert all(f"python3-{name.lower()}" in debians for name in beside)  # egg-info that dpkg owns


def test_the_bill_is_valid_and_the_same_twice(inspection, saved):
    bill = inspection.sboms[REFERENCE]
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill.decode()) is None
    loaded = analysis.load(ROOT / "tests/analyses/toy")
    assert gates.inspect(loaded.directory, loaded.workflow, [saved], Layer.open).sboms[REFERENCE] == bill


def test_a_clean_image_has_no_secret_and_reruns(inspection):
    assert inspection.secrets == ()
    assert {each.severity for each in inspection.findings} == {"note"}
