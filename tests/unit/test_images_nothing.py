"""The smallest image: its program really runs, and its bytes never change."""

import subprocess
import tarfile
from pathlib import Path

import pytest

from recast_dm.images import nothing, platforms
from recast_dm.images.blobs import Blobs, open_layer


def test_its_program_ends_at_once(tmp_path: Path) -> None:
    shared = Blobs(tmp_path / "images")
    known = nothing.image(shared)
    if known is None:
        pytest.skip(f"no program for {platforms.here()}")
    with open_layer(shared.root, known.layers[0]) as layer, tarfile.open(fileobj=layer) as tar:
        tar.extractall(tmp_path, filter="data")
    assert subprocess.run([tmp_path / "nothing"], check=False).returncode == 0


@pytest.mark.parametrize(
    ("architecture", "digest"),
    [
        ("amd64", "3e768ca470c34fa54fd563fc9d89d05358fe38c932afcfa355a9acfef897c63e"),
        ("arm64", "5ce3641f3c543fc7df50cb83b047a750c2d830fd35e496a3cf1758e90b06fc6e"),
    ],
)
def test_it_is_the_same_everywhere(tmp_path: Path, architecture: str, digest: str) -> None:
    known = nothing.image(Blobs(tmp_path), architecture)
    assert known is not None
    assert known.image.platform == f"linux/{architecture}"
    assert known.image.image_id == f"sha256:{digest}"


def test_other_machines_have_none(tmp_path: Path) -> None:
    assert nothing.image(Blobs(tmp_path), "s390x") is None
