"""A point: what is accepted, and every message for what is not."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recast_dm.errors import UsageError
from recast_dm.signals import Point
from recast_dm.signals.add import ADD
from recast_dm.signals.fake import FakeSignalModel
from recast_dm.signals.spin1 import AXIAL, VECTOR
from recast_dm.signals.text import quantity, shortest

GOOD = {"m_med": 2000, "m_dm": 1}


def refused(model, values):
    with pytest.raises(UsageError) as caught:
        model.point(values)
    assert caught.value.exit_code == 2
    assert "\n" not in caught.value.message
    return caught.value.message, caught.value.hint


def test_defaults_are_filled_in_and_text_is_read():
    point = AXIAL.point({"m_med": " 2e3 ", "m_dm": "1"})
    assert point == Point("spin1-axial", (("m_med", 2000.0), ("m_dm", 1.0), ("g_q", 0.25), ("g_dm", 1.0), ("g_l", 0.0)))
    assert point.parameters() == {"m_med": 2000.0, "m_dm": 1.0, "g_q": 0.25, "g_dm": 1.0, "g_l": 0.0}
    assert str(point) == "spin1-axial m_med=2000 m_dm=1 g_q=0.25 g_dm=1 g_l=0"
    with pytest.raises(KeyError):
        point["m_mediator"]


def test_the_order_of_the_values_does_not_matter():
    assert AXIAL.point({"m_dm": 1, "m_med": 2000}) == AXIAL.point(GOOD)


@pytest.mark.parametrize("value", [2, 2.0, "2", "2.0", "+2", "2e0"])
def test_integers_are_ints_however_written(value):
    n = ADD.point({"n": value, "m_d": 7000})["n"]
    assert (n, type(n)) == (2, int)


def test_any_real_number_type_will_do():
    assert AXIAL.point(GOOD | {"m_dm": Fraction(1, 2)})["m_dm"] == 0.5


def test_minus_zero_is_zero():
    assert str(AXIAL.point(GOOD | {"g_l": "-0.0"})["g_l"]) == "0.0"


def test_off_shell_points_are_allowed():
    assert AXIAL.point({"m_med": 1000, "m_dm": 600})["m_dm"] == 600


@pytest.mark.parametrize(
    ("model", "values", "message", "hint"),
    [
        (
            AXIAL,
            GOOD | {"m_mde": 3},
            "spin1-axial has no parameter 'm_mde'",
            "did you mean 'm_med'? its parameters: m_med, m_dm, g_q, g_dm, g_l",
        ),
        (
            ADD,
            {"zzz": 3},
            "add has no parameter 'zzz'",
            "its parameters: n, m_d, truncation",
        ),
        (
            VECTOR,
            {"m_med": 2000},
            "spin1-vector needs m_dm (mass of the Dirac dark-matter particle, 0.1 to 5000 GeV)",
            "give --set m_dm=NUMBER",
        ),
        (
            ADD,
            {},
            (
                "add needs n (number of extra dimensions, 2 to 6) and "
                "m_d (fundamental Planck scale M_D in 4 + n dimensions, 1000 to 30000 GeV)"
            ),
            "give --set n=NUMBER --set m_d=NUMBER",
        ),
        (
            AXIAL,
            GOOD | {"m_med": "2 TeV"},
            "m_med = '2 TeV' is not a number: spin1-axial takes 50 to 10000 GeV",
            "write the number alone, in GeV",
        ),
        (
            AXIAL,
            GOOD | {"g_q": ""},
            "g_q = '' is not a number: spin1-axial takes 0.001 to 3.5",
            "write the number alone",
        ),
        (
            AXIAL,
            GOOD | {"m_med": "nan"},
            "m_med = 'nan' is not finite: spin1-axial takes 50 to 10000 GeV",
            "mediator mass",
        ),
        (
            AXIAL,
            GOOD | {"m_med": -math.inf},
            "m_med = -inf is not finite: spin1-axial takes 50 to 10000 GeV",
            "mediator mass",
        ),
        (
            AXIAL,
            GOOD | {"m_med": "1e999"},
            "m_med = '1e999' is not finite: spin1-axial takes 50 to 10000 GeV",
            "mediator mass",
        ),
        (
            AXIAL,
            GOOD | {"m_med": 20000},
            "m_med = 20000 GeV is out of range: spin1-axial takes 50 to 10000 GeV",
            "why 10000 GeV: never resonant at 13 TeV above: a contact interaction",
        ),
        (
            AXIAL,
            GOOD | {"g_l": "-0.1"},
            "g_l = -0.1 is out of range: spin1-axial takes 0 to 3.5",
            "why 0: no coupling to leptons; rates depend on g_l^2 only",
        ),
        (
            ADD,
            {"n": 2.5, "m_d": 7000},
            "n = 2.5 is not an integer: add takes 2 to 6",
            "number of extra dimensions",
        ),
        (
            ADD,
            {"n": 7, "m_d": 7000},
            "n = 7 is out of range: add takes 2 to 6",
            "why 6: searches quote 2 to 6, and string theory has six",
        ),
        (
            ADD,
            {"n": 2, "m_d": 7000, "truncation": "2"},
            "truncation = 2 is out of range: add takes 0 to 1",
            "why 1: a switch: 1 is on",
        ),
        (
            AXIAL,
            GOOD | {"g_q": 0},
            "g_q = 0 is unphysical: without a coupling to quarks nothing is produced; spin1-axial takes 0.001 to 3.5",
            "axial-vector coupling of the mediator to every quark flavour",
        ),
        (
            VECTOR,
            GOOD | {"g_q": "0", "g_dm": "0", "g_l": "0"},
            "g_q = 0 is unphysical: without a coupling to quarks nothing is produced; spin1-vector takes 0.001 to 3.5",
            "vector coupling of the mediator to every quark flavour",
        ),
        (
            VECTOR,
            GOOD | {"g_dm": "-0.0"},
            (
                "g_dm = 0 is unphysical: without a coupling to dark matter none is produced;"
                " spin1-vector takes 0.001 to 3.5"
            ),
            "vector coupling of the mediator to dark matter",
        ),
        (
            VECTOR,
            GOOD | {"g_q": 3.5},
            "g_q = 3.5: the mediator is wider than heavy, 5.88 times m_med = 2000 GeV",
            "lower g_q: spin1-vector takes 0.001 to 3.5, and a width below m_med",
        ),
        (
            AXIAL,
            GOOD | {"g_l": 3.5},
            "g_l = 3.5: the mediator is wider than heavy, 1.52 times m_med = 2000 GeV",
            "lower g_l: spin1-axial takes 0 to 3.5, and a width below m_med",
        ),
        (
            AXIAL,
            {"m_med": 1000, "m_dm": 499.96},
            "m_dm = 499.96 GeV: 2 m_dm is less than 0.1 GeV below m_med = 1000 GeV, where Pythia closes the open decay",
            "take m_dm below 499.95 GeV, or 500 GeV and more (off-shell); spin1-axial takes 0.1 to 5000 GeV",
        ),
    ],
)
def test_messages(model, values, message, hint):
    assert refused(model, values) == (message, hint)


@pytest.mark.parametrize(
    "value", [None, True, [], {}, "2_000", "0x7D0", "1,5", "--2", "٢", "2 3", "1e", b"2", 1j, "\n", "$(id)"]
)
def test_only_numbers_are_numbers(value):
    message, _ = refused(AXIAL, GOOD | {"m_med": value})
    assert "is not a number: spin1-axial takes 50 to 10000 GeV" in message


def test_integers_beyond_floats_are_not_finite():
    assert "is not finite" in refused(AXIAL, GOOD | {"m_med": 10**400})[0]


@pytest.mark.parametrize("given", ["9" * 5000, "x" * 5000, 10**400])
def test_long_values_are_shortened(given):
    message, _ = refused(AXIAL, GOOD | {"m_med": given})
    assert len(message) < 160


@given(st.text())
def test_no_text_escapes_as_another_error(text):
    try:
        mass = FakeSignalModel().point({"mass": text})["mass"]
    except UsageError:
        refused(FakeSignalModel(), {"mass": text})
    else:
        assert 1 <= mass <= 1000


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_words_that_read_back(number):
    assert float(shortest(number)) == number
    assert " " not in shortest(number)


def test_units_are_written_where_there_are_any():
    assert (quantity(0.5, "1"), quantity(0.5, "GeV")) == ("0.5", "0.5 GeV")
