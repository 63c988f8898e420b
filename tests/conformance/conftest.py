"""Upstream yadage for a whole session, in its tool environment below build/tools."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))  # what is shared here is imported by its whole name

from recast_dm.backends.yadage import Upstream
from recast_dm.errors import ToolMissing
from recast_dm.runtimes import Runtime, find
from tests.conformance import judge


@pytest.fixture(scope="session")
def upstream_python() -> Path:
    """The python of upstream's environment; made on the first use, which needs a package index."""
    return judge.upstream_python()


@pytest.fixture(scope="session")
def upstream(upstream_python) -> Iterator[Upstream]:
    """One driver process for all tests."""
    with Upstream(upstream_python) as upstream:
        yield upstream


@pytest.fixture(scope="session")
def docker() -> Runtime:
    """The engine of this machine. Under CI=true one that is missing is a failure, never a skip."""
    try:
        return find("docker")
    except ToolMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no engine, and CI=true: {error}")
        pytest.skip(f"not run: {error.message}")
