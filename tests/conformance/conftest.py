"""Upstream yadage for a whole session, in its tool environment below build/tools."""

from pathlib import Path

import pytest

from recast_dm.backends.tool_environment import ensure

TOP = Path(__file__).parents[2]
LOCKS = TOP / "recast_dm" / "locks"


@pytest.fixture(scope="session")
def upstream() -> Path:
    """The python of upstream's environment; made on the first use, which needs a package index."""
    return ensure("yadage", LOCKS / "tool-yadage.txt", TOP / "build" / "tools", build=LOCKS / "tool-build.txt")
