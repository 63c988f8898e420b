"""The spin-1 models: widths against published anchors, words against Pythia's, findings."""

from __future__ import annotations

from math import pi, sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from signal_points import values_for

from recast_dm.errors import UsageError
from recast_dm.signals.constants import CHARGED_LEPTONS, NEUTRINOS, QUARKS
from recast_dm.signals.spin1 import AXIAL, VECTOR, axial_width, vector_width

MASSES = st.floats(50, 10000)
WIDTHS = pytest.mark.parametrize("width", [axial_width, vector_width])
MODELS = pytest.mark.parametrize("model", [AXIAL, VECTOR], ids=["axial", "vector"])


def point(model, m_med, m_dm, **couplings):
    return model.point({"m_med": m_med, "m_dm": m_dm, **couplings})


def test_anchor_of_a_1_tev_axial_mediator():
    widths = AXIAL.widths(point(AXIAL, 1000, 1))
    assert widths["chi"] == pytest.approx(26.5, abs=0.05)
    assert sum(widths[name] for name in "udscb") == pytest.approx(24.9, abs=0.05)
    assert widths["t"] == pytest.approx(4.1, abs=0.05)
    assert widths.total == pytest.approx(55.5, abs=0.05)


@pytest.mark.parametrize(
    ("model", "m_med", "m_dm", "pythia"),
    [
        (AXIAL, 500, 1, 27.1),
        (AXIAL, 1000, 1, 56.4),
        (AXIAL, 1500, 1, 85.3),
        (AXIAL, 2000, 1, 114.0),
        (AXIAL, 2250, 1, 128.3),
        (AXIAL, 2500, 1, 142.6),
        (AXIAL, 1000, 300, 43.4),
        (VECTOR, 1000, 300, 55.8),
    ],
)
def test_pythia_finds_the_width_with_its_qcd_correction_on_top(model, m_med, m_dm, pythia):
    ratio = pythia / model.widths(point(model, m_med, m_dm)).total
    assert 1.0 < ratio < 1.05


def test_leptons_count_once_and_neutrinos_half():
    widths = AXIAL.widths(point(AXIAL, 1000, 1, g_q=0.1, g_l=0.1))
    for lepton in CHARGED_LEPTONS:
        assert widths[lepton.name] == pytest.approx(0.01 * 1000 / (12 * pi), rel=1e-4)
    for neutrino in NEUTRINOS:
        assert widths[neutrino.name] == pytest.approx(0.01 * 1000 / (24 * pi), rel=1e-12)
    assert widths["d"] == pytest.approx(3 * widths["e"], rel=1e-4)


@WIDTHS
def test_massless_limit(width):
    assert width(1.0, 1000.0, 0.0) == pytest.approx(1000 / (12 * pi))
    assert width(0.25, 1000.0, 0.0, colours=3) == pytest.approx(3 * 0.0625 * 1000 / (12 * pi))


@WIDTHS
@given(mass=MASSES)
def test_closed_at_threshold(width, mass):
    assert width(1.0, mass, mass / 2) == 0.0
    assert width(1.0, mass, mass) == 0.0
    assert width(1.0, mass, 0.49 * mass) > 0.0


@WIDTHS
@given(mass=MASSES, fractions=st.tuples(st.floats(0, 0.6), st.floats(0, 0.6)))
def test_a_heavier_fermion_never_widens(width, mass, fractions):
    light, heavy = sorted(fractions)
    assert width(1.0, mass, heavy * mass) <= width(1.0, mass, light * mass) * (1 + 1e-12)


@given(mass=MASSES, fraction=st.floats(0, 0.6), coupling=st.floats(0.001, 3.5))
def test_a_vector_is_wider_than_an_axial_vector(mass, fraction, coupling):
    axial, vector = (width(coupling, mass, fraction * mass) for width in (axial_width, vector_width))
    assert axial <= vector * (1 + 1e-12)


@MODELS
@given(data=st.data())
def test_widths_scale_with_the_square_of_a_coupling(model, data):
    m_med, m_dm = data.draw(MASSES), data.draw(st.floats(0.1, 5000))
    assume(not 0 < m_med - 2 * m_dm <= 0.11)
    one, two = (model.widths(point(model, m_med, m_dm, g_dm=g)) for g in (0.5, 1.0))
    assert two["chi"] == pytest.approx(4 * one["chi"])
    assert [two[quark.name] for quark in QUARKS] == [one[quark.name] for quark in QUARKS]


def test_words_of_a_point():
    fed = AXIAL.feeds(point(AXIAL, 2000, 1))
    assert fed.pop("planes")["m_dm"] == 1
    assert fed == {
        "parameters": {"m_med": 2000.0, "m_dm": 1.0, "g_q": 0.25, "g_dm": 1.0, "g_l": 0.0},
        "pythia8": {
            "settings": [
                "NewGaugeBoson:ffbar2gmZZprime=on",
                "Zprime:gmZmode=3",
                "Zprime:universality=off",
                "Zprime:coup2gen4=on",
                "18:m0=1",
                "18:mayDecay=off",
                "32:m0=2000",
                "32:mMin=10",
                "32:onMode=off",
                "32:onIfAny=18",
            ],
            "couplings": [
                *(f"{quark}=0,0.25" for quark in range(1, 7)),
                *("7=0,0", "8=0,0"),
                *(f"{lepton}=0,0" for lepton in range(11, 18)),
                "18=0,1",
            ],
            "recoil_id": 32,
            "invisible_ids": [18],
            "expected_width_gev": AXIAL.widths(point(AXIAL, 2000, 1)).total,
            "cross_section_factor": 1.0,
        },
        "efficiency-map": {"family": "spin1", "m_med": 2000.0, "m_dm": 1.0},
    }


@pytest.mark.parametrize(
    ("model", "name", "couplings"),
    [
        (AXIAL, "A1", (0.25, 1.0, 0.0)),
        (AXIAL, "A2", (0.1, 1.0, 0.1)),
        (VECTOR, "V1", (0.25, 1.0, 0.0)),
        (VECTOR, "V2", (0.1, 1.0, 0.01)),
    ],
)
def test_benchmarks_are_those_of_the_lhc_dm_wg(model, name, couplings):
    chosen = point(model, 1000, 1, **dict(model.record.benchmark(name).values))
    assert (chosen["g_q"], chosen["g_dm"], chosen["g_l"]) == couplings


def test_leptons_of_a_vector_mediator():
    couplings = VECTOR.feeds(point(VECTOR, 1500, 0.5, g_q=0.1, g_l=0.01))["pythia8"]["couplings"]
    assert couplings == [
        *(f"{quark}=0.1,0" for quark in range(1, 7)),
        *("7=0,0", "8=0,0"),
        *("11=0.01,0", "12=0.005,0.005", "13=0.01,0", "14=0.005,0.005", "15=0.01,0", "16=0.005,0.005"),
        *("17=0,0", "18=1,0"),
    ]


@pytest.mark.parametrize(
    ("m_dm", "word"),
    [(1, "32:mMin=10"), (499, "32:mMin=10"), (500, "32:mMin=1000.1"), (600.25, "32:mMin=1200.6")],
)
def test_off_shell_the_mediator_starts_above_threshold(m_dm, word):
    assert word in AXIAL.feeds(point(AXIAL, 1000, m_dm))["pythia8"]["settings"]


@MODELS
@given(data=st.data())
def test_words_carry_the_exact_numbers(model, data):
    values = data.draw(values_for(model.record))
    try:
        chosen = model.point(values)
    except UsageError:
        assume(False)
        raise
    fed = model.feeds(chosen)["pythia8"]
    settings = dict(word.split("=") for word in fed["settings"])
    assert float(settings["32:m0"]) == chosen["m_med"]
    assert float(settings["18:m0"]) == chosen["m_dm"]
    couplings = {
        int(left): tuple(map(float, right.split(",")))
        for left, _, right in (word.partition("=") for word in fed["couplings"])
    }
    assert set(couplings) == {*range(1, 9), *range(11, 19)}
    place = 1 if model is AXIAL else 0
    assert couplings[18][place] == chosen["g_dm"]
    assert couplings[6][place] == chosen["g_q"]
    assert couplings[18][1 - place] == couplings[6][1 - place] == 0
    assert couplings[7] == couplings[8] == couplings[17] == (0, 0)


def findings(model, chosen):
    return {finding.name: finding for finding in model.validity(chosen)}


def test_perturbative_unitarity_ends_where_the_paper_says():
    bound = sqrt(pi / 2) * 1000 / 1.5
    assert findings(AXIAL, point(AXIAL, 1000, bound * 0.999, g_dm=1.5))["unitarity-dm"].ok
    violated = findings(AXIAL, point(AXIAL, 1000, bound * 1.001, g_dm=1.5))["unitarity-dm"]
    assert not violated.ok
    assert "sqrt(pi/2) m_med/g_dm = 835.5 GeV" in violated.text
    assert not findings(AXIAL, point(AXIAL, 100, 1, g_q=0.75))["unitarity-top"].ok
    assert findings(VECTOR, point(VECTOR, 1000, 5000))["unitarity-dm"].ok


def test_width_over_mass_and_mass_shell():
    on_shell = findings(AXIAL, point(AXIAL, 1000, 1))
    assert on_shell["narrow-width"].ok
    assert on_shell["narrow-width"].text.startswith("width/mass = 0.056: narrow")
    assert on_shell["on-shell"].ok
    wide = findings(AXIAL, point(AXIAL, 1000, 500, g_q=1.0))
    assert not wide["narrow-width"].ok
    assert not wide["on-shell"].ok


@pytest.mark.parametrize("m_dm", [499.949, 500])
def test_points_beside_the_gap_below_threshold(m_dm):
    assert point(AXIAL, 1000, m_dm)["m_dm"] == m_dm
