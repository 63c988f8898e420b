"""Limit curves: interpolation, what a curve may be, and the ones that come with recast-dm."""

import json
import math
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm import schemas
from recast_dm.curves import QUANTITIES, UNITS, Citation, Curve, shipped
from recast_dm.errors import UsageError

near = partial(pytest.approx, rel=1e-9, abs=0.0)
"""Relative only: the absolute tolerance of pytest's own is passed by any cross-section."""

BY_NAME = {curve.name: curve for curve in shipped()}


def curve(**changes) -> Curve:
    said = {
        "name": "toy",
        "experiment": "Toy",
        "year": 2024,
        "quantity": "SI",
        "confidence_level": 0.9,
        "citation": Citation(text="a test"),
        "dm_assumption": "all of it",
        "masses": (10.0, 100.0, 1000.0),
        "limits": (1e-46, 1e-47, 1e-45),
    }
    return Curve(**{**said, **changes})


def test_a_power_law_is_interpolated_exactly():
    line = curve(masses=(10.0, 1000.0), limits=(3e-46, 3e-44))
    for mass in (10.0, 17.0, 333.0, 999.9, 1000.0):
        assert line.at(mass) == near(3e-47 * mass, rel=1e-12)


def test_between_neighbours_only():
    assert curve().at(100.0) == 1e-47
    assert curve().at(math.sqrt(10.0 * 100.0)) == near(math.sqrt(1e-46 * 1e-47))


@pytest.mark.parametrize("mass", [9.999, 1000.001, 0.0, -5.0, math.inf, math.nan])
def test_outside_there_is_no_limit(mass):
    assert curve().at(mass) is None


@given(st.floats(10.0, 1000.0))
def test_a_limit_lies_between_its_neighbours(mass):
    line = curve()
    n = 0 if mass <= 100 else 1
    low, high = sorted(line.limits[n : n + 2])
    assert low * (1 - 1e-12) <= line.at(mass) <= high * (1 + 1e-12)


@pytest.mark.parametrize("line", shipped(), ids=lambda line: line.name)
def test_the_ends_and_points_of_a_curve_are_its_own(line):
    for mass, limit in zip(line.masses, line.limits, strict=True):
        assert line.at(mass) == limit
    assert line.at(line.masses[0] * 0.999) is None
    assert line.at(line.masses[-1] * 1.001) is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"masses": (10.0,), "limits": (1e-46,)}, "fewer than two points"),
        ({"masses": (10.0, 20.0)}, "different lengths"),
        ({"masses": (10.0, 10.0, 20.0)}, "do not rise"),
        ({"masses": (10.0, 5.0, 20.0)}, "do not rise"),
        ({"limits": (1e-46, 0.0, 1e-45)}, "not positive"),
        ({"limits": (1e-46, math.nan, 1e-45)}, "not positive"),
        ({"limits": (1e-46, math.inf, 1e-45)}, "not positive"),
        ({"confidence_level": 90.0}, "0.9 is 90 %"),
        ({"confidence_level": 0.1}, "0.9 is 90 %"),
        ({"quantity": "SD"}, "limits 'SD'"),
        ({"channel": "bb"}, "limits no annihilation"),
        ({"self_conjugate": True}, "self-conjugate"),
        ({"quantity": "sigmav", "self_conjugate": True}, "needs a channel"),
        ({"quantity": "sigmav", "channel": "bb"}, "self-conjugate"),
        ({"citation": Citation(text=" ")}, "no citation"),
        ({"dm_assumption": ""}, "what it assumes"),
    ],
)
def test_what_is_no_curve_is_refused(changes, said):
    with pytest.raises(UsageError, match=said):
        curve(**changes)


def test_a_document_gives_the_curve_back():
    for line in shipped():
        assert Curve.from_document(json.loads(json.dumps(line.document()))) == line


def test_everything_that_ships_says_where_it_is_from():
    assert {line.quantity for line in shipped()} == set(QUANTITIES)
    for line in shipped():
        assert line.citation.arxiv or line.citation.doi
        assert line.unit == UNITS[line.quantity]
        assert "all of the dark matter" in line.dm_assumption
        assert line.confidence_level == (0.95 if line.quantity == "sigmav" else 0.9)
        assert line.digitised == (line.quantity != "sigmav")


def test_every_table_is_in_the_index_and_in_the_readme():
    data = Path(sys.modules["recast_dm.curves"].__file__).parent / "data"
    index, readme = (data / "index.yml").read_text(), (data / "README.md").read_text()
    tables = [path.name for path in data.iterdir() if path.suffix in (".txt", ".ecsv")]
    assert len(tables) == len(shipped()) == 15
    assert all(f"file: {name}" in index for name in tables)
    assert all(line.citation.arxiv in readme for line in shipped() if line.citation.arxiv)


@pytest.mark.parametrize(
    ("name", "mass", "limit"),
    [  # read by hand from the tables: a column, a unit or a file that is swapped changes them
        ("lz-2024-si", 10000.0, 2.8460882741314984e-46),
        ("lz-2024-sdn", 9984.1790917967, 5.30915583594911e-41),
        ("lz-2024-sdp", 10210.244559195786, 1.771906284355837e-39),
        ("pico-60-2019-sdp", 2.899881831138842, 2.9446016334958855e-37),
        ("pandax-4t-2024-si", 5.052583536078126, 9.126108403505616e-44),
        ("xenonnt-2025-si", 10000.0, 3.7e-45),
        ("icecube-2016-sdp-tautau", 994.6, 2.4177e-41),
        ("veritas-2017-bb", 1000.0, 1.34941101e-23),
        ("veritas-2017-tautau", 100.0, 2.45383202e-23),
        ("cresst-2019-si", 9.556777494414359, 4.118242670464816e-42),
    ],
)
def test_numbers_of_the_tables(name, mass, limit):
    assert BY_NAME[name].at(mass) == near(limit, rel=1e-12)


def test_the_band_of_a_limit_is_around_it():
    line = BY_NAME["veritas-2017-bb"]
    assert line.band_at(1000.0) == near((6.85497664e-24, 2.57519448e-23))
    low, high = line.band_at(333.0)
    assert low < line.at(333.0) < high
    assert line.band_at(99.0) is None
    assert BY_NAME["lz-2024-si"].band_at(100.0) is None


def test_curves_from_the_sun_are_for_tau_pairs_and_never_decide():
    sun = {line.name for line in shipped() if not line.used}
    assert sun == {"icecube-2016-sdp-tautau", "super-k-2015-sdp-tautau"}
    assert all("tau+ tau-" in BY_NAME[name].why_unused for name in sun)


def test_nothing_heavy_is_imported():
    """The room works in an image that has neither numpy's friends nor the rest of the package."""
    script = "import sys, recast_dm.curves; recast_dm.curves.shipped(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"numpy", "jsonschema", "recast_dm.schemas", "recast_dm.spec", "recast_dm.store"} & set(loaded)


def test_a_curve_is_a_value():
    assert replace(curve(), name="other") != curve() == curve()
    assert schemas.problem("verdict-1", {}) is not None
