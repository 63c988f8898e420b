"""Fixtures that every test may use."""

from pathlib import Path

import pytest

ANALYSES = Path(__file__).with_name("analyses")


@pytest.fixture(scope="session")
def toy_directory() -> Path:
    """The toy analysis as it stands in the repository: not to be written into."""
    return ANALYSES / "toy"
