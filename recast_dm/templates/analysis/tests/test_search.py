"""A test of the physics that needs no container: add one for each number that you would not like to be wrong."""

import math
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))
import search


def test_nothing_seen_and_nothing_expected_excludes_three_events():
    """The textbook case: without background and events, CLs is exp(-mu s)."""
    assert math.isclose(search.upper_limit(0, 0.0, 1.0), -math.log(0.05), rel_tol=1e-6)


if __name__ == "__main__":
    test_nothing_seen_and_nothing_expected_excludes_three_events()
    print("1 passed, 0 failed")
