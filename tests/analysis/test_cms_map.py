"""Efficiency maps: what is published comes back, what lies between has an error, what lies outside a reason."""

import numpy as np
import pytest
from cms_samples import DATA, made_map, published
from cmsmonojet import efficiency_map
from cmsmonojet.efficiency_map import NotCovered
from cmsmonojet.search import NAMES
from hypothesis import given
from hypothesis import strategies as st
from monojet.errors import InputError


@pytest.mark.parametrize(
    ("m_med", "total"), [(500, 0.0173), (1000, 0.0377), (1500, 0.0500), (2000, 0.0619), (2500, 0.0676)]
)
def test_acceptance_times_efficiency_is_the_published_one(m_med, total):
    assert published("TRV1").at(m_med, 1).total == pytest.approx(total, abs=6e-5)


@pytest.mark.parametrize("topology", ["TRV1", "TRS1"])
def test_every_published_point_comes_back_as_it_is(topology):
    table = published(topology)
    for column in table.columns:
        for m_dm, efficiency in zip(column.m_dm, column.efficiency, strict=True):
            assert table.at(column.m_med, m_dm).bins == pytest.approx(efficiency, rel=1e-12)


def test_the_maps_hold_the_points_that_are_whole():
    points = {name: sum(len(column.m_dm) for column in published(name).columns) for name in ("TRV1", "TRS1")}
    assert points == {"TRV1": 425, "TRS1": 429}, "TRS1 has 430 rows, one of them without its bins of 2018"


def test_a_row_with_empty_cells_is_left_out_and_not_taken_for_zero():
    lightest = published("TRS1").columns[0]
    assert (lightest.m_med, lightest.m_dm.tolist()) == (100.0, [10.0])
    with pytest.raises(NotCovered, match="m_dm = 1 GeV lies outside"):
        published("TRS1").at(100, 1)


@pytest.mark.parametrize("topology", ["TRV1", "TRS1"])
def test_years_share_the_efficiency_as_they_share_the_luminosity(topology):
    """Canary: efficiencies of 2018 are smaller than its luminosity by what its calorimeter lost; others are not."""
    total = sum(column.efficiency.sum(axis=0) for column in published(topology).columns if column.m_med >= 300)
    y2016, y2017, y2018 = total.reshape(3, 22)
    assert y2017.sum() / y2016.sum() == pytest.approx(41.5 / 36.3, rel=0.02)
    below_470, above = (y2018[part].sum() / y2016[part].sum() * 36.3 / 59.7 for part in (slice(7), slice(7, None)))
    assert below_470 == pytest.approx(0.81, abs=0.02)
    assert above == pytest.approx(0.97, abs=0.02)


def test_between_points_the_logarithm_of_the_total_is_linear_in_that_of_the_mass():
    table = made_map(lambda m_med, x: 1e-9 * m_med**2.5)
    for m_med in (500.0, 537.0, 650.0, 799.0):
        assert table.at(m_med, 20).total == pytest.approx(1e-9 * m_med**2.5, rel=1e-9)
    assert table.at(640, 20).error < 1e-9, "a law that interpolation knows has no error"


def test_what_a_pair_takes_of_the_mediator_counts_not_its_own_mass():
    table = made_map(lambda m_med, x: 0.01 * np.exp(0.2 * x))
    assert table.at(650, 0.45 * 325).total == pytest.approx(0.01 * np.exp(0.2 * 0.45), rel=1e-3)


def test_the_error_is_what_leaving_out_finds():
    random = np.random.default_rng(7)
    noisy = made_map(
        lambda m_med, x: 0.03 * np.exp(0.05 * random.standard_normal()),
        masses=tuple(500.0 + 25 * i for i in range(30)),
        fractions=tuple(np.linspace(0, 0.9, 12)),
    )
    errors = [noisy.at(m_med, 50).error for m_med in range(550, 1150, 50)]
    assert 0.05 < np.mean(errors) < 0.08, "noise of 5 %, and that of the two points between which it is compared"


@pytest.mark.parametrize(("topology", "least"), [("TRV1", 0.9), ("TRS1", 0.85)])
def test_left_out_points_lie_within_twice_the_error(topology, least):
    table = published(topology)
    inside = [
        abs(miss) < 2 * table.at(column.m_med, x * column.m_med / 2).error
        for index, column in enumerate(table.columns)
        for x, miss in table.misses(index)
        if column.m_med >= 300
    ]
    assert np.mean(inside) > least


def test_where_the_map_has_a_step_its_error_says_so():
    """Between 1.95 and 2 TeV the map rises by 11 % for light dark matter, and by nothing for heavy."""
    table = published("TRV1")
    assert table.at(1975, 1).error > 0.03
    assert table.at(1975, 700).error < 0.015


def test_the_error_in_the_middle_of_the_map_is_about_one_percent():
    assert 0.004 < published("TRV1").at(1025, 110).error < 0.02


@pytest.mark.parametrize(
    ("m_med", "m_dm", "reason"),
    [
        (4000, 1, r"m_med = 4000 GeV lies outside of the map TRV1, which reaches from 50 to 3000 GeV"),
        (40, 1, r"m_med = 40 GeV lies outside"),
        (
            1000,
            480,
            r"m_dm = 480 GeV lies outside of the map TRV1, which reaches from 1 to 450 GeV at m_med = 1000 GeV$",
        ),
        (1000, 600, r"at m_med = 1000 GeV \(off-shell: 2 m_dm > m_med\)$"),
        (525, 240, r"from 1 to 225 GeV at m_med = 525 GeV$"),
    ],
)
def test_outside_there_is_a_reason(m_med, m_dm, reason):
    with pytest.raises(NotCovered, match=reason):
        published("TRV1").at(m_med, m_dm)


def test_a_point_at_the_edge_counts_as_the_edge():
    table = published("TRV1")
    assert table.at(3000, 1401).bins == pytest.approx(table.at(3000, 1400).bins)
    assert table.at(3003, 1).bins == pytest.approx(table.at(3000, 1).bins)
    with pytest.raises(NotCovered):
        table.at(3000, 1410)


def test_very_light_dark_matter_is_as_good_as_massless():
    table = published("TRV1")
    assert table.at(1000, 0.1).bins == pytest.approx(table.at(1000, 1).bins)


@given(m_med=st.floats(300, 3000), fraction=st.floats(0, 0.45))
def test_inside_efficiencies_are_positive_and_change_little_over_a_step(m_med, fraction):
    table = published("TRV1")
    m_dm = fraction * m_med / 2
    here, there = table.at(m_med, m_dm), table.at(min(m_med * 1.001, 3000), m_dm)
    assert (here.bins > 0).all()
    assert np.isfinite(here.error)
    assert there.total == pytest.approx(here.total, rel=0.02)


def test_a_file_of_other_bins_is_refused(tmp_path):
    text = (DATA / "efficiency_TRV1.csv").read_text()
    exchanged = tmp_path / "map.csv"
    exchanged.write_text(text.replace("SR_2018_1,", "SR_2017_1,", 1))
    with pytest.raises(InputError, match="has not the columns"):
        efficiency_map.read(exchanged, "map")


@pytest.mark.parametrize(("cell", "reason"), [("nan", "finite"), ("-0.1", "positive"), ("much", "cannot read")])
def test_a_cell_that_is_no_efficiency_is_refused(tmp_path, cell, reason):
    rows = [f"{m},{d},{','.join(['0.01'] * 66)}" for m in (500, 600) for d in (1, 100)]
    rows[0] = rows[0].replace("0.01", cell, 1)
    path = tmp_path / "map.csv"
    path.write_text("\n".join([f"mMed,mDM,{','.join(NAMES)}", *rows]) + "\n")
    with pytest.raises(InputError, match=reason):
        efficiency_map.read(path, "map")


def test_a_map_of_one_mass_covers_nothing(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text(f"mMed,mDM,{','.join(NAMES)}\n500,1,{','.join(['0.01'] * 66)}\n")
    with pytest.raises(InputError, match="fewer than two"):
        efficiency_map.read(path, "map")
